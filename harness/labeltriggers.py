"""What a next pass about a single label should look at, label by label.

Where many labels are wrong, most samples are, and what tells one label's errors from the rest is lost among the others'. So
for each of the labels with the most wrong cells the search is made once more with its errors alone. As several are looked
at, the p-values of all of them together are corrected by Holm.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.cases import Case, Cases, gather
from harness.labelspace import LabelSpace
from harness.literals import Limits, signals_of
from harness.metrics import BoolVector
from harness.pairedtests import holm
from harness.triggersearch import Choice, Judged, Settings, judged, searched_half
from harness.triggerverdict import LEAST_WRONG, Verdict, verdict_of

MOST_LABELS = 8
"""Labels that are looked at: those with the most wrong cells in the searched half."""

WIDEST = 0.5
"""Share of the samples that a trigger may send here where the budget is smaller: the price is told, and can be paid."""

LIMITS = Limits(labels=8, words=30, partners=60, bases=20, conjunctions=60, most=400)
"""Fewer triggers than for all labels together: the search is made for each label."""


@dataclass(frozen=True, slots=True)
class LabelTrigger:
    """The best trigger for the errors of one label alone.

    Attributes:
        label: Its name.
        choice: The trigger with its numbers, in which only this label can be wrong; None where nothing was found.
        fold_p: One-sided p-value of the search for this label by cross-validation; without a choice NaN, as the next three.
        fold_p_holm: Corrected for all labels that were looked at.
        unseen_p: One-sided p-value of the choice on the unseen half.
        unseen_p_holm: Corrected for all labels that were looked at.
        verdict: Whether it is worth a pass about this label, by the corrected p-values.
    """

    label: str
    choice: Choice | None
    fold_p: float
    fold_p_holm: float
    unseen_p: float
    unseen_p_holm: float
    verdict: Verdict


def only_about(case: Case, labels: Collection[str]) -> Case:
    """Return a case in which only these labels can be wrong: what was said of the others counts as gold."""
    if case.gold is None:
        return case
    said, wanted = case.prediction, frozenset(labels)
    gold = (said.labels - wanted) | (case.gold & wanted)
    return replace(case, gold=gold, prediction=replace(said, unanswered=said.unanswered & wanted))


def label_triggers(space: LabelSpace, cases: Sequence[Case], settings: Settings) -> tuple[LabelTrigger, ...]:
    """Return the best trigger for each of the labels with the most wrong cells, that with the most first.

    A label that is wrong in fewer than `LEAST_WRONG` samples of the searched half is left out.

    Args:
        space: Names and orders the labels.
        cases: One of each sample in each repeat. Those without gold are left out.
        settings: How to search; at least `WIDEST` of the samples may be sent, by one trigger alone.
    """
    # The order of the samples must not decide between equals.
    every = gather(space, sorted(cases, key=lambda case: (case.sample, case.prediction.repeat)))
    seen = searched_half(every, settings)
    labels = _most_wrong(every, seen)
    if not labels:
        return ()
    signals = signals_of(every)
    budget = max(settings.budget, WIDEST)
    narrowed = replace(settings, budget=budget, parts=1, limits=replace(LIMITS, least_sent=settings.limits.least_sent))
    found = [
        judged(replace(signals, cases=gather(space, [only_about(row, (label,)) for row in every.rows])), seen, narrowed)
        for label in labels
    ]
    fold_ps, unseen_ps = [_fold_p(each) for each in found], [each.unseen_p for each in found]
    corrected = zip(holm(fold_ps).tolist(), holm(unseen_ps).tolist(), strict=True)
    return tuple(
        LabelTrigger(label, each.chosen, fold_p, fold_holm, each.unseen_p, unseen_holm, verdict_of(reasons))
        for label, each, fold_p, (fold_holm, unseen_holm) in zip(labels, found, fold_ps, corrected, strict=True)
        for reasons in [each.reasons(fold_holm, unseen_holm)]
    )


def _most_wrong(cases: Cases, seen: BoolVector) -> list[str]:
    """Return the labels to look at, those with the most wrong cells in the searched half first."""
    wrong = cases.wrong_cells[cases.by_case(seen)]
    counts = np.count_nonzero(wrong, axis=0)
    order = np.argsort(-counts, kind="stable")[:MOST_LABELS].tolist()
    return [cases.space.names[at] for at in order if counts[at] >= LEAST_WRONG * cases.n_repeats]


def _fold_p(found: Judged) -> float:
    return math.nan if found.chosen is None or found.fold_p is None else found.fold_p
