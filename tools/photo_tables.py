"""Measure on the photographs beside the notebooks what notebook 00 has no time for: ten draws of the labels.

    python tools/photo_tables.py                 # into tlkit/tables
    python tools/photo_tables.py --out FOLDER    # elsewhere

Eight photographs of each class are labelled, all others test. A logistic regression learns from raw pixels, from the
features of a network with random weights, or from those of the bundled network that knows ImageNet; then it names
drawings, of which there are six of the ten classes. A score is the mean over classes of their accuracies, since the
classes differ in size.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from build_notebooks import NOTEBOOKS
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from table_rows import store

import tlkit
from tlkit._keras import keras
from tlkit.domains import Array
from tlkit.tables import FOLDER

SIDE, PIXELS = 128, 24
DRAWS, PER_CLASS = 10, 8
C = 0.01
TITLE = "mean accuracy of the classes on photographs, on those of the six drawn classes, and on drawings, per draw"
RECIPE = (
    f"{PER_CLASS} labels per class, all other photographs test; pictures of {SIDE} pixels, raw ones of {PIXELS}; "
    f"features of EfficientNet-Lite0, averaged over positions; standardised, logistic regression with C = {C}"
)


def classes_in(folder: str) -> list[str]:
    """The names of the classes that a folder beside the notebooks has, in order."""
    return sorted(path.name for path in (NOTEBOOKS / folder).iterdir() if path.is_dir())


def pictures(folder: str, classes: list[str]) -> tuple[Array, Array]:
    """Pictures ``(n, SIDE, SIDE, 3)`` and labels ``(n,)``, as numbers in ``classes``; a class may have none."""
    paths = sorted((NOTEBOOKS / folder).glob("*/*.jpg"))
    load = keras.utils.load_img
    x = [keras.utils.img_to_array(load(path, target_size=(SIDE, SIDE), interpolation="bilinear")) for path in paths]
    return np.stack(x), np.array([classes.index(path.parent.name) for path in paths])


def raw_pixels(x: Array) -> Array:
    """The pictures made smaller, flat: ``(n, 3 PIXELS²)``."""
    return np.asarray(keras.ops.image.resize(x, (PIXELS, PIXELS), antialias=True)).reshape(len(x), -1)


def describe(x: Array) -> dict[str, Array]:
    """Each kind of features ``(n, d)``."""
    found = {"raw pixels": raw_pixels(x)}
    for name, weights in (("random network", None), ("ImageNet", "pretrained")):
        backbone = tlkit.load_backbone("efficientnet_lite0", image_size=SIDE, weights=weights)
        found[name] = backbone.model.predict(x, batch_size=32, verbose=0).mean(axis=(1, 2))
    return found


def score(true: Array, said: Array) -> float:
    """The mean over the classes that occur of their accuracies, 0..1."""
    return float(recall_score(true, said, labels=np.unique(true), average="macro"))


def rows(classes: list[str]) -> list[dict[str, Any]]:
    """A row per draw and kind of features."""
    (x, y), (x_drawn, y_drawn) = pictures("photos", classes), pictures("drawings", classes)
    drawn = np.isin(y, y_drawn)
    of_photos, of_drawings = describe(x), describe(x_drawn)
    found = []
    for draw in range(DRAWS):
        rng = np.random.default_rng(draw)
        few = np.concatenate([rng.permutation(np.flatnonzero(y == k))[:PER_CLASS] for k in range(len(classes))])
        test = np.setdiff1d(np.arange(len(y)), few)
        for name, features in of_photos.items():
            head = make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=1000))
            said = head.fit(features[few], y[few]).predict(features)
            same = test[drawn[test]]
            found.append(
                {
                    "draw": draw,
                    "features": name,
                    "photographs": score(y[test], said[test]),
                    "same classes": score(y[same], said[same]),
                    "drawings": score(y_drawn, head.predict(of_drawings[name])),
                }
            )
    return found


def main(out: Annotated[Path, typer.Option(help="The folder that takes the table.")] = FOLDER) -> None:
    """Measure and write the table."""
    store(rows(classes_in("photos")), out / "photographs.csv", TITLE, RECIPE)


if __name__ == "__main__":
    typer.run(main)
