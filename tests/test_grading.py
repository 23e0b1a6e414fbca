"""Checks say what is wrong in one line, tell right from wrong, and survive whatever a student's function does."""

import json
import random
import signal
import sys
import threading
import time
import warnings

import numpy as np
import pytest
from helpers import raises_one_line, run_python, toy_model

from tlkit import grading
from tlkit.grading import check_example, check_inputs_kept, check_same, limited

REREAD = "notebook 01, section 2"


def double(x):
    return 2 * x


def draw(rng):
    return (rng.normal(size=(3, 4)),)


def check(student, oracle=double, draw=draw, **limits):
    check_same(student, oracle, draw, reread=REREAD, seed=0, **limits)


# Right answers, however they are spelled


def as_tensor(x):
    import keras

    return keras.ops.convert_to_tensor(2 * x, "float32")


def as_variable(x):
    import keras

    return keras.Variable(2 * x)


def noisily(x):
    print("x" * 1000)
    print("careful", file=sys.stderr)
    warnings.warn("this is odd", stacklevel=1)
    np.log(np.zeros(1))
    return x + x


def there_and_back(x):
    x += 1e-5
    x -= 1e-5
    return 2 * x


RIGHT = {
    "itself": double,
    "lists": lambda x: (x + x).tolist(),
    "a list of tuples": lambda x: [tuple(2 * value for value in row) for row in x],
    "float32": lambda x: (2 * x).astype(np.float32),
    "objects": lambda x: (2 * x).astype(object),
    "Fortran order": lambda x: np.asfortranarray(2 * x),
    "tensor": as_tensor,
    "Keras variable": as_variable,
    "prints and warnings": noisily,
    "changed and restored": there_and_back,
}


@pytest.mark.parametrize("student", RIGHT.values(), ids=RIGHT)
def test_equivalent_answers_pass(student, capsys):
    check(student)
    assert capsys.readouterr() == ("", "")


def test_one_number_several_results_and_no_warning_left_behind():
    check(lambda x: 7, lambda x: 7.0)
    check(lambda x: [x, x.sum()], lambda x: (x, np.sum(x)))
    check(lambda x: x > 0, lambda x: x > 0)
    check(lambda x: np.zeros(3), lambda x: np.zeros(3))
    check(lambda x: 1e9 * x, lambda x: 1e9 * x)


# Wrong ones


class Rude(Exception):
    def __str__(self):
        raise ValueError("no words")


class Mute(BaseException):
    def __str__(self):
        raise Mute


class Rubbish:
    def __array__(self, *arguments, **options):
        raise Mute

    def __repr__(self):
        raise Mute


def leave(x):
    sys.exit(3)


def in_place(x):
    x *= 2
    return x


WRONG = {
    "sign": (lambda x: -2 * x, "is wrong for random arguments of shape (3, 4): 12 of 12 numbers, the worst at index ["),
    "one entry": (lambda x: 2 * x + (x > x.max() - 1e-12), "1 of 12 numbers"),
    "slightly off": (lambda x: 2 * x * (1 + 1e-3), "is wrong"),
    "transposed": (lambda x: (2 * x).T, "must have the shape (3, 4) for random arguments of shape (3, 4), got (4, 3)"),
    "an axis too many": (lambda x: (2 * x)[None], "got (1, 3, 4)"),
    "infinite": (lambda x: x / 0, "must be finite"),
    "NaN": (lambda x: x * np.nan, "must be finite for random arguments of shape (3, 4), got nan"),
    "nothing": (lambda x: None, "must return its result, got None: does it end in return?"),
    "text": (lambda x: "12", "must return numbers in an array of one shape, got str"),
    "ragged": (lambda x: [[1, 2], [3]], "must return numbers in an array of one shape, got list"),
    "complex": (lambda x: 2j * x, "must return numbers in an array of one shape, got ndarray"),
    "dict": (lambda x: {"a": 1}, "must return numbers in an array of one shape, got dict"),
    "too short": (lambda x: [1], "must have the shape (3, 4)"),
    "error": (lambda x: 1 // 0, "must return a result, but raised ZeroDivisionError"),
    "signature": (lambda: 1, "raised TypeError"),
    "exit": (leave, "raised SystemExit: 3"),
    "in place": (in_place, "changed number 1 in place: work on a copy"),
    "rubbish": (lambda x: Rubbish(), "must return numbers in an array of one shape, got Rubbish"),
    "rubbish for a function": (Rubbish(), "must be a function, got Rubbish"),
    "number": (7, "must be a function, got 7"),
    "None": (None, "must be a function, got None"),
}


@pytest.mark.parametrize(("student", "fragment"), WRONG.values(), ids=WRONG)
def test_wrong_answers_fail_in_one_line(student, fragment):
    with raises_one_line(AssertionError, fragment, f"Reread {REREAD}."):
        check(student)


def raiser(error):
    def student(x):
        raise error

    return student


@pytest.mark.parametrize(
    ("error", "fragment"),
    [
        (NotImplementedError(), "is not written yet"),
        (Rude(), "raised Rude: no message"),
        (Mute(), "raised Mute: no message"),
        (ValueError("two\nlines"), "raised ValueError: two."),
        (RecursionError("deep"), "raised RecursionError: deep"),
        (TimeoutError("the student's own"), "raised TimeoutError: the student's own"),
        (GeneratorExit(), "raised GeneratorExit"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_what_a_student_raises_is_named(error, fragment):
    with raises_one_line(AssertionError, "student ", fragment):
        check(raiser(error))


def test_an_interrupt_from_outside_is_not_a_students_mistake():
    with pytest.raises(KeyboardInterrupt):
        check(raiser(KeyboardInterrupt()))


def test_several_results():
    with raises_one_line(AssertionError, "must return 2 results, got 3"):
        check(lambda x: (x, x, x), lambda x: (x, x))
    with raises_one_line(AssertionError, "must return 2 results, got ndarray"):
        check(lambda x: x, lambda x: (x, x))
    with raises_one_line(AssertionError, "must return 2 results, got 3"):
        check(lambda x: np.ones(3), lambda x: (1, 1))
    check(lambda x: np.array([x.sum(), x.max()]), lambda x: (x.sum(), x.max()))
    with raises_one_line(AssertionError, "as result 2 for random"):
        check(lambda x: (x, -x), lambda x: (x, x))


def test_a_hidden_check_does_not_show_the_right_numbers_and_an_example_does():
    secret = 0.123456
    with pytest.raises(AssertionError) as hidden:
        check(lambda x: 7.0, lambda x: secret)
    assert "0.123" not in str(hidden.value)
    with raises_one_line(AssertionError, "must be 0.123456 for ([1.0, 2.0],), got 7.0"):
        check_example(lambda x: 7.0, (np.array([1.0, 2.0]),), secret, reread=REREAD)
    check_example(lambda x: secret, (np.array([1.0, 2.0]),), secret, reread=REREAD)


def test_each_point_is_another_and_the_seed_decides_which():
    seen = []
    for seed in (0, 0, 1):
        points = []
        check_same(lambda x, points=points: points.append(x.copy()) or 2 * x, double, draw, reread=REREAD, seed=seed)
        seen.append(np.array(points))
    assert len(np.unique(seen[0])) == seen[0].size == 5 * 12
    assert np.array_equal(seen[0], seen[1])
    assert not np.any(seen[0] == seen[2])


def test_students_work_on_copies():
    shared = np.ones(3)
    with raises_one_line(AssertionError, "in place"):
        check(in_place, double, lambda rng: (shared,))
    check(in_place, double, lambda rng: (shared,), inputs_kept=False)
    assert shared.tolist() == [1, 1, 1]


def test_inputs_kept():
    check_inputs_kept(lambda x: -5 * x, draw, reread=REREAD, seed=0)  # right or wrong: not its question
    with raises_one_line(AssertionError, "must leave its arguments alone", "number 1"):
        check_inputs_kept(in_place, draw, reread=REREAD, seed=0)
    with raises_one_line(AssertionError, "must return its result, got None"):
        check_inputs_kept(lambda x: None, draw, reread=REREAD, seed=0)
    with raises_one_line(AssertionError, "must leave its arguments alone", "number 1"):
        check_inputs_kept(lambda values: values.append(1) or 1, lambda rng: ([1.0, 2.0],), reread=REREAD, seed=0)


def test_lists_of_names_are_kept_too():
    names = [["a", "b"], ["c"]]
    check_inputs_kept(lambda names: len(names), lambda rng: (names,), reread=REREAD, seed=0)
    for change in (lambda names: names[1].append("d") or 1, lambda names: names.append(Rubbish()) or 1):
        with raises_one_line(AssertionError, "must leave its arguments alone", "number 1"):
            check_inputs_kept(change, lambda rng: (names,), reread=REREAD, seed=0)
    assert names == [["a", "b"], ["c"]]


def test_the_right_numbers_are_made_after_the_students():
    """A student's function that looks through the frames above it finds none to return."""

    def spy(x):
        frame, arrays = sys._getframe(1), []
        while frame is not None:
            arrays += [value for value in frame.f_locals.values() if isinstance(value, np.ndarray)]
            frame = frame.f_back
        return next((array for array in arrays if array.shape == x.shape and np.array_equal(array, 2 * x)), -x)

    with raises_one_line(AssertionError, "is wrong"):
        check(spy)


# Where many results are right


def any_order(result, x):
    return "" if sorted(result) == sorted(x.tolist()) else "must hold the numbers it got, in any order"


def shuffle(x):
    return np.random.default_rng(5).permutation(x)


def judge(student, judge=any_order, **options):
    grading.check_result(student, judge, lambda rng: (rng.normal(size=6),), reread=REREAD, seed=0, **options)


def test_a_judge_accepts_every_right_result():
    for student in (shuffle, np.sort, lambda x: x[::-1].tolist(), lambda x: tuple(x)):
        judge(student, dims=1)
    judge(lambda x: [x, 1], lambda one, two, x: "" if one == x.tolist() and two == 1 else "wrong", results=2)
    judge(lambda x: x.sum(), lambda total, x: "" if abs(total - sum(x)) < 1e-9 else "wrong", dims=0)
    judge(
        lambda x: x.reshape(2, 3), lambda rows, x: "" if rows == [x[:3].tolist(), x[3:].tolist()] else "wrong", dims=2
    )


@pytest.mark.parametrize(
    ("student", "options", "fragment"),
    [
        (lambda x: x[1:], {}, "must hold the numbers it got, in any order"),
        (lambda x: x.sort() or x, {}, "must leave its arguments alone"),
        (lambda x: x.reshape(2, 3), {"dims": 1}, "must return arrays of 1 dimensions, got the shape (2, 3)"),
        (lambda x: x, {"results": 2}, "must return 2 results, got [0."),
        (lambda x: None, {}, "must return its result, got None"),
        (lambda x: Rubbish(), {}, "must return numbers in an array of one shape, got Rubbish"),
        (lambda x: 1 // 0, {}, "raised ZeroDivisionError"),
        (lambda x: exec(FOREVER["pass"]), {"seconds": 0.2}, "must end within 0.2 s"),
    ],
    ids=["too few", "in place", "dimensions", "one result", "nothing", "rubbish", "error", "endless"],
)
def test_a_judged_mistake_is_named(student, options, fragment):
    with raises_one_line(AssertionError, fragment, f"Reread {REREAD}."):
        judge(student, **options)


def test_calling_a_student_for_a_model():
    model = object()
    assert grading.call_student(lambda one: one, (model,), kind=object, reread=REREAD) is model
    assert grading.call_student(lambda: None, (), kind=object, reread=REREAD) is None
    with raises_one_line(AssertionError, "must return a dict, got list", REREAD):
        grading.call_student(lambda: [1], (), kind=dict, reread=REREAD)
    with raises_one_line(AssertionError, "must be a function, got None", REREAD):
        grading.call_student(None, (), kind=dict, reread=REREAD)


# Limits

FOREVER = {
    "pass": "while True: pass",
    "except Exception": "while True:\n    try:\n        pass\n    except Exception:\n        pass",
    "except everything": "while True:\n    try:\n        pass\n    except:\n        pass",
}


@pytest.mark.parametrize("code", FOREVER.values(), ids=FOREVER)
@pytest.mark.parametrize("signals", [True, False], ids=["timer signal", "thread"])
def test_endless_loops_end(code, signals, monkeypatch):
    if not signals:
        monkeypatch.delattr(signal, "setitimer", raising=False)
    with raises_one_line(AssertionError, "must end within 0.3 s, and did not"):
        check(lambda x: exec(code), seconds=0.3)
    time.sleep(0.3)  # nothing rings afterwards


def test_limits_nest_and_leave_no_alarm():
    with raises_one_line(TimeoutError, "took longer than 0.2 s."), limited(0.2):
        with limited(5):
            pass
        while True:
            pass
    with limited(5), raises_one_line(TimeoutError, "took longer than 0.1 s."), limited(0.1):
        while True:
            pass
    if hasattr(signal, "setitimer"):
        assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_no_limit_outside_the_main_thread_and_a_plain_word():
    said, values = [], []

    def work():
        said.append(grading.limits_here())
        with limited(0.05):
            time.sleep(0.2)
        check(lambda x: values.append(1) or 2 * x)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert said[0].startswith("Time is not limited outside the main thread; memory is ")
    assert len(values) == 5
    assert grading.limits_here().startswith("Time is limited; memory is ")


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux only")
def test_memory_is_limited_and_given_back():
    with raises_one_line(MemoryError, "needed more than 100 MB."), limited(60, megabytes=100):
        np.ones(10**9)
    with raises_one_line(AssertionError, "needed more than 100 MB"):
        check(lambda x: np.ones(10**9), megabytes=100)
    assert np.ones(5 * 10**7).nbytes == 4 * 10**8


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        ((0.0,), ("seconds must be above 0, got 0.0.",)),
        ((float("nan"),), ("seconds must be above 0, got nan.",)),
        ((1.0, -5.0), ("megabytes must be above 0, or None for no limit, got -5.0.",)),
    ],
    ids=["zero", "NaN", "negative memory"],
)
def test_limits_are_checked(arguments, fragments):
    with raises_one_line(ValueError, *fragments), limited(*arguments):
        pytest.fail("the block ran")


# Seeds


def test_seeds_reach_python_numpy_and_keras():
    import keras

    def draws():
        return [random.random(), np.random.rand(), float(keras.random.normal(()))]  # noqa: NPY002 (it is seeded too)

    def seeded():
        grading.seed_everything(3)
        return draws()

    first, others = seeded(), draws()
    assert seeded() == first
    assert all(one != other for one, other in zip(first, others, strict=True))
    with raises_one_line(ValueError, "seed must be in 0..4294967295, got -1."):
        grading.seed_everything(-1)


# The fence


def fenced(code):
    return run_python("-c", f"import numpy, sqlite3, shutil\nfrom tlkit.grading import fence\nfence()\n{code}")


FORBIDDEN = {
    "socket": ("import socket; socket.create_connection(('127.0.0.1', 9), 1)", "without a network"),
    "urllib": ("import urllib.request; urllib.request.urlopen('http://127.0.0.1:9')", "without a network"),
    "subprocess": ("import subprocess; subprocess.run(['ls'])", "without starting other programs"),
    "system": ("import os; os.system('ls')", "without starting other programs"),
    "open": ("open('ps1.ipynb')", "notebooks and gradebooks are closed"),
    "source": ("open('../source/ps1/ps1_gradients.py')", "notebooks and gradebooks are closed"),
    "os.open": ("import os; os.open(b'ps1.ipynb', os.O_RDONLY)", "notebooks and gradebooks are closed"),
    "pathlib": ("import pathlib; pathlib.Path('a/gradebook.db').read_bytes()", "notebooks and gradebooks are closed"),
    "sqlite": ("sqlite3.connect('gradebook.db')", "notebooks and gradebooks are closed"),
    "rename": ("import os; os.rename('ps1.ipynb', 'x')", "notebooks and gradebooks are closed"),
    "copy": ("shutil.copyfile('ps1.ipynb', 'x')", "notebooks and gradebooks are closed"),
}
TOO_MUCH = {"one long print": "print('x' * 10_000_001)", "many prints": "while True: print('x' * 1000)"}


@pytest.fixture(scope="module")
def refusals():
    """What came of each line of FORBIDDEN, one after the other in one process."""
    code = f"""
import json
came = {{}}
for name, (line, _) in {FORBIDDEN!r}.items():
    try:
        exec(line)
    except OSError as error:  # urllib wraps it
        came[name] = str(error)
print(json.dumps(came))
"""
    run = fenced(code)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.mark.parametrize(("name", "reason"), [(name, reason) for name, (_, reason) in FORBIDDEN.items()], ids=FORBIDDEN)
def test_the_fence_forbids_with_a_reason(name, reason, refusals):
    assert reason in refusals[name]


@pytest.mark.parametrize("code", TOO_MUCH.values(), ids=TOO_MUCH)
def test_the_fence_ends_who_prints_too_much(code):
    run = fenced(code)
    assert run.returncode == 1
    assert "printed more than an exercise may print" in run.stderr.splitlines()[-1]
    assert len(run.stdout) <= 1_000_000


@pytest.fixture(scope="module")
def fenced_kernel(tmp_path_factory):
    manager = pytest.importorskip("jupyter_client.manager", reason="needs tlkit[exercises]")
    lines = "--IPKernelApp.exec_lines=from tlkit.grading import fence; fence()"
    folder = tmp_path_factory.mktemp("kernel")
    with manager.run_kernel(kernel_name="python3", extra_arguments=[lines], cwd=str(folder)) as client:
        yield client


@pytest.mark.parametrize("leave", ["exit()", "quit()", "exit(True)", "import sys; sys.exit(3)"])
def test_behind_the_fence_a_kernel_outlives_exit(leave, fenced_kernel):
    fenced_kernel.execute_interactive(leave, timeout=60, output_hook=lambda message: None)
    time.sleep(1)  # a kernel that is asked to leave stops a moment later
    reply = fenced_kernel.execute_interactive("1 + 1", timeout=20, output_hook=lambda message: None)
    assert reply["content"]["status"] == "ok"


def test_the_fence_drops_what_is_too_much_on_stderr():
    run = fenced("import sys; sys.stderr.write('x' * 10_000_001); sys.stderr.write('y'); print(1)")
    assert (run.returncode, run.stdout, run.stderr) == (0, "1\n", "")


def test_the_fence_lets_work_pass(tmp_path):
    code = f"""
import pathlib
pathlib.Path({str(tmp_path / "a.txt")!r}).write_text("fine")
import tlkit, tlkit.domains
print(len(tlkit.load_domain("optdigits").test), flush=True)
import matplotlib; matplotlib.use("Agg")
import matplotlib.pyplot as plt
plt.plot([1, 2]); plt.savefig({str(tmp_path / "a.png")!r})
"""
    run = fenced(code)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) > 0
    with raises_one_line(ValueError, "max_printed must be above 0, got 0."):
        grading.fence(max_printed=0)


# What training must move, and must not


def test_invariants_of_training():
    model = toy_model()
    before = grading.copy_weights(model)
    grading.check_unmoved(before, model, reread=REREAD)
    grading.check_batchnorm_still(before, model, reread=REREAD)
    with raises_one_line(AssertionError, "training must move a weight", REREAD):
        grading.check_moved(before, model, reread=REREAD)

    kernel = model.get_layer("two_b_conv").kernel
    kernel.assign(kernel + 1e-7)
    with raises_one_line(AssertionError, "frozen weights must stay as they are, but two_b_conv/kernel moved"):
        grading.check_unmoved(before, model, reread=REREAD)
    grading.check_unmoved(before, model, reread=REREAD, layers=["one_conv", "two_a_conv"])
    grading.check_moved(before, model, reread=REREAD, layers=["two_b_conv"])
    grading.check_batchnorm_still(before, model, reread=REREAD)
    with raises_one_line(AssertionError, "training must move two_a_conv."):
        grading.check_moved(before, model, reread=REREAD, layers=["two_b_conv", "two_a_conv"])

    model.get_layer("one_bn").moving_mean.assign(np.ones(4))
    with raises_one_line(AssertionError, "BatchNorm's statistics must stand still, but one_bn/moving_mean moved"):
        grading.check_batchnorm_still(before, model, reread=REREAD)

    with raises_one_line(AssertionError, "must be the same one before and after"):
        grading.check_unmoved(before[1:], model, reread=REREAD)


def test_logits():
    import keras

    x = np.ones((5, 3), dtype=np.float32)

    def head(units, activation=None):
        return keras.Sequential([keras.Input((3,)), keras.layers.Dense(units, activation=activation)])

    grading.check_logits(head(4), x, 4, reread=REREAD)
    with raises_one_line(AssertionError, "must have the shape (5, 4), got (5, 3)"):
        grading.check_logits(head(3), x, 4, reread=REREAD)
    with raises_one_line(AssertionError, "must end in logits, got probabilities"):
        grading.check_logits(head(4, "softmax"), x, 4, reread=REREAD)
    broken = head(4)
    broken.layers[-1].bias.assign(np.full(4, np.nan))
    with raises_one_line(AssertionError, "logits must be finite, got nan"):
        grading.check_logits(broken, x, 4, reread=REREAD)


def test_checking_functions_and_seeds_load_no_tensorflow():
    code = """
import sys
from tlkit.grading import check_same, seed_everything
check_same(lambda x: x, lambda x: x, lambda rng: (rng.normal(size=3),), reread="", seed=0)
seed_everything(3)
print("keras" in sys.modules, "tensorflow" in sys.modules)
"""
    run = run_python("-c", code)
    assert (run.returncode, run.stdout) == (0, "False False\n"), run.stderr
