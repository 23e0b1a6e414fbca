"""Files that are computed once or fetched once: the feature store, what `tlkit fetch` brings, and their hashes.

Nothing is believed by its name: a file is what its SHA-256 says.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tlkit.files.fetching import (
    Collection,
    NotFetchedError,
    Package,
    Pinned,
    data_folder,
    fetch,
    fetched_file,
    github_archive,
    status,
)
from tlkit.files.hashes import sha256
from tlkit.files.trees import PinnedFolder

__all__ = [
    "Collection",
    "NotFetchedError",
    "Package",
    "Pinned",
    "PinnedFolder",
    "Store",
    "StoreEntry",
    "array_digest",
    "data_folder",
    "fetch",
    "fetched_file",
    "github_archive",
    "open_store",
    "sha256",
    "status",
    "user_store",
]

_IN_STORE = ("Store", "StoreEntry", "array_digest", "open_store", "user_store")


def __getattr__(name: str) -> Any:
    # The store brings NumPy, which a look at the bundled files does not wait for.
    if name not in _IN_STORE:
        raise AttributeError(f"module 'tlkit.files' has no attribute {name!r}")
    return getattr(importlib.import_module("tlkit.files.store"), name)


if TYPE_CHECKING:
    from tlkit.files.store import Store, StoreEntry, array_digest, open_store, user_store
