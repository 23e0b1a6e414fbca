"""A thin line gets no pixel at all."""

# loses: box_size_any_shape


# %% box_size
def box_size(height, width, side=20):
    return round(height * side / max(height, width)), round(width * side / max(height, width))
