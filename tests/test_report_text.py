"""Outside text is data: what is shown moves no cursor, and what is written reads back as it was."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.report.text import csv_safe, json_text, one_line, visible

TEXT = st.text(st.characters(codec=None, categories=None), max_size=60)
"""Any text at all: controls, lone surrogates and unassigned characters too."""

ONE_BY_ONE = TEXT.filter(lambda text: not re.search("[\ud800-\udbff][\udc00-\udfff]", text))
"""Any text but halves of a surrogate pair side by side, for which JSON has no writing of their own."""

BIDI = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})


def is_harmless(text: str) -> bool:
    """Return whether no character of a text is a control, a lone surrogate or a direction of the line."""
    return not any(
        (unicodedata.category(each) in ("Cc", "Cs", "Zl", "Zp") and each not in "\t\n")
        or unicodedata.bidirectional(each) in BIDI
        or each in "\u200e\u200f\u061c"
        for each in text
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("a\x00b\rc\x07", "a\\x00b\\x0dc\\x07"),
        ("c1 \x9b31m", "c1 \\x9b31m"),
        ("evil \u202egpj.exe", "evil \\u202egpj.exe"),
        ("\u2066x\u2069 \u061c", "\\u2066x\\u2069 \\u061c"),
        ("lone \ud800", "lone \\ud800"),
        ("line\u2028break", "line\\u2028break"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("עברית, العربية, 👩‍🚀, é", "עברית, العربية, 👩‍🚀, é"),
    ],
)
def test_what_could_move_a_cursor_is_an_escape(text: str, shown: str) -> None:
    """Controls, directions and lone surrogates are shown as escapes; scripts, emoji, tabs and lines as they are."""
    assert visible(text) == shown


@given(TEXT)
def test_visible_text_is_harmless(text: str) -> None:
    """Whatever comes in, what is shown holds no control, no direction and no lone surrogate."""
    assert is_harmless(visible(text))
    visible(text).encode("utf-8")


@given(TEXT)
def test_visible_text_stays_as_it_is(text: str) -> None:
    """Making text visible twice changes nothing more."""
    assert visible(visible(text)) == visible(text)


@given(TEXT, st.integers(1, 40))
def test_one_line_is_one_line_of_the_width(text: str, width: int) -> None:
    """One line has no break and no more characters than asked; only what was cut ends in an ellipsis."""
    line = one_line(text, width)
    assert len(line) <= width
    assert is_harmless(line)
    assert "\n" not in line
    assert "\t" not in line
    whole = visible(" ".join(text.split()))
    assert line == whole if len(whole) <= width else line.endswith("…")


def test_a_huge_text_is_cut_without_being_read_whole() -> None:
    """A text of megabytes costs no more than its first words."""
    assert one_line("word " * 10**6, 20) == "word word word word…"
    assert one_line("x" * 10**7, 5) == "xxxx…"
    assert one_line(" " * 10**6 + "end", 5) == "end"


PLAIN = st.recursive(
    ONE_BY_ONE | st.integers() | st.booleans() | st.none(),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(ONE_BY_ONE, each, max_size=3),
    max_leaves=8,
)


@given(PLAIN)
def test_json_reads_back_exactly_and_shows_harmlessly(value: object) -> None:
    """JSON of any plain value reads back to the very same, is UTF-8, and is harmless on a terminal."""
    for indent in (None, 1):
        text = json_text(value, indent)
        assert json.loads(text) == value
        assert is_harmless(text)
        text.encode("utf-8")


def test_json_keeps_what_people_read() -> None:
    """Letters of any script stand in JSON as themselves."""
    assert json_text({"text": "größer 大 👍"}) == '{"text": "größer 大 👍"}'


def test_numbers_that_json_has_not_are_null() -> None:
    """NaN and infinity are null, because other programs refuse JSON that says NaN."""
    assert json_text({"a": [math.nan, 1.5], "b": (math.inf,)}) == '{"a": [null, 1.5], "b": [null]}'


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝"])
def test_a_cell_is_no_formula(start: str) -> None:
    """A cell that a spreadsheet would compute gets an apostrophe before it."""
    assert csv_safe(f"{start}cmd()") == f"'{start}cmd()"


@pytest.mark.parametrize("cell", ["", "text", "1", "'quoted", " =spaced"])
def test_other_cells_stay_as_they_are(cell: str) -> None:
    """A cell that no spreadsheet computes is not touched."""
    assert csv_safe(cell) == cell


@given(st.lists(TEXT.filter(lambda each: not any("\ud800" <= c <= "\udfff" for c in each)), min_size=1, max_size=4))
def test_csv_reads_back_as_the_safe_cells(cells: list[str]) -> None:
    """Rows of outside text stay rows: no cell ends a row or begins another."""
    from harness.report.files import to_csv

    text = to_csv([{f"c{at}": cell for at, cell in enumerate(cells)}] * 2)
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert rows[1:] == [[csv_safe(cell.replace("\x00", "\\x00")) for cell in cells]] * 2
