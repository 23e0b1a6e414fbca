"""Heads: what they are made of, that they give logits, and that the source head is a slice of the whole one."""

import numpy as np
import pytest
from helpers import raises_one_line, random_split, same_weights, toy_backbone

from tlkit._keras import keras
from tlkit.backbones import Backbone, load_backbone, wrap_backbone
from tlkit.domains import load_domain
from tlkit.features import cache_features
from tlkit.heads import build_head, join, load_source_head


def features(n: int = 5, shape: tuple[int, ...] = (8, 8, 4)) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, *shape)).astype(np.float32)


def test_plain_head_is_pooling_and_one_affine_map(still_toy: Backbone) -> None:
    head, x = build_head(still_toy, 3), features()
    kernel, bias = head.get_weights()
    assert kernel.shape == (4, 3)
    assert not bias.any()
    np.testing.assert_allclose(head.predict(x, verbose=0), x.mean(axis=(1, 2)) @ kernel + bias, rtol=1e-5, atol=1e-6)


def test_head_gives_logits_and_no_softmax(still_toy: Backbone) -> None:
    head, x = build_head(still_toy, 3), features()
    logits = head.predict(x, verbose=0)
    assert logits.shape == (5, 3)
    assert not np.allclose(logits.sum(axis=1), 1)
    # Linear to the end: twice the features, twice the logits (the bias starts at zero).
    np.testing.assert_allclose(head.predict(2 * x, verbose=0), 2 * logits, rtol=1e-5)


def test_hidden_layers_are_relu_networks(still_toy: Backbone) -> None:
    head, x = build_head(still_toy, 3, hidden=(6, 5)), features()
    w1, b1, w2, b2, w3, b3 = head.get_weights()
    assert [w.shape for w in (w1, w2, w3)] == [(4, 6), (6, 5), (5, 3)]
    hidden = np.maximum(np.maximum(x.mean(axis=(1, 2)) @ w1 + b1, 0) @ w2 + b2, 0)
    np.testing.assert_allclose(head.predict(x, verbose=0), hidden @ w3 + b3, rtol=1e-4, atol=1e-6)


def test_dropout_stands_before_each_dense_layer_and_is_off_at_inference(still_toy: Backbone) -> None:
    head = build_head(still_toy, 3, hidden=(6,), dropout=0.4)
    kinds = [type(layer).__name__ for layer in head.layers]
    assert kinds == ["GlobalAveragePooling2D", "Dropout", "Dense", "Dropout", "Dense"]
    assert [layer.rate for layer in head.layers if isinstance(layer, keras.layers.Dropout)] == [0.4, 0.4]
    without = build_head(still_toy, 3, hidden=(6,))
    without.set_weights(head.get_weights())
    x = features()
    np.testing.assert_array_equal(np.asarray(head(x, training=False)), np.asarray(without(x, training=False)))
    assert not np.array_equal(np.asarray(head(x, training=True)), np.asarray(head(x, training=False)))


def test_seed_makes_the_start(still_toy: Backbone) -> None:
    def start(seed: int) -> keras.Model:
        return build_head(still_toy, 3, hidden=(6,), seed=seed)

    assert same_weights(start(1), start(1))
    assert not same_weights(start(1), start(2))


def test_seed_makes_the_dropout(still_toy: Backbone) -> None:
    x = features()
    once, again, other = (
        np.asarray(build_head(still_toy, 3, hidden=(32,), dropout=0.5, seed=seed)(x, training=True))
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(once, again)
    assert not np.array_equal(once, other)


def test_layers_of_one_head_start_differently(still_toy: Backbone) -> None:
    first, _, second, *_ = build_head(still_toy, 3, hidden=(4, 4)).get_weights()
    assert not np.array_equal(first, second)


def test_head_on_vectors_has_no_pooling() -> None:
    vectors = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(name="flat")], name="flattener")
    head = build_head(wrap_backbone(vectors, ("flat",), "flattener"), 3)
    assert head.input_shape == (None, 64)
    assert [type(layer).__name__ for layer in head.layers] == ["Dense"]


def test_numpys_integers_are_welcome(still_toy: Backbone) -> None:
    head = build_head(still_toy, np.int64(3), hidden=(np.int32(5),))
    assert head.output_shape == (None, 3)


@pytest.mark.parametrize("n_classes", [1, 0, -3])
def test_too_few_classes(still_toy: Backbone, n_classes: int) -> None:
    with raises_one_line(ValueError, "2 or more", f"got {n_classes}"):
        build_head(still_toy, n_classes)


@pytest.mark.parametrize("dropout", [1.0, -0.1, float("nan")])
def test_dropout_out_of_range(still_toy: Backbone, dropout: float) -> None:
    with raises_one_line(ValueError, "[0, 1)", f"got {dropout}"):
        build_head(still_toy, 3, dropout=dropout)


def test_hidden_out_of_range(still_toy: Backbone) -> None:
    with raises_one_line(ValueError, "1 or more", "(8, 0)"):
        build_head(still_toy, 3, hidden=(8, 0))


def test_join_runs_the_core_then_the_head() -> None:
    backbone, x = toy_backbone(), random_split(6).x
    head = build_head(backbone, 3)
    joined = join(backbone.model, head)
    apart = head.predict(backbone.model.predict(x, verbose=0), verbose=0)
    np.testing.assert_allclose(joined.predict(x, verbose=0), apart, rtol=1e-5, atol=1e-6)


def test_join_shares_weights() -> None:
    backbone = toy_backbone()
    head = build_head(backbone, 3)
    joined = join(backbone.model, head)
    shared = {id(weight) for weight in joined.weights}
    assert shared == {id(weight) for weight in [*backbone.model.weights, *head.weights]}
    assert joined.count_params() == backbone.model.count_params() + head.count_params()


def test_join_refuses_another_shape(still_toy: Backbone) -> None:
    small = keras.Sequential([keras.Input((4, 4, 9)), keras.layers.Flatten()])
    with raises_one_line(ValueError, "(8, 8, 4)", "(4, 4, 9)"):
        join(still_toy.model, small)


def test_source_head_is_a_slice_of_the_whole_head() -> None:
    backbone, printed = load_backbone("resnet_printed"), load_domain("printed")
    seen = cache_features(backbone.model, printed.test[:64])
    whole = load_source_head(backbone, printed.classes).predict(seen.x, verbose=0)
    assert whole.shape == (64, 62)
    for classes in (tuple("0123456789"), ("z", "A", "7")):
        columns = [printed.classes.index(name) for name in classes]
        sliced = load_source_head(backbone, classes).predict(seen.x, verbose=0)
        np.testing.assert_allclose(sliced, whole[:, columns], rtol=1e-5, atol=1e-5)


def test_source_head_refuses_an_unknown_class() -> None:
    with raises_one_line(ValueError, "class must be one of", "'ß'"):
        load_source_head(load_backbone("resnet_printed"), ("0", "ß"))


def test_random_weights_have_no_source_head() -> None:
    """The bundled head would read noise as if it were the source."""
    with raises_one_line(ValueError, "got 'resnet_printed_random'"):
        load_source_head(load_backbone("resnet_printed", weights=None), ("0", "1"))


def test_source_head_of_another_backbone(still_toy: Backbone) -> None:
    with raises_one_line(ValueError, "'resnet_printed'", "got 'toy'"):
        load_source_head(still_toy, ("0", "1"))
