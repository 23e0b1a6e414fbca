"""Arrays of objects, of records, of no bytes, with shapes that do not fit, and a dtype that is code."""

# %% softmax
# uses: peer, answering

HEADS = [
    {"dtype": "|O", "shape": [1]},
    {"dtype": "V8", "shape": [1]},
    {"dtype": "<f8", "shape": [10**12]},
    {"dtype": "<f8", "shape": [-1, -1]},
    {"dtype": "U1000000000", "shape": [0]},
    {"dtype": "i4,O", "shape": [1]},
    {"dtype": "__import__('os').system('id')", "shape": [1]},
    {"dtype": "<M8[ns]", "shape": [1]},
    {"dtype": "<f8", "shape": "11"},
    {"dtype": "<f8", "shape": [1], "at": -8},
    {"dtype": "<f8", "shape": [1], "size": 2**62},
]
TURN = [0]


def softmax(Z):
    TURN[0] += 1
    head = {"~": "array", "at": 0, "size": 8, **HEADS[TURN[0] % len(HEADS)]}
    return answering({"~": "list", "items": [head, b"12345678"]})(Z)
