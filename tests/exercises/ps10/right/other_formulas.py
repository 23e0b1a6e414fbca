"""Other ways to the same numbers."""


# %% leaked
def leaked(speakers, train, test):
    return (speakers[test][:, None] == speakers[train]).any(axis=1).mean()


# %% two_splits
def two_splits(speakers, tested, n_train, seed):
    rng = np.random.RandomState(seed)
    ranks = rng.rand(3, len(speakers))
    own = np.isin(speakers, tested)
    test = np.argsort(np.where(own, ranks[0], 2.0))[: own.sum() // 2]
    by_speaker = np.argsort(np.where(own, 2.0, ranks[1]))[:n_train]
    ranks[2, test] = 2.0
    return test, by_speaker, np.argsort(ranks[2])[:n_train]


# %% flattery
def flattery(x, y, speakers, n_tested, n_train, draws, score):
    rng = np.random.default_rng(7)
    table = np.empty((2, draws))
    for draw in range(draws):
        tested = rng.choice(list(dict.fromkeys(speakers)), size=n_tested, replace=False)
        test, apart, mixed = (
            np.asarray(part, dtype=int) for part in two_splits(speakers, list(tested), n_train, 50 + draw)
        )
        for column, train in enumerate((apart, mixed)):
            table[column, draw] = score(x[train].copy(), y[train].copy(), x[test].copy(), y[test].copy())
    return table.T


# %% power_frames
def power_frames(samples, window, hop, n_fft):
    starts = np.arange(0, len(samples) - window + 1, hop)
    pieces = samples[starts[:, None] + np.arange(window)] * np.hanning(window + 1)[:-1]
    padded = np.pad(pieces, ((0, 0), (0, n_fft - window)))
    angles = 2 * np.pi * np.outer(np.arange(n_fft), np.arange(n_fft // 2 + 1)) / n_fft
    return ((padded @ np.cos(angles)) ** 2 + (padded @ np.sin(angles)) ** 2).T


# %% mel_filters
def mel_filters(bands, n_fft, rate, low, high):
    ratio = ((700 + high) / (700 + low)) ** (1 / (bands + 1))  # even steps in mel are even factors of 700 + f
    corners = (700 + low) * ratio ** np.arange(bands + 2) - 700
    f = np.linspace(0, rate / 2, n_fft // 2 + 1)

    def ramp(a, b):
        return np.clip((f - a[:, None]) / (b - a)[:, None], 0, 1)

    return ramp(corners[:-2], corners[1:-1]) - ramp(corners[1:-1], corners[2:])


# %% decibels
def decibels(power, floor):
    logs = np.log(np.maximum(power, 1e-300))
    return np.maximum(10 / np.log(10) * (logs - logs.max()), floor) if power.any() else power + floor


# %% log_mel
def log_mel(samples, rate, bands, n_fft):
    scaled = samples / np.abs(samples).max()
    power = power_frames(np.append(scaled, [0.0]), rate // 40, rate // 100, n_fft)
    whole = (len(samples) - rate // 40) // (rate // 100) + 1
    return decibels(np.einsum("bk,kt->bt", mel_filters(bands, n_fft, rate, 0, rate // 2), power[:, :whole]), -120)


# %% level_by_group
def level_by_group(risks, outcomes, weights, groups):
    member = groups == np.unique(groups)[:, None]
    return member @ (weights * risks) / (member @ weights) - member @ (weights * outcomes) / (member @ weights)


# %% calibration_error
def calibration_error(risks, outcomes, weights, groups):
    names, shares = np.unique(groups), weights / weights.sum()
    return sum(abs(shares[groups == k] @ (outcomes - risks)[groups == k]) for k in names)


# %% shift_level
def shift_level(risks, outcomes, weights, new_risks):
    odds, times = risks / (1 - risks), 1.0
    for _ in range(3000):  # a step of EM (Saerens et al.)
        q = times * odds / (1 + times * odds)
        times *= ((weights @ outcomes) / (weights @ (1 - outcomes))) / ((weights @ q) / (weights @ (1 - q)))
    new_odds = times * new_risks / (1 - new_risks)
    return new_odds / (1 + new_odds)


# %% shift_and_stretch
def shift_and_stretch(risks, outcomes, weights, new_risks):
    from scipy.optimize import minimize

    z, new_z = (np.log(r / (1 - r)) for r in (risks, new_risks))
    side = 1 - 2 * outcomes
    found = minimize(
        lambda p: np.average(np.logaddexp(0, side * (p[0] + p[1] * z)), weights=weights), [0, 1], tol=1e-10
    )
    return 0.5 + 0.5 * np.tanh((found.x[0] + found.x[1] * new_z) / 2)


# %% mend
def mend(risks, outcomes, weights, new_risks):
    d = np.asarray(risks) - outcomes
    center = (weights * d).sum() / weights.sum()
    # The sums of the weights on both sides of the comparison are left out.
    if (weights * d).sum() ** 2 > 1.96**2 * (weights**2 * (d - center) ** 2).sum():
        return shift_level(risks, outcomes, weights, new_risks)
    return new_risks
