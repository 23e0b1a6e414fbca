"""A domain from a folder: list it, split it, decode it into memory or into the store."""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from tlkit._bar import progress_bar
from tlkit.domains import Array, Domain, Split, check_seed, check_share
from tlkit.files.store import MAX_BYTES, Store, open_store
from tlkit.folders.groups import Groups, name_groups, split_groups
from tlkit.folders.listing import NO_TEXT, OUTSIDE, Listing, list_folder
from tlkit.folders.pictures import READING, UNREAD_SUFFIXES, PictureError, check_pixels, read_picture
from tlkit.words import printable, some_of

__all__ = ["in_one_array", "load_folder", "passing", "picture_shape", "split_files", "stamps", "warn_left_out"]

_NAMED = 10  # files that a warning names


def load_folder(
    path: str | Path,
    *,
    image_size: int | tuple[int, int],
    test_fraction: float = 0.2,
    seed: int = 0,
    channels: int = 3,
    skip_unreadable: bool = False,
    groups: Groups | None = None,
    progress: bool = False,
    cache_dir: str | Path | None = None,
    max_bytes: int = MAX_BYTES,
) -> Domain:
    r"""A domain from the learner's own images: one folder per class, whose name is the class.

    Images (PNG, JPEG, BMP, GIF, WebP) are turned upright by their EXIF mark, cropped around the centre to the aspect
    ratio of ``image_size`` and scaled; see :func:`tlkit.folders.read_picture`. Links that lead out of the folder and
    pictures of other formats, such as TIFF, are left out, with a warning. :func:`tlkit.folders.inspect_folder` says
    what else is in the folder.

    The split is stratified: each class gives ``test_fraction`` of its images, at least one, to the test part. Where
    several images show the same thing (a patient, a leaf, a scene of a film), a split image by image has seen the
    test images already, nearly. Then say with ``groups`` which belong together; a group lies in one part alone, the
    classes' shares come as close to ``test_fraction`` as groups allow, and ``Split.groups`` is filled::

        load_folder("leaves", image_size=64, groups=r"^(\w+?)_")           # oak7_02.jpg is in group oak7
        load_folder("leaves", image_size=64, groups="leaves/groups.csv")   # file,group / oak/oak7_02.jpg,tree 7
        load_folder("leaves", image_size=64, groups=lambda file: file.stem.split("_")[0])

    Ctrl-C leaves nothing half-written; a second call starts again, and finds a part that was finished.

    Args:
        image_size: Side, or ``(height, width)``, in pixels.
        channels: 3 (RGB) or 1 (grey).
        skip_unreadable: Leave out images that cannot be read and name them in a warning, instead of raising.
        groups: A regular expression that is searched in the file's name (its first group in parentheses, or the whole
            match, names the group), a CSV file (a ``Path``, or text that ends in ``.csv``) with the columns ``file``
            (``class/name`` or ``name``) and ``group``, or a function from a file's path to the name of its group.
        progress: Show a bar.
        cache_dir: Where decoded images are kept when they take more than ``max_bytes``; ``None`` is the user's cache
            directory.
        max_bytes: Past this, decoded images stay on disk and are read back batch by batch.

    Raises:
        TypeError: ``groups`` is none of these.
        ValueError: No such folder, fewer than two classes, a class with fewer than two images (or groups) or a name
            that is no text, an unreadable image, a file without a group, or an argument out of range.
        OSError: The disk cannot hold the decoded images.
    """
    shape = picture_shape(image_size, channels)
    check_share("test_fraction", test_fraction)
    check_seed(seed)
    listing = list_folder(path)
    for name in (name for name, reason in listing.ignored.items() if reason == NO_TEXT):
        raise ValueError(f"a class folder must have a name that is text in UTF-8, got {printable(name)!r}: rename it.")
    if len(listing.classes) < 2:
        names = ", ".join(map(repr, listing.classes)) or "none"
        raise ValueError(f"{listing.root} must hold two or more class folders, got {names}.")
    _check_counts(listing, {})
    warn_left_out(listing)

    files = listing.files()
    group_of = None if groups is None else dict(zip(files, name_groups(groups, files, listing), strict=True))

    store = open_store(cache_dir)
    decoded: dict[Path, Array] = {}
    skipped: dict[Path, str] = {}
    if skip_unreadable:
        decoded, skipped = _try_all(files, shape, store, max_bytes, progress)
        _check_counts(listing, skipped)
        _warn([f"{listing.name(file)} ({reason})" for file, reason in skipped.items()], "unreadable images")

    def read(file: Path) -> Array:
        if file in decoded:
            return decoded[file]
        try:
            return read_picture(file, shape[:2], channels)
        except PictureError as error:
            raise ValueError(
                f"every image must be readable, got {str(file)!r} ({error.reason}); skip_unreadable=True leaves such "
                "files out, inspect_folder names them all."
            ) from error

    of_class = {name: [file for file in files if file not in skipped] for name, files in listing.classes.items()}
    splits = {}
    for part, (chosen, labels, numbers) in split_files(of_class, group_of, test_fraction, seed).items():
        rows = map(read, passing(chosen, f"reading {part} images", progress))
        splits[part] = Split(in_one_array(chosen, rows, shape, store, max_bytes), labels, numbers)
    return Domain(printable(listing.root.resolve().name), splits["train"], splits["test"], tuple(listing.classes))


def picture_shape(image_size: int | tuple[int, int], channels: int) -> tuple[int, int, int]:
    """``(height, width, channels)`` of what is asked for.

    Raises:
        ValueError: A side is below 1 pixel, there are more pixels than a picture may have, or ``channels`` is neither 1
            nor 3.
    """
    size = image_size if isinstance(image_size, tuple) else (image_size, image_size)
    if len(size) != 2 or not all(isinstance(side, int) and side >= 1 for side in size):
        raise ValueError(f"image_size must be a side or (height, width) of 1 pixel or more, got {image_size}.")
    if channels not in (1, 3):
        raise ValueError(f"channels must be 1 (grey) or 3 (RGB), got {channels}.")
    check_pixels(size)
    return (*size, channels)


def _check_counts(listing: Listing, skipped: dict[Path, str]) -> None:
    for name, files in listing.classes.items():
        n = sum(file not in skipped for file in files)
        if n >= 2:
            continue
        others = [reason for entry, reason in listing.ignored.items() if entry.startswith(f"{name}/")]
        there = f" (besides {len(others)} of another kind: {', '.join(sorted(set(others)))})" if others else ""
        raise ValueError(
            f"each class needs two readable images or more (one to train, one to test), got {n} in {name!r}{there}."
        )


def warn_left_out(listing: Listing) -> None:
    """Name what looks as if it were meant: links out of the folder, and pictures of formats that are not read."""
    reasons = {
        "links out of the folder": (OUTSIDE,),
        "pictures that are not PNG, JPEG, BMP, GIF or WebP": tuple(f"({suffix})" for suffix in UNREAD_SUFFIXES),
    }
    for what, ends in reasons.items():
        _warn([name for name, reason in listing.ignored.items() if reason.endswith(ends)], what, stacklevel=4)


def _warn(names: Sequence[str], what: str, stacklevel: int = 3) -> None:
    if names:
        warnings.warn(f"{len(names)} {what} left out: {printable(some_of(names, _NAMED))}", stacklevel=stacklevel)


def split_files(
    of_class: dict[str, list[Path]], group_of: dict[Path, str] | None, test_fraction: float, seed: int
) -> dict[str, tuple[list[Path], Array, Array | None]]:
    """A stratified split: for both parts the files in their order, the labels, and the numbers of the groups."""
    rng = np.random.default_rng(seed)
    files = [file for members in of_class.values() for file in members]
    labels = np.repeat(np.arange(len(of_class)), [len(members) for members in of_class.values()])
    numbers = None
    if group_of is not None:
        numbers = np.unique([group_of[file] for file in files], return_inverse=True)[1]
        in_test = split_groups(labels, numbers, list(of_class), test_fraction, rng)
    index: dict[str, list[int]] = {"train": [], "test": []}
    for label in range(len(of_class)):
        members = np.flatnonzero(labels == label)
        members = members[rng.permutation(len(members))]
        if numbers is None:
            n_test = min(max(1, round(test_fraction * len(members))), len(members) - 1)
            for_test = np.arange(len(members)) < n_test
        else:
            for_test = in_test[numbers[members]]
        index["test"] += members[for_test].tolist()
        index["train"] += members[~for_test].tolist()
    return {
        part: ([files[i] for i in chosen], labels[chosen], None if numbers is None else numbers[chosen])
        for part, chosen in index.items()
    }


def _try_all(
    files: Sequence[Path], shape: tuple[int, int, int], store: Store, max_bytes: int, progress: bool
) -> tuple[dict[Path, Array], dict[Path, str]]:
    """The images decoded, if all of them fit into ``max_bytes``, and why others cannot be read.

    What does not fit is decoded again when it is read. The store remembers which were readable.
    """
    fits = len(files) * math.prod(shape) <= max_bytes
    key = _key("readable", files, shape)
    known = None if fits else store.read(key, in_memory_up_to=max_bytes)
    doubtful = files if known is None else [file for file, readable in zip(files, known, strict=True) if not readable]
    decoded: dict[Path, Array] = {}
    skipped: dict[Path, str] = {}
    for file in passing(doubtful, "checking images", progress):
        try:
            row = read_picture(file, shape[:2], shape[2])
        except PictureError as error:
            skipped[file] = error.reason
        else:
            if fits:
                decoded[file] = row
    if not fits and known is None:
        readable = np.array([file not in skipped for file in files], np.uint8)
        store.stream("the list of readable images", key, readable.shape, readable.dtype, [readable])
    return decoded, skipped


def in_one_array(
    files: Sequence[Path], rows: Iterable[Array], shape: tuple[int, ...], store: Store, max_bytes: int
) -> Array:
    """The rows as one array, in memory up to ``max_bytes``, past that in a file that is read as needed."""
    if len(files) * math.prod(shape) <= max_bytes:
        array = np.empty((len(files), *shape), np.uint8)
        for i, row in enumerate(rows):
            array[i] = row
        return array
    key = _key("decoded", files, shape)
    stored = store.read(key, in_memory_up_to=0)
    if stored is not None:
        return stored
    return store.stream("decoded images", key, (len(files), *shape), np.dtype(np.uint8), rows)


def _key(what: str, files: Sequence[Path], shape: tuple[int, ...]) -> str:
    """A name for the store that changes with the files, by their size and time, and with how they are read."""
    return hashlib.sha256(repr((what, READING, stamps(files), shape)).encode()).hexdigest()


def stamps(files: Iterable[Path]) -> list[tuple[str, int, int]]:
    """What changes when a file does: where each is, its size and its time."""
    return [(str(file.resolve()), (status := file.stat()).st_size, status.st_mtime_ns) for file in files]


def passing(files: Sequence[Path], what: str, progress: bool) -> Iterator[Path]:
    """The files one by one; a bar appears, when asked for, with the first."""
    if not progress:
        yield from files
        return
    with progress_bar(len(files), what, "image") as bar:
        for file in files:
            yield file
            bar.update()
