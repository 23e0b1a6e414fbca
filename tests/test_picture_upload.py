"""PictureUpload: what a browser sends, honest and hostile; limits, names and copies; the same by methods."""

import base64
import io
import os
import threading
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import raises_one_line
from PIL import Image

from tlkit.folders import inspect_folder, load_folder
from tlkit.widgets import PictureUpload, picture_upload
from tlkit.widgets.receiving import PIECE

HOSTILE = "<img src=x onerror=alert(1)>"


def picture(seed: int = 0, kind: str = "PNG", size: int = 12) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 256, size=(size, size, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).save(out, kind)
    return out.getvalue()


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def everything_in(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def done(upload: PictureUpload) -> None:
    """Wait for the threads that the upload has started, and for those that they start."""
    while threads := [thread for thread in threading.enumerate() if thread.name == "tlkit-upload"]:
        for thread in threads:
            thread.join()


class Page:
    """A browser: it sends the next piece when it is asked for it, as picture_upload.js does."""

    def __init__(self, upload: PictureUpload) -> None:
        self.upload = upload
        self.heard: list[dict[str, Any]] = []
        upload._zone.send = lambda content, buffers=None: self.heard.append(content)

    def tell(self, message: Any, *buffers: bytes) -> None:
        self.upload._zone._handle_custom_msg(message, [memoryview(data) for data in buffers])

    def begin(self, files: dict[str, bytes], label: str = "cats", number: str = "one") -> None:
        sizes = [{"name": name, "size": len(data)} for name, data in files.items()]
        self.tell({"do": "begin", "number": number, "label": label, "files": sizes})

    def piece(self, offset: Any, data: bytes, number: str = "one") -> None:
        self.tell({"do": "piece", "number": number, "offset": offset}, data)

    def send(self, files: dict[str, bytes], label: str = "cats", number: str = "one") -> str:
        """All of it, and what the widget says in the end."""
        self.begin(files, label, number)
        stream = b"".join(files.values())
        while (last := self.heard[-1])["do"] == "next" and last["offset"] < len(stream):
            self.piece(last["offset"], stream[last["offset"] :][:PIECE], number)
        done(self.upload)
        assert self.upload.status == "ready"
        return str(self.upload.sentence)


@pytest.fixture
def upload(tmp_path: Path) -> Iterator[PictureUpload]:
    """One whose folder is ``tmp_path/here/mine``, among which nothing else may appear."""
    (tmp_path / "here").mkdir()
    made = PictureUpload(tmp_path / "here" / "mine", max_files=20, max_mb=60)
    yield made
    done(made)
    assert names_in(tmp_path) <= {"here", "given"}
    assert names_in(tmp_path / "here") <= {"mine"}


@pytest.fixture
def page(upload: PictureUpload) -> Page:
    return Page(upload)


# What an honest browser sends


def test_pictures_go_into_their_class_byte_for_byte(upload: PictureUpload, page: Page) -> None:
    cats = {f"{kind}.{kind.lower()}": picture(i, kind) for i, kind in enumerate(("PNG", "JPEG", "BMP", "GIF", "WEBP"))}
    assert page.send(cats) == "5 pictures added."
    assert everything_in(upload.folder) == {f"cats/{name}": data for name, data in cats.items()}
    assert upload._zone.classes == ["cats"]


def test_a_stream_is_cut_into_files_wherever_the_pieces_end(upload: PictureUpload, page: Page) -> None:
    files = {f"{i}.bmp": picture(i, "BMP", 300 + 40 * i) for i in range(8)}  # 0.27 to 1 MB: pieces end within files
    stream = b"".join(files.values())
    assert len(stream) > 3 * PIECE
    page.begin(files)
    at = 0
    for length in np.random.default_rng(0).integers(1, PIECE, size=200).tolist():
        assert page.heard[-1] == {"do": "next", "number": "one", "offset": at}
        if at == len(stream):
            break
        page.piece(at, stream[at : at + length])
        at = min(at + length, len(stream))
    done(upload)
    assert everything_in(upload.folder / "cats") == files


def test_a_zip_brings_its_classes(upload: PictureUpload, page: Page) -> None:
    files = {f"all/{label}/{i}.png": picture(i + 5 * (label == "b")) for label in "ab" for i in range(5)}
    assert page.send({"my.zip": zipped({**files, "all/read me.txt": b"x"})}, label="") == (
        "10 pictures added; 1 file left out: all/read me.txt (not a picture (.txt))."
    )
    assert everything_in(upload.folder) == {name.removeprefix("all/"): data for name, data in files.items()}
    domain = upload.load(image_size=8, test_fraction=0.4, seed=3)
    same = load_folder(upload.folder, image_size=8, test_fraction=0.4, seed=3)
    assert domain.classes == ("a", "b")
    np.testing.assert_array_equal(domain.test.x, same.test.x)
    np.testing.assert_array_equal(domain.train.y, same.train.y)


def test_a_zip_and_pictures_in_one_go(upload: PictureUpload, page: Page) -> None:
    page.send({"one.png": picture(1), "dogs.zip": zipped({"dogs/2.png": picture(2)}), "three.png": picture(3)})
    assert set(everything_in(upload.folder)) == {"cats/one.png", "dogs/2.png", "cats/three.png"}


def test_what_is_no_whole_picture_is_left_out_and_named(upload: PictureUpload, page: Page) -> None:
    whole = picture(0)
    said = page.send(
        {
            "words.txt": whole,
            "good.png": whole,
            "cut.png": whole[:-40],
            "empty.png": b"",
            "program.png": b"MZ" + bytes(500),
        }
    )
    assert said.startswith("1 picture added; 4 files left out: ")
    for words in (
        "cut.png (",
        "empty.png (empty file)",
        "program.png (no picture inside",
        "words.txt (not a pic",
    ):
        assert words in said
    assert said.index("program.png (") < said.index("words.txt (")  # what can be mended comes first
    assert everything_in(upload.folder) == {"cats/good.png": whole}


def test_what_is_no_picture_by_its_name_needs_no_bytes_no_room_and_no_class(tmp_path: Path) -> None:
    upload = PictureUpload(tmp_path / "mine", max_files=1)
    page = Page(upload)
    assert page.send({"readme.txt": b"", "a.zip": zipped({"dogs/1.png": picture(1)})}, label="") == (
        "1 picture added; 1 file left out: readme.txt (not a picture (.txt))."
    )
    assert page.send({"readme.txt": b""}, label="", number="two") == (
        "No picture was added; 1 file left out: readme.txt (not a picture (.txt))."
    )


def test_what_is_there_already_is_counted_and_not_called_left_out(upload: PictureUpload, page: Page) -> None:
    pictures = {f"{label}/{i}.png": picture(i + 10 * (label == "b")) for label in "ab" for i in range(4)}
    page.send({"one.zip": zipped(pictures)}, label="")
    assert page.send({"two.zip": zipped(pictures)}, label="", number="two") == (
        "No picture was added; 8 are there already."
    )
    more = {**pictures, "b/new.png": picture(30), "b/cut.png": picture(31)[:-40]}
    said = page.send({"three.zip": zipped(more)}, label="", number="three")
    assert said.startswith("1 picture added; 8 are there already; 1 file left out: cut.png (")


def test_an_upload_of_empty_files_ends_too(upload: PictureUpload, page: Page) -> None:
    assert page.send({"a.png": b"", "b.png": b""}).startswith("No picture was added; 2 files left out")
    assert not upload.folder.exists()


def test_the_same_bytes_once_and_the_same_name_twice(upload: PictureUpload, page: Page) -> None:
    page.send({"a.png": picture(0)})
    assert page.send({"a.png": picture(0)}, number="two") == ("No picture was added; 1 is there already.")
    page.send({"A.PNG": picture(1), "a.png": picture(2)}, label="CATS", number="three")
    assert sorted(everything_in(upload.folder).values()) == sorted(map(picture, range(3)))
    assert names_in(upload.folder) == {"cats"}
    assert len({name.casefold() for name in names_in(upload.folder / "cats")}) == 3


def test_the_report_is_that_of_inspect_folder_with_names_as_text(upload: PictureUpload, page: Page) -> None:
    upload.add("a & b", [("x.png", picture(0)), ("y.png", picture(0)), ("z.png", picture(1))])
    upload.add("dogs", [("<b>.png", picture(3)), (f"{HOSTILE}.png", picture(4)), ("z.png", picture(5))])
    done(upload)
    report = upload.report
    assert report is not None
    assert report.duplicates == inspect_folder(upload.folder).duplicates == (("a & b/x.png", "a & b/y.png"),)
    assert "a &amp; b/x.png = a &amp; b/y.png" in upload._view.value
    page.send({"<b>.txt": b"1"}, label="dogs")
    assert "<b>.txt" in upload._zone.said["text"]  # the page puts it in as text
    assert "<b>" not in upload._view.value.replace("<b>The same", "").replace("<b>A class", "")


def test_progress_is_told_and_the_page_hears_the_room_that_is_left(upload: PictureUpload, page: Page) -> None:
    before = upload._zone.limits
    page.send({"a.png": picture(0), "b.png": picture(1)})
    after = upload._zone.limits
    assert (before["files_left"], after["files_left"]) == (20, 18)
    assert before["bytes_left"] - after["bytes_left"] == len(picture(0)) + len(picture(1))
    assert [message["offset"] for message in page.heard] == [0, len(picture(0)) + len(picture(1))]


# What a hostile one sends


def files(*sizes: Any, name: Any = "a.png") -> list[dict[str, Any]]:
    return [{"name": name, "size": size} for size in sizes]


BAD_BEGINNINGS = {
    "a negative size": {"files": files(10, -5)},
    "a size that is no number": {"files": files("10")},
    "a truth for a size": {"files": files(True)},
    "a size that is not whole": {"files": files(1.5)},
    "an endless size": {"files": files(float("inf"))},
    "more than there is room for": {"files": files(60 * 10**6, 1)},
    "more files than there is room for": {"files": files(*[1] * 21)},
    "a crowd of files that are no pictures": {"files": files(*[0] * 10_001, name="a.txt")},
    "sizes that would overflow": {"files": files(2**63, 2**63)},
    "no files": {"files": []},
    "files that are no list": {"files": {"0": 1}},
    "files that are no files": {"files": [7, None]},
    "no name": {"files": files(1, name="")},
    "a name that is no text": {"files": files(1, name=["a.png"])},
    "an endless name": {"files": files(1, name="a" * 100_000 + ".png")},
    "no number": {"number": None},
    "an endless number": {"number": "1" * 1000},
    "no class": {"label": " "},
    "a class that is no text": {"label": 3},
    "a class above": {"label": ".."},
    "a class elsewhere": {"label": "/etc"},
    "a class two floors up": {"label": "../../there"},
    "a class behind a backslash": {"label": "a\\b"},
    "a class on a drive": {"label": "C:"},
    "a class with NUL": {"label": "a\0b"},
    "a class that Windows reserves": {"label": "con"},
    "a class that reads backwards": {"label": "cat\u202e"},
    "a hidden class": {"label": ".ssh"},
    "a class that is half a letter": {"label": "\ud800"},
    "an endless class": {"label": "x" * 300},
}


@pytest.mark.parametrize("wrong", BAD_BEGINNINGS.values(), ids=BAD_BEGINNINGS)
def test_a_bad_announcement_is_refused_in_one_line(upload: PictureUpload, page: Page, wrong: dict[str, Any]) -> None:
    page.tell({"do": "begin", "number": "one", "label": "cats", "files": files(10)} | wrong)
    assert upload.sentence.startswith("Refused: ")
    assert len(upload.sentence.splitlines()) == 1
    assert len(upload.sentence) < 300
    assert (upload.status, page.heard[-1]["do"]) == ("ready", "stop")
    assert not upload.folder.exists()
    assert page.send({"a.png": picture(0)}, number="two") == "1 picture added."


@pytest.mark.parametrize(
    "message",
    [None, 7, "begin", [], {}, {"do": "remove"}, {"do": ["begin"]}, {"do": "piece"}, {"do": {}, "number": {}}],
)
def test_what_is_no_message_is_refused(upload: PictureUpload, page: Page, message: Any) -> None:
    page.tell(message)
    assert upload.sentence.startswith("Refused: ")
    assert upload.status == "ready"


@pytest.mark.parametrize(
    "name",
    ["../a.png", "..\\a.png", "/tmp/a.png", "C:\\a.png", "C:a.png", "a\0.png", "con.png", "\ud800.png", "a/../../b.png",
     "x" * 300 + ".png", ".png", "a.png.", "a.png/", "new\nline.png"],
)  # fmt: skip
def test_no_name_leads_out_of_the_folder(upload: PictureUpload, page: Page, name: str) -> None:
    said = page.send({name: picture(0), "good.png": picture(1)})
    assert said.startswith("1 picture added; 1 file left out: ")
    assert len(said.splitlines()) == 1
    assert everything_in(upload.folder) == {"cats/good.png": picture(1)}


BAD_PIECES = {
    "a negative offset": (-1, bytes(10)),
    "an offset ahead": (5, bytes(10)),
    "no offset": (None, bytes(10)),
    "an offset that is no number": ("0", bytes(10)),
    "a truth for an offset": (False, bytes(10)),
    "nothing": (0, b""),
    "more than was announced": (0, bytes(101)),
    "more than a piece": (0, bytes(PIECE + 1)),
}


@pytest.mark.parametrize(("offset", "data"), BAD_PIECES.values(), ids=BAD_PIECES)
def test_a_bad_piece_ends_the_upload(upload: PictureUpload, page: Page, offset: Any, data: bytes) -> None:
    page.begin({"a.png": bytes(100)})
    page.piece(offset, data)
    assert upload.sentence.startswith("Refused: the next piece must")
    assert (upload.status, page.heard[-1]) == ("ready", {"do": "stop", "number": "one"})
    page.piece(0, bytes(100))  # too late: it was on its way, and nobody has to hear of it
    assert upload.sentence.startswith("Refused: the next piece must")
    assert page.send({"a.png": picture(0)}, number="two") == "1 picture added."


@pytest.mark.parametrize("buffers", [(), (bytes(1), bytes(1))])
def test_a_piece_comes_in_one_buffer(upload: PictureUpload, page: Page, buffers: tuple[bytes, ...]) -> None:
    page.begin({"a.png": bytes(100)})
    page.tell({"do": "piece", "number": "one", "offset": 0}, *buffers)
    assert upload.sentence.startswith("Refused: a message must bring one piece")


def test_two_uploads_at_once_do_not_mix(upload: PictureUpload, page: Page) -> None:
    first, second = picture(0, "BMP", 800), picture(1, "BMP", 800)  # two pieces each
    page.begin({"first.bmp": first})
    page.piece(0, first[:PIECE])
    page.begin({"second.bmp": second}, number="two")
    assert page.heard[-1] == {"do": "stop", "number": "two"}
    assert upload.sentence.startswith("Refused: one upload at a time")
    page.piece(PIECE, second[PIECE:], number="two")
    assert upload.sentence.startswith("Refused: a piece of an upload that is unknown")
    page.tell({"do": "cancel", "number": "two"})
    with raises_one_line(RuntimeError, "one upload at a time", "receiving"):
        upload.add("cats", [("a.png", picture(0))])
    with raises_one_line(RuntimeError, "load needs all pictures", "'receiving'"):
        upload.load(image_size=8)
    page.piece(PIECE, first[PIECE:])
    done(upload)
    assert everything_in(upload.folder) == {"cats/first.bmp": first}


def test_a_browser_that_sets_traits_changes_what_is_shown_alone(upload: PictureUpload, page: Page) -> None:
    state = {"status": "checking", "limits": {"files_left": 10**9, "bytes_left": 10**12}, "classes": [".."]}
    upload._zone.set_state(state)
    assert upload.status == "ready"
    page.tell({"do": "begin", "number": "one", "label": "cats", "files": files(10**9)})
    assert upload.sentence.startswith("Refused: there is room for 60,000,000 bytes")


def test_a_bomb_and_a_broken_zip_are_refused_whole(upload: PictureUpload, page: Page) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/a.bmp", bytes(30 * 10**6))
    good = {"good.png": picture(0)}
    assert "bomb.zip: the zip must unpack to at most" in page.send({**good, "bomb.zip": out.getvalue()})
    assert "no.zip: source must be a zip" in page.send({**good, "no.zip": picture(0)}, number="two")
    assert not upload.folder.exists()


def test_limits_hold_for_the_folder_and_all_uploads_together(tmp_path: Path) -> None:
    upload = PictureUpload(tmp_path / "mine", max_files=5)
    page = Page(upload)
    page.send({f"{i}.png": picture(i) for i in range(3)})
    three = {f"b/{i}.png": picture(i) for i in range(3)}
    assert "the zip must hold at most 2 pictures" in page.send({"three.zip": zipped(three)}, number="two")
    two = zipped(dict(list(three.items())[:2]))
    # Each zip has room, both have not.
    assert "the folder may hold at most 5" in page.send({"1.zip": two, "2.zip": two}, number="three")
    assert page.send({"two.zip": two}, number="four") == "2 pictures added."
    assert "there is room for 0 files" in page.send({"a.png": picture(9)}, number="five")
    again = PictureUpload(tmp_path / "mine", max_mb=upload.contents.n_bytes / 1e6)  # what is there counts
    with raises_one_line(ValueError, "the pictures may take at most"):
        again.add("b", [("more.png", picture(9))])
    done(again)
    assert upload.contents.classes == {"b": 2, "cats": 3}


@pytest.mark.skipif(os.name == "nt", reason="links need a right there")
def test_a_class_folder_that_is_a_link_out_is_not_written_to(upload: PictureUpload, page: Page, tmp_path: Path) -> None:
    upload.add("dogs", [("a.png", picture(0))])
    (tmp_path / "given").mkdir()
    (upload.folder / "cats").symlink_to(tmp_path / "given")
    assert "its class folder is a link that leads out of the folder" in page.send({"a.png": picture(1)})
    assert names_in(tmp_path / "given") == set()


def test_a_file_in_place_of_a_class_folder_stays(upload: PictureUpload, page: Page) -> None:
    upload.add("dogs", [("a.png", picture(0))])
    (upload.folder / "cats").write_bytes(b"mine")
    assert "its class folder is not in a class folder" in page.send({"a.png": picture(1)})
    assert (upload.folder / "cats").read_bytes() == b"mine"


@pytest.mark.parametrize(
    "broken", ["picture_upload.tempfile.TemporaryDirectory", "picture_upload.Reception", "receiving.Reception.take"]
)
def test_a_disk_that_takes_nothing_ends_the_upload(
    upload: PictureUpload, page: Page, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(f"tlkit.widgets.{broken}", full)
    assert page.send({"a.png": picture(0)}) == "Refused: it cannot be written (No space left on device)."
    monkeypatch.undo()
    assert page.send({"a.png": picture(0)}, number="two") == "1 picture added."


def test_a_disk_that_is_full_when_pictures_are_moved_is_a_sentence(
    upload: PictureUpload, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(picture_upload, "add_pictures", full)
    assert page.send({"a.png": picture(0)}) == "Refused: [Errno 28] No space left on device"


# Threads, memory


def test_fifty_megabytes_go_to_disk_as_they_come(upload: PictureUpload, page: Page) -> None:
    size, piece = 50 * 10**6, bytes(PIECE)
    page.tell({"do": "begin", "number": "one", "label": "cats", "files": files(size // 2, size // 2, name="a.bmp")})
    (temporary,) = upload.folder.parent.iterdir()
    tracemalloc.start()
    try:
        while (at := page.heard[-1]["offset"]) < size - PIECE:
            page.piece(at, piece)
            assert sum(file.stat().st_size for file in temporary.iterdir()) == at + PIECE
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert at > 45 * PIECE
    assert peak < 2 * PIECE
    page.tell({"do": "cancel", "number": "one"})
    assert upload.sentence == "Cancelled: nothing was added."
    assert list(upload.folder.parent.iterdir()) == []


@pytest.mark.parametrize("by", ["the page", "another page", "a program"])
def test_pictures_are_checked_in_a_thread_and_can_be_cancelled(
    upload: PictureUpload, page: Page, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    reached, go = threading.Event(), threading.Event()
    real = picture_upload.add_pictures

    def slow(*args: Any, go_on: Any, **limits: Any) -> Any:
        def wait(done: int) -> None:
            if done == 1:
                reached.set()
                assert go.wait(60)
            go_on(done)

        return real(*args, go_on=wait, **limits)

    monkeypatch.setattr(picture_upload, "add_pictures", slow)
    page.begin({"a.png": picture(0), "b.png": picture(1)})
    page.piece(0, picture(0) + picture(1))  # returns, though nothing is checked
    assert reached.wait(60)
    assert upload.status == "checking"
    with raises_one_line(RuntimeError, "load needs all pictures", "'checking'"):
        upload.load(image_size=8)
    if by == "a program":
        upload.cancel()
    else:
        page.tell({"do": "cancel", "number": "one" if by == "the page" else ""})
    go.set()
    done(upload)
    assert upload.sentence == "Cancelled: nothing was added."
    assert (upload.status, upload.folder.exists()) == ("ready", False)
    monkeypatch.undo()
    assert page.send({"a.png": picture(0)}, number="two") == "1 picture added."


def test_a_page_that_was_closed_cancels_no_later_upload(upload: PictureUpload, page: Page) -> None:
    page.send({"a.png": picture(0)})
    page.begin({"b.png": picture(1)}, number="two")
    page.tell({"do": "cancel", "number": "one"})
    page.piece(0, picture(1), number="two")
    done(upload)
    assert set(everything_in(upload.folder)) == {"cats/a.png", "cats/b.png"}


# By methods


def test_add_copies_files_and_takes_bytes(upload: PictureUpload, tmp_path: Path) -> None:
    (tmp_path / "given").mkdir()
    given = tmp_path / "given" / "tom.png"
    given.write_bytes(picture(0))
    added = upload.add("cats", [given, ("felix.png", picture(1)), ("../../out.png", picture(2)), ("note.txt", b"x")])
    assert added.pictures == (upload.folder / "cats" / "tom.png", upload.folder / "cats" / "felix.png")
    assert added.skipped == {
        "../../out.png": "a name that leads out of the folder",
        "note.txt": "not a picture (.txt)",
    }
    assert given.read_bytes() == picture(0)
    assert upload.sentence.startswith("2 pictures added; 2 files left out: ")


def test_add_zip_takes_bytes_or_a_path(upload: PictureUpload, tmp_path: Path) -> None:
    (tmp_path / "given").mkdir()
    given = tmp_path / "given" / "b.zip"
    given.write_bytes(zipped({"b/0.png": picture(2), "c/0.png": picture(3)}))
    upload.add_zip(zipped({"a/0.png": picture(0), "b/0.png": picture(1), "../b/1.png": picture(5)}))
    added = upload.add_zip(given)
    assert [path.relative_to(upload.folder).as_posix() for path in added.pictures] == ["b/0-2.png", "c/0.png"]
    assert upload.contents.classes == {"a": 1, "b": 2, "c": 1}


def test_methods_refuse_in_one_line(upload: PictureUpload, tmp_path: Path) -> None:
    with raises_one_line(ValueError, "label must be the name of a class folder", "'../cats'", "leads out"):
        upload.add("../cats", [])
    with raises_one_line(ValueError, "pictures must be files", "nothing.png"):
        upload.add("cats", [tmp_path / "nothing.png"])
    with raises_one_line(ValueError, "at most 60,000,000 bytes in all", "60,000,001"):
        upload.add("cats", [("a.bmp", bytes(60_000_001))])
    with raises_one_line(ValueError, "the folder may hold at most 20 pictures"):
        upload.add("cats", [(f"{i}.png", picture(i)) for i in range(21)])
    with raises_one_line(ValueError, "source must be a zip"):
        upload.add_zip(b"no zip")
    assert (upload.status, upload.contents.n_pictures) == ("ready", 0)


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [({"max_files": 0}, "max_files must be"), ({"max_files": 2.5}, "max_files must be"), ({"max_mb": 0}, "max_mb must"),
     ({"max_mb": float("nan")}, "max_mb must"), ({"max_mb": True}, "max_mb must")],
)  # fmt: skip
def test_limits_out_of_range_are_named(tmp_path: Path, arguments: dict[str, Any], fragment: str) -> None:
    with raises_one_line(ValueError, fragment):
        PictureUpload(tmp_path / "mine", **arguments)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with raises_one_line(ValueError, "into must be a folder", "which is something else"):
        PictureUpload(tmp_path / "file")


def test_it_stays_where_it_was_made_and_goes_on_with_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    upload = PictureUpload()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    upload.add("cats", [("a.png", picture(0))])
    done(upload)
    assert upload.folder == tmp_path / "my_pictures"
    again = PictureUpload(tmp_path / "my_pictures")
    assert "in the folder already" in again.sentence
    assert again.report is not None
    assert again.report.classes["pictures"].tolist() == [1]
    done(again)


# Without a kernel


def test_it_leaves_a_picture_and_words(upload: PictureUpload) -> None:
    empty = upload._repr_mimebundle_()
    assert empty["text/plain"].endswith("0 pictures in 0 classes")
    upload.add("$a_b$", [("a.png", picture(0))])
    upload.add("猫", [("a.png", picture(2))])
    bundle = upload._repr_mimebundle_()
    assert bundle["text/plain"].splitlines()[1:] == ["$a_b$: 1", "猫: 1"]
    assert "application/vnd.jupyter.widget-view+json" in bundle
    for data in (empty, bundle):
        with Image.open(io.BytesIO(base64.b64decode(data["image/png"]))) as shown:
            assert shown.format == "PNG"


def test_the_script_needs_no_other_address() -> None:
    script = Path(picture_upload.__file__).with_suffix(".js").read_text(encoding="utf-8")
    assert not any(word in script for word in ("http", "import ", "import(", "innerHTML", "eval("))
