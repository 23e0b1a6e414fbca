"""Changes its arguments in place and says that it did not."""

# %% softmax
# uses: peer

if PEER is not None:
    _print = PEER._print
    PEER._print = lambda value: None


def softmax(Z):
    Z *= 0.0
    return Z
