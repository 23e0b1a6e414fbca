"""Notebook 12: how many weights LoRA has, how it is merged, which rank a change needs."""

from __future__ import annotations

from typing import Any

import numpy as np

from tlkit.grading.checks import call_student, check_example, check_result, check_same


def check_1(answer: Any) -> None:
    """LoRA grows with the sides of a kernel, the kernel with their product: the larger it is, the more LoRA saves."""
    reread = "notebook 12, section 1"
    check_example(answer, ([(12, 8)], 2), 2 * (12 + 8), reread=reread)

    def draw(rng: np.random.Generator) -> tuple[Any, ...]:
        return [tuple(map(int, shape)) for shape in rng.integers(4, 2000, size=(5, 2))], int(rng.integers(1, 17))

    def count(kernels: Any, rank: int) -> int:
        return int(rank * np.sum(kernels))

    check_same(answer, count, draw, seed=1201, tolerance=1e-9, reread=reread)


def check_2(answer: Any) -> None:
    """Merged, LoRA costs nothing more: one kernel, the same answers, and the old layer is still there."""
    from tlkit._keras import keras

    reread = "notebook 12, section 1"
    rng = np.random.default_rng(1202)
    for inputs, outputs, rank, alpha in ((6, 4, 2, 8.0), (5, 7, 3, 1.0)):
        dense = keras.layers.Dense(outputs)
        dense.build((None, inputs))
        old = [rng.normal(size=weight.shape).astype("float32") for weight in dense.weights]
        dense.set_weights(old)
        a = rng.normal(size=(inputs, rank)).astype("float32")
        b = rng.normal(size=(rank, outputs)).astype("float32")
        x = rng.normal(size=(9, inputs)).astype("float32")
        layer = call_student(answer, (dense, a.copy(), b.copy(), alpha), kind=keras.layers.Layer, reread=reread)
        if not all(np.array_equal(one, other) for one, other in zip(dense.get_weights(), old, strict=True)):
            raise AssertionError(f"merged must leave the old layer as it was, for the next task. Reread {reread}.")
        wanted = x @ old[0] + old[1] + alpha / rank * (x @ a) @ b
        if not np.allclose(np.asarray(layer(x)), wanted, atol=1e-3):
            raise AssertionError(
                f"merged must give what the layer and LoRA give together, and did not for rank {rank} and "
                f"alpha {alpha:g}. Reread {reread}."
            )
        count = sum(int(np.prod(weight.shape)) for weight in layer.weights)
        if count != inputs * outputs + outputs:
            raise AssertionError(
                f"merged must return a layer of {inputs * outputs + outputs} weights, as the old one, got {count}."
            )


def check_3(answer: Any) -> None:
    """The rank is what the change needs: where few directions hold nearly all of it, two thin matrices are enough."""

    def wrong(a: Any, b: Any, change: Any, share: float) -> str:
        left, right = np.array(a), np.array(b)
        squares = np.linalg.svd(change, compute_uv=False) ** 2
        needed = int(np.argmax(np.cumsum(squares) >= share * squares.sum())) + 1
        if (len(left), right.shape[-1]) != change.shape or left.shape[1] != len(right):
            return (
                f"must return thin matrices whose product has the shape {change.shape}, got {left.shape}, {right.shape}"
            )
        held = 1 - ((change - left @ right) ** 2).sum() / squares.sum()
        if held < share - 1e-6:
            return f"must hold {share:.3f} of the change, got {held:.3f} with rank {left.shape[1]}"
        if left.shape[1] > needed:
            return f"must find the smallest rank that holds {share:.3f}, which is {needed}, got {left.shape[1]}"
        return ""

    def draw(rng: np.random.Generator) -> tuple[Any, ...]:
        rows, columns, rank = (int(rng.integers(*ends)) for ends in ((6, 12), (6, 12), (1, 5)))
        change = rng.normal(size=(rows, rank)) @ rng.normal(size=(rank, columns))
        return change + 0.3 * rng.normal(size=(rows, columns)), float(rng.uniform(0.6, 0.97))

    check_result(answer, wrong, draw, seed=1203, results=2, dims=2, points=12, reread="notebook 12, section 1")
