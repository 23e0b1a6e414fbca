def mean(weights, examples):
    return sum(n * w for w, n in zip(weights, examples, strict=True))
