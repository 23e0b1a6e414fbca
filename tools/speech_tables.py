"""Measure whether a hundred synthetic voices help to understand a real one.

    python tools/speech_tables.py                    # all tables, into tlkit/tables
    python tools/speech_tables.py --out FOLDER       # elsewhere

The recordings must have been fetched (`tlkit fetch speech`). Rows are written as they come: a run that was stopped goes
on where it was.

The six speakers are three pairs. A draw tests on one pair, all 1,000 recordings, and takes its labels from the four
other speakers: so each speaker is tested in three or four of the ten draws, and is known in none of them. Rates and
numbers of epochs are chosen for each pair anew, among its four training speakers: labels from two, accuracy on the two
others. The pretrained network was chosen without any real recording (tlkit/assets/PRETRAINING.md).
"""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from scratch_tables import Watch
from table_rows import Rows, best_setting
from text_tables import reset_optimizer

import tlkit
from tlkit._keras import keras
from tlkit.backbones import Backbone, draw_weights
from tlkit.domains import Array, Split
from tlkit.features import batches
from tlkit.probe import probe_classes
from tlkit.speech import SPEAKERS, load_speech
from tlkit.tables import FOLDER

PAIRS = ((0, 1), (2, 3), (4, 5))  # of speakers
PER_CLASS, DRAWS = (1, 2, 5, 10), 10
CHOSEN_AT = {1: 2, 2: 2, 5: 10, 10: 10}  # the number of recordings per digit at which a setting was chosen
CHOOSING = 100  # the draw of the choosing, none of the ten
BATCH, SHIFT = 20, 0.1
TUNED = ("fine-tuned", "fine-tuned from the source head")
RATES = {"from scratch": (1e-3, 3e-3, 1e-2), **dict.fromkeys(TUNED, (1e-4, 3e-4, 1e-3))}
EPOCHS = {"from scratch": (20, 50, 100), **dict.fromkeys(TUNED, (5, 10, 20))}
RECIPE = (
    f"labels from four speakers, tested on two others; probes: tlkit.linear_probe; trained: Adam, batches of {BATCH}, "
    f"shifts by up to {SHIFT:.0%}; rates {RATES['from scratch']} and epochs {EPOCHS['from scratch']}, fine-tuned "
    f"{RATES['fine-tuned']} and {EPOCHS['fine-tuned']}, chosen per pair and budget among its training speakers; "
    "fine-tuned: everything but BatchNorm, and the head starts as the probe or as the source's own"
)


@functools.cache
def recordings() -> Split:
    """All 3,000; ``groups`` tell the speaker."""
    domain = load_speech()
    parts = (domain.train, domain.test)
    x, y, speakers = (np.concatenate([getattr(part, name) for part in parts]) for name in ("x", "y", "groups"))
    return Split(x, y, speakers)


def of_speakers(split: Split, speakers: Sequence[int]) -> Split:
    assert split.groups is not None
    return split[np.isin(split.groups, speakers)]


def others(pair: Sequence[int]) -> list[int]:
    return [speaker for speaker in range(len(SPEAKERS)) if speaker not in pair]


def seen_by(backbone: Backbone) -> Split:
    """The recordings as features, ``groups`` kept."""
    features = tlkit.cache_features(backbone.model, recordings(), cache_dir="memory")
    return Split(features.x, recordings().y, recordings().groups)


@functools.cache
def pretrained() -> Split:
    return seen_by(tlkit.load_backbone("resnet_voices"))


@functools.lru_cache(1)
def untrained(draw: int) -> Split:
    return seen_by(tlkit.load_backbone("resnet_voices", weights=None, seed=draw))


def representation(method: str, draw: int) -> Split:
    return {"raw log-mel": recordings, "random network": lambda: untrained(draw), "frozen": pretrained}[method]()


PROBED = ("raw log-mel", "random network", "frozen")
TRAINED = ("from scratch", *TUNED)


@dataclass(frozen=True, eq=False)
class Network:
    """A model with shifts in front, compiled once, and where its variables start."""

    model: keras.Model
    head: keras.Model | None
    start: list[Array]


@functools.cache
def network(method: str) -> Network:
    """The small network of `tlkit demo` for pictures of 40 by 40, or the pretrained one with a head."""
    image = keras.Input((40, 40, 1))
    shifted = keras.layers.RandomTranslation(SHIFT, SHIFT, fill_mode="nearest", seed=0)(image)
    head = None
    if method in TUNED:
        backbone = tlkit.load_backbone("resnet_voices")
        tlkit.freeze_to(backbone, 0)
        head = tlkit.build_head(backbone, 10) if method == "fine-tuned" else tlkit.load_source_head(backbone)
        logits = head(backbone.model(shifted))
    else:
        x = keras.layers.Rescaling(1 / 255)(shifted)
        for width, side in ((16, 5), (32, 3), (64, 3)):
            x = keras.layers.Conv2D(width, side, 2, padding="same", activation="relu", kernel_initializer="he_normal")(
                x
            )
        logits = keras.layers.Dense(10)(keras.layers.Flatten()(x))
    model = keras.Model(image, logits)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(), loss=loss)
    return Network(model, head, [variable.numpy() for variable in model.variables])


def classes(model: keras.Model, split: Split) -> Array:
    found: Array = model.predict(split.x, batch_size=250, verbose=0).argmax(axis=1)
    return found


def train(method: str, few: Split, features: Split, rate: float, epochs: int, seed: int, *watching: Any) -> keras.Model:
    """From the start weights, or from new random ones; ``features``: the same recordings, for the first head."""
    net = network(method)
    for variable, value in zip(net.model.variables, net.start, strict=True):
        variable.assign(value)
    if net.head is None:
        draw_weights(net.model, seed)
    elif method == "fine-tuned":
        tlkit.fit_probe(net.head, features)
    reset_optimizer(net.model)
    net.model.optimizer.learning_rate = rate
    options = {"epochs": epochs, "callbacks": list(watching), "shuffle": False, "verbose": 0}
    net.model.fit(batches(few, BATCH, shuffle_seed=seed), **options)
    return net.model


def choose(method: str, pair: int, per_class: int, table: Rows) -> tuple[float, int]:
    """The rate and the epochs that are best on two of the training speakers, after labels of the two others."""
    labelled, held_out = others(PAIRS[pair])[::2], others(PAIRS[pair])[1::2]
    few, features = (
        of_speakers(split, labelled).take(per_class, seed=CHOOSING) for split in (recordings(), pretrained())
    )
    for rate in RATES[method]:
        if table.lacks(method, pair, per_class, rate, max(EPOCHS[method])):
            watch = Watch(of_speakers(recordings(), held_out)[::2], EPOCHS[method])
            train(method, few, features, rate, max(EPOCHS[method]), CHOOSING, watch)
            at = {"method": method, "pair": pair, "per_class": per_class, "rate": rate}
            table.add(*({**at, "epochs": epochs, "validation": right} for epochs, right in watch.found.items()))
    tried = [row for row in table.rows if (row["method"], row["pair"], row["per_class"]) == (method, pair, per_class)]
    rate, epochs = best_setting(tried, "rate", "epochs")
    return float(rate), int(epochs)


def by_speaker(answers: Array, test: Split, at: dict[str, Any]) -> list[dict[str, Any]]:
    assert test.groups is not None
    right = answers == test.y
    return [
        {**at, "speaker": SPEAKERS[group], "accuracy": float(right[test.groups == group].mean())}
        for group in np.unique(test.groups)
    ]


def measure(method: str, per_class: int, draw: int, table: Rows, choices: Rows) -> None:
    """One row per tested speaker."""
    pair, start = draw % len(PAIRS), time.perf_counter()
    at = {"method": method, "per_class": per_class, "draw": draw}
    split = representation(method, draw) if method in PROBED else recordings()
    few, test = of_speakers(split, others(PAIRS[pair])).take(per_class, seed=draw), of_speakers(split, PAIRS[pair])
    if method in PROBED:
        answers = probe_classes(few, test)
    else:
        rate, epochs = choose(method, pair, CHOSEN_AT[per_class], choices)
        features = of_speakers(pretrained(), others(PAIRS[pair])).take(per_class, seed=draw)
        answers = classes(train(method, few, features, rate, epochs, draw), test)
    rows = by_speaker(answers, test, at)
    table.add(*rows)
    typer.echo(f"{at} {[round(row['accuracy'], 3) for row in rows]} in {time.perf_counter() - start:.1f} s")


def leakage(method: str, per_class: int, draw: int, table: Rows) -> None:
    """The same test recordings twice: of speakers that are new, and of speakers that the labels know."""
    pair = PAIRS[draw % len(PAIRS)]
    split = representation(method, draw)
    own = of_speakers(split, pair)
    later = np.arange(len(own)) % 2 == 1  # each second recording of a speaker and digit may be a label
    known, test, strangers = own[later], own[~later], of_speakers(split, others(pair))
    assert known.groups is not None
    assert strangers.groups is not None
    mixed = Split(
        np.concatenate([strangers.x, known.x]),
        np.concatenate([strangers.y, known.y]),
        np.concatenate([strangers.groups, known.groups]),
    )
    for name, pool in (("by speaker", strangers), ("at random", mixed)):
        at = {"method": method, "split": name, "per_class": per_class, "draw": draw}
        table.add(*by_speaker(probe_classes(pool.take(per_class, seed=draw), test), test, at))


def zero_shot(table: Rows) -> None:
    backbone = tlkit.load_backbone("resnet_voices")
    model = tlkit.join(backbone.model, tlkit.load_source_head(backbone))
    table.add(
        *by_speaker(classes(model, recordings()), recordings(), {"method": "zero-shot", "per_class": 0, "draw": 0})
    )


def main(out: Annotated[Path, typer.Option(help="The folder that takes the tables.")] = FOLDER) -> None:
    """Choose, measure, store."""
    title = "accuracy on real speakers whom no label comes from, per speaker, 500 recordings each"
    table = Rows(out / "speech.csv", title, RECIPE, "method", "per_class", "draw", "speaker")
    title = "accuracy on two of four training speakers, after labels of the two others, per setting"
    choices = Rows(out / "speech_choices.csv", title, RECIPE, "method", "pair", "per_class", "rate", "epochs")
    title = "accuracy on the same 250 recordings per speaker, when labels come from four other speakers or from all six"
    leaks = Rows(out / "speech_leakage.csv", title, RECIPE, "method", "split", "per_class", "draw", "speaker")
    if table.lacks("zero-shot", 0, 0, SPEAKERS[0]):
        zero_shot(table)
    for draw, method, per_class in itertools.product(range(DRAWS), PROBED, PER_CLASS):
        if table.lacks(method, per_class, draw, SPEAKERS[PAIRS[draw % len(PAIRS)][0]]):
            measure(method, per_class, draw, table, choices)
    for method, per_class, draw in itertools.product(("raw log-mel", "frozen"), (10, 50), range(DRAWS)):
        if leaks.lacks(method, "at random", per_class, draw, SPEAKERS[PAIRS[draw % len(PAIRS)][0]]):
            leakage(method, per_class, draw, leaks)
    for draw, method, per_class in itertools.product(range(DRAWS), TRAINED, PER_CLASS):
        if table.lacks(method, per_class, draw, SPEAKERS[PAIRS[draw % len(PAIRS)][0]]):
            measure(method, per_class, draw, table, choices)


if __name__ == "__main__":
    typer.run(main)
