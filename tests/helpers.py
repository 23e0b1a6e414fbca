"""What several test files share: toys that take milliseconds, and what every error must look like."""

import contextlib
import datetime
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import ipywidgets
import numpy as np
import pytest

from tlkit._keras import keras
from tlkit._keras.start import onednn_is_on
from tlkit.backbones import Backbone
from tlkit.domains import DomainPair, Split
from tlkit.tables import read_table

ROOT = Path(__file__).resolve().parents[1]

# Keras 3.15 hands its variables to h5py in a way that NumPy 2 is going to drop; nothing that tlkit could do.
KERAS_SAVES_WITH_A_WARNING = "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"

TOY_STAGE_ENDS = ("one_out", "two_out")


def with_fewer_tests(pair: DomainPair, n: int) -> DomainPair:
    """The pair with ``n`` test examples on each side, spread evenly: scoring them is most of many a run's time."""
    parts = (replace(domain, test=domain.test[:: len(domain.test) // n][:n]) for domain in (pair.source, pair.target))
    return DomainPair(*parts)


def failures_side_by_side(job: Callable[[], object], times: int = 4) -> list[BaseException]:
    """What a job raised that was started so many times at once, each in a thread of its own."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            job()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


def same_accuracy(new: float, stored: float, n: int) -> bool:
    """Whether an accuracy lies in the 95 % interval that ``n`` test examples give to the stored one."""
    return abs(new - stored) < 1.96 * float(np.sqrt(stored * (1 - stored) / n))


def assert_says_how_it_was_made(table: Path, command: str) -> None:
    """A stored table begins with what it is, its recipe, the command, which begins as given, and a date that was."""
    about = read_table(table).attrs
    assert list(about) == ["table", "recipe", "command", "date"]
    assert about["command"].startswith(command)
    assert datetime.date.fromisoformat(about["date"]) <= datetime.date.today()


@contextlib.contextmanager
def raises_one_line(kind: type[BaseException], *fragments: str) -> Iterator[None]:
    """The block raises ``kind``, exactly, with a message of one line that holds each fragment."""
    with pytest.raises(kind) as caught:
        yield
    assert caught.type is kind
    message = str(caught.value)
    assert len(message.splitlines()) == 1, message
    for fragment in fragments:
        assert fragment in message, f"{fragment!r} is not in {message!r}"


@contextlib.contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """The system refuses to let a file grow past ``size``, much as a full disk does."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def toy_model(seed: int = 0, *, channels: int = 1) -> keras.Model:
    """Two stages for 8x8 images: a convolution with BatchNorm, then a residual block with two of them."""

    def conv(filters: int, name: str, i: int) -> keras.layers.Layer:
        start = keras.initializers.GlorotUniform(seed=100 * seed + i)
        return keras.layers.Conv2D(filters, 3, padding="same", kernel_initializer=start, name=name)

    def batchnorm(name: str) -> keras.layers.Layer:
        return keras.layers.BatchNormalization(momentum=0.9, name=name)

    image = keras.Input((8, 8, channels), name="image")
    x = keras.layers.Rescaling(1 / 255, name="rescale")(image)
    x = batchnorm("one_bn")(conv(4, "one_conv", 0)(x))
    x = keras.layers.ReLU(name="one_out")(x)
    y = batchnorm("two_a_bn")(conv(4, "two_a_conv", 1)(x))
    y = keras.layers.ReLU(name="two_a_relu")(y)
    y = batchnorm("two_b_bn")(conv(4, "two_b_conv", 2)(y))
    x = keras.layers.Add(name="two_add")([x, y])
    x = keras.layers.ReLU(name="two_out")(x)
    return keras.Model(image, x, name="toy")


def toy_backbone(seed: int = 0) -> Backbone:
    return Backbone("toy", toy_model(seed), TOY_STAGE_ENDS)


def random_split(
    n: int = 24, *, classes: int = 3, shape: tuple[int, int, int] = (8, 8, 1), seed: int = 0, signal: bool = False
) -> Split:
    """Noise images, every class equally often; with ``signal`` each class is brighter than the one before."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n) % classes)
    x = rng.integers(0, 128 if signal else 256, size=(n, *shape))
    if signal:
        x = x + y[:, None, None, None] * (127 // max(classes - 1, 1))
    return Split(x.astype(np.uint8), y)


def weights_of(model: keras.Model) -> dict[str, np.ndarray]:
    """A copy of each weight under its path."""
    return {weight.path: weight.numpy().copy() for weight in model.weights}


def same_weights(one: keras.Model | list[np.ndarray], other: keras.Model | list[np.ndarray]) -> bool:
    """Whether all weights are equal bit by bit."""
    lists = [item if isinstance(item, list) else item.get_weights() for item in (one, other)]
    return len(lists[0]) == len(lists[1]) and all(
        a.dtype == b.dtype and a.tobytes() == b.tobytes() for a, b in zip(*lists, strict=True)
    )


def largest_difference(one: keras.Model, other: keras.Model) -> float:
    pairs = zip(one.get_weights(), other.get_weights(), strict=True)
    return max(float(np.max(np.abs(a - b), initial=0)) for a, b in pairs)


def assert_same_training(one: keras.Model, other: keras.Model, x: np.ndarray) -> None:
    """One training in two ways, the frozen part in batches of another size: equal by oneDNN, else up to rounding."""
    if onednn_is_on():
        assert same_weights(one, other), f"largest difference {largest_difference(one, other)}"
    answers = [np.asarray(model(x, training=False)) for model in (one, other)]
    np.testing.assert_allclose(*answers, rtol=0, atol=1e-4 * float(np.abs(answers[0]).max()))


def html_of(widget: ipywidgets.Widget) -> str:
    """All text that a widget and its children send to the page as HTML."""
    found = widget.value if isinstance(widget, ipywidgets.HTML) else ""
    return found + "".join(html_of(child) for child in getattr(widget, "children", ()))


def controls(box: ipywidgets.Box, css: str) -> list[ipywidgets.Widget]:
    """The controls in a widget with that class, from the top, as a browser test finds them."""
    found = []
    for widget in box.children:
        found += [widget] if css in widget._dom_classes else []
        found += controls(widget, css) if hasattr(widget, "children") else []
    return found


def control(box: ipywidgets.Box, css: str) -> ipywidgets.Widget:
    """The one control in a widget with that class."""
    (found,) = controls(box, css)
    return found


NO_NETWORK = """\
import socket

def _refuse(*args, **kwargs):
    raise OSError("the network was asked for")

socket.socket.connect = socket.socket.connect_ex = _refuse
socket.create_connection = socket.getaddrinfo = socket.gethostbyname = _refuse
"""


def run_python(
    *arguments: str, cwd: Path | None = None, env: dict[str, str] | None = None, timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """A fresh Python that finds this checkout's tlkit."""
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg", **(env or {})},
        timeout=timeout,
    )
