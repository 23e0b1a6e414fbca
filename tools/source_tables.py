"""What makes a source worth something? Measure it for notebook 03, one factor at a time.

    python tools/source_tables.py                  # the table, into tlkit/tables
    python tools/source_tables.py --out FOLDER     # elsewhere
    python tools/source_tables.py --seeds 2        # fewer seeds

A ResNet of a quarter of the width of the bundled ones is pretrained anew on each source, ten times with other start
weights, other batches and another choice of the images. All sources get the same number of steps. Then the network is
frozen, and a logistic regression on its features learns 10 labels per class of mnist. Seed k is draw k of the labels,
so that sources can be compared draw by draw. Each source but the last differs from "digits in print" in one thing; the
last one differs from "62 classes" in the number of images. Rows are written as they come: a run that was stopped goes
on where it was.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import keras
import numpy as np
import pretrain
import typer
from table_rows import Rows

import tlkit
from tlkit.backbones import small_resnet
from tlkit.domains import Split
from tlkit.tables import FOLDER

SEEDS, STEPS, BATCH, RATE, PER_CLASS = 10, 400, 64, 1e-3, 10
WIDTHS = (8, 16, 32, 64)
MATCHED = 5690  # images: as many as there are digits in print
RECIPE = (
    f"small_resnet of widths {WIDTHS}, Adam {RATE}, {STEPS} steps of {BATCH} images; frozen, a probe on "
    f"{PER_CLASS} labels per class of mnist, 2,000 test images"
)


@dataclass(frozen=True)
class Source:
    """What the network is pretrained on."""

    domain: str
    images: int = MATCHED
    augmented: bool = False

    def split(self, seed: int) -> Split:
        """As many images of each class as of any other, up to one."""
        digits = self.domain == "digits"  # those of a pair with digits: print without its letters
        train = (tlkit.load_pair("printed", "mnist").source if digits else tlkit.load_domain(self.domain)).train
        order = np.random.default_rng(seed).permutation(len(train))
        rank = np.empty(len(train), dtype=np.int64)  # of an image among those of its class
        for label in np.unique(train.y):
            of_class = order[train.y[order] == label]
            rank[of_class] = np.arange(len(of_class))
        chosen = sorted(order.tolist(), key=lambda index: rank[index])[: self.images]
        return train[np.asarray(chosen)]


SOURCES = {
    "digits in print": Source("digits"),
    "clothes": Source("fashion"),
    "1,000 images": Source("digits", images=1000),
    "62 classes": Source("printed"),
    "augmented": Source("digits", augmented=True),
    "62 classes, 34,862 images": Source("printed", images=34_862),
}


def pretrained(source: Source, seed: int) -> keras.Model:
    """The network from raw pixels to feature maps, after so many steps on the source."""
    split, rng = source.split(seed), np.random.default_rng(seed)
    base = small_resnet(widths=WIDTHS, seed=seed)
    to_classes = keras.layers.Dense(int(split.y.max()) + 1, kernel_initializer=keras.initializers.GlorotUniform(seed))
    head = keras.Sequential([keras.layers.GlobalAveragePooling2D(), to_classes])
    model = keras.Sequential([keras.Input((28, 28, 1)), base, head])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(RATE), loss, jit_compile=False)
    order = np.concatenate([rng.permutation(len(split)) for _ in range(-(-STEPS * BATCH // len(split)))])
    recipe = pretrain.recipe_for("printed")
    for rows in order[: STEPS * BATCH].reshape(STEPS, BATCH):
        x = split.x[rows]
        model.train_on_batch(
            pretrain.augment(x, recipe, rng) if source.augmented else x.astype(np.float32), split.y[rows]
        )
    return base


def measure(source: Source, seed: int) -> float:
    """Accuracy on mnist's test images of a probe on the frozen features, 0..1."""
    target = tlkit.load_pair("printed", "mnist").target
    base = pretrained(source, seed)
    few, test = target.train.take(PER_CLASS, seed=seed), target.test
    made = [Split(base.predict(part.x, batch_size=128, verbose=0).mean(axis=(1, 2)), part.y) for part in (few, test)]
    return tlkit.linear_probe(*made)


def main(
    out: Annotated[Path, typer.Option(help="The folder that takes the table.")] = FOLDER,
    seeds: Annotated[int, typer.Option(help="Networks per source.")] = SEEDS,
) -> None:
    """Measure and store."""
    title = "accuracy on mnist of a frozen probe, by what the network was pretrained on"
    table = Rows(out / "sources.csv", title, RECIPE, "pretrained on", "draw")
    for seed in range(seeds):
        for name, source in SOURCES.items():
            if table.lacks(name, seed):
                start = time.perf_counter()
                table.add({"pretrained on": name, "draw": seed, "accuracy": measure(source, seed)})
                keras.backend.clear_session()  # each network is built once, and its graph would stay
                typer.echo(f"{name}, {seed}: {table.rows[-1]['accuracy']:.3f}, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    typer.run(main)
