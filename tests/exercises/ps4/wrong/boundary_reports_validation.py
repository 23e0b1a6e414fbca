"""The accuracy that was chosen by is reported."""

# loses: choose_boundary_examples, choose_boundary_by_validation, choose_boundary_prefers_frozen


# %% choose_boundary
def choose_boundary(validation, test):
    means = validation.mean(axis=1)
    stage = np.flatnonzero(means >= means.max() - 0.01)[-1]
    return stage, means[stage]
