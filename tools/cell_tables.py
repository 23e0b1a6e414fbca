"""Measure what white blood cells of one microscope teach about those of another.

    python tools/cell_tables.py                    # both tables, into tlkit/tables
    python tools/cell_tables.py --out FOLDER       # elsewhere

The pictures must have been fetched (`tlkit fetch cells`). Rows are written as they come: a run that was stopped goes on
where it was.

The source is dataset 1, the target dataset 2. A draw halves the source, class by class: one half trains, the other
tests. Of the target 10, 10, 5 and 5 pictures of the four classes may have labels; the 67 others test, whatever the
budget. Every learner is a logistic regression with balanced classes. Its C, and the side at which the ImageNet network
sees the pictures, are chosen on the source alone, in draws that are not reported: a learner with so few target labels
has none to choose by.
"""

from __future__ import annotations

import functools
import itertools
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from table_rows import Rows, best_setting

import tlkit
from tlkit.cells import CLASSES
from tlkit.domains import Array, Split
from tlkit.folders.pictures import fit_array
from tlkit.tables import FOLDER

DRAWS, CHOOSING = 10, range(100, 105)
FEATURES = ("raw pixels", "colour histogram", "ImageNet")
COLOURS = ("as they are", "per domain", "per picture")
FEW = (1, 2, 5, 10)  # target labels per class; of the two rarer classes MOST at the most
MOST = {"neutrophil": 10, "lymphocyte": 10, "monocyte": 5, "eosinophil": 5}
PENALTIES = (0.001, 0.01, 0.1, 1.0, 10.0, 100.0)
SIDES = (96, 160)
RAW, LEVELS = 24, 6
MEAN, SPREAD = 160.0, 50.0  # of each channel of a picture, for colours per picture
WAYS = ("target only", "pooled")
RECIPE = (
    f"logistic regression, balanced classes, C of {PENALTIES} chosen on the source in five other draws (target only: "
    f"there with as few labels); raw pixels {RAW}x{RAW}; histogram of {LEVELS} levels per channel, square roots; "
    f"EfficientNet-Lite0, side of {SIDES} chosen likewise; colours per domain: mean and deviation of each channel as "
    "in the source's training half, by the target's labelled pictures; per picture: the same in each; pooled: each "
    "domain has half the weight"
)


@functools.cache
def pictures(name: str, side: int) -> Split:
    """All pictures of a domain, in an order that does not depend on the side."""
    domain = tlkit.load_cells(name, image_size=side)
    x, y = (np.concatenate([getattr(part, each) for part in (domain.train, domain.test)]) for each in ("x", "y"))
    return Split(x, y)


def shuffled(y: Array, seed: int) -> list[Array]:
    """For each class the places of its pictures, in random order."""
    rng = np.random.default_rng(seed)
    return [rng.permutation(np.flatnonzero(y == label)) for label in range(len(CLASSES))]


@dataclass(frozen=True, eq=False)
class Draw:
    """Places among the pictures: the source's halves, the target's labels for each budget, and its test."""

    train: Array
    test: Array
    few: dict[int, Array]
    target_test: Array


@functools.cache
def draw(seed: int) -> Draw:
    source, target = (shuffled(pictures(name, SIDES[0]).y, seed) for name in ("tecom", "cellavision"))
    few = {n: np.concatenate([of[: min(n, most)] for of, most in zip(target, MOST.values(), strict=True)]) for n in FEW}
    return Draw(
        np.concatenate([of[: len(of) // 2] for of in source]),
        np.concatenate([of[len(of) // 2 :] for of in source]),
        few,
        np.concatenate([of[most:] for of, most in zip(target, MOST.values(), strict=True)]),
    )


# From pictures to vectors


def recoloured(x: Array, mean: Array, spread: Array, new_mean: Array | float, new_spread: Array | float) -> Array:
    """Pictures whose channels had this mean and deviation, with others."""
    moved = (x - mean) / np.maximum(spread, 1) * new_spread + new_mean
    return np.asarray(np.rint(np.clip(moved, 0, 255)).astype(np.uint8))


def per_picture(x: Array) -> Array:
    mean, spread = x.mean(axis=(1, 2), keepdims=True), x.std(axis=(1, 2), keepdims=True)
    return recoloured(x, mean, spread, MEAN, SPREAD)


def per_domain(seed: int, side: int) -> Array:
    """The target's pictures with the source's colours: no tested picture is looked at for them."""
    source, target = (pictures(name, side).x for name in ("tecom", "cellavision"))
    ours, theirs = source[draw(seed).train], target[draw(seed).few[max(FEW)]]
    axes = (0, 1, 2)
    return recoloured(target, theirs.mean(axes), theirs.std(axes), ours.mean(axes), ours.std(axes))


@functools.cache
def network(side: int) -> Any:
    return tlkit.load_backbone("efficientnet_lite0", input_shape=(side, side, 3)).model


def vectors(x: Array, features: str) -> Array:
    """``(n, d)`` of pictures ``(n, side, side, 3)``."""
    if features == "raw pixels":
        return np.stack([fit_array(each, (RAW, RAW), 3).ravel() for each in x]) / 255
    if features == "colour histogram":
        levels = (x // (256 / LEVELS)).astype(int).reshape(len(x), -1, 3) @ [LEVELS**2, LEVELS, 1]
        return np.sqrt([np.bincount(each, minlength=LEVELS**3) / len(each) for each in levels])
    split = Split(x, np.zeros(len(x), int))
    return np.asarray(tlkit.pool_features(tlkit.cache_features(network(x.shape[1]), split, cache_dir="memory")), float)


@functools.cache
def still(name: str, features: str, colours: str, side: int) -> Array:
    """Vectors that depend on no draw."""
    x = pictures(name, side).x
    return vectors(per_picture(x) if colours == "per picture" else x, features)


@functools.lru_cache(3)
def both(features: str, colours: str, side: int, seed: int) -> tuple[Array, Array]:
    """Vectors of the source and of the target."""
    if colours == "per domain":
        return still("tecom", features, "as they are", side), vectors(per_domain(seed, side), features)
    return still("tecom", features, colours, side), still("cellavision", features, colours, side)


# From vectors to answers


def answers(x: Array, y: Array, tested: Array, penalty: float, weights: Array | None = None) -> Array:
    """Classes of ``tested`` by a logistic regression; features are scaled as in `tlkit.linear_probe`."""
    from sklearn.linear_model import LogisticRegression

    centre = x.mean(axis=0)
    # Turned into the span of the training rows: the same classes by the same penalty, and far fewer numbers.
    turn = np.linalg.svd(x - centre, full_matrices=False)[2].T
    turned = (x - centre) @ turn
    scale = np.sqrt((turned**2).sum() / x.size)
    model = LogisticRegression(C=penalty, class_weight="balanced", max_iter=5000)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        model.fit(turned / scale, y, sample_weight=weights)
    return np.asarray(model.predict((tested - centre) @ turn / scale))


def right(found: Array, y: Array) -> dict[str, Any]:
    """The mean of the classes' recalls, 0..1, and how many of each class were named right."""
    hits = [int((found[y == label] == label).sum()) for label in range(len(CLASSES))]
    recalls = [hit / (y == label).sum() for label, hit in enumerate(hits)]
    return {"balanced": float(np.mean(recalls)), **dict(zip(CLASSES, hits, strict=True))}


def choose(features: str, colours: str, side: int, labels: int, table: Rows) -> tuple[float, float]:
    """The best C on the source with so many labels per class (0: its whole half), and what it reached."""
    colours = "as they are" if colours == "per domain" else colours  # the source has its own colours then
    at = {"features": features, "colours": colours, "side": side, "per_class": labels}
    for penalty in PENALTIES:
        if table.lacks(*at.values(), penalty):
            x, y = still("tecom", features, colours, side), pictures("tecom", side).y
            scores = []
            for seed in CHOOSING:
                train, test = draw(seed).train, draw(seed).test
                if labels:
                    train = np.concatenate([train[y[train] == label][:labels] for label in range(len(CLASSES))])
                scores.append(right(answers(x[train], y[train], x[test], penalty), y[test])["balanced"])
            table.add({**at, "C": penalty, "validation": float(np.mean(scores))})
    tried = [row for row in table.rows if all(row[name] == value for name, value in at.items())]
    (best,) = best_setting(tried, "C")
    return float(best), max(row["validation"] for row in tried)


def best_side(table: Rows) -> int:
    """At which side the network's features are best on the source."""
    return max(SIDES, key=lambda side: choose("ImageNet", "as they are", side, 0, table)[1])


def measure(features: str, colours: str, seed: int, table: Rows, choices: Rows) -> None:
    """The rows of one draw: within the source, on the target without a label, and with few."""
    start, side = time.perf_counter(), best_side(choices)
    source, target = both(features, colours, side, seed)
    y, y_target = pictures("tecom", side).y, pictures("cellavision", side).y
    at, d = {"features": features, "colours": colours}, draw(seed)
    penalty, _ = choose(features, colours, side, 0, choices)
    ours = source[d.train], y[d.train]
    tested, truth = target[d.target_test], y_target[d.target_test]
    within = right(answers(*ours, source[d.test], penalty), y[d.test])
    zero = right(answers(*ours, tested, penalty), truth)
    rows = [{**at, "way": "within the source", "per_class": 0, "draw": seed, **within}]
    rows.append({**at, "way": "source only", "per_class": 0, "draw": seed, **zero})
    for n, few in d.few.items():
        alone, _ = choose(features, colours, side, n, choices)
        found = {"target only": answers(target[few], y_target[few], tested, alone)}
        x, labels = np.concatenate([ours[0], target[few]]), np.concatenate([ours[1], y_target[few]])
        sizes = [len(d.train), len(few)]
        half = np.repeat(np.divide(len(x) / 2, sizes), sizes)  # each domain weighs as much as half of all pictures
        found["pooled"] = answers(x, labels, tested, penalty, half)
        rows += [{**at, "way": way, "per_class": n, "draw": seed, **right(each, truth)} for way, each in found.items()]
    table.add(*rows)
    scores = f"{within['balanced']:.3f} {zero['balanced']:.3f}"
    typer.echo(f"{at} draw {seed}: {scores} in {time.perf_counter() - start:.1f} s")


def main(out: Annotated[Path, typer.Option(help="The folder that takes the tables.")] = FOLDER) -> None:
    """Choose, measure, store."""
    title = "mean recall of four classes on 67 pictures of the target (within the source: its other half), and the hits"
    table = Rows(out / "cells.csv", title, RECIPE, "features", "colours", "way", "per_class", "draw")
    title = "mean recall on the source's other half, mean of five draws, per setting"
    names = ("features", "colours", "side", "per_class", "C")
    choices = Rows(out / "cells_choices.csv", title, RECIPE, *names)
    for features, colours, seed in itertools.product(FEATURES, COLOURS, range(DRAWS)):
        if table.lacks(features, colours, WAYS[-1], FEW[-1], seed):
            measure(features, colours, seed, table, choices)


if __name__ == "__main__":
    typer.run(main)
