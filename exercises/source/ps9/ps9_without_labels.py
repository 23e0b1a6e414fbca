# %% [markdown]
# # ps9 · Transfer without labels
#
# **Question: what can you learn from examples that nobody has labelled, and how do you choose without labels to choose
# by?**
#
# Takes 90 to 120 minutes, without a network. Work through notebooks 14 and 15 first: part 1 is from 14, the others are
# from 15.
#
# **How it works.** Replace each `raise NotImplementedError()` by your code, and keep the names of the functions. The
# cells below yours hold examples: run them as often as you like. After you have handed in, more tests run, at random
# points. They compare numbers, not spelling: any formula, loop or library that gives the right numbers is right. What
# each of them looks at is written in its cell. NumPy is all that you need.
#
# | symbol | meaning | shape |
# |---|---|---|
# | `a`, `b` | two views of each of $n$ images, as vectors: row $i$ of both shows image $i$ | $n \times d$ |
# | $\tau$ | the temperature, above 0 | |
# | `x_source`, `y_source` | the source: examples, and their labels | $n \times D$, $n$ |
# | `x_target` | the target: examples, and no labels | $m \times D$ |
# | $W$ | the feature extractor: features are $XW$ | $D \times H$ |
# | $v$, $u$ | the label head and the domain head: logits are $XWv$ and $XWu$ | $H$ |
# | $\lambda$, $p$ | the strength of the reversal, the part of the training that is done, both in $0 \dots 1$ | |

# %% readonly="setup"
import numpy as np

# %% [markdown]
# ## 1. NT-Xent: which two views show the same image? (24 points)
#
# Contrastive pretraining (SimCLR; Chen et al., 2020, arXiv:2002.05709) takes two views of each image, for example two
# random crops. All $2n$ vectors stand in one list, and each asks: which of the **other** $2n - 1$ vectors shows my image?
# There is one right answer, its partner. The logits of that question are cosines over the temperature:
#
# $$s_{ij} = \frac{z_i \cdot z_j}{\lVert z_i \rVert \, \lVert z_j \rVert} \qquad
#   \ell_i = -\log \frac{e^{s_{i p(i)} / \tau}}{\sum_{j \ne i} e^{s_{ij} / \tau}}$$
#
# where $p(i)$ is the partner of $i$. The loss is the **mean** of $\ell_i$ over all $2n$ vectors, in nats. The sum holds
# the partner itself. It does not hold $i$, since a view is not its own negative.
#
# With $\tau = 0.001$ a logit may be 1000, and the exponential of that fits in no float. Notebook 01, section 2, says what
# to do.


# %% solution="nt_xent"
def nt_xent(a, b, temperature):
    """The NT-Xent loss of n pairs of views: one number, in nats, 0 or more.

    a and b have the shape (n, d), n is 1 or more, and no row is all zeros. temperature is 0.001 or more.
    """
    ### BEGIN SOLUTION
    views = np.concatenate([a, b])
    views = views / np.linalg.norm(views, axis=1, keepdims=True)
    logits = views @ views.T / temperature
    np.fill_diagonal(logits, -np.inf)
    every = np.arange(len(views))
    partner = np.roll(every, len(a))
    largest = np.max(logits, axis=1)
    log_sums = largest + np.log(np.sum(np.exp(logits - largest[:, None]), axis=1))
    return np.mean(log_sums - logits[every, partner])
    ### END SOLUTION


# %% test="nt_xent_examples" points=3
import numpy as np

from tlkit.grading import check_example

# Six views that are all alike: each guesses among the five others.
check_example(nt_xent, (np.ones((3, 2)), np.ones((3, 2)), 0.5), np.log(5), reread="part 1 of this notebook")
# Two images at a right angle, both views of each alike: the partner's logit is 1, those of the two others are 0.
check_example(nt_xent, (np.eye(2), np.eye(2), 1.0), np.log(1 + 2 / np.e), reread="part 1 of this notebook")

# %% test="nt_xent_any_views" points=7
# Hidden: random views of length 1, of 1 to 12 images, at temperatures from 0.1 to 1.
### BEGIN HIDDEN TESTS
import numpy as np
import scipy.special

from tlkit.grading import check_same


def _right_loss(a, b, temperature):
    losses = []
    for one, other in ((a, b), (b, a)):
        for i, view in enumerate(one):
            rivals = np.vstack([np.delete(one, i, axis=0), other])
            cosines = rivals @ view / np.sqrt((rivals**2).sum(axis=1) * (view**2).sum())
            losses.append(scipy.special.logsumexp(cosines / temperature) - cosines[len(one) - 1 + i] / temperature)
    return sum(losses) / len(losses)


def _unit_views(rng, n, d):
    a = rng.normal(size=(n, d))
    b = a + rng.uniform(0.2, 1) * rng.normal(size=(n, d))
    return *(x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b)), rng.uniform(0.1, 1)


for _seed, (_n, _d) in enumerate([(1, 3), (4, 4), (12, 5)]):
    check_same(
        nt_xent,
        _right_loss,
        lambda rng, n=_n, d=_d: _unit_views(rng, n, d),
        seed=901 + _seed,
        inputs_kept=False,
        reread="part 1 of this notebook",
    )
### END HIDDEN TESTS

# %% test="nt_xent_any_length" points=4
# Hidden: each view is a vector of another length, from a thousandth to a thousand. A cosine knows no lengths.
### BEGIN HIDDEN TESTS
import numpy as np
import scipy.special

from tlkit.grading import check_same


def _right_loss(a, b, temperature):
    losses = []
    for one, other in ((a, b), (b, a)):
        for i, view in enumerate(one):
            rivals = np.vstack([np.delete(one, i, axis=0), other])
            cosines = rivals @ view / np.sqrt((rivals**2).sum(axis=1) * (view**2).sum())
            losses.append(scipy.special.logsumexp(cosines / temperature) - cosines[len(one) - 1 + i] / temperature)
    return sum(losses) / len(losses)


def _long_and_short(rng):
    a = rng.normal(size=(5, 4))
    b = a + 0.5 * rng.normal(size=(5, 4))
    return *(x * 10 ** rng.uniform(-3, 3, size=(5, 1)) for x in (a, b)), rng.uniform(0.2, 1)


check_same(
    nt_xent,
    _right_loss,
    _long_and_short,
    seed=911,
    inputs_kept=False,
    reread="part 1 of this notebook, on the cosine",
)
### END HIDDEN TESTS

# %% test="nt_xent_any_order" points=3
# Hidden: the loss stays when a and b change places, and when the pairs come in another order. It rises when a view gets
# the wrong partner.
### BEGIN HIDDEN TESTS
import numpy as np

from tlkit.grading import check_result


def _four_losses(a, b, temperature):
    mixed = np.roll(np.arange(len(a)), 3)
    given = (a, b), (b, a), (a[mixed], b[mixed]), (a, b[mixed])
    return [float(np.asarray(nt_xent(*(x.copy() for x in pair), temperature))) for pair in given]


_four_losses.__name__ = "nt_xent"


def _stays_and_rises(losses, a, b, temperature):
    loss, exchanged, reordered, mismatched = losses
    if not abs(exchanged - loss) <= 1e-5 * abs(loss):
        return f"must not change when a and b change places: it is {loss:.5g} and {exchanged:.5g}"
    if not abs(reordered - loss) <= 1e-5 * abs(loss):
        return f"must not change with the order of the pairs: it is {loss:.5g} and {reordered:.5g}"
    if not mismatched > 1.05 * loss:
        return f"must rise when the partners are wrong: it is {loss:.5g} and {mismatched:.5g}"
    return ""


def _near_pairs(rng):
    a = rng.normal(size=(7, 6))
    return a, a + 0.5 * rng.normal(size=(7, 6)), 0.5


check_result(_four_losses, _stays_and_rises, _near_pairs, seed=921, dims=1, reread="part 1 of this notebook")
### END HIDDEN TESTS

# %% test="nt_xent_low_temperature" points=5
# Hidden: temperatures of 0.01 and 0.001, where partners are alike but two of them are mixed up, and where partners are
# opposite to each other.
### BEGIN HIDDEN TESTS
import numpy as np
from sklearn.metrics import log_loss

from tlkit.grading import check_same


def _by_shifted_powers(a, b, temperature):
    losses = []
    for one, other in ((a, b), (b, a)):
        for i, view in enumerate(one):
            rivals = np.vstack([np.delete(one, i, axis=0), other])
            logits = rivals @ view / np.sqrt((rivals**2).sum(axis=1) * (view**2).sum()) / temperature
            gaps = np.sort(logits - logits[len(one) - 1 + i])[::-1]
            losses.append(gaps[0] + np.log(np.exp(gaps - gaps[0]).sum()))
    return sum(losses) / len(losses)


def _unlike(rng, temperature, side):
    a = rng.normal(size=(6, 3))
    return a, side * a[[1, 0, 2, 3, 4, 5]] + 0.3 * rng.normal(size=(6, 3)), temperature


# The two ways to compute it agree where both can.
_a, _b, _ = _unlike(np.random.default_rng(0), 1.0, 1)
_both = np.vstack([_a, _b]) / np.linalg.norm(np.vstack([_a, _b]), axis=1, keepdims=True)
_powers = np.exp(_both @ _both.T) * (1 - np.eye(12))
_shares = _powers / _powers.sum(axis=1, keepdims=True)
assert abs(log_loss(np.roll(np.arange(12), 6), _shares, labels=range(12)) - _by_shifted_powers(_a, _b, 1.0)) < 1e-6

for _seed, _temperature in enumerate([0.01, 0.001]):
    for _side in (1, -1):
        check_same(
            nt_xent,
            _by_shifted_powers,
            lambda rng, temperature=_temperature, side=_side: _unlike(rng, temperature, side),
            seed=931 + _seed,
            tolerance=1e-3,
            inputs_kept=False,
            reread="part 1 of this notebook, and notebook 01, section 2, on what overflows",
        )
### END HIDDEN TESTS

# %% test="nt_xent_keeps_inputs" points=2
# Hidden: a and b are the same arrays, with the same numbers, after the call.
### BEGIN HIDDEN TESTS
from tlkit.grading import check_inputs_kept

check_inputs_kept(
    nt_xent,
    lambda rng: (rng.normal(size=(4, 3)), rng.normal(size=(4, 3)), 0.5),
    seed=941,
    reread="part 1 of this notebook: work on a copy",
)
### END HIDDEN TESTS

# %% [markdown]
# ## 2. Gradient reversal (28 points)
#
# DANN (Ganin et al., 2016, arXiv:1505.07818) trains features that tell the classes apart, and not the domains. A **domain
# head** learns to tell source from target. The extractor gets the gradient of that head's loss **reversed**: it learns to
# make the head fail. At the start of a training the domain head knows nothing, and what it sends back is noise. So the
# strength of the reversal rises with the part $p$ of the training that is done:
#
# $$\lambda(p) = \frac{2}{1 + e^{-10 p}} - 1$$


# %% solution="reversal_strength"
def reversal_strength(p):
    """The strength of the reversal, lambda: a number, or an array of the shape of p. p is in 0..1."""
    ### BEGIN SOLUTION
    return 2 / (1 + np.exp(-10 * p)) - 1
    ### END SOLUTION


# %% test="reversal_strength_any_progress" points=4
import numpy as np

from tlkit.grading import check_example

check_example(reversal_strength, (0.0,), 0.0, reread="part 2 of this notebook")
check_example(reversal_strength, (0.1,), 0.46212, reread="part 2 of this notebook")
# Hidden: other numbers, and arrays.
### BEGIN HIDDEN TESTS
from tlkit.grading import check_same

for _seed, _shape in enumerate([(), (5,)]):
    check_same(
        reversal_strength,
        lambda p: np.tanh(5 * p),
        lambda rng, shape=_shape: (rng.uniform(0, 1, size=shape) if shape else float(rng.uniform(0, 1)),),
        seed=951 + _seed,
        reread="part 2 of this notebook",
    )
### END HIDDEN TESTS

# %% [markdown]
# Now the two losses. Both are logistic: for a logit $z$ and a label $t$ of 0 or 1,
#
# $$L(z, t) = \log(1 + e^{z}) - t z$$
#
# - The **label loss** is the mean of $L$ over the **source**: $z = x W v$, and $t$ is the label. Target examples have no
#   part in it.
# - The **domain loss** has $z = x W u$, and $t$ is 0 for a source and 1 for a target example. Both domains count the
#   same, however many examples they have: it is half the mean over the source plus half the mean over the target. So a
#   domain head that guesses has the loss $\log 2$.
#
# A logit may be as large as 1000 in size. `np.logaddexp` helps.


# %% solution="dann_losses"
def dann_losses(W, v, u, x_source, y_source, x_target):
    """The label loss and the domain loss, in this order: a pair of numbers, in nats, 0 or more.

    W has the shape (D, H); v and u have the shape (H,). x_source has the shape (n, D), y_source the shape (n,) with
    labels 0 and 1, x_target the shape (m, D). n and m may differ.
    """
    ### BEGIN SOLUTION
    z_label, z_source, z_target = x_source @ W @ v, x_source @ W @ u, x_target @ W @ u
    label = np.mean(np.logaddexp(0, z_label) - y_source * z_label)
    domain = (np.mean(np.logaddexp(0, z_source)) + np.mean(np.logaddexp(0, -z_target))) / 2
    return label, domain
    ### END SOLUTION


# %% test="dann_losses_examples" points=2
import numpy as np

from tlkit.grading import check_example

# Heads of zeros know nothing.
check_example(
    dann_losses,
    (np.eye(2), np.zeros(2), np.zeros(2), np.ones((3, 2)), np.array([0, 1, 1]), np.ones((2, 2))),
    (np.log(2), np.log(2)),
    reread="part 2 of this notebook",
)
# One source example of class 1 with the logit 1, and the domain logit 2; one target example with the domain logit -2.
check_example(
    dann_losses,
    (np.eye(2), np.array([1.0, 0.0]), np.array([2.0, 0.0]), np.array([[1.0, 5.0]]), np.array([1]), -np.eye(2)[:1]),
    (np.log(1 + np.exp(-1)), np.log(1 + np.exp(2))),
    reread="part 2 of this notebook",
)

# %% test="dann_losses_any_batch" points=4
# Hidden: random networks and batches, with more source or more target examples.
### BEGIN HIDDEN TESTS
import numpy as np
import scipy.special

from tlkit.grading import check_same


def _right_losses(W, v, u, x_source, y_source, x_target):
    label = -np.mean(scipy.special.log_expit((2 * y_source - 1) * (x_source @ (W @ v))))
    source, target = (scipy.special.log_expit(side * (x @ (W @ u))) for side, x in ((-1, x_source), (1, x_target)))
    return label, -source.mean() / 2 - target.mean() / 2


def _network(rng, n, m, D, H):
    x_source, x_target = rng.normal(size=(n, D)), 0.5 + rng.normal(size=(m, D))
    return rng.normal(size=(D, H)), rng.normal(size=H), rng.normal(size=H), x_source, rng.integers(2, size=n), x_target


for _seed, _sizes in enumerate([(6, 6, 3, 2), (12, 4, 2, 3), (3, 9, 3, 3)]):
    check_same(
        dann_losses,
        _right_losses,
        lambda rng, sizes=_sizes: _network(rng, *sizes),
        seed=961 + _seed,
        reread="part 2 of this notebook, on the two losses",
    )
### END HIDDEN TESTS

# %% test="dann_losses_large_logits" points=3
# Hidden: logits of several hundred, right and wrong.
### BEGIN HIDDEN TESTS
import numpy as np
import scipy.special

from tlkit.grading import check_same


def _right_losses(W, v, u, x_source, y_source, x_target):
    label = -np.mean(scipy.special.log_expit((2 * y_source - 1) * (x_source @ (W @ v))))
    source, target = (scipy.special.log_expit(side * (x @ (W @ u))) for side, x in ((-1, x_source), (1, x_target)))
    return label, -source.mean() / 2 - target.mean() / 2


def _certain(rng):
    x_source, x_target = rng.choice([-30.0, 30.0], size=(2, 8, 2)) + rng.normal(size=(2, 8, 2))
    v, u = 30 * rng.choice([-1, 1], size=(2, 2)) + rng.normal(size=(2, 2))
    return np.diag(rng.uniform(0.9, 1.1, size=2)), v, u, x_source, rng.integers(2, size=8), x_target


check_same(dann_losses, _right_losses, _certain, seed=971, points=10, reread="part 2 of this notebook, on np.logaddexp")
### END HIDDEN TESTS

# %% [markdown]
# The gradients. Each of the three parts of the network gets the gradient of what **it** has to lower:
#
# | part | its gradient |
# |---|---|
# | label head $v$ | that of the label loss |
# | domain head $u$ | that of the domain loss, **not** reversed and without $\lambda$: it has to tell the domains apart as well as it can |
# | extractor $W$ | that of the label loss **minus** $\lambda$ times that of the domain loss |
#
# With $\lambda = 0$ the extractor trains on the source alone, and the target changes no bit of its gradient. Nowhere is a
# label of the target needed: the function has no argument for one.
#
# Begin at the logits: $\partial L / \partial z$ is the probability minus the label, as in notebook 01. Then go back through
# $z = xWv$, once to $v$ and once to $W$. Remember that each loss is a mean.


# %% solution="dann_gradients"
def dann_gradients(W, v, u, x_source, y_source, x_target, strength):
    """The gradients that W, v and u get, in this order: three arrays of their shapes, (D, H), (H,) and (H,).

    The arguments are those of dann_losses, and strength is lambda, 0..1.
    """

    ### BEGIN SOLUTION
    def chance(z):
        return np.exp(-np.logaddexp(0, -z))

    n, m = len(x_source), len(x_target)
    label_error = (chance(x_source @ W @ v) - y_source) / n  # (n,)
    source_error = chance(x_source @ W @ u) / (2 * n)  # (n,)
    target_error = (chance(x_target @ W @ u) - 1) / (2 * m)  # (m,)
    domain = x_source.T @ source_error + x_target.T @ target_error  # (D,)
    label = x_source.T @ label_error  # (D,)
    return np.outer(label, v) - strength * np.outer(domain, u), W.T @ label, W.T @ domain
    ### END SOLUTION


# %% test="dann_gradients_examples" points=2
import numpy as np

from tlkit.grading import check_example

# One feature, one source example of class 1 and one target example; all logits are 0, since both x are.
check_example(
    dann_gradients,
    (np.ones((1, 1)), np.ones(1), np.ones(1), np.zeros((1, 1)), np.array([1]), np.zeros((1, 1)), 1.0),
    (np.zeros((1, 1)), np.zeros(1), np.zeros(1)),
    reread="part 2 of this notebook",
)
# Heads of zeros. Nothing reaches the extractor. The label head's logit has to rise; the target's domain logit, too.
check_example(
    dann_gradients,
    (np.eye(2), np.zeros(2), np.zeros(2), np.array([[4.0, 0.0]]), np.array([1]), np.array([[0.0, 4.0]]), 0.5),
    (np.zeros((2, 2)), np.array([-2.0, 0.0]), np.array([1.0, -1.0])),
    reread="part 2 of this notebook",
)

# %% test="dann_gradients_heads" points=4
# Hidden: the gradients of both heads, in random networks, at random strengths.
### BEGIN HIDDEN TESTS
import numpy as np
import scipy.special

from tlkit.grading import check_same


def _of_heads(*arguments):
    _, label_head, domain_head = dann_gradients(*arguments)
    return label_head, domain_head


_of_heads.__name__ = "dann_gradients"


def _numeric(loss, theta):
    steps = 1e-5 * np.eye(theta.size).reshape(theta.size, *theta.shape)
    return np.array([(loss(theta + step) - loss(theta - step)) / 2e-5 for step in steps]).reshape(theta.shape)


def _right_heads(W, v, u, x_source, y_source, x_target, strength):
    def label(v):
        return -np.mean(scipy.special.log_expit((2 * y_source - 1) * (x_source @ W @ v)))

    def domain(u):
        source, target = (scipy.special.log_expit(side * (x @ W @ u)) for side, x in ((-1, x_source), (1, x_target)))
        return -source.mean() / 2 - target.mean() / 2

    return _numeric(label, v), _numeric(domain, u)


def _network(rng, n, m, D, H):
    x_source, x_target = rng.normal(size=(n, D)), 0.5 + rng.normal(size=(m, D))
    heads = rng.normal(size=H), rng.normal(size=H)
    return rng.normal(size=(D, H)), *heads, x_source, rng.integers(2, size=n), x_target, rng.uniform(0.1, 0.8)


for _seed, _sizes in enumerate([(6, 6, 3, 2), (12, 4, 2, 3), (3, 9, 3, 3)]):
    check_same(
        _of_heads,
        _right_heads,
        lambda rng, sizes=_sizes: _network(rng, *sizes),
        seed=981 + _seed,
        reread="part 2 of this notebook: the table of the three gradients",
    )
### END HIDDEN TESTS

# %% test="dann_gradients_extractor" points=6
# Hidden: the gradient of the extractor, in random networks, at random strengths.
### BEGIN HIDDEN TESTS
import numpy as np
import scipy.special

from tlkit.grading import check_same


def _of_extractor(*arguments):
    extractor, _, _ = dann_gradients(*arguments)
    return extractor


_of_extractor.__name__ = "dann_gradients"


def _numeric(loss, theta):
    steps = 1e-5 * np.eye(theta.size).reshape(theta.size, *theta.shape)
    return np.array([(loss(theta + step) - loss(theta - step)) / 2e-5 for step in steps]).reshape(theta.shape)


def _right_extractor(W, v, u, x_source, y_source, x_target, strength):
    def combined(W):
        label = -np.mean(scipy.special.log_expit((2 * y_source - 1) * (x_source @ W @ v)))
        source, target = (scipy.special.log_expit(side * (x @ W @ u)) for side, x in ((-1, x_source), (1, x_target)))
        return label + strength * (source.mean() + target.mean()) / 2

    return _numeric(combined, W)


def _network(rng, n, m, D, H):
    x_source, x_target = rng.normal(size=(n, D)), 0.5 + rng.normal(size=(m, D))
    heads = rng.normal(size=H), rng.normal(size=H)
    return rng.normal(size=(D, H)), *heads, x_source, rng.integers(2, size=n), x_target, rng.uniform(0.1, 0.8)


for _seed, _sizes in enumerate([(6, 6, 3, 2), (12, 4, 2, 3), (3, 9, 3, 3)]):
    check_same(
        _of_extractor,
        _right_extractor,
        lambda rng, sizes=_sizes: _network(rng, *sizes),
        seed=991 + _seed,
        reread="part 2 of this notebook: the table of the three gradients",
    )
### END HIDDEN TESTS

# %% test="dann_gradients_without_reversal" points=3
# Hidden: at strength 0 another target and another domain head give the extractor the same gradient, bit by bit, and it
# is that of the label loss.
### BEGIN HIDDEN TESTS
import numpy as np
import scipy.special

from tlkit.grading import check_result


def _two_targets(W, v, u, other_u, x_source, y_source, x_target, other_target):
    one, _, _ = dann_gradients(W, v, u, x_source, y_source, x_target, 0.0)
    other, _, _ = dann_gradients(W, v, other_u, x_source, y_source, other_target, 0.0)
    return one, other


_two_targets.__name__ = "dann_gradients"


def _source_alone(one, other, W, v, u, other_u, x_source, y_source, x_target, other_target):
    if one != other:
        return "must give the extractor at strength 0 the same gradient, bit by bit, whatever the target is"
    chance = scipy.special.expit(x_source @ W @ v)
    right = np.einsum("n,nd,h->dh", (chance - y_source) / len(x_source), x_source, v)
    if np.shape(one) != right.shape or not np.allclose(one, right, rtol=1e-4, atol=1e-5):
        return "must give the extractor at strength 0 the gradient of the label loss"
    return ""


def _two_of_each(rng):
    W, heads, y = rng.normal(size=(3, 2)), rng.normal(size=(3, 2)), rng.integers(2, size=5)
    return W, *heads, rng.normal(size=(5, 3)), y, *rng.normal(size=(2, 7, 3))


check_result(
    _two_targets, _source_alone, _two_of_each, seed=1001, results=2, dims=2, reread="part 2 of this notebook, on λ = 0"
)
### END HIDDEN TESTS

# %% [markdown]
# Check yourself (no points), as in ps1: are your gradients those of your losses? Each row must hold nearly equal numbers.


# %%
def slope(loss, theta, index, h=1e-5):
    step = np.zeros_like(theta)
    step[index] = h
    return (loss(theta + step) - loss(theta - step)) / (2 * h)


rng = np.random.default_rng(0)
W_try, v_try, u_try = rng.normal(size=(3, 2)), rng.normal(size=2), rng.normal(size=2)
batch_try = rng.normal(size=(6, 3)), rng.integers(2, size=6), 1 + rng.normal(size=(4, 3))
strength_try = reversal_strength(0.1)


def wanted(W):
    label, domain = dann_losses(W, v_try, u_try, *batch_try)
    return label - strength_try * domain


dW, dv, du = dann_gradients(W_try, v_try, u_try, *batch_try, strength_try)
{
    "extractor": (dW[0, 0], slope(wanted, W_try, (0, 0))),
    "label head": (dv[0], slope(lambda v: dann_losses(W_try, v, u_try, *batch_try)[0], v_try, 0)),
    "domain head": (du[0], slope(lambda u: dann_losses(W_try, v_try, u, *batch_try)[1], u_try, 0)),
}

# %% [markdown]
# ## 3. Adapt without touching labels (26 points)
#
# CORAL (Sun, Feng and Saenko, 2016, arXiv:1511.05547) needs no training. It moves the source's features until their
# covariance is the target's, and the classifier is then trained on the moved features and the source's labels. With
# covariances $C_s$ and $C_t$ (divided by $n - 1$, as `np.cov` does):
#
# $$(X_s - \bar x_s)\,(C_s + \varepsilon I)^{-1/2}\,(C_t + \varepsilon I)^{1/2} + \bar x_t$$
#
# The first factor takes the source's covariance away (it *whitens*), the second gives it the target's (it *recolours*).
# Each root is the **symmetric** one: for $C = V \operatorname{diag}(w)\, V^\top$ (`np.linalg.eigh`) it is
# $V \operatorname{diag}(w^{1/2})\, V^\top$. The means are not in the paper, which takes centred features; here the target's
# mean is put back, so that the classifier can read target features as they come. $\varepsilon$ keeps the inverse finite
# where a feature does not vary.


# %% solution="align"
def align(source, target, eps=1e-3):
    """The source's features, moved to the target's mean and covariance: a new array of the shape of source.

    source has the shape (n, d) and target the shape (m, d), with n, m and d of 2 or more. eps is 0 or more, in squared
    units of the features; it is above 0 where a covariance is singular.
    """

    ### BEGIN SOLUTION
    def power(features, exponent):
        covariance = np.cov(features, rowvar=False) + eps * np.eye(features.shape[1])
        values, vectors = np.linalg.eigh(covariance)
        return (vectors * values**exponent) @ vectors.T

    centred = source - np.mean(source, axis=0)
    return centred @ power(source, -0.5) @ power(target, 0.5) + np.mean(target, axis=0)
    ### END SOLUTION


# %% test="align_examples" points=2
import numpy as np

from tlkit.grading import check_example

# The target is the source, stretched along both axes and moved: CORAL finds it.
square = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0]])
check_example(
    align,
    (square, square * [3.0, 0.5] + [10.0, -1.0], 0.0),
    [[10, -1], [16, -1], [10, 0], [16, 0]],
    reread="part 3 of this notebook",
)

# %% test="align_covariance" points=4
# Hidden: with a tiny eps the moved source has the target's covariance, for random features of full rank.
### BEGIN HIDDEN TESTS
import numpy as np

from tlkit.grading import check_result


def _same_covariance(got, source, target, eps):
    if np.shape(got) != source.shape:
        return f"must return an array of the source's shape {source.shape}, got {np.shape(got)}"
    found, wanted = (np.cov(np.transpose(x)) for x in (got, target))
    gap = np.abs(found - wanted)
    if gap.max() <= 1e-3 * np.abs(wanted).max():
        return ""
    i, j = (int(k) for k in np.unravel_index(gap.argmax(), gap.shape))
    return (
        f"must give the source the target's covariance: entry [{i}, {j}] is {found[i, j]:.3g}, not {wanted[i, j]:.3g}"
    )


def _two_clouds(rng, n, m, d):
    turns = rng.normal(size=(2, d, d)) + 2 * np.eye(d)
    return rng.normal(size=(n, d)) @ turns[0] + 3, rng.normal(size=(m, d)) @ turns[1] - 1, 1e-6


for _seed, _sizes in enumerate([(30, 50, 3), (60, 20, 4)]):
    check_result(
        align,
        _same_covariance,
        lambda rng, sizes=_sizes: _two_clouds(rng, *sizes),
        seed=1011 + _seed,
        dims=2,
        inputs_kept=False,
        reread="part 3 of this notebook",
    )
### END HIDDEN TESTS

# %% test="align_symmetric_roots" points=4
# Hidden: random features, and eps from 0.01 to 1. Many matrices give the right covariance; the symmetric roots turn the
# features as little as they can, and only these are right. The mean is left out here.
### BEGIN HIDDEN TESTS
import numpy as np
import scipy.linalg

from tlkit.grading import check_same


def _moved(source, target, eps):
    moved = np.asarray(align(source, target, eps), dtype=float)
    return moved - moved.mean(axis=0)


_moved.__name__ = "align"


def _right_move(source, target, eps):
    centred = [x - x.mean(axis=0) for x in (source, target)]
    covariances = [x.T @ x / (len(x) - 1) + eps * np.eye(x.shape[1]) for x in centred]
    whitened = centred[0] @ scipy.linalg.inv(scipy.linalg.sqrtm(covariances[0]))
    return whitened @ scipy.linalg.sqrtm(covariances[1])


def _two_clouds(rng, n, m, d):
    turns = rng.normal(size=(2, d, d))
    eps = float(10 ** rng.uniform(-2, 0))
    return rng.normal(size=(n, d)) @ turns[0] + 3, rng.normal(size=(m, d)) @ turns[1] - 1, eps


for _seed, _sizes in enumerate([(30, 50, 3), (25, 20, 5)]):
    check_same(
        _moved,
        _right_move,
        lambda rng, sizes=_sizes: _two_clouds(rng, *sizes),
        seed=1021 + _seed,
        tolerance=1e-3,
        inputs_kept=False,
        reread="part 3 of this notebook, on the symmetric root",
    )
### END HIDDEN TESTS

# %% test="align_mean" points=2
# Hidden: the moved source has the target's mean.
### BEGIN HIDDEN TESTS
import numpy as np

from tlkit.grading import check_same


def _mean_of_moved(source, target, eps):
    return np.mean(np.asarray(align(source, target, eps), dtype=float), axis=0)


_mean_of_moved.__name__ = "align"
check_same(
    _mean_of_moved,
    lambda source, target, eps: np.array([sum(column) / len(target) for column in target.T]),
    lambda rng: (4 + 2 * rng.normal(size=(20, 3)), rng.normal(size=(30, 3)) - 5, 0.01),
    seed=1031,
    inputs_kept=False,
    reread="part 3 of this notebook, on the mean",
)
### END HIDDEN TESTS

# %% test="align_singular" points=4
# Hidden: a feature of the source, or of the target, that never varies; fewer examples than features. The mean is left
# out here.
### BEGIN HIDDEN TESTS
import numpy as np
import scipy.linalg

from tlkit.grading import check_same


def _moved(source, target, eps):
    moved = np.asarray(align(source, target, eps), dtype=float)
    return moved - moved.mean(axis=0)


_moved.__name__ = "align"


def _right_move(source, target, eps):
    centred = [x - x.mean(axis=0) for x in (source, target)]
    covariances = [x.T @ x / (len(x) - 1) + eps * np.eye(x.shape[1]) for x in centred]
    whitened = centred[0] @ scipy.linalg.inv(scipy.linalg.sqrtm(covariances[0]))
    return whitened @ scipy.linalg.sqrtm(covariances[1])


def _flat(rng, which):
    source, target = rng.normal(size=(20, 4)), 2 * rng.normal(size=(30, 4))
    if which == "source":
        source[:, 1] = 7.0
    elif which == "target":
        target[:, 2] = 0.0
    else:
        source, target = source[:3], target[:4]
    return source, target, 1e-3


for _seed, _which in enumerate(["source", "target", "few"]):
    check_same(
        _moved,
        _right_move,
        lambda rng, which=_which: _flat(rng, which),
        seed=1041 + _seed,
        points=3,
        tolerance=1e-3,
        inputs_kept=False,
        reread="part 3 of this notebook, on eps",
    )
### END HIDDEN TESTS

# %% test="align_keeps_inputs" points=2
# Hidden: both arrays hold the same numbers after the call.
### BEGIN HIDDEN TESTS
from tlkit.grading import check_inputs_kept

check_inputs_kept(
    align,
    lambda rng: (3 + rng.normal(size=(9, 3)), rng.normal(size=(8, 3)), 0.01),
    seed=1051,
    reread="part 3 of this notebook: work on a copy",
)
### END HIDDEN TESTS

# %% [markdown]
# Now a small program. It gets a labelled source and an unlabelled target, and says which class each target example has.
# Which classifier it trains is up to you. A **linear** one reads features of any spread: least squares on one-hot labels
# (`np.linalg.lstsq`, with a column of ones for the bias) takes three lines; nearest class means do not work as well, since
# the target's features spread much more in some directions than in others.
#
# The next cell makes a pair of domains to try it on. In the source four classes lie at the corners of a square; the target
# was turned, stretched and moved. `y_target` is there for you to look at the result. Your function never gets it.


# %% readonly="pair_of_domains"
def pair_of_domains(seed, classes=(0, 1, 2, 3), n=600, m=500):
    """A source and a target of six features, stretched by 0.3 to 3.3: x_source, y_source, x_target, y_target."""
    rng = np.random.default_rng(seed)
    corners = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    y_source, y_target = rng.permutation(np.arange(n) % 4), rng.permutation(np.arange(m) % 4)
    x_source, x_target = rng.normal(size=(n, 6)), rng.normal(size=(m, 6))
    for x, y in ((x_source, y_source), (x_target, y_target)):
        x[:, :2] = corners[y] + 0.3 * x[:, :2]
    turn, axes = (np.linalg.qr(rng.normal(size=(6, 6)))[0] for _ in range(2))
    stretch = (axes * np.exp(rng.permutation(np.linspace(-1.2, 1.2, 6)))) @ axes.T
    moved = x_target @ turn @ stretch + 2 * rng.normal(size=6)
    return x_source @ turn, np.array(classes)[y_source], moved, np.array(classes)[y_target]


# %% solution="adapt_and_predict"
def adapt_and_predict(x_source, y_source, x_target):
    """The class of each target example: an array of shape (m,), whose entries are among those of y_source.

    x_source has the shape (n, d), x_target the shape (m, d), and y_source holds n integers, such as 2, 3, 5 and 8.
    """
    ### BEGIN SOLUTION
    classes = np.unique(y_source)
    moved = align(x_source, x_target)
    with_bias = np.column_stack([moved, np.ones(len(moved))])
    one_hot = (y_source[:, None] == classes).astype(float)
    weights = np.linalg.lstsq(with_bias, one_hot, rcond=None)[0]
    return classes[np.argmax(np.column_stack([x_target, np.ones(len(x_target))]) @ weights, axis=1)]
    ### END SOLUTION


# %% test="adapt_and_predict_examples" points=2
import numpy as np

from tlkit.grading import check_result

example = pair_of_domains(seed=0)


def what_is_wrong(answers, x_source, y_source, x_target):
    """What is wrong with the answers for the pair above, in words, or nothing. Without alignment 0.37 are right."""
    if len(answers) != len(x_target):
        return f"must return a class for each of the {len(x_target)} target examples, got {len(answers)}"
    share = np.mean(np.array(answers) == example[3])
    return "" if share >= 0.9 else f"must be right for 0.9 of the target examples, and is for {share:.2f}"


check_result(
    adapt_and_predict,
    what_is_wrong,
    lambda rng: example[:3],
    seed=0,
    dims=1,
    points=1,
    inputs_kept=False,
    reread="part 3 of this notebook",
)

# %% test="adapt_and_predict_hidden_target" points=6
# Hidden: pairs of domains of another size, with other names for the classes. The target's labels stay with the test. At
# least 0.9 of the answers must be right. Without alignment 0.4 to 0.5 are; where only the mean and the spread of each
# feature are aligned, 0.7 to 0.8.
### BEGIN HIDDEN TESTS
import numpy as np

from tlkit.grading import check_result

_kept_back = []


def _unlabelled(seed, classes):
    """A source with labels and a target without; the target's stay here."""
    rng = np.random.default_rng([seed, 20161])
    names, sides = np.array(classes), np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    y_source, y_target = rng.integers(4, size=800), rng.integers(4, size=700)
    clouds = []
    for y in (y_source, y_target):
        clouds.append(np.hstack([sides[y] + 0.25 * rng.normal(size=(len(y), 2)), rng.normal(size=(len(y), 5))]))
    turn, axes = (np.linalg.qr(rng.normal(size=(7, 7)))[0] for _ in range(2))
    stretch = axes @ np.diag(3.0 ** rng.permutation(np.linspace(-1.2, 1.2, 7))) @ axes.T
    _kept_back[:] = [names[y_target]]
    return clouds[0] @ turn, names[y_source], clouds[1] @ turn @ stretch + 1.5 * rng.normal(size=7)


def _enough_right(answers, x_source, y_source, x_target):
    if len(answers) != len(x_target):
        return f"must return a class for each of the {len(x_target)} target examples, got {len(answers)}"
    if strangers := sorted(set(answers) - set(y_source.tolist())):
        return f"must answer with classes of y_source, got {strangers[0]:g}"
    share = float(np.mean(np.array(answers) == _kept_back[0]))
    return "" if share >= 0.9 else f"must be right for 0.9 of the target examples, and is for {share:.2f}"


for _seed, _classes in ((6, (2, 3, 5, 8)), (10, (7, 1, 4, 0)), (36, (0, 1, 2, 3))):
    check_result(
        adapt_and_predict,
        _enough_right,
        lambda rng, seed=_seed, classes=_classes: _unlabelled(seed, classes),
        seed=0,
        dims=1,
        points=1,
        inputs_kept=False,
        reread="part 3 of this notebook",
    )
### END HIDDEN TESTS

# %% [markdown]
# ## 4. Choose without target labels (22 points)
#
# Every method has settings, and the labels that would tell the best one are the target's: those that nobody has. What can
# be read is how a model **answers** on the target. A first idea: a good model is sure of its answers. The entropy of the
# probabilities $p_1 \dots p_K$ of one example, in nats, is $-\sum_k p_k \log p_k$, where $0 \log 0 = 0$.


# %% solution="mean_entropy"
def mean_entropy(probabilities):
    """The mean entropy of a model's answers: one number, in nats, from 0 to log K.

    probabilities has the shape (n, K); each row adds up to 1. Entries may be 0.
    """
    ### BEGIN SOLUTION
    logs = np.log(np.where(probabilities > 0, probabilities, 1.0))
    return -np.mean(np.sum(probabilities * logs, axis=1))
    ### END SOLUTION


# %% test="mean_entropy_any_answers" points=4
import numpy as np

from tlkit.grading import check_example

# Two examples: at a loss between four classes; nearly sure.
check_example(mean_entropy, (np.full((1, 4), 0.25),), np.log(4), reread="part 4 of this notebook")
check_example(mean_entropy, (np.array([[0.5, 0.5], [0.99, 0.01]]),), 0.37457, reread="part 4 of this notebook")
# Hidden: random probabilities, none of them 0.
### BEGIN HIDDEN TESTS
import scipy.stats

from tlkit.grading import check_same

for _seed, (_n, _K) in enumerate([(1, 3), (20, 4), (5, 5)]):
    check_same(
        mean_entropy,
        lambda probabilities: np.mean(scipy.stats.entropy(probabilities, axis=1)),
        lambda rng, n=_n, K=_K: (rng.dirichlet(np.full(K, 2.0), size=n),),
        seed=1061 + _seed,
        reread="part 4 of this notebook",
    )
### END HIDDEN TESTS

# %% test="mean_entropy_of_zeros" points=2
# Hidden: models that are sure: some probabilities are 0, others 1.
### BEGIN HIDDEN TESTS
import numpy as np
import scipy.stats

from tlkit.grading import check_same

check_same(
    mean_entropy,
    lambda probabilities: np.mean(scipy.stats.entropy(probabilities, axis=1)),
    lambda rng: (np.vstack([np.eye(3), np.pad(rng.dirichlet([2, 2], size=4), ((0, 0), (0, 1)))]),),
    seed=1071,
    reread="part 4 of this notebook, on 0 log 0",
)
### END HIDDEN TESTS


# %% solution="choose"
def choose(probabilities_by_setting):
    """The name of the setting whose model has the lowest mean entropy.

    probabilities_by_setting is a dictionary from a name to an array of shape (n, K): the answers of that setting's model
    on the same unlabelled target examples.
    """
    ### BEGIN SOLUTION
    return min(probabilities_by_setting, key=lambda name: mean_entropy(probabilities_by_setting[name]))
    ### END SOLUTION


# %% test="choose_any_settings" points=3
from tlkit.grading import call_student

three = {
    "rate 0.1": np.array([[0.6, 0.4], [0.5, 0.5]]),
    "rate 0.01": np.array([[0.9, 0.1], [0.2, 0.8]]),
    "rate 0.001": np.array([[0.3, 0.7], [0.7, 0.3]]),
}
chosen = call_student(choose, (three,), kind=str, reread="part 4 of this notebook")
assert chosen == "rate 0.01", f"choose must return 'rate 0.01', got {chosen[:40]!r}. Reread part 4 of this notebook."
# Hidden: four settings whose models are more and less sure, in any order.
### BEGIN HIDDEN TESTS
import numpy as np

from tlkit.grading import check_result


def _chosen(settings):
    name = choose(settings)
    return [float(isinstance(name, str) and name == each) for each in settings]


_chosen.__name__ = "choose"


def _sharpest(found, settings):
    if sum(found) != 1:
        return "must return the name of one of the settings"
    names = list(settings)
    wanted = next(name for name in names if name.startswith("sharp "))
    name = names[found.index(1.0)]
    return "" if name == wanted else f"must choose the setting with the lowest mean entropy, got {name!r}"


def _models(rng):
    logits, scales = rng.normal(size=(15, 3)), {"sharp": 4.0, "plain": 2.0, "soft": 1.0, "flat": 0.2}
    settings = {}
    for kind in rng.permutation(list(scales)):
        powers = np.exp(scales[kind] * logits)
        settings[f"{kind} {rng.integers(1000)}"] = powers / powers.sum(axis=1, keepdims=True)
    return (settings,)


check_result(_chosen, _sharpest, _models, seed=1081, points=8, reread="part 4 of this notebook")
### END HIDDEN TESTS

# %% [markdown]
# Adaptation without labels has a way to be sure that helps nobody: the model **collapses**, and calls everything by the
# name of one class. Its mean entropy is 0. A score that sees it (Krause et al., 2010; SHOT: Liang et al., 2020,
# arXiv:2002.08546) asks for answers that are sure for each example **and** differ between examples. It is the entropy of
# the mean answer minus the mean entropy:
#
# $$\mathrm{IM} = H\Big(\frac{1}{n} \sum_i p_i\Big) - \frac{1}{n} \sum_i H(p_i)$$
#
# Higher is better. It expects that each class is about equally frequent in the target.


# %% solution="information_maximization"
def information_maximization(probabilities):
    """The entropy of the mean answer minus the mean entropy: one number, in nats, from 0 to log K; higher is better.

    probabilities is as in mean_entropy.
    """
    ### BEGIN SOLUTION
    mean_answer = np.mean(probabilities, axis=0, keepdims=True)
    return mean_entropy(mean_answer) - mean_entropy(probabilities)
    ### END SOLUTION


# %% test="information_maximization_any_answers" points=4
import numpy as np

from tlkit.grading import check_example

# Sure, and each of the three classes occurs; then sure, and nearly collapsed.
check_example(information_maximization, (np.eye(3),), np.log(3), reread="part 4 of this notebook")
check_example(
    information_maximization,
    (np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]),),
    0.56234,
    reread="part 4 of this notebook, on models that collapse",
)
# Hidden: random probabilities, some of them 0.
### BEGIN HIDDEN TESTS
import scipy.special

from tlkit.grading import check_same


def _mean_distance_to_mean(probabilities):
    """The same by another formula: the mean Kullback-Leibler divergence of the answers from their mean."""
    return scipy.special.rel_entr(probabilities, probabilities.mean(axis=0)).sum(axis=1).mean()


for _seed, (_n, _K) in enumerate([(2, 3), (20, 4), (5, 5)]):
    check_same(
        information_maximization,
        _mean_distance_to_mean,
        lambda rng, n=_n, K=_K: (np.vstack([rng.dirichlet(np.full(K, 0.7), size=n), np.eye(K)[: K - 1]]),),
        seed=1091 + _seed,
        reread="part 4 of this notebook, on information maximization",
    )
### END HIDDEN TESTS


# %% solution="choose_by_information"
def choose_by_information(probabilities_by_setting):
    """The name of the setting whose model has the highest information_maximization; the argument is that of choose."""
    ### BEGIN SOLUTION
    scores = {name: information_maximization(answers) for name, answers in probabilities_by_setting.items()}
    return max(scores, key=scores.get)
    ### END SOLUTION


# %% test="choose_by_information_any_settings" points=2
from tlkit.grading import call_student

two = {"collapsed": np.array([[1.0, 0.0], [1.0, 0.0]]), "decided": np.array([[0.9, 0.1], [0.1, 0.9]])}
chosen = call_student(choose_by_information, (two,), kind=str, reread="part 4 of this notebook")
assert chosen == "decided", (
    f"choose_by_information must return 'decided', got {chosen[:40]!r}. Reread part 4 of this notebook."
)
# Hidden: a good model that is fairly sure, one that is at a loss, and one that has collapsed, in any order.
### BEGIN HIDDEN TESTS
import numpy as np

from tlkit.grading import check_result


def _chosen(settings):
    name = choose_by_information(settings)
    return [float(isinstance(name, str) and name == each) for each in settings]


_chosen.__name__ = "choose_by_information"


def _informative(found, settings):
    if sum(found) != 1:
        return "must return the name of one of the settings"
    name = list(settings)[found.index(1.0)]
    return "" if name.startswith("A") else f"must choose the setting with the highest score, got {name!r}"


def _models(rng):
    y = rng.permutation(np.arange(18) % 3)
    logits = {"A": 3 * np.eye(3)[y], "B": 0.5 * np.eye(3)[y], "C": 6 * np.eye(3)[np.full(18, rng.integers(3))]}
    settings = {}
    for kind in rng.permutation(list(logits)):
        powers = np.exp(logits[kind] + 0.3 * rng.normal(size=(18, 3)))
        settings[f"{kind} {rng.integers(1000)}"] = powers / powers.sum(axis=1, keepdims=True)
    return (settings,)


check_result(
    _chosen, _informative, _models, seed=1101, points=8, reread="part 4 of this notebook, on models that collapse"
)
### END HIDDEN TESTS

# %% [markdown]
# **Fool the entropy.** Write down, in numbers, two models of one small target for which `choose` takes the worse one. Your
# target has 4 examples or more, and each of its $K$ classes occurs equally often. Of the two models the worse one
# answers right for fewer examples, and has the lower mean entropy; `information_maximization` is higher for the better
# one, and so is not fooled.


# %% solution="fool_the_entropy"
def fool_the_entropy():
    """Labels and two models' answers: y of shape (n,), integers 0..K-1, then worse and better, both of shape (n, K)."""
    ### BEGIN SOLUTION
    y = np.array([0, 0, 1, 1])
    worse = np.array([[1.0, 0.0]] * 4)
    better = np.array([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.1, 0.9]])
    return y, worse, better
    ### END SOLUTION


# %% [markdown]
# Look at your numbers (no points): the share of right answers, the mean entropy, and `information_maximization`. The
# better model must have more of each.

# %%
y_fooled, *both_models = (np.asarray(part) for part in fool_the_entropy())
{
    name: (float(np.mean(p.argmax(axis=1) == y_fooled)), float(mean_entropy(p)), float(information_maximization(p)))
    for name, p in zip(("worse", "better"), both_models, strict=True)
}

# %% test="fool_the_entropy_by_numbers" points=3
# Hidden: your numbers, each of the conditions above.
### BEGIN HIDDEN TESTS
import numpy as np
import scipy.stats

from tlkit.grading import check_result


def _is_fooled(y, worse, better):
    n = len(y) if isinstance(y, list) else 0
    shapes = np.shape(worse), np.shape(better)
    if n < 4 or len(shapes[0]) != 2 or shapes[0] != shapes[1] or shapes[0][0] != n or shapes[0][1] < 2:
        return (
            f"must return arrays of shape (n,), (n, K) and (n, K), with n of 4 or more, got {np.shape(y)} and {shapes}"
        )
    y, worse, better = np.array(y), np.array(worse), np.array(better)
    counts = [int((y == k).sum()) for k in range(shapes[0][1])]
    if sum(counts) != n or len(set(counts)) != 1:
        return f"must have each of the classes 0..{len(counts) - 1} equally often in y, got {counts} of {n}"
    if any((p < 0).any() or np.abs(p.sum(axis=1) - 1).max() > 1e-6 for p in (worse, better)):
        return "must return probabilities: 0 or more, and each row adds up to 1"
    right = [float(np.mean(p.argmax(axis=1) == y)) for p in (worse, better)]
    if not right[0] < right[1]:
        return (
            f"must have a worse model that is right less often than the better one: {right[0]:.2f} and {right[1]:.2f}"
        )
    entropy = [float(np.mean(scipy.stats.entropy(p, axis=1))) for p in (worse, better)]
    if not entropy[0] < entropy[1] - 1e-9:
        return f"must have a worse model of lower mean entropy: it is {entropy[0]:.3f} and {entropy[1]:.3f}"
    score = [float(scipy.stats.entropy(p.mean(axis=0))) - h for p, h in zip((worse, better), entropy, strict=True)]
    if not score[1] > score[0] + 1e-9:
        return f"must have a better model of higher information_maximization: it is {score[1]:.3f}, not above {score[0]:.3f}"
    return ""


check_result(
    fool_the_entropy,
    _is_fooled,
    lambda rng: (),
    seed=0,
    points=1,
    results=3,
    reread="part 4 of this notebook, on models that collapse",
)
### END HIDDEN TESTS

# %% [markdown]
# **How much do labels flatter?** Many tables of adaptation methods choose each setting by the target's labels, and then
# report the accuracy by the same labels. Nobody who has no labels gets that accuracy. The **honest gap** of one draw is
# what such a table reports (the best accuracy of all settings in that draw) minus the accuracy of the setting that a
# scorer without labels chose in that draw. Of several draws, it is the mean of the gaps.


# %% solution="honest_gap"
def honest_gap(target_scores, chosen_by_scorer):
    """How much choosing by the target's labels flatters: one number, 0 or more.

    target_scores has the shape (draws, settings): accuracies on the target, which only the examiner has.
    chosen_by_scorer has the shape (draws,): the setting that the scorer chose in each draw, 0..settings-1.
    """
    ### BEGIN SOLUTION
    chosen = target_scores[np.arange(len(target_scores)), chosen_by_scorer]
    return np.mean(np.max(target_scores, axis=1) - chosen)
    ### END SOLUTION


# %% test="honest_gap_any_scores" points=4
import numpy as np

from tlkit.grading import check_example

# Two draws of three settings. In the first the scorer takes 0.7 where 0.8 was there; in the second it takes the best.
check_example(
    honest_gap,
    (np.array([[0.8, 0.7, 0.5], [0.6, 0.4, 0.9]]), np.array([1, 2])),
    0.05,
    reread="part 4 of this notebook, on the honest gap",
)
# Hidden: random accuracies, of more draws than settings, of fewer, and of as many.
### BEGIN HIDDEN TESTS
from tlkit.grading import check_same


def _gap(target_scores, chosen_by_scorer):
    gaps = [max(scores) - scores[choice] for scores, choice in zip(target_scores, chosen_by_scorer, strict=True)]
    return sum(gaps) / len(gaps)


for _seed, (_draws, _settings) in enumerate([(10, 4), (3, 8), (5, 5)]):
    check_same(
        honest_gap,
        _gap,
        lambda rng, draws=_draws, settings=_settings: (
            rng.uniform(0.2, 0.9, size=(draws, settings)),
            rng.integers(settings, size=draws),
        ),
        seed=1111 + _seed,
        reread="part 4 of this notebook, on the honest gap",
    )
### END HIDDEN TESTS

# %% [markdown]
# ## 5. Where it hurts (no points)
#
# CORAL makes the covariances equal, and it cannot know whether they should be. Here source and target are the same
# domain, so that there is nothing to align, and a classifier that knows only the source is as good as can be. **Predict
# before you run:** what does CORAL do to it when all four classes occur in the target, and what when two are missing?

# %%
from sklearn.linear_model import LogisticRegression

x, y, _, _ = pair_of_domains(seed=0)
x_source, y_source, x_target, y_target = x[:300], y[:300], x[300:], y[300:]


def accuracies(kept):
    """The accuracy on the target examples that are kept, without alignment and with it."""
    source_only = LogisticRegression().fit(x_source, y_source).predict(x_target[kept])
    adapted = np.asarray(adapt_and_predict(x_source, y_source, x_target[kept]))
    return [float(np.mean(answers == y_target[kept])) for answers in (source_only, adapted)]


{"all four classes": accuracies(y_target < 4), "two are missing": accuracies(y_target < 2)}

# %% [markdown]
# Before you align, ask whether both domains have the same classes, about equally often. The target's labels would tell,
# and you do not have them.
