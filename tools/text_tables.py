"""Measure what notebook 11 has no time for: fine-tuning the text encoder by block and by budget, and what it forgets.

    python tools/text_tables.py                          # both tables, into tlkit/tables
    python tools/text_tables.py --seeds 2 --out FOLDER   # fewer draws, elsewhere

Rows are written as they come: a run that was stopped, or that had fewer draws, goes on where it was.

The encoder and the sentences must have been fetched (`tlkit fetch text`). Each table begins with comment lines: what it
is, the recipe, the command and the date. A figure of it is measured again by tests/test_text_tables.py.

The recipe is fixed before any test sentence is read: 500 or 100 labels, half of each class; the head starts as the
logistic regression on frozen features; then AdamW for 4 epochs in batches of 16, the rate going up to 1e-4 in a tenth
of the steps and down to 0 along half a cosine. Nothing is chosen by the scores.
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
from table_rows import Rows

import tlkit
from tlkit._keras import keras
from tlkit.backbones import Backbone
from tlkit.domains import Array, Split
from tlkit.features import batches, lengths
from tlkit.probe import probe_classes
from tlkit.tables import FOLDER
from tlkit.text import load_text_backbone, load_text_domain

TABLES = FOLDER
DOMAINS = ("tweets", "movies")
BUDGETS = (100, 500)  # labels in all, half of each class
STAGES = (6, 4, 0)  # frozen up to here, so 1, 3 or 6 blocks learn (at 0 the embeddings too); 7 is the probe
EPOCHS, BATCH, RATE, WARM_UP = 4, 16, 1e-4, 0.1
PROBE = 7
LABELS = 500  # of those that forgetting is measured with
NOTHING, OTHER_TASK = "nothing", "products or editorials"


def by_length(split: Split) -> Split:
    """The same sentences, short ones first: then little padding is computed, and no score depends on the order."""
    return split[np.argsort(lengths(split.x), kind="stable")]


@functools.cache
def test_part(domain: str) -> Split:
    return by_length(other_task()[1] if domain == OTHER_TASK else load_text_domain(domain).test)


@functools.cache
def pool(domain: str) -> Split:
    return other_task()[0] if domain == OTHER_TASK else load_text_domain(domain).train


def other_task() -> tuple[Split, Split]:
    """Training and test sentences of products (0) and editorials (1): telling them apart asks for no sentiment."""

    def both(part: str) -> Split:
        splits = [getattr(load_text_domain(name), part) for name in ("products", "editorials")]
        ids = np.concatenate([split.x for split in splits])
        return Split(ids, np.repeat([0, 1], [len(split) for split in splits]))

    return both("train"), both("test")


def scores(answers: Array, split: Split) -> dict[str, float]:
    """Accuracy, and the mean of the two classes' own accuracies, which their shares do not move; 0..1."""
    right = answers == split.y
    return {
        "accuracy": float(right.mean()),
        "balanced_accuracy": float(np.mean([right[split.y == label].mean() for label in (0, 1)])),
    }


def rate_at(step: int, steps: int, rate: float = RATE) -> float:
    """The rate of a step, 0..steps-1: a straight line up to ``rate``, then half a cosine down to 0."""
    warm = max(1, round(WARM_UP * steps))
    if step < warm:
        return rate * (step + 1) / warm
    return float(rate * (1 + np.cos(np.pi * (step - warm) / (steps - warm))) / 2)


class WarmUpThenCosine(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
    """Sets the rate before each of so many steps."""

    def __init__(self, steps: int, rate: float = RATE) -> None:
        super().__init__()
        self.steps, self.rate, self.step = steps, rate, 0

    def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.model.optimizer.learning_rate = rate_at(self.step, self.steps, self.rate)
        self.step += 1


@dataclass(frozen=True, eq=False)
class Tuner:
    """A backbone frozen up to a stage, with a head, compiled once: to build it anew for each run would leak memory."""

    stage: int
    backbone: Backbone
    trunk: keras.Model
    tail: keras.Model
    head: keras.Model
    model: keras.Model
    pretrained: list[Array]


def prepare(stage: int) -> Tuner:
    backbone = load_text_backbone("minilm")
    tlkit.freeze_to(backbone, stage)
    trunk, tail = tlkit.split_at(backbone, stage)
    head = tlkit.build_head(backbone, 2)
    model = tlkit.join(tail, head)
    model.compile(
        optimizer=keras.optimizers.get({"class_name": "adamw", "config": {"learning_rate": RATE}}),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return Tuner(stage, backbone, trunk, tail, head, model, backbone.model.get_weights())


def reset_optimizer(model: keras.Model) -> None:
    """Adam's running means and its count of steps, as before any training."""
    for variable in model.optimizer.variables:
        variable.assign(keras.ops.zeros_like(variable))


def tune(tuner: Tuner, few: Split, seed: int) -> None:
    """From the pretrained weights and the probe, train on ``few``; the same weights as `tlkit.fine_tune` gives."""
    tuner.backbone.model.set_weights(tuner.pretrained)
    tlkit.fit_probe(tuner.head, tlkit.cache_features(tuner.backbone.model, few))
    reset_optimizer(tuner.model)
    cached = tlkit.cache_features(tuner.trunk, few, cache_dir="memory")
    tuner.model.fit(
        batches(cached, BATCH, shuffle_seed=seed, model=tuner.model),
        epochs=EPOCHS,
        callbacks=[WarmUpThenCosine(EPOCHS * -(-len(few) // BATCH))],
        shuffle=False,
        verbose=0,
    )


def answers(tuner: Tuner, test: Split) -> Array:
    """Classes of ``test``, which is cached at the tuner's boundary."""
    found: Array = np.asarray(tuner.model.predict(batches(test, 32, model=tuner.model), verbose=0)).argmax(axis=1)
    return found


@functools.cache
def frozen() -> Backbone:
    return load_text_backbone("minilm")


def probe_rows(domain: str, budgets: Sequence[int], seeds: Sequence[int], *, everything: bool) -> list[dict[str, Any]]:
    """TF-IDF and the frozen encoder (stage 7), a logistic regression on each; ``everything``: on all labels, too."""
    train, test = pool(domain), test_part(domain)
    embedded = tlkit.cache_features(frozen().model, test)
    draws = [(labels, seed, train.take(labels // 2, seed=seed)) for labels in budgets for seed in seeds]
    draws += [(len(train), 0, train)] if everything else []
    rows = []
    for labels, seed, few in draws:
        at = {"domain": domain, "labels": labels, "seed": seed}
        rows.append({**at, "method": "TF-IDF", **scores(probe_classes(few, test), test)})
        features = tlkit.cache_features(frozen().model, few)
        rows.append({**at, "method": f"stage {PROBE}", **scores(probe_classes(features, embedded), test)})
    return rows


def tuned_row(tuner: Tuner, domain: str, labels: int, seed: int) -> dict[str, Any]:
    """Train once; afterwards the tuner still holds the weights that were trained."""
    start = time.perf_counter()
    test = cached_test(tuner, domain)
    tune(tuner, pool(domain).take(labels // 2, seed=seed), seed)
    at = {"domain": domain, "labels": labels, "seed": seed, "method": f"stage {tuner.stage}"}
    row = {**at, **scores(answers(tuner, test), test)}
    typer.echo(f"{row} in {time.perf_counter() - start:.0f} s")
    return row


@functools.lru_cache(1)
def cached_test(tuner: Tuner, domain: str) -> Split:
    return tlkit.cache_features(tuner.trunk, test_part(domain), cache_dir="memory")


def movies_row(backbone: Backbone, task: str, seed: int, own: float) -> dict[str, Any]:
    """What the head for movies, fitted on the frozen encoder, makes of a tuned one; and the same head fitted again."""
    few, test = pool("movies").take(LABELS // 2, seed=seed), test_part("movies")
    head = tlkit.build_head(backbone, 2)
    tlkit.fit_probe(head, tlkit.cache_features(frozen().model, few))
    ours, theirs = (tlkit.cache_features(backbone.model, part, cache_dir="memory") for part in (few, test))
    kept, refitted = tlkit.accuracy(head, theirs), tlkit.linear_probe(ours, theirs)
    row = {"tuned on": task, "seed": seed, "own task": own, "movies": kept, "movies, head refitted": refitted}
    typer.echo(str(row))
    return row


def other_task_row(tuner: Tuner, seed: int) -> dict[str, Any]:
    tune(tuner, pool(OTHER_TASK).take(LABELS // 2, seed=seed), seed)
    own = scores(answers(tuner, test_part(OTHER_TASK)), test_part(OTHER_TASK))["accuracy"]
    return movies_row(tuner.backbone, OTHER_TASK, seed, own)


RECIPE = (
    f"AdamW, {EPOCHS} epochs, batches of {BATCH}, rate up to {RATE:g} in {WARM_UP:.0%} of the steps, then a cosine "
    "to 0; the head starts as the probe"
)


def main(
    seeds: Annotated[int, typer.Option(help="Draws of the labels.")] = 10,
    out: Annotated[Path, typer.Option(help="The folder that takes the tables.")] = TABLES,
) -> None:
    """Measure and write both tables."""
    draws = range(seeds)
    title = "test accuracy after training on so many labels; TF-IDF, the frozen encoder (stage 7), or frozen to a stage"
    tuning = Rows(out / "text_fine_tuning.csv", title, RECIPE, "domain", "labels", "seed", "method")
    title = "test accuracy of movies' head (500 labels) before and after the whole encoder is tuned on another task"
    forgetting = Rows(out / "text_forgetting.csv", title, RECIPE, "tuned on", "seed")
    for domain in DOMAINS:
        new = [seed for seed in draws if any(tuning.lacks(domain, b, seed, f"stage {PROBE}") for b in BUDGETS)]
        tuning.add(*probe_rows(domain, BUDGETS, new, everything=bool(new)))
    for stage in STAGES:
        tuner = prepare(stage)
        for domain, labels, seed in itertools.product(DOMAINS, BUDGETS, draws):
            tells = (stage, domain, labels) == (0, "tweets", LABELS) and forgetting.lacks(domain, seed)
            if tells or tuning.lacks(domain, labels, seed, f"stage {stage}"):
                row = tuned_row(tuner, domain, labels, seed)
                tuning.add(row)
                if tells:
                    forgetting.add(movies_row(tuner.backbone, domain, seed, row["accuracy"]))
    for seed in draws:
        if forgetting.lacks(NOTHING, seed):
            forgetting.add(movies_row(frozen(), NOTHING, seed, float("nan")))
        if forgetting.lacks(OTHER_TASK, seed):
            forgetting.add(other_task_row(tuner, seed))


if __name__ == "__main__":
    typer.run(main)
