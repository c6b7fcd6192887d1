"""How the answer of a pass and what earlier passes said become one: the merge rules. Pure.

| rule | what it does with the cells of its scope |
|---|---|
| replace | they take the answer |
| add | the labels that the answer names are present; the others are left alone |
| remove | the labels that the answer names are absent; the others are left alone |
| union | present when either says so |
| intersection | present when both say so |
| confirm | a label that was present stays only when the answer names it; nothing else changes |

A cell that nobody answered yet takes the answer under replace, union and intersection. Under add and remove it is answered
when the answer names it, and confirm leaves it: there is nothing to confirm. Whatever the rule, a failure changes no
answered cell, a refused cell is left alone, and no cell outside of the scope changes. The same answer twice is the same
answer once.

A cell belongs to the pass that decided it: that answered it first, or changed what it said. With replace that is the last
one that answered; under the other rules a pass that only says what is said already leaves the cell to whom it belonged. The
cell's probability is that of the pass it belongs to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeGuard

from harness.errors import listing
from harness.parsing.deciding import rounded
from harness.prompt import MergeHow
from harness.records import Answer, FailureKind, ParseFailure, Prediction
from harness.units import Unit

Reasons = Mapping[str, tuple[FailureKind, str]]
"""By unanswered cell the failure that left it so and its words, the latest failure last."""

Result = Answer | ParseFailure


def merge(
    before: Prediction, reasons: Reasons, result: Result, scope: frozenset[str], how: MergeHow = "replace"
) -> tuple[Prediction, Reasons]:
    """Return what holds after an answer, and why cells are unanswered in it.

    Args:
        before: What held before.
        reasons: Why cells are unanswered in it.
        result: The answer.
        scope: The cells that it is about.
        how: The merge rule.
    """
    if how == "replace" and not reasons and before.unanswered == scope and _is_plain(result, before):
        return _first(before, result, scope), {}
    if isinstance(result, ParseFailure):
        failed = before.unanswered & changeable(before, scope, how)
        taken, why = frozenset[str](), (result.kind, result.why)
        after = replace(before, off_list=before.off_list + result.off_list)
    else:
        refused = result.refused & scope
        failed = before.unanswered & changeable(before, refused, how)
        why = (FailureKind.REFUSAL, f"refused: {listing(sorted(refused))}")
        taken = _taken(before, result, scope - refused, how)
        present = frozenset[str]() if how == "remove" else result.labels & taken
        after = replace(
            before,
            labels=(before.labels - taken) | present,
            unanswered=before.unanswered - taken,
            probabilities=_replaced(before.probabilities, _of_presence(result, how), taken),
            mass=_replaced(before.mass, result.mass, taken),
            off_list=before.off_list + result.off_list,
            fields={**before.fields, **result.fields},
            repaired=before.repaired or result.repaired,
        )
    anew = taken | failed
    left = {name: reason for name, reason in reasons.items() if name not in anew}
    left |= dict.fromkeys(sorted(failed), why)
    kind, words = next(reversed(left.values()), (None, None))
    return replace(after, failure=kind, why=words), left


def _is_plain(result: Result, before: Prediction) -> TypeGuard[Answer]:
    """Return whether a result is a first answer by labels alone: nothing was said before, nothing is weighed or refused."""
    if not isinstance(result, Answer) or before.labels or before.probabilities or before.mass:
        return False
    return not (result.refused or result.probabilities or result.mass)


def _first(before: Prediction, answer: Answer, scope: frozenset[str]) -> Prediction:
    """Return what holds after a plain first answer to all cells that are open: what most passes come to, made at once."""
    return Prediction(
        before.sample,
        answer.labels if answer.labels <= scope else answer.labels & scope,
        off_list=before.off_list + answer.off_list,
        fields={**before.fields, **answer.fields} if answer.fields else before.fields,
        asked_fields=before.asked_fields,
        repaired=before.repaired or answer.repaired,
        repeat=before.repeat,
        probabilities=before.probabilities,
        mass=before.mass,
    )


def changeable(before: Prediction, cells: frozenset[str], how: MergeHow) -> frozenset[str]:
    """Return those of some cells that an answer can change by a merge rule, or answer first, whatever it says."""
    match how:
        case "replace":
            return cells
        case "add" | "union":
            return cells - before.labels
        case "remove" | "intersection":
            return cells & (before.labels | before.unanswered)
        case "confirm":
            return cells & before.labels


def _taken(before: Prediction, answer: Answer, answered: frozenset[str], how: MergeHow) -> frozenset[str]:
    """Return the cells that the answer decides, among those that it answered."""
    free = changeable(before, answered, how)
    match how:
        case "replace":
            return free
        case "add" | "remove":
            return free & answer.labels
        case "union":
            return free & (answer.labels | before.unanswered)
        case "intersection":
            return (free - answer.labels) | (free & before.unanswered)
        case "confirm":
            return free - answer.labels


def _of_presence(answer: Answer, how: MergeHow) -> Mapping[str, float]:
    """Return P(label) by label: an answer that names what must go gives the probability that it is absent."""
    if how != "remove":
        return answer.probabilities
    return {name: rounded(1 - value) for name, value in answer.probabilities.items()}


def _replaced(before: Mapping[str, float], new: Mapping[str, float], cells: frozenset[str]) -> dict[str, float]:
    """Return the numbers of all cells, those of the given ones from the new answer alone."""
    kept = {name: value for name, value in before.items() if name not in cells}
    return kept | {name: value for name, value in new.items() if name in cells}


@dataclass(frozen=True, slots=True)
class Gated:
    """What gates have said so far.

    Attributes:
        closed: Labels that later passes by group or label are not asked about: those of groups that were not chosen, and
            those for which no gate has an answer but one was asked.
        decided: Labels about whose group a gate has an answer, whichever.
    """

    closed: frozenset[str] = frozenset()
    decided: frozenset[str] = frozenset()


def choose(
    before: Prediction, reasons: Reasons, gated: Gated, unit: Unit, result: Result, group_of: Mapping[str, str]
) -> tuple[Prediction, Reasons, Gated]:
    """Return what holds after the answer of a gate, why cells are unanswered, and what gates have said by now.

    The labels of groups that it did not choose are absent. Those of the chosen ones are left to later passes. Where it
    failed, or was refused for a group, what an earlier gate said of the group holds on; without one the labels are closed
    too, and nobody answered them. A later gate's answer takes the place of an earlier one's.

    Args:
        before: What held before.
        reasons: Why cells are unanswered in it.
        gated: What earlier gates said.
        unit: What the gate was asked about.
        result: Its answer, in groups.
        group_of: By label its group.
    """
    inside = frozenset(unit.labels)
    if isinstance(result, ParseFailure):
        return *merge(before, reasons, result, inside), replace(gated, closed=gated.closed | (inside - gated.decided))
    refused = _of_groups(inside, result.refused, group_of)
    answered = inside - refused
    absent = answered - _of_groups(inside, result.labels, group_of)
    said = replace(result, labels=frozenset(), probabilities={}, mass={}, refused=refused)
    closed = (gated.closed - answered) | absent | (refused - gated.decided)
    return *merge(before, reasons, said, absent | refused), Gated(closed, gated.decided | answered)


def _of_groups(labels: frozenset[str], groups: Iterable[str], group_of: Mapping[str, str]) -> frozenset[str]:
    chosen = frozenset(groups)
    return frozenset(name for name in labels if group_of[name] in chosen)
