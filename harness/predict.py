"""From a prompt and a sample to a prediction: which calls to make, how to read them, how answers merge.

`predict` is a generator: it yields the calls of a pass and is sent their completions. It makes no call itself, so the same
code answers from a model (runner) and from stored completions (`harness score`).
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from harness.errors import DataError, listing
from harness.labelspace import LabelSpace
from harness.parsing import FORMATS, read
from harness.prompt import Pass, Prompt, Unit
from harness.records import Answer, Call, Completion, FailureKind, ParseFailure, Prediction, Sample
from harness.rendering import answer_context, base_context, render_call, runs_now
from harness.template import TemplateError
from harness.voting import voted

Reasons = Mapping[str, tuple[FailureKind, str]]
"""By unanswered cell the failure that left it so and its words, the latest failure last."""

Asking = Generator[list[Call], list[Completion], Prediction]
"""Yields the calls of one pass, is sent their completions in the same order, returns the prediction."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How answers are read and merged where not as the prompt says: what was fixed after a run.

    Attributes:
        space: Label space to read with; it has the same labels as the one that was asked with.
        passes: By name, the pass whose output, scope and way of voting count.
    """

    space: LabelSpace
    passes: Mapping[str, Pass] = field(default_factory=dict)


def predict(
    prompt: Prompt, space: LabelSpace, sample: Sample, repeat: int = 0, reading: Reading | None = None
) -> Asking:
    """Take one sample through the passes.

    Args:
        prompt: What is asked.
        space: The label space.
        sample: Its gold is never looked at.
        repeat: Which repeat the calls belong to.
        reading: How to read the answers; default: as the prompt says.

    Raises:
        DataError: A template or `when` fails on this sample.
    """
    reading = reading or Reading(space)
    readers = [reading.passes.get(each.name, each) for each in prompt.passes]
    said = Prediction(
        sample.id,
        frozenset(),
        unanswered=frozenset(space.names),
        asked_fields=tuple(dict.fromkeys(name for reader in readers for name in reader.output.fields)),
        repeat=repeat,
    )
    earlier: dict[str, tuple[Prediction, str]] = {}
    reasons: Reasons = {}
    base = base_context(sample, space, prompt.variables)
    for each, reader in zip(prompt.passes, readers, strict=True):
        context = {**base, **answer_context(said, earlier, space)} if earlier else base
        raw = ""
        if _runs(each, prompt, sample, context):
            units = each.units(space)
            calls = [
                replace(call, draw=call.draw + vote)
                for call in (_call(each, unit, prompt, space, sample, context, repeat) for unit in units)
                for vote in range(each.draws)
            ]
            completions = yield calls
            for at, unit in enumerate(units):
                drawn = completions[at * each.draws : (at + 1) * each.draws]
                within = reading.space.only(unit.space.names)
                result = voted([read(one, within, reader.output) for one in drawn], reader.votes, within, reader.output)
                said, reasons = merge(said, reasons, result, _cells(reader, unit, space))
            raw = "\n".join(completion.raw or "" for completion in completions)
        earlier[each.name] = (said, raw)
    return said


def _cells(each: Pass, unit: Unit, space: LabelSpace) -> frozenset[str]:
    """Return the cells that an answer fills: those of the pass's scope that it was asked about."""
    scope = frozenset(each.scope or space.names)
    return scope & frozenset(unit.labels) if asks_by_label(each) else scope


def asks_by_label(each: Pass) -> bool:
    """Return whether the calls of a pass ask about certain labels; a text about the sample may name any."""
    return each.per != "sample" or each.questions is not None or FORMATS[each.output.format].one_label


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


def merge(
    before: Prediction, reasons: Reasons, result: Answer | ParseFailure, scope: frozenset[str]
) -> tuple[Prediction, Reasons]:
    """Return what holds after an answer: it replaces the cells of its scope, and a failure changes no answered cell.

    Args:
        before: What held before.
        reasons: Why cells are unanswered in it.
        result: The answer.
        scope: The cells that it is about.
    """
    if isinstance(result, ParseFailure):
        answered, failed, why = frozenset[str](), before.unanswered & scope, (result.kind, result.why)
        after = replace(before, off_list=before.off_list + result.off_list)
    else:
        refused = result.refused & scope
        answered, failed = scope - refused, before.unanswered & refused
        why = (FailureKind.REFUSAL, f"refused: {listing(sorted(refused))}")
        after = replace(
            before,
            labels=(before.labels - answered) | (result.labels & answered),
            unanswered=before.unanswered - answered,
            probabilities=_replaced(before.probabilities, result.probabilities, answered),
            mass=_replaced(before.mass, result.mass, answered),
            off_list=before.off_list + result.off_list,
            fields={**before.fields, **result.fields},
            repaired=before.repaired or result.repaired,
        )
    left = {name: reason for name, reason in reasons.items() if name not in answered | failed}
    left |= dict.fromkeys(sorted(failed), why)
    kind, words = next(reversed(left.values()), (None, None))
    return replace(after, failure=kind, why=words), left


def _replaced(before: Mapping[str, float], new: Mapping[str, float], cells: frozenset[str]) -> dict[str, float]:
    """Return the numbers of all cells, those of the answered ones from the new answer alone."""
    kept = {name: value for name, value in before.items() if name not in cells}
    return kept | {name: value for name, value in new.items() if name in cells}
