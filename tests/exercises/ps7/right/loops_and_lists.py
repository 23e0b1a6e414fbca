"""Plain Python: loops, lists and dicts, the words counted by hand."""


# %% mean_of_tokens
def mean_of_tokens(vectors, mask):
    means = []
    for rows, there in zip(vectors, mask):
        total, tokens = [0.0] * len(rows[0]), 0
        for row, token in zip(rows, there):
            if token:
                tokens += 1
                total = [one + float(other) for one, other in zip(total, row)]
        means.append([one / tokens if tokens else 0.0 for one in total])
    return means


# %% attention
import math


def attention(q, k, v, mask):
    outs, looks = [], []
    for i in range(len(q)):
        outs.append([])
        looks.append([])
        for query in q[i]:
            scores = [sum(a * b for a, b in zip(query, key)) / math.sqrt(len(query)) for key in k[i]]
            largest = max(score for score, token in zip(scores, mask[i]) if token)
            powers = [math.exp(score - largest) if token else 0.0 for score, token in zip(scores, mask[i])]
            weights = [power / sum(powers) for power in powers]
            looks[-1].append(weights)
            outs[-1].append([sum(w * float(x) for w, x in zip(weights, column)) for column in zip(*v[i])])
    return [outs, looks]


# %% split_texts
import random


def split_texts(texts, documents, share, seed):
    order = sorted({int(name) for name in documents})
    random.Random(seed).shuffle(order)
    test, train, seen = [], [], set()
    for place, name in enumerate(order):
        members = [i for i in range(len(texts)) if documents[i] == name]
        if place == 0 or len(test) + len(members) / 2 < share * len(texts) and place < len(order) - 1:
            test += members
            seen |= {" ".join(texts[i].casefold().split()) for i in members}
        else:
            train += members
    return [i for i in train if " ".join(texts[i].casefold().split()) not in seen], test


# %% embed
def embed(encoder, ids):
    return [np.asarray(encoder(row[None], training=False))[0].tolist() for row in ids]


# %% word_probe
from collections import Counter


def word_probe(texts, y, texts_new):
    """Naive Bayes."""
    counts = {int(name): Counter() for name in y}
    for text, name in zip(texts, y):
        counts[int(name)].update(str(text).split())
    vocabulary = set().union(*counts.values())

    def likelihood(text, name):
        total = sum(counts[name].values()) + len(vocabulary)
        return sum(math.log((counts[name][word] + 1) / total) for word in str(text).split() if word in vocabulary)

    return [max(sorted(counts), key=lambda name: likelihood(text, name)) for text in texts_new]


# %% balanced_accuracy
def balanced_accuracy(y, answers):
    recalls = []
    for name in set(int(label) for label in y):
        of_class = [int(came) == name for label, came in zip(y, answers) if int(label) == name]
        recalls.append(of_class.count(True) / len(of_class))
    return sum(recalls) / len(recalls)


# %% few_shot
def few_shot(probe, x, y, x_test, y_test, per_class, seeds):
    scores = []
    for seed in seeds:
        places = list(range(len(y)))
        random.Random(seed).shuffle(places)
        left = {int(name): per_class for name in y}
        drawn = []
        for i in places:
            if left[int(y[i])]:
                left[int(y[i])] -= 1
                drawn.append(i)
        scores.append(balanced_accuracy(y_test, probe(x[drawn], y[drawn], x_test)))
    return scores


# %% gain
import statistics

from scipy import stats


def gain(scores, baseline):
    gains = [float(one) - float(other) for one, other in zip(scores, baseline)]
    half = -stats.t(df=len(gains) - 1).ppf(0.025) * statistics.stdev(gains) * len(gains) ** -0.5
    return [statistics.mean(gains), statistics.mean(gains) - half, statistics.mean(gains) + half]


# %% cross_domain
def cross_domain(domains, probe):
    matrix = []
    for source in domains:
        x, y = domains[source][:2]
        matrix.append([])
        for target in domains:
            x_test, y_test = domains[target][2:]
            matrix[-1].append(balanced_accuracy(y_test, probe(x, y, x_test)))
    return matrix


# %% best_and_worst
def best_and_worst(matrix, names):
    pairs = []
    for j, target in enumerate(names):
        for i, source in enumerate(names):
            if source != target:
                pairs.append((float(matrix[j][j]) - float(matrix[i][j]), source, target))
    pairs.sort()
    return [list(pairs[0][1:]), list(pairs[-1][1:])]


# %% choose
def choose(candidates, x, y, x_test, y_test, budget):
    order = list(range(len(y)))
    random.Random(4).shuffle(order)
    best, best_score = None, -1.0
    for name in candidates:
        cost, probe = candidates[name]
        if cost > budget:
            continue
        answers = [None] * len(y)
        for fold in range(8):
            held = order[fold::8]
            rest = [i for i in order if i not in held]
            for i, answer in zip(held, probe(x[rest], y[rest], x[held])):
                answers[i] = answer
        score = balanced_accuracy(y, answers)
        if score > best_score:
            best, best_score = name, score
    return [best, balanced_accuracy(y_test, candidates[best][1](x, y, x_test))]
