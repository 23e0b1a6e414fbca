"""What can be in 32 bits, is."""


# %% cosines
def cosines(images, texts):
    images, texts = (np.asarray(x, dtype=np.float32) for x in (images, texts))
    images, texts = (x / (np.linalg.norm(x, axis=1, keepdims=True) + np.float32(1e-8)) for x in (images, texts))
    return images @ texts.T


# %% contrastive_loss
def contrastive_loss(images, texts, temperature):
    logits = cosines(images, texts) / np.float32(temperature)
    rows = logits - logits.max(axis=1, keepdims=True)
    columns = logits - logits.max(axis=0)
    by_row = np.diag(rows) - np.log(np.exp(rows).sum(axis=1))
    by_column = np.diag(columns) - np.log(np.exp(columns).sum(axis=0))
    return -(by_row.mean() + by_column.mean()) / 2


# %% top_k
def top_k(similarities, text_of, k):
    similarities = similarities.astype(np.float32)
    own = np.eye(similarities.shape[1], dtype=bool)[text_of]
    ahead = (similarities >= similarities[own][:, None]).sum(axis=1)  # the own text included
    others = np.where(own, np.float32("-inf"), similarities)
    best = np.where(own, similarities, np.float32("-inf")).max(axis=0)
    return np.float32((ahead <= k).mean()), np.float32(((others >= best).sum(axis=0) < k).mean())


# %% zero_shot
def zero_shot(image_vectors, name_vectors):
    names = name_vectors.astype(np.float32)
    means = (names / np.linalg.norm(names, axis=2, keepdims=True)).sum(axis=1)
    return cosines(image_vectors, means).argmax(axis=1).astype(np.uint8)


# %% returns_to_go
def returns_to_go(rewards, over, discount):
    found = rewards.astype(np.float32)
    for t in range(len(found) - 2, -1, -1):
        found[t] += np.float32(discount) * found[t + 1] * (not over[t])
    return found


# %% episodes_to_threshold
def episodes_to_threshold(returns, threshold, window):
    found = np.full(len(returns), np.nan, dtype=np.float32)
    for run, row in enumerate(returns.astype(np.float32)):
        for n in range(len(row), window - 1, -1):
            if row[n - window : n].mean() >= threshold:
                found[run] = n
    return found


# %% jump_start
def jump_start(transfer, scratch, transfer_seeds, scratch_seeds, first):
    transfer, scratch = (runs.astype(np.float32)[:, :first] for runs in (transfer, scratch))
    same = np.sort(transfer_seeds)[:, None]
    return ((same == transfer_seeds) @ transfer - (same == scratch_seeds) @ scratch).mean(axis=1)


# %% paired_interval
def paired_interval(differences):
    from scipy.stats import t

    d = differences.astype(np.float32)
    return t.interval(0.95, len(d) - 1, loc=d.mean(), scale=d.std(ddof=1) / np.sqrt(np.float32(len(d))))


# %% verdict
def verdict(differences):
    low, high = paired_interval(differences)
    return np.float32(0 if len(differences) < 10 else (low > 0) - 1.0 * (high < 0))
