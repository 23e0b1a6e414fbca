"""Measure for notebook 12 how LoRA's rank and placement change what a small ResNet gains, keeps and costs.

    python tools/rank_tables.py                  # both tables, into tlkit/tables
    python tools/rank_tables.py --out FOLDER     # elsewhere

The clothes backbone, stages 1 to 3 frozen, ten labels per class of mnist, the recipe of notebook 12. LoRA goes around
the convolutions of stages 4 and 5, or of stage 5 alone; "full" trains the convolutions themselves. Each way has its own
rate: the best of five by mean accuracy on 1,000 training images outside the draw, of two draws that are not among the
ten. The test images are read once per draw, by the chosen rate. Adam keeps two numbers per weight that learns: `adam`
counts them, without those of the head.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import keras
import numpy as np
import typer
from scratch_tables import CHOOSING, DRAWS, PER_CLASS, held_out
from text_tables import reset_optimizer, store

import tlkit
from tlkit.backbones import Backbone
from tlkit.features import batches
from tlkit.tables import FOLDER

SOURCE, STAGE, EPOCHS, BATCH = "fashion", 3, 8, 8
RANKS = (1, 4, 16, 64)
PLACES = {"stages 4 and 5": ("stage3", "stage4"), "stage 5": ("stage4",)}  # layers' names do not count the stem
RATES = {"LoRA": (3e-4, 1e-3, 3e-3, 1e-2, 3e-2), "full": (3e-5, 1e-4, 3e-4, 1e-3, 3e-3)}
RECIPE = (
    f"{PER_CLASS} labels per class of mnist, stages 1 to {STAGE} frozen, best head on frozen features first, "
    f"Adam, {EPOCHS} epochs, batches of {BATCH}; rates tried: {RATES}, on 1,000 training images of draws {CHOOSING}"
)


class Tuner:
    """A backbone with LoRA of one rank around the convolutions of one place, compiled once."""

    def __init__(self, rank: int, place: str) -> None:
        backbone: Backbone = tlkit.load_backbone(f"resnet_{SOURCE}")
        if rank:
            convolutions = [layer.name for layer in backbone.model.layers if layer.name.endswith("_conv")]
            backbone = tlkit.add_lora(
                backbone, rank=rank, layers=[name for name in convolutions if name.startswith(PLACES[place])]
            )
        tlkit.freeze_to(backbone, STAGE if len(PLACES[place]) == 2 else STAGE + 1)
        self.trunk, self.tail = tlkit.split_at(backbone, STAGE)
        self.backbone, self.head = backbone, tlkit.build_head(backbone, 10)
        self.start = backbone.model.get_weights()
        self.model = tlkit.join(self.tail, self.head)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.model.compile(keras.optimizers.Adam(), loss=loss)

    def begin(self, few: tlkit.Split) -> None:
        """The pretrained weights, and the best head on their features; ``few`` is at the boundary."""
        self.backbone.model.set_weights(self.start)
        tlkit.fit_probe(self.head, tlkit.Split(self.tail.predict(few.x, verbose=0), few.y))

    def train(self, few: tlkit.Split, rate: float, seed: int) -> None:
        self.begin(few)
        reset_optimizer(self.model)
        self.model.optimizer.learning_rate = rate
        self.model.fit(batches(few, BATCH, shuffle_seed=seed), epochs=EPOCHS, shuffle=False, verbose=0)

    def numbers_of_adam(self) -> int:
        """What the optimizer keeps beside the weights, without its two counters and what belongs to the head."""
        kept = sum(int(np.prod(variable.shape)) for variable in self.model.optimizer.variables[2:])
        return kept - 2 * self.head.count_params()


def main(out: Annotated[Path, typer.Option(help="The folder that takes the tables.")] = FOLDER) -> None:
    """Choose a rate, measure, store."""
    pair = tlkit.load_pair(SOURCE, "mnist")
    plain = tlkit.load_backbone(f"resnet_{SOURCE}")
    trunk = tlkit.split_at(plain, STAGE)[0]
    labels = {draw: pair.target.train.take(PER_CLASS, seed=draw) for draw in (*CHOOSING, *range(DRAWS))}

    def at_boundary(split: tlkit.Split) -> tlkit.Split:
        return tlkit.cache_features(trunk, split, cache_dir="memory")

    few = {draw: at_boundary(split) for draw, split in labels.items()}
    validation = {draw: at_boundary(held_out(pair.target.train, labels[draw])) for draw in CHOOSING}
    tests = {"target": at_boundary(pair.target.test[:1000]), "source": at_boundary(pair.source.test[::2])}
    source_head = tlkit.load_source_head(plain, pair.source.classes)
    tried: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []

    def scores(tuner: Tuner) -> dict[str, float]:
        heads = {"target": tuner.head, "source": source_head}
        return {side: tlkit.accuracy(tlkit.join(tuner.tail, heads[side]), tests[side]) for side in tests}

    def best_rate(about: dict[str, Any], tuner: Tuner, rates: tuple[float, ...]) -> float:
        found = []
        for rate in rates:
            for draw in CHOOSING:
                tuner.train(few[draw], rate, draw)
                right = tlkit.accuracy(tuner.model, validation[draw])
                found.append(about | {"rate": rate, "draw": draw, "validation": right})
        tried.extend(found)
        return max(rates, key=lambda rate: np.mean([row["validation"] for row in found if row["rate"] == rate]))

    for rank, place in [(rank, place) for place in PLACES for rank in (*RANKS, 0)]:
        begun = time.perf_counter()
        tuner = Tuner(rank, place)
        about = {"way": f"LoRA, rank {rank}" if rank else "full", "place": place}
        if not rows:
            nothing = {"way": "head only", "place": "none", "rate": 0.0, "learn": 0, "adam": 0}
            for draw in range(DRAWS):
                tuner.begin(few[draw])
                rows.append(nothing | {"draw": draw} | scores(tuner))
        rate = best_rate(about, tuner, RATES["LoRA" if rank else "full"])
        costs = {"rate": rate, "learn": tlkit.count_weights(tuner.tail).trainable, "adam": tuner.numbers_of_adam()}
        for draw in range(DRAWS):
            tuner.train(few[draw], rate, draw)
            rows.append(about | costs | {"draw": draw} | scores(tuner))
        store(tried, out / "lora_rank_choices.csv", "accuracy on held-out training images of mnist, per rate", RECIPE)
        store(rows, out / "lora_rank.csv", "test accuracy of LoRA by rank and place, per draw of 100 labels", RECIPE)
        mean, half = tlkit.mean_interval([row["target"] for row in rows[-DRAWS:]])
        seconds = time.perf_counter() - begun
        typer.echo(f"{about['way']}, {place}: rate {rate}: {mean:.3f} ± {half:.3f}, {seconds:.0f} s")


if __name__ == "__main__":
    typer.run(main)
