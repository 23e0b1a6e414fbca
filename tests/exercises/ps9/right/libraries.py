"""scipy and scikit-learn do the work."""

# %% nt_xent
from scipy.spatial.distance import cdist
from scipy.special import log_softmax


def nt_xent(a, b, temperature):
    views = np.vstack([a, b])
    logits = (1 - cdist(views, views, "cosine")) / temperature
    logits[np.diag_indices(len(views))] = -np.inf
    logs = log_softmax(logits, axis=1)
    n = len(a)
    return -(np.diag(logs, n).sum() + np.diag(logs, -n).sum()) / (2 * n)


# %% reversal_strength
from scipy.special import expit


def reversal_strength(p):
    return 2 * expit(10 * np.asarray(p)) - 1


# %% dann_losses
from scipy.special import log_expit


def dann_losses(W, v, u, x_source, y_source, x_target):
    label = -np.where(y_source == 1, log_expit(x_source @ (W @ v)), log_expit(-x_source @ (W @ v))).mean()
    domain = np.concatenate([-log_expit(-x_source @ (W @ u)), -log_expit(x_target @ (W @ u))])
    weights = np.concatenate([np.full(len(x_source), 1 / len(x_source)), np.full(len(x_target), 1 / len(x_target))])
    return label, np.average(domain, weights=weights)


# %% dann_gradients
def dann_gradients(W, v, u, x_source, y_source, x_target, strength):
    x = np.vstack([x_source, x_target])
    n, m = len(x_source), len(x_target)
    is_target = np.repeat([0.0, 1.0], [n, m])
    features = x @ W
    label_error = np.where(is_target, 0, expit(features @ v) - np.pad(y_source, (0, m))) / n
    domain_error = (expit(features @ u) - is_target) / np.repeat([2 * n, 2 * m], [n, m])
    to_features = np.outer(label_error, v) - strength * np.outer(domain_error, u)
    return x.T @ to_features, features.T @ label_error, features.T @ domain_error


# %% align
from scipy.linalg import fractional_matrix_power


def align(source, target, eps=1e-3):
    C_s, C_t = (np.cov(x, rowvar=False) + np.identity(x.shape[1]) * eps for x in (source, target))
    matrix = fractional_matrix_power(C_s, -0.5) @ fractional_matrix_power(C_t, 0.5)
    return np.real(np.subtract(source, source.mean(0)) @ matrix) + target.mean(0)


# %% adapt_and_predict
from sklearn.linear_model import LogisticRegression


def adapt_and_predict(x_source, y_source, x_target):
    model = LogisticRegression(max_iter=2000)
    return model.fit(align(x_source, x_target, eps=1e-6), y_source).predict(x_target)


# %% mean_entropy
from scipy.stats import entropy


def mean_entropy(probabilities):
    return entropy(probabilities, axis=1).mean()


# %% choose
import pandas as pd


def choose(probabilities_by_setting):
    return pd.Series({name: mean_entropy(p) for name, p in probabilities_by_setting.items()}).idxmin()


# %% information_maximization
from scipy.special import rel_entr


def information_maximization(probabilities):
    return rel_entr(probabilities, probabilities.mean(axis=0)).sum(axis=1).mean()


# %% choose_by_information
def choose_by_information(probabilities_by_setting):
    return pd.Series({name: information_maximization(p) for name, p in probabilities_by_setting.items()}).idxmax()


# %% honest_gap
def honest_gap(target_scores, chosen_by_scorer):
    table = pd.DataFrame(target_scores)
    return (table.max(axis=1) - [table.loc[i, k] for i, k in enumerate(chosen_by_scorer)]).mean()
