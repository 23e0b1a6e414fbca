"""A notebook's summary says what its asserts could refute: the cells that hold them name the bullet by a tag.

The cells of bullet 2 have the tag `summary-2`. That an assert says what the bullet says, only a reader can tell; here
each bullet has asserts, and one that compares has an assert that compares.
"""

import ast
import re
from pathlib import Path
from typing import Any

import build_notebooks
import jupytext
import pytest

BULLET = re.compile(r"^- (.+?)(?=^- |\Z)", re.M | re.S)
TAG = re.compile(r"summary-(\d+)")
COMPARATIVE = re.compile(
    r"\b(more|less|better|worse|fewer|higher|lower|smaller|larger|faster|slower|best|beats?|gain(s|ed)?|los(es?|t)|ahead|"
    r"behind|below|above|forgets?|forgot|helps?|helped|hurts?|harm|as (good|well|much) as|no difference|at most)\b"
)
ORDERED = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
COMPARES = {"rises", "falls", "shows", "undecided"}  # functions of notebooks 05 and 12: an interval against zero
NOTEBOOKS = pytest.mark.parametrize("source", build_notebooks.sources([]), ids=lambda source: source.stem[:2])


def bullets(notebook: Any) -> list[str]:
    """The summary's bullets, each on one line."""
    (summary,) = [cell.source for cell in notebook.cells if re.match(r"## Summary$", cell.source, re.M)]
    return [" ".join(bullet.split()) for bullet in BULLET.findall(summary)]


def asserts(code: str) -> list[ast.Assert]:
    """The assert statements of a cell, those inside loops and functions too; IPython's own lines are left out."""
    python = "\n".join("" if line.startswith(("%", "!", "?")) else line for line in code.splitlines())
    return [node for node in ast.walk(ast.parse(python)) if isinstance(node, ast.Assert)]


def refuting(notebook: Any) -> dict[int, list[list[ast.Assert]]]:
    """For each number among the tags the asserts of its cells, cell by cell."""
    found: dict[int, list[list[ast.Assert]]] = {}
    for cell in notebook.cells:
        for tag in cell.metadata.get("tags", []):
            if match := TAG.fullmatch(tag):
                assert cell.cell_type == "code", cell.source
                found.setdefault(int(match[1]), []).append(asserts(cell.source))
    return found


def compares(statement: ast.Assert) -> bool:
    """Whether an assert holds one number against another."""
    for node in ast.walk(statement.test):
        if isinstance(node, ast.Compare) and any(isinstance(operator, ORDERED) for operator in node.ops):
            return True
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in COMPARES:
            return True
    return False


@NOTEBOOKS
def test_each_bullet_has_cells_whose_asserts_could_refute_it(source: Path):
    notebook = jupytext.read(source)
    claims, cells = bullets(notebook), refuting(notebook)
    assert claims
    assert sorted(cells) == list(range(1, len(claims) + 1))
    assert [number for number, of_bullet in cells.items() if not all(of_bullet)] == []


@NOTEBOOKS
def test_a_comparison_has_an_assert_that_compares(source: Path):
    notebook = jupytext.read(source)
    cells = refuting(notebook)
    for number, bullet in enumerate(bullets(notebook), start=1):
        if word := COMPARATIVE.search(bullet):
            found = [compares(statement) for of_cell in cells.get(number, []) for statement in of_cell]
            assert any(found), f"{word[0]!r} in bullet {number}, and no assert of its cells compares: {bullet}"


def test_asserts_are_found_wherever_they_stand():
    code = "%matplotlib inline\nassert a == b\ndef f():\n    assert c\nfor d in e:\n    assert d < 1\n"
    assert [compares(statement) for statement in asserts(code)] == [False, False, True]


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("assert (gain > 0).all()", True),
        ("assert all(shows(gain[way]) for way in ways)", True),
        ("assert not findings", False),
        ("assert audit['moved'].sum() == 2", False),
    ],
)
def test_a_comparison_is_told_from_an_equality(statement: str, expected: bool):
    assert [compares(one) for one in asserts(statement)] == [expected]


def test_words_that_compare():
    assert COMPARATIVE.search("It does more than raw pixels.")
    assert COMPARATIVE.search("LoRA ranks as well as a probe.")
    assert not COMPARATIVE.search("Flags say what was asked for.")
