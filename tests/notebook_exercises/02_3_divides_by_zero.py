def align(source, target):
    scaled = (source - source.mean(axis=0)) / source.std(axis=0)
    return scaled * target.std(axis=0) + target.mean(axis=0)
