"""Pages for people: a student's feedback, the class at a glance, and formulas that need no network."""

import html
import random
import re
import time
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import ROOT, raises_one_line

pytest.importorskip("nbgrader", reason="needs tlkit[exercises]")
import math_core
import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tlkit.grading import formulas
from tlkit.grading.feedback import safe_html, safe_markdown
from tlkit.grading.notebook import lent_words, parts_of, show_lent
from tlkit.grading.overview import class_overview, read_checks
from tlkit.grading.pages import FeedbackPage


class Tags(HTMLParser):
    """The tags of a page with their attributes, what stands between them, and where links lead."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text: list[str] = []
        self.links: dict[str, str] = {}
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self.open.append("")

    def handle_data(self, data: str) -> None:
        if "style" not in self.open[-1:]:
            self.text.append(data)
        if self.open[-1:] == ["a"]:
            self.links[self.tags[-1][1].get("href", "")] = data

    def names(self) -> set[str]:
        return {tag for tag, _ in self.tags}


def runs_or_loads(page: str) -> list[object]:
    """What a browser would run, or fetch."""
    found: list[object] = []
    for tag, attributes in Tags(page).tags:
        found += [(tag, name) for name in attributes if name.startswith("on")]
        found += [(tag, value) for value in attributes.values() if "javascript:" in value]
        if tag in ("script", "link", "iframe", "object", "embed", "svg", "base"):
            found.append(tag)
        if not attributes.get("src", "data:image/").startswith("data:image/"):
            found.append((tag, attributes["src"]))
    return found


# Formulas


def mathml(latex: str, *, display: bool) -> str:
    return math_core.LatexToMathML().convert_with_local_state(latex, displaystyle=display)


def test_formulas_become_the_mathml_of_their_latex() -> None:
    cases = {
        "a $x_1 < y$ b": ("x_1 < y", False),
        "$$\\frac{a}{b}$$": (r"\frac{a}{b}", True),
        "$$\n\\frac{a}{b}\n$$": (r"\frac{a}{b}", True),
        "| a |\n|---|\n| $\\theta$ |\n": (r"\theta", False),
        "- **b** $\\hat y$": (r"\hat y", False),
    }
    for markdown, (latex, display) in cases.items():
        assert mathml(latex, display=display) in safe_markdown(markdown), markdown


def test_dollars_in_code_and_escaped_ones_are_no_formula() -> None:
    for markdown in ("`$x$`", "```\n$x$\n```", "    $x$", r"\$5 and \$6", "5 $ or less"):
        assert "<math" not in safe_markdown(markdown)
        assert "$" in safe_markdown(markdown)


def test_what_is_no_formula_stays_as_it_was_written() -> None:
    assert safe_markdown(r"$\no_such_command{x}$") == "<p>$\\no_such_command{x}$</p>\n"
    assert safe_markdown("$a < & b$") == "<p>$a &lt; &amp; b$</p>\n"


def test_long_formulas_are_drawn_if_they_are_the_courses(monkeypatch) -> None:
    monkeypatch.setattr(formulas, "_trusted", set())
    formulas._mathml.cache_clear()
    latex = r"\hat m = \frac{m}{1 - \beta_1^t} \qquad \hat v = \frac{v}{1 - \beta_2^t} + \sqrt{\frac{a_1}{b_1}}"
    assert "<math" not in safe_markdown(f"$${latex}$$")
    formulas._mathml.cache_clear()
    formulas.trust_formulas(f"text\n\n$${latex}$$\n\nmore")
    assert mathml(latex, display=True) in safe_markdown(f"as above: $${latex}$$")


@pytest.mark.parametrize(
    "latex",
    [
        "(" * 100,  # math-core takes minutes for 30 of them
        "{" * 10**5 + "}" * 10**5,  # and ends the process here
        r"\hat" * 10**5 + " x",
        r"\newcommand{\a}{\hat\hat\hat\hat}\a\a\a\a x",
        "x" * 10**6,
    ],
    ids=["brackets", "braces", "accents", "macros", "length"],
)
def test_a_hostile_formula_is_not_converted(latex) -> None:
    start = time.monotonic()
    assert "<math" not in safe_markdown(f"$${latex}$$")
    assert time.monotonic() - start < 20  # on a busy machine; a second on a quiet one


def test_no_short_formula_takes_long() -> None:
    rng = random.Random(0)
    pieces = [*"{}([|<^_x2&", r"\hat ", r"\sqrt", r"\frac", r"\left(", r"\right)", r"\bigl(", r"\\"]
    pieces += [r"\begin{matrix}", r"\end{matrix}", r"\text{", r"\langle ", r"\lVert ", r"\sum"]
    slowest = 0.0
    for _ in range(3000):
        formula = f"${''.join(rng.choice(pieces) for _ in range(rng.randrange(1, 16)))}$"
        start = time.perf_counter()
        drawn = formulas._mathml(formula)
        slowest = max(slowest, time.perf_counter() - start)
        assert runs_or_loads(drawn) == []
    assert slowest < 0.5


@pytest.mark.parametrize(
    "markdown",
    [
        r"$\text{<script>x()</script><img src=x onerror=x()>}$",
        r'<img alt=">$\text{ onerror=x() }$" src=x>',
        r"<b title='> $\text{ onclick=x() }$ " + '"' + "'>b</b>",
        "[a](http://b.org '$x$ onclick=x()')",
        "\ue000<script>x()</script>\ue001",
        '<i title="&#xe000;$x$&#xe001;">i</i> &#xe000;<script>x()</script>&#xe001;',
        r"$\color{red;background:url(javascript:x())} x$",
        r"$\href{javascript:x()}{y}$",
        "<math><mtext><script>x()</script></mtext></math>",
        '<math href="javascript:x()">$x$</math>',
    ],
)
def test_no_formula_smuggles_anything(markdown) -> None:
    assert runs_or_loads(safe_markdown(markdown)) == []


def test_a_formula_in_an_attribute_stays_text() -> None:
    tags = Tags(safe_markdown('<b title="> $x$ <">b</b> $y$')).tags
    assert ("b", {"title": "> $x$ <"}) in tags
    assert [tag for tag, _ in tags].count("math") == 1


def test_cleaning_other_html_is_as_before() -> None:
    assert safe_html("<table><tr><td>$x$</td></tr></table>") == "<table><tbody><tr><td>$x$</td></tr></tbody></table>"


# Parts


def test_a_check_belongs_to_the_headings_above_it() -> None:
    def test(name: str) -> object:
        return new_code_cell("", metadata={"nbgrader": {"grade": True, "grade_id": name}})

    cells = [
        new_markdown_cell("# Title"),
        test("none"),
        new_markdown_cell("## 1. Softmax (18 points)\n\n### deeper"),
        test("a"),
        test("b"),
        new_markdown_cell("## 2. Train (72 points)"),
        new_markdown_cell("text\n\n## 3. Predict (13 points with the first test)"),
        test("c"),
        new_markdown_cell("## 4. All of it together (no points)"),
        new_markdown_cell("## 5. A (bit) more (1 point, graded by a person)"),
        test("d"),
    ]
    assert parts_of(cells) == {
        "none": "", "a": "1. Softmax", "b": "1. Softmax", "c": "2. Train · 3. Predict", "d": "5. A (bit) more",
    }  # fmt: skip


# A student's page

REASON = "softmax must be [[0.25, 0.75]] for " + "an_argument_without_a_break_" * 20 + ", got 1. Reread notebook 01."


def cell(source: str, name: str, *, score: float = 0, points: float = 0, outputs=(), **marks: object):
    nbgrader = {"grade_id": name, "score": score, "points": points, "locked": False, "solution": False, **marks}
    return new_code_cell(source, metadata={"nbgrader": nbgrader}, outputs=list(outputs))


def graded_notebook():
    error = new_output("error", ename="AssertionError", evalue=REASON, traceback=[REASON])
    written = {
        "grade_id": "seen",
        "grade": True,
        "solution": True,
        "score": 0,
        "points": 5,
        "comment": "**Why?** $x_1$",
    }
    return new_notebook(
        cells=[
            new_markdown_cell("## 1. Softmax (4 points)\n\n$$\\frac{a}{b}$$ <script>x()</script>"),
            cell("def softmax(Z): return '<script>x()</script>'", "softmax", solution=True, grade=False),
            cell("check()", "softmax_examples", grade=True, score=0, points=4, outputs=[error]),
            new_markdown_cell("## 2. Gradient (8 points)"),
            cell("check()", "gradient_any", grade=True, score=8, points=8, outputs=show_lent(["softmax"])),
            cell("check()", "gradient_zero", grade=True, score=2.5, points=2.5),
            new_markdown_cell("my answer", metadata={"nbgrader": written}),
        ]
    )


def page_of(folder: Path, notebook=None, *, title: str = "ps1_gradients", student: str = "ann") -> str:
    place = folder / "autograded" / student / "ps1"
    place.mkdir(parents=True, exist_ok=True)
    resources = {
        "metadata": {"path": str(place), "name": title},
        "nbgrader": {
            "notebook": title, "assignment": "ps1", "student": student, "score": 10.5, "max_score": 19.5,
            "late_penalty": 0,
        },
    }  # fmt: skip
    return FeedbackPage().from_notebook_node(notebook or graded_notebook(), resources)[0]


def test_each_check_has_a_link_of_its_name_that_leads_to_it(tmp_path) -> None:
    page = Tags(page_of(tmp_path))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    for name in ("softmax_examples", "gradient_any", "gradient_zero", "seen"):
        assert page.links[f"#check-{name}"] in (name, f"a comment on {name}")
        assert ids.count(f"check-{name}") == 1
    text = " ".join(" ".join(page.text).split())
    assert "10.5 of 19.5 points" in text
    assert "8 of 8 points" in text
    assert text.index("1. Softmax") < text.index("softmax_examples") < text.index("2. Gradient")


def test_a_page_says_why_and_what_was_lent(tmp_path) -> None:
    text = html.unescape(page_of(tmp_path))
    assert text.count(REASON) == 2  # above all, and at its cell
    assert text.count(lent_words(["softmax"])) == 2  # of its part, and at its cell
    assert text.index(lent_words(["softmax"])) > text.index("2. Gradient")
    assert "<b>Comment:</b> <p><strong>Why?</strong>" in text


def test_a_page_needs_no_network_and_runs_nothing(tmp_path) -> None:
    page = page_of(tmp_path, title="<script>x()</script>")
    assert runs_or_loads(page) == []
    assert "http" not in re.sub(r"<[^>]*>", "", page)
    assert "url(" not in page
    assert mathml(r"\frac{a}{b}", display=True) in page
    assert mathml("x_1", display=False) in page
    assert "&lt;script&gt;" in page


def test_a_page_names_the_tests_that_were_changed(tmp_path) -> None:
    notebook = graded_notebook()
    assert "Found in your notebook" not in page_of(tmp_path, notebook)
    for place, source in (("release/ps1", "check()"), ("submitted/ann/ps1", "pass")):
        (tmp_path / place).mkdir(parents=True)
        notebook.cells[2].source = source
        nbformat.write(notebook, tmp_path / place / "ps1_gradients.ipynb")
    assert "Found in your notebook: test cells changed softmax_examples." in page_of(tmp_path, notebook)


# A class at a glance


def checks_of(states: dict[str, str], checks=("a_one", "a_two", "b_one"), **more: object) -> pd.DataFrame:
    """A letter a check: p(asses), f(ails), n(ot tested), w(aits), h(alf)."""
    names = {"p": "passes", "f": "fails", "n": "not tested", "w": "waits", "h": "partly"}
    rows = [
        {
            "student": student, "assignment": "ps1", "part": check[0].upper(), "check": check, "state": names[letter],
            "points": {"p": 4.0, "h": 1.5}.get(letter, 0.0), "max_points": 4.0, "reason": "", "tested_with": "",
            "tests_touched": "", **more,
        }
        for student, letters in states.items()
        for check, letter in zip(checks, letters, strict=True)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def rows_in(page: str) -> dict[str, list[str]]:
    """The cells of each student's row, in the page's order."""
    body = page.split("<tbody>")[1].split("</tbody>")[0]
    found = {}
    for row in body.split("<tr>")[1:]:
        cells = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, flags=re.DOTALL)
        found[html.unescape(re.sub(r"<[^>]+>", "", cells[0]))] = cells[1:]
    return found


def test_rows_are_the_students_and_marks_their_checks() -> None:
    page = class_overview(checks_of({"ann": "pfh", "bob": "ppp", "cyd": "nwf"}))
    assert rows_in(page) == {"bob": ["12", "✓", "✓", "✓"], "ann": ["5.5", "✓", "✗", "½"], "cyd": ["0", "–", "?", "✗"]}
    heads = re.findall(r'<th class="check".*?<span>(.*?)</span>', page)
    assert heads == ["a_one", "a_two", "b_one"]
    parts = re.findall(r'<th class="part"[^>]*colspan="(\d+)"[^>]*>(.*?)</th>', page)
    assert parts == [("2", "A"), ("1", "B")]


def test_shares_are_of_those_who_have_been_graded() -> None:
    rng = np.random.default_rng(0)
    states = {f"s{i:03d}": "".join(rng.choice(list("pfnwh"), 3)) for i in range(150)}
    table = checks_of(states)
    shares = re.findall(r'<th class="share" style="--share: (\d+)%">(.*?)</th>', class_overview(table))[1:]
    for (bar, text), (_, rows) in zip(shares, table.groupby("check", sort=False), strict=True):
        graded = rows[rows["state"] != "waits"]
        assert bar == text == f"{100 * (graded['state'] == 'passes').sum() / len(graded):.0f}"
    nobody = re.findall(r'<th class="share"[^>]*>(.*?)</th>', class_overview(checks_of({"ann": "wpp"})))
    assert nobody[1:] == ["–", "100", "100"]


def test_equal_students_stand_beside_each_other() -> None:
    states = {f"s{i}": "pfp" if i % 2 else "ppf" for i in range(10)}
    order = list(rows_in(class_overview(checks_of(states))))
    assert sorted(order) == sorted(states)
    assert order == [f"s{i}" for i in (0, 2, 4, 6, 8)] + [f"s{i}" for i in (1, 3, 5, 7, 9)]


@pytest.mark.parametrize("n", [1, 5, 200])
def test_every_size_of_class_is_shown_whole(n) -> None:
    rng = np.random.default_rng(n)
    states = {f"s{i}": "".join(rng.choice(list("pf"), 3)) for i in range(n)}
    page = class_overview(checks_of(states))
    rows = rows_in(page)
    assert rows.keys() == states.keys()
    assert all(rows[name][1:] == ["✓" if letter == "p" else "✗" for letter in states[name]] for name in states)
    points = [float(cells[0]) for cells in rows.values()]
    assert points == sorted(points, reverse=True)


def test_names_and_reasons_are_text() -> None:
    evil = '<script>x()</script>"onmouseover="x()'
    table = checks_of({evil: "fpp"}, (f"c{evil}", "a_two", "b_one"), reason=evil, tests_touched=evil, part=evil)
    page = class_overview(table, {evil: "feedback/%3Cscript%3E.html"})
    assert runs_or_loads(page) == []
    assert list(rows_in(page)) == [evil]
    assert Tags(page).links["feedback/%3Cscript%3E.html"] == evil


def test_what_was_lent_and_changed_is_marked() -> None:
    table = checks_of({"ann": "ppf", "bob": "ppp"})
    table.loc[table["student"] == "ann", "tests_touched"] = "test cells changed a_one"
    table.loc[(table["student"] == "ann") & (table["check"] == "b_one"), "tested_with"] = "softmax"
    page = class_overview(table)
    assert rows_in(page) == {"bob": ["12", "✓", "✓", "✓"], "ann": ["8", "✓", "✓", "✗·", "⚑"]}
    assert "<li>ann: test cells changed a_one</li>" in page
    assert "b_one: fails, tested with the course&#39;s softmax" in page


def test_only_what_is_needed_is_needed() -> None:
    table = checks_of({"ann": "pfp"})[["student", "check", "state", "points", "max_points"]]
    assert rows_in(class_overview(table)) == {"ann": ["8", "✓", "✗", "✓"]}


def test_a_table_that_is_none_is_refused() -> None:
    table = checks_of({"ann": "pfp"})
    with raises_one_line(ValueError, "must have the columns", "got none named state"):
        class_overview(table.drop(columns="state"))
    with raises_one_line(ValueError, "must hold a row"):
        class_overview(table.iloc[:0])
    with raises_one_line(ValueError, "a state must be one of", "got 'lost'"):
        class_overview(table.assign(state="lost"))
    with raises_one_line(ValueError, "each check once, got 'a_one' of 'ann' twice"):
        class_overview(pd.concat([table, table]))


def test_names_that_look_like_numbers_stay_names(tmp_path) -> None:
    table = checks_of({"007": "ppp", "NA": "pff", "1e3": "fff"})
    table.to_csv(tmp_path / "checks.csv", index=False)
    assert list(rows_in(class_overview(read_checks(tmp_path / "checks.csv")))) == ["007", "NA", "1e3"]


def test_the_oracle_for_pages_finds_what_runs() -> None:
    for bad in ("<script>x()</script>", "<img src=http://x.org/a.png>", "<b onclick=x()>", '<a href="javascript:x()">'):
        assert runs_or_loads(bad), bad


# What a student is sent to


def places_named(text: str) -> set[tuple[str, str]]:
    """The places in words such as ``notebook 04, section 2, and 05, section 1``: a notebook, or "", and a heading."""
    found, where = set(), ""
    pattern = r"(?P<book>\b\d\d\b)|(?P<kind>sections?|rooms?|parts?) (?P<first>\d+)(?: (?:and|to) (?P<last>\d+))?"
    for match in re.finditer(pattern, text):
        if match["book"]:
            where = match["book"]
            found.add((where, ""))
            continue
        kind = match["kind"].rstrip("s")
        for number in filter(None, (match["first"], match["last"])):
            heading = f"## Room {number}:" if kind == "room" else f"## {number}."
            found.add(("" if kind == "part" else where, heading))
    return found


def test_places_are_read_off_words() -> None:
    assert places_named("notebook 04, section 2, and 05, sections 1 and 3") == {
        ("04", ""), ("04", "## 2."), ("05", ""), ("05", "## 1."), ("05", "## 3."),
    }  # fmt: skip
    assert places_named("part 2 of this notebook, and notebook 08") == {("", "## 2."), ("08", "")}
    assert places_named("notebook 13, room 1") == {("13", ""), ("13", "## Room 1:")}


@pytest.mark.parametrize("source", sorted((ROOT / "exercises" / "source").glob("*/*.py")), ids=lambda path: path.stem)
def test_what_a_student_is_sent_to_is_there(source) -> None:
    text = source.read_text(encoding="utf-8")
    named = re.findall(r"\bre_?read(?:_2)? ?= ?f?(?:\"([^\"]*)\"|'([^']*)')|_READ\w* ?= ?f?\"([^\"]*)\"", text)
    places = set().union(*(places_named("".join(words)) for words in named))
    assert len(places) >= 2
    for book, heading in places:
        (path,) = (ROOT / "notebooks" / "source").glob(f"{book}_*.py") if book else [source]
        assert f"\n# {heading}" in path.read_text(encoding="utf-8"), (book, heading)
