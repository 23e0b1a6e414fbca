"""No cell of a notebook fails because its learner has used the widgets above it, or because a run is still going on."""

import re

import build_notebooks
import pytest
from helpers import KERAS_SAVES_WITH_A_WARNING
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell

from tlkit import widgets

# After each cell the kernel uses each widget that was shown, in every way that a later cell might see.
LEARNER = """
from tlkit import widgets

shown_by_cells, used = [], set()


def use(shown):
    if isinstance(shown, widgets.FreezeLab) and shown.status == "idle":
        shown.freeze_to(4)
        shown.epochs, shown.per_class, shown.head_first = 1, 2, not shown.head_first
        shown.train()
        shown.epochs = 10_000
        shown.train(wait=False)  # and goes on to the notebook's end
    elif isinstance(shown, widgets.DomainCompare):
        shown.labels_per_class, shown.overlay = shown.label_choices[-1], True
        shown.pick_largest_error("source")
    elif isinstance(shown, widgets.GradientExplorer):
        shown.logits, shown.target, shown.temperature, shown.learning_rate = (9, -9, 0), 2, 3.0, 10.0
    elif isinstance(shown, widgets.DomainFlow):
        shown.training, shown.epoch = shown.trainings[-1], shown.epochs[-1]
    elif isinstance(shown, widgets.FeatureMap):
        shown.stage, shown.picked = 0, 7
    elif isinstance(shown, widgets.CaptionSearch):
        shown.find("zebra")
    elif isinstance(shown, widgets.Predict) and shown.guessed is None:
        shown.guess(*(shown.between or shown.choices[:1]))


def after_a_cell(ran):
    if type(ran.result).__name__ in widgets.__all__:
        shown_by_cells.append(ran.result)
    for shown in shown_by_cells:
        use(shown)
        used.add(type(shown).__name__)


get_ipython().events.register("post_run_cell", after_a_cell)
"""
SHOWS = re.compile(rf"^\w+ = ({'|'.join(name for name in widgets.__all__ if name != 'Predict')})\(", re.MULTILINE)
SOURCES = {
    source.stem: names
    for source in build_notebooks.sources([])
    if (names := set(SHOWS.findall(source.read_text(encoding="utf-8"))))
}


@pytest.mark.slow
@pytest.mark.bank
@pytest.mark.filterwarnings(KERAS_SAVES_WITH_A_WARNING)
@pytest.mark.parametrize("notebook", SOURCES)
def test_a_learner_may_use_each_widget_as_soon_as_it_is_there(notebook: str) -> None:
    (source,) = build_notebooks.sources([notebook])
    learning = build_notebooks.read_source(source)
    learning.cells.insert(0, new_code_cell(LEARNER))
    learning.cells.append(new_code_cell("used"))
    folder = {"metadata": {"path": build_notebooks.NOTEBOOKS}}
    NotebookClient(learning, timeout=600, kernel_name="python3", resources=folder).execute()
    assert set(eval(learning.cells[-1].outputs[0].data["text/plain"])) - {"Predict"} == SOURCES[notebook]
