"""Notebook 03: the weights of a block, nearest neighbours among features, and a head behind any layer."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

from tlkit._keras import keras
from tlkit.backbones import load_backbone
from tlkit.exercises.answers import SECONDS, check_numbers
from tlkit.grading.checks import call_student, check_logits, check_same


def check_1(answer: Any) -> None:
    """This one block holds most of the network's weights: late stages are wide, as notebook 04 shows."""
    network = load_backbone("resnet_printed", weights=None).model
    block = [layer for layer in network.layers if layer.name.startswith("stage5")]
    kernels = [layer.kernel for layer in block if isinstance(layer, keras.layers.Conv2D)]
    wanted = sum(int(np.prod(kernel.shape)) for kernel in kernels)
    hint = "A kernel has height × width × channels in × channels out weights, and there are three kernels."
    check_numbers(answer, wanted, hint=hint)


def check_2(answer: Any) -> None:
    """Where features are good, the labels of the nearest ones will do, and nothing has to be trained."""

    def right(features: Any, labels: Any, new: Any) -> Any:
        return KNeighborsClassifier(1, metric="cosine").fit(features, labels).predict(new)

    def draw(rng: np.random.Generator) -> tuple[Any, Any, Any]:
        centres = rng.normal(size=(4, 6))
        labels = np.repeat(np.arange(4), 5)
        near = centres[labels] + 0.5 * rng.normal(size=(20, 6))
        lengths = rng.uniform(0.2, 5, size=(20, 1))  # as of bright and of dark pictures
        order = rng.permutation(20)
        return (near * lengths)[order], labels[order], rng.normal(size=(30, 6))

    check_same(
        answer,
        right,
        draw,
        seed=32,
        points=6,
        seconds=SECONDS,
        reread="the question: the cosine does not see the length",
    )


def check_3(answer: Any) -> None:
    """Any layer can be the end of a base; earlier ones know less of the source's classes, and have fewer channels."""
    for seed, name in ((331, "first"), (332, "second")):
        network = _network(seed)
        x = np.random.default_rng(seed).uniform(0, 255, size=(24, 12, 12, 1)).astype("float32")
        model = call_student(answer, (network, name, 3), kind=keras.Model, reread="section 9", seconds=SECONDS)
        check_logits(model, x, 3, reread="section 9: the head ends in logits")
        if len(model.trainable_weights) != 2:
            raise AssertionError(
                f"only the head's kernel and bias must learn, got {len(model.trainable_weights)} arrays that do."
            )
        _reads_the_average(model, network, name, x)
        before = [weight.numpy() for weight in model.non_trainable_weights]
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("sgd", loss, run_eagerly=True)  # a graph would take longer to make than to run
        model.fit(x, np.arange(len(x)) % 3, verbose=0)
        if not all(map(np.array_equal, before, (weight.numpy() for weight in model.non_trainable_weights))):
            raise AssertionError("in training the base must stand still, BatchNorm's statistics included.")


def _reads_the_average(model: keras.Model, network: keras.Model, name: str, x: Any) -> None:
    maps = np.asarray(keras.Model(network.input, network.get_layer(name).output)(x, training=False))
    kernel, bias = (weight.numpy() for weight in model.trainable_weights)
    logits = np.asarray(model(x, training=False))
    if kernel.shape[0] != maps.shape[-1] or not np.allclose(logits, maps.mean(axis=(1, 2)) @ kernel + bias, atol=1e-2):
        raise AssertionError(f"the head must read the average, over the positions, of what layer {name!r} gives.")


def _network(seed: int) -> keras.Model:
    starts = [keras.initializers.HeNormal(seed=seed + i) for i in range(3)]
    image = keras.Input((12, 12, 1))
    x = keras.layers.Rescaling(1 / 255)(image)
    for name, width, start in zip(("first", "second", "third"), (4, 6, 8), starts, strict=True):
        x = keras.layers.Conv2D(width, 3, padding="same", kernel_initializer=start)(x)
        x = keras.layers.BatchNormalization(momentum=0.9)(x)
        x = keras.layers.ReLU(name=name)(x)
    return keras.Model(image, keras.layers.Dense(5)(keras.layers.GlobalAveragePooling2D()(x)))
