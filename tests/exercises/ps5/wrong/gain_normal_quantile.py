"""1.96 for Student's quantile, with few draws."""

# loses: gain_interval_any_runs


# %% gain_interval
def gain_interval(with_source, without):
    from scipy import stats

    gains, m = with_source - without, len(without)
    return gains.mean(), 1.96 * gains.std(ddof=1) / m**0.5
