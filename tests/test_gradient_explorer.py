"""GradientExplorer against mpmath, GradientTape, central differences; its controls, names and picture."""

import base64
import itertools
import threading

import ipywidgets
import mpmath
import numpy as np
import pytest
import traitlets
from helpers import control, raises_one_line, run_python

from tlkit._keras import tf
from tlkit.gradients import gradient_triangle
from tlkit.widgets.gradient_explorer import GradientExplorer

HOSTILE = "<img src=x onerror=alert(1)>"
POINTS = [
    tuple(np.random.default_rng(seed).uniform(-9, 9, size=2 + seed % 2).round(2).tolist()) for seed in range(6)
] + [(1000.0, -1000.0, 0.0), (-1000.0, -1000.0), (0.0, 800.0, 0.0)]
SETTINGS = list(itertools.product(POINTS, (0, 1), (0.1, 1.0, 3.0)))


def explorer_at(logits: tuple[float, ...], target: int, temperature: float) -> GradientExplorer:
    explorer = GradientExplorer(len(logits))
    explorer.logits, explorer.target, explorer.temperature = logits, target, temperature
    return explorer


def exact_probabilities(logits: tuple[float, ...], temperature: float) -> list[mpmath.mpf]:
    powers = [mpmath.exp(mpmath.mpf(z) / mpmath.mpf(temperature)) for z in logits]
    return [power / sum(powers) for power in powers]


@pytest.mark.parametrize(("logits", "target", "temperature"), SETTINGS)
def test_softmax_loss_and_gradient_are_exact(logits: tuple[float, ...], target: int, temperature: float) -> None:
    explorer = explorer_at(logits, target, temperature)
    with mpmath.workdps(60):
        p = exact_probabilities(logits, temperature)
        loss = -mpmath.log(p[target])
        gradient = [(value - (k == target)) / mpmath.mpf(temperature) for k, value in enumerate(p)]
        np.testing.assert_allclose(explorer.probabilities, [float(v) for v in p], rtol=1e-12, atol=1e-300)
        np.testing.assert_allclose(explorer.loss, float(loss), rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(explorer.gradient, [float(v) for v in gradient], rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize(("logits", "target", "temperature"), SETTINGS[::7])
def test_the_gradient_is_that_of_the_tape(logits: tuple[float, ...], target: int, temperature: float) -> None:
    explorer = explorer_at(logits, target, temperature)
    z = tf.constant(logits, tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(z)
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits([target], [z / temperature])[0]
    np.testing.assert_allclose(explorer.loss, float(loss), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(explorer.gradient, tape.gradient(loss, z), rtol=1e-9, atol=1e-12)


def test_the_gradient_triangle_agrees_with_it() -> None:
    explorer = explorer_at((2.0, 0.5, -1.0), 2, 1.7)

    def loss(z: np.ndarray) -> float:
        explorer.logits = z
        return explorer.loss

    def gradient(z: np.ndarray) -> tuple[float, ...]:
        explorer.logits = z
        return explorer.gradient

    triangle = gradient_triangle(loss, {"z": explorer.logits}, claimed=gradient)
    assert triangle.agrees, triangle.verdict
    assert set(triangle.table) == {"numeric", "claimed", "relative difference"}


@pytest.mark.parametrize(("logits", "target", "temperature"), SETTINGS[::5])
def test_a_step_goes_where_it_was_announced(logits: tuple[float, ...], target: int, temperature: float) -> None:
    explorer = explorer_at(logits, target, temperature)
    explorer.learning_rate = 0.7
    wanted = np.array(logits) - 0.7 * np.array(explorer.gradient)
    announced, before = (explorer.next_logits, explorer.next_loss), explorer.loss
    np.testing.assert_allclose(announced[0], wanted, rtol=1e-12)
    explorer.take_step()
    assert (explorer.logits, explorer.loss) == announced
    assert explorer.loss <= before  # on a single example every step along its own gradient goes down


def test_reset_brings_back_the_start() -> None:
    explorer = GradientExplorer()
    settings = ("logits", "target", "temperature", "learning_rate")
    before = {name: getattr(explorer, name) for name in settings}, explorer._view.value
    explorer.target, explorer.temperature, explorer.learning_rate = 2, 4.0, 0.1
    explorer.take_step()
    assert explorer._view.value != before[1]
    explorer.reset()
    assert ({name: getattr(explorer, name) for name in settings}, explorer._view.value) == before


# Controls


def test_controls_drive_the_settings() -> None:
    explorer = GradientExplorer()
    control(explorer, "tlkit-logit-2").value = 3.5
    control(explorer, "tlkit-true-class").value = 0
    control(explorer, "tlkit-temperature").value = 2.0
    control(explorer, "tlkit-step-size").value = 0.5
    assert explorer.logits == (2.0, 1.0, 3.5)
    assert (explorer.target, explorer.temperature, explorer.learning_rate) == (0, 2.0, 0.5)
    announced = explorer.next_logits
    control(explorer, "tlkit-take-step").click()
    assert explorer.logits == announced
    control(explorer, "tlkit-reset").click()
    assert explorer.logits == (2.0, 1.0, -1.0)


def test_what_the_page_rounds_is_no_move() -> None:
    explorer = GradientExplorer()
    explorer.take_step()
    after = explorer.logits
    for k, slider in enumerate(explorer._sliders):
        slider.value = round(after[k], 1)
    assert explorer.logits == after
    explorer._sliders[0].value = round(after[0], 1) + 0.1
    assert explorer.logits == (round(after[0], 1) + 0.1, *after[1:])


def test_settings_drive_the_controls_also_beyond_a_slider() -> None:
    explorer = GradientExplorer()
    explorer.logits, explorer.target = np.array([1, -40, 3]), np.int64(2)
    explorer.temperature, explorer.learning_rate = 10, 0.01
    sliders = [control(explorer, f"tlkit-logit-{k}") for k in range(3)]
    assert [slider.value for slider in sliders] == [1, -40, 3]
    assert control(explorer, "tlkit-true-class").value == 2
    assert control(explorer, "tlkit-temperature").value == 10
    assert control(explorer, "tlkit-step-size").value == 0.01
    assert explorer.logits == (1.0, -40.0, 3.0)


def test_both_ends_of_each_slider_are_allowed() -> None:
    explorer = GradientExplorer()
    for css in ("tlkit-temperature", "tlkit-step-size"):
        slider = control(explorer, css)
        for end in (slider.min, slider.max):
            slider.value = slider.base**end
    for k in range(3):
        slider = control(explorer, f"tlkit-logit-{k}")
        slider.value = slider.max
    assert explorer.logits == (10.0, 10.0, 10.0)


def test_threads_leave_one_consistent_state() -> None:
    explorer = GradientExplorer()
    sliders = [control(explorer, f"tlkit-logit-{k}") for k in range(3)]

    def move(k: int) -> None:
        for value in np.linspace(-5, 5, 60):
            sliders[k].value = float(value)

    threads = [threading.Thread(target=move, args=(k,)) for k in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    fresh = explorer_at(explorer.logits, explorer.target, explorer.temperature)
    assert explorer.logits == tuple(slider.value for slider in sliders) == (5.0, 5.0, 5.0)
    assert explorer._view.value == fresh._view.value
    assert explorer.gradient == fresh.gradient


# Errors


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("logits", (1, 2), "3 numbers in -1e6..1e6"),
        ("logits", (1, 2, float("nan")), "3 numbers in -1e6..1e6"),
        ("logits", (1, 2, 2e6), "3 numbers in -1e6..1e6"),
        ("logits", "a\nb", "3 numbers in -1e6..1e6"),
        ("logits", 3, "3 numbers in -1e6..1e6"),
        ("target", 3, "0..2, got 3"),
        ("target", -1, "0..2, got -1"),
        ("target", 1.0, "0..2, got 1.0"),
        ("target", True, "0..2, got True"),
        ("temperature", 0, "0.1..10, got 0"),
        ("temperature", float("nan"), "0.1..10, got nan"),
        ("learning_rate", -1, "0.01..10, got -1"),
        ("learning_rate", 11, "0.01..10, got 11"),
    ],
)
def test_a_wrong_setting_is_one_line_and_changes_nothing(name: str, value: object, allowed: str) -> None:
    explorer = GradientExplorer()
    before = (getattr(explorer, name), explorer._view.value)
    with raises_one_line(ValueError, f"{name} must be", allowed):
        setattr(explorer, name, value)
    assert (getattr(explorer, name), explorer._view.value) == before


def test_results_are_read_only() -> None:
    explorer = GradientExplorer()
    for name in ("probabilities", "loss", "gradient", "next_logits", "next_loss"):
        with pytest.raises(traitlets.TraitError, match="read-only"):
            setattr(explorer, name, getattr(explorer, name))


def test_classes_are_two_or_three_different_names() -> None:
    assert GradientExplorer(classes=("cat", "dog")).classes == ("cat", "dog")
    assert GradientExplorer().classes == ("A", "B", "C")
    with raises_one_line(ValueError, "n_classes must be 2 or 3", "got 4"):
        GradientExplorer(4)
    with raises_one_line(ValueError, "n_classes must be 2 or 3", "got 1"):
        GradientExplorer(classes=("cat",))
    with raises_one_line(ValueError, "3 different names", "cat"):
        GradientExplorer(3, classes=("cat", "dog"))
    with raises_one_line(ValueError, "2 different names", "cat"):
        GradientExplorer(classes=("cat", "cat"))


# What is shown


def every_html(widget: ipywidgets.Widget) -> str:
    own = widget.value if isinstance(widget, ipywidgets.HTML) else ""
    return own + "".join(every_html(child) for child in getattr(widget, "children", ()))


def test_a_hostile_name_is_text() -> None:
    explorer = GradientExplorer(classes=(HOSTILE, "'\"&", "$c$"))
    explorer.target = 0
    shown = every_html(explorer)
    assert "<img" not in shown
    assert "&lt;img src=x onerror=alert(1)&gt;" in shown
    assert "&#x27;&quot;&amp;" in shown
    # Options and descriptions are set as text by ipywidgets: there, an escaped name would show its ampersands.
    assert control(explorer, "tlkit-true-class").options[0] == (HOSTILE, 0)
    assert not any(control(explorer, f"tlkit-logit-{k}").description_allow_html for k in range(3))
    assert explorer._repr_mimebundle_()["image/png"]


def test_the_table_holds_the_numbers() -> None:
    explorer = GradientExplorer(2, classes=("cat", "dog"))
    for value in (*explorer.probabilities, *explorer.logits):
        assert f"<td>{value:.3f}".rstrip("0").rstrip(".") in explorer._view.value.replace("−", "-")
    assert f"{explorer.loss:.3f} nats" in explorer._view.value
    assert 'role="img"' in explorer._view.value


def test_a_picture_and_words_are_left() -> None:
    import matplotlib.pyplot as plt

    explorer = GradientExplorer(2)
    bundles = [explorer._repr_mimebundle_() for _ in range(2)]
    assert base64.b64decode(bundles[0]["image/png"]).startswith(b"\x89PNG")
    assert "application/vnd.jupyter.widget-view+json" in bundles[0]
    assert bundles[0]["text/plain"] == bundles[1]["text/plain"]
    assert "logits (2, 1), true class B" in bundles[0]["text/plain"]
    explorer.take_step()
    assert explorer._repr_mimebundle_()["image/png"] != bundles[0]["image/png"]
    assert plt.get_fignums() == []


def test_moving_a_slider_needs_no_tensorflow() -> None:
    code = (
        "import sys, types, importlib.util, pathlib, tlkit\n"
        "folder = pathlib.Path(tlkit.__file__).parent / 'widgets'\n"
        "package = types.ModuleType('tlkit.widgets'); package.__path__ = [str(folder)]\n"
        "sys.modules['tlkit.widgets'] = package  # without its __init__, which loads the other widgets\n"
        "from tlkit.widgets.gradient_explorer import GradientExplorer\n"
        "GradientExplorer().take_step()\n"
        "assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules\n"
    )
    run = run_python("-c", code)
    assert run.returncode == 0, run.stderr
