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

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from harness.cases import Case, Cases, gather
from harness.labelspace import LabelSpace
from harness.literals import Limits, Signals, signals_of
from harness.metrics import BoolMatrix, BoolVector, FloatVector, IntVector
from harness.searched import hashed_fraction
from harness.searched import in_search_half as in_search_half
from harness.triggernumbers import Numbers, Reference, Uncertainty, excess_p, measure, reference, uncertainty
from harness.triggers import Candidates, Caught, Trigger, candidates

ALPHA = 0.05
"""One-sided level of each of the two tests that a choice must pass."""

LEAST_SAMPLES = 30
"""Samples that each half needs before anything is said."""

LEAST_WRONG = 8
"""Samples with an error, and samples without more errors than the least, that each half needs."""

BUDGETS = (0.05, 0.1, 0.2, 0.3, 0.5)
"""Budgets, besides the one that is asked for, whose combinations stand among those to choose from."""

Verdict: TypeAlias = Literal["worth", "not worth", "too few to tell"]

Ground: TypeAlias = Literal["few samples", "few errors", "nothing found", "out of fold", "unseen", "few sent"]


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
class Reason:
    """Why the verdict is what it is.

    Attributes:
        ground: What was looked at: samples and wrong samples of the smaller half, whether anything was found, samples of
            the unseen half that are sent, the p-value out of fold, that on the unseen half.
        value: What it is.
        limit: What it must be: at least for counts, at most for p-values.
        holds: Whether it is.
    """

    ground: Ground
    value: float
    limit: float
    holds: bool


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


class _Combination(NamedTuple):
    """Triggers that are joined, with where each prefix of them is true: shape (n_parts, n_rows)."""

    parts: tuple[Trigger, ...]
    masks: BoolMatrix


def joined(triggers: Sequence[Trigger]) -> str:
    """Return the expression that is true where one of the triggers is."""
    if len(triggers) == 1:
        return triggers[0].source
    return " or ".join(f"({each.source})" for each in triggers)


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
    seen = np.array([in_search_half(each, settings.seed, settings.share) for each in every.ids], np.bool_)
    found = candidates(signals, every.by_case(seen), _limits(settings))
    combination = _combine(every, every.by_case(seen), found, settings.budget, settings.parts)
    steps = _choices(
        every, seen, [combination.parts[: n + 1] for n in range(len(combination.parts))], combination.masks
    )
    ranked = _choices(
        every, seen, [(each,) for each in found.triggers[: settings.listed]], found.masks[: settings.listed]
    )
    procedure = _cross_validated(signals, seen, settings)
    chosen = steps[-1] if steps else None
    mask = combination.masks[-1] if steps else np.zeros(len(every.rows), np.bool_)
    unseen_p = _excess_p(every, ~seen, mask, None, settings.seed) if chosen else float("nan")
    reasons = tuple(_reasons(every, seen, chosen, procedure, unseen_p, settings))
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
        procedure=procedure,
        unseen_p=unseen_p,
        uncertainty=uncertainty(every, ~seen, mask, seed=settings.seed) if chosen else None,
        reference=reference(every, ~seen, chosen.unseen.sent, settings.seed) if chosen else None,
        verdict=_verdict(reasons),
        reasons=reasons,
    )


def _limits(settings: Settings) -> Limits:
    return replace(settings.limits, price=min(settings.limits.price, settings.budget))


def _choices(
    cases: Cases, seen: BoolVector, triggers: Sequence[tuple[Trigger, ...]], masks: BoolMatrix
) -> tuple[Choice, ...]:
    """Return triggers, or several that are joined, with their numbers on both halves."""
    numbers = zip(measure(cases, seen, masks), measure(cases, ~seen, masks), strict=True)
    return tuple(Choice(each, *both) for each, both in zip(triggers, numbers, strict=True))


def _combine(cases: Cases, given: BoolVector, found: Candidates, budget: float, most: int) -> _Combination:
    """Return triggers joined greedily: each adds the most while all of them together stay within the budget.

    What it adds is `Caught.merit`, against what the average case holds. A trigger is joined to another only where chance
    would hardly have found one like it, among as many as were looked at, in the cases that are left: what is measured
    afterwards is all parts together, and would hide one that is good for nothing.
    """
    rows = np.flatnonzero(given)
    masks, errors = found.masks[:, rows], cases.errors[rows]
    left, parts, prefixes = np.ones(len(rows), np.bool_), list[int](), list[BoolVector]()
    while len(masks) and len(parts) < most:
        gained = Caught(np.count_nonzero(masks[:, left], axis=1).astype(np.float64), masks[:, left] @ errors[left])
        within = gained.sent + np.count_nonzero(~left) <= budget * len(rows) + 1e-9
        wanted = within & _is_evident(gained, errors[left], found.n_scored) if parts else within
        merits = np.round(np.where(wanted, gained.merit(errors), 0.0), 9)
        best = int(merits.argmax())  # of equals the first, which is ranked higher
        if merits[best] <= 0:
            break
        parts.append(best)
        prefixes.append(np.logical_or.reduce(found.masks[parts], axis=0))
        left &= ~masks[best]
    return _Combination(
        tuple(found.triggers[at] for at in parts), np.array(prefixes, np.bool_).reshape(len(parts), len(cases.rows))
    )


def _is_evident(gained: Caught, errors: FloatVector, n_looked: int) -> BoolVector:
    """Return which sets of cases hold more errors than the best of ``n_looked`` random ones does in 19 of 20 searches.

    By Chernoff's bound for a Poisson count, ``P(X >= x) <= exp(-(x log(x / m) - x + m))`` for x above the mean m; errors
    that come several at a time count as fewer.

    Args:
        gained: The sets, of these cases.
        errors: Of the cases from which they are taken.
        n_looked: How many sets were looked at.
    """
    total = errors.sum()
    if not total:
        return np.zeros(gained.sent.shape, np.bool_)
    at_a_time = float(errors @ errors / total)
    x, m = gained.errors / at_a_time, gained.sent * (total / len(errors)) / at_a_time
    above = x > m
    exponent = x * np.log(np.divide(x, m, out=np.ones_like(x), where=above)) - x + m
    return np.asarray(above & (exponent >= np.log(max(n_looked, 1) / ALPHA)), np.bool_)


def _front(cases: Cases, seen: BoolVector, found: Candidates, settings: Settings) -> tuple[Choice, ...]:
    """Return the choices that no other beats in price and coverage: triggers, and combinations for several budgets.

    Of more than are wanted those with the highest excess stay.
    """
    given = cases.by_case(seen)
    options: list[tuple[Trigger, ...]] = [(each,) for each in found.triggers]
    masks = [found.masks]
    for budget in dict.fromkeys((*BUDGETS, settings.budget)):
        combination = _combine(cases, given, found, budget, settings.parts)
        options += [combination.parts[: n + 1] for n in range(1, len(combination.parts))]
        masks.append(combination.masks[1:])
    every = np.concatenate(masks)
    sent, caught = np.count_nonzero(every[:, given], axis=1), every[:, given] @ cases.errors[given]
    undominated, most = list[int](), 0.0
    for at in sorted(range(len(options)), key=lambda at: (sent[at], -caught[at], len(options[at]), at)):
        if caught[at] > most:
            undominated.append(at)
            most = caught[at]
    mean = cases.errors[given].mean() if given.any() else 0.0
    best = sorted(undominated, key=lambda at: sent[at] * mean - caught[at])[: settings.front]
    kept = sorted(best, key=lambda at: sent[at])
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
        combination = _combine(cases, given, found, settings.budget, settings.parts)
        expressions.append(joined(combination.parts))
        if combination.parts:
            mask |= held_out & combination.masks[-1]
    (numbers,) = measure(cases, seen, mask[None])
    return Procedure(numbers, _excess_p(cases, seen, mask, fold, settings.seed), tuple(expressions))


def _excess_p(cases: Cases, samples: BoolVector, mask: BoolVector, strata: IntVector | None, seed: int) -> float:
    sent, errors = cases.per_sample(mask)[samples], cases.per_sample(cases.errors)[samples]
    return excess_p(sent, errors, None if strata is None else strata[samples], seed=seed)


# --- the verdict ------------------------------------------------------------------------------------------------------


def _reasons(
    cases: Cases,
    seen: BoolVector,
    chosen: Choice | None,
    procedure: Procedure | None,
    unseen_p: float,
    settings: Settings,
) -> Iterator[Reason]:
    """Yield what the verdict rests on, as far as it goes."""
    halves = seen, ~seen
    fewest = min(int(np.count_nonzero(half)) for half in halves)
    yield Reason("few samples", fewest, LEAST_SAMPLES, fewest >= LEAST_SAMPLES)
    errors = cases.per_sample(cases.errors)
    unlike = min((_unlike(errors[half]) for half in halves if half.any()), default=0)
    yield Reason("few errors", unlike, LEAST_WRONG, unlike >= LEAST_WRONG)
    if chosen is None or procedure is None:
        yield Reason("nothing found", 0, 1, holds=False)
        return
    least = settings.limits.least_sent
    yield Reason("few sent", chosen.unseen.sent, least, chosen.unseen.sent >= least)
    yield Reason("out of fold", procedure.p, ALPHA, procedure.p <= ALPHA)
    yield Reason("unseen", unseen_p, ALPHA, unseen_p <= ALPHA)


def _unlike(errors: FloatVector) -> int:
    """Return how many samples have more errors than the one with the fewest, or have as few, whichever are fewer."""
    more = int(np.count_nonzero(errors > errors.min()))
    return min(more, len(errors) - more)


def _verdict(reasons: Sequence[Reason]) -> Verdict:
    holds = {reason.ground: reason.holds for reason in reasons}
    if not (holds["few samples"] and holds["few errors"]):
        return "too few to tell"
    if not holds.get("nothing found", True):
        return "not worth"
    if holds["out of fold"] and holds["unseen"] and holds["few sent"]:
        return "worth"
    return "too few to tell" if holds["out of fold"] or holds["unseen"] else "not worth"
