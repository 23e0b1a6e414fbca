"""The tables of pretraining without labels: their form, what they may have read, rows measured anew; its network."""

from pathlib import Path
from typing import Any

import numpy as np
import pretrain
import pretraining_tables
import pytest
from helpers import assert_says_how_it_was_made, raises_one_line, same_accuracy, same_weights
from marks import in_bank

import tlkit
from tlkit.backbones import small_resnet
from tlkit.tables import FOLDER, read_table

SCORES, TRIED, VIEWS = (FOLDER / f"without_labels{end}.csv" for end in ("", "_choices", "_views"))


def test_a_table_says_how_it_was_made() -> None:
    for path, recipe in (
        (SCORES, pretraining_tables.RECIPE),
        (TRIED, pretraining_tables.RECIPE),
        (VIEWS, pretraining_tables.VIEWS_RECIPE),
    ):
        assert_says_how_it_was_made(path, "python tools/pretraining_tables.py")
        assert read_table(path).attrs["recipe"] == recipe


def test_each_method_has_ten_draws_of_each_number_of_labels() -> None:
    rows = read_table(SCORES)
    for (_, per_class, method), own in rows.groupby(["domain", "per_class", "method"]):
        assert sorted(own["draw"]) == list(range(10)), (per_class, method)
    for method in ("raw pixels", *pretraining_tables.FROZEN):
        own = rows[rows["method"] == method]
        assert set(own["per_class"]) == set(pretraining_tables.PER_CLASS)
        assert set(own["domain"]) == set(pretraining_tables.DOMAINS)


def test_each_set_of_views_has_as_many_seeds() -> None:
    rows = read_table(VIEWS)
    assert set(rows["views"]) == {pretraining_tables.UNTRAINED, *pretraining_tables.ARMS}
    seeds = [sorted(own["draw"]) for _, own in rows.groupby(["domain", "views"])]
    assert all(own == seeds[0] == list(range(10)) for own in seeds)


def test_the_setting_from_scratch_is_chosen_on_other_draws_than_those_that_are_scored() -> None:
    rows, tried = read_table(SCORES), read_table(TRIED)
    assert not set(tried["draw"]) & set(rows["draw"])
    scratch = rows[rows["method"] == pretraining_tables.SCRATCH]
    cells = set(zip(scratch["domain"], scratch["per_class"], strict=True))
    assert cells - {("mnist", 10)} <= set(zip(tried["domain"], tried["per_class"], strict=True))
    for _, own in tried.groupby(["domain", "per_class"]):
        assert set(own["rate"]) == set(pretraining_tables.RATES)
        assert set(own["epochs"]) == set(pretraining_tables.EPOCHS)


def test_the_copied_trainings_are_those_of_the_table_of_scratch() -> None:
    rows, theirs = read_table(SCORES), read_table(FOLDER / "scratch.csv")
    own = rows[(rows["domain"] == "mnist") & (rows["per_class"] == 10) & (rows["method"] == pretraining_tables.SCRATCH)]
    moved = theirs[theirs["views"] == "moved"]
    assert own["test"].tolist() == moved["test"].tolist()


def test_a_copy_of_the_trainings_is_taken_once(tmp_path: Path) -> None:
    for _ in range(2):
        pretraining_tables.copy_scratch(pretraining_tables.scores_of(tmp_path), 3)
    assert read_table(tmp_path / "without_labels.csv")["draw"].tolist() == [0, 1, 2]


def test_what_is_there_is_not_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, ...]] = []

    def rows(*at: Any) -> list[dict[str, Any]]:
        asked.append(at)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return [{"domain": name, "views": at[0], "draw": at[1], "test": 0.5} for name in pretraining_tables.DOMAINS]

    monkeypatch.setattr(pretraining_tables, "views_rows", rows)
    with pytest.raises(KeyboardInterrupt):
        pretraining_tables.measure_views(tmp_path, 1)
    pretraining_tables.measure_views(tmp_path, 1)
    kinds = [pretraining_tables.UNTRAINED, *pretraining_tables.ARMS]
    assert [arm for arm, _ in asked] == [*kinds[:3], *kinds[2:]]
    assert read_table(tmp_path / "without_labels_views.csv")["views"].tolist() == np.repeat(kinds, 2).tolist()


def test_features_of_all_images_give_the_draws_of_the_images() -> None:
    domain = pretraining_tables.target("optdigits")
    numbered = tlkit.Split(np.arange(len(domain.train), dtype=np.float32)[:, None], domain.train.y)
    taken = numbered.take(5, seed=3)
    assert np.array_equal(domain.train.x[taken.x[:, 0].astype(int)], domain.train.take(5, seed=3).x)


@pytest.mark.slow
@pytest.mark.parametrize("method", in_bank(["raw pixels", "self-supervised", "supervised"], but=["raw pixels"]))
def test_rows_measured_anew(method: str) -> None:
    stored = read_table(SCORES).set_index(["domain", "per_class", "method", "draw"])["test"]
    (*_, last) = (row for row in pretraining_tables.frozen_rows("optdigits", method, 1) if row["per_class"] == 10)
    wanted = stored[("optdigits", 10, method, 0)]
    assert same_accuracy(last["test"], wanted, len(pretraining_tables.target("optdigits").test))


@pytest.mark.slow
@pytest.mark.bank  # each table's rows are measured anew there
def test_a_pretraining_measured_anew() -> None:
    rows = read_table(VIEWS).set_index(["domain", "views", "draw"])["test"]
    for row in pretraining_tables.views_rows("all views", 0):
        assert abs(row["test"] - rows[(row["domain"], "all views", 0)]) < 0.05  # another processor rounds otherwise


# The bundled network


def test_the_bundled_network_is_that_of_resnet_printed_with_other_weights_and_no_head() -> None:
    with_labels, without = tlkit.load_backbone("resnet_printed"), tlkit.load_backbone("resnet_printed_ssl")
    assert [w.shape for w in with_labels.model.weights] == [w.shape for w in without.model.weights]
    assert with_labels.stage_ends == without.stage_ends
    assert not same_weights(with_labels.model, without.model)
    assert all(np.isfinite(weight).all() for weight in without.model.get_weights())
    assert same_weights(without.model, tlkit.load_backbone("resnet_printed_ssl", weights="printed_ssl").model)
    with raises_one_line(ValueError, "a source head is bundled for backbone one of", "'resnet_printed_ssl'"):
        tlkit.load_source_head(without)


def test_its_features_beat_chance_and_random_weights_by_far() -> None:
    domain = tlkit.load_pair("printed", "optdigits").target
    few, test = domain.train.take(2, seed=0), domain.test[:300]
    both = tlkit.Split(np.concatenate([few.x, test.x]), np.concatenate([few.y, test.y]))
    scores = []
    for weights in ("pretrained", None):
        model = tlkit.load_backbone("resnet_printed_ssl", weights=weights).model
        features = tlkit.cache_features(model, both, cache_dir="memory")
        scores.append(tlkit.linear_probe(features[: len(few)], features[len(few) :]))
    assert scores[0] > scores[1] + 0.05
    assert scores[0] > 0.6


def test_its_log_has_a_row_per_epoch_and_a_loss_that_falls() -> None:
    log = read_table(Path(tlkit.asset_path("resnet_printed_ssl.weights.h5")).with_name("resnet_printed_ssl_log.csv"))
    assert log["epoch"].tolist() == list(range(1, len(log) + 1))
    assert (np.diff(log["loss"]) < 0).all()
    assert (np.diff(log["accuracy"]) > 0).all()


@pytest.mark.slow
@pytest.mark.bank  # tests/test_table_rows.py stops and resumes what the tools share
def test_the_tool_goes_on_where_it_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrain, "WIDTHS", (4, 4, 4, 4))
    images = tlkit.load_domain("printed").train.x[:300]
    state = tmp_path / "x.state"
    _, first = pretrain.train_without_labels(images, epochs=1, seed=0, state=state)
    model, log = pretrain.train_without_labels(images, epochs=2, seed=0, state=state)
    assert [row["epoch"] for row in log] == [1, 2]
    assert log[0] == pytest.approx(first[0])
    same, _ = pretrain.train_without_labels(images, epochs=2, seed=0, state=state)
    assert same_weights(model, same)  # nothing was left to do
    start = small_resnet((28, 28, 1), (4, 4, 4, 4), seed=0)
    assert not same_weights(start, model)
