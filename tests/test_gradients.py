"""The gradient triangle: closed forms agree, planted mistakes are named, and every error is one line."""

import math

import numpy as np
import pytest
import sympy
from helpers import raises_one_line
from hypothesis import given as with_random
from hypothesis import settings
from hypothesis import strategies as st
from marks import in_bank

from tlkit._keras import keras, tf
from tlkit.gradients import GradientTriangle, gradient_triangle

ALL_THREE = ("symbolic", "automatic", "numeric")
Z, Y = sympy.symbols("z:3"), sympy.symbols("y:3")
TOTAL = sum(sympy.exp(z) for z in Z)
CROSS_ENTROPY = -sum(y * sympy.log(sympy.exp(z) / TOTAL) for y, z in zip(Y, Z, strict=True))
AT, GIVEN = {"z": [1.0, -2.0, 0.5]}, {"y": [0, 1, 0]}


def softmax(z: np.ndarray) -> np.ndarray:
    exponentials = np.exp(z - np.max(z))
    return exponentials / exponentials.sum()


def numpy_cross_entropy(z: np.ndarray, y: np.ndarray) -> float:
    return -np.sum(y * np.log(softmax(z)))


def keras_cross_entropy(z: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    return -keras.ops.sum(y * keras.ops.log_softmax(z))


def columns(triangle: GradientTriangle) -> tuple[str, ...]:
    return tuple(name for name in triangle.table.columns if name != "relative difference")


# Closed forms


@settings(deadline=None, max_examples=25)
@with_random(st.lists(st.floats(-8, 8), min_size=3, max_size=3), st.integers(0, 2))
def test_cross_entropy_at_random_points(logits: list[float], label: int) -> None:
    y = np.eye(3)[label]
    triangle = gradient_triangle(
        CROSS_ENTROPY, {"z": logits}, given={"y": y}, claimed=lambda z, y: softmax(z) - y, automatic=keras_cross_entropy
    )
    assert triangle.agrees, triangle.verdict
    assert columns(triangle) == (*ALL_THREE, "claimed")
    for name in ALL_THREE:
        np.testing.assert_allclose(triangle.table[name], softmax(np.array(logits)) - y, rtol=1e-6, atol=1e-9)


def test_mean_squared_error_of_a_matrix() -> None:
    rng = np.random.default_rng(0)
    w, x, y = rng.normal(size=(2, 3)), rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
    X, W, Y = (sympy.MatrixSymbol(name, *array.shape) for name, array in (("x", x), ("w", w), ("y", y)))
    expression = sum((X * W.T - Y)[i, j] ** 2 for i in range(5) for j in range(2))
    triangle = gradient_triangle(
        expression / 10, {"w": w}, given={"x": x, "y": y}, claimed=lambda w, x, y: 2 * (x @ w.T - y).T @ x / 10
    )
    assert triangle.agrees, triangle.verdict
    assert list(triangle.table.index) == [f"w[{i}, {j}]" for i in range(2) for j in range(3)]


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("seed", in_bank(range(3), but=[1]))
def test_two_layer_net(activation: str, seed: int) -> None:
    """Backpropagation by hand, an expression and a Keras function of one net, for all four parameters at once."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=3), np.eye(2)[seed % 2]
    point = {
        "V": rng.normal(size=(4, 3)),
        "b": rng.uniform(1, 2, size=4),  # most units are awake
        "W": rng.normal(size=(2, 4)),
        "c": rng.normal(size=2),
    }
    act, slope, symbolic_act = {
        "relu": (lambda a: np.maximum(a, 0), lambda a: (a > 0) * 1.0, lambda a: sympy.Max(a, 0)),
        "tanh": (np.tanh, lambda a: 1 - np.tanh(a) ** 2, sympy.tanh),
    }[activation]
    assert np.abs(point["V"] @ x + point["b"]).min() > 1e-3  # away from the kink

    def by_hand(V, b, W, c):
        a = V @ x + b
        error = softmax(W @ act(a) + c) - y
        back = (W.T @ error) * slope(a)
        return {"V": np.outer(back, x), "b": back, "W": np.outer(error, act(a)), "c": error}

    def with_keras(V, b, W, c):
        hidden = getattr(keras.ops, activation)(tf.linalg.matvec(V, tf.constant(x)) + b)
        return -keras.ops.sum(y * keras.ops.log_softmax(tf.linalg.matvec(W, hidden) + c))

    V, W = (sympy.IndexedBase(name) for name in "VW")
    b, c = sympy.IndexedBase("b"), sympy.IndexedBase("c")
    hidden = [symbolic_act(sum(V[i, j] * x[j] for j in range(3)) + b[i]) for i in range(4)]
    logits = [sum(W[k, i] * hidden[i] for i in range(4)) + c[k] for k in range(2)]
    expression = sympy.log(sum(map(sympy.exp, logits))) - logits[seed % 2]
    triangle = gradient_triangle(with_keras, point, symbolic=expression, claimed=by_hand)
    assert triangle.agrees, triangle.verdict
    assert len(triangle.table) == sum(value.size for value in point.values())
    assert len(triangle.differences) == 6
    for name in point:  # one parameter of four is wrong: the component named lies in it
        right = by_hand(**point)
        planted = gradient_triangle(with_keras, point, claimed={**right, name: -right[name]})
        assert planted.disagrees == ("claimed",)
        assert f"at {name}[" in planted.verdict


@settings(deadline=None, max_examples=25)
@with_random(st.lists(st.floats(-5, 5), min_size=1, max_size=4), st.floats(1e-6, 1e6), st.floats(-1e3, 1e3))
def test_scale_and_offset_change_no_verdict(x: list[float], scale: float, offset: float) -> None:
    triangle = gradient_triangle(
        lambda x: scale * (keras.ops.sum(keras.ops.sin(x) + x**2) + offset),
        {"x": x},
        claimed=lambda x: scale * (np.cos(x) + 2 * x),
    )
    assert triangle.agrees, triangle.verdict


def test_at_a_minimum_rounding_is_no_disagreement() -> None:
    triangle = gradient_triangle(lambda x: keras.ops.sum((x - 3) ** 2), {"x": [3, 3]}, claimed=[0, 0])
    assert triangle.agrees, triangle.verdict


# Spellings and shapes


@pytest.mark.parametrize(
    "z",
    [
        pytest.param(sympy.symbols("z:3"), id="z0"),
        pytest.param(sympy.symbols("z_:3", real=True), id="z_0"),
        pytest.param([sympy.IndexedBase("z")[i] for i in range(3)], id="z[0] of IndexedBase"),
        pytest.param(list(sympy.MatrixSymbol("z", 3, 1)), id="z[0, 0] of MatrixSymbol"),
    ],
)
def test_spellings_of_one_vector(z) -> None:
    triangle = gradient_triangle(sum(entry**3 for entry in z), {"z": [1, 2, 3]}, claimed=[3 * entry**2 for entry in z])
    assert triangle.agrees, triangle.verdict
    np.testing.assert_allclose(triangle.table["symbolic"], [3, 12, 27])


def test_a_sum_over_an_index_and_a_number() -> None:
    i, a = sympy.symbols("i a")
    loss = sympy.Sum(a * sympy.IndexedBase("z")[i] ** 2, (i, 0, 1))
    triangle = gradient_triangle(loss, {"a": 2, "z": [1, 3]})
    assert triangle.agrees
    assert dict(triangle.table["numeric"].round(6)) == {"a": 10, "z[0]": 4, "z[1]": 12}


def test_a_sympy_matrix_as_the_claim() -> None:
    claim = sympy.Matrix([sympy.exp(z) / TOTAL - y for y, z in zip(Y, Z, strict=True)])
    assert gradient_triangle(CROSS_ENTROPY, AT, given=GIVEN, claimed=claim).agrees


def test_an_unused_parameter_has_a_zero_gradient() -> None:
    triangle = gradient_triangle(lambda x, unused: x**2, {"x": 3.0, "unused": [1.0, 2.0]})
    assert triangle.agrees
    assert triangle.table["automatic"].tolist() == [6, 0, 0]


def test_a_numpy_loss_has_no_automatic_gradient_of_its_own() -> None:
    alone = gradient_triangle(numpy_cross_entropy, AT, given=GIVEN)
    assert columns(alone) == ("numeric",)
    assert not alone.agrees
    assert "nothing to compare" in alone.verdict
    with_expression = gradient_triangle(numpy_cross_entropy, AT, given=GIVEN, symbolic=CROSS_ENTROPY)
    assert columns(with_expression) == ALL_THREE
    assert with_expression.agrees


# Planted mistakes


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        pytest.param(lambda z, y: y - softmax(z), "-1 times", id="sign dropped"),
        pytest.param(lambda z, y: 2 * (softmax(z) - y), "2 times", id="factor 2"),
        pytest.param(lambda z, y: (softmax(z) - y) / len(z), "0.3333 times", id="an average of a sum"),
        pytest.param(lambda z, y: -y / softmax(z), "at z[0]", id="stops at the probabilities"),
        pytest.param(lambda z, y: softmax(z) - y + [0, 0, 1e-4], "at z[2]", id="one component, slightly"),
        pytest.param(lambda z, y: softmax(z) * np.nan, "not finite at z[0]", id="NaN"),
    ],
)
@pytest.mark.parametrize("loss", [CROSS_ENTROPY, keras_cross_entropy], ids=["expression", "Keras"])
def test_a_wrong_claim_is_named(loss, mistake, words: str) -> None:
    triangle = gradient_triangle(loss, AT, given=GIVEN, claimed=mistake)
    assert triangle.disagrees == ("claimed",)
    assert not triangle.agrees
    assert triangle.verdict.startswith("claimed disagrees")
    assert words in triangle.verdict
    assert len(triangle.verdict.splitlines()) == 1


def test_a_wrong_corner_is_named() -> None:
    def untaped(z, y):
        return -tf.reduce_sum(y * tf.stop_gradient(z)) + tf.reduce_logsumexp(z)

    cases = {
        "symbolic": gradient_triangle(
            keras_cross_entropy,
            AT,
            given=GIVEN,
            symbolic=CROSS_ENTROPY * 2,
            claimed=[*(softmax(np.array(AT["z"])) - GIVEN["y"])],
        ),
        "automatic": gradient_triangle(CROSS_ENTROPY, AT, given=GIVEN, automatic=untaped),
        "numeric": gradient_triangle(CROSS_ENTROPY, AT, given=GIVEN, numeric=lambda z, y: -numpy_cross_entropy(z, y)),
    }
    assert {name: triangle.disagrees for name, triangle in cases.items()} == {name: (name,) for name in cases}


def test_one_over_n_missing_in_a_mean() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(7, 2)), rng.normal(size=7)
    triangle = gradient_triangle(
        lambda w: keras.ops.mean((tf.linalg.matvec(tf.constant(x), w) - y) ** 2),
        {"w": [0.5, -1]},
        claimed=lambda w: 2 * x.T @ (x @ w - y),
    )
    assert triangle.disagrees == ("claimed",)
    assert "7 times" in triangle.verdict


def test_two_against_each_other_and_two_against_two_leave_it_open() -> None:
    two = gradient_triangle(numpy_cross_entropy, AT, given=GIVEN, claimed=lambda z, y: y - softmax(z))
    assert two.disagrees == ("numeric", "claimed")
    assert "claimed: -1 times numeric" in two.verdict
    split = gradient_triangle(
        keras_cross_entropy, AT, given=GIVEN, symbolic=-CROSS_ENTROPY, claimed=lambda z, y: y - softmax(z)
    )
    assert split.disagrees == (*ALL_THREE, "claimed")
    assert "symbolic and claimed against automatic and numeric" in split.verdict


def test_tolerance_decides() -> None:
    claim = (softmax(np.array(AT["z"])) - GIVEN["y"]) * (1 + 1e-4)
    assert not gradient_triangle(CROSS_ENTROPY, AT, given=GIVEN, claimed=claim).agrees
    assert gradient_triangle(CROSS_ENTROPY, AT, given=GIVEN, claimed=claim, tolerance=1e-3).agrees


# Points that are not smooth, and edges


def test_kinks_are_told_apart_from_mistakes() -> None:
    triangle = gradient_triangle(lambda z: keras.ops.sum(keras.ops.relu(z)), {"z": [0, 2, -1]}, claimed=[0, 1, 0])
    assert triangle.kinks == ("z[0]",)
    assert triangle.disagrees == ()
    assert not triangle.agrees
    assert "slope 0 on its left and 1 on its right" in triangle.verdict
    wrong = gradient_triangle(lambda z: keras.ops.sum(keras.ops.relu(z)), {"z": [0, 2, -1]}, claimed=[0, 1, 5])
    assert wrong.kinks == ("z[0]",)
    assert wrong.disagrees == ("claimed",)


def test_a_kink_where_all_columns_happen_to_agree() -> None:
    triangle = gradient_triangle(abs(sympy.Symbol("x")), {"x": 0})
    assert triangle.kinks == ("x",)
    assert not triangle.agrees


@settings(deadline=None, max_examples=25)
@with_random(st.lists(st.floats(0.05, 3).flatmap(lambda x: st.sampled_from([x, -x])), min_size=1, max_size=4))
def test_no_kink_is_reported_away_from_one(z: list[float]) -> None:
    triangle = gradient_triangle(lambda z: keras.ops.sum(keras.ops.relu(z) * keras.ops.exp(z) + abs(z)), {"z": z})
    assert triangle.agrees, triangle.verdict


@pytest.mark.parametrize("x", [1.0, 1e-3, 1e-6, 1e-9])
def test_a_loss_that_ends_near_the_point(x: float) -> None:
    triangle = gradient_triangle(sympy.log(sympy.Symbol("x")), {"x": x}, claimed=lambda x: 1 / x)
    assert triangle.agrees, triangle.verdict


def test_large_logits_overflow_in_the_textbook_formula_only() -> None:
    at = {"z": [1000.0, 0.0, -1000.0]}
    with raises_one_line(ValueError, "loss must be finite at the point, got nan"):
        gradient_triangle(CROSS_ENTROPY, at, given=GIVEN)
    assert gradient_triangle(keras_cross_entropy, at, given=GIVEN, claimed=lambda z, y: softmax(z) - y).agrees


def test_arguments_are_left_alone() -> None:
    def writes(z, y):
        z -= z.max()
        y *= 2
        return np.sum(z * y)

    z, y = np.array([1.0, 5.0, 2.0]), np.array([1.0, 0.0, 2.0])
    gradient_triangle(writes, {"z": z}, given={"y": y}, claimed=lambda z, y: np.multiply(y, 0, out=y))
    assert z.tolist() == [1, 5, 2]
    assert y.tolist() == [1, 0, 2]


def test_the_random_state_is_left_alone() -> None:
    np.random.seed(0)  # noqa: NPY002 (the global state is the point)
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    gradient_triangle(CROSS_ENTROPY, AT, given=GIVEN)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


def test_html_shows_the_table_and_the_verdict_escaped() -> None:
    triangle = gradient_triangle(lambda x: x**2, {"x": 1.0})
    page = GradientTriangle(triangle.table, {}, (), (), "a < b")._repr_html_()
    assert "<table" in page
    assert "a &lt; b" in page


# Errors


def raises(*_, **__):
    raise RuntimeError("first line\nsecond line")


@pytest.mark.parametrize(
    ("loss", "arguments", "kind", "fragments"),
    [
        (3.0, {}, TypeError, ["expression or a function, got float"]),
        (CROSS_ENTROPY, {"at": [1, 2, 3]}, TypeError, ["at must map names", "got list"]),
        (CROSS_ENTROPY, {"at": {}}, ValueError, ["at least one parameter"]),
        (CROSS_ENTROPY, {"at": {"z": [1, math.nan, 2]}}, ValueError, ["at['z']", "finite"]),
        (CROSS_ENTROPY, {"at": {"z": []}}, ValueError, ["at['z']", "finite"]),
        (CROSS_ENTROPY, {"at": {"z": np.zeros((40, 40)) / 1j}}, ValueError, ["at['z']", "real numbers"]),
        (CROSS_ENTROPY, {"at": {"z": "three"}}, ValueError, ["at['z']", "real numbers", "'three'"]),
        (CROSS_ENTROPY, {"given": {}}, ValueError, ["got none for y0, y1, y2"]),
        (CROSS_ENTROPY, {"given": {"z": [1, 2, 3]}}, ValueError, ["not share", "'z'"]),
        (sympy.Matrix(Z), {}, ValueError, ["one number", "(3, 1)"]),
        (keras_cross_entropy, {"symbolic": "z**2"}, TypeError, ["SymPy expression, got str"]),
        (CROSS_ENTROPY, {"tolerance": 0}, ValueError, ["tolerance", "got 0"]),
        (lambda z, y: z * y, {}, ValueError, ["one number, got shape (3,)"]),
        (lambda z, y: None, {}, ValueError, ["float64 number, got NoneType"]),
        (lambda z, y: tf.reduce_sum(tf.cast(z, "float32")), {}, ValueError, ["float64", "got float32"]),
        (lambda z, y: tf.reduce_sum(tf.math.log(z)), {}, ValueError, ["finite at the point, got nan"]),
        (lambda z, y: np.random.default_rng().normal(), {}, ValueError, ["same at each call"]),
        (lambda z: keras.ops.sum(z), {}, ValueError, ["loss raised TypeError", "'y'"]),
        (raises, {}, ValueError, ["loss raised RuntimeError: first line"]),
        (CROSS_ENTROPY, {"numeric": raises}, ValueError, ["numeric raised RuntimeError: first line"]),
        (CROSS_ENTROPY, {"automatic": raises}, ValueError, ["automatic raised RuntimeError: first line"]),
        (CROSS_ENTROPY, {"automatic": numpy_cross_entropy}, ValueError, ["automatic must return a tensor"]),
        (CROSS_ENTROPY, {"claimed": raises}, ValueError, ["claimed raised RuntimeError: first line"]),
        (CROSS_ENTROPY, {"claimed": [1, 2]}, ValueError, ["shape (3,), got (2,)"]),
        (CROSS_ENTROPY, {"claimed": 1.0}, ValueError, ["shape (3,), got ()"]),
        (CROSS_ENTROPY, {"claimed": {"w": [1, 2, 3]}}, ValueError, ["['z']", "got ['w']"]),
        (CROSS_ENTROPY, {"claimed": [sympy.Symbol("q")] * 3}, ValueError, ["got none for q"]),
        (CROSS_ENTROPY, {"claimed": "ŷ − y"}, ValueError, ["shape (3,), got ()"]),
    ],
)
def test_errors_are_one_line(loss, arguments, kind: type[Exception], fragments: list[str]) -> None:
    with raises_one_line(kind, *fragments):
        gradient_triangle(loss, **{"at": AT, "given": GIVEN, **arguments})


def test_an_error_on_the_way_is_one_line_too() -> None:
    calls = []

    def fails_later(z, y):
        calls.append(z)
        if len(calls) > 8:
            raise OSError("the file is gone\nsee above")
        return keras_cross_entropy(z, y)

    with raises_one_line(ValueError, "loss raised OSError: the file is gone"):
        gradient_triangle(fails_later, AT, given=GIVEN)


def test_several_parameters_need_a_claim_for_each() -> None:
    with raises_one_line(ValueError, "['a', 'b']", "got float"):
        gradient_triangle(lambda a, b: a * b, {"a": 1.0, "b": 2.0}, claimed=1.0)


def test_keras_variables_as_the_point() -> None:
    variable = keras.Variable([1.0, 2.0])
    triangle = gradient_triangle(lambda w: keras.ops.sum(w**2), {"w": variable}, claimed=2 * variable)
    assert triangle.agrees, triangle.verdict


def test_trying_tensors_on_a_numpy_loss_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    x = np.arange(6.0).reshape(2, 3)
    triangle = gradient_triangle(lambda w: np.sum(x @ w), {"w": [1.0, 2.0, 3.0]}, claimed=lambda w: x.sum(axis=0))
    assert triangle.agrees
    assert capfd.readouterr() == ("", "")
