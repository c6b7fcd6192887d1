"""A model's answer read into the messages of a pass: what is taken, and what is refused and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_suggestion import MESSAGES, digest

from harness.parsing import Output
from harness.prompt import MessageTemplate, Model, Pass
from harness.suggestion import DEMONSTRATIONS, Digest, blocks, fence_for
from harness.suggestionanswer import (
    BEGIN,
    END,
    MOST_CHARACTERS,
    Reworded,
    UnusableAnswer,
    placed,
    read_instruction,
    read_messages,
)
from harness.template import render

NEW = ("Name every label: {{ labels | join(', ') }}.", "Text: {{ text }}\nLabels:")
ANSWER = f"It misses labels.\n\n```system\n{NEW[0]}\n```\n\n```user\n{NEW[1]}\n```\n"
READ = (f"{NEW[0]}\n", NEW[1])
"""The messages end their last line where the old ones did."""


def read(raw: str, *, cut: bool = False, **changes: Any) -> Reworded:
    """Return an answer, read."""
    return read_messages(raw, digest(**changes), cut=cut)


def why(raw: str, *, cut: bool = False, **changes: Any) -> str:
    """Return why an answer is refused."""
    with pytest.raises(UnusableAnswer) as error:
        read(raw, cut=cut, **changes)
    return str(error.value)


def asking(*messages: tuple[str, str], kept: Sequence[tuple[str, ...]]) -> dict[str, Any]:
    """Return what makes a digest about other messages."""
    target = Pass("main", tuple(MessageTemplate(*each) for each in messages), Model("scripted"), Output())
    return {"target": target, "kept": tuple(kept)}


@pytest.mark.parametrize(
    "raw",
    [
        ANSWER,
        ANSWER.replace("\n", "\r\n"),
        ANSWER.replace("```", "~~~"),
        ANSWER.replace("```system", "``` System message")
        .replace("```user", "````jinja user")
        .replace("Labels:\n```", "Labels:\n````"),
        f"It misses labels.\n\n**System message:**\n\n```\n{NEW[0]}\n```\n### New user message\n```jinja\n{NEW[1]}\n```",
        f"It misses labels.\n```\n{NEW[0]}\n```\n```\n{NEW[1]}\n```",
        f"It misses labels.\n```\ndraft\n```\n```\n{NEW[0]}\n```\n```\n{NEW[1]}\n```",
        f"It misses labels.\n```system\ndraft\n```\n```user\n{NEW[1]}\n```\n```system\n{NEW[0]}\n```",
        f"<think>```user\nno\n```</think>{ANSWER}",
        f"[THINK]hm[/THINK]{ANSWER}",
        ANSWER.removesuffix("```\n"),
    ],
)
def test_answers_that_are_read(raw: str) -> None:
    """Fences, headings, drafts and thoughts of all kinds; the last block of a role counts."""
    found = read(raw)
    assert found.messages == READ
    assert found.reasons == "It misses labels."
    assert found.notes == ()


def test_a_message_without_a_block_stays() -> None:
    """It is told."""
    found = read(f"```user\n{NEW[1]}\n```")
    assert found.messages == (MESSAGES[0].source, NEW[1])
    assert found.notes == ("the system message stays as it was: the answer has none",)


def test_turns_are_told_apart_by_their_order() -> None:
    """With several messages of a role all must be there; drafts before them do not matter."""
    old = (("user", "a {{ text }}"), ("assistant", "b"), ("user", "c {{ text }}"))
    about = asking(*old, kept=[("text",), (), ("text",)])
    raw = "```user\nx\n```\n```user\nA {{ text }}\n```\n```assistant\nB\n```\n```user\nC {{ text }}\n```"
    assert read(raw, **about).messages == ("A {{ text }}", "B", "C {{ text }}")
    told = "its messages must be in the same order as before: user, assistant, user."
    assert why("```user\nA {{ text }}\n```", **about) == told


def test_labels_that_are_written_out_are_noted() -> None:
    """A prompt that names them itself does not follow the dataset."""
    found = read("```system\nLabels: shipping, price.\n```")
    assert found.notes == (
        "the user message stays as it was: the answer has none",
        "the labels are no longer taken from {{ labels }}: the prompt will not follow the dataset's labels",
    )


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        ("You should name every label.", "it has no fenced block with a message."),
        (
            "```assistant\nx\n```",
            "it has a message of 'assistant', but the prompt must have the same ones as before: system, user.",
        ),
        ("```\nx\n```", "it has 1 block without a role for 2 messages: system, user."),
        ("```user\n\n```", "it has an empty message."),
        (
            "```user\n{{ texts }}\n```",
            "the user message, line 1: 'texts' is not defined. Did you mean 'text'? Here there is: groups, labels, stars, "
            "text.",
        ),
        ("```system\na\n{% for %}\n```", "the system message, line 2: must be Jinja, but "),
        ("```user\nLabel this.\n```", "the user message must use {{ text }}, as before, but does not."),
        (blocks(MESSAGES), "it leaves the prompt as it is."),
        ("<think>What now?", "the reasoning never ends."),
        (
            "```user\n" + "on and " * 3_000 + "{{ text }}\n```",
            "its messages may have 20,000 characters, but have 21,0",
        ),
    ],
)
def test_answers_that_are_refused(raw: str, told: str) -> None:
    """With the reason, so that a person knows what to ask next."""
    assert why(raw).startswith(told)


@pytest.mark.parametrize("raw", ["It mis", "It\n```user\n{{ text", "It\n```user\n{{ text }}\n```\n```system\nNa"])
def test_an_answer_that_was_cut_off(raw: str) -> None:
    """Half a message is none."""
    assert why(raw, cut=True) == "it was cut off before the end. Allow it more: --param max_tokens=4000"


def test_prose_behind_the_last_block_may_be_cut() -> None:
    """The messages are whole."""
    assert read(f"{ANSWER}And so", cut=True).messages == READ


lines = st.text(st.characters(codec="ascii", exclude_characters="{}\r"), max_size=40)


@given(system=lines, user=lines)
def test_what_is_fenced_is_read_back(system: str, user: str) -> None:
    """Any messages come back from blocks that are written as the request writes them, but for white space around them."""
    new = (f"a{system}", f"{{{{ text }}}}{user}")
    fence = fence_for(*new)
    raw = f"Why.\n\n{fence}system\n{new[0]}\n{fence}\n\n{fence}user\n{new[1]}\n{fence}"
    found = read_messages(raw, digest(), cut=False)
    assert [each.strip() for each in found.messages] == [each.replace("\r\n", "\n").strip() for each in new]


@given(raw=st.text(max_size=200), cut=st.booleans())
def test_nothing_breaks_the_reading(raw: str, cut: bool) -> None:
    """Whatever a model writes becomes messages or a refusal."""
    for reading in (read_messages, read_instruction):
        try:
            found = reading(raw, digest(), cut=cut)
        except UnusableAnswer:
            continue
        assert len(found.messages) == len(MESSAGES)


# --- the form alone ---------------------------------------------------------------------------------------------------

SAID = "Answer with the names of the labels. Example: EXAMPLE. If nothing applies, write NONE."
PUT = "Answer with the names of the labels. Example: shipping, price. If nothing applies, write none."


def instruction(raw: str, *, cut: bool = False, **changes: Any) -> str:
    """Return the paragraph that an answer becomes, as the model will see it."""
    found = read_instruction(raw, digest(**changes), cut=cut)
    (new,) = (text for text in found.messages if BEGIN in text)
    return render(new[new.index(BEGIN) : new.index(END) + len(END)], {})


def refused(raw: str, *, cut: bool = False) -> str:
    """Return why an instruction is refused."""
    with pytest.raises(UnusableAnswer) as error:
        read_instruction(raw, digest(), cut=cut)
    return str(error.value)


@pytest.mark.parametrize(
    "raw",
    [
        SAID,
        f'"{SAID}"',
        f"```\n{SAID}\n```",
        f"Sure! Here is the instruction:\n\n{SAID}",
        f"{SAID} Answer with the names of the labels. Answer with the names of the labels.",
        f"<think>hm</think>{SAID}",
    ],
)
def test_instructions_that_are_read(raw: str) -> None:
    """Without fence, quotes, lead-in and repetition; the examples are those of the format."""
    assert instruction(raw) == PUT


def test_an_unfinished_sentence_is_left_out() -> None:
    """Small models run until they are stopped."""
    assert instruction(f"{SAID} And then you", cut=True) == PUT


def test_examples_that_are_missing_are_added() -> None:
    """The form is never left to the model's memory."""
    told = "Answer with the names alone. Example: shipping, price If nothing applies: none"
    assert instruction("Answer with the names alone.") == told


def test_examples_of_several_lines_stand_below() -> None:
    """They do not go into a sentence."""
    target = replace(digest().target, output=Output("scores"))
    assert instruction(SAID, target=target) == (
        "Answer with the names of the labels.\nExample:\nshipping: 1\nprice: 1\nother: 0\nIf nothing applies:\nshipping: 0\n"
        "price: 0\nother: 0"
    )


def test_examples_that_look_like_jinja_are_said_as_they_are() -> None:
    """A separator or a none word may be anything."""
    target = replace(digest().target, output=Output("list", {"none": "{{x}}"}))
    assert instruction(SAID, target=target) == PUT.replace("none", "{{x}}")


def test_without_examples_the_words_stand_alone() -> None:
    """An API that decides writes no answer."""
    target = replace(digest().target, model=Model("m", api="decisions"))
    assert instruction(SAID, target=target) == "Answer with the names of the labels."


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        *((answer, "it only repeats an example of the request.") for _, _, answer in DEMONSTRATIONS.values()),
        ("shipping, price", "it is too short for an instruction."),
        ("Use {{ labels }} and nothing else at all.", "it must be a paragraph of words, but has Jinja in it."),
        (
            "".join(f"Say {at} words. " for at in range(200)),
            f"it must have {MOST_CHARACTERS:,} characters at most, but has 2,889.",
        ),
    ],
)
def test_instructions_that_are_refused(raw: str, told: str) -> None:
    """With the reason."""
    assert refused(raw) == told


def test_the_same_instruction_again_changes_nothing() -> None:
    """A prompt that has it already is told so."""
    first = read_instruction(SAID, digest(), cut=False)
    target = replace(digest().target, messages=tuple(map(MessageTemplate, ("system", "user"), first.messages)))
    with pytest.raises(UnusableAnswer, match=r"^it leaves the prompt as it is\.$"):
        read_instruction(SAID, digest(target=target), cut=False)


def about(*messages: tuple[str, str]) -> Digest:
    """Return a digest about other messages."""
    return digest(**asking(*messages, kept=[()] * len(messages)))


@pytest.mark.parametrize(
    ("messages", "after"),
    [
        ([("system", "a\n"), ("user", "{{ text }}")], ["a\n\n[B]\n", "{{ text }}"]),
        ([("developer", "a"), ("user", "{{ text }}")], ["a\n\n[B]", "{{ text }}"]),
        ([("user", "{{ text }}\n\nName the labels.\n")], ["{{ text }}\n\nName the labels.\n\n[B]\n"]),
        ([("user", "Name them.\n\n{{ text }}\nLabels:")], ["[B]\n\n\nName them.\n\n{{ text }}\nLabels:"]),
        (
            [("user", "{% for x in labels %}\n\n{{ x }}\n{% endfor %}")],
            ["[B]\n\n\n{% for x in labels %}\n\n{{ x }}\n{% endfor %}"],
        ),
        (
            [("user", "x {# output instructions #} old\n\n{# end of output instructions -#} y {{ text }}")],
            ["x [B] y {{ text }}"],
        ),
    ],
)
def test_where_it_is_placed(messages: list[tuple[str, str]], after: list[str]) -> None:
    """In the marks of an earlier one, else in the system message, else around the question of the last user message."""
    assert list(placed(about(*messages), "[B]")) == after


@pytest.mark.parametrize(
    ("message", "rendered"),
    [
        (("system", "a\n"), f"a\n\n{PUT}"),
        (("user", "{{ text }}\n\nName the labels.\n"), f"T\n\nName the labels.\n\n{PUT}"),
        (("user", "{{ text }}\nLabels:"), f"{PUT}\n\nT\nLabels:"),
    ],
)
def test_the_marks_are_not_sent(message: tuple[str, str], rendered: str) -> None:
    """What is sent is the paragraph, an empty line beside it, and no trace of the marks."""
    others = [] if message[0] == "user" else [("user", "{{ text }}")]
    found = read_instruction(SAID, about(message, *others), cut=False)
    assert render(found.messages[0], {"text": "T"}) == rendered
