"""A learner's copy of the course in a real JupyterLab: notebooks open as saved, and lead on."""

from typing import Any

from lab_in_browser import Server, open_notebook
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
