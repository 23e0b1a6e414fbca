"""Transfer for text: a pretrained Transformer encoder, and four real domains of sentiment.

Weights and sentences are fetched once (``tlkit fetch text``), checked by their SHA-256, and kept in the user's data
folder; afterwards no network is needed.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tlkit.text.fetching import NotFetchedError, fetch_text, text_status
from tlkit.text.sentiment import TEXT_DOMAINS, load_text_domain, load_text_pair
from tlkit.text.tokens import MAX_LENGTH, text_split, tokenize, tokens_of

__all__ = [
    "MAX_LENGTH",
    "TEXT_DOMAINS",
    "NotFetchedError",
    "attention_maps",
    "fetch_text",
    "load_text_backbone",
    "load_text_domain",
    "load_text_pair",
    "small_bert",
    "text_split",
    "text_status",
    "tokenize",
    "tokens_of",
]

_IN_ENCODER = ("attention_maps", "load_text_backbone", "small_bert")


def __getattr__(name: str) -> Any:
    # The encoder brings TensorFlow, which fetching and tokenizing do not wait for.
    if name not in _IN_ENCODER:
        raise AttributeError(f"module 'tlkit.text' has no attribute {name!r}")
    return getattr(importlib.import_module("tlkit.text.encoder"), name)


if TYPE_CHECKING:
    from tlkit.text.encoder import attention_maps, load_text_backbone, small_bert
