"""Votes: several draws of the same request become one answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness.labelspace import LabelSpace
from harness.parsing import Output
from harness.parsing.deciding import rounded
from harness.prompt import Votes
from harness.records import Answer, FieldValue, ParseFailure


def voted(
    results: Sequence[Answer | ParseFailure], votes: Votes | None, space: LabelSpace, output: Output
) -> Answer | ParseFailure:
    """Return the one answer that draws give together.

    Draws that failed have no vote; when all of them failed, the last failure is the result. A label's probability is the
    share of the answered draws that have it; for "mean", the mean of their own probabilities where all of them have one,
    and its mass the mean of what these rest on. A share of votes rests on no tokens, so that it has no mass.
    A label that any draw was refused for stays refused when no other draw answered it.

    Args:
        results: At least one; exactly one without ``votes``.
        votes: None hands the only result on.
        space: The label space that was asked about.
        output: Its thresholds decide for "mean".
    """
    if votes is None:
        return results[0]
    answers = [each for each in results if isinstance(each, Answer)]
    if not answers:
        return results[-1]
    shares: dict[str, float] = {}
    mass: dict[str, float] = {}
    present: set[str] = set()
    for name in space.names:
        mine = [each for each in answers if name not in each.refused]
        if not mine:
            continue
        count = sum(name in each.labels for each in mine)
        share = count / len(mine)
        if votes.how == "mean" and all(name in each.probabilities for each in mine):
            share = sum(each.probabilities[name] for each in mine) / len(mine)
            if all(name in each.mass for each in mine):
                mass[name] = rounded(sum(each.mass[name] for each in mine) / len(mine))
        shares[name] = rounded(share)
        if _decides(votes, count, len(mine), shares[name], output.threshold_of(name)):
            present.add(name)
    return Answer(
        labels=frozenset(present),
        off_list=tuple(text for each in results for text in each.off_list),
        fields={name: _most_frequent(name, answers) for each in answers for name in each.fields},
        repaired=any(each.repaired for each in answers),
        probabilities=shares,
        mass=mass,
        refused=frozenset(space.names) - shares.keys(),
    )


def _decides(votes: Votes, count: int, of: int, share: float, threshold: float) -> bool:
    """Return whether ``count`` votes of ``of`` make a label present."""
    if votes.how == "mean":
        return share >= threshold
    return {"any": count > 0, "all": count == of, "majority": 2 * count > of}[votes.how]


def _most_frequent(name: str, answers: Sequence[Answer]) -> FieldValue:
    """Return the value that most draws gave a field, of equally frequent ones the first."""
    return Counter(each.fields[name] for each in answers if name in each.fields).most_common(1)[0][0]
