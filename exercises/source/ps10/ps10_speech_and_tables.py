# %% [markdown]
# # ps10 · Speech and tables
#
# **Question: who may be in the test, what does a network get to see of a sound, and may a risk be believed elsewhere?**
#
# Takes 90 to 120 minutes, without a network. Work through notebooks 16 and 17 first: parts 1 and 2 are from 16, part 3
# is from 17.
#
# **How it works.** Replace each `raise NotImplementedError()` by your code, and keep the names of the functions. The
# cells below yours hold examples: run them as often as you like. After you have handed in, more tests run, at random
# points. They compare numbers, not spelling: any formula, loop or library that gives the right numbers is right. What
# each of them looks at is written in its cell. NumPy and SciPy are all that you need.
#
# | word | meaning here |
# |---|---|
# | place | the index of a recording: `speakers[place]` is its speaker |
# | draw | one random choice of who is tested, and of what is learned from |
# | risk | a probability of an event, between 0 and 1 and never exactly 0 or 1 |
# | outcome | 1 where the event happened, else 0 |
# | level | mean risk minus the share of events: above 0 the risks are too high |
# | log-odds | $\operatorname{logit} r = \log \frac{r}{1 - r}$ of a risk $r$; the way back is $\frac{1}{1 + e^{-z}}$ |

# %% readonly="setup"
import numpy as np
import scipy.stats

import tlkit


def mean_interval(values):
    """The mean, and half the width of its 95 % confidence interval by Student's t, as tlkit.mean_interval has them."""
    half = scipy.stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return round(float(np.mean(values)), 4), round(float(half), 4)


# %% [markdown]
# ## 1. Split by speaker (30 points)
#
# A model that will hear new people must be tested on new people. Somebody hands you a split. The first question is
# whether it leaks.


# %% solution="leaked"
def leaked(speakers, train, test):
    """The share of the test recordings, 0..1, whose speaker also has a recording in the training part.

    speakers has the shape (n,): the name or the number of each recording's speaker. train and test are arrays of
    places, 0..n-1, each of one place or more.
    """
    ### BEGIN SOLUTION
    return np.mean(np.isin(speakers[test], speakers[train]))
    ### END SOLUTION


# %% test="leaked_any_split" points=4
import numpy as np

from tlkit.grading import check_example

# Speaker 7 is in both parts, with one of the two test recordings.
check_example(
    leaked,
    (np.array([7, 7, 2, 5]), np.array([0, 3]), np.array([1, 2])),
    0.5,
    reread="part 1 of this notebook",
)
# Hidden: random splits, of names and of numbers.
### BEGIN HIDDEN TESTS
from tlkit.grading import check_same


def _share(speakers, train, test):
    known = {speakers[place] for place in train}
    return sum(speakers[place] in known for place in test) / len(test)


def _any_split(rng, names):
    mixed = rng.permutation(40)
    return np.array(names)[rng.integers(len(names), size=40)], mixed[:6], mixed[6 : int(rng.integers(12, 40))]


for _seed, _names in enumerate([["eve", "al", "eva", "Al", "bo", "cy", "di", "flo"], [12, 7, 104, 1, 3, 88, 9, 0]]):
    check_same(
        leaked,
        _share,
        lambda rng, names=_names: _any_split(rng, names),
        seed=1201 + _seed,
        reread="part 1 of this notebook",
    )
### END HIDDEN TESTS

# %% [markdown]
# How much does a leak flatter? Do not compare two splits that also differ in *who* is tested, or in how many recordings
# were learned from. Here only the leak may differ. So one draw has **one** test part and **two** training parts of the
# same size:
#
# | part | drawn at random from | how many |
# |---|---|---|
# | `test` | all recordings of the tested speakers, taken together | half of their number, rounded down |
# | `by_speaker` | all recordings of the **other** speakers | `n_train` |
# | `at_random` | all recordings, of whichever speaker, that are **not in `test`** | `n_train` |
#
# The other half of the tested speakers' recordings is what may leak: some of them come into `at_random`, by chance.


# %% solution="two_splits"
def two_splits(speakers, tested, n_train, seed):
    """One test part and two training parts: three arrays of places, (test, by_speaker, at_random), in any order inside.

    speakers has the shape (n,), names or numbers; tested is a list of those speakers who are tested. No place comes
    twice in a part. The same seed gives the same three parts, another seed gives others. There are n_train recordings
    of other speakers, or more.
    """
    ### BEGIN SOLUTION
    rng = np.random.default_rng(seed)
    is_tested = np.isin(speakers, tested)
    own, others = np.flatnonzero(is_tested), np.flatnonzero(~is_tested)
    test = rng.permutation(own)[: len(own) // 2]
    rest = np.setdiff1d(np.arange(len(speakers)), test)
    return test, rng.permutation(others)[:n_train], rng.permutation(rest)[:n_train]
    ### END SOLUTION


# %% test="two_splits_no_speaker_in_both" points=6
import numpy as np

from tlkit.grading import check_result


def what_is_wrong(test, by_speaker, at_random, speakers, tested, n_train, seed):
    """What is wrong with test and by_speaker, in words, or nothing."""
    if not all(0 <= place < len(speakers) and place == int(place) for place in test + by_speaker):
        return f"must return places, whole numbers in 0..{len(speakers) - 1}"
    if not test or not by_speaker:
        return "must return no empty part"
    if strangers := {str(speakers[int(place)]) for place in test} - {str(name) for name in tested}:
        return f"must test none but {tested}, and tests {sorted(strangers)[0]}"
    if both := {str(speakers[int(place)]) for place in by_speaker} & {str(name) for name in tested}:
        return f"must have no tested speaker in by_speaker, and has {sorted(both)[0]}"
    return ""


three_people = np.array(["ann", "bob", "cyd"] * 6)
check_result(
    two_splits,
    what_is_wrong,
    lambda rng: (three_people, ["bob"], 8, 0),
    seed=0,
    results=3,
    dims=1,
    points=1,
    reread="part 1 of this notebook: the table of the three parts",
)
# Hidden: the same for other people, some of whom have one recording only, and for numbers in place of names.
### BEGIN HIDDEN TESTS


def _apart(test, by_speaker, at_random, speakers, tested, n_train, seed):
    for part in (test, by_speaker):
        if not part or not all(0 <= place < len(speakers) and place == int(place) for place in part):
            return f"must return places, whole numbers in 0..{len(speakers) - 1}, and no empty part"
    if strangers := {speakers[int(place)] for place in test} - set(tested):
        return f"must test none but the tested speakers, and tests {len(strangers)} others"
    if both := {speakers[int(place)] for place in by_speaker} & set(tested):
        return f"must have no tested speaker in by_speaker, and has {len(both)}"
    return ""


def _people(rng, names):
    counts = rng.integers(1, 9, size=len(names))
    speakers = rng.permutation(np.repeat(np.array(names), counts))
    tested = [*np.array(names)[rng.permutation(len(names))[:3]].tolist()]
    others = int((~np.isin(speakers, tested)).sum())
    return speakers, tested, int(rng.integers(1, others + 1)), int(rng.integers(1000))


for _seed, _names in enumerate([["al", "eva", "eve", "Al", "bo", "cy", "di"], [12, 7, 104, 1, 3, 88, 0, 5]]):
    check_result(
        two_splits,
        _apart,
        lambda rng, names=_names: _people(rng, names),
        seed=1211 + _seed,
        results=3,
        dims=1,
        points=20,
        reread="part 1 of this notebook: the table of the three parts",
    )
### END HIDDEN TESTS

# %% test="two_splits_sizes" points=4
# Hidden: how many places each part has, that none comes twice in a part, and that no test recording is in at_random.
### BEGIN HIDDEN TESTS
import numpy as np

from tlkit.grading import check_result


def _as_many(test, by_speaker, at_random, speakers, tested, n_train, seed):
    wanted = {"test": int(np.isin(speakers, tested).sum()) // 2, "by_speaker": n_train, "at_random": n_train}
    for (name, most), part in zip(wanted.items(), (test, by_speaker, at_random), strict=True):
        if len(part) != most:
            return f"must have {most} places in {name}, got {len(part)}"
        if len(set(part)) != most:
            return f"must have no place twice in {name}"
    if set(test) & set(at_random):
        return "must have no test recording in at_random"
    return ""


def _uneven(rng):
    names = np.array([f"speaker {k}" for k in range(6)])
    speakers = rng.permutation(np.repeat(names, rng.integers(3, 10, size=6)))
    tested = names[rng.permutation(6)[:2]].tolist()
    most = int((~np.isin(speakers, tested)).sum())
    return speakers, tested, most if rng.random() < 0.3 else int(rng.integers(1, most)), int(rng.integers(1000))


check_result(
    two_splits,
    _as_many,
    _uneven,
    seed=1221,
    results=3,
    dims=1,
    points=20,
    reread="part 1 of this notebook: the table of the three parts",
)
### END HIDDEN TESTS

# %% test="two_splits_at_random" points=5
# Hidden: 80 seeds. Each recording that may come into a part comes into it now and then, and the tested speakers have
# their share of at_random, on average.
### BEGIN HIDDEN TESTS
import numpy as np

from tlkit.grading import check_result


def _of_many_seeds(speakers, tested, n_train):
    """How often each place came into each part."""
    counts = np.zeros((3, len(speakers)))
    for seed in range(80):
        for row, part in zip(counts, two_splits(speakers.copy(), list(tested), n_train, seed), strict=True):
            row[np.asarray(part, dtype=int)] += 1
    return counts


_of_many_seeds.__name__ = "two_splits"


def _evenly(counts, speakers, tested, n_train):
    counts, own = np.array(counts), np.isin(speakers, tested)
    n_test = int(own.sum()) // 2
    chances = n_test / own.sum() * own, n_train / (~own).sum() * ~own, np.full(len(own), 0.0)
    chances[2][:] = n_train / (len(own) - n_test) * (1 - chances[0])
    for name, row, chance in zip(("test", "by_speaker", "at_random"), counts / 80, chances, strict=True):
        if np.abs(row - chance).max() > 0.3:  # five standard deviations of one place
            return (
                f"must draw {name} at random from all recordings that may be in it: some come too often or too seldom"
            )
    share, wanted = counts[2][own].sum() / counts[2].sum(), chances[2][own].sum() / n_train
    if abs(share - wanted) > 0.05:
        return f"must give tested speakers about {wanted:.2f} of at_random, by chance, and gives them {share:.2f}"
    return ""


check_result(
    _of_many_seeds,
    _evenly,
    lambda rng: (rng.permutation(np.repeat(np.array(["a", "b", "c", "d", "e"]), 12)), ["b", "e"], 18),
    seed=1231,
    dims=2,
    points=1,
    seconds=20.0,
    reread="part 1 of this notebook: the table of the three parts",
)
### END HIDDEN TESTS

# %% test="two_splits_seed" points=2
# Hidden: the same seed gives the same parts, and another seed others.
### BEGIN HIDDEN TESTS
import numpy as np

from tlkit.grading import check_result


def _three_times(speakers, tested, n_train, seed):
    """For each of two further calls: how many of the three parts hold the same places as at first."""
    first, again, other = (
        [
            frozenset(np.asarray(part, dtype=int).tolist())
            for part in two_splits(speakers.copy(), list(tested), n_train, s)
        ]
        for s in (seed, seed, seed + 1)
    )
    return [sum(a == b for a, b in zip(first, parts, strict=True)) for parts in (again, other)]


_three_times.__name__ = "two_splits"


def _by_the_seed(same, *arguments):
    if same[0] != 3:
        return "must return the same parts for the same seed"
    return "must return other parts for another seed" if same[1] else ""


check_result(
    _three_times,
    _by_the_seed,
    lambda rng: (np.repeat(np.array([4, 9, 2, 7]), 20), [9, 2], 15, int(rng.integers(1000))),
    seed=1241,
    dims=1,
    points=4,
    reread="part 1 of this notebook, on the seed",
)
### END HIDDEN TESTS

# %% [markdown]
# Now measure it. Draw number $i$, from 0 on, chooses the tested speakers at random and makes its three parts. A
# function `score` that you are given learns from one training part and scores the test part. Call it twice per draw.


# %% solution="flattery"
def flattery(x, y, speakers, n_tested, n_train, draws, score):
    """An array of shape (draws, 2): a row per draw, the score with by_speaker and the score with at_random.

    x has the shape (n, d), y and speakers the shape (n,). In each draw n_tested different speakers are tested, who are
    drawn anew. The training parts have n_train recordings, and the other speakers always have as many or more.
    score(x_train, y_train, x_test, y_test) gives a number.
    """
    ### BEGIN SOLUTION
    rows = []
    for draw in range(draws):
        tested = np.random.default_rng(draw).permutation(np.unique(speakers))[:n_tested]
        test, *both = two_splits(speakers, tested.tolist(), n_train, draw)
        rows.append([score(x[train], y[train], x[test], y[test]) for train in both])
    return np.array(rows)
    ### END SOLUTION


# %% test="flattery_examples" points=3
import numpy as np

from tlkit.grading import check_result

# Each recording is the number of its speaker, and the score is the share of test recordings whose speaker is known.
who = np.repeat(np.arange(8), 20)


def known_speakers(x_train, y_train, x_test, y_test):
    return float(np.isin(x_test, x_train).mean())


def what_is_wrong_with_scores(scores, *arguments):
    """What is wrong with the scores, in words, or nothing."""
    if len(scores) != 5 or any(len(row) != 2 for row in scores):
        return f"must return an array of shape (5, 2), got {np.shape(scores)}"
    if any(row[0] != 0 for row in scores):
        return f"must know no tested speaker by speaker, in the first column, got {scores[0]} in the first draw"
    if any(row[1] < 0.5 for row in scores):
        return f"must know most tested speakers at random, in the second column, got {scores[0]} in the first draw"
    return ""


check_result(
    flattery,
    what_is_wrong_with_scores,
    lambda rng: (who[:, None], who, who, 3, 90, 5, known_speakers),
    seed=0,
    dims=2,
    points=1,
    reread="part 1 of this notebook",
)

# %% test="flattery_any_people" points=6
# Hidden: score notes what it is given. Both calls of a draw have the same test part, x and y belong together, nothing
# is in both parts, the sizes are right, each score stands in its column, and the tested speakers change from draw to
# draw.
### BEGIN HIDDEN TESTS
import numpy as np

from tlkit.grading import check_result

_noted = []


def _noting(x_train, y_train, x_test, y_test):
    """A number of its own for each call."""
    parts = [
        [np.asarray(x)[:, 1].astype(int).tolist(), np.asarray(y).tolist()]
        for x, y in ((x_train, y_train), (x_test, y_test))
    ]
    _noted.append(parts)
    return len(_noted) / 128


def _two_calls_a_draw(scores, x, y, speakers, n_tested, n_train, draws, score):
    if np.shape(scores) != (draws, 2):
        return f"must return an array of shape ({draws}, 2), got {np.shape(scores)}"
    if len(_noted) != 2 * draws:
        return f"must call score twice per draw, and calls it {len(_noted)} times in {draws} draws"
    known = {number / 128: parts for number, parts in enumerate(_noted, start=1)}
    tested_ever = set()
    for one, other in scores:
        if one not in known or other not in known or one == other:
            return "must return what score returned, a call for each column"
        (train, of_train), (test, of_test) = known[one]
        (leaky, of_leaky), (test_again, _) = known[other]
        if any(
            labels != y[places].tolist() for places, labels in ((train, of_train), (test, of_test), (leaky, of_leaky))
        ):
            return "must give score the labels of the examples that it gets"
        if sorted(test) != sorted(test_again):
            return "must score both trainings of a draw on the same test part"
        tested = set(speakers[test].tolist())
        if set(speakers[train].tolist()) & tested:
            return "must have no tested speaker in the training of the first column"
        if not set(speakers[leaky].tolist()) & tested:
            return "must have some recordings of the tested speakers in the training of the second column"
        if set(leaky) & set(test):
            return "must not learn from a test recording"
        if len(train) != n_train or len(leaky) != n_train:
            return f"must learn from {n_train} recordings, and does from {len(train)} and {len(leaky)}"
        if len(tested) != n_tested:
            return f"must test {n_tested} speakers in a draw, and tests {len(tested)}"
        tested_ever.add(frozenset(tested))
    return "" if len(tested_ever) > 1 else "must choose the tested speakers anew in each draw"


def _recordings(rng):
    _noted.clear()
    speakers = rng.permutation(np.repeat(rng.permutation(50)[:9], 16))
    x = np.column_stack([rng.normal(size=len(speakers)), np.arange(len(speakers))])
    return x, rng.integers(1000, size=len(speakers)), speakers, int(rng.integers(2, 5)), 60, 6, _noting


check_result(
    flattery,
    _two_calls_a_draw,
    _recordings,
    seed=1251,
    dims=2,
    points=3,
    seconds=15.0,
    reread="part 1 of this notebook",
)
### END HIDDEN TESTS

# %% [markdown]
# **Does it flatter?** (no points) First your measurement on the bundled synthetic `voices`, whose families of variants
# stand for speakers; then, from the table of notebook 16, the same 250 recordings per speaker of six **people**, tested
# twice. **Predict before you run:** by how many points does the split at random flatter here, and there?

# %%
voices = tlkit.load_domain("voices")
x_voices, y_voices, families = (
    np.concatenate([getattr(part, name) for part in (voices.train, voices.test)]) for name in ("x", "y", "groups")
)
x_voices = x_voices[:, ::2, ::2].reshape(len(x_voices), -1) / 255  # every other band and moment: (2020, 400)


def ridge(x_train, y_train, x_test, y_test):
    """The accuracy of a linear classifier: least squares with a penalty, on one-hot labels."""
    mean = x_train.mean(axis=0)
    centred, one_hot = x_train - mean, np.eye(10)[y_train]
    weights = np.linalg.solve(
        centred.T @ centred + 10 * np.eye(len(mean)), centred.T @ (one_hot - one_hot.mean(axis=0))
    )
    scores = (x_test - mean) @ weights + one_hot.mean(axis=0)
    return float(np.mean(scores.argmax(axis=1) == y_test))


on_voices = np.asarray(flattery(x_voices, y_voices, families, 20, 400, 10, ridge))
on_people = tlkit.stored_table("speech_leakage").pivot_table(
    index="draw", columns=["method", "per_class", "split"], values="accuracy"
)
gaps = {"voices": mean_interval(on_voices[:, 1] - on_voices[:, 0])}
for method, n in (("raw log-mel", 10), ("raw log-mel", 50), ("frozen", 10), ("frozen", 50)):
    of_split = on_people[method, n]
    gaps[f"people, {method}, {n} per digit"] = mean_interval(of_split["at random"] - of_split["by speaker"])
gaps

# %% [markdown]
# Each pair is the mean over ten draws and half of its 95 % interval; 0.01 is one point. On the people the split at
# random flatters in all four rows. On the synthetic voices ten draws showed nothing: in six answers to this exercise,
# which draw in different ways, each interval held 0. A leak has no fixed price. You know the price only when you have
# measured it, and where you split by speaker you need not know it.

# %% [markdown]
# ## 2. Log-mel by hand (38 points)
#
# Step one: windows and their power. A window of $N$ samples starts at each multiple of the hop $h$, and is multiplied
# by the Hann window. Zeros fill it up to $F$ samples before the Fourier transform:
#
# $$P_{kt} = \Bigl| \sum_{n=0}^{N-1} w_n \, x_{h t + n} \, e^{-2 \pi i k n / F} \Bigr|^2 \qquad
#   w_n = \tfrac{1}{2} - \tfrac{1}{2} \cos \frac{2 \pi n}{N} \qquad k = 0 \dots F/2$$
#
# Only whole windows count: where fewer than $N$ samples are left, no window starts. Mind the $N$ under the fraction of
# the cosine: `np.hanning` has $N - 1$ there.


# %% solution="power_frames"
def power_frames(samples, window, hop, n_fft):
    """How strong each frequency is in each window: an array of shape (n_fft // 2 + 1, t).

    samples has the shape (n,), and n is at least window. window, hop and n_fft are whole numbers of samples, n_fft is
    even and at least window. t is the number of whole windows.
    """
    ### BEGIN SOLUTION
    pieces = np.lib.stride_tricks.sliding_window_view(samples, window)[::hop]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    return np.abs(np.fft.rfft(pieces * hann, n_fft)).T ** 2
    ### END SOLUTION


# %% test="power_frames_examples" points=3
import numpy as np

from tlkit.grading import check_example

# Silence but for one click of height 3: all frequencies are equally strong, and the window of 4 samples weighs it by
# 1/2.
check_example(
    power_frames, (np.array([0.0, 3.0, 0.0, 0.0]), 4, 1, 4), np.full((3, 1), 2.25), reread="part 2 of this notebook"
)
# A constant: the Hann window adds up to half of its length.
check_example(power_frames, (np.ones(6), 4, 2, 4), [[4, 4], [1, 1], [0, 0]], reread="part 2 of this notebook")

# %% test="power_frames_any_sound" points=6
# Hidden: random sounds; windows as long as the transform and shorter, any hop.
### BEGIN HIDDEN TESTS
import numpy as np

from tlkit.grading import check_same


def _right_power(samples, window, hop, n_fft):
    n = np.arange(window)
    waves = np.exp(-2j * np.pi * np.outer(np.arange(n_fft // 2 + 1), n) / n_fft) * np.sin(np.pi * n / window) ** 2
    starts = range(0, len(samples) - window + 1, hop)
    sums = [waves @ samples[start : start + window] for start in starts]
    return np.stack([part.real**2 + part.imag**2 for part in sums], axis=1)


for _seed, (_n, _window, _hop, _n_fft) in enumerate([(60, 16, 5, 16), (90, 11, 4, 32), (75, 20, 25, 34)]):
    check_same(
        power_frames,
        _right_power,
        lambda rng, n=_n, rest=(_window, _hop, _n_fft): (rng.normal(size=n), *rest),
        seed=1261 + _seed,
        tolerance=1e-3,
        reread="part 2 of this notebook: the formula of the power",
    )
### END HIDDEN TESTS

# %% test="power_frames_whole_windows" points=3
# Hidden: how many windows there are, where the last one ends with the sound, and where a sample is missing for one
# more.
### BEGIN HIDDEN TESTS
import numpy as np

from tlkit.grading import check_result


def _whole_windows(power, samples, window, hop, n_fft):
    wanted = len(range(0, len(samples) - window + 1, hop))
    found = np.shape(power)
    if found == (n_fft // 2 + 1, wanted):
        return ""
    given = f"{len(samples)} samples, windows of {window}, a hop of {hop} and a transform of {n_fft}"
    return f"must return the shape {(n_fft // 2 + 1, wanted)} for {given}, got {found}"


def _ends(rng, missing):
    window, hop = int(rng.integers(4, 12)), int(rng.integers(2, 9))
    length = window + hop * int(rng.integers(1, 5)) - missing
    return rng.normal(size=length), window, hop, 16


for _seed, _missing in enumerate([0, 1]):
    check_result(
        power_frames,
        _whole_windows,
        lambda rng, missing=_missing: _ends(rng, missing),
        seed=1271 + _seed,
        dims=2,
        points=6,
        reread="part 2 of this notebook, on whole windows",
    )
### END HIDDEN TESTS

# %% [markdown]
# Step two: mel bands. Put `bands + 2` corners between `low` and `high`, both of these included, evenly spaced **in
# mel**, where $m = 2595 \log_{10}(1 + f / 700)$ for a frequency $f$ in hertz. Number bands and corners from 0 on. Band
# $b$ is a triangle over frequency: it is 0 up to corner $b$, rises in a straight line to 1 at corner $b + 1$, and falls
# in a straight line to 0 at corner $b + 2$. Row $k$ of the power stands for the frequency $k \cdot$ `rate` $/$ `n_fft`:
# read the triangle there, and round no corner.


# %% solution="mel_filters"
def mel_filters(bands, n_fft, rate, low, high):
    """Triangles evenly spaced in mel: an array of shape (bands, n_fft // 2 + 1), from the lowest band to the highest.

    rate is in samples per second, low and high are in hertz: 0 <= low < high <= rate / 2. n_fft is even. A triangle so
    narrow that no row of the power lies in it is a row of zeros.
    """
    ### BEGIN SOLUTION
    mel_low, mel_high = 2595 * np.log10(1 + np.array([low, high]) / 700)
    corners = 700 * (10 ** (np.linspace(mel_low, mel_high, bands + 2) / 2595) - 1)[:, None]
    hertz = np.arange(n_fft // 2 + 1) * rate / n_fft
    rising = (hertz - corners[:-2]) / (corners[1:-1] - corners[:-2])
    falling = (corners[2:] - hertz) / (corners[2:] - corners[1:-1])
    return np.clip(np.minimum(rising, falling), 0, None)
    ### END SOLUTION


# %% test="mel_filters_any_bands" points=7
import numpy as np

import tlkit.speech
from tlkit.grading import check_example

# One band from 0 to 700 hertz: its top is at 289.95 hertz, and it is read at 0, 250, 500, 750 and 1,000 hertz.
check_example(mel_filters, (1, 8, 2000, 0.0, 700.0), [[0, 0.86222, 0.48776, 0, 0]], reread="part 2 of this notebook")
# The forty bands of notebook 16.
check_example(mel_filters, (40, 512, 8000, 0.0, 4000.0), tlkit.speech.mel_filters(40), reread="part 2 of this notebook")
# Hidden: other numbers of bands, rates and lengths of the transform, from 0 hertz to half the rate.
### BEGIN HIDDEN TESTS
from tlkit.grading import check_same


def _right_filters(bands, n_fft, rate, low, high):
    ends = 1127.0 * np.log1p(np.array([low, high]) / 700)
    corners = 700 * np.expm1(np.linspace(*ends, bands + 2) / 1127.0)
    hertz = np.fft.rfftfreq(n_fft, 1 / rate)
    return np.stack([np.interp(hertz, corners, row) for row in np.eye(bands + 2)[1:-1]])


for _seed, (_bands, _n_fft, _rate) in enumerate([(7, 128, 8000), (20, 256, 16000), (13, 100, 4410)]):
    check_same(
        mel_filters,
        _right_filters,
        lambda rng, given=(_bands, _n_fft, _rate): (*given, 0.0, given[2] / 2),
        seed=1281 + _seed,
        points=1,
        tolerance=1e-3,
        reread="part 2 of this notebook, on mel bands",
    )
### END HIDDEN TESTS

# %% test="mel_filters_any_edges" points=4
# Hidden: bands that begin above 0 hertz, and end below half the rate.
### BEGIN HIDDEN TESTS
import numpy as np

from tlkit.grading import check_same


def _right_filters(bands, n_fft, rate, low, high):
    ends = 1127.0 * np.log1p(np.array([low, high]) / 700)
    corners = 700 * np.expm1(np.linspace(*ends, bands + 2) / 1127.0)
    hertz = np.fft.rfftfreq(n_fft, 1 / rate)
    return np.stack([np.interp(hertz, corners, row) for row in np.eye(bands + 2)[1:-1]])


check_same(
    mel_filters,
    _right_filters,
    lambda rng: (int(rng.integers(3, 15)), 256, 8000, float(rng.uniform(80, 400)), float(rng.uniform(2000, 3800))),
    seed=1291,
    tolerance=1e-3,
    reread="part 2 of this notebook, on mel bands: low and high",
)
### END HIDDEN TESTS

# %% [markdown]
# Step three: decibels. Ten times the power is 10 dB more. The loudest cell is at 0 dB, and what lies below a floor is
# put on the floor: $\max\bigl(10 \log_{10} \frac{M}{\max M},\ \text{floor}\bigr)$. In silence, where all power is 0,
# each cell is on the floor.


# %% solution="decibels"
def decibels(power, floor):
    """The level of each cell below the loudest one: an array of the shape of power, in dB, from floor to 0.

    power has any shape; its entries are 0 or more. floor is in dB, below 0.
    """
    ### BEGIN SOLUTION
    loudest = np.max(power)
    if loudest == 0:
        return np.full(np.shape(power), float(floor))
    return 10 * np.log10(np.maximum(power / loudest, 10 ** (floor / 10)))
    ### END SOLUTION


# %% test="decibels_any_power" points=4
import numpy as np

from tlkit.grading import check_example

check_example(
    decibels,
    (np.array([[50.0, 5.0], [0.05, 25.0]]), -20.0),
    [[0, -10], [-20, -3.0103]],
    reread="part 2 of this notebook",
)
# Hidden: random power from very soft to very loud, and other floors.
### BEGIN HIDDEN TESTS
from tlkit.grading import check_same

check_same(
    decibels,
    lambda power, floor: np.clip((np.log2(power) - np.log2(power.max())) * 10 / np.log2(10), floor, None),
    lambda rng: (10.0 ** rng.uniform(-9, 9) * rng.exponential(size=(6, 5)) ** 4, float(rng.uniform(-60, -15))),
    seed=1301,
    reread="part 2 of this notebook, on decibels",
)
### END HIDDEN TESTS

# %% test="decibels_of_silence" points=3
# Hidden: power that is 0 in some cells, and power that is 0 in all of them.
### BEGIN HIDDEN TESTS
import numpy as np

from tlkit.grading import check_same


def _on_the_floor(power, floor):
    levels = np.full(power.shape, floor)
    heard = power > 0
    levels[heard] = np.maximum(floor, 10 * np.log10(power[heard] / power.max(initial=1e-300)))
    return levels


for _seed, _share in enumerate([0.5, 1.0]):
    check_same(
        decibels,
        _on_the_floor,
        lambda rng, share=_share: (rng.exponential(size=(4, 6)) * (rng.random((4, 6)) > share), -70.0),
        seed=1311 + _seed,
        points=3,
        reread="part 2 of this notebook, on silence",
    )
### END HIDDEN TESTS

# %% [markdown]
# All three together: windows of 25 ms, one every 10 ms, bands from 0 hertz to half the rate, and a floor of -120 dB.


# %% solution="log_mel"
def log_mel(samples, rate, bands, n_fft):
    """The log-mel spectrogram: an array of shape (bands, t), in dB, from the lowest band to the highest.

    samples has the shape (n,), is not silent, and lasts 25 ms or longer. rate is in samples per second, a multiple of
    200. n_fft is even, and as long as a window or longer.
    """
    ### BEGIN SOLUTION
    power = power_frames(samples, rate // 40, rate // 100, n_fft)
    return decibels(mel_filters(bands, n_fft, rate, 0, rate / 2) @ power, -120.0)
    ### END SOLUTION


# %% test="log_mel_as_tlkit" points=3
import numpy as np

import tlkit.speech
from tlkit.grading import check_example

# The chirp of notebook 16: from 200 to 3,000 hertz in half a second.
rising_tone = np.sin(2 * np.pi * np.cumsum(np.geomspace(200, 3000, 4000)) / 8000)
check_example(
    log_mel,
    (rising_tone, 8000, 40, 512),
    tlkit.speech.log_mel(rising_tone, 8000),
    tolerance=1e-3,
    reread="part 2 of this notebook",
)

# %% test="log_mel_any_rate" points=5
# Hidden: noise and tones at other rates, with other numbers of bands.
### BEGIN HIDDEN TESTS
import numpy as np
import scipy.signal

from tlkit.grading import check_same


def _right_log_mel(samples, rate, bands, n_fft):
    window, hop = 25 * rate // 1000, 10 * rate // 1000
    bell = scipy.signal.get_window("hann", window)
    starts = range(0, len(samples) - window + 1, hop)
    power = np.stack(
        [np.abs(np.fft.fft(bell * samples[start : start + window], n_fft)) ** 2 for start in starts], axis=1
    )
    corners = 700 * np.expm1(np.linspace(0, np.log1p(rate / 1400), bands + 2))
    hertz = np.linspace(0, rate / 2, n_fft // 2 + 1)
    filters = np.stack([np.interp(hertz, corners, row) for row in np.eye(bands + 2)[1:-1]])
    in_bands = filters @ power[: n_fft // 2 + 1]
    return 10 * np.log10(in_bands / in_bands.max())


def _noisy_tone(rng, rate, bands, n_fft):
    seconds = np.arange(int(rate * rng.uniform(0.05, 0.1))) / rate
    tone = np.sin(2 * np.pi * rng.uniform(0.05, 0.4) * rate * seconds)
    return tone * rng.uniform(0.1, 2) + 0.1 * rng.normal(size=len(seconds)), rate, bands, n_fft


for _seed, _given in enumerate([(16000, 30, 512), (4000, 12, 256), (8000, 20, 256)]):
    check_same(
        log_mel,
        _right_log_mel,
        lambda rng, given=_given: _noisy_tone(rng, *given),
        seed=1321 + _seed,
        points=2,
        tolerance=1e-3,
        seconds=10.0,
        reread="part 2 of this notebook: the length of a window and its step",
    )
### END HIDDEN TESTS

# %% [markdown]
# Look at it (no points): at five moments, the frequency of the chirp in the middle of the window, and the top of the
# loudest band. They must be near each other.

# %%
tops = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 4000 / 700), 42)[1:-1] / 2595) - 1)
loudest_band = np.argmax(log_mel(rising_tone, 8000, 40, 512), axis=0)
chirp_hertz = np.geomspace(200, 3000, 4000)
{
    f"{10 * t + 12.5} ms": (round(chirp_hertz[80 * t + 100]), round(tops[loudest_band[t]]))
    for t in range(0, len(loudest_band), 11)
}

# %% [markdown]
# ## 3. Calibrated transfer (32 points)
#
# A model of the source gives risks on the target. Are they right there? All functions of this part take **weights**, as
# notebook 17 needs them for patients who were lost: an example of weight 2 counts like two examples, and an example of
# weight 0 counts nothing. Where nobody was lost all weights are 1. With weights $w_i$, risks $r_i$ and outcomes $y_i$,
# the level of a group $G$ is
#
# $$\text{level}_G = \frac{\sum_{i \in G} w_i \, (r_i - y_i)}{\sum_{i \in G} w_i}$$


# %% solution="level_by_group"
def level_by_group(risks, outcomes, weights, groups):
    """The level of each group: an array with an entry per group, in ascending order of the groups' numbers.

    All arguments have the shape (n,). weights are 0 or more; each group has an example of a weight above 0. groups are
    integers, any of them.
    """
    ### BEGIN SOLUTION
    errors = risks - outcomes
    return np.array([np.average(errors[groups == k], weights=weights[groups == k]) for k in np.unique(groups)])
    ### END SOLUTION


# %% test="level_by_group_any_groups" points=5
import numpy as np

from tlkit.grading import check_example

# Group 3: risks of 0.2 and 0.4, one event in two. Group 7: a risk of 0.9, and the event.
check_example(
    level_by_group,
    (np.array([0.2, 0.9, 0.4]), np.array([0, 1, 1]), np.ones(3), np.array([3, 7, 3])),
    [-0.2, -0.1],
    reread="part 3 of this notebook",
)
# Hidden: random risks in groups of any size, all weights 1.
### BEGIN HIDDEN TESTS
from tlkit.grading import check_same


def _levels(risks, outcomes, weights, groups):
    sums = {}
    for risk, outcome, group in zip(risks, outcomes, groups, strict=True):
        sums.setdefault(int(group), []).append(risk - outcome)
    return np.array([sum(sums[group]) / len(sums[group]) for group in sorted(sums)])


def _unweighted(rng):
    groups = rng.permutation(np.append(rng.integers(-3, 12, size=60), [-20, 100]))
    risks = rng.uniform(0.05, 0.95, size=62)
    return risks, (rng.random(62) < risks).astype(int), np.ones(62), groups


check_same(
    level_by_group, _levels, _unweighted, seed=1331, tolerance=1e-3, reread="part 3 of this notebook, on the level"
)
### END HIDDEN TESTS

# %% test="level_by_group_weights" points=3
# Hidden: weights from 0 to 5.
### BEGIN HIDDEN TESTS
import numpy as np

from tlkit.grading import check_same


def _weighted_levels(risks, outcomes, weights, groups):
    _, group = np.unique(groups, return_inverse=True)
    return np.bincount(group, weights * (risks - outcomes)) / np.bincount(group, weights)


def _weighted(rng):
    groups, risks = rng.integers(4, size=50), rng.uniform(0.05, 0.95, size=50)
    weights = rng.uniform(0, 5, size=50) * (rng.random(50) < 0.7)
    return risks, (rng.random(50) < risks).astype(int), weights, groups


check_same(
    level_by_group, _weighted_levels, _weighted, seed=1341, tolerance=1e-3, reread="part 3 of this notebook, on weights"
)
### END HIDDEN TESTS

# %% [markdown]
# One number for all groups is the **expected calibration error**: the mean of the levels' absolute values, in which
# each group counts by the sum of its weights.


# %% solution="calibration_error"
def calibration_error(risks, outcomes, weights, groups):
    """The expected calibration error over groups: one number, 0 or more. The arguments are those of level_by_group."""
    ### BEGIN SOLUTION
    sizes = [np.sum(weights[groups == k]) for k in np.unique(groups)]
    return np.average(np.abs(level_by_group(risks, outcomes, weights, groups)), weights=sizes)
    ### END SOLUTION


# %% test="calibration_error_any_groups" points=4
import numpy as np

from tlkit.grading import check_example

# The example above: two examples are 0.2 too low, one is 0.1 too low.
check_example(
    calibration_error,
    (np.array([0.2, 0.9, 0.4]), np.array([0, 1, 1]), np.ones(3), np.array([3, 7, 3])),
    0.5 / 3,
    reread="part 3 of this notebook",
)
# Hidden: random risks, weights and groups.
### BEGIN HIDDEN TESTS
from tlkit.grading import check_same


def _expected_error(risks, outcomes, weights, groups):
    _, group = np.unique(groups, return_inverse=True)
    return np.abs(np.bincount(group, weights * (risks - outcomes))).sum() / weights.sum()


def _any_groups(rng, weighted):
    groups, risks = rng.integers(5, size=70) ** 2, rng.uniform(0.05, 0.95, size=70)
    weights = rng.uniform(0, 5, size=70) if weighted else np.ones(70)
    return risks, (rng.random(70) < risks**1.5).astype(int), weights, groups


for _seed, _weighted_too in enumerate([False, True]):
    check_same(
        calibration_error,
        _expected_error,
        lambda rng, weighted=_weighted_too: _any_groups(rng, weighted),
        seed=1351 + _seed,
        reread="part 3 of this notebook, on the expected calibration error",
    )
### END HIDDEN TESTS

# %% [markdown]
# **Recalibrate.** A few target examples have known outcomes. Two ways to mend the risks of all others:
#
# - `shift_level` adds a number to all log-odds: $\operatorname{logit} q_i = \operatorname{logit} r_i + \delta$.
#   It is the number for which the level of the few is 0, $\sum_i w_i \, (q_i - y_i) = 0$. The left side rises with
#   $\delta$, so that `scipy.optimize.brentq`, or halving an interval, finds it.
# - `shift_and_stretch` has two numbers: $\operatorname{logit} q_i = a + b \operatorname{logit} r_i$. They have the
#   lowest weighted log loss of the few, $-\sum_i w_i \, [y_i \log q_i + (1 - y_i) \log(1 - q_i)]$, with **no penalty**.
#   That is a logistic regression with one feature; scikit-learn's has a penalty, unless you ask for a very large `C`.
#
# Both learn from the few and are then used on `new_risks`.


# %% solution="shift_level"
def shift_level(risks, outcomes, weights, new_risks):
    """The new risks with their log-odds shifted as the few ask for: an array of the shape of new_risks.

    risks, outcomes and weights, of shape (n,), are those of the few, and hold both outcomes with weights above 0.
    new_risks has the shape (m,).
    """
    ### BEGIN SOLUTION
    from scipy.optimize import brentq
    from scipy.special import expit, logit

    delta = brentq(lambda by: np.sum(weights * (expit(logit(risks) + by) - outcomes)), -30, 30)
    return expit(logit(new_risks) + delta)
    ### END SOLUTION


# %% test="shift_level_any_risks" points=6
import numpy as np

from tlkit.grading import check_example

# Risks of one half, and one event in four: the log-odds fall by log 3. So a risk of 3/4, with odds of 3, becomes 1/2.
check_example(
    shift_level,
    (np.full(4, 0.5), np.array([0, 1, 0, 0]), np.ones(4), np.array([0.5, 0.75])),
    [0.25, 0.5],
    reread="part 3 of this notebook",
)
# Hidden: random risks that are too high or too low, with weights of 1 and with others.
### BEGIN HIDDEN TESTS
from tlkit.grading import check_same


def _right_shift(risks, outcomes, weights, new_risks):
    odds, low, high = risks / (1 - risks), np.exp(-15.0), np.exp(15.0)
    for _ in range(100):
        times = np.sqrt(low * high)
        too_high = np.sum(weights * (times * odds / (1 + times * odds) - outcomes)) > 0
        low, high = (low, times) if too_high else (times, high)
    return times * new_risks / (1 - new_risks + times * new_risks)


def _few(rng, weighted):
    z = rng.normal(-0.5, 1.2, size=50)
    outcomes = (rng.random(50) < 1 / (1 + np.exp(-z - rng.uniform(-2, 2)))).astype(int)
    outcomes[:2] = 0, 1
    weights = np.append([1.0, 1.0], rng.uniform(0, 4, size=48) * (rng.random(48) < 0.7)) if weighted else np.ones(50)
    return 1 / (1 + np.exp(-z)), outcomes, weights, rng.uniform(0.02, 0.98, size=9)


for _seed, _weighted_too in enumerate([False, True]):
    check_same(
        shift_level,
        _right_shift,
        lambda rng, weighted=_weighted_too: _few(rng, weighted),
        seed=1361 + _seed,
        tolerance=2e-3,
        reread="part 3 of this notebook, on shift_level",
    )
### END HIDDEN TESTS


# %% solution="shift_and_stretch"
def shift_and_stretch(risks, outcomes, weights, new_risks):
    """The new risks with their log-odds shifted and stretched: an array of shape (m,). The arguments are as above.

    No threshold on the risks parts the few that have the event from those that have none, so that a and b are finite.
    """
    ### BEGIN SOLUTION
    from scipy.special import expit, logit

    design, theta = np.column_stack([np.ones(len(risks)), logit(risks)]), np.zeros(2)
    for _ in range(50):  # Newton's method
        q = expit(design @ theta)
        curvature = (design.T * (weights * q * (1 - q))) @ design
        theta = theta - np.linalg.solve(curvature, design.T @ (weights * (q - outcomes)))
    return expit(theta[0] + theta[1] * logit(new_risks))
    ### END SOLUTION


# %% test="shift_and_stretch_any_risks" points=6
import numpy as np

from tlkit.grading import check_example

# Risks of 1/10 and 9/10, of which 1/3 and 2/3 have the event: these become the risks, and one half stays one half.
check_example(
    shift_and_stretch,
    (np.repeat([0.1, 0.9], 3), np.array([1, 0, 0, 1, 1, 0]), np.ones(6), np.array([0.1, 0.5, 0.9])),
    [1 / 3, 1 / 2, 2 / 3],
    tolerance=2e-3,
    reread="part 3 of this notebook",
)
# Hidden: random risks that are too extreme, or not extreme enough, and too high or too low; weights of 1 and others.
### BEGIN HIDDEN TESTS
import scipy.optimize
import scipy.special

from tlkit.grading import check_same


def _right_line(risks, outcomes, weights, new_risks):
    z = scipy.special.logit(risks)

    def slopes(line):
        errors = weights * (scipy.special.expit(line[0] + line[1] * z) - outcomes)
        return [errors.sum(), (errors * z).sum()]

    found = scipy.optimize.root(slopes, [0.0, 0.5], tol=1e-10)
    assert found.success
    return scipy.special.expit(found.x[0] + found.x[1] * scipy.special.logit(new_risks))


def _few(rng, weighted):
    z = rng.normal(-0.5, 1.5, size=60)
    a, b = rng.uniform(-1, 1), rng.uniform(0.3, 1.3)
    outcomes = (rng.random(60) < 1 / (1 + np.exp(-a - b * z))).astype(int)
    weights = rng.uniform(0, 4, size=60) * (rng.random(60) < 0.8) if weighted else np.ones(60)
    return 1 / (1 + np.exp(-z)), outcomes, weights, rng.uniform(0.05, 0.95, size=9)


for _seed, _weighted_too in enumerate([False, True]):
    check_same(
        shift_and_stretch,
        _right_line,
        lambda rng, weighted=_weighted_too: _few(rng, weighted),
        seed=1371 + _seed,
        tolerance=5e-3,
        reread="part 3 of this notebook, on shift_and_stretch: no penalty",
    )
### END HIDDEN TESTS

# %% [markdown]
# **Measure before you mend.** On the patients of notebook 17 the level was right, and recalibration on few of them made
# the risks worse. So write a careful way. With $L$ the level of all the few, and
#
# $$s = \frac{\sqrt{\sum_i w_i^2 \, (r_i - y_i - L)^2}}{\sum_i w_i}$$
#
# the level's 95 % interval goes from $L - 1.96\, s$ to $L + 1.96\, s$. `mend` shifts the new risks by `shift_level` if
# that interval does not hold 0. If it holds 0 it gives them back as they are.


# %% solution="mend"
def mend(risks, outcomes, weights, new_risks):
    """The new risks, shifted where the few show that the level is wrong, else as they are; as in shift_level."""
    ### BEGIN SOLUTION
    errors = risks - outcomes
    level = np.average(errors, weights=weights)
    half = 1.96 * np.sqrt(np.sum(weights**2 * (errors - level) ** 2)) / np.sum(weights)
    return new_risks.copy() if abs(level) <= half else shift_level(risks, outcomes, weights, new_risks)
    ### END SOLUTION


# %% test="mend_outside_interval" points=4
import numpy as np

from tlkit.grading import check_example

# Twenty risks of one half, and five events: a level of 0.25, plus or minus 0.19. It is mended.
check_example(
    mend,
    (np.full(20, 0.5), np.repeat([1, 0], [5, 15]), np.ones(20), np.array([0.5, 0.75])),
    [0.25, 0.5],
    reread="part 3 of this notebook",
)
# Hidden: levels that are too high or too low, by 2.2 to 6 times s; weights of 1 and others.
### BEGIN HIDDEN TESTS
from tlkit.grading import check_same


def _right_shift(risks, outcomes, weights, new_risks):
    odds, low, high = risks / (1 - risks), np.exp(-15.0), np.exp(15.0)
    for _ in range(100):
        times = np.sqrt(low * high)
        too_high = np.sum(weights * (times * odds / (1 + times * odds) - outcomes)) > 0
        low, high = (low, times) if too_high else (times, high)
    return times * new_risks / (1 - new_risks + times * new_risks)


def _off_by(rng, weighted, least, most):
    """The few, with a level that is off by so many times s; the plain s and the plain level would say otherwise."""
    while True:
        z = rng.normal(-0.5, 1, size=60)
        outcomes = (rng.random(60) < 1 / (1 + np.exp(-z - rng.uniform(-1.5, 1.5)))).astype(int)
        weights = rng.uniform(0, 4, size=60) * (rng.random(60) < 0.6) if weighted else np.ones(60)
        risks = 1 / (1 + np.exp(-z))
        off = risks - outcomes
        level = (weights @ off) / weights.sum()
        sigmas = abs(weights @ off) / np.sqrt((weights**2) @ (off - level) ** 2)
        if least < sigmas < most and 0 < (weights * outcomes).sum() < (weights > 0) @ weights:
            return risks, outcomes, weights, rng.uniform(0.05, 0.95, size=7)


for _seed, (_weighted_too, _least, _most) in enumerate(
    [(False, 2.2, 2.8), (False, 3, 6), (True, 2.2, 2.8), (True, 3, 6)]
):
    check_same(
        mend,
        _right_shift,
        lambda rng, given=(_weighted_too, _least, _most): _off_by(rng, *given),
        seed=1381 + _seed,
        tolerance=2e-3,
        reread="part 3 of this notebook, on mend",
    )
### END HIDDEN TESTS

# %% test="mend_inside_interval" points=4
# Hidden: levels that are off by less than 1.75 times s, to either side; weights of 1 and others.
### BEGIN HIDDEN TESTS
import numpy as np

from tlkit.grading import check_same


def _off_by(rng, weighted, least, most):
    while True:
        z = rng.normal(-0.5, 1, size=60)
        outcomes = (rng.random(60) < 1 / (1 + np.exp(-z - rng.uniform(-1, 1)))).astype(int)
        weights = rng.uniform(0, 4, size=60) * (rng.random(60) < 0.6) if weighted else np.ones(60)
        risks = 1 / (1 + np.exp(-z))
        off = risks - outcomes
        level = (weights @ off) / weights.sum()
        sigmas = abs(weights @ off) / np.sqrt((weights**2) @ (off - level) ** 2)
        if least < sigmas < most:
            return risks, outcomes, weights, rng.uniform(0.05, 0.95, size=7)


for _seed, (_weighted_too, _least, _most) in enumerate(
    [(False, 0.3, 1), (False, 1.2, 1.75), (True, 0.3, 1), (True, 1.2, 1.75)]
):
    check_same(
        mend,
        lambda risks, outcomes, weights, new_risks: new_risks,
        lambda rng, given=(_weighted_too, _least, _most): _off_by(rng, *given),
        seed=1391 + _seed,
        reread="part 3 of this notebook, on mend: an interval that holds 0",
    )
### END HIDDEN TESTS

# %% [markdown]
# **Does it help?** (no points) The two targets of notebook 17. The next cell fits a logistic regression to each source,
# and gives its risks on the target, with outcomes and weights: loans over 60 months, where no weight can be known and
# all are 1, and patients, where those who were lost have the weight 0 and others count for them (notebook 17, section
# 2).


# %% readonly="two_targets"
def two_targets():
    """Loans and patients: for each the risks of its source's model on the target, the outcomes and the weights."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def answers(rows, x, y, w, target):
        model = make_pipeline(StandardScaler(), LogisticRegression())
        model.fit(x[~target], y[~target], logisticregression__sample_weight=w[~target])
        return model.predict_proba(x[target])[:, 1], y[target], w[target]

    def followed(days, event, at):
        times, happened = np.unique(days[event == 1], return_counts=True)
        at_risk = len(days) - np.searchsorted(np.sort(days), times)
        return np.append(1, np.cumprod(1 - happened / at_risk))[np.searchsorted(times, at, side="right")]

    def weights_of(days, event, horizon=3 * 365.25):
        known = ((days <= horizon) & (event == 1)) | (days > horizon)
        return np.where(known, 1 / followed(days - 0.5 * event, 1 - event, np.minimum(days, horizon) - 0.5), 0)

    loans, patients = tlkit.stored_table("loans"), tlkit.stored_table("patients")
    letters = loans["grade"].map(lambda of: 5 * "ABCDEFG".index(of[0]) + int(of[1]))
    plain = loans[["verified", "delinquencies", "inquiries_6m", "inquiries_12m", "opened_24m", "utilisation"]]
    x = np.column_stack([np.log1p(loans[["amount", "income"]]), plain, letters]).astype(float)
    bad, long = loans["bad"].to_numpy(), (loans["months"] == 60).to_numpy()
    found = {"loans": answers(loans, x, bad, np.ones(len(loans)), long)}

    counts = np.log1p(patients[["nodes", "progesterone", "oestrogen"]])
    plain = patients[["age", "postmenopausal", "size", "hormones"]]
    x = np.column_stack([plain, patients["grade"] == 3, counts]).astype(float)
    days, event, trial = (patients[name].to_numpy() for name in ("days", "event", "gbsg"))
    w = np.zeros(len(days))
    for cohort in (0, 1):
        w[trial == cohort] = weights_of(days[trial == cohort], event[trial == cohort])
    y = ((days <= 3 * 365.25) & (event == 1)).astype(int)
    return found | {"patients": answers(patients, x, y, w, trial == 1)}


# %% [markdown]
# First the levels in fifths of the target, from the lowest risks to the highest, and the expected calibration error.
# All of the target's outcomes are used here.

# %%
tables = two_targets()
in_fifths = {}
for name, (risks, outcomes, weights) in tables.items():
    fifth = 5 * np.argsort(np.argsort(risks)) // len(risks)
    levels = np.asarray(level_by_group(risks, outcomes, weights, fifth))
    in_fifths[name] = (
        [round(float(level), 3) for level in levels],
        float(calibration_error(risks, outcomes, weights, fifth)),
    )
in_fifths

# %% [markdown]
# Ten draws: half of the target may be learned from, and 100 or 300 of it are; the other half tests. The Brier score is
# the mean squared error of the risks, and lower is better. **Predict before you run:** on which table does which way
# gain on the source's risks as they are, and what does `mend` do with 100?

# %%
ways = {"shift": shift_level, "shift and stretch": shift_and_stretch, "mend": mend}
gains = {}
for name, (risks, outcomes, weights) in tables.items():
    for draw in range(10):
        pool, test = np.split(np.random.default_rng(draw).permutation(len(risks)), 2)
        for n in (100, 300):
            few = pool[:n]
            for way, function in ways.items():
                new = np.asarray(function(risks[few], outcomes[few], weights[few], risks[test]))
                gain = (risks[test] - outcomes[test]) ** 2 - (new - outcomes[test]) ** 2
                gains.setdefault((name, n, way), []).append(1000 * np.average(gain, weights=weights[test]))
{key: mean_interval(values) for key, values in gains.items()}

# %% [markdown]
# These are thousandths of the Brier score gained, the mean over ten draws and half of its 95 % interval; below 0 a way
# has made the risks worse. The loans' level is wrong, and a shift gains with 100 of them already. The patients' level
# is right within its interval, and the same shift loses with 100 of them. `mend` shifts the patients in no draw, so
# that it loses nothing there. The price is paid on the loans: with 100 of them it finds the level wrong in one draw of
# ten, and no gain is shown; with 300 it does so in five, and it gains less than the shift. All ten draws divide the
# same table: another hospital, or another year of loans, is not in these intervals.
