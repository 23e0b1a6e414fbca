"""Zips that a stranger packed: what comes out lies in one folder, or nothing does."""

import io
import os
import stat
import struct
import unicodedata
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers import raises_one_line
from PIL import Image

from tlkit.folders import load_folder, unpack_pictures
from tlkit.folders.unpacking import unusable_name


def picture(shade: int, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), shade, np.uint8)).save(buffer, kind)
    return buffer.getvalue()


PETS = {f"{label}/{i}.png": picture(40 * i + 100 * (label == "dog")) for label in ("cat", "dog") for i in range(3)}

Member = tuple[str | zipfile.ZipInfo, bytes]


def packed(*members: Member, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def renamed(archive: bytes, old: str, new: str) -> bytes:
    """A name that the zipfile module would not write."""
    assert len(old) == len(new)
    assert old.encode() in archive
    return archive.replace(old.encode(), new.encode())


def central(archive: bytes, offset: int, new: bytes) -> bytes:
    """The first entry of the directory with other bytes at an offset."""
    at = archive.index(b"PK\1\2") + offset
    return archive[:at] + new + archive[at + len(new) :]


@pytest.fixture
def into(tmp_path: Path) -> Iterator[Path]:
    """Where to unpack; nothing may appear beside it."""
    folder = tmp_path / "inside" / "pets"
    yield folder
    assert {path.name for path in tmp_path.iterdir()} <= {"inside", "pets.zip"}
    if folder.parent.exists():
        assert [path.name for path in folder.parent.iterdir()] in ([], ["pets"])
    assert not any(path.is_symlink() for path in tmp_path.rglob("*"))


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# What an honest person packs


@pytest.mark.parametrize("above", ["", "pets/", "home/me/pets/"])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_class_folders_come_out_whatever_is_above_them(into: Path, above: str, method: int) -> None:
    members = [(above + name, content) for name, content in PETS.items()]
    unpacked = unpack_pictures(packed((above + "cat/", b""), *members, method=method), into)
    assert files(into) == PETS
    assert unpacked.pictures == tuple(into / name for name in PETS)
    assert unpacked.skipped == {}
    assert load_folder(into, image_size=8).classes == ("cat", "dog")


def test_a_zip_may_be_bytes_a_view_or_a_path(into: Path, tmp_path: Path) -> None:
    content = packed(*PETS.items())
    (tmp_path / "pets.zip").write_bytes(content)
    for source in (content, memoryview(content), tmp_path / "pets.zip", str(tmp_path / "pets.zip")):
        unpack_pictures(source, into)
        assert files(into) == PETS
        for path in sorted(into.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()  # an empty folder serves as well as none


def test_what_systems_add_is_dropped_without_a_word(into: Path) -> None:
    litter = ["__MACOSX/pets/cat/._0.png", "pets/.DS_Store", "pets/cat/.hidden.png", ".git/x.png", "pets/cat/Thumbs.db"]
    members = [(f"pets/{name}", content) for name, content in PETS.items()]
    unpacked = unpack_pictures(packed(*((name, b"x") for name in litter), *members), into)
    assert files(into) == PETS
    assert unpacked.skipped == {}


def test_backslashes_are_slashes(into: Path) -> None:
    archive = packed(*((f"pets/{name}", content) for name, content in PETS.items()))
    for name in PETS:
        archive = renamed(archive, f"pets/{name}", f"pets/{name}".replace("/", "\\"))
    unpack_pictures(archive, into)
    assert files(into) == PETS


def test_an_umlaut_is_one_letter(into: Path) -> None:
    label = "Käfer"
    unpack_pictures(packed((unicodedata.normalize("NFD", f"{label}/1.png"), picture(1)), *PETS.items()), into)
    assert (into / unicodedata.normalize("NFC", label)).is_dir()
    assert {unicodedata.normalize("NFC", path.name) for path in into.iterdir()} == {label, "cat", "dog"}


def test_what_is_not_in_a_class_folder_is_skipped(into: Path) -> None:
    odd = {"preview.png": "not in a class folder", "cat/old/1.png": "a folder inside a class folder"}
    odd |= {
        "cat/notes.txt": "not a picture (.txt)",
        "cat/inner.zip": "not a picture (.zip)",
        "cat/empty.png": "empty file",
    }
    contents = {name: b"" if "empty" in name else picture(1) for name in odd}
    for above in ("", "pets/"):
        folder = into if above else into / "plain"
        members = [(above + name, content) for name, content in (PETS | contents).items()]
        unpacked = unpack_pictures(packed(*members), folder)
        assert files(folder) == PETS
        assert unpacked.skipped == {above + name: reason for name, reason in odd.items()}
        for path in sorted(folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        folder.rmdir()
        into.mkdir(exist_ok=True)


# Names that lead elsewhere, or that another system cannot have

ELSEWHERE = [
    "/etc/cat/1.png", "//server/share/1.png", "../1.png", "../../cat/1.png", "cat/../../1.png", "cat/../1.png",
    "C:/cat/1.png", "C:cat/1.png", "c:\\cat\\1.png", "..\\..\\cat\\1.png", "\\cat\\1.png", "\\\\server\\share\\1.png",
    "cat\\..\\..\\1.png",
]  # fmt: skip
NOT_FOR_WINDOWS = [
    "con/1.png", "cat/NUL.png", "cat/com1.jpg", "aux.old/1.png", "cat/lpt9 .png", "cat/a:b.png", "cat/what?.png",
    "cat/a|b.png", "cat /1.png", "cat./1.png", "cat/a\nb.png", "cat/\x7f.png", 'cat/".png', "cat/COM¹.png",
]  # fmt: skip


@pytest.mark.parametrize("name", ELSEWHERE + NOT_FOR_WINDOWS)
def test_a_name_that_cannot_be_used_is_skipped(into: Path, name: str) -> None:
    stand_in = "x" * len(name.encode())
    archive = packed((stand_in, picture(1)), *PETS.items()).replace(stand_in.encode(), name.encode())
    if not name.isascii():
        archive = packed((name, picture(1)), *PETS.items())
    unpacked = unpack_pictures(archive, into)
    assert files(into) == PETS
    (reason,) = unpacked.skipped.values()
    assert reason == ("a name that leads out of the folder" if name in ELSEWHERE else "a name that Windows cannot have")
    assert all(shown.isprintable() for shown in unpacked.skipped)


def test_a_name_that_is_too_long_is_skipped(into: Path) -> None:
    for name in (f"cat/{'x' * 300}.png", f"{'x' * 300}/1.png"):
        unpacked = unpack_pictures(packed((name, picture(1)), *PETS.items()), into / str(len(name)))
        assert set(unpacked.skipped) == {name}


def test_names_that_differ_by_case_are_one_file_and_one_class(into: Path) -> None:
    unpacked = unpack_pictures(
        packed(*PETS.items(), ("Cat/9.png", picture(9)), ("CAT/0.PNG", b"another"), ("dog/1.Png", b"another")), into
    )
    assert files(into) == PETS | {"cat/9.png": picture(9)}
    assert unpacked.skipped == {"CAT/0.PNG": "the same name as cat/0.png", "dog/1.Png": "the same name as dog/1.png"}


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")  # zipfile's, on writing
def test_the_same_name_twice_is_one_file(into: Path) -> None:
    unpacked = unpack_pictures(packed(*PETS.items(), ("cat/0.png", b"another")), into)
    assert files(into) == PETS
    assert list(unpacked.skipped) == ["cat/0.png"]


# Links and other kinds


def of_kind(kind: int, name: str = "cat/link.png") -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = (kind | 0o777) << 16
    return info


@pytest.mark.parametrize("target", ["/etc/passwd", "../../secret.png", "0.png"])
def test_a_link_is_skipped_wherever_it_leads(into: Path, target: str) -> None:
    unpacked = unpack_pictures(packed((of_kind(stat.S_IFLNK), target.encode()), *PETS.items()), into)
    assert files(into) == PETS
    assert unpacked.skipped == {"cat/link.png": "a link"}


def test_a_file_behind_a_linked_folder_stays_inside(into: Path) -> None:
    members = [(of_kind(stat.S_IFLNK, "cat"), b"/etc"), ("cat/0.png", PETS["cat/0.png"])]
    unpacked = unpack_pictures(packed(*members), into)
    assert files(into) == {"cat/0.png": PETS["cat/0.png"]}
    assert unpacked.skipped == {"cat": "a link"}


@pytest.mark.parametrize("kind", [stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK])
def test_a_device_is_skipped(into: Path, kind: int) -> None:
    unpacked = unpack_pictures(packed((of_kind(kind), b""), *PETS.items()), into)
    assert unpacked.skipped == {"cat/link.png": "not a regular file"}


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such bits")
def test_nothing_comes_out_executable(into: Path) -> None:
    info = of_kind(stat.S_IFREG | stat.S_ISUID)
    unpack_pictures(packed((info, picture(1))), into)
    assert (into / "cat" / "link.png").stat().st_mode & (stat.S_ISUID | 0o111) == 0


# Bombs

FLAT = bytes(4 * 2**20)  # deflates to a thousandth


def test_a_bomb_is_refused_by_its_ratio(into: Path) -> None:
    bomb = packed(("cat/1.bmp", FLAT))
    with raises_one_line(ValueError, "at most 200 times its", "zip bomb"):
        unpack_pictures(bomb, into)
    assert len(unpack_pictures(bomb, into, max_ratio=1100).pictures) == 1


def test_many_small_bombs_count_together(into: Path) -> None:
    members = [(f"cat/{i}.bmp", FLAT[: 2**17]) for i in range(32)]
    with raises_one_line(ValueError, "at most 200 times"):
        unpack_pictures(packed(*members), into)


@pytest.mark.parametrize("content", [FLAT, np.random.default_rng(0).bytes(2**20)])
def test_a_zip_is_refused_by_the_bytes_that_come_out(into: Path, content: bytes) -> None:
    archive = packed(("cat/1.bmp", content), ("cat/2.bmp", content[:100]))
    total = len(content) + 100
    with raises_one_line(ValueError, f"at most {total - 1:,} bytes"):
        unpack_pictures(archive, into, max_bytes=total - 1, max_ratio=2000)
    limit = max(total, len(archive))
    assert len(unpack_pictures(archive, into, max_bytes=limit, max_ratio=2000).pictures) == 2


@pytest.mark.parametrize("claimed", [0, 10, 2**31])
def test_a_size_that_lies_gets_no_further_than_what_is_there(into: Path, claimed: int) -> None:
    # 24 bytes into its entry of the directory stands the size of the unpacked file.
    archive = central(packed(("cat/1.bmp", FLAT), *PETS.items()), 24, struct.pack("<I", claimed))
    try:
        unpacked = unpack_pictures(archive, into, max_ratio=10)
    except ValueError as error:
        assert "zip bomb" in str(error)  # noqa: PT017 (either is right, and depends on the version of Python)
        assert claimed > 10
    else:
        assert files(into) == PETS
        assert list(unpacked.skipped) == ["cat/1.bmp"]


def test_two_names_for_the_same_bytes(into: Path) -> None:
    # Fifield's bomb (2019) lets many names share one block; zipfile compares the name before the block.
    archive = packed(("cat/1.png", picture(1)), ("cat/2.png", picture(2)))
    second = archive.index(b"PK\1\2", archive.index(b"PK\1\2") + 4) + 42
    unpacked = unpack_pictures(archive[:second] + bytes(4) + archive[second + 4 :], into)
    assert "cat/2.png" in unpacked.skipped
    assert "cat/2.png" not in files(into)


def test_the_number_of_pictures_is_limited(into: Path) -> None:
    archive = packed(*PETS.items(), ("cat/notes.txt", b"x"))
    with raises_one_line(ValueError, "at most 5 pictures, got 6"):
        unpack_pictures(archive, into, max_files=5)
    assert len(unpack_pictures(archive, into, max_files=6).pictures) == 6


def test_the_zip_itself_is_limited(into: Path) -> None:
    archive = packed(*PETS.items(), method=zipfile.ZIP_STORED)
    with raises_one_line(ValueError, "the zip must have at most 100 bytes", f"got {len(archive):,}"):
        unpack_pictures(archive, into, max_bytes=100)


# Damage


@pytest.mark.parametrize("bit", [0x1, 0x1 | 0x40])
def test_an_encrypted_zip_is_refused(into: Path, bit: int) -> None:
    archive = central(packed(*PETS.items()), 8, struct.pack("<H", bit))
    with raises_one_line(ValueError, "must not be encrypted", "cat/0.png"):
        unpack_pictures(archive, into)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compression_is_skipped(into: Path, method: int) -> None:
    info = zipfile.ZipInfo("cat/x.png")
    info.compress_type = method
    buffer = io.BytesIO(packed(*PETS.items()))
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(info, picture(1))
    unpacked = unpack_pictures(buffer.getvalue(), into)
    assert files(into) == PETS
    assert unpacked.skipped == {"cat/x.png": "compressed in another way than deflate"}


def test_a_method_that_does_not_exist_is_skipped(into: Path) -> None:
    unpacked = unpack_pictures(central(packed(*PETS.items()), 10, struct.pack("<H", 77)), into)
    assert set(unpacked.skipped) == {"cat/0.png"}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_damaged_member_is_skipped_and_the_others_come_out(into: Path, method: int) -> None:
    archive = bytearray(packed(("emu/1.png", picture(7)), *PETS.items(), method=method))
    archive[40 + len("emu/1.png")] ^= 0xFF
    unpacked = unpack_pictures(bytes(archive), into)
    assert files(into) == PETS
    assert not (into / "emu").exists()
    assert unpacked.skipped["emu/1.png"].startswith("damaged: ")


WHOLE = packed(*PETS.items())


@pytest.mark.parametrize(
    "archive",
    [b"", b"PK", b"hello" * 99, picture(1), WHOLE[:-30], WHOLE[:100], bytes(1000), packed()],
    ids=["empty", "start", "text", "picture", "no end", "first bytes", "zeros", "holds nothing"],
)
def test_what_is_no_zip_is_refused(into: Path, archive: bytes) -> None:
    with raises_one_line(ValueError, "zip"):
        unpack_pictures(archive, into)
    assert not into.exists()


def test_a_zip_that_lost_its_start_gives_what_is_whole(into: Path) -> None:
    unpacked = unpack_pictures(WHOLE[len(WHOLE) // 2 :], into)
    assert files(into).items() < PETS.items()
    assert set(unpacked.skipped) == set(PETS) - set(files(into))


def test_altered_bytes_end_in_pictures_or_a_named_error(into: Path) -> None:
    rng = np.random.default_rng(0)
    for trial in range(150):
        content = bytearray(WHOLE)
        tail = len(content) - 500
        for at in rng.integers(tail if trial % 2 else 0, len(content), 3):
            content[at] = rng.integers(256)
        folder = into / str(trial)
        try:
            unpacked = unpack_pictures(bytes(content), folder, max_bytes=2**20)
        except ValueError as error:
            lines = str(error).splitlines()
            assert len(lines) == 1
        else:
            assert sorted(unpacked.pictures) == sorted(folder / name for name in files(folder))


def test_a_zip_without_pictures_says_what_was_there(into: Path) -> None:
    with raises_one_line(ValueError, "pictures in one folder per class, got none (not a picture (.txt))"):
        unpack_pictures(packed(("cat/notes.txt", b"x")), into)
    with raises_one_line(ValueError, "got none (not in a class folder)"):
        unpack_pictures(packed(("1.png", picture(1))), into)
    with raises_one_line(ValueError, "must be a zip", "nothing.zip"):
        unpack_pictures(into / "nothing.zip", into)


# Where it goes


@pytest.mark.parametrize("kind", ["file", "full"])
def test_nothing_is_written_over(into: Path, kind: str) -> None:
    into.parent.mkdir()
    if kind == "file":
        into.write_text("mine")
    else:
        (into / "cat").mkdir(parents=True)
    with raises_one_line(ValueError, "into must be a new or an empty folder", str(into)):
        unpack_pictures(WHOLE, into)
    assert into.is_file() or [path.name for path in into.rglob("*")] == ["cat"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_an_interruption_leaves_nothing(into: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    from tlkit.folders import unpacking

    real, seen = unpacking._blocks, []

    def interrupted(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
        seen.append(info)
        yield from real(archive, info)
        if len(seen) == 4:
            raise error

    monkeypatch.setattr(unpacking, "_blocks", interrupted)
    with pytest.raises(type(error)):
        unpack_pictures(WHOLE, into)
    assert list(into.parent.iterdir()) == []
    monkeypatch.undo()
    unpack_pictures(WHOLE, into)
    assert files(into) == PETS


@pytest.mark.parametrize("name", ["\u202e.png", "cat\u202egnp.png", "\u2066a.png"])
def test_a_name_that_reads_backwards_is_refused(name: str, into: Path) -> None:
    unpacked = unpack_pictures(packed(*PETS.items(), (f"cat/{name}", picture(9))), into)
    assert list(unpacked.skipped.values()) == ["a name with a mark that turns the direction of reading"]
    assert len(unpacked.pictures) == len(PETS)
    for kept in ("cat\u202f9.41.png", "\U0001f468\u200d\U0001f469.png"):  # macOS writes the one, people the other
        assert unusable_name(kept) == ""
