"""The learner's own pictures: what is read, how it is split, and what is kept on disk."""

import errno
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers import raises_one_line, run_python
from PIL import Image
from sklearn.model_selection import StratifiedGroupKFold

from tlkit.domains import Domain
from tlkit.folders import inspect_folder, load_folder, open_pictures, read_picture
from tlkit.folders.groups import split_groups
from tlkit.words import printable

# The learner's own folder


def write(path: Path, array: np.ndarray, **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three classes of 10, 5 and 2 images; every pixel of an image holds its number."""
    root = tmp_path / "pets"
    for number in range(17):
        name = "cat" if number < 10 else "dog" if number < 15 else "emu"
        write(root / name / f"{number:02}.png", np.full((12, 12, 3), 10 * number, np.uint8))
    return root


def test_folder_classes_sizes_and_labels(folder: Path) -> None:
    domain = load_folder(folder, image_size=8, test_fraction=0.3)
    assert domain.name == "pets"
    assert domain.classes == ("cat", "dog", "emu")
    assert domain.train.x.shape == (7 + 3 + 1, 8, 8, 3)
    assert domain.test.x.shape == (3 + 2 + 1, 8, 8, 3)
    seen = []
    for split in (domain.train, domain.test):
        for image, label in zip(split.x, split.y, strict=True):
            number = int(image[0, 0, 0]) // 10
            assert (image == 10 * number).all()
            assert domain.classes[label] == ("cat" if number < 10 else "dog" if number < 15 else "emu")
            seen.append(number)
    assert sorted(seen) == list(range(17))  # each image once, in train or in test


def test_folder_split_depends_on_the_seed_alone(folder: Path, tmp_path: Path) -> None:
    def images(path: Path, seed: int) -> bytes:
        return load_folder(path, image_size=4, seed=seed).train.x.tobytes()

    assert images(folder, 1) == images(folder, 1)
    assert images(folder, 1) != images(folder, 2)
    moved = tmp_path / "elsewhere"
    for file in sorted(folder.rglob("*.png"), reverse=True):  # written in another order
        target = moved / file.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    assert images(moved, 1) == images(folder, 1)


def test_folder_accepts_text_and_rectangles(folder: Path) -> None:
    assert load_folder(str(folder), image_size=(6, 4)).train.x.shape[1:] == (6, 4, 3)


@pytest.mark.parametrize("suffix", [".png", ".PNG", ".jpg", ".jpeg", ".bmp", ".webp", ".gif"])
def test_folder_reads_each_kind(tmp_path: Path, suffix: str) -> None:
    for name in ("a", "b"):
        for i in range(2):
            write(tmp_path / name / f"{i}{suffix}", np.full((8, 8, 3), 40 if name == "a" else 200, np.uint8))
    (tmp_path / "a" / "notes.txt").write_text("not an image")
    (tmp_path / ".cache").mkdir()
    domain = load_folder(tmp_path, image_size=8)
    assert domain.classes == ("a", "b")
    # JPEG and WebP lose a little.
    np.testing.assert_allclose(domain.train.x.mean(axis=(1, 2, 3)), [40, 200], atol=2)


def two_classes(root: Path, array: np.ndarray, name: str = "0.png", **options: object) -> Path:
    """A folder in which every image is ``array``."""
    for label in ("a", "b"):
        for i in range(2):
            write(root / label / f"{i}_{name}", array, **options)
    return root


HALVES = np.repeat(np.array([[0, 255]], np.uint8), 4, axis=1) * np.ones((8, 1), np.uint8)  # (8, 8): left dark


@pytest.mark.parametrize("orientation", range(1, 9))
def test_folder_turns_images_upright(tmp_path: Path, orientation: int) -> None:
    # The picture as it should be seen, turned as each EXIF orientation says that the camera was held.
    upright = np.arange(64, dtype=np.uint8).reshape(8, 8) * 3
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright),
        7: upright[::-1, ::-1].T,
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    root = two_classes(tmp_path, np.ascontiguousarray(stored), exif=exif)
    domain = load_folder(root, image_size=8, channels=1)
    np.testing.assert_array_equal(domain.train.x[0, :, :, 0], upright)


def stored_as(upright: np.ndarray, orientation: int) -> np.ndarray:
    """The rows and columns as a camera stores them that was held so; from the EXIF standard's table of corners."""
    rows, columns = {
        1: ("top", "left"), 2: ("top", "right"), 3: ("bottom", "right"), 4: ("bottom", "left"),
        5: ("left", "top"), 6: ("right", "top"), 7: ("right", "bottom"), 8: ("left", "bottom"),
    }[orientation]  # fmt: skip
    # The first row stored is seen at ``rows``, the first column at ``columns``.
    picture = upright.swapaxes(0, 1) if rows in ("left", "right") else upright
    picture = picture[::-1] if rows in ("bottom", "right") else picture
    return np.ascontiguousarray(picture[:, ::-1] if columns in ("bottom", "right") else picture)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_rectangle_is_turned_upright_in_each_format(tmp_path: Path, orientation: int, suffix: str) -> None:
    upright = np.zeros((16, 32, 3), np.uint8)
    upright[:8, :8], upright[8:, 24:] = (255, 0, 0), (0, 0, 255)  # red at the top left, blue at the bottom right
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"png": {}, "jpg": {"quality": 100, "subsampling": 0}, "webp": {"lossless": True}}[suffix]
    path = tmp_path / f"x.{suffix}"
    Image.fromarray(stored_as(upright, orientation)).save(path, exif=exif, **options)
    np.testing.assert_allclose(read_picture(path, (16, 32), 3).astype(int), upright, atol=3)


def test_a_mark_is_obeyed_in_exif_data_that_cannot_be_written_again(tmp_path: Path) -> None:
    upright = np.arange(32, dtype=np.uint8).reshape(4, 8) * 7
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x9286] = "a comment"
    path = tmp_path / "x.png"
    Image.fromarray(stored_as(upright, 6)).save(path, exif=exif)
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(Image.Exif, "tobytes")
        np.testing.assert_array_equal(read_picture(path, (4, 8), 1)[..., 0], upright)


@pytest.mark.parametrize(
    ("ink", "rgb"),
    [((0, 0, 0, 0), 255), ((255, 0, 0, 0), (0, 255, 255)), ((0, 255, 255, 0), (255, 0, 0)), ((0, 0, 0, 255), 0)],
)
def test_a_cmyk_jpeg_shows_its_inks_and_not_their_inverse(tmp_path: Path, ink: tuple[int, ...], rgb: object) -> None:
    path = tmp_path / "x.jpg"
    Image.new("CMYK", (8, 8), ink).save(path, quality=100)
    assert b"Adobe" in path.read_bytes()  # which means that the file holds 255 - ink
    np.testing.assert_allclose(read_picture(path, (8, 8), 3), np.full((8, 8, 3), rgb), atol=3)


@pytest.mark.parametrize(
    ("mode", "colour", "rgb"),
    [
        ("1", 1, (255, 255, 255)),
        ("LA", (90, 255), (90, 90, 90)),
        ("LA", (90, 0), (255, 255, 255)),
        ("RGBA", (10, 20, 30, 255), (10, 20, 30)),
        ("RGBA", (10, 20, 30, 51), (206, 208, 210)),  # a fifth of it on white
        ("I;16", 0x80FF, (0x80, 0x80, 0x80)),
    ],
)
def test_a_png_of_each_mode_gives_its_colour_on_white(tmp_path: Path, mode: str, colour: object, rgb: object) -> None:
    path = tmp_path / "x.png"
    Image.new(mode, (8, 8), colour).save(path)
    np.testing.assert_allclose(read_picture(path, (8, 8), 3), np.full((8, 8, 3), rgb), atol=1)


def test_a_large_photo_is_nearly_what_full_decoding_gives(tmp_path: Path) -> None:
    # It is decoded at a fraction of its size; the draft differs from the whole by some grey levels.
    small = np.random.default_rng(0).integers(0, 256, (12, 16, 3)).astype(np.uint8)
    path = tmp_path / "x.jpg"
    Image.fromarray(small).resize((1600, 1200), Image.Resampling.BICUBIC).save(path, quality=95)
    with Image.open(path) as image:
        whole = np.asarray(image.resize((16, 12), Image.Resampling.BILINEAR))
    assert np.abs(read_picture(path, (12, 16), 3).astype(int) - whole).mean() < np.abs(whole - whole.mean()).mean() / 20


def test_folder_grey_becomes_rgb_and_rgb_grey(tmp_path: Path) -> None:
    grey = load_folder(two_classes(tmp_path / "grey", HALVES), image_size=8)
    for channel in range(3):
        np.testing.assert_array_equal(grey.train.x[0, :, :, channel], HALVES)
    colour = np.zeros((8, 8, 3), np.uint8)
    colour[:] = (200, 100, 50)
    seen = load_folder(two_classes(tmp_path / "rgb", colour), image_size=8, channels=1).train.x
    assert seen.shape[-1] == 1
    np.testing.assert_allclose(seen, 0.299 * 200 + 0.587 * 100 + 0.114 * 50, atol=1)  # ITU-R 601 luma


def test_folder_scales_16_bits_to_8(tmp_path: Path) -> None:
    deep = np.linspace(0, 65535, 64).reshape(8, 8).astype(np.uint16)
    seen = load_folder(two_classes(tmp_path, deep), image_size=8, channels=1).train.x[0, :, :, 0]
    np.testing.assert_allclose(seen, deep / 257, atol=1)
    assert (seen.min(), seen.max()) == (0, 255)


def test_folder_ignores_an_opaque_alpha(tmp_path: Path) -> None:
    colour = np.random.default_rng(0).integers(0, 256, (8, 8, 4)).astype(np.uint8)
    colour[..., 3] = 255
    seen = load_folder(two_classes(tmp_path, colour), image_size=8).train.x[0]
    np.testing.assert_array_equal(seen, colour[..., :3])


def test_folder_shows_ink_on_a_transparent_ground(tmp_path: Path) -> None:
    # Black ink on transparency is how drawing tools save: without the ground all would be black.
    drawing = np.zeros((8, 8, 4), np.uint8)
    drawing[2:6, 2:6, 3] = 255
    seen = load_folder(two_classes(tmp_path, drawing), image_size=8).train.x[0]
    assert (seen[2:6, 2:6] == 0).all()
    assert seen[0, 0, 0] != 0


def test_folder_reads_a_palette_with_transparency(tmp_path: Path) -> None:
    # PIL warns when it converts such a file; the learner should not see it.
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        for i in range(2):
            image = Image.fromarray(HALVES).convert("RGB").quantize(4)
            image.save(tmp_path / label / f"{i}.png", transparency=b"\x00\x80\xff\xff")
    assert load_folder(tmp_path, image_size=8).train.x.shape == (2, 8, 8, 3)


def test_folder_crops_and_does_not_stretch(tmp_path: Path) -> None:
    wide = np.zeros((10, 30), np.uint8)
    wide[:, 10:20] = 255  # the middle third, a square
    seen = load_folder(two_classes(tmp_path, wide), image_size=10, channels=1).train.x[0]
    assert (seen == 255).all()


def test_folder_names_an_unreadable_image(folder: Path) -> None:
    broken = folder / "dog" / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\nnot really")
    with raises_one_line(ValueError, str(broken), "every image must be readable", "skip_unreadable=True"):
        load_folder(folder, image_size=8)


def test_folder_names_a_truncated_image(folder: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    write(folder / "dog" / "cut.jpg", noise)
    content = (folder / "dog" / "cut.jpg").read_bytes()
    (folder / "dog" / "cut.jpg").write_bytes(content[: len(content) // 2])
    with raises_one_line(ValueError, "cut.jpg"):
        load_folder(folder, image_size=8)


def test_folder_skips_when_asked_and_says_so(folder: Path) -> None:
    whole = load_folder(folder, image_size=8)
    (folder / "dog" / "broken.png").write_bytes(b"")
    with pytest.warns(UserWarning, match=r"^1 .*dog.broken\.png") as caught:
        skipped = load_folder(folder, image_size=8, skip_unreadable=True)
    assert caught[0].filename == __file__
    np.testing.assert_array_equal(skipped.train.x, whole.train.x)
    np.testing.assert_array_equal(skipped.test.y, whole.test.y)


def test_folder_does_not_trip_over_macos_shadow_files(folder: Path) -> None:
    # An archive packed on a Mac brings a "._name" beside each image.
    whole = load_folder(folder, image_size=8)
    for file in list(folder.rglob("*.png")):
        file.with_name(f"._{file.name}").write_bytes(b"\x00\x05\x16\x07")
    np.testing.assert_array_equal(load_folder(folder, image_size=8).train.x, whole.train.x)


def test_folder_with_one_class(folder: Path) -> None:
    for name in ("cat", "dog"):
        shutil.rmtree(folder / name)
    with raises_one_line(ValueError, str(folder), "two or more class folders", "'emu'"):
        load_folder(folder, image_size=8)


def test_folder_without_classes(tmp_path: Path) -> None:
    with raises_one_line(ValueError, "two or more class folders", "got none"):
        load_folder(tmp_path, image_size=8)


@pytest.mark.parametrize("n_images", [0, 1])
def test_folder_with_a_class_too_small(folder: Path, n_images: int) -> None:
    (folder / "fox").mkdir()
    for i in range(n_images):
        write(folder / "fox" / f"{i}.png", np.zeros((8, 8), np.uint8))
    with raises_one_line(ValueError, "two readable images or more", f"got {n_images} in 'fox'"):
        load_folder(folder, image_size=8)


def test_folder_that_is_none(folder: Path) -> None:
    for path in (folder / "cat" / "00.png", folder / "nothing"):
        with raises_one_line(ValueError, "must be a folder", str(path)):
            load_folder(path, image_size=8)


@pytest.mark.parametrize("image_size", [0, (4, 0), (4, 4, 3), -1, 8.5, "8"])
def test_folder_image_size_out_of_range(folder: Path, image_size: int) -> None:
    with raises_one_line(ValueError, "image_size must be", f"got {image_size}"):
        load_folder(folder, image_size=image_size)


@pytest.mark.parametrize("test_fraction", [0, 1, -0.5, 2, float("nan")])
def test_folder_test_fraction_out_of_range(folder: Path, test_fraction: float) -> None:
    with raises_one_line(ValueError, "test_fraction must be between 0 and 1", f"got {test_fraction}"):
        load_folder(folder, image_size=8, test_fraction=test_fraction)


@pytest.mark.parametrize("channels", [2, 4, 0])
def test_folder_channels_out_of_range(folder: Path, channels: int) -> None:
    with raises_one_line(ValueError, "channels must be 1 (grey) or 3 (RGB)", f"got {channels}"):
        load_folder(folder, image_size=8, channels=channels)


def test_an_error_says_what_else_is_in_a_class_without_pictures(folder: Path) -> None:
    for name in ("1.heic", "2.HEIC", "notes.txt", ".hidden"):
        (folder / "fox" / name).parent.mkdir(exist_ok=True)
        (folder / "fox" / name).write_bytes(b"x")
    with raises_one_line(ValueError, "got 0 in 'fox' (besides 4 of another kind", "not a picture (.heic)"):
        load_folder(folder, image_size=8)
    shutil.rmtree(folder / "fox")
    shutil.move(folder / "cat", folder / "train" / "cat")
    with raises_one_line(ValueError, "got 0 in 'train'", "a folder inside a class folder"):
        load_folder(folder, image_size=8)


def test_pictures_of_other_formats_are_left_out_with_a_word(folder: Path) -> None:
    whole = load_folder(folder, image_size=8)  # and this without a warning
    for name in ("cat/b.tif", "dog/a.TIFF", "dog/notes.txt", "dog/._a.tif"):
        (folder / name).write_bytes((folder / "cat" / "00.png").read_bytes())
    for load in (load_folder, open_pictures):
        with pytest.warns(
            UserWarning, match=r"^2 pictures that are not PNG.* left out: cat/b\.tif, dog/a\.TIFF$"
        ) as said:
            pictures = load(folder, image_size=8)
        assert Path(said[0].filename) == Path(__file__)  # the line that called it
    assert len(pictures) == len(whole.train) + len(whole.test)


# Groups


@pytest.fixture
def leaves(tmp_path: Path) -> Path:
    """Two classes of 12 pictures: 4 trees of 3 each, and 6 of 2 each; every pixel of a picture holds its number."""
    for number in range(24):
        label, tree = ("ash", number // 3) if number < 12 else ("oak", number // 2)
        write(tmp_path / "leaves" / label / f"tree{tree}_{number}.png", np.full((8, 8), 10 * number, np.uint8))
    return tmp_path / "leaves"


def trees(domain: Domain) -> dict[str, list[int]]:
    """The trees of both parts, from the pixels."""
    numbers = {part: getattr(domain, part).x[:, 0, 0, 0] // 10 for part in ("train", "test")}
    return {part: [n // 3 if n < 12 else n // 2 for n in found.tolist()] for part, found in numbers.items()}


def csv_of(leaves: Path, *, header: str = "file,group", row: str = "{label}/{name},{tree}") -> Path:
    rows = [
        row.format(label=file.parent.name, name=file.name, tree=file.stem.split("_")[0])
        for file in sorted(leaves.rglob("*.png"))
    ]
    path = leaves.parent / "groups.csv"
    path.write_text("\n".join([header, *rows]), encoding="utf-8")
    return path


def by_function(file: Path) -> int:
    return int(file.stem.split("_")[0].removeprefix("tree"))


WAYS: dict[str, Callable[[Path], object]] = {
    "pattern in parentheses": lambda leaves: r"^tree(\d+)_",
    "pattern": lambda leaves: re.compile(r"^[^_]+"),
    "function": lambda leaves: by_function,
    "csv": csv_of,
    "csv as text": lambda leaves: str(csv_of(leaves)),
    "csv with names alone": lambda leaves: csv_of(leaves, row="{name},{tree}"),
    "csv from Excel": lambda leaves: csv_of(leaves, header="\ufefffile;group", row="{label}\\{name};{tree}"),
    "csv with more columns": lambda leaves: csv_of(leaves, header="id,group,file", row='7,"{tree}",{label}/{name}'),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("max_bytes", [2**20, 1])
def test_a_group_lies_in_one_part_however_it_is_named(leaves: Path, tmp_path: Path, way: str, max_bytes: int) -> None:
    groups = WAYS[way](leaves)
    options = {"image_size": 8, "channels": 1, "test_fraction": 0.25, "cache_dir": tmp_path, "max_bytes": max_bytes}
    for seed in range(3):
        domain = load_folder(leaves, groups=groups, seed=seed, **options)
        found = trees(domain)
        assert not set(found["train"]) & set(found["test"])
        assert np.bincount(domain.test.y).tolist() == [3, 4]  # a quarter of 12, by threes; as near by twos
        assert len(domain.train) + len(domain.test) == 24
        for part in ("train", "test"):
            pairs = set(zip(found[part], getattr(domain, part).groups.tolist(), strict=True))
            assert len(pairs) == len(set(found[part]))  # one number a tree
        assert not set(domain.train.groups) & set(domain.test.groups)


def test_the_groups_that_are_tested_depend_on_the_seed(leaves: Path) -> None:
    chosen = {
        tuple(sorted(set(trees(load_folder(leaves, image_size=8, channels=1, groups=by_function, seed=s))["test"])))
        for s in range(6)
    }
    assert len(chosen) > 1


def test_without_groups_there_are_none(leaves: Path) -> None:
    assert load_folder(leaves, image_size=8).train.groups is None


def test_a_picture_that_is_left_out_leaves_its_group(leaves: Path) -> None:
    whole = load_folder(leaves, image_size=8, channels=1, groups=by_function)
    (leaves / "ash" / "tree0_99.png").write_bytes(b"")
    with pytest.warns(UserWarning, match="tree0_99"):
        kept = load_folder(leaves, image_size=8, channels=1, groups=by_function, skip_unreadable=True)
    np.testing.assert_array_equal(kept.train.groups, whole.train.groups)
    np.testing.assert_array_equal(kept.test.x, whole.test.x)


@pytest.mark.parametrize(
    ("groups", "fragments"),
    [
        (r"^bush(\d+)", ("each file a group", "none for 24 of 24", "'ash/tree0_0.png'", "bush")),
        (r"^tree(\d*?)", ("each file a group", "24 of 24")),  # an empty name
        (lambda file: None if "_7" in file.name else 1, ("none for 1 of 24", "'ash/tree2_7.png'")),
        ("(", ("groups must be a regular expression or a path that ends in .csv", "got '('")),
        (lambda file: file.parent.name, ("two groups or more", "got 1 in 'ash'")),
        ("nothing.csv", ("CSV file with the columns file,group", "'nothing.csv'")),
    ],
)
def test_groups_that_do_not_serve(leaves: Path, groups: object, fragments: tuple[str, ...]) -> None:
    with raises_one_line(ValueError, *fragments):
        load_folder(leaves, image_size=8, groups=groups)


def test_groups_of_another_type(leaves: Path) -> None:
    with raises_one_line(TypeError, "groups must be", "got list"):
        load_folder(leaves, image_size=8, groups=["tree1"])


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        (b"", ("the columns file,group", "got the columns ''")),
        (b"name,group\na,b\n", ("got the columns 'name,group'",)),
        (b"\xff\xfe\x00", ("not UTF-8",)),
        (b"file,group\nash/tree0_0.png,a\nash/tree0_0.png,b\n", ("one group", "'a' and 'b'", "'ash/tree0_0.png'")),
        (b"file,group\nash/tree0_0.png\n", ("none for 24 of 24", "groups.csv")),
    ],
)
def test_a_csv_file_that_does_not_serve(leaves: Path, text: bytes, fragments: tuple[str, ...]) -> None:
    path = leaves.parent / "groups.csv"
    path.write_bytes(text)
    with raises_one_line(ValueError, *fragments):
        load_folder(leaves, image_size=8, groups=path)


def test_groups_over_classes_that_leave_nothing_to_test() -> None:
    # Three classes, three groups of two classes each: whichever is for testing, a class is in one part alone.
    labels, groups = np.array([0, 1, 1, 2, 2, 0]), np.array([0, 0, 1, 1, 2, 2])
    with raises_one_line(ValueError, "each class images to train and to test", "none to test for"):
        split_groups(labels, groups, ["a", "b", "c"], 0.3, np.random.default_rng(0))


def random_groups(seed: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Labels and groups of 1 to 19 pictures, of one class or (odd seeds) of several."""
    rng = np.random.default_rng(seed)
    classes = int(rng.integers(2, 6))
    sizes = rng.integers(1, 20, int(rng.integers(4 * classes, 60)))
    groups = np.repeat(np.arange(len(sizes)), sizes)
    return rng.integers(0, classes, len(groups)) if seed % 2 else groups % classes, groups, classes


def imbalance(labels: np.ndarray, in_test: np.ndarray, classes: int, wanted: float) -> float:
    counts = [np.bincount(found, minlength=classes) for found in (labels[in_test], labels)]
    return float(np.sqrt(np.sum((counts[0] / counts[1] - wanted) ** 2)))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_two_groups_a_class_are_one_to_train_and_one_to_test(share: float) -> None:
    labels, groups = np.repeat([0, 0, 1, 1, 2, 2], 5), np.repeat(np.arange(6), 5)
    in_test = split_groups(labels, groups, ["a", "b", "c"], share, np.random.default_rng(0))
    assert in_test.reshape(3, 2).sum(1).tolist() == [1, 1, 1]


@pytest.mark.parametrize("share", [0.1, 0.2, 0.34, 0.5, 0.9])
def test_a_split_by_group_has_every_class_in_both_parts(share: float) -> None:
    for seed in range(20):
        labels, groups, classes = random_groups(seed)
        names = [str(label) for label in range(classes)]
        in_test = split_groups(labels, groups, names, share, np.random.default_rng(seed))[groups]
        assert set(labels[in_test]) == set(labels[~in_test]) == set(range(classes))
        assert not set(groups[in_test]) & set(groups[~in_test])


@pytest.mark.filterwarnings("ignore:The least populated class:UserWarning")
def test_a_split_by_group_is_as_balanced_as_scikit_learns() -> None:
    own, theirs = [], []
    for seed in range(30):
        labels, groups, classes = random_groups(seed)
        names = [str(label) for label in range(classes)]
        in_test = split_groups(labels, groups, names, 0.2, np.random.default_rng(seed))[groups]
        own.append(imbalance(labels, in_test, classes, 0.2))
        folds = StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(labels, labels, groups)
        theirs.append(np.mean([imbalance(labels, np.isin(groups, groups[test]), classes, 0.2) for _, test in folds]))
    assert np.mean(own) < np.mean(theirs)


# Progress and interruption


@pytest.mark.parametrize("max_bytes", [2**30, 1])
def test_a_bar_is_shown_when_asked_for(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], max_bytes: int
) -> None:
    options = {"image_size": 8, "cache_dir": tmp_path / "store", "max_bytes": max_bytes}
    quiet = load_folder(folder, **options)
    assert capsys.readouterr() == ("", "")
    shutil.rmtree(tmp_path / "store", ignore_errors=True)
    assert_same_domain(load_folder(folder, progress=True, **options), quiet)
    shown = "".join(capsys.readouterr())  # on stderr, or on stdout where an earlier test has started an IPython shell
    for words in ("reading train images", "0/13", "reading test images", "0/4"):
        assert words in shown


@pytest.mark.parametrize("skip_unreadable", [False, True])
@pytest.mark.parametrize("at", [1, 5, 15])
@pytest.mark.parametrize("max_bytes", [2**30, 1])
def test_an_interrupted_folder_leaves_nothing_half_written(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int, max_bytes: int, skip_unreadable: bool
) -> None:
    store = tmp_path / "store"
    options = {"image_size": 8, "cache_dir": store, "max_bytes": max_bytes, "skip_unreadable": skip_unreadable}
    real, opened, waiting = Image.open, [], [at]

    def interrupted(file: Path, *args: object, **more: object) -> Image.Image:
        opened.append(file)
        if waiting == [len(opened)]:
            waiting.clear()
            signal.raise_signal(signal.SIGINT)  # what Ctrl-C sends
        return real(file, *args, **more)

    monkeypatch.setattr(Image, "open", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load_folder(folder, progress=True, **options)
    assert [path.suffix for path in store.glob("*") if path.suffix != ".npy"] == []
    kept = len(list(store.glob("*")))
    assert kept == (1 if at == 15 and max_bytes == 1 and not skip_unreadable else 0)  # the training part was finished
    opened.clear()
    assert_same_domain(load_folder(folder, **options), load_folder(folder, image_size=8))
    if kept:
        assert len(opened) == 4 + 17  # its 13 pictures were not decoded again


# The learner's own folder, past max_bytes


def assert_same_domain(one: Domain, other: Domain) -> None:
    assert (one.name, one.classes) == (other.name, other.classes)
    for part in ("train", "test"):
        np.testing.assert_array_equal(getattr(one, part).x, getattr(other, part).x)
        np.testing.assert_array_equal(getattr(one, part).y, getattr(other, part).y)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows by a name whenever an image is opened."""
    seen: list[str] = []
    real = Image.open

    def noted(file: Path, *args: object, **options: object) -> Image.Image:
        seen.append(Path(file).name)
        return real(file, *args, **options)

    monkeypatch.setattr(Image, "open", noted)
    return seen


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("options", [{}, {"channels": 1}, {"test_fraction": 0.5}])
def test_folder_streams_what_it_would_hold_in_memory(
    folder: Path, tmp_path: Path, seed: int, options: dict[str, float]
) -> None:
    in_memory = load_folder(folder, image_size=8, seed=seed, **options)
    for _ in range(2):
        streamed = load_folder(folder, image_size=8, seed=seed, cache_dir=tmp_path / "store", max_bytes=1, **options)
        assert_same_domain(streamed, in_memory)
        for part in (streamed.train, streamed.test):
            assert isinstance(part.x, np.memmap)
            assert part.x.dtype == np.uint8
    assert not isinstance(in_memory.train.x, np.memmap)
    assert len(list((tmp_path / "store").iterdir())) == 2


def test_folder_streams_a_part_above_the_limit_alone(folder: Path, tmp_path: Path) -> None:
    in_memory = load_folder(folder, image_size=8)
    options = {"image_size": 8, "cache_dir": tmp_path / "store"}
    size = in_memory.train.x.nbytes
    assert size > in_memory.test.x.nbytes
    for max_bytes, streams in ((size - 1, True), (size, False)):
        domain = load_folder(folder, max_bytes=max_bytes, **options)
        assert isinstance(domain.train.x, np.memmap) == streams
        assert not isinstance(domain.test.x, np.memmap)
        assert_same_domain(domain, in_memory)


def test_folder_in_memory_writes_nothing(folder: Path, tmp_path: Path) -> None:
    load_folder(folder, image_size=8, cache_dir=tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_folder_is_decoded_once(folder: Path, tmp_path: Path, decoded: list[str]) -> None:
    options = {"image_size": 8, "cache_dir": tmp_path, "max_bytes": 1}
    first = load_folder(folder, **options)
    assert sorted(decoded) == [f"{number:02}.png" for number in range(17)]
    decoded.clear()
    assert_same_domain(load_folder(folder, **options), first)
    assert decoded == []


def test_folder_in_the_users_store(
    folder: Path, tmp_path: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TLKIT_CACHE_DIR", str(tmp_path / "users"))
    first = load_folder(folder, image_size=8, max_bytes=1)
    assert len(list((tmp_path / "users").iterdir())) == 2
    decoded.clear()
    assert_same_domain(load_folder(folder, image_size=8, max_bytes=1), first)
    assert decoded == []


@pytest.mark.parametrize(
    "options", [{"image_size": 7}, {"image_size": (8, 4)}, {"channels": 1}, {"seed": 5}, {"test_fraction": 0.5}]
)
def test_folder_read_another_way_is_decoded_anew(folder: Path, tmp_path: Path, options: dict[str, object]) -> None:
    before = {"image_size": 8}
    load_folder(folder, cache_dir=tmp_path, max_bytes=1, **before)
    now = {**before, **options}
    assert_same_domain(load_folder(folder, cache_dir=tmp_path, max_bytes=1, **now), load_folder(folder, **now))


@pytest.mark.parametrize("change", ["size", "time", "another file", "one file less"])
def test_folder_that_changed_is_decoded_anew(folder: Path, tmp_path: Path, change: str) -> None:
    options = {"image_size": 8, "cache_dir": tmp_path / "store", "max_bytes": 1}
    before = load_folder(folder, **options)
    file = folder / "cat" / "03.png"
    status = file.stat()
    new = np.full((12, 12, 3), 255, np.uint8)
    if change == "size":
        write(file, np.random.default_rng(0).integers(0, 256, (12, 12, 3)).astype(np.uint8))
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert file.stat().st_size != status.st_size
    elif change == "time":
        content = Image.fromarray(new)
        content.save(file)
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000))
    elif change == "another file":
        write(folder / "cat" / "99.png", new)
    else:
        file.unlink()
    after = load_folder(folder, **options)
    assert_same_domain(after, load_folder(folder, image_size=8))
    together = [np.concatenate([domain.train.x, domain.test.x]) for domain in (before, after)]
    assert sorted(image.tobytes() for image in together[0]) != sorted(image.tobytes() for image in together[1])


def test_folder_skips_in_streaming_too(folder: Path, tmp_path: Path) -> None:
    whole = load_folder(folder, image_size=8)
    (folder / "dog" / "broken.png").write_bytes(b"")
    options = {"image_size": 8, "cache_dir": tmp_path / "store", "max_bytes": 1}
    for _ in range(2):
        with pytest.warns(UserWarning, match=r"^1 .*dog.broken\.png") as caught:
            skipped = load_folder(folder, skip_unreadable=True, **options)
        assert len(caught) == 1
        assert isinstance(skipped.train.x, np.memmap)
        assert_same_domain(skipped, whole)


def test_which_files_are_readable_is_remembered(folder: Path, tmp_path: Path, decoded: list[str]) -> None:
    (folder / "dog" / "broken.png").write_bytes(b"")
    options = {"image_size": 8, "cache_dir": tmp_path / "store", "max_bytes": 1, "skip_unreadable": True}
    for expected in (18 + 17, 1):  # looked at and then decoded; the broken one again, for the reason
        with pytest.warns(UserWarning, match=r"broken\.png \(empty file\)"):
            load_folder(folder, **options)
        assert len(decoded) == expected
        decoded.clear()


def test_what_fits_in_memory_is_decoded_once_though_it_is_checked(folder: Path, decoded: list[str]) -> None:
    load_folder(folder, image_size=8, skip_unreadable=True)
    assert len(decoded) == 17


@pytest.mark.parametrize("name", ["00.png", "09.png"])
def test_folder_with_an_unreadable_image_leaves_no_file(folder: Path, tmp_path: Path, name: str) -> None:
    (folder / "cat" / name).write_bytes(b"\x89PNG\r\n\x1a\nnot really")
    with raises_one_line(ValueError, name, "every image must be readable", "skip_unreadable=True"):
        load_folder(folder, image_size=8, cache_dir=tmp_path / "store", max_bytes=1)
    assert all(path.suffix == ".npy" for path in (tmp_path / "store").iterdir())


def test_folder_does_not_use_a_damaged_file(folder: Path, tmp_path: Path) -> None:
    options = {"image_size": 8, "cache_dir": tmp_path / "store", "max_bytes": 1}
    in_memory = load_folder(folder, image_size=8)
    load_folder(folder, **options)
    largest = max((tmp_path / "store").iterdir(), key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[-1] ^= 1
    largest.write_bytes(content)
    with pytest.warns(UserWarning, match="damaged") as caught:
        assert_same_domain(load_folder(folder, **options), in_memory)
    assert len(caught) == 1


def test_folder_on_a_full_disk(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("tlkit.files.store.Writer.append", no_space)
    with raises_one_line(OSError, "MiB", str(tmp_path / "store"), "max_bytes"):
        load_folder(folder, image_size=8, cache_dir=tmp_path / "store", max_bytes=1)
    assert list((tmp_path / "store").iterdir()) == []


def test_training_on_a_streamed_folder_gives_the_same_weights(folder: Path, tmp_path: Path) -> None:
    from helpers import same_weights

    from tlkit._keras import keras
    from tlkit.training import fit

    heads = []
    for max_bytes in (2**20, 1):
        data = load_folder(folder, image_size=8, cache_dir=tmp_path / "store", max_bytes=max_bytes).train
        start = keras.initializers.GlorotUniform(seed=1)
        layers = [keras.Input((8, 8, 3)), keras.layers.Rescaling(1 / 255), keras.layers.Flatten()]
        heads.append(keras.Sequential([*layers, keras.layers.Dense(3, kernel_initializer=start)]))
        fit(heads[-1], data, epochs=2, learning_rate=0.1, batch_size=4, progress=False)
    assert same_weights(*heads)


MEMORY = """
import pathlib, sys
import numpy, PIL.Image  # what every run loads
import tlkit

folder, store, max_bytes = sys.argv[1:]
domain = tlkit.load_folder(folder, image_size=128, cache_dir=store, max_bytes=int(max_bytes))
assert len(domain.train) > len(domain.test) > 0
status = dict(line.split(":", 1) for line in pathlib.Path("/proc/self/status").read_text().splitlines())
print(1024 * int(status["VmHWM"].split()[0]))  # ru_maxrss would start at the peak of the process that ran this one
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_memory_stays_flat_while_a_large_folder_is_streamed(tmp_path: Path) -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (128, 128, 3)).astype(np.uint8))
    kinds = {"png": {}, "jpg": {}, "bmp": {}, "gif": {}, "webp": {}}
    for suffix, options in kinds.items():
        picture.save(tmp_path / f"one.{suffix}", **options)
    contents = [(suffix, (tmp_path / f"one.{suffix}").read_bytes()) for suffix in kinds]

    def peak(count: int, max_bytes: int) -> int:
        folder = tmp_path / str(count)
        if not folder.exists():
            for i in range(count):
                suffix, content = contents[i % len(contents)]
                path = folder / "ab"[i // len(contents) % 2] / f"{i}.{suffix}"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content + str(i).encode())  # bytes behind the end: another file, the same picture
        run = run_python("-W", "error", "-c", MEMORY, str(folder), str(tmp_path / "store"), str(max_bytes))
        assert run.returncode == 0, run.stderr
        return int(run.stdout)

    few, many = 250, 1000
    decoded = (many - few) * 128 * 128 * 3
    held = peak(many, 2**40) - peak(few, 2**40)
    streamed = peak(many, 1) - peak(few, 1)
    assert held > 0.9 * decoded  # the measure sees what is held in memory
    assert streamed < 0.2 * decoded


def undecodable(folder: Path, name: bytes) -> None:
    """Renames the first class folder to bytes that are no UTF-8, or skips where no file system takes them."""
    first = min(path for path in folder.iterdir() if path.is_dir())
    try:
        first.rename(folder / os.fsdecode(name))
    except OSError:
        pytest.skip("this file system takes text alone")


def test_a_class_folder_whose_name_is_no_text_is_refused_before_a_picture_is_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undecodable(folder, b"caf\xff")
    monkeypatch.setattr("tlkit.folders.loading.read_picture", lambda *_: pytest.fail("a picture was read"))
    with raises_one_line(ValueError, "a class folder must have a name that is text", "'caf?'", "rename it"):
        load_folder(folder, image_size=8)
    report = inspect_folder(folder)
    assert {printable(name): reason for name, reason in report.ignored.items()}["caf?"] == "a name that is no text"


@pytest.mark.parametrize("side", [100_000, (2**31, 1), (1, 10**9)])
def test_a_size_of_gigabytes_is_refused_before_memory_is_taken(folder: Path, side: int | tuple[int, int]) -> None:
    size = side if isinstance(side, tuple) else (side, side)
    with raises_one_line(ValueError, "size must be", f"{Image.MAX_IMAGE_PIXELS:,} pixels", f"got {size}"):
        load_folder(folder, image_size=side)
    with raises_one_line(ValueError, "size must be", f"got {size}"):
        read_picture(folder / "absent.png", size, 3)
    with raises_one_line(ValueError, "size must be", "got (0, 8)"):
        read_picture(folder / "absent.png", (0, 8), 3)


@pytest.mark.parametrize("text", ["file,group\na.png," + "x" * 131_073, 'file,group\na.png,"' + "x" * 200_000])
def test_a_csv_field_that_is_too_long_names_the_file(folder: Path, tmp_path: Path, text: str) -> None:
    table = tmp_path / "whose.csv"
    table.write_text(text)
    with raises_one_line(ValueError, "groups must be a CSV file", "whose.csv", "131072"):
        load_folder(folder, image_size=8, groups=table)
    table.write_text("name,of\na.png,x")
    with raises_one_line(ValueError, "the columns file,group", "whose.csv", "name,of"):
        load_folder(folder, image_size=8, groups=table)
