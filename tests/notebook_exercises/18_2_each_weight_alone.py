import numpy as np


def allowed(sent, got, most):
    return sent.shape == got.shape and bool(np.isfinite(got).all()) and np.abs(got - sent).max() <= most
