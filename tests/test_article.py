"""The verdicts of notebook 09: each claim of the article has all its fields, and each link leads to a heading."""

import re

import build_notebooks
import nbformat
import pytest

import tlkit

CLAIMS = tlkit.stored_table("article_claims")
VERDICT = re.compile(r"right|right for \S.*|wrong|not shown")
LINK = re.compile(r'\[(\d\d) § (\d+)\]\((\d\d_\w+)\.ipynb#cell-id=section-(\d+) "([^"]+)"\)')
PAPER = r"arXiv:\d{4}\.\d{4,5}|doi:10\.\d{4}/\S+"
# The article's sections that claim something (§ 8.2 lists tools), and its ten questions.
PARTS = {2: 3, 3: 4, 4: 3, 5: 4, 9: 4}  # how many sections § 2 to § 9 have
SECTIONS = ["1", *(f"{part}.{n}" for part, last in PARTS.items() for n in range(1, last + 1)), "6", "7", "8.1", "8.3"]
QUESTIONS = [f"Q{number}" for number in range(1, 11)]
HANZI = re.compile(r"[\u4e00-\u9fff]")


def sections(stem: str) -> dict[str, str]:
    """The headings of a notebook's sections, by their numbers; a link leads to the id of the cell."""
    (source,) = build_notebooks.sources([stem])
    cells = build_notebooks.read_source(source).cells
    headings = {cell.id: cell.source.partition("\n")[0] for cell in cells if cell.id.startswith("section-")}
    return {name.removeprefix("section-"): heading.split(". ", 1)[1] for name, heading in headings.items()}


def test_each_claim_has_all_its_fields_and_one_of_four_verdicts():
    assert list(CLAIMS) == ["sections", "quote", "translation", "verdict", "shown_in", "why"]
    assert not CLAIMS.isna().to_numpy().any()
    assert CLAIMS.map(lambda text: bool(text.strip())).all(axis=None)
    assert [verdict for verdict in CLAIMS["verdict"] if not VERDICT.fullmatch(verdict)] == []
    assert not CLAIMS.duplicated(["sections", "quote"]).any()


def test_the_whole_article_is_judged():
    found = {section for sections in CLAIMS["sections"] for section in sections.split(", ")}
    assert found == {*SECTIONS, *QUESTIONS}
    # A part of the article is a table of the notebook: one call of `judged` each.
    (source,) = build_notebooks.sources(["09"])
    shown = re.findall(r'^judged\("(\w)"\)$', source.read_text(encoding="utf-8"), re.M)
    assert shown == list(dict.fromkeys(sections[0] for sections in CLAIMS["sections"]))


def test_quotes_are_the_articles_and_translations_are_english():
    for claim in CLAIMS.itertuples():
        original = HANZI.search(claim.quote) is not None
        # A formula, a line of a program or of a diagram, a reference: these are not in Chinese.
        assert original or re.search(r"\\|-->|\(.+\)|arXiv", claim.quote), claim.quote
        assert not HANZI.search(claim.translation + claim.why), claim.translation
        assert "|" not in "".join(claim[1:])  # it would be a new column of the notebook's table
        assert claim.translation.endswith(".")
        assert claim.why.endswith(".")


def test_a_verdict_says_where_it_is_shown():
    for claim in CLAIMS.itertuples():
        links, _, papers = claim.shown_in.partition("literature")
        if claim.shown_in == "nowhere":
            assert claim.verdict == "not shown"
            continue
        assert re.fullmatch(rf"({LINK.pattern}(, |; )?)*", links), claim.shown_in
        if papers:
            assert papers.startswith(": " if links else " only: "), claim.shown_in
            for paper in papers.partition(": ")[2].split("; "):
                assert re.search(PAPER, paper), claim.shown_in


@pytest.mark.parametrize("stem", sorted({link[2] for text in CLAIMS["shown_in"] for link in LINK.findall(text)}))
def test_each_link_leads_to_a_section_of_that_heading(stem):
    there = sections(stem)
    for label, number, name, target, title in (link for text in CLAIMS["shown_in"] for link in LINK.findall(text)):
        if name == stem:
            assert (label, target) == (stem[:2], number)
            wanted = there.get(number, "").replace("`", "")
            assert title == wanted, f"{stem} § {number} is {wanted!r} now: judge anew, then mend the link"


def test_a_number_that_may_change_stands_in_the_notebook_alone():
    assert [why for why in CLAIMS["why"] if re.search(r"\d\.\d", re.sub(r"§ \d\.\d", "", why))] == []


def test_the_built_notebook_shows_every_claim():
    (source,) = build_notebooks.sources(["09"])
    cells = nbformat.read(build_notebooks.built(source), as_version=4).cells
    outputs = [output for cell in cells if cell.cell_type == "code" for output in cell.outputs]
    tables = "".join(output.get("data", {}).get("text/markdown", "") for output in outputs)
    assert [quote for quote in CLAIMS["quote"] if quote not in tables] == []
    assert tables.count("\n| ") == len(CLAIMS)
