"""The words of messages: always one line, never too long, and in the right number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlkit.words import counted, nearest_name, one_line, printable, reason, shortened, some_of


@given(st.text(), st.integers(1, 50))
def test_whatever_is_given_comes_out_as_one_printable_line(text: str, limit: int) -> None:
    for line, longest in ((one_line(text, limit), limit), (printable(text), len(text)), (one_line(text), 400)):
        assert line.isprintable()
        assert len(line) <= longest
    assert one_line(one_line(text, limit), limit) == one_line(text, limit)
    assert " ".join(one_line(text).split()) == one_line(text)


def test_a_line_that_is_one_already_stays() -> None:
    for text in ("", "an error of 3 words", "ünïcödé 汤"):
        assert one_line(text) == printable(text) == text


def test_colours_and_control_characters_go() -> None:
    assert one_line("a\x1b[31mred\x1b[0m\nb\x07\r\n  c\u202e") == "ared b c"
    assert one_line("x" * 50, 10) == "x" * 9 + "…"
    assert one_line(ValueError("two\nlines")) == "two lines"


def test_a_name_keeps_its_spaces_and_its_length() -> None:
    assert printable("two  spaces\n.png") == "two  spaces?.png"


def test_an_error_without_words_has_its_kind() -> None:
    assert reason(ValueError("this\n  and that")) == "this and that"
    assert reason(KeyError()) == "KeyError"
    assert reason(ValueError(" \n")) == "ValueError"
    assert len(reason(ValueError("x" * 999))) == 200


@given(st.text(), st.integers(1, 30))
def test_a_shortened_text_is_the_text_or_its_beginning(text: str, limit: int) -> None:
    short = shortened(text, limit)
    assert short == text if len(text) <= limit else (len(short) == limit and text.startswith(short[:-1]))
    assert short == text or short.endswith("…")


@pytest.mark.parametrize(
    ("n", "noun", "plural", "words"),
    [
        (0, "layer", "", "0 layers"),
        (1, "layer", "", "1 layer"),
        (2, "BatchNorm layer", "", "2 BatchNorm layers"),
        (1234, "file", "", "1,234 files"),
        (1, "class", "classes", "1 class"),
        (3, "class", "classes", "3 classes"),
    ],
)
def test_counted(n: int, noun: str, plural: str, words: str) -> None:
    assert counted(n, noun, plural) == words


@pytest.mark.parametrize(
    ("names", "words"),
    [([], ""), (["a"], "a"), (["a", "b", "c"], "a, b, c"), (["a", "b", "c", "d", "e"], "a, b, c and 2 more")],
)
def test_some_of(names: list[str], words: str) -> None:
    assert some_of(names) == words
    assert some_of(names, 99) == ", ".join(names)


def test_the_nearest_name() -> None:
    assert (
        nearest_name("mnsit", ("optdigits", "mnist"))
        == "one of 'mnist', 'optdigits', got 'mnsit'. Did you mean 'mnist'?"
    )
    assert nearest_name(7, {"a": 1}) == "one of 'a', got 7."
    many = [f"name{i}" for i in range(1200)]
    assert nearest_name("name7x", many) == (
        "one of 'name7', 'name97', 'name87' and 1,197 more, got 'name7x'. Did you mean 'name7'?"
    )
