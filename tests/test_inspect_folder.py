"""The report on a folder of pictures."""

import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from helpers import raises_one_line
from PIL import Image, ImageEnhance

import tlkit
from tlkit.folders import FolderReport, inspect_folder


def photo(seed: int, size: tuple[int, int] = (80, 60)) -> Image.Image:
    """A smooth picture unlike any with another seed."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """Six cats and three dogs, all different, in three formats."""
    root = tmp_path / "pets"
    for i in range(9):
        path = root / ("cat" if i < 6 else "dog") / f"{i}.{('png', 'jpg', 'webp')[i % 3]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        photo(i, (80 + i, 60)).save(path)
    return root


def test_a_good_folder_has_a_table_and_no_remark(pets: Path) -> None:
    photo(20, (30, 200)).convert("L").save(pets / "cat" / "tall.png")
    report = tlkit.inspect_folder(pets)
    assert report.classes.to_dict("records") == [
        {"class": "cat", "pictures": 7, "unreadable": 0, "smallest": "80 × 60", "largest": "30 × 200"}
        | {"modes": "RGB 6, grey 1"},
        {"class": "dog", "pictures": 3, "unreadable": 0, "smallest": "86 × 60", "largest": "88 × 60", "modes": "RGB 3"},
    ]
    assert report.remarks() == []
    assert (report.unreadable, report.empty, report.ignored) == ({}, (), {})
    assert report.duplicates == report.conflicts == report.alike == ()
    assert str(report).startswith(f"{pets}: 2 classes, 10 pictures\n")


def test_sizes_are_those_of_the_upright_picture(pets: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    photo(20, (300, 200)).save(pets / "dog" / "phone.jpg", exif=exif)
    assert inspect_folder(pets).classes["largest"].tolist()[1] == "200 × 300"


def test_copies_are_found_by_their_pixels_whatever_the_format(pets: Path) -> None:
    original = Image.open(pets / "cat" / "0.png")
    original.save(pets / "cat" / "copy.bmp")
    original.convert("RGBA").save(pets / "cat" / "copy.webp", lossless=True)
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.open(pets / "cat" / "3.png").rotate(180).save(pets / "cat" / "turned.png", exif=exif)
    report = inspect_folder(pets)
    assert report.duplicates == (("cat/0.png", "cat/copy.bmp", "cat/copy.webp"), ("cat/3.png", "cat/turned.png"))
    assert report.conflicts == report.alike == ()


def test_a_copy_under_another_label_is_a_conflict(pets: Path) -> None:
    Image.open(pets / "cat" / "0.png").save(pets / "dog" / "zoe.png")
    report = inspect_folder(pets)
    assert (report.duplicates, report.conflicts) == ((), (("cat/0.png", "dog/zoe.png"),))
    assert "under two labels: at most one is right (1):\n  cat/0.png = dog/zoe.png" in str(report)


def test_one_pixel_makes_another_picture_that_is_alike(pets: Path) -> None:
    picture = Image.open(pets / "cat" / "0.png")
    picture.putpixel((0, 0), (1, 2, 3))
    picture.save(pets / "cat" / "pixel.png")
    report = inspect_folder(pets)
    assert (report.duplicates, report.alike) == ((), (("cat/0.png", "cat/pixel.png"),))


def test_the_same_bytes_in_another_shape_are_another_picture(pets: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 80, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(pets / "cat" / "wide.png")
    Image.fromarray(pixels.reshape(80, 20, 3)).save(pets / "cat" / "tall.png")
    assert inspect_folder(pets).duplicates == ()


def test_scaled_saved_again_and_brightened_pictures_are_alike(pets: Path) -> None:
    original = photo(0, (80, 60))
    original.resize((160, 120)).save(pets / "cat" / "a scaled.png")
    original.save(pets / "cat" / "b again.jpg", quality=40)
    ImageEnhance.Brightness(original).enhance(0.8).save(pets / "dog" / "c darker.png")
    report = inspect_folder(pets)
    assert report.alike == (("cat/0.png", "cat/a scaled.png", "cat/b again.jpg", "dog/c darker.png"),)
    assert report.duplicates == report.conflicts == ()


def test_flat_pictures_are_like_no_other(tmp_path: Path) -> None:
    for i in range(6):
        (tmp_path / "ab"[i % 2]).mkdir(exist_ok=True)
        Image.new("L", (9, 9), 40 * i).save(tmp_path / "ab"[i % 2] / f"{i}.png")
    assert inspect_folder(tmp_path).alike == ()


def test_groups_of_likeness_do_not_depend_on_the_blocks(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in (0, 3, 6):
        for k in range(4):
            photo(i, (80 + 9 * k, 60 + 9 * k)).save(pets / "dog" / f"again{k}-{i}.jpg")
    whole = inspect_folder(pets).alike
    assert sorted(map(len, whole)) == [5, 5, 5]
    for block in (1, 2, 7):
        monkeypatch.setattr("tlkit.folders.inspection._BLOCK", block)
        assert inspect_folder(pets).alike == whole


def test_what_is_wrong_is_listed_with_its_reason(pets: Path) -> None:
    (pets / "cat" / "empty.png").write_bytes(b"")
    (pets / "cat" / "text.jpg").write_text("hello")
    (pets / "cat" / "notes.txt").write_text("hello")
    (pets / "cat" / ".DS_Store").write_text("hello")
    (pets / "cat" / "old").mkdir()
    (pets / "loose.png").write_bytes(b"")
    (pets / "emu").mkdir()
    report = inspect_folder(pets)
    assert report.empty == ("cat/empty.png",)
    assert list(report.unreadable) == ["cat/text.jpg"]
    assert report.ignored == {
        "cat/.DS_Store": "hidden",
        "cat/notes.txt": "not a picture (.txt)",
        "cat/old": "a folder inside a class folder",
        "loose.png": "not in a class folder",
    }
    assert report.classes["unreadable"].tolist() == [2, 0, 0]
    assert report.classes["smallest"].tolist()[2] == ""
    text = str(report)
    for words in (
        "emu: 0",
        "cat/text.jpg: no picture inside",
        "cat/empty.png",
        "1 entry: hidden, such as cat/.DS_Store",
    ):
        assert words in text
    assert repr(report) == text


def test_a_folder_that_cannot_be_loaded_is_reported_all_the_same(tmp_path: Path) -> None:
    report = inspect_folder(tmp_path)
    assert len(report.classes) == 0
    assert "two class folders or more" in str(report)
    assert "two class folders or more" in report._repr_html_()
    for path in (tmp_path / "none", Path(__file__)):
        with raises_one_line(ValueError, "must be a folder", str(path)):
            inspect_folder(path)


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such names")
def test_html_shows_names_and_never_runs_them(pets: Path) -> None:
    hostile = "<img src=x onerror=alert(1)>&amp;"
    (pets / "cat").rename(pets / hostile)
    (pets / hostile / "<script>x.png").write_bytes(b"")
    (pets / hostile / "<script>y.png").write_bytes(b"hello")
    (pets / hostile / "<script>z.<b>").write_bytes(b"hello")
    Image.open(pets / hostile / "0.png").save(pets / hostile / "<script>copy.png")
    page = Tags()
    page.feed(inspect_folder(pets)._repr_html_())
    assert page.tags <= {"p", "b", "ul", "li", "table", "thead", "tbody", "tr", "th", "td"}
    for name in (hostile, "<script>x.png", "<script>y.png: no picture", "(.<b>)", "<script>copy.png"):
        assert name in page.text


@pytest.mark.skipif(sys.platform != "linux", reason="names need not be text on Linux alone")
def test_names_that_are_no_text_are_shown_all_the_same(pets: Path) -> None:
    (pets / "c\udc80t\n").mkdir()  # a class of such a name is left out
    (pets / "cat" / "a\nb\udcff.png").write_bytes(b"")
    (pets / "dog" / "\udcff.txt").write_bytes(b"")
    report = inspect_folder(pets)
    for text in (str(report), report._repr_html_()):
        assert "cat/a?b?.png" in text.encode("utf-8").decode()
        assert "c?t?" in text
    (pets / "c\udc80t\n").rmdir()
    with pytest.warns(UserWarning, match=r"^1 unreadable images left out: cat/a\?b\?.png \(empty file\)$"):
        tlkit.load_folder(pets, image_size=8, skip_unreadable=True)


def test_long_lists_are_cut_and_the_fields_are_whole(pets: Path) -> None:
    for i in range(35):
        (pets / "cat" / f"x{i:02}.png").write_bytes(b"hello")
        Image.open(pets / "cat" / "0.png").save(pets / "cat" / f"copy{i:02}.png")
    report = inspect_folder(pets)
    assert len(report.unreadable) == 35
    assert len(report.duplicates[0]) == 36
    for text in (str(report), report._repr_html_()):
        assert "and 25 more" in text  # unreadable
        assert "and 26 more" in text  # copies of one picture
        assert "x09.png" in text
        assert "x10.png" not in text


def test_a_report_is_frozen(pets: Path) -> None:
    report = inspect_folder(pets)
    assert isinstance(report, FolderReport)
    with pytest.raises(AttributeError):
        report.empty = ()  # type: ignore[misc]  # that is the test


def test_a_bar_is_shown_when_asked_for(pets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inspect_folder(pets)
    assert capsys.readouterr() == ("", "")
    inspect_folder(pets, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "looking at pictures" in err
