"""The tables of notebook 15: their form, what was chosen on what, the network, and rows measured anew."""

import adaptation_tables as tables
import build_notebooks
import numpy as np
import pytest
from helpers import assert_says_how_it_was_made, same_accuracy

from tlkit._keras import keras
from tlkit.tables import FOLDER, read_table

RUNS, HURTS = FOLDER / "adaptation_runs.csv", FOLDER / "adaptation_hurts.csv"


def test_tables_say_how_they_were_made_and_have_ten_draws_of_every_setting() -> None:
    for path in (RUNS, HURTS):
        assert_says_how_it_was_made(path, "python tools/adaptation_tables.py")
        assert read_table(path).attrs["recipe"] == tables.RECIPE
    rows = read_table(RUNS)
    settings = {(rate, m, w) for rate, tried in tables.WEIGHTS.items() for m, ws in tried.items() for w in ws}
    for _, own in rows.groupby(["pair", "draw"]):
        assert set(own[["rate", "method", "weight"]].itertuples(index=False, name=None)) == settings
        assert len(own) == len(settings)
    for _, own in rows.groupby("pair"):
        assert sorted(set(own["draw"])) == list(range(10))
    for _, own in read_table(HURTS).groupby(["pair", "target has", "method"]):
        assert own["draw"].tolist() == list(range(10))


def test_source_target_and_test_share_no_digit() -> None:
    given = tables.data("printed", 0)
    assert [len(part) for part in vars(given).values()] == [1000, 500, 1500, 2000]
    ours = np.random.default_rng(3).permutation(3000)
    blended = tables.data("blended", 3)
    np.testing.assert_array_equal(
        blended.source.x[..., 0], tables.tlkit.load_domain("mnist").train.x[ours[:1000], ..., 0]
    )
    np.testing.assert_array_equal(blended.target.y, tables.tlkit.load_domain("mnist").train.y[ours[1500:]])


def test_targets_that_lack_something() -> None:
    target = tables.data("printed", 0).target
    assert set(tables.lacking("partial", target, 0).y) == set(range(5))
    shares = np.bincount(tables.lacking("shares", target, 0).y, minlength=10) / np.bincount(target.y)
    np.testing.assert_allclose(shares, 0.6 ** np.arange(10), atol=0.15)
    assert shares[0] == 1


@pytest.mark.slow
@pytest.mark.bank  # tests/test_adaptation.py hides the labels from each method
def test_no_label_of_the_target_reaches_a_method(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the labels of the target are, the networks are the same; "target labels" alone reads them."""
    monkeypatch.setattr(tables, "EPOCHS", 1)
    given = tables.data("printed", 0)
    other = tables.Data(given.source, given.validation, tables.Split(given.target.x, given.target.y * 0), given.test)
    for method in tables.TRAINED:
        one, same = (tables.train(method, 3e-3, 0.3, part, 0)[0].get_weights() for part in (given, other))
        assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))


def test_the_notebooks_network_is_that_of_the_table() -> None:
    (source,) = build_notebooks.sources(["15"])
    (cell,) = [c.source for c in build_notebooks.read_source(source).cells if c.source.startswith("def network(")]
    space: dict = {"np": np, "keras": keras}
    exec(cell, space)
    for mine, own in zip(space["network"](4), tables.network(4, 3), strict=True):
        assert [type(layer) for layer in mine.layers] == [
            type(layer) for layer in own.layers if "Input" not in str(type(layer))
        ]
        assert all(np.array_equal(a, b) for a, b in zip(mine.get_weights(), own.get_weights(), strict=True))


@pytest.mark.slow
@pytest.mark.bank
@pytest.mark.parametrize(("method", "weight"), [("source only", 0.0), ("DANN", 0.1), ("Deep CORAL", 100.0)])
def test_a_row_comes_out_again(method: str, weight: float) -> None:
    rows = read_table(RUNS)
    stored = rows[(rows["pair"] == "printed") & (rows["draw"] == 0) & (rows["rate"] == 3e-3)]
    stored = stored[(stored["method"] == method) & (stored["weight"] == weight)].iloc[0]
    given = tables.data("printed", 0)
    answers = tables.fitted(*tables.train(method, 3e-3, weight, given, 0), given, adapted=method != "source only")
    new = tables.scores(given, answers)
    assert same_accuracy(new["target"], stored["target"], len(given.test))
    assert same_accuracy(new["validation"], stored["validation"], len(given.validation))
