import numpy as np


def masked_loss(logits, ids, asked):
    log_sum = np.log(np.exp(logits).sum(axis=-1))
    return np.mean(log_sum - np.take_along_axis(logits, ids[..., None], axis=-1)[..., 0])
