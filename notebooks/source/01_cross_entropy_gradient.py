# %% [markdown]
# # 01 · Cross-entropy and its gradient
#
# **Question: why is the gradient of the cross-entropy just $\hat y - y$, and how can you tell a right gradient from a
# wrong one?**
#
# Reading time: about 60 minutes, 40 without the sections marked as optional; running it takes about half a minute. You
# need: no other notebook. You should know what a derivative is, the chain rule, and how NumPy multiplies matrices. It
# runs offline.
#
# | symbol | meaning | shape |
# |---|---|---|
# | $K$, $D$, $n$ | number of classes, of pixels in an image, of images | |
# | $x$ | one image, its pixels in a row | $D$ |
# | $W$, $b$ | weights and bias of the head; together: the parameters $\theta$ | $K \times D$, $K$ |
# | $z = Wx + b$ | logits: one score per class, any real number | $K$ |
# | $\hat y$ | predicted probabilities of the classes | $K$ |
# | $y$ | the label, one-hot: 1 at the right class, 0 elsewhere | $K$ |
# | $L$ | the loss of this image: one number | |
# | $\alpha$ | learning rate | |
#
# The path from the image to the loss, and the derivative that belongs to each arrow:
#
# ```mermaid
# graph LR
# x["x: pixels"] -->|"∂z/∂W"| z["z: logits"]
# z -->|"∂ŷ/∂z"| p["ŷ: probabilities"]
# p -->|"∂L/∂ŷ"| L["L: loss"]
# ```
#
# This is the head that you train in notebook 03 on frozen features. There, $x$ has 256 features in place of pixels;
# nothing else changes.
#
# In the program of notebook 00 this is the line `loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),`.
# This notebook derives what it computes, and the gradient that `fit` follows. Section 9 compares both with Keras.

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import scipy
import sympy
import tensorflow as tf
from threadpoolctl import threadpool_limits

# %%
import tlkit
from tlkit.gradients import gradient_triangle
from tlkit.plots import SOURCE_COLOR, TARGET_COLOR
from tlkit.widgets import GradientExplorer

SEED = 0
SEEDS = 10  # draws of images for each claim that depends on luck
PER_CLASS = 10  # labelled images of each digit
STEPS = 200  # of gradient descent
one_thread = threadpool_limits(1)  # the matrices here are small: a second thread would only get in the way

# %% [markdown]
# ## 1. From the likelihood to the cross-entropy
#
# A model gives the right class of image $j$ the probability $p_j$. If the images are independent, the probability
# that it gives to *all* labels together is the product $p_1 p_2 \cdots p_n$, the **likelihood**. A good model makes it
# large.
#
# **Predict before you run:** a model is certain of nothing and gives each right class the probability one half. What
# does the computer say the likelihood of 2,000 labels is?

# %%
p = np.full(2000, 1 / 2)
float(np.prod(p))

# %% [markdown]
# It says zero: a 64-bit float cannot hold a number that small. So take the logarithm, which turns the product into a
# sum and moves no maximum. Change the sign, since optimisers go downhill, and divide by $n$, so that the number does
# not grow with the data:
#
# $$-\tfrac1n \log(p_1 p_2 \cdots p_n) \;=\; -\tfrac1n \sum_{j=1}^{n} \log p_j$$
#
# For one image, the one-hot label picks the right class out of all $K$: $\log p = \sum_k y_k \log \hat y_k$, because
# every other term is multiplied by 0. That is the **cross-entropy**:
#
# $$L(y, \hat y) = -\sum_{k=1}^{K} y_k \log \hat y_k$$


# %% tags=["summary-1"]
def cross_entropy(y_hat, y):
    return -np.sum(y * np.log(y_hat))


uniform, certain = np.full(10, 1 / 10), np.eye(10)[3]
assert np.isclose(cross_entropy(uniform, y=certain), np.log(10))
assert np.isclose(-np.mean(np.log(p)), np.log(2))  # the likelihood above, as a loss: log 2 per image

# %% [markdown]
# A model that knows nothing has the loss $\log K$ (in *nats*, the unit that goes with natural logarithms). With $K$
# classes equally frequent this is the baseline: a loss above $\log K$ is worse than not looking at the image.
#
# Why this loss and no other? **Predict before you run:** of ten labels, seven are "A". A model that cannot see the
# images says "A" with one fixed probability $q$. Which $q$ makes the average cross-entropy smallest: one half, seven
# tenths, or one, since "A" is the best guess?

# %%
from tlkit.widgets import Predict

guess_q = Predict("Which q makes the average cross-entropy smallest?", between=(0, 1))
guess_q

# %%
q = np.linspace(0, 1, 101)[1:-1]
average = -(7 * np.log(q) + 3 * np.log(1 - q)) / 10
best = q[np.argmin(average)]
assert np.isclose(best, 7 / 10)
float(best.round(2))

# %%
guess_q.compare(best)

# %% [markdown]
# It is exactly the share of "A". The cross-entropy rewards *true probabilities*, not bold guesses.

# %% [markdown]
# ## 2. Softmax, and what overflows
#
# A head computes logits, any real numbers. **Softmax** makes probabilities of them: positive, and adding up to one.
#
# $$\hat y_k = \frac{e^{z_k}}{S}, \qquad S = \sum_{j=1}^{K} e^{z_j}$$


# %%
def textbook_softmax(z):
    return np.exp(z) / np.sum(np.exp(z))


z = np.array([2.0, 1.0, -1.0])
textbook_softmax(z).round(4)

# %% [markdown]
# **Predict before you run:** add the same number, say 5, to all three logits. What happens to the probabilities?

# %%
assert np.allclose(textbook_softmax(z + 5), textbook_softmax(z))

# %% [markdown]
# They do not change: $e^{z_k + c} = e^c e^{z_k}$, and $e^c$ cancels in the fraction. Only *differences* of logits
# count. Two things will follow from that, one useful, one deadly for a formula further down.
#
# **Predict before you run:** networks compute in 32-bit floats, whose largest number has 39 digits. What is the largest
# logit whose exponential fits?

# %%
guess_logit = Predict("What is the largest logit whose exponential fits into 32 bits?", between=(0, 1000))
guess_logit

# %%
pd.Series({kind: np.log(np.finfo(kind).max) for kind in ("float32", "float64")}).round(1)

# %%
guess_logit.compare(np.log(np.finfo("float32").max))

# %% [markdown]
# A logit of 100 is enough to break the textbook formula. The useful consequence: subtract the largest logit $m$ first.
# The probabilities stay, and no exponent is above 0. The loss needs one more step. With all probability on one class,
# $\hat y_k$ rounds to 0 for another, and its logarithm is minus infinity. So take the logarithm *before* rounding can
# bite:
#
# $$\log \hat y_k = z_k - \log S, \qquad \log S = m + \log \sum_j e^{z_j - m} \quad(\textbf{log-sum-exp})$$


# %%
def log_sum_exp(z):
    m = np.max(z, axis=-1, keepdims=True)
    return np.squeeze(m, -1) + np.log(np.sum(np.exp(z - m), axis=-1))


def softmax(z):
    return np.exp(z - log_sum_exp(z)[..., None])


def loss_from_logits(z, y):
    return log_sum_exp(z) - np.sum(y * z, axis=-1)


# %% [markdown]
# The table compares three ways to compute the loss with the exact value, from SymPy with 30 digits. The second class is
# the right one.


# %%
def exact(z, y):
    powers = [sympy.exp(sympy.Rational(float(v))) for v in z]
    return float(sympy.log(sum(powers) / powers[int(np.argmax(y))]).evalf(30))


@np.errstate(all="ignore")  # overflow is the point here
def four_ways(*z):
    z, y = np.array(z, dtype=np.float64), np.eye(3)[1]
    shifted = textbook_softmax(z - z.max())
    return cross_entropy(textbook_softmax(z), y), cross_entropy(shifted, y), loss_from_logits(z, y), exact(z, y)


# %%
ways = ["textbook softmax", "shifted softmax", "log-sum-exp", "exact"]
overflow = pd.DataFrame({str(z): four_ways(*z) for z in [(2, 1, -1), (0, 800, 0), (800, 0, 790)]}, index=ways).T
overflow

# %% tags=["summary-1"]
assert np.isnan(overflow.loc["(0, 800, 0)", "textbook softmax"])  # infinity divided by infinity
assert np.isinf(overflow.loc["(800, 0, 790)", "shifted softmax"])  # minus the logarithm of zero
np.testing.assert_allclose(overflow["log-sum-exp"], overflow["exact"], rtol=1e-12, atol=1e-12)
np.testing.assert_allclose(log_sum_exp(z), scipy.special.logsumexp(z))

# %% [markdown]
# Only log-sum-exp is right everywhere. The textbook formula divides infinity by infinity, and that is not a number
# (`NaN`). The shifted one takes the logarithm of zero, and the loss is infinite (`inf`). So every head in tlkit
# ends in logits, and losses take `from_logits=True`. What does Keras do when it gets probabilities instead? It
# clips them away from 0, so that nothing overflows.
#
# **Predict before you run:** the logits are confidently wrong: 30 for a wrong class, 0 for the right one. The loss is
# about 30. What is the gradient that comes back through the clipped probabilities?


# %%
def keras_gradient(from_logits):
    z, y = tf.Variable([30.0, 0.0, 0.0]), tf.constant([0.0, 1.0, 0.0])
    with tf.GradientTape() as tape:
        output = z if from_logits else tf.nn.softmax(z)
        loss = keras.ops.categorical_crossentropy(y, output, from_logits=from_logits)
    return tape.gradient(loss, z).numpy()


gradients = {"from logits": keras_gradient(True), "from probabilities": keras_gradient(False)}
pd.DataFrame(gradients).T.round(4)

# %%
assert np.allclose(gradients["from logits"], [1, -1, 0], atol=1e-6)
assert not gradients["from probabilities"].any()

# %% [markdown]
# It is zero: the model is told *nothing* about its worst mistake. (A Keras model that ends in softmax is usually
# rescued: Keras finds the softmax and goes back to the logits. Where it does not find it, this happens in silence.)

# %% [markdown]
# ## 3. The derivation, line by line
#
# How does the loss change when one logit $z_i$ changes? Follow the arrows from the loss back.
#
# **Step 1, from the loss to the probabilities.** In $L = -\sum_k y_k \log \hat y_k$ only the term $k = i$ contains
# $\hat y_i$, and the derivative of $\log u$ is $1/u$:
#
# $$\frac{\partial L}{\partial \hat y_i} = -\frac{y_i}{\hat y_i}$$
#
# **Step 2, from the probabilities to the logits.** Every probability depends on every logit, through $S$. Since
# $\partial S / \partial z_i = e^{z_i}$, the quotient rule has two cases. For $k = i$ the numerator changes too:
#
# $$\frac{\partial \hat y_i}{\partial z_i} = \frac{e^{z_i} S - e^{z_i} e^{z_i}}{S^2}
#   = \frac{e^{z_i}}{S} \cdot \frac{S - e^{z_i}}{S} = \hat y_i (1 - \hat y_i)$$
#
# For $k \ne i$ only the denominator changes:
#
# $$\frac{\partial \hat y_k}{\partial z_i} = \frac{0 \cdot S - e^{z_k} e^{z_i}}{S^2} = -\hat y_k\, \hat y_i$$
#
# Both in one line, with $\delta_{ki}$ for 1 if $k = i$ and 0 otherwise:
# $\;\partial \hat y_k / \partial z_i = \hat y_k (\delta_{ki} - \hat y_i)$.
#
# **Step 3, the chain rule.** $z_i$ reaches the loss through *all* $K$ probabilities, so add up all paths:
#
# $$\frac{\partial L}{\partial z_i}
#   = \sum_k \frac{\partial L}{\partial \hat y_k} \frac{\partial \hat y_k}{\partial z_i}
#   = \sum_k \left(-\frac{y_k}{\hat y_k}\right) \hat y_k (\delta_{ki} - \hat y_i)$$
#
# Here is the small miracle: $\hat y_k$ cancels. The fraction that grows without bound when the model is confidently
# wrong meets a factor that vanishes just as fast.
#
# $$= -\sum_k y_k \delta_{ki} + \hat y_i \sum_k y_k
#   \;=\; -y_i + \hat y_i \cdot 1$$
#
# The first sum keeps only $k = i$; the second is 1 because the label's entries add up to one. Done:
#
# $$\boxed{\frac{\partial L}{\partial z} = \hat y - y}$$
#
# In words: *what you predicted, minus what you should have.* A shorter road to the same place:
# $L = \log S - \sum_k y_k z_k$, and the derivative of $\log S$ is $e^{z_i}/S = \hat y_i$.

# %% [markdown]
# ### Move it with your hands
#
# The three logits from above, the second class (B) right. Blue bars are $\hat y$, diamonds $y$; the orange arrow from
# the diamond to the end of the bar is $\hat y - y$. On the right the same arrow stands on each logit, and the green
# one is the step of gradient descent, $-\alpha\,(\hat y - y)$. (Without a running kernel you see a picture of the
# start.)
#
# **Predict before you move anything:** make the step size larger and larger. From which size on is the loss *higher*
# after the step than before?

# %%
explorer = GradientExplorer(n_classes=3)
explorer

# %%
at_start = GradientExplorer(n_classes=3)  # yours stays as you have moved it
assert np.allclose(at_start.gradient, softmax(z) - np.eye(3)[1])
for at_start.learning_rate in (0.01, 0.1, 1, 10):
    assert at_start.next_loss < at_start.loss

# %% [markdown]
# There is no such size, on a single image. Wherever the step leads, the right class still has less than all the
# probability and every other class more than none, so $\hat y - y$ keeps its signs and the way ahead keeps going down.
# (What *can* be too large is a step for many images at once, which pull in different directions: section 5 has to
# choose a rate.) Now set the logits to 10, −10, −10: the arrows of A and B have length 1, and get no longer however
# wrong the model is. And with a temperature $T$, by which the logits are divided first, the chain rule gives
# $(\hat y - y)/T$.

# %% [markdown]
# ### How do you know that it is right?
#
# A slip in such a derivation changes no shape and raises no error. So differentiate the same loss in three more ways,
# none of which uses your derivation. **Symbolic**: SymPy applies the rules to the formula. **Automatic**: TensorFlow
# records the operations and goes back through them. **Numeric**: move one logit by a small $h$ each way and see how the
# loss changes,
#
# $$\frac{\partial L}{\partial z_i} \approx \frac{L(z_i + h) - L(z_i - h)}{2h}$$
#
# **Predict before you run:** the logits are those above, and the second class is the right one. Which components of
# $\partial L / \partial z$ are positive? What do all three add up to?

# %%
y = np.array([0.0, 1.0, 0.0])
H = 1e-5  # small, but not so small that rounding takes over

by_hand = softmax(z) - y
numeric = [(loss_from_logits(z + H * e, y) - loss_from_logits(z - H * e, y)) / (2 * H) for e in np.eye(3)]

zs, ys = sympy.symbols("z:3"), sympy.symbols("y:3")
y_hats = [sympy.exp(a) / sum(map(sympy.exp, zs)) for a in zs]
loss = -sum(b * sympy.log(p) for b, p in zip(ys, y_hats, strict=True))
values = dict(zip(zs + ys, [*z, *y], strict=True))
symbolic = [float(loss.diff(a).subs(values)) for a in zs]

# %%
tensor = tf.constant(z)
with tf.GradientTape() as tape:
    tape.watch(tensor)
    taped_loss = -keras.ops.sum(y * keras.ops.log_softmax(tensor))
automatic = tape.gradient(taped_loss, tensor).numpy()

columns = {"by hand": by_hand, "symbolic": symbolic, "automatic": automatic, "numeric": numeric}
pd.DataFrame(columns).round(4)

# %%
for column in columns.values():
    np.testing.assert_allclose(column, by_hand, rtol=1e-6)
assert abs(sum(by_hand)) < 1e-12
assert (by_hand < 0).tolist() == [False, True, False]

# %% [markdown]
# The right class has a negative component, so descent pushes its logit up. Every other is pushed down in proportion to
# the probability it wrongly got. Together they add up to zero, because both $\hat y$ and $y$ add up to one: probability
# is only moved around.
#
# From here on `tlkit.gradients.gradient_triangle` does all this. It takes the loss as a formula or a function, and any
# gradient that somebody *claims*, and says who disagrees. First your three steps, one after the other:

# %% tags=["summary-1"]
step_1 = gradient_triangle(
    -sum(b * sympy.log(p) for b, p in zip(ys, sympy.symbols("p:3"), strict=True)),
    at={"p": softmax(z)},
    given={"y": y},
    claimed=lambda p, y: -y / p,
)
assert step_1.agrees
step_1.table.round(4) + 0.0  # turns -0.0 into 0.0

# %% tags=["summary-1"]
for k in range(3):  # the K gradients of step 2, one for each probability
    row = gradient_triangle(y_hats[k], {"z": z}, claimed=lambda z, k=k: softmax(z)[k] * (np.eye(3)[k] - softmax(z)))
    assert row.agrees, row.verdict

step_3 = gradient_triangle(loss, {"z": z}, given={"y": y}, claimed=lambda z, y: softmax(z) - y)
assert step_3.agrees
step_3.table.round(4)

# %% [markdown]
# Does the check find mistakes? Here are three that everybody makes once. **Predict before you run:** which of them
# could you find by training and looking at the loss?

# %% tags=["nbval-ignore-output"]
slips = {
    "sign dropped": lambda z, y: y - softmax(z),
    "factor 2": lambda z, y: 2 * (softmax(z) - y),
    "the other classes forgotten": lambda z, y: y * (softmax(z) - y),
}
found = {name: gradient_triangle(loss, {"z": z}, given={"y": y}, claimed=slip) for name, slip in slips.items()}
for name, triangle in found.items():
    print(f"{name}: {triangle.verdict}")

# %% tags=["summary-3"]
assert all(triangle.disagrees == ("claimed",) for triangle in found.values())

# %% [markdown]
# All three are found, and where the claim is a multiple of the truth, the verdict says which. In training, the first
# shows at once, since the loss rises. The second never shows: a gradient twice too large acts as a learning rate twice
# as large. The third hides, too: for a single image its step still goes downhill.

# %% [markdown]
# One question tests your understanding of step 3. **Predict before you run:** an image shows two digits, so its label
# has two ones. Is the gradient still $\hat y - y$?

# %%
two_ones = np.array([1.0, 1.0, 0.0])
simple = gradient_triangle(loss, {"z": z}, given={"y": two_ones}, claimed=lambda z, y: softmax(z) - y)
full = gradient_triangle(loss, {"z": z}, given={"y": two_ones}, claimed=lambda z, y: y.sum() * softmax(z) - y)
assert simple.disagrees == ("claimed",)
assert full.agrees

# %% [markdown]
# It is not. The last line used $\sum_k y_k = 1$; without it the gradient is $(\sum_k y_k)\,\hat y - y$. Soft labels
# that add up to one, as in label smoothing or mixup, are fine.

# %% [markdown]
# ## 4. On to the weights
#
# One more arrow is left. From $z_k = \sum_d W_{kd}\, x_d + b_k$, the weight $W_{kd}$ touches only the logit $z_k$, with
# $\partial z_k / \partial W_{kd} = x_d$ and $\partial z_k / \partial b_k = 1$. The pixel $x_d$ touches all logits, with
# $\partial z_k / \partial x_d = W_{kd}$:
#
# $$\frac{\partial L}{\partial W_{kd}} = (\hat y_k - y_k)\, x_d \qquad
#   \frac{\partial L}{\partial b_k} = \hat y_k - y_k \qquad
#   \frac{\partial L}{\partial x_d} = \sum_k W_{kd}\, (\hat y_k - y_k)$$
#
# For $n$ images as the rows of $X$, with the average loss, and $\hat Y$ and $Y$ with one row per image:
#
# $$\frac{\partial L}{\partial W} = \tfrac1n (\hat Y - Y)^\top X \qquad
#   \frac{\partial L}{\partial X} = \tfrac1n (\hat Y - Y)\, W$$
#
# The last one is what a head sends back into its backbone. Note the factor $W$: a head with random weights sends random
# directions. Notebook 04 measures what that does to a pretrained network.


# %%
def head_gradients(W, b, X, Y):
    error = (softmax(X @ W.T + b) - Y) / len(X)  # (n, K)
    return {"W": error.T @ X, "b": error.sum(axis=0), "X": error @ W}


def head_loss(W, b, X, Y):
    logits = tf.matmul(X, W, transpose_b=True) + b
    return -keras.ops.mean(keras.ops.sum(Y * keras.ops.log_softmax(logits), axis=1))


# %%
K, D, N, POINTS = 3, 4, 2, 5
W_, b_, X_, Y_ = map(sympy.IndexedBase, ("W", "b", "X", "Y"))
rows = [[sum(W_[k, d] * X_[j, d] for d in range(D)) + b_[k] for k in range(K)] for j in range(N)]
head_formula = sum(
    Y_[j, k] * (sympy.log(sum(map(sympy.exp, row))) - row[k]) for j, row in enumerate(rows) for k in range(K)
)
head_formula = head_formula / N

# %% [markdown]
# The check takes five random points, and all parameters and pixels at once. **Predict before you run:** how many
# numbers does each column of the comparison hold? The sizes are in the cell above.

# %% tags=["summary-1"]
for seed in range(POINTS):
    rng = np.random.default_rng(seed)
    point = {"W": rng.normal(size=(K, D)), "b": rng.normal(size=K), "X": rng.normal(size=(N, D))}
    labels = {"Y": np.eye(K)[rng.integers(K, size=N)]}
    head = gradient_triangle(head_loss, point, given=labels, symbolic=head_formula, claimed=head_gradients)
    assert head.agrees, head.verdict
len(head.table), list(head.table.columns)

# %% tags=["nbval-ignore-output"]
head.verdict

# %% [markdown]
# ## 5. The gradient is a picture
#
# Now take real images: ten of each handwritten digit, pixels scaled to 0..1. A row of $\partial L/\partial W$ has a
# number for each pixel, so you can look at it.
#
# Start at $W = 0$, $b = 0$. All logits are 0, and $\hat y_k = 1/K$ for every image. **Predict before you run:** what do
# the ten pictures of $-\partial L / \partial W$, the direction of the very first step, show?

# %%
mnist = tlkit.load_domain("mnist")


def flat(split):
    return split.x.reshape(len(split), -1) / 255, np.eye(10)[split.y]


draws = [flat(mnist.train.take(PER_CLASS, seed=seed)) for seed in range(SEEDS)]
X_test, Y_test = flat(mnist.test)
X, Y = draws[SEED]
X.shape, Y.shape

# %%
start = {"W": np.zeros((10, X.shape[1])), "b": np.zeros(10)}
first = -head_gradients(**start, X=X, Y=Y)["W"]

figure, axes = plt.subplots(1, 10, figsize=(9, 1.3), layout="constrained")
for k, ax in enumerate(axes):
    ax.imshow(first[k].reshape(28, 28), cmap="PuOr_r", vmin=-abs(first).max(), vmax=abs(first).max())
    ax.set(title=str(k), xticks=[], yticks=[])

# %% [markdown]
# They show ten blurred digits: orange where the weight goes up, purple where it goes down. Each is *the average image
# of its class minus the average of all images*, over $K$. Put $\hat y_k = 1/K$ into the formula and you can read it
# off, and check it:

# %%
class_means = np.stack([X[Y[:, k] == 1].mean(axis=0) for k in range(10)])
np.testing.assert_allclose(first, (class_means - X.mean(axis=0)) / 10, atol=1e-12)

# %% [markdown]
# So after one step the model is a set of templates. **Predict before you run:** how many of the 2,000 test images does
# it read right? Beside it stands a baseline without any training: the class whose average image is nearest.

# %%
guess_templates = Predict("How many of 2,000 test images does the model read right after one step?", between=(0, 2000))
guess_templates


# %%
def accuracy(W, b, X=X_test, Y=Y_test):
    return np.mean((X @ W.T + b).argmax(axis=1) == Y.argmax(axis=1))


def nearest_mean(X, Y):
    means = (Y.T @ X) / Y.sum(axis=0)[:, None]
    return accuracy(means, -np.sum(means**2, axis=1) / 2)  # the nearest mean, written as a linear model


def one_step(X, Y):
    return accuracy(-head_gradients(**start, X=X, Y=Y)["W"], 0)


# %% tags=["nbval-ignore-output"]
templates, nearest = [one_step(*draw) for draw in draws], [nearest_mean(*draw) for draw in draws]
for name, scores in (("one step", templates), ("nearest mean", nearest)):
    mean, half = tlkit.mean_interval(scores)
    print(f"{name}: {mean:.3f} ± {half:.3f} (95 % interval, {SEEDS} draws)")

# %% tags=["nbval-ignore-output"]
guess_templates.compare(len(X_test) * np.mean(templates))

# %%
assert min(templates) > 3 / 10  # chance is 1/10
assert np.mean(nearest) > np.mean(templates) + 1 / 10

# %% [markdown]
# The model is far above chance after one step, whatever the learning rate: scaling all logits changes no ranking. But
# the nearest mean is better. It subtracts half the squared size of each template, and one step from zero cannot learn
# such a bias: with equally many images of each class, $\partial L/\partial b$ is zero there. More steps have to do
# better.

# %%
assert np.allclose(head_gradients(**start, X=X, Y=Y)["b"], 0)


# %% [markdown]
# Gradient descent, written out: $\theta \leftarrow \theta - \alpha\, \partial L/\partial \theta$, again and again. The
# function takes what you *believe* $\partial L/\partial z$ to be, so that you can try beliefs. It stops early when a
# number overflows, or when `enough` of the training images are read right.


# %%
def train(X, Y, belief, learning_rate, steps=STEPS, W=start["W"], b=start["b"], enough=np.inf):
    log = []  # before each step: training loss, training accuracy, mean size of the push on an image's logits
    for _ in range(steps):
        Z = X @ W.T + b  # (n, K)
        push = belief(softmax(Z), Y)
        hits = Z.argmax(axis=1) == Y.argmax(axis=1)
        log.append((loss_from_logits(Z, Y).mean(), hits.mean(), np.abs(push).sum(axis=1).mean()))
        if hits.mean() >= enough or not np.isfinite(log[-1][0]):  # nothing comes after an overflow
            break
        W, b = W - learning_rate * push.T @ X / len(X), b - learning_rate * push.mean(axis=0)
    return W, b, np.array(log)


# %%
def difference(y_hat, y):
    return y_hat - y


# %% [markdown]
# The learning rate is chosen by the training loss, averaged over the steps and the draws. Test images choose nothing.

# %%
RATES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)


@np.errstate(all="ignore")  # a wrong belief may overflow: it is then not chosen
def best_rate(belief):
    losses = [np.mean([train(*draw, belief, rate)[2][:, 0].mean() for draw in draws]) for rate in RATES]
    return RATES[int(np.argmin(np.nan_to_num(losses, nan=np.inf)))]


rates = {"ŷ − y": best_rate(difference)}
rates

# %% tags=["nbval-ignore-output"]
runs = [train(*draw, difference, rates["ŷ − y"]) for draw in draws]
trained = [accuracy(W, b) for W, b, _ in runs]
mean, half = tlkit.mean_interval(trained)
print(f"{STEPS} steps: {mean:.3f} ± {half:.3f}; nearest mean {np.mean(nearest):.3f}")

# %%
assert all(log[-1, 1] == 1 for _, _, log in runs)  # every training image is read right
mean, half = tlkit.mean_interval(np.array(trained) - nearest)
assert mean - half > 0.01

# %% [markdown]
# All training images are read right, and the test accuracy passes the nearest mean, by a few points. (What better
# features than pixels are worth is the subject of notebook 03.)

# %% [markdown]
# ## 6. An article that stops too early
#
# The article that this course reviews gives the right loss and the right update rule in the first part of its section 4
# ("Building the mathematical model"). The second part ("Deriving the formulas") takes two derivatives, one called that
# of the loss, one called that of the optimiser. Here they are, with its symbols ($n$ counts the classes there):
#
# $$\nabla_\theta L(y, \hat y) = \nabla_\theta -\sum_{i=1}^{n} y_i \log(\hat y_i)
#   = -\sum_{i=1}^{n} \frac{y_i}{\hat y_i}$$
#
# $$\nabla_\theta\, \theta = \theta - \alpha \nabla_\theta L(\theta)
#   = \theta - \alpha \sum_{i=1}^{n} \frac{y_i}{\hat y_i}$$
#
# What is right in it: $-y_i/\hat y_i$ is $\partial L / \partial \hat y_i$, your step 1. What is not:
#
# 1. It is called the gradient with respect to $\theta$. No parameter occurs in it, and the chain rule is never used.
# 2. The components are added up. A gradient has one number for each parameter, and this is a single number.
# 3. The left side of the second line, $\nabla_\theta\, \theta$, is the derivative of $\theta$ with respect to itself,
#    an identity matrix. The right side is the update rule.
# 4. Put the first line into the second: minus times minus is plus. The article keeps the minus, so the sign is lost.
#
# Let the triangle check $-y_i/\hat y_i$. **Predict before you run:** is it right as the gradient with respect to
# $\hat y$, to $z$, or to both?

# %% tags=["summary-2", "summary-3"]
article = {
    "∂L/∂ŷ": step_1,
    "∂L/∂z": gradient_triangle(loss, {"z": z}, given={"y": y}, claimed=lambda z, y: -y / softmax(z)),
}
assert article["∂L/∂ŷ"].agrees
assert article["∂L/∂z"].disagrees == ("claimed",)
article["∂L/∂z"].table.drop(columns="relative difference").round(4) + 0.0

# %%
try:
    gradient_triangle(loss, {"z": z}, given={"y": y}, claimed=lambda z, y: -np.sum(y / softmax(z)))
except ValueError as error:
    message = str(error)
assert "must have its shape (3,)" in message
message

# %% [markdown]
# It is right with respect to $\hat y$, and wrong with respect to $z$. The triangle refuses the sum: one number is no
# gradient of three logits.
#
# ### What does training with it do?
#
# Take it at its word first: every parameter gets the same number $c = \sum_i y_i/\hat y_i$, with either sign. **Predict
# before you run:** what accuracy does that reach after 200 steps?

# %%
guess_same = Predict("What accuracy is reached if all parameters get the same number?", between=(0, 1))
guess_same


# %% tags=["summary-2"]
def same_for_all(X, Y, sign, W, b, steps=STEPS, learning_rate=1e-5):
    for _ in range(steps):
        c = np.mean(np.sum(Y / softmax(X @ W.T + b), axis=1))  # one number for all 7,850 parameters
        W, b = W + sign * learning_rate * c, b + sign * learning_rate * c
    return W, b


W_random = np.random.default_rng(SEED).normal(size=start["W"].shape) / 10
before = softmax(X_test @ W_random.T)
for sign in (1, -1):
    W, b = same_for_all(X, Y, sign, W_random, start["b"])
    assert np.allclose(softmax(X_test @ W.T + b), before)

# %% tags=["nbval-ignore-output"]
guess_same.compare(accuracy(W, b))

# %% [markdown]
# It is always exactly that of the untrained model. Adding $c$ to every weight adds $c\,(\sum_d x_d + 1)$ to *every*
# logit of an image, and softmax does not see what is added to all logits alike: this is the deadly consequence
# announced in section 2. Each parameter moves, and no probability does.
#
# So read it as kindly as possible: take $-y/\hat y$ for $\partial L / \partial z$, and continue as in section 4.
# **Predict before you run:** does the training loss fall, and does the accuracy rise? And if the sign is lost, as in
# the article's second line?


# %%
def early_stop(y_hat, y):  # the derivation that stops at ŷ
    return -y / y_hat


def lost_sign(y_hat, y):
    return y / y_hat


rates["−y/ŷ"] = best_rate(early_stop)
with np.errstate(all="ignore"):
    log = train(X, Y, lost_sign, rates["−y/ŷ"])[2]
breaks_at = int(np.argmax(~np.isfinite(log[:, 0])))  # the first step whose loss is no number any more

# %% tags=["nbval-ignore-output"]
print(f"sign lost: loss {log[0, 0]:.2f} at the start, {log[1, 0]:.2f} after a step, no number after {breaks_at} steps")

# %% tags=["summary-2"]
assert 1 < breaks_at < STEPS
assert log[1, 0] > log[0, 0]

# %% [markdown]
# With the sign lost, training goes uphill until it overflows. The reading with the minus sign is more instructive.
# Below, it stands beside the right gradient, on the same ten draws, each at its own best learning rate.

# %% tags=["nbval-ignore-output"]
stopped = [train(*draw, early_stop, rates["−y/ŷ"]) for draw in draws]
results = {}
for name, found in (("ŷ − y", runs), ("−y/ŷ", stopped)):
    mean, half = tlkit.mean_interval([accuracy(W, b) for W, b, _ in found])
    results[name] = {"training accuracy": np.mean([log[-1, 1] for *_, log in found]), "test accuracy": mean, "±": half}
results["nearest mean"] = {"test accuracy": np.mean(nearest), "±": tlkit.mean_interval(nearest)[1]}
pd.DataFrame(results).T.round(3)

# %% tags=["summary-2", "summary-3"]
losses_of_accuracy = [right - accuracy(W, b) for right, (W, b, _) in zip(trained, stopped, strict=True)]
mean, half = tlkit.mean_interval(losses_of_accuracy)
assert mean - half > 0.02  # more than the luck of the draw explains
assert min(losses_of_accuracy) > 0.02  # and in each draw
assert results["−y/ŷ"]["training accuracy"] > 0.9
assert results["−y/ŷ"]["test accuracy"] < np.mean(nearest)

# %% [markdown]
# A wrong gradient *trains*. It reads nearly all training images, and on the test images it is worse than comparing
# averages. Without the right gradient beside it, you would call it a success and never look. Why does it
# work at all? Let $c$ be the right class of an image. The product of the two vectors is
#
# $$(\hat y - y) \cdot \left(-\frac{y}{\hat y}\right) = (\hat y_c - 1) \cdot \left(-\frac{1}{\hat y_c}\right)
#   = \frac{1 - \hat y_c}{\hat y_c} > 0$$
#
# so for a single image the wrong step goes downhill too. From zero the first steps even give the same answers. The
# wrong step is $K$ times the right one plus the average of all images. A factor changes no ranking, and the average is
# added to all classes alike, so softmax does not see it.

# %%
TINY = 0.001  # the learning rate
first_steps = {
    name: train(X, Y, belief, TINY, steps=1)[:2] for name, belief in (("right", difference), ("wrong", early_stop))
}
np.testing.assert_allclose(first_steps["wrong"][0], 10 * first_steps["right"][0] + TINY * X.mean(axis=0), atol=1e-12)
answers = {name: (X_test @ W.T + b).argmax(axis=1) for name, (W, b) in first_steps.items()}
assert np.mean(answers["right"] == answers["wrong"]) > 0.999  # of 2,000 test images

# %% [markdown]
# From the second step on they part. $\hat y - y$ fades when an image is read well, since $\hat y$ approaches $y$. But
# $1/\hat y_c$ is never below 1: the wrong gradient pushes an image that is already right, for ever.
#
# **Predict before you run:** you train ten times as long. Sketch both losses, and the size of both pushes.

# %%
LONG = 10 * STEPS
with np.errstate(all="ignore"):
    long_logs = {
        "ŷ − y": [train(*draw, difference, rates["ŷ − y"], steps=LONG)[2] for draw in draws],
        "−y/ŷ": [train(*draw, early_stop, rates["−y/ŷ"], steps=LONG)[2] for draw in draws],
    }

# %%
figure, axes = plt.subplots(1, 2, figsize=(8.5, 3.2), layout="constrained")
for (name, logs), color in zip(long_logs.items(), (SOURCE_COLOR, TARGET_COLOR), strict=True):
    for i, log in enumerate(logs):
        for column, ax in zip((0, 2), axes, strict=True):
            ax.loglog(np.arange(len(log)) + 1, log[:, column], color=color, alpha=0.6, label=name if i == 0 else None)
axes[0].set(xlabel="step", ylabel="training cross-entropy (nats)")
axes[1].set(xlabel="step", ylabel=r"push on an image: sum of $|\partial L/\partial z_i|$")
legend = axes[1].legend(frameon=False)
# %% [markdown]
# Ten draws each, both axes logarithmic. Left, the loss: blue ($\hat y - y$) wobbles for ten steps, then falls on a
# straight line; orange ($-y/\hat y$) levels off, and ends far above it. Right, the push: blue fades towards zero,
# orange never gets below 1. Where an orange line ends, the numbers have overflowed.

# %% tags=["nbval-ignore-output"]
overflowed = sum(not np.isfinite(log[-1, 0]) for log in long_logs["−y/ŷ"])
print(f"−y/ŷ ended in an overflow on {overflowed} of {SEEDS} draws, ŷ − y on none")

# %% tags=["summary-2"]
assert overflowed > SEEDS / 2
for right, wrong in zip(long_logs["ŷ − y"], long_logs["−y/ŷ"], strict=True):
    assert np.nanmin(wrong[:, 0]) > 10 * right[-1, 0]
    assert not (wrong[:, 2] < 1).any()  # never less than 1
    assert right[-1, 2] < 0.01

# %% [markdown]
# ## 7. The squared error beside it (optional)
#
# The article names the mean squared error as the other usual loss. Take half the squared error of the probabilities:
#
# $$M = \tfrac12 \sum_k (\hat y_k - y_k)^2, \qquad \frac{\partial M}{\partial \hat y_k} = \hat y_k - y_k$$
#
# So $\hat y - y$ appears again, but one arrow too early. The step through softmax is still to come, with the
# derivative of step 2, and this time nothing cancels:
#
# $$\frac{\partial M}{\partial z_i} = \sum_k (\hat y_k - y_k)\, \hat y_k (\delta_{ki} - \hat y_i)
#   = \hat y_i \Big[ (\hat y_i - y_i) - \sum_k \hat y_k (\hat y_k - y_k) \Big]$$
#
# For two classes it is enough to follow one logit $z$ through a sigmoid, $p = 1/(1 + e^{-z})$, with label $t$, 0 or 1.
# The sigmoid's derivative is $p(1-p)$:
#
# $$\text{cross-entropy: } \frac{\partial L}{\partial z} = p - t \qquad
#   \text{squared error: } \frac{\partial M}{\partial z} = (p - t)\, p\, (1 - p)$$


# %%
def squared(y_hat, y):
    gap = y_hat - y
    return y_hat * (gap - np.sum(y_hat * gap, axis=-1, keepdims=True))


mse = sum((p - b) ** 2 for p, b in zip(y_hats, ys, strict=True)) / 2
a, t = sympy.symbols("a t")  # a: the one logit
p = 1 / (1 + sympy.exp(-a))
sigmoid_losses = {-t * sympy.log(p) - (1 - t) * sympy.log(1 - p): p - t, (p - t) ** 2 / 2: (p - t) * p * (1 - p)}

# %%
assert gradient_triangle(mse, {"z": z}, given={"y": y}, claimed=lambda z, y: squared(softmax(z), y)).agrees
for formula, claim in sigmoid_losses.items():
    for logit in (-3, 0.5, 4):
        for label in (0, 1):
            assert gradient_triangle(formula, {"a": logit}, given={"t": label}, claimed=claim).agrees

# %% [markdown]
# **Predict before you run:** the right answer is 1. For which logit does each loss push hardest: one that is very wrong
# (far below 0), undecided (at 0), or right (far above 0)?

# %%
line = np.linspace(-8, 8, 201)
ax = plt.subplots(figsize=(5.5, 3.2), layout="constrained")[1]
for claim, name, color in zip(
    sigmoid_losses.values(), ("cross-entropy", "squared error"), (SOURCE_COLOR, TARGET_COLOR), strict=True
):
    ax.plot(line, abs(sympy.lambdify(a, claim.subs(t, 1))(line)), color=color, label=name)
ax.set(xlabel="logit z of the right answer", ylabel=r"push, $|\partial\,$loss$\,/\,\partial z|$")
legend = ax.legend(frameon=False)
# %% [markdown]
# The cross-entropy (blue) pushes hardest where the model is most wrong. The squared error (orange) peaks near the
# middle and dies out on *both* sides: the factor $p(1-p)$ cannot tell confidently right from confidently wrong. Its
# largest push is where $p = 1/3$, and there it is only $4/27$.

# %% tags=["summary-3"]
push = sympy.lambdify(a, ((1 - p) * p * (1 - p)))
assert np.isclose(push(line).max(), 4 / 27, atol=1e-4)
assert np.isclose(1 / (1 + np.exp(-line[push(line).argmax()])), 1 / 3, atol=0.02)
assert push(-8.0) < 0.001 < 0.999 < float((1 - p).subs(a, -8))

# %% [markdown]
# **Predict before you run:** is the squared error then slower on the digits, from the zero start? And from random
# weights, which are confidently wrong about most images, the more so the larger they are? The measure is the number of
# steps until 19 of 20 training images are read right. Each loss gets the one of four learning rates that is fastest on
# the first draw.

# %%
LIMIT = 500
SCALES = (0.0, 0.3, 1.0)  # of the random weights at the start
PUSH_RATES = (0.3, 1.0, 3.0, 10.0)


# %%
def steps_to_learn(belief, rate, scale, seed):
    W = np.random.default_rng(seed).normal(size=start["W"].shape) * scale
    *_, log = train(*draws[seed], belief, rate, steps=LIMIT, W=W, enough=19 / 20)
    return len(log) - 1 if log[-1, 1] >= 19 / 20 else LIMIT


def fastest(belief, scale):
    rate = min(PUSH_RATES, key=lambda rate: steps_to_learn(belief, rate, scale, SEED))
    return [steps_to_learn(belief, rate, scale, seed) for seed in range(SEEDS)]


# %% tags=["nbval-ignore-output"]
both = {"cross-entropy": difference, "squared error": squared}
speed = {(scale, name): fastest(belief, scale) for scale in SCALES for name, belief in both.items()}
speed = pd.DataFrame(speed, index=pd.RangeIndex(SEEDS, name="draw")).rename_axis(columns=["scale", "loss"])
speed

# %% tags=["summary-3"]
fold = {scale: speed[scale]["squared error"] / speed[scale]["cross-entropy"] for scale in SCALES}
mean, half = tlkit.mean_interval(speed[0.0]["squared error"] - speed[0.0]["cross-entropy"])
assert 0 < mean - half < mean + half < 10  # from zero a few steps more
assert (fold[0.3] > 2.5).all()
assert (speed[1.0]["squared error"] == LIMIT).all()  # it never gets there
assert (speed[1.0]["cross-entropy"] < LIMIT / 5).all()
for scale in (0.0, 0.3):  # the largest rate of the list is too large for the squared error
    assert steps_to_learn(squared, PUSH_RATES[-1], scale, SEED) > speed[scale]["squared error"][SEED]

# %% tags=["nbval-ignore-output"]
mse_runs = [train(*draw, squared, 3.0) for draw in draws]
mse_trained = np.array([accuracy(W, b) for W, b, _ in mse_runs])
mean, half = tlkit.mean_interval(mse_trained - trained)
print(f"from zero, {STEPS} steps: squared error {mse_trained.mean():.3f}, cross-entropy {np.mean(trained):.3f}")
print(f"difference {mean:.3f} ± {half:.3f}")

# %%
assert abs(mean) + half < 0.03

# %% [markdown]
# From zero, where the model is confident of nothing, a larger learning rate makes up for most of the smaller push: the
# squared error needs a few steps more, and the test accuracy is about the same. From a confidently wrong start it is
# several times slower, or does not arrive within the limit at any of the four rates: the push itself is gone. (At
# the scales 0 and 0.3 a longer list of rates would not help, since the largest of the four is already too large.)

# %% [markdown]
# ## 8. Down the hill: gradient descent, momentum, Adam (optional)
#
# To watch an optimiser you want two parameters. Tell a 1 from a 7 by one number, the *ink* $x$: the mean darkness of
# the image, in tenths. The model is $p = \text{sigmoid}(w x + b)$, the label $t$ is 1 for a seven, and you know the
# gradient: $\partial L/\partial w$ is the mean of $(p - t)\,x$, and $\partial L/\partial b$ that of $p - t$.

# %%
ink, seven = [], []
for split in (mnist.train.take(50, seed=seed) for seed in range(SEEDS)):
    chosen = np.isin(split.y, (1, 7))
    darkness = split.x[chosen].mean(axis=(1, 2, 3)) / 25.5  # 0..10
    ink.append(np.stack([darkness, np.ones(len(darkness))], axis=1))  # (n, 2): the 1 goes with b
    seven.append((split.y[chosen] == 7).astype(float))
ink[SEED].shape


# %%
def surface(theta, i=SEED):
    z = theta @ ink[i].T
    return np.mean(np.logaddexp(0, z) - seven[i] * z, axis=-1)  # log-sum-exp of the two logits 0 and z


def slope(theta, i=SEED):
    return (scipy.special.expit(ink[i] @ theta) - seven[i]) @ ink[i] / len(seven[i])


# %%
def surface_tensor(theta):
    z = keras.ops.matmul(ink[SEED], keras.ops.reshape(theta, (2, 1)))[:, 0]
    return keras.ops.mean(keras.ops.softplus(z) - seven[SEED] * z)


valley = gradient_triangle(surface_tensor, {"theta": [0.5, -1]}, numeric=surface, claimed=slope)
assert valley.agrees
valley.table.round(4)

# %% [markdown]
# How does the surface look near its lowest point? The matrix of second derivatives, the Hessian, tells; it follows from
# the sigmoid's derivative $p(1-p)$. SciPy finds the lowest point, as a reference.


# %%
def hessian(theta, i=SEED):
    p = scipy.special.expit(ink[i] @ theta)
    return (ink[i].T * p * (1 - p)) @ ink[i] / len(p)


bottoms = [scipy.optimize.minimize(surface, [0, 0], args=(i,), jac=slope, tol=1e-10).x for i in range(SEEDS)]
curvatures = np.linalg.eigvalsh(hessian(bottoms[SEED]))
assert curvatures[1] > 50 * curvatures[0] > 0

# %% [markdown]
# It is a valley: at its lowest point it is more than 50 times as curved across as along. Here are three rules to get
# down, with $g$ for the gradient at the current $\theta = (w, b)$, $s$ for the number of the step, and squares and
# roots taken component by component:
#
# - **gradient descent**: $\theta \leftarrow \theta - \alpha\, g$
# - **momentum** (Polyak, 1964): $u \leftarrow \beta u + g$, then $\theta \leftarrow \theta - \alpha\, u$. What points
#   the same way again and again adds up; what changes sign cancels.
# - **Adam** (Kingma and Ba, 2014, arXiv:1412.6980): running means $m \leftarrow \beta_1 m + (1-\beta_1)\, g$ and
#   $v \leftarrow \beta_2 v + (1-\beta_2)\, g^2$. They start at zero, so early values are too small; dividing by
#   $1-\beta_1^s$ and $1-\beta_2^s$ corrects for it. Then
#   $\theta \leftarrow \theta - \alpha\, m / (\sqrt v + \epsilon)$: each parameter moves in steps of about $\alpha$,
#   however small its gradient.


# %%
def plain(g, state, s):
    return g, state


def momentum(g, state, s, beta=0.9):
    u = beta * state[0] + g
    return u, [u]


# %%
def adam(g, state, s, beta1=0.9, beta2=0.999, epsilon=1e-7):
    m = beta1 * state[0] + (1 - beta1) * g
    v = beta2 * state[1] + (1 - beta2) * g**2
    correction = np.sqrt(1 - beta2**s) / (1 - beta1**s)  # of both means in one factor, as Keras does it
    return correction * m / (np.sqrt(v) + epsilon), [m, v]


# %%
START = np.array([-1.0, -1.0])  # off the valley, so that you see it being found


def descend(rule, rate, gradient=slope, steps=300):
    path, state = [START], np.zeros((2, 2))
    for s in range(1, steps + 1):
        step, state = rule(gradient(path[-1]), state, s)
        path.append(path[-1] - rate * step)
    return np.array(path)


# %% [markdown]
# **Predict before you run:** rank the three by the number of steps until 99 % of the way down is done, for good. Each
# gets the learning rate of the list that is fastest on its slowest draw.

# %%
VALLEY_RATES = (0.01, 0.1, 0.3, 1, 3, 10)


# %%
def steps_down(rule, rate, i):
    path = descend(rule, rate, lambda theta: slope(theta, i))
    left = (surface(path, i) - surface(bottoms[i], i)) / (surface(START, i) - surface(bottoms[i], i))
    return int(np.flatnonzero(~(left < 0.01))[-1]) + 1  # the first step from which it stays there; 301: never


counts = {
    rule: {r: [steps_down(rule, r, i) for i in range(SEEDS)] for r in VALLEY_RATES} for rule in (plain, momentum, adam)
}

# %% tags=["nbval-ignore-output"]
best = {rule: min(by_rate, key=lambda r: max(by_rate[r])) for rule, by_rate in counts.items()}
rows = {rule.__name__: [rate, *tlkit.mean_interval(counts[rule][rate])] for rule, rate in best.items()}
pd.DataFrame(rows, index=["learning rate", "steps", "±"]).T.round(1)

# %% tags=["summary-3"]
fewest = {rule: np.array(counts[rule][rate]) for rule, rate in best.items()}
for rule in (momentum, adam):
    assert (fewest[rule] < 0.6 * fewest[plain]).all()
arrives = {rule: sum(max(steps) <= 300 for steps in by_rate.values()) for rule, by_rate in counts.items()}
assert arrives[plain] <= 2 < 4 <= min(arrives[momentum], arrives[adam])
assert min(counts[momentum][0.01] + counts[adam][0.01]) > max(fewest[plain])

# %%
W_grid, B_grid = np.meshgrid(np.linspace(-2, 12, 100), np.linspace(-10, 2, 100))
height = np.log(surface(np.stack([W_grid, B_grid], axis=-1)) - surface(bottoms[SEED]) + 1e-3)
figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), sharex=True, sharey=True, layout="constrained")
for rule, ax in zip((plain, momentum, adam), axes, strict=True):
    ax.contourf(W_grid, B_grid, height, levels=20, cmap="Greys_r")
    ax.plot(*descend(rule, best[rule], steps=60).T, ".-", color=TARGET_COLOR, linewidth=1)
    ax.plot(*bottoms[SEED], "*", color=SOURCE_COLOR, markersize=10)
    ax.set(title=rule.__name__, xlabel="w, per tenth of ink", xlim=(-2, 12), ylim=(-10, 2))
label = axes[0].set_ylabel("b")

# %% [markdown]
# Sixty steps (orange) from the same start; the darker, the lower, and the blue star marks the lowest point. Plain
# gradient descent drops into the valley in a few steps, then creeps along its floor. Momentum and Adam shoot across,
# swing from side to side, and gain speed along the floor meanwhile. They also forgive more: of the six learning rates,
# plain descent arrives within 300 steps with two at most, each of the others with four or more. But with the smallest
# rate of the list both are slower than plain descent with its best. No rule saves you from choosing.
#
# Why can plain descent not simply take larger steps? Across the valley, with curvature $\lambda$, a step multiplies the
# distance to the floor by $1 - \alpha\lambda$. That shrinks only while $\alpha < 2/\lambda$, and along the valley this
# is a tiny step. **Predict before you run:** what happens five percent below and above this limit, close to the bottom?

# %%
limit = 2 / curvatures[1]
near = bottoms[SEED] + np.linalg.eigh(hessian(bottoms[SEED]))[1][:, 1] / 1000  # a little to the side, across
distances = {}
for name, rate in (("below", 0.95 * limit), ("above", 1.05 * limit)):
    theta = near
    for _ in range(30):
        theta = theta - rate * slope(theta)
    distances[name] = np.linalg.norm(theta - bottoms[SEED]) / np.linalg.norm(near - bottoms[SEED])
assert distances["below"] < 1 / 10
assert distances["above"] > 5

# %% [markdown]
# Five percent below the limit, 30 steps shrink the distance to less than a tenth. Five percent above it, the distance
# grows more than fivefold.
#
# ### Is this really Adam?
#
# Feed Keras' optimisers the gradients of your path and compare all positions, step for step. (Keras adds $\epsilon$
# before the correction, and so do you. In the paper that is the variant with $\hat\epsilon$, in the text of section 2.)


# %%
def keras_path(optimizer, path):
    theta = keras.Variable(START, dtype="float64")
    positions = [START]
    for point in path[:-1]:
        optimizer.apply([tf.constant(slope(point))], [theta])
        positions.append(theta.numpy().copy())
    return np.array(positions)


# %%
ours = {rule: descend(rule, 1.0) for rule in (plain, momentum, adam)}
theirs = {
    plain: keras_path(keras.optimizers.SGD(1.0), ours[plain]),
    momentum: keras_path(keras.optimizers.SGD(1.0, momentum=0.9), ours[momentum]),
    adam: keras_path(keras.optimizers.Adam(1.0), ours[adam]),
}
for rule in ours:
    np.testing.assert_allclose(theirs[rule], ours[rule], rtol=1e-3, atol=1e-3)
len(ours[adam])

# %% [markdown]
# 300 steps agree. (Keras keeps the learning rate and the betas in 32 bits, so the last digits differ.)
#
# One warning to take along. **Predict before you run:** you forget the $1/n$ of the mean, so every gradient is $n$
# times too large. What does that do to Adam's path? And to that of gradient descent?

# %%
n = len(seven[SEED])
forgotten = {rule: descend(rule, best[rule], lambda theta: n * slope(theta)) for rule in (plain, adam)}
honest = {rule: descend(rule, best[rule]) for rule in (plain, adam)}
assert np.allclose(forgotten[adam], honest[adam], atol=1e-3)
assert not np.allclose(forgotten[plain], honest[plain], atol=1)

# %% tags=["nbval-ignore-output", "summary-3"]
caught = gradient_triangle(
    surface_tensor, {"theta": [0.5, -1]}, numeric=surface, claimed=lambda theta: n * slope(theta)
)
assert caught.disagrees == ("claimed",)
caught.verdict

# %% [markdown]
# Plain gradient descent takes another path, and Adam takes the same: it divides by the size of the gradient, so a wrong
# factor leaves no trace in its training curve. Section 6 showed a wrong direction that trains; here is a wrong size
# that trains just as well. A falling loss is no proof of a gradient. Three independent derivatives are a good one.

# %% [markdown]
# ## 9. The same in plain Keras
#
# One `Dense` layer is the head, and the line of notebook 00 is its loss. `GradientTape` gives the gradient of this loss
# to kernel and bias, at the random weights of section 6. Is it the one that you derived? (Keras computes in 32 bits,
# and its kernel is $W^\top$.)

# %%
plain = keras.Sequential([keras.Input((X.shape[1],)), keras.layers.Dense(10)])
plain.set_weights([W_random.T, start["b"]])
keras_loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
with tf.GradientTape() as tape:
    value = keras_loss(Y.argmax(axis=1), plain(X))
kernel_gradient, bias_gradient = tape.gradient(value, plain.trainable_variables)
derived = head_gradients(W_random, start["b"], X, Y)
np.testing.assert_allclose(value, loss_from_logits(X @ W_random.T, Y).mean(), rtol=1e-5)
np.testing.assert_allclose(kernel_gradient, derived["W"].T, atol=1e-6)
np.testing.assert_allclose(bias_gradient, derived["b"], atol=1e-6)
kernel_gradient.shape

# %% [markdown]
# And the training: `fit` with `SGD`, all 100 images in one batch, from zero and at the rate that you chose. Are its
# weights after all steps those of `train`?

# %% tags=["nbval-ignore-output"]
plain.set_weights([start["W"].T, start["b"]])
plain.compile(keras.optimizers.SGD(rates["ŷ − y"]), keras_loss)
plain.optimizer.build(plain.trainable_variables)
batches = tf.data.Dataset.from_tensors((X, Y.argmax(axis=1))).repeat(STEPS)  # one epoch of STEPS equal batches
plain.fit(batches, verbose=0)
W, b, _ = runs[SEED]
kernel, bias = plain.get_weights()
np.testing.assert_allclose(kernel.T, W, atol=1e-3)
np.testing.assert_allclose(bias, b, atol=1e-3)
{"largest weight": float(abs(W).max()), "largest difference": float(abs(kernel.T - W).max())}

# %% [markdown]
# Your guesses beside the results, if you recorded any:

# %%
Predict.report()

# %% [markdown]
# ## Summary
#
# - The cross-entropy is the negative log-likelihood, per image. Through softmax its gradient is $\hat y - y$, because $1/\hat y_k$
#   from the logarithm cancels $\hat y_k$ from the softmax; on the weights it is $(\hat y - y)\, x^\top$. Compute it
#   from logits with log-sum-exp.
# - A derivation that stops at $-y/\hat y$ gives the gradient with respect to $\hat y$, and not to the logits. Read
#   literally, it changes no prediction. Read kindly, it trains, but in each draw to a lower test accuracy than the
#   right gradient, and it pushes for ever. With the sign lost, training overflows.
# - The squared error loses its push where a model is confidently wrong. Momentum and Adam shorten the way along a
#   valley, at a learning rate that suits them. A high training accuracy does not prove a gradient right: a wrong one
#   reached more than 90 %. The gradient triangle found each wrong gradient.

# %% [markdown]
# ## Exercises
#
# Replace each `...` by your answer and run the cell. It says whether the answer is right, and if not, what is missing.
# Hints and solutions are folded.

# %% [markdown]
# **1. A gradient on paper.** The logits of an image are $\log 1$, $\log 2$ and $\log 5$, and the third class is the
# right one. What is $\partial L/\partial z$? A list of three numbers.
#
# <details><summary>Hint</summary>
#
# The exponentials are 1, 2 and 5, so $S$ is 8.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# on_paper = [1 / 8, 2 / 8, 5 / 8 - 1]
# ```
#
# </details>

# %%
from tlkit.exercises import check

on_paper = ...  # your three numbers

check("01.1", on_paper)

# %% [markdown]
# **2. Labels that do not exclude each other.** A photograph may show a dog *and* a bicycle. Then each class has a
# sigmoid of its own, $p_k = 1/(1 + e^{-z_k})$, the label $y$ holds a 1 for each class that is there, and the loss is
# $-\sum_k [\,y_k \log p_k + (1 - y_k) \log (1 - p_k)\,]$. `several_labels(z, y)` returns this loss and its gradient
# with respect to $z$, a pair. Nothing may overflow, whatever the logits.
#
# <details><summary>Hint</summary>
#
# Section 7 has the derivative for one logit. For the loss put $p_k$ in: what is left is $\log(1 + e^{z_k}) - y_k z_k$,
# and `np.logaddexp` computes such a logarithm.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# import numpy as np
# from scipy.special import expit
#
# def several_labels(z, y):
#     loss = np.sum(np.logaddexp(0, z) - y * z)
#     return loss, expit(z) - y
# ```
#
# </details>

# %%
from tlkit.exercises import check


def several_labels(z, y): ...  # your code


check("01.2", several_labels)

# %% [markdown]
# **3. One layer more.** Below the head lies a hidden layer $h = \mathrm{relu}(Vx)$, and the logits are $Wh$. The
# function should return the gradients of the cross-entropy with respect to $V$ and $W$. It runs, and training with it
# may even lower the loss, but it has two mistakes. Write it anew.
#
# ```python
# def two_layers(V, W, x, y):
#     h = np.maximum(V @ x, 0)
#     z = W @ h
#     y_hat = np.exp(z) / np.exp(z).sum()
#     back = W.T @ y_hat
#     return np.outer(back, x), np.outer(y_hat - y, h)
# ```
#
# <details><summary>Hint</summary>
#
# Section 4 says what a head sends back to its input. A unit that the ReLU has set to zero passes nothing on.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# import numpy as np
#
# def two_layers(V, W, x, y):
#     h = np.maximum(V @ x, 0)
#     z = W @ h
#     y_hat = np.exp(z) / np.exp(z).sum()
#     back = (W.T @ (y_hat - y)) * (h > 0)
#     return np.outer(back, x), np.outer(y_hat - y, h)
# ```
#
# </details>

# %%
from tlkit.exercises import check


def two_layers(V, W, x, y): ...  # your code


check("01.3", two_layers)

# %% [markdown]
# **4. Temperature** (without a check). A *temperature* $T > 0$ divides all logits: $\hat y = \text{softmax}(z/T)$.
# Derive $\partial L/\partial z$ and $\partial L/\partial T$ on paper, line by line. Then put your two formulas into the
# code below as the claim, until the triangle agrees. What happens to the gradient with respect to $z$ when $T$ grows
# without bound?
#
# ```python
# T = sympy.Symbol("T")
# warm = loss.subs({a: a / T for a in zs}, simultaneous=True)
# gradient_triangle(warm, {"z": z, "T": 2}, given={"y": y}, claimed=lambda z, T, y: {"z": ..., "T": ...})
# ```
