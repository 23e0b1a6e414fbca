"""Rounds down."""

# loses: box_size_any_shape


# %% box_size
def box_size(height, width, side=20):
    return max(1, height * side // max(height, width)), max(1, width * side // max(height, width))
