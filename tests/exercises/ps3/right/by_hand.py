"""A training loop over the gradients of the head alone; nearest means for a classifier; lists."""


# %% build
class WithHead(keras.Model):
    def __init__(self, base, n_classes):
        super().__init__()
        self.base = base
        self.logits = keras.layers.Dense(n_classes, kernel_initializer="zeros", bias_initializer="random_normal")

    def call(self, images):
        return self.logits(keras.ops.max(self.base(images, training=False), axis=(1, 2)))


def build(base, n_classes):
    print("building a head for", n_classes, "classes")
    return WithHead(base, n_classes)


# %% pooled_features
def pooled_features(base, images):
    rows = []
    for image in images:
        maps = base.predict(image[None], verbose=0) if len(images) < 3 else base(image[None]).numpy()
        rows.append([float(maps[0, :, :, k].mean()) for k in range(maps.shape[-1])])
    return rows


# %% train_head
import tensorflow as tf


def train_head(model, base, images, labels, epochs, learning_rate):
    of_base = {id(weight) for weight in base.weights}
    mine = [weight for weight in model.trainable_weights if id(weight) not in of_base]
    adam = keras.optimizers.Adam(learning_rate)
    for _ in range(epochs):
        with tf.GradientTape() as tape:
            logits = model(images, training=False)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        adam.apply(tape.gradient(loss, [weight.value for weight in mine]), mine)
    return model


# %% few_labels
import random


def few_labels(labels, per_class, seed):
    chosen = []
    for name in sorted(set(labels.tolist())):
        of_class = [i for i, label in enumerate(labels) if label == name]
        chosen += random.Random(1000 * name + seed).sample(of_class, per_class)
    return chosen


# %% interval
import statistics

from scipy import stats


def interval(scores):
    scores = list(map(float, scores))
    half = -stats.t(df=len(scores) - 1).ppf(0.025) * statistics.stdev(scores) * len(scores) ** -0.5
    return [statistics.mean(scores), half]


# %% few_shot_scores
def few_shot_scores(features, labels, test_features, test_labels, per_class, seeds):
    scores = []
    for seed in seeds:
        few = few_labels(labels, per_class, seed)
        names = np.unique(labels)
        means = np.stack([features[[i for i in few if labels[i] == name]].mean(axis=0) for name in names])
        distances = ((test_features[:, None] - means) ** 2).sum(axis=2)
        scores.append(np.float32(np.mean(names[distances.argmin(axis=1)] == test_labels)))
    return scores
