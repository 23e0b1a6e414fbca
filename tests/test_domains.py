"""Domains: what a split refuses, how samples are drawn, what is bundled, and the learner's own folder."""

import collections
from pathlib import Path

import numpy as np
import pytest
from helpers import raises_one_line, random_split
from PIL import Image

from tlkit import assets
from tlkit.domains import Domain, DomainPair, Split, blend_into_photographs, load_domain, load_pair

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


def test_a_validation_part_is_checked_and_restricted_like_the_others() -> None:
    data = random_split(30, classes=5)
    test, validation = random_split(20, classes=5, seed=1), random_split(20, classes=5, seed=2)
    assert Domain("d", data, test, tuple("abcde")).validation is None
    less = Domain("d", data, test, tuple("abcde"), validation).restrict_to(("d", "a")).validation
    assert less is not None
    np.testing.assert_array_equal(less.x, validation.x[np.isin(validation.y, [0, 3])])
    np.testing.assert_array_equal(less.y, np.where(validation.y == 3, 0, 1)[np.isin(validation.y, [0, 3])])
    whole = Split(IMAGES, LABELS)
    with raises_one_line(ValueError, "train and validation examples", "(4, 4, 1)", "(4, 2, 1)"):
        Domain("d", whole, whole, ("a", "b"), Split(IMAGES[:, :, :2], LABELS))
    with raises_one_line(ValueError, "validation labels", "0..1", "got 2"):
        Domain("d", whole, whole, ("a", "b"), Split(IMAGES, LABELS + 1))
    with raises_one_line(TypeError, "train and validation must be one kind"):
        Domain("d", whole, whole, ("a", "b"), Split(np.zeros((3, 4), np.int32), LABELS))


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


# Groups


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


def test_a_label_or_group_that_int64_does_not_hold_is_refused() -> None:
    x, too_large = random_split(3).x, np.array([0, 1, 2**64 - 1], np.uint64)
    with raises_one_line(ValueError, "labels must be", f"got {2**64 - 1}"):
        Split(x, too_large)
    with raises_one_line(ValueError, "groups must be", f"got {2**64 - 1}"):
        Split(x, np.arange(3), too_large)
    small = np.array([0, 1, 2], np.uint64)
    assert Split(x, small, small).y.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "x", [np.zeros((4, 0, 0, 3), np.uint8), np.zeros((4, 0), np.int32), np.zeros((4, 0), np.float32)]
)
def test_examples_that_hold_nothing_are_refused(x: np.ndarray) -> None:
    with raises_one_line(ValueError, "at least one number", f"got x of the shape {x.shape}"):
        Split(x, np.arange(4))


def test_a_class_whose_name_is_no_text_is_refused() -> None:
    split = random_split(6, classes=2)
    with raises_one_line(ValueError, "must be text", "'caf?'"):
        Domain("menu", split, split, ("tea", "caf\udce9"))


# Digits in photographs


def test_ink_turns_the_photograph_into_its_negative() -> None:
    x = np.zeros((6, 4, 5, 1), np.uint8)
    x[:, 1:3] = 255
    photograph = np.random.default_rng(0).integers(0, 256, (9, 11, 3)).astype(np.uint8)
    blended = blend_into_photographs(Split(x, np.arange(6)), seed=1, photographs=[photograph])
    assert blended.x.shape == (6, 4, 5, 3)
    np.testing.assert_array_equal(blended.y, np.arange(6))
    parts = [photograph[top : top + 4, left : left + 5] for top in range(6) for left in range(7)]
    for image in blended.x:
        plain = np.where(x[0] == 255, 255 - image, image)
        assert any(np.array_equal(plain, part) for part in parts)


def test_black_on_black_stays_and_white_comes_through() -> None:
    split = random_split(4)
    black = [np.zeros((8, 8, 3), np.uint8)]
    np.testing.assert_array_equal(blend_into_photographs(split, seed=0, photographs=black).x, np.repeat(split.x, 3, -1))
    white = [np.full((8, 8, 3), 255, np.uint8)]
    again = blend_into_photographs(split, seed=0, photographs=white).x
    np.testing.assert_array_equal(255 - again, np.repeat(split.x, 3, -1))


def test_a_seed_gives_the_same_pictures_and_a_longer_split_begins_alike() -> None:
    split = random_split(6, shape=(28, 28, 1))
    one, again, other, fewer = (
        blend_into_photographs(part, seed=seed).x for part, seed in ((split, 3), (split, 3), (split, 4), (split[:4], 3))
    )
    np.testing.assert_array_equal(one, again)
    np.testing.assert_array_equal(one[:4], fewer)
    assert not np.array_equal(one, other)


def test_what_cannot_be_blended_is_said() -> None:
    split = random_split(4)
    with raises_one_line(ValueError, "images must be uint8", "float32 (4, 3)"):
        blend_into_photographs(Split(np.ones((4, 3), np.float32), split.y), seed=0)
    with raises_one_line(ValueError, "8 by 8 pixels or more", "(4, 9, 3)"):
        blend_into_photographs(split, seed=0, photographs=[np.zeros((4, 9, 3), np.uint8)])
    with raises_one_line(ValueError, "photographs must be one array or more"):
        blend_into_photographs(split, seed=0, photographs=[])
    with raises_one_line(ValueError, "split must be a Split"):
        blend_into_photographs(split.x, seed=0)  # type: ignore[arg-type]
