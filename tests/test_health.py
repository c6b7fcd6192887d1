"""Checks as values: what they come to, how they look, and that none of them can hold up the others."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator

import pytest
from syrupy.assertion import SnapshotAssertion

from harness.errors import DataError
from harness.health import Check, bounded, is_sound
from harness.report.doctor import checks_table, verdict_line
from harness.report.terminal import rendered

OK = Check("g", "a", "ok", "is there")
WARNING = Check("g", "runs-of-a-version-20260102-030405", "warning", "is odd", "Type: harness run --resume x")
PROBLEM = Check(
    "g", "b", "problem", "is gone:\nnothing \x1b[31mthere " + "and nothing here " * 8, "Look [bold]elsewhere[/]."
)


def test_only_problems_make_it_unsound() -> None:
    """Warnings are told, but what they are about works."""
    assert is_sound([])
    assert is_sound([OK, WARNING])
    assert not is_sound([OK, WARNING, PROBLEM])


def test_checks_look_so(snapshot: SnapshotAssertion) -> None:
    """One line a check, what to do below it; outside text is shown as it is."""
    assert rendered([checks_table("g", [OK, WARNING, PROBLEM])], io.StringIO()) == snapshot


@pytest.mark.parametrize(
    ("checks", "told"),
    [
        ([OK], "everything is well"),
        ([OK, WARNING, WARNING], "2 warnings"),
        ([PROBLEM, OK, WARNING], "1 problem, 1 warning"),
        ([PROBLEM, PROBLEM], "2 problems"),
    ],
)
def test_the_last_line(checks: list[Check], told: str) -> None:
    """It counts what there is to do."""
    assert verdict_line(checks).plain == told


def test_checks_are_plain_values() -> None:
    """A check as JSON has its attributes by name."""
    assert OK.to_json() == {"group": "g", "name": "a", "status": "ok", "found": "is there", "next_step": None}


def test_what_hangs_is_left_alone() -> None:
    """A check that does not end is told; those that it made before count."""
    gate = threading.Event()

    def hanging() -> Iterator[Check]:
        yield OK
        gate.wait(60)
        yield PROBLEM

    assert bounded(hanging, "g", "slow", 0.05) == [
        OK,
        Check("g", "slow", "problem", "no end within 0.05 s; not looked at any further"),
    ]
    gate.set()


def test_what_fails_is_told() -> None:
    """A user's mistake is told in its own words; anything else as the check's own failure."""

    def failing(error: Exception) -> Iterator[Check]:
        yield OK
        raise error

    assert bounded(lambda: failing(DataError("x: must be y.")), "g", "n", 5) == [
        OK,
        Check("g", "n", "problem", "x: must be y."),
    ]
    assert bounded(lambda: failing(ZeroDivisionError("oh")), "g", "n", 5)[1] == Check(
        "g",
        "n",
        "problem",
        "the check itself failed: ZeroDivisionError: oh",
        "Please report it, with the output of: harness doctor --json",
    )
