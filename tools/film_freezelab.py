"""FreezeLab in motion, for the README: frozen up to stage 4, trained, then up to stage 1, trained again.

    python tools/film_freezelab.py docs/freezelab.gif            # and its last picture: docs/freezelab.png

Pictures are taken when something changes, and shown as long as it takes to read them: how fast this machine is can be
seen in the table's seconds alone. Run it where nothing else runs.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from lab_in_browser import browser, jupyterlab, open_notebook, run_all, set_theme, write_notebook
from PIL import Image

CELL = """import tlkit
from tlkit.widgets import FreezeLab
lab = FreezeLab(tlkit.load_pair(), tlkit.load_backbone("resnet_printed"))
lab.freeze_to(0)
lab.epochs, lab.base_rate = 12, 3e-3
lab.measure_scratch()
lab"""
WIDTH, MOST_BYTES = 1060, 1_500_000
STEP, GROWTH, READING, END = 260, 200, 1500, 3000  # milliseconds that a picture is seen
MOST_GROWTH = 14  # pictures of one training
# A pointer, which a headless browser does not have.
POINTER = """() => {
    const pointer = document.createElement('div');
    pointer.innerHTML = '<svg width="22" height="22" viewBox="0 0 22 22"><path d="M3 2l15 8-7 2-3 7z" fill="#111827" '
        + 'stroke="white" stroke-width="1.5"/></svg>';
    Object.assign(pointer.style, {position: 'fixed', zIndex: 99999, pointerEvents: 'none', left: '-50px', top: '0'});
    document.body.append(pointer);
    document.addEventListener('mousemove', event =>
        Object.assign(pointer.style, {left: `${event.clientX}px`, top: `${event.clientY}px`}), true);
}"""


class Film:
    """The pictures that were taken, and how long each is seen."""

    def __init__(self, page: Any) -> None:
        self._page = page
        self.pictures: list[Image.Image] = []
        self.milliseconds: list[int] = []

    def take(self, milliseconds: int) -> None:
        """A picture of the widget; where nothing has changed, the last one is seen for longer."""
        self.add([self._look()], milliseconds)

    def point_at(self, selector: str) -> None:
        box = self._page.locator(selector).first.bounding_box()
        self._page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=4)
        self.take(2 * STEP)

    def train(self) -> None:
        """Press Train, and take a picture at each change until the run's row is there."""
        self.point_at("button.tlkit-train")
        rows = self._page.locator(".tlkit-restore")
        runs = rows.count()
        self._page.mouse.down()
        self._page.mouse.up()
        seen = [self._look()]
        while rows.count() == runs or self._page.locator("button.tlkit-train").is_disabled():
            now = self._look()
            if not _same(now, seen[-1]):
                seen.append(now)
        chosen = np.unique(np.linspace(0, len(seen) - 1, MOST_GROWTH).round().astype(int))
        self.add([seen[i] for i in chosen], GROWTH)
        self.take(READING)

    def add(self, pictures: Sequence[Image.Image], milliseconds: int) -> None:
        for picture in pictures:
            if self.pictures and _same(picture, self.pictures[-1]):
                self.milliseconds[-1] += milliseconds
            else:
                self.pictures.append(picture)
                self.milliseconds.append(milliseconds)

    def write(self, path: Path) -> None:
        """As an animated GIF in the colours of the last picture, in which each line and its name are there."""
        palette = self.pictures[-1].quantize(96, dither=Image.Dither.NONE)
        first, *rest = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in self.pictures]
        first.save(path, save_all=True, append_images=rest, duration=self.milliseconds, loop=0, optimize=True)
        self.pictures[-1].quantize(128, dither=Image.Dither.NONE).save(path.with_suffix(".png"), optimize=True)

    def _look(self) -> Image.Image:
        box = self._page.locator(".tlkit").bounding_box()
        clip = {name: round(value) for name, value in box.items()} | {"width": WIDTH, "height": 620}
        return Image.open(io.BytesIO(self._page.screenshot(clip=clip))).convert("RGB")


def _same(one: Image.Image, other: Image.Image) -> bool:
    return one.tobytes() == other.tobytes()


def main(path: Annotated[Path, typer.Argument(help="The GIF; its last picture goes beside it, as a PNG.")]) -> None:
    """Film it."""
    with tempfile.TemporaryDirectory() as folder, jupyterlab(Path(folder)) as server, browser() as chromium:
        write_notebook(server, "film.ipynb", [CELL])
        page = chromium.new_page(viewport={"width": 1250, "height": 900})
        page.set_default_timeout(300_000)
        open_notebook(page, server, "film.ipynb")
        set_theme(page, "JupyterLab Light")
        run_all(page)
        page.wait_for_selector("button.tlkit-train:not([disabled])")
        page.evaluate("document.querySelector('.tlkit').scrollIntoView()")
        page.evaluate(POINTER)
        film = Film(page)
        film.take(STEP)
        film.point_at(".tlkit-freeze-to .noUi-handle")
        for key, times in (("ArrowRight", 4), ("ArrowLeft", 3)):
            page.locator(".tlkit-freeze-to .noUi-handle").focus()
            for _ in range(times):
                page.keyboard.press(key)
                page.wait_for_timeout(400)  # until the kernel has moved the boundary
                film.take(STEP)
            film.train()
        film.take(END)
        film.write(path)
    size = path.stat().st_size
    typer.echo(f"{path}: {len(film.pictures)} pictures, {sum(film.milliseconds) / 1000:.1f} s, {size:,} bytes")
    if size > MOST_BYTES:
        raise ValueError(f"the film may have {MOST_BYTES:,} bytes, got {size:,}.")


if __name__ == "__main__":
    typer.run(main)
