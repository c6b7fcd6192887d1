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
answered cell, a refused cell is left alone, and no cell outside of the scope changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from harness.errors import listing
from harness.prompt import MergeHow, Unit
from harness.records import Answer, FailureKind, ParseFailure, Prediction

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
    if isinstance(result, ParseFailure):
        taken, failed, why = frozenset[str](), before.unanswered & scope, (result.kind, result.why)
        after = replace(before, off_list=before.off_list + result.off_list)
    else:
        refused = result.refused & scope
        failed = before.unanswered & refused
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
    left = {name: reason for name, reason in reasons.items() if name not in taken | failed}
    left |= dict.fromkeys(sorted(failed), why)
    kind, words = next(reversed(left.values()), (None, None))
    return replace(after, failure=kind, why=words), left


def _taken(before: Prediction, answer: Answer, answered: frozenset[str], how: MergeHow) -> frozenset[str]:
    """Return the cells that the answer decides, among those that it answered."""
    named, open_cells = answered & answer.labels, answered & before.unanswered
    match how:
        case "replace":
            return answered
        case "add" | "remove":
            return named
        case "union":
            return named | open_cells
        case "intersection":
            return (answered - named) | open_cells
        case "confirm":
            return (answered - named) & before.labels


def _of_presence(answer: Answer, how: MergeHow) -> Mapping[str, float]:
    """Return P(label) by label: an answer that names what must go gives the probability that it is absent."""
    if how != "remove":
        return answer.probabilities
    return {name: 1 - value for name, value in answer.probabilities.items()}


def _replaced(before: Mapping[str, float], new: Mapping[str, float], cells: frozenset[str]) -> dict[str, float]:
    """Return the numbers of all cells, those of the given ones from the new answer alone."""
    kept = {name: value for name, value in before.items() if name not in cells}
    return kept | {name: value for name, value in new.items() if name in cells}


def choose(
    before: Prediction, reasons: Reasons, unit: Unit, result: Result, group_of: Mapping[str, str]
) -> tuple[Prediction, Reasons, frozenset[str]]:
    """Return what holds after the answer of a gate, why cells are unanswered, and the labels that it closes.

    The labels of groups that it did not choose are absent. Those of the chosen ones are left to later passes. Where it
    failed, or was refused for a group, the labels are closed too, but nobody answered them.

    Args:
        before: What held before.
        reasons: Why cells are unanswered in it.
        unit: What the gate was asked about.
        result: Its answer, in groups.
        group_of: By label its group.
    """
    if isinstance(result, ParseFailure):
        return *merge(before, reasons, result, frozenset(unit.labels)), frozenset(unit.labels)
    refused = _labels_of(unit, result.refused, group_of)
    closed = frozenset(unit.labels) - _labels_of(unit, result.labels - result.refused, group_of)
    said = replace(result, labels=frozenset(), probabilities={}, mass={}, refused=refused)
    return *merge(before, reasons, said, closed), closed


def _labels_of(unit: Unit, groups: Iterable[str], group_of: Mapping[str, str]) -> frozenset[str]:
    chosen = frozenset(groups)
    return frozenset(name for name in unit.labels if group_of[name] in chosen)
