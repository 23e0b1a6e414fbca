"""Groups of pictures that a split must not tear apart: whose they are, and which of them are for testing."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tlkit.domains import Array
from tlkit.folders.listing import Listing
from tlkit.words import reason

__all__ = ["Groups", "name_groups", "split_groups"]

Groups = str | Path | re.Pattern[str] | Callable[[Path], object]

_ORDERS = 10  # orders that split_groups tries


def name_groups(groups: Groups, files: Sequence[Path], listing: Listing) -> list[str]:
    """The name of each file's group, found as :func:`tlkit.folders.load_folder` says.

    Raises:
        TypeError: ``groups`` is none of the ways.
        ValueError: A file is in no group, or the CSV file or the regular expression cannot be used.
    """
    if isinstance(groups, Path) or (isinstance(groups, str) and groups.lower().endswith(".csv")):
        table = _read_csv(Path(groups))
        found = [table.get(listing.name(file)) or table.get(file.name) for file in files]
        where = f"a row in {str(groups)!r}"
    elif isinstance(groups, (str, re.Pattern)):
        try:
            pattern = re.compile(groups)
        except re.error as error:
            raise ValueError(
                f"groups must be a regular expression or a path that ends in .csv, got {groups!r} ({error})."
            ) from error
        matches = [pattern.search(file.name) for file in files]
        found = [None if match is None else match[1 if pattern.groups else 0] for match in matches]
        where = f"a match for {pattern.pattern!r} in its name"
    elif callable(groups):
        results = [groups(file) for file in files]
        found = [None if result is None else str(result) for result in results]
        where = "a name from the function"
    else:
        raise TypeError(
            "groups must be the path of a CSV file, a regular expression or a function of a file's path, "
            f"got {type(groups).__name__}."
        )
    missing = [listing.name(file) for file, name in zip(files, found, strict=True) if not name]
    if missing:
        raise ValueError(
            f"groups must give each file a group ({where}), got none for {len(missing)} of {len(files)}, "
            f"such as {missing[0]!r}."
        )
    return [name for name in found if name]


def _read_csv(path: Path) -> dict[str, str]:
    try:
        text = path.read_text(encoding="utf-8-sig")  # Excel writes a mark at the start
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not UTF-8"
        raise ValueError(
            f"groups must be a CSV file with the columns file,group, got {str(path)!r} ({why})."
        ) from error
    lines = text.splitlines()
    header = lines[0] if lines else ""
    delimiter = ";" if ";" in header and "," not in header else ","  # Excel, where the comma is the decimal sign
    rows = csv.DictReader(lines, delimiter=delimiter)
    try:
        if not {"file", "group"} <= set(rows.fieldnames or ()):
            got = f"the columns {header[:80]!r} in {str(path)!r}"
            raise ValueError(f"groups must be a CSV file with the columns file,group, got {got}.")
        listed = list(rows)
    except csv.Error as error:  # a field of more than 131,072 characters, such as a quotation mark that nothing closes
        raise ValueError(
            f"groups must be a CSV file that can be read, got {str(path)!r} ({reason(error, 100)} near line "
            f"{rows.line_num})."
        ) from error
    table: dict[str, str] = {}
    for row in listed:
        file, group = ((row[column] or "").strip() for column in ("file", "group"))
        file = file.replace("\\", "/").removeprefix("./")
        if table.setdefault(file, group) != group:
            raise ValueError(f"groups must give each file one group, got {table[file]!r} and {group!r} for {file!r}.")
    return table


def split_groups(
    labels: Array, groups: Array, classes: Sequence[str], test_fraction: float, rng: np.random.Generator
) -> Array:
    """Which groups are for testing, ``(n_groups,)`` booleans: every class has examples in both parts.

    Groups come in random order; one joins the test part when that brings the classes' shares there closer to
    ``test_fraction``. Of ten orders the best is taken. scikit-learn's ``StratifiedGroupKFold`` is not used: it cuts k
    equal parts, so that the fraction would have to be 1/k, and may leave a part without a class.

    Args:
        labels: Class index of each example, ``(n,)``.
        groups: Group index of each example, ``(n,)``, from 0 without a gap.
        classes: Names, for the message.
        rng: Draws the orders.

    Raises:
        ValueError: A class has fewer than two groups, or no such split was found.
    """
    counts = np.zeros((groups.max() + 1, len(classes)))
    np.add.at(counts, (groups, labels), 1)
    for name, n in zip(classes, np.count_nonzero(counts, axis=0), strict=True):
        if n < 2:
            raise ValueError(f"each class needs two groups or more (one to train, one to test), got {n} in {name!r}.")
    parts = [_fill(counts, test_fraction, rng) for _ in range(_ORDERS)]
    shares = np.array([counts[part].sum(0) / counts.sum(0) for part in parts])  # (orders, classes)
    distances = np.where(shares.all(1), np.sum((shares - test_fraction) ** 2, axis=1), np.inf)
    if np.isinf(distances.min()):
        lacking = classes[int(np.argmin(shares[0]))]
        raise ValueError(
            f"groups must leave each class images to train and to test, got groups across classes with none to test "
            f"for {lacking!r}."
        )
    return parts[int(np.argmin(distances))]


def _fill(counts: Array, test_fraction: float, rng: np.random.Generator) -> Array:
    totals = counts.sum(0)
    in_test = np.zeros(len(counts), bool)
    test = np.zeros_like(totals)

    def distance(part: Array) -> float:
        return float(np.sum((part / totals - test_fraction) ** 2))

    def leaves_some(group: int) -> bool:
        return bool(np.all(test + counts[group] < totals))

    now = distance(test)
    for group in rng.permutation(len(counts)).tolist():
        then = distance(test + counts[group])
        if then < now and leaves_some(group):
            in_test[group], now = True, then
            test += counts[group]
    for label in np.flatnonzero(test == 0):  # its groups are all too large for the fraction: the one that fits best
        able = [group for group in np.flatnonzero(~in_test & (counts[:, label] > 0)).tolist() if leaves_some(group)]
        if able and test[label] == 0:
            group = min(able, key=lambda group: distance(test + counts[group]))
            in_test[group] = True
            test += counts[group]
    return in_test
