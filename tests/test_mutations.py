"""The notebooks' own asserts notice when the package is broken: each mutation must make its notebook fail."""

import dis
import sys
import textwrap
import types
from pathlib import Path

import build_notebooks
import pytest
from helpers import ROOT
from marks import in_bank

sys.path.insert(0, str(Path(__file__).parent / "exercises"))

import runner

from tlkit.grading.notebook import names_bound

# What is broken, the notebook that must notice, and the code that breaks it.
MUTATIONS = {
    "source and target swapped": (
        "03_base_and_head",
        """
        from tlkit import domains
        right = domains.load_pair
        def swapped(source="printed", target="mnist"):
            pair = right(source, target)
            return domains.DomainPair(pair.target, pair.source)
        domains.load_pair = swapped
        """,
    ),
    "labels shuffled": (
        "03_base_and_head",
        """
        import numpy as np
        from tlkit import domains
        right = domains.load_pair
        def shuffled(source="printed", target="mnist"):
            pair = right(source, target)
            train = pair.target.train
            wrong = domains.Split(train.x, np.random.default_rng(0).permutation(train.y))
            target = domains.Domain(pair.target.name, wrong, pair.target.test, pair.target.classes)
            return domains.DomainPair(pair.source, target)
        domains.load_pair = shuffled
        """,
    ),
    "test images leak into training": (
        "02_domains",
        """
        import numpy as np
        from tlkit import domains
        right = domains.load_domain
        def leaky(name):
            domain = right(name)
            parts = (domain.train, domain.test)
            keys = ("x", "y") if domain.train.groups is None else ("x", "y", "groups")
            both = domains.Split(*(np.concatenate([getattr(part, key) for part in parts]) for key in keys))
            return domains.Domain(name, both, domain.test, domain.classes)
        domains.load_domain = leaky
        """,
    ),
    "the network knows nothing": (
        "00_start_here",
        """
        import keras
        right = keras.models.load_model
        keras.models.load_model = lambda *arguments, **options: keras.models.clone_model(right(*arguments, **options))
        """,
    ),
    "pretrained weights are not loaded": (
        "03_base_and_head",
        """
        from tlkit.backbones import loading
        loading.load_weights = lambda model, path, name: None
        """,
    ),
    "pixels are rescaled twice": (
        "03_base_and_head",
        """
        import keras
        right = keras.layers.Rescaling.call
        keras.layers.Rescaling.call = lambda self, x: right(self, right(self, x))
        """,
    ),
    "the freeze is skipped": (
        "04_freezing",
        """
        from tlkit import freezing
        def nothing(backbone, stage, *, train_batchnorm=False):
            backbone.check_stage(stage)
            backbone.model.trainable = True
        freezing.freeze_to = nothing
        """,
    ),
    "BatchNorm is not held": (
        "04_freezing",
        """
        from tlkit import freezing
        right = freezing.freeze_to
        freezing.freeze_to = lambda backbone, stage, *, train_batchnorm=False: right(
            backbone, stage, train_batchnorm=True
        )
        """,
    ),
    "cached features belong to other images": (
        "03_base_and_head",
        """
        from tlkit import domains, features
        right = features.cache_features
        def mixed(trunk, split, **options):
            cached = right(trunk, split, **options)
            return domains.Split(cached.x[::-1], cached.y)
        features.cache_features = mixed
        """,
    ),
    "forgetting has the wrong sign": (
        "03_base_and_head",
        """
        from tlkit import evaluation
        evaluation.forgetting = lambda before, after: after.source - before.source
        """,
    ),
    "the gradient has the wrong sign": (
        "01_cross_entropy_gradient",
        """
        from tlkit import gradients
        right = gradients._Loss.tape_gradient
        gradients._Loss.tape_gradient = lambda self: -right(self)
        """,
    ),
    "the audit sees no change": (
        "13_trap_museum",
        """
        from tlkit.audit import moved
        moved._change = lambda variable, before: 0.0
        """,
    ),
    "the diagnosis finds nothing": (
        "13_trap_museum",
        """
        from tlkit.audit import diagnosis
        diagnosis.RULES = ()
        """,
    ),
    "views are not augmented": (
        "06_augmentation",
        """
        from tlkit import features
        right = features.cache_features
        def still(trunk, split, *, augment=None, views=1, **options):
            import numpy as np
            cached = right(trunk, split, **options)
            return type(split)(np.concatenate([cached.x] * views), np.tile(cached.y, views))
        features.cache_features = still
        """,
    ),
    "the interval is too narrow": (
        "07_evaluation",
        """
        import dataclasses
        from tlkit import evaluation
        right = evaluation.bootstrap_interval
        def narrow(*arguments, **options):
            interval = right(*arguments, **options)
            half = (interval.high - interval.low) / 20
            middle = (interval.high + interval.low) / 2
            return dataclasses.replace(interval, low=middle - half, high=middle + half)
        evaluation.bootstrap_interval = narrow
        """,
    ),
    "a view is compared with itself": (
        "14_without_labels",
        """
        import tensorflow as tf
        from tlkit import pretraining
        right = pretraining._similarities
        def with_itself(one, two, temperature, **options):
            logits, partner = right(one, two, temperature, **options)
            return tf.linalg.set_diag(logits, tf.ones(tf.shape(logits)[0]) / temperature), partner
        pretraining._similarities = with_itself
        """,
    ),
    "LogME has the wrong sign": (
        "08_negative_transfer_and_choosing",
        """
        from tlkit import transferability
        right = transferability.log_me
        transferability.log_me = lambda *arguments, **options: -right(*arguments, **options)
        """,
    ),
}


# Of their notebooks only the cell that notices and those that bind what it needs are run. The bank runs these cells
# without the mutation, too.
NOTICED_BY = {
    "pretrained weights are not loaded": 'last["train"] < 0.02',
    "the audit sees no change": '"trainable-changed-after-compile" in rules(late)',
    "the diagnosis finds nothing": '"misspelt-attribute" in rules(findings)',
}


def names_needed(code: types.CodeType) -> set[str]:
    """The names that a cell must find: those that it reads before it binds them, and those that its functions read."""
    bound, needed, inner = set(), set(), set()
    for step in dis.get_instructions(code):
        if step.opname.startswith("STORE_NAME"):
            bound.add(step.argval)
        elif step.opname in ("LOAD_NAME", "LOAD_GLOBAL") and step.argval not in bound:
            needed.add(step.argval)
    for part in code.co_consts:
        if isinstance(part, types.CodeType):
            inner |= names_needed(part)
    return needed | (inner - bound)


def needed_for(fragment: str, cells: list[str]) -> list[str]:
    """The one cell that holds the fragment, and of the earlier ones those that bind what it needs, the last of each."""
    (last,) = (place for place, source in enumerate(cells) if fragment in source)
    kept, names = [], set()
    for place in reversed(range(last + 1)):
        bound = names_bound(cells[place])
        if place == last or names & bound:
            kept.insert(0, cells[place])
            names = (names - bound) | names_needed(compile(cells[place], "cell", "exec"))
    return kept


def first_error(
    name: str, mutation: str, folder: Path, *, most: int | None = None, noticed_by: str | None = None
) -> str | None:
    """The first error of a notebook after the package was broken.

    Args:
        most: How many of its cells are run; all by default.
        noticed_by: As :func:`needed_for` takes it, to run those cells only.
    """
    notebook = build_notebooks.read_source(ROOT / "notebooks" / "source" / f"{name}.py")
    for pictures in ("photos", "drawings"):
        (folder / pictures).symlink_to(ROOT / "notebooks" / pictures, target_is_directory=True)
    # A store of its own: what a broken package computes must not be found by the next run.
    begin = f"""
        import os, warnings
        warnings.simplefilter("ignore")
        os.environ |= {{"TLKIT_CACHE_DIR": {str(folder / "features")!r}, "MPLBACKEND": "Agg"}}
        os.chdir({str(folder)!r})
        exec(compile({textwrap.dedent(mutation)!r}, "mutation", "exec"), {{}})
    """
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    if noticed_by:
        cells = needed_for(noticed_by, cells)
    return runner.run([textwrap.dedent(begin), *cells[:most]], 900)


# Whose notebooks run for long before they notice: `make bank` breaks the package in these ways, too. The notebook of
# the last two is broken in other ways in `make test`.
LONG = (
    "the network knows nothing", "the freeze is skipped", "BatchNorm is not held", "forgetting has the wrong sign",
    "views are not augmented", "the interval is too narrow", "LogME has the wrong sign", "source and target swapped",
    "pixels are rescaled twice",
)  # fmt: skip


# Of notebook 01: the last of them notices a gradient of the wrong sign. Without a mutation, the bank runs all cells.
FIRST_CELLS = 25


@pytest.mark.slow
@pytest.mark.parametrize("what", [pytest.param(w, marks=pytest.mark.bank if w in LONG else ()) for w in MUTATIONS])
def test_a_notebook_notices(what, tmp_path):
    name, mutation = MUTATIONS[what]
    most = FIRST_CELLS if name.startswith("01") else None
    error = first_error(name, mutation, tmp_path, most=most, noticed_by=NOTICED_BY.get(what))
    assert error, f"{name} did not notice: {what}"
    assert error.startswith("AssertionError"), f"{name} fails, and not by an assert: {error}"


@pytest.mark.slow
@pytest.mark.parametrize("most", in_bank([FIRST_CELLS, None], but=[FIRST_CELLS]))
def test_without_a_mutation_nothing_fails(most, tmp_path):
    """Strict nbval proves it for all notebooks; this one proves that the runner here is no reason to fail."""
    assert first_error("01_cross_entropy_gradient", "pass", tmp_path, most=most) is None


@pytest.mark.slow
@pytest.mark.bank
@pytest.mark.parametrize("what", NOTICED_BY)
def test_cells_by_themselves_fail_only_by_the_mutation(what, tmp_path):
    assert first_error(MUTATIONS[what][0], "pass", tmp_path, noticed_by=NOTICED_BY[what]) is None
