"""Sequential models, every layer frozen by itself, pandas, a support vector machine."""


# %% build
def build(base, n_classes):
    layers = [base, keras.layers.Flatten(), keras.layers.Dense(5, activation="relu"), keras.layers.Dense(n_classes)]
    return keras.Sequential(layers)


# %% pooled_features
def pooled_features(base, images):
    return keras.Sequential([base, keras.layers.GlobalAveragePooling2D()]).predict(images, batch_size=7, verbose=0)


# %% train_head
def train_head(model, base, images, labels, epochs, learning_rate):
    for layer in base.layers:
        layer.trainable = False
    one_hot = keras.utils.to_categorical(labels, model.output_shape[-1])
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(learning_rate=learning_rate), loss=loss, metrics=["accuracy"])
    return model.fit(images, one_hot, batch_size=4, epochs=epochs, verbose=2)


# %% few_labels
import pandas as pd


def few_labels(labels, per_class, seed):
    return pd.Series(labels).groupby(labels).sample(per_class, random_state=seed).index


# %% interval
from scipy import stats


def interval(scores):
    low, high = stats.t.interval(0.95, len(scores) - 1, np.mean(scores), stats.sem(scores))
    return (low + high) / 2, (high - low) / 2


# %% few_shot_scores
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC


def few_shot_scores(features, labels, test_features, test_labels, per_class, seeds):
    def score(seed):
        few = few_labels(labels, per_class, seed)
        model = make_pipeline(StandardScaler(), SVC(kernel="linear")).fit(features[few], labels[few])
        return model.score(test_features, test_labels)

    return tuple(map(score, seeds))
