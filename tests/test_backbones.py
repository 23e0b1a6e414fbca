"""Backbones: where they can be cut, that raw pixels go in, and that weights are the right ones or refused."""

import warnings
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
from marks import in_bank

from tlkit._keras import keras
from tlkit.audit import audit_fit, diagnose
from tlkit.backbones import (
    Backbone,
    draw_weights,
    find_boundaries,
    layers_up_to,
    load_backbone,
    small_resnet,
    stage_layers,
    wrap_backbone,
)
from tlkit.backbones.applications import (
    APPLICATIONS,
    IMAGENET_DEVIATIONS,
    IMAGENET_MEANS,
    PREPROCESSING,
    to_rgb_of_size,
)
from tlkit.backbones.loading import _WEIGHTS_BY_NAME
from tlkit.domains import BUNDLED_DOMAINS, Domain, DomainPair, load_domain
from tlkit.evaluation import accuracy
from tlkit.explain import grad_cam
from tlkit.features import cache_features, split_at
from tlkit.freezing import freeze_to
from tlkit.heads import build_head, join, load_source_head
from tlkit.training import fit

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


def test_each_layer_is_in_the_first_stage_that_needs_it(still_toy: Backbone) -> None:
    stages = stage_layers(still_toy)
    assert list(stages) == [1, 2]
    assert stages[1] == layers_up_to(still_toy, 1)
    assert stages[1] + stages[2] == list(still_toy.model.layers)
    stem = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(1, 1, name="inside")], name="stem")
    image = keras.Input((8, 8, 1))
    end = keras.layers.Conv2D(4, 3, name="end")
    nested = wrap_backbone(keras.Model(image, end(stem(image))), ("stem", "end"))
    names = [[layer.name for layer in layers] for layers in stage_layers(nested).values()]
    assert "inside" in names[0]
    assert names[1] == ["end"]


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
    np.testing.assert_array_equal(answers(tail, answers(trunk, x)), answers(backbone.model, x))


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
    np.testing.assert_array_equal(answers(tail, answers(trunk, x)), answers(model, x))


def test_a_model_whose_layers_are_used_elsewhere_too() -> None:
    model = toy_model()
    model(np.zeros((1, 8, 8, 1), np.float32))
    model.get_layer("one_out")(keras.Input((8, 8, 4)))
    other = keras.Model(model.input, model.get_layer("two_add").output)
    other(keras.Input((8, 8, 1)))
    backbone = wrap_backbone(model, TOY_STAGE_ENDS, "toy")
    x = random_split(3).x
    trunk, tail = split_at(backbone, 1)
    np.testing.assert_array_equal(answers(tail, answers(trunk, x)), answers(model, x))


@pytest.mark.slow
def test_mobilenet_is_wrapped() -> None:
    model = keras.applications.MobileNetV2((32, 32, 3), include_top=False, weights=None, alpha=0.35)
    backbone = wrap_backbone(model, ("block_2_add", "block_5_add", "out_relu"), "mobilenet")
    x = random_split(2, shape=(32, 32, 3), classes=2).x
    trunk, tail = split_at(backbone, 2)
    assert {id(w) for w in [*trunk.weights, *tail.weights]} == {id(w) for w in model.weights}
    np.testing.assert_array_equal(answers(tail, answers(trunk, x)), answers(model, x))
    with raises_one_line(ValueError, "residual branch", "'block_4_expand'"):
        wrap_backbone(model, ("block_4_expand", "out_relu"), "mobilenet")
    with raises_one_line(ValueError, "'block_2_add'", "got 'block2_add'"):
        wrap_backbone(model, ("block2_add", "out_relu"), "mobilenet")


# Boundaries that are found


def narrow_by_trial(model: keras.Model) -> list[str]:
    """The oracle: a tensor is a boundary when, without it, the input is not reached from the output any more."""

    def made_from(tensor: object) -> list[object]:
        history = tensor._keras_history
        return history.operation._inbound_nodes[history.node_index].input_tensors

    def behind(*, without: object = None) -> dict[int, object]:
        found: dict[int, object] = {}
        stack = [model.outputs[0]]
        while stack:
            tensor = stack.pop()
            if tensor is not without and id(tensor) not in found:
                found[id(tensor)] = tensor
                stack += made_from(tensor)
        return found

    tensors = [tensor for tensor in behind().values() if tensor is not model.inputs[0]]
    narrow = [tensor for tensor in tensors if id(model.inputs[0]) not in behind(without=tensor)]
    depth = {id(tensor): len(behind(without=tensor)) for tensor in narrow}  # what remains grows towards the input
    return [tensor._keras_history.operation.name for tensor in sorted(narrow, key=lambda t: depth[id(t)], reverse=True)]


def random_graph(seed: int) -> keras.Model:
    """Up to 14 operations that take one or two of the last few tensors, and at the end the sum of the loose ones."""
    rng = np.random.default_rng(seed)
    tensors = [keras.Input((4,))]
    loose = set()
    for i in range(rng.integers(2, 15)):
        chosen = sorted({int(j) for j in rng.integers(max(0, len(tensors) - 3), len(tensors), 2)})
        taken = [tensors[j] for j in chosen]
        layer = keras.layers.Add(name=f"add{i}") if len(taken) == 2 else keras.layers.ReLU(name=f"relu{i}")
        tensors.append(layer(taken if len(taken) == 2 else taken[0]))
        loose = (loose | {len(tensors) - 1}) - set(chosen)
    ends = [tensors[j] for j in sorted(loose)]
    return keras.Model(tensors[0], keras.layers.Add(name="end")(ends) if len(ends) > 1 else ends[0])


@pytest.mark.parametrize("seed", range(40))
def test_boundaries_are_those_that_a_trial_of_each_tensor_finds(seed: int) -> None:
    model = random_graph(seed)
    assert list(find_boundaries(model)) == narrow_by_trial(model)


def test_boundaries_of_known_graphs() -> None:
    assert find_boundaries(toy_model()) == ("rescale", "one_conv", "one_bn", "one_out", "two_add", "two_out")
    inside = ("a_conv", "a_bn", "a_relu", "b_conv", "b_bn", "add")
    names = find_boundaries(small_resnet())
    assert not [name for name in names if name.startswith("stage") and name.endswith(inside[:5])]
    assert names[-2:] == ("stage5_add", "stage5_out")


def test_every_boundary_is_a_place_to_cut() -> None:
    model = toy_model()
    x = random_split(3).x
    backbone = wrap_backbone(model, find_boundaries(model))
    whole = answers(model, x)
    for stage in range(backbone.n_stages + 1):
        trunk, tail = split_at(backbone, stage)
        np.testing.assert_array_equal(answers(tail, answers(trunk, x)), whole)


def test_a_layer_that_is_used_twice_is_no_boundary() -> None:
    image = keras.Input((8, 8, 1))
    twice = keras.layers.Conv2D(1, 3, padding="same", name="twice")
    model = keras.Model(image, keras.layers.ReLU(name="out")(twice(keras.layers.ReLU(name="between")(twice(image)))))
    assert find_boundaries(model) == ("between", "out")
    assert wrap_backbone(model).stage_ends[-1] == "out"
    with raises_one_line(ValueError, "uses once", "'twice'", "2 times"):
        wrap_backbone(model, ("twice", "out"))


def test_stages_are_found() -> None:
    backbone = wrap_backbone(small_resnet())
    assert backbone.stage_ends == ("stage2_out", "stage3_out", "stage4_out", "stage5_out")
    assert backbone.name == "small_resnet"
    assert wrap_backbone(small_resnet(), name="mine").name == "mine"


def test_a_network_of_one_resolution_is_cut_into_parts_of_as_many_weights() -> None:
    x = image = keras.Input((8, 8, 4))
    for i in range(20):
        y = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name=f"conv{i}")(x)
        x = keras.layers.Add(name=f"block{i}")([x, y])
    backbone = wrap_backbone(keras.Model(image, x))
    assert backbone.stage_ends == ("block3", "block7", "block11", "block15", "block19")


def test_stages_of_a_model_for_images_of_any_size_are_those_of_one_size() -> None:
    def make(side: int | None) -> keras.Model:
        return keras.applications.MobileNetV2((side, side, 3), include_top=False, weights=None, alpha=0.35)

    assert wrap_backbone(make(None)).stage_ends == wrap_backbone(make(224)).stage_ends


def nested(base: keras.Model, *, training: bool | None = None, name: str = "outer_rescale") -> keras.Model:
    image = keras.Input((8, 8, 1), name="outer_image")
    x = keras.layers.Rescaling(2.0, name=name)(image)
    return keras.Model(image, base(x, training=training), name="outer")


@pytest.mark.parametrize("depth", [1, 2])
def test_a_model_inside_a_model_is_opened(depth: int, tmp_path: Path) -> None:
    base = toy_model()
    model = base
    for i in range(depth):
        model = nested(model, name=f"rescale{i}")
    backbone = wrap_backbone(model, TOY_STAGE_ENDS)
    assert {id(weight) for weight in backbone.model.weights} == {id(weight) for weight in base.weights}
    x = random_split(3).x
    whole = answers(model, x)
    np.testing.assert_array_equal(answers(backbone.model, x), whole)
    trunk, tail = split_at(backbone, 1)
    np.testing.assert_array_equal(answers(tail, answers(trunk, x)), whole)
    assert find_boundaries(model)[-6:] == find_boundaries(base)
    backbone.model.save(tmp_path / "opened.keras")
    again = keras.saving.load_model(tmp_path / "opened.keras", safe_mode=True)
    np.testing.assert_array_equal(answers(again, x), whole)


def test_a_sequential_model_inside_is_opened_and_the_rest_is_not() -> None:
    stem = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(1, 1, name="small")], name="stem")
    base = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(9, 3, name="large")], name="base")
    image = keras.Input((8, 8, 1))
    model = keras.Model(image, base(stem(image)))
    assert find_boundaries(model) == ("stem", "large")
    assert wrap_backbone(model, ("stem", "base")).n_stages == 2  # who names it wants it whole


@pytest.mark.parametrize("training", [False, None])
def test_opening_keeps_what_training_means(training: bool | None) -> None:
    model = nested(toy_model(), training=training)
    backbone = wrap_backbone(model, TOY_STAGE_ENDS)
    x = random_split(6).x.astype(np.float32)
    for asked in (True, False, None):
        np.testing.assert_array_equal(backbone.model(x, training=asked), model(x, training=asked))


def test_a_model_inside_with_a_name_of_the_outer_one_is_refused() -> None:
    with raises_one_line(ValueError, "other layer names", '"rescale"', "2 times"):
        wrap_backbone(nested(toy_model(), name="rescale"))


def test_a_subclassed_model_inside_is_refused() -> None:
    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__(name="own")
            self.conv = keras.layers.Conv2D(2, 3)

        def call(self, x):
            return self.conv(x)

    image = keras.Input((8, 8, 1))
    model = keras.Model(image, Own()(image))
    for ask in (find_boundaries, wrap_backbone):
        with raises_one_line(ValueError, "'own' (Own)", "subclassed", "stage_ends"):
            ask(model)
    assert wrap_backbone(model, ("own",)).n_stages == 1


def test_an_input_in_a_list_is_taken_out_of_it() -> None:
    # keras.applications makes such models; called with a tensor they would warn, and warnings are errors here.
    model = toy_model()
    backbone = wrap_backbone(keras.Model([model.inputs[0]], [model.outputs[0]]), TOY_STAGE_ENDS)
    assert backbone.boundary(0) is backbone.model.inputs[0]
    backbone.model(keras.Input((8, 8, 1)))
    with raises_one_line(ValueError, "residual branch"):
        wrap_backbone(keras.Model([model.inputs[0]], [model.outputs[0]]), ("two_a_relu", "two_out"))


def test_kerashub_backbones_are_wrapped() -> None:
    hub = pytest.importorskip("keras_hub")
    model = hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[3],
        stackwise_num_filters=[64, 64, 64],
        stackwise_num_blocks=[1, 1, 1],
        stackwise_num_strides=[1, 2, 2],
        block_type="basic_block",
        image_shape=(32, 32, 3),
    )
    image = keras.Input((32, 32, 3))
    outer = keras.Model(image, model(keras.layers.Rescaling(1 / 255)(image)))
    x = random_split(3, shape=(32, 32, 3)).x
    for wrapped in (model, outer):
        backbone = wrap_backbone(wrapped)
        assert backbone.n_stages >= 3
        whole = wrapped.predict(x.astype(np.float32), verbose=0)
        for stage in range(backbone.n_stages + 1):
            trunk, tail = split_at(backbone, stage)
            cut = tail.predict(trunk.predict(x.astype(np.float32), verbose=0), verbose=0)
            np.testing.assert_allclose(cut, whole, rtol=1e-5, atol=1e-5)


# The small ResNet


def test_small_resnet_has_the_stages_it_names() -> None:
    backbone = load_backbone("resnet_printed", weights=None)
    shapes = [tuple(backbone.boundary(stage).shape[1:]) for stage in range(backbone.n_stages + 1)]
    assert shapes == [(28, 28, 1), (28, 28, 32), (28, 28, 32), (14, 14, 64), (7, 7, 128), (4, 4, 256)]


def test_small_resnet_takes_raw_pixels() -> None:
    model = small_resnet((12, 12, 1), (4, 8))
    x = random_split(3, shape=(12, 12, 1)).x
    inner = keras.Model(model.get_layer("rescale").output, model.output)
    np.testing.assert_allclose(answers(model, x), answers(inner, x / np.float32(255)), rtol=1e-4, atol=1e-5)


def test_pretrained_weights_are_not_the_random_ones_and_always_the_same() -> None:
    one, two = load_backbone("resnet_printed"), load_backbone("resnet_printed", seed=1)
    assert same_weights(one.model, two.model)
    assert not same_weights(one.model, load_backbone("resnet_printed", weights=None).model)
    assert same_weights(one.model, load_backbone("resnet_printed", weights="printed").model)


@pytest.mark.parametrize("name", [f"resnet_{name}" for name in BUNDLED_DOMAINS if f"resnet_{name}" in _WEIGHTS_BY_NAME])
def test_every_small_resnet_with_labels_is_there_with_its_head(name: str) -> None:
    backbone = load_backbone(name)
    source = load_domain(name.removeprefix("resnet_"))
    whole = join(backbone.model, load_source_head(backbone, source.classes))
    chance = 1 / len(source.classes)
    assert accuracy(whole, source.test[:200]) > 2 * chance  # the head belongs to the backbone


@pytest.mark.parametrize("name", in_bank(["resnet_printed", *APPLICATIONS], but=["resnet_printed", "mobilenetv2"]))
def test_random_weights_come_from_the_seed_alone(name: str) -> None:
    size = {"image_size": 32} if name in APPLICATIONS else {}
    python, numpy_, keras_ = global_random_states()
    one, again, other = (load_backbone(name, weights=None, seed=seed, **size).model for seed in (1, 1, 2))
    assert global_random_states() == (python, numpy_, keras_)
    # All variables: the seeds of dropout are none of the weights, and decide on a training as well.
    assert same_weights(*([variable.numpy() for variable in model.variables] for model in (one, again)))
    kernels, others = ([kernel.numpy() for kernel in kernels_of(model)] for model in (one, other))
    assert kernels
    assert not any(np.array_equal(a, b) for a, b in zip(kernels, others, strict=True))
    assert len({kernel.tobytes() for kernel in kernels}) == len(kernels)  # no two layers start alike


def kernels_of(model: keras.Model) -> list[keras.Variable]:
    layers = model._flatten_layers(include_self=False, recursive=True)
    return [layer.kernel for layer in layers if hasattr(layer, "kernel")]


def images(*layers: keras.layers.Layer) -> keras.Model:
    return keras.Sequential([keras.Input((8, 8, 3)), *layers])


def ids(*layers: keras.layers.Layer) -> keras.Model:
    return keras.Sequential([keras.Input((6,), dtype="int32"), keras.layers.Embedding(50, 4), *layers])


L = keras.layers
# Each kind of layer, and how many of its weights start at random.
KINDS = {
    "dense": (lambda: images(L.Flatten(), L.Dense(5)), 1),
    "random bias": (lambda: images(L.Flatten(), L.Dense(5, bias_initializer="random_normal")), 2),
    "conv": (lambda: images(L.Conv2D(5, 3)), 1),
    "conv transpose": (lambda: images(L.Conv2DTranspose(5, 3)), 1),
    "depthwise": (lambda: images(L.DepthwiseConv2D(3)), 1),
    "separable": (lambda: images(L.SeparableConv2D(5, 3)), 2),
    "einsum": (lambda: ids(L.EinsumDense("abc,cd->abd", output_shape=(None, 5))), 2),
    "embedding": (ids, 1),
    "recurrent": (lambda: ids(L.LSTM(3)), 3),
    "inside a layer": (lambda: ids(L.Bidirectional(L.GRU(3))), 5),
    "inside a model": (lambda: images(images(L.DepthwiseConv2D(3)), L.BatchNormalization(), L.Conv2D(2, 1)), 2),
}


@pytest.mark.parametrize("kind", KINDS)
def test_start_weights_of_each_kind_of_layer_come_from_the_seed_alone(kind: str) -> None:
    build, drawn = KINDS[kind]
    model = build()

    def after(seed: int) -> list[np.ndarray]:
        draw_weights(model, seed)
        return model.get_weights()

    before, states = model.get_weights(), global_random_states()
    one, other, again = after(1), after(2), after(1)
    assert global_random_states() == states
    assert same_weights(one, again)
    assert sum(not np.array_equal(a, b) for a, b in zip(before, one, strict=True)) == drawn
    moved = [weight for weight, former in zip(one, other, strict=True) if not np.array_equal(weight, former)]
    assert len({weight.tobytes() for weight in moved}) == drawn
    # What is drawn is what the layer itself draws: about as large as in the new model.
    for weight, new in zip(one, before, strict=True):
        if weight.size >= 20:  # of fewer numbers chance decides
            assert np.std(weight) == pytest.approx(np.std(new), rel=0.75)


def test_the_numbers_of_a_seed_are_those_that_stored_results_rest_on() -> None:
    # Each kernel, in the order of the layers, from the next state of the seed: so networks were always drawn.
    model, by_hand = small_resnet(seed=1), small_resnet(seed=2)
    draw_weights(model, 7)
    kernels = kernels_of(by_hand)
    for kernel, state in zip(kernels, np.random.SeedSequence(7).generate_state(len(kernels)), strict=True):
        kernel.assign(keras.initializers.HeNormal(seed=int(state))(kernel.shape))
    assert same_weights(model, by_hand)


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
    np.testing.assert_allclose(answers(adapted.model, x), answers(native.model, by_hand), rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_adapter_keeps_the_model_cuttable() -> None:
    adapted = load_backbone("resnet_printed", weights=None, input_shape=(20, 30, 3))
    x = random_split(2, shape=(20, 30, 3), classes=2).x
    trunk, tail = split_at(adapted, 2)
    np.testing.assert_array_equal(answers(tail, answers(trunk, x)), answers(adapted.model, x))


def test_native_input_shape_needs_no_adapter() -> None:
    plain, given = (load_backbone("resnet_printed", weights=None, input_shape=s) for s in (None, (28, 28, 1)))
    assert [layer.name for layer in plain.model.layers] == [layer.name for layer in given.model.layers]


def test_other_image_size_for_the_network_itself() -> None:
    backbone = load_backbone("resnet_printed", weights=None, image_size=40)
    assert backbone.model.input_shape == (None, 40, 40, 1)


# The networks of keras.applications

OWN_PREPROCESSING = {
    "resnet50": keras.applications.resnet,
    "resnet50v2": keras.applications.resnet_v2,
    "mobilenetv2": keras.applications.mobilenet_v2,
    "efficientnetb0": keras.applications.efficientnet,
    "convnexttiny": keras.applications.convnext,
    "densenet121": keras.applications.densenet,
}
# Cut, trained and audited all alike; one has depthwise layers, the other is what the article uses.
SOME_APPLICATIONS = in_bank(APPLICATIONS, but=["mobilenetv2"])
# EfficientNet's file needs mending; the others load their weights by the same code.
SOME_WITH_WEIGHTS = in_bank(APPLICATIONS, but=["efficientnetb0"])


def original(name: str, side: int = 40, **options: object) -> keras.Model:
    """The network as keras.applications builds it, without any layer of tlkit's."""
    build = getattr(keras.applications, APPLICATIONS[name].builder)
    with warnings.catch_warnings():  # MobileNetV2: its weights were trained on images of another size
        warnings.filterwarnings("ignore", message="`input_shape` is undefined or non-square")
        return build(include_top=False, input_shape=(side, side, 3), **{"weights": None, **options})


def answers(network: keras.Model, x: np.ndarray) -> np.ndarray:
    """Operation by operation: a large network's graph takes seconds to trace, for the sake of a single batch."""
    return np.asarray(network(x, training=False))


GREY = ("mobilenetv2", (20, 24, 1))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "input_shape"),
    in_bank([*((name, None) for name in APPLICATIONS), GREY], but=[("mobilenetv2", None), GREY], names=2),
)
def test_applications_prepare_pixels_as_keras_applications_does(
    name: str, input_shape: tuple[int, int, int] | None
) -> None:
    backbone = load_backbone(name, image_size=40, input_shape=input_shape, weights=None, seed=2)
    oracle = original(name)
    oracle.set_weights(backbone.model.get_weights())
    x = random_split(2, shape=backbone.model.input_shape[1:], classes=2).x
    ready = x.astype(np.float32)
    if input_shape is not None:
        resized = keras.ops.image.resize(ready, (40, 40), interpolation="bilinear")
        ready = np.repeat(np.asarray(resized), 3, axis=-1)
    ready = OWN_PREPROCESSING[name].preprocess_input(ready.copy())
    np.testing.assert_allclose(answers(backbone.model, x), answers(oracle, ready), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", SOME_APPLICATIONS)
def test_applications_are_cut_where_the_resolution_halves(name: str) -> None:
    backbone = load_backbone(name, image_size=64, weights=None)
    assert 4 <= backbone.n_stages <= 7
    if name == "convnexttiny":  # the sums at its boundaries have running numbers for names; these places have names
        sides = [backbone.boundary(stage).shape[1] for stage in range(backbone.n_stages + 1)]
        assert sides == [64, 8, 4, 2, 2]
    else:
        assert wrap_backbone(original(name, 64)).stage_ends == backbone.stage_ends
    found = find_boundaries(backbone.model)
    assert list(found) == narrow_by_trial(backbone.model)
    assert set(backbone.stage_ends) <= set(found)
    x = random_split(2, shape=(64, 64, 3), classes=2).x
    whole = answers(backbone.model, x)
    for stage in range(1, backbone.n_stages):
        trunk, tail = split_at(backbone, stage)
        assert {id(w) for w in [*trunk.weights, *tail.weights]} == {id(w) for w in backbone.model.weights}
        np.testing.assert_array_equal(answers(tail, answers(trunk, x)), whole)


@pytest.mark.parametrize("name", SOME_APPLICATIONS)
def test_training_an_application_on_cached_features_equals_full_training(name: str) -> None:
    data = random_split(12, shape=(32, 32, 3))
    ended = []
    backbone = load_backbone(name, weights=None, image_size=32, seed=1)
    stage = backbone.n_stages - 1
    freeze_to(backbone, stage)
    trunk, tail = split_at(backbone, stage)
    begin = [variable.numpy() for variable in backbone.model.variables]  # dropout's seeds, too
    for cached in (False, True):
        for variable, value in zip(backbone.model.variables, begin, strict=True):
            variable.assign(value)
        head = build_head(backbone, 3, seed=5)
        if cached:
            model, seen = join(tail, head), cache_features(trunk, data, cache_dir="memory")
        else:
            # EfficientNet drops branches while training, also of what is frozen, and Keras' fit overrides the
            # training=False of an inner call: with that switched off, a whole model equals the features, which are
            # those of inference. The other networks have no dropout.
            for layer in layers_up_to(backbone, stage):
                if isinstance(layer, keras.layers.Dropout):
                    layer.rate = 0
            model, seen = join(backbone.model, head), data
        start = [kernel.numpy() for kernel in kernels_of(tail)]
        fit(model, seen, epochs=2, batch_size=8, seed=11, learning_rate=1e-3, progress=False)
        ended.append([*backbone.model.get_weights(), *head.get_weights()])
        moved = [np.any(a != b.numpy()) for a, b in zip(start, kernels_of(tail), strict=True)]
        assert moved[-1]
    assert max(float(np.abs(a - b).max(initial=0)) for a, b in zip(*ended, strict=True)) <= 1e-5


@pytest.mark.slow
def test_dropout_of_frozen_stages_goes_on_in_a_whole_model_but_not_behind_features() -> None:
    backbone = load_backbone("efficientnetb0", weights=None, image_size=32)
    stage = 3  # the shorter, the faster; with little dropout in it, so that there is more of it here
    for layer in layers_up_to(backbone, stage):
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.2
    freeze_to(backbone, stage)
    trunk, _ = split_at(backbone, stage)
    data = random_split(6, shape=(32, 32, 3))
    x = data.x.astype(np.float32)
    inference = np.asarray(trunk(x, training=False))
    np.testing.assert_allclose(cache_features(trunk, data, cache_dir="memory").x, inference, rtol=1e-4, atol=1e-6)
    assert np.abs(np.asarray(trunk(x, training=True)) - inference).max() > 1e-2 * np.abs(inference).max()


@pytest.mark.parametrize("name", SOME_APPLICATIONS)
def test_nothing_is_said_against_the_preprocessing_of_an_application(name: str) -> None:
    backbone = load_backbone(name, weights=None, image_size=32)
    freeze_to(backbone, backbone.n_stages)  # BatchNorm that learns is another rule's
    model = join(backbone.model, build_head(backbone, 3))
    data = random_split(12, shape=(32, 32, 3))
    for given in (None, backbone):
        findings = diagnose(model, data, backbone=given)
        assert [finding.rule for finding in findings] == []
        assert not {"input-statistics", "rescaled-twice", "already-scaled"} & set(findings.unchecked)


@pytest.mark.slow
@pytest.mark.parametrize("name", in_bank(["efficientnetb0", "mobilenetv2"], but=["mobilenetv2"]))
def test_audit_lab_and_grad_cam_take_an_application(name: str) -> None:
    from tlkit.widgets import FreezeLab

    backbone = load_backbone(name, weights=None, image_size=32, seed=1)
    parts = [random_split(12, shape=(32, 32, 3), seed=seed) for seed in range(4)]
    source, target = (Domain(name, *parts[i : i + 2], ("a", "b", "c")) for name, i in (("source", 0), ("target", 2)))
    freeze_to(backbone, 4)
    head = build_head(backbone, 3)
    model = join(backbone.model, head)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    table = audit_fit(model, target.train, backbone=backbone, intended_stage=4)
    assert not table["verdict"].str.contains("moved, though").any()
    assert grad_cam(backbone, head, target.test.x).shape == (12, 32, 32)
    lab = FreezeLab(DomainPair(source, target), backbone)
    lab.close()


@pytest.mark.slow
def test_grad_cam_of_resnet50_has_nothing_to_warn_of() -> None:
    backbone = load_backbone("resnet50", weights=None, image_size=32)
    assert grad_cam(backbone, build_head(backbone, 3), random_split(2, shape=(32, 32, 3)).x).shape == (2, 32, 32)


def from_a_file(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """``weights="imagenet"`` finds ``path`` where Keras would find its download."""
    for module in ("resnet", "mobilenet_v2", "efficientnet", "convnext", "densenet"):
        monkeypatch.setattr(f"keras.src.applications.{module}.file_utils.get_file", lambda *args, **kwargs: str(path))


def save_as_keras_does(model: keras.Model, path: Path) -> None:
    """The old HDF5 layout of the files that keras.applications downloads."""
    import h5py
    from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

    with h5py.File(path, "w") as file:
        save_weights_to_hdf5_group(file, model)


@pytest.mark.parametrize("name", SOME_WITH_WEIGHTS)
def test_weights_by_their_path_give_what_imagenet_gives(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "weights.h5"
    model = load_backbone(name, weights=None, image_size=32, seed=3).model
    normalization = [layer for layer in model.layers if isinstance(layer, keras.layers.Normalization) and layer.weights]
    for layer in normalization:  # as in Keras' own file, which holds the deviation in the place of the variance
        layer.set_weights([np.array(IMAGENET_MEANS), np.array(IMAGENET_DEVIATIONS), np.array(0)])
    assert len(normalization) == (name == "efficientnetb0")
    save_as_keras_does(model, path)
    from_a_file(monkeypatch, path)
    x = random_split(2, shape=(32, 32, 3), classes=2).x
    ready = OWN_PREPROCESSING[name].preprocess_input(x.astype(np.float32))
    expected = answers(original(name, 32, weights="imagenet"), ready)
    assert np.abs(expected).max() > 0
    for weights in ("imagenet", path):
        found = load_backbone(name, weights=weights, image_size=32).model
        ours = answers(found, x)
        np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max(), err_msg=str(weights))
    found.save_weights(tmp_path / "again.weights.h5")  # and a file of one's own comes back as it was
    again = load_backbone(name, weights=tmp_path / "again.weights.h5", image_size=32).model
    np.testing.assert_array_equal(answers(again, x), ours)


def test_an_application_refuses_weights_of_another_network(tmp_path: Path) -> None:
    toy_model().save_weights(tmp_path / "toy.weights.h5")
    with raises_one_line(ValueError, "weights must fit", "'mobilenetv2'", "'toy.weights.h5'"):
        load_backbone("mobilenetv2", weights=tmp_path / "toy.weights.h5", image_size=32)


def test_imagenet_without_a_network_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, no_network: None, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("keras.src.backend.config.keras_home", lambda: str(tmp_path))
    with raises_one_line(ConnectionError, "ImageNet", "network", "weights=PATH", "weights=None"):
        load_backbone("resnet50", image_size=32)
    assert capsys.readouterr() == ("", "")


def test_a_download_that_begins_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    import sys

    from tlkit.backbones.applications import _AfterTheFirstLine

    out = _AfterTheFirstLine(sys.stdout)
    print("Downloading data from https://example.org/weights.h5", file=out, flush=True)
    assert capsys.readouterr().out == ""
    print("1/9", file=out)
    assert capsys.readouterr().out == "Downloading data from https://example.org/weights.h5\n1/9\n"


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
@pytest.mark.bank  # tests/test_efficientnet_lite.py has it for fewer weights
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
    from tlkit.backbones.weights import load_weights

    path = tmp_path / "other.weights.h5"
    small_resnet(widths=(32, 64, 128, 200), seed=9).save_weights(path)  # its first layers do fit
    model = small_resnet(seed=1)
    before = model.get_weights()
    with raises_one_line(ValueError, "weights must fit"):
        load_weights(model, path, "small")
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
        ValueError, "'resnet50v2', 'resnet_fashion', 'resnet_printed'", "Did you mean 'resnet_printed'?"
    ):
        load_backbone("resnet-printed")
    with raises_one_line(ValueError, "Did you mean 'resnet50'?"):
        load_backbone("ResNet50")
    with raises_one_line(ValueError, "Did you mean 'densenet121'?"):
        load_backbone("densenet")


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


def prepared() -> Backbone:
    """What stands before a network of keras.applications that wants the most of it, and one layer for the network."""
    image = keras.Input((20, 24, 1))
    x = PREPROCESSING["caffe"].prepare(to_rgb_of_size(image, 32))
    return Backbone("prepared", keras.Model(image, keras.layers.Conv2D(2, 3, name="conv")(x)), ("conv",))


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(toy_backbone, id="toy"),
        pytest.param(prepared, id="prepared"),
        pytest.param(lambda: load_backbone("resnet_printed", weights=None, input_shape=(20, 24, 3)), id="adapted"),
        pytest.param(
            lambda: load_backbone("resnet50", weights=None, image_size=32, input_shape=(20, 24, 1)),
            id="resnet50",
            marks=[pytest.mark.slow, pytest.mark.bank],
        ),
    ],
)
def test_model_is_saved_and_loaded_in_safe_mode(tmp_path: Path, make) -> None:
    backbone = make()
    backbone.model.save(tmp_path / "backbone.keras")
    loaded = keras.saving.load_model(tmp_path / "backbone.keras", safe_mode=True)
    x = random_split(2, shape=backbone.model.input_shape[1:], classes=2).x
    np.testing.assert_array_equal(answers(loaded, x), answers(backbone.model, x))
    again = wrap_backbone(loaded, backbone.stage_ends, backbone.name)
    assert same_weights(again.model, backbone.model)


def test_channels_first_is_refused_in_words(still_toy: Backbone) -> None:
    keras.config.set_image_data_format("channels_first")
    try:
        for name in ("resnet_printed", "efficientnet_lite0", "resnet50"):
            with raises_one_line(ValueError, "Keras must be set to 'channels_last'", "got 'channels_first'"):
                load_backbone(name, weights=None)
        with raises_one_line(ValueError, "Keras must be set to 'channels_last'"):
            build_head(still_toy, 3)
    finally:
        keras.config.set_image_data_format("channels_last")
