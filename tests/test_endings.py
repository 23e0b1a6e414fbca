"""Notebooks that look into a line of notebook 00 quote it as it stands there, and end with the same in plain Keras."""

import re

import build_notebooks
import pytest

NUMBERS = ["00", "01", "02", "03", "04", "05", "06", "07", "08", "09", "11", "12", "13", "14", "15", "16", "19"]
FIRST, *LATER = build_notebooks.sources(NUMBERS)
HEADING = re.compile(r"^## \d+\. The same in plain Keras", flags=re.MULTILINE)


def cells_of(source, kind):
    return [cell.source for cell in build_notebooks.read_source(source).cells if cell.cell_type == kind]


@pytest.mark.parametrize("source", LATER, ids=lambda source: source.stem)
def test_the_line_that_is_quoted_stands_in_notebook_00(source):
    program = "\n".join(cells_of(FIRST, "code"))
    opening = cells_of(source, "markdown")[0]
    about = re.search(r"[Nn]otebook 00 .*?(?=\n\n|\Z)", opening, flags=re.DOTALL)
    assert about, "its first cell says which line of notebook 00 it looks into"
    quoted = re.findall(r"`([^`]+)`", about[0].replace("\n", " "))
    assert quoted
    assert any(line in program for line in quoted)


@pytest.mark.parametrize("source", LATER, ids=lambda source: source.stem)
def test_it_ends_in_plain_keras_and_compares(source):
    cells = build_notebooks.read_source(source).cells
    headings = [place for place, cell in enumerate(cells) if HEADING.search(cell.source)]
    assert len(headings) == 1
    section = []
    for cell in cells[headings[0] + 1 :]:
        if cell.cell_type == "markdown" and cell.source.startswith("## "):
            break
        if cell.cell_type == "code":
            section.append(cell.source)
    plain = [code for code in section if "tlkit" not in code]
    assert any(".predict(" in code or ".fit(" in code for code in plain)
    assert any(re.search(r"^ *(np.testing\.)?assert[ _]", code, flags=re.MULTILINE) for code in section)
