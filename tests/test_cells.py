"""White blood cells as two domains: small made-up pictures, and the real ones where they were fetched."""

import hashlib
import io
import json
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import raises_one_line
from PIL import Image

import tlkit
from tlkit import cells, cli, files
from tlkit.cells import CELLS, cells_folder, fetch_cells, load_cells
from tlkit.files import Collection, NotFetchedError
from tlkit.folders import read_picture

(NAME,) = CELLS.files
PINNED = CELLS.files[NAME]
CLASSES = ("neutrophil", "lymphocyte", "monocyte", "eosinophil")
COUNTS = {"tecom": [172, 49, 41, 22], "cellavision": [33, 37, 15, 12]}
PARTS = {"tecom": "Dataset 1", "cellavision": "Dataset 2"}


def bmp(colour: tuple[int, int, int], size: tuple[int, int] = (8, 6)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "BMP")
    return file.getvalue()


def content() -> dict[str, bytes]:
    """Two datasets of plain pictures, labels 1 to 5 in turn: red tells the number, green the label."""
    made = {"LICENSE": b"a licence", "README.rst": b"what it is"}
    for part in PARTS.values():
        labels = {number: (number - 1) % 5 + 1 for number in range(1, 26)}
        lines = ["image ID,class", *(f"{number},{label}" for number, label in labels.items())]
        made[f"Class Labels of {part}.csv"] = "\r\n".join([*lines, ""]).encode()
        made |= {f"{part}/{n:03d}.bmp": bmp((10 * n, 50 * label, 0)) for n, label in labels.items()}
    return made


CONTENT = content()
BESIDE = {"Dataset 1.png": b"a figure", "Dataset 1/001.png": b"a mask", "Dataset 2/025.png": b"a mask"}


@pytest.fixture
def data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The data folder, which is not there yet; the small files are pinned in the place of the real ones."""
    lines = sorted((path, hashlib.sha256(value).hexdigest()) for path, value in CONTENT.items())
    digest = hashlib.sha256("".join(f"{of}  {path}\n" for path, of in lines).encode()).hexdigest()
    small = replace(PINNED, files=len(CONTENT), bytes=sum(map(len, CONTENT.values())), sha256=digest)
    monkeypatch.setattr(cells, "CELLS", Collection("cells", {NAME: small}))
    monkeypatch.setattr(cells, "_SEEN_BEFORE", {"tecom": (6, 7), "cellavision": ()})
    monkeypatch.setenv("TLKIT_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data" / "cells"


def write(folder: Path, made: Mapping[str, bytes]) -> Path:
    for name, value in made.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(value)
    return folder


def a_folder(tmp_path: Path) -> Path:
    return write(tmp_path / "source", CONTENT | BESIDE)


def an_archive(tmp_path: Path) -> Path:
    with tarfile.open(tmp_path / "cells.tar.gz", "w:gz") as archive:
        for name, value in (CONTENT | BESIDE).items():
            member = tarfile.TarInfo(f"{NAME}-fa9c/{name}")
            member.size = len(value)
            archive.addfile(member, io.BytesIO(value))
    return tmp_path / "cells.tar.gz"


def a_zip_of_the_folder(tmp_path: Path) -> Path:
    with zipfile.ZipFile(tmp_path / "cells.zip", "w") as archive:
        for name, value in (CONTENT | BESIDE).items():
            archive.writestr(name, value)
    return tmp_path / "cells.zip"


@pytest.mark.parametrize("made", [a_folder, an_archive, a_zip_of_the_folder])
def test_pictures_labels_and_licence_are_kept_and_no_mask(made, data: Path, tmp_path: Path) -> None:
    assert fetch_cells(made(tmp_path)) == data
    assert cells_folder() == data / NAME
    found = {path.relative_to(data / NAME).as_posix(): path for path in data.rglob("*") if path.is_file()}
    assert {name: path.read_bytes() for name, path in found.items()} == CONTENT
    assert files.status(cells.CELLS) == {NAME: "whole"}
    write(data / NAME, BESIDE)  # a mask beside the pictures is nobody's harm
    assert files.status(cells.CELLS) == {NAME: "whole"}


@pytest.mark.parametrize("name", ["LICENSE", "Class Labels of Dataset 2.csv", "Dataset 1/003.bmp"])
def test_what_is_altered_or_missing_is_not_taken(name: str, data: Path, tmp_path: Path) -> None:
    source = a_folder(tmp_path)
    (source / name).write_bytes(b"another")
    with raises_one_line(ValueError, NAME, "files or names are others"):
        fetch_cells(source)
    (source / name).unlink()
    with raises_one_line(ValueError, f"{len(CONTENT) - 1} files, not {len(CONTENT)}"):
        fetch_cells(source)
    assert not list(data.iterdir())


def numbers(split: tlkit.Split) -> list[int]:
    """Which pictures these are: their red says it."""
    return [int(image[0, 0, 0]) // 10 for image in split.x]


@pytest.mark.parametrize("name", PARTS)
def test_each_cell_is_there_once_with_its_label(name: str, data: Path, tmp_path: Path) -> None:
    fetch_cells(a_folder(tmp_path))
    domain = load_cells(name, image_size=4)
    assert tlkit.load_cells is load_cells
    assert (domain.name, domain.classes) == (f"cells, {name}", CLASSES)
    left_out = {5, 10, 15, 20, 25} | ({6, 7} if name == "tecom" else set())  # basophils, and cells seen before
    assert sorted(numbers(domain.train) + numbers(domain.test)) == sorted(set(range(1, 26)) - left_out)
    for split in (domain.train, domain.test):
        assert split.y.tolist() == [(number - 1) % 5 for number in numbers(split)]
        chosen = [data / NAME / PARTS[name] / f"{number:03d}.bmp" for number in numbers(split)]
        np.testing.assert_array_equal(split.x, [read_picture(file, (4, 4), 3) for file in chosen])


def test_the_split_is_stratified_and_follows_from_the_seed(data: Path, tmp_path: Path) -> None:
    fetch_cells(a_folder(tmp_path))
    one, again, other = (load_cells("cellavision", image_size=4, test_fraction=0.4, seed=seed) for seed in (0, 0, 1))
    assert np.bincount(one.test.y).tolist() == [2, 2, 2, 2]
    assert np.bincount(one.train.y).tolist() == [3, 3, 3, 3]
    assert numbers(one.test) == numbers(again.test)
    assert numbers(one.test) != numbers(other.test)


@pytest.mark.parametrize(
    ("options", "fragments"),
    [
        ({"name": "Tecom"}, ("name must be", "'tecom'", "got 'Tecom'")),
        ({"name": ["tecom"]}, ("name must be", "got ['tecom']")),
        ({"image_size": 0}, ("image_size must be a side",)),
        ({"test_fraction": 1}, ("test_fraction must be between 0 and 1", "got 1")),
    ],
)
def test_bad_arguments_are_one_line(options: dict, fragments: tuple[str, ...], data: Path) -> None:
    with raises_one_line(ValueError, *fragments):
        load_cells(**{"name": "tecom"} | options)


@pytest.mark.parametrize("use", [lambda: load_cells("tecom"), cells_folder])
def test_what_was_not_fetched_is_one_line(use, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TLKIT_DATA_DIR", str(tmp_path))
    with raises_one_line(NotFetchedError, NAME, "`tlkit fetch cells`", "--from PATH"):
        use()


def test_a_bundled_domain_they_are_not() -> None:
    with raises_one_line(ValueError, "got 'cells'", "tlkit.load_cells('tecom')"):
        tlkit.load_domain("cells")


def test_the_command_takes_the_archive(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["tlkit", "fetch", "cells", "--from", str(an_archive(tmp_path))])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert not stop.value.code
    assert capsys.readouterr().out.splitlines()[-1] == f"cells is there: {data}"


# The pictures themselves


@pytest.mark.parametrize("name", PARTS)
def test_the_cells(name: str, fetched_cells: None) -> None:
    domain = load_cells(name, image_size=32)
    both = np.concatenate([domain.train.y, domain.test.y])
    assert np.bincount(both).tolist() == COUNTS[name]
    pictures = np.concatenate([domain.train.x, domain.test.x])
    assert len({image.tobytes() for image in pictures}) == len(pictures)
    assert pictures.std(axis=(1, 2, 3)).min() > 10  # none of them came out empty


def test_pictures_of_one_cell_are_found_again(fetched_cells: None) -> None:
    """The middle of a picture lies in its double at some shift; it does so in no cell that stayed."""
    from scipy.signal import fftconvolve

    def grey(number: int) -> np.ndarray:
        return np.asarray(Image.open(cells_folder() / "Dataset 1" / f"{number:03d}.bmp").convert("L"), float)

    def likeness(one: int, other: int) -> float:
        a, b = grey(one), grey(other)
        top, left = (side // 2 - 32 for side in a.shape)
        middle = a[top : top + 64, left : left + 64] - a[top : top + 64, left : left + 64].mean()
        box = np.ones((64, 64))
        total, squares = (fftconvolve(each, box, "valid") for each in (b, b * b))
        spread = np.sqrt(np.maximum(squares - total**2 / box.size, 1e-9))
        return float((fftconvolve(b, middle[::-1, ::-1], "valid") / spread).max() / np.linalg.norm(middle))

    pairs = [(112, 139), (54, 91), (167, 169), (60, 90), (70, 72), (51, 73), (19, 75)]
    pairs += [(30, 86), (71, 84), (56, 92), (26, 89), (21, 82), (157, 158), (166, 171)]
    assert {later for _, later in pairs} | {60} == set(cells._SEEN_BEFORE["tecom"])
    assert min(likeness(*pair) for pair in pairs) > 0.985 > likeness(62, 97) > likeness(101, 102)


def test_the_pinned_folder_is_the_one_of_the_card() -> None:
    """What a change of the pin would have to change, too: the number of pictures in help and README."""
    assert json.dumps(PINNED.files - 4) in CELLS.about
    assert CELLS.bytes == PINNED.bytes
