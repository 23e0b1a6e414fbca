"""What a diagnosis returns: findings, as a table in a terminal and as safe HTML in a notebook."""

from __future__ import annotations

import html
import io
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from tlkit.words import counted

__all__ = ["Finding", "Findings"]

SEVERITIES = ("error", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """One mistake that was found, or (``"note"``) one thing explained.

    Args:
        rule: The name of the rule, such as ``"softmax-twice"``.
        severity: ``"error"`` (the result is wrong), ``"warning"`` (it is probably not what was meant) or ``"note"``.
        evidence: What was seen, with its numbers.
        fix: One line that mends it.
        notebook: The notebook of the course that explains it.
    """

    rule: str
    severity: str
    evidence: str
    fix: str
    notebook: str


class Findings(list[Finding]):
    """A list of :class:`Finding`, the gravest first, that also knows what could not be checked.

    Args:
        found: The findings.
        unchecked: A rule, or several, and the reason why it could not be applied, for each reason.
        checked: The number of rules that were applied.
    """

    def __init__(self, found: list[Finding], unchecked: dict[str, str], checked: int) -> None:
        super().__init__(sorted(found, key=lambda finding: SEVERITIES.index(finding.severity)))
        self.unchecked = unchecked
        self.checked = checked

    @property
    def summary(self) -> str:
        """The counts in one line."""
        counts = [(severity, sum(finding.severity == severity for finding in self)) for severity in SEVERITIES]
        words = ", ".join(counted(n, severity) for severity, n in counts if n) or "nothing found"
        return f"{words}; {self.checked} rules checked, {len(self.unchecked)} not."

    def to_frame(self) -> pd.DataFrame:
        """One row per finding."""
        return pd.DataFrame([asdict(finding) for finding in self], columns=list(Finding.__dataclass_fields__))

    def reasons(self) -> dict[str, list[str]]:
        """For each reason why something could not be checked, the rules that it stopped."""
        found: dict[str, list[str]] = {}
        for rule, reason in self.unchecked.items():
            found.setdefault(reason, []).append(rule)
        return found

    def __rich__(self) -> Any:
        """The same as a table for a terminal, with what could not be checked (rich calls this)."""
        return self.report()

    def report(self, *, unchecked: bool = True) -> Any:
        """A table for a terminal, which rich prints; ``unchecked`` also names the rules that were not applied."""
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        parts: list[Any] = [Text(self.summary)]  # Text: a name with square brackets is no markup
        if self:
            table = Table(show_lines=True)
            table.add_column("rule", no_wrap=True)
            table.add_column("evidence", overflow="fold")
            table.add_column("fix", overflow="fold")
            styles = {"error": "bold red", "warning": "yellow", "note": "cyan"}
            for finding in self:
                name = Text(f"{finding.severity}\n{finding.rule}", style=styles[finding.severity])
                table.add_row(name, Text(finding.evidence), Text(f"{finding.fix}\n→ {finding.notebook}"))
            parts.append(table)
        for reason, rules in self.reasons().items() if unchecked else ():
            parts.append(Text(f"not checked ({reason}): {', '.join(rules)}", style="dim"))
        return Group(*parts)

    def __repr__(self) -> str:
        from rich.console import Console

        # In a notebook a console shows what it prints: the report would stand there twice.
        console = Console(file=io.StringIO(), width=120, color_system=None, force_jupyter=False)
        console.print(self)
        return str(console.file.getvalue()).rstrip()  # type: ignore[attr-defined]  # it is the StringIO above

    def _repr_html_(self) -> str:
        parts = [f"<p>{html.escape(self.summary)}</p>"]
        if self:
            heads = "".join(f"<th style='text-align:left'>{name}</th>" for name in ("rule", "evidence", "fix", "read"))
            rows = "".join(_html_row(finding) for finding in self)
            parts.append(f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>")
        if self.unchecked:  # folded: it stands under every result, and is of use when one asks why
            reasons = "".join(
                f"<p>not checked ({html.escape(reason)}): {html.escape(', '.join(rules))}</p>"
                for reason, rules in self.reasons().items()
            )
            rules = counted(len(self.unchecked), "rule")
            parts.append(f"<details><summary>{rules} not checked, and why</summary>{reasons}</details>")
        return "".join(parts)


def _html_row(finding: Finding) -> str:
    # A word stands beside each colour, and the colours are readable in light and in dark.
    color = {"error": "#c0392b", "warning": "#b7791f", "note": "#2b6cb0"}[finding.severity]
    name = f"<b style='color:{color}'>{html.escape(finding.severity)}</b>: {html.escape(finding.rule)}"
    cells = [name, *(html.escape(text) for text in (finding.evidence, finding.fix, finding.notebook))]
    return "<tr>" + "".join(f"<td style='text-align:left;vertical-align:top'>{cell}</td>" for cell in cells) + "</tr>"
