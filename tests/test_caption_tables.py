"""The tables of tools/caption_tables.py: their form, that no tested concept is known, and a figure measured anew."""

import itertools

import caption_tables
import numpy as np
import pytest
from caption_tables import CHOOSING, CHOSEN, DRAWS, DROPOUTS, EPOCHS, GALLERY, PICTURES
from helpers import assert_says_how_it_was_made
from table_rows import Rows

from tlkit.emoji import emoji_folds, load_emoji
from tlkit.tables import FOLDER, read_table

KEYS = ["method", "draw", "concepts", "vendor", "language"]


@pytest.mark.parametrize("name", ["captions", "captions_choices", "captions_typed_classes"])
def test_a_table_says_what_it_is_how_it_was_made_and_when(name: str) -> None:
    assert_says_how_it_was_made(FOLDER / f"{name}.csv", "python tools/caption_tables.py")
    assert (FOLDER / f"{name}.csv").stat().st_size < 60_000


def test_each_draw_has_each_method_in_each_cell() -> None:
    rows = read_table(FOLDER / "captions.csv")
    places = list(itertools.product(range(DRAWS), ("unseen", "seen"), ("known", "third")))
    cells = [
        (method, *place, language)
        for method in PICTURES
        for place in places
        for language in caption_tables.languages_of(method)
    ]
    assert sorted(rows[KEYS].itertuples(index=False, name=None)) == sorted(cells)
    for side in ("text", "image"):
        assert rows[f"{side}_1"].between(0, rows[f"{side}_5"]).all()
        assert rows[f"{side}_5"].between(0, 1).all()


def test_the_split_by_words_adds_up() -> None:
    rows = read_table(FOLDER / "captions.csv").query("concepts == 'unseen' and language == 'English'")
    share = rows["new_words"] / GALLERY
    both = share * rows["new_words_5"] + (1 - share) * rows["known_words_5"]
    np.testing.assert_allclose(both, rows["text_5"], atol=2e-3)


def test_settings_were_chosen_among_all_that_were_to_be_tried() -> None:
    tried = read_table(FOLDER / "captions_choices.csv")
    wanted = set(itertools.product(CHOSEN, DROPOUTS, EPOCHS))
    assert set(tried[["method", "dropout", "epochs"]].itertuples(index=False, name=None)) == wanted


@pytest.mark.parametrize("seed", [0, 1, 9])
def test_no_tested_concept_was_learned_from_or_chose_a_setting(seed: int) -> None:
    draw, emoji = caption_tables.draw_of(seed), load_emoji()
    assert (len(draw.unseen), len(draw.seen)) == (GALLERY, GALLERY)
    assert not set(emoji.family[draw.unseen]) & set(emoji.family[draw.learned])
    assert not set(emoji.family[draw.unseen]) & set(emoji.family[emoji_folds(emoji, seed=CHOOSING)[1]])
    assert set(draw.seen) <= set(draw.learned)
    assert sorted([*draw.known, draw.third]) == [0, 1, 2]


def test_new_names_share_no_word_with_any_that_was_learned() -> None:
    draw, emoji = caption_tables.draw_of(0), load_emoji()
    new = caption_tables.new_names(draw)
    learned = " ".join(caption_tables.letters_only(emoji.english[place]) for place in draw.learned).split()
    for place, is_new in zip(draw.unseen, new, strict=True):
        own = caption_tables.letters_only(emoji.english[place]).split()
        assert is_new == (not any(word in learned for word in own))


def test_histograms_against_counting_pixel_by_pixel() -> None:
    x = np.random.default_rng(0).integers(0, 256, (2, 3, 5, 3)).astype(np.uint8)
    for picture, found in zip(x, caption_tables.histograms(x), strict=True):
        counts = np.zeros((4, 4, 4))
        for red, green, blue in picture.reshape(-1, 3) // 64:
            counts[red, green, blue] += 1
        np.testing.assert_allclose(found, np.sqrt(counts.ravel() / 15), rtol=1e-6)


@pytest.mark.slow
@pytest.mark.bank  # each table's rows are measured anew there
def test_a_figure_measured_anew(tmp_path) -> None:
    """The color histogram needs no network: draw 1, as its row says."""
    tables = [Rows(tmp_path / f"{name}.csv", "", "", *KEYS) for name in ("table", "typed")]
    choices = Rows(FOLDER / "captions_choices.csv", "", "", "method", "dropout", "epochs")
    caption_tables.measure("color histogram", 1, *tables, choices)
    stored = read_table(FOLDER / "captions.csv").query("method == 'color histogram' and draw == 1")
    found = read_table(tmp_path / "table.csv")
    for side in ("text_1", "text_5", "image_1", "image_5"):
        np.testing.assert_allclose(found[side], stored[side], atol=0.03)  # other processors add up otherwise
