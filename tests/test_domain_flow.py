"""DomainFlow: places against scikit-learn's PCA, shares against the package's function, what is shown and refused."""

import re

import numpy as np
import pytest
from helpers import raises_one_line
from sklearn.decomposition import PCA

from tlkit.selection import told_apart
from tlkit.widgets import DomainFlow

HOSTILE = "<img src=x onerror=alert(1)> $x$"
EPOCHS = (0, 1, 2, 3, 8)
N, M, D = 12, 9, 5


def moments(seed: int = 0, names: tuple[str, ...] = ("plain", HOSTILE)) -> dict[str, dict]:
    """The domains of the first training drift apart, those of the others lie together."""
    rng = np.random.default_rng(seed)
    return {
        name: {
            epoch: (rng.normal(size=(N, D)), rng.normal(3 * epoch * (name == "plain"), 1, (M, D))) for epoch in EPOCHS
        }
        for name in names
    }


@pytest.fixture
def given() -> dict[str, dict]:
    return moments()


@pytest.fixture
def shown(given: dict[str, dict]) -> DomainFlow:
    return DomainFlow(given, directions=3)


def test_places_are_those_of_one_pca_for_all_moments_of_a_training(shown: DomainFlow, given: dict[str, dict]) -> None:
    for name, each in given.items():
        rows = np.concatenate([part for pair in each.values() for part in pair])
        oracle = PCA(2, svd_solver="full").fit(rows)
        for epoch, pair in each.items():
            for places, part in zip(shown.places(name, epoch), pair, strict=True):
                np.testing.assert_allclose(abs(places), abs(oracle.transform(part)), atol=1e-6)
        shown.training = name
        assert f"hold {oracle.explained_variance_ratio_.sum():.0%} of the spread" in shown.sentence


def test_the_share_is_that_of_the_package(shown: DomainFlow, given: dict[str, dict]) -> None:
    assert shown.told_apart("plain", 8) == told_apart(*given["plain"][8], directions=3)
    assert DomainFlow(given, directions=None).told_apart("plain", 1) == told_apart(*given["plain"][1])
    assert "all directions" in DomainFlow(given, directions=D).sentence  # no more than there are


def test_a_turn_and_a_move_of_all_features_change_nothing_but_signs(given: dict[str, dict]) -> None:
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(D, D)))[0]
    turned = {name: {k: tuple(x @ turn + 7 for x in pair) for k, pair in each.items()} for name, each in given.items()}
    one, other = (DomainFlow(each, directions=3) for each in (given, turned))
    for places, again in zip(one.places("plain", 3), other.places("plain", 3), strict=True):
        np.testing.assert_allclose(abs(places), abs(again), atol=1e-6)
    assert one.told_apart("plain", 3) == pytest.approx(other.told_apart("plain", 3))


def test_setting_and_sliding_are_the_same(shown: DomainFlow) -> None:
    assert (shown.training, shown.epoch) == ("plain", 0)
    shown.epoch = 8
    assert shown._slider.value == 8
    assert "plain, epoch 8" in shown._words.value
    by_trait = shown._points.value
    shown.epoch = 0
    shown._slider.value = 8
    assert shown.epoch == 8
    assert re.sub(r'class="moved" style="[^"]*"', "", shown._points.value) == re.sub(
        r'class="moved" style="[^"]*"', "", by_trait
    )
    shown._choice.value = HOSTILE
    assert shown.training == HOSTILE
    assert "moved" not in shown._points.value  # another training has other directions: nothing moves between them


def test_marks_come_from_where_they_were(shown: DomainFlow) -> None:
    def circles() -> np.ndarray:
        found = re.findall(r'<circle [^>]*cx="([\d.]+)" cy="([\d.]+)"', shown._points.value)
        return np.array(found, float)[1:]  # the first is that of the key

    before = circles()
    shown.epoch = 3
    ways = np.array(re.findall(r"<circle [^>]*--x:([-\d.]+)px;--y:([-\d.]+)px", shown._points.value), float)
    np.testing.assert_allclose(circles() + ways, before, atol=0.16)  # rounded thrice
    assert (len(before), shown._points.value.count("<path")) == (N, M + 1)


def test_names_are_text_and_a_picture_and_words_are_left(shown: DomainFlow) -> None:
    shown.training = HOSTILE
    assert "<img" not in shown._points.value + shown._words.value
    bundle = shown._repr_mimebundle_()
    assert bundle["image/png"]
    assert bundle["text/plain"].startswith("DomainFlow: ")
    assert re.findall(r"at epoch (\d+)", bundle["text/plain"]) == ["0", "1", "3", "8"] * 2  # four of the five


@pytest.mark.parametrize("epochs", [(4,), (0, 2)])
def test_one_training_needs_no_choice(epochs: tuple[int, ...]) -> None:
    alike = {"one": {epoch: (np.ones((2, 1)), np.ones((3, 1))) for epoch in epochs}}  # nothing spreads
    shown = DomainFlow(alike)
    assert shown._choice.layout.display == "none"
    assert shown.told_apart() == 0.5
    assert not np.any(shown.places()[0])
    assert shown._repr_mimebundle_()["image/png"]


def test_wrong_input_is_one_line(shown: DomainFlow) -> None:
    x, y = np.ones((4, 3)), np.ones((5, 3))
    for nothing in ({}, [], {"a": {}}, {"a": x}, None):
        with raises_one_line(ValueError, "{training: {epoch: (source, target)}}", "got"):
            DomainFlow(nothing)  # type: ignore[arg-type]
    with raises_one_line(ValueError, "a, epoch 4", "the same features, got 3 and 2"):
        DomainFlow({"a": {4: (x, y[:, :2])}})
    with raises_one_line(ValueError, "same shapes at all moments", "(4, 3) and (5, 3)", "(4, 2) and (5, 2)"):
        DomainFlow({"a": {0: (x, y)}, "b": {0: (x[:, :2], y[:, :2])}})
    with raises_one_line(ValueError, "a, epoch 0", "finite"):
        DomainFlow({"a": {0: (x, y * np.nan)}})
    with raises_one_line(ValueError, "a, epoch 0", "unpack"):
        DomainFlow({"a": {0: (x, y, y)}})  # type: ignore[dict-item]
    with raises_one_line(ValueError, "the same epochs, got 0, 4; 0, 8"):
        DomainFlow({"a": {4: (x, y), 0: (x, y)}, "b": {0: (x, y), 8: (x, y)}})
    with raises_one_line(ValueError, "the same epochs, got 0; none"):
        DomainFlow({"a": {0: (x, y)}, "b": {}})
    with raises_one_line(ValueError, "2 examples or more, got 1 and 5"):
        DomainFlow({"a": {0: (x[:1], y)}})
    with raises_one_line(ValueError, "epoch must be an integer of 0 or more, got -1"):
        DomainFlow({"a": {-1: (x, y)}})
    with raises_one_line(ValueError, "directions must be an integer of 1 or more, got 0"):
        DomainFlow({"a": {0: (x, y)}}, directions=0)
    with raises_one_line(ValueError, "epoch must be one of 0, 1, 2, 3, 8, got 4"):
        shown.epoch = 4
    with raises_one_line(ValueError, "training must be one of", "'plain'", "Did you mean 'plain'"):
        shown.places("plane")
