import numpy as np


def allowed(sent, got, most):
    return bool(np.isfinite(got).all()) and np.linalg.norm(got - sent) <= most
