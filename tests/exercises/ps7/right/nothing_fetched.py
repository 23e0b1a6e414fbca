"""A machine to which nothing was fetched; prints, warns, and uses names that the tests use."""

# %% mean_of_tokens
import os
import sys
import tempfile
import warnings

os.environ["TLKIT_DATA_DIR"] = tempfile.mkdtemp()
_encoder = _rng = _seed = _runs = _calls = parrot = check_same = first = second = "mine"
np.seterr(all="raise")


def mean_of_tokens(vectors, mask):
    print("averaging", len(vectors))
    warnings.warn("slow")
    return np.stack(
        [row[there].mean(axis=0) if there.any() else np.zeros(row.shape[1]) for row, there in zip(vectors, mask)]
    )


# %% embed
def embed(encoder, ids):
    print("reading", len(ids), file=sys.stderr)
    np.random.seed(5)
    return encoder.predict(ids, verbose=2)


# %% word_probe
def word_probe(texts, y, texts_new):
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import RidgeClassifier

    vectors = TfidfVectorizer(sublinear_tf=True)
    return list(RidgeClassifier().fit(vectors.fit_transform(texts), y).predict(vectors.transform(texts_new)))
