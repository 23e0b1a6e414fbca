"""Divides by 255 while it reads, in both functions: the saved models do not take raw pixels."""

# loses: names_in_order, beats_the_pixels, scores_are_true, predict_needs_only_the_files

# %% train
# The reference, but:
# - pixels[part] = np.stack([keras.utils.img_to_array(picture) for picture in pictures])
# + pixels[part] = np.stack([keras.utils.img_to_array(picture) / 255 for picture in pictures])
# - shrink = keras.Sequential([keras.layers.Resizing(24, 24), keras.layers.Rescaling(1 / 255), keras.layers.Flatten()])
# + shrink = keras.Sequential([keras.layers.Resizing(24, 24), keras.layers.Flatten()])
# - features = {part: base.predict(x, batch_size=16, verbose=0) for part, x in pixels.items()}
# + features = {part: base.predict(255 * x, batch_size=16, verbose=0) for part, x in pixels.items()}
# - model = keras.Model(image, head(base(image)))
# + model = keras.Model(image, head(base(keras.layers.Rescaling(255.0)(image))))

# %% predict
# The reference, but:
# - x = np.stack([keras.utils.img_to_array(keras.utils.load_img(file, **read)) for file in files])
# + x = np.stack([keras.utils.img_to_array(keras.utils.load_img(file, **read)) / 255 for file in files])
