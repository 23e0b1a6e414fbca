"""The tables that notebook 11 reads: their form, that the notebook shows their figures, and some measured anew."""

import itertools

import build_notebooks
import nbformat
import numpy as np
import pytest
import text_tables
from helpers import assert_says_how_it_was_made, same_accuracy
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from scipy import stats

import tlkit
from tlkit.tables import read_table
from tlkit.text import load_text_backbone, load_text_domain
from tlkit.text.fetching import NotFetchedError

TUNING, FORGETTING = (text_tables.TABLES / f"text_{name}.csv" for name in ("fine_tuning", "forgetting"))
(SOURCE,) = build_notebooks.sources(["11"])


# Their form


@pytest.mark.parametrize("path", [TUNING, FORGETTING], ids=lambda path: path.stem)
def test_a_table_says_what_it_is_how_it_was_made_and_when(path):
    assert_says_how_it_was_made(path, "python tools/text_tables.py")
    assert path.stat().st_size < 20_000


def test_each_cell_of_fine_tuning_has_the_same_draws():
    rows = read_table(TUNING)
    few = rows[rows["labels"].isin(text_tables.BUDGETS)]
    methods = ["TF-IDF", f"stage {text_tables.PROBE}", *(f"stage {stage}" for stage in text_tables.STAGES)]
    wanted = set(itertools.product(text_tables.DOMAINS, text_tables.BUDGETS, range(10), methods))
    assert set(few[["domain", "labels", "seed", "method"]].itertuples(index=False, name=None)) == wanted
    assert len(few) == len(wanted)
    assert rows[["accuracy", "balanced_accuracy"]].melt()["value"].between(0, 1).all()


def test_each_draw_of_forgetting_has_each_task():
    rows = read_table(FORGETTING)
    wanted = set(itertools.product(range(10), ["nothing", "tweets", text_tables.OTHER_TASK]))
    assert set(rows[["seed", "tuned on"]].itertuples(index=False, name=None)) == wanted
    assert len(rows) == len(wanted)
    untouched = rows[rows["tuned on"] == "nothing"]
    assert (untouched["movies"] == untouched["movies, head refitted"]).all()  # the refit is the same head
    assert untouched["own task"].isna().all()
    assert rows[["movies", "movies, head refitted"]].melt()["value"].between(0, 1).all()


# What the notebook shows


def shown(code):
    """The text of the outputs of the built notebook's cell that holds ``code``."""
    notebook = nbformat.read(build_notebooks.built(SOURCE), as_version=4)
    (cell,) = [cell for cell in notebook.cells if cell.cell_type == "code" and code in cell.source]
    return "\n".join(output.get("text") or output["data"]["text/plain"] for output in cell.outputs)


def interval(values):
    values = np.asarray(values)
    low, high = stats.t.interval(0.95, len(values) - 1, loc=values.mean(), scale=stats.sem(values))
    return f"{(low + high) / 2:.3f} ± {(high - low) / 2:.3f}"


@pytest.mark.parametrize(("name", "path"), [("fine_tuning", TUNING), ("forgetting", FORGETTING)])
def test_the_notebook_shows_the_command_and_the_date(name, path):
    text = shown(f'stored("{name}")')
    assert all(f"# {key}: {value}" in text for key, value in read_table(path).attrs.items())


def test_the_notebook_shows_the_figures_of_fine_tuning():
    text = shown('tuned_table.query("labels in')
    rows = read_table(TUNING)
    few = rows[rows["labels"].isin(text_tables.BUDGETS)]
    figures = [interval(cell["accuracy"]) for _, cell in few.groupby(["domain", "labels", "method"])]
    assert [figure for figure in figures if figure not in text] == []
    assert text.count("±") == len(figures)


def test_the_notebook_shows_the_figures_of_forgetting():
    text = shown('forgetting.groupby("tuned on")[[')
    rows = read_table(FORGETTING)
    scores = ["own task", "movies", "movies, head refitted"]
    figures = [interval(cell[score]) for _, cell in rows.groupby("tuned on") for score in scores]
    wanted = [figure for figure in figures if "nan" not in figure]
    assert [figure for figure in wanted if figure not in text] == []


def test_where_nothing_was_fetched_the_first_cell_says_so_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("TLKIT_DATA_DIR", str(tmp_path))
    first, *_ = build_notebooks.code_cells(build_notebooks.read_source(SOURCE))
    with pytest.raises(NotFetchedError) as caught:
        exec(first.source, {})
    (line,) = caught.value._render_traceback_()  # what Jupyter shows
    assert "tlkit fetch text" in line
    assert "\n" not in line


@pytest.mark.slow
@pytest.mark.bank  # in `make test` the first cell without a kernel, and kernels that fetched nothing in other notebooks
def test_where_nothing_was_fetched_the_first_cell_says_so_in_one_line_and_no_other_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("TLKIT_DATA_DIR", str(tmp_path))
    notebook = build_notebooks.read_source(SOURCE)
    with pytest.raises(CellExecutionError):
        NotebookClient(notebook, timeout=100, kernel_name="python3").execute()
    first, *others = build_notebooks.code_cells(notebook)
    (output,) = [output for output in first.outputs if output.get("name") != "stderr"]
    (line,) = output.traceback
    assert "tlkit fetch text" in line
    assert "\n" not in line
    assert all(cell.execution_count is None for cell in others)


# The recipe


def test_the_notebook_and_the_script_have_one_schedule():
    cells = build_notebooks.code_cells(build_notebooks.read_source(SOURCE))
    (code,) = [cell.source for cell in cells if "class WarmUpThenCosine" in cell.source]
    names = {"keras": text_tables.keras, "np": np}
    exec(code, names)

    class Model:
        class optimizer:
            learning_rate = None

    for steps in (4, 28, 128):
        ours = names["WarmUpThenCosine"](text_tables.RATE, steps)
        ours.set_model(Model)
        rates = []
        for _ in range(steps):
            ours.on_train_batch_begin(0)
            rates.append(float(Model.optimizer.learning_rate))
        assert rates == pytest.approx([text_tables.rate_at(step, steps) for step in range(steps)])
        assert max(rates) == pytest.approx(text_tables.RATE)
        assert 0 < rates[-1] < text_tables.RATE / 2


# Some figures anew


def stored_row(rows, **at):
    for name, value in at.items():
        rows = rows[rows[name] == value]
    (row,) = rows.to_dict("records")
    return row


@pytest.mark.slow
@pytest.mark.bank
@pytest.mark.parametrize(("domain", "labels", "stage"), [("tweets", 100, 6), ("movies", 500, 4), ("tweets", 500, 0)])
@pytest.mark.usefixtures("fetched_text")
def test_a_tuned_figure_comes_out_again_the_way_a_user_would_train(domain, labels, stage):
    """With `tlkit.fine_tune`, which compiles anew, where the script resets one compiled model."""
    few = load_text_domain(domain).train.take(labels // 2, seed=0)
    test = text_tables.test_part(domain)
    backbone = load_text_backbone("minilm")
    head = tlkit.build_head(backbone, 2)
    tlkit.fit_probe(head, tlkit.cache_features(backbone.model, few))
    steps = text_tables.EPOCHS * -(-labels // text_tables.BATCH)
    tlkit.fine_tune(
        backbone,
        head,
        few,
        stage=stage,
        epochs=text_tables.EPOCHS,
        learning_rate=text_tables.RATE,
        batch_size=text_tables.BATCH,
        optimizer="adamw",
        callbacks=[text_tables.WarmUpThenCosine(steps)],
        seed=0,
        progress=False,
    )
    new = tlkit.accuracy(head, tlkit.cache_features(backbone.model, test, cache_dir="memory"))
    stored = stored_row(read_table(TUNING), domain=domain, labels=labels, seed=0, method=f"stage {stage}")
    assert same_accuracy(new, stored["accuracy"], len(test))


@pytest.mark.slow
@pytest.mark.bank
@pytest.mark.parametrize("domain", text_tables.DOMAINS)
@pytest.mark.usefixtures("fetched_text")
def test_the_figures_without_training_come_out_again(domain):
    rows = read_table(TUNING)
    for new in text_tables.probe_rows(domain, text_tables.BUDGETS, [0], everything=False):
        stored = stored_row(rows, **{name: new[name] for name in ("domain", "labels", "seed", "method")})
        for score in ("accuracy", "balanced_accuracy"):
            assert same_accuracy(new[score], stored[score], len(text_tables.test_part(domain)))


@pytest.mark.slow
@pytest.mark.bank
@pytest.mark.usefixtures("fetched_text")
def test_what_is_forgotten_comes_out_again():
    rows = read_table(FORGETTING)
    n = len(text_tables.test_part("movies"))
    tuner = text_tables.prepare(0)
    text_tables.tune(tuner, text_tables.pool("tweets").take(text_tables.LABELS // 2, seed=0), 0)
    after_tweets = text_tables.movies_row(tuner.backbone, "tweets", 0, float("nan"))
    untouched = text_tables.movies_row(text_tables.frozen(), text_tables.NOTHING, 0, float("nan"))
    for new in (untouched, after_tweets, text_tables.other_task_row(tuner, 0)):
        stored = stored_row(rows, seed=0, **{"tuned on": new["tuned on"]})
        assert same_accuracy(new["movies"], stored["movies"], n)
        assert same_accuracy(new["movies, head refitted"], stored["movies, head refitted"], n)


def test_what_a_table_has_stays_and_is_not_measured_again(tmp_path):
    path = tmp_path / "table.csv"
    rows = text_tables.Rows(path, "t", "r", "method", "seed")
    assert rows.lacks("LoRA", 0)
    rows.add({"method": "LoRA", "seed": 0, "score": 0.25})
    again = text_tables.Rows(path, "t", "r", "method", "seed")
    assert not again.lacks("LoRA", 0)
    assert again.lacks("LoRA", 1)
    again.add({"method": "LoRA", "seed": 0, "score": 0.5}, {"method": "LoRA", "seed": 1, "score": 0.75})
    assert read_table(path)["score"].tolist() == [0.25, 0.75]


def test_scores_of_answers():
    split = tlkit.Split(np.ones((4, 2), np.int32), np.array([0, 1, 1, 1]))
    always = text_tables.scores(np.ones(4, int), split)
    assert always == {"accuracy": 0.75, "balanced_accuracy": 0.5}
