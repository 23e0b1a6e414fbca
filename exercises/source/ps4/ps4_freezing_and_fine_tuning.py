# %% [markdown]
# # ps4 · Freezing and fine-tuning
#
# **Question: can you choose where to cut a backbone, train the two parts in the right order, say what was forgotten,
# and repair a program that looks right and is not?**
#
# Takes 60 to 90 minutes, without a network. Work through notebooks 04 and 05 first, and rooms 1 and 2 of the trap museum
# (13).
#
# **How it works.** Replace each `raise NotImplementedError()` by your code, and keep the names of the functions. The
# cells below yours hold examples: run them as often as you like. After you have handed in, more tests run. They look at
# what your functions do, not at how you wrote them: which weights moved, and which did not. What each of them looks at is
# written in its cell. In part 2 write it by hand (`tlkit.freeze_to` is what you write there); elsewhere use what you
# like.
#
# Everything is tried on a toy: a backbone of three stages on eight numbers an example, each stage a dense layer,
# BatchNorm and a ReLU. Training it takes a second.

# %% readonly="setup"
import tlkit

tlkit.quiet_start()  # or TensorFlow's start-up lines would stand here in red

import keras
import numpy as np

from tlkit.domains import Split


def toy_backbone(seed):
    """Three stages: stage1_dense, stage1_bn, stage1_out, and so on."""
    starts = [keras.initializers.HeNormal(seed=10 * seed + i) for i in range(3)]
    x = numbers = keras.Input((8,))
    for i, start in enumerate(starts, start=1):
        x = keras.layers.Dense(12, kernel_initializer=start, name=f"stage{i}_dense")(x)
        x = keras.layers.BatchNormalization(momentum=0.9, name=f"stage{i}_bn")(x)
        x = keras.layers.ReLU(name=f"stage{i}_out")(x)
    return tlkit.wrap_backbone(keras.Model(numbers, x), ("stage1_out", "stage2_out", "stage3_out"), "toy")


def toy_data(seed, n=48):
    """Three classes, well apart, and far from the mean 0 and variance 1 that BatchNorm starts with."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    return Split((2 + 3 * rng.normal(size=(3, 8))[y] + rng.normal(size=(n, 8))).astype("float32"), y)


# %% [markdown]
# ## 1. Choose the boundary (16 points)
#
# You tried each stage from 0 (everything learns) to $S$ (everything frozen), over several draws of the labels, and
# scored each run on a validation set and on the test set. Choose by the **mean validation accuracy**: the best stage, or
# rather the **most frozen** one whose mean is not more than 0.01 below the best. It costs less to train and forgets less.
# The test accuracy is then reported for the chosen stage, and has no say in the choice.


# %% solution="choose_boundary"
def choose_boundary(validation, test):
    """The stage, and its mean test accuracy: a pair of numbers.

    Both arrays have the shape (S + 1, draws) and hold accuracies, 0..1: row s is stage s, which freezes stages 1 to s.
    """
    ### BEGIN SOLUTION
    means = validation.mean(axis=1)
    stage = np.flatnonzero(means >= means.max() - 0.01)[-1]
    return stage, test[stage].mean()
    ### END SOLUTION


# %% test="choose_boundary_examples" points=4
import numpy as np

from tlkit.grading import check_example

# Stage 1 is best on the validation set, stage 2 as good as that, stage 3 clearly worse.
check_example(
    choose_boundary,
    (np.array([[0.7, 0.8], [0.8, 0.9], [0.8, 0.89], [0.6, 0.7]]), np.array([[0.7], [0.8], [0.75], [0.9]])),
    [2, 0.75],
    reread="notebook 04, section 6",
)

# %% test="choose_boundary_by_validation" points=7
# Hidden: random scores, in which the test set would choose another stage than the validation set.
### BEGIN HIDDEN TESTS
import numpy as np

from tlkit.grading import check_same


def _scores(rng, close):
    stages, draws = int(rng.integers(3, 7)), int(rng.integers(2, 6))
    level = 0.5 + 0.05 * rng.permutation(stages)
    if close:  # the second best is as good as the best
        level[level == sorted(level)[-2]] = level.max() - 0.004
    noise = rng.normal(scale=0.1, size=(stages, draws))
    validation = level[:, None] + noise - noise.mean(axis=1, keepdims=True)
    return validation, (1.2 - level)[:, None] + rng.normal(scale=0.02, size=(stages, draws))


def _chosen(validation, test):
    means = [sum(row) / len(row) for row in validation.tolist()]
    stage = max(s for s, mean in enumerate(means) if mean >= max(means) - 0.01)
    return [stage, sum(test[stage].tolist()) / test.shape[1]]


check_same(
    choose_boundary,
    _chosen,
    lambda rng: _scores(rng, False),
    seed=701,
    points=8,
    reread="part 1 of this notebook",
)
### END HIDDEN TESTS

# %% test="choose_boundary_prefers_frozen" points=5
# Hidden: scores in which two stages are as good as each other.
### BEGIN HIDDEN TESTS
from tlkit.grading import check_same

check_same(
    choose_boundary,
    _chosen,
    lambda rng: _scores(rng, True),
    seed=711,
    points=8,
    reread="part 1 of this notebook, on what else frozen stages are good for",
)
### END HIDDEN TESTS

# %% [markdown]
# ## 2. Freeze (24 points)
#
# Stages 1 to `stage` are frozen, the later ones learn, and BatchNorm is held in **all** of them: neither its statistics
# nor its scale and offset move. Flags may stand in any way when your function is called: someone has tried something
# before.


# %% solution="freeze_stages"
def freeze_stages(backbone, stage):
    """Set the flags of backbone.model's layers, so that the next compile and fit trains the stages after `stage`.

    backbone.stage_ends names the last layer of each stage; backbone.model.layers come in order. stage is in
    0..len(stage_ends). Nothing need be returned.
    """
    ### BEGIN SOLUTION
    names = [layer.name for layer in backbone.model.layers]
    last_frozen = names.index(backbone.stage_ends[stage - 1]) if stage else 0
    backbone.model.trainable = True
    for i, layer in enumerate(backbone.model.layers):
        layer.trainable = i > last_frozen and not isinstance(layer, keras.layers.BatchNormalization)
    ### END SOLUTION


# %% test="freeze_stages_holds_the_frozen" points=8
# With three stages frozen, this must pass. Hidden: other stages, and flags that stand the other way at the start.
### BEGIN HIDDEN TESTS
import keras
import numpy as np

import tlkit
from tlkit.grading import call_student, check_unmoved, copy_weights


def _toy(seed):
    inputs = x = keras.Input((5,))
    for i in range(1, 5):
        start = keras.initializers.HeNormal(seed=10 * seed + i)
        x = keras.layers.Dense(16, kernel_initializer=start, name=f"part{i}_kernel")(x)
        x = keras.layers.BatchNormalization(name=f"part{i}_norm")(x)
        x = keras.layers.LeakyReLU(name=f"part{i}_end")(x)
    return tlkit.wrap_backbone(keras.Model(inputs, x), tuple(f"part{i}_end" for i in range(1, 5)), "toy")


def _examples(seed):
    rng = np.random.default_rng(seed)
    y = np.arange(40) % 4
    return tlkit.Split((1 + 2 * rng.normal(size=(4, 5))[y] + rng.normal(size=(40, 5))).astype("float32"), y)


def _ready(model, rate=0.05):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(rate), loss, run_eagerly=True)  # a graph would take longer to make than to run
    return model


def _frozen_to(stage, start):
    """A backbone in some state, set by the student and then trained; and its weights before."""
    backbone = _toy(stage)
    if start == "one by one":
        for layer in backbone.model.layers:
            layer.trainable = False
    elif start == "as a whole":
        backbone.model.trainable = False
    before = copy_weights(backbone.model)
    call_student(freeze_stages, (backbone, stage), kind=object, reread="notebook 04, section 4")
    model = _ready(tlkit.join(backbone.model, tlkit.build_head(backbone, n_classes=4)))
    model.fit(_examples(stage).x, _examples(stage).y, batch_size=20, verbose=0)
    return before, backbone.model


_frozen = {(stage, start): _frozen_to(stage, start) for stage, start in [(2, ""), (1, "one by one"), (0, "as a whole")]}
### END HIDDEN TESTS


def one_fit(backbone):
    """Train a new head, and whatever learns in the backbone, for two steps."""
    model = tlkit.join(backbone.model, tlkit.build_head(backbone, n_classes=3))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss, run_eagerly=True)  # a graph would take longer to make than to run
    model.fit(toy_data(0).x, toy_data(0).y, batch_size=24, verbose=0)


three_stages = toy_backbone(0)
before = copy_weights(three_stages.model)
call_student(freeze_stages, (three_stages, 3), kind=object, reread="notebook 04, section 4")
one_fit(three_stages)
check_unmoved(before, three_stages.model, reread="notebook 04, section 4")
### BEGIN HIDDEN TESTS
for (_stage, _), (_before, _model) in _frozen.items():
    _names = [
        layer.name for layer in _model.layers if layer.name.startswith(tuple(f"part{i + 1}" for i in range(_stage)))
    ]
    check_unmoved(_before, _model, layers=_names, reread="notebook 04, section 4")
### END HIDDEN TESTS

# %% test="freeze_stages_lets_the_rest_learn" points=8
# Hidden: the dense layers of the later stages move, whatever the flags were before: all set, none, by the model's flag or
# one by one.
### BEGIN HIDDEN TESTS
from tlkit.grading import call_student, check_moved

if "_frozen" not in globals():
    call_student(freeze_stages, (_toy(9), 1), kind=object, reread="notebook 04, section 2")
for (_stage, _), (_before, _model) in _frozen.items():
    _names = [f"part{i}_kernel" for i in range(_stage + 1, 5)]
    check_moved(_before, _model, layers=_names, reread="notebook 04, section 2, on the model's flag and the layers'")
### END HIDDEN TESTS

# %% test="freeze_stages_holds_batchnorm" points=8
# Hidden: BatchNorm's statistics, scale and offset stand still in the stages that learn, too.
### BEGIN HIDDEN TESTS
from tlkit.grading import call_student, check_batchnorm_still, check_unmoved

if "_frozen" not in globals():
    call_student(freeze_stages, (_toy(9), 1), kind=object, reread="notebook 04, section 3")
for _before, _model in _frozen.values():
    check_batchnorm_still(_before, _model, reread="notebook 04, section 3")
    check_unmoved(_before, _model, layers=[f"part{i}_norm" for i in range(1, 5)], reread="notebook 04, section 3")
### END HIDDEN TESTS

# %% [markdown]
# ## 3. Two phases (24 points)
#
# A new head sends large, meaningless gradients into the backbone. So first the head alone, on a backbone that is frozen
# as a whole; then the stages after the boundary and the head together, at a **tenth** of the rate.
#
# The training itself is given: `fit(model, train, learning_rate)` compiles the model and trains it. Call it once a phase.


# %% solution="two_phases"
def two_phases(backbone, head, train, stage, learning_rate, fit):
    """Train the head, then the stages after `stage` and the head; BatchNorm held in both phases.

    backbone and head come out trained; nothing need be returned.
    """
    ### BEGIN SOLUTION
    model = tlkit.join(backbone.model, head)
    for phase_stage, phase_rate in ((backbone.n_stages, learning_rate), (stage, learning_rate / 10)):
        freeze_stages(backbone, phase_stage)
        fit(model, train, phase_rate)
    ### END SOLUTION


# %% test="two_phases_head_first" points=9
# Here: two calls. Hidden: the first phase moves the head, and nothing in the backbone.
from tlkit.grading import call_student, check_moved, check_unmoved, copy_weights

### BEGIN HIDDEN TESTS


def _two_phases(stage):
    """A real training in phases: the backbone, the head, and all weights before, between and after."""
    backbone = _toy(20 + stage)
    head = tlkit.build_head(backbone, n_classes=4, seed=stage)
    states, seen = [(copy_weights(backbone.model), copy_weights(head))], []

    def fit(model, train, learning_rate):
        _ready(model, 0.05).fit(train.x, train.y, batch_size=20, epochs=2, verbose=0)
        states.append((copy_weights(backbone.model), copy_weights(head)))
        seen.append(float(learning_rate))

    arguments = (backbone, head, _examples(stage), stage, 0.02 * (stage + 1), fit)
    call_student(two_phases, arguments, kind=object, reread="notebook 05, section 2")
    if len(seen) != 2:
        raise AssertionError(f"two_phases must call fit twice, got {len(seen)} calls. Reread notebook 05, section 2.")
    return backbone.model, head, states, seen


def _as_in(state, model):
    model.set_weights([array for _, array in state])
    return model


_phases = {stage: _two_phases(stage) for stage in (2, 3)}
### END HIDDEN TESTS

first_backbone = toy_backbone(1)
first_head = tlkit.build_head(first_backbone, n_classes=3)
rates = []


def only_look(model, train, learning_rate):
    rates.append(learning_rate)


call_student(
    two_phases,
    (first_backbone, first_head, toy_data(1), 2, 0.1, only_look),
    kind=object,
    reread="notebook 05, section 2",
)
assert len(rates) == 2, f"two_phases must call fit twice, got {len(rates)} calls. Reread notebook 05, section 2."
### BEGIN HIDDEN TESTS


for _model, _head, _states, _ in _phases.values():
    check_unmoved(_states[0][0], _as_in(_states[1][0], _model), reread="notebook 05, section 2: the head first")
    check_moved(_states[0][1], _as_in(_states[1][1], _head), reread="notebook 05, section 2: the head first")
### END HIDDEN TESTS

# %% test="two_phases_then_the_tail" points=9
# Hidden: the second phase moves the stages after the boundary, and the head, and nothing else.
### BEGIN HIDDEN TESTS
from tlkit.grading import call_student, check_batchnorm_still, check_moved, check_unmoved

if "_phases" not in globals():
    call_student(two_phases, (None,) * 6, kind=object, reread="notebook 05, section 2")
for _stage, (_model, _head, _states, _) in _phases.items():
    _model = _as_in(_states[2][0], _model)
    _frozen_part = [
        layer.name for layer in _model.layers if layer.name.startswith(("part1", "part2", "part3")[:_stage])
    ]
    check_unmoved(_states[1][0], _model, layers=_frozen_part, reread="notebook 04, section 4")
    _learning = [f"part{i}_kernel" for i in range(_stage + 1, 5)]
    check_moved(_states[1][0], _model, layers=_learning, reread="notebook 04, section 2, and 05, section 2")
    check_batchnorm_still(_states[1][0], _model, reread="notebook 04, section 3")
    check_moved(
        _states[1][1], _as_in(_states[2][1], _head), reread="part 3 of this notebook: the head goes on learning"
    )
### END HIDDEN TESTS

# %% test="two_phases_lower_rate" points=6
# Hidden: the rates of both phases.
### BEGIN HIDDEN TESTS
from tlkit.grading import check_same


def _rates(learning_rate):
    seen = []
    backbone = _toy(31)
    head = tlkit.build_head(backbone, n_classes=4)
    two_phases(backbone, head, _examples(31), 2, learning_rate, lambda model, train, rate: seen.append(float(rate)))
    return seen


_rates.__name__ = "two_phases"
check_same(
    _rates,
    lambda learning_rate: [learning_rate, learning_rate / 10],
    lambda rng: (rng.uniform(0.001, 0.1),),
    seed=721,
    points=2,
    seconds=20,
    megabytes=None,
    reread="part 3 of this notebook",
)
### END HIDDEN TESTS

# %% [markdown]
# ## 4. Measure the forgetting (12 points)
#
# **Forgetting** is the source accuracy that fine-tuning has cost: before minus after, each time with the source's own
# head. It is negative when the source is read better than before.


# %% solution="measure_forgetting"
def measure_forgetting(backbone, source_head, source_test, tune):
    """The forgetting, -1..1, of a fine-tuning: one number.

    tune() takes no argument and fine-tunes the backbone, which has the same layers afterwards. Call it once. source_head
    takes what backbone.model gives; source_test is a Split.
    """
    ### BEGIN SOLUTION
    model = tlkit.join(backbone.model, source_head)
    before = tlkit.accuracy(model, source_test)
    tune()
    return before - tlkit.accuracy(model, source_test)
    ### END SOLUTION


# %% test="measure_forgetting_any_tuning" points=12
import numpy as np

from tlkit.grading import check_example

backbone_here = toy_backbone(2)


def forgetting_of_nothing(seed):
    return measure_forgetting(
        backbone_here, tlkit.build_head(backbone_here, n_classes=3, seed=seed), toy_data(seed), lambda: None
    )


forgetting_of_nothing.__name__ = "measure_forgetting"
check_example(forgetting_of_nothing, (0,), 0.0, reread="notebook 05, section 1", seconds=20)
# Hidden: fine-tunings that forget much, that forget nothing, and one after which the source is read better.
### BEGIN HIDDEN TESTS
from tlkit.grading import check_same


def _source(seed):
    """A backbone and a source head, test images that they mostly read, and weights to come."""
    backbone = _toy(seed)
    head = tlkit.build_head(backbone, n_classes=4, seed=seed)
    rng = np.random.default_rng(seed)
    x = (1 + rng.normal(size=(60, 5))).astype("float32")
    later = [weight + 0.2 * rng.normal(size=weight.shape) ** 2 for weight in backbone.model.get_weights()]
    said = np.asarray(head(backbone.model(x, training=False))).argmax(axis=1)
    return backbone, head, tlkit.Split(x, np.where(rng.random(60) < 0.8, said, (said + 1) % 4)), later


def _measured(seed, better):
    backbone, head, test, later = _source(seed)
    now = backbone.model.get_weights()
    if better:
        backbone.model.set_weights(later)
    return measure_forgetting(backbone, head, test, lambda: backbone.model.set_weights(now if better else later))


def _forgotten(seed, better):
    backbone, head, test, later = _source(seed)
    right = []
    for _ in range(2):
        said = np.asarray(head(backbone.model(test.x, training=False))).argmax(axis=1)
        right.append(sum(int(a == b) for a, b in zip(said.tolist(), test.y.tolist(), strict=True)) / len(test.y))
        backbone.model.set_weights(later)
    return (right[1] - right[0]) if better else (right[0] - right[1])


_measured.__name__ = "measure_forgetting"
_better = iter((False, True))
check_same(
    _measured,
    _forgotten,
    lambda rng: (int(rng.integers(1000)), next(_better)),
    seed=731,
    points=2,
    seconds=30,
    megabytes=None,
    reread="notebook 05, section 1, and part 4 of this notebook",
)
### END HIDDEN TESTS

# %% [markdown]
# ## 5. Repair (24 points)
#
# This program was meant to train the head on the frozen backbone, then to fine-tune the **last stage** with it, BatchNorm
# held, and to return a model that ends in logits. It runs, says nothing, and holds three traps. **Predict before you
# run:** find them by reading.

# %% readonly="broken"


def broken(backbone, head, train):
    for layer in backbone.model.layers:
        layer.trainable = False
    last_stage = backbone.model.layers[-3:]  # Dense, BatchNormalization and ReLU
    model = keras.Sequential([backbone.model, head, keras.layers.Softmax()])
    model.compile(keras.optimizers.Adam(0.02), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(train.x, train.y, epochs=15, verbose=0)
    for layer in last_stage:
        layer.trainable = True
    model.fit(train.x, train.y, epochs=15, verbose=0)
    return model


# %% [markdown]
# The audit sees what one more step would move (no points): `tlkit.audit_fit(model, train, backbone=…, intended_stage=…)`.


# %% solution="repaired"
def repaired(backbone, head, train):
    """As broken was meant: backbone and head come out trained, and the model that is returned holds both of them."""
    ### BEGIN SOLUTION
    model = tlkit.join(backbone.model, head)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    for stage, rate in ((backbone.n_stages, 0.02), (backbone.n_stages - 1, 0.02)):
        tlkit.freeze_to(backbone, stage)
        optimizer = keras.optimizers.Adam(rate)
        model.compile(optimizer, loss)
        optimizer.build(model.trainable_variables)  # or fit would make its graph twice, the second time with them
        model.fit(train.x, train.y, epochs=15, verbose=0)
    return model
    ### END SOLUTION


# %% test="repaired_gives_logits" points=6
# What you return gives logits: on this toy, and hidden on another backbone, whose training the next cells look at.
import keras

### BEGIN HIDDEN TESTS
from tlkit.grading import call_student, check_logits, copy_weights

_mended = _toy(41)
_mended_head = tlkit.build_head(_mended, n_classes=4, seed=4)
_whole = tlkit.join(_mended.model, _mended_head)


def _mean_loss():
    data = _examples(41)
    logits = np.asarray(_whole(data.x, training=False), dtype=float)
    top = logits.max(axis=1, keepdims=True)
    sums = np.log(np.exp(logits - top).sum(axis=1)) + top[:, 0]
    return float((sums - logits[np.arange(len(data)), data.y]).mean())


_mended_before = copy_weights(_mended.model), copy_weights(_mended_head), _mean_loss()
_mended_model = call_student(
    repaired, (_mended, _mended_head, _examples(41)), kind=keras.Model, reread="notebook 13, rooms 1 and 2"
)
### END HIDDEN TESTS

backbone_to_repair = toy_backbone(3)
repaired_model = call_student(
    repaired,
    (backbone_to_repair, tlkit.build_head(backbone_to_repair, n_classes=3), toy_data(3)),
    kind=keras.Model,
    reread="notebook 13, room 2",
)
check_logits(repaired_model, toy_data(4).x, 3, reread="notebook 13, room 2")
### BEGIN HIDDEN TESTS
check_logits(_mended_model, _examples(42).x, 4, reread="notebook 13, room 2")
### END HIDDEN TESTS

# %% test="repaired_tunes_the_last_stage" points=6
# Hidden: the last stage's dense layer moved, and the head.
### BEGIN HIDDEN TESTS
import keras

from tlkit.grading import call_student, check_moved

if "_mended_model" not in globals():
    call_student(repaired, (None, None, None), kind=object, reread="notebook 13, rooms 1 and 2")
check_moved(_mended_before[0], _mended.model, layers=["part4_kernel"], reread="notebook 13, room 1")
check_moved(_mended_before[1], _mended_head, reread="notebook 13, room 1")
### END HIDDEN TESTS

# %% test="repaired_keeps_the_rest" points=6
# Hidden: the other stages, and BatchNorm in all stages, are as they were.
### BEGIN HIDDEN TESTS
from tlkit.grading import call_student, check_batchnorm_still, check_unmoved

if "_mended_model" not in globals():
    call_student(repaired, (None, None, None), kind=object, reread="notebook 13, rooms 1 and 2")
check_batchnorm_still(_mended_before[0], _mended.model, reread="notebook 13, room 1")
_rest = [layer.name for layer in _mended.model.layers if layer.name != "part4_kernel"]
check_unmoved(_mended_before[0], _mended.model, layers=_rest, reread="notebook 13, room 1")
### END HIDDEN TESTS

# %% test="repaired_learns" points=6
# Hidden: the cross-entropy of backbone and head falls to less than a third, on data that is easy to learn.
### BEGIN HIDDEN TESTS
from tlkit.grading import call_student

if "_mended_model" not in globals():
    call_student(repaired, (None, None, None), kind=object, reread="notebook 13, rooms 1 and 2")
if not _mean_loss() < _mended_before[2] / 3:
    raise AssertionError(
        f"repaired must bring the loss down to less than a third, got {_mended_before[2]:.2f} before and "
        f"{_mean_loss():.2f} after. Reread notebook 13, room 2."
    )
### END HIDDEN TESTS
