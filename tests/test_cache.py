"""cache_features: what comes out is what the trunk gives, from memory, from the disk, damaged or not, in any view."""

import contextlib
import errno
import functools
import itertools
import os
import random
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT, largest_difference, raises_one_line, random_split, same_weights, toy_backbone
from marks import in_bank

from tlkit import features as compute
from tlkit._keras import keras, tf
from tlkit._keras.code import Code
from tlkit.backbones import Backbone, load_backbone
from tlkit.domains import Split
from tlkit.features import cache_features, split_at
from tlkit.files import store as store_module
from tlkit.freezing import freeze_to
from tlkit.heads import build_head, join
from tlkit.training import fit


def small_resnet() -> Backbone:
    return load_backbone("resnet_printed", weights=None, seed=3)


def make_augment(seed: int = 1) -> keras.Sequential:
    layers = [keras.layers.RandomRotation(0.1, seed=seed), keras.layers.RandomBrightness(0.2, seed=seed + 1)]
    return keras.Sequential(layers, name="augment")


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows by the type of each batch of features that a trunk has computed."""
    seen: list[str] = []
    as_stored = compute._as_stored

    def noted(rows: np.ndarray, dtype: str) -> np.ndarray:
        seen.append(dtype)
        return as_stored(rows, dtype)

    monkeypatch.setattr(compute, "_as_stored", noted)
    return seen


@contextlib.contextmanager
def computes_anew(runs: list[str], folder: Path, *, new_files: int = 1) -> Iterator[None]:
    before, there = len(runs), files(folder)
    yield
    assert len(runs) > before, "the trunk was not run"
    assert len(set(files(folder)) - set(there)) == new_files


@contextlib.contextmanager
def finds_it(runs: list[str], folder: Path) -> Iterator[None]:
    before, there = len(runs), files(folder)
    yield
    assert len(runs) == before, "the trunk was run again"
    assert files(folder) == there


# The features are the trunk's


@pytest.mark.parametrize("make", in_bank([toy_backbone, small_resnet], but=[toy_backbone]))
def test_features_are_what_the_trunk_predicts_at_every_stage(make: Callable[[], Backbone], tmp_path: Path) -> None:
    backbone = make()
    data = random_split(37, shape=backbone.model.input_shape[1:])
    for stage in range(backbone.n_stages + 1):
        trunk, _ = split_at(backbone, stage)
        expected = trunk.predict(data.x, verbose=0)
        for max_bytes in (0, 2**30):
            for _ in range(2):  # computed, then read back
                cached = cache_features(trunk, data, cache_dir=tmp_path / str(max_bytes), max_bytes=max_bytes)
                np.testing.assert_allclose(cached.x, expected, rtol=1e-5, atol=1e-5)
                np.testing.assert_array_equal(cached.y, data.y)
                assert stage == 0 or cached.x.dtype == np.float32
        assert len(files(tmp_path / "0")) == len(files(tmp_path / str(2**30))) == stage


def test_stage_0_gives_the_split_itself(still_toy: Backbone, split: Split, tmp_path: Path, runs: list[str]) -> None:
    with finds_it(runs, tmp_path):
        assert cache_features(split_at(still_toy, 0)[0], split, cache_dir=tmp_path, max_bytes=1) is split


def test_features_of_features(still_toy: Backbone, split: Split, tmp_path: Path) -> None:
    first, tail = split_at(still_toy, 1)
    halfway = cache_features(first, split, cache_dir=tmp_path, max_bytes=0)
    rest = cache_features(tail, halfway, cache_dir=tmp_path, max_bytes=0)
    np.testing.assert_allclose(rest.x, still_toy.model.predict(split.x, verbose=0), rtol=1e-5, atol=1e-6)


# Found again, or computed anew


def test_the_second_call_does_not_run_the_trunk(
    still_toy: Backbone, split: Split, tmp_path: Path, runs: list[str]
) -> None:
    trunk, _ = split_at(still_toy, 2)
    with computes_anew(runs, tmp_path):
        first = cache_features(trunk, split, cache_dir=tmp_path)
    for max_bytes in (2**30, 0):
        with finds_it(runs, tmp_path):
            second = cache_features(trunk, split, cache_dir=str(tmp_path), max_bytes=max_bytes)
        assert second.x.tobytes() == first.x.tobytes()


def test_without_a_folder_the_users_store_is_used(
    still_toy: Backbone, split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runs: list[str]
) -> None:
    monkeypatch.setenv("TLKIT_CACHE_DIR", str(tmp_path))
    with computes_anew(runs, tmp_path):
        cache_features(still_toy.model, split)
    with finds_it(runs, tmp_path):
        cache_features(still_toy.model, split)
    with finds_it(runs, tmp_path):
        cache_features(still_toy.model, split, cache_dir=tmp_path)


def test_what_changes_the_features_computes_anew(toy: Backbone, split: Split, tmp_path: Path, runs: list[str]) -> None:
    other_image = split.x.copy()
    other_image[-1, -1, -1, -1] ^= 1
    one, two = split_at(toy, 1)[0], split_at(toy, 2)[0]
    # Not make_augment, whose rotation takes long to trace: for a key all layers are alike.
    augment, stronger = (
        keras.Sequential([keras.layers.RandomFlip("horizontal", seed=1), keras.layers.RandomBrightness(factor, seed=2)])
        for factor in (0.2, 0.4)
    )
    for layer in (augment, stronger):
        layer(np.zeros((2, 8, 8, 1), np.float32), training=True)

    def check(trunk: keras.Model, data: Split, **options: object) -> np.ndarray:
        with computes_anew(runs, tmp_path):
            result = cache_features(trunk, data, cache_dir=tmp_path, **options)
        expected = cache_features(trunk, data, cache_dir="memory", **options)
        assert result.x.tobytes() == expected.x.tobytes()
        assert result.x.dtype == expected.x.dtype
        with finds_it(runs, tmp_path):
            assert cache_features(trunk, data, cache_dir=tmp_path, **options).x.tobytes() == expected.x.tobytes()
        return result.x

    check(two, split)
    check(one, split)
    check(two, Split(other_image, split.y))
    check(two, split[:-1])
    check(two, split[::-1])
    check(two, split, dtype="float16")
    check(two, split, augment=augment)
    # One after the other those of one shape: features of another shape would not be taken under whatever key.
    check(two, split, augment=augment, views=2)
    check(two, split, augment=augment, views=2, seed=1)
    check(two, split, augment=stronger, views=2)
    check(two, split, augment=augment, views=2, dtype="float16")
    check(two, split, augment=augment, views=3)
    before = toy.model.get_weights()
    first = cache_features(two, split, cache_dir=tmp_path).x.copy()
    for number in (0, 1, 2, 5):  # a kernel, a bias, BatchNorm's gamma and its moving variance
        changed = [array.copy() for array in before]
        changed[number].flat[-1] += 0.5
        toy.model.set_weights(changed)
        assert not np.array_equal(check(two, split), first)


def test_another_architecture_with_the_same_weights(split: Split, tmp_path: Path, runs: list[str]) -> None:
    start = keras.initializers.GlorotUniform(seed=1)

    def trunk(activation: str, strides: int) -> keras.Model:
        image = keras.Input((8, 8, 1))
        conv = keras.layers.Conv2D(2, 3, strides, activation=activation, kernel_initializer=start, name="conv")
        return keras.Model(image, conv(image), name="trunk")

    for activation, strides in itertools.product(["relu", "tanh"], [1, 2]):
        model = trunk(activation, strides)
        with computes_anew(runs, tmp_path):
            cached = cache_features(model, split, cache_dir=tmp_path)
        np.testing.assert_allclose(cached.x, model.predict(split.x, verbose=0), rtol=1e-5, atol=1e-5)


def test_what_does_not_change_the_features_finds_them(
    toy: Backbone, split: Split, tmp_path: Path, runs: list[str]
) -> None:
    def cached(labels: np.ndarray = split.y) -> Split:
        return cache_features(split_at(toy, 2)[0], Split(split.x, labels), cache_dir=tmp_path)

    freeze_to(toy, 2)
    with computes_anew(runs, tmp_path):
        expected = cached()
    for stage, train_batchnorm in itertools.product(range(3), [False, True]):
        freeze_to(toy, stage, train_batchnorm=train_batchnorm)
        with finds_it(runs, tmp_path):
            assert cached().x.tobytes() == expected.x.tobytes()
    with finds_it(runs, tmp_path):
        other = cached(split.y[::-1].copy())
    np.testing.assert_array_equal(other.y, split.y[::-1])
    assert other.x.tobytes() == expected.x.tobytes()
    freeze_to(toy, 2)  # training a head leaves an optimizer behind, and no change in the trunk
    model = join(toy.model, build_head(toy, 3))
    fit(model, split, epochs=1, learning_rate=0.1, progress=False)
    toy.model.compile(optimizer="sgd", loss="mse")
    with finds_it(runs, tmp_path):
        assert cached().x.tobytes() == expected.x.tobytes()


@pytest.mark.parametrize("make", [toy_backbone, small_resnet])
def test_the_same_backbone_made_again_finds_its_features(
    make: Callable[[], Backbone], tmp_path: Path, runs: list[str]
) -> None:
    one, other = (split_at(make(), 1)[0] for _ in range(2))
    data = random_split(5, shape=one.input_shape[1:])
    with computes_anew(runs, tmp_path):
        cache_features(one, data, cache_dir=tmp_path)
    with finds_it(runs, tmp_path):
        cache_features(other, data, cache_dir=tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", in_bank(["resnet50", "mobilenetv2"], but=["mobilenetv2"]))
def test_an_application_made_again_finds_its_features(name: str, tmp_path: Path, runs: list[str]) -> None:
    one, other = (split_at(load_backbone(name, weights=None, image_size=32, seed=1), 1)[0] for _ in range(2))
    with computes_anew(runs, tmp_path):
        cache_features(one, random_split(5, shape=(32, 32, 3)), cache_dir=tmp_path)
    with finds_it(runs, tmp_path):
        cache_features(other, random_split(5, shape=(32, 32, 3)), cache_dir=tmp_path)


def test_the_same_augmentation_finds_its_views(
    still_toy: Backbone, split: Split, tmp_path: Path, runs: list[str]
) -> None:
    augment = make_augment()  # not built yet: the first call builds it
    with computes_anew(runs, tmp_path):
        first = cache_features(still_toy.model, split, views=2, augment=augment, cache_dir=tmp_path)
    with finds_it(runs, tmp_path):
        second = cache_features(still_toy.model, split, views=2, augment=augment, cache_dir=tmp_path)
    assert first.x.tobytes() == second.x.tobytes()


def test_the_same_augmentation_made_again_finds_its_views(
    still_toy: Backbone, split: Split, tmp_path: Path, runs: list[str]
) -> None:
    # What a notebook's cell does when it is run a second time: no name is given, so Keras counts.
    def augment() -> keras.Sequential:
        return keras.Sequential([keras.layers.RandomFlip("horizontal"), keras.layers.RandomRotation(0.1)])

    one, other = augment(), augment()
    with computes_anew(runs, tmp_path):
        first = cache_features(still_toy.model, split, views=2, augment=one, cache_dir=tmp_path)
    with finds_it(runs, tmp_path):
        second = cache_features(still_toy.model, split, views=2, augment=other, cache_dir=tmp_path)
    assert first.x.tobytes() == second.x.tobytes()


def test_the_seed_does_not_matter_without_augmentation(
    still_toy: Backbone, split: Split, tmp_path: Path, runs: list[str]
) -> None:
    cache_features(still_toy.model, split, cache_dir=tmp_path)
    with finds_it(runs, tmp_path):
        cache_features(still_toy.model, split, seed=5, cache_dir=tmp_path)


def mapped(array: np.ndarray, path: Path) -> np.ndarray:
    np.save(path, array)
    return np.load(path, mmap_mode="r")


def test_a_mapped_array_has_the_key_and_features_of_the_array_in_memory(
    still_toy: Backbone, tmp_path: Path, runs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tlkit.features._DROP_PAGES_EVERY", 500)
    data = random_split(40)
    on_disk = Split(mapped(data.x, tmp_path / "x.npy"), data.y)
    assert isinstance(on_disk.x, np.memmap)
    folder = tmp_path / "store"
    with computes_anew(runs, folder):
        first = cache_features(still_toy.model, on_disk, cache_dir=folder)
    with finds_it(runs, folder):
        second = cache_features(still_toy.model, data, cache_dir=folder)
    assert first.x.tobytes() == second.x.tobytes()
    with computes_anew(runs, folder, new_files=0):
        in_memory = cache_features(still_toy.model, data, cache_dir="memory")
    assert first.x.tobytes() == in_memory.x.tobytes()


# Past max_bytes


@pytest.mark.parametrize(
    ("views", "dtype"),
    in_bank(itertools.product([1, 3], ["float32", "float16"]), but=[(1, "float32"), (3, "float16")], names=2),
)
def test_streamed_features_are_those_in_memory(still_toy: Backbone, tmp_path: Path, dtype: str, views: int) -> None:
    data = random_split(45)
    options = {"views": views, "augment": make_augment() if views > 1 else None, "dtype": dtype}
    in_memory = cache_features(still_toy.model, data, cache_dir="memory", **options)
    limits = (in_memory.x.nbytes - 1, in_memory.x.nbytes)
    for limit, streams in zip(limits, (True, False), strict=True):
        for _ in range(2):
            cached = cache_features(still_toy.model, data, cache_dir=tmp_path / str(limit), max_bytes=limit, **options)
            if streams:  # a file's header counts when it is read back, so the other may be either
                assert isinstance(cached.x, np.memmap)
            assert cached.x.dtype == dtype
            assert cached.x.tobytes() == in_memory.x.tobytes()
            np.testing.assert_array_equal(cached.y, in_memory.y)


@pytest.mark.parametrize("seed", in_bank(range(3), but=[0]))
def test_training_from_the_map_gives_the_same_weights(tmp_path: Path, seed: int) -> None:
    data = random_split(41)

    def trained(max_bytes: int) -> keras.Model:
        backbone = toy_backbone()
        freeze_to(backbone, 1)
        trunk, tail = split_at(backbone, 1)
        cached = cache_features(trunk, data, cache_dir=tmp_path, max_bytes=max_bytes)
        assert isinstance(cached.x, np.memmap) == (max_bytes == 0)
        model = join(tail, build_head(backbone, 3, seed=seed))
        history = fit(
            model, cached, epochs=3, learning_rate=0.01, batch_size=6, seed=seed, validation=cached, progress=False
        )
        return model, history

    (one, history), (other, same_history) = trained(2**30), trained(0)
    assert same_weights(one, other)
    assert history.equals(same_history)


@pytest.mark.slow
def test_a_map_is_read_while_pages_are_dropped(
    still_toy: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tlkit.features._DROP_PAGES_EVERY", 1)
    data = random_split(41)
    cached = [
        cache_features(still_toy.model, data, cache_dir=tmp_path, max_bytes=max_bytes) for max_bytes in (2**30, 0)
    ]
    heads = [build_head(still_toy, 3, seed=1) for _ in cached]
    for head, features in zip(heads, cached, strict=True):
        fit(head, features, epochs=2, learning_rate=0.01, batch_size=7, progress=False)
    assert same_weights(*heads)
    assert cached[0].x.tobytes() == cached[1].x.tobytes()


# Damage, full disks, two at once: never a wrong feature


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-100] ^= 64
    path.write_bytes(content)


def another_array(path: Path) -> None:
    np.save(path, np.zeros_like(np.load(path)))


@pytest.mark.parametrize("damage", [cut, flip, another_array, lambda path: path.write_bytes(b"")])
@pytest.mark.parametrize("max_bytes", [0, 2**30])
def test_a_damaged_file_costs_a_word_and_the_features_are_right(
    still_toy: Backbone, split: Split, tmp_path: Path, runs: list[str], damage, max_bytes: int
) -> None:
    expected = cache_features(still_toy.model, split, cache_dir=tmp_path).x.copy()
    (name,) = files(tmp_path)
    damage(tmp_path / name)
    before = len(runs)
    with pytest.warns(UserWarning, match="damaged") as caught:
        cached = cache_features(still_toy.model, split, cache_dir=tmp_path, max_bytes=max_bytes)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert len(runs) > before
    assert cached.x.tobytes() == expected.tobytes()
    with finds_it(runs, tmp_path):
        assert cache_features(still_toy.model, split, cache_dir=tmp_path).x.tobytes() == expected.tobytes()


def test_features_under_the_wrong_name_are_not_used(still_toy: Backbone, split: Split, tmp_path: Path) -> None:
    other = split[::-1]
    for data in (split, other):
        cache_features(still_toy.model, data, cache_dir=tmp_path / str(data is split))
    (right,), (wrong,) = files(tmp_path / "True"), files(tmp_path / "False")
    key = right.partition("-")[0]
    (tmp_path / "False" / wrong).rename(tmp_path / "False" / f"{key}-{wrong.partition('-')[2]}")
    expected = cache_features(still_toy.model, split, cache_dir="memory")
    with pytest.warns(UserWarning, match="damaged"):
        cached = cache_features(still_toy.model, split, cache_dir=tmp_path / "False")
    assert cached.x.tobytes() == expected.x.tobytes()


def no_space(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@contextlib.contextmanager
def full_disk(how: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        if how == "append":
            patch.setattr(store_module.Writer, "append", no_space)
        elif how == "rename":
            patch.setattr(os, "replace", no_space)
        elif how == "folder":
            patch.setattr(Path, "mkdir", no_space)
        else:
            resource = pytest.importorskip("resource")
            soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
        try:
            yield
        finally:
            if how == "real":
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


FULL = pytest.mark.parametrize("how", ["append", "rename", "folder", "real"])


@FULL
def test_small_features_are_kept_in_memory_when_the_disk_is_full(
    still_toy: Backbone, split: Split, tmp_path: Path, how: str
) -> None:
    expected = cache_features(still_toy.model, split, cache_dir="memory")
    with full_disk(how), pytest.warns(UserWarning, match="in memory only") as caught:
        cached = cache_features(still_toy.model, split, cache_dir=tmp_path / "full")
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert str(tmp_path / "full") in str(caught[0].message)
    assert len(str(caught[0].message).splitlines()) == 1
    assert cached.x.tobytes() == expected.x.tobytes()
    assert files(tmp_path / "full") == []


@FULL
def test_large_features_on_a_full_disk_are_an_error(
    still_toy: Backbone, split: Split, tmp_path: Path, how: str
) -> None:
    with full_disk(how), raises_one_line(OSError, "MiB", str(tmp_path / "full"), "max_bytes", "cache_dir"):
        cache_features(still_toy.model, split, cache_dir=tmp_path / "full", max_bytes=0)
    assert files(tmp_path / "full") == []
    cached = cache_features(still_toy.model, split, cache_dir=tmp_path / "full", max_bytes=0)
    np.testing.assert_allclose(cached.x, still_toy.model.predict(split.x, verbose=0), rtol=1e-5, atol=1e-6)


def test_a_file_in_place_of_the_folder(still_toy: Backbone, split: Split, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    expected = cache_features(still_toy.model, split, cache_dir="memory")
    with pytest.warns(UserWarning, match="in memory only"):
        cached = cache_features(still_toy.model, split, cache_dir=tmp_path / "file")
    assert cached.x.tobytes() == expected.x.tobytes()
    with raises_one_line(OSError, "MiB"):
        cache_features(still_toy.model, split, cache_dir=tmp_path / "file", max_bytes=0)
    assert (tmp_path / "file").read_text() == "mine"


def overflowing(kind: str) -> tuple[keras.Model, str]:
    """A trunk that gives NaN for one image of many, or numbers that float16 cannot hold."""
    image = keras.Input((8, 8, 1))
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(image))
    x = keras.layers.Dense(1, kernel_initializer="ones" if kind == "NaN" else "zeros")(x)
    x = keras.ops.log(x - 0.01) if kind == "NaN" else x + 1e6
    return keras.Model(image, x), "float32" if kind == "NaN" else "float16"


@pytest.mark.parametrize("kind", ["NaN", "overflow"])
@pytest.mark.parametrize("max_bytes", [0, 2**30])
def test_features_that_are_no_numbers_are_an_error_and_not_stored(kind: str, max_bytes: int, tmp_path: Path) -> None:
    trunk, dtype = overflowing(kind)
    x = np.full((300, 8, 8, 1), 9, np.uint8)
    x[299] = 0  # in the last batch, when much has been written
    data = Split(x, np.arange(300) % 2)
    for folder in (tmp_path, "memory") if max_bytes else (tmp_path,):
        with raises_one_line(FloatingPointError, "finite", dtype):
            cache_features(trunk, data, cache_dir=folder, max_bytes=max_bytes, dtype=dtype)
    assert files(tmp_path) == []


def cache_together(folder: Path, number: int, max_bytes: int, commit: Callable[[store_module.Writer], Path]) -> None:
    """The features of one of two processes, which wait for each other when all is written and nothing is in place."""

    def together(writer: store_module.Writer) -> Path:
        (folder / f"written{number}").touch()
        until = time.monotonic() + 100
        while not (folder / f"written{1 - number}").exists() and time.monotonic() < until:
            time.sleep(0.001)
        return commit(writer)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store_module.Writer, "commit", together)
        trunk, _ = split_at(toy_backbone(), 2)
        cached = cache_features(trunk, random_split(300), cache_dir=folder / "store", max_bytes=max_bytes)
    np.save(folder / f"result{number}.npy", cached.x)


CACHE = """
import sys
from pathlib import Path
sys.path[:0] = [sys.argv[2], sys.argv[2] + "/tests"]
from test_cache import cache_together, store_module
cache_together(Path(sys.argv[1]), 1, int(sys.argv[3]), store_module.Writer.commit)
"""


@pytest.mark.slow
@pytest.mark.parametrize("limits", in_bank([(0, 0), (0, 2**30)], but=[(0, 2**30)]))
def test_two_processes_at_once(tmp_path: Path, limits: tuple[int, int]) -> None:
    """This process, and another."""
    command = [sys.executable, "-c", CACHE, str(tmp_path), str(ROOT), str(limits[1])]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as other:
        cache_together(tmp_path, 0, limits[0], store_module.Writer.commit)
        _, errors = other.communicate(timeout=200)
    assert other.returncode == 0, errors
    assert {path.name for path in tmp_path.glob("written*")} == {"written0", "written1"}
    expected = split_at(toy_backbone(), 2)[0].predict(random_split(300).x, verbose=0)
    results = [np.load(tmp_path / f"result{number}.npy") for number in range(2)]
    assert results[0].tobytes() == results[1].tobytes()
    np.testing.assert_allclose(results[0], expected, rtol=1e-5, atol=1e-6)
    assert len(files(tmp_path / "store")) == 1


# In memory


def test_memory_writes_nothing(
    still_toy: Backbone, split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, feature_store: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    before = files(feature_store)
    size = cache_features(still_toy.model, split, cache_dir="memory").x.nbytes
    cache_features(still_toy.model, split, cache_dir="memory", max_bytes=size)
    assert files(feature_store) == before
    assert files(tmp_path) == []


def test_memory_has_a_limit(still_toy: Backbone, split: Split, runs: list[str]) -> None:
    size = cache_features(still_toy.model, split, cache_dir="memory").x.nbytes
    before = len(runs)
    with raises_one_line(ValueError, f"max_bytes={size - 1:,}", f"got {size:,}"):
        cache_features(still_toy.model, split, cache_dir="memory", max_bytes=size - 1)
    with raises_one_line(ValueError, f"got {3 * size:,}"):
        cache_features(still_toy.model, split, cache_dir="memory", max_bytes=size, views=3, augment=make_augment())
    assert len(runs) == before


# Half precision


def test_half_precision_is_close_and_can_be_trained_on(still_toy: Backbone, tmp_path: Path) -> None:
    data = random_split(60, signal=True)
    full = cache_features(still_toy.model, data, cache_dir=tmp_path)
    for max_bytes in (2**30, 0):
        half = cache_features(still_toy.model, data, dtype="float16", cache_dir=tmp_path, max_bytes=max_bytes)
        assert half.x.dtype == np.float16
        assert half.x.nbytes * 2 == full.x.nbytes
        assert half.x.tobytes() == full.x.astype(np.float16).tobytes()
        head = build_head(still_toy, 3, seed=1)
        history = fit(head, half, epochs=3, learning_rate=0.1, validation=half, progress=False)
        losses = history[history["split"] == "train"]["loss"].tolist()
        assert losses[-1] < losses[0]
    by_full = build_head(still_toy, 3, seed=1)
    fit(by_full, full, epochs=3, learning_rate=0.1, progress=False)
    assert largest_difference(head, by_full) < 0.01


# Views


def by_hand(trunk: keras.Model, data: Split, augment: keras.layers.Layer, *, views: int, seed: int) -> np.ndarray:
    """The same views, without a graph of their own: seed the layer's generators, apply it, then the trunk."""
    states = [variable for variable in augment.variables if variable.name == "seed_generator_state"]
    before = [state.numpy() for state in states]
    for number, state in enumerate(states):
        state.assign(np.random.SeedSequence([seed, number]).generate_state(2).astype(state.dtype))
    images = [
        np.asarray(augment(tf.cast(data.x[start : start + 32], "float32"), training=True))
        for _ in range(views)
        for start in range(0, len(data), 32)
    ]
    for state, value in zip(states, before, strict=True):
        state.assign(value)
    return trunk.predict(np.concatenate(images), verbose=0)


@pytest.mark.parametrize("stage", in_bank([0, 1, 2], but=[0, 2]))
def test_views_are_the_trunk_after_the_augmentation(still_toy: Backbone, stage: int, tmp_path: Path) -> None:
    data, augment = random_split(45), make_augment()
    trunk, _ = split_at(still_toy, stage)
    cached = cache_features(trunk, data, views=3, augment=augment, seed=4, cache_dir=tmp_path)
    expected = by_hand(trunk, data, augment, views=3, seed=4)
    np.testing.assert_allclose(cached.x, expected, rtol=1e-4, atol=1e-3)


def test_labels_follow_the_views(still_toy: Backbone) -> None:
    # Images that say their own number, and a flip, which leaves the sum of an image what it was.
    data = random_split(40)
    image = keras.Input((8, 8, 1))
    trunk = keras.Model(image, keras.ops.sum(keras.ops.cast(image, "float32"), axis=(1, 2)))
    cached = cache_features(trunk, data, views=4, augment=keras.layers.RandomFlip("horizontal"), cache_dir="memory")
    np.testing.assert_array_equal(cached.x, np.tile(trunk.predict(data.x, verbose=0), (4, 1)))
    np.testing.assert_array_equal(cached.y, np.tile(data.y, 4))
    assert len(cached) == 160


def test_a_flip_gives_the_image_or_its_mirror_image_both_half_the_time(still_toy: Backbone) -> None:
    data = random_split(40)
    cached = cache_features(
        split_at(still_toy, 0)[0], data, views=20, augment=keras.layers.RandomFlip("horizontal"), cache_dir="memory"
    )
    plain, mirror = data.x.astype(np.float32), data.x[:, :, ::-1].astype(np.float32)
    views = cached.x.reshape(20, *data.x.shape)
    same = (views == plain).all(axis=(2, 3, 4))
    assert (same ^ (views == mirror).all(axis=(2, 3, 4))).all()
    assert abs(same.mean() - 0.5) < 5 * 0.5 / np.sqrt(same.size)  # five standard deviations
    assert len({row.tobytes() for row in same}) == 20  # each view draws anew, and so does each image
    assert len({column.tobytes() for column in same.T}) > 30


def test_all_views_differ_and_differ_from_the_image(still_toy: Backbone, split: Split) -> None:
    cached = cache_features(still_toy.model, split, views=5, augment=make_augment(), cache_dir="memory")
    plain = cache_features(still_toy.model, split, cache_dir="memory")
    views = [plain.x, *cached.x.reshape(5, *plain.x.shape)]
    for one, other in itertools.combinations(views, 2):
        assert (np.abs(one - other).max(axis=(1, 2, 3)) > 1e-4).all()


def test_one_view_is_augmented_too(still_toy: Backbone, split: Split) -> None:
    many = cache_features(still_toy.model, split, views=3, augment=make_augment(), cache_dir="memory")
    one = cache_features(still_toy.model, split, views=1, augment=make_augment(), cache_dir="memory")
    assert one.x.tobytes() == many.x[: len(split)].tobytes()  # and more views begin with fewer


def test_views_depend_on_the_seed_alone(still_toy: Backbone, split: Split) -> None:
    def views(seed: int, augment: keras.layers.Layer) -> bytes:
        return cache_features(
            still_toy.model, split, views=2, augment=augment, seed=seed, cache_dir="memory"
        ).x.tobytes()

    first = views(1, make_augment(seed=1))
    moved = make_augment(seed=1)
    for _ in range(3):
        moved(np.zeros((2, 8, 8, 1), np.float32), training=True)
    assert views(1, moved) == first
    assert views(1, make_augment(seed=50)) == first
    assert views(2, make_augment(seed=1)) != first
    random.seed(3)
    keras_state = keras.src.random.seed_generator.global_seed_generator().state
    keras_state.assign(keras_state + 5)
    assert views(1, make_augment(seed=1)) == first


AUGMENTATIONS = {
    "AugMix": {},
    "CutMix": {},
    "MixUp": {},
    "RandAugment": {},
    "RandomBrightness": {"factor": 0.5},
    "RandomColorDegeneration": {"factor": 0.9},
    "RandomColorJitter": {"brightness_factor": 0.5},
    "RandomContrast": {"factor": 0.5},
    "RandomCrop": {"height": 8, "width": 8},
    "RandomElasticTransform": {},
    "RandomErasing": {},
    "RandomFlip": {},
    "RandomGaussianBlur": {"factor": 1.0},
    "RandomGrayscale": {"factor": 0.5},
    "RandomHue": {"factor": 0.5},
    "RandomInvert": {"factor": 0.5},
    "RandomPerspective": {},
    "RandomPosterization": {"factor": 6},
    "RandomRotation": {"factor": 0.3},
    "RandomSaturation": {"factor": 0.9},
    "RandomSharpness": {"factor": 0.9},
    "RandomShear": {"x_factor": 0.3},
    "RandomTranslation": {"height_factor": 0.3, "width_factor": 0.3},
    "RandomZoom": {"height_factor": 0.3},
    "Solarization": {"addition_factor": 0.5},
}


def test_every_augmentation_of_keras_is_tried() -> None:
    names = {name for name in dir(keras.layers) if name.startswith("Random")}
    assert names <= set(AUGMENTATIONS)


KNOWN_HERE = [name for name in AUGMENTATIONS if hasattr(keras.layers, name)]  # Keras 3.12 has fewer


@pytest.mark.parametrize("name", in_bank(KNOWN_HERE, but=["AugMix", "CutMix", "RandAugment", "RandomFlip"]))
def test_an_augmentation_gives_one_answer_to_one_seed(name: str) -> None:
    """Made again, called again, and whatever Python's own generator has drawn, by which AugMix chooses."""
    cropped = name == "RandomCrop"
    image = keras.Input((None, None, 3) if cropped else (8, 8, 3))
    x = keras.layers.Rescaling(1 / 255)(image)
    trunk = keras.Model(image, keras.layers.GlobalAveragePooling2D()(x) if cropped else x)
    pixels = random_split(6, shape=(12, 12, 3) if cropped else (8, 8, 3))

    def views(augment: keras.layers.Layer, seed: int | np.integer) -> bytes:
        return cache_features(trunk, pixels, views=2, augment=augment, seed=seed, cache_dir="memory").x.tobytes()

    first, second = (getattr(keras.layers, name)(**AUGMENTATIONS[name]) for _ in range(2))
    once = views(first, 1)
    random.seed(3)
    assert views(first, 1) == views(second, np.int64(1)) == once
    assert any(views(second, seed) != once for seed in (2, 3))


def test_the_callers_layer_and_all_global_generators_are_left_alone(
    still_toy: Backbone, split: Split, tmp_path: Path
) -> None:
    from keras.src.random.seed_generator import global_seed_generator

    augment = make_augment()

    def states() -> tuple[object, ...]:
        keras_state = global_seed_generator().state.numpy().tolist()
        layer = [variable.numpy().tolist() for variable in augment.variables]
        numpys = np.random.get_state()[1].tobytes()  # noqa: NPY002 (read, not used)
        return random.getstate(), numpys, keras_state, layer

    augment(np.zeros((2, 8, 8, 1), np.float32), training=True)
    before = states()
    assert before[-1] != []
    for max_bytes in (2**30, 0):
        cache_features(
            still_toy.model, split, views=2, augment=augment, cache_dir=tmp_path / str(max_bytes), max_bytes=max_bytes
        )
        assert states() == before
    with full_disk("append"), pytest.raises(OSError, match="MiB"):
        cache_features(still_toy.model, split, views=3, augment=augment, cache_dir=tmp_path / "full", max_bytes=0)
    assert states() == before


def test_an_augmentation_that_was_never_called(still_toy: Backbone, split: Split, tmp_path: Path) -> None:
    # Layers may make their variables at the first call only; the views must not depend on it.
    def views(augment: keras.layers.Layer, folder: str) -> bytes:
        return cache_features(still_toy.model, split, views=2, augment=augment, cache_dir=tmp_path / folder).x.tobytes()

    fresh, called = make_augment(seed=1), make_augment(seed=9)
    called(np.zeros((2, 8, 8, 1), np.float32), training=True)
    assert views(fresh, "a") == views(called, "b")
    assert files(tmp_path / "a") == files(tmp_path / "b")


@keras.saving.register_keras_serializable("tlkit_tests")
class Shift(keras.layers.Layer):
    """Adds a number that is a weight, as an adapted layer's statistics are; its configuration does not say which."""

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self.shift = self.add_weight(name="shift", initializer="zeros", trainable=False)

    def call(self, x):
        return x + self.shift


def test_a_changed_weight_of_the_augmentation_is_a_new_key(
    still_toy: Backbone, split: Split, tmp_path: Path, runs: list[str]
) -> None:
    augment = keras.layers.Normalization(axis=None)
    augment.build((None, 8, 8, 1))
    augment.finalize_state()
    for value in (0.0, 40.0):
        augment.adapt_mean.assign(-value)
        augment.adapt_variance.assign(1.0)
        augment.finalize_state()
        with computes_anew(runs, tmp_path):
            cached = cache_features(still_toy.model, split, augment=augment, cache_dir=tmp_path)
        expected = still_toy.model.predict(split.x.astype(np.float32) + value, verbose=0)
        np.testing.assert_allclose(cached.x, expected, rtol=1e-4, atol=1e-5)


# Code of one's own, which no key sees through


SHIFT = 0.0  # what a function reads that no configuration shows


def shifted(x):
    return x + SHIFT


class Relu(keras.layers.ReLU):
    def call(self, x):
        return super().call(x) + SHIFT


def own_trunk(kind: str) -> keras.Model:
    """Ten numbers, by a layer of Keras that calls code of one's own, or by a layer or model of one's own."""
    image = keras.Input((8, 8, 1))
    x = keras.layers.Rescaling(1 / 255)(image)
    if kind == "a method put on a layer of Keras":
        layer = keras.layers.ReLU()
        layer.call = shifted
        return keras.Model(image, layer(x))
    layers = {
        "an activation function": lambda: keras.layers.Activation(shifted),
        "a wrapped one": lambda: keras.layers.Activation(functools.wraps(keras.ops.relu)(lambda x: shifted(x))),
        "a partial": lambda: keras.layers.Activation(functools.partial(shifted)),
        "a tf.function": lambda: keras.layers.Activation(tf.function(shifted)),
        "a Lambda": lambda: keras.layers.Lambda(lambda x: shifted(x)),
        "a subclass": Relu,
        "a registered layer": lambda: Shift(),
        "a layer within a layer": lambda: keras.layers.TimeDistributed(keras.layers.Activation(shifted)),
        "a layer within a model": lambda: keras.Sequential([keras.Sequential([Relu()])]),
    }
    return keras.Model(image, layers[kind]()(x))


KINDS = [
    "an activation function", "a wrapped one", "a partial", "a tf.function", "a Lambda", "a subclass",
    "a registered layer", "a layer within a layer", "a layer within a model", "a method put on a layer of Keras",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("limit", [2**30, 0])
def test_code_of_ones_own_in_the_trunk_is_never_stale(
    split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, limit: int
) -> None:
    monkeypatch.setattr("tlkit.features._said", set())

    def mean(shift: float) -> float:
        monkeypatch.setattr(sys.modules[__name__], "SHIFT", shift)
        monkeypatch.setattr(Shift, "call", lambda self, x: shifted(x))
        return float(cache_features(own_trunk(kind), split, cache_dir=tmp_path, max_bytes=limit).x.mean())

    with pytest.warns(UserWarning, match="not stored.*would not see a change"):
        before = mean(0.0)
    assert mean(3.0) - before == pytest.approx(3)  # and without another word, which would be an error here
    assert files(tmp_path) == []  # no file outlives its array


def test_an_edited_augmentation_of_ones_own_is_never_stale(
    still_toy: Backbone, split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As the review found it: the class is written anew, with the same name and configuration.
    monkeypatch.setattr("tlkit.features._said", set())

    def edited(factor: float) -> np.ndarray:
        class Jitter(keras.layers.Layer):
            def call(self, x):
                return x * factor

        options = {"augment": keras.Sequential([Jitter()]), "views": 2}
        found = cache_features(still_toy.model, split, cache_dir=tmp_path, **options)
        memory = cache_features(still_toy.model, split, cache_dir="memory", **options)
        assert found.x.tobytes() == memory.x.tobytes()
        return found.x

    with pytest.warns(UserWarning, match="'?Jitter"):
        first = edited(1.0)
    assert not np.array_equal(first, edited(0.0))


def test_streamed_features_that_are_not_stored_last_as_long_as_their_array(split: Split, tmp_path: Path) -> None:
    trunk = own_trunk("a subclass")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [cache_features(trunk, split, cache_dir=tmp_path, max_bytes=0) for _ in range(2)]
        in_memory = cache_features(trunk, split, cache_dir="memory")
    assert all(isinstance(each.x, np.memmap) and each.x.tobytes() == in_memory.x.tobytes() for each in found)
    assert len(files(tmp_path)) == 2
    del found
    assert files(tmp_path) == []


def test_an_attribute_that_no_configuration_shows_is_a_new_key(
    still_toy: Backbone, split: Split, tmp_path: Path, runs: list[str]
) -> None:
    layer = keras.layers.RandomZoom((0.2, 0.2))
    assert (layer.height_lower, layer.height_upper) == (0.2, 0.2)
    for bound in (0.2, 0.5):
        layer.height_lower = layer.height_upper = bound
        with computes_anew(runs, tmp_path):
            cached = cache_features(still_toy.model, split, augment=layer, cache_dir=tmp_path)
        assert (
            cached.x.tobytes() == cache_features(still_toy.model, split, augment=layer, cache_dir="memory").x.tobytes()
        )


@pytest.mark.parametrize("activation", ["gelu", keras.ops.tanh, tf.nn.relu, keras.layers.LeakyReLU(0.1)])
def test_functions_of_keras_and_tensorflow_are_known(activation: object) -> None:
    image = keras.Input((8, 8, 1))
    kernel = keras.initializers.Constant(1.0)
    x = keras.layers.Conv2D(2, 3, activation=activation, kernel_initializer=kernel)(image)
    model = keras.Model(image, keras.ops.relu(x) + 1)
    model.compile("sgd", loss=lambda y, z: keras.ops.mean(z))  # what trains is no part of what infers
    assert Code(model).foreign == []
    assert {"keras", "tensorflow"} >= Code(model).packages


@pytest.mark.parametrize(
    ("options", "fragments"),
    [
        ({"views": 2}, ("augment must be a Keras layer", "got None")),
        ({"views": 0}, ("views must be", "got 0")),
        ({"views": -1, "augment": True}, ("views must be", "got -1")),
        ({"views": 1.5}, ("views must be", "got 1.5")),
        ({"views": True}, ("views must be", "got True")),
        ({"views": "2"}, ("views must be", "got '2'")),
        ({"dtype": "float64"}, ("'float32' or 'float16'", "got 'float64'")),
        ({"dtype": "uint8"}, ("'float32' or 'float16'", "got 'uint8'")),
    ],
)
def test_what_is_refused(
    still_toy: Backbone, split: Split, tmp_path: Path, runs: list[str], options: dict, fragments: tuple[str, ...]
) -> None:
    if options.get("augment"):
        options = {**options, "augment": make_augment()}
    before = len(runs)
    with raises_one_line(ValueError, *fragments):
        cache_features(still_toy.model, split, cache_dir=tmp_path, **options)
    assert len(runs) == before
    assert files(tmp_path) == []


def test_double_precision_is_refused(tmp_path: Path) -> None:
    """It would be stored as single, and training on it would be another training."""
    rows = np.arange(6.0).reshape(3, 2)
    with raises_one_line(TypeError, "x must be", "got float64"):
        Split(rows, np.zeros(3, int))
    entry = keras.Input((2,))
    trunk = keras.Model(entry, keras.layers.Dense(2, dtype="float64")(entry), name="double")
    for place in (tmp_path, "memory"):
        with raises_one_line(ValueError, "features must be float32", "float64 from 'double'"):
            cache_features(trunk, Split(rows.astype(np.float32), np.zeros(3, int)), cache_dir=place)
    assert files(tmp_path) == []


# Exactness: what is trained on stored features is what full training gives


def full_and_cached(
    make: Callable[[], Backbone], stage: int, data: Split, folder: Path, **options: object
) -> list[keras.Model]:
    """The whole model after full training, and after training behind features: in memory, and mapped from the disk."""
    models, features = [], []
    for max_bytes in (None, 2**30, 0):
        backbone = make()
        freeze_to(backbone, stage)
        head = build_head(backbone, 3, seed=5)
        if max_bytes is None:
            model, seen = join(backbone.model, head), data
        else:
            trunk, tail = split_at(backbone, stage)
            # The first is computed, and the others are read from the disk.
            many = [cache_features(trunk, data, cache_dir=folder, max_bytes=max_bytes) for _ in range(2)]
            model, seen = join(tail, head), many[0]
            features += many
        fit(model, seen, epochs=2, batch_size=8, seed=11, progress=False, **options)
        models.append(join(backbone.model, head))
    assert len({part.x.tobytes() for part in features}) == 1
    return models


@pytest.mark.parametrize(
    ("make", "stage"),
    [
        *in_bank([(toy_backbone, stage) for stage in range(3)], but=[(toy_backbone, 1)], names=2),
        *in_bank([(small_resnet, stage) for stage in range(6)], but=[], names=2),
    ],
)
def test_training_on_stored_features_equals_full_training(
    make: Callable[[], Backbone], stage: int, tmp_path: Path
) -> None:
    data = random_split(20, shape=make().model.input_shape[1:])
    full, *others = full_and_cached(make, stage, data, tmp_path, learning_rate=0.01)
    for other in others:
        assert same_weights(full, other), f"largest difference {largest_difference(full, other)}"
    assert len(files(tmp_path)) == (stage > 0)  # one was computed, the others were read back


# In `make test` tests/test_features.py trains a ResNet50 behind its features, in memory.
@pytest.mark.slow
@pytest.mark.bank
@pytest.mark.parametrize("stage", range(6))
def test_training_resnet50_on_stored_features_equals_full_training(stage: int, tmp_path: Path) -> None:
    make = functools.partial(load_backbone, "resnet50", weights=None, image_size=32, seed=1)
    data = random_split(12, shape=(32, 32, 3))
    start = make()
    full, *others = full_and_cached(make, stage, data, tmp_path, learning_rate=1e-3)
    assert stage == 5 or not same_weights(start.model.get_weights(), full.get_weights()[:-2])
    print("largest difference", max(largest_difference(full, other) for other in others))  # pytest -rP shows it
    for other in others:
        assert largest_difference(full, other) <= 1e-5
    assert same_weights(*others)  # the disk changes nothing
    assert len(files(tmp_path)) == (stage > 0)  # one was computed, the others were read back
