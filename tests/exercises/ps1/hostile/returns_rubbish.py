"""Objects with methods that raise, and an exception without words."""

# loses: sgd_step_any_gradient, adam_step_examples, adam_step_first_step, adam_step_later_steps, adam_step_keeps_inputs


# %% sgd_step
class Rubbish:
    def __getattr__(self, name):
        raise RuntimeError(name)

    def __array__(self, *arguments, **options):
        raise SystemExit

    def __len__(self):
        return -1


def sgd_step(theta, gradient, learning_rate):
    return Rubbish()


# %% adam_step
class Silent(BaseException):
    def __str__(self):
        raise Silent


def adam_step(*arguments, **options):
    raise Silent
