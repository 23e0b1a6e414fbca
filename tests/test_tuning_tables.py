"""Tables of schedules, weight decay, LoRA's rank and place: their form, their choices, a training measured anew."""

import keras
import numpy as np
import pytest
import tuning_tables
from helpers import assert_says_how_it_was_made, same_accuracy
from tuning_tables import NOTHING, PLACES, TABLES, WAYS, Part

import tlkit
from tlkit.tables import FOLDER, read_table

EACH = pytest.mark.parametrize("part", TABLES, ids=str)


@EACH
def test_a_table_says_how_it_was_made_and_has_ten_draws_of_each_way(part: Part) -> None:
    name, title = TABLES[part]
    for path in (FOLDER / f"{name}.csv", FOLDER / f"{name}_choices.csv"):
        assert_says_how_it_was_made(path, "python tools/tuning_tables.py")
        assert read_table(path).attrs["recipe"] == tuning_tables.RECIPE
    rows = read_table(FOLDER / f"{name}.csv")
    assert rows.attrs["table"] == title
    assert set(rows["way"]) == {NOTHING, *WAYS[part]}
    for _, own in rows.groupby("way"):
        assert own["draw"].tolist() == list(range(10))


@EACH
def test_each_way_has_the_best_of_its_rates_and_the_choice_has_read_no_draw_that_is_judged(part: Part) -> None:
    name = TABLES[part][0]
    rows, tried = (read_table(FOLDER / f"{kind}.csv") for kind in (name, f"{name}_choices"))
    assert not set(tried["draw"]) & set(rows["draw"])
    chosen = rows.groupby("way")["rate"].first()
    for way, own in tried.groupby("way"):
        means = own.groupby("rate")["validation"].mean()
        assert set(means.index) == set(WAYS[part][way].rates)
        assert means[chosen[way]] >= means.max() - 1e-3  # two may be alike in what is stored


def test_what_learns_and_what_adam_keeps_for_it() -> None:
    rows = read_table(FOLDER / "lora_rank.csv").groupby("way").first()
    for place in PLACES:
        full = rows.loc[f"full, {place}"]
        assert full["adam"] == 2 * full["learn"]  # two running means per weight
        by_rank = [rows.loc[f"LoRA, rank {rank}, {place}"] for rank in tuning_tables.RANKS]
        for rank, each in zip(tuning_tables.RANKS, by_rank, strict=True):
            assert each["adam"] == 2 * each["learn"]
            assert each["learn"] == rank * by_rank[0]["learn"]  # A and B grow with the rank, and nothing else learns


def test_cosine_is_the_cosine_of_keras() -> None:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD())
    ours, theirs = tuning_tables.Cosine(20, 0.5), keras.optimizers.schedules.CosineDecay(0.5, 20)
    ours.set_model(model)
    for step in range(20):
        ours.on_train_batch_begin(step)
        assert np.isclose(float(model.optimizer.learning_rate), float(theirs(step)), atol=1e-6)


@pytest.mark.slow
@pytest.mark.bank  # each table's rows are measured anew there
def test_a_training_measured_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning_tables, "DRAWS", 1)
    monkeypatch.setattr(tuning_tables, "CHOOSING", ())
    data, way = tuning_tables.Data(), WAYS[Part.SCHEDULES]["cosine"]
    rows = read_table(FOLDER / "schedules.csv").query("draw == 0").set_index("way")
    tuner = tuning_tables.Tuner(way)
    tuner.begin(data.few[0])
    assert data.scores(tuner) == pytest.approx(rows.loc[NOTHING, ["target", "source"]].to_dict(), abs=0.003)
    stored = rows.loc["cosine"]
    tuner.train(data.few[0], float(stored["rate"]), 0)
    assert tuner.costs() == stored[["learn", "adam"]].astype(int).to_dict()
    for side, right in data.scores(tuner).items():
        assert same_accuracy(right, stored[side], len(data.tests[side]))
    assert tlkit.count_weights(tuner.tail).trainable == tuner.costs()["learn"]
