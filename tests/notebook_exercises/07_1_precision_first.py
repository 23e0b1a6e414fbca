def at_threshold(scores, is_eight, threshold):
    says_yes = scores >= threshold
    hits = (says_yes & is_eight).sum()
    return hits / says_yes.sum(), hits / is_eight.sum()
