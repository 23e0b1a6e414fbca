"""Measure for notebook 15 what can be done for an unlabelled target when the network stays frozen.

    python tools/frozen_adaptation_tables.py                  # the table, into tlkit/tables
    python tools/frozen_adaptation_tables.py --out FOLDER     # elsewhere

Two pairs whose features are computed once. Photographs → drawings: EfficientNet-Lite0 from ImageNet, the six classes
that notebooks/drawings has; half of the photographs of each class are labelled, a draw at a time, and the other half
validates. Editorials → tweets: MiniLM (needs `tlkit fetch text`), 1,000 labelled editorials, 500 to validate, 1,500
unlabelled tweets. The drawings are few, so they are unlabelled examples and test at once; tweets have their own test.

A logistic regression reads the features, standardised by the labelled source. Its C is the best of three on the
source's validation examples, and the methods take it over: CORAL (three ridges, a row each), pseudo-labels (fitted
anew on the source and on its own answers for the target), and for the photographs AdaBN. No target label is read but
for the last column.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from photo_tables import SIDE, classes_in, pictures, score
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from table_rows import store

import tlkit
from tlkit.domains import Array, Split
from tlkit.tables import FOLDER
from tlkit.text import load_text_backbone, load_text_pair

DRAWS, CS, RIDGES = 10, (0.001, 0.01, 0.1), (1, 10, 100)
N_SOURCE, N_VALIDATION, N_TARGET = 1000, 500, 1500  # sentences
TITLE = "mean accuracy of the classes on the target, by pair, draw and method; the network stays frozen"
RECIPE = (
    f"photographs: EfficientNet-Lite0 at {SIDE} pixels, half of each of six classes labelled; sentences: MiniLM, "
    f"{N_SOURCE} editorials labelled; standardised, logistic regression, C of {CS} chosen on other source examples; "
    f"CORAL with ridges of {RIDGES}"
)


@dataclass(frozen=True, eq=False)
class Features:
    """Features of a pair, and of the target where BatchNorm has the target's statistics, if there is BatchNorm."""

    source: Split
    target: Array
    test: Split
    adapted: Array | None = None  # of the test examples


def photographs() -> Features:
    classes = classes_in("photos")
    (x, y), (drawn, y_drawn) = pictures("photos", classes), pictures("drawings", classes)
    kept = np.isin(y, y_drawn)
    model = tlkit.load_backbone("efficientnet_lite0", image_size=SIDE).model

    def features(images: Array) -> Array:
        found: Array = model.predict(images, batch_size=32, verbose=0).mean(axis=(1, 2))
        return found

    source, test = Split(features(x[kept]), y[kept]), Split(features(drawn), y_drawn)
    tlkit.adapt_batchnorm(model, drawn)
    return Features(source, test.x, test, features(drawn))


def sentences() -> Features:
    pair, backbone = load_text_pair("editorials", "tweets"), load_text_backbone()

    def features(split: Split) -> Split:
        made = tlkit.cache_features(backbone.model, split, cache_dir="memory")
        return Split(tlkit.pool_features(made), split.y)

    return Features(features(pair.source.train), features(pair.target.train).x, features(pair.target.test))


PAIRS = {"photographs → drawings": photographs, "editorials → tweets": sentences}


@dataclass(frozen=True, eq=False)
class Draw:
    """What one draw sees, standardised by its labelled source."""

    source: Split
    validation: Split
    target: Array
    test: Split
    adapted: Array | None


def draw_of(pair: str, given: Features, draw: int) -> Draw:
    rng = np.random.default_rng(draw)
    if pair == "editorials → tweets":
        labelled, held_out = np.split(rng.permutation(len(given.source))[: N_SOURCE + N_VALIDATION], [N_SOURCE])
        target = given.target[rng.permutation(len(given.target))[:N_TARGET]]
    else:
        of_class = [rng.permutation(np.flatnonzero(given.source.y == k)) for k in np.unique(given.source.y)]
        labelled = np.concatenate([part[: len(part) // 2] for part in of_class])
        held_out = np.concatenate([part[len(part) // 2 :] for part in of_class])
        target = given.target
    scale = StandardScaler().fit(given.source.x[labelled]).transform
    source, validation = (Split(scale(given.source.x[rows]), given.source.y[rows]) for rows in (labelled, held_out))
    test = Split(scale(given.test.x), given.test.y)
    return Draw(source, validation, scale(target), test, None if given.adapted is None else scale(given.adapted))


def answers(given: Draw) -> Iterator[tuple[str, float, Array]]:
    """Method, C, and the classes that it gives to the test examples."""

    def fitted(x: Array, y: Array, c: float) -> Any:
        return LogisticRegression(C=c, max_iter=2000).fit(x, y)

    x, y = given.source.x, given.source.y
    plain = [fitted(x, y, c) for c in CS]
    rights = [score(given.validation.y, model.predict(given.validation.x)) for model in plain]
    best = int(np.argmax(rights))
    c, model = CS[best], plain[best]
    yield "source only", c, model.predict(given.test.x)
    if given.adapted is not None:
        yield "AdaBN", c, model.predict(given.adapted)
    for ridge in RIDGES:
        yield f"CORAL, ridge {ridge}", c, fitted(tlkit.coral(x, given.target, ridge=ridge), y, c).predict(given.test.x)
    own = np.concatenate([y, model.predict(given.target)])
    yield "pseudo-labels", c, fitted(np.concatenate([x, given.target]), own, c).predict(given.test.x)


def rows(pair: str, draws: int = DRAWS) -> Iterator[dict[str, Any]]:
    """A row per draw and method."""
    given = PAIRS[pair]()
    for draw in range(draws):
        own = draw_of(pair, given, draw)
        for method, c, said in answers(own):
            yield {"pair": pair, "draw": draw, "method": method, "C": c, "target": score(own.test.y, said)}


def main(out: Annotated[Path, typer.Option(help="The folder that takes the table.")] = FOLDER) -> None:
    """Measure and write the table."""
    store([row for pair in PAIRS for row in rows(pair)], out / "adaptation_frozen.csv", TITLE, RECIPE)


if __name__ == "__main__":
    typer.run(main)
