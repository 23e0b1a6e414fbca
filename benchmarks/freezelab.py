"""FreezeLab: from Train to a result, against fine_tune; and how soon the page answers, in a real JupyterLab."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.measure import alternate, ratios, summary

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

EPOCHS, PER_CLASS = 20, 10

NOTEBOOK = """import tlkit
from tlkit.widgets import FreezeLab
lab = FreezeLab(tlkit.load_pair(), tlkit.load_backbone("resnet_printed"))
lab.measures_scratch = False
lab.freeze_to(3)
lab.train()
"""

# Milliseconds from an action on the page until what it changes matches a selector.
ANSWER = """async ([act, selector]) => {
    const began = performance.now();
    if (document.querySelector(selector)) throw new Error(selector + ' is there already');
    const seen = new Promise(resolve => {
        const look = () => document.querySelector(selector) && (watcher.disconnect(), resolve());
        const watcher = new MutationObserver(look);
        watcher.observe(document.body, {subtree: true, childList: true, attributes: true});
    });
    const {press, key} = act;
    const element = document.querySelector(press);
    if (key) element.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}));
    else element.click();
    await seen;
    return performance.now() - began;
}"""


def run(repeats: int = 3) -> dict[str, Any]:
    """Seconds, warm, on resnet_printed with 100 labels of mnist and 20 epochs; answers of the page, 20 of each."""
    return {"training": _training(repeats), "page": _page()}


def _training(repeats: int) -> dict[str, Any]:
    import tlkit
    from tlkit.widgets import FreezeLab

    pair = tlkit.load_pair()
    lab = FreezeLab(pair, tlkit.load_backbone("resnet_printed"))
    lab.measures_scratch = False
    few = pair.target.train.take(PER_CLASS, seed=0)
    results: dict[str, Any] = {}
    for stage in range(lab.backbone.n_stages + 1):

        def with_lab(stage: int = stage) -> None:
            lab.freeze_to(stage)
            lab.train()

        def with_fine_tune(stage: int = stage) -> None:
            backbone = tlkit.load_backbone("resnet_printed")
            head = tlkit.build_head(backbone, 10)
            tlkit.fine_tune(backbone, head, few, stage=stage, epochs=EPOCHS, learning_rate=1e-3, progress=False)
            source_head = tlkit.load_source_head(backbone, pair.source.classes)
            tlkit.score_pair(backbone, source_head, head, pair)

        contestants = {"fine_tune and score_pair": with_fine_tune, "FreezeLab": with_lab}
        alternate(contestants, 1)  # does not count: features are computed, graphs are built
        times = alternate(contestants, repeats)
        results[f"stage {stage}"] = {**times, **ratios(times, ("fine_tune and score_pair", "FreezeLab"))}
    return results


def _page() -> dict[str, Any]:
    from lab_in_browser import browser, jupyterlab, open_notebook, run_all, write_notebook

    def answers(page: Any, there: tuple[dict[str, str], str], back: tuple[dict[str, str], str]) -> dict[str, float]:
        times = [page.evaluate(ANSWER, list(action)) / 1000 for _ in range(10) for action in (there, back)]
        return summary(times)

    with tempfile.TemporaryDirectory() as folder, jupyterlab(Path(folder)) as server, browser() as chromium:
        page = chromium.new_page(viewport={"width": 1280, "height": 1100})
        write_notebook(server, "lab.ipynb", [NOTEBOOK, "lab"])
        open_notebook(page, server, "lab.ipynb")
        run_all(page)
        page.wait_for_selector("button.tlkit-train:not([disabled])")
        handle = ".tlkit-freeze-to .noUi-handle"
        slider = answers(
            page,
            ({"press": handle, "key": "ArrowRight"}, ".tlkit-stage-4.tlkit-frozen"),
            ({"press": handle, "key": "ArrowLeft"}, ".tlkit-stage-4.tlkit-learns"),
        )
        toggle = answers(
            page,
            ({"press": ".tlkit-toggle-5"}, ".tlkit-stage-5.tlkit-frozen"),
            ({"press": ".tlkit-toggle-5"}, ".tlkit-stage-5.tlkit-learns"),
        )
        feedback, trained = [], []
        for _ in range(5):
            act = {"press": "button.tlkit-train"}
            feedback.append(page.evaluate(ANSWER, [act, "button.tlkit-stop:not([disabled])"]) / 1000)
            began = page.evaluate("performance.now()")
            page.wait_for_selector("button.tlkit-train:not([disabled])")
            trained.append(feedback[-1] + (page.evaluate("performance.now()") - began) / 1000)
        page.close()
    return {
        "slider move": slider,
        "toggle": toggle,
        "Train, first feedback": summary(feedback),
        "Train, result on the page (stage 3)": summary(trained),
    }
