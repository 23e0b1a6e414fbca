"""The process in which a student's notebook runs: its cells, and its functions when a check calls them.

It holds no hidden test, no oracle and no points. The grader talks to it through two pipes (:mod:`tlkit.grading.peer`),
and believes nothing that it says: an answer is judged, whoever gave it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any, cast

from tlkit.grading.landlock import give_up_rights
from tlkit.grading.limits import fence
from tlkit.grading.peer import Peer
from tlkit.grading.sandbox import system_folders
from tlkit.grading.wire import Gone, Wire
from tlkit.words import said

__all__ = ["be_student", "main"]

_PRINTED = 20_000  # characters of a cell's output that are kept
_DEVICES = (Path("/proc"), Path("/sys"), Path("/dev"))  # TensorFlow looks at the processor there


class Kept:
    """What is printed, up to a limit."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._left = _PRINTED
        self.encoding, self.errors = "utf-8", "strict"

    def write(self, text: str) -> int:
        """Keep it, or its beginning."""
        if self._left > 0 and text:
            self._parts.append(text[: self._left])
            self._left -= len(text)
        return len(text)

    def flush(self) -> None:
        """Nothing waits."""

    def isatty(self) -> bool:
        """Nobody looks."""
        return False

    def taken(self) -> str:
        """What was printed since, cut where it was too much."""
        text = "".join(self._parts) + ("\n... Output truncated ..." if self._left < 0 else "")
        self._parts, self._left = [], _PRINTED
        return text


class Notebook:
    """A shell that runs cells, and hands out the functions that they have defined."""

    def __init__(self) -> None:
        from IPython.core.interactiveshell import InteractiveShell

        self.shown: list[dict[str, Any]] = []
        self.printed = sys.stdout, sys.stderr = Kept(), Kept()
        self.shell = cast(Any, InteractiveShell.instance())
        self.shell.history_manager.enabled = False
        self.shell.ask_exit = lambda: None
        self.shell.showtraceback = self.shell.showsyntaxerror = lambda *arguments, **options: None
        self.shell.display_pub.publish = self._publish
        self.shell.displayhook.write_output_prompt = lambda: None
        self.shell.displayhook.write_format_data = self._publish

    def _publish(self, data: Any, metadata: Any = None, **_: Any) -> None:
        """Keep what a cell shows, and what its last line is."""
        fine = {str(kind): shown for kind, shown in data.items() if isinstance(shown, str) and len(shown) < 2**20}
        if fine and len(self.shown) < 50:
            self.shown.append(fine)

    def run(self, source: str) -> list[Any]:
        """Run a cell: the name and words of the exception that it ended with or nothing, what it printed and showed."""
        self.shown.clear()
        try:
            result = self.shell.run_cell(source, store_history=True)
            error = result.error_before_exec or result.error_in_exec
        except BaseException as outside:  # an interrupt between the cell and its end
            error = outside
        words = [] if error is None else [type(error).__name__, said(error)[:2000]]
        return [words, *(stream.taken() for stream in self.printed), [list(one.items()) for one in self.shown]]

    def names(self, names: list[str]) -> list[str]:
        """Those of the names that stand for something."""
        return [name for name in names if name in self.shell.user_ns]

    def get(self, name: str) -> Any:
        """What a name stands for, if it is no function; the name of its type if it is one."""
        value = self.shell.user_ns[name]
        return None if callable(value) else [value]

    def bind(self, names: dict[str, Any]) -> None:
        """Let names stand for functions of the grader."""
        self.shell.user_ns.update(names)


def be_student(into: int, out_of: int, files: Path) -> None:
    """Serve the grader until it hangs up; then end the process.

    Args:
        into: The file descriptor of the pipe to the grader.
        out_of: That of the pipe from it.
        files: A folder for the files that a check hands over.
    """
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        if descriptor not in (into, out_of):
            os.dup2(nowhere, descriptor)
    tempfile.tempdir = str(files)  # what a student writes there can be handed to a function of the grader's
    notebook = Notebook()
    peer = Peer(Wire(into, out_of), 1, files, lookup=lambda name: notebook.shell.user_ns[name])
    peer.handlers = {"cell": notebook.run, "names": notebook.names, "get": notebook.get, "bind": notebook.bind}
    busy = [False]

    def interrupted(_number: int, _frame: Any) -> None:
        if busy[0]:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupted)
    fence()
    with contextlib.suppress(Gone):
        while True:
            message = peer.wire.receive()
            busy[0] = True
            try:
                peer.serve(message)
            except KeyboardInterrupt:  # it came as the answer went
                continue
            finally:
                busy[0] = False
    os._exit(0)  # whatever threads a cell has left


def main(handed_in: str = "", world: str = "") -> None:
    """Run in a process of its own; standard input and output are the pipes.

    Args:
        handed_in: A folder whose files are copied beside the notebook; with none, they are there already.
        world: The folder that holds all that this process may write, where no sandbox holds it: it gives up its rights
            to anything else, if the system lets it.
    """
    into, out_of = os.dup(1), os.dup(0)
    if world:
        fetched = Path(os.environ["TLKIT_DATA_DIR"])
        give_up_rights(reads=[*map(Path, system_folders()), fetched, *_DEVICES], writes=[Path(world), Path(os.devnull)])
    if handed_in:
        work = Path(tempfile.mkdtemp(prefix="work-"))
        shutil.copytree(handed_in, work, dirs_exist_ok=True)
        os.chdir(work)
    sys.path.insert(0, str(Path.cwd()))
    be_student(into, out_of, Path(tempfile.mkdtemp(prefix="files-")))


if __name__ == "__main__":
    main(*sys.argv[1:])
