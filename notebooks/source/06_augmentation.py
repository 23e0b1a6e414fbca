# %% [markdown]
# # 06 · Augmentation
#
# **Question: which changes to your 100 labelled images make a better classifier, which make a worse one, and what do
# they cost?**
#
# Reading time: about 30 minutes; running it takes about a minute. You need: notebook 03 (backbone, head, frozen
# features). It runs offline.
#
# *Augmentation* means: train on changed copies of your images, each with the label of the original. A changed copy is
# called a **view**. The hope is that a classifier which has seen a 3 tilted both ways is less disturbed by tilting.
#
# In notebook 00 you wrote `keras.layers.Dense(len(classes), name="head")(base(image))`: in each epoch the base saw the
# same pictures. This notebook changes the pictures before the base sees them, and section 7 writes that in plain Keras.

# %%
import time

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import tensorflow as tf

import tlkit
from tlkit import plots
from tlkit.evaluation import predict_classes

# %%
SEED = 0
PER_CLASS = 10  # labels of each digit: 100 in all
DRAWS = 10  # every claim below is repeated for so many draws of those labels
LIVE = 1  # where a draw means to train a network, so many are trained here; the others come from a stored table
VIEWS = 4  # cached views of each image
plt.rcParams["image.interpolation"] = "nearest"  # show pixels as they are

# %% [markdown]
# ## 1. A layer makes the views
#
# Keras has a layer for each change. While training it changes each image at random; at test time it does nothing. The
# strengths below were set once, from what a hand might do: none was chosen by its score on test images.
#
# - **rotation**: up to a 25th of a full turn, about 14 degrees, either way
# - **crop**: a window is cut out and resized; here as a shift of up to a tenth of the side, and a zoom in or out
# - **flip**: left and right swapped, with probability one half
# - **colour**: on grey images that is brightness and contrast alone
# - **cutout** (DeVries & Taylor, 2017, arXiv:1708.04552): a rectangle is erased, that is, set to 0 like the ground
#
# The sixth, **mixup**, blends two images *and their labels*; it comes in section 5.

# %%
NAMES = ("none", "rotation", "crop", "flip", "colour", "cutout")
BLACK = {"fill_mode": "constant", "fill_value": 0.0}  # section 2 says why


# %%
def augmentation(name, seed, layers=keras.layers):
    first, second = np.random.SeedSequence(seed).generate_state(2).tolist()
    shift = layers.RandomTranslation(0.1, 0.1, seed=first, **BLACK)
    parts = {
        "none": [layers.Identity()],
        "rotation": [layers.RandomRotation(1 / 25, seed=first, **BLACK)],
        "crop": [shift, layers.RandomZoom(0.15, seed=second, **BLACK)],
        "flip": [layers.RandomFlip("horizontal", seed=first)],
        "colour": [layers.RandomBrightness(0.2, seed=first), layers.RandomContrast((0.5, 0.5), seed=second)],
        "cutout": [layers.RandomErasing((1.0, 1.0), scale=(0.05, 0.15), fill_value=0.0, seed=first)],
    }
    return keras.Sequential(parts[name])


# %% [markdown]
# Always look at the views before you train on them. Each column is one digit, each row one change; the first row is
# unchanged.

# %%
pair = tlkit.load_pair(source="printed", target="mnist")
shown = pair.target.train.take(1, seed=SEED)


def strip(layer, images):
    return np.concatenate(list(np.asarray(layer(images.astype(np.float32), training=True))[..., 0]), axis=1)


# %% tags=["plumbing"]
def show(rows, height):
    ax = plt.subplots(figsize=(7, height), layout="constrained")[1]
    ax.imshow(np.concatenate(list(rows.values())), cmap="gray_r", vmin=0, vmax=255)
    ax.set_xticks([])
    ax.set_yticks(28 * np.arange(len(rows)) + 14, list(rows))
    ax.tick_params(length=0)


# %%
show({name: strip(augmentation(name, seed=SEED), shown.x) for name in NAMES}, height=4.3)
# %% [markdown]
# Dark is ink, and white is 0. Rotated and cropped digits are digits that somebody could have written. Some flipped ones
# are not. Colour turns the white paper grey in places. Cutout sometimes takes the part that matters.

# %% [markdown]
# ## 2. Read the defaults
#
# Three defaults do not do what you may think. Each is checked here, because nothing warns you.
#
# **The border.** What fills the places where a rotated or shrunk image has no pixels? By default `fill_mode="reflect"`:
# the image, mirrored. For photographs that is fine. Here it draws parts of further digits:

# %%
shrink = {
    "reflect (default)": keras.layers.RandomZoom((0.6, 0.6), (0.6, 0.6), seed=SEED),
    "constant": keras.layers.RandomZoom((0.6, 0.6), (0.6, 0.6), seed=SEED, **BLACK),
}
show({name: strip(layer, shown.x) for name, layer in shrink.items()}, height=1.6)
# %% [markdown]
# Both rows shrink by the same factor. In the upper row, ink that is not the digit's own stands at the border.

# %%
ink = {name: float(strip(layer, shown.x).mean()) for name, layer in shrink.items()}
assert ink["reflect (default)"] > 1.2 * ink["constant"]

# %% [markdown]
# **Contrast.** `RandomContrast(0.5)` sounds like "half as much up to half as much again". **Erasing.**
# `RandomErasing(1.0)` sounds like "always".
#
# **Predict before you run:** in which share of the views is the contrast lowered, and in which share is something
# erased?

# %%
from tlkit.widgets import Predict

guess_contrast = Predict("In which share of views does RandomContrast(0.5) lower the contrast?", between=(0, 1))
guess_contrast

# %%
grey = np.full((1000, 8, 8, 1), 100.0, np.float32)
grey[:, :, :4] = 150.0  # two halves, 50 grey values apart


def distance(layer):
    views = np.asarray(layer(grey, training=True))[..., 0]
    return views[:, 0, 0] - views[:, 0, -1]


def erased(factor):
    views = np.asarray(keras.layers.RandomErasing(factor, fill_value=0.0, seed=SEED)(grey, training=True))
    return float(np.mean((views == 0).any(axis=(1, 2, 3))))


# %% tags=["nbval-ignore-output"]
shares = {
    "RandomContrast(0.5) lowers": np.mean(distance(keras.layers.RandomContrast(0.5, seed=SEED)) < 49.9),
    "RandomContrast((0.5, 0.5)) lowers": np.mean(distance(keras.layers.RandomContrast((0.5, 0.5), seed=SEED)) < 49.9),
    "RandomErasing(1.0) erases": erased(1.0),
    "RandomErasing((1.0, 1.0)) erases": erased((1.0, 1.0)),
}
pd.Series(shares, name="share of views").round(3).to_frame()

# %%
guess_contrast.compare(shares["RandomContrast(0.5) lowers"])

# %% tags=["summary-1"]
lowered, lowered_pair, half_erased, all_erased = shares.values()
assert lowered == 0
assert 0.4 < lowered_pair < 0.6
assert 0.4 < half_erased < 0.6
assert all_erased == 1

# %% [markdown]
# In both layers a single number is the *upper* end of a range that starts at zero. So `RandomContrast(0.5)` never
# lowers the contrast, and `RandomErasing(1.0)` draws a new probability of erasing for each image, one half on average.
# The pairs fix the ends of the range, and say what is meant. (This was run under Keras 3.15.1, where the docstring of
# `RandomContrast` promises a factor between one minus and one plus the number. And without `fill_value`,
# `RandomErasing` fills the rectangle with noise.)

# %% [markdown]
# ## 3. Does the change keep the answer?
#
# An augmentation makes a promise: the label is still right. You can test that without any training and without a target
# label. The head that `resnet_printed` was pretrained with reads printed digits of new fonts all but perfectly. Let it
# read changed ones.
#
# **Predict before you run:** with which of the five changes does the network still read well? And which digits does it
# still read in a mirror?

# %%
backbone = tlkit.load_backbone("resnet_printed")
tlkit.freeze_to(backbone, stage=backbone.n_stages)
reader = tlkit.join(backbone.model, tlkit.load_source_head(backbone, pair.source.classes))
printed = pair.source.test.take(40, seed=SEED)


def changed(split, layer):
    views = np.asarray(layer(split.x.astype(np.float32), training=True))
    return tlkit.Split(views.round().clip(0, 255).astype(np.uint8), split.y)


# %% tags=["nbval-ignore-output"]
read = {name: tlkit.accuracy(reader, changed(printed, augmentation(name, seed=SEED))) for name in NAMES}
pd.Series(read, name="printed digits read correctly").round(3).to_frame()

# %%
assert read["none"] > 0.99
assert min(read["none"], read["rotation"], read["crop"]) > 0.97
assert max(read["flip"], read["colour"], read["cutout"]) < 0.9

# %% [markdown]
# Rotation and crop do not disturb the network: it was pretrained with such changes. It was never shown a grey ground, a
# hole or a mirror, and all three disturb it. For colour and cutout that is a weakness of the network: you can still
# read most of these digits. A mirrored digit you may not be able to read either. Here every image is flipped; each row
# is the true digit, each column what was read.

# %% tags=["nbval-ignore-output"]
mirrored = tlkit.Split(printed.x[:, :, ::-1], printed.y)
confusion = pd.crosstab(mirrored.y, predict_classes(reader, mirrored), rownames=["true"], colnames=["read as"])
confusion

# %% tags=["summary-1"]
kept = pd.Series({digit: confusion.loc[digit].get(digit, 0) / 40 for digit in range(10)})
assert kept[[0, 8]].min() > 0.9  # these look the same in a mirror
assert kept[[2, 3, 5, 6, 7, 9]].max() < 0.2  # these do not
assert confusion.loc[5, 2] > 20  # more than half of the mirrored 5s are read as a 2

# %% [markdown]
# A mirrored 5 is read as a 2. Train on a mirrored 5 with the label 5, beside real 2s with the label 2, and you teach a
# contradiction. Which changes keep the answer is knowledge about *your* classes: a mirrored cat is a cat, a mirrored 2
# is no digit at all.

# %% [markdown]
# ## 4. Cached views on frozen features
#
# With a frozen backbone, `cache_features(..., views=, augment=)` makes the views, runs each through the backbone once,
# and keeps the features. A linear probe then learns from all views of the 100 labelled images.
#
# The baseline must have the same *number* of examples, or two things change at once (the penalty of the logistic
# regression counts more when there are fewer examples). So for "none" each image is repeated four times, unchanged.
#
# **Predict before you run:** you have `resnet_printed`, frozen, and 100 labels. How many points will the best change
# add? And how many for the same ResNet with random weights, or for raw pixels?

# %%
guess_best = Predict("How many points will the best change add on the frozen printed ResNet?", between=(-10, 20))
guess_best

# %%
pool = pair.target.train.take(30, seed=SEED)  # all draws take their labels from these 300 images
untrained = tlkit.load_backbone("resnet_printed", weights=None, seed=SEED)
cores = {"print": backbone.model, "random": untrained.model, "pixels": tlkit.split_at(backbone, 0)[0]}


def vectors(core, split, augment=None):
    views, where = (1, None) if augment is None else (VIEWS, "memory")  # unchanged images are needed again: on disk
    cached = tlkit.cache_features(core, split, views=views, augment=augment, seed=SEED, cache_dir=where)
    if core is cores["pixels"]:  # its "features" are the images, here as vectors in 0..1
        return tlkit.Split(cached.x.reshape(len(cached), -1).astype(np.float32) / 255, cached.y)
    return tlkit.Split(tlkit.pool_features(cached), cached.y)


# %%
def rows_of_draw(seed):
    """The rows of the cached views that belong to one draw of the labels."""
    # `take` draws from any split. Here each "image" is the number of its row, so the draw tells the rows.
    number = tlkit.Split(np.arange(len(pool), dtype=np.float32)[:, None], pool.y)
    chosen = number.take(PER_CLASS, seed=seed).x[:, 0].astype(int)
    return (len(pool) * np.arange(VIEWS)[:, None] + chosen).ravel()  # all first views, then all second


# %%
def probe(core, changes):
    test = vectors(core, pair.target.test)
    found = {}
    for name, change in changes.items():
        cached = vectors(core, pool, None if name == "none" else change)  # unchanged images run once …
        draws = [rows_of_draw(seed) % len(cached) for seed in range(DRAWS)]  # … and are repeated
        found[name] = [tlkit.linear_probe(cached[rows], test) for rows in draws]
    return pd.DataFrame(found)


# %% [markdown]
# The random weights get only rotation and crop, to save time.

# %% tags=["nbval-ignore-output"]
wanted = {"print": NAMES, "random": NAMES[:3], "pixels": NAMES}
probes = {
    core: probe(cores[core], {name: augmentation(name, seed=SEED) for name in names}) for core, names in wanted.items()
}
pd.DataFrame({name: table.mean() for name, table in probes.items()}).reindex(NAMES).round(3).astype(object).fillna("")

# %% [markdown]
# Now subtract the accuracy of "none", with the same labels each time. The 95 % intervals are over ten draws:


# %%
def gains(table):
    changes = table.drop(columns="none").sub(table["none"], axis=0)
    return pd.DataFrame({name: tlkit.mean_interval(values) for name, values in changes.items()}, index=["mean", "half"])


# %% tags=["nbval-ignore-output"]
gain = pd.concat({name: gains(table) for name, table in probes.items()}).T
shown_gain = {name: gain[name].apply(lambda row: f"{row['mean']:+.3f} ± {row['half']:.3f}", axis=1) for name in probes}
pd.DataFrame(shown_gain).replace("+nan ± nan", "").reindex(NAMES[1:])

# %% tags=["nbval-ignore-output"]
guess_best.compare(100 * gain["print"]["mean"].max())

# %% tags=["plumbing", "summary-2"]
low, high = (gain.xs("mean", axis=1, level=1) + sign * gain.xs("half", axis=1, level=1) for sign in (-1, 1))
assert high.loc[["rotation", "crop"], "print"].max() < 0.01  # nothing to gain, nothing to lose
assert low.loc[["rotation", "crop"], "print"].min() > -0.01
assert high.loc[["flip", "colour", "cutout"], "print"].max() < 0  # what the network minds does harm
assert low.loc["rotation", "random"] > 0.02  # a network that knows nothing gains by it
assert high.loc["crop", "pixels"] < -0.05
assert high.loc["flip", "pixels"] < 0
assert high.loc["crop", "random"] < 0

# %% [markdown]
# - On **print** nothing helps. Rotation and crop change less than a point, perhaps because the backbone knows them from
#   its pretraining. Flip, colour and cutout do harm: these are the three that disturbed the reader of section 3.
# - On **random** weights rotation helps. The architecture is the same, but this network has learned nothing. That fits
#   the explanation above.
# - **Crop** does great harm on pixels and some on random weights. Crop shifts and zooms at once. Which of the two does
#   the harm? The next cell tries each alone:

# %% tags=["nbval-ignore-output"]
halves = dict(zip(("shift", "zoom"), augmentation("crop", seed=SEED).layers, strict=True))
halves = {name: keras.Sequential([layer]) for name, layer in halves.items()}
of_crop = {}
for core in ("random", "pixels"):
    table = probe(cores[core], halves).assign(**probes[core][["none", "crop"]])
    of_crop[core] = gains(table).T
pd.concat(of_crop, axis=1).round(3)

# %%
for table in of_crop.values():
    assert table.loc["shift"].sum() < 0  # the upper end of the interval
lower_end = {core: table.loc["zoom", "mean"] - table.loc["zoom", "half"] for core, table in of_crop.items()}
assert lower_end["random"] > 0.02
assert lower_end["pixels"] > -0.01

# %% [markdown]
# The **shift** does the harm, on both. The zoom alone helps on random weights, and on pixels it does no harm that
# shows. For pixels a reason is easy to name: a linear classifier has one weight for each pixel and digit, and cannot
# follow a digit that moves, while the test images are all centred. The random features are averages over positions, so
# there the reason must be a different one; nothing here tests which.
#
# So augmentation is not good or bad in itself. Rotation did nothing for print and helped on random weights; crop did
# nothing for print and great harm on pixels.

# %% [markdown]
# ## 5. Live views, from scratch
#
# A network that starts from random weights knows nothing. Below, a small one (three convolutions, one dense layer)
# learns from the 100 labels alone. The augmentation is a layer in front of it. It makes **live** views, new ones in
# each epoch. All ways take the same number of steps, and in each draw they start from the same weights.


# %%
EPOCHS, BATCH, RATE = 40, 25, 2e-3


def small_network(seed):
    starts = iter(np.random.SeedSequence(seed).generate_state(4).tolist())
    network = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Rescaling(1 / 255)])
    for width, side in ((16, 5), (32, 3), (64, 3)):
        start = keras.initializers.HeNormal(seed=next(starts))
        network.add(keras.layers.Conv2D(width, side, 2, padding="same", activation="relu", kernel_initializer=start))
    network.add(keras.layers.Flatten())
    network.add(keras.layers.Dense(10, kernel_initializer=keras.initializers.GlorotUniform(seed=next(starts))))
    return network


# %%
def train_live(network, few, augment, seed):
    image = keras.Input((28, 28, 1))
    model = keras.Model(image, network(augment(image)))
    tlkit.fit(model, few, epochs=EPOCHS, learning_rate=RATE, batch_size=BATCH, seed=seed, progress=False)


# %% [markdown]
# **mixup** (Zhang et al., 2017, arXiv:1710.09412) draws a weight $\lambda$ between 0 and 1 and trains on
#
# $$\tilde x = \lambda x_i + (1 - \lambda)\, x_j \qquad \tilde y = \lambda y_i + (1 - \lambda)\, y_j$$
#
# where $y_i$ is the label as a vector: one at its class, zero elsewhere. `tlkit.fit` takes class numbers, and a mixed
# label is not a class number, so this training is written out. $\lambda$ comes from a beta distribution with the
# parameter `MIXUP_ALPHA`. It is small, as in the paper's training on photographs, so most $\lambda$ lie near 0 or 1.

# %%
MIXUP_ALPHA = 0.2


def mixed_batches(few, seed):
    mixup = keras.layers.MixUp(alpha=MIXUP_ALPHA, seed=seed)
    one_hot = np.eye(10, dtype=np.float32)[few.y]
    data = tf.data.Dataset.from_tensor_slices({"images": few.x.astype(np.float32), "labels": one_hot})
    mixed = data.shuffle(len(few), seed=seed).batch(BATCH).map(mixup)
    return mixed.map(lambda batch: (batch["images"], batch["labels"]))


# %%
def train_mixup(network, few, seed):
    network.compile(keras.optimizers.Adam(RATE), keras.losses.CategoricalCrossentropy(from_logits=True))
    network.optimizer.build(network.trainable_variables)  # otherwise Keras traces the first step twice
    network.fit(mixed_batches(few, seed), epochs=EPOCHS, shuffle=False, verbose=0)


# %%
blend = keras.layers.MixUp(alpha=1.0, seed=4)  # stronger than in training, to see it
show({"originals": strip(augmentation("none", SEED), shown.x), "mixed": strip(blend, shown.x)}, height=1.6)
# %% [markdown]
# The upper row shows ten digits; in the lower one each is blended with a digit from the same row.
#
# There is one more way: **moved**, which is rotation and crop together. To save time, none and moved are trained here, on
# one draw of the labels. The other ways and draws come from a stored table, made with the same cells.
#
# **Predict before you run:** rank these by their test accuracy: none, moved, flip, cutout, mixup.

# %%
ways = ("none", "moved", "flip", "cutout", "mixup")
guess_first = Predict("Which of them has the highest test accuracy from scratch?", choices=ways)
guess_first


# %%
def one_training(name, seed):
    few = pair.target.train.take(PER_CLASS, seed=seed)
    network = small_network(seed)
    if name == "mixup":
        train_mixup(network, few, seed)
    else:
        parts = ["rotation", "crop"] if name == "moved" else [name]
        augment = keras.Sequential([augmentation(part, seed) for part in parts])
        train_live(network, few, augment, seed)
    return tlkit.accuracy(network, pair.target.test)


# %% tags=["nbval-ignore-output"]
some = ways if LIVE == DRAWS else ("none", "moved")  # trained here
here = pd.DataFrame([{"draw": draw, **{name: one_training(name, draw) for name in some}} for draw in range(LIVE)])
scratch = tlkit.stored_table("augmentation_from_scratch", draws=range(DRAWS)).set_index("draw")
scratch.update(here.set_index("draw"))
result = gains(scratch)
result.loc["accuracy"] = scratch.mean()
result["none"] = [np.nan, np.nan, scratch["none"].mean()]
result.T[["accuracy", "mean", "half"]].reindex(ways).round(3).astype(object).fillna("")

# %%
guess_first.compare(scratch.mean().idxmax())

# %%
ax = plt.subplots(figsize=(6, 2.6), layout="constrained")[1]
rows = 100 * gains(scratch).T[::-1]
ax.barh(
    rows.index, rows["mean"], xerr=rows["half"], color=plots.TARGET_COLOR, error_kw={"ecolor": "0.25", "capsize": 3}
)
ax.axvline(0, color="0.25", linewidth=0.8)
ax.set_xlabel("change of test accuracy against none (points)")
sns.despine(ax=ax)
# %% [markdown]
# Bars show the mean change over ten draws of the labels, whiskers the 95 % interval.

# %% tags=["summary-2"]
frozen = probes["print"]["none"].mean()
low, high = (result.loc["mean"] + sign * result.loc["half"] for sign in (-1, 1))
assert low["moved"] > 0.05
assert high[["flip", "cutout", "mixup"]].max() < 0
assert frozen > scratch["moved"].mean() + 0.05

# %% [markdown]
# - **Moved** helps a great deal. The very same changes were worth nothing on the frozen features of print.
# - **Flip** does harm. Section 3 showed that some of its views contradict their labels.
# - **Cutout** and **mixup** do harm as well, by about three points. Their fame comes from larger sets and longer
#   trainings. Nothing in this notebook tests whether 40 epochs are too few for them; exercise 4 tries it for mixup.
#
# Keep the sizes in view, too: the best augmentation from scratch stays far below the frozen backbone without any. (With
# a tuned rate and more epochs it comes nearer, and is still behind: notebook 03, section 6.)

# %% [markdown]
# ## 6. Live or cached?
#
# Live views cost a pass through the backbone in every epoch, frozen or not. Let $T$ be the multiply-adds of the frozen
# backbone per image. Let $n$, $E$ and $V$ be the numbers of images, epochs and cached views. The head costs little, so
#
# $$\text{live} \approx E\,n\,T \qquad \text{cached} \approx V\,n\,T$$
#
# Cached views are $E/V$ times cheaper, but the head meets only $V$ versions of each image. Below, both take the same
# number of steps: live meets `LIVE_EPOCHS` versions of each image, and cached meets `CACHED_VIEWS` versions again and
# again.
#
# **Predict before you run:** what do you gain in time, and what do you lose in accuracy?

# %%
guess_times = Predict("How many times as long as cached will live take?", between=(1, 20))
guess_times

# %%
LIVE_EPOCHS, CACHED_VIEWS = 20, 4


def head_on_live_views(few, augment, seed):
    head = tlkit.build_head(backbone, n_classes=10, seed=seed)
    image = keras.Input((28, 28, 1))
    model = keras.Model(image, head(backbone.model(augment(image))))
    tlkit.fit(model, few, epochs=LIVE_EPOCHS, learning_rate=1e-2, seed=seed, progress=False)
    return head


# %% tags=["summary-3"]
def head_on_cached_views(few, augment, seed):
    head = tlkit.build_head(backbone, n_classes=10, seed=seed)
    features = tlkit.cache_features(
        backbone.model, few, views=CACHED_VIEWS, augment=augment, seed=seed, cache_dir="memory"
    )
    assert len(features) == CACHED_VIEWS * len(few)  # one pass per view
    epochs = LIVE_EPOCHS // CACHED_VIEWS  # each epoch goes over all views
    tlkit.fit(head, features, epochs=epochs, learning_rate=1e-2, seed=seed, progress=False)
    return head


# %%
test_features = tlkit.cache_features(backbone.model, pair.target.test)  # stored since section 4


def measure(way, seed):
    few = pair.target.train.take(PER_CLASS, seed=seed)
    augment = keras.Sequential([augmentation(part, seed) for part in ("rotation", "crop")])
    start = time.perf_counter()
    head = way(few, augment, seed)
    seconds = time.perf_counter() - start
    return seconds, tlkit.accuracy(head, test_features)


# %%
HOW = {"live": head_on_live_views, "cached": head_on_cached_views}
measured = {way: [measure(HOW[way], draw) for draw in range(LIVE)] for way in HOW}
seconds = {way: np.median([spent for spent, _ in measured[way]]) for way in HOW}
heads = pd.DataFrame({way: [score for _, score in measured[way]] for way in HOW}).rename_axis("draw").reset_index()
others = tlkit.stored_table("augmentation_live_or_cached", draws=range(LIVE, DRAWS))
both = pd.concat([heads, others])

# %% tags=["nbval-ignore-output"]
print(both[list(HOW)].mean().round(3).to_dict())
print("cached minus live: {:+.3f} ± {:.3f}".format(*tlkit.mean_interval(both["cached"] - both["live"])))
print(f"here live took {seconds['live'] / seconds['cached']:.1f} times as long as cached")
print(f"the model says {LIVE_EPOCHS / CACHED_VIEWS:.0f} times")

# %% tags=["nbval-ignore-output"]
guess_times.compare(seconds["live"] / seconds["cached"])

# %% tags=["summary-3"]
mean, half = tlkit.mean_interval(both["cached"] - both["live"])
assert abs(mean) + half < 0.01

# %% [markdown]
# Cached views are faster, and the accuracy differs by less than a point. The measured ratio may fall short of $E/V$,
# because both ways also spend time on building a graph, and the head is not free.
#
# When to use which:
#
# | | cached views | live views |
# |---|---|---|
# | what is frozen | the part before the boundary | anything, or nothing |
# | versions of an image | as many as you store | a new one per epoch |
# | cost of the frozen part | one pass per view | one pass per epoch |
# | mixup | no: the stored labels are class numbers | yes |
#
# From scratch there is no frozen part, so there is nothing to save: use live views.

# %% [markdown]
# ## 7. The same in plain Keras
#
# **Live**: augmentation layers are part of the model. Keras runs them in `fit`, and skips them in `evaluate` and
# `predict`. So the head can be scored on the features that section 6 has of the test images. To compare the score with that
# of section 6, the head starts from the same weights and the images come in the same order as there.

# %%
few = pair.target.train.take(PER_CLASS, seed=0)  # draw 0, as in section 6
start_of_head = tlkit.build_head(backbone, n_classes=10, seed=0).get_weights()
base = keras.models.clone_model(backbone.model)
base.set_weights(backbone.model.get_weights())


# %%
def compile_and_fit(model, x, y, epochs):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-2), loss)
    rng = np.random.default_rng(0)
    for _ in range(epochs):
        order = rng.permutation(len(x))
        model.fit(x[order], y[order], shuffle=False, verbose=0)


# %%
base.trainable = False
augment = keras.Sequential([augmentation(part, seed=0) for part in ("rotation", "crop")])
head = keras.Sequential([keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(10)])
image = keras.Input((28, 28, 1))
model = keras.Model(image, head(base(augment(image))))
head.set_weights(start_of_head)
compile_and_fit(model, few.x, few.y, LIVE_EPOCHS)
assert np.allclose(model.predict(few.x[:9], verbose=0), head(base(few.x[:9])), atol=1e-4)  # without augmentation
live_by_hand = np.mean(head.predict(test_features.x, verbose=0).argmax(axis=1) == pair.target.test.y)
assert abs(live_by_hand - heads["live"][0]) < 0.002  # measured: the same weights, bit for bit

# %% [markdown]
# **Cached**: make a few views, run each of them through the base once, and train the head on the features.
# `training=True` switches the augmentation on.

# %%
images = few.x.astype("float32")
views = np.concatenate([augment(images, training=True) for _ in range(CACHED_VIEWS)])
head.set_weights(start_of_head)
compile_and_fit(head, base.predict(views, verbose=0), np.tile(few.y, CACHED_VIEWS), LIVE_EPOCHS // CACHED_VIEWS)
cached_by_hand = np.mean(head.predict(test_features.x, verbose=0).argmax(axis=1) == pair.target.test.y)
assert abs(cached_by_hand - heads["cached"][0]) < 0.01  # other random views

# %% tags=["nbval-ignore-output"]
pd.DataFrame({"tlkit": heads.loc[0, list(HOW)], "by hand": [live_by_hand, cached_by_hand]}).round(3)

# %% [markdown]
# The live views give what section 6 gave. The cached ones are other random views than there, and the score differs by
# less than a point.

# %% [markdown]
# Your guesses beside the results, if you recorded any:

# %%
Predict.report()

# %% [markdown]
# ## Summary
#
# - An augmentation is a **promise that the label stays**. Look at the views, read the defaults, and let a reader
#   that you trust check it: to ours, most mirrored 5s were 2s.
# - Rotation and crop together gained more than five points from scratch. On a backbone that was pretrained with such
#   changes neither moved the score by a point. Flip did harm wherever it was tried; cutout and mixup did harm from scratch.
# - On a frozen backbone **cached views** cost one pass per view, live views one pass per epoch. The accuracy was
#   the same to within a point.

# %% [markdown]
# ## Exercises
#
# Replace each `...` by your answer and run the cell. It says whether the answer is right, and if not, what is missing.
# Hints and solutions are folded.

# %% [markdown]
# **1. A turn.** You want turns of up to 9 degrees, either way. Which `factor` do you give to
# `keras.layers.RandomRotation`?
#
# <details><summary>Hint</summary>
#
# Section 1 says what a factor of a 25th means.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# turn_factor = 9 / 360
# ```
#
# </details>

# %%
from tlkit.exercises import check

turn_factor = ...  # your number

check("06.1", turn_factor)

# %% [markdown]
# **2. mixup by hand.** `mixed_pairs(x, y, partner, weight, n_classes)` blends images and labels as in section 5. Image
# `i` takes the share `weight[i]` of itself and the rest of image `partner[i]`. `x` has the shape `(n, h, w, c)`; `y`
# and `partner` hold integers, `weight` numbers between 0 and 1, `n` of each. Let it return the mixed images and the
# mixed labels `(n, n_classes)`, a pair.
#
# <details><summary>Hint</summary>
#
# `np.eye(n_classes)[y]` makes a vector of each label. To multiply images, the weights need the shape `(n, 1, 1, 1)`.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# import numpy as np
#
# def mixed_pairs(x, y, partner, weight, n_classes):
#     labels = np.eye(n_classes)[y]
#     share = weight[:, None, None, None]
#     images = share * x + (1 - share) * x[partner]
#     return images, weight[:, None] * labels + (1 - weight[:, None]) * labels[partner]
# ```
#
# </details>

# %%
from tlkit.exercises import check


def mixed_pairs(x, y, partner, weight, n_classes): ...  # your code


check("06.2", mixed_pairs)

# %% [markdown]
# **3. Cached views.** Write in plain Keras: `cached_views(base, augment, x, y, views)` makes so many views of each
# image with the layer `augment`, lets the frozen `base` read them, and returns features and labels, a pair of arrays
# with a row per view. The views of an image must differ.
#
# <details><summary>Hint</summary>
#
# Section 7 does it. Ask yourself what switches an augmentation layer on, and in which order the views stand in your
# array.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# import numpy as np
#
# def cached_views(base, augment, x, y, views):
#     made = np.concatenate([augment(x, training=True) for _ in range(views)])  # all first views, then all second
#     return base.predict(made, verbose=0), np.tile(y, views)
# ```
#
# </details>

# %%
from tlkit.exercises import check


def cached_views(base, augment, x, y, views): ...  # your code


check("06.3", cached_views)

# %% [markdown]
# **4. How strong?** (without a check). How strong should the rotation be? Split the 100 labels into 70 to train on and
# 30 to choose with, try turns of up to 5, 15, 45 and 180 degrees from scratch, and choose by the 30, over several
# draws. Which digits does the strongest one confuse, and could you have expected it? Then give mixup and none 200
# epochs instead of 40: does mixup help now?
