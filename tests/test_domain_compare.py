"""DomainCompare against counts by hand and the functions that a learner would call; its controls, names and picture."""

import base64
import functools
import re
import threading
from collections.abc import Callable
from typing import Any

import ipywidgets
import numpy as np
import pytest
import scipy
from helpers import control, raises_one_line, random_split, toy_backbone

from tlkit._keras import keras
from tlkit.backbones import Backbone, load_backbone
from tlkit.domains import Domain, DomainPair, load_pair
from tlkit.evaluation import predict_classes, score_pair
from tlkit.explain import grad_cam
from tlkit.features import cache_features
from tlkit.heads import build_head, join, load_source_head
from tlkit.probe import fit_probe
from tlkit.widgets import domain_compare
from tlkit.widgets.domain_compare import DomainCompare
from tlkit.widgets.page import Page

HOSTILE = "<img src=x onerror=alert(1)>"
SIDES = ("source", "target")


# One of each for all tests: they look at them, and none trains them. Keras traces a model's prediction once.
@functools.cache
def toy_pair(n_classes: int, *, n: int = 96, names: tuple[str, ...] | None = None) -> DomainPair:
    classes = names or tuple(f"c{k}" for k in range(n_classes))
    source, target = (
        Domain(
            name,
            random_split(n, classes=n_classes, seed=seed, signal=True),
            random_split(n, classes=n_classes, seed=seed + 1, signal=True),
            classes,
        )
        for name, seed in (("print", 1), ("hand", 3))
    )
    return DomainPair(source, target)


@functools.cache
def toy_classifier(n_classes: int, seed: int = 0) -> keras.Model:
    backbone = toy_backbone(seed)
    return join(backbone.model, build_head(backbone, n_classes, seed=seed))


@functools.cache
def dense_classifier(n_classes: int, *, softmax: bool = False) -> keras.Model:
    image = keras.Input((8, 8, 1))
    x = keras.layers.Rescaling(1 / 255)(image)
    x = keras.layers.Dense(n_classes, kernel_initializer=keras.initializers.GlorotUniform(seed=1))(
        keras.layers.Flatten()(x)
    )
    return keras.Model(image, keras.layers.Softmax()(x) if softmax else x, name="dense")


@pytest.fixture(scope="module")
def still() -> DomainCompare:
    """For tests that change nothing of it."""
    return DomainCompare(toy_pair(3), {"one": toy_classifier(3)})


def fresh(domain: DomainPair, side: str) -> Domain:
    return getattr(domain, side)


# Numbers


@pytest.mark.parametrize("side", SIDES)
def test_a_keras_model_is_counted_as_by_hand(still: DomainCompare, side: str) -> None:
    pair, model, compare = toy_pair(3), toy_classifier(3), still
    test = fresh(pair, side).test
    answers = model.predict(test.x, verbose=0).argmax(axis=1)
    counted = np.zeros((3, 3), int)
    for right, answer in zip(test.y, answers, strict=True):
        counted[right, answer] += 1
    matrix = compare.confusion(side)
    np.testing.assert_array_equal(matrix, counted)
    assert list(matrix.index) == list(matrix.columns) == ["c0", "c1", "c2"]
    row, k, n = compare.scores.loc[side], int(counted.trace()), len(test)
    assert (row["domain"], row["accuracy"], row["images"]) == (fresh(pair, side).name, k / n, n)
    beta = scipy.stats.beta  # Clopper & Pearson, 1934
    assert 0 < k < n
    np.testing.assert_allclose(row["low"], beta.ppf(0.025, k, n - k + 1))
    np.testing.assert_allclose(row["high"], beta.ppf(0.975, k + 1, n - k))


def test_probabilities_are_the_softmax_of_the_logits() -> None:
    pair, model = toy_pair(3), toy_classifier(3)
    compare = DomainCompare(pair, {"one": model, "backbone": toy_backbone(0)})
    wanted = scipy.special.softmax(model.predict(pair.target.test.x, verbose=0).astype(float), axis=1)
    np.testing.assert_allclose(compare._reading("target").probabilities, wanted, rtol=1e-5)
    compare.model, compare.labels_per_class = "backbone", 5
    np.testing.assert_allclose(compare._reading("target").probabilities.sum(axis=1), 1)


@pytest.mark.parametrize("per_class", [1, 2, 5, 20])
def test_a_backbone_reads_both_domains_with_a_probe_on_target_labels(per_class: int) -> None:
    pair, backbone = toy_pair(3), toy_backbone(2)
    compare = DomainCompare(pair, {"toy": backbone}, seed=4)
    compare.labels_per_class = per_class
    head = build_head(backbone, 3)
    fit_probe(head, cache_features(backbone.model, pair.target.train.take(per_class, seed=4)))
    model = join(backbone.model, head)
    for side in SIDES:
        test = fresh(pair, side).test
        wanted = np.histogram2d(test.y, predict_classes(model, test), bins=np.arange(4) - 0.5)[0]
        np.testing.assert_array_equal(compare.confusion(side), wanted)


def test_without_labels_it_is_zero_shot() -> None:
    whole, backbone = load_pair(), load_backbone("resnet_printed")
    pair = DomainPair(
        *(Domain(d.name, d.train.take(5, seed=0), d.test[:50], d.classes) for d in (whole.source, whole.target))
    )
    compare = DomainCompare(pair, {"printed": backbone})
    head = load_source_head(backbone, pair.source.classes)
    scores = score_pair(backbone, head, head, pair)
    np.testing.assert_allclose(compare.scores["accuracy"], [scores.source, scores.target])
    assert "with the source's own head and no target label (zero-shot)" in compare._status.value.replace("&#x27;", "'")
    assert compare.label_choices == (0, 1, 2, 5)


def test_without_a_bundled_head_source_labels_make_one() -> None:
    pair, backbone = toy_pair(3), toy_backbone()
    compare = DomainCompare(pair, {"toy": backbone})
    head = build_head(backbone, 3)
    fit_probe(head, cache_features(backbone.model, pair.source.train.take(20, seed=0)))
    scores = score_pair(backbone, head, head, pair)
    np.testing.assert_allclose(compare.scores["accuracy"], [scores.source, scores.target])
    assert "with a probe on 20 source labels per class and no target label (zero-shot)" in compare._status.value


def test_domains_of_different_classes_have_heads_of_their_own() -> None:
    pair = DomainPair(toy_pair(3).source, toy_pair(2).target)
    backbone = toy_backbone()
    compare = DomainCompare(pair, {"toy": backbone})
    assert compare.labels_per_class == compare.label_choices[0] == 1
    before = compare.confusion("source")
    # Each domain with what reads it, and one label is no plural.
    shares = [f"{row.accuracy:.1%} of {row.domain}" for row in compare.scores.itertuples()]
    assert (
        f"<b>toy</b> reads {shares[0]} with a probe on 20 source labels per class, "
        f"and {shares[1]} with a probe on 1 target label per class, 2 in all. "
    ) in compare._status.value
    assert "points" not in compare._status.value  # of two tasks
    compare.labels_per_class = 5
    assert compare.confusion("source").equals(before)
    assert compare.confusion("target").shape == (2, 2)
    compare.cell = ("source", "c2", "c0")  # the target has no c2
    control(compare, "tlkit-cell-side").value = "target"
    assert compare.cell[0] == "target"
    assert set(compare.cell[1:]) <= {"c0", "c1"}
    with raises_one_line(ValueError, "same classes", "'one'", "Backbone"):
        DomainCompare(pair, {"one": toy_classifier(2)})


@pytest.mark.parametrize("side", SIDES)
def test_the_cells_hold_every_image_once(side: str) -> None:
    pair, model = toy_pair(3), toy_classifier(3)
    compare = DomainCompare(pair, {"one": model})
    test, matrix = fresh(pair, side).test, compare.confusion(side)
    seen: list[int] = []
    for right in matrix.index:
        for answer in matrix.columns:
            compare.cell = (side, right, answer)
            found = compare.cell_images
            assert len(found) == matrix.loc[right, answer]
            assert all(fresh(pair, side).classes[test.y[i]] == right for i in found)
            certainty = compare._reading(side).probabilities[found].max(axis=1)
            assert (np.diff(certainty) <= 0).all()
            assert compare._cell_view.value.count("<figure") == min(len(found), 24)
            seen += found.tolist()
    assert sorted(seen) == list(range(len(test)))


def test_the_largest_error_is_found() -> None:
    compare = DomainCompare(toy_pair(3), {"one": toy_classifier(3)})
    for side in SIDES:
        compare.pick_largest_error(side)
        matrix = compare.confusion(side).to_numpy().copy()
        np.fill_diagonal(matrix, 0)
        assert compare.cell[0] == side
        assert len(compare.cell_images) == matrix.max()


def test_each_model_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    original = domain_compare.predict_probabilities

    def counted(model: keras.Model, split: Any) -> Any:
        read.append(model.name)
        return original(model, split)

    monkeypatch.setattr(domain_compare, "predict_probabilities", counted)
    compare = DomainCompare(toy_pair(3), {"one": toy_classifier(3), "two": dense_classifier(3)})
    assert read == ["toy_head"] * 2  # both domains; the other model waits until it is chosen
    compare.model = "two"
    compare.model = "one"
    compare.cell = ("source", "c0", "c1")
    assert read == ["toy_head"] * 2 + ["dense"] * 2


def test_the_same_images_stand_under_every_model() -> None:
    compare = DomainCompare(toy_pair(3), {"one": toy_classifier(3), "two": dense_classifier(3)})

    def sources() -> list[str]:
        return [part.split('"')[0] for part in compare._images.value.split('src="')[1:]]

    before = sources()
    compare.model = "two"
    assert sources() == before
    other = DomainCompare(compare.pair, {"one": toy_classifier(3)}, seed=1)
    assert [part.split('"')[0] for part in other._images.value.split('src="')[1:]] != before


# Grad-CAM


def joined(backbone: Backbone, head: keras.Model) -> keras.Model:
    return join(backbone.model, head)


def nested(backbone: Backbone, head: keras.Model) -> keras.Model:
    return keras.Sequential([keras.Input((8, 8, 1)), backbone.model, head])


@pytest.mark.parametrize("make", [joined, nested])
def test_grad_cam_finds_the_feature_map_inside_a_model(make: Callable[..., keras.Model]) -> None:
    pair, backbone = toy_pair(3), toy_backbone()
    head = build_head(backbone, 3, seed=5)
    model = make(backbone, head)
    compare = DomainCompare(pair, {"one": model})
    compare.overlay = True
    assert "the more orange" in compare._images.value
    shown = compare._chosen["target"][0]
    images = pair.target.test.x[shown]
    wanted = grad_cam(backbone, head, images, classes=model.predict(images, verbose=0).argmax(axis=1))
    heat = compare._heat_of("target", shown)
    assert heat is not None
    for index, one in zip(shown, wanted, strict=True):
        np.testing.assert_allclose(heat[index], one / max(one.max(), 1e-12), atol=1e-5)


def test_grad_cam_is_computed_only_for_what_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    original = domain_compare.grad_cam

    def counted(*args: Any, **kwargs: Any) -> Any:
        looked.append(len(args[2]))
        return original(*args, **kwargs)

    monkeypatch.setattr(domain_compare, "grad_cam", counted)
    compare = DomainCompare(toy_pair(3), {"toy": toy_backbone()})
    compare.labels_per_class = 5
    assert looked == []
    without = compare._images.value
    compare.overlay = True
    shown = (compare._images.value + compare._cell_view.value).count("<figure")
    assert 0 < sum(looked) <= shown
    assert compare._images.value != without
    before = len(looked)
    compare.overlay = False
    assert compare._images.value == without
    compare.overlay = True
    assert len(looked) == before


def test_a_model_without_feature_map_says_so() -> None:
    compare = DomainCompare(toy_pair(3), {"dense": dense_classifier(3)})
    compare.overlay = True
    assert "no feature map" in compare._images.value


# Many classes, few classes


@pytest.mark.parametrize(("n_classes", "shown"), [(2, 2), (12, 12), (13, 12), (62, 12)])
def test_many_classes_are_cut_to_the_most_confused_and_it_says_so(n_classes: int, shown: int) -> None:
    pair = toy_pair(n_classes, n=6 * n_classes)
    compare = DomainCompare(pair, {"one": dense_classifier(n_classes)})
    matrix = compare.confusion("target").to_numpy().copy()
    np.fill_diagonal(matrix, 0)
    errors = matrix.sum(axis=0) + matrix.sum(axis=1)
    chosen = compare._shown_classes("target")
    assert len(chosen) == shown
    assert errors[chosen].min() >= np.delete(errors, chosen).max(initial=0)
    assert (f"12 of {n_classes} classes" in compare._matrices.value) == (n_classes > 12)
    assert (">other</text>" in compare._matrices.value) == (n_classes > 12)
    # Every number in a matrix: all images of the classes that are shown.
    for side in SIDES:
        cells = compare._matrix_svg(side).split("<rect")[1:]
        numbers = [int(n) for cell in cells if (n := cell.split('"middle">')[-1].split("<")[0]).isdigit()]
        assert sum(numbers) == np.isin(fresh(pair, side).test.y, chosen).sum()


@pytest.mark.parametrize(
    ("n_source", "n_target", "of", "all_of"),
    [
        (14, 14, ["12 of 14 classes, those with the most errors on the target"], ["source", "target"]),
        (14, 3, ["12 of 14 classes of the source"], ["source"]),
        (3, 13, ["12 of 13 classes of the target"], ["target"]),
        (14, 13, ["12 of 14 classes of the source", "12 of 13 classes of the target"], ["source", "target"]),
    ],
)
def test_where_classes_are_left_out_the_side_is_named(
    n_source: int, n_target: int, of: list[str], all_of: list[str]
) -> None:
    pair = DomainPair(toy_pair(n_source).source, toy_pair(n_target).target)
    hint = DomainCompare(pair, {"toy": toy_backbone()})._about_shown()
    assert all(words in hint for words in of)
    assert re.findall(r'[.]confusion[(]"(\w+)"[)]', hint) == all_of
    assert DomainCompare(toy_pair(3), {"toy": toy_backbone()})._about_shown() == ""


def test_a_backbone_of_one_stage_with_62_classes() -> None:
    one = Backbone("one", toy_backbone().model, ("two_out",))
    compare = DomainCompare(toy_pair(62, n=62 * 6), {"one": one})
    for k in compare.label_choices:
        compare.labels_per_class = k
    compare.overlay = True
    assert max(compare.label_choices) * 62 <= 1000
    assert compare._repr_mimebundle_()["image/png"]


def test_a_class_without_test_image_leaves_its_column_empty() -> None:
    pair = toy_pair(3)
    target = Domain("hand", pair.target.train, pair.target.test[pair.target.test.y != 1], pair.target.classes)
    compare = DomainCompare(DomainPair(pair.source, target), {"one": toy_classifier(3)})
    compare.overlay = True
    assert compare.confusion("target").loc["c1"].sum() == 0
    assert "<td></td>" in compare._images.value


def test_colour_images() -> None:
    source, target = (
        Domain(name, random_split(12, shape=(8, 6, 3), seed=s), random_split(9, shape=(8, 6, 3), seed=s), tuple("abc"))
        for name, s in (("photos", 0), ("drawings", 1))
    )
    image = keras.Input((8, 6, 3))
    x = keras.layers.Conv2D(4, 3, name="last")(image)
    model = keras.Model(image, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x)))
    compare = DomainCompare(DomainPair(source, target), {"one": model})
    compare.overlay = True
    assert 'src="data:image/jpeg;base64,' in compare._images.value
    assert 'width="33" height="44"' in compare._images.value


# Controls


def test_controls_drive_the_settings() -> None:
    compare = DomainCompare(toy_pair(3), {"toy": toy_backbone(), "one": toy_classifier(3)})
    control(compare, "tlkit-labels").value = 5
    assert compare.labels_per_class == 5
    assert "5 target labels per class, 15 in all" in compare._status.value
    control(compare, "tlkit-model").value = "one"
    assert compare.model == "one"
    assert control(compare, "tlkit-labels").disabled
    control(compare, "tlkit-overlay").value = True
    assert compare.overlay
    control(compare, "tlkit-cell-side").value = "source"
    control(compare, "tlkit-cell-right").value = "c2"
    control(compare, "tlkit-cell-answer").value = "c1"
    assert compare.cell == ("source", "c2", "c1")
    control(compare, "tlkit-largest-error").click()
    wanted = compare.cell
    compare.pick_largest_error("source")
    assert compare.cell == wanted


def pressed(compare: DomainCompare, message: object) -> None:
    page = next(child for child in compare.children if isinstance(child, Page))
    page._handle_custom_msg(message, [])


@pytest.mark.parametrize("n_classes", [3, 14])
def test_a_cell_of_a_matrix_is_chosen_by_a_press(n_classes: int) -> None:
    compare = DomainCompare(toy_pair(n_classes), {"one": toy_classifier(n_classes)})
    for side in SIDES:
        svg = compare._matrices.value.split("<svg")[1 + SIDES.index(side)]
        buttons = [dict(re.findall(r'([\w-]+)="([^"]*)"', tag)) for tag in re.findall(r"<g ([^>]+)>", svg)]
        shown = min(n_classes, 12)
        assert len(buttons) == shown**2
        assert [button["tabindex"] for button in buttons].count("0") == 1  # the others are reached by arrow keys
        matrix = compare.confusion(side).to_numpy()
        for button in buttons:
            where, right, answer = button["data-press"].split()
            assert where == side
            n = int(matrix[int(right), int(answer)])
            assert button["aria-label"].endswith(f": {n} image{'s' * (n != 1)}")
        for button in buttons[:: shown + 2]:
            pressed(compare, {"press": button["data-press"]})
            _, right, answer = button["data-press"].split()
            assert compare.cell == (side, f"c{right}", f"c{answer}")
            assert len(compare.cell_images) == matrix[int(right), int(answer)]
            assert compare._matrices.value.count('aria-pressed="true"') == 1


@pytest.mark.parametrize(
    "message",
    [None, 7, [], {}, {"press": None}, {"press": ""}, {"press": "target"}, {"press": "target 0"},
     {"press": "target 0 1 2"}, {"press": "target 0 99"}, {"press": "target a b"}, {"press": "nowhere 0 0"}],
)  # fmt: skip
def test_a_press_that_is_none_changes_nothing(still: DomainCompare, message: object) -> None:
    before = still.cell
    pressed(still, message)
    assert still.cell == before


def test_a_cell_that_other_labels_leave_empty_is_left_for_the_classs_largest_error() -> None:
    compare = DomainCompare(toy_pair(3), {"toy": toy_backbone(2), "one": toy_classifier(3)}, seed=4)
    left = 0
    for side in SIDES:
        for name, few, many in (("toy", 1, 20), ("toy", 20, 0), ("one", 0, 0)):
            for right in "c0", "c1", "c2":
                for answer in "c0", "c1", "c2":
                    compare.model, compare.labels_per_class = "toy", few
                    compare.cell = (side, right, answer)
                    if not len(compare.cell_images):
                        assert compare.cell == (side, right, answer)  # somebody wants to see that it is empty
                        continue
                    compare.model, compare.labels_per_class = name, many
                    assert len(compare.cell_images)
                    assert compare.cell[:2] == (side, right)
                    row = compare.confusion(side).loc[right]
                    if not row[answer]:
                        left += 1
                        errors = row.drop(right)
                        assert compare.cell[2] == (errors.idxmax() if errors.any() else right)
    assert left > 3


def test_settings_drive_the_controls() -> None:
    compare = DomainCompare(toy_pair(3), {"one": toy_classifier(3), "toy": toy_backbone()})
    compare.model, compare.labels_per_class, compare.overlay = "toy", 20, True
    compare.cell = ["source", "c1", "c2"]
    values = {css: control(compare, f"tlkit-{css}").value for css in ("model", "labels", "overlay", "cell-side")}
    assert values == {"model": "toy", "labels": 20, "overlay": True, "cell-side": "source"}
    assert (control(compare, "tlkit-cell-right").value, control(compare, "tlkit-cell-answer").value) == ("c1", "c2")
    assert not control(compare, "tlkit-labels").disabled
    assert compare._matrices.value.count('stroke-width="2.5"') == 1  # the cell, in one of the matrices


def test_a_model_that_fails_is_refused_and_the_one_before_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    compare = DomainCompare(toy_pair(3), {"one": toy_classifier(3), "two": dense_classifier(3)})
    images = compare._images.value

    def fail(*_: Any) -> None:
        raise RuntimeError("out of <memory>")

    monkeypatch.setattr(domain_compare, "predict_probabilities", fail)
    control(compare, "tlkit-model").value = "two"
    assert "out of &lt;memory&gt;" in compare._status.value
    assert (compare.model, control(compare, "tlkit-model").value, compare._images.value) == ("one", "one", images)
    with pytest.raises(RuntimeError, match="out of <memory>"):
        compare.model = "two"
    assert compare.model == "one"


def test_threads_leave_one_consistent_state() -> None:
    pair, backbone = toy_pair(3), toy_backbone()
    compare = DomainCompare(pair, {"toy": backbone, "one": toy_classifier(3)})

    def move(css: str, values: tuple[object, ...]) -> None:
        for value in values * 3:
            control(compare, css).value = value

    threads = [
        threading.Thread(target=move, args=arguments)
        for arguments in (
            ("tlkit-labels", (1, 5, 0, 2)),
            ("tlkit-model", ("one", "toy")),
            ("tlkit-cell-right", ("c0", "c2")),
        )
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (compare.model, compare.labels_per_class, compare.cell[1]) == ("toy", 2, "c2")
    fresh_one = DomainCompare(pair, {"toy": backbone, "one": toy_classifier(3)})
    fresh_one.labels_per_class, fresh_one.cell = 2, compare.cell
    assert (compare._images.value, compare._matrices.value) == (fresh_one._images.value, fresh_one._matrices.value)


# Errors


def test_models_are_checked_before_any_work(no_training: Callable[[], None]) -> None:
    pair = toy_pair(3)
    with raises_one_line(ValueError, "models must name at least one"):
        DomainCompare(pair, {})
    with raises_one_line(TypeError, "Keras model", "Backbone", "got str for 'x'"):
        DomainCompare(pair, {"x": "model"})  # type: ignore[dict-item]
    with raises_one_line(ValueError, "3 logits", "(2,)", "'x'"):
        DomainCompare(pair, {"x": toy_classifier(2)})
    with raises_one_line(ValueError, "logits, got probabilities", "'x'"):
        DomainCompare(pair, {"x": dense_classifier(3, softmax=True)})
    broken = keras.models.clone_model(dense_classifier(3))
    broken.layers[-1].set_weights([np.full((64, 3), np.nan), np.zeros(3)])
    with raises_one_line(ValueError, "finite", "'x'"):
        DomainCompare(pair, {"x": broken})
    with raises_one_line(ValueError, "shape", "(28, 28, 1)"):
        DomainCompare(pair, {"x": load_backbone("resnet_printed", weights=None)})


@pytest.mark.parametrize(
    ("name", "value", "fragments"),
    [
        ("model", "two", ("model must be one of 'one'", "'two'")),
        ("labels_per_class", 3, ("one of 0, 1, 2, 5", "got 3")),
        ("labels_per_class", True, ("one of 0, 1, 2, 5", "got True")),
        ("cell", ("source", "c0"), ("(side, right class, answer)",)),
        ("cell", ("left", "c0", "c1"), ("side must be one of 'source', 'target'", "'left'")),
        ("cell", ("target", "c0", "c9"), ("a class of the target", "'c9'")),
    ],
)
def test_a_wrong_setting_is_one_line_and_changes_nothing(
    still: DomainCompare, name: str, value: object, fragments: tuple[str, ...]
) -> None:
    before = (getattr(still, name), still._images.value)
    with raises_one_line(ValueError, *fragments):
        setattr(still, name, value)
    assert (getattr(still, name), still._images.value) == before
    for call in (still.confusion, still.pick_largest_error):
        with raises_one_line(ValueError, "side must be one of", "'left'"):
            call("left")


# What is shown


def every_html(widget: ipywidgets.Widget) -> str:
    own = widget.value if isinstance(widget, ipywidgets.HTML) else ""
    return own + "".join(every_html(child) for child in getattr(widget, "children", ()))


def test_hostile_names_are_text() -> None:
    pair = toy_pair(3, names=(HOSTILE, "'\"&", "$c$"))
    pair = DomainPair(*(Domain(HOSTILE, d.train, d.test, d.classes) for d in (pair.source, pair.target)))
    compare = DomainCompare(pair, {HOSTILE: toy_backbone()})
    for cell in (("target", HOSTILE, "'\"&"), ("source", HOSTILE, HOSTILE), ("source", "$c$", HOSTILE)):
        compare.cell = cell
        shown = every_html(compare)
        assert "<img src=x" not in shown
        assert "onerror=alert(1)>" not in shown
        assert "&lt;img src=x onerror=alert(1)&gt;" in shown
    # Options are set as text by ipywidgets: there, an escaped name would show its ampersands.
    assert control(compare, "tlkit-model").options == (HOSTILE,)
    assert control(compare, "tlkit-cell-right").options == pair.target.classes
    assert compare._repr_mimebundle_()["image/png"]


def test_right_and_wrong_are_told_by_sign_and_word(still: DomainCompare) -> None:
    figures = still._images.value.split("<figure")[1:]
    assert figures
    for figure in figures:
        right = 'class="right"' in figure
        assert ("✓" in figure) == (": right" in figure) == right
        assert ("✗" in figure) == (": wrong" in figure) == (not right)
    assert {'class="right"' in figure for figure in figures} == {True, False}


def test_a_picture_and_words_are_left() -> None:
    import matplotlib.pyplot as plt

    compare = DomainCompare(toy_pair(3), {"toy": toy_backbone(), "one": toy_classifier(3)})
    bundles = [compare._repr_mimebundle_() for _ in range(2)]
    assert base64.b64decode(bundles[0]["image/png"]).startswith(b"\x89PNG")
    assert "application/vnd.jupyter.widget-view+json" in bundles[0]
    assert bundles[0]["text/plain"] == bundles[1]["text/plain"]
    for side in SIDES:
        row = compare.scores.loc[side]
        assert f"{row['domain']} {row['accuracy']:.3f}" in bundles[0]["text/plain"]
    compare.model = "one"
    assert compare._repr_mimebundle_()["image/png"] != bundles[0]["image/png"]
    assert plt.get_fignums() == []
