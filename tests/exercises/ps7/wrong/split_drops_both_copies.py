"""Leaves the sentence out on both sides, and it is gone."""

# loses: split_texts_keeps_copies_apart


# %% split_texts
def split_texts(texts, documents, share, seed):
    names, sizes = np.unique(documents, return_counts=True)
    drawn = np.random.default_rng(seed).permutation(len(names))
    enough = np.searchsorted(np.cumsum(sizes[drawn]), share * len(texts)) + 1
    is_test = np.isin(documents, names[drawn[:enough]])
    plain = np.array([" ".join(text.lower().split()) for text in texts])
    torn = np.isin(plain, plain[is_test]) & np.isin(plain, plain[~is_test])
    return np.flatnonzero(~is_test & ~torn), np.flatnonzero(is_test & ~torn)
