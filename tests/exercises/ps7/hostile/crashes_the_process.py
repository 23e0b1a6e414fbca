"""A segmentation fault in a function: what was tested before counts."""

# loses: best_and_worst_any_matrix, choose_within_the_budget, choose_by_the_labelled

# %% best_and_worst
import ctypes


def best_and_worst(matrix, names):
    ctypes.string_at(0)
