"""Label cells of unknown files: where a cell is split, which spellings are one label, and what can be none."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.labelcells import (
    detect_separator,
    is_blank,
    is_vector,
    listed,
    look_alikes,
    merged,
    name_of,
    name_problem,
    only_names,
    split_cell,
)

# --- cells ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "blank"),
    [(None, True), ("", True), (" \n", True), (math.nan, True), ("0", False), (0, False), ([], False)],
)
def test_what_holds_nothing_is_blank(cell: object, blank: bool) -> None:
    """Null, NaN and blank text are nothing; zero and the empty list are something."""
    assert is_blank(cell) is blank


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        ('["a, b", "c"]', ["a, b", "c"]),
        ("['a', 'it''s']", ["a", "its"]),
        ('["it\'s"]', ["it's"]),
        (" [] ", []),
        ("[3, 27.0, 1.5]", ["3", "27", "1.5"]),
        (["a ", " ", "b"], ["a", "b"]),
        (["None"], []),
        (["none", "a"], ["none", "a"]),
        ("[a, b]", None),
        ("[a", None),
        ("a", None),
        ('{"a": 1}', None),
        (3, None),
    ],
)
def test_lists_are_read_as_json_and_python_write_them(cell: object, names: list[str] | None) -> None:
    """A list gives its names without blanks around them; any other cell is no list."""
    assert listed(cell) == names


@pytest.mark.parametrize("cell", [[["a"]], "[{}]", [None]])
def test_a_list_of_anything_but_names_is_an_error(cell: object) -> None:
    """Lists within lists are not guessed at."""
    with pytest.raises(TypeError):
        listed(cell)


@given(st.lists(st.text()))
def test_a_json_list_is_read_like_the_list_itself(names: list[str]) -> None:
    """Written as JSON in a cell of text, a list means the same."""
    assert listed(json.dumps(names)) == listed(names)


def test_a_cell_is_split_and_its_names_are_bare() -> None:
    """Blanks and empty parts go; `none` alone is the empty set, also where nothing is split."""
    assert split_cell(" a ,, b,", ",") == ["a", "b"]
    assert split_cell(" a, b ", None) == ["a, b"]
    assert split_cell("NONE", None) == split_cell("none;", ";") == only_names([" None "]) == []
    assert split_cell("none;a", ";") == ["none", "a"]


def test_numbers_are_names() -> None:
    """A number that a file made a float is written as the whole number that it is."""
    assert [name_of(value) for value in (3, 3.0, 2.5, "3.0", True)] == ["3", "3", "2.5", "3.0", "True"]


# --- the separator ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mark", [",", ";", "|", "\n"])
def test_the_separator_is_what_leaves_the_fewest_names(mark: str) -> None:
    """Names recur in other combinations, so that splitting makes fewer of them."""
    cells = [["a", "b"], ["b", "c"], ["a"], ["c", "a"], ["b"]]
    assert detect_separator([f"{mark} ".join(names) for names in cells]) == mark


@pytest.mark.parametrize("cells", [["a", "b", "a"], [], ["late delivery", "no-reply"]])
def test_cells_without_a_mark_are_not_split(cells: list[str]) -> None:
    """There is nothing to split at."""
    assert detect_separator(cells) is None


def test_a_mark_inside_single_labels_is_part_of_them() -> None:
    """`Food, drink` comes up again and again and its parts never apart: it is one label."""
    assert detect_separator(["Food, drink", "Travel", "Food, drink", "Arts; crafts", "Arts; crafts"]) is None


def test_a_mark_inside_names_that_are_separated_by_another() -> None:
    """`Food, drink; Travel` is split at the semicolon."""
    cells = ["Food, drink; Travel", "Travel; Health", "Food, drink; Health", "Food, drink"]
    assert detect_separator(cells) == ";"


def test_a_few_cells_without_evidence_are_split() -> None:
    """Where no combination recurs, a mark is taken for a separator: that is what it mostly is."""
    assert detect_separator(["shipping, price", "quality"]) == ","


@given(
    st.lists(st.sets(st.sampled_from(["a", "b", "c", "d"]), min_size=1), min_size=1), st.sampled_from([",", ";", "|"])
)
def test_what_can_only_be_a_separator_is_found(rows: list[set[str]], mark: str) -> None:
    """With every label alone somewhere, the mark between them is always found."""
    cells = [mark.join(sorted(row)) for row in rows] + ["a", "b", "c", "d"]
    assert detect_separator(cells) == (mark if any(len(row) > 1 for row in rows) else None)


@pytest.mark.parametrize(
    ("rows", "vector"),
    [
        ([["0", "1"], ["1", "1"], None], True),
        ([["0"], ["1"]], False),
        ([["0", "1"]], False),
        ([["0", "1"], ["1"]], False),
        ([["0", "2"], ["1", "1"]], False),
        ([["1", "1"], ["1", "1"]], False),
    ],
)
def test_rows_of_a_matrix_are_told_from_lists_of_names(rows: list[list[str] | None], vector: bool) -> None:
    """Several rows of one width with nothing but zeros and ones, and both of them, have lost their names."""
    assert is_vector(rows) is vector


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["no", "on", "1", "a: b", 'a "b"', "日本語", "👩‍🚀", "N/A", "x" * 200])
def test_what_can_be_the_name_of_a_label(name: str) -> None:
    """Odd names are names."""
    assert name_problem(name) is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a\nb", "a label must be visible text on one line, got 'a\\nb'. Rename it, or write 'none'."),
        ("-", "a label must be visible text on one line, got '-'. Rename it, or write 'none'."),
        ("\u200b", "a label must be visible text on one line, got '\\u200b'. Rename it, or write 'none'."),
        ("None", "'None' says that no label applies, but others stand beside it. Remove it, or them."),
        (
            "x" * 201,
            f"a label must have at most 200 characters, got '{'x' * 60}…' with 201. Give --separator or --labels.",
        ),
    ],
)
def test_what_can_be_no_name_of_a_label(name: str, message: str) -> None:
    """Each message says what to do."""
    assert name_problem(name) == message


def test_spellings_that_read_the_same_are_one_label() -> None:
    """The most frequent spelling names the label, the first one where two are as frequent; each merger is told."""
    names, notes = merged(
        {"shipping": 3, "Shipping": 40, "build_quality": 1, "build quality": 1, "price": 2, "SHIPPING": 1}
    )
    assert names == {
        **dict.fromkeys(["shipping", "Shipping", "SHIPPING"], "Shipping"),
        **dict.fromkeys(["build_quality", "build quality"], "build_quality"),
        "price": "price",
    }
    assert notes == [
        "read as 'Shipping' (40), the same but for case or joiners: 'shipping' (3), 'SHIPPING' (1)",
        "read as 'build_quality' (1), the same but for case or joiners: 'build quality' (1)",
    ]


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        (["refund", "price", "refunds"], [("refund", "refunds")]),
        (["e-mail", "email"], [("e-mail", "email")]),
        (["level 1", "level 2", "10", "11"], []),
        (["price", "service"], []),
        (["!", "?"], []),
    ],
)
def test_names_that_look_alike_are_told(names: list[str], pairs: list[tuple[str, str]]) -> None:
    """Nearly the same words are told; names that differ in their numbers are not."""
    assert list(look_alikes(names)) == pairs
