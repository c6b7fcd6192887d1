"""What the benchmarks found, as JSON by section, and its tables in Markdown: the same in the terminal and on the page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from measuring import Usage

OURS = "harness run"
DASH = "–"


class Row(NamedTuple):
    """Medians of a contender in one setting; a field of the JSON file each.

    Attributes:
        latency_s: What the server waits before it answers.
        cached: Whether it is the re-run that finds every answer in a cache.
        at_once: The most calls that the server saw in flight.
    """

    latency_s: float
    samples: int
    contender: str
    cached: bool
    rounds: int
    wall_s: float
    cpu_s: float
    peak_mb: float
    at_once: int


def medians(latency: float, samples: int, name: str, cached: bool, took: Sequence[Usage], at_once: int) -> Row:
    """Return the row of several rounds, each number the median of its own."""
    wall, cpu, peak = (round(median(values), 3) for values in zip(*took, strict=True))
    return Row(latency, samples, name, cached, len(took), wall, cpu, round(peak, 1), at_once)


def rows_of(figures: Mapping[str, Any]) -> list[Row]:
    """Return the rows of a file of figures, none where nothing was measured."""
    return [Row(**row) for row in figures.get("throughput", {}).get("rows", ())]


def read_figures(path: Path) -> dict[str, Any]:
    """Return the sections of a file, none when it is not there."""
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def update(path: Path, section: str, value: Mapping[str, Any]) -> dict[str, Any]:
    """Put a section in the file, leave the others as they are, and return all."""
    figures = dict(sorted({**read_figures(path), section: value}.items()))
    path.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return figures


# --- tables -----------------------------------------------------------------------------------------------------------


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; all columns but the first are numbers, to the right."""
    lines = [list(head), *map(list, rows)]
    widths = [max(3, *(len(line[at]) for line in lines)) for at in range(len(head))]
    shown = ["| " + " | ".join(_padded(line, widths)) + " |" for line in lines]
    rule = ["-" * width if at == 0 else "-" * (width - 1) + ":" for at, width in enumerate(widths)]
    return "\n".join([shown[0], "| " + " | ".join(rule) + " |", *shown[1:]])


def _padded(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    first, *others = (cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
    return [cells[0].ljust(len(first)), *others]


HEAD = (
    "contender",
    "rounds",
    "seconds",
    "harness is",
    "CPU, s",
    "peak, MB",
    "cached, s",
    "harness is",
    "cached CPU, s",
)


def cell_title(latency: float, samples: int) -> str:
    """Return what is measured in a cell of the matrix."""
    return f"{samples:,} samples, server latency {latency * 1000:g} ms"


def cell_table(rows: Sequence[Row]) -> str:
    """Return the table of one cell of the matrix: a line for each contender, fresh and cached side by side."""
    fresh = {row.contender: row for row in rows if not row.cached}
    cached = {row.contender: row for row in rows if row.cached}
    return table(HEAD, (_line(name, fresh, cached) for name in dict.fromkeys(row.contender for row in rows)))


def _line(name: str, fresh: Mapping[str, Row], cached: Mapping[str, Row]) -> list[str]:
    first, again = fresh.get(name), cached.get(name)
    rounds = max(row.rounds for row in (first, again) if row is not None)
    return [
        name,
        str(rounds),
        _number(first and first.wall_s, ".2f"),
        _against(first, fresh.get(OURS)),
        _number(first and first.cpu_s, ".2f"),
        _number(first and first.peak_mb, ".0f"),
        _number(again and again.wall_s, ".2f"),
        _against(again, cached.get(OURS)),
        _number(again and again.cpu_s, ".2f"),
    ]


def _number(value: float | None, form: str) -> str:
    return DASH if value is None else format(value, form)


def _against(row: Row | None, ours: Row | None) -> str:
    if row is None or ours is None or row is ours:
        return ""
    return f"{row.wall_s / ours.wall_s:.2f} ×"


def matrix(rows: Sequence[Row]) -> str:
    """Return the tables of all cells, each under its title."""
    cells = dict.fromkeys((row.latency_s, row.samples) for row in rows)
    parts = (
        f"**{cell_title(*cell)}**\n\n{cell_table([row for row in rows if (row.latency_s, row.samples) == cell])}"
        for cell in cells
    )
    return "\n\n".join(parts)


STORM_HEAD = (
    "contender",
    "seconds",
    "× the limit",
    "unanswered",
    "calls",
    "429 drawn",
    "429 of the rate",
    "at once",
)


def storm_table(storm: Mapping[str, Any]) -> str:
    """Return the table of the 429 storm."""
    lines = (
        [
            str(row["contender"]),
            f"{row['wall_s']:.1f}",
            f"{row['wall_s'] / storm['limit_s']:.2f}",
            f"{row['unanswered']:,}",
            f"{row['calls']:,}",
            f"{row['drawn']:,}",
            f"{row['limited']:,}",
            str(row["at_once"]),
        ]
        for row in storm["rows"]
    )
    return table(STORM_HEAD, lines)


KILL_LINES = (
    ("kills", "times killed and started again"),
    ("lost", "completions lost"),
    ("paid_twice", "answered calls paid again"),
    ("in_flight", "calls in flight when killed, so asked again"),
    ("most_in_flight", "of them at most in one kill"),
)


def kill_table(kill: Mapping[str, Any]) -> str:
    """Return the table of the killed run."""
    lines = [[words, f"{kill[key]:,}"] for key, words in KILL_LINES]
    same = "yes" if kill["same_scores"] else "no"
    return table(
        (f"{kill['samples']:,} samples", "count"), [*lines, ["scores and predictions of an unbroken run", same]]
    )


def shares_table(shares: Mapping[str, Any]) -> str:
    """Return the table of where the time of a run goes."""
    return table(("part", "share"), ([name, f"{share:.1%}"] for name, share in shares["shares"].items()))
