"""What the templates of a prompt name and nobody defines: told before any call is made."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from harness.errors import Problems, did_you_mean, listing
from harness.labelspace import Field, Group, Label, LabelSpace
from harness.prompt import MessageTemplate, Pass, Prompt, templates_of
from harness.records import FailureKind
from harness.regexes import regex
from harness.rendering import (
    ANSWER_NAMES,
    TASK_NAMES,
    UNIT_NAMES,
    WEIGHED_NAMES,
    columns_of,
    known_names,
    offers_candidates,
    shot_turn,
)
from harness.template import TemplateError
from harness.templatemembers import Equal, Kind, impossible_comparisons, unknown_members
from harness.templatenames import check_expression, check_names, names_bound, names_used, reached

_TAG = regex(r"\{[{%].*?[%}]\}", re.DOTALL)
_QUOTED = r"""(?:"((?:[^"\\]|\\.)+)"|'((?:[^'\\]|\\.)+)')"""
_EARLIER = regex(rf"\bpasses\s*(?:\.\s*(\w+)|\[\s*{_QUOTED}\s*\])")
_SCORE = regex(rf"(?<![\w.])scores\s*(?:\.\s*get\s*\(\s*{_QUOTED}|\.\s*(\w+)|\[\s*{_QUOTED}\s*\])")
_PREDICTED = regex(rf"{_QUOTED}\s+(?:not\s+)?in\s+(?:passes\s*\.\s*\w+\s*\.\s*)?predicted\b")
_CHOSEN = regex(rf"{_QUOTED}\s+(?:not\s+)?in\s+passes\s*\.\s*\w+\s*\.\s*groups\b")
_FIELD = regex(
    rf"(?:(?<![\w.])|passes\s*\.\s*\w+\s*\.\s*)fields\s*(?:\.\s*get\s*\(\s*{_QUOTED}|\.\s*(\w+)|\[\s*{_QUOTED}\s*\])"
)
_UNDEFINED = regex(r"'(\w+)' is not defined\.")
_OF_CALLS = frozenset({"shots", "candidates"})
"""Names of what a call is made of, which nothing has before it is decided whether there is one."""

_OF_MAPPINGS = frozenset({"get", "items", "keys", "values"})


def check_templates(
    prompt: Prompt, columns: frozenset[str], space: LabelSpace, problems: Problems, when_lines: Mapping[str, int]
) -> None:
    """Note every name that a template or `when` uses and nobody defines, and what else is wrong in it.

    Args:
        prompt: Shots read.
        columns: The input columns that every sample has.
        space: The label space.
        problems: Takes what is found.
        when_lines: By pass name, the line of its `when`.
    """
    variables = frozenset(prompt.variables)
    hidden = _reasons(space)
    for number, each in enumerate(prompt.passes):
        before = prompt.passes[:number]
        names = _Names([one.name for one in before], space, [one for each in before for one in each.output.fields])
        kinds, equals = _kinds(each, before), _equals(names) if before else {}
        known = known_names(each, before, columns=columns, variables=variables)
        sound = True
        if offers_candidates(each):
            _check_candidates(each, prompt.files, columns | variables, problems)
        for message, own in _templates(each):
            errors = [
                *check_names(message.source, known | own, prompt.files),
                *_unknown_in_answers(message.source, names),
                *_unknown_in_files(message.source, prompt.files, names),
                *unknown_members(message.source, {**kinds, **_OF_QUESTIONS} if own else kinds),
                *impossible_comparisons(message.source, equals),
            ]
            for error in errors:
                problems.add(_explained(error, hidden), message.line + error.line - 1)
            sound = sound and not errors
        if sound and each.shots is not None:
            _check_shots(each, variables, prompt.files, problems)
        if each.when is not None and before:
            # The label space is no part of an answer: "'shipping' in labels" would always be true.
            found = check_expression(each.when, known - TASK_NAMES - UNIT_NAMES[each.per] - _OF_CALLS)
            source = f"{{{{{each.when}}}}}"
            found += [*_unknown_in_answers(source, names), *unknown_members(source, {"passes": kinds["passes"]})]
            for error in [*found, *impossible_comparisons(source, equals)]:
                problems.add(f"'when' of pass {each.name}: {_explained(error, hidden)}", when_lines[each.name])


# --- what is known of values before anything runs ---------------------------------------------------------------------

_LABEL = Kind("label", dict.fromkeys(Label.__dataclass_fields__))
_LABELS = Kind("labels", items=_LABEL)
_GROUP = Kind("group", {name: _LABELS if name == "labels" else None for name in Group.__dataclass_fields__})
_SAID = Kind("an earlier pass", dict.fromkeys(("predicted", "raw", "fields", "groups")), silent=_OF_MAPPINGS)
_CHOICE = Kind("group", {"name": None, "description": None})
"""What a gate chooses from: its labels are in ``groups[NAME]``."""

_OF_QUESTIONS: Mapping[str, Kind] = {
    "label": _LABEL,
    "field": Kind("field", dict.fromkeys(Field.__dataclass_fields__)),
}


def _kinds(each: Pass, before: Sequence[Pass]) -> dict[str, Kind]:
    """Return what is known of the names that the templates of a pass have."""
    kinds = {"labels": _LABELS}
    if offers_candidates(each):
        kinds["candidates"] = Kind("candidates", items=_CHOICE if each.chooses_groups else _LABEL)
    if each.per != "sample":
        kinds[each.per] = _LABEL if each.per == "label" else _GROUP
    if before:
        kinds["passes"] = Kind("passes", {one.name: _SAID for one in before}, is_told=False)
    return kinds


def _equals(names: _Names) -> dict[str, Equal]:
    """Return what the answer so far can be equal to."""
    asked = (names.space.field(name) for name in names.fields)
    fields = {
        f"fields.{each.name}": Equal(each.values, "none of its values")
        for each in asked
        if each is not None and each.type == "choice"
    }
    listed = Equal(None, "a list of labels", "Write: '{}' in predicted")
    return {**fields, "failure": Equal(tuple(map(str, FailureKind)), "no kind of failure"), "predicted": listed}


_SHOWN: Mapping[str | bool, frozenset[str]] = {
    "label": frozenset({"label", "candidates"}),
    "group": frozenset({"group", "candidates"}),
    False: frozenset({"candidates"}),
    True: frozenset({"candidates", "groups"}),
}
"""The names that show what to choose from, by what a call is about; of one about the sample, by whether it is a gate's."""


def _check_candidates(each: Pass, files: Mapping[str, str], others: frozenset[str], problems: Problems) -> None:
    """Note a pass that chooses from candidates and does not show them, and names that they would hide."""
    line = each.messages[0].line if each.messages else None
    if "candidates" in others:
        problems.add(
            f"pass {each.name}: 'candidates' is what it chooses from, and a column or variable too. Rename that.", line
        )
    used: set[str] = set()
    for message in templates_of((each,)):
        with suppress(TemplateError):  # told with the names
            used |= set(names_used(message.source, files))
    if each.candidates is not None and each.per == "sample" and "labels" in used:
        why = "its template shows all 'labels', and it asks about candidates alone. Write 'candidates' in their place."
        problems.add(f"pass {each.name}: {why}", line)
    elif used.isdisjoint(_SHOWN[each.per if each.per != "sample" else each.chooses_groups]) and each.questions is None:
        says = "{{ group }}" if each.per == "group" else "{% for label in candidates %} … {% endfor %}"
        says = "{{ label }}" if each.per == "label" else says
        problems.add(f"pass {each.name}: its template must show what there is to choose from. Write: {says}", line)


def unused_variables(prompts: Sequence[Prompt]) -> Iterator[str]:
    """Yield a warning for each variable that was given to prompts and that no template of any of them uses."""
    given = dict.fromkeys(name for prompt in prompts for name in prompt.given)
    used = {name for prompt in prompts for name in _used(prompt)}
    others = sorted({name for prompt in prompts for name in prompt.variables} - given.keys())
    for name in given:
        if name not in used:
            yield f"--var {name}: no template and no 'when' uses it, so that it changes nothing.{did_you_mean(name, others)}"


def _used(prompt: Prompt) -> Iterator[str]:
    """Yield the names that the templates of a prompt and its `when` take from what they are given."""
    for message in templates_of(prompt.passes):
        yield from names_used(message.source, prompt.files)
    for each in prompt.passes:
        if each.when is not None:
            yield from names_used(f"{{{{ {each.when} }}}}")


def _templates(each: Pass) -> Iterator[tuple[MessageTemplate, frozenset[str]]]:
    """Yield every template of a pass, with the names that it has beside those that all of them have."""
    for message in each.messages:
        yield message, frozenset()
    if each.questions is not None:
        yield each.questions.label, frozenset({"label"})
        yield each.questions.field, frozenset({"field"})


def _reasons(space: LabelSpace) -> dict[str, str]:
    """Return why a name that a person may expect is not there."""
    no_scores = "needs a source of probabilities, and no earlier pass has one."
    gold = "is gold, and nothing that is sent to a model can contain gold. It exists in --filter alone."
    return {
        **{each.name: f"is a field: its column {gold}" for each in space.fields},
        "gold": gold,
        "scores": no_scores,
        "confidence": no_scores,
        "label": "is there with 'per: label' alone.",
        "group": "is there with 'per: group' alone.",
        "candidates": "is there with 'candidates' or 'choose: groups' alone.",
    }


def _explained(error: TemplateError, hidden: Mapping[str, str]) -> str:
    found = _UNDEFINED.match(error.bare)
    if found is None or found[1] not in hidden:
        return error.message
    return TemplateError(f"'{found[1]}' {hidden[found[1]]}", where=error.where).message


@dataclass(frozen=True, slots=True)
class _Names:
    """What an answer so far can be asked for: earlier passes, the labels and groups, and the fields those passes ask for."""

    earlier: Sequence[str]
    space: LabelSpace
    fields: Sequence[str]

    @property
    def by_pattern(self) -> Iterator[tuple[re.Pattern[str], str, Collection[str], str]]:
        """What finds a name, what is asked for it, what it can be, and how it is told that it is not."""
        asked = f"no field that an earlier pass asks for{f'; there is {listing(self.fields)}' if self.fields else ''}"
        yield _SCORE, "scores", self.space.names, "no label"
        yield _PREDICTED, "predicted", self.space.names, "no label"
        yield _CHOSEN, "groups", self.space.groups, "no group"
        yield _FIELD, "fields", self.fields, asked


def _unknown_in_answers(source: str, names: _Names) -> Iterator[TemplateError]:
    """Yield an error for each ``passes.NAME`` that no earlier pass has, and each name asked of an answer that it never has.

    The latter are ``scores.NAME``, ``'NAME' in predicted``, ``'NAME' in passes.PASS.groups`` and ``fields.NAME``.
    """
    if not names.earlier:
        return  # then none of these is defined
    own = _given_by(source)
    for tag in _TAG.finditer(source):
        for name, at in _members(_EARLIER, tag):
            if name not in names.earlier and name not in _OF_MAPPINGS:
                there = f"there is {listing(names.earlier)}.{did_you_mean(name, names.earlier)}"
                yield TemplateError(f"there is no earlier pass '{name}'; {there}", source.count("\n", 0, at) + 1)
        for pattern, what, known, none in names.by_pattern:
            for name, at in _members(pattern, tag):
                if what not in own and name not in known and name not in _OF_MAPPINGS:
                    message = f"'{what}' is asked for '{name}', which is {none}.{did_you_mean(name, known)}"
                    yield TemplateError(message, source.count("\n", 0, at) + 1)


def _members(pattern: re.Pattern[str], tag: re.Match[str]) -> Iterator[tuple[str, int]]:
    """Yield the names that a pattern finds in a tag, and where they are asked for."""
    for found in pattern.finditer(tag[0]):
        yield _unescaped(next(filter(None, found.groups()))), tag.start() + found.start()


def _unescaped(name: str) -> str:
    """Return the name that a text in quotes is, escapes read as Jinja reads them."""
    try:
        return name.encode("ascii", "backslashreplace").decode("unicode-escape")
    except UnicodeDecodeError:
        return name  # told with the names


def _given_by(source: str) -> frozenset[str]:
    """Return the names that a template gives a value itself, as a macro's arguments: they are no answers."""
    try:
        return names_bound(source)
    except TemplateError:
        return frozenset()  # told with the names


def _unknown_in_files(source: str, files: Mapping[str, str], names: _Names) -> Iterator[TemplateError]:
    """Yield the same for the files that a template includes or imports, at its own lines."""
    try:
        named = list(reached(source, files))
    except TemplateError:
        return  # told with the names
    for name, line in named:
        for error in _unknown_in_answers(files[name], names):
            yield TemplateError(error.bare, line, f"{name}:{error.line}")


def _check_shots(each: Pass, variables: frozenset[str], files: Mapping[str, str], problems: Problems) -> None:
    """Note what shots lack to be asked as the sample is."""
    shots = each.shots.samples if each.shots is not None else ()
    turn = shot_turn(each, files)
    if turn is None:
        if any("answer" in shot.inputs for shot in shots):
            message = (
                "the shots have a column 'answer', which in a template is their expected answer. Rename the column."
            )
            problems.add(message, each.messages[0].line)
        return
    used = names_used(turn.source, files)
    if each.candidates is not None and each.per == "sample" and "candidates" not in used:
        problems.add(
            f"pass {each.name}: each shot is asked about candidates of its own, so the last user message must show them. "
            "Write there: {% for label in candidates %} … {% endfor %}",
            turn.line,
        )
    has = columns_of(shots) | variables | TASK_NAMES | UNIT_NAMES[each.per]
    has |= {"candidates"} if offers_candidates(each) else set()
    for name, line in used.items():
        if name not in has:
            problems.add(_shot_lacks(name), _line(turn, line))


def _shot_lacks(name: str) -> str:
    if name in ANSWER_NAMES | WEIGHED_NAMES:
        why = "is an answer of an earlier pass, which shots do not have"
    else:
        why = "is a column that not every shot has"
    return f"'{name}' {why}. Place the shots yourself: {{% for shot in shots %}} … {{{{ shot.answer }}}} {{% endfor %}}"


def _line(message: MessageTemplate, line: int) -> int:
    return message.line + line - 1
