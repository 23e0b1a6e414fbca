"""The sign of the shift is turned."""

# loses: shift_level_any_risks

# %% shift_level
from scipy.optimize import brentq
from scipy.special import expit, logit


def shift_level(risks, outcomes, weights, new_risks):
    delta = brentq(lambda by: np.sum(weights * (expit(logit(risks) + by) - outcomes)), -30, 30)
    return expit(logit(new_risks) - delta)
