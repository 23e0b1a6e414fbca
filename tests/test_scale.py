"""Ray does in many processes what one does: the same features, the same grades, and nothing lost with a node."""

import ast
import csv
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers import KERAS_SAVES_WITH_A_WARNING, ROOT, raises_one_line, random_split, run_python

import tlkit
from tlkit import features, scale
from tlkit.features import cache_features, split_at
from tlkit.files.store import Store
from tlkit.folders import load_folder, open_pictures

NO_RAY = "import sys; sys.modules['ray'] = None\n"


# Without Ray


def test_the_ray_part_is_thin() -> None:
    """What runs Ray: its module, and what calls it; at most 200 lines."""
    lines = len((ROOT / "tlkit" / "scale.py").read_text(encoding="utf-8").splitlines())
    for path, names in (("features", ("_InProcess", "_rows_of_many")), ("grading/submissions", ("_work_on_nodes",))):
        tree = ast.parse((ROOT / "tlkit" / f"{path}.py").read_text(encoding="utf-8"))
        nodes = [node for node in tree.body if getattr(node, "name", None) in names]
        assert len(nodes) == len(names)
        lines += sum(node.end_lineno - node.lineno + 1 for node in nodes)
    assert lines <= 200


def test_what_is_refused_before_anything_runs(split, still_toy, no_training, monkeypatch) -> None:
    trunk, _ = split_at(still_toy, 1)
    with raises_one_line(ValueError, "engine must be 'local' or 'ray', got 'dask'"):
        cache_features(trunk, split, engine="dask")
    with raises_one_line(ValueError, "workers must be 1 or more", "got 2 for 'local'"):
        cache_features(trunk, split, workers=2)
    monkeypatch.setattr(scale, "need_extra", lambda: None)
    with raises_one_line(ValueError, "workers must be 1 or more", "got 0 for 'ray'"):
        cache_features(trunk, split, engine="ray", workers=0)
    with raises_one_line(ValueError, "cache_dir must be a folder for engine='ray'"):
        cache_features(trunk, split, engine="ray", cache_dir="memory")
    import keras

    with raises_one_line(ValueError, "augment must be None for engine='ray'"):
        cache_features(trunk, split, engine="ray", augment=keras.layers.RandomFlip())
    foreign = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Lambda(lambda x: x)])
    with raises_one_line(ValueError, "must run Keras', TensorFlow's and tlkit's code for 'ray'"):
        cache_features(foreign, split, engine="ray")


@pytest.mark.parametrize(
    "arguments",
    [("features", ".", "--backbone", "resnet_printed"), ("grade", ".", "--assignment", "ps1", "--course", ".")],
)
def test_without_the_extra_each_command_says_what_to_install(arguments: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "nbgrader_config.py").touch()
    code = NO_RAY + f"sys.argv = {['tlkit', *arguments, '--engine', 'ray']}\nfrom tlkit.cli import main; main()"
    hidden = (
        "import importlib.util as u; f = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name in ('ray', 'pyarrow') else f(name, *a)\n"
    )
    run = run_python("-c", hidden + code, cwd=tmp_path)
    assert run.returncode == 2
    assert run.stderr.splitlines() == ["tlkit: ray must be installed for this: pip install 'tlkit[scale]'."]


# Pictures that are unread


def write_pictures(folder: Path, n: int = 12, side: int = 10) -> None:
    from PIL import Image

    rng = np.random.default_rng(0)
    for i in range(n):
        path = folder / "ab"[i % 2] / f"{i:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(path)


def test_unread_pictures_are_those_of_load_folder(tmp_path) -> None:
    write_pictures(tmp_path / "pictures")
    opened = open_pictures(tmp_path / "pictures", image_size=8, channels=1)
    domain = load_folder(tmp_path / "pictures", image_size=8, channels=1)
    assert (opened.classes, opened.x.shape, len(opened)) == (domain.classes, (12, 8, 8, 1), 12)
    both = [(part.x[i].tobytes(), part.y[i]) for part in (domain.train, domain.test) for i in range(len(part))]
    assert sorted(both) == sorted((row.tobytes(), label) for row, label in zip(opened.x[:], opened.y, strict=True))
    assert np.array_equal(opened.x[3:7], opened.x.part(3, 7)[:])


def test_the_digest_of_unread_pictures_follows_the_files(tmp_path) -> None:
    write_pictures(tmp_path)
    opened = open_pictures(tmp_path, image_size=8)
    digest = opened.x.digest()
    assert open_pictures(tmp_path, image_size=8).x.digest() == digest
    assert open_pictures(tmp_path, image_size=9).x.digest() != digest
    os.utime(tmp_path / "a" / "000.png", (1, 1))
    assert open_pictures(tmp_path, image_size=8).x.digest() != digest


def test_features_of_unread_pictures_are_those_of_their_pixels(tmp_path, still_toy) -> None:
    write_pictures(tmp_path / "pictures")
    opened = open_pictures(tmp_path / "pictures", image_size=8, channels=1)
    trunk, _ = split_at(still_toy, 1)
    found = cache_features(trunk, opened, cache_dir=tmp_path / "store")
    expected = cache_features(trunk, tlkit.Split(opened.x[:], opened.y), cache_dir="memory")
    assert np.array_equal(found.x, expected.x)
    assert np.array_equal(found.y, expected.y)
    assert np.array_equal(cache_features(trunk, opened, cache_dir=tmp_path / "store").x, expected.x)
    assert len(Store(tmp_path / "store").entries()) == 1


def test_pictures_that_cannot_be_opened(tmp_path, still_toy) -> None:
    with raises_one_line(ValueError, "path must be a folder"):
        open_pictures(tmp_path / "nowhere", image_size=8)
    with raises_one_line(ValueError, "path must hold pictures", "got none"):
        open_pictures(tmp_path, image_size=8)
    write_pictures(tmp_path)
    (tmp_path / "a" / "000.png").write_bytes(b"no picture")
    opened = open_pictures(tmp_path, image_size=8, channels=1)
    with raises_one_line(ValueError, "every image must be readable", "000.png"):
        cache_features(split_at(still_toy, 1)[0], opened, cache_dir=tmp_path / "store")


@pytest.fixture
def parquet():
    pytest.importorskip("pyarrow", reason="needs tlkit[scale]")
    import pyarrow.parquet

    return pyarrow


@pytest.mark.parametrize("nested", [False, True])
def test_parquet_holds_the_same_pictures_as_a_folder(nested: bool, parquet, tmp_path) -> None:
    write_pictures(tmp_path / "pictures")
    from_folder = open_pictures(tmp_path / "pictures", image_size=8)
    content = [path.read_bytes() for path in from_folder.x.places]
    images = [{"bytes": each, "path": None} for each in content] if nested else content
    for name, labels in (("numbers", from_folder.y.tolist()), ("names", ["ab"[label] for label in from_folder.y])):
        table = parquet.table({"image": images, "label": labels})
        (tmp_path / name).mkdir()
        for number, part in enumerate((table[:5], table[5:])):
            parquet.parquet.write_table(part, tmp_path / name / f"{number}.parquet", row_group_size=2)
        opened = open_pictures(tmp_path / name, image_size=8)
        assert opened.classes == (("0", "1") if name == "numbers" else ("a", "b"))
        assert np.array_equal(opened.y, from_folder.y)
        assert np.array_equal(opened.x[:], from_folder.x[:])
        assert np.array_equal(opened.x.part(3, 9)[1:4], from_folder.x[4:7])


def test_parquet_that_is_none(parquet, tmp_path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with raises_one_line(ValueError, "path must be a Parquet file", "a.parquet"):
        open_pictures(tmp_path / "a.parquet", image_size=8)
    parquet.parquet.write_table(parquet.table({"image": [b""], "text": ["a"]}), tmp_path / "a.parquet")
    with raises_one_line(ValueError, "must have the columns image and label"):
        open_pictures(tmp_path / "a.parquet", image_size=8)
    for wrong in (-1, None, 1.5):
        parquet.parquet.write_table(parquet.table({"image": [b""], "label": [wrong]}), tmp_path / "a.parquet")
        with raises_one_line(ValueError, "labels must be integers from 0, or all of them names"):
            open_pictures(tmp_path / "a.parquet", image_size=8)


def test_the_command_stores_what_cache_features_finds(tmp_path, monkeypatch, capsys) -> None:
    from tlkit import cli

    write_pictures(tmp_path / "pictures")
    arguments = ["features", tmp_path / "pictures", "--backbone", "resnet_printed", "--stage", 2, "--image-size", 8]
    arguments += ["--cache-dir", tmp_path / "store", "--labels", tmp_path / "labels.csv"]
    monkeypatch.setattr(sys, "argv", ["tlkit", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 0
    backbone = tlkit.load_backbone("resnet_printed", image_size=8)
    trunk, _ = split_at(backbone, 2)
    opened = open_pictures(tmp_path / "pictures", image_size=8, channels=1)
    expected = cache_features(trunk, opened, cache_dir="memory")
    said = capsys.readouterr().out
    assert said.startswith(f"12 pictures, features {expected.x.shape} float32: ")
    assert np.array_equal(np.load(said.strip().partition("float32: ")[2]), expected.x)
    assert np.array_equal(cache_features(trunk, opened, cache_dir=tmp_path / "store").x, expected.x)
    assert len(Store(tmp_path / "store").entries()) == 1
    with (tmp_path / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["label"], row["class"]) for row in rows] == [(str(y), "ab"[y]) for y in expected.y]


# Parts in the store


def test_parts_are_found_by_number_checked_and_dropped(tmp_path) -> None:
    parts = Store(tmp_path).parts("f" * 40)
    rows = np.arange(6, dtype=np.float32).reshape(3, 2)
    assert parts.read(0) is None
    parts.keep(0, rows)
    parts.keep(1, rows + 1)
    assert np.array_equal(parts.read(0), rows)
    assert np.array_equal(parts.read(1), rows + 1)
    assert Store(tmp_path).entries() == []
    (file,) = (parts.folder / "1").glob("*.npy")
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.warns(UserWarning, match="damaged"):
        assert parts.read(1) is None
    Store(tmp_path).clear()
    assert not parts.folder.exists()


def in_this_process(make, arguments, tasks, *, workers=None, gpus=0.0) -> Iterator[tuple[int, object]]:
    """What over_nodes promises, in another order, with tasks that have been sent."""
    import pickle

    call = make(*arguments)
    sent = [pickle.dumps(task) for task in tasks]
    for number in reversed(range(len(sent))):
        yield number, call(pickle.loads(sent[number]))


@pytest.mark.filterwarnings(KERAS_SAVES_WITH_A_WARNING)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_features_go_on_after_an_interruption(dtype, still_toy, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(scale, "need_extra", lambda: None)
    data, (trunk, _) = random_split(1200), split_at(still_toy, 1)
    asked: list[int] = []

    def breaks_off(make, arguments, tasks, **options):
        tasks = list(tasks)
        asked.append(len(tasks))
        for done, each in enumerate(in_this_process(make, arguments, tasks)):
            if done == 2 and len(asked) == 1:
                raise KeyboardInterrupt
            yield each

    monkeypatch.setattr(features, "over_nodes", breaks_off)
    with pytest.raises(KeyboardInterrupt):
        cache_features(trunk, data, dtype=dtype, cache_dir=tmp_path, engine="ray")
    assert Store(tmp_path).entries() == []
    found = cache_features(trunk, data, dtype=dtype, cache_dir=tmp_path, engine="ray")
    assert asked == [3, 1]
    assert found.x.tobytes() == cache_features(trunk, data, dtype=dtype, cache_dir="memory").x.tobytes()
    again = cache_features(trunk, data, dtype=dtype, cache_dir=tmp_path)  # found by one process, too
    assert (again.x.tobytes(), len(asked)) == (found.x.tobytes(), 2)
    assert [path.suffix for path in tmp_path.iterdir()] == [".npy"]


# With Ray


@pytest.fixture(scope="module")
def ray():
    pytest.importorskip("ray", reason="needs tlkit[scale]")
    pytest.importorskip("pyarrow", reason="needs tlkit[scale]")
    return pytest


ALONE = """
import numpy as np, psutil, sys
sys.path.insert(0, {tests!r})
from helpers import random_split, toy_backbone
from tlkit.features import cache_features, split_at

def main():
    data, (trunk, _) = random_split(1200), split_at(toy_backbone(seed=7), 1)
    from tlkit import features
    over_nodes = features.over_nodes

    def looked_at(*arguments, **options):
        for each in over_nodes(*arguments, **options):
            import os, ray
            assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
            session = ray._private.worker.global_worker.node.session_name
            for process in psutil.process_iter():
                try:
                    ours = process.pid == os.getpid() or process.ppid() == os.getpid() or any(
                        parent.pid == os.getpid() for parent in process.parents())
                    found = process.net_connections("inet") if ours else []
                except psutil.Error:
                    continue
                where.update(each.laddr.ip for each in found if each.status == psutil.CONN_LISTEN)
            yield each

    where = set()
    features.over_nodes = looked_at
    found = cache_features(trunk, data, cache_dir={store!r}, engine="ray", workers=2)
    alone = cache_features(trunk, data, cache_dir="memory")
    assert where and where <= {{"127.0.0.1", "::1", "::ffff:127.0.0.1"}}, where
    print(found.x.tobytes() == alone.x.tobytes(), len(where) > 0)

main()
"""


@pytest.mark.slow
def test_two_processes_give_the_numbers_of_one_and_nothing_listens_beyond(ray, tmp_path) -> None:
    code = ALONE.format(tests=str(ROOT / "tests"), store=str(tmp_path / "store"))
    run = run_python("-c", code, timeout=600)
    assert (run.returncode, run.stdout.splitlines()[-1:]) == (0, ["True True"]), run.stderr[-2000:]


# Two nodes


def on_two_nodes(folder: Path, *jobs: str) -> dict[str, dict[str, object]]:
    """What tests/two_nodes.py reports of some jobs."""
    tests = ROOT / "tests"
    environment = {
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT, tests / "exercises", ROOT / "tools"))),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # both nodes are on localhost
        "RAY_BACKEND_LOG_LEVEL": "fatal",
    }
    run = run_python(str(tests / "two_nodes.py"), str(folder), *jobs, env=environment, timeout=1800)
    assert run.returncode == 0, run.stderr[-3000:]
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def small(ray, tmp_path_factory) -> tuple[Path, dict[str, dict[str, object]]]:
    """Three jobs, since a cluster takes seconds to start; in the last one a node is lost."""
    pytest.importorskip("nbgrader", reason="needs tlkit[exercises]")
    folder = tmp_path_factory.mktemp("nodes")
    return folder, on_two_nodes(folder, "features", "real", f"crowd_{FEW}")


FEW, MANY = 8, 200


@pytest.mark.slow
def test_two_nodes_give_the_features_of_one_process(small) -> None:
    report = small[1]["features"]
    assert (report["equal"], report["parts"]) == (True, [0, 1, 2, 3, 4, 5])


def without_times(path: Path) -> object:
    """A file that grading writes, without what differs from run to run."""
    if path.suffix == ".jsonl":
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return sorted(json.dumps({**row, "seconds": 0}) for row in rows)
    if path.suffix == ".ipynb":
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        return [(cell["source"], cell.get("outputs")) for cell in cells]
    return path.read_bytes()


@pytest.mark.slow
def test_a_class_on_two_nodes_has_the_report_of_one_process(small) -> None:
    roots = [small[0] / engine for engine in ("local", "ray")]
    one, other = (
        {
            path.relative_to(root).as_posix(): without_times(path)
            for pattern in ("*_ps1.*", "submitted/**/*.*", "autograded/**/*.ipynb", "feedback/**/*.html")
            for path in root.glob(pattern)
            if path.is_file() and path.name != "timestamp.txt"
        }
        for root in roots
    )
    assert {"grades_ps1.csv", "checks_ps1.csv", "overview_ps1.html", "graded_ps1.jsonl"} <= one.keys()
    assert one.keys() == other.keys()
    assert [name for name in one if one[name] != other[name]] == []
    assert len([name for name in one if name.startswith("feedback/")]) == 2


def assert_nobody_is_lost(report: dict[str, object], size: int) -> None:
    assert report["lost"]
    assert report["done"] == report["names"]
    assert len(report["names"]) == size
    assert report["wrong"] == []
    assert len(set(report["nodes"])) == 2


@pytest.mark.slow
def test_a_few_submissions_outlive_a_node(small) -> None:
    assert_nobody_is_lost(small[1][f"crowd_{FEW}"], FEW)


@pytest.mark.slow
@pytest.mark.bank
def test_a_crowd_and_features_outlive_a_node(ray, tmp_path) -> None:
    pytest.importorskip("nbgrader", reason="needs tlkit[exercises]")
    report = on_two_nodes(tmp_path, f"crowd_{MANY}", "lost_features")
    assert_nobody_is_lost(report[f"crowd_{MANY}"], MANY)
    lost = report["lost_features"]
    assert (lost["equal"], lost["lost"], lost["parts"]) == (True, True, [0, 1, 2, 3, 4, 5])
