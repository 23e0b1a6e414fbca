"""The experiment without a screen: what learns, draws, what is kept, and the same in plain Keras."""

import re
import threading
from pathlib import Path

import numpy as np
import pytest
from helpers import (
    KERAS_SAVES_WITH_A_WARNING,
    TOY_STAGE_ENDS,
    raises_one_line,
    random_split,
    run_python,
    same_weights,
    toy_backbone,
    weights_of,
)
from marks import in_bank

import tlkit
from tlkit._keras import keras
from tlkit.backbones import Backbone
from tlkit.domains import Domain, DomainPair
from tlkit.experiment import Experiment, Settings

pytestmark = pytest.mark.filterwarnings(KERAS_SAVES_WITH_A_WARNING)


@pytest.fixture(scope="module")
def pair() -> DomainPair:
    parts = [random_split(60, classes=3, seed=i, signal=True) for i in range(4)]
    return DomainPair(Domain("source", *parts[:2], ("a", "b", "c")), Domain("target", *parts[2:], ("a", "b", "c")))


def moved(backbone: Backbone, before: dict[str, np.ndarray]) -> set[str]:
    after = weights_of(backbone.model)
    return {path.split("/")[0] for path in before if not np.array_equal(before[path], after[path])}


# What learns ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", [0, 1, 2])
def test_beside_added_layers_nothing_else_learns(pair: DomainPair, stage: int) -> None:
    backbone = tlkit.add_lora(toy_backbone(), rank=2)
    experiment = Experiment(pair, backbone)
    assert set(experiment.layers) == set(backbone.added)
    before = weights_of(backbone.model)
    run = experiment.run(Settings(stage, per_class=5, epochs=2, base_rate=0.1, train_batchnorm=True))
    assert run.boundary == stage
    assert moved(backbone, before) == {name for name, of in experiment.layers.items() if of > stage}
    assert run.audit["verdict"].str.endswith("as meant").all()


@pytest.mark.parametrize("train_batchnorm", [False, True])
@pytest.mark.parametrize("stage", [0, 1, 2])
def test_a_stage_is_the_names_of_its_layers(stage: int, train_batchnorm: bool) -> None:
    by_stage, by_name = toy_backbone(), toy_backbone()
    tlkit.freeze_to(by_stage, stage, train_batchnorm=train_batchnorm)
    names = [name for name, of in tlkit.trainable_layers(by_name).items() if of <= stage]
    tlkit.freeze_layers(by_name, names, train_batchnorm=train_batchnorm)
    flags = [[layer.trainable for layer in each.model.layers if layer.weights] for each in (by_stage, by_name)]
    assert flags[0] == flags[1]


def test_names_that_are_none(pair: DomainPair) -> None:
    with raises_one_line(ValueError, "of the 3 that can learn", "got 'one_bn'"):
        tlkit.freeze_layers(toy_backbone(), ["one_bn"])
    experiment = Experiment(pair, toy_backbone())
    with raises_one_line(ValueError, "of the 3 that can learn", "got 'nine'"):
        experiment.run(Settings(frozenset({"nine"})))
    with raises_one_line(ValueError, "stage must be in 0..2", "got 3"):
        experiment.run(Settings(3))
    assert experiment.runs == []


def depthwise() -> Backbone:
    image = keras.Input((8, 8, 1), name="image")
    x = keras.layers.Rescaling(1 / 255)(image)
    x = keras.layers.DepthwiseConv2D(3, depth_multiplier=4, name="one_out")(x)
    x = keras.layers.SeparableConv2D(4, 3, activation="relu", name="two_out")(x)
    return Backbone("depthwise", keras.Model(image, x), TOY_STAGE_ENDS)


def test_from_scratch_depends_on_the_seed_alone(pair: DomainPair, monkeypatch: pytest.MonkeyPatch) -> None:
    """A depthwise kernel keeps its initializer under another name, and was left to Keras' global seed."""
    clone, clones = keras.models.clone_model, []
    monkeypatch.setattr(keras.models, "clone_model", lambda model: clones.append(clone(model)) or clones[-1])
    monkeypatch.setattr("tlkit.experiment.experiment.SCRATCH_RATE", 1e-30)  # the start weights stay
    after_one_step = threading.Event()
    after_one_step.set()
    for seed, global_seed in ((3, 0), (3, 1), (4, 1)):
        keras.utils.set_random_seed(global_seed)
        assert Experiment(pair, depthwise(), seed=seed).measure_scratch(5, interrupt=after_one_step) is None
    assert same_weights(clones[0], clones[1])
    kernels = [[weight for weight in each.get_weights() if weight.ndim == 4] for each in clones[1:]]
    assert len(kernels[0]) == 3
    assert not any(np.array_equal(one, other) for one, other in zip(*kernels, strict=True))


# Draws, and what is kept ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frozen", "views"), in_bank([(0, 1), (1, 1), (2, 1), (1, 3), (0, 2)], but=[(0, 1), (2, 1), (1, 3)], names=2)
)
def test_a_draw_is_that_of_an_experiment_of_its_own(pair: DomainPair, frozen: int, views: int) -> None:
    many = Experiment(pair, toy_backbone())
    options = {"per_class": 5, "epochs": 3, "views": views}
    runs, weights = [], []
    for seed in (5, 6, 5):
        runs.append(many.run(Settings(frozen, **options, seed=seed)))
        weights.append(many.model.get_weights())
    alone = Experiment(pair, toy_backbone(), seed=5)
    run = alone.run(Settings(frozen, **options))
    assert same_weights(weights[0], alone.model)
    assert same_weights(weights[2], alone.model)
    assert not same_weights(weights[1], alone.model)
    assert run.history.equals(runs[0].history)
    assert many.results["run"].tolist() == [1, 2, 3]


def test_a_second_run_builds_no_graph(pair: DomainPair, monkeypatch: pytest.MonkeyPatch) -> None:
    from tlkit._keras import tf

    experiment = Experiment(pair, toy_backbone())
    settings = [Settings(stage, per_class=5, epochs=1) for stage in (2, 1)]
    for each in settings:
        experiment.run(each)
    assert experiment.kept_steps == 2
    monkeypatch.setattr(tf, "function", lambda *_, **__: pytest.fail("a graph was built"))
    for each in settings:
        experiment.run(Settings(each.frozen, per_class=5, epochs=2, head_rate=1e-2, head_first=each.frozen == 2))
    assert experiment.kept_steps == 2
    assert experiment.kept_bytes > 0
    experiment.forget()
    assert (experiment.kept_steps, experiment.kept_bytes) == (0, 0)


def test_a_layer_that_is_changed_by_hand_counts(pair: DomainPair) -> None:
    """Graphs and features of the network as it was would train, and score, another one."""
    settings = [Settings(frozenset({"two_a_conv"}), per_class=5), Settings(1, per_class=5, epochs=1)]
    used, fresh = toy_backbone(), toy_backbone()
    experiment, other = Experiment(pair, used), Experiment(pair, fresh)
    experiment.run(Settings(0, per_class=5, epochs=1))
    experiment.run(settings[1])
    for backbone in (used, fresh):
        backbone.model.get_layer("one_bn").epsilon = 50.0
    for each in settings:
        run, right = experiment.run(each), other.run(each)
        assert same_weights(used.model, fresh.model)
        assert run.history.equals(right.history)
        shown = np.argmax(experiment.model(experiment.tests[0].x, training=False), axis=-1)
        assert run.target == np.mean(shown == experiment.tests[0].y)


def test_callbacks_are_told_what_goes_on(pair: DomainPair) -> None:
    told: list[str] = []
    experiment = Experiment(pair, toy_backbone())
    experiment.run(Settings(1, per_class=5, epochs=2), callbacks=[lambda kind, _: told.append(kind)] * 2)
    assert {kind: told.count(kind) // 2 for kind in set(told)} == {"phase": 3, "progress": 2, "point": 2}


# A target alone: old answers in place of the source's data ----------------------------------------------------------


@pytest.fixture(scope="module")
def digits() -> Domain:
    """A part of mnist; resnet_printed has a head of its own with 62 classes."""
    mnist = tlkit.load_domain("mnist")
    return Domain("digits", mnist.train.take(30, seed=0), mnist.test.take(10, seed=0), mnist.classes)


def old_answers(backbone: Backbone, model: keras.Model, domain: Domain) -> np.ndarray:
    """By hand: what the backbone's own head makes of a model's features, among all classes of the source."""
    head = tlkit.load_source_head(backbone)
    return np.asarray(head(model(domain.test.x, training=False))).argmax(axis=-1)


@pytest.fixture(scope="module")
def all_frozen(digits: Domain) -> Experiment:
    """After one run of the head alone; for tests that only look."""
    experiment = Experiment(digits, tlkit.load_backbone("resnet_printed"))
    experiment.run(Settings(5, per_class=5, epochs=2))
    return experiment


def test_old_answers_stay_while_the_network_does(all_frozen: Experiment) -> None:
    experiment, (run,) = all_frozen, all_frozen.runs
    assert (run.source, experiment.source_before) == (1.0, 1.0)
    assert (run.history["source"] == 1).all()
    assert np.isnan(experiment.zero_shot)
    assert experiment.source is None
    assert experiment.source_head.output_shape[-1] == len(tlkit.source_classes(experiment.backbone)) == 62


@pytest.mark.parametrize("stage", in_bank([0, 4], but=[4]))
def test_the_share_of_old_answers_is_that_counted_by_hand(digits: Domain, stage: int) -> None:
    experiment = Experiment(digits, tlkit.load_backbone("resnet_printed"))
    pretrained = tlkit.load_backbone("resnet_printed")
    before = old_answers(pretrained, pretrained.model, digits)
    assert experiment.tests[1].y.tolist() == before.tolist()
    run = experiment.run(Settings(stage, per_class=5, epochs=3, base_rate=3e-3))
    share = np.mean(old_answers(pretrained, experiment.backbone.model, digits) == before)
    assert run.source == pytest.approx(share, abs=1.5 / len(before))  # another graph rounds otherwise
    assert run.source < 1
    assert run.target == tlkit.accuracy(experiment.model, digits.test)
    experiment.run(Settings(stage, per_class=5, epochs=1, from_pretrained=False))
    assert experiment.tests[1].y.tolist() == before.tolist()  # the answers that count are those before any training


def test_random_weights_keep_old_answers_by_chance_alone(digits: Domain) -> None:
    experiment = Experiment(digits, tlkit.load_backbone("resnet_printed"))
    experiment.backbone.model.set_weights(tlkit.load_backbone("resnet_printed", weights=None).model.get_weights())
    run = experiment.run(Settings(5, per_class=5, epochs=1, from_pretrained=False))
    # A network that says one class to nearly everything agrees as often as the old answers say that class.
    assert run.source <= np.bincount(experiment.tests[1].y).max() / len(digits.test) + 0.1


def test_old_answers_are_asked_for_on_examples_that_nothing_learns_from(digits: Domain, all_frozen: Experiment) -> None:
    learnt = {image.tobytes() for image in digits.train.x}
    for watched in (all_frozen.tests[1], all_frozen.held_out(5)[1]):
        assert learnt.isdisjoint(image.tobytes() for image in watched.x)


def test_the_same_examples_are_computed_once(digits: Domain, monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels, what is watched, and the tests of both sides: a picture goes through the frozen part one time."""
    experiment = Experiment(digits, tlkit.load_backbone("resnet_printed"))
    run_trunk, computed = experiment._run_trunk, []

    def counting(stage: int, split: tlkit.Split, *more: int) -> tlkit.Split:
        computed.extend(image.tobytes() for image in split.x)
        return run_trunk(stage, split, *more)

    monkeypatch.setattr(experiment, "_run_trunk", counting)
    for per_class in (30, 30, 10):  # with all labels taken the test examples are watched
        experiment.run(Settings(4, per_class=per_class, epochs=1))
    assert sum(image in {each.tobytes() for each in digits.test.x} for image in computed) == len(digits.test)


def test_a_target_alone_needs_a_backbone_with_a_head_of_its_own(digits: Domain, pair: DomainPair, no_training) -> None:
    with raises_one_line(ValueError, "a target can be given alone", "'resnet_printed'", "got 'toy'"):
        Experiment(pair.target, toy_backbone())
    with raises_one_line(ValueError, "a target can be given alone", "got 'resnet_printed_random'"):
        Experiment(digits, tlkit.load_backbone("resnet_printed", weights=None))


@pytest.mark.slow
@pytest.mark.bank  # the program of a pair runs in `make test`
def test_the_program_of_a_target_alone_counts_old_answers(digits: Domain, tmp_path: Path) -> None:
    experiment = Experiment(digits, tlkit.load_backbone("resnet_printed"))
    run = experiment.run(Settings(4, per_class=10, epochs=3, base_rate=3e-3))
    program = experiment.save_keras(run, tmp_path)
    assert "the pretrained network's answers" in program.read_text(encoding="utf-8")
    done = run_python("-W", "ignore", program.name, cwd=program.parent)
    assert done.returncode == 0, done.stderr
    scores = dict(line.split() for line in done.stdout.splitlines())
    assert float(scores["source"]) == pytest.approx(run.source, abs=2.5 / len(digits.test))
    assert float(scores["target"]) == pytest.approx(run.target, abs=2.5 / len(digits.test))


# The same in plain Keras ---------------------------------------------------------------------------------------------

SETTINGS = {
    "everything learns": Settings(0, head_rate=1e-2, base_rate=1e-2),
    "one stage frozen": Settings(1, head_rate=1e-2, base_rate=1e-3),
    "all frozen": Settings(2, head_rate=1e-2),
    "head first": Settings(1, head_first=True, head_rate=1e-3, base_rate=1e-3),
    "layer by layer": Settings(frozenset({"one_conv", "two_b_conv"}), head_rate=1e-2, base_rate=1e-2),
    "BatchNorm learns": Settings(1, head_rate=1e-2, base_rate=1e-2, train_batchnorm=True, seed=4),
    "views": Settings(1, head_rate=1e-2, base_rate=1e-3, views=2),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", in_bank(SETTINGS, but=["head first"]))
def test_the_program_in_plain_keras_scores_what_the_run_scored(name: str, pair: DomainPair, tmp_path: Path) -> None:
    experiment = Experiment(pair, toy_backbone())
    chosen = SETTINGS[name]
    run = experiment.run(Settings(**{**vars(chosen), "per_class": 15, "epochs": 4}))
    program = experiment.save_keras(run, tmp_path / "mine")
    assert program.read_text(encoding="utf-8") == experiment.to_keras(run)
    assert "tlkit" not in program.read_text(encoding="utf-8")
    done = run_python("-W", "ignore", program.name, cwd=program.parent)
    assert done.returncode == 0, done.stderr
    scores = dict(line.split() for line in done.stdout.splitlines())
    one = 1.5 / 60  # another graph rounds otherwise: at most one of the 60 test images may change sides
    assert float(scores["target"]) == pytest.approx(run.target, abs=one)
    assert float(scores["source"]) == pytest.approx(run.source, abs=one)


def test_the_program_is_short_and_freezes_as_the_run_did(pair: DomainPair) -> None:
    experiment = Experiment(pair, toy_backbone())
    for frozen, words in ((2, "base.trainable = False"), (1, '.index("one_out")'), (0, "last_frozen = 0  # the input")):
        program = experiment.to_keras(experiment.run(Settings(frozen, per_class=5, epochs=1)))
        assert words in program
        assert len(program.splitlines()) < 50
        assert re.search(r"^import keras$", program, re.MULTILINE)
        compile(program, "run.py", "exec")


def test_what_plain_keras_cannot_say_is_refused(pair: DomainPair) -> None:
    added = Experiment(pair, tlkit.add_lora(toy_backbone(), rank=2))
    with raises_one_line(ValueError, "without added layers", "got run 1"):
        added.to_keras(added.run(Settings(1, per_class=5, epochs=1)))
    experiment = Experiment(pair, toy_backbone())
    with raises_one_line(ValueError, "began from the pretrained weights", "got run 1"):
        experiment.to_keras(experiment.run(Settings(1, per_class=5, epochs=1, from_pretrained=False)))


# One at a time, and copies -------------------------------------------------------------------------------------------


def test_two_experiments_on_one_backbone_do_not_train_at_once(pair: DomainPair, toy: Backbone) -> None:
    first, second = Experiment(pair, toy), Experiment(pair, toy)
    settings = Settings(frozen=1, per_class=3, epochs=1)
    refused = []

    def try_the_other(kind: str, value: object) -> None:
        if kind != "point" or refused:
            return
        before = weights_of(toy.model)
        for meanwhile in (lambda: second.run(settings), second.reset):
            with raises_one_line(RuntimeError, "one training at a time", "'toy'"):
                meanwhile()
            refused.append(moved(toy, before))

    first.run(settings, callbacks=[try_the_other])
    assert refused == [set(), set()]
    assert second.runs == []
    assert second.run(settings).number == 1  # once the first one has ended


class Twice(keras.layers.Layer):
    """A layer of somebody's own, made of what Keras cannot write down, without get_config."""

    def __init__(self, function) -> None:
        super().__init__(name="twice")
        self.function = function

    def call(self, x):
        return self.function(x)


def test_a_layer_that_cannot_be_made_anew_is_named_in_one_line(pair: DomainPair) -> None:
    image = keras.Input((8, 8, 1))
    model = keras.Model(image, keras.layers.Conv2D(2, 3, name="end")(Twice(lambda x: 2 * x)(image)), name="own")
    backbone = Backbone("own", model, ("end",))
    experiment = Experiment(pair, backbone)
    for copy in (
        experiment.pretrained_model,
        lambda: experiment.measure_scratch(3),
        lambda: tlkit.add_lora(backbone, rank=2),
    ):
        with raises_one_line(ValueError, "must be of layers that Keras can make anew", "'own'", "Twice", "get_config"):
            copy()
    assert experiment.run(Settings(frozen=0, per_class=3, epochs=1)).number == 1  # which copies nothing
