"""The sandbox shows Python and hides the rest; where there is none, it is not pretended."""

import errno
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from helpers import ROOT, run_python

from tlkit.cli import _collections
from tlkit.files import data_folder
from tlkit.grading.landlock import give_up_rights, landlock_version
from tlkit.grading.sandbox import (
    bubblewrap,
    python_folders,
    sandboxed_process,
    system_folders,
    temporary_megabytes,
)
from tlkit.text.fetching import FILES

needs_bubblewrap = pytest.mark.skipif(not bubblewrap(), reason="needs bubblewrap, and the right to use it")


@pytest.fixture
def inside():
    """Runs Python code in a sandbox."""

    def run(code: str) -> str:
        command = [*bubblewrap(*map(data_folder, _collections())), sys.executable, "-c", code]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()

    return run


@needs_bubblewrap
def test_files_are_hidden_and_what_is_written_is_gone_with_it(inside, tmp_path) -> None:
    (tmp_path / "secret.txt").write_text("secret", encoding="utf-8")
    hidden = [tmp_path / "secret.txt", ROOT / "README.md", ROOT / "exercises"]
    assert all(path.exists() for path in hidden)
    code = f"import pathlib; print([p for p in {[str(path) for path in hidden]} if pathlib.Path(p).exists()])"
    assert inside(code) == "[]"
    inside("import pathlib; pathlib.Path('tlkit-test.txt').write_text('7')")
    assert not (Path(tempfile.gettempdir()) / "tlkit-test.txt").exists()
    package = ROOT / "tlkit" / "written_inside.py"
    attempt = "import pathlib\ntry: pathlib.Path(PATH).write_text('')\nexcept OSError as error: print(error.errno)"
    assert inside(attempt.replace("PATH", repr(str(package)))) == "30"  # a read-only file system
    assert not package.exists()


@needs_bubblewrap
def test_no_network_and_no_password(inside, monkeypatch) -> None:
    monkeypatch.setenv("API_TOKEN", "secret")
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "2")
    assert inside("import os; print(os.environ.get('API_TOKEN'), os.environ['TF_CPP_MIN_LOG_LEVEL'])") == "None 2"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        socket.create_connection(("127.0.0.1", port), 5).close()  # from out here it answers
        code = f"import socket; s = socket.socket(); print(s.connect_ex(('127.0.0.1', {port})) != 0)"
        assert inside(code) == "True"


@needs_bubblewrap
def test_temporary_files_are_limited() -> None:
    """They are memory, which nothing else here counts."""
    code = "try:\n    open('/tmp/x', 'wb').write(bytes(9 * 2**20))\nexcept OSError as error: print(error.errno)"
    command = [*bubblewrap(megabytes=8), sys.executable, "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.strip() == str(errno.ENOSPC)


@needs_bubblewrap
def test_tlkit_works_inside(inside) -> None:
    assert inside("import tlkit; print(len(tlkit.load_domain('optdigits').test))") == "800"


@needs_bubblewrap
def test_the_course_s_pictures_are_read_inside_and_its_notebooks_are_not(inside) -> None:
    shown = {path.name for path in (ROOT / "notebooks").iterdir() if path.name in ("photos", "drawings")}
    assert len(shown) == 2
    code = f"import pathlib; print(sorted(path.name for path in pathlib.Path({str(ROOT / 'notebooks')!r}).iterdir()))"
    assert inside(code) == str(sorted(shown))
    picture = min((ROOT / "notebooks" / "photos").glob("*/*.jpg"))
    assert inside(f"import pathlib; print(len(pathlib.Path({str(picture)!r}).read_bytes()))") == str(
        picture.stat().st_size
    )


@needs_bubblewrap
def test_fetched_files_are_read_inside_and_not_written(inside, tmp_path, monkeypatch) -> None:
    state = "from tlkit.text.fetching import data_folder, text_status; print(text_status())"
    monkeypatch.setenv("TLKIT_DATA_DIR", str(tmp_path / "data"))
    assert inside(state) == str(dict.fromkeys(FILES, "missing"))  # nothing was fetched: the sandbox starts all the same
    (tmp_path / "data" / "text").mkdir(parents=True)
    (tmp_path / "data" / "secret.txt").write_text("secret", encoding="utf-8")
    name = next(iter(FILES))
    (tmp_path / "data" / "text" / name).write_text("another file", encoding="utf-8")
    assert inside(state) == str(dict.fromkeys(FILES, "missing") | {name: "altered"})
    assert inside(f"{state[: state.index('print')]}import os; print(os.listdir(data_folder().parent))") == "['text']"
    attempt = f"{state}\ntry: (data_folder() / 'new').write_text('')\nexcept OSError as error: print(error.errno)"
    assert inside(attempt).splitlines()[-1] == "30"  # a read-only file system


@needs_bubblewrap
def test_photographs_are_loaded_inside(inside, fetched_clothes) -> None:
    code = "import tlkit, tlkit.clothes; print(tlkit.load_clothes(image_size=8).test)\n"
    attempt = "try: (tlkit.clothes.clothes_folder() / 'x').touch()\nexcept OSError as error: print(error.errno)"
    domain, number = inside(code + attempt).splitlines()
    assert domain == "Split(x=(372, 8, 8, 3) uint8, y=(372,), classes=10)"
    assert number == "30"  # a read-only file system


@needs_bubblewrap
def test_the_process_inside_is_found() -> None:
    command = [*bubblewrap(), sys.executable, "-c", "print(1, flush=True); input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = sandboxed_process(process.pid)
        assert found.pid != process.pid
        assert found.cmdline()[-1].startswith("print(1")
        process.kill()
        found.wait(timeout=20)  # with the sandbox goes what runs in it


def test_a_process_of_its_own_is_itself_and_one_that_is_gone_is_none() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert sandboxed_process(process.pid).pid == process.pid
    assert sandboxed_process(process.pid) is None


def test_without_bubblewrap_there_is_none(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert bubblewrap() == []
    refuses = tmp_path / "bwrap"
    refuses.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    refuses.chmod(0o755)
    assert bubblewrap() == []


@needs_bubblewrap
def test_temporary_files_are_counted() -> None:
    code = "open('/tmp/x', 'wb').write(bytes(20 * 2**20)); print(1, flush=True); input()"
    command = [*bubblewrap(), sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert temporary_megabytes(sandboxed_process(process.pid).pid) == pytest.approx(20, abs=0.1)
        process.kill()
    assert temporary_megabytes(os.getpid()) == 0


def test_where_python_was_started_is_not_shown(tmp_path, monkeypatch) -> None:
    """With `python -m tlkit` it is the first place that is imported from; the gradebook may lie there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert str(tmp_path) not in python_folders()
    assert sys.base_prefix in python_folders()


# Landlock, where there is no sandbox

needs_landlock = pytest.mark.skipif(not landlock_version(), reason="needs Linux with Landlock")


def confined(code: str, *, reads: list[Path], writes: list[Path]) -> str:
    begin = f"""
from pathlib import Path
from tlkit.grading.landlock import give_up_rights
assert give_up_rights(reads=map(Path, {[str(path) for path in reads]}), writes=map(Path, {[str(p) for p in writes]}))
"""
    return run_python("-c", begin + code).stdout.strip()


@needs_landlock
def test_a_process_gives_up_its_rights_to_files(tmp_path) -> None:
    for name in ("readable", "writable", "secret"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("x", encoding="utf-8")
    code = f"""
import subprocess, sys
look = '''
from pathlib import Path
for name in ("readable", "writable", "secret"):
    for do in (Path.read_text, lambda path: path.write_text("y"), lambda path: path.with_name("new").touch()):
        try:
            do(Path({str(tmp_path)!r}) / name / "file")
        except PermissionError:
            print(0, end="")
        else:
            print(1, end="")
'''
exec(look)
print(end=" ", flush=True)
subprocess.run([sys.executable, "-c", look])
"""
    reads = [*map(Path, system_folders()), tmp_path / "readable"]
    # What it starts has no more rights than it has.
    assert confined(code, reads=reads, writes=[tmp_path / "writable"]) == "100111000 100111000"


@needs_landlock
def test_a_process_gives_up_network_and_signals() -> None:
    code = """
import os, socket
version = landlock_version()
def refused(do):
    try:
        do()
    except PermissionError:
        return True
    return False
tried = [lambda: socket.create_server(("127.0.0.1", 0)), lambda: os.kill(os.getppid(), 0)]
print(refused(tried[0]) or version < 4, refused(tried[1]) or version < 6)
"""
    begin = "from tlkit.grading.landlock import landlock_version\n"
    assert confined(begin + code, reads=[*map(Path, system_folders())], writes=[]) == "True True"


def test_without_landlock_nothing_is_given_up(monkeypatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert landlock_version() == 0
    assert not give_up_rights(reads=[], writes=[])
