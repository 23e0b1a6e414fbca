def choose(candidates, y):
    return min(candidates, key=lambda name: candidates[name].shape[1])
