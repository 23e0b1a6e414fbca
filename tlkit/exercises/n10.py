"""Notebook 10: the figure that may be reported, labels that contradict each other, a model to take away."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from tlkit.export import load_safely
from tlkit.grading.checks import call_student, check_result, check_same
from tlkit.words import said

_HALF = 1.96  # standard deviations that a 95 % interval reaches to each side
_KINDS = 0.2  # the part of it by which one kind of interval may differ from another
_SIDE, _CLASSES = 12, 3


def check_1(answer: Any) -> None:
    """The validation part chooses, the test part reports: so the figure is that of one way, read once."""

    def wrong(got: Any, validation: Any, test: Any, n: int) -> str:
        best = float(test[int(np.argmax(validation))])
        half = _HALF * np.sqrt(best * (1 - best) / n)
        if len(got) != 3:
            return f"must return three numbers, got {len(got)}"
        if abs(got[0] - best) > 1e-6:
            return f"must report the test accuracy of the way that validation chooses, {best:.3f}, got {got[0]:.3f}"
        if max(abs(got[1] - best + half), abs(got[2] - best - half)) > _KINDS * half:
            return f"must give the interval {best - half:.3f} to {best + half:.3f}, got {got[1]:.3f} to {got[2]:.3f}"
        return ""

    def draw(rng: np.random.Generator) -> tuple[Any, ...]:
        validation = rng.permutation(np.linspace(0.5, 0.85, 6))
        return validation, np.roll(validation, 1) + rng.uniform(-0.01, 0.01, 6), int(rng.integers(200, 600))

    check_result(answer, wrong, draw, seed=1001, dims=1, reread="notebook 10, section 6")


def check_2(answer: Any) -> None:
    """Of each such picture at least one label is wrong: no classifier gets them all right, and no score says why."""

    def contradictions(images: Any, y: Any) -> list[int]:
        known = [image.tobytes() for image in images]
        return [i for i, image in enumerate(known) if len({y[j] for j in range(len(y)) if known[j] == image}) > 1]

    def draw(rng: np.random.Generator) -> tuple[Any, ...]:
        which = np.array([0, 0, 1, 1, 2, 2, 2, 3, 4, 5, 6])  # two pairs, one of three, and single ones
        labels = np.array([0, 1, 2, 2, 1, 1, 0, 0, 1, 2, 0])
        order = rng.permutation(len(which))
        images = rng.integers(0, 256, size=(7, 6, 6, 3), dtype=np.uint8)
        return images[which[order]], labels[order]

    check_same(answer, contradictions, draw, seed=1002, tolerance=1e-9, reread="notebook 10, section 2")


def check_3(answer: Any) -> None:
    """What stands inside the model goes where it goes: whoever loads the file gives it a photograph, and no recipe."""
    from tlkit._keras import keras

    reread = "notebook 10, section 9"
    kernels = [{"kernel_initializer": keras.initializers.GlorotUniform(seed=seed)} for seed in (1003, 1004)]
    pixels, features = keras.Input((_SIDE, _SIDE, 3)), keras.Input((_SIDE - 2, _SIDE - 2, 5))
    base = keras.Model(pixels, keras.layers.Conv2D(5, 3, **kernels[0])(keras.layers.Rescaling(1 / 255)(pixels)))
    head = keras.Model(
        features, keras.layers.Dense(_CLASSES, **kernels[1])(keras.layers.GlobalAveragePooling2D()(features))
    )
    head.layers[-1].kernel.assign(3 * head.layers[-1].kernel)  # answers far from alike
    model = call_student(answer, (base, head, _SIDE), kind=keras.Model, reread=reread)

    def like_the_parts(loaded: Any, file: str) -> None:
        for height, width in ((_SIDE, _SIDE), (20, 31)):
            x = np.random.default_rng(height).integers(0, 256, size=(4, height, width, 3)).astype("float32")
            logits = head(base(keras.layers.Resizing(_SIDE, _SIDE)(x)))
            try:
                got = np.asarray(loaded(x))
            except ValueError:
                got = None
            size = f"photographs of {height} × {width} pixels"
            if got is None:
                raise AssertionError(f"The model must take {size}, and did not. Reread {reread}.")
            wanted = np.asarray(keras.ops.softmax(logits))
            if got.shape != wanted.shape:
                raise AssertionError(f"The output must have the shape {wanted.shape}, got {got.shape}.")
            if not np.allclose(got, wanted, atol=1e-4):
                raise AssertionError(
                    f"The {file} must give the probabilities of base and head for {size}, in the order resize, base, "
                    f"head, softmax; its rows add up to {got.sum(axis=1).astype(float).round(3).tolist()}. "
                    f"Reread {reread}."
                )

    like_the_parts(model, "model")
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras saves with one that NumPy 2 gives
        path = Path(folder) / "model.keras"
        model.save(path)
        try:
            loaded = load_safely(path, "The saved file")
        except ValueError as error:
            raise AssertionError(said(error)) from None
        like_the_parts(loaded, "file")
