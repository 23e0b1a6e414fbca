"""Make ``tlkit/assets/emoji.npz``: emoji of three vendors, with their names in English and Chinese.

    npm pack @iconify-json/noto@1.2.9 @iconify-json/twemoji@1.2.5 @iconify-json/fluent-emoji-flat@1.2.6
    python tools/make_emoji.py FOLDER --out tlkit/assets

FOLDER holds the three unpacked packages, as ``noto``, ``twemoji`` and ``fluent-emoji-flat`` with ``icons.json`` and
``chars.json``. Needs ``resvg-py==0.5.0``, which draws, ``emoji==2.16.0``, which names, and Pillow, in an environment of
their own; nothing else in tlkit needs the first two.

An emoji is taken if all three vendors drew it without a skin tone, and if it has a name in both languages. It is drawn
in four times the size on white, made smaller, and reduced to a palette of its own. Flags of countries are not
among them: two of the three packages have none.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import emoji
import numpy as np
import resvg_py
from numpy.typing import NDArray
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that it runs where tlkit is not installed

SIDE, FINE, COLORS = 40, 4, 16  # pixels; how many times larger it is drawn; colors of a picture
VENDORS = ("noto", "twemoji", "fluent-emoji-flat")
GROUPS = (
    "Smileys & Emotion",
    "People & Body",
    "Animals & Nature",
    "Food & Drink",
    "Travel & Places",
    "Activities",
    "Objects",
    "Symbols",
    "Flags",
)
TONES = {f"1f3f{kind}" for kind in "bcdef"}
PERSONS = {"1f468", "1f469", "1f9d1"}  # man, woman, person
JOINS = {"200d", "2640", "2642", "27a1"}  # the joiner, and the signs for female, male and facing right
FULLY_QUALIFIED = 2  # emoji's status of the one form in which it should be written

Package = dict[str, Any]


def read(folder: Path) -> Package:
    return {name: json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for name in ("icons", "chars")}


def plain(name: str) -> str:
    """``:red_apple:`` without colons and underscores."""
    return name.strip(":").replace("_", " ")


def named() -> dict[str, tuple[str, str, str]]:
    """By code points without the sign for color, as Iconify writes them: the emoji, its English and Chinese name."""
    emoji.config.load_language("zh")
    found = {}
    for text, about in emoji.EMOJI_DATA.items():
        codes = "-".join(f"{ord(letter):x}" for letter in text if letter != "\ufe0f")
        if about["status"] == FULLY_QUALIFIED and "zh" in about and not TONES & set(codes.split("-")):
            found[codes] = text, plain(about["en"]), plain(about["zh"])
    return found


def family(codes: str) -> str:
    """What emoji share that differ by man, woman or person, or by facing right: they may not be torn apart."""
    parts = codes.split("-")
    rest = [part for part in parts if part not in PERSONS | JOINS]
    return "-".join(["person"] * bool(PERSONS & set(parts)) + rest) if rest else codes


def without_sign(chars: dict[str, str]) -> dict[str, str]:
    return {"-".join(part for part in codes.split("-") if part != "fe0f"): name for codes, name in chars.items()}


def draw(package: Package, name: str) -> NDArray[np.uint8]:
    """One emoji on white, ``(SIDE, SIDE, 3)``."""
    icons, flip = package["icons"], False
    while name not in icons["icons"]:
        alias = icons["aliases"][name]
        name, flip = alias["parent"], flip ^ alias.get("hFlip", False)
        assert not set(alias) - {"parent", "hFlip"}, alias
    icon = icons["icons"][name]
    width, height = (icon.get(side, icons.get(side, 16)) for side in ("width", "height"))
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{icon.get("left", 0)} {icon.get("top", 0)} {width} {height}">{icon["body"]}</svg>'
    )
    drawn = resvg_py.svg_to_bytes(svg_string=svg, width=SIDE * FINE, height=SIDE * FINE)
    with Image.open(io.BytesIO(bytes(drawn))) as picture:
        on_white = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture.convert("RGBA"))
    small = np.asarray(on_white.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX))
    return small[:, ::-1] if flip else small


def with_palette(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Which color each pixel has, ``(SIDE, SIDE)``, and the colors ``(COLORS, 3)``, from light to dark."""
    reduced = Image.fromarray(pixels).quantize(COLORS, Image.Quantize.MEDIANCUT, kmeans=2, dither=Image.Dither.NONE)
    colors = np.zeros((COLORS, 3), np.uint8)
    palette = np.reshape(reduced.getpalette() or [], (-1, 3))[:COLORS]
    colors[: len(palette)] = palette
    indices = np.asarray(reduced)
    used = np.bincount(indices.ravel(), minlength=COLORS) > 0
    order = np.argsort(np.where(used, -colors.astype(int).sum(axis=1), 1), kind="stable")
    return np.argsort(order, kind="stable").astype(np.uint8)[indices], np.where(used[:, None], colors, 0)[order]


def build(folder: Path) -> dict[str, NDArray[Any]]:
    packages = [read(folder / vendor) for vendor in VENDORS]
    names, chars = named(), [without_sign(package["chars"]) for package in packages]
    categories = json.loads((folder / VENDORS[0] / "metadata.json").read_text(encoding="utf-8"))["categories"]
    group_of = {icon: GROUPS.index(group) for group, icons in categories.items() for icon in icons}
    chosen = sorted(
        (group_of[chars[0][codes]], codes)
        for codes in names
        if all(codes in own for own in chars) and chars[0][codes] in group_of
    )
    indices, colors = [], []
    with ThreadPoolExecutor(2) as pool:
        for package, own in zip(packages, chars, strict=True):
            pictures = pool.map(lambda each: with_palette(draw(package, own[each[1]])), chosen)  # noqa: B023
            for where, which in pictures:
                indices.append(where)
                colors.append(which)
    shape = (len(VENDORS), len(chosen))
    texts = [names[codes] for _, codes in chosen]
    return {
        "pixels": np.reshape(indices, (*shape, SIDE, SIDE)),
        "colors": np.reshape(colors, (*shape, COLORS, 3)),
        "group": np.array([group for group, _ in chosen], np.uint8),
        "family": np.unique([family(codes) for _, codes in chosen], return_inverse=True)[1].astype(np.uint16),
        "emoji": np.array([each[0] for each in texts]),
        "english": np.array([each[1] for each in texts]),
        "chinese": np.array([each[2] for each in texts]),
        "groups": np.array(GROUPS),
        "vendors": np.array(VENDORS),
    }


def main() -> None:
    from build_assets import write_domain

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the three packages were unpacked")
    parser.add_argument("--out", type=Path, default=Path("tlkit/assets"), help="folder to write to")
    options = parser.parse_args()
    arrays = build(options.folder)
    size = write_domain(options.out, "emoji", arrays)
    print(f"emoji.npz: {size:,} bytes, {len(arrays['group'])} emoji")


if __name__ == "__main__":
    main()
