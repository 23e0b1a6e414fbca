"""The place of the class, not its label."""

# loses: word_probe_learns

# %% word_probe
from sklearn.feature_extraction.text import TfidfVectorizer


def word_probe(texts, y, texts_new):
    vectors = TfidfVectorizer()
    probe = LogisticRegression(max_iter=2000).fit(vectors.fit_transform(texts), y)
    return probe.predict_proba(vectors.transform(texts_new)).argmax(axis=1)
