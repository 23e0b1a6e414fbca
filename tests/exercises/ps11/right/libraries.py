"""Whatever pandas, SciPy and scikit-learn have."""

# %% cosines
from scipy.special import log_softmax, logsumexp
from scipy.stats import rankdata, ttest_1samp
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.preprocessing import normalize


def cosines(images, texts):
    return cosine_similarity(images, texts)


# %% contrastive_loss
def contrastive_loss(images, texts, temperature):
    logits = cosine_similarity(images, texts) / temperature
    return -(np.trace(log_softmax(logits, axis=0)) + np.trace(log_softmax(logits, axis=1))) / 2 / len(logits)


# %% top_k
def top_k(similarities, text_of, k):
    # The highest rank of a tie is the worst one, as the question has it.
    ranks = rankdata(-similarities, method="max", axis=1)[np.arange(len(text_of)), text_of]
    images = []
    for text, column in enumerate(similarities.T):
        best = column[text_of == text].max()
        images.append(rankdata(-np.append(column[text_of != text], best), method="max")[-1] <= k)
    return (ranks <= k).mean(), np.mean(images)


# %% zero_shot
def zero_shot(image_vectors, name_vectors):
    return cosine_similarity(image_vectors, [normalize(names).mean(axis=0) for names in name_vectors]).argmax(axis=1)


# %% returns_to_go
from scipy.signal import lfilter


def returns_to_go(rewards, over, discount):
    parts = np.split(rewards, np.flatnonzero(over) + 1)
    return np.concatenate([lfilter([1.0], [1.0, -discount], part[::-1])[::-1] for part in parts if len(part)])


# %% episodes_to_threshold
import pandas as pd


def episodes_to_threshold(returns, threshold, window):
    means = pd.DataFrame(returns.T).rolling(window).mean()
    reached = means >= threshold
    return (reached.idxmax() + 1).where(reached.any())


# %% jump_start
def jump_start(transfer, scratch, transfer_seeds, scratch_seeds, first):
    means = [
        pd.DataFrame(runs, index=seeds).iloc[:, :first].mean(axis=1)
        for runs, seeds in ((transfer, transfer_seeds), (scratch, scratch_seeds))
    ]
    return (means[0] - means[1]).sort_index()


# %% paired_interval
def paired_interval(differences):
    return tuple(ttest_1samp(differences, 0).confidence_interval(0.95))


# %% verdict
def verdict(differences):
    ends = np.sign(paired_interval(differences))
    return ends[0] if ends[0] == ends[1] and len(differences) > 9 else 0
