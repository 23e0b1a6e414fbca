"""Every random draw becomes zero, where anything is right. The grader notices."""

# loses: split_by_group_examples, split_by_group_keeps_groups_whole, split_by_group_uses_every_image, split_by_group_test_fraction, split_by_group_drawn_by_seed, find_copies_any_images, zero_shot_same_classes, zero_shot_any_order, zero_shot_other_source_classes, accuracy_by_class_any_labels, crop_to_ink_any_image, box_size_any_shape, centred_keeps_ink, centred_by_mass, framed_any_image


# %% split_by_group
class Zeros:
    def random(self, size=None):
        return np.zeros(size or ())

    normal = integers = choice = permutation = random


np.random.default_rng = lambda seed=None: Zeros()


def split_by_group(groups, test_fraction, seed):
    return [0], [1]
