"""The tables of tools/federated_tables.py: their form, who holds what, and some figures measured anew."""

import itertools
from pathlib import Path
from types import SimpleNamespace

import federated_tables
import numpy as np
import pytest
from federated_tables import CHOOSING, CLIENTS, DRAWS, HEAD_RATES, METHODS, NAMES, PER_CLASS, ROUNDS, SCENARIOS, STARTS
from helpers import assert_says_how_it_was_made
from marks import in_bank
from table_rows import Rows

from tlkit.domains import Split
from tlkit.federated import HANDS
from tlkit.tables import FOLDER, read_table

whole_pool = federated_tables.pool


@pytest.mark.parametrize("name", ["federated", "federated_choices", "federated_all", "federated_all_choices"])
def test_a_table_says_what_it_is_how_it_was_made_and_when(name: str) -> None:
    more = " --only all" if "all" in name else ""
    assert_says_how_it_was_made(FOLDER / f"{name}.csv", f"python tools/federated_tables.py{more}")


def test_all_weights_have_ten_draws_of_each_way() -> None:
    rows = read_table(FOLDER / "federated_all.csv")
    last = rows[rows["round"] == ROUNDS["all"]]
    assert (last.groupby([*NAMES])["draw"].nunique() == DRAWS).all()
    assert len(last) == DRAWS * (2 * 2 + 3 * CLIENTS)


def test_each_draw_has_each_way_in_each_scenario() -> None:
    rows = read_table(FOLDER / "federated.csv")
    assert rows["accuracy"].between(0, 1).all()
    last = rows[rows["round"] == ROUNDS["head"]]
    wanted = set()
    for scenario, start, method, draw in itertools.product(SCENARIOS, STARTS, METHODS, range(DRAWS)):
        own = method == "alone" and scenario != "hands"
        names = HANDS if scenario == "hands" else map(str, range(CLIENTS)) if own else ("all",)
        wanted |= {("head", scenario, start, method, draw, name) for name in names}
    found = last[[*NAMES, "draw", "client"]].astype({"client": str})
    assert set(found.itertuples(index=False, name=None)) == wanted
    assert len(last) == len(wanted)


def test_each_way_chose_among_the_same_rates() -> None:
    tried = read_table(FOLDER / "federated_choices.csv")
    for cell, own in tried.groupby(list(NAMES)):
        assert sorted(own["rate"]) == sorted(HEAD_RATES), cell


def test_clients_of_a_choice_are_tested_on_training_images_that_are_no_labels() -> None:
    for scenario in SCENARIOS:
        clients = federated_tables.clients("images", scenario, CHOOSING)
        assert sum(len(few) for few, _ in clients) == PER_CLASS * 10 * (CLIENTS if scenario == "hands" else 1)
        labels = {image.tobytes() for few, _ in clients for image in few.x}
        assert not labels & {image.tobytes() for _, test in clients for image in test.x}


def drawn_alone(kind: str, name: str) -> tuple[SimpleNamespace, Split]:
    """The tool's pool for a single draw: of the training images only those that it takes go through the network."""
    prepare, (train, test) = federated_tables.head_member(kind).prepare, whole_pool("images", name)
    return SimpleNamespace(take=lambda n, seed: prepare(train.take(n, seed=seed))), prepare(test)


@pytest.mark.parametrize("method", in_bank(["federated", "alone"], but=["federated"]))
def test_a_figure_measured_anew(method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = Rows(tmp_path / "federated.csv", "", "", *NAMES, "draw", "round", "client")
    choices = Rows(FOLDER / "federated_choices.csv", "", "", *NAMES, "rate")
    cell = ("head", "dirichlet 1", "pretrained", method)
    monkeypatch.setattr(federated_tables, "pool", drawn_alone)
    federated_tables.measure(federated_tables.head_member("pretrained"), cell, 1, table, choices)
    stored = read_table(FOLDER / "federated.csv").query("scenario == @cell[1] and start == @cell[2] and draw == 1")
    stored = stored[stored["method"] == method].sort_values(["round", "client"])
    anew = sorted(table.rows, key=lambda row: (row["round"], str(row["client"])))
    # Features may differ in the last digit from machine to machine: a few answers out of 500.
    np.testing.assert_allclose([row["accuracy"] for row in anew], stored["accuracy"], atol=0.01)
