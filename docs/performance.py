"""Puts what the benchmarks found (docs/performance.json) into docs/performance.md; a test holds the two equal."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "benchmarks"))

from aims import aims_table
from figures import kill_table, matrix, read_figures, rows_of, shares_table, storm_table

PAGE = Path(__file__).with_name("performance.md")
FIGURES = Path(__file__).with_name("performance.json")
NOT_YET = "Not measured yet: `make bench` fills this in."

_BLOCK = re.compile(r"(<!-- (\w+) -->\n).*?(<!-- /\2 -->)", re.DOTALL)

Figures = Mapping[str, Any]


def page(text: str, figures: Figures) -> str:
    """Return the page with each block (`<!-- name -->` … `<!-- /name -->`) made of the figures."""
    return _BLOCK.sub(lambda found: f"{found[1]}{BLOCKS[found[2]](figures)}\n{found[3]}", text)


def _machine(figures: Figures) -> str:
    found = figures.get("throughput")
    if found is None:
        return NOT_YET
    machine, versions = found["machine"], found["versions"]
    on = f"{machine['cores']} cores of {machine['processor']}, {machine['system']}, {machine['when']}"
    return f"Measured on {on}; {', '.join(f'{name} {number}' for name, number in versions.items())}."


def _section(name: str, made: Callable[[Any], str]) -> Callable[[Figures], str]:
    return lambda figures: made(figures[name]) if name in figures else NOT_YET


BLOCKS: Mapping[str, Callable[[Figures], str]] = {
    "machine": _machine,
    "aims": aims_table,
    "throughput": lambda figures: matrix(rows_of(figures)) or NOT_YET,
    "shares": _section("shares", shares_table),
    "storm": _section("storm", storm_table),
    "kill": _section("kill", kill_table),
}
"""What each block of the page is made by."""


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), read_figures(FIGURES)), encoding="utf-8")
