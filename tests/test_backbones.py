"""Backbones: where they can be cut, that raw pixels go in, and that weights are the right ones or refused."""

from pathlib import Path

import numpy as np
import pytest
from helpers import (
    KERAS_SAVES_WITH_A_WARNING,
    TOY_STAGE_ENDS,
    raises_one_line,
    random_split,
    same_weights,
    toy_backbone,
    toy_model,
)

from tlkit._tensorflow import keras
from tlkit.backbones import _WEIGHTS_BY_NAME, Backbone, layers_up_to, load_backbone, small_resnet, wrap_backbone
from tlkit.domains import load_domain
from tlkit.evaluation import accuracy
from tlkit.features import split_at
from tlkit.heads import join, load_source_head

pytestmark = pytest.mark.filterwarnings(KERAS_SAVES_WITH_A_WARNING)

# Boundaries


def test_stages_and_boundaries(still_toy: Backbone) -> None:
    assert still_toy.n_stages == 2
    assert still_toy.boundary(0) is still_toy.model.input
    assert still_toy.boundary(1) is still_toy.model.get_layer("one_out").output
    assert still_toy.boundary(2) is still_toy.model.output


def test_layers_up_to_grow_to_the_whole_model(still_toy: Backbone) -> None:
    names = [[layer.name for layer in layers_up_to(still_toy, stage)] for stage in range(3)]
    assert names[0] == []
    assert names[1] == ["image", "rescale", "one_conv", "one_bn", "one_out"]
    assert names[2] == [layer.name for layer in still_toy.model.layers]


@pytest.mark.parametrize("stage", [-1, 3, 0.5, True, "one", None])
def test_stage_out_of_range(still_toy: Backbone, stage: object) -> None:
    for ask in (still_toy.check_stage, still_toy.boundary, lambda stage: layers_up_to(still_toy, stage)):
        with raises_one_line(ValueError, "stage must be in 0..2", "2 freezes everything", f"got {stage!r}"):
            ask(stage)


@pytest.mark.parametrize("inside", ["two_a_conv", "two_a_relu", "two_b_bn"])
def test_a_cut_inside_a_residual_branch_is_refused(inside: str) -> None:
    with raises_one_line(ValueError, repr(inside), "one tensor", "residual branch"):
        wrap_backbone(toy_model(), ("one_out", inside, "two_out"), "toy")


@pytest.mark.parametrize("edge", ["one_out", "two_add"])
def test_a_cut_just_before_or_after_the_branches_is_allowed(edge: str) -> None:
    backbone = wrap_backbone(toy_model(), (edge, "two_out"), "toy")
    x = random_split(3).x
    trunk, tail = split_at(backbone, 1)
    whole = backbone.model.predict(x, verbose=0)
    np.testing.assert_array_equal(tail.predict(trunk.predict(x, verbose=0), verbose=0), whole)


@pytest.mark.parametrize(
    ("stage_ends", "fragments"),
    [
        pytest.param((), ("at least one layer", "got none"), id="none"),
        pytest.param(("one_uot", "two_out"), ("'one_out'", "got 'one_uot'"), id="unknown"),
        pytest.param(("two_out", "one_out"), ("from the input to the output", "two_out, one_out"), id="backwards"),
        pytest.param(("one_out", "one_out", "two_out"), ("from the input to the output",), id="twice"),
        pytest.param(("one_out",), ("last stage", "'two_out'", "got 'one_out'"), id="not to the end"),
    ],
)
def test_stage_ends_are_checked(stage_ends: tuple[str, ...], fragments: tuple[str, ...]) -> None:
    with raises_one_line(ValueError, *fragments):
        wrap_backbone(toy_model(), stage_ends, "toy")


def test_a_subclassed_model_is_refused() -> None:
    class Own(keras.Model):
        def call(self, x):
            return x

    for thing in (Own(), "resnet", None):
        with raises_one_line(ValueError, "functional", f"got {type(thing).__name__}"):
            wrap_backbone(thing, ("a",), "own")  # type: ignore[arg-type]


def test_two_outputs_are_refused() -> None:
    model = toy_model()
    two = keras.Model(model.input, [model.output, model.get_layer("one_out").output])
    with raises_one_line(ValueError, "one input and one output", "1 and 2"):
        wrap_backbone(two, TOY_STAGE_ENDS, "two")


def test_a_sequential_model_is_wrapped() -> None:
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Conv2D(2, 3, name="a"), keras.layers.ReLU(name="b")], name="plain"
    )
    x = random_split(3).x
    backbone = wrap_backbone(model, ("a", "b"), "plain")
    trunk, tail = split_at(backbone, 1)
    np.testing.assert_array_equal(tail.predict(trunk.predict(x, verbose=0), verbose=0), model.predict(x, verbose=0))


def test_a_model_whose_layers_are_used_elsewhere_too() -> None:
    model = toy_model()
    model(np.zeros((1, 8, 8, 1), np.float32))
    model.get_layer("one_out")(keras.Input((8, 8, 4)))
    other = keras.Model(model.input, model.get_layer("two_add").output)
    other(keras.Input((8, 8, 1)))
    backbone = wrap_backbone(model, TOY_STAGE_ENDS, "toy")
    x = random_split(3).x
    trunk, tail = split_at(backbone, 1)
    whole = model.predict(x, verbose=0)
    np.testing.assert_array_equal(tail.predict(trunk.predict(x, verbose=0), verbose=0), whole)


@pytest.mark.slow
def test_mobilenet_is_wrapped() -> None:
    model = keras.applications.MobileNetV2((32, 32, 3), include_top=False, weights=None, alpha=0.35)
    backbone = wrap_backbone(model, ("block_2_add", "block_5_add", "out_relu"), "mobilenet")
    x = random_split(2, shape=(32, 32, 3), classes=2).x
    trunk, tail = split_at(backbone, 2)
    assert {id(w) for w in [*trunk.weights, *tail.weights]} == {id(w) for w in model.weights}
    whole = model.predict(x, verbose=0)
    np.testing.assert_array_equal(tail.predict(trunk.predict(x, verbose=0), verbose=0), whole)
    with raises_one_line(ValueError, "residual branch", "'block_4_expand'"):
        wrap_backbone(model, ("block_4_expand", "out_relu"), "mobilenet")
    with raises_one_line(ValueError, "'block_2_add'", "got 'block2_add'"):
        wrap_backbone(model, ("block2_add", "out_relu"), "mobilenet")


# The small ResNet


def test_small_resnet_has_the_stages_it_names() -> None:
    backbone = load_backbone("resnet_printed", weights=None)
    shapes = [tuple(backbone.boundary(stage).shape[1:]) for stage in range(backbone.n_stages + 1)]
    assert shapes == [(28, 28, 1), (28, 28, 32), (28, 28, 32), (14, 14, 64), (7, 7, 128), (4, 4, 256)]


def test_small_resnet_takes_raw_pixels() -> None:
    model = small_resnet((12, 12, 1), (4, 8))
    x = random_split(3, shape=(12, 12, 1)).x
    inner = keras.Model(model.get_layer("rescale").output, model.output)
    np.testing.assert_allclose(
        model.predict(x, verbose=0), inner.predict(x / np.float32(255), verbose=0), rtol=1e-4, atol=1e-5
    )


def test_pretrained_weights_are_not_the_random_ones_and_always_the_same() -> None:
    one, two = load_backbone("resnet_printed"), load_backbone("resnet_printed", seed=1)
    assert same_weights(one.model, two.model)
    assert not same_weights(one.model, load_backbone("resnet_printed", weights=None).model)
    assert same_weights(one.model, load_backbone("resnet_printed", weights="printed").model)


@pytest.mark.parametrize("name", sorted(set(_WEIGHTS_BY_NAME) - {"resnet50"}))
def test_every_bundled_backbone_is_there_with_its_head(name: str) -> None:
    backbone = load_backbone(name)
    source = load_domain(name.removeprefix("resnet_"))
    whole = join(backbone.model, load_source_head(backbone, source.classes))
    chance = 1 / len(source.classes)
    assert accuracy(whole, source.test[:200]) > 2 * chance  # the head belongs to the backbone


@pytest.mark.parametrize("name", ["resnet_printed", pytest.param("resnet50", marks=pytest.mark.slow)])
def test_random_weights_come_from_the_seed_alone(name: str) -> None:
    size = {"image_size": 32} if name == "resnet50" else {}
    python, numpy_, keras_ = global_random_states()
    one, again, other = (load_backbone(name, weights=None, seed=seed, **size).model for seed in (1, 1, 2))
    assert global_random_states() == (python, numpy_, keras_)
    assert same_weights(one, again)
    different = [
        not np.array_equal(a, b)
        for layer, twin in zip(one.layers, other.layers, strict=True)
        if isinstance(layer, keras.layers.Conv2D)
        for a, b in [(layer.kernel.numpy(), twin.kernel.numpy())]
    ]
    assert different
    assert all(different)
    kernels = [layer.kernel.numpy() for layer in one.layers if isinstance(layer, keras.layers.Conv2D)]
    assert len({kernel.tobytes() for kernel in kernels}) == len(kernels)  # no two layers start alike


def global_random_states() -> tuple[object, bytes, object]:
    import random

    from keras.src.random.seed_generator import global_seed_generator

    keras_state = global_seed_generator().state.numpy().tolist()  # first: making it draws from Python's random
    return random.getstate(), np.random.get_state()[1].tobytes(), keras_state  # noqa: NPY002 (read, not used)


@pytest.mark.parametrize(
    "input_shape",
    [(64, 48, 3), *(pytest.param(shape, marks=pytest.mark.slow) for shape in [(28, 28, 3), (40, 40, 1), (8, 8, 1)])],
)
def test_adapter_resizes_and_turns_grey(input_shape: tuple[int, int, int]) -> None:
    native = load_backbone("resnet_printed", weights=None, seed=1)
    adapted = load_backbone("resnet_printed", weights=None, seed=1, input_shape=input_shape)
    assert adapted.model.input_shape == (None, *input_shape)
    assert same_weights(native.model, adapted.model)
    assert adapted.stage_ends == native.stage_ends
    x = random_split(3, shape=input_shape).x.astype(np.float32)
    by_hand = keras.ops.convert_to_tensor(x)
    if input_shape[-1] == 3:
        by_hand = keras.ops.sum(by_hand * np.array([0.2989, 0.5870, 0.1140], np.float32), axis=-1, keepdims=True)
    by_hand = keras.ops.image.resize(by_hand, (28, 28), interpolation="bilinear")
    np.testing.assert_allclose(
        adapted.model.predict(x, verbose=0), native.model.predict(np.asarray(by_hand), verbose=0), rtol=1e-3, atol=1e-3
    )


@pytest.mark.slow
def test_adapter_keeps_the_model_cuttable() -> None:
    adapted = load_backbone("resnet_printed", weights=None, input_shape=(20, 30, 3))
    x = random_split(2, shape=(20, 30, 3), classes=2).x
    whole = adapted.model.predict(x, verbose=0)
    trunk, tail = split_at(adapted, 2)
    np.testing.assert_array_equal(tail.predict(trunk.predict(x, verbose=0), verbose=0), whole)


def test_native_input_shape_needs_no_adapter() -> None:
    plain, given = (load_backbone("resnet_printed", weights=None, input_shape=s) for s in (None, (28, 28, 1)))
    assert [layer.name for layer in plain.model.layers] == [layer.name for layer in given.model.layers]


def test_other_image_size_for_the_network_itself() -> None:
    backbone = load_backbone("resnet_printed", weights=None, image_size=40)
    assert backbone.model.input_shape == (None, 40, 40, 1)


# ResNet50


@pytest.mark.slow
@pytest.mark.parametrize("input_shape", [None, (20, 24, 1)], ids=["native", "grey"])
def test_resnet50_prepares_pixels_as_keras_applications_does(input_shape: tuple[int, int, int] | None) -> None:
    backbone = load_backbone("resnet50", image_size=40, input_shape=input_shape, weights=None, seed=2)
    oracle = keras.applications.ResNet50(include_top=False, weights=None, input_shape=(40, 40, 3))
    oracle.set_weights(backbone.model.get_weights())
    x = random_split(2, shape=backbone.model.input_shape[1:], classes=2).x
    ready = x.astype(np.float32)
    if input_shape is not None:
        resized = keras.ops.image.resize(ready, (40, 40), interpolation="bilinear")
        ready = np.repeat(np.asarray(resized), 3, axis=-1)
    ready = keras.applications.resnet.preprocess_input(ready.copy())
    np.testing.assert_allclose(
        backbone.model.predict(x, verbose=0), oracle.predict(ready, verbose=0), rtol=1e-3, atol=1e-3
    )
    assert backbone.stage_ends == (
        "pool1_pool",
        "conv2_block3_out",
        "conv3_block4_out",
        "conv4_block6_out",
        "conv5_block3_out",
    )


def test_imagenet_without_a_network_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, no_network: None
) -> None:
    monkeypatch.setattr("keras.src.backend.config.keras_home", lambda: str(tmp_path))
    for weights in ("pretrained", "imagenet"):
        with raises_one_line(ConnectionError, "ImageNet", "network", "weights=PATH", "weights=None"):
            load_backbone("resnet50", image_size=32, weights=weights)


# Weights from a file


@pytest.mark.parametrize("as_text", [True, False], ids=["text", "path"])
def test_weights_make_the_round_trip(tmp_path: Path, as_text: bool) -> None:
    path = tmp_path / "mine.weights.h5"
    original = load_backbone("resnet_printed", weights=None, seed=4)
    original.model.save_weights(path)
    loaded = load_backbone("resnet_printed", weights=str(path) if as_text else path)
    assert same_weights(original.model, loaded.model)
    adapted = load_backbone("resnet_printed", weights=path, input_shape=(20, 20, 3))
    assert same_weights(original.model, adapted.model)


@pytest.mark.slow
def test_resnet50_weights_make_the_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "mine.weights.h5"
    original = load_backbone("resnet50", weights=None, seed=4, image_size=32)
    original.model.save_weights(path)
    assert same_weights(original.model, load_backbone("resnet50", weights=path, image_size=40).model)
    with raises_one_line(ValueError, "'resnet_printed'", "'mine.weights.h5'"):
        load_backbone("resnet_printed", weights=path)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(lambda: small_resnet(widths=(32, 64, 128, 200)), id="narrower"),
        pytest.param(lambda: small_resnet(widths=(16, 64, 128, 256)), id="narrower stem"),
        pytest.param(lambda: small_resnet(widths=(32, 64, 128)), id="shallower"),
        pytest.param(lambda: small_resnet(widths=(32, 64, 128, 256, 512)), id="deeper"),
        pytest.param(toy_model, id="toy"),
        pytest.param(lambda: keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]), id="head"),
    ],
)
def test_weights_of_another_architecture_are_refused(tmp_path: Path, other) -> None:
    path = tmp_path / "other.weights.h5"
    other().save_weights(path)
    with raises_one_line(ValueError, "weights must fit", "'resnet_printed'", "'other.weights.h5'"):
        load_backbone("resnet_printed", weights=path)


def test_a_refused_file_leaves_the_model_as_it_was(tmp_path: Path) -> None:
    from tlkit.backbones import _load_weights

    path = tmp_path / "other.weights.h5"
    small_resnet(widths=(32, 64, 128, 200), seed=9).save_weights(path)  # its first layers do fit
    model = small_resnet(seed=1)
    before = model.get_weights()
    with raises_one_line(ValueError, "weights must fit"):
        _load_weights(model, path, "small")
    assert same_weights(before, model)


def test_a_file_that_is_no_hdf5_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.weights.h5"
    path.write_text("hello")
    with raises_one_line(ValueError, "'text.weights.h5'"):
        load_backbone("resnet_printed", weights=path)


def test_a_file_of_another_kind_or_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    path.write_text("hello")
    with raises_one_line(ValueError, ".weights.h5", "'model.keras'"):
        load_backbone("resnet_printed", weights=path)
    with raises_one_line(ValueError, "existing", "absent.weights.h5"):
        load_backbone("resnet_printed", weights=tmp_path / "absent.weights.h5")


# Names and numbers


def test_unknown_backbone_and_the_nearest_name() -> None:
    with raises_one_line(
        ValueError, "'resnet50', 'resnet_fashion', 'resnet_printed'", "Did you mean 'resnet_printed'?"
    ):
        load_backbone("resnet-printed")
    with raises_one_line(ValueError, "Did you mean 'resnet50'?"):
        load_backbone("ResNet50")


@pytest.mark.parametrize(
    ("name", "weights", "nearest"),
    [
        ("resnet50", "imagnet", "imagenet"),
        ("resnet_printed", "print", "printed"),
        ("resnet_printed", "pretraind", "pretrained"),
    ],
)
def test_unknown_weights_and_the_nearest_name(name: str, weights: str, nearest: str) -> None:
    with raises_one_line(ValueError, repr(name), f"got {weights!r}", f"Did you mean {nearest!r}?"):
        load_backbone(name, weights=weights)


@pytest.mark.parametrize(("name", "weights"), [("resnet_printed", "imagenet"), ("resnet50", "printed")])
def test_weights_of_another_backbone(name: str, weights: str) -> None:
    with raises_one_line(ValueError, repr(name), f"got {weights!r}"):
        load_backbone(name, weights=weights)


@pytest.mark.parametrize(
    ("name", "image_size"),
    [("resnet_printed", 7), ("resnet50", 31), ("resnet50", 0), ("resnet50", 64.0), ("resnet50", "64")],
)
def test_image_size_out_of_range(name: str, image_size: int) -> None:
    smallest = {"resnet_printed": 8, "resnet50": 32}[name]
    with raises_one_line(ValueError, f"image_size must be {smallest} pixels or more", f"got {image_size!r}"):
        load_backbone(name, image_size=image_size, weights=None)


@pytest.mark.parametrize("input_shape", [(28, 28), (28, 28, 2), (0, 28, 1), (28, 28, 4), (2, 28, 28, 1)])
def test_input_shape_out_of_range(input_shape: tuple[int, ...]) -> None:
    with raises_one_line(ValueError, "(height, width, channels) with 1 or 3 channels", f"got {input_shape}"):
        load_backbone("resnet_printed", weights=None, input_shape=input_shape)  # type: ignore[arg-type]


# Saving


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(toy_backbone, id="toy"),
        pytest.param(lambda: load_backbone("resnet_printed", weights=None, input_shape=(20, 24, 3)), id="adapted"),
        pytest.param(
            lambda: load_backbone("resnet50", weights=None, image_size=32, input_shape=(20, 24, 1)),
            id="resnet50",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_model_is_saved_and_loaded_in_safe_mode(tmp_path: Path, make) -> None:
    backbone = make()
    backbone.model.save(tmp_path / "backbone.keras")
    loaded = keras.saving.load_model(tmp_path / "backbone.keras", safe_mode=True)
    x = random_split(2, shape=backbone.model.input_shape[1:], classes=2).x
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), backbone.model.predict(x, verbose=0))
    again = wrap_backbone(loaded, backbone.stage_ends, backbone.name)
    assert same_weights(again.model, backbone.model)
