def verdict(right, n, baseline):
    return "above" if right / n > baseline else "below"
