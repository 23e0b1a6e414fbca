"""What counts of the time that code takes: the processor's, and sleep; not what others on a busy machine have had."""

import subprocess
import sys
import threading
import time

import psutil
import pytest
from helpers import raises_one_line

from tlkit.grading import limits, meter
from tlkit.grading.limits import limited
from tlkit.grading.meter import Meter, own_seconds, seconds_of
from tlkit.grading.sandbox import process_tree

BURNS = "x = 0\nwhile True: x += 1"


class Machine:
    """A clock and a processor that move when they are told to."""

    def __init__(self) -> None:
        self.clock = self.processor = 0.0

    def goes_on(self, clock: float, processor: float) -> None:
        self.clock += clock
        self.processor += processor


@pytest.fixture
def machine(monkeypatch) -> Machine:
    made = Machine()
    monkeypatch.setattr(meter.time, "monotonic", lambda: made.clock)
    return made


def begun(machine: Machine, seconds: float) -> Meter:
    made = Meter(seconds)
    made.begin(lambda: machine.processor)
    return made


@pytest.mark.parametrize(
    ("clock", "processor", "counted"),
    [
        (2, 2, 2),  # alone
        (2, 0.5, 0.5),  # three others beside it
        (2, 32, 2),  # sixteen threads on as many cores
        (2, 0, 2),  # asleep
        (0.5, 0, 0),  # too short to say so
    ],
)
def test_what_counts(clock, processor, counted, machine) -> None:
    one = begun(machine, 10)
    for _ in range(3):
        machine.goes_on(clock, processor)
        one.left()
    one.end()
    expected = counted * 3 if clock >= 1 else 1.0  # of three short looks two together are long enough
    assert 10 - one.left() == pytest.approx(expected)


def test_whoever_waits_for_the_examiner_does_not_sleep(machine) -> None:
    one = begun(machine, 10)
    with one.waiting():
        machine.goes_on(5, 0)
        assert one.left() == 10
    machine.goes_on(5, 0)
    assert one.left() == 5


def test_a_generous_clock_ends_what_hardly_runs(machine) -> None:
    one = begun(machine, 10)
    steps = 0
    while one.left() > 0:
        machine.goes_on(1, 0.03)
        steps += 1
    assert steps == 10 * meter._CLOCK_TIMES + meter._CLOCK_MORE


def test_several_stretches_share_a_limit_and_the_time_between_is_free(machine) -> None:
    one = Meter(10)
    for _ in range(3):
        one.begin(lambda: machine.processor)
        machine.goes_on(2, 2)
        one.end()
        machine.goes_on(3, 3)
    one.begin(lambda: machine.processor)
    assert one.left() == 4


def test_a_block_that_gets_little_of_the_processor_is_not_ended(monkeypatch) -> None:
    monkeypatch.setattr(limits, "own_seconds", lambda: time.monotonic() / 20)
    done = time.monotonic() + 3 * 0.3
    with limited(0.3):
        while time.monotonic() < done:
            pass


def burn_in_a_thread() -> None:
    stop = threading.Event()
    thread = threading.Thread(target=lambda: [None for _ in iter(stop.is_set, True)], daemon=True)
    thread.start()
    try:
        thread.join()
    finally:
        stop.set()


def burn_in_a_child() -> None:
    with subprocess.Popen([sys.executable, "-c", BURNS]) as child:
        try:
            child.wait()
        finally:
            child.kill()


@pytest.mark.skipif(not hasattr(limits.signal, "setitimer"), reason="a thread's interrupt ends no wait in the system")
@pytest.mark.parametrize(
    "run", [burn_in_a_thread, burn_in_a_child, lambda: time.sleep(600)], ids=["thread", "child", "asleep"]
)
def test_whatever_burns_or_sleeps_is_ended(run) -> None:
    with raises_one_line(TimeoutError, "took longer than 0.3 s."), limited(0.3):
        run()


def test_the_seconds_of_threads_and_children_are_ones_own() -> None:
    before = own_seconds()
    thread = threading.Thread(target=lambda: sum(range(3_000_000)))
    thread.start()
    thread.join()
    after = own_seconds()
    assert after > before
    subprocess.run([sys.executable, "-c", "sum(range(10_000_000))"], check=True)
    assert own_seconds() > after


def test_what_has_ended_still_counts() -> None:
    with subprocess.Popen([sys.executable, "-c", BURNS]) as child:
        process = psutil.Process(child.pid)
        spent = seconds_of(lambda: process_tree(child.pid))
        while spent() < 0.1:
            time.sleep(0.05)
        last = spent()
        child.kill()
        child.wait()
    assert not process.is_running()
    assert spent() >= last >= 0.1
