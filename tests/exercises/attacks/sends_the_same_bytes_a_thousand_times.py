"""One message with a thousand arrays that all are the same 100 MB."""

# %% softmax
# uses: peer, frames


def softmax(Z):
    head = {"~": "array", "dtype": "|u1", "shape": [100 * 2**20], "at": 0, "size": 100 * 2**20}
    frame(json.dumps({"n": 2, "do": "done", "value": [head] * 1000}), bytes(100 * 2**20))
    return Z * 0.0
