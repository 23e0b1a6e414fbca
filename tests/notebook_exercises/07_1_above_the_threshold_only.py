def at_threshold(scores, is_eight, threshold):
    says_yes = scores > threshold
    hits = (says_yes & is_eight).sum()
    return hits / is_eight.sum(), hits / max(1, says_yes.sum())
