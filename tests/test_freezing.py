"""Freezing: what is frozen stays as it is, bit by bit; what learns learns; whatever the flags were before."""

import numpy as np
import pytest
from helpers import TOY_STAGE_ENDS, raises_one_line, random_split, same_weights, toy_backbone, toy_model, weights_of
from marks import in_bank

from tlkit._keras import keras
from tlkit.backbones import Backbone, layers_up_to, load_backbone, wrap_backbone
from tlkit.domains import Split
from tlkit.freezing import WeightCounts, count_weights, freeze_to
from tlkit.heads import build_head, join
from tlkit.training import fit

STATISTICS = ("moving_mean", "moving_variance")


def moved_by_fit(backbone: Backbone, split: Split, *, learning_rate: float = 0.1) -> set[str]:
    """The names of the backbone's weights that one short fit changes."""
    before = weights_of(backbone.model)
    model = join(backbone.model, build_head(backbone, 3))
    fit(model, split, epochs=2, learning_rate=learning_rate, batch_size=8, optimizer="sgd", progress=False)
    after = weights_of(backbone.model)
    return {name for name in before if before[name].tobytes() != after[name].tobytes()}


def meant_to_move(backbone: Backbone, stage: int, *, train_batchnorm: bool) -> set[str]:
    """Weights of the layers beyond ``stage``, BatchNorm's only when asked: said without reading ``trainable``."""
    frozen = layers_up_to(backbone, stage)
    return {
        weight.path
        for layer in backbone.model.layers
        if layer not in frozen and (train_batchnorm or not isinstance(layer, keras.layers.BatchNormalization))
        for weight in layer.weights
    }


@pytest.mark.parametrize("train_batchnorm", [False, True], ids=["bn_held", "bn_trained"])
@pytest.mark.parametrize("stage", [0, 1, 2])
def test_fit_moves_the_unfrozen_weights_and_no_other(
    toy: Backbone, split: Split, stage: int, train_batchnorm: bool
) -> None:
    freeze_to(toy, stage, train_batchnorm=train_batchnorm)
    moved, meant = moved_by_fit(toy, split), meant_to_move(toy, stage, train_batchnorm=train_batchnorm)
    # BatchNorm in training mode subtracts the bias before it again: that gradient is zero but for rounding.
    free = {name for name in meant if train_batchnorm and "_conv/bias" in name}
    assert moved <= meant
    assert meant - moved <= free


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "train_batchnorm"),
    in_bank(
        [(stage, train) for stage in range(6) for train in (False, True)],
        but=[(2, False), (4, True)],  # the toy has all stages
        names=2,
    ),
)
def test_fit_moves_the_unfrozen_weights_and_no_other_in_the_resnet(stage: int, train_batchnorm: bool) -> None:
    backbone = load_backbone("resnet_printed", weights=None)
    freeze_to(backbone, stage, train_batchnorm=train_batchnorm)
    moved = moved_by_fit(backbone, random_split(16, shape=(28, 28, 1)))
    assert moved == meant_to_move(backbone, stage, train_batchnorm=train_batchnorm)


def test_batchnorm_statistics_are_bit_identical_unless_asked(toy: Backbone, split: Split) -> None:
    def statistics() -> list[np.ndarray]:
        return [value for name, value in weights_of(toy.model).items() if name.endswith(STATISTICS)]

    before = statistics()
    assert len(before) == 6
    freeze_to(toy, 0)
    moved_by_fit(toy, split)
    assert same_weights(before, statistics())
    freeze_to(toy, 1, train_batchnorm=True)
    moved_by_fit(toy, split)
    after = statistics()
    assert same_weights(before[:2], after[:2])
    assert not any(np.array_equal(a, b) for a, b in zip(before[2:], after[2:], strict=True))


def test_each_fit_honours_the_latest_freeze(toy: Backbone, split: Split) -> None:
    model = join(toy.model, build_head(toy, 3))
    for stage in (0, 2, 1, 0):  # each way between all, some and nothing that learns
        freeze_to(toy, stage)
        before = weights_of(toy.model)
        fit(model, split, epochs=1, learning_rate=0.1, batch_size=8, optimizer="sgd", progress=False)
        after = weights_of(toy.model)
        moved = {name for name in before if not np.array_equal(before[name], after[name])}
        assert moved == meant_to_move(toy, stage, train_batchnorm=False)


def freeze_one_by_one(model: keras.Model) -> None:
    for layer in model.layers:
        layer.trainable = False


def freeze_all_at_once(model: keras.Model) -> None:
    model.trainable = False


def freeze_one_by_one_then_say_true(model: keras.Model) -> None:
    freeze_one_by_one(model)
    model.trainable = True


@pytest.mark.parametrize("freeze", [freeze_one_by_one, freeze_all_at_once, freeze_one_by_one_then_say_true])
def test_a_frozen_model_comes_back_to_life(split: Split, freeze) -> None:
    backbone = toy_backbone()
    freeze(backbone.model)
    assert count_weights(backbone.model) == WeightCounts(0, backbone.model.count_params())
    freeze_to(backbone, 0)
    assert moved_by_fit(backbone, split) == meant_to_move(backbone, 0, train_batchnorm=False)


def test_keras_alone_does_not_bring_a_loop_frozen_model_back() -> None:
    # Why freeze_to sets each layer's flag: if Keras changes this, the docstring must change too.
    model = toy_model()
    freeze_one_by_one_then_say_true(model)
    assert model.trainable_weights == []


def nested_backbone() -> Backbone:
    """A model within a model, with a BatchNorm two levels down, then a convolution."""
    inner = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(3, 3, name="deep_conv"),
            keras.Sequential([keras.Input((6, 6, 3)), keras.layers.BatchNormalization(name="deep_bn")], name="deepest"),
        ],
        name="inner",
    )
    image = keras.Input((8, 8, 1))
    x = inner(image)
    x = keras.layers.Conv2D(2, 3, name="outer_conv")(x)
    return wrap_backbone(keras.Model(image, x, name="nested"), ("inner", "outer_conv"), "nested")


@pytest.mark.parametrize(
    ("stage", "train_batchnorm", "meant"),
    [
        (0, False, {"deep_conv", "outer_conv"}),
        (0, True, {"deep_conv", "deep_bn", "outer_conv"}),
        (1, True, {"outer_conv"}),
        (2, True, set()),
    ],
)
def test_nested_models_are_frozen_within(split: Split, stage: int, train_batchnorm: bool, meant: set[str]) -> None:
    backbone = nested_backbone()
    freeze_one_by_one(backbone.model)  # the flag went down into the inner models too
    freeze_to(backbone, stage, train_batchnorm=train_batchnorm)
    moved = {
        next(part for part in path.split("/") if part.endswith(("_conv", "_bn")))
        for path in moved_by_fit(backbone, split, learning_rate=1e-5)  # nothing here rescales the pixels
    }
    assert moved == meant


@pytest.mark.parametrize(
    "make", [toy_backbone, lambda: load_backbone("resnet_printed", weights=None)], ids=["toy", "resnet"]
)
@pytest.mark.parametrize("train_batchnorm", [False, True], ids=["bn_held", "bn_trained"])
def test_counts_add_up_and_freezing_is_monotone(make, train_batchnorm: bool) -> None:
    backbone = make()
    trainable = []
    for stage in range(backbone.n_stages + 1):
        freeze_to(backbone, stage, train_batchnorm=train_batchnorm)
        counts = count_weights(backbone.model)
        assert counts.trainable + counts.frozen == backbone.model.count_params()
        trainable.append(counts.trainable)
    assert trainable == sorted(trainable, reverse=True)
    assert len(set(trainable)) == len(trainable)
    assert trainable[-1] == 0


def test_count_by_hand() -> None:
    backbone = toy_backbone()
    freeze_to(backbone, 1)
    block = 2 * (3 * 3 * 4 * 4 + 4)  # two convolutions with bias; BatchNorm is held
    first = (3 * 3 * 1 * 4 + 4) + 4 * 4
    assert count_weights(backbone.model) == WeightCounts(trainable=block, frozen=first + 2 * 4 * 4)
    freeze_to(backbone, 1, train_batchnorm=True)  # gamma and beta learn, the statistics are never trained
    assert count_weights(backbone.model).trainable == block + 2 * 2 * 4


def test_freezing_changes_flags_and_no_weight(toy: Backbone) -> None:
    before = toy.model.get_weights()
    for stage in range(3):
        freeze_to(toy, stage)
    assert same_weights(before, toy.model)


def test_freeze_depends_on_the_last_call_alone() -> None:
    def flags(stages: list[int]) -> list[bool]:
        backbone = toy_backbone()
        for stage in stages:
            freeze_to(backbone, stage)
        return [layer.trainable for layer in backbone.model.layers]

    for stage in range(3):
        assert flags([2, 0, 1, stage]) == flags([stage])


@pytest.mark.parametrize("stage", [-1, 3, 1.0, True, "1", None])
def test_stage_out_of_range(still_toy: Backbone, stage: object) -> None:
    flags = [layer.trainable for layer in still_toy.model.layers]
    with raises_one_line(
        ValueError, "stage must be in 0..2", "0 trains everything, 2 freezes everything", f"got {stage!r}"
    ):
        freeze_to(still_toy, stage)  # type: ignore[arg-type]
    assert flags == [layer.trainable for layer in still_toy.model.layers]


def test_stage_may_be_a_numpy_integer(toy: Backbone) -> None:
    freeze_to(toy, np.int64(len(TOY_STAGE_ENDS)))
    assert count_weights(toy.model).trainable == 0
