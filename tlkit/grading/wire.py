"""Messages between the grader and a student's process: JSON and arrays, in frames of a bounded size; never pickle.

What is read may come from a hostile process: a frame that is too long, no JSON, or an array that does not fit its bytes
ends the conversation, and nothing else.
"""

from __future__ import annotations

import json
import os
import queue
import select
import struct
import threading
import time
from typing import Any

import numpy as np

__all__ = ["LARGEST", "Gone", "Wire", "pack", "unpack"]

LARGEST = 512 * 2**20  # bytes of a frame
_LARGEST_TEXT = 32 * 2**20  # bytes of its JSON: as Python objects they take twenty times as much
_LENGTH = struct.Struct("<Q")
_READS_WITHIN = 60.0  # seconds
_KINDS = "biufcUSM"  # of NumPy's dtypes: booleans, numbers, text and dates, and no Python objects
_TAG = "~"


class Gone(Exception):
    """The other process has ended, or says what nobody can read."""


def pack(tree: Any) -> bytes:
    """A message of dicts, lists, strings, numbers, ``None``, arrays and bytes.

    Raises:
        TypeError: It holds something else.
        ValueError: It is larger than :data:`LARGEST`.
    """
    buffers: list[bytes] = []
    at = 0

    def beside(value: Any) -> dict[str, Any]:
        nonlocal at
        if isinstance(value, bytes):
            data, head = value, dict[str, Any]({_TAG: "bytes"})
        elif isinstance(value, np.ndarray) and value.dtype.kind in _KINDS:
            data, head = value.tobytes(), {_TAG: "array", "dtype": value.dtype.str, "shape": list(value.shape)}
        else:
            raise TypeError(f"a message must hold plain values and arrays, got {type(value).__name__}.")
        buffers.append(data)
        at += len(data)
        return {**head, "at": at - len(data), "size": len(data)}

    text = json.dumps(tree, default=beside).encode()
    for size, most in ((len(text), _LARGEST_TEXT), (len(text) + at, LARGEST)):
        if size > most:
            raise ValueError(f"a message may have {most >> 20} MB, got {size / 2**20:,.0f}.")
    return b"".join([_LENGTH.pack(len(text)), text, *buffers])


def unpack(data: bytes) -> Any:
    """What :func:`pack` was given; arrays come as copies that may be written to.

    Raises:
        Gone: The bytes are no message.
    """
    try:
        (length,) = _LENGTH.unpack_from(data)
        if length > _LARGEST_TEXT:
            raise ValueError
        text = data[_LENGTH.size : _LENGTH.size + length]
        beside = memoryview(data)[_LENGTH.size + length :]
        left = len(beside)

        def taken(head: dict[str, Any]) -> Any:
            nonlocal left
            kind = head.get(_TAG)
            if kind not in ("bytes", "array"):
                return head
            at, size = int(head["at"]), int(head["size"])
            left -= size  # a thousand arrays of the same bytes would be a thousand copies
            if not (0 <= at <= at + size <= len(beside) and left >= 0):
                raise ValueError
            part = beside[at : at + size]
            if kind == "bytes":
                return bytes(part)
            dtype = np.dtype(str(head["dtype"]))
            if dtype.kind not in _KINDS:
                raise ValueError
            return np.frombuffer(part, dtype).reshape([int(n) for n in head["shape"]]).copy()

        return json.loads(text, object_hook=taken)
    except (ValueError, TypeError, KeyError, RecursionError, struct.error, OverflowError) as error:
        raise Gone(f"a message that cannot be read ({type(error).__name__})") from None


class Wire:
    """Frames out through one file descriptor and in through another."""

    def __init__(self, into: int, out_of: int) -> None:
        self._into, self._out_of = into, out_of
        self._frames: queue.Queue[bytes | None] | None = None
        self._part = bytearray()  # of the frame that is coming in

    def listen(self) -> None:
        """Let :meth:`receive` wait for a limited time: for the side that does not trust the other."""
        if os.name == "posix":
            os.set_blocking(self._into, False)  # nor wait for ever for somebody who does not read
        else:  # pipes cannot be waited for: a thread reads them
            frames: queue.Queue[bytes | None] = queue.Queue(2)  # read ahead
            self._frames = frames
            threading.Thread(target=_read_on, args=(self._out_of, frames), daemon=True).start()

    def send(self, tree: Any) -> None:
        """Send a message.

        Raises:
            Gone: Nobody reads any more.
        """
        data = pack(tree)
        view = memoryview(_LENGTH.pack(len(data)) + data)
        while view:
            try:
                view = view[os.write(self._into, view) :]
            except BlockingIOError:
                if not select.select([], [self._into], [], _READS_WITHIN)[1]:
                    raise Gone("the process does not read") from None
            except OSError:
                raise Gone("the process has ended") from None

    def receive(self, deadline: float | None = None) -> Any:
        """The next message.

        Args:
            deadline: By :func:`time.monotonic`; only a wire that listens has one.

        Raises:
            Gone: There will be none.
            TimeoutError: There was none by then.
        """
        if self._frames is None:
            return unpack(self._frame(deadline))
        try:
            data = self._frames.get(timeout=None if deadline is None else max(deadline - time.monotonic(), 0))
        except queue.Empty:
            raise TimeoutError("no message came in time.") from None
        if data is None:
            self._frames.put(None)
            raise Gone("the process has ended")
        return unpack(data)

    def _frame(self, deadline: float | None = None) -> bytes:
        """The next frame; what has come of it before an exception is kept."""
        self._fill(_LENGTH.size, deadline)
        (length,) = _LENGTH.unpack_from(self._part)
        if length > LARGEST + _LENGTH.size:
            raise Gone("a message that is too long")
        self._fill(_LENGTH.size + length, deadline)
        frame = bytes(memoryview(self._part)[_LENGTH.size :])
        self._part.clear()
        return frame

    def _fill(self, size: int, deadline: float | None) -> None:
        while len(self._part) < size:
            if deadline is not None:
                ready, _, _ = select.select([self._out_of], [], [], max(deadline - time.monotonic(), 0))
                if not ready:
                    raise TimeoutError("no message came in time.")
            try:
                data = os.read(self._out_of, min(size - len(self._part), 2**20))
            except OSError:
                data = b""
            if not data:
                raise Gone("the process has ended")
            self._part += data


def _read_on(descriptor: int, frames: queue.Queue[bytes | None]) -> None:
    wire = Wire(descriptor, descriptor)
    try:
        while True:
            frames.put(wire._frame())
    except Gone:
        frames.put(None)
