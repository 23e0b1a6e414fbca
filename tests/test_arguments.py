"""What a public function says to a seed that is none, and to a path that is none: one line, before any work."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from helpers import raises_one_line, random_split, toy_backbone
from PIL import Image
from threadpoolctl import threadpool_limits

import tlkit
from tlkit import clothes, export, files, folders, speech, text
from tlkit.backbones import draw_weights, efficientnet_lite, small_resnet
from tlkit.cells import fetch_cells
from tlkit.domains import Domain, DomainPair
from tlkit.federated.clients import deal
from tlkit.federated.member import Plan
from tlkit.files.paths import check_path
from tlkit.folders.listing import list_folder
from tlkit.plots import plot_examples
from tlkit.text.encoder import AddPositions, small_bert
from tlkit.widgets import DomainCompare, FeatureMap, FreezeLab, PictureUpload

SPLIT = random_split()
DOMAIN = Domain("noise", SPLIT, SPLIT, ("a", "b", "c"))
PAIR = DomainPair(DOMAIN, DOMAIN)
Call = Callable[[Any], object]  # of the seed, or the path


def public(wanted: Callable[[inspect.Parameter], bool]) -> Iterator[str]:
    """``module.function parameter`` for each that modules of tlkit offer, grading and what is private left out."""
    for info in pkgutil.walk_packages(tlkit.__path__, "tlkit."):
        module = info.name.removeprefix("tlkit.")
        # Flower is an extra; what examiners call is not for learners.
        if module.startswith(("_", "course", "grading", "exercises", "federated.flower")):
            continue
        loaded = importlib.import_module(info.name)
        for name in getattr(loaded, "__all__", ()):
            found = getattr(loaded, name)
            if getattr(found, "__module__", None) != info.name:
                continue  # it belongs to another module
            offered = {name: found}
            if inspect.isclass(found):
                methods = {key: value for key, value in vars(found).items() if inspect.isfunction(value)}
                offered |= {f"{name}.{key}": value for key, value in methods.items() if not key.startswith("_")}
            for key, function in offered.items():
                if not callable(function) or (inspect.isclass(function) and "__init__" not in dir(function)):
                    continue
                try:
                    parameters = inspect.signature(function).parameters.values()
                except ValueError:  # a class of C
                    continue
                yield from (f"{module}.{key} {each.name}" for each in parameters if wanted(each))


@pytest.fixture(scope="module")
def lab() -> tlkit.Experiment:
    return tlkit.Experiment(PAIR, toy_backbone())


NOT_SEEDS = {
    "experiment.steps.StepsReady.batches seed",  # a protocol of the training step
    "folders.loading.split_files seed",  # load_folder and load_cells have looked at it
}
SEEDS: dict[str, Call] = {
    "backbones.efficientnet_lite.efficientnet_lite0 seed": lambda s: efficientnet_lite.efficientnet_lite0(seed=s),
    "backbones.loading.load_backbone seed": lambda s: tlkit.load_backbone("resnet_printed", weights=None, seed=s),
    "backbones.loading.small_resnet seed": lambda s: small_resnet(seed=s),
    "backbones.weights.draw_weights seed": lambda s: draw_weights(toy_backbone().model, s),
    "captions.build_tower seed": lambda s: tlkit.build_tower(np.ones((4, 3), np.float32), seed=s),
    "cells.load_cells seed": lambda s: tlkit.load_cells("tecom", seed=s),
    "domains.Split.take seed": lambda s: SPLIT.take(2, seed=s),
    "domains.blend_into_photographs seed": lambda s: tlkit.blend_into_photographs(SPLIT, seed=s),
    "efficient.add_adapters seed": lambda s: tlkit.add_adapters(toy_backbone(), seed=s),
    "efficient.add_lora seed": lambda s: tlkit.add_lora(toy_backbone(), seed=s),
    "emoji.emoji_folds seed": lambda s: tlkit.emoji_folds(tlkit.load_emoji(), seed=s),
    "evaluation.bootstrap_interval seed": lambda s: tlkit.bootstrap_interval(SPLIT.y, SPLIT.y, seed=s),
    "evaluation.paired_test seed": lambda s: tlkit.paired_test(SPLIT.y, SPLIT.y, SPLIT.y, seed=s),
    "experiment.experiment.Experiment seed": lambda s: tlkit.Experiment(PAIR, toy_backbone(), seed=s),
    "features.cache_features seed": lambda s: tlkit.cache_features(toy_backbone().model, SPLIT, seed=s),
    "federated.clients.deal seed": lambda s: deal(SPLIT, 2, 10.0, seed=s),
    "federated.member.Plan seed": lambda s: Plan(seed=s),
    "folders.loading.load_folder seed": lambda s: tlkit.load_folder("nowhere", image_size=8, seed=s),
    "heads.build_head seed": lambda s: tlkit.build_head(toy_backbone(), 3, seed=s),
    "plots.plot_examples seed": lambda s: plot_examples(DOMAIN, seed=s),
    "pretraining.mask_tokens seed": lambda s: tlkit.mask_tokens(
        np.ones((2, 4), np.int32), mask_id=1, vocabulary=9, seed=s
    ),
    "text.encoder.AddPositions seed": lambda s: AddPositions(seed=s),
    "text.encoder.load_text_backbone seed": lambda s: text.load_text_backbone(weights=None, seed=s),
    "text.encoder.small_bert seed": lambda s: small_bert(seed=s),
    "training.FitOptions seed": lambda s: tlkit.FitOptions(seed=s),
    "training.fit seed": lambda s: tlkit.fit(
        tlkit.join(toy_backbone().model, tlkit.build_head(toy_backbone(), 3)), SPLIT, epochs=1, learning_rate=1, seed=s
    ),
    "views.random_views seed": lambda s: tlkit.random_views(SPLIT.x, seed=s),
    "widgets.domain_compare.DomainCompare seed": lambda s: DomainCompare(PAIR, {"toy": toy_backbone()}, seed=s),
    "widgets.feature_map.FeatureMap seed": lambda s: FeatureMap(DOMAIN, toy_backbone(), images=6, seed=s),
    "widgets.freeze_lab.FreezeLab seed": lambda s: FreezeLab(PAIR, toy_backbone(), seed=s),
}
OF_EXPERIMENT: dict[str, Callable[[tlkit.Experiment, Any], object]] = {
    "experiment.experiment.Experiment.held_out seed": lambda lab, s: lab.held_out(1, seed=s),
    "experiment.experiment.Experiment.labels seed": lambda lab, s: lab.labels(1, seed=s),
    "experiment.experiment.Experiment.new_head seed": lambda lab, s: lab.new_head(s),
    "experiment.experiment.Experiment.reset seed": lambda lab, s: lab.reset(seed=s),
    "experiment.settings.Settings seed": lambda lab, s: lab.check(tlkit.Settings(1, per_class=1, seed=s)),
}
UPLOAD_SEED = "widgets.picture_upload.PictureUpload.load seed"


def test_each_public_seed_is_looked_at():
    found = set(public(lambda each: each.name == "seed"))
    assert found == {*SEEDS, *OF_EXPERIMENT, UPLOAD_SEED, *NOT_SEEDS}


@pytest.mark.parametrize("seed", [-1, 1.5, "a", True])
@pytest.mark.parametrize("name", [*SEEDS, *OF_EXPERIMENT, UPLOAD_SEED])
def test_a_seed_is_a_whole_number_from_0(name: str, seed: Any, lab: tlkit.Experiment, tmp_path: Path):
    calls = SEEDS | {key: partial(call, lab) for key, call in OF_EXPERIMENT.items()}
    calls[UPLOAD_SEED] = lambda s: PictureUpload(tmp_path / "pictures").load(image_size=8, seed=s)
    with raises_one_line(ValueError, f"seed must be an integer of 0 or more, got {seed!r}."):
        calls[name](seed)


def test_no_seed_is_past_what_keras_takes():
    tower = partial(tlkit.build_tower, np.ones((4, 3), np.float32))
    tower(seed=2**63 - 1)
    with raises_one_line(ValueError, "seed must be at most 9,223,372,036,854,775,807", str(2**63)):
        tower(seed=2**63)
    with threadpool_limits(1):  # threads that wait for each other would take most of the time
        FeatureMap(DOMAIN, toy_backbone(), images=6, seed=2**32)._places(1)


@pytest.mark.parametrize("seeds", [-1, 0, True, 1.5])
def test_the_number_of_draws_is_1_or_more(seeds: Any):
    with raises_one_line(ValueError, "seeds must be an integer of 1 or more", f"got {seeds!r}"):
        tlkit.few_shot_curve({"raw": (SPLIT, SPLIT)}, seeds=seeds)


def test_numpys_integers_seed_as_pythons_do():
    one, other = (tlkit.build_tower(np.ones((4, 3), np.float32), seed=s) for s in (3, np.int64(3)))
    for weight, same in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, same)


# Paths


NOT_PATHS = {
    "clothes.load_clothes cache_dir",  # the photographs have to be there first; then open_store
    "text.tokens.text_split tokenizer",  # as tokenize
}
PATHS: dict[str, Call] = {
    "backbones.loading.load_backbone weights": lambda p: tlkit.load_backbone("resnet_printed", weights=p),
    "cells.fetch_cells source": fetch_cells,
    "clothes.fetch_clothes source": clothes.fetch_clothes,
    "export.predict_images paths": lambda p: tlkit.predict_images(
        tlkit.Exported(toy_backbone().model, ("a", "b"), (8, 8, 1), "toy"), [p]
    ),
    "export.export_model path": lambda p: tlkit.export_model(toy_backbone().model, p, classes=("a", "b")),
    "export.find_pictures sources": lambda p: export.find_pictures([p]),
    "export.load_exported path": tlkit.load_exported,
    "export.load_safely path": export.load_safely,
    "features.cache_features cache_dir": lambda p: tlkit.cache_features(toy_backbone().model, SPLIT, cache_dir=p),
    "files.fetching.fetch source": lambda p: files.fetch(speech.SPEECH, p),
    "files.store.open_store cache_dir": files.open_store,
    "folders.inspection.inspect_folder path": tlkit.inspect_folder,
    "folders.listing.list_folder path": list_folder,
    "folders.loading.load_folder path": lambda p: tlkit.load_folder(p, image_size=8),
    "folders.opening.open_pictures path": lambda p: folders.open_pictures(p, image_size=8),
    "folders.unpacking.unpack_pictures source": lambda p: folders.unpack_pictures(p, "nowhere"),
    "folders.unpacking.unpack_pictures into": lambda p: folders.unpack_pictures(b"", p),
    "speech.fetch_speech source": speech.fetch_speech,
    "speech.read_sound path": tlkit.read_sound,
    "text.encoder.load_text_backbone weights": lambda p: text.load_text_backbone(weights=p),
    "text.fetching.fetch_text source": text.fetch_text,
    "text.tokens.tokenize tokenizer": lambda p: text.tokenize(["a"], tokenizer=p),
    "text.tokens.tokens_of tokenizer": lambda p: text.tokens_of(np.array([101]), tokenizer=p),
    "training.fine_tune cache_dir": lambda p: tlkit.fine_tune(
        toy_backbone(), tlkit.build_head(toy_backbone(), 3), SPLIT, stage=1, epochs=1, learning_rate=0.1, cache_dir=p
    ),
    "widgets.freeze_lab.FreezeLab.to_csv path": lambda p: FreezeLab.to_csv(SimpleNamespace(results=pd.DataFrame()), p),
    "widgets.picture_upload.PictureUpload into": PictureUpload,
}
# These need a folder, a run or a widget: the test hands it over.
WITH_MORE = (
    "experiment.experiment.Experiment.save_keras folder",
    "folders.loading.load_folder cache_dir",
    "widgets.picture_upload.PictureUpload.add pictures",
    "widgets.picture_upload.PictureUpload.add_zip source",
)
MAY_BE_NONE = ("cache_dir", "source", "weights", "tokenizer")
MAY_BE_BYTES = ("folders.unpacking.unpack_pictures source", "widgets.picture_upload.PictureUpload.add_zip source")


def test_each_public_path_is_looked_at():
    assert set(public(lambda each: "str | Path" in str(each.annotation))) == {*PATHS, *WITH_MORE, *NOT_PATHS}


def refused(name: str) -> list[Any]:
    always = [5, 1.5, "", "a\0b"]
    if name in MAY_BE_BYTES:
        return [*always, None]
    return [*always, b"x"] if name.endswith(MAY_BE_NONE) else [*always, b"x", None]


@pytest.mark.parametrize(
    ("name", "path"), [(name, path) for name in (*PATHS, *WITH_MORE) for path in refused(name)], ids=repr
)
def test_a_path_is_text_or_a_path(name: str, path: Any, lab: tlkit.Experiment, tmp_path: Path):
    for label in ("cat", "dog"):
        (tmp_path / "pictures" / label).mkdir(parents=True)
        for number in range(2):
            Image.new("RGB", (8, 8), (99 * number,) * 3).save(tmp_path / "pictures" / label / f"{number}.png")
    calls = PATHS | dict(
        zip(
            WITH_MORE,
            (
                lambda p: lab.save_keras(None, p),  # type: ignore[arg-type]
                lambda p: tlkit.load_folder(tmp_path / "pictures", image_size=8, cache_dir=p),
                lambda p: PictureUpload(tmp_path / "new").add("cat", [p]),
                lambda p: PictureUpload(tmp_path / "new").add_zip(p),
            ),
            strict=True,
        )
    )
    with raises_one_line(ValueError, " must name ", "(text or a Path), got ", repr(path)):
        calls[name](path)


def test_what_names_a_file_is_a_path():
    for path in ("a/b", Path("a/b")):
        assert check_path("path", path) == Path("a/b")


NO_BACKBONE = "backbone must be a Backbone, got Functional"
NOT_LOADED = "exported must be what load_exported gave, got str"
MISTAKEN: dict[str, tuple[Callable[[], object], str]] = {
    "a head on a model": (lambda: tlkit.build_head(toy_backbone().model, 3), NO_BACKBONE),
    "a source head of a model": (lambda: tlkit.load_source_head(toy_backbone().model), NO_BACKBONE),
    "a heat map of a model": (lambda: tlkit.grad_cam(toy_backbone().model, None, SPLIT.x), NO_BACKBONE),
    "no head": (lambda: tlkit.grad_cam(toy_backbone(), None, SPLIT.x), "model must be a Keras model, got NoneType"),
    "an experiment on a model": (lambda: tlkit.Experiment(PAIR, toy_backbone().model), NO_BACKBONE),
    "two domains": (lambda: tlkit.Experiment((DOMAIN, DOMAIN), toy_backbone()), "pair must be a DomainPair"),
    "text for a number": (lambda: tlkit.build_head(toy_backbone(), "3"), "n_classes must be an integer of 2 or more"),
    "a tuple": (lambda: tlkit.linear_probe((SPLIT.x, SPLIT.y), SPLIT), "train must be a Split, got tuple"),
    "images": (lambda: tlkit.linear_probe(SPLIT, SPLIT.x), "test must be a Split, got ndarray"),
    "images of a domain": (lambda: Domain("a", SPLIT.x, SPLIT, ("a", "b", "c")), "train must be a Split, got ndarray"),
    "no text": (lambda: tlkit.letter_counts([]), "texts must be a list of strings, got []"),
    "a file for a model": (lambda: tlkit.predict_images("model.keras", []), NOT_LOADED),
    "a file for a model of texts": (lambda: tlkit.predict_texts("model.keras", []), NOT_LOADED),
    "names for domains": (lambda: tlkit.DomainPair("printed", "mnist"), "source must be a Domain, got 'printed': load"),
    "a number of classes": (lambda: Domain("a", SPLIT, SPLIT, 3), "classes must be a list of names, got 3"),
    "one width": (lambda: tlkit.build_head(toy_backbone(), 3, hidden=64), "hidden must be a list of widths, got 64"),
    "one size": (lambda: tlkit.few_shot_curve({}, per_class=5), "per_class must be a list of numbers, got 5"),
    "a number of names": (
        lambda: tlkit.export_model(toy_backbone().model, "m.keras", classes=3),
        "classes must be a list of names, got 3",
    ),
    "a number of views": (lambda: tlkit.random_views(SPLIT.x, 2), "views must be Views(...), or None"),
    "a metric's name": (
        lambda: tlkit.bootstrap_interval(SPLIT.y, SPLIT.y, "f1"),
        "metric must be a function of labels and predictions, got 'f1'",
    ),
    "two accuracies": (
        lambda: tlkit.forgetting(0.9, 0.5),
        "before must be PairScores, which score_pair gives, got 0.9",
    ),
    "scores of a model": (lambda: tlkit.score_pair(toy_backbone().model, None, None, PAIR), NO_BACKBONE),
    "scores on a domain": (
        lambda: tlkit.score_pair(toy_backbone(), None, None, DOMAIN),
        "pair must be a DomainPair, got Domain",
    ),
    "backbones for towers": (
        lambda: tlkit.cosines(toy_backbone(), toy_backbone(), SPLIT.x, SPLIT.x),
        "model must be a Keras model",
    ),
    "a width for examples": (lambda: tlkit.build_tower(128), "examples must be numbers (..., d), got int64 ()"),
    "no temperature": (
        lambda: tlkit.predict_probabilities(toy_backbone().model, SPLIT, temperature=None),
        "temperature must be above 0",
    ),
    "one picture": (lambda: export.find_pictures("a.png"), "pictures must be a list of files"),
}


@pytest.mark.parametrize("name", MISTAKEN)
def test_what_is_taken_for_another_thing(name: str):
    call, fragment = MISTAKEN[name]
    with raises_one_line(ValueError, fragment):
        call()
