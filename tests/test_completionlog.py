"""Completions on disk: looked up where they lie, the latest of every slot, whatever else is in the file."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.completionlog import CompletionLog, StoredCompletion, read_completions
from harness.jsonfiles import json_line
from harness.pricing import Kind
from harness.records import CallError, Completion, Usage


def line(sample: str, raw: str | None = "price", **more: Any) -> bytes:
    """Return a line of a completion, of an error where there is no text."""
    row = {"v": 1, "key": f"k-{sample}", "sample": sample, "pass": "main", "unit": "", "repeat": 0}
    error = CallError(kind="http_500", message="busy", status=500) if raw is None else None
    usage: Usage = {"prompt_tokens": 10, "completion_tokens": 2}
    completion = Completion("ok" if error is None else "error", raw=raw, error=error, usage=usage)
    return json_line({**row, **completion.to_json(), **more})


def read(path: Path, *lines: bytes) -> CompletionLog:
    """Return what a file of these lines holds."""
    (path / "completions.jsonl").write_bytes(b"".join(lines))
    return read_completions(path / "completions.jsonl")


def slot(sample: str) -> tuple[str, str, str, int]:
    """Return the slot of a sample."""
    return (sample, "main", "", 0)


def test_it_is_a_mapping_of_the_latest(tmp_path: Path) -> None:
    """Of several lines of a slot the last counts; the order is that in which slots first came."""
    log = read(tmp_path, line("a", "one"), line("b"), line("a", "two"))
    assert list(log.latest) == [slot("a"), slot("b")]
    assert (len(log.latest), log.n_lines, log.n_answered) == (2, 3, 2)
    stored = log.latest[slot("a")]
    assert isinstance(stored, StoredCompletion)
    assert (stored.key, stored.slot, stored.again, stored.completion.raw) == ("k-a", slot("a"), 0, "two")
    assert {key: each.completion.raw for key, each in log.latest.items()} == {slot("a"): "two", slot("b"): "price"}
    assert dict(log.latest) == dict(log.latest)


def test_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    """A slot without a completion is a miss, however it is asked for."""
    log = read(tmp_path, line("a"))
    assert (slot("b") in log.latest, slot("a") in log.latest) == (False, True)
    assert (log.latest.get(slot("b")), log.latest.get(slot("b"), 7)) == (None, 7)
    with pytest.raises(KeyError):
        log.latest[slot("b")]


def test_lines_that_come_later_are_not_seen(tmp_path: Path) -> None:
    """What was read stays as it was while the file grows."""
    log = read(tmp_path, line("a"))
    with (tmp_path / "completions.jsonl").open("ab") as file:
        file.write(line("a", "new") + line("b"))
    stored = log.latest[slot("a")]
    assert (stored.completion.raw, len(log.latest)) == ("price", 1)


def test_a_line_that_was_damaged_since_is_missing(tmp_path: Path) -> None:
    """A file that somebody else changes under the reader gives no answer of its own making."""
    log = read(tmp_path, line("a"))
    (tmp_path / "completions.jsonl").write_bytes(b"x" * 400)
    with pytest.raises(KeyError):
        log.latest[slot("a")]


def test_failed_and_paid_are_counted(tmp_path: Path) -> None:
    """An error that was answered later is none; what the cache answered is not paid; an error is never."""
    log = read(
        tmp_path, line("a", None), line("b", None), line("a"), line("c", cached=True), line("d"), line("d", None)
    )
    assert log.failed == {slot("b"), slot("d")}
    assert log.n_answered == 2
    assert log.paid == {Kind("main", 10, 2, 0): 2}


@pytest.mark.parametrize("cut", [1, 5, -2, -1])
def test_a_torn_last_line_is_told(tmp_path: Path, cut: int) -> None:
    """A last line that was cut anywhere is left out, and where the whole lines end is known."""
    log = read(tmp_path, line("a"), line("b")[:cut])
    assert (log.torn, log.damaged, set(log.latest), log.whole_bytes) == (True, (), {slot("a")}, len(line("a")))
    path = tmp_path / "completions.jsonl"
    assert list(log.warnings(path)) == [
        f"{path}: the last line was cut off while it was written; its call is made again."
    ]


def test_damaged_lines_are_told_by_number(tmp_path: Path) -> None:
    """Lines in the middle that cannot be read cost their own calls alone."""
    log = read(tmp_path, b"\x00\xff\n", line("a"), b"{}\n", line("b"))
    assert (log.torn, log.damaged, set(log.latest)) == (False, (1, 3), {slot("a"), slot("b")})
    assert list(log.warnings(tmp_path / "c")) == [
        f"{tmp_path / 'c'}: lines 1, 3 cannot be read; their calls are made again."
    ]


def test_no_file_has_none(tmp_path: Path) -> None:
    """A run without completions has an empty log."""
    log = read_completions(tmp_path / "completions.jsonl")
    assert (dict(log.latest), log.n_lines, log.n_answered, list(log.warnings(tmp_path))) == ({}, 0, 0, [])


@given(st.lists(st.tuples(st.sampled_from("abc"), st.one_of(st.none(), st.text(max_size=20))), max_size=12))
def test_look_ups_are_what_was_written(calls: list[tuple[str, str | None]]) -> None:
    """Whatever texts are answered in whatever order, each slot has its last one."""
    with tempfile.TemporaryDirectory() as folder:
        log = read(Path(folder), *(line(sample, raw) for sample, raw in calls))
        expected = {slot(sample): raw for sample, raw in calls}
        assert {key: stored.completion.raw for key, stored in log.latest.items()} == expected
        assert log.failed == {key for key, raw in expected.items() if raw is None}
