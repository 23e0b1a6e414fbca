# %% [markdown]
# # ps11 · Captions and control
#
# **Question: which caption belongs to which picture, and did a policy that was learned elsewhere give a better start?**
#
# Takes 60 to 90 minutes, without a network. Work through notebooks 19 and 20 first: part 1 is from 19, part 2 is from
# 20.
#
# **How it works.** Replace each `raise NotImplementedError()` by your code, and keep the names of the functions. The
# cells below yours hold examples: run them as often as you like. After you have handed in, more tests run, at random
# points. They compare numbers, not spelling: any formula, loop or library that gives the right numbers is right. What
# each of them looks at is written in its cell. NumPy and SciPy are all that you need. A function of yours may call
# those above it.
#
# | word | meaning here |
# |---|---|
# | caption | the text that belongs to a picture |
# | vector | what a tower makes of a picture or of a text; all of them have the same length $d$ |
# | cosine | the scalar product of two vectors that were divided by their lengths, $\sqrt{\sum_i v_i^2}$ each |
# | return | the sum of an episode's rewards, discounted or not |
# | jump start | how much higher the returns are at the beginning of the training on the target |

# %% readonly="setup"
import numpy as np
import scipy.stats

# %% [markdown]
# ## 1. Pictures and captions (51 points)
#
# Two towers have made vectors of pictures and of texts. All that follows stands on their cosines, in a table with a
# row per picture and a column per text. (`tlkit.cosines` has it the other way round: a row per text.)


# %% solution="cosines"
def cosines(images, texts):
    """The cosine of each image with each text: an array of shape (n, m), a row per image and a column per text.

    images has the shape (n, d), texts the shape (m, d). A vector whose numbers are all 0 has the cosine 0 with every
    vector. All other vectors have lengths between 0.01 and 100.
    """
    ### BEGIN SOLUTION
    lengths = [np.linalg.norm(vectors, axis=1, keepdims=True) for vectors in (images, texts)]
    return (images / np.where(lengths[0] == 0, 1, lengths[0])) @ (texts / np.where(lengths[1] == 0, 1, lengths[1])).T
    ### END SOLUTION


# %% test="cosines_any_vectors" points=7
import numpy as np

from tlkit.grading import check_example

# One image along the first axis; a text along it, one along the other axis, and one between the two.
check_example(
    cosines,
    (np.array([[2.0, 0.0]]), np.array([[0.5, 0.0], [0.0, 3.0], [3.0, 4.0]])),
    [[1.0, 0.0, 0.6]],
    reread="part 1 of this notebook",
)
# Hidden: random vectors of other lengths and numbers, none of which is 0.
### BEGIN HIDDEN TESTS
import scipy.spatial.distance

from tlkit.grading import check_same


def _vectors(rng):
    d = int(rng.integers(2, 9))
    images, texts = (rng.normal(size=(int(rng.integers(1, 8)), d)) for _ in range(2))
    return images * rng.uniform(0.3, 9, size=(len(images), 1)), texts * rng.uniform(0.3, 9, size=(len(texts), 1))


check_same(
    cosines,
    lambda images, texts: 1 - scipy.spatial.distance.cdist(images, texts, "cosine"),
    _vectors,
    seed=1401,
    points=8,
    tolerance=1e-3,
    reread="part 1 of this notebook",
)
### END HIDDEN TESTS

# %% test="cosines_of_zero" points=4
# Hidden: some of the images and of the texts are 0 throughout.
### BEGIN HIDDEN TESTS
import numpy as np

from tlkit.grading import check_same


def _cosines_one_by_one(images, texts):
    found = np.zeros((len(images), len(texts)))
    for i, j in np.ndindex(*found.shape):
        if images[i].any() and texts[j].any():
            found[i, j] = images[i] @ texts[j] / np.sqrt((images[i] @ images[i]) * (texts[j] @ texts[j]))
    return found


def _some_zero(rng):
    images, texts = rng.normal(size=(5, 4)), rng.normal(size=(6, 4))
    images[rng.integers(5)] = 0
    texts[rng.permutation(6)[:2]] = 0
    return images, texts


check_same(
    cosines,
    _cosines_one_by_one,
    _some_zero,
    seed=1402,
    tolerance=1e-3,
    reread="part 1 of this notebook, on vectors whose numbers are all 0",
)
### END HIDDEN TESTS

# %% [markdown]
# The loss that trains both towers (Radford et al., 2021, arXiv:2103.00020): $n$ images and their $n$ texts, with
# cosines $c_{ij}$ of image $i$ and text $j$ and the temperature $\tau$:
#
# $$L = -\frac{1}{2n} \sum_{i=1}^{n} \Bigl( \log \frac{e^{c_{ii}/\tau}}{\sum_j e^{c_{ij}/\tau}}
# + \log \frac{e^{c_{ii}/\tau}}{\sum_j e^{c_{ji}/\tau}} \Bigr)$$
#
# A temperature may be small. With $\tau = 0.001$ a cosine of 1 has the exponential $e^{1000}$, which no float can hold.
# The loss is an ordinary number all the same: $\log \sum_j e^{z_j} = m + \log \sum_j e^{z_j - m}$, for any $m$.


# %% solution="contrastive_loss"
def contrastive_loss(images, texts, temperature):
    """The loss above, one number. images and texts have the shape (n, d), and row i of both belongs together.

    The vectors may have any length but 0. The temperature is above 0. The result is finite for each of them.
    """
    ### BEGIN SOLUTION
    images, texts = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True) for vectors in (images, texts))
    logits = images @ texts.T / temperature
    losses = []
    for table in (logits, logits.T):
        most = table.max(axis=1)
        losses.append(np.mean(most + np.log(np.exp(table - most[:, None]).sum(axis=1)) - np.diag(table)))
    return np.mean(losses)
    ### END SOLUTION


# %% test="contrastive_loss_any_batch" points=9
import numpy as np

from tlkit.grading import check_example

# Both images and both texts point the same way: each of two answers is as likely as the other, and the loss is log 2.
check_example(
    contrastive_loss,
    (np.array([[1.0, 1.0], [2.0, 2.0]]), np.array([[3.0, 3.0], [1.0, 1.0]]), 0.1),
    0.693147,
    reread="part 1 of this notebook",
)
# Hidden: random batches of other sizes, at temperatures between 0.07 and 1.
### BEGIN HIDDEN TESTS
import scipy.special

from tlkit.grading import check_same


def _loss_of_batch(images, texts, temperature):
    c = np.array([[i @ t / np.sqrt((i @ i) * (t @ t)) for t in texts] for i in images]) / temperature
    own = np.arange(len(c))
    forth, back = (scipy.special.log_softmax(c, axis=axis)[own, own] for axis in (1, 0))
    return -(forth.sum() + back.sum()) / (2 * len(c))


def _batch(rng):
    images = rng.normal(size=(int(rng.integers(4, 10)), 3))
    texts = images + 1.5 * rng.normal(size=images.shape)
    scales = rng.uniform(0.4, 5, size=(2, len(images), 1))
    return images * scales[0], texts * scales[1], float(rng.uniform(0.07, 1))


check_same(
    contrastive_loss,
    _loss_of_batch,
    _batch,
    seed=1403,
    points=8,
    tolerance=1e-3,
    reread="part 1 of this notebook, on the loss",
)
### END HIDDEN TESTS

# %% test="contrastive_loss_large_logits" points=6
# Hidden: the same at temperatures between 0.0001 and 0.001.
### BEGIN HIDDEN TESTS
import numpy as np
import scipy.special

from tlkit.grading import check_same


def _loss_of_cold_batch(images, texts, temperature):
    c = np.array([[i @ t / np.sqrt((i @ i) * (t @ t)) for t in texts] for i in images]) / temperature
    own = np.arange(len(c))
    forth, back = (scipy.special.log_softmax(c, axis=axis)[own, own] for axis in (1, 0))
    return -(forth.sum() + back.sum()) / (2 * len(c))


check_same(
    contrastive_loss,
    _loss_of_cold_batch,
    lambda rng: (rng.normal(size=(7, 4)), 2 * rng.normal(size=(7, 4)), float(10 ** rng.uniform(-4, -3))),
    seed=1404,
    tolerance=1e-3,
    reread="part 1 of this notebook, on exponentials that no float can hold",
)
### END HIDDEN TESTS

# %% [markdown]
# **Retrieval, both ways.** Each image has one caption, and a caption may have several images, such as those of several
# vendors. There are two questions:
#
# - *A text for an image.* It is found if **fewer than k** texts **other than the image's own** have a cosine with this
#   image that is **as high as, or higher than,** the cosine of its own text.
# - *An image for a text.* It is found if for **at least one** of the text's own images **fewer than k** images **of
#   other texts** have a cosine with this text that is as high as, or higher than, the cosine of that own image.
#
# So a tie counts against you: a tower that makes the same vector of everything finds nothing.


# %% solution="top_k"
def top_k(similarities, text_of, k):
    """Two shares, 0..1: of the images for which their text is found, and of the texts for which an image is found.

    similarities has the shape (n, m), a row per image and a column per text. text_of has the shape (n,): the column of
    each image's own text. Each text has one image or more. k is 1 or more.
    """
    ### BEGIN SOLUTION
    own = text_of[:, None] == np.arange(similarities.shape[1])
    of_own = similarities[np.arange(len(text_of)), text_of]
    texts_ahead = ((similarities >= of_own[:, None]) & ~own).sum(axis=1)
    best_own = np.where(own, similarities, -np.inf).max(axis=0)
    images_ahead = ((similarities >= best_own) & ~own).sum(axis=0)
    return np.mean(texts_ahead < k), np.mean(images_ahead < k)
    ### END SOLUTION


# %% test="top_k_one_image_each" points=5
import numpy as np

from tlkit.grading import check_example

# Each image's own text is its best but for the last image. Text 0 has its own image first, text 1 too, text 2 has not.
check_example(
    top_k,
    (np.array([[0.9, 0.1, 0.5], [0.2, 0.8, 0.0], [0.3, 0.6, 0.4]]), np.array([0, 1, 2]), 1),
    (2 / 3, 2 / 3),
    reread="part 1 of this notebook, on retrieval",
)
# Hidden: random similarities without ties, with as many images as texts, in any order.
### BEGIN HIDDEN TESTS
from tlkit.grading import check_same


def _by_ranks(similarities, text_of, k):
    texts = [t in np.argsort(-row)[:k] for row, t in zip(similarities, text_of, strict=True)]
    images = [any(text_of[i] == t for i in np.argsort(-similarities[:, t])[:k]) for t in range(similarities.shape[1])]
    return sum(texts) / len(texts), sum(images) / len(images)


def _one_each(rng):
    n = int(rng.integers(8, 14))
    text_of = rng.permutation(n)
    return rng.normal(size=(n, n)) + 1.3 * (text_of[:, None] == np.arange(n)), text_of, int(rng.integers(1, 4))


check_same(
    top_k,
    _by_ranks,
    _one_each,
    seed=1405,
    points=8,
    reread="part 1 of this notebook, on retrieval",
)
### END HIDDEN TESTS

# %% test="top_k_several_images" points=6
# Hidden: the same where texts have one to four images.
### BEGIN HIDDEN TESTS
import numpy as np

from tlkit.grading import check_same


def _by_ranks_of_others(similarities, text_of, k):
    """An image is found if one of its text's own is among the first k: others of the text are no rivals of the best."""
    texts = [t in np.argsort(-row)[:k] for row, t in zip(similarities, text_of, strict=True)]
    images = [any(text_of[i] == t for i in np.argsort(-similarities[:, t])[:k]) for t in range(similarities.shape[1])]
    return sum(texts) / len(texts), sum(images) / len(images)


def _several_each(rng):
    m = int(rng.integers(8, 12))
    text_of = rng.permutation(np.repeat(np.arange(m), rng.integers(1, 5, size=m)))
    similarities = rng.normal(size=(len(text_of), m)) + 1.0 * (text_of[:, None] == np.arange(m))
    return similarities, text_of, int(rng.integers(1, 4))


check_same(
    top_k,
    _by_ranks_of_others,
    _several_each,
    seed=1406,
    points=8,
    reread="part 1 of this notebook, on texts with several images",
)
### END HIDDEN TESTS

# %% test="top_k_ties" points=4
import numpy as np

from tlkit.grading import check_example

# All similarities are the same: nothing is found among three, unless k is 3.
check_example(
    top_k,
    (np.full((3, 3), 0.7), np.array([0, 1, 2]), 2),
    (0.0, 0.0),
    reread="part 1 of this notebook, on ties",
)
# Hidden: random similarities with many ties; texts have one to three images.
### BEGIN HIDDEN TESTS
from tlkit.grading import check_same


def _ties_against(similarities, text_of, k):
    n, m = similarities.shape
    texts = [
        sum(similarities[i, t] >= similarities[i, text_of[i]] for t in range(m) if t != text_of[i]) < k
        for i in range(n)
    ]
    images = []
    for t in range(m):
        best = max(similarities[i, t] for i in range(n) if text_of[i] == t)
        images.append(sum(similarities[i, t] >= best for i in range(n) if text_of[i] != t) < k)
    return np.mean(texts), np.mean(images)


def _with_ties(rng):
    m = int(rng.integers(7, 11))
    text_of = rng.permutation(np.repeat(np.arange(m), rng.integers(1, 4, size=m)))
    similarities = rng.integers(0, 4, size=(len(text_of), m)) / 4 + 0.25 * (text_of[:, None] == np.arange(m))
    return similarities, text_of, int(rng.integers(1, 5))


check_same(
    top_k,
    _ties_against,
    _with_ties,
    seed=1407,
    points=8,
    reread="part 1 of this notebook, on ties",
)
### END HIDDEN TESTS

# %% [markdown]
# **What is chance?** (no points) Vectors that know nothing, ten draws: 200 images, with one, two or four per text, so
# that there are 200, 100 or 50 texts. With 200 texts the right one is among the first five with a chance of 5 in 200.
# **Predict before you run:** and with 100 and with 50, for either question?

# %%
by_chance = {}
for each in (1, 2, 4):
    text_of, texts = np.arange(200) // each, 200 // each
    draws = [np.random.default_rng(draw).normal(size=(200 + texts, 16)) for draw in range(10)]
    found = np.mean([top_k(cosines(vectors[:200], vectors[200:]), text_of, 5) for vectors in draws], axis=0)
    by_chance[f"{texts} texts"] = found.round(3).tolist(), 5 / texts
by_chance

# %% [markdown]
# Behind the two shares stands 5 over the number of texts. A share is worth nothing without its chance: who halves the
# number of texts has doubled what can be found by knowing nothing.
#
# **Classes by typing them.** A class is a list of names: *cat*, *cat face*, 猫. Its vector is made in three steps:
# each name's vector is divided by its length; the mean over the class's names is taken; that mean is the class's
# vector. An image gets the class whose vector has the highest **cosine** with the image's.


# %% solution="zero_shot"
def zero_shot(image_vectors, name_vectors):
    """The number of each image's class, 0..classes-1: an array of shape (n,).

    image_vectors has the shape (n, d), name_vectors the shape (classes, names, d): each class has equally many names.
    No vector is 0, and no mean is. Of classes with the same cosine it is the one with the lowest number.
    """
    ### BEGIN SOLUTION
    names = name_vectors / np.linalg.norm(name_vectors, axis=2, keepdims=True)
    of_class = names.mean(axis=1)
    of_class /= np.linalg.norm(of_class, axis=1, keepdims=True)
    return np.argmax(image_vectors @ of_class.T, axis=1)
    ### END SOLUTION


# %% test="zero_shot_one_name" points=4
import numpy as np

from tlkit.grading import check_example

# The first image is nearest in direction to class 1, although the name of class 0 is the longer vector.
check_example(
    zero_shot,
    (np.array([[1.0, 2.0], [3.0, 0.1]]), np.array([[[9.0, 0.0]], [[0.0, 1.0]]])),
    [1, 0],
    reread="part 1 of this notebook, on classes by typing them",
)
# Hidden: random images and classes with one name each.
### BEGIN HIDDEN TESTS
from tlkit.grading import check_same


def _nearest(image_vectors, name_vectors):
    names = [name[0] / np.sqrt(name[0] @ name[0]) for name in name_vectors]
    return np.array([max(range(len(names)), key=lambda c: image @ names[c]) for image in image_vectors])


def _one_name_each(rng):
    """The two best cosines of each image are 0.02 apart or more."""
    names = rng.normal(size=(6, 1, 5)) * rng.uniform(0.2, 5, size=(6, 1, 1))
    images = rng.normal(size=(60, 5))
    units = [x / np.linalg.norm(x, axis=-1, keepdims=True) for x in (images, names[:, 0])]
    first, second = np.sort(units[0] @ units[1].T, axis=1).T[[-1, -2]]
    return images[first - second > 0.02], names


check_same(
    zero_shot,
    _nearest,
    _one_name_each,
    seed=1408,
    reread="part 1 of this notebook, on classes by typing them",
)
### END HIDDEN TESTS

# %% test="zero_shot_several_names" points=6
# Hidden: random images and classes with two to five names each, of different lengths.
### BEGIN HIDDEN TESTS
import numpy as np

from tlkit.grading import check_same


def _nearest_of_means(image_vectors, name_vectors):
    chosen = []
    for image in image_vectors:
        cosines_with = []
        for names in name_vectors:
            mean = sum(name / np.sqrt(name @ name) for name in names)
            cosines_with.append(image @ mean / np.sqrt(mean @ mean))
        chosen.append(int(np.argmax(cosines_with)))
    return np.array(chosen)


def _names_each(rng):
    """Names of a class agree more or less; the two best cosines of each image are 0.02 apart or more."""
    centers = rng.normal(size=(5, 1, 4)) * rng.uniform(0.3, 3, size=(5, 1, 1))
    names = centers + rng.normal(size=(5, int(rng.integers(2, 6)), 4))
    names *= np.exp(rng.normal(size=(*names.shape[:2], 1)))
    means = (names / np.linalg.norm(names, axis=2, keepdims=True)).mean(axis=1)
    images = rng.normal(size=(80, 4))
    units = [x / np.linalg.norm(x, axis=-1, keepdims=True) for x in (images, means)]
    first, second = np.sort(units[0] @ units[1].T, axis=1).T[[-1, -2]]
    return images[first - second > 0.02], names


check_same(
    zero_shot,
    _nearest_of_means,
    _names_each,
    seed=1409,
    reread="part 1 of this notebook, on classes with several names",
)
### END HIDDEN TESTS

# %% [markdown]
# ## 2. Control (49 points)
#
# An agent acts, and each step brings a reward. What follows a step until its episode ends is the step's **return to
# go**: with the discount $\gamma$
#
# $$G_t = r_t + \gamma \, G_{t+1}, \quad \text{but } G_t = r_t \text{ where the episode ends with step } t.$$
#
# A recording holds several episodes, one after the other, and may stop in the middle of one. What would have come
# after the recording counts as 0.


# %% solution="returns_to_go"
def returns_to_go(rewards, over, discount):
    """The return to go of each step: an array of shape (steps,).

    rewards has the shape (steps,). over has the same shape: 1 where an episode ends with this step, else 0. The
    discount is in 0..1, both included.
    """
    ### BEGIN SOLUTION
    found, ahead = np.zeros(len(rewards)), 0.0
    for t in reversed(range(len(rewards))):
        ahead = rewards[t] + discount * ahead * (1 - over[t])
        found[t] = ahead
    return found
    ### END SOLUTION


# %% test="returns_to_go_one_episode" points=6
import numpy as np

from tlkit.grading import check_example

# 3 + 0.5 * (2 + 0.5 * 4) = 5.
check_example(
    returns_to_go,
    (np.array([3.0, 2.0, 4.0]), np.array([0, 0, 1]), 0.5),
    [5.0, 4.0, 4.0],
    reread="part 2 of this notebook",
)
# Hidden: one episode of random rewards, that ends with the last step or is not over there; discounts from 0 to 1.
### BEGIN HIDDEN TESTS
from tlkit.grading import check_same


def _sums(rewards, over, discount):
    steps = len(rewards)
    return np.array([sum(rewards[s] * discount ** (s - t) for s in range(t, steps)) for t in range(steps)])


def _one_episode(rng, discount):
    steps = int(rng.integers(2, 30))
    over = np.zeros(steps, dtype=int)
    over[-1] = rng.integers(2)
    return rng.uniform(0.5, 3, size=steps), over, discount


for _seed, _discount in enumerate([0.0, 0.6, 0.97, 1.0]):
    check_same(
        returns_to_go,
        _sums,
        lambda rng, discount=_discount: _one_episode(rng, discount),
        seed=1411 + _seed,
        points=3,
        reread="part 2 of this notebook, on the return to go",
    )
### END HIDDEN TESTS

# %% test="returns_to_go_several_episodes" points=7
# Hidden: several episodes in one recording; some have one step only.
### BEGIN HIDDEN TESTS
import numpy as np

from tlkit.grading import check_same


def _sums_by_episode(rewards, over, discount):
    ends = np.flatnonzero(over).tolist()
    found = []
    for t in range(len(rewards)):
        last = min([end for end in ends if end >= t], default=len(rewards) - 1)
        found.append(sum(rewards[s] * discount ** (s - t) for s in range(t, last + 1)))
    return np.array(found)


def _episodes(rng):
    return rng.uniform(0.5, 3, size=40), (rng.random(40) < 0.2).astype(int), float(rng.uniform(0.5, 1))


check_same(
    returns_to_go,
    _sums_by_episode,
    _episodes,
    seed=1415,
    points=8,
    reread="part 2 of this notebook, on episodes one after the other",
)
### END HIDDEN TESTS

# %% [markdown]
# How long until a run is good? The return of a single episode is noisy, so let the mean of the last `window` episodes
# decide. A run has reached the threshold after $n$ episodes if the mean of the episodes $n - w + 1, \dots, n$ is **at
# or above** it, with $w$ the window. Count from 1. There must be $w$ episodes for a mean. It counts when this happens
# **first**, even if the run later loses what it had. A run that never reaches the threshold has no such number, and
# gets `nan`.


# %% solution="episodes_to_threshold"
def episodes_to_threshold(returns, threshold, window):
    """The number of episodes after which each run first reached the threshold, or nan: an array of shape (runs,).

    returns has the shape (runs, episodes): the return of each episode, in order. window is in 1..episodes.
    """
    ### BEGIN SOLUTION
    means = np.lib.stride_tricks.sliding_window_view(returns, window, axis=1).mean(axis=2)
    reached = means >= threshold
    return np.where(reached.any(axis=1), reached.argmax(axis=1) + window, np.nan)
    ### END SOLUTION


# %% test="episodes_to_threshold_any_run" points=7
import numpy as np

from tlkit.grading import check_example

# The means of two episodes are 5, 25, 40 and 20 in the first run; in the second they are 35, 20, 10 and 30.
check_example(
    episodes_to_threshold,
    (np.array([[10.0, 0.0, 50.0, 30.0, 10.0], [30.0, 40.0, 0.0, 20.0, 40.0]]), 24.0, 2),
    [3.0, 2.0],
    reread="part 2 of this notebook, on the threshold",
)
# Hidden: random runs that all reach the threshold, and some of which fall below it again.
### BEGIN HIDDEN TESTS
from tlkit.grading import check_same


def _first_time(returns, threshold, window):
    found = []
    for run in returns.tolist():
        counts = [n for n in range(window, len(run) + 1) if sum(run[n - window : n]) / window >= threshold]
        found.append(counts[0] if counts else np.nan)
    return np.array(found)


def _runs(rng):
    while True:
        window = int(rng.integers(2, 7))
        rise = 100 / (1 + np.exp(-(np.arange(40) - rng.uniform(5, 25, size=(6, 1))) / 4))
        returns = np.round(rise + rng.normal(scale=25, size=rise.shape))
        means = np.stack([returns[:, at : at + window].mean(axis=1) for at in range(41 - window)], axis=1)
        if (means.max(axis=1) > 70.3).all() and np.abs(means - 70.3).min() > 0.01:
            return returns, 70.3, window


check_same(
    episodes_to_threshold,
    _first_time,
    _runs,
    seed=1421,
    points=6,
    reread="part 2 of this notebook, on the threshold",
)
### END HIDDEN TESTS

# %% test="episodes_to_threshold_never_reached" points=4
# Hidden: about half of the runs never reach the threshold.
### BEGIN HIDDEN TESTS
import numpy as np

from tlkit.grading import check_same


def _first_time_if_any(returns, threshold, window):
    found = []
    for run in returns.tolist():
        counts = [n for n in range(window, len(run) + 1) if sum(run[n - window : n]) / window >= threshold]
        found.append(counts[0] if counts else np.nan)
    return np.array(found)


def _some_never(rng):
    window = int(rng.integers(2, 6))
    tops = rng.permutation([20.0, 40.0, 40.0, 90.0, 90.0, 90.0])[:, None]
    returns = tops / (1 + np.exp(-(np.arange(30) - rng.uniform(3, 15, size=(6, 1))) / 2))
    return returns + rng.uniform(-3, 3, size=returns.shape), 60.0, window


check_same(
    episodes_to_threshold,
    _first_time_if_any,
    _some_never,
    seed=1422,
    reread="part 2 of this notebook, on runs that never reach the threshold",
)
### END HIDDEN TESTS

# %% test="episodes_to_threshold_reached_exactly" points=3
# Hidden: the mean is exactly the threshold before it is above it. The windows are 1, 2 and 4: nothing is rounded.
### BEGIN HIDDEN TESTS
import numpy as np

from tlkit.grading import check_same


def _first_at_or_above(returns, threshold, window):
    sums = [[sum(run[n - window : n]) for n in range(window, len(run) + 1)] for run in returns.tolist()]
    return np.array([next(n for n, s in enumerate(row, window) if s >= threshold * window) for row in sums])


for _seed, _window in enumerate([1, 2, 4]):
    check_same(
        episodes_to_threshold,
        _first_at_or_above,
        lambda rng, window=_window: (
            np.repeat(np.array([2.0, 5.0, 7.0, 9.0]), rng.integers(5, 8, size=4))[None],
            7.0,
            window,
        ),
        seed=1423 + _seed,
        points=2,
        reread="part 2 of this notebook, on the threshold: at or above",
    )
### END HIDDEN TESTS

# %% [markdown]
# **In pairs.** Two ways were trained with the same seeds: what a seed brings is in both, so that differences within
# a seed often vary less than the returns do. But a table need not be in order: its rows come as the runs ended. Pair
# rows **by their seed**, never by their place.


# %% solution="jump_start"
def jump_start(transfer, scratch, transfer_seeds, scratch_seeds, first):
    """The jump start of each seed, from the lowest seed to the highest: an array of shape (seeds,).

    It is the mean of the first so many returns of a seed's row in transfer, minus the same for its row in scratch.
    transfer and scratch have the shape (seeds, evaluations), transfer_seeds and scratch_seeds the shape (seeds,): the
    seed of each row. Both hold the same seeds, each once, in any order. first is in 1..evaluations.
    """
    ### BEGIN SOLUTION
    means = [
        runs[np.argsort(seeds), :first].mean(axis=1)
        for runs, seeds in ((transfer, transfer_seeds), (scratch, scratch_seeds))
    ]
    return means[0] - means[1]
    ### END SOLUTION


# %% test="jump_start_rows_in_order" points=4
import numpy as np

from tlkit.grading import check_example

# The first two returns: seed 0 has a mean of 4 with transfer and 1 without, seed 1 has 2 and 3.
check_example(
    jump_start,
    (
        np.array([[3.0, 5.0, 9.0], [2.0, 2.0, 9.0]]),
        np.array([[0.0, 2.0, 9.0], [1.0, 5.0, 9.0]]),
        *[np.arange(2)] * 2,
        2,
    ),
    [3.0, -1.0],
    reread="part 2 of this notebook, on the jump start",
)
# Hidden: random runs, with both tables in the order of their seeds.
### BEGIN HIDDEN TESTS
from tlkit.grading import check_same


def _in_order(rng):
    runs = rng.uniform(5, 60, size=(2, 8, 6)) + np.arange(6) * 20
    seeds = np.sort(rng.permutation(50)[:8])
    return runs[0], runs[1], seeds, seeds.copy(), int(rng.integers(1, 5))


check_same(
    jump_start,
    lambda transfer, scratch, _a, _b, first: (transfer - scratch)[:, :first].sum(axis=1) / first,
    _in_order,
    seed=1431,
    reread="part 2 of this notebook, on the jump start",
)
### END HIDDEN TESTS

# %% test="jump_start_rows_in_any_order" points=7
# Hidden: the two tables are in different orders.
### BEGIN HIDDEN TESTS
import numpy as np

from tlkit.grading import check_same


def _by_seed(transfer, scratch, transfer_seeds, scratch_seeds, first):
    rows = [dict(zip(s.tolist(), r, strict=True)) for s, r in ((transfer_seeds, transfer), (scratch_seeds, scratch))]
    return np.array([np.mean(rows[0][seed][:first]) - np.mean(rows[1][seed][:first]) for seed in sorted(rows[0])])


def _in_any_order(rng):
    runs = rng.uniform(5, 60, size=(2, 8, 6)) + np.arange(6) * 20
    seeds = rng.permutation(50)[:8]
    return runs[0], runs[1], rng.permutation(seeds), rng.permutation(seeds), int(rng.integers(1, 5))


check_same(
    jump_start,
    _by_seed,
    _in_any_order,
    seed=1432,
    reread="part 2 of this notebook, on rows that are paired by their seed",
)
### END HIDDEN TESTS

# %% [markdown]
# The differences of $n$ seeds have the mean $\bar d$ and the standard deviation $s = \sqrt{\sum_i (d_i - \bar d)^2 /
# (n - 1)}$. The 95 % interval of their mean goes from $\bar d - t \, s / \sqrt{n}$ to $\bar d + t \, s / \sqrt{n}$,
# where $t$ is the 0.975 quantile of Student's distribution with $n - 1$ degrees of freedom: `scipy.stats.t.ppf`.


# %% solution="paired_interval"
def paired_interval(differences):
    """Two results: the lower and the upper end of the mean's 95 % interval. differences has the shape (n,), n >= 2."""
    ### BEGIN SOLUTION
    n = len(differences)
    half = scipy.stats.t.ppf(0.975, n - 1) * np.std(differences, ddof=1) / np.sqrt(n)
    return np.mean(differences) - half, np.mean(differences) + half
    ### END SOLUTION


# %% test="paired_interval_any_differences" points=6
import numpy as np

from tlkit.grading import check_example

# A mean of 2, a standard deviation of 1, and a quantile of 4.30265 with two degrees of freedom.
check_example(
    paired_interval,
    (np.array([1.0, 2.0, 3.0]),),
    (2 - 4.30265 / np.sqrt(3), 2 + 4.30265 / np.sqrt(3)),
    reread="part 2 of this notebook, on the interval",
)
# Hidden: random differences of 2 to 20 seeds.
### BEGIN HIDDEN TESTS
import scipy.special

from tlkit.grading import check_same


def _ends(differences):
    n, mean = len(differences), sum(differences) / len(differences)
    half = scipy.special.stdtrit(n - 1, 0.975) * np.sqrt(sum((differences - mean) ** 2) / (n - 1) / n)
    return mean - half, mean + half


check_same(
    paired_interval,
    _ends,
    lambda rng: (rng.normal(rng.uniform(-20, 20), 9, size=int(rng.integers(2, 21))),),
    seed=1441,
    points=10,
    tolerance=2e-3,
    reread="part 2 of this notebook, on the interval",
)
### END HIDDEN TESTS

# %% [markdown]
# A comparison stands on ten seeds or more, or it is not made.


# %% solution="verdict"
def verdict(differences):
    """1 if the differences show a gain, -1 if they show a loss, and 0 if they show neither.

    A gain is shown if the whole interval of paired_interval is above 0, a loss if it is below 0 as a whole. Fewer than
    ten differences show neither. differences has the shape (n,), n >= 2.
    """
    ### BEGIN SOLUTION
    shown = len(differences) >= 10 and scipy.stats.ttest_1samp(differences, 0).pvalue < 0.05
    return int(np.sign(np.mean(differences))) if shown else 0
    ### END SOLUTION


# %% test="verdict_any_differences" points=5
import numpy as np

from tlkit.grading import check_example

# All of nine seeds have gained, and nine are too few.
check_example(verdict, (np.arange(1.0, 10.0),), 0, reread="part 2 of this notebook, on ten seeds or more")
# Hidden: gains and losses, some of which are shown and some not, of ten seeds and more and of fewer.
### BEGIN HIDDEN TESTS
import scipy.special

from tlkit.grading import check_same


def _shown(differences):
    n = len(differences)
    t = np.mean(differences) / np.std(differences, ddof=1) * np.sqrt(n)
    return int(np.sign(t)) if n >= 10 and abs(t) > scipy.special.stdtrit(n - 1, 0.975) else 0


def _off_by_so_much(rng, n, halves):
    """The mean is so many halves of the interval away from 0."""
    d = rng.normal(size=n)
    d = (d - d.mean()) / d.std(ddof=1)
    return (rng.uniform(2, 9) * (d + halves * scipy.special.stdtrit(n - 1, 0.975) / np.sqrt(n)),)


for _seed, (_n, _halves) in enumerate(
    [(10, 1.1), (10, -1.1), (12, 0.9), (15, -0.9), (10, 3.0), (14, -3.0), (11, 0.2), (9, -4.0), (5, 4.0), (10, -0.95)]
):
    check_same(
        verdict,
        _shown,
        lambda rng, given=(_n, _halves): _off_by_so_much(rng, *given),
        seed=1451 + _seed,
        points=2,
        reread="part 2 of this notebook, on what is shown",
    )
### END HIDDEN TESTS

# %% [markdown]
# **Use them.** (no points) A corridor of eleven places is the smallest control there is: from the middle an agent
# steps to the left or to the right until it stands at its goal, or for 40 steps. The goal brings a reward of 1. It
# learns the value of each step in each place (Q-learning; Watkins and Dayan, 1992), and takes a step at random now
# and then.


# %% readonly="corridor"
def corridor(goal, slips, values, episodes, seed):
    """Learn in a corridor: the return of each episode, discounted by 0.9 per step, and the values of the steps.

    goal is 0 or 10; with the probability slips a step goes the other way; values are 11 pairs to begin with.
    """
    rng = np.random.default_rng(seed)
    chances = rng.random((episodes, 40, 3)).tolist()
    values, returns = [list(pair) for pair in values], []
    for of_episode in chances:
        place, found = 5, 0.0
        for step, (explores, side, slipped) in enumerate(of_episode):
            left, right = values[place]
            action = int(side < 0.5) if explores < 0.1 or left == right else int(right > left)
            taken = action ^ (slipped < slips)
            after = min(max(place + (1 if taken else -1), 0), 10)
            ahead = 1.0 if after == goal else 0.9 * max(values[after])
            values[place][action] += 0.5 * (ahead - values[place][action])
            place = after
            if place == goal:
                found = 0.9**step
                break
        returns.append(found)
    return returns, values


# %% [markdown]
# The source has its goal at the right end. There are two targets: in the one a step goes the other way once in five
# times, in the other the goal is at the left end. Each of ten seeds learns the source, and then the target twice:
# from the source's values, and from zeros.
#
# **Predict before you run:** on which target is a jump start shown, and with which sign?

# %%
nothing, curves = [[0.0, 0.0]] * 11, {}
for seed in range(10):
    learned = corridor(10, 0.0, nothing, 60, 1000 + seed)[1]
    for target, (goal, slips) in {"slippery": (10, 0.2), "other end": (0, 0.0)}.items():
        for way, start in {"transfer": learned, "scratch": nothing}.items():
            curves.setdefault((target, way), []).append(corridor(goal, slips, start, 60, seed)[0])
starts, seeds = {}, np.arange(10)
for target in ("slippery", "other end"):
    runs = [np.array(curves[target, way]) for way in ("transfer", "scratch")]
    gained = jump_start(*runs, seeds, seeds, 5)
    starts[target] = (np.round(paired_interval(gained), 3).tolist(), int(verdict(gained)))
starts

# %% [markdown]
# And how long does it take? The threshold is a mean return of 0.5 over five episodes.

# %%
times = {key: np.asarray(episodes_to_threshold(np.array(runs), 0.5, 5)) for key, runs in curves.items()}
{", ".join(key): (np.sort(counts).tolist(), f"{np.isnan(counts).sum()} never") for key, counts in times.items()}

# %% [markdown]
# With slips the source's values are a better start, by the interval of ten seeds. With the goal at the other end they
# are a worse one: negative transfer. There half of the runs with transfer do not reach the threshold in 60 episodes,
# while all runs from zeros do. A mean that leaves out the `nan` would speak of the other half only. Notebook 20
# counts such runs with all their episodes, and says how many they are. These are ten seeds in two corridors, with
# one rate of learning for all of them that nobody tuned.
