"""``python -m benchmarks [NAME] [--json]``."""

from __future__ import annotations

import importlib
import json
from typing import Annotated, Any

import typer

from benchmarks.measure import machine

NAMES = (
    "speed", "startup", "freezing", "frozen", "conv5", "photos", "views", "scale", "peers", "freezelab", "grading",
    "accelerator", "cluster",
)  # fmt: skip


def main(
    name: Annotated[str | None, typer.Argument(help=f"One of {', '.join(NAMES)}; all when left out.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Measure, and print medians with their range."""
    if name is not None and name not in NAMES:
        raise typer.BadParameter(f"must be one of {', '.join(NAMES)}, got {name!r}")
    report: dict[str, Any] = {"machine": machine()}
    for each in NAMES if name is None else (name,):
        report[each] = importlib.import_module(f"benchmarks.{each}").run()
    if as_json:
        typer.echo(json.dumps(report))
    else:
        _show(report)


def _show(report: dict[str, Any], indent: str = "") -> None:
    for key, value in report.items():
        if isinstance(value, dict) and set(value) == {"median", "min", "max"}:
            typer.echo(f"{indent}{key}: {value['median']:.3f} s ({value['min']:.3f} to {value['max']:.3f})")
        elif isinstance(value, dict):
            typer.echo(f"{indent}{key}")
            _show(value, indent + "  ")
        else:
            typer.echo(f"{indent}{key}: {value:.2f}" if isinstance(value, float) else f"{indent}{key}: {value}")


if __name__ == "__main__":
    typer.run(main)
