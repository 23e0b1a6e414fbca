"""Tests on what the target's own probe learns from."""

# loses: cross_domain_any_domains


# %% cross_domain
def cross_domain(domains, probe):
    parts = list(domains.values())
    matrix = np.zeros((len(parts), len(parts)))
    for i, (x, y, _, _) in enumerate(parts):
        for j, (other_x, other_y, x_test, y_test) in enumerate(parts):
            matrix[i, j] = balanced_accuracy(other_y, probe(x, y, other_x))
    return matrix
