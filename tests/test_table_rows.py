"""Tables that tools measure: rows that come one by one, and what tells them apart."""

from pathlib import Path

from table_rows import Rows, best_setting

from tlkit.tables import read_table


def test_a_table_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    first = Rows(path, "a title", "a recipe", "method", "draw")
    assert first.lacks("a")
    assert first.lacks("a", 0)
    first.add({"method": "a", "draw": 0, "test": 0.25}, {"method": "b", "draw": 1, "test": 0.5})

    second = Rows(path, "a title", "a recipe", "method", "draw")
    assert [second.lacks(*key) for key in (("a",), ("a", 0), ("a", 1), ("b", 1), ("c",))] == [
        False, False, True, False, True,
    ]  # fmt: skip
    second.add({"method": "a", "draw": 0, "test": 1.0}, {"method": "a", "draw": 1, "test": 0.75})
    table = read_table(path)
    assert table.to_dict("list") == {"method": ["a", "b", "a"], "draw": [0, 1, 1], "test": [0.25, 0.5, 0.75]}
    assert (table.attrs["table"], table.attrs["recipe"]) == ("a title", "a recipe")


def test_the_best_setting_has_the_best_mean_and_is_the_smallest_of_several() -> None:
    tried = [
        {"rate": rate, "epochs": epochs, "validation": right}
        for rate, epochs, right in ((0.1, 5, 0.9), (0.1, 5, 0.1), (0.01, 5, 0.5), (0.01, 9, 0.6), (0.1, 9, 0.6))
    ]
    assert best_setting(tried, "rate", "epochs") == (0.01, 9)
    assert best_setting(tried, "epochs") == (9,)
