"""FeatureMap: which pictures does a network put next to each other, stage by stage?"""

from __future__ import annotations

import threading
from functools import cache
from typing import Any

import ipywidgets
import numpy as np
import pandas as pd
import traitlets
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from sklearn.manifold import TSNE

from tlkit.backbones import Backbone
from tlkit.domains import Array, Domain, Split, check_count, check_seed
from tlkit.features import cache_features, check_shape, pool_features, split_at
from tlkit.plots import SOURCE_COLOR, TARGET_COLOR
from tlkit.widgets.page import Page
from tlkit.widgets.still import Still
from tlkit.widgets.theme import escape, literal, spread_over, style_sheet
from tlkit.widgets.thumbnails import data_uri, thumbnail
from tlkit.words import shortened

__all__ = ["FeatureMap"]

NEAREST = 5
_WIDTH, _HEIGHT, _SIDE = 640, 440, 30  # of the map and of a picture on it, in pixels
_THUMBNAIL = 64
# The paper is white in both themes, so marks on it have the colours of the light one.
_RULES = f"""
.tlkit-map svg {{ background: #fff; }}
.tlkit-map image {{ mix-blend-mode: multiply; }} /* white paper hides no neighbour */
.tlkit-map rect {{ fill: none; stroke: none; stroke-width: 3; }}
.tlkit-map [aria-pressed="true"] rect {{ stroke: {TARGET_COLOR}; }}
.tlkit-map .near rect {{ stroke: {SOURCE_COLOR}; }}
.tlkit-map line {{ stroke: {SOURCE_COLOR}; stroke-width: 1.5; }}
.tlkit-near .widget-html-content {{ display: flex; flex-wrap: wrap; gap: 10px; align-items: flex-start; }}
.tlkit-near figure {{ margin: 0; width: 76px; font-size: 12px; text-align: center; overflow-wrap: anywhere; }}
.tlkit-near img {{ border: 3px solid var(--tlkit-line); border-radius: 4px; background: #fff; }}
.tlkit-near .picked img {{ border-color: var(--tlkit-target); }}
.tlkit-near .same img {{ border-color: var(--tlkit-source); }}
"""


class FeatureMap(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets ships no types
    """A map of pictures: those that the network finds alike lie together. Press one to see its nearest neighbours.

    Features are the means over positions at the end of a stage; stage 0 is the pixels. Each feature is centred and
    scaled to spread 1, and pictures are alike by the cosine between them. The map is a t-SNE of that (van der Maaten &
    Hinton, 2008): it keeps who is near, and not how far apart others are. Neighbours are looked up in all features, not
    there.

    Args:
        domain: Images; as many of each class as of any other are taken from its training part.
        backbone: Takes these images.
        images: At most so many in all, 2 per class or more.
        seed: Chooses them, and makes the map.

    Raises:
        ValueError: The domain holds texts, the backbone takes other images, or ``images`` is too small.
    """

    stage = traitlets.Int(help="The stage at whose end pictures are compared, from 0: the pixels.")
    picked = traitlets.Int(help="The picture whose neighbours are shown: its place in `split`.")

    def __init__(self, domain: Domain, backbone: Backbone, *, images: int = 80, seed: int = 0) -> None:
        if domain.train.is_text:
            raise ValueError(f"domain must hold images, got texts ({domain.name}).")
        check_shape(backbone.model, domain.train)
        check_seed(seed)
        check_count("images", images, least=2 * len(domain.classes))
        self.domain, self.backbone, self._seed = domain, backbone, seed
        present = np.bincount(domain.train.y, minlength=len(domain.classes))
        per_class = min(images // len(domain.classes), int(present[present > 0].min()))
        #: The pictures on the map, with their classes.
        self.split: Split = domain.train.take(per_class, seed=seed)
        self._lock = threading.RLock()
        self._vectors = cache(self._vectors_at)
        self._likeness = cache(self._likeness_at)
        self._places = cache(self._places_at)
        self._pictures = [thumbnail(pixels, _THUMBNAIL) for pixels in self.split.x]
        self._uris = [data_uri(picture, exact=picture.mode == "L") for picture in self._pictures]
        self._still = Still(self._draw, lambda: (8.4, 5.2), lambda: f"FeatureMap of {domain.name}: {self.sentence}")
        names = ["pixels", *(f"stage {k}" for k in range(1, backbone.n_stages + 1))]
        self._slider = ipywidgets.SelectionSlider(
            options=[(name, k) for k, name in enumerate(names)], description="compare", continuous_update=False
        )
        self._map, self._near, self._words = (ipywidgets.HTML() for _ in range(3))
        self._map.add_class("tlkit-map").add_class("tlkit-framed")
        self._near.add_class("tlkit-near")
        super().__init__([style_sheet(_RULES), Page(self._pressed), self._slider, self._map, self._words, self._near])
        self.add_class("tlkit").add_class("tlkit-feature-map")
        self.stage = backbone.n_stages
        traitlets.link((self, "stage"), (self._slider, "value"))
        self.observe(self._refresh, names=["stage", "picked"])
        self._refresh()

    @traitlets.validate("stage")
    def _check_stage(self, proposal: Any) -> int:
        if not 0 <= proposal["value"] <= self.backbone.n_stages:
            raise ValueError(f"stage must be in 0..{self.backbone.n_stages}, got {proposal['value']}.")
        return int(proposal["value"])

    @traitlets.validate("picked")
    def _check_picked(self, proposal: Any) -> int:
        if not 0 <= proposal["value"] < len(self.split):
            raise ValueError(f"picked must be in 0..{len(self.split) - 1}, got {proposal['value']}.")
        return int(proposal["value"])

    # What a learner calls

    def likeness(self, stage: int | None = None) -> Array:
        """The cosine between each two pictures, ``(n, n)``, at the end of a stage; by default of the present one."""
        return self._likeness(self.stage if stage is None else stage).copy()

    def neighbours(self, picture: int | None = None, *, stage: int | None = None, n: int = NEAREST) -> list[int]:
        """The places in ``split`` of the ``n`` pictures that are most alike, the nearest first."""
        place = self.picked if picture is None else picture
        row = self._likeness(self.stage if stage is None else stage)[place].copy()
        row[place] = -np.inf
        found: list[int] = np.argsort(-row, kind="stable")[:n].tolist()
        return found

    def same_class(self, stage: int | None = None) -> pd.Series:
        """Of each picture, whether the nearest one is of its class."""
        nearest = [self.neighbours(k, stage=stage, n=1)[0] for k in range(len(self.split))]
        return pd.Series(self.split.y[nearest] == self.split.y, name="same class")

    @property
    def sentence(self) -> str:
        """What the map shows, in words."""
        near = self.split.y[self.neighbours()] == self.split.y[self.picked]
        name = self.domain.classes[self.split.y[self.picked]]
        where = "by their pixels" if self.stage == 0 else f"at the end of stage {self.stage}"
        chance = np.mean([(self.split.y == label).sum() - 1 for label in self.split.y]) / (len(self.split) - 1)
        return (
            f"Compared {where}: {near.sum()} of the {len(near)} nearest of this picture ({name}) are {name}, too. "
            f"Of all {len(self.split)} pictures {self.same_class().mean():.0%} have a nearest one of their own class; "
            f"chance is {chance:.0%}."
        )

    # What is computed once

    def _vectors_at(self, stage: int) -> Array:
        with self._lock:
            split = self.split
            if stage > 0:
                split = cache_features(split_at(self.backbone, stage)[0], split, cache_dir="memory")
            found = pool_features(split).astype(np.float64)
            found -= found.mean(axis=0)
            found /= np.maximum(found.std(axis=0), 1e-9)
            unit: Array = found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)
            return unit

    def _likeness_at(self, stage: int) -> Array:
        vectors = self._vectors(stage)
        alike: Array = vectors @ vectors.T
        return alike

    def _places_at(self, stage: int) -> Array:
        """Of each picture, the middle on the map, ``(n, 2)`` pixels."""
        vectors = self._vectors(stage)
        made = TSNE(init="random", perplexity=min(15.0, (len(vectors) - 1) / 3), random_state=self._seed % 2**32)
        flat = made.fit_transform(vectors.astype(np.float32))
        return spread_over(flat, _WIDTH, _HEIGHT, _SIDE / 2 + 4)

    # What is shown

    def _pressed(self, what: str) -> None:
        if what.isdecimal() and int(what) < len(self.split):
            self.picked = int(what)

    def _refresh(self, _: Any = None) -> None:
        with self._lock:
            self._map.value = self._svg()
            self._words.value = f"<p>{escape(self.sentence)}</p>"
            near, likeness = self.neighbours(), self.likeness()[self.picked]
            figures = [self._figure(self.picked, "picked", "picked")]
            same = self.split.y[near] == self.split.y[self.picked]
            for k, is_same in zip(near, same, strict=True):
                figures.append(
                    self._figure(k, "same" if is_same else "other", f"{'✓' if is_same else '✗'} {likeness[k]:.2f}")
                )
            self._near.value = "".join(figures)
            self._still.renew()

    def _name(self, k: int) -> str:
        return str(self.domain.classes[self.split.y[k]])

    def _figure(self, k: int, kind: str, text: str) -> str:
        name, size = escape(self._name(k)), f'width="{_THUMBNAIL}" height="{_THUMBNAIL}"'
        return (
            f'<figure class="{kind}"><img src="{self._uris[k]}" {size} alt="{name}">'
            f"<br>{escape(shortened(self._name(k), 14))}<br>{text}</figure>"
        )

    def _svg(self) -> str:
        places, near = self._places(self.stage), self.neighbours()
        order = np.lexsort(places.T[::-1]).tolist()  # arrow keys lead from left to right
        x0, y0 = places[self.picked]
        parts = [f'<line x1="{x0:.1f}" y1="{y0:.1f}" x2="{places[k][0]:.1f}" y2="{places[k][1]:.1f}"/>' for k in near]
        last = ""
        for column, k in enumerate(order):
            x, y = places[k] - _SIDE / 2
            picked = k == self.picked
            size = f'width="{_SIDE}" height="{_SIDE}"'
            button = (
                f'<g role="button" tabindex="{0 if picked else -1}" data-press="{k}" data-row="0" '
                f'data-column="{column}" '
                f'aria-pressed="{str(picked).lower()}"{" class=near" if k in near else ""} '
                f'aria-label="{escape(self._name(k))}, picture {k}"><title>{escape(self._name(k))}</title>'
                f'<image x="{x:.1f}" y="{y:.1f}" {size} href="{self._uris[k]}"/>'
                f'<rect x="{x:.1f}" y="{y:.1f}" {size}/></g>'
            )
            if picked:
                last = button  # on top
            else:
                parts.append(button)
        words = escape(f"Map of {len(self.split)} pictures of {self.domain.name}")
        return (
            f'<svg role="group" data-grid data-lm-suppress-shortcuts="true" aria-label="{words}" '
            f'viewBox="0 0 {_WIDTH} {_HEIGHT}">{"".join(parts)}{last}</svg>'
        )

    def _draw(self, figure: Figure) -> None:
        axes = figure.subplot_mosaic([["map"] * (NEAREST + 1), list(range(NEAREST + 1))], height_ratios=[5, 1])
        ax, places, near = axes["map"], self._places(self.stage), self.neighbours()
        ax.set(xlim=(0, _WIDTH), ylim=(_HEIGHT, 0), xticks=[], yticks=[], title=literal(self._title()))
        framed = [*near, self.picked]
        for k in [*np.setdiff1d(range(len(places)), framed).tolist(), *framed]:  # those with a frame on top
            edge = TARGET_COLOR if k == self.picked else SOURCE_COLOR if k in near else "none"
            look = {"edgecolor": edge, "facecolor": "white" if k in framed else "none"}
            pixels = np.asarray(self._pictures[k].convert("RGBA")).copy()
            pixels[(pixels[..., :3] > 250).all(axis=-1), 3] = 0  # white paper hides no neighbour
            ax.add_artist(AnnotationBbox(OffsetImage(pixels, zoom=0.36), places[k], bboxprops=look, pad=0.1))
        for number, k in enumerate([self.picked, *near]):
            axes[number].imshow(np.asarray(self._pictures[k].convert("RGB")))
            axes[number].set_title(literal(shortened(self._name(k), 12)), fontsize=9)
            axes[number].axis("off")

    def _title(self) -> str:
        compared = "pixels" if self.stage == 0 else f"features of stage {self.stage}"
        return f"{self.domain.name}, {self.backbone.name}: {compared}; below, one picture and its nearest"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return self._still.beside(super()._repr_mimebundle_(include=include, exclude=exclude))
