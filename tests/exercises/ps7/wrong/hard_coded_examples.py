"""Says what the visible examples show."""

# loses: mean_of_tokens_any_text, mean_of_tokens_empty_text, attention_any_text, attention_skips_padding, attention_large_scores, split_texts_keeps_documents, split_texts_keeps_copies_apart, split_texts_by_share_and_seed, embed_any_encoder, word_probe_learns, word_probe_leaves_the_test_apart, balanced_accuracy_any_answers, few_shot_draws, few_shot_scores, gain_any_scores, cross_domain_any_domains, best_and_worst_any_matrix, choose_within_the_budget, choose_by_the_labelled


# %% mean_of_tokens
def mean_of_tokens(vectors, mask):
    return [[2.0, 3.0]]


# %% attention
def attention(q, k, v, mask):
    return [[[2.0, 3.0]]], [[[0.75, 0.25]]]


# %% split_texts
def split_texts(texts, documents, share, seed):
    return np.arange(len(texts))[::2], np.arange(len(texts))[1::2]


# %% embed
def embed(encoder, ids):
    return np.array([[101.0, 7.0, 102.0], [101.0, 102.0, 0.0]])


# %% word_probe
def word_probe(texts, y, texts_new):
    return [3, 8, 8] if len(texts_new) == 3 else np.arange(len(texts_new)) % 7


# %% balanced_accuracy
def balanced_accuracy(y, answers):
    return 0.75


# %% few_shot
def few_shot(probe, x, y, x_test, y_test, per_class, seeds):
    return [0.5, 0.5, 0.5]


# %% gain
def gain(scores, baseline):
    return 0.2, -0.04841, 0.44841


# %% cross_domain
def cross_domain(domains, probe):
    return [[0.5, 0.5], [0.0, 0.5]]


# %% best_and_worst
def best_and_worst(matrix, names):
    return (names[0], names[1]), (names[1], names[0])


# %% choose
def choose(candidates, x, y, x_test, y_test, budget):
    return list(candidates)[budget - 1], budget / 2
