"""What can be in 32 bits, is."""


# %% leaked
def leaked(speakers, train, test):
    return np.isin(speakers[test], speakers[train]).astype(np.float32).mean()


# %% two_splits
def two_splits(speakers, tested, n_train, seed):
    rng = np.random.default_rng(seed)
    own = rng.permutation(np.flatnonzero(np.isin(speakers, tested)))
    others = rng.permutation(np.flatnonzero(~np.isin(speakers, tested)))
    test = own[: len(own) // 2]
    mixed = rng.permutation(np.append(others, own[len(own) // 2 :]))
    return test.astype(np.int16), others[:n_train].astype(np.int32), mixed[:n_train].astype(np.uint16)


# %% power_frames
def power_frames(samples, window, hop, n_fft):
    samples = np.asarray(samples, dtype=np.float32)
    bell = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)).astype(np.float32)
    pieces = np.stack([samples[at : at + window] * bell for at in range(0, len(samples) - window + 1, hop)])
    spectrum = np.fft.rfft(pieces, n_fft, axis=1).astype(np.complex64)
    return (spectrum.real**2 + spectrum.imag**2).T


# %% mel_filters
def mel_filters(bands, n_fft, rate, low, high):
    mel = np.linspace(1127 * np.log1p(low / 700), 1127 * np.log1p(high / 700), bands + 2)
    corners = (700 * np.expm1(mel / 1127)).astype(np.float32)[:, None]
    hertz = (np.arange(n_fft // 2 + 1) * rate / n_fft).astype(np.float32)
    slopes = (hertz - corners[:-1]) / np.diff(corners, axis=0)
    return np.maximum(0, np.minimum(slopes[:-1], 1 - slopes[1:]))


# %% decibels
def decibels(power, floor):
    top = np.float32(power.max())
    if not top:
        return np.full(power.shape, floor, dtype=np.float32)
    return np.maximum(10 * np.log10(power.astype(np.float32) / top), np.float32(floor))


# %% level_by_group
def level_by_group(risks, outcomes, weights, groups):
    r, y, w = (each.astype(np.float32) for each in (risks, outcomes, weights))
    return np.array([(w * (r - y))[groups == k].sum() / w[groups == k].sum() for k in np.unique(groups)])


# %% calibration_error
def calibration_error(risks, outcomes, weights, groups):
    r, y, w = (each.astype(np.float32) for each in (risks, outcomes, weights))
    return sum(abs((w * (r - y))[groups == k].sum()) for k in np.unique(groups)) / w.sum()


# %% shift_level
def shift_level(risks, outcomes, weights, new_risks):
    z, y, w = (each.astype(np.float32) for each in (np.log(risks / (1 - risks)), outcomes, weights))
    by = np.float32(0)
    for _ in range(60):  # Newton's method, with steps of 1 at most
        q = 1 / (1 + np.exp(-z - by))
        by -= np.clip((w * (q - y)).sum() / (w * q * (1 - q)).sum(), -1, 1)
    return 1 / (1 + np.exp(-np.log(new_risks / (1 - new_risks)).astype(np.float32) - by))


# %% shift_and_stretch
def shift_and_stretch(risks, outcomes, weights, new_risks):
    z, y, w = (each.astype(np.float32) for each in (np.log(risks / (1 - risks)), outcomes, weights))
    X, theta = np.stack([np.ones_like(z), z], axis=1), np.zeros(2, dtype=np.float32)
    for _ in range(30):
        q = 1 / (1 + np.exp(-X @ theta))
        theta += np.linalg.solve((X.T * (w * q * (1 - q))) @ X, X.T @ (w * (y - q)))
    return 1 / (1 + np.exp(-theta[0] - theta[1] * np.log(new_risks / (1 - new_risks)).astype(np.float32)))
