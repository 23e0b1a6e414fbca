"""One layer of the base learns with the head before frozen.keras is saved."""

# loses: frozen_phase_keeps_the_base

# %% train
# The reference, but:
# - model.save(out / "frozen.keras")
# + base.trainable = True
# + for layer in base.layers:
# +     layer.trainable = layer.name == "top_conv"
# + fit(model, pixels["training"], 1e-5, 1)
# + accuracy["frozen"] = on_test(model, pixels["test"])
# + model.save(out / "frozen.keras")
