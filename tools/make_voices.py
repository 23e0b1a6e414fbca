"""Make ``tlkit/assets/voices.npz``: the ten digits as espeak-ng says them in a hundred voices, as log-mel pictures.

    apt-get install -y espeak-ng          # 1.52.0; another version gives other sounds
    python tools/make_voices.py --out tlkit/assets

    apt-get install -y flite              # 2.2
    python tools/make_voices.py --choosing build/flite.npz

makes what recipes are compared on, and is not bundled: four voices of another synthesizer, made of people's recordings,
as they are (``x_clean``) and in a room with noise (``x_room``). No real recording of the target chooses anything.

A voice is one of espeak-ng's variants. Each speaks twice, with an accent of English, a rate and a pitch that are drawn
from a seed. Grey is kept in 16 steps of 3.3 dB: that halves the file.
"""

from __future__ import annotations

import argparse
import itertools
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from build_assets import npz_bytes, write_atomically, write_domain
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from tlkit.speech import WORDS, read_sound, sound_picture

Floats = NDArray[np.floating[Any]]

ACCENTS = (
    "en", "en-us", "en-us-nyc", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-029",
)  # fmt: skip
# Their echo comes late and loud: a word is there twice.
TWICE = ("RicishayMax", "RicishayMax2", "RicishayMax3")
# The same voice, changed.
SAME = {"anikarobot": "anika", "anxiousandy": "andy", "whisperf": "whisper"}
TAKES = 2
FLITE = {"kal16": 100, "awb": 110, "rms": 105, "slt": 180}  # and their pitch in hertz
RATES, PITCHES = (110, 230), (15, 85)  # words per minute; espeak-ng's 0 to 99
GREY = 17  # a step: 255 / 15
TEST_FRACTION, SEED = 0.17, 0


@dataclass(frozen=True)
class Take:
    """How one voice says the ten words."""

    voice: str
    accent: str
    rate: int
    pitch: int


def variants() -> list[str]:
    """espeak-ng's variants by file name, sorted, without those that say a word twice."""
    listing = subprocess.run(["espeak-ng", "--voices=variant"], capture_output=True, text=True, check=True).stdout
    names = (line.split()[4].removeprefix("!v/") for line in listing.splitlines()[1:])
    return sorted(name for name in names if name not in TWICE)


def family(voice: str) -> str:
    """``klatt`` for klatt2 to klatt6: voices that are alike, and must not be torn apart."""
    plain = voice.lower().rstrip("0123456789")
    return SAME.get(plain, plain)


def takes(voices: Sequence[str]) -> list[Take]:
    rng = np.random.default_rng(SEED)
    drawn = [
        (voice, rng.integers(len(ACCENTS)), rng.integers(*RATES), rng.integers(*PITCHES)) for voice in voices * TAKES
    ]
    return [Take(voice, ACCENTS[accent], int(rate), int(pitch)) for voice, accent, rate, pitch in drawn]


def stored_picture(path: Path) -> NDArray[np.uint8]:
    """The picture of a sound, in 16 steps of grey, which take fewer bytes."""
    return (np.rint(sound_picture(*read_sound(path)) / GREY) * GREY).astype(np.uint8)


def say(take: Take, word: str, path: Path) -> NDArray[np.uint8]:
    how = ["-v", f"{take.accent}+{take.voice}", "-s", str(take.rate), "-p", str(take.pitch)]
    subprocess.run(["espeak-ng", *how, "-w", str(path), word], check=True)
    return stored_picture(path)


def build() -> dict[str, NDArray[Any]]:
    voices = variants()
    families = sorted({family(voice) for voice in voices})
    tested = set(
        np.random.default_rng(SEED).permutation(len(families))[: round(TEST_FRACTION * len(families))].tolist()
    )
    rows: dict[str, list[tuple[NDArray[np.uint8], int, int]]] = {"train": [], "test": []}
    with tempfile.TemporaryDirectory() as folder:
        for take in takes(voices):
            number = families.index(family(take.voice))
            for label, word in enumerate(WORDS):
                picture = say(take, word, Path(folder) / "word.wav")
                rows["test" if number in tested else "train"].append((picture, label, number))
    arrays: dict[str, NDArray[Any]] = {}
    for part, found in rows.items():
        x, y, numbers = zip(*found, strict=True)
        arrays |= {f"x_{part}": np.stack(x), f"y_{part}": np.array(y, np.uint8)}
        arrays[f"family_{part}"] = np.array(numbers, np.uint8)
    return arrays | {"classes": np.array(WORDS), "families": np.array(families)}


def cut(samples: Floats, rate: int) -> Floats:
    """Without the silence that flite puts around a word."""
    heard = np.flatnonzero(np.abs(samples) > 0.03 * np.abs(samples).max())
    return samples[max(0, heard[0] - rate // 50) : heard[-1] + rate // 50]


def in_a_room(samples: Floats, rate: int, rng: np.random.Generator) -> Floats:
    """With an echo that falls by 60 dB in 0.1 to 0.4 s, and pinkish noise 12 to 35 dB below."""
    n = int(rng.uniform(0.1, 0.4) * rate)
    tail = rng.standard_normal(n) * np.exp(-6.9 * np.arange(n) / n)
    tail[0] = rng.uniform(4, 12)  # the direct way
    sound = fftconvolve(samples, tail)[: len(samples) + rate // 20]
    spectrum = np.fft.rfft(rng.standard_normal(len(sound)))
    noise = np.fft.irfft(spectrum / np.sqrt(np.arange(len(spectrum)) + 30.0), len(sound))
    return np.asarray(
        sound + noise * np.sqrt((sound**2).mean() / (noise**2).mean()) * 10 ** (-rng.uniform(12, 35) / 20)
    )


def build_choosing() -> dict[str, NDArray[Any]]:
    rng = np.random.default_rng(1)
    clean, room, labels = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "word.wav")
        for voice, pitch in FLITE.items():
            for stretch, factor, label in itertools.product((0.8, 1.0, 1.3), (0.85, 1.15), range(10)):
                how = ["--setf", f"duration_stretch={stretch}", "--setf", f"int_f0_target_mean={pitch * factor}"]
                subprocess.run(["flite", "-voice", voice, *how, "-t", WORDS[label], "-o", path], check=True)
                samples, rate = read_sound(path)
                clean.append(sound_picture(samples, rate))
                room.append(sound_picture(in_a_room(cut(samples, rate), rate, rng), rate))
                labels.append(label)
    return {"x_clean": np.stack(clean), "x_room": np.stack(room), "y": np.array(labels)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("tlkit/assets"), help="folder to write to")
    parser.add_argument("--choosing", type=Path, help="a file for flite's voices, and nothing else")
    options = parser.parse_args()
    if options.choosing is not None:
        write_atomically(options.choosing, npz_bytes(build_choosing()))
        return
    arrays = build()
    size = write_domain(options.out, "voices", arrays)
    sizes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
    print(f"voices.npz: {size:,} bytes; {len(variants())} voices; {sizes}")


if __name__ == "__main__":
    main()
