"""The trap checks: each trap is found, each near miss is not, and nothing is changed by looking."""

import html
import io
import re
import warnings
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers import KERAS_SAVES_WITH_A_WARNING, raises_one_line, toy_backbone
from marks import in_bank
from rich.console import Console
from traps import (
    CLASSES,
    LOGITS,
    NEAR_MISSES,
    TRAPS,
    Given,
    Program,
    Wrapped,
    compiled,
    ending_in,
    fitted,
    images,
    programs,
    small_base,
    softmax_and_from_logits,
    sound_model,
    state_of,
    tidy,
    toy_classifier,
    with_head,
)

from tlkit._keras import keras, tf
from tlkit.audit import RULES, Finding, Findings, diagnose
from tlkit.backbones import load_backbone
from tlkit.domains import Split, load_pair
from tlkit.heads import join, load_source_head

SEVERITY = {rule.name: rule.severity for rule in RULES}
OF_A_STEP = ("weights-move-while-frozen", "batchnorm-moves-while-frozen")


def grave(findings: Findings) -> set[str]:
    """The rules of the findings that are errors or warnings."""
    return {finding.rule for finding in findings if finding.severity != "note"}


def diagnosed(given: Given) -> Findings:
    """The findings, after a look at what must hold for every diagnosis."""
    before = state_of(given.model)
    findings = given.diagnose()
    assert state_of(given.model) == before
    assert not [reason for reason in findings.unchecked.values() if reason.endswith("in this rule")]
    assert findings.checked + len(findings.unchecked) == len(RULES)
    if given.step and given.model.compiled and "train" in given.options:
        assert not set(OF_A_STEP) & set(findings.unchecked), findings.unchecked
    return findings


# The rules ----------------------------------------------------------------------------------------------------------


def test_every_rule_has_a_trap_and_a_near_miss() -> None:
    names = [rule.name for rule in RULES]
    assert len(set(names)) == len(names)
    assert len(names) >= 18
    assert set(TRAPS) == set(NEAR_MISSES) == set(names)


# No text says ``1 layers``, in any trap whose evidence counts.
ONE_AS_MANY = re.compile(r"(?<![\d.,])1 (?:of them )?(?:\w+ )?(?:layers|steps|variables|outputs|groups|attributes)\b")


@pytest.mark.parametrize(("rule", "program"), programs(TRAPS))
def test_trap_is_found(rule: str, program: Program) -> None:
    given = program()
    findings = diagnosed(given)
    found = {finding.rule: finding for finding in findings}
    assert rule in found, (found, findings.unchecked.get(rule))
    assert found[rule].severity == SEVERITY[rule]
    assert any(character.isdigit() for character in found[rule].evidence)
    assert not [finding.evidence for finding in findings if ONE_AS_MANY.search(finding.evidence)]
    assert grave(findings) <= {rule} | given.also


@pytest.mark.parametrize(("rule", "program"), programs(NEAR_MISSES))
def test_near_miss_is_not_found(rule: str, program: Program) -> None:
    given = program()
    findings = diagnosed(given)
    assert rule not in {finding.rule for finding in findings}, findings
    assert given.unchecked or rule not in findings.unchecked, findings.unchecked[rule]
    assert grave(findings) <= given.also


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_says_how_to_mend_and_where_to_read(rule: Any) -> None:
    assert rule.severity in ("error", "warning", "note")
    for fix in (rule.fix, rule.fix_for(None)):
        assert len(fix.splitlines()) == 1
        assert fix.endswith(".")
    assert re.fullmatch(r"\d\d_[a-z_]+", rule.notebook)


# What the loss reads ------------------------------------------------------------------------------------------------


def softmax_and(*after: keras.layers.Layer) -> keras.Model:
    image = keras.Input((8, 8, 1))
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(image))
    start = keras.initializers.GlorotUniform(seed=3)
    x = keras.layers.Dense(CLASSES, activation="softmax", kernel_initializer=start)(x)
    for layer in after:
        x = layer(x)
    return keras.Model(image, x)


class PlainSoftmax(keras.layers.Layer):
    """TensorFlow's own softmax, on which Keras hangs nothing."""

    def call(self, x: Any) -> Any:
        return tf.nn.softmax(x)


def plain_softmax() -> keras.Model:
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Rescaling(1 / 255), keras.layers.Flatten()])
    model.add(keras.layers.Dense(CLASSES, kernel_initializer=keras.initializers.GlorotUniform(seed=3)))
    model.add(PlainSoftmax())
    return Wrapped(model)


CATEGORICAL = keras.losses.CategoricalCrossentropy
OUTPUTS = {
    "softmax last": (softmax_and, keras.losses.SparseCategoricalCrossentropy),
    "one-hot labels": (softmax_and, CATEGORICAL),
    "focal": (softmax_and, keras.losses.CategoricalFocalCrossentropy),
    "identity": (lambda: softmax_and(keras.layers.Identity()), CATEGORICAL),
    "reshape": (lambda: softmax_and(keras.layers.Reshape((CLASSES,))), CATEGORICAL),
    "dropout": (lambda: softmax_and(keras.layers.Dropout(0.5, seed=1)), CATEGORICAL),
    "subclassed": (lambda: Wrapped(softmax_and()), CATEGORICAL),
    "not of Keras": (plain_softmax, CATEGORICAL),
}


@pytest.mark.parametrize("output", OUTPUTS)
def test_where_keras_finds_the_logits_again(output: str) -> None:
    """The text says what the losses themselves show: in a graph, as in fit, and in a loop."""
    build, loss_of = OUTPUTS[output]
    x, y = images()
    labels = y if loss_of is keras.losses.SparseCategoricalCrossentropy else np.eye(CLASSES, dtype=np.float32)[y]
    model, loss = compiled(build(), loss_of(from_logits=True)), loss_of(from_logits=True)

    def as_given(batch: Any) -> tuple[Any, Any]:
        outputs = model(batch, training=True)
        return loss(labels, outputs), loss_of()(labels, tf.identity(outputs))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit, loop = (np.diff([float(value) for value in run(x)])[0] for run in (tf.function(as_given), as_given))
        plain = model.predict(x, verbose=0)
        assert abs(float(loss(labels, plain)) - float(loss_of()(labels, plain))) > 1e-2  # arrays: applied twice
    found = {finding.rule: finding for finding in diagnosed(Given(model, {"train": (x, labels)}))}
    evidence = found["probabilities-read-as-logits"].evidence
    assert ("in fit" in evidence) == (abs(fit) < 1e-5)
    assert ("in a loop" in evidence) == (abs(loop) < 1e-5)
    assert "applied twice" in evidence


# Texts --------------------------------------------------------------------------------------------------------------


def of_a_plain_model() -> list[Given]:
    """The traps whose fix is tlkit's ``freeze_to``, on a backbone that is a Keras model."""
    names = (
        "never_frozen", "batchnorm_without_weights_forgotten", "unfrozen_with_its_batchnorm",
        "frozen_in_a_loop_and_unfrozen_as_a_model",
    )  # fmt: skip
    return [program() for group in TRAPS.values() for program in group if program.__name__ in names]


def test_a_fix_for_a_plain_model_names_keras_only() -> None:
    assert any("freeze_to" in rule.fix for rule in RULES)
    assert not any("freeze_to" in rule.fix_for(small_base()) for rule in RULES)
    assert all(rule.fix_for(toy_backbone()) == rule.fix for rule in RULES)
    plain = of_a_plain_model()
    assert len(plain) == 4
    for given in plain:
        for finding in given.diagnose():
            assert "freeze_to" not in finding.fix
            assert "layer.trainable = " in finding.fix
            assert "compile again" in finding.fix
    toy, model = toy_classifier(1)
    findings = diagnose(model, images(), backbone=toy, intended_stage=2)
    assert all("freeze_to" in finding.fix for finding in findings)


def test_a_plain_fix_does_mend() -> None:
    for given in of_a_plain_model():
        base, learns = given.options["backbone"], given.options["intended_stage"] == 0
        for layer in base.layers:
            layer.trainable = learns and not isinstance(layer, keras.layers.BatchNormalization)
        assert grave(diagnosed(Given(compiled(given.model), given.options))) == set()


@pytest.mark.slow
def test_one_is_told_as_one() -> None:
    base = small_base(batchnorm=False)
    model = with_head(base)
    one_layer = Given(compiled(model), {"train": images(), "backbone": base, "intended_stage": 1})
    assert "one step moved 1 layer meant" in diagnosed(one_layer)[0].evidence


# A saved model ------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings(KERAS_SAVES_WITH_A_WARNING)
def test_a_loaded_model_that_is_frozen_further_is_no_trap(tmp_path: Path) -> None:
    # Its optimizer was built by the loading, but no function is traced: the next fit minds the flags.
    fitted(compiled(with_head(small_base()))).save(tmp_path / "model.keras")
    model = keras.models.load_model(tmp_path / "model.keras")
    model.get_layer("base").trainable = False
    kernel = model.get_layer("base").get_layer("conv").kernel
    findings = diagnosed(Given(model, {"train": images()}))
    before = kernel.numpy()
    fitted(model)
    assert np.array_equal(before, kernel.numpy())  # the oracle: Keras does mind
    assert grave(findings) == set()


@pytest.mark.parametrize("weights", in_bank(["pretrained", None], but=["pretrained"]))
def test_batchnorm_that_was_trained_long_ago_is_no_trap(weights: str | None) -> None:
    """A whole network is loaded and trained on for a step: what counts is whether its statistics fit, not the step."""
    pair = load_pair()
    backbone = load_backbone("resnet_printed", weights=weights)
    of_head = backbone if weights else load_backbone("resnet_printed")  # of the same shape for both
    head = load_source_head(of_head, pair.source.classes)
    model = compiled(join(backbone.model, head), optimizer=keras.optimizers.SGD(1e-6))
    model.optimizer.build(model.trainable_variables)  # or its step would be traced twice
    train = pair.source.train.take(3, seed=0)
    model.fit(train.x, train.y, batch_size=30, verbose=0)
    found = {finding.rule for finding in diagnose(model, train)}
    assert ("batchnorm-momentum-too-slow" in found) == (weights is None)


# What cannot be checked ---------------------------------------------------------------------------------------------


def test_nothing_given() -> None:
    findings = diagnosed(Given(compiled(with_head(small_base()))))
    assert grave(findings) == set()
    for rule in OF_A_STEP:
        assert findings.unchecked[rule] == "no train data given"
    for rule in ("same-image-in-two-splits", "learning-rate-too-high", "cache-stale", "class-imbalance"):
        assert findings.unchecked[rule].startswith(("no ", "fewer than two splits"))


def test_a_model_that_is_not_compiled() -> None:
    findings = diagnosed(Given(with_head(small_base()), {"train": images()}))
    assert grave(findings) == set()
    for rule in (*OF_A_STEP, "trainable-changed-after-compile", "probabilities-read-as-logits", "label-shape"):
        assert findings.unchecked[rule] == "model not compiled"


def test_a_subclassed_model_gets_a_partial_report() -> None:
    findings = diagnosed(Given(compiled(Wrapped(with_head(small_base()))), {"train": images()}))
    assert grave(findings) == set()
    for rule in ("training-false-relied-on", "softmax-twice", "rescaled-twice", "already-scaled", "input-statistics"):
        assert "subclassed" in findings.unchecked[rule]
    for rule in ("logits-read-as-probabilities", "label-shape", "class-count", "trainable-changed-after-compile"):
        assert rule not in findings.unchecked


def test_a_failing_step_says_why() -> None:
    x, y = images()
    findings = given = diagnosed(Given(compiled(with_head(small_base())), {"train": (x[:, :5], y)}, step=False))
    assert "a training step must be possible, got " in findings.unchecked["weights-move-while-frozen"]
    assert all(len(reason.splitlines()) == 1 for reason in given.unchecked.values())


def test_two_inputs_and_one_output() -> None:
    first, second = keras.Input((8, 8, 1)), keras.Input((4,))
    x = keras.layers.Concatenate()([keras.layers.Flatten()(first), second])
    model = compiled(keras.Model([first, second], keras.layers.Dense(CLASSES)(x)))
    x, y = images()
    data = tf.data.Dataset.from_tensor_slices(((x, np.zeros((24, 4), np.float32)), y)).batch(8)
    findings = diagnosed(Given(model, {"train": data}))
    assert grave(findings) == set()


def test_text_is_not_taken_for_pixels() -> None:
    tokens = keras.Input((7,), dtype="int32")
    x = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(50, 4)(tokens))
    model = compiled(keras.Model(tokens, keras.layers.Dense(CLASSES)(x)))
    rng = np.random.default_rng(0)
    options = {"train": (rng.integers(0, 50, (24, 7)), np.arange(24) % CLASSES)}
    options["test"] = (rng.integers(0, 50, (12, 7)), np.arange(12) % CLASSES)
    assert grave(diagnosed(Given(model, options))) == set()


def test_labels_of_every_pixel() -> None:
    image = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(CLASSES, 1, activation="softmax")(keras.layers.Rescaling(1 / 255)(image))
    model = compiled(keras.Model(image, x), "sparse_categorical_crossentropy")
    x, _ = images()
    y = np.random.default_rng(0).integers(0, CLASSES, (24, 8, 8))
    assert grave(diagnosed(Given(model, {"train": (x, y), "test": (images(seed=1)[0], y)}))) == set()


def test_an_endless_data_set_is_read_in_part() -> None:
    data = tf.data.Dataset.from_tensor_slices(images()).repeat().batch(500)
    findings = diagnosed(Given(compiled(with_head(small_base())), {"train": data}))
    assert grave(findings) == set()
    assert "too large to be read twice" in findings.unchecked["reshuffled-before-split"]


def test_no_warning_reaches_the_reader() -> None:
    frozen = with_head(small_base())
    frozen.trainable = False
    for given in (softmax_and_from_logits(), Given(compiled(frozen), {"train": images()})):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            diagnosed(given)
        assert [str(warning.message) for warning in caught] == []


# Bad input ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "fragments"),
    [
        ("model.keras", ["must be a Keras model", "str"]),
        (None, ["must be a Keras model", "NoneType"]),
        (toy_backbone(), ["must be a Keras model", "Backbone"]),
        (keras.Sequential([keras.layers.Dense(2)]), ["must be built"]),
    ],
)
def test_what_is_no_built_model_is_refused(model: Any, fragments: list[str]) -> None:
    with raises_one_line(ValueError, *fragments):
        diagnose(model)


def test_several_outputs_are_refused() -> None:
    image = keras.Input((8, 8, 1))
    x = keras.layers.Flatten()(image)
    model = keras.Model(image, [keras.layers.Dense(2, name="one")(x), keras.layers.Dense(2, name="two")(x)])
    with raises_one_line(ValueError, "one output", "2"):
        diagnose(model)


@pytest.mark.parametrize(
    ("options", "fragments"),
    [
        ({"intended_stage": 1}, ["needs the backbone"]),
        ({"backbone": toy_backbone(), "intended_stage": 9}, ["0..2", "9"]),
        ({"backbone": small_base(), "intended_stage": -1}, ["-1"]),
        ({"history": [0.3, 0.2]}, ["history", "tlkit.fit"]),
        ({"history": {"accuracy": [0.3]}}, ["history", "loss"]),
        ({"history": {"loss": 0.3}}, ["history", "loss"]),
        ({"history": {"loss": []}}, ["history", "loss"]),
        ({"history": {"loss": [0.3, 0.2], "accuracy": [0.1]}}, ["history", "accuracy"]),
        ({"history": "history.csv"}, ["history"]),
        ({"history": pd.DataFrame({"epoch": [1]})}, ["history", "epoch"]),
        ({"history": pd.DataFrame({"epoch": [1], "split": ["train"], "loss": ["low"]})}, ["history", "loss"]),
        ({"batch_size": 0, "train": images()}, ["batch_size", "0"]),
        ({"train": images()[0]}, ["train"]),
        ({"train": "mnist"}, ["train", "str"]),
        ({"test": (images()[0], images()[1][:3])}, ["24 and 3"]),
        ({"confusion": [1, 2, 3], "test": images()}, ["confusion", "square"]),
        ({"features": images(), "train": images()}, ["features"]),
    ],
)
def test_bad_options_are_one_line(options: dict[str, Any], fragments: list[str]) -> None:
    """A ValueError of one line, or a report that gives the reason."""
    reasons = reasons_for(options)
    assert all(len(reason.splitlines()) == 1 for reason in reasons)
    assert any(all(fragment in reason for fragment in fragments) for reason in reasons), reasons
    assert not [reason for reason in reasons if reason.endswith("in this rule")], reasons


def reasons_for(options: dict[str, Any]) -> list[str]:
    try:
        return list(diagnose(sound_model(), **options).unchecked.values())
    except ValueError as error:
        return [str(error)]


def test_all_forms_of_a_history_say_the_same() -> None:
    losses, held_out = [0.5, 0.7, 1.0], [0.4, 0.5, 0.6]

    class History:
        history = {"loss": losses, "val_loss": held_out}  # noqa: RUF012

    forms = [tidy(losses, held_out), History(), History.history]
    reports = [diagnose(sound_model(), history=form) for form in forms]
    assert [{finding.rule for finding in report} for report in reports] == [
        {"learning-rate-too-high", "validation-better-than-training"}
    ] * 3
    assert reports[0].to_frame().equals(reports[1].to_frame())
    assert reports[0].to_frame().equals(reports[2].to_frame())


def test_real_histories_are_understood() -> None:
    import tlkit

    model = compiled(with_head(small_base()))
    model.optimizer.build(model.trainable_variables)
    real = model.fit(*images(), validation_data=images(seed=1), epochs=2, verbose=0)
    _, other = toy_classifier(1)
    table = tlkit.fit(
        other, Split(*images()), validation=Split(*images(seed=1)), epochs=2, learning_rate=1e-3, progress=False
    )
    for trained, history in ((model, real), (other, table)):
        findings = diagnosed(Given(trained, {"history": history}))
        assert not {"learning-rate-too-high", "validation-better-than-training"} & set(findings.unchecked)


@pytest.mark.parametrize("rate", in_bank([1e-6, 1e-2, 3.0], but=[1e-6, 3.0]))
def test_a_real_training_is_told_from_one_that_died(rate: float) -> None:
    """The same network, begun, trained and killed: the oracle is what it then answers."""
    import tlkit

    x = np.repeat(np.arange(40, dtype=np.uint8) % 4, 64).reshape(40, 8, 8, 1) * 60  # four greys, four classes
    train = Split(x, np.arange(40) % 4)
    keras.utils.set_random_seed(2)
    layers = [keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), keras.layers.Dense(32, activation="relu")]
    model = keras.Sequential([keras.Input((8, 8, 1)), *layers, keras.layers.Dense(4)])
    history = tlkit.fit(model, train, epochs=30, learning_rate=rate, batch_size=8, progress=False)
    answers = model(train.x, training=False).numpy()
    died = bool(np.ptp(answers, axis=0).max() == 0)  # the same answer for every image
    assert died == (rate == 3.0)
    found = {finding.rule for finding in diagnosed(Given(model, {"train": train, "history": history}))}
    assert ("learning-rate-too-high" in found) == died


# Never changed ------------------------------------------------------------------------------------------------------


def test_functions_made_before_are_those_after() -> None:
    model = fitted(compiled(with_head(small_base())))
    model.predict(images()[0], verbose=0)
    model.evaluate(*images(), verbose=0)
    functions = model.train_function, model.test_function, model.predict_function
    diagnosed(Given(model, {"train": images(), "test": images(seed=1), "history": {"loss": [1.0]}}))
    assert (model.train_function, model.test_function, model.predict_function) == functions
    fresh = compiled(with_head(small_base()))
    diagnosed(Given(fresh, {"train": images(), "test": images(seed=1)}))
    assert (fresh.train_function, fresh.test_function, fresh.predict_function) == (None, None, None)


def test_arrays_are_left_alone() -> None:
    arrays = [*images(), *images(seed=1), *images(seed=2)]
    copies = [array.copy() for array in arrays]
    data = dict(zip(("train", "validation", "test"), zip(arrays[::2], arrays[1::2], strict=True), strict=True))
    confusion = np.ones((3, 3), int)
    diagnosed(Given(compiled(with_head(small_base())), {**data, "confusion": confusion}))
    assert all(np.array_equal(array, copy) for array, copy in zip(arrays, copies, strict=True))
    assert np.array_equal(confusion, np.ones((3, 3), int))


def test_read_only_data_will_do() -> None:
    given = Given(compiled(with_head(small_base())), {"train": Split(*images()), "test": Split(*images(seed=1))})
    assert grave(diagnosed(given)) == set()


# What is shown ------------------------------------------------------------------------------------------------------

HOSTILE = "<img src=x onerror=alert(1)>"


SAFE = {"p", "table", "thead", "tbody", "tr", "th", "td", "b", "details", "summary"}


class Tags(HTMLParser):
    """All tags and attributes of a text of HTML."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def hostile_findings() -> Findings:
    """A model whose names are markup, in a terminal and in a page."""
    image = keras.Input((8, 8, 1), name="picture")
    x = keras.layers.Flatten(name="[bold red]flat")(keras.layers.Rescaling(1 / 255, name="a" + HOSTILE)(image))
    layer = keras.layers.Dense(CLASSES, activation="softmax", name="[bold]" + HOSTILE)
    model = keras.Model(image, layer(x), name="m" + HOSTILE)
    layer.trainabel = False
    return diagnosed(Given(compiled(model, LOGITS), {"train": images()}))


def printed(findings: Findings, width: int) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(findings)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_hostile_names_are_text_in_a_page() -> None:
    findings = hostile_findings()
    assert {"misspelt-attribute", "probabilities-read-as-logits"} <= {finding.rule for finding in findings}
    page = Tags(findings._repr_html_())
    assert page.tags <= SAFE
    assert page.attributes <= {"style"}
    assert HOSTILE in "".join(page.text)
    assert HOSTILE not in findings._repr_html_()


def test_a_name_that_no_graph_takes_leaves_nothing_behind() -> None:
    hostile_findings()
    layer = keras.layers.Dense(1, name="next")
    layer.build((None, 2))
    assert layer.kernel.path == "next/kernel"  # a scope left open would stand before it


def test_a_notebook_shows_a_report_once(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = repr(hostile_findings())
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    monkeypatch.setattr("rich.jupyter.display", lambda *shown: pytest.fail("repr shows something"))
    assert repr(hostile_findings()) == plain != ""


def test_hostile_names_are_text_in_a_terminal() -> None:
    for text in (printed(hostile_findings(), 400), repr(hostile_findings())):
        assert "[bold]" in text
    assert HOSTILE in printed(hostile_findings(), 400)


@pytest.mark.parametrize("field", ["rule", "evidence", "fix", "notebook"])
@pytest.mark.parametrize(
    "text", [HOSTILE, "[bold]x[/bold]", "[/]", "a & b \"c\" 'd'", "\\[red]", "[link=http://x]y[/link]"]
)
def test_every_field_is_escaped(field: str, text: str) -> None:
    values = {"rule": "r", "severity": "error", "evidence": "e", "fix": "f", "notebook": "n", field: text}
    findings = Findings([Finding(**values)], {"some": text}, 3)
    page = Tags(findings._repr_html_())
    assert page.tags <= SAFE
    assert "".join(page.text).count(text) == 2  # the field, and the reason
    assert html.escape(text) in findings._repr_html_()
    assert printed(findings, 300).count(text) == 2
    assert text in repr(findings)


def example(rule: str, severity: str) -> Finding:
    return Finding(rule, severity, f"evidence {rule}", "mend it.", "04_freezing")


def test_the_gravest_come_first() -> None:
    mixed = [example(f"{severity}{i}", severity) for i in range(2) for severity in ("note", "warning", "error")]
    findings = Findings(mixed, {}, 6)
    assert [finding.rule for finding in findings] == ["error0", "error1", "warning0", "warning1", "note0", "note1"]
    assert isinstance(findings, list)
    assert findings.summary == "2 errors, 2 warnings, 2 notes; 6 rules checked, 0 not."
    assert Findings([example("a", "error")], {"b": "c"}, 2).summary == "1 error; 2 rules checked, 1 not."
    assert Findings([], {}, 28).summary == "nothing found; 28 rules checked, 0 not."


def test_findings_of_a_diagnosis_are_sorted() -> None:
    given = ending_in(keras.layers.Dense(CLASSES, activation="softmax"), loss=LOGITS)
    given.options["history"] = tidy([0.5, 0.7, 1.0], [0.4, 0.5, 0.6])
    severities = [finding.severity for finding in diagnosed(given)]
    assert severities == ["error", "warning", "note"]


def test_as_a_frame() -> None:
    findings = Findings([example("a", "note"), example("b", "error")], {}, 2)
    frame = findings.to_frame()
    assert list(frame.columns) == ["rule", "severity", "evidence", "fix", "notebook"]
    assert [Finding(**row) for row in frame.to_dict("records")] == list(findings)
    empty = Findings([], {}, 2).to_frame()
    assert empty.empty
    assert list(empty.columns) == list(frame.columns)


def test_reasons_are_told_once() -> None:
    findings = Findings([], {"a": "no data", "b": "no data", "c": "no graph"}, 3)
    assert findings.reasons() == {"no data": ["a", "b"], "no graph": ["c"]}
    for text in (repr(findings), "".join(Tags(findings._repr_html_()).text)):
        assert text.count("no data") == 1
        assert "a, b" in text


@pytest.mark.parametrize(("unchecked", "summary"), [({"a": "x"}, "1 rule "), ({"a": "x", "b": "y"}, "2 rules ")])
def test_what_was_not_checked_is_folded(unchecked: dict[str, str], summary: str) -> None:
    page = Findings([example("c", "error")], unchecked, 3)._repr_html_()
    shown, folded = page.split("<details><summary>")
    assert "not checked" not in shown
    assert "evidence c" in "".join(Tags(shown).text)
    assert folded.startswith(summary)
    assert folded.endswith("</details>")
    assert all(f"not checked ({reason}): {rule}" in folded for rule, reason in unchecked.items())
    assert "<details" not in Findings([], {}, 3)._repr_html_()


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_line_is_longer_than_the_terminal(width: int) -> None:
    text = printed(hostile_findings(), width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert "misspelt-attribute" in text


# Networks of keras.applications -------------------------------------------------------------------------------------

NETWORKS = {
    "ResNet50": (keras.applications.ResNet50, keras.applications.resnet),
    "MobileNetV2": (keras.applications.MobileNetV2, keras.applications.mobilenet_v2),
    "EfficientNetB0": (keras.applications.EfficientNetB0, keras.applications.efficientnet),
    "DenseNet121": (keras.applications.DenseNet121, keras.applications.densenet),
}
QUICK = ("MobileNetV2",)
CHOSEN = in_bank(NETWORKS, but=QUICK)


def photographs(n: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Coarse colours as large as the network's images."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (n, 4, 4, 3)).astype(np.uint8)
    return np.repeat(np.repeat(coarse, 8, axis=1), 8, axis=2), np.arange(n) % 2


def on_top(network: keras.Model, image: Any, features: Any) -> keras.Model:
    network.trainable = False
    x = keras.layers.GlobalAveragePooling2D()(features)
    return keras.Model(image, keras.layers.Dense(2, name="head")(x), name="pictures")


def right(name: str, image: Any) -> Any:
    if name == "EfficientNetB0":  # rescales inside
        return image
    if name == "ResNet50":
        swapped = keras.ops.flip(image, axis=-1)
        return keras.layers.Rescaling(1.0, offset=[-103.939, -116.779, -123.68])(swapped)
    if name == "DenseNet121":
        deviation = np.array([0.229, 0.224, 0.225])
        mean = np.array([0.485, 0.456, 0.406])
        return keras.layers.Rescaling((1 / 255 / deviation).tolist(), offset=(-mean / deviation).tolist())(image)
    return keras.layers.Rescaling(1 / 127.5, offset=-1.0)(image)


WRONG: dict[str, list[Any]] = {
    "ResNet50": [lambda x: x, lambda x: x / 255.0, lambda x: x / 127.5 - 1.0],
    "MobileNetV2": [lambda x: x, lambda x: x / 255.0, lambda x: keras.ops.flip(x, axis=-1) - 110.0],
    "EfficientNetB0": [lambda x: x / 255.0, lambda x: x / 127.5 - 1.0],
    "DenseNet121": [lambda x: x, lambda x: x / 255.0, lambda x: x - 110.0],
}


@pytest.mark.parametrize("nested", in_bank([True, False], but=[True]), ids=["nested", "flat"])
@pytest.mark.parametrize("name", CHOSEN)
def test_preprocessing_of_networks(name: str, nested: bool) -> None:
    build, module = NETWORKS[name]
    x, y = photographs()
    # What a network was trained on is what its own module makes of pixels.
    wanted = module.preprocess_input(x.astype(np.float32))

    inner = build(include_top=False, weights=None, input_shape=(32, 32, 3)) if nested else None

    def model(prepare: Any) -> tuple[keras.Model, keras.Model]:
        image = keras.Input((32, 32, 3), name="photograph")
        entering = prepare(image)
        if inner is not None:
            return inner, on_top(inner, image, inner(entering))
        network = build(include_top=False, weights=None, input_tensor=entering)
        return network, on_top(network, image, network.output)

    network, sound = model(lambda image: right(name, image))
    entering = keras.Model(sound.input, right(name, sound.input))(x) if name != "EfficientNetB0" else x
    assert np.asarray(entering) == pytest.approx(wanted, abs=1e-2)
    findings = diagnose(compiled(sound), (x, y), backbone=network, intended_stage=1)
    assert "input-statistics" not in findings.unchecked
    assert grave(findings) == set()
    for prepare in WRONG[name]:  # never compiled: a training step would say nothing of what enters
        network, trapped = model(prepare)
        found = grave(diagnose(trapped, (x, y), backbone=network, intended_stage=1))
        assert found & {"input-statistics", "already-scaled", "rescaled-twice"}


@pytest.mark.slow
def test_a_whole_network_of_its_own_name() -> None:
    x, y = photographs()
    network = keras.applications.ResNet50(weights=None, input_shape=(32, 32, 3), classes=2, include_top=True)
    (finding,) = (finding for finding in diagnose(network, (x, y)) if finding.rule == "input-statistics")
    # The means are those of the pixels, not of pixels in a frame of zeros.
    means = ", ".join(f"{mean:.3g}" for mean in x.mean(axis=(0, 1, 2)))
    assert f"channel means {means}" in finding.evidence
    prepared = keras.applications.resnet.preprocess_input(x.astype(np.float32))
    assert "input-statistics" not in grave(diagnose(network, (prepared, y)))


def test_a_network_behind_padding_of_the_programs_own_is_looked_at() -> None:
    image = keras.Input((28, 28, 3))
    network = keras.applications.ResNet50(weights=None, include_top=False, input_shape=(32, 32, 3))
    model = on_top(network, image, network(keras.layers.ZeroPadding2D(2)(image)))
    findings = diagnose(model, (np.full((4, 28, 28, 3), 100, np.float32), np.array([0, 1, 0, 1])))
    assert "input-statistics" in grave(findings)
