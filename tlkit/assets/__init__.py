"""The bundled data and weights, checked against the SHA-256 in ``manifest.json`` before they are used.

How each file was made, from what and under which licence stands in ``PROVENANCE.md`` beside this file.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path

from tlkit.files import sha256

__all__ = ["AssetError", "asset_names", "asset_path", "asset_status"]

_FOLDER = Path(__file__).parent


class AssetError(RuntimeError):
    """A bundled file is missing or is not the file that was shipped."""


def _manifest(folder: Path) -> dict[str, dict[str, str | int]]:
    path = folder / "manifest.json"
    if not path.is_file():
        raise AssetError("bundled file manifest.json is missing: reinstall tlkit.")
    manifest: dict[str, dict[str, str | int]] = json.loads(path.read_text(encoding="utf-8"))
    return manifest


def asset_names() -> tuple[str, ...]:
    """The file names of all bundled assets."""
    return tuple(_manifest(_FOLDER))


def asset_status(folder: Path = _FOLDER) -> dict[str, str]:
    """For each bundled file ``"whole"``, ``"missing"`` or ``"altered"``."""
    status = {}
    for name, entry in _manifest(folder).items():
        path = folder / name
        if not path.is_file():
            status[name] = "missing"
        else:
            status[name] = "whole" if sha256(path) == entry["sha256"] else "altered"
    return status


@functools.cache
def asset_path(name: str, folder: Path = _FOLDER) -> Path:
    """The path of a bundled file, once its SHA-256 has been found right (one check a process).

    Raises:
        AssetError: The file is missing, or its content is not what the manifest says.
    """
    manifest = _manifest(folder)
    if name not in manifest:
        raise AssetError(f"bundled file must be one of {', '.join(manifest)}, got {name!r}.")
    path, expected = folder / name, manifest[name]["sha256"]
    if not path.is_file():
        raise AssetError(f"bundled file {name} is missing: reinstall tlkit.")
    found = sha256(path)
    if found != expected:
        raise AssetError(
            f"bundled file {name} must have SHA-256 {str(expected)[:12]}…, got {found[:12]}…: reinstall tlkit."
        )
    return path
