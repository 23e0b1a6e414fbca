"""Measure what notebook 15 has no time for: ways to adapt to an unlabelled target, how to choose one, where it hurts.

    python tools/adaptation_tables.py                       # all that is missing, into tlkit/tables
    python tools/adaptation_tables.py --pair blended        # one pair; the others' rows stay
    python tools/adaptation_tables.py --part hurts          # one table; it needs the runs first
    python tools/adaptation_tables.py --draws 2 --out FOLDER

Rows are written as they come, and rows that are there are not measured again: a stopped run goes on where it was.

Each draw has a source of its own (1,000 labelled examples), 500 labelled ones of the source to validate on, 1,500
unlabelled ones of the target, and a network with its start weights. All settings of all methods are trained. The
target's test labels are read once per trained network, for the column `target`.

Where BatchNorm learned, a trained network reads the target with the target's own statistics (`tlkit.adapt_batchnorm`);
"source only" alone keeps the source's. In "blended" the photographs are scikit-learn's two; those beside the notebooks
are cut out on white ground, where a blended digit is only inverted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer
from scipy.special import softmax
from table_rows import Rows

import tlkit
from tlkit import adaptation, selection
from tlkit._keras import keras
from tlkit.domains import Array, Split, blend_into_photographs
from tlkit.probe import logistic_regression
from tlkit.tables import FOLDER, read_table

N_SOURCE, N_VALIDATION, N_TARGET = 1000, 500, 1500
EPOCHS, BATCH = 8, 32
WEIGHTS = {  # what is tried at each rate: the term's weight; CORAL's ridge; Tent's own rate
    1e-3: {"source only": (0.0,), "AdaBN": (0.0,), "CORAL": (1.0,), "Tent": (1e-3,)},
    3e-3: {
        "source only": (0.0,),
        "AdaBN": (0.0,),
        "CORAL": (1.0,),
        "Tent": (1e-3,),
        "Deep CORAL": (100.0, 1000.0),
        "DANN": (0.1, 0.3),
        "pseudo-labels": (0.1, 0.3),
        "target labels": (0.0,),
    },
}
TRAINED: dict[str, Callable[[float], Any]] = {
    "Deep CORAL": adaptation.DeepCoral,
    "DANN": adaptation.DANN,
    "pseudo-labels": adaptation.PseudoLabels,
}
LACKS = {"partial": "only the digits 0 to 4 in the target", "shares": "digit k has the share 0.6^k in the target"}
RECIPE = (
    f"{N_SOURCE} source examples, {N_VALIDATION} to validate on, {N_TARGET} unlabelled target examples, 2,000 test "
    f"images; three convolutions with BatchNorm, 512 features, from random weights; Adam, {EPOCHS} epochs, "
    f"batches of {BATCH}; rates and what was tried at each (a term's weight; CORAL's ridge; Tent's rate): {WEIGHTS}"
)


class Pair(StrEnum):
    """Where from, where to."""

    PRINTED, BLENDED, ALL = "printed", "blended", "all"


class Part(StrEnum):
    """What to measure."""

    RUNS, HURTS, ALL = "runs", "hurts", "all"


def network(seed: int, channels: int) -> tuple[keras.Model, keras.Model]:
    """A core from raw pixels to 512 features, and a head of ten logits; the same start weights for the same seed."""
    starts = iter(np.random.SeedSequence(seed).generate_state(4).tolist())
    core = keras.Sequential([keras.Input((28, 28, channels)), keras.layers.Rescaling(1 / 255)])
    for width, side in ((16, 5), (32, 3), (32, 3)):
        start = keras.initializers.HeNormal(seed=next(starts))
        core.add(keras.layers.Conv2D(width, side, 2, padding="same", use_bias=False, kernel_initializer=start))
        core.add(keras.layers.BatchNormalization(momentum=0.95))
        core.add(keras.layers.ReLU())
    core.add(keras.layers.Flatten())
    start = keras.initializers.GlorotUniform(seed=next(starts))
    core = keras.Model(core.inputs[0], core.outputs[0])
    return core, keras.Sequential([keras.Input((512,)), keras.layers.Dense(10, kernel_initializer=start)])


@dataclass(frozen=True, eq=False)
class Data:
    """One draw of a pair. Labels of ``target`` are read by "target labels" alone, those of ``test`` once."""

    source: Split
    validation: Split
    target: Split
    test: Split


def in_color(split: Split) -> Split:
    return Split(np.repeat(split.x, 3, axis=-1), split.y)


def data(pair: str, draw: int) -> Data:
    rng = np.random.default_rng(draw)
    mnist = tlkit.load_domain("mnist")
    ours = rng.permutation(len(mnist.train))
    if pair == "printed":
        source = tlkit.load_pair().source  # its test part has other font families
        train = source.train[rng.permutation(len(source.train))[:N_SOURCE]]
        held_out = source.test[rng.permutation(len(source.test))[:N_VALIDATION]]
        return Data(train, held_out, mnist.train[ours[:N_TARGET]], mnist.test)
    ends = np.cumsum([N_SOURCE, N_VALIDATION, N_TARGET])  # no digit is in two of them
    train, held_out, target = (mnist.train[part] for part in np.split(ours, ends)[:3])
    blended = (blend_into_photographs(part, seed=seed) for part, seed in ((target, draw), (mnist.test, 1000 + draw)))
    return Data(in_color(train), in_color(held_out), *blended)


def lacking(which: str, given: Split, draw: int) -> Split:
    """Target examples of which classes are missing, or have other shares."""
    if which == "partial":
        return given[given.y < 5]
    kept = np.random.default_rng(draw).random(len(given)) < 0.6**given.y
    return given[kept]


@dataclass(frozen=True, eq=False)
class Answers:
    """What a trained network says of one draw."""

    validation: Array  # classes of the source's validation examples
    source_features: Array
    target_features: Array
    target: Array  # probabilities of the unlabelled examples
    test: Array  # classes of the test examples


def features(model: keras.Model, x: Array) -> Array:
    """What a model gives; called directly, since `predict` would trace a graph for each of the many networks."""
    parts = [np.asarray(model(x[begin : begin + 500], training=False)) for begin in range(0, len(x), 500)]
    return np.concatenate(parts)


def fitted(core: keras.Model, head: keras.Model, given: Data, *, adapted: bool) -> Answers:
    """The source is read with the source's statistics, and the target too, unless the network is ``adapted``."""
    of_source = features(core, given.validation.x)
    validation = features(head, of_source).argmax(axis=1)
    if adapted:
        adaptation.adapt_batchnorm(tlkit.join(core, head), given.target.x)
    of_target, of_test = features(core, given.target.x), features(core, given.test.x)
    probabilities = softmax(features(head, of_target).astype(np.float64), axis=1)
    return Answers(validation, of_source, of_target, probabilities, features(head, of_test).argmax(axis=1))


def scores(given: Data, answers: Answers) -> dict[str, float]:
    """Scores that see no label of the target, and at last the accuracy on its test images."""
    weights = selection.importance_weights(answers.source_features, answers.target_features)
    return {
        "validation": float(np.mean(answers.validation == given.validation.y)),
        "weighted": selection.importance_weighted_accuracy(given.validation.y, answers.validation, weights),
        "entropy": selection.mean_entropy(answers.target),
        "density": selection.soft_neighborhood_density(answers.target),
        "target": float(np.mean(answers.test == given.test.y)),
    }


def train(method: str, rate: float, weight: float, given: Data, draw: int) -> tuple[keras.Model, keras.Model]:
    core, head = network(draw, given.source.x.shape[-1])
    options: dict[str, Any] = {"epochs": EPOCHS, "learning_rate": rate, "batch_size": BATCH}
    options |= {"seed": draw, "progress": False}
    if method in TRAINED:
        adaptation.adapt(core, head, given.source, given.target.x, TRAINED[method](weight), **options)
    else:
        tlkit.fit(tlkit.join(core, head), given.target if method == "target labels" else given.source, **options)
    return core, head


def by_coral(core: keras.Model, given: Data, ridge: float) -> Answers:
    """A logistic regression on the source's features, moved to the target's covariance."""
    source, validation, target, test = (features(core, part.x) for part in vars(given).values())
    moved = adaptation.coral(source, target, ridge=ridge)
    kernel, bias = logistic_regression(Split(moved, given.source.y))
    x = (validation - source.mean(axis=0)) @ np.linalg.lstsq(source - source.mean(axis=0), moved - moved.mean(axis=0))[
        0
    ]
    classes = ((x + moved.mean(axis=0)) @ kernel + bias).argmax(axis=1)  # validation moves as the source did
    probabilities = softmax(target @ kernel + bias, axis=1)
    return Answers(classes, x + moved.mean(axis=0), target, probabilities, (test @ kernel + bias).argmax(axis=1))


def from_source(core: keras.Model, head: keras.Model, given: Data, draw: int) -> Iterator[tuple[str, float, Answers]]:
    """What needs no training with the target: the source's network, and what is made of it."""
    yield "source only", 0.0, fitted(core, head, given, adapted=False)
    for ridge in WEIGHTS[3e-3]["CORAL"]:
        yield "CORAL", ridge, by_coral(core, given, ridge)
    model = tlkit.join(core, head)
    start = model.get_weights()
    yield "AdaBN", 0.0, fitted(core, head, given, adapted=True)
    for rate in WEIGHTS[3e-3]["Tent"]:
        model.set_weights(start)
        before = fitted(core, head, given, adapted=False)
        adaptation.tent(model, given.target.x, learning_rate=rate, seed=draw, progress=False)
        after = fitted(core, head, given, adapted=False)
        yield "Tent", rate, Answers(before.validation, before.source_features, *list(vars(after).values())[2:])


def runs(given: Data, draw: int, rate: float, missing: set[str]) -> Iterator[dict[str, Any]]:
    """A row per setting of this rate."""
    if missing & {"source only", "AdaBN", "CORAL", "Tent"}:
        core, head = train("source only", rate, 0.0, given, draw)
        for method, weight, answers in from_source(core, head, given, draw):
            yield {"method": method, "weight": weight, **scores(given, answers)}
    for method in [*TRAINED, "target labels"]:
        if method in missing:
            for weight in WEIGHTS[rate][method]:
                core, head = train(method, rate, weight, given, draw)
                yield {"method": method, "weight": weight, **scores(given, fitted(core, head, given, adapted=True))}


def measure_runs(pairs: list[str], draws: int, path: Path) -> None:
    title = "accuracy on the target's test images, and scores that see no label of it"
    table = Rows(path, title, RECIPE, "pair", "draw", "rate", "method", "weight")
    for draw in range(draws):
        for pair in pairs:
            given = data(pair, draw)
            for rate in WEIGHTS:
                missing = {method for method in WEIGHTS[rate] if table.lacks(pair, draw, rate, method)}
                begin = time.perf_counter()
                if missing:
                    new = runs(given, draw, rate, missing)
                    table.add(*({"pair": pair, "draw": draw, "rate": rate, **row} for row in new))
                    keras.backend.clear_session()
                    typer.echo(f"{pair} {draw} {rate}: {time.perf_counter() - begin:.0f} s")


def chosen(tried: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Of one draw's runs, each method's rate and weight with the best accuracy on the source's validation images."""
    best = tried.sort_values("validation", ascending=False, kind="stable").groupby("method").first()
    return {str(method): (row["rate"], row["weight"]) for method, row in best.iterrows()}


def hurt_rows(pair: str, draw: int, settings: dict[str, tuple[float, float]]) -> Iterator[dict[str, Any]]:
    """A row per method and kind of target."""
    whole = data(pair, draw)
    networks: dict[float, tuple[tuple[keras.Model, keras.Model], list[Array]]] = {}
    for which in LACKS:
        few = (lacking(which, part, draw) for part in (whole.target, whole.test))
        given = Data(whole.source, whole.validation, *few)
        for method in WEIGHTS[3e-3]:
            if method == "target labels":
                continue
            rate, weight = settings[method]
            if method in TRAINED:
                answers = fitted(*train(method, rate, weight, given, draw), given, adapted=True)
            else:
                if rate not in networks:
                    parts = train("source only", rate, 0.0, given, draw)
                    networks[rate] = parts, tlkit.join(*parts).get_weights()
                parts, start = networks[rate]
                tlkit.join(*parts).set_weights(start)
                found = {name: answers for name, _, answers in from_source(*parts, given, draw)}
                answers = found[method]
            target = float(np.mean(answers.test == given.test.y))
            yield {"pair": pair, "draw": draw, "target has": which, "method": method, "target": target}


def measure_hurts(pairs: list[str], draws: int, path: Path, of_runs: Path) -> None:
    """Targets that lack classes or have other shares; settings are those that the draw's source validation chose."""
    kinds = "; ".join(f"{name}: {text}" for name, text in LACKS.items())
    title = f"accuracy on the target's test images ({kinds}); settings chosen on the source's validation"
    table = Rows(path, title, RECIPE, "pair", "draw", "target has", "method")
    tried = read_table(of_runs)
    for draw in range(draws):
        for pair in pairs:
            own = tried[(tried["pair"] == pair) & (tried["draw"] == draw)]
            if not table.lacks(pair, draw) or "target labels" not in set(own["method"]):
                continue  # measured already, or its runs are not there yet
            begin = time.perf_counter()
            table.add(*hurt_rows(pair, draw, chosen(own)))
            keras.backend.clear_session()
            typer.echo(f"hurts {pair} {draw}: {time.perf_counter() - begin:.0f} s")


def main(
    pair: Annotated[Pair, typer.Option(help="Which pair to measure.")] = Pair.ALL,
    part: Annotated[Part, typer.Option(help="Which table.")] = Part.ALL,
    draws: Annotated[int, typer.Option(help="Draws of source, target and start weights.")] = 10,
    out: Annotated[Path, typer.Option(help="The folder that takes the tables.")] = FOLDER,
) -> None:
    """Measure and write the tables: adaptation_runs, adaptation_hurts."""
    pairs = [each.value for each in Pair if each != Pair.ALL] if pair == Pair.ALL else [pair.value]
    if part != Part.HURTS:
        measure_runs(pairs, draws, out / "adaptation_runs.csv")
    if part != Part.RUNS:
        measure_hurts(pairs, draws, out / "adaptation_hurts.csv", out / "adaptation_runs.csv")


if __name__ == "__main__":
    typer.run(main)
