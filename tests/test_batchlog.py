"""The log of batches: what was announced and noted, read back whole whatever cut it off."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.batchlog import FILE, Batches, BatchLog, Ended, Part, batch_log, left_running, read_batches
from harness.errors import DataError
from harness.records import CallError

PART = Part(0, "harness-x.jsonl", "ab" * 32, 10, "http://h/v1", "chat", "m", ("main",), ("k1", "k2", "k3"))
AGAIN = CallError(kind="http_500", message="on fire", status=500)
OWN = CallError(kind="http_400", message="too long", status=400)


def noted(run: Path) -> BatchLog:
    """Return a log with a part that is submitted."""
    log = BatchLog(run, read_batches(run))
    part = log.plan(PART)
    part = log.uploaded(part, "file-1")
    log.submitted(part, "batch_1", datetime(2026, 1, 2, tzinfo=UTC))
    return log


def test_without_a_file_there_are_no_batches(tmp_path: Path) -> None:
    """A run without a log has no batches, and a log that notes nothing makes no file."""
    with batch_log(tmp_path) as log:
        log.finished()
    assert read_batches(tmp_path) == Batches()
    assert not (tmp_path / FILE).exists()


def test_a_part_goes_its_way(tmp_path: Path) -> None:
    """What is noted is read back: planned, uploaded, submitted, ended."""
    with batch_log(tmp_path) as log:
        states = []
        part = log.plan(PART)
        states.append(part.state)
        steps: list[Callable[[], Part]] = [
            lambda: log.uploaded(part, "file-1"),
            lambda: log.submitted(part, "batch_1"),
            lambda: log.uploaded(part, "file-1"),
            lambda: log.submitted(part, "batch_2"),
            lambda: log.ended(part, Ended("expired", 1, {"k1": OWN}, {"k2": AGAIN})),
        ]
        for step in steps:
            states.append(step().state)
            assert read_batches(tmp_path).parts == log.known.parts
    assert states == ["planned", "uploaded", "submitted", "uploaded", "submitted", "expired"]
    (part,) = read_batches(tmp_path).parts
    assert (part.number, part.batch, part.keys) == (1, "batch_2", ("k1", "k2", "k3"))
    assert part.ended is not None
    assert (part.ended.answered, part.ended.failed, part.ended.again) == (1, {"k1": OWN}, {"k2": AGAIN})
    assert read_batches(tmp_path).open == ()


def test_failures_that_stand(tmp_path: Path) -> None:
    """A call's own failure stands at once, another one after so many batches; none does after a run was finished."""
    with batch_log(tmp_path) as log:
        log.ended(log.plan(PART), Ended("completed", 1, {"k1": OWN}, {"k2": AGAIN}))
        assert log.known.standing(2) == {"k1": OWN}
        log.ended(log.plan(PART), Ended("completed", 1, {}, {"k2": AGAIN, "k3": AGAIN}))
        assert log.known.standing(2) == read_batches(tmp_path).standing(2) == {"k1": OWN, "k2": AGAIN}
        assert log.known.tries() == {"k2": 2, "k3": 1}
        log.finished()
        log.finished()
    again = read_batches(tmp_path)
    assert (again.settled, again.standing(1), again.tries()) == (2, {}, {})
    assert (tmp_path / FILE).read_text().count("finished") == 1


@given(cut=st.integers(0, 2000))
def test_a_log_that_is_cut_anywhere_is_read_up_to_there(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    """Cut at any byte, a log says what its whole lines say, and the next line begins where they end."""
    run = tmp_path_factory.mktemp("run")
    noted(run).close()
    content = (run / FILE).read_bytes()
    kept = content[: max(0, len(content) - cut)]
    (run / FILE).write_bytes(kept)
    whole = kept.count(b"\n")
    known = read_batches(run)
    assert len(known.open) == min(whole, 1)
    assert known.torn == (not kept.endswith(b"\n") and bool(kept))
    with batch_log(run) as log:
        log.plan(PART)
    assert (run / FILE).read_bytes().startswith(kept[: known.whole_bytes])
    assert [json.loads(line)["event"] for line in (run / FILE).read_bytes().splitlines()][-1] == "planned"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"{}\n", "KeyError: 'v'"),
        (b"[]\n", "TypeError: list indices must be integers or slices, not str"),
        (b'{"v": 1, "event": "uploaded", "number": 7, "at": "", "file": "f"}\n', "KeyError: 7"),
        (b'{"v": 1, "event": "sold", "number": 1, "at": ""}\n', "ValueError: unknown event 'sold'"),
    ],
)
def test_a_damaged_line_is_an_error(tmp_path: Path, line: bytes, told: str) -> None:
    """What the log says of money is not guessed: a line that is none is told with its number."""
    noted(tmp_path).close()
    path = tmp_path / FILE
    path.write_bytes(path.read_bytes() + line)
    with pytest.raises(DataError) as caught:
        read_batches(tmp_path)
    assert str(caught.value) == (
        f"{path}:4: must be a line of this file, got {told}. Restore it from a copy; the provider's own list of batches "
        "names this run in their metadata."
    )
    assert left_running(tmp_path) == ""


def test_a_newer_log_is_refused(tmp_path: Path) -> None:
    """The log of a newer version is not read."""
    (tmp_path / FILE).write_text('{"v": 2, "event": "planned"}\n')
    with pytest.raises(DataError, match=r"was written by a newer harness \(format 2\)\. Update it\."):
        read_batches(tmp_path)


def test_a_full_disk_leaves_what_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk takes no line, the error says how to go on, and the log is as it was."""
    log = noted(tmp_path)
    before = (tmp_path / FILE).read_bytes()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError) as caught:
        log.finished()
    log.close()
    assert str(caught.value) == (
        f"{tmp_path / FILE}: cannot be written (No space left on device). "
        f"Make room, then type: harness run --resume {tmp_path.name}"
    )
    assert (tmp_path / FILE).read_bytes() == before


def test_a_disk_that_takes_a_part_of_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When only a part of a line is taken, it is taken back."""
    log = noted(tmp_path)
    before = (tmp_path / FILE).read_bytes()

    class Short:
        def __init__(self, file: object) -> None:
            self.file = file

        def write(self, line: bytes) -> int:
            return int(self.file.write(line[:5]))  # type: ignore[attr-defined]

        def __getattr__(self, name: str) -> object:
            return getattr(self.file, name)

    log._file = Short(log._file)  # type: ignore[assignment]
    with pytest.raises(DataError, match="the disk took only a part of the line"):
        log.finished()
    log.close()
    assert (tmp_path / FILE).read_bytes() == before


def test_what_is_left_running(tmp_path: Path) -> None:
    """A run that stops says how many of its batches go on, and of how many that is not known; a plan is no batch."""
    told = f"at the provider (harness batch status {tmp_path.name})."
    assert left_running(tmp_path) == ""
    with batch_log(tmp_path) as log:
        first, second, third = (log.plan(PART) for _ in range(3))
        assert left_running(tmp_path) == ""
        first = log.uploaded(first, "file-1")
        assert left_running(tmp_path) == f"1 batch of it may be {told}"
        log.submitted(first, "batch-1")
        assert left_running(tmp_path) == f"1 batch of it goes on {told}"
        log.submitted(log.uploaded(second, "file-2"), "batch-2")
        assert left_running(tmp_path) == f"2 batches of it go on {told}"
        third = log.uploaded(third, "file-3")
        assert left_running(tmp_path) == f"2 batches of it go on and 1 batch of it may be {told}"
        log.ended(third, Ended("dropped"))
        assert left_running(tmp_path) == f"2 batches of it go on {told}"
