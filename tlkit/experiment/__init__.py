"""The transfer experiment without a screen: one backbone, trained run after run, scored on both domains.

    experiment = Experiment(tlkit.load_pair(), tlkit.load_backbone("resnet_printed"))
    for seed in range(10):
        experiment.run(Settings(frozen=4, epochs=20, seed=seed))
    experiment.results

What a run needs is kept from run to run: features at the boundary, and the graph of a training step for each choice of
frozen layers. So a second run begins at once, where ``fit`` would compile first. :class:`tlkit.widgets.FreezeLab` is a
view of it.
"""

from tlkit.experiment.experiment import Experiment
from tlkit.experiment.settings import Baselines, Run, Settings, StageInfo

__all__ = ["Baselines", "Experiment", "Run", "Settings", "StageInfo"]
