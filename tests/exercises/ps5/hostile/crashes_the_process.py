"""A segmentation fault in a function: what was tested before counts."""

# loses: sources_that_hurt_any_runs, hurting_sources_found_in_digits

# %% sources_that_hurt
import ctypes


def sources_that_hurt(runs):
    ctypes.string_at(0)
