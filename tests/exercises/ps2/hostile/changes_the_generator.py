"""Every random draw becomes zero, where anything is right. The grader notices."""

# loses: split_by_group_examples, split_by_group_keeps_groups_whole, split_by_group_uses_every_image, split_by_group_test_fraction, split_by_group_drawn_by_seed


# %% split_by_group
class Zeros:
    def random(self, size=None):
        return np.zeros(size or ())

    normal = integers = choice = permutation = random


np.random.default_rng = lambda seed=None: Zeros()


def split_by_group(groups, test_fraction, seed):
    return [0], [1]
