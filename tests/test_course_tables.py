"""Stored tables: how they are read, and the form of those that notebooks make of their own cells."""

import build_notebooks
import course_tables
import keras
import photo_tables
import pytest
from helpers import assert_says_how_it_was_made, raises_one_line, same_accuracy

import tlkit
from tlkit.features import batches
from tlkit.tables import FOLDER, read_table, table_names

OF_NOTEBOOKS = [(number, table) for number, tables in course_tables.TABLES.items() for table in tables]
DRAWS = 10


def test_names_are_those_of_the_files():
    assert set(table_names()) == {path.stem for path in FOLDER.glob("*.csv")}
    assert {table.name for _, table in OF_NOTEBOOKS} <= set(table_names())


def test_some_draws_of_a_table():
    name = OF_NOTEBOOKS[0][1].name
    whole = tlkit.stored_table(name)
    some = tlkit.stored_table(name, draws=range(3, 20))
    assert sorted(set(some["draw"])) == list(range(3, DRAWS))
    assert some.equals(whole[whole["draw"] >= 3])
    assert tlkit.stored_table(name, draws=[]).empty


def test_what_is_not_there():
    with raises_one_line(ValueError, "name must be one of", "'text_forgetting'", "got 'text_forgeting'. Did you mean"):
        tlkit.stored_table("text_forgeting")
    with raises_one_line(ValueError, "draws must be None for 'text_forgetting'", "got range(0, 3)"):
        tlkit.stored_table("text_forgetting", draws=range(3))


@pytest.mark.parametrize(("number", "table"), OF_NOTEBOOKS, ids=lambda value: getattr(value, "name", value))
def test_a_table_says_what_it_is_and_has_ten_draws_of_everything(number, table):
    rows = read_table(FOLDER / f"{table.name}.csv")
    assert_says_how_it_was_made(FOLDER / f"{table.name}.csv", "python tools/course_tables.py")
    assert rows.attrs["table"] == table.title
    assert rows.attrs["recipe"] == table.recipe
    assert set(rows["draw"]) == set(range(DRAWS))
    assert set(rows["draw"].value_counts()) == {len(rows) // DRAWS}
    assert not rows.isna().to_numpy().any()


@pytest.mark.parametrize("number", course_tables.TABLES)
def test_a_notebook_reads_its_tables_and_can_make_all_draws(number):
    (source,) = build_notebooks.sources([number])
    text = source.read_text(encoding="utf-8")
    assert all(f'stored_table("{table.name}"' in text for table in course_tables.TABLES[number])
    code = [cell.source for cell in course_tables.all_draws(source).cells if cell.cell_type == "code"]
    assert sum("LIVE = DRAWS" in cell or "LONG = DRAWS" in cell for cell in code) == 1


def test_a_notebook_without_draws_is_refused():
    (source,) = build_notebooks.sources(["00"])
    with raises_one_line(ValueError, "00_start_here.py must set LIVE in one cell"):
        course_tables.all_draws(source)


def cells_of(number, needed):
    """The code of the notebook's cells that begin in these ways, one of each, in order."""
    (source,) = build_notebooks.sources([number])
    cells = [cell.source for cell in build_notebooks.read_source(source).cells if cell.source.startswith(needed)]
    assert [cell.startswith(begin) for cell, begin in zip(cells, needed, strict=True)] == [True] * len(needed)
    return cells


@pytest.mark.slow
@pytest.mark.bank
def test_a_target_that_notebook_02_does_not_read_live_gives_its_stored_rows():
    before = ("import hashlib", "from scipy import", "SEED = ", "pair = ", "backbone = ", "head = ", "def embed(")
    framing = ("def cropped(", "def boxed(", "framings = ", "def reframed(", "images = ")
    after = ("def power(", "copy = ", "def tried(", "tests = ", "def one_draw(")
    names = {}
    exec("\n".join(cells_of("02", (*before, *framing, *after))), names)
    assert {target for target, _ in names["live"]} == {"mnist"}
    names["live"] = [key for key in names["tests"] if key[0] == "optdigits"]
    made = names["pd"].DataFrame(names["one_draw"](0))
    names["limits"].restore_original_limits()
    at = ["draw", "target", "framing"]
    stored = tlkit.stored_table("framing_and_methods", draws=[0]).query("target == 'optdigits'")
    both = made.merge(stored, on=at, suffixes=("", ", stored"), validate="one_to_one")
    assert len(both) == len(stored) == 2
    for method in stored.columns.drop(at):
        assert abs(both[method] - both[f"{method}, stored"]).max() < 0.02  # as in the notebook


@pytest.mark.slow
@pytest.mark.bank
def test_a_draw_that_notebook_03_does_not_train_live_gives_its_stored_row():
    (cell,) = cells_of("03", ("def small_source(",))
    pair = tlkit.load_pair("printed", "mnist")
    names = {"tlkit": tlkit, "pair": pair, "PER_CLASS": 10}
    exec(cell, names)
    (stored,) = tlkit.stored_table("thousand_source_images", draws=[0]).to_dict("records")
    made = names["small_source"](0)
    assert same_accuracy(made["source"], stored["source"], len(pair.source.test))
    assert same_accuracy(made["1,000 source images"], stored["1,000 source images"], len(pair.target.test))


@pytest.mark.slow
@pytest.mark.bank
def test_a_draw_that_notebook_09_does_not_train_live_gives_its_stored_rows():
    needed = ("SEED = ", "source_head = ", "def train_head(", "def in_order(", "ORDERS = ")
    names = {"tlkit": tlkit}
    exec("\n".join(cells_of("09", needed)).replace("LONG = 0 ", "LONG = 1 "), names)
    stored = tlkit.stored_table("article_orders", draws=[0]).set_index("order")
    assert {row["order"] for row in names["here"]} == set(stored.index)
    apart = [abs(row[side] - stored.loc[row["order"], side]) for row in names["here"] for side in ("source", "target")]
    assert max(apart) < 0.03  # rounding on another machine may change a little


@pytest.mark.slow
@pytest.mark.bank
def test_a_draw_that_notebook_12_does_not_train_live_gives_its_stored_rows():
    """From printed characters; what is trained from clothes is compared in the notebook."""
    before = ("import gc", "import keras", "SEED = ", "METHODS = ", "def prepare(")
    after = ("tuners = ", "RATE = ", "def data_of(", "def probes(", "def train(", "def record(", "def compare(")
    first, rest = cells_of("12", before), cells_of("12", (*after, "def from_printed(", "cases, started = "))
    names = {}
    exec("\n".join(first).replace("LONG = 0 ", "LONG = 1 "), names)
    names["METHODS"] = {name: names["METHODS"][name] for name in ("LoRA", "full")}
    exec("\n".join(rest), names)
    made = {row["method"]: row for row in names["runs"] if row["start"] == "printed"}
    stored = tlkit.stored_table("efficient_resnet", draws=[0]).query("start == 'printed'").set_index("method")
    assert set(made) == set(stored.index)
    apart = [abs(made[method][side] - stored.loc[method, side]) for method in made for side in ("target", "source")]
    assert max(apart) < 0.03


@pytest.mark.slow
@pytest.mark.bank
def test_a_draw_that_notebook_08_does_not_train_live_gives_its_stored_row():
    mnist, clothes = tlkit.load_domain("mnist"), tlkit.load_backbone("resnet_fashion")
    tests = {"mnist": mnist.test[:1000]}
    names = {"tlkit": tlkit, "keras": keras, "batches": batches, "digits": {"mnist": mnist}, "tests": tests}
    names["clothes"] = clothes
    exec("\n".join(cells_of("08", ("TINY = ", "def trained_whole(", "def four_ways("))), names)
    (stored,) = tlkit.stored_table("clothes_for_20_digits", draws=[0]).to_dict("records")
    made = names["four_ways"](0)
    assert set(made) == set(stored) - {"draw"}
    assert all(same_accuracy(score, stored[way], len(tests["mnist"])) for way, score in made.items())


@pytest.mark.slow
@pytest.mark.bank
def test_a_draw_of_the_photographs_is_measured_again(monkeypatch):
    """Of raw pixels; what the network computes has an oracle of its own."""
    monkeypatch.setattr(photo_tables, "DRAWS", 1)
    monkeypatch.setattr(photo_tables, "describe", lambda x: {"raw pixels": photo_tables.raw_pixels(x)})
    (found,) = photo_tables.rows(photo_tables.classes_in("photos"))
    (stored,) = tlkit.stored_table("photographs", draws=[0]).query("features == 'raw pixels'").to_dict("records")
    assert found == pytest.approx(stored, abs=0.01)


def test_the_photographs_have_ten_draws_of_each_kind_of_features():
    rows = tlkit.stored_table("photographs")
    assert rows.attrs["command"] == "python tools/photo_tables.py"
    assert rows.groupby("features")["draw"].agg(list).map(lambda draws: draws == list(range(DRAWS))).all()
    assert rows[["photographs", "same classes", "drawings"]].stack().between(0, 1).all()
