"""Predict: a guess is recorded once, and compared; the report is that of a binomial test by hand."""

import math

import pytest
from helpers import raises_one_line

from tlkit.widgets import Predict
from tlkit.widgets import predict as module


@pytest.fixture(autouse=True)
def nothing_asked_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_asked", {})


def test_a_range_is_recorded_once_and_compared():
    asked = Predict("What share is right?", between=(0, 1))
    assert asked.guessed is None
    asked.guess(0.6, 0.7)
    assert (asked.guessed, asked._button.disabled, asked._control.disabled) == ((0.6, 0.7), True, True)
    with raises_one_line(ValueError, "must be recorded once", "0.60 to 0.70"):
        asked.guess(0.1, 0.9)
    assert repr(asked.compare(0.65)) == "What share is right? It is 0.65. Your range, 0.60 to 0.70, holds it."
    assert asked.hit
    assert repr(asked.compare(0.825)).endswith("Your range, 0.60 to 0.70, misses it by 0.12.")
    assert repr(asked.compare(0.25)).endswith("misses it by 0.35.")
    assert not asked.hit


def test_both_ends_belong_to_a_range():
    for result in (0.2, 0.4):
        asked = Predict(f"Is it {result}?", between=(0, 1))
        asked.guess(0.2, 0.4)
        asked.compare(result)
        assert asked.hit


def test_the_button_records_what_the_controls_show():
    asked = Predict("How many?", between=(0, 4000))
    asked._control.value = (1000, 3000)
    asked._button.click()
    assert asked.guessed == (1000, 3000)
    assert "1,000 to 3,000" in asked._said.value
    chosen = Predict("Which?", choices=["clothes", "print"])
    chosen._button.click()
    assert chosen.guessed is None
    assert "Choose an answer first" in chosen._said.value
    chosen._control.value = "print"
    chosen._button.click()
    assert chosen.guessed == "print"


def test_a_choice_is_right_or_not_so():
    asked = Predict("Which is best?", choices=["clothes", "print"])
    asked.guess("clothes")
    assert repr(asked.compare("print")) == "Which is best? It is print. You guessed clothes: not so."
    assert repr(asked.compare("clothes")).endswith("You guessed clothes: right.")


def test_without_a_guess_the_result_is_shown_all_the_same():
    assert repr(Predict("What?", between=(0, 1)).compare(0.5)) == "What? It is 0.50. You recorded no guess."
    assert "No guess was recorded" in repr(Predict.report())
    again = Predict("What?", between=(0, 1))
    assert again._button.disabled
    with raises_one_line(ValueError, "before the result, which is known: 0.50"):
        again.guess(0.4, 0.6)


def test_a_cell_that_is_run_again_finds_its_guess_unless_the_question_is_another():
    Predict("What?", between=(0, 1)).guess(0.2, 0.3)
    assert Predict("What?", between=(0, 1)).guessed == (0.2, 0.3)
    assert Predict("What?", between=(0, 2)).guessed is None
    assert Predict("What else?", between=(0, 1)).guessed is None


def answered(hits: int, misses: int) -> str:
    for number in range(hits + misses):
        asked = Predict(f"Question {number}?", between=(0, 1))
        asked.guess(0.4, 0.6)
        asked.compare(0.5 if number < hits else 0.9)
    return repr(Predict.report())


@pytest.mark.parametrize("hits", range(6))
def test_the_report_judges_as_a_binomial_test_does(hits):
    n, p = 5, 0.8
    at_most = sum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(hits + 1))
    said = answered(hits, n - hits)
    assert f"{hits} of 5 ranges held the result, and 80% should." in said
    assert ("too narrow: you are less sure" in said) == (at_most < 0.05)
    assert said.count("✓") == hits
    assert "narrower ranges" not in said  # five of five happen one time in three


def test_many_hits_may_be_narrower():
    assert "you may choose narrower ranges" in answered(14, 0)  # 0.8 ** 14 = 0.044


def test_choices_are_counted_apart():
    asked = Predict("Which?", choices=["a", "b"])
    asked.guess("a")
    asked.compare("a")
    assert repr(Predict.report()).endswith("Of 1 choice 1 was right.")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "both or neither"),
        ({"between": (0, 1), "choices": ["a", "b"]}, "both or neither"),
        ({"between": (1, 0)}, "the lower one first, got (1, 0)"),
        ({"between": (0, math.inf)}, "finite"),
        ({"between": (0, math.nan)}, "finite"),
        ({"choices": ["a"]}, "two or more"),
        ({"choices": ["a", "a"]}, "each once"),
    ],
)
def test_a_bad_question_is_refused(options, said):
    with raises_one_line(ValueError, said):
        Predict("What?", **options)


@pytest.mark.parametrize(
    "given", [(0.2,), (0.2, 0.3, 0.4), (0.4, 0.2), (-0.1, 0.2), (0.2, 1.1), (math.nan, 1), ("a", 1)]
)
def test_a_bad_range_is_refused_and_nothing_recorded(given):
    asked = Predict("What?", between=(0, 1))
    with raises_one_line(ValueError, "two numbers within (0 to 1)"):
        asked.guess(*given)
    assert asked.guessed is None


def test_bad_choices_and_results_are_refused():
    asked = Predict("Which?", choices=["clothes", "print"])
    with raises_one_line(ValueError, "one of 'clothes', 'print'", "Did you mean 'print'"):
        asked.guess("printed")
    with raises_one_line(ValueError, "the result must be one of"):
        asked.compare("neither")
    with raises_one_line(ValueError, "finite number", "nan"):
        Predict("What?", between=(0, 1)).compare(math.nan)


def test_hostile_text_is_escaped_and_a_picture_is_left():
    question = "<img src=x onerror=alert(1)> $x$?"
    asked = Predict(question, choices=["<b>", "$"])
    asked.guess("<b>")
    assert "<img" not in "".join(getattr(child, "value", "") for child in asked.children if hasattr(child, "value"))
    assert "<img" not in asked.compare("$")._repr_html_()
    assert "<img" not in Predict.report()._repr_html_()
    bundle = asked._repr_mimebundle_()
    assert bundle["text/plain"] == f"Predict: {question} (<b>, $)"
    assert "image/png" in bundle
