"""scipy, scikit-learn and pandas do the work."""

# %% leaked
import pandas as pd


def leaked(speakers, train, test):
    return pd.Series(speakers).iloc[test].isin(pd.Series(speakers).iloc[train]).mean()


# %% two_splits
from sklearn.model_selection import train_test_split


def two_splits(speakers, tested, n_train, seed):
    people = pd.Series(speakers)
    own, others = people[people.isin(tested)], people[~people.isin(tested)]
    test = own.sample(n=len(own) // 2, random_state=seed).index
    rest = people.index.difference(test)
    if n_train == len(rest):
        return test, others.sample(n=n_train, random_state=seed).index, rest
    at_random, _ = train_test_split(rest.to_numpy(), train_size=n_train, random_state=seed)
    return test, others.sample(n=n_train, random_state=seed).index, at_random


# %% power_frames
from scipy.signal import ShortTimeFFT, get_window


def power_frames(samples, window, hop, n_fft):
    bell = np.zeros(n_fft)
    bell[:window] = get_window("hann", window)
    bell = bell[:window]
    counts = 1 + (len(samples) - window) // hop
    pieces = [np.fft.fft(samples[t * hop : t * hop + window] * bell, n=n_fft) for t in range(counts)]
    return np.real(pieces * np.conj(pieces)).T[: n_fft // 2 + 1]


# %% mel_filters
from scipy.interpolate import interp1d


def mel_filters(bands, n_fft, rate, low, high):
    corners = 700 * (10 ** (np.linspace(*(2595 * np.log10(1 + np.array([low, high]) / 700)), bands + 2) / 2595) - 1)
    hertz = np.fft.rfftfreq(n_fft, d=1 / rate)
    rows = []
    for k in range(bands):
        rows.append(interp1d(corners[k : k + 3], [0, 1, 0], bounds_error=False, fill_value=0.0)(hertz))
    return rows


# %% level_by_group
def level_by_group(risks, outcomes, weights, groups):
    table = pd.DataFrame({"w": weights, "wd": weights * (risks - outcomes)}).groupby(groups).sum()
    return table["wd"] / table["w"]


# %% calibration_error
def calibration_error(risks, outcomes, weights, groups):
    table = pd.DataFrame({"w": weights, "wd": weights * (risks - outcomes)}).groupby(groups).sum()
    return table["wd"].abs().sum() / table["w"].sum()


# %% shift_level
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit


def shift_level(risks, outcomes, weights, new_risks):
    def loss(by):
        z = logit(risks) + by
        return np.sum(weights * (np.logaddexp(0, z) - outcomes * z))

    return expit(logit(new_risks) + minimize_scalar(loss).x)


# %% shift_and_stretch
from sklearn.linear_model import LogisticRegression


def shift_and_stretch(risks, outcomes, weights, new_risks):
    model = LogisticRegression(C=1e6).fit(logit(risks)[:, None], outcomes, sample_weight=weights)
    return model.predict_proba(logit(new_risks)[:, None])[:, 1]
