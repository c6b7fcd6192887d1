"""Sample files as rows: every format, every odd text, and every way in which a file is refused."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet
from strategies_labels import unhurried

from harness import rows as rows_module
from harness.errors import DataError, Problems
from harness.labelspace import Label, LabelSpace
from harness.rows import Row, read_rows

SPACE = LabelSpace((Label("shipping"), Label("price")))
EIGHT = LabelSpace(tuple(Label(name) for name in "abcdefgh"))
ODD = [
    "\x00",
    "x" * 200_000,
    "\x1b[31mred\x1b[0m",
    "[bold]b[/bold]",
    "👩‍👧 café",
    "שלום",
    "a\u2028b\x85c\x0bd\x1ce",
    "\ufeff",
    "<b>&amp;",
]


def write(folder: Path, name: str, content: str | bytes) -> Path:
    """Write a file and return its path."""
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def rows(file: Path, space: LabelSpace | None = SPACE) -> list[Row]:
    """Return the rows of a file without problems."""
    problems = Problems(file)
    found = read_rows(file, space, problems)
    problems.raise_if_any()
    return found


def refusal(file: Path, space: LabelSpace | None = SPACE) -> list[str]:
    """Return what is wrong with a file, line by line, without its path."""
    with pytest.raises(DataError) as caught:
        rows(file, space)
    return [line.removeprefix(f"{file}:").strip() for line in str(caught.value).split("\n")]


# --- any file ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.jsnl", "must end in .jsonl, .ndjson, .csv, .tsv, .parquet, got '.jsnl'. Did you mean '.jsonl'?"),
        ("a.xlsx", "must end in .jsonl, .ndjson, .csv, .tsv, .parquet, got '.xlsx'."),
        ("a", "must end in .jsonl, .ndjson, .csv, .tsv, .parquet, got ''."),
    ],
)
def test_a_file_of_an_unknown_kind_is_refused(tmp_path: Path, name: str, message: str) -> None:
    """The format goes by the extension; another one is refused with the near one."""
    assert refusal(write(tmp_path, name, "{}")) == [message]


@pytest.mark.parametrize("ending", ["jsonl", "csv", "tsv", "parquet"])
def test_a_file_that_cannot_be_opened_is_told(tmp_path: Path, ending: str) -> None:
    """A missing file is told with the nearest name, and a folder as what it is: for every format."""
    write(tmp_path, f"reviews.{ending}", "")
    assert refusal(tmp_path / f"review.{ending}") == [f"no such file. Did you mean 'reviews.{ending}'?"]
    (tmp_path / f"folder.{ending}").mkdir()
    assert refusal(tmp_path / f"folder.{ending}") == ["must be a file, got a folder. Name a file in it."]


@pytest.mark.parametrize("ending", ["jsonl", "csv", "tsv"])
def test_a_file_that_is_not_utf_8_is_told_with_the_line(tmp_path: Path, ending: str) -> None:
    """Text in another encoding is refused, never guessed."""
    file = write(tmp_path, f"a.{ending}", b"a\ncaf\xe9\n")
    assert refusal(file) == ["2: must be UTF-8 text, got the byte 0xe9. Save the file as UTF-8."]


def test_the_extension_may_be_in_capitals(tmp_path: Path) -> None:
    """`.JSONL` is `.jsonl`, and `.ndjson` is its other name."""
    for name in ("A.JSONL", "a.ndjson"):
        assert rows(write(tmp_path, name, '{"text": "x"}')) == [(1, {"text": "x"})]


# --- JSONL ------------------------------------------------------------------------------------------------------------


def test_jsonl_rows_have_the_line_they_stand_on(tmp_path: Path) -> None:
    """Blank lines, a byte order mark and Windows line ends do not matter; line numbers count them all."""
    file = write(tmp_path, "a.jsonl", b'\xef\xbb\xbf{"text": "a"}\r\n\r\n  \n{"text": "b", "n": [1, null]}')
    assert rows(file) == [(1, {"text": "a"}), (4, {"text": "b", "n": [1, None]})]


@pytest.mark.parametrize("text", [*ODD, "\ud800 alone", "a\nb\r\nc\td", '"', "\\"])
def test_odd_texts_pass_through_jsonl_unharmed(tmp_path: Path, text: str) -> None:
    """NUL, long lines, ANSI, markup, emoji, right-to-left text, odd line separators and lone surrogates are text."""
    file = write(tmp_path, "a.jsonl", json.dumps({"text": text}))
    assert rows(file) == [(1, {"text": text})]


@unhurried
@given(
    st.lists(st.dictionaries(st.sampled_from(["text", "labels", "n"]), st.text() | st.none(), min_size=1), max_size=5)
)
def test_what_is_written_as_jsonl_is_read_back(tmp_path_factory: pytest.TempPathFactory, values: list[Any]) -> None:
    """Any rows that `json` writes are read back the same, each on its line."""
    file = write(tmp_path_factory.mktemp("rows"), "a.jsonl", "\n".join(map(json.dumps, values)))
    assert rows(file) == list(enumerate(values, 1))


def test_all_lines_that_are_no_json_object_are_told(tmp_path: Path) -> None:
    """Each line that does not parse, is no object, or has a key twice is told; good lines between them are read."""
    text = (
        '{"text": "a"}\n{"text": \n["a"]\n{"a": 1, "b": {"c": 1, "c": 2}}\n{"text": "b"}\n{"n": ' + "9" * 5000 + "}\n"
    )
    file = write(tmp_path, "a.jsonl", text + '{"n": ' + "[" * 100_000 + "\n" + '"' + "x" * 100 + '"')
    assert refusal(file)[:3] == [
        "2: must be one JSON object a line, but Expecting value at column 10.",
        '3: must be a JSON object, got ["a"].',
        "4: must be one JSON object a line, but the key 'c' stands twice in an object.",
    ]
    assert refusal(file)[3].startswith("6: must be one JSON object a line, but Exceeds the limit (4300 digits)")
    assert refusal(file)[4:] == [
        "7: must be one JSON object a line, but it nests too deep.",
        f'8: must be a JSON object, got "{"x" * 59}….',
    ]
    problems = Problems(file)
    assert read_rows(file, SPACE, problems) == [(1, {"text": "a"}), (5, {"text": "b"})]


# --- fine-tuning files ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("Late again\n\n###\n\n", "Late again"),
        ("Late again ->", "Late again"),
        ("Late -> ###", "Late ->"),
        (" Late ### again \n", " Late ### again \n"),
        ("###", ""),
    ],
)
def test_the_mark_that_ends_a_fine_tuning_prompt_is_no_part_of_the_text(tmp_path: Path, prompt: str, text: str) -> None:
    """`###` and `->` at the end of a prompt are dropped; a prompt without one stays as it is."""
    file = write(tmp_path, "a.jsonl", json.dumps({"prompt": prompt, "completion": " shipping"}))
    assert rows(file) == [(1, {"text": text, "labels": "shipping"})]


@pytest.mark.parametrize(
    ("completion", "labels"),
    [
        (" shipping, price END", "shipping, price"),
        (" shipping\n###", "shipping"),
        (" none END\n", "none"),
        (" WEEKEND", "WEEKEND"),
        (" END", "END"),
        ("", ""),
    ],
)
def test_the_stop_word_of_a_fine_tuning_completion_is_no_label(tmp_path: Path, completion: str, labels: str) -> None:
    """`END` as a word of its own after a label, and `###`, are dropped; a label that ends in these letters is not."""
    file = write(tmp_path, "a.jsonl", json.dumps({"id": "s1", "prompt": "x", "completion": completion}))
    assert rows(file) == [(1, {"id": "s1", "text": "x", "labels": labels})]


def test_chat_messages_are_the_last_question_and_its_answer(tmp_path: Path) -> None:
    """In chat fine-tuning rows the text is the last user message, the labels the last assistant message."""
    turns = [
        ("system", "Label it."),
        ("user", "shot"),
        ("assistant", "price"),
        ("user", "late"),
        ("assistant", "shipping"),
    ]
    messages = [{"role": role, "content": content} for role, content in turns]
    file = write(tmp_path, "a.jsonl", json.dumps({"messages": messages, "stars": 1}))
    assert rows(file) == [(1, {"stars": 1, "text": "late", "labels": "shipping"})]
    file = write(tmp_path, "b.jsonl", json.dumps({"messages": messages[:2]}))
    assert rows(file) == [(1, {"text": "shot", "labels": None})]


@pytest.mark.parametrize(
    "row",
    [
        {"text": "a", "prompt": "b", "completion": "c"},
        {"labels": [], "prompt": "b", "completion": "c"},
        {"prompt": "b"},
        {"prompt": ["b"], "completion": "c"},
        {"messages": "b"},
        {"messages": ["b"]},
        {"messages": [{"role": "system", "content": "b"}]},
        {"messages": [{"role": ["user"], "content": "b"}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "b"}]}]},
    ],
)
def test_rows_that_only_look_like_fine_tuning_stay_as_they_are(tmp_path: Path, row: dict[str, Any]) -> None:
    """Nothing is made of a row that has its own text or labels, or is not quite a fine-tuning row."""
    assert rows(write(tmp_path, "a.jsonl", json.dumps(row))) == [(1, row)]


@pytest.mark.parametrize("field", ["prompt", "completion"])
def test_long_runs_of_spaces_are_read_quickly(tmp_path: Path, field: str) -> None:
    """A fine-tuning row with a hundred thousand spaces takes no longer than another."""
    row = {"prompt": "x", "completion": "x"} | {field: "a" + " " * 200_000 + "b"}
    assert len(rows(write(tmp_path, "a.jsonl", json.dumps(row)))) == 1


# --- CSV and TSV ------------------------------------------------------------------------------------------------------


def test_csv_rows_have_the_line_they_begin_on(tmp_path: Path) -> None:
    """Blank lines are skipped, cells may span lines, header cells are trimmed; a byte order mark is no part of one."""
    file = write(
        tmp_path, "a.csv", b'\xef\xbb\xbf\r\ntext , labels\r\n"late,\r\nagain",shipping\r\n,\r\n\r\n"a ""b""",\r\n'
    )
    assert rows(file) == [
        (3, {"text": "late,\r\nagain", "labels": "shipping"}),
        (7, {"text": 'a "b"', "labels": ""}),
    ]


def test_tsv_is_split_at_tabs(tmp_path: Path) -> None:
    """In a TSV file a comma is a sign like any other."""
    file = write(tmp_path, "a.tsv", "text\tlabels\nlate, again\tshipping, price\n")
    assert rows(file) == [(2, {"text": "late, again", "labels": "shipping, price"})]


@pytest.mark.parametrize("text", [*ODD, "a\nb", 'say "hi"', "it's", " spaces ", "a,b\tc;d|e"])
@pytest.mark.parametrize("ending", ["csv", "tsv"])
def test_odd_texts_pass_through_csv_unharmed(tmp_path: Path, ending: str, text: str) -> None:
    """What a CSV writer wrote is read back as it was, however odd and however long."""
    out = io.StringIO()
    csv.writer(out, delimiter="," if ending == "csv" else "\t").writerows([["id", "text"], ["s1", text]])
    assert rows(write(tmp_path, f"a.{ending}", out.getvalue())) == [(2, {"id": "s1", "text": text})]


@unhurried
@given(
    st.lists(
        st.tuples(st.text(st.characters(codec="utf-8", exclude_characters="\r")), st.text("ab ,\"'\n")), max_size=5
    )
)
def test_what_is_written_as_csv_is_read_back(tmp_path_factory: pytest.TempPathFactory, cells: list[Any]) -> None:
    """Any cells that `csv` writes are read back the same; rows of blank cells are skipped."""
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows([("text", "labels"), *cells])
    file = write(tmp_path_factory.mktemp("rows"), "a.csv", out.getvalue())
    expected = [{"text": text, "labels": labels} for text, labels in cells if text.strip() or labels.strip()]
    assert [row for _, row in rows(file)] == expected


@unhurried
@given(st.text(st.characters(codec="utf-8")) | st.text("ab,'\"\n01"))
def test_any_text_as_csv_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """No text makes the CSV reader fail in any way but with problems that name a line."""
    file = write(tmp_path_factory.mktemp("rows"), "a.csv", text)
    problems = Problems(file)
    found = read_rows(file, SPACE, problems)
    assert all(line >= 1 for line, _ in found)
    assert all(problem.line >= 1 for problem in problems.found)


def test_all_ragged_rows_are_told(tmp_path: Path) -> None:
    """Every row with another number of cells than the header is told with its line; the others are read."""
    file = write(tmp_path, "a.csv", "text,labels\na,shipping\nb\nc,price,x\nd,price\n")
    assert refusal(file) == [
        "3: must have 2 cells like the first line, got 1.",
        "4: must have 2 cells like the first line, got 3.",
    ]
    assert [line for line, _ in read_rows(file, SPACE, Problems(file))] == [2, 5]


def test_broken_quotes_are_told_and_never_change_the_text(tmp_path: Path) -> None:
    """A quote within quotes that is not doubled, and one that is never closed, are told; a quote in a bare cell is text."""
    file = write(tmp_path, "a.csv", 'text,labels\n5" pipe,price\n"He said "hi" x",price\nd,price\n"open,price\n')
    assert refusal(file) == [
        """3: must be CSV, but ',' expected after '"'. Write a quote within quotes twice.""",
        "5: must be CSV, but unexpected end of data. Write a quote within quotes twice.",
    ]
    assert [row["text"] for _, row in read_rows(file, SPACE, Problems(file))] == ['5" pipe', "d"]


@pytest.mark.parametrize("line", ["it came late,0,1,0", "0,1,1,it came late", "0,1,0,0"])
def test_a_header_of_zeros_and_ones_is_none(tmp_path: Path, line: str) -> None:
    """Where the labels are not known, a first line of values instead of names is told once, with what must stand above."""
    problems = Problems(file := write(tmp_path, "a.csv", f"{line}\n{line}\n"))
    assert read_rows(file, None, problems) == []
    (problem,) = problems.found
    assert problem.message == (
        f"must be a header that names the columns, got '{line}'. Put one above: text,LABEL,LABEL,…"
    )


def test_doubled_columns_are_told(tmp_path: Path) -> None:
    """Each column name that stands twice in the header is told once."""
    file = write(tmp_path, "a.csv", "\ntext,a,b,text,b,b\n1,2,3,4,5,6\n")
    assert refusal(file) == [
        "2: column 'b' stands here twice. Rename one.",
        "2: column 'text' stands here twice. Rename one.",
    ]


def test_an_empty_csv_has_no_rows(tmp_path: Path) -> None:
    """A file of nothing, of blank lines, or of a header alone has no rows and no problem."""
    for text in ("", "\n\n", "text,labels\n"):
        assert rows(write(tmp_path, "a.csv", text)) == []


def test_a_file_without_a_header_is_a_text_and_a_column_for_each_label(tmp_path: Path) -> None:
    """Single quotes or double ones or none: the text, then 0/1 columns in label-space order."""
    expected = {"text": "this is a sample"} | dict(zip("abcdefgh", "01011001", strict=True))
    for text in ("'this is a sample'", '"this is a sample"', "this is a sample"):
        file = write(tmp_path, "a.csv", f"{text},0,1,0,1,1,0,0,1\n{text},0,1,0,1,1,0,0,1\n")
        assert rows(file, EIGHT) == [(1, expected), (2, expected)]
    file = write(tmp_path, "a.tsv", "it's late\t1\t0\n")
    assert rows(file) == [(1, {"text": "it's late", "shipping": "1", "price": "0"})]


def test_commas_and_doubled_quotes_stay_in_single_quoted_texts(tmp_path: Path) -> None:
    """A single-quoted text may hold commas, line breaks, and its own quote doubled; escaped otherwise it is refused."""
    file = write(tmp_path, "a.csv", "'it''s late, \"again\",\nsay',1,0\n")
    assert rows(file) == [(1, {"text": 'it\'s late, "again",\nsay', "shipping": "1", "price": "0"})]
    file = write(tmp_path, "a.csv", "'fine',1,0\n'it\\'s late',1,0\n'it's late',1,0\n")
    problem = "must be CSV, but ',' expected after '''. Write a quote within quotes twice."
    assert refusal(file) == [f"2: {problem}", f"3: {problem}"]


def test_a_file_without_a_header_must_fit_the_label_space(tmp_path: Path) -> None:
    """Too few or too many 0/1 columns are told once; a later row that differs is told on its line."""
    wanted = "a file without a header must have a text and 2 columns of 0 or 1, one per label"
    for flags, count in (("1", 1), ("1,0,1", 3)):
        assert refusal(write(tmp_path, "a.csv", f"'a',{flags}\n'b',{flags}\n")) == [
            f"1: {wanted}; got {count} of them."
        ]
    assert refusal(write(tmp_path, "a.csv", "'a',1,0\n'b',1\n")) == ["2: must have 3 cells like the first line, got 2."]


def test_without_a_label_space_the_first_line_is_a_header(tmp_path: Path) -> None:
    """Where the labels are not known, no file is taken for one without a header."""
    assert rows(write(tmp_path, "a.csv", "text,1\na,0\n"), None) == [(2, {"text": "a", "1": "0"})]


# --- Parquet ----------------------------------------------------------------------------------------------------------


def test_parquet_rows_are_numbered(tmp_path: Path) -> None:
    """Columns of any type come as plain values, rows counted from 1."""
    file = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"text": ["a", "\x00🙂"], "labels": [["x"], None], "n": [1, None]}), file)
    assert rows(file) == [
        (1, {"text": "a", "labels": ["x"], "n": 1}),
        (2, {"text": "\x00🙂", "labels": None, "n": None}),
    ]


def test_a_folder_name_with_an_equals_sign_is_no_column(tmp_path: Path) -> None:
    """The names of folders are no part of the data, even where they look like a partition."""
    folder = tmp_path / "split=dev"
    folder.mkdir()
    parquet.write_table(pa.table({"text": ["a"]}), folder / "a.parquet")
    assert rows(folder / "a.parquet") == [(1, {"text": "a"})]


def test_a_file_that_is_not_parquet_is_told(tmp_path: Path) -> None:
    """A file that pyarrow refuses is told in its first words."""
    file = write(tmp_path, "a.parquet", "text\n" * 100)
    assert refusal(file) == ["must be Parquet, but Parquet magic bytes not found in footer."]
    assert refusal(write(tmp_path, "b.parquet", ""))[0].startswith("must be Parquet, but Parquet file size is 0 bytes")


def test_parquet_without_pyarrow_tells_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parquet is optional; the message for a Parquet file without it says how to get it."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert refusal(write(tmp_path, "a.parquet", "x")) == [
        "reading Parquet needs pyarrow. Type: pip install 'harness[parquet]'"
    ]


def test_parquet_values_are_those_that_arrow_gives(tmp_path: Path) -> None:
    """Columns of numbers, read by a shorter way, hold the same values of the same types; so do those with gaps."""
    table = pa.table(
        {
            "text": ["a", "b"],
            "double": [0.1, float("inf")],
            "single": pa.array([0.1, 0.25], pa.float32()),
            "half": pa.array([0.5, 0.25], pa.float16()),
            "byte": pa.array([0, 255], pa.uint8()),
            "big": pa.array([2**64 - 1, 0], pa.uint64()),
            "flag": [True, False],
            "gap": [1, None],
            "gaps": [None, 0.5],
            "list": [[1], []],
        }
    )
    parquet.write_table(table, tmp_path / "a.parquet")
    found = [row for _, row in rows(tmp_path / "a.parquet")]
    assert found == table.to_pylist()
    assert [list(map(type, row.values())) for row in found] == [
        list(map(type, row.values())) for row in table.to_pylist()
    ]


# --- rows that are read in two ways -----------------------------------------------------------------------------------

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)


@unhurried
@given(
    st.dictionaries(st.text(max_size=4) | st.just("text"), values, max_size=4),
    st.booleans(),
    st.sampled_from([None, 1]),
)
def test_every_json_object_is_read_as_json_reads_it(row: dict[str, Any], escaped: bool, spaced: int | None) -> None:
    """Fast or not: numbers of any size, NaN, surrogates and colons in texts are what `json` makes of them."""
    separators = (" , ", " : ") if spaced else None
    line = json.dumps(row, ensure_ascii=escaped, separators=separators)
    problems = Problems(Path("x.jsonl"))
    ((number, found),) = rows_module._jsonl_rows(line, problems)
    problems.raise_if_any()
    assert number == 1
    assert json.dumps(found) == json.dumps(rows_module._from_fine_tuning(json.loads(line)))


@pytest.mark.parametrize(
    "line",
    [
        '{"text": "a", "text": "b"}',
        '{"text" : "a", "text": "b"}',
        '{"text"\t:"a","text"  :"b"}',
        '{"text": "a", "more": {"x": 1, "x": 2}}',
        '{"text": "a", "more": [{"x": 1, "x": 2}]}',
        '{"text": "a", "te\\u0078t": "b"}',
        '{"text": "a: \\": b", "text": ""}',
    ],
)
def test_a_key_that_stands_twice_is_never_overlooked(tmp_path: Path, line: str) -> None:
    """However it is written, and wherever it stands."""
    (told,) = refusal(write(tmp_path, "a.jsonl", line))
    assert told.startswith("1: must be one JSON object a line, but the key '")
    assert told.endswith("' stands twice in an object.")


@unhurried
@given(st.text(alphabet='a,"\r\n\u2028\x0b ', max_size=30))
def test_lines_of_csv_end_where_those_of_python_do(text: str) -> None:
    """Only line feeds and carriage returns end a line; a text that is cut there is the same text."""
    lines = [found[0] for found in rows_module._CSV_LINE.finditer(text)]
    assert lines == list(io.StringIO(text, newline=""))
