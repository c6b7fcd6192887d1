"""What `harness doctor` found, in the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.health import Check, Status
from harness.report import numbers
from harness.report.terminal import BAD, GOOD, QUIET
from harness.report.text import visible

STYLES: dict[Status, str] = {"ok": GOOD, "warning": "yellow", "problem": BAD}


def checks_table(group: str, checks: Sequence[Check]) -> RenderableType:
    """Return the checks of a group, one a line, and below those with something to do what that is."""
    made = Table.grid(padding=(0, 2, 0, 0))
    made.add_column(no_wrap=True, min_width=len("problem"))
    made.add_column(max_width=40, overflow="fold")
    made.add_column(overflow="fold")
    for check in checks:
        made.add_row(Text(check.status, style=STYLES[check.status]), _flat(check.name), _flat(check.found))
        if check.next_step is not None:
            made.add_row("", "", Text(visible(check.next_step), style=QUIET))
    return Group(Text(visible(group), style="bold"), made)


def _flat(text: str) -> Text:
    return Text(visible(" ".join(text.split())))


def verdict_line(checks: Sequence[Check]) -> Text:
    """Return what it comes to."""
    found = Counter(check.status for check in checks)
    if not found["problem"] and not found["warning"]:
        return Text("everything is well", style=GOOD)
    parts = [numbers.plural(found[status], status) for status in ("problem", "warning") if found[status]]
    return Text(", ".join(parts), style=STYLES["problem" if found["problem"] else "warning"])
