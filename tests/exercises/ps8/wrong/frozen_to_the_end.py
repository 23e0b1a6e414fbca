"""Forgets to unfreeze: the second phase goes on with the head."""

# loses: fine_tuning_learns

# %% train
# The reference, but:
# - base.trainable = True
# + base.trainable = False
# - layer.trainable = layer.name.startswith(("block7", "top")) and not layer.name.endswith("bn")
# + layer.trainable = False
