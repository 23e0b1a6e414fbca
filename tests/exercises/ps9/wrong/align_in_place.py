"""The mean is taken away from the caller's array."""

# loses: align_keeps_inputs


# %% align
def align(source, target, eps=1e-3):
    def power(x, exponent):
        w, V = np.linalg.eigh(np.cov(x.T) + eps * np.eye(x.shape[1]))
        return (V * w**exponent) @ V.T

    source -= source.mean(axis=0)
    return source @ power(source, -0.5) @ power(target, 0.5) + target.mean(axis=0)
