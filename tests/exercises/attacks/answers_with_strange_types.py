"""Objects whose type bears a name that is Python code, and kinds of values that there are not."""

# %% softmax
# uses: peer, answering

KINDS = ["__import__('os').system('id')", "Split", "AssertionError", "x" * 10**6, "", None, [], {"a": 1}, 0.5]
TURN = [0]


def softmax(Z):
    TURN[0] += 1
    kind = KINDS[TURN[0] % len(KINDS)]
    return answering([{"~": "foreign", "kind": kind}, {"~": kind, "items": [1]}][TURN[0] % 2])(Z)
