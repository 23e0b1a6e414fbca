def cached_views(base, augment, x, y, views):
    made = augment(x, training=True)
    return base.predict(made, verbose=0), y
