"""The bar of what takes long, by tqdm: a notebook's where a kernel runs the code, a terminal's everywhere else."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Any

__all__ = ["in_kernel", "progress_bar"]


def in_kernel() -> bool:
    """Whether a Jupyter kernel runs this code: its shell has the kernel, and a terminal's has none."""
    ipython = sys.modules.get("IPython")  # a kernel has imported it, so nobody has to wait for it here
    return hasattr(ipython.get_ipython(), "kernel") if ipython else False


def progress_bar(total: int, what: str, unit: str, *, shown: bool | None = True, delay: float = 0) -> Any:
    """A bar that goes away at its end.

    tqdm.auto would take a notebook's bar, and standard output, as soon as anything has imported ipykernel: `tlkit
    course` does, on a terminal.

    Args:
        total: Units until the end.
        shown: With None where someone looks: in a notebook and on a terminal.
        delay: Seconds until it appears.
    """
    kernel = in_kernel()
    if kernel and find_spec("ipywidgets"):  # tqdm's bar is a widget
        from tqdm.notebook import tqdm
    else:
        from tqdm import tqdm
    # disable=None is tqdm's word for "only on a terminal"; a notebook is none, yet someone looks.
    disable = (False if kernel else None) if shown is None else not shown
    return tqdm(total=total, desc=what, unit=unit, leave=False, delay=delay, disable=disable)
