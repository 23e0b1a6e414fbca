"""The mean of the new risks becomes the rate of the few."""

# loses: shift_level_any_risks

# %% shift_level
from scipy.optimize import brentq
from scipy.special import expit, logit


def shift_level(risks, outcomes, weights, new_risks):
    rate = np.average(outcomes, weights=weights)
    delta = brentq(lambda by: np.mean(expit(logit(new_risks) + by)) - rate, -30, 30)
    return expit(logit(new_risks) + delta)
