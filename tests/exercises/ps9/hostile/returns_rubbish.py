"""Objects with methods that raise, names that are no names, and an exception without words."""

# loses: choose_any_settings, choose_by_information_any_settings, fool_the_entropy_by_numbers, honest_gap_any_scores


# %% choose
class Equal(str):
    def __eq__(self, other):
        return True

    def __hash__(self):
        return 0


def choose(probabilities_by_setting):
    return Equal("any")


# %% choose_by_information
class Rubbish:
    def __getattr__(self, name):
        raise RuntimeError(name)

    def __array__(self, *arguments, **options):
        raise SystemExit

    def __len__(self):
        return -1

    def __eq__(self, other):
        return True


def choose_by_information(probabilities_by_setting):
    return Rubbish()


# %% fool_the_entropy
def fool_the_entropy():
    return Rubbish(), [[[]]], {"better": 1}


# %% honest_gap
class Silent(BaseException):
    def __str__(self):
        raise Silent


def honest_gap(target_scores, chosen_by_scorer):
    raise Silent
