"""Make the Binder image's environment here, as binder/ says, and run each notebook in it within Binder's limits.

The steps are repo2docker's: a fresh environment, binder/requirements.txt, binder/postBuild; as an ordinary user (root
steps down to `nobody`), in a copy of the checkout, with a home folder of its own. Then each notebook runs, started
through binder/start, on two cores, without a network, within 2 GB (2 × 10⁹ bytes). What keeps each limit depends on the
machine, and the report says it. For Linux.

    python tools/check_binder.py                        # all of it: the installation and every notebook
    python tools/check_binder.py 00 03 --json out.json  # two notebooks
    python tools/check_binder.py --folder DIR           # keep what was made; --no-build runs it once more
    python tools/check_binder.py --write-requirements   # binder/requirements.txt from pyproject.toml
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer

ROOT = Path(__file__).resolve().parents[1]
MEMORY_MB = 2000.0  # 1 MB = 10⁶ bytes here; mybinder.org ends a container above 2 GB
SECONDS = 120.0
STOP_AFTER_SECONDS = 600.0
CORES = 2
LOOK_EVERY = 0.25  # seconds; each look costs some milliseconds
BUSY_CORES = 0.25  # above this the machine had other work, and the seconds say little

# TensorFlow without CUDA, under another name: 1.2 GB where the other takes 1.8.
CPU_ONLY = {"tensorflow": "tensorflow-cpu"}
EXTRAS = ("lab", "exercises", "text", "control")
BUILDS_THE_EXERCISES = ("jupytext",)

REQUIREMENTS_HEAD = """\
# Written by: python tools/check_binder.py --write-requirements
# From pyproject.toml: what tlkit needs, and the extras lab, exercises, text and control, as constraints.txt pins them.
-c ../constraints.txt
"""

# Reads a line first: by then the process has been moved into its cgroup.
WAIT_FOR_A_LINE = ["/bin/sh", "-c", 'read -r _ && exec "$@"', "sh"]
RUN_NOTEBOOK = """\
import pathlib, resource, sys
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError

path = pathlib.Path(sys.argv[1])
client = NotebookClient(nbformat.read(path, as_version=4), timeout=None, resources={"metadata": {"path": path.parent}})
try:
    client.execute()
except CellExecutionError as error:
    sys.exit(f"{error.ename}: {error.evalue}".splitlines()[0])
except DeadKernelError:
    sys.exit("the kernel was ended")
finally:
    # The kernel has been waited for: the system says what it held at most, also after the last look at it.
    print(f"\\n{resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss}")
"""


@dataclass(frozen=True)
class Result:
    """One notebook's run.

    Attributes:
        outcome: "ok", "slow" (too long, but the machine had other work), "too long", "too much memory" or "failed".
        peak_mb: The most memory that nbclient and the kernel held together at any look, or the most that one of its
            processes held in between, in 10⁶ bytes.
        other_cores: How many cores the machine's other work kept busy meanwhile.
    """

    notebook: str
    outcome: str
    seconds: float
    peak_mb: float
    other_cores: float
    message: str = ""


# The requirements


def requirements() -> str:
    """What binder/requirements.txt must hold."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *BUILDS_THE_EXERCISES]
    for extra in EXTRAS:
        wanted += project["optional-dependencies"][extra]
    pinned = dict(
        re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    )
    lines = set()
    for requirement in wanted:
        name = re.split(r"[^\w.-]", requirement)[0]
        if name not in pinned:
            raise ValueError(f"constraints.txt must name a version of {name}, which pyproject.toml asks for.")
        # A constraint on tensorflow says nothing about tensorflow-cpu.
        lines.add(f"{CPU_ONLY[name]}=={pinned[name]}" if name in CPU_ONLY else name)
    return REQUIREMENTS_HEAD + "\n".join(sorted(lines)) + "\n"


# The environment


@dataclass(frozen=True)
class Image:
    """What the build has made: a copy of the checkout, an environment, and a home for the user."""

    folder: Path
    user: str | None  # None: whoever runs this

    @property
    def repo(self) -> Path:
        return self.folder / "repo"

    @property
    def prefix(self) -> Path:
        return self.folder / "env"

    def python_version(self) -> str:
        command = [str(self.prefix / "bin" / "python"), "-c", "import platform; print(platform.python_version())"]
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()

    def variables(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """The variables that repo2docker sets, and of this machine's only what pip needs to reach its index."""
        reaches_the_index = re.compile(r"PIP_|SSL_CERT_|REQUESTS_CA|CURL_CA|(https?|no)_proxy$", re.IGNORECASE)
        kept = {name: value for name, value in os.environ.items() if reaches_the_index.match(name)}
        return kept | {
            "PATH": f"{self.prefix / 'bin'}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.folder / "home"),
            "LANG": "C.UTF-8",
            "NB_PYTHON_PREFIX": str(self.prefix),
            "KERNEL_PYTHON_PREFIX": str(self.prefix),
            "REPO_DIR": str(self.repo),
            **(more or {}),
        }


def as_user(user: str | None) -> dict[str, Any]:
    """The arguments with which ``subprocess`` steps down to the user."""
    if user is None:
        return {}
    entry = pwd.getpwnam(user)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def give(path: Path, user: str | None) -> None:
    """Let the user own the path and all in it."""
    if user is not None:
        entry = pwd.getpwnam(user)
        for each in [path, *path.rglob("*")]:
            os.chown(each, entry.pw_uid, entry.pw_gid, follow_symlinks=False)


def copy_checkout(to: Path) -> None:
    """Copy what git has or would add; without git, all but caches and environments."""
    listing = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    if (ROOT / ".git").exists() and shutil.which("git"):
        names = subprocess.run(listing, capture_output=True, check=True, text=True).stdout.split("\0")
        for name in filter(None, names):
            if (ROOT / name).is_file():
                (to / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, to / name)
    else:
        shutil.copytree(ROOT, to, ignore=shutil.ignore_patterns(".venv", ".git", ".*_cache", "__pycache__"))


def find_python(user: str | None) -> str:
    """A Python that the user may start: that of binder/runtime.txt, or the first other one that tlkit runs on.

    Raises:
        FileNotFoundError: There is none from 3.11 to 3.13.
    """
    wanted = (ROOT / "binder" / "runtime.txt").read_text(encoding="utf-8").strip().removeprefix("python-")
    folders = [Path(entry) for entry in os.environ.get("PATH", os.defpath).split(os.pathsep) if entry]
    candidates = [folder / f"python{wanted}" for folder in folders] + [Path(sys.executable).resolve()]
    candidates += [folder / name for folder in folders for name in ("python3", "python3.12", "python3.11")]
    for candidate in candidates:
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            code = "import sys, venv, ensurepip; print('{}.{}'.format(*sys.version_info))"
            command = [str(candidate), "-I", "-c", code]
            version = subprocess.run(
                command, capture_output=True, check=True, text=True, cwd="/", **as_user(user)
            ).stdout
            if version.strip() in ("3.11", "3.12", "3.13"):
                return str(candidate)
    raise FileNotFoundError(
        f"Python {wanted} must be where the user {user or 'that runs this'} can start it, found none."
    )


def build(image: Image, python: str) -> None:
    """Make the environment as repo2docker would; apt.txt, which needs root, is left to it.

    Raises:
        RuntimeError: A step failed; its output has been shown.
    """
    log = image.folder / "build.log"
    steps = [
        [python, "-m", "venv", str(image.prefix)],
        [str(image.prefix / "bin" / "pip"), "install", "--no-cache-dir", "-r", "binder/requirements.txt"],
        ["binder/postBuild"],
    ]
    for step in steps:
        typer.echo(f"$ {shlex.join(step)}", err=True)
        with log.open("ab") as out:
            done = subprocess.run(
                step,
                cwd=image.repo,
                env=image.variables(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                **as_user(image.user),
            )
        if done.returncode:
            typer.echo(log.read_text(encoding="utf-8", errors="replace")[-3000:], err=True)
            raise RuntimeError(f"{shlex.join(step)} failed, see {log}.")


# The limits


def without_network(user: str | None) -> list[str]:
    """The beginning of a command whose rest sees no network but its own loopback; empty where that cannot be had."""
    command = ["bwrap", "--dev-bind", "/", "/", "--unshare-net", "--die-with-parent"]
    with contextlib.suppress(OSError):
        if subprocess.run([*command, "true"], capture_output=True, cwd="/", **as_user(user)).returncode == 0:
            return command
    return []


def _own_group(controller: str) -> str:
    """The cgroup that this process is in, from the controller's root; "" is version 2's name."""
    for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return path.strip("/")
    return ""


@contextlib.contextmanager
def memory_group(limit_bytes: int, roots: Sequence[Path] | None = None) -> Iterator[Path | None]:
    """A cgroup with a limit on memory, removed afterwards; ``None`` where this user may make none.

    Args:
        limit_bytes: The limit. Swap adds nothing to it.
        roots: Where to make it; by default inside this process's own group, or at the top.
    """
    if roots is None:
        v1, v2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
        roots = [v1 / _own_group("memory"), v1, v2 / _own_group(""), v2]
    for root in roots:
        group = root / f"tlkit-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            if _set_limit(group, limit_bytes):
                yield group
                return
        finally:
            _remove_group(group)
    yield None


def _set_limit(group: Path, limit_bytes: int) -> bool:
    limits = [("memory.max", str(limit_bytes), "memory.swap.max", "0")]  # version 2
    limits += [("memory.limit_in_bytes", str(limit_bytes), "memory.memsw.limit_in_bytes", str(limit_bytes))]
    for name, value, swap, swap_value in limits:
        if (group / name).exists():
            (group / name).write_text(value, encoding="ascii")
            with contextlib.suppress(OSError):  # a kernel that does not count swap
                (group / swap).write_text(swap_value, encoding="ascii")
            return True
    return False


def _remove_group(group: Path) -> None:
    for _ in range(50):  # it is busy until its last process is gone
        try:
            group.rmdir()
        except OSError:
            time.sleep(0.1)
        else:
            return


def _ended_for_memory(group: Path | None) -> bool:
    """Whether the kernel has ended a process of the group because of its limit."""
    for name in ("memory.events", "memory.oom_control"):
        if group and (group / name).exists():
            found = re.search(r"^oom_kill (\d+)", (group / name).read_text(encoding="ascii"), re.MULTILINE)
            return bool(found and int(found[1]))
    return False


def _family(pid: int) -> list[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    return []


def memory_of(processes: Sequence[psutil.Process]) -> int:
    """Bytes that the processes hold in memory.

    That is the sum of their proportional set sizes (a page that two of them share counts once), or the highest resident
    size that any one of them has had, if that is more: it shows a peak between two looks.
    """
    total, highest = 0, 0
    for process in processes:
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
            resident, high = (re.search(rf"^{name}:\s+(\d+)", status, re.MULTILINE) for name in ("VmRSS", "VmHWM"))
            if resident is None or high is None:
                continue  # it has just ended
            highest = max(highest, 1024 * int(high[1]))
            own = 1024 * int(resident[1])
            with contextlib.suppress(OSError):  # some kernels and users do not show it; the resident size is more
                rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="utf-8")
                own = 1024 * int(re.findall(r"^Pss:\s+(\d+)", rollup, re.MULTILINE)[0])
            total += own
    return max(total, highest)


def _busy_seconds() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)


def _childrens_seconds() -> float:
    times = os.times()
    return times.children_user + times.children_system


def run_limited(
    notebook: Path,
    python: Path,
    *,
    memory_mb: float = MEMORY_MB,
    seconds: float = SECONDS,
    before: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    user: str | None = None,
    stop_after: float = STOP_AFTER_SECONDS,
) -> Result:
    """Run one notebook with nbclient, and measure the time and the memory that it and its kernel take.

    Args:
        notebook: The file, which is not changed.
        python: The interpreter of the environment that has nbclient and the kernel.
        memory_mb: The limit, kept by a cgroup where there is one, and by ending what is found above it anyway.
        seconds: From here on the run counts as too long.
        before: The beginning of the command line, such as a wrapper that takes away the network.
        env: The environment variables; by default this process's own.
        user: Whose rights it runs with; ``None`` is the one who runs this.
        stop_after: Seconds after which the run is ended.
    """
    command = [*WAIT_FOR_A_LINE, *before, str(python), "-c", RUN_NOTEBOOK, str(notebook.resolve())]
    limit = int(memory_mb * 1e6)
    peak, stopped = 0, ""
    with memory_group(limit) as group, tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        start, busy, ours = time.monotonic(), _busy_seconds(), _childrens_seconds()
        process = subprocess.Popen(
            command,
            cwd=notebook.parent,
            env=env,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=errors,
            **as_user(user),
        )
        assert process.stdin is not None
        try:
            if group is not None:
                (group / "cgroup.procs").write_text(str(process.pid), encoding="ascii")
            with contextlib.suppress(BrokenPipeError), process.stdin as line:
                line.write(b"\n")
            while process.poll() is None:
                family = _family(process.pid)
                peak = max(peak, memory_of(family))
                if peak > limit:
                    stopped = "too much memory"
                elif time.monotonic() - start > stop_after:
                    stopped = "too long"
                if stopped:
                    break
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(LOOK_EVERY)
        finally:
            for each in reversed(_family(process.pid)):
                with contextlib.suppress(psutil.Error):
                    each.kill()
            process.wait()
        took = time.monotonic() - start
        others = max(0.0, (_busy_seconds() - busy) - (_childrens_seconds() - ours)) / took
        output.seek(0)
        *_, last = output.read().splitlines() or [b""]
        peak = max(peak, 1024 * int(last) if last.isdigit() else 0)
        if peak > limit or _ended_for_memory(group):
            stopped = "too much memory"
        errors.seek(0)
        lines = errors.read().decode(errors="replace").strip().splitlines()
    outcome = verdict(stopped, process.returncode, took, seconds, others)
    message = ""
    if outcome == "failed":
        message = lines[-1] if lines else f"exit code {process.returncode}"
    return Result(notebook.stem, outcome, round(took, 1), round(peak / 1e6), round(others, 2), message)


def verdict(stopped: str, code: int, took: float, seconds: float, others: float) -> str:
    """The outcome of a run that was stopped for a reason, or ended with an exit code after so many seconds."""
    if stopped:
        return stopped
    if code:
        return "failed"
    if took > seconds:
        return "slow" if others > BUSY_CORES else "too long"
    return "ok"


# The report


def table(results: Sequence[Result]) -> str:
    """The results as a table in Markdown."""
    rows = ["| notebook | seconds | peak, MB | other work, cores | outcome |", "|---|---|---|---|---|"]
    for one in results:
        outcome = f"{one.outcome}: {one.message}" if one.message else one.outcome
        rows.append(f"| {one.notebook} | {one.seconds:.0f} | {one.peak_mb:,.0f} | {one.other_cores:.1f} | {outcome} |")
    return "\n".join(rows)


def run_all(
    image: Image, prefixes: Sequence[str], *, memory_mb: float, seconds: float
) -> tuple[list[Result], list[str]]:
    """Run the notebooks of an image one after the other; returns the results, and what kept the limits."""
    cores = sorted(os.sched_getaffinity(0))[:CORES]
    os.sched_setaffinity(0, cores)  # what is started from here on inherits it
    no_network = without_network(image.user)
    with memory_group(int(memory_mb * 1e6)) as group:
        if group is None:
            kept_by = "looking four times a second and ending what is above it: no cgroup can be made here"
        else:
            kept_by = f"a cgroup (version {2 if (group / 'memory.max').exists() else 1})"
    notes = [
        f"memory: {memory_mb:,.0f} MB, kept by {kept_by}",
        f"cores: {len(cores)}, by affinity" + ("" if len(cores) == CORES else f"; {CORES} were wanted"),
        "network: none, by bubblewrap"
        if no_network
        else "network: as on this machine; bubblewrap could not take it away",
        f"user: {image.user or 'the one who ran this'}",
        f"Python: {image.python_version()}",
    ]
    results = []
    for notebook in sorted((image.repo / "notebooks").glob("*.ipynb")):
        if prefixes and not notebook.name.startswith(tuple(prefixes)):
            continue
        # A store of its own: what an earlier notebook has computed must not make this one look fast.
        with tempfile.TemporaryDirectory(dir=image.folder) as store:
            give(Path(store), image.user)
            result = run_limited(
                notebook,
                image.prefix / "bin" / "python",
                memory_mb=memory_mb,
                seconds=seconds,
                before=[*no_network, str(image.repo / "binder" / "start")],
                env=image.variables({"TLKIT_CACHE_DIR": store}),
                user=image.user,
            )
        results.append(result)
        typer.echo(f"{result.notebook}: {result.outcome}, {result.seconds:.0f} s, {result.peak_mb:,.0f} MB", err=True)
    return results, notes


def main(
    prefixes: Annotated[list[str] | None, typer.Argument(help="Beginnings of names, such as 03; all without.")] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Where to make it, kept afterwards; a temporary one without.")
    ] = None,
    build_it: Annotated[bool, typer.Option("--build/--no-build", help="Whether to make the environment first.")] = True,
    run_it: Annotated[bool, typer.Option("--run/--no-run", help="Whether to run the notebooks.")] = True,
    memory_mb: Annotated[float, typer.Option(help="The limit on memory, in 10⁶ bytes.")] = MEMORY_MB,
    seconds: Annotated[float, typer.Option(help="The limit on time.")] = SECONDS,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write the results there.")] = None,
    write_requirements: Annotated[bool, typer.Option(help="Only write binder/requirements.txt.")] = False,
) -> None:
    """Replay Binder's build, and run the notebooks within Binder's limits; exit code 1 when one does not hold."""
    if write_requirements:
        (ROOT / "binder" / "requirements.txt").write_text(requirements(), encoding="utf-8", newline="\n")
        return
    if sys.platform != "linux":
        raise SystemExit(f"check_binder measures through Linux's /proc, got {sys.platform}.")
    if folder is None and not build_it:
        raise SystemExit("--no-build needs the --folder that an earlier run has kept.")
    user = "nobody" if os.geteuid() == 0 else None
    with contextlib.ExitStack() as stack:
        place = folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tlkit-binder-")))
        image = Image(place.resolve(), user)
        image.folder.mkdir(parents=True, exist_ok=True)
        if build_it and any(image.folder.iterdir()):
            raise SystemExit(f"--folder must be new or empty, or come with --no-build, got {folder}.")
        image.folder.chmod(0o755)
        if build_it:
            (image.folder / "home").mkdir(exist_ok=True)
            copy_checkout(image.repo)
            give(image.folder, user)
            started = time.monotonic()
            build(image, find_python(user))
            typer.echo(f"built in {time.monotonic() - started:.0f} s", err=True)
        if not run_it:
            return
        results, notes = run_all(image, prefixes or [], memory_mb=memory_mb, seconds=seconds)
    typer.echo(table(results))
    typer.echo("\n" + "\n".join(notes))
    if json_file is not None:
        content = {"limits": notes, "results": [asdict(one) for one in results]}
        json_file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    if not results or any(one.outcome not in ("ok", "slow") for one in results):
        raise SystemExit(1)


if __name__ == "__main__":
    typer.run(main)
