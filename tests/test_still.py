"""What is left of a widget without a kernel: the outputs of a cell that a page, or a program, runs in a real kernel."""

import base64
import re
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.manager import start_new_kernel
from matplotlib.figure import Figure

from tlkit.widgets.still import Still

VIEW = "application/vnd.jupyter.widget-view+json"
MAKE = "from tlkit.widgets import GradientExplorer\nexplorer = GradientExplorer()\nexplorer"
PICTURE = "explorer._repr_mimebundle_()['image/png']"


@pytest.fixture(scope="module")
def kernel() -> Iterator[BlockingKernelClient]:
    manager, client = start_new_kernel()
    yield client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def run(kernel: BlockingKernelClient, code: str, **metadata: str) -> list[dict[str, Any]]:
    """The outputs of a cell; a page names the cell in the metadata of its request, nbclient and nbval do not."""
    content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
    request = kernel.session.msg("execute_request", content, metadata=metadata)
    kernel.shell_channel.send(request)
    outputs = []
    while True:
        message = kernel.get_iopub_msg(timeout=60)
        if message["parent_header"].get("msg_id") != request["header"]["msg_id"]:
            continue
        kind, content = message["msg_type"], message["content"]
        assert kind != "error", content
        if kind == "status" and content["execution_state"] == "idle":
            return outputs
        if kind in ("display_data", "execute_result"):
            outputs.append({"kind": kind, **content})


def value(kernel: BlockingKernelClient, expression: str) -> str:
    return str(run(kernel, f"print(end='')\n{expression}")[-1]["data"]["text/plain"]).strip("'")


def picture_in(html: str) -> str:
    (found,) = re.findall(r"data:image/png;base64,([\w+/=]+)", html)
    return str(found)


def test_a_program_gets_one_output_with_the_picture_beside_the_view(kernel: BlockingKernelClient) -> None:
    (output,) = run(kernel, MAKE)
    assert output["kind"] == "execute_result"
    assert set(output["data"]) == {VIEW, "image/png", "text/plain"}
    assert base64.b64decode(output["data"]["image/png"]).startswith(b"\x89PNG")


def test_a_page_gets_the_picture_as_an_output_of_its_own_and_a_new_one_after_a_change(
    kernel: BlockingKernelClient,
) -> None:
    still, view = run(kernel, MAKE, cellId="cell-01")
    assert set(view["data"]) == {VIEW, "image/png", "text/plain"}
    assert set(still["data"]) == {"text/html"}  # without text/plain: nothing is compared, read or printed twice
    assert picture_in(still["data"]["text/html"]) == view["data"]["image/png"]
    # Where a sanitizer takes the rules away (GitHub, an untrusted notebook), nothing of it is to be seen.
    assert re.search(r'<div class="tlkit-still" hidden>', still["data"]["text/html"])
    assert "<img" not in still["data"]["text/html"]

    run(kernel, "for _ in range(5): explorer.take_step()")
    while (message := kernel.get_iopub_msg(timeout=60))["msg_type"] != "update_display_data":
        pass
    assert message["content"]["transient"] == still["transient"]
    new = picture_in(message["content"]["data"]["text/html"])
    assert new != view["data"]["image/png"]
    assert new == value(kernel, PICTURE)  # after the last of five quick changes


def test_threads_that_draw_at_once_are_not_warned_of_what_the_font_lacks() -> None:
    def draw(figure: Figure) -> None:
        figure.text(0.1, 0.5, "猫")

    still = Still(draw, lambda: (2, 1), lambda: "a cat")
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            pictures = list(pool.map(lambda _: still._picture(), range(24)))
    finally:
        sys.setswitchinterval(before)
    assert len(set(pictures)) == 1
