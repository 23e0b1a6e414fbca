# %% [markdown]
# # 07 · Evaluation
#
# **Question: one model reads 94 of 100 test images, another one 98. Is the second one better, by how much, and when is
# the number itself wrong?**
#
# Reading time: about 50 minutes, 40 without the section marked as optional; running it takes about one. You need:
# notebook 03 (backbone, head, zero-shot). You should know what a mean and a standard deviation are. It runs offline.
#
# In the program of notebook 00 the line `scores["frozen base"] = model.evaluate(test, verbose=0)[1]` gives one number.
# This notebook asks what such a number is worth.
#
# ```mermaid
# flowchart LR
#   A["answers and labels"] --> B["which errors?<br/>confusion matrix"]
#   A --> C["how sure is the score?<br/>bootstrap"]
#   A --> D["better than the other?<br/>paired test"]
#   P["probabilities"] --> E["may I believe the model's own certainty?<br/>calibration"]
#   S["how the data was split"] --> F["is the score inflated?<br/>leakage"]
#   M["feature maps"] --> G["where is the evidence?<br/>Grad-CAM, and its sanity check"]
# ```
#
# The drawing lists six questions, each with the tool that answers it; they are the sections below.

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import tensorflow as tf
from scipy import ndimage, stats
from sklearn.calibration import calibration_curve
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, f1_score
from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit

# %%
import tlkit
from tlkit import evaluation, explain, plots
from tlkit.probe import logistic_regression, probe_classes
from tlkit.widgets import DomainCompare

# %%
SEED = 0
PER_CLASS = 10  # labels of each digit for training: 100 in all
DRAWS = 10  # how often labels, or fonts, are drawn anew
LEVEL = 0.05  # a p-value below this counts as a difference

# %% [markdown]
# ## 1. Three models to judge
#
# All three read the 2,000 test images of `mnist`. **Raw pixels**: a logistic regression on 100 labelled digits.
# **Zero-shot**: the printed ResNet with the head it was trained with, no target label at all. **Frozen**: the same
# ResNet, frozen, with a new head from the 100 labels.

# %%
pair = tlkit.load_pair(source="printed", target="mnist")
test, few = pair.target.test, pair.target.train.take(PER_CLASS, seed=SEED)
backbone = tlkit.load_backbone("resnet_printed")
tlkit.freeze_to(backbone, stage=backbone.n_stages)
source_features, train_features, test_features = (
    tlkit.cache_features(backbone.model, split) for split in (pair.source.test, pair.target.train, test)
)
test_features


# %%
def probe(features, per_class, seed):
    """A head set to the logistic regression on so many labels of each class."""
    head = tlkit.build_head(backbone, n_classes=10, seed=seed)
    tlkit.fit_probe(head, features.take(per_class, seed=seed))
    return head


source_head = tlkit.load_source_head(backbone, pair.source.classes)
head = probe(train_features, PER_CLASS, SEED)

# %% tags=["nbval-ignore-output"]
kernel, bias = logistic_regression(few)
answers = {
    "raw pixels": (tlkit.pool_features(test) @ kernel + bias).argmax(axis=1),
    "zero-shot": evaluation.predict_classes(source_head, test_features),
    "frozen": evaluation.predict_classes(head, test_features),
}
accuracies = pd.Series({name: (answer == test.y).mean() for name, answer in answers.items()}, name="accuracy")
accuracies.round(4)

# %% [markdown]
# ## 2. Which errors? The confusion matrix
#
# Accuracy is one number. The **confusion matrix** has a hundred: its row is the right class, its column the answer,
# and each cell counts the images. Everything in this section is computed from it.
#
# **Predict before you run:** the zero-shot model has only seen print. Which handwritten digit will it miss most often,
# and what will it take it for?

# %%
matrix = np.zeros((10, 10), dtype=int)
np.add.at(matrix, (test.y, answers["zero-shot"]), 1)  # one count per image
assert (matrix == confusion_matrix(test.y, answers["zero-shot"])).all()
ax = plots.plot_confusion(matrix, pair.target.classes)

# %% [markdown]
# The picture is a table of ten rows and ten columns: grey on the diagonal are the right answers, magenta the errors,
# darker where more of the row's images went. Most cells are empty: errors are not spread evenly, a few pairs of digits
# hold many of them.

# %% tags=["nbval-ignore-output"]
errors = matrix - np.diag(matrix.diagonal())
largest = np.sort(errors.ravel())[::-1]
row, column = np.unravel_index(errors.argmax(), errors.shape)
print(f"most frequent: a {row} taken for a {column}, {errors.max()} times")
print(f"the 5 largest of 90 cells hold {largest[:5].sum() / errors.sum():.0%} of the {errors.sum()} errors")

# %% tags=["summary-1"]
assert (largest == 0).sum() > 45 + 10  # more than half of the 90 cells, and the 10 of the diagonal
assert largest[:5].sum() > 0.3 * errors.sum()  # evenly spread, 5 of 90 cells would hold a little over 5 %

# %% [markdown]
# Numbers do not show what the images look like. Pick a cell of a matrix below, by domain, right class and answer, and
# see its images, the most certain answers first.
#
# The slider puts a head on the frozen ResNet: with 0 labels per class it is the source's own, zero-shot; with 10 it is that
# of the frozen model above.
#
# **Predict before you move the slider to 10:** take the cell in which zero-shot makes most of its errors. Will the frozen
# model make fewer of them? And which cells of the *source*, now empty, will it fill?

# %% tags=["nbval-ignore-output"]
compare = DomainCompare(pair, {"resnet_printed": backbone}, seed=SEED)
cell_sizes = {}
for name, compare.labels_per_class in (("frozen", PER_CLASS), ("zero-shot", 0)):
    in_cell = compare.confusion("target").iloc[row, column]
    cell_sizes[name] = {**compare.scores["accuracy"].round(3), "images in the cell": in_cell}
assert (compare.confusion("target") == matrix).all(axis=None)
compare

# %% tags=["nbval-ignore-output"]
pd.DataFrame(cell_sizes)

# %%
assert cell_sizes["zero-shot"]["images in the cell"] == errors.max()
assert abs(cell_sizes["frozen"]["target"] - accuracies["frozen"]) < 0.003  # the same head
assert cell_sizes["frozen"]["images in the cell"] < errors.max() / 2
assert cell_sizes["frozen"]["source"] < cell_sizes["zero-shot"]["source"] - 0.01

# %% [markdown]
# The frozen model all but empties the cell. But its head learned from handwriting alone and makes errors on print,
# where the old head made none or hardly any: look for them in the left matrix. (The box *Grad-CAM* shows where the
# evidence for each answer lies. Section 9 says how, and why to distrust it.)

# %% [markdown]
# For one class, say the 2, call $h$ the *hits*: the twos that were called two.
#
# - **Recall** is $h$ divided by all that *are* twos: its row.
# - **Precision** is $h$ divided by all that were *called* two: its column.
# - **F1** is the harmonic mean of precision $p$ and recall $r$, $2\,p\,r / (p + r)$: low as soon as one of them is.
#
# The picture counts both for an invented model:
#
# ![Digits in a table. A solid frame holds the 24 that are a 2, a dashed frame the 16 that were called 2. The frames
# overlap in 12 hits. 4 others were called 2, the false alarms, and 12 twos were missed. Precision: of 16 that were
# called 2, 12 are a 2. Recall: of 24 that are a 2, 12 were called 2. In the confusion matrix, precision reads a column,
# and recall a row.](pictures/precision_and_recall.svg)

# %% tags=["nbval-ignore-output"]
hits = matrix.diagonal()
recall = hits / matrix.sum(axis=1)
precision = hits / matrix.sum(axis=0)
f1 = 2 * precision * recall / (precision + recall)
by_hand = pd.DataFrame({"precision": precision, "recall": recall, "f1": f1}, index=pair.target.classes)
by_hand.round(3).T

# %% [markdown]
# From now on `tlkit.classification_report` does it (scikit-learn inside). The *macro average* is the plain mean over
# the classes, however many images each has.

# %%
report = tlkit.classification_report(source_head, test_features, pair.target.classes)
assert np.allclose(report.loc[list(pair.target.classes), by_hand.columns], by_hand)
assert np.isclose(report.loc["macro average", "recall"], recall.mean())
assert np.isclose(accuracies["zero-shot"], hits.sum() / matrix.sum())  # accuracy: the diagonal's share

# %% tags=["nbval-ignore-output"]
worst = by_hand["recall"].idxmin()
print(f"the lowest recall: {worst}, {by_hand['recall'].min():.3f}; accuracy over all: {accuracies['zero-shot']:.3f}")

# %%
assert by_hand["recall"].min() < accuracies["zero-shot"] - 0.05

# %% [markdown]
# One digit does clearly worse than the accuracy lets you think. If that digit is the one you need, accuracy was the
# wrong number.

# %% [markdown]
# ## 3. A rare class: when accuracy praises a model that does nothing
#
# Change the task: *find the eights*. Yes or no. Now let eights be rare: the test set keeps all other digits, but only
# 20 eights.
#
# **Predict before you run:** a "model" that always says no: what is its accuracy? Will the pixel model, which really
# looks, have a higher one?

# %%
from tlkit.widgets import Predict

always_no = Predict("What is the accuracy of always saying no?", between=(0.5, 1))
always_no

# %%
DIGIT, KEPT = 8, 20


def rare_set(seed):
    """All other digits and a few eights, as indices into the test images."""
    eights = np.flatnonzero(test.y == DIGIT)
    return np.concatenate(
        [np.flatnonzero(test.y != DIGIT), np.random.default_rng(seed).choice(eights, KEPT, replace=False)]
    )


# %%
def detector_scores(says_yes, index):
    is_yes, says_yes = test.y[index] == DIGIT, says_yes[index]
    hits = (is_yes & says_yes).sum()
    return {
        "accuracy": (is_yes == says_yes).mean(),
        "recall": hits / is_yes.sum(),
        "precision": hits / says_yes.sum() if says_yes.any() else np.nan,
        "balanced accuracy": balanced_accuracy_score(is_yes, says_yes),
    }


# %% tags=["nbval-ignore-output"]
detectors = {"always no": np.zeros(len(test), bool), **{name: answer == DIGIT for name, answer in answers.items()}}
rare = {
    name: pd.DataFrame([detector_scores(yes, rare_set(seed)) for seed in range(100)]).mean()
    for name, yes in detectors.items()
}
rare = pd.DataFrame(rare).T
rare.round(3)

# %%
always_no.compare(rare.loc["always no", "accuracy"])

# %% tags=["summary-1"]
assert rare.loc["always no", "accuracy"] > rare.loc["raw pixels", "accuracy"] + 0.005
assert rare.loc["always no", "balanced accuracy"] == 0.5
assert rare.loc["raw pixels", "balanced accuracy"] > 0.7

# %% [markdown]
# The table holds means over 100 draws of the 20 eights. (`NaN`, no number, is the precision of a model that never
# says yes.) By accuracy the model that never looks beats the pixel model. Recall and **balanced accuracy**, the mean
# of the recall of yes and of no, tell them apart: a model that always says the same has a balanced accuracy of one
# half.
#
# Precision falls when the class gets rarer, though the model is the same. Let $\pi$ be the share of eights, $r$ the
# recall, $f$ the share of other digits that are called eight. Of all images, $\pi r$ are hits and $(1-\pi) f$ are false
# alarms, so
#
# $$\text{precision} = \frac{\pi r}{\pi r + (1 - \pi) f}.$$
#
# Check: take $r$ and $f$ from the whole test set, and predict the precision on the rare one.

# %% tags=["nbval-ignore-output"]
share = KEPT / len(rare_set(SEED))
for name, yes in detectors.items():
    if name != "always no":
        r, f = yes[test.y == DIGIT].mean(), yes[test.y != DIGIT].mean()
        rare.loc[name, "by the formula"] = share * r / (share * r + (1 - share) * f)
        rare.loc[name, "with all the eights"] = detector_scores(yes, np.arange(len(test)))["precision"]
rare[["with all the eights", "precision", "by the formula"]].dropna().round(3)

# %% tags=["summary-1"]
named = rare.drop("always no")
assert ((named["precision"] - named["by the formula"]).abs() < 0.03).all()
assert named.loc["raw pixels", "precision"] < named.loc["raw pixels", "with all the eights"] / 2

# %% [markdown]
# A precision is worth nothing without the share of the class it was measured at. Before you quote one, ask how rare the
# class will be where the model is used.

# %% [markdown]
# ## 4. How sure is the score? The bootstrap
#
# Other test images would have given another accuracy. How different? You own one test set. The **bootstrap** (Efron,
# 1979) takes it for the world: draw a new test set of the same size *from it*, with replacement, so that an image may
# come twice; score it; repeat. The middle 95 % of those scores is the interval.

# %% tags=["nbval-ignore-output"]
right = answers["zero-shot"] == test.y
rng = np.random.default_rng(SEED)
scores = rng.choice(right, size=(2000, len(right))).mean(axis=1)  # 2,000 test sets
low, high = np.quantile(scores, [0.025, 0.975])
print(f"{right.mean():.4f}, 95 % interval {low:.4f} to {high:.4f}")

# %% [markdown]
# For accuracy a formula exists, too: the standard deviation of a share $p$ over $n$ images is $\sqrt{p(1-p)/n}$, and
# the interval is about two of them to each side. For F1 there is no such formula, and the bootstrap needs none.
# `evaluation.bootstrap_interval` takes any metric.

# %% tags=["nbval-ignore-output"]
half_by_formula = stats.norm.ppf(0.975) * np.sqrt(right.mean() * (1 - right.mean()) / len(right))
interval = evaluation.bootstrap_interval(test.y, answers["zero-shot"], seed=SEED)
macro_f1 = evaluation.bootstrap_interval(
    test.y, answers["zero-shot"], lambda y, p: f1_score(y, p, average="macro"), resamples=500, seed=SEED
)
pd.DataFrame({"accuracy": vars(interval), "macro F1": vars(macro_f1)}).T.round(4)

# %% tags=["summary-2"]
assert abs((high - low) / 2 - half_by_formula) < 0.1 * half_by_formula
assert abs((interval.high - interval.low) / 2 - half_by_formula) < 0.1 * half_by_formula
assert macro_f1.low < macro_f1.value < macro_f1.high

# %% [markdown]
# What does "95 %" promise? Of many such intervals, each from its own test set, 95 in 100 hold the truth. It does not
# promise that *this* one does. Here the promise can be tried: no image of `mnist` taught the zero-shot model
# anything, so let all 5,000 images be the world. The accuracy on them is the truth. Draw 100 test sets of 200 images.
#
# **Predict before you run:** how many of the 100 intervals miss the truth? And how wide is an interval from 200 images?

# %%
missed = Predict("How many of the 100 intervals miss the truth?", between=(0, 100))
missed

# %%
both = (train_features, test_features)
world_answers = np.concatenate([evaluation.predict_classes(source_head, part) for part in both])
world_labels = np.concatenate([part.y for part in both])
truth = (world_answers == world_labels).mean()
drawn = [np.random.default_rng(seed).integers(len(world_labels), size=200) for seed in range(100)]
intervals = [evaluation.bootstrap_interval(world_labels[i], world_answers[i], resamples=500) for i in drawn]
ends = np.array([(interval.low, interval.high) for interval in sorted(intervals, key=lambda one: one.value)])
held = (ends[:, 0] <= truth) & (truth <= ends[:, 1])

# %%
figure, ax = plt.subplots(figsize=(7, 2.8), layout="constrained")
number = np.arange(len(ends))
ax.vlines(number[held], *ends[held].T, color="0.55", label="holds the truth")
ax.vlines(number[~held], *ends[~held].T, color=plots.TARGET_COLOR, linewidth=2.5, label="misses it")
ax.axhline(truth, color="black", linewidth=1, label="truth: accuracy on all 5,000 images")
ax.set_xlabel("test set of 200 images, in the order of its score")
ax.set_ylabel("accuracy")
ax.spines[["top", "right"]].set_visible(False)
legend = ax.legend(frameon=False, loc="lower right")
# %% [markdown]
# Each vertical line is the interval of one test set. The horizontal line is the truth. The few orange intervals miss
# it.

# %% tags=["nbval-ignore-output"]
print(f"{held.sum()} of {len(held)} intervals hold the truth; mean width {np.diff(ends).mean():.3f}")
too_high, too_low = (ends[:, 0] > truth).sum(), (ends[:, 1] < truth).sum()
print(f"{too_high} of the others lie above it, {too_low} below")

# %% tags=["nbval-ignore-output"]
missed.compare((~held).sum())

# %% tags=["summary-2"]
assert held.mean() > 0.85
assert too_high > too_low
assert held.sum() < 95
assert np.diff(ends).mean() > 2 * (high - low)  # a tenth of the images: about three times as wide

# %% [markdown]
# The promise is nearly kept: somewhat fewer than 95 hold the truth, and most of the others are too high. A test set
# that happens to hold few errors gets a score that is too high and, with so few errors to draw from, an interval that
# is too narrow. And with 200 test images two separate scores must differ by several percentage points before the
# difference means much.
#
# **Where the bootstrap fails.** A model that makes (nearly) no error leaves nothing to draw: on the source, the printed
# digits, the interval all but vanishes. The exact binomial interval of scipy stays honest.

# %% tags=["nbval-ignore-output"]
source_answers = evaluation.predict_classes(source_head, source_features)
source_right = source_answers == pair.source.test.y
bootstrap = evaluation.bootstrap_interval(pair.source.test.y, source_answers)
exact = stats.binomtest(int(source_right.sum()), len(source_right)).proportion_ci()
print(f"source accuracy {bootstrap.value:.4f} on {len(source_right):,} images")
print(f"bootstrap {bootstrap.low:.4f} to {bootstrap.high:.4f}   exact {exact.low:.4f} to {exact.high:.4f}")

# %%
assert bootstrap.high - bootstrap.low < exact.high - exact.low
assert exact.low < 1

# %% [markdown]
# ## 5. Two models: a paired test
#
# Both models answered the *same* images. An image that both read, or both miss, says nothing about which is better.
# What counts is where they differ.

# %% tags=["nbval-ignore-output"]
frozen_right = answers["frozen"] == test.y
table = pd.crosstab(
    pd.Series(np.where(frozen_right, "right", "wrong"), name="frozen"),
    pd.Series(np.where(right, "right", "wrong"), name="zero-shot"),
)
table

# %% [markdown]
# Call $b$ the images that only the first model reads (here frozen: upper right) and $c$ those that only the second
# reads (lower left). If both were equally good, each of the $b + c$ would be a toss of a fair coin. The **p-value**
# is how often $b + c$ tosses come out at least as one-sided as yours did. That is McNemar's test (1947) in its exact
# form.

# %% tags=["nbval-ignore-output"]
b, c = (frozen_right & ~right).sum(), (right & ~frozen_right).sum()
p_by_hand = stats.binomtest(int(b), int(b + c)).pvalue
comparison = evaluation.paired_test(test.y, answers["frozen"], answers["zero-shot"])
pd.Series(vars(comparison)).map("{:.4g}".format)

# %% tags=["summary-2"]
assert np.isclose(p_by_hand, comparison.p_value)
assert (b, c) == (comparison.only_first, comparison.only_second)
assert np.isclose(comparison.difference, (b - c) / len(test))
assert comparison.low > 0.01
assert comparison.p_value < LEVEL / 1000

# %% [markdown]
# `difference` is the first accuracy minus the second; `low` and `high` come from a bootstrap in which both models meet
# the same drawn images. A p-value alone does not say *how much* better: always give the difference with its interval.
#
# Now two more models. **Gentle**: the frozen model's last stage, fine-tuned from its head. **Rough**: everything
# unfrozen under a random head at a high learning rate (see notebook 03).

# %%
gentle, gentle_head = tlkit.load_backbone("resnet_printed"), probe(train_features, PER_CLASS, SEED)
history = tlkit.fine_tune(gentle, gentle_head, few, stage=4, epochs=8, learning_rate=3e-4, progress=False)
answers["gentle"] = evaluation.predict_classes(tlkit.join(gentle.model, gentle_head), test)

# %%
rough_base, rough_head = tlkit.load_backbone("resnet_printed"), tlkit.build_head(backbone, n_classes=10, seed=SEED)
history = tlkit.fine_tune(rough_base, rough_head, few, stage=0, epochs=12, learning_rate=2e-3, progress=False)
rough_features = tlkit.cache_features(rough_base.model, test, cache_dir="memory")
answers["rough"] = evaluation.predict_classes(rough_head, rough_features)

# %% [markdown]
# **Predict before you run:** which of these pairs differ by more than luck? And which interval is wider: that of two
# models that err on the same images, or that of two that err on different ones?


# %% tags=["nbval-ignore-output"]
def compare(first, second):
    result = evaluation.paired_test(test.y, answers[first], answers[second])
    alone = [evaluation.bootstrap_interval(test.y, answers[name]) for name in (first, second)]
    unpaired = np.hypot(*[(interval.high - interval.low) / 2 for interval in alone])
    return {**vars(result), "± paired": (result.high - result.low) / 2, "± unpaired": unpaired}


pairs = [("frozen", "raw pixels"), ("frozen", "zero-shot"), ("frozen", "gentle"), ("rough", "zero-shot")]
compared = pd.DataFrame({" − ".join(names): compare(*names) for names in pairs}).T
compared[["difference", "low", "high", "p_value", "only_first", "only_second"]].round(4)

# %% tags=["nbval-ignore-output"]
compared[["± paired", "± unpaired"]].round(4)

# %% tags=["plumbing"]
assert compared.loc["frozen − gentle", "p_value"] > LEVEL
assert compared.loc["frozen − raw pixels", "p_value"] < LEVEL / 1000
assert compared.loc["frozen − gentle", "± paired"] < compared.loc["frozen − gentle", "± unpaired"] / 2
crossed = compared.loc["rough − zero-shot"]
assert abs(crossed["difference"]) < 0.05
assert min(crossed["only_first"], crossed["only_second"]) > 30
assert crossed["± paired"] > 3 * compared.loc["frozen − gentle", "± paired"]
assert crossed["± paired"] > 0.8 * crossed["± unpaired"]

# %% [markdown]
# Frozen is clearly better than raw pixels. Frozen and gentle err on almost the same images: the paired interval is
# less than half as wide as one that forgets the pairing, and even so it finds no difference. That is **no evidence**,
# not proof that both are equal: the interval says how large a difference may still be hiding. Rough and zero-shot
# have similar scores, too, but each reads many images that the other misses: their interval is several times as wide,
# and pairing hardly narrows it. (Whether it leaves out 0 is a close call; read it off your own table.)
#
# A habit to unlearn: "the intervals overlap, so there is no difference". Cut the test images into ten sets of 200, and
# compare frozen with zero-shot on each.

# %% tags=["nbval-ignore-output"]
overlap, found = [], []
for part in np.split(np.arange(len(test)), 10):
    first, second = (
        evaluation.bootstrap_interval(test.y[part], answers[name][part]) for name in ("frozen", "zero-shot")
    )
    overlap.append(first.low <= second.high)
    paired = evaluation.paired_test(test.y[part], answers["frozen"][part], answers["zero-shot"][part])
    found.append(paired.p_value < LEVEL)
print(f"intervals overlap in {sum(overlap)} of 10 sets; in {sum(found)} of 10 the paired test finds the difference")

# %%
assert sum(found) > 10 - sum(overlap)  # it finds more than "do the intervals overlap?" does

# %% [markdown]
# ### A test of two models is no test of two methods
#
# Question: do 50 labels of each digit give a better head than 10? Each row below is another draw of the labels, with
# its paired test.


# %%
def more_labels(seed):
    labelled = [train_features.take(per_class, seed=seed) for per_class in (50, PER_CLASS)]
    result = evaluation.paired_test(test.y, *(probe_classes(part, test_features) for part in labelled))
    return {"difference": result.difference, "low": result.low, "high": result.high, "p_value": result.p_value}


# %% tags=["nbval-ignore-output"]
draws = pd.DataFrame([more_labels(seed) for seed in range(DRAWS)])
draws.round(4)

# %% tags=["nbval-ignore-output"]
mean, half = tlkit.mean_interval(draws["difference"])
print(f"{(draws['p_value'] < LEVEL).sum()} of {DRAWS} tests find a difference")
print(f"mean difference over the draws {mean:.4f} ± {half:.4f}")

# %% tags=["summary-2"]
assert draws["p_value"].min() < LEVEL < draws["p_value"].max()
assert mean - half > 0

# %% [markdown]
# One draw of labels would have told you "clearly better", another one "no difference": each test is right about *its*
# two heads. For the method you need several draws, and then the answer is plain: a small gain. So there are two kinds
# of luck, and two intervals:
#
# | luck | question | tool |
# |---|---|---|
# | which test images | is *this model* better than that one? | `bootstrap_interval`, `paired_test` |
# | which training labels, which start | is *this way of training* better? | several seeds, `mean_interval` |
#
# And if you test many pairs at this level, up to one in twenty equal pairs will look different by luck alone.

# %% [markdown]
# ## 6. May you believe the model's own certainty? Calibration
#
# The largest softmax probability is the model's **confidence**. A model is *calibrated* if, of all answers given with a
# confidence of 80 %, 80 % are right. Sort the answers into 15 bins by confidence; in each compare the share of right
# answers with the mean confidence; average the distances, weighted by the bins' sizes. That is the **expected
# calibration error** (Guo et al., 2017, arXiv:1706.04599).

# %% tags=["nbval-ignore-output"]
of_rough = (rough_head, rough_features)
judged = {"zero-shot": (source_head, test_features), "frozen": (head, test_features), "rough": of_rough}
probabilities = evaluation.predict_probabilities(*judged["rough"])
confidence, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == test.y
error = 0
for k in range(15):
    inside = (k / 15 < confidence) & (confidence <= (k + 1) / 15)
    if inside.any():
        error += inside.mean() * abs(correct[inside].mean() - confidence[inside].mean())
round(float(error), 4)

# %% [markdown]
# **Predict before you run:** three models: zero-shot, frozen, rough. Which is too sure of itself, and which not sure
# enough?

# %%
certain = {name: evaluation.predict_probabilities(*its) for name, its in judged.items()}
tables = {name: evaluation.calibration(test.y, p) for name, p in certain.items()}
assert np.isclose(evaluation.calibration_error(tables["rough"]), error)
ax = plots.plot_calibration(tables)

# %% [markdown]
# The reliability diagram has a line for each model: across, how sure it was; upward, how often it was right; larger
# points stand for more images. Bins with less than a hundredth of the images stand as single small points beside the
# lines. On the dashed diagonal confidence and accuracy agree. The zero-shot line runs far above it, the frozen line
# closer above it, and the rough line below it.

# %% tags=["nbval-ignore-output"]
rows = {name: (p.max(axis=1).mean(), (p.argmax(axis=1) == test.y).mean()) for name, p in certain.items()}
summary = pd.DataFrame(rows, index=["mean confidence", "accuracy"]).T
summary.round(3)

# %%
too_sure = summary["mean confidence"] - summary["accuracy"]
assert too_sure["zero-shot"] < -0.05
assert too_sure["frozen"] < 0
assert too_sure["rough"] > 0.01

# %% [markdown]
# How sure is that, over test images? Per image the difference is the confidence minus 1 where the answer is right, and the
# confidence where it is wrong. Its mean has an interval like any other.

# %% tags=["nbval-ignore-output"]
excess = {name: tlkit.mean_interval(p.max(axis=1) - (p.argmax(axis=1) == test.y)) for name, p in certain.items()}
pd.DataFrame(excess, index=["confidence − accuracy", "± (95 %)"]).T.round(3)

# %%
assert excess["zero-shot"][0] + excess["zero-shot"][1] < -0.05
assert excess["rough"][0] - excess["rough"][1] > 0

# %% [markdown]
# The zero-shot model is far too modest. (One reason may be that it was pretrained with label smoothing, which never
# asks for full certainty: Müller et al., 2019, arXiv:1906.02629.) The rough model is too sure. Both
# statements are about these models: another draw of the labels could give another answer.
#
# **Temperature scaling** divides all logits by one number $T$: above one makes a model less sure, below one surer. No
# answer changes, since the largest logit stays the largest. $T$ is chosen so that held-out labels become as likely as
# possible: here 400 further labels of the target, neither from the training nor from the test images. To see how far
# $T$ depends on luck, it is also fitted to each of four hundreds of them.
#
# One more baseline: even a perfectly calibrated model has an error above zero, because bins hold few images. To see how
# large it is, draw labels *from the model's own probabilities*: for those labels it is perfect.


# %%
def perfect_error(probabilities, seed):
    """The calibration error of a model whose probabilities are the truth."""
    u = np.random.default_rng(seed).random((len(probabilities), 1))
    labels = (u > probabilities.cumsum(axis=1)).sum(axis=1).clip(0, 9)
    return evaluation.calibration_error(evaluation.calibration(labels, probabilities))


more = pair.target.train.take(50, seed=SEED)[len(few) :]  # draws are nested: the first 100 are `few`
assert not {image.tobytes() for image in more.x} & {image.tobytes() for image in few.x}
held_out = dict.fromkeys(("zero-shot", "frozen"), train_features.take(50, seed=SEED)[len(few) :])
held_out["rough"] = tlkit.cache_features(rough_base.model, more, cache_dir="memory")


# %% tags=["nbval-ignore-output"]
def scaled(name, labels):
    """Temperature, and probabilities with it, from features with labels."""
    its_head, features = judged[name]
    temperature = evaluation.fit_temperature(its_head, labels)
    p = evaluation.predict_probabilities(its_head, features, temperature=temperature)
    assert (p.argmax(axis=1) == answers[name]).all()  # no answer changes
    return temperature, p, evaluation.calibration_error(evaluation.calibration(test.y, p))


# %% tags=["nbval-ignore-output"]
rows = {}
for name, labels in held_out.items():
    temperature, p, after = scaled(name, labels)
    hundreds = [scaled(name, labels[start : start + 100])[0] for start in range(0, 400, 100)]
    perfect = np.mean([perfect_error(p, seed) for seed in range(20)])
    before = evaluation.calibration_error(tables[name])
    rows[name] = (before, after, perfect, temperature, min(hundreds), max(hundreds))
columns = ["error before", "error after", "a perfect model's", "T", "smallest T of 4 × 100", "largest T of 4 × 100"]
scaling = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
scaling.round(4)

# %% tags=["summary-2"]
assert (scaling["error after"] < scaling["error before"] * 3 / 4).all()
assert scaling.loc["rough", "T"] > 1 > scaling.loc["zero-shot", "T"]
assert scaling.loc["frozen", "largest T of 4 × 100"] > scaling.loc["frozen", "smallest T of 4 × 100"] * 4 / 3

# %% [markdown]
# One number helps all three. But $T$ rests on the few *errors* among the held-out labels: on a hundred labels a good
# model makes a handful of errors or none, and $T$ swings from one hundred to the next. Count the errors before you
# trust it.
#
# Held-out means held out. What if you take the labels that the head was trained on?

# %% tags=["nbval-ignore-output"]
on_training, p, wrong_labels = scaled("frozen", train_features.take(PER_CLASS, seed=SEED))
temperature, right_labels = scaling.loc["frozen", ["T", "error after"]]
print(f"temperature from training labels {on_training:.2f}, from held-out ones {temperature:.2f}")
print(f"calibration error {wrong_labels:.4f} against {right_labels:.4f}")
print(f"mean confidence {p.max(axis=1).mean():.4f}, accuracy {accuracies['frozen']:.4f}")

# %% tags=["summary-2"]
assert on_training < temperature / 2
assert p.max(axis=1).mean() > accuracies["frozen"] + 0.005  # a modest model was made too sure
assert wrong_labels > right_labels

# %% [markdown]
# The head is right on all its training labels, so each lower temperature makes them likelier still: a modest model
# becomes one that is too sure.

# %% [markdown]
# ## 7. Is the score inflated? Leakage
#
# Fonts come in families: regular, bold, italic, narrow. Here are digits of one family that has six faces: three
# pictures of each digit. Within a column they are near copies of each other.

# %%
printed = pair.source
parts = [[getattr(part, field) for part in (printed.train, printed.test)] for field in ("x", "y", "groups")]
glyphs = tlkit.Split(*(np.concatenate(part) for part in parts))
families, counts = np.unique(glyphs.groups, return_counts=True)
families = families[counts == 60]  # six faces with ten digits each
ax = plots.plot_examples(glyphs[glyphs.groups == families[0]], rows=3, seed=SEED)

# %% [markdown]
# You own some of these families and want to know how well a model reads **fonts that it has never seen**. You hold back
# a quarter for testing. Two ways to choose that quarter, both from scikit-learn:
#
# - **by glyph** (`ShuffleSplit`): shuffle all glyphs and take a quarter;
# - **by family** (`GroupShuffleSplit`): take a quarter of the families, with all their glyphs. `Split.groups` has the
#   family of each glyph.
#
# The families you do not own are the truth: the model meets them only afterwards. Sizes are the same in both ways, and
# the model is a logistic regression on pixels.
#
# **Predict before you run:** which of the two estimates is nearer to the truth? In which direction is the other one
# off?

# %%
nearer = Predict("Which of the two estimates is nearer to the truth?", choices=["by glyph", "by family"])
nearer


# %%
def two_splits(owned, seed):
    """The glyphs of the families that are owned, in training and test part by either way; and all other glyphs."""
    order = np.random.default_rng(seed).permutation(families)
    mine, new = (glyphs[np.isin(glyphs.groups, part)] for part in (order[:owned], order[owned:]))
    settings = {"n_splits": 1, "test_size": 1 / 4, "random_state": seed}
    by_glyph = ShuffleSplit(**settings).split(mine.x)
    by_family = GroupShuffleSplit(**settings).split(mine.x, groups=mine.groups)
    parts = {"by glyph": next(by_glyph), "by family": next(by_family)}
    return {way: [mine[index] for index in part] for way, part in parts.items()}, new


# %%
def estimates(owned, seed):
    """Test accuracy by either split, and on the families that are not owned; both of one model."""
    split, new = two_splits(owned, seed)
    for way, (train, held_out) in split.items():
        kernel, bias = logistic_regression(train)
        scores = [(tlkit.pool_features(part) @ kernel + bias).argmax(axis=1) == part.y for part in (held_out, new)]
        yield way, owned, *(score.mean() for score in scores)


# %% tags=["nbval-ignore-output"]
rows = [row for owned in (4, 8, 16) for seed in range(2 * DRAWS) for row in estimates(owned, seed)]
leak = pd.DataFrame(rows, columns=["split", "families", "estimate", "truth"])
leak["inflation"] = leak["estimate"] - leak["truth"]
inflation = leak.groupby(["split", "families"])["inflation"].apply(tlkit.mean_interval)
table = pd.DataFrame(inflation.tolist(), index=inflation.index, columns=["estimate − truth", "±"])
table.round(3)

# %%
nearer.compare(table["estimate − truth"].abs().groupby("split").mean().idxmin())

# %%
ax = plt.subplots(figsize=(6, 3.4), layout="constrained")[1]
lines = {f"estimate, split {split}": rows.rename(columns={"estimate": "y"}) for split, rows in leak.groupby("split")}
lines["truth: families never seen"] = leak.rename(columns={"truth": "y"})
colors = "0.5", plots.TARGET_COLOR, "black"
for (name, rows), color, shift in zip(lines.items(), colors, (-0.15, 0.15, 0), strict=True):
    points = [(owned + shift, *tlkit.mean_interval(part["y"])) for owned, part in rows.groupby("families")]
    ax.errorbar(*np.transpose(points), color=color, marker="o", capsize=3, label=name)
ax.set_xticks([4, 8, 16])
ax.set(xlabel="font families owned", ylabel="accuracy")
ax.spines[["top", "right"]].set_visible(False)
legend = ax.legend(frameon=False)

# %% [markdown]
# Three lines over the number of families owned, with 95 % intervals over 20 draws of the families (draws share
# families, so the bars are a little too short). The truth is the mean over the models of both ways; the table above
# takes each estimate against its own model. The estimate by glyph runs above the truth; the estimate by family lies
# near it, with much wider bars.

# %% tags=["plumbing", "summary-3"]
for owned in (4, 8, 16):
    mean, half = inflation["by glyph", owned]
    assert mean - half > 0.01  # too good, at each number of families
    assert abs(inflation["by family", owned][0]) < mean  # nearer to the truth
    errors = 1 - leak[(leak["split"] == "by glyph") & (leak["families"] == owned)][["estimate", "truth"]].mean()
    assert errors["estimate"] < errors["truth"] / 2  # more than half of the errors stay hidden
    assert inflation["by family", owned][1] > half  # it swings more
    assert abs(inflation["by family", owned][0]) < inflation["by family", owned][1]  # no bias to be seen
assert inflation["by glyph", 4][0] > inflation["by glyph", 16][0] + 0.01

# %% [markdown]
# The split by glyph hides more than half of the errors: to each test glyph the training part holds siblings from its
# own family. That is **leakage**: the test knows something of the training that the real task will not. Nothing in the
# training looks wrong, no label is used twice, and the number is stable, which makes it all the more convincing. The
# split by family swings more, because a quarter of few families is few, but on average it is right, as far as its
# interval tells.
#
# How large the inflation is depends on the data: it shrinks as you own more families. Ask of every data set what
# its *groups* are (the font, the patient, the camera, the hour of the recording) and never let one stand on both sides.
# The bundled `printed` is split by family, too:

# %%
assert not set(printed.train.groups) & set(printed.test.groups)
len(set(printed.train.groups)), len(set(printed.test.groups))

# %% [markdown]
# A backbone leaks in the same way: `resnet_printed` was trained on the training fonts, so its source accuracy counts
# only on `printed`'s **test** part.

# %% [markdown]
# ## 8. How to read source − target
#
# The **gap** is the source accuracy minus the target accuracy. It looks like a measure of how well a model transfers.
#
# **Predict before you run:** which of these four has the gap nearest to zero, and is it the best one? Random weights,
# zero-shot, frozen (each domain read by its own head), rough (the source read by its old head).

# %%
smallest_gap = Predict(
    "Which model has the gap nearest to zero?", choices=["random weights", "zero-shot", "frozen", "rough"]
)
smallest_gap

# %% tags=["nbval-ignore-output"]
untrained = tlkit.load_backbone("resnet_printed", weights=None, seed=SEED)
some_head = tlkit.build_head(untrained, n_classes=10, seed=SEED)
some = [part.take(50, seed=SEED) for part in (pair.source.test, test)]  # 50 of each digit will do for random weights
by_chance = [tlkit.accuracy(some_head, tlkit.cache_features(untrained.model, part)) for part in some]
rough_source = tlkit.accuracy(tlkit.join(rough_base.model, source_head), pair.source.test)
scores = {
    "random weights": tlkit.PairScores(*by_chance),
    "zero-shot": tlkit.PairScores(source=source_right.mean(), target=accuracies["zero-shot"]),
    "frozen": tlkit.PairScores(source=source_right.mean(), target=accuracies["frozen"]),
    "rough": tlkit.PairScores(source=rough_source, target=(answers["rough"] == test.y).mean()),
}
gaps = pd.DataFrame({name: {**vars(score), "gap": score.gap} for name, score in scores.items()}).T

# %% tags=["nbval-ignore-output"]
sizes = pd.DataFrame({"source": len(pair.source.test), "target": len(test)}, gaps.index)
sizes.loc["random weights"] = [len(part) for part in some]
variance = sum(gaps[side] * (1 - gaps[side]) / sizes[side] for side in sizes)
gaps["± of the gap"] = stats.norm.ppf(0.975) * np.sqrt(variance)  # two test sets: variances add
gaps.round(3)

# %%
smallest_gap.compare(gaps["gap"].abs().idxmin())

# %% tags=["summary-1"]
assert abs(gaps.loc["random weights", "gap"]) < gaps.loc["zero-shot", "gap"]
assert gaps.loc["rough", "gap"] < -gaps.loc["rough", "± of the gap"]
assert gaps.loc["rough", "target"] < gaps.loc["frozen", "target"] - 0.01
assert gaps.loc["zero-shot", "gap"] > gaps.loc["frozen", "gap"] + 0.02

# %% [markdown]
# - **Random weights** have a smaller gap than zero-shot: a model that can do nothing does it equally well everywhere.
# - **Rough** has a *negative* gap. It reads the target worse than the frozen model does; it has forgotten the source.
#   How much it forgets is luck: with seeds 0 to 3 for the order of the batches its gap ran from −.26 to −.02.
# - **Zero-shot against frozen**: the features are the same, the gap is not. So the gap is no property of the backbone
#   alone. The gap that is left with the new head is what 100 labels did not close; part of it may simply be that
#   handwriting is harder to read.
#
# So: never the gap without both numbers, and never without a model trained for the target beside it. (The ± of the
# last column adds the variances of two shares, by the formula of section 4. A source score without errors adds
# nothing to it, which is a little too good: section 4 has the exact interval.)

# %% tags=["nbval-ignore-output"]
whole, left = gaps.loc["zero-shot", "gap"], gaps.loc["frozen", "gap"]
print(f"zero-shot gap {whole:.3f}; a new head on the same features closes {whole - left:.3f} of it")

# %% [markdown]
# ## 9. Where is the evidence? Grad-CAM, and its sanity check (optional)
#
# The last feature map $A$ has $K$ channels of 4 × 4 positions. **Grad-CAM** (Selvaraju et al., 2016,
# arXiv:1610.02391) asks which positions speak for a class. The weight $\alpha_k$ of channel $k$ is the mean, over the
# positions, of the gradient of the class's logit; the map is $\mathrm{ReLU}\left(\sum_k \alpha_k A_k\right)$, that is,
# the sum where it is positive and zero elsewhere. Written out once:

# %%
chosen = np.array([np.flatnonzero(test.y == digit)[0] for digit in (0, 2, 3, 4, 7)])
images, labels = test.x[chosen], test.y[chosen]
labels

# %%
features = backbone.model(images, training=False)  # (5, 4, 4, 256)
with tf.GradientTape() as tape:
    tape.watch(features)
    logits = head(features, training=False)
    score = tf.reduce_sum(tf.gather(logits, labels, batch_dims=1))  # the logit of each image's own class
gradient = tape.gradient(score, features)
alpha = tf.reduce_mean(gradient, axis=(1, 2), keepdims=True)  # (5, 1, 1, 256)
coarse = tf.nn.relu(tf.reduce_sum(alpha * features, axis=-1, keepdims=True))  # (5, 4, 4, 1)
by_hand = tf.image.resize(coarse, (28, 28))[..., 0].numpy()  # scaled up to the image

# %% [markdown]
# Under this head, an average and one dense layer, the gradient can be read off: each position adds to the logit its
# features times the head's kernel, divided by the 16 positions. So $\alpha_k$ must be a sixteenth of the kernel.
# `explain.grad_cam` does the whole for any stage.

# %%
kernel = head.get_layer("logits").get_weights()[0]  # (256, 10)
assert np.allclose(alpha[:, 0, 0], kernel[:, labels].T / 16, rtol=1e-4, atol=1e-7)
assert np.allclose(by_hand, explain.grad_cam(backbone, head, images, classes=labels), atol=1e-6)


# %% tags=["plumbing"]
def plot_maps(maps):
    size = (7.2, 1.15 * len(maps))
    axes = plt.subplots(len(maps), len(images), figsize=size, layout="constrained")[1]
    for row, (name, heat) in zip(axes, maps.items(), strict=True):
        for ax, image, part in zip(row, images, heat, strict=True):
            ax.imshow(image[..., 0], cmap="gray_r")
            ax.imshow(part, cmap="Oranges", alpha=0.65, vmin=0, vmax=max(part.max(), 1e-6))
            ax.set(xticks=[], yticks=[])
        row[0].set_ylabel(name, rotation=0, ha="right", va="center")


# %%
finer = explain.grad_cam(backbone, head, images, classes=labels, stage=4)
plot_maps({"stage 5 (4 × 4)": by_hand, "stage 4 (7 × 7)": finer})

# %% [markdown]
# Five digits under their maps: dark orange is where the evidence for the digit lies, each map scaled to its own
# maximum. It lies on the digit or close beside it (a position of the map has seen much more of the image than its own
# square), and it looks convincing. Earlier stages are finer, and further from the decision.
#
# Convincing is not enough. **The sanity check** (Adebayo et al., 2018, arXiv:1810.03292): replace trained weights by
# random ones. A map that stays as it was does not show what the *model* learned; it shows the image.
#
# **Predict before you run:** take the correlation, pixel by pixel, between the map of the frozen model and (a) that of
# a head from other labels, (b) of a random head on the same base, (c) of the same head on a random base, (d) the image
# itself. Rank the four.

# %%
sample = np.random.default_rng(SEED).choice(len(test), 200, replace=False)
hundred = sample[:100]


def maps_of(features, its_head, which):
    """Grad-CAM at the last stage, from feature maps that are there: by the formula that was checked above."""
    kernel = its_head.get_layer("logits").get_weights()[0]  # (256, 10)
    coarse = np.einsum("nhwk,kn->nhw", features, kernel[:, test.y[which]] / 16).clip(0)
    return tf.image.resize(coarse[..., None], (28, 28))[..., 0].numpy()


assert np.allclose(maps_of(test_features.x[chosen], head, chosen), by_hand, atol=1e-5)


# %%
def correlation(first, second):
    """Mean over the images; a blank map agrees with nothing: 0."""
    pairs = zip(first.reshape(len(first), -1), second.reshape(len(second), -1), strict=True)
    return np.mean([np.corrcoef(a, b)[0, 1] if a.std() and b.std() else 0 for a, b in pairs])


# %%
random_base = tlkit.load_backbone("resnet_printed", weights=None).model


def variants(seed, which):
    """Maps of the models that are compared, for one draw of labels and weights."""
    features = test_features.x[which]
    random_base.set_weights(tlkit.load_backbone("resnet_printed", weights=None, seed=seed).model.get_weights())
    return {
        "head from other labels": maps_of(features, probe(train_features, PER_CLASS, seed), which),
        "random head": maps_of(features, tlkit.build_head(backbone, n_classes=10, seed=seed), which),
        "random base": maps_of(np.asarray(random_base(test.x[which])), head, which),
    }


# %% tags=["nbval-ignore-output"]
reference = maps_of(test_features.x[hundred], head, hundred)
agreement = [
    {name: correlation(reference, maps) for name, maps in variants(seed, hundred).items()}
    for seed in range(1, DRAWS + 1)
]
agreement = pd.DataFrame(agreement)
agreement["the image itself"] = correlation(reference, test.x[hundred].astype(float))
pd.DataFrame({name: tlkit.mean_interval(agreement[name]) for name in agreement}, index=["correlation", "±"]).T.round(3)

# %% tags=["summary-3"]
lowest = agreement["head from other labels"].min()
assert lowest > 0.9
assert (agreement[["random head", "random base"]].max() < lowest - 0.1).all()
assert (agreement[["random head", "random base"]].mean() < lowest - 0.4).all()

# %%
plot_maps(variants(SEED + 1, chosen))

# %% [markdown]
# The check is passed: two heads that learned the same task from other labels give nearly the same maps; with a random
# head or a random base the maps are others. (In the picture: the first row repeats the maps above, the two random rows
# mostly do not.) But look at the last line of the table: a mere copy of the ink agrees with Grad-CAM *better* than the
# random models do on average. "The map lies on the digit" is true of a map that knows no model at all.

# %% tags=["summary-3"]
for name in ("random head", "random base"):
    mean, half = tlkit.mean_interval(agreement[name])
    assert mean + half < agreement["the image itself"].iloc[0]

# %% [markdown]
# ### Does the marked place matter?
#
# Paint a square of 8 × 8 pixels white where the map is strongest, and ask the model again. Baselines: cover where the
# map of a random head is strongest (mean of five), a random place, and where the most ink is.
#
# **Predict before you run:** rank the four by how much accuracy is left.


# %%
whole_model = tlkit.join(backbone.model, head)


def accuracy_after_covering(maps):
    covered = test.x[sample].copy()
    for image, heat in zip(covered, maps, strict=True):
        smooth = ndimage.uniform_filter(heat.astype(float), 8)  # the mean over the square
        row, column = np.unravel_index(smooth.argmax(), smooth.shape)
        image[max(row - 4, 0) : row + 4, max(column - 4, 0) : column + 4] = 0
    ink = covered.sum() / test.x[sample].sum()
    answered = np.argmax(whole_model(covered), axis=1)
    return (answered == test.y[sample]).mean(), 1 - ink


# %% tags=["nbval-ignore-output"]
places = {
    "Grad-CAM": maps_of(test_features.x[sample], head, sample),
    "a random place": np.random.default_rng(SEED).random((200, 28, 28)),
    "the most ink": test.x[sample][..., 0],
}
rows = {name: accuracy_after_covering(maps) for name, maps in places.items()}
heads = [tlkit.build_head(backbone, n_classes=10, seed=seed) for seed in range(1, 6)]
by_chance = [accuracy_after_covering(maps_of(test_features.x[sample], other, sample)) for other in heads]
rows["Grad-CAM, random head"] = np.mean(by_chance, axis=0)
rows["nothing covered"] = ((answers["frozen"] == test.y)[sample].mean(), 0)
cover = pd.DataFrame(rows, index=["accuracy left", "ink covered"]).T.sort_values("accuracy left")
cover.round(3)

# %% tags=["summary-3"]
left = cover["accuracy left"]
mean, half = tlkit.mean_interval([accuracy for accuracy, _ in by_chance])
assert left["Grad-CAM"] < min(mean - half, mean - 0.1)
assert left["Grad-CAM"] < left["a random place"] - 0.2
assert left["the most ink"] < left["Grad-CAM"] + 0.05  # the plain baseline does as much harm

# %% [markdown]
# The marked place matters: covering it costs far more than covering a random place, or what a random head marks. Yet a
# measure of ink, which knows no model, finds places that matter at least as much (and covers more ink). On digits this
# small Grad-CAM tells you little that the ink does not. Read heat maps as a hint where to look next, beside such a
# baseline, and never as proof.

# %% [markdown]
# ## 10. The same in plain Keras
#
# Accuracy, confusion matrix and calibration need Keras and scikit-learn alone. `evaluate` gives the accuracy; the rest
# is computed from what `predict` gives. Here each reads every fourth test image.

# %%
plain = keras.Model(backbone.model.input, head(backbone.model.output))
plain.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
fourth, frozen_answers = test[::4], answers["frozen"][::4]
score = plain.evaluate(fourth.x, fourth.y, batch_size=100, verbose=0)[1]
logits = plain.predict(fourth.x, batch_size=100, verbose=0)
matrix = confusion_matrix(fourth.y, logits.argmax(axis=1))
assert np.isclose(score, np.mean(frozen_answers == fourth.y), atol=1e-6)
assert np.isclose(score, matrix.trace() / len(fourth), atol=1e-6)
assert (matrix == confusion_matrix(fourth.y, frozen_answers)).all()

# %% [markdown]
# `calibration_curve` leaves empty bins out and does not say how many images each bin holds, so they are counted.

# %% tags=["nbval-ignore-output"]
p = keras.ops.softmax(logits).numpy()
confidence, correct = p.max(axis=1), p.argmax(axis=1) == fourth.y
share_right, mean_confidence = calibration_curve(correct, confidence, n_bins=15)
bins = np.searchsorted(np.linspace(0, 1, 16)[1:-1], confidence)
sizes = np.unique(bins, return_counts=True)[1]
error = np.average(abs(share_right - mean_confidence), weights=sizes)
table_before = evaluation.calibration(fourth.y, certain["frozen"][::4])
assert np.isclose(error, evaluation.calibration_error(table_before), atol=1e-5)
{"accuracy": round(score, 4), "calibration error": round(float(error), 4)}

# %% [markdown]
# Your guesses beside the results, if you recorded any:

# %%
Predict.report()

# %% [markdown]
# ## Summary
#
# - **One number hides.** The confusion matrix shows which errors; a rare class makes accuracy praise a model that does
#   nothing; a precision holds for one share of the class; a gap means nothing without both accuracies.
# - **Every number has a width.** A bootstrap over test images gives it for one model, a paired test for two models, and
#   several draws for a method. Probabilities need a calibration check, with held-out labels.
# - **The split decides what the number means.** Groups (fonts, patients, cameras) must not stand on both sides. And an
#   explanation needs its own baseline: random weights, and the image itself.

# %% [markdown]
# ## Exercises
#
# Replace each `...` by your answer and run the cell. It says whether the answer is right, and if not, what is missing.
# Hints and solutions are folded.

# %% [markdown]
# **1. Recall at a threshold.** A detector of eights gives each image a score, and says yes where the score is
# `threshold` or more. Write `at_threshold(scores, is_eight, threshold)`, which returns two numbers: recall, then
# precision. `scores` is an array of numbers, `is_eight` an array of `True` and `False`; at least one score reaches the
# threshold, and at least one image is an eight.
#
# <details><summary>Hint</summary>
#
# Both have the same numerator, the hits: eights that were called so. What do you divide by for each of them?
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def at_threshold(scores, is_eight, threshold):
#     says_yes = scores >= threshold
#     hits = (says_yes & is_eight).sum()
#     return hits / is_eight.sum(), hits / says_yes.sum()
# ```
#
# </details>

# %%
from tlkit.exercises import check


def at_threshold(scores, is_eight, threshold): ...  # your code


check("07.1", at_threshold)

# %% [markdown]
# **2. The precision elsewhere.** `matrix` holds the counts of a detector's test: in the rows what an image is (no, yes),
# in the columns what the detector says (no, yes). Where the detector will be used, yes has the share `share` among the
# images. Write `precision_elsewhere(matrix, share)`, which returns its precision there.
#
# <details><summary>Hint</summary>
#
# Recall $r$ and the share $f$ of false alarms among the no's belong to the model, and do not change. Take them from the
# rows, and put them into the formula of section 3.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# def precision_elsewhere(matrix, share):
#     (right_no, false_alarms), (misses, hits) = matrix
#     r = hits / (hits + misses)
#     f = false_alarms / (false_alarms + right_no)
#     return share * r / (share * r + (1 - share) * f)
# ```
#
# </details>

# %%
from tlkit.exercises import check


def precision_elsewhere(matrix, share): ...  # your code


check("07.2", precision_elsewhere)

# %% [markdown]
# **3. Mend an interval.** This program should give the 95 % interval of the difference between two models that
# answered the same images. It runs, and its intervals are far too wide. Mend it. (`first_right` says for each image
# whether the first model reads it.)
#
# ```python
# import numpy as np
#
# def interval_of_difference(first_right, second_right, rng):
#     n = len(first_right)
#     first = rng.choice(first_right, size=(1000, n)).mean(axis=1)
#     second = rng.choice(second_right, size=(1000, n)).mean(axis=1)
#     return np.quantile(first - second, [0.025, 0.975])
# ```
#
# <details><summary>Hint</summary>
#
# Which images does the first model meet in a drawn test set, and which the second?
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# import numpy as np
#
# def interval_of_difference(first_right, second_right, rng):
#     n = len(first_right)
#     drawn = rng.integers(n, size=(1000, n))  # the same images for both
#     first, second = first_right[drawn].mean(axis=1), second_right[drawn].mean(axis=1)
#     return np.quantile(first - second, [0.025, 0.975])
# ```
#
# </details>

# %%
from tlkit.exercises import check


def interval_of_difference(first_right, second_right, rng): ...  # your code


check("07.3", interval_of_difference)

# %% [markdown]
# **4. Other letters** (without a check). Repeat section 7 with the lower-case letters: set
# `printed = tlkit.load_domain("printed").restrict_to([*string.ascii_lowercase])` (after `import string`), and
# `counts == 156` in place of 60, since six faces are then 156 glyphs. Predict first: with 26 classes that look more
# alike, is the inflation larger or smaller? Which assert fails, if any, and what does that tell you about carrying
# "the" size of leakage from one data set to the next?
