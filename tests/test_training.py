"""Training: the history, what the batches depend on, and stopping at any batch."""

import functools
import itertools
import json
import os
import random
import signal
import threading
import time

import numpy as np
import pandas as pd
import pytest
from helpers import ROOT, raises_one_line, random_split, run_python, same_weights, toy_backbone, weights_of
from marks import in_bank

from tlkit._keras import keras, tf
from tlkit._steps import interrupts_held
from tlkit.backbones import Backbone
from tlkit.domains import Split
from tlkit.freezing import freeze_to
from tlkit.heads import build_head, join
from tlkit.training import fit


def classifier(seed: int = 0, *, classes: int = 3, dropout: float = 0.0) -> keras.Model:
    """A model of one affine map: the smallest thing that can be trained."""
    layers = [keras.Input((8, 8, 1)), keras.layers.Rescaling(1 / 255), keras.layers.Flatten()]
    if dropout:
        layers.append(keras.layers.Dropout(dropout, seed=seed))
    start = keras.initializers.GlorotUniform(seed=seed)
    return keras.Sequential([*layers, keras.layers.Dense(classes, kernel_initializer=start)], name="affine")


def cross_entropy(model: keras.Model, data: Split) -> float:
    """Mean, in nats, by scipy."""
    from scipy.special import log_softmax

    logits = model.predict(data.x, verbose=0).astype(float)
    return float(-log_softmax(logits, axis=1)[np.arange(len(data)), data.y].mean())


def share_right(model: keras.Model, data: Split) -> float:
    return float((model.predict(data.x, verbose=0).argmax(axis=1) == data.y).mean())


class AtBatch(keras.callbacks.Callback):
    """Calls ``action`` once ``batches`` batches of the whole training are done."""

    def __init__(self, batches: int, action) -> None:
        super().__init__()
        self.batches, self.action, self.done = batches, action, 0

    def on_train_batch_end(self, batch, logs=None) -> None:
        self.done += 1
        if self.done == self.batches:
            self.action()


class Recorder(keras.callbacks.Callback):
    """The weights after each batch."""

    def __init__(self) -> None:
        super().__init__()
        self.weights: list[list[np.ndarray]] = []

    def on_train_batch_end(self, batch, logs=None) -> None:
        self.weights.append([np.array(w) for w in self.model.get_weights()])


def interrupt() -> None:
    raise KeyboardInterrupt


# History


def test_history_has_a_row_an_epoch_and_split(split: Split) -> None:
    history = fit(classifier(), split, epochs=3, learning_rate=0.01, validation=random_split(9), progress=False)
    assert list(history.columns) == ["epoch", "split", "loss", "accuracy"]
    assert history["epoch"].tolist() == [1, 1, 2, 2, 3, 3]
    assert history["split"].tolist() == ["train", "validation"] * 3
    assert history["loss"].dtype == history["accuracy"].dtype == float
    assert history["accuracy"].between(0, 1).all()
    assert np.isfinite(history["loss"]).all()


def test_history_without_validation(split: Split) -> None:
    history = fit(classifier(), split, epochs=2, learning_rate=0.01, progress=False)
    assert history["split"].tolist() == ["train", "train"]
    assert list(history.index) == [0, 1]


def test_history_is_cross_entropy_and_accuracy(split: Split) -> None:
    model, held_out = classifier(), random_split(300, seed=5)
    before = cross_entropy(model, split), share_right(model, split)
    history = fit(model, split, epochs=1, learning_rate=0.1, batch_size=99, validation=held_out, progress=False)
    train, validation = history.set_index("split")[["loss", "accuracy"]].to_numpy()
    np.testing.assert_allclose(train, before, rtol=1e-5)  # one batch: taken before its step
    np.testing.assert_allclose(validation, (cross_entropy(model, held_out), share_right(model, held_out)), rtol=1e-5)


def test_training_lowers_the_loss(split: Split) -> None:
    model = classifier()
    before = cross_entropy(model, split)
    fit(model, split, epochs=5, learning_rate=0.01, batch_size=8, progress=False)
    assert cross_entropy(model, split) < before


def test_one_step_of_sgd_by_hand(split: Split) -> None:
    model = classifier()
    kernel, bias = model.get_weights()
    x = split.x.reshape(len(split), -1) / 255
    logits = x @ kernel.astype(float) + bias
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    gradient = (p - np.eye(3)[split.y]) / len(split)
    fit(model, split, epochs=1, learning_rate=0.5, batch_size=len(split), optimizer="sgd", progress=False)
    np.testing.assert_allclose(model.get_weights()[0], kernel - 0.5 * x.T @ gradient, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(model.get_weights()[1], bias - 0.5 * gradient.sum(axis=0), rtol=1e-4, atol=1e-6)


# Seeds and batches


class Seen(keras.Model):
    """An affine model that writes down the examples of each training batch."""

    def __init__(self, n_features: int) -> None:
        image = keras.Input((n_features,))
        super().__init__(image, keras.layers.Dense(2)(image), name="seen")
        self.batches: list[list[int]] = []

    def train_step(self, data):
        def note(x) -> None:
            self.batches.append(x[:, 0].numpy().astype(int).tolist())

        tf.py_function(note, [data[0]], [])
        return super().train_step(data)


def trained_anew(n: int, seed: int, *, n_features: int = 2, batch_size: int = 4) -> list[list[int]]:
    """The examples of each batch of two epochs."""
    x = np.zeros((n, n_features), np.float32)
    x[:, 0] = np.arange(n)  # each example is its own number
    model = Seen(n_features)
    data = Split(x, np.arange(n) % 2)
    fit(model, data, epochs=2, learning_rate=1e-3, batch_size=batch_size, seed=seed, progress=False)
    return model.batches


batches = functools.cache(trained_anew)  # for tests that only look


def test_each_epoch_sees_every_example_once_in_a_new_order() -> None:
    seen = batches(10, seed=1)
    assert [len(batch) for batch in seen] == [4, 4, 2, 4, 4, 2]
    first, second = (list(itertools.chain(*seen[i : i + 3])) for i in (0, 3))
    assert sorted(first) == sorted(second) == list(range(10))
    assert len({tuple(first), tuple(second), tuple(range(10))}) == 3


def test_order_depends_on_the_seed_and_the_number_of_examples_alone() -> None:
    def order(found: list[list[int]]) -> list[int]:
        return list(itertools.chain(*found))

    first = order(batches(10, seed=1))
    assert first == order(trained_anew(10, seed=1, n_features=5))
    assert first == order(trained_anew(10, seed=1, batch_size=3))
    assert first != order(trained_anew(10, seed=2))


def test_order_does_not_depend_on_the_global_seed() -> None:
    # Notebooks often begin with keras.utils.set_random_seed; the batches must not change with it.
    plain = batches(10, seed=1)
    tf.random.set_seed(123)
    try:
        assert trained_anew(10, seed=1) == plain
    finally:
        tf.random.set_seed(None)


def test_seed_makes_the_weights(split: Split) -> None:
    def trained(seed: int) -> keras.Model:
        model = classifier(dropout=0.3)
        fit(model, split, epochs=2, learning_rate=0.1, batch_size=5, seed=seed, progress=False)
        return model

    first = trained(1)
    assert same_weights(first, trained(1))
    assert not same_weights(first, trained(2))


def test_global_random_states_are_left_alone(split: Split) -> None:
    from keras.src.random.seed_generator import global_seed_generator

    def states() -> tuple[object, ...]:
        keras_state = global_seed_generator().state.numpy().tolist()  # first: making it draws from Python's random
        return random.getstate(), np.random.get_state()[1].tobytes(), keras_state  # noqa: NPY002 (read, not used)

    model = classifier(dropout=0.3)
    before = states()
    fit(model, split, epochs=1, learning_rate=0.1, validation=split, progress=False)
    assert states() == before


def test_the_data_is_left_alone(split: Split) -> None:
    x, y = split.x.copy(), split.y.copy()
    fit(classifier(), split, epochs=1, learning_rate=0.1, progress=False)
    np.testing.assert_array_equal(split.x, x)
    np.testing.assert_array_equal(split.y, y)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_a_second_fit_starts_a_new_optimizer(split: Split, optimizer: str) -> None:
    # So that two fits of one epoch from the same weights do the same, whatever went before.
    model = classifier()
    start = model.get_weights()
    results = []
    for _ in range(2):
        model.set_weights(start)
        fit(model, split, epochs=1, learning_rate=0.01, batch_size=8, optimizer=optimizer, progress=False)
        results.append(model.get_weights())
    assert same_weights(results[0], results[1])
    assert not same_weights(start, results[0])


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_a_step_is_traced_once(split: Split, monkeypatch: pytest.MonkeyPatch, optimizer: str) -> None:
    # An optimizer that makes its variables within the step has it traced a second time, which takes as long again.
    traced, step = [], keras.Model.train_step
    monkeypatch.setattr(keras.Model, "train_step", lambda model, data: traced.append(model) or step(model, data))
    model = classifier()
    fit(model, split, epochs=2, learning_rate=0.01, batch_size=5, optimizer=optimizer, progress=False)
    assert traced == [model]


# Stopping


@pytest.fixture(scope="module")
def after_each(split: Split) -> list[list[np.ndarray]]:
    """The weights after each batch of a training that nobody stopped: 24 examples, five batches an epoch."""
    recorder = Recorder()
    fit(classifier(), split, epochs=2, learning_rate=0.1, batch_size=5, callbacks=[recorder], progress=False)
    assert len(recorder.weights) == 10
    return recorder.weights


HOW_TO_STOP = ("event", "event in another thread", "interrupt")


# In `make test` an event before the first batch and at the end of an epoch, the other two ways elsewhere.
@pytest.mark.parametrize(
    ("how", "k"),
    in_bank(
        itertools.product(HOW_TO_STOP, (1, 3, 5, 7)),
        but=[(HOW_TO_STOP[0], 1), (HOW_TO_STOP[0], 5), (HOW_TO_STOP[1], 3), *((HOW_TO_STOP[2], k) for k in (3, 5, 7))],
        names=2,
    ),
)
def test_stopping_keeps_the_weights_of_batch_k(
    split: Split, after_each: list[list[np.ndarray]], how: str, k: int
) -> None:
    stop, model = threading.Event(), classifier()

    def set_elsewhere() -> None:
        thread = threading.Thread(target=stop.set)
        thread.start()
        thread.join()

    action = {"event": stop.set, "event in another thread": set_elsewhere, "interrupt": interrupt}[how]
    # The event is looked at at the end of each batch before this callback sets it: one batch more.
    callback = AtBatch(k if how == "interrupt" else k - 1, action)
    if callback.batches == 0:
        stop.set()
    history = fit(
        model, split, epochs=2, learning_rate=0.1, batch_size=5, callbacks=[callback], stop=stop, progress=False
    )
    assert same_weights(after_each[k - 1], model)
    assert history["epoch"].tolist() == list(range(1, -(-k // 5) + 1))
    assert history["split"].eq("train").all()


def test_history_of_a_stopped_run_is_the_beginning_of_the_whole_ones(split: Split) -> None:
    arguments = {"epochs": 3, "learning_rate": 0.1, "batch_size": 5, "progress": False, "validation": random_split(9)}
    whole = fit(classifier(), split, **arguments)
    part = fit(classifier(), split, **arguments, callbacks=[AtBatch(8, interrupt)])  # in the second epoch
    pd.testing.assert_frame_equal(part.iloc[:2], whole.iloc[:2])
    assert part.iloc[2:]["split"].tolist() == ["train"]
    assert part.iloc[2:]["epoch"].tolist() == [2]


@pytest.mark.parametrize("where", ["on_train_begin", "on_epoch_begin", "on_train_batch_begin"])
def test_interrupt_before_the_first_batch(split: Split, where: str) -> None:
    callback = keras.callbacks.Callback()
    setattr(callback, where, lambda *args, **kwargs: interrupt())
    model = classifier()
    before = model.get_weights()
    history = fit(model, split, epochs=1, learning_rate=0.1, callbacks=[callback], progress=False)
    assert history.empty
    assert list(history.columns) == ["epoch", "split", "loss", "accuracy"]
    assert same_weights(before, model)


def test_interrupt_during_validation(split: Split) -> None:
    callback = keras.callbacks.Callback()
    callback.on_test_begin = lambda *args, **kwargs: interrupt()
    model = classifier()
    fit_again = {"epochs": 1, "learning_rate": 0.1, "batch_size": 5, "progress": False}
    history = fit(model, split, **fit_again, validation=split, callbacks=[callback])
    assert history["split"].tolist() == ["train"]
    whole = classifier()
    pd.testing.assert_frame_equal(fit(whole, split, **fit_again), history)
    assert same_weights(whole, model)


def test_interrupt_between_batches(split: Split, after_each: list[list[np.ndarray]]) -> None:
    callback = keras.callbacks.Callback()
    callback.on_train_batch_begin = lambda batch, logs=None: interrupt() if batch == 3 else None
    model = classifier()
    fit(model, split, epochs=1, learning_rate=0.1, batch_size=5, callbacks=[callback], progress=False)
    assert same_weights(after_each[2], model)


def test_a_stopped_model_can_be_trained_on(split: Split) -> None:
    model = classifier()
    fit(model, split, epochs=1, learning_rate=0.1, callbacks=[AtBatch(1, interrupt)], progress=False)
    history = fit(model, split, epochs=2, learning_rate=0.1, progress=False)
    assert history["epoch"].tolist() == [1, 2]


class Deaf:
    """Ctrl-C comes while this is taken down, where Python loses what is raised."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("k", [1, 7])
def test_no_interrupt_is_lost_where_python_swallows_exceptions(
    split: Split, after_each: list[list[np.ndarray]], k: int
) -> None:
    model = classifier()
    callbacks = [AtBatch(k, lambda: [Deaf()].clear())]
    history = fit(
        model, split, epochs=2, learning_rate=0.1, batch_size=5, callbacks=callbacks, stop=None, progress=False
    )
    assert history.attrs["stopped"]
    assert same_weights(after_each[k - 1], model)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_during_the_last_validation_is_not_lost(split: Split) -> None:
    callback = keras.callbacks.Callback()
    callback.on_test_end = lambda logs=None: [Deaf()].clear()
    history = fit(
        classifier(), split, epochs=1, learning_rate=0.1, validation=split, callbacks=[callback], progress=False
    )
    assert history["split"].tolist() == ["train", "validation"]
    assert history.attrs["stopped"]


def test_a_second_interrupt_acts_at_once(split: Split) -> None:
    def twice(batch: int, logs: object = None) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("it went on")

    callback, model = keras.callbacks.Callback(), classifier()
    callback.on_train_batch_begin = twice
    before = model.get_weights()
    assert fit(model, split, epochs=1, learning_rate=0.1, callbacks=[callback], progress=False).empty
    assert same_weights(before, model)


def test_a_handler_of_somebody_elses_is_left_alone(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def note(number: int, frame: object) -> None:
        seen.append(number)

    former = signal.signal(signal.SIGINT, note)
    try:
        callback = AtBatch(1, lambda: signal.raise_signal(signal.SIGINT))
        history = fit(classifier(), split, epochs=1, learning_rate=0.1, callbacks=[callback], progress=False)
        assert signal.getsignal(signal.SIGINT) is note
    finally:
        signal.signal(signal.SIGINT, former)
    assert seen == [signal.SIGINT]
    assert not history.attrs["stopped"]


class Slowly:
    """Objects that come and go in Python code, for ever."""

    def __del__(self) -> None:
        for _ in range(20):
            pass


def test_forty_interrupts_at_random_moments() -> None:
    rng = np.random.default_rng(0)
    for _ in range(40):
        timer = threading.Timer(rng.uniform(0.001, 0.01), os.kill, (os.getpid(), signal.SIGINT))

        def train(timer: threading.Timer = timer) -> None:
            deadline = time.monotonic() + 60
            with interrupts_held() as look:
                timer.start()
                while time.monotonic() < deadline:
                    Slowly()
                    look()

        with pytest.raises(KeyboardInterrupt):
            train()
        timer.join()


# Numbers that are none


@pytest.mark.parametrize("validation", [False, True])
def test_a_loss_that_is_no_number_ends_the_training_in_one_line(split: Split, validation: bool) -> None:
    seen = AtBatch(0, None)
    with raises_one_line(FloatingPointError, "the loss must be finite, got", "epoch 1", "1e+39, is too large"):
        fit(
            classifier(),
            split,
            epochs=10,
            learning_rate=1e39,
            batch_size=5,
            validation=split if validation else None,
            callbacks=[seen],
            progress=False,
        )
    assert seen.done == 5  # one epoch


def test_weights_that_the_last_step_lost(split: Split) -> None:
    with raises_one_line(FloatingPointError, "weights must be finite", "after epoch 1", "1e+39, is too large"):
        fit(classifier(), split, epochs=1, learning_rate=1e39, batch_size=24, optimizer="sgd", progress=False)


def test_stop_in_a_thread_ends_a_long_training(split: Split) -> None:
    # As a notebook's stop button does: training in a thread, the event set from outside.
    stop, started, model = threading.Event(), threading.Event(), classifier()
    result: list[pd.DataFrame] = []

    def train() -> None:
        callback = AtBatch(2, started.set)
        arguments = {"epochs": 1_000_000, "learning_rate": 0.1, "batch_size": 5, "progress": False}
        result.append(fit(model, split, **arguments, callbacks=[callback], stop=stop))

    thread = threading.Thread(target=train, daemon=True)
    thread.start()
    assert started.wait(120)
    stop.set()
    thread.join(60)
    assert not thread.is_alive()
    assert result[0]["epoch"].tolist() == list(range(1, len(result[0]) + 1))


def test_other_errors_are_not_swallowed(split: Split) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fit(classifier(), split, epochs=1, learning_rate=0.1, callbacks=[AtBatch(1, fail)], progress=False)


# Callbacks and progress


def test_callbacks_are_called(split: Split) -> None:
    calls: list[str] = []
    callback = keras.callbacks.Callback()
    for name in ("on_train_begin", "on_epoch_begin", "on_train_batch_end", "on_epoch_end", "on_train_end"):
        setattr(callback, name, lambda *args, name=name, **kwargs: calls.append(name))
    fit(classifier(), split, epochs=2, learning_rate=0.1, batch_size=12, callbacks=(callback,), progress=False)
    epoch = ["on_epoch_begin", "on_train_batch_end", "on_train_batch_end", "on_epoch_end"]
    assert calls == ["on_train_begin", *epoch, *epoch, "on_train_end"]


def test_early_stopping_works(split: Split) -> None:
    callback = keras.callbacks.EarlyStopping(monitor="val_loss", patience=0, min_delta=1e9)
    arguments = {"epochs": 9, "learning_rate": 0.1, "validation": split, "progress": False}
    assert fit(classifier(), split, **arguments, callbacks=[callback])["epoch"].max() == 2


def test_progress_is_a_bar_on_stderr(split: Split, capfd: pytest.CaptureFixture[str]) -> None:
    slow = AtBatch(1, lambda: time.sleep(0.7))  # the bar waits half a second before it shows
    fit(classifier(), split, epochs=1, learning_rate=0.1, batch_size=5, callbacks=[slow], progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "training" in err
    assert "/5" in err  # of five batches


@pytest.mark.parametrize("progress", [False, None])  # None: on a terminal only, and this is none
def test_no_progress_means_silence(split: Split, capfd: pytest.CaptureFixture[str], progress: bool | None) -> None:
    slow = AtBatch(1, lambda: time.sleep(0.7))
    fit(classifier(), split, epochs=1, learning_rate=0.1, batch_size=5, callbacks=[slow], progress=progress)
    assert capfd.readouterr() == ("", "")


# Several devices

ONE_DEVICE = ["CPU:0"]


def mirrored_on_one() -> tf.distribute.MirroredStrategy:
    return tf.distribute.MirroredStrategy(ONE_DEVICE)


def tail_and_head(*, train_batchnorm: bool = False, dropout: float = 0.0) -> keras.Model:
    """A frozen stage, a stage that learns, and a head."""
    backbone = toy_backbone()
    head = build_head(backbone, 3, dropout=dropout)
    freeze_to(backbone, 1, train_batchnorm=train_batchnorm)
    return join(backbone.model, head)


def one_conv(*, train_batchnorm: bool) -> keras.Model:
    """A convolution, BatchNorm that learns or keeps still, and a dense layer."""
    starts = [keras.initializers.GlorotUniform(seed=seed) for seed in (0, 1)]
    layers = [
        keras.layers.Conv2D(4, 3, kernel_initializer=starts[0]),
        keras.layers.BatchNormalization(momentum=0.9, trainable=train_batchnorm),
        keras.layers.ReLU(),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(3, kernel_initializer=starts[1]),
    ]
    return keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Rescaling(1 / 255), *layers])


@pytest.mark.parametrize(("optimizer", "dropout"), in_bank([("sgd", 0.0), ("adam", 0.3)], but=[("adam", 0.3)], names=2))
def test_mirrored_on_one_device_is_the_plain_training(split: Split, optimizer: str, dropout: float) -> None:
    arguments = {"epochs": 2, "learning_rate": 0.01, "batch_size": 5, "validation": random_split(9)}
    plain, mirrored = (tail_and_head(train_batchnorm=True, dropout=dropout) for _ in range(2))
    history = fit(plain, split, **arguments, optimizer=optimizer, progress=False)
    other = fit(mirrored, split, **arguments, optimizer=optimizer, progress=False, strategy=mirrored_on_one())
    pd.testing.assert_frame_equal(history, other)
    assert history.attrs == other.attrs
    # The same operations, but in another graph, which TensorFlow may fuse in another way.
    for one, two in zip(plain.get_weights(), mirrored.get_weights(), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6)


def test_without_a_gpu_mirrored_is_the_plain_training(split: Split) -> None:
    if tf.config.list_physical_devices("GPU"):
        pytest.skip("it would train on the GPU")
    plain, mirrored = classifier(), classifier()
    fit(plain, split, epochs=1, learning_rate=0.1, progress=False)
    fit(mirrored, split, epochs=1, learning_rate=0.1, progress=False, strategy="mirrored")
    for one, two in zip(plain.get_weights(), mirrored.get_weights(), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6)


def test_mirrored_trains_the_weights_of_the_caller_and_moves_no_flag(split: Split) -> None:
    backbone = toy_backbone()
    freeze_to(backbone, 1)
    model = join(backbone.model, build_head(backbone, 3))
    before, flags = weights_of(model), [layer.trainable for layer in model._flatten_layers()]
    trainable = {weight.path for weight in model.trainable_weights}
    fit(model, split, epochs=1, learning_rate=0.1, progress=False, strategy=mirrored_on_one())
    after = weights_of(model)
    moved = {path for path in before if not np.array_equal(before[path], after[path])}
    assert moved == trainable
    assert [layer.trainable for layer in model._flatten_layers()] == flags
    np.testing.assert_array_equal(backbone.model.get_layer("two_a_conv").get_weights()[0], after["two_a_conv/kernel"])


@pytest.mark.parametrize("k", in_bank([1, 3, 7], but=[7]))
def test_stopping_a_mirrored_training_keeps_the_weights_of_batch_k(
    split: Split, after_each: list[list[np.ndarray]], k: int
) -> None:
    model = classifier()
    arguments = {"epochs": 2, "learning_rate": 0.1, "batch_size": 5, "progress": False}
    history = fit(model, split, **arguments, callbacks=[AtBatch(k, interrupt)], strategy=mirrored_on_one())
    assert history.attrs["stopped"]
    assert history["epoch"].tolist() == list(range(1, -(-k // 5) + 1))
    for one, two in zip(after_each[k - 1], model.get_weights(), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6)


def test_a_mirrored_training_that_fails_leaves_what_was_learned(split: Split) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    model = classifier()
    before = model.get_weights()
    with pytest.raises(ZeroDivisionError):
        fit(model, split, **GOOD, callbacks=[AtBatch(1, fail)], strategy=mirrored_on_one())
    assert not same_weights(before, model)


def test_mirrored_calls_callbacks_as_keras_does(split: Split) -> None:
    def calls(strategy: tf.distribute.MirroredStrategy | None) -> list[tuple[str, list[str]]]:
        """What was called, and the names in the logs that it was given."""
        seen: list[tuple[str, list[str]]] = []

        def noting(name: str):
            def note(*args: object, logs: dict[str, float] | None = None) -> None:
                given = [each for each in (*args, logs) if isinstance(each, dict)]
                seen.append((name, sorted(given[0]) if given else []))

            return note

        callback = keras.callbacks.Callback()
        for name in ("on_train_begin", "on_train_batch_end", "on_epoch_end", "on_test_batch_end", "on_test_end"):
            setattr(callback, name, noting(name))
        early = keras.callbacks.EarlyStopping(monitor="val_loss", patience=0, min_delta=1e9)
        arguments = {"epochs": 9, "learning_rate": 0.1, "batch_size": 12, "validation": split, "progress": False}
        fit(classifier(), split, **arguments, callbacks=[callback, early], strategy=strategy)
        return seen

    assert calls(mirrored_on_one()) == calls(None)


def test_mirrored_keeps_regularizers(split: Split) -> None:
    def trained(strategy: tf.distribute.MirroredStrategy | None) -> tuple[list[np.ndarray], pd.DataFrame]:
        model = classifier()
        model.layers[-1].kernel.regularizer = keras.regularizers.L2(0.5)  # as notebook 05 sets L2-SP
        history = fit(model, split, epochs=1, learning_rate=0.1, progress=False, optimizer="sgd", strategy=strategy)
        return model.get_weights(), history

    plain, mirrored = trained(None), trained(mirrored_on_one())
    np.testing.assert_allclose(plain[0][0], mirrored[0][0], rtol=1e-5, atol=1e-6)
    pd.testing.assert_frame_equal(plain[1], mirrored[1])


TWO_DEVICES = """
import json
import numpy as np
from tlkit._keras import keras, tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from helpers import random_split
from test_training import one_conv
from tlkit.training import fit

two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
cases = {  # examples, size of a batch, optimizer
    "odd batches, the last of one, adam, a penalty": (22, 7, "adam"), "BatchNorm": (24, 6, "sgd"),
}
results = {}
for name, (n, batch_size, optimizer) in cases.items():
    arguments = {"epochs": 2, "learning_rate": 0.01, "batch_size": batch_size, "optimizer": optimizer}
    runs = []
    for strategy in (None, two):
        batchnorm = name == "BatchNorm"
        model = one_conv(train_batchnorm=batchnorm)
        if not batchnorm:
            model.layers[-1].kernel.regularizer = keras.regularizers.L2(0.1)
        held_out = None if batchnorm else random_split(9, seed=5)
        history = fit(model, random_split(n), **arguments, validation=held_out, progress=False, strategy=strategy)
        runs.append((model.get_weights(), history))
    (one, rows), (other, other_rows) = runs
    off = (rows[["loss", "accuracy"]] - other_rows[["loss", "accuracy"]]).abs().to_numpy().max()
    results[name] = {
        "weights": max(float(np.abs(a - b).max()) for a, b in zip(one, other, strict=True)),
        "history": float(off),
        "rows": rows[["epoch", "split"]].equals(other_rows[["epoch", "split"]]),
    }
print(json.dumps(results))
"""


SOME_INTERRUPTS, MANY_INTERRUPTS = 5, 500


@pytest.fixture(scope="module")
def fresh_process() -> list[str]:
    """What one process printed of two devices, which must be set up before TensorFlow's first use, and of real Ctrl-C.

    Two of them would load TensorFlow twice.
    """
    code = TWO_DEVICES + (interrupted(SOME_INTERRUPTS) if os.name == "posix" else "")
    run = run_python("-c", code, env={"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])})
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


@pytest.fixture
def two_devices(fresh_process: list[str]) -> dict[str, dict[str, float]]:
    """Largest differences between one device and two."""
    results: dict[str, dict[str, float]] = json.loads(fresh_process[0])
    return results


# Two devices add up the same numbers in another order. A single-precision sum of a few dozen terms of order one is off
# by a few 1e-7 at most; a dozen small steps do not make 1e-5 of it. A wrong share of an example shows at 1e-4 and more.
ANOTHER_ORDER_OF_SUMMING = 1e-5


@pytest.mark.slow
def test_two_devices_give_the_weights_and_the_history_of_one(two_devices: dict[str, dict[str, float]]) -> None:
    found = two_devices["odd batches, the last of one, adam, a penalty"]
    assert found["weights"] < ANOTHER_ORDER_OF_SUMMING
    assert found["history"] < ANOTHER_ORDER_OF_SUMMING
    assert found["rows"]


@pytest.mark.slow
def test_batchnorm_that_trains_sees_parts_on_two_devices(two_devices: dict[str, dict[str, float]]) -> None:
    # Each device normalises by the statistics of its own part: documented, and why BatchNorm keeps still in the others.
    assert two_devices["BatchNorm"]["weights"] > 10 * ANOTHER_ORDER_OF_SUMMING


# Bad arguments

GOOD = {"epochs": 1, "learning_rate": 0.1, "progress": False}


@pytest.mark.parametrize("name", ["epochs", "batch_size"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True, "3", None])
def test_counts_out_of_range(split: Split, no_training, name: str, value: object) -> None:
    with raises_one_line(ValueError, f"{name} must be an integer of 1 or more", f"got {value!r}"):
        fit(classifier(), split, **{**GOOD, name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("learning_rate", [0, -1.0, float("inf"), float("nan")])
def test_learning_rate_out_of_range(split: Split, no_training, learning_rate: float) -> None:
    with raises_one_line(ValueError, "learning_rate must be above 0", f"got {learning_rate}"):
        fit(classifier(), split, epochs=1, learning_rate=learning_rate)


@pytest.mark.parametrize("learning_rate", [None, "0.1", True])
def test_a_learning_rate_that_is_no_number(split: Split, no_training, learning_rate: object) -> None:
    with raises_one_line(ValueError, "learning_rate must be above 0 (a finite number)", f"got {learning_rate!r}"):
        fit(classifier(), split, epochs=1, learning_rate=learning_rate)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "fragments"),
    [
        ({"seed": -1}, ("seed must be an integer of 0 or more", "got -1")),
        ({"seed": None}, ("seed must be an integer of 0 or more", "got None")),
        ({"callbacks": [3]}, ("callbacks must be Keras callbacks", "got int")),
        ({"callbacks": keras.callbacks.Callback()}, ("callbacks must be a list", "got Callback")),
        ({"stop": True}, ("stop must be None or a threading.Event", "got bool")),
        ({"validation": 3}, ("validation must be a Split", "got int")),
    ],
)
def test_options_of_another_kind_move_no_weight(
    split: Split, options: dict[str, object], fragments: tuple[str, ...]
) -> None:
    model = classifier()
    before = model.get_weights()
    with raises_one_line(ValueError, *fragments):
        fit(model, split, **{**GOOD, **options})  # type: ignore[arg-type]
    assert same_weights(before, model)


def test_what_is_trained_and_on_what(split: Split, no_training) -> None:
    with raises_one_line(ValueError, "train must be a Split", "got tuple", "Split(x, y)"):
        fit(classifier(), (split.x, split.y), **GOOD)  # type: ignore[arg-type]
    with raises_one_line(ValueError, "model must be a Keras model", "got Backbone", ".model"):
        fit(toy_backbone(), split, **GOOD)  # type: ignore[arg-type]
    with raises_one_line(ValueError, "model must be built", "got 'later'"):
        fit(keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3)], name="later"), split, **GOOD)


def test_two_trainings_do_not_move_the_same_weights_at_once(split: Split) -> None:
    model, said = classifier(), []

    def train_again() -> None:
        for other in (model, keras.Model(model.inputs[0], model.outputs[0])):  # the second one shares all weights
            with raises_one_line(RuntimeError, "one training at a time", other.name):
                fit(other, split, **GOOD)
        said.append(len(fit(classifier(), split, **GOOD)))  # weights of its own

    fit(model, split, **GOOD, callbacks=[AtBatch(1, train_again)])
    assert said == [1]
    assert len(fit(model, split, **GOOD)) == 1  # the weights are free again


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_says_that_tensorflow_does_not_survive_it(split: Split) -> None:
    model = classifier()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            fit(model, split, **GOOD)
            words = "trained"
        except BaseException as error:
            words = f"{type(error).__name__}: {error}"
        os.write(writing, words.encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as pipe:
        (line,) = pipe.read().splitlines()
    assert line.startswith("RuntimeError: TensorFlow must run in the process that started it")
    assert "spawn" in line


def test_unknown_optimizer(split: Split, no_training) -> None:
    with raises_one_line(ValueError, "'adam', 'adamw', 'sgd'", "got 'adan'", "Did you mean 'adam'?"):
        fit(classifier(), split, **GOOD, optimizer="adan")


@pytest.mark.parametrize("strategy", ["miror", 2, ["GPU:0"]])
def test_unknown_strategy(split: Split, no_training, strategy: object) -> None:
    with raises_one_line(ValueError, "strategy must be None, 'mirrored' or a tf.distribute.MirroredStrategy", "got "):
        fit(classifier(), split, **GOOD, strategy=strategy)  # type: ignore[arg-type]


def test_strategies_that_were_never_tried_are_refused(split: Split, no_training) -> None:
    with raises_one_line(ValueError, "strategy must be", "got OneDeviceStrategy"):
        fit(classifier(), split, **GOOD, strategy=tf.distribute.OneDeviceStrategy("CPU:0"))


def test_half_precision_on_several_devices_is_refused(split: Split, no_training) -> None:
    layers = [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3, dtype="mixed_float16", name="half")]
    with raises_one_line(ValueError, "float32 or mixed_bfloat16", "issue 20763", "'half' in float16"):
        fit(keras.Sequential(layers), split, **GOOD, strategy=mirrored_on_one())


def test_a_model_that_cannot_be_cloned_is_refused(split: Split) -> None:
    class Applied(keras.layers.Layer):  # a function is nothing that a configuration can hold
        def __init__(self, function) -> None:
            super().__init__()
            self.function = function

        def call(self, x):
            return self.function(x)

    layers = [keras.Input((8, 8, 1)), Applied(lambda x: x / 255.0), keras.layers.Flatten()]
    model = keras.Sequential([*layers, keras.layers.Dense(3)], name="with_function")
    with raises_one_line(ValueError, "strategy needs a model that Keras can clone", "'with_function'"):
        fit(model, split, **GOOD, strategy=mirrored_on_one())
    assert not model.compiled


def test_nothing_to_train(toy: Backbone, split: Split, no_training) -> None:
    head = build_head(toy, 3)
    head.trainable = False
    freeze_to(toy, 2)
    with raises_one_line(ValueError, "a weight to train", "toy_head", "all are frozen"):
        fit(join(toy.model, head), split, **GOOD)


def test_labels_without_a_logit(no_training) -> None:
    with raises_one_line(ValueError, "labels must be in 0..2", "3 logits", "got 4"):
        fit(classifier(), random_split(10, classes=5), **GOOD)
    with raises_one_line(ValueError, "labels must be in 0..2", "got 3"):
        fit(classifier(), random_split(9), **GOOD, validation=random_split(8, classes=4))


def test_examples_of_another_shape(split: Split, no_training) -> None:
    other = random_split(6, shape=(9, 8, 1))
    with raises_one_line(ValueError, "(8, 8, 1)", "got (9, 8, 1)"):
        fit(classifier(), other, **GOOD)
    with raises_one_line(ValueError, "(8, 8, 1)", "got (9, 8, 1)"):
        fit(classifier(), split, **GOOD, validation=other)


def test_a_refused_fit_changes_nothing(split: Split) -> None:
    backbone = toy_backbone()
    model = join(backbone.model, build_head(backbone, 3))
    before = model.get_weights()
    with raises_one_line(ValueError, "epochs"):
        fit(model, split, epochs=0, learning_rate=0.1)
    assert same_weights(before, model)
    assert not model.compiled


# Real signals

INTERRUPTED = """
import os, random, signal, threading
import numpy as np, keras
from tlkit import Split, fit

rng, random = np.random.default_rng(0), random.Random(SEED)
x, y = rng.normal(size=(24, 4)).astype("float32"), rng.integers(3, size=24)
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8), keras.layers.Dropout(0.2), keras.layers.Dense(3)])
split = Split(x, y)
fit(model, split, epochs=1, learning_rate=0.01, progress=False)  # TensorFlow loads what it loads once
lost = 0
for _ in range(TIMES):
    timer = threading.Timer(random.uniform(0, 0.4), os.kill, (os.getpid(), signal.SIGINT))
    try:
        timer.start()
        history = fit(
            model, split, epochs=100_000, learning_rate=1e-3, batch_size=4, validation=split, progress=False
        )
        lost += not history.attrs["stopped"]
    except KeyboardInterrupt:  # it came before the training began
        pass
    timer.join()
print(lost, np.isfinite(model.get_weights()[0]).all())
"""


def interrupted(times: int) -> str:
    """A program that prints how many of so many real interrupts were lost, and whether the weights are sound."""
    return INTERRUPTED.replace("SEED", str(times)).replace("TIMES", str(times))


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="sends a signal as a terminal does")
def test_no_interrupt_is_lost_at_whatever_moment_it_comes(fresh_process: list[str]) -> None:
    """In Keras some are, swallowed in a ``__del__``; here each of them ends its training, and nothing else happens."""
    assert fresh_process[1:] == ["0 True"]


@pytest.mark.slow
@pytest.mark.bank
@pytest.mark.skipif(os.name != "posix", reason="sends a signal as a terminal does")
def test_no_interrupt_of_many_is_lost() -> None:
    run = run_python("-c", interrupted(MANY_INTERRUPTS), timeout=1800)
    assert (run.returncode, run.stdout) == (0, "0 True\n"), run.stderr[-2000:]
