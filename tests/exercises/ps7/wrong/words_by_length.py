"""Represents a sentence by its length."""

# loses: word_probe_learns


# %% word_probe
def word_probe(texts, y, texts_new):
    lengths, new = (np.array([[len(text)] for text in part]) for part in (texts, texts_new))
    return LogisticRegression(max_iter=2000).fit(lengths, y).predict(new)
