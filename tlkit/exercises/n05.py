"""Notebook 05: how many steps a training has, warm-up and cosine, and weight decay on kernels alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tlkit._keras import keras
from tlkit.exercises.answers import check_numbers
from tlkit.grading.checks import call_student, check_example, check_same


def check_1(answer: Any) -> None:
    """The last batch of an epoch is smaller, and it is a step like the others."""
    check_numbers(answer, 8 * math.ceil(100 / 8), hint="How many batches has an epoch? The last one is smaller.")


def check_2(answer: Any) -> None:
    """The first steps are small while Adam's means settle, and the last ones are small to come to rest."""

    def right(step: int, steps: int, warm_up: int, highest: float) -> float:
        if step < warm_up:
            return highest * (step + 1) / warm_up
        return highest * math.cos(math.pi / 2 * (step - warm_up) / (steps - warm_up)) ** 2

    def draw(rng: np.random.Generator) -> tuple[int, int, int, float]:
        steps = int(rng.integers(20, 200))
        warm_up = int(rng.integers(2, steps // 2))
        return int(rng.integers(0, steps)), steps, warm_up, float(rng.uniform(1e-4, 1e-2))

    for step in (0, 9, 10, 55):  # the first step, the last of the warm-up, the first of the cosine, half of it
        check_example(answer, (step, 100, 10, 1.0), round(right(step, 100, 10, 1.0), 5), reread="the question")
    check_same(answer, right, draw, seed=52, points=20, reread="the question")


def check_3(answer: Any) -> None:
    """Decay pulls a kernel towards zero, and L2-SP towards where it started; biases and BatchNorm need neither."""
    rate, decay = 0.01, 0.3
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3, bias_initializer="ones"), keras.layers.BatchNormalization()]
    )
    optimizer = call_student(answer, (rate, decay), kind=keras.optimizers.Optimizer, reread="the question")
    before = [weight.numpy() for weight in model.trainable_weights]
    optimizer.build(model.trainable_weights)
    optimizer.apply([keras.ops.zeros_like(weight) for weight in model.trainable_weights])
    for weight, old in zip(model.trainable_weights, before, strict=True):
        kept = weight.numpy()
        if weight.name == "kernel" and not np.allclose(kept, old * (1 - rate * decay), rtol=1e-5):
            raise AssertionError("where the gradient is zero, a step must take rate × decay of a kernel away.")
        if weight.name != "kernel" and not np.array_equal(kept, old):
            raise AssertionError(f"{weight.name} must not decay: only kernels do.")
    before = [weight.numpy() for weight in model.trainable_weights]
    optimizer.apply([100 * keras.ops.ones_like(weight) for weight in model.trainable_weights])
    moved = abs(model.layers[0].bias.numpy() - before[1])
    if (moved > 2 * rate).any() or not moved.all():
        raise AssertionError("the optimizer must be Adam, whose steps are about as large as the rate.")
