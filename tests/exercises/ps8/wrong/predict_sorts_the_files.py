"""Answers in the order of the files' names."""

# loses: predict_needs_only_the_files

# %% predict
# The reference, but:
# - x = np.stack([keras.utils.img_to_array(keras.utils.load_img(file, **read)) for file in files])
# + x = np.stack([keras.utils.img_to_array(keras.utils.load_img(file, **read)) for file in sorted(files)])
