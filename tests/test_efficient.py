"""Parameter-efficient fine-tuning: nothing changes at the start, what was added learns alone, and it can be undone."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from helpers import KERAS_SAVES_WITH_A_WARNING, raises_one_line, random_split, same_weights, toy_backbone, weights_of
from marks import in_bank
from scipy.special import erf

from tlkit._keras import keras, tf
from tlkit.audit import audit_fit
from tlkit.backbones import Backbone, layers_up_to
from tlkit.domains import Split
from tlkit.efficient import Adapter, LowRank, Offset, add_adapters, add_biases, add_lora, merge_added, remove_added
from tlkit.features import cache_features, split_at
from tlkit.freezing import count_weights, freeze_to
from tlkit.heads import build_head, join
from tlkit.text.encoder import small_bert
from tlkit.training import fit

ADDING = {"lora": add_lora, "adapters": add_adapters, "biases": add_biases}
WAYS = pytest.mark.parametrize("add", ADDING.values(), ids=list(ADDING))
Add = Callable[[Backbone], Backbone]


def bert(*, dropout: float = 0.0) -> Backbone:
    model = small_bert(blocks=2, width=16, heads=2, inner=32, vocabulary=50, dropout=dropout, seed=1)
    return Backbone("bert", model, ("embeddings", "block1", "sentence"))


def texts(n: int = 24, seed: int = 0) -> Split:
    rng = np.random.default_rng(seed)
    ids = rng.integers(1, 50, (n, 7)).astype(np.int32)
    ids[::3, 4:] = 0
    return Split(ids, np.arange(n) % 2)


@pytest.fixture(scope="module")
def plain() -> Backbone:
    """For tests that only look."""
    return bert()


def trained(backbone: Backbone, *, rate: float = 0.1, optimizer: str = "sgd") -> keras.Model:
    model = join(backbone.model, build_head(backbone, 2))
    fit(model, texts(), epochs=2, learning_rate=rate, optimizer=optimizer, batch_size=8, progress=False)
    return model


@dataclass(frozen=True)
class Learned:
    """A backbone with added layers that have learned, the plain one, and the weights of both before."""

    added: Backbone
    plain: Backbone
    start: dict[str, np.ndarray]
    before: list[np.ndarray]


@pytest.fixture(scope="module")
def learned() -> Callable[..., Learned]:
    """The same training once for all tests that only look at what came of it."""

    @functools.cache
    def after(add: Add, optimizer: str) -> Learned:
        plain = bert()
        before = plain.model.get_weights()
        added = add(plain)
        start = weights_of(added.model)
        trained(added, optimizer=optimizer)
        return Learned(added, plain, start, before)

    return after


def outputs(backbone: Backbone) -> np.ndarray:
    return np.asarray(backbone.model(texts().x))


# The layers, against NumPy and against Keras


def random_weights(layer: keras.layers.Layer, seed: int = 5) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    layer.set_weights([rng.normal(size=weight.shape) for weight in layer.weights])
    return [weight.numpy().astype(np.float64) for weight in layer.weights]


def test_low_rank_is_its_formula() -> None:
    rng = np.random.default_rng(0)
    h, x = rng.normal(size=(3, 4, 6)), rng.normal(size=(3, 4, 5))
    layer = LowRank(2, 7.0)
    before = layer([h, x])
    np.testing.assert_array_equal(before, h.astype(np.float32))
    assert [tuple(weight.shape) for weight in layer.weights] == [(5, 2), (2, 6)]
    a, b = random_weights(layer)
    np.testing.assert_allclose(layer([h, x]), h + 7 / 2 * (x @ a) @ b, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(layer.update(), 7 / 2 * a @ b, rtol=1e-12)


def test_adapter_is_its_formula() -> None:
    x = np.random.default_rng(0).normal(size=(3, 4, 6))
    layer = Adapter(2)
    np.testing.assert_array_equal(layer(x), x.astype(np.float32))
    down, down_bias, up, up_bias = random_weights(layer)
    narrow = x @ down + down_bias
    wanted = x + (narrow * (1 + erf(narrow / np.sqrt(2))) / 2) @ up + up_bias
    np.testing.assert_allclose(layer(x), wanted, rtol=1e-4, atol=1e-5)


def test_offset_is_its_formula() -> None:
    x = np.random.default_rng(0).normal(size=(3, 4, 6))
    layer = Offset()
    np.testing.assert_array_equal(layer(x), x.astype(np.float32))
    (offset,) = random_weights(layer)
    np.testing.assert_allclose(layer(x), x + offset, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (keras.layers.Dense(6, activation="gelu"), (4, 5)),
        (keras.layers.Conv2D(6, 3, padding="same", activation="relu"), (8, 8, 5)),
        (keras.layers.Conv2D(6, (3, 2), strides=2, use_bias=False), (8, 8, 5)),
        (keras.layers.Conv2D(6, 3, strides=2, padding="same"), (7, 8, 5)),
        (keras.layers.Conv2D(6, 3, dilation_rate=2), (8, 8, 5)),
        (keras.layers.Conv2D(6, 1), (3, 3, 5)),
    ],
    ids=["dense", "conv", "strided", "strided_same", "dilated", "pointwise"],
)
def test_lora_is_keras_own_where_that_is_the_papers(layer: keras.layers.Layer, shape: tuple[int, ...]) -> None:
    layer = type(layer).from_config({**layer.get_config(), "name": "it"})
    x = np.random.default_rng(1).normal(size=(2, *shape)).astype(np.float32)
    entry = keras.Input(shape)
    ours = add_lora(Backbone("one", keras.Model(entry, layer(entry)), ("it",)), rank=3, alpha=6.0)
    random_weights(ours.model.get_layer("it_lora"))
    layer.enable_lora(3, lora_alpha=6.0)
    layer.lora_kernel_a.assign(ours.model.get_layer("it_lora").a)
    layer.lora_kernel_b.assign(ours.model.get_layer("it_lora").b)
    np.testing.assert_allclose(ours.model(x), layer(x), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(merge_added(ours).model(x), layer(x), rtol=1e-4, atol=1e-4)


# At the start


@WAYS
def test_outputs_are_the_same_bit_for_bit_until_it_learns(add: Add, plain: Backbone) -> None:
    added = add(plain)
    np.testing.assert_array_equal(outputs(added), outputs(plain))
    np.testing.assert_array_equal(added.model.predict(texts().x, verbose=0), plain.model.predict(texts().x, verbose=0))
    assert (added.name, plain.added) == (plain.name, ())


@WAYS
def test_a_convolutional_backbone_too(add: Add, still_toy: Backbone) -> None:
    x = random_split(5).x
    added = add(still_toy)
    np.testing.assert_array_equal(added.model(x), still_toy.model(x))
    # In a graph BatchNorm is fused with the sum behind it, and without it when an adapter stands between.
    wanted = still_toy.model.predict(x, verbose=0)
    np.testing.assert_allclose(added.model.predict(x, verbose=0), wanted, rtol=1e-5, atol=1e-5)


@WAYS
def test_stages_stay_where_they_were(add: Add, plain: Backbone) -> None:
    added = add(plain)
    x = texts().x
    for stage in range(plain.n_stages + 1):
        trunk, tail = split_at(added, stage)
        old, _ = split_at(plain, stage)
        np.testing.assert_array_equal(trunk(x), old(x))
        np.testing.assert_array_equal(tail(trunk(x)), outputs(plain))


def test_dropout_stays_in_its_place() -> None:
    added = add_adapters(bert(dropout=0.5))
    assert "block1_out_dropout_adapter" in added.added
    assert same_weights(remove_added(added).model, bert(dropout=0.5).model)


# What learns


def test_counts_are_those_of_the_formulas(plain: Backbone) -> None:
    kernels = [layer.kernel.shape for layer in plain.model.layers if isinstance(layer, keras.layers.Dense)]
    frozen = plain.model.count_params()
    for rank in (1, 4):
        counts = count_weights(add_lora(plain, rank=rank).model)
        assert (counts.trainable, counts.frozen) == (sum(rank * (i + o) for i, o in kernels), frozen)
    counts = count_weights(add_adapters(plain, width=3).model)
    assert (counts.trainable, counts.frozen) == (2 * 2 * (2 * 3 * 16 + 3 + 16), frozen)
    biases = [w for w in plain.model.weights if w.path.endswith(("bias", "beta"))]
    counts = count_weights(add_biases(plain).model)
    assert (counts.trainable, counts.frozen) == (sum(int(np.prod(w.shape)) for w in biases), frozen)


@WAYS
@pytest.mark.parametrize("optimizer", in_bank(["sgd", "adam"], but=["sgd"]))
def test_the_added_weights_move_and_no_other(add: Add, optimizer: str, learned: Callable[..., Learned]) -> None:
    after = learned(add, optimizer)
    added, now = after.added, weights_of(after.added.model)
    moved = {path.split("/")[0] for path, old in after.start.items() if now[path].tobytes() != old.tobytes()}
    assert moved <= set(added.added)
    # What is added to each key is added to all scores of a row, and the softmax does not see it: rounding alone.
    free = {name for name in added.added if name.endswith(("_activation", "key_bias"))}
    assert set(added.added) - moved <= free
    assert same_weights(after.plain.model, after.before)  # the backbone it was made from is another one


@WAYS
@pytest.mark.parametrize("stage", [0, 2, 3])
def test_freeze_to_chooses_where_the_added_layers_learn(add: Add, plain: Backbone, stage: int) -> None:
    added = add(plain)
    for layer in added.model.layers:  # whatever the flags were before
        layer.trainable = layer.name not in added.added
    freeze_to(added, stage, train_batchnorm=True)
    frozen = {layer.name for layer in layers_up_to(added, stage)}
    learning = {weight.path.split("/")[0] for weight in added.model.trainable_weights}
    assert learning == {name for name in added.added if added.model.get_layer(name).weights} - frozen


@WAYS
def test_audit_sees_what_was_meant(add: Add, plain: Backbone) -> None:
    added = add(plain)
    freeze_to(added, 2)
    model = join(added.model, build_head(added, 2))
    for intended in (2, None):
        table = audit_fit(model, texts(), backbone=added, intended_stage=intended)
        assert table["verdict"].str.endswith("as meant").all()
        learning = set(table.loc[table["meant"] == "learn", "layer"])
        assert {name.split("_")[0] for name in learning} == {"block2", "head/logits"}
    wrong = audit_fit(model, texts(), backbone=added, intended_stage=0)
    still = wrong[~wrong["verdict"].str.endswith("as meant")]
    assert len(still)
    assert set(still["layer"]) <= set(added.added)


def test_batchnorm_is_held_where_biases_learn(toy: Backbone) -> None:
    added = add_biases(toy)
    freeze_to(added, 0, train_batchnorm=True)
    before = weights_of(added.model)
    fit(join(added.model, build_head(added, 3)), random_split(), epochs=2, learning_rate=0.1, progress=False)
    after = weights_of(added.model)
    moved = {path for path in before if before[path].tobytes() != after[path].tobytes()}
    assert moved
    assert {path.split("/")[0] for path in moved} <= set(added.added)
    assert "one_bn_bias" in added.added


@pytest.mark.parametrize("way", in_bank(ADDING, but=["lora"]))
def test_training_on_the_cache_equals_full_training(way: str, plain: Backbone) -> None:
    add = ADDING[way]
    logits = []
    for stage in (0, 2):
        added = add(plain)
        freeze_to(added, 2)
        head = build_head(added, 2)
        trunk, tail = split_at(added, stage)
        few = cache_features(trunk, texts(), cache_dir="memory")
        fit(join(tail, head), few, epochs=2, learning_rate=0.1, batch_size=8, optimizer="sgd", progress=False)
        logits.append(np.asarray(join(added.model, head)(texts().x)))
    np.testing.assert_allclose(logits[1], logits[0], rtol=0, atol=1e-5)
    assert np.abs(logits[0] - np.asarray(join(plain.model, build_head(plain, 2))(texts().x))).max() > 1e-3


def test_an_offset_learns_what_the_bias_would() -> None:
    """One plain step of gradient descent on the biases themselves, by hand."""
    plain, split, rate = bert(), texts(), 0.5
    added = add_biases(plain)
    head = build_head(plain, 2)
    head.trainable = False
    model = join(added.model, head)
    fit(model, split, epochs=1, learning_rate=rate, batch_size=len(split), optimizer="sgd", progress=False)
    biases = [weight for weight in plain.model.weights if weight.path.endswith(("bias", "beta"))]
    with tf.GradientTape() as tape:
        logits = head(plain.model(split.x))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(split.y, logits)
    for weight, gradient in zip(biases, tape.gradient(loss, [bias.value for bias in biases]), strict=True):
        weight.assign_sub(rate * gradient)
    merged = merge_added(added)
    for mine, by_hand in zip(merged.model.weights, plain.model.weights, strict=True):
        np.testing.assert_allclose(mine, by_hand, rtol=1e-4, atol=1e-6, err_msg=mine.path)


# Undoing it


@WAYS
def test_removing_gives_back_the_very_backbone(add: Add, learned: Callable[..., Learned]) -> None:
    added, plain = learned(add, "sgd").added, learned(add, "sgd").plain
    assert np.abs(outputs(added) - outputs(plain)).max() > 1e-3
    removed = remove_added(added)
    assert same_weights(removed.model, plain.model)
    assert (removed.name, removed.stage_ends, removed.added) == (plain.name, plain.stage_ends, ())
    assert [layer.get_config() for layer in removed.model.layers[1:]] == [
        {**layer.get_config(), "trainable": True} for layer in plain.model.layers[1:]
    ]
    np.testing.assert_array_equal(outputs(removed), outputs(plain))


@pytest.mark.parametrize("add", [add_lora, add_biases], ids=["lora", "biases"])
def test_merging_leaves_the_outputs_as_they_are(add: Add, plain: Backbone, learned: Callable[..., Learned]) -> None:
    added = learned(add, "sgd").added
    merged = merge_added(added)
    assert np.abs(outputs(added) - outputs(plain)).max() > 1e-3
    np.testing.assert_allclose(outputs(merged), outputs(added), rtol=0, atol=1e-5)
    assert merged.added == ()
    assert count_weights(merged.model) == count_weights(bert().model)


def test_what_lora_adds_to_a_kernel_has_the_rank(plain: Backbone) -> None:
    added = add_lora(plain, rank=2, layers=["query"])
    trained(added)
    merged = merge_added(added)
    for name in ("block1_query", "block2_query"):
        change = merged.model.get_layer(name).kernel.numpy() - plain.model.get_layer(name).kernel.numpy()
        sizes = np.linalg.svd(change, compute_uv=False)
        assert sizes[1] > 0
        assert sizes[2] < 1e-4 * sizes[0] + 1e-7
    assert same_weights(
        merged.model.get_layer("block1_key").get_weights(), plain.model.get_layer("block1_key").get_weights()
    )


@pytest.mark.filterwarnings(KERAS_SAVES_WITH_A_WARNING)
@WAYS
def test_saved_and_loaded_in_safe_mode(add: Add, plain: Backbone, tmp_path) -> None:
    added = add(plain)
    for name in added.added:
        if added.model.get_layer(name).weights:
            random_weights(added.model.get_layer(name))
    added.model.save(tmp_path / "it.keras")
    loaded = keras.models.load_model(tmp_path / "it.keras", safe_mode=True)
    np.testing.assert_array_equal(loaded(texts().x), outputs(added))
    assert count_weights(loaded) == count_weights(added.model)
    again = Backbone(plain.name, loaded, plain.stage_ends, added.added)
    np.testing.assert_array_equal(outputs(remove_added(again)), outputs(plain))


def test_a_stage_that_ends_at_a_chosen_layer() -> None:
    entry = keras.Input((6,))
    x = keras.layers.Dense(5, activation="relu", name="first")(entry)
    backbone = Backbone("two", keras.Model(entry, keras.layers.Dense(4, name="second")(x)), ("first", "second"))
    x = np.random.default_rng(0).normal(size=(3, 6)).astype(np.float32)
    for add in (add_lora, add_biases):
        added = add(backbone)
        trunk, tail = split_at(added, 1)
        np.testing.assert_array_equal(trunk(x), split_at(backbone, 1)[0](x))
        np.testing.assert_array_equal(tail(trunk(x)), backbone.model(x))
        assert remove_added(added).stage_ends == backbone.stage_ends
        freeze_to(added, 1)
        assert {weight.path.split("/")[0].split("_")[0] for weight in added.model.trainable_weights} == {"second"}


# Choosing


def test_layers_are_chosen_by_name_or_by_how_it_ends(plain: Backbone) -> None:
    added = add_lora(plain, layers=("query", "block2_value"))
    assert added.added == ("block1_query_lora", "block2_query_lora", "block2_value_lora")
    added = add_adapters(plain, layers=("block1",))
    assert added.added == ("block1_adapter",)
    np.testing.assert_array_equal(outputs(added), outputs(plain))


def test_adapters_stand_at_the_end_of_each_residual_branch(plain: Backbone, still_toy: Backbone) -> None:
    ends = ("block1_out", "block1_mlp2", "block2_out", "block2_mlp2")
    assert add_adapters(plain).added == tuple(f"{name}_adapter" for name in ends)
    assert add_adapters(still_toy).added == ("two_b_bn_adapter",)


def test_seeds(plain: Backbone) -> None:
    keras.utils.set_random_seed(3)
    wanted = float(keras.random.uniform(()))
    keras.utils.set_random_seed(3)
    one, same, other = (add_lora(plain, layers=["query"], seed=seed) for seed in (0, 0, 1))
    assert float(keras.random.uniform(())) == wanted  # Keras' own seed is neither read nor moved
    assert same_weights(one.model, same.model)
    a, b, c = (m.model.get_layer(f"block{n}_query_lora").a.numpy() for m, n in ((one, 1), (one, 2), (other, 1)))
    assert not np.allclose(a, b)
    assert not np.allclose(a, c)


# Errors


@pytest.mark.parametrize("rank", [0, -1, 1.5, True, "4"])
def test_a_rank_that_is_none(plain: Backbone, rank) -> None:
    with raises_one_line(ValueError, "rank must be an integer of 1 or more", repr(rank)):
        add_lora(plain, rank=rank)


def test_errors_name_what_is_allowed(plain: Backbone, still_toy: Backbone) -> None:
    with raises_one_line(ValueError, "rank must be in 1..16", "block1_query", "got 17"):
        add_lora(plain, rank=17)
    with raises_one_line(ValueError, "rank must be in 1..4", "one_conv", "got 5"):
        add_lora(still_toy, rank=5)
    for alpha in (0, -1.0, float("inf"), float("nan")):
        with raises_one_line(ValueError, "alpha must be above 0"):
            add_lora(plain, alpha=alpha)
    with raises_one_line(ValueError, "width must be an integer of 1 or more"):
        add_adapters(plain, width=0)
    with raises_one_line(ValueError, "layers must name dense layers", "'block1_query'", "got 'quary'"):
        add_lora(plain, layers=["quary"])
    with raises_one_line(ValueError, "layers must name layers with a bias", "got 'words'"):
        add_biases(plain, layers=["words"])
    with raises_one_line(ValueError, "layers must be a list of names", "'query'"):
        add_lora(plain, layers="query")


def test_a_backbone_is_added_to_once_and_undone_once(plain: Backbone) -> None:
    added = add_lora(plain, layers=["query"])
    for again in ADDING.values():
        with raises_one_line(ValueError, "backbone must be plain", "block1_query_lora"):
            again(added)
    for undo in (merge_added, remove_added):
        with raises_one_line(ValueError, "backbone must have added layers", "'bert'"):
            undo(plain)
    with raises_one_line(ValueError, "LoRA or biases", "block1_out_adapter"):
        merge_added(add_adapters(plain))


def test_a_backbone_without_what_is_needed() -> None:
    entry = keras.Input((6,))
    pools = Backbone("none", keras.Model(entry, keras.layers.ReLU(name="it")(entry)), ("it",))
    with raises_one_line(ValueError, "backbone must have dense layers", "'none'"):
        add_lora(pools)
    with raises_one_line(ValueError, "backbone must have layers with a bias", "'none'"):
        add_biases(pools)
    with raises_one_line(ValueError, "residual branches", "'none'"):
        add_adapters(pools)


def test_added_layers_must_be_there() -> None:
    toy = toy_backbone()
    with raises_one_line(ValueError, "an added layer must be one of the model", "'one_conv_lora'"):
        Backbone("toy", toy.model, toy.stage_ends, ("one_conv_lora",))
