"""Ranges of 10**12, numbers of 4,000 digits, sets of what cannot be in sets, generators in impossible states."""

# %% softmax
import gc

try:
    PEER = next((one for one in gc.get_objects() if type(one).__name__ == "Peer"), None)
except ReferenceError:
    PEER = None


def answering(tree):
    """A function of which the channel says, whatever it returns, that it has returned this."""

    def function(*arguments):
        PEER.encode = lambda value, depth=0: tree
        try:
            PEER.wire.send({"n": LAST[0], "do": "done", "value": tree, "after": None})
        finally:
            del PEER.encode
        return arguments[0]

    return function


LAST = [0]
_receive = PEER.wire.receive


def receive(*arguments):
    message = _receive(*arguments)
    LAST[0] = message.get("n", 0)
    return message


PEER.wire.receive = receive


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
