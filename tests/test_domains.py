"""Domains: what a split refuses, how samples are drawn, what is bundled, and the learner's own folder."""

import collections
import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers import raises_one_line, random_split
from PIL import Image

from tlkit import assets
from tlkit.domains import Domain, DomainPair, Split, load_domain, load_folder, load_pair

IMAGES = np.zeros((3, 4, 4, 1), np.uint8)
LABELS = np.array([0, 1, 0])

# Split


def test_a_split_holds_what_it_was_given() -> None:
    data = Split(IMAGES, [0, 1, 0])  # type: ignore[arg-type]
    np.testing.assert_array_equal(data.x, IMAGES)
    assert data.y.dtype == np.int64
    assert len(data) == 3
    assert data.x.base is IMAGES  # a view, no copy
    assert "(3, 4, 4, 1)" in repr(data)
    assert "classes=2" in repr(data)


def test_arrays_are_read_only_and_the_callers_stay_writable() -> None:
    x, y = IMAGES.copy(), LABELS.copy()
    data = Split(x, y)
    for array in (data.x, data.y):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    x[0], y[0] = 7, 1  # still the caller's to change


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_features_may_be_floats_over_the_whole_range(dtype: type) -> None:
    largest = np.finfo(dtype).max
    data = Split(np.array([[largest, 0], [-largest, 1]], dtype), np.array([0, 1]))
    assert data.x.dtype == dtype


def test_indexing_gives_splits() -> None:
    data = random_split(10)
    for index in (slice(2, 5), np.array([7, 7, 1]), data.y == 1):
        part = data[index]
        np.testing.assert_array_equal(part.x, data.x[index])
        np.testing.assert_array_equal(part.y, data.y[index])


@pytest.mark.parametrize(
    ("x", "y", "kind", "fragments"),
    [
        pytest.param(IMAGES[..., 0], LABELS, ValueError, ("(n, h, w, c)", "got (3, 4, 4)"), id="no channel axis"),
        pytest.param(IMAGES[None], LABELS[:1], ValueError, ("(n, h, w, c)", "got (1, 3, 4, 4, 1)"), id="an axis more"),
        pytest.param(IMAGES.astype(float), LABELS, TypeError, ("uint8", "0..255", "got float64"), id="float64"),
        pytest.param(IMAGES.astype(int), LABELS, TypeError, ("uint8", "0..255", "got int64"), id="int64"),
        pytest.param(IMAGES.astype(bool), LABELS, TypeError, ("uint8", "got bool"), id="bool"),
        pytest.param(IMAGES.astype(str), LABELS, TypeError, ("uint8", "got <U"), id="text"),
        pytest.param(np.full((3, 2), np.nan, np.float32), LABELS, ValueError, ("finite", "NaN"), id="all NaN"),
        pytest.param(
            np.array([[0, 1], [np.nan, 2], [3, 4]], np.float32), LABELS, ValueError, ("finite",), id="one NaN"
        ),
        pytest.param(np.array([[0], [np.nan], [3]]), LABELS, ValueError, ("finite",), id="NaN in float64"),
        pytest.param(np.array([[0], [np.inf], [3]], np.float32), LABELS, ValueError, ("infinite",), id="inf"),
        pytest.param(np.array([[np.inf], [-np.inf], [3]], np.float16), LABELS, ValueError, ("infinite",), id="two inf"),
        pytest.param(np.zeros(3, np.float32), LABELS, ValueError, ("(n, ...)", "got (3,)"), id="flat features"),
        pytest.param(IMAGES, LABELS[:, None], ValueError, ("(n,)", "got (3, 1)"), id="labels in a column"),
        pytest.param(IMAGES, np.eye(3), ValueError, ("(n,)", "got (3, 3)"), id="one-hot labels"),
        pytest.param(IMAGES, LABELS.astype(float), TypeError, ("integers", "got float64"), id="float labels"),
        pytest.param(IMAGES, np.array(["a", "b", "c"]), TypeError, ("integers", "got <U1"), id="text labels"),
        pytest.param(IMAGES, LABELS.astype(bool), TypeError, ("integers", "got bool"), id="bool labels"),
        pytest.param(IMAGES, LABELS[:2], ValueError, ("same length", "got 3 and 2"), id="lengths differ"),
        pytest.param(IMAGES[:0], LABELS[:0], ValueError, ("at least one", "got none"), id="empty"),
        pytest.param(IMAGES, np.array([0, -1, 1]), ValueError, ("0 or more", "got -1"), id="negative label"),
    ],
)
def test_a_split_refuses(x: np.ndarray, y: np.ndarray, kind: type[Exception], fragments: tuple[str, ...]) -> None:
    with raises_one_line(kind, *fragments):
        Split(x, y)


def test_an_index_that_leaves_nothing() -> None:
    data = random_split(6)
    with raises_one_line(ValueError, "at least one", "got none"):
        data[data.y > 99]


# take


def unbalanced() -> Split:
    """Each image is its own number, so that examples can be told apart."""
    y = np.repeat([0, 1, 2], [5, 9, 20])
    x = np.arange(len(y), dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 1), np.uint8)
    return Split(x, np.random.default_rng(1).permutation(y))


def numbers(data: Split) -> list[int]:
    return data.x[:, 0, 0, 0].tolist()


@pytest.mark.parametrize("per_class", [1, 3, 5])
def test_take_is_stratified_and_without_replacement(per_class: int) -> None:
    data = unbalanced()
    few = data.take(per_class, seed=3)
    np.testing.assert_array_equal(np.bincount(few.y), [per_class] * 3)
    assert len(set(numbers(few))) == len(few)
    np.testing.assert_array_equal(data.y[numbers(few)], few.y)  # each example kept its label


def test_take_is_nested_and_seeded() -> None:
    data = unbalanced()
    whole = numbers(data.take(5, seed=3))
    for per_class in range(1, 6):
        assert numbers(data.take(per_class, seed=3)) == whole[: 3 * per_class]
    assert numbers(data.take(5, seed=3)) == whole
    assert numbers(data.take(5, seed=4)) != whole


def test_take_does_not_touch_numpys_global_state() -> None:
    before = np.random.get_state()[1].copy()  # noqa: NPY002 (the old state is what is looked at)
    unbalanced().take(2, seed=0)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_every_example_can_be_drawn() -> None:
    data = unbalanced()
    drawn = {number for seed in range(200) for number in numbers(data.take(1, seed=seed))}
    assert drawn == set(range(len(data)))


@pytest.mark.parametrize("per_class", [0, -1, 6, 1000, 2.5])
def test_take_more_than_there_are(per_class: int) -> None:
    with raises_one_line(ValueError, "per_class must be", "1..5", "class 0 has 5", f"got {per_class}"):
        unbalanced().take(per_class, seed=0)


# Domain


def test_labels_must_be_classes() -> None:
    with raises_one_line(ValueError, "test labels", "0..1", "got 2"):
        Domain("d", Split(IMAGES, LABELS), Split(IMAGES, np.array([0, 1, 2])), ("a", "b"))


def test_images_of_a_domain_are_uint8() -> None:
    with raises_one_line(TypeError, "train images", "uint8", "got float32"):
        Domain("d", Split(IMAGES.astype(np.float32), LABELS), Split(IMAGES, LABELS), ("a", "b"))


def test_train_and_test_have_one_shape() -> None:
    with raises_one_line(ValueError, "one shape", "(4, 4, 1)", "(4, 2, 1)"):
        Domain("d", Split(IMAGES, LABELS), Split(IMAGES[:, :, :2], LABELS), ("a", "b"))


def test_every_class_has_a_training_example() -> None:
    with raises_one_line(ValueError, "training example", "none for c"):
        Domain("d", Split(IMAGES, LABELS), Split(IMAGES, LABELS), ("a", "b", "c"))


@pytest.mark.parametrize("classes", [("a",), (), ("a", "a")])
def test_classes_are_two_or_more_different_names(classes: tuple[str, ...]) -> None:
    with raises_one_line(ValueError, "two or more different names", f"got {classes}"):
        Domain("d", Split(IMAGES, LABELS), Split(IMAGES, LABELS), classes)


def test_restrict_to_keeps_images_and_renumbers() -> None:
    data = random_split(30, classes=5)
    domain = Domain("d", data, random_split(20, classes=5, seed=1), tuple("abcde"))
    chosen = ("d", "a", "e")
    less = domain.restrict_to(chosen)
    assert less.classes == chosen
    for part in ("train", "test"):
        old, new = getattr(domain, part), getattr(less, part)
        named = [(image.tobytes(), domain.classes[label]) for image, label in zip(old.x, old.y, strict=True)]
        assert [(image.tobytes(), chosen[label]) for image, label in zip(new.x, new.y, strict=True)] == [
            (image, name) for image, name in named if name in chosen
        ]


def test_restrict_to_refuses() -> None:
    domain = Domain("d", random_split(9), random_split(9), ("apple", "pear", "plum"))
    with raises_one_line(ValueError, "'apple', 'pear', 'plum'", "got 'appel'", "Did you mean 'apple'?"):
        domain.restrict_to(("appel", "pear"))
    for classes in (("apple",), (), ("apple", "apple")):
        with raises_one_line(ValueError, "two or more different names"):
            domain.restrict_to(classes)


# What is bundled

SHAPES = {
    "mnist": (3000, 2000, tuple("0123456789")),
    "optdigits": (997, 800, tuple("0123456789")),
    "fashion": (6000, 1000, None),
    "printed": (None, None, tuple("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")),
}


def raw(name: str) -> dict[str, np.ndarray]:
    with np.load(assets.asset_path(f"{name}.npz"), allow_pickle=False) as file:
        return dict(file)


@pytest.mark.parametrize("name", SHAPES)
def test_bundled_shapes(name: str) -> None:
    domain, (n_train, n_test, classes) = load_domain(name), SHAPES[name]
    assert domain.name == name
    for split, n in ((domain.train, n_train), (domain.test, n_test)):
        assert split.x.shape[1:] == (28, 28, 1)
        assert split.x.dtype == np.uint8
        assert split.x.max() == 255
        assert n is None or len(split) == n
        assert set(split.y.tolist()) == set(range(len(domain.classes)))
    assert classes is None or domain.classes == classes
    assert len(domain.classes) == (62 if name == "printed" else 10)


def test_loading_twice_gives_the_same_arrays_and_nobody_can_change_them() -> None:
    domain = load_domain("optdigits")
    assert load_domain("optdigits") is domain
    assert not any(array.flags.writeable for part in (domain.train, domain.test) for array in (part.x, part.y))


@pytest.mark.parametrize("name", ["mnist", "optdigits", "fashion"])
def test_no_image_is_in_train_and_test(name: str) -> None:
    domain = load_domain(name)
    train = {image.tobytes() for image in domain.train.x}
    assert [i for i, image in enumerate(domain.test.x) if image.tobytes() in train] == []


@pytest.mark.parametrize("name", ["mnist", "optdigits", "fashion"])
def test_bundled_splits_are_stratified(name: str) -> None:
    domain = load_domain(name)
    counts = np.array([np.bincount(split.y, minlength=10) for split in (domain.train, domain.test)])
    share = counts.sum(axis=1, keepdims=True) / counts.sum()
    assert np.abs(counts - share * counts.sum(axis=0)).max() <= 1  # to within one example


def test_mnist_choose_lies_in_the_training_part() -> None:
    chosen = raw("mnist")["choose"]
    assert len(set(chosen.tolist())) == len(chosen)
    assert chosen.min() >= 0
    assert chosen.max() < len(load_domain("mnist").train)


def test_printed_is_split_by_font() -> None:
    arrays = raw("printed")
    train, test = set(arrays["font_train"].tolist()), set(arrays["font_test"].tolist())
    assert train.isdisjoint(test)
    assert train | test == set(range(len(arrays["fonts"])))
    assert len(set(arrays["fonts"].tolist())) == len(arrays["fonts"])
    for part in ("train", "test"):  # a font gives a character once
        pairs = list(zip(arrays[f"font_{part}"].tolist(), arrays[f"y_{part}"].tolist(), strict=True))
        assert len(set(pairs)) == len(pairs)


def test_printed_is_split_by_font_family() -> None:
    arrays = raw("printed")
    lines = (Path(assets.__file__).parent / "printed_fonts.txt").read_text(encoding="utf-8").splitlines()
    header, *rows = (line.split("\t") for line in lines)
    assert header == ["name", "family", "package", "split"]
    assert [row[0] for row in rows] == arrays["fonts"].tolist()
    for part in ("train", "test"):
        used = {arrays["fonts"][i] for i in arrays[f"font_{part}"]}
        assert used == {name for name, _, _, split in rows if split == part}
    families = collections.defaultdict(set)
    for _, family, _, split in rows:
        families[family].add(split)
    assert [family for family, splits in families.items() if len(splits) > 1] == []


def boxes(images: np.ndarray) -> np.ndarray:
    """Height and width of the ink of each image."""
    ink = images[..., 0] > 0
    rows, columns = ink.any(axis=2), ink.any(axis=1)

    def extent(marks: np.ndarray) -> np.ndarray:
        return marks.shape[1] - marks[:, ::-1].argmax(axis=1) - marks.argmax(axis=1)

    return np.stack([extent(rows), extent(columns)], axis=1)


@pytest.mark.parametrize("name", ["printed", "mnist", "optdigits"])
def test_framing_is_a_20_pixel_box_on_black(name: str) -> None:
    # Scaled so that the longer side of the ink is 20, centred by mass: MNIST's own framing, which transfer rests on.
    domain = load_domain(name)
    for split in (domain.train, domain.test):
        size = boxes(split.x)
        assert size.min() >= 1  # no blank image
        assert size.max() <= 20
        border = np.concatenate([split.x[:, 0], split.x[:, -1], split.x[:, :, 0], split.x[:, :, -1]], axis=1)
        assert np.median(border) == 0
        if name != "optdigits":  # whose box is the 8x8 grid, blank margins included
            assert np.mean(size.max(axis=1) >= 19) > 0.99


@pytest.mark.parametrize("name", ["printed", "mnist", "optdigits"])
def test_framing_puts_the_centre_of_mass_in_the_middle(name: str) -> None:
    images = load_domain(name).test.x[..., 0].astype(float)
    mass = images.sum(axis=(1, 2))
    for axis in (1, 2):
        centre = (images.sum(axis=3 - axis) * np.arange(28)).sum(axis=1) / mass
        ink = images.any(axis=3 - axis)
        free = ~(ink[:, :2].any(axis=1) | ink[:, -2:].any(axis=1))  # a lopsided box would have left the image
        assert free.mean() > 0.5
        assert np.abs(centre - 13.5)[free].max() <= 1


def test_optdigits_are_scikit_learns() -> None:
    from sklearn.datasets import load_digits

    digits, domain = load_digits(), load_domain("optdigits")
    labels = np.concatenate([domain.train.y, domain.test.y])
    np.testing.assert_array_equal(np.bincount(labels), np.bincount(digits.target))
    # Each bundled image, brought back to 8x8, must be some original of the same class: match by nearest neighbour.
    originals = digits.images.reshape(len(digits.images), -1) / 16
    originals = originals / np.linalg.norm(originals, axis=1, keepdims=True)
    images = np.concatenate([domain.train.x, domain.test.x])
    found = []
    for image in images:
        best = (0.0, -1)
        padded = np.pad(image[..., 0], 4)
        rows, columns = (np.flatnonzero(padded.any(axis=axis)) for axis in (1, 0))
        # The 20-pixel box starts at the ink's first row and column, or up to 4 blank pixels before them.
        for top in range(max(rows[-1] - 19, rows[0] - 4, 0), rows[0] + 1):
            for left in range(max(columns[-1] - 19, columns[0] - 8, 0), columns[0] + 1):
                patch = padded[top : top + 20, left : left + 20]
                if patch.shape != (20, 20):
                    continue
                small = np.asarray(Image.fromarray(patch).resize((8, 8), Image.Resampling.BOX), float).ravel()
                likeness = originals @ (small / np.linalg.norm(small))
                best = max(best, (float(likeness.max()), int(likeness.argmax())))
        found.append(best[1])
    assert np.mean(digits.target[found] == labels) == 1
    assert len(set(found)) > 0.95 * len(images)


def test_unknown_domain() -> None:
    with raises_one_line(
        ValueError, "'fashion', 'mnist', 'optdigits', 'printed'", "got 'minst'", "Did you mean 'mnist'?"
    ):
        load_domain("minst")
    with raises_one_line(ValueError, "got 'cifar'"):
        load_domain("cifar")


def test_pair_restricts_the_source_to_the_targets_classes() -> None:
    pair = load_pair()
    assert isinstance(pair, DomainPair)
    assert (pair.source.name, pair.target.name) == ("printed", "mnist")
    assert pair.source.classes == pair.target.classes == tuple("0123456789")
    digits = load_domain("printed").restrict_to(pair.target.classes)
    np.testing.assert_array_equal(pair.source.train.x, digits.train.x)
    np.testing.assert_array_equal(pair.source.test.y, digits.test.y)


def test_pair_of_unrelated_classes_stays_whole() -> None:
    pair = load_pair("printed", "fashion")
    assert len(pair.source.classes) == 62
    assert pair.target.classes == load_domain("fashion").classes


def test_unknown_name_in_a_pair() -> None:
    with raises_one_line(ValueError, "Did you mean 'printed'?"):
        load_pair("printd")
    with raises_one_line(ValueError, "Did you mean 'optdigits'?"):
        load_pair(target="optdigit")


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

    monkeypatch.setattr("tlkit.store.Writer.append", no_space)
    with raises_one_line(OSError, "MiB", str(tmp_path / "store"), "max_bytes"):
        load_folder(folder, image_size=8, cache_dir=tmp_path / "store", max_bytes=1)
    assert list((tmp_path / "store").iterdir()) == []


def test_training_on_a_streamed_folder_gives_the_same_weights(folder: Path, tmp_path: Path) -> None:
    from helpers import same_weights

    from tlkit._tensorflow import keras
    from tlkit.training import fit

    heads = []
    for max_bytes in (2**20, 1):
        data = load_folder(folder, image_size=8, cache_dir=tmp_path / "store", max_bytes=max_bytes).train
        start = keras.initializers.GlorotUniform(seed=1)
        layers = [keras.Input((8, 8, 3)), keras.layers.Rescaling(1 / 255), keras.layers.Flatten()]
        heads.append(keras.Sequential([*layers, keras.layers.Dense(3, kernel_initializer=start)]))
        fit(heads[-1], data, epochs=2, learning_rate=0.1, batch_size=4, progress=False)
    assert same_weights(*heads)


def test_groups_are_the_font_families_and_no_family_is_in_both_parts() -> None:
    printed = load_domain("printed")
    assert printed.train.groups is not None
    assert printed.test.groups is not None
    assert not set(printed.train.groups) & set(printed.test.groups)
    lines = (Path(assets.__file__).parent / "printed_fonts.txt").read_text(encoding="utf-8").splitlines()[1:]
    families = {
        part: {line.split("\t")[1] for line in lines if line.endswith(f"\t{part}")} for part in ("train", "test")
    }
    assert len(set(printed.train.groups)) == len(families["train"])
    assert len(set(printed.test.groups)) == len(families["test"])
    assert load_domain("mnist").train.groups is None


def test_groups_follow_their_examples() -> None:
    x = np.arange(12, dtype=np.uint8).reshape(12, 1, 1, 1)
    split = Split(x, np.arange(12) % 3, groups=np.arange(12) * 10)
    for part in (split[::2], split[split.y == 1], split.take(2, seed=0)):
        assert part.groups is not None
        assert part.groups.tolist() == [10 * int(i) for i in part.x.ravel()]
    kept = Domain("d", split, split, ("a", "b", "c")).restrict_to(("c", "a")).train
    assert kept.groups is not None
    assert kept.groups.tolist() == [10 * int(i) for i in kept.x.ravel()]


@pytest.mark.parametrize(
    ("groups", "error", "words"),
    [
        (np.zeros(3), TypeError, ("integers", "float64")),
        (np.zeros(2, int), ValueError, ("(3,)", "(2,)")),
        (["a", "b", "c"], TypeError, ("integers",)),
    ],
)
def test_groups_of_another_kind_are_refused(groups, error, words) -> None:
    with raises_one_line(error, *words):
        Split(np.zeros((3, 2, 2, 1), np.uint8), np.zeros(3, int), groups)
