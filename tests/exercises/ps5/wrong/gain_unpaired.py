"""The spread of the accuracies, not of the gains."""

# loses: gain_interval_any_runs


# %% gain_interval
def gain_interval(with_source, without):
    from scipy import stats

    gains, m = with_source - without, len(without)
    return gains.mean(), stats.t.ppf(0.975, m - 1) * np.sqrt((with_source.var(ddof=1) + without.var(ddof=1)) / m)
