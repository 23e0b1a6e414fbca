"""The photographs and drawings beside the notebooks: those of the list, all alike in size, few bytes, a licence."""

import collections
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT
from make_photos import FOLDERS, INSIDE, SIDE, picture, read_list
from PIL import Image

from tlkit.folders import load_folder

NOTEBOOKS = ROOT / "notebooks"
LISTED = dict(read_list())
# Sorted by eye: whoever adds a picture counts again.
PHOTOS = {
    "bird": 34, "celestial_body": 13, "fish_and_shellfish": 13, "flower": 24, "fruit": 26, "household": 14,
    "mammal": 65, "tool": 13, "vegetable": 18, "vehicle": 16,
}  # fmt: skip
DRAWINGS = {"bird": 6, "fruit": 17, "household": 32, "mammal": 10, "tool": 2, "vehicle": 39}
COUNTS = {"photos": PHOTOS, "drawings": DRAWINGS}


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        assert (image.format, image.mode) == ("JPEG", "RGB")
        return np.asarray(image)


def test_the_list_is_what_lies_there() -> None:
    there = {path.relative_to(NOTEBOOKS).as_posix() for folder in FOLDERS for path in (NOTEBOOKS / folder).rglob("*.*")}
    assert there == {*LISTED, *(f"{folder}/{name}" for folder in FOLDERS for name in ("LICENSE.txt", "SOURCES.csv"))}
    assert len(set(LISTED.values())) == len(LISTED)  # no picture twice, and none in both folders


@pytest.mark.parametrize("folder", FOLDERS)
def test_numbers_of_each_class(folder: str) -> None:
    names = [name.split("/") for name in LISTED]
    assert collections.Counter(name[1] for name in names if name[0] == folder) == COUNTS[folder]


def test_classes_are_large_enough_and_drawings_have_no_class_of_their_own() -> None:
    assert min(PHOTOS.values()) >= 12
    assert set(DRAWINGS) <= set(PHOTOS)
    assert min(DRAWINGS.values()) >= 2  # load_folder wants one to train and one to test


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_picture_is_framed_on_white(folder: str) -> None:
    margin = (SIDE - INSIDE) // 2
    for name in (name for name in LISTED if name.startswith(f"{folder}/")):
        x = pixels(NOTEBOOKS / name)
        assert x.shape == (SIDE, SIDE, 3), name
        outside = x.copy()
        outside[margin:-margin, margin:-margin] = 255
        assert outside.min() > 200, name  # JPEG rings a little beyond the box
        inked = np.flatnonzero((x < 245).any(axis=(1, 2)))
        across = np.flatnonzero((x < 245).any(axis=(0, 2)))
        assert max(np.ptp(inked), np.ptp(across)) > INSIDE - 16, name  # the longer side fills the box


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_is_a_domain(folder: str) -> None:
    domain = load_folder(NOTEBOOKS / folder, image_size=32)
    assert domain.classes == tuple(COUNTS[folder])
    labels = np.concatenate([domain.train.y, domain.test.y])
    assert dict(zip(domain.classes, np.bincount(labels).tolist(), strict=True)) == COUNTS[folder]


@pytest.mark.parametrize("folder", FOLDERS)
def test_keras_sees_the_same_classes(folder: str) -> None:
    import keras

    data = keras.utils.image_dataset_from_directory(NOTEBOOKS / folder, image_size=(SIDE, SIDE), verbose=False)
    assert data.class_names == list(COUNTS[folder])
    assert len(data.file_paths) == sum(COUNTS[folder].values())


@pytest.mark.parametrize("folder", FOLDERS)
def test_each_folder_carries_its_licence_and_its_sources(folder: str) -> None:
    text = (NOTEBOOKS / folder / "LICENSE.txt").read_text(encoding="utf-8")
    for fragment in ("Bill Kendrick", "GNU GENERAL PUBLIC LICENSE", "Version 2, June 1991", "SOURCES.csv"):
        assert fragment in text
    own = {name.removeprefix(f"{folder}/"): stamp for name, stamp in LISTED.items() if name.startswith(f"{folder}/")}
    lines = (NOTEBOOKS / folder / "SOURCES.csv").read_text(encoding="utf-8").splitlines()
    assert lines == ["file,stamp", *(f"{name},{stamp}" for name, stamp in own.items())]


def test_together_they_take_six_megabytes_at_most() -> None:
    assert sum(path.stat().st_size for folder in FOLDERS for path in (NOTEBOOKS / folder).rglob("*.*")) <= 6e6


def test_a_stamp_is_cut_to_its_box_and_laid_on_white(tmp_path: Path) -> None:
    stamp = np.zeros((60, 90, 4), np.uint8)
    stamp[10:30, 20:60] = (200, 30, 40, 255)  # 20 high, 40 wide
    stamp[50, 80] = (0, 0, 0, 20)  # a shadow that nobody sees
    Image.fromarray(stamp).save(tmp_path / "stamp.png")
    x = np.asarray(picture(tmp_path / "stamp.png"))
    assert x.shape == (SIDE, SIDE, 3)
    inside = (x != 255).any(axis=-1)
    assert inside.sum(axis=0).max() == INSIDE // 2
    assert inside.sum(axis=1).max() == INSIDE
    assert (x[SIDE // 2, SIDE // 2] == (200, 30, 40)).all()
