"""The right columns, in the order of the source."""

# loses: zero_shot_any_order


# %% zero_shot
def zero_shot(logits, labels, source_classes, target_classes):
    columns = [k for k, name in enumerate(source_classes) if name in target_classes]
    return np.mean(np.argmax(logits[:, columns], axis=1) == labels)
