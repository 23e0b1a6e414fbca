"""Looks for .jpg only."""

# loses: parts_are_apart

# %% train
# The reference, but:
# - files = [f"{name}/{p.name}" for p in sorted((folder / name).iterdir()) if p.suffix in (".jpg", ".png")]
# + files = [f"{name}/{p.name}" for p in sorted((folder / name).glob("*.jpg"))]
