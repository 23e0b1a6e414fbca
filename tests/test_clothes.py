"""Photographs of clothes as a domain: small made-up pictures, and the real ones where they were fetched."""

import collections
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import KERAS_SAVES_WITH_A_WARNING, raises_one_line, run_python
from PIL import Image

import tlkit
from tlkit import cli, clothes
from tlkit._keras import keras
from tlkit.clothes import CLOTHES, clothes_folder, load_clothes
from tlkit.files import Collection, NotFetchedError, PinnedFolder
from tlkit.folders import read_picture

(NAME,) = CLOTHES.files
SIZES = {"train": 3_068, "validation": 341, "test": 372}
CLASSES = ("dress", "hat", "longsleeve", "outwear", "pants", "shirt", "shoes", "shorts", "skirt", "t-shirt")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A few plain pictures in the place of the photographs: red tells the class, green the part, blue which it is."""
    folder = tmp_path / "data" / "clothes" / NAME
    for part, counts in {"train": (2, 3, 2), "validation": (1, 1, 1), "test": (2, 1, 1)}.items():
        for label, (name, count) in enumerate(zip(("dress", "hat", "t-shirt"), counts, strict=True)):
            (folder / part / name).mkdir(parents=True)
            for i in range(count):
                colour = (100 * label, {"train": 0, "validation": 100, "test": 200}[part], 100 * i)
                Image.new("RGB", (6, 8), colour).save(folder / part / name / f"{i}.png")
    monkeypatch.setattr(clothes, "CLOTHES", Collection("clothes", {NAME: PinnedFolder((), 0, 0, "", "")}))
    monkeypatch.setattr("tlkit.files.fetching.difference", lambda path, pinned: "")
    monkeypatch.setenv("TLKIT_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("TLKIT_CACHE_DIR", str(tmp_path / "cache"))
    return folder


@pytest.mark.parametrize("max_bytes", [0, 2**20])
def test_each_part_has_its_pictures_in_the_order_of_their_names(small: Path, max_bytes: int) -> None:
    domain = load_clothes(image_size=4, max_bytes=max_bytes)
    assert domain.name == "clothes"
    assert domain.classes == ("dress", "hat", "t-shirt")
    assert domain.validation is not None
    for part, split, y in (
        ("train", domain.train, [0, 0, 1, 1, 1, 2, 2]),
        ("validation", domain.validation, [0, 1, 2]),
        ("test", domain.test, [0, 0, 1, 2]),
    ):
        assert split.y.tolist() == y
        files = sorted((small / part).glob("*/*.png"))
        np.testing.assert_array_equal(split.x, np.stack([read_picture(file, (4, 4), 3) for file in files]))
        assert isinstance(split.x, np.memmap) == (max_bytes == 0)


def test_a_size_and_a_kind_of_colour(small: Path) -> None:
    assert load_clothes(image_size=(2, 5), channels=1).test.x.shape == (4, 2, 5, 1)
    assert tlkit.load_clothes is load_clothes


@pytest.mark.parametrize("size", [0, -1, 1.5, (4,), (4, 0), "160"])
def test_a_bad_size_is_one_line(size: object, small: Path) -> None:
    with raises_one_line(ValueError, "image_size must be a side or (height, width)", str(size)):
        load_clothes(image_size=size)  # type: ignore[arg-type]


def test_bad_channels_are_one_line(small: Path) -> None:
    with raises_one_line(ValueError, "channels must be 1 (grey) or 3 (RGB), got 4"):
        load_clothes(channels=4)


@pytest.mark.parametrize("use", [load_clothes, clothes_folder])
def test_what_was_not_fetched_is_one_line(use, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TLKIT_DATA_DIR", str(tmp_path))
    with raises_one_line(NotFetchedError, NAME, "`tlkit fetch clothes`", "--from PATH"):
        use()


def test_a_bundled_domain_they_are_not() -> None:
    with raises_one_line(ValueError, "got 'clothes'", "tlkit.load_clothes(image_size=160)"):
        tlkit.load_domain("clothes")


@pytest.mark.filterwarnings(KERAS_SAVES_WITH_A_WARNING)
@pytest.mark.parametrize("logits", [3, 2])
def test_a_model_is_checked_on_them_by_name(
    small: Path, logits: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are read at the size that the model takes: two logits are one class short of those in the folder."""
    image = keras.Input((8, 6, 3))
    x = keras.layers.Rescaling(1 / 255)(image)
    model = keras.Model(image, keras.layers.Dense(logits)(keras.layers.GlobalAveragePooling2D()(x)))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.save(tmp_path / "model.keras")
    monkeypatch.setattr(sys, "argv", ["tlkit", "check", str(tmp_path / "model.keras"), "--data", "clothes", "--json"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    report = json.loads(capsys.readouterr().out)
    assert "class-count" not in report["unchecked"]
    assert ("class-count" in {finding["rule"] for finding in report["findings"]}) == (logits == 2)
    assert logits == 3 or stop.value.code == 1


# The photographs themselves


@pytest.mark.slow
@pytest.mark.bank  # all photographs that were fetched
def test_the_photographs(fetched_clothes: None) -> None:
    domain = load_clothes(image_size=16)
    assert domain.classes == CLASSES
    assert domain.validation is not None
    parts = {"train": domain.train, "validation": domain.validation, "test": domain.test}
    seen: collections.Counter[bytes] = collections.Counter()
    for part, split in parts.items():
        assert split.x.shape == (SIZES[part], 16, 16, 3)
        folder = clothes_folder() / part
        counts = [len(list((folder / name).iterdir())) for name in CLASSES]
        assert np.bincount(split.y).tolist() == counts
        assert split.x.std(axis=(1, 2, 3)).min() > 1  # none of them came out empty
        seen.update(image.tobytes() for image in split.x)
    assert sum(SIZES.values()) - len(seen) <= 20  # a few photographs are there twice


@pytest.mark.slow
def test_keras_lists_them_in_the_same_order(fetched_clothes: None) -> None:
    import keras

    folder = clothes_folder() / "validation"
    listed = keras.utils.image_dataset_from_directory(
        folder, image_size=(8, 8), shuffle=False, batch_size=None, verbose=False
    )
    assert tuple(listed.class_names) == CLASSES
    names = [Path(file).relative_to(folder) for file in listed.file_paths]
    validation = load_clothes(image_size=8).validation
    assert validation is not None
    assert [CLASSES[label] for label in validation.y] == [name.parts[0] for name in names]
    assert names == sorted(names, key=lambda name: name.parts)


MEASURED = """
import json, pathlib, re
from tlkit.clothes import load_clothes
domain = load_clothes(image_size=160)
size = sum(split.x.nbytes for split in (domain.train, domain.validation, domain.test))
status = pathlib.Path("/proc/self/status").read_text()  # ru_maxrss would begin with that of the parent process
print(json.dumps([size, 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", status)[1])]))
"""


@pytest.mark.slow
@pytest.mark.bank  # a process that opens all photographs
@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's /proc")
def test_they_take_little_more_memory_than_their_pixels(fetched_clothes: None) -> None:
    run = run_python("-c", MEASURED)
    assert run.returncode == 0, run.stderr
    pixels, peak = json.loads(run.stdout)
    assert pixels == sum(SIZES.values()) * 160 * 160 * 3
    assert peak < pixels + 200e6  # Python, NumPy and Pillow are some 80 MB of it
