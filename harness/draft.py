"""The next version of a prompt as a file's text: its parent's passes as they are, and a pass behind them for exceptions.

The parent's text is kept line by line, comments too. What stands at the top about its one pass is moved into `passes` as it
is written, further to the right. Whether the new file says what it should is for its reader to check.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import DataError, Problems
from harness.exceptionpass import Errors, ExceptionPass, Style, asked, one_line
from harness.prompt import ANSWER_LIMITS, DEFAULT_PASS, Model
from harness.promptoutput import CONSTRAINING
from harness.yamlfile import Node, read_text, read_yaml
from harness.yamltext import comment, flow, indented, scalar

OF_A_PASS = (
    "template", "messages", "question", "per", "choose", "candidates", "votes", "shots", "output",
)  # fmt: skip
"""Keys of the top that are about a prompt's one pass, and go into it. `model` stays: it is the next pass's too."""

WIDTH = 116
"""Characters of a line of comment, its place in the file aside."""

LIST_TOKENS, YES_NO_TOKENS, LISTED_TOKENS = 64, 1, 20
MOST_SLOTS = 8
"""Slots of an embedded model that is asked label by label: the examples of each label stay in one of their own."""

LEAST_OUTPUT = 16
"""The fewest output tokens that the Responses API can be asked for."""

_REWRITTEN = ("parent", "notes", "searched")
_LOGPROBS = ("logprobs", "top_logprobs", "n_probs")


@dataclass(frozen=True, slots=True)
class ParentFile:
    """A prompt file that has no problems, with what must be known of it to write its text on.

    Attributes:
        where: What it is called in a message.
        text: The whole of it.
        keys: By key of the top, the line of it, from 1.
        passes: The line of the first item of `passes`; None for a prompt of one pass.
        model: What its top says of `model`.
        own_model: What the last pass of several says itself of `model`.
        shots: The files that its shots come from, as they are written.
    """

    where: str
    text: str
    keys: Mapping[str, int]
    passes: int | None
    model: Mapping[str, Any]
    own_model: Mapping[str, Any]
    shots: tuple[str, ...]


def read_parent(path: Path, where: str) -> ParentFile:
    """Return a prompt file that has no problems, ready to be written on.

    Raises:
        DataError: It is written so that nothing can be put into it: in braces, or with ``<<`` at the top.
    """
    text, problems = read_text(path), Problems(path)
    top = read_yaml(path, problems)
    problems.raise_if_any()
    nodes: dict[str, Node] = top.node.value
    lines = text.splitlines()
    for key, node in nodes.items():
        if not re.match(rf"['\"]?{re.escape(key)}['\"]?\s*:", lines[node.key_line - 1]):
            why = f"'{key}' does not begin a line. Write the top as lines of 'key: value', without '<<'."
            raise _cannot(where, node.key_line, why)
    listed = nodes["passes"].value or [] if "passes" in nodes else []
    holders = [nodes, *(each.value for each in listed)]
    return ParentFile(
        where,
        text,
        {key: node.key_line for key, node in nodes.items()},
        listed[0].line if listed else None,
        _model_said(nodes),
        _model_said(listed[-1].value) if listed else {},
        tuple(dict.fromkeys(each["shots"].value["from"].source for each in holders if _has_shots(each))),
    )


def _has_shots(holder: Mapping[str, Node]) -> bool:
    return "shots" in holder and isinstance(holder["shots"].value, dict)


def _model_said(holder: Mapping[str, Node]) -> Mapping[str, Any]:
    said = holder["model"].plain() if "model" in holder else None
    return {"name": holder["model"].source} if isinstance(said, str) else said or {}


def _cannot(where: str, line: int, why: str) -> DataError:
    return DataError(f"{where}:{line}: no pass can be put into the file, because {why}")


@dataclass(frozen=True, slots=True)
class _Segment:
    """The lines of a key of the top, with the comments right above it."""

    key: str
    comments: tuple[str, ...]
    lines: tuple[str, ...]


def _segments(parent: ParentFile) -> tuple[list[str], list[_Segment]]:
    """Return the lines above the first key, and those of each key."""
    lines = parent.text.splitlines(keepends=True)
    if lines and not lines[-1].endswith(("\n", "\r")):
        lines[-1] += _newline(parent.text)
    starts = sorted((line - 1, key) for key, line in parent.keys.items())
    begins = [starts[0][0]]  # what is above the first key is above all of them
    for start, _ in starts[1:]:
        begin = start
        while lines[begin - 1].startswith("#"):
            begin -= 1
        begins.append(begin)
    ends = [*begins[1:], len(lines)]
    segments = [
        _Segment(key, tuple(lines[begin:start]), tuple(lines[start:end]))
        for (start, key), begin, end in zip(starts, begins, ends, strict=True)
    ]
    return lines[: begins[0]], segments


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


# --- the draft --------------------------------------------------------------------------------------------------------


def drafted(
    parent: ParentFile, new: ExceptionPass, *, version: str, notes: str, searched: Mapping[str, Any], remark: str
) -> str:
    """Return the text of the next version's file.

    Args:
        parent: The file of the version that it is made from.
        new: The pass that comes last.
        version: What the parent is called.
        notes: For people, on one line.
        searched: What the draft was looked up in: see `harness.searched`.
        remark: Where the draft comes from, as a comment at the top.

    Raises:
        DataError: The parent's passes stand in brackets.
    """
    head, segments = _segments(parent)
    said: dict[str, Any] = {"parent": version, "notes": notes, "searched": searched}
    top = [*comment(remark, WIDTH), *(f"{key}: {flow(value)}" for key, value in said.items())]
    lines = [*head, *_ended(top, parent)]
    own = _ended(_pass_lines(new, _own_model(parent, new)), parent)
    if parent.passes is None:
        moved = [f"- name: {DEFAULT_PASS}  # as in {one_line(version)}: it makes the same calls"]
        lines += [line for each in segments for line in _kept(each) if each.key not in (*OF_A_PASS, "passes")]
        inside = [line for each in segments if each.key in OF_A_PASS for line in (*each.comments, *each.lines)]
        lines += _ended(["passes:", f"  {moved[0]}"], parent)
        lines += [*indented(_trimmed(inside), 4), *indented(own, 2)]
        return "".join(lines)
    for each in segments:
        lines += _kept(each) if each.key != "passes" else [*each.comments, *_appended(parent, each, own)]
    return "".join(lines)


def _kept(each: _Segment) -> tuple[str, ...]:
    """Return what stays of a key of the top; of one that is written anew the comments above it."""
    return each.comments if each.key in _REWRITTEN else (*each.comments, *each.lines)


def _trimmed(lines: Sequence[str]) -> Sequence[str]:
    """Return lines without the empty ones at their end."""
    end = len(lines)
    while end and not lines[end - 1].strip():
        end -= 1
    return lines[:end]


def _appended(parent: ParentFile, passes: _Segment, own: Sequence[str]) -> list[str]:
    """Return the lines of `passes` with one pass more, as far to the right as the others."""
    start = parent.keys["passes"]
    before = parent.text.splitlines()[start : parent.passes]
    dash = next((found for line in reversed(before) if (found := re.match(r"( *)-(?: |$)", line))), None)
    if dash is None:
        raise _cannot(parent.where, start, "its passes stand in brackets. Write them as lines of '- name: …'.")
    kept = list(passes.lines)
    end = len(kept)
    while not kept[end - 1].strip() or kept[end - 1].startswith("#"):
        end -= 1
    return [*kept[:end], *indented(own, len(dash[1])), *kept[end:]]


def _ended(lines: Sequence[str], parent: ParentFile) -> list[str]:
    """Return lines with the line ends of the parent's."""
    return [line + _newline(parent.text) for line in lines]


def _pass_lines(new: ExceptionPass, model: Mapping[str, Any]) -> list[str]:
    """Return the exception pass as an item of a list."""
    body = [*comment(new.why, WIDTH), f"when: {scalar(new.when)}"]
    body += [f"model: {flow(model)}"] if model else []
    body += ["per: label"] if new.style == "yes_no" else []
    body += asked(new)
    body += comment(new.about_shots, WIDTH)
    if new.shots is not None:
        drawn = {"k": min(8, new.shots.n), "select": "balanced", "seed": new.shots.seed}
        body.append(f"shots: {flow({'from': new.shots.file, **(drawn if new.style == 'yes_no' else {})})}")
    weighs = new.style == "yes_no" and (new.model.is_local or new.model.asks_logprobs)
    body.append(f"output: {flow({'format': 'yes_no', 'threshold': 0.5}) if weighs else new.style}")
    body += comment(_why_how(new.errors), WIDTH)
    body.append(f"merge: {flow({'scope': list(new.scope), 'how': new.errors.how})}")
    return [f"- name: {scalar(new.name)}", *indented(body, 2)]


def _why_how(errors: Errors) -> str:
    from harness.report import numbers

    counts = [
        f"{numbers.count(n)} {what}"
        for n, what in ((errors.missed, "missed"), (errors.added, "added wrongly"), (errors.unanswered, "unanswered"))
        if n
    ]
    found = f"Of these labels {', '.join(counts) or 'none were wrong'}:"
    if errors.how == "add":
        return f"{found} nearly all are missed, so a label that was said stays, and only absent ones are asked about."
    if errors.how == "confirm":
        return f"{found} nearly all were wrongly said, so a label stays only when this pass says it too."
    return f"{found} what this pass says of them counts."


# --- who answers ------------------------------------------------------------------------------------------------------


def _own_model(parent: ParentFile, new: ExceptionPass) -> dict[str, Any]:
    """Return what the pass must say of its model beyond what the top says."""
    said = {**parent.model, **parent.own_model}
    params = _params(new.model, said.get("params") or {}, new.style)
    own = {key: value for key, value in parent.own_model.items() if key != "params"}
    if params != (parent.model.get("params") or {}):
        own["params"] = params
    if (
        new.style == "yes_no"
        and new.model.is_local
        and new.model.engine.slots < (slots := min(MOST_SLOTS, len(new.scope)))
    ):
        own["engine"] = {**(said.get("engine") or {}), "slots": slots}
    return own


def _params(model: Model, said: Mapping[str, Any], style: Style) -> dict[str, Any]:
    """Return the parameters of the pass: the parent's, but for those that shape its answer."""
    text = said.get("text")
    shaping = {*CONSTRAINING, *(["text"] if isinstance(text, Mapping) and "format" in text else [])}
    kept = {key: value for key, value in said.items() if key not in shaping}
    limit = next((name for name in ANSWER_LIMITS if name in kept), None)
    if style == "decisions":
        return kept
    if style == "list":
        kept = {key: value for key, value in kept.items() if key not in _LOGPROBS}
        if limit is not None and isinstance(kept[limit], int):
            kept[limit] = max(kept[limit], LIST_TOKENS)
        return kept
    if model.is_local:
        chat = {"logprobs": True, "top_logprobs": LISTED_TOKENS}
        weighed = {"logprobs": LISTED_TOKENS} if model.api == "completions" else chat
        return {**kept, limit or "max_tokens": YES_NO_TOKENS, **weighed}
    if model.asks_logprobs and limit is not None:
        kept[limit] = LEAST_OUTPUT if model.api == "responses" else YES_NO_TOKENS
    return kept
