"""Grad-CAM against a closed form, a network whose answer is known to depend on one region, and finite differences."""

import numpy as np
import pytest
from helpers import TOY_STAGE_ENDS, raises_one_line, random_split, same_weights, toy_model

from tlkit._keras import keras, tf
from tlkit.backbones import Backbone
from tlkit.domains import Split
from tlkit.evaluation import predict_classes
from tlkit.explain import grad_cam
from tlkit.heads import build_head, join

IMAGES = random_split(10, seed=3).x


def features_of(model: keras.Model, images: np.ndarray) -> np.ndarray:
    return np.asarray(model(images, training=False))


@pytest.mark.parametrize("label", [0, 1, 2])
def test_under_pooling_and_one_dense_layer_it_is_the_class_activation_map(still_toy: Backbone, label: int) -> None:
    head = build_head(still_toy, 3, seed=1)
    kernel = head.get_layer("logits").get_weights()[0]  # (k, classes)
    features = features_of(still_toy.model, IMAGES)  # (n, 8, 8, k): as large as the image, so nothing is scaled
    positions = features.shape[1] * features.shape[2]
    cam = features @ kernel[:, label] / positions  # Zhou et al., 2015
    heat = grad_cam(still_toy, head, IMAGES, classes=label)
    np.testing.assert_allclose(heat, np.maximum(cam, 0), rtol=1e-4, atol=1e-7)
    assert np.any(cam < 0) or np.any(cam > 0)
    # Before the ReLU, its sum is the logit without the bias.
    bias = head.get_layer("logits").get_weights()[1]
    logits = np.asarray(join(still_toy.model, head)(IMAGES, training=False))
    np.testing.assert_allclose(cam.sum(axis=(1, 2)), logits[:, label] - bias[label], rtol=1e-4, atol=1e-6)


def test_maps_of_a_coarser_stage_are_scaled_up_bilinearly() -> None:
    image = keras.Input((8, 8, 1))
    x = keras.layers.AveragePooling2D(2, name="coarse")(image)  # (n, 4, 4, 1)
    backbone = Backbone("pooling", keras.Model(image, x), ("coarse",))
    head = build_head(backbone, 2)
    head.get_layer("logits").set_weights([np.array([[1.0, -1.0]]), np.zeros(2)])
    coarse = features_of(backbone.model, IMAGES.astype(np.float32)) / 16
    heat = grad_cam(backbone, head, IMAGES.astype(np.float32), classes=0)
    np.testing.assert_allclose(heat, np.asarray(tf.image.resize(coarse, (8, 8)))[..., 0], rtol=1e-5)
    assert not grad_cam(backbone, head, IMAGES.astype(np.float32), classes=1).any()  # all evidence is against it


@pytest.mark.parametrize("stage", [1, 2])
def test_channel_weights_agree_with_finite_differences(still_toy: Backbone, stage: int) -> None:
    head = build_head(still_toy, 3, hidden=(5,), seed=2)
    image, step, whole = IMAGES[:1], 1e-3, still_toy.model
    end = whole.get_layer(TOY_STAGE_ENDS[stage - 1]).output
    features = features_of(keras.Model(whole.input, end), image)
    rest = join(keras.Model(end, whole.output), head) if stage == 1 else head

    def logits(maps: np.ndarray) -> np.ndarray:
        return np.asarray(rest(maps, training=False), np.float64)[0]

    # The sum of a channel's gradient over its positions is the slope when all of them move together.
    moves = step * np.eye(features.shape[-1], dtype=np.float32)
    slopes = np.array([(logits(features + move) - logits(features - move)) / (2 * step) for move in moves])
    expected = np.maximum(features[0] @ slopes / features[0, ..., 0].size, 0)  # (h, w, classes)
    heat = np.stack([grad_cam(still_toy, head, image, classes=label, stage=stage)[0] for label in range(3)], axis=-1)
    assert expected.max() > 0
    np.testing.assert_allclose(heat, expected, atol=0.01 * expected.max())


def quadrant_network() -> tuple[Backbone, keras.Model]:
    """Logit 0 looks at the upper left quadrant alone, logit 1 at the lower right one; a position is a feature."""
    image = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(2, 1, use_bias=False, name="maps")(image)
    x = keras.layers.ReLU(name="out")(x)
    model = keras.Model(image, x)
    model.get_layer("maps").set_weights([np.array([[[[1.0, 1.0]]]])])
    features = keras.Input((8, 8, 2))
    head = keras.Sequential([features, keras.layers.Flatten(), keras.layers.Dense(2, use_bias=False)], name="head")
    kernel = np.zeros((8, 8, 2, 2), np.float32)
    kernel[:4, :4, 0, 0] = 1
    kernel[4:, 4:, 1, 1] = 1
    head.layers[-1].set_weights([kernel.reshape(-1, 2)])
    return Backbone("quadrants", model, ("out",)), head


def masked_quadrants() -> tuple[Backbone, keras.Model]:
    """As above, but the backbone itself keeps a region a channel, and the head averages: CAM can tell regions apart."""
    image = keras.Input((8, 8, 1))
    both = keras.layers.Concatenate()([image, image])
    mask = np.zeros((8, 8, 2), np.float32)
    mask[:4, :4, 0] = mask[4:, 4:, 1] = 1
    x = keras.layers.Multiply(name="out")([both, keras.ops.convert_to_tensor(mask[None])])
    backbone = Backbone("masked", keras.Model(image, x), ("out",))
    head = build_head(backbone, 2)
    head.get_layer("logits").set_weights([np.eye(2), np.zeros(2)])
    return backbone, head


@pytest.mark.parametrize(("label", "region"), [(0, np.s_[:4, :4]), (1, np.s_[4:, 4:])])
def test_only_the_region_that_the_answer_depends_on_lights_up(label: int, region: tuple[slice, slice]) -> None:
    backbone, head = masked_quadrants()
    images = np.full((3, 8, 8, 1), 200, np.float32)
    heat = grad_cam(backbone, head, images, classes=label)
    assert (heat[:, *region] > 0).all()
    outside = heat.copy()
    outside[:, *region] = 0
    assert not outside.any()


def test_a_class_without_evidence_has_an_empty_map() -> None:
    backbone, head = masked_quadrants()
    images = np.zeros((1, 8, 8, 1), np.float32)
    images[:, :4, :4] = 200
    assert grad_cam(backbone, head, images, classes=0).any()
    assert not grad_cam(backbone, head, images, classes=1).any()


def test_the_mean_of_gradients_cannot_tell_regions_apart() -> None:
    # A known limit of the method: the head looks at one quadrant, but the weights are one number a channel.
    backbone, head = quadrant_network()
    heat = grad_cam(backbone, head, np.full((1, 8, 8, 1), 200, np.float32), classes=0)
    np.testing.assert_allclose(heat, heat.max())


def test_default_class_is_the_most_likely_one(still_toy: Backbone) -> None:
    head = build_head(still_toy, 3, seed=4)
    answers = predict_classes(join(still_toy.model, head), Split(IMAGES, np.zeros(len(IMAGES), int)))
    np.testing.assert_array_equal(grad_cam(still_toy, head, IMAGES), grad_cam(still_toy, head, IMAGES, classes=answers))
    np.testing.assert_array_equal(
        grad_cam(still_toy, head, IMAGES), grad_cam(still_toy, head, IMAGES, classes=answers.tolist())
    )


def test_default_stage_is_the_last(still_toy: Backbone) -> None:
    head = build_head(still_toy, 3, seed=4)
    last, first = (grad_cam(still_toy, head, IMAGES, stage=stage) for stage in (2, 1))
    np.testing.assert_array_equal(grad_cam(still_toy, head, IMAGES), last)
    assert not np.array_equal(last, first)


def test_shape_dtype_and_sign(still_toy: Backbone) -> None:
    heat = grad_cam(still_toy, build_head(still_toy, 3), IMAGES)
    assert heat.shape == IMAGES.shape[:3]
    assert heat.dtype == np.float32
    assert (heat >= 0).all()


def test_one_image_or_many_at_a_time(still_toy: Backbone) -> None:
    head, many = build_head(still_toy, 3), random_split(150).x
    whole = grad_cam(still_toy, head, many, classes=2)
    for i in (0, 63, 64, 149):
        np.testing.assert_allclose(whole[i], grad_cam(still_toy, head, many[i : i + 1], classes=2)[0], atol=1e-7)


def test_model_and_flags_stay_as_they_are() -> None:
    model = toy_model()
    backbone = Backbone("toy", model, TOY_STAGE_ENDS)
    head = build_head(backbone, 3, dropout=0.5)
    model.get_layer("one_conv").trainable = False
    before, flags = model.get_weights() + head.get_weights(), [layer.trainable for layer in model.layers]
    images = IMAGES.copy()
    heat = grad_cam(backbone, head, images)
    assert same_weights(model.get_weights() + head.get_weights(), before)
    assert [layer.trainable for layer in model.layers] == flags
    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(heat, grad_cam(backbone, head, images))  # dropout is off


def test_frozen_models_have_maps_too(still_toy: Backbone) -> None:
    frozen = Backbone("toy", toy_model(7), TOY_STAGE_ENDS)
    frozen.model.trainable = False
    head = build_head(still_toy, 3)
    np.testing.assert_allclose(grad_cam(frozen, head, IMAGES), grad_cam(still_toy, head, IMAGES), atol=1e-7)


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        pytest.param({"stage": 0}, ("stage must be in 1..2", "got 0"), id="the image itself"),
        pytest.param({"stage": 3}, ("stage must be in 0..2", "got 3"), id="no such stage"),
        pytest.param({"classes": 3}, ("classes must be in 0..2", "got 3"), id="no such class"),
        pytest.param({"classes": -1}, ("0 or more", "got -1"), id="negative class"),
        pytest.param({"classes": [0, 1]}, ("one an image (10,)", "got [0, 1]"), id="two classes for ten images"),
        pytest.param({"classes": 0.5}, ("one index", "got 0.5"), id="half a class"),
    ],
)
def test_errors_say_what_is_allowed(still_toy: Backbone, arguments: dict, fragments: tuple[str, ...]) -> None:
    with raises_one_line(ValueError, *fragments):
        grad_cam(still_toy, build_head(still_toy, 3), IMAGES, **arguments)


def test_images_and_heads_of_another_shape(still_toy: Backbone) -> None:
    with raises_one_line(ValueError, "(8, 8, 1)", "got (6, 6, 1)"):
        grad_cam(still_toy, build_head(still_toy, 3), IMAGES[:, :6, :6])
    other = keras.Sequential([keras.Input((8, 8, 5)), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)])
    with raises_one_line(ValueError, "head must take (8, 8, 4)", "got (8, 8, 5)"):
        grad_cam(still_toy, other, IMAGES)


def test_a_stage_without_a_map() -> None:
    image = keras.Input((8, 8, 1))
    x = keras.layers.Flatten(name="flat")(image)
    backbone = Backbone("flat", keras.Model(image, x), ("flat",))
    with raises_one_line(ValueError, "end in a map (n, h, w, c)", "got 1"):
        grad_cam(backbone, build_head(backbone, 2), IMAGES)
