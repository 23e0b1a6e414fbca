"""Makes tlkit's scores perfect: what is scored with them comes out wrong."""

# loses: compare_scores

# %% load_target
import tlkit.evaluation

tlkit.evaluation.accuracy = lambda model, split: 1.0
tlkit.evaluation.predict_classes = lambda model, split: split.y


def load_target():
    mnist = tlkit.load_domain("mnist")
    return tlkit.Domain("digits by hand", mnist.train.take(40, seed=0), mnist.test.take(40, seed=0), mnist.classes)
