"""Tune the training from scratch that notebook 03, the README and `tlkit demo` compare transfer with.

    python tools/scratch_tables.py                  # both tables, into tlkit/tables
    python tools/scratch_tables.py --out FOLDER     # elsewhere

100 labels of mnist, ten per class. Two networks (notebook 06's small one, and the ResNet of `resnet_printed`), each as
the images are and on moved views (rotated, shifted, zoomed anew in each epoch), try each rate. One training gives the
accuracy after several numbers of epochs. The setting is chosen by the mean accuracy of two draws, which are none of the
ten, on 1,000 training images outside the draw. The test images are read once per draw, by the chosen setting.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from text_tables import store

import tlkit
from tlkit._keras import keras
from tlkit.demo import moved, small_network
from tlkit.domains import Split
from tlkit.tables import FOLDER

PER_CLASS, DRAWS, CHOOSING, N_VALIDATION = 10, 10, (100, 101), 1000
BATCH = 25
RATES = {"small": (5e-4, 1e-3, 2e-3, 5e-3), "ResNet": (1e-4, 3e-4, 1e-3, 3e-3)}
EPOCHS = {"small": (40, 100, 200), "ResNet": (20, 40, 80)}
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


def model_of(network: str, views: str, seed: int) -> keras.Model:
    """From raw pixels to ten logits, with the views' layers in front."""
    if network == "small":
        body = small_network(seed)
    else:
        backbone = tlkit.load_backbone("resnet_printed", weights=None, seed=seed)
        tlkit.freeze_to(backbone, 0, train_batchnorm=True)
        body = tlkit.join(backbone.model, tlkit.build_head(backbone, 10, seed=seed))
    image = keras.Input((28, 28, 1))
    return keras.Model(image, body(moved(seed)(image) if views == "moved" else image))


def train(network: str, views: str, rate: float, epochs: int, few: Split, seed: int, *watching: Any) -> keras.Model:
    model = model_of(network, views, seed)
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


def choices(network: str, views: str) -> list[dict[str, Any]]:
    """The accuracy on held-out training images per rate, number of epochs and draw."""
    domain, rows = tlkit.load_pair(source="printed", target="mnist").target.train, []
    for rate in RATES[network]:
        for draw in CHOOSING:
            few = domain.take(PER_CLASS, seed=draw)
            watch = Watch(held_out(domain, few), EPOCHS[network])
            with contextlib.suppress(FloatingPointError):
                train(network, views, rate, max(EPOCHS[network]), few, draw, watch)
            setting = {"network": network, "views": views, "rate": rate, "draw": draw}
            rows += [setting | {"epochs": epochs, "validation": right} for epochs, right in watch.found.items()]
    return rows


def best(rows: list[dict[str, Any]]) -> tuple[float, int]:
    """Rate and epochs with the best mean over the draws."""
    settings = sorted({(row["rate"], row["epochs"]) for row in rows})
    return max(
        settings, key=lambda s: np.mean([row["validation"] for row in rows if (row["rate"], row["epochs"]) == s])
    )


def main(out: Annotated[Path, typer.Option(help="The folder that takes the tables.")] = FOLDER) -> None:
    """Choose, measure, store."""
    domain = tlkit.load_pair(source="printed", target="mnist").target
    tried: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    for network in RATES:
        for views in VIEWS:
            start = time.perf_counter()
            own = choices(network, views)
            rate, epochs = best(own)
            tried += own
            store(tried, out / "scratch_choices.csv", "accuracy on held-out training images, per setting", RECIPE)
            for draw in range(DRAWS):
                model = train(network, views, rate, epochs, domain.train.take(PER_CLASS, seed=draw), draw)
                setting = {"network": network, "views": views, "rate": rate, "epochs": epochs, "draw": draw}
                rows.append(setting | {"test": tlkit.accuracy(model, domain.test)})
            store(rows, out / "scratch.csv", "test accuracy of training from scratch on 100 labels of mnist", RECIPE)
            mean, half = tlkit.mean_interval([row["test"] for row in rows[-DRAWS:]])
            seconds = time.perf_counter() - start
            typer.echo(f"{network}, {views}: {rate}, {epochs} epochs: {mean:.3f} ± {half:.3f}, {seconds:.0f} s")


if __name__ == "__main__":
    typer.run(main)
