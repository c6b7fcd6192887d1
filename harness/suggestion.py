"""What a model is told when it is asked for a better prompt: what went wrong in a run, in as few words as are needed. Pure.

There are two requests. One asks for the messages of a pass anew; the other, for a small model or a prompt whose answers
cannot be read, for nothing but a paragraph that says how to write the answer (`FORM_MARKS`).
"""

from __future__ import annotations

import json
import math
import random
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from harness.answerwords import MERGED, choices_of, in_words, noun, sample_answers
from harness.labelspace import LabelSpace
from harness.pricing import estimated_tokens
from harness.prompt import DECISION_APIS, MessageTemplate, Pass
from harness.records import Call, Message

if TYPE_CHECKING:
    from harness.scoring import LabelScore

EXAMPLE, NONE = "EXAMPLE", "NONE"
"""What stands in a paragraph about the form for a right answer, and for the answer when no label applies."""

LONGEST_TEXT = 400
"""Characters of a sample's column that are sent."""

LONGEST_RAW = 200
"""Characters of an answer that are sent."""

LONGEST_BROKEN = 80
"""The same where the form alone is asked about: small models go astray in long ones."""

MOST_BROKEN = 3
"""Answers that could not be read and are sent there."""

MOST_UNREAD = 6
"""Answers that could not be read and are sent."""

MOST_CONFUSED = 10
"""Confused pairs of labels that are sent."""

MOST_OFF_LIST = 8
"""Off-list answers that are sent."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """An answered or unanswered sample that is not exactly right.

    Attributes:
        sample: Its id, which is not sent.
        inputs: The columns that the templates of the pass use.
        kinds: What is wrong: "missed LABEL", "added LABEL", or why there is no answer.
        raws: What the model wrote.
        before: The labels that stood before the pass was asked; None where nothing did.
    """

    sample: str
    inputs: Mapping[str, Any]
    gold: tuple[str, ...]
    predicted: tuple[str, ...]
    kinds: tuple[str, ...]
    raws: tuple[str, ...]
    before: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Unread:
    """An answer in which nothing could be read.

    Attributes:
        kind: refusal, truncated or unparseable.
        why: In words.
        raw: What the model wrote.
    """

    kind: str
    why: str
    raw: str


@dataclass(frozen=True, slots=True)
class Digest:
    """What went wrong in a run, as far as one pass is concerned.

    Attributes:
        target: The pass that is to be reworded.
        columns: The input columns that a template may use.
        names: All names that a template of the pass may use, the columns among them.
        kept: By message, the names that it uses and must keep.
        n_predictions: Samples that the pass was asked about, times repeats.
        n_exact: Those that are exactly right after it, in the labels that it answers; for a gate, in the groups.
        labels: The scores of what the pass answers with: labels, or groups.
        confused: Pairs of a missed label and the one that was added instead, and how often; the most frequent first.
        n_unread: Answers of the pass in which nothing could be read, by kind.
        unread: Some of them, all different.
        off_list: What stood where a label should and is none, and how often; the most frequent first.
        wrong: Samples that are not exactly right, in the order in which they are worth telling.
        is_first: Whether no pass comes before it.
    """

    space: LabelSpace
    target: Pass
    columns: frozenset[str]
    names: frozenset[str]
    kept: tuple[tuple[str, ...], ...]
    n_predictions: int
    n_exact: int
    labels: tuple[LabelScore, ...]
    confused: tuple[tuple[str, str, float], ...]
    n_unread: Mapping[str, int]
    unread: tuple[Unread, ...]
    off_list: Mapping[str, int]
    wrong: tuple[Wrong, ...]
    is_first: bool = True

    @property
    def choices(self) -> LabelSpace:
        """What the answers of the pass name."""
        return choices_of(self.target, self.space)


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent.

    Attributes:
        tokens: How many it has, an estimate.
        budget: How many it may have.
        samples: Ids of the samples whose text is in it.
        n_unread: How many answers that could not be read are in it.
        left_out: What there was no room for, in words.
    """

    messages: tuple[Message, ...]
    tokens: int
    budget: int
    samples: tuple[str, ...]
    n_unread: int
    left_out: tuple[str, ...]


def drawn(wrong: Sequence[Wrong], n: int, seed: int) -> tuple[Wrong, ...]:
    """Return ``n`` wrong samples, spread over what is wrong with them: in turn one of every kind, the most frequent first.

    Which one of a kind is drawn with the seed; the first ones of a larger ``n`` are those of a smaller.
    """
    by_kind: defaultdict[str, list[Wrong]] = defaultdict(list)
    for each in wrong:
        for kind in each.kinds:
            by_kind[kind].append(each)
    ranked = sorted(by_kind.items(), key=lambda pair: (-len(pair[1]), pair[0]))
    shuffled = [random.Random(f"{seed} {kind}").sample(members, len(members)) for kind, members in ranked]  # noqa: S311
    found: dict[str, Wrong] = {}
    for turn in zip_longest(*shuffled):
        for each in turn:
            if each is not None:
                found.setdefault(each.sample, each)
    return tuple(found.values())[:n]


# --- both requests ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Room:
    """How much of what can be left out is in a request."""

    wrong: int
    unread: int
    confused: int


def request(digest: Digest, *, format_only: bool, budget: int) -> Request:
    """Return what to send, within a budget of tokens: wrong samples are left out first, then unread answers, then pairs.

    What is left is sent even where it is more than the budget; whoever sends it must compare `tokens` with `budget`.
    """
    wrong = 0 if format_only else len(digest.wrong)
    unread = min(len(digest.unread), MOST_BROKEN) if format_only else len(digest.unread)
    most = _Room(wrong, unread, 0 if format_only else len(digest.confused))
    room = most
    while True:
        messages = _form_request(digest, room) if format_only else _whole_request(digest, room)
        tokens = estimated_tokens(Call("", "", "", 0, messages))
        if tokens <= budget or room == _Room(0, 0, 0):
            break
        if room.wrong:
            room = replace(room, wrong=room.wrong - 1)
        elif room.unread:
            room = replace(room, unread=room.unread - 1)
        else:
            room = replace(room, confused=0)
    said = {"wrong samples": "wrong", "unread answers": "unread", "confused pairs": "confused"}
    counts = ((name, getattr(most, key), getattr(most, key) - getattr(room, key)) for name, key in said.items())
    left_out = tuple(f"{gone} of {of} {name}" for name, of, gone in counts if gone)
    sent = tuple(each.sample for each in digest.wrong[: room.wrong])
    return Request(messages, tokens, budget, sent, room.unread, left_out)


def fence_for(*texts: str) -> str:
    """Return a fence that is longer than every run of backticks in the texts."""
    return "`" * max(3, *(len(run) + 1 for text in texts for run in re.findall("`+", text)), 3)


def shortened_to(text: str, most: int) -> str:
    """Return a text on one line of at most so many characters."""
    flat = " ".join(text.split())
    return flat if len(flat) <= most else f"{flat[: most - 1].rstrip()}…"


# --- the form alone ---------------------------------------------------------------------------------------------------

_FORM_SYSTEM = "You write instructions that say in which form an answer must be written."

DEMONSTRATIONS: Mapping[str, tuple[str, str, str]] = {
    "names": (
        "the names of the colours",
        "- I see red and green.",
        f"Answer with the names of the colours. Write no sentence and no other word. Example: {EXAMPLE}. If nothing "
        f"applies, write {NONE}.",
    ),
    "word": (
        "one word, good or bad",
        "- It was good because\n- Good! And then",
        f"Answer with one word, good or bad. Do not repeat the question, and give no reasons. Example: {EXAMPLE}. If "
        f"nothing applies, write {NONE}.",
    ),
    "numbers": (
        "one number from 0 to 9 for each colour",
        "- There is some red in it",
        f"Answer with one number from 0 to 9 for each colour. Write numbers alone, and leave no colour out. Example: "
        f"{EXAMPLE}. If nothing applies, write {NONE}.",
    ),
}
"""What an instruction looks like, for small models: a form, answers that break it, and the instruction."""

_NEAREST = {"yes_no": "word", "vector": "numbers", "scores": "numbers"}
"""Which of them is nearest to an output format; `names` to the others. It stands last, where it counts most."""


def _form_question(form: str, broken: str) -> str:
    return (
        f"The answer must be: {form}.\nThe form is broken in these answers:\n{broken}\n"
        f"Write the instruction, in one paragraph. Say {EXAMPLE} where an example of an answer must stand, and {NONE} for "
        "the answer when nothing applies."
    )


def _form_request(digest: Digest, room: _Room) -> tuple[Message, ...]:
    """Return a request that a model of any size can answer: short, and with two answers to learn from."""
    messages: list[Message] = [{"role": "system", "content": _FORM_SYSTEM}]
    nearest = _NEAREST.get(digest.target.output.format, "names")
    other = "word" if nearest == "names" else "names"
    for form, breaking, instruction in (DEMONSTRATIONS[other], DEMONSTRATIONS[nearest]):
        messages.append({"role": "user", "content": _form_question(form, breaking)})
        messages.append({"role": "assistant", "content": instruction})
    broken = [f"- {shortened_to(each.raw, LONGEST_BROKEN) or '(nothing)'}" for each in digest.unread[: room.unread]]
    question = _form_question(in_words(digest.target), "\n".join(broken) or "- (none of them)")
    return (*messages, {"role": "user", "content": question})


# --- the whole prompt -------------------------------------------------------------------------------------------------

_SYSTEM = (
    "You improve prompts that make a language model label texts. You say what goes wrong and why, and then write the prompt "
    "anew, so that it does better on texts that nobody has seen yet."
)

_RULES = """\
# What to write

First say in a few sentences what goes wrong and what you change. Then write every message of the prompt anew, whole, each
in a block of its own as above: a line {fence}{first}, the template, a line {fence}.

- The same messages in the same order: {roles}.
- It is a Jinja template. Use no other names than these: {names}.{kept}
- Give rules that hold for any text. Copy nothing from the texts below: the prompt is scored on them.
- The answer must be written in the form that is read (see above), and in no other.
- Do not make the prompt longer than it needs to be."""


def _whole_request(digest: Digest, room: _Room) -> tuple[Message, ...]:
    sections = [
        *_task(digest),
        *_prompt(digest),
        *_form(digest),
        _rules(digest),
        *_results(digest, room),
        *_unread(digest, room),
        *_examples(digest, room),
    ]
    return {"role": "system", "content": _SYSTEM}, {"role": "user", "content": "\n\n".join(sections)}


def _task(digest: Digest) -> Iterator[str]:
    target = digest.target
    if target.chooses_groups:
        yield (
            "# The task\n\nEvery text gets those of these groups of labels that it is about: any number of them, or none. "
            "Later questions ask about the labels of these groups alone, so what is left out here is lost."
        )
    else:
        yield "# The task\n\nEvery text gets those of these labels that apply: any number of them, or none."
    rows = []
    for label in digest.choices.labels:
        code = f" (code {label.code})" if label.code and target.output.format == "codes" else ""
        holds = f" [labels: {', '.join(digest.space.groups[label.name])}]" if target.chooses_groups else ""
        rows.append(f"- {label.name}{code}{f': {label.description}' if label.description else ''}{holds}")
    yield "\n".join(rows)


def _prompt(digest: Digest) -> Iterator[str]:
    target = digest.target
    about = {"label": "For each text it is sent once for each label.", "group": "It is sent once for each group."}
    told = ["Jinja templates, one block a message.", about.get(target.per, "")]
    told += [f"It is sent where this holds after the passes before it: {target.when}."] if target.when else []
    told += [] if digest.is_first or target.chooses_groups else [MERGED[target.how]]
    yield f"# The prompt as it is\n\n{' '.join(filter(None, told))}"
    yield blocks(target.messages)
    if target.shots is not None:
        yield (
            "Worked examples, a question with its right answer, are put before the last user message, or where the "
            "template says `shots`. They stay as they are."
        )


def blocks(messages: Sequence[MessageTemplate]) -> str:
    """Return templates as fenced blocks, each headed by its role."""
    fence = fence_for(*(each.source for each in messages))
    return "\n\n".join(f"{fence}{each.role}\n{each.source.rstrip()}\n{fence}" for each in messages)


def _form(digest: Digest) -> Iterator[str]:
    target = digest.target
    if target.model.api in DECISION_APIS:
        yield f"# How answers are read\n\nThe model answers a question about each {noun(target)} with a probability."
        return
    answers = sample_answers(target, digest.space)
    fence = fence_for(*answers)
    listed = "\n".join(f"{fence}\n{each}\n{fence}" for each in answers)
    yield f"# How answers are read\n\nA program reads them. The answer must be {in_words(target)}. Answers in this form:"
    yield listed


def _rules(digest: Digest) -> str:
    messages = digest.target.messages
    kept = "".join(
        f"\n- The {each.role} message must still use {' and '.join('{{ ' + name + ' }}' for name in names)}."
        for each, names in zip(messages, digest.kept, strict=True)
        if names
    )
    return _RULES.format(
        fence=fence_for(*(each.source for each in messages)),
        first=messages[0].role,
        roles=", ".join(each.role for each in messages),
        names=", ".join(sorted(digest.names)),
        kept=kept,
    )


def _results(digest: Digest, room: _Room) -> Iterator[str]:
    exact, n, what = digest.n_exact, digest.n_predictions, noun(digest.target)
    asked = "texts" if digest.is_first else "texts that it was sent for"
    yield f"# What went wrong\n\n{exact} of {n} {asked} are labelled exactly right. By {what}, the worst first:"
    worst_first = sorted(digest.labels, key=lambda each: (-(each.fn + each.fp), each.label))
    yield "\n".join(
        f"- {row.label}: of {_n(row.support)} texts that have it {_n(row.fn)} did not get it, and {_n(row.fp)} got it that "
        f"do not have it (precision {_share(row.precision)}, recall {_share(row.recall)})"
        for row in worst_first
    )
    if pairs := digest.confused[: room.confused]:
        yield f"Given instead of the right {noun(digest.target)}:\n" + "\n".join(
            f"- {added} instead of {missed}: {_n(n)} times" for missed, added, n in pairs
        )


def _n(value: float) -> str:
    """Return a count; a mean over repeats is told to one decimal."""
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.1f}"


def _share(value: float) -> str:
    return "not defined" if math.isnan(value) else f"{value:.0%}"


def _unread(digest: Digest, room: _Room) -> Iterator[str]:
    if digest.n_unread:
        counts = ", ".join(f"{n} {kind}" for kind, n in digest.n_unread.items())
        rows = [f"- {_quoted(each.raw, LONGEST_RAW)} ({each.why})" for each in digest.unread[: room.unread]]
        yield f"# Answers that could not be read\n\n{counts}." + ("\n" + "\n".join(rows) if rows else "")
    if digest.off_list:
        told = [f"{_quoted(text, 60)} {n} times" for text, n in list(digest.off_list.items())[:MOST_OFF_LIST]]
        yield f"Answers that are no {noun(digest.target)}: {', '.join(told)}."


def _examples(digest: Digest, room: _Room) -> Iterator[str]:
    if not room.wrong:
        return
    parts, what = [], noun(digest.target)
    for number, each in enumerate(digest.wrong[: room.wrong], 1):
        lines = [f"{name}: {_quoted(str(value), LONGEST_TEXT)}" for name, value in each.inputs.items()]
        lines.append(f"right {what}s: {', '.join(each.gold) or 'none'}")
        if each.before is not None:
            lines.append(f"{what}s before this pass: {', '.join(each.before) or 'none'}")
        lines.append(f"given {what}s: {', '.join(each.predicted) or 'none'} ({', '.join(each.kinds)})")
        lines += [f"the answer: {_quoted(raw, LONGEST_RAW)}" for raw in each.raws]
        parts.append(f"{number}. " + "\n   ".join(lines))
    yield "# Texts that were labelled wrong\n\n" + "\n\n".join(parts)


def _quoted(text: str, most: int) -> str:
    return json.dumps(shortened_to(text, most), ensure_ascii=False)
