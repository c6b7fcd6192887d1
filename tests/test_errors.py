"""Messages: problems of one file told together, near words, listings."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies_labels import unhurried

from harness import errors
from harness.errors import DataError, HarnessError, Problems, did_you_mean, did_you_mean_file, listing, shortened


def test_a_usage_error_has_an_exit_code_of_its_own() -> None:
    """What is wrong with the command line exits with 2, every other failure of this module with 1."""
    own = [each for each in HarnessError.__subclasses__() if each.__module__ == errors.__name__]
    codes = {each.__name__: each.exit_code for each in own}
    assert codes.pop("UsageError") == errors.EXIT_USAGE == 2
    assert set(codes.values()) == {errors.EXIT_ERROR} == {1}


def test_all_problems_of_a_file_are_told_together_with_their_lines() -> None:
    """`raise_if_any` tells every problem, each with its place."""
    problems = Problems(Path("a.yaml"))
    problems.add("is odd.", 3)
    problems.add("is empty.")
    with pytest.raises(DataError) as caught:
        problems.raise_if_any()
    assert str(caught.value) == "a.yaml: is empty.\na.yaml:3: is odd."


def test_problems_come_in_the_order_of_the_file_and_not_without_end() -> None:
    """Problems are told by line, those of the file as a whole first, and of very many the first with a count."""
    problems = Problems(Path("a.csv"))
    for line in range(52, 0, -1):
        problems.add("is odd.", line)
    problems.add("is empty.")
    with pytest.raises(DataError) as caught:
        problems.raise_if_any()
    lines = str(caught.value).split("\n")
    assert lines[:3] == ["a.csv: is empty.", "a.csv:1: is odd.", "a.csv:2: is odd."]
    assert lines[-2:] == ["a.csv:49: is odd.", "a.csv: … and 3 more problems."]
    assert len(lines) == errors.MOST_TOLD + 1


def test_no_problem_is_no_error() -> None:
    """`raise_if_any` returns when nothing was found."""
    assert not Problems(Path("a.yaml")).raise_if_any()  # type: ignore[func-returns-value]


def test_problems_of_another_file_come_after_those_found_before() -> None:
    """An error that comes up while another file is read is told after the problems found so far."""
    problems = Problems(Path("a.yaml"))
    problems.add("is odd.", 3)
    with pytest.raises(DataError) as caught, problems.before():
        raise DataError("b.yaml: no such file.")
    assert str(caught.value) == "a.yaml:3: is odd.\nb.yaml: no such file."


def test_reading_another_file_well_changes_nothing() -> None:
    """`before` raises nothing by itself."""
    problems = Problems(Path("a.yaml"))
    problems.add("is odd.", 3)
    with problems.before():
        pass
    assert len(problems.found) == 1


@pytest.mark.parametrize(
    ("word", "hint"),
    [("shiping", " Did you mean 'Shipping'?"), ("SHIPPING", " Did you mean 'Shipping'?"), ("zzz", ""), ("", "")],
)
def test_the_nearest_known_word_is_suggested(word: str, hint: str) -> None:
    """A near word is suggested as it is written there, whatever the case; a far one is not."""
    assert did_you_mean(word, ["quality", "Shipping"]) == hint


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("nope.yaml", ""),
        ("cods.yaml", " Did you mean 'codes.yaml'?"),
        ("V1.yml", " Did you mean 'v1.yaml'?"),
        ("code.csv", " Did you mean 'codes.csv'?"),
    ],
)
def test_files_are_near_by_what_is_before_the_ending(name: str, hint: str) -> None:
    """An ending that two names share makes them no nearer; of two files that are as near, that with the same ending is."""
    assert did_you_mean_file(name, ["codes.csv", "codes.yaml", "v1.yaml", "codes.md"]) == hint


def test_a_listing_is_cut_and_counts_the_rest() -> None:
    """At most so many words are listed; the rest is a count."""
    assert listing("abc") == "a, b, c"
    assert listing("abcde", 3) == "a, b, c and 2 more"
    assert listing([]) == ""


@unhurried
@given(st.text(), st.integers(1, 80))
def test_a_shortened_text_keeps_its_beginning(text: str, most: int) -> None:
    """A text that is short enough is itself; of a longer one the beginning and an ellipsis are left."""
    short = shortened(text, most)
    assert short == text if len(text) <= most else short == text[:most] + "…"
