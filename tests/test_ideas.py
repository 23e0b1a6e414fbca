"""The pictures of the ideas: drawn by code, each in its place in the course, and legible."""

import graphlib
import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import combinations, pairwise
from pathlib import Path

import build_notebooks
import draw_ideas
import matplotlib as mpl
import numpy as np
import pytest
from PIL import ImageFont

NAMES = sorted(draw_ideas.DRAW)
SOURCES = build_notebooks.sources([])
SVG = "{http://www.w3.org/2000/svg}"
SHOWN = re.compile(r"!\[([^\]]*)\]\(pictures/([^)]*)\)")


def committed(name: str) -> str:
    return (draw_ideas.PICTURES / f"{name}.svg").read_text(encoding="utf-8")


# Each picture in its place


@cache
def prose_of(source: Path) -> list[str]:
    cells = build_notebooks.read_source(source).cells
    return [cell.source for cell in cells if cell.cell_type == "markdown"]


def test_each_picture_is_shown_once_and_each_that_is_shown_is_there() -> None:
    shown = [name for source in SOURCES for cell in prose_of(source) for _, name in SHOWN.findall(cell)]
    assert sorted(shown) == [f"{name}.svg" for name in NAMES]
    assert sorted(path.name for path in draw_ideas.PICTURES.iterdir()) == [f"{name}.svg" for name in NAMES]


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_the_text_speaks_of_each_picture_just_before_it(source: Path) -> None:
    for cell in prose_of(source):
        for match in SHOWN.finditer(cell):
            assert re.search(r"\b(picture|map)\b", cell[: match.start()].strip().split("\n\n")[-1])


@pytest.mark.parametrize("name", NAMES)
def test_the_file_is_what_the_tool_draws(name: str) -> None:
    drawn = draw_ideas.DRAW[name]().svg(draw_ideas.descriptions()[name])
    assert drawn == committed(name), "run python tools/draw_ideas.py"
    assert len(drawn.encode()) <= 40_000


@pytest.mark.parametrize("name", NAMES)
def test_screen_readers_get_what_the_picture_says(name: str) -> None:
    root = ElementTree.fromstring(committed(name))
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None
    assert description is not None
    assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    assert title.text
    said = [
        " ".join(words.split())
        for source in SOURCES
        for cell in prose_of(source)
        for words, at in SHOWN.findall(cell)
        if at == f"{name}.svg"
    ]
    assert said == [description.text]
    assert 100 < len(said[0]) < 800
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
        "svg",
        "title",
        "desc",
        "rect",
        "text",
        "tspan",
        "path",
        "polygon",
        "circle",
    }  # nothing that loads or runs


# Legible, whatever font the reader has: measured in DejaVu Sans, which is as wide as the widest of the usual ones


@cache
def font(bold: bool, italic: bool, size: int) -> ImageFont.FreeTypeFont:
    style = ("Bold" if bold else "") + ("Oblique" if italic else "")
    path = Path(mpl.get_data_path()) / "fonts" / "ttf" / f"DejaVuSans{'-' if style else ''}{style}.ttf"
    return ImageFont.truetype(path, 10 * size)  # finer than whole pixels


@dataclass(frozen=True)
class Box:
    left: float
    top: float
    right: float
    bottom: float

    def wider(self, by: float) -> "Box":
        return Box(self.left - by, self.top - by, self.right + by, self.bottom + by)

    def holds(self, other: "Box") -> bool:
        return (
            self.left <= other.left
            and self.top <= other.top
            and other.right <= self.right
            and other.bottom <= self.bottom
        )

    def meets(self, other: "Box") -> bool:
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )


@dataclass(frozen=True)
class Text:
    words: str
    box: Box
    color: str
    background: str
    size: int


def box_of_text(element: ElementTree.Element, size: int) -> Box:
    bold = element.get("font-weight") == "bold"
    runs = [(element.text or "", False, size)]
    for part in element:
        runs += [
            (part.text or "", part.get("font-style") == "italic", int(part.get("font-size", size))),
            (part.tail or "", False, size),
        ]
    width = sum(font(bold, italic, points).getlength(words) / 10 for words, italic, points in runs)
    x, y = float(element.get("x", "nan")), float(element.get("y", "nan"))
    left = x - {"middle": width / 2, "start": 0, "end": width}[element.get("text-anchor", "middle")]
    return Box(left, y - 0.76 * size, left + width, y + 0.24 * size)


def points_of(element: ElementTree.Element) -> list[tuple[float, float]]:
    numbers = [float(each) for each in re.findall(r"-?[\d.]+", element.get("d") or element.get("points", ""))]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


class Seen:
    """What a picture consists of, in numbers."""

    def __init__(self, name: str) -> None:
        root = ElementTree.fromstring(committed(name))
        self.texts: list[Text] = []
        self.boxes: list[Box] = []
        self.marks: list[Box] = []  # circles and heads of arrows: no text may touch them
        self.lines: list[tuple[tuple[float, float], tuple[float, float]]] = []
        filled: list[tuple[Box, str]] = []
        for element in root:
            if element.tag == f"{SVG}rect":
                x, y, width, height = (float(element.get(key, "nan")) for key in ("x", "y", "width", "height"))
                self.boxes.append(Box(x, y, x + width, y + height))
                if element.get("fill") != "none":
                    filled.append((self.boxes[-1], element.get("fill", "")))
            elif element.tag == f"{SVG}circle":
                x, y, radius = (float(element.get(key, "nan")) for key in ("cx", "cy", "r"))
                self.marks.append(Box(x - radius, y - radius, x + radius, y + radius))
            elif element.tag == f"{SVG}path":
                assert re.fullmatch(r"M[-\d. ]+(L[-\d. ]+)+", element.get("d", ""))
                self.lines += pairwise(points_of(element))
            elif element.tag == f"{SVG}polygon":
                xs, ys = zip(*points_of(element), strict=True)
                self.marks.append(Box(min(xs), min(ys), max(xs), max(ys)))
            elif element.tag == f"{SVG}text":
                size = int(element.get("font-size", root.get("font-size", "")))
                box = box_of_text(element, size)
                under = [fill for held, fill in filled if held.meets(box)]
                color = element.get("fill", root.get("fill", ""))
                self.texts.append(Text("".join(element.itertext()), box, color, under[-1], size))
        self.card = self.boxes.pop(0)


@pytest.mark.parametrize("name", NAMES)
def test_no_text_leaves_its_box_or_touches_anything(name: str) -> None:
    seen = Seen(name)
    for text in seen.texts:
        assert seen.card.wider(-8).holds(text.box), text
        for box in seen.boxes:
            assert box.wider(-3).holds(text.box) or not box.wider(1).meets(text.box), (text, box)
        for mark in seen.marks:
            assert not mark.wider(1).meets(text.box), (text, mark)
        for (x0, y0), (x1, y1) in seen.lines:
            steps = max(2, math.ceil(math.dist((x0, y0), (x1, y1))))
            along = zip(np.linspace(x0, x1, steps), np.linspace(y0, y1, steps), strict=True)
            assert not any(Box(x, y, x, y).wider(1).meets(text.box) for x, y in along), (text, (x0, y0), (x1, y1))
    for one, other in combinations(seen.texts, 2):
        assert not one.box.meets(other.box), (one, other)


def luminance(color: str) -> float:
    """WCAG 2's relative luminance."""
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted(map(luminance, (one, other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)  # the best known near miss


@pytest.mark.parametrize("name", NAMES)
def test_text_is_large_and_stands_out(name: str) -> None:
    texts = Seen(name).texts
    assert texts
    for text in texts:
        assert contrast(text.color, text.background) >= 4.5, text
        assert text.size >= draw_ideas.SMALL, text


def test_every_line_and_outline_stands_out() -> None:
    drawn = {color for name in NAMES for color in re.findall(r'stroke="(#\w+)"', committed(name))}
    card = draw_ideas.COLORS["line"]  # the rim of the card says nothing
    fills = {draw_ideas.COLORS["go-fill"]}  # nor does the rim of what is only shaded
    assert {color for color in drawn - fills - {card} if contrast(color, "#ffffff") < 3} == set()


# Machado, Oliveira & Fernandes (2009), a complete lack of one kind of cone, for linear red, green and blue.
BLINDNESS = {
    "red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
TO_XYZ = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]


def lab(color: str, blindness: list[list[float]]) -> np.ndarray:
    """CIE L*a*b* of a colour as somebody sees it."""
    parts = np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    xyz = np.array(TO_XYZ) @ np.clip(np.array(blindness) @ linear, 0, 1) / np.sum(TO_XYZ, axis=1)
    x, y, z = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("lacking", BLINDNESS)
def test_frozen_and_learning_differ_for_colour_blind_readers(lacking: str) -> None:
    def difference(one: str, other: str) -> float:
        return float(
            np.linalg.norm(np.subtract(*(lab(draw_ideas.COLORS[name], BLINDNESS[lacking]) for name in (one, other))))
        )

    # A difference of 2.3 is just seen where two colours lie side by side.
    assert difference("source", "target") > 80
    assert difference("frozen-fill", "learns-fill") > 10


# Pictures say what the course says


def needed() -> Iterator[tuple[str, set[str]]]:
    """The notebooks that each one asks for in its first lines."""
    for source in SOURCES:
        first = " ".join(prose_of(source)[0].split())
        sentence = re.search(r"You need:? (.*?)\. ", first)
        assert sentence is not None, source.name
        yield source.stem[:2], set(re.findall(r"\b[01]\d\b", sentence[1]))


def test_the_map_leads_to_each_notebook_past_those_that_it_needs() -> None:
    before: dict[str, set[str]] = {source.stem[:2]: set() for source in SOURCES}
    for start, ends in draw_ideas.leads_to().items():
        for end in ends:
            before[end].add(start)
    past: dict[str, set[str]] = {}
    for which in graphlib.TopologicalSorter(before).static_order():
        past[which] = before[which].union(*(past[start] for start in before[which]))
    assert set(draw_ideas.PLACES) == set(before)
    needs = dict(needed())
    assert any(needs.values())
    for which, those in needs.items():
        assert those <= past[which], which
    for start, ends in draw_ideas.LEADS_TO.items():  # no arrow without a need
        assert all(start in needs[end] for end in ends)


def test_the_map_says_in_words_what_it_shows() -> None:
    said = draw_ideas.descriptions()["map_of_the_course"].replace(",", "")
    for which, name in draw_ideas.names_of_notebooks().items():
        assert f"{which} {name}".replace(",", "") in said
    for which, exercise in draw_ideas.EXERCISE_AFTER.items():
        assert re.search(rf"\b{exercise} (follows )?{which}\b", said)


def test_attention_is_that_of_the_notebooks_toy() -> None:
    (source,) = build_notebooks.sources(["11"])
    cells = [cell.source for cell in build_notebooks.read_source(source).cells if cell.cell_type == "code"]
    (toy,) = (cell for cell in cells if cell.startswith("words = ["))
    (attend,) = (cell for cell in cells if cell.startswith("def attend("))
    found: dict[str, object] = {"np": np}
    exec(f"{toy}\n{attend}\nshares = attend(q, k, is_token)[words.index('film')]", found)
    shares = [
        f"{100 * share:.0f} %" for share, word in zip(found["shares"], found["words"], strict=True) if word != "[PAD]"
    ]
    texts = [text.words for text in Seen("attention").texts]
    assert [words for words in texts if words in draw_ideas.KEYS] == [
        word for word in found["words"] if word != "[PAD]"
    ] + ["film"]
    assert [words for words in texts if words.endswith(" %")] == shares
