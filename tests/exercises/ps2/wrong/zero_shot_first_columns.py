"""Takes the first logits for the target classes."""

# loses: zero_shot_any_order, zero_shot_other_source_classes


# %% zero_shot
def zero_shot(logits, labels, source_classes, target_classes):
    return np.mean(np.argmax(logits[:, : len(target_classes)], axis=1) == labels)
