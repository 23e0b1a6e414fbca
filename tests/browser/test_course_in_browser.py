"""A learner's copy of the course in a real JupyterLab: notebooks open as saved, show their pictures, and lead on."""

from typing import Any

import draw_ideas
import nbformat
from lab_in_browser import Server, open_notebook, set_theme
from playwright.sync_api import expect

from tlkit.files.course import FIRST_NOTEBOOK, copy_course

IS_DIRTY = "() => window.jupyterapp.shell.currentWidget.context.model.dirty"
KNOWS_KERNEL = "() => window.jupyterapp.shell.currentWidget.context.model.getMetadata('language_info').version"


def test_a_notebook_opens_as_saved_and_leads_to_its_exercise(page: Any, server: Server) -> None:
    copy_course(server.folder / "mine")
    open_notebook(page, server, f"mine/{FIRST_NOTEBOOK}")
    page.wait_for_function(KNOWS_KERNEL)  # the kernel has said what it is, and JupyterLab has noted that
    page.wait_for_timeout(1_000)
    assert page.evaluate(IS_DIRTY) is False
    page.evaluate("() => window.jupyterapp.shell.currentWidget.content.scrollToItem(1e6)")
    page.get_by_role("link", name="ps8_whole_program").click()
    expect(page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) h1").first).to_contain_text("ps8")
    page.wait_for_timeout(1_000)
    assert page.evaluate(IS_DIRTY) is False


SIZES = """() => [...document.querySelectorAll('.jp-RenderedMarkdown img')].map(
    img => [img.complete && img.naturalWidth, img.clientWidth, img.parentElement.clientWidth])"""


def test_pictures_are_shown_whole_at_800_pixels(page: Any, server: Server) -> None:
    copy_course(server.folder / "mine")
    shown = "\n\n".join(f"![{said}](pictures/{name}.svg)" for name, said in draw_ideas.descriptions().items())
    notebook = nbformat.read(server.folder / "mine" / FIRST_NOTEBOOK, as_version=4)
    notebook.cells = [nbformat.v4.new_markdown_cell(shown)]
    nbformat.write(notebook, server.folder / "mine" / "notebooks" / "ideas.ipynb")
    page.set_viewport_size({"width": 800, "height": 4_600})
    open_notebook(page, server, "mine/notebooks/ideas.ipynb")
    page.wait_for_function(f"() => ({SIZES})().filter(([width]) => width).length === {len(draw_ideas.DRAW)}")
    for theme in ("Dark", "Light"):
        set_theme(page, f"JupyterLab {theme}")
        page.screenshot(path=page.shots / f"ideas_{theme}_800.png")
    for whole, width, room in page.evaluate(SIZES):
        assert whole == draw_ideas.WIDTH
        assert 0.85 * draw_ideas.WIDTH < width <= room
