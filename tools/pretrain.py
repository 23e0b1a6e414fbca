"""Pretrain the bundled ResNets, and measure them.

    python tools/pretrain.py --source printed --epochs 22 --seed 0 --out tlkit/assets
    python tools/pretrain.py --source fashion --epochs 16 --seed 0 --out tlkit/assets
    python tools/pretrain.py --source voices --epochs 40 --seed 0 --out tlkit/assets
    python tools/pretrain.py --without-labels --epochs 4 --seed 0 --out tlkit/assets
    python tools/pretrain.py --report --out tlkit/assets

``--without-labels`` makes resnet_printed_ssl from the glyphs of printed, by `tlkit.pretrain_contrastive`. It keeps its
state in FOLDER/.resnet_printed_ssl.state after each epoch, and goes on from there when it is called again.

Nothing that people said is read here: `tools/speech_tables.py` measures resnet_voices on real recordings.

Recipes are compared with ``--try name=value …``: that trains, prints what held-out fonts and the choosing slice of
mnist's training images say, and writes nothing. Only ``--report`` reads the test images of mnist and optdigits.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import io
import os
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf
from build_assets import packed_weights, write_atomically, write_manifest
from numpy.typing import NDArray
from scipy.stats import t as student_t
from sklearn.linear_model import LogisticRegression
from text_tables import WarmUpThenCosine
from threadpoolctl import threadpool_limits
from voice_views import VoiceRecipe
from voice_views import augment as augment_voices

from tlkit.backbones import small_resnet, wrap_backbone
from tlkit.backbones.loading import VOICES_SIZE, VOICES_WIDTHS
from tlkit.pretraining import PAIRS, pretrain_contrastive

Array = NDArray[Any]
Data = dict[str, Array]

SIZE = 28
WIDTHS = (32, 64, 128, 256)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How to train; each number is the largest strength, drawn anew for each image."""

    batch_size: int = 128
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    warmup: float = 0.05  # share of the steps
    label_smoothing: float = 0.1
    rotation: float = 15.0  # degrees
    shear: float = 0.35  # slant: pixels sideways a pixel down
    zoom: float = 0.2  # logarithm of the scale, each axis on its own
    shift: float = 2.0  # pixels
    elastic: float = 1.2  # pixels, the spread of a smooth random field
    thicken: float = 0.4  # probability of a wider stroke
    thin: float = 0.2  # probability of a narrower stroke
    blur: float = 0.4  # probability
    coarse: float = 0.3  # probability of a passage through 8 to 14 pixels a side
    contrast: float = 0.3  # probability of a harder or softer edge
    noise: float = 0.05
    flip: bool = False  # mirror left and right: for clothes, not for letters
    centred: bool = False  # centre by bounding box instead of by mass
    bfloat16: bool = True  # products in bfloat16, weights in float32: a third faster where the processor has it


def recipe_for(source: str) -> Recipe | VoiceRecipe:
    if source == "voices":
        return VoiceRecipe()
    if source == "fashion":
        changes = {"shear": 0.1, "thicken": 0.0, "thin": 0.0, "elastic": 0.5, "blur": 0.3, "coarse": 0.0}
        return dataclasses.replace(Recipe(), **changes, flip=True)
    return Recipe()


# ---------------------------------------------------------------------------------------------- augmentation


def _neighbours(x: Array) -> Array:
    """Each pixel of images (n, h, w) with the four beside it: (5, n, h, w)."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    return np.stack(
        [x, padded[:, :-2, 1:-1], padded[:, 2:, 1:-1], padded[:, 1:-1, :-2], padded[:, 1:-1, 2:]]
    )  # fmt: skip


def _change_stroke(x: Array, recipe: Recipe, rng: np.random.Generator) -> Array:
    """Grey dilation or erosion of images (n, 28, 28) in 0..1 by one pixel, blended in by a random share."""
    draw, share = rng.random(len(x)), rng.random((len(x), 1, 1), np.float32)
    wide, narrow = draw < recipe.thicken, draw > 1 - recipe.thin
    if wide.any():
        x[wide] += share[wide] * (_neighbours(x[wide]).max(axis=0) - x[wide])
    if narrow.any():
        x[narrow] += 0.7 * share[narrow] * (_neighbours(x[narrow]).min(axis=0) - x[narrow])
    return x


def _smooth_field(rng: np.random.Generator, n: int, knots: int) -> Array:
    """Random fields (n, 28, 28) of unit spread: bumps on a coarse grid, joined by Gaussian weights."""
    at = np.linspace(-1, SIZE, knots)[None] - np.arange(SIZE)[:, None]
    weights = np.exp(-0.5 * (at / (0.6 * (SIZE + 1) / (knots - 1))) ** 2)
    weights = (weights / np.sqrt((weights**2).sum(axis=1, keepdims=True))).astype(np.float32)
    field: Array = weights @ rng.standard_normal((n, knots, knots), np.float32) @ weights.T
    return field


def _warp(x: Array, recipe: Recipe, rng: np.random.Generator) -> Array:
    """Rotation, slant, zoom, shift and an elastic field in one bilinear resampling."""
    n = len(x)

    def uniform(limit: float) -> Array:
        return (limit * rng.uniform(-1, 1, (n, 1, 1))).astype(np.float32)

    angle, slant = np.deg2rad(uniform(recipe.rotation)), uniform(recipe.shear)
    scale_y, scale_x = np.exp(uniform(recipe.zoom)), np.exp(uniform(recipe.zoom))
    middle = (SIZE - 1) / 2
    rows, columns = np.meshgrid(np.arange(SIZE) - middle, np.arange(SIZE) - middle, indexing="ij")
    v, u = rows.astype(np.float32)[None], columns.astype(np.float32)[None]
    v, u = np.cos(angle) * v - np.sin(angle) * u, np.sin(angle) * v + np.cos(angle) * u
    u = u + slant * v
    v, u = v * scale_y + middle + uniform(recipe.shift), u * scale_x + middle + uniform(recipe.shift)
    if recipe.elastic:
        strength = np.abs(uniform(recipe.elastic))
        knots = int(rng.integers(4, 8))
        v = v + strength * _smooth_field(rng, n, knots)
        u = u + strength * _smooth_field(rng, n, knots)

    border = 2  # outside is background: a margin of zeros, and coordinates held within it
    padded = np.pad(x, ((0, 0), (border, border), (border, border)))
    side = SIZE + 2 * border
    v, u = np.clip(v + border, 0, side - 1.001), np.clip(u + border, 0, side - 1.001)
    top, left = v.astype(np.int32), u.astype(np.int32)
    dv, du = v - top, u - left
    index = (np.arange(n, dtype=np.int32) * side * side)[:, None, None] + top * side + left
    flat = padded.ravel()
    upper = flat[index] * (1 - du) + flat[index + 1] * du
    lower = flat[index + side] * (1 - du) + flat[index + side + 1] * du
    warped: Array = (upper * (1 - dv) + lower * dv).astype(np.float32)
    return warped


def _blur_matrix(sigma: float) -> Array:
    at = np.arange(SIZE)[:, None] - np.arange(SIZE)[None]
    weights = np.exp(-0.5 * (at / sigma) ** 2)
    rows: Array = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return rows


def _coarse_matrix(cells: int) -> Array:
    """Area means over ``cells`` cells a side, then linear interpolation back to 28."""
    edges, pixels = np.linspace(0, SIZE, cells + 1), np.arange(SIZE)
    overlap = np.minimum(pixels[None] + 1, edges[1:, None]) - np.maximum(pixels[None], edges[:-1, None])
    down = np.clip(overlap, 0, None) / (SIZE / cells)
    at = np.clip((pixels + 0.5) * cells / SIZE - 0.5, 0, cells - 1)
    up = np.clip(1 - np.abs(at[:, None] - np.arange(cells)[None]), 0, None)
    there_and_back: Array = (up @ down).astype(np.float32)
    return there_and_back


def augment(images: Array, recipe: Recipe, rng: np.random.Generator) -> Array:
    """A random view of each image: (n, 28, 28, 1) uint8 in, (n, 28, 28, 1) float32 in 0..255 out."""
    x = images[..., 0].astype(np.float32) / 255
    n = len(x)
    if recipe.flip:
        mirrored = rng.random(n) < 0.5
        x[mirrored] = x[mirrored, :, ::-1]
    x = _warp(_change_stroke(x, recipe, rng), recipe, rng)
    draw = rng.random(n)
    for chosen, matrix in (
        (draw < recipe.blur, _blur_matrix(rng.uniform(0.4, 1.0))),
        (draw > 1 - recipe.coarse, _coarse_matrix(int(rng.integers(8, 15)))),
    ):
        x[chosen] = matrix @ x[chosen] @ matrix.T
    hard = rng.random(n) < recipe.contrast
    gain = np.exp(rng.uniform(-0.4, 1.0, (n, 1, 1))).astype(np.float32)
    x[hard] = x[hard] * gain[hard]
    if recipe.noise:
        spread = recipe.noise * rng.random((n, 1, 1), np.float32)
        x = x + spread * rng.standard_normal(x.shape, np.float32)
    return 255 * np.clip(x, 0, 1)[..., None]


def recentre(images: Array) -> Array:
    """The same ink with its bounding box, not its mass, in the middle."""
    out = np.empty_like(images)
    for i, image in enumerate(images):
        moves = []
        for axis in (0, 1):
            inked = np.flatnonzero(image.any(axis=(1 - axis, 2)))
            moves.append(round((SIZE - 1 - inked[0] - inked[-1]) / 2))
        out[i] = np.roll(image, moves, axis=(0, 1))
    return out


def view(images: Array, recipe: Recipe | VoiceRecipe, rng: np.random.Generator) -> Array:
    return augment_voices(images, recipe, rng) if isinstance(recipe, VoiceRecipe) else augment(images, recipe, rng)


def batches(data: Data, recipe: Recipe | VoiceRecipe, epochs: int, seed: int) -> Iterator[tuple[Array, Array]]:
    """Augmented batches for all epochs, made ahead in a thread; the order and the views follow from the seed alone."""
    x, y = data["x_train"], data["y_train"].astype(np.int64)
    steps = len(x) // recipe.batch_size

    def make(epoch: int, step: int) -> tuple[Array, Array]:
        order = np.random.default_rng([seed, epoch]).permutation(len(x))
        rows = order[step * recipe.batch_size : (step + 1) * recipe.batch_size]
        return view(x[rows], recipe, np.random.default_rng([seed, epoch, step])), y[rows]

    with ThreadPoolExecutor(max_workers=1) as pool:
        ahead: deque[Future[tuple[Array, Array]]] = deque()
        for epoch in range(epochs):
            for step in range(steps):
                ahead.append(pool.submit(make, epoch, step))
                if len(ahead) > 4:
                    yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


# -------------------------------------------------------------------------------------------------- training


def build(n_classes: int, seed: int, size: int = SIZE) -> tuple[keras.Model, keras.Model]:
    """Backbone and source head."""
    backbone = small_resnet((size, size, 1), VOICES_WIDTHS if size == VOICES_SIZE else WIDTHS, seed=seed)
    start = keras.initializers.GlorotUniform(seed=seed)
    head = keras.Sequential(
        [
            keras.Input(backbone.output_shape[1:]),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(n_classes, name="logits", kernel_initializer=start, dtype="float32"),
        ],
        name="source_head",
    )
    return backbone, head


def train(
    data: Data, recipe: Recipe | VoiceRecipe, *, epochs: int, seed: int
) -> tuple[keras.Model, keras.Model, list[dict[str, float]]]:
    """Cross-entropy with label smoothing, AdamW, a cosine schedule after a linear warm-up."""
    if recipe.centred:
        data = {**data, "x_train": recentre(data["x_train"])}
    n_classes = len(data["classes"])
    keras.config.set_dtype_policy("mixed_bfloat16" if recipe.bfloat16 else "float32")
    backbone, head = build(n_classes, seed, data["x_train"].shape[1])
    keras.config.set_dtype_policy("float32")
    model = keras.Model(backbone.input, head(backbone.output))
    steps = len(data["x_train"]) // recipe.batch_size
    total = epochs * steps
    warmup = int(recipe.warmup * total)
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0, decay_steps=total - warmup, warmup_target=recipe.learning_rate, warmup_steps=warmup
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=recipe.weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    optimizer.build(model.trainable_variables)
    smooth, rest = 1 - recipe.label_smoothing, recipe.label_smoothing / n_classes

    @tf.function  # type: ignore[untyped-decorator]
    def step(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            logits = model(x, training=True)
            wanted = smooth * tf.one_hot(y, n_classes) + rest
            loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(wanted, logits))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return loss

    log: list[dict[str, float]] = []
    start, losses = time.perf_counter(), []
    for number, (x, y) in enumerate(batches(data, recipe, epochs, seed), start=1):
        losses.append(step(x, y))
        if number % steps == 0:
            elapsed = time.perf_counter() - start
            row = {"epoch": number // steps, "loss": float(np.mean(losses)), "seconds": elapsed}
            if number // steps % 2 == 0 or number == total:
                row |= held_out(backbone, head, data)
            log.append({name: round(value, 4) for name, value in row.items()})
            print(log[-1], flush=True)
            losses = []
    return backbone, head, log


# ------------------------------------------------------------------------------------------- without labels

SSL_RATE, SSL_TEMPERATURE = 2e-3, 0.2


LOG = ("epoch", "loss", "accuracy", "seconds")


class Checkpoint(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
    """Writes weights, optimizer and log after each epoch; a later one begins from what is there."""

    def __init__(self, path: Path, backbone: keras.Model) -> None:
        super().__init__()
        self.path, self.backbone, self.start = path, backbone, time.perf_counter()
        self.stored = load_arrays(path) if path.exists() else {}
        self.log = [dict(zip(LOG, row.tolist(), strict=True)) for row in self.stored.get("log", ())]
        if self.stored:
            backbone.set_weights([self.stored[f"weight{i}"] for i in range(len(backbone.weights))])

    def state(self) -> list[keras.Variable]:
        """All that moves: the projection head and the optimizer too."""
        return [*self.model.variables, *self.model.optimizer.variables]

    def on_train_begin(self, logs: Any = None) -> None:
        for i, variable in enumerate(self.state() if self.stored else ()):
            variable.assign(self.stored[f"state{i}"])

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        seconds, self.start = time.perf_counter() - self.start, time.perf_counter()
        before = self.log[-1]["seconds"] if self.log else 0.0
        self.log.append({"epoch": len(self.log) + 1, **(logs or {}), "seconds": before + seconds})
        print({name: round(value, 4) for name, value in self.log[-1].items()}, flush=True)
        arrays = {f"state{i}": np.asarray(variable) for i, variable in enumerate(self.state())}
        arrays |= {f"weight{i}": weight for i, weight in enumerate(self.backbone.get_weights())}
        arrays["log"] = np.array([[row[name] for name in LOG] for row in self.log])
        temporary = self.path.with_suffix(".part.npz")
        np.savez(temporary, **arrays)
        temporary.replace(self.path)


def train_without_labels(
    images: Array, *, epochs: int, seed: int, state: Path
) -> tuple[keras.Model, list[dict[str, float]]]:
    """SimCLR on the images alone: Adam, the rate up to 0.002 in a tenth of the steps, then a cosine to 0."""
    steps = -(-len(images) // PAIRS.batch_size)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        backbone = wrap_backbone(small_resnet((SIZE, SIZE, 1), WIDTHS, seed=seed))
        checkpoint, rates = Checkpoint(state, backbone.model), WarmUpThenCosine(epochs * steps, SSL_RATE)
        done = len(checkpoint.log)
        rates.step = done * steps
        if done < epochs:
            pretrain_contrastive(
                backbone,
                images,
                epochs=epochs - done,
                learning_rate=SSL_RATE,
                temperature=SSL_TEMPERATURE,
                seed=seed + done,
                callbacks=[rates, checkpoint],
            )
    finally:
        keras.config.set_dtype_policy("float32")
    return backbone.model, checkpoint.log


# ------------------------------------------------------------------------------------------------ measurement


def features(backbone: keras.Model, images: Array) -> Array:
    """Global average of the last feature map, (n, 256)."""
    pool = keras.layers.GlobalAveragePooling2D(dtype="float32")
    run = tf.function(lambda x: pool(backbone(x, training=False)), reduce_retracing=True)
    parts = [run(tf.constant(images[i : i + 500], tf.float32)).numpy() for i in range(0, len(images), 500)]
    return np.concatenate(parts)


def source_logits(head: keras.Model, pooled: Array) -> Array:
    kernel, bias = head.get_layer("logits").get_weights()
    logits: Array = pooled @ kernel + bias
    return logits


def held_out(backbone: keras.Model, head: keras.Model, data: Data) -> dict[str, float]:
    """Accuracy on the source's held-out part: all classes and, of printed, the digits among the ten digits."""
    y = data["y_test"]
    logits = source_logits(head, features(backbone, data["x_test"]))
    scores = {"held_out": float(np.mean(logits.argmax(axis=1) == y))}
    if len(data["classes"]) == 62:
        digits = y < 10
        scores["held_out_digits"] = float(np.mean(logits[digits][:, :10].argmax(axis=1) == y[digits]))
    return scores


def few_shot(
    pool_x: Array,
    pool_y: Array,
    x: Array,
    y: Array,
    per_class: int,
    seed: int,
) -> float:
    """Accuracy of logistic regression on ``per_class`` labels per class."""
    rng = np.random.default_rng(seed)
    rows = np.concatenate([rng.permutation(np.flatnonzero(pool_y == c))[:per_class] for c in np.unique(pool_y)])
    with threadpool_limits(1):  # so small a problem is slower on several threads, on a busy machine far slower
        classifier = LogisticRegression(C=1.0, max_iter=3000).fit(pool_x[rows], pool_y[rows])
        return float(classifier.score(x, y))


def choosing_scores(backbone: keras.Model, head: keras.Model, mnist: Data, seeds: int = 20) -> dict[str, float]:
    """Few-shot and zero-shot accuracy on the choosing slice of mnist's training images."""
    inside = np.zeros(len(mnist["y_train"]), bool)
    inside[mnist["choose"]] = True
    pooled, y = features(backbone, mnist["x_train"]), mnist["y_train"]
    scores = {}
    for per_class in (1, 10):
        runs = [few_shot(pooled[~inside], y[~inside], pooled[inside], y[inside], per_class, s) for s in range(seeds)]
        scores[f"choose_{10 * per_class}"] = float(np.mean(runs))
    if head.output_shape[-1] == 62:
        logits = source_logits(head, pooled[inside])[:, :10]
        scores["choose_zero_shot"] = float(np.mean(logits.argmax(axis=1) == y[inside]))
    return scores


def other_synthesizer(backbone: keras.Model, head: keras.Model, data: Data) -> dict[str, float]:
    """Zero-shot accuracy on flite's voices, as they are and in a room with noise."""
    return {
        name: float(np.mean(source_logits(head, features(backbone, data[f"x_{name}"])).argmax(axis=1) == data["y"]))
        for name in ("clean", "room")
    }


def load_arrays(path: Path) -> Data:
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def mean_interval(values: list[float]) -> str:
    """Mean and 95 % interval by Student's t over the seeds."""
    half = student_t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{np.mean(values):.3f} ± {half:.3f}"


def load_pretrained(folder: Path, source: str) -> tuple[keras.Model, keras.Model]:
    backbone, head = build(62 if source == "printed" else 10, seed=0)
    backbone.load_weights(folder / f"resnet_{source}.weights.h5")
    head.load_weights(folder / f"resnet_{source}_head.weights.h5")
    return backbone, head


def report(folder: Path, seeds: int = 5) -> str:
    """The final tables, in Markdown. Reads the test images of mnist and optdigits: run it once, when all is chosen."""
    printed, head = load_pretrained(folder, "printed")
    fashion, _ = load_pretrained(folder, "fashion")
    source = held_out(printed, head, load_arrays(folder / "printed.npz"))
    lines = [
        f"Held-out fonts: {source['held_out']:.3f} over 62 classes, {source['held_out_digits']:.3f} over the digits.",
        "",
    ]
    for name in ("mnist", "optdigits"):
        data = load_arrays(folder / f"{name}.npz")
        y_train, y_test = data["y_train"], data["y_test"]
        zero_shot = source_logits(head, features(printed, data["x_test"]))[:, :10].argmax(axis=1)
        budgets = [n for n in (10, 50, 100, 500, 1000) if n // 10 <= np.bincount(y_train).min()]
        lines += [
            f"Zero-shot on {name}: {np.mean(zero_shot == y_test):.3f} of {len(y_test)} test images.",
            "",
            f"| {name}: labels | " + " | ".join(map(str, budgets)) + " |",
            "|---" * (len(budgets) + 1) + "|",
        ]

        def pixels(x: Array) -> Array:
            return x.reshape(len(x), -1).astype(np.float32) / 255

        inputs = {
            "resnet_printed": [(features(printed, data["x_train"]), features(printed, data["x_test"]))] * seeds,
            "raw pixels": [(pixels(data["x_train"]), pixels(data["x_test"]))] * seeds,
            "resnet_fashion": [(features(fashion, data["x_train"]), features(fashion, data["x_test"]))] * seeds,
            "random weights": [],
        }
        for seed in range(seeds):  # the statistics of an untrained BatchNorm are 0 and 1: it passes pixels through
            untrained, _ = build(62, seed=1000 + seed)
            inputs["random weights"].append((features(untrained, data["x_train"]), features(untrained, data["x_test"])))
        for method, pairs in inputs.items():
            cells = []
            for budget in budgets:
                runs = [
                    few_shot(train_x, y_train, test_x, y_test, budget // 10, seed)
                    for seed, (train_x, test_x) in enumerate(pairs)
                ]
                cells.append(mean_interval(runs))
            lines.append(f"| {method} | " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


# ----------------------------------------------------------------------------------------------- command line


def save_packed(model: keras.Model, path: Path) -> None:
    temporary = path.with_name(f".{path.name}")
    model.save_weights(temporary)
    write_atomically(temporary, packed_weights(temporary.read_bytes()))
    temporary.replace(path)


def save(backbone: keras.Model, head: keras.Model, log: list[dict[str, float]], folder: Path, source: str) -> None:
    for model, stem in ((backbone, f"resnet_{source}"), (head, f"resnet_{source}_head")):
        save_packed(model, folder / f"{stem}.weights.h5")
    text = io.StringIO()
    writer = csv.DictWriter(text, ["epoch", "loss", "seconds", "held_out", "held_out_digits"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(log)
    write_atomically(folder / f"resnet_{source}_log.csv", text.getvalue().encode())
    write_manifest(folder)


def save_without_labels(model: keras.Model, log: list[dict[str, float]], folder: Path) -> None:
    """Weights, log and manifest; the file holds the weights of `small_resnet` under its own names."""
    plain = small_resnet((SIZE, SIZE, 1), WIDTHS)
    plain.set_weights(model.get_weights())
    save_packed(plain, folder / "resnet_printed_ssl.weights.h5")
    text = io.StringIO()
    writer = csv.DictWriter(text, LOG, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: round(value, 4) for name, value in row.items()} for row in log)
    write_atomically(folder / "resnet_printed_ssl_log.csv", text.getvalue().encode())
    write_manifest(folder)


def changed(recipe: Recipe | VoiceRecipe, settings: list[str]) -> Recipe | VoiceRecipe:
    """The recipe with ``name=value`` settings applied."""
    kinds = {field.name: type(getattr(recipe, field.name)) for field in dataclasses.fields(recipe)}
    values: dict[str, Any] = {}
    for setting in settings:
        name, _, value = setting.partition("=")
        if name not in kinds:
            raise SystemExit(f"--try must name one of {', '.join(kinds)}, got {name!r}.")
        values[name] = value == "True" if kinds[name] is bool else kinds[name](value)
    return dataclasses.replace(recipe, **values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", choices=("printed", "fashion", "voices"), default="printed")
    parser.add_argument("--epochs", type=int, default=22)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("tlkit/assets"), help="holds the data, takes the weights")
    parser.add_argument("--try", dest="settings", nargs="*", metavar="NAME=VALUE", help="an ablation: writes nothing")
    parser.add_argument("--subset", type=int, help="with --try: that many training images")
    parser.add_argument("--choosing", type=Path, help="with --source voices: what make_voices.py --choosing wrote")
    parser.add_argument("--without-labels", action="store_true", help="make resnet_printed_ssl")
    parser.add_argument("--report", action="store_true", help="measure the saved weights on the test images")
    options = parser.parse_args()
    if options.report:
        print(report(options.out))
        return
    if options.without_labels:
        images = load_arrays(options.out / "printed.npz")["x_train"][: options.subset]
        state = options.out / ".resnet_printed_ssl.state"
        model, log = train_without_labels(images, epochs=options.epochs, seed=options.seed, state=state)
        save_without_labels(model, log, options.out)
        state.unlink()
        return
    recipe = changed(recipe_for(options.source), options.settings or [])
    data = load_arrays(options.out / f"{options.source}.npz")
    if options.subset:
        data = {**data, "x_train": data["x_train"][: options.subset], "y_train": data["y_train"][: options.subset]}
    backbone, head, log = train(data, recipe, epochs=options.epochs, seed=options.seed)
    if options.source != "voices":
        print(choosing_scores(backbone, head, load_arrays(options.out / "mnist.npz")))
    elif options.choosing is not None:
        print(other_synthesizer(backbone, head, load_arrays(options.choosing)))
    if options.settings is None:
        save(backbone, head, log, options.out, options.source)


if __name__ == "__main__":
    main()
