"""Measure what notebook 19 has no time for: ten draws of two towers on emoji and their names, and their baselines.

    python tools/caption_tables.py                   # all tables, into tlkit/tables
    python tools/caption_tables.py --out FOLDER      # elsewhere

The encoder must have been fetched (`tlkit fetch text`). Rows are written as they come: a run that was stopped goes on
where it was.

A draw keeps a fifth of the families of emoji for the test, and one vendor of three (draw 0 the first, draw 1 the next,
draw 2 the third, and so on): the towers learn from the two other vendors' pictures of all other emoji. 200 of the emoji
that were kept are the gallery of "unseen" concepts, 200 that were learned from that of "seen" ones. Shares of hidden
features and numbers of epochs are chosen for each method on families that no draw tests.
"""

from __future__ import annotations

import functools
import itertools
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from table_rows import Rows, best_setting

import tlkit
from tlkit._keras import keras
from tlkit.captions import build_tower, cosines, letter_counts, recall_at
from tlkit.domains import Array, Split
from tlkit.emoji import emoji_folds, load_emoji
from tlkit.features import cache_features, pool_features
from tlkit.tables import FOLDER
from tlkit.text import load_text_backbone, text_split

DRAWS, CHOOSING = 10, 100  # CHOOSING draws the families on which settings are chosen
GALLERY = 200
IMAGE_SIZE = 64  # pixels at which the network sees a picture
RATE, TEMPERATURE, BATCH = 3e-3, 0.07, 256
RANDOM = 3  # random networks, which the draws share: to run one takes as long as several trainings
DROPOUTS, EPOCHS = (0.2, 0.5), (10, 20)
PICTURES = {  # what the image tower sees, by method
    "ImageNet features": "features",
    "random network": "random",
    "color histogram": "histogram",
    "pixels": "pixels",
    "shuffled captions": "features",
    "English captions only": "features",
    "English read by MiniLM": "features",
}
CHOSEN = ("ImageNet features", "random network", "color histogram", "pixels")  # the others take those of the first
LANGUAGES = ("English", "Chinese")
# Classes by a word of the English name, and what is typed for it in Chinese.
WORDS = {
    "face": "脸", "button": "按钮", "heart": "心", "arrow": "箭头", "moon": "月亮", "clock": "钟", "cat": "猫",
    "flag": "旗",
}  # fmt: skip
GROUPS = {
    "Smileys & Emotion": ("face", "脸"), "People & Body": ("person", "人"), "Animals & Nature": ("animal", "动物"),
    "Food & Drink": ("food", "食物"), "Travel & Places": ("place", "地方"), "Activities": ("sport", "运动"),
    "Objects": ("object", "物品"), "Symbols": ("symbol", "符号"), "Flags": ("flag", "旗"),
}  # fmt: skip
RECIPE = (
    f"towers of one dense layer to 128 numbers on frozen features; Adam, {RATE:g}, batches of {BATCH} concepts, "
    f"temperature {TEMPERATURE:g}; share of features hidden {DROPOUTS} and epochs {EPOCHS} chosen per method on "
    "families that no draw tests; two vendors learned from, the third is draw modulo 3, and so is the random network"
)


@functools.cache
def pictures(kind: str, network: int = 0) -> Array:
    """What an image tower sees: ``(3, n, d)``; ``network`` makes the weights of a random one."""
    emoji = load_emoji()
    x = emoji.pictures
    if kind == "pixels":  # means of four by four
        found = x.reshape(3, len(emoji), 10, 4, 10, 4, 3).mean(axis=(3, 5))
    elif kind == "histogram":
        found = histograms(x)
    else:
        weights = "pretrained" if kind == "features" else None
        backbone = tlkit.load_backbone(
            "efficientnet_lite0", image_size=IMAGE_SIZE, input_shape=(40, 40, 3), weights=weights, seed=network
        )
        flat = x.reshape(-1, *x.shape[2:])
        found = pool_features(cache_features(backbone.model, Split(flat, np.zeros(len(flat), int)), cache_dir="memory"))
    return np.reshape(found, (3, len(emoji), -1)).astype(np.float32)


def histograms(x: Array) -> Array:
    """The square root of each color's share, four steps per channel: ``(..., 64)``."""
    bins = (x // 64).astype(np.int64) @ [16, 4, 1]
    return np.sqrt(np.eye(64, dtype=np.float32)[bins].mean(axis=(-3, -2)))


def seen_by(method: str, seed: int) -> Array:
    kind = PICTURES[method]
    return pictures(kind, seed % RANDOM if kind == "random" else 0)


@functools.cache
def captions() -> Array:
    """``(2, n, 2048)``: English and Chinese names as counts of letters."""
    emoji = load_emoji()
    return np.stack([letter_counts(emoji.english), letter_counts(emoji.chinese)])


@functools.cache
def read_by_minilm() -> Array:
    """``(1, n, 384)``: English names, as the frozen encoder of `tlkit fetch text` reads them."""
    names = load_emoji().english
    ids = text_split(names, np.zeros(len(names), int))
    return pool_features(cache_features(load_text_backbone("minilm").model, ids, cache_dir="memory"))[None]


def said_to(method: str) -> Array:
    """What the text tower sees: ``(1 or 2, n, width)``, English first."""
    if method == "English read by MiniLM":
        return read_by_minilm()
    return captions()[:1] if method == "English captions only" else captions()


@dataclass(frozen=True, eq=False)
class Draw:
    """Places among the emoji, and among the vendors."""

    learned: Array
    unseen: Array
    seen: Array
    known: tuple[int, ...]
    third: int


@functools.cache
def draw_of(seed: int) -> Draw:
    emoji = load_emoji()
    choosing = emoji_folds(emoji, seed=CHOOSING)[1]
    kept = choosing if seed == CHOOSING else np.setdiff1d(emoji_folds(emoji, seed=seed)[1], choosing)
    learned = np.setdiff1d(np.arange(len(emoji)), kept)
    rng = np.random.default_rng(seed)
    unseen, seen = (np.sort(rng.permutation(places)[:GALLERY]) for places in (kept, learned))
    third = seed % 3
    return Draw(learned, unseen, seen, tuple(vendor for vendor in range(3) if vendor != third), third)


def train(
    method: str, draw: Draw, dropout: float, epochs: int, seed: int, *callbacks: Validation
) -> tuple[keras.Model, keras.Model]:
    images = seen_by(method, seed)[list(draw.known)][:, draw.learned]
    texts = said_to(method)[:, draw.learned]
    if method == "shuffled captions":
        texts = texts[:, np.random.default_rng(seed).permutation(len(draw.learned))]
    image_tower = build_tower(images, dropout=dropout, standardise=True, seed=seed)
    text_tower = build_tower(texts, dropout=dropout, standardise="MiniLM" in method, seed=seed)
    for each in callbacks:
        each.towers = image_tower, text_tower
    tlkit.pretrain_captions(
        image_tower,
        text_tower,
        images,
        texts,
        epochs=epochs,
        learning_rate=RATE,
        temperature=TEMPERATURE,
        batch_size=BATCH,
        seed=seed,
        callbacks=list(callbacks),
        progress=False,
    )
    return image_tower, text_tower


def both_ways(scores: Array) -> dict[str, float]:
    sides = {"text": scores, "image": scores.T}  # what is asked with
    return {f"{side}_{k}": recall_at(of_side, k) for side, of_side in sides.items() for k in (1, 5)}


def retrieval(towers: Any, x: Array, texts: Array, places: Array, vendors: tuple[int, ...]) -> Array:
    """Scores of each name and picture, ``(vendors, 200, 200)``; ``x`` and ``texts``: what the towers see."""
    return np.stack([cosines(*towers, x[vendor, places], texts[places]) for vendor in vendors])


class Validation(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
    """After so many epochs: the mean top 5 of names that find pictures, over languages and vendors."""

    def __init__(self, x: Array, draw: Draw) -> None:
        super().__init__()
        self.x, self.draw, self.found = x, draw, dict[int, float]()
        self.towers: Any = None

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if epoch + 1 in EPOCHS:
            scores = [retrieval(self.towers, self.x, texts, self.draw.unseen, (0, 1, 2)) for texts in captions()]
            self.found[epoch + 1] = float(np.mean([recall_at(one, 5) for each in scores for one in each]))


def choose(method: str, table: Rows) -> tuple[float, int]:
    for dropout in DROPOUTS:
        if table.lacks(method, dropout, max(EPOCHS)):
            watch = Validation(seen_by(method, CHOOSING), draw_of(CHOOSING))
            train(method, draw_of(CHOOSING), dropout, max(EPOCHS), CHOOSING, watch)
            at = {"method": method, "dropout": dropout}
            table.add(*({**at, "epochs": epochs, "validation": found} for epochs, found in watch.found.items()))
    tried = [row for row in table.rows if row["method"] == method]
    dropout, epochs = best_setting(tried, "dropout", "epochs")
    return float(dropout), int(epochs)


def new_names(draw: Draw) -> Array:
    """Which of the unseen have an English name without any word that was learned from."""
    words = [set(letters_only(name).split()) for name in load_emoji().english]
    known = set().union(*(words[place] for place in draw.learned))
    return np.array([not words[place] & known for place in draw.unseen])


def letters_only(name: str) -> str:
    return "".join(letter if letter.isalpha() else " " for letter in name.lower())


def languages_of(method: str) -> tuple[str, ...]:
    """Which names it is tested with: MiniLM reads English alone."""
    return LANGUAGES[:1] if "MiniLM" in method else LANGUAGES


def measure(method: str, seed: int, table: Rows, zero_shot: Rows, choices: Rows) -> None:
    start, draw = time.perf_counter(), draw_of(seed)
    dropout, epochs = choose(method if method in CHOSEN else CHOSEN[0], choices)
    towers = train(method, draw, dropout, epochs, seed)
    rows = []
    for concepts, vendor, language in itertools.product(("unseen", "seen"), ("known", "third"), languages_of(method)):
        places = draw.unseen if concepts == "unseen" else draw.seen
        vendors = draw.known if vendor == "known" else (draw.third,)
        texts = (said_to(method) if "MiniLM" in method else captions())[LANGUAGES.index(language)]
        scores = retrieval(towers, seen_by(method, seed), texts, places, vendors)
        each = [both_ways(one) for one in scores]
        row: dict[str, Any] = {"method": method, "draw": seed, "concepts": concepts, "vendor": vendor}
        row |= {"language": language} | {name: float(np.mean([one[name] for one in each])) for name in each[0]}
        new = new_names(draw)
        if concepts == "unseen" and language == "English":
            own = np.array([[(row >= row[i]).sum() <= 5 for i, row in enumerate(one)] for one in scores])
            row |= {"known_words_5": own[:, ~new].mean(), "new_words_5": own[:, new].mean(), "new_words": new.sum()}
        rows.append(row)
    table.add(*rows)
    if method in ("ImageNet features", "shuffled captions"):
        zero_shot.add(*by_typing(towers, draw, {"method": method, "draw": seed}))
    typer.echo(f"{method}, draw {seed}: {rows[0]} in {time.perf_counter() - start:.1f} s")


def by_typing(towers: Any, draw: Draw, at: dict[str, Any]) -> list[dict[str, Any]]:
    """Classes named by typing, on the third vendor's pictures of what was kept: the mean of the classes' accuracies."""
    emoji, rows = load_emoji(), []
    kept = np.setdiff1d(np.arange(len(emoji)), draw.learned)
    of_word = [[k for k, word in enumerate(WORDS) if word in letters_only(emoji.english[i]).split()] for i in kept]
    kinds = {"words": [own[0] if len(own) == 1 else -1 for own in of_word], "groups": emoji.group[kept].tolist()}
    typed = {"words": list(WORDS.items()), "groups": [GROUPS[group] for group in emoji.groups]}
    for kind, language in itertools.product(kinds, LANGUAGES):
        y = np.array(kinds[kind])
        texts = letter_counts([each[LANGUAGES.index(language)] for each in typed[kind]])
        answers = cosines(*towers, pictures("features")[draw.third, kept[y >= 0]], texts).argmax(axis=0)
        right, y = answers == y[y >= 0], y[y >= 0]
        share = float(np.mean([right[y == k].mean() for k in np.unique(y)]))
        rows.append({**at, "classes": kind, "language": language, "pictures": len(y), "balanced_accuracy": share})
    return rows


def main(out: Annotated[Path, typer.Option(help="The folder that takes the tables.")] = FOLDER) -> None:
    """Choose, measure, store."""
    title = f"share of {GALLERY} names whose picture (text_) or of pictures whose name (image_) is found at rank 1 or 5"
    table = Rows(out / "captions.csv", title, RECIPE, "method", "draw", "concepts", "vendor", "language")
    title = "classes named by typing, third vendor's pictures of unseen concepts: mean of the classes' accuracies"
    typed = Rows(out / "captions_typed_classes.csv", title, RECIPE, "method", "draw", "classes", "language")
    title = "mean top 5 of names of families that no draw tests, per setting"
    choices = Rows(out / "captions_choices.csv", title, RECIPE, "method", "dropout", "epochs")
    for method in CHOSEN:
        choose(method, choices)
    for seed, method in itertools.product(range(DRAWS), PICTURES):
        if table.lacks(method, seed, "seen", "third", languages_of(method)[-1]):
            measure(method, seed, table, typed, choices)


if __name__ == "__main__":
    typer.run(main)
