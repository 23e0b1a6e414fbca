"""What a Binder image is made from, and that check_binder measures what it says it measures."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
from helpers import ROOT
from nbformat.v4 import new_code_cell, new_notebook

if sys.platform != "linux":
    pytest.skip("check_binder reads Linux's /proc", allow_module_level=True)

import check_binder

BINDER = ROOT / "binder"
MB = 10**6


def test_requirements_are_those_of_pyproject():
    found = (BINDER / "requirements.txt").read_text(encoding="utf-8")
    assert found == check_binder.requirements(), "run: python tools/check_binder.py --write-requirements"


def test_requirements_pin_tensorflow_cpu_to_the_version_of_tensorflow():
    found = (BINDER / "requirements.txt").read_text(encoding="utf-8")
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    versions = dict(re.findall(r"^(tensorflow[\w-]*)==(\S+)", constraints + found, re.MULTILINE))
    assert versions["tensorflow-cpu"] == versions["tensorflow"]
    assert "tensorflow" not in found.splitlines()


def test_python_is_one_that_tlkit_runs_on():
    (version,) = re.fullmatch(r"python-(3\.\d+)\n", (BINDER / "runtime.txt").read_text(encoding="utf-8")).groups()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert f"Programming Language :: Python :: {version}" in project["classifiers"]


@pytest.mark.parametrize("name", ["postBuild", "start"])
def test_scripts_can_be_executed_and_end_where_they_should(name):
    script = BINDER / name
    assert os.access(script, os.X_OK), "repo2docker runs it as a program"
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    assert script.read_text(encoding="utf-8").startswith("#!/bin/bash\n")


def test_start_hands_over_to_the_command_with_two_threads():
    command = [
        BINDER / "start",
        sys.executable,
        "-c",
        "import os, sys; print(os.environ['OMP_NUM_THREADS'], sys.argv[1:])",
    ]
    run = subprocess.run([*command, "a b", ""], capture_output=True, text=True, check=True)
    assert run.stdout == "2 ['a b', '']\n"


# Measuring


@pytest.fixture
def run(tmp_path):
    """Run cells as a notebook in this environment, within limits."""

    def run(*cells: str, **limits) -> check_binder.Result:
        kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
        notebook = new_notebook(cells=[new_code_cell(cell) for cell in cells], metadata={"kernelspec": kernel})
        path = tmp_path / "toy.ipynb"
        nbformat.write(notebook, path)
        # jsonschema finds nothing there, and needs no second for grammars (tlkit.grading.notebook.skip_grammars).
        (tmp_path / "empty").mkdir(exist_ok=True)
        (tmp_path / "empty" / "rfc3987_syntax.py").touch()
        env = {**os.environ, "PYTHONPATH": str(tmp_path / "empty")}
        return check_binder.run_limited(path, Path(sys.executable), env=env, **limits)

    return run


@pytest.mark.slow
@pytest.mark.bank
def test_the_peak_is_seen_after_the_memory_was_given_back(run, tmp_path):
    # The kernel writes down its own high-water mark, as the kernel of the system counts it.
    array = 300 * MB
    result = run(
        f"import numpy as np; numbers = np.ones({array}, np.uint8); del numbers",
        "import pathlib, resource\n"
        "peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "pathlib.Path('peak').write_text(str(peak))",
    )
    kernels_own = int((tmp_path / "peak").read_text()) / MB
    assert result.outcome == "ok"
    assert kernels_own > array / MB
    # Beside the kernel there is nbclient; half a megabyte is rounding.
    assert kernels_own - 0.5 <= result.peak_mb < kernels_own + 200


def test_a_notebook_that_wants_too_much_memory_is_caught(run):
    result = run("import numpy as np; numbers = np.ones(10**9, np.uint8)", "import time; time.sleep(60)", memory_mb=400)
    assert result.outcome == "too much memory"
    assert result.seconds < 60


@pytest.mark.slow
@pytest.mark.bank
def test_without_a_cgroup_looking_is_enough(run, monkeypatch):
    monkeypatch.setattr(check_binder, "_set_limit", lambda *args: False)
    result = run("import numpy as np; numbers = np.ones(10**9, np.uint8)", "import time; time.sleep(60)", memory_mb=400)
    assert result.outcome == "too much memory"
    assert result.peak_mb >= 400  # rounded to whole megabytes


def test_a_failing_notebook_says_why(run):
    result = run("1 / 0")
    assert (result.outcome, result.message) == ("failed", "ZeroDivisionError: division by zero")


@pytest.mark.slow
@pytest.mark.bank
def test_a_notebook_without_an_end_is_ended(run):
    result = run("while True: pass", seconds=1, stop_after=4)
    assert result.outcome == "too long"
    assert result.seconds < 60


def test_a_long_run_is_excused_only_while_the_machine_has_other_work():
    def verdict(**values) -> str:
        return check_binder.verdict(**{"stopped": "", "code": 0, "took": 121, "seconds": 120, "others": 0.0} | values)

    assert verdict(took=119) == "ok"
    assert verdict() == "too long"
    assert verdict(others=1.0) == "slow"
    assert verdict(stopped="too long", others=1.0) == "too long"
    assert verdict(code=1) == "failed"
    assert verdict(code=1, stopped="too much memory") == "too much memory"


def test_pages_that_two_processes_share_count_once():
    import psutil

    code = f"""
import os, time
import numpy as np

numbers = np.ones({200 * MB}, np.uint8)
os.fork()
os.write(1, b"ready\\n")  # in one piece, whichever of the two is first
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        family = []
        try:
            assert [parent.stdout.readline() for _ in range(2)] == ["ready\n", "ready\n"]
            family = check_binder._family(parent.pid)
            resident = sum(process.memory_info().rss for process in family)
            assert len(family) == 2
            assert resident > 400 * MB
            assert 200 * MB < check_binder.memory_of(family) < 300 * MB
        finally:
            for process in [*family[1:], psutil.Process(parent.pid)]:
                process.kill()


@pytest.mark.parametrize("limit", ["memory.max", "memory.limit_in_bytes"])
def test_a_group_gets_its_limit_in_either_version_of_cgroups(tmp_path, limit):
    (tmp_path / limit).write_text("max")
    assert check_binder._set_limit(tmp_path, 2_000 * MB)
    assert (tmp_path / limit).read_text() == "2000000000"


def test_a_folder_that_is_no_cgroup_is_left_as_it_was(tmp_path):
    with check_binder.memory_group(MB, roots=[tmp_path, tmp_path / "missing"]) as group:
        assert group is None
    assert list(tmp_path.iterdir()) == []


def test_the_environment_holds_nothing_of_the_users_but_the_way_to_the_index(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "https://example.org/simple")
    monkeypatch.setenv("SOME_TOKEN", "secret")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    variables = check_binder.Image(tmp_path, None).variables({"TLKIT_CACHE_DIR": "x"})
    assert variables["PIP_INDEX_URL"] == "https://example.org/simple"
    assert variables["TLKIT_CACHE_DIR"] == "x"
    assert not {"SOME_TOKEN", "PYTHONPATH"} & set(variables)
    assert variables["HOME"] == str(tmp_path / "home")


def test_the_table_names_what_went_wrong():
    table = check_binder.table(
        [
            check_binder.Result("00_start_here", "ok", 12.3, 1234, 0.0),
            check_binder.Result("01_gradient", "failed", 3.0, 400, 1.2, "ValueError: no"),
        ]
    )
    assert "| 00_start_here | 12 | 1,234 | 0.0 | ok |" in table
    assert "| failed: ValueError: no |" in table


@pytest.mark.slow
@pytest.mark.bank
def test_every_notebook_stays_within_binders_limits(tmp_path):
    """The whole replay: an installation and all notebooks, about twenty minutes, with a network to install from."""
    report = tmp_path / "report.json"
    command = [sys.executable, ROOT / "tools" / "check_binder.py", "--json", report]
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
