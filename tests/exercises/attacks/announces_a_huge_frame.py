"""Announces a frame of 2**63 bytes, and one of 500 MB of which half comes."""

# %% softmax
# uses: peer, frames


def softmax(Z):
    write(struct.pack("<Q", 500 * 2**20) + bytes(250 * 2**20))
    write(struct.pack("<Q", 2**63))
    return Z * 0.0
