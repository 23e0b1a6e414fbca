"""Jobs for tests/test_scale.py on a cluster of two local nodes, in a process of its own, which writes report.json.

``python tests/two_nodes.py FOLDER JOB...``: real, features, lost_FEATURES, crowd_N; each of the last two loses a node.
"""

import json
import shutil
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import ray
import runner
from helpers import random_split, toy_backbone
from ray.cluster_utils import Cluster

from tlkit import features
from tlkit.features import cache_features, split_at
from tlkit.grading import submissions
from tlkit.grading.course import open_gradebook, prepare_course
from tlkit.grading.examiner import student_sandbox
from tlkit.grading.submissions import Graded, find_submissions, grade_submissions

LIMITS = {"seconds": 300, "megabytes": 2000}


def course(folder: Path) -> Path:
    return folder if folder.is_dir() else runner.course_folder(folder, {"ps1": runner.instructor_notebook("ps1")})


def hand_in(folder: Path, names: list[str], notebook: Path) -> Path:
    for name in names:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(notebook, folder / f"{name}.ipynb")
    return folder


def real(folder: Path) -> dict[str, object]:
    """Three submissions, one without a notebook, by one process here and by two on the nodes."""
    made = course(folder / "course")
    hand_in(folder / "class", ["right"], made / "source" / "ps1" / "ps1_gradients.ipynb")
    hand_in(folder / "class", ["unsolved"], made / "release" / "ps1" / "ps1_gradients.ipynb")
    (folder / "class" / "nothing").mkdir()
    for engine, workers in (("local", 1), ("ray", 2)):
        prepared = prepare_course(made, "ps1", folder / engine)
        found = find_submissions(folder / "class", "ps1", prepared.notebook)
        sandbox = student_sandbox(LIMITS["megabytes"])
        options = {"feedback": True, "sandbox": sandbox, "engine": engine}
        grade_submissions(found, prepared, workers=workers, **LIMITS, **options)
    return {}


def some_features(folder: Path, seen: Callable[[int], None] = lambda number: None) -> dict[str, object]:
    """Features of random pictures, by two processes on the nodes and by one here; ``seen`` is told of each part."""
    data, (trunk, _) = random_split(5 * 512 + 100), split_at(toy_backbone(seed=7), 1)
    over_nodes, parts = features.over_nodes, []

    def noted(*arguments, **options):
        for number, rows in over_nodes(*arguments, **options):
            parts.append(number)
            seen(len(parts))
            yield number, rows

    features.over_nodes = noted
    found = cache_features(trunk, data, cache_dir=folder / "store", engine="ray", workers=2)
    features.over_nodes = over_nodes
    alone = cache_features(trunk, data, cache_dir="memory")
    return {"equal": found.x.tobytes() == alone.x.tobytes(), "parts": sorted(parts)}


def points_of(student: str, check: str, most: float) -> float:
    return most * (zlib.crc32(f"{student} {check}".encode()) % 2)


def pretend(worker, sent, course, folder) -> Graded:
    """In place of one submission's work: points by its name, and the node in place of the sandbox."""
    time.sleep(0.05)
    with open_gradebook(course) as gradebook:
        gradebook.update_or_create_student(sent.student)
        for notebook in gradebook.update_or_create_submission(course.assignment, sent.student).notebooks:
            for grade in notebook.grades:
                grade.auto_score = points_of(sent.student, grade.name, grade.max_score)
        gradebook.db.commit()
    return Graded(sent.student, sent.fingerprint, "", held_by=ray.get_runtime_context().get_node_id())


def crowd(folder: Path, size: int, seen: Callable[[int], None]) -> dict[str, object]:
    """A class of which a node is lost on the way; one submission's work is pretended."""
    made = course(folder / "course")
    names = [f"s{number:03d}" for number in range(size)]
    hand_in(folder / f"crowd_{size}", names, made / "release" / "ps1" / "ps1_gradients.ipynb")
    prepared = prepare_course(made, "ps1", folder / f"out_{size}")
    found = find_submissions(folder / f"crowd_{size}", "ps1", prepared.notebook)
    submissions._grade_sent = pretend
    done: list[str] = []

    def report(graded: Graded, before: bool) -> None:
        done.append(graded.student)
        seen(len(done))

    rows = grade_submissions(found, prepared, workers=2, **LIMITS, engine="ray", report=report)
    with open_gradebook(prepared) as gradebook:
        wrong = [
            (name, grade.name)
            for name in names
            for notebook in gradebook.find_submission("ps1", name).notebooks
            for grade in notebook.grades
            if grade.score != points_of(name, grade.name, grade.max_score)
        ]
    return {"done": sorted(done), "names": names, "wrong": wrong, "nodes": [row.held_by for row in rows]}


def main(folder: Path, jobs: list[str]) -> None:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    second = cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    report: dict[str, object] = {}

    def losing(after: int) -> Callable[[int], None]:
        nonlocal second
        second = second or cluster.add_node(num_cpus=1)

        def lose(done: int) -> None:
            nonlocal second
            if done == after and second is not None:
                cluster.remove_node(second, allow_graceful=False)
                second = None

        return lose

    for job in jobs:
        start = time.perf_counter()
        if job == "real":
            found = real(folder)
        elif job == "features":
            found = some_features(folder)
        elif job == "lost_features":
            found = some_features(folder / "lost", losing(2))
        else:
            size = int(job.removeprefix("crowd_"))
            found = crowd(folder, size, losing(size // 4))
        report[job] = {**found, "seconds": time.perf_counter() - start, "lost": second is None}
    (folder / "report.json").write_text(json.dumps(report), encoding="utf-8")  # Ray writes to standard output, too
    ray.shutdown()
    cluster.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
