"""What templates and expressions see, and the requests that a pass becomes for a sample."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from harness.kept import Kept
from harness.labelspace import LabelSpace
from harness.parsing import FORMATS
from harness.prompt import MessageTemplate, Pass, Per, QuestionTemplates
from harness.records import Call, Message, Prediction, Question, Sample, first_right
from harness.template import ENVIRONMENT, NO_FILES, TemplateError, expression, render
from harness.templatenames import names_used
from harness.units import Unit

TASK_NAMES = frozenset({"labels", "groups"})
"""Names that every template has, beside the input columns and the variables."""

ANSWER_NAMES = frozenset({"predicted", "n_predicted", "failed", "failure", "off_list", "fields", "passes"})
"""Names of the answer so far, in passes after the first."""

WEIGHED_NAMES = frozenset({"scores", "confidence"})
"""Names of the answer so far that are there when an earlier pass gives probabilities."""

UNIT_NAMES: Mapping[Per, frozenset[str]] = {
    "sample": frozenset(),
    "label": frozenset({"label"}),
    "group": frozenset({"group"}),
}
"""Names of what a call is about, by the pass's `per`; in a template that names labels `label` has them already."""


class Said(NamedTuple):
    """What an earlier pass left.

    Attributes:
        prediction: What stood after it.
        raw: Its raw output; "" where it was not asked or no text came back.
        groups: The groups that it chose, for a gate; for other passes those it was asked about. In label-space order.
    """

    prediction: Prediction
    raw: str
    groups: tuple[str, ...] = ()


_ANSWERS = Kept[tuple[str, ...]]()
_QUESTIONS = Kept[tuple[str, ...]]()
_INSTRUCTIONS = Kept[str]()
_ABSENT = object()


def known_names(
    prompt_pass: Pass, earlier: Sequence[Pass], *, columns: frozenset[str], variables: frozenset[str]
) -> frozenset[str]:
    """Return the names that the templates of a pass may use after the ``earlier`` ones."""
    names = columns | variables | TASK_NAMES | UNIT_NAMES[prompt_pass.per]
    if prompt_pass.shots is not None:
        names |= {"shots"}
    if offers_candidates(prompt_pass):
        names |= {"candidates"}
    return names | answer_names(earlier)


def offers_candidates(each: Pass) -> bool:
    """Return whether the templates of a pass see ``candidates``: the labels, or for a gate the groups, to choose from."""
    return each.candidates is not None or each.chooses_groups


def answer_names(earlier: Sequence[Pass]) -> frozenset[str]:
    """Return the names of the answer that the ``earlier`` passes leave."""
    if not earlier:
        return frozenset()
    weighed = any(each.gives_probabilities and not each.chooses_groups for each in earlier)
    return ANSWER_NAMES | WEIGHED_NAMES if weighed else ANSWER_NAMES


class _Fields(dict[str, Any]):
    """The fields that were answered. To look up one that was asked for and has no answer gives None, and is no error."""

    def __init__(self, said: Prediction) -> None:
        super().__init__(said.fields)
        self._asked = frozenset(said.asked_fields)

    def __missing__(self, name: str) -> None:
        if name not in self._asked:
            raise KeyError(name)


def answer_context(so_far: Prediction, earlier: Mapping[str, Said], space: LabelSpace) -> dict[str, Any]:
    """Return the answer so far as template names, labels in label-space order.

    `scores` has every label; one without a probability has NaN, with which no comparison is true. `confidence` is 0 when a
    cell is unanswered or nothing has a probability: that is what a second look is for. `fields` has the answered ones; one
    that nobody answered is None where it is looked up, as one is of which the answer says that there is nothing.

    Args:
        so_far: What the passes up to now say together.
        earlier: What each earlier pass left, by its name.
        space: The label space.
    """
    return {
        "predicted": space.ordered(so_far.labels),
        "n_predicted": len(so_far.labels),
        "failed": so_far.failed,
        "failure": None if so_far.failure is None else str(so_far.failure),
        "off_list": list(so_far.off_list),
        "fields": _Fields(so_far),
        "scores": _scores(so_far, space),
        "confidence": 0.0 if so_far.failed else so_far.confidence or 0.0,
        "passes": {
            name: {
                "predicted": space.ordered(left.prediction.labels),
                "raw": left.raw,
                "fields": _Fields(left.prediction),
                "groups": list(left.groups),
            }
            for name, left in earlier.items()
        },
    }


def _scores(so_far: Prediction, space: LabelSpace) -> dict[str, float]:
    """Return P(label) of every label, in label-space order; NaN where there is none."""
    if not so_far.probabilities:
        return dict.fromkeys(space.names, math.nan)
    return {name: so_far.probabilities.get(name, math.nan) for name in space.names}


def runs_now(each: Pass, context: Mapping[str, Any]) -> bool:
    """Return whether a pass runs, by its `when`.

    Raises:
        TemplateError: The expression fails on this answer.
    """
    return each.when is None or bool(expression(each.when)(context))


def unit_context(each: Pass, unit: Unit, space: LabelSpace) -> dict[str, Any]:
    """Return what the templates of a pass see of the unit that they ask about: ``label``, ``group``, ``candidates``."""
    context: dict[str, Any] = {"candidates": unit.space.labels} if offers_candidates(each) else {}
    if each.per == "label":
        context["label"] = unit.space.labels[0]
    if each.per == "group":
        context["group"] = space.group(unit.name, space.only(unit.labels).labels)
    return context


def render_call(
    each: Pass,
    sample: Sample,
    unit: Unit,
    space: LabelSpace,
    context: Mapping[str, Any],
    repeat: int = 0,
    files: Mapping[str, str] = NO_FILES,
) -> Call:
    """Return the request of a pass for a sample and unit, its first draw.

    Shots become turns of user and assistant before the last user message, rendered by the same template and the same
    output format as the question itself; a template that uses `shots` places them itself.

    Raises:
        TemplateError: A template fails on this sample; its line is that of the prompt file, 0 where that is unknown.
            Or the sample's shots are not chosen yet.
    """
    context = {**context, **unit_context(each, unit, space)}
    shots = _shots_of(each, sample, unit)
    answers = _shot_answers(each, shots, unit, space)
    if each.shots is not None:
        offered = [_offered(each, shot, unit, space) for shot in shots]
        pairs = zip(shots, answers, offered, strict=True)
        context = {**context, "shots": [{**shot.inputs, **own, "answer": answer} for shot, answer, own in pairs]}
    turn = shot_turn(each, files)
    # A shot is asked with its own columns alone: what it lacks must not come from the sample.
    hidden = ANSWER_NAMES | WEIGHED_NAMES | sample.inputs.keys()
    bare = {name: value for name, value in context.items() if name not in hidden}
    messages: list[Message] = []
    for message in each.messages:
        if message is turn:
            asked = _shot_questions(each, message, shots, unit, space, bare, files)
            for question, answer in zip(asked, answers, strict=True):
                messages.append({"role": "user", "content": question})
                messages.append({"role": "assistant", "content": answer})
        messages.append({"role": message.role, "content": _instructions(message, context, sample, files)})
    questions = () if each.questions is None else tuple(_questions(each, each.questions, unit, space, context, files))
    labels = () if unit.space.names == space.names else unit.space.names
    return Call(sample.id, each.name, unit.name, repeat, tuple(messages), repeat * each.draws, labels, questions)


def _questions(
    each: Pass,
    templates: QuestionTemplates,
    unit: Unit,
    space: LabelSpace,
    context: Mapping[str, Any],
    files: Mapping[str, str],
) -> Iterator[Question]:
    """Yield a predicate for each label of the unit, and in the first unit a choice for each field."""
    for label in unit.space:
        words = _render(templates.label, {**context, "label": label}, files)
        yield Question(name=label.name, kind="predicate", instructions=words)
    first = each.units(space)[0].name
    for name in each.output.fields if unit.name == first else ():
        asked = space.field(name)
        if asked is not None:
            words = _render(templates.field, {**context, "field": asked}, files)
            choices: tuple[str | bool, ...] = asked.values or (True, False)
            yield Question(name=name, kind="choice", instructions=words, choices=choices)


def shot_turn(each: Pass, files: Mapping[str, str] = NO_FILES) -> MessageTemplate | None:
    """Return the message that asks for the shots too, the last user message; None when a template places them itself.

    Raises:
        TemplateError: A template is not valid Jinja.
    """
    if any("shots" in names_used(message.source, files) for message in each.messages):
        return None
    return next((message for message in reversed(each.messages) if message.role == "user"), None)


def base_context(sample: Sample, space: LabelSpace, variables: Mapping[str, str]) -> dict[str, Any]:
    """Return what every template sees: input columns, variables and the label space. Never gold."""
    return {**variables, **sample.inputs, "labels": space.labels, "groups": space.groups}


def columns_of(samples: Iterable[Sample]) -> frozenset[str]:
    """Return the input columns that every one of the samples has."""
    common: frozenset[str] | None = None
    for sample in samples:
        common = frozenset(sample.inputs) if common is None else common & sample.inputs.keys()
    return common or frozenset()


def _shots_of(each: Pass, sample: Sample, unit: Unit) -> tuple[Sample, ...]:
    """Return the worked examples of a call, in order."""
    if each.shots is None:
        return ()
    shots = each.shots.of(unit.name, sample.shots.get(each.name))
    if shots is None:
        raise TemplateError("its shots are not chosen yet.", 0)
    return shots


def shot_answer(shot: Sample, each: Pass, unit: Unit, space: LabelSpace) -> str:
    """Return what a perfect model would answer to a shot, in the pass's output format.

    Raises:
        ValueError: The format cannot write it.
    """
    fields = {name: first_right(shot.fields.get(name)) for name in each.output.fields}
    gold: Iterable[str] = shot.labels or ()
    if each.chooses_groups:
        gold = (space.group_of[name] for name in gold if name in unit.labels)
    within = _shot_space(each, shot, unit, space)
    labels = frozenset(name for name in gold if name in within.index)
    return FORMATS[each.output.format].render(labels, fields, within, each.output)


def _shot_space(each: Pass, shot: Sample, unit: Unit, space: LabelSpace) -> LabelSpace:
    """Return the label space that a shot is asked and answered with.

    Where each sample has candidates, that is those of the sample and the shot's own labels: among candidates of another text
    its right answer would nearly always be none, and that is what the model would learn.
    """
    if each.candidates is None or each.per != "sample":
        return unit.space
    own = (shot.labels or frozenset()) & frozenset(each.inside(space))
    return space.only(space.ordered(own | frozenset(unit.space.names)))


def _offered(each: Pass, shot: Sample, unit: Unit, space: LabelSpace) -> dict[str, Any]:
    """Return the candidates of a shot where it has its own."""
    own = each.candidates is not None and each.per == "sample"
    return {"candidates": _shot_space(each, shot, unit, space).labels} if own else {}


def _shot_answers(each: Pass, shots: tuple[Sample, ...], unit: Unit, space: LabelSpace) -> tuple[str, ...]:
    """Return the answers of shots, in their order."""

    def answers() -> tuple[str, ...]:
        return tuple(shot_answer(shot, each, unit, space) for shot in shots)

    return _ANSWERS.of((), (each, unit.space, space, *shots), answers) if shots else ()


def _shot_questions(
    each: Pass,
    message: MessageTemplate,
    shots: tuple[Sample, ...],
    unit: Unit,
    space: LabelSpace,
    bare: Mapping[str, Any],
    files: Mapping[str, str],
) -> tuple[str, ...]:
    """Return the questions of shots, in their order: a template that does not use `shots` in these names and theirs."""

    def questions() -> tuple[str, ...]:
        return tuple(
            _render(message, {**bare, **shot.inputs, **_offered(each, shot, unit, space)}, files) for shot in shots
        )

    names = tuple(name for name in bare if name != "shots")
    objects = (each, message, unit.space, files, *shots, *(bare[name] for name in names))
    return _QUESTIONS.of((unit.name, *names), objects, questions) if shots else ()


def _instructions(
    message: MessageTemplate, context: Mapping[str, Any], sample: Sample, files: Mapping[str, str]
) -> str:
    """Return a message; one that takes nothing from the sample or the answer so far is the same for all samples."""
    used = names_used(message.source, files)
    changing = ANSWER_NAMES | WEIGHED_NAMES | sample.inputs.keys() | {"shots"}
    # `names_used` leaves out what Jinja itself defines, so a column of such a name would go unnoticed.
    if not changing.isdisjoint(used) or not ENVIRONMENT.globals.keys().isdisjoint(context):
        return _render(message, context, files)
    objects = (files, *(context.get(name, _ABSENT) for name in used))
    return _INSTRUCTIONS.of((message.source, *used), objects, lambda: _render(message, context, files))


def _render(message: MessageTemplate, context: Mapping[str, Any], files: Mapping[str, str]) -> str:
    try:
        return render(message.source, context, files)
    except TemplateError as error:
        line = error.line + message.line - 1 if message.line else 0
        raise TemplateError(error.bare, line, error.where) from None
