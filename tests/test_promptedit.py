"""A prompt file's text with other thresholds: what changes, and that nothing else does."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from strategies_labels import unhurried

from harness.errors import DataError
from harness.promptedit import with_thresholds


def edited(text: str, number: int = 0, threshold: float | None = 0.4, **thresholds: float) -> str:
    """Return the text with thresholds."""
    return with_thresholds(
        text,
        "v1.yaml",
        parent="v1",
        notes="made by a test",
        pass_number=number,
        threshold=threshold,
        thresholds=thresholds,
    )


HEAD = "parent: v1\nnotes: made by a test\n"


LINES = "threshold: 0.4\n  thresholds:\n    a: 0.3\n    b: 0.25"
"""What is added to an output in lines."""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # a word becomes a mapping, and its comment stays on its line
        (
            "template: x\noutput: yes_no  # one token\n# end\n",
            f"template: x\noutput:  # one token\n  format: yes_no\n  {LINES}\n# end\n",
        ),
        ("output: 'list'", f"output:\n  format: 'list'\n  {LINES}"),
        ("output:\nmodel: x\n", f"output:\n  {LINES}\nmodel: x\n"),
        ("output: {}\n", f"output:\n  {LINES}\n"),
        # no output: at the end, or before a last text in lines of its own
        ("model: x\n\n# end", f"model: x\noutput:\n  {LINES}\n\n# end"),
        (
            "model: x\ntemplate: |\n  hi\n  {{ text }}",
            f"model: x\noutput:\n  {LINES}\ntemplate: |\n  hi\n  {{{{ text }}}}",
        ),
        (
            "model:\n  name: x\n  params:\n    - a: 1  # c\n# end\n",
            f"model:\n  name: x\n  params:\n    - a: 1  # c\noutput:\n  {LINES}\n# end\n",
        ),
        (
            "messages:\n  - system: hi\n  - user: |\n      x\n",
            f"output:\n  {LINES}\nmessages:\n  - system: hi\n  - user: |\n      x\n",
        ),
        # a mapping in braces
        (
            "output: {format: yes_no, constrain: off}  # c\n",
            "output: {format: yes_no, constrain: off, threshold: 0.4, thresholds: {a: 0.3, b: 0.25}}  # c\n",
        ),
        (
            "output: {format: yes_no, threshold: 0.5, thresholds: {b: 0.1, c: 0.9},}\n",
            "output: {format: yes_no, threshold: 0.4, thresholds: {b: 0.25, c: 0.4, a: 0.3},}\n",
        ),
        # a mapping in lines
        (
            "output:\n  format: yes_no  # c\n  fields: [m]\n\nmodel: x\n",
            f"output:\n  format: yes_no  # c\n  fields: [m]\n  {LINES}\n\nmodel: x\n",
        ),
        (
            "output:\n    threshold: 0.5   # half\n    thresholds:\n      b: 0.1  # why\n      c: 0.9\n    format: yes_no\n",
            "output:\n    threshold: 0.4   # half\n    thresholds:\n      b: 0.25  # why\n      c: 0.4\n      a: 0.3\n"
            "    format: yes_no\n",
        ),
        (
            "output:\n  format: list\n  threshold:\n  thresholds:\n",
            "output:\n  format: list\n  threshold: 0.4\n  thresholds: {a: 0.3, b: 0.25}\n",
        ),
        ("output:\r\n  format: list\r\n", f"output:\n  format: list\n  {LINES}\n".replace("\n", "\r\n")),
    ],
)
def test_the_output_gets_thresholds(before: str, after: str) -> None:
    """Only the output's thresholds change; comments, order, layout and line ends stay."""
    head = HEAD.replace("\n", "\r\n") if "\r\n" in before else HEAD
    assert edited(before, a=0.3, b=0.25) == head + after


def test_a_global_threshold_alone() -> None:
    """Without thresholds of labels only `threshold` is written, and labels that had one get it too."""
    assert edited("output: list\n") == HEAD + "output:\n  format: list\n  threshold: 0.4\n"
    assert edited("output: {format: list}\n") == HEAD + "output: {format: list, threshold: 0.4}\n"
    before = "output: {format: list, threshold: 0.5, thresholds: {a: 0.1}}\n"
    assert edited(before) == HEAD + "output: {format: list, threshold: 0.4, thresholds: {a: 0.4}}\n"


def test_thresholds_of_labels_alone() -> None:
    """Without a global threshold the one in the text stays, and so does that of a label without a new one."""
    before = "output: {format: list, threshold: 0.5, thresholds: {a: 0.1, b: 0.2}}\n"
    after = "output: {format: list, threshold: 0.5, thresholds: {a: 0.3, b: 0.2}}\n"
    assert edited(before, threshold=None, a=0.3) == HEAD + after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("parent: v0  # c\nnotes: old\n", "parent: v1  # c\nnotes: made by a test\n"),
        ("# c\nnotes: |\n  long\n  old\n\nparent:\n", "# c\nnotes: made by a test\n\nparent: v1\n"),
        ("---\n# c\nmodel: m\n", "---\n# c\nparent: v1\nnotes: made by a test\nmodel: m\n"),
        ("model: m\nparent: null\n", "notes: made by a test\nmodel: m\nparent: v1\n"),
    ],
)
def test_parent_and_notes_are_those_of_the_new_version(before: str, after: str) -> None:
    """The parent is the version that was calibrated, and the notes say what was done; both where they stood, or on top."""
    assert edited(before + "output: {format: list}\n") == after + "output: {format: list, threshold: 0.4}\n"


PASSES = """\
model: m
output: {{format: list}}{top}
passes:
  - name: one
    template: "1"
  - name: two
    template: |
      2
{second}"""


def test_the_output_of_a_pass() -> None:
    """In a prompt with passes it is the output of the pass, at its place."""
    text = PASSES.format(top="", second="    output: yes_no\n    when: x\n  - name: three\n")
    after = text.replace("output: yes_no\n", "output:\n      format: yes_no\n      threshold: 0.4\n")
    assert edited(text, 1) == HEAD + after


def test_an_output_at_the_top_for_one_pass() -> None:
    """An output at the top is that of the only pass without its own."""
    text = PASSES.format(top="  # c", second="    output: yes_no\n")
    assert edited(text, 0) == HEAD + text.replace("{format: list}  # c", "{format: list, threshold: 0.4}  # c")


def test_an_output_at_the_top_for_several_passes_is_refused() -> None:
    """Thresholds at the top would be those of all passes."""
    with pytest.raises(DataError) as refused:
        edited(PASSES.format(top="", second=""), 1)
    assert str(refused.value) == (
        "v1.yaml:2: cannot be edited, because 'output' stands at the top for several passes. "
        "Give each an 'output' of its own."
    )


def test_a_pass_without_an_output() -> None:
    """A pass without any output gets one, before a text at its end or inside its braces."""
    text = "passes:\n  - name: one\n    template: |\n      1\n  - {name: two, template: '2'}\n"
    assert edited(text, 0) == HEAD + text.replace(
        "    template: |", "    output:\n      threshold: 0.4\n    template: |"
    )
    assert edited(text, 1) == HEAD + text.replace("'2'}", "'2', output: {threshold: 0.4}}")
    braces = "passes:\n  - {name: one, output: list, when: x}\n"
    assert edited(braces, 0) == HEAD + braces.replace("list", "{format: list, threshold: 0.4}")


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("{output: list}\n", 1, "it is one mapping in braces. Write it as lines of 'key: value'."),
        ("x: &x list\noutput: *x\n", 2, "'output' is an alias. Write it out."),
        ("x: &x {format: list}\noutput: *x\n", 2, "'output' is an alias. Write it out."),
        ("x: &x {a: 1}\noutput:\n  thresholds: *x\n", 3, "'thresholds' is an alias. Write it out."),
        ("x: &x 1\noutput: {threshold: *x}\n", 2, "'threshold' is an alias. Write it out."),
        ("x: &x old\nnotes: *x\n", 2, "'notes' is an alias. Write it out."),
    ],
)
def test_what_cannot_be_edited_is_refused(text: str, line: int, why: str) -> None:
    """An alias would change what it stands for, and a file that is one mapping in braces has no lines to add to."""
    with pytest.raises(DataError) as refused:
        edited(text, a=0.3)
    assert str(refused.value) == f"v1.yaml:{line}: cannot be edited, because {why}"


NAMES = st.one_of(
    st.sampled_from(
        ["no", "on", "007", "a: b", "x #y", "null", "- a", "{b}", "price match", "доставка", "a'b\"c", "?"]
    ),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=12),
)


@unhurried
@given(
    st.dictionaries(NAMES, st.floats(0, 1).map(lambda value: float(f"{value:.6g}")), min_size=1, max_size=4),
    st.sampled_from(["output: list\n", "output: {format: list}\n", "output:\n  format: list\n", "model: m\n"]),
    st.sampled_from(["", "template: |\n  x\n", "# c\n"]),
)
def test_any_label_can_be_written(thresholds: dict[str, float], output: str, rest: str) -> None:
    """Whatever a label is called, its threshold reads back, and so does everything else."""
    text = output + rest
    new = with_thresholds(
        text, "v1.yaml", parent="v1", notes="n: 1", pass_number=0, threshold=0.25, thresholds=thresholds
    )
    found: dict[str, Any] = yaml.load(new, yaml.BaseLoader)
    written = found["output"]["thresholds"]
    assert {name: float(value) for name, value in written.items()} == thresholds
    assert not any("e" in value.lower() for value in written.values())
    assert (found["parent"], found["notes"], found["output"]["threshold"]) == ("v1", "n: 1", "0.25")
    before = yaml.load(text, yaml.BaseLoader)
    assert {key: found[key] for key in before if key != "output"} == {
        key: value for key, value in before.items() if key != "output"
    }
