"""A bar is a notebook's where a kernel runs the code, and a terminal's everywhere else."""

import sys
import types

import pytest
import tqdm as terminal
from helpers import run_python
from tqdm import notebook

from tlkit._bar import in_kernel, progress_bar


class Shell:
    """What IPython calls a shell; a kernel's knows its kernel."""


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Shell:
    shell = Shell()
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    return shell


def test_a_process_that_has_imported_a_kernel_is_none() -> None:
    """Nor does it write to standard output, where tqdm.auto would."""
    code = (
        "import ipykernel.zmqshell; from tlkit._bar import progress_bar\n"
        "with progress_bar(3, 'reading', 'image') as bar: bar.update()"
    )
    ran = run_python("-c", code)
    assert (ran.returncode, ran.stdout) == (0, ""), ran.stderr
    assert "reading" in ran.stderr


def test_a_terminal_has_no_kernel(shell: Shell) -> None:
    assert not in_kernel()
    assert type(progress_bar(1, "reading", "image")) is terminal.tqdm


@pytest.mark.parametrize(("shown", "seen"), [(None, True), (True, True), (False, False)])
def test_a_kernel_has_a_bar_of_its_own(shell: Shell, shown: bool | None, seen: bool) -> None:
    shell.kernel = object()  # type: ignore[attr-defined]  # that is the test
    bar = progress_bar(1, "reading", "image", shown=shown)
    assert isinstance(bar, notebook.tqdm)
    assert bar.disable is not seen
    bar.close()


def test_a_kernel_without_widgets_has_a_terminals(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.kernel = object()  # type: ignore[attr-defined]  # that is the test
    monkeypatch.setattr("tlkit._bar.find_spec", lambda name: None)
    bar = progress_bar(1, "reading", "image", shown=None)
    assert type(bar) is terminal.tqdm
    assert not bar.disable
    bar.close()


@pytest.mark.parametrize(("shown", "seen"), [(None, False), (True, True), (False, False)])
def test_elsewhere_a_bar_waits_for_a_terminal(shown: bool | None, seen: bool) -> None:
    bar = progress_bar(1, "reading", "image", shown=shown)
    assert bar.disable is not seen
    bar.close()
