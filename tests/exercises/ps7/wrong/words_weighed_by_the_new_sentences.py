"""How rare a word is, is counted in the new sentences."""

# loses: word_probe_leaves_the_test_apart

# %% word_probe
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer


def word_probe(texts, y, texts_new):
    counting = CountVectorizer().fit(texts)
    old, new = counting.transform(texts), counting.transform(texts_new)
    probe = LogisticRegression(max_iter=2000).fit(TfidfTransformer().fit_transform(old), y)
    return probe.predict(TfidfTransformer().fit_transform(new))
