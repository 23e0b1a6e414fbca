"""The traps of fine-tuning as small programs: each with near misses that look alike and are right.

Every function returns a :class:`Given`, what :func:`tlkit.audit.diagnose` is to be given. ``TRAPS`` and ``NEAR_MISSES``
hold them under the name of the rule that must find, or must not find, something.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from helpers import toy_backbone

from tlkit._keras import keras, tf
from tlkit.audit import Findings, diagnose
from tlkit.backbones import Backbone
from tlkit.domains import Split
from tlkit.features import cache_features, split_at
from tlkit.freezing import freeze_to
from tlkit.heads import build_head, join

CLASSES = 3


@dataclass(frozen=True)
class Given:
    """What to diagnose, and which other rules may speak too, because the trap has that consequence."""

    model: keras.Model
    options: dict[str, Any] = field(default_factory=dict)
    also: frozenset[str] = frozenset()
    unchecked: bool = False  # the rule is right to say that it cannot tell
    step: bool = True  # with training data and compiled, a training step can be taken

    def diagnose(self) -> Findings:
        return diagnose(self.model, **self.options)


Program = Callable[[], Given]
TRAPS: dict[str, list[Program]] = {}
NEAR_MISSES: dict[str, list[Program]] = {}


def trap(rule: str) -> Callable[[Program], Program]:
    def register(program: Program) -> Program:
        TRAPS.setdefault(rule, []).append(program)
        return program

    return register


def near_miss(rule: str) -> Callable[[Program], Program]:
    def register(program: Program) -> Program:
        NEAR_MISSES.setdefault(rule, []).append(program)
        return program

    return register


def programs(registry: dict[str, list[Program]]) -> list[Any]:
    """The registry as parameters of a test."""
    import pytest

    return [
        pytest.param(rule, program, id=f"{rule}-{program.__name__}")
        for rule, group in registry.items()
        for program in group
    ]


# Material -----------------------------------------------------------------------------------------------------------


def images(n: int = 24, *, seed: int = 0, classes: int = CLASSES) -> tuple[np.ndarray, np.ndarray]:
    """Noise ``(n, 8, 8, 1)`` ``uint8`` and labels, every class equally often."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (n, 8, 8, 1)).astype(np.uint8), rng.permutation(np.arange(n) % classes)


def one_hot(y: np.ndarray, classes: int = CLASSES) -> np.ndarray:
    return np.eye(classes, dtype=np.float32)[y]


def small_base(*, batchnorm: bool = True, rescale: bool = True, name: str = "base") -> keras.Model:
    """Convolution, BatchNorm, pooling: a backbone of one stage, from ``(n, 8, 8, 1)`` to ``(n, 4)``."""
    image = keras.Input((8, 8, 1), name="image")
    x: Any = keras.layers.Rescaling(1 / 255, name="rescale")(image) if rescale else image
    x = keras.layers.Conv2D(4, 3, kernel_initializer=keras.initializers.GlorotUniform(seed=1), name="conv")(x)
    if batchnorm:
        # Three steps and nothing is left of the start, so that the momentum rule has nothing to say.
        x = keras.layers.BatchNormalization(momentum=0.1, name="bn")(x)
    x = keras.layers.ReLU(name="relu")(x)
    return keras.Model(image, keras.layers.GlobalAveragePooling2D(name="pool")(x), name=name)


def with_head(
    base: keras.Model, *, classes: int = CLASSES, activation: str | None = None, training: bool | None = None
) -> keras.Model:
    """``base`` as a nested model, and a dense layer ``head`` on it."""
    image = keras.Input(base.input_shape[1:], name="picture")
    x = base(image) if training is None else base(image, training=training)
    start = keras.initializers.GlorotUniform(seed=2)
    logits = keras.layers.Dense(classes, activation=activation, kernel_initializer=start, name="head")(x)
    return keras.Model(image, logits, name="classifier")


LOGITS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def compiled(model: keras.Model, loss: Any = LOGITS, optimizer: Any = None) -> keras.Model:
    # Without XLA, which takes seconds to compile what runs for milliseconds.
    optimizer = keras.optimizers.Adam(1e-3) if optimizer is None else optimizer
    model.compile(optimizer, loss, metrics=["accuracy"], jit_compile=False)
    return model


def fitted(model: keras.Model, batch_size: int = 10) -> keras.Model:
    """Three steps of a real ``fit``; an optimizer that is built before has them traced once and not twice.

    A batch size that divides the 24 examples would be part of the traced signature, which the audit then has to find.
    """
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    model.fit(*images(), batch_size=batch_size, epochs=1, verbose=0)
    return model


def toy_classifier(stage: int, *, train_batchnorm: bool = False) -> tuple[Backbone, keras.Model]:
    """tlkit's own way: a backbone of two stages frozen to ``stage``, and a head."""
    toy = toy_backbone()
    freeze_to(toy, stage, train_batchnorm=train_batchnorm)
    return toy, compiled(join(toy.model, build_head(toy, CLASSES, seed=0)))


@functools.cache  # for diagnoses alone, which change nothing
def sound_model() -> keras.Model:
    return compiled(with_head(small_base()))


def head_loss(history: dict[str, Iterable[float]]) -> Given:
    """A history on a sound model."""
    return Given(sound_model(), {"train": images(), "history": history})


# Weights that move --------------------------------------------------------------------------------------------------


@trap("weights-move-while-frozen")
def never_frozen() -> Given:
    base = small_base()
    options = {"train": images(), "backbone": base, "intended_stage": 1}
    return Given(compiled(with_head(base)), options, frozenset({"batchnorm-moves-after-unfreezing"}))


@trap("weights-move-while-frozen")
def never_frozen_and_never_compiled() -> Given:
    base = small_base(batchnorm=False)
    return Given(with_head(base), {"backbone": base, "intended_stage": 1})


@trap("weights-move-while-frozen")
def frozen_one_stage_too_few() -> Given:
    toy, model = toy_classifier(1)
    return Given(model, {"train": images(), "backbone": toy, "intended_stage": 2})


@near_miss("weights-move-while-frozen")
def frozen_and_compiled() -> Given:
    base = small_base()
    base.trainable = False
    return Given(compiled(with_head(base)), {"train": images(), "backbone": base, "intended_stage": 1})


@near_miss("weights-move-while-frozen")
def frozen_to_the_stage() -> Given:
    toy, model = toy_classifier(1)
    return Given(model, {"train": images(), "backbone": toy, "intended_stage": 1})


@near_miss("weights-move-while-frozen")
def frozen_and_not_compiled() -> Given:
    base = small_base()
    base.trainable = False
    return Given(with_head(base), {"backbone": base, "intended_stage": 1})


@trap("batchnorm-moves-while-frozen")
def batchnorm_flag_set_in_a_frozen_model() -> Given:
    # The outermost model's flag decides what learns; the layer's own flag decides whether BatchNorm counts on.
    base = small_base()
    model = keras.Model(base.input, keras.layers.Dense(CLASSES, name="head")(base.output))
    model.trainable = False
    model.get_layer("bn").trainable = True
    return Given(compiled(model), {"train": images()}, frozenset({"head-frozen"}))


@trap("batchnorm-moves-while-frozen")
def weights_frozen_one_by_one() -> Given:
    base = small_base()
    for weight in base.trainable_variables:
        weight.trainable = False
    return Given(compiled(with_head(base)), {"train": images()})


@trap("batchnorm-moves-while-frozen")
def batchnorm_without_weights_forgotten() -> Given:
    base = bare_batchnorm_base()
    base.get_layer("conv").trainable = False
    options = {"train": images(), "backbone": base, "intended_stage": 1}
    return Given(compiled(with_head(base)), options, frozenset({"batchnorm-moves-after-unfreezing"}))


@near_miss("batchnorm-moves-while-frozen")
def frozen_as_a_whole() -> Given:
    base = small_base()
    base.trainable = False
    return Given(compiled(with_head(base)), {"train": images()})


@near_miss("batchnorm-moves-while-frozen")
def bare_batchnorm_that_learns() -> Given:
    return Given(compiled(with_head(bare_batchnorm_base())), {"train": images()})


@near_miss("batchnorm-moves-while-frozen")
def normalization_keeps_still() -> Given:
    image = keras.Input((8, 8, 1))
    layer = keras.layers.Normalization(axis=-1)
    layer.adapt(images()[0].astype(np.float32))
    x = keras.layers.Flatten()(layer(image))
    return Given(compiled(keras.Model(image, keras.layers.Dense(CLASSES)(x))), {"train": images()})


def bare_batchnorm_base() -> keras.Model:
    """BatchNorm that has statistics only."""
    image = keras.Input((8, 8, 1), name="image")
    x = keras.layers.Conv2D(4, 3, name="conv")(keras.layers.Rescaling(1 / 255, name="rescale")(image))
    x = keras.layers.BatchNormalization(scale=False, center=False, momentum=0.1, name="bn")(x)
    return keras.Model(image, keras.layers.GlobalAveragePooling2D(name="pool")(x), name="base")


@trap("batchnorm-moves-after-unfreezing")
def unfrozen_with_its_batchnorm() -> Given:
    base = small_base()
    options = {"train": images(), "backbone": base, "intended_stage": 0}
    # What was meant holds BatchNorm still: that it learns is that rule's finding as well.
    return Given(compiled(with_head(base)), options, frozenset({"weights-move-while-frozen"}))


@trap("batchnorm-moves-after-unfreezing")
def stage_unfrozen_with_its_batchnorm() -> Given:
    toy, model = toy_classifier(1, train_batchnorm=True)
    also = frozenset({"weights-move-while-frozen"})
    return Given(model, {"train": images(), "backbone": toy, "intended_stage": 1}, also)


@near_miss("batchnorm-moves-after-unfreezing")
def unfrozen_without_its_batchnorm() -> Given:
    base = small_base()
    base.get_layer("bn").trainable = False
    return Given(compiled(with_head(base)), {"train": images(), "backbone": base, "intended_stage": 0})


@near_miss("batchnorm-moves-after-unfreezing")
def batchnorm_meant_to_learn() -> Given:
    base = small_base()
    options = {"train": images(), "backbone": base, "intended_stage": 0, "train_batchnorm": True}
    return Given(compiled(with_head(base)), options)


@near_miss("batchnorm-moves-after-unfreezing")
def batchnorm_of_the_head() -> Given:
    base = small_base(batchnorm=False)
    x = keras.layers.BatchNormalization(momentum=0.1)(base.output)
    model = keras.Model(base.input, keras.layers.Dense(CLASSES)(x))
    return Given(compiled(model), {"train": images(), "backbone": base, "intended_stage": 0})


def frozen_but(model: keras.Model, *learning: type[keras.layers.Layer]) -> keras.Model:
    """All layers of the model frozen, one by one, but for those of these kinds."""
    for layer in model.layers:
        layer.trainable = isinstance(layer, learning)
    return model


def two_convs(between: keras.layers.Layer, *before: keras.layers.Layer) -> keras.Model:
    """Layers to begin with, two convolutions and a layer between them, pooled: a backbone without a head."""
    start = keras.initializers.GlorotUniform(seed=1)
    image = x = keras.Input((8, 8, 1), name="image")
    convs = [keras.layers.Conv2D(4, 3, kernel_initializer=start, name=f"conv{i}") for i in (1, 2)]
    for layer in (keras.layers.Rescaling(1 / 255), *before, convs[0], between, keras.layers.ReLU(), convs[1]):
        x = layer(x)
    return keras.Model(image, keras.layers.GlobalAveragePooling2D(name="pool")(x), name="base")


def flat_head(base: keras.Model, *first: keras.layers.Layer) -> keras.Model:
    """``base`` continued in its own graph: further layers, and a dense one."""
    x = base.output
    for layer in first:
        x = layer(x)
    start = keras.initializers.GlorotUniform(seed=2)
    return keras.Model(base.input, keras.layers.Dense(CLASSES, kernel_initializer=start, name="head")(x))


def quick_batchnorm() -> keras.layers.Layer:
    return keras.layers.BatchNormalization(momentum=0.1)


@trap("batchnorm-moves-after-unfreezing")
def all_frozen_but_batchnorm_and_no_backbone_named() -> Given:
    base = frozen_but(small_base(), keras.layers.BatchNormalization)
    return Given(compiled(with_head(base)), {"train": images()})


@trap("batchnorm-moves-after-unfreezing")
def all_frozen_but_batchnorm_two_models_deep() -> Given:
    inner = with_head(frozen_but(small_base(), keras.layers.BatchNormalization))
    image = keras.Input((8, 8, 1))
    return Given(compiled(keras.Model(image, inner(image), name="outer")), {"train": images()})


@trap("batchnorm-moves-after-unfreezing")
def all_frozen_but_batchnorm_in_one_graph() -> Given:
    base = frozen_but(two_convs(quick_batchnorm()), keras.layers.BatchNormalization)
    return Given(compiled(flat_head(base)), {"train": images()})


@trap("batchnorm-moves-after-unfreezing")
def all_frozen_but_batchnorm_and_never_compiled() -> Given:
    return Given(flat_head(frozen_but(two_convs(quick_batchnorm()), keras.layers.BatchNormalization)))


@trap("batchnorm-moves-after-unfreezing")
def all_frozen_but_batchnorm_without_weights() -> Given:
    base = frozen_but(bare_batchnorm_base(), keras.layers.BatchNormalization)
    return Given(compiled(with_head(base)), {"train": images()})


@trap("batchnorm-moves-after-unfreezing")
def all_frozen_but_batchnorm_in_a_subclassed_model() -> Given:
    base = frozen_but(small_base(), keras.layers.BatchNormalization)
    return Given(compiled(Wrapped(with_head(base))), {"train": images()})


@near_miss("batchnorm-moves-after-unfreezing")
def trained_from_scratch() -> Given:
    # Or fine-tuned as a whole, with its BatchNorm: without a backbone named nobody can tell.
    return Given(compiled(with_head(small_base())), {"train": images()}, unchecked=True)


@near_miss("batchnorm-moves-after-unfreezing")
def trained_from_scratch_in_one_graph() -> Given:
    return Given(compiled(flat_head(two_convs(quick_batchnorm()))), {"train": images()}, unchecked=True)


@near_miss("batchnorm-moves-after-unfreezing")
def all_frozen_with_batchnorm_and_no_backbone_named() -> Given:
    return Given(compiled(with_head(frozen_but(small_base()))), {"train": images()})


@near_miss("batchnorm-moves-after-unfreezing")
def all_frozen_with_batchnorm_in_one_graph() -> Given:
    return Given(compiled(flat_head(frozen_but(two_convs(quick_batchnorm())))), {"train": images()})


@near_miss("batchnorm-moves-after-unfreezing")
def batchnorm_of_the_head_on_a_frozen_base() -> Given:
    base = frozen_but(small_base(batchnorm=False))
    x = quick_batchnorm()(base.output)
    return Given(compiled(keras.Model(base.input, keras.layers.Dense(CLASSES)(x))), {"train": images()}, unchecked=True)


@near_miss("batchnorm-moves-after-unfreezing")
def batchnorm_of_the_head_beside_frozen_batchnorm() -> Given:
    base = frozen_but(two_convs(quick_batchnorm()))
    head = quick_batchnorm(), keras.layers.Dense(4, name="hidden"), quick_batchnorm()
    return Given(compiled(flat_head(base, *head)), {"train": images()}, unchecked=True)


@near_miss("batchnorm-moves-after-unfreezing")
def batchnorm_that_normalises_the_input_of_a_frozen_base() -> Given:
    base = two_convs(keras.layers.Identity(), quick_batchnorm())
    model = flat_head(frozen_but(base, keras.layers.BatchNormalization))
    return Given(compiled(model), {"train": images()}, unchecked=True)


@near_miss("batchnorm-moves-after-unfreezing")
def all_frozen_but_layernorm() -> Given:
    base = frozen_but(two_convs(keras.layers.LayerNormalization()), keras.layers.LayerNormalization)
    return Given(compiled(flat_head(base)), {"train": images()})


@near_miss("batchnorm-moves-after-unfreezing")
def layers_between_frozen_ones_learn_with_their_batchnorm() -> Given:
    # Adapters: what was added learns, BatchNorm with it.
    between = keras.Sequential([keras.layers.Conv2D(4, 1), quick_batchnorm()], name="adapter")
    base = two_convs(between)
    for name in ("conv1", "conv2"):
        base.get_layer(name).trainable = False
    return Given(compiled(flat_head(base)), {"train": images()}, unchecked=True)


@near_miss("batchnorm-moves-after-unfreezing")
def upper_layers_of_a_nested_base_learn_with_their_batchnorm() -> Given:
    base = two_convs(quick_batchnorm())
    base.get_layer("conv1").trainable = False
    return Given(compiled(with_head(base)), {"train": images()}, unchecked=True)


@near_miss("batchnorm-moves-after-unfreezing")
def batchnorm_in_a_nested_model_of_its_own() -> Given:
    before_head = keras.Sequential([quick_batchnorm(), keras.layers.Dropout(0.1, seed=0)], name="before_head")
    base = frozen_but(small_base(batchnorm=False))
    return Given(compiled(flat_head(base, before_head)), {"train": images()}, unchecked=True)


@near_miss("batchnorm-moves-after-unfreezing")
def batchnorm_alone_meant_to_learn() -> Given:
    base = frozen_but(small_base(), keras.layers.BatchNormalization)
    return Given(compiled(with_head(base)), {"train": images(), "train_batchnorm": True})


@near_miss("batchnorm-moves-after-unfreezing")
def batchnorm_on_another_input_than_the_frozen_base() -> Given:
    base, numbers = frozen_but(two_convs(keras.layers.ReLU())), keras.Input((5,), name="numbers")
    x = quick_batchnorm()(numbers)
    for _ in range(4):
        x = keras.layers.ReLU()(x)
    both = keras.layers.Concatenate()([base.output, x])
    model = keras.Model([base.input, numbers], keras.layers.Dense(CLASSES)(both))
    return Given(compiled(model), unchecked=True)


@trap("training-false-relied-on")
def called_with_training_false() -> Given:
    return Given(compiled(with_head(small_base(), training=False)), {"train": images()})


@trap("training-false-relied-on")
def called_with_training_false_two_models_deep() -> Given:
    inner = with_head(small_base(), training=False)
    image = keras.Input((8, 8, 1))
    return Given(compiled(keras.Model(image, inner(image), name="outer")), {"train": images()})


@trap("training-false-relied-on")
def batchnorm_called_with_training_false() -> Given:
    image = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(4, 3)(keras.layers.Rescaling(1 / 255)(image))
    x = keras.layers.BatchNormalization(momentum=0.1)(x, training=False)
    x = keras.layers.GlobalAveragePooling2D()(x)
    # Keras does honour it here or it does not: what the rule says must be what a step shows (see its test).
    return Given(compiled(keras.Model(image, keras.layers.Dense(CLASSES)(x))), {"train": images()})


@near_miss("training-false-relied-on")
def training_false_and_batchnorm_frozen() -> Given:
    base = small_base()
    base.get_layer("bn").trainable = False
    return Given(compiled(with_head(base, training=False)), {"train": images()})


@near_miss("training-false-relied-on")
def training_false_and_base_frozen() -> Given:
    base = small_base()
    base.trainable = False
    return Given(compiled(with_head(base, training=False)), {"train": images()})


@near_miss("training-false-relied-on")
def training_false_without_batchnorm() -> Given:
    return Given(compiled(with_head(small_base(batchnorm=False), training=False)), {"train": images()})


# What is meant to learn ---------------------------------------------------------------------------------------------


@trap("trainable-changed-after-compile")
def frozen_after_a_fit() -> Given:
    base = small_base()
    model = fitted(compiled(with_head(base)), batch_size=8)
    base.trainable = False
    return Given(model, {"train": images()}, frozenset({"weights-move-while-frozen", "batchnorm-moves-while-frozen"}))


@trap("trainable-changed-after-compile")
def unfrozen_after_a_fit() -> Given:
    base = small_base()
    base.trainable = False
    model = fitted(compiled(with_head(base)))
    base.trainable = True
    return Given(model, {"train": images()})


@near_miss("trainable-changed-after-compile")
def compiled_again() -> Given:
    base = small_base()
    model = fitted(compiled(with_head(base)))
    base.trainable = False
    return Given(compiled(model), {"train": images()})


@near_miss("trainable-changed-after-compile")
def changed_before_the_first_fit() -> Given:
    base = small_base()
    model = compiled(with_head(base))
    base.trainable = False
    return Given(model, {"train": images()})


@near_miss("trainable-changed-after-compile")
def compiled_again_and_fitted() -> Given:
    base = small_base()
    model = fitted(compiled(with_head(base)))
    base.trainable = False
    return Given(fitted(compiled(model)), {"train": images()})


@near_miss("trainable-changed-after-compile")
def changed_back() -> Given:
    base = small_base()
    model = fitted(compiled(with_head(base)))
    base.trainable = False
    base.trainable = True
    return Given(model, {"train": images()})


@trap("unfreeze-without-effect")
def frozen_in_a_loop_and_unfrozen_as_a_model() -> Given:
    base = small_base()
    for layer in base.layers:
        layer.trainable = False
    base.trainable = True
    return Given(compiled(with_head(base)), {"train": images(), "backbone": base, "intended_stage": 0})


@trap("unfreeze-without-effect")
def stage_still_frozen() -> Given:
    toy, model = toy_classifier(2)
    return Given(model, {"train": images(), "backbone": toy, "intended_stage": 1})


@trap("unfreeze-without-effect")
def layers_unfrozen_in_a_frozen_model() -> Given:
    # The outermost model's flag: while it is False, nothing learns, whatever the layers say.
    base = small_base(batchnorm=False)
    model = keras.Model(base.input, keras.layers.Dense(CLASSES, name="head")(base.output))
    model.trainable = False
    for layer in model.layers:
        layer.trainable = True
    options = {"train": images(), "backbone": base, "intended_stage": 0}
    return Given(compiled(model), options, frozenset({"head-frozen"}))


@near_miss("unfreeze-without-effect")
def layers_unfrozen_in_a_frozen_nested_model() -> Given:
    # The same in a nested model does learn.
    base = small_base(batchnorm=False)
    base.trainable = False
    base.get_layer("conv").trainable = True
    return Given(compiled(with_head(base)), {"train": images(), "backbone": base, "intended_stage": 0})


@near_miss("unfreeze-without-effect")
def unfrozen_layer_by_layer() -> Given:
    base = small_base()
    for layer in base.layers:
        layer.trainable = False
    for layer in base.layers:
        layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
    return Given(compiled(with_head(base)), {"train": images(), "backbone": base, "intended_stage": 0})


@near_miss("unfreeze-without-effect")
def frozen_in_a_loop_as_meant() -> Given:
    base = small_base()
    for layer in base.layers:
        layer.trainable = False
    return Given(compiled(with_head(base)), {"train": images(), "backbone": base, "intended_stage": 1})


@near_miss("unfreeze-without-effect")
def frozen_in_a_loop_for_feature_extraction() -> Given:
    # Nobody said that it should learn, and the model's own flag has been True since it was built.
    base = small_base()
    for layer in base.layers:
        layer.trainable = False
    return Given(compiled(with_head(base)), {"train": images(), "backbone": base}, unchecked=True)


@trap("head-frozen")
def everything_frozen_but_the_base() -> Given:
    model = with_head(small_base(batchnorm=False))
    model.get_layer("head").trainable = False
    return Given(compiled(model), {"train": images()})


@trap("head-frozen")
def everything_frozen() -> Given:
    base = small_base()
    model = with_head(base)
    model.trainable = False
    return Given(compiled(model), {"backbone": base, "intended_stage": 1})


@trap("head-frozen")
def head_of_two_layers_frozen() -> Given:
    toy = toy_backbone()
    freeze_to(toy, 1)
    head = build_head(toy, CLASSES, hidden=(5,), seed=0)
    head.trainable = False
    return Given(compiled(join(toy.model, head)), {"train": images(), "backbone": toy, "intended_stage": 1})


@near_miss("head-frozen")
def base_frozen_only() -> Given:
    base = small_base()
    base.trainable = False
    return Given(compiled(with_head(base)), {"train": images()})


@near_miss("head-frozen")
def first_layer_of_the_head_frozen() -> Given:
    base = small_base()
    base.trainable = False
    x = keras.layers.Dense(5, activation="relu", name="hidden")(base.output)
    model = keras.Model(base.input, keras.layers.Dense(CLASSES, name="last")(x))
    model.get_layer("hidden").trainable = False
    return Given(compiled(model), {"train": images(), "backbone": base})


@near_miss("head-frozen")
def subclassed_with_the_head_set_first() -> Given:
    class HeadFirst(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.head = keras.layers.Dense(CLASSES)
            self.base = small_base()
            self.base.trainable = False

        def call(self, x: Any, training: bool | None = None) -> Any:
            return self.head(self.base(x, training=training))

    model = HeadFirst()
    model(images()[0])
    return Given(compiled(model), {"train": images()}, unchecked=True)


@trap("misspelt-attribute")
def trainabel() -> Given:
    base = small_base(batchnorm=False)
    base.get_layer("conv").trainabel = False
    return Given(compiled(with_head(base)), {"train": images()})


@trap("misspelt-attribute")
def requires_grad() -> Given:
    base = small_base(batchnorm=False)
    base.requires_grad = False
    return Given(with_head(base))


@trap("misspelt-attribute")
def on_the_model_itself() -> Given:
    model = with_head(small_base(batchnorm=False))
    model.Trainable = False
    return Given(compiled(model))


class Scaled(keras.layers.Layer):
    """A learner's own layer, with flags of its own."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name=name)
        self.trainable_scale = True
        self.frozen = False
        self.training = True

    def call(self, x: Any) -> Any:
        return 2.0 * x


@near_miss("misspelt-attribute")
def flags_of_an_own_layer() -> Given:
    image = keras.Input((8, 8, 1))
    x = keras.layers.Flatten()(Scaled(name="own")(keras.layers.Rescaling(1 / 255)(image)))
    return Given(compiled(keras.Model(image, keras.layers.Dense(CLASSES)(x))))


@near_miss("misspelt-attribute")
def other_attributes() -> Given:
    model = with_head(small_base())
    model.get_layer("base").trainable = False
    model.get_layer("base").origin = "printed"
    model.get_layer("head").is_new = True
    return Given(compiled(model))


@trap("optimizer-of-other-variables")
def optimizer_of_another_model() -> Given:
    optimizer = keras.optimizers.Adam()
    fitted(compiled(with_head(small_base()), optimizer=optimizer))
    return Given(compiled(with_head(small_base()), optimizer=optimizer), {"train": images()}, step=False)


@trap("optimizer-of-other-variables")
def optimizer_of_the_old_head() -> Given:
    optimizer = keras.optimizers.Adam()
    base = small_base()
    fitted(compiled(with_head(base), optimizer=optimizer))
    return Given(compiled(with_head(base), optimizer=optimizer), {"train": images()}, step=False)


@near_miss("optimizer-of-other-variables")
def optimizer_of_its_own() -> Given:
    base = small_base()
    fitted(compiled(with_head(base)))
    return Given(fitted(compiled(with_head(base))), {"train": images()})


@near_miss("optimizer-of-other-variables")
def optimizer_not_built_yet() -> Given:
    return Given(compiled(with_head(small_base())), {"train": images()})


# Loss and labels ----------------------------------------------------------------------------------------------------


def ending_in(
    *layers: keras.layers.Layer, loss: Any = "sparse_categorical_crossentropy", step: bool = True, **options: Any
) -> Given:
    """A base, and ``layers`` after it."""
    base = small_base()
    x = base.output
    for layer in layers:
        x = layer(x)
    return Given(compiled(keras.Model(base.input, x), loss), {"train": images(), **options}, step=step)


@trap("softmax-twice")
def softmax_layer_after_softmax_activation() -> Given:
    return ending_in(keras.layers.Dense(CLASSES, activation="softmax"), keras.layers.Softmax())


@trap("softmax-twice")
def softmax_twice_around_a_reshape() -> Given:
    shape = keras.layers.Reshape((CLASSES,))
    return ending_in(keras.layers.Dense(CLASSES, activation="softmax"), shape, keras.layers.Activation("softmax"))


@trap("softmax-twice")
def softmax_in_a_nested_head_and_after_it() -> Given:
    head = keras.Sequential([keras.Input((4,)), keras.layers.Dense(CLASSES), keras.layers.Softmax()], name="head")
    return ending_in(head, keras.layers.Softmax())


@trap("softmax-twice")
def softmax_as_a_function() -> Given:
    base = small_base()
    x = keras.layers.Dense(CLASSES, activation="softmax")(base.output)
    model = keras.Model(base.input, keras.ops.softmax(x))
    return Given(compiled(model, "sparse_categorical_crossentropy"))


@near_miss("softmax-twice")
def one_softmax() -> Given:
    return ending_in(keras.layers.Dense(CLASSES), keras.layers.Softmax())


@near_miss("softmax-twice")
def softmax_as_attention_before_the_head() -> Given:
    return ending_in(keras.layers.Dense(4, activation="softmax"), keras.layers.Dense(CLASSES, activation="softmax"))


@trap("probabilities-read-as-logits")
def softmax_and_from_logits() -> Given:
    return ending_in(keras.layers.Dense(CLASSES, activation="softmax"), loss=LOGITS)


@trap("probabilities-read-as-logits")
def softmax_and_from_logits_behind_a_reshape() -> Given:
    return ending_in(keras.layers.Dense(CLASSES, activation="softmax"), keras.layers.Reshape((CLASSES,)), loss=LOGITS)


@trap("probabilities-read-as-logits")
def softmax_and_from_logits_in_a_subclassed_model() -> Given:
    model = keras.Sequential([small_base(), keras.layers.Dense(CLASSES, activation="softmax")])
    return Given(compiled(Wrapped(model), LOGITS), {"train": images()})


@trap("probabilities-read-as-logits")
def sigmoid_and_from_logits() -> Given:
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    return ending_in(keras.layers.Dense(1, activation="sigmoid"), loss=loss, train=images(classes=2))


class Wrapped(keras.Model):
    """The same model without a graph that can be read."""

    def __init__(self, model: keras.Model) -> None:
        super().__init__(name="wrapped")
        self.inner = model
        self(np.zeros((1, 8, 8, 1), np.uint8))

    def call(self, x: Any, training: bool | None = None) -> Any:
        return self.inner(x, training=training)


@near_miss("probabilities-read-as-logits")
def logits_and_from_logits() -> Given:
    return ending_in(keras.layers.Dense(CLASSES), loss=LOGITS)


@near_miss("probabilities-read-as-logits")
def softmax_in_the_middle() -> Given:
    return ending_in(keras.layers.Dense(4, activation="softmax"), keras.layers.Dense(CLASSES), loss=LOGITS)


@near_miss("probabilities-read-as-logits")
def softmax_and_probabilities() -> Given:
    return ending_in(keras.layers.Dense(CLASSES, activation="softmax"))


@near_miss("probabilities-read-as-logits")
def sigmoid_gate_before_the_head() -> Given:
    return ending_in(keras.layers.Activation("sigmoid"), keras.layers.Dense(CLASSES), loss=LOGITS)


@trap("logits-read-as-probabilities")
def logits_and_the_name_of_the_loss() -> Given:
    return ending_in(keras.layers.Dense(CLASSES))


@trap("logits-read-as-probabilities")
def logits_behind_a_reshape() -> Given:
    return ending_in(keras.layers.Dense(CLASSES), keras.layers.Reshape((CLASSES,)))


@trap("logits-read-as-probabilities")
def logits_of_convolutions_pooled() -> Given:
    image = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(CLASSES, 3)(keras.layers.Rescaling(1 / 255)(image))
    model = keras.Model(image, keras.layers.GlobalAveragePooling2D()(x))
    return Given(compiled(model, "sparse_categorical_crossentropy"), {"train": images()})


@near_miss("logits-read-as-probabilities")
def softmax_behind_a_reshape() -> Given:
    return ending_in(keras.layers.Dense(CLASSES, activation="softmax"), keras.layers.Reshape((CLASSES,)))


@near_miss("logits-read-as-probabilities")
def mean_of_two_softmaxes() -> Given:
    base = small_base()
    parts = [keras.layers.Dense(CLASSES, activation="softmax")(base.output) for _ in range(2)]
    model = keras.Model(base.input, keras.layers.Average()(parts))
    return Given(compiled(model, "sparse_categorical_crossentropy"), {"train": images()})


def masked_crossentropy(labels: Any, logits: Any) -> Any:
    """A learner's own loss: only its author knows that it takes logits."""
    return keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)


@near_miss("logits-read-as-probabilities")
def own_loss_function_that_takes_logits() -> Given:
    given = ending_in(keras.layers.Dense(CLASSES), loss=masked_crossentropy)
    return Given(given.model, given.options, unchecked=True)


class OwnCrossentropy(keras.losses.Loss):
    """A learner's own loss class, with the configuration that every loss inherits."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return masked_crossentropy(y_true, y_pred)


@near_miss("logits-read-as-probabilities")
def own_loss_class_that_takes_logits() -> Given:
    given = ending_in(keras.layers.Dense(CLASSES), loss=OwnCrossentropy())
    return Given(given.model, given.options, unchecked=True)


@near_miss("logits-read-as-probabilities")
def regression() -> Given:
    x, y = images()
    return ending_in(keras.layers.Dense(1), loss="mse", train=(x, y / 7))


@trap("label-shape")
def one_hot_for_the_sparse_loss() -> Given:
    x, y = images()
    return ending_in(keras.layers.Dense(CLASSES), loss=LOGITS, train=(x, one_hot(y)), step=False)


@trap("label-shape")
def indices_for_the_one_hot_loss() -> Given:
    return ending_in(keras.layers.Dense(CLASSES, activation="softmax"), loss="categorical_crossentropy", step=False)


@near_miss("label-shape")
def column_of_indices_for_the_sparse_loss() -> Given:
    x, y = images()
    return ending_in(keras.layers.Dense(CLASSES), loss=LOGITS, train=(x, y[:, None]))


@near_miss("label-shape")
def one_hot_for_the_one_hot_loss() -> Given:
    x, y = images()
    softmax = keras.layers.Dense(CLASSES, activation="softmax")
    return ending_in(softmax, loss="categorical_crossentropy", train=(x, one_hot(y)))


@near_miss("label-shape")
def several_labels_an_image() -> Given:
    x, y = images()
    sigmoid = keras.layers.Dense(CLASSES, activation="sigmoid")
    return ending_in(sigmoid, loss="binary_crossentropy", train=(x, one_hot(y)))


@trap("class-count")
def one_class_too_many() -> Given:
    return ending_in(keras.layers.Dense(CLASSES), loss=LOGITS, train=images(classes=CLASSES + 1), step=False)


@trap("class-count")
def labels_from_one() -> Given:
    x, y = images()
    return ending_in(keras.layers.Dense(CLASSES), loss=LOGITS, train=(x, y + 1), step=False)


@trap("class-count")
def thousand_outputs_for_three_classes() -> Given:
    return ending_in(keras.layers.Dense(1000), loss=LOGITS)


@trap("class-count")
def one_hot_labels_of_another_width() -> Given:
    x, y = images()
    softmax = keras.layers.Dense(5, activation="softmax")
    return ending_in(softmax, loss="categorical_crossentropy", train=(x, one_hot(y)), step=False)


@near_miss("class-count")
def one_output_for_two_classes() -> Given:
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    return ending_in(keras.layers.Dense(1), loss=loss, train=images(classes=2))


@near_miss("class-count")
def highest_class_missing() -> Given:
    x, y = images()
    return ending_in(keras.layers.Dense(CLASSES + 1), loss=LOGITS, train=(x, y))


@near_miss("class-count")
def whole_numbers_as_targets_of_a_regression() -> Given:
    x, y = images()
    return ending_in(keras.layers.Dense(1), loss="mse", train=(x, 20 + y))


# What enters the backbone -------------------------------------------------------------------------------------------


def behind(layer: keras.layers.Layer, base: keras.Model, x: np.ndarray | None = None) -> Given:
    """``layer`` before ``base``."""
    image = keras.Input((8, 8, 1), name="picture")
    features = base(layer(image))
    if len(features.shape) > 2:
        features = keras.layers.GlobalAveragePooling2D()(features)
    model = keras.Model(image, keras.layers.Dense(CLASSES, name="head")(features))
    raw, y = images()
    return Given(compiled(model), {"train": (raw if x is None else x, y)})


@trap("rescaled-twice")
def rescaled_before_a_base_that_rescales() -> Given:
    return behind(keras.layers.Rescaling(1 / 255, name="outside"), small_base())


@trap("rescaled-twice")
def rescaled_twice_in_a_flat_model() -> Given:
    scales = [keras.layers.Rescaling(1 / 255), keras.layers.Rescaling(1 / 127.5, offset=-1)]
    layers = [*scales, keras.layers.Flatten(), keras.layers.Dense(CLASSES)]
    return Given(compiled(keras.Sequential([keras.Input((8, 8, 1)), *layers])), {"train": images()})


@near_miss("rescaled-twice")
def rescaled_to_one_then_shifted() -> Given:
    return behind(keras.layers.Rescaling(2.0, offset=-1.0), small_base(rescale=True))


@near_miss("rescaled-twice")
def one_rescaling_in_each_of_two_branches() -> Given:
    image = keras.Input((8, 8, 1))
    branches = []
    for scale in (1 / 255, 1 / 127.5):
        x = keras.layers.Flatten()(keras.layers.Rescaling(scale)(image))
        branches.append(keras.layers.Dense(4)(x))
    model = keras.Model(image, keras.layers.Dense(CLASSES)(keras.layers.Concatenate()(branches)))
    return Given(compiled(model), {"train": images()})


@trap("already-scaled")
def divided_by_hand_as_well() -> Given:
    x, y = images()
    return Given(sound_model(), {"train": ((x / 255).astype(np.float32), y)})


@trap("already-scaled")
def divided_by_hand_for_a_backbone() -> Given:
    toy, model = toy_classifier(2)
    x, y = images()
    options = {"train": Split((x / 255).astype(np.float32), y), "backbone": toy, "intended_stage": 2}
    return Given(model, options)


@near_miss("already-scaled")
def raw_pixels() -> Given:
    return Given(sound_model(), {"train": images()})


@near_miss("already-scaled")
def divided_by_hand_only() -> Given:
    x, y = images()
    base = small_base(rescale=False)
    return Given(compiled(with_head(base)), {"train": ((x / 255).astype(np.float32), y)})


@near_miss("already-scaled")
def cached_features_of_a_backbone() -> Given:
    toy = toy_backbone()
    x, y = images()
    trunk, tail = split_at(toy, 1)
    cached = cache_features(trunk, Split(x, y))
    model = join(tail, build_head(toy, CLASSES, seed=0))
    freeze_to(toy, 1)
    return Given(compiled(model), {"train": cached, "backbone": toy, "intended_stage": 1})


@trap("input-statistics")
def raw_pixels_for_a_network_of_minus_one_to_one() -> Given:
    base = small_base(rescale=False, name="mobilenetv2_1.00_32")
    return Given(compiled(with_head(base)), {"train": images()})


@trap("input-statistics")
def zero_to_one_for_a_network_of_minus_one_to_one() -> Given:
    return behind(keras.layers.Rescaling(1 / 255), small_base(rescale=False, name="xception"))


@trap("input-statistics")
def zero_to_one_for_a_network_of_raw_pixels() -> Given:
    x, y = images()
    base = small_base(name="efficientnetb0")
    options = {"train": ((x / 255).astype(np.float32), y)}
    return Given(compiled(with_head(base)), options, frozenset({"already-scaled"}))


@trap("input-statistics")
def not_centred_for_a_resnet() -> Given:
    return Given(compiled(with_head(small_base(rescale=False, name="resnet50"))), {"train": images()})


@near_miss("input-statistics")
def minus_one_to_one_as_wanted() -> Given:
    return behind(keras.layers.Rescaling(1 / 127.5, offset=-1), small_base(rescale=False, name="mobilenetv2_1.00_32"))


@near_miss("input-statistics")
def raw_pixels_as_wanted() -> Given:
    return Given(compiled(with_head(small_base(name="efficientnetb0"))), {"train": images()})


@near_miss("input-statistics")
def centred_as_wanted() -> Given:
    return behind(keras.layers.Rescaling(1.0, offset=-110.0), small_base(rescale=False, name="resnet50"))


@near_miss("input-statistics")
def name_that_no_network_has() -> Given:
    return Given(compiled(with_head(small_base(rescale=False, name="my_net"))), {"train": images()}, unchecked=True)


# Statistics and features --------------------------------------------------------------------------------------------


def slow_batchnorm(momentum: float) -> keras.Model:
    image = keras.Input((8, 8, 1))
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(image))
    x = keras.layers.BatchNormalization(momentum=momentum)(x)
    return compiled(keras.Model(image, keras.layers.Dense(CLASSES)(x)))


@functools.cache  # for diagnoses alone, which change nothing
def long_trained(*, shrunk: int = 1) -> keras.Model:
    """Statistics that have counted fifteen batches of the images, divided by ``shrunk``; then three steps of a fit.

    What BatchNorm counts here are the images themselves: no weight stands before it that would have to learn.
    """
    model = slow_batchnorm(0.3)
    for batch in np.split(images()[0] // shrunk, 3) * 5:
        model(tf.constant(batch), training=True)
    model.layers[3].momentum = 0.99
    return fitted(model)


@trap("batchnorm-momentum-too-slow")
def three_steps_at_the_default_momentum() -> Given:
    return Given(fitted(slow_batchnorm(0.99)), {"train": images()})


@trap("batchnorm-momentum-too-slow")
def few_epochs_by_the_history() -> Given:
    return Given(slow_batchnorm(0.99), {"train": images(), "history": {"loss": [1.0, 0.9], "accuracy": [0.5, 0.6]}})


@near_miss("batchnorm-momentum-too-slow")
def long_trained_statistics_and_no_backbone_named() -> Given:
    """Three steps since it was loaded and compiled; what came before fits these data."""
    return Given(long_trained(), {"train": images()})


@trap("batchnorm-momentum-too-slow")
def three_steps_and_no_data_to_compare_with() -> Given:
    return Given(fitted(slow_batchnorm(0.99)))


@near_miss("batchnorm-momentum-too-slow")
def long_trained_and_no_data_to_compare_with() -> Given:
    return Given(long_trained())


@trap("batchnorm-momentum-too-slow")
def long_trained_on_data_of_another_scale() -> Given:
    return Given(long_trained(shrunk=8), {"train": images()})


@near_miss("batchnorm-momentum-too-slow")
def three_steps_at_a_quick_momentum() -> Given:
    return Given(fitted(slow_batchnorm(0.3)), {"train": images()})


@near_miss("batchnorm-momentum-too-slow")
def pretrained_statistics() -> Given:
    toy, model = toy_classifier(2)
    return Given(fitted(model), {"train": images(), "backbone": toy, "intended_stage": 2})


@near_miss("batchnorm-momentum-too-slow")
def frozen_statistics() -> Given:
    model = slow_batchnorm(0.99)
    model.layers[3].trainable = False
    return Given(fitted(compiled(model)), {"train": images()})


def cached(change: Callable[[Backbone], None], **kinds: Any) -> Given:
    toy, model = toy_classifier(1)
    data = Split(*images())
    trunk, _ = split_at(toy, 1)
    features = cache_features(trunk, data, **kinds)
    change(toy)
    return Given(model, {"train": data, "backbone": toy, "intended_stage": 1, "features": features})


@trap("cache-stale")
def trunk_changed_after_caching() -> Given:
    def change(toy: Backbone) -> None:
        kernel = toy.model.get_layer("one_conv").kernel
        kernel.assign(kernel + 0.1)

    return cached(change)


@trap("cache-stale")
def cached_at_another_stage() -> Given:
    given = cached(lambda toy: None)
    trunk, _ = split_at(given.options["backbone"], 2)
    whole = cache_features(trunk, given.options["train"])
    # The toy's stages give maps of one shape: only the values tell them apart.
    return Given(given.model, {**given.options, "features": whole})


@trap("cache-stale")
def cached_of_other_images() -> Given:
    given = cached(lambda toy: None)
    return Given(given.model, {**given.options, "train": Split(*images(seed=1))})


@near_miss("cache-stale")
def tail_changed_after_caching() -> Given:
    def change(toy: Backbone) -> None:
        kernel = toy.model.get_layer("two_a_conv").kernel
        kernel.assign(kernel + 0.1)

    return cached(change)


@near_miss("cache-stale")
def cached_in_half_precision() -> Given:
    given = cached(lambda toy: None)
    features = given.options["features"]
    half = Split(features.x.astype(np.float16), features.y)
    return Given(given.model, {**given.options, "features": half})


# Splits -------------------------------------------------------------------------------------------------------------


def sound(**options: Any) -> Given:
    """A sound model, and data that may not be."""
    return Given(sound_model(), options)


def prints(n: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Blots: smooth images, as different from each other as handwriting."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (n, 4, 4, 1)).astype(np.float32)
    return np.repeat(np.repeat(coarse, 2, axis=1), 2, axis=2).astype(np.uint8), np.arange(n) % CLASSES


@trap("same-image-in-two-splits")
def split_before_removing_duplicates() -> Given:
    x, y = images()
    other, labels = images(12, seed=1)
    return sound(train=(x, y), test=(np.concatenate([other, x[:2]]), np.concatenate([labels, y[:2]])))


@trap("same-image-in-two-splits")
def same_image_as_floats() -> Given:
    x, y = images()
    other, labels = images(12, seed=1)
    test = np.concatenate([other, x[:1]]).astype(np.float32)
    return sound(train=(x, y), validation=images(12, seed=2), test=(test, np.append(labels, y[0])))


@near_miss("same-image-in-two-splits")
def duplicates_within_one_split() -> Given:
    x, y = images()
    return sound(train=(np.concatenate([x, x]), np.concatenate([y, y])), test=images(12, seed=1))


@near_miss("same-image-in-two-splits")
def one_pixel_apart() -> Given:
    x, y = images()
    test = x[:12].copy()
    test[:, 0, 0, 0] ^= 1
    return Given(
        sound_model(),
        {"train": (x, y), "test": (test, y[:12])},
        frozenset({"near-duplicate-in-two-splits"}),
    )


@trap("chosen-on-the-test")
def test_given_as_validation() -> Given:
    held_out = images(12, seed=1)
    return sound(train=images(), validation=held_out, test=held_out)


@trap("chosen-on-the-test")
def validated_on_a_part_of_the_test_in_another_order() -> Given:
    x, y = images(12, seed=1)
    return sound(train=images(), validation=(x[7::-1].astype(np.float32), y[7::-1]), test=(x, y))


@near_miss("chosen-on-the-test")
def validation_apart_from_the_test() -> Given:
    return sound(train=images(), validation=images(12, seed=1), test=images(12, seed=2))


@near_miss("chosen-on-the-test")
def two_parts_with_a_few_common_images() -> Given:
    (x, y), (other, labels) = images(12, seed=1), images(12, seed=2)
    both = (np.concatenate([other, x[:4]]), np.concatenate([labels, y[:4]]))
    given = sound(train=images(), validation=both, test=(x, y))
    return Given(given.model, given.options, frozenset({"same-image-in-two-splits"}))


@near_miss("chosen-on-the-test")
def test_alone_for_the_report() -> Given:
    given = sound(train=images(), test=images(12, seed=1))
    return Given(given.model, given.options, unchecked=True)


@trap("near-duplicate-in-two-splits")
def brighter_copies() -> Given:
    x, y = prints(24, seed=0)
    copies = (x[:6] * 0.8 + 20).astype(np.uint8)
    other, labels = prints(12, seed=1)
    return sound(train=(x, y), test=(np.concatenate([other, copies]), np.concatenate([labels, y[:6]])))


@trap("near-duplicate-in-two-splits")
def noisy_copies() -> Given:
    x, y = prints(24, seed=0)
    noise = np.random.default_rng(0).normal(0, 2, x[:6].shape)
    copies = (x[:6] + noise).clip(0, 255).astype(np.uint8)
    return sound(train=(x, y), test=(copies, y[:6]))


@near_miss("near-duplicate-in-two-splits")
def exact_copies_are_the_other_rules() -> Given:
    x, y = prints(24, seed=0)
    return Given(
        sound_model(),
        {"train": (x, y), "test": (x[:6], y[:6])},
        frozenset({"same-image-in-two-splits"}),
    )


@near_miss("near-duplicate-in-two-splits")
def flat_images() -> Given:
    x, y = prints(24, seed=0)
    grey = np.full((6, 8, 8, 1), 9, np.uint8) * np.arange(1, 7, dtype=np.uint8)[:, None, None, None]
    x[:3] = np.array([3, 5, 7], np.uint8)[:, None, None, None]
    return sound(train=(x, y), test=(grey, y[:6]))


@near_miss("near-duplicate-in-two-splits")
def other_prints() -> Given:
    return sound(train=prints(24, seed=0), test=prints(24, seed=1))


def grouped(first: np.ndarray, second: np.ndarray) -> Given:
    return sound(train=Split(*images(24), groups=first), test=Split(*images(12, seed=1), groups=second))


@trap("group-in-two-splits")
def patients_in_both() -> Given:
    return grouped(np.arange(24) % 6, 5 + np.arange(12) % 4)


@near_miss("group-in-two-splits")
def patients_apart() -> Given:
    return grouped(np.arange(24) % 6, 6 + np.arange(12) % 4)


@near_miss("group-in-two-splits")
def patients_of_one_split_unknown() -> Given:
    given = sound(train=Split(*images(24), groups=np.arange(24)), test=Split(*images(12, seed=1)))
    return Given(given.model, given.options, unchecked=True)


def taken_and_skipped(**options: Any) -> Given:
    whole = tf.data.Dataset.from_tensor_slices(images(36)).shuffle(36, seed=1, **options)
    return sound(train=whole.take(24).batch(8), validation=whole.skip(24).batch(8))


@trap("reshuffled-before-split")
def shuffled_before_take_and_skip() -> Given:
    given = taken_and_skipped()
    # Two passes over a set whose order changes overlap, as they must.
    return Given(given.model, given.options, frozenset({"same-image-in-two-splits", "confusion-disagrees"}))


@near_miss("reshuffled-before-split")
def shuffled_once() -> Given:
    return taken_and_skipped(reshuffle_each_iteration=False)


@near_miss("reshuffled-before-split")
def shuffled_after_the_split() -> Given:
    whole = tf.data.Dataset.from_tensor_slices(images(36))
    return sound(train=whole.take(24).shuffle(24).batch(8), validation=whole.skip(24).batch(8))


@near_miss("reshuffled-before-split")
def augmented_at_random() -> Given:
    def noisy(x: Any, y: Any) -> Any:
        return tf.cast(x, tf.float32) + tf.random.uniform(tf.shape(x)), y

    data = tf.data.Dataset.from_tensor_slices(images(36))
    return sound(train=data.take(24).map(noisy).batch(8), validation=data.skip(24).batch(8))


# Labels and scores --------------------------------------------------------------------------------------------------


def imbalanced(counts: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    y = np.repeat(np.arange(len(counts)), counts)
    return images(len(y), seed=5)[0], np.random.default_rng(0).permutation(y)


@trap("class-imbalance")
def one_class_nearly_alone() -> Given:
    return sound(train=imbalanced((54, 3, 3)))


@trap("class-imbalance")
def one_class_nearly_alone_in_the_test() -> Given:
    return sound(train=images(60), test=imbalanced((2, 56, 2)))


@trap("class-imbalance")
def one_hot_labels_of_one_class() -> Given:
    x, y = imbalanced((54, 3, 3))
    softmax = keras.layers.Dense(CLASSES, activation="softmax")
    return ending_in(softmax, loss="categorical_crossentropy", train=(x, one_hot(y)))


@near_miss("class-imbalance")
def every_class_equally_often() -> Given:
    return sound(train=images(60))


@near_miss("class-imbalance")
def somewhat_imbalanced() -> Given:
    return sound(train=imbalanced((30, 15, 15)))


@near_miss("class-imbalance")
def targets_of_a_regression() -> Given:
    x, _ = images(60)
    y = np.random.default_rng(0).random(60)
    given = ending_in(keras.layers.Dense(1), loss="mse", train=(x, y))
    return Given(given.model, given.options, unchecked=True)


def predictions(model: keras.Model, x: np.ndarray) -> np.ndarray:
    return np.asarray(model(tf.constant(x), training=False)).argmax(axis=1)


def matrix(y: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    counts = np.zeros((CLASSES, CLASSES), int)
    np.add.at(counts, (y, predicted), 1)
    return counts


@trap("confusion-disagrees")
def confusion_of_shuffled_labels() -> Given:
    x, _ = images(60, seed=1)
    model = varied(x)
    right = predictions(model, x)
    options = {"train": images(), "test": (x, right), "confusion": matrix(np.roll(right, 1), right)}
    return Given(model, options)


@trap("confusion-disagrees")
def two_passes_over_a_shuffled_set() -> Given:
    x, _ = images(60, seed=1)
    model = varied(x)
    # Every answer is right and each class occurs as often, so that any other order of the labels scores less.
    order = np.argsort(predictions(model, x), kind="stable")
    test = tf.data.Dataset.from_tensor_slices((x[order], predictions(model, x[order]))).shuffle(60, seed=3).batch(16)
    return Given(model, {"train": images(), "test": test})


def varied(x: np.ndarray) -> keras.Model:
    """A classifier that gives different answers for different images: its bias balances the mean logits."""
    model = with_head(small_base())
    head = model.get_layer("head")
    head.kernel.assign(1000 * head.kernel)
    head.bias.assign(-np.asarray(model(tf.constant(x), training=False)).mean(axis=0))
    return compiled(model)


@near_miss("confusion-disagrees")
def confusion_of_the_labels() -> Given:
    given = sound(train=images(), test=images(60, seed=1))
    x, y = given.options["test"]
    return Given(given.model, {**given.options, "confusion": matrix(y, predictions(given.model, x))})


@near_miss("confusion-disagrees")
def two_passes_over_an_unshuffled_set() -> Given:
    return sound(train=images(), test=tf.data.Dataset.from_tensor_slices(images(60, seed=1)).batch(16))


# The history --------------------------------------------------------------------------------------------------------


def tidy(train: list[float], validation: list[float]) -> pd.DataFrame:
    rows = [
        {"epoch": epoch, "split": split, "loss": loss, "accuracy": 0.5}
        for split, losses in (("train", train), ("validation", validation))
        for epoch, loss in enumerate(losses, start=1)
    ]
    return pd.DataFrame(rows)


@trap("learning-rate-too-high")
def above_chance_after_the_first_epoch() -> Given:
    return head_loss({"loss": [9.0, 4.0, 3.0]})


@trap("learning-rate-too-high")
def rising() -> Given:
    return head_loss({"loss": [0.5, 0.7, 1.0]})


@trap("learning-rate-too-high")
def not_finite() -> Given:
    return head_loss({"loss": [0.9, float("nan"), float("nan")]})


@trap("learning-rate-too-high")
def dead_at_chance_after_a_jump() -> Given:
    model = compiled(with_head(small_base(), classes=10))
    return Given(model, {"train": images(40, classes=10), "history": {"loss": [10.07, 2.99, 2.33, 2.32, 2.32]}})


@trap("learning-rate-too-high")
def dead_at_the_chance_of_uneven_classes() -> Given:
    # Such a network still learns how often each class occurs: 5/8, 1/4, 1/8, whose entropy is 0.90, not log 3 = 1.10.
    return sound(train=imbalanced((40, 16, 8)), history={"loss": [6.0, 1.30, 0.907, 0.904, 0.902]})


@near_miss("learning-rate-too-high")
def only_begun_near_chance() -> Given:
    return head_loss({"loss": [1.13, 1.12, 1.12, 1.12, 1.12]})


@near_miss("learning-rate-too-high")
def only_begun_above_chance() -> Given:
    return head_loss({"loss": [1.62, 1.61, 1.60, 1.60, 1.59]})


@near_miss("learning-rate-too-high")
def slowly_through_chance_from_a_bad_start() -> Given:
    return head_loss({"loss": [1.45, 1.31, 1.21, 1.15, 1.13, 1.12, 1.11, 1.10]})


@near_miss("learning-rate-too-high")
def through_chance_on_the_way_down() -> Given:
    return head_loss({"loss": [4.0, 1.4, 1.12, 0.95]})


@near_miss("learning-rate-too-high")
def flat_at_chance_by_a_penalty_while_it_learns() -> Given:
    history = {"loss": [4.8, 1.5, 1.11, 1.10, 1.10], "accuracy": [0.4, 0.8, 0.9, 0.9, 0.9]}
    return head_loss(history)


@near_miss("learning-rate-too-high")
def large_errors_of_a_regression() -> Given:
    x, y = images()
    return ending_in(keras.layers.Dense(1), loss="mse", train=(x, 20.0 + y), history={"loss": [400.0, 90.0, 30.0]})


@near_miss("learning-rate-too-high")
def high_in_the_first_epoch_only() -> Given:
    return head_loss({"loss": [2.0, 0.9, 0.5]})


@near_miss("learning-rate-too-high")
def a_little_up_and_down() -> Given:
    return head_loss({"loss": [0.50, 0.46, 0.48, 0.47]})


@near_miss("learning-rate-too-high")
def validation_loss_rises() -> Given:
    return head_loss({"loss": [1.0, 0.5, 0.2], "val_loss": [1.0, 1.5, 2.5]})


@trap("validation-better-than-training")
def validation_below_training() -> Given:
    return Given(sound_model(), {"history": tidy([1.0, 0.8, 0.6], [0.7, 0.5, 0.4])})


@trap("validation-better-than-training")
def dropout_in_training() -> Given:
    base = small_base()
    x = keras.layers.Dense(CLASSES)(keras.layers.Dropout(0.5, seed=1, name="half_of_it")(base.output))
    history = {"loss": [1.0, 0.9], "val_loss": [0.8, 0.6]}
    return Given(compiled(keras.Model(base.input, x)), {"train": images(), "history": history})


@near_miss("validation-better-than-training")
def validation_above_training() -> Given:
    return Given(sound_model(), {"history": tidy([1.0, 0.8, 0.6], [1.1, 0.9, 0.8])})


@near_miss("validation-better-than-training")
def validation_below_training_once() -> Given:
    return Given(sound_model(), {"history": tidy([1.0, 0.8, 0.6], [0.9, 0.9, 0.8])})


# What must not change -----------------------------------------------------------------------------------------------


def state_of(model: keras.Model) -> dict[str, Any]:
    """Everything that an audit might touch: values as bytes, objects as identities.

    Random states are read, not drawn from.
    """
    from keras.src.backend.common import global_state
    from tensorflow.python.eager import context

    def values(variables: Iterable[Any]) -> list[tuple[int, str, bytes]]:
        return [(id(variable), str(variable.dtype), variable.numpy().tobytes()) for variable in variables]

    layers = model._flatten_layers(include_self=True, recursive=True)
    generator = global_state.get_global_attribute("global_seed_generator")
    rng = getattr(context.context(), "_rng", None)
    optimizer = getattr(model, "optimizer", None)
    state = {
        "variables": values(model.variables),
        "flags": [(id(layer), layer.trainable) for layer in layers],
        "attributes": {name: id(value) for name, value in vars(model).items() if not name.startswith("_")},
        "functions": [id(getattr(model, f"{kind}_function", None)) for kind in ("train", "test", "predict")],
        "compiled": model.compiled,
        "python": random.getstate(),
        "numpy": [part.tobytes() if isinstance(part, np.ndarray) else part for part in np.random.get_state()],  # noqa: NPY002
        "keras": None if generator is None else (id(generator), generator.state.numpy().tobytes()),
        "tensorflow": None if rng is None else rng.getstate(),
        "tensorflow_seed": context.global_seed(),
    }
    if model.compiled:
        state["metrics"] = [(id(metric), values(metric.variables)) for metric in model.metrics]
    if optimizer is not None:
        state["optimizer"] = (id(optimizer), optimizer.built, values(optimizer.variables))
        state["rate"] = float(optimizer.learning_rate)
    return state
