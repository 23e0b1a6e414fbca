"""Notebook 00: a head's weights, the best guesses by name, and a fine-tuning that holds BatchNorm."""

from __future__ import annotations

from typing import Any

import numpy as np

from tlkit._keras import keras
from tlkit.exercises.answers import SECONDS, check_numbers
from tlkit.grading.checks import call_student, check_moved, check_unmoved, copy_weights

RATE = 3e-5  # of notebook 00's section 6


def check_1(answer: Any) -> None:
    """Few weights learn, so few photographs can do: the base keeps its more than three million as they are."""
    head = keras.layers.Dense(7)
    head.build((None, 1280))
    check_numbers(answer, head.count_params(), hint="Each class has one weight per feature, and one bias.")


def check_2(answer: Any) -> None:
    """A softmax keeps the order of the logits, and makes numbers of them that add up to one over all classes."""
    rng = np.random.default_rng(2)
    for _ in range(5):
        names = [f"class {number}" for number in rng.permutation(9)]
        logits = rng.normal(scale=2, size=len(names))
        got = call_student(answer, (logits.copy(), list(names)), kind=object, reread="section 7")
        try:
            pairs = [(name, float(share)) for name, share in dict(got).items()]
        except (TypeError, ValueError):
            raise AssertionError(
                f"best_three must return a dictionary from names to numbers, got a {type(got).__name__}."
            ) from None
        best = np.argsort(-logits)[:3]
        if [name for name, _ in pairs] != [names[k] for k in best]:
            raise AssertionError("best_three must give the three names with the largest logits, the largest first.")
        shares = np.exp(logits) / np.exp(logits).sum()
        if not np.allclose([share for _, share in pairs], shares[best], atol=1e-4):
            raise AssertionError("the numbers must be probabilities: those of a softmax over all classes.")


def check_3(answer: Any) -> None:
    """The flags, the compile and the rate: all three have to be right, and no error tells you that one is missing."""
    rng = np.random.default_rng(3)
    x = rng.normal(3, 2, size=(32, 6, 6, 3)).astype("float32")  # far from the mean 0 that BatchNorm starts with
    y = np.arange(32) % 3
    model, base = _trained_with_a_frozen_base(x, y)
    before = copy_weights(model)
    call_student(answer, (model, base, x, y), kind=object, reread="section 6", seconds=SECONDS)
    check_moved(before, model, layers=["convolution"], reread="section 6: a changed flag works after a new compile")
    check_unmoved(before, model, layers=["norm"], reread="section 6: the BatchNorm layers stay frozen")
    rate = float(model.optimizer.learning_rate)
    if not np.isclose(rate, RATE, rtol=1e-3):
        raise AssertionError(f"the rate must be {RATE:g}, got {rate:g}: the head's rate is too large for the base.")


def _trained_with_a_frozen_base(x: Any, y: Any) -> tuple[keras.Model, keras.Model]:
    image = keras.Input(x.shape[1:])
    maps = keras.layers.Conv2D(4, 3, name="convolution", kernel_initializer=keras.initializers.HeNormal(seed=3))(image)
    maps = keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.9, name="norm")(maps))
    base = keras.Model(image, keras.layers.GlobalAveragePooling2D()(maps), name="base")
    base.trainable = False
    inputs = keras.Input(x.shape[1:])
    model = keras.Model(inputs, keras.layers.Dense(3, name="head")(base(inputs)))
    model.compile(keras.optimizers.Adam(3e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.optimizer.build(model.trainable_variables)  # or fit would make its graph twice, the second time with them
    model.fit(x, y, verbose=0)
    return model, base
