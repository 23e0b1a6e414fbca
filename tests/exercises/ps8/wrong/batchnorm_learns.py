"""BatchNorm learns with the rest of the last block."""

# loses: fine_tuning_keeps_batchnorm

# %% train
# The reference, but:
# - layer.trainable = layer.name.startswith(("block7", "top")) and not layer.name.endswith("bn")
# + layer.trainable = layer.name.startswith(("block7", "top"))
