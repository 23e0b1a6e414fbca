"""Make the pictures of the course, ``notebooks/photos`` and ``notebooks/drawings``, from Tux Paint's stamps.

    apt-get download tuxpaint-stamps-default
    python tools/make_photos.py tuxpaint-stamps-default_2025.03.31-1_all.deb

``tools/photos.csv`` says which stamp becomes which picture. Its rows were sorted by eye: each stamp outside the folders
of symbols was looked at. A stamp that comes with an SVG is a drawing, however real it looks; so is what lies in a
folder ``cartoon``. Left out are a toy bear, a flower of plastic, mirror images, what could be either a photograph or
not (a quetzal, an echidna), and classes of which fewer than twelve photographs, or fewer than two drawings, are left.

A stamp is laid on white, cut to the box of what is seen, and fitted into 144 of 160 pixels. The same package and the
same version of Pillow give the same bytes. The stamps, and so the pictures, are under the GPL, version 2: each of the
two folders says so in ``LICENSE.txt``, with the list of its sources in ``SOURCES.csv``. Needs ``dpkg-deb``.
"""

from __future__ import annotations

import csv
import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image, ImageChops

ROOT = Path(__file__).resolve().parents[1]
LIST = ROOT / "tools" / "photos.csv"
PACKAGE = "6312d03a37d0220b10fc91a7467bf2a2a2336e08c2f416de04311d25fd7aeacb"  # SHA-256, version 2025.03.31-1
STAMPS = Path("usr/share/tuxpaint/stamps")
SIDE, INSIDE = 160, 144  # pixels
VISIBLE = 32  # of 255, beside white: fainter shadows and halos do not widen the box
QUALITY = 92
FOLDERS = {"photos": "photographs", "drawings": "drawings"}
LICENCE = """\
The {what} in this folder are made from the stamps of Tux Paint (https://tuxpaint.org), as packaged in Debian's
tuxpaint-stamps-default 2025.03.31-1, which holds them in the form that is preferred for changes.

Copyright: 2002-2022 by Bill Kendrick <bill@newbreedsoftware.com> and contributors.
Changes: in 2026 tlkit cut each stamp to its box, laid it on white and scaled it to {side} pixels, by the script
tools/make_photos.py. SOURCES.csv says which stamp became which picture.

They are free software under the GNU General Public License, version 2, whose text follows. That licence is of these
pictures alone: they are not part of the Python package tlkit, whose licence is Apache-2.0.

----------------------------------------------------------------------

"""


def read_list(path: Path = LIST) -> list[tuple[str, str]]:
    """The pictures, named from ``notebooks`` on, and the stamp of each."""
    with path.open(encoding="utf-8", newline="") as file:
        return [(row["file"], row["stamp"]) for row in csv.DictReader(file)]


def picture(stamp: Path) -> Image.Image:
    """A stamp on white, ``SIDE`` pixels a side."""
    image = Image.open(stamp).convert("RGBA")
    on_white = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    darkness = ImageChops.invert(on_white).split()
    darkest = ImageChops.lighter(ImageChops.lighter(darkness[0], darkness[1]), darkness[2])
    part = on_white.crop(darkest.point(lambda value: 255 * (value >= VISIBLE)).getbbox())
    scale = INSIDE / max(part.size)
    width, height = (max(1, round(scale * side)) for side in part.size)
    framed = Image.new("RGB", (SIDE, SIDE), "white")
    framed.paste(part.resize((width, height), Image.Resampling.LANCZOS), ((SIDE - width) // 2, (SIDE - height) // 2))
    return framed


def main(
    package: Annotated[Path, typer.Argument(help="Debian's tuxpaint-stamps-default, a .deb file.")],
    out: Annotated[Path, typer.Option(help="Folder to write both folders into.")] = ROOT / "notebooks",
    gpl: Annotated[Path, typer.Option(help="The text of the licence.")] = Path("/usr/share/common-licenses/GPL-2"),
) -> None:
    """Write both folders anew."""
    found = hashlib.sha256(package.read_bytes()).hexdigest()
    if found != PACKAGE:
        raise ValueError(f"{package.name} must have SHA-256 {PACKAGE[:12]}…, got {found[:12]}….")
    rows = read_list()
    for folder in FOLDERS:
        shutil.rmtree(out / folder, ignore_errors=True)
    with tempfile.TemporaryDirectory() as unpacked:
        subprocess.run(["dpkg-deb", "--extract", str(package), unpacked], check=True)
        for name, stamp in rows:
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            picture(Path(unpacked) / STAMPS / stamp).save(out / name, quality=QUALITY, subsampling=0, optimize=True)
    for folder, what in FOLDERS.items():
        text = LICENCE.format(what=what, side=SIDE) + gpl.read_text(encoding="utf-8")
        (out / folder / "LICENSE.txt").write_text(text, encoding="utf-8")
        own = [(name.removeprefix(f"{folder}/"), stamp) for name, stamp in rows if name.startswith(f"{folder}/")]
        with (out / folder / "SOURCES.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([("file", "stamp"), *own])
        size = sum(path.stat().st_size for path in (out / folder).rglob("*.jpg"))
        typer.echo(f"{out / folder}: {len(own)} pictures, {size / 1e6:.2f} MB")


if __name__ == "__main__":
    typer.run(main)
