"""Keras ops in 32 bits, scikit-learn's splits and metrics, tlkit's cache, pandas, a support vector machine."""

# %% mean_of_tokens
import keras


def mean_of_tokens(vectors, mask):
    vectors = keras.ops.convert_to_tensor(vectors, "float32")
    mask = keras.ops.convert_to_tensor(mask)
    return (
        keras.layers.GlobalAveragePooling1D()(vectors, mask=keras.ops.logical_or(mask, False))
        if bool(keras.ops.all(keras.ops.any(mask, axis=1)))
        else keras.ops.divide_no_nan(
            keras.ops.einsum("nlw,nl->nw", vectors, keras.ops.cast(mask, "float32")),
            keras.ops.sum(keras.ops.cast(mask, "float32"), axis=1, keepdims=True),
        )
    )


# %% attention
def attention(q, k, v, mask):
    ops = keras.ops
    q, k, v = (ops.convert_to_tensor(part, "float32") for part in (q, k, v))
    scores = ops.einsum("nmd,nld->nml", q, k) * q.shape[-1] ** -0.5
    scores = scores + (1.0 - ops.cast(mask, "float32"))[:, None] * -1e9
    weights = ops.softmax(scores, axis=-1)
    return ops.einsum("nml,nle->nme", weights, v), weights


# %% split_texts
import pandas as pd
from sklearn.model_selection import GroupShuffleSplit


def split_texts(texts, documents, share, seed):
    splitter = GroupShuffleSplit(n_splits=1, test_size=share, random_state=seed)
    train, test = next(splitter.split(texts, groups=documents))
    plain = pd.Series(texts).str.strip().str.lower().str.replace(r"\s+", " ", regex=True)
    return train, test[~plain[test].isin(plain[train]).to_numpy()]


# %% embed
import tlkit


def embed(encoder, ids):
    if isinstance(encoder, keras.Sequential):
        return encoder.predict(ids, batch_size=3, verbose=0)
    numbers = tlkit.Split(np.asarray(ids), np.zeros(len(ids), dtype=int))
    return tlkit.cache_features(encoder, numbers, cache_dir="memory").x


# %% word_probe
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.svm import LinearSVC


def word_probe(texts, y, texts_new):
    counting = CountVectorizer(ngram_range=(1, 2)).fit(texts.tolist())
    weighing = TfidfTransformer(sublinear_tf=True).fit(counting.transform(texts))
    machine = LinearSVC(random_state=0).fit(weighing.transform(counting.transform(texts)), y)
    return machine.predict(weighing.transform(counting.transform(texts_new)))


# %% balanced_accuracy
from sklearn import metrics


def balanced_accuracy(y, answers):
    return metrics.balanced_accuracy_score(y, answers)


# %% few_shot
def few_shot(probe, x, y, x_test, y_test, per_class, seeds):
    labels = pd.Series(y)
    scores = {}
    for seed in seeds:
        drawn = labels.groupby(labels).sample(per_class, random_state=seed).index.to_numpy()
        scores[seed] = metrics.balanced_accuracy_score(y_test, probe(x[drawn], y[drawn], x_test))
    return pd.Series(scores)


# %% gain
def gain(scores, baseline):
    mean, half = tlkit.mean_interval(np.subtract(scores, baseline))
    return mean, mean - half, mean + half


# %% cross_domain
def cross_domain(domains, probe):
    scores = pd.DataFrame(index=list(domains), columns=list(domains), dtype=float)
    for target, (_, _, x_test, y_test) in domains.items():
        for source, (x, y, _, _) in domains.items():
            report = metrics.classification_report(y_test, probe(x, y, x_test), output_dict=True, zero_division=0)
            scores.loc[source, target] = np.mean([report[str(name)]["recall"] for name in np.unique(y_test)])
    return scores


# %% best_and_worst
def best_and_worst(matrix, names):
    table = pd.DataFrame(matrix, index=names, columns=names)
    drops = (np.diag(matrix) - table).where(~np.eye(len(names), dtype=bool)).stack().dropna()
    return drops.idxmin(), drops.idxmax()


# %% choose
from sklearn.model_selection import RepeatedStratifiedKFold


def choose(candidates, x, y, x_test, y_test, budget):
    table = pd.DataFrame(candidates, index=["cost", "probe"]).T
    table = table[table["cost"] <= budget].copy()
    turns = list(RepeatedStratifiedKFold(n_splits=4, n_repeats=2, random_state=1).split(x, y))
    table["score"] = [
        float(np.mean([metrics.balanced_accuracy_score(y[b], probe(x[a], y[a], x[b])) for a, b in turns]))
        for probe in table["probe"]
    ]
    best = table["score"].idxmax()
    return best, metrics.balanced_accuracy_score(y_test, table.loc[best, "probe"](x, y, x_test))
