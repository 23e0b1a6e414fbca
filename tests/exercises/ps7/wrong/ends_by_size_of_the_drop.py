"""Takes a gain for a drop: compares without the sign."""

# loses: best_and_worst_any_matrix


# %% best_and_worst
def best_and_worst(matrix, names):
    drops = {
        (source, target): abs(matrix[j, j] - matrix[i, j])
        for i, source in enumerate(names)
        for j, target in enumerate(names)
        if i != j
    }
    return min(drops, key=drops.get), max(drops, key=drops.get)
