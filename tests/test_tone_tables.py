"""The table of tools/tone_tables.py: its form, and what can be measured anew without a synthesizer."""

import itertools

import numpy as np
import pytest
import tone_tables
from helpers import assert_says_how_it_was_made
from tone_tables import DRAWS, PER_CLASS, VIEWS

import tlkit
from tlkit.tables import FOLDER, read_table

TABLE = FOLDER / "tones.csv"
FROZEN = [f"frozen, {name}" for name in VIEWS]
PROBED = ("raw log-mel", "random network", "frozen, resnet_voices", *FROZEN)


def test_the_table_says_what_it_is_how_it_was_made_and_when() -> None:
    assert_says_how_it_was_made(TABLE, "python tools/tone_tables.py")
    rows = read_table(TABLE)
    wanted = set(itertools.product(PROBED, PER_CLASS, range(DRAWS)))
    wanted |= {(f"{what}, {name}", 0, 0) for what in ("zero-shot", "source, unseen") for name in VIEWS}
    assert set(rows[["method", "per_class", "draw"]].itertuples(index=False, name=None)) == wanted
    assert rows["accuracy"].between(0, 1).all()


def test_no_tested_syllable_is_in_the_source() -> None:
    known, tested = tone_tables.syllables()
    assert (len(known), len(tested)) == (62, 32)
    assert not {tone_tables.pinyin(name) for name in known} & {tone_tables.pinyin(name) for name in tested}


@pytest.mark.parametrize("method", ["raw log-mel", "frozen, resnet_voices"])
def test_figures_measured_anew(method: str) -> None:
    tones, rows = tlkit.load_domain("tones"), read_table(TABLE)
    pool, test = tones.train, tones.test
    if method != "raw log-mel":
        core = tlkit.load_backbone("resnet_voices").model
        pool, test = (tone_tables.pooled(core, split) for split in (pool, test))
    stored = rows[(rows["method"] == method) & (rows["per_class"] == 5)].sort_values("draw")["accuracy"]
    anew = [tlkit.linear_probe(pool.take(5, seed=draw), test) for draw in range(DRAWS)]
    np.testing.assert_allclose(anew, stored, atol=2 / len(test))
