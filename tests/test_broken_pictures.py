"""Broken, odd and hostile files: each is read, or named in one line; none crashes, warns or is followed elsewhere."""

import contextlib
import io
import os
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from helpers import raises_one_line
from PIL import Image

from tlkit.folders import PictureError, inspect_folder, load_folder, read_picture

NOISE = np.random.default_rng(0).integers(0, 256, (40, 48, 3)).astype(np.uint8)  # compresses badly: no byte is idle


def encoded(kind: str, image: Image.Image | None = None, **options: object) -> bytes:
    buffer = io.BytesIO()
    (image or Image.fromarray(NOISE)).save(buffer, kind, **options)
    return buffer.getvalue()


def frames() -> dict[str, object]:
    return {"save_all": True, "append_images": [Image.fromarray(255 - NOISE)]}


WHOLE = {
    "png": encoded("PNG"),
    "palette.png": encoded("PNG", Image.fromarray(NOISE).quantize(200)),
    "deep.png": encoded("PNG", Image.fromarray(NOISE[..., 0].astype(np.uint16) * 257)),
    "animated.png": encoded("PNG", **frames()),
    "jpg": encoded("JPEG"),
    "progressive.jpg": encoded("JPEG", progressive=True),
    "cmyk.jpg": encoded("JPEG", Image.fromarray(NOISE).convert("CMYK")),
    "phone.jpg": encoded("MPO", **frames()),
    "bmp": encoded("BMP"),
    "palette.bmp": encoded("BMP", Image.fromarray(NOISE).quantize(200)),
    "gif": encoded("GIF"),
    "animated.gif": encoded("GIF", **frames()),
    "webp": encoded("WEBP"),
    "lossless.webp": encoded("WEBP", lossless=True),
    "animated.webp": encoded("WEBP", **frames()),
}

# Truncation: the first picture has lost bytes that it needs


def cut(name: str, share: float) -> bytes:
    whole = WHOLE[name]
    # Of an animation the first frame is read: it ends before the half.
    return whole[: int(len(whole) * share / (2 if "animated" in name or "phone" in name else 1))]


CUT = {f"{name} cut at {share:.0%}": cut(name, share) for name in WHOLE for share in (0.001, 0.05, 0.3, 0.6, 0.9)}


# Headers that lie, checksums that do not hold, content of another kind


def chunk(kind: bytes, data: bytes, *, crc: int | None = None) -> bytes:
    check = zlib.crc32(kind + data) if crc is None else crc
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)


def png(
    width: int,
    height: int,
    *,
    depth: int = 8,
    colour: int = 2,
    rows: bytes = b"",
    between: bytes = b"",
    crc: int | None = None,
) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", header, crc=crc) + between + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def altered(name: str, position: int, new: bytes) -> bytes:
    whole = WHOLE[name]
    return whole[:position] + new + whole[position + len(new) :]


def jpeg_of_size(width: int, height: int) -> bytes:
    start = WHOLE["jpg"].index(b"\xff\xc0") + 5
    return altered("jpg", start, struct.pack(">HH", height, width))


ROW = b"\0" + bytes(3 * 8)

BROKEN: dict[str, bytes] = CUT | {
    # nothing, or something else
    "empty": b"",
    "one byte": b"\x89",
    "zeros": bytes(5000),
    "text": b"not a picture\n" * 50,
    "html": b"<html><script>alert(1)</script></html>",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
    "zip": b"PK\x03\x04" + bytes(100),
    "pdf": b"%PDF-1.7\n" + bytes(100),
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n",
    "tiff": encoded("TIFF"),
    "ico": encoded("ICO"),
    "portable pixmap": encoded("PPM"),
    "pickle": b"\x80\x04\x95" + bytes(40),
    "noise": np.random.default_rng(1).bytes(4000),
    # the right start, nothing behind it
    "only a png signature": b"\x89PNG\r\n\x1a\n",
    "only a jpeg start": b"\xff\xd8\xff\xe0",
    "only a gif start": b"GIF89a",
    "only a bmp start": b"BM",
    "only a webp start": b"RIFF\x10\0\0\0WEBPVP8 ",
    "jpeg end at once": b"\xff\xd8\xff\xd9",
    "png signature and text": b"\x89PNG\r\n\x1a\n" + b"hello " * 99,
    "png with line ends changed": WHOLE["png"].replace(b"\r\n", b"\n"),
    "jpeg sent as text": WHOLE["jpg"].decode("latin1").encode("utf-8"),
    "byte order mark before a png": b"\xef\xbb\xbf" + WHOLE["png"],
    # headers that lie
    "png of 0 pixels": png(0, 8, rows=ROW * 8),
    "png without rows": png(8, 8),
    "png of 30,000 x 30,000 pixels": png(30_000, 30_000, rows=ROW * 8),
    "png of 9,500 x 9,500 pixels": png(9_500, 9_500, rows=ROW * 8),
    "png of 4 thousand million pixels a side": png(2**32 - 1, 2**32 - 1, rows=ROW * 8),
    "png with a wrong header checksum": png(8, 8, rows=ROW * 8, crc=0),
    "png of unknown colour type": png(8, 8, colour=5, rows=ROW * 8),
    "png of depth 3": png(8, 8, depth=3, rows=ROW * 8),
    "png without an end of the zlib stream": png(8, 8, rows=ROW * 8).replace(b"IDAT", b"IDAX"),
    "png with damaged zlib data": altered("png", 60, bytes(40)),
    "png palette without a palette": png(8, 8, colour=3, rows=(b"\0" + bytes(8)) * 8)[:33] + chunk(b"IEND", b""),
    "png header twice as long as said": b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 2**31) + b"IHDR" + bytes(50),
    "png with a bomb in its text": png(
        8, 8, rows=ROW * 8, between=chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**21)))
    ),
    "jpeg of 65,000 x 65,000 pixels": jpeg_of_size(65_000, 65_000),
    "jpeg of 0 pixels": jpeg_of_size(0, 0),
    "jpeg without tables": WHOLE["jpg"].replace(b"\xff\xdb", b"\xff\xee").replace(b"\xff\xc4", b"\xff\xee"),
    "jpeg with 9 components": altered("jpg", WHOLE["jpg"].index(b"\xff\xc0") + 9, b"\x09"),
    "jpeg of 12 bits": altered("jpg", WHOLE["jpg"].index(b"\xff\xc0") + 4, b"\x0c"),
    "arithmetic coding that there is none of": altered("jpg", WHOLE["jpg"].index(b"\xff\xc0"), b"\xff\xcb"),
    "jpeg without an end": WHOLE["jpg"][:-2],
    "bmp of -1 x -1 pixels": altered("bmp", 18, struct.pack("<ii", -1, -1)),
    "bmp of 0 pixels": altered("bmp", 18, struct.pack("<ii", 0, 0)),
    "bmp of 30,000 x 30,000 pixels": altered("bmp", 18, struct.pack("<ii", 30_000, 30_000)),
    "bmp of 3 bits": altered("bmp", 28, struct.pack("<H", 3)),
    "bmp compressed by an unknown method": altered("bmp", 30, struct.pack("<I", 77)),
    "bmp with a header of 7 bytes": altered("bmp", 14, struct.pack("<I", 7)),
    "bmp whose pixels start behind its end": altered("bmp", 10, struct.pack("<I", 10**6)),
    "gif of 0 pixels": altered("gif", 6, bytes(4))[:20],
    "gif with a frame of 65,535 x 65,535 pixels": altered(
        "gif", WHOLE["gif"].index(b",", 13 + 3 * 256) + 5, struct.pack("<HH", 65_535, 65_535)
    ),
    "gif without a frame": WHOLE["gif"][:13] + b";",
    "webp that says it is longer": altered("webp", 4, struct.pack("<I", 2**31)),
    "webp of another codec": WHOLE["webp"].replace(b"VP8 ", b"VP9 "),
    "webp with damaged data": altered("webp", 20, bytes(30)),
}

# Odd, and still pictures: Pillow reads them, as browsers do
ODD = {
    "png with a wrong data checksum": altered("png", len(WHOLE["png"]) - 16, b"\0\0\0\0"),
    "png with half its rows": png(8, 8, rows=ROW * 4),
    "png without an end": WHOLE["png"][:-12],
    "png with text behind its end": WHOLE["png"] + b"<script>alert(1)</script>" * 9,
    "jpeg with a zip behind its end": WHOLE["jpg"] + b"PK\x03\x04" + bytes(99),
    "jpeg with damaged EXIF data": encoded("JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff" + bytes(9)),
    "jpeg with EXIF data of zeros": encoded("JPEG", exif=b"Exif\0\0" + bytes(40)),
    "png with a palette that is too short": png(
        8, 8, colour=3, rows=(b"\0" + b"\7" * 8) * 8, between=chunk(b"PLTE", b"\1\2\3")
    ),
    "png with more rows than said": png(8, 8, rows=ROW * 80),
    "animated gif cut in its second frame": WHOLE["animated.gif"][:-400],
    "animated png cut in its second frame": WHOLE["animated.png"][:-400],
    "phone picture cut in its second frame": WHOLE["phone.jpg"][:-400],
}


def test_there_are_fifty_kinds_beside_the_cut_ones() -> None:
    assert len(BROKEN) - len(CUT) >= 50


@pytest.mark.parametrize("kind", WHOLE)
def test_each_whole_picture_is_read_whatever_its_suffix(tmp_path: Path, kind: str) -> None:
    seen = []
    for suffix in ("png", "jpg", "bmp", "gif", "webp"):
        (tmp_path / f"x.{suffix}").write_bytes(WHOLE[kind])
        seen.append(read_picture(tmp_path / f"x.{suffix}", (40, 48), 3))
    assert all(np.array_equal(seen[0], other) for other in seen)
    expected = np.asarray(Image.open(io.BytesIO(WHOLE[kind])).convert("RGB"))
    if kind == "deep.png":  # Pillow's conversion clips
        expected = np.repeat(NOISE[..., :1], 3, axis=2)
    np.testing.assert_array_equal(seen[0], expected)


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_picture_is_named_in_one_line(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(BROKEN[kind])
    with raises_one_line(PictureError, str(path), "a picture must be"):
        read_picture(path, (8, 8), 3)


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_picture_is_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(ODD[kind])
    assert read_picture(path, (8, 8), 1).shape == (8, 8, 1)


@pytest.mark.parametrize("kind", WHOLE)
def test_altered_bytes_end_in_a_picture_or_a_named_error(tmp_path: Path, kind: str) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "x.png"
    for _ in range(40):
        content = bytearray(WHOLE[kind])
        for at in rng.integers(0, min(len(content), 200 if rng.random() < 0.5 else len(content)), 4):
            content[at] = rng.integers(256)
        path.write_bytes(content)
        with contextlib.suppress(PictureError):
            assert read_picture(path, (8, 8), 3).shape == (8, 8, 3)


def folder_of(root: Path, contents: dict[str, bytes]) -> Path:
    for label in ("a", "b"):
        (root / label).mkdir(parents=True)
        for i in range(2):
            (root / label / f"{i}.png").write_bytes(WHOLE["png" if label == "a" else "jpg"])
    for i, content in enumerate(contents.values()):
        (root / "b" / f"x{i:03}.jpg").write_bytes(content)
    return root


def test_a_folder_of_broken_pictures_loads_without_them(tmp_path: Path) -> None:
    alone = load_folder(folder_of(tmp_path / "whole", {}), image_size=8)
    folder = folder_of(tmp_path / "broken", BROKEN)
    for max_bytes in (2**30, 1):
        with pytest.warns(UserWarning, match=rf"^{len(BROKEN)} unreadable .*b/x000.jpg \(") as caught:
            kept = load_folder(
                folder, image_size=8, skip_unreadable=True, cache_dir=tmp_path / "c", max_bytes=max_bytes
            )
        assert len(caught) == 1
        np.testing.assert_array_equal(kept.train.x, alone.train.x)
    with raises_one_line(ValueError, "every image must be readable", ".jpg", "inspect_folder"):
        load_folder(folder, image_size=8)


def test_a_report_names_each_broken_picture(tmp_path: Path) -> None:
    report = inspect_folder(folder_of(tmp_path, BROKEN))
    empty = [f"b/x{i:03}.jpg" for i, content in enumerate(BROKEN.values()) if not content]
    assert list(report.empty) == empty
    assert len(report.unreadable) == len(BROKEN) - len(empty)
    assert report.classes["pictures"].tolist() == [2, 2]
    assert report.classes["unreadable"].tolist() == [0, len(BROKEN)]


def test_the_pixel_limit_is_pillows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(WHOLE["png"])
    n = NOISE.shape[0] * NOISE.shape[1]
    for limit in (n, None):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        read_picture(path, (8, 8), 3)
    for limit in (n - 1, n // 3):  # Pillow warns of the first, and refuses the second
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with raises_one_line(PictureError, f"more than {limit:,} pixels"):
            read_picture(path, (8, 8), 3)


def test_threads_that_read_leave_the_filters_of_warnings_as_they_were(tmp_path: Path) -> None:
    kinds = ("jpeg with damaged EXIF data", "png without an end")
    for i in range(40):
        (tmp_path / f"{i}.png").write_bytes(ODD[kinds[i % 2]])
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: read_picture(tmp_path / f"{i % 40}.png", (8, 8), 3), range(400)))
    assert list(warnings.filters) == before


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.png", tmp_path):
        with raises_one_line(PictureError, str(path)):
            read_picture(path, (8, 8), 3)


# Links


def linked(link: Path, target: Path, *, directory: bool = False) -> None:
    try:
        link.symlink_to(target, target_is_directory=directory)
    except OSError:
        pytest.skip("this system makes no links for an ordinary user")


def test_links_that_lead_out_are_not_followed_and_those_inside_are(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "pets", {})
    alone = load_folder(folder, image_size=8)
    outside = folder_of(tmp_path / "secret", {})
    linked(folder / "a" / "2.png", outside / "a" / "0.png")
    linked(folder / "a" / "3.png", Path("../../secret/a/0.png"))
    linked(folder / "c", outside / "a", directory=True)
    with pytest.warns(UserWarning, match=r"^3 links out of the folder left out: a/2.png, a/3.png, c$"):
        kept = load_folder(folder, image_size=8)
    np.testing.assert_array_equal(kept.train.x, alone.train.x)
    report = inspect_folder(folder)
    assert report.ignored == dict.fromkeys(["a/2.png", "a/3.png", "c"], "a link that leads out of the folder")
    for link in ("a/2.png", "a/3.png", "c"):
        (folder / link).unlink()
    linked(folder / "a" / "2.png", folder / "a" / "0.png")
    linked(folder / "c", folder / "b", directory=True)
    domain = load_folder(folder, image_size=8)
    assert (domain.classes, len(domain.train), len(domain.test)) == (("a", "b", "c"), 4, 3)


def test_links_to_nothing_and_to_themselves_are_ignored(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "pets", {})
    linked(folder / "a" / "2.png", folder / "nothing")
    linked(folder / "a" / "3.png", folder / "a" / "3.png")
    linked(folder / "d", folder / "d", directory=True)
    assert load_folder(folder, image_size=8).classes == ("a", "b")
    assert set(inspect_folder(folder).ignored) == {"a/2.png", "a/3.png", "d"}


def test_a_folder_may_be_reached_by_a_link(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "pets", {})
    linked(tmp_path / "link", folder, directory=True)
    assert load_folder(tmp_path / "link", image_size=8).name == "pets"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {})
    os.mkfifo(folder / "a" / "pipe.png")
    assert len(load_folder(folder, image_size=8).train) == 2
    assert inspect_folder(folder).ignored == {"a/pipe.png": "not a regular file"}
