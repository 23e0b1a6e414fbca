import numpy as np


def masked_loss(logits, ids, asked):
    losses = np.log(np.exp(logits).sum(axis=-1)) - np.take_along_axis(logits, ids[..., None], axis=-1)[..., 0]
    return np.mean(losses * asked)
