"""What the templates of a prompt name and nobody defines: told before any call is made."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from harness.errors import Problems, did_you_mean, listing
from harness.labelspace import LabelSpace
from harness.prompt import MessageTemplate, Pass, Prompt
from harness.rendering import ANSWER_NAMES, TASK_NAMES, UNIT_NAMES, WEIGHED_NAMES, columns_of, known_names, shot_turn
from harness.template import TemplateError, check_expression, check_names, names_used, reached

_TAG = re.compile(r"\{[{%].*?[%}]\}", re.DOTALL)
_EARLIER = re.compile(r"""\bpasses\s*(?:\.\s*(\w+)|\[\s*(["'])(.+?)\2\s*\])""")
_UNDEFINED = re.compile(r"'(\w+)' is not defined\.")
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
        earlier = [one.name for one in before]
        known = known_names(each, before, columns=columns, variables=variables)
        sound = True
        for message, own in _templates(each):
            errors = [
                *check_names(message.source, known | own, prompt.files),
                *_unknown_passes(message.source, earlier),
                *_unknown_passes_in_files(message.source, prompt.files, earlier),
            ]
            for error in errors:
                problems.add(_explained(error, hidden), message.line + error.line - 1)
            sound = sound and not errors
        if sound and each.shots is not None:
            _check_shots(each, variables, prompt.files, problems)
        if each.when is not None and earlier:
            # The label space is no part of an answer: "'shipping' in labels" would always be true.
            found = check_expression(each.when, known - TASK_NAMES - UNIT_NAMES[each.per])
            for error in [*found, *_unknown_passes(f"{{{{{each.when}}}}}", earlier)]:
                problems.add(f"'when' of pass {each.name}: {_explained(error, hidden)}", when_lines[each.name])


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
    }


def _explained(error: TemplateError, hidden: Mapping[str, str]) -> str:
    found = _UNDEFINED.match(error.bare)
    if found is None or found[1] not in hidden:
        return error.message
    return TemplateError(f"'{found[1]}' {hidden[found[1]]}", where=error.where).message


def _unknown_passes(source: str, earlier: list[str]) -> Iterator[TemplateError]:
    """Yield an error for each ``passes.NAME`` that no earlier pass has."""
    if not earlier:
        return  # then `passes` itself is not defined
    for tag in _TAG.finditer(source):
        for found in _EARLIER.finditer(tag[0]):
            name = found[1] or found[3]
            if name not in earlier and name not in _OF_MAPPINGS:
                line = source.count("\n", 0, tag.start() + found.start()) + 1
                near = did_you_mean(name, earlier)
                yield TemplateError(f"there is no earlier pass '{name}'; there is {listing(earlier)}.{near}", line)


def _unknown_passes_in_files(source: str, files: Mapping[str, str], earlier: list[str]) -> Iterator[TemplateError]:
    """Yield the same for the files that a template includes or imports, at its own lines."""
    try:
        named = list(reached(source, files))
    except TemplateError:
        return  # told with the names
    for name, line in named:
        for error in _unknown_passes(files[name], earlier):
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
    has = columns_of(shots) | variables | TASK_NAMES | UNIT_NAMES[each.per]
    for name, line in names_used(turn.source, files).items():
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
