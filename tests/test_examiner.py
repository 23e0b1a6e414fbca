"""The grader's two processes: what travels between them, what does not, and who sees what."""

import contextlib
import json
import os
import random
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from helpers import raises_one_line, run_python

import tlkit
from tlkit.grading import check_same, limited
from tlkit.grading.examiner import Cell, _Examination, examine, last_to_run, outputs_of, started_student
from tlkit.grading.limits import allowed_here, limits_elsewhere
from tlkit.grading.notebook import KERNEL_GONE, is_limit, lent_of, lent_words
from tlkit.grading.peer import Peer, Unreadable
from tlkit.grading.sandbox import bubblewrap
from tlkit.grading.scores import Share
from tlkit.grading.wire import Gone, Wire, pack, unpack

SANDBOXES = [[], pytest.param(None, marks=pytest.mark.skipif(not bubblewrap(), reason="needs bubblewrap"))]


# Messages


def a_tree(rng: random.Random, depth: int = 0):
    plain = [None, True, 0, -(2**70), 1.5, float("inf"), "", "ä\n\u2028", b"\x00\xff", np.arange(6).reshape(2, 3)]
    plain += [
        np.zeros((0, 4), "float32"),
        np.array(["a", "bcd"]),
        np.array(3.5),
        np.array([1 + 2j]),
        np.float32([np.nan]),
    ]
    if depth > 3 or rng.random() < 0.4:
        return rng.choice(plain)
    items = [a_tree(rng, depth + 1) for _ in range(rng.randrange(4))]
    return items if rng.random() < 0.5 else {f"k{i}": item for i, item in enumerate(items)}


def same(one, other) -> bool:
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return type(one) is type(other) and one == other


@pytest.mark.parametrize("seed", range(60))
def test_a_message_comes_out_as_it_went_in(seed) -> None:
    tree = a_tree(random.Random(seed))
    assert same(tree, unpack(pack(tree)))


def test_an_array_that_came_may_be_written_to_and_is_a_copy() -> None:
    first = np.arange(3)
    came = unpack(pack([first]))[0]
    came[0] = 7
    assert first[0] == 0


def test_objects_do_not_travel() -> None:
    for value in (object(), np.array([object()]), {1, 2}):
        with raises_one_line(TypeError, "plain values and arrays"):
            pack(value)


@pytest.mark.parametrize("seed", range(300))
def test_whatever_bytes_come_they_are_a_message_or_none(seed) -> None:
    """Of a hostile process: any damage ends in one exception, and nothing is run or built but values."""
    rng = random.Random(seed)
    data = bytearray(pack({"a": np.arange(5.0), "b": [b"xyz", {"c": np.ones((2, 2))}]}))
    for _ in range(rng.randrange(1, 6)):
        place = rng.randrange(len(data))
        choice = rng.random()
        if choice < 0.5:
            data[place] = rng.randrange(256)
        elif choice < 0.75:
            del data[place : place + rng.randrange(1, 9)]
        else:
            data[place:place] = bytes(rng.randrange(256) for _ in range(4))
        if not data:
            break
    with contextlib.suppress(Gone):
        unpack(bytes(data))


HEADS = {
    "objects": {"~": "array", "dtype": "|O", "shape": [1], "at": 0, "size": 8},
    "records": {"~": "array", "dtype": "f8,O", "shape": [1], "at": 0, "size": 8},
    "too large": {"~": "array", "dtype": "<f8", "shape": [10**12], "at": 0, "size": 8},
    "before": {"~": "array", "dtype": "<f8", "shape": [1], "at": -8, "size": 8},
    "beyond": {"~": "array", "dtype": "<f8", "shape": [1], "at": 8, "size": 8},
    "bytes": {"~": "bytes", "at": 0, "size": 10**9},
}


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_an_array_must_fit_its_bytes(head) -> None:
    text = json.dumps(head).encode()
    with pytest.raises(Gone):
        unpack(len(text).to_bytes(8, "little") + text + bytes(8))


def pipes() -> tuple[Wire, Wire]:
    (one_out, other_in), (other_out, one_in) = os.pipe(), os.pipe()
    return Wire(one_in, one_out), Wire(other_in, other_out)


def test_half_a_message_is_waited_for_and_not_lost() -> None:
    ours, theirs = pipes()
    ours.listen()
    data = pack("hello")
    frame = len(data).to_bytes(8, "little") + data
    os.write(theirs._into, frame[:11])
    for _ in range(2):
        with pytest.raises(TimeoutError):
            ours.receive(time.monotonic() + 0.05)
    os.write(theirs._into, frame[11:])
    assert ours.receive(time.monotonic() + 5) == "hello"
    os.close(theirs._into)
    with pytest.raises(Gone):
        ours.receive(time.monotonic() + 5)


# Two ends in one process


class End:
    """A peer that calls another one, which serves in a thread as a student's process would."""

    def __init__(self, folder: Path, functions) -> None:
        ours, theirs = pipes()
        ours.listen()
        here, there = folder / "here", folder / "there"
        here.mkdir(parents=True)
        here = here.resolve()
        there.mkdir()
        self.late: list[bool] = []
        self.wire = ours
        self.peer = Peer(ours, 0, here, overdue=self.late.append)
        self.other = Peer(theirs, 1, there.resolve(), lookup=functions.__getitem__)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def close(self) -> None:
        """Hang up, and wait: what serves has silenced the whole process while it calls something."""
        os.close(self.wire._into)
        self.thread.join(10)
        assert not self.thread.is_alive()

    def serve(self) -> None:
        while True:
            try:
                self.other.serve(self.other.wire.receive())
            except Gone:
                return

    def __call__(self, name: str, *arguments):
        return self.peer.ask({"name": name}, list(arguments))


@pytest.fixture
def end(tmp_path):
    made = []

    def make(**functions) -> End:
        made.append(End(tmp_path / str(len(made)), functions))
        return made[-1]

    yield make
    for one in made:
        one.close()


VALUES = [
    None, True, 3, 2.5, "text", b"bytes", (1, (2, "x")), [1, [2.0, None]], {"a": [1], 3: (4,)}, {1, 2}, frozenset({7}),
    range(2, 9, 3), np.arange(4.0), np.float32(1.5), np.int64(7), np.bool_(False), Path("/nowhere/x"), np.array(5),
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=lambda value: f"{type(value).__name__} {value}"[:30])
def test_a_value_goes_there_and_back(value, end) -> None:
    came = end(same=lambda x: x)("same", value)
    assert type(came) is type(value)
    assert same(came, value) if isinstance(value, np.ndarray) else came == value


def test_splits_domains_and_backbones_travel(end) -> None:
    domain = tlkit.load_domain("optdigits")
    came = end(same=lambda x: x)("same", domain)
    assert came.classes == domain.classes
    assert came.train.x.tobytes() == domain.train.x.tobytes()
    assert came.train.groups is None


def test_a_generator_draws_the_same_numbers_there(end) -> None:
    rng = np.random.default_rng(5)
    assert end(draw=lambda rng: rng.random(3))("draw", rng).tolist() == np.random.default_rng(5).random(3).tolist()


def test_what_a_function_does_to_its_arguments_comes_back(end) -> None:
    def change(array, items, table, nested):
        array += 1
        items.append(9)
        table["new"] = 1
        nested[0][0] = -1

    array, items, table, nested = np.zeros(3), [1], {"old": 0}, ([5, 6], "x")
    end(change=change)("change", array, items, table, nested)
    assert (array.tolist(), items, table, nested) == ([1, 1, 1], [1, 9], {"old": 0, "new": 1}, ([-1, 6], "x"))


def test_functions_are_called_where_they_are(end) -> None:
    def apply(f, x):
        return [f(x), f(f(x)), f]

    def double(x):
        return 2 * x

    once, twice, back = end(apply=apply)("apply", double, np.array([3]))
    assert (once.tolist(), twice.tolist()) == ([6], [12])
    assert back is double


class Odd:
    def __array__(self, *arguments, **options):
        raise SystemExit


class Told(BaseException):
    def __str__(self) -> str:
        raise Told


def test_what_does_not_travel_keeps_the_name_of_its_type(end) -> None:
    came = end(odd=Odd)("odd")
    assert type(came).__name__ == "Odd"


@pytest.mark.parametrize(
    "error", [ValueError("no"), KeyboardInterrupt("no"), SystemExit(3), Told(), StopIteration("no")]
)
def test_an_exception_keeps_its_name_and_ends_nothing_here(error, end) -> None:
    def fail():
        raise error

    ours = end(fail=fail, one=lambda: 1)
    with pytest.raises(Exception) as caught:  # noqa: PT011 (its name is looked at)
        ours("fail")
    assert type(caught.value).__name__ == type(error).__name__
    assert ours("one") == 1


def test_files_travel_with_their_paths_and_links_do_not(end, tmp_path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret", encoding="utf-8")

    def work(folder):
        assert (folder / "in.txt").read_text(encoding="utf-8") == "in"
        (folder / "out" / "deep").mkdir(parents=True)
        (folder / "out" / "deep" / "made.txt").write_text("made", encoding="utf-8")
        (folder / "out" / "link.txt").symlink_to(secret)
        (folder / "linked").symlink_to(secret.parent)
        return folder / "out"

    ours = end(work=work)
    folder = ours.peer.files / "a"
    folder.mkdir()
    (folder / "in.txt").write_text("in", encoding="utf-8")
    assert ours("work", folder) == folder / "out"
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*")} == {
        "in.txt", "out", "out/deep", "out/deep/made.txt",
    }  # fmt: skip
    assert (folder / "out/deep/made.txt").read_text(encoding="utf-8") == "made"


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "", "."])
def test_no_path_leads_out_of_the_folder(name, end) -> None:
    ours = end()
    with raises_one_line(Unreadable, "cannot be read"):
        ours.peer.decode({"~": "path", "below": name, "files": [[name, b"x"]]})
    assert list(ours.peer.files.parent.rglob("x")) == []


def test_a_folder_is_not_written_through_a_link(end, tmp_path) -> None:
    ours = end()
    (ours.peer.files / "way").symlink_to(tmp_path)
    with raises_one_line(Unreadable, "cannot be read"):
        ours.peer.decode({"~": "path", "below": "way", "files": [["way/x", b"x"]]})
    assert not (tmp_path / "x").exists()


STRANGE = {
    "a number that is not there": {"~": "yours", "id": 5},
    "a model that is not there": {"~": "model", "id": 5},
    "a kind that is none": {"~": "generator"},
    "another generator": {"~": "rng", "kind": "os", "state": {}},
    "unhashable": {"~": "set", "items": [{"~": "list", "plain": [1]}]},
    "a list without a mark": [1],
    "no items": {"~": "list"},
    "a split that is none": {"~": "Split", "items": [1, 2, 3, 4]},
}


@pytest.mark.parametrize("tree", STRANGE.values(), ids=STRANGE)
def test_what_is_no_value_is_refused(tree, end) -> None:
    ours = end()
    ours.peer._active.append(set())
    with pytest.raises(Unreadable):
        ours.peer.decode(tree)


def test_the_examiner_serves_only_functions_that_it_has_handed_over(end) -> None:
    ours = end()
    asked = [{"run": "cell"}, {"name": "x"}, {"model": 0, "how": "set"}, {"function": 1}, {}]
    for what in asked:
        ours.peer.wire = Recorder()
        ours.peer.serve({"n": 1, "do": "call", "what": what, "arguments": []})
        assert ours.peer.wire.sent["do"] == "failed"


class Recorder:
    def send(self, tree) -> None:
        self.sent = tree


def test_limits_reach_the_other_end(end) -> None:
    stop = threading.Event()
    ours = end(endless=lambda: stop.wait(30))
    started = time.monotonic()
    with limits_elsewhere(), limited(0.2):
        meter, megabytes = allowed_here()
        assert (meter.seconds, megabytes) == (0.2, None)
        ours.peer._overdue = lambda told: (_ for _ in ()).throw(Gone("ended"))
        with pytest.raises(Gone):
            ours("endless")
    stop.set()
    assert time.monotonic() - started < 10
    assert allowed_here() is None


# Models


def small(keras, seed=0):
    image = keras.Input((6, 6, 1))
    start = keras.initializers.GlorotUniform(seed=seed)
    x = keras.layers.Conv2D(3, 3, kernel_initializer=start, name="conv")(image)
    return keras.Model(image, keras.layers.BatchNormalization(name="bn")(x), name="base")


@pytest.fixture
def keras():
    import keras

    return keras


def test_a_model_is_trained_there_and_here_it_has_learned(keras, end) -> None:
    def train(model, x, y):
        model.layers[0].get_layer("bn").trainable = False
        model.compile("sgd", "mse")
        model.fit(x, y, verbose=0)
        weights["there"] = [weight.copy() for weight in model.get_weights()]

    weights: dict = {}
    model = keras.Sequential([small(keras), keras.layers.Flatten(), keras.layers.Dense(2)])
    before = model.get_weights()
    x, y = np.random.default_rng(0).normal(size=(8, 6, 6, 1)).astype("float32"), np.zeros((8, 2), "float32")
    end(train=train)("train", model, x, y)
    assert [w.tobytes() for w in model.get_weights()] == [w.tobytes() for w in weights["there"]]
    assert any(one.tobytes() != other.tobytes() for one, other in zip(before, model.get_weights(), strict=True))
    base = model.layers[0]
    assert [layer.trainable for layer in base.layers if layer.weights] == [True, False]


def test_a_base_stays_one_base_on_both_sides(keras, end) -> None:
    def build(base):
        features = keras.layers.GlobalAveragePooling2D()(base(base.input))
        return keras.Model(base.input, keras.layers.Dense(2)(features))

    def build_sequential(base):
        return keras.Sequential([base, keras.layers.Flatten(), keras.layers.Dense(2)])

    def through_its_tensors(base):
        return keras.Model(base.input, keras.layers.Dense(2)(keras.layers.Flatten()(base.output)))

    x = np.random.default_rng(1).normal(size=(3, 6, 6, 1)).astype("float32")
    for make in (build, build_sequential, through_its_tensors):
        base = small(keras)
        ours = end(make=make)
        model = ours("make", base)
        assert np.asarray(model(x)).shape == (3, 2)
        inside = {id(weight) for weight in model.weights}
        assert {id(weight) for weight in base.weights} <= inside
        was = np.asarray(model(x)).tolist()
        base.set_weights([weight + 1 for weight in base.get_weights()])
        assert np.asarray(model(x)).tolist() != was


def test_a_model_of_a_class_of_its_own_is_asked_from_afar(keras, end) -> None:
    class Own(keras.Model):
        def __init__(self, base) -> None:
            super().__init__()
            self.base, self.head = base, keras.layers.Dense(2)

        def call(self, x):
            return self.head(keras.ops.max(self.base(x), axis=(1, 2)))

    base = small(keras)
    model = end(own=Own)("own", base)
    assert isinstance(model, keras.Model)
    x = np.random.default_rng(2).normal(size=(3, 6, 6, 1)).astype("float32")
    was = np.asarray(model(x, training=False))
    assert was.shape == (3, 2)
    assert len(model.weights) == len(model.get_weights()) == len(base.weights) + 2
    base.set_weights([weight + 1 for weight in base.get_weights()])
    assert np.asarray(model(x)).tolist() != was.tolist()
    model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])
    assert np.asarray(model(x)).tolist() == [[0, 0]] * 3
    assert not base.get_weights()[0].any()


HOSTILE = {
    "another module": {"module": "os", "class_name": "system", "config": {}, "registered_name": None},
    "a lambda": {"module": "keras.layers", "class_name": "Lambda", "config": {}, "registered_name": None},
    "a function": {"module": "builtins", "class_name": "function", "config": "eval", "registered_name": "function"},
    "a look-alike": {"module": "kerasx.layers", "class_name": "Dense", "config": {"units": 1}, "registered_name": None},
    "a function in a layer": {
        "module": "keras.layers",
        "class_name": "Activation",
        "config": {"activation": {"class_name": "function", "config": "exec", "module": "builtins"}},
        "registered_name": None,
    },
    "a download": {
        "module": "keras.utils",
        "class_name": "get_file",
        "config": {"origin": "file:///etc/passwd"},
        "registered_name": None,
    },
    "a saved model": {
        "module": "keras.layers",
        "class_name": "TFSMLayer",
        "config": {"filepath": "/tmp"},
        "registered_name": None,
    },
    "of tlkit": {"module": "tlkit.cli", "class_name": "app", "config": {}, "registered_name": None},
}


@pytest.mark.parametrize("config", HOSTILE.values(), ids=HOSTILE)
def test_no_model_brings_code(config, end) -> None:
    ours = end()
    ours.peer._active.append(set())
    inner = {"module": "keras", "class_name": "Sequential", "config": {"layers": [config]}, "registered_name": None}
    for one in (config, inner):
        described = {
            "~": "model",
            "id": 1,
            "config": json.dumps(one),
            "paths": [],
            "state": {"flags": [], "weights": []},
        }
        with pytest.raises(Unreadable, match=r"cannot be built|Keras only"):
            ours.peer.decode(described)


def test_what_stands_above_an_answer_in_words_is_run() -> None:
    marks = {"grade": True, "solution": True, "grade_id": "words"}
    cells = [
        {"cell_type": "code", "metadata": {"nbgrader": {"grade": True, "solution": False}}},
        {"cell_type": "markdown", "metadata": {}},
        {"cell_type": "code", "metadata": {}},
        {"cell_type": "code", "metadata": {}},
    ]
    written = {"cell_type": "markdown", "metadata": {"nbgrader": marks}}
    assert last_to_run(cells) == 0
    assert last_to_run([*cells, written]) == 2
    assert last_to_run([*cells[:3], written, cells[3]]) == 1
    assert last_to_run([]) == -1


# Whole notebooks, in real processes

SOLUTION = Cell("double", "solution", "def double(x):\n    return 2 * x")
TRIPLE = Cell("triple", "solution", "def triple(x):\n    return double(x) + x")
REFERENCE = {"double": SOLUTION.source, "triple": TRIPLE.source}


def test_of(name: str) -> Cell:
    """A test cell with an oracle of its own."""
    factor = {"double": 2, "triple": 3}[name]
    source = f"""
from tlkit.grading import check_same
check_same({name}, lambda x: {factor} * x, lambda rng: (rng.normal(size=3),), seed=1, reread="it")
"""
    return Cell(f"{name}_any", "test", source)


test_of.__test__ = False  # type: ignore[attr-defined]


def graded(tmp_path, *cells: Cell, sandbox=(), reference=REFERENCE, seconds: float = 20.0):
    inside = bubblewrap() if sandbox is None else list(sandbox)
    with started_student(tmp_path, inside) as student:
        return examine(cells, reference, student, cell_seconds=seconds)


@pytest.mark.slow
@pytest.mark.parametrize("sandbox", SANDBOXES, ids=["no sandbox", "sandbox"])
def test_what_cells_print_and_show_is_kept_and_errors_are_named(sandbox, tmp_path) -> None:
    (tmp_path / "beside.txt").write_text("beside", encoding="utf-8")
    cells = [
        Cell("", "free", "print('printed'); open('beside.txt').read()"),
        Cell("", "free", "1 / 0"),
        Cell("", "free", "from IPython.display import HTML, display\ndisplay(HTML('<b>x</b>'))"),
        SOLUTION,
        test_of("double"),
        Cell("", "free", "print('below the last test')"),
    ]
    outcomes = graded(tmp_path, *cells, sandbox=sandbox)
    assert outcomes[0].stdout == "printed\n"
    assert outcomes[0].shown[0]["text/plain"] == "'beside'"
    assert (outcomes[1].error, outcomes[1].words) == ("ZeroDivisionError", "division by zero")
    assert outcomes[2].shown[0]["text/html"] == "<b>x</b>"
    assert [outcome.error for outcome in outcomes[3:]] == ["", "", ""]
    assert not outcomes[5].run


def test_a_mistake_costs_its_own_part_only(tmp_path) -> None:
    wrong = Cell("double", "solution", "def double(x):\n    return 5 * x")
    outcomes = graded(tmp_path, wrong, test_of("double"), TRIPLE, test_of("triple"))
    assert [outcome.error for outcome in outcomes] == ["", "AssertionError", "", ""]
    assert [outcome.lent for outcome in outcomes] == [(), (), (), ("double",)]
    # And what is wrong in its own right is wrong, whatever came before.
    both = Cell("triple", "solution", "def triple(x):\n    return double(x) - x")
    outcomes = graded(tmp_path, wrong, test_of("double"), both, test_of("triple"))
    assert [bool(outcome.error) for outcome in outcomes] == [False, True, False, True]


def test_what_was_lent_is_named_where_it_was_called_and_nowhere_else(tmp_path) -> None:
    wrong = Cell("double", "solution", "def double(x):\n    return 5 * x")
    own = Cell("triple", "solution", "def triple(x):\n    return 3 * x")  # needs no double
    outcomes = graded(tmp_path, wrong, test_of("double"), own, test_of("triple"))
    assert [outcome.lent for outcome in outcomes] == [()] * 4
    # A test may name it itself, and then fail: both are said.
    names_it = Cell("triple_any", "test", "assert double(1) + triple(1) == 6, 'triple is wrong'")
    outcomes = graded(tmp_path, wrong, test_of("double"), own, names_it)
    assert (outcomes[3].words, outcomes[3].lent) == ("triple is wrong", ("double",))
    error, note = outputs_of(outcomes[3])
    assert error["output_type"] == "error"
    assert note["data"]["text/plain"] == lent_words(["double"])
    assert lent_of({"outputs": [error, note]}) == ["double"]
    assert "double" in lent_words(["double"])


def test_the_reference_is_lent_as_a_function_without_its_text(tmp_path) -> None:
    wrong = Cell("double", "solution", "def double(x):\n    return 5 * x")
    looks = """
import inspect
def triple(x):
    raise ValueError(repr([double.__code__.co_consts, inspect.getsource(double)]))
"""
    outcomes = graded(tmp_path, wrong, test_of("double"), Cell("triple", "solution", looks), test_of("triple"))
    assert "2 * x" not in outcomes[3].words


def test_the_students_process_holds_no_test(tmp_path) -> None:
    """Not in its modules, its memory of cells, its garbage, its environment or its command line."""
    secret = "a_secret_of_the_hidden_test"
    looks = """
import gc, os, sys
def double(x):
    words = [repr(o)[:100000] for o in gc.get_objects() if isinstance(o, (str, dict, list, bytes))]
    words += [str(In), str(sys.argv), str(dict(os.environ)), str([f.f_locals for f in sys._current_frames().values()])]
    if any(SECRET in word for word in words):
        raise ValueError("it is here")
    return 2 * x
""".replace("SECRET", "('a_secret' + '_of_the_hidden_test')")
    test = test_of("double")
    hidden = Cell(test.name, "test", f"### BEGIN HIDDEN TESTS\n{secret} = 1\n### END HIDDEN TESTS\n{test.source}")
    outcomes = graded(tmp_path, Cell("double", "solution", looks), hidden)
    assert [outcome.words for outcome in outcomes] == ["", ""]


def test_a_test_takes_only_the_solutions_names_from_a_student(tmp_path) -> None:
    rigged = Cell("double", "solution", SOLUTION.source + "\nlimit = 10**9\ncheck_same = print\nnp = None\nOURS = 5")
    locked = Cell("setup", "locked", "import numpy as np\nOURS = 1")
    source = """
assert OURS == 1
assert np is not None
assert "limit" not in globals()
"""
    outcomes = graded(tmp_path, locked, rigged, Cell("ours", "test", source + test_of("double").source))
    assert [outcome.words for outcome in outcomes] == ["", "", ""]


def test_a_visible_test_is_run_for_a_student_who_uses_its_names(tmp_path) -> None:
    visible = "five = 5\n### BEGIN HIDDEN TESTS\nhidden = 1\n### END HIDDEN TESTS\n"
    uses = Cell("triple", "solution", "assert 'hidden' not in globals()\ndef triple(x):\n    return (five - 2) * x")
    first = Cell("double_any", "test", visible + test_of("double").source)
    outcomes = graded(tmp_path, SOLUTION, first, uses, test_of("triple"))
    assert [outcome.words for outcome in outcomes] == [""] * 4


def test_a_visible_test_is_not_run_again_for_a_cell_that_is_not_run(tmp_path, monkeypatch) -> None:
    run, ran = _Examination._run, []
    monkeypatch.setattr(_Examination, "_run", lambda self, source: ran.append(source) or run(self, source))
    first = Cell("double_any", "test", "five = double(2) + 1\n" + test_of("double").source)
    outcomes = graded(tmp_path, SOLUTION, first, Cell("", "free", "print(five)"))  # below the last test
    assert [outcome.error for outcome in outcomes] == ["", "", ""]
    assert ran == [SOLUTION.source]


def test_what_ends_the_process_costs_what_comes_after(tmp_path) -> None:
    ends = Cell("triple", "solution", "import os\ndef triple(x):\n    os._exit(0)")
    outcomes = graded(tmp_path, SOLUTION, test_of("double"), ends, test_of("triple"))
    assert [outcome.error for outcome in outcomes] == ["", "", "", "KernelGone"]
    assert outcomes[3].words == f"{KERNEL_GONE} It ended at triple_any."
    at_once = Cell("double", "solution", "import os\nos._exit(0)")
    outcomes = graded(tmp_path, at_once, test_of("double"), Cell("", "free", ""), test_of("triple"))
    assert {outcome.words for outcome in outcomes} == {f"{KERNEL_GONE} It ended at double."}


@pytest.mark.slow
def test_an_endless_cell_and_an_endless_function_are_stopped(tmp_path, monkeypatch) -> None:
    cells = [Cell("", "free", "while True:\n    pass"), SOLUTION, test_of("double")]
    outcomes = graded(tmp_path, *cells, seconds=1)
    assert [outcome.error for outcome in outcomes] == ["TimeoutError", "", ""]
    stubborn = """
def triple(x):
    while True:
        try:
            while True:
                pass
        except BaseException:
            pass
"""
    triple = test_of("triple")
    triple = replace(triple, source=triple.source.replace("seed=1", "seed=1, seconds=2"))
    monkeypatch.setattr("tlkit.grading.peer._GRACE", 1.0)  # which it does not use
    outcomes = graded(tmp_path, SOLUTION, test_of("double"), Cell("triple", "solution", stubborn), triple)
    assert outcomes[1].error == ""
    assert outcomes[3].error in ("AssertionError", "KernelGone")


# Each goes on whatever it is told: its process must be ended. A fork is forbidden, but not to compiled code.
STUBBORN = {
    "burns": "    pass",
    "sleeps": "    time.sleep(60)",
    "burns in a thread": "    one = threading.Thread(target=burn, daemon=True)\n    one.start()\n    one.join()",
    "burns in a child": "    pid = ctypes.CDLL(None).fork()\n    while not pid: pass\n    os.waitpid(pid, 0)",
}


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="forks")
@pytest.mark.parametrize("does", STUBBORN.values(), ids=STUBBORN)
def test_who_catches_everything_is_ended_and_a_limit_is_named(does, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("tlkit.grading.peer._GRACE", 1.0)
    body = "\n".join(f"            {line}" for line in f"while True:\n{does}".splitlines())
    source = f"""
import ctypes, os, threading, time

def burn():
    while True:
        pass

def triple(x):
    while True:
        try:
{body}
        except BaseException:
            pass
"""
    triple = test_of("triple")
    triple = replace(triple, source=triple.source.replace("seed=1", "seed=1, seconds=1"))
    started = set(psutil.Process().children(recursive=True))
    outcomes = graded(tmp_path, SOLUTION, test_of("double"), Cell("triple", "solution", source), triple)
    assert [outcome.error for outcome in outcomes[:3]] == ["", "", ""]
    (error,) = outputs_of(outcomes[3])
    assert is_limit(error), error
    left = set(psutil.Process().children(recursive=True)) - started
    assert [one for one in left if one.status() != psutil.STATUS_ZOMBIE] == []


UNDER_O = """
from pathlib import Path
from tlkit.grading.examiner import Cell, examine, started_student
cells = [
    Cell("", "free", "assert False"),
    Cell("double", "solution", "def double(x):\\n    return 5 * x"),
    Cell("bare", "test", "assert double(1) == 2"),
]
with started_student(Path(FOLDER)) as student:
    print(*(one.error for one in examine(cells, {"double": cells[1].source}, student, cell_seconds=20)), sep=",")
"""


@pytest.mark.slow
@pytest.mark.parametrize(("option", "variable"), [("-O", ""), ("-P", "2")], ids=["python -O", "PYTHONOPTIMIZE"])
def test_where_python_leaves_out_asserts_the_tests_keep_theirs(option, variable, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PYTHONOPTIMIZE", variable)
    code = UNDER_O.replace("FOLDER", repr(str(tmp_path)))
    assert run_python(option, "-c", code).stdout.strip() == "AssertionError,,AssertionError"


def test_a_score_is_called_where_it_was_sent(end, monkeypatch) -> None:
    """A function crosses the pipe for each call; a score does not, and gives the same numbers."""
    y, answers = np.array([0, 1, 2, 3]), np.array([0, 1, 1, 4])
    served: list[dict] = []
    ours = end(many=lambda metric: [float(metric(y, answers)) for _ in range(100)])
    serve = ours.peer.serve
    monkeypatch.setattr(ours.peer, "serve", lambda message: served.append(message) or serve(message))
    for score, value in ((Share(), 0.5), (Share(or_less=True), 0.75), (Share(True, True), 1 / 0.3)):
        assert ours("many", score) == pytest.approx([value] * 100)
        assert served == []
        assert ours("many", lambda y, answers, score=score: score(y, answers)) == pytest.approx([value] * 100)
        assert len(served) == 100
        served.clear()
        assert end(same=lambda x: x)("same", score) == score
        assert type(score(y, answers)) is np.float64  # as np.mean gives it


def test_a_check_here_and_in_one_process_says_the_same() -> None:
    with pytest.raises(AssertionError) as there, limits_elsewhere():
        check_same(lambda x: x, lambda x: 2 * x, lambda rng: (rng.normal(size=3),), seed=1, reread="it")
    with pytest.raises(AssertionError) as here:
        check_same(lambda x: x, lambda x: 2 * x, lambda rng: (rng.normal(size=3),), seed=1, reread="it")
    assert str(there.value) == str(here.value)
    assert tempfile.tempdir is None or Path(tempfile.tempdir).exists()
