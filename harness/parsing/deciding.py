"""From probabilities to labels: thresholds, and the one place where numbers are rounded before they are stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from harness.labelspace import LabelSpace
from harness.parsing.formats import Output
from harness.records import Answer, FailureKind, ParseFailure

_READABLE = (FailureKind.UNPARSEABLE, FailureKind.TRUNCATED)


def decided(
    result: Answer | ParseFailure,
    probabilities: Mapping[str, float],
    mass: Mapping[str, float],
    space: LabelSpace,
    output: Output,
) -> Answer | ParseFailure:
    """Return the answer with its probabilities; where the output has thresholds, they decide instead of the words.

    A label is present when ``P(label) >= threshold(label)``, P rounded as it is stored. A label without a probability stays
    as the words have it. An answer that could not be read in its words is decided by thresholds all the same when every
    label has a probability; one that the model refused or that never came is not.

    Args:
        result: What the words say.
        probabilities: By label, each in [0, 1]; those of other names, and of labels that were refused, are dropped.
        mass: What they rest on, by label.
        space: The labels that the answer is about.
        output: Its thresholds decide, when it has any.
    """
    if isinstance(result, ParseFailure):
        is_complete = all(name in probabilities for name in space.names)
        if not output.has_thresholds or result.kind not in _READABLE or not is_complete:
            return result
        result = Answer(frozenset(), off_list=result.off_list)
    judged = {
        name: rounded(probabilities[name])
        for name in space.names
        if name in probabilities and name not in result.refused
    }
    if not judged:
        return result
    labels = result.labels
    if output.has_thresholds:
        over = {name for name, value in judged.items() if value >= output.threshold_of(name)}
        labels = frozenset((labels - judged.keys()) | over)
    kept = {name: rounded(mass[name]) for name in judged if name in mass}
    return replace(result, labels=labels, probabilities=judged, mass=kept)


def rounded(value: float) -> float:
    """Return a probability within [0, 1] and with six significant digits, so that what is stored is what decided."""
    return float(f"{min(1.0, max(0.0, value)):.6g}")
