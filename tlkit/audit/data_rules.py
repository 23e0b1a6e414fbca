"""Rules that look at the data and at the history: leaks between splits, labels, what the curves say."""

from __future__ import annotations

import hashlib
import itertools
import re
from typing import Any

import numpy as np
import pandas as pd

from tlkit._keras import keras, tf
from tlkit._keras.graph import layers_within
from tlkit.audit.case import MAX_EXAMPLES, Case, Examples, Unknown, are_tokens, read
from tlkit.audit.model_rules import DOMAINS, EVALUATION, FINE_TUNING, MUSEUM, Rule
from tlkit.domains import Array
from tlkit.words import counted

__all__ = ["DATA_RULES", "tidy_history"]


# Leaks --------------------------------------------------------------------------------------------------------------


def _hashes(x: Array) -> list[bytes]:
    """A hash of each example's content, whatever its dtype; of a text without its padding, however long that is."""
    rows = (np.trim_zeros(row, "b") for row in x) if are_tokens(x) else iter(x)
    return [hashlib.blake2b(np.ascontiguousarray(row, np.float32).tobytes(), digest_size=16).digest() for row in rows]


def _pairs(case: Case) -> list[tuple[str, Examples, str, Examples]]:
    parts = case.parts()
    if len(parts) < 2:
        raise Unknown("fewer than two splits given")
    pairs = [(a, parts[a], b, parts[b]) for a, b in itertools.combinations(parts, 2)]
    told = {"validation", "test"} if set(parts) >= {"validation", "test"} and _chosen_on_test(case) else None
    return [pair for pair in pairs if _comparable(pair[1], pair[3]) and {pair[0], pair[2]} != told]


def _comparable(one: Examples, other: Examples) -> bool:
    return one.x.shape[1:] == other.x.shape[1:] or (one.is_text and other.is_text)


def _chosen_on_test(case: Case) -> str | None:
    """Whether one of the two parts holds nothing that the other has not; a few common examples are another rule's."""
    if not {"validation", "test"} <= set(case.data):
        raise Unknown("validation and test data are not both given")
    validation, test = case.examples("validation"), case.examples("test")
    if not _comparable(validation, test):
        return None
    chosen_on, scored_on = _hashes(validation.x), _hashes(test.x)
    if set(scored_on) <= set(chosen_on):
        return f"all {counted(len(scored_on), 'test example')} are among the {len(chosen_on):,} of validation"
    if set(chosen_on) <= set(scored_on):
        return f"all {counted(len(chosen_on), 'validation example')} are among the {len(scored_on):,} of test"
    return None


def _duplicates(case: Case) -> str | None:
    found = []
    for one, few, other, more in _pairs(case):
        known = set(_hashes(few.x))
        shared = sum(digest in known for digest in _hashes(more.x))
        if shared:
            verb = "is" if shared == 1 else "are"
            found.append(f"{shared:,} of {counted(len(more.x), f'{other} example')} {verb} also in {one}")
    return "; ".join(found) or None


# Correlation of two thumbnails. Measured: no pair of the train and test parts of mnist, optdigits and fashion reaches
# it; every copy with other brightness does, and of those with noise (deviation 4 of 255 grey levels) 99 % or more.
NEAR = 0.998
SIDE = 14
MOST = 3_000  # examples of each part that are compared


def thumbnails(x: Array) -> Array:
    """Grey thumbnails of at most 14 x 14 as unit vectors around 0, ``(n, d)``; a flat image is all zeros.

    The coarse hash: brightness, contrast, small noise and lossy compression hardly change it.
    """
    grey = x.astype(np.float32).mean(axis=-1)
    for axis in (1, 2):
        side = grey.shape[axis]
        edges = np.linspace(0, side, min(side, SIDE) + 1).astype(int)
        widths = np.diff(edges).reshape([-1 if i == axis else 1 for i in range(3)])
        grey = np.add.reduceat(grey, edges[:-1], axis=axis) / widths
    flat = grey.reshape(len(grey), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.asarray(flat / np.where(norm > 1e-6, norm, np.inf))


def bare_words(text: str) -> str:
    """A text without case, punctuation and blanks: the coarse hash of texts. Of a text without words it is empty."""
    return " ".join(re.findall(r"\w+", text.casefold()))


def _same_words(one: str, few: Examples, other: str, more: Examples) -> str | None:
    """Texts that differ from one in the other part in case, punctuation or blanks alone."""
    if few.texts is None or more.texts is None:
        raise Unknown("no words given to compare (Split has texts=); a text written anew is never found")
    known = {bare_words(text) for text in few.texts} - {""}
    exact = set(_hashes(few.x))  # those are another rule's
    words = (bare_words(text) for text in more.texts)
    count = sum(text in known and digest not in exact for text, digest in zip(words, _hashes(more.x), strict=True))
    if not count:
        return None
    verb = "has" if count == 1 else "have"
    return f"{count:,} of {counted(len(more.x), f'{other} text')} {verb} the words of one in {one}"


def _near_duplicates(case: Case) -> str | None:
    found = []
    for one, few, other, more in _pairs(case):
        if few.is_text:
            found += [same] if (same := _same_words(one, few, other, more)) else []
            continue
        if few.x.ndim != 4 or min(few.x.shape[1:3]) < 4:
            raise Unknown("the examples are not images")
        a, b = few.some(MOST), more.some(MOST)
        alike = thumbnails(b) @ thumbnails(a).T  # (n_b, n_a) correlations
        near = alike.max(axis=1) >= NEAR
        exact = np.isin(np.array(_hashes(b)), np.array(_hashes(a)))  # those are another rule's
        count = int(np.sum(near & ~exact))
        if count:
            verb = "looks" if count == 1 else "look"
            images = counted(len(b), f"{other} image")
            found.append(f"{count:,} of {images} {verb} the same as one in {one} (correlation ≥ {NEAR})")
    return "; ".join(found) or None


def _groups(case: Case) -> str | None:
    pairs = _pairs(case)
    if any(part.groups is None for pair in pairs for part in (pair[1], pair[3])):
        raise Unknown("no groups given (Split has groups=)")
    found = []
    for one, few, other, more in pairs:
        shared = np.intersect1d(few.groups, more.groups)  # type: ignore[arg-type]  # checked above
        if len(shared):
            share = float(np.mean(np.isin(more.groups, shared)))  # type: ignore[arg-type]
            groups = f"{counted(len(shared), 'group')} {'is' if len(shared) == 1 else 'are'} in {one} and in {other}"
            found.append(f"{groups}, with {share:.0%} of the {other} examples")
    return "; ".join(found) or None


def _reshuffled(case: Case) -> str | None:
    sets = {part: data for part, data in case.data.items() if isinstance(data, tf.data.Dataset)}
    if not sets:
        raise Unknown("no tf.data set given")
    first = {part: set(_hashes(case.examples(part).x)) for part in sets}
    for part, data in sets.items():
        if len(case.examples(part).x) >= MAX_EXAMPLES:
            raise Unknown(f"the {part} set is too large to be read twice")
        again = set(_hashes(read(data).x))
        left, came = len(first[part] - again), again - first[part]
        if not came or left == len(first[part]):
            continue  # the same examples; or all are new: a random augmentation
        strangers = {other: len(came & first[other]) for other in first if other != part}
        leaked = "".join(f", {n} of them from {other}" for other, n in strangers.items() if n)
        return (
            f"a second pass over {part} brought {len(came):,} of {len(again):,} examples that the first had not{leaked}"
        )
    return None


# Labels -------------------------------------------------------------------------------------------------------------


def _imbalance(case: Case) -> str | None:
    found = []
    for part, examples in case.parts().items():
        if examples.classes.min(initial=0) < 0 or len(examples.classes) < 30:
            continue
        counts = np.bincount(examples.classes)
        n_classes = max(int(np.sum(counts > 0)), 2)
        share = counts.max() / counts.sum()
        if share >= (1 + 1 / n_classes) / 2:
            found.append(f"class {counts.argmax()} is {share:.0%} of {part}: always naming it scores {share:.2f}")
    if not case.data:
        raise Unknown("no data given")
    return "; ".join(found) or None


def _predictions(case: Case, x: Any) -> Array:
    outputs = np.asarray(case.model(tf.constant(x), training=False))  # not predict, which would leave a traced function
    if outputs.shape[-1] > 1:
        return np.asarray(outputs.argmax(axis=-1))
    return outputs.ravel() > (0 if case.gives[0] == "logits" else 0.5)


def _confusion_disagrees(case: Case) -> str | None:
    part = next((name for name in ("test", "validation") if name in case.data), None)
    if part is None:
        raise Unknown("no test or validation data given")
    data = case.data[part]
    if case.confusion is not None:
        matrix = np.asarray(case.confusion)
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.sum():
            raise Unknown(f"confusion must be a square matrix of counts, got shape {matrix.shape}")
        traced, source = float(np.trace(matrix) / matrix.sum()), "the confusion matrix given"
        examples = case.examples(part)
        accuracy = float(np.mean(_in_batches(case, examples.x) == examples.classes))
    elif isinstance(data, tf.data.Dataset):
        # What a learner does: predictions from one pass over the set, labels from another.
        first, second = case.examples(part), read(data)
        predicted = _in_batches(case, first.x)
        accuracy = float(np.mean(predicted == first.classes))
        traced = float(np.mean(predicted == second.classes[: len(predicted)])) if len(second.y) == len(first.y) else 0.0
        source = "predictions of one pass against the labels of another"
    else:
        raise Unknown("no confusion matrix and no tf.data set given")
    n = len(case.examples(part).y)
    if abs(traced - accuracy) <= 0.5 / n:
        return None
    return f"{source}: trace / total = {traced:.3f}, while the accuracy on {part} is {accuracy:.3f} (n = {n:,})"


def _in_batches(case: Case, x: Array) -> Array:
    try:
        return np.concatenate([_predictions(case, x[i : i + 256]) for i in range(0, len(x), 256)])
    except Exception as error:
        raise Unknown("the model cannot be called on the data") from error


# The history --------------------------------------------------------------------------------------------------------


def tidy_history(history: Any) -> pd.DataFrame | None:
    """Any history as :func:`tlkit.training.fit` returns it: one row per epoch and split.

    Args:
        history: That table, Keras' ``History``, or its dictionary.

    Raises:
        ValueError: It is something else, or holds no loss.
    """
    if history is None:
        return None
    if isinstance(history, pd.DataFrame):
        if not {"epoch", "split", "loss"} <= set(history.columns):
            raise ValueError(f"history must have columns epoch, split and loss, got {', '.join(history.columns)}.")
        if not all(pd.api.types.is_numeric_dtype(history[name]) for name in ("epoch", "loss")):
            raise ValueError("history must hold numbers as epoch and loss, got other values.")
        return history
    values = getattr(history, "history", history)
    if not isinstance(values, dict) or not isinstance(values.get("loss"), (list, tuple)) or not values["loss"]:
        raise ValueError("history must be the table of tlkit.fit, a Keras History or its dictionary with 'loss'.")
    rows = []
    for split, prefix in (("train", ""), ("validation", "val_")):
        scores = next((values[f"{prefix}{name}"] for name in ACCURACIES if f"{prefix}{name}" in values), None)
        losses = values.get(f"{prefix}loss", [])
        if scores is not None and len(scores) != len(losses):
            raise ValueError(f"history must have one accuracy an epoch, got {len(scores)} beside {len(losses)} losses.")
        for i, loss in enumerate(losses):
            accuracy = float("nan") if scores is None else float(scores[i])
            rows.append({"epoch": i + 1, "split": split, "loss": float(loss), "accuracy": accuracy})
    return pd.DataFrame(rows)


ACCURACIES = ("accuracy", "acc", "sparse_categorical_accuracy", "categorical_accuracy", "binary_accuracy")


def _of(case: Case, split: str) -> pd.DataFrame:
    if case.history is None:
        raise Unknown("no history given")
    rows = case.history[case.history["split"] == split].sort_values("epoch")
    if rows.empty:
        raise Unknown(f"the history has no {split} rows")
    return rows


def _chance(case: Case) -> float | None:
    """The loss of a network that gives each class the same probability; ``None`` where the loss has no such value."""
    if case.model.compiled:
        try:
            name = case.loss[0]
        except Unknown:
            return None
        if "crossentropy" not in name or "focal" in name:
            return None
        if name.startswith("binary"):
            return float(np.log(2))
    return float(np.log(max(case.width, 2)))


def _rate_too_high(case: Case) -> str | None:
    losses = _of(case, "train")["loss"].to_numpy(float)
    if not np.isfinite(losses).all():
        return f"the training loss is not finite from epoch {int(np.argmin(np.isfinite(losses))) + 1} on"
    chance = _chance(case)
    # The first epoch's mean holds the first, random steps: the second is what the first epoch led to.
    seen = losses[1] if len(losses) > 1 else losses[0]
    if chance is not None and min(seen, losses[-1]) > chance * 1.05 and not _has_only_begun(losses):
        return f"after the first epoch the training loss is {seen:.3g}, above chance ({chance:.3g})"
    if chance is not None and (ended := _ended_dead(case, losses, chance)):
        return ended
    if len(losses) >= 3 and losses[-1] > 1.1 * losses[0]:
        return f"the training loss rises, from {losses[0]:.3g} in the first epoch to {losses[-1]:.3g} in the last"
    return None


def _has_only_begun(losses: Array) -> bool:
    """A rate too low rather than too high: from wherever it starts the loss falls, evenly and by little."""
    epochs = len(losses) - 1
    return epochs > 0 and bool(np.all(np.diff(losses) <= 0.002 * losses[:-1])) and losses[-1] > losses[0] * 0.95**epochs


def _ended_dead(case: Case, losses: Array, chance: float) -> str | None:
    """A jump in the first epoch, after which only the last bias is left to learn: how often each class occurs.

    Measured with five small networks at ten rates of Adam and of SGD, 1e-6 to 10, two draws each: what separates these
    from slow learning is the jump, and that the loss neither falls nor rises any more.
    """
    share = 1 / max(case.width, 2)
    try:
        shares = np.bincount(case.examples("train").classes) / len(case.examples("train").classes)
    except (Unknown, ValueError):
        pass  # no labels, or none that can be counted: as if every class occurred equally often
    else:
        chance = min(chance, float(-np.sum(shares[shares > 0] * np.log(shares[shares > 0]))))
        share = float(shares.max())
    last = losses[1:][-3:]
    # Slow learning from a bad start falls little an epoch as well, but then it fell little before.
    flat = len(last) >= 2 and last[0] - last[-1] <= min(0.01 * chance, 0.02 * (losses[0] - last[-1]))
    if losses[0] < 1.15 * chance or not flat or last.min() < 0.97 * chance or last.max() > 1.06 * chance:
        return None
    rows = _of(case, "train")
    accuracy = float(rows["accuracy"].iloc[-1]) if "accuracy" in rows else float("nan")
    if accuracy > share + 0.1 * (1 - share):
        return None  # it does tell classes apart, whatever else the loss holds
    return (
        f"the training loss jumped to {losses[0]:.3g} in the first epoch and ends at {last[-1]:.3g}, without falling; "
        f"that is chance ({chance:.3g}), the loss of a network that gives every {_noun(case)} the same answer"
    )


def _noun(case: Case) -> str:
    try:
        return case.examples("train").noun
    except Unknown:
        return "example"


def _validation_better(case: Case) -> str | None:
    train, held_out = _of(case, "train"), _of(case, "validation")
    both = train.merge(held_out, on="epoch", suffixes=("_train", "_validation"))
    if both.empty:
        raise Unknown("no epoch has both a training and a validation row")
    better = both[both["loss_validation"] < 0.98 * both["loss_train"]]
    if len(better) <= len(both) / 2:
        return None
    last = both.iloc[-1]
    reasons = ["the training figure is the mean over the epoch, while the weights were still improving"]
    noisy = (keras.layers.Dropout, keras.layers.SpatialDropout2D, keras.layers.GaussianNoise)
    layers = layers_within(case.model)
    active = [layer.name for layer in layers if isinstance(layer, noisy) and getattr(layer, "rate", True)]
    active += [layer.name for layer in layers if type(layer).__name__.startswith("Random")]
    if active:
        reasons.append(f"{', '.join(active[:3])} makes training harder than validation")
    text = (
        f"validation loss is below training loss in {len(better)} of {len(both)} epochs "
        f"({last['loss_validation']:.3g} against {last['loss_train']:.3g} in the last): {'; '.join(reasons)}"
    )
    if "train" in case.data and case.model.compiled:
        try:
            scored = _inference_loss(case)
        except Exception:  # a note must not fail for a score that only adds to it
            return text
        text += f"; the same training examples, scored afterwards in inference mode: loss {scored:.3g}"
    return text


def _inference_loss(case: Case) -> float:
    examples = case.examples("train")
    x = examples.some(512)
    labels = Examples(examples.y, examples.y).some(512)
    return float(case.model.compute_loss(x=x, y=tf.constant(labels), y_pred=case.model(tf.constant(x), training=False)))


DATA_RULES = (
    Rule(
        "same-image-in-two-splits", "error", "remove duplicates before splitting; then split.", EVALUATION, _duplicates
    ),
    Rule(
        "chosen-on-the-test", "warning",
        "choose epochs, rate and model on a validation part; score the test part once, at the end.", EVALUATION,
        _chosen_on_test,
    ),
    Rule(
        "near-duplicate-in-two-splits", "warning", "look at the pairs; put images of one origin into one split.",
        EVALUATION, _near_duplicates,
    ),
    Rule(
        "group-in-two-splits", "error", "split by group (scikit-learn's GroupShuffleSplit), not by example.",
        EVALUATION, _groups,
    ),
    Rule(
        "reshuffled-before-split", "error",
        "shuffle before take and skip with reshuffle_each_iteration=False, or split the arrays first.", DOMAINS,
        _reshuffled,
    ),
    Rule(
        "class-imbalance", "warning", "report recall a class, or balanced accuracy, beside accuracy.",
        EVALUATION, _imbalance,
    ),
    Rule(
        "confusion-disagrees", "error", "take predictions and labels from one pass over an unshuffled set.", EVALUATION,
        _confusion_disagrees,
    ),
    Rule(
        "learning-rate-too-high", "warning",
        "start from fresh weights at a tenth of the learning rate: the loss must fall below log C.", FINE_TUNING,
        _rate_too_high,
    ),
    Rule(
        "validation-better-than-training", "note",
        "nothing to mend: score the training examples with evaluate to compare like with like.", MUSEUM,
        _validation_better,
    ),
)  # fmt: skip
