"""From a prompt and a sample to a prediction: which calls to make, how to read them, how answers merge.

`predict` is a generator: it yields the calls of a pass and is sent their completions. It makes no call itself, so the same
code answers from a model (runner) and from stored completions (`harness score`).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from harness.errors import DataError
from harness.kept import Kept
from harness.labelspace import LabelSpace
from harness.merging import Gated, Reasons, Result, choose, merge
from harness.narrowing import asked_units, cells, never_offered
from harness.parsing import Output, read
from harness.prompt import Pass, Prompt
from harness.records import Answer, Call, Completion, Prediction, Sample
from harness.rendering import Said, answer_context, base_context, render_call, runs_now
from harness.stencil import stencil_of
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


_UNGATED = Gated()
_NOTHING: Mapping[str, Any] = {}
"""The fields and probabilities of whoever has none: one object for all samples, and nobody changes it."""


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


class _OneCall(NamedTuple):
    """All that there is to a prompt that makes one call for a sample, the same for every one, as most prompts do.

    Attributes:
        within: The label space that the answer is read with.
        cells: What it fills.
    """

    each: Pass
    output: Output
    unit: Unit
    within: LabelSpace
    cells: frozenset[str]


class _Passes(NamedTuple):
    """The passes of a prompt, each as it asks and as it is read, and what every prediction begins with."""

    pairs: tuple[tuple[Pass, Pass], ...]
    fields: tuple[str, ...]
    labels: frozenset[str]
    reading: Reading
    one_call: _OneCall | None


_PASSES = Kept[_Passes]()


def _passes(prompt: Prompt, space: LabelSpace, reading: Reading) -> _Passes:
    readers = [reading.passes.get(each.name, each) for each in prompt.passes]
    fields = tuple(dict.fromkeys(name for reader in readers for name in reader.output.fields))
    pairs = tuple(zip(prompt.passes, readers, strict=True))
    one_call = _one_call(*pairs[0], space, reading) if len(pairs) == 1 else None
    return _Passes(pairs, fields, frozenset(space.names), reading, one_call)


def _one_call(each: Pass, reader: Pass, space: LabelSpace, reading: Reading) -> _OneCall | None:
    """Return what there is to a prompt's only pass where nothing about it depends on the sample but its texts."""
    units = each.units(space)
    varies = each.when is not None or each.candidates is not None or each.chooses_groups or each.name in reading.without
    if varies or len(units) != 1 or each.votes is not None or reader.votes is not None or reader.how != "replace":
        return None
    (unit,) = units
    within = unit.space if space is reading.space else reading.space.only(unit.space.names)
    return _OneCall(each, reader.output, unit, within, cells(reader, unit, space))


def predict(
    prompt: Prompt,
    space: LabelSpace,
    sample: Sample,
    repeat: int = 0,
    reading: Reading | None = None,
    watch: Callable[[Step], None] | None = None,
    *,
    wordless: Container[str] = (),
) -> Asking:
    """Take one sample through the passes.

    Args:
        prompt: What is asked.
        space: The label space.
        sample: Its gold is never looked at.
        repeat: Which repeat the calls belong to.
        reading: How to read the answers; default: as the prompt says.
        watch: Told what each pass did.
        wordless: Names of passes whose calls need no messages and questions, because only their slots are looked at.

    Raises:
        DataError: A template or `when` fails on this sample.
    """
    passes = _PASSES.of((), (prompt, space, reading), lambda: _passes(prompt, space, reading or Reading(space)))
    reading = passes.reading
    nobody = Prediction(
        sample=sample.id,
        labels=frozenset(),
        unanswered=passes.labels,
        fields=_NOTHING,
        asked_fields=passes.fields,
        repeat=repeat,
        probabilities=_NOTHING,
        mass=_NOTHING,
    )
    if passes.one_call is not None and watch is None:
        one = passes.one_call
        asking = _Asking(one.each, prompt, space, sample, None, repeat, True, one.each.name in wordless)
        (completion,) = yield [asking.call(one.unit)]
        return merge(nobody, {}, read(completion, one.within, one.output), one.cells)[0]
    state = _State(nobody, {}, _UNGATED)
    earlier: dict[str, Said] = {}
    base = base_context(sample, space, prompt.variables)
    for each, reader in passes.pairs:
        context = {**base, **answer_context(state.said, earlier, space)} if earlier else base
        raw: Sequence[Completion] = ()
        runs = each.name not in reading.without and _runs(each, prompt, sample, context)
        units = asked_units(each, space, sample, state.said, state.closed, reader) if runs else ()
        before = state
        if units:
            asking = _Asking(each, prompt, space, sample, context, repeat, not state.closed, each.name in wordless)
            calls = [call for unit in units for call in asking.draws(unit)]
            completions = yield calls
            results = tuple(_results(units, completions, reader, space, reading.space))
            state = _merged(state, units, results, reader, space)
            raw = completions
            if any(isinstance(result, Answer) for result in results):
                state = _without_the_rest(state, reader, sample, space)
            if watch is not None:
                told = (tuple(calls), tuple(completions), results, before.said, state.said, state.closed)
                watch(Step(each.name, context, units, *told))
        elif runs:
            state = _without_the_rest(state, reader, sample, space)
        if each is not passes.pairs[-1][0]:  # what the last one left, nobody looks at
            text = "\n".join(completion.raw or "" for completion in raw)
            earlier[each.name] = Said(state.said, text, _open_groups(units, state.closed, space))
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
        within = unit.space if space is asked else answered_with.only(unit.space.names)
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


class _Asking(NamedTuple):
    """What the calls of a pass about a sample are made of.

    Attributes:
        context: What its templates see; None where no answer came before.
        whole: No gate closed labels, so that its units are those of all samples.
        wordless: Its calls need no messages.
    """

    each: Pass
    prompt: Prompt
    space: LabelSpace
    sample: Sample
    context: Mapping[str, Any] | None
    repeat: int
    whole: bool
    wordless: bool

    def draws(self, unit: Unit) -> Iterator[Call]:
        """Yield the calls about a unit."""
        call = self.call(unit)
        yield call
        for vote in range(1, self.each.draws):
            yield replace(call, draw=call.draw + vote)

    def call(self, unit: Unit) -> Call:
        """Return the call about a unit, its first draw."""
        each, prompt, space, sample, repeat = self.each, self.prompt, self.space, self.sample, self.repeat
        if self.wordless:
            return Call(sample.id, each.name, unit.name, repeat, (), repeat * each.draws)
        if self.whole and each.candidates is None:
            stencil = stencil_of(each, unit, space, prompt, sample)
            if stencil is not None and stencil.fits(sample):
                return stencil.call(sample, repeat)
        try:
            context = self.context or base_context(sample, space, prompt.variables)
            return render_call(each, sample, unit, space, context, repeat, prompt.files)
        except TemplateError as error:
            where = f"{prompt.path or prompt.version}{f':{error.line}' if error.line else ''}"
            raise DataError(f"{where}: sample {sample.id}, pass {each.name}: {error.message}") from None
