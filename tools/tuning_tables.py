"""Measure ways of fine-tuning for which notebooks 05 and 12 have no time: schedules and decay, LoRA's rank and place.

    python tools/tuning_tables.py                          # all tables, into tlkit/tables
    python tools/tuning_tables.py --part schedules         # those of notebook 05; or lora: those of notebook 12
    python tools/tuning_tables.py --out FOLDER             # elsewhere

The recipe is that of both notebooks: the clothes backbone, stages 1 to 3 frozen, ten labels per class of mnist, the
best head on frozen features first. Each way has its own rate: the best of five by mean accuracy on 1,000 training
images outside the draw, of two draws that are not among the ten. The test images are read once per draw, by the chosen
rate. `learn` is the number of weights that learn, and `adam` what Adam keeps for them, both without the head's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import keras
import numpy as np
import typer
from scratch_tables import CHOOSING, DRAWS, PER_CLASS, held_out
from table_rows import best_setting, store
from text_tables import WarmUpThenCosine, reset_optimizer

import tlkit
from tlkit.backbones import Backbone
from tlkit.features import batches
from tlkit.tables import FOLDER

SOURCE, STAGE, EPOCHS, BATCH = "fashion", 3, 8, 8
STEPS = EPOCHS * -(-10 * PER_CLASS // BATCH)
RATES = (3e-5, 1e-4, 3e-4, 1e-3, 3e-3)  # of weights that were pretrained
LORA_RATES = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2)  # of weights that are new
RANKS = (1, 4, 16, 64)
PLACES = {"stages 4 and 5": ("stage4", "stage5"), "stage 5": ("stage5",)}  # beginnings of layers' names
RECIPE = (
    f"{PER_CLASS} labels per class of mnist, clothes backbone, stages 1 to {STAGE} frozen, best head on frozen "
    f"features first, {EPOCHS} epochs, batches of {BATCH}; rate chosen on 1,000 training images of draws {CHOOSING}"
)


class Part(StrEnum):
    """What to measure."""

    SCHEDULES, LORA, ALL = "schedules", "lora", "all"


class Cosine(WarmUpThenCosine):  # type: ignore[misc]  # Keras ships no types
    """The rate falls along half a cosine from the first step."""

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.model.optimizer.learning_rate = self.rate * (1 + np.cos(np.pi * self.step / self.steps)) / 2
        self.step += 1


@dataclass(frozen=True)
class Way:
    """How to fine-tune."""

    rates: tuple[float, ...] = RATES
    schedule: Callable[[int, float], keras.callbacks.Callback] | None = None
    decay: float | None = None  # of AdamW, for kernels alone
    rank: int = 0  # of LoRA; 0 trains the convolutions themselves
    place: str = "stages 4 and 5"

    def optimizer(self) -> keras.optimizers.Optimizer:
        if self.decay is None:
            return keras.optimizers.Adam()
        optimizer = keras.optimizers.AdamW(weight_decay=self.decay)
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        return optimizer

    def backbone(self) -> Backbone:
        backbone: Backbone = tlkit.load_backbone(f"resnet_{SOURCE}")
        if self.rank:
            convolutions = [layer.name for layer in backbone.model.layers if layer.name.endswith("_conv")]
            chosen = [name for name in convolutions if name.startswith(PLACES[self.place])]
            backbone = tlkit.add_lora(backbone, rank=self.rank, layers=chosen)
        tlkit.freeze_to(backbone, STAGE if len(PLACES[self.place]) == 2 else STAGE + 1)
        return backbone


NOTHING = "head only"
WAYS = {
    Part.SCHEDULES: {
        "constant rate": Way(),
        "cosine": Way(schedule=Cosine),
        "warm-up, then cosine": Way(schedule=WarmUpThenCosine),
        "weight decay 0.01": Way(decay=0.01),
        "weight decay 1": Way(decay=1.0),
    },
    Part.LORA: {
        f"{f'LoRA, rank {rank}' if rank else 'full'}, {place}": Way(
            LORA_RATES if rank else RATES, rank=rank, place=place
        )
        for place in PLACES
        for rank in (*RANKS, 0)
    },
}
TABLES = {
    Part.SCHEDULES: (
        "schedules",
        "test accuracy after fine-tuning with schedules and weight decay, per draw of 100 labels",
    ),
    Part.LORA: ("lora_rank", "test accuracy of LoRA by rank and place, per draw of 100 labels"),
}


class Tuner:
    """The tail and a head, compiled once for a way."""

    def __init__(self, way: Way) -> None:
        self.way, self.backbone = way, way.backbone()
        self.tail, self.head = tlkit.split_at(self.backbone, STAGE)[1], tlkit.build_head(self.backbone, 10)
        self.start = self.backbone.model.get_weights()
        self.model = tlkit.join(self.tail, self.head)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.model.compile(way.optimizer(), loss=loss)

    def begin(self, few: tlkit.Split) -> None:
        """The pretrained weights, and the best head on their features; ``few`` is at the boundary."""
        self.backbone.model.set_weights(self.start)
        tlkit.fit_probe(self.head, tlkit.Split(self.tail.predict(few.x, verbose=0), few.y))

    def train(self, few: tlkit.Split, rate: float, seed: int) -> None:
        self.begin(few)
        reset_optimizer(self.model)
        self.model.optimizer.learning_rate = rate
        watching = [self.way.schedule(STEPS, rate)] if self.way.schedule else []
        data = batches(few, BATCH, shuffle_seed=seed)
        self.model.fit(data, epochs=EPOCHS, shuffle=False, callbacks=watching, verbose=0)

    def costs(self) -> dict[str, int]:
        """Weights that learn, and what Adam keeps beside them; its two counters and the head's part left out."""
        kept = sum(int(np.prod(variable.shape)) for variable in self.model.optimizer.variables[2:])
        return {"learn": tlkit.count_weights(self.tail).trainable, "adam": kept - 2 * self.head.count_params()}


class Data:
    """All that is read, at the boundary: labels, what chooses, tests; and the source's head."""

    def __init__(self) -> None:
        pair, plain = tlkit.load_pair(SOURCE, "mnist"), tlkit.load_backbone(f"resnet_{SOURCE}")
        trunk = tlkit.split_at(plain, STAGE)[0]

        def at_boundary(split: tlkit.Split) -> tlkit.Split:
            return tlkit.cache_features(trunk, split, cache_dir="memory")

        labels = {draw: pair.target.train.take(PER_CLASS, seed=draw) for draw in (*CHOOSING, *range(DRAWS))}
        self.few = {draw: at_boundary(split) for draw, split in labels.items()}
        self.validation = {draw: at_boundary(held_out(pair.target.train, labels[draw])) for draw in CHOOSING}
        self.tests = {"target": at_boundary(pair.target.test[:1000]), "source": at_boundary(pair.source.test[::2])}
        self.source_head = tlkit.load_source_head(plain, pair.source.classes)

    def scores(self, tuner: Tuner) -> dict[str, float]:
        heads = {"target": tuner.head, "source": self.source_head}
        return {side: tlkit.accuracy(tlkit.join(tuner.tail, heads[side]), test) for side, test in self.tests.items()}


def choices(name: str, tuner: Tuner, data: Data) -> list[dict[str, Any]]:
    """The accuracy on held-out training images, per rate and draw."""
    rows = []
    for rate in tuner.way.rates:
        for draw in CHOOSING:
            tuner.train(data.few[draw], rate, draw)
            right = tlkit.accuracy(tuner.model, data.validation[draw])
            rows.append({"way": name, "rate": rate, "draw": draw, "validation": right})
    return rows


def main(
    out: Annotated[Path, typer.Option(help="The folder that takes the tables.")] = FOLDER,
    part: Annotated[Part, typer.Option(help="What to measure.")] = Part.ALL,
) -> None:
    """Choose a rate per way, measure, store."""
    data = Data()
    for each in (Part.SCHEDULES, Part.LORA) if part is Part.ALL else (part,):
        name, title = TABLES[each]
        tried: list[dict[str, Any]] = []
        rows: list[dict[str, Any]] = []
        for way, how in WAYS[each].items():
            begun, tuner = time.perf_counter(), Tuner(how)
            if not rows:
                for draw in range(DRAWS):
                    tuner.begin(data.few[draw])
                    rows.append({"way": NOTHING, "rate": 0.0, "learn": 0, "adam": 0, "draw": draw} | data.scores(tuner))
            own = choices(way, tuner, data)
            (rate,) = best_setting(own, "rate")
            tried += own
            for draw in range(DRAWS):
                tuner.train(data.few[draw], rate, draw)
                rows.append({"way": way, "rate": rate, **tuner.costs(), "draw": draw} | data.scores(tuner))
            store(tried, out / f"{name}_choices.csv", "accuracy on held-out training images of mnist, per rate", RECIPE)
            store(rows, out / f"{name}.csv", title, RECIPE)
            mean, half = tlkit.mean_interval([row["target"] for row in rows[-DRAWS:]])
            typer.echo(f"{way}: rate {rate}: {mean:.3f} ± {half:.3f}, {time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    typer.run(main)
