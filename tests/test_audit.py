"""The audit: what a training step moves, that it is what a real step moves, and that nothing is left behind."""

import functools
import itertools
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from helpers import raises_one_line, random_split, run_python, same_weights, toy_backbone
from marks import in_bank
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle
from traps import (
    CLASSES,
    Wrapped,
    bare_batchnorm_base,
    compiled,
    fitted,
    images,
    small_base,
    state_of,
    toy_classifier,
    with_head,
)

import tlkit
from tlkit import plots
from tlkit._keras import keras, tf
from tlkit.audit import audit_fit, watch
from tlkit.domains import Split
from tlkit.freezing import freeze_to
from tlkit.heads import build_head, join

COLUMNS = [
    "layer",
    "kind",
    "stage",
    "meant",
    "trainable",
    "weights",
    "statistics",
    "weights_moved",
    "statistics_moved",
    "max_abs_change",
    "verdict",
]
AS_MEANT = {"learns, as meant", "still, as meant"}


def rows_of(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    return {row["layer"]: row for row in table.to_dict("records")}


def dropout_classifier() -> keras.Model:
    """With everything that keeps a state: BatchNorm, seeded and unseeded dropout, random augmentation."""
    base = small_base()
    image = keras.Input((8, 8, 1))
    x = base(keras.layers.RandomFlip(seed=5)(image))
    x = keras.layers.Dropout(0.3, seed=3)(x)
    x = keras.layers.Dropout(0.2)(x)
    start = keras.initializers.GlorotUniform(seed=4)
    return keras.Model(image, keras.layers.Dense(CLASSES, kernel_initializer=start, name="head")(x))


# Left as it was -----------------------------------------------------------------------------------------------------


def never_fitted() -> keras.Model:
    return compiled(dropout_classifier())


def optimizer_built() -> keras.Model:
    model = compiled(dropout_classifier())
    model.optimizer.build(model.trainable_variables)
    return model


def already_fitted() -> keras.Model:
    return fitted(compiled(dropout_classifier()), batch_size=8)  # which the audit has to find


def fitted_with_a_schedule() -> keras.Model:
    schedule = keras.optimizers.schedules.ExponentialDecay(1e-3, 10, 0.5)
    return fitted(compiled(dropout_classifier(), optimizer=keras.optimizers.SGD(schedule, momentum=0.9)))


def evaluated_only() -> keras.Model:
    model = compiled(dropout_classifier())
    model.evaluate(*images(), verbose=0)
    model.predict(images()[0], verbose=0)
    return model


def not_compiled() -> keras.Model:
    return dropout_classifier()


def subclassed() -> keras.Model:
    return compiled(Wrapped(with_head(small_base())))


STATES = [
    never_fitted,
    optimizer_built,
    already_fitted,
    fitted_with_a_schedule,
    evaluated_only,
    not_compiled,
    subclassed,
]


@pytest.fixture
def seeded_tensorflow():
    """TensorFlow's global seed set, and as it was afterwards."""
    from tensorflow.python.eager import context

    before = context.global_seed(), getattr(context.context(), "_rng", None)
    tf.random.set_seed(7)
    yield
    context.context()._seed, context.context()._rng = before


@pytest.mark.usefixtures("seeded_tensorflow")
@pytest.mark.parametrize("build", STATES)
@pytest.mark.parametrize("steps", in_bank([1, 3], but=[3]))
def test_everything_is_as_it_was(build: Callable[[], keras.Model], steps: int) -> None:
    model = build()
    x, y = images()
    copies = x.copy(), y.copy()
    before = state_of(model)
    audit_fit(model, (x, y), steps=steps, batch_size=8)
    assert state_of(model) == before
    assert np.array_equal(x, copies[0])
    assert np.array_equal(y, copies[1])


@pytest.mark.parametrize("build", STATES)
def test_everything_is_as_it_was_after_an_error(
    build: Callable[[], keras.Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tlkit.audit.moved.check_labels", lambda *_: None)  # so that the step itself fails
    model = build()
    x, y = images()
    before = state_of(model)
    with raises_one_line(ValueError, "a training step must be possible, got "):
        audit_fit(model, (x, y + 100), batch_size=8)
    assert state_of(model) == before


def test_an_error_in_the_second_step_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tlkit.audit.moved.check_labels", lambda *_: None)
    model = never_fitted()
    x, y = images()
    y[-1] = 100
    before = state_of(model)
    with raises_one_line(ValueError, "a training step must be possible, got "):
        audit_fit(model, (x, y), steps=3, batch_size=8)
    assert state_of(model) == before


@pytest.mark.parametrize("build", [never_fitted, already_fitted])
def test_a_training_goes_on_as_if_nothing_had_been_audited(build: Callable[[], keras.Model]) -> None:
    audited, untouched = [], []
    for audit, results in ((True, audited), (False, untouched)):
        keras.utils.set_random_seed(11)
        model = build()
        if audit:
            audit_fit(model, images(), steps=2, batch_size=8)
        history = model.fit(*images(), batch_size=8, epochs=2, verbose=0)
        results.extend([model.get_weights(), history.history])
        results.append((np.random.random(), keras.random.uniform((3,)).numpy(), tf.random.uniform((3,)).numpy()))  # noqa: NPY002
    assert same_weights(audited[0], untouched[0])
    assert audited[1] == untouched[1]
    assert audited[2][0] == untouched[2][0]
    assert np.array_equal(audited[2][1], untouched[2][1])
    assert np.array_equal(audited[2][2], untouched[2][2])


def test_the_traced_function_is_neither_made_nor_traced_anew() -> None:
    fresh, used = never_fitted(), already_fitted()
    traced = used.train_function
    audit_fit(fresh, images())
    audit_fit(used, images())
    assert fresh.train_function is None
    assert used.train_function is traced


def test_names_given_later_are_those_that_would_have_been_given() -> None:
    def later(audit: bool) -> str:
        keras.backend.clear_session(free_memory=False)
        model = compiled(with_head(small_base()))
        if audit:
            audit_fit(model, images())
        return keras.layers.Dense(2).name

    assert later(True) == later(False)


# What a real step does ----------------------------------------------------------------------------------------------


def residual() -> keras.Model:
    toy = toy_backbone()
    return join(toy.model, build_head(toy, CLASSES, hidden=(5,), dropout=0.2, seed=0))


def sequential() -> keras.Model:
    start = keras.initializers.GlorotUniform(seed=4)
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            small_base(),
            keras.layers.Dropout(0.3, seed=1),
            keras.layers.Dense(CLASSES, kernel_initializer=start, name="head"),
        ]
    )


def nested_and_frozen() -> keras.Model:
    base = small_base()
    base.trainable = False
    return with_head(base)


def wrapped() -> keras.Model:
    return Wrapped(with_head(small_base()))


def changes_by_hand(model: keras.Model, before: list[np.ndarray]) -> dict[str, float]:
    """The largest absolute change of each layer that has weights, by its name."""
    changes = {
        id(weight): float(np.abs(weight.numpy().astype(np.float64) - old).max(initial=0))
        for weight, old in zip(model.weights, before, strict=True)
    }
    layers = [layer for layer in model._flatten_layers(include_self=False) if not hasattr(layer, "layers")]
    own = {layer.name: [changes[id(weight)] for weight in layer.weights if id(weight) in changes] for layer in layers}
    return {name: max(values) for name, values in own.items() if values}


def changes_in(table: pd.DataFrame) -> dict[str, float]:
    return {row["layer"].split("/")[-1]: row["max_abs_change"] for row in table.to_dict("records")}


@pytest.mark.parametrize(
    ("steps", "build"),
    in_bank(
        itertools.product((1, 3), (residual, sequential, nested_and_frozen, wrapped)),
        but=[(3, residual), (1, sequential), (3, nested_and_frozen), (1, wrapped)],
        names=2,
    ),
)
def test_the_changes_are_those_of_a_real_fit(steps: int, build: Callable[[], keras.Model]) -> None:
    # A step proportional to the gradient: Adam's first step is its sign, which rounding may turn.
    model, twin = (compiled(build(), optimizer=keras.optimizers.SGD(0.1)) for _ in range(2))
    twin.set_weights(model.get_weights())
    x, y = images(8 * steps)
    table = audit_fit(model, (x, y), steps=steps, batch_size=8)
    before = twin.get_weights()
    history = twin.fit(x, y, batch_size=8, epochs=1, shuffle=False, verbose=0)
    expected = changes_by_hand(twin, before)
    assert max(expected.values()) > 0
    assert changes_in(table) == pytest.approx(expected, rel=1e-3, abs=1e-7)
    assert table.attrs["steps"] == steps
    assert table.attrs["learning_rate"] == pytest.approx(0.1)
    if steps == 1:
        assert table.attrs["loss"] == pytest.approx(history.history["loss"][0], rel=1e-5)


def test_an_uncompiled_model_takes_the_steps_of_tlkit_fit() -> None:
    def build() -> keras.Model:
        base = small_base()
        penalty = keras.regularizers.L2(1.0)
        start = keras.initializers.GlorotUniform(seed=4)
        head = keras.layers.Dense(CLASSES, kernel_initializer=start, kernel_regularizer=penalty, name="head")
        return keras.Model(base.input, head(base.output))

    model, twin = build(), build()
    x, y = images(8)
    table = audit_fit(model, (x, y))
    before = twin.get_weights()
    history = tlkit.fit(twin, Split(x, y), epochs=1, learning_rate=1e-3, batch_size=8, progress=False)
    # Adam's first step has the size of the learning rate: what tells is which weights moved, and the loss.
    assert changes_in(table) == pytest.approx(changes_by_hand(twin, before), rel=1e-2)
    assert table.attrs["loss"] == pytest.approx(history["loss"][0], rel=1e-5)
    assert not model.compiled


def test_regularisation_moves_what_the_loss_does_not() -> None:
    """Without the penalty, a uncompiled model's step would not be the one that fit takes."""

    def build() -> keras.Model:
        image = keras.Input((8, 8, 1))
        x = keras.layers.Flatten()(image)
        dead = keras.layers.Dense(4, name="decays", kernel_regularizer=keras.regularizers.L2(0.1))(x)
        x = keras.layers.Concatenate()([x, 0.0 * dead])
        return keras.Model(image, keras.layers.Dense(CLASSES, name="head")(x))

    uncompiled, other = build(), compiled(build())
    moved = [rows_of(audit_fit(model, images()))["decays"]["weights_moved"] for model in (uncompiled, other)]
    assert moved == [True, True]


@pytest.mark.parametrize("form", ["arrays", "split", "dataset", "lists"])
def test_all_forms_of_data_give_the_same_table(form: str) -> None:
    x, y = images(16)
    forms: dict[str, Any] = {
        "arrays": (x, y),
        "split": Split(x, y),
        "dataset": tf.data.Dataset.from_tensor_slices((x, y)).batch(16),
        "lists": [x.tolist(), y.tolist()],
    }
    tables = [audit_fit(compiled(residual()), data, batch_size=16) for data in (forms["arrays"], forms[form])]
    pd.testing.assert_frame_equal(*tables)


def test_examples_are_spread_over_sorted_data() -> None:
    # Labels in order: a first batch would hold one class only.
    x, y = images(300)
    order = np.argsort(y, kind="stable")
    seen: list[np.ndarray] = []

    class Seeing(keras.Model):
        def train_step(self, data: Any) -> Any:
            seen.append(data[1].numpy())
            return super().train_step(data)

    base = small_base()
    model = compiled(Seeing(base.input, keras.layers.Dense(CLASSES)(base.output)))
    audit_fit(model, (x[order], y[order]), steps=2, batch_size=12)
    assert [len(labels) for labels in seen] == [12, 12]
    assert set(np.concatenate(seen).tolist()) == {0, 1, 2}


def test_fewer_examples_than_asked_for_are_used_once() -> None:
    assert audit_fit(compiled(residual()), images(5), steps=2, batch_size=32)["weights_moved"].any()
    assert audit_fit(compiled(residual()), images(1), steps=3)["weights_moved"].any()


def test_sample_weights_of_a_data_set_count() -> None:
    x, y = images(8)
    data = tf.data.Dataset.from_tensor_slices((x, y, np.zeros(8, np.float32))).batch(8)
    for model in (
        compiled(with_head(small_base(batchnorm=False)), optimizer=keras.optimizers.SGD(0.1)),
        fitted_on(data),
    ):
        assert not audit_fit(model, data)["weights_moved"].any()


def fitted_on(data: Any) -> keras.Model:
    model = compiled(with_head(small_base(batchnorm=False)), optimizer=keras.optimizers.SGD(0.1))
    model.fit(data, shuffle=False, verbose=0)
    return model


# The measured facts of Keras ----------------------------------------------------------------------------------------


def test_training_false_does_not_hold_batchnorm_of_a_base_that_learns() -> None:
    model = compiled(with_head(small_base(), training=False))
    bn = rows_of(audit_fit(model, images()))["base/bn"]
    assert bn["statistics_moved"]
    assert bn["weights_moved"]


def floats64() -> tuple[np.ndarray, np.ndarray]:
    x, y = images()
    return x / 255.0, y


def floats32() -> tuple[np.ndarray, np.ndarray]:
    x, y = images()
    return x.astype(np.float32), y.astype(np.int32)


def columns() -> tuple[np.ndarray, np.ndarray]:
    x, y = images()
    return x, y[:, None]


@pytest.mark.parametrize("data", [images, floats32, floats64, columns])
def test_frozen_after_a_fit_still_moves_and_the_table_says_so(data: Callable[[], Any]) -> None:
    base = small_base()
    model = compiled(with_head(base))
    if data is not images:  # once as learners do, whose step is traced twice
        model.optimizer.build(model.trainable_variables)
    model.fit(*data(), batch_size=8, verbose=0)
    base.trainable = False
    table = rows_of(audit_fit(model, data(), batch_size=8))
    assert table["base/conv"]["verdict"] == "moved, though meant to be frozen"
    assert table["base/conv"]["weights_moved"]
    assert not table["base/conv"]["trainable"]
    # The oracle: what the fit of the user does now.
    before = base.get_layer("conv").kernel.numpy()
    model.fit(*data(), batch_size=8, verbose=0)
    assert not np.array_equal(before, base.get_layer("conv").kernel.numpy())


def test_frozen_after_tlkit_fit_still_moves_and_the_table_says_so() -> None:
    base = small_base()
    model = with_head(base)
    split = Split(*images())
    tlkit.fit(model, split, epochs=1, learning_rate=1e-3, batch_size=8, progress=False)
    base.trainable = False
    assert rows_of(audit_fit(model, split))["base/conv"]["verdict"] == "moved, though meant to be frozen"


def test_frozen_after_a_fit_on_a_data_set_still_moves_and_the_table_says_so() -> None:
    base = small_base()
    model = compiled(with_head(base))
    model.optimizer.build(model.trainable_variables)
    data = tf.data.Dataset.from_tensor_slices(images()).batch(8)
    model.fit(data, shuffle=False, verbose=0)
    base.trainable = False
    for given in (data, images()):
        assert rows_of(audit_fit(model, given))["base/conv"]["verdict"] == "moved, though meant to be frozen"


def test_frozen_in_a_loop_then_unfrozen_as_a_model_nothing_learns() -> None:
    base = small_base()
    for layer in base.layers:
        layer.trainable = False
    base.trainable = True
    model = compiled(with_head(base))
    table = rows_of(audit_fit(model, images(), backbone=base, intended_stage=0))
    assert table["base/conv"]["verdict"] == "did not move, though meant to learn"
    assert table["base/conv"]["meant"] == "learn"
    assert table["base/conv"]["stage"] == 1
    assert table["base/bn"]["verdict"] == "still, as meant"
    assert table["head"]["verdict"] == "learns, as meant"
    assert table["head"]["stage"] == "head"


def test_statistics_of_weights_frozen_one_by_one_drift() -> None:
    base = small_base()
    for weight in base.trainable_variables:
        weight.trainable = False
    model = compiled(with_head(base))
    bn = rows_of(audit_fit(model, images(), backbone=base, intended_stage=1))["base/bn"]
    assert bn["verdict"] == "statistics moved, though meant to be frozen"
    assert not bn["weights_moved"]


# The table ----------------------------------------------------------------------------------------------------------


def test_columns_and_numbers() -> None:
    toy, model = toy_classifier(1)
    table = audit_fit(model, images(), backbone=toy, intended_stage=1)
    assert list(table.columns) == COLUMNS
    assert table.attrs["meant_by"] == "intended_stage=1"
    assert table["weights"].sum() + table["statistics"].sum() == model.count_params()
    assert set(table["verdict"]) == AS_MEANT
    rows = rows_of(table)
    assert {name: row["stage"] for name, row in rows.items()} == {
        "one_conv": 1,
        "one_bn": 1,
        "two_a_conv": 2,
        "two_a_bn": 2,
        "two_b_conv": 2,
        "two_b_bn": 2,
        f"{model.layers[-1].name}/logits": "head",
    }
    assert rows["two_a_bn"]["meant"] == "frozen"
    assert rows["two_a_conv"]["meant"] == "learn"


@pytest.mark.parametrize("stage", [0, 1, 2])
@pytest.mark.parametrize("train_batchnorm", [False, True])
def test_freeze_to_does_what_is_meant(stage: int, train_batchnorm: bool) -> None:
    toy, model = toy_classifier(stage, train_batchnorm=train_batchnorm)
    options = {"backbone": toy, "intended_stage": stage, "train_batchnorm": train_batchnorm}
    table = audit_fit(model, images(), **options)
    assert set(table["verdict"]) <= AS_MEANT
    learning = {id(variable) for variable in model.trainable_variables}
    moved = table.set_index("layer")["weights_moved"]
    for layer in toy.model.layers:
        if layer.name in moved.index:
            assert moved[layer.name] == any(id(weight) in learning for weight in layer.weights)


def test_nested_models_are_flattened_and_keep_their_names() -> None:
    inner = with_head(small_base(), training=None)
    image = keras.Input((8, 8, 1))
    model = compiled(keras.Model(image, keras.layers.Dense(CLASSES, name="top")(inner(image)), name="outer"))
    table = audit_fit(model, images())
    assert list(table["layer"]) == ["classifier/base/conv", "classifier/base/bn", "classifier/head", "top"]
    assert list(table["kind"]) == ["Conv2D", "BatchNormalization", "Dense", "Dense"]
    assert (table["stage"] == "").all()


def test_a_shared_layer_is_listed_once() -> None:
    image = keras.Input((8, 8, 1))
    shared = keras.layers.Dense(64, name="shared")
    flat = keras.layers.Flatten()(image)
    x = shared(shared(flat))
    inner_image = keras.Input((64,))
    inner = keras.Model(inner_image, shared(inner_image), name="inner")
    model = compiled(keras.Model(image, keras.layers.Dense(CLASSES, name="head")(inner(x))))
    table = audit_fit(model, images())
    assert sorted(name.split("/")[-1] for name in table["layer"]) == ["head", "shared"]
    assert table["weights"].sum() == model.count_params()


def test_layers_inside_wrappers_are_listed() -> None:
    image = keras.Input((8, 8, 1))
    x = keras.layers.Reshape((8, 8))(image)
    x = keras.layers.Bidirectional(keras.layers.LSTM(3), name="both")(x)
    model = compiled(keras.Model(image, keras.layers.Dense(CLASSES)(x)))
    table = audit_fit(model, images())
    assert table["weights"].sum() == model.count_params()
    assert table["weights_moved"].all()


def test_a_subclassed_model_works() -> None:
    model = compiled(Wrapped(with_head(small_base())))
    table = audit_fit(model, images())
    assert list(table["layer"]) == [f"classifier/{name}" for name in ("base/conv", "base/bn", "head")]
    assert set(table["verdict"]) == {"learns, as meant"}


def test_a_learning_rate_of_zero_moves_statistics_only() -> None:
    model = compiled(with_head(small_base()), optimizer=keras.optimizers.SGD(0.0))
    rows = rows_of(audit_fit(model, images()))
    assert rows["head"]["verdict"] == rows["base/conv"]["verdict"] == "did not move, though meant to learn"
    assert not rows["base/bn"]["weights_moved"]
    assert rows["base/bn"]["statistics_moved"]


def test_a_warm_up_from_zero_needs_more_than_one_step() -> None:
    schedule = keras.optimizers.schedules.PolynomialDecay(0.0, 10, 0.1)
    model = compiled(with_head(small_base()), optimizer=keras.optimizers.SGD(schedule))
    assert not rows_of(audit_fit(model, images()))["head"]["weights_moved"]
    assert rows_of(audit_fit(model, images(), steps=2))["head"]["weights_moved"]


def test_nan_is_said() -> None:
    x, y = images()
    x = x.astype(np.float32)
    x[0, 0, 0, 0] = np.nan
    for model in (compiled(with_head(small_base())), with_head(small_base())):
        table = audit_fit(model, (x, y))
        assert set(table["verdict"]) == {"became NaN"}
        assert table["max_abs_change"].isna().all()
        assert np.isnan(table.attrs["loss"])
        assert not np.isnan(np.concatenate([weight.ravel() for weight in model.get_weights()])).any()


class Rooted(keras.layers.Layer):
    """A kernel that is sound and an offset whose gradient is not finite: the root's slope at 0."""

    def build(self, shape: Any) -> None:
        self.kernel = self.add_weight(shape=(shape[-1], CLASSES), initializer="ones", name="kernel")
        self.offset = self.add_weight(shape=(CLASSES,), initializer="zeros", name="offset")

    def call(self, x: Any) -> Any:
        return x @ self.kernel + keras.ops.sqrt(self.offset)


def test_nan_in_one_of_two_weights_is_said() -> None:
    image = keras.Input((8, 8, 1))
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(image))
    model = compiled(keras.Model(image, Rooted(name="rooted")(x)), optimizer=keras.optimizers.Adam(1e-3))
    row = rows_of(audit_fit(model, images()))["rooted"]
    assert row["verdict"] == "became NaN"
    assert np.isnan(row["max_abs_change"])


def test_nan_in_the_statistics_alone_is_said() -> None:
    base = small_base()
    for weight in base.trainable_variables:
        weight.trainable = False
    x, y = images()
    x = x.astype(np.float32)
    x[0, 0, 0, 0] = np.nan
    row = rows_of(audit_fit(compiled(with_head(base)), (x, y)))["base/bn"]
    assert row["verdict"] == "became NaN"
    assert np.isnan(row["max_abs_change"])


def test_batchnorm_without_weights_learns_by_its_statistics() -> None:
    for frozen, verdict in ((False, "learns, as meant"), (True, "still, as meant")):
        base = bare_batchnorm_base()
        base.trainable = not frozen
        row = rows_of(audit_fit(compiled(with_head(base)), images()))["base/bn"]
        assert row["verdict"] == verdict
        assert row["weights"] == 0
        assert row["statistics_moved"] is not frozen


def test_batchnorm_without_weights_meant_to_be_frozen() -> None:
    base = bare_batchnorm_base()
    table = audit_fit(compiled(with_head(base)), images(), backbone=base, intended_stage=1)
    assert rows_of(table)["base/bn"]["verdict"] == "statistics moved, though meant to be frozen"


def test_a_normalization_layer_is_no_false_alarm() -> None:
    image = keras.Input((8, 8, 1))
    layer = keras.layers.Normalization(axis=-1, name="normalise")
    layer.adapt(images()[0].astype(np.float32))
    x = keras.layers.Flatten()(layer(image))
    model = compiled(keras.Model(image, keras.layers.Dense(CLASSES)(x)))
    row = rows_of(audit_fit(model, images()))["normalise"]
    assert row["verdict"] == "still, as meant"
    assert row["statistics"] > 0


def test_a_model_with_nothing_left_to_learn_is_audited_all_the_same() -> None:
    for prepare in (compiled, lambda model: model):
        model = with_head(small_base())
        model.trainable = False
        table = audit_fit(prepare(model), images())
        assert set(table["verdict"]) == {"still, as meant"}


# Bad input ----------------------------------------------------------------------------------------------------------


def two_outputs() -> keras.Model:
    image = keras.Input((8, 8, 1))
    x = keras.layers.Flatten()(image)
    return keras.Model(image, [keras.layers.Dense(3, name="one")(x), keras.layers.Dense(2, name="two")(x)])


def empty() -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(images()).batch(8).take(0)


@pytest.mark.parametrize(
    ("model", "train", "fragments"),
    [
        (lambda: "model.keras", images(), ["must be a Keras model", "str"]),
        (lambda: keras.Sequential([keras.layers.Dense(3)]), images(), ["must be built", "no weights yet"]),
        (two_outputs, images(), ["one output", "2"]),
        (lambda: keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()]), images(), ["must have weights"]),
        (residual, None, ["got NoneType"]),
        (residual, images()[0], ["got ndarray"]),
        (residual, (images()[0][:0], images()[1][:0]), ["1 or more, got 0 and 0"]),
        (residual, (images()[0], images()[1][:5]), ["one length", "24 and 5"]),
        (residual, empty(), ["gives none"]),
        (residual, tf.data.Dataset.from_tensor_slices(images()[0]).batch(8), ["batches (x, y)", "gives none"]),
        (residual, (images()[0][:, :4], images()[1]), ["a training step must be possible"]),
        (residual, (images()[0], images()[1] + 7), ["labels must be in 0.."]),
        (residual, (images()[0], np.array(["a"] * 24)), ["a training step must be possible"]),
        (residual, (np.zeros(3), np.zeros(3)), ["a training step must be possible"]),
        (residual, (np.array(1.0), np.array(1)), ["arrays of examples"]),
    ],
)
@pytest.mark.parametrize("compile_first", [True, False])
def test_bad_input_is_one_line(model: Any, train: Any, fragments: list[str], compile_first: bool) -> None:
    built = model()
    if compile_first and isinstance(built, keras.Model):
        compiled(built)
    with raises_one_line(ValueError, *fragments):
        audit_fit(built, train)


@pytest.mark.parametrize(
    ("options", "fragments"),
    [
        ({"steps": 0}, ["steps", "1 or more", "0"]),
        ({"batch_size": 0}, ["batch_size", "1 or more", "0"]),
        ({"steps": 1.5}, ["steps", "1.5"]),
        ({"batch_size": "many"}, ["batch_size", "many"]),
        ({"intended_stage": 1}, ["needs the backbone", "1"]),
        ({"backbone": toy_backbone(), "intended_stage": 3}, ["0..2", "3"]),
        ({"backbone": small_base(), "intended_stage": 2}, ["0", "1", "2"]),
        ({"backbone": toy_backbone(seed=1), "intended_stage": 1}, ["backbone", "part of"]),
        ({"backbone": "toy", "intended_stage": 1}, ["backbone", "str"]),
    ],
)
def test_bad_options_are_one_line(options: dict[str, Any], fragments: list[str]) -> None:
    with raises_one_line(ValueError, *fragments):
        audit_fit(compiled(residual()), images(), **options)


@pytest.mark.parametrize("stage", [3, -1, 1.5])
def test_watch_refuses_what_audit_fit_refuses(stage: Any) -> None:
    with raises_one_line(ValueError, "stage"):
        watch(backbone=toy_backbone(), intended_stage=stage)
    with raises_one_line(ValueError, "needs the backbone"):
        watch(intended_stage=stage)


# Watching a real training -------------------------------------------------------------------------------------------


def test_watching_tlkit_fit() -> None:
    toy = toy_backbone()
    freeze_to(toy, 1)
    model = join(toy.model, build_head(toy, CLASSES, seed=0))
    before = model.get_weights()
    callback = watch(backbone=toy, intended_stage=1)
    tlkit.fit(model, random_split(24), epochs=2, learning_rate=1e-2, callbacks=[callback], progress=False)
    table = callback.table
    assert list(table.columns) == COLUMNS
    assert changes_in(table) == changes_by_hand(model, before)
    assert set(table["verdict"]) == AS_MEANT
    assert table.attrs["meant_by"] == "intended_stage=1"


def test_watching_a_keras_fit() -> None:
    model = optimizer_built()
    before = model.get_weights()
    callback = watch()
    model.fit(*images(), batch_size=8, epochs=2, verbose=0, callbacks=[callback])
    assert changes_in(callback.table) == changes_by_hand(model, before)
    assert set(callback.table["verdict"]) == {"learns, as meant"}


def test_watching_tells_of_a_flag_that_came_too_late() -> None:
    base = small_base()
    model = fitted(compiled(with_head(base)))
    base.trainable = False
    callback = watch()
    model.fit(*images(), batch_size=10, verbose=0, callbacks=[callback])
    assert rows_of(callback.table)["base/conv"]["verdict"] == "moved, though meant to be frozen"


def test_watching_changes_nothing() -> None:
    def trained(callbacks: list[Any]) -> list[np.ndarray]:
        keras.utils.set_random_seed(3)
        model = optimizer_built()
        model.fit(*images(), batch_size=8, epochs=2, verbose=0, callbacks=callbacks)
        return model.get_weights()

    assert same_weights(trained([watch()]), trained([]))


def test_watching_a_training_that_is_stopped() -> None:
    stop = threading.Event()

    class StopsAtBatch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if batch == 1:
                stop.set()

    model = with_head(small_base())
    before = model.get_weights()
    callback = watch()
    history = tlkit.fit(
        model,
        Split(*images()),
        epochs=5,
        learning_rate=1e-2,
        batch_size=4,
        callbacks=[StopsAtBatch(), callback],
        stop=stop,
        progress=False,
    )
    assert history.attrs["stopped"]
    assert changes_in(callback.table) == changes_by_hand(model, before)
    assert (callback.table["max_abs_change"] > 0).all()


def test_the_last_word_is_that_of_the_training() -> None:
    model = compiled(with_head(small_base()))
    model.optimizer.build(model.trainable_variables)
    callback = watch()
    model.fit(*images(), verbose=0, callbacks=[callback])
    table = callback.table
    model.get_layer("head").kernel.assign_add(np.ones((4, CLASSES)))
    pd.testing.assert_frame_equal(callback.table, table)
    table.loc[0, "verdict"] = "changed"
    assert callback.table.loc[0, "verdict"] != "changed"


def test_a_second_training_begins_anew() -> None:
    model = compiled(with_head(small_base()))
    model.optimizer.build(model.trainable_variables)
    callback = watch()
    model.fit(*images(), verbose=0, callbacks=[callback])
    before = model.get_weights()
    model.fit(*images(), verbose=0, callbacks=[callback])
    assert changes_in(callback.table) == changes_by_hand(model, before)


def test_the_table_before_the_training_is_an_error() -> None:
    with raises_one_line(ValueError, "must be given to fit before its table is read"):
        _ = watch().table


# The picture --------------------------------------------------------------------------------------------------------


def colors(ax: Any) -> dict[tuple[int, int], str]:
    """The colour of each filled patch by (layer, row)."""
    patches = [patch for patch in ax.patches if isinstance(patch, Rectangle) and patch.get_fill()]
    return {
        (round(patch.get_x() + patch.get_width() / 2), round(patch.get_y() + patch.get_height() / 2)): to_hex(
            patch.get_facecolor()
        )
        for patch in patches
    }


def expected_colors(table: pd.DataFrame) -> dict[tuple[int, int], str]:
    paint = {True: plots.TARGET_COLOR, False: plots.SOURCE_COLOR}
    found = {}
    for i, row in enumerate(table.to_dict("records")):
        found[i, 0] = paint[row["meant"] == "learn"]
        if row["weights"]:
            found[i, 1] = paint[bool(row["weights_moved"])]
        if row["statistics"]:
            found[i, 2] = paint[bool(row["statistics_moved"])]
    return found


@functools.cache  # nothing changes them
def tables() -> dict[str, pd.DataFrame]:
    toy, model = toy_classifier(1)
    base = small_base()
    bare = bare_batchnorm_base()
    return {
        "as meant": audit_fit(model, images(), backbone=toy, intended_stage=1),
        "not as meant": audit_fit(model, images(), backbone=toy, intended_stage=2),
        "flags": audit_fit(compiled(with_head(base)), images()),
        "bare": audit_fit(compiled(with_head(bare)), images(), backbone=bare, intended_stage=1),
    }


@pytest.mark.parametrize("name", ["as meant", "not as meant", "flags", "bare"])
def test_the_picture_shows_the_table(name: str) -> None:
    table = tables()[name]
    ax = plots.plot_audit(table)
    assert colors(ax) == expected_colors(table)
    wrong = np.flatnonzero(~table["verdict"].isin(AS_MEANT)).tolist()
    crosses = sorted({round(float(x)) for line in ax.lines if line.get_marker() == "x" for x in line.get_xdata()})
    assert crosses == wrong
    assert [label.get_text() for label in ax.get_yticklabels()] == ["meant", "weights", "statistics"]
    ticks = [label.get_text() for label in ax.get_xticklabels()]
    if name == "flags":
        assert ticks == ["conv", "bn", "head"]
    else:
        assert ticks == [str(stage) for stage in dict.fromkeys(table["stage"])]
    plt.close("all")


def test_the_picture_on_given_axes() -> None:
    table = tables()["as meant"]
    _, ax = plt.subplots()
    assert plots.plot_audit(table, ax=ax) is ax
    assert colors(ax) == expected_colors(table)
    plt.close("all")


@pytest.mark.parametrize("dropped", COLUMNS)
def test_a_table_of_something_else_is_an_error(dropped: str) -> None:
    table = tables()["as meant"].drop(columns=dropped)
    needed = {"layer", "stage", "meant", "weights", "weights_moved", "statistics", "statistics_moved", "verdict"}
    if dropped in needed:
        with raises_one_line(ValueError, "table must come from audit_fit"):
            plots.plot_audit(table)
    else:
        plots.plot_audit(table)
    plt.close("all")


def test_an_empty_table_is_an_error() -> None:
    with raises_one_line(ValueError, "table"):
        plots.plot_audit(tables()["as meant"].iloc[:0])


# Memory -------------------------------------------------------------------------------------------------------------

RESNET50 = """
import resource, sys, time
import numpy as np
import tlkit
from tlkit._keras import keras
from tlkit.audit import audit_fit

backbone = tlkit.load_backbone("resnet50", image_size=64, weights=None)
model = tlkit.join(backbone.model, tlkit.build_head(backbone, 10))
tlkit.freeze_to(backbone, 0)
rng = np.random.default_rng(0)
split = tlkit.Split(rng.integers(0, 256, (32, 64, 64, 3)).astype(np.uint8), np.arange(32) % 10)
model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)


def seconds(step, repeats=1):
    began = time.perf_counter()
    for _ in range(repeats):
        step()
    return (time.perf_counter() - began) / repeats


def train():
    model.train_on_batch(split.x, split.y)


def audit():
    audit_fit(model, split)


times = []
if "audit" in sys.argv:
    times = [seconds(audit), seconds(audit, 3)]
else:
    train()
if sys.platform == "linux":  # ru_maxrss would start there at the peak of the process that ran this one
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    print(1024 * int(status["VmHWM"].split()[0]))
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024))
if times:
    train()
    print(*times, seconds(train, 5))
"""


@pytest.mark.slow
@pytest.mark.bank
@pytest.mark.skipif(sys.platform == "win32", reason="no resource module")
def test_resnet50_stays_below_one_and_a_half_gigabytes(tmp_path: Path) -> None:
    """Or, on a machine where TensorFlow itself takes more, within a twentieth of a plain training step of Keras."""
    audited, plain = (run_python("-c", RESNET50, what, cwd=tmp_path, timeout=600) for what in ("audit", "plain"))
    assert audited.returncode == plain.returncode == 0, audited.stderr + plain.stderr
    peak, *seconds = (float(number) for number in audited.stdout.split())
    peak_of_training = float(plain.stdout)
    print(f"{peak / 1e9:.2f} GB, training alone {peak_of_training / 1e9:.2f} GB;", end=" ")
    print("first audit, later audit, training step (s):", seconds)
    assert peak < max(1.5e9, 1.05 * peak_of_training)


def linear_model() -> keras.Model:
    return keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])


@pytest.mark.parametrize("state", ["not compiled", "compiled", "fitted"])
@pytest.mark.parametrize("change", [5, -5])
def test_a_label_without_a_logit_is_named_and_nothing_moves(state: str, change: int) -> None:
    model, train = linear_model(), random_split(6)
    if state != "not compiled":
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    if state == "fitted":
        model.fit(train.x, train.y, verbose=0)
    before = model.get_weights()
    got = 2 + change if change > 0 else change
    with raises_one_line(ValueError, "labels must be in 0..2 (the head has 3 logits)", f"got {got}."):
        audit_fit(model, (train.x, train.y + change))
    assert same_weights(before, model)


def test_a_label_that_the_loss_passes_over_needs_no_logit() -> None:
    model, train = linear_model(), random_split(6)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255))
    y = np.where(np.arange(6) == 0, 255, train.y)
    assert len(audit_fit(model, (train.x, y))) == 1
