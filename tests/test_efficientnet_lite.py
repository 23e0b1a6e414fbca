"""The bundled EfficientNet-Lite0: the logits of the original, cuts that change nothing, one file for all of Keras."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from helpers import (
    KERAS_SAVES_WITH_A_WARNING,
    largest_difference,
    raises_one_line,
    random_split,
    run_python,
    same_weights,
)
from marks import in_bank
from test_backbones import answers, global_random_states, kernels_of

import tlkit
from tlkit._keras import keras
from tlkit.audit import diagnose
from tlkit.backbones import Backbone, find_boundaries, load_backbone, wrap_backbone
from tlkit.backbones.efficientnet_lite import imagenet_classes
from tlkit.features import cache_features, multiply_adds, split_at
from tlkit.freezing import freeze_to
from tlkit.heads import build_head, join, load_source_head, source_classes
from tlkit.training import fit

pytestmark = pytest.mark.filterwarnings(KERAS_SAVES_WITH_A_WARNING)

NAME, FILE = "efficientnet_lite0", "efficientnet_lite0.keras"
# 20 pictures, and what the network in PyTorch says of them: tools/efficientnet_reference.py.
REFERENCE = np.load(Path(__file__).parent / "data" / "efficientnet_reference.npz")
SIZES = ("small", "odd")
SIDE = 32  # pixels, the smallest that there is


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    """For tests that only look."""
    return load_backbone(NAME, image_size=SIDE)


@pytest.fixture(scope="module")
def plain() -> keras.Model:
    """The file as plain Keras loads it."""
    return keras.models.load_model(tlkit.asset_path(FILE), safe_mode=True, compile=False)


# The original


@pytest.mark.parametrize("size", SIZES)
def test_logits_are_those_of_the_original(plain: keras.Model, size: str) -> None:
    x = REFERENCE[f"x_{size}"]
    logits = plain.predict(x, verbose=0)
    # Half precision of the large kernels is what the file loses; with the original rounded alike nothing is left.
    np.testing.assert_allclose(logits, REFERENCE[f"logits_{size}"], rtol=0, atol=2e-2)
    np.testing.assert_allclose(logits, REFERENCE[f"rounded_{size}"], rtol=0, atol=1e-3)


def test_the_reference_is_of_twenty_pictures_and_the_same_weights() -> None:
    assert sum(len(REFERENCE[f"x_{size}"]) for size in SIZES) == 20
    digest = next(line.removeprefix("weights: ") for line in REFERENCE["provenance"] if line.startswith("weights"))
    tool = (Path(__file__).parents[1] / "tools" / "convert_efficientnet.py").read_text(encoding="utf-8")
    assert digest in tool
    # Flat logits would agree with anything.
    assert np.ptp(REFERENCE["logits_small"], axis=1).min() > 2


@pytest.mark.parametrize("size", in_bank(SIZES, but=["odd"]))
def test_backbone_and_source_head_together_are_the_file(plain: keras.Model, size: str) -> None:
    x = REFERENCE[f"x_{size}"][:4]
    height, width = x.shape[1:3]
    found = load_backbone(NAME, image_size=height, input_shape=(height, width, 3))
    resized = np.asarray(keras.ops.image.resize(x.astype(np.float32), (height, height), interpolation="bilinear"))
    whole = join(found.model, load_source_head(found))
    np.testing.assert_allclose(answers(whole, x), answers(plain, resized), rtol=1e-4, atol=1e-4)


# The file


@pytest.mark.slow
@pytest.mark.bank  # `plain` loads it in this process, and the next test looks for layers that are not Keras'
def test_plain_keras_loads_the_file_without_tlkit(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", REFERENCE["x_small"][:2])
    code = f"""
import sys, keras, numpy as np
model = keras.models.load_model({str(tlkit.asset_path(FILE))!r}, safe_mode=True, compile=False)
np.save("logits.npy", np.asarray(model(np.load("x.npy"), training=False)))
assert not [name for name in sys.modules if name.startswith("tlkit")]
"""
    run = run_python("-c", code, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    np.testing.assert_allclose(np.load(tmp_path / "logits.npy"), REFERENCE["rounded_small"][:2], rtol=0, atol=1e-3)


def test_the_file_is_made_of_kerass_own_layers_and_says_nothing_of_the_day() -> None:
    with zipfile.ZipFile(tlkit.asset_path(FILE)) as archive:
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        config = json.loads(archive.read("config.json"))
    layers = config["config"]["layers"]
    assert {layer["module"] for layer in layers} == {"keras.layers"}
    assert {layer["registered_name"] for layer in layers} == {None}
    assert "Lambda" not in {layer["class_name"] for layer in layers}


def test_the_model_computes_in_single_precision(plain: keras.Model) -> None:
    assert {weight.dtype for weight in plain.weights} == {"float32"}
    large = [weight.numpy() for weight in plain.weights if np.prod(weight.shape) > 40_000]
    assert all(np.array_equal(values, values.astype(np.float16).astype(np.float32)) for values in large)
    assert sum(values.size for values in large) > 0.88 * plain.count_params()


def test_any_size_goes_through_the_file(plain: keras.Model) -> None:
    assert plain.input_shape == (None, None, None, 3)
    for shape in ((32, 32, 3), (33, 47, 3)):
        assert plain.predict(random_split(1, shape=shape, classes=1).x, verbose=0).shape == (1, 1000)


# Stages


def test_stages_end_at_the_groups_of_blocks(backbone: Backbone) -> None:
    shapes = [tuple(backbone.boundary(stage).shape[1:]) for stage in range(backbone.n_stages + 1)]
    assert shapes == [
        (32, 32, 3), (16, 16, 16), (8, 8, 24), (4, 4, 40), (2, 2, 80), (2, 2, 112), (1, 1, 192), (1, 1, 1280),
    ]  # fmt: skip
    assert set(backbone.stage_ends) <= set(find_boundaries(backbone.model))
    # What wrap_backbone finds by itself are the places where the resolution halves.
    assert set(wrap_backbone(backbone.model).stage_ends) <= set(backbone.stage_ends)


@pytest.mark.parametrize("stage", in_bank(range(8), but=[4, 7]))
def test_trunk_and_tail_are_the_whole(backbone: Backbone, stage: int) -> None:
    x = random_split(2, shape=(SIDE, SIDE, 3), classes=2).x
    trunk, tail = split_at(backbone, stage)
    assert {id(w) for w in [*trunk.weights, *tail.weights]} == {id(w) for w in backbone.model.weights}
    np.testing.assert_array_equal(answers(tail, answers(trunk, x)), answers(backbone.model, x))


@pytest.mark.slow
@pytest.mark.bank  # tests/test_backbones.py trains a MobileNetV2, which is made of the same blocks
@pytest.mark.parametrize("stage", range(8))
def test_training_on_cached_features_equals_full_training(stage: int) -> None:
    data = random_split(12, shape=(SIDE, SIDE, 3))
    models = []
    for cached in (False, True):
        backbone = load_backbone(NAME, image_size=SIDE)
        start = backbone.model.get_weights()
        freeze_to(backbone, stage)
        head = build_head(backbone, 3, seed=5)
        trunk, tail = split_at(backbone, stage)
        if cached:
            model, seen = join(tail, head), cache_features(trunk, data, cache_dir="memory")
        else:
            model, seen = join(backbone.model, head), data
        fit(model, seen, epochs=1, batch_size=8, seed=11, learning_rate=1e-3, progress=False)
        models.append(join(backbone.model, head))
        moved = [not np.array_equal(a, b) for a, b in zip(start, backbone.model.get_weights(), strict=True)]
        assert any(moved) == (stage < backbone.n_stages)
    assert largest_difference(*models) <= 1e-5


def test_nothing_is_dropped_while_training(backbone: Backbone) -> None:
    assert not [layer for layer in backbone.model.layers if isinstance(layer, keras.layers.Dropout)]


# Sizes, channels and weights


@pytest.mark.parametrize("image_size", in_bank([33, 96], but=[33]))
def test_weights_do_not_depend_on_the_size(backbone: Backbone, image_size: int) -> None:
    other = load_backbone(NAME, image_size=image_size)
    assert other.model.input_shape == (None, image_size, image_size, 3)
    assert same_weights(other.model, backbone.model)


def test_the_default_size_is_that_of_the_training(no_network: None) -> None:
    backbone = load_backbone(NAME, weights="imagenet")
    assert backbone.model.input_shape == (None, 224, 224, 3)
    assert multiply_adds(backbone.model) == pytest.approx(0.39e9, rel=0.03)  # published: 407 M, its head of 1,000 too


def test_grey_images_of_another_size_are_taken(backbone: Backbone) -> None:
    grey = load_backbone(NAME, image_size=SIDE, input_shape=(20, 24, 1))
    x = random_split(2, shape=(20, 24, 1), classes=2).x
    resized = np.asarray(keras.ops.image.resize(x.astype(np.float32), (SIDE, SIDE), interpolation="bilinear"))
    wanted = answers(backbone.model, np.repeat(resized, 3, axis=-1))
    np.testing.assert_allclose(answers(grey.model, x), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("image_size", [31, 0, -32, 64.0, True])
def test_a_size_that_is_too_small_or_no_size_is_refused(image_size: object) -> None:
    with raises_one_line(ValueError, "image_size must be 32 pixels or more", f"got {image_size!r}"):
        load_backbone(NAME, image_size=image_size)  # type: ignore[arg-type]


def test_wrong_names_are_refused() -> None:
    with raises_one_line(ValueError, "'efficientnet_lite0'", "got 'efficientnet_lite1'"):
        load_backbone("efficientnet_lite1")
    with raises_one_line(ValueError, f"weights of {NAME!r}", "'imagenet'", "got 'printed'"):
        load_backbone(NAME, weights="printed")


def test_random_weights_come_from_the_seed_alone_and_have_no_source_head() -> None:
    states = global_random_states()
    one, again, other = (load_backbone(NAME, weights=None, image_size=SIDE, seed=seed) for seed in (1, 1, 2))
    assert global_random_states() == states
    assert same_weights(one.model, again.model)
    kernels = [kernel.numpy() for kernel in kernels_of(one.model)]
    assert len({kernel.tobytes() for kernel in kernels}) == len(kernels)
    assert not any(
        np.array_equal(kernel, b.numpy()) for kernel, b in zip(kernels, kernels_of(other.model), strict=True)
    )
    with raises_one_line(ValueError, "a source head is bundled for", "got 'efficientnet_lite0_random'"):
        load_source_head(one)


def test_weights_of_ones_own_make_the_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "mine.weights.h5"
    mine = load_backbone(NAME, weights=None, image_size=SIDE, seed=4)
    mine.model.save_weights(path)
    assert same_weights(mine.model, load_backbone(NAME, weights=path, image_size=40).model)
    with raises_one_line(ValueError, "weights must fit", repr("resnet_printed")):
        load_backbone("resnet_printed", weights=path)


def test_nothing_is_said_against_the_preprocessing() -> None:
    backbone = load_backbone(NAME, image_size=SIDE)
    freeze_to(backbone, backbone.n_stages)
    findings = diagnose(join(backbone.model, build_head(backbone, 3)), random_split(12, shape=(SIDE, SIDE, 3)))
    assert [finding.rule for finding in findings] == []
    assert not {"input-statistics", "rescaled-twice", "already-scaled"} & set(findings.unchecked)


# The source's own classes


def test_the_names_are_imagenets(backbone: Backbone) -> None:
    names = source_classes(backbone)
    assert names == imagenet_classes()
    assert names == tuple(tlkit.asset_path("imagenet_classes.txt").read_text(encoding="utf-8").splitlines())
    assert len(set(names)) == 1000
    assert {0: "tench", 1: "goldfish", 291: "lion", 340: "zebra", 985: "daisy", 999: "toilet tissue"}.items() <= dict(
        enumerate(names)
    ).items()


def test_two_photographs_are_named(plain: keras.Model) -> None:
    from sklearn.datasets import load_sample_images

    named = []
    for photograph in load_sample_images().images:  # a Chinese palace by the water, a flower
        part = photograph[np.newaxis, :300, 150:450].astype(np.float32)
        logits = plain.predict(np.asarray(keras.ops.image.resize(part, (160, 160), antialias=True)), verbose=0)[0]
        named.append([imagenet_classes()[i] for i in np.argsort(logits)[:-4:-1]])
    assert {"bell cote", "palace"} <= set(named[0])
    assert named[1][0] == "daisy"


def test_the_source_head_is_a_slice_of_the_whole(backbone: Backbone) -> None:
    features = np.random.default_rng(0).uniform(0, 1, (3, 1, 1, 1280)).astype(np.float32)
    whole = load_source_head(backbone)
    assert whole.output_shape == (None, 1000)
    some = load_source_head(backbone, ("zebra", "tench"))
    np.testing.assert_allclose(answers(some, features), answers(whole, features)[:, [340, 0]], rtol=1e-5, atol=1e-5)
    with raises_one_line(ValueError, "class must be one of", "and 997 more, got 'zebras'", "Did you mean 'zebra'?"):
        load_source_head(backbone, ("zebras",))


def test_small_resnets_name_their_classes_too() -> None:
    assert source_classes(load_backbone("resnet_fashion"))[:2] == ("T-shirt/top", "Trouser")
