"""The shorter side becomes 20."""

# loses: box_size_any_shape


# %% box_size
def box_size(height, width, side=20):
    scale = side / min(height, width)
    return round(height * scale), round(width * scale)
