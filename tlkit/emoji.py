"""Emoji of three vendors with their names in English and Chinese: images and text that belong together.

They are drawn anew by each vendor, so that one concept has three pictures. Licences differ by vendor: they stand in
``tlkit/assets/emoji_licenses.txt``, which must go wherever the pictures go.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from tlkit.assets import asset_path
from tlkit.domains import Array, check_seed, check_share

__all__ = ["Emoji", "emoji_folds", "load_emoji"]


@dataclass(frozen=True, eq=False)
class Emoji:
    """1,580 emoji without skin tones, in the order of their groups.

    Args:
        pictures: ``(3, 1580, 40, 40, 3)`` ``uint8`` in 0..255, on white: vendor, emoji, height, width, color.
        vendors: ``noto`` (Google), ``twemoji`` (Twitter), ``fluent-emoji-flat`` (Microsoft).
        symbols: The emoji themselves, as text.
        english: Names, one an emoji, each of them once.
        chinese: Names in simplified Chinese, likewise.
        group: ``(1580,)``, an index into ``groups``.
        groups: Nine, such as ``Food & Drink``.
        family: ``(1580,)``, what must not be torn apart by a split: emoji that differ by man, woman or person, or by
            facing right, have one number.
    """

    pictures: Array
    vendors: tuple[str, ...]
    symbols: tuple[str, ...]
    english: tuple[str, ...]
    chinese: tuple[str, ...]
    group: Array
    groups: tuple[str, ...]
    family: Array

    def __len__(self) -> int:
        return len(self.symbols)

    def __repr__(self) -> str:
        return f"Emoji({len(self):,} emoji of {', '.join(self.vendors)})"


@functools.cache
def load_emoji() -> Emoji:
    """The bundled emoji; no network is used. Arrays are read-only.

    Raises:
        tlkit.assets.AssetError: The bundled file is missing or altered.
    """
    with np.load(asset_path("emoji.npz"), allow_pickle=False) as file:
        vendor, emoji = np.ogrid[: len(file["vendors"]), : len(file["emoji"])]
        pictures = file["colors"][vendor[..., None, None], emoji[..., None, None], file["pixels"]]
        group, family = file["group"].astype(np.int64), file["family"].astype(np.int64)
        for array in (pictures, group, family):
            array.flags.writeable = False
        vendors, symbols, english, chinese, groups = (
            tuple(file[name].tolist()) for name in ("vendors", "emoji", "english", "chinese", "groups")
        )
        return Emoji(pictures, vendors, symbols, english, chinese, group, groups, family)


def emoji_folds(emoji: Emoji, *, seed: int, held_out: float = 0.2) -> tuple[Array, Array]:
    """Which emoji are learned from and which are kept for the test, by families: no concept is on both sides.

    Args:
        seed: Draws the families.
        held_out: Share of the families that are kept, between 0 and 1.

    Returns:
        Two sorted arrays of places among the emoji.

    Raises:
        ValueError: ``seed`` or ``held_out`` is out of range.
    """
    check_seed(seed)
    check_share("held_out", held_out)
    families = np.unique(emoji.family)
    drawn = np.random.default_rng(seed).permutation(families)[: max(1, round(held_out * len(families)))]
    kept = np.isin(emoji.family, drawn)
    return np.flatnonzero(~kept), np.flatnonzero(kept)
