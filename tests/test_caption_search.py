"""CaptionSearch: what is found against sorting, what hostile input says, and that names stay text."""

import numpy as np
import pytest
from helpers import raises_one_line

from tlkit.widgets import CaptionSearch

HOSTILE = "<img src=x onerror=alert(1)> $x$"
NAMES = ["red apple", "green apple", HOSTILE, "dog", "cat"]
N = len(NAMES)


def lengths(text: str) -> np.ndarray:
    """Scores by how near a name's length is to that of the text."""
    return -np.abs(np.array([len(name) for name in NAMES]) - len(text)) / 100


@pytest.fixture
def search() -> CaptionSearch:
    pictures = np.random.default_rng(0).integers(0, 256, (N, 40, 40, 3)).astype(np.uint8)
    return CaptionSearch(pictures, NAMES, lengths, shown=3)


def test_what_is_found_is_what_sorting_finds(search: CaptionSearch) -> None:
    scores = lengths("an apple")
    found = search.find("an apple")
    assert [name for name, _ in found] == [NAMES[i] for i in np.argsort(-scores, kind="stable")[:3]]
    assert [score for _, score in found] == sorted(scores, reverse=True)[:3]
    assert "“an apple”, best first of 5" in search.sentence
    assert search._list.value.count("<img alt=") == 3


def test_typing_and_the_method_are_the_same(search: CaptionSearch) -> None:
    search.children[2].value = "red apple"
    by_field = search.found, search._list.value
    assert search.text == "red apple"
    search.text = ""
    assert search.found == []
    search.find("red apple")
    assert (search.found, search._list.value) == by_field
    assert search.children[2].value == "red apple"


@pytest.mark.parametrize("text", ["", "   ", "\n\t", "\x1b[31m"])
def test_nothing_typed_is_answered(search: CaptionSearch, text: str) -> None:
    assert search.find("dog")
    assert search.find(text) == []
    assert search.sentence == "Type a word or two."
    assert search._list.value == ""


@pytest.mark.parametrize("text", ["a" * 201, "a " * 10**6, " " * 1000 + "a"])
def test_a_long_text_is_refused_in_one_line(search: CaptionSearch, text: str) -> None:
    assert search.find(text) == []
    assert search.sentence == f"A text must have at most 200 letters, got {len(text):,}."


def test_names_and_texts_are_text(search: CaptionSearch) -> None:
    assert search.find(HOSTILE)[0][0] == HOSTILE
    assert "<img src=x" not in search._list.value + search._said.value
    assert "&lt;img src=x" in search._list.value
    assert "&lt;img src=x" in search._said.value
    assert "\n" not in search.sentence
    search.find("two\nlines")
    assert "“two lines”" in search.sentence


@pytest.mark.parametrize(
    ("score", "said"),
    [
        (lambda text: 1 / 0, "The model has no answer: division by zero"),
        (lambda text: np.ones(4), "The model must give 5 finite scores"),
        (lambda text: np.full(5, np.nan), "The model must give 5 finite scores"),
        (lambda text: np.zeros(5), "the model knows nothing of it"),
    ],
    ids=["raises", "other shape", "not finite", "all alike"],
)
def test_a_model_that_fails_is_answered_in_one_line(score, said: str) -> None:
    search = CaptionSearch(np.zeros((5, 4, 4, 3), np.uint8), NAMES, score, shown=3, text="dog")
    assert search.found == []
    assert said in search.sentence
    assert "\n" not in search.sentence


def test_a_picture_and_words_are_left(search: CaptionSearch) -> None:
    for text in ("", "red apple", HOSTILE):
        search.find(text)
        bundle = search._repr_mimebundle_()
        assert bundle["image/png"]
        assert bundle["text/plain"].startswith("CaptionSearch: ")
        assert all(name in bundle["text/plain"] for name, _ in search.find(text))


def test_wrong_arguments_are_one_line() -> None:
    pictures = np.zeros((5, 4, 4, 3), np.uint8)
    with raises_one_line(ValueError, "pictures must be uint8 (n, h, w, 3)", "float64"):
        CaptionSearch(pictures / 2, NAMES, lengths)
    with raises_one_line(ValueError, "names must be one a picture, 5, got 4"):
        CaptionSearch(pictures, NAMES[1:], lengths)
    with raises_one_line(ValueError, "shown must be in 1..5, got 6"):
        CaptionSearch(pictures, NAMES, lengths, shown=6)
    with raises_one_line(ValueError, "shown must be an integer of 1 or more, got 0"):
        CaptionSearch(pictures, NAMES, lengths, shown=0)
