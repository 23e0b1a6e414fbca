"""Fetching a folder that is pinned as a whole: from an archive, a folder or a page, whole or not at all.

A few small files stand in for the photographs of clothes; the pages are served by this machine.
"""

import contextlib
import dataclasses
import errno
import gzip
import hashlib
import http.server
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from helpers import failures_side_by_side, raises_one_line

from tlkit import cli, clothes, files
from tlkit.clothes import CLOTHES, clothes_folder, fetch_clothes
from tlkit.files import Collection, NotFetchedError, PinnedFolder, fetching, trees

NAME = "clothing-dataset-small"
PARTS = ("train", "validation", "test")


def noise(name: str, blocks: int) -> bytes:
    """What does not compress, so that a damaged byte of an archive is a damaged byte of its content."""
    return b"".join(hashlib.sha256(f"{name} {i}".encode()).digest() for i in range(blocks))


CONTENT = {
    f"{part}/{label}/{i}.jpg": noise(f"{part}{label}{i}", 40 + 9 * i)
    for part in PARTS
    for label in ("t-shirt", "hat")
    for i in range(3)
}
CONTENT["train/hat/ü 1.jpg"] = noise("another alphabet", 12)
BESIDE = {"README.md": b"what it is", "train.py": b"code", "LICENSE": b"CC0"}
SIZE = sum(map(len, CONTENT.values()))


def pinned(content: dict[str, bytes]) -> PinnedFolder:
    lines = [f"{hashlib.sha256(value).hexdigest()}  {path}\n" for path, value in content.items()]
    lines.sort(key=lambda line: line[66:].encode())
    digest = hashlib.sha256("".join(lines).encode()).hexdigest()
    return PinnedFolder(PARTS, len(content), sum(map(len, content.values())), digest, "https://example.org/archive")


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The data folder, which is not there yet; a few small files are pinned."""
    monkeypatch.setattr(clothes, "CLOTHES", Collection("clothes", {NAME: pinned(CONTENT)}, "small files"))
    monkeypatch.setenv("TLKIT_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data" / "clothes"


def write(folder: Path, content: dict[str, bytes]) -> Path:
    for name, value in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(value)
    return folder


def tar_gz(path: Path, content: dict[str, bytes], *, above: str = f"{NAME}-1196/") -> Path:
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT, pax_headers={"comment": "1196"}) as archive:
        for name, value in content.items():
            member = tarfile.TarInfo(above + name)
            member.size = len(value)
            archive.addfile(member, io.BytesIO(value))
    return path


def zipped(path: Path, content: dict[str, bytes], *, above: str = f"{NAME}-1196/") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in content.items():
            archive.writestr(above + name, value)
    return path


def everything_in(folder: Path) -> dict[str, bytes]:
    """All files below a folder; hidden and half-finished ones too."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


INSTALLED = {f"{NAME}/{path}": value for path, value in CONTENT.items()}


def test_the_hash_is_that_of_the_command_in_the_docstring(tmp_path: Path) -> None:
    if not all(map(shutil.which, ("find", "sort", "xargs", "sha256sum"))):
        pytest.skip("needs find, sort, xargs and sha256sum")
    write(tmp_path, CONTENT)
    assert trees.PinnedFolder.__doc__ is not None
    (command,) = re.findall(r"``(find PARTS.*)``", trees.PinnedFolder.__doc__)
    command = command.replace("PARTS", " ".join(PARTS)).replace("xargs", "xargs -d '\\n'")  # for the name with a space
    out = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert out.split()[0] == pinned(CONTENT).sha256


# Where from


def a_folder(tmp_path: Path) -> Path:
    return write(tmp_path / "source", CONTENT)


def a_clone_on_a_mac(tmp_path: Path) -> Path:
    litter = {".git/HEAD": b"main", "train/.DS_Store": b"", "train/hat/._0.jpg": b"", "test/hat/Thumbs.db": b""}
    return write(tmp_path / "source" / NAME, CONTENT | BESIDE | litter).parent


def a_folder_of_archives(tmp_path: Path) -> Path:
    write(tmp_path / "source", {"another.tar.gz": b"no archive", "another.zip": b"PK\x03\x04 nor this"})
    return tar_gz(tmp_path / "source" / "clothes.tar.gz", CONTENT).parent


def an_archive(tmp_path: Path) -> Path:
    return tar_gz(tmp_path / "clothes.tar.gz", BESIDE | CONTENT)


def an_archive_without_a_top_folder(tmp_path: Path) -> Path:
    return tar_gz(tmp_path / "clothes.tgz", BESIDE | CONTENT, above="./")


def a_tar_that_a_browser_has_unzipped(tmp_path: Path) -> Path:
    packed = an_archive(tmp_path)
    path = tmp_path / "clothes.tar"
    path.write_bytes(gzip.decompress(packed.read_bytes()))
    return path


def a_zip(tmp_path: Path) -> Path:
    return zipped(tmp_path / "clothes.zip", BESIDE | CONTENT | {"__MACOSX/train/hat/0.jpg": b""})


def a_zip_from_windows(tmp_path: Path) -> Path:
    path = zipped(tmp_path / "clothes.zip", CONTENT, above="")
    raw = path.read_bytes()
    for name in CONTENT:
        raw = raw.replace(name.encode(), name.replace("/", "\\").encode())
    path.write_bytes(raw)
    return path


def a_zip_of_a_folder_in_a_folder(tmp_path: Path) -> Path:
    return zipped(tmp_path / "clothes.zip", CONTENT, above="a/b/")


SOURCES = [a_folder, a_clone_on_a_mac, a_folder_of_archives, an_archive, an_archive_without_a_top_folder,
           a_tar_that_a_browser_has_unzipped, a_zip, a_zip_from_windows, a_zip_of_a_folder_in_a_folder]  # fmt: skip


@pytest.mark.parametrize("make", SOURCES)
def test_what_was_pinned_is_found_and_kept(make: Callable[[Path], Path], data: Path, tmp_path: Path) -> None:
    source = make(tmp_path)
    lines: list[str] = []
    assert fetch_clothes(source, report=lines.append) == data
    assert everything_in(data) == INSTALLED
    assert files.status(clothes.CLOTHES) == {NAME: "whole"}
    assert clothes_folder() == data / NAME
    (line,) = lines
    assert line.startswith(f"{NAME} ({SIZE / 1e6:.1f} MB) from ")


def test_what_is_there_is_not_fetched_again(data: Path, tmp_path: Path, no_network: None) -> None:
    write(data, INSTALLED)
    before = {path: path.stat().st_mtime_ns for path in data.rglob("*")}
    lines: list[str] = []
    assert fetch_clothes(report=lines.append) == fetch_clothes(tmp_path, report=lines.append) == data
    assert lines == []
    assert {path: path.stat().st_mtime_ns for path in data.rglob("*")} == before


def test_nothing_is_there(data: Path) -> None:
    assert files.status(clothes.CLOTHES) == {NAME: "missing"}
    with raises_one_line(NotFetchedError, NAME, "not fetched yet", "`tlkit fetch clothes`", "--from PATH"):
        clothes_folder()
    assert not data.exists()  # looking makes nothing


DAMAGES: dict[str, Callable[[Path], object]] = {
    "altered": lambda folder: (folder / "train/hat/1.jpg").write_bytes(noise("another", 49)),
    "cut short": lambda folder: (folder / "train/hat/1.jpg").write_bytes(b""),
    "one fewer": lambda folder: (folder / "test/hat/2.jpg").unlink(),
    "one more": lambda folder: (folder / "test/hat/3.jpg").write_bytes(b"more"),
    "another name": lambda folder: (folder / "test/hat/2.jpg").rename(folder / "test/hat/3.jpg"),
    "another class": lambda folder: (folder / "test/hat/2.jpg").rename(folder / "test/t-shirt/3.jpg"),
    "a file": lambda folder: (shutil.rmtree(folder), folder.write_bytes(b"no folder")),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_folder_is_named_and_mended(damage: str, data: Path, tmp_path: Path) -> None:
    write(data, INSTALLED)
    assert clothes_folder() == data / NAME  # found whole once in this process: that is not remembered for ever
    DAMAGES[damage](data / NAME)
    state = "missing" if damage == "a file" else "altered"
    assert files.status(clothes.CLOTHES) == {NAME: state}
    with raises_one_line(NotFetchedError, NAME, "not the pinned folder" if state == "altered" else "not fetched yet"):
        clothes_folder()
    fetch_clothes(an_archive(tmp_path))
    assert everything_in(data) == INSTALLED
    assert clothes_folder() == data / NAME


def test_what_a_file_manager_leaves_is_no_damage(data: Path) -> None:
    write(data, INSTALLED | {f"{NAME}/train/.DS_Store": b"", f"{NAME}/train/hat/Thumbs.db": b""})
    assert clothes_folder() == data / NAME


# What is refused


def changed(path: str, value: bytes) -> dict[str, bytes]:
    return CONTENT | {path: value}


def one_altered(tmp_path: Path) -> Path:
    return tar_gz(tmp_path / "a.tar.gz", changed("test/hat/1.jpg", noise("another", 49)))


def one_fewer(tmp_path: Path) -> Path:
    return zipped(tmp_path / "a.zip", {path: value for path, value in CONTENT.items() if path != "test/hat/1.jpg"})


def one_more(tmp_path: Path) -> Path:
    return tar_gz(tmp_path / "a.tar.gz", changed("test/hat/9.jpg", b""))


def one_that_has_no_end(tmp_path: Path) -> Path:
    return zipped(tmp_path / "a.zip", changed("test/hat/1.jpg", bytes(5_000_000)))


def another_folder(tmp_path: Path) -> Path:
    return write(tmp_path / "source", changed("test/hat/1.jpg", b"another"))


def no_such_folders(tmp_path: Path) -> Path:
    return tar_gz(tmp_path / "a.tar.gz", BESIDE)


def an_empty_folder(tmp_path: Path) -> Path:
    (tmp_path / "source").mkdir()
    return tmp_path / "source"


def a_page(tmp_path: Path) -> Path:
    (tmp_path / "a.tar.gz").write_text("<html>not found</html>")
    return tmp_path / "a.tar.gz"


def an_empty_file(tmp_path: Path) -> Path:
    (tmp_path / "a.zip").touch()
    return tmp_path / "a.zip"


def a_cut_archive(tmp_path: Path) -> Path:
    path = an_archive(tmp_path)
    path.write_bytes(path.read_bytes()[:-3_000])
    return path


def a_cut_zip(tmp_path: Path) -> Path:
    path = a_zip(tmp_path)
    path.write_bytes(path.read_bytes()[:-300])
    return path


def a_damaged_archive(tmp_path: Path) -> Path:
    path = an_archive(tmp_path)
    content = bytearray(path.read_bytes())
    content[5_000:5_400] = bytes(400)
    path.write_bytes(content)
    return path


def a_name_that_leads_out(tmp_path: Path) -> Path:
    return tar_gz(tmp_path / "a.tar.gz", CONTENT | {"train/../../../../escaped": b"out"})


def a_zip_that_leads_out(tmp_path: Path) -> Path:
    return zipped(tmp_path / "a.zip", CONTENT | {"train\\..\\..\\..\\..\\escaped": b"out"})


def a_link_in_a_files_place(tmp_path: Path) -> Path:
    secret = write(tmp_path, {"secret": CONTENT["train/hat/1.jpg"]}) / "secret"
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, value in CONTENT.items():
            member = tarfile.TarInfo(name)
            if name == "train/hat/1.jpg":
                member.type, member.linkname = tarfile.SYMTYPE, str(secret)
                archive.addfile(member)
            else:
                member.size = len(value)
                archive.addfile(member, io.BytesIO(value))
    return path


REFUSED = [one_altered, one_fewer, one_more, one_that_has_no_end, another_folder, no_such_folders, an_empty_folder,
           a_page, an_empty_file, a_cut_archive, a_cut_zip, a_damaged_archive, a_name_that_leads_out,
           a_zip_that_leads_out, a_link_in_a_files_place]  # fmt: skip


@pytest.mark.parametrize("make", REFUSED)
def test_another_source_is_refused_in_one_line_and_leaves_nothing(
    make: Callable[[Path], Path], data: Path, tmp_path: Path
) -> None:
    source = make(tmp_path)
    before = set(tmp_path.rglob("*"))
    lines: list[str] = []
    with raises_one_line(ValueError, "--from must hold", NAME, "SHA-256", str(source)):
        fetch_clothes(source, report=lines.append)
    assert lines == []
    assert set(tmp_path.rglob("*")) - before == {data.parent, data}


def test_nothing_is_unpacked_before_all_is_known(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "copyfileobj", lambda *args: pytest.fail("a file was written"))
    with raises_one_line(ValueError, "files or names are others"):
        fetch_clothes(one_altered(tmp_path))


def test_of_a_file_without_an_end_little_more_is_read_than_was_pinned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []

    class Endless(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            read.append(size)
            return bytes(size)

    monkeypatch.setattr(trees, "_files", lambda source: iter([("train/hat/1.jpg", Endless())]))
    assert trees.difference(tmp_path, pinned(CONTENT)) == f"more than {SIZE:,} bytes"
    assert sum(read) <= SIZE + trees._BLOCK


# What goes wrong while it is unpacked


def copies_one_file_and_raises(error: BaseException) -> Callable[..., None]:
    copy, calls = shutil.copyfileobj, []

    def failing(stream: io.BytesIO, file: io.BytesIO, *rest: int) -> None:
        calls.append(1)
        copy(stream, file, *rest) if len(calls) == 1 else file.write(b"half a fi")
        if len(calls) > 1:
            raise error

    return failing


@pytest.mark.parametrize("make", [a_folder, an_archive, a_zip])
def test_an_interrupted_fetch_leaves_nothing_and_is_begun_again(
    make: Callable[[Path], Path], data: Path, tmp_path: Path
) -> None:
    source = make(tmp_path)
    older = {f"{NAME}/train/hat/old.jpg": b"older"}
    write(data, older)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shutil, "copyfileobj", copies_one_file_and_raises(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            fetch_clothes(source)
    assert everything_in(data) == older
    assert [path.name for path in data.iterdir()] == [NAME]
    fetch_clothes(source)
    assert everything_in(data) == INSTALLED


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk(number: int, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "copyfileobj", copies_one_file_and_raises(OSError(number, os.strerror(number))))
    with raises_one_line(OSError, os.strerror(number), "clothes needs 0 MB", str(data)):
        fetch_clothes(an_archive(tmp_path))
    assert list(data.iterdir()) == []


def test_two_fetches_at_once(data: Path, tmp_path: Path) -> None:
    source = an_archive(tmp_path)
    write(data, {f"{NAME}/train/hat/old.jpg": b"older"})
    assert failures_side_by_side(lambda: fetch_clothes(source)) == []
    assert everything_in(data) == INSTALLED


# Over the network, which here is this machine


class Page(http.server.BaseHTTPRequestHandler):
    """Serves an archive, with or without ranges, whole or not to its end."""

    archive: ClassVar[bytes] = b""
    ranges: ClassVar[bool] = True
    says_its_length: ClassVar[bool] = True
    cut_after: ClassVar[int | None] = None
    asked: ClassVar[list[str | None]] = []

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        Page.asked.append(wanted)
        if not Page.archive:
            self.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and Page.ranges else 0
        if start >= len(Page.archive):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        content = Page.archive[start:]
        if Page.says_its_length:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(content[: Page.cut_after])

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def page(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Page]]:
    """The archive's page, on this machine."""
    Page.archive, Page.asked = an_archive(tmp_path).read_bytes(), []
    Page.ranges, Page.says_its_length, Page.cut_after = True, True, None
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    address = f"http://127.0.0.1:{server.server_address[1]}/archive.tar.gz"
    there = dataclasses.replace(pinned(CONTENT), archive=address)
    monkeypatch.setattr(clothes, "CLOTHES", Collection("clothes", {NAME: there}))
    yield Page
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("says_its_length", [True, False])
def test_a_page_is_asked_once(says_its_length: bool, page: type[Page], data: Path) -> None:
    page.says_its_length = says_its_length
    steps: list[tuple[str, int, int]] = []
    fetch_clothes(progress=lambda *step: steps.append(step))
    assert everything_in(data) == INSTALLED
    assert page.asked == [None]
    name, done, total = steps[-1]
    assert (name, done) == (NAME, len(page.archive))
    assert total == (len(page.archive) if says_its_length else max(SIZE, len(page.archive)))


def cut_off(page: type[Page], data: Path, at: int = 3_000) -> None:
    """A first fetch, whose connection is lost."""
    page.cut_after = at
    with raises_one_line(ConnectionError, NAME, "0.0 MB have come and are kept", "--from PATH"):
        fetch_clothes()
    page.cut_after = None
    assert everything_in(data) == {f"{NAME}.part": page.archive[:at]}
    assert page.asked == [None]


def test_what_was_cut_off_goes_on(page: type[Page], data: Path) -> None:
    cut_off(page, data)
    fetch_clothes()
    assert page.asked == [None, "bytes=3000-"]
    assert everything_in(data) == INSTALLED


def test_it_may_be_cut_off_more_than_once(page: type[Page], data: Path) -> None:
    cut_off(page, data)
    page.cut_after = 500
    with raises_one_line(ConnectionError, NAME, "are kept"):
        fetch_clothes()
    assert everything_in(data) == {f"{NAME}.part": page.archive[:3_500]}
    page.cut_after = None
    fetch_clothes()
    assert page.asked == [None, "bytes=3000-", "bytes=3500-"]
    assert everything_in(data) == INSTALLED


def test_a_server_without_ranges_sends_all_again(page: type[Page], data: Path) -> None:
    cut_off(page, data)
    page.ranges = False
    fetch_clothes()
    assert page.asked == [None, "bytes=3000-"]
    assert everything_in(data) == INSTALLED


def test_an_archive_that_was_packed_anew_in_between(page: type[Page], data: Path, tmp_path: Path) -> None:
    cut_off(page, data)
    page.archive = tar_gz(tmp_path / "anew.tar.gz", dict(reversed(CONTENT.items()))).read_bytes()
    fetch_clothes()
    assert page.asked == [None, "bytes=3000-", None]
    assert everything_in(data) == INSTALLED


def test_all_had_come_before_it_was_unpacked(page: type[Page], data: Path) -> None:
    write(data, {f"{NAME}.part": page.archive})
    fetch_clothes()
    assert page.asked == [f"bytes={len(page.archive)}-"]
    assert everything_in(data) == INSTALLED


def test_what_came_is_not_needed_any_more(page: type[Page], data: Path, tmp_path: Path) -> None:
    cut_off(page, data)
    fetch_clothes(a_folder(tmp_path))
    assert everything_in(data) == INSTALLED


@pytest.mark.parametrize("make", [one_altered, a_page, one_more])
def test_what_a_page_gives_instead_is_not_kept(
    make: Callable[[Path], Path], page: type[Page], data: Path, tmp_path: Path
) -> None:
    page.archive = make(tmp_path).read_bytes()
    with raises_one_line(ConnectionError, NAME, "tlkit fetch clothes --from PATH", "http://127.0.0.1"):
        fetch_clothes()
    assert everything_in(data) == {}
    assert page.asked == [None]


def test_a_page_that_is_gone(page: type[Page], data: Path) -> None:
    page.archive = b""
    with raises_one_line(ConnectionError, NAME, "connect to a network"):
        fetch_clothes()
    assert list(data.iterdir()) == []


def test_a_disk_that_fills_up_during_a_download(page: type[Page], data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(fetching, "_copy", full)
    with raises_one_line(OSError, os.strerror(errno.ENOSPC), "clothes needs"):
        fetch_clothes()
    assert everything_in(data) == {}


def test_the_real_address_is_asked_and_named(data: Path, no_network: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clothes, "CLOTHES", CLOTHES)
    asked: list[str] = []
    download = fetching._download
    monkeypatch.setattr(fetching, "_download", lambda address, *rest: asked.append(address) or download(address, *rest))
    address = f"https://github.com/alexeygrigorev/{NAME}/archive/11961516512414bf9f6c150a832cfd21b54a6b54.tar.gz"
    with raises_one_line(ConnectionError, NAME, "connect to a network", f"the archive {address}"):
        fetch_clothes()
    assert asked == [address]
    assert list(data.iterdir()) == []


# The command


Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs ``tlkit`` in this process: its exit code, and the two things that it printed."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tlkit", *arguments])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        code = stop.value.code
        assert code is None or isinstance(code, int)
        return code or 0, *capsys.readouterr()

    return run


def test_the_command_fetches_and_then_says_that_it_is_there(command: Command, data: Path, tmp_path: Path) -> None:
    code, out, err = command("fetch", "clothes", "--from", str(an_archive(tmp_path)))
    assert (code, err) == (0, "")
    assert out.splitlines() == [f"fetched {NAME} (0.0 MB) from clothes.tar.gz", f"clothes is there: {data}"]
    assert command("fetch", "clothes") == (0, f"clothes is there: {data}\n", "")


def test_the_command_goes_on_with_a_bar(command: Command, page: type[Page], data: Path) -> None:
    cut_off(page, data)
    code, out, _ = command("fetch", "clothes")
    assert code == 0
    assert out.splitlines()[-1] == f"clothes is there: {data}"


@pytest.mark.parametrize("trouble", ["no network", "no source", "a wrong archive"])
def test_the_command_fails_in_one_line(
    trouble: str, command: Command, data: Path, tmp_path: Path, no_network: None
) -> None:
    source = {"no source": tmp_path / "nowhere", "a wrong archive": one_altered(tmp_path)}
    code, out, err = command("fetch", "clothes", *(["--from", str(source[trouble])] if trouble in source else []))
    assert (code, out) == (2, "")
    assert len(err.strip().splitlines()) == 1, err
    assert err.startswith("tlkit: ")


@pytest.mark.parametrize("state", ["missing", "altered", "whole"])
def test_without_a_name_the_command_says_what_is_there(state: str, command: Command, data: Path) -> None:
    if state != "missing":
        write(data, INSTALLED)
    if state == "altered":
        DAMAGES["altered"](data / NAME)
    code, out, err = command("fetch")
    assert (code, err) == (0, "")
    text, line, speech, cells = out.splitlines()
    assert cells.split()[:4] == ["cells", "missing", "40", "MB"]
    assert speech.split()[:4] == ["speech", "missing", "21", "MB"]
    assert text.split()[:4] == ["text", "missing", "94", "MB"]
    assert line.split()[:2] == ["clothes", state]
    assert line.endswith(str(data) if state == "whole" else "run: tlkit fetch clothes")


def test_the_help_names_each_collection(command: Command) -> None:
    code, out, _ = command("fetch", "--help")
    assert code == 0
    for collection in cli._collections():
        assert re.search(rf"\b{collection.name}\b", out)
