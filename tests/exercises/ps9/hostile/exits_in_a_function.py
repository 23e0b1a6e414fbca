"""sys.exit() in a function fails its checks, and no others; quit() in a cell ends nothing."""

# loses: nt_xent_examples, nt_xent_any_views, nt_xent_any_length, nt_xent_any_order, nt_xent_low_temperature, nt_xent_keeps_inputs

# %% nt_xent
import sys


def nt_xent(a, b, temperature):
    sys.exit(0)


quit()
