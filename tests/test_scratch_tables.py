"""The tuned baseline from scratch: the table's form, its choices, and a row measured anew."""

from typing import Any

import build_notebooks
import numpy as np
import pytest
import scratch_tables
from helpers import assert_says_how_it_was_made, same_accuracy

import tlkit
from tlkit import demo
from tlkit._keras import keras
from tlkit.tables import FOLDER, read_table

ROWS, TRIED = FOLDER / "scratch.csv", FOLDER / "scratch_choices.csv"


def test_a_table_says_how_it_was_made_and_has_ten_draws_of_everything() -> None:
    for path in (ROWS, TRIED):
        assert_says_how_it_was_made(path, "python tools/scratch_tables.py")
    rows = read_table(ROWS)
    assert rows.attrs["recipe"] == scratch_tables.RECIPE
    for _, own in rows.groupby("views"):
        assert own["draw"].tolist() == list(range(10))


def test_the_setting_is_the_best_of_those_tried_and_no_choice_has_read_a_test_image() -> None:
    rows, tried = read_table(ROWS), read_table(TRIED)
    assert list(tried) == ["views", "rate", "draw", "epochs", "validation"]
    assert not set(tried["draw"]) & set(rows["draw"])
    for views, own in tried.groupby("views"):
        chosen = rows[rows["views"] == views].iloc[0]
        means = own.groupby(["rate", "epochs"])["validation"].mean()
        assert set(means.index.get_level_values("rate")) == set(scratch_tables.RATES)
        assert means[(chosen["rate"], chosen["epochs"])] >= means.max() - 1e-3  # two may be alike in what is stored


def test_held_out_images_are_not_among_the_labelled_ones() -> None:
    train = tlkit.load_domain("mnist").train
    few = train.take(10, seed=100)
    kept = scratch_tables.held_out(train, few)
    assert len(kept) == scratch_tables.N_VALIDATION
    assert not {image.tobytes() for image in kept.x} & {image.tobytes() for image in few.x}


def test_the_demo_trains_with_the_setting_that_was_chosen() -> None:
    rows = read_table(ROWS).groupby("views")
    assert rows["test"].mean().idxmax() == "moved"
    chosen = rows.first().loc["moved"]
    assert (demo.SMALL_SETTING["learning_rate"], demo.SMALL_SETTING["epochs"]) == (chosen["rate"], chosen["epochs"])
    assert demo.SMALL_SETTING["batch_size"] == scratch_tables.BATCH


def test_the_network_is_that_of_notebook_06() -> None:
    network, start = demo.small_network(seed=0), demo.small_network(seed=0)
    assert all(np.array_equal(a, b) for a, b in zip(network.get_weights(), start.get_weights(), strict=True))
    assert [layer.filters for layer in network.layers if hasattr(layer, "filters")] == [16, 32, 64]
    assert network.output_shape == (None, 10)
    # The notebook writes it out, to be read: its own text makes the same layers and the same start weights.
    (source,) = build_notebooks.sources(["06"])
    (cell,) = [c.source for c in build_notebooks.read_source(source).cells if "def small_network(" in c.source]
    written: dict[str, Any] = {"np": np, "keras": keras}
    exec(cell, written)
    theirs = written["small_network"](0)
    configs = [[{**layer.get_config(), "name": ""} for layer in each.layers] for each in (network, theirs)]
    assert configs[0] == configs[1]
    assert all(np.array_equal(a, b) for a, b in zip(network.get_weights(), theirs.get_weights(), strict=True))


@pytest.mark.slow
@pytest.mark.bank  # each table's rows are measured anew there
def test_a_training_measured_anew() -> None:
    rows = read_table(ROWS)
    stored = rows[(rows["views"] == "none") & (rows["draw"] == 0)].iloc[0]
    target = tlkit.load_pair("printed", "mnist").target
    few = target.train.take(scratch_tables.PER_CLASS, seed=0)
    model = scratch_tables.train("none", float(stored["rate"]), int(stored["epochs"]), few, 0)
    assert same_accuracy(tlkit.accuracy(model, target.test), stored["test"], len(target.test))
