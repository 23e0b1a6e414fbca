# %% [markdown]
# # 10 · ResNet50 on your images
#
# **Question: you have a folder of labelled pictures and a network that somebody else has trained. Does the article's
# program, repaired, help you, and how would you know?**
#
# Takes about a minute on two cores with the bundled network, which needs no download. You need notebooks 03, 05 and 09.
#
# One notebook, three ways to run it. The outputs below are of the third:
#
# | you have | `WEIGHTS` | what runs |
# |---|---|---|
# | a network, or ImageNet weights from an earlier download | `"imagenet"` | ResNet50 (He et al., 2015, arXiv:1512.03385) |
# | a file of ResNet50's weights, `.h5` or `.weights.h5` | its path | ResNet50 |
# | neither | either | the bundled resnet_printed, after one line that says so |

# %%
import tempfile
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from PIL import Image

import tlkit
from tlkit import plots

# %%
FOLDER = None  # the path of your pictures, a folder a class; None: a small one is made in section 1
WEIGHTS = "imagenet"  # or the path of a file
SEED = 0
TEST_FRACTION = 0.8  # of the pictures made here; with your own, 0.2 is usual
EPOCHS = 10

# %% [markdown]
# ## 1. Your pictures
#
# A folder, with one folder a class in it, named for the class. In JupyterLab, `tlkit.widgets.PictureUpload()` brings
# pictures or a zip from your browser into such a folder. Without one of yours, here is one made of bundled digits: 60
# handwritten ones a class, as PNG files.


# %%
def make_folder(into, per_class=60):
    digits = tlkit.load_domain("mnist").train.take(per_class, seed=SEED)
    for i, (image, label) in enumerate(zip(digits.x, digits.y, strict=True)):
        folder = Path(into) / f"digit {label}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[..., 0]).save(folder / f"{i:03d}.png")
    return into


# %%
folder = FOLDER or make_folder(Path(tempfile.mkdtemp()) / "my digits")
report = tlkit.inspect_folder(folder)
report.classes

# %% [markdown]
# Look at the report before you train: unreadable files, copies, one picture under two labels. Twins that land in train
# and test make every later number look better than it is.

# %%
report.remarks()

# %% [markdown]
# ## 2. The base model
#
# **Predict before you run:** which of the three ways will your machine take?


# %%
def load_base():
    try:
        return tlkit.load_backbone("resnet50", weights=WEIGHTS)
    except ConnectionError:
        print("No ImageNet weights on this machine and none to be had: the bundled resnet_printed stands in.")
        return tlkit.load_backbone("resnet_printed")


backbone = load_base()
AS_BUILT = FOLDER is None and backbone.name == "resnet_printed"  # what the text says, it says of this case

# %% [markdown]
# A weights file that does not fit the architecture is refused, and so is one that is not there; both in one line. The
# pictures are read in the size and the channels that the base takes: cropped around the centre, then scaled.

# %%
height, width, channels = backbone.model.input_shape[1:]
domain = tlkit.load_folder(
    folder, image_size=(height, width), channels=channels, test_fraction=TEST_FRACTION, seed=SEED
)
n_classes = len(domain.classes)
domain.train, domain.test

# %%
ax = plots.plot_examples(domain, seed=SEED)

# %% [markdown]
# ## 3. The baselines
#
# What would you reach without any pretrained network? Two answers that cost nothing: always the commonest class, and a
# logistic regression on raw pixels. A third says what *pretraining* adds: the same network with random weights.

# %%
random_base = tlkit.load_backbone(backbone.name, weights=None, seed=SEED)
representations = {
    "raw pixels": (domain.train, domain.test),
    "random weights": tuple(tlkit.cache_features(random_base.model, part) for part in (domain.train, domain.test)),
}

# %% tags=["nbval-ignore-output"]
baselines = {name: tlkit.linear_probe(*parts) for name, parts in representations.items()}
baselines["commonest class"] = float(np.mean(domain.test.y == np.bincount(domain.train.y).argmax()))
{name: round(accuracy, 3) for name, accuracy in baselines.items()}

# %% [markdown]
# ## 4. The article's program, and what it forgot
#
# Its § 5.2: ResNet50 without its top, average pooling, a dense layer of 1,024, a softmax, the base frozen, Adam,
# cross-entropy, 10 epochs. All of that can stay (with logits in place of the softmax, which is the same loss and the
# safer sum). What it forgot is to **prepare the pixels** as they were when the network was trained.
#
# tlkit's backbones hold that step as layers. So the article's program is the same base, cut behind them.

# %%
PREPARING = {"resnet50": "subtract_means"}.get(backbone.name, "rescale")
prepared = backbone.model.get_layer(PREPARING).output
prepare = keras.Model(backbone.model.input, prepared, name="prepare")
base_alone = keras.Model(prepared, backbone.model.output, name="base_alone")

# %% [markdown]
# **Predict before you run:** the network was trained on what stands in the second row. What does it make of the first?

# %%
seen = {"raw, as in the article": domain.train.x, "prepared": prepare.predict(domain.train.x, verbose=0)}
pd.DataFrame(
    {name: {"mean": x.mean(), "std": x.std(), "smallest": x.min(), "largest": x.max()} for name, x in seen.items()}
).T.round(2)

# %% [markdown]
# Now the same head, the same pictures, the same weights, twice. The base is frozen, so it runs once (notebook 03).


# %%
def features(base):
    return [tlkit.cache_features(base, part) for part in (domain.train, domain.test)]


def train_head(train):
    head = tlkit.build_head(backbone, n_classes, hidden=(1024,), seed=SEED)
    history = tlkit.fit(head, train, epochs=EPOCHS, learning_rate=1e-3, seed=SEED, progress=False)
    return head, history


# %%
tlkit.freeze_to(backbone, stage=backbone.n_stages)
cached = {"article": features(base_alone), "repaired": features(backbone.model)}
trained = {name: train_head(train) for name, (train, _) in cached.items()}


# %%
def interval(model, test):
    found = tlkit.bootstrap_interval(test.y, tlkit.predict_classes(model, test), seed=SEED)
    return {"accuracy": found.value, "low": found.low, "high": found.high}


# %% tags=["nbval-ignore-output"]
scores = {name: interval(head, cached[name][1]) for name, (head, _) in trained.items()}
first_loss = {name: history["loss"].iloc[0] for name, (_, history) in trained.items()}
pd.DataFrame(scores).T.assign(first_epoch_loss=first_loss).round(3)

# %%
gain = scores["repaired"]["accuracy"] - scores["article"]["accuracy"]
assert gain > 0.05 or not AS_BUILT
assert scores["repaired"]["low"] > scores["article"]["high"] or not AS_BUILT
assert first_loss["repaired"] < first_loss["article"] / 2 or not AS_BUILT

# %% [markdown]
# One missing layer, and no error message: the article's program trains, its loss falls, and it reports an accuracy that
# is only worse than it need be. Its intervals do not even touch those of the repaired one. `tlkit.diagnose` finds it
# (notebook 09, section 5).

# %% [markdown]
# ## 5. Would ResNet50 with random weights show it too?
#
# ImageNet weights are a download of 94 MB, and many machines have none. Can random weights stand in, to show that
# preparing matters?
#
# **Predict before you run:** the statistics that enter the base change in the same way. And the loss of the first epoch?

# %%
small = tlkit.load_backbone("resnet50", weights=None, image_size=32, input_shape=domain.train.x.shape[1:], seed=SEED)
entering = {
    "raw": keras.Model(small.model.input, small.model.get_layer("subtract_means").input),
    "prepared": keras.Model(small.model.input, small.model.get_layer("subtract_means").output),
}
images = {name: part.predict(domain.train.x, verbose=0) for name, part in entering.items()}
channel_means = {name: x.mean(axis=(0, 1, 2)) for name, x in images.items()}  # in the order of the base's channels
pd.DataFrame(channel_means, index=["channel 0", "channel 1", "channel 2"]).round(0)


# %%
def first_epoch(x):
    base = keras.Model(small.model.get_layer("subtract_means").output, small.model.output)
    train = tlkit.Split(base.predict(x, verbose=0), domain.train.y)
    head = tlkit.build_head(small, n_classes, hidden=(1024,), seed=SEED)
    history = tlkit.fit(head, train, epochs=1, learning_rate=1e-3, seed=SEED, progress=False)
    return float(history["loss"].iloc[0])


# %% tags=["nbval-ignore-output"]
random_loss = {name: first_epoch(x) for name, x in images.items()}
{name: round(loss, 1) for name, loss in random_loss.items()}

# %%
assert random_loss["prepared"] > random_loss["raw"] or not AS_BUILT

# %% [markdown]
# No: here preparing even makes the first epoch *worse*. Weights that were trained on nothing expect nothing; dark
# pictures minus ImageNet's means are only larger numbers. What preparing is worth lies in the *pretrained* weights, so
# only these can show it: section 4 is the evidence, and this section is none. What random weights do show is whether a
# program runs.

# %% [markdown]
# ## 6. Then fine-tuning, which the article only names
#
# Head first, as above; then the last stage with it, at a tenth of the rate, BatchNorm held (notebooks 04 and 05).
#
# **Predict before you run:** how much will the test accuracy gain?

# %%
head, _ = trained["repaired"]
before = tlkit.predict_classes(head, cached["repaired"][1])
last = backbone.n_stages - 1
tuning = tlkit.fine_tune(
    backbone, head, domain.train, stage=last, epochs=EPOCHS, learning_rate=1e-4, seed=SEED, progress=False
)
model = tlkit.join(backbone.model, head)
after = tlkit.predict_classes(model, domain.test)

# %% tags=["nbval-ignore-output"]
scores["fine-tuned"] = interval(model, domain.test)
paired = tlkit.paired_test(domain.test.y, after, before, seed=SEED)
paired

# %%
assert paired.low <= 0 <= paired.high or not AS_BUILT

# %% [markdown]
# On the same test pictures, the two models differ on a few. Whether the difference is one is what the interval says; if
# it holds zero, you have no evidence that fine-tuning helped, whatever the two numbers are. With these pictures it is
# so: the source (printed characters) lies so near that the frozen base already reads them. Your own pictures may lie
# further away (notebook 05 shows a case where tuning gains).
#
# Did the right weights move? Not the flags, the weights:

# %%
audit = tlkit.audit_fit(model, domain.train[:16], intended_stage=last, backbone=backbone)
ax = plots.plot_audit(audit)

# %% [markdown]
# ## 7. All numbers side by side
#
# The interval says how far each would move with other test pictures. It does not say how far it would move with other
# *training* pictures: for that, draw several times (notebook 03).

# %% tags=["nbval-ignore-output"]
table = pd.DataFrame(scores).T
for name, value in baselines.items():
    table.loc[name] = [value, np.nan, np.nan]
table = table.sort_values("accuracy")
table.round(3)

# %%
fig, ax = plt.subplots(figsize=(6, 2.6))
below, above = table["accuracy"] - table["low"], table["high"] - table["accuracy"]
ax.plot(table["accuracy"], table.index, "o")
ax.errorbar(table["accuracy"], table.index, xerr=[below.fillna(0), above.fillna(0)], fmt="none", capsize=3)
ax.set_xlabel("test accuracy; intervals (95 %) over test pictures")
ax.set_xlim(0, 1)
fig.tight_layout()

# %%
assert scores["repaired"]["accuracy"] > max(baselines.values()) + 0.1 or not AS_BUILT
assert baselines["random weights"] < baselines["raw pixels"] or not AS_BUILT

# %% [markdown]
# ## 8. Take it with you
#
# One `.keras` file: the preparing layers, base, head and softmax, and the names of your classes. It loads in Keras' safe
# mode, without tlkit, and `tlkit predict MODEL PICTURES` reads it on the command line.

# %%
exported = Path(tempfile.mkdtemp()) / "mine.keras"
tlkit.export_model(model, exported, classes=domain.classes)
again = tlkit.load_exported(exported)
some = sorted(Path(folder).glob("*/*.*"))[::97]
predicted = tlkit.predict_images(again, some)
pd.DataFrame({"folder": [file.parent.name for file in some], "predicted": predicted["class"]})

# %%
direct = tlkit.predict_probabilities(model, domain.test[:50])
assert np.allclose(again.model.predict(domain.test.x[:50], verbose=0), direct, atol=1e-5)

# %% [markdown]
# ## Summary
#
# - The article's program runs without an error and loses accuracy: pixels must be prepared as the weights expect it.
#   Put that step *inside* the model, where nobody can forget it or do it twice.
# - Head first on a frozen base, then, if your interval says that it helps, the last stage. Not the other way round.
# - A number for your pictures needs the baselines beside it: the commonest class, raw pixels, the same net untrained.
#
# **Exercise:** run this notebook on a folder of your own, with 20 pictures or more a class. Write down your prediction
# of the last table before you run it. If raw pixels win, say why (notebook 08 may help).
