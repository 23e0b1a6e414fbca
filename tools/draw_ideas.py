"""Draw the pictures of the course's ideas, notebooks/pictures/*.svg: base and head, the cache boundary, LoRA and so on.

    python tools/draw_ideas.py

A picture stands on a light card of its own, so that it can be read on a dark page too. Its colours are those of the
widgets' light theme, and whatever a colour says is also said in words. Text stays text, in the reader's own font:
boxes leave room for the widest of the usual ones, which tests/test_ideas.py measures. The description within a file is
the alternative text that the picture has in its notebook: edit it there, and draw again.
"""

from __future__ import annotations

import itertools
import math
import random
import re
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import typer
from build_notebooks import EXERCISE_AFTER, NOTEBOOKS, sources

from tlkit.widgets.theme import STYLE, escape

PICTURES = NOTEBOOKS / "pictures"
WIDTH = 700
SIZE, SMALL = 15, 14  # of text; JupyterLab shows a picture at 85 % of its size in a window of 800 pixels
FONTS = "system-ui, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif"
# The style sheet has the light theme first, each colour by the name of its variable.
COLORS: dict[str, str] = {}
for _name, _color in re.findall(r"--tlkit-([\w-]+): (?:var\([^,]+, )?(#\w{6})", STYLE):
    COLORS.setdefault(_name, _color)
# Kinds of boxes: fill and outline. Blue is frozen, or the source; orange learns, or is the target, as in tlkit.plots.
KINDS = {
    "frozen": ("frozen-fill", "source"),
    "learns": ("learns-fill", "target"),
    "result": ("go-fill", "go"),
    "plain": ("paper", "quiet"),
}

Point = tuple[float, float]


@dataclass(frozen=True)
class Picture:
    """A picture: its parts are SVG elements, in the order in which they are painted."""

    title: str
    height: int
    parts: Sequence[str]

    def svg(self, description: str) -> str:
        """The file's text."""
        head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{self.height}"'
        head += f' viewBox="0 0 {WIDTH} {self.height}" role="img" aria-labelledby="title desc"'
        head += f' font-family="{FONTS}" font-size="{SIZE}" text-anchor="middle" fill="{COLORS["text"]}">'
        said = f'<title id="title">{escape(self.title)}</title>\n<desc id="desc">{escape(description)}</desc>'
        card = rectangle(1, 1, WIDTH - 2, self.height - 2, "paper", "line", radius=10)
        return "\n".join([head, said, card, *self.parts, "</svg>\n"])


# What pictures are made of


def number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def rectangle(
    x: float, y: float, width: float, height: float, fill: str, stroke: str, *, radius: int = 6, more: str = ""
) -> str:
    """A rectangle in two colours of COLORS; ``fill`` may be "none"."""
    place = f'x="{number(x)}" y="{number(y)}" width="{number(width)}" height="{number(height)}" rx="{radius}"'
    return f'<rect {place} fill="{COLORS.get(fill, fill)}" stroke="{COLORS[stroke]}" stroke-width="1.5"{more}/>'


def text(x: float, y: float, words: str, *, size: int = SIZE, color: str = "text", anchor: str = "middle") -> str:
    """Lines of text around the height ``y``: bold after ``**``, italic within ``*…*``, ``_q`` at the end is lowered."""
    lines = words.split("\n")
    first = y - 0.65 * size * (len(lines) - 1) + 0.36 * size
    found = []
    for place, line in enumerate(lines):
        more = "" if anchor == "middle" else f' text-anchor="{anchor}"'
        more += "" if size == SIZE else f' font-size="{size}"'
        more += "" if color == "text" else f' fill="{COLORS[color]}"'
        more += ' font-weight="bold"' if line.startswith("**") else ""
        inside = re.sub(r"\*(.+?)\*", r'<tspan font-style="italic">\1</tspan>', escape(line.removeprefix("**")))
        inside = re.sub(r"_(\w)$", r'<tspan dy="4" font-size="11">\1</tspan>', inside)
        found.append(f'<text x="{number(x)}" y="{number(first + 1.3 * size * place)}"{more}>{inside}</text>')
    return "\n".join(found)


def box(x: float, y: float, width: float, height: float, words: str, kind: str = "plain", *, size: int = SIZE) -> str:
    """A box of one of the KINDS, with text in its middle."""
    return f"{rectangle(x, y, width, height, *KINDS[kind])}\n{text(x + width / 2, y + height / 2, words, size=size)}"


def line(*points: Point, color: str = "quiet", dashed: bool = False, width: float = 1.5) -> str:
    """A line through points."""
    path = "M" + "L".join(f"{number(x)} {number(y)}" for x, y in points)
    dashes = ' stroke-dasharray="5 4"' if dashed else ""
    return f'<path d="{path}" fill="none" stroke="{COLORS[color]}" stroke-width="{number(width)}"{dashes}/>'


def arrow(*points: Point, color: str = "quiet") -> str:
    """A line through points with a head at the last one."""
    (x0, y0), (x1, y1) = points[-2:]
    length = math.hypot(x1 - x0, y1 - y0)
    dx, dy = (x1 - x0) / length, (y1 - y0) / length
    back_x, back_y = x1 - 8 * dx, y1 - 8 * dy
    corners = [(x1, y1), (back_x - 4 * dy, back_y + 4 * dx), (back_x + 4 * dy, back_y - 4 * dx)]
    head = " ".join(f"{number(x)},{number(y)}" for x, y in corners)
    shaft = line(*points[:-1], (back_x, back_y), color=color)
    return f'{shaft}\n<polygon points="{head}" fill="{COLORS[color]}"/>'


def row_of_arrows(y: float, *spans: Point) -> list[str]:
    """Arrows to the right at one height, each from one x to another."""
    return [arrow((begin, y), (end, y)) for begin, end in spans]


def plus(x: float, y: float) -> str:
    """A sum: a plus in a circle."""
    circle = f'<circle cx="{number(x)}" cy="{number(y)}" r="13" fill="{COLORS["paper"]}" stroke="{COLORS["quiet"]}"'
    cross = line((x - 6, y), (x + 6, y), width=2) + "\n" + line((x, y - 6), (x, y + 6), width=2)
    return f'{circle} stroke-width="1.5"/>\n{cross}'


def bracket(x0: float, x1: float, y: float, words: str) -> str:
    """A line over what lies between two places, with text above it."""
    ends = line((x0, y + 7), (x0, y), (x1, y), (x1, y + 7))
    return f"{ends}\n{text((x0 + x1) / 2, y - 14, words, size=SMALL)}"


# The pictures


def base_and_head() -> Picture:
    parts = [text(20, 28, "**Pretraining, on the source: printed characters", anchor="start")]
    parts += [text(20, 266, "**Yours, on the target: handwritten digits", anchor="start")]
    rows = (
        (50, "learns", "**base\nlearns", "**head\nlearns", 62),
        (180, "frozen", "**the same base\nfrozen", "**new head\nlearns", 10),
    )
    for y, kind, base, head, classes in rows:
        parts += [box(20, y, 90, 64, "image\n28 × 28"), box(150, y, 180, 64, base, kind)]
        parts += [box(460, y, 100, 64, head, "learns"), box(600, y, 80, 64, f"{classes}\nscores")]
        parts += row_of_arrows(y + 32, (110, 150), (330, 460), (560, 600))
        parts += [text(393, y + 17, "feature map", size=SMALL), text(393, y + 48, "4 × 4 × 256", size=SMALL)]
    parts += [arrow((240, 114), (240, 180)), text(254, 147, "the weights are kept", size=SMALL, anchor="start")]
    parts += [line((510, 114), (510, 134), dashed=True), text(510, 147, "is left behind", size=SMALL)]
    return Picture(
        "Base and head",
        288,
        parts,
    )


def residual_block() -> Picture:
    y = 142
    parts = [text(40, y, "*x*"), box(101, y - 29, 138, 58, "3 × 3 convolution\nBatchNorm", size=SMALL)]
    parts += [box(260, y - 20, 58, 40, "ReLU", size=SMALL)]
    parts += [box(339, y - 29, 138, 58, "3 × 3 convolution\nBatchNorm", size=SMALL), plus(523, y)]
    parts += [box(556, y - 20, 54, 40, "ReLU", size=SMALL), text(290, y - 44, "correction *F*(*x*)")]
    parts += row_of_arrows(y, (52, 101), (239, 260), (318, 339), (477, 510), (536, 556), (610, 680))
    parts += [arrow((82, y), (82, 54), (523, 54), (523, y - 13)), text(300, 36, "shortcut: *x* as it is")]
    parts += [text(300, 71.5, "(through a 1 × 1 convolution where the shape changes)", size=SMALL)]
    parts += [text(620, y - 44, "relu(*x* + *F*(*x*))")]
    for x in (65, 640):
        parts += [line((x, y - 12), (x, 190), dashed=True, color="go", width=2)]
        parts += [text(x, 210, "one tensor:\ncut here", size=SMALL)]
    parts += [text(300, 210, "two tensors under way:\nno place to cut", size=SMALL)]
    return Picture(
        "Residual block",
        240,
        parts,
    )


def what_learns() -> Picture:
    parts = [bracket(230, 566, 40, "base: pretrained weights, in five stages"), bracket(596, 680, 40, "new")]
    rows = (
        ("Feature extraction", "stage = 5: the head learns", 5),
        ("Fine-tuning, in part", "stage = 3: late stages, too", 3),
        ("Fine-tuning, all of it", "stage = 0: all stages, too", 0),
    )
    for place, (name, what, frozen) in enumerate(rows):
        y = 62 + 72 * place
        parts += [text(20, y + 15, f"**{name}", anchor="start"), text(20, y + 38, what, size=SMALL, anchor="start")]
        for stage in range(1, 6):
            word = "frozen" if stage <= frozen else "learns"
            parts.append(box(162 + 68 * stage, y, 64, 52, f"{stage}\n{word}", word, size=SMALL))
        parts += [box(596, y, 84, 52, "**head\nlearns", "learns", size=SMALL), arrow((566, y + 26), (596, y + 26))]
    return Picture(
        "Feature extraction and fine-tuning: which part learns",
        276,
        parts,
    )


def cache_boundary() -> Picture:
    top, low = 64, 240
    parts = [bracket(20, 358, 38, "once for each image"), bracket(406, 680, 38, "in each epoch")]
    parts += [box(258, top, 100, 60, "features,\nstored", "result"), text(654, top + 30, "loss")]
    parts += [text(654, low + 30, "scores"), arrow((232, low + 30), (406, low + 30))]
    for y, frozen, learns in ((top, "\nfrozen", "\nlearns"), (low, "", "")):
        parts += [box(20, y, 76, 60, "images"), box(122, y, 110, 60, f"**trunk{frozen}", "frozen")]
        parts += [box(406, y, 90, 60, f"**tail{learns}", "learns"), box(522, y, 80, 60, f"**head{learns}", "learns")]
        parts += row_of_arrows(y + 30, (96, 122), (496, 522), (602, 626))
    parts += row_of_arrows(top + 30, (232, 258), (358, 406))
    parts += [line((382, 30), (382, top + 24), width=2.5), line((382, top + 36), (382, 168), width=2.5)]
    parts += [text(382, 182, "boundary", size=SMALL)]
    parts += [arrow((654, top + 44), (654, 144), (386, 144), color="target")]
    parts += [text(514, 160, "the gradient ends at the boundary", size=SMALL)]
    parts += [line((177, top + 60), (177, low), dashed=True)]
    parts += [text(190, 206, "dashed: the same weights", size=SMALL, anchor="start")]
    for x in (451, 562):
        parts += [line((x, top + 60), (x, 138), dashed=True), line((x, 176), (x, low), dashed=True)]
    parts += [text(20, low + 80, "**The whole model, as it is tested and used", anchor="start")]
    return Picture(
        "The cache boundary",
        340,
        parts,
    )


def batchnorm() -> Picture:
    parts = [line((350, 20), (350, 232), color="line")]
    panels = (
        (20, "With the batch’s own statistics", "of this batch", "learns"),
        (360, "With the running statistics", "that were kept", "frozen"),
    )
    for x, heading, which, kind in panels:
        parts += [text(x + 160, 28, f"**{heading}"), text(x + 20, 88, "batch", size=SMALL)]
        words = f"subtract the mean and\ndivide by the deviation\n{which}"
        parts += [box(x + 66, 52, 190, 72, words, kind, size=SMALL), text(x + 298, 88, "× *γ*\n+ *β*")]
        parts += row_of_arrows(88, (x + 43, x + 66), (x + 256, x + 279))
        parts += [box(x + 66, 182, 190, 48, "running mean\nand variance", size=SMALL)]
    parts += [arrow((181, 124), (181, 182)), text(168, 153, "each batch\nmoves them:", size=SMALL, anchor="end")]
    parts += [text(194, 153, "*m* × old +\n(1 − *m*) × batch", size=SMALL, anchor="start")]
    parts += [arrow((521, 182), (521, 124)), text(534, 153, "they stay as\nthey are", size=SMALL, anchor="start")]
    table = (
        ("fit, layer.trainable = True", "left: the statistics move, without a gradient"),
        ("fit, layer.trainable = False", "right: the flag changes the mode, and *γ*, *β* stay"),
        ("predict and evaluate", "right, whatever the flag says"),
    )
    for place, (when, what) in enumerate(table):
        y = 262 + 26 * place
        parts += [text(20, y, f"**{when}", size=SMALL, anchor="start"), text(262, y, what, anchor="start")]
    return Picture(
        "BatchNorm’s two modes",
        336,
        parts,
    )


# Domain shift: two classes in a panel, measured from its left upper corner


def decision(x: float) -> float:
    """The height of the straight line that was learned on the source."""
    return 118 - 0.25 * x


def border(x: float) -> float:
    """The height at which the classes meet: on the left about the line, on the right it bends up."""
    return decision(x) - 0.0075 * max(0.0, x - 95) ** 2


def over(x: float) -> Point:
    """Where a disc may lie at ``x`` that is on the right side of both."""
    return 14, border(x) - 9


def under(x: float) -> Point:
    """Where a square may lie at ``x`` that is on the right side of both."""
    return decision(x) + 10, 156


def between(x: float) -> Point:
    """Where a square may lie at ``x`` that the straight line takes for a disc."""
    return border(x) + 10, decision(x) - 10


def scattered(seed: int, count: int, x_from: float, x_to: float, heights: Callable[[float], Point]) -> list[Point]:
    """Points with room for a ring around each; of a larger count the first ones are the same."""
    draw, found = random.Random(seed), list[Point]()
    while len(found) < count:
        x = x_from + (x_to - x_from) * draw.random()
        low, high = heights(x)
        y = low + (high - low) * draw.random()
        if low < high and all(math.dist((x, y), other) > 16 for other in found):
            found.append((x, y))
    return found


def disc(x: float, y: float, radius: int = 4, color: str = "text") -> str:
    place = f'cx="{number(x)}" cy="{number(y)}" r="{radius}"'
    return f'<circle {place} fill="none" stroke="{COLORS[color]}" stroke-width="2"/>'


def square(x: float, y: float) -> str:
    return f'<rect x="{number(x - 4)}" y="{number(y - 4)}" width="8" height="8" fill="{COLORS["text"]}"/>'


def panel(x: float, kind: str, discs: Sequence[Point], squares: Sequence[Point]) -> list[str]:
    """Both classes, the line and the border; a ring around what lies on the wrong side of the line. Counts below."""
    y, called = 44, [0, 0]
    edge = [(x + i, y + border(i)) for i in range(5, 206, 5) if border(i) > 4]
    straight = ((x + 2, y + decision(2)), (x + 208, y + decision(208)))
    parts = [rectangle(x, y, 210, 170, "paper", kind), line(*edge, dashed=True), line(*straight, color="text", width=2)]
    for which, points in enumerate((discs, squares)):
        for a, b in points:
            below = b > decision(a)
            called[which] += below
            parts.append(square(x + a, y + b) if which else disc(x + a, y + b))
            parts += [] if below == bool(which) else [disc(x + a, y + b, 8, "wrong")]
    right = len(discs) - called[0] + called[1]
    counts = f"right: {right} of {len(discs) + len(squares)}\nof {sum(called)} called ■, {called[1]} are ■"
    return [*parts, text(x + 105, 286, counts, size=SMALL)]


def domain_shift() -> Picture:
    discs, squares = scattered(1, 22, 12, 112, over), scattered(2, 12, 12, 112, under)
    elsewhere = [*scattered(5, 10, 98, 200, under), *scattered(6, 5, 140, 198, between)]
    cases = (
        ("Source", "source", "Here the line is learned,\nand nearly all are right."),
        ("Covariate shift", "target", "Other pictures come, and\neach keeps its right name."),
        ("Label shift", "target", "The classes look as before,\nand come in other shares."),
    )
    points = (
        ([*discs[:12], (62, 110)], [*squares, (16, 107)]),
        (scattered(4, 6, 98, 150, over), elsewhere),
        ([*discs, (62, 110), (88, 103)], squares[:4]),
    )
    parts = []
    for place, ((name, kind, words), (some, others)) in enumerate(zip(cases, points, strict=True)):
        x = 20 + 225 * place
        parts += [text(x + 105, 26, f"**{name}"), *panel(x, kind, some, others), text(x + 105, 241, words, size=SMALL)]
    parts += [disc(28, 330), square(44, 330), disc(530, 330, 8, "wrong")]
    parts += [line((146, 330), (174, 330), color="text", width=2), line((306, 330), (334, 330), dashed=True)]
    legend = (
        (56, "two classes"),
        (180, "the learned line"),
        (340, "where the classes meet"),
        (544, "on the wrong side"),
    )
    parts += [text(x, 330, words, size=SMALL, anchor="start") for x, words in legend]
    return Picture("Two kinds of domain shift", 352, parts)


# What “film” looks at in notebook 11's toy sentence: its query, and the key of each word.
QUERY = (3.0, 0.0)
KEYS = {"not": (0.0, 2.0), "a": (0.0, 0.0), "good": (2.0, 0.0), "film": (0.0, 0.0)}


def attention() -> Picture:
    scores = [math.exp(sum(a * b for a, b in zip(QUERY, key, strict=True)) / math.sqrt(2)) for key in KEYS.values()]
    parts = [text(51, 34, "vector *x*\nper token", size=SMALL), text(162, 34, "learned, the\nsame for all", size=SMALL)]
    parts += [box(110, 60, 104, 214, "*q* = *xW*_q\n\n*k* = *xW*_k\n\n*v* = *xW*_v", "learns")]
    parts += [text(266 + 50 * place, 42, name, size=SMALL) for place, name in enumerate(("query", "key", "value"))]
    for place, (word, score) in enumerate(zip(KEYS, scores, strict=True)):
        y, share = 82 + 57 * place, score / sum(scores)
        parts += [box(20, y - 17, 62, 34, word), *row_of_arrows(y, (82, 110), (214, 244), (388, 416))]
        for column, name in enumerate("qkv"):
            if column > 0 or word == "film":
                parts.append(box(248 + 50 * column, y - 15, 36, 30, f"*{name}*", "result"))
            else:
                parts.append(text(266, y, f"*{name}*", color="quiet"))
        parts += [rectangle(424, y - 9, max(2, 88 * share), 18, "go", "go", radius=1)]
        parts += [text(434 + max(2, 88 * share), y, f"{100 * share:.0f} %", size=SMALL, anchor="start")]
    parts += [text(480, 34, "how much “film”\nlooks at each", size=SMALL)]
    parts += [line((566, 82), (574, 82), (574, 253), (566, 253)), arrow((574, 167), (594, 167))]
    parts += [box(594, 137, 94, 60, "**film\nnew vector", "result", size=SMALL)]
    notes = (
        "Weights: the softmax of *q* · *k* / √*d*, with the *q* of “film” and the *k* of each token.",
        "New vector: the values *v*, mixed with these weights. What “film” uses stands in a box.",
    )
    parts += [text(20, 303 + 22 * place, note, size=SMALL, anchor="start") for place, note in enumerate(notes)]
    return Picture("Attention", 344, parts)


def lora() -> Picture:
    parts = [text(34, 84, "*x*"), arrow((48, 84), (130, 84)), rectangle(130, 30, 150, 108, *KINDS["frozen"])]
    parts += [text(205, 84, "***W*\nfrozen\n*d* × *k*"), arrow((280, 84), (577, 84)), plus(590, 84)]
    parts += [arrow((603, 84), (650, 84)), text(666, 84, "*h*")]
    parts += [
        arrow((80, 84), (80, 216), (130, 216)),
        rectangle(130, 162, 26, 108, *KINDS["learns"]),
        text(143, 216, "*A*"),
    ]
    parts += [
        text(168, 246, "*d* × *r*, learns,\nrandom at first", size=SMALL, anchor="start"),
        arrow((156, 216), (290, 216)),
    ]
    parts += [rectangle(290, 203, 150, 26, *KINDS["learns"]), text(365, 216, "*B*")]
    parts += [text(365, 254, "*r* × *k*, learns,\nzero at first", size=SMALL)]
    parts += [
        arrow((440, 216), (490, 216)),
        box(490, 196, 70, 40, "× *α* / *r*"),
        arrow((560, 216), (590, 216), (590, 97)),
    ]
    parts += [text(430, 68, "*xW*"), text(223, 203, "*r* numbers", size=SMALL)]
    notes = (
        "*r* (*d* + *k*) weights learn instead of *d k*: few, if the rank *r* is small.",
        "*α* is a constant that you choose. It says how much the added part counts.",
        "The division by *r* is meant to keep that part about as large at another rank.",
    )
    parts += [text(20, 302 + 24 * place, note, anchor="start") for place, note in enumerate(notes)]
    return Picture(
        "LoRA",
        372,
        parts,
    )


def precision_and_recall() -> Picture:
    """Examples stand in 12 columns and 6 rows; the first 4 columns are twos, and a frame within is called two."""
    left, top, step = 36.0, 66.0, 25.0
    others = "705138469073584160975148306951738640917359680143"
    colors = {"hit": "go", "missed": "text", "false alarm": "wrong", "neither": "quiet"}
    counts = dict.fromkeys(colors, 0)
    edge = step / 2
    parts = [rectangle(left + edge, top + edge, 3 * step, 4 * step, "go-fill", "go-fill", radius=0)]
    for row, column in itertools.product(range(6), range(12)):
        is_two, called = column < 4, 1 <= column <= 4 and 1 <= row <= 4
        kind = ("hit" if called else "missed") if is_two else ("false alarm" if called else "neither")
        counts[kind] += 1
        digit = "2" if is_two else others[8 * row + column - 4]
        bold = "**" if called else ""
        parts.append(text(left + step * column, top + step * row, bold + digit, color=colors[kind]))
    parts += [rectangle(left - edge, top - edge, 4 * step, 6 * step, "none", "text")]
    parts += [rectangle(left + edge, top + edge, 4 * step, 4 * step, "none", "go", more=' stroke-dasharray="6 4"')]
    parts += [text(left - edge, 36, "solid frame: are a 2", size=SMALL, anchor="start")]
    parts += [text(left - edge, 224, "dashed frame: were called 2", size=SMALL, anchor="start")]
    hits, unit = counts["hit"], 264 / 24
    shares = (
        ("Precision", "are a 2", "were called 2", counts["false alarm"], "false alarms", "wrong"),
        ("Recall", "were called 2", "are a 2", counts["missed"], "missed", "quiet"),
    )
    for place, (name, counted, of, lost, word, color) in enumerate(shares):
        y = 44 + 92 * place
        parts += [text(380, y, f"**{name}", anchor="start")]
        parts += [text(380, y + 23, f"of {hits + lost} that {of}, {hits} {counted}", size=SMALL, anchor="start")]
        parts += [rectangle(380, y + 38, unit * hits, 24, "go-fill", "go", radius=0)]
        parts += [rectangle(380 + unit * hits, y + 38, unit * lost, 24, "paper", color, radius=0)]
        parts += [text(380 + unit * hits / 2, y + 50, f"{hits} hits", size=SMALL)]
        inside = lost > 8  # a narrow bar has its text behind it
        x = 380 + unit * (hits + (lost / 2 if inside else lost)) + (0 if inside else 8)
        parts += [text(x, y + 50, f"{lost} {word}", size=SMALL, anchor="middle" if inside else "start")]
    parts += [
        text(
            380,
            228,
            "In the confusion matrix, precision\nreads a column, and recall a row.",
            size=SMALL,
            anchor="start",
        )
    ]
    return Picture("Precision and recall", 256, parts)


# The map: what each notebook leads to, and its column and row. From 00 to 05 each leads to the next.

LEADS_TO = {
    "03": ("06", "07", "08"), "04": ("13", "18"), "05": ("09", "11", "20"), "06": ("14",),
    "07": ("10", "15", "16", "17"), "09": ("10",), "11": ("12", "19"),
}  # fmt: skip
PLACES = {f"{row:02d}": (0, row) for row in range(6)} | {
    "06": (1, 1), "08": (1, 2), "07": (1, 3), "13": (1, 4), "09": (1, 5), "11": (1, 6), "18": (1, 7), "20": (1, 8),
    "14": (2, 1), "15": (2, 2), "16": (2, 3), "17": (2, 4), "10": (2, 5), "12": (2, 6), "19": (2, 7),
}  # fmt: skip


def names_of_notebooks() -> dict[str, str]:
    """Number and short name of each notebook, from its heading up to a colon."""
    headings = (source.read_text(encoding="utf-8").splitlines()[1].removeprefix("# # ") for source in sources([]))
    return {heading[:2]: heading[5:].partition(":")[0] for heading in headings}


def leads_to() -> dict[str, tuple[str, ...]]:
    """All arrows of the map."""
    first = [number for number, (column, _) in PLACES.items() if column == 0]
    return LEADS_TO | {a: (b, *LEADS_TO.get(a, ())) for a, b in itertools.pairwise(first)}


def way(start: Point, end: Point, width: float, height: float, *, corner: bool) -> str:
    """An arrow from one box to another, by their left upper corners: down, along the gutter, or around one corner."""
    (x0, y0), (x1, y1) = start, end
    if x0 == x1:
        return arrow((x0 + width / 2, y0 + height), (x0 + width / 2, y1))
    y0, y1 = y0 + height / 2, y1 + height / 2
    if corner:
        x = x1 + width / 2
        return arrow((x0 + width, y0), (x, y0), (x, y1 + math.copysign(height / 2, y0 - y1)))
    gutter = (x0 + width + x1) / 2
    return arrow((x0 + width, y0), (gutter, y0), (gutter, y1), (x1, y1))


def map_of_the_course() -> Picture:
    width, height, across, down = 202, 66, 229, 80
    corners = {which: (20 + across * column, 20 + down * row) for which, (column, row) in PLACES.items()}
    parts = []
    for start, ends in leads_to().items():
        column, row = PLACES[start]
        free = column > 0 and (column + 1, row) not in PLACES.values()  # so that an arrow may go around the corner
        parts += [way(corners[start], corners[end], width, height, corner=free) for end in ends]
    for which, name in names_of_notebooks().items():
        x, y = corners[which]
        words = "\n".join(textwrap.wrap(name, 26, break_on_hyphens=False))
        parts += [rectangle(x, y, width, height, "paper", "text" if PLACES[which][0] == 0 else "quiet")]
        parts += [text(x + 10, y + 15, f"**{which}", size=SMALL, anchor="start")]
        parts += [text(x + 10, y + 44, words, size=SMALL, anchor="start")]
        if which in EXERCISE_AFTER:
            parts.append(box(x + width - 46, y + 4, 42, 23, EXERCISE_AFTER[which], "result", size=SMALL))
    legend = "Read 00 to 05 in this order. Each arrow leads to\na notebook that builds on the one it comes from."
    parts += [text(252, 36, legend, size=SMALL, anchor="start"), box(252, 60, 42, 23, "ps1", "result", size=SMALL)]
    parts += [text(300, 71.5, "the graded exercise that follows a notebook", size=SMALL, anchor="start")]
    return Picture("Map of the course", 2 * 20 + max(row for _, row in PLACES.values()) * down + height, parts)


DRAW = {
    "base_and_head": base_and_head,
    "residual_block": residual_block,
    "what_learns": what_learns,
    "cache_boundary": cache_boundary,
    "batchnorm": batchnorm,
    "domain_shift": domain_shift,
    "attention": attention,
    "lora": lora,
    "precision_and_recall": precision_and_recall,
    "map_of_the_course": map_of_the_course,
}


def descriptions() -> dict[str, str]:
    """The alternative text of each picture, from the notebook that shows it."""
    found = {}
    for source in sources([]):
        prose = re.sub(r"^# ?", "", source.read_text(encoding="utf-8"), flags=re.M)
        for words, name in re.findall(r"!\[([^\]]*)\]\(pictures/(\w+)\.svg\)", prose):
            found[name] = " ".join(words.split())
    return found


def main() -> None:
    """Write all pictures anew."""
    PICTURES.mkdir(exist_ok=True)
    said = descriptions()
    for name, draw in DRAW.items():
        (PICTURES / f"{name}.svg").write_text(draw().svg(said[name]), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    typer.run(main)
