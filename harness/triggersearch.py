"""The search for what a next pass should look at, and what it is worth on samples that the search never saw.

1. Samples are split in two by the hash of their ids. The search sees one half.
2. On that half: triggers are made, ranked by the errors that they catch beyond what as many random samples would hold, and
   joined greedily by ``or`` up to a budget.
3. The whole of step 2 is cross-validated within that half: done on four fifths, measured on the fifth. The pooled numbers
   are those of the procedure, without the optimism of having picked the best of thousands.
4. The choice is measured on the unseen half.
5. It is worth a pass only where both measurements say that what is sent has more errors than chance would give.

On errors that follow no rule the search finds something too; steps 3 and 4 then show it as nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from harness.cases import Case, Cases, gather
from harness.labelspace import LabelSpace
from harness.literals import Limits, Signals, signals_of
from harness.metrics import BoolMatrix, BoolVector, IntVector
from harness.searched import hashed_fraction
from harness.searched import in_search_half as in_search_half
from harness.triggerjoining import combine, joined
from harness.triggernumbers import Numbers, Reference, Uncertainty, excess_p, measure, reference, uncertainty
from harness.triggers import Candidates, Trigger, candidates
from harness.triggerverdict import Reason, Verdict, reasons_of, verdict_of

BUDGETS = (0.05, 0.1, 0.2, 0.3, 0.5)
"""Budgets, besides the one that is asked for, whose combinations stand among those to choose from."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How to search.

    Attributes:
        budget: Share of the samples that the choice may send, in (0, 1].
        share: Share of the samples that the search may see.
        folds: Of the cross-validation.
        parts: Triggers that the choice joins at most.
        listed: Triggers that are returned with their numbers.
        front: Choices in the Pareto table at most.
        seed: Of the split, the folds and the resamples.
        limits: Which triggers are made.
    """

    budget: float = 0.2
    share: float = 0.5
    folds: int = 5
    parts: int = 3
    listed: int = 30
    front: int = 10
    seed: int = 0
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class Choice:
    """A trigger, or several joined by ``or``, with its numbers.

    Attributes:
        triggers: In the order in which they were joined.
        seen: On the half that it was found on: too good by as much as the search could choose.
        unseen: On the other half.
    """

    triggers: tuple[Trigger, ...]
    seen: Numbers
    unseen: Numbers

    @property
    def expression(self) -> str:
        """The `when` expression."""
        return joined(self.triggers)


@dataclass(frozen=True, slots=True)
class Procedure:
    """What the whole search does to samples that it does not see, by cross-validation within its half.

    Attributes:
        numbers: Of all folds together: each was sent to what the search on the other folds chose.
        p: One-sided p-value of the errors that are caught, dealt within the folds; see `excess_p`. It is too small: what
            stands out by chance in the whole half is chosen for most folds. On random errors it was at most 0.05 in 8 of
            100 searches, so it never stands alone.
        expressions: What was chosen for each fold; empty where nothing was.
    """

    numbers: Numbers
    p: float
    expressions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Search:
    """What a search found.

    Attributes:
        n_samples: Samples with gold.
        n_repeats: Repeats of the run.
        n_seen: Samples of the half that was searched.
        n_unseen: Samples of the other half.
        n_scored: Expressions that were looked at.
        n_candidates: Those that hold enough, no two of them equal.
        ranked: The best of them, that with the highest merit first; see `harness.triggers.Caught.merit`.
        front: Choices of which none is cheaper and catches more than another, the cheapest first.
        chosen: What the budget buys; None where nothing catches more than chance.
        steps: How it came to be, part by part; the last is ``chosen``.
        procedure: The cross-validated search; None where the half is too small for it.
        unseen_p: One-sided p-value of the choice on the unseen half; NaN without a choice.
        uncertainty: Intervals of the choice's numbers on the unseen half; None without a choice.
        reference: What as many random samples of the unseen half would do; None without a choice.
        verdict: Whether the choice is worth a pass: "too few to tell" where samples or errors are few, where the choice
            sends too few of the unseen half, or where one of the two measurements says so and the other does not.
        reasons: What it rests on.
    """

    n_samples: int
    n_repeats: int
    n_seen: int
    n_unseen: int
    n_scored: int
    n_candidates: int
    ranked: tuple[Choice, ...]
    front: tuple[Choice, ...]
    chosen: Choice | None
    steps: tuple[Choice, ...]
    procedure: Procedure | None
    unseen_p: float
    uncertainty: Uncertainty | None
    reference: Reference | None
    verdict: Verdict
    reasons: tuple[Reason, ...]


# --- who sees what ----------------------------------------------------------------------------------------------------


def fold_of(sample_id: str, seed: int, folds: int) -> int:
    """Return the fold of a sample, from 0 to ``folds - 1``, by a hash that has nothing to do with that of the halves."""
    return min(int(hashed_fraction(f"{seed}\nfold\n{sample_id}") * folds), folds - 1)


# --- the search -------------------------------------------------------------------------------------------------------


def search(space: LabelSpace, cases: Sequence[Case], settings: Settings | None = None) -> Search:
    """Return what a next pass should look at, and what that is worth.

    The same cases, in any order of the samples, and settings give the same result.

    Args:
        space: Names and orders the labels.
        cases: One of each sample in each repeat. Those without gold are left out.
        settings: How to search.

    Raises:
        ValueError: As `harness.cases.gather` does.
        KeyError: As `harness.literals.signals_of` does.
    """
    settings = settings or Settings()
    # The order of the samples must not decide between equals, nor which of them is drawn.
    every = gather(space, sorted(cases, key=lambda case: (case.sample, case.prediction.repeat)))
    signals = signals_of(every)
    seen = searched_half(every, settings)
    found = candidates(signals, every.by_case(seen), _limits(settings))
    best = _judged(signals, seen, found, settings)
    steps, chosen = best.steps, best.chosen
    ranked = _choices(
        every, seen, [(each,) for each in found.triggers[: settings.listed]], found.masks[: settings.listed]
    )
    reasons = tuple(best.reasons(best.fold_p, best.unseen_p))
    return Search(
        n_samples=every.n_samples,
        n_repeats=every.n_repeats,
        n_seen=int(np.count_nonzero(seen)),
        n_unseen=int(np.count_nonzero(~seen)),
        n_scored=found.n_scored,
        n_candidates=len(found.triggers),
        ranked=ranked,
        front=_front(every, seen, found, settings),
        chosen=chosen,
        steps=steps,
        procedure=best.procedure,
        unseen_p=best.unseen_p,
        uncertainty=uncertainty(every, ~seen, best.mask, seed=settings.seed) if chosen else None,
        reference=reference(every, ~seen, chosen.unseen.sent, settings.seed) if chosen else None,
        verdict=verdict_of(reasons),
        reasons=reasons,
    )


def searched_half(cases: Cases, settings: Settings) -> BoolVector:
    """Return which samples the search sees, shape (n_samples,)."""
    return np.array([in_search_half(each, settings.seed, settings.share) for each in cases.ids], np.bool_)


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What was chosen, and the two measurements of it.

    Attributes:
        cases: All cases.
        seen: The half that was searched, shape (n_samples,).
        steps: How the choice came to be, part by part.
        mask: Where it is true, shape (n_rows,).
        procedure: The cross-validated search; None where the half is too small for it.
        unseen_p: One-sided p-value of the choice on the unseen half; NaN without a choice.
        least_sent: Samples of the unseen half that it must send.
    """

    cases: Cases
    seen: BoolVector
    steps: tuple[Choice, ...]
    mask: BoolVector
    procedure: Procedure | None
    unseen_p: float
    least_sent: int

    @property
    def chosen(self) -> Choice | None:
        """The choice; None where nothing catches more than chance."""
        return self.steps[-1] if self.steps else None

    @property
    def fold_p(self) -> float | None:
        """The p-value out of fold; None where the half is too small for it."""
        return None if self.procedure is None else self.procedure.p

    def reasons(self, fold_p: float | None, unseen_p: float) -> tuple[Reason, ...]:
        """Return what the verdict rests on, given the p-values, which may be corrected."""
        sent = None if self.chosen is None else self.chosen.unseen.sent
        return tuple(reasons_of(self.cases, self.seen, sent, fold_p, unseen_p, self.least_sent))


def judged(signals: Signals, seen: BoolVector, settings: Settings) -> Judged:
    """Return what the search chooses and what that is worth, without what else could be chosen.

    Args:
        signals: Of all cases.
        seen: The half that is searched, shape (n_samples,).
        settings: How to search.
    """
    return _judged(signals, seen, candidates(signals, signals.cases.by_case(seen), _limits(settings)), settings)


def _judged(signals: Signals, seen: BoolVector, found: Candidates, settings: Settings) -> Judged:
    cases = signals.cases
    joint = combine(cases, cases.by_case(seen), found, settings.budget, settings.parts)
    steps = _choices(cases, seen, [joint.parts[: n + 1] for n in range(len(joint.parts))], joint.masks)
    mask = joint.masks[-1] if steps else np.zeros(len(cases.rows), np.bool_)
    return Judged(
        cases=cases,
        seen=seen,
        steps=steps,
        mask=mask,
        procedure=_cross_validated(signals, seen, settings),
        unseen_p=_excess_p(cases, ~seen, mask, None, settings.seed) if steps else math.nan,
        least_sent=settings.limits.least_sent,
    )


def _limits(settings: Settings) -> Limits:
    return replace(settings.limits, price=min(settings.limits.price, settings.budget))


def _choices(
    cases: Cases, seen: BoolVector, triggers: Sequence[tuple[Trigger, ...]], masks: BoolMatrix
) -> tuple[Choice, ...]:
    """Return triggers, or several that are joined, with their numbers on both halves."""
    numbers = zip(measure(cases, seen, masks), measure(cases, ~seen, masks), strict=True)
    return tuple(Choice(each, *both) for each, both in zip(triggers, numbers, strict=True))


def _front(cases: Cases, seen: BoolVector, found: Candidates, settings: Settings) -> tuple[Choice, ...]:
    """Return the choices that no other beats in price and coverage: triggers, and combinations for several budgets.

    All catch more than as many random samples. Of more than are wanted those stay that have the highest excess within one
    of the budgets, then those with the highest excess of all: so the cheap end is there too.
    """
    given = cases.by_case(seen)
    options: list[tuple[Trigger, ...]] = [(each,) for each in found.triggers]
    masks = [found.masks]
    for budget in dict.fromkeys((*BUDGETS, settings.budget)):
        combination = combine(cases, given, found, budget, settings.parts)
        options += [combination.parts[: n + 1] for n in range(1, len(combination.parts))]
        masks.append(combination.masks[1:])
    every = np.concatenate(masks)
    sent, caught = np.count_nonzero(every[:, given], axis=1), every[:, given] @ cases.errors[given]
    n = max(int(np.count_nonzero(given)), 1)
    excess = caught - sent * (cases.errors[given].sum() / n)
    undominated, most = list[int](), 0.0
    for at in sorted(range(len(options)), key=lambda at: (sent[at], -caught[at], len(options[at]), at)):
        if caught[at] > most and excess[at] > 0:
            undominated.append(at)
            most = caught[at]
    best = sorted(undominated, key=lambda at: -excess[at])
    first = [next((at for at in best if sent[at] <= budget * n + 1e-9), None) for budget in (settings.budget, *BUDGETS)]
    wanted = [*dict.fromkeys([*(at for at in first if at is not None), *best])][: settings.front]
    kept = sorted(wanted, key=lambda at: sent[at])
    return _choices(cases, seen, [options[at] for at in kept], every[kept])


def _cross_validated(signals: Signals, seen: BoolVector, settings: Settings) -> Procedure | None:
    """Return what the search does to each fold of its half when it sees the other folds alone."""
    cases = signals.cases
    fold = np.array([fold_of(each, settings.seed, settings.folds) for each in cases.ids], np.int64)
    mask, expressions = np.zeros(len(cases.rows), np.bool_), []
    for number in range(settings.folds):
        held_out = cases.by_case(seen & (fold == number))
        given = cases.by_case(seen & (fold != number))
        if not held_out.any() or not given.any():
            return None
        found = candidates(signals, given, _limits(settings))
        combination = combine(cases, given, found, settings.budget, settings.parts)
        expressions.append(joined(combination.parts))
        if combination.parts:
            mask |= held_out & combination.masks[-1]
    (numbers,) = measure(cases, seen, mask[None])
    return Procedure(numbers, _excess_p(cases, seen, mask, fold, settings.seed), tuple(expressions))


def _excess_p(cases: Cases, samples: BoolVector, mask: BoolVector, strata: IntVector | None, seed: int) -> float:
    sent, errors = cases.per_sample(mask)[samples], cases.per_sample(cases.errors)[samples]
    return excess_p(sent, errors, None if strata is None else strata[samples], seed=seed)
