"""The table of methods on frozen features: its form, what a draw sees, and rows measured anew."""

import frozen_adaptation_tables as tables
import numpy as np
import pytest
from helpers import assert_says_how_it_was_made
from sklearn.preprocessing import StandardScaler

from tlkit.domains import Split
from tlkit.tables import FOLDER, read_table

ROWS = FOLDER / "adaptation_frozen.csv"


def toy(n: int = 60, seed: int = 0) -> tables.Features:
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    x = (rng.normal(size=(n, 4)) + y[:, None]).astype(np.float32)
    return tables.Features(Split(x, y), x + 1, Split(x + 1, y), x)


def test_the_table_says_how_it_was_made_and_has_ten_draws_of_each_method() -> None:
    assert_says_how_it_was_made(ROWS, "python tools/frozen_adaptation_tables.py")
    rows = read_table(ROWS)
    assert rows.attrs["recipe"] == tables.RECIPE
    assert set(rows["pair"]) == set(tables.PAIRS)
    assert set(rows["C"]) <= set(tables.CS)
    for (pair, _), own in rows.groupby(["pair", "draw"]):
        methods = ["source only", "AdaBN", *(f"CORAL, ridge {ridge}" for ridge in tables.RIDGES), "pseudo-labels"]
        assert own["method"].tolist() == [m for m in methods if m != "AdaBN" or pair == "photographs → drawings"]
    for _, own in rows.groupby(["pair", "method"]):
        assert own["draw"].tolist() == list(range(10))


def test_a_draw_labels_half_of_each_class_and_validates_on_the_other() -> None:
    given = toy()
    draw = tables.draw_of("photographs → drawings", given, 0)
    assert np.bincount(draw.source.y).tolist() == np.bincount(draw.validation.y).tolist() == [10, 10, 10]
    back = StandardScaler().fit(draw.source.x)
    assert np.allclose(back.mean_, 0, atol=1e-6)
    assert not {row.tobytes() for row in draw.source.x} & {row.tobytes() for row in draw.validation.x}


def test_no_label_of_the_target_reaches_a_method() -> None:
    draw = tables.draw_of("photographs → drawings", toy(), 1)
    other = tables.Draw(draw.source, draw.validation, draw.target, Split(draw.test.x, draw.test.y * 0), draw.adapted)
    for (method, c, said), (same, c_too, said_too) in zip(tables.answers(draw), tables.answers(other), strict=True):
        assert (method, c) == (same, c_too)
        assert np.array_equal(said, said_too)


def test_where_the_target_is_moved_the_methods_that_move_features_find_it() -> None:
    """The toy's target is its source, one unit further."""
    draw = tables.draw_of("photographs → drawings", toy(300), 2)
    right = {method: float(np.mean(said == draw.test.y)) for method, _, said in tables.answers(draw)}
    assert right["CORAL, ridge 1"] > right["source only"] + 0.1
    assert right["AdaBN"] > right["source only"] + 0.1  # here: the target without its shift


@pytest.mark.slow
@pytest.mark.bank
def test_rows_measured_anew() -> None:
    stored = read_table(ROWS).set_index(["pair", "draw", "method"])["target"]
    for row in tables.rows("photographs → drawings", draws=1):
        assert abs(row["target"] - stored[(row["pair"], 0, row["method"])]) < 0.03
