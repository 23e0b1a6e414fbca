"""Faces of one font family on both sides."""

# loses: target_has_no_leak


# %% load_target
def load_target():
    digits = tlkit.load_domain("printed").restrict_to(("2", "3", "5", "8")).train
    once = np.unique(digits.x.reshape(len(digits), -1), axis=0, return_index=True)[1]
    some = digits[np.random.default_rng(0).permutation(once)[:600]]
    return tlkit.Domain("digits", some[:400], some[400:], ("2", "3", "5", "8"))
