# %% [markdown]
# # 00 · Start here: photographs
#
# **Question: a network has learned from a million photographs. What is that worth to you, if you have a hundred, and they
# show something else?**
#
# Takes about a minute and a half on two cores, and needs no internet. You need Python, and one course in machine learning.
#
# This notebook is **plain Keras**: the whole program that you will write for pictures of your own. Only the file with the
# network comes from tlkit. Each later notebook takes one step of this program and asks what it really does.
#
# Run a cell with Shift+Enter. Where it says **Predict before you run**, write your guess down. A guess that turns out
# wrong is where you learn most.

# %%
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import tlkit

# %%
SEED = 0
SIDE = 128  # pixels
COURSE = Path() if Path("photos").is_dir() else Path(tlkit.__file__).parent / "course" / "notebooks"  # as on Colab
PHOTOS, DRAWINGS = COURSE / "photos", COURSE / "drawings"  # a folder per class; LICENSE.txt says whose they are
classes = sorted(folder.name for folder in PHOTOS.iterdir() if folder.is_dir())
pd.Series({name: len(list((PHOTOS / name).iterdir())) for name in classes}, name="photographs").to_frame()

# %% [markdown]
# ## 1. What does the network call these pictures?
#
# The network is EfficientNet-Lite0 (Tan & Le, 2019, arXiv:1905.11946). It was trained on ImageNet, 1.3 million photographs
# of 1,000 classes. A Keras file holds it whole: it takes pixels from 0 to 255 and gives a logit for each class.

# %%
network = keras.models.load_model(tlkit.asset_path("efficientnet_lite0.keras"), compile=False)
names = tlkit.asset_path("imagenet_classes.txt").read_text().splitlines()
f"{network.count_params():,} weights, {len(names):,} classes"


# %%
def read(path):
    return keras.utils.img_to_array(keras.utils.load_img(path, target_size=(SIDE, SIDE)))


def show(pictures, titles):
    axes = plt.subplots(1, len(titles), figsize=(8.5, 1.8), layout="constrained")[1]
    for ax, picture, title in zip(axes, pictures, titles, strict=True):
        ax.imshow(picture.astype("uint8"))
        ax.set_title(title, fontsize=8)
        ax.axis("off")


# %%
first = [min((PHOTOS / name).iterdir()) for name in classes[::2]]
pictures = np.stack([read(path) for path in first])
best = network.predict(pictures, verbose=0).argmax(axis=1)
show(pictures, [f"{path.parent.name}\nit says: {names[k]}" for path, k in zip(first, best, strict=True)])
# %% [markdown]
# Five photographs, the name of their folder, and what the network says. Its 1,000 names are not yours. What it *sees* may
# be of use to you all the same: that is the idea of this course.

# %% [markdown]
# ## 2. Three parts
#
# The **training** part is what you have labelled. With the **validation** part you choose: how long to train, at which
# rate. The **test** part is asked once, at the end.

# %%
options = {"image_size": (SIDE, SIDE), "batch_size": None, "seed": SEED, "verbose": False}
both = keras.utils.image_dataset_from_directory(PHOTOS, validation_split=0.6, subset="both", **options)
parts = [both[0], *keras.utils.split_dataset(both[1], left_size=0.4)]
train = parts[0].cache().shuffle(1000, seed=SEED).batch(16)
validation, test = (part.batch(16).cache() for part in parts[1:])
counts = {name: len(part) for name, part in zip(("training", "validation", "test"), parts, strict=True)}
pd.DataFrame(counts, index=["photographs"])


# %% [markdown]
# ## 3. The baseline: raw pixels
#
# A linear classifier on the pixels, made smaller. Every later number has to beat it.
#
# **Predict before you run:** there are ten classes. Which share of the test photographs will it get right?


# %%
def fit(model, rate, epochs):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
    done = model.fit(train, validation_data=validation, epochs=epochs, shuffle=False, verbose=0)
    return pd.DataFrame(done.history)


# %%
keras.utils.set_random_seed(SEED)
small = [keras.layers.Resizing(24, 24), keras.layers.Rescaling(1 / 255), keras.layers.Flatten()]
pixels = keras.Sequential([keras.Input((SIDE, SIDE, 3)), *small, keras.layers.Dense(len(classes))])
fit(pixels, 1e-3, epochs=30)
scores = {"raw pixels": pixels.evaluate(test, verbose=0)[1]}

# %% tags=["nbval-ignore-output"]
round(scores["raw pixels"], 3)

# %% [markdown]
# ## 4. The frozen network, and a head of your own
#
# Cut the network before its last layer. What is left, the **base**, turns each photograph into 1,280 numbers, its
# *features*. Freeze it, and train a new last layer, the **head**, on your ten classes.
#
# **Predict before you run:** the same photographs, and again a linear classifier. Which share now?

# %%
base = keras.Model(network.input, network.get_layer("avg_pool").output, name="base")
base.trainable = False
image = keras.Input((SIDE, SIDE, 3))
model = keras.Model(image, keras.layers.Dense(len(classes), name="head")(base(image)))
history = fit(model, 3e-3, epochs=10)
scores["frozen base"] = model.evaluate(test, verbose=0)[1]

# %%
ax = history[["loss", "val_loss"]].plot(figsize=(5, 2.6), xlabel="epoch", ylabel="loss (nats)", marker=".")
ax.spines[["top", "right"]].set_visible(False)
# %% [markdown]
# Training and validation loss fall together. If the second rose while the first still fell, it would be time to stop.

# %% tags=["nbval-ignore-output"]
{name: round(score, 3) for name, score in scores.items()}

# %%
assert scores["frozen base"] > scores["raw pixels"] + 0.2

# %% [markdown]
# The labels are the same, and so is the kind of classifier. What differs is the description of the photographs, and
# that comes from the network. **This is transfer learning.** Its name here is *feature extraction*: what is pretrained
# stays as it is.

# %% [markdown]
# ## 5. Look at the mistakes
#
# A number says how often. Only the pictures say what. These are the test photographs on which the loss is highest.

# %% tags=["nbval-ignore-output"]
x, y = (np.concatenate(each) for each in zip(*test.as_numpy_iterator(), strict=True))
logits = model.predict(x, verbose=0)
losses = keras.losses.sparse_categorical_crossentropy(y, logits, from_logits=True)
worst = np.argsort(losses)[-5:][::-1]
show(x[worst], [f"{classes[y[i]]}\nit says: {classes[logits[i].argmax()]}" for i in worst])
# %% [markdown]
# The worst one stands on the left. Ask of each: would I have known? Is the label right at all? Both happen in real data.

# %% [markdown]
# ## 6. Unfreeze, and learn on
#
# Now let the base learn, too: *fine-tuning*. Three things are easy to forget. The flag works only after a new `compile`.
# The rate has to be small. And the BatchNorm layers stay frozen, for a reason that notebook 04 shows.
#
# **Predict before you run:** will the validation accuracy rise, fall or stay?

# %%
base.trainable = True
for layer in base.layers:
    if isinstance(layer, keras.layers.BatchNormalization):
        layer.trainable = False
before = model.evaluate(validation, verbose=0)[1]
tuned = fit(model, 3e-5, epochs=3)
scores["fine-tuned"] = model.evaluate(test, verbose=0)[1]

# %% tags=["nbval-ignore-output"]
print("validation accuracy:", [round(value, 3) for value in [before, *tuned["val_accuracy"]]])
{name: round(score, 3) for name, score in scores.items()}

# %%
assert scores["fine-tuned"] > scores["raw pixels"] + 0.2

# %% [markdown]
# One split of the photographs cannot tell you whether fine-tuning helped: a few test pictures more or less are chance.
# Notebook 05 repeats the question over ten draws.

# %% [markdown]
# ## 7. Keep it, and use it
#
# A Keras file holds the layers, the weights, and how to call them.

# %%
PICTURE = max((PHOTOS / "bird").iterdir())  # put the path of a picture of your own here
model.save("my_first_transfer.keras")
again = keras.models.load_model("my_first_transfer.keras")
certain = keras.ops.softmax(again.predict(read(PICTURE)[None], verbose=0)[0]).numpy()
pd.Series(certain, classes).sort_values(ascending=False).head(3).round(2).to_frame("probability")

# %%
assert np.array_equal(again.predict(x[:8], verbose=0), model.predict(x[:8], verbose=0))

# %% [markdown]
# ## 8. Where it fails
#
# The folder `drawings` has six of the ten classes, drawn instead of photographed.
#
# **Predict before you run:** the same model, the same classes. Which share of the drawings will it get right?

# %%
drawn = [(path, classes.index(path.parent.name)) for path in sorted(DRAWINGS.glob("*/*.jpg"))]
x_drawn = np.stack([read(path) for path, _ in drawn])
said = again.predict(x_drawn, verbose=0).argmax(axis=1)
right = said == [label for _, label in drawn]
scores["drawings"] = right.mean()

# %% tags=["nbval-ignore-output"]
wrong = np.flatnonzero(~right)[:: max(1, (~right).sum() // 5)][:5]
show(x_drawn[wrong], [f"{classes[drawn[i][1]]}\nit says: {classes[said[i]]}" for i in wrong])
# %% tags=["nbval-ignore-output"]
on_photos = (model.predict(x, verbose=0).argmax(axis=1) == y)[np.isin(y, sorted({label for _, label in drawn}))].mean()
f"drawings {scores['drawings']:.3f}, test photographs of the same six classes {on_photos:.3f}"

# %%
assert scores["drawings"] < on_photos - 0.1

# %% [markdown]
# A drawing of an apple is an apple to you. To this model it is further from the photographs than one photograph is from
# another. What a model learns in one **domain** does not hold in every other: notebook 02 measures how far apart two
# domains are, and notebooks 03 to 08 what to do about it.

# %% [markdown]
# ## 9. The map
#
# You have written the whole program once. Each notebook takes a line of it:
#
# | line | question | notebook |
# |---|---|---|
# | the loss | why does a network learn at all? | [01_cross_entropy_gradient](01_cross_entropy_gradient.ipynb) |
# | photographs or drawings | how far apart are two domains? | [02_domains](02_domains.ipynb) |
# | `base`, `head` | what is a pretrained network worth? | [03_base_and_head](03_base_and_head.ipynb) |
# | `base.trainable = False` | what is frozen, and what does it save? | [04_freezing](04_freezing.ipynb) |
# | unfreeze, `compile`, `fit` | in which order, how fast, what is forgotten? | [05_fine_tuning](05_fine_tuning.ipynb) |
# | more views of a picture | does augmentation help? | [06_augmentation](06_augmentation.ipynb) |
# | `evaluate` | how sure is a score? | [07_evaluation](07_evaluation.ipynb) |
# | the file of the network | which one to take, and which one hurts? | [08_negative_transfer_and_choosing](08_negative_transfer_and_choosing.ipynb) |
# | the whole | an article under review | [09_article_review](09_article_review.ipynb) |
# | the whole, on pictures of yours | what does it take? | [10_resnet50_on_your_images](10_resnet50_on_your_images.ipynb) |
# | the same with sentences | what is a Transformer? | [11_transformers_and_text](11_transformers_and_text.ipynb) |
# | fewer weights that learn | what do they gain and cost? | [12_parameter_efficient](12_parameter_efficient.ipynb) |
# | when it goes wrong | why? | [13_trap_museum](13_trap_museum.ipynb) |
#
# Read 00 to 05 in this order. Then 06, 07 and 13 stand by themselves, 08 needs 07, 09 needs 05 and 08.

# %% [markdown]
# ## Summary
#
# - A frozen network and a new head named these photographs far better than a linear classifier on raw pixels.
# - The steps are: read, split in three, baseline, freeze, head, compile, fit, look at mistakes, unfreeze, compile again,
#   fit at a small rate, test once, save.
# - The same model did worse on drawings of the same classes. Another domain is another question.
#
# **Exercise:** make a folder with two folders of pictures in it, ten in each, and set `PHOTOS` to its path. Sections 2 to 7
# run as they are. Predict both numbers first.
