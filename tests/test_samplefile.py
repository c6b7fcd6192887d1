"""Samples on disk: a sequence like any other, of which nothing is in memory but where each begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import DataError
from harness.jsonfiles import json_line, write_lines
from harness.records import Sample
from harness.samplefile import StoredSamples

SAMPLES = tuple(
    Sample(f"s{at}", {"text": f"Text {at} \u2028\n\ud800"}, frozenset({"price"}) if at % 2 else None) for at in range(7)
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a file of samples."""
    path = tmp_path / "samples.jsonl"
    write_lines(path, (json_line(sample.to_json()) for sample in SAMPLES))
    return path


def test_they_are_a_sequence(path: Path) -> None:
    """Length, order, positions from either end, slices and membership are those of a tuple."""
    stored = StoredSamples(path, "Restore it.")
    assert len(stored) == 7
    assert tuple(stored) == tuple(stored) == SAMPLES
    assert (stored[3], stored[-1], stored[0]) == (SAMPLES[3], SAMPLES[-1], SAMPLES[0])
    assert SAMPLES[2] in stored
    assert tuple(reversed(stored)) == SAMPLES[::-1]
    for beyond in (7, -8):
        with pytest.raises(IndexError):
            stored[beyond]


@pytest.mark.parametrize("step", [1, 2, -1, -3])
def test_slices_are_those_of_a_tuple(path: Path, step: int) -> None:
    """Any slice, forward or backward, within the bounds or beyond."""
    stored = StoredSamples(path, "Restore it.")
    for start in (None, 0, 2, -2, 9):
        for stop in (None, 0, 5, -1, 12):
            assert stored[start:stop:step] == SAMPLES[start:stop:step]


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """Without the file nothing begins."""
    with pytest.raises(DataError) as caught:
        StoredSamples(tmp_path / "no.jsonl", "Restore it.")
    assert str(caught.value).startswith(f"{tmp_path / 'no.jsonl'}: cannot be read (FileNotFoundError: ")
    assert str(caught.value).endswith("). Restore it.")


def test_a_damaged_sample_is_told_where_it_is_asked_for(path: Path) -> None:
    """The others can be read."""
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], b"{broken\n", *lines[3:]]))
    stored = StoredSamples(path, "Restore it.")
    assert stored[1] == SAMPLES[1]
    with pytest.raises(DataError, match=r"samples\.jsonl: cannot be read \(JSONDecodeError: .*\)\. Restore it\.$"):
        stored[2]
    with pytest.raises(DataError):
        tuple(stored)
    assert stored[3] == SAMPLES[3]


def test_an_empty_file_has_none(tmp_path: Path) -> None:
    """No line, no sample."""
    (tmp_path / "s.jsonl").write_bytes(b"")
    stored = StoredSamples(tmp_path / "s.jsonl", "Restore it.")
    assert (len(stored), tuple(stored)) == (0, ())
