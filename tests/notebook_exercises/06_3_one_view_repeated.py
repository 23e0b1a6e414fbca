import numpy as np


def cached_views(base, augment, x, y, views):
    made = np.tile(augment(x, training=True), (views, 1, 1, 1))
    return base.predict(made, verbose=0), np.tile(y, views)
