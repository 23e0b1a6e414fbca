"""Takes the names that the notebook and its tests use, the oracles among them."""

# %% best_and_worst
_mean_by_loops = _attention_by_loops = _recalls = _matrix_by_loops = _paired = _ends = _balanced = lambda *a, **k: 0
_encoder = _rng = _seed = _runs = _calls = _answered = _candidates = _x = _y = _wanted = parrot = first = second = None
check_same = check_result = check_example = call_student = says_one = pairs_found = chosen_of_two = lambda *a, **k: 0
vector_probe = limits = None


def best_and_worst(matrix, names):
    drops = {
        (source, target): matrix[j, j] - matrix[i, j]
        for i, source in enumerate(names)
        for j, target in enumerate(names)
        if i != j
    }
    return min(drops, key=drops.get), max(drops, key=drops.get)
