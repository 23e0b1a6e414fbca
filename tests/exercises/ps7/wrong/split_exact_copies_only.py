"""Capitals and spaces make another sentence."""

# loses: split_texts_keeps_copies_apart


# %% split_texts
def split_texts(texts, documents, share, seed):
    names, sizes = np.unique(documents, return_counts=True)
    drawn = np.random.default_rng(seed).permutation(len(names))
    enough = np.searchsorted(np.cumsum(sizes[drawn]), share * len(texts)) + 1
    is_test = np.isin(documents, names[drawn[:enough]])
    plain = np.array([text for text in texts])
    is_copy = np.isin(plain, plain[is_test])
    return np.flatnonzero(~is_test & ~is_copy), np.flatnonzero(is_test)
