"""One message with a thousand arrays that all are the same 100 MB."""

# %% softmax
import gc

try:
    PEER = next((one for one in gc.get_objects() if type(one).__name__ == "Peer"), None)
except ReferenceError:
    PEER = None

import json
import os
import struct


def write(data):
    while data:
        data = data[os.write(PEER.wire._into, data) :]


def frame(text, beside=b""):
    text = text.encode()
    message = struct.pack("<Q", len(text)) + text + beside
    write(struct.pack("<Q", len(message)) + message)


def softmax(Z):
    head = {"~": "array", "dtype": "|u1", "shape": [100 * 2**20], "at": 0, "size": 100 * 2**20}
    frame(json.dumps({"n": 2, "do": "done", "value": [head] * 1000}), bytes(100 * 2**20))
    return Z * 0.0
