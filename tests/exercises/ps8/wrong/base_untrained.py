"""The architecture without its weights."""

# loses: frozen_phase_keeps_the_base, beats_the_pixels, names_in_order, fine_tuning_keeps_batchnorm

# %% train
# The reference, but:
# - network = keras.models.load_model(NETWORK, compile=False)
# + network = keras.models.clone_model(keras.models.load_model(NETWORK, compile=False))
