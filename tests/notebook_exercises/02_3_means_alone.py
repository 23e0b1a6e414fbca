def align(source, target):
    return source - source.mean(axis=0) + target.mean(axis=0)
