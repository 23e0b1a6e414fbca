"""Make ``tlkit/assets/tones.npz``: Mandarin syllables in four tones, said by a person, as log-mel pictures.

    apt-get install -y vorbis-tools
    apt-get download gcin-voice && dpkg-deb -x gcin-voice_*.deb build/gcin
    python tools/make_tones.py build/gcin --out tlkit/assets

Only the files ``5.ogg`` are read (CC-BY-3.0); the package's other speaker, ``3.ogg``, is under the GPL or LGPL. A
folder is a syllable in Zhuyin with its tone behind it: none for tone 1, then 2, 3, 4. A 1 behind it is not tone 1 but
the neutral tone: ㄇㄜ1 is 麼, ㄉㄜ1 is 的, and on the three pictures that were looked at the pitch falls.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from build_assets import write_domain
from make_voices import stored_picture
from numpy.typing import NDArray

TONES = ("", "2", "3", "4")
CLASSES = ("tone 1", "tone 2", "tone 3", "tone 4")
DRAWN, TEST, SEED = 96, 32, 0  # syllables
# Their pictures were looked at: of the first hardly a vowel is left, of the second two tones are cut short.
LEFT_OUT = ("ㄕㄜ", "ㄈㄢ")


def syllables(folder: Path) -> list[str]:
    """Those that the speaker says in all four tones, sorted."""
    found = {path.parent.name for path in folder.rglob("5.ogg")}
    return sorted(name for name in found if name[-1] not in "12345" and all(name + tone in found for tone in TONES))


def picture(path: Path, wav: Path) -> NDArray[np.uint8]:
    subprocess.run(["oggdec", "-Q", "-o", str(wav), str(path)], check=True)
    return stored_picture(wav)


def build(folder: Path) -> dict[str, NDArray[Any]]:
    (ogg,) = folder.rglob("ogg")
    names = syllables(ogg)
    drawn = [names[i] for i in np.random.default_rng(SEED).permutation(len(names))[:DRAWN]]
    chosen = [name for name in drawn if name not in LEFT_OUT]
    arrays: dict[str, NDArray[Any]] = {}
    with tempfile.TemporaryDirectory() as room:
        for part, own in (("train", chosen[:-TEST]), ("test", chosen[-TEST:])):
            files = [ogg / (name + tone) / "5.ogg" for name in own for tone in TONES]
            arrays[f"x_{part}"] = np.stack([picture(path, Path(room) / "word.wav") for path in files])
            arrays[f"y_{part}"] = np.tile(np.arange(len(TONES), dtype=np.uint8), len(own))
            arrays[f"family_{part}"] = np.repeat([chosen.index(name) for name in own], len(TONES)).astype(np.uint8)
    return arrays | {"classes": np.array(CLASSES), "families": np.array(chosen)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the package gcin-voice was unpacked")
    parser.add_argument("--out", type=Path, default=Path("tlkit/assets"), help="folder to write to")
    options = parser.parse_args()
    arrays = build(options.folder)
    size = write_domain(options.out, "tones", arrays)
    print(f"tones.npz: {size:,} bytes; {arrays['families'].tolist()}")


if __name__ == "__main__":
    main()
