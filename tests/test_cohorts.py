"""The patients and loans of notebook 17: counts and rates as published, the packages' values, and its measures."""

import os
import re
from pathlib import Path

import build_notebooks
import make_cohorts
import numpy as np
import pytest
from helpers import ROOT, raises_one_line
from sklearn.linear_model import LogisticRegression

import tlkit
from tlkit.domains import BUNDLED_DOMAINS
from tlkit.tables import FOLDER

THREE_YEARS = 3 * 365.25
PACKAGES = os.environ.get("TLKIT_R_PACKAGES")  # a folder with the two .deb files
DEBS = ("r-cran-survival_3.8-3-1_amd64.deb", "r-cran-modeldata_1.4.0-1_all.deb")


@pytest.fixture(scope="module")
def patients():
    return tlkit.stored_table("patients")


@pytest.fixture(scope="module")
def loans():
    return tlkit.stored_table("loans")


@pytest.fixture(scope="module")
def measures():
    """The functions of notebook 17, from the cells that define them."""
    (source,) = build_notebooks.sources(["17"])
    space = {"np": np, "HORIZON": THREE_YEARS, "LogisticRegression": LogisticRegression}
    wanted = {f"def {name}(" for name in ("kaplan_meier", "columns", "outcomes", "c_index", "net_benefit")}
    for cell in build_notebooks.read_source(source).cells:
        if cell.cell_type == "code" and any(name in cell.source for name in wanted):
            exec(cell.source, space)
    return space


# The tables


def test_the_cohorts_are_those_of_the_papers(patients):
    rotterdam, gbsg = (rows for _, rows in patients.groupby("gbsg"))
    assert (len(rotterdam), len(gbsg)) == (2982, 686)
    assert gbsg["event"].sum() == 299  # Schumacher et al., 1994
    assert gbsg["hormones"].sum() == 246
    assert (gbsg["nodes"] > 0).all()
    with_nodes = rotterdam[rotterdam["nodes"] > 0]
    assert len(with_nodes) == 1546  # Royston & Altman, 2013, table 1, and the next three
    assert with_nodes["size"].value_counts().sort_index().tolist() == [501, 783, 262]
    assert with_nodes["hormones"].sum() == 339
    assert np.allclose([with_nodes["age"].mean(), with_nodes["age"].std()], [56, 13], atol=0.05)


def test_values_are_in_their_ranges(patients, loans):
    assert patients.drop(columns="chemo").notna().all(axis=None)
    assert patients.groupby("gbsg")["chemo"].count().tolist() == [2982, 0]
    assert patients["days"].between(1, 7043).all()
    assert set(patients["grade"]) == {1, 2, 3}
    for name in ("postmenopausal", "hormones", "event"):
        assert set(patients[name]) == {0, 1}
    assert loans.notna().all(axis=None)
    assert loans["grade"].str.fullmatch("[A-G][1-5]").all()


def test_event_rates_at_three_years(patients, measures):
    """0.31 and 0.40, as quoted, leave out who was lost before; Kaplan and Meier's curve says 0.36 for the second."""
    rates = []
    for _, rows in patients.groupby("gbsg"):
        happened, weights = measures["outcomes"](rows)
        rates.append(
            (happened[weights > 0].mean(), 1 - measures["kaplan_meier"](*measures["columns"](rows), THREE_YEARS))
        )
    assert np.allclose(rates, [(0.313, 0.311), (0.404, 0.357)], atol=5e-4)


def test_the_loans_are_those_of_the_package(loans):
    assert (len(loans), loans["bad"].sum()) == (9857, 517)
    assert loans.groupby("months")["bad"].agg(["size", "sum"]).to_numpy().tolist() == [[7047, 328], [2810, 189]]


@pytest.mark.parametrize(("name", "kilobytes", "licence"), [("patients", 130, "LGPL"), ("loans", 350, "MIT")])
def test_a_table_is_small_and_says_origin_licence_and_changes(name, kilobytes, licence):
    path = FOLDER / f"{name}.csv"
    assert path.stat().st_size <= 1000 * kilobytes
    about = tlkit.stored_table(name).attrs
    assert list(about) == ["table", "recipe", "changes", "origin", "licence", "command", "date"]
    assert about["licence"].startswith(licence)
    licences = (FOLDER / "LICENSES.txt").read_text(encoding="utf-8")
    assert f"{name}.csv" in licences
    assert "GNU LESSER GENERAL PUBLIC LICENSE" in licences
    assert 'THE SOFTWARE IS PROVIDED "AS IS"' in licences


@pytest.mark.skipif(PACKAGES is None, reason="needs the two Debian packages: TLKIT_R_PACKAGES=FOLDER")
def test_the_tables_are_what_the_tool_makes_of_the_packages(tmp_path):
    pytest.importorskip("rdata", reason="needs pip install rdata==1.1.0")
    make_cohorts.main(*(Path(str(PACKAGES)) / name for name in DEBS), out=tmp_path)
    for name in ("patients.csv", "loans.csv", "LICENSES.txt"):
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes()


@pytest.mark.skipif(PACKAGES is None, reason="needs the two Debian packages: TLKIT_R_PACKAGES=FOLDER")
def test_few_deaths_came_after_the_follow_up_for_relapse(patients):
    """The documentation of rotterdam warns of 43 such deaths; of these only three lie within three years."""
    pytest.importorskip("rdata", reason="needs pip install rdata==1.1.0")
    rotterdam, gbsg = make_cohorts.read(Path(str(PACKAGES)) / DEBS[0], "survival", "rotterdam", "gbsg")
    late = (rotterdam["recur"] == 0) & (rotterdam["death"] == 1) & (rotterdam["dtime"] > rotterdam["rtime"])
    assert (late.sum(), (late & (rotterdam["dtime"] <= THREE_YEARS)).sum()) == (43, 3)
    ours = patients[patients["gbsg"] == 1]
    assert (ours["days"].to_numpy() == gbsg["rfstime"].to_numpy()).all()
    assert (ours["progesterone"].to_numpy() == gbsg["pgr"].to_numpy()).all()


def test_another_file_is_refused(tmp_path):
    pytest.importorskip("rdata", reason="needs pip install rdata==1.1.0")
    (tmp_path / "other.deb").write_bytes(b"other")
    with raises_one_line(ValueError, "other.deb must have SHA-256", "got d9298a10d1b0"):
        make_cohorts.read(tmp_path / "other.deb", "survival", "gbsg")


# The data cards


def test_each_domain_has_a_card_with_the_four_parts():
    text = (ROOT / "docs" / "data-cards.md").read_text(encoding="utf-8")
    overview, *cards = re.split(r"^## ", text, flags=re.M)
    linked = set(re.findall(r"^\| \[`?([\w]+)`?\]\(#", overview, flags=re.M))
    others = {"photographs", "drawings", "clothes", "texts", "blended", "cells", "emoji", "patients", "loans"}
    assert {*BUNDLED_DOMAINS, *others} <= linked
    for card in cards:
        for part in (r"Origin", r"Collected and labelled", r"(Who is m|M)issing", r"Not for"):
            assert re.search(rf"^- \*\*{part}\*\*: ", card, flags=re.M), card


# The measures


def some(seed, n=60):
    rng = np.random.default_rng(seed)
    return rng.integers(1, 40, size=n), rng.integers(0, 2, size=n), rng.uniform(size=n).round(1)


@pytest.mark.parametrize("seed", range(5))
def test_kaplan_meier_day_by_day(measures, seed):
    days, event, _ = some(seed)
    share, expected = 1.0, []
    for day in range(1, 41):
        followed = sum(each >= day for each in days)
        events = sum(1 for each, happened in zip(days, event, strict=True) if each == day and happened)
        share *= 1 - events / followed if followed else 1
        expected.append(share)
    assert np.allclose(measures["kaplan_meier"](days, event, np.arange(1, 41)), expected)
    assert np.allclose(measures["kaplan_meier"](days, np.ones(60, int), 20), (days > 20).mean())  # nobody lost


@pytest.mark.parametrize("seed", range(5))
def test_the_weighted_rate_is_that_of_the_curve(measures, patients, seed):
    drawn = patients.sample(400, random_state=seed)
    happened, weights = measures["outcomes"](drawn)
    curve = measures["kaplan_meier"](*measures["columns"](drawn), THREE_YEARS)
    assert np.isclose(np.average(happened, weights=weights), 1 - curve)
    assert np.isclose(weights.sum(), len(drawn))


@pytest.mark.parametrize("seed", range(5))
def test_the_c_index_pair_by_pair(measures, seed):
    days, event, risk = some(seed)
    agree = pairs = 0.0
    for i in range(60):
        for j in range(60):
            if event[i] and days[i] < days[j]:
                pairs += 1
                agree += 1.0 if risk[i] > risk[j] else 0.5 if risk[i] == risk[j] else 0.0
    assert np.isclose(measures["c_index"](days, event, risk), agree / pairs)
    assert measures["c_index"](days, event, -days) == 1


def test_net_benefit_of_the_two_baselines(measures):
    happened, weights = np.repeat([1, 0], [30, 70]), np.ones(100)
    assert np.isclose(measures["net_benefit"](happened, weights, np.ones(100), 0.2), 0.3 - 0.7 * 0.25)
    assert measures["net_benefit"](happened, weights, np.zeros(100), 0.2) == 0
    assert np.isclose(measures["net_benefit"](happened, weights, happened, 0.5), 0.3)
