"""Letters without their copies; LogME; Keras alone, functional and compiled by hand; NumPy for every score."""


# %% load_target
def load_target():
    letters = tlkit.load_domain("printed").restrict_to(("a", "b", "e", "s"))
    seen = {image.tobytes() for image in letters.train.x}
    new = np.array([image.tobytes() not in seen for image in letters.test.x])
    return tlkit.Domain("letters", letters.train.take(60, seed=2), letters.test[new].take(40, seed=2), letters.classes)


# %% affordable
def affordable(budget):
    plans = []
    for name in NETWORKS:
        cost, backbone = 0, tlkit.load_backbone(name)
        for depth in range(1, backbone.n_stages + 1):
            cost = tlkit.multiply_adds(keras.Model(backbone.model.input, backbone.boundary(depth)))
            if cost <= budget:
                plans.insert(0, [name, depth])
    return plans


# %% choose
def choose(labelled, budget):
    once = np.unique(labelled.x.reshape(len(labelled), -1), axis=0, return_index=True)[1]  # LogME takes no copies
    evidence = []
    for name, depth in affordable(budget):
        x = np.asarray(keras.ops.mean(cut(name, depth)(labelled.x[once], training=False), axis=(1, 2)))
        evidence.append((tlkit.log_me(x.astype(float), labelled.y[once]), name, depth))
    return max(evidence)[1:]


# %% build_and_train
def build_and_train(labelled, plan, seed):
    keras.utils.set_random_seed(seed)
    base = cut(*plan)
    maps = np.asarray(base(np.array(labelled.x, "float32"), training=False))
    features = keras.Input(maps.shape[1:])
    scaled = keras.layers.Rescaling(0.3)(keras.layers.GlobalMaxPooling2D()(features))
    logits = keras.layers.Dense(len(set(labelled.y.tolist())), kernel_regularizer="l2")(scaled)
    head = keras.Model(features, logits)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    head.compile(optimizer=keras.optimizers.Adam(0.02), loss=loss, metrics=["accuracy"])
    head.fit(maps, labelled.y, epochs=20, batch_size=50, verbose=0)
    image = keras.Input((28, 28, 1), name="raw")
    return keras.Model(image, head(base(image, training=False)))


# %% compare
def compare(domain, train_model, seeds):
    scores = np.zeros((len(seeds), 2), "float32")
    for row, seed in zip(scores, seeds, strict=True):
        few = domain.train.take(10, seed=seed)
        model = train_model(few, seed)
        logits = np.concatenate(
            [model(domain.test.x[i : i + 100], training=False) for i in range(0, len(domain.test), 100)]
        )
        row[:] = np.mean(logits.argmax(axis=1) == domain.test.y), tlkit.linear_probe(few, domain.test)
    return scores


# %% gain
from scipy import stats


def gain(scores):
    paired = stats.ttest_rel(scores[:, 0], scores[:, 1])
    low, high = paired.confidence_interval(0.95)
    return np.diff(scores[:, ::-1]).mean(), low, high
