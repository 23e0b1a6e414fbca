# %% [markdown]
# # 00 · Start here
#
# **Question: does everything work on this machine, and what is in this course?**
#
# Takes about a minute on two cores, without a network. You need Python, and one course in machine learning.
#
# Run a cell with Shift+Enter. The cells marked **Predict before you run** ask you for a guess: write it down. A guess
# that turns out wrong is where you learn most.

# %% [markdown]
# ## 1. The map
#
# ```mermaid
# flowchart LR
#     N00["00 start here"] --> N01["01 gradient of the cross-entropy"]
#     N01 --> N02["02 source and target domains"]
#     N02 --> N03["03 base and head"]
#     N03 --> N04["04 freezing"]
#     N04 --> N05["05 fine-tuning and forgetting"]
#     N05 --> N06["06 augmentation"]
#     N03 --> N07["07 evaluation"]
#     N07 --> N08["08 negative transfer, choosing a backbone"]
#     N05 --> N09["09 an article under review"]
#     N08 --> N09
#     N04 --> N13["13 museum of traps"]
# ```
#
# (A diagram: 00 leads through 01, 02, 03, 04 and 05 to 06; 03 also leads to 07 and 08; 09 builds on 05 and 08, and 13
# on 04. Where it shows as text, read the arrows.)
#
# | if you want to know | open |
# |---|---|
# | why a network learns at all | [01_cross_entropy_gradient](01_cross_entropy_gradient.ipynb) |
# | what a pretrained network is worth | [03_base_and_head](03_base_and_head.ipynb) |
# | why your fine-tuning went wrong | [13_trap_museum](13_trap_museum.ipynb) |
# | which pretrained network to take | [08_negative_transfer_and_choosing](08_negative_transfer_and_choosing.ipynb) |

# %% [markdown]
# ## 2. Is everything there?
#
# The data and the pretrained weights are part of the package. Each file is compared with the hash it was shipped with.

# %%
import tlkit
from tlkit import plots
from tlkit.assets import asset_status

# %%
SEED = 0

# %%
status = asset_status()
assert set(status.values()) == {"whole"}
f"{len(status)} bundled files, all whole"

# %% [markdown]
# Which device computes? A CPU is enough for all of this course; a GPU is used when TensorFlow finds one.

# %% tags=["nbval-ignore-output"]
import tensorflow as tf

[f"{device.device_type}: {device.name}" for device in tf.config.list_logical_devices()]

# %% [markdown]
# ## 3. A taste of transfer, in two cells
#
# Below: handwritten digits, as many as you would label in ten minutes. A network that has learned to read **print** is
# the source of all knowledge here.

# %%
pair = tlkit.load_pair(source="printed", target="mnist")
few = pair.target.train.take(10, seed=SEED)  # ten of each digit
ax = plots.plot_examples(few, seed=SEED)
# %% [markdown]
# **Predict before you run:** a classifier learns from these 100 images and is then tried on 2,000 others. How many of
# them does it read from raw pixels? How many from what the network, trained on print and frozen, makes of the pixels?

# %% tags=["nbval-ignore-output"]
pixels = tlkit.linear_probe(few, pair.target.test)
backbone = tlkit.load_backbone("resnet_printed")
features = [tlkit.cache_features(backbone.model, part) for part in (few, pair.target.test)]
transferred = tlkit.linear_probe(*features)
print(f"raw pixels {pixels:.0%}   features of a network that learned to read print {transferred:.0%}")

# %%
assert transferred > pixels + 0.15

# %% [markdown]
# The same labels and the same classifier; what differs is the description of the images. That is transfer learning.
# Is it always so? No: see what a network trained on clothes does for digits, in notebooks 03 and 08.

# %% [markdown]
# ## Summary
#
# - Everything you need is installed, and no cell of this course needs a network.
# - A network pretrained on a related **source** can make a few labels of the **target** go a long way.
# - Every claim in this course stands beside a baseline, and an `assert` beside it fails if it stops being true.
#
# **Exercise:** replace `"mnist"` by `"optdigits"` above. Predict both numbers before you run. Which of the two changes
# more, and can you see why in the pictures?
