"""FreezeLab: freeze, train, and watch both domains."""

from __future__ import annotations

import atexit
import contextlib
import math
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ipywidgets
import numpy as np
import pandas as pd
import traitlets
from matplotlib.figure import Figure
from scipy import stats

from tlkit._keras import keras
from tlkit.backbones import Backbone
from tlkit.domains import Domain, DomainPair
from tlkit.experiment import Baselines, Experiment, Run, Settings
from tlkit.files.paths import check_path
from tlkit.widgets.page import Page
from tlkit.widgets.pictures import Curve, draw_curves, draw_figure, draw_strip
from tlkit.widgets.runs_table import RUNS_STYLE, RunsTable, epochs_in_words, shown_columns, shown_texts, titles
from tlkit.widgets.still import Still
from tlkit.widgets.theme import escape, style_sheet
from tlkit.words import counted, one_line

__all__ = ["FreezeLab"]

# The screen is told of progress at most this often, in seconds: more would slow the training down.
PACE = 0.15
# Seconds without a new run, after which the baseline "from scratch" is measured in the background.
PATIENCE = 2.0
# Runs in the table of the picture that is left.
_RUNS_DRAWN = 6
# Source accuracy lost, from which on it is called mild forgetting, and forgetting.
MILD, MUCH = 0.01, 0.05

_STYLE = """
.tlkit-columns { flex-flow: row wrap; gap: 14px; }
.tlkit-stages { flex: 1 1 340px; max-width: 440px; } .tlkit-settings { flex: 0 1 258px; min-width: 240px; }
.tlkit-plot { flex: 2 1 440px; min-width: 320px; }
.tlkit-stage { border: 1px solid var(--tlkit-line); border-radius: 7px; padding: 1px 4px; margin: 2px 0;
  align-items: center; overflow: visible; }
.tlkit-stage.tlkit-frozen { background: var(--tlkit-frozen-fill); }
.tlkit-stage.tlkit-learns { background: var(--tlkit-learns-fill); }
.tlkit-stage .tlkit-info { flex: 1 1 0; min-width: 0; overflow: hidden; margin: 2px 4px; }
.tlkit-info .widget-html-content { line-height: 1.25; width: 100%; }
.tlkit-info .tlkit-pair { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 6px; }
.tlkit-info .tlkit-pair { font-size: 12px; overflow-wrap: anywhere; }
.tlkit .tlkit-frozen > button.tlkit-toggle, .tlkit button.tlkit-layer.tlkit-frozen {
  background: var(--tlkit-source); color: var(--tlkit-paper); }
.tlkit .tlkit-learns > button.tlkit-toggle, .tlkit button.tlkit-layer.tlkit-learns {
  background: var(--tlkit-target); color: var(--tlkit-paper); }
.tlkit-layers button { height: 24px; line-height: 24px; }
.tlkit-stage button, .tlkit-layers button { margin: 1px; }
.tlkit-boundary { margin: 0; }
.tlkit-dash { border-top: 2px dashed var(--tlkit-source); text-align: center; line-height: 0; margin: 9px 0; }
.tlkit-dash span { background: var(--tlkit-paper); color: var(--tlkit-source); padding: 0 8px; font-size: 12px; }
.tlkit-layers { border-left: 3px solid var(--tlkit-line); margin: 0 0 4px 14px; padding-left: 6px; }
.tlkit-sentence .widget-html-content { border-left: 4px solid var(--tlkit-go); background: var(--tlkit-go-fill);
  padding: 8px 12px; font-size: 14px; }
.tlkit-sentence.tlkit-not-well .widget-html-content { border-color: var(--tlkit-wrong);
  background: var(--tlkit-wrong-fill); }
.tlkit-progress-words, .tlkit-note { min-height: 22px; } /* words that come and go do not move the page */
.tlkit .tlkit-runs { flex: 2 1 560px; min-width: 0; overflow-x: auto; }
.tlkit-moved { flex: 1 1 340px; min-width: 300px; }
.tlkit-settings .widget-label { min-width: 108px; width: 108px; text-align: right; }
.tlkit-settings .widget-toggle-buttons { display: flex; flex-flow: row nowrap; align-items: center; }
.tlkit-settings .widget-toggle-buttons .widget-toggle-button { width: auto; padding: 0 5px; font-size: 12px; }
.tlkit-settings .widget-toggle-buttons > div { display: flex; flex-flow: row nowrap; }
.tlkit-code { width: auto; } .tlkit-code .widget-html-content { min-width: 0; }
.tlkit-code pre { box-sizing: border-box; width: 0; min-width: 100%;
  font-size: 12px; line-height: 1.35; overflow: auto; max-height: 340px; white-space: pre;
  word-break: normal; border: 1px solid var(--tlkit-line); border-radius: 4px; padding: 6px 8px; margin: 4px 0; }
.tlkit-to-keras { width: auto; align-self: flex-start; padding: 0 12px; }
.tlkit-settings .widget-readout { min-width: 46px; width: 46px; }
"""

_UNTRAINED = "Nothing is trained yet."
_IN_PROGRESS = "while a run is in progress: stop it or wait for it first"

_LABS: weakref.WeakSet[FreezeLab] = weakref.WeakSet()

_HINTS = {
    "stage": "Stages up to this one stay as they are and run only once; what comes after learns.",
    "per_class": "Labelled target examples of each class to learn from.",
    "epochs": "How often training goes through these examples.",
    "head_rate": "Step size of the head: large, since it begins without knowledge.",
    "base_rate": "Step size of the backbone's layers that learn: small, since they know something already.",
    "head_first": "Begin with the best head on frozen features, so that a random head does not spoil the backbone.",
    "views": "Shifted, turned and zoomed versions of each image; 1 is the image alone.",
    "train_batchnorm": "BatchNorm's own weights and statistics change too: with few examples this mostly hurts.",
    "from_pretrained": "Each run begins from the pretrained weights, or goes on from where the last one ended.",
}


def _count(number: float) -> str:
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.{1 if number < 100 * size else 0}f} {unit}"
    return f"{number:.0f}"


class FreezeLab(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets ships no types
    """Freeze stages or single layers, train, and watch target and source accuracy; see which weights moved.

    It works without a click, too: ``lab.freeze_to(3); lab.train(); lab.results``. Settings are traits; while a run is
    in progress they are locked, and setting one raises ``traitlets.TraitError``.

    Training changes the weights of ``backbone`` in place, as :func:`tlkit.training.fine_tune` does, in a thread of its
    own: other cells go on working. Live scores are taken on a few held-out examples of the target's training part, so
    that no one stops by looking at the test examples; the scores of the table on the test parts, or where the backbone
    is large on an even part of them, as the sentence below the controls then says.

    It is a view: ``lab.experiment``, an :class:`tlkit.experiment.Experiment`, does the work, and has more of it;
    ``lab.callbacks`` are called while a run goes on, as those of its ``run``.

    Args:
        pair: Source and target: images of the shape that the backbone takes, or texts for a text backbone. Or the
            target alone, where the source's data cannot be had, as with ImageNet's: the source's curve is then the
            share of the target's test examples whose old answer stays (see :class:`tlkit.experiment.Experiment`),
            and the widget says so.
        backbone: Its present weights are the pretrained ones, to which Reset returns. Without a bundled source head,
            the source is read by a logistic regression on its features.
        seed: Draws the labels, the head's start and the order of the examples.

    Raises:
        ValueError: The examples are not what the backbone takes, or the target was given alone for a backbone whose
            source head is not bundled.
    """

    per_class = traitlets.Int(10, help=_HINTS["per_class"])
    epochs = traitlets.Int(20, help=_HINTS["epochs"])
    head_rate = traitlets.Float(1e-3, help=_HINTS["head_rate"])
    base_rate = traitlets.Float(3e-4, help=_HINTS["base_rate"])
    head_first = traitlets.Bool(False, help=_HINTS["head_first"])
    views = traitlets.Int(1, help=_HINTS["views"])
    train_batchnorm = traitlets.Bool(False, help=_HINTS["train_batchnorm"])
    from_pretrained = traitlets.Bool(True, help=_HINTS["from_pretrained"])
    measures_scratch = traitlets.Bool(True, help="After a run a small network is trained from scratch, too, unasked.")
    frozen = traitlets.Instance(frozenset, help="Names of the layers that stay as they are.")
    status = traitlets.Enum(("idle", "running", "stopping"), "idle", help="What the lab is doing.")
    sentence = traitlets.Unicode(help="What happened last, in words.")

    SETTINGS = (
        "per_class", "epochs", "head_rate", "base_rate", "head_first", "views", "train_batchnorm", "from_pretrained",
    )  # fmt: skip

    def __init__(self, pair: DomainPair | Domain, backbone: Backbone, *, seed: int = 0) -> None:
        self._take_memory()
        self.experiment = Experiment(pair, backbone, seed=seed)
        self.callbacks: list[Callable[[str, Any], None]] = []
        self._stop = threading.Event()
        self._yield = threading.Event()  # of the thread: what it does in the background steps aside
        self._busy = threading.Lock()  # held by the one run in progress
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        _LABS.add(self)
        self._live: list[tuple[float, float, float]] = []
        self._refreshed = 0.0
        self._baselines: Baselines | None = None
        self._setting = False  # a control is being set by the lab, not by a hand
        # Controls that these domains or this backbone have no use for, and why.
        self._locked: dict[str, str] = {}
        if self.experiment.is_text:
            self._locked["views"] = "views: for images only"
        if not any(info.batchnorms for info in self.experiment.stages):
            self._locked["train_batchnorm"] = "this backbone has no BatchNorm"
        super().__init__()
        with self.hold_trait_notifications():
            self.per_class = min(10, self.experiment.most_per_class)
            self.frozen = self.experiment.frozen_to(max(0, backbone.n_stages - 1))
        self.add_class("tlkit")
        self._still = Still(self._draw, lambda: (10.0, 7.0 if self.runs else 3.4), self._static_words)
        atexit.register(_end, weakref.ref(self))
        self._build()
        self.observe(self._follow_settings, [*self.SETTINGS, "frozen"])
        self.observe(lambda change: setattr(self._words, "value", self._sentence_html()), "sentence")
        self.observe(self._show_status, "status")
        self._show_settings()
        self.sentence = self._opening_words()
        self._show_curves()

    # What a program calls -------------------------------------------------------------------------------------------

    @property
    def settings(self) -> Settings:
        """The settings of the next run."""
        return Settings(frozen=self.frozen, **{name: getattr(self, name) for name in self.SETTINGS})

    @property
    def stage(self) -> int:
        """Stages 1 to this one are frozen whole: the boundary."""
        return self.experiment.boundary(self.frozen)

    @property
    def results(self) -> pd.DataFrame:
        """One row per run: its settings, ``target`` and ``source`` accuracy on the test parts (0..1), ``seconds``.

        Where the target was given alone, ``source`` is the share of old answers that stay.
        """
        return self.experiment.results

    @property
    def runs(self) -> tuple[Run, ...]:
        """All runs, the first one first."""
        return tuple(self.experiment.runs)

    @property
    def history(self) -> pd.DataFrame:
        """Scores by epoch of all runs: ``run``, ``epoch``, ``target``, ``source``."""
        parts = [run.history.assign(run=run.number) for run in self.experiment.runs]
        columns = ["run", "epoch", "target", "source"]
        return pd.concat(parts)[columns].reset_index(drop=True) if parts else pd.DataFrame(columns=columns)

    @property
    def audit(self) -> pd.DataFrame | None:
        """Which weights the last run moved, as from :func:`tlkit.audit.audit_fit`; ``None`` before the first run."""
        return self.experiment.runs[-1].audit if self.experiment.runs else None

    @property
    def model(self) -> keras.Model:
        """Backbone and target head as they are now: raw images, or token ids, to logits."""
        return self.experiment.model

    @property
    def backbone(self) -> Backbone:
        """The learner's backbone, whose weights the runs change."""
        return self.experiment.backbone

    @property
    def baselines(self) -> Baselines:
        """Raw input, zero-shot and (once measured) from scratch, for the present number of labels."""
        return self.experiment.baselines(self.per_class)

    def freeze_to(self, stage: int) -> None:
        """Freeze stages 1 to ``stage``; 0 lets everything learn.

        Raises:
            ValueError: ``stage`` is out of range.
            traitlets.TraitError: A run is in progress.
        """
        self.frozen = self.experiment.frozen_to(stage)

    def freeze_layers(self, *names: str, frozen: bool = True) -> None:
        """Freeze single layers by name, or with ``frozen=False`` let them learn; the others stay as they are.

        Raises:
            ValueError: A name is none of ``lab.layers``.
            traitlets.TraitError: A run is in progress.
        """
        unknown = [name for name in names if name not in self.experiment.layers]
        if unknown:
            raise ValueError(f"a layer must be one of {', '.join(self.experiment.layers)}, got {unknown[0]!r}.")
        self.frozen = self.frozen | set(names) if frozen else self.frozen - set(names)

    @property
    def layers(self) -> dict[str, int]:
        """The stage of each layer that can be frozen: those with weights; BatchNorm has a switch of its own."""
        return dict(self.experiment.layers)

    def train(self, *, wait: bool = True) -> Run | None:
        """Train as the settings say.

        Args:
            wait: Return the run once it has ended; a notebook's stop button then ends it as :meth:`stop` does.
                Otherwise return ``None`` at once, while it trains in a thread.

        Raises:
            ValueError: Settings out of range.
            RuntimeError: A run is in progress.
            FloatingPointError: The loss became NaN or infinite (only with ``wait``).
        """
        self.experiment.check(self.settings)
        if not self._busy.acquire(blocking=False):
            raise RuntimeError("one run at a time: a run is in progress, stop it or wait for it first.")
        before = len(self.experiment.runs)
        try:
            self._stop.clear()
            self._error = None
            # The page hears at once that a run has begun; a former thread may take a while until it is out of the way.
            self.status = "running"
            self._yield.set()
            former, self._yield = self._thread, threading.Event()
            work = (self.settings, former, self._yield)
            self._thread = threading.Thread(target=self._work, args=work, name="tlkit-freezelab", daemon=True)
            self._thread.start()
        except BaseException:
            self._busy.release()
            raise
        if not wait:
            return None
        self.wait()
        if self._error is not None:
            raise self._error
        return self.experiment.runs[-1] if len(self.experiment.runs) > before else None

    def wait(self) -> None:
        """Return once no run is in progress; an interrupt stops the run, and waits for its end."""
        while self._busy.locked():
            try:
                time.sleep(0.01)
            except KeyboardInterrupt:
                self.stop()

    def stop(self) -> None:
        """End the run after the batch in progress. Its weights are kept."""
        if self._busy.locked():
            self._stop.set()
            with contextlib.suppress(traitlets.TraitError):
                self.status = "stopping"

    def reset(self) -> None:
        """Return to the pretrained weights, exactly, and to a new head. The runs stay in the table.

        Raises:
            RuntimeError: A run is in progress.
        """
        if not self._busy.acquire(blocking=False):
            raise RuntimeError(f"weights must not change {_IN_PROGRESS}.")
        try:
            self.experiment.reset()
        finally:
            self._busy.release()
        self._live = []
        self._show_curves()
        self._words.remove_class("tlkit-not-well")
        self.sentence = "Reset: the backbone has its pretrained weights again, exactly, and the head is new."

    def restore(self, run: int) -> None:
        """Take the settings of a former run; its weights are not kept.

        Raises:
            ValueError: There is no such run.
            traitlets.TraitError: A run is in progress.
        """
        if not 1 <= run <= len(self.experiment.runs):
            raise ValueError(f"run must be in 1..{len(self.experiment.runs)}, got {run}.")
        settings = self.experiment.runs[run - 1].settings
        self._check_unlocked()
        with self.hold_trait_notifications():
            for name in (*self.SETTINGS, "frozen"):
                setattr(self, name, getattr(settings, name))
        self._words.remove_class("tlkit-not-well")
        self.sentence = f"The settings are those of run {run} again. {self._learning_words()}"

    def measure_scratch(self) -> float:
        """Accuracy, 0..1, of the same network trained from random weights on the same labels; kept for the plot.

        Small networks are measured unasked after the first run; large ones take their time, so you decide.

        Raises:
            RuntimeError: A run is in progress.
        """
        if not self._busy.acquire(blocking=False):
            raise RuntimeError("one run at a time: a run is in progress, stop it or wait for it first.")
        try:
            self._end_background()
            score = self.experiment.measure_scratch(self.per_class)
        finally:
            self._busy.release()
        self._show_curves()
        if score is None:
            raise AssertionError("nothing interrupts it here")
        return score

    def close(self) -> None:
        """End what goes on and give back the memory; the runs stay readable, the controls are gone."""
        if "_busy" in self.__dict__:  # which is not there when the constructor refused its arguments
            self.stop()
            self.wait()
            self._end_background()
            self.experiment.forget()
        super().close()

    def to_csv(self, path: str | Path) -> None:
        """Write ``results`` as CSV."""
        self.results.to_csv(check_path("path", path, "a CSV file"), index=False)

    # Guards ---------------------------------------------------------------------------------------------------------

    def _check_unlocked(self) -> None:
        if self._busy.locked():
            raise traitlets.TraitError(f"settings must not change {_IN_PROGRESS}.")

    @traitlets.validate("frozen", *SETTINGS)
    def _validate(self, proposal: Any) -> Any:
        self._check_unlocked()
        name, value = proposal["trait"].name, proposal["value"]
        allowed = {
            "per_class": (1, self.experiment.most_per_class),
            "epochs": (1, 10_000),
            "views": (1, 100),
            "head_rate": (1e-8, 10.0),
            "base_rate": (1e-8, 10.0),
        }
        if name in allowed and not allowed[name][0] <= value <= allowed[name][1]:
            raise traitlets.TraitError(f"{name} must be in {allowed[name][0]:g}..{allowed[name][1]:g}, got {value!r}.")
        if name == "views" and self.experiment.is_text and value > 1:
            raise traitlets.TraitError(f"views must be 1 for texts (only images are shifted and turned), got {value}.")
        if name == "frozen" and not value <= set(self.experiment.layers):
            wrong = min(value - set(self.experiment.layers))
            raise traitlets.TraitError(f"frozen must name layers of lab.layers, got {wrong!r}.")
        return value

    def _take_memory(self) -> None:
        """Only one lab at a time keeps what can be computed again.

        A widget stays alive, so a cell that is run again leaves its former lab behind.
        """
        for other in list(_LABS):
            if other is not self and not other._busy.locked():
                other._end_background()
                other.experiment.forget()

    def _end_background(self) -> None:
        """A measurement in the background steps aside; after the next run it goes on."""
        self._yield.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    # The run's thread -----------------------------------------------------------------------------------------------

    def _work(self, settings: Settings, former: threading.Thread | None, aside: threading.Event) -> None:
        words, well = "The run was broken off.", False
        self._live = []
        try:
            if former is not None:
                former.join()
            self._take_memory()
            run = self.experiment.run(settings, stop=self._stop, callbacks=[self._report, *self.callbacks])
            self._baselines = self.experiment.baselines(settings.per_class)
            words, well = self._run_in_words(run), not self._is_guessing(run)
        except Exception as error:  # whatever it was: the learner reads it, and the lab goes on
            self._error = error
            words = f"The run ended with an error: {one_line(error, 300)}"
        finally:
            self._show_end(words, well=well)
            self._busy.release()
        # The lab is idle from here on, and what follows steps aside for a new run.
        self.status = "idle"
        if self._error is None:
            self._scratch_in_background(settings.per_class, aside)

    def _scratch_in_background(self, per_class: int, aside: threading.Event) -> None:
        # A learner who goes on at once is not kept waiting; one who looks at the result has a moment for it.
        if not (self.measures_scratch and self.experiment.scratch_is_cheap(per_class)) or aside.wait(PATIENCE):
            return
        words = "ready"
        if math.isnan(self.experiment.baselines(per_class).scratch):
            self._say_progress("measuring the baseline “from scratch” …")
            if self.experiment.measure_scratch(per_class, interrupt=aside) is None:
                return
            words = "from scratch: measured"
        if not self._busy.locked():
            self._say_progress(words)
            self._show_curves()

    def _report(self, kind: str, value: Any) -> None:
        now = time.monotonic()
        if kind == "phase":
            self._say_progress(f"{value} …")
        elif kind == "point":
            self._live.append(value)
            self._show_curves(running=True)
        elif now - self._refreshed > PACE or value[0] == value[1]:
            self._refreshed = now
            done, total, left = value
            self._progress.max = total
            self._progress.value = done
            per_epoch = total / self.epochs
            self._say_progress(f"epoch {math.ceil(done / per_epoch)} of {self.epochs} · {left:.1f} s left")

    def _say_progress(self, words: str) -> None:
        self._progress_words.value = f'<span class="tlkit-quiet">{escape(words)}</span>'

    # Words ----------------------------------------------------------------------------------------------------------

    def _learning_words(self) -> str:
        described = self.experiment.describe_frozen(self.frozen)
        if described == "nothing":
            return "Everything learns."
        if described == "everything":
            return "Everything is frozen but the head."
        return f"Frozen: {described}; the rest and the head learn."

    def _opening_words(self) -> str:
        begin = f"{_UNTRAINED} {self._learning_words()} Press Train, and watch target and"
        if self.experiment.source is None:
            return f"{begin} {self._source} with the pretrained network."
        return f"{begin} source. The source is read by its own head ({self.experiment.source_head_from})."

    @property
    def _source(self) -> str:
        """What the source's curve is called."""
        return "source" if self.experiment.source is not None else "agreement"

    @property
    def _epochs_done(self) -> dict[int, float]:
        """By the runs' numbers."""
        return {run.number: run.epochs for run in self.runs}

    @property
    def _domains(self) -> str:
        """Source and target by name, or the target where it was given alone."""
        source, target = self.experiment.source, self.experiment.target
        return target.name if source is None else f"{source.name} → {target.name}"

    def _old_answers_words(self) -> str:
        """What the source's curve shows where the source's data is not here."""
        shown, classes = self.experiment.tests[1], self.experiment.source_head.output_shape[-1]
        return (
            f"What {self.experiment.backbone.name} was pretrained on is not here. So forgetting is seen in its "
            "agreement with the pretrained network: the share of the "
            f"{len(shown):,} test {'texts' if self.experiment.is_text else 'images'}, on which nothing is trained, "
            f"that its own head of {classes:,} classes still names as before. An old answer may have been wrong."
        )

    def _run_in_words(self, run: Run) -> str:
        if run.settings.from_pretrained or run.number == 1:
            compared, before = self.experiment.raw_name, self._baselines.raw if self._baselines else float("nan")
        else:
            compared, before = f"run {run.number - 1}", self.experiment.runs[run.number - 2].target
        wrong = int((~run.audit["verdict"].str.endswith("as meant")).sum())
        moved = f"{_moved(run.audit, self.experiment.backbone.n_stages)} moved."
        if run.stopped:
            moved = f"Stopped after {epochs_in_words(run.epochs)} of {counted(run.settings.epochs, 'epoch')}. {moved}"
        points = 100 * (run.target - before)
        side = "above" if points >= 0 else "below"
        guessing = ", no better than guessing" if self._is_guessing(run) else ""
        parts = [moved, f"Target {run.target:.3f}{guessing}, {abs(points):.0f} points {side} {compared}."]
        parts.append(self._forgetting_in_words(run))
        if wrong and run.batches:
            parts.append(f"{counted(wrong, 'layer')} did not do as meant: see the strip.")
        parts += [words] if (words := self.experiment.scored_words()) else []
        once = f", of which {run.caching_seconds:.1f} s for the frozen part, once" if run.boundary else ""
        return " ".join([*parts, f"{run.seconds:.1f} s{once}."])

    def _is_guessing(self, run: Run) -> bool:
        """Whether a trained network may do no better than always the most frequent class: a binomial test at 5 %."""
        y = self.experiment.tests[0].y
        most, right = float(np.bincount(y).max()) / len(y), round(run.target * len(y))
        return run.batches > 0 and bool(stats.binomtest(right, len(y), most, alternative="greater").pvalue > 0.05)

    def _forgetting_in_words(self, run: Run) -> str:
        before = self.experiment.source_before
        if self.experiment.source is None:
            n = len(self.experiment.tests[1])
            return f"{round(run.source * n):,} of {n:,} old answers stay (agreement {run.source:.3f})."
        if math.isnan(before):
            return f"Source {run.source:.3f}."
        lost = before - run.source
        some = "mild forgetting" if lost >= MILD else "nothing to speak of is forgotten"
        verdict = "forgetting" if lost >= MUCH else some
        return f"Source from {before:.3f} to {run.source:.3f}: {verdict}."

    def _sentence_html(self) -> str:
        first, _, rest = self.sentence.partition(". ")
        words = f"<b>{escape(first)}.</b> {escape(rest)}" if rest else escape(self.sentence)
        return f"<div role='status' aria-live='polite'>{words}</div>"

    # The screen -----------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        old_answers = f"<br>{escape(self._old_answers_words())}" if self.experiment.source is None else ""
        title = ipywidgets.HTML(
            f"<h4>FreezeLab: {escape(self._domains)}, {escape(self.backbone.name)}</h4>"
            '<span class="tlkit-quiet">Blue ❄ is frozen, orange ● learns. The dashed line is the boundary: what lies '
            f"above it is computed once. Base at the top, head at the bottom.{old_answers}</span>"
        ).add_class("tlkit-title")
        stages = ipywidgets.VBox(self._build_stages()).add_class("tlkit-stages")
        settings = ipywidgets.VBox(self._build_settings()).add_class("tlkit-settings")
        self._curves = ipywidgets.HTML().add_class("tlkit-plot")
        columns = ipywidgets.Box([stages, settings, self._curves]).add_class("tlkit-columns")
        self._words = ipywidgets.HTML().add_class("tlkit-sentence")
        self._runs = RunsTable(lambda run: self._press(lambda: self.restore(run)), source=self._source)
        self._strip = ipywidgets.HTML(f"<b>Which weights moved</b><br>{draw_strip(None)}").add_class("tlkit-moved")
        below = ipywidgets.Box([self._runs, self._strip]).add_class("tlkit-columns")
        self._code_button = ipywidgets.ToggleButton(
            description="this run as Keras code", tooltip="The last run as a program of plain Keras", disabled=True
        ).add_class("tlkit-to-keras")
        self._code_button.observe(lambda _: self._show_code(), "value")
        self._code = ipywidgets.HTML().add_class("tlkit-code")
        self.children = [
            style_sheet(_STYLE + RUNS_STYLE), Page(), title, columns, self._words, below, self._code_button, self._code,
        ]  # fmt: skip

    def _build_stages(self) -> list[Any]:
        rows: list[Any] = []
        self._toggles, self._infos, self._boxes, self._gaps = [], [], [], []
        self._layer_boxes: list[Any] = []
        self._layer_toggles: dict[str, Any] = {}
        for info in self.experiment.stages:
            toggle = ipywidgets.ToggleButton(value=True, layout=ipywidgets.Layout(width="92px"))
            toggle.add_class("tlkit-toggle").add_class(f"tlkit-toggle-{info.number}")
            toggle.disabled = not info.layers
            shape = "×".join("tokens" if size is None else str(size) for size in info.shape)
            text = ipywidgets.HTML(
                f'<div class="tlkit-pair"><span>{shape}</span><span>{_count(info.weights)} weights</span></div>'
                f'<div class="tlkit-pair tlkit-quiet"><span>{escape(info.end)}</span>'
                f"<span>{_count(info.multiply_adds)} mult-adds</span></div>"
            ).add_class("tlkit-info")
            more = ipywidgets.ToggleButton(
                value=False,
                description=f"{len(info.layers)} ▸",
                tooltip=f"show the {len(info.layers)} layers of stage {info.number} that can be frozen one by one",
                layout=ipywidgets.Layout(width="48px"),
            ).add_class(f"tlkit-more-{info.number}")
            box = ipywidgets.HBox([toggle, text, more]).add_class("tlkit-stage").add_class(f"tlkit-stage-{info.number}")
            layers = ipywidgets.VBox([]).add_class("tlkit-layers")
            layers.layout.display = "none"
            gap = ipywidgets.HTML().add_class("tlkit-boundary")
            toggle.observe(lambda change, info=info: self._stage_toggled(info.number, change["new"]), "value")
            more.observe(lambda change, info=info: self._disclose(info.number, change["new"]), "value")
            self._toggles.append(toggle)
            self._infos.append(text)
            self._boxes.append(box)
            self._layer_boxes.append(layers)
            self._gaps.append(gap)
            rows += [box, layers, gap]
        n_classes = len(self.experiment.target.classes)
        head_weights = sum(int(np.prod(weight.shape)) for weight in self.experiment.head.trainable_weights)
        head = ipywidgets.HTML(
            '<div class="tlkit-pair"><span><b>● head</b> always learns</span>'
            f"<span>{_count(head_weights)} weights</span></div>"
            f'<div class="tlkit-quiet">{n_classes} classes: {escape(_few(self.experiment.target.classes))}</div>'
        ).add_class("tlkit-info")
        box = ipywidgets.HBox([head]).add_class("tlkit-stage").add_class("tlkit-learns").add_class("tlkit-head-row")
        self._first_gap = ipywidgets.HTML().add_class("tlkit-boundary")
        return [self._first_gap, *rows, box]

    def _build_settings(self) -> list[Any]:
        n = self.experiment.backbone.n_stages
        most = self.experiment.most_per_class
        labels = sorted({k for k in (1, 2, 5, 10, 20, 50, 100, 200, 500) if k <= most} | {min(10, most)})
        wide = ipywidgets.Layout(width="98%")
        self._slider = ipywidgets.IntSlider(
            min=0, max=n, description="freeze up to", tooltip=_HINTS["stage"], layout=wide
        )
        make = {
            "per_class": ipywidgets.SelectionSlider(
                options=labels, value=min(10, most), description="labels per class"
            ),
            "epochs": ipywidgets.IntSlider(min=1, max=60, value=20, description="epochs"),
            # Not a logarithmic slider, which rounds to its own steps what a program has set.
            "head_rate": ipywidgets.SelectionSlider(options=_rates(1e-3), value=1e-3, description="rate, head"),
            "base_rate": ipywidgets.SelectionSlider(options=_rates(3e-4), value=3e-4, description="rate, base"),
            "views": ipywidgets.IntSlider(min=1, max=8, value=1, description="views"),
            # Buttons, not a drop-down list: in command mode JupyterLab takes the arrow keys for itself.
            "head_first": _choice("order", {"together": False, "head first": True}),
            "from_pretrained": _choice("start", {"pretrained": True, "go on": False}),
            "train_batchnorm": ipywidgets.Checkbox(value=False, description="BatchNorm learns, too", indent=False),
        }
        self._controls: dict[str, Any] = {}
        for name, control in make.items():
            control.tooltip = self._locked.get(name, _HINTS[name])
            control.disabled = name in self._locked
            control.layout = wide
            control.add_class(f"tlkit-{name.replace('_', '-')}")
            control.observe(lambda change, name=name: self._control_moved(name, change["new"]), "value")
            self._controls[name] = control
        settings: list[Any] = []
        for name, control in self._controls.items():
            settings.append(control)
            if name in self._locked:
                settings.append(ipywidgets.HTML(f'<span class="tlkit-quiet">({self._locked[name]})</span>'))
        self._slider.add_class("tlkit-freeze-to")
        self._slider.observe(lambda change: self._slid(change["new"]), "value")
        self._progress = ipywidgets.IntProgress(min=0, max=1, value=0, layout=wide).add_class("tlkit-progress")
        self._progress_words = ipywidgets.HTML('<span class="tlkit-quiet">ready</span>')
        self._progress_words.add_class("tlkit-progress-words")
        self._note = ipywidgets.HTML().add_class("tlkit-note")
        return [self._slider, *settings, self._build_buttons(), self._progress, self._progress_words, self._note]

    def _build_buttons(self) -> Any:
        def button(name: str, tooltip: str, action: Callable[[], Any], look: str = "") -> Any:
            made = ipywidgets.Button(
                description=name, tooltip=tooltip, button_style=look, layout=ipywidgets.Layout(width="30%")
            )
            made.on_click(lambda _: action())
            return made.add_class(f"tlkit-{name.lower()}")

        def train() -> None:
            self._press(lambda: self.train(wait=False))

        self._train_button = button("Train", "Train with these settings", train, "success")
        self._stop_button = button("Stop", "Stop after the batch in progress; its weights are kept", self.stop)
        self._stop_button.disabled = True
        back = "Back to the pretrained weights and a new head"
        self._reset_button = button("Reset", back, lambda: self._press(self.reset))
        return ipywidgets.HBox([self._train_button, self._stop_button, self._reset_button])

    # Hands ----------------------------------------------------------------------------------------------------------

    def _press(self, action: Any) -> None:
        try:
            action()
        except (RuntimeError, ValueError, traitlets.TraitError) as error:
            self._say_refused(str(error))

    def _say_refused(self, words: str) -> None:
        self._note.value = f'<span role="alert" style="color:var(--tlkit-target)">{escape(words)}</span>'

    @contextlib.contextmanager
    def _by_the_lab(self) -> Iterator[None]:
        before, self._setting = self._setting, True
        try:
            yield
        finally:
            self._setting = before

    def _by_hand(self, change: Any) -> None:
        """A control was moved: do as it says, or put it back and say why not."""
        if self._setting:
            return
        try:
            change()
            self._note.value = ""
        except (ValueError, traitlets.TraitError) as error:
            self._show_settings()
            self._say_refused(str(error))

    def _control_moved(self, name: str, value: Any) -> None:
        self._by_hand(lambda: setattr(self, name, value))

    def _slid(self, stage: int) -> None:
        self._by_hand(lambda: self.freeze_to(stage))

    def _stage_toggled(self, stage: int, frozen: bool) -> None:
        layers = self.experiment.stages[stage - 1].layers
        self._by_hand(lambda: self.freeze_layers(*layers, frozen=frozen))

    def _disclose(self, stage: int, shown: bool) -> None:
        box = self._layer_boxes[stage - 1]
        if shown and not box.children:  # made when first asked for: a ResNet50 has some fifty
            box.children = self._build_layers(stage)
            self._show_settings()
        box.layout.display = "" if shown else "none"

    def _build_layers(self, stage: int) -> list[Any]:
        info = self.experiment.stages[stage - 1]
        children = []
        for path in info.layers:
            toggle = ipywidgets.ToggleButton(value=True, layout=ipywidgets.Layout(width="98%")).add_class("tlkit-layer")
            toggle.observe(
                lambda change, path=path: self._by_hand(lambda: self.freeze_layers(path, frozen=change["new"])), "value"
            )
            self._layer_toggles[path] = toggle
            children.append(toggle)
        batchnorms = f" {info.batchnorms} BatchNorm layers follow their own switch." if info.batchnorms else ""
        note = ipywidgets.HTML(
            f'<span class="tlkit-quiet">The boundary can lie only at {escape(info.end)}, '
            "where the network is one tensor wide. Inside a residual branch a cut would lose the shortcut: a layer "
            f"frozen there keeps its weights, but is computed in every epoch.{batchnorms}</span>"
        )
        return [*children, note]

    # Showing --------------------------------------------------------------------------------------------------------

    def _follow_settings(self, change: Any) -> None:
        self._show_settings()
        if self.sentence.startswith(_UNTRAINED):
            self.sentence = self._opening_words()
        if change["name"] in ("per_class", "epochs"):
            self._baselines = None
            self._show_curves()

    def _show_settings(self) -> None:
        """Every control says what the traits say."""
        boundary = self.stage
        with self._by_the_lab():
            self._slider.value = boundary
            for name, control in self._controls.items():
                self._set_control(name, control, getattr(self, name))
            for info, toggle, box in zip(self.experiment.stages, self._toggles, self._boxes, strict=True):
                inside = [path in self.frozen for path in info.layers]
                whole = all(inside) if inside else info.number <= boundary
                some = any(inside) and not whole
                toggle.value = whole
                toggle.description = f"{'❄' if whole else '◐' if some else '●'} stage {info.number}"
                state = "frozen" if whole else "partly frozen" if some else "learns"
                toggle.tooltip = f"stage {info.number} {state}: press to {'let it learn' if whole else 'freeze it'}"
                box.remove_class("tlkit-learns" if whole else "tlkit-frozen")
                box.add_class("tlkit-frozen" if whole else "tlkit-learns")
            for path, toggle in self._layer_toggles.items():
                frozen = path in self.frozen
                toggle.value = frozen
                toggle.description = f"{'❄' if frozen else '●'} {path}"
                toggle.tooltip = f"{path} {'is frozen' if frozen else 'learns'}"
                toggle.remove_class("tlkit-learns" if frozen else "tlkit-frozen")
                toggle.add_class("tlkit-frozen" if frozen else "tlkit-learns")
        line = '<div class="tlkit-dash"><span>boundary</span></div>'
        for number, gap in enumerate([self._first_gap, *self._gaps]):
            gap.value = line if number == boundary else ""

    def _set_control(self, name: str, control: Any, value: Any) -> None:
        if name == "per_class" and value not in control.options:
            control.options = sorted({*control.options, value})
        if name in ("epochs", "views"):
            control.max = max(control.max, value)
        if name.endswith("rate") and value not in [rate for _, rate in control.options]:
            control.options = _rates(value, *[rate for _, rate in control.options])
        control.value = value

    def _show_status(self, change: Any) -> None:
        running = change["new"] != "idle"
        self._train_button.disabled = self._reset_button.disabled = running
        self._stop_button.disabled = change["new"] != "running"
        for control in [self._slider, *self._layer_toggles.values()]:
            control.disabled = running
        for name, control in self._controls.items():
            control.disabled = running or name in self._locked
        for info, toggle in zip(self.experiment.stages, self._toggles, strict=True):
            toggle.disabled = running or not info.layers
        if change["new"] == "running":
            self._progress.value = 0
            self._say_progress("preparing …")
            self._note.value = '<span class="tlkit-quiet">Settings are locked during a run.</span>'
        elif change["new"] == "stopping":
            self._say_progress("stopping after this batch …")
        else:
            self._note.value = ""

    def _show_curves(self, *, running: bool = False) -> None:
        if self._baselines is None or not running:
            with contextlib.suppress(ValueError):  # fewer than two classes among the labels: no probe
                self._baselines = self.experiment.baselines(self.per_class)
        runs = self.experiment.runs
        shown = list(self._live)
        former = [Curve(list(run.history.itertuples(index=False, name=None))) for run in runs[-8:]]
        if not running and shown and former:
            shown = list(former.pop().points)
        self._curves.value = draw_curves(
            Curve(shown) if shown else None,
            former,
            self._baselines,
            epochs=self.epochs,
            source_before=self.experiment.source_before,
            source=self._source,
        )
        if not running:
            self._still.renew()

    def _show_code(self) -> None:
        """The last run as a program of plain Keras, or why it cannot be one."""
        self._code_button.disabled = not self.runs
        if not (self._code_button.value and self.runs):
            self._code.value = ""
            return
        try:
            program = escape(self.experiment.to_keras(self.runs[-1]))
        except ValueError as error:
            self._code.value = f'<span class="tlkit-quiet">{escape(error)}</span>'
            return
        saving = f'lab.experiment.save_keras(lab.runs[{len(self.runs) - 1}], "folder")'
        self._code.value = (
            f'<span class="tlkit-quiet"><code>{escape(saving)}</code> writes it and the files that it reads.</span>'
            f"<pre>{program}</pre>"
        )

    def _show_end(self, words: str, *, well: bool) -> None:
        self._say_progress("ready")
        (self._words.remove_class if well else self._words.add_class)("tlkit-not-well")
        self.sentence = words
        self._show_curves()
        self._runs.show(self.results, self._epochs_done)
        self._show_code()
        self._strip.value = f"<b>Which weights moved</b><br>{draw_strip(self.audit)}"

    # For readers without a kernel -----------------------------------------------------------------------------------

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return self._still.beside(super()._repr_mimebundle_(include=include, exclude=exclude))

    def _static_words(self) -> str:
        runs = self.results
        words = f"FreezeLab: {self._domains}, {counted(len(runs), 'run')}"
        if not len(runs):
            return words
        columns = ("run", *shown_columns(runs))
        texts = shown_texts(runs, columns, self._epochs_done)
        shown = pd.DataFrame(texts, columns=titles(columns, self._source))
        return f"{words}\n{shown.to_string(index=False)}"

    def _draw(self, figure: Figure) -> None:
        title = f"FreezeLab: {self._domains}"
        columns = ("run", *shown_columns(self.results))
        table = shown_texts(self.results.tail(_RUNS_DRAWN), columns, self._epochs_done)
        drawn = [titles(columns, self._source), *table]
        draw_figure(figure, title, self.runs, drawn, self.baselines, epochs=self.epochs, source=self._source)


def _rates(*more: float) -> list[tuple[str, float]]:
    """Learning rates to choose from, about three a decade, and those that a program has set."""
    usual = [factor * 10.0**exponent for exponent in range(-6, -1) for factor in (1, 3)]
    rates = sorted({float(f"{rate:.12g}") for rate in usual} | set(more))
    return [(f"{rate:.3g}".replace("e-0", "e-"), rate) for rate in rates]


def _choice(text: str, options: dict[str, bool]) -> Any:
    first = next(iter(options.values()))
    return ipywidgets.ToggleButtons(options=list(options.items()), value=first, description=text)


def _end(lab: weakref.ref[FreezeLab]) -> None:
    """A thread that is inside TensorFlow while Python goes down would take the process with it: let it come out."""
    found = lab()
    if found is not None:
        found._stop.set()
        found._end_background()


def _moved(audit: pd.DataFrame, n_stages: int) -> str:
    """Which parts moved, in words: ``Only stages 4 and 5 and the head``."""
    moves = audit["weights_moved"] | audit["statistics_moved"]
    stages, still = audit.loc[moves, "stage"].unique().tolist(), audit[~moves]
    numbers = [stage for stage in stages if stage != "head"]
    if still.empty:
        return "Everything"
    if not stages:
        return "Nothing"
    if len(numbers) == n_stages:
        batchnorm = still["kind"].str.contains("BatchNorm").all()
        parts = "Everything but BatchNorm" if batchnorm else "Layers of every stage and the head"
        return parts if "head" in stages else "Everything but the head"
    if len(numbers) > 2 and numbers == list(range(numbers[0], numbers[-1] + 1)):
        words = f"stages {numbers[0]} to {numbers[-1]}"
    else:
        words = f"stage{'s' * (len(numbers) > 1)} {' and '.join(map(str, numbers))}" if numbers else ""
    return "Only " + " and ".join(part for part in (words, "the head" * ("head" in stages)) if part)


def _few(names: tuple[str, ...], most: int = 12) -> str:
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")
