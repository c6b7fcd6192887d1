"""From a prompt and a sample to a prediction: which calls to make, how to read them, how answers merge.

`predict` is a generator: it yields the calls of a pass and is sent their completions. It makes no call itself, so the same
code answers from a model (runner) and from stored completions (`harness score`).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from harness.errors import DataError
from harness.labelspace import LabelSpace
from harness.merging import Gated, Reasons, Result, choose, merge
from harness.narrowing import asked_units, cells, never_offered
from harness.parsing import read
from harness.prompt import Pass, Prompt
from harness.records import Answer, Call, Completion, Prediction, Sample
from harness.rendering import Said, answer_context, base_context, render_call, runs_now
from harness.template import TemplateError
from harness.units import Unit
from harness.voting import voted

Asking = Generator[list[Call], list[Completion], Prediction]
"""Yields the calls of one pass, is sent their completions in the same order, returns the prediction."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How answers are read and merged where not as the prompt says: what was fixed after a run.

    Attributes:
        space: Label space to read with; it has the same labels as the one that was asked with.
        passes: By name, the pass whose output, scope, merge rule and way of voting count.
        without: Names of passes that are left out, as if they had not been asked.
    """

    space: LabelSpace
    passes: Mapping[str, Pass] = field(default_factory=dict)
    without: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Step:
    """What one pass did to one sample; a pass that asked nothing has none.

    Attributes:
        name: The pass.
        context: What its templates and its `when` saw.
        units: What its calls were about.
        calls: Its calls, `Pass.draws` of them a unit.
        completions: What came back for them, in the same order.
        results: What was read for each unit.
        before: What held before.
        after: What holds now.
        closed: The labels that it closed to later passes: of groups that it did not choose, or could not.
    """

    name: str
    context: Mapping[str, Any]
    units: tuple[Unit, ...]
    calls: tuple[Call, ...]
    completions: tuple[Completion, ...]
    results: tuple[Result, ...]
    before: Prediction
    after: Prediction
    closed: frozenset[str]

    def groups(self, space: LabelSpace) -> tuple[str, ...]:
        """Return the groups of which labels were asked about and are open: for a gate those that it chose."""
        return _open_groups(self.units, self.closed, space)


def said_by(
    passes: Iterable[Pass], steps: Mapping[str, Step], space: LabelSpace, before: Prediction
) -> dict[str, Said]:
    """Return what each of some passes left of a sample, by name: what stood after it, its raw output, its groups.

    Args:
        passes: From the first one on.
        steps: By name, what those did that were asked; the others left what stood before them.
        space: The label space.
        before: What stood before the first.
    """
    left: dict[str, Said] = {}
    for each in passes:
        step = steps.get(each.name)
        if step is None:
            left[each.name] = Said(before, "")
        else:
            before = step.after
            raw = "\n".join(completion.raw or "" for completion in step.completions)
            left[each.name] = Said(before, raw, step.groups(space))
    return left


@dataclass(frozen=True, slots=True)
class _State:
    """What holds for a sample between two passes."""

    said: Prediction
    reasons: Reasons
    gated: Gated

    @property
    def closed(self) -> frozenset[str]:
        """The labels that gates closed."""
        return self.gated.closed


def predict(
    prompt: Prompt,
    space: LabelSpace,
    sample: Sample,
    repeat: int = 0,
    reading: Reading | None = None,
    watch: Callable[[Step], None] | None = None,
) -> Asking:
    """Take one sample through the passes.

    Args:
        prompt: What is asked.
        space: The label space.
        sample: Its gold is never looked at.
        repeat: Which repeat the calls belong to.
        reading: How to read the answers; default: as the prompt says.
        watch: Told what each pass did.

    Raises:
        DataError: A template or `when` fails on this sample.
    """
    reading = reading or Reading(space)
    readers = [reading.passes.get(each.name, each) for each in prompt.passes]
    fields = tuple(dict.fromkeys(name for reader in readers for name in reader.output.fields))
    nobody = Prediction(sample.id, frozenset(), unanswered=frozenset(space.names), asked_fields=fields, repeat=repeat)
    state = _State(nobody, {}, Gated())
    earlier: dict[str, Said] = {}
    base = base_context(sample, space, prompt.variables)
    for each, reader in zip(prompt.passes, readers, strict=True):
        context = {**base, **answer_context(state.said, earlier, space)} if earlier else base
        raw = ""
        runs = each.name not in reading.without and _runs(each, prompt, sample, context)
        units = asked_units(each, space, sample, state.said, state.closed, reader) if runs else ()
        before = state
        if units:
            calls = [
                replace(call, draw=call.draw + vote)
                for call in (_call(each, unit, prompt, space, sample, context, repeat) for unit in units)
                for vote in range(each.draws)
            ]
            completions = yield calls
            results = tuple(_results(units, completions, reader, space, reading.space))
            state = _merged(state, units, results, reader, space)
            raw = "\n".join(completion.raw or "" for completion in completions)
            if any(isinstance(result, Answer) for result in results):
                state = _without_the_rest(state, reader, sample, space)
            if watch is not None:
                told = (tuple(calls), tuple(completions), results, before.said, state.said, state.closed)
                watch(Step(each.name, context, units, *told))
        elif runs:
            state = _without_the_rest(state, reader, sample, space)
        earlier[each.name] = Said(state.said, raw, _open_groups(units, state.closed, space))
    return state.said


def answered(asking: Asking, find: Callable[[Call], Completion]) -> Prediction:
    """Return the prediction when ``find`` answers every call."""
    try:
        calls = next(asking)
        while True:
            calls = asking.send([find(call) for call in calls])
    except StopIteration as end:
        prediction: Prediction = end.value
        return prediction


def _results(
    units: tuple[Unit, ...], completions: list[Completion], reader: Pass, asked: LabelSpace, space: LabelSpace
) -> Generator[Result, None, None]:
    """Yield what is read for each unit: in one completion, or in several that vote.

    Groups are those that were ``asked`` about, whatever they are called today: they have no aliases that could be mended.
    """
    answered_with = space
    if reader.chooses_groups:
        answered_with = asked.as_groups if space is asked else replace(asked.as_groups, fields=space.fields)
    for at, unit in enumerate(units):
        drawn = completions[at * reader.draws : (at + 1) * reader.draws]
        within = answered_with.only(unit.space.names)
        yield voted([read(one, within, reader.output) for one in drawn], reader.votes, within, reader.output)


def _merged(
    state: _State, units: tuple[Unit, ...], results: tuple[Result, ...], reader: Pass, space: LabelSpace
) -> _State:
    """Return what holds after the answers of a pass."""
    said, reasons, gated = state.said, state.reasons, state.gated
    inside = frozenset(reader.inside(space)) if reader.chooses_groups else frozenset[str]()
    for unit, result in zip(units, results, strict=True):
        if reader.chooses_groups:
            about = replace(unit, labels=tuple(name for name in unit.labels if name in inside))
            said, reasons, gated = choose(said, reasons, gated, about, result, space.group_of)
        else:
            said, reasons = merge(said, reasons, result, cells(reader, unit, space), reader.how)
    return _State(said, reasons, gated)


def _without_the_rest(state: _State, reader: Pass, sample: Sample, space: LabelSpace) -> _State:
    """Return what holds when the open cells are absent that a pass did not ask about because they are no candidates."""
    rest = never_offered(reader, space, sample, state.said, state.closed)
    if not rest:
        return state
    said, reasons = merge(state.said, state.reasons, Answer(frozenset()), rest)
    return replace(state, said=said, reasons=reasons)


def _open_groups(units: tuple[Unit, ...], closed: frozenset[str], space: LabelSpace) -> tuple[str, ...]:
    """Return the groups of which a pass was asked about labels that are open, in label-space order."""
    asked = frozenset(name for unit in units for name in unit.labels) - closed
    return tuple(group for group, names in space.groups.items() if not asked.isdisjoint(names))


def _runs(each: Pass, prompt: Prompt, sample: Sample, context: Mapping[str, Any]) -> bool:
    try:
        return runs_now(each, context)
    except TemplateError as error:
        raise DataError(
            f"{prompt.path or prompt.version}: sample {sample.id}, 'when' of pass {each.name}: {error.message}"
        ) from None


def _call(
    each: Pass, unit: Unit, prompt: Prompt, space: LabelSpace, sample: Sample, context: Mapping[str, Any], repeat: int
) -> Call:
    try:
        return render_call(each, sample, unit, space, context, repeat, prompt.files)
    except TemplateError as error:
        where = f"{prompt.path or prompt.version}{f':{error.line}' if error.line else ''}"
        raise DataError(f"{where}: sample {sample.id}, pass {each.name}: {error.message}") from None
