"""A prompt file's text with other messages: what changes, and that nothing else does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from strategies_labels import unhurried

from harness.errors import DataError
from harness.promptedit import with_messages

HEAD = "parent: v1\nnotes: made by a test\n"


def edited(text: str, messages: Sequence[str], number: int = 0, remarks: Sequence[str] = ()) -> str:
    """Return the text with other messages."""
    return with_messages(
        text, "v1.yaml", parent="v1", notes="made by a test", pass_number=number, messages=messages, remarks=remarks
    )


@pytest.mark.parametrize(
    ("before", "messages", "after"),
    [
        ("template: |\n  a\n  {{ text }}\n# end\n", ["b\nc\n"], "template: |\n  b\n  c\n# end\n"),
        ("template: |  # words\n  a\noutput: list\n", ["b\nc"], "template: |-  # words\n  b\n  c\noutput: list\n"),
        ("template: >\n  a\n  b\n", ["b\n\nc\n"], "template: |\n  b\n\n  c\n"),
        ("template: a  # words\noutput: list\n", ["b\nc\n"], "template: |  # words\n  b\n  c\noutput: list\n"),
        ('template: "a"\n', ["b: {{ x }}"], 'template: "b: {{ x }}"\n'),
        ("template: |\n  a\n\n\noutput: list\n", ["b"], 'template: "b"\n\n\noutput: list\n'),
        ("template: |\n  a\n", ["  b\nc\n"], "template: |2\n    b\n  c\n"),
        ("template: |\n  a\n", ["b\x00\nc"], 'template: "b\\0\\nc"\n'),
        ("template: |\r\n  a\r\n  b\r\n", ["b\nc\n"], "template: |\r\n  b\r\n  c\r\n"),
        ("messages: [{user: a}]\n", ["b\nc"], 'messages: [{user: "b\\nc"}]\n'),
        ("messages: [{user: a}]\n", ["a"], "messages: [{user: a}]\n"),
    ],
)
def test_one_message(before: str, messages: list[str], after: str) -> None:
    """A text of several lines becomes a block, one of a single line stands in quotes; comments and line ends stay."""
    head = HEAD.replace("\n", "\r\n") if "\r\n" in before else HEAD
    assert edited(before, messages) == head + after


def test_only_what_changed_is_written_anew() -> None:
    """A message that is as it was stays byte for byte; so does every other pass."""
    text = (
        "# top\nparent: v0   # old\nnotes: |\n  long\n  ago\npasses:\n  - name: first\n    template: 'x'\n"
        "  - name: second\n    messages:\n      - system: >-  # folded\n          as it\n          is\n"
        "      - user: |\n          {{ text }}\n    output: list\n"
    )
    made = edited(text, ["as it is", "New\n{{ text }}\n"], number=1, remarks=["one", "two"])
    assert made == (
        "# top\n# one\n# two\nparent: v1   # old\nnotes: made by a test\npasses:\n  - name: first\n    template: 'x'\n"
        "  - name: second\n    messages:\n      - system: >-  # folded\n          as it\n          is\n"
        "      - user: |\n          New\n          {{ text }}\n    output: list\n"
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{template: a}", "v1.yaml:1: cannot be edited, because it is one mapping in braces."),
        (
            "vars: {x: &x a}\ntemplate: *x\n",
            "v1.yaml:2: cannot be edited, because 'template' is an alias. Write it out.",
        ),
        ("template: &x a\n", "v1.yaml:1: cannot be edited, because 'template' has an anchor or a tag. Take it out."),
    ],
)
def test_what_cannot_be_edited(text: str, why: str) -> None:
    """It is told with its line."""
    with pytest.raises(DataError) as error:
        edited(text, ["b"])
    assert str(error.value).startswith(why)


words = st.text(st.characters(codec="utf-8", exclude_characters="\r"), min_size=1, max_size=60)
OLD = st.sampled_from(["x", "'x y'", '"x\\ny"', "|\n{i}  x\n{i}  y", "|-\n{i}  x", ">\n{i}  x", "|+\n{i}  x\n\n"])


@unhurried
@given(old=OLD, system=words, user=words, flow=st.booleans())
def test_whatever_is_written_is_read_back(old: str, system: str, user: str, flow: bool) -> None:
    """Any text can be a message; nothing but parent, notes and the messages of the pass is read otherwise."""
    if flow:
        before = "model: m  # c\npasses: [{name: a, messages: [{system: x}, {user: y}]}]\noutput: list\n"
    else:
        node = old.replace("{i}", "      ")
        listed = f"    - system: {node}\n    - user: {node}\n"
        before = f"model: m  # c\npasses:\n  - name: a\n    messages:\n{listed}output: list\n"
    after: dict[str, Any] = yaml.safe_load(edited(before, [system, user]))
    assert after.pop("parent") == "v1"
    assert after.pop("notes") == "made by a test"
    assert after["passes"][0]["messages"] == [{"system": system}, {"user": user}]
    wanted = yaml.safe_load(before)
    wanted["passes"][0]["messages"] = after["passes"][0]["messages"]
    assert after == wanted
