"""A straight line through the outcomes."""

# loses: shift_and_stretch_any_risks


# %% shift_and_stretch
def shift_and_stretch(risks, outcomes, weights, new_risks):
    slope, level = np.polyfit(np.log(risks / (1 - risks)), outcomes, 1, w=np.sqrt(weights))
    return np.clip(level + slope * np.log(new_risks / (1 - new_risks)), 0.01, 0.99)
