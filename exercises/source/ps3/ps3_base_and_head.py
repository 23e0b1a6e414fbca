# %% [markdown]
# # ps3 · Base and head
#
# **Question: can you put a head on a base, train it without moving the base, and say how much a few labels are worth,
# give or take?**
#
# Takes 60 to 90 minutes, without a network. Work through notebook 03 first, and section 2 of notebook 04.
#
# **How it works.** Replace each `raise NotImplementedError()` by your code, and keep the names of the functions. The
# cells below yours hold examples: run them as often as you like. After you have handed in, more tests run. They look at
# what your functions do, not at how you wrote them: which weights moved, what a model gives, how the scores behave.
# What each of them looks at is written in its cell. Use Keras, NumPy, scikit-learn, tlkit, what you like.
#
# | word | meaning here |
# |---|---|
# | base | a Keras model from images to feature maps (n, h, w, c): the backbone, without its head |
# | head | what comes after it, and ends in one logit a class |
# | frozen | not one weight moves in training, BatchNorm's moving statistics included |

# %% readonly="setup"
import tlkit

tlkit.quiet_start()  # or TensorFlow's start-up lines would stand here in red

import keras
import numpy as np
from threadpoolctl import threadpool_limits

limits = threadpool_limits(1)  # on arrays this small, several threads of scikit-learn wait for each other


def toy_base(seed, channels=4):
    """A base small enough to try things on: from 8 x 8 grey images, 0..255, to feature maps of 4 x 4."""
    start = keras.initializers.GlorotUniform(seed=seed)
    image = keras.Input((8, 8, 1))
    x = keras.layers.Rescaling(1 / 255)(image)
    x = keras.layers.Conv2D(channels, 3, strides=2, padding="same", kernel_initializer=start)(x)
    x = keras.layers.BatchNormalization(momentum=0.9)(x)
    return keras.Model(image, keras.layers.ReLU()(x), name="base")


# %% [markdown]
# ## 1. Build (16 points)
#
# A head averages the feature maps over their positions and ends in a dense layer: **one logit a class, and no
# softmax**; the loss takes logits.


# %% solution="build"
def build(base, n_classes):
    """A Keras model from what the base takes to logits (n, n_classes): the base itself, no copy, with a new head."""
    ### BEGIN SOLUTION
    pooled = keras.layers.GlobalAveragePooling2D()(base.output)
    return keras.Model(base.input, keras.layers.Dense(n_classes)(pooled))
    ### END SOLUTION


# %% test="build_gives_logits" points=8
import keras
import numpy as np

from tlkit.grading import call_student, check_logits

five_images = np.random.default_rng(0).integers(0, 256, size=(5, 8, 8, 1)).astype("float32")
three_classes = call_student(build, (toy_base(0), 3), kind=keras.Model, reread="notebook 03, section 3")
check_logits(three_classes, five_images, 3, reread="notebook 03, section 3")
# Hidden: other bases, other numbers of classes.
### BEGIN HIDDEN TESTS


def _base(seed, size, channels, n_maps):
    image = keras.Input((size, size, channels))
    start = keras.initializers.GlorotUniform(seed=seed)
    x = keras.layers.Conv2D(n_maps, 3, strides=2, kernel_initializer=start)(image)
    return keras.Model(image, keras.layers.ReLU()(keras.layers.BatchNormalization()(x)))


for _seed, (_size, _channels, _n_maps, _K) in enumerate([(8, 1, 4, 2), (12, 3, 6, 7)]):
    _images = np.random.default_rng(_seed).normal(scale=50, size=(6, _size, _size, _channels)).astype("float32")
    _model = call_student(
        build, (_base(_seed, _size, _channels, _n_maps), _K), kind=keras.Model, reread="notebook 03, section 3"
    )
    check_logits(_model, _images, _K, reread="notebook 03, section 3, on what a head ends in")
### END HIDDEN TESTS

# %% test="build_shares_the_base" points=8
# Hidden: when a weight of the base changes, the model's logits change with it. The base itself comes out as it was.
### BEGIN HIDDEN TESTS
import keras
import numpy as np

from tlkit.grading import call_student, check_unmoved, copy_weights


def _one_layer(seed):
    image = keras.Input((6, 6, 2))
    start = keras.initializers.GlorotUniform(seed=seed)
    return keras.Model(image, keras.layers.Conv2D(5, 3, kernel_initializer=start)(image))


_small = _one_layer(3)
_before = copy_weights(_small)
_built = call_student(build, (_small, 4), kind=keras.Model, reread="notebook 03, section 3")
check_unmoved(_before, _small, reread="part 1 of this notebook: the base itself")
_noise = np.random.default_rng(3).normal(size=(4, 6, 6, 2)).astype("float32")
_built(_noise, training=False)
_draw = np.random.default_rng(4)  # a head may start with zeros: not one that shows the base
_built.set_weights([_draw.uniform(0.1, 1, size=weight.shape) for weight in _built.get_weights()])
_was = np.asarray(_built(_noise, training=False)).tolist()
_small.set_weights([weight + 1 for weight in _small.get_weights()])
if np.asarray(_built(_noise, training=False)).tolist() == _was:
    raise AssertionError("build must use the base itself and not a copy of it. Reread part 1 of this notebook.")
### END HIDDEN TESTS

# %% [markdown]
# ## 2. Features (12 points)
#
# A frozen base gives the same features in each epoch. So compute them once. BatchNorm must run as it does after
# training, on its moving statistics: an image's features depend on that image alone.


# %% solution="pooled_features"
def pooled_features(base, images):
    """The base's feature maps of each image, averaged over their positions: an array of shape (n, channels)."""
    ### BEGIN SOLUTION
    return np.mean(base(images, training=False), axis=(1, 2))
    ### END SOLUTION


# %% test="pooled_features_any_base" points=12
import keras
import numpy as np

from tlkit.grading import check_example

# A base that gives each pixel and its double: the features are the mean pixel and its double.
pixels = keras.Input((2, 2, 1))
doubling = keras.Model(pixels, keras.layers.Conv2D(2, 1, use_bias=False)(pixels))
doubling.set_weights([np.array([1.0, 2.0]).reshape(1, 1, 1, 2)])


def features_of_doubling(images):
    return pooled_features(doubling, images)


features_of_doubling.__name__ = "pooled_features"
one_image = np.array([[1.0, 2.0], [3.0, 6.0]], "float32").reshape(1, 2, 2, 1)
check_example(features_of_doubling, (one_image,), [[3.0, 6.0]], reread="notebook 03, section 3")
# Hidden: random bases with BatchNorm, batches of several sizes, feature maps that are not square.
### BEGIN HIDDEN TESTS
from tlkit.grading import check_same, check_unmoved, copy_weights

_image = keras.Input((4, 6, 2))
_maps = keras.layers.Conv2D(3, 1, use_bias=False)(_image)
_linear = keras.Model(_image, keras.layers.BatchNormalization(epsilon=1e-3)(_maps))
_draw = np.random.default_rng(501)
_kernel, *_four = [_draw.normal(size=(2, 3)), *_draw.uniform(0.5, 2, size=(4, 3))]
_linear.set_weights([_kernel.reshape(1, 1, 2, 3), *_four])


def _features(images):
    return pooled_features(_linear, images)


def _by_hand(images):
    gamma, beta, mean, variance = _four
    return gamma * (images.mean(axis=(1, 2)) @ _kernel - mean) / np.sqrt(variance + 1e-3) + beta


_features.__name__ = "pooled_features"
_before = copy_weights(_linear)
for _n in (1, 5, 40):
    check_same(
        _features,
        _by_hand,
        lambda rng, n=_n: (rng.normal(size=(n, 4, 6, 2)).astype("float32"),),
        points=1,
        megabytes=None,
        seconds=20,
        seed=511,
        tolerance=1e-3,
        reread="notebook 03, section 3",
    )
check_unmoved(_before, _linear, reread="part 2 of this notebook: the base is only read")
### END HIDDEN TESTS

# %% [markdown]
# ## 3. Train the head (30 points)
#
# Freeze the base, compile, fit: in that order. Whether it is frozen shows in the weights, and nowhere else. BatchNorm's
# moving statistics are weights too, though no gradient moves them.


# %% solution="train_head"
def train_head(model, base, images, labels, epochs, learning_rate):
    """Train everything in the model except the base, with Adam and cross-entropy on the logits.

    The model takes images and ends in logits; the base is a part of it, and may come frozen or not. labels are
    integers, one an image. The model comes out trained: nothing need be returned.
    """
    ### BEGIN SOLUTION
    base.trainable = False
    model.compile(keras.optimizers.Adam(learning_rate), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(images, labels, epochs=epochs, verbose=0)
    ### END SOLUTION


# %% test="train_head_keeps_the_base" points=12
import keras
import numpy as np

from tlkit.grading import call_student, check_unmoved, copy_weights

small_base = toy_base(0)
small_model = keras.Sequential([small_base, keras.layers.Flatten(), keras.layers.Dense(2)])
half_black = np.zeros((8, 8, 8, 1), "float32")
half_black[::2] = 255
before = copy_weights(small_base)
call_student(
    train_head, (small_model, small_base, half_black, np.arange(8) % 2, 2, 0.1), kind=object, reread="notebook 04"
)
kernels = [layer.name for layer in small_base.layers if isinstance(layer, keras.layers.Conv2D)]
check_unmoved(before, small_base, layers=kernels, reread="notebook 03, section 3, and notebook 04")
# Hidden: a model of another form, which was trained before, all of it. No kernel of the base may move.
### BEGIN HIDDEN TESTS
_image = keras.Input((6, 6, 2))
_base = keras.Model(_image, keras.layers.Conv2D(5, 3, activation="relu")(keras.layers.Conv2D(3, 1)(_image)))
_whole = keras.Model(_image, keras.layers.Dense(3)(keras.layers.Flatten()(_base(_image))))
_x = np.random.default_rng(521).normal(size=(12, 6, 6, 2)).astype("float32")
_whole.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
_whole.fit(_x, np.arange(12) % 3, verbose=0)
_before = copy_weights(_base)
call_student(train_head, (_whole, _base, _x, np.arange(12) % 3, 2, 0.1), kind=object, reread="notebook 04")
check_unmoved(_before, _base, reread="notebook 04: freeze first, then compile")
### END HIDDEN TESTS

# %% test="train_head_keeps_batchnorm" points=8
# Hidden: in training, BatchNorm's moving statistics, its scale and its shift stay as they are.
### BEGIN HIDDEN TESTS
import keras
import numpy as np

from tlkit.grading import call_student, check_batchnorm_still, check_unmoved, copy_weights

_image = keras.Input((6, 6, 1))
_base = keras.Model(_image, keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3)(_image)))
_whole = keras.Sequential([_base, keras.layers.Flatten(), keras.layers.Dense(3)])
_x = np.random.default_rng(531).normal(5, 3, size=(12, 6, 6, 1)).astype("float32")
_before = copy_weights(_base)
call_student(train_head, (_whole, _base, _x, np.arange(12) % 3, 2, 0.1), kind=object, reread="notebook 04")
check_batchnorm_still(_before, _base, reread="notebook 04, on BatchNorm")
_norms = [layer.name for layer in _base.layers if isinstance(layer, keras.layers.BatchNormalization)]
check_unmoved(_before, _base, layers=_norms, reread="notebook 04, on BatchNorm")
### END HIDDEN TESTS

# %% test="train_head_learns" points=10
# Hidden: on images that are easy to tell apart, the loss falls to less than half.
### BEGIN HIDDEN TESTS
import keras
import numpy as np
import scipy.special

from tlkit.grading import call_student, check_moved, copy_weights

_start = keras.initializers.GlorotUniform(seed=7)
_base = keras.Sequential(
    [keras.Input((8, 8, 1)), keras.layers.Conv2D(8, 3, activation="relu", kernel_initializer=_start)]
)
_start = keras.initializers.GlorotUniform(seed=8)
_head = keras.layers.Dense(3, kernel_initializer=_start)
_whole = keras.Sequential([_base, keras.layers.GlobalAveragePooling2D(), _head])
_labels = np.arange(24) % 3
_x = np.random.default_rng(541).normal(scale=0.2, size=(24, 8, 8, 1))
_x[_labels == 0, ::2] += 3  # stripes one way, the other way, and none
_x[_labels == 1, :, ::2] += 3
_x = _x.astype("float32")


def _loss():
    logits = np.asarray(_whole(_x, training=False), dtype=float)
    return float(-scipy.special.log_softmax(logits, axis=1)[np.arange(24), _labels].mean())


_before, _loss_before = copy_weights(_whole), _loss()
call_student(train_head, (_whole, _base, _x, _labels, 30, 0.1), kind=object, reread="notebook 03, section 4")
check_moved(_before, _whole, layers=[_head.name], reread="notebook 03, section 4")
_loss_after = _loss()
if not _loss_after < _loss_before / 2:
    raise AssertionError(
        f"train_head must bring the loss down to less than half, got {_loss_before:.2f} before and {_loss_after:.2f} "
        "after 30 epochs. Reread notebook 03, section 4."
    )
### END HIDDEN TESTS

# %% [markdown]
# ## 4. A few labels (14 points)
#
# You can afford `per_class` labels of each class. Which ones is a matter of luck, so draw them at random, and be able
# to draw the same ones again.


# %% solution="few_labels"
def few_labels(labels, per_class, seed):
    """The indices of a random sample with per_class examples of each class that occurs, without replacement.

    An integer array of shape (per_class * number of classes,), in any order: the same for the same seed, and another
    for another seed.
    """
    ### BEGIN SOLUTION
    rng = np.random.default_rng(seed)
    return np.concatenate(
        [rng.choice(np.flatnonzero(labels == name), per_class, replace=False) for name in np.unique(labels)]
    )
    ### END SOLUTION


# %% test="few_labels_examples" points=4
import numpy as np

from tlkit.grading import check_result


def all_of_them(chosen, labels, per_class, seed):
    # Two examples of each of two classes is all there is.
    return "" if sorted(chosen) == [0, 1, 2, 3] else f"must choose each example once here, got {chosen}"


check_result(
    few_labels, all_of_them, lambda rng: (np.array([1, 0, 0, 1]), 2, 0), dims=1, seed=0, reread="notebook 03, section 1"
)

# %% test="few_labels_of_each_class" points=6
# Hidden: classes of unequal size, in any order, with numbers that leave gaps. No example twice.
### BEGIN HIDDEN TESTS
import numpy as np

from tlkit.grading import check_result


def _even(chosen, labels, per_class, seed):
    labels = labels.tolist()
    if len(set(chosen)) != len(chosen) or not all(0 <= i < len(labels) and i == int(i) for i in chosen):
        return f"must choose indices in 0..{len(labels) - 1}, none of them twice"
    counts = {name: sum(labels[int(i)] == name for i in chosen) for name in set(labels)}
    even = all(count == per_class for count in counts.values())
    return "" if even else f"must choose {per_class} of each class, got {sorted(counts.values())}"


def _pool(rng):
    names = rng.choice(20, size=4, replace=False)
    return rng.permutation(np.repeat(names, [3, 20, 40, 8])), int(rng.integers(1, 4)), int(rng.integers(100))


check_result(few_labels, _even, _pool, dims=1, points=10, seed=551, reread="part 4 of this notebook")
### END HIDDEN TESTS

# %% test="few_labels_by_seed" points=4
# Hidden: the same seed gives the same sample. Over many seeds, every example is chosen at some time.
### BEGIN HIDDEN TESTS
import numpy as np

from tlkit.grading import check_result


def _samples(labels):
    draws = [[int(i) for i in few_labels(labels, 2, seed)] for seed in range(60)]
    again = [[int(i) for i in few_labels(labels, 2, seed)] for seed in range(60)]
    return [int(draws == again), len({i for draw in draws for i in draw})]


def _varied(result, labels):
    if not result[0]:
        return "must choose the same examples for the same seed"
    return "" if result[1] == len(labels) else "must choose among all examples, not the same ones for many seeds"


_samples.__name__ = "few_labels"
check_result(
    _samples,
    _varied,
    lambda rng: (rng.permutation(np.arange(18) % 3),),
    dims=1,
    points=2,
    seed=561,
    reread="part 4 of this notebook",
)
### END HIDDEN TESTS

# %% [markdown]
# ## 5. Give or take (10 points)
#
# Scores over $n$ draws of labels have a mean $\bar a$ and a standard deviation $s$ (the one with $n - 1$). The 95 %
# confidence interval of the mean is $\bar a \pm t\, s / \sqrt n$. With few draws $t$ is not 1.96: it is the 0.975
# quantile of Student's t distribution with $n - 1$ degrees of freedom (`scipy.stats.t.ppf`).


# %% solution="interval"
def interval(scores):
    """The mean of two scores or more, and half the width of its 95 % confidence interval: two numbers."""
    ### BEGIN SOLUTION
    from scipy import stats

    half = stats.t.ppf(0.975, len(scores) - 1) * np.std(scores, ddof=1) / np.sqrt(len(scores))
    return np.mean(scores), half
    ### END SOLUTION


# %% test="interval_any_scores" points=10
import numpy as np

from tlkit.grading import check_example

check_example(interval, (np.array([0.7, 0.8, 0.9]),), (0.8, 0.24841), reread="notebook 03, section 6")
# Hidden: random scores, two of them and many.
### BEGIN HIDDEN TESTS
import statistics

import scipy.stats

from tlkit.grading import check_same


def _interval(scores):
    low, high = scipy.stats.t.interval(
        0.95, len(scores) - 1, loc=statistics.fmean(scores), scale=statistics.stdev(scores) / len(scores) ** 0.5
    )
    return (low + high) / 2, (high - low) / 2


for _seed, _n in enumerate([2, 3, 5, 30]):
    check_same(
        interval,
        _interval,
        lambda rng, n=_n: (rng.uniform(0.6, 0.95, size=n),),
        points=2,
        seed=571 + _seed,
        reread="part 5 of this notebook",
    )
### END HIDDEN TESTS

# %% [markdown]
# ## 6. The few-shot experiment (18 points)
#
# For each seed: draw a few labels, train a classifier on the features of those alone, score it on the whole test part.
# The test part is for scoring: nothing may be learned from it, neither from its labels nor from its features.


# %% solution="few_shot_scores"
def few_shot_scores(features, labels, test_features, test_labels, per_class, seeds):
    """The test accuracy, 0..1, of a classifier on per_class examples of each class: one number for each seed.

    features has the shape (n, d), labels (n,), and so for the test part. Any classifier will do that is about as good
    as a logistic regression.
    """
    ### BEGIN SOLUTION
    from sklearn.linear_model import LogisticRegression

    scores = []
    for seed in seeds:
        few = few_labels(labels, per_class, seed)
        probe = LogisticRegression(max_iter=500).fit(features[few], labels[few])
        scores.append(probe.score(test_features, test_labels))
    return scores
    ### END SOLUTION


# %% test="few_shot_scores_learn" points=8
import numpy as np

from tlkit.grading import check_result

# Two classes that nobody can mix up.
two = np.arange(20) % 2


def without_mistake(scores, *arguments):
    return "" if scores == [1, 1, 1] else f"must be [1, 1, 1] for classes that lie far apart, got {scores}"


check_result(
    few_shot_scores,
    without_mistake,
    lambda rng: (
        two[:, None] * 100.0 + np.arange(20)[:, None],
        two,
        np.array([[5.0], [105.0]]),
        np.arange(2),
        3,
        range(3),
    ),
    dims=1,
    points=1,
    seed=0,
    reread="notebook 03, section 6",
)
# Hidden: random classes that overlap. Ten labels of each are nearly as good as all, and better than one.
### BEGIN HIDDEN TESTS


def _clouds(rng, per_class):
    means = rng.normal(scale=1.4, size=(4, 6))
    labels, test_labels = rng.permutation(np.arange(120) % 4), rng.permutation(np.arange(240) % 4)
    features, test = (means[y] + rng.normal(size=(len(y), 6)) for y in (labels, test_labels))
    return features, labels, test, test_labels, per_class, range(6)


def _nearest_mean(features, labels, test, test_labels):
    means = np.stack([features[labels == k].mean(axis=0) for k in range(4)])
    return float((((test[:, None] - means) ** 2).sum(axis=2).argmin(axis=1) == test_labels).mean())


def _good(scores, features, labels, test, test_labels, per_class, seeds):
    mean, wanted = sum(scores) / len(scores), _nearest_mean(features, labels, test, test_labels)
    good = wanted - 0.12 < mean <= 1
    return "" if good else f"must come near {wanted:.2f} on average here, which all labels give, got {mean:.2f}"


def _poor(scores, features, labels, test, test_labels, per_class, seeds):
    mean, wanted = sum(scores) / len(scores), _nearest_mean(features, labels, test, test_labels)
    poor = 0.25 < mean < wanted - 0.05
    return "" if poor else f"must be clearly worse with one label a class than {wanted:.2f} with all, got {mean:.2f}"


for _per_class, _judge in ((10, _good), (1, _poor)):
    check_result(
        few_shot_scores,
        _judge,
        lambda rng, per_class=_per_class: _clouds(rng, per_class),
        dims=1,
        points=2,
        seconds=15,
        seed=581,
        reread="notebook 03, section 6",
    )
### END HIDDEN TESTS

# %% test="few_shot_scores_leak_nothing" points=6
# Hidden: with test labels that mean nothing, the score is chance. And the score of a test image does not depend on the
# other test images: the score of the whole is the mean of those of its halves.
### BEGIN HIDDEN TESTS
import numpy as np

from tlkit.grading import check_result


def _meaningless(rng):
    features, labels = rng.normal(size=(90, 5)), rng.permutation(np.arange(90) % 3)
    return features + 3 * np.eye(5)[labels], labels, rng.normal(size=(300, 5)), np.arange(300) % 3, 5, range(4)


def _chance(scores, *arguments):
    mean = sum(scores) / len(scores)
    return "" if abs(mean - 1 / 3) < 0.12 else f"must be at chance for test labels that mean nothing, got {mean:.2f}"


def _halves(features, labels, test, test_labels, per_class, seeds):
    parts = (slice(None), slice(0, 100), slice(100, 200))
    return [
        [float(s) for s in few_shot_scores(features, labels, test[i], test_labels[i], per_class, seeds)] for i in parts
    ]


def _unequal(rng):
    labels, test_labels = rng.permutation(np.arange(90) % 3), np.sort(np.arange(200) % 3)
    features, test = (rng.normal(size=(len(y), 5)) + 1.2 * np.eye(5)[y] for y in (labels, test_labels))
    test[100:] = test[100:] * 3 + 2
    return features * [1, 1, 9, 1, 1], labels, test * [1, 1, 9, 1, 1], test_labels, 5, range(4)


def _additive(scores, *arguments):
    fair = all(abs(whole - (one + other) / 2) < 1e-6 for whole, one, other in zip(*scores, strict=True))
    return "" if fair else "must score each test image by itself, whatever other test images there are"


_halves.__name__ = "few_shot_scores"
for _student, _judge, _draw, _dims in (
    (few_shot_scores, _chance, _meaningless, 1),
    (_halves, _additive, _unequal, 2),
):
    check_result(_student, _judge, _draw, dims=_dims, points=2, seconds=15, seed=591, reread="part 6 of this notebook")
### END HIDDEN TESTS

# %% test="few_shot_scores_over_seeds" points=4
# Hidden: one score for each seed, the same again for the same seed, and different ones for different seeds.
### BEGIN HIDDEN TESTS
import numpy as np

from tlkit.grading import check_result


def _twice(features, labels, test, test_labels, per_class, seeds):
    runs = [few_shot_scores(features, labels, test, test_labels, per_class, seeds) for seeds in (seeds, seeds[::-1])]
    return [[float(score) for score in run] for run in runs]


def _each_its_own(scores, features, labels, test, test_labels, per_class, seeds):
    one, other = scores
    if len(one) != len(seeds):
        return f"must return a score for each of {len(seeds)} seeds, got {len(one)}"
    if not all(abs(a - b) <= 1e-9 for a, b in zip(one, other[::-1], strict=True)):  # NaN fails too
        return "must give the same score for the same seed"
    return "" if len(set(one)) > 2 else "must draw other labels for other seeds, and got the same scores"


def _overlapping(rng):
    labels, test_labels = rng.permutation(np.arange(90) % 3), np.arange(150) % 3
    features, test = (rng.normal(size=(len(y), 4)) + 1.5 * np.eye(4)[y] for y in (labels, test_labels))
    return features, labels, test, test_labels, 2, [4, 8, 15, 16, 23, 42]


_twice.__name__ = "few_shot_scores"
check_result(
    _twice, _each_its_own, _overlapping, dims=2, points=2, seconds=15, seed=601, reread="part 6 of this notebook"
)
### END HIDDEN TESTS

# %% [markdown]
# ## 7. All of it together (no points)
#
# Features of the bundled network, which has seen print only, and handwriting with 1, 3 and 10 labels of each digit.
# **Predict before you run:** how wide are the intervals, and where do those of raw pixels lie (every second row
# and column of them)?

# %%
import tlkit

mnist = tlkit.load_domain("mnist")
pool, test = mnist.train.take(20, seed=0), mnist.test.take(30, seed=0)
base = tlkit.load_backbone("resnet_printed").model
parts = {
    "print": [pooled_features(base, part.x.astype("float32")) for part in (pool, test)],
    "pixels": [part.x[:, ::2, ::2].reshape(len(part), -1) / 255 for part in (pool, test)],
}

# %%
for name, (x, x_test) in parts.items():
    for per_class in (1, 3, 10):
        mean, half = interval(np.array(few_shot_scores(x, pool.y, x_test, test.y, per_class, range(5))))
        print(f"{name:8} {10 * per_class:4} labels: {mean:.3f} ± {half:.3f}")
