"""What makes a source worth something: the table's form, what its sources hold, and a network pretrained twice."""

import numpy as np
import pytest
import source_tables
from helpers import assert_says_how_it_was_made
from source_tables import MATCHED, SOURCES

from tlkit.tables import FOLDER, read_table


def test_the_table_says_how_it_was_made_and_has_ten_networks_per_source() -> None:
    path = FOLDER / "sources.csv"
    assert_says_how_it_was_made(path, "python tools/source_tables.py")
    rows = read_table(path)
    assert rows.attrs["recipe"] == source_tables.RECIPE
    assert set(rows["pretrained on"]) == set(SOURCES)
    for _, own in rows.groupby("pretrained on"):
        assert own["draw"].tolist() == list(range(10))


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_holds_what_its_name_says(name: str) -> None:
    source = SOURCES[name]
    split = source.split(0)
    classes, counts = np.unique(split.y, return_counts=True)
    assert len(split) == source.images == (1000 if name == "1,000 images" else 34_862 if "34,862" in name else MATCHED)
    assert len(classes) == (62 if source.domain == "printed" else 10)
    if source.images < 34_862:
        assert np.ptp(counts) <= 1  # each class as often as any other, up to one
    again, other = source.split(0), source.split(1)
    assert np.array_equal(split.x, again.x)
    assert source.images == 34_862 or not np.array_equal(split.x, other.x)


def test_sources_differ_from_the_first_in_one_thing() -> None:
    first = SOURCES["digits in print"]
    fields = ("domain", "images", "augmented")
    apart = {name: [f for f in fields if getattr(each, f) != getattr(first, f)] for name, each in SOURCES.items()}
    assert apart.pop("62 classes, 34,862 images") == ["domain", "images"]
    assert SOURCES["62 classes"].domain == SOURCES["62 classes, 34,862 images"].domain
    assert apart == {
        "digits in print": [],
        "clothes": ["domain"],
        "1,000 images": ["images"],
        "62 classes": ["domain"],
        "augmented": ["augmented"],
    }


@pytest.mark.slow
@pytest.mark.bank  # three networks; tests/test_training.py has it for `fit`
def test_a_seed_repeats_a_network_and_another_gives_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_tables, "STEPS", 2)
    monkeypatch.setattr(source_tables, "WIDTHS", (4, 4, 4, 4))
    first, again, other = (source_tables.pretrained(SOURCES["augmented"], seed).get_weights() for seed in (0, 0, 1))
    assert all(np.allclose(a, b, atol=1e-6) for a, b in zip(first, again, strict=True))
    assert not all(np.allclose(a, b, atol=1e-3) for a, b in zip(first, other, strict=True))
