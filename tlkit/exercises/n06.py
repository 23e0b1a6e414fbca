"""Notebook 06: a turn as a share of the circle, mixup by hand, and cached views in plain Keras."""

from __future__ import annotations

from typing import Any

import numpy as np

from tlkit._keras import keras
from tlkit.exercises.answers import check_numbers
from tlkit.grading.checks import call_student, check_same


def check_1(answer: Any) -> None:
    """An argument's unit stands in the documentation alone: 9 would turn the image anywhere, without an error."""
    check_numbers(answer, 9 / 360, tolerance=1e-3, hint="The factor is a share of a full turn: section 1.")


def check_2(answer: Any) -> None:
    """The loss then asks for a share of both classes, and their shares add up to one."""

    def right(x: Any, y: Any, partner: Any, weight: Any, n_classes: int) -> tuple[Any, Any]:
        images, labels = np.zeros_like(x), np.zeros((len(x), n_classes))
        for i, (j, share) in enumerate(zip(partner, weight, strict=True)):
            images[i] = share * x[i] + (1 - share) * x[j]
            labels[i, y[i]] += share
            labels[i, y[j]] += 1 - share
        return images, labels

    def draw(rng: np.random.Generator) -> tuple[Any, ...]:
        n, classes = int(rng.integers(5, 9)), int(rng.integers(3, 6))
        x = rng.uniform(0, 255, size=(n, 4, 3, 2))
        return x, rng.integers(classes, size=n), rng.permutation(n), rng.uniform(size=n), classes

    check_same(answer, right, draw, seed=62, points=6, reread="section 5")


def check_3(answer: Any) -> None:
    """The base has seen each view once, and a head may now learn for as many epochs as it likes."""
    views, n = 3, 10
    level = 20.0 * np.arange(n)  # of each image: its features tell which image they come from
    x = np.broadcast_to(level[:, None, None, None], (n, 4, 4, 1)).astype("float32")
    y = np.random.default_rng(63).permutation(n) % 4
    base = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten()])
    augment = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.GaussianNoise(1.0, seed=63)])
    got = call_student(answer, (base, augment, x, y, views), kind=tuple, reread="section 7")
    if len(got) != 2:
        raise AssertionError(f"cached_views must return features and labels, got {len(got)} results.")
    features, labels = (np.asarray(part) for part in got)
    if features.shape != (views * n, 16) or labels.shape != (views * n,):
        raise AssertionError(
            f"features and labels must have the shapes {(views * n, 16)} and {(views * n,)}, "
            f"got {features.shape} and {labels.shape}."
        )
    image = np.abs(features.mean(axis=1)[:, None] - level).argmin(axis=1)
    if not (np.bincount(image, minlength=n) == views).all():
        raise AssertionError(f"each image must have {views} views.")
    if not np.array_equal(labels, y[image]):
        raise AssertionError("each view must have the label of its own image: in which order do the views stand?")
    if not len(np.unique(features, axis=0)) == views * n:
        raise AssertionError("the views of an image must differ: augmentation layers do nothing unless training=True.")
