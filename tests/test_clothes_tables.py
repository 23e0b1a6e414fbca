"""The tables that notebook 10 reads: their form, how a setting is chosen, and rows measured anew."""

import itertools

import clothes_tables
import numpy as np
import pandas as pd
import pytest
from clothes_tables import CHOOSING, DRAWS, PER_CLASS, SIDE, WAYS, WAYS_ALL
from helpers import assert_says_how_it_was_made, same_accuracy
from sklearn.linear_model import LogisticRegression

import tlkit
from tlkit.domains import Split
from tlkit.tables import FOLDER, read_table

TABLES = {name: FOLDER / f"clothes_{name}.csv" for name in ("few", "few_choices", "all", "all_choices")}
N_TEST = 372


@pytest.mark.parametrize("path", TABLES.values(), ids=lambda path: path.stem)
def test_a_table_says_what_it_is_how_it_was_made_and_when(path):
    assert_says_how_it_was_made(path, "python tools/clothes_tables.py")
    assert path.stat().st_size < 20_000


ROUNDING = 1e-4  # of a stored accuracy


@pytest.mark.parametrize(("name", "ways", "draws"), [("few", WAYS, DRAWS), ("all", WAYS_ALL, 1)])
def test_each_way_has_each_draw_with_the_setting_that_the_validation_part_chose(name, ways, draws):
    rows, tried = read_table(TABLES[name]), read_table(TABLES[f"{name}_choices"]).to_dict("records")
    wanted = list(itertools.product(ways, range(draws)))
    assert list(rows[["way", "draw"]].itertuples(index=False, name=None)) == wanted
    assert rows[["validation", "test"]].melt()["value"].between(0, 1).all()
    for way, how in ways.items():
        own = [row for row in tried if row["way"] == way]
        chosen = set(rows.loc[rows["way"] == way, "setting"])
        if len(how.settings) == 1:
            assert (own, chosen) == ([], set(how.settings))
        else:
            settings = itertools.product(how.settings, range(min(draws, CHOOSING)))
            assert [(row["setting"], row["draw"]) for row in own] == list(settings)
            means = pd.DataFrame(own).groupby("setting")["validation"].mean()
            (setting,) = chosen
            assert means[setting] >= means.max() - ROUNDING  # two may be alike in what is stored of them


def test_no_row_of_what_was_tried_has_a_test_score():
    for name in ("few_choices", "all_choices"):
        assert list(read_table(TABLES[name])) == ["way", "setting", "draw", "validation"]


def test_the_best_setting_is_the_best_on_average_and_the_smallest_of_several():
    tried = [
        {"setting": setting, "draw": draw, "validation": value}
        for setting, values in ((1.0, (0.9, 0.1)), (0.1, (0.6, 0.6)), (0.01, (0.6, 0.6)))
        for draw, value in enumerate(values)
    ]
    assert clothes_tables.best(tried) == 0.01


def test_a_logistic_regression_for_features_as_they_come_answers_as_on_scaled_ones():
    rng = np.random.default_rng(0)
    train = Split(rng.normal(3, 20, size=(60, 5)).astype(np.float32), np.arange(60) % 3)
    kernel, bias = clothes_tables.logistic(train, 0.1)
    scaled = (train.x - train.x.mean(axis=0)) / train.x.std(axis=0).mean()
    # One deviation for all features, their root mean square: here all but the same as the mean.
    wanted = LogisticRegression(C=0.1, max_iter=2000).fit(scaled, train.y).decision_function(scaled)
    assert np.allclose(train.x @ kernel + bias, wanted, atol=0.02)


@pytest.mark.slow
@pytest.mark.bank  # notebook 10 draws anew in `make test`, and tests/test_course_tables.py measures photographs again
def test_a_draw_of_the_probe_measured_anew(fetched_clothes):
    domain = tlkit.load_clothes(image_size=SIDE)
    few = domain.train.take(PER_CLASS, seed=0)
    backbone = tlkit.load_backbone("efficientnet_lite0", image_size=SIDE)
    learned, tested = (
        tlkit.pool_features(tlkit.cache_features(backbone.model, split, cache_dir="memory"))
        for split in (few, domain.test)
    )
    stored = read_table(TABLES["few"]).set_index(["way", "draw"]).loc[("probe", 0)]
    scale = np.sqrt(learned.var(axis=0).mean())
    head = LogisticRegression(C=float(stored["setting"]), max_iter=2000).fit(learned / scale, few.y)
    accuracy = float(np.mean(head.predict(tested / scale) == domain.test.y))
    assert same_accuracy(accuracy, stored["test"], N_TEST)
