"""The tables of tools/speech_tables.py: their form, that no tested speaker is known, and some figures measured anew."""

import itertools

import numpy as np
import pytest
import speech_tables
from helpers import assert_says_how_it_was_made
from marks import in_bank
from speech_tables import CHOSEN_AT, DRAWS, EPOCHS, PAIRS, PER_CLASS, PROBED, RATES, TRAINED
from table_rows import Rows, best_setting

import tlkit
from tlkit.speech import SPEAKERS, load_speech
from tlkit.tables import FOLDER, read_table

NAMES = ("speech", "speech_choices", "speech_leakage")


@pytest.mark.parametrize("name", NAMES)
def test_a_table_says_what_it_is_how_it_was_made_and_when(name: str) -> None:
    assert_says_how_it_was_made(FOLDER / f"{name}.csv", "python tools/speech_tables.py")
    assert (FOLDER / f"{name}.csv").stat().st_size < 30_000


def pair_of(draw: int) -> list[str]:
    return [SPEAKERS[number] for number in PAIRS[draw % len(PAIRS)]]


def test_each_draw_tests_one_pair_by_each_method() -> None:
    assert sorted(itertools.chain(*PAIRS)) == list(range(len(SPEAKERS)))
    rows = read_table(FOLDER / "speech.csv")
    assert rows["accuracy"].between(0, 1).all()
    cells = itertools.product((*PROBED, *TRAINED), PER_CLASS, range(DRAWS))
    wanted = {(*cell, speaker) for cell in cells for speaker in pair_of(cell[2])}
    wanted |= {("zero-shot", 0, 0, speaker) for speaker in SPEAKERS}
    assert set(rows[["method", "per_class", "draw", "speaker"]].itertuples(index=False, name=None)) == wanted
    assert len(rows) == len(wanted)


def test_both_arms_of_the_leakage_have_the_same_draws() -> None:
    rows = read_table(FOLDER / "speech_leakage.csv")
    cells = itertools.product(("raw log-mel", "frozen"), ("by speaker", "at random"), (10, 50), range(DRAWS))
    wanted = {(*cell, speaker) for cell in cells for speaker in pair_of(cell[3])}
    assert set(rows[["method", "split", "per_class", "draw", "speaker"]].itertuples(index=False, name=None)) == wanted


def test_settings_were_chosen_among_all_that_were_to_be_tried() -> None:
    tried = read_table(FOLDER / "speech_choices.csv")
    for method, pair, per_class in itertools.product(TRAINED, range(len(PAIRS)), sorted(set(CHOSEN_AT.values()))):
        own = tried[(tried["method"] == method) & (tried["pair"] == pair) & (tried["per_class"] == per_class)]
        settings = set(own[["rate", "epochs"]].itertuples(index=False, name=None))
        assert settings == set(itertools.product(RATES[method], EPOCHS[method]))
        assert best_setting(own.to_dict("records"), "rate", "epochs") in settings


@pytest.mark.parametrize("method", in_bank(["raw log-mel", "frozen"], but=["raw log-mel"]))
def test_a_figure_measured_anew(method: str, fetched_speech: None, tmp_path) -> None:
    table = Rows(tmp_path / "speech.csv", "", "", "method", "per_class", "draw", "speaker")
    speech_tables.measure(method, 5, 1, table, table)
    stored = read_table(FOLDER / "speech.csv")
    for row in table.rows:
        at = (stored["method"] == method) & (stored["per_class"] == 5) & (stored["draw"] == 1)
        accuracy = stored[at & (stored["speaker"] == row["speaker"])]["accuracy"].item()
        assert row["accuracy"] == pytest.approx(accuracy, abs=0.01)


def test_no_label_comes_from_a_tested_speaker(fetched_speech: None, monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    seen = []

    def answers(few, test):
        seen.append((set(few.groups.tolist()), set(test.groups.tolist())))
        return np.zeros(len(test), int)

    monkeypatch.setattr(speech_tables, "probe_classes", answers)
    for draw in range(DRAWS):
        nothing = Rows(tmp_path / "none.csv", "", "", "draw")
        speech_tables.measure("raw log-mel", 1, draw, nothing, nothing)
    assert all(not labelled & tested and len(tested) == 2 for labelled, tested in seen)


@pytest.mark.slow
@pytest.mark.bank
def test_real_speakers_without_one_label(fetched_speech: None) -> None:
    backbone = tlkit.load_backbone("resnet_voices")
    whole = tlkit.join(backbone.model, tlkit.load_source_head(backbone))
    domain = load_speech()
    right = tlkit.predict_classes(whole, domain.test) == domain.test.y
    rows = read_table(FOLDER / "speech.csv")
    for name in ("theo", "yweweler"):
        stored = rows[(rows["method"] == "zero-shot") & (rows["speaker"] == name)]["accuracy"].item()
        assert right[domain.test.groups == SPEAKERS.index(name)].mean() == pytest.approx(stored, abs=0.01)
