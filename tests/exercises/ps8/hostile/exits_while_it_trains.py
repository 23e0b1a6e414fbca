"""exit() in place of a program."""

# loses: writes_what_is_asked, parts_are_apart, one_score_per_class, names_in_order, frozen_phase_keeps_the_base, fine_tuning_learns, fine_tuning_keeps_batchnorm, beats_the_pixels, no_test_picture_is_learned, scores_are_true, baseline_is_fair, predict_needs_only_the_files

# %% train
# The reference, but:
# - side, rng = 96, np.random.default_rng(0)
# + exit()
