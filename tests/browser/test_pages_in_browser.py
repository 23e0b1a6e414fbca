"""Pages that grading writes, in a real browser: nothing is cut off, on a wide screen or a narrow one."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("nbgrader", reason="needs tlkit[exercises]")

from test_feedback import REASON, checks_of, page_of

from tlkit.grading.overview import class_overview

CHECKS = [f"{part}_checks_that_it_{what}" for part in "abcdef" for what in ("works", "keeps_inputs", "ends_in_time")]


def show(page: Any, path: Path, text: str, width: int) -> None:
    path.write_text(text, encoding="utf-8")
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(path.as_uri())


def overflow(page: Any) -> int:
    """By how many pixels the page is wider than the window."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


@pytest.mark.parametrize("width", [1280, 400])
def test_feedback_wraps_and_its_links_lead_to_the_checks(page: Any, tmp_path: Path, width: int) -> None:
    show(page, tmp_path / "feedback.html", page_of(tmp_path), width)
    assert overflow(page) == 0
    for reason in page.locator(".reason").all():
        assert reason.inner_text() == REASON
        assert reason.evaluate("element => element.scrollWidth <= element.clientWidth")
    links = page.locator("nav a").all_inner_texts()
    assert len(links) == len(set(links)) == 5
    page.get_by_role("link", name="gradient_zero").click()
    top = page.locator("#check-gradient_zero").bounding_box()["y"]
    assert 0 <= top < 800
    # The formula is drawn: one number stands above the other.
    a, b = (page.locator("mfrac > mi").nth(i).bounding_box() for i in (0, 1))
    assert a["y"] + a["height"] <= b["y"] + 1


@pytest.mark.parametrize("students", [8, 200])
def test_a_class_is_legible(page: Any, tmp_path: Path, students: int) -> None:
    rng = np.random.default_rng(students)
    states = {f"student {i} with a name": "".join(rng.choice(list("ppf"), len(CHECKS))) for i in range(students)}
    show(page, tmp_path / "class.html", class_overview(checks_of(states, CHECKS)), 1280)
    assert overflow(page) == 0
    assert page.locator("tbody tr").count() == students
    sizes = page.locator("tbody td.fails").evaluate_all(
        "cells => cells.map(cell => parseFloat(getComputedStyle(cell).fontSize))"
    )
    assert min(sizes) >= 11
    # The names of the checks stay while the rows pass below them.
    page.locator("tbody tr").last.scroll_into_view_if_needed()
    heads = [head.bounding_box() for head in page.locator("thead th.check span").all()]
    assert all(box["y"] >= 0 and box["y"] + box["height"] < 400 for box in heads)
    assert all(one["x"] + one["width"] <= other["x"] + 1 for one, other in itertools.pairwise(heads))
