"""Whether tlkit's version and the newest section of CHANGELOG.md, and the tag of a release, name the same version.

python tools/check_release.py          # while it is worked on, too
python tools/check_release.py v0.2.0   # is this the tag of a release?
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from packaging.version import Version

import tlkit

CHANGELOG = Path(__file__).resolve().parents[1] / "CHANGELOG.md"
UNRELEASED = "Unreleased"
DATED = re.compile(r"(\d+\.\d+\.\d+) - (\d{4}-\d\d-\d\d)")


def headings() -> list[str]:
    """The headings of the changelog's sections, the newest first."""
    return re.findall(r"^## (.+)$", CHANGELOG.read_text(encoding="utf-8"), re.MULTILINE)


def releases(sections: Sequence[str]) -> list[tuple[str, str]]:
    """Version and date of each release, the newest first."""
    return [(found[1], found[2]) for found in map(DATED.fullmatch, sections) if found]


def fault(version: str, sections: Sequence[str], tag: str | None = None) -> str:
    """What does not agree, in one line; nothing when all does.

    Args:
        version: tlkit's own.
        sections: The headings of the changelog, the newest first: "Unreleased", or "0.2.0 - 2026-11-28".
        tag: That of a release, ``v`` and the version.
    """
    released = releases(sections)
    if tag is not None and tag != f"v{version}":
        return f"the tag must be v{version}, as tlkit/__init__.py has it, got {tag}."
    if odd := [each for each in sections[1:] if not DATED.fullmatch(each)]:
        return f"a section below the first must read '0.2.0 - 2026-11-28', got {odd[0]!r}."
    if sections[0] != UNRELEASED:
        if not released or sections[0] != " - ".join(released[0]) or released[0][0] != version:
            return f"the newest section must read '{version} - DATE' or {UNRELEASED!r}, got {sections[0]!r}."
        return ""
    if tag is not None:
        return f"a release needs a dated section on top, got {UNRELEASED!r}."
    if not Version(version).is_devrelease or (released and Version(version) < Version(released[0][0])):
        newest = f" later than {released[0][0]}" if released else ""
        return f"below {UNRELEASED!r} the version must be a .dev0{newest}, got {version}."
    return ""


if __name__ == "__main__":
    sys.exit(fault(tlkit.__version__, headings(), *sys.argv[1:2]) or None)
