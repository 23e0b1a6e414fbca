def step(weights, of_classes, of_domains, progress, rate):
    return weights - rate * (of_classes - of_domains)
