"""How a pass asks and wants its answer, as a prompt file says it, and what cannot go together there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, get_args

from harness.clients.wires import WIRES
from harness.errors import did_you_mean, listing
from harness.labelspace import LabelSpace
from harness.parsing import FORMATS, Output
from harness.parsing.constraints import constraint_problems
from harness.parsing.formats import Constrain
from harness.prompt import (
    DECISION_APIS,
    How,
    MessageTemplate,
    Model,
    Pass,
    Per,
    QuestionTemplates,
    Votes,
)
from harness.promptpasses import Contradiction, impossible_choices
from harness.records import ParseFailure
from harness.units import MOST_QUESTIONS
from harness.yamlfile import Node, Section

OWN_KEYS = frozenset({"format", "fields", "constrain", "threshold", "thresholds"})
"""Keys of `output` that every format has; all others are options of the format."""

DECISIONS = "decisions"
"""The format of what decision APIs answer."""

CONSTRAINING = ("response_format", "grammar", "json_schema", "structured_outputs", "guided_json", "guided_grammar")
"""Parameters that constrain an answer, of any server."""

# Statements, because a predicate is one; of a choice the name says what is chosen.
LABEL_QUESTION = 'The label "{{ label.name }}" applies{% if label.description %}: {{ label.description }}{% endif %}'
FIELD_QUESTION = "{{ field.name }}{% if field.description %}: {{ field.description }}{% endif %}"


@dataclass(frozen=True, slots=True)
class SaidOutput:
    """What an `output` says, whether it names a format or leaves that to the API, and its line."""

    output: Output
    names_format: bool
    line: int

    def for_model(self, model: Model) -> Output:
        """Return the output; where it names no format, the format that the model's API has."""
        return self.output if self.names_format else _default(self.output, model)


def default_output(model: Model) -> Output:
    """Return the output of a pass that says nothing of it."""
    return _default(Output(), model)


def _default(output: Output, model: Model) -> Output:
    return replace(output, format=DECISIONS) if model.api in DECISION_APIS else output


def read_output(section: Section) -> SaidOutput | None:
    """Return what a section's `output` says; None when it says nothing."""
    node = section.take("output")
    if node is None:
        return None
    if isinstance(node.value, str):
        return SaidOutput(Output(_format(section, "output", node) or "list"), True, node.told_line)
    details = section.section("output")
    if details is None:
        return SaidOutput(Output(), True, node.told_line)
    named = details.take("format")
    name = None if named is None else _format(details, "format", named)
    said: dict[str, Any] = {
        "fields": details.texts("fields"),
        "constrain": details.choice("constrain", get_args(Constrain)),
        "threshold": details.number("threshold", least=0, most=1),
        "thresholds": _thresholds(details),
    }
    known = {key: value for key, value in said.items() if value is not None}
    if named is not None and name is None:
        return SaidOutput(Output(**known), True, node.told_line)
    options = {key: each.plain() for key, each in details.node.value.items() if key not in OWN_KEYS}
    return SaidOutput(Output(name or "list", options, **known), name is not None, node.told_line)


def _format(section: Section, key: str, node: Node) -> str | None:
    if isinstance(node.value, str) and node.value in FORMATS:
        return node.value
    got = f"'{node.source}'" if node.source else node.kind
    section.problem(key, f"must be one of {listing(FORMATS)}, got {got}.{did_you_mean(node.source, FORMATS)}")
    return None


def _thresholds(details: Section) -> Mapping[str, float] | None:
    section = details.section("thresholds")
    if section is None:
        return None
    given = {name: section.number(name, least=0, most=1) for name in section.keys()}  # noqa: SIM118 - no dict
    return {name: value for name, value in given.items() if value is not None}


def read_per(section: Section) -> Per:
    """Return what one call of a pass is about."""
    return section.choice("per", get_args(Per)) or "sample"


def read_votes(section: Section) -> Votes | None:
    """Return a pass's `votes`; None when it asks once."""
    node = section.take("votes")
    if node is not None and not isinstance(node.value, dict):
        section.problem("votes", f"must be a mapping, got {node.kind}. Write votes: {{k: 5}}.")
        return None
    details = section.section("votes")
    if details is None:
        return None
    k = details.integer("k", least=2)
    if k is None and not details.has("k"):
        details.problem("k", "is missing. Say how many draws vote.")
    how = details.choice("how", get_args(How))
    details.finish()
    return Votes(k or 2, how or "majority")


def read_questions(section: Section, model: Model) -> QuestionTemplates | None:
    """Return what a decision API is asked: `question`, a text about labels or a mapping; None for every other API."""
    node = section.take("question")
    label = field = None
    if node is not None and isinstance(node.value, dict):
        details = section.section("question")
        if details is not None:
            label, field = _question(details, "label"), _question(details, "field")
            details.finish()
    elif node is not None:
        label = _question(section, "question")
    if model.api not in DECISION_APIS:
        if node is not None:
            section.problem("question", f"needs an API that is asked questions: {listing(sorted(DECISION_APIS))}.")
        return None
    return QuestionTemplates(
        label or MessageTemplate("label", LABEL_QUESTION, section.line),
        field or MessageTemplate("field", FIELD_QUESTION, section.line),
    )


def _question(section: Section, key: str) -> MessageTemplate | None:
    text = section.text(key)
    if text is None:
        return None
    if not text.strip():
        section.problem(key, "must be a text, got an empty one.")
    return MessageTemplate(key, text, section.node.value[key].text_line)


def unreadable_units(each: Pass, space: LabelSpace) -> Iterator[str]:
    """Yield where an answer about a label or a group could not be written and read back, though one about all can be.

    A code that stands for labels of several groups, say, is none in an answer about one of them. Candidates can be any
    labels, so each must have a form of its own.
    """
    for what, inside in _parts(each, space):
        written = FORMATS[each.output.format]
        yield from constraint_problems(written, each.output, inside)
        for labels in (frozenset[str](), frozenset(inside.names)):
            try:
                said = written.render(labels, {}, inside, each.output)
                sound = written.parse(said, inside, each.output, False).labels == labels
                why = f"{said!r} is not read back as {listing(inside.names)}."
            except (ValueError, ParseFailure) as error:
                sound, why = False, str(error)
            if not sound:
                yield f"format {each.output.format} has no form for an answer about {what}: {why}"


def _parts(each: Pass, space: LabelSpace) -> Iterator[tuple[str, LabelSpace]]:
    """Yield what answers of a pass can be about if not about all, and the label space that they are read with."""
    if each.per != "sample":
        yield from ((f"{each.per} {unit.name}", unit.space) for unit in each.units(space))
    elif each.candidates is not None and each.questions is None and not each.output.fields:
        yield from ((f"label {name} alone", space.only([name])) for name in each.inside(space))


def impossible(each: Pass, space: LabelSpace) -> Iterator[Contradiction]:
    """Yield what cannot go together in a pass, for this label space: the key that it is told at, and the message."""
    yield from _impossible_units(each, space)
    yield from impossible_choices(each, space)
    if each.model.api in DECISION_APIS:
        yield from _impossible_decisions(each)
    elif each.output.format == DECISIONS:
        yield "output", f"format {DECISIONS} needs an API that answers so: {listing(sorted(DECISION_APIS))}."
    if each.output.has_thresholds and not _decides_by_probability(each):
        yield (
            "output",
            "'threshold' needs probabilities. Ask for log-probabilities (model.params: {logprobs: true, "
            "top_logprobs: 20}) with format yes_no or codes, or use format scores, or votes with 'how: mean'.",
        )
    if each.votes is not None and "seed" in each.model.params:
        why = "'votes' needs draws that differ, and 'seed' of 'model.params' makes them the same. Take one of them out."
        yield "votes", why
    asks_mass = FORMATS[each.output.format].weigh is not None and each.model.asks_logprobs
    if asks_mass and each.output.constrain not in ("off", "auto"):
        yield (
            "output",
            f"'constrain: {each.output.constrain}' and log-probabilities exclude each other: a constrained answer says "
            "nothing of what the model would have written. Take one of them out.",
        )
    if not (asks_mass and each.output.constrain == "auto") and each.output.constrain != "off":
        yield from _constrained_twice(each)
    takes = WIRES[each.model.api].forms
    if takes and each.output.constrain not in ("auto", "off", *takes):
        asked = each.output.constrain
        yield "output", f"'api: {each.model.api}' takes {listing(takes)} for 'constrain', got {asked}. Say auto."


def _constrained_twice(each: Pass) -> Iterator[Contradiction]:
    """Yield the parameters by which the prompt constrains the answers itself, beside `constrain`."""
    text = each.model.params.get("text")
    own = [name for name in CONSTRAINING if name in each.model.params]
    own += ["text.format"] if isinstance(text, Mapping) and "format" in text else []
    if own:
        yield (
            "output",
            f"'constrain: {each.output.constrain}' and {listing(own)} of 'model.params' exclude each other: both say what "
            "an answer must look like. Take one of them out.",
        )


def _decides_by_probability(each: Pass) -> bool:
    """Return whether there are probabilities for a threshold: those of each answer, or the mean of votes."""
    return replace(each, votes=None).gives_probabilities or (each.votes is not None and each.votes.how == "mean")


def _asks_of_one(each: Pass) -> bool:
    return FORMATS[each.output.format].one_label


def _impossible_units(each: Pass, space: LabelSpace) -> Iterator[Contradiction]:
    inside = each.scope or space.names
    if each.per != "sample" and each.output.fields:
        why = f"'per: {each.per}' asks about labels alone, so its output can hold no fields. Ask for them in another pass."
        yield "output", why
    if each.per == "group":
        grouped = {name for names in space.groups.values() for name in names}
        if lone := [name for name in inside if name in space.index and name not in grouped]:
            yield "per", f"'per: group' needs a group for every label, but these have none: {listing(lone, 5)}."
    elif each.per == "sample" and not each.chooses_groups and _asks_of_one(each) and len(inside) != 1:
        why = (
            f"format {each.output.format} answers for one label, and this pass asks about {len(inside)}. "
            "Add: per: label"
        )
        yield "output", why
    if each.per == "group" and _asks_of_one(each) and not each.chooses_groups:
        yield "per", f"format {each.output.format} answers for one label. Use 'per: label' instead of 'per: group'."


def _impossible_decisions(each: Pass) -> Iterator[Contradiction]:
    api = each.model.api
    if each.output.format != DECISIONS:
        yield (
            "output",
            (
                f"'api: {api}' answers with probabilities, not in format {each.output.format}. "
                f"Say here: output: {DECISIONS}"
            ),
        )
    if each.per != "sample":
        yield "per", f"'api: {api}' asks about every label in one request. Take 'per' out."
    if each.votes is not None:
        yield "votes", f"'api: {api}' gives probabilities, not draws. Take 'votes' out."
    if each.shots is not None:
        why = f"'api: {api}' takes no worked examples. Take 'shots' out, or move it into the passes that use it."
        yield "shots", why
    if each.output.constrain not in ("off", "auto"):
        yield "output", f"'api: {api}' writes no text that could be constrained. Take 'constrain' out."
    if len(each.output.fields) >= MOST_QUESTIONS:
        n_fields = len(each.output.fields)
        yield "output", f"'api: {api}' takes {MOST_QUESTIONS} questions a request, and there are {n_fields} fields."
