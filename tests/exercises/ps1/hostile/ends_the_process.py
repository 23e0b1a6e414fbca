"""os._exit() in a cell: what was tested before counts."""

# loses: sgd_step_any_gradient, sgd_step_keeps_inputs, adam_step_examples, adam_step_first_step, adam_step_later_steps, adam_step_keeps_inputs

# %% sgd_step
import os

os._exit(0)
