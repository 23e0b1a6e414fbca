"""Announces a frame of 2**63 bytes, and one of 500 MB of which half comes."""

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
    write(struct.pack("<Q", 500 * 2**20) + bytes(250 * 2**20))
    write(struct.pack("<Q", 2**63))
    return Z * 0.0
