"""Widgets beside FreezeLab and PictureUpload in a real JupyterLab."""

import re
import shutil
from typing import Any

import pytest
from lab_in_browser import Server, ask_kernel, run_all, save, set_cells, turn_to
from playwright.sync_api import expect

from browser.looks import look_at

EXPLORER = """from tlkit.widgets import GradientExplorer
explorer = GradientExplorer(classes=("<img src=x onerror=document.title='hacked'>", "b", "c"))
explorer"""
PREDICT = """from tlkit.widgets import Predict
Predict("How many tweets are read right?", between=(0, 1))"""
MAP = """import tlkit
from tlkit.widgets import FeatureMap
bad = "<img src=x onerror=document.title='hacked'>"
digits = tlkit.load_domain("mnist")
domain = tlkit.Domain(bad, digits.train, digits.test, (*digits.classes[:9], bad))
shown = FeatureMap(domain, tlkit.load_backbone("resnet_printed"), images=40)
shown"""
FLOW = """import numpy as np
from tlkit.widgets import DomainFlow
bad = "<img src=x onerror=document.title='hacked'>"
drawn = np.random.default_rng(0).normal(size=(2, 200, 6))
apart = {epoch: (drawn[0], drawn[1] + [epoch, 0, 0, 0, 0, 0]) for epoch in (0, 4, 8)}
flow = DomainFlow({"source only": apart, bad: {epoch: apart[8 - epoch] for epoch in apart}})
flow"""
SEARCH = """import numpy as np
from tlkit.widgets import CaptionSearch
bad = "<img src=x onerror=document.title='hacked'>"
names = [bad, "a name of several words, longer than its picture", "cat", "dog"]
pictures = np.random.default_rng(0).integers(0, 256, (4, 40, 40, 3)).astype(np.uint8)
score = lambda text: np.array([text in name for name in names], float)
search = CaptionSearch(pictures, names, score, shown=4, text="cat")
search"""
COMPARE = """import tlkit
from tlkit.widgets import DomainCompare
backbone = tlkit.load_backbone("resnet_printed")
bad = "<img src=x onerror=document.title='hacked'>"
def few_tests(domain):
    return tlkit.Domain(domain.name, domain.train, domain.test.take(10, seed=0), domain.classes)
pair = tlkit.load_pair()
pair = tlkit.DomainPair(few_tests(pair.source), few_tests(pair.target))
compare = DomainCompare(pair, {"printed ResNet": backbone, bad: backbone})
compare"""

HOSTILE_TEXTS = """import numpy as np
import tlkit
from tlkit.text import small_bert
from tlkit.widgets import DomainCompare
bad = "<img src=x onerror=document.title='hacked'>"
def part(seed):
    x = np.random.default_rng(seed).integers(1, 30, (20, 8)).astype(np.int32)
    return tlkit.Split(x, np.arange(20) % 2, None, [f"{bad} number {i}" for i in range(20)])
def domain(name):
    return tlkit.Domain(name, part(0), part(1), ("bad", "good"))
backbone = tlkit.Backbone("tiny", small_bert(blocks=1, width=8, heads=2, inner=16, vocabulary=30), ("sentence",))
compare = DomainCompare(tlkit.DomainPair(domain("one"), domain("two")), {"tiny": backbone})
compare"""


def show(page: Any, cell: str, ready: str) -> None:
    """Give the page's notebook one cell, run it, and wait until what it shows is there."""
    set_cells(page, [cell])
    run_all(page)
    page.wait_for_selector(ready)
    page.evaluate("document.querySelector('.tlkit').scrollIntoView()")


def test_gradient_explorer(shared_page: Any) -> None:
    page = shared_page
    show(page, EXPLORER, ".tlkit-explorer-view table")
    table = page.locator(".tlkit-explorer-view table")
    before = table.inner_text()

    # A slider by keyboard changes the logits there and the picture here.
    page.locator(".tlkit-logit-0 .noUi-handle").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "before => document.querySelector('.tlkit-explorer-view table').innerText !== before", arg=before
    )
    logits = eval(ask_kernel(page, "tuple(float(z) for z in explorer.logits)"))
    expect(table).to_contain_text(re.compile(rf"{logits[0]:g}"))

    # The button takes the step that was announced.
    announced = ask_kernel(page, "explorer.next_logits")
    page.click("button.tlkit-take-step")
    for _ in range(200):
        if ask_kernel(page, "explorer.logits") == announced:
            break
        page.wait_for_timeout(50)
    else:
        raise AssertionError("the step was not taken")
    page.click("button.tlkit-reset")
    expect(table).to_have_text(re.compile(".*"))
    page.wait_for_function(
        "before => document.querySelector('.tlkit-explorer-view table').innerText === before", arg=before
    )

    # Names are text, and all can be read, also by a screen reader.
    assert page.locator(".tlkit img").count() == 0
    assert page.title() != "hacked"
    expect(page.get_by_role("slider", name="logit of b")).to_have_attribute("aria-valuetext", "1.00")
    look_at(page, "explorer")


def test_feature_map(shared_page: Any) -> None:
    page = shared_page
    show(page, MAP, ".tlkit-map [aria-pressed=true]")
    pressed = page.locator(".tlkit-map [aria-pressed=true]")
    first = pressed.get_attribute("data-press")

    # A press picks a picture, here and in the kernel.
    page.locator(f".tlkit-map [data-press]:not([data-press='{first}'])").last.click()
    page.wait_for_function(
        "first => document.querySelector('.tlkit-map [aria-pressed=true]').dataset.press !== first", arg=first
    )
    assert ask_kernel(page, "shown.picked") == pressed.get_attribute("data-press")

    # By keyboard alone: an arrow leads to the next, Enter picks it, and it keeps the focus.
    pressed.focus()
    page.keyboard.press("ArrowRight" if pressed.get_attribute("data-column") == "0" else "ArrowLeft")
    wanted = page.evaluate("document.activeElement.dataset.press")
    page.keyboard.press("Enter")
    expect(pressed).to_have_attribute("data-press", wanted)
    page.wait_for_function("wanted => document.activeElement.dataset.press === wanted", arg=wanted)

    # Another stage has other neighbours, and says so.
    page.locator(".tlkit-feature-map .noUi-handle").focus()
    page.keyboard.press("Home")
    expect(page.locator(".tlkit-feature-map")).to_contain_text("by their pixels")
    assert page.title() != "hacked"
    look_at(page, "feature_map")


def test_domain_flow(shared_page: Any) -> None:
    page = shared_page
    show(page, FLOW, ".tlkit-flow svg")
    drawing = page.get_by_role("img", name=re.compile("epoch"))
    expect(drawing).to_have_attribute("aria-label", re.compile("^source only, epoch 0: .*"))

    # By keyboard to the next moment, here and in the kernel: the marks come from where they were.
    page.locator(".tlkit-domain-flow .noUi-handle").focus()
    page.keyboard.press("ArrowRight")
    expect(drawing).to_have_attribute("aria-label", re.compile("^source only, epoch 4: .*"))
    assert page.locator(".tlkit-flow .moved").count() == 400
    assert ask_kernel(page, "flow.epoch") == "4"
    expect(page.get_by_role("slider", name="epoch")).to_have_attribute("aria-valuetext", "4")

    # The arrow plays the rest; another training is chosen by its name, whatever that is.
    page.get_by_role("button", name="play").click()
    expect(drawing).to_have_attribute("aria-label", re.compile("^source only, epoch 8: .*"))
    page.locator(".tlkit-domain-flow select").select_option(index=1)
    expect(drawing).to_have_attribute("aria-label", re.compile("^<img .*, epoch 8: .*"))
    assert page.locator(".tlkit img").count() == 0
    assert page.title() != "hacked"
    look_at(page, "domain_flow")


def test_caption_search(shared_page: Any) -> None:
    page = shared_page
    show(page, SEARCH, ".tlkit-found img")
    first, field = page.locator(".tlkit-found li").first, page.get_by_role("textbox", name="find")
    expect(first).to_contain_text("cat")

    # Typing and Enter: the pictures in another order, here and in the kernel. Names are text.
    field.fill("img")
    field.press("Enter")
    expect(first).to_contain_text("<img src=x onerror")
    assert ask_kernel(page, "search.found[0]") == "(0, 1.0)"
    for typed, said in (("   ", "Type a word or two."), ("a" * 300, "at most 200 letters, got 300")):
        field.fill(typed)
        field.press("Enter")
        expect(page.get_by_role("status").filter(has_text=said)).to_be_visible()
        assert page.locator(".tlkit-found").count() == 0
    field.fill("<b>dog")
    field.press("Enter")
    expect(page.locator(".tlkit-search")).to_contain_text("All pictures fit “<b>dog” alike")
    field.fill("dog")
    field.press("Enter")
    expect(first).to_contain_text("dog")
    assert page.title() != "hacked"
    look_at(page, "caption_search")


def test_domain_compare(shared_page: Any) -> None:
    page = shared_page
    show(page, COMPARE, ".tlkit-compare-matrices svg")
    matrices, status = page.locator(".tlkit-compare-matrices"), page.locator(".tlkit-status").first
    zero_shot = ask_kernel(page, "f'{compare.scores.accuracy.target:.3f}'").strip("'")
    expect(matrices).to_contain_text(f"accuracy {zero_shot}")

    # More labels by keyboard: a probe takes the head's place.
    page.locator(".tlkit-labels .noUi-handle").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "score => !document.querySelector('.tlkit-compare-matrices').innerText.includes('accuracy ' + score)",
        arg=zero_shot,
    )
    assert ask_kernel(page, "compare.labels_per_class") != "0"
    probe = ask_kernel(page, "f'{compare.scores.accuracy.target:.3f}'").strip("'")
    expect(matrices).to_contain_text(f"accuracy {probe}")

    # The largest error's images, and Grad-CAM over what is shown.
    page.click("button.tlkit-largest-error")
    right, answer = eval(ask_kernel(page, "compare.cell"))[1:]
    expect(page.locator(".tlkit-compare-cell")).to_contain_text(f"{right} taken for {answer}")

    # A cell of a matrix: by mouse, and from there by keyboard, without losing one's place.
    picked = matrices.locator("[aria-pressed=true]")
    matrices.locator("[data-press='source 3 3']").click()
    expect(page.locator(".tlkit-compare-cell")).to_contain_text(re.compile(r"printed: \d+ images of 3 read right"))
    expect(picked).to_have_attribute("data-press", "source 3 3")
    picked.focus()
    for key, place in (("ArrowRight", "3 4"), ("ArrowDown", "4 4"), ("ArrowLeft", "4 3"), ("ArrowUp", "3 3")):
        page.keyboard.press(key)
        expect(matrices.locator(f"[data-press='source {place}']")).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    expect(page.locator(".tlkit-compare-cell")).to_contain_text(re.compile(r"printed: \d+ images of 2 read right"))
    expect(picked).to_have_attribute("data-press", "source 2 2")
    expect(picked).to_be_focused()
    assert ask_kernel(page, "compare.cell") == "('source', '2', '2')"

    first = page.locator(".tlkit-compare-images img").first
    plain = first.get_attribute("src")
    page.locator(".tlkit-overlay input").check()
    page.wait_for_function(
        "plain => document.querySelector('.tlkit-compare-images img').getAttribute('src') !== plain", arg=plain
    )

    # A hostile name is an option like any other.
    page.locator(".tlkit-model select").select_option(index=1)
    expect(status).to_contain_text("<img src=x onerror")
    assert page.title() != "hacked"
    assert all(image.get_attribute("alt") for image in page.locator(".tlkit img").all())
    look_at(page, "compare", height=1700)


def test_both_ends_of_a_range_have_a_name(shared_page: Any) -> None:
    page = shared_page
    show(page, PREDICT, ".tlkit-predict .noUi-handle")
    for end, value in (("lower", "0.25"), ("upper", "0.75")):
        handle = page.get_by_role("slider", name=f"between, {end} end")
        expect(handle).to_have_attribute("aria-valuetext", re.compile(rf"^{value}0*$"))
    look_at(page, "predict")


@pytest.mark.bank
def test_domain_compare_shows_texts_as_texts(shared_page: Any) -> None:
    page = shared_page
    show(page, HOSTILE_TEXTS, ".tlkit-compare-matrices svg")
    assert page.locator(".tlkit-compare-images blockquote").count() > 2
    expect(page.locator(".tlkit-compare-images blockquote").first).to_contain_text("onerror=document.title")
    assert page.locator(".tlkit img").count() == 0
    assert page.title() != "hacked"

    # The texts of one cell of a matrix, on request; Grad-CAM has nothing to show.
    expect(page.get_by_role("checkbox", name="Grad-CAM")).to_be_disabled()
    page.locator(".tlkit-cell-side select").select_option(index=0)
    expect(page.locator(".tlkit-compare-cell")).to_contain_text(re.compile(r"one: \d+ texts of"))


def test_a_widget_without_a_kernel_is_its_picture(shared_page: Any, lab_alone: Any, server: Server) -> None:
    """Played with, saved, opened with another kernel: JupyterLab alone would say that its model is not found."""
    page = lab_alone
    show(shared_page, EXPLORER, ".tlkit-explorer-view table")
    still = shared_page.locator(".tlkit-still")
    expect(still).to_be_hidden()
    shared_page.click("button.tlkit-take-step")
    logits = ask_kernel(shared_page, "explorer._words().split(')')[0]").strip("'")
    expect(still.get_by_role("img", include_hidden=True)).to_have_attribute("aria-label", re.compile(re.escape(logits)))
    expect(still).to_be_hidden()
    save(shared_page)

    shutil.copy(server.folder / shared_page.notebook, server.folder / "dead.ipynb")
    turn_to(page, "dead.ipynb")
    still = page.locator(".tlkit-still")
    expect(still).to_be_visible()
    expect(page.locator(".tlkit")).to_have_count(0)
    expect(page.get_by_text("Error displaying widget")).to_be_hidden()
    expect(page.get_by_role("img", name=re.compile(re.escape(logits)))).to_be_visible()
    box = still.get_by_role("img").bounding_box()
    assert box["width"] > 500
    assert box["height"] > 200
    page.screenshot(path=page.shots / "dead.png")

    # The cell run again gives the widget again.
    run_all(page)
    page.wait_for_selector(".tlkit-explorer-view table")
    expect(still).to_be_hidden()
