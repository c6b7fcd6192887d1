"""Markdown tables in an answer: which of them are rows of labels, and what becomes of the others."""

from __future__ import annotations

import time

import pytest

from harness.parsing.tables import without_tables


def lines(*table: str) -> list[str]:
    """Return the lines of a text when its tables are read."""
    return list(without_tables(table))


def test_rows_become_lines() -> None:
    """A row is the label, and what its other cells say of it; lines around a table stay."""
    table = (
        "Here:",
        "| Label | Applies | Why |",
        "|:---|---|:-:|",
        "| a | yes | late |",
        "| b | no | – not said |",
        "",
        "x",
    )
    assert lines(*table) == ["Here:", "a: yes - late", "b: no - – not said", "", "x"]


def test_a_table_of_one_column_is_its_labels() -> None:
    """Without a second column a row is the label alone."""
    assert lines("| **Labels** |", "|---|", "| a |", "| b |") == ["a", "b"]


def test_a_column_of_numbers_is_left_out() -> None:
    """Numbers before the labels say nothing."""
    assert lines("| # | Category |", "|---|---|", "| 1 | a |", "| 2 | b |") == ["a", "b"]


@pytest.mark.parametrize(
    "table",
    [
        pytest.param(("| Label | Applies |", "|---|---|", "| a | x |", "| b | |"), id="empty-cell"),
        pytest.param(("| Label | Applies |", "|---|---|", "| a | x |", "| b | - |"), id="dash"),
        pytest.param(("| Label | Not mentioned |", "|---|---|", "| a | x |"), id="denied-column"),
        pytest.param(("| Labels that do not apply |", "|---|", "| a |"), id="denied-labels"),
        pytest.param(("| Applies | Label |", "|---|---|", "| x | a |"), id="another-order"),
        pytest.param(("| Label | Second label |", "|---|---|", "| a | b |"), id="two-of-labels"),
        pytest.param(("| a | b |", "|---|---|", "| 1 | 0 |"), id="labels-as-head"),
        pytest.param(("| Label | Why |", "| a | late |"), id="no-rule"),
        pytest.param(("| Label | Why |", "|---|---|"), id="no-rows"),
        pytest.param(("Label | Why", "---|---", "a | late"), id="no-bars-around"),
    ],
)
def test_every_other_table_stays_as_it_is(table: tuple[str, ...]) -> None:
    """Where a cell, its column or its order may say something else, nothing is guessed."""
    assert lines(*table) == list(table)


def test_a_row_of_another_width_ends_the_table() -> None:
    """What follows the last whole row is read as it stands."""
    assert lines("| Label | Why |", "|---|---|", "| a | late |", "| b |") == ["a: late", "| b |"]


@pytest.mark.parametrize("piece", ["| label |\n|---|\n", "|---", "|-|\n", "| label |\n|" + "-" * 99])
def test_long_texts_take_linear_time(piece: str) -> None:
    """A text of 100,000 characters takes a moment, whatever it repeats."""
    begin = time.process_time()
    lines(*(piece * (100_000 // len(piece)) + "| |").split("\n"))
    assert time.process_time() - begin < 15.0
