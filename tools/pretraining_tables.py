"""Measure what pretraining without labels is worth, and what its views teach; notebook 14 shows both tables.

    python tools/pretraining_tables.py                  # all tables, into tlkit/tables
    python tools/pretraining_tables.py --only views     # one part: frozen, views or scratch
    python tools/pretraining_tables.py --out FOLDER     # elsewhere

Three parts. "frozen": a logistic regression on the pixels, and on the frozen features of a random network, of
resnet_printed_ssl and of resnet_printed. "views": a narrow ResNet pretrained anew, per set of views and seed, and
judged frozen. "scratch": the small network of notebook 06 on moved views; its rate and its number of epochs are chosen
per domain and number of labels as tools/scratch_tables.py does it. (For mnist with 10 labels per class the table of
that tool has the ten trainings, and they are copied.)

Draw k is the same labels for every method, so that methods can be compared draw by draw. Rows are written as they come:
a run that was stopped goes on where it was.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import scratch_tables
import typer
from table_rows import Rows, best_setting

import tlkit
from tlkit._keras import keras
from tlkit.backbones import Backbone, small_resnet
from tlkit.domains import Domain, Split
from tlkit.tables import FOLDER, read_table
from tlkit.views import Views

DOMAINS, PER_CLASS, DRAWS = ("mnist", "optdigits"), (1, 2, 5, 10, 50), 10
FROZEN = {"random network": None, "self-supervised": "resnet_printed_ssl", "supervised": "resnet_printed"}
SCRATCH = "scratch"

RATES, EPOCHS, CHOOSING = scratch_tables.RATES, scratch_tables.EPOCHS, scratch_tables.CHOOSING
TABLE = "test accuracy on labels per class, by how the network was made"
RECIPE = (
    "the first n labels per class of each draw; frozen networks and pixels: logistic regression, C = 1 (a random "
    "network per draw); scratch: notebook 06's network on moved views, Adam, batches of "
    f"{scratch_tables.BATCH}, rate of {RATES} and epochs of {EPOCHS}, chosen on up to {scratch_tables.N_VALIDATION} "
    f"training images outside draws {CHOOSING}"
)

ALL = Views()
ARMS = {
    "all views": ALL,
    "no shift, no zoom": replace(ALL, shift=0.0, zoom=0.0),
    "no rotation": replace(ALL, rotation=0.0),
    "no noise": replace(ALL, noise=0.0),
    "with flips": replace(ALL, flip=True),
    "no views": Views(0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
}
UNTRAINED = "not pretrained"
WIDTHS, IMAGES, PASSES, BATCH, RATE, SHOTS = (8, 16, 32, 64), 1000, 4, 64, 2e-3, 10
VIEWS_TABLE = "test accuracy of a frozen probe after pretraining on views, by what the views change"
VIEWS_RECIPE = (
    f"small_resnet of widths {WIDTHS}, {PASSES} passes over {IMAGES} glyphs of printed, batches of {BATCH}, Adam "
    f"{RATE}, temperature 0.2, projection 128-64; frozen, logistic regression on {SHOTS} labels per class; seed k "
    "makes start weights, glyphs, views and draw of the labels"
)


# ------------------------------------------------------------------------------------------------ frozen networks


@functools.cache
def target(name: str) -> Domain:
    return tlkit.load_pair(source="printed", target=name).target


def features(backbone: Backbone, domain: Domain) -> tuple[Split, Split]:
    """All training and test images as pooled features, once per network."""
    model = backbone.model
    made = [tlkit.cache_features(model, part, cache_dir="memory") for part in (domain.train, domain.test)]
    return Split(tlkit.pool_features(made[0]), made[0].y), Split(tlkit.pool_features(made[1]), made[1].y)


def probe_rows(name: str, method: str, train: Split, test: Split, draws: range) -> Iterator[dict[str, Any]]:
    """The same images as ``Domain.train.take`` of that draw, since features keep the order of the images."""
    for per_class in PER_CLASS:
        for draw in draws:
            right = tlkit.linear_probe(train.take(per_class, seed=draw), test)
            yield {"domain": name, "per_class": per_class, "method": method, "draw": draw, "test": right}


def frozen_rows(name: str, method: str, draws: int) -> Iterator[dict[str, Any]]:
    domain = target(name)
    if method == "raw pixels":
        yield from probe_rows(name, method, domain.train, domain.test, range(draws))
    elif FROZEN[method] is None:
        for draw in range(draws):
            made = features(tlkit.load_backbone("resnet_printed", weights=None, seed=1000 + draw), domain)
            yield from probe_rows(name, method, *made, range(draw, draw + 1))
    else:
        yield from probe_rows(name, method, *features(tlkit.load_backbone(str(FROZEN[method])), domain), range(draws))


# ------------------------------------------------------------------------------------------------------- scratch


def choices(name: str, per_class: int) -> list[dict[str, Any]]:
    """The accuracy on held-out training images per rate, number of epochs and draw."""
    domain, rows = target(name).train, []
    for rate in RATES:
        for draw in CHOOSING:
            few = domain.take(per_class, seed=draw)
            watch = scratch_tables.Watch(scratch_tables.held_out(domain, few), EPOCHS)
            with contextlib.suppress(FloatingPointError):
                scratch_tables.train("moved", rate, max(EPOCHS), few, draw, watch)
            keras.backend.clear_session()  # each network is built once, and its graph would stay
            at = {"domain": name, "per_class": per_class, "rate": rate, "draw": draw}
            rows += [at | {"epochs": epochs, "validation": right} for epochs, right in watch.found.items()]
    return rows


def scratch_row(name: str, per_class: int, draw: int, rate: float, epochs: int) -> dict[str, Any]:
    few = target(name).train.take(per_class, seed=draw)
    model = scratch_tables.train("moved", rate, epochs, few, draw)
    right = tlkit.accuracy(model, target(name).test)
    keras.backend.clear_session()
    return {"domain": name, "per_class": per_class, "method": SCRATCH, "draw": draw, "test": right}


# ---------------------------------------------------------------------------------------------- what views teach


def pretrained(arm: str, seed: int) -> Backbone:
    """The narrow network after its passes over some of the glyphs; not trained at all for ``UNTRAINED``."""
    backbone = tlkit.wrap_backbone(small_resnet(widths=WIDTHS, seed=seed))
    if arm != UNTRAINED:
        glyphs = tlkit.load_domain("printed").train.x
        some = glyphs[np.random.default_rng(seed).permutation(len(glyphs))[:IMAGES]]
        options: dict[str, Any] = {"batch_size": BATCH, "seed": seed, "progress": False}
        tlkit.pretrain_contrastive(
            backbone, some, epochs=PASSES, learning_rate=RATE, views=ARMS[arm], temperature=0.2, **options
        )
    return backbone


def views_rows(arm: str, seed: int) -> Iterator[dict[str, Any]]:
    backbone = pretrained(arm, seed)
    for name in DOMAINS:
        few = target(name).train.take(SHOTS, seed=seed)
        made = [tlkit.cache_features(backbone.model, part, cache_dir="memory") for part in (few, target(name).test)]
        yield {"domain": name, "views": arm, "draw": seed, "test": tlkit.linear_probe(*made)}


# -------------------------------------------------------------------------------------------------- command line


def scores_of(out: Path) -> Rows:
    return Rows(out / "without_labels.csv", TABLE, RECIPE, "domain", "per_class", "method", "draw")


def measure_frozen(out: Path, draws: int) -> None:
    table = scores_of(out)
    for method in ("raw pixels", *FROZEN):
        for name in DOMAINS:
            if any(table.lacks(name, per_class, method, draw) for per_class in PER_CLASS for draw in range(draws)):
                table.add(*frozen_rows(name, method, draws))


def measure_scratch(out: Path, draws: int) -> None:
    table, title = scores_of(out), "accuracy on held-out training images, per setting"
    tried = Rows(out / "without_labels_choices.csv", title, RECIPE, "domain", "per_class", "rate", "draw", "epochs")
    for per_class in (10, 1, 5, 2, 50):  # the dearest last, should it be stopped
        for name in DOMAINS:
            if (name, per_class) == ("mnist", scratch_tables.PER_CLASS):
                copy_scratch(table, draws)
                continue
            if tried.lacks(name, per_class):
                tried.add(*choices(name, per_class))
            own = [row for row in tried.rows if (row["domain"], row["per_class"]) == (name, per_class)]
            rate, epochs = best_setting(own, "rate", "epochs")
            for draw in range(draws):
                if table.lacks(name, per_class, SCRATCH, draw):
                    table.add(scratch_row(name, per_class, draw, rate, int(epochs)))
            typer.echo(f"{name}, {per_class}: {rate}, {epochs} epochs")


def copy_scratch(table: Rows, draws: int) -> None:
    """The rows of tools/scratch_tables.py, which made them by the same recipe on the same draws."""
    at = {"domain": "mnist", "per_class": scratch_tables.PER_CLASS, "method": SCRATCH}
    moved = read_table(FOLDER / "scratch.csv").query("views == 'moved'").head(draws)
    table.add(*({**at, "draw": row["draw"], "test": row["test"]} for row in moved.to_dict("records")))


def measure_views(out: Path, draws: int) -> None:
    table = Rows(out / "without_labels_views.csv", VIEWS_TABLE, VIEWS_RECIPE, "views", "draw", "domain")
    for seed in range(draws):
        for arm in (UNTRAINED, *ARMS):
            if table.lacks(arm, seed):
                start = time.perf_counter()
                table.add(*views_rows(arm, seed))
                keras.backend.clear_session()  # each network is built once, and its graph would stay
                scores = ", ".join(f"{row['test']:.3f}" for row in table.rows[-len(DOMAINS) :])
                typer.echo(f"{arm}, {seed}: {scores}, {time.perf_counter() - start:.0f} s")


PARTS: dict[str, Callable[[Path, int], None]] = {
    "frozen": measure_frozen,
    "views": measure_views,
    "scratch": measure_scratch,
}


def main(
    out: Annotated[Path, typer.Option(help="The folder that takes the tables.")] = FOLDER,
    draws: Annotated[int, typer.Option(help="Draws of the labels.")] = DRAWS,
    only: Annotated[str, typer.Option(help="One part of the three.")] = "",
) -> None:
    """Measure and store."""
    if only and only not in PARTS:
        raise typer.BadParameter(f"--only must be one of {', '.join(PARTS)}, got {only!r}.")
    for name, measure in PARTS.items():
        if only in ("", name):
            measure(out, draws)


if __name__ == "__main__":
    typer.run(main)
