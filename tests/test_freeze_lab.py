"""FreezeLab without a browser: what it trains equals what tlkit trains, however it is stopped, reset and restored."""

import base64
import gc
import io
import re
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import traitlets
from helpers import (
    TOY_STAGE_ENDS,
    assert_same_training,
    control,
    controls,
    html_of,
    raises_one_line,
    random_split,
    run_python,
    same_weights,
    toy_backbone,
    weights_of,
    with_fewer_tests,
)
from marks import in_bank
from matplotlib.figure import Figure
from PIL import Image

import tlkit
from tlkit._keras import keras
from tlkit._keras.start import onednn_is_on
from tlkit.backbones import Backbone
from tlkit.domains import Domain, DomainPair
from tlkit.experiment import Baselines, Experiment, Settings
from tlkit.widgets import FreezeLab
from tlkit.widgets.pictures import Curve, draw_curves, draw_strip

HOSTILE = "<img src=x onerror=alert(1)>"


def signal_pair(classes: tuple[str, ...] = ("a", "b", "c"), *, n: int = 20, seed: int = 0) -> DomainPair:
    """Classes that differ in brightness; the source's and the target's images are different ones."""
    k = len(classes)
    parts = [random_split(n * k, classes=k, seed=seed + i, signal=True) for i in range(4)]
    return DomainPair(Domain("source", parts[0], parts[1], classes), Domain("target", parts[2], parts[3], classes))


@pytest.fixture(scope="module")
def pair() -> DomainPair:
    return signal_pair()


def lab_of(pair: DomainPair, backbone: Backbone | None = None) -> FreezeLab:
    """A lab that measures nothing in the background: that would go on beside the tests that follow."""
    lab = FreezeLab(pair, backbone or toy_backbone())
    lab.measures_scratch = False
    return lab


def short_lab(pair: DomainPair) -> FreezeLab:
    lab = lab_of(pair)
    lab.epochs, lab.per_class = 3, 5
    return lab


@pytest.fixture
def lab(pair: DomainPair) -> FreezeLab:
    return short_lab(pair)


@pytest.fixture(scope="module")
def still_lab(pair: DomainPair) -> FreezeLab:
    """Nothing is trained in it: for tests that only look."""
    return short_lab(pair)


@pytest.fixture(scope="module")
def trained_lab(pair: DomainPair) -> FreezeLab:
    """After two equal runs: for tests that only look."""
    lab = short_lab(pair)
    lab.train()
    lab.train()
    return lab


@pytest.fixture(scope="module")
def measured(pair: DomainPair) -> tuple[FreezeLab, float]:
    """A lab in which the training from scratch was measured, and what was found."""
    lab = short_lab(pair)
    return lab, lab.measure_scratch()


# A target alone ------------------------------------------------------------------------------------------------------


def test_a_lab_without_the_sources_data_says_what_its_second_curve_is() -> None:
    mnist = tlkit.load_domain("mnist")
    digits = Domain("digits", mnist.train.take(12, seed=0), mnist.test.take(3, seed=0), mnist.classes)
    lab = FreezeLab(digits, tlkit.load_backbone("resnet_printed"))
    lab.measures_scratch, lab.epochs, lab.per_class = False, 2, 5
    page = html_of(lab)
    for words in ("FreezeLab: digits, resnet_printed", "the 30 test images", "nothing is trained", "62 classes"):
        assert words in page
    assert "watch target and agreement" in lab.sentence
    assert "→" not in page.split("</h4>")[0]
    lab.freeze_to(5)
    lab.train()
    assert "30 of 30 old answers stay (agreement 1.000)" in lab.sentence
    assert "forgetting" not in lab.sentence
    lab.freeze_to(4)
    lab.base_rate = 3e-3
    run = lab.train()
    assert f"{round(30 * run.source)} of 30 old answers stay (agreement {run.source:.3f})" in lab.sentence
    assert f"agreement {run.source:.3f}" in html_of(lab)
    assert control(lab, "tlkit-sort-source").description == "agreement"
    assert "agreement" in lab._repr_mimebundle_()["text/plain"]


# The training itself -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stage", "batchnorm"),
    in_bank(
        [(stage, batchnorm) for stage in range(3) for batchnorm in (False, True)],
        but=[(0, False), (1, True), (2, False)],
        names=2,
    ),
)
def test_a_run_is_the_training_of_tlkit_fit(pair: DomainPair, stage: int, batchnorm: bool) -> None:
    """Same labels, head, batches and rate: the same training."""
    lab = lab_of(pair)
    lab.per_class, lab.epochs, lab.head_rate, lab.base_rate, lab.train_batchnorm = 15, 4, 1e-2, 1e-2, batchnorm
    lab.freeze_to(stage)
    lab.train()

    backbone = toy_backbone()
    tlkit.freeze_to(backbone, stage, train_batchnorm=batchnorm)
    head = tlkit.build_head(backbone, 3)
    model = tlkit.join(backbone.model, head)
    start = model.get_weights()
    few = pair.target.train.take(15, seed=0)
    trained, seen = model, few
    if not onednn_is_on():  # the lab's trunk, too, has run in batches of another size
        trunk, tail = tlkit.split_at(backbone, stage)
        trained, seen = tlkit.join(tail, head), tlkit.cache_features(trunk, few)
    tlkit.fit(trained, seen, epochs=4, learning_rate=1e-2, progress=False)
    assert_same_training(lab.model, model, few.x)
    assert not same_weights(start, model)


def test_the_scores_are_those_of_score_pair(trained_lab: FreezeLab, pair: DomainPair) -> None:
    lab, run = trained_lab, trained_lab.runs[-1]
    scores = tlkit.score_pair(lab.backbone, lab.experiment.source_head, lab.experiment.head, pair)
    assert (run.source, run.target) == (scores.source, scores.target)
    assert run.history.iloc[-1][["target", "source"]].tolist() == [run.target, run.source]


@pytest.mark.parametrize("stage", in_bank(range(3), but=[1]))
def test_scores_before_any_training_are_the_pretrained_ones(pair: DomainPair, stage: int) -> None:
    experiment = Experiment(pair, toy_backbone())
    before = tlkit.score_pair(experiment.backbone, experiment.source_head, experiment.source_head, pair)
    experiment.run(Settings(stage, per_class=5, epochs=2, base_rate=0.1))
    assert (experiment.source_before, experiment.zero_shot) == (before.source, before.target)


def test_only_what_is_meant_moves_and_the_boundary_is_the_last_whole_stage(lab: FreezeLab) -> None:
    assert lab.layers == {"one_conv": 1, "two_a_conv": 2, "two_b_conv": 2}
    for names, boundary in (
        ((), 0),
        (("one_conv",), 1),
        (("two_a_conv",), 0),
        (("two_a_conv", "two_b_conv"), 0),
        (("one_conv", "two_b_conv"), 1),
        (tuple(lab.layers), 2),
    ):
        lab.freeze_layers(*lab.layers, frozen=False)
        lab.freeze_layers(*names)
        assert lab.stage == boundary
        before = weights_of(lab.backbone.model)
        assert lab.train().boundary == boundary
        after = weights_of(lab.backbone.model)
        moved = {path.split("/")[0] for path in before if not np.array_equal(before[path], after[path])}
        assert moved == set(lab.layers) - set(names)
        assert lab.audit["verdict"].str.endswith("as meant").all()
        audited = set(lab.audit.loc[lab.audit["weights_moved"], "layer"].str.split("/").str[0])
        assert audited == moved | {"head"}
        lab.reset()


def test_batchnorm_follows_its_own_switch(lab: FreezeLab) -> None:
    lab.freeze_to(1)
    lab.train_batchnorm = True
    lab.train()
    moved = lab.audit.set_index("layer")["statistics_moved"]
    assert moved["two_a_bn"]
    assert not moved["one_bn"]  # its stage is frozen


def test_a_run_can_go_on_from_the_last(lab: FreezeLab, pair: DomainPair) -> None:
    """Going on moves what lies before a later boundary: features kept from before must not be used then."""
    lab.freeze_to(0)
    lab.base_rate = 1e-2
    lab.train()
    moved = lab.backbone.model.get_weights()
    lab.freeze_to(1)
    lab.from_pretrained = False
    run = lab.train()
    scores = tlkit.score_pair(lab.backbone, lab.experiment.source_head, lab.experiment.head, pair)
    assert (run.target, run.source) == (scores.target, scores.source)
    frozen = [w.path.startswith("one_") for w in lab.backbone.model.weights]
    after = lab.backbone.model.get_weights()
    assert all(np.array_equal(a, b) for a, b, is_frozen in zip(moved, after, frozen, strict=True) if is_frozen)


def test_head_first_begins_with_the_best_head(lab: FreezeLab, pair: DomainPair) -> None:
    lab.head_first = True
    lab.freeze_to(2)
    first = lab.train().history["target"].iloc[0]
    head = tlkit.build_head(lab.backbone, 3)
    few = pair.target.train.take(5, seed=0)
    tlkit.fit_probe(head, tlkit.cache_features(lab.backbone.model, few, cache_dir="memory"))
    held_out = lab.experiment.held_out(5)[0]
    assert first == tlkit.accuracy(tlkit.join(lab.backbone.model, head), held_out)


def test_live_images_are_neither_labels_nor_test_images(pair: DomainPair) -> None:
    experiment = Experiment(pair, toy_backbone())
    live = {image.tobytes() for image in experiment.held_out(5)[0].x}
    labels = {image.tobytes() for image in pair.target.train.take(5, seed=0).x}
    test = {image.tobytes() for image in pair.target.test.x}
    assert live
    assert not live & (labels | test)


def test_views_are_more_images(lab: FreezeLab) -> None:
    counts = {}
    for views in (1, 3):
        lab.views = views
        counts[views] = lab.train().batches
    per_epoch = {views: -(-15 * views // 32) for views in counts}
    assert counts == {views: 3 * steps for views, steps in per_epoch.items()}


# Stop, reset, locks --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("moments", in_bank([10, 50], but=[10]))
def test_stopped_at_random_moments_the_weights_are_those_of_the_last_whole_batch(
    pair: DomainPair, moments: int
) -> None:
    """Pressed from another thread; beside a run that nobody stops, noted batch by batch; and the next run is right."""
    lab = lab_of(pair)
    lab.per_class, lab.epochs = 15, 20  # 40 batches
    lab.freeze_to(1)
    whole = lab.train()
    reference = lab.model.get_weights()
    replay = Experiment(pair, toy_backbone())
    states = {0: replay.model.get_weights()}

    def noted(kind: str, value: object) -> None:
        if kind == "progress":
            states[value[0]] = replay.model.get_weights()

    replay.run(whole.settings, callbacks=[noted])
    assert len(states) == whole.batches + 1
    assert same_weights(states[whole.batches], reference)
    rng = np.random.default_rng(0)
    moment, come = 0, threading.Event()

    def reported(kind: str, value: object) -> None:
        if kind == "progress" and value[0] >= moment:
            come.set()

    lab.callbacks.append(reported)
    lengths = set()
    for _ in range(moments):
        moment = int(rng.integers(0, whole.batches))
        come.clear()
        lab.train(wait=False)
        if moment:  # otherwise at once, before the first batch
            come.wait()
        lab.stop()
        lab.wait()
        run = lab.runs[-1]
        assert run.stopped == (run.batches < whole.batches)
        assert np.shape(lab.model(pair.target.test.x, training=False)) == (60, 3)
        lengths.add(run.batches)
        assert same_weights(lab.model.get_weights(), states[run.batches])
    assert len(lengths) > moments / 10
    again = lab.train()
    assert not again.stopped
    assert same_weights(lab.model, reference)


def test_reset_returns_to_the_pretrained_weights_exactly(lab: FreezeLab) -> None:
    start = lab.model.get_weights()
    lab.freeze_to(0)
    lab.train_batchnorm, lab.base_rate = True, 0.1
    lab.train()
    assert not same_weights(lab.model.get_weights(), start)
    lab.reset()
    assert same_weights(lab.model.get_weights(), start)
    assert "Reset" in lab.sentence


def test_equal_settings_give_equal_runs(lab: FreezeLab) -> None:
    lab.freeze_to(1)
    one = lab.train()
    weights = lab.model.get_weights()
    lab.freeze_to(0)
    lab.train()
    lab.restore(1)
    two = lab.train()
    assert same_weights(lab.model.get_weights(), weights)
    pd.testing.assert_frame_equal(one.history, two.history)
    assert one.settings == two.settings


@pytest.fixture
def running(lab: FreezeLab) -> FreezeLab:
    lab.epochs = 2000
    lab.train(wait=False)
    yield lab
    lab.stop()
    lab.wait()


def test_while_it_trains_settings_are_locked_and_python_goes_on(running: FreezeLab) -> None:
    began = time.monotonic()
    assert sum(range(1000)) == 499500  # another cell
    for name, value in (("epochs", 5), ("per_class", 2), ("frozen", frozenset())):
        before = getattr(running, name)
        with raises_one_line(traitlets.TraitError, "while a run is in progress"):
            setattr(running, name, value)
        assert getattr(running, name) == before
    with raises_one_line(RuntimeError, "one run at a time"):
        running.train()
    with raises_one_line(RuntimeError, "while a run is in progress"):
        running.reset()
    assert time.monotonic() - began < 5
    assert running.status in ("running", "stopping")


def test_while_it_trains_a_moved_control_goes_back_and_says_why(running: FreezeLab) -> None:
    slider = control(running, "tlkit-epochs")
    assert slider.disabled
    slider.value = 7  # a message that was on its way
    assert slider.value == running.epochs == 2000
    assert "while a run is in progress" in control(running, "tlkit-note").value
    toggle = control(running, "tlkit-toggle-1")
    toggle.value = not toggle.value
    assert toggle.value == ("one_conv" in running.frozen)


def test_after_the_end_the_controls_work_again(lab: FreezeLab) -> None:
    control(lab, "tlkit-train").click()
    lab.wait()
    assert lab.status == "idle"
    assert not control(lab, "tlkit-train").disabled
    assert control(lab, "tlkit-stop").disabled
    assert len(lab.results) == 1


def test_an_interrupt_stops_the_run_and_keeps_it(lab: FreezeLab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.epochs = 5000
    real, calls = time.sleep, []

    def interrupted(seconds: float) -> None:
        calls.append(seconds)
        if len(calls) == 30:
            raise KeyboardInterrupt
        real(seconds)

    monkeypatch.setattr("tlkit.widgets.freeze_lab.time.sleep", interrupted)
    run = lab.train()
    assert run.stopped
    assert lab.results["stopped"].tolist() == [True]


def test_a_loss_that_is_not_finite_is_said_and_the_next_run_is_right(lab: FreezeLab) -> None:
    good = lab.train()
    lab.freeze_to(0)
    lab.head_rate = lab.base_rate = 10.0
    lab.epochs = 200
    lab.experiment.head.set_weights([w * np.nan for w in lab.experiment.head.get_weights()])
    lab.from_pretrained = False
    with raises_one_line(FloatingPointError, "finite", "learning rate is too large"):
        lab.train()
    assert "finite" in lab.sentence
    assert lab.status == "idle"
    lab.restore(1)
    again = lab.train()
    pd.testing.assert_frame_equal(good.history, again.history)


CYCLES = """
import gc, resource, sys, threading
sys.path.insert(0, sys.argv[1])
from test_freeze_lab import FreezeLab, signal_pair, toy_backbone

lab = FreezeLab(signal_pair(), toy_backbone())
lab.per_class, lab.epochs, lab.measures_scratch = 5, 2, False


def cycle(i):
    lab.freeze_to(i % 3)
    lab.train(wait=i % 2 == 0)
    lab.wait()
    lab.reset()


def memory():
    gc.collect()
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024


for i in range(20):
    cycle(i)
before, threads = memory(), threading.active_count()
for i in range(200):
    cycle(i)
print(memory() - before, threading.active_count() - threads, len(lab.results))
"""


@pytest.mark.slow
@pytest.mark.bank
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's /proc")
def test_two_hundred_cycles_leave_neither_memory_nor_threads(tmp_path: Path) -> None:
    result = run_python("-c", CYCLES, str(Path(__file__).parent), cwd=tmp_path, timeout=900)
    assert result.returncode == 0, result.stderr[-2000:]
    grown, threads, runs = (float(word) for word in result.stdout.split())
    print(f"200 cycles: {grown:.1f} MB more")
    assert grown < 100
    assert threads == 0
    assert runs == 220


# Baselines -----------------------------------------------------------------------------------------------------------


def test_baselines_are_those_of_the_package(
    still_lab: FreezeLab, measured: tuple[FreezeLab, float], pair: DomainPair
) -> None:
    few = pair.target.train.take(5, seed=0)
    assert still_lab.baselines.raw == tlkit.linear_probe(few, pair.target.test)
    assert np.isnan(still_lab.baselines.scratch)
    lab, score = measured
    assert lab.baselines.scratch == score


def test_from_scratch_can_pause_and_does_not_touch_the_backbone(
    measured: tuple[FreezeLab, float], pair: DomainPair
) -> None:
    experiment = Experiment(pair, toy_backbone())
    start = experiment.backbone.model.get_weights()
    pause = threading.Event()
    pause.set()
    paused = 0
    while (score := experiment.measure_scratch(5, interrupt=pause)) is None:
        paused += 1
    assert paused > 30
    assert score == measured[1]
    assert same_weights(experiment.backbone.model, start)


def test_train_answers_before_a_measurement_in_the_background_has_ended(
    lab: FreezeLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The background may be inside a batch for seconds; by the order of events, not by a clock."""
    monkeypatch.setattr("tlkit.widgets.freeze_lab.PATIENCE", 0.0)
    measuring, may_end = threading.Event(), threading.Event()
    events: list[str] = []

    def measure(per_class: int, *, interrupt: threading.Event) -> None:
        measuring.set()
        assert may_end.wait(60)
        events.append(f"the background has ended, asked to: {interrupt.is_set()}")

    monkeypatch.setattr(lab.experiment, "measure_scratch", measure)
    lab.measures_scratch = True
    lab.train()
    assert measuring.wait(60)
    lab.observe(lambda change: events.append(change["new"]), "status")
    lab.callbacks.append(lambda kind, value: events.append("the run works") if value == "training" else None)
    control(lab, "tlkit-train").click()  # returns while the background is still at work
    assert events == ["running"]
    assert control(lab, "tlkit-train").disabled
    assert "preparing" in control(lab, "tlkit-progress-words").value
    lab.measures_scratch = False
    may_end.set()
    lab.wait()
    assert events == ["running", "the background has ended, asked to: True", "the run works", "idle"]
    assert len(lab.runs) == 2


def test_without_the_same_classes_there_is_no_zero_shot(pair: DomainPair) -> None:
    other = Domain("other", pair.target.train, pair.target.test, ("x", "y", "z"))
    assert np.isnan(FreezeLab(DomainPair(pair.source, other), toy_backbone()).baselines.zero_shot)


# Many kinds of backbones and domains ---------------------------------------------------------------------------------


PAIRS = [(source, target) for source in ("printed", "fashion") for target in ("mnist", "optdigits", "fashion")]


@pytest.mark.slow
@pytest.mark.bank  # the browser has printed and optdigits
@pytest.mark.parametrize("names", PAIRS, ids="-".join)
def test_works_with_every_bundled_pair(names: tuple[str, str]) -> None:
    source = names[0]
    pair = with_fewer_tests(tlkit.load_pair(*names), 300)
    lab = FreezeLab(pair, tlkit.load_backbone(f"resnet_{source}"))
    lab.freeze_to(4)
    lab.epochs, lab.head_first = 3, True
    run = lab.train()
    scores = tlkit.score_pair(lab.backbone, lab.experiment.source_head, lab.experiment.head, pair)
    assert (run.source, run.target) == pytest.approx((scores.source, scores.target), abs=2e-3)  # ties of rounding
    lab.close()


ENDS_EARLY = """
import sys, threading
sys.path.insert(0, sys.argv[1])
from test_freeze_lab import FreezeLab, signal_pair, toy_backbone

lab = FreezeLab(signal_pair(), toy_backbone())
lab.epochs = 10_000
begun = threading.Event()
lab.callbacks.append(lambda kind, value: begun.set() if kind == "progress" else None)
lab.train(wait=False)
assert begun.wait(60)
print("the program ends")
"""


def test_a_program_that_ends_while_it_trains_ends_in_peace(tmp_path: Path) -> None:
    result = run_python("-c", ENDS_EARLY, str(Path(__file__).parent), cwd=tmp_path, timeout=120)
    assert result.returncode == 0, result.stderr[-2000:]
    assert "terminate" not in result.stderr


@pytest.mark.slow
@pytest.mark.bank
def test_works_with_resnet50_and_sixty_two_classes() -> None:
    printed = tlkit.load_domain("printed")
    backbone = tlkit.load_backbone("resnet50", image_size=32, input_shape=(28, 28, 1), weights=None)
    lab = FreezeLab(DomainPair(printed, printed), backbone)
    assert [stage.end for stage in lab.experiment.stages] == list(backbone.stage_ends)
    lab.per_class, lab.epochs = 2, 1
    lab.freeze_to(4)
    run = lab.train()
    assert run.batches == 4
    assert set(run.audit.loc[run.audit["weights_moved"], "stage"]) == {5, "head"}
    control(lab, "tlkit-more-4").value = True
    assert len(controls(lab, "tlkit-layer")) == len(lab.experiment.stages[3].layers) > 15


def test_works_with_a_folder_of_ones_own(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for domain in ("near", "far"):
        for name, low in (("dark", 0), ("light", 128)):
            folder = tmp_path / domain / name
            folder.mkdir(parents=True)
            for i in range(12):
                Image.fromarray(rng.integers(low, low + 128, (8, 8), dtype=np.uint8)).save(folder / f"{i}.png")
    domains = [tlkit.load_folder(tmp_path / name, image_size=8, test_fraction=0.25, seed=0) for name in ("near", "far")]
    channels = domains[0].train.x.shape[-1]
    lab = lab_of(DomainPair(*domains), Backbone("toy", toy_model_of(channels), TOY_STAGE_ENDS))
    lab.epochs = 2
    assert lab.train().target >= 0
    assert lab.per_class == 9  # fewer than ten of a class


def toy_model_of(channels: int) -> keras.Model:
    from helpers import toy_model

    return toy_model(channels=channels)


def test_works_with_one_stage(pair: DomainPair) -> None:
    lab = lab_of(pair, Backbone("flat", toy_backbone().model, ("two_out",)))
    for stage in (0, 1):
        lab.freeze_to(stage)
        assert lab.train().boundary == stage


def test_works_with_two_classes() -> None:
    lab = lab_of(signal_pair(("no", "yes")))
    lab.head_first, lab.epochs = True, 2
    assert lab.train().target > 0.6


# The screen ----------------------------------------------------------------------------------------------------------


def test_controls_and_traits_say_the_same(lab: FreezeLab) -> None:
    lab.freeze_to(1)
    slider, toggles = control(lab, "tlkit-freeze-to"), controls(lab, "tlkit-toggle")
    assert slider.value == 1
    assert [toggle.value for toggle in toggles] == [True, False]
    slider.value = 2
    assert lab.stage == 2
    assert "Everything is frozen but the head." in lab.sentence
    toggles[1].value = False
    assert (lab.stage, slider.value) == (1, 1)
    assert "Frozen: stage 1; the rest and the head learn." in lab.sentence
    control(lab, "tlkit-more-2").value = True
    next(toggle for toggle in controls(lab, "tlkit-layer") if "two_a_conv" in toggle.description).value = True
    assert lab.frozen == {"one_conv", "two_a_conv"}
    assert "◐" in toggles[1].description
    for toggle in controls(lab, "tlkit-layer"):  # in the colours of the legend
        path = toggle.description.split()[1]
        classes = set(toggle._dom_classes) & {"tlkit-frozen", "tlkit-learns"}
        assert classes == {"tlkit-frozen" if path in lab.frozen else "tlkit-learns"}
    for name, value in (("epochs", 9), ("views", 4), ("head_first", True), ("head_rate", 1e-2), ("per_class", 2)):
        control(lab, f"tlkit-{name.replace('_', '-')}").value = value
        assert getattr(lab, name) == value
    for name, value in (("epochs", 99), ("views", 9), ("base_rate", 0.5), ("per_class", 3)):
        setattr(lab, name, value)
        assert control(lab, f"tlkit-{name.replace('_', '-')}").value == pytest.approx(value)


def test_the_boundary_is_drawn_where_it_is(lab: FreezeLab) -> None:
    for stage in range(3):
        lab.freeze_to(stage)
        gaps = controls(lab, "tlkit-boundary")
        assert [i for i, gap in enumerate(gaps) if "boundary" in gap.value] == [stage]


def test_the_table_can_be_sorted_and_a_run_restored_by_hand(lab: FreezeLab) -> None:
    for epochs in (3, 1, 2):
        lab.epochs = epochs
        lab.train()

    runs = control(lab, "tlkit-runs")
    assert runs.shown() == [3, 2, 1]
    control(lab, "tlkit-sort-epochs").click()
    assert runs.shown() == [1, 3, 2]
    control(lab, "tlkit-sort-epochs").click()
    assert runs.shown() == [2, 3, 1]
    controls(lab, "tlkit-restore")[0].click()
    assert lab.epochs == 1
    assert "run 2" in lab.sentence


def test_the_table_shows_what_differs_between_runs(lab: FreezeLab) -> None:
    def shown() -> list[str]:
        head = control(lab, "tlkit-head").children
        return [button.description for button in head if button.layout.display != "none"]

    lab.epochs = 1
    lab.train()
    always = ["run", "frozen", "labels", "epochs", "target", "source", "seconds"]
    assert shown() == always
    more = [
        ("base_rate", 1e-5, "rate, base", "1e-5"),
        ("head_rate", 3e-3, "rate, head", "0.003"),
        ("train_batchnorm", True, "BatchNorm", "learns"),
        ("head_first", True, "order", "head first"),
        ("views", 2, "views", "2"),
        ("from_pretrained", False, "start", "went on"),
    ]
    expected: set[str] = set(always)
    for name, value, title, text in more:
        before = getattr(lab, name)
        setattr(lab, name, value)
        lab.train()
        setattr(lab, name, before)
        expected.add(title)
        assert set(shown()) == expected
        cells = re.findall("<span>([^<]*)</span>", control(lab, "tlkit-row-1").children[1].value)
        assert dict(zip(shown()[1:], cells, strict=True))[title] == text
    words = lab._repr_mimebundle_()["text/plain"]
    assert all(title in words for title in expected)
    control(lab, "tlkit-sort-base_rate").click()
    control(lab, "tlkit-sort-base_rate").click()
    assert control(lab, "tlkit-runs").shown()[0] == 2


def test_results_export(trained_lab: FreezeLab, tmp_path: Path) -> None:
    lab = trained_lab
    lab.to_csv(tmp_path / "runs.csv")
    read = pd.read_csv(tmp_path / "runs.csv")
    assert read["target"].tolist() == pytest.approx(lab.results["target"].tolist())
    encoded = re.search(r"base64,([\w+/=]+)", control(lab, "tlkit-csv").value).group(1)
    pd.testing.assert_frame_equal(pd.read_csv(io.BytesIO(base64.b64decode(encoded))), read)
    assert lab.history.columns.tolist() == ["run", "epoch", "target", "source"]


def test_many_runs_are_all_kept_and_a_few_shown(lab: FreezeLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tlkit.widgets.runs_table.SHOWN_RUNS", 3)
    lab.epochs = 1
    for _ in range(5):
        lab.train()
    assert len(lab.results) == 5
    assert control(lab, "tlkit-runs").shown() == [5, 4, 3]
    assert "3 of 5 runs" in control(lab, "tlkit-csv").value


def test_names_are_shown_as_text_everywhere() -> None:
    classes = (HOSTILE, "b", '"><script>alert(2)</script>')
    pair = signal_pair(classes)
    source = Domain(HOSTILE, pair.source.train, pair.source.test, classes)
    toy = toy_backbone()
    lab = lab_of(DomainPair(source, pair.target), Backbone(HOSTILE, toy.model, toy.stage_ends))
    lab.epochs = 1
    lab.train()
    control(lab, "tlkit-more-1").value = True
    text = html_of(lab)
    assert "<img" not in text
    assert "<script" not in text
    assert "&lt;img src=x" in text


def test_words_say_what_moved_and_what_was_lost(lab: FreezeLab) -> None:
    lab.freeze_to(2)
    lab.train()
    assert lab.sentence.startswith("Only the head moved.")
    assert f"Target {lab.runs[0].target:.3f}" in lab.sentence
    lab.freeze_to(1)
    lab.train()
    assert lab.sentence.startswith("Only stage 2 and the head moved.")
    lab.freeze_to(0)
    lab.base_rate, lab.epochs = 1.0, 10
    run = lab.train()
    assert lab.sentence.startswith("Everything but BatchNorm moved.")
    lost = lab.experiment.source_before - run.source
    assert lost > 0.05
    assert "forgetting." in lab.sentence


def test_what_moved_is_said_as_the_strip_counts_it(lab: FreezeLab) -> None:
    lab.base_rate = 1e-2
    lab.freeze_to(0)
    for batchnorm, single, words in (
        (False, (), "Everything but BatchNorm moved."),
        (True, (), "Everything moved."),
        (True, ("two_a_conv",), "Layers of every stage and the head moved."),
    ):
        lab.train_batchnorm = batchnorm
        lab.freeze_layers(*single)
        audit = lab.train().audit
        moved = int((audit["weights_moved"] | audit["statistics_moved"]).sum())
        assert lab.sentence.startswith(words)
        assert (moved == len(audit)) == (words == "Everything moved.")
        assert f"{moved} moved" in control(lab, "tlkit-moved").value


def test_a_stopped_run_says_the_epochs_done(pair: DomainPair) -> None:
    lab = lab_of(pair)
    lab.per_class, lab.epochs = 15, 40  # two batches an epoch

    def stop(kind: str, value: object) -> None:
        if kind == "progress" and value[0] >= 7:
            lab.stop()

    lab.callbacks.append(stop)
    run = lab.train()
    assert (run.batches, run.epochs) == (7, 3.5)
    assert lab.sentence.startswith("Stopped after 3.5 of 40 epochs. Only stage")
    shown = html_of(control(lab, "tlkit-runs"))
    assert "<span>3.5 of 40</span>" in shown
    assert "3.5 of 40" in lab._repr_mimebundle_()["text/plain"]
    lab.callbacks.clear()
    lab.epochs = 8
    assert lab.train().epochs == 8
    control(lab, "tlkit-sort-epochs").click()  # by the epochs done
    assert control(lab, "tlkit-runs").shown() == [2, 1]


def test_early_epochs_are_looked_at_one_by_one(lab: FreezeLab) -> None:
    lab.freeze_to(2)
    seen: list[float] = []
    lab.callbacks.append(lambda kind, value: seen.append(value[0]) if kind == "point" else None)
    for epochs, moments in (
        (3, [0, 1, 2, 3]),
        (15, [*range(11), 12, 14, 15]),
        (60, [*range(11), *range(12, 61, 6)]),
    ):
        seen.clear()
        lab.epochs = epochs
        assert lab.train().history["epoch"].tolist() == moments
        assert seen == moments[:-1]  # the last ones are the scores on the test examples


def test_a_run_that_only_guesses_is_not_shown_as_one_that_went_well(lab: FreezeLab) -> None:
    box = control(lab, "tlkit-sentence")
    lab.freeze_to(2)
    lab.epochs, lab.head_first = 1, True
    assert lab.train().target > 0.6
    assert "tlkit-not-well" not in box._dom_classes
    assert "guessing" not in lab.sentence
    lab.freeze_to(0)
    lab.head_first, lab.epochs, lab.base_rate, lab.head_rate = False, 10, 10.0, 10.0
    run = lab.train()
    assert run.target == pytest.approx(1 / 3, abs=0.05)  # three classes, equally many
    assert f"Target {run.target:.3f}, no better than guessing, " in lab.sentence
    assert "tlkit-not-well" in box._dom_classes
    lab.reset()
    assert "tlkit-not-well" not in box._dom_classes


def test_the_static_picture_and_words(still_lab: FreezeLab, trained_lab: FreezeLab) -> None:
    before, after = still_lab._repr_mimebundle_(), trained_lab._repr_mimebundle_()
    for bundle in (before, after):
        with Image.open(io.BytesIO(base64.b64decode(bundle["image/png"]))) as picture:
            assert picture.width > 800
    assert before["text/plain"].endswith("0 runs")
    assert f"{trained_lab.runs[0].target:.3f}" in after["text/plain"]
    assert "application/vnd.jupyter.widget-view+json" in after


def test_the_static_picture_names_earlier_runs_and_its_table_can_be_read(trained_lab: FreezeLab) -> None:
    figure = Figure(figsize=(10, 7))
    trained_lab._draw(figure)
    curves, runs, strip = figure.axes
    assert [text.get_text() for text in curves.texts].count("run 1") == 2  # one at the end of each grey line
    assert {"target, earlier runs", "source, earlier runs"} < {
        text.get_text() for text in curves.get_legend().get_texts()
    }
    (table,) = runs.tables
    assert {cell.get_text().get_fontsize() for cell in table.get_celld().values()} == {10}
    assert runs.get_position().width > 0.6 < strip.get_position().width  # each has the whole width


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("epochs", 0, ("epochs", "1..")),
        ("per_class", 21, ("per_class", "1..20", "21")),
        ("views", 0, ("views",)),
        ("head_rate", 0.0, ("head_rate",)),
        ("frozen", frozenset({"nothing"}), ("frozen", "lab.layers", "'nothing'")),
    ],
)
def test_settings_out_of_range_are_refused(
    still_lab: FreezeLab, name: str, value: object, words: tuple[str, ...]
) -> None:
    before = getattr(still_lab, name)
    with raises_one_line(traitlets.TraitError, *words):
        setattr(still_lab, name, value)
    assert getattr(still_lab, name) == before


def test_other_bad_input(still_lab: FreezeLab) -> None:
    lab = still_lab
    with raises_one_line(ValueError, "stage must be in 0..2", "got 3"):
        lab.freeze_to(3)
    with raises_one_line(ValueError, "one_conv", "'stem'"):
        lab.freeze_layers("stem")
    with raises_one_line(ValueError, "run must be in 1..0", "got 1"):
        lab.restore(1)
    with raises_one_line(ValueError, "shape"):
        FreezeLab(tlkit.load_pair(), toy_backbone())
    gc.collect()  # and what was half made goes without a word
    lab.stop()  # nothing to stop
    assert lab.status == "idle"


# The pictures --------------------------------------------------------------------------------------------------------


def test_a_curve_lies_where_its_scores_are() -> None:
    points = [(0, 0.1, 1.0), (5, 0.5, 0.9), (10, 0.9, 0.8)]
    svg = draw_curves(Curve(points), [], Baselines(0.7, 0.8, 0.4), epochs=10, source_before=1.0)
    lines = [
        np.array([[float(n) for n in point.split(",")] for point in text.split()])
        for text in re.findall(r'<polyline points="([^"]+)"[^>]*stroke-width="2.5"', svg)
    ]
    source, target = lines
    assert np.all(np.diff(target[:, 0]) > 0)
    assert np.all(np.diff(target[:, 1]) < 0)  # a better score stands higher
    assert np.all(np.diff(source[:, 1]) > 0)
    for words in ("from scratch 0.40", "raw pixels 0.70", "zero-shot 0.80", "forgetting", "worse than from scratch"):
        assert words in svg
    assert "target from 0.10 to 0.90, source from 1.00 to 0.80" in svg


def test_labels_do_not_cover_each_other() -> None:
    svg = draw_curves(Curve([(0, 0.9, 0.9)]), [], Baselines(0.9, 0.9, 0.9), epochs=10, source_before=0.9)
    heights = sorted(float(y) for y in re.findall(r' y="([\d.]+)"[^>]* font-size="12.5"', svg))
    assert len(heights) == 5
    assert np.all(np.diff(heights) >= 14.9)


def test_the_strip_marks_what_was_not_meant(trained_lab: FreezeLab) -> None:
    lab = trained_lab
    good = draw_strip(lab.audit)
    assert "×" not in good
    assert "0 not as meant" in good
    wrong = lab.audit.copy()
    wrong.loc[0, "verdict"] = "moved, though meant to be frozen"
    assert draw_strip(wrong).count("×") == 1
    assert "After a run" in draw_strip(None)


def test_a_second_lab_takes_the_memory_of_the_first(pair: DomainPair) -> None:
    """A cell that is run again leaves its lab behind, since ipywidgets keeps every widget."""
    first = lab_of(pair)
    first.epochs = 1
    run = first.train()
    assert first.experiment.kept_bytes
    second = lab_of(pair)
    assert not first.experiment.kept_bytes
    second.train()
    again = first.train()  # and it still works
    assert (again.target, again.source) == (run.target, run.source)
    assert not second.experiment.kept_bytes
    second.close()
    assert len(second.results) == 1


def test_nothing_is_left_when_a_lab_is_dropped(pair: DomainPair) -> None:
    before = set(threading.enumerate())  # not their number: a thread of an earlier test may end meanwhile
    lab = FreezeLab(pair, toy_backbone())
    lab.freeze_to(2)
    lab.epochs = 1
    lab.train()
    lab.close()
    del lab
    gc.collect()
    assert set(threading.enumerate()) <= before
