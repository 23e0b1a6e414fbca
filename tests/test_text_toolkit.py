"""The toolkit on texts: freezing, caching, training, audit, widgets; what is for images alone says so in one line."""

import base64
import io
import json
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import traitlets
from helpers import (
    KERAS_SAVES_WITH_A_WARNING,
    control,
    html_of,
    largest_difference,
    raises_one_line,
    run_python,
    same_weights,
)
from marks import in_bank
from PIL import Image

import tlkit
from tlkit import cli
from tlkit._keras import keras, tf
from tlkit.audit import audit_fit, diagnose, watch
from tlkit.audit.data_rules import bare_words
from tlkit.backbones import Backbone, layers_up_to
from tlkit.domains import Domain, DomainPair, Split
from tlkit.evaluation import accuracy
from tlkit.experiment import Experiment, Settings
from tlkit.features import pool_features
from tlkit.probe import linear_probe
from tlkit.text import text_split
from tlkit.text.encoder import small_bert
from tlkit.text.tokens import MOST_POSITIONS
from tlkit.widgets import DomainCompare, FreezeLab

WORDS, LENGTH = 40, 12


def tiny_backbone(seed: int = 0, *, blocks: int = 2, dropout: float = 0.0) -> Backbone:
    """A stage of embeddings, one for each block, and the last one ends in the mean of tokens."""
    model = small_bert(
        blocks=blocks, width=8, heads=2, inner=16, vocabulary=WORDS, dropout=dropout, seed=seed, name="tiny"
    )
    return Backbone("tiny", model, ("embeddings", *(f"block{i}" for i in range(1, blocks)), "sentence"))


def token_split(n: int = 24, *, classes: int = 3, seed: int = 0, length: int = LENGTH, words: bool = True) -> Split:
    """Texts of 3 to ``length`` tokens; each class has words of its own among words that all use."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n) % classes)
    x = np.zeros((n, length), np.int32)
    for row, label in zip(x, y, strict=True):
        tokens = rng.integers(3, length + 1)
        row[:tokens] = rng.integers(1, 20, tokens)
        row[1] = 20 + 5 * label + rng.integers(0, 5)
    texts = [" ".join(f"w{token}" for token in row if token) for row in x]
    return Split(x, y, None, texts if words else None)


def token_pair(*, n: int = 60, classes: tuple[str, ...] = ("a", "b", "c")) -> DomainPair:
    parts = [token_split(n, classes=len(classes), seed=i) for i in range(4)]
    return DomainPair(Domain("source", parts[0], parts[1], classes), Domain("target", parts[2], parts[3], classes))


@pytest.fixture(scope="module")
def pair() -> DomainPair:
    return token_pair()


@pytest.fixture
def tiny() -> Backbone:
    """The smallest that has all parts: embeddings, and one block that ends in the mean of tokens."""
    return tiny_backbone(blocks=1)


def lab_of(pair: DomainPair, backbone: Backbone) -> FreezeLab:
    """A lab that measures nothing in the background: that would go on beside the tests that follow."""
    lab = FreezeLab(pair, backbone)
    lab.epochs, lab.per_class = 3, 5
    lab.measures_scratch = False
    return lab


@pytest.fixture
def lab(pair: DomainPair, tiny: Backbone) -> FreezeLab:
    return lab_of(pair, tiny)


@pytest.fixture(scope="module")
def trained_lab(pair: DomainPair) -> FreezeLab:
    """After a run, for tests that only look."""
    lab = lab_of(pair, tiny_backbone(blocks=1))
    assert control(lab, "tlkit-views").disabled  # before a run as after it
    lab.train()
    return lab


# Freezing, caching, training -----------------------------------------------------------------------------------------


def trained(backbone: Backbone, stage: int, *, cached: bool) -> keras.Model:
    """Backbone and head after three epochs of plain SGD with stages 1 to ``stage`` frozen."""
    split = token_split(40)
    tlkit.freeze_to(backbone, stage)
    head = tlkit.build_head(backbone, 3)
    trunk, tail = tlkit.split_at(backbone, stage)
    model = tlkit.join(tail if cached else backbone.model, head)
    data = tlkit.cache_features(trunk, split, cache_dir="memory") if cached else split
    tlkit.fit(model, data, epochs=3, learning_rate=0.05, optimizer="sgd", batch_size=7, progress=False)
    return tlkit.join(backbone.model, head)


# Two blocks have each kind of boundary. Six are as many as the pretrained encoder's: tests/test_text.py has those, too.
@pytest.mark.parametrize(
    ("blocks", "stage"),
    in_bank([*((2, stage) for stage in range(4)), *((6, stage) for stage in range(8))], but=[(2, 2)], names=2),
)
def test_training_on_cached_texts_is_training_on_texts(blocks: int, stage: int) -> None:
    """The equality that makes caching worth anything, at each boundary."""
    models = [trained(tiny_backbone(blocks=blocks), stage, cached=cached) for cached in (False, True)]
    assert largest_difference(*models) < 1e-5
    start = tiny_backbone(blocks=blocks)
    assert not same_weights(models[0], tlkit.join(start.model, tlkit.build_head(start, 3)))


@pytest.mark.slow
@pytest.mark.bank  # tests/test_text.py has it, and tests/test_backbones.py for images
def test_dropout_in_frozen_stages_is_what_caching_leaves_out() -> None:
    """Freezing does not stop dropout, caching does; in the stages that learn both drop the same units."""

    def silenced() -> Backbone:
        backbone = tiny_backbone(dropout=0.5)
        for layer in layers_up_to(backbone, 2):
            if isinstance(layer, keras.layers.Dropout):
                layer.rate = 0
        return backbone

    cached = trained(tiny_backbone(dropout=0.5), 2, cached=True)
    assert largest_difference(cached, trained(silenced(), 2, cached=False)) < 1e-5
    assert largest_difference(cached, trained(tiny_backbone(dropout=0.5), 2, cached=False)) > 1e-3
    assert largest_difference(cached, trained(tiny_backbone(), 2, cached=True)) > 1e-3  # the learning block does drop


@pytest.mark.parametrize("stage", range(4))
def test_freeze_to_and_the_audit_agree(stage: int) -> None:
    backbone = tiny_backbone()
    tlkit.freeze_to(backbone, stage)
    model = tlkit.join(backbone.model, tlkit.build_head(backbone, 3))
    start = model.get_weights()
    table = audit_fit(model, token_split(), backbone=backbone, intended_stage=stage)
    assert same_weights(model, start)
    assert table["verdict"].str.endswith("as meant").all()
    moved = table.loc[table["weights_moved"], "stage"].unique().tolist()
    assert moved == [*range(stage + 1, 4), "head"]
    assert {"add_positions", "words"} <= set(table["layer"])


@pytest.mark.slow
@pytest.mark.bank  # tests/test_fine_tune.py has it for images
def test_fine_tune_in_two_phases_is_the_long_way() -> None:
    split, held_out, backbone = token_split(30), token_split(15, seed=9), tiny_backbone()
    head = tlkit.build_head(backbone, 3)
    history = tlkit.fine_tune(
        backbone, head, split, stage=1, epochs=2, learning_rate=0.05, two_phase=True, validation=held_out,
        cache_dir="memory", optimizer="sgd", progress=False,
    )  # fmt: skip
    assert history["phase"].unique().tolist() == ["head", "tail"]
    other = tiny_backbone()
    other_head = tlkit.build_head(other, 3)
    for stage, rate in ((3, 0.05), (1, 0.005)):
        tlkit.freeze_to(other, stage)
        model = tlkit.join(other.model, other_head)
        tlkit.fit(model, split, epochs=2, learning_rate=rate, batch_size=32, optimizer="sgd", progress=False)
    assert largest_difference(tlkit.join(backbone.model, head), tlkit.join(other.model, other_head)) < 1e-5


@pytest.mark.slow
@pytest.mark.bank  # `make test` trains on two devices in tests/test_training.py
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("devices", [1, 2])
def test_mirrored_training_is_the_plain_one(optimizer: str, devices: int) -> None:
    """Two devices, one of them made up: gradients of the word table come as rows, and are added up all the same."""
    code = f"""
import sys; sys.path.insert(0, "tests")
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * {devices})
import numpy as np
from test_text_toolkit import *
def trained(strategy):
    backbone = tiny_backbone(blocks=1)
    model = tlkit.join(backbone.model, tlkit.build_head(backbone, 3))
    tlkit.fit(model, token_split(21), epochs=2, learning_rate=0.01, batch_size=6, optimizer={optimizer!r},
              progress=False, strategy=strategy)
    return np.asarray(model(token_split(30, seed=5).x, training=False))
names = [device.name for device in tf.config.list_logical_devices("CPU")]
assert len(names) == {devices}
print(np.abs(trained(None) - trained(tf.distribute.MirroredStrategy(names))).max())
"""
    done = run_python("-c", code)
    assert done.returncode == 0, done.stderr[-2000:]
    assert float(done.stdout.splitlines()[-1]) < 1e-4


def test_boundaries_are_found_where_one_tensor_passes() -> None:
    model = small_bert(blocks=2, width=8, heads=2, inner=16, vocabulary=WORDS)
    assert tlkit.find_boundaries(model)[-3:] == ("block1", "block2", "sentence")
    assert "embeddings" in tlkit.find_boundaries(model)
    backbone = tlkit.wrap_backbone(model)
    assert set(backbone.stage_ends) <= set(tlkit.find_boundaries(model))
    assert backbone.n_stages >= 2
    split = token_split()
    whole = np.asarray(backbone.model(split.x, training=False))
    for stage in range(backbone.n_stages + 1):
        trunk, tail = tlkit.split_at(backbone, stage)
        between = np.asarray(trunk(split.x, training=False))
        np.testing.assert_allclose(np.asarray(tail(between, training=False)), whole, atol=1e-5)


# Evaluation ----------------------------------------------------------------------------------------------------------


def test_scores_reports_and_curves(tiny: Backbone, pair: DomainPair) -> None:
    head = tlkit.build_head(tiny, 3)
    model = tlkit.join(tiny.model, head)
    scores = tlkit.score_pair(tiny, None, head, pair)
    assert np.isnan(scores.source)
    right = np.asarray(model(pair.target.test.x, training=False)).argmax(axis=1) == pair.target.test.y
    assert scores.target == right.mean() == accuracy(model, pair.target.test)
    report = tlkit.classification_report(model, pair.target.test, pair.target.classes)
    assert report.loc["macro average", "support"] == len(pair.target.test)
    features = [tlkit.cache_features(tiny.model, part, cache_dir="memory") for part in
                (pair.target.train, pair.target.test)]  # fmt: skip
    table = tlkit.few_shot_curve(
        {"words": (pair.target.train, pair.target.test), "frozen": tuple(features)}, per_class=(2, 5), seeds=2
    )
    of_words = table[(table["method"] == "words") & (table["per_class"] == 5) & (table["seed"] == 1)]
    assert of_words["accuracy"].item() == linear_probe(pair.target.train.take(5, seed=1), pair.target.test)


def test_transferability_reads_features_and_answers_of_texts(tiny: Backbone, pair: DomainPair) -> None:
    """A scramble of the labels leaves less to explain than the labels themselves do."""
    train = pair.target.train
    # Counts of the words that one class has for itself, with noise: they all but say the class.
    rng = np.random.default_rng(0)
    words = np.stack([np.bincount((row[row >= 20] - 20) // 5, minlength=3) for row in train.x])
    words = words + rng.normal(0, 0.1, words.shape)
    scrambled = rng.permutation(train.y)
    for measure in (tlkit.log_me, lambda x, y: tlkit.h_score(x, y, shrinkage=True)):
        assert measure(words, train.y) > measure(words, scrambled)
        features = pool_features(tlkit.cache_features(tiny.model, train, cache_dir="memory"))
        assert np.isfinite(measure(features, train.y))
    head = tlkit.build_head(tiny, 3)
    probabilities = tlkit.predict_probabilities(tlkit.join(tiny.model, head), train)
    assert tlkit.leep(probabilities, train.y) <= 0
    assert tlkit.nce(train.y, train.y) == pytest.approx(0)


# The audit -----------------------------------------------------------------------------------------------------------


def classifier(backbone: Backbone, *, learning_rate: float = 1e-2) -> keras.Model:
    model = tlkit.join(backbone.model, tlkit.build_head(backbone, 3))
    model.compile(keras.optimizers.Adam(learning_rate), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def test_watch_sees_what_a_training_moves(tiny: Backbone) -> None:
    tlkit.freeze_to(tiny, 1)
    head = tlkit.build_head(tiny, 3)
    watched = watch(backbone=tiny, intended_stage=1)
    model = tlkit.join(tiny.model, head)
    tlkit.fit(model, token_split(), epochs=1, learning_rate=1e-2, callbacks=[watched], progress=False)
    assert watched.table["verdict"].str.endswith("as meant").all()
    assert set(watched.table.loc[watched.table["weights_moved"], "stage"]) == {2, "head"}


def test_flags_changed_after_a_fit_are_seen_to_do_nothing(tiny: Backbone) -> None:
    """The step is the one that fit traced, though its batches were of another length."""
    model = tlkit.join(tiny.model, tlkit.build_head(tiny, 3))
    split = token_split(40)
    tlkit.fit(model, split, epochs=1, learning_rate=1e-2, progress=False)
    tlkit.freeze_to(tiny, 2)
    table = audit_fit(model, split, backbone=tiny, intended_stage=2)
    assert (table["verdict"] == "moved, though meant to be frozen").any()
    assert "trainable-changed-after-compile" in {finding.rule for finding in diagnose(model, split)}


def test_a_sound_text_model_is_found_sound(tiny: Backbone) -> None:
    tlkit.freeze_to(tiny, 1)
    model = classifier(tiny)
    features = tlkit.cache_features(tlkit.split_at(tiny, 1)[0], token_split(60), cache_dir="memory")
    findings = diagnose(
        model, token_split(60), token_split(30, seed=1), token_split(30, seed=2),
        backbone=tiny, intended_stage=1, features=features,
    )  # fmt: skip
    assert list(findings) == []
    assert "in this rule" not in " ".join(findings.unchecked.values())  # no rule broke down
    for rule in ("already-scaled", "input-statistics"):
        assert "tokens" in findings.unchecked[rule]
    assert "cache-stale" not in findings.unchecked


def test_traps_are_found_on_texts(tiny: Backbone) -> None:
    tlkit.freeze_to(tiny, 1)
    model = classifier(tiny)
    train, test = token_split(60), token_split(30, seed=2)
    stale = tlkit.cache_features(tlkit.split_at(tiny_backbone(seed=5, blocks=1), 1)[0], train, cache_dir="memory")
    leaked = Split(np.concatenate([test.x, train.x[:4]]), np.concatenate([test.y, train.y[:4]]))
    tiny.model.get_layer("words").trainable = True
    findings = diagnose(model, train, test=leaked, backbone=tiny, intended_stage=1, features=stale)
    found = {finding.rule: finding.evidence for finding in findings}
    assert {"weights-move-while-frozen", "same-image-in-two-splits", "cache-stale"} <= set(found)
    assert found["same-image-in-two-splits"].startswith("4 of 34 test examples")
    assert "texts computed again" in found["cache-stale"]
    assert "texts=" in findings.unchecked["near-duplicate-in-two-splits"]


def test_the_same_text_under_more_padding_is_the_same(tiny: Backbone) -> None:
    train = token_split(30)
    longer = Split(np.pad(train.x[:3], ((0, 0), (0, 5))), train.y[:3])
    found = {finding.rule: finding.evidence for finding in diagnose(classifier(tiny), train, test=longer)}
    assert found["same-image-in-two-splits"].startswith("3 of 3 test examples")


def test_near_duplicates_of_texts_differ_in_case_and_punctuation(tiny: Backbone) -> None:
    train, test = token_split(30), token_split(30, seed=2)
    assert train.texts is not None
    assert test.texts is not None
    texts = [f"  {train.texts[0].upper()}!!", "?!", *test.texts[2:]]  # the second has no word at all
    planted = Split(test.x, test.y, None, texts)
    model = classifier(tiny)
    found = {f.rule: f.evidence for f in diagnose(model, train, test=planted)}
    assert found["near-duplicate-in-two-splits"] == "1 of 30 test texts has the words of one in train."
    copied = Split(np.concatenate([train.x[:1], test.x[1:]]), test.y, None, texts)  # an exact one is another rule's
    found = {f.rule: f.evidence for f in diagnose(model, train, test=copied)}
    assert "near-duplicate-in-two-splits" not in found
    assert "same-image-in-two-splits" in found
    assert bare_words("Great — MOVIE, really!") == bare_words("great movie really") != bare_words("great movies really")


def test_batches_padded_one_by_one_are_read(tiny: Backbone) -> None:
    train = token_split(30)
    ragged = tf.data.Dataset.from_tensor_slices((train.x, train.y)).batch(7).map(lambda x, y: (x[:, : 4 + len(y)], y))
    findings = diagnose(classifier(tiny), ragged, test=train)
    assert "in this rule" not in " ".join(findings.unchecked.values())


@pytest.mark.parametrize("bad", [WORDS, -1])
def test_a_token_that_is_no_word_of_the_model_is_said_in_a_line(tiny: Backbone, bad: int) -> None:
    """TensorFlow raises deep inside a graph on a CPU, and reads zeros without a word on a GPU."""
    model = classifier(tiny)
    x = np.array(token_split().x)
    x[3, 2] = bad
    words = ("token ids must be in 0..39", f"got {bad}")
    data = (x, token_split().y)
    with raises_one_line(ValueError, "train: token ids must be", f"got {bad}"):
        diagnose(model, data)
    with raises_one_line(ValueError, *words):
        audit_fit(model, data)
    with raises_one_line(ValueError, *words):
        audit_fit(model, tf.data.Dataset.from_tensor_slices(data).batch(8))
    if bad > 0:  # a split holds no negative id
        split = Split(x, token_split().y)
        nested = keras.Sequential([keras.Input((None,), dtype="int32"), model])
        for work in (
            lambda: tlkit.fit(model, split, epochs=1, learning_rate=0.1),
            lambda: tlkit.cache_features(tiny.model, split),
            lambda: accuracy(model, split),
            lambda: tlkit.fit(nested, split, epochs=1, learning_rate=0.1),  # a model inside a model
            lambda: FreezeLab(_pair_with(split), tiny),
            lambda: DomainCompare(_pair_with(split), {"tiny": tiny}),
        ):
            with raises_one_line(ValueError, *words):
                work()


def test_a_text_longer_than_the_positions_is_said_in_a_line_and_padding_does_not_count(tiny: Backbone) -> None:
    """TensorFlow says it in two lines, as shapes that cannot be added."""
    model, given = classifier(tiny), token_split()
    wide = np.zeros((len(given.y), MOST_POSITIONS + 1), np.int32)
    wide[:, :LENGTH] = given.x
    assert accuracy(model, Split(wide, given.y)) == accuracy(model, given)
    wide[3] = 1
    words = (f"a text must have up to {MOST_POSITIONS} tokens", f"got {MOST_POSITIONS + 1}")
    for work in (
        lambda: tlkit.fit(model, Split(wide, given.y), epochs=1, learning_rate=0.1),
        lambda: tlkit.cache_features(tiny.model, Split(wide, given.y)),
        lambda: accuracy(model, Split(wide, given.y)),
        lambda: audit_fit(model, (wide, given.y)),
    ):
        with raises_one_line(ValueError, *words):
            work()


def _pair_with(test: Split) -> DomainPair:
    domain = Domain("d", token_split(60), test, ("a", "b", "c"))
    return DomainPair(domain, domain)


def test_the_other_kind_of_example_is_refused(tiny: Backbone) -> None:
    images = Split(np.zeros((4, 8, 8, 1), np.uint8), np.arange(4) % 2)
    with raises_one_line(ValueError, "shape", "(8, 8, 1)"):
        tlkit.cache_features(tiny.model, images)
    vectors = Split(np.zeros((4, 8), np.float32), np.arange(4) % 2)
    with raises_one_line(ValueError, "token ids (int32)", "float32"):
        tlkit.cache_features(tiny.model, vectors)
    with raises_one_line(ValueError, "augment must be None for texts"):
        tlkit.cache_features(tiny.model, token_split(), augment=keras.layers.RandomRotation(0.1), views=2)


# What is for images alone --------------------------------------------------------------------------------------------


def test_grad_cam_is_for_images(tiny: Backbone) -> None:
    head = tlkit.build_head(tiny, 3)
    for stage in (None, 1, 2):
        with raises_one_line(ValueError, "must take images", "'tiny'"):
            tlkit.grad_cam(tiny, head, token_split().x, stage=stage)


def test_a_backbone_that_ends_in_tokens_has_no_head(tiny: Backbone) -> None:
    trunk, _ = tlkit.split_at(tiny, 1)
    with raises_one_line(ValueError, "(n, c)", "mean over its tokens"):
        tlkit.build_head(Backbone("tokens", trunk, ("embeddings",)), 3)


# Export --------------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings(KERAS_SAVES_WITH_A_WARNING)
def test_what_was_exported_predicts_the_same(tiny: Backbone, tmp_path: Path) -> None:
    split, head = token_split(), tlkit.build_head(tiny, 3)
    file = tmp_path / "tiny.keras"
    assert tlkit.export_model((tiny, head), file, classes=("a", "b", "c")) == (file,)
    loaded = tlkit.load_exported(file)
    assert (loaded.is_text, loaded.classes, loaded.input_shape) == (True, ("a", "b", "c"), (None,))
    wanted = tlkit.predict_probabilities(tlkit.join(tiny.model, head), split)
    np.testing.assert_allclose(loaded.model(split.x, training=False), wanted, atol=1e-6)
    with raises_one_line(ValueError, "must take images", "predict_texts"):
        tlkit.predict_images(loaded, [])
    with raises_one_line(ValueError, "formats must be ('keras',)", "'litert'"):
        tlkit.export_model((tiny, head), tmp_path / "other.keras", classes=("a", "b", "c"), formats=("litert",))
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.usefixtures("fetched_text")
@pytest.mark.filterwarnings(KERAS_SAVES_WITH_A_WARNING)
def test_texts_are_tokenized_and_predicted(tmp_path: Path) -> None:
    model = small_bert(blocks=1, width=8, heads=2, inner=16, name="one")
    backbone = Backbone("one", model, ("sentence",))
    head = tlkit.build_head(backbone, 3)
    file = tmp_path / "one.keras"
    tlkit.export_model((backbone, head), file, classes=("a", "b", "c"))
    texts = ["A good film.", "", "word " * 100, "good"]
    table = tlkit.predict_texts(tlkit.load_exported(file), texts, top=2)
    split = text_split(texts, [0, 1, 2, 0])
    wanted = tlkit.predict_probabilities(tlkit.join(model, head), split)
    assert table["text"].tolist() == [text for text in texts for _ in range(2)]
    assert table["rank"].tolist() == [1, 2] * 4
    assert table.loc[table["rank"] == 1, "class"].tolist() == ["abc"[i] for i in wanted.argmax(axis=1)]
    np.testing.assert_allclose(table.loc[table["rank"] == 1, "probability"], wanted.max(axis=1), atol=1e-6)
    exported = tlkit.load_exported(file)
    with raises_one_line(TypeError, "list of strings"):
        tlkit.predict_texts(exported, "one string")
    with raises_one_line(ValueError, "top must be an integer of 1 or more", "got 0"):
        tlkit.predict_texts(exported, texts, top=0)
    small = tlkit.export_model(
        (tiny_backbone(), tlkit.build_head(tiny_backbone(), 3)), tmp_path / "tiny.keras", classes=("a", "b", "c")
    )
    with raises_one_line(ValueError, "token ids must be in 0..39"):  # another vocabulary than the tokenizer's
        tlkit.predict_texts(tlkit.load_exported(small[0]), texts)


@pytest.mark.slow
@pytest.mark.bank  # three processes; tests/test_export.py has one of images
@pytest.mark.filterwarnings(KERAS_SAVES_WITH_A_WARNING)
def test_a_saved_text_model_is_checked_in_a_fresh_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Keras finds the layers of a text model only where they were registered; the command does that."""
    file = tmp_path / "tiny.keras"
    model = classifier(tiny_backbone())
    model.save(file)
    with raises_one_line(ValueError, "class names"):
        tlkit.load_exported(file)
    done = run_python("-m", "tlkit", "check", str(file), "--json")
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads(done.stdout)
    assert report["findings"] == []
    assert "no train data given" in report["unchecked"]["label-shape"]
    code = "import sys, numpy as np; from tlkit.export import load_safely; m = load_safely(sys.argv[1])"
    np.save(tmp_path / "x.npy", token_split().x)
    code += "; np.save(sys.argv[3], np.asarray(m(np.load(sys.argv[2]), training=False)))"
    arguments = [str(file), str(tmp_path / "x.npy"), str(tmp_path / "out.npy")]
    done = run_python("-c", code, *arguments)
    assert done.returncode == 0, done.stderr[-2000:]
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), np.asarray(model(token_split().x, training=False)))
    # With data it needs no process of its own; what ends in an error that is not the user's is raised.
    monkeypatch.setattr(sys, "argv", ["tlkit", "check", str(file), "--data", "mnist"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code in (0, 1, 2)
    assert "Traceback" not in capsys.readouterr().err


# FreezeLab -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("blocks", "stage"), in_bank([(1, 1), *((2, stage) for stage in range(4))], but=[(1, 1)], names=2)
)
def test_a_run_is_the_training_of_tlkit_fit(pair: DomainPair, blocks: int, stage: int) -> None:
    lab = lab_of(pair, tiny_backbone(blocks=blocks))
    lab.per_class, lab.epochs, lab.head_rate, lab.base_rate = 15, 4, 1e-2, 1e-2
    lab.freeze_to(stage)
    run = lab.train()
    assert run is not None
    backbone = tiny_backbone(blocks=blocks)
    tlkit.freeze_to(backbone, stage)
    model = tlkit.join(backbone.model, tlkit.build_head(backbone, 3))
    start = model.get_weights()
    tlkit.fit(model, pair.target.train.take(15, seed=0), epochs=4, learning_rate=1e-2, progress=False)
    # Answers and not weights: the gradient of a key's bias is 0 but for rounding, which Adam makes a step of.
    x = pair.target.test.x
    np.testing.assert_allclose(lab.model(x, training=False), model(x, training=False), atol=1e-4)
    assert not same_weights(start, model)
    scores = tlkit.score_pair(lab.backbone, lab.experiment.source_head, lab.experiment.head, pair)
    assert (run.source, run.target) == (scores.source, scores.target)
    assert run.boundary == stage


def test_scores_before_training_are_the_pretrained_ones(pair: DomainPair, tiny: Backbone) -> None:
    experiment = Experiment(pair, tiny)
    before = tlkit.score_pair(experiment.backbone, experiment.source_head, experiment.source_head, pair)
    assert (experiment.source_before, experiment.zero_shot) == (before.source, before.target)


def test_a_part_of_the_tests_is_an_even_part_and_said(
    pair: DomainPair, tiny: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tlkit.experiment.experiment.SCORE_MULTIPLY_ADDS", 1.0)
    monkeypatch.setattr("tlkit.experiment.experiment.LEAST_SCORED", 30)
    lab = lab_of(pair, tiny)
    lab.epochs = 1
    lab.freeze_to(0)
    lab.train()
    target, source = lab.experiment.tests
    assert len(target) == len(source) == 15
    assert {row.tobytes() for row in target.x} <= {row.tobytes() for row in pair.target.test.x}
    assert "Scored on 15 of 60 target test texts and 15 of 60 source test texts." in lab.sentence


@pytest.mark.slow
@pytest.mark.bank
def test_head_first_begins_with_the_best_head(lab: FreezeLab, pair: DomainPair) -> None:
    for stage in (1, 2):
        lab.freeze_to(stage)
        lab.head_first, lab.head_rate, lab.epochs = True, 1e-8, 1
        lab.base_rate = 1e-8
        run = lab.train()
        assert run is not None
        few = pair.target.train.take(lab.per_class, seed=0)
        parts = [tlkit.cache_features(lab.backbone.model, part, cache_dir="memory") for part in (few, pair.target.test)]
        assert run.target == pytest.approx(linear_probe(*parts), abs=1.5 / len(pair.target.test))


def test_the_raw_baseline_is_that_of_words_and_called_so(trained_lab: FreezeLab, pair: DomainPair) -> None:
    lab = trained_lab
    assert lab.baselines.raw == linear_probe(pair.target.train.take(5, seed=0), pair.target.test)
    assert "TF-IDF" in control(lab, "tlkit-plot").value
    assert "TF-IDF" in lab.sentence
    shown = html_of(lab)
    assert "pixel" not in shown
    assert "image" not in shown.replace("for images only", "")
    assert "tokens×8" in shown
    assert "None" not in shown


@pytest.mark.slow
@pytest.mark.bank
def test_source_and_target_may_be_padded_to_different_lengths(pair: DomainPair) -> None:
    """Padding is nothing: the lab reads the same scores from a source that has more of it."""
    longer = [
        Split(np.pad(part.x, ((0, 0), (0, 7))), part.y, None, part.texts)
        for part in (pair.source.train, pair.source.test)
    ]
    experiment = [
        Experiment(DomainPair(source, pair.target), tiny_backbone())
        for source in (pair.source, Domain("longer", *longer, pair.source.classes))
    ]
    runs = [one.run(Settings(one.frozen_to(1), per_class=5, epochs=2, base_rate=1e-2)) for one in experiment]
    assert experiment[0].source_before == experiment[1].source_before
    assert experiment[0].zero_shot == experiment[1].zero_shot
    assert (runs[0].target, runs[0].source) == (runs[1].target, runs[1].source)


def test_with_everything_frozen_the_source_keeps_its_score(
    pair: DomainPair, tiny: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before and after are scored on the same part of the test examples, or forgetting would be made up."""
    monkeypatch.setattr("tlkit.experiment.experiment.SCORE_MULTIPLY_ADDS", 1.0)
    monkeypatch.setattr("tlkit.experiment.experiment.LEAST_SCORED", 14)
    experiment = Experiment(pair, tiny)
    assert len(experiment.tests[1]) == 7
    run = experiment.run(Settings(experiment.frozen_to(2), per_class=5, epochs=2))
    assert run.source == experiment.source_before


def test_views_and_batchnorm_are_locked_with_a_word(trained_lab: FreezeLab) -> None:
    lab = trained_lab
    for name, words in (("views", "for images only"), ("train_batchnorm", "no BatchNorm")):
        assert control(lab, f"tlkit-{name.replace('_', '-')}").disabled
        assert words in html_of(lab)
    with raises_one_line(traitlets.TraitError, "views must be 1 for texts", "got 2"):
        lab.views = 2
    with raises_one_line(ValueError, "views must be 1 for texts", "got 2"):
        lab.experiment.check(Settings(frozenset(), per_class=5, views=2))
    assert control(lab, "tlkit-views").disabled
    assert not control(lab, "tlkit-epochs").disabled


def test_from_scratch_nothing_of_what_was_pretrained_is_left(
    pair: DomainPair, tiny: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tlkit.experiment.experiment.SCRATCH_EPOCHS", 1)
    clone, clones = keras.models.clone_model, []
    monkeypatch.setattr(keras.models, "clone_model", lambda model: clones.append(clone(model)) or clones[-1])
    experiment = Experiment(pair, tiny)
    pretrained = [weight + 1 for weight in experiment.backbone.model.get_weights()]
    experiment.backbone.model.set_weights(pretrained)
    score = experiment.measure_scratch(5)
    assert score is not None
    assert 0 <= score <= 1
    assert same_weights(experiment.backbone.model, pretrained)
    (trained_anew,) = clones
    for weight, known in zip(trained_anew.weights, pretrained, strict=True):
        # Start weights lie within 0.1 of 0, or at 1 where the pretrained ones are at 2; one step of Adam is 3e-4.
        assert np.abs(weight.numpy() - known).min() > 0.5, weight.path


@pytest.mark.slow
@pytest.mark.bank
def test_stop_and_reset(lab: FreezeLab) -> None:
    start = lab.model.get_weights()
    lab.freeze_to(0)
    lab.epochs = 5000
    lab.train(wait=False)
    until = time.monotonic() + 60
    while control(lab, "tlkit-progress").value < 3 and time.monotonic() < until:
        time.sleep(0.01)
    lab.stop()
    lab.wait()
    assert lab.runs[-1].stopped
    assert not same_weights(lab.model, start)
    lab.reset()
    assert same_weights(lab.model, start)


def test_freeze_lab_leaves_a_picture(trained_lab: FreezeLab) -> None:
    bundle = trained_lab._repr_mimebundle_()
    with Image.open(io.BytesIO(base64.b64decode(bundle["image/png"]))) as picture:
        assert picture.width > 800


# DomainCompare -------------------------------------------------------------------------------------------------------


def test_domain_compare_shows_texts(pair: DomainPair, tiny: Backbone) -> None:
    model = tlkit.join(tiny.model, tlkit.build_head(tiny, 3))
    compare = DomainCompare(pair, {"probe": tiny, "model": model})
    compare.labels_per_class = 10
    few = pair.target.train.take(compare.label_choices[-1], seed=0)[:30]
    parts = [tlkit.cache_features(tiny.model, part, cache_dir="memory") for part in (few, pair.target.test)]
    assert compare.scores.loc["target", "accuracy"] == pytest.approx(linear_probe(*parts))
    assert compare.scores.loc["target", "texts"] == len(pair.target.test)
    compare.model = "model"
    assert compare.scores.loc["source", "accuracy"] == accuracy(model, pair.source.test)
    shown = html_of(compare)
    assert "<blockquote" in shown
    assert "<figure" not in shown.replace("tlkit-compare figure", "")
    index = compare._chosen["target"][0][0]
    assert pair.target.test.texts is not None
    assert pair.target.test.texts[index] in shown
    words = "".join(html_of(child) for child in compare.children[1:])
    assert "image" not in words
    with raises_one_line(ValueError, "overlay must be False for texts"):
        compare.overlay = True
    with Image.open(io.BytesIO(base64.b64decode(compare._repr_mimebundle_()["image/png"]))) as picture:
        assert picture.width > 600


def test_domain_compare_without_words_and_with_hostile_ones(tiny: Backbone) -> None:
    hostile = "<img src=x onerror=alert(1)> $x$"
    plain = token_split(30, words=False)
    nasty = Split(plain.x, plain.y, None, [hostile] * len(plain))
    pair = DomainPair(*(Domain(name, part, part, ("a", "b", "c")) for name, part in (("p", plain), ("n", nasty))))
    compare = DomainCompare(pair, {"tiny": tiny})
    shown = html_of(compare)
    assert "<img" not in shown
    assert "&lt;img src=x" in shown
    assert " ".join(str(token) for token in plain.x[compare._chosen["source"][0][0]] if token) in shown
    assert compare._repr_mimebundle_()["image/png"]


# The pretrained encoder ----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("fetched_text")
@pytest.mark.slow
@pytest.mark.bank
def test_freeze_lab_on_tweets_beats_words(tmp_path: Path) -> None:
    """100 labels of tweets, everything frozen: above TF-IDF, as the frozen probe is; and only what is meant moves."""
    from tlkit.text import load_text_backbone, load_text_pair

    lab = FreezeLab(load_text_pair("editorials", "tweets"), load_text_backbone())
    lab.measures_scratch = False
    lab.per_class, lab.epochs, lab.head_first = 50, 3, True
    for stage in (7, 6, 5):
        lab.freeze_to(stage)
        run = lab.train()
        assert run is not None
        assert run.audit["verdict"].str.endswith("as meant").all()
        assert set(run.audit.loc[run.audit["weights_moved"], "stage"]) == {*range(stage + 1, 8), "head"}
        assert run.target > lab.baselines.raw + 0.05
