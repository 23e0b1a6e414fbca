"""Objects with methods that raise, parts of other types, and an exception without words."""

# loses: two_splits_no_speaker_in_both, two_splits_sizes, two_splits_at_random, two_splits_seed, flattery_examples, flattery_any_people, level_by_group_any_groups, level_by_group_weights, calibration_error_any_groups


# %% two_splits
class Rubbish:
    def __getattr__(self, name):
        raise RuntimeError(name)

    def __array__(self, *arguments, **options):
        raise SystemExit

    def __len__(self):
        return -1

    def __eq__(self, other):
        return True


def two_splits(speakers, tested, n_train, seed):
    return Rubbish(), ["a", None, 1e400], {"at_random": 1}


# %% flattery
def flattery(x, y, speakers, n_tested, n_train, draws, score):
    score(Rubbish(), None, "x", [[]])
    return [[score, Rubbish()]] * draws


# %% level_by_group
class Silent(BaseException):
    def __str__(self):
        raise Silent


def level_by_group(risks, outcomes, weights, groups):
    raise Silent


# %% calibration_error
def calibration_error(risks, outcomes, weights, groups):
    return Rubbish()
