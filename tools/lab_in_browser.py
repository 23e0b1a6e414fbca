"""A real JupyterLab in a real browser, for the browser tests, the benchmark of the widgets, and pictures of them.

The server listens on 127.0.0.1 alone, with a random token, and finds none of the user's own settings. The browser is
the system's Chromium or Chrome, or else the one that Playwright has installed.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# No news, no question about closing: nothing that lies over the page.
SETTINGS = '{"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": false}}'
# Without a second's work for grammars of addresses.
JUPYTERLAB = (
    "from tlkit.grading.notebook import skip_grammars; skip_grammars(); from jupyterlab.labapp import main; main()"
)


@dataclass(frozen=True)
class Server:
    """A running JupyterLab: its address, its token, and the folder that it shows."""

    url: str
    token: str
    folder: Path


def find_browser() -> str | None:
    """The system's Chromium or Chrome."""
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


@contextlib.contextmanager
def jupyterlab(folder: Path, *, nbgrader_config: str | None = None) -> Iterator[Server]:
    """JupyterLab on ``folder/work``, configured by files beside it; ended, kernels and all, afterwards."""
    work = folder / "work"
    work.mkdir(parents=True, exist_ok=True)
    config = folder / "config"
    (config / "labconfig").mkdir(parents=True)
    (config / "labconfig" / "default_setting_overrides.json").write_text(SETTINGS, encoding="utf-8")
    if nbgrader_config is not None:
        (config / "nbgrader_config.py").write_text(nbgrader_config, encoding="utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    env = {
        **os.environ,
        # nbgrader starts programs by their names: those of this environment.
        "PATH": os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")]),
        "JUPYTER_CONFIG_DIR": str(config),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
        "TLKIT_CACHE_DIR": str(folder / "features"),
        "PYTHONPATH": str(Path(__file__).resolve().parents[1]),
    }
    command = [sys.executable, "-c", JUPYTERLAB, "--no-browser", "--ip=127.0.0.1", f"--port={port}"]
    command += ["--ServerApp.port_retries=0", f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={work}"]
    command += ["--allow-root", "--LabApp.expose_app_in_browser=True"]
    log = folder / "server.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=env, stdout=out, stderr=subprocess.STDOUT)
    server = Server(f"http://127.0.0.1:{port}", token, work)
    try:
        _wait_for(server, process, log)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 90
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"{server.url}/api/status?token={server.token}", timeout=5).close()
            return
        time.sleep(0.1)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text(encoding='utf-8', errors='replace')[-2000:]}")


@contextlib.contextmanager
def browser() -> Iterator[Any]:
    """A headless browser of Playwright's synchronous kind."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=find_browser(), args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        try:
            yield chromium
        finally:
            chromium.close()


def write_notebook(server: Server, name: str, cells: Sequence[str]) -> None:
    notebook = new_notebook(
        cells=[new_code_cell(cell, id=f"cell-{i:02d}") for i, cell in enumerate(cells, start=1)],
        metadata={"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
    )
    nbformat.write(notebook, server.folder / name)


def open_notebook(page: Any, server: Server, name: str, *, again: bool = False) -> None:
    """Open a notebook and wait until its kernel is ready; ``again`` keeps the kernel that is there."""
    page.goto(f"{server.url}/lab/tree/{name}?token={server.token}{'' if again else '&reset'}")
    page.wait_for_function("window.jupyterapp && window.jupyterapp.shell.currentWidget", timeout=90_000)
    page.evaluate(
        """async () => {
            await window.jupyterapp.restored;
            const panel = window.jupyterapp.shell.currentWidget;
            await panel.context.ready;
            await panel.sessionContext.ready;
            window.jupyterapp.shell.collapseLeft();
        }"""
    )


def turn_to(page: Any, name: str) -> None:
    """Open a notebook in the JupyterLab that the page shows, alone, and wait until its kernel is ready."""
    close_all(page)
    page.evaluate(
        """async path => {
            const panel = await window.jupyterapp.commands.execute('docmanager:open', {path});
            await panel.revealed;
            await panel.context.ready;
            await panel.sessionContext.ready;
        }""",
        name,
    )


def close_all(page: Any) -> None:
    """Close whatever is open in JupyterLab, without saving it, and end the kernels."""
    page.evaluate(
        """async () => {
            for (const {context, sessionContext} of [...window.jupyterapp.shell.widgets('main')]) {
                if (sessionContext) await sessionContext.shutdown();
                if (context) context.model.dirty = false;
            }
            await window.jupyterapp.commands.execute('application:close-all');
        }"""
    )


def set_cells(page: Any, cells: Sequence[str]) -> None:
    """Put other code cells, without outputs, in the place of those of the notebook that is open."""
    page.evaluate(
        """sources => {
            const notebook = window.jupyterapp.shell.currentWidget.content.model.sharedModel;
            const former = notebook.cells.length;
            notebook.transact(() => {
                notebook.insertCells(0, sources.map(source => ({cell_type: 'code', source})));
                notebook.deleteCellRange(sources.length, sources.length + former);
            });
        }""",
        list(cells),
    )


def run_all(page: Any) -> None:
    """Run all cells, and return when the last one is done."""
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")


def command(page: Any, name: str) -> None:
    page.evaluate("name => window.jupyterapp.commands.execute(name)", name)


def save(page: Any) -> None:
    """Save the notebook that is open, and return when it is saved."""
    command(page, "docmanager:save")
    page.wait_for_function("!window.jupyterapp.shell.currentWidget.context.model.dirty")


def end_kernel(page: Any) -> None:
    """End the kernel of the notebook that is open, if one is."""
    page.evaluate(
        """async () => {
            const panel = window.jupyterapp && window.jupyterapp.shell.currentWidget;
            if (panel && panel.sessionContext) await panel.sessionContext.shutdown();
        }"""
    )


def ask_kernel(page: Any, expression: str) -> str:
    """The ``repr`` of an expression in the notebook's kernel, while whatever runs there in threads goes on."""
    reply = page.evaluate(
        """async expression => {
            const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
            const future = kernel.requestExecute(
                {code: '', silent: true, store_history: false, user_expressions: {answer: expression}});
            return (await future.done).content.user_expressions.answer;
        }""",
        expression,
    )
    if reply["status"] != "ok":
        raise RuntimeError(re.sub(r"\x1b\[[\d;]*m", "", "\n".join(reply["traceback"])))
    return str(reply["data"]["text/plain"])


def set_theme(page: Any, name: str) -> None:
    """``JupyterLab Dark`` or ``JupyterLab Light``; returns when the page has it."""
    page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", name)
    light = "true" if "Light" in name else "false"
    page.wait_for_selector(f'body[data-jp-theme-light="{light}"]', state="attached")
