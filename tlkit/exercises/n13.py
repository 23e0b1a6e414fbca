"""Notebook 13: a flag that does not arrive, an audit by hand, a cut that holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from tlkit.exercises.answers import SECONDS
from tlkit.grading.checks import call_student, copy_weights


def check_1(answer: Any) -> None:
    """The base's own flag was True all the time, so setting it again did nothing; the last layer's flag did."""
    from tlkit._keras import keras

    units = keras.layers.Dense(6), keras.layers.BatchNormalization(), keras.layers.Dense(4)
    base = keras.Sequential([keras.Input((8,)), *units])
    for layer in base.layers:
        layer.trainable = False
    base.trainable = True
    base.layers[-1].trainable = True
    if not isinstance(answer, int | np.integer):
        raise AssertionError(f"Give one whole number, got {answer!r}.")
    if answer == sum(len(layer.weights) for layer in base.layers):
        raise AssertionError("Not all of them: BatchNorm's statistics too?")
    if answer == 0:
        raise AssertionError("The last line sets a flag that was False: does this one arrive?")
    if answer != len(base.trainable_variables):
        raise AssertionError(
            f"It is not {answer}: does `base.trainable = True` reach the layers? Reread notebook 13, exhibit 2, "
            "or run it."
        )


def check_2(answer: Any) -> None:
    """The weights say what happened, whatever the flags say; and an audit leaves the model as it was."""
    reread = "notebook 13, section 10"
    x = np.random.default_rng(1302).normal(size=(24, 6)).astype("float32")
    y = np.arange(24) % 3
    for trap, model in _models(x, y):
        before = copy_weights(model)
        model.fit(x, y, verbose=0)
        wanted = {
            path.split("/")[-2] for (path, old), now in zip(before, model.weights, strict=True) if (old != now).any()
        }
        model.set_weights([old for _, old in before])
        got = call_student(answer, (model, x, y), kind=object, reread=reread, seconds=SECONDS)
        if not isinstance(got, set | frozenset | list | tuple):
            raise AssertionError(f"layers_moved must return a set of names, got a {type(got).__name__}.")
        if set(got) != wanted:
            raise AssertionError(
                f"layers_moved must return {sorted(wanted)} {trap}, got {sorted(map(str, got))}. Reread {reread}."
            )
        back = [np.array_equal(old, now) for (_, old), now in zip(before, model.weights, strict=True)]
        if not all(back):
            raise AssertionError(
                f"layers_moved must put all weights back, and {back.count(False)} of {len(back)} differ."
            )


def _models(x: Any, y: Any) -> Iterator[tuple[str, Any]]:
    """Models that are compiled, each with what is special about it."""
    from tlkit._keras import keras

    def built(name: str, *, eagerly: bool = True) -> Any:  # a graph would take longer to make than to run
        drawn = [{"kernel_initializer": keras.initializers.GlorotUniform(seed=seed)} for seed in (1302, 1303)]
        one, norm = keras.layers.Dense(5, name="one", **drawn[0]), keras.layers.BatchNormalization(name="norm")
        two = keras.layers.Dense(3, name="two", **drawn[1])
        model = keras.Sequential([keras.Input((6,)), one, norm, two], name=name)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("adam", loss, run_eagerly=eagerly)
        return model

    frozen = built("frozen")
    frozen.get_layer("one").trainable = frozen.get_layer("norm").trainable = False
    yield "where two layers are frozen as they should be", frozen
    drifting = built("drifting")
    for variable in (*drifting.get_layer("one").weights, *drifting.get_layer("norm").trainable_variables):
        variable.trainable = False
    yield "where variables are frozen and BatchNorm's statistics are not", drifting
    late = built("late", eagerly=False)  # it is the graph that does not see the flags
    late.optimizer.build(late.trainable_variables)  # or fit would make it twice, the second time with them
    late.fit(x, y, verbose=0)
    late.get_layer("one").trainable = late.get_layer("norm").trainable = False
    yield "where the flags came after `compile` and `fit`", late


def check_3(answer: Any) -> None:
    """What is cut once stays cut: training may shuffle anew in each epoch, for it never meets what validates."""
    reread = "notebook 13, exhibit 11"
    labels = np.repeat(np.arange(4), 20)  # sorted, as a folder is read
    for seed in (0, 1):
        x = np.random.default_rng(1303 + seed).permutation(80).astype("float32")[:, None]
        parts = call_student(answer, (x, labels.copy(), seed), kind=tuple, reread=reread, seconds=SECONDS)
        if len(parts) != 2:
            raise AssertionError(f"two_parts must return a training and a validation part, got {len(parts)}.")
        label_of = dict(zip(x[:, 0].tolist(), labels.tolist(), strict=True))
        train, validation = ([_epoch(part, label_of) for _ in range(3)] for part in parts)
        trained, validated = ({one for epoch in epochs for one in epoch} for epochs in (train, validation))
        shared = len(trained & validated)
        if shared:
            raise AssertionError(
                f"No example may train and validate, but over three epochs {shared} do. Reread {reread}."
            )
        if not all(len(epoch) == 60 for epoch in train):
            raise AssertionError("Three quarters of the examples must train in each epoch.")
        if not all(len(epoch) == 20 for epoch in validation):
            raise AssertionError("A quarter of the examples must validate in each epoch.")
        if len(trained | validated) != 80:
            raise AssertionError("Each example must stand in one of the two parts.")
        classes = {label_of[one] for one in validated}
        if len(classes) < 2:
            raise AssertionError(f"Shuffle before the cut: all {len(validated)} that validate are of class {classes}.")
        if train[0] == train[1]:
            raise AssertionError("The training part must come in a new order in each epoch, and does not.")


def _epoch(part: Iterable[Any], label_of: dict[float, int]) -> list[float]:
    """The examples of one pass, in order; each must have its own label."""
    found: list[float] = []
    for images, labels in part:
        for image, label in zip(np.asarray(images), np.asarray(labels), strict=True):
            if label_of[float(image[0])] != label:
                raise AssertionError("Each example must keep its label.")
            found.append(float(image[0]))
    return found
