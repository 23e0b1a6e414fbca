"""Features: cutting changes nothing, and training on the cache equals training the whole, exactly."""

import numpy as np
import pytest
from helpers import assert_same_training, raises_one_line, random_split, same_weights, toy_backbone
from marks import in_bank

from tlkit._keras import keras
from tlkit._keras.start import onednn_is_on
from tlkit.backbones import Backbone, load_backbone
from tlkit.domains import Split
from tlkit.features import batches, cache_features, pool_features, split_at
from tlkit.freezing import freeze_to
from tlkit.heads import build_head, join
from tlkit.training import fit


def small_resnet() -> Backbone:
    return load_backbone("resnet_printed", weights=None, seed=3)


@pytest.mark.parametrize(
    "make", [pytest.param(toy_backbone, id="toy"), pytest.param(small_resnet, id="resnet", marks=pytest.mark.slow)]
)
def test_tail_after_trunk_is_the_whole(make) -> None:
    backbone = make()
    x = random_split(5, shape=backbone.model.input_shape[1:]).x
    whole = np.asarray(backbone.model(x, training=False))
    for stage in range(backbone.n_stages + 1):
        trunk, tail = split_at(backbone, stage)
        np.testing.assert_array_equal(np.asarray(tail(trunk(x, training=False), training=False)), whole)


def test_first_trunk_and_last_tail_pass_on(still_toy: Backbone) -> None:
    x = random_split(5).x
    np.testing.assert_array_equal(cache_features(split_at(still_toy, 0)[0], Split(x, np.zeros(5, int))).x, x)
    features = still_toy.model.predict(x, verbose=0)
    np.testing.assert_array_equal(split_at(still_toy, 2)[1].predict(features, verbose=0), features)


def test_last_tail_is_a_model_that_every_keras_builds(still_toy: Backbone) -> None:
    # Keras 3.12 and 3.13 refuse a model whose output tensor is its input tensor.
    tail = split_at(still_toy, still_toy.n_stages)[1]
    assert tail.output is not tail.input
    assert tail.output_shape == still_toy.model.output_shape
    assert not tail.weights
    joined = join(tail, build_head(still_toy, 3))
    assert joined.output_shape == (None, 3)


def test_each_weight_is_in_the_trunk_or_in_the_tail_and_shared(still_toy: Backbone) -> None:
    whole = [id(weight) for weight in still_toy.model.weights]
    for stage in range(still_toy.n_stages + 1):
        trunk, tail = split_at(still_toy, stage)
        assert [id(weight) for weight in [*trunk.weights, *tail.weights]] == whole


def test_training_the_tail_trains_the_backbone(toy: Backbone, split: Split) -> None:
    freeze_to(toy, 1)
    trunk, tail = split_at(toy, 1)
    before = toy.model.get_weights()
    fit(join(tail, build_head(toy, 3)), cache_features(trunk, split), epochs=1, learning_rate=0.1, progress=False)
    assert not same_weights(before, toy.model)
    features = tail(trunk(split.x, training=False), training=False)
    np.testing.assert_array_equal(toy.model(split.x, training=False), features)


def trained(make, stage: int, data: Split, *, cached: bool, optimizer: str, **head: object) -> keras.Model:
    """Backbone and head after the same short training, on the raw images or behind the cached trunk."""
    backbone = make()
    freeze_to(backbone, stage)
    classifier = build_head(backbone, 3, seed=5, **head)  # type: ignore[arg-type]
    if cached:
        trunk, tail = split_at(backbone, stage)
        model, seen = join(tail, classifier), cache_features(trunk, data)
    else:
        model, seen = join(backbone.model, classifier), data
    fit(model, seen, epochs=2, learning_rate=0.01, batch_size=8, seed=11, optimizer=optimizer, progress=False)
    return join(backbone.model, classifier)


def assert_cached_equals_full(make, stage: int, data: Split, optimizer: str, **head: object) -> None:
    if not onednn_is_on():
        optimizer = "sgd"  # Adam divides by the size of a gradient, be it rounding alone
    full = trained(make, stage, data, cached=False, optimizer=optimizer, **head)
    cached = trained(make, stage, data, cached=True, optimizer=optimizer, **head)
    assert_same_training(full, cached, data.x)


@pytest.mark.parametrize(
    ("stage", "optimizer"),
    in_bank(
        [(stage, optimizer) for stage in range(3) for optimizer in ("sgd", "adam")],
        but=[(0, "adam"), (1, "adam"), (2, "adam")],
        names=2,
    ),
)
def test_cached_training_equals_full_training(stage: int, optimizer: str) -> None:
    assert_cached_equals_full(toy_backbone, stage, random_split(20), optimizer)  # 20: the last batch is not full


@pytest.mark.slow
def test_cached_training_equals_full_training_with_dropout() -> None:
    assert_cached_equals_full(toy_backbone, 1, random_split(20), "adam", hidden=(6,), dropout=0.3)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", in_bank(["sgd", "adam"], but=["adam"]))
@pytest.mark.parametrize("stage", in_bank(range(6), but=[3]))
def test_cached_training_equals_full_training_of_the_small_resnet(stage: int, optimizer: str) -> None:
    assert_cached_equals_full(small_resnet, stage, random_split(20, shape=(28, 28, 1)), optimizer)


@pytest.mark.slow
@pytest.mark.bank  # tests/test_backbones.py trains a MobileNetV2
@pytest.mark.parametrize("stage", [2, 4, 5])
def test_cached_training_equals_full_training_of_resnet50(stage: int) -> None:
    def resnet50() -> Backbone:
        return load_backbone("resnet50", weights=None, image_size=32, seed=1)

    assert_cached_equals_full(resnet50, stage, random_split(12, shape=(32, 32, 3)), "sgd")


def test_cache_keeps_labels_and_order_and_is_in_inference_mode(still_toy: Backbone) -> None:
    data = random_split(21)
    cached = cache_features(still_toy.model, data)
    np.testing.assert_array_equal(cached.y, data.y)
    assert cached.x.dtype == np.float32
    one_by_one = np.concatenate([np.asarray(still_toy.model(data.x[i : i + 1], training=False)) for i in range(21)])
    np.testing.assert_allclose(cached.x, one_by_one, rtol=1e-5, atol=1e-6)


def test_caching_moves_no_weight(still_toy: Backbone, split: Split) -> None:
    before = still_toy.model.get_weights()
    cache_features(still_toy.model, split)
    assert same_weights(before, still_toy.model)


@pytest.mark.parametrize("shape", [(9, 8, 1), (8, 8, 3)])
def test_images_of_another_shape(still_toy: Backbone, shape: tuple[int, int, int]) -> None:
    with raises_one_line(ValueError, "(8, 8, 1)", f"got {shape}", "'toy'"):
        cache_features(still_toy.model, random_split(6, shape=shape))


@pytest.mark.parametrize("stage", [-1, 3, 0.0])
def test_stage_out_of_range(still_toy: Backbone, stage: int) -> None:
    with raises_one_line(ValueError, "stage must be in 0..2", f"got {stage}"):
        split_at(still_toy, stage)


def test_pooling_averages_maps_like_a_head(still_toy: Backbone, split: Split) -> None:
    cached = cache_features(still_toy.model, split)
    pooled = pool_features(cached)
    assert pooled.dtype == np.float32
    np.testing.assert_allclose(pooled, keras.layers.GlobalAveragePooling2D()(cached.x), rtol=1e-5, atol=1e-6)


def test_pooling_of_pixels_flattens_and_scales() -> None:
    data = random_split(4)
    pixels = pool_features(data)
    assert pixels.shape == (4, 64)
    np.testing.assert_array_equal(pixels.reshape(data.x.shape), data.x.astype(np.float32) / 255)


def test_pooling_leaves_vectors() -> None:
    vectors = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(pool_features(Split(vectors, np.array([0, 1]))), vectors)


def test_pooling_of_half_precision_does_not_overflow() -> None:
    maps = np.full((2, 16, 16, 3), 1000, np.float16)  # a sum of 256 of them is above float16's largest number
    np.testing.assert_array_equal(pool_features(Split(maps, np.array([0, 1]))), np.full((2, 3), 1000, np.float32))


@pytest.mark.parametrize("name", ["my backbone (v2)", "_net", "ResNet–50", "<img>"])
def test_a_backbone_may_have_any_name(name: str) -> None:
    toy = toy_backbone()
    trunk, tail = split_at(Backbone(name, toy.model, toy.stage_ends), 1)
    split = random_split(5)
    cached = cache_features(trunk, split, cache_dir="memory")
    np.testing.assert_array_equal(tail.predict(cached.x, verbose=0), toy.model.predict(split.x, verbose=0))


def test_a_sequential_trunk_gives_the_features_of_its_graph() -> None:
    layers = [keras.Input((8, 8, 1)), keras.layers.Rescaling(1 / 255), keras.layers.Conv2D(3, 3)]
    trunk, split = keras.Sequential(layers), random_split(5)
    expected = trunk.predict(split.x, verbose=0)
    for where in ("memory", None, None):  # the last one is read from the store
        np.testing.assert_allclose(cache_features(trunk, split, cache_dir=where).x, expected, rtol=0, atol=1e-6)


def test_what_cannot_be_a_trunk_is_refused(still_toy: Backbone) -> None:
    split = random_split(5)
    with raises_one_line(ValueError, "model must be built", "got 'later'"):
        cache_features(keras.Sequential([keras.layers.Flatten()], name="later"), split)
    with raises_one_line(ValueError, "model must be a Keras model", "got Backbone"):
        cache_features(still_toy, split)  # type: ignore[arg-type]
    with raises_one_line(ValueError, "examples must be a Split", "got tuple"):
        cache_features(still_toy.model, (split.x, split.y))  # type: ignore[arg-type]
    with raises_one_line(ValueError, "seed must be", "got -1"):
        cache_features(still_toy.model, split, seed=-1)


def test_zeros_at_the_end_are_cut_for_a_model_of_any_length_alone() -> None:
    ids = Split(np.array([[3, 2, 0, 0], [1, 2, 2, 0]], np.int32), np.array([0, 1]))
    vectors = Split(np.pad(np.ones((2, 3, 5), np.float32), ((0, 0), (0, 1), (0, 0))), np.array([0, 1]))

    def read(split: Split, length: int | None) -> list[int]:
        inputs = keras.Input((length, *split.x.shape[2:]), dtype=str(split.x.dtype))
        model = keras.Model(inputs, keras.ops.sum(inputs, axis=1))
        return [next(iter(batches(split, 2, model=each)))[0].shape[1] for each in (model, None)]

    for split in (ids, vectors):
        assert read(split, None) == [3, 4]
        assert read(split, 4) == [4, 4]
