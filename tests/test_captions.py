"""Images and text: the loss against other implementations, the towers, retrieval, and the emoji as data."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT, raises_one_line
from sklearn.metrics import log_loss
from sklearn.metrics.pairwise import cosine_similarity

import tlkit
from tlkit._keras import keras, tf
from tlkit.assets import asset_path
from tlkit.captions import build_tower, cosines, letter_counts, recall_at
from tlkit.emoji import emoji_folds, load_emoji
from tlkit.pretraining import nt_xent, pretrain_captions

SOURCES = os.environ.get("TLKIT_EMOJI_PACKAGES")  # a folder with the three unpacked npm packages


def pairs(n: int = 6, d: int = 5, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(size=(n, d))


# The loss of CLIP


@pytest.mark.parametrize("temperature", [0.07, 1.0])
@pytest.mark.parametrize("n", [2, 7])
def test_across_is_the_mean_of_two_log_losses_of_scikit_learn(n: int, temperature: float) -> None:
    """The pseudocode of CLIP's figure 3: a cross-entropy over rows and one over columns of the same matrix."""
    one, two = pairs(n)
    logits = cosine_similarity(one, two) / temperature
    both = []
    for side in (logits, logits.T):
        chances = np.exp(side - side.max(axis=1, keepdims=True))
        both.append(log_loss(range(n), chances / chances.sum(axis=1, keepdims=True), labels=range(n)))
    assert float(nt_xent(one, two, temperature=temperature, across=True)) == pytest.approx(np.mean(both), rel=1e-4)


def test_across_knows_no_neighbour_of_its_own_side_and_has_its_known_ends() -> None:
    one, two = pairs(8)
    alike = np.ones((5, 3))
    assert float(nt_xent(alike, alike, across=True)) == pytest.approx(np.log(5), rel=1e-6)
    assert float(nt_xent(np.eye(5), np.eye(5), temperature=0.01, across=True)) == pytest.approx(0, abs=1e-6)
    assert float(nt_xent(two, one, across=True)) == pytest.approx(float(nt_xent(one, two, across=True)), rel=1e-5)
    # Two axes: turned by one matrix on both sides nothing changes; an image that is every other image's twin counts in
    # the loss with both sides, and not in this one.
    twins, captions = np.repeat([[1.0, 0.0]], 4, axis=0), np.eye(4)[:, :2]
    assert float(nt_xent(twins, captions, across=True)) < float(nt_xent(twins, captions))


# The towers


def concepts(n: int = 24, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two images and two captions of each concept: its hidden vector, turned on each side, and a little noise."""
    rng = np.random.default_rng(seed)
    hidden, looks, words = rng.normal(size=(n, 4)), rng.normal(size=(4, 6)), rng.normal(size=(4, 5))
    views, captions = (
        [hidden @ side + rng.normal(0, 0.02, size=(n, side.shape[1])) for _ in range(2)] for side in (looks, words)
    )
    return np.float32(views), np.float32(captions)


def towers(images: np.ndarray, texts: np.ndarray, *, seed: int = 0) -> tuple[keras.Model, keras.Model]:
    return build_tower(images, width=8, standardise=True, seed=seed), build_tower(texts, width=8, seed=seed)


def test_towers_learn_which_caption_belongs_to_which_image() -> None:
    images, texts = concepts()
    image_tower, text_tower = towers(images, texts)
    before = recall_at(cosines(image_tower, text_tower, images[0], texts[0]), 1)
    history = pretrain_captions(
        image_tower, text_tower, images, texts, epochs=60, learning_rate=0.01, batch_size=24, progress=False
    )
    assert list(history.columns) == ["epoch", "split", "loss", "accuracy"]
    assert history["loss"].iloc[-1] < history["loss"].iloc[0]
    for view in images:
        for caption in texts:
            assert recall_at(cosines(image_tower, text_tower, view, caption), 1) > max(before, 0.5)


def test_the_first_loss_is_that_of_the_formula() -> None:
    """One view and one caption, one batch: nothing is drawn, so the loss before the first step is known."""
    images, texts = concepts()
    images, texts = images[:1], texts[:1]
    image_tower, text_tower = towers(images, texts)
    vectors = image_tower.predict(images[0], verbose=0), text_tower.predict(texts[0], verbose=0)
    wanted = float(nt_xent(*vectors, temperature=0.07, across=True))
    history = pretrain_captions(image_tower, text_tower, images, texts, epochs=1, batch_size=24, progress=False)
    assert history["loss"].iloc[0] == pytest.approx(wanted, rel=1e-5)


def test_the_same_seed_gives_the_same_towers_and_frozen_layers_stay() -> None:
    images, texts = concepts()
    found = []
    for _ in range(2):
        image_tower, text_tower = towers(images, texts, seed=3)
        text_tower.trainable = False
        start = text_tower.get_weights()
        pretrain_captions(image_tower, text_tower, images, texts, epochs=3, batch_size=10, seed=4, progress=False)
        assert all(np.array_equal(a, b) for a, b in zip(start, text_tower.get_weights(), strict=True))
        found.append(image_tower.get_weights())
    assert all(np.array_equal(a, b) for a, b in zip(*found, strict=True))


def test_a_tower_standardises_by_what_it_was_given() -> None:
    images, _ = concepts()
    tower = build_tower(images * 9 + 5, width=3, standardise=True)
    rows = (images * 9 + 5).reshape(-1, 6).astype(float)
    kernel = tower.layers[-1].get_weights()[0]
    wanted = (rows - rows.mean(axis=0)) / rows.std(axis=0) @ kernel
    np.testing.assert_allclose(tower.predict(rows, verbose=0), wanted, rtol=1e-3, atol=1e-3)


def test_wrong_towers_and_examples_are_one_line() -> None:
    images, texts = concepts()
    image_tower, text_tower = towers(images, texts)

    def train(image: object = image_tower, x: object = images, y: object = texts, **options: float) -> None:
        settings = {"epochs": 1, "progress": False} | options
        pretrain_captions(image, text_tower, x, y, **settings)  # type: ignore[arg-type]

    with raises_one_line(ValueError, "images must have shape", "(24, 6)"):
        train(x=images[0])
    with raises_one_line(ValueError, "texts must have shape", "(2, 24, 4)"):
        train(y=texts[..., 1:])
    with raises_one_line(ValueError, "the same 2 or more concepts", "24 and 23"):
        train(y=texts[:, 1:])
    with raises_one_line(ValueError, "vectors of one width", "(None, 9)"):
        train(build_tower(images, width=9))
    with raises_one_line(ValueError, "temperature must be above 0"):
        train(temperature=0)
    with raises_one_line(ValueError, "epochs must be an integer of 1"):
        train(epochs=0)
    with raises_one_line(ValueError, "dropout must be 0 or more and below 1, got 1"):
        build_tower(images, dropout=1)
    with raises_one_line(ValueError, "examples must be finite"):
        build_tower(images * np.nan)


# Letters


def test_letters_are_counted_without_an_order_of_words_or_capitals() -> None:
    texts = ["red apple", "apple red", "Red Apple", "green apple", "红苹果", ""]
    counts = letter_counts(texts)
    assert (counts.shape, counts.dtype) == ((6, 2048), np.float32)
    assert np.array_equal(counts[0], counts[1])
    assert np.array_equal(counts[0], counts[2])
    np.testing.assert_allclose(np.linalg.norm(counts, axis=1), [1, 1, 1, 1, 1, 0], rtol=1e-6)
    alike = counts @ counts.T
    assert alike[0, 3] > alike[0, 4]
    assert np.array_equal(letter_counts([texts[3]])[0], counts[3])  # whoever else is there


def test_letters_against_counting_by_hand() -> None:
    """Pieces of " ab " of one to three letters, the two spaces among them, each with its own number."""
    pieces = [" ", "a", "b", " ", " a", "ab", "b ", " ab", "ab "]
    times = np.array(sorted(pieces.count(piece) for piece in set(pieces)))
    found = letter_counts(["ab"], width=1 << 20)[0]
    np.testing.assert_allclose(np.sort(found[found > 0]), times / np.linalg.norm(times), rtol=1e-6)


def test_long_texts_are_cut_and_wrong_ones_refused() -> None:
    assert np.array_equal(*letter_counts(["a" * 1000, "a" * 10**6]))
    for wrong in ("red apple", ["red", 3], [None]):
        with raises_one_line(ValueError, "texts must be a list of strings"):
            letter_counts(wrong)  # type: ignore[arg-type]


# Retrieval


@pytest.mark.parametrize("k", [1, 3, 10])
def test_recall_is_that_of_sorting(k: int) -> None:
    scores = np.random.default_rng(k).normal(size=(10, 10))
    wanted = np.mean([i in np.argsort(-row)[:k] for i, row in enumerate(scores)])
    assert recall_at(scores, k) == pytest.approx(wanted)


def test_recall_at_its_ends() -> None:
    assert recall_at(np.eye(7), 1) == 1
    assert recall_at(-np.eye(7), 6) == 0
    assert recall_at(np.zeros((7, 7)), 6) == 0  # a constant finds nothing
    assert recall_at(np.zeros((7, 7)), 7) == 1
    with raises_one_line(ValueError, "square", "(7, 6)"):
        recall_at(np.zeros((7, 6)), 1)
    with raises_one_line(ValueError, "k must be in 1..7, got 8"):
        recall_at(np.eye(7), 8)
    with raises_one_line(ValueError, "finite"):
        recall_at(np.eye(7) * np.nan, 1)


def test_cosines_are_those_of_scikit_learn() -> None:
    images, texts = concepts()
    image_tower, text_tower = towers(images, texts)
    wanted = cosine_similarity(text_tower.predict(texts[0], verbose=0), image_tower.predict(images[0], verbose=0))
    np.testing.assert_allclose(cosines(image_tower, text_tower, images[0], texts[0]), wanted, atol=1e-5)
    nothing = cosines(image_tower, text_tower, images[0], np.zeros((1, 5)))
    assert np.array_equal(nothing, np.zeros((1, 24)))


# The emoji


def test_the_emoji_are_whole_and_named_once() -> None:
    emoji = load_emoji()
    n = len(emoji)
    assert emoji.pictures.shape == (3, n, 40, 40, 3)
    assert emoji.pictures.dtype == np.uint8
    assert emoji.vendors == ("noto", "twemoji", "fluent-emoji-flat")
    for names in (emoji.symbols, emoji.english, emoji.chinese):
        assert len(set(names)) == n
        assert all(name.strip() == name and name for name in names)
        assert not any(re.search(r"[:_<>\x00-\x1f]", name) for name in names)
    assert emoji.english[emoji.symbols.index("🍎")] == "red apple"
    assert emoji.chinese[emoji.symbols.index("🍎")] == "红苹果"
    assert emoji.groups[emoji.group[emoji.symbols.index("🍎")]] == "Food & Drink"
    assert not emoji.pictures.flags.writeable


def test_each_picture_has_ink_and_no_two_concepts_of_a_vendor_are_one_picture() -> None:
    emoji = load_emoji()
    for pictures in emoji.pictures:
        flat = pictures.reshape(len(emoji), -1)
        assert (flat.min(axis=1) < 250).all()
        assert len(np.unique(flat, axis=0)) >= len(emoji) - 5  # some vendors draw a pair alike
        assert all(len(np.unique(each.reshape(-1, 3), axis=0)) <= 16 for each in pictures[::50])


def test_pictures_are_drawn_upright_in_their_colours() -> None:
    """Known answers, by eye: the circle is red on white, and the arrow to the left has more ink on its left half."""
    emoji = load_emoji()
    for pictures in emoji.pictures:
        circle = pictures[emoji.symbols.index("🔴")].astype(int)
        red, green, blue = circle[20, 20]
        assert red > 150 > max(green, blue) + 40
        assert circle[0, 0].min() == 255
        half = pictures[emoji.symbols.index("🌗")].astype(int).sum(axis=2)  # last quarter: its left half is bright
        assert half[10:30, 8:18].mean() > half[10:30, 22:32].mean()


def test_families_hold_variants_together() -> None:
    emoji = load_emoji()
    of = dict(zip(emoji.english, emoji.family, strict=True))
    assert of["man running"] == of["woman running"] == of["person running"] == of["man running facing right"]
    assert of["man astronaut"] == of["woman astronaut"] == of["astronaut"]
    assert len({of["man"], of["woman"], of["person"], of["red apple"], of["sheaf of rice"], of["man farmer"]}) == 6


@pytest.mark.parametrize("seed", [0, 1])
def test_folds_are_disjoint_by_family_and_seeded(seed: int) -> None:
    emoji = load_emoji()
    learned, kept = emoji_folds(emoji, seed=seed)
    assert sorted([*learned, *kept]) == list(range(len(emoji)))
    assert not set(emoji.family[learned]) & set(emoji.family[kept])
    families = len(set(emoji.family))
    assert len(set(emoji.family[kept])) == round(0.2 * families)
    again = emoji_folds(emoji, seed=seed)
    assert np.array_equal(again[1], kept)
    assert not np.array_equal(emoji_folds(emoji, seed=seed + 2)[1], kept)
    with raises_one_line(ValueError, "held_out must be between 0 and 1, both excluded, got 1"):
        emoji_folds(emoji, seed=0, held_out=1)


def test_licences_are_said_per_vendor() -> None:
    text = asset_path("emoji_licenses.txt").read_text(encoding="utf-8")
    for fragment in (
        "Apache License, version 2.0",
        "CC BY 4.0",
        "Copyright (c) Microsoft Corporation",
        "Taehoon Kim",
        "UNICODE LICENSE V3",
        "reduced to 16 colors",
    ):
        assert fragment in " ".join(text.split()), fragment
    provenance = (ROOT / "tlkit" / "assets" / "PROVENANCE.md").read_text(encoding="utf-8")
    for vendor in load_emoji().vendors:
        assert vendor in text
        assert vendor in provenance


@pytest.mark.skipif(SOURCES is None, reason="needs the three npm packages: TLKIT_EMOJI_PACKAGES=FOLDER")
def test_the_file_is_what_the_tool_makes_of_the_packages() -> None:
    pytest.importorskip("resvg_py", reason="needs pip install resvg-py==0.5.0 emoji==2.16.0")
    import build_assets
    import make_emoji

    assert build_assets.npz_bytes(make_emoji.build(Path(str(SOURCES)))) == asset_path("emoji.npz").read_bytes()


def test_the_loader_is_public() -> None:
    assert tlkit.load_emoji() is load_emoji()
    assert tf.is_tensor(tlkit.nt_xent([[1.0, 0.0]], [[0.0, 1.0]], across=True))
