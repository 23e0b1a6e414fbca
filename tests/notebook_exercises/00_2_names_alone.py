def best_three(logits, names):
    return [names[k] for k in logits.argsort()[::-1][:3]]
