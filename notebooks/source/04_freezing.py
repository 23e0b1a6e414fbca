# %% [markdown]
# # 04 · Freezing
#
# **Question: you tell some layers not to learn. Do they stay as they are, what does that save, and what does it cost?**
#
# Reading time: about 40 minutes; running it takes about one. You need: notebook 03 (backbone, head, stages,
# fine-tuning). It runs offline.
#
# In notebook 00 you wrote `base.trainable = False`, and before fine-tuning you set the flag of each BatchNorm layer to
# `False` again. This notebook compares weights to see what such lines do, and runs what they freeze only once. Section 8
# comes back to plain Keras with what it has found.
#
# | word | meaning here |
# |---|---|
# | weights | numbers that training changes by their gradient |
# | statistics | BatchNorm's running mean and variance: training changes them too, without any gradient |
# | flag | `layer.trainable`: what you *ask for* |
# | frozen | what you *get*: neither weights nor statistics move |
# | boundary | where the frozen stages end |
# | trunk, tail | the backbone before the boundary (frozen), and after it |
#
# ```mermaid
# flowchart LR
#   F["flag: layer.trainable"] -->|"read once, at the first fit after compile"| S["training step: a fixed program"]
#   S -->|"each batch"| W["weights and statistics"]
#   A["audit: before and after"] -.->|compares| W
# ```
#
# The drawing sums up the first half of this notebook: a flag is a wish, the training step carries it out or not, and
# only the weights tell you which.

# %%
import time

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

import tlkit
from tlkit import plots
from tlkit.features import batches

# %%
SEED = 0
PER_CLASS = 10  # labels of each digit: 100 in all
DRAWS = 10  # every claim about fine-tuning is repeated for so many draws of those labels
LIVE = 1  # draws trained here; the others come from a stored table
TEST = 800  # of the 2,000 test images of mnist: enough here, and quick; of the source every third one

# %% [markdown]
# ## 1. The mechanism, on two layers
#
# Here is a toy: three numbers in, a layer called `first`, a layer called `second`, two logits out.

# %%
points = np.random.default_rng(SEED).normal(size=(64, 3)).astype("float32")
side = (points.sum(axis=1) > 0).astype(int)  # the label: on which side of a plane


def toy():
    keras.utils.set_random_seed(SEED)
    layers = [keras.layers.Dense(4, activation="relu", name="first"), keras.layers.Dense(2, name="second")]
    return keras.Sequential([keras.Input((3,)), *layers], name="toy")


# %%
def compiled(model, optimizer="sgd"):
    model.compile(optimizer=optimizer, loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


# %% [markdown]
# What does a training move? Only the weights can tell you: copy them all, train, and compare.


# %%
def moved_by_fit(model):
    before = {layer.name: layer.get_weights() for layer in model.layers}
    model.fit(points, side, verbose=0)
    return {layer.name: not all(map(np.array_equal, before[layer.name], layer.get_weights())) for layer in model.layers}


model = toy()
model.get_layer("first").trainable = False
moved_by_fit(compiled(model))

# %% [markdown]
# As wished: `first` is still, `second` moved.
#
# **Predict before you run:** now you set the same flag, but after a first `fit`. Does `first` stay still in the second
# `fit`?

# %% tags=["summary-1"]
model = compiled(toy())
model.fit(points, side, verbose=0)
model.get_layer("first").trainable = False  # too late
late = moved_by_fit(model)
again = moved_by_fit(compiled(model))  # compile makes Keras build a new training step
assert late == {"first": True, "second": True}
assert again == {"first": False, "second": True}
pd.DataFrame({"flag set after fit": late, "and compiled again": again})

# %% [markdown]
# The flag says `False`, the layer learns, and no warning comes. Keras built the training step at the first `fit`
# after `compile`, with the flags of that moment. `tlkit.fit` compiles every time for this reason.

# %% [markdown]
# ## 2. The model's flag and the layers' flags
#
# A model has a flag too. Setting it passes the value on to all layers. And a model whose own flag is `False` trains
# nothing, whatever its layers say.
#
# **Predict before you run:** the toy has four weight arrays (two kernels, two biases). You set each layer to `False`,
# and then the model to `True`. How many of the arrays will learn? And how many in the other rows of the table below?

# %%
from tlkit.widgets import Predict

guess_arrays = Predict("Each layer False, then the model True: how many of 4 arrays learn?", between=(0, 4))
guess_arrays


# %%
def flags(model):
    layers = {layer.name: layer.trainable for layer in model.layers}
    return {"model": model.trainable, **layers, "arrays that learn": len(model.trainable_weights)}


# %%
model, rows = toy(), {}
rows["as built"] = flags(model)
model.trainable = False
rows["model.trainable = False"] = flags(model)
model.get_layer("second").trainable = True
rows["… then second.trainable = True"] = flags(model)

# %% tags=["summary-1"]
model = toy()
for layer in model.layers:
    layer.trainable = False
rows["each layer False"] = flags(model)
model.trainable = True
rows["… then model.trainable = True"] = flags(model)
learning = [row["arrays that learn"] for row in rows.values()]
assert learning == [4, 0, 0, 0, 0]
pd.DataFrame(rows).T

# %%
guess_arrays.compare(learning[-1])

# %% [markdown]
# Two of these rows fool people:
#
# - *Third row:* `second` is `True` and still nothing learns, because the model above it says no.
# - *Last row:* you ask for everything to learn, and nothing does. The model's flag had been `True` all along, so Keras
#   sees no change and passes nothing on.
#
# Rule: set the flag of **each layer**, keep the model's own flag `True`, then compile. `tlkit.freeze_to` does that.

# %% [markdown]
# ## 3. BatchNorm moves without a gradient
#
# BatchNorm shifts and scales each channel. While training it uses the mean of the batch, and keeps a running mean for
# later: with the momentum $m$ of this backbone,
#
# $$\text{running mean} \leftarrow m \cdot \text{running mean} + (1 - m) \cdot \text{batch mean}$$
#
# and the same for the variance. It needs no gradient and no learning rate. The picture shows the layer's two modes, and when each of
# them runs:
#
# ![Two panels. Left: the layer subtracts the mean and divides by the deviation of this batch, then multiplies by gamma
# and adds beta. Each batch also moves the running mean and variance: m times the old value plus (1 − m) times the
# batch’s. Right: the layer uses the running mean and variance that were kept, and they stay as they are. In Keras, fit
# with layer.trainable = True runs the left mode: the statistics move without a gradient. Fit with layer.trainable =
# False runs the right mode: the flag changes the mode, and gamma and beta stay. Predict and evaluate run the right
# mode, whatever the flag says.](pictures/batchnorm.svg)
#
# **Predict before you run:** the learning rate below is **zero**, so no weight of the pretrained ResNet can move. After
# 4 epochs on 100 `mnist` images, in batches of 8, what is left of its accuracy on the source? Beside it the same images are
# tried inverted (`255 - x`: in our plots they would look like chalk on a blackboard). `tlkit.watch` makes your comparison
# from section 1, for each layer of a real training.

# %%
guess_left = Predict("What source accuracy is left after 4 epochs on inverted images?", between=(0, 1))
guess_left

# %%
pair = tlkit.load_pair(source="printed", target="mnist")
source_test, target_test = pair.source.test[::3], pair.target.test[:TEST]
few = pair.target.train.take(PER_CLASS, seed=SEED)
inverted = tlkit.Split(255 - few.x, few.y)
backbone = tlkit.load_backbone("resnet_printed")
pretrained = backbone.model.get_weights()
source_head = tlkit.load_source_head(backbone, pair.source.classes)
names_source = tlkit.join(backbone.model, source_head)
PRINTED = tlkit.accuracy(names_source, source_test)


# %%
def at_rate_zero(bn_learns):
    tlkit.freeze_to(backbone, stage=0, train_batchnorm=bn_learns)
    model = tlkit.join(backbone.model, tlkit.build_head(backbone, n_classes=10))
    return compiled(model, keras.optimizers.SGD(learning_rate=0.0))


def source_after(model, images):
    backbone.model.set_weights(pretrained)
    watch = tlkit.watch(backbone=backbone, intended_stage=5)  # meant: nothing in the backbone moves
    model.fit(batches(images, 8, shuffle_seed=SEED), epochs=4, shuffle=False, verbose=0, callbacks=[watch])
    return tlkit.accuracy(names_source, source_test), watch.table


# %% tags=["nbval-ignore-output"]
drifting = at_rate_zero(bn_learns=True)
left, strip = source_after(drifting, inverted)
left_mnist, _ = source_after(drifting, few)
left_frozen, still = source_after(at_rate_zero(bn_learns=False), inverted)
index = ["before", "mnist", "inverted mnist", "inverted, BatchNorm's flags False"]
pd.Series([PRINTED, left_mnist, left, left_frozen], index=index, name="source accuracy").round(3)

# %% tags=["nbval-ignore-output"]
guess_left.compare(left)

# %%
ax = plots.plot_audit(strip)
# %% [markdown]
# The strip has one column per layer, from the first to the last: what was meant, whether weights moved, whether
# statistics moved. The upper rows are blue (still) in the backbone; the statistics of all twelve BatchNorm layers are
# orange (moved), each with a cross because that was not meant. The last column is the head, which was meant to learn
# and, at a rate of zero, could not.

# %% tags=["plumbing", "summary-1"]
norms = strip[strip["kind"] == "BatchNormalization"]
assert norms["statistics_moved"].all()
assert not strip["weights_moved"].any()  # not one weight
assert left < PRINTED - 0.2
assert abs(left_mnist - PRINTED) < 0.02
assert left_frozen == PRINTED
assert not still["statistics_moved"].any()
brightness = [images.x.mean() / 255 for images in (source_test, few, inverted)]
assert abs(brightness[1] - brightness[0]) < 0.1
assert brightness[2] - brightness[0] > 0.5

# %% [markdown]
# Not one weight has moved, and with inverted images the network has forgotten much of what it knew. With `mnist` as it
# comes the statistics move too, and it costs next to nothing: its pixels are about as bright as the printed ones. So
# the statistics drift in both cases, and what this costs depends on how far the target's pixels are from the source's.
#
# No weight shows this, and the training loss does not either, since it is computed with the mean of the batch. With
# `bn.trainable = False`, a BatchNorm layer keeps its statistics and uses them while training too. Nothing moves then,
# and the source accuracy stays exactly what it was.
#
# ### Does `training=False` hold them?
#
# A well-known piece of advice: call the backbone as `backbone(x, training=False)`; then BatchNorm stays still even if
# you unfreeze the rest later. Keras' guide "Transfer learning & fine-tuning" (dated 2023/06/25) gives it. After an
# issue (keras-team/keras #20285) the guide names the layers' flags first, and still allows `training=False` in their
# place.
#
# **Predict before you run:** in a functional Keras model, does it?

# %%
image = keras.Input((28, 28, 1))
backbone.model.set_weights(pretrained)
tlkit.freeze_to(backbone, stage=0, train_batchnorm=True)
features = backbone.model(image, training=False)
model = compiled(keras.Model(image, tlkit.build_head(backbone, n_classes=10)(features)))
stem = backbone.model.get_layer("stage1_bn")
before = stem.moving_mean.numpy().copy()
model.fit(batches(few, 32), shuffle=False, verbose=0)
assert not np.array_equal(before, stem.moving_mean)

# %% [markdown]
# It does not: the assert above says that the running mean has moved. (This holds for Keras 3.12.0 to 3.15.1; notebook
# 13 tests the version that you have.) `fit` calls the whole model with `training=True`, and that passes down to the
# backbone. Where you write `call` yourself, the advice is right:


# %%
class Written(keras.Model):
    def __init__(self):
        super().__init__()
        self.norm, self.out = keras.layers.BatchNormalization(), keras.layers.Dense(2)

    def call(self, x):
        return self.out(self.norm(x, training=False))


model = compiled(Written())
model.fit(points + 3, side, verbose=0)
assert not model.norm.moving_mean.numpy().any()  # still zero, as at the start

# %% [markdown]
# The same advice has two outcomes. The layer's own flag holds in both.
#
# So `tlkit.freeze_to` keeps BatchNorm frozen even in the stages that learn, unless you say `train_batchnorm=True`.

# %% [markdown]
# ## 4. By stage, or by layer
#
# `freeze_to(backbone, stage)` freezes stages 1 to `stage`. At 0 everything learns; at 5 nothing in the backbone does:
# feature extraction.
#
# **Predict before you run:** which share of the backbone's weights still learns when the first three of five stages are
# frozen?

# %%
guess_share = Predict("Stages 1 to 3 are frozen: which share of the weights learns?", between=(0, 1))
guess_share

# %%
backbone.model.set_weights(pretrained)
counts = {}
for stage in range(backbone.n_stages + 1):
    tlkit.freeze_to(backbone, stage)
    counts[stage] = tlkit.count_weights(backbone.model).trainable
share = pd.DataFrame({"weights that learn": counts})
share["share"] = (share["weights that learn"] / counts[0]).round(3)
share.rename_axis("frozen up to stage")

# %%
guess_share.compare(share["share"][3])

# %%
assert share["share"][3] > 0.9

# %% [markdown]
# The late stages are wide, and hold nearly all weights. "Three of five stages frozen" sounds like a lot, and leaves
# more than nine in ten weights free.
#
# You can also set flags layer by layer. Here only the second convolution of the last residual block may learn. One real
# training step says whether it went as meant: `audit_fit` takes the step, compares every weight, and puts everything
# back.

# %% tags=["summary-1"]
tlkit.freeze_to(backbone, stage=5)
backbone.model.get_layer("stage5_b_conv").trainable = True
head = tlkit.build_head(backbone, n_classes=10, seed=SEED)
model = tlkit.join(backbone.model, head)
audit = tlkit.audit_fit(model, few, backbone=backbone)
assert audit[audit["weights_moved"]]["layer"].str.endswith(("stage5_b_conv", "logits")).all()
assert audit["weights_moved"].sum() == 2
ax = plots.plot_audit(audit)
# %% [markdown]
# One column in the last stage and the head are orange, and all else is blue, as meant.
#
# What you lose by going layer by layer is the clean cut. A network can only be cut where it narrows to **one** tensor.
# Inside a residual block there are two, the branch and the shortcut, and no boundary:

# %%
try:
    tlkit.wrap_backbone(backbone.model, ["stage5_b_conv", "stage5_out"], "cut_inside")
except ValueError as error:
    print(error)

# %% [markdown]
# ## 5. The boundary cache: what freezing saves
#
# What is frozen gives the same features in every epoch. So run it once, keep the features at the boundary, and train
# the tail and the head on those: `split_at`, then `cache_features`, then `fit`. The picture shows the training above and
# the whole model below, with the same weights:
#
# ![Two rows. Above, the training: each image passes the frozen trunk once, and its features are stored. In each epoch
# the tail and the head, which learn, read the stored features, and the gradient of the loss ends at the boundary
# between trunk and tail. Below, the whole model: images, trunk, tail, head, scores. Dashed lines join each part to its
# twin above: they have the same weights, so training tail and head is training the model.](pictures/cache_boundary.svg)
#
# How much arithmetic does the cache save?
#
# Count multiply-adds, that is, products that are added up: nearly all the work of a network. For one image let
#
# - $T$ be a forward pass through the trunk, $t$ through the tail, $h$ through the head,
# - $n$ the number of images and $E$ the number of epochs.
#
# A layer that learns is passed three times: forward, backward for the gradient of what comes *in* (the layers before
# need it), and backward for the gradient of its *weights*. Each costs about as much as one forward pass, so the layer
# costs three. (The first layer that learns could do with two; the model leaves that out.) A frozen layer before the
# boundary costs one: no layer before it needs a gradient, so the backward pass stops at the boundary.
#
# Without a cache each image goes through all of that in each epoch. With a cache, the trunk's part is paid once:
#
# $$\text{whole} = E\,n\,(T + 3t + 3h) \qquad\qquad \text{cached} = n\,T + E\,n\,(3t + 3h)$$
#
# Three things can be read off before any measurement. For $E = 1$ both are equal: the cache never costs arithmetic. For
# many epochs the ratio whole : cached approaches $1 + T / (3t + 3h)$. And the ratio is large only where the *frozen*
# part outweighs three times the rest.
#
# **Predict before you run:** $E = 20$. With everything frozen (stage 5), how many times less arithmetic is the cached
# training? With only the stem frozen (stage 1)?

# %%
guess_times = Predict("Stage 5: how many times as much arithmetic without the cache?", between=(1, 25))
guess_times

# %%
EPOCHS = 20


def arithmetic(stage):
    trunk, tail = tlkit.split_at(backbone, stage)
    frozen = tlkit.multiply_adds(trunk)
    learns = tlkit.multiply_adds(tail) + tlkit.multiply_adds(head)
    whole, cached = EPOCHS * (frozen + 3 * learns), frozen + EPOCHS * 3 * learns
    ratios = {"predicted": whole / cached, "limit": 1 + frozen / (3 * learns)}
    return {"whole": whole, "cached": cached, **ratios, "kB": np.prod(trunk.output_shape[1:]) * 4 / 1000}


# %% tags=["summary-2", "summary-3"]
costs = pd.DataFrame({stage: arithmetic(stage) for stage in range(1, 6)}).T.rename_axis("frozen up to stage")
assert costs["predicted"].is_monotonic_increasing  # the deeper the boundary, the more the cache saves
assert costs["predicted"][1] < 1.1
assert costs["predicted"][5] > 19
assert (costs["predicted"] <= np.minimum(EPOCHS, costs["limit"])).all()
costs.astype({"whole": int, "cached": int}).round(2)

# %%
guess_times.compare(costs["predicted"][5])

# %% [markdown]
# Columns `whole` and `cached` are multiply-adds for one image in all epochs; `limit` is the value that the ratio
# approaches with more and more epochs. With only the stem frozen the cache saves next to nothing: the stem is cheap.
# With everything frozen the ratio is nearly the number of epochs, because only the head is left to repeat.
#
# The last column is the price in memory: kilobytes for the features of one image (four bytes per number). An image
# itself has 784 bytes. At an early boundary its features take more than a hundred times that.

# %%
assert costs["kB"][1] > 100 * few.x[0].nbytes / 1000
assert costs["kB"][5] < costs["kB"][1] / 5

# %% [markdown]
# ### Predicted against measured
#
# A clock reads the processor time at the end of each epoch, on 200 images. The first epoch is left out: in it Keras
# builds the training step, which depends neither on the number of images nor on the cache. The trained weights are kept
# for the question after this one.

# %%
more = pair.target.train.take(2 * PER_CLASS, seed=SEED)
OPTIMIZERS = {1: "adam", 3: "adam", 5: "sgd"}  # by stage
start_of_head, weights = head.get_weights(), {}
more


# %%
def seconds_per_epoch(core, examples, stage):
    backbone.model.set_weights(pretrained)
    head.set_weights(start_of_head)
    ends, options = [], {"optimizer": OPTIMIZERS[stage], "learning_rate": 1e-3, "seed": SEED, "progress": False}
    clock = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: ends.append(time.process_time()))
    tlkit.fit(tlkit.join(core, head), examples, epochs=2, callbacks=[clock], **options)
    weights[stage, core is backbone.model] = [*backbone.model.get_weights(), *head.get_weights()]
    return ends[1] - ends[0]


# %%
def measured(stage):
    backbone.model.set_weights(pretrained)
    tlkit.freeze_to(backbone, stage)
    trunk, tail = tlkit.split_at(backbone, stage)
    start = time.process_time()
    cached = tlkit.cache_features(trunk, more, cache_dir="memory")
    once = time.process_time() - start  # building the graph included
    whole = EPOCHS * seconds_per_epoch(backbone.model, more, stage)
    return whole / (once + EPOCHS * seconds_per_epoch(tail, cached, stage))


# %% tags=["nbval-ignore-output"]
costs["measured"] = pd.Series({stage: measured(stage) for stage in OPTIMIZERS})
costs[["predicted", "measured"]].dropna().round(2)

# %%
assert costs["measured"][5] > 2 * costs["measured"][1]

# %% [markdown]
# Compare the columns on your machine. Early boundaries save little, as predicted. At stage 5 you get less than the
# model promises: it counts arithmetic and nothing else, and with so little arithmetic left, what Python does to hand
# over each batch takes most of the time. On a large backbone arithmetic rules: `make bench` measures it for ResNet50.

# %% [markdown]
# ### Is it the same training?
#
# A shortcut is worth nothing if it changes the result. **Predict before you run:** the same seed, the same batches,
# once through the whole model and once on cached features. How far apart are the trained weights?


# %% tags=["nbval-ignore-output"]
def apart(one, other):
    """The largest difference between two lists of arrays."""
    return max(float(np.abs(mine - theirs).max()) for mine, theirs in zip(one, other, strict=True))


start = [*pretrained, *start_of_head]
same = pd.DataFrame(index=pd.Index(OPTIMIZERS, name="frozen up to stage"))
same["moved by training"] = [apart(weights[stage, True], start) for stage in OPTIMIZERS]
same["whole against cached"] = [apart(weights[stage, True], weights[stage, False]) for stage in OPTIMIZERS]
same

# %% [markdown]
# If the last column reads 0, the trainings are equal bit for bit. That is so on a PC's processor, where `import tlkit` turns
# on oneDNN, Intel's routines for TensorFlow. On other processors, and on a GPU, the column may hold small numbers. What is
# frozen computes the same features whether it runs once or in each epoch, but only up to rounding, because a sum of
# floats depends on its order:

# %%
numbers = np.random.default_rng(SEED).normal(size=1000).astype("float32")
forwards, backwards = sum(numbers), sum(numbers[::-1])
assert forwards != backwards
forwards, backwards

# %% [markdown]
# A convolution is such a sum. The trunk runs in larger batches when its features are cached than when the whole model
# trains, and some routines choose the order by the size of the batch. Adam enlarges such a difference: it divides each
# gradient by its usual size, so that a gradient of almost zero moves its weight, too. To *you* the networks are the same:

# %% tags=["summary-2"]
for stage in OPTIMIZERS:
    answers = []
    for is_whole in (True, False):
        backbone.model.set_weights(weights[stage, is_whole][:-2])
        head.set_weights(weights[stage, is_whole][-2:])
        answers.append(tlkit.predict_probabilities(tlkit.join(backbone.model, head), target_test))
    assert np.allclose(*answers, atol=1e-3)
    assert same["whole against cached"][stage] < 0.1 * same["moved by training"][stage]
print("The two networks give each test image the same probabilities, to three decimals.")

# %% [markdown]
# (That needs BatchNorm frozen too, and no augmentation of the images: notebook 06 shows what to do there.)

# %% [markdown]
# ## 6. How deep should you freeze?
#
# What does freezing cost in accuracy? For each frozen depth from 0 (everything learns) to 5 (only the head learns),
# fine-tune on 100 labels of `mnist` and measure both domains. Do it in two ways. Their rates come from notebook 03, so
# no rate is tuned here. Both have six epochs, fewer than there, to save time:
#
# - **rough**: start from a new random head, at a learning rate of 3e-3;
# - **gentle**: start from the best head on the frozen features (`fit_probe`), at a tenth of that rate.
#
# **Predict before you run:** draw four curves on paper, target and source for each way, over the depths 0 to 5.

# %%
RATE = {"rough": 3e-3, "gentle": 3e-4}
N = 10 * PER_CLASS
draws = [pair.target.train.take(PER_CLASS, seed=draw) for draw in range(LIVE)]
DEPTHS = range(6) if LIVE == DRAWS else (3, 5)  # the depths that are trained here


def joined(*splits):
    return tlkit.Split(np.concatenate([each.x for each in splits]), np.concatenate([each.y for each in splits]))


all_draws, both_tests = joined(*draws), joined(source_test, target_test)

# %%
backbone.model.set_weights(pretrained)
frozen = tlkit.cache_features(backbone.model, all_draws, cache_dir="memory")


def start(way, draw):
    backbone.model.set_weights(pretrained)
    new = tlkit.build_head(backbone, n_classes=10, seed=draw)
    if way == "gentle":
        tlkit.fit_probe(new, frozen[N * draw : N * (draw + 1)])
    head.set_weights(new.get_weights())


# %% [markdown]
# Next comes an audit by hand. It measures how far each stage's convolutions are from their pretrained values, as a
# share of their size, $\lVert w - w_0 \rVert / \lVert w_0 \rVert$. A frozen stage must show exactly zero.

# %%
paths = [variable.path for variable in backbone.model.weights]  # "stage1_conv/kernel", "stage2_a_conv/kernel", …


def distances():
    now, found = backbone.model.get_weights(), {}
    for stage in range(1, 6):
        chosen = [i for i, path in enumerate(paths) if path.startswith(f"stage{stage}_") and path.endswith("kernel")]
        tuned, old = (np.concatenate([weights[i].ravel() for i in chosen]) for weights in (now, pretrained))
        found[str(stage)] = float(np.linalg.norm(tuned - old) / np.linalg.norm(old))
    return found


# %%
def scores(tail, tests):
    """Accuracies on both test sets, with the source's head and the new one; the tail runs once for both."""
    features = tlkit.Split(tail.predict(tests.x, batch_size=64, verbose=0), tests.y)
    cut = len(source_test)
    return {"source": tlkit.accuracy(source_head, features[:cut]), "target": tlkit.accuracy(head, features[cut:])}


# %% [markdown]
# Here the fine-tuning is written out, to save time (`tlkit.fine_tune` does it in one call). Keras builds the training
# step once per depth, and all draws use it again. The frozen part also runs once, on the labelled images of all draws
# and on the test images. Before each run the weights, the head and the optimizer are reset.
#
# Six depths take a while. So you see two of them trained, 3 and 5, and the other four come from a stored table.


# %%
def tuned(model, cached, way, draw, rate, epochs=6):
    """Fine-tunes; `cached` are the labels of all draws at the boundary."""
    start(way, draw)
    for variable in model.optimizer.variables:  # Adam's running means and its count of steps
        variable.assign(keras.ops.zeros_like(variable))
    model.optimizer.learning_rate = rate
    part = cached[N * draw : N * (draw + 1)]
    model.fit(batches(part, 32, shuffle_seed=draw), epochs=epochs, shuffle=False, verbose=0)
    return {"way": way, "draw": draw, **distances()}


# %%
def frozen_at(depth):
    """The model behind the boundary, its labels and test images there, and the tail."""
    backbone.model.set_weights(pretrained)
    tlkit.freeze_to(backbone, depth)
    trunk, tail = tlkit.split_at(backbone, depth)
    cached, tests = (tlkit.cache_features(trunk, each, cache_dir="memory") for each in (all_draws, both_tests))
    model = compiled(tlkit.join(tail, head), keras.optimizers.Adam())
    model.optimizer.build(model.trainable_variables)  # otherwise Keras traces the training step twice
    return model, cached, tests, tail


# %%
kept = {}  # for later: a trained model keeps its training step


def runs_at(depth):
    model, cached, tests, tail = kept[depth] = frozen_at(depth)
    for way, rate in RATE.items():
        for draw in range(LIVE):
            yield tuned(model, cached, way, draw, rate) | {"depth": depth, **scores(tail, tests)}


here = pd.DataFrame([run for depth in DEPTHS for run in runs_at(depth)])

# %% [markdown]
# That was one draw of the labels, and one draw proves nothing. The other nine, too, come from the stored table.
# `tools/course_tables.py` made it with this notebook's own cells, with `LIVE = 10` and all depths.

# %%
stored = tlkit.stored_table("freezing_depth", draws=range(DRAWS))
trained_here = (stored["draw"] < LIVE) & stored["depth"].isin(DEPTHS)
runs = pd.concat([here, stored[~trained_here]], ignore_index=True)
stored.attrs

# %% tags=["nbval-ignore-output"]
groups = runs.groupby(["way", "depth"])[["source", "target"]]
groups.agg(lambda values: "{:.3f} ± {:.3f}".format(*tlkit.mean_interval(values)))


# %% tags=["plumbing"]
STAGES = ["1", "2", "3", "4", "5"]


def draw_curves(ax, way):
    for domain, color in (("source", plots.SOURCE_COLOR), ("target", plots.TARGET_COLOR)):
        groups = runs[runs["way"] == way].groupby("depth")[domain]
        mean, half = np.transpose([tlkit.mean_interval(values) for _, values in groups])
        ax.errorbar(np.arange(6) + 0.5, mean, half, marker="o", capsize=3, color=color, label=domain)
    ax.set(title=way, ylim=(0, 1.05), xlabel="")
    sns.despine(ax=ax)


# %% tags=["plumbing"]
def draw_strip(ax, way):
    moved = runs[runs["way"] == way].groupby("depth")[STAGES].mean().T
    palette = sns.light_palette(plots.TARGET_COLOR, as_cmap=True)
    sns.heatmap(moved, mask=moved == 0, annot=True, fmt=".3f", cmap=palette, vmin=0, vmax=0.5, cbar=False, ax=ax)
    ax.set_facecolor(plots.SOURCE_COLOR)  # what did not move at all
    ax.set(xlabel="frozen up to stage", ylabel="stage")
    ax.tick_params(length=0, rotation=0)


# %%
figure, grid = plt.subplots(2, 2, figsize=(9, 5.2), height_ratios=(3, 2), sharex=True, layout="constrained")
for column, way in enumerate(RATE):
    draw_curves(grid[0, column], way)
    draw_strip(grid[1, column], way)
grid[0, 0].set_ylabel("test accuracy")
grid[0, 1].legend(frameon=False, loc="lower right")
plt.show()
# %% [markdown]
# The left column is rough, the right one gentle. The curves give the test accuracy over the frozen depth, blue for the
# source and orange for the target, with 95 % intervals over ten draws of the labels. In the strips below, blue cells
# did not move at all; orange cells moved by the share that is written in them.

# %%
moved = runs[STAGES].to_numpy() > 0  # (run, stage)
behind = runs["depth"].to_numpy()[:, None] < np.arange(1, 6)
assert np.array_equal(moved, behind)  # in each run the stages behind the boundary moved, and no other
assert (here[here["depth"] == 5]["source"] == PRINTED).all()  # everything frozen: nothing forgotten, exactly

# %% [markdown]
# All depths learned from the same ten draws. So compare them draw by draw: the score at each depth *minus* the score with
# everything frozen.


# %%
def minus_all_frozen(way, domain):
    """The 95 % interval of the difference to depth 5, a row per depth."""
    scores = runs[runs["way"] == way].pivot_table(domain, "draw", "depth")
    mean, half = np.transpose([tlkit.mean_interval(scores[depth] - scores[5]) for depth in range(5)])
    return pd.DataFrame({"low": mean - half, "high": mean + half}).rename_axis("depth")


# %% tags=["nbval-ignore-output"]
over = {(way, domain): minus_all_frozen(way, domain) for way in RATE for domain in ("source", "target")}
pd.concat(over, axis=1).round(3)

# %% tags=["plumbing", "summary-3"]
assert over["rough", "source"]["high"].max() < -0.05
assert over["rough", "target"]["high"][:4].max() < 0  # at depth 4 no difference need show
assert over["gentle", "target"].abs().to_numpy().max() < 0.015
assert over["gentle", "source"]["low"].min() > -0.005
distance = runs[runs["depth"] == 0].groupby("way")[STAGES].mean()  # where all stages learn
assert (distance.loc["rough"] > 3 * distance.loc["gentle"]).all()
assert (distance["5"] > 2 * distance["1"]).all()

# %% [markdown]
# **Rough.** The source is forgotten at every depth but the last. The target is worse, too, with fewer than four stages
# frozen. Here freezing is a *protection*: what cannot move cannot be spoilt. The intervals of these curves are wide:
# the ten draws end very differently.
#
# **Gentle.** The weights move several times less (look at the strips), next to nothing is forgotten, and on the target
# no depth differs from the deepest by more than about a point. Within that margin, it is as good to freeze everything
# as to let everything learn, and it costs the least.
#
# The usual advice is to freeze the early layers, since they are general, and let the late ones learn (Yosinski et al.,
# 2014, arXiv:1411.1792). The strips agree in one respect: where all stages learn, the last one moves furthest and the
# stem least. Whether the last stage *should* move most depends on what differs between the domains: try the exercise.

# %% [markdown]
# ### Which of the two protects: the start or the rate?
#
# The two ways differ in two things, the start of the head and the rate. To learn which of them protects, change one at
# a time: both starts at both rates, with stages 1 to 3 frozen. Each training has 20 epochs, as in notebook 03. One of the
# 40 trainings is made here, and the others come from a stored table.
#
# **Predict before you run:** which change saves more of the source on average, the better start or the lower rate?

# %%
guess_cause = Predict("Which change saves more of the source, on average?", choices=("the start", "the rate"))
guess_cause

# %%
NAMES = {"rough": ("random head", "high rate"), "gentle": ("best head", "low rate")}
model, cached, tests, tail = kept[3]  # built above; what its training step trains has not changed since


def square_run(way, rate, draw):
    row = {"start": NAMES[way][0], "rate": NAMES[rate][1]}
    return row | tuned(model, cached, way, draw, RATE[rate], epochs=20) | scores(tail, tests)


some = RATE if LIVE == DRAWS else ["gentle"]  # trained here; at the high rate rounding alone changes much
square_here = [square_run(way, rate, draw) for way in some for rate in some for draw in range(LIVE)]

# %% tags=["nbval-ignore-output"]
square = pd.concat([tlkit.stored_table("start_and_rate"), pd.DataFrame(square_here)])
square = square.drop_duplicates(["start", "rate", "draw"], keep="last").set_index(["start", "rate", "draw"])
square = square.sort_index()[["source", "target"]]
in_words = "{:.3f} ± {:.3f}".format
square.groupby(["start", "rate"]).agg(lambda values: in_words(*tlkit.mean_interval(values)))


# %%
def change(domain, before, after):
    """What a change does to a score, draw by draw: mean and half width of the 95 % interval."""
    return tlkit.mean_interval(square.loc[after, domain] - square.loc[before, domain])


CHANGES = {
    "lower rate, random head": (("random head", "high rate"), ("random head", "low rate")),
    "lower rate, best head": (("best head", "high rate"), ("best head", "low rate")),
    "better start, high rate": (("random head", "high rate"), ("best head", "high rate")),
    "better start, low rate": (("random head", "low rate"), ("best head", "low rate")),
}

# %% tags=["nbval-ignore-output"]
effects = {(name, domain): change(domain, *ends) for name, ends in CHANGES.items() for domain in ("source", "target")}
pd.Series({key: in_words(*effect) for key, effect in effects.items()})

# %%
low = {key: mean - half for key, (mean, half) in effects.items()}  # the lower end of each interval
assert all(low[name, "source"] > 0 for name in CHANGES)
assert all(low[name, "target"] > 0 for name in CHANGES if name != "better start, high rate")
first, second = square.loc["random head", "low rate"], square.loc["best head", "high rate"]
rate_over_start = tlkit.mean_interval((first - second)["source"])
assert abs(rate_over_start[0]) < rate_over_start[1] + 0.01  # undecided, or barely not

# %% [markdown]
# **Both protect.** From either start the lower rate saves source accuracy, and at either rate the better start does,
# though at the high rate barely: that interval almost reaches zero. The means are larger for the rate, and your guess
# is compared with them. But ten draws do not settle which of the two saves more. For that, compare the random head at
# the low rate with the best head at the high rate: the interval of this difference reaches zero. On the target the
# lower rate gains one to three points. The better start gains one at the low rate, and nothing that ten draws could
# show at the high one.

# %% tags=["nbval-ignore-output"]
guess_cause.compare("the rate" if rate_over_start[0] > 0 else "the start")

# %% [markdown]
# ## 7. Your turn: FreezeLab
#
# Now do all of this by hand. To save time the lab gets every fourth test image. Freeze stages, or open the small arrow
# of a stage and freeze single layers. Press **Train**, watch both domains, and read the strip. The grey lines are
# earlier runs. The curves show live scores, taken on held-out images. Their last points, once a run has ended, and the
# table are scores on the test images.
#
# **Predict before you run:** head and base learn at the *rough* rate. How much of the source is left if nothing is
# frozen? And if stages 1 to 4 are?

# %%
from tlkit.widgets import FreezeLab

parts = [tlkit.Domain(each.name, each.train, each.test[::4], each.classes) for each in (pair.source, pair.target)]
lab = FreezeLab(tlkit.DomainPair(*parts), tlkit.load_backbone("resnet_printed"), seed=SEED)
lab.head_rate = lab.base_rate = RATE["rough"]
lab.epochs, lab.measures_scratch = 8, False
lab.freeze_to(4)
protected = lab.train()
lab.freeze_to(0)
rough_run = lab.train()

# %% tags=["nbval-ignore-output"]
lab

# %%
lab.measures_scratch = True  # after your own runs the network is trained from scratch, too
assert protected.source > rough_run.source + 0.1
assert (rough_run.audit["verdict"].str.endswith("as meant")).all()

# %% [markdown]
# Freezing protects here, too: with stages 1 to 4 frozen the same rate leaves more of the source. (The scores are not
# those of section 6, which has six epochs, ten draws and other test images.) Now find settings that keep the source
# *and* raise the target's **live** score, which is taken on held-out images. Look at the test scores of the table once,
# when you have chosen: if you choose by test scores, you have nothing left to test with. Everything that you set with
# the mouse can be set by a program: `lab.freeze_to(3)`, `lab.head_first = True`, `lab.train()`, `lab.results`.

# %% [markdown]
# ## 8. The same in plain Keras
#
# Now the rules of this notebook in a program of your own. `base` is a copy of the pretrained network.
#
# First come `freeze_to(backbone, stage=3)` and the audit: every layer behind the third stage may learn, but no
# BatchNorm. The flags are set before `compile`, and the weights say what happened.

# %%
base = keras.models.clone_model(backbone.model)
base.set_weights(pretrained)
end = [layer.name for layer in base.layers].index("stage3_out")
for place, layer in enumerate(base.layers):
    layer.trainable = place > end and not isinstance(layer, keras.layers.BatchNormalization)
model = keras.Sequential([base, keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(10)])
model.compile(optimizer="sgd", loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
model.fit(few.x, few.y, verbose=0)
pairs = zip(base.weights, pretrained, strict=True)
moved_by_hand = {weight.path.split("/")[-2] for weight, old in pairs if not np.array_equal(weight, old)}
sorted(moved_by_hand)

# %%
backbone.model.set_weights(pretrained)
tlkit.freeze_to(backbone, stage=3)
new_head = tlkit.build_head(backbone, n_classes=10, seed=SEED)
audit = tlkit.audit_fit(tlkit.join(backbone.model, new_head), few, backbone=backbone)
moved_by_audit = audit[audit["weights_moved"] & (audit["stage"] != "head")]
assert set(moved_by_audit["layer"]) == moved_by_hand
assert not audit["statistics_moved"].any()
moved_by_audit[["layer", "stage", "verdict"]]

# %% [markdown]
# The same layers moved, and no others.
#
# Now `split_at` and `cache_features` by hand: `predict` runs the frozen part once, and `fit` trains the rest of the
# network. The head, the images and their order are those of section 5, so that the weights can be compared.

# %%
base.set_weights(pretrained)
cut = base.get_layer("stage3_out").output
features = keras.Model(base.input, cut).predict(more.x, verbose=0)
logits = keras.layers.Dense(10)
tail = keras.Sequential([keras.Model(cut, base.output), keras.layers.GlobalAveragePooling2D(), logits])
logits.set_weights(start_of_head)
tail.compile(keras.optimizers.Adam(1e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
rng = np.random.default_rng(SEED)
for _ in range(2):  # epochs
    order = rng.permutation(len(more))
    tail.fit(features[order], more.y[order], shuffle=False, verbose=0)
features.shape

# %%
answers = [keras.Sequential([base, *tail.layers[1:]]).predict(target_test.x, verbose=0)]
backbone.model.set_weights(weights[3, False][:-2])
head.set_weights(weights[3, False][-2:])
answers.append(tlkit.join(backbone.model, head).predict(target_test.x, verbose=0))
assert np.allclose(*answers, atol=1e-2)
print("The logits are those of section 5, up to rounding.")

# %% [markdown]
# Your guesses beside the results, if you recorded any:

# %%
Predict.report()

# %% [markdown]
# ## Summary
#
# - A **flag** is a wish. It is read at the first `fit` after `compile`; BatchNorm's statistics move without any
#   gradient; only a comparison of the weights (`audit_fit`, `watch`) tells you what happened.
# - What is frozen is computed **once**: $n\,T + E\,n\,(3t + 3h)$ in place of $E\,n\,(T + 3t + 3h)$ multiply-adds, for
#   the same network, up to rounding.
# - In a rough training, freezing **protects** the source and the target. After a gentle one, no depth differed from the
#   deepest on the target by more than a point and a half; then the deepest is the best choice, because it is the cheapest.

# %% [markdown]
# ## Exercises
#
# Replace each `...` by your answer and run the cell. It says whether the answer is right, and if not, what is missing.
# Hints and solutions are folded.

# %% [markdown]
# **1. What a cache saves.** For one image the trunk takes 60 million multiply-adds, the tail 9 million and the head 1
# million. You train for 10 epochs. How many times as much arithmetic does the training take without a cache as with
# one?
#
# <details><summary>Hint</summary>
#
# Put the numbers into the two formulas of section 5: $n$ cancels.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# times_as_much = (10 * (60 + 3 * 9 + 3 * 1)) / (60 + 10 * (3 * 9 + 3 * 1))
# ```
#
# </details>

# %%
from tlkit.exercises import check

times_as_much = ...  # your number

check("04.1", times_as_much)

# %% [markdown]
# **2. Your own audit.** `moved_layers(model, train)` calls `train(model)` and returns a list with the name of each
# layer in which a weight has moved, BatchNorm's statistics included.
#
# <details><summary>Hint</summary>
#
# `layer.get_weights()` gives copies of all weights of a layer; `layer.weights` gives the variables themselves, which
# change under your hands.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# import numpy as np
#
# def moved_layers(model, train):
#     before = {layer.name: layer.get_weights() for layer in model.layers}
#     train(model)
#     still = {layer.name: all(map(np.array_equal, before[layer.name], layer.get_weights())) for layer in model.layers}
#     return [name for name in still if not still[name]]
# ```
#
# </details>

# %%
from tlkit.exercises import check


def moved_layers(model, train): ...  # your code


check("04.2", moved_layers)

# %% [markdown]
# **3. Run the frozen part once.** A model takes vectors and ends in logits. All layers up to the one called `name` stay
# as they are, and so does each BatchNorm layer. Write in plain Keras: `train_behind(model, name, x, y, epochs)` runs
# the frozen part once on each example, then trains the rest in place, with the optimizer `"sgd"`, in batches of 16
# without shuffling. The weights must be those that a training of the whole model gives.
#
# <details><summary>Hint</summary>
#
# Section 8 has the lines: `predict` for the frozen part, and a second `keras.Model` from the layer's output to the
# model's output, which shares its layers. Set their flags before you compile.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# import keras
#
# def train_behind(model, name, x, y, epochs):
#     cut = model.get_layer(name).output
#     features = keras.Model(model.input, cut).predict(x, verbose=0)
#     tail = keras.Model(cut, model.output)
#     for layer in tail.layers:
#         layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
#     tail.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
#     tail.fit(features, y, batch_size=16, epochs=epochs, shuffle=False, verbose=0)
# ```
#
# </details>

# %%
from tlkit.exercises import check


def train_behind(model, name, x, y, epochs): ...  # your code


check("04.3", train_behind)

# %% [markdown]
# **4. Another shift** (without a check). At the top set `DRAWS` and `LIVE` to 4, so that nothing comes from the stored
# table. In section 6 give the draws and the target's test images inverted colours (`255 - x`), leave the source as it
# is, and predict again: how good is the frozen backbone now, and is the deepest boundary still as good as any? Then let
# BatchNorm learn too: set `train_batchnorm=True` in the call to `freeze_to`.
