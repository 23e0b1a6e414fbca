"""Covariances divided by n: their ratio is not right where n and m differ."""

# loses: align_covariance, align_symmetric_roots, align_singular


# %% align
def align(source, target, eps=1e-3):
    def power(x, exponent):
        w, V = np.linalg.eigh(np.cov(x.T, bias=True) + eps * np.eye(x.shape[1]))
        return (V * w**exponent) @ V.T

    return (source - source.mean(axis=0)) @ power(source, -0.5) @ power(target, 0.5) + target.mean(axis=0)
