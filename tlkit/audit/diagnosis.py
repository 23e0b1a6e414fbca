"""Searching a model, its data and its history for the mistakes that are made again and again."""

from __future__ import annotations

from typing import Any

from tlkit._keras import keras, tf
from tlkit.audit.case import Case, Unknown
from tlkit.audit.data_rules import DATA_RULES, tidy_history
from tlkit.audit.findings import Finding, Findings
from tlkit.audit.model_rules import MODEL_RULES
from tlkit.audit.moved import Data, arrays, as_it_was, check_intention, check_model
from tlkit.backbones import Backbone
from tlkit.domains import Array, Split, check_count
from tlkit.features import check_tokens

__all__ = ["RULES", "diagnose"]

RULES = (*MODEL_RULES, *DATA_RULES)


def diagnose(
    model: keras.Model,
    train: Data | None = None,
    validation: Data | None = None,
    test: Data | None = None,
    *,
    backbone: Backbone | keras.Model | None = None,
    intended_stage: int | None = None,
    train_batchnorm: bool = False,
    history: Any = None,
    batch_size: int = 32,
    confusion: Array | None = None,
    features: Split | None = None,
) -> Findings:
    """Check a model for the traps of transfer learning; the more is given, the more rules can be applied.

    With a compiled model and training data it takes one training step and puts everything back (see
    :func:`tlkit.audit.audit_fit`); the model is never changed. What could not be checked, and why, is part of the
    answer. No finding is no proof: the rules know what is listed in ``RULES`` and nothing else.

    Args:
        model: Built, with one output; compiled for the rules on loss, optimizer and what moves.
        train: A split, arrays ``(x, y)``, or a ``tf.data`` set of batches (its first 5,000 examples are read); the same
            for ``validation`` and ``test``.
        backbone: The pretrained part: a :class:`tlkit.backbones.Backbone`, or a Keras model (one stage).
        intended_stage: What was meant: stages 1 to this one frozen, 0 for everything learning.
        train_batchnorm: BatchNorm was meant to learn too.
        history: What :func:`tlkit.training.fit` or Keras' ``fit`` returned.
        batch_size: Of the training, for arrays and splits.
        confusion: A confusion matrix (counts) that was computed for the test data, to be compared with the accuracy.
        features: What was cached of ``train`` at ``intended_stage``, to be compared with the backbone as it is.

    Returns:
        :class:`tlkit.audit.findings.Findings`, a list of findings, the gravest first.

    Raises:
        ValueError: ``model`` is no Keras model, is not built or has several outputs, ``intended_stage`` cannot be
            understood, ``history`` is no history, or a token id is none of the model's words.
    """
    check_model(model)
    if intended_stage is not None:
        check_intention(backbone, intended_stage)
    check_count("batch_size", batch_size)
    given = {"train": train, "validation": validation, "test": test}
    for part, data in given.items():
        if data is not None and not isinstance(data, tf.data.Dataset):
            try:
                check_tokens(model, arrays(data)[0])
            except ValueError as error:
                raise ValueError(f"{part}: {error}") from None
    case = Case(
        model,
        {part: data for part, data in given.items() if data is not None},
        backbone=backbone,
        intended_stage=intended_stage,
        train_batchnorm=train_batchnorm,
        history=tidy_history(history),
        batch_size=batch_size,
        confusion=confusion,
        features=features,
    )
    found, unchecked = [], {}
    with as_it_was(model):
        for rule in RULES:
            try:
                evidence = rule.look(case)
            except Unknown as reason:
                unchecked[rule.name] = str(reason)
            except Exception as error:  # a rule that fails must not cost the answers of the others
                unchecked[rule.name] = f"{type(error).__name__} in this rule"
            else:
                if evidence:
                    fix = rule.fix_for(backbone)
                    found.append(Finding(rule.name, rule.severity, f"{evidence}.", fix, rule.notebook))
    return Findings(found, unchecked, len(RULES) - len(unchecked))
