"""FreezeLab in a real JupyterLab: clicks, keys, themes, reload, restart. Asserted on the page and in the kernel."""

import re
import shutil
from collections.abc import Callable
from typing import Any

import build_notebooks
import pytest
from lab_in_browser import (
    Server,
    ask_kernel,
    command,
    open_notebook,
    run_all,
    save,
    set_cells,
    set_theme,
    turn_to,
    write_notebook,
)
from marks import in_bank
from playwright.sync_api import expect

from browser.looks import look_at

MAKE = """import tlkit
from tlkit.widgets import FreezeLab
def few_tests(domain):
    return tlkit.Domain(domain.name, domain.train, domain.test.take(6, seed=0), domain.classes)
pair = tlkit.load_pair()
pair = tlkit.DomainPair(few_tests(pair.source), few_tests(pair.target))
lab = FreezeLab(pair, tlkit.load_backbone("resnet_printed"))
lab.measures_scratch = False
start = lab.model.get_weights()
def same(weights):
    return all((a == b).all() for a, b in zip(lab.model.get_weights(), weights))
"""
TEXTS = """from tlkit.text import load_text_backbone, load_text_pair
from tlkit.widgets import FreezeLab
lab = FreezeLab(load_text_pair("editorials", "tweets"), load_text_backbone())
lab.epochs = 3
"""
FEW = "[setattr(lab, 'epochs', 2)]"  # where only that it trains counts
HOSTILE = """import numpy as np
import tlkit
from tlkit.widgets import FreezeLab
rng = np.random.default_rng(0)
bad = "<img src=x onerror=document.title='hacked'>"
def part(n):
    y = np.arange(n) % 2
    x = (rng.integers(0, 128, (n, 28, 28, 1)) + 127 * y[:, None, None, None]).astype(np.uint8)
    return tlkit.Split(x, y)
def domain(name):
    return tlkit.Domain(name, part(40), part(20), (bad, "b"))
lab = FreezeLab(tlkit.DomainPair(domain(bad), domain(bad)), tlkit.load_backbone("resnet_printed"))
lab.epochs = 1
lab.measures_scratch = False
lab.train()
"""


def shown(page: Any, code: str = MAKE) -> None:
    """Give the page's notebook a lab, and wait until it can train."""
    set_cells(page, [code, "lab"])
    run_all(page)
    trained(page)
    page.evaluate("document.querySelector('.tlkit').scrollIntoView()")


def until(page: Any, condition: Callable[[], bool]) -> None:
    """Wait for a condition that the kernel is asked for."""
    for _ in range(600):
        if condition():
            return
        page.wait_for_timeout(50)  # a pause between questions, not a guess how long something takes
    raise AssertionError("the condition did not come true in 30 seconds")


def trained(page: Any) -> None:
    page.wait_for_selector("button.tlkit-train:not([disabled])")


def train(page: Any) -> None:
    """Press Train, and return after the run: its row stays, while the Stop button may come and go unseen."""
    runs = len(runs_shown(page))
    page.click("button.tlkit-train")
    page.wait_for_selector(f".tlkit-row-{runs + 1}")
    trained(page)


@pytest.fixture
def lab_page(shared_page: Any) -> Any:
    """The page with a new lab."""
    shown(shared_page)
    return shared_page


def runs_shown(page: Any) -> list[str]:
    return [text.split()[0] for text in page.locator(".tlkit-run:not(.tlkit-head) button").all_inner_texts()]


@pytest.mark.bank
@pytest.mark.usefixtures("fetched_text")
def test_texts_are_frozen_and_trained_as_images_are(page: Any, server: Server) -> None:
    page.set_default_timeout(240_000)
    write_notebook(server, "texts.ipynb", [])
    open_notebook(page, server, "texts.ipynb")
    shown(page, TEXTS)
    handle = page.locator(".tlkit-freeze-to .noUi-handle")
    handle.focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".tlkit-stage-6.tlkit-learns")).to_be_visible()
    until(page, lambda: ask_kernel(page, "lab.stage") == "5")
    expect(page.locator(".tlkit")).to_contain_text("tokens×384")
    expect(page.locator(".tlkit")).to_contain_text("(views: for images only)")
    train(page)
    expect(page.locator(".tlkit-sentence")).to_contain_text("Only stages 6 and 7 and the head moved.")
    expect(page.locator(".tlkit-sentence")).to_contain_text("TF-IDF")
    target = float(ask_kernel(page, "float(lab.runs[0].target)"))
    expect(page.locator(".tlkit-row-1")).to_contain_text(f"{target:.3f}")
    assert page.locator(".tlkit-moved svg rect").count() == 2 * int(ask_kernel(page, "len(lab.audit)"))


def test_freeze_train_watch_stop_reset(lab_page: Any) -> None:
    page = lab_page

    # The slider and the toggles say the same, here and in the kernel.
    handle = page.locator(".tlkit-freeze-to .noUi-handle")
    handle.focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".tlkit-stage-4.tlkit-learns")).to_be_visible()
    until(page, lambda: ask_kernel(page, "lab.stage") == "3")
    page.click(".tlkit-toggle-4")
    expect(page.locator(".tlkit-stage-4.tlkit-frozen")).to_be_visible()
    until(page, lambda: ask_kernel(page, "lab.stage") == "4")

    # A single layer, found behind the disclosure.
    page.click("button.tlkit-more-4")
    page.get_by_role("button", name="stage4_b_conv").click()
    until(page, lambda: ask_kernel(page, "lab.frozen == lab.experiment.frozen_to(4) - {'stage4_b_conv'}") == "True")
    expect(page.locator(".tlkit-layers").filter(visible=True)).to_contain_text("computed in every epoch")
    page.get_by_role("button", name="stage4_b_conv").click()

    # Train: progress moves, the curve grows, the table and the strip are there afterwards.
    page.click("button.tlkit-train")
    page.wait_for_function("document.querySelector('.tlkit-progress .progress-bar').style.width !== '0%'")
    page.wait_for_function("document.querySelector('.tlkit-plot polyline[stroke-width]').points.length > 2")
    trained(page)
    expect(page.locator(".tlkit-sentence")).to_contain_text("Only stage 5 and the head moved.")
    assert runs_shown(page) == ["1"]
    target = float(ask_kernel(page, "float(lab.runs[0].target)"))
    expect(page.locator(".tlkit-row-1")).to_contain_text(f"{target:.3f}")
    first = float(ask_kernel(page, "float(lab.runs[0].history['target'][0])"))
    expect(page.locator(".tlkit-plot svg title").first).to_contain_text(f"target from {first:.2f} to {target:.2f}")
    assert page.locator(".tlkit-moved svg rect").count() == 2 * int(ask_kernel(page, "len(lab.audit)"))
    page.screenshot(path=page.shots / "trained.png")

    # Stop: the weights are kept.
    ask_kernel(page, "[setattr(lab, 'epochs', 400)]")
    page.click("button.tlkit-train")
    expect(page.locator(".tlkit-progress-words")).to_contain_text("of 400")  # a batch is done; the curve may be run 1's
    assert ask_kernel(page, "6 * 7") == "42"  # the kernel answers while it trains
    page.click("button.tlkit-stop")
    trained(page)
    assert ask_kernel(page, "lab.runs[1].stopped, 0 < lab.runs[1].batches < 1600") == "(True, True)"
    assert ask_kernel(page, "same(start)") == "False"
    expect(page.locator(".tlkit-sentence")).to_contain_text("Stopped")
    assert runs_shown(page) == ["2", "1"]

    # Sort, restore, reset.
    page.click("button.tlkit-sort-run")
    page.wait_for_function("document.querySelector('.tlkit-row-1 button').innerText.startsWith('1')")
    page.click(".tlkit-row-1 button")
    until(page, lambda: ask_kernel(page, "lab.epochs") == "20")
    page.click("button.tlkit-reset")
    expect(page.locator(".tlkit-sentence")).to_contain_text("Reset")
    assert ask_kernel(page, "same(start)") == "True"


# The notebooks with a lab in section 7, and which of their earlier lines that section needs.
LAB_NEEDS = {"04": ("SEED", "RATE", "pair"), "05": ("SEED", "STAGE", "EPOCHS", "RATE", "START")}
CELL = "const notebook = window.jupyterapp.shell.currentWidget.content"
ERRORS = f"""() => {{ {CELL}; return notebook.widgets.flatMap(cell => cell.model.outputs.toJSON()).flatMap(
    output => output.output_type === 'error' ? [output.ename + ': ' + output.evalue] : []) }}"""


def lab_section(notebook: str) -> list[str]:
    """The code cells of a notebook's section with a lab, after one with what they need."""
    (source,) = build_notebooks.sources([notebook])
    text, cells = source.read_text(encoding="utf-8"), build_notebooks.read_source(source).cells
    before = re.findall(rf"^(?:{'|'.join(LAB_NEEDS[notebook])})\b.* = .*$", text, re.MULTILINE)
    begin, end = ([cell.id for cell in cells].index(f"section-{number}") for number in (7, 8))
    return ["\n".join(["import tlkit", *before]), *(c.source for c in cells[begin:end] if c.cell_type == "code")]


def run_from(page: Any, cell: int, which: str = "below") -> list[str]:
    """Run a cell and all below it, or those above it, and return the errors that the notebook then shows."""
    page.evaluate(f"cell => {{ {CELL}; notebook.activeCellIndex = cell }}", cell)
    command(page, f"notebook:run-all-{which}")
    return list(page.evaluate(ERRORS))


@pytest.mark.parametrize("notebook", LAB_NEEDS)
def test_a_learner_who_trains_first_breaks_no_later_cell(shared_page: Any, notebook: str) -> None:
    page = shared_page
    cells = lab_section(notebook)
    later = cells.index("lab") + 1
    set_cells(page, cells)
    assert run_from(page, later, "above") == []
    trained(page)
    own = int(ask_kernel(page, "len(lab.runs)"))

    # Another setting, and a run that has ended.
    handle = page.locator(".tlkit-freeze-to .noUi-handle")
    handle.focus()
    page.keyboard.press("End")
    until(page, lambda: ask_kernel(page, "lab.stage") == "5")
    train(page)
    assert run_from(page, later) == []

    # A run in progress, which goes on.
    ask_kernel(page, "[setattr(lab, 'epochs', 2000)]")
    page.click("button.tlkit-train")
    page.wait_for_selector("button.tlkit-stop:not([disabled])")
    assert run_from(page, later) == []
    assert ask_kernel(page, "lab.status") == "'running'"
    page.click("button.tlkit-stop")
    trained(page)
    assert ask_kernel(page, "[run.stopped for run in lab.runs]") == repr([False] * (own + 1) + [True])


def test_while_it_trains_settings_are_visibly_locked(lab_page: Any) -> None:
    page = lab_page
    place = page.locator(".tlkit-sentence").bounding_box()
    ask_kernel(page, "[setattr(lab, 'epochs', 2000)]")
    page.click("button.tlkit-train")
    page.wait_for_selector("button.tlkit-stop:not([disabled])")
    expect(page.locator(".tlkit-note")).to_contain_text("locked")
    expect(page.locator("button.tlkit-reset")).to_be_disabled()
    assert page.locator(".tlkit-sentence").bounding_box() == place  # nothing moves under a hand
    for control in (".tlkit-toggle-3", ".tlkit-views .noUi-target", ".tlkit-head-first button"):
        assert page.locator(control).first.evaluate("element => element.disabled || element.hasAttribute('disabled')")
    page.click("button.tlkit-stop")
    trained(page)
    expect(page.locator(".tlkit-toggle-3")).to_be_enabled()


def test_by_keyboard_alone(lab_page: Any) -> None:
    page = lab_page
    ask_kernel(page, FEW)
    page.locator(".tlkit-toggle-1").focus()
    seen = []
    for _ in range(60):
        element = page.evaluate("document.activeElement.className + ' ' + document.activeElement.getAttribute('role')")
        seen.append(element)
        if "tlkit-freeze-to" in page.evaluate(
            "(document.activeElement.closest('.tlkit-freeze-to') || {className: ''}).className"
        ):
            page.keyboard.press("Home")
        if "tlkit-train" in element:
            page.keyboard.press("Enter")
            break
        page.keyboard.press("Tab")
    else:
        raise AssertionError(f"Train is not reached by Tab: {seen}")
    until(page, lambda: ask_kernel(page, "len(lab.results)") == "1")
    assert ask_kernel(page, "lab.runs[0].boundary") == "0"


def test_for_screen_readers(lab_page: Any) -> None:
    page = lab_page
    lab = page.locator(".tlkit").first
    for button in lab.locator("button").all():
        assert button.inner_text().strip() or button.get_attribute("title")
    for name, value in (
        ("freeze up to", "4"), ("labels per class", "10"), ("epochs", "20"), ("views", "1"),
        ("rate, head", "0.001"), ("rate, base", "0.0003"),
    ):  # fmt: skip
        expect(lab.get_by_role("slider", name=name, exact=True)).to_have_attribute("aria-valuetext", value)
    assert lab.locator("[role=slider]").count() == 6
    rate = lab.get_by_role("slider", name="rate, base")
    rate.focus()
    page.keyboard.press("ArrowRight")
    expect(rate).to_have_attribute("aria-valuetext", "0.001")
    for group, chosen in (("order", "together"), ("start", "pretrained")):
        choices = lab.get_by_role("group", name=group)
        expect(choices.get_by_role("button", pressed=True)).to_have_text(chosen)
        expect(choices.get_by_role("button", pressed=False)).to_have_count(1)
    toggle = lab.locator(".tlkit-toggle-4")
    expect(toggle).to_have_attribute("aria-pressed", "true")
    toggle.click()
    expect(toggle).to_have_attribute("aria-pressed", "false")
    toggle.click()
    expect(lab.get_by_role("progressbar", name="progress")).to_have_count(1)
    assert lab.locator("svg").count() > 0
    for svg in lab.locator("svg").all():
        assert svg.get_attribute("role") == "img"
        assert len(svg.get_attribute("aria-label")) > 20
    assert lab.locator(".tlkit-sentence [role=status]").get_attribute("aria-live") == "polite"


def contrast(page: Any, selector: str, background: str) -> float:
    """The WCAG contrast of an element's text with a background colour."""
    return page.evaluate(
        """([selector, background]) => {
            const light = color => {
                const canvas = document.createElement('canvas').getContext('2d');
                canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
                const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map(v => {
                    v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            };
            const element = document.querySelector(selector);
            const style = getComputedStyle(element);
            const text = light(element instanceof SVGElement ? style.fill : style.color);
            const paper = light(getComputedStyle(document.querySelector(background)).backgroundColor);
            return (Math.max(text, paper) + 0.05) / (Math.min(text, paper) + 0.05);
        }""",
        [selector, background],
    )


@pytest.mark.parametrize("theme", in_bank(["JupyterLab Light", "JupyterLab Dark"], but=["JupyterLab Dark"]))
def test_readable_in_both_themes_and_at_800_pixels(lab_page: Any, theme: str) -> None:
    page = lab_page
    train(page)
    set_theme(page, theme)
    paper = ".jp-Notebook"
    for selector in (".tlkit-title h4", ".tlkit-plot svg text", ".tlkit-plot svg text[style]", ".tlkit-cells span"):
        assert contrast(page, selector, paper) >= 4.5, selector
    page.click("button.tlkit-more-5")
    expect(page.locator(".tlkit-layer").first).to_have_class(re.compile("tlkit-learns"))  # said after it is there
    for layer, which in ((".tlkit-stage-4 .tlkit-toggle", "source"), (".tlkit-layer", "target")):
        # As the legend says: blue is frozen, orange learns.
        assert page.locator(layer).first.evaluate(
            """(button, which) => {
                const named = document.createElement('i');
                named.style.color = `var(--tlkit-${which})`;
                button.append(named);
                const colours = [getComputedStyle(button).backgroundColor, getComputedStyle(named).color];
                named.remove();
                return colours[0] === colours[1];
            }""",
            which,
        )
    for stage in (4, 5):
        assert contrast(page, f".tlkit-stage-{stage} .tlkit-info .tlkit-pair span", f".tlkit-stage-{stage}") >= 4.5
    assert contrast(page, ".tlkit-sentence .widget-html-content", ".tlkit-sentence .widget-html-content") >= 4.5
    # The longest name that a line can have.
    ask_kernel(page, "[lab.experiment._scratch.update({10: 0.583}), lab._show_curves()]")
    expect(page.locator(".tlkit-plot svg")).to_contain_text("from scratch 0.58")
    look_at(page, "lab", themes=(theme.split()[1],), height=1400)
    page.set_viewport_size({"width": 800, "height": 1400})
    page.wait_for_function("document.querySelector('.tlkit').getBoundingClientRect().width < 800")
    lab, notebook = (page.locator(name).first.bounding_box() for name in (".tlkit", ".jp-Notebook"))
    assert lab["width"] <= notebook["width"]
    for part in (".tlkit-stages", ".tlkit-settings", ".tlkit-plot svg"):
        box = page.locator(part).bounding_box()
        assert box["x"] + box["width"] <= notebook["x"] + notebook["width"] + 1, part


def test_a_restart_during_training_leaves_a_clear_state(lab_page: Any) -> None:
    page = lab_page
    ask_kernel(page, "[setattr(lab, 'epochs', 5000)]")
    process = int(ask_kernel(page, "__import__('os').getpid()"))
    page.click("button.tlkit-train")
    page.wait_for_selector("button.tlkit-stop:not([disabled])")
    page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.ready")
    assert int(ask_kernel(page, "__import__('os').getpid()")) != process
    assert ask_kernel(page, "[t.name for t in __import__('threading').enumerate() if 'tlkit' in t.name]") == "[]"
    # What is still on the page says that nobody hears it, and takes no press.
    left = page.locator(".tlkit")
    assert "run this cell again" in left.evaluate("box => getComputedStyle(box, '::before').content")
    assert page.locator("button.tlkit-stop").evaluate("button => Boolean(button.closest('[inert]'))")
    page.screenshot(path=page.shots / "restarted.png")
    run_all(page)
    page.wait_for_selector("button.tlkit-train:not([disabled])")
    assert not page.locator("button.tlkit-train").evaluate("button => Boolean(button.closest('[inert]'))")
    assert ask_kernel(page, "lab.status, len(lab.results)") == "('idle', 0)"


def test_hostile_names_show_as_text(shared_page: Any) -> None:
    page = shared_page
    shown(page, HOSTILE)
    page.click("button.tlkit-more-1")
    lab = page.locator(".tlkit").first
    assert lab.locator("img").count() == 0
    expect(lab.locator(".tlkit-title")).to_contain_text("<img src=x onerror=")
    expect(lab.locator(".tlkit-head-row")).to_contain_text("<img src=x onerror=")
    assert page.title() != "hacked"


def test_the_csv_can_be_saved(lab_page: Any) -> None:
    page = lab_page
    ask_kernel(page, "[setattr(lab, 'epochs', 1)]")
    train(page)
    with page.expect_download() as download:
        page.click(".tlkit-csv a")
    assert download.value.suggested_filename == "freezelab.csv"
    header = download.value.path().read_text().splitlines()[0]
    assert re.match(r"run,frozen,.*target,source,stopped,seconds", header)


def test_after_a_reload_the_view_comes_back(lab_page: Any, lab_alone: Any, server: Server) -> None:
    page, other = lab_page, lab_alone
    ask_kernel(page, FEW)
    train(page)
    expect(page.locator(".tlkit-still [role=img]")).to_have_attribute("aria-label", re.compile("1 run\n"))
    save(page)
    shutil.copy(server.folder / page.notebook, server.folder / "lab_dead.ipynb")
    open_notebook(page, server, page.notebook, again=True)
    page.wait_for_selector("button.tlkit-train:not([disabled])")
    assert runs_shown(page) == ["1"]
    train(page)
    page.wait_for_selector(".tlkit-row-2")

    # With a kernel that does not know it, it is a picture of its last run.
    turn_to(other, "lab_dead.ipynb")
    expect(other.get_by_role("img", name=re.compile("FreezeLab: .* 1 run"))).to_be_visible()
    expect(other.get_by_text("Error displaying widget")).to_be_hidden()
    other.screenshot(path=other.shots / "lab_dead.png")
