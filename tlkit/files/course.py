"""The course's notebooks, pictures and exercises: where they were installed, and a learner's copy of them.

A copy is brought up to date around the learner's work: ``.tlkit-course.json`` in it says what was copied, and a file
that is no longer that is the learner's.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["FIRST_NOTEBOOK", "FOLDED", "CopiedCourse", "copy_course", "course_files", "course_folder"]

FIRST_NOTEBOOK = "notebooks/00_start_here.ipynb"
FOLDED = "The result is folded. Write your guess down, then run the cell."

# What belongs to the course; photographs and drawings have a licence of their own, which lies in each folder.
_PATTERNS = (
    "notebooks/*.ipynb",
    "notebooks/glossary.md",
    "notebooks/photos/**/*",
    "notebooks/drawings/**/*",
    "notebooks/pictures/*.svg",
    "exercises/release/*/*.ipynb",
    "exercises/STUDENTS.md",
)
_RECORD = ".tlkit-course.json"
_PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class CopiedCourse:
    """What became of each file of the course: paths within the folder."""

    new: tuple[str, ...]
    updated: tuple[str, ...]
    kept: tuple[str, ...]


def course_folder() -> Path:
    """The folder with ``notebooks`` and ``exercises``: the checkout that tlkit lies in, or else its installation's.

    Both may be there, in a checkout from which a wheel was unpacked; then the checkout is what is edited.
    """
    checkout = _PACKAGE.parent
    whole = (checkout / "pyproject.toml").is_file() and (checkout / "notebooks").is_dir()
    return checkout if whole else _PACKAGE / "course"


def course_files() -> list[str]:
    """The course's files, as paths with ``/`` within ``course_folder()``."""
    root = course_folder()
    found = (path for pattern in _PATTERNS for path in root.glob(pattern) if path.is_file())
    return sorted(path.relative_to(root).as_posix() for path in found)


def copy_course(folder: Path) -> CopiedCourse:
    """Copy the course into ``folder``; what a learner has changed there stays, and the rest becomes today's.

    Notebooks get the ``language_info`` and ``kernelspec`` of this Python's kernel. JupyterLab writes both into a
    notebook that it opens, and counts a notebook that had others as unsaved. In place of a folded output JupyterLab
    shows its first line, which would give a prediction away: so folded outputs begin with a line of their own.

    Raises:
        ValueError: ``folder`` is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"folder must be a folder, got the file {str(folder)!r}.")
    folder.mkdir(parents=True, exist_ok=True)
    record = _read_record(folder / _RECORD)
    kernel = _kernel_metadata()
    outcome: dict[str, list[str]] = {"new": [], "updated": [], "kept": []}
    for name in course_files():
        content = (course_folder() / name).read_bytes()
        if name.endswith(".ipynb"):
            content = _for_learner(content, kernel)
        copy, digest = folder / name, hashlib.sha256(content).hexdigest()
        there = hashlib.sha256(copy.read_bytes()).hexdigest() if copy.is_file() else None
        if there != digest:
            if there is not None and there != record.get(name):
                outcome["kept"].append(name)
                continue
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(content)
            outcome["new" if there is None else "updated"].append(name)
        record[name] = digest
    (folder / _RECORD).write_text(json.dumps(record, indent=1), encoding="utf-8")
    return CopiedCourse(**{key: tuple(names) for key, names in outcome.items()})


def _read_record(path: Path) -> dict[str, str]:
    """What was copied, by name; nothing when the file is missing or was damaged: then all that is there is kept."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _kernel_metadata() -> dict[str, Any]:
    from ipykernel.ipkernel import IPythonKernel
    from jupyter_client.kernelspec import KernelSpecManager

    spec = KernelSpecManager().get_kernel_spec("python3")
    return {
        "kernelspec": {"display_name": spec.display_name, "language": spec.language, "name": "python3"},
        "language_info": dict(IPythonKernel.language_info),
    }


def _for_learner(content: bytes, kernel: dict[str, Any]) -> bytes:
    notebook = json.loads(content)
    notebook["metadata"] = {**notebook["metadata"], **kernel}
    for cell in notebook.get("cells", []):
        if cell["metadata"].get("jupyter", {}).get("outputs_hidden") and cell["outputs"]:
            folded = {"output_type": "display_data", "metadata": {}, "data": {"text/plain": [FOLDED]}}
            cell["outputs"].insert(0, folded)
    return (json.dumps(notebook, indent=1, ensure_ascii=False) + "\n").encode()
