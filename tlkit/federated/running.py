"""A federation on this machine: Flower's SuperLink and SuperNodes as processes, or its simulation, for one run."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tlkit.words import must_install, one_line

__all__ = ["QUIET", "NodeProcess", "federate", "need_flower"]

# Flower counts its uses and asks for a newer version, Ray counts its uses: none of it unless somebody wants it.
QUIET = {"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1", "RAY_USAGE_STATS_ENABLED": "0"}

NodeProcess = subprocess.Popen[bytes]

# Flower looks for the names in a module of the app without running it.
APPS = "from tlkit.federated import flower\n\nclient = flower.client\nserver = flower.server\n"

_APP = """\
[project]
name = "tlkit-federated"
version = "1.0.0"
description = "The apps of tlkit.federated.flower"
license = {{ text = "Apache-2.0" }}
dependencies = []

[tool.flwr.app]
publisher = "tlkit"

[tool.flwr.app.components]
serverapp = "{module}:server"
clientapp = "{module}:client"

[tool.flwr.app.config]
{config}
"""


def need_flower() -> None:
    """Raise ``ValueError`` where Flower is not installed."""
    if importlib.util.find_spec("flwr") is None:
        raise ValueError(must_install("flwr", "federated"))


def federate(
    config: Mapping[str, str | int | float | bool],
    out: Path,
    *,
    simulation: bool = False,
    apps: str = APPS,
    nodes: list[NodeProcess] | None = None,
    start_seconds: float = 120.0,
) -> Iterator[dict[str, Any]]:
    """Run Flower's processes on this machine, give the record row by row, and end all of them.

    Args:
        config: Keys of :data:`tlkit.federated.flower.RUN` and of the plan; ``clients`` is how many SuperNodes start.
        out: An existing folder, which takes ``record.jsonl``, ``weights.npz`` and ``flower.log``.
        simulation: One SuperLink that simulates the clients (Ray) in place of a SuperNode each.
        apps: Code of a module that has ``client`` and ``server``.
        nodes: A list that takes the SuperNodes' processes.
        start_seconds: How long the SuperLink may take to listen.

    Yields:
        Rows as they are written: scores (``round``, ``client``, ``accuracy``, ``down`` and ``up`` in bytes), and what
        was ``refused`` or ``failed``.

    Raises:
        ValueError: Flower is not installed.
        RuntimeError: The run ended without its last row.
    """
    need_flower()
    clients = int(config["clients"])
    with _ended_by_a_signal(), tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as running:
        home, app = Path(temporary, "home"), Path(temporary, "app")
        home.mkdir()
        _write_app(app, {**config, "out": str(out.resolve())}, apps)
        ports = _free_ports(1 + clients)
        link = f"127.0.0.1:{ports[0]}"
        (home / "config.toml").write_text(
            f'[superlink]\ndefault = "local"\n\n[superlink.local]\naddress = "{link}"\ninsecure = true\n'
        )
        log = running.enter_context((out / "flower.log").open("ab"))
        started: list[NodeProcess] = []
        running.callback(_end, started)
        environment = {**os.environ, **QUIET, "FLWR_HOME": str(home), "PATH": _path()}

        def start(*command: str) -> NodeProcess:
            process = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment, start_new_session=True
            )
            started.append(process)
            return process

        listen = ("--insecure", "--host", "127.0.0.1", "--port")
        only = ("--disable-runtime-dependency-installation", *(["--simulation"] if simulation else []))
        start("flower-superlink", *listen, str(ports[0]), *only)
        _wait_for(ports[0], start_seconds)
        for number in range(0 if simulation else clients):
            settings = f"partition-id={number} num-partitions={clients}"
            node = start(
                *("flower-supernode", *listen, str(ports[1 + number])), "--superlink", link, "--node-config", settings
            )
            if nodes is not None:
                nodes.append(node)
        more = ("--federation-config", f"num-supernodes={clients} client-resources-num-cpus=1") if simulation else ()
        yield from _follow(start("flwr", "run", str(app), "local", "--stream", *more), out)


@contextlib.contextmanager
def _ended_by_a_signal() -> Iterator[None]:
    """Within it SIGTERM leaves by an exception, so that no process of Flower's outlives this one."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _write_app(app: Path, config: Mapping[str, Any], code: str) -> None:
    app.mkdir()
    lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in config.items())
    (app / "pyproject.toml").write_text(_APP.format(module="tlkit_apps", config=lines), encoding="utf-8")
    (app / "tlkit_apps.py").write_text(code, encoding="utf-8")


def _path() -> str:
    """Flower's programs call each other by name: those beside this Python come first."""
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def _wait_for(port: int, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.2)
    raise RuntimeError(f"the SuperLink must listen within {seconds:g} s, got no answer: flower.log says more.")


def _follow(run: NodeProcess, out: Path) -> Iterator[dict[str, Any]]:
    """The rows of the record, until the run's log has ended."""
    record, read, done = out / "record.jsonl", 0, False
    while not done:
        ended = run.poll() is not None
        lines = record.read_text(encoding="utf-8").splitlines(keepends=True) if record.exists() else []
        whole = [line for line in lines if line.endswith("\n")]
        for row in map(json.loads, whole[read:]):
            done = done or "done" in row
            if "done" not in row:
                yield row
        read = len(whole)
        if ended and not done:
            log = (out / "flower.log").read_text(encoding="utf-8", errors="replace").splitlines()
            errors = [line for line in log if "ERROR" in line or "Error" in line]
            raise RuntimeError(f"the run must end by itself, got: {one_line((errors or log or ['nothing'])[-1], 200)}")
        if not done:
            time.sleep(0.3)
    with contextlib.suppress(subprocess.TimeoutExpired):  # the server's app ends by itself after its last row
        run.wait(60)


def _end(processes: Sequence[NodeProcess]) -> None:
    """Ask all processes to end, the last one first, and end what is left of their groups."""
    for sign, seconds in ((signal.SIGTERM, 20.0), (signal.SIGKILL, 5.0)):
        for process in reversed(processes):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, sign)
        for process in reversed(processes):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(seconds)
