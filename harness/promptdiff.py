"""What changed in a prompt: its words line by line and word by word, and the settings beside them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Any, Literal, NamedTuple, TypeAlias

from harness.identity import canonical, digest
from harness.prompt import Pass, Prompt
from harness.shots import Shots

Kind: TypeAlias = Literal["same", "removed", "added"]
LineKind: TypeAlias = Literal["same", "removed", "added", "changed"]
Part: TypeAlias = Literal["words", "output", "model", "shots", "asking", "variables"]

ALIKE = 0.5
"""Share of equal words from which on two lines are one line that was changed."""

MOST_PAIRS = 1_600
"""Pairs of lines that are tried for which line became which; of larger blocks it is not asked."""

MOST_WORDS = 1_000
"""Words of a line up to which it is compared word by word."""

_WORDS = re.compile(r"\s+|\w+|[^\w\s]")


class Word(NamedTuple):
    """A piece of a line."""

    kind: Kind
    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a text, of its older or its newer state or of both.

    Attributes:
        words: One piece where the line is as it was, gone or new; several where it was changed.
    """

    kind: LineKind
    words: tuple[Word, ...]

    @property
    def before(self) -> str:
        """The line as it was; empty for an added one."""
        return "".join(word.text for word in self.words if word.kind != "added")

    @property
    def after(self) -> str:
        """The line as it is; empty for a removed one."""
        return "".join(word.text for word in self.words if word.kind != "removed")


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a prompt that changed, all its lines in order.

    Attributes:
        title: What it is, for people: "user message".
        part: What kind of part it is.
    """

    title: str
    part: Part
    lines: tuple[Line, ...]

    @property
    def n_changed(self) -> int:
        """Lines that are not as they were."""
        return sum(line.kind != "same" for line in self.lines)


@dataclass(frozen=True, slots=True)
class PromptDiff:
    """What changed from one prompt to another.

    Attributes:
        sections: The parts that changed; empty where the prompts ask the same in the same way.
    """

    sections: tuple[Section, ...]

    @property
    def n_changed(self) -> int:
        """Lines that are not as they were."""
        return sum(section.n_changed for section in self.sections)

    @property
    def only_output(self) -> bool:
        """Whether nothing changed but how answers are written and read: the words are the same."""
        return bool(self.sections) and all(section.part == "output" for section in self.sections)

    def to_json(self) -> dict[str, Any]:
        """Return the diff as plain values; a line has its words as pairs of kind and text."""
        sections = [
            {
                "title": section.title,
                "part": section.part,
                "lines": [{"kind": line.kind, "words": [list(word) for word in line.words]} for line in section.lines],
            }
            for section in self.sections
        ]
        return {"n_changed": self.n_changed, "only_output": self.only_output, "sections": sections}


def prompt_diff(before: Prompt, after: Prompt) -> PromptDiff:
    """Return what changed between two prompts.

    Passes are matched by name, or each other where both prompts have only one; messages by their role and their place
    among those of that role. Settings are compared as lines of text.
    """
    return PromptDiff(tuple(section for section in _sections(before, after) if section.n_changed))


def _sections(before: Prompt, after: Prompt) -> Iterator[Section]:
    alone = len(before.passes) <= 1 and len(after.passes) <= 1
    for title, then, now in _matched_passes(before, after, alone):
        old, new = _messages(then), _messages(now)
        for name in dict.fromkeys((*new, *old)):
            yield _texts(title + name, old.get(name), new.get(name))
        for part, settings in _SETTINGS.items():
            yield _settings(title, part, *({} if each is None else dict(settings(each)) for each in (then, now)))
        if sorted(old) == sorted(new) and list(old) != list(new):
            yield Section(f"{title}order of the messages", "words", (_setting("order", *map(", ".join, (old, new))),))
        shots = (() if each is None else tuple(_shot_lines(each.shots)) for each in (then, now))
        yield Section(f"{title}shots", "shots", diff_lines(*shots))
    for name in dict.fromkeys((*before.files, *after.files)):
        yield _texts(f"file {name}", before.files.get(name), after.files.get(name))
    yield _settings("", "variables", dict(_said(before.variables)), dict(_said(after.variables)))


def _texts(title: str, before: str | None, after: str | None) -> Section:
    """Return texts side by side; that only one of them ends its last line is a difference too."""
    both_end = all(text is None or text.endswith("\n") for text in (before, after))
    old, new = (
        () if text is None else text.removesuffix("\n" if both_end else "").split("\n") for text in (before, after)
    )
    return Section(title, "words", diff_lines(old, new))


def _matched_passes(before: Prompt, after: Prompt, alone: bool) -> Iterator[tuple[str, Pass | None, Pass | None]]:
    """Yield passes that are each other's, with what their sections are called first."""
    if alone:
        yield from (("", *pair) for pair in zip_longest(before.passes, after.passes))
        return
    old, new = ({each.name: each for each in prompt.passes} for prompt in (before, after))
    for name in dict.fromkeys((*old, *new)):
        yield f"pass {name}: ", old.get(name), new.get(name)


def _messages(each: Pass | None) -> dict[str, str]:
    """Return the texts of a pass by what they are called."""
    found: dict[str, str] = {}
    for message in () if each is None else each.messages:
        title, number = f"{message.role} message", 1
        while title in found:
            number += 1
            title = f"{message.role} message {number}"
        found[title] = message.source
    if each is not None and each.questions is not None:
        found |= {
            "question of a label": each.questions.label.source,
            "question of a field": each.questions.field.source,
        }
    return found


# --- settings, each as a line -----------------------------------------------------------------------------------------


def _said(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield settings by name: text as it is, other values as JSON."""
    for name, value in values.items():
        yield name, value if isinstance(value, str) and "\n" not in value else canonical(value)


def _output_settings(each: Pass) -> Iterator[tuple[str, str]]:
    output = each.output
    yield "format", output.format
    yield from _said(dict(sorted(output.options.items())))
    if output.fields:
        yield "fields", ", ".join(output.fields)
    yield "constrain", output.constrain
    if output.threshold is not None:
        yield "threshold", f"{output.threshold:g}"
    yield from ((f"threshold of {name}", f"{value:g}") for name, value in output.thresholds.items())


def _model_settings(each: Pass) -> Iterator[tuple[str, str]]:
    model = each.model
    yield "name", model.name
    yield "api", model.api
    if model.base_url is not None:
        yield "base_url", model.base_url
    yield from _said(dict(sorted(model.params.items())))
    if model.suffix:
        yield "suffix", canonical(model.suffix)
    if model.is_local:
        yield from _said({f"engine {name}": value for name, value in asdict(model.engine).items()})


def _asking_settings(each: Pass) -> Iterator[tuple[str, str]]:
    yield "per", each.per
    if each.when is not None:
        yield "when", each.when
    if each.scope:
        yield "scope", ", ".join(each.scope)
    if each.votes is not None:
        yield "votes", f"{each.votes.k}, {each.votes.how}"
    if each.how != "replace":
        yield "merge", each.how
    if each.chooses_groups:
        yield "choose", "groups"
    if each.candidates is not None:
        yield "candidates", f"{each.candidates.k}, by {each.candidates.by}"
        if each.candidates.model is not None:
            yield "candidates model", each.candidates.model
        if examples := each.candidates.examples:
            yield "candidates examples", f"{len(examples)} ({digest([one.to_json() for one in examples])})"


_SETTINGS: Mapping[Part, Callable[[Pass], Iterator[tuple[str, str]]]] = {
    "asking": _asking_settings,
    "output": _output_settings,
    "model": _model_settings,
}


def _settings(title: str, part: Part, before: Mapping[str, str], after: Mapping[str, str]) -> Section:
    """Return settings side by side, each with the one of the same name."""
    lines = [_setting(name, before.get(name), after.get(name)) for name in dict.fromkeys((*before, *after))]
    return Section(title + part, part, tuple(lines))


def _setting(name: str, before: str | None, after: str | None) -> Line:
    old, new = f"{name}: {before}", f"{name}: {after}"
    if old == new:
        return Line("same", (Word("same", old),))
    if before is None:
        return Line("added", (Word("added", new),))
    return Line("removed", (Word("removed", old),)) if after is None else Line("changed", diff_words(old, new))


def _shot_lines(shots: Shots | None) -> Iterator[str]:
    """Yield how shots are chosen, then each as a line."""
    if shots is None:
        return
    if shots.nearest is not None:
        yield from (f"nearest {name}: {value}" for name, value in _said(asdict(shots.nearest)))
    yield from (f"shots of {unit}: {', '.join(ids)}" for unit, ids in shots.units.items())
    for shot in shots.samples:
        text = " · ".join(" ".join(str(value).split()) for value in shot.inputs.values())
        yield f"{text} → {', '.join(sorted(shot.labels or ())) or 'none'}"


# --- lines and words --------------------------------------------------------------------------------------------------


def diff_lines(before: Sequence[str], after: Sequence[str]) -> tuple[Line, ...]:
    """Return the lines of two texts side by side: those in both, those in one, and those that were changed."""
    found: list[Line] = []
    for what, i1, i2, j1, j2 in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if what == "equal":
            found += [Line("same", (Word("same", text),)) for text in before[i1:i2]]
        else:
            found += _block(before[i1:i2], after[j1:j2])
    return tuple(found)


def _block(before: Sequence[str], after: Sequence[str]) -> Iterator[Line]:
    """Yield the lines of a block that differs: where two are alike, as one that was changed."""
    start = (0, 0)
    for row, column in [*_pairs(before, after), (len(before), len(after))]:
        yield from _whole("removed", before[start[0] : row])
        yield from _whole("added", after[start[1] : column])
        if row < len(before) and column < len(after):
            yield Line("changed", diff_words(before[row], after[column]))
        start = row + 1, column + 1


def _whole(kind: Literal["removed", "added"], lines: Iterable[str]) -> Iterator[Line]:
    for text in lines:
        yield Line(kind, (Word(kind, text),))


def _pairs(before: Sequence[str], after: Sequence[str]) -> list[tuple[int, int]]:
    """Return which line became which, in order: the pairing whose likenesses have the largest sum."""
    n, m = len(before), len(after)
    if not n or not m or n * m > MOST_PAIRS:
        return []
    alike = [[_likeness(old, new) for new in after] for old in before]
    best = [[0.0] * (m + 1) for _ in range(n + 1)]
    for row in range(n - 1, -1, -1):
        for column in range(m - 1, -1, -1):
            paired = alike[row][column] + best[row + 1][column + 1] if alike[row][column] else 0.0
            best[row][column] = max(paired, best[row + 1][column], best[row][column + 1])
    found, row, column = [], 0, 0
    while row < n and column < m:
        if best[row][column] == best[row + 1][column]:
            row += 1
        elif best[row][column] == best[row][column + 1]:
            column += 1
        else:
            found.append((row, column))
            row, column = row + 1, column + 1
    return found


def _likeness(before: str, after: str) -> float:
    """Return the share of words that two lines have in common, 0 where it is below `ALIKE`."""
    old, new = before.split(), after.split()
    if max(len(old), len(new)) > MOST_WORDS:
        return 0.0
    ratio = SequenceMatcher(None, old, new, autojunk=False).ratio()
    return ratio if ratio >= ALIKE else 0.0


def diff_words(before: str, after: str) -> tuple[Word, ...]:
    """Return two lines as one: pieces that are the same, removed and added. White space between changes goes with them."""
    found: list[Word] = []
    removed = added = ""

    def told() -> Iterator[Word]:
        if removed:
            yield Word("removed", removed)
        if added:
            yield Word("added", added)

    old, new = _WORDS.findall(before), _WORDS.findall(after)
    steps = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    for at, (what, i1, i2, j1, j2) in enumerate(steps):
        gone, come = "".join(old[i1:i2]), "".join(new[j1:j2])
        if what != "equal" or (gone.isspace() and 0 < at < len(steps) - 1):
            removed, added = removed + gone, added + come
        else:
            found += [*told(), Word("same", gone)]
            removed = added = ""
    return (*found, *told())
