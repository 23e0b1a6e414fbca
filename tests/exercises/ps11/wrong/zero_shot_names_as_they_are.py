"""The names keep their lengths, so that long ones count for more."""

# loses: zero_shot_one_name, zero_shot_several_names


# %% zero_shot
def zero_shot(image_vectors, name_vectors):
    return np.argmax(image_vectors @ name_vectors.mean(axis=1).T, axis=1)
