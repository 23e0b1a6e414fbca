"""Tune the training from scratch that notebook 03, the README and `tlkit demo` compare transfer with.

    python tools/scratch_tables.py                  # both tables, into tlkit/tables
    python tools/scratch_tables.py --out FOLDER     # elsewhere

100 labels of mnist, ten per class, and notebook 06's network of three convolutions, on the images as they are and on
moved views (rotated, shifted, zoomed anew in each epoch). One training per rate gives the accuracy after several
numbers of epochs. The setting is chosen by the mean accuracy of two draws, which are none of the ten, on 1,000 training
images outside the draw. The test images are read once per draw, by the chosen setting.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from table_rows import best_setting, store

import tlkit
from tlkit._keras import keras
from tlkit.demo import moved, small_network
from tlkit.domains import Split
from tlkit.tables import FOLDER

PER_CLASS, DRAWS, CHOOSING, N_VALIDATION = 10, 10, (100, 101), 1000
BATCH = 25
RATES, EPOCHS = (5e-4, 1e-3, 2e-3, 5e-3), (40, 100, 200)
VIEWS = ("none", "moved")
RECIPE = (
    f"mnist, {PER_CLASS} labels per class, Adam, batches of {BATCH}, everything trains; rates and epochs tried: "
    f"{RATES}, {EPOCHS}; chosen on {N_VALIDATION} training images outside the draw, mean of draws {CHOOSING}"
)


class Watch(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
    """The accuracy on held-out images after some of the epochs."""

    def __init__(self, split: Split, epochs: Collection[int]) -> None:
        super().__init__()
        self.split, self.found = split, dict.fromkeys(epochs, 0.0)  # a rate that was too large finds nothing more

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if epoch + 1 in self.found:
            self.found[epoch + 1] = tlkit.accuracy(self.model, self.split)


def train(views: str, rate: float, epochs: int, few: Split, seed: int, *watching: Any) -> keras.Model:
    """From raw pixels to ten logits, with the views' layers in front."""
    image, network = keras.Input((28, 28, 1)), small_network(seed)
    model = keras.Model(image, network(moved(seed)(image) if views == "moved" else image))
    options: dict[str, Any] = {"batch_size": BATCH, "seed": seed, "progress": False, "callbacks": watching}
    tlkit.fit(model, few, epochs=epochs, learning_rate=rate, **options)
    return model


def held_out(train: Split, few: Split) -> Split:
    """Training images that are not among the labelled ones."""
    labelled = {image.tobytes() for image in few.x}
    free = [
        index for index in np.random.default_rng(0).permutation(len(train)) if train.x[index].tobytes() not in labelled
    ]
    return train[np.asarray(free[:N_VALIDATION])]


def choices(views: str) -> list[dict[str, Any]]:
    """The accuracy on held-out training images per rate, number of epochs and draw."""
    domain, rows = tlkit.load_pair(source="printed", target="mnist").target.train, []
    for rate in RATES:
        for draw in CHOOSING:
            few = domain.take(PER_CLASS, seed=draw)
            watch = Watch(held_out(domain, few), EPOCHS)
            with contextlib.suppress(FloatingPointError):
                train(views, rate, max(EPOCHS), few, draw, watch)
            setting = {"views": views, "rate": rate, "draw": draw}
            rows += [setting | {"epochs": epochs, "validation": right} for epochs, right in watch.found.items()]
    return rows


def main(out: Annotated[Path, typer.Option(help="The folder that takes the tables.")] = FOLDER) -> None:
    """Choose, measure, store."""
    domain = tlkit.load_pair(source="printed", target="mnist").target
    tried: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    for views in VIEWS:
        start = time.perf_counter()
        own = choices(views)
        rate, epochs = best_setting(own, "rate", "epochs")
        tried += own
        store(tried, out / "scratch_choices.csv", "accuracy on held-out training images, per setting", RECIPE)
        for draw in range(DRAWS):
            model = train(views, rate, epochs, domain.train.take(PER_CLASS, seed=draw), draw)
            setting = {"views": views, "rate": rate, "epochs": epochs, "draw": draw}
            rows.append(setting | {"test": tlkit.accuracy(model, domain.test)})
        store(
            rows,
            out / "scratch.csv",
            "test accuracy of a small network trained from scratch on 100 labels of mnist",
            RECIPE,
        )
        mean, half = tlkit.mean_interval([row["test"] for row in rows[-DRAWS:]])
        typer.echo(f"{views}: {rate}, {epochs} epochs: {mean:.3f} ± {half:.3f}, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    typer.run(main)
