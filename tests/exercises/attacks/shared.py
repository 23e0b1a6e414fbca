"""What several attacks are made of: a part begins with ``# uses: NAME, ...`` and finds these lines in its place."""

# %% peer
import gc

try:
    PEER = next((one for one in gc.get_objects() if type(one).__name__ == "Peer"), None)
except ReferenceError:
    PEER = None

# %% frames
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


# %% answering
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


# %% accepts
class Accepts:
    def __getattr__(self, name):
        return lambda *arguments, **options: None

    __path__ = []
    __spec__ = None


# %% files
import ctypes
import json
import os
import pathlib

libc = ctypes.CDLL(None)  # compiled code, which no audit hook sees


def course():
    """Where grades and tests are: the process that started this one was told, or it is three folders up."""
    words = pathlib.Path(f"/proc/{os.getppid()}/cmdline").read_text().split("\0")
    if "tlkit.grading.worker" in words:
        return pathlib.Path(words[words.index("tlkit.grading.worker") + 2])
    return [pathlib.Path.cwd(), *pathlib.Path.cwd().parents][:4][-1]


def read(path):
    descriptor = libc.open(str(path).encode(), 0)
    if descriptor < 0:
        return ""
    with os.fdopen(descriptor, "rb") as file:
        return file.read().decode(errors="replace")
