"""The log of a run: JSON lines that other programs read, and whose end is not the run's."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from harness.errors import DataError
from harness.logfile import log_file, no_log


def rows(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a log."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_an_event_is_a_line_with_its_time(tmp_path: Path) -> None:
    """Each line has the time in UTC, the event's name and what it is about; lines are added to what is there."""
    path = tmp_path / "log.jsonl"
    for run in ("one", "two"):
        with log_file(path, pytest.fail) as log:
            log("run started", {"run": run, "samples": 3})
            assert rows(path)[-1]["run"] == run  # it is there at once
    assert [(row["event"], row["run"], row["samples"]) for row in rows(path)] == [
        ("run started", "one", 3),
        ("run started", "two", 3),
    ]
    time = datetime.fromisoformat(rows(path)[0]["time"])
    assert time.tzinfo == UTC


def test_any_text_is_written(tmp_path: Path) -> None:
    """Line breaks and lone surrogates break no line."""
    path = tmp_path / "log.jsonl"
    with log_file(path, pytest.fail) as log:
        log("odd", {"sample": "a\nb \ud800"})
    assert rows(path)[0]["sample"] == "a\nb \ud800"


def test_without_a_file_nothing_is_noted() -> None:
    """No file, no log."""
    with log_file(None, pytest.fail) as log:
        log("run started", {})
    assert log is no_log


def test_a_file_that_cannot_be_opened_is_told_before_the_run(tmp_path: Path) -> None:
    """A log that cannot be written is told at once, with what to do."""
    with pytest.raises(DataError) as caught, log_file(tmp_path, pytest.fail):
        pytest.fail("it must not begin")
    assert str(caught.value) == f"{tmp_path}: cannot be written (Is a directory). Name another file with --log-file."


def test_a_full_disk_ends_the_log_and_not_the_run() -> None:
    """What cannot be noted any more is told once."""
    told: list[str] = []
    with log_file(Path("/dev/full"), told.append) as log:
        log("one", {})
        log("two", {})
    assert told == ["/dev/full: cannot be written (No space left on device). The log ends here; the run goes on."]


def test_half_a_line_ends_the_log_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that takes a part of a line is full."""

    class Half:
        closed = False

        def write(self, line: bytes) -> int:
            return len(line) - 1

        def close(self) -> None:
            self.closed = True

        def __enter__(self) -> Half:
            return self

        def __exit__(self, *_: object) -> None:
            self.close()

    monkeypatch.setattr(Path, "open", lambda *_, **__: Half())
    told: list[str] = []
    with log_file(tmp_path / "log.jsonl", told.append) as log:
        log("one", {})
        log("two", {})
    assert len(told) == 1
    assert "the disk took only a part of the line" in told[0]
