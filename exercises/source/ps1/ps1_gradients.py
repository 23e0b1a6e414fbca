# %% [markdown]
# # ps1 · Gradients
#
# **Question: can you write down the gradient that trains a head, prove that it is right, and take a step with it?**
#
# Takes 60 to 90 minutes, without a network. Work through notebook 01 first: everything here is in it, except Adam,
# which part 6 explains.
#
# **How it works.** Replace each `raise NotImplementedError()` by your code, and keep the names of the functions. The
# cells below yours hold examples: run them as often as you like. After you have handed in, more tests run, at random
# points. They compare numbers, not spelling: any formula, loop or library that gives the right numbers is right. What
# each of them looks at is written in its cell.
#
# | symbol | meaning | shape |
# |---|---|---|
# | $n$, $K$, $D$ | number of images, of classes, of features of an image | |
# | $X$ | the features, a row an image | $n \times D$ |
# | $W$, $b$ | weights and bias of the head | $K \times D$, $K$ |
# | $Z = XW^\top + b$ | logits, a row an image | $n \times K$ |
# | $\hat Y$ | predicted probabilities, a row an image | $n \times K$ |
# | $Y$ | labels, a row an image: each row adds up to 1, and is usually one-hot | $n \times K$ |
# | $\theta$, $\alpha$ | any parameters, the learning rate | |

# %% readonly="setup"
import numpy as np

# %% [markdown]
# ## 1. Softmax (18 points)
#
# $$\hat y_k = \frac{e^{z_k}}{\sum_j e^{z_j}}$$
#
# for each row. Logits may be as large as 1000 in size; the exponential of that fits in no float. Notebook 01, section
# 2, says what to do.


# %% solution="softmax"
def softmax(Z):
    """Probabilities from logits.

    Z has the shape (n, K), or (K,) for one image. Returns an array of the same shape; each row adds up to 1.
    """
    ### BEGIN SOLUTION
    powers = np.exp(Z - np.max(Z, axis=-1, keepdims=True))
    return powers / np.sum(powers, axis=-1, keepdims=True)
    ### END SOLUTION


# %% test="softmax_examples" points=4
import numpy as np

from tlkit.grading import check_example

check_example(softmax, (np.array([5.0, 5.0]),), [0.5, 0.5], reread="notebook 01, section 2")
check_example(softmax, (np.log([[1.0, 3.0], [4.0, 1.0]]),), [[0.25, 0.75], [0.8, 0.2]], reread="notebook 01, section 2")

# %% test="softmax_any_logits" points=8
# Hidden: random logits, for one image and for several, also when there are as many images as classes.
### BEGIN HIDDEN TESTS
import scipy.special

from tlkit.grading import check_same

for _seed, _shape in enumerate([(5,), (4, 3), (4, 4), (1, 6)]):
    check_same(
        softmax,
        lambda Z: scipy.special.softmax(Z, axis=-1),
        lambda rng, shape=_shape: (rng.normal(scale=3, size=shape),),
        seed=101 + _seed,
        reread="notebook 01, section 2",
    )
### END HIDDEN TESTS

# %% test="softmax_large_logits" points=6
# Hidden: logits of several hundred, all positive in one row and all negative in the next.
### BEGIN HIDDEN TESTS
import numpy as np
import scipy.special

from tlkit.grading import check_same

check_same(
    softmax,
    lambda Z: scipy.special.softmax(Z, axis=-1),
    lambda rng: (np.array([[1], [-1], [1]]) * (850 + rng.normal(scale=3, size=(3, 4))),),
    seed=111,
    reread="notebook 01, section 2, on what overflows",
)
### END HIDDEN TESTS

# %% [markdown]
# ## 2. Cross-entropy from logits (18 points)
#
# The loss of one image is $-\sum_k y_k \log \hat y_k$; the loss of a batch is the **mean** over its images. Compute it
# from the logits: with the probabilities in between, a certain and wrong model has the loss $-\log 0$.


# %% solution="cross_entropy"
def cross_entropy(Z, Y):
    """The mean cross-entropy of a batch: one number.

    Z are logits (not probabilities) and Y labels, both of shape (n, K). Each row of Y adds up to 1.
    """
    ### BEGIN SOLUTION
    largest = np.max(Z, axis=1)
    log_sums = largest + np.log(np.sum(np.exp(Z - largest[:, None]), axis=1))
    return np.mean(log_sums - np.sum(Y * Z, axis=1))
    ### END SOLUTION


# %% test="cross_entropy_examples" points=4
import numpy as np

from tlkit.grading import check_example

# Equal logits: the model knows nothing, and loses log K whatever the label.
check_example(cross_entropy, (np.zeros((1, 10)), np.eye(10)[[3]]), np.log(10), reread="notebook 01, section 1")
check_example(cross_entropy, (np.ones((2, 4)), np.eye(4)[[0, 2]]), np.log(4), reread="notebook 01, section 1")

# %% test="cross_entropy_any_logits" points=6
# Hidden: random logits and one-hot labels, in batches of several sizes.
### BEGIN HIDDEN TESTS
import numpy as np
import scipy.special

from tlkit.grading import check_same

for _seed, (_n, _K) in enumerate([(1, 3), (5, 4), (7, 7)]):
    check_same(
        cross_entropy,
        lambda Z, Y: -np.mean(scipy.special.log_softmax(Z, axis=1)[Y == 1]),
        lambda rng, n=_n, K=_K: (rng.normal(scale=3, size=(n, K)), np.eye(K)[rng.integers(K, size=n)]),
        seed=121 + _seed,
        reread="notebook 01, section 1",
    )
### END HIDDEN TESTS

# %% test="cross_entropy_soft_labels" points=3
# Hidden: labels that are not one-hot, as label smoothing and mixup make them. Each row still adds up to 1.
### BEGIN HIDDEN TESTS
import numpy as np
import scipy.special

from tlkit.grading import check_same

check_same(
    cross_entropy,
    lambda Z, Y: -np.mean(np.sum(Y * scipy.special.log_softmax(Z, axis=1), axis=1)),
    lambda rng: (rng.normal(scale=3, size=(6, 4)), rng.dirichlet(np.ones(4), size=6)),
    seed=131,
    reread="notebook 01, section 1",
)
### END HIDDEN TESTS

# %% test="cross_entropy_large_logits" points=5
# Hidden: a model that is certain, with logits of several hundred, and right or wrong.
### BEGIN HIDDEN TESTS
import numpy as np
import scipy.special

from tlkit.grading import check_same

check_same(
    cross_entropy,
    lambda Z, Y: -np.mean(scipy.special.log_softmax(Z, axis=1)[Y == 1]),
    lambda rng: (rng.uniform(-900, 900, size=(5, 3)), np.eye(3)[rng.integers(3, size=5)]),
    seed=141,
    points=10,
    reread="notebook 01, section 2, on log-sum-exp",
)
### END HIDDEN TESTS

# %% [markdown]
# ## 3. The gradient (22 points)
#
# First to the logits, then to the weights and the bias of the head. Remember that the loss is a mean over the batch.


# %% solution="logit_gradient"
def logit_gradient(Z, Y):
    """The gradient of cross_entropy(Z, Y) to the logits Z: an array of shape (n, K)."""
    ### BEGIN SOLUTION
    return (softmax(Z) - Y) / len(Z)
    ### END SOLUTION


# %% test="logit_gradient_examples" points=4
import numpy as np

from tlkit.grading import check_example

# One image, equal logits, the first of two classes is right: the first logit has to go up.
check_example(
    logit_gradient, (np.zeros((1, 2)), np.array([[1.0, 0.0]])), [[-0.5, 0.5]], reread="notebook 01, section 3"
)

# %% test="logit_gradient_any_labels" points=8
# Hidden: batches of random logits, with one-hot and with soft labels.
### BEGIN HIDDEN TESTS
import numpy as np
import scipy.special

from tlkit.grading import check_same

for _seed, (_n, _K) in enumerate([(1, 3), (5, 4), (3, 3)]):
    check_same(
        logit_gradient,
        lambda Z, Y: (scipy.special.softmax(Z, axis=1) - Y) / Z.shape[0],
        lambda rng, n=_n, K=_K: (
            rng.normal(scale=2, size=(n, K)),
            np.eye(K)[rng.integers(K, size=n)] if rng.integers(2) else rng.dirichlet(np.ones(K), size=n),
        ),
        seed=151 + _seed,
        reread="notebook 01, section 3",
    )
### END HIDDEN TESTS


# %% solution="head_gradients"
def head_gradients(W, b, X, Y):
    """The gradients of cross_entropy(X @ W.T + b, Y) to W and to b: a pair of arrays, of shape (K, D) and (K,)."""
    ### BEGIN SOLUTION
    error = logit_gradient(X @ W.T + b, Y)
    return error.T @ X, error.sum(axis=0)
    ### END SOLUTION


# %% test="head_gradients_any_head" points=10
import numpy as np

from tlkit.grading import check_example

# One image with three features, a head of zeros, the second of two classes is right.
check_example(
    head_gradients,
    (np.zeros((2, 3)), np.zeros(2), np.array([[1.0, 2.0, 4.0]]), np.array([[0.0, 1.0]])),
    (np.array([[0.5, 1.0, 2.0], [-0.5, -1.0, -2.0]]), np.array([0.5, -0.5])),
    reread="notebook 01, section 4",
)
# Hidden: random heads and batches, also square ones.
### BEGIN HIDDEN TESTS
import scipy.special

from tlkit.grading import check_same


def _right(W, b, X, Y):
    errors = (scipy.special.softmax(X @ W.T + b, axis=1) - Y) / len(X)
    return np.einsum("nk,nd->kd", errors, X), np.einsum("nk->k", errors)


for _seed, (_n, _K, _D) in enumerate([(1, 3, 2), (6, 4, 5), (3, 3, 3)]):
    check_same(
        head_gradients,
        _right,
        lambda rng, n=_n, K=_K, D=_D: (
            rng.normal(size=(K, D)),
            rng.normal(size=K),
            rng.normal(size=(n, D)),
            np.eye(K)[rng.integers(K, size=n)],
        ),
        seed=161 + _seed,
        reread="notebook 01, section 4",
    )
### END HIDDEN TESTS

# %% [markdown]
# ## 4. The numeric check (18 points)
#
# A slip in a gradient changes no shape and raises no error. So compare it with one that shares nothing with your
# derivation: move one entry of $\theta$ by a small $h$ each way, and look.
#
# $$\frac{\partial L}{\partial \theta_i} \approx \frac{L(\theta_i + h) - L(\theta_i - h)}{2h}$$


# %% solution="numeric_gradient"
def numeric_gradient(loss, theta, h=1e-5):
    """The gradient of a function by central differences: an array of the shape of theta.

    loss takes an array of the shape of theta (a vector, a matrix, any shape) and returns one number.
    """
    ### BEGIN SOLUTION
    gradient = np.zeros_like(theta)
    for index in np.ndindex(theta.shape):
        step = np.zeros_like(theta)
        step[index] = h
        gradient[index] = (loss(theta + step) - loss(theta - step)) / (2 * h)
    return gradient
    ### END SOLUTION


# %% test="numeric_gradient_examples" points=3
import numpy as np

from tlkit.grading import check_example


def sum_of_squares(theta):
    return np.sum(theta**2)


check_example(
    numeric_gradient, (sum_of_squares, np.array([1.0, -2.0, 0.5])), [2, -4, 1], reread="notebook 01, section 3"
)

# %% test="numeric_gradient_any_loss" points=8
# Hidden: other functions, of vectors and of matrices, some of them strongly curved. A one-sided difference is not exact
# enough there. theta must be afterwards what it was before.
### BEGIN HIDDEN TESTS
import numpy as np

from tlkit.grading import check_same


def _curved(rng, shape):
    bend, slope = rng.uniform(1e3, 2e3, size=shape), rng.uniform(1, 2, size=shape)

    def loss(theta):
        return np.sum(bend * theta**2 / 2 + slope * theta)

    loss.slope_at = lambda theta: bend * theta + slope
    return loss, rng.uniform(1e-3, 2e-3, size=shape)


def _wavy(rng, shape):
    pace = rng.uniform(1, 3, size=shape)

    def loss(theta):
        return np.sum(np.sin(pace * theta)) * np.sum(theta)

    loss.slope_at = lambda theta: pace * np.cos(pace * theta) * np.sum(theta) + np.sum(np.sin(pace * theta))
    return loss, rng.normal(size=shape)


for _seed, _shape in enumerate([(3,), (2, 4), (2, 2, 2)]):
    for _kind in (_curved, _wavy):
        check_same(
            numeric_gradient,
            lambda loss, theta: loss.slope_at(theta),
            lambda rng, kind=_kind, shape=_shape: kind(rng, shape),
            seed=171 + _seed,
            points=3,
            reread="notebook 01, section 3, on the numeric derivative",
        )
### END HIDDEN TESTS


# %% [markdown]
# When do two gradients agree? Not when they differ by less than some fixed number: gradients can be of any size. Call
# them equal if **no entry differs by more than 1/10,000 of the largest entry** (in absolute value) of both gradients.


# %% solution="gradients_agree"
def gradients_agree(one, other):
    """Whether two gradients of the same shape agree, as defined above: True or False. Two gradients of zeros agree."""
    ### BEGIN SOLUTION
    size = max(np.max(np.abs(one)), np.max(np.abs(other)))
    return bool(np.max(np.abs(one - other)) <= 1e-4 * size)
    ### END SOLUTION


# %% test="gradients_agree_any_scale" points=7
import numpy as np

from tlkit.grading import check_example

check_example(gradients_agree, (np.array([1.0, 2.0]), np.array([1.0, 2.00001])), True, reread="part 4 of this notebook")
check_example(gradients_agree, (np.array([1.0, 2.0]), np.array([1.0, 2.1])), False, reread="part 4 of this notebook")
# Hidden: equal and unequal pairs, tiny and huge, one entry wrong, the sign wrong, twice too large, zeros.
### BEGIN HIDDEN TESTS
from tlkit.grading import check_same


def _pair(rng, change, size):
    one = rng.uniform(1, 2, size=(3, 4)) * rng.choice([-1, 1], size=(3, 4)) * size
    other = one.copy()
    if change == "a rounding error":
        other *= 1 + 1e-7 * rng.normal(size=one.shape)
    elif change == "one entry less":
        other[1, 2] -= 0.1 * size
    elif change == "one entry more":
        other[1, 2] += 0.1 * size
    elif change == "sign":
        other = -other
    elif change == "factor":
        other = other * 2
    elif change == "half":
        other = other / 2
    elif change == "zeros":
        one, other = one * 0, other * 0
    elif change == "against zeros":
        other = other * 0
    return one, other


_ALIKE = ("nothing", "a rounding error", "zeros")
_CHANGES = (*_ALIKE, "one entry less", "one entry more", "sign", "factor", "half", "against zeros")
for _seed, _change in enumerate(_CHANGES):
    for _size in (1e-9, 1.0, 1e9):
        check_same(
            gradients_agree,
            lambda one, other, answer=_change in _ALIKE: answer,
            lambda rng, change=_change, size=_size: _pair(rng, change, size),
            seed=181 + _seed,
            points=1,
            reread="part 4 of this notebook, on when two gradients agree",
        )
### END HIDDEN TESTS

# %% [markdown]
# Now check yourself (no points): do your gradient and your numeric gradient agree? If not, at least one of them is
# wrong.

# %%
rng = np.random.default_rng(0)
W_try, b_try, X_try, Y_try = (
    rng.normal(size=(3, 4)),
    rng.normal(size=3),
    rng.normal(size=(5, 4)),
    np.eye(3)[[0, 1, 2, 0, 1]],
)
by_hand, _ = head_gradients(W_try, b_try, X_try, Y_try)
gradients_agree(by_hand, numeric_gradient(lambda W: cross_entropy(X_try @ W.T + b_try, Y_try), W_try))

# %% [markdown]
# ## 5. One step of gradient descent (7 points)
#
# $$\theta \leftarrow \theta - \alpha\, \frac{\partial L}{\partial \theta}$$


# %% solution="sgd_step"
def sgd_step(theta, gradient, learning_rate):
    """The parameters after one step, as a new array; theta itself stays as it was."""
    ### BEGIN SOLUTION
    return theta - learning_rate * gradient
    ### END SOLUTION


# %% test="sgd_step_any_gradient" points=5
import numpy as np

from tlkit.grading import check_example

check_example(
    sgd_step, (np.array([1.0, 2.0]), np.array([10.0, -10.0]), 0.1), [0.0, 3.0], reread="notebook 01, section 5"
)
# Hidden: random parameters, gradients and learning rates.
### BEGIN HIDDEN TESTS
from tlkit.grading import check_same

check_same(
    sgd_step,
    lambda theta, gradient, learning_rate: theta - learning_rate * gradient,
    lambda rng: (rng.normal(size=(3, 4)), rng.normal(size=(3, 4)), rng.uniform(0.01, 1)),
    seed=191,
    inputs_kept=False,
    reread="notebook 01, section 5",
)
### END HIDDEN TESTS

# %% test="sgd_step_keeps_inputs" points=2
# Hidden: theta and the gradient are the same arrays, with the same numbers, after the call.
### BEGIN HIDDEN TESTS
from tlkit.grading import check_inputs_kept

check_inputs_kept(
    sgd_step,
    lambda rng: (rng.normal(size=(3, 4)), rng.normal(size=(3, 4)), rng.uniform(0.01, 1)),
    seed=192,
    reread="part 5 of this notebook",
)
### END HIDDEN TESTS

# %% [markdown]
# ## 6. One step of Adam (17 points)
#
# One learning rate for all parameters is a compromise. Adam (Kingma and Ba, 2015, arXiv:1412.6980) gives each its own:
# it keeps two running averages, of the gradient ($m$) and of its square ($v$), and divides one by the root of the
# other. All operations are per entry, and $t$ counts the steps from 1:
#
# $$m \leftarrow \beta_1 m + (1 - \beta_1)\, g \qquad v \leftarrow \beta_2 v + (1 - \beta_2)\, g^2$$
#
# Both start at zero, and so are too small at first. The correction for that, for $t$ steps:
#
# $$\hat m = \frac{m}{1 - \beta_1^t} \qquad \hat v = \frac{v}{1 - \beta_2^t} \qquad
#   \theta \leftarrow \theta - \alpha\, \frac{\hat m}{\sqrt{\hat v} + \varepsilon}$$
#
# The corrected $\hat m$ and $\hat v$ are used once and forgotten; $m$ and $v$ are what the next step gets.


# %% solution="adam_step"
def adam_step(theta, gradient, m, v, t, learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-8):
    """One step of Adam: the new theta, m and v, three new arrays of the shape of theta.

    t is 1 for the first step, and m and v are zeros then.
    """
    ### BEGIN SOLUTION
    m = beta_1 * m + (1 - beta_1) * gradient
    v = beta_2 * v + (1 - beta_2) * gradient**2
    m_hat = m / (1 - beta_1**t)
    v_hat = v / (1 - beta_2**t)
    return theta - learning_rate * m_hat / (np.sqrt(v_hat) + epsilon), m, v
    ### END SOLUTION


# %% test="adam_step_examples" points=3
import numpy as np

from tlkit.grading import check_example

# The first step: however large the gradient, each parameter moves by the learning rate.
check_example(
    adam_step,
    (np.array([1.0, 2.0]), np.array([0.3, -5.0]), np.zeros(2), np.zeros(2), 1, 0.1),
    (np.array([0.9, 2.1]), np.array([0.03, -0.5]), np.array([0.00009, 0.025])),
    reread="part 6 of this notebook",
)

# %% test="adam_step_first_step" points=4
# Hidden: first steps with random gradients, learning rates and betas, and an epsilon that is not small.
### BEGIN HIDDEN TESTS
import numpy as np

from tlkit.grading import check_same


def _right_adam(theta, gradient, m, v, t, learning_rate, beta_1, beta_2, epsilon):
    return (
        theta - learning_rate * gradient / (np.abs(gradient) + epsilon),
        gradient - beta_1 * gradient,
        gradient * gradient * (1 - beta_2),
    )


check_same(
    adam_step,
    _right_adam,
    lambda rng: (
        rng.normal(size=(2, 3)),
        rng.normal(size=(2, 3)),
        np.zeros((2, 3)),
        np.zeros((2, 3)),
        1,
        rng.uniform(0.01, 1),
        rng.uniform(0.5, 0.95),
        rng.uniform(0.9, 0.999),
        rng.uniform(0.1, 1),
    ),
    seed=201,
    inputs_kept=False,
    reread="part 6 of this notebook",
)
### END HIDDEN TESTS

# %% test="adam_step_later_steps" points=8
# Hidden: later steps, from random m and v, with every argument random.
### BEGIN HIDDEN TESTS
import numpy as np

from tlkit.grading import check_same


def _right_adam(theta, gradient, m, v, t, learning_rate, beta_1, beta_2, epsilon):
    m, v = m + (1 - beta_1) * (gradient - m), v + (1 - beta_2) * (gradient * gradient - v)
    root = (v / (1 - beta_2**t)) ** 0.5
    return theta - learning_rate / (1 - beta_1**t) * m / (root + epsilon), m, v


check_same(
    adam_step,
    _right_adam,
    lambda rng: (
        rng.normal(size=(2, 3)),
        rng.normal(size=(2, 3)),
        rng.normal(size=(2, 3)),
        rng.uniform(0.1, 2, size=(2, 3)),
        int(rng.integers(2, 30)),
        rng.uniform(0.01, 1),
        rng.uniform(0.5, 0.95),
        rng.uniform(0.9, 0.999),
        10.0 ** rng.integers(-3, 1),
    ),
    seed=211,
    inputs_kept=False,
    reread="part 6 of this notebook",
)
### END HIDDEN TESTS

# %% test="adam_step_keeps_inputs" points=2
# Hidden: theta, the gradient, m and v are the same arrays, with the same numbers, after the call.
### BEGIN HIDDEN TESTS
import numpy as np

from tlkit.grading import check_inputs_kept

check_inputs_kept(
    adam_step,
    lambda rng: (*(rng.uniform(0.1, 2, size=(2, 3)) for _ in range(4)), 3),
    seed=221,
    reread="part 6 of this notebook",
)
### END HIDDEN TESTS

# %% [markdown]
# ## 7. All of it together (no points)
#
# Your functions train a head on 50 handwritten digits, every fourth pixel of every fourth row. **Predict before you
# run:** which of the two optimisers has the smaller loss after 30 steps, each with the learning rate given here?

# %%
import tlkit

few = tlkit.load_domain("mnist").train.take(5, seed=0)
X, Y = few.x[:, ::4, ::4].reshape(len(few), -1) / 255, np.eye(10)[few.y]


def train(optimizer, learning_rate, steps=30):
    W, b, m, v = np.zeros((10, X.shape[1])), np.zeros(10), 0.0, 0.0
    for t in range(1, steps + 1):
        gradient, _ = head_gradients(W, b, X, Y)  # the bias stays zero, for brevity
        if optimizer == "SGD":
            W = sgd_step(W, gradient, learning_rate)
        else:
            W, m, v = adam_step(W, gradient, m, v, t, learning_rate)
    return float(cross_entropy(X @ W.T, Y))


# %%
{"before": float(np.log(10)), "SGD": train("SGD", 0.1), "Adam": train("Adam", 0.01)}
