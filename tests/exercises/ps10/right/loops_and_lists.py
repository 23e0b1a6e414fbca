"""Loops over Python's floats, and lists as results."""

# %% leaked
import math
import random


def leaked(speakers, train, test):
    found = 0
    for place in test:
        if any(speakers[place] == speakers[other] for other in train):
            found += 1
    return found / len(test)


# %% two_splits
def two_splits(speakers, tested, n_train, seed):
    dice = random.Random(seed)
    own = [i for i, who in enumerate(speakers) if who in tested]
    others = [i for i, who in enumerate(speakers) if who not in tested]
    test = dice.sample(own, len(own) // 2)
    rest = [i for i in range(len(speakers)) if i not in test]
    return [sorted(test), sorted(dice.sample(others, n_train)), sorted(dice.sample(rest, n_train))]


# %% flattery
def flattery(x, y, speakers, n_tested, n_train, draws, score):
    names = sorted(set(speakers.tolist()))
    result = []
    for i in reversed(range(draws)):  # in whichever order
        tested = random.Random(i).sample(names, n_tested)
        test, apart, mixed = (list(map(int, part)) for part in two_splits(speakers, tested, n_train, i))
        random_score = score(x[mixed], y[mixed], x[test], y[test])
        result.insert(0, [score(x[apart], y[apart], x[test], y[test]), random_score])
    return result


# %% power_frames
import cmath


def power_frames(samples, window, hop, n_fft):
    turns = [cmath.exp(-2j * math.pi * n / n_fft) for n in range(n_fft)]
    bell = [0.5 - 0.5 * math.cos(2 * math.pi * n / window) for n in range(window)]
    columns, start = [], 0
    while start + window <= len(samples):
        piece = [b * x for b, x in zip(bell, samples[start : start + window].tolist())]
        column = []
        for k in range(n_fft // 2 + 1):
            total = 0j
            for n in range(window):
                total += piece[n] * turns[k * n % n_fft]
            column.append(abs(total) ** 2)
        columns.append(column)
        start += hop
    return [list(row) for row in zip(*columns)]


# %% mel_filters
def mel_filters(bands, n_fft, rate, low, high):
    def mel(f):
        return 2595 * math.log10(1 + f / 700)

    step = (mel(high) - mel(low)) / (bands + 1)
    corners = [700 * (10 ** ((mel(low) + i * step) / 2595) - 1) for i in range(bands + 2)]
    rows = []
    for a, b, c in zip(corners, corners[1:], corners[2:]):
        row = []
        for k in range(n_fft // 2 + 1):
            f = k * rate / n_fft
            row.append((f - a) / (b - a) if a < f <= b else (c - f) / (c - b) if b < f < c else 0.0)
        rows.append(row)
    return rows


# %% decibels
def decibels(power, floor):
    top = max(power.ravel().tolist())
    flat = [max(floor, 10 * math.log10(p / top)) if p > 0 else floor for p in power.ravel().tolist()]
    return np.array(flat).reshape(power.shape)


# %% log_mel
def log_mel(samples, rate, bands, n_fft):
    power = np.array(power_frames(samples, int(0.025 * rate), int(0.01 * rate), n_fft))
    return decibels(np.array(mel_filters(bands, n_fft, rate, 0.0, rate / 2.0)).dot(power), -120).tolist()


# %% level_by_group
def level_by_group(risks, outcomes, weights, groups):
    levels = []
    for k in sorted(set(groups.tolist())):
        rows = [(r, y, w) for r, y, w, g in zip(risks, outcomes, weights, groups) if g == k]
        levels.append(sum(w * (r - y) for r, y, w in rows) / sum(w for _, _, w in rows))
    return levels


# %% calibration_error
def calibration_error(risks, outcomes, weights, groups):
    total = 0.0
    for k in set(groups.tolist()):
        total += abs(sum(w * (r - y) for r, y, w, g in zip(risks, outcomes, weights, groups) if g == k))
    return total / sum(weights)


# %% shift_level
def shift_level(risks, outcomes, weights, new_risks):
    def shifted(r, by):
        return 1 / (1 + math.exp(-(math.log(r / (1 - r)) + by)))

    low, high = -20.0, 20.0
    while high - low > 1e-9:
        by = (low + high) / 2
        if sum(w * (shifted(r, by) - y) for r, y, w in zip(risks, outcomes, weights)) > 0:
            high = by
        else:
            low = by
    return [shifted(r, by) for r in new_risks]


# %% shift_and_stretch
def shift_and_stretch(risks, outcomes, weights, new_risks):
    z = np.log(risks) - np.log(1 - risks)
    mean, spread = z.mean(), z.std()
    u, a, b, rate = (z - mean) / spread, 0.0, 0.0, 2.0 / sum(weights)
    for _ in range(4000):  # gradient descent
        e = weights * (1 / (1 + np.exp(-a - b * u)) - outcomes)
        a, b = a - rate * e.sum(), b - rate * (e * u).sum()
    return [1 / (1 + math.exp(-a - b * (math.log(r / (1 - r)) - mean) / spread)) for r in new_risks]


# %% mend
def mend(risks, outcomes, weights, new_risks):
    total = sum(weights)
    level = sum(w * (r - y) for r, y, w in zip(risks, outcomes, weights)) / total
    s = math.sqrt(sum((w * (r - y - level)) ** 2 for r, y, w in zip(risks, outcomes, weights))) / total
    if level - 1.96 * s <= 0 <= level + 1.96 * s:
        return list(new_risks)
    return shift_level(risks, outcomes, weights, new_risks)
