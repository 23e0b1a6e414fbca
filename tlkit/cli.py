"""The ``tlkit`` command: the bundled experiment, the course in JupyterLab, and what is installed.

Modules are imported where they are used: ``tlkit --help`` must not wait for TensorFlow.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import json
import math
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

import tlkit

app = typer.Typer(
    name="tlkit",
    help="Learn transfer learning hands-on: real data and a pretrained ResNet, no network needed.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

cache_app = typer.Typer(help="The stored features of frozen trunks.", no_args_is_help=True)
app.add_typer(cache_app, name="cache")

_SHOWN_PACKAGES = ("keras", "tensorflow", "numpy", "scikit-learn", "seaborn", "jupyterlab", "ipywidgets")


def main() -> None:
    """Run the command; an error that a user can mend is one line on stderr and exit code 2."""
    from tlkit.assets import AssetError

    try:
        app()
    except (ValueError, AssetError, OSError) as error:
        typer.echo(f"tlkit: {error}", err=True)
        raise SystemExit(2) from None


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"tlkit {tlkit.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    pass


@app.command()
def demo(
    target: Annotated[str, typer.Option(help="Where to transfer to: mnist or optdigits.")] = "mnist",
    per_class: Annotated[int, typer.Option(help="Target labels of each class.")] = 10,
    seeds: Annotated[int, typer.Option(help="Draws of those labels; more give narrower intervals.")] = 5,
    figure: Annotated[
        Path | None, typer.Option(help="Where to write the picture (PNG); tlkit-demo-TARGET.png by default.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of the table.")] = False,
) -> None:
    """Does transfer help? Six methods, the same few labels, the same test images."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from tlkit.domains import DIGIT_DOMAINS, nearest_name

    if target not in DIGIT_DOMAINS:
        raise ValueError(f"target must be {nearest_name(target, DIGIT_DOMAINS)}")
    picture = figure or Path(f"tlkit-demo-{target}.png")
    if picture.is_dir():
        raise ValueError(f"figure must be a file, got the folder {str(picture)!r}.")
    if picture.suffix.lower() != ".png":
        raise ValueError(f"figure must be a .png file, got {str(picture)!r}.")
    if not picture.parent.is_dir():
        raise ValueError(f"figure must lie in an existing folder, got {str(picture)!r}.")

    console = Console(stderr=True)
    with console.status("loading TensorFlow, the data and the pretrained ResNet"):
        import pandas as pd

        from tlkit.demo import METHODS, run_demo, summarise
        from tlkit.plots import plot_demo

        rows = run_demo(target, per_class=per_class, seeds=seeds)

    bar = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    runs: list[dict[str, Any]] = []
    shown = Progress(*bar, console=console, transient=True, disable=not console.is_terminal)
    with _interrupt_leaves(), shown as progress:
        task = progress.add_task("pretrained ResNet on the test images", total=seeds * len(METHODS))
        for row in rows:
            runs.append(row)
            progress.update(task, advance=1, description=f"seed {row['seed']}: {row['method']}")
    table = summarise(pd.DataFrame(runs))

    axes = plot_demo(table)
    axes.set_title(_title(target, per_class, seeds), loc="left", fontsize=10)
    drawing = axes.get_figure(root=True)
    assert drawing is not None  # plot_demo made it
    drawing.savefig(picture, dpi=150)
    if as_json:
        typer.echo(json.dumps({"target": target, "rows": _json_rows(table)}, allow_nan=False))
    else:
        _print_table(table, target, per_class, seeds)
        typer.echo(f"Picture: {picture}")


@contextlib.contextmanager
def _interrupt_leaves() -> Iterator[None]:
    """Ctrl-C leaves the command; fit alone would return the history so far, and the next training would begin."""

    def leave(*_: object) -> None:
        raise typer.Abort

    before = signal.signal(signal.SIGINT, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _json_rows(table: Any) -> list[dict[str, Any]]:
    # JSON has no NaN: what does not exist is null.
    return [
        {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in row.items()}
        for row in table.to_dict("records")
    ]


def _title(target: str, per_class: int, seeds: int) -> str:
    over = f"mean of {seeds} draws ± 95 % interval" if seeds > 1 else "one draw of labels"
    return f"Accuracy, printed → {target}, {per_class} labels a class, {over}"


def _print_table(table: Any, target: str, per_class: int, seeds: int) -> None:
    from rich.console import Console
    from rich.table import Table

    def with_interval(mean: float, half: float) -> str:
        return f"{mean:.3f}" if math.isnan(half) else f"{mean:.3f} ± {half:.3f}"

    shown = Table(title=_title(target, per_class, seeds), title_justify="left")
    shown.add_column("method", no_wrap=True)
    for name in ("target", "source", "weights trained", "seconds"):
        shown.add_column(name, justify="right", no_wrap=True)
    for row in table.itertuples():
        shown.add_row(
            row.method,
            with_interval(row.target_accuracy, row.target_ci95),
            "–" if math.isnan(row.source_accuracy) else f"{row.source_accuracy:.3f}",
            f"{row.trainable_weights:,}",
            f"{row.seconds:.1f}",
        )
    Console().print(shown)
    rows = table.set_index("method")
    gain = 100 * (rows.target_accuracy["frozen"] - rows.target_accuracy["raw pixels"])
    lost = 100 * (rows.source_accuracy["frozen"] - rows.source_accuracy["fine-tuned"])
    typer.echo(
        f"Frozen features read {target} {abs(gain):.1f} points {'better' if gain > 0 else 'worse'} than raw pixels. "
        + (f"Fine-tuning cost {lost:.1f} points" if lost >= 0.05 else "Fine-tuning cost nothing")
        + " of the source accuracy."
    )


def _course_in_checkout() -> Path | None:
    root = Path(__file__).resolve().parents[1]
    return root / "notebooks" if (root / "pyproject.toml").is_file() and (root / "notebooks").is_dir() else None


def _copy_course(folder: Path) -> None:
    """Copy the notebooks into ``folder``; a file that is there already is the learner's work and stays."""
    course = _course_in_checkout() or Path(__file__).parent / "course" / "notebooks"
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"folder must be a folder, got the file {str(folder)!r}.")
    folder.mkdir(parents=True, exist_ok=True)
    kept = 0
    for notebook in sorted(course.glob("*.ipynb")):
        if (folder / notebook.name).exists():
            kept += 1
        else:
            shutil.copyfile(notebook, folder / notebook.name)
    if kept:
        typer.echo(f"{kept} notebooks were in {folder} already and were left as they are.")


@app.command()
def lab(
    folder: Annotated[
        Path | None,
        typer.Argument(help="Where to put the course's notebooks; in a checkout, its own notebooks/ is opened."),
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open a browser.")] = True,
) -> None:
    """Open the course in JupyterLab."""
    if importlib.util.find_spec("jupyterlab") is None:
        raise ValueError("JupyterLab must be installed for this: pip install 'tlkit[lab]'.")
    course = _course_in_checkout() if folder is None else None
    if course is None:
        course = folder or Path("tlkit-course")
        _copy_course(course)
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={course.resolve()}"]
    if not browser:
        command.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")  # root is the only user of many containers, and JupyterLab would refuse it
    raise SystemExit(subprocess.call(command))


@app.command()
def info(
    devices: Annotated[bool, typer.Option(help="List the devices that TensorFlow sees (loads TensorFlow).")] = True,
) -> None:
    """Versions, devices, and whether each bundled file is whole."""
    from tlkit.assets import asset_status

    typer.echo(f"tlkit {tlkit.__version__}, Python {sys.version.split()[0]}, {sys.platform}")
    for package in _SHOWN_PACKAGES:
        try:
            version = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            version = "not installed"
        typer.echo(f"  {package:<14} {version}")
    status = asset_status()
    typer.echo("bundled files")
    for name, state in status.items():
        typer.echo(f"  {name:<32} {state}")
    if devices:
        from tlkit._tensorflow import tf

        typer.echo("devices")
        for device in tf.config.list_physical_devices():
            details = tf.config.experimental.get_device_details(device) if device.device_type == "GPU" else {}
            typer.echo(f"  {device.device_type:<14} {details.get('device_name', device.name)}")
    if any(state != "whole" for state in status.values()):
        raise SystemExit(1)


@cache_app.command("info")
def cache_info() -> None:
    """Where stored features are, how many there are and how much space they take."""
    from tlkit.store import user_store

    store = user_store()
    entries = store.entries()
    size = sum(entry.bytes for entry in entries)
    typer.echo(f"{store.folder}")
    typer.echo(f"  {len(entries)} arrays, {size / 2**20:,.1f} MiB of {store.limit_bytes / 2**20:,.0f} MiB")


@cache_app.command("clear")
def cache_clear() -> None:
    """Remove all stored features; they are computed anew when they are needed."""
    from tlkit.store import user_store

    store = user_store()
    count, size = store.clear()
    typer.echo(f"{count} arrays removed from {store.folder}, {size / 2**20:,.1f} MiB freed")
