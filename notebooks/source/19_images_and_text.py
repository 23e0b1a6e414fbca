# %% [markdown]
# # 19 · Images and text: one space for both
#
# **Question: two networks learned which name belongs to which picture. What do they find that they never saw, and where does
# it end?**
#
# Reading time: about 28 minutes; running it takes about half a minute. You need: notebooks 03 (frozen features) and 11 (a
# frozen encoder of text). It runs offline, and takes up the intervals of notebook 07 and the contrastive loss of notebook 14.
#
# In notebook 00 you wrote `base.trainable = False`, and a head learned ten fixed classes. Here the frozen network is one of two
# towers, and in place of a head there is language: a class is whatever somebody types.
#
# | word | meaning here |
# |---|---|
# | caption | the text that belongs to an image: the name of an emoji, in English or Chinese |
# | tower | a network that turns an image, or a text, into a vector; both towers' vectors have one length |
# | retrieval | a text is given, and all images are put in order by their cosine with it, or the other way round |
# | top 5 | the share of questions whose right answer is among the first five |
# | gallery | what is searched: here 200 pictures, so that by chance the top 5 is one in 40 |
# | third vendor | the one of three whose drawings no training has seen |
#
# The idea is CLIP's (Radford et al., 2021, arXiv:2103.00020): 400 million images with captions from the web, and two large
# towers trained from scratch. Ours have 1,580 emoji, and a dense layer each on frozen features. So the image tower is
# *locked*, as in LiT (Zhai et al., 2022, arXiv:2111.07991). What follows is the mechanism, at a size that a laptop trains in
# seconds. It says nothing of CLIP's quality.

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

import tlkit
from tlkit.text import NotFetchedError, load_text_backbone, text_split
from tlkit.widgets import CaptionSearch, Predict

# %%
DRAWS, DRAW = 10, 0  # in the stored tables, and the one that is repeated here
GALLERY = 200  # pictures that are searched
CHOOSING = 100  # the draw whose families chose the settings; no other draw tests them
TEMPERATURE, RATE, EPOCHS, DROPOUT = 0.07, 3e-3, 20, 0.2  # the last two were chosen on families that no draw tests
LANGUAGES = ("English", "Chinese")

# %% [markdown]
# ## 1. One concept, three pictures, two names
#
# Three vendors drew the same emoji: Noto (Google), Twemoji (Twitter) and Fluent (Microsoft). Their licences differ, and stand
# beside the file. Here are six of them.

# %% tags=["shows-bundled"]
emoji = tlkit.load_emoji()
six = [emoji.english.index(name) for name in ("red apple", "cat face", "umbrella", "rocket", "violin", "cactus")]
figure, axes = plt.subplots(3, 6, figsize=(5.0, 2.6), layout="constrained")
for ax, (vendor, place) in zip(axes.flat, [(vendor, place) for vendor in range(3) for place in six], strict=True):
    ax.imshow(emoji.pictures[vendor, place])
    ax.set(xticks=[], yticks=[])
for ax, place in zip(axes[0], six, strict=True):
    ax.set_title(emoji.english[place], fontsize=9)
for ax, vendor in zip(axes[:, 0], emoji.vendors, strict=True):
    ax.set_ylabel(vendor.removesuffix("-emoji-flat"), fontsize=9)

# %%
pd.DataFrame({"emoji": emoji.symbols, "English": emoji.english, "Chinese": emoji.chinese}).iloc[six]

# %% [markdown]
# What may be on both sides of a split? Not the same emoji, and not its near twins either: a man, a woman and a person who
# run are one **family**. `emoji_folds` keeps families together. It cannot know all twins: the hearts of nine colors
# are nine families, and so are the hours of the clock.
#
# A draw keeps a fifth of the families for the test, and one of the three vendors.


# %%
def draw_places(draw):
    """Emoji to learn from, 200 unseen ones, 200 seen ones, the two known vendors and the third."""
    choosing = tlkit.emoji_folds(emoji, seed=CHOOSING)[1]
    kept = np.setdiff1d(tlkit.emoji_folds(emoji, seed=draw)[1], choosing)
    learned = np.setdiff1d(np.arange(len(emoji)), kept)
    rng = np.random.default_rng(draw)
    unseen, seen = (np.sort(rng.permutation(places)[:GALLERY]) for places in (kept, learned))
    return learned, unseen, seen, [vendor for vendor in range(3) if vendor != draw % 3], draw % 3


# %%
learned, unseen, seen, known, third = draw_places(0)
assert not set(emoji.family[learned]) & set(emoji.family[unseen])
print(f"{len(learned)} emoji of {emoji.vendors[known[0]]} and {emoji.vendors[known[1]]} to learn from")

# %% [markdown]
# ## 2. What each tower sees
#
# **Pictures**: the bundled EfficientNet-Lite0, frozen, at 64 pixels. It knows ImageNet's photographs, which are far away from
# drawings. Its features are computed once.

# %%
backbone = tlkit.load_backbone("efficientnet_lite0", image_size=64, input_shape=(40, 40, 3))
tlkit.freeze_to(backbone, backbone.n_stages)
flat = tlkit.Split(emoji.pictures.reshape(-1, 40, 40, 3), np.zeros(3 * len(emoji), int))
pooled = tlkit.pool_features(tlkit.cache_features(backbone.model, flat, cache_dir="memory"))
images = pooled.reshape(3, len(emoji), -1)
images.shape

# %% [markdown]
# **Names**: counts of their pieces of one to three letters. This needs no list of words and no language: a Chinese character
# is a letter like any other. It also knows nothing: no meaning, and no order of words.

# %% tags=["summary-3"]
texts = np.stack([tlkit.letter_counts(emoji.english), tlkit.letter_counts(emoji.chinese)])
words = ["red apple", "apple, red", "green apple", "pear", "红苹果"]
alike = tlkit.letter_counts(words) @ tlkit.letter_counts(words).T
dog_first, man_first = tlkit.letter_counts(["dog bites man", "man bites dog"])
assert np.array_equal(dog_first, man_first)
pd.DataFrame(alike, words, words).round(2)

# %% [markdown]
# ## 3. The loss, by hand
#
# A batch has n pictures and their n names. Each side asks the other: which of you is mine? With cosines $c_{ij}$ between
# picture $i$ and name $j$ and the temperature $\tau$,
#
# $$L = -\frac{1}{2n} \sum_{i=1}^{n} \Bigl( \log \frac{e^{c_{ii}/\tau}}{\sum_j e^{c_{ij}/\tau}}
# + \log \frac{e^{c_{ii}/\tau}}{\sum_j e^{c_{ji}/\tau}} \Bigr)$$
#
# SimCLR's loss (notebook 14) has one thing more: there a view is compared with views of its own side, too. In tlkit it is one
# formula, and `across=True` leaves the own side out.

# %% tags=["summary-1"]
rng = np.random.default_rng(0)
pictures, names = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True) for vectors in rng.normal(size=(2, 6, 3)))
logits = pictures @ names.T / TEMPERATURE  # a row per picture, a column per name
right = np.diag(logits)
by_row = right - np.log(np.exp(logits).sum(axis=1))
by_column = right - np.log(np.exp(logits).sum(axis=0))
by_hand = -(by_row.mean() + by_column.mean()) / 2
assert np.isclose(by_hand, tlkit.nt_xent(pictures, names, temperature=TEMPERATURE, across=True), rtol=1e-4)
assert by_hand < float(tlkit.nt_xent(pictures, names, temperature=TEMPERATURE))  # SimCLR's asks more
round(float(by_hand), 3)

# %% [markdown]
# ## 4. Train
#
# In each step each concept of the batch shows one of its two known pictures, and one of its two names.

# %% tags=["nbval-ignore-output"]
keras.utils.set_random_seed(DRAW)
own = images[known][:, learned]
image_tower = tlkit.build_tower(own, dropout=DROPOUT, standardise=True)
text_tower = tlkit.build_tower(texts[:, learned], dropout=DROPOUT)
options = {"epochs": EPOCHS, "learning_rate": RATE, "temperature": TEMPERATURE, "progress": False}
history = tlkit.pretrain_captions(image_tower, text_tower, own, texts[:, learned], **options)
assert history["loss"].iloc[-1] < history["loss"].iloc[0] / 2
history.iloc[[0, 4, 9, 19]].round(3)

# %% [markdown]
# `accuracy` is the share of pictures and names that find their partner among the 256 of a batch. These are emoji that are
# learned from.
#
# **Predict before you run:** 200 emoji of the third vendor that were never seen, under any name, in any drawing. A name is
# typed. For which share is the right picture among the first five? By chance it is one in 40.

# %%
guess_unseen = Predict("Unseen emoji, third vendor, English names: the top 5?", between=(0, 1))
guess_unseen


# %%
def top(places, vendor, language, k):
    names = texts[LANGUAGES.index(language), places]
    return tlkit.recall_at(tlkit.cosines(image_tower, text_tower, images[vendor, places], names), k)


table = tlkit.stored_table("captions")
print(*(f"# {name}: {text}" for name, text in table.attrs.items()), sep="\n")

# %% tags=["nbval-ignore-output"]
live, stored = (
    {},
    table.query("draw == 0 and method == 'ImageNet features'").set_index(["concepts", "vendor", "language"]),
)
for concepts, places in (("seen", seen), ("unseen", unseen)):
    for vendor, which in (("known", known), ("third", [third])):
        for language in LANGUAGES:
            live[concepts, vendor, language] = np.mean([top(places, each, language, 5) for each in which])
beside = pd.DataFrame({"live": live, "stored": {key: stored.loc[key, "text_5"] for key in live}})
assert np.allclose(beside["live"], beside["stored"], atol=0.06)
beside.round(3)

# %% [markdown]
# These are the numbers of one draw, beside its rows in the stored table. What do the answers look like? Each row begins with
# a name that was never seen: three whose picture was found among the first five, and three whose picture was not. Within
# the two kinds they are drawn at random. The frame shows the right picture.

# %% tags=["nbval-ignore-output"]
scores = tlkit.cosines(image_tower, text_tower, images[third, unseen], texts[0, unseen])
ahead_of = (scores > np.diag(scores)[:, None]).sum(axis=1)  # how many pictures come before the right one
order = np.random.default_rng(0).permutation(GALLERY)
asked = [*order[ahead_of[order] < 5][:3], *order[ahead_of[order] >= 5][:3]]
pd.Series(ahead_of[asked] + 1, [emoji.english[place] for place in unseen[asked]], name="rank of the right picture")

# %% tags=["shows-bundled", "nbval-ignore-output"]
figure, axes = plt.subplots(6, 6, figsize=(4.8, 4.6), layout="constrained")
for row, place in zip(axes, asked, strict=True):
    words = emoji.english[unseen[place]].replace(" ", "\n")
    row[0].text(0.5, 0.5, words, ha="center", va="center", fontsize=7)
    for ax, answer in zip(row[1:], np.argsort(-scores[place])[:5], strict=True):
        ax.imshow(emoji.pictures[third, unseen[answer]])
        wrong = bool(answer != place)
        sns.despine(ax=ax, left=wrong, bottom=wrong, right=wrong, top=wrong)
    sns.despine(ax=row[0], left=True, bottom=True)
for ax in axes.flat:
    ax.set(xticks=[], yticks=[])

# %% [markdown]
# In the run that is stored here, *full moon* finds moons, since *moon* stood in names that were learned. *Softball* finds round
# things: so did *ball*. Nothing in *screwdriver* was ever a word, and it finds anything. Another machine may show other rows.

# %% [markdown]
# ## 5. Ten draws, and what else could do it
#
# The baselines have other image towers: a **random network** of the same form, a **color histogram** of 64 numbers, and
# **pixels**, means of four by four. Their settings were chosen as ours were. **Shuffled captions** learn from the same
# pictures with the names dealt out anew: whatever they find is not from captions.


# %%
def rises(values):
    mean, half = tlkit.mean_interval(values)
    return mean - half > 0


def per_draw(column, concepts, vendor, language="English"):
    """A column per method, a row per draw."""
    rows = table.query("concepts == @concepts and vendor == @vendor and language == @language")
    return rows.pivot_table(index="draw", columns="method", values=column)


# %%
METHODS = ["ImageNet features", "random network", "color histogram", "pixels", "shuffled captions"]
CELLS = [("seen", "known"), ("seen", "third"), ("unseen", "known"), ("unseen", "third")]


def in_words(columns):
    """Mean of ten draws and its interval, of dictionaries in a dictionary."""
    write = "{:.3f} ± {:.3f}".format
    means = {name: {m: tlkit.mean_interval(v) for m, v in of.items()} for name, of in columns.items()}
    return pd.DataFrame({name: {m: write(*both) for m, both in of.items()} for name, of in means.items()})


# %%
found = {cell: per_draw("text_5", *cell) for cell in CELLS}
assert all(len(each) == DRAWS for each in found.values())
in_words({", ".join(cell): each[METHODS] for cell, each in found.items()})

# %%
guess_unseen.compare(found["unseen", "third"]["ImageNet features"].mean())

# %% [markdown]
# Top 5 of English names that look for pictures: mean of ten draws and its interval. Each draw has its own unseen emoji, and
# the third vendor is another one from draw to draw. In pairs, how far ahead of each baseline:

# %% tags=["summary-2"]
ours = {cell: each["ImageNet features"] for cell, each in found.items()}
ahead = {cell: {m: ours[cell] - found[cell][m] for m in METHODS[1:]} for cell in CELLS}
assert all(rises(each) for of_cell in ahead.values() for each in of_cell.values())
assert rises(ours["unseen", "third"] - 5 / GALLERY)
assert rises(ours["unseen", "known"] - ours["unseen", "third"])
assert rises(ours["seen", "third"] - ours["unseen", "third"])
in_words({", ".join(cell): of_cell for cell, of_cell in ahead.items()})

# %% [markdown]
# Read the columns from left to right:
#
# - **Seen, known** is the training set. Nearly everything is found, and that says little: the towers were asked for just this.
# - **Seen, third**: the same concepts in a hand that was never seen. A third of the answers is lost. The color
#   histogram and the random network lose most. Each vendor has its own colors.
# - **Unseen**: other concepts. Most is lost, and yet names find far more than by chance.
# - **Unseen, third**: both at once.
#
# **ImageNet features help here**: they are ahead of every baseline in every column, and of plain pixels by about eight points
# on unseen emoji of the third vendor. Photographs are far from drawings, and yet a linear layer finds in their features what
# it does not find in those of a random network.
#
# Top 1 and top 5, with names that look for pictures (*text*) and pictures that look for names (*image*):

# %% tags=["summary-2"]
MEASURES = {"text_1": 1, "text_5": 5, "image_1": 1, "image_5": 5}
ways = {
    f"{concepts}, third, {language}": {
        measure: per_draw(measure, concepts, "third", language)["ImageNet features"] for measure in MEASURES
    }
    for concepts in ("seen", "unseen")
    for language in LANGUAGES
}
assert all(rises(each[m] - k / GALLERY) for each in ways.values() for m, k in MEASURES.items())
in_words(ways | {"chance": {m: np.full(DRAWS, k / GALLERY) for m, k in MEASURES.items()}})

# %% [markdown]
# Both ways are about as hard. And what is one in five worth? A search engine with it would be useless. As a sign that the two
# towers share more than a list of pairs it is clear: by chance it is one in 40.

# %% [markdown]
# ## 6. Which names does it find?
#
# An unseen emoji may have a name with a word that was seen, such as *green heart*, or a name without any word that was
# learned from, such as *kangaroo*. Split the unseen names by that.
#
# **Predict before you run:** for names without any known word, the known vendors' pictures: the top 5?

# %%
guess_new = Predict("Unseen emoji, known vendors, names without a known word: the top 5?", between=(0, 1))
guess_new

# %% tags=["summary-3"]
parts = {name: per_draw(f"{name}_5", "unseen", "known")["ImageNet features"] for name in ("known_words", "new_words")}
counts = per_draw("new_words", "unseen", "known")["ImageNet features"]
assert rises(parts["known_words"] - parts["new_words"] - 0.2)
guess_new.compare(parts["new_words"].mean())
pd.DataFrame({name: tlkit.mean_interval(each) for name, each in parts.items()}, index=["top 5", "±"]).round(3)

# %% [markdown]
# **It finds words, not things.** Of the names with a known word about four in ten are found, of the others seven in a hundred. A tower of letters cannot know that a kangaroo is an animal, whatever the picture tower sees. What is left above
# chance may come from pieces of words, such as endings.
#
# ### A tower that has read
#
# CLIP's text tower read millions of captions. A frozen encoder that has read English is MiniLM (notebook 11; `tlkit fetch
# text`). Take it in place of the letters, for English names, beside letters that learned from English names only. If you
# fetched it, the next cell trains draw 0; the table has ten.

# %% tags=["nbval-ignore-output"]
try:
    encoder = load_text_backbone("minilm")
    named = text_split(emoji.english, np.zeros(len(emoji), int))
    read = tlkit.pool_features(tlkit.cache_features(encoder.model, named, cache_dir="memory"))[None]
    locked = [tlkit.build_tower(x, dropout=DROPOUT, standardise=True) for x in (own, read[:, learned])]
    tlkit.pretrain_captions(*locked, own, read[:, learned], **options)
    by_reading = tlkit.recall_at(tlkit.cosines(*locked, images[third, unseen], read[0, unseen]), 5)
    print(f"MiniLM, draw 0, unseen, third vendor, top 5: {by_reading:.3f}")
except NotFetchedError:
    print("MiniLM is missing (tlkit fetch text, 94 MB): the stored table takes its place.")

# %% tags=["summary-3"]
READERS = {"letters": "English captions only", "MiniLM": "English read by MiniLM"}
of_words = {}
for vendor in ("known", "third"):
    for part in ("known_words_5", "new_words_5"):
        each = per_draw(part, "unseen", vendor)
        of_words[f"{vendor}, {part[:-2]}"] = {name: each[method] for name, method in READERS.items()}
better = {name: rises(each["MiniLM"] - each["letters"]) for name, each in of_words.items()}
assert better["known, new_words"]
assert better["third, new_words"]
in_words(of_words).T.assign(better=better)

# %% [markdown]
# `better` says whether MiniLM's gain is above 0 by its interval. **Reading helps, and most where the word is new**: of names
# without a known word it finds two to three times as many. The picture tower and the loss are the same; only the text was read by a network that has met kangaroos before. This is the transfer that makes CLIP
# and LiT work, on a small scale: what the text tower learned elsewhere.
#
# MiniLM and the letters shared the settings that were chosen for the letters.
#
# ### Two languages in one tower
#
# The text tower learned English and Chinese names alike; no dictionary joins them but the pictures. The stored table has towers
# that learned English names only, too.

# %%
languages = {}
for language in LANGUAGES:
    each = per_draw("text_5", "unseen", "third", language)
    languages[language] = {"both learned": each["ImageNet features"], "English only": each["English captions only"]}
assert rises(languages["Chinese"]["both learned"] - languages["Chinese"]["English only"])
assert rises(languages["English"]["both learned"] - languages["Chinese"]["both learned"])
second = languages["English"]["both learned"] - languages["English"]["English only"]
assert not rises(second)
assert not rises(-second)
print("English names, both learned minus English only: {:+.3f} ± {:.3f}".format(*tlkit.mean_interval(second)))
in_words(languages)

# %% [markdown]
# The pictures join the languages, and nothing else does: without Chinese captions a Chinese name finds nothing. With both learned,
# English does better than Chinese. On these pictures no cost of learning Chinese is shown for English: the interval of the
# difference holds 0.

# %% [markdown]
# ## 7. Classes by typing them
#
# A list of words is a classifier: each picture gets the word whose vector is nearest. No label was used. Take the unseen
# emoji whose English name holds exactly one of eight words, such as *face* or *moon*; these words stood in names that were
# learned. And take all unseen emoji in Unicode's nine groups, such as *Food & Drink*, for which we type `food`, `animal` and so
# on. In English such words are hardly ever part of a name.

# %% tags=["nbval-ignore-output"]
prompts = (
    ["face", "button", "heart", "arrow", "moon", "clock", "cat", "flag"],
    ["脸", "按钮", "心", "箭头", "月亮", "钟", "猫", "旗"],
)
examples = [
    emoji.english.index(name) for name in ("full moon", "red heart", "cat face", "nine o’clock", "grinning face")
]
named_by = {}
for typed in prompts:
    nearest = tlkit.cosines(image_tower, text_tower, images[third, examples], tlkit.letter_counts(typed)).argmax(axis=0)
    named_by[LANGUAGES[prompts.index(typed)]] = [typed[k] for k in nearest]
pd.DataFrame(named_by, [f"{emoji.english[i]}{' (unseen)' if i in unseen else ''}" for i in examples])

# %%
typed = tlkit.stored_table("captions_typed_classes")
columns = ["classes", "language", "method"]
share = typed.pivot_table(index="draw", columns=columns, values="balanced_accuracy")
guesses = {"words": 1 / 8, "groups": 1 / 9}
assert len(share) == DRAWS
cells = [(kind, language) for kind in guesses for language in LANGUAGES]
by_typing = in_words({f"{kind}, {language}": share[kind, language] for kind, language in cells}).T
by_typing["guess"] = [round(guesses[kind], 3) for kind, _ in cells]
by_typing

# %% tags=["summary-3"]
words_over = share["words", "English", "ImageNet features"] - share["groups", "English", "ImageNet features"]
assert rises(share["words", "English", "ImageNet features"] - guesses["words"])
assert rises(words_over)
"points that words are ahead of groups, English: {:+.1f} ± {:.1f}".format(*tlkit.mean_interval(100 * words_over))

# %% [markdown]
# With words that were learned, typing names most of the unseen pictures' classes in English. With the groups' words it is
# above a guess and poor: `food` stands in no name of a dish. **Zero-shot means without a label for the task; it does not mean
# without having met the word.**

# %% [markdown]
# ## 8. Type, and see
#
# Everything above is in this field: type, press Enter, and see the pictures of one known vendor that fit best. Try `红心`, and
# then what fails: `puppy`, `not a cat`, `a dog without a tail`.


# %%
def score(text):
    return tlkit.cosines(image_tower, text_tower, images[known[0]], tlkit.letter_counts([text]))[0]


marked = [name if i in learned else f"{name} (unseen)" for i, name in enumerate(emoji.english)]
search = CaptionSearch(emoji.pictures[known[0]], marked, score, text="heart")
search

# %% tags=["nbval-ignore-output"]
tries = ("heart", "红心", "dog", "puppy", "cat face", "not a cat face", "dog bites man", "man bites dog", "xyzzy")
answers = {text: [f"{name} {cosine:.2f}" for name, cosine in search.find(text)[:3]] for text in tries}
search.find("heart")
pd.DataFrame(answers, ["first", "second", "third"]).T

# %% tags=["summary-3"]
cats = [i for i, name in enumerate(emoji.english) if "cat" in name.split()]
negated, others = score("not a cat face")[cats], np.delete(score("not a cat face"), cats)
assert negated.mean() > others.mean() + 0.1
assert np.allclose(score("dog bites man"), score("man bites dog"), atol=1e-6)
assert np.max(score("xyzzy")) > 0.2
round(float(negated.mean()), 2), round(float(others.mean()), 2)

# %% [markdown]
# What it cannot do, in one list:
#
# - **no**: `not a cat face` is nearest to cats. The letters of *cat* are in it, and nothing knows what *not* does;
# - **order**: `dog bites man` and `man bites dog` are the same vector, so they can never differ;
# - **new words**: `puppy` is no dog here;
# - **silence**: `xyzzy` has a best picture, too. A cosine has no threshold below which nothing was meant.
#
# Large models know more words. The first two trouble them, too: in tests of word order such models, CLIP among them, were
# found to behave much like bags of words (Thrush et al., 2022, arXiv:2204.03162; Yuksekgonul et al., 2023,
# arXiv:2210.01936).

# %% [markdown]
# ## 9. The same in plain Keras
#
# Two inputs, a dense layer each, and the matrix of their cosines as the output. The loss reads the right answers off the
# diagonal. Each concept has two rows here: one vendor's picture with the English name, the other's with the Chinese.

# %%
x = np.concatenate([images[known[0], learned], images[known[1], learned]])
t = np.concatenate([texts[0, learned], texts[1, learned]])
image_in, text_in = keras.Input((x.shape[1],)), keras.Input((t.shape[1],))
standard = keras.layers.Normalization(mean=x.mean(axis=0), variance=x.var(axis=0))
of_image = keras.layers.Dense(128)(keras.layers.Dropout(DROPOUT)(standard(image_in)))
of_text = keras.layers.Dense(128)(keras.layers.Dropout(DROPOUT)(text_in))
of_image, of_text = (keras.layers.UnitNormalization()(vectors) for vectors in (of_image, of_text))
model = keras.Model([image_in, text_in], keras.ops.matmul(of_image, keras.ops.transpose(of_text)) / TEMPERATURE)
model.output_shape


# %%
def both_ways(_, logits):
    own = keras.ops.arange(keras.ops.shape(logits)[0])
    loss = keras.losses.sparse_categorical_crossentropy
    rows = loss(own, logits, from_logits=True)
    return (rows + loss(own, keras.ops.transpose(logits), from_logits=True)) / 2


model.compile(optimizer=keras.optimizers.Adam(RATE), loss=both_ways)
model.optimizer.build(model.trainable_variables)
model.count_params()

# %% tags=["nbval-ignore-output"]
shuffled = np.random.default_rng(0).permutation(len(x))
model.fit([x[shuffled], t[shuffled]], np.zeros((len(x), 1)), batch_size=256, epochs=EPOCHS // 4, verbose=0)
cells = model.predict_on_batch([images[third, unseen], texts[0, unseen]]).T
keras_says = np.mean([(row >= row[i]).sum() <= 5 for i, row in enumerate(cells)])
round(float(keras_says), 3)

# %%
assert abs(keras_says - live["unseen", "third", "English"]) < 0.12
assert keras_says > 2 * 5 / GALLERY

# %% [markdown]
# It is about as good as tlkit's, and not the same: here the same concept may stand in a batch twice, and then its second row
# counts as wrong.
#
# Your guesses beside the results, if you recorded any:

# %%
Predict.report()

# %% [markdown]
# ## Summary
#
# - CLIP's loss asks each picture for its name among the names of the batch, and each name for its picture. Written by hand it
#   equals tlkit's; SimCLR's asks among its own side, too, and is higher.
# - Over ten draws towers on frozen ImageNet features are ahead of a random network, a color histogram and pixels, on seen and
#   unseen emoji, of known vendors and the third. On unseen ones of the third vendor all four measures are above chance;
#   shuffled captions are behind.
# - What it finds are words that it learned: for names without one little is found, and there an encoder that has read English
#   is ahead. It knows neither order nor *not*, and typed words that stand in no name make poor classes.

# %% [markdown]
# ## Exercises
#
# Replace each `...` by your answer and run the cell. It says whether the answer is right, and if not, what is missing. Hints
# and solutions are folded.

# %% [markdown]
# **1. Both ways.** This program lets pictures choose among names, and forgets the other way. Mend it. `pictures` and `names`
# have a row per pair, and each row has length 1.
#
# ```python
# def loss(pictures, names, temperature):
#     logits = pictures @ names.T / temperature
#     return -(np.diag(logits) - np.log(np.exp(logits).sum(axis=1))).mean()
# ```
#
# <details><summary>Hint</summary>
#
# A column of `logits` belongs to a name. The loss is the mean of both ways.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# import numpy as np
#
# def loss(pictures, names, temperature):
#     logits = pictures @ names.T / temperature
#     ways = [np.diag(logits) - np.log(np.exp(logits).sum(axis=axis)) for axis in (0, 1)]
#     return -np.mean(ways)
# ```
#
# </details>

# %%
from tlkit.exercises import check


def loss(pictures, names, temperature): ...  # your code


check("19.1", loss)

# %% [markdown]
# **2. Among the first k.** `scores[i, j]` says how well picture `j` fits text `i`, and picture `i` is the right one. Write
# `found(scores, k)`: the share of texts whose right picture is among the `k` with the highest scores.
#
# <details><summary>Hint</summary>
#
# How many pictures come before the right one?
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# import numpy as np
#
# def found(scores, k):
#     before = (scores > np.diag(scores)[:, None]).sum(axis=1)
#     return (before < k).mean()
# ```
#
# </details>

# %%
from tlkit.exercises import check


def found(scores, k): ...  # your code


check("19.2", found)

# %% [markdown]
# **3. Classes by their names.** Write `classes(pictures, names)`: for each picture the number of the name whose vector has the
# largest cosine with the picture's. The vectors come from two towers and have any length.
#
# <details><summary>Hint</summary>
#
# The length of a picture's vector changes nothing here. That of a name's does.
#
# </details>
# <details><summary>Solution</summary>
#
# ```python
# import numpy as np
#
# def classes(pictures, names):
#     directions = names / np.linalg.norm(names, axis=1, keepdims=True)
#     return (pictures @ directions.T).argmax(axis=1)
# ```
#
# </details>

# %%
from tlkit.exercises import check


def classes(pictures, names): ...  # your code


check("19.3", classes)

# %% [markdown]
# **4. On your own** (without a check). Take the smileys out of what is learned from. Predict first: which of them does the
# name *grinning cat* find?
