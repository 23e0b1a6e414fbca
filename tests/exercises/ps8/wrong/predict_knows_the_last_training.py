"""Predicts with the classes of the training that ran last in this kernel."""

# loses: predict_needs_only_the_files

# %% train
# The reference, but:
# - report = {"classes": classes, **parts, "accuracy": accuracy}
# + report = {"classes": classes, **parts, "accuracy": accuracy}
# + globals()["last"] = out
# %% predict
# The reference, but:
# - model = keras.models.load_model(out / "model.keras", compile=False)
# + out = last
# + model = keras.models.load_model(out / "model.keras", compile=False)
