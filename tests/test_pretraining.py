"""Pretraining without labels: the losses against other implementations, what may not matter, and what is learned."""

import inspect
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers import raises_one_line, same_weights, toy_backbone, toy_model
from sklearn.metrics import log_loss

import tlkit
from tlkit import pretraining
from tlkit._keras import keras, tf
from tlkit.domains import Split
from tlkit.heads import build_head, join
from tlkit.pretraining import (
    mask_tokens,
    nt_xent,
    pretrain_contrastive,
    pretrain_masked,
    pretrain_rotation,
    rotation_split,
)
from tlkit.text import small_bert
from tlkit.training import FitOptions, fit
from tlkit.views import Views, draw_views, random_views

NO_VIEWS = Views(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
# Drawn at random, and soon traced: moving images takes longer than all the rest of a training's step.
SOME_VIEWS = replace(NO_VIEWS, contrast=0.3, noise=0.05, flip=True)


def pairs(n: int = 6, d: int = 5, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(size=(n, d))


def pictures(n: int = 24, side: int = 8, *, seed: int = 0) -> np.ndarray:
    """A bright bar per image, of its own place and brightness."""
    rng = np.random.default_rng(seed)
    images = np.zeros((n, side, side, 1), np.uint8)
    for image in images:
        image[rng.integers(side), : rng.integers(3, side)] = rng.integers(100, 256)
    return images


def by_scikit_learn(one: np.ndarray, two: np.ndarray, temperature: float) -> float:
    """NT-Xent by scikit-learn: for each view the others as classes, their probabilities, and the log loss."""
    from scipy.spatial.distance import cosine
    from scipy.special import softmax

    both, n = np.concatenate([one, two]), len(one)
    rows, right = [], []
    for i in range(2 * n):
        others = [k for k in range(2 * n) if k != i]
        rows.append(softmax([(1 - cosine(both[i], both[k])) / temperature for k in others]))
        right.append(others.index((i + n) % (2 * n)))
    return float(log_loss(right, np.array(rows), labels=range(2 * n - 1)))


# NT-Xent


@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0])
@pytest.mark.parametrize("n", [2, 7])
def test_nt_xent_is_the_log_loss_of_scikit_learn(n: int, temperature: float) -> None:
    one, two = pairs(n)
    found = float(nt_xent(one, two, temperature=temperature))
    assert found == pytest.approx(by_scikit_learn(one, two, temperature), rel=1e-5)


def test_nt_xent_equals_another_implementation_and_its_gradient_finite_differences() -> None:
    """The other one, in double precision, writes equation 1 of the paper out, pair by pair."""

    def loss(both: np.ndarray, temperature: float) -> float:
        n, total = len(both) // 2, 0.0
        lengths = np.sqrt((both**2).sum(axis=1))
        for i in range(2 * n):
            exps = [np.exp(both[i] @ both[k] / lengths[i] / lengths[k] / temperature) for k in range(2 * n)]
            total -= np.log(exps[(i + n) % (2 * n)] / (sum(exps) - exps[i]))
        return total / (2 * n)

    one, two = pairs(4)
    both = np.concatenate([one, two])
    variable = tf.Variable(both, dtype="float32")
    with tf.GradientTape() as tape:
        found = nt_xent(variable[:4], variable[4:], temperature=0.3)
    assert float(found) == pytest.approx(loss(both, 0.3), rel=1e-5)
    numeric, step = np.zeros_like(both), 1e-6
    for index in np.ndindex(both.shape):
        up, down = both.copy(), both.copy()
        up[index] += step
        down[index] -= step
        numeric[index] = (loss(up, 0.3) - loss(down, 0.3)) / (2 * step)
    np.testing.assert_allclose(tape.gradient(found, variable), numeric, rtol=1e-3, atol=1e-5)


def test_nt_xent_knows_no_order_no_length_and_no_side() -> None:
    one, two = pairs(8)
    wanted = pytest.approx(float(nt_xent(one, two)), rel=1e-5)
    order = np.random.default_rng(1).permutation(8)
    assert float(nt_xent(one[order], two[order])) == wanted
    assert float(nt_xent(two, one)) == wanted
    lengths = np.random.default_rng(2).uniform(0.01, 100, size=(8, 1))
    assert float(nt_xent(one * lengths, two / lengths)) == wanted
    assert float(nt_xent(one, two[np.roll(np.arange(8), 1)])) != wanted  # other pairs are another task


def test_nt_xent_at_its_ends() -> None:
    alike = np.ones((5, 3))
    assert float(nt_xent(alike, alike)) == pytest.approx(np.log(9), rel=1e-6)
    told_apart = np.eye(5)
    assert float(nt_xent(told_apart, told_apart, temperature=0.01)) == pytest.approx(0, abs=1e-6)
    assert float(nt_xent([[1.0, 2.0]], [[3.0, 1.0]])) == 0  # one pair: nobody else is there


@pytest.mark.parametrize("scale", [1e-18, 1e30])
@pytest.mark.parametrize("temperature", [1e-3, 1e3])
def test_nt_xent_and_its_gradient_are_finite(scale: float, temperature: float) -> None:
    from scipy.special import logsumexp

    both = tf.Variable(np.concatenate(pairs(4)) * scale, dtype="float32")
    with tf.GradientTape() as tape:
        loss = nt_xent(both[:4], both[4:], temperature=temperature)
    directions = np.concatenate(pairs(4))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    logits = directions @ directions.T / temperature
    others = logits[~np.eye(8, dtype=bool)].reshape(8, 7)
    wanted = logsumexp(others, axis=1) - logits[np.arange(8), (np.arange(8) + 4) % 8]
    assert float(loss) == pytest.approx(wanted.mean(), rel=1e-4)
    assert np.isfinite(tape.gradient(loss, both)).all()


def test_nt_xent_takes_half_precision_and_a_vector_of_zeros() -> None:
    one, two = pairs(6)
    halves = (tf.constant(each, "bfloat16") for each in (one, two))
    loss = nt_xent(*halves)
    assert loss.dtype == "float32"
    assert float(loss) == pytest.approx(float(nt_xent(one, two)), rel=2e-2)
    one[0] = 0
    assert np.isfinite(float(nt_xent(one, two)))


@pytest.mark.parametrize(
    ("one", "two"), [(np.ones((3, 2)), np.ones((4, 2))), (np.ones(3), np.ones(3)), (np.ones((3, 2)), np.ones((3, 3)))]
)
def test_shapes_that_are_no_pairs(one: np.ndarray, two: np.ndarray) -> None:
    with raises_one_line(ValueError, "one and two must have one shape (n, d)", str(one.shape), str(two.shape)):
        nt_xent(one, two)


@pytest.mark.parametrize("temperature", [0, -1.0, float("nan"), float("inf")])
def test_a_temperature_that_is_none(temperature: float) -> None:
    with raises_one_line(ValueError, "temperature must be", str(temperature)):
        nt_xent(*pairs(), temperature=temperature)
    with raises_one_line(ValueError, "temperature must be", str(temperature)):
        pretrain_contrastive(toy_backbone(), pictures(), epochs=1, temperature=temperature)


# Views


def test_no_strength_changes_no_pixel() -> None:
    images = pictures()
    np.testing.assert_allclose(random_views(images, NO_VIEWS), images, atol=1e-4)


def test_a_view_follows_from_its_seed_and_stays_in_range() -> None:
    images = pictures()
    views = random_views(images, seed=1)
    assert views.dtype == np.float32
    assert views.shape == images.shape
    assert 0 <= views.min() <= views.max() <= 255
    assert np.array_equal(views, random_views(images, seed=1))
    assert not np.array_equal(views, random_views(images, seed=2))
    assert len({view.tobytes() for view in random_views(np.repeat(images[:1], 9, axis=0))}) == 9  # anew for each


def test_a_flip_is_a_mirror_image() -> None:
    images = pictures(200)
    views = random_views(images, replace(NO_VIEWS, flip=True))
    mirrored = [np.allclose(view, image[:, ::-1], atol=1e-4) for view, image in zip(views, images, strict=True)]
    same = [np.allclose(view, image, atol=1e-4) for view, image in zip(views, images, strict=True)]
    assert all(a or b for a, b in zip(mirrored, same, strict=True))
    assert 60 < sum(same) < 140


def test_a_shift_moves_and_a_rotation_keeps_the_middle() -> None:
    dot = np.zeros((64, 9, 9, 1), np.uint8)
    dot[:, 4, 4] = 200
    turned = random_views(dot, replace(NO_VIEWS, rotation=180.0, zoom=0.0))
    np.testing.assert_allclose(turned[:, 4, 4], 200, atol=1e-2)
    moved = random_views(dot, replace(NO_VIEWS, shift=0.3))
    middles = np.array([np.average(np.indices((9, 9)).reshape(2, -1), axis=1, weights=m.ravel()) for m in moved]) - 4
    assert np.abs(middles).max() <= 0.3 * 9 + 1e-3
    assert np.abs(middles).max() > 0.2 * 9
    assert np.abs(middles.mean(axis=0)).max() < 1


def test_strokes_are_the_maximum_and_the_minimum_of_nine_pixels() -> None:
    images = pictures(100, seed=3)
    views = random_views(images, replace(NO_VIEWS, strokes=0.5))
    padded = np.pad(images[..., 0].astype(float), ((0, 0), (1, 1), (1, 1)), mode="edge")
    nine = np.stack([padded[:, i : i + 8, j : j + 8] for i in range(3) for j in range(3)])
    assert (views[..., 0] <= nine.max(axis=0) + 1e-3).all()
    assert (views[..., 0] >= nine.min(axis=0) - 1e-3).all()
    totals = views.sum(axis=(1, 2, 3)) - images.sum(axis=(1, 2, 3))
    assert (totals > 1).sum() > 20
    assert (totals < -1).sum() > 20


def test_drawing_goes_on_from_where_the_generator_is() -> None:
    random = tf.random.Generator.from_seed(0)
    first, second = (draw_views(tf.constant(pictures()), Views(), random) for _ in range(2))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize(
    ("strength", "allowed"),
    [
        ({"rotation": 181}, "rotation must be in 0..180, got 181."),
        ({"shift": -0.1}, "shift must be in 0..1, got -0.1."),
        ({"zoom": 1.0}, "zoom must be in 0..0.99, got 1.0."),
        ({"strokes": 0.6}, "strokes must be in 0..0.5, got 0.6."),
        ({"contrast": -1}, "contrast must be 0 or more, got -1."),
        ({"contrast": float("nan")}, "contrast must be 0 or more, got nan."),
        ({"noise": "much"}, "noise must be in 0..1, got 'much'."),
        ({"flip": 1}, "flip must be True or False, got 1."),
    ],
)
def test_strengths_out_of_range(strength: dict, allowed: str) -> None:
    with raises_one_line(ValueError, allowed):
        Views(**strength)


@pytest.mark.parametrize("images", [np.zeros((3, 8, 8)), np.zeros((0, 8, 8, 1)), [1, 2]])
def test_what_is_no_images(images: np.ndarray) -> None:
    with raises_one_line(ValueError, "images must have shape (n, h, w, c)", str(np.shape(images))):
        random_views(images)


# Contrastive pretraining


def test_the_first_step_is_that_of_a_loop_written_out() -> None:
    """Without views both halves of a batch are alike, so that a plain Keras loop takes the same step."""
    images = pictures(16)
    trained, by_hand = toy_backbone(), toy_backbone()
    pretrain_contrastive(
        trained,
        images,
        epochs=1,
        learning_rate=0.01,
        views=NO_VIEWS,
        projection=(6, 4),
        batch_size=16,
        optimizer="sgd",
        seed=3,
        progress=False,
    )
    model = join(by_hand.model, build_head(by_hand, 4, hidden=(6,), seed=3))
    order = np.random.default_rng(3).permutation(16)
    x = np.concatenate([images[order]] * 2).astype(np.float32)
    with tf.GradientTape() as tape:
        projected = model(x, training=True)
        loss = nt_xent(projected[:16], projected[16:], temperature=0.2)
    keras.optimizers.SGD(0.01).apply(tape.gradient(loss, model.trainable_weights), model.trainable_weights)
    for one, other in zip(trained.model.get_weights(), by_hand.model.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_it_learns_to_find_partners_and_the_history_says_so() -> None:
    backbone = toy_backbone()
    history = pretrain_contrastive(
        backbone, pictures(64), epochs=8, learning_rate=0.01, views=replace(NO_VIEWS, noise=0.02), batch_size=32
    )
    assert list(history) == ["epoch", "split", "loss", "accuracy"]
    assert history["epoch"].tolist() == list(range(1, 9))
    assert set(history["split"]) == {"train"}
    assert history["loss"].iloc[-1] < 0.7 * history["loss"].iloc[0]
    assert history["accuracy"].iloc[-1] > history["accuracy"].iloc[0]
    assert history.attrs["stopped"] is False


def pretrained(global_seed: int, options: FitOptions | None = None, **keywords: Any) -> list[np.ndarray]:
    """The weights after two epochs on random views."""
    keras.utils.set_random_seed(global_seed)
    backbone = toy_backbone()
    given = keywords if options is None else {"options": options}
    pretrain_contrastive(backbone, pictures(), epochs=2, views=SOME_VIEWS, **given)
    return backbone.model.get_weights()


@pytest.fixture(scope="module")
def of_seed_5() -> list[np.ndarray]:
    return pretrained(0, batch_size=10, seed=5, progress=False)


def test_the_same_seed_gives_the_same_weights_and_leaves_keras_seed_alone(of_seed_5: list[np.ndarray]) -> None:
    assert same_weights(of_seed_5, pretrained(1, batch_size=10, seed=5, progress=False))
    assert not same_weights(of_seed_5, pretrained(0, batch_size=10, seed=6, progress=False))


def test_all_layers_come_out_free_and_batchnorm_has_learned() -> None:
    backbone = toy_backbone()
    tlkit.freeze_to(backbone, 2)
    before = backbone.model.get_weights()
    pretrain_contrastive(backbone, pictures(), epochs=1, batch_size=8, progress=False)
    assert all(layer.trainable for layer in backbone.model.layers)
    changed = [not np.array_equal(a, b) for a, b in zip(before, backbone.model.get_weights(), strict=True)]
    assert all(changed)


def test_it_can_be_stopped() -> None:
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
            self.model.stop_training = True

    history = pretrain_contrastive(
        toy_backbone(), pictures(), epochs=9, views=SOME_VIEWS, callbacks=[Stop()], progress=False
    )
    assert len(history) == 1


def test_a_rate_that_is_too_large_is_told() -> None:
    with pytest.raises(FloatingPointError, match="learning_rate"):
        pretrain_contrastive(
            toy_backbone(),
            pictures(),
            epochs=3,
            learning_rate=1e30,
            views=SOME_VIEWS,
            optimizer="sgd",
            batch_size=4,
            progress=False,
        )


WRONG_CALLS = [
    ({"epochs": 0}, "epochs must be"),
    ({"learning_rate": 0.0}, "learning_rate must be"),
    ({"projection": ()}, "projection must be widths of 2 or more, got ()."),
    ({"projection": (8, 1)}, "projection must be widths of 2 or more, got (8, 1)."),
    ({"batch_size": 0}, "batch_size must be"),
    ({"strategy": "mirrored"}, "strategy must be None"),
    ({"optimizer": "adamm"}, "optimizer must be one of"),
]


@pytest.mark.parametrize(("options", "allowed"), WRONG_CALLS)
def test_arguments_out_of_range_and_no_weight_has_moved(options: dict, allowed: str) -> None:
    backbone = toy_backbone()
    tlkit.freeze_to(backbone, 1)
    before, flags = backbone.model.get_weights(), [layer.trainable for layer in backbone.model.layers]
    with raises_one_line(ValueError, allowed):
        pretrain_contrastive(backbone, pictures(), **{"epochs": 1, **options})
    assert same_weights(before, backbone.model.get_weights())
    assert flags == [layer.trainable for layer in backbone.model.layers]


@pytest.mark.parametrize("pretrain", [pretrain_contrastive, pretrain_rotation])
def test_images_that_do_not_fit(pretrain) -> None:
    with raises_one_line(ValueError, "(8, 8, 1)", "(9, 9, 1)"):
        pretrain(toy_backbone(), pictures(side=9), epochs=1)
    with raises_one_line(ValueError, "images must be 2 or more, got 1."):
        pretrain(toy_backbone(), pictures(1), epochs=1)
    with raises_one_line(ValueError, "images must have shape (n, h, w, c)"):
        pretrain(toy_backbone(), pictures()[..., 0], epochs=1)
    with raises_one_line(ValueError, "backbone must be a Backbone, got Functional"):
        pretrain(toy_model(), pictures(), epochs=1)


# Rotations


def test_rotations_are_quarter_turns_to_the_left_with_their_labels() -> None:
    images = pictures(5)
    split = rotation_split(images)
    assert split.y.tolist() == [0] * 5 + [1] * 5 + [2] * 5 + [3] * 5
    assert np.array_equal(split.x[:5], images)
    right_edge = np.zeros((1, 4, 4, 1), np.uint8)
    right_edge[0, :, -1] = 9
    turned = rotation_split(right_edge)
    assert (turned.x[1, 0] == 9).all()  # a quarter turn to the left: the right edge is on top
    for _ in range(4):
        images = np.rot90(images, 1, axes=(1, 2))
    assert np.array_equal(split.x[:5], images)
    assert np.array_equal(np.rot90(split.x[10:15], 2, axes=(1, 2)), images)


def test_pretraining_by_rotation_is_fit_on_the_turned_images() -> None:
    one, other = toy_backbone(), toy_backbone()
    history = pretrain_rotation(one, pictures(), epochs=2, learning_rate=0.01, seed=4, progress=False)
    model = join(other.model, build_head(other, 4, seed=4))
    wanted = fit(model, rotation_split(pictures()), epochs=2, learning_rate=0.01, seed=4, progress=False)
    assert same_weights(one.model, other.model)
    assert history.equals(wanted)


def test_images_that_cannot_be_turned() -> None:
    with raises_one_line(ValueError, "images must be square to be turned, got 8 × 6 pixels."):
        rotation_split(pictures()[:, :, :6])


# Hidden words


IDS = np.array([[5, 6, 7, 8, 9, 0, 0], [9, 8, 7, 6, 5, 4, 3]], np.int32)


def test_padding_and_special_tokens_are_never_chosen() -> None:
    hidden, asked = mask_tokens(IDS, mask_id=1, vocabulary=12, share=1.0, special=(5, 4))
    assert np.array_equal(asked, ~np.isin(IDS, [0, 4, 5]))
    assert np.array_equal(hidden[~asked], IDS[~asked])
    assert hidden.dtype == np.int32


def test_shares_are_those_of_bert() -> None:
    ids = np.full((400, 100), 50, np.int32)
    hidden, asked = mask_tokens(ids, mask_id=1, vocabulary=10_000, seed=3)
    n = asked.sum()
    assert abs(asked.mean() - 0.15) < 4 * np.sqrt(0.15 * 0.85 / ids.size)
    masked, kept = (hidden[asked] == 1).sum() / n, (hidden[asked] == 50).sum() / n
    assert abs(masked - 0.8) < 4 * np.sqrt(0.16 / n)
    assert abs(kept - 0.1) < 4 * np.sqrt(0.09 / n)
    others = hidden[asked & (hidden != 1) & (hidden != 50)]
    assert 1 <= others.min() <= others.max() < 10_000
    assert len(np.unique(others)) > 0.9 * len(others)


def test_hiding_follows_from_the_seed() -> None:
    one, two, other = (mask_tokens(IDS, mask_id=1, vocabulary=12, share=0.5, seed=seed) for seed in (0, 0, 1))
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
    assert not np.array_equal(one[1], other[1])


def test_only_the_positions_that_were_asked_count() -> None:
    rng = np.random.default_rng(0)
    logits, wanted = rng.normal(size=(2, 7, 12)).astype("float32"), IDS
    asked = rng.random((2, 7)) < 0.5
    loss, right, answers = pretraining._judged(tf.constant(logits), tf.constant(wanted), tf.constant(asked, "float32"))
    from scipy.special import softmax

    probabilities = softmax(logits[asked].astype(float), axis=1)
    assert float(loss) == pytest.approx(log_loss(wanted[asked], probabilities, labels=range(12)), rel=1e-5)
    assert float(right) == pytest.approx((logits[asked].argmax(axis=1) == wanted[asked]).mean())
    assert int(answers) == asked.sum()
    elsewhere = logits + 100 * rng.normal(size=logits.shape).astype("float32") * ~asked[..., None]
    assert float(pretraining._judged(tf.constant(elsewhere), wanted, tf.cast(asked, "float32"))[0]) == float(loss)
    nothing = pretraining._judged(tf.constant(logits), wanted, tf.zeros((2, 7)))
    assert [float(each) for each in nothing] == [0, 0, 0]


def test_a_small_encoder_learns_which_words_go_together() -> None:
    """The second half of a text repeats the first, so that a hidden word stands elsewhere."""
    half = np.random.default_rng(0).integers(2, 10, size=(256, 3)).astype(np.int32)
    encoder = small_bert(blocks=1, width=16, heads=2, inner=32, vocabulary=10)
    before = encoder.get_weights()
    history = pretrain_masked(
        encoder, np.tile(half, 2), mask_id=1, epochs=30, learning_rate=5e-3, batch_size=32, progress=False
    )
    assert history["loss"].iloc[0] > 1.5
    assert history["loss"].iloc[-1] < 0.75 * history["loss"].iloc[0]
    assert history["accuracy"].iloc[-1] > 2 / 8
    assert not any(
        np.array_equal(a, b) for a, b in zip(before, encoder.get_weights(), strict=True) if a.shape[0] != 512
    )


def test_the_special_tokens_of_a_training_are_those_that_are_named() -> None:
    encoder = small_bert(blocks=1, width=8, heads=2, inner=8, vocabulary=12)
    history = pretrain_masked(encoder, IDS, mask_id=1, epochs=1, share=1.0, special=range(1, 12), progress=False)
    assert history["loss"].tolist() == [0.0]  # nothing was asked


@pytest.mark.parametrize(
    ("options", "allowed"),
    [
        ({"mask_id": 12}, "mask_id must be in 1..11, got 12."),
        ({"mask_id": 0}, "mask_id must be in 1..11, got 0."),
        ({"share": 0.0}, "share must be above 0 and at most 1, got 0.0."),
        ({"share": 1.5}, "share must be above 0 and at most 1, got 1.5."),
        ({"ids": IDS.astype(np.int64)}, "ids must be int32 of shape (n, length), got int64 of (2, 7)."),
        ({"ids": IDS[0]}, "ids must be int32 of shape (n, length), got int32 of (7,)."),
        ({"ids": IDS + 9}, "ids must be in 0..11, got 9..18."),
        ({"epochs": 0}, "epochs must be"),
        ({"strategy": "mirrored"}, "strategy must be None"),
    ],
)
def test_masking_out_of_range(options: dict, allowed: str) -> None:
    encoder = small_bert(blocks=1, width=8, heads=2, inner=8, vocabulary=12)
    given = {"ids": IDS, "mask_id": 1, "epochs": 1, **options}
    with raises_one_line(ValueError, allowed):
        pretrain_masked(encoder, given.pop("ids"), **given)
    if not {"epochs", "strategy"} & set(options):
        del given["epochs"]
        with raises_one_line(ValueError, allowed):
            mask_tokens(options.get("ids", IDS), vocabulary=12, **given)


def test_an_encoder_of_another_form() -> None:
    with raises_one_line(ValueError, "encoder must embed ids and end in the mean of tokens, got 'toy'."):
        pretrain_masked(toy_model(), IDS, mask_id=1, epochs=1)


# What is handed on


def test_no_function_takes_labels() -> None:
    for function in (pretrain_contrastive, pretrain_rotation, pretrain_masked):
        assert not {"labels", "y", "train", "split"} & set(inspect.signature(function).parameters)


def test_options_are_shared_as_one_object(of_seed_5: list[np.ndarray]) -> None:
    assert same_weights(of_seed_5, pretrained(0, FitOptions(batch_size=10, seed=5, progress=False)))
    assert isinstance(rotation_split(pictures()), Split)
