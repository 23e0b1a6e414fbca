"""Measure what notebook 12 has no time for: five ways to tune the text encoder, what each gains, keeps and costs.

    python tools/efficient_tables.py                          # all tables, into tlkit/tables
    python tools/efficient_tables.py --part costs             # seconds and memory alone: for another machine
    python tools/efficient_tables.py --seeds 2 --out FOLDER   # fewer draws, elsewhere

Rates and scores are written as they come: a run that was stopped, or that had fewer draws, goes on where it was.

The encoder and the sentences must have been fetched (`tlkit fetch text`). Each table begins with comment lines: what it
is, the recipe, the command and the date. A row of it is measured again by tests/test_efficient_tables.py.

Two tasks that have nothing to do with each other: the sentiment of movies, and telling products from editorials. The
encoder is tuned on 500 labels of the first; then the second one's head, which was fitted on the encoder as it came, is
asked what it still knows. The recipe is that of tools/text_tables.py, without decay of the weights. The rate is each
method's own: the best of those below on 1,000 sentences of movies' training part, after training on 500 others of that
part. No test sentence is read for it, and the other task has no say; what it keeps at each rate is measured beside it.

Each method has a process of its own: then its peak of memory is its own, and what TensorFlow keeps of it goes with it.
"""

from __future__ import annotations

import functools
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import text_tables
import typer
from table_rows import Rows, store
from text_tables import (
    BATCH,
    EPOCHS,
    LABELS,
    OTHER_TASK,
    TABLES,
    by_length,
    pool,
    reset_optimizer,
    test_part,
)

import tlkit
from tlkit._keras import keras
from tlkit.backbones import Backbone
from tlkit.domains import Array, Split
from tlkit.efficient import add_adapters, add_biases, add_lora
from tlkit.features import batches
from tlkit.text import load_text_backbone

RANK, WIDTH = 4, 16  # of LoRA; of the adapters, which makes them about as many weights
METHODS: dict[str, Callable[[Backbone], Backbone]] = {
    "head only": lambda backbone: backbone,
    "BitFit": add_biases,
    "LoRA": functools.partial(add_lora, rank=RANK),
    "adapters": functools.partial(add_adapters, width=WIDTH),
    "full": lambda backbone: backbone,
}
PROBE = "head only"  # a logistic regression on frozen features: it has no rate
RATES = {  # a factor of about three apart, up to one that is too large
    "BitFit": (1e-3, 3e-3, 1e-2, 3e-2),
    "LoRA": (1e-3, 3e-3, 1e-2, 3e-2),
    "adapters": (1e-3, 3e-3, 1e-2, 3e-2),
    "full": (3e-5, 1e-4, 3e-4, 1e-3),
}
MOVIES = "movies"
CHOOSING = 1_000  # sentences that a rate is chosen with


RECIPE = (
    f"Adam, {EPOCHS} epochs, batches of {BATCH}, up to the rate in {text_tables.WARM_UP:.0%} of the steps, then a "
    f"cosine to 0; the head starts as the probe; LoRA of rank {RANK}, adapters of width {WIDTH}"
)


class Part(StrEnum):
    """What to measure."""

    RATES, SCORES, COSTS, ALL = "rates", "scores", "costs", "all"  # scores need the best rate: they measure rates too


class WarmUpThenCosine(text_tables.WarmUpThenCosine):  # type: ignore[misc]
    """The schedule of tools/text_tables.py; and how long the processor worked on each epoch."""

    def __init__(self, steps: int, rate: float) -> None:
        super().__init__(steps, rate)
        self.seconds = list[float]()

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.start = time.process_time()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.seconds.append(time.process_time() - self.start)


@dataclass(frozen=True, eq=False)
class Tuner:
    """A backbone with what a method adds to it, and a head, compiled once."""

    method: str
    backbone: Backbone
    head: keras.Model
    model: keras.Model
    start: list[Array]  # the backbone's weights before any training


def prepare(method: str) -> Tuner:
    backbone = METHODS[method](load_text_backbone("minilm"))
    if method == PROBE:
        tlkit.freeze_to(backbone, backbone.n_stages)
    head = tlkit.build_head(backbone, 2)
    model = tlkit.join(backbone.model, head)
    model.compile(optimizer="adam", loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return Tuner(method, backbone, head, model, backbone.model.get_weights())


def draw(task: str, seed: int) -> Split:
    return pool(task).take(LABELS // 2, seed=seed)


def test_sentences(task: str) -> Split:
    """About 1,000 test sentences of a task."""
    test = test_part(task)
    return test[:: max(1, len(test) // 1000)]


def tune(tuner: Tuner, few: Split, seed: int, rate: float | None) -> list[float]:
    """From the pretrained weights and the probe, train on ``few``; returns the processor's seconds for each epoch."""
    tuner.backbone.model.set_weights(tuner.start)
    tlkit.fit_probe(tuner.head, tlkit.cache_features(tuner.backbone.model, few))
    if rate is None:
        return []
    reset_optimizer(tuner.model)
    schedule = WarmUpThenCosine(EPOCHS * -(-len(few) // BATCH), rate)
    data = batches(few, BATCH, shuffle_seed=seed)
    tuner.model.fit(data, epochs=EPOCHS, callbacks=[schedule], shuffle=False, verbose=0)
    return schedule.seconds


def features(backbone: Backbone, split: Split) -> Split:
    return Split(np.asarray(backbone.model.predict(batches(split, 32), verbose=0)), split.y)


@functools.cache
def other_head(seed: int) -> tuple[Array, ...]:
    """The weights of the head for the other task, fitted on the encoder as it came."""
    backbone = text_tables.frozen()
    head = tlkit.build_head(backbone, 2)
    tlkit.fit_probe(head, tlkit.cache_features(backbone.model, draw(OTHER_TASK, seed)))
    return tuple(head.get_weights())


def kept(tuner: Tuner, seed: int) -> float:
    """The test accuracy of the other task with the head it had; it takes the place of the tuner's own."""
    tuner.head.set_weights(other_head(seed))
    return tlkit.accuracy(tuner.head, features(tuner.backbone, test_sentences(OTHER_TASK)))


def rate_row(tuner: Tuner, rate: float) -> dict[str, Any]:
    """The accuracy, 0..1, of a rate on a part of movies' training sentences, and what is kept of the other task."""
    order = np.random.default_rng(0).permutation(len(pool(MOVIES)))
    validation = by_length(pool(MOVIES)[order[:CHOOSING]])
    tune(tuner, pool(MOVIES)[order[CHOOSING:]].take(LABELS // 2, seed=0), 0, rate)
    accuracy = tlkit.accuracy(tuner.head, features(tuner.backbone, validation))
    row = {"method": tuner.method, "rate": rate, "validation": accuracy, "other task": kept(tuner, 0)}
    typer.echo(str(row))
    return row


def best_rate(method: str, tried: Sequence[dict[str, Any]]) -> float | None:
    """The rate that was best for a method, the lowest of several; none for the probe."""
    own = [row for row in tried if row["method"] == method]
    return max(own, key=lambda row: row["validation"])["rate"] if own else None


def score_row(tuner: Tuner, seed: int, rate: float | None) -> dict[str, Any]:
    """Tune on movies, and score both tasks: movies with the tuned head, the other one with the head it had before."""
    begin = time.perf_counter()
    tune(tuner, draw(MOVIES, seed), seed, rate)
    own = tlkit.accuracy(tuner.head, features(tuner.backbone, test_sentences(MOVIES)))
    row = {"method": tuner.method, "seed": seed, "rate": rate, "movies": own, "other task": kept(tuner, seed)}
    typer.echo(f"{row} in {time.perf_counter() - begin:.0f} s")
    return row


def measure(method: str, seeds: int, out: Path) -> None:
    """A row per rate that is tried, and a row per seed with the best of them."""
    title = "accuracy of each rate on the sentences that it was chosen with; the other task's test accuracy then"
    tried = Rows(out / "text_efficient_rates.csv", title, RECIPE, "method", "rate")
    title = "test accuracy after tuning on 500 labels of movies, and the other task's, with the head it had"
    scored = Rows(out / "text_efficient.csv", title, RECIPE, "method", "seed")
    tuner = prepare(method)
    for rate in RATES.get(method, ()):
        if tried.lacks(method, rate):
            tried.add(rate_row(tuner, rate))
    rate = best_rate(method, tried.rows)
    for seed in range(seeds):
        if scored.lacks(method, seed):
            scored.add(score_row(tuner, seed, rate))


def peak_memory() -> int:
    """The most memory, in bytes, that this process has held."""
    if sys.platform == "linux":  # ru_maxrss would start there at the peak of the process that ran this one
        status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        return 1024 * int(status["VmHWM"].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def probe_seconds(tuner: Tuner, few: Split) -> float:
    """The processor's seconds for features of ``few`` and the logistic regression on them."""
    begin = time.process_time()
    tlkit.fit_probe(tuner.head, features(tuner.backbone, few))
    return time.process_time() - begin


def cost_row(method: str) -> dict[str, Any]:
    """Weights that learn, the head's among them; seconds per epoch, the fastest after the first; the peak in MB.

    Seconds are the processor's, of all cores together: other work on the machine hardly changes them.
    """
    tuner = prepare(method)
    few = draw(MOVIES, 0)
    if method == PROBE:
        seconds = [probe_seconds(tuner, few) for _ in range(EPOCHS)]
    else:
        seconds = tune(tuner, few, 0, RATES[method][0])
    row = {"method": method, "weights": tlkit.count_weights(tuner.model).trainable}
    row |= {"processor seconds": round(min(seconds[1:]), 2), "peak MB": round(peak_memory() / 1e6)}
    typer.echo(str(row))
    return row


def main(
    seeds: Annotated[int, typer.Option(help="Draws of the labels.")] = 10,
    part: Annotated[Part, typer.Option(help="What to measure.")] = Part.ALL,
    out: Annotated[Path, typer.Option(help="The folder that takes the tables.")] = TABLES,
) -> None:
    """Measure and write the tables: efficient, efficient_rates, efficient_costs."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1) as alone:
        if part != Part.COSTS:
            for method in METHODS:
                alone.submit(measure, method, 0 if part == Part.RATES else seeds, out).result()
        if part in (Part.COSTS, Part.ALL):
            title = "weights that learn, seconds of the processor an epoch of 500 labels, peak memory of the process"
            store(list(alone.map(cost_row, METHODS)), out / "text_efficient_costs.csv", title, RECIPE)


if __name__ == "__main__":
    typer.run(main)
