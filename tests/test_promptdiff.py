"""What changed in a prompt: lines, words, settings."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.parsing import Output
from harness.prompt import Candidates, MessageTemplate, Model, Pass, Prompt, QuestionTemplates, Votes
from harness.promptdiff import MOST_PAIRS, MOST_WORDS, PromptDiff, Word, diff_lines, diff_words, prompt_diff
from harness.records import Sample
from harness.shots import Nearest, Shots

WORDS = st.text("ab ,.\t", max_size=30)
LINES = st.lists(st.sampled_from(["", "a b c", "a b d", "a c", "x y z", "x y"]), max_size=8)

PASS = Pass(
    "answer",
    (MessageTemplate("system", "Be brief.\nLabels: {{ labels }}"), MessageTemplate("user", "{{ text }}")),
    Model("m", params={"temperature": 0}),
    Output("list"),
)


def prompt(*passes: Pass, **more: Any) -> Prompt:
    """Return a prompt of these passes."""
    return Prompt("v1", passes or (PASS,), **more)


def changed(**settings: Any) -> PromptDiff:
    """Return the diff of the usual prompt and one whose pass has other settings."""
    return prompt_diff(prompt(), prompt(replace(PASS, **settings)))


def told(diff: PromptDiff) -> dict[str, list[str]]:
    """Return the changed lines of each section: `-` gone, `+` new, `~` what it was > what it is."""
    signs = {"removed": "-", "added": "+"}
    return {
        section.title: [
            f"~{line.before}>{line.after}" if line.kind == "changed" else signs[line.kind] + line.words[0].text
            for line in section.lines
            if line.kind != "same"
        ]
        for section in diff.sections
    }


# --- words and lines --------------------------------------------------------------------------------------------------


def test_words_within_a_line() -> None:
    """A word that was exchanged is removed and added; what is around it is the same."""
    assert diff_words("Answer with the names.", "Answer with all names.") == (
        Word("same", "Answer with "),
        Word("removed", "the"),
        Word("added", "all"),
        Word("same", " names."),
    )


def test_white_space_between_changed_words_goes_with_them() -> None:
    """Two exchanged words in a row are one change, not two with a space between them."""
    assert diff_words("say yes or no", "say one word no") == (
        Word("same", "say "),
        Word("removed", "yes or"),
        Word("added", "one word"),
        Word("same", " no"),
    )


@given(WORDS, WORDS)
def test_words_are_whole(before: str, after: str) -> None:
    """The pieces that are not added are the old line, those that are not removed the new one; neighbours differ."""
    words = diff_words(before, after)
    assert "".join(word.text for word in words if word.kind != "added") == before
    assert "".join(word.text for word in words if word.kind != "removed") == after
    assert all(first.kind != second.kind for first, second in itertools.pairwise(words))
    assert all(word.text for word in words)


@given(LINES, LINES)
def test_lines_are_whole(before: list[str], after: list[str]) -> None:
    """Read without what is added the lines are the old text, without what is removed the new one."""
    lines = diff_lines(before, after)
    assert [line.before for line in lines if line.kind != "added"] == before
    assert [line.after for line in lines if line.kind != "removed"] == after
    assert all(line.before == line.after for line in lines if line.kind == "same")
    assert all(line.before != line.after for line in lines if line.kind == "changed")


@given(LINES)
def test_a_text_is_no_change_of_itself(lines: list[str]) -> None:
    """The same text twice is the same lines."""
    assert {line.kind for line in diff_lines(lines, lines)} <= {"same"}


def test_a_line_that_was_changed_is_found_among_new_ones() -> None:
    """In a block of other lines, the one that is alike is told as changed; the rest as gone or new."""
    lines = diff_lines(["Name the labels.", "Thanks."], ["Be brief.", "Name all the labels."])
    assert [(line.kind, line.before, line.after) for line in lines] == [
        ("added", "", "Be brief."),
        ("changed", "Name the labels.", "Name all the labels."),
        ("removed", "Thanks.", ""),
    ]


def test_lines_with_nothing_in_common_are_no_change_of_each_other() -> None:
    """A line that shares less than half of its words with another is gone, the other new."""
    assert [line.kind for line in diff_lines(["one two"], ["three four"])] == ["removed", "added"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([f"line {at} x" for at in range(MOST_PAIRS)], [f"line {at} y" for at in range(2)]),
        (["word " * MOST_WORDS + "x y"], ["word " * MOST_WORDS + "x z"]),
    ],
    ids=["many lines", "a long line"],
)
def test_what_is_too_large_is_not_compared_word_by_word(before: list[str], after: list[str]) -> None:
    """Huge blocks and lines are told as gone and new, in linear time."""
    assert {line.kind for line in diff_lines(before, after)} == {"removed", "added"}


# --- prompts ----------------------------------------------------------------------------------------------------------


def test_the_same_prompt_has_no_diff() -> None:
    """Version, parent and notes are no part of what is asked."""
    diff = prompt_diff(prompt(), replace(prompt(), version="v2", parent="v1", notes="x"))
    assert diff == PromptDiff(())
    assert (diff.n_changed, diff.only_output) == (0, False)


def test_a_message_is_called_by_its_role() -> None:
    """Messages are matched by role, and by their place where several have it."""
    more = (*PASS.messages[:1], MessageTemplate("user", "{{ text }}!"), MessageTemplate("user", "Go on."))
    assert told(changed(messages=more)) == {
        "user message": ["~{{ text }}>{{ text }}!"],
        "user message 2": ["+Go on."],
    }


def test_messages_in_another_order_are_a_change() -> None:
    """The order of the roles is part of what is asked."""
    assert told(changed(messages=PASS.messages[::-1])) == {
        "order of the messages": ["~order: system message, user message>order: user message, system message"],
    }


def test_settings_are_compared_as_lines() -> None:
    """Output, model, shots and how is asked are told line by line."""
    shots = Shots((Sample("w1", {"text": "Late\nagain."}, frozenset({"b", "a"})), Sample("w2", {"text": "Ok."}, None)))
    diff = changed(
        output=Output("json", {"key": "x", "a": 1}, ("mood",), "auto", 0.5, {"price": 0.25}),
        model=Model("local/m", "completions", "http://x", {"stop": "a\nb"}, suffix=" ->"),
        shots=shots,
        when="'a' in predicted",
        scope=("a", "b"),
        per="label",
        votes=Votes(3, "any"),
    )
    assert told(diff) == {
        "asking": ["~per: sample>per: label", "+when: 'a' in predicted", "+scope: a, b", "+votes: 3, any"],
        "output": [
            "~format: list>format: json",
            "~constrain: off>constrain: auto",
            "+a: 1",
            "+key: x",
            "+fields: mood",
            "+threshold: 0.5",
            "+threshold of price: 0.25",
        ],
        "model": [
            "~name: m>name: local/m",
            "~api: chat>api: completions",
            "-temperature: 0",
            "+base_url: http://x",
            '+stop: "a\\nb"',
            '+suffix: " ->"',
            "+engine slots: 1",
            "+engine threads: null",
            "+engine prefix_reuse: true",
            "+engine context: 4096",
        ],
        "shots": ["+Late again. → a, b", "+Ok. → none"],
    }
    assert not diff.only_output


def test_nearest_shots_and_shots_of_units() -> None:
    """How shots are chosen is a setting like any other."""
    pool = (Sample("w1", {"text": "Late."}, frozenset({"a"})),)
    assert told(changed(shots=Shots(pool, {"a": ("w1",)}, Nearest(2))))["shots"] == [
        "+nearest k: 2",
        "+nearest by: tfidf",
        "+nearest model: null",
        "+shots of a: w1",
        "+Late. → a",
    ]


def test_questions_variables_and_files() -> None:
    """What decision APIs are asked, variables and included files belong to the prompt."""
    asked = QuestionTemplates(MessageTemplate("label", "Is it {{ label }}?"), MessageTemplate("field", "What?"))
    after = prompt(replace(PASS, questions=asked), variables={"tone": "mild"}, files={"a.txt": "one\n"})
    assert told(prompt_diff(prompt(), after)) == {
        "question of a label": ["+Is it {{ label }}?"],
        "question of a field": ["+What?"],
        "file a.txt": ["+one"],
        "variables": ["+tone: mild"],
    }


@pytest.mark.parametrize(("before", "after", "changed"), [("a\n", "a\n", 0), ("a", "a", 0), ("a", "a\n", 1)])
def test_an_end_of_line_counts(before: str, after: str, changed: int) -> None:
    """A last line that is ended in only one of the prompts is a difference: the requests differ."""
    diff = prompt_diff(prompt(files={"a.txt": before}), prompt(files={"a.txt": after}))
    assert diff.n_changed == changed


def test_only_another_output_is_another_parser() -> None:
    """Where nothing changed but the output section, the words are the same."""
    assert changed(output=Output("vector")).only_output
    assert not changed(output=Output("vector"), when="true").only_output


def test_passes_are_matched_by_name() -> None:
    """A pass that is new is told whole, one that stayed only with what changed; single passes are each other's."""
    second = replace(PASS, name="second", messages=(MessageTemplate("user", "Sure?"),))
    assert told(prompt_diff(prompt(replace(PASS, name="x")), prompt())) == {}
    diff = told(prompt_diff(prompt(), prompt(replace(PASS, output=Output("vector")), second)))
    assert diff["pass answer: output"] == ["~format: list>format: vector"]
    assert diff["pass second: user message"] == ["+Sure?"]
    assert diff["pass second: model"] == ["+name: m", "+api: chat", "+temperature: 0"]
    assert told(prompt_diff(prompt(PASS, second), prompt()))["pass second: user message"] == ["-Sure?"]


def test_plain_values() -> None:
    """As JSON a diff has its sections with every line, words as pairs."""
    diff = changed(messages=(PASS.messages[0], MessageTemplate("user", "Text: {{ text }}")))
    assert diff.to_json() == {
        "n_changed": 1,
        "only_output": False,
        "sections": [
            {
                "title": "user message",
                "part": "words",
                "lines": [{"kind": "changed", "words": [["added", "Text: "], ["same", "{{ text }}"]]}],
            }
        ],
    }


def test_how_answers_are_merged_and_what_is_offered() -> None:
    """Merge rule, gate and candidates are settings of what is asked; the content of examples counts, not their number."""
    examples = (Sample("e1", {"text": "late"}, frozenset({"shipping"})),)
    diff = changed(how="confirm", chooses_groups=True, candidates=Candidates(3, "embeddings", "e5", examples))
    *plain, last = told(diff)["asking"]
    assert plain == ["+merge: confirm", "+choose: groups", "+candidates: 3, by embeddings", "+candidates model: e5"]
    assert last.startswith("+candidates examples: 1 (")
    other = (Sample("e1", {"text": "lost"}, frozenset({"shipping"})),)
    offering = [prompt(replace(PASS, candidates=Candidates(3, examples=each))) for each in (examples, other)]
    (line,) = told(prompt_diff(*offering))["asking"]
    assert line.startswith("~candidates examples: 1 (")
