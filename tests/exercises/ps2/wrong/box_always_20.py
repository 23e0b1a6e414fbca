"""Does not look at the side that is asked for."""

# loses: box_size_any_shape


# %% box_size
def box_size(height, width, side=20):
    scale = 20 / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))
