"""Ranges of 10**12, numbers of 4,000 digits, sets of what cannot be in sets, generators in impossible states."""

# %% softmax
# uses: peer, answering

VALUES = [
    {"~": "range", "items": [0, 10**12, 1]},
    10**4000,
    {"~": "set", "items": [{"~": "list", "items": []}]},
    {"~": "rng", "kind": "MT19937", "state": {"~": "dict", "items": []}},
    {"~": "rng", "kind": "__class__", "state": 1},
    {"~": "scalar", "value": []},
    {"~": "dict", "items": [[{"~": "dict", "items": []}, 1]]},
    float("nan"),
    "x" * 10**7,
    {"~": "Split", "items": [1, 2]},
    {"~": "Backbone", "items": []},
    {"~": "list", "items": 3},
]
TURN = [0]


def softmax(Z):
    TURN[0] += 1
    return answering(VALUES[TURN[0] % len(VALUES)])(Z)
