"""Measure on the photographs of clothes what notebook 10 has no time for: ten draws of 100 labels, then all labels.

    python tools/clothes_tables.py                          # all tables, into tlkit/tables
    python tools/clothes_tables.py --part few               # 100 labels alone; or: all
    python tools/clothes_tables.py --out FOLDER             # elsewhere
    python tools/clothes_tables.py --anew                   # ways whose rows are there, too

The photographs must have been fetched (`tlkit fetch clothes`). Each table begins with comment lines: what it is, the
recipe, the command and the date. Rows are written as they come: a run that was stopped goes on where it was. A part of
each table is measured again by tests/test_clothes_tables.py.

Each way to train has a few settings (a penalty or a rate). The validation part chooses among them, by the mean of
two draws where there are draws. The test part is read once, by the model with the chosen setting. So every way is
tuned with the same care, and no choice has seen a test photograph.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from sklearn.linear_model import LogisticRegression
from table_rows import best_setting, store
from text_tables import reset_optimizer
from threadpoolctl import threadpool_limits

import tlkit
from tlkit._keras import keras
from tlkit.backbones import Backbone
from tlkit.domains import Array, Domain, Split
from tlkit.features import batches, pool_features
from tlkit.tables import FOLDER, read_table

SIDE, LARGE, SMALL, PIXELS = 160, 224, 128, 24  # pixels
N_CLASSES, PER_CLASS, DRAWS, CHOOSING = 10, 10, 10, 2
STAGE = 6  # stages 1 to 6 of 7 stay frozen in fine-tuning; the last one has 30 of 100 weights
EPOCHS, BATCH, VIEWS = 8, 16, 4  # of fine-tuning; with views each is seen in two epochs
ARTICLE_EPOCHS, ARTICLE_RATE, ARTICLE_WIDTH, ARTICLE_BATCH = 10, 1e-3, 1024, 32  # Adam's and fit's defaults
DECAY = 2.6  # Howard & Ruder's: a part learns so many times more slowly than the one behind it

PENALTIES = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # C of the logistic regression, on features of deviation 1
HEAD_RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
TAIL_RATES = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3)
PART_RATES = (
    3e-5,
    1e-4,
    3e-4,
    1e-3,
    3e-3,
)  # the head's; the last convolution has 1 / 2.6 of it, the block before it 1 / 2.6²


class Part(StrEnum):
    """What to measure."""

    FEW, EVERY, ALL = "few", "all", "both"


# What is computed once


@functools.cache
def clothes(side: int) -> Domain:
    return tlkit.load_clothes(image_size=side, max_bytes=1)  # kept on disk: a second run need not decode them again


@functools.cache
def network(side: int, weights: str | None = "pretrained") -> Backbone:
    return tlkit.load_backbone("efficientnet_lite0", image_size=side, weights=weights)


def unprepared(backbone: Backbone) -> keras.Model:
    """The network behind the layer that prepares the pixels: it takes them as they come, as the article's does."""
    return keras.Model(backbone.model.get_layer("rescale").output, backbone.model.output, name="unprepared")


def parts(side: int) -> dict[str, Split]:
    domain = clothes(side)
    assert domain.validation is not None
    return {"train": domain.train, "validation": domain.validation, "test": domain.test}


def only_drawn(split: Split, part: str, run: Callable[[Split], Array]) -> Split:
    """What ``run`` makes of a part, ``(n, d)``; of the training part, of what some draw labels. The rest overflows."""
    if part != "train":
        return Split(run(split), split.y)
    wanted = np.unique(np.concatenate([drawn(draw) for draw in range(DRAWS)]))
    found = run(split[wanted])
    x = np.full((len(split), found.shape[1]), np.finfo(np.float32).max, np.float32)
    x[wanted] = found
    return Split(x, split.y)


@functools.cache
def features(kind: str, side: int, part: str) -> Split:
    """Vectors ``(n, d)`` of a part, of raw pixels or of one of three networks."""
    split = parts(side)[part]
    if kind == "raw pixels":
        small = keras.ops.image.resize(np.float32(split.x), (PIXELS, PIXELS), antialias=True)
        return Split(np.asarray(small).reshape(len(split), -1), split.y)
    backbone = network(side, None if kind == "random network" else "pretrained")
    if kind == "ImageNet" and side != SMALL:
        return vectors(tlkit.split_at(backbone, STAGE)[1], at_boundary(side, part))
    model = unprepared(backbone) if kind == "unprepared" else backbone.model
    return only_drawn(split, part, lambda some: pool_features(tlkit.cache_features(model, some)))


@functools.cache
def at_boundary(side: int, part: str) -> Split:
    """The features of a whole part at the end of stage ``STAGE``."""
    return tlkit.cache_features(tlkit.split_at(network(side), STAGE)[0], parts(side)[part])


def vectors(tail: keras.Model, split: Split) -> Split:
    """What the tail makes of features at the boundary, averaged over positions ``(n, d)``."""
    found = [tail.predict_on_batch(split.x[i : i + 128]).mean(axis=(1, 2)) for i in range(0, len(split), 128)]
    return Split(np.concatenate(found), split.y)


def drawn(draw: int) -> Array:
    """Which training photographs a draw labels, ``(100,)``: those of ``Split.take``."""
    train = clothes(SIDE).train
    numbered = Split(np.arange(len(train), dtype=np.float32)[:, None], train.y)
    return numbered.take(PER_CLASS, seed=draw).x[:, 0].astype(int)


def augmentation(seed: int) -> keras.Sequential:
    """Half of the photographs swapped left and right; shifts of a tenth, zooms of 15 %."""
    first, second, third = np.random.SeedSequence(seed).generate_state(3).tolist()
    layers = keras.layers
    shift, zoom = layers.RandomTranslation(0.1, 0.1, seed=second), layers.RandomZoom(0.15, seed=third)
    return keras.Sequential([layers.RandomFlip("horizontal", seed=first), shift, zoom])


# Ways to train. Each takes labelled examples and a setting, and returns a model of vectors or of features.

Answers = Callable[[str], Array]  # the classes that a trained model says for a part


def logistic(train: Split, penalty: float) -> list[Array]:
    """Kernel and bias of a logistic regression, for features as they come; scaled as in tlkit.probe."""
    centre = train.x.mean(axis=0)
    scale = float(np.sqrt(np.mean((train.x - centre) ** 2))) or 1.0
    with threadpool_limits(1):
        found = LogisticRegression(C=penalty, max_iter=2000).fit((train.x - centre) / scale, train.y)
    kernel = found.coef_.T / scale
    return [kernel, found.intercept_ - centre @ kernel]


@dataclass(frozen=True)
class Probe:
    """A logistic regression on vectors."""

    kind: str
    side: int = SIDE
    settings: tuple[float, ...] = PENALTIES
    views: int = 1

    def train(self, chosen: Array, setting: float, seed: int) -> Answers:
        few = features(self.kind, self.side, "train")[chosen]
        if self.views > 1:
            pictures = clothes(self.side).train[chosen]
            seen = tlkit.cache_features(
                network(self.side).model, pictures, views=self.views, augment=augmentation(seed), seed=seed
            )
            few = Split(pool_features(seen), seen.y)
        kernel, bias = logistic(few, setting)
        return lambda part: np.asarray((features(self.kind, self.side, part).x @ kernel + bias).argmax(axis=1))


@dataclass(frozen=True)
class Head:
    """A head on vectors, trained by Adam with the article's epochs and batches; the setting is the rate."""

    kind: str
    hidden: tuple[int, ...]
    settings: tuple[float, ...] = HEAD_RATES
    side: int = SIDE

    def train(self, chosen: Array, setting: float, seed: int) -> Answers:
        few = features(self.kind, self.side, "train")[chosen]
        head = compiled_head(self.hidden, few.x.shape[1])
        keras.utils.set_random_seed(seed)
        head.set_weights(new_head(self.hidden, few.x.shape[1]).get_weights())
        reset_optimizer(head)
        head.optimizer.learning_rate = setting
        head.fit(batches(few, ARTICLE_BATCH, shuffle_seed=seed), epochs=ARTICLE_EPOCHS, shuffle=False, verbose=0)
        return lambda part: tlkit.predict_classes(head, features(self.kind, self.side, part))


def new_head(hidden: tuple[int, ...], width: int) -> keras.Model:
    """Hidden layers and one logit per class, on vectors; from Keras' own random numbers."""
    inner = [keras.layers.Dense(units, activation="relu") for units in hidden]
    return keras.Sequential([keras.Input((width,)), *inner, keras.layers.Dense(N_CLASSES)])


@functools.cache
def compiled_head(hidden: tuple[int, ...], width: int) -> keras.Model:
    head = new_head(hidden, width)
    head.compile(optimizer=keras.optimizers.Adam(), loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return head


class RatePerPart(keras.optimizers.Adam):  # type: ignore[misc]  # Keras ships no types
    """Adam with a rate for each part (Howard & Ruder, 2018, arXiv:1801.06146); notebook 05 explains it."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        name = getattr(variable, "path", variable.name)
        behind = 2 if name.startswith("block7") else 1 if name.startswith("top") else 0
        super().update_step(gradient, variable, learning_rate / DECAY**behind)


@dataclass(frozen=True, eq=False)
class Tuner:
    """The tail and a head, compiled; with the weights that the tail has at the start."""

    tail: keras.Model
    head: keras.Model
    model: keras.Model
    start: list[Array]

    def answers(self, side: int, part: str) -> Array:
        return tlkit.predict_classes(self.model, at_boundary(side, part))


@functools.cache
def tuner(side: int, per_part: bool, head_learns: bool) -> Tuner:
    # A network of its own: what one way trains is no other way's start.
    backbone = tlkit.load_backbone("efficientnet_lite0", image_size=side)
    tlkit.freeze_to(backbone, STAGE)
    tail, head = tlkit.split_at(backbone, STAGE)[1], tlkit.build_head(backbone, N_CLASSES)
    head.trainable = head_learns
    model = tlkit.join(tail, head)
    optimizer = RatePerPart() if per_part else keras.optimizers.Adam()
    model.compile(optimizer=optimizer, loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return Tuner(tail, head, model, tail.get_weights())


@dataclass(frozen=True)
class FineTuning:
    """The last stage and a linear head learn; the setting is the rate."""

    order: str = "head first"  # or "base first"
    settings: tuple[float, ...] = TAIL_RATES
    side: int = SIDE
    views: int = 1  # with more, as many steps: each view is seen in fewer epochs
    per_part: bool = False
    epochs: int = EPOCHS
    batch: int = BATCH

    def train(self, chosen: Array, setting: float, seed: int) -> Answers:
        made = tuner(self.side, self.per_part, self.order != "base first")
        made.tail.set_weights(made.start)
        made.head.set_weights(tlkit.build_head(network(self.side), N_CLASSES, seed=seed).get_weights())
        few, penalty = at_boundary(self.side, "train")[chosen], chosen_penalty(self.side, len(chosen))
        if self.order == "head first":
            made.head.set_weights(logistic(features("ImageNet", self.side, "train")[chosen], penalty))
        epochs, seen = self.epochs, few
        if self.views > 1:
            pictures, trunk = clothes(self.side).train[chosen], tlkit.split_at(network(self.side), STAGE)[0]
            epochs //= self.views
            seen = tlkit.cache_features(trunk, pictures, views=self.views, augment=augmentation(seed), seed=seed)
        reset_optimizer(made.model)
        made.model.optimizer.learning_rate = setting
        data = batches(seen, self.batch, shuffle_seed=seed)
        made.model.fit(data, epochs=epochs, shuffle=False, verbose=0)
        if self.order == "base first":
            made.head.set_weights(logistic(vectors(made.tail, few), penalty))
        return lambda part: made.answers(self.side, part)


Way = Probe | Head | FineTuning
AS_PRINTED = (ARTICLE_RATE,)
WAYS: dict[str, Way] = {
    "raw pixels": Probe("raw pixels"),
    "random network": Probe("random network"),
    "article, as printed": Head("unprepared", (ARTICLE_WIDTH,), AS_PRINTED),
    "article, pixels prepared": Head("ImageNet", (ARTICLE_WIDTH,), AS_PRINTED),
    "article, as printed, rate chosen": Head("unprepared", (ARTICLE_WIDTH,)),
    "article, pixels prepared, rate chosen": Head("ImageNet", (ARTICLE_WIDTH,)),
    "linear head, rate chosen": Head("ImageNet", ()),
    "probe": Probe("ImageNet"),
    "head first": FineTuning(),
    "base first": FineTuning("base first"),
    "head first, rate per part": FineTuning(settings=PART_RATES, per_part=True),
    "probe, views": Probe("ImageNet", views=VIEWS),
    "head first, views": FineTuning(views=VIEWS),
    "probe, 128 px": Probe("ImageNet", SMALL),
    "probe, 224 px": Probe("ImageNet", LARGE),
}
EPOCHS_ALL, BATCH_ALL = 4, 32  # of fine-tuning on all labels
WAYS_ALL: dict[str, Way] = {
    "raw pixels": WAYS["raw pixels"],
    "article, pixels prepared": WAYS["article, pixels prepared"],
    "probe": WAYS["probe"],
    "head first": FineTuning(settings=(3e-5, 1e-4, 3e-4), epochs=EPOCHS_ALL, batch=BATCH_ALL),
    "probe, 224 px": WAYS["probe, 224 px"],
    "head first, 224 px": FineTuning(settings=(3e-5, 1e-4, 3e-4), side=LARGE, epochs=EPOCHS_ALL, batch=BATCH_ALL),
}


def share(said: Array, part: str) -> float:
    """The share of a part's photographs that are named rightly, 0..1."""
    return float(np.mean(said == parts(SIDE)[part].y))


def choose(way: str, how: Way, labels: Sequence[Array]) -> list[dict[str, Any]]:
    """A row per setting and draw: the accuracy on the validation part."""
    rows = []
    for setting in how.settings:
        for draw, few in enumerate(labels[:CHOOSING]):
            says = how.train(few, setting, draw)
            accuracy = share(says("validation"), "validation")
            rows.append({"way": way, "setting": setting, "draw": draw, "validation": accuracy})
    return rows


def best(tried: Sequence[dict[str, Any]]) -> float:
    """The setting with the best mean over the draws; the smallest of several."""
    (setting,) = best_setting(tried, "setting")
    return float(setting)


def measure(way: str, how: Way, labels: Sequence[Array]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What was tried on the validation part, and a row per draw for the chosen setting."""
    tried = choose(way, how, labels) if len(how.settings) > 1 else []
    setting = best(tried) if tried else how.settings[0]
    rows = []
    for draw, few in enumerate(labels):
        says = how.train(few, setting, draw)
        scores = {part: share(says(part), part) for part in ("validation", "test")}
        rows.append({"way": way, "draw": draw, "setting": setting, **scores})
    return tried, rows


def all_draws(n_labels: int) -> list[Array]:
    """The labelled photographs of each draw, or the one draw of all labels."""
    n_train = len(clothes(SIDE).train)
    return [np.arange(n_train)] if n_labels == n_train else [drawn(draw) for draw in range(DRAWS)]


@functools.cache
def chosen_penalty(side: int, n_labels: int) -> float:
    """What the validation part chooses for the probe, from which fine-tuning starts."""
    return best(choose("probe", Probe("ImageNet", side), all_draws(n_labels)))


TITLES = {
    "few": "accuracy on the validation (341) and the test part (372) of clothes after 100 labels, per way and draw",
    "few_choices": "accuracy on the validation part of clothes for each setting that was tried with 100 labels",
    "all": "accuracy on the validation (341) and the test part (372) of clothes after all 3,068 labels, per way",
    "all_choices": "accuracy on the validation part of clothes for each setting that was tried with all labels",
}
RECIPE = (
    f"EfficientNet-Lite0 at {SIDE} px unless said; setting: C of a logistic regression (raw pixels: {PIXELS} px), or "
    f"Adam's rate; article: {ARTICLE_EPOCHS} epochs, batches of {ARTICLE_BATCH}, {ARTICLE_WIDTH} units; fine-tuning: "
    f"stage 7, {{epochs}} epochs, batches of {{batch}}, BatchNorm held; views: {VIEWS}, by flips, shifts and zooms"
)


def run(part: str, ways: dict[str, Way], labels: Sequence[Array], recipe: str, out: Path, anew: bool) -> None:
    """Measure the ways that are not in the table yet, and write both tables after each."""
    paths = {name: out / f"clothes_{name}.csv" for name in (part, f"{part}_choices")}
    kept: dict[str, list[dict[str, Any]]] = {name: [] for name in paths}
    for name, path in paths.items():
        if path.exists() and not anew:
            kept[name] = [
                {str(key): value for key, value in row.items()} for row in read_table(path).to_dict("records")
            ]
    for way, how in ways.items():
        if any(row["way"] == way for row in kept[part]):
            continue
        begin = time.perf_counter()
        tried, rows = measure(way, how, labels)
        means = {
            name: round(float(np.mean([row[name] for row in rows])), 4) for name in ("setting", "validation", "test")
        }
        typer.echo(f"{part}: {way}: {means} in {time.perf_counter() - begin:.0f} s")
        for name, new in ((part, rows), (f"{part}_choices", tried)):
            found = [row for row in [*kept[name], *new] if row["way"] in ways]
            kept[name] = sorted(found, key=lambda row: list(ways).index(row["way"]))
            if kept[name]:
                store(kept[name], paths[name], TITLES[name], recipe)


def main(
    part: Annotated[Part, typer.Option(help="100 labels, all of them, or both.")] = Part.ALL,
    out: Annotated[Path, typer.Option(help="The folder that takes the tables.")] = FOLDER,
    anew: Annotated[bool, typer.Option("--anew", help="Measure ways, too, whose rows are there.")] = False,
) -> None:
    """Measure and write the tables: clothes_few, clothes_all, and what was tried for each."""
    if part != Part.EVERY:
        recipe = RECIPE.format(epochs=EPOCHS, batch=BATCH)
        run("few", WAYS, all_draws(PER_CLASS * N_CLASSES), recipe, out, anew)
    if part != Part.FEW:
        run(
            "all",
            WAYS_ALL,
            all_draws(len(clothes(SIDE).train)),
            RECIPE.format(epochs=EPOCHS_ALL, batch=BATCH_ALL),
            out,
            anew,
        )


if __name__ == "__main__":
    typer.run(main)
