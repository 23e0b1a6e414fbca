"""Plain Python: loops, lists and the module math."""

# %% cosines
import math


def cosines(images, texts):
    def unit(v):
        length = math.hypot(*v)
        return [x / length for x in v] if length else [0.0] * len(v)

    return [
        [sum(a * b for a, b in zip(unit(i), unit(t), strict=True)) for t in texts.tolist()] for i in images.tolist()
    ]


# %% contrastive_loss
def contrastive_loss(images, texts, temperature):
    table, total = cosines(images, texts), 0.0
    for i, row in enumerate(table):
        for asked in (row, [other[i] for other in table]):
            most = max(asked)
            total += (most - row[i]) / temperature + math.log(sum(math.exp((c - most) / temperature) for c in asked))
    return total / 2 / len(table)


# %% top_k
def top_k(similarities, text_of, k):
    table, own = similarities.tolist(), text_of.tolist()
    texts = images = 0
    for row, mine in zip(table, own, strict=True):
        texts += sum(c >= row[mine] for at, c in enumerate(row) if at != mine) < k
    for text in range(len(table[0])):
        column = [row[text] for row in table]
        rivals = [c for c, whose in zip(column, own, strict=True) if whose != text]
        images += any(
            sum(rival >= c for rival in rivals) < k for c, whose in zip(column, own, strict=True) if whose == text
        )
    return [texts / len(table), images / len(table[0])]


# %% zero_shot
def zero_shot(image_vectors, name_vectors):
    classes = []
    for names in name_vectors.tolist():
        lengths = [math.hypot(*name) for name in names]
        classes.append(
            [sum(x / n for x, n in zip(column, lengths, strict=True)) for column in zip(*names, strict=True)]
        )
    table = cosines(image_vectors, np.array(classes))
    return [row.index(max(row)) for row in table]


# %% returns_to_go
def returns_to_go(rewards, over, discount):
    found = []
    for t in range(len(rewards)):
        total, factor = 0.0, 1.0
        for reward, ends in zip(rewards[t:], over[t:], strict=True):
            total += factor * reward
            factor *= discount
            if ends:
                break
        found.append(total)
    return found


# %% episodes_to_threshold
def episodes_to_threshold(returns, threshold, window):
    found = []
    for run in returns.tolist():
        n = window
        while n <= len(run) and sum(run[n - window : n]) < threshold * window:
            n += 1
        found.append(n if n <= len(run) else float("nan"))
    return found


# %% jump_start
def jump_start(transfer, scratch, transfer_seeds, scratch_seeds, first):
    of = {seed: sum(row[:first]) / first for seed, row in zip(scratch_seeds, scratch, strict=True)}
    rows = sorted(zip(transfer_seeds.tolist(), transfer.tolist(), strict=True))
    return [sum(row[:first]) / first - of[seed] for seed, row in rows]


# %% paired_interval
def paired_interval(differences):
    from scipy.special import stdtrit

    d = differences.tolist()
    mean = sum(d) / len(d)
    error = math.sqrt(sum((x - mean) ** 2 for x in d) / (len(d) - 1) / len(d))
    return [mean - stdtrit(len(d) - 1, 0.975) * error, mean + stdtrit(len(d) - 1, 0.975) * error]


# %% verdict
def verdict(differences):
    low, high = paired_interval(differences)
    if len(differences) < 10 or low <= 0 <= high:
        return 0
    return 1 if low > 0 else -1
