"""Picks the names of the logits by the test labels: no longer zero-shot."""

# loses: zero_shot_same_classes, zero_shot_any_order, zero_shot_other_source_classes


# %% zero_shot
def zero_shot(logits, labels, source_classes, target_classes):
    answers = np.argmax(logits, axis=1)
    return sum(np.bincount(labels[answers == k]).max() for k in np.unique(answers)) / len(labels)
