"""A learner's copy of the course in a real JupyterLab: notebooks open as saved, show their pictures, and lead on."""

from typing import Any

import build_notebooks
import draw_ideas
import nbformat
import pytest
from lab_in_browser import Server, run_all, set_theme, turn_to
from nbclient import NotebookClient
from playwright.sync_api import expect

from tlkit.files.course import FIRST_NOTEBOOK, FOLDED, copy_course

IS_DIRTY = "() => window.jupyterapp.shell.currentWidget.context.model.dirty"
WIDGETS = "const notebook = jupyterapp.shell.currentWidget.content, cells = notebook.model.sharedModel.cells"
KNOWS_KERNEL = "() => window.jupyterapp.shell.currentWidget.context.model.getMetadata('language_info').version"


@pytest.fixture(scope="module")
def mine(server: Server) -> str:
    """A learner's copy, as a folder of the server."""
    copy_course(server.folder / "mine")
    return "mine"


def test_a_notebook_opens_as_saved_and_leads_to_its_exercise(lab_alone: Any, mine: str) -> None:
    page = lab_alone
    turn_to(page, f"{mine}/{FIRST_NOTEBOOK}")
    page.wait_for_function(KNOWS_KERNEL)  # the kernel has said what it is, and JupyterLab has noted that
    page.wait_for_timeout(1_000)
    assert page.evaluate(IS_DIRTY) is False
    page.evaluate("() => window.jupyterapp.shell.currentWidget.content.scrollToItem(1e6)")
    page.get_by_role("link", name="ps8_whole_program").click()
    expect(page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) h1").first).to_contain_text("ps8")
    page.wait_for_timeout(1_000)
    assert page.evaluate(IS_DIRTY) is False


PREDICTION = """# %% [markdown]
# **Predict before you run:** how much is it?

# %%
from tlkit.widgets import Predict

guess = Predict("How much is it?", between=(0, 1))
guess

# %%
"the answer is " + str(1 / 2)

# %%
guess.compare(0.5)
"""


def test_a_result_stays_hidden_until_its_cell_is_run_and_meets_the_guess(
    lab_alone: Any, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = lab_alone
    monkeypatch.setattr("tlkit.files.course._PACKAGE", server.folder)
    monkeypatch.setattr(build_notebooks, "SETUP", "import tlkit")  # nothing here needs TensorFlow
    (server.folder / "course" / "notebooks").mkdir(parents=True)
    source = server.folder / "00_prediction.py"
    source.write_text(PREDICTION, encoding="utf-8")
    notebook = build_notebooks.read_source(source)
    NotebookClient(notebook).execute()
    nbformat.write(notebook, server.folder / "course" / FIRST_NOTEBOOK)
    copy_course(server.folder)
    turn_to(page, FIRST_NOTEBOOK)
    answer = page.get_by_text("the answer is 0.5")
    expect(page.get_by_text(FOLDED).first).to_be_visible()
    expect(answer).to_be_hidden()
    page.get_by_text("guess = Predict").click()
    page.keyboard.press("Shift+Enter")
    page.get_by_role("slider").first.focus()
    page.keyboard.press("Home")
    page.get_by_role("button", name="This is my guess").click()
    expect(page.get_by_text("Recorded: 0.00 to 0.75.")).to_be_visible()
    expect(answer).to_be_hidden()
    run_all(page)
    expect(answer).to_be_visible()
    expect(page.get_by_text("How much is it? It is 0.50. Your range, 0.00 to 0.75, holds it.")).to_be_visible()


SIZES = """() => [...document.querySelectorAll('.jp-RenderedMarkdown img')].map(
    img => [img.complete && img.naturalWidth, img.clientWidth, img.parentElement.clientWidth])"""


def test_pictures_are_shown_whole_at_800_pixels(lab_alone: Any, server: Server, mine: str) -> None:
    page = lab_alone
    shown = "\n\n".join(f"![{said}](pictures/{name}.svg)" for name, said in draw_ideas.descriptions().items())
    notebook = nbformat.read(server.folder / mine / FIRST_NOTEBOOK, as_version=4)
    notebook.cells = [nbformat.v4.new_markdown_cell(shown)]
    nbformat.write(notebook, server.folder / mine / "notebooks" / "ideas.ipynb")
    page.set_viewport_size({"width": 800, "height": 4_600})
    turn_to(page, f"{mine}/notebooks/ideas.ipynb")
    page.wait_for_function(f"() => ({SIZES})().filter(([width]) => width).length === {len(draw_ideas.DRAW)}")
    for theme in ("Dark", "Light"):
        set_theme(page, f"JupyterLab {theme}")
        page.screenshot(path=page.shots / f"ideas_{theme}_800.png")
    for whole, width, room in page.evaluate(SIZES):
        assert whole == draw_ideas.WIDTH
        assert 0.8 * draw_ideas.WIDTH < width <= room


NEAR = """heading => [...document.querySelectorAll('h2')].some(
    h2 => h2.textContent.startsWith(heading) && Math.abs(h2.getBoundingClientRect().top) < innerHeight / 2)"""


REVIEW = "notebooks/09_article_review.ipynb"


@pytest.mark.parametrize(
    ("part", "label", "heading"),
    [("1", "10 § 4", "4. The article's program, as printed"), ("5", "09 § 5", "5. The program, § 5.2")],
)
def test_a_verdict_on_the_article_leads_to_the_section_that_shows_it(
    lab_alone: Any, mine: str, part: str, label: str, heading: str
) -> None:
    """The table is a stored output, and a link in it leads to a cell by its id."""
    page = lab_alone
    turn_to(page, f"{mine}/{REVIEW}")
    page.locator(".jp-NotebookPanel h1").first.wait_for()  # before its cells are drawn it does not scroll
    code = f'judged("{part}")'
    page.evaluate(f"() => {{ {WIDGETS}; notebook.scrollToItem(cells.findIndex(cell => cell.source === {code!r})) }}")
    page.get_by_role("link", name=label, exact=True).first.click()
    # JupyterLab scrolls by the heights that it guesses for cells it has not drawn: it may stop a little further down.
    page.get_by_role("heading", name=heading).wait_for()
    page.wait_for_function(NEAR, arg=heading)
