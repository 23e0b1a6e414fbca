"""The article's job on ResNet50, done plainly and done with tlkit; random weights serve, the arithmetic is the same."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

N_TRAIN, N_VALIDATION, N_CLASSES = 100, 50, 10
EPOCHS, HIDDEN, IMAGE_SIZE, BATCH_SIZE = 10, 1024, 224, 32


@dataclass(frozen=True)
class Data:
    """Random images: only their number and shape matter for speed."""

    train: Any
    validation: Any


def make_data(image_size: int = IMAGE_SIZE) -> Data:
    """100 images to train on and 50 to validate with."""
    from tlkit import Split

    rng = np.random.default_rng(0)

    def split(n: int) -> Split:
        return Split(rng.integers(0, 256, (n, image_size, image_size, 3), dtype=np.uint8), np.arange(n) % N_CLASSES)

    return Data(split(N_TRAIN), split(N_VALIDATION))


def plain_keras(data: Data, *, trainable_from: str | None, epochs: int = EPOCHS) -> float:
    """The article's program: seconds of ``fit``, the model being built beforehand.

    ``trainable_from`` names the first layer that learns (BatchNorm stays frozen); ``None`` freezes the whole base.
    """
    import keras

    base = keras.applications.ResNet50(weights=None, include_top=False, input_shape=data.train.x.shape[1:])
    learns = False
    for layer in base.layers:
        learns = learns or layer.name == trainable_from
        layer.trainable = learns and not isinstance(layer, keras.layers.BatchNormalization)
    x = keras.layers.GlobalAveragePooling2D()(base.output)
    x = keras.layers.Dense(HIDDEN, activation="relu")(x)
    outputs = keras.layers.Dense(N_CLASSES, activation="softmax")(x)
    model = keras.Model(base.input, outputs)
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    pairs = [
        (part.x.astype("float32"), keras.utils.to_categorical(part.y, N_CLASSES))
        for part in (data.train, data.validation)
    ]
    start = time.perf_counter()
    model.fit(*pairs[0], validation_data=pairs[1], epochs=epochs, batch_size=BATCH_SIZE, verbose=0)
    return time.perf_counter() - start


def with_tlkit(data: Data, *, stage: int, cache_dir: Path | str) -> float:
    """The same job in one call: seconds of ``fine_tune``, the model being built beforehand."""
    import tlkit

    backbone = tlkit.load_backbone("resnet50", weights=None, image_size=data.train.x.shape[1])
    head = tlkit.build_head(backbone, N_CLASSES, hidden=(HIDDEN,))
    start = time.perf_counter()
    tlkit.fine_tune(
        backbone, head, data.train, validation=data.validation, stage=stage, epochs=EPOCHS, learning_rate=1e-3,
        batch_size=BATCH_SIZE, cache_dir=cache_dir, progress=False,
    )  # fmt: skip
    return time.perf_counter() - start


def floor(data: Data, *, stage: int) -> float:
    """The least that the job can take: one pass of the trunk over the images, and the training of what is left."""
    import tlkit
    from tlkit._keras import tf

    backbone = tlkit.load_backbone("resnet50", weights=None, image_size=data.train.x.shape[1])
    head = tlkit.build_head(backbone, N_CLASSES, hidden=(HIDDEN,))
    tlkit.freeze_to(backbone, stage)
    trunk, tail = tlkit.split_at(backbone, stage)
    model = tlkit.join(tail, head)
    run = tf.function(lambda batch: trunk(batch, training=False), reduce_retracing=True)
    start = time.perf_counter()
    features = [
        tlkit.Split(
            np.concatenate([run(part.x[i : i + BATCH_SIZE]).numpy() for i in range(0, len(part), BATCH_SIZE)]), part.y
        )
        for part in (data.train, data.validation)
    ]
    tlkit.fit(model, features[0], validation=features[1], epochs=EPOCHS, learning_rate=1e-3, batch_size=BATCH_SIZE)
    return time.perf_counter() - start
