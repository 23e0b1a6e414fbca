"""The hash of a file."""

from __future__ import annotations

import hashlib
from pathlib import Path

__all__ = ["sha256"]


def sha256(path: Path, *, after: bytes = b"") -> str:
    """SHA-256 of a file's content, 64 hexadecimal digits; of ``after`` and the content, where that is given."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.sha256(after)).hexdigest()
