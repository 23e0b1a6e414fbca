"""The tables of tools/cell_tables.py: their form, their draws, and some figures measured anew."""

import itertools

import cell_tables
import numpy as np
import pytest
from cell_tables import CLASSES, COLOURS, DRAWS, FEATURES, FEW, MOST, PENALTIES, SIDES, WAYS
from helpers import assert_says_how_it_was_made
from table_rows import Rows, best_setting

from tlkit.tables import FOLDER, read_table

TESTED = dict(zip(CLASSES, (23, 27, 10, 7), strict=True))  # of the target, in each draw
HALVES = dict(zip(CLASSES, (86, 25, 21, 11), strict=True))  # of the source


@pytest.mark.parametrize("name", ["cells", "cells_choices"])
def test_a_table_says_what_it_is_how_it_was_made_and_when(name: str) -> None:
    assert_says_how_it_was_made(FOLDER / f"{name}.csv", "python tools/cell_tables.py")
    assert (FOLDER / f"{name}.csv").stat().st_size < 60_000


def test_each_learner_has_each_draw_and_its_hits_give_its_score() -> None:
    rows = read_table(FOLDER / "cells.csv")
    ways = [("within the source", 0), ("source only", 0), *itertools.product(WAYS, FEW)]
    wanted = {(f, c, *way, d) for f, c, way, d in itertools.product(FEATURES, COLOURS, ways, range(DRAWS))}
    assert set(rows[["features", "colours", "way", "per_class", "draw"]].itertuples(index=False, name=None)) == wanted
    assert len(rows) == len(wanted)
    for within, of in ((True, HALVES), (False, TESTED)):
        own = rows[(rows["way"] == "within the source") == within]
        recalls = np.stack([own[name] / of[name] for name in CLASSES])
        assert (recalls <= 1).all()
        np.testing.assert_allclose(recalls.mean(axis=0), own["balanced"], atol=6e-5)


def test_penalties_and_the_side_were_chosen_among_all_that_were_tried() -> None:
    tried = read_table(FOLDER / "cells_choices.csv")
    assert set(tried["side"]) == set(SIDES)
    for _, own in tried.groupby(["features", "colours", "side", "per_class"]):
        assert sorted(own["C"]) == sorted(PENALTIES)
    plain = tried[(tried["features"] == "ImageNet") & (tried["colours"] == "as they are") & (tried["per_class"] == 0)]
    (side,) = best_setting(plain.to_dict("records"), "side", "C")[:1]
    assert set(tried[tried["per_class"] > 0]["side"]) == {side}


def test_weights_of_one_are_none() -> None:
    rng = np.random.default_rng(0)
    x, tested = rng.normal(size=(30, 50)), rng.normal(size=(200, 50))
    y = np.arange(30) % 3
    with_weights = cell_tables.answers(x, y, tested, 1.0, np.ones(30))
    np.testing.assert_array_equal(cell_tables.answers(x, y, tested, 1.0), with_weights)


def test_turned_into_their_span_rows_give_the_same_answers() -> None:
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(1)
    x, tested, y = rng.normal(size=(20, 60)), rng.normal(size=(500, 60)), np.arange(20) % 4
    centre = x.mean(axis=0)
    scale = np.sqrt(np.mean((x - centre) ** 2))
    plain = LogisticRegression(C=0.1, class_weight="balanced", max_iter=5000, tol=1e-8).fit((x - centre) / scale, y)
    same = cell_tables.answers(x, y, tested, 0.1) == plain.predict((tested - centre) / scale)
    assert same.mean() > 0.99  # a tie may fall either way


def test_colours_of_one_domain_become_those_of_another() -> None:
    rng = np.random.default_rng(2)
    x = rng.integers(60, 120, size=(3, 9, 9, 3)).astype(np.uint8)
    axes = (0, 1, 2)
    moved = cell_tables.recoloured(x, x.mean(axes), x.std(axes), np.array([90.0, 130.0, 170.0]), 20.0)
    np.testing.assert_allclose(moved.mean(axes), [90, 130, 170], atol=0.5)
    np.testing.assert_allclose(moved.std(axes), 20, atol=0.5)
    each = cell_tables.per_picture(x)
    np.testing.assert_allclose(each.mean(axis=(1, 2)), cell_tables.MEAN, atol=1.5)  # some are clipped at 255


def test_no_labelled_picture_is_tested(fetched_cells: None) -> None:
    y = cell_tables.pictures("cellavision", SIDES[0]).y
    for seed in range(DRAWS):
        one = cell_tables.draw(seed)
        assert not set(one.train) & set(one.test)
        assert np.bincount(y[one.target_test]).tolist() == list(TESTED.values())
        assert np.bincount(y[one.few[10]]).tolist() == list(MOST.values())
        for few, more in itertools.pairwise(FEW):
            assert set(one.few[few]) < set(one.few[more])
        assert not set(one.few[10]) & set(one.target_test)


@pytest.mark.parametrize(("features", "colours"), [("colour histogram", "as they are"), ("raw pixels", "per domain")])
def test_a_figure_measured_anew(features: str, colours: str, fetched_cells: None, tmp_path) -> None:
    table = Rows(tmp_path / "cells.csv", "", "", "features", "colours", "way", "per_class", "draw")
    names = ("features", "colours", "side", "per_class", "C")
    choices = Rows(tmp_path / "choices.csv", "", "", *names)
    choices.rows = read_table(FOLDER / "cells_choices.csv").to_dict("records")
    cell_tables.measure(features, colours, 3, table, choices)
    stored = read_table(FOLDER / "cells.csv").set_index(["features", "colours", "way", "per_class", "draw"])
    for row in table.rows:
        was = stored.loc[(features, colours, row["way"], row["per_class"], 3), "balanced"]
        assert row["balanced"] == pytest.approx(was, abs=0.05)  # one eosinophil of seven is 0.036
