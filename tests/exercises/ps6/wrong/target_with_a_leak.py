"""The test images were training images before."""

# loses: target_has_no_leak


# %% load_target
def load_target():
    mnist = tlkit.load_domain("mnist")
    return tlkit.Domain("digits", mnist.train.take(40, seed=0), mnist.train.take(60, seed=0)[300:], mnist.classes)
