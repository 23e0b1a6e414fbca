"""A run of an experiment as a short script of plain Keras, with nothing of tlkit in it but two files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tlkit.experiment.settings import BATCH_SIZE, Run
from tlkit.freezing import flags_of, is_batchnorm

if TYPE_CHECKING:
    from tlkit.experiment.experiment import Experiment

__all__ = ["keras_script", "write_script"]

BASE, SOURCE_HEAD, DATA = "base.keras", "source_head.keras", "data.npz"

_HEAD_FIRST = """
# The best head on the features as they are, so that a random one does not spoil the base.
features = base.predict(data["x_train"], verbose=0).mean(axis=(1, 2))  # (n, channels)
centre = features.mean(axis=0)
scale = np.sqrt(np.mean((features - centre) ** 2))
probe = LogisticRegression(max_iter=2000).fit((features - centre) / scale, data["y_train"])
kernel = probe.coef_.T / scale
head.layers[-1].set_weights([kernel, probe.intercept_ - centre @ kernel])
"""

_TWO_RATES = """

class TwoRates(keras.optimizers.Adam):
    \"\"\"Adam with smaller steps for the base. Smaller gradients would not do: Adam divides by their size.\"\"\"

    def update_step(self, gradient, variable, learning_rate):
        part = variable.name.split("/")[0]  # "conv1/kernel" belongs to the layer "conv1"
        rate = {base_rate:g} / {head_rate:g} if part in of_base else 1
        super().update_step(gradient, variable, rate * learning_rate)


of_base = {{layer.name for layer in base.layers}}
"""

_OLD_ANSWERS = """# Without the source's data: the target's test images, labelled with the pretrained network's answers.
"""

_SCRIPT = '''"""Run {number}: {frozen} frozen, {labels} labels per class of {target}, in plain Keras."""

import keras
import numpy as np
{imports}
data = np.load("{data}")  # raw pixels in 0..255 and labels
base = keras.saving.load_model("{base}")  # the pretrained weights; rescaling is inside
{freeze}
head = keras.Sequential(
    [
        keras.Input(base.output_shape[1:]),
        {pool}keras.layers.Dense({classes}, kernel_initializer=keras.initializers.GlorotUniform(seed={head_seed})),
    ]
)
{head_first}model = keras.Sequential([base, head])
{two_rates}# Compile after freezing: a flag that is set later does nothing.
model.compile(
    optimizer={optimizer},
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
model.optimizer.build(model.trainable_variables)  # or fit would prepare its first step twice
rng = np.random.default_rng({seed})
for epoch in range({epochs}):
    order = rng.permutation(len(data["x_train"]))
    model.fit(data["x_train"][order], data["y_train"][order], batch_size={batch_size}, shuffle=False, verbose=0)

{old_answers}source_head = keras.saving.load_model("{source_head}")
for name, reader in (("target", model), ("source", keras.Sequential([base, source_head]))):
    answers = reader.predict(data[f"x_{{name}}"], verbose=0).argmax(axis=-1)
    print(name, np.mean(answers == data[f"y_{{name}}"]))
'''


def keras_script(experiment: Experiment, run: Run) -> str:
    """The program that does what the run did, without a cache: load, freeze, head, compile, fit, evaluate.

    Raises:
        ValueError: The run cannot be written so: it was stopped or went on from another, it is on texts, or the
            backbone has layers that are tlkit's own or lie in a nested model.
    """
    settings = run.settings
    _check(experiment, run)
    learning = run.boundary < experiment.backbone.n_stages
    two_rates = learning and settings.base_rate != settings.head_rate
    seed = experiment.seed_of(settings)
    dense = experiment.new_head(seed).layers[-1]
    return _SCRIPT.format(
        number=run.number,
        frozen=experiment.describe_frozen(settings.frozen),
        labels=settings.per_class,
        target=experiment.target.name.replace('"', "'").replace("\\", "/"),
        imports="from sklearn.linear_model import LogisticRegression\n" if settings.head_first else "",
        data=DATA,
        base=BASE,
        source_head=SOURCE_HEAD,
        old_answers=_OLD_ANSWERS if experiment.source is None else "",
        freeze=_freezing(experiment, run),
        pool="keras.layers.GlobalAveragePooling2D(),\n        " if len(experiment.head.input_shape) == 4 else "",
        classes=dense.units,
        head_seed=dense.kernel_initializer.seed,
        head_first=_HEAD_FIRST.lstrip("\n") if settings.head_first else "",
        two_rates=_TWO_RATES.format(base_rate=settings.base_rate, head_rate=settings.head_rate) if two_rates else "",
        optimizer=f"{'TwoRates' if two_rates else 'keras.optimizers.Adam'}({settings.head_rate:g})",
        seed=seed,
        epochs=settings.epochs,
        batch_size=BATCH_SIZE,
    )


def _check(experiment: Experiment, run: Run) -> None:
    backbone = experiment.backbone
    reasons = {
        "one on images": experiment.is_text,
        "on a backbone without added layers, which are tlkit's own": bool(backbone.added),
        "on a backbone without nested models": any("/" in path for path in experiment.layers),
        "one that began from the pretrained weights": not run.settings.from_pretrained,
        "one that was not stopped": run.stopped,
    }
    for wanted, wrong in reasons.items():
        if wrong:
            raise ValueError(f"a run can be written in plain Keras when it is {wanted}, got run {run.number}.")


def _freezing(experiment: Experiment, run: Run) -> str:
    """Lines that set each layer's flag as it was in the run: by its place or, where that will not do, by its name."""
    backbone, train_batchnorm = experiment.backbone, run.settings.train_batchnorm
    layers, ends = backbone.model.layers, backbone.stage_ends[: run.boundary]
    flags = flags_of(backbone, experiment.names(run.settings.frozen), train_batchnorm=train_batchnorm)
    last = max((i for i, layer in enumerate(layers) if layer.name in ends), default=0)
    # Only layers with weights count: the others have nothing to freeze.
    own = {layer.name: flags[layer.path] for layer in layers if layer.weights}
    placed = {layer.name: i > last and (train_batchnorm or not is_batchnorm(layer)) for i, layer in enumerate(layers)}
    if not any(own.values()):
        return "base.trainable = False\n"
    if any(learns != placed[name] for name, learns in own.items()):
        frozen = [name for name, learns in own.items() if not learns]
        return f"frozen = {frozen!r}\nfor layer in base.layers:\n    layer.trainable = layer.name not in frozen\n"
    held = "" if train_batchnorm else " and not isinstance(layer, keras.layers.BatchNormalization)"
    why = "" if train_batchnorm else "  # BatchNorm keeps its statistics only by its own flag"
    place = f'[layer.name for layer in base.layers].index("{layers[last].name}")' if last else "0  # the input"
    return (
        f"last_frozen = {place}\n"
        f"for i, layer in enumerate(base.layers):{why}\n    layer.trainable = i > last_frozen{held}\n"
    )


def write_script(experiment: Experiment, run: Run, folder: Path) -> Path:
    """The script and the files that it reads, in ``folder``: the base, the source's head, and the run's examples."""
    script = keras_script(experiment, run)
    folder.mkdir(parents=True, exist_ok=True)
    experiment.pretrained_model().save(folder / BASE)
    experiment.source_head.save(folder / SOURCE_HEAD)
    train = experiment.shown(run.settings)
    parts: dict[str, Any] = {"train": train, "target": experiment.tests[0], "source": experiment.tests[1]}
    arrays = {f"{array}_{name}": getattr(part, array) for name, part in parts.items() for array in ("x", "y")}
    np.savez_compressed(folder / DATA, **arrays)
    path = folder / f"run_{run.number}.py"
    path.write_text(script, encoding="utf-8")
    return path
