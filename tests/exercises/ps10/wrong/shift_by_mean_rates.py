"""The shift is the difference of two log-odds: of the rate, and of the mean risk."""

# loses: shift_level_any_risks

# %% shift_level
from scipy.special import expit, logit


def shift_level(risks, outcomes, weights, new_risks):
    rate, mean = (np.average(each, weights=weights) for each in (outcomes, risks))
    return expit(logit(new_risks) + logit(rate) - logit(mean))
