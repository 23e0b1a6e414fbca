def verdict(right, n, baseline):
    accuracy = right / n
    half = (accuracy * (1 - accuracy) / n) ** 0.5
    if accuracy - half > baseline:
        return "above"
    return "below" if accuracy + half < baseline else "undecided"
