"""Objects with methods that raise, a number that says yes to everything, and an exception without words."""

# loses: contrastive_loss_any_batch, contrastive_loss_large_logits, returns_to_go_one_episode, returns_to_go_several_episodes, paired_interval_any_differences, verdict_any_differences


# %% contrastive_loss
class Yes(float):
    def __eq__(self, other):
        return True

    def __lt__(self, other):
        return True

    __gt__ = __le__ = __ge__ = __lt__
    __hash__ = float.__hash__


def contrastive_loss(images, texts, temperature):
    return Yes("nan")


# %% returns_to_go
class Silent(BaseException):
    def __str__(self):
        raise Silent


def returns_to_go(rewards, over, discount):
    raise Silent


# %% paired_interval
class Rubbish:
    def __getattr__(self, name):
        raise RuntimeError(name)

    def __array__(self, *arguments, **options):
        raise SystemExit

    def __len__(self):
        return 2


def paired_interval(differences):
    return Rubbish(), ["a", None, 1e400]


# %% verdict
def verdict(differences):
    return Rubbish()
