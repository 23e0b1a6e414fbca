"""Clothes as the target; a linear discriminant of scikit-learn, written into Keras layers on a clone of the network."""


# %% load_target
def load_target():
    clothes = tlkit.load_domain("fashion")
    clothes = clothes.restrict_to(clothes.classes[:5])
    return tlkit.Domain("clothes", clothes.train.take(50, seed=1), clothes.test[::2], clothes.classes)


# %% choose
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import cross_val_score


def shrunk():
    return LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")


def choose(labelled, budget):
    best = (-1.0, "", 0)
    for name, depth in affordable(budget):
        x = np.max(cut(name, depth)(labelled.x), axis=(1, 2))
        best = max(best, (cross_val_score(shrunk(), x, labelled.y, cv=4).mean(), name, depth))
    return best[1], np.int64(best[2])


# %% build_and_train
def build_and_train(labelled, plan, seed):
    original = cut(*plan)
    base = keras.models.clone_model(original)
    base.set_weights(original.get_weights())
    model = keras.Sequential([base, keras.layers.GlobalAveragePooling2D()])
    x = model.predict(labelled.x, verbose=0)
    found = shrunk().fit(x, labelled.y)
    kernel, bias = found.coef_, found.intercept_
    if len(bias) == 1:
        kernel, bias = np.concatenate([-kernel, kernel]), np.concatenate([-bias, bias])
    model.add(keras.layers.Dense(len(bias)))
    model.layers[-1].set_weights([kernel.T, bias])
    return model


# %% compare
import pandas as pd
from sklearn.metrics import accuracy_score


def compare(domain, train_model, seeds):
    def row(seed):
        few = domain.train.take(PER_CLASS, seed=seed)
        model = train_model(few, seed)
        answers = model.predict(domain.test.x.astype("float32"), verbose=0).argmax(axis=1)
        curve = tlkit.few_shot_curve({"pixels": (few, domain.test)}, per_class=(PER_CLASS,), seeds=1)
        return {"model": accuracy_score(domain.test.y, answers), "pixels": curve["accuracy"].item()}

    return pd.DataFrame([row(seed) for seed in seeds])


# %% gain
import math


def gain(scores):
    gains = np.subtract(*np.transpose(scores))
    n = len(gains)
    error = math.sqrt(np.var(gains) / (n - 1))
    from scipy.stats import t

    return gains.mean(), gains.mean() + error * t.ppf(0.025, n - 1), gains.mean() + error * t.isf(0.025, n - 1)


# %% my_result
def my_result():
    target = load_target()
    plan = choose(target.train.take(PER_CLASS, seed=0), MULTIPLY_ADDS)
    return plan, compare(target, lambda few, seed: build_and_train(few, plan, seed), range(5)).to_numpy()
