# %% [markdown]
# # ps6 · Project
#
# **Question: can you take images of your own choice, pick a pretrained network for them within a budget, beat the plain
# baseline, and say what that does and does not show?**
#
# Takes 60 to 90 minutes, without a network; more if you collect your own images. Work through notebooks 03 and 08 first;
# 02 and 07 help with parts 1 and 5.
#
# **How it works.** Parts 1 to 4 are code: 70 points, given by tests. Replace each `raise NotImplementedError()` by your
# code, and keep the names of the functions. After you have handed in, more tests run, with other images than yours: what
# each of them looks at is written in its cell. Use Keras, NumPy, scikit-learn, tlkit, what you like. Part 5 is text: 30
# points, given by a person, by the rubric that stands there.
#
# **The task.** You have ten labels of each class, and two pretrained networks of five stages. A network may be cut after
# any stage: a **plan** is a pair such as `("resnet_printed", 3)`, the network of that name up to the end of its third
# stage. The kept stages stay as they are; on top comes a head of your own.
#
# | budget | what counts |
# |---|---|
# | `MULTIPLY_ADDS` | multiply-adds of the whole model for one image, as `tlkit.multiply_adds` counts them |
# | `OWN_WEIGHTS` | weights in the model that are not bit by bit those of the pretrained network |
# | `PER_CLASS` | labels of each class that a model learns from |

# %% readonly="setup"
import tlkit

tlkit.quiet_start()  # or TensorFlow's start-up lines would stand here in red

import keras
import numpy as np
from threadpoolctl import threadpool_limits

limits = threadpool_limits(1)  # on arrays this small, several threads of scikit-learn wait for each other

NETWORKS = ("resnet_printed", "resnet_fashion")
MULTIPLY_ADDS = 40_000_000
OWN_WEIGHTS = 20_000
PER_CLASS = 10


pretrained = {name: tlkit.load_backbone(name) for name in NETWORKS}


def cut(name, depth):
    """A pretrained network up to the end of stage depth (1 to 5): from raw 28 x 28 grey images to feature maps.

    Each call gives a copy of its own, so that training one of them does not spoil the next.
    """
    base, _ = tlkit.split_at(pretrained[name], depth)
    copy = keras.models.clone_model(base)
    copy.set_weights(base.get_weights())
    return copy


# %% [markdown]
# ## 1. Your target (8 points)
#
# Bring images. Either a folder of your own, one subfolder a class, or a part of a bundled domain: `tlkit.load_domain`
# knows `mnist`, `optdigits`, `fashion` and `printed`. (A network that was pretrained on images has seen their labels:
# `resnet_printed` those of `printed`, `resnet_fashion` those of `fashion`. What follows is for part 5.)
#
# - The images have the shape 28 × 28 × 1: `tlkit.load_folder("NAME", image_size=28, channels=1, test_fraction=0.5)`.
#   Hand the folder in beside this notebook, and name it by its relative path.
# - The training part has 20 images of each class or more. The test part has 10 of each class or more, 40 to 1,000 in all.
#   Take fewer than a bundled domain has: everything below gets quicker.
# - The split leaks nothing: no image of the test part stands in the training part too, and if the splits have `groups`,
#   no group is torn apart. It is the same split each time. (Is that so of every bundled domain? Look.)


# %% solution="load_target"
def load_target():
    """Your target: a tlkit.Domain, as described above; the same one at each call."""
    ### BEGIN SOLUTION
    mnist = tlkit.load_domain("mnist")
    return tlkit.Domain("digits by hand", mnist.train.take(40, seed=0), mnist.test.take(20, seed=0), mnist.classes)
    ### END SOLUTION


# %% test="target_is_sound" points=4
import numpy as np

import tlkit
from tlkit.grading import call_student

target, again = (
    call_student(load_target, (), kind=tlkit.Domain, seconds=90, reread="part 1 of this notebook") for _ in range(2)
)


def target_must(hold, rule):
    if not hold:
        raise AssertionError(f"load_target must return {rule}. Reread part 1 of this notebook, and notebook 02.")


of_class = [[int((part.y == k).sum()) for k in range(len(target.classes))] for part in (target.train, target.test)]
target_must(target.train.x.shape[1:] == (28, 28, 1), f"images of shape (28, 28, 1), got {target.train.x.shape[1:]}")
target_must(min(of_class[0]) >= 20, f"20 training images of each class or more, got {min(of_class[0])}")
target_must(min(of_class[1]) >= 10, f"10 test images of each class or more, got {min(of_class[1])}")
target_must(40 <= len(target.test) <= 1000, f"40 to 1,000 test images, got {len(target.test)}")
for one, other in ((target.train, again.train), (target.test, again.test)):
    target_must(one.x.tobytes() == other.x.tobytes(), "the same images, in the same order, at each call")
    target_must(one.y.tobytes() == other.y.tobytes(), "the same labels at each call")

# %% test="target_has_no_leak" points=4
import tlkit
from tlkit.grading import call_student

target = call_student(load_target, (), kind=tlkit.Domain, seconds=90, reread="part 1 of this notebook")
in_both = {image.tobytes() for image in target.train.x} & {image.tobytes() for image in target.test.x}
if in_both:
    raise AssertionError(
        f"load_target must put each image on one side, but {len(in_both)} of the test images stand in the training "
        "part too. Reread notebook 02, section 2."
    )
if target.train.groups is not None and target.test.groups is not None:
    torn = set(target.train.groups.tolist()) & set(target.test.groups.tolist())
    if torn:
        raise AssertionError(
            f"load_target must put each group on one side, but {len(torn)} of them stand on both. Reread notebook 02, "
            "section 2."
        )

# %% [markdown]
# ## 2. Choose within the budget (18 points)
#
# First: what can you afford? Take a network's multiply-adds, cut at each stage; `tlkit.multiply_adds` counts them. (A
# head adds next to nothing.)


# %% solution="affordable"
def affordable(budget):
    """All plans whose cut network needs at most budget multiply-adds for an image: a list of pairs, in any order.

    A plan is a name in NETWORKS and a depth from 1 to 5, such as ("resnet_printed", 3).
    """
    ### BEGIN SOLUTION
    plans = []
    for name in NETWORKS:
        for depth in range(1, 6):
            base, _ = tlkit.split_at(pretrained[name], depth)  # nothing is trained: no copy is needed
            if tlkit.multiply_adds(base) <= budget:
                plans.append((name, depth))
    return plans
    ### END SOLUTION


# %% test="affordable_any_budget" points=6
from tlkit.grading import check_example


def affordable_plans(budget):
    return sorted([("resnet_printed", "resnet_fashion").index(name), int(depth)] for name, depth in affordable(budget))


affordable_plans.__name__ = "affordable"
# 15 million pay for two stages of either network. (The example shows network 0, resnet_printed, and network 1.)
check_example(
    affordable_plans,
    (15_000_000,),
    [[0, 1], [0, 2], [1, 1], [1, 2]],
    seconds=90,
    reread="part 2 of this notebook, and notebook 08, section 2",
)
# Hidden: other budgets, and one that a cut network meets exactly.
### BEGIN HIDDEN TESTS
import math

from tlkit.grading import check_same

_costs, _total, _reached = [], 0, pretrained["resnet_printed"].model
_ends = iter(["stage1_out", "stage2_out", "stage3_out", "stage4_out", "stage5_out"])
_end = next(_ends)
for _layer in _reached.layers:
    if hasattr(_layer, "kernel"):
        _total += math.prod(_layer.output.shape[1:3]) * math.prod(_layer.kernel.shape)
    if _layer.name == _end:
        _costs.append(_total)
        _end = next(_ends, None)


def _plans(budget):
    return [[network, depth] for network in (0, 1) for depth, cost in enumerate(_costs, start=1) if cost <= budget]


for _seed, _least, _most in ((711, _costs[2], _costs[2] + 1), (712, _costs[4], 10**9)):
    check_same(
        affordable_plans,
        _plans,
        lambda rng, least=_least, most=_most: (int(rng.integers(least, most)),),
        seed=_seed,
        points=1,
        seconds=90,
        megabytes=None,
        reread="part 2 of this notebook: at most the budget",
    )
### END HIDDEN TESTS

# %% [markdown]
# Then: which of them? Decide by the labelled images alone: some to learn from, others to validate on, as in a
# cross-validation, or by a score of notebook 08. **Test images have no say in it**, and neither has which images *you*
# work with: what is good for digits need not be good for clothes. One small part to validate on decides by luck; let each
# labelled image have its turn.


# %% solution="choose"
def choose(labelled, budget):
    """The affordable plan that promises most for these images: a pair such as ("resnet_printed", 3).

    labelled is a tlkit.Split of 5 to 20 images of each class. For the same images the choice is the same.
    """
    ### BEGIN SOLUTION
    from sklearn.model_selection import StratifiedKFold

    folds = list(StratifiedKFold(3, shuffle=True, random_state=0).split(labelled.x, labelled.y))
    scores, plans = {}, affordable(budget)
    for name in NETWORKS:
        depths = [depth for other, depth in plans if other == name]
        if not depths:
            continue
        # One pass through the deepest of them gives the features of all.
        ends = {depth: pretrained[name].boundary(depth) for depth in depths}
        passed = keras.Model(pretrained[name].model.input, ends)(labelled.x, training=False)
        for depth, maps in passed.items():
            stage = tlkit.Split(np.mean(maps, axis=(1, 2)), labelled.y)
            probes = [tlkit.linear_probe(stage[learn], stage[check]) for learn, check in folds]
            scores[name, depth] = np.mean(probes)
    return max(scores, key=scores.get)
    ### END SOLUTION


# %% test="choose_within_the_budget" points=4
# Hidden: small budgets. What is chosen is a plan, and can be afforded.
### BEGIN HIDDEN TESTS
from tlkit.domains import load_domain
from tlkit.grading import check_result


def _chosen(labelled, budget):
    name, depth = choose(labelled, budget)
    return [("resnet_printed", "resnet_fashion").index(name), int(depth)]


def _paid(chosen, labelled, budget):
    deepest = 1 if budget < 14_000_000 else 2
    fine = chosen[1] in range(1, deepest + 1)
    return "" if fine else f"must keep to {budget:,} multiply-adds, which pay for depth 1 to {deepest}, got {chosen[1]}"


_chosen.__name__ = "choose"
for _seed, _budget in ((721, 5_000_000), (722, 20_000_000)):
    check_result(
        _chosen,
        _paid,
        lambda rng, budget=_budget: (
            load_domain("optdigits").restrict_to(("2", "5", "7")).train.take(8, seed=int(rng.integers(1000))),
            budget,
        ),
        dims=1,
        points=1,
        seconds=90,
        megabytes=None,
        seed=_seed,
        reread="part 2 of this notebook, and notebook 08, section 2",
    )
### END HIDDEN TESTS

# %% test="choose_near_the_best" points=8
# Hidden: two targets with 20 labels of each class, for which different plans are best. A linear probe on the features
# of your plan scores, on test images, at most 0.04 less than on those of the best affordable plan.
### BEGIN HIDDEN TESTS
import keras
import numpy as np
from sklearn.linear_model import LogisticRegression

from tlkit.domains import load_domain
from tlkit.grading import call_student


def _chosen(labelled, budget):
    name, depth = choose(labelled, budget)
    return [("resnet_printed", "resnet_fashion").index(name), int(depth)]


def _score(plan, few, test):
    backbone = pretrained[plan[0]]
    pooled = keras.ops.mean(backbone.boundary(plan[1]), axis=(1, 2))
    network = keras.Model(backbone.model.input, pooled)
    x, x_test = (np.asarray(network(part.x.astype("float32"), training=False)) for part in (few, test))
    centre, scale = x.mean(axis=0), x.std(axis=0).mean()
    probe = LogisticRegression(max_iter=200, tol=1e-3).fit((x - centre) / scale, few.y)
    return float(np.mean(probe.predict((x_test - centre) / scale) == test.y))


_chosen.__name__ = "choose"
_mnist, _clothes = load_domain("mnist"), load_domain("fashion").test
_order = np.random.default_rng(731).permutation(len(_clothes))
_targets = (
    ("handwriting", _mnist.train, _mnist.test.take(15, seed=732), ("resnet_printed", 4)),
    ("clothes", _clothes[_order[:500]], _clothes[_order[500:900]], ("resnet_fashion", 4)),
)
for _name, _pool, _test, _best in _targets:
    _few = _pool.take(20, seed=735)
    _number, _depth = call_student(
        _chosen, (_few, 40_000_000), kind=list, seconds=90, reread="notebook 08, sections 4 and 5"
    )
    _plan = (("resnet_printed", "resnet_fashion")[_number], _depth)
    _lost = 0.0 if _plan == _best else _score(_best, _few, _test) - _score(_plan, _few, _test)
    if not _lost <= 0.04:
        raise AssertionError(
            f"choose must find a plan that is about as good as the best affordable one, but on {_name} yours scores "
            f"{_lost:.2f} less. Reread notebook 08, sections 4 and 5."
        )
### END HIDDEN TESTS

# %% [markdown]
# ## 3. Build and train (28 points)
#
# One Keras model, functional or Sequential, from raw images to **logits**: the cut network of the plan, all of it as it
# was pretrained, and a head of yours. Whether the network is frozen shows in its weights, BatchNorm's moving statistics
# included. Train the head as you like: `tlkit.fit`, `tlkit.fit_probe`, Keras itself. Since nothing else learns, the
# features need computing only once.


# %% solution="build_and_train"
def build_and_train(labelled, plan, seed):
    """A trained keras.Model from raw images (n, 28, 28, 1), 0..255, to logits (n, number of classes).

    labelled is a tlkit.Split of a few images of each class, with labels 0 to number of classes - 1, and all that the
    model may learn from. plan is a pair (name, depth). seed is for what you draw at random, if anything.
    """
    ### BEGIN SOLUTION
    base = cut(*plan)
    # One pass over so few images: to make a graph for it, as cache_features does, would take longer.
    features = tlkit.Split(np.asarray(base(labelled.x, training=False)), labelled.y)
    head = keras.Sequential(
        [
            keras.Input(base.output_shape[1:]),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(len(np.unique(labelled.y))),
        ]
    )
    tlkit.fit_probe(head, features)
    return tlkit.join(base, head)
    ### END SOLUTION


# %% test="model_gives_logits" points=3
import keras

import tlkit
from tlkit.grading import call_student, check_logits

two_digits = tlkit.load_domain("optdigits").restrict_to(("3", "8")).train.take(6, seed=0)
two_logits = call_student(
    build_and_train,
    (two_digits, ("resnet_printed", 2), 0),
    kind=keras.Model,
    seconds=90,
    reread="notebook 03, sections 3 and 4",
)
check_logits(two_logits, two_digits.x[:5].astype("float32"), 2, reread="notebook 03, section 3")
# Hidden: another plan, another number of classes.
### BEGIN HIDDEN TESTS
_digits = tlkit.load_domain("mnist").restrict_to(tuple("0245679")).train.take(5, seed=741)
_model = call_student(
    build_and_train,
    (_digits, ("resnet_fashion", 1), 741),
    kind=keras.Model,
    seconds=90,
    reread="notebook 03, sections 3 and 4",
)
check_logits(_model, _digits.x[:6].astype("float32"), 7, reread="notebook 03, section 3")
### END HIDDEN TESTS

# %% test="model_has_the_planned_stages" points=5
# Hidden: for two plans, the kernels of the planned stages stand in the model as they were pretrained, bit by bit, and
# those of later stages do not.
### BEGIN HIDDEN TESTS
import keras

from tlkit.backbones import layers_up_to
from tlkit.domains import load_domain
from tlkit.grading import call_student

_models = {}


def _model_of(build, few, plan, seed, reread):
    """A trained model; the next test that wants the same one gets it."""
    if (plan, seed) not in _models:
        _models[plan, seed] = call_student(build, (few, plan, seed), kind=keras.Model, seconds=90, reread=reread)
    return _models[plan, seed]


_digits = load_domain("optdigits").restrict_to(("0", "1", "2", "6")).train.take(6, seed=751)
for _name, _depth in (("resnet_printed", 3), ("resnet_fashion", 2)):
    _reread = "part 3 of this notebook, and notebook 04, section 1"
    _model = _model_of(build_and_train, _digits, (_name, _depth), 751, _reread)
    _present = {weight.numpy().tobytes() for weight in _model.weights}
    _backbone = pretrained[_name]
    _planned = [layer.name for layer in layers_up_to(_backbone, _depth)]
    for _layer in _backbone.model.layers:
        if not hasattr(_layer, "kernel"):
            continue
        _there = _layer.kernel.numpy().tobytes() in _present
        if _layer.name in _planned and not _there:
            raise AssertionError(
                f"build_and_train must keep each kernel of the plan {(_name, _depth)} as it was pretrained, but "
                f"{_layer.name} is gone or has moved. Reread notebook 04, section 1."
            )
        if _layer.name not in _planned and _there:
            raise AssertionError(
                f"build_and_train must cut where the plan {(_name, _depth)} says, but the model holds {_layer.name}. "
                "Reread part 3 of this notebook."
            )
### END HIDDEN TESTS

# %% test="model_keeps_batchnorm" points=4
# Hidden: for two plans, BatchNorm's scale, shift and moving statistics stand in the model as they were pretrained.
### BEGIN HIDDEN TESTS
import keras

from tlkit.backbones import layers_up_to

for _name, _depth in (("resnet_printed", 3), ("resnet_fashion", 2)):
    _reread = "part 3 of this notebook, and notebook 04, section 3"
    _model = _model_of(build_and_train, _digits, (_name, _depth), 751, _reread)
    _present = {weight.numpy().tobytes() for weight in _model.weights}
    for _layer in layers_up_to(pretrained[_name], _depth):
        for _weight in _layer.weights if isinstance(_layer, keras.layers.BatchNormalization) else ():
            if _weight.numpy().tobytes() not in _present:
                raise AssertionError(
                    f"build_and_train must leave BatchNorm as it was pretrained, but {_weight.path} is gone or has "
                    "moved. Reread notebook 04, section 3."
                )
### END HIDDEN TESTS

# %% test="model_within_the_budget" points=4
# Hidden: ten classes and the most expensive plan that can be afforded: the multiply-adds and the model's own weights.
### BEGIN HIDDEN TESTS
import math

import keras

from tlkit.domains import load_domain


def _leaves(layer):
    inner = getattr(layer, "layers", None)
    return [leaf for one in inner for leaf in _leaves(one)] if inner else [layer]


def _multiply_adds(layer):
    if not hasattr(layer, "kernel"):
        return 0
    try:
        return math.prod(layer.output.shape[1:-1]) * math.prod(layer.kernel.shape)
    except AttributeError:
        raise AssertionError(
            "build_and_train must return a functional or Sequential model, whose layers know the size of what they "
            "give. Reread part 3 of this notebook."
        ) from None


_mnist = load_domain("mnist")
_few = _mnist.train.take(10, seed=783)
_model = _model_of(build_and_train, _few, ("resnet_printed", 4), 783, "part 3 of this notebook")
_pretrained = {weight.numpy().tobytes() for weight in pretrained["resnet_printed"].model.weights}
_own = sum(math.prod(w.shape) for w in _model.weights if w.numpy().tobytes() not in _pretrained)
_cost = sum(_multiply_adds(leaf) for leaf in _leaves(_model))
if _own > 20_000:
    raise AssertionError(
        f"build_and_train must return a model with at most 20,000 weights of its own, got {_own:,}. Reread the table of "
        "budgets at the top of this notebook."
    )
if _cost > 40_000_000:
    raise AssertionError(
        f"build_and_train must return a model of at most 40,000,000 multiply-adds, got {_cost:,}. Reread the table of "
        "budgets at the top of this notebook."
    )
### END HIDDEN TESTS

# %% test="model_beats_the_pixels" points=8
# Hidden: two targets, ten labels of each class, two draws of them, test images that no one has trained on. The model
# makes clearly fewer errors than a logistic regression on the pixels of the same images: at most 0.6 of them on
# handwriting, at most 0.9 of them on clothes.
### BEGIN HIDDEN TESTS
import keras
import numpy as np
from sklearn.linear_model import LogisticRegression

from tlkit.domains import load_domain


def _errors(pool, test, plan, seed):
    few = pool.take(10, seed=seed)
    model = _model_of(build_and_train, few, plan, seed, "notebook 03, section 4")
    logits = np.asarray(model(test.x.astype("float32"), training=False))
    pixels, pixels_test = (part.x.reshape(len(part), -1) / 255 for part in (few, test))
    scale = (pixels - pixels.mean(axis=0)).std()
    probe = LogisticRegression(max_iter=500).fit(pixels / scale, few.y)
    return [
        float(np.mean(logits.argmax(axis=1) != test.y)),
        float(np.mean(probe.predict(pixels_test / scale) != test.y)),
    ]


_mnist, _clothes = load_domain("mnist"), load_domain("fashion").test
_order = np.random.default_rng(781).permutation(len(_clothes))
_targets = (
    ("handwriting", _mnist.train, _mnist.test.take(30, seed=782), ("resnet_printed", 4), 0.6),
    ("clothes", _clothes[_order[:500]], _clothes[_order[500:800]], ("resnet_fashion", 4), 0.9),
)
for _name, _pool, _test, _plan, _share in _targets:
    _runs = [_errors(_pool, _test, _plan, _seed) for _seed in (783, 784)]
    _of_model, _of_pixels = (sum(run[i] for run in _runs) / 2 for i in (0, 1))
    if not _of_model <= _share * _of_pixels:
        raise AssertionError(
            f"build_and_train must return a model that makes at most {_share} of the errors that pixels make, but on "
            f"{_name} it is wrong on {_of_model:.2f} of the test images, and pixels on {_of_pixels:.2f}. Reread notebook "
            "03, section 4."
        )
### END HIDDEN TESTS

# %% test="model_learns_from_its_labels" points=4
# Hidden: handwriting again, with the classes numbered in another way. What a model knows of them it can know only from
# the images that it is given.
### BEGIN HIDDEN TESTS
import keras
import numpy as np
from sklearn.linear_model import LogisticRegression

from tlkit.domains import load_domain
from tlkit.grading import call_student

_names = tuple(str(_digit) for _digit in np.roll(np.random.default_rng(791).permutation(10), 3))
_other = load_domain("mnist").restrict_to(_names)
_few, _test = _other.train.take(10, seed=792), _other.test.take(30, seed=793)
_model = call_student(
    build_and_train, (_few, ("resnet_printed", 4), 792), kind=keras.Model, seconds=90, reread="notebook 03, section 4"
)
_answers = np.asarray(_model(_test.x.astype("float32"), training=False)).argmax(axis=1)
_scale = _few.x.std()
_probe = LogisticRegression(max_iter=500).fit(_few.x.reshape(len(_few), -1) / _scale, _few.y)
_of_model = float(np.mean(_answers != _test.y))
_of_pixels = float(np.mean(_probe.predict(_test.x.reshape(len(_test), -1) / _scale) != _test.y))
if not _of_model <= 0.6 * _of_pixels:
    raise AssertionError(
        "build_and_train must learn from the labels that it is given, and from nothing else: with the classes in another "
        f"order the model is wrong on {_of_model:.2f} of the test images, and pixels on {_of_pixels:.2f}. Reread part 3 "
        "of this notebook."
    )
### END HIDDEN TESTS

# %% [markdown]
# ## 4. Compare (16 points)
#
# For each seed draw `PER_CLASS` labels of each class: `domain.train.take(PER_CLASS, seed=seed)`. Train a model on them,
# and score it on the whole test part. Beside it stands the baseline, a logistic regression on the pixels of **the same**
# labelled images: `tlkit.linear_probe(few, domain.test)`.


# %% solution="compare"
def compare(domain, train_model, seeds):
    """Test accuracies, 0..1, of shape (number of seeds, 2): the model's in the first column, the baseline's beside it.

    train_model(few, seed) returns a trained keras.Model from raw images to logits; few is a tlkit.Split.
    """
    ### BEGIN SOLUTION
    rows = []
    for seed in seeds:
        few = domain.train.take(PER_CLASS, seed=seed)
        logits = np.asarray(train_model(few, seed)(domain.test.x, training=False))
        accuracy = np.mean(logits.argmax(axis=1) == domain.test.y)
        rows.append([accuracy, tlkit.linear_probe(few, domain.test)])
    return np.array(rows)
    ### END SOLUTION


# %% test="compare_scores" points=6
import keras
import numpy as np

import tlkit
from tlkit.grading import check_result

calls_dark_images_1 = keras.Sequential(
    [keras.Input((28, 28, 1)), keras.layers.AveragePooling2D(28), keras.layers.Flatten(), keras.layers.Dense(2)]
)
calls_dark_images_1.set_weights([np.array([[1.0, -1.0]]), np.array([0.0, 255.0])])


def darkest(few, seed):
    """A model that calls an image 1 if it is dark, and 0 if it is light."""
    return calls_dark_images_1


def gives_rows_of_two(scores, *arguments):
    fine = len(scores) == 3 and all(len(row) == 2 and row[0] == 0.75 for row in scores)
    return "" if fine else f"must give a row of two for each of three seeds, the first being 0.75 here, got {scores}"


shades = np.repeat([30, 200], 15).astype("uint8")[:, None, None, None] * np.ones((30, 28, 28, 1), "uint8")
light_or_dark = tlkit.Domain(
    "shades",
    tlkit.Split(shades, np.repeat([1, 0], 15)),
    tlkit.Split(shades[[0, 1, 2, 15]], np.array([1, 1, 0, 0])),
    ("light", "dark"),
)
check_result(
    compare,
    gives_rows_of_two,
    lambda rng: (light_or_dark, darkest, [0, 1, 2]),
    dims=2,
    points=1,
    seconds=90,
    megabytes=None,
    seed=0,
    reread="notebook 03, section 6",
)
# Hidden: another target and another model, which gives known answers. Both columns, for several seeds.
### BEGIN HIDDEN TESTS
from tlkit.domains import load_domain
from tlkit.grading import check_same


def _nearest_mean(few, seed):
    means = np.stack([few.x[few.y == k].mean(axis=0).ravel() / 255 for k in range(4)])
    return means.T / 255, -(means**2).sum(axis=1) / 2 + 8 * np.cos(seed + np.arange(4))


def _linear(few, seed):
    image = keras.Input((28, 28, 1))
    model = keras.Model(image, keras.layers.Dense(4)(keras.layers.Flatten()(image)))
    model.set_weights(list(_nearest_mean(few, seed)))
    return model


def _rows(domain, train_model, seeds):
    rows = []
    for seed in seeds:
        few = domain.train.take(10, seed=seed)
        kernel, bias = _nearest_mean(few, seed)
        logits = domain.test.x.reshape(len(domain.test), -1) @ kernel + bias
        rows.append([np.mean(logits.argmax(axis=1) == domain.test.y), tlkit.linear_probe(few, domain.test)])
    return np.array(rows)


def _four_digits(rng):
    digits = load_domain("mnist").restrict_to(("3", "5", "8", "9"))
    test = digits.test.take(50, seed=int(rng.integers(1000)))
    return tlkit.Domain("four", digits.train.take(60, seed=801), test, digits.classes), _linear, [5, 17, 2]


check_same(
    compare,
    _rows,
    _four_digits,
    points=1,
    seconds=90,
    megabytes=None,
    seed=802,
    tolerance=0.012,
    reread="part 4 of this notebook, and notebook 03, section 6",
)
### END HIDDEN TESTS

# %% test="compare_keeps_the_test_apart" points=3
# Hidden: what `compare` gives to `train_model`: once for each seed, ten images of each class of the training part, with
# that seed. The test part is for scoring.
### BEGIN HIDDEN TESTS
import keras
import numpy as np

import tlkit
from tlkit.domains import load_domain
from tlkit.grading import call_student

_given = []
_image = keras.Input((28, 28, 1))
_untrained = keras.Model(_image, keras.layers.Dense(3)(keras.layers.Flatten()(_image)))


def _noted(few, seed):
    _given.append((few, seed))
    return _untrained


_digits = load_domain("optdigits").restrict_to(("1", "4", "9"))
_small = tlkit.Domain("three", _digits.train.take(30, seed=811), _digits.test.take(20, seed=812), _digits.classes)
_reread = "part 4 of this notebook, and notebook 07, section 7"
call_student(compare, (_small, _noted, [3, 1]), kind=object, seconds=90, reread=_reread)
_of_test = {image.tobytes() for image in _small.test.x}
for _few, _ in _given:
    if any(image.tobytes() in _of_test for image in _few.x):
        raise AssertionError(f"compare must train on no image of the test part, and did. Reread {_reread}.")
    if sorted(_few.y.tolist()) != sorted([0, 1, 2] * 10):
        raise AssertionError(
            f"compare must train on 10 labels of each of 3 classes, got {len(_few)} labels in all. Reread {_reread}."
        )
if [int(_seed) for _, _seed in _given] != [3, 1]:
    raise AssertionError(
        f"compare must train once for each of two seeds, with that seed, got {len(_given)} trainings. Reread {_reread}."
    )
if any(_few.x.tobytes() != _small.train.take(10, seed=_seed).x.tobytes() for _few, _seed in _given):
    raise AssertionError(f"compare must draw the labels of each seed with that seed, and did not. Reread {_reread}.")
### END HIDDEN TESTS

# %% [markdown]
# Both columns of a row learned from the same labels, so subtract first: $d_i$ is the model's accuracy minus the
# baseline's in draw $i$. What counts is the mean of the $d_i$ and its 95 % confidence interval by Student's t, as in
# ps3.


# %% solution="gain"
def gain(scores):
    """The mean gain over the baseline, and the lower and the upper end of its 95 % interval: three numbers.

    scores has the shape (n, 2), as compare gives it, with n of 2 or more.
    """
    ### BEGIN SOLUTION
    mean, half = tlkit.mean_interval(scores[:, 0] - scores[:, 1])
    return mean, mean - half, mean + half
    ### END SOLUTION


# %% test="gain_any_scores" points=3
import numpy as np

from tlkit.grading import check_example

check_example(
    gain,
    (np.array([[0.9, 0.8], [0.8, 0.6], [0.9, 0.6]]),),
    (0.2, -0.04841, 0.44841),
    reread="notebook 03, section 6, and part 5 of ps3",
)
# Hidden: random scores, in which both columns rise and fall together.
### BEGIN HIDDEN TESTS
import statistics

import scipy.stats

from tlkit.grading import check_same


def _paired(scores):
    gains = [one - other for one, other in scores.tolist()]
    error = statistics.stdev(gains) / len(gains) ** 0.5
    low, high = scipy.stats.t.interval(0.95, len(gains) - 1, loc=statistics.fmean(gains), scale=error)
    return statistics.fmean(gains), low, high


for _seed, _n in enumerate([2, 5, 12]):
    check_same(
        gain,
        _paired,
        lambda rng, n=_n: (rng.uniform(0.4, 0.8, size=(n, 1)) + rng.uniform(0, 0.1, size=(n, 2)) + [0.1, 0],),
        seed=821 + _seed,
        points=2,
        reread="part 4 of this notebook: the interval of the differences",
    )
### END HIDDEN TESTS

# %% [markdown]
# Now your own target. **Predict before you run**, and write it down for part 5: which plan, how large a gain?


# %% solution="my_result"
def my_result():
    """Your plan and your scores: a pair.

    The plan is what choose says of target.train.take(PER_CLASS, seed=0), target being your target, within
    MULTIPLY_ADDS. The scores are what compare gives for it and build_and_train, with the seeds 0 to 4: shape (5, 2).
    Must end within 90 seconds.
    """
    ### BEGIN SOLUTION
    target = load_target()
    plan = choose(target.train.take(PER_CLASS, seed=0), MULTIPLY_ADDS)
    return plan, compare(target, lambda few, seed: build_and_train(few, plan, seed), range(5))
    ### END SOLUTION


# %% test="my_result_is_complete" points=1
from tlkit.grading import call_student, check_result


def in_five_rows(scores):
    fine = len(scores) == 5 and all(len(row) == 2 and 0 <= min(row) <= max(row) <= 1 for row in scores)
    return "" if fine else "must return as scores five rows of two accuracies, 0..1"


def my_scores():
    return scores


my_scores.__name__ = "my_result"
plan, scores = call_student(my_result, (), kind=tuple, seconds=90, reread="part 4 of this notebook")
check_result(my_scores, in_five_rows, lambda rng: (), points=1, dims=2, seed=0, reread="part 4 of this notebook")

# %% test="my_result_is_true" points=3
# Hidden: the plan is chosen again, and two of the five draws are trained and scored again, by the functions above.
### BEGIN HIDDEN TESTS
import keras
import numpy as np

import tlkit
from tlkit.grading import call_student

if {"plan", "scores"} <= globals().keys():
    _said = plan, scores
else:
    _said = call_student(my_result, (), kind=tuple, seconds=90, reread="part 4 of this notebook")
_target = call_student(load_target, (), kind=tlkit.Domain, seconds=90, reread="part 1 of this notebook")
_again = call_student(
    choose, (_target.train.take(10, seed=0), 40_000_000), kind=object, seconds=90, reread="part 2 of this notebook"
)
if [str(_part) for _part in _said[0]] != [str(_part) for _part in _again]:
    raise AssertionError(
        f"my_result must return the plan that choose says, got {tuple(_said[0])} where it says {tuple(_again)}. Reread "
        "part 4 of this notebook."
    )
for _seed in (1, 4):
    _few = _target.train.take(10, seed=_seed)
    _model = call_student(
        build_and_train, (_few, _said[0], _seed), kind=keras.Model, seconds=90, reread="part 3 of this notebook"
    )
    _logits = [np.asarray(_model(_x.astype("float32"), training=False)) for _x in np.array_split(_target.test.x, 4)]
    _of_model = float(np.mean(np.concatenate(_logits).argmax(axis=1) == _target.test.y))
    _of_pixels = tlkit.linear_probe(_few, _target.test)
    _row = [float(_score) for _score in _said[1][_seed]]
    if not (abs(_row[0] - _of_model) <= 0.02 and abs(_row[1] - _of_pixels) <= 0.004):  # NaN too
        raise AssertionError(
            f"my_result must return scores that come out again, but for seed {_seed} it says {_row[0]:.2f} and "
            f"{_row[1]:.2f}, and the functions above give {_of_model:.2f} and {_of_pixels:.2f}. Reread part 4 of this "
            "notebook."
        )
### END HIDDEN TESTS

# %% [markdown]
# Your result, and the test images that the model of draw 0 gets wrong: you need both for part 5. (No points.)

# %%
print("plan:", plan)
print("accuracy of the model, and of the baseline:", *(f"{row[0]:.3f}  {row[1]:.3f}" for row in scores), sep="\n")
print("mean gain {:.3f}, from {:.3f} to {:.3f}".format(*gain(np.asarray(scores))))

# %%
from matplotlib import pyplot as plt

target = load_target()
model = build_and_train(target.train.take(PER_CLASS, seed=0), plan, 0)
answers = tlkit.predict_classes(model, target.test)
wrong = np.flatnonzero(answers != target.test.y)[:12]
for place, i in enumerate(wrong, start=1):
    plt.subplot(2, 6, place).imshow(target.test.x[i, :, :, 0], cmap="gray")
    plt.title(f"{target.classes[target.test.y[i]]}, read {target.classes[answers[i]]}", fontsize=7)
    plt.axis("off")

# %% [markdown] readonly="rubric"
# ## 5. What you saw (30 points, graded by a person)
#
# Four answers, each of four to ten sentences; cells with code, tables and pictures may stand between them. A small gain,
# or none, costs no points: what counts is whether your sentences follow from what you measured.
#
# | | nothing | half | full |
# |---|---|---|---|
# | **a. The target** (6) | what the images are is not said | says what they are and how they were split | also names what could leak although no image is there twice (groups, one source, one session), whether a network has seen such images before, and what was done about it |
# | **b. The choice** (8) | the plan only | the plan, the prediction made before, and how it was decided | also the numbers that decided, those of a runner-up beside them, what the budget excluded, and how sure the choice is with so few labels |
# | **c. The result** (8) | one accuracy | model and baseline, gain and interval | also reads the interval rightly (what varies in it and what does not), says whether the source helped or hurt on this target, and one thing that the result does not show |
# | **d. The errors** (8) | none looked at | examples, and which classes are mixed up | also a pattern with a count, a cause that could be tested, and a next step that fits it, with its cost |

# %% [markdown]
# **a. The target.** What are the images, where do they come from, and how did you split them? What could still leak from
# the training part into the test part? Has a network met such images in its pretraining?

# %% [markdown] written="target_described" points=6
# ### BEGIN SOLUTION
# 600 handwritten digits of mnist, 40 of each class for training and 20 for testing, drawn from the parts that the domain
# comes in. No image is in both. Writers could be: the bundled file does not name them, so that a writer's sevens may
# stand on both sides, and the score may be a little too high for new writers. resnet_printed has seen printed digits,
# with labels, but no handwriting; resnet_fashion has seen neither.
# ### END SOLUTION

# %% [markdown]
# **b. The choice.** What did you predict, what was chosen, and by which numbers? Which plan came second, and how far
# behind? What did the budget exclude? Would other labels have led to the same plan?

# %% [markdown] written="choice_explained" points=8
# ### BEGIN SOLUTION
# Predicted: print, as deep as affordable. Chosen: ("resnet_printed", 4), by three folds over the 100 labels; the cross-
# validated accuracy of each plan stands in a table, with the runner-up (print, depth 3) several points behind, and all
# cuts of resnet_fashion far below. The budget excludes depth 5 of either network. Repeated with the labels of four other
# draws, the choice is the same; between the two best a difference of one or two images would be luck.
# ### END SOLUTION

# %% [markdown]
# **c. The result.** How much did the model gain over the baseline, give or take? What varies behind that interval, and
# what stays the same? Did the source help on this target? Name one thing that your result does *not* show.

# %% [markdown] written="result_read" points=8
# ### BEGIN SOLUTION
# Model and baseline with their means, the mean gain and its interval, which lies above 0: on this target, with ten labels
# of each class, the printed source helps. The interval is over five draws of labels; the test images, the network and
# the plan are the same in all of them, so it does not say how far other test images would move the score. Not shown: that
# it helps with many labels, that fine-tuning would gain nothing, or that it holds for other writers.
# ### END SOLUTION

# %% [markdown]
# **d. The errors.** Look at the images that the model gets wrong. Which classes does it mix up, and how often? What could
# be the cause, and how would you test it? What would you do next, and what would it cost?

# %% [markdown] written="errors_examined" points=8
# ### BEGIN SOLUTION
# The confusions with their counts (most often 4 and 9, or 7 and 2), examples, and a cause: slanted or broken strokes that
# print does not have. A test of it: straighten the slant of the test images, and count these errors again. A next step
# that fits: rotated and sheared views of the same labels, for a few passes more through the frozen network; or ten more
# labels of just the classes that are mixed up.
# ### END SOLUTION
