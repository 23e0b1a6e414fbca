"""What is chosen for a run, and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

__all__ = ["BATCH_SIZE", "Baselines", "Run", "Settings", "StageInfo"]

BATCH_SIZE = 32


@dataclass(frozen=True)
class Settings:
    """What is chosen for a run.

    Args:
        frozen: What stays as it is: a stage (stages 1 to this one, 0 for nothing), or names of
            an experiment's ``layers``.
        train_batchnorm: BatchNorm learns, and moves its statistics, in each stage where a layer learns.
        per_class: Labels of each class, 1 or more.
        epochs: Passes over them, 1 or more.
        head_rate: Learning rate of the head, above 0.
        base_rate: Learning rate of the backbone's layers that learn, above 0.
        head_first: Begin with the best head on frozen features (a logistic regression) instead of a random one.
        views: Versions of each image: 1 is the image itself, more are augmented. Texts have no more than 1.
        from_pretrained: Begin from the pretrained weights and a new head; otherwise go on from the present ones.
        seed: Draws the labels, the head's start, the order of batches and the augmentation; ``None`` is the
            experiment's own.
    """

    frozen: int | frozenset[str]
    train_batchnorm: bool = False
    per_class: int = 10
    epochs: int = 20
    head_rate: float = 1e-3
    base_rate: float = 3e-4
    head_first: bool = False
    views: int = 1
    from_pretrained: bool = True
    seed: int | None = None


@dataclass(frozen=True, eq=False)
class Run:
    """What came out of a run.

    Args:
        number: From 1.
        boundary: Stages 1 to this one were frozen whole, and computed once.
        history: One row per moment: ``epoch`` (0 is before training), ``target`` and ``source`` (accuracies 0..1). The
            last row is on the test sets, the others on a few held-out examples.
        audit: As from :func:`tlkit.audit.audit_fit`.
        target: Accuracy on the target's test part, 0..1.
        source: Accuracy on the source's test part, 0..1, by the source's own head; where the experiment has no source,
            the share of the target's test part whose old answer stays.
        seconds: From the start to the last score, features included.
        caching_seconds: Of these, for running the frozen part.
        batches: Training steps taken.
        stopped: Ended before its last batch.
    """

    number: int
    settings: Settings
    boundary: int
    history: pd.DataFrame
    audit: pd.DataFrame
    target: float
    source: float
    seconds: float
    caching_seconds: float
    batches: int
    stopped: bool

    @property
    def epochs(self) -> float:
        """Epochs done: those of the settings, or fewer where the run was stopped."""
        return float(self.history["epoch"].iloc[-1])


@dataclass(frozen=True)
class Baselines:
    """What runs are compared with: accuracies on the target's test part, 0..1; NaN where it cannot be, or is not yet.

    Args:
        raw: Logistic regression on the same labels' input as it is: pixels, or the TF-IDF of words.
        zero_shot: The source's head, when source and target have the same classes.
        scratch: The same network from random weights, all of it trained on the same labels.
        raw_name: What ``raw`` reads, in words.
    """

    raw: float
    zero_shot: float
    scratch: float = float("nan")
    raw_name: str = "raw pixels"


@dataclass(frozen=True)
class StageInfo:
    """A stage for the eye: what comes out of it, what it costs, and its layers that can be frozen one by one.

    In ``shape`` the number of a text's tokens is ``None``; ``multiply_adds`` are those of one image, or of one text of
    the target's mean length.
    """

    number: int
    end: str
    shape: tuple[int | None, ...]
    weights: int
    multiply_adds: int
    layers: tuple[str, ...]
    batchnorms: int
