def distance(source, target):
    return ((source.var(axis=0, ddof=1) - target.var(axis=0, ddof=1)) ** 2).sum() / (4 * source.shape[1] ** 2)
