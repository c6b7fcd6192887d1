"""Tables that leave columns out where the terminal is too narrow for all of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from copy import copy
from dataclasses import replace

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Column, Table
from rich.text import Text

from harness.report.terminal import QUIET

LEAST = 8
"""Characters that a column of names keeps where they have so many."""


class Fitting:
    """A table as wide as the terminal lets it be: without some columns, told below it, before any number is cut.

    Args:
        made: The table, whole.
        left_out: Groups of columns by their number, in the order in which they are given up.
    """

    def __init__(self, made: Table, left_out: Sequence[Collection[int]]) -> None:
        self.made = made
        self.left_out = left_out

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        shown, wide, gone = self.made, width(self.made), set[int]()
        for group in self.left_out:
            if width(shown) <= options.max_width:
                break
            gone |= set(group)
            shown = _without(self.made, gone)
        yield shown
        if gone:
            yield Text(f"columns left out: {len(gone)}; all of them need a terminal of {wide} columns", style=QUIET)


def width(made: Table) -> int:
    """Return how wide a table must be for no number in it to be cut, and for its names to keep `LEAST` characters."""
    widths = [_widest(column) if column.no_wrap else min(LEAST, _widest(column)) for column in made.columns]
    return sum(widths) + (len(widths) - 1) * (1 + made.padding[1])


def _widest(column: Column) -> int:
    return max(cell_len(line) for cell in (column.header, *column.cells) for line in _plain(cell).split("\n"))


def _plain(cell: RenderableType) -> str:
    return cell.plain if isinstance(cell, Text) else str(cell)


def _without(made: Table, gone: Collection[int]) -> Table:
    shown = copy(made)
    kept = [column for at, column in enumerate(made.columns) if at not in gone]
    shown.columns = [replace(column, _index=at) for at, column in enumerate(kept)]
    return shown
