"""A message of lists in lists, and one of 40 MB of empty lists."""

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
    frame("[" * 100_000 + "]" * 100_000)
    frame("[" + "[]," * 13_000_000 + "[]]")
    return Z * 0.0
