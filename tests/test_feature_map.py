"""FeatureMap: neighbours against a plain loop, what a press does, and what is refused."""

import itertools

import numpy as np
import pytest
from helpers import raises_one_line, random_split

import tlkit
from tlkit.backbones import Backbone
from tlkit.domains import Domain, Split
from tlkit.widgets import FeatureMap

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def domain() -> Domain:
    return Domain(HOSTILE, random_split(40, seed=1), random_split(9, seed=2), ("a", HOSTILE, "$c$"))


@pytest.fixture(scope="module")
def shown(domain: Domain, still_toy: Backbone) -> FeatureMap:
    """For tests that only look."""
    return FeatureMap(domain, still_toy, images=24, seed=3)


def by_hand(split: Split, backbone: Backbone, stage: int) -> list[list[float]]:
    """Likeness by a loop over pairs, from what Keras predicts."""
    x = split.x / 255 if stage == 0 else tlkit.split_at(backbone, stage)[0].predict(split.x, verbose=0)
    vectors = x.reshape(len(x), -1) if stage == 0 else x.mean(axis=(1, 2))
    vectors = (vectors - vectors.mean(axis=0)) / np.maximum(vectors.std(axis=0), 1e-9)
    return [[a @ b / np.linalg.norm(a) / np.linalg.norm(b) for b in vectors] for a in vectors]


@pytest.mark.parametrize("stage", [0, 2])
def test_neighbours_are_those_of_a_plain_loop(shown: FeatureMap, still_toy: Backbone, stage: int) -> None:
    likeness = by_hand(shown.split, still_toy, stage)
    assert np.allclose(shown.likeness(stage), likeness, atol=1e-4)
    for k, row in enumerate(likeness):
        others = sorted((j for j in range(len(row)) if j != k), key=lambda j: -row[j])
        found = shown.neighbours(k, stage=stage, n=3)
        assert np.allclose([row[j] for j in found], [row[j] for j in others[:3]], atol=1e-4)
        assert k not in found
    nearest = [max((j for j in range(len(row)) if j != k), key=lambda j: row[j]) for k, row in enumerate(likeness)]
    assert shown.same_class(stage).tolist() == (shown.split.y[nearest] == shown.split.y).tolist()


def test_as_many_pictures_of_each_class_and_chance_is_counted(shown: FeatureMap) -> None:
    assert np.bincount(shown.split.y).tolist() == [8, 8, 8]
    alike = [a == b for a, b in itertools.combinations(shown.split.y.tolist(), 2)]
    assert f"chance is {np.mean(alike):.0%}." in shown.sentence


def test_a_picture_beside_its_copy_finds_it(still_toy: Backbone) -> None:
    half = random_split(12, seed=5)
    twice = Split(np.concatenate([half.x, half.x]), np.concatenate([half.y, half.y]))
    shown = FeatureMap(Domain("twice", twice, half, ("a", "b", "c")), still_toy, images=24)
    for stage in range(still_toy.n_stages + 1):
        assert shown.same_class(stage).all()
        assert np.isclose(np.sort(shown.likeness(stage), axis=1)[:, -2], 1).all()


def test_a_press_picks_and_the_slider_compares(domain: Domain, still_toy: Backbone) -> None:
    shown = FeatureMap(domain, still_toy, images=24, seed=3)
    before = shown._map.value
    shown._pressed("7")
    assert (shown.picked, shown._map.value != before) == (7, True)
    assert shown._map.value.count('aria-pressed="true"') == 1
    assert shown._map.value.count("class=near") == len(shown.neighbours()) == 5
    shown._slider.value = 0
    assert shown.stage == 0
    assert "by their pixels" in shown._words.value
    for nonsense in ("24", "-1", "x", "٣٣", ""):
        shown._pressed(nonsense)
    assert shown.picked == 7


def test_two_maps_of_one_seed_are_alike(domain: Domain, shown: FeatureMap, still_toy: Backbone) -> None:
    assert FeatureMap(domain, still_toy, images=24, seed=3)._map.value == shown._map.value


def test_hostile_names_are_text(shown: FeatureMap) -> None:
    assert not any("<img src=x" in part.value for part in (shown._map, shown._near, shown._words))


def test_a_picture_and_words_are_left(shown: FeatureMap) -> None:
    bundle = shown._repr_mimebundle_()
    assert bundle["image/png"]
    assert bundle["text/plain"].startswith("FeatureMap of ")


def test_wrong_input_is_one_line(domain: Domain, shown: FeatureMap, still_toy: Backbone) -> None:
    with raises_one_line(ValueError, "images", "6", "5"):
        FeatureMap(domain, still_toy, images=5)
    words = Split(np.ones((4, 6), np.int32), np.arange(4) % 2)
    with raises_one_line(ValueError, "images", "texts"):
        FeatureMap(Domain("words", words, words, ("a", "b")), still_toy)
    with raises_one_line(ValueError, "stage", f"0..{still_toy.n_stages}", "9"):
        shown.stage = 9
    with raises_one_line(ValueError, "picked", "0..23", "24"):
        shown.picked = 24
