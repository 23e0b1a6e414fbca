"""The feature store: what is written comes back or is found out, and the folder stays within its limit."""

import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT, no_file_above, raises_one_line

from tlkit.files import store as store_module
from tlkit.files.store import Store, array_digest, drop_pages, user_store

KEY, OTHER = "0123456789abcdef" * 2, "fedcba9876543210" * 2
LARGE = 2**40  # bytes: everything fits in memory


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def noise(*shape: int, dtype: str = "float32", seed: int = 0) -> np.ndarray:
    return (100 * np.random.default_rng(seed).standard_normal(shape)).astype(dtype)


def put(store: Store, key: str, array: np.ndarray, *, rows: int = 7) -> Path:
    """Write in parts, as the trunk gives them."""
    with store.writer(key, array.shape, array.dtype) as writer:
        for start in range(0, len(array), rows):
            writer.append(array[start : start + rows])
        return writer.commit()


def names(store: Store) -> set[str]:
    return {path.name for path in store.folder.iterdir()} if store.folder.is_dir() else set()


def assert_same(one: np.ndarray | None, other: np.ndarray) -> None:
    assert one is not None
    assert (one.dtype, one.shape) == (other.dtype, other.shape)
    assert one.tobytes() == other.tobytes()


# Writing and reading


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
@pytest.mark.parametrize("shape", [(1, 1), (20, 3), (7, 4, 4, 2)])
@pytest.mark.parametrize("rows", [1, 7, 100])
def test_what_is_written_comes_back(store: Store, shape: tuple[int, ...], dtype: str, rows: int) -> None:
    array = noise(*shape, dtype=dtype)
    path = put(store, KEY, array, rows=rows)
    for limit in (0, LARGE):
        assert_same(store.read(KEY, in_memory_up_to=limit), array)
    assert_same(np.load(path, allow_pickle=False), array)  # any program that knows .npy can read it
    assert names(store) == {path.name}


def test_rows_that_are_not_contiguous(store: Store) -> None:
    array = noise(6, 4, 4)
    with store.writer(KEY, (6, 4, 4), array.dtype) as writer:
        writer.append(array.transpose(0, 2, 1)[:3])
        writer.append(array.transpose(0, 2, 1)[3:])
        writer.commit()
    assert_same(store.read(KEY, in_memory_up_to=LARGE), np.ascontiguousarray(array.transpose(0, 2, 1)))


def test_above_the_limit_the_array_is_memory_mapped_and_read_only(store: Store) -> None:
    array = noise(8, 8)
    size = put(store, KEY, array).stat().st_size
    for limit, mapped in ((0, True), (size - 1, True), (size, False), (LARGE, False)):
        seen = store.read(KEY, in_memory_up_to=limit)
        assert isinstance(seen, np.memmap) == mapped
        assert_same(seen, array)
    seen = store.read(KEY, in_memory_up_to=0)
    assert seen is not None
    with pytest.raises(ValueError, match="read-only"):
        seen[0] = 1


def test_keys_do_not_mix(store: Store) -> None:
    put(store, KEY, noise(3, 2))
    assert store.read(OTHER, in_memory_up_to=LARGE) is None
    put(store, OTHER, noise(3, 2, seed=1))
    assert_same(store.read(KEY, in_memory_up_to=LARGE), noise(3, 2))
    assert_same(store.read(OTHER, in_memory_up_to=LARGE), noise(3, 2, seed=1))
    assert store.read(KEY[:16], in_memory_up_to=LARGE) is None  # the beginning of a key is another key


def test_writing_a_key_twice_leaves_one_file(store: Store) -> None:
    assert put(store, KEY, noise(3, 2)) == put(store, KEY, noise(3, 2), rows=1)
    assert len(store.entries()) == 1


def test_a_missing_folder_is_an_empty_store(store: Store) -> None:
    assert store.read(KEY, in_memory_up_to=LARGE) is None
    assert store.entries() == []
    assert store.clear() == (0, 0)
    store.make_room()
    assert not store.folder.exists()


def test_the_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    deep = Store(tmp_path / "a" / "b" / "c")
    put(deep, KEY, noise(2, 2))
    assert_same(deep.read(KEY, in_memory_up_to=0), noise(2, 2))


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OSError, match="file"):
        Store(tmp_path / "file").writer(KEY, (1, 1), np.dtype("float32"))


def test_the_users_store_is_where_the_variable_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import platformdirs

    monkeypatch.setenv("TLKIT_CACHE_DIR", str(tmp_path / "mine"))
    assert user_store().folder == tmp_path / "mine"
    for empty in (lambda: monkeypatch.setenv("TLKIT_CACHE_DIR", ""), lambda: monkeypatch.delenv("TLKIT_CACHE_DIR")):
        empty()
        assert user_store().folder.is_relative_to(platformdirs.user_cache_path("tlkit", appauthor=False))
    assert not (tmp_path / "mine").exists()


# What goes wrong while writing


def test_without_commit_nothing_is_left(store: Store) -> None:
    with store.writer(KEY, (2, 2), np.dtype("float32")) as writer:
        writer.append(noise(2, 2))
    assert names(store) == set()
    assert store.read(KEY, in_memory_up_to=LARGE) is None


@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt, OSError])
def test_an_exception_in_the_middle_leaves_nothing(store: Store, kind: type[BaseException]) -> None:
    put(store, OTHER, noise(2, 2))
    before = names(store)

    def break_off() -> None:
        with store.writer(KEY, (4, 2), np.dtype("float32")) as writer:
            writer.append(noise(2, 2))
            raise kind("in the middle")

    with pytest.raises(kind, match="in the middle"):
        break_off()
    assert names(store) == before


def test_a_half_written_file_is_invisible(store: Store) -> None:
    with store.writer(KEY, (4, 2), np.dtype("float32")) as writer:
        writer.append(noise(2, 2))
        assert store.read(KEY, in_memory_up_to=LARGE) is None
        assert store.entries() == []


@pytest.mark.parametrize("rows", [1, 16, 1000])
def test_a_disk_that_gets_full_leaves_nothing(store: Store, rows: int) -> None:
    put(store, OTHER, noise(2, 2))
    before = names(store)
    with no_file_above(2**15), pytest.raises(OSError, match="too large"):
        put(store, KEY, noise(1000, 50), rows=rows)
    assert names(store) == before
    assert store.read(KEY, in_memory_up_to=LARGE) is None


def test_a_rename_that_fails_leaves_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no rename")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="no rename"):
        put(store, KEY, noise(2, 2))
    assert names(store) == set()


# Damage


def flip(position: int):
    def change(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[position] ^= 1
        path.write_bytes(content)

    return change


def rename_hash(path: Path) -> None:
    path.rename(path.with_name(f"{KEY}-{hashlib.sha256(b'another').hexdigest()}.npy"))


DAMAGE = {
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "cut in the header": lambda path: path.write_bytes(path.read_bytes()[:20]),
    "empty": lambda path: path.write_bytes(b""),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "first byte": flip(0),
    "version": flip(6),
    "shape in the header": lambda path: path.write_bytes(path.read_bytes().replace(b"(9, 4)", b"(4, 9)")),
    "dtype in the header": lambda path: path.write_bytes(path.read_bytes().replace(b"<f4", b"<i4")),
    "a value": flip(-7),
    "another array": lambda path: np.save(path, noise(9, 4, seed=5)),
    "renamed": rename_hash,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize("limit", [0, LARGE])
def test_damage_is_found_out_and_removed(store: Store, damage, limit: int) -> None:
    path = put(store, KEY, noise(9, 4))
    put(store, OTHER, noise(3, 3))
    before = path.read_bytes()
    damage(path)
    assert not path.exists() or path.read_bytes() != before
    with pytest.warns(UserWarning, match=f"{KEY[:12]}.*damaged") as caught:
        assert store.read(KEY, in_memory_up_to=limit) is None
    assert len(caught) == 1
    assert [entry.key for entry in store.entries()] == [OTHER]
    assert store.read(KEY, in_memory_up_to=limit) is None  # without another word
    assert_same(store.read(OTHER, in_memory_up_to=limit), noise(3, 3))
    put(store, KEY, noise(9, 4))
    assert_same(store.read(KEY, in_memory_up_to=limit), noise(9, 4))


def test_damage_is_removed_even_where_warnings_are_errors(store: Store) -> None:
    DAMAGE["a value"](put(store, KEY, noise(9, 4)))
    with pytest.raises(UserWarning, match="damaged"):  # pytest turns warnings into errors here
        store.read(KEY, in_memory_up_to=LARGE)
    assert names(store) == set()


def test_an_array_under_another_arrays_key_is_found_out(store: Store) -> None:
    path = put(store, KEY, noise(9, 4))
    path.rename(path.with_name(path.name.replace(KEY, OTHER)))
    with pytest.warns(UserWarning, match="damaged"):
        assert store.read(OTHER, in_memory_up_to=LARGE) is None


def test_a_whole_file_beside_a_damaged_one_is_found(store: Store) -> None:
    whole = put(store, KEY, noise(9, 4))
    (store.folder / f"{KEY}-{'0' * 64}.npy").write_bytes(whole.read_bytes())
    with pytest.warns(UserWarning, match="damaged"):
        assert_same(store.read(KEY, in_memory_up_to=LARGE), noise(9, 4))
    assert names(store) == {whole.name}


# Two writers at once


def test_two_threads_write_one_key(store: Store) -> None:
    array, together, failed = noise(500, 20), threading.Barrier(2), []

    def write() -> None:
        try:
            for _ in range(20):
                together.wait(timeout=30)
                put(store, KEY, array, rows=20)
                assert_same(store.read(KEY, in_memory_up_to=LARGE), array)
        except BaseException as error:
            failed.append(error)
            together.abort()

    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(names(store)) == 1


def test_two_writers_interleaved(store: Store) -> None:
    array = noise(10, 3)
    with (
        store.writer(KEY, array.shape, array.dtype) as one,
        store.writer(KEY, array.shape, array.dtype) as two,
    ):
        one.append(array[:4])
        two.append(array[:6])
        one.append(array[4:])
        first = one.commit()
        mapped = store.read(KEY, in_memory_up_to=0)
        two.append(array[6:])
        assert two.commit() == first
    assert_same(mapped, array)  # what was read before the second commit stays what it was
    assert_same(store.read(KEY, in_memory_up_to=LARGE), array)
    assert names(store) == {first.name}


WRITE = """
import sys, time
from pathlib import Path
import numpy as np
from tlkit.files.store import Store
folder, key, number = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
array = (100 * np.random.default_rng(0).standard_normal((500, 20))).astype("float32")
(folder.parent / f"ready{number}").touch()
while not (folder.parent / f"ready{1 - number}").exists():
    time.sleep(0.001)
store = Store(folder)
for _ in range(30):
    with store.writer(key, array.shape, array.dtype) as writer:
        for start in range(0, 500, 50):
            writer.append(array[start : start + 50])
        writer.commit()
    assert np.array_equal(store.read(key, in_memory_up_to=number * 2**40), array)
"""


def test_two_processes_write_one_key(store: Store) -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", WRITE, str(store.folder), KEY, str(number)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    for process in started:
        _, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, "")
    assert len(names(store)) == 1
    assert_same(store.read(KEY, in_memory_up_to=LARGE), noise(500, 20))


# The limit


def key_of(number: int) -> str:
    return f"{number:032x}"


def fill(store: Store, sizes: list[int]) -> list[Path]:
    """Files of these many floats; each was last used an hour after the one before, the last of them an hour ago."""
    paths, now = [], time.time()
    for number, size in enumerate(sizes):
        paths.append(put(Store(store.folder), key_of(number), noise(size, 1, seed=number)))
        age = 3600 * (len(sizes) - number)
        os.utime(paths[-1], (now - age, now - age))
    return paths


def stored_bytes(store: Store) -> int:
    return sum(path.stat().st_size for path in store.folder.iterdir())


def test_entries_the_last_used_first(store: Store) -> None:
    paths = fill(store, [10, 30, 20])
    entries = store.entries()
    assert [entry.path for entry in entries] == paths[::-1]
    assert [entry.key for entry in entries] == [key_of(2), key_of(1), key_of(0)]
    for entry in entries:
        status = entry.path.stat()
        assert (entry.bytes, entry.last_used) == (status.st_size, status.st_mtime)
    assert store.read(key_of(0), in_memory_up_to=LARGE) is not None
    assert [entry.key for entry in store.entries()] == [key_of(0), key_of(2), key_of(1)]


def test_the_longest_unused_goes_first(store: Store) -> None:
    paths = fill(store, [1000] * 5)
    size = paths[0].stat().st_size
    for kept in range(5, -1, -1):
        limited = Store(store.folder, limit_bytes=kept * size)
        limited.make_room()
        assert [entry.path for entry in limited.entries()] == paths[5 - kept :][::-1]


@pytest.mark.parametrize("limit", [0, 5_000, 9_000, 13_000, 17_000, 21_000, 100_000])
@pytest.mark.parametrize("sizes", [[1000, 2000, 1500, 300], [300, 2000, 1000, 1500], [1, 3000, 1, 1000]])
def test_nothing_older_stays_than_what_went(store: Store, sizes: list[int], limit: int) -> None:
    paths = fill(store, sizes)
    Store(store.folder, limit_bytes=limit).make_room()
    assert stored_bytes(store) <= limit
    there = [path.exists() for path in paths]
    assert there == sorted(there)


def test_no_more_goes_than_must(store: Store) -> None:
    paths = fill(store, [1000, 1000, 1000])
    Store(store.folder, limit_bytes=stored_bytes(store) - 1).make_room()
    assert [path.exists() for path in paths] == [False, True, True]


def test_reading_keeps_from_eviction(store: Store) -> None:
    paths = fill(store, [1000] * 3)
    assert store.read(key_of(0), in_memory_up_to=0) is not None
    Store(store.folder, limit_bytes=paths[0].stat().st_size).make_room()
    assert [path.exists() for path in paths] == [True, False, False]


def test_writing_evicts_and_what_was_just_written_stays(store: Store) -> None:
    old = fill(store, [100, 100])
    limited = Store(store.folder, limit_bytes=1000)
    new = put(limited, KEY, noise(1000, 4))  # alone more than the limit
    assert names(store) == {new.name}
    assert not any(path.exists() for path in old)
    assert_same(limited.read(KEY, in_memory_up_to=LARGE), noise(1000, 4))
    newer = put(limited, OTHER, noise(2, 2))
    assert names(store) == {newer.name}


def test_a_mapped_array_outlives_its_eviction(store: Store) -> None:
    put(store, KEY, noise(1000, 4))
    mapped = store.read(KEY, in_memory_up_to=0)
    Store(store.folder, limit_bytes=0).make_room()
    assert_same(mapped, noise(1000, 4))


def test_abandoned_temporary_files_go_when_they_are_old(store: Store) -> None:
    put(store, KEY, noise(2, 2))
    now, left = time.time(), {}
    for hours in (0, 1, 23, 25, 1000):
        writer = store.writer(OTHER, (2, 2), np.dtype("float32"))
        writer._file.close()  # as a process that was killed leaves it
        left[hours] = writer._temporary
        os.utime(left[hours], (now - 3600 * hours,) * 2)
    store.make_room()
    assert {hours for hours, path in left.items() if path.exists()} == {0, 1, 23}
    assert_same(store.read(KEY, in_memory_up_to=LARGE), noise(2, 2))


def test_clear_removes_all_and_says_how_much(store: Store) -> None:
    fill(store, [10, 20, 30])
    expected = (3, stored_bytes(store))
    assert store.clear() == expected
    assert names(store) == set()
    assert store.clear() == (0, 0)
    assert store.read(key_of(0), in_memory_up_to=LARGE) is None


def test_clear_leaves_what_is_being_written(store: Store) -> None:
    array, another = noise(40, 3), Store(store.folder)  # as another process has it
    fill(store, [10])

    def rows() -> Iterator[np.ndarray]:
        for start in range(0, 40, 8):
            yield array[start : start + 8]
            cleared.append(another.clear()[0])

    cleared: list[int] = []
    assert_same(store.stream("features", KEY, array.shape, array.dtype, rows()), array)
    assert cleared == [1, 0, 0, 0, 0]  # the one that was finished
    assert_same(store.read(KEY, in_memory_up_to=LARGE), array)
    assert another.clear()[0] == 1
    assert names(store) == set()


def test_clear_between_the_last_row_and_the_reading_loses_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    array, commit = noise(9, 4), store_module.Writer.commit

    def commit_and_clear(writer: store_module.Writer) -> Path:
        path = commit(writer)
        Store(store.folder).clear()
        return path

    monkeypatch.setattr(store_module.Writer, "commit", commit_and_clear)
    assert_same(store.stream("features", KEY, array.shape, array.dtype, [array]), array)


def test_clear_removes_what_a_crash_left(store: Store) -> None:
    writer = store.writer(KEY, (2, 2), np.dtype("float32"))
    writer._file.close()  # as the system does it for a process that was killed
    assert store.clear() == (0, 0)
    assert names(store) == set()


def test_a_file_that_somebody_removes_is_named_as_the_cause(store: Store) -> None:
    def rows() -> Iterator[np.ndarray]:
        yield noise(2, 2)
        for path in store.folder.iterdir():
            path.unlink()

    with raises_one_line(OSError, "the file was removed while it was written", "call again"):
        store.stream("features", KEY, (2, 2), np.dtype("float32"), rows())


FOREIGN = ["notes.txt", "mine.npy", "mine.tmp", f"{KEY}.npy", f"{KEY}-backup.npy", "photo-1.tmp"]


def test_foreign_files_are_not_touched(store: Store) -> None:
    # cache_dir may be any folder, the learner's own among them.
    store.folder.mkdir(parents=True)
    for name in FOREIGN:
        (store.folder / name).write_text("mine")
        os.utime(store.folder / name, (0, 0))
    (store.folder / "folder.npy").mkdir()
    fill(store, [10, 20])
    assert {entry.key for entry in store.entries()} == {key_of(0), key_of(1)}
    Store(store.folder, limit_bytes=0).make_room()
    assert store.entries() == []
    fill(store, [10])
    assert store.clear()[0] == 1
    assert names(store) == {*FOREIGN, "folder.npy"}
    assert all((store.folder / name).read_text() == "mine" for name in FOREIGN)


def test_reading_does_not_touch_a_foreign_file(store: Store) -> None:
    store.folder.mkdir(parents=True)
    (store.folder / f"{KEY}-backup.npy").write_text("mine")
    assert store.read(KEY, in_memory_up_to=LARGE) is None
    assert names(store) == {f"{KEY}-backup.npy"}


# Digests


def test_digest_of_a_mapped_array_is_that_of_its_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    array = noise(50, 6, 3, dtype="uint8")
    np.save(tmp_path / "x.npy", array)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    once = array_digest(array)
    assert array_digest(mapped) == array_digest(np.asfortranarray(array)) == once
    monkeypatch.setattr("tlkit.files.store._BLOCK", 40)  # many blocks
    assert array_digest(array) == array_digest(mapped) == once


def test_digest_tells_content_shape_and_dtype_apart() -> None:
    array = np.arange(24, dtype=np.uint8).reshape(4, 6)
    changed = array.copy()
    changed[-1, -1] ^= 1
    others = [changed, array.reshape(6, 4), array.view(np.float16), array[:3], array[::-1]]
    assert len({array_digest(each) for each in [array, *others]}) == 6


def test_dropping_pages_changes_nothing(tmp_path: Path) -> None:
    array = noise(100, 100)
    np.save(tmp_path / "x.npy", array)
    for mapped in (np.load(tmp_path / "x.npy", mmap_mode=mode) for mode in ("r", "c")):
        if mapped.mode == "c":
            mapped[0] = array[0] = 7
        drop_pages(mapped)
        assert_same(mapped, array)
        drop_pages(mapped[:50])
    drop_pages(array)
