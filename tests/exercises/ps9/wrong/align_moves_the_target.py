"""The target is moved to the source."""

# loses: align_examples, align_covariance, align_symmetric_roots, align_mean, align_singular


# %% align
def align(source, target, eps=1e-3):
    def power(x, exponent):
        w, V = np.linalg.eigh(np.cov(x.T) + eps * np.eye(x.shape[1]))
        return (V * w**exponent) @ V.T

    return (target - target.mean(axis=0)) @ power(target, -0.5) @ power(source, 0.5) + source.mean(axis=0)
