"""The mean is put back, and was never taken away."""

# loses: align_examples, align_mean


# %% align
def align(source, target, eps=1e-3):
    def power(x, exponent):
        w, V = np.linalg.eigh(np.cov(x.T) + eps * np.eye(x.shape[1]))
        return (V * w**exponent) @ V.T

    return source @ power(source, -0.5) @ power(target, 0.5) + target.mean(axis=0)
