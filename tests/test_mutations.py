"""The notebooks' own asserts notice when the package is broken: each mutation must make its notebook fail."""

import subprocess
import textwrap
from pathlib import Path

import build_notebooks
import pytest
from helpers import ROOT, run_python

RUN = """
import builtins, sys
import matplotlib
matplotlib.use("Agg")
builtins.display = lambda *things: None
exec(compile(sys.argv[1], "mutation", "exec"), {})
cells = open(sys.argv[2], encoding="utf-8").read().split("\\0")
names = {"__name__": "__main__"}
for number, cell in enumerate(cells, start=1):
    try:
        exec(compile(cell, f"code cell {number}", "exec"), names)
    except AssertionError:
        print(f"an assert fails in code cell {number}: {cell.splitlines()[0]}")
        sys.exit(3)
"""

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
        "00_start_here",
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
    "pretrained weights are not loaded": (
        "00_start_here",
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
    "LogME has the wrong sign": (
        "08_negative_transfer_and_choosing",
        """
        from tlkit import transferability
        right = transferability.log_me
        transferability.log_me = lambda *arguments, **options: -right(*arguments, **options)
        """,
    ),
}


def run_mutated(name: str, mutation: str, folder: Path) -> subprocess.CompletedProcess[str]:
    notebook = build_notebooks.read_source(ROOT / "notebooks" / "source" / f"{name}.py")
    code = folder / "cells"
    code.write_text("\0".join(cell.source for cell in notebook.cells if cell.cell_type == "code"), encoding="utf-8")
    # A store of its own: what a broken package computes must not be found by the next run.
    env = {"TLKIT_CACHE_DIR": str(folder / "features")}
    return run_python("-W", "ignore", "-c", RUN, textwrap.dedent(mutation), str(code), cwd=folder, env=env, timeout=900)


@pytest.mark.slow
@pytest.mark.parametrize("what", MUTATIONS)
def test_a_notebook_notices(what, tmp_path):
    name, mutation = MUTATIONS[what]
    run = run_mutated(name, mutation, tmp_path)
    assert run.returncode == 3, f"{name} did not notice: {what}\n{run.stdout[-500:]}\n{run.stderr[-2000:]}"


@pytest.mark.slow
def test_without_a_mutation_nothing_fails(tmp_path):
    """Strict nbval proves it for all notebooks; this one proves that the runner here is no reason to fail."""
    run = run_mutated("00_start_here", "pass", tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
