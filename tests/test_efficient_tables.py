"""The tables that notebook 12 reads: their form, that the notebook shows their figures, and a row measured anew."""

import itertools

import build_notebooks
import efficient_tables
import nbformat
import numpy as np
import pytest
import text_tables
from efficient_tables import METHODS, MOVIES, PROBE, RATES, TABLES
from helpers import assert_says_how_it_was_made, same_accuracy

import tlkit
from tlkit.tables import read_table
from tlkit.text import load_text_backbone

SCORES, TRIED, COSTS = (TABLES / f"text_efficient{part}.csv" for part in ("", "_rates", "_costs"))
(SOURCE,) = build_notebooks.sources(["12"])


# Their form


@pytest.mark.parametrize("path", [SCORES, TRIED, COSTS], ids=lambda path: path.stem)
def test_a_table_says_what_it_is_how_it_was_made_and_when(path):
    assert_says_how_it_was_made(path, "python tools/efficient_tables.py")
    assert path.stat().st_size < 20_000


def test_each_method_has_the_same_draws():
    rows = read_table(SCORES)
    wanted = set(itertools.product(METHODS, range(10)))
    assert set(rows[["method", "seed"]].itertuples(index=False, name=None)) == wanted
    assert len(rows) == len(wanted)
    assert rows[["movies", "other task"]].melt()["value"].between(0, 1).all()


def test_the_rate_is_the_best_of_those_that_were_tried():
    tried = read_table(TRIED)
    assert {method: tuple(own["rate"]) for method, own in tried.groupby("method")} == RATES
    used = read_table(SCORES).groupby("method")["rate"].agg(["min", "max"])
    assert used.loc[PROBE].isna().all()
    for method in RATES:
        best = efficient_tables.best_rate(method, tried.to_dict("records"))
        assert (used.loc[method] == best).all()


def test_the_best_rate_is_the_lowest_of_equals():
    rows = [{"method": "full", "rate": rate, "validation": value} for rate, value in ((1, 0.5), (2, 0.7), (3, 0.7))]
    assert efficient_tables.best_rate("full", rows) == 2
    assert efficient_tables.best_rate("LoRA", rows) is None


def test_costs_name_every_method_and_full_costs_most():
    rows = read_table(COSTS).set_index("method")
    assert list(rows.index) == list(METHODS)
    assert rows["weights"].idxmax() == rows["peak MB"].idxmax() == "full"
    assert rows["processor seconds"].idxmin() == PROBE


# What the notebook shows


def shown(code):
    """The text of the outputs of the built notebook's cell that holds ``code``."""
    notebook = nbformat.read(build_notebooks.built(SOURCE), as_version=4)
    (cell,) = [cell for cell in notebook.cells if cell.cell_type == "code" and code in cell.source]
    return "\n".join(output.get("text") or output["data"]["text/plain"] for output in cell.outputs)


def test_the_notebook_shows_the_commands_and_the_dates():
    text = shown('stored("efficient")')
    for path in (SCORES, TRIED, COSTS):
        assert all(f"# {key}: {value}" in text for key, value in read_table(path).attrs.items())


def test_the_notebook_shows_the_figures():
    rates = shown("rates.round")
    for row in read_table(TRIED).to_dict("records"):
        assert f"{row['validation']:.3f}" in rates
        assert f"{row['other task']:.3f}" in rates
    text = shown("stored_summary")
    for _, rows in read_table(SCORES).groupby("method"):
        for column in ("movies", "other task"):
            assert "{:.3f} ± {:.3f}".format(*tlkit.mean_interval(rows[column])) in text
    for row in read_table(COSTS).to_dict("records"):
        assert str(row["weights"]) in text
        assert str(row["peak MB"]) in text


# A row anew


@pytest.mark.slow
@pytest.mark.bank
@pytest.mark.usefixtures("fetched_text")
def test_what_lora_scores_and_keeps_comes_out_again_the_way_a_user_would_train():
    """With `tlkit.fine_tune`, which compiles anew, where the script resets one compiled model."""
    (stored,) = read_table(SCORES).query("method == 'LoRA' and seed == 0").to_dict("records")
    few = efficient_tables.draw(MOVIES, 0)
    adapted = tlkit.add_lora(load_text_backbone("minilm"), rank=efficient_tables.RANK)
    head = tlkit.build_head(adapted, 2)
    tlkit.fit_probe(head, tlkit.cache_features(adapted.model, few))
    steps = efficient_tables.EPOCHS * -(-len(few) // efficient_tables.BATCH)
    tlkit.fine_tune(
        adapted,
        head,
        few,
        stage=0,
        epochs=efficient_tables.EPOCHS,
        learning_rate=stored["rate"],
        batch_size=efficient_tables.BATCH,
        callbacks=[efficient_tables.WarmUpThenCosine(steps, stored["rate"])],
        seed=0,
        progress=False,
    )
    for column, task, weights in (
        ("movies", MOVIES, head.get_weights()),
        ("other task", efficient_tables.OTHER_TASK, efficient_tables.other_head(0)),
    ):
        head.set_weights(weights)
        test = efficient_tables.test_sentences(task)
        new = tlkit.accuracy(head, tlkit.cache_features(adapted.model, test))
        assert same_accuracy(new, stored[column], len(test))


@pytest.mark.slow
@pytest.mark.bank
@pytest.mark.usefixtures("fetched_text")
def test_the_frozen_encoder_scores_what_is_stored():
    tuner = efficient_tables.prepare(PROBE)
    rows = read_table(SCORES).query("method == @PROBE")
    new = efficient_tables.score_row(tuner, 0, None)
    (stored,) = rows[rows["seed"] == 0].to_dict("records")
    assert new["movies"] == pytest.approx(stored["movies"], abs=2e-3)
    assert new["other task"] == pytest.approx(stored["other task"], abs=2e-3)


# The parts of the script


def test_the_schedule_reaches_the_rate_and_ends_near_zero():
    class Model:
        class optimizer:
            learning_rate = None

    schedule = efficient_tables.WarmUpThenCosine(40, 0.5)
    schedule.set_model(Model)
    rates = []
    for batch in range(40):
        schedule.on_train_batch_begin(batch)
        rates.append(Model.optimizer.learning_rate)
    assert max(rates) == pytest.approx(0.5)
    assert rates == pytest.approx([0.5 / 1e-4 * text_tables.rate_at(step, 40) for step in range(40)])
    assert 0 < rates[-1] < rates[0]


def test_the_peak_of_memory_does_not_fall():
    before = efficient_tables.peak_memory()
    kept = np.ones(2_000_000)
    assert efficient_tables.peak_memory() >= max(before, kept.nbytes)
    del kept
    assert efficient_tables.peak_memory() >= before
