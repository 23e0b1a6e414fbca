"""Many tasks over the cores of a machine, or the nodes of a cluster, by Ray Data. Needs ``pip install 'tlkit[scale]'``.

Ray starts the processes, sends them their tasks, takes the results back, and does the work of a process or node that
has died again on another one; see https://docs.ray.io. What a task is, :func:`tlkit.cache_features` and
``tlkit grade`` say. Ray's usage statistics are off, unless ``RAY_USAGE_STATS_ENABLED`` asks for them.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import pickle
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tlkit.words import must_install, reason

__all__ = ["check_engine", "need_extra", "over_nodes"]

ENGINES = ("local", "ray")
# What Ray books for a process, of a node's cores. It is less than one, so that the nodes which are left when one dies
# have room for the processes that were there: Ray waits for room without an end.
_BOOKED = 0.5


def need_extra() -> None:
    """Refuse in one line when Ray is not there.

    Raises:
        ValueError: Ray, or what Ray Data needs, is not installed.
    """
    if any(importlib.util.find_spec(name) is None for name in ("ray", "pyarrow")):
        raise ValueError(must_install("ray", "scale"))


def check_engine(engine: str, workers: int | None = None) -> None:
    """Refuse another engine than ``"local"`` and ``"ray"``, and one that is not installed.

    Raises:
        ValueError: It is none, Ray is not installed, or ``workers`` is below 1 or given for ``"local"``.
    """
    if engine not in ENGINES:
        raise ValueError(f"engine must be 'local' or 'ray', got {engine!r}.")
    if workers is not None and (engine == "local" or workers < 1):
        raise ValueError(f"workers must be 1 or more, and given for engine='ray' alone, got {workers} for {engine!r}.")
    if engine == "ray":
        need_extra()


class _Process:
    """What Ray Data keeps in a process of its own: made once, then called for each task."""

    def __init__(self, made_by: Any, tasks: list[Any]) -> None:
        import ray

        make, arguments = ray.get(made_by)
        self._call, self._tasks, self._get = make(*arguments), tasks, ray.get

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        results = []
        for number in batch["number"]:
            try:
                result = self._call(self._get(self._tasks[number]))
            except Exception as error:  # the task's own, which a second try would meet again: the caller raises it
                result = error
            results.append(pickle.dumps((int(number), result)))
        return {"result": results}


def over_nodes(
    make: Callable[..., Callable[[Any], Any]],
    arguments: tuple[Any, ...],
    tasks: Iterable[Any],
    *,
    workers: int | None = None,
    gpus: float = 0.0,
) -> Iterator[tuple[int, Any]]:
    """The number and the result of each task, in the order in which they are done.

    With ``RAY_ADDRESS``, or after ``ray.init``, the cluster's nodes work; else processes of this machine, and nothing
    listens beyond it. A task whose process or node dies is done again, so it must do no harm when it is done twice.

    Args:
        make: Called with ``arguments`` once in each process; gives a function from a task to its result. All of them
            can be pickled.
        tasks: They go into Ray's store one by one, which moves to the disk what its memory does not hold.
        workers: Processes, as many as there are cores, or GPUs, by default.
        gpus: GPUs for each process; a part of one lets several share it.

    Raises:
        ValueError: Ray is not installed, or the cluster has no GPU where some are asked for.
        Exception: What a task raised, the first that came.
    """
    need_extra()
    with _cluster(workers):
        import ray
        import ray.data

        logging.getLogger("ray.data").setLevel(logging.ERROR)  # the import has set it
        ray.data.DataContext.get_current().enable_progress_bars = False
        there = int(ray.cluster_resources().get("GPU", 0) / gpus if gpus else ray.cluster_resources()["CPU"])
        if there < 1:
            raise ValueError(f"the cluster must have {gpus:g} GPUs for a process, got none.")
        stored = [ray.put(task) for task in tasks]
        if not stored:
            return
        numbers = ray.data.from_items([{"number": i} for i in range(len(stored))], override_num_blocks=len(stored))
        done = numbers.map_batches(
            _Process,
            batch_size=1,
            fn_constructor_args=(ray.put((make, arguments)), stored),
            compute=ray.data.ActorPoolStrategy(size=min(workers or there, len(stored))),
            num_cpus=_BOOKED,
            num_gpus=gpus or None,
        )
        for row in done.iter_rows():
            number, result = pickle.loads(row["result"])
            if isinstance(result, Exception):
                raise result
            yield number, result


@contextlib.contextmanager
def _cluster(workers: int | None) -> Iterator[None]:
    """The cluster that is there, or processes of this machine for as long as they are needed."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # of Ray's own remarks, none of which a user can mend
    elsewhere = bool(os.environ.get("RAY_ADDRESS"))
    if not elsewhere:
        # Read when Ray is imported. In spite of its name, where it is off Ray listens on localhost alone.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    import ray

    if ray.is_initialized():
        yield
        return
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    ours = {"address": "local", "num_cpus": max(workers or 0, os.cpu_count() or 1), "include_dashboard": False}
    try:
        ray.init(**quiet, **({} if elsewhere else ours))
    except (
        Exception
    ) as error:  # Ray raises plain ones: that a process of its own did not start within 30 s, for example
        raise OSError(f"Ray must start, and could not: {reason(error)}") from None
    try:
        yield
    finally:
        ray.shutdown()
