def distance(source, target):
    one, other = (x.T @ x / (len(x) - 1) for x in (source, target))
    return ((one - other) ** 2).sum() / (4 * source.shape[1] ** 2)
