"""DomainCompare: one model on the source and on the target, image by image and error by error."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import ipywidgets
import numpy as np
import pandas as pd
import traitlets
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from scipy import stats
from scipy.special import softmax
from sklearn.metrics import confusion_matrix

from tlkit._keras import keras
from tlkit._keras.graph import calls_of
from tlkit.backbones import Backbone
from tlkit.domains import Array, Domain, DomainPair, Split, check_seed
from tlkit.evaluation import predict_probabilities
from tlkit.explain import grad_cam
from tlkit.features import cache_features, check_shape, pool_features, split_at
from tlkit.heads import build_head, load_source_head
from tlkit.plots import SOURCE_COLOR, TARGET_COLOR, plot_confusion
from tlkit.probe import logistic_regression
from tlkit.widgets.page import Page
from tlkit.widgets.still import Still
from tlkit.widgets.theme import escape, literal, style_sheet, svg_text
from tlkit.widgets.thumbnails import data_uri, thumbnail
from tlkit.words import counted, nearest_name, shortened

__all__ = ["DomainCompare"]

Side: TypeAlias = Literal["source", "target"]
SIDES: tuple[Side, Side] = ("source", "target")

LABELS = (0, 1, 2, 5, 10, 20, 50)  # per class; as far as the target has them
_MOST_LABELS = 1000  # in all: past that, a fit takes longer than a hand on a slider waits
_MOST_CLASSES = 12  # in rows of images and in a matrix
_IMAGES_IN_A_CELL = 24
_LINES = 8  # of texts, in the picture that is left
_THUMBNAIL = 64  # pixels that are sent, the longer side
_SHOWN = 44  # pixels on the screen, the longer side
_LETTERS = 160  # of a text that is shown
_HEAT_COLOR = np.array([230.0, 80.0, 0.0])
_WRONG_COLOR, _RIGHT_COLOR = "#97266d", "#0f766e"

_RULES = """
.tlkit-compare-controls > * { flex: 1 1 270px; max-width: 420px; }
.tlkit-compare .widget-html, .tlkit-compare .widget-html-content { max-width: 100%; }
.tlkit-compare-images .widget-html-content, .tlkit-compare-cell .widget-html-content { overflow-x: auto; }
.tlkit-compare-images .widget-html-content { display: flex; flex-wrap: wrap; gap: 0 28px; }
.tlkit-compare-images .tlkit-quiet { flex: 1 0 100%; }
.tlkit-compare-images table { margin: 2px 0 8px; }
.tlkit-compare-images caption { text-align: left; font-weight: bold; }
.tlkit-compare-images th, .tlkit-compare-images td { padding: 2px; text-align: center; border: 0; }
.tlkit-compare figure {
  display: inline-block; margin: 0; min-width: 46px; text-align: center; font-size: 12px; line-height: 1.25;
}
.tlkit-compare figure img {
  display: block; margin: 0 auto; image-rendering: pixelated; border: 2px solid transparent; border-radius: 3px;
}
.tlkit-compare figure img.fine { image-rendering: auto; }
.tlkit-compare figure.right { color: var(--tlkit-go); }
.tlkit-compare figure.wrong { color: var(--tlkit-wrong); font-weight: bold; }
.tlkit-compare figure.wrong img { border: 2px dashed var(--tlkit-wrong); }
.tlkit-compare-cell figure { margin: 2px 6px 2px 0; }
.tlkit-compare blockquote {
  margin: 0 0 4px; padding: 2px 6px; text-align: left; font-size: 12px; line-height: 1.3; max-width: 420px;
  border-left: 3px solid var(--tlkit-go); overflow-wrap: anywhere;
}
.tlkit-compare blockquote.wrong { border-left: 3px dashed var(--tlkit-wrong); }
.tlkit-compare blockquote b { color: var(--tlkit-go); } .tlkit-compare blockquote.wrong b { color: var(--tlkit-wrong); }
.tlkit-compare-cell blockquote { max-width: 800px; }
.tlkit-compare-images td:has(blockquote) { vertical-align: top; }
.tlkit-compare-matrices .widget-html-content > div { display: flex; flex-wrap: wrap; gap: 0 24px; }
.tlkit-compare-matrices section { flex: 1 1 340px; min-width: 0; max-width: 480px; }
.tlkit-compare-matrices svg { width: 100%; height: auto; }
.tlkit-compare-matrices [data-press] { cursor: pointer; }
.tlkit-compare-matrices [data-press]:hover rect { stroke: var(--tlkit-text); stroke-width: 1.5; }
.tlkit-compare p { margin: 4px 0; }
"""


class _Finished:
    """A model as it is: from images, or token ids, to logits, with nothing left to learn."""

    learns = False

    def __init__(self, model: keras.Model, pair: DomainPair) -> None:
        self._model, self._pair = model, pair

    def probabilities(self, side: Side, per_class: int) -> Array:
        return predict_probabilities(self._model, _domain(self._pair, side).test)

    def explainable(self, side: Side, per_class: int) -> tuple[Backbone, keras.Model] | None:
        return _last_map(self._model)


class _Probed:
    """A frozen backbone: the head of the source at 0 target labels, a probe on them otherwise."""

    learns = True

    def __init__(self, backbone: Backbone, pair: DomainPair, most_labels: int, seed: int) -> None:
        self._backbone, self._pair, self._seed = backbone, pair, seed
        self._labelled = pair.target.train.take(most_labels, seed=seed)
        self._features: dict[str, Split] = {}
        self._probes: dict[int, tuple[Array, Array]] = {}
        self._source_head: tuple[Array, Array] | None = None
        self.source_head_is = "the source's own head"

    def probabilities(self, side: Side, per_class: int) -> Array:
        kernel, bias = self._head(side, per_class)
        logits = self._pooled(side, _domain(self._pair, side).test).x @ kernel + bias
        return np.asarray(softmax(logits.astype(np.float64), axis=-1))

    def explainable(self, side: Side, per_class: int) -> tuple[Backbone, keras.Model] | None:
        kernel, bias = self._head(side, per_class)
        head = build_head(self._backbone, len(bias))
        head.layers[-1].set_weights([kernel, bias])
        maps = [len(self._backbone.boundary(stage).shape) for stage in range(1, self._backbone.n_stages + 1)]
        return (self._backbone, head) if maps[-1] == 4 else None

    def _pooled(self, name: str, split: Split) -> Split:
        if name not in self._features:
            maps = cache_features(split_at(self._backbone, self._backbone.n_stages)[0], split)
            self._features[name] = Split(pool_features(maps), split.y)
        return self._features[name]

    def _head(self, side: Side, per_class: int) -> tuple[Array, Array]:
        same_classes = self._pair.source.classes == self._pair.target.classes
        # Also at 0 labels, so that the first move of the slider is as quick as the others.
        few = self._pooled("labelled", self._labelled)
        if per_class == 0 or (side == "source" and not same_classes):
            return self._head_of_source()
        # Draws are nested: fewer labels are the first ones of more.
        if per_class not in self._probes:
            self._probes[per_class] = logistic_regression(few[: per_class * len(self._pair.target.classes)])
        return self._probes[per_class]

    def _head_of_source(self) -> tuple[Array, Array]:
        if self._source_head is None:
            source = self._pair.source
            try:
                kernel, bias = load_source_head(self._backbone, source.classes).layers[-1].get_weights()
            except ValueError:  # none is bundled: the source's own labels make one
                most = _label_choices(source, 1)[-1]
                few = source.train.take(most, seed=self._seed)
                kernel, bias = logistic_regression(self._pooled("source labels", few))
                self.source_head_is = f"a probe on {counted(most, 'source label')} per class"
            self._source_head = kernel, bias
        return self._source_head


@dataclass(frozen=True)
class _Reading:
    """One model's answers on one test part."""

    probabilities: Array  # (n, classes)
    answers: Array  # (n,)
    matrix: Array  # (classes, classes): right class × answer
    right: int
    low: float
    high: float

    @property
    def accuracy(self) -> float:
        return self.right / len(self.answers)


class DomainCompare(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets ships no types
    """The same images, or texts, of both domains under one model, and what it takes for what.

    It shows a few test examples of each class with answer and probability, the confusion matrix and the accuracy (with
    the exact 95 % interval of a binomial) of each domain, the examples of one cell of a matrix, and on request where
    in an image the evidence for each answer lies (:func:`tlkit.explain.grad_cam`).

    A model is read on all test examples the first time that it is chosen, and its answers are kept: make a new widget
    after more training. Everything works without clicks::

        compare = DomainCompare(pair, {"printed": backbone, "fine-tuned": tlkit.join(tuned.model, head)})
        compare.labels_per_class = 10
        compare.model = "fine-tuned"
        compare.cell = ("target", "4", "9")
        compare.scores, compare.confusion("target"), compare.cell_images

    Args:
        pair: Source and target.
        models: A name for each model: a Keras model from raw images, or token ids, to logits of the classes that both
            domains share, which is shown as it is; or a backbone, which stays frozen and whose head is a linear probe
            on ``labels_per_class`` target labels. At 0 labels it is the source's head (zero-shot): the bundled one, or
            a probe on source labels. Where the domains have different classes, the source keeps its own head.
        seed: Chooses the examples shown, and draws the labels.

    Attributes:
        model: The name of the model shown.
        labels_per_class: 0, 1, 2, 5, 10, 20 or 50, as far as the target has them and 1,000 in all; no 0 where the
            domains have different classes. It says nothing about Keras models.
        cell: Which examples are shown below: ``("source" or "target", right class, answer)``; a press on a matrix
            sets it, too. Where another model or other labels leave it empty, it goes to what the same class is then
            most often taken for.
        overlay: Whether images carry their Grad-CAM; texts have none.

    Raises:
        TypeError: A model is neither a Keras model nor a backbone.
        ValueError: No model; examples of another shape, or classes that the logits do not match; probabilities or NaN
            in place of logits; a setting that is not allowed.
    """

    model = traitlets.Any()
    labels_per_class = traitlets.Any()
    cell = traitlets.Any()
    overlay = traitlets.Bool(False)

    def __init__(self, pair: DomainPair, models: Mapping[str, keras.Model | Backbone], *, seed: int = 0) -> None:
        check_seed(seed)
        self.pair = pair
        self._is_text = pair.target.test.is_text
        self._noun = "text" if self._is_text else "image"
        self.label_choices = _label_choices(pair.target, 0 if pair.source.classes == pair.target.classes else 1)
        if not models:
            raise ValueError("models must name at least one model, got none.")
        self._models: dict[str, _Finished | _Probed] = {}
        for name, model in models.items():
            _check_model(str(name), model, pair)
            self._models[str(name)] = (
                _Probed(model, pair, self.label_choices[-1], seed)
                if isinstance(model, Backbone)
                else _Finished(model, pair)
            )
        self._lock = threading.RLock()  # callbacks may come from any thread
        self._readings: dict[tuple[str, int, Side], _Reading] = {}
        self._explained: dict[tuple[str, int, Side], tuple[Backbone, keras.Model] | None] = {}
        self._heat: dict[tuple[str, int, Side], dict[int, Array]] = {}
        self._pictures: dict[tuple[Side, int], Image.Image] = {}
        self._chosen = {side: _images_by_class(_domain(pair, side), seed) for side in SIDES}
        self._still = Still(self._draw, lambda: (8.4, 5.8), self._words)
        self._build()
        above = [style_sheet(_RULES), Page(self._pressed), self._heading, self._controls, self._status]
        super().__init__([*above, self._images, self._matrices, self._cell_controls, self._cell_view])
        self.add_class("tlkit").add_class("tlkit-compare")
        self.labels_per_class = self.label_choices[0]
        self.model = next(iter(self._models))
        self.pick_largest_error()
        self.observe(self._refresh, names=["model", "labels_per_class", "cell", "overlay"])
        self._refresh()

    # What a learner or a grader calls

    @property
    def scores(self) -> pd.DataFrame:
        """Accuracy (0..1) of the model shown, the ends of its 95 % interval, and the number of test images or texts."""
        readings = {side: self._reading(side) for side in SIDES}
        return pd.DataFrame(
            {
                "domain": [_domain(self.pair, side).name for side in SIDES],
                "accuracy": [readings[side].accuracy for side in SIDES],
                "low": [readings[side].low for side in SIDES],
                "high": [readings[side].high for side in SIDES],
                f"{self._noun}s": [len(readings[side].answers) for side in SIDES],
            },
            index=pd.Index(SIDES, name="side"),
        )

    def confusion(self, side: Side) -> pd.DataFrame:
        """The whole confusion matrix of the model shown: rows are right classes, columns answers.

        Raises:
            ValueError: ``side`` is neither ``"source"`` nor ``"target"``.
        """
        classes = _domain(self.pair, _checked_side(side)).classes
        matrix = self._reading(side).matrix
        return pd.DataFrame(
            matrix, index=pd.Index(classes, name="right class"), columns=pd.Index(classes, name="answer")
        )

    @property
    def cell_images(self) -> Array:
        """The test images, or texts, in the chosen cell, as indices, the most certain answer first."""
        side, right, answer = self.cell
        classes = _domain(self.pair, side).classes
        reading = self._reading(side)
        k = classes.index(answer)
        found = np.flatnonzero((_domain(self.pair, side).test.y == classes.index(right)) & (reading.answers == k))
        return found[np.argsort(-reading.probabilities[found, k], kind="stable")]

    def pick_largest_error(self, side: Side = "target") -> None:
        """Choose the cell with the most errors of a domain.

        Raises:
            ValueError: ``side`` is neither ``"source"`` nor ``"target"``.
        """
        classes = _domain(self.pair, _checked_side(side)).classes
        right, answer = np.unravel_index(_errors(self._reading(side).matrix).argmax(), (len(classes),) * 2)
        self.cell = (side, classes[right], classes[answer])

    # Settings

    @traitlets.validate("model")
    def _valid_model(self, proposal: Any) -> str:
        name = proposal["value"]
        if name not in self._models:
            raise ValueError(f"model must be {nearest_name(name, self._models)}")
        for side in SIDES:  # a model that fails is refused here, while the one before is still shown
            self._reading(side, name)
        return str(name)

    @traitlets.validate("labels_per_class")
    def _valid_labels(self, proposal: Any) -> int:
        given = proposal["value"]
        if isinstance(given, bool) or given not in self.label_choices:
            allowed = ", ".join(map(str, self.label_choices))
            raise ValueError(f"labels_per_class must be one of {allowed}, got {given!r}.")
        return int(given)

    @traitlets.validate("cell")
    def _valid_cell(self, proposal: Any) -> tuple[Side, str, str]:
        given = proposal["value"]
        if not isinstance(given, (tuple, list)) or len(given) != 3:
            raise ValueError(f"cell must be (side, right class, answer), got {given!r}.")
        side, right, answer = (str(part) for part in given)
        classes = _domain(self.pair, _checked_side(side)).classes
        for name in (right, answer):
            if name not in classes:
                raise ValueError(f"a class of the {side} must be {nearest_name(name, classes)}")
        return _checked_side(side), right, answer

    @traitlets.validate("overlay")
    def _valid_overlay(self, proposal: Any) -> bool:
        if proposal["value"] and self._is_text:
            raise ValueError("overlay must be False for texts, got True: Grad-CAM looks at feature maps of images.")
        return bool(proposal["value"])

    # Reading

    def _reading(self, side: Side, name: str | None = None) -> _Reading:
        with self._lock:
            name = self.model if name is None else name
            key = (name, self.labels_per_class if self._models[name].learns else 0, side)
            if key not in self._readings:
                domain = _domain(self.pair, side)
                p = self._models[name].probabilities(side, key[1])
                answers, y = p.argmax(axis=1), domain.test.y
                right = int((answers == y).sum())
                interval = stats.binomtest(right, len(y)).proportion_ci()
                matrix = confusion_matrix(y, answers, labels=np.arange(len(domain.classes)))
                self._readings[key] = _Reading(p, answers, matrix, right, interval.low, interval.high)
            return self._readings[key]

    def _heat_of(self, side: Side, shown: Sequence[int]) -> dict[int, Array] | None:
        """The heat map, 0..1, of each image shown; ``None`` where the model has no feature map."""
        model = self._models[self.model]
        key = (self.model, self.labels_per_class if model.learns else 0, side)
        if key not in self._explained:
            self._explained[key] = model.explainable(side, self.labels_per_class)
        explained, kept = self._explained[key], self._heat.setdefault(key, {})
        if explained is None:
            return None
        if wanted := sorted(set(shown) - set(kept)):
            images, answers = _domain(self.pair, side).test.x[wanted], self._reading(side).answers[wanted]
            for index, heat in zip(wanted, grad_cam(*explained, images, classes=answers), strict=True):
                kept[index] = heat / max(float(heat.max()), 1e-12)
        return kept

    # Controls

    def _build(self) -> None:
        look = {"style": {"description_width": "110px"}, "layout": ipywidgets.Layout(width="100%")}
        source, target = (escape(_domain(self.pair, side).name) for side in SIDES)
        self._heading = ipywidgets.HTML(f"<h4>DomainCompare: {source} → {target}</h4>")

        def dropdown(css: str, text: str, tooltip: str, options: Sequence[Any] = ()) -> Any:
            tooltip = f"{tooltip} (Space opens the list)."
            return ipywidgets.Dropdown(options=options, description=text, tooltip=tooltip, **look).add_class(css)

        self._model_choice = dropdown("tlkit-model", "model", "Whose answers are shown", list(self._models))
        self._labels = ipywidgets.SelectionSlider(
            options=self.label_choices,
            description="labels per class",
            tooltip="How many target labels of each class a backbone's probe learns from; 0 is zero-shot.",
            continuous_update=True,
            **look,
        ).add_class("tlkit-labels")
        self._overlay_box = ipywidgets.Checkbox(
            description=f"Grad-CAM: {'for images only' if self._is_text else 'where the evidence for the answer lies'}",
            disabled=self._is_text,
            tooltip="Orange where the feature map speaks for the answer; each image by its own maximum.",
            indent=False,
            layout=look["layout"],
        ).add_class("tlkit-overlay")
        sides = [(f"{side}: {_domain(self.pair, side).name}", side) for side in SIDES]
        self._side_choice = dropdown(
            "tlkit-cell-side", f"{self._noun}s of", f"The domain whose {self._noun}s are shown", sides
        )
        self._right_choice = dropdown("tlkit-cell-right", "right class", "The row of the confusion matrix")
        self._answer_choice = dropdown("tlkit-cell-answer", "answer", "The column of the confusion matrix")
        largest = ipywidgets.Button(
            description="Largest error",
            tooltip="Choose the cell with the most errors of this domain.",
            layout=ipywidgets.Layout(flex="0 0 auto", width="auto"),
        ).add_class("tlkit-largest-error")
        of_cell = [self._side_choice, self._right_choice, self._answer_choice]
        self._controls, self._cell_controls = (
            ipywidgets.Box(
                row, layout=ipywidgets.Layout(display="flex", flex_flow="row wrap", align_items="center")
            ).add_class("tlkit-compare-controls")
            for row in ([self._model_choice, self._labels, self._overlay_box], [*of_cell, largest])
        )
        self._status = ipywidgets.HTML().add_class("tlkit-status")
        self._images = ipywidgets.HTML().add_class("tlkit-compare-images")
        self._matrices = ipywidgets.HTML().add_class("tlkit-compare-matrices")
        self._cell_view = ipywidgets.HTML().add_class("tlkit-compare-cell")
        self._following = False  # while controls follow the settings, and not a hand

        self._model_choice.observe(lambda change: self._by_hand("model", change["new"]), names="value")
        self._labels.observe(lambda change: self._by_hand("labels_per_class", change["new"]), names="value")
        self._overlay_box.observe(lambda change: self._by_hand("overlay", change["new"]), names="value")
        for choice in of_cell:
            choice.observe(self._cell_by_hand, names="value")
        largest.on_click(lambda _: self.pick_largest_error(self.cell[0]))

    def _by_hand(self, setting: str, value: object) -> None:
        with self._lock:
            if self._following:
                return
            if setting == "model" and not any(key[0] == value for key in self._readings):
                n = sum(len(_domain(self.pair, side).test) for side in SIDES)
                self._status.value = f"<p>Reading {n:,} test {self._noun}s with {escape(value)} …</p>"
            try:
                setattr(self, setting, value)
            except Exception as error:  # shown where the learner looks; a callback's traceback hides in a log
                self._follow()
                self._status.value = f"<p><b>Not done.</b> {escape(error)}</p>"

    def _cell_by_hand(self, change: Any) -> None:
        with self._lock:
            if self._following:
                return
            # Only what changed: another thread may be setting the other controls right now.
            side, right, answer = self.cell
            if change["owner"] is self._side_choice:
                side = change["new"]
            elif change["owner"] is self._right_choice:
                right = change["new"]
            else:
                answer = change["new"]
            if {right, answer} <= set(_domain(self.pair, side).classes):
                self.cell = (side, right, answer)
            else:
                self.pick_largest_error(side)

    def _pressed(self, place: str) -> None:
        """A cell of a matrix was pressed: ``target 2 3`` is the place of the third class taken for the fourth."""
        with contextlib.suppress(ValueError, IndexError):  # whatever a page may send
            side, *numbers = place.split()
            right, answer = (_domain(self.pair, _checked_side(side)).classes[int(number)] for number in numbers)
            self.cell = (side, right, answer)

    def _stay_with_the_class(self) -> None:
        """The cell has become empty: go to what its class is most often taken for now."""
        side, right, _ = self.cell
        classes, matrix = _domain(self.pair, side).classes, self._reading(side).matrix
        row = classes.index(right)
        errors = _errors(matrix)[row]
        self.cell = (side, right, classes[errors.argmax()] if errors.any() else right)

    def _follow(self) -> None:
        """Set the controls to the settings."""
        self._following = True
        try:
            self._model_choice.value = self.model
            self._labels.value = self.labels_per_class
            self._labels.disabled = not self._models[self.model].learns
            self._overlay_box.value = self.overlay
            side, right, answer = self.cell
            self._side_choice.value = side
            classes = _domain(self.pair, side).classes
            for choice, name in ((self._right_choice, right), (self._answer_choice, answer)):
                if choice.options != classes:
                    choice.options = classes
                choice.value = name
        finally:
            self._following = False

    def _refresh(self, change: Any = None) -> None:
        with self._lock:
            if change is not None and change["name"] in ("model", "labels_per_class") and not len(self.cell_images):
                self._stay_with_the_class()
            self._follow()
            if change is None or change["name"] != "cell":
                self._status.value = self._sentence()
                self._images.value = "".join(self._rows(side) for side in SIDES) + self._about_overlay()
            self._matrices.value = self._both_matrices()
            self._cell_view.value = self._cell_html()
            self._still.renew()

    # What is shown

    @property
    def _same_classes(self) -> bool:
        return self.pair.source.classes == self.pair.target.classes

    def _how(self, side: Side = "target") -> str:
        """What reads a domain; where both have the same classes, it reads both."""
        model = self._models[self.model]
        if isinstance(model, _Finished):
            return "as it is, whatever the number of labels"
        if side == "source" and not self._same_classes:
            return f"with {model.source_head_is}"
        if self.labels_per_class == 0:
            return f"with {model.source_head_is} and no target label (zero-shot)"
        n = self.labels_per_class * len(self.pair.target.classes)
        return f"with a probe on {counted(self.labels_per_class, 'target label')} per class, {n:,} in all"

    def _sentence(self) -> str:
        source, target = (self._reading(side) for side in SIDES)
        names = [_domain(self.pair, side).name for side in SIDES]
        points = 100 * (source.accuracy - target.accuracy)
        compared = f"{abs(points):.1f} points {'less' if points >= 0 else 'more'}"
        errors, classes = _errors(target.matrix), self.pair.target.classes
        right, answer = np.unravel_index(errors.argmax(), errors.shape)
        most = (
            f"Its most frequent error on {names[1]}: {classes[right]} taken for {classes[answer]}, "
            f"{errors.max()} of {counted(int(target.matrix[right].sum()), self._noun)}."
            if errors.any()
            else f"It makes no error on {names[1]}."
        )
        reads = [f"{source.accuracy:.1%} of {names[0]}", f"{target.accuracy:.1%} of {names[1]}"]
        text = (
            f"{self._how()}, reads {' and '.join(reads)}, {compared}"
            if self._same_classes
            # Two tasks: their accuracies are no measure of each other.
            else f"reads {reads[0]} {self._how('source')}, and {reads[1]} {self._how()}"
        )
        comma = "," * self._same_classes
        return f"<p><b>{escape(self.model)}</b>{comma} {escape(f'{text}. {most}')}</p>"

    def _shown_classes(self, side: Side) -> list[int]:
        """All classes, or those with the most errors; the same on both sides where both have the same classes."""
        if self._same_classes:
            side = "target"
        errors = _errors(self._reading(side).matrix)
        if len(errors) <= _MOST_CLASSES:
            return list(range(len(errors)))
        worst = np.argsort(-(errors.sum(axis=0) + errors.sum(axis=1)), kind="stable")
        return sorted(worst[:_MOST_CLASSES].tolist())

    def _about_shown(self) -> str:
        sides = [side for side in SIDES if len(_domain(self.pair, side).classes) > _MOST_CLASSES]
        if not sides:
            return ""
        of = {side: f"{_MOST_CLASSES} of {len(_domain(self.pair, side).classes)} classes" for side in sides}
        what = (
            f"{of['target']}, those with the most errors on the target,"
            if self._same_classes
            else f"{' and '.join(f'{of[side]} of the {side}' for side in sides)}, those with the most errors there,"
        )
        all_of = "</code> and <code>".join(f'.confusion("{side}")' for side in sides)
        have = "has" if len(sides) == 1 else "have"
        return f'<p class="tlkit-quiet">{what} are shown; <code>{all_of}</code> {have} all.</p>'

    def _rows(self, side: Side) -> str:
        domain, shown = _domain(self.pair, side), self._shown_classes(side)
        chosen = [self._chosen[side][k] for k in shown]
        heat = self._heat_of(side, [i for column in chosen for i in column]) if self.overlay else None
        head = "".join(_name_cell(domain.classes[k], 'scope="col"') for k in shown)
        rows = ""
        for row in range(_rows_of_images(len(domain.classes))):
            cells = (self._figure(side, column[row], heat) if row < len(column) else "" for column in chosen)
            rows += "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
        return (
            f'<table><caption style="color:var(--tlkit-{side})">{side}: {escape(domain.name)}</caption>'
            f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        )

    def _about_overlay(self) -> str:
        if not self.overlay:
            return ""
        text = (
            "Grad-CAM: this model has no feature map to look at."
            if self._heat_of("target", []) is None
            else "Grad-CAM: the more orange, the more that place speaks for the answer; each image by its own maximum."
        )
        return f'<p class="tlkit-quiet">{text}</p>'

    def _figure(self, side: Side, index: int, heat: Mapping[int, Array] | None) -> str:
        domain, reading = _domain(self.pair, side), self._reading(side)
        right, answer = domain.classes[domain.test.y[index]], domain.classes[reading.answers[index]]
        p = float(reading.probabilities[index].max())
        verdict, mark = ("right", "✓") if right == answer else ("wrong", "✗")
        if self._is_text:
            text = escape(shortened(_written(domain.test, index), _LETTERS))
            return f'<blockquote class="{verdict}"><b>{mark} {escape(answer)}</b> {p:.2f}: {text}</blockquote>'
        picture = self._picture(side, index)
        exact = picture.mode == "L"
        if heat is not None:
            picture = _with_heat(picture, heat[index])
        width, height = (round(_SHOWN * length / max(picture.size)) for length in picture.size)
        fine = 'class="fine" ' if max(picture.size) > _SHOWN else ""  # made smaller, it has no pixels to be shown
        words = escape(f"{right} read as {answer} with probability {p:.2f}: {verdict}")
        return (
            f'<figure class="{verdict}"><img {fine}src="{data_uri(picture, exact=exact)}" width="{width}" '
            f'height="{height}" alt="{words}" title="{words}">{mark} {escape(shortened(answer, 9))}<br>{p:.2f}</figure>'
        )

    def _picture(self, side: Side, index: int) -> Image.Image:
        if (side, index) not in self._pictures:
            self._pictures[side, index] = thumbnail(_domain(self.pair, side).test.x[index], _THUMBNAIL)
        return self._pictures[side, index]

    def _both_matrices(self) -> str:
        sections = ""
        for side in SIDES:
            domain, reading = _domain(self.pair, side), self._reading(side)
            text = f"accuracy {reading.accuracy:.3f}, 95 % interval {reading.low:.3f} to {reading.high:.3f}"
            sections += (
                f'<section><b style="color:var(--tlkit-{side})">{side}: {escape(domain.name)}</b><br>{text}, '
                f"{len(reading.answers):,} {self._noun}s{self._matrix_svg(side)}</section>"
            )
        return f"<div>{sections}</div>{self._about_shown()}"

    def _matrix_svg(self, side: Side) -> str:
        classes, shown, matrix = _domain(self.pair, side).classes, self._shown_classes(side), self._reading(side).matrix
        part = matrix[np.ix_(shown, shown)]
        share = part / np.maximum(matrix[shown].sum(axis=1, keepdims=True), 1)
        largest = max(float(_errors(share).max()), 1e-12)
        names = [shortened(classes[k], 9) for k in shown]
        others = matrix[shown].sum(axis=1) - part.sum(axis=1)
        columns = [*names, "other"] if len(shown) < len(classes) else names
        longest = max(map(len, columns))
        size, left, top = 30, 34 + 8 * longest, 28 + (6 * longest if longest > 3 else 14)

        at, _, _ = self.cell
        chosen = tuple(map(classes.index, self.cell[1:])) if at == side else None
        # Tab comes to one cell of a matrix, and arrow keys lead on from there.
        seen = chosen is not None and set(chosen) <= set(shown)
        first = chosen if seen else (shown[0], shown[0])
        cells, last = [], ""
        for i, k in enumerate(shown):
            for j, m in enumerate(shown):
                opacity = 0.1 + (0.35 * share[i, j] if i == j else 0.45 * share[i, j] / largest)
                color = "var(--tlkit-quiet)" if i == j else "var(--tlkit-wrong)"
                picked, count = (k, m) == chosen, int(part[i, j])
                words = escape(f"{_verdict(classes[k], classes[m])}: {counted(count, self._noun)}")
                square = _square(left + j * size, top + i * size, size, count, color, opacity, picked=picked)
                button = (
                    f'<g role="button" tabindex="{0 if (k, m) == first else -1}" data-press="{side} {k} {m}" '
                    f'data-row="{i}" data-column="{j}" aria-pressed="{str(picked).lower()}" '
                    f'aria-label="{words}">{square}</g>'
                )
                if picked:
                    last = button  # on top, so that neighbours do not cover its edge
                else:
                    cells.append(button)
            if len(shown) < len(classes):
                place = left + len(shown) * size, top + i * size
                cells.append(_square(*place, size, int(others[i]), "var(--tlkit-wrong)", 0.1))
            cells.append(svg_text(left - 6, top + i * size + size / 2 + 4, names[i], "end"))
        for j, name in enumerate(columns):
            x, y = left + j * size + size / 2, top - 6
            turn = f' transform="rotate(-40 {x} {y})"' if longest > 3 else ""
            cells.append(svg_text(x, y, name, "start" if turn else "middle", turn))
        width, height = left + len(columns) * size + (20 if longest > 3 else 2), top + max(len(shown) * size + 2, 84)
        axes = svg_text(left, 12, "answer →", "start", ' class="quiet"') + svg_text(
            12, top + 4, "right class →", "end", f' class="quiet" transform="rotate(-90 12 {top + 4})"'
        )
        words = escape(f"Confusion matrix of {_domain(self.pair, side).name}; {self._matrix_words(side)}")
        return (
            f'<svg role="group" data-grid data-lm-suppress-shortcuts="true" aria-label="{words}" '
            f'viewBox="0 0 {width} {height}" style="max-width:{1.2 * width:.0f}px" font-size="12">'
            f"{axes}{''.join(cells)}{last}</svg>"
        )

    def _matrix_words(self, side: Side) -> str:
        classes, errors = _domain(self.pair, side).classes, _errors(self._reading(side).matrix)
        order = [np.unravel_index(i, errors.shape) for i in np.argsort(-errors, axis=None, kind="stable")[:3]]
        listed = [f"{classes[i]} read as {classes[j]} {errors[i, j]} times" for i, j in order if errors[i, j]]
        return f"largest errors: {', '.join(listed)}" if listed else "no errors"

    def _cell_html(self) -> str:
        side, right, answer = self.cell
        found = self.cell_images
        shown = found[:_IMAGES_IN_A_CELL].tolist()
        heat = self._heat_of(side, shown) if self.overlay else None
        text = f"{_domain(self.pair, side).name}: {counted(len(found), self._noun)} of {_verdict(right, answer)}"
        if len(found) > len(shown):
            text += f", the {len(shown)} most certain answers shown"
        return f"<p>{escape(text)}</p>" + "".join(self._figure(side, index, heat) for index in shown)

    # The picture that is left

    def _words(self) -> str:
        accuracies = ", ".join(f"{_domain(self.pair, s).name} {self._reading(s).accuracy:.3f}" for s in SIDES)
        return f"DomainCompare: {self.model}, {self._how()}: accuracy on {accuracies}"

    def _draw(self, figure: Figure) -> None:
        with self._lock:  # in whatever thread: the settings stay what they are
            images, matrices = figure.subplots(2, 2, height_ratios=[2, 3.4])
            look: dict[str, Any] = {"cmap": "gray", "vmin": 0, "vmax": 255, "interpolation": "nearest"}
            for side, row, ax in zip(SIDES, images, matrices, strict=True):
                domain, reading, shown = _domain(self.pair, side), self._reading(side), self._shown_classes(side)
                color = SOURCE_COLOR if side == "source" else TARGET_COLOR
                for x, k in enumerate([] if self._is_text else shown):
                    for y, index in enumerate(self._chosen[side][k]):
                        right = reading.answers[index] == k
                        row.imshow(self._picture(side, index), **look, extent=(x, x + 0.9, 1.5 * y + 0.9, 1.5 * y))
                        text = f"{'✓' if right else '✗'}{literal(shortened(domain.classes[reading.answers[index]], 6))}"
                        place = {"ha": "center", "va": "top", "color": _RIGHT_COLOR if right else _WRONG_COLOR}
                        row.text(x + 0.45, 1.5 * y + 0.98, text, fontsize=8, **place)
                if self._is_text:
                    self._draw_texts(row, side, shown)
                else:
                    rows = _rows_of_images(len(domain.classes))
                    row.set(xlim=(-0.1, len(shown)), ylim=(1.5 * rows, -0.2), aspect="equal")
                row.axis("off")
                row.set_title(literal(f"{side}: {domain.name}"), loc="left", color=color, fontsize=10)
                names = [literal(shortened(domain.classes[k], 9)) for k in shown]
                plot_confusion(reading.matrix[np.ix_(shown, shown)], names, ax=ax)
                if len(shown) < len(domain.classes):
                    ax.set_xlabel(f"answer ({len(shown)} of {len(domain.classes)} classes)")
                if max(map(len, names)) > 3:
                    ax.tick_params(axis="x", rotation=40)
                interval = f"({reading.low:.3f} to {reading.high:.3f})"
                ax.set_title(f"accuracy {reading.accuracy:.3f} {interval}", loc="left", fontsize=10)

    def _draw_texts(self, ax: Axes, side: Side, shown: Sequence[int]) -> None:
        """The first two texts of each class, a line each."""
        domain, reading = _domain(self.pair, side), self._reading(side)
        few = [index for k in shown for index in self._chosen[side][k][:2]][:_LINES]
        for line, index in enumerate(few):
            right = reading.answers[index] == domain.test.y[index]
            answer = shortened(domain.classes[reading.answers[index]], 9)
            text = f"{'✓' if right else '✗'} {answer}: {shortened(_written(domain.test, index), 52)}"
            color = _RIGHT_COLOR if right else _WRONG_COLOR
            height = 0.95 - line / _LINES
            ax.text(0, height, literal(text), transform=ax.transAxes, va="top", fontsize=7, color=color)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        with self._lock:
            return self._still.beside(super()._repr_mimebundle_(include=include, exclude=exclude))


# Models and domains


def _domain(pair: DomainPair, side: Side) -> Domain:
    return pair.source if side == "source" else pair.target


def _checked_side(side: object) -> Side:
    if side not in SIDES:
        raise ValueError(f"side must be {nearest_name(side, SIDES)}")
    return "source" if side == "source" else "target"


def _label_choices(domain: Domain, least: int) -> tuple[int, ...]:
    """The numbers of labels per class to offer, from ``least`` on."""
    n = len(domain.classes)
    smallest = int(np.bincount(domain.train.y, minlength=n).min())
    most = min(smallest, max(_MOST_LABELS // n, 1))
    return tuple(k for k in LABELS if least <= k <= most)


def _check_model(name: str, model: object, pair: DomainPair) -> None:
    """Raise unless the model can be compared, before anything is computed."""
    if not isinstance(model, (keras.Model, Backbone)):
        raise TypeError(
            f"a model must be a Keras model from raw input to logits, or a Backbone, got {type(model).__name__} "
            f"for {name!r}."
        )
    network = model.model if isinstance(model, Backbone) else model
    for domain in (pair.source, pair.target):
        check_shape(network, domain.test)
    if isinstance(model, Backbone):
        return
    if pair.source.classes != pair.target.classes:
        raise ValueError(
            f"both domains must have the same classes for a Keras model, got {len(pair.source.classes)} of "
            f"{pair.source.name!r} and {len(pair.target.classes)} of {pair.target.name!r} for {name!r}: a Backbone "
            "goes without."
        )
    n = len(pair.target.classes)
    if model.output_shape[1:] != (n,):
        raise ValueError(f"a model must give {n} logits, one a class, got {model.output_shape[1:]} for {name!r}.")
    outputs = np.asarray(model(pair.target.test.x[:4], training=False))
    if not np.isfinite(outputs).all():
        raise ValueError(f"logits must be finite, got NaN or infinite values from {name!r}.")
    if outputs.min() >= 0 and np.allclose(outputs.sum(axis=1), 1, atol=1e-3):
        raise ValueError(f"a model must give logits, got probabilities for {name!r}: leave out its softmax.")


def _last_map(model: keras.Model) -> tuple[Backbone, keras.Model] | None:
    """The model cut at its last feature map that is more than one position, for Grad-CAM; ``None`` if it has none."""
    for layer in reversed(model.layers):
        for call in calls_of(layer):
            end = call.outputs[0]
            if len(end.shape) != 4 or end.shape[1] == 1 or isinstance(layer, keras.layers.InputLayer):
                continue
            try:
                core = keras.Model(model.inputs[0], end)
                if core.weights:
                    return Backbone(model.name, core, (layer.name,)), keras.Model(end, model.outputs[0])
            except ValueError:  # beside another path, or the layer's place in another model
                continue
    return None


def _errors(matrix: Array) -> Array:
    """A confusion matrix without its diagonal."""
    return np.where(np.eye(len(matrix), dtype=bool), 0, matrix)


def _verdict(right: str, answer: str) -> str:
    return f"{right} read right" if right == answer else f"{right} taken for {answer}"


# Images and text


def _rows_of_images(n_classes: int) -> int:
    return int(np.clip(24 // n_classes, 2, 5))


def _images_by_class(domain: Domain, seed: int) -> list[list[int]]:
    """Some test images of each class, the same for every model."""
    rng, rows = np.random.default_rng(seed), _rows_of_images(len(domain.classes))
    return [rng.permutation(np.flatnonzero(domain.test.y == k))[:rows].tolist() for k in range(len(domain.classes))]


def _square(x: int, y: int, size: int, count: int, color: str, opacity: float, *, picked: bool = False) -> str:
    """A cell of a matrix."""
    edge = 'stroke="var(--tlkit-text)" stroke-width="2.5"' if picked else 'stroke="var(--tlkit-line)"'
    fill = f'style="fill:{color};fill-opacity:{opacity:.2f}"' if count else 'fill="transparent"'
    number = svg_text(x + size / 2, y + size / 2 + 4, count, "middle") if count else ""
    return f'<rect x="{x}" y="{y}" width="{size}" height="{size}" {fill} {edge}/>{number}'


def _written(texts: Split, index: int) -> str:
    """A text to be read: its words, or its token ids where nobody gave them."""
    if texts.texts is not None:
        return " ".join(texts.texts[index].split()) or "(empty)"
    return " ".join(str(token) for token in texts.x[index].tolist() if token)


def _with_heat(picture: Image.Image, heat: Array) -> Image.Image:
    scaled = Image.fromarray(heat.astype(np.float32)).resize(picture.size, Image.Resampling.BILINEAR)
    weight = 0.75 * np.asarray(scaled).clip(0, 1)[..., None]
    pixels = (1 - weight) * np.asarray(picture.convert("RGB"), dtype=np.float64) + weight * _HEAT_COLOR
    return Image.fromarray(pixels.round().astype(np.uint8))


def _name_cell(name: str, scope: str) -> str:
    return f'<th {scope} title="{escape(name)}">{escape(shortened(name, 9))}</th>'
