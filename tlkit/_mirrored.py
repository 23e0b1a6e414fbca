"""Training on several devices: a clone of the model on each, one step for the whole batch.

:func:`tlkit.training.fit` uses it when given a ``strategy``, and says what is equal to one device and what is not.
"""

from __future__ import annotations

from typing import Any

from tlkit._keras import keras, tf
from tlkit._keras.graph import all_layers
from tlkit.domains import Split
from tlkit.features import batches

__all__ = ["VALIDATION_BATCH", "Mirrored", "mirrored_strategy"]

VALIDATION_BATCH = 256


def mirrored_strategy(strategy: str | tf.distribute.MirroredStrategy) -> tf.distribute.MirroredStrategy:
    """The strategy for an argument of :func:`tlkit.training.fit`.

    Raises:
        ValueError: It is neither ``"mirrored"`` nor a mirrored strategy.
    """
    if isinstance(strategy, tf.distribute.MirroredStrategy):
        return strategy
    if strategy != "mirrored":
        given = repr(strategy) if isinstance(strategy, str) else type(strategy).__name__
        raise ValueError(f"strategy must be None, 'mirrored' or a tf.distribute.MirroredStrategy, got {given}.")
    return tf.distribute.MirroredStrategy([d.name for d in tf.config.list_logical_devices("GPU")] or ["CPU:0"])


class Mirrored:
    """A clone of a model, mirrored on several devices, and the loop that trains it.

    Keras' own loop is no choice: it weighs the devices' parts of a batch alike, whatever their sizes (of 5 examples on
    two devices, each of the smaller part counts half as much again), and before it begins it adds up the parts of the
    first batch, which fails when they differ in size (Keras 3.15). This is the loop that TensorFlow recommends instead:
    https://www.tensorflow.org/tutorials/distribute/custom_training.
    """

    def __init__(self, model: keras.Model, strategy: tf.distribute.MirroredStrategy) -> None:
        self._strategy, self._parts = strategy, strategy.num_replicas_in_sync
        _check_mirrored(model)
        try:
            with strategy.scope():
                self.clone = keras.models.clone_model(model)
        except (NotImplementedError, TypeError, ValueError) as error:
            reason = next(iter(str(error).splitlines()), "")[:120]
            raise ValueError(f"strategy needs a model that Keras can clone, got {model.name!r}: {reason}") from error
        for original, copied in zip(_layers(model), _layers(self.clone), strict=True):
            copied.trainable = original.trainable
        self._pairs = list(zip(_state(model), _state(self.clone), strict=True))
        for original, copied in self._pairs:
            copied.assign(original.numpy())
            copied.regularizer = original.regularizer  # may have been set on the weight, where no clone looks
        with strategy.scope():
            self._loss = keras.metrics.Mean(name="loss")
            self._accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")

    def copy_back(self) -> None:
        """Give the original the clone's weights."""
        for original, copied in self._pairs:
            original.assign(copied.numpy())

    def fit(
        self,
        train: Split,
        validation: Split | None,
        epochs: int,
        batch_size: int,
        seed: int,
        step_size: dict[str, Any],
        callbacks: list[keras.callbacks.Callback],
    ) -> None:
        """What ``model.fit`` does with these arguments, epoch by epoch and callback by callback."""
        with self._strategy.scope():
            optimizer = keras.optimizers.get(step_size)
            optimizer.build(self.clone.trainable_variables)
            self.clone.compile(optimizer=optimizer)  # for callbacks that look at it
        calls = keras.callbacks.CallbackList(callbacks, model=self.clone, epochs=epochs)
        step, score = tf.function(self._train_step), tf.function(self._score_step)
        dealt = self._deal(train, batch_size, seed)
        held_out = None if validation is None else (self._deal(validation, VALIDATION_BATCH, None), len(validation))
        self.clone.stop_training = False
        logs: dict[str, float] = {}
        calls.on_train_begin()
        for epoch in range(epochs):
            calls.on_epoch_begin(epoch)
            self._reset()
            parts = iter(dealt)
            for batch in range(-(-len(train) // batch_size)):
                calls.on_train_batch_begin(batch)
                step(parts)
                logs = self._logs()
                calls.on_train_batch_end(batch, logs)
            if held_out is not None:
                calls.on_test_begin()
                self._reset()
                parts = iter(held_out[0])
                for batch in range(-(-held_out[1] // VALIDATION_BATCH)):
                    calls.on_test_batch_begin(batch)
                    score(parts)
                    calls.on_test_batch_end(batch, self._logs())
                scores = self._logs()
                calls.on_test_end(scores)
                logs = logs | {f"val_{name}": value for name, value in scores.items()}
            calls.on_epoch_end(epoch, logs)
            if self.clone.stop_training:
                break
        calls.on_train_end(logs)

    def _deal(self, split: Split, batch_size: int, seed: int | None) -> Any:
        """The batches of :func:`tlkit.features.batches`, in the same order, each in parts, one for each device."""
        parts = self._parts

        def in_parts(x: Any, y: Any) -> tf.data.Dataset:
            size = tf.shape(y, out_type=tf.int64)[0]

            def part(i: Any) -> tuple[Any, Any, Any, Any]:
                start, end = size * i // parts, size * (i + 1) // parts
                counts = tf.cast(end > start, "float32")  # not every operation takes an empty part: one example for all
                x_part, y_part = (tensor[start : tf.maximum(end, start + 1)] for tensor in (x, y))
                return x_part, y_part, tf.fill(tf.shape(y_part), counts), 1 / tf.cast(size, "float32")

            return tf.data.Dataset.range(parts).map(part)

        def dataset(_: tf.distribute.InputContext) -> tf.data.Dataset:
            return batches(split, batch_size, shuffle_seed=seed).flat_map(in_parts).prefetch(2 * parts)

        return self._strategy.distribute_datasets_from_function(dataset)

    def _train_step(self, parts: Any) -> None:
        self._strategy.run(self._train_on_part, args=(next(parts),))

    def _score_step(self, parts: Any) -> None:
        self._strategy.run(self._score_part, args=(next(parts),), kwargs={"training": False})

    def _train_on_part(self, part: tuple[Any, Any, Any, Any]) -> None:
        with tf.GradientTape() as tape:
            losses, penalty = self._score_part(part, training=True)
            # The optimizer adds the devices' gradients up: to that of the mean over the whole batch.
            loss = tf.reduce_sum(losses) * part[3] + penalty / self._parts
        weights = self.clone.trainable_weights
        self.clone.optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))

    def _score_part(self, part: tuple[Any, Any, Any, Any], *, training: bool) -> tuple[Any, Any]:
        """The cross-entropy of each example that counts, and what regularizers add to the mean; metrics get both."""
        x, y, counts, _ = part
        logits = tf.cast(self.clone(x, training=training), "float32")
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits)
        penalty = tf.add_n([tf.zeros(()), *(tf.cast(loss, "float32") for loss in self.clone.losses)])
        self._loss.update_state(losses + penalty, sample_weight=counts)
        self._accuracy.update_state(y, logits, sample_weight=counts)
        return losses * counts, penalty

    def _reset(self) -> None:
        self._loss.reset_state()
        self._accuracy.reset_state()

    def _logs(self) -> dict[str, float]:
        return {metric.name: float(metric.result()) for metric in (self._loss, self._accuracy)}


def _check_mirrored(model: keras.Model) -> None:
    half = [layer.name for layer in _layers(model) if layer.compute_dtype == "float16"]
    if half:
        # It needs a scaled loss, which Keras does inside a condition, where TensorFlow lets devices exchange nothing.
        raise ValueError(
            "strategy trains in float32 or mixed_bfloat16 (mixed_float16 is keras issue 20763), "
            f"got {half[0]!r} in float16."
        )


def _layers(model: keras.Model) -> list[keras.layers.Layer]:
    """All layers, those of nested models too, outer ones first."""
    return all_layers(model)


def _state(model: keras.Model) -> list[keras.Variable]:
    """Weights, and the states of the random generators of dropout and augmentation."""
    seeds = [variable for variable in model.variables if variable.name == "seed_generator_state"]
    return [*model.weights, *seeds]
