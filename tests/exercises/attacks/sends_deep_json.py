"""A message of lists in lists, and one of 40 MB of empty lists."""

# %% softmax
# uses: peer, frames


def softmax(Z):
    frame("[" * 100_000 + "]" * 100_000)
    frame("[" + "[]," * 13_000_000 + "[]]")
    return Z * 0.0
