"""Sends messages of 100 MB without end, faster than anybody reads."""

# %% softmax
# uses: peer, frames


def softmax(Z):
    while True:
        frame(json.dumps({"n": -1, "do": "done", "value": None}), bytes(100 * 2**20))
