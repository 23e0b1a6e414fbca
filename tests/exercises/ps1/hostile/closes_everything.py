"""Closes every file and connection of its process. What was tested before counts."""

# loses: adam_step_examples, adam_step_first_step, adam_step_later_steps, adam_step_keeps_inputs

# %% adam_step
import os

os.closerange(3, 1000)
