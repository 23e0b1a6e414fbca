"""Notebook 09: what a program trains, what a figure is worth, the program repaired."""

from __future__ import annotations

from typing import Any

import numpy as np

from tlkit.grading.checks import (
    call_student,
    check_example,
    check_logits,
    check_moved,
    check_same,
    check_unmoved,
    copy_weights,
)

_VERDICTS = ("above", "below", "undecided")
_CLASSES = 4


def check_1(answer: Any) -> None:
    """Only the head learns, which is no fine-tuning; and the hidden layer makes this head a large one."""
    reread = "notebook 09, section 5"
    check_example(answer, (3, 2, 2), 3 * 2 + 2 + 2 * 2 + 2, reread=reread)

    def count(channels: int, hidden: int, n_classes: int) -> int:
        return (channels + 1) * hidden + (hidden + 1) * n_classes

    def draw(rng: np.random.Generator) -> tuple[Any, ...]:
        return tuple(int(number) for number in rng.integers(2, 2000, size=3))

    check_same(answer, count, draw, seed=901, tolerance=1e-9, reread=reread)


def check_2(answer: Any) -> None:
    """An accuracy says something once a baseline stands beside it, and an interval around it."""
    reread = "notebook 09, section 6, and notebook 07, section 4"
    rng = np.random.default_rng(902)
    # So many standard deviations apart that every kind of 95 % interval gives the same verdict.
    for away, wanted in ((-4, "below"), (-1.5, "undecided"), (0.2, "undecided"), (1.5, "undecided"), (2.6, "above")):
        n = int(rng.integers(300, 900))
        right = round(n * rng.uniform(0.6, 0.8))
        accuracy = right / n
        baseline = accuracy - away * np.sqrt(accuracy * (1 - accuracy) / n)
        got = call_student(answer, (right, n, float(baseline)), kind=str, reread=reread)
        if got not in _VERDICTS:
            raise AssertionError(f'verdict must return "above", "below" or "undecided", got {got[:40]!r}.')
        if got != wanted:
            raise AssertionError(
                f"verdict must return {wanted!r} for {right} right of {n} and a baseline of {baseline:.3f}, "
                f"got {got!r}. Reread {reread}."
            )


def check_3(answer: Any) -> None:
    """The preparation stands inside the model, and the loss knows what it gets: nobody can forget either."""
    from tlkit._keras import keras

    reread = "notebook 09, section 12"
    seen: dict[str, Any] = {}

    class Seen(keras.layers.Layer):  # type: ignore[misc]  # Keras' types are imported lazily
        """Keeps what goes into the base."""

        def call(self, x: Any) -> Any:
            seen["last"] = x
            return x

    kernel = keras.initializers.GlorotUniform(seed=903)
    pixels = keras.Input((8, 8, 3))
    features = keras.layers.BatchNormalization()(keras.layers.Conv2D(5, 3, kernel_initializer=kernel)(Seen()(pixels)))
    base = keras.Model(pixels, keras.layers.ReLU()(features), name="base")
    model = call_student(answer, (base, _CLASSES), kind=keras.Model, reread=reread)
    x = np.random.default_rng(903).integers(0, 256, size=(16, 8, 8, 3)).astype("float32")
    y = np.arange(16) % _CLASSES

    check_logits(model, x, _CLASSES, reread=reread)  # calls the model, so that the base sees x
    given = np.asarray(seen["last"]) if hasattr(seen["last"], "numpy") else None
    if given is None:
        raise AssertionError(f"The model must hold the base that it is given. Reread {reread}.")
    if not np.allclose(given, x / 127.5 - 1, atol=1e-4):
        raise AssertionError(
            f"Pixels from 0 to 255 must reach the base as numbers from -1 to 1, got {given.min():.3g} to "
            f"{given.max():.3g}. Reread {reread}."
        )
    logits = np.asarray(model(x, training=False), dtype=float)
    right = np.mean(np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(16), y])
    model.run_eagerly = True  # graphs would take longer to make than to run
    if not np.isclose(model.evaluate(x, y, verbose=0, return_dict=True)["loss"], right, rtol=1e-3):
        raise AssertionError(
            f"The loss must read the outputs as logits, and the labels as whole numbers. Reread {reread}."
        )
    before, base_before = copy_weights(model), copy_weights(base)
    model.fit(x, y, verbose=0)
    check_unmoved(base_before, base, reread=reread)
    check_moved(before, model, reread=reread)
