"""What was read before is not read again: the same values as without a memory, in bounded room."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies_labels import unhurried

from harness import parsing
from harness.labelspace import Label, LabelSpace
from harness.parsing import FORMATS, Output, read
from harness.parsing.recalled import PER_ANSWER, PER_TEXT, Answers, Recalled
from harness.records import Answer, Completion, ParseFailure

NAMES = ("late parcel", "price", "torn box", "box")
SPACE = LabelSpace(tuple(Label(name, f"about the {name}", code=code) for name, code in zip(NAMES, "abcd", strict=True)))
ONE = SPACE.only(["price"])
PIECES = (
    *NAMES,
    *("a", "c", "none", "yes", "no", "price: no", "Answer:", "Explanation: it is", "[]", '["price"]', "<labels>"),
    *(
        "</labels>",
        "0",
        "1",
        "0.9",
        ", ",
        ",",
        "\n",
        "\n\n",
        " and ",
        "- ",
        "bananas",
        "I cannot answer that.",
        "<think>",
    ),
    *("</think>", "[THINK]", "\\boxed{price}", "<answer>", "</s>", "1,0,0,0", "price: 0.7"),
)
texts = st.lists(st.sampled_from(PIECES), max_size=7).map("".join)


@pytest.fixture(autouse=True)
def memory(monkeypatch: pytest.MonkeyPatch) -> Answers:
    """Return an empty memory of answers, in the place of that of all tests."""
    fresh = Answers()
    monkeypatch.setattr(parsing, "_READ", fresh)
    return fresh


def said(result: Answer | ParseFailure) -> Any:
    """Return a result as what can be compared."""
    return (result.kind, result.why, result.off_list) if isinstance(result, ParseFailure) else result


def without_memory(completion: Completion, space: LabelSpace, output: Output) -> Any:
    """Return what is read with a label space and an output that nobody ever read with."""
    fresh = LabelSpace(space.labels, space.fields)
    return said(read(completion, fresh, Output(output.format, dict(output.options))))


@unhurried
@given(st.sampled_from(sorted(FORMATS)), st.lists(texts, min_size=1, max_size=5), st.booleans())
def test_a_memory_changes_no_answer(name: str, answers: list[str], cut: bool) -> None:
    """Whatever was read before with a label space and output: a text says what it says to a reader that is new."""
    output, space = Output(name), ONE if FORMATS[name].one_label else SPACE
    completions = [Completion("ok", text, "length" if cut else "stop") for text in answers * 2]
    assert [said(read(each, space, output)) for each in completions] == [
        without_memory(each, space, output) for each in completions
    ]


def test_the_same_text_is_read_once(monkeypatch: pytest.MonkeyPatch, memory: Answers) -> None:
    """A text is read once for a label space, an output and whether it was cut; for others it is read anew."""
    asked: list[str] = []

    def noted(text: str, *others: Any) -> Answer:
        asked.append(text)
        return Answer(frozenset())

    monkeypatch.setattr(parsing, "_parsed", noted)
    output = Output("list")
    ways = [(SPACE, output, "stop"), (ONE, output, "stop"), (SPACE, Output("list"), "stop"), (SPACE, output, "length")]
    for space, how, finish in ways * 3:
        read(Completion("ok", "price", finish), space, how)
    assert (asked, len(memory)) == (["price"] * 4, 4)


def test_a_failure_holds_nothing_but_why() -> None:
    """A failure that is kept does not hold on to the parser that raised it."""
    result = read(Completion("ok", "bananas", "stop"), SPACE, Output("list"))
    assert isinstance(result, ParseFailure)
    assert result.__traceback__ is None


def test_answers_are_forgotten_when_the_room_is_full() -> None:
    """The room is bounded by what is kept: short answers and long ones, and never more of them than fit."""
    answers, output = Answers(room=10 * PER_ANSWER), Output("list")

    def nothing(text: str, space: LabelSpace, output: Output, cut: bool) -> Answer:
        return Answer(frozenset(), (text,))

    for at in range(100):
        assert answers.of(str(at), SPACE, output, False, nothing).off_list == (str(at),)
        assert len(answers) <= 10
    answers.of("x" * 100 * PER_ANSWER, SPACE, output, False, nothing)
    assert len(answers) == 1


def test_pieces_are_forgotten_when_the_room_is_full() -> None:
    """What pieces mean is made once as long as they fit, and made anew after that."""
    made: list[str] = []

    def length(text: str) -> int:
        made.append(text)
        return len(text)

    recalled = Recalled(length, room=4 * PER_TEXT)
    assert [recalled[text] for text in ("a", "bb", "a", "bb", "a")] == [1, 2, 1, 2, 1]
    assert made == ["a", "bb"]
    for at in range(100):
        assert recalled[str(at)] == len(str(at))
        assert len(recalled) <= 4
    assert recalled["a"] == 1
    assert made.count("a") == 2


def test_a_label_space_that_is_gone_is_not_taken_for_another() -> None:
    """An answer read with a label space is never that of another one that happens to lie in the same place."""
    output = Output("list")
    for name in ("price", "box", "late") * 20:
        space = LabelSpace((Label(name),))
        result = read(Completion("ok", name, "stop"), space, output)
        assert isinstance(result, Answer)
        assert result.labels == {name}
        del space
    assert sys.getrefcount(output) > 2
