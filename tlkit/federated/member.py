"""What a client and the server hold: a network, and which of its weights travel."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlkit._keras import keras, tf
from tlkit._keras.graph import all_layers
from tlkit._keras.tracing import graph_of
from tlkit._steps import descend
from tlkit.backbones import Backbone, load_backbone
from tlkit.domains import Array, Split, check_count, check_not_negative, check_rate, check_seed
from tlkit.efficient import add_lora
from tlkit.features import cache_features, pool_features
from tlkit.freezing import OneAtATime, freeze_to, is_batchnorm
from tlkit.heads import build_head, join
from tlkit.training import OPTIMIZERS
from tlkit.words import nearest_name

__all__ = ["SHARES", "Member", "Plan", "average", "payload_bytes", "refusal"]

SHARES = ("head", "adapters", "all")
BATCHNORMS = ("held", "shared", "local")

Arrays = dict[str, Array]  # weights on their way, by their place in the network

MOST_EXAMPLES = 1_000_000  # a client that says that it has more would drown the others


@dataclass(frozen=True)
class Plan:
    """What all clients agree on.

    Args:
        share: What learns and travels: ``"head"``, on the frozen backbone; ``"adapters"``, the head and a low-rank way
            around each layer (:func:`tlkit.add_lora`); ``"all"`` weights.
        backbone: A name of :func:`tlkit.load_backbone`.
        pretrained: Start from its pretrained weights; otherwise from random ones, drawn by ``seed``.
        batchnorm: With ``share="all"``: ``"held"``, as it was pretrained; ``"shared"``, it learns and its mean
            travels; ``"local"``, it learns and stays with each client (FedBN; Li et al., 2021, arXiv:2102.07623).
        epochs: Passes of a client over its examples in each round, 1 or more.
        learning_rate: Of the clients, above 0.
        optimizer: ``"adam"``, ``"adamw"`` or ``"sgd"``, begun anew in each round.
        batch_size: 1 or more.
        mu: Weight of FedProx' term ``mu / 2 * |w - w_received|^2`` (Li et al., 2020, arXiv:1812.06127); 0 is FedAvg.
        rank: Of the adapters.
        seed: Draws the head's start, random weights, and the order of batches.

    Raises:
        ValueError: An argument is out of range, or BatchNorm can learn nothing in what is shared.
    """

    share: str = "head"
    backbone: str = "resnet_printed"
    pretrained: bool = True
    batchnorm: str = "held"
    epochs: int = 1
    learning_rate: float = 1e-3
    optimizer: str = "adam"
    batch_size: int = 32
    mu: float = 0.0
    rank: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        for name, allowed in (("share", SHARES), ("batchnorm", BATCHNORMS), ("optimizer", OPTIMIZERS)):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be {nearest_name(getattr(self, name), allowed)}")
        for name in ("epochs", "batch_size", "rank"):
            check_count(name, getattr(self, name))
        check_seed(self.seed)
        check_rate("learning_rate", self.learning_rate)
        check_not_negative("mu", self.mu)
        if self.batchnorm != "held" and self.share != "all":
            raise ValueError(f"batchnorm must be 'held' unless all weights are shared, got {self.batchnorm!r}.")
        if self.share == "all" and not self.pretrained and self.batchnorm == "held":
            raise ValueError("batchnorm must be 'shared' or 'local' without pretrained weights, got 'held'.")


class Member:
    """The network of a plan, in one process: one for the server and each client, or one in whose turn all of them are.

    Args:
        plan: What all agree on.
        n_classes: 2 or more.
        backbone: One of your own, with the weights to start from, in place of the plan's; its weights will move.

    Attributes:
        model: From what :meth:`prepare` gives to logits.
        backbone: What the head reads; frozen where the head learns alone.
        head: The last part of the model, from the backbone's feature map on.

    Raises:
        ValueError: As from :func:`tlkit.load_backbone` and :func:`tlkit.build_head`.
    """

    def __init__(self, plan: Plan, n_classes: int, backbone: Backbone | None = None) -> None:
        self.plan = plan
        if backbone is None:
            if plan.pretrained:
                backbone = load_backbone(plan.backbone)
            else:
                backbone = load_backbone(plan.backbone, weights=None, seed=plan.seed)
        if plan.share == "adapters":
            backbone = add_lora(backbone, rank=plan.rank, seed=plan.seed)
        frozen = backbone.n_stages if plan.share == "head" else 0
        freeze_to(backbone, frozen, train_batchnorm=plan.batchnorm != "held")
        self.head = build_head(backbone, n_classes, seed=plan.seed)
        self.backbone, self._trunk = backbone, backbone.model
        self.model = join(backbone.model, self.head)
        if plan.share == "head":  # it reads the mean over the map, which is kept in place of the map
            logits = self.head.get_layer("logits")
            self.model = keras.Sequential([keras.Input(logits.input.shape[1:]), logits], name="head_alone")
        learning = {id(weight) for weight in self.model.trainable_weights}
        moving = [layer for layer in all_layers(self.model) if is_batchnorm(layer) and layer.trainable]
        own = {id(weight) for layer in moving for weight in layer.weights}
        stay = own if plan.batchnorm == "local" else set()
        travel = [w for w in self.model.weights if id(w) in learning | own and id(w) not in stay]
        self._shared = {f"{place:03d}": weight for place, weight in enumerate(travel)}
        self._own = {f"{i:03d}": weight for i, weight in enumerate(w for w in self.model.weights if id(w) in stay)}
        self._anchors = [tf.Variable(weight.numpy(), trainable=False) for weight in self.model.trainable_weights]
        settings = {"class_name": plan.optimizer, "config": {"learning_rate": float(plan.learning_rate)}}
        self._optimizer = keras.optimizers.get(settings)
        self._optimizer.build(self.model.trainable_weights)
        self._begin = [variable.numpy() for variable in self._optimizer.variables]
        x, y = tf.TensorSpec((None, *self.model.input_shape[1:]), "float32"), tf.TensorSpec((None,), "int64")
        self._step = graph_of(self._one_step, [x, y])
        self._answer = graph_of(lambda x: tf.argmax(self.model(x, training=False), axis=1), [x])

    def _one_step(self, x: Any, y: Any) -> None:
        """Down the batch's cross-entropy, with FedProx' term if there is one."""

        def loss_of() -> Any:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(y, self.model(x, training=True))
            loss = tf.reduce_mean(losses)
            if self.plan.mu:
                pairs = zip(self.model.trainable_weights, self._anchors, strict=True)
                loss += self.plan.mu / 2 * tf.add_n([tf.reduce_sum(tf.square(w.value - before)) for w, before in pairs])
            return loss

        descend(loss_of, [(self._optimizer, self.model.trainable_weights)])

    def prepare(self, split: Split) -> Split:
        """What the head reads, ``(n, c)``, where it learns alone: the frozen part runs once; else the images."""
        if self.plan.share != "head":
            return split
        return Split(pool_features(cache_features(self._trunk, split)), split.y)

    def shared(self) -> Arrays:
        """Copies of the weights that travel, by their place in the network."""
        return {name: np.array(weight.numpy()) for name, weight in self._shared.items()}

    def own(self) -> Arrays:
        """Copies of the weights that stay with a client: BatchNorm's, where it is local; else nothing."""
        return {name: np.array(weight.numpy()) for name, weight in self._own.items()}

    def receive(self, arrays: Mapping[str, Array], own: Mapping[str, Array] | None = None) -> None:
        """Take over weights that travelled, and those of a client's own.

        Raises:
            ValueError: They are not those of this network.
        """
        for name, weights, given in (("shared", self._shared, arrays), ("own", self._own, own or {})):
            if name == "own" and not given:
                continue
            if problem := _unlike({key: w.numpy() for key, w in weights.items()}, given):
                raise ValueError(f"weights must be those of the plan: {problem}")
            for key, weight in weights.items():
                weight.assign(given[key])

    def train(
        self,
        arrays: Mapping[str, Array],
        split: Split,
        *,
        client: int,
        round_number: int,
        own: Mapping[str, Array] | None = None,
        epochs: int | None = None,
        learning_rate: float | None = None,
    ) -> Arrays:
        """One client's part of a round: from the received weights, ``plan.epochs`` passes over its examples.

        Args:
            arrays: The weights that arrived.
            split: Examples as :meth:`prepare` gives them.
            client: 0 or more; it and the round draw the order of the batches.
            round_number: 1 or more.
            own: What :meth:`own` gave after the client's last round; ``None`` goes on with what is there.
            epochs: In place of the plan's, and so ``learning_rate``.

        Returns:
            The weights to send. :meth:`own` has those to keep.

        Raises:
            FloatingPointError: A weight became NaN or infinite: the learning rate was too large.
        """
        self.receive(arrays, own)
        for anchor, weight in zip(self._anchors, self.model.trainable_weights, strict=True):
            anchor.assign(weight.value)
        for variable, value in zip(self._optimizer.variables, self._begin, strict=True):
            variable.assign(value)
        rate = self.plan.learning_rate if learning_rate is None else learning_rate
        self._optimizer.learning_rate = rate
        rng = np.random.default_rng([self.plan.seed, client, round_number])
        x, y = tf.constant(split.x.astype(np.float32, copy=False)), tf.constant(split.y)
        with OneAtATime(self.model.name, self.model.trainable_weights):
            for _ in range(self.plan.epochs if epochs is None else epochs):
                order = rng.permutation(len(split))
                for start in range(0, len(split), self.plan.batch_size):
                    batch = order[start : start + self.plan.batch_size]
                    self._step(tf.gather(x, batch), tf.gather(y, batch))
        trained = self.shared()
        if not all(np.isfinite(array).all() for array in trained.values()):
            raise FloatingPointError(
                f"weights must be finite, got NaN or inf at client {client} in round {round_number}: learning_rate, "
                f"{rate:g}, is too large."
            )
        return trained

    def accuracy(self, split: Split) -> float:
        """The share of right answers, 0..1, on examples as :meth:`prepare` gives them."""
        right = 0
        for start in range(0, len(split), 250):
            part = split[start : start + 250]
            right += int(np.sum(self._answer(tf.constant(part.x.astype(np.float32, copy=False))).numpy() == part.y))
        return right / len(split)


def average(updates: Sequence[tuple[Mapping[str, Array], int]]) -> Arrays:
    """The mean of weights, each client's counting by its number of examples (McMahan et al., 2017, algorithm 1).

    The arithmetic, and its order, are those of Flower's FedAvg: the result is the same, bit for bit.

    Args:
        updates: Of each client its weights and its number of examples, 1 or more.

    Raises:
        ValueError: There is no update, or two do not have the same arrays.
    """
    if not updates:
        raise ValueError("updates must be of one client or more, got none.")
    for arrays, examples in updates:
        check_count("examples", examples)
        if problem := _unlike(updates[0][0], arrays):
            raise ValueError(f"updates must have the same arrays: {problem}")
    total = sum(examples for _, examples in updates)
    mean = {name: array * (updates[0][1] / total) for name, array in updates[0][0].items()}
    for arrays, examples in updates[1:]:
        for name, array in arrays.items():
            mean[name] = mean[name] + array * (examples / total)
    return mean


def payload_bytes(arrays: Mapping[str, Array]) -> int:
    """Bytes of the numbers alone, four for each weight in single precision."""
    return sum(array.nbytes for array in arrays.values())


def refusal(sent: Mapping[str, Array], got: Mapping[str, Array], examples: object, max_norm: float) -> str:
    """Why the server must not take an update into the mean, as one line; empty for one that it may.

    Args:
        sent: The weights that the client was sent.
        got: What came back.
        examples: How many examples it says that it has.
        max_norm: The largest Euclidean norm, over all weights, of ``got - sent``.
    """
    if isinstance(examples, bool) or not isinstance(examples, int) or not 1 <= examples <= MOST_EXAMPLES:
        return f"the number of examples must be 1 to {MOST_EXAMPLES:,}, got {examples!r:.40}."
    if problem := _unlike(sent, got):
        return f"it must have the arrays that were sent: {problem}"
    bad = sum(int((~np.isfinite(array)).sum()) for array in got.values())
    if bad:
        return f"its weights must be finite, got NaN or inf in {bad:,} of them."
    squares = [float(np.sum(np.square(got[key].astype(np.float64) - sent[key]))) for key in sent]
    norm = math.sqrt(sum(squares))
    return "" if norm <= max_norm else f"the norm of its change must be at most {max_norm:g}, got {norm:.3g}."


def _unlike(wanted: Mapping[str, Array], got: Mapping[str, Array]) -> str:
    """How arrays differ in number, shape or kind from those that were wanted; empty if they do not."""
    if set(wanted) != set(got):
        return f"{len(wanted)} arrays by their names, got {len(got)}."
    for name, array in wanted.items():
        other = got[name]
        if (array.shape, array.dtype) != (other.shape, other.dtype):
            return f"array {name} is {array.shape} {array.dtype}, got {other.shape} {other.dtype}."
    return ""
