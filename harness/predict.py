"""From a prompt and a sample to a prediction: which calls to make, how to read them, how answers merge.

`predict` is a generator: it yields the calls of a pass and is sent their completions. It makes no call itself, so the same
code answers from a model (runner) and from stored completions (`harness score`).
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from harness.errors import DataError
from harness.labelspace import LabelSpace
from harness.parsing import read
from harness.prompt import Pass, Prompt, answer_context, base_context, render_call, runs_now
from harness.records import Answer, Call, Completion, ParseFailure, Prediction, Sample
from harness.template import TemplateError

Asking = Generator[list[Call], list[Completion], Prediction]
"""Yields the calls of one pass, is sent their completions in the same order, returns the prediction."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How answers are read and merged where not as the prompt says: what was fixed after a run.

    Attributes:
        space: Label space to read with; it has the same labels as the one that was asked with.
        passes: By name, the pass whose output and scope count.
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
    base = base_context(sample, space, prompt.variables)
    for each, reader in zip(prompt.passes, readers, strict=True):
        context = {**base, **answer_context(said, earlier, space)} if earlier else base
        raw = ""
        if _runs(each, prompt, sample, context):
            (completion,) = yield [_call(each, prompt, space, sample, context, repeat)]
            said = merge(said, read(completion, reading.space, reader.output), reader, space)
            raw = completion.raw or ""
        earlier[each.name] = (said, raw)
    return said


def _runs(each: Pass, prompt: Prompt, sample: Sample, context: Mapping[str, Any]) -> bool:
    try:
        return runs_now(each, context)
    except TemplateError as error:
        raise DataError(
            f"{prompt.path or prompt.version}: sample {sample.id}, 'when' of pass {each.name}: {error.message}"
        ) from None


def _call(
    each: Pass, prompt: Prompt, space: LabelSpace, sample: Sample, context: Mapping[str, Any], repeat: int
) -> Call:
    try:
        return render_call(each, sample, space, context, repeat)
    except TemplateError as error:
        where = f"{prompt.path or prompt.version}{f':{error.line}' if error.line else ''}"
        raise DataError(f"{where}: sample {sample.id}, pass {each.name}: {error.message}") from None


def merge(before: Prediction, result: Answer | ParseFailure, each: Pass, space: LabelSpace) -> Prediction:
    """Return what holds after a pass: it replaces the cells of its scope, and a failed pass changes no answered cell."""
    scope = frozenset(each.scope or space.names)
    if isinstance(result, ParseFailure):
        told = bool(before.unanswered & scope)
        return replace(
            before,
            off_list=before.off_list + result.off_list,
            failure=result.kind if told else before.failure,
            why=result.why if told else before.why,
        )
    unanswered = before.unanswered - scope
    return replace(
        before,
        labels=(before.labels - scope) | (result.labels & scope),
        unanswered=unanswered,
        failure=before.failure if unanswered else None,
        why=before.why if unanswered else None,
        off_list=before.off_list + result.off_list,
        fields={**before.fields, **result.fields},
        repaired=before.repaired or result.repaired,
    )
