"""Asks the network for a larger model."""

# loses: predict_needs_only_the_files, writes_what_is_asked

# %% predict
# The reference, but:
# - model = keras.models.load_model(out / "model.keras", compile=False)
# + import socket
# +
# + socket.create_connection(("127.0.0.1", 9), 5)
