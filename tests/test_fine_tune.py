"""fine_tune: one call does what the long way does, weight for weight."""

import inspect
import threading
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import raises_one_line, random_split, same_weights, toy_backbone, weights_of
from marks import in_bank

from tlkit._keras import keras
from tlkit.backbones import Backbone, load_backbone
from tlkit.domains import Split
from tlkit.features import cache_features, split_at
from tlkit.freezing import freeze_to
from tlkit.heads import build_head, join
from tlkit.training import FitKeywords, FitOptions, fine_tune, fit

OPTIONS = {"epochs": 2, "learning_rate": 0.05, "batch_size": 8, "seed": 3, "progress": False}


def flips() -> keras.layers.Layer:
    return keras.layers.RandomFlip("horizontal_and_vertical", seed=1, name="flips")


def by_hand(
    backbone: Backbone,
    head: keras.Model,
    train: Split,
    *,
    stage: int,
    validation: Split | None = None,
    train_batchnorm: bool = False,
    rate: float = OPTIONS["learning_rate"],
    views: int = 1,
    augment: keras.layers.Layer | None = None,
    optimizer: str = "adam",
    whole: bool = False,
) -> pd.DataFrame:
    """One phase the long way; with ``whole`` without any cache, on the joined model."""
    freeze_to(backbone, stage, train_batchnorm=train_batchnorm)
    options = {**OPTIONS, "learning_rate": rate, "optimizer": optimizer}
    if whole:
        return fit(join(backbone.model, head), train, validation=validation, **options)
    trunk, tail = split_at(backbone, stage)
    cached = cache_features(trunk, train, views=views, augment=augment, seed=3, cache_dir="memory")
    held_out = None if validation is None else cache_features(trunk, validation, cache_dir="memory")
    return fit(join(tail, head), cached, validation=held_out, **options)


def compared(
    make: Callable[[], Backbone], train: Split, *, stage: int, two_phase: bool, factor: float = 0.1, **options: object
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Histories of fine_tune and of the long way, whose weights were found to be equal."""
    backbone, long = make(), make()
    head, long_head = (build_head(each, 3, seed=5) for each in (backbone, long))
    start = backbone.model.get_weights()
    tuning = {key: value for key, value in options.items() if key != "whole"}
    history = fine_tune(
        backbone, head, train, stage=stage, two_phase=two_phase, tail_rate_factor=factor, **OPTIONS, **tuning
    )
    rate = OPTIONS["learning_rate"]
    last = stage == backbone.n_stages
    phases = [("head" if last else "tail", stage, rate)]
    if two_phase and not last:
        phases = [("head", backbone.n_stages, rate), ("tail", stage, rate * factor)]
    parts = []
    for number, (phase, frozen_to, phase_rate) in enumerate(phases):
        part = by_hand(long, long_head, train, stage=frozen_to, rate=phase_rate, **options)
        parts.append(part.assign(phase=phase, epoch=part["epoch"] + number * OPTIONS["epochs"]))
    assert same_weights(backbone.model, long.model)
    assert same_weights(head, long_head)
    assert same_weights(start, backbone.model) == last
    return history, pd.concat(parts, ignore_index=True)[["phase", "epoch", "split", "loss", "accuracy"]]


# Each stage, with one phase and with two; of these pairs `make test` takes one of each stage.
PAIRS = [(stage, two_phase) for stage in range(3) for two_phase in (False, True)]
SAMPLE = [(0, False), (1, True), (2, True)]


@pytest.mark.parametrize(("stage", "two_phase"), in_bank(PAIRS, but=SAMPLE, names=2))
def test_it_equals_the_long_way(stage: int, two_phase: bool) -> None:
    history, expected = compared(
        toy_backbone, random_split(20), stage=stage, two_phase=two_phase, validation=random_split(9, seed=1)
    )
    pd.testing.assert_frame_equal(history, expected, check_exact=True)


@pytest.mark.slow
@pytest.mark.parametrize(("stage", "two_phase"), in_bank(PAIRS, but=[(1, True)], names=2))
def test_it_equals_training_the_whole_model(stage: int, two_phase: bool) -> None:
    history, expected = compared(toy_backbone, random_split(20), stage=stage, two_phase=two_phase, whole=True)
    pd.testing.assert_frame_equal(history, expected)


@pytest.mark.slow
@pytest.mark.bank  # the toy network has each kind of stage
@pytest.mark.parametrize("two_phase", [False, True])
@pytest.mark.parametrize("stage", range(6))
def test_it_equals_the_long_way_with_the_small_resnet(stage: int, two_phase: bool) -> None:
    def make() -> Backbone:
        return load_backbone("resnet_printed", weights=None, seed=3)

    compared(make, random_split(12, shape=(28, 28, 1)), stage=stage, two_phase=two_phase)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "sgd", "train_batchnorm": True, "factor": 0.01},  # one that got lost would show
        *(
            pytest.param(one, marks=pytest.mark.bank)
            for one in ({"optimizer": "sgd"}, {"train_batchnorm": True}, {"factor": 1.0}, {"factor": 0.01})
        ),
    ],
)
def test_it_passes_options_on(options: dict[str, object]) -> None:
    compared(toy_backbone, random_split(20), stage=1, two_phase=True, **options)


# With stage 0 come two phases, and the first of them has all stages behind its views.
@pytest.mark.parametrize("stage", in_bank(range(3), but=[0]))
def test_views_equal_the_long_way_and_validation_is_not_augmented(stage: int) -> None:
    history, expected = compared(
        toy_backbone,
        random_split(20),
        stage=stage,
        two_phase=stage == 0,
        views=3,
        augment=flips(),
        validation=random_split(9, seed=1),
    )
    pd.testing.assert_frame_equal(history, expected, check_exact=True)


def test_options_as_one_object_or_by_name(split: Split) -> None:
    results = []
    for given in (
        {"batch_size": 8, "seed": 3, "progress": False},
        {"options": FitOptions(batch_size=8, seed=3, progress=False)},
        {"options": FitOptions(batch_size=8, seed=5, progress=False), "seed": 3},  # a keyword goes before
        {"options": FitOptions(batch_size=8, seed=5, progress=False)},
    ):
        backbone = toy_backbone()
        head = build_head(backbone, 3, seed=5)
        fine_tune(backbone, head, split, stage=2, epochs=1, learning_rate=0.05, cache_dir="memory", **given)
        results.append(head.get_weights())
    assert same_weights(results[0], results[1])
    assert same_weights(results[0], results[2])
    assert not same_weights(results[0], results[3])


def test_options_are_the_keywords_of_fit() -> None:
    options = {field.name: field.default for field in fields(FitOptions)}
    keywords = {name: each.default for name, each in inspect.signature(fit).parameters.items() if each.kind == 3}
    assert options == {name: default for name, default in keywords.items() if name in options}
    assert set(keywords) - set(options) == {"epochs", "learning_rate", "validation"}
    assert list(options) == list(FitKeywords.__annotations__)
    assert FitKeywords.__required_keys__ == set()


@pytest.mark.parametrize(
    ("wrong", "fragments"),
    [({"batch_size": 0}, ("batch_size must be", "got 0")), ({"optimizer": "adamm"}, ("optimizer must be", "'adam'"))],
)
def test_bad_options(wrong: dict[str, object], fragments: tuple[str, ...]) -> None:
    with raises_one_line(ValueError, *fragments):
        FitOptions(**wrong)


def test_an_option_that_there_is_not(toy: Backbone, split: Split, no_training) -> None:
    with raises_one_line(TypeError, "unexpected keyword argument 'sed'"):
        fine_tune(toy, build_head(toy, 3), split, stage=1, epochs=1, learning_rate=0.05, sed=3)


@pytest.mark.slow
def test_the_map_on_disk_changes_nothing(tmp_path: Path) -> None:
    results = []
    for options in ({"max_bytes": 0}, {"cache_dir": tmp_path, "max_bytes": 0}, {"cache_dir": "memory"}):
        backbone = toy_backbone()
        head = build_head(backbone, 3, seed=5)
        fine_tune(backbone, head, random_split(20), stage=1, **{**OPTIONS, "epochs": 1}, **options)
        results.append(backbone.model.get_weights() + head.get_weights())
    assert same_weights(results[0], results[1])
    assert same_weights(results[0], results[2])
    assert len(list(tmp_path.iterdir())) == 1


def moved(before: dict[str, np.ndarray], model: keras.Model) -> set[str]:
    return {path for path, value in weights_of(model).items() if not np.array_equal(value, before[path])}


@pytest.mark.parametrize("two_phase", in_bank([False, True], but=[True]))
def test_only_the_meant_weights_move(toy: Backbone, split: Split, two_phase: bool) -> None:
    head = build_head(toy, 3)
    before, head_before = weights_of(toy.model), weights_of(head)
    objects = [id(weight) for weight in [*toy.model.weights, *head.weights]]
    fine_tune(toy, head, split, stage=1, two_phase=two_phase, **OPTIONS)
    assert moved(before, toy.model) == {
        weight.path for weight in toy.model.weights if weight.path.startswith("two_") and "conv" in weight.path
    }
    assert moved(head_before, head) == set(head_before)
    assert [id(weight) for weight in [*toy.model.weights, *head.weights]] == objects


def test_the_first_phase_moves_the_head_alone(toy: Backbone, split: Split) -> None:
    head = build_head(toy, 3)
    before, seen = toy.model.get_weights(), []

    class Look(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None) -> None:
            seen.append(same_weights(before, toy.model))

    fine_tune(toy, head, split, stage=0, two_phase=True, callbacks=[Look()], **OPTIONS)
    assert seen == [True, True, False, False]


@pytest.mark.parametrize(
    ("stage", "two_phase", "phases"),
    [
        (1, True, ["head", "tail"]),
        pytest.param(1, False, ["tail"], marks=[pytest.mark.slow, pytest.mark.bank]),
        pytest.param(2, True, ["head"], marks=pytest.mark.slow),
        pytest.param(2, False, ["head"], marks=[pytest.mark.slow, pytest.mark.bank]),
    ],
)
def test_history(toy: Backbone, split: Split, stage: int, two_phase: bool, phases: list[str]) -> None:
    validation = random_split(9, seed=1)
    head = build_head(toy, 3)
    history = fine_tune(toy, head, split, stage=stage, two_phase=two_phase, validation=validation, **OPTIONS)
    assert list(history.columns) == ["phase", "epoch", "split", "loss", "accuracy"]
    epochs = 2 * len(phases)
    assert history["epoch"].tolist() == [epoch for epoch in range(1, epochs + 1) for _ in range(2)]
    assert history["split"].tolist() == ["train", "validation"] * epochs
    assert history["phase"].tolist() == [phase for phase in phases for _ in range(4)]
    assert history.index.tolist() == list(range(2 * epochs))
    assert np.isfinite(history["loss"]).all()
    assert history["accuracy"].between(0, 1).all()
    # The last row is what the trained backbone and head now score.
    right = join(toy.model, head).predict(validation.x, verbose=0).argmax(axis=1) == validation.y
    assert history["accuracy"].iloc[-1] == pytest.approx(right.mean())


class AtBatch(keras.callbacks.Callback):
    def __init__(self, batch: int, action: Callable[[], None], *, begin: bool = False) -> None:
        super().__init__()
        self.batch, self.action, self.begin, self.done = batch, action, begin, 0

    def on_train_batch_begin(self, batch, logs=None) -> None:
        if self.begin and self.done == self.batch:
            self.action()

    def on_train_batch_end(self, batch, logs=None) -> None:
        self.done += 1
        if not self.begin and self.done == self.batch:
            self.action()


def interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("how", ["stop", "Ctrl-C"])
def test_a_stop_in_the_first_phase_ends_both(toy: Backbone, split: Split, how: str) -> None:
    # 24 examples in batches of 8: three batches an epoch. The stop comes in the second epoch.
    stop, before = threading.Event(), toy.model.get_weights()
    at_batch = AtBatch(4, stop.set if how == "stop" else interrupt)
    history = fine_tune(
        toy, build_head(toy, 3), split, stage=0, two_phase=True, stop=stop, callbacks=[at_batch], **OPTIONS
    )
    assert history["phase"].tolist() == ["head", "head"]
    assert history["epoch"].tolist() == [1, 2]
    assert at_batch.done <= 5
    assert same_weights(before, toy.model)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["stop", "Ctrl-C"])
def test_a_stop_in_the_second_phase_keeps_both_histories(toy: Backbone, split: Split, how: str) -> None:
    stop = threading.Event()
    at_batch = AtBatch(8, stop.set if how == "stop" else interrupt)  # 6 batches of the head, 2 of the tail
    history = fine_tune(
        toy, build_head(toy, 3), split, stage=0, two_phase=True, stop=stop, callbacks=[at_batch], **OPTIONS
    )
    assert history["phase"].tolist() == ["head", "head", "tail"]
    assert history["epoch"].tolist() == [1, 2, 3]


@pytest.mark.parametrize("two_phase", [False, True])
def test_ctrl_c_before_the_first_batch(toy: Backbone, split: Split, two_phase: bool) -> None:
    at_batch = AtBatch(0, interrupt, begin=True)
    before = toy.model.get_weights()
    history = fine_tune(toy, build_head(toy, 3), split, stage=1, two_phase=two_phase, callbacks=[at_batch], **OPTIONS)
    assert list(history.columns) == ["phase", "epoch", "split", "loss", "accuracy"]
    assert len(history) == 0
    assert same_weights(before, toy.model)


BAD = {
    "stage too high": ({"stage": 3}, ("stage must be in 0..2", "got 3")),
    "stage below 0": ({"stage": -1}, ("stage must be in 0..2", "got -1")),
    "no stage": ({"stage": True}, ("stage must be in 0..2", "got True")),
    "factor 0": ({"tail_rate_factor": 0}, ("tail_rate_factor", "got 0")),
    "factor above 1": ({"tail_rate_factor": 1.5}, ("tail_rate_factor", "got 1.5")),
    "factor nan": ({"tail_rate_factor": float("nan")}, ("tail_rate_factor", "got nan")),
    "epochs": ({"epochs": 0}, ("epochs must be", "got 0")),
    "learning rate": ({"learning_rate": -1.0}, ("learning_rate must be above 0", "got -1.0")),
    "no learning rate": ({"learning_rate": None}, ("learning_rate must be above 0", "got None")),
    "seed": ({"seed": -1}, ("seed must be", "got -1")),
    "a pair": ({"train": ([], [])}, ("train must be a Split", "got tuple")),
    "batch size": ({"batch_size": 0}, ("batch_size must be", "got 0")),
    "optimizer": ({"optimizer": "adamm"}, ("optimizer must be", "'adam'")),
    "views": ({"views": 3}, ("augment must be a Keras layer",)),
    "images": ({"train": random_split(6, shape=(9, 9, 1))}, ("(8, 8, 1)", "(9, 9, 1)")),
    "labels": ({"train": random_split(8, classes=4)}, ("labels must be in 0..2", "got 3")),
    "validation images": ({"validation": random_split(6, shape=(9, 9, 1))}, ("(8, 8, 1)", "(9, 9, 1)")),
    "validation labels": ({"validation": random_split(8, classes=4)}, ("labels must be in 0..2", "got 3")),
}


@pytest.mark.parametrize("two_phase", [True, pytest.param(False, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("options", "fragments"), BAD.values(), ids=BAD)
def test_bad_arguments_before_any_training(
    toy: Backbone, split: Split, no_training, options: dict[str, object], fragments: tuple[str, ...], two_phase: bool
) -> None:
    arguments = {"train": split, "stage": 1, "two_phase": two_phase, **OPTIONS, **options}
    with raises_one_line(ValueError, *fragments):
        fine_tune(toy, build_head(toy, 3), **arguments)


def test_arguments_are_checked_before_the_frozen_part_runs(
    toy: Backbone, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tlkit.training.cache_features", lambda *_, **__: pytest.fail("features were computed"))
    for wrong in ({"learning_rate": None}, {"epochs": 0}, {"validation": 3}):
        with raises_one_line(ValueError, f"{next(iter(wrong))} must be"):
            fine_tune(toy, build_head(toy, 3), split, **{"stage": 1, **OPTIONS, **wrong})
    with raises_one_line(ValueError, "backbone must be a Backbone", "wrap_backbone"):
        fine_tune(toy.model, build_head(toy, 3), split, stage=1, **OPTIONS)


def test_a_head_of_another_shape(toy: Backbone, split: Split, no_training) -> None:
    head = keras.Sequential([keras.Input((5, 5, 4)), keras.layers.Flatten(), keras.layers.Dense(3)])
    with raises_one_line(ValueError, "head must take (8, 8, 4)", "got (5, 5, 4)"):
        fine_tune(toy, head, split, stage=1, two_phase=True, **OPTIONS)


def test_a_limit_that_only_the_second_phase_passes_is_found_before_the_first(split: Split, no_training) -> None:
    # The first phase keeps few features, at the output; the second, at an earlier stage, keeps many.
    backbone = load_backbone("resnet_printed", weights=None)
    data = random_split(6, shape=(28, 28, 1))
    sizes = [cache_features(split_at(backbone, stage)[0], data, cache_dir="memory").x.nbytes for stage in (1, 5)]
    assert sizes[0] > sizes[1]
    with raises_one_line(ValueError, "max_bytes"):
        fine_tune(
            backbone,
            build_head(backbone, 3),
            data,
            stage=1,
            two_phase=True,
            cache_dir="memory",
            max_bytes=sizes[1],
            **OPTIONS,
        )
