"""tlkit's own functions, wherever there is one."""

# %% choose_boundary
import pandas as pd


def choose_boundary(validation, test):
    table = pd.DataFrame({"validation": validation.mean(axis=1), "test": test.mean(axis=1)})
    good = table[table["validation"] >= table["validation"].max() - 0.01]
    return good.index[-1], good["test"].iloc[-1]


# %% freeze_stages
def freeze_stages(backbone, stage):
    return tlkit.freeze_to(backbone, stage)


# %% measure_forgetting
def measure_forgetting(backbone, source_head, source_test, tune):
    def scores():
        return tlkit.PairScores(source=tlkit.accuracy(tlkit.join(backbone.model, source_head), source_test), target=0)

    before = scores()
    tune()
    return tlkit.forgetting(before, scores())


# %% repaired
def repaired(backbone, head, train):
    tlkit.fine_tune(
        backbone, head, train, stage=2 if backbone.n_stages == 3 else 3, epochs=15, learning_rate=0.02, two_phase=True
    )
    return tlkit.join(backbone.model, head)
