"""Shuffles sentences: a document is on both sides."""

# loses: split_texts_keeps_documents


# %% split_texts
def split_texts(texts, documents, share, seed):
    drawn = np.random.default_rng(seed).permutation(len(texts))
    is_test = np.isin(np.arange(len(texts)), drawn[: round(share * len(texts))])
    plain = np.array([" ".join(text.lower().split()) for text in texts])
    is_copy = np.isin(plain, plain[is_test])
    return np.flatnonzero(~is_test & ~is_copy), np.flatnonzero(is_test)
