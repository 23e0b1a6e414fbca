"""Answers questions that nobody has asked, without end."""

# %% softmax
# uses: peer, frames


def softmax(Z):
    while True:
        for number in (-1, 0, 1, 3, 10**9, None, "2"):
            frame(json.dumps({"n": number, "do": "done", "value": None}))
