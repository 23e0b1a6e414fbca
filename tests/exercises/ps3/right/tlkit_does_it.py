"""tlkit's own functions."""

# %% build
import tlkit


def build(base, n_classes):
    backbone = tlkit.wrap_backbone(base, (base.layers[-1].name,), "mine")
    return tlkit.join(backbone.model, tlkit.build_head(backbone, n_classes, hidden=(8,), dropout=0.2, seed=1))


# %% pooled_features
def pooled_features(base, images):
    split = tlkit.Split(np.asarray(images), np.zeros(len(images), int))
    return tlkit.pool_features(tlkit.cache_features(base, split, cache_dir="memory"))


# %% train_head
def train_head(model, base, images, labels, epochs, learning_rate):
    base.trainable = False
    split = tlkit.Split(np.asarray(images), labels)
    return tlkit.fit(model, split, epochs=epochs, learning_rate=learning_rate, batch_size=8, progress=False)


# %% few_labels
def few_labels(labels, per_class, seed):
    numbers = np.arange(len(labels), dtype="float32")[:, None]
    return tlkit.Split(numbers, labels).take(per_class, seed=seed).x[:, 0].astype(int)


# %% interval
def interval(scores):
    return tlkit.mean_interval(scores)


# %% few_shot_scores
def few_shot_scores(features, labels, test_features, test_labels, per_class, seeds):
    pool, test = tlkit.Split(np.float32(features), labels), tlkit.Split(np.float32(test_features), test_labels)
    curve = tlkit.few_shot_curve({"mine": (pool, test)}, per_class=(per_class,), seeds=list(seeds))
    return curve["accuracy"].to_numpy()
