"""TensorFlow and Keras, imported once and quietly.

TensorFlow 2.21 writes start-up lines straight to file descriptor 2, and no environment variable turns them all off.
They would frighten a learner and break the comparison of notebook outputs, so descriptor 2 is redirected around the
import. Lines that are not known start-up noise are written back, and all of them when the import fails. Ctrl-C is no
failure.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from typing import IO

__all__ = ["check_process", "keras", "not_collected", "onednn_is_on", "start_up_lines_dropped", "tf"]

_START_UP_LINE = re.compile(
    r"^(WARNING: All log messages before absl::InitializeLog"
    r"|[IWE]\d{4,} [\d:. ]+\d+ \S+:\d+\]"  # absl: I0000 00:00:1795.98 3086 cpu_feature_guard.cc:227]
    r"|\d{4}-\d\d-\d\d [\d:.]+: [IWE] "  # tsl: 2026-11-24 14:00:00.1: I tensorflow/core/...
    r"|To enable the following instructions)"
)


@contextlib.contextmanager
def start_up_lines_dropped() -> Iterator[None]:
    """Within it nothing that TensorFlow and CUDA write to descriptor 2 on starting gets through; other lines do."""
    try:
        sys.stderr.flush()
        saved = os.dup(2)
    except (OSError, AttributeError):  # no stderr at all, as under pythonw on Windows
        yield
        return
    captured: IO[bytes]
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        failed = False
        try:
            yield
        except Exception:  # not Ctrl-C: these lines explain no interrupt
            failed = True
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            captured.seek(0)
            lines = captured.read().decode(errors="replace").splitlines(keepends=True)
            kept = lines if failed else [line for line in lines if not _START_UP_LINE.match(line)]
            os.write(2, "".join(kept).encode())


@contextlib.contextmanager
def not_collected() -> Iterator[None]:
    """Within it no garbage is looked for: an import makes a million objects, and nearly all of them stay."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


with start_up_lines_dropped(), not_collected():
    import keras
    import tensorflow as tf

    # The first look at the devices is what makes the CUDA lines appear; it initialises nothing else.
    tf.config.list_physical_devices()

# At its end Python would look for garbage among all that TensorFlow has loaded, for a second.
atexit.register(gc.freeze)


def onednn_is_on() -> bool:
    """Whether TensorFlow computes by oneDNN, with which a batch of any size gives an image the same numbers."""
    # No public function says so; tlkit/__init__.py asks for it, which is too late where TensorFlow was imported before.
    from tensorflow.python.util import _pywrap_util_port

    return bool(_pywrap_util_port.IsMklEnabled())


_forked_while_running = False


def _note_fork() -> None:
    global _forked_while_running
    # No public function says whether TensorFlow has started its threads; before that a fork does no harm.
    from tensorflow.python.eager import context

    _forked_while_running = _forked_while_running or bool(context.context()._initialized)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


def check_process() -> None:
    """Raise ``RuntimeError`` in a process that was forked from one in which TensorFlow was running.

    A fork takes one thread with it, and TensorFlow's own threads are gone: whatever needs them waits for ever.
    """
    if _forked_while_running:
        raise RuntimeError(
            "TensorFlow must run in the process that started it, got a fork of it, in which it would wait for ever: "
            "start processes by multiprocessing.get_context('spawn')."
        )


def _not_about_retracing(record: logging.LogRecord) -> bool:
    # TensorFlow assumes that many graphs are a mistake. Here a graph a model is what cutting and joining means.
    return "triggered tf.function retracing" not in record.getMessage()


tf.get_logger().addFilter(_not_about_retracing)

if keras.backend.backend() != "tensorflow":
    raise ImportError(
        f"tlkit needs Keras on its 'tensorflow' backend, got {keras.backend.backend()!r}: unset KERAS_BACKEND."
    )
