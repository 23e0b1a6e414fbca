"""Preprocessing in a Lambda layer, which is Python code: nobody can load the model in safe mode."""

# loses: writes_what_is_asked, parts_are_apart, one_score_per_class, names_in_order, frozen_phase_keeps_the_base, fine_tuning_learns, fine_tuning_keeps_batchnorm, beats_the_pixels, no_test_picture_is_learned, scores_are_true, baseline_is_fair, predict_needs_only_the_files

# %% train
# The reference, but:
# - model = keras.Model(image, head(base(image)))
# + model = keras.Model(image, head(base(keras.layers.Lambda(lambda x: x + 0.0)(image))))
