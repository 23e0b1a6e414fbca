"""Measure what helps to hear a person's Mandarin tones: synthetic Mandarin, or the digits of synthetic voices.

    apt-get install -y espeak-ng
    python tools/tone_tables.py                 # into tlkit/tables/tones.csv
    python tools/tone_tables.py --out FOLDER    # elsewhere

The target is the bundled domain tones: one speaker, split by syllable. The source is the training syllables, as eight
voices of espeak-ng say them in four tones. A network of resnet_voices' kind is trained on them, and not kept, twice: on
the views of the digits, which blur neighbouring bands and so hide the harmonics, and on views that leave these alone.
The second recipe was added after the first was seen to fail: its training loss stayed at chance, and its score on the
real tones had been seen by then. Each network was trained once. The second names 0.875 of the person's tones, and only
0.398 of synthetic voices that it had not heard; why was not found out.
"""

from __future__ import annotations

import itertools
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from make_tones import TONES
from make_voices import PITCHES, RATES, variants
from pretrain import train
from table_rows import Rows
from voice_views import VoiceRecipe

import tlkit
from tlkit._keras import keras
from tlkit.assets import asset_path
from tlkit.domains import Array, Split
from tlkit.speech import read_sound, sound_picture
from tlkit.tables import FOLDER

PER_CLASS, DRAWS, EPOCHS, SEED = (1, 2, 5, 10), 10, 16, 0
VOICES, UNSEEN = 8, 2
VIEWS = {"digits' views": VoiceRecipe(), "views that keep the pitch": VoiceRecipe(smear=0.0, grain=1.0)}
RECIPE = (
    f"source: training syllables in {VOICES} voices of espeak-ng, {EPOCHS} epochs, views of tools/voice_views.py "
    "(digits' views: as they are; views that keep the pitch: smear 0, grain 1); "
    "target: one person, 128 pictures of other syllables; probes: tlkit.linear_probe"
)
INITIALS = "ㄅb ㄆp ㄇm ㄈf ㄉd ㄊt ㄋn ㄌl ㄍg ㄎk ㄏh ㄐj ㄑq ㄒx ㄓzh ㄔch ㄕsh ㄖr ㄗz ㄘc ㄙs"
# Behind an initial; u with two dots is v.
FINALS = """
    ㄚa ㄛo ㄜe ㄞai ㄟei ㄠao ㄡou ㄢan ㄣen ㄤang ㄥeng ㄦer ㄧi ㄧㄚia ㄧㄝie ㄧㄠiao ㄧㄡiu ㄧㄢian ㄧㄣin
    ㄧㄤiang ㄧㄥing ㄨu ㄨㄚua ㄨㄛuo ㄨㄞuai ㄨㄟui ㄨㄢuan ㄨㄣun ㄨㄤuang ㄨㄥong ㄩv ㄩㄝve ㄩㄢvan ㄩㄣvn ㄩㄥiong
"""
# Without one.
ALONE = """
    ㄧyi ㄧㄚya ㄧㄝye ㄧㄠyao ㄧㄡyou ㄧㄢyan ㄧㄣyin ㄧㄤyang ㄧㄥying ㄨwu ㄨㄚwa ㄨㄛwo ㄨㄞwai ㄨㄟwei
    ㄨㄢwan ㄨㄣwen ㄨㄤwang ㄨㄥweng ㄩyu ㄩㄝyue ㄩㄢyuan ㄩㄣyun ㄩㄥyong
"""


def latin(table: str) -> dict[str, str]:
    """``{"ㄅ": "b", ...}``."""
    return {"".join(c for c in word if c > "z"): "".join(c for c in word if c <= "z") for word in table.split()}


def pinyin(zhuyin: str) -> str:
    """``ㄒㄩㄝ`` is ``xue``."""
    initials, finals = latin(INITIALS), latin(FINALS) | {"": "i"}
    if zhuyin[0] not in initials:
        return (finals | latin(ALONE))[zhuyin]
    initial, final = initials[zhuyin[0]], finals[zhuyin[1:]]
    return initial + (final.replace("v", "u") if initial in "jqx" else final)


def syllables() -> tuple[list[str], list[str]]:
    """Those of the training part and of the test part of tones."""
    with np.load(asset_path("tones.npz"), allow_pickle=False) as file:
        names = file["families"]
        train_names, test_names = (names[np.unique(file[f"family_{part}"])] for part in ("train", "test"))
    return train_names.tolist(), test_names.tolist()


def said(names: list[str], voices: list[str], seed: int) -> tuple[Array, Array]:
    """Pictures and tones of syllables, each by each voice, at a rate and a pitch drawn for the voice."""
    rng, x = np.random.default_rng(seed), []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "word.wav"
        for voice in voices:
            how = ["-v", f"cmn-latn-pinyin+{voice}", "-s", str(rng.integers(*RATES)), "-p", str(rng.integers(*PITCHES))]
            for name, tone in itertools.product(names, range(len(TONES))):
                subprocess.run(["espeak-ng", *how, "-w", str(path), f"{pinyin(name)}{tone + 1}"], check=True)
                x.append(sound_picture(*read_sound(path)))
    return np.stack(x), np.tile(np.arange(len(TONES)), len(names) * len(voices))


def synthetic() -> dict[str, Array]:
    """The source: training syllables in eight voices; test syllables in two others."""
    names, others = syllables()
    drawn = np.random.default_rng(SEED).permutation(variants())[: VOICES + UNSEEN].tolist()
    x_train, y_train = said(names, drawn[:VOICES], SEED)
    x_test, y_test = said(others, drawn[VOICES:], SEED + 1)
    classes = np.array(tlkit.load_domain("tones").classes)
    return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test, "classes": classes}


def pooled(model: keras.Model, split: Split) -> Split:
    return tlkit.cache_features(model, split, cache_dir="memory")


def probes(seen: dict[str, tuple[Split, Split]], draws: Iterable[int]) -> list[dict[str, Any]]:
    return [
        {
            "method": method,
            "per_class": per_class,
            "draw": draw,
            "accuracy": tlkit.linear_probe(pool.take(per_class, seed=draw), test),
        }
        for (method, (pool, test)), per_class, draw in itertools.product(seen.items(), PER_CLASS, draws)
    ]


def main(out: Annotated[Path, typer.Option(help="The folder that takes the table.")] = FOLDER) -> None:
    """Train on synthetic Mandarin, measure, store."""
    title = "accuracy on 128 pictures of syllables in four tones, said by one person; no syllable is in both parts"
    table = Rows(out / "tones.csv", title, RECIPE, "method", "per_class", "draw")
    tones = tlkit.load_domain("tones")
    for name in VIEWS:
        if table.lacks(f"frozen, {name}", PER_CLASS[0], 0):
            source = synthetic()
            backbone, head, log = train(source, VIEWS[name], epochs=EPOCHS, seed=SEED)
            whole = tlkit.join(backbone, head)
            unseen = Split(source["x_test"], source["y_test"])
            for what, split in (("source, unseen", unseen), ("zero-shot", tones.test)):
                row = {"method": f"{what}, {name}", "per_class": 0, "draw": 0, "accuracy": tlkit.accuracy(whole, split)}
                table.add(row)
                typer.echo(f"{row}, loss {log[-1]['loss']}")
            seen = {f"frozen, {name}": (pooled(backbone, tones.train), pooled(backbone, tones.test))}
            table.add(*probes(seen, range(DRAWS)))
    if table.lacks("raw log-mel", PER_CLASS[0], 0):
        core = tlkit.load_backbone("resnet_voices").model
        seen = {"frozen, resnet_voices": (pooled(core, tones.train), pooled(core, tones.test))}
        table.add(*probes(seen | {"raw log-mel": (tones.train, tones.test)}, range(DRAWS)))
        for draw in range(DRAWS):
            core = tlkit.load_backbone("resnet_voices", weights=None, seed=draw).model
            table.add(*probes({"random network": (pooled(core, tones.train), pooled(core, tones.test))}, [draw]))


if __name__ == "__main__":
    typer.run(main)
