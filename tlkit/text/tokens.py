"""Texts as token ids: WordPiece, by the tokenizer that the encoder was pretrained with.

A batch of texts is ``x``: ``(n, length)`` ``int32``, the ids of each text's tokens and then 0 for padding.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tlkit.domains import Array, Split
from tlkit.files.paths import check_path
from tlkit.text.fetching import text_file
from tlkit.words import must_install

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["MAX_LENGTH", "VOCABULARY", "text_split", "tokenize", "tokens_of"]

# At most 1.4 % of the sentences of a text domain have more tokens than this; the encoder knows 512 positions.
MAX_LENGTH = 64
MOST_POSITIONS = 512
VOCABULARY = 30_522
# What the encoder was pretrained with (BERT, uncased; Devlin et al., 2019, arXiv:1810.04805).
_SPECIAL = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, "[MASK]": 103}


@functools.cache
def _tokenizer(path: Path | None) -> Tokenizer:
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise ImportError(must_install("tokenizers", "text")) from error
    path = text_file("tokenizer.json") if path is None else path
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises a bare Exception for whatever is wrong with the file
        raise ValueError(f"tokenizer must be a readable tokenizer.json, got {str(path)!r}.") from error
    if tokenizer.get_vocab_size() != VOCABULARY or any(
        tokenizer.token_to_id(token) != number for token, number in _SPECIAL.items()
    ):
        raise ValueError(
            f"tokenizer must be the encoder's own ({VOCABULARY:,} word pieces, [PAD] 0, [CLS] 101, [SEP] 102), got "
            f"{path.name!r} with {tokenizer.get_vocab_size():,}."
        )
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def tokenize(texts: Sequence[str], *, max_length: int = MAX_LENGTH, tokenizer: str | Path | None = None) -> Array:
    """The token ids of each text, ``(n, max_length)`` ``int32``: ``[CLS]``, word pieces, ``[SEP]``, 0 for padding.

    Text is lowercased and loses its accents; what the vocabulary lacks becomes ``[UNK]``. A longer text is cut, and
    ends in ``[SEP]`` all the same; an empty one is ``[CLS] [SEP]``.

    Args:
        max_length: Tokens a text, ``[CLS]`` and ``[SEP]`` included, 3..512.
        tokenizer: A ``tokenizer.json``; ``None`` is the fetched one.

    Raises:
        TypeError: ``texts`` is one string, or holds something that is no string.
        ValueError: ``max_length`` is out of range, there is no text, or the tokenizer is not the encoder's.
        tlkit.text.NotFetchedError: The tokenizer was not fetched.
    """
    texts = _listed(texts)
    known = isinstance(max_length, (int, np.integer)) and not isinstance(max_length, bool)
    if not known or not 3 <= max_length <= MOST_POSITIONS:
        raise ValueError(f"max_length must be an integer in 3..{MOST_POSITIONS}, got {max_length!r}.")
    own = _tokenizer(None if tokenizer is None else check_path("tokenizer", tokenizer, "a tokenizer.json"))
    ids: Array = np.zeros((len(texts), max_length), np.int32)
    for row, encoding in zip(ids, own.encode_batch([_encodable(text) for text in texts]), strict=True):
        # Cut here: the tokenizer's own limit is a state, which another thread would change in between.
        found = encoding.ids[:max_length]
        row[: len(found)] = found
        if len(encoding.ids) > max_length:
            row[-1] = _SPECIAL["[SEP]"]
    return ids


def _listed(texts: Sequence[str]) -> list[str]:
    if isinstance(texts, str) or not hasattr(texts, "__iter__"):
        raise TypeError(f"texts must be a list of strings, got one {type(texts).__name__}.")
    listed = list(texts)
    for number, text in enumerate(listed):
        if not isinstance(text, str):
            raise TypeError(f"texts must be strings, got {type(text).__name__} at {number}.")
    if not listed:
        raise ValueError("texts must hold at least one text, got none.")
    return listed


def _encodable(text: str) -> str:
    """Half a surrogate pair, as broken JSON leaves it, is no character: it reads as a question mark."""
    return text.encode("utf-8", errors="replace").decode("utf-8")


def tokens_of(ids: Array, *, tokenizer: str | Path | None = None) -> list[str]:
    """The word pieces behind one text's ids ``(length,)``, padding left out; ``##`` marks the inside of a word.

    Raises:
        ValueError: ``ids`` are not one text's, or not in the vocabulary.
        tlkit.text.NotFetchedError: The tokenizer was not fetched.
    """
    row = np.asarray(ids)
    if row.ndim != 1 or row.dtype.kind not in "iu":
        raise ValueError(f"ids must be one text's integers (length,), got {row.shape} {row.dtype}.")
    outside = row[(row < 0) | (row >= VOCABULARY)]
    if outside.size:
        raise ValueError(f"ids must be in 0..{VOCABULARY - 1}, got {outside[0]}.")
    own = _tokenizer(None if tokenizer is None else check_path("tokenizer", tokenizer, "a tokenizer.json"))
    return [str(own.id_to_token(int(number))) for number in row if number]


def text_split(
    texts: Sequence[str],
    labels: Any,
    *,
    groups: Any = None,
    max_length: int = MAX_LENGTH,
    tokenizer: str | Path | None = None,
) -> Split:
    """Your own texts as a split: ``x`` is :func:`tokenize`'s ids, and ``texts`` keeps the words.

    Args:
        labels: ``(n,)`` integers from 0.
        groups: ``(n,)`` integers: which sentences come from one document, or ``None``.

    Raises:
        TypeError: As from :func:`tokenize` and :class:`tlkit.domains.Split`; also ``ValueError``.
    """
    texts = _listed(texts)
    ids = tokenize(texts, max_length=max_length, tokenizer=tokenizer)
    return Split(ids, np.asarray(labels), None if groups is None else np.asarray(groups), tuple(texts))
