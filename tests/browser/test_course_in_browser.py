"""A learner's copy of the course in a real JupyterLab: notebooks open as saved, and lead on."""

from typing import Any

import pytest
from lab_in_browser import Server, open_notebook
from playwright.sync_api import expect

from tlkit.files.course import FIRST_NOTEBOOK, copy_course

IS_DIRTY = "() => window.jupyterapp.shell.currentWidget.context.model.dirty"
WIDGETS = "const notebook = jupyterapp.shell.currentWidget.content, cells = notebook.model.sharedModel.cells"
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


@pytest.mark.parametrize(
    ("part", "label", "heading"),
    [("1", "10 § 4", "4. The article's program, as printed"), ("5", "09 § 5", "5. The program, § 5.2")],
)
def test_a_verdict_on_the_article_leads_to_the_section_that_shows_it(
    page: Any, server: Server, part: str, label: str, heading: str
) -> None:
    """The table is a stored output, and a link in it leads to a cell by its id."""
    copy_course(server.folder / "judged")
    open_notebook(page, server, "judged/notebooks/09_article_review.ipynb")
    code = f'judged("{part}")'
    page.evaluate(f"() => {{ {WIDGETS}; notebook.scrollToItem(cells.findIndex(cell => cell.source === {code!r})) }}")
    page.get_by_role("link", name=label, exact=True).first.click()
    # The cell, not its heading: JupyterLab scrolls there first, and draws the pictures above it afterwards.
    cell = page.locator(".jp-MarkdownCell").filter(has=page.get_by_role("heading", name=heading))
    expect(cell).to_be_in_viewport()
