"""From a prompt and a sample to a prediction: which calls to make, how to read them, how answers merge.

`predict` is a generator: it yields the calls of a pass and is sent their completions. It makes no call itself, so the same
code answers from a model (runner) and from stored completions (`harness score`).
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import replace

from harness.errors import DataError
from harness.labelspace import LabelSpace
from harness.parsing import Output, read
from harness.prompt import Pass, Prompt, answer_context, base_context, render_call, runs_now
from harness.records import Answer, Call, Completion, ParseFailure, Prediction, Sample
from harness.template import TemplateError

Asking = Generator[list[Call], list[Completion], Prediction]
"""Yields the calls of one pass, is sent their completions in the same order, returns the prediction."""


def predict(
    prompt: Prompt,
    space: LabelSpace,
    sample: Sample,
    repeat: int = 0,
    outputs: Mapping[str, Output] | None = None,
) -> Asking:
    """Take one sample through the passes.

    Args:
        prompt: What is asked.
        space: The label space.
        sample: Its gold is never looked at.
        repeat: Which repeat the calls belong to.
        outputs: By pass name, how to read the answers where not as the prompt says: a parser fixed after the run.

    Raises:
        DataError: A template fails on this sample.
    """
    said = Prediction(
        sample.id, frozenset(), unanswered=frozenset(space.names), asked_fields=prompt.asked_fields, repeat=repeat
    )
    earlier: dict[str, tuple[Prediction, str | None]] = {}
    base = base_context(sample, space, prompt.variables)
    for each in prompt.passes:
        context = {**base, **answer_context(said, earlier)} if earlier else base
        try:
            if not runs_now(each, context):
                continue
            call = render_call(each, sample, space, context, repeat)
        except TemplateError as error:
            where = f"{prompt.path or prompt.version}:{error.line}"
            raise DataError(f"{where}: sample {sample.id}, pass {each.name}: {error.message}") from None
        (completion,) = yield [call]
        output = (outputs or {}).get(each.name, each.output)
        said = merge(said, read(completion, space, output), each, space)
        earlier[each.name] = (said, completion.raw)
    return said


def merge(before: Prediction, result: Answer | ParseFailure, each: Pass, space: LabelSpace) -> Prediction:
    """Return what holds after a pass: it replaces the cells of its scope, and a failed pass changes no answered cell."""
    scope = frozenset(each.scope or space.names)
    if isinstance(result, ParseFailure):
        return replace(
            before,
            off_list=before.off_list + result.off_list,
            failure=result.kind if before.unanswered else before.failure,
            why=result.why if before.unanswered else before.why,
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
