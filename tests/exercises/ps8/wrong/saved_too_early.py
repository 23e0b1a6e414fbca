"""Saves model.keras before the second phase."""

# loses: fine_tuning_learns

# %% train
# The reference, but:
# - model.save(out / "model.keras")
# + pass
# - fit(model, pixels["training"], 3e-5, 2)
# + model.save(out / "model.keras")
# + fit(model, pixels["training"], 3e-5, 2)
