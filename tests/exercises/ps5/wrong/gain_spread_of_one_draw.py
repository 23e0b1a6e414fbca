"""The root of m is forgotten: where one draw may lie, not the mean."""

# loses: gain_interval_any_runs


# %% gain_interval
def gain_interval(with_source, without):
    from scipy import stats

    gains, m = with_source - without, len(without)
    return gains.mean(), stats.t.ppf(0.975, m - 1) * gains.std(ddof=1)
