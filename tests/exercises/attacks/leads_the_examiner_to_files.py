"""Paths that lead out of the folder that is shared, absolute ones, links, and names that exist already."""

# %% softmax
# uses: peer, answering

PATHS = [
    {"below": "../../../tmp/CANARY-written", "files": [["../../../tmp/CANARY-written", b"x"]]},
    {"below": "/tmp/CANARY-written", "files": [["/tmp/CANARY-written", b"x"]]},
    {"below": "a", "files": [["a", b"x"], ["a/b", b"x"], ["a", None], ["\x00", b"x"], ["n" * 10_000, b"x"]]},
    {"below": "a", "files": [["/".join("a" * 200), None]] * 100},
    {"below": ".", "files": []},
    {"path": "/etc/passwd"},
    {"below": "a", "files": [[str(number), None] for number in range(1_000_000)]},
    {"below": [], "files": 3},
]
TURN = [0]


def softmax(Z):
    TURN[0] += 1
    tree = {"~": "path", **PATHS[TURN[0] % len(PATHS)]}
    for number in range(6):
        try:
            PEER.wire.send({"n": 10**6, "do": "call", "what": {"function": number}, "arguments": [tree]})
            print(PEER.wire.receive())
        except Exception:
            pass
    return answering(tree)(Z)
