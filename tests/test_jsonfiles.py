"""JSON lines made of numbers: the same values as `json` writes and reads, sooner."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies_labels import unhurried

from harness.jsonfiles import json_line, json_rows, packed_line, packed_rows, write_bytes

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
ROWS = st.dictionaries(st.text(max_size=5), VALUES, max_size=4)


@unhurried
@given(ROWS)
def test_a_packed_line_holds_what_a_line_holds(row: dict[str, Any]) -> None:
    """Both ways of writing a row give one line with the same values."""
    line = packed_line(row)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert json.loads(line) == json.loads(json_line(row)) == row


@unhurried
@given(st.lists(ROWS, max_size=4), st.booleans())
def test_packed_rows_are_the_rows(tmp_path_factory: pytest.TempPathFactory, rows: list[Any], packed: bool) -> None:
    """Lines are read alike, however they were written and by whichever of the two."""
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    path.write_bytes(b"".join(map(packed_line if packed else json_line, rows)))
    assert list(packed_rows(path)) == list(json_rows(path)) == rows


def test_what_only_json_can_write_is_written(tmp_path: Path) -> None:
    """Lone surrogates, integers beyond 64 bits and paths are no problem of a packed line."""
    path = tmp_path / "rows.jsonl"
    path.write_bytes(packed_line({"why": "\ud800"}) + packed_line({"n": 2**70, "path": Path("a/b")}))
    surrogate, rest = packed_rows(path)
    assert surrogate == {"why": "\ud800"}
    assert rest == {"n": float(2**70), "path": "a/b"}


def test_a_damaged_line_is_told_as_json_tells_it(tmp_path: Path) -> None:
    """What is wrong with a line is said in the same words."""
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 1}\n{"a": \n')
    with pytest.raises(json.JSONDecodeError, match=r"Expecting value: line 2 column 1 \(char 7\)"):
        list(packed_rows(path))


def test_a_link_is_written_through(tmp_path: Path) -> None:
    """A file that is a link stays one; what it leads to is replaced."""
    (tmp_path / "real").mkdir()
    target = tmp_path / "real" / "report.md"
    target.write_text("old", encoding="utf-8")
    (tmp_path / "link.md").symlink_to(target)
    write_bytes(tmp_path / "link.md", b"new")
    assert (tmp_path / "link.md").is_symlink()
    assert target.read_bytes() == b"new"
