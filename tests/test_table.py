"""Files of rows, read and written back: every cell stays what it was, in every format."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from harness.errors import DataError
from harness.table import Added, Table, encode_table, free_names, read_table, write_table

NOTHING: list[Added] = []


def table_of(path: Path, content: str | bytes) -> Table:
    """Return a file with this content, read."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(path)


def labels(*values: list[str] | None) -> Added:
    """Return a column of labels to add."""
    return Added("labels", list(values), ["" if each is None else "; ".join(each) for each in values], listed=True)


def cells(content: bytes, delimiter: str = ",") -> list[list[str]]:
    """Return the cells of a CSV file."""
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), delimiter=delimiter))


# --- CSV --------------------------------------------------------------------------------------------------------------


def test_csv_cells_are_kept_as_they_are(tmp_path: Path) -> None:
    """Blanks, line ends of all kinds, formulas, quotes and numbers with zeros come back character by character."""
    text = ' "text" ,n\r\n" =1+1 ",007\r\n"a ""b""\r\nc",1e5\r\n"x\ny\rz",\r\n'
    table = table_of(tmp_path / "a.csv", text)
    assert table.columns == (' "text" ', "n")
    assert [row for _, row in table.rows] == [
        {' "text" ': " =1+1 ", "n": "007"},
        {' "text" ': 'a "b"\r\nc', "n": "1e5"},
        {' "text" ': "x\ny\rz", "n": ""},
    ]
    written = encode_table(tmp_path / "b.csv", table, [labels(["a"], None, ["b", "c"])])
    assert cells(written) == [
        [' "text" ', "n", "labels"],
        [" =1+1 ", "007", "a"],
        ['a "b"\r\nc', "1e5", ""],
        ["x\ny\rz", "", "b; c"],
    ]


def test_rows_of_blank_cells_are_rows(tmp_path: Path) -> None:
    """A row whose cells are all empty is kept; a line without anything is none."""
    table = table_of(tmp_path / "a.csv", "\ntext,n\n,\n\na,1\n")
    assert table.rows == ((3, {"text": "", "n": ""}), (5, {"text": "a", "n": "1"}))


def test_names_are_seen_without_blanks_around_them(tmp_path: Path) -> None:
    """What the rest of the program sees has the names of sample files; what is written back has the file's own."""
    table = table_of(tmp_path / "a.csv", " text , n\na,1\n")
    assert (table.columns, table.seen) == ((" text ", " n"), ((2, {"text": "a", "n": "1"}),))


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_ends_and_byte_order_mark_are_kept(tmp_path: Path, end: str, mark: bytes) -> None:
    """A spreadsheet that needs a mark to see UTF-8 gets it back."""
    content = mark + f"text{end}ä{end}".encode()
    assert encode_table(tmp_path / "b.csv", table_of(tmp_path / "a.csv", content), NOTHING) == content


def test_a_file_in_single_quotes_is_read(tmp_path: Path) -> None:
    """Quotes are told by the beginning of the file, as sample files are read."""
    assert table_of(tmp_path / "a.csv", "'text','n'\n'a, b',1\n").rows == ((2, {"text": "a, b", "n": "1"}),)


def test_problems_are_told_by_line(tmp_path: Path) -> None:
    """A row with another number of cells is no row."""
    with pytest.raises(DataError, match=r"a\.csv:3: must have 2 cells like the first line, got 1\."):
        table_of(tmp_path / "a.csv", "text,n\na,1\nb\n")


@pytest.mark.parametrize(("name", "content"), [("a.csv", "text\n"), ("a.jsonl", "\n"), ("a.tsv", "")])
def test_a_file_without_rows_is_refused(tmp_path: Path, name: str, content: str) -> None:
    """There is nothing to do with a header alone."""
    with pytest.raises(DataError) as caught:
        table_of(tmp_path / name, content)
    assert str(caught.value) == f"{tmp_path}/{name}: must hold at least one row, got none."


any_text = st.text(st.characters(codec="utf-8", exclude_characters="\x00"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(any_text, any_text), min_size=1))
def test_any_csv_comes_back_cell_by_cell(tmp_path: Path, rows: Sequence[tuple[str, str]]) -> None:
    """Whatever stands in the cells, a file that is read, extended and read again has the same cells."""
    assume(any(cell.strip() for row in rows for cell in row))
    out = io.StringIO(newline="")
    csv.writer(out).writerows([("text", "other"), *rows])
    table = table_of(tmp_path / "a.csv", out.getvalue())
    assert [tuple(row.values()) for _, row in table.rows] == rows
    write_table(tmp_path / "b.csv", table, [labels(*([["x"]] * len(rows)))])
    again = read_table(tmp_path / "b.csv")
    assert [tuple(row.values()) for _, row in again.rows] == [(*row, "x") for row in rows]


# --- JSONL ------------------------------------------------------------------------------------------------------------


def test_jsonl_rows_keep_every_character(tmp_path: Path) -> None:
    """Spacing, escapes and the spelling of numbers of a row stay; what is added stands at its end."""
    table = table_of(tmp_path / "a.jsonl", '{ "text":"\\u00e4", "n": 1.50e0 }\n\n{}\n{"text": "b", "x": {"y": []}}\n')
    assert table.columns == ("text", "n", "x")
    assert encode_table(tmp_path / "b.jsonl", table, [labels(["ö"], None, [])]).decode() == (
        '{ "text":"\\u00e4", "n": 1.50e0, "labels": ["ö"]}\n'
        '{"labels": null}\n'
        '{"text": "b", "x": {"y": []}, "labels": []}\n'
    )


def test_fine_tuning_rows_are_seen_as_text_and_kept_as_prompt(tmp_path: Path) -> None:
    """The program sees text and labels, the new file has the old columns."""
    table = table_of(tmp_path / "a.jsonl", '{"prompt": "late ->", "completion": " shipping END", "n": 1}\n')
    assert table.seen == ((1, {"n": 1, "text": "late", "labels": "shipping"}),)
    assert table.columns == ("prompt", "completion", "n")


def test_jsonl_becomes_csv(tmp_path: Path) -> None:
    """Columns of all rows stand in the order in which they come up; what is no text is written as JSON."""
    table = table_of(tmp_path / "a.jsonl", '{"text": "a", "n": 1}\n{"text": "b", "l": ["x"], "ok": true, "z": null}\n')
    assert cells(encode_table(tmp_path / "b.csv", table, NOTHING)) == [
        ["text", "n", "l", "ok", "z"],
        ["a", "1", "", "", ""],
        ["b", "", '["x"]', "true", ""],
    ]


def test_a_lone_surrogate_does_not_stop_the_writing(tmp_path: Path) -> None:
    """What UTF-8 cannot hold is written as an escape."""
    table = table_of(tmp_path / "a.jsonl", '{"text": "\\ud800"}\n')
    assert encode_table(tmp_path / "b.csv", table, NOTHING) == b"text\n\\ud800\n"


# --- Parquet ----------------------------------------------------------------------------------------------------------


def parquet_of(path: Path, columns: dict[str, Any]) -> Table:
    """Return a Parquet file with these columns, read."""
    parquet.write_table(pyarrow.table(columns), path)
    return read_table(path)


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    """Columns that were there keep type and values; the added ones are lists of texts, texts and booleans."""
    when = [datetime(2026, 1, 2), None]
    table = parquet_of(tmp_path / "a.parquet", {"text": ["a", "b"], "when": when, "n": [1, 2]})
    added = [labels(["x", "y"], None), Added("kind", [None, "refusal"], ["", "refusal"]), Added("ok", [True, None], [])]
    write_table(tmp_path / "b.parquet", table, added)
    again = parquet.read_table(tmp_path / "b.parquet")
    assert again.to_pylist() == [
        {"text": "a", "when": when[0], "n": 1, "labels": ["x", "y"], "kind": None, "ok": True},
        {"text": "b", "when": None, "n": 2, "labels": None, "kind": "refusal", "ok": None},
    ]
    assert [str(each) for each in again.schema.types] == [
        *("string", "timestamp[us]", "int64"),
        *("list<element: string>", "string", "bool"),
    ]


def test_parquet_becomes_jsonl_and_csv(tmp_path: Path) -> None:
    """Dates become texts, and NaN, which JSON does not have, null."""
    columns = {"text": ["a"], "when": [datetime(2026, 1, 2)], "n": [float("nan")], "l": [[1.5, float("nan")]]}
    table = parquet_of(tmp_path / "a.parquet", {**columns, "s": [{"k": 1}]})
    (line,) = encode_table(tmp_path / "b.jsonl", table, NOTHING).decode().splitlines()
    assert json.loads(line) == {"text": "a", "when": "2026-01-02 00:00:00", "n": None, "l": [1.5, None], "s": {"k": 1}}
    assert cells(encode_table(tmp_path / "b.tsv", table, NOTHING), "\t")[1] == [
        *("a", "2026-01-02 00:00:00", "nan", "[1.5, null]", '{"k": 1}'),
    ]


def test_csv_becomes_parquet(tmp_path: Path) -> None:
    """Cells of a sheet are texts there too."""
    table = table_of(tmp_path / "a.csv", "text,n\na,007\n")
    write_table(tmp_path / "b.parquet", table, [labels(None)])
    assert parquet.read_table(tmp_path / "b.parquet").to_pylist() == [{"text": "a", "n": "007", "labels": None}]


@pytest.mark.parametrize("second", ['{"n": "x"}', '{"n": "\\ud800"}'])
def test_columns_that_have_no_parquet_type_are_told(tmp_path: Path, second: str) -> None:
    """A column of numbers and texts cannot be Parquet; JSONL can hold it."""
    table = table_of(tmp_path / "a.jsonl", '{"n": 1}\n' + second + "\n")
    with pytest.raises(DataError) as caught:
        encode_table(tmp_path / "b.parquet", table, NOTHING)
    assert str(caught.value).startswith(f"{tmp_path}/b.parquet: the columns of {tmp_path}/a.jsonl cannot be Parquet (")
    assert str(caught.value).endswith("). Give a .jsonl.")


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing package is a message, not a traceback."""
    table = table_of(tmp_path / "a.csv", "text\na\n")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(DataError, match=r"writing Parquet needs pyarrow\. Type: pip install 'harness\[parquet\]'"):
        encode_table(tmp_path / "b.parquet", table, NOTHING)


# --- rows and names ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_some_rows_alone(tmp_path: Path, kind: str) -> None:
    """A part of a table writes exactly its own rows, in every format."""
    made = table_of(tmp_path / "a.jsonl", '{"t": "a"}\n{"t": "b"}\n{"t": "c"}\n')
    write_table(tmp_path / f"b.{kind}", made, NOTHING)
    part = read_table(tmp_path / f"b.{kind}").only([0, 2])
    write_table(tmp_path / f"c.{kind}", part, NOTHING)
    assert [row for _, row in read_table(tmp_path / f"c.{kind}").rows] == [{"t": "a"}, {"t": "c"}]
    assert [row for _, row in part.seen] == [{"t": "a"}, {"t": "c"}]


def test_added_columns_get_names_that_are_free(tmp_path: Path) -> None:
    """A name that the file has gets the prefix, again where that is taken too; blanks do not make another name."""
    table = table_of(tmp_path / "a.csv", "text, labels ,new_labels,kind\na,b,c,d\n")
    assert free_names(["labels", "failure", "kind"], table, "new_") == {
        "labels": "new_new_labels",
        "failure": "failure",
        "kind": "new_kind",
    }
