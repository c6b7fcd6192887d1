"""Tables in narrow terminals: columns are left out before a number is cut or a name vanishes."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.table import Table

from harness.report.fitting import Fitting, width
from harness.report.terminal import table


def numbers() -> Table:
    """Return a table of a name and four numbers, 33 characters wide at least."""
    made = table("label", "gold", "F1", "TP→\nFN", "cost", left=("label",), gives_way=("label",))
    made.add_row("a name that is longer than any", "12", "0.123", "4", "$0.10")
    return made


def shown(columns: int, *left_out: tuple[int, ...]) -> str:
    """Return the table as it is printed in so many columns."""
    out = io.StringIO()
    Console(file=out, width=columns).print(Fitting(numbers(), left_out))
    return out.getvalue()


def test_the_width_that_a_table_needs() -> None:
    """Numbers are never cut, names keep 8 characters, and two characters stand between columns."""
    assert width(numbers()) == 8 + 4 + 5 + 3 + 5 + 4 * 2


@pytest.mark.parametrize(
    ("columns", "header", "told"),
    [
        (33, ["label", "gold", "F1", "FN", "cost"], ""),
        (32, ["label", "gold", "F1", "FN"], "columns left out: 1; all of them need a terminal of 33 columns"),
        (25, ["label", "gold", "F1"], "columns left out: 2; all of them need a terminal of 33 columns"),
        (20, ["label", "gold", "F1"], "columns left out: 2; all of them need a terminal of 33 columns"),
    ],
)
def test_columns_are_left_out_one_group_after_the_other(columns: int, header: list[str], told: str) -> None:
    """The groups go in their order, only as many as must, and their number is told."""
    text = shown(columns, (4,), (3,))
    head = next(line for line in text.splitlines() if "gold" in line)
    assert head.split() == header
    assert " ".join(text.split()).endswith(told)
    assert ("left out" in text) == bool(told)


def test_without_groups_nothing_is_left_out() -> None:
    """A table that has no columns to spare is shown as it is."""
    assert "left out" not in shown(20)
