"""On a busy machine the reference gets every point, and ps5's scores are reckoned where they are resampled."""

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import runner

from tlkit.grading.examiner import cell_of, examine, solutions_of, started_student
from tlkit.grading.peer import Peer

BUSY = 8  # programs beside it: what a machine of two cores had when each reference of ps5 lost two thirds
ANSWERS = {"reference": {}, "libraries": runner.read_answer(runner.BANKS / "ps5" / "right" / "libraries.py").cells}


@pytest.fixture
def busy():
    programs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(BUSY)]
    yield
    for program in programs:
        program.kill()
        program.wait()


@pytest.mark.slow
@pytest.mark.bank
@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_on_a_busy_machine_a_right_answer_of_ps5_gets_every_point(answer, busy):
    graded = runner.grade(runner.instructor_notebook("ps5"), answer)
    assert {name: check.reason for name, check in graded.items() if check.reason} == {}
    assert sum(check.points for check in graded.values()) == 100


@pytest.mark.slow
def test_the_pipe_is_crossed_for_the_scores_of_the_examples_alone(monkeypatch, tmp_path):
    """These show their function, and students call it themselves; the hidden tests make 20,000 resamples."""
    served = []
    serve = Peer.serve
    monkeypatch.setattr(Peer, "serve", lambda self, message: served.append(message) or serve(self, message))
    notebook = runner.instructor_notebook("ps5")
    kept = ("setup", "bootstrap_interval", "bootstrap_of_accuracy", "bootstrap_of_any_score")
    cells = [cell_of(cell) for cell in notebook.cells if runner.name_of(cell) in kept]
    with started_student(tmp_path) as student:
        outcomes = examine(cells, solutions_of(notebook), student, cell_seconds=60)
    assert [(outcome.error, outcome.words) for outcome in outcomes] == [("", "")] * len(kept)
    assert len(served) == 2 * 200
