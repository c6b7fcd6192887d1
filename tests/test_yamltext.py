"""Plain values as YAML text: they read back as what they were."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from harness.yamlfile import plain_yaml
from harness.yamltext import comment, flow, indented, scalar

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(TEXTS.filter(lambda key: key != "<<"), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(VALUES)
def test_values_read_back(value: object) -> None:
    """What is written on one line is the same value when the project's reader, which knows YAML 1.2, reads it."""
    text = flow({"key": value})
    assert "\n" not in text
    assert plain_yaml(text, "here") == {"key": value}


@given(TEXTS)
def test_texts_stay_texts(text: str) -> None:
    """No reader of YAML takes a text for anything else."""
    assert yaml.safe_load(scalar(text)) == text


@pytest.mark.parametrize(
    ("text", "written"),
    [("late delivery", "late delivery"), ("no", '"no"'), ("a: b", '"a: b"'), ("1", '"1"'), ("x\u2028y", '"x\\u2028y"')],
)
def test_words_stay_as_they_are(text: str, written: str) -> None:
    """Only what could be something else is put in quotes."""
    assert scalar(text) == written


def test_comments_are_broken_at_words() -> None:
    """A comment is as wide as it may be, a word that is longer stands alone, and it has no control characters."""
    assert comment("one two\nthree\x1b four", 11) == ["# one two", "# three", "# four"]
    assert comment("a-very-long-word x", 5) == ["# a-very-long-word", "# x"]
    assert comment("", 10) == ["#"]


def test_empty_lines_stay_empty() -> None:
    """Lines move to the right, and no white space comes to stand alone."""
    assert indented(["a", "", "\r\n", "  b\n"], 2) == ["  a", "", "\r\n", "    b\n"]
