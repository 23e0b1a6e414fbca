"""PictureUpload: pictures of the learner's own, dropped into the browser, checked, put into one folder per class."""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets
import traitlets
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tlkit.domains import Domain
from tlkit.files.paths import check_path
from tlkit.folders import FolderReport, Unpacked, inspect_folder, load_folder, unpack_pictures
from tlkit.folders.adding import THERE, Contents, NewPicture, add_pictures, contents, no_label, shown_name
from tlkit.folders.groups import Groups
from tlkit.plots import SOURCE_COLOR
from tlkit.widgets.page import Page
from tlkit.widgets.receiving import PIECE, Reception, is_zip_name, read_announcement
from tlkit.widgets.still import Still
from tlkit.widgets.theme import escape, literal, style_sheet
from tlkit.words import counted, shortened, some_of

__all__ = ["PictureUpload"]

_MB = 10**6
_PACE = 0.2  # seconds between two words about progress
_NAMED = 5  # files left out that the sentence names
_NO_PICTURE = ("not a picture", "a hidden name")  # how reasons begin for what nobody takes for a picture
_NOTHING = "Cancelled: nothing was added."
_BARS = 12  # classes that the picture shows

_RULES = """
.tlkit-upload .tlkit-drop { border: 2px dashed var(--tlkit-quiet); border-radius: 10px; padding: 14px 16px;
  background: var(--tlkit-paper); display: flex; flex-direction: column; gap: 10px; margin: 4px 2px; }
.tlkit-drop.tlkit-over { border-color: var(--tlkit-source); background: var(--tlkit-frozen-fill); }
.tlkit-drop p { margin: 0; line-height: 1.4; }
.tlkit-drop .tlkit-drop-row { display: flex; flex-wrap: wrap; gap: 8px 14px; align-items: center; }
.tlkit-drop label { display: flex; gap: 8px; align-items: center; }
.tlkit-drop input[type="text"] { font: inherit; color: var(--tlkit-text); background: var(--tlkit-paper);
  border: 1px solid var(--tlkit-quiet); border-radius: 4px; padding: 4px 8px; width: 180px; }
.tlkit-drop button { font: inherit; border-radius: 4px; padding: 5px 14px; cursor: pointer; color: var(--tlkit-text);
  background: transparent; border: 1px solid var(--tlkit-quiet); }
.tlkit-drop button.tlkit-choose { color: #ffffff; background: #0f766e; border-color: #0f766e; }
.tlkit-drop button:disabled { opacity: 0.5; cursor: default; }
.tlkit-drop progress { flex: 1 1 200px; max-width: 460px; height: 12px; accent-color: #0f766e; }
.tlkit-drop [hidden] { display: none; }
.tlkit-drop .tlkit-said { min-height: 1.4em; overflow-wrap: anywhere; }
.tlkit-drop .tlkit-said[data-kind="wrong"] { color: var(--tlkit-wrong); }
.tlkit-drop .tlkit-said[data-kind="done"] { color: var(--tlkit-go); }
.tlkit-upload-report, .tlkit-upload-report .widget-html-content { max-width: 100%; overflow-x: auto; }
.tlkit-upload-report p { margin: 6px 0 2px; } .tlkit-upload-report ul { margin: 0 0 0 18px; padding: 0; }
.tlkit-upload-report li { overflow-wrap: anywhere; }
"""


class _Cancelled(RuntimeError):
    """Somebody cancelled the upload."""


class _DropZone(anywidget.AnyWidget):
    """What the browser shows of an upload, and sends. Its traits are for show: the kernel goes by its own."""

    _esm = Path(__file__).with_name("picture_upload.js")

    status = traitlets.Unicode("ready").tag(sync=True)
    said = traitlets.Dict().tag(sync=True)
    classes = traitlets.List(traitlets.Unicode()).tag(sync=True)
    limits = traitlets.Dict().tag(sync=True)


class PictureUpload(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets ships no types
    """Drop a zip or pictures in the browser; they are checked and put into ``into``, one folder per class.

    A zip brings its class folders; pictures alone go into the class that is named beside the button. What is no whole
    picture is left out and named. After each upload a report says what is there and what to look at, as
    :func:`tlkit.inspect_folder` does. Everything works without a browser, too::

        upload = PictureUpload("my_pictures")
        upload.add("cats", ["photos/tom.jpg", ("felix.png", data)])
        upload.add_zip("dogs.zip")
        domain = upload.load(image_size=64)

    The browser sends pieces of a megabyte, each when the former one is on disk: no file has to fit into a message or
    into memory. It checks the limits before it sends anything, and the kernel checks all of it again. Nothing is
    written outside ``into``, apart from a temporary folder beside it.

    Args:
        into: The folder; made with the first picture. What is in it already stays.
        max_files: Pictures that it may hold in all.
        max_mb: Megabytes (of 1,000,000 bytes) that they may take in all; also the most that an upload may bring.

    Attributes:
        status: ``ready``, ``receiving`` (bytes come from the browser) or ``checking`` (pictures are read and moved);
            read-only.
        sentence: What happened last, in words; read-only.

    Raises:
        ValueError: ``into`` is no folder, or a limit is not above 0.
    """

    status = traitlets.Enum(("ready", "receiving", "checking"), "ready", read_only=True)
    sentence = traitlets.Unicode(read_only=True)

    def __init__(self, into: str | Path = "my_pictures", *, max_files: int = 10_000, max_mb: float = 500) -> None:
        if isinstance(max_files, bool) or not isinstance(max_files, int) or max_files < 1:
            raise ValueError(f"max_files must be a whole number of 1 or more, got {max_files!r}.")
        if isinstance(max_mb, bool) or not isinstance(max_mb, int | float) or not 0 < max_mb <= 1e9:
            raise ValueError(f"max_mb must be above 0, up to 1e9, got {max_mb!r}.")
        self._into = check_path("into", into, "a folder").absolute()  # a later chdir does not move it
        self._name = str(into)
        if os.path.lexists(self._into) and not self._into.is_dir():
            raise ValueError(f"into must be a folder, there or not, got {str(into)!r}, which is something else.")
        self._max_files, self._max_bytes = max_files, int(max_mb * _MB)
        self._lock = threading.RLock()  # messages may come in any thread
        self._reception: Reception | None = None
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._number = ""  # of the last upload from a browser
        self._cancelled = threading.Event()
        self._looking = threading.Lock()  # held by the one inspection in progress
        self._report: FolderReport | None = None
        self._said = 0  # sentences
        self._changed = True  # since the last inspection
        self._zone = _DropZone()
        self._view = ipywidgets.HTML().add_class("tlkit-upload-report")
        self._still = Still(self._draw, self._picture_size, self._words)
        heading = ipywidgets.HTML(f"<h4>Your pictures: {escape(shortened(self._name, 60))}</h4>")
        super().__init__([style_sheet(_RULES), Page(), heading, self._zone, self._view])
        self.add_class("tlkit")
        self.add_class("tlkit-upload")
        self._zone.on_msg(self._heard)
        traitlets.dlink((self, "status"), (self._zone, "status"))
        self._show_room()
        if self.contents.n_pictures:
            self._say("These pictures are in the folder already; more can be added.")
            self._look_later()
        else:
            self._say("No pictures yet.")

    # What a program calls -------------------------------------------------------------------------------------------

    @property
    def folder(self) -> Path:
        """The folder, as an absolute path; not there before the first picture."""
        return self._into

    @property
    def contents(self) -> Contents:
        """Pictures of each class, by their names alone, and the bytes of all."""
        return contents(self._into)

    @property
    def report(self) -> FolderReport | None:
        """What :func:`tlkit.inspect_folder` said after the last upload; ``None`` while there is no folder."""
        return self._look()

    def add(self, label: str, pictures: Iterable[str | Path | tuple[str, bytes]]) -> Unpacked:
        """Add pictures to a class; returns where they are, and what was left out.

        Args:
            label: The class.
            pictures: Paths of pictures, which are copied, or pairs of a file name and the bytes.

        Raises:
            ValueError: ``label`` cannot be the name of a folder, a path is no file, or a limit would be passed.
            RuntimeError: Another upload is in progress, or this one was cancelled.
            OSError: The folder cannot be written.
        """
        if reason := no_label(label):
            raise ValueError(f"label must be the name of a class folder, got {shown_name(label)!r} ({reason}).")
        given = list(pictures)
        sizes = [
            len(item[1]) if isinstance(item, tuple) else _size(check_path("pictures", item, "a picture"))
            for item in given
        ]
        if sum(sizes) > self._max_bytes:
            raise ValueError(f"the pictures may take at most {self._max_bytes:,} bytes in all, got {sum(sizes):,}.")
        folder = self._begin()
        new = []
        try:
            for i, item in enumerate(given):
                file = folder / str(i)
                if isinstance(item, tuple):
                    file.write_bytes(item[1])
                else:
                    shutil.copyfile(item, file)
                new.append(NewPicture(label, item[0] if isinstance(item, tuple) else Path(item).name, file))
        except BaseException:
            self._end("Nothing was added.", "wrong")
            raise
        return self._bring_in(folder, new, [])

    def add_zip(self, source: bytes | str | Path) -> Unpacked:
        """Add the pictures of a zip with one folder per class; returns where they are, and what was left out.

        Args:
            source: The zip, or its path.

        Raises:
            ValueError: See :func:`tlkit.folders.unpack_pictures`, or a limit would be passed.
            RuntimeError: Another upload is in progress, or this one was cancelled.
            OSError: The folder cannot be written.
        """
        return self._bring_in(self._begin(), [], [("", source)])

    def cancel(self) -> None:
        """End the upload that is in progress; nothing of it stays. Pictures that are being moved are kept."""
        with self._lock:
            if self._reception is not None:  # nothing else is at work on it
                self._drop(_NOTHING)
            elif self.status != "ready":
                self._cancelled.set()

    def load(
        self,
        *,
        image_size: int | tuple[int, int],
        test_fraction: float = 0.2,
        seed: int = 0,
        channels: int = 3,
        skip_unreadable: bool = False,
        groups: Groups | None = None,
    ) -> Domain:
        """The pictures as a domain: :func:`tlkit.load_folder` of :attr:`folder`, whose arguments these are.

        Raises:
            RuntimeError: An upload is in progress.
            ValueError: See :func:`tlkit.load_folder`.
        """
        if self.status != "ready":
            raise RuntimeError(f"load needs all pictures to be there, got status {self.status!r}: wait, or cancel.")
        return load_folder(
            self._into,
            image_size=image_size,
            test_fraction=test_fraction,
            seed=seed,
            channels=channels,
            skip_unreadable=skip_unreadable,
            groups=groups,
        )

    # What a browser sends -------------------------------------------------------------------------------------------

    def _heard(self, _: Any, message: Any, buffers: Sequence[Any]) -> None:
        """A message of the browser; whatever is wrong with it ends in a sentence."""
        with self._lock:
            order = message if isinstance(message, dict) else {}
            try:
                self._follow(order, buffers)
            except (ValueError, RuntimeError) as error:
                self._refuse(order, str(error))
            except OSError as error:
                self._refuse(order, f"it cannot be written ({error.strerror or type(error).__name__}).")
            except Exception as error:  # a message that nobody thought of must not leave the upload half-open
                self._refuse(order, f"the message cannot be read ({type(error).__name__}).")

    def _follow(self, message: dict[str, Any], buffers: Sequence[Any]) -> None:
        order, number = message.get("do"), message.get("number")
        if order == "begin":
            files_left, bytes_left = self._room(self.contents)
            announced = read_announcement(message, max_files=files_left, max_bytes=bytes_left)
            folder = self._begin("receiving")
            try:
                self._number, self._reception = announced.number, Reception(announced, folder)
            except OSError:  # the place is for the next one
                self._end("Nothing was added.", "wrong")
                raise
            self._say(f"Receiving {counted(len(announced.names), 'file')} …", "busy")
            self._go_on(self._reception)
        elif order == "piece" and isinstance(number, str) and number == self._number:
            if self._reception is not None:  # else it was on its way when the upload ended
                self._reception.take(message.get("offset"), buffers)
                self._go_on(self._reception)
        elif order == "piece":
            raise ValueError(f"a piece of an upload that is unknown: {shown_name(str(number))!r}.")
        elif order == "cancel":
            if number in ("", self._number):  # a page that was closed may still speak of a former one
                self.cancel()
        else:
            raise ValueError(f"an unknown message: {shown_name(str(order))!r}.")

    def _go_on(self, reception: Reception) -> None:
        """Ask for the next piece; when the last one has come, check what has come, in a thread."""
        if reception.complete:
            self._reception = None
            self.set_trait("status", "checking")
            folder = self._folder
            self._in_background(lambda: self._receive(reception, folder))
        self._zone.send({"do": "next", "number": self._number, "offset": reception.received})

    def _receive(self, reception: Reception, folder: Path) -> None:
        """All has come: put it into the folder."""
        named = list(zip(reception.announced.names, reception.files, strict=True))
        loose = [NewPicture(reception.announced.label, name, file) for name, file in named if not is_zip_name(name)]
        zips = [(f"{shown_name(name)}: ", file) for name, file in named if is_zip_name(name)]
        with contextlib.suppress(Exception):  # the sentence has said it, and a thread has nobody else to tell
            self._bring_in(folder, loose, zips)

    def _refuse(self, message: dict[str, Any], reason: str) -> None:
        number = message.get("number")
        if message.get("do") == "piece" and number == self._number and self._reception is not None:
            self._drop(f"Refused: {reason}", "wrong")
        else:  # an upload that is in progress goes on
            self._zone.send({"do": "stop", "number": number if isinstance(number, str) else ""})
            self._say(f"Refused: {reason}", "wrong")

    def _drop(self, sentence: str, kind: str = "") -> None:
        self._reception = None
        self._zone.send({"do": "stop", "number": self._number})
        self._end(sentence, kind)

    # One upload at a time -------------------------------------------------------------------------------------------

    def _begin(self, status: str = "checking") -> Path:
        """Take the one place, and give an empty folder on the disk of ``into``."""
        with self._lock:
            if self.status != "ready":
                raise RuntimeError(
                    f"one upload at a time, got another while one is {self.status}; it can be cancelled."
                )
            self._into.parent.mkdir(parents=True, exist_ok=True)
            self._temporary = tempfile.TemporaryDirectory(prefix=f".{self._into.name}-", dir=self._into.parent)
            self._cancelled.clear()
            self.set_trait("status", status)
            return self._folder

    @property
    def _folder(self) -> Path:
        if self._temporary is None:
            raise AssertionError("whoever asks has begun an upload")
        return Path(self._temporary.name)

    def _end(self, sentence: str, kind: str = "") -> None:
        """Give the place back; then say what came of it, since who reads it may begin the next one."""
        with self._lock:
            temporary, self._temporary = self._temporary, None
            if temporary is not None:
                with contextlib.suppress(OSError):  # a virus scanner may hold a file: it is gone with the kernel
                    temporary.cleanup()
            self._show_room()
            self.set_trait("status", "ready")
            self._say(sentence, kind)
        self._still.renew()
        self._look_later()

    def _bring_in(
        self, folder: Path, loose: list[NewPicture], zips: Sequence[tuple[str, bytes | str | Path]]
    ) -> Unpacked:
        """Unpack, check and move what lies in the temporary folder; the place is given back, whatever comes of it."""
        outcome = ("Nothing was added.", "wrong")
        try:
            result = self._checked_and_moved(folder, loose, zips)
            self._changed = True
            outcome = (_summary(result), "done" if result.pictures else "wrong")
            return result
        except _Cancelled:
            outcome = (_NOTHING, "")
            raise
        except Exception as error:
            outcome = (f"Refused: {error or type(error).__name__}", "wrong")
            raise
        finally:
            self._end(*outcome)

    def _checked_and_moved(
        self, folder: Path, loose: list[NewPicture], zips: Sequence[tuple[str, bytes | str | Path]]
    ) -> Unpacked:
        said, n_all = time.monotonic(), 0
        self._say("Checking the pictures …", "busy")

        def go_on(done: int) -> None:
            nonlocal said
            if self._cancelled.is_set():
                raise _Cancelled("the upload was cancelled; nothing was added.")
            if time.monotonic() > said + _PACE:
                said = time.monotonic()
                self._say(f"Checking the pictures … {done:,} of {n_all:,}", "busy")

        there = self.contents
        skipped: dict[str, str] = {}
        new = list(loose)
        for i, (name, source) in enumerate(zips):
            go_on(0)
            unpacked = self._unpack(name, source, folder / f"zip{i}", there)
            skipped |= {shown_name(member): reason for member, reason in unpacked.skipped.items()}
            new += [NewPicture(file.parent.name, file.name, file) for file in unpacked.pictures]
        n_all = len(new)
        added = add_pictures(new, self._into, max_files=self._max_files, max_bytes=self._max_bytes, go_on=go_on)
        return Unpacked(added.pictures, skipped | added.skipped)

    def _unpack(self, name: str, source: bytes | str | Path, folder: Path, there: Contents) -> Unpacked:
        files_left, bytes_left = self._room(there)
        try:
            return unpack_pictures(source, folder, max_files=files_left, max_bytes=bytes_left)
        except ValueError as error:
            raise ValueError(f"{name}{error}") from error

    # Showing --------------------------------------------------------------------------------------------------------

    def _say(self, sentence: str, kind: str = "") -> None:
        self.set_trait("sentence", sentence)
        self._said += 1  # or the page would not hear the same sentence a second time
        self._zone.said = {"text": sentence, "kind": kind, "count": self._said}

    def _room(self, there: Contents) -> tuple[int, int]:
        """Pictures and bytes that the folder can still take."""
        return max(0, self._max_files - there.n_pictures), max(0, self._max_bytes - there.n_bytes)

    def _show_room(self) -> None:
        there = self.contents
        files_left, bytes_left = self._room(there)
        self._zone.classes = list(there.classes)
        self._zone.limits = {
            "files": self._max_files,
            "bytes": self._max_bytes,
            "files_left": files_left,
            "bytes_left": bytes_left,
            "piece": PIECE,
        }

    def _in_background(self, work: Callable[[], Any]) -> None:
        # With the context of the message, so that what it says finds the page, and replies come the same way.
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(work,), name="tlkit-upload", daemon=True).start()

    def _look_later(self) -> None:
        if self._changed:
            self._view.value = '<p class="tlkit-quiet">Looking at the pictures …</p>'
            self._in_background(self._look)

    def _look(self) -> FolderReport | None:
        """The report of the folder as it is, shown; nothing is read where nothing was added."""
        with self._looking:
            if self._changed:
                self._changed = False
                try:
                    self._report = self._inspect()
                    self._view.value = "" if self._report is None else self._report._repr_html_()
                except (ValueError, OSError) as error:
                    self._report = None
                    self._view.value = f"<p>{escape(error)}</p>"
            return self._report

    def _inspect(self) -> FolderReport | None:
        if not self._into.exists():
            return None
        return dataclasses.replace(inspect_folder(self._into), path=self._name)

    # For readers without a kernel -----------------------------------------------------------------------------------

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return self._still.beside(super()._repr_mimebundle_(include=include, exclude=exclude))

    def _words(self) -> str:
        there = self.contents
        words = f"PictureUpload: {self._name}, {there.n_pictures} pictures in {len(there.classes)} classes"
        return "\n".join([words, *(f"{shown_name(label)}: {n}" for label, n in there.classes.items())])

    def _picture_size(self) -> tuple[float, float]:
        return 7.0, 1.1 + 0.32 * min(len(self.contents.classes), _BARS)

    def _draw(self, figure: Figure) -> None:
        there = self.contents
        figure.suptitle(literal(f"Your pictures: {shortened(self._name, 50)}"), x=0.01, ha="left", fontsize=12)
        ax = figure.subplots()
        if not there.classes:
            ax.axis("off")
            ax.text(0, 0.5, "None yet: run the cell, and drop a zip or pictures here.", transform=ax.transAxes)
            return
        shown = list(there.classes.items())[:_BARS]
        bars = ax.barh(range(len(shown)), [n for _, n in shown], color=SOURCE_COLOR)
        ax.bar_label(bars, padding=3)
        ax.set_yticks(range(len(shown)), [literal(shortened(label, 24)) for label, _ in shown])
        ax.invert_yaxis()
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        more = len(there.classes) - len(shown)
        ax.set_xlabel("pictures" + (f"; {more} more classes" if more else ""))
        ax.margins(x=0.1)
        ax.spines[["top", "right"]].set_visible(False)


def _size(path: Path) -> int:
    if not path.is_file():
        raise ValueError(f"pictures must be files, got {str(path)!r}.")
    return path.stat().st_size


def _summary(result: Unpacked) -> str:
    parts = [f"{counted(len(result.pictures), 'picture')} added" if result.pictures else "No picture was added"]
    there = list(result.skipped.values()).count(THERE)
    if there:
        parts.append(f"{there:,} {'is' if there == 1 else 'are'} there already")
    # First what somebody may want to mend.
    others = sorted(
        (item for item in result.skipped.items() if item[1] != THERE), key=lambda item: item[1].startswith(_NO_PICTURE)
    )
    if others:
        named = some_of([f"{name} ({why})" for name, why in others], _NAMED)
        parts.append(f"{counted(len(others), 'file')} left out: {named}")
    return f"{'; '.join(parts)}."
