"""From probabilities to labels: thresholds, and the one place where numbers are rounded before they are stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from harness.labelspace import LabelSpace
from harness.parsing.formats import Output
from harness.records import Answer, FailureKind, ParseFailure


def decided(
    result: Answer | ParseFailure,
    probabilities: Mapping[str, float],
    mass: Mapping[str, float],
    space: LabelSpace,
    output: Output,
) -> Answer | ParseFailure:
    """Return the answer with its probabilities; where the output has thresholds, they decide instead of the words.

    A label is present when ``P(label) >= threshold(label)``. An answer that could not be read in its words is decided by
    thresholds all the same when every label has a probability; one that the model refused or that never came is not.
    """
    if not probabilities:
        return result
    if not output.has_thresholds:
        return result if isinstance(result, ParseFailure) else _weighed(result, probabilities, mass)
    if isinstance(result, ParseFailure):
        readable = result.kind in (FailureKind.UNPARSEABLE, FailureKind.TRUNCATED)
        if not readable or any(name not in probabilities for name in space.names):
            return result
        result = Answer(frozenset(), off_list=result.off_list)
    judged = {name for name in space.names if name in probabilities and name not in result.refused}
    over = {name for name in judged if rounded(probabilities[name]) >= output.threshold_of(name)}
    return _weighed(replace(result, labels=frozenset((result.labels - judged) | over)), probabilities, mass)


def _weighed(answer: Answer, probabilities: Mapping[str, float], mass: Mapping[str, float]) -> Answer:
    return replace(
        answer,
        probabilities={name: rounded(value) for name, value in probabilities.items()},
        mass={name: rounded(value) for name, value in mass.items()},
    )


def rounded(value: float) -> float:
    """Return a probability within [0, 1] and with six significant digits, so that what is stored is what decided."""
    return float(f"{min(1.0, max(0.0, value)):.6g}")
