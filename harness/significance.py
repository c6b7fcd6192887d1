"""How real the changes of a comparison are: intervals, p-values, verdicts, and where none of them can be trusted."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from harness import stats
from harness.comparison import ComparedRun, Comparison, Diff
from harness.errors import listing
from harness.metrics import NAN, BoolVector, FloatVector
from harness.plainvalues import to_plain
from harness.stats import Interval, Outcomes, PValues, Replicates, Verdict

JUDGED = ("macro_f1", "micro_f1", "subset_accuracy")
"""The headline scores that a verdict is given of, the most telling first."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What decides a verdict; saved with it.

    Attributes:
        margin: How much lower a score may be and still be called no worse.
        least_support: Gold cells that a label needs before anything is said of it.
        resamples: Of the bootstrap.
        permutations: Random exchanges of the sign-swap test; more where more labels are tested.
        seed: Of both.
        level: Of the intervals.
        alpha: Of the tests, after correction.
    """

    margin: float = stats.MARGIN
    least_support: int = stats.LEAST_SUPPORT
    resamples: int = stats.RESAMPLES
    permutations: int = stats.PERMUTATIONS
    seed: int = 0
    level: float = stats.LEVEL
    alpha: float = stats.ALPHA


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference of one score between two runs, ``after - before``, with its uncertainty.

    Attributes:
        delta: NaN where one of the two is undefined.
        low: Lower end of its interval.
        high: Upper end.
        standard_error: Of the paired difference.
        detectable: The smallest true difference that these samples would have shown with 80 % power.
        p: Two-sided; of subset accuracy McNemar's exact test where both runs have one repeat, else of the sign-swap.
        p_corrected: By Holm: of a label over all judged labels of all versions, of an average over the versions. NaN for
            labels with too few gold cells.
        withheld: The verdict would be "better", but what rose comes from failures, not from better answers.
    """

    delta: float
    low: float
    high: float
    standard_error: float
    detectable: float
    p: float
    p_corrected: float
    verdict: Verdict
    withheld: bool = False


@dataclass(frozen=True, slots=True)
class RunIntervals:
    """Where the scores of one run may lie.

    Attributes:
        averages: By name, all of `stats.AVERAGES`.
        labels: Of the F1 of each label, in label-space order.
    """

    averages: Mapping[str, Interval]
    labels: tuple[Interval, ...]


class McNemar(NamedTuple):
    """The exact test of subset accuracy.

    Attributes:
        lost: Samples that were exactly right and are not now.
        won: Samples that were not and are now.
        p: Two-sided.
    """

    lost: int
    won: int
    p: float


@dataclass(frozen=True, slots=True)
class JudgedDiff:
    """A later run against the baseline.

    Attributes:
        averages: By name, all of `stats.AVERAGES`.
        labels: In label-space order.
        mcnemar: None where a run has several repeats: then no sample is simply right or wrong.
        exact: Whether the sign-swap test made all exchanges, because few samples differ.
    """

    before: str
    after: str
    averages: Mapping[str, Difference]
    labels: tuple[Difference, ...]
    mcnemar: McNemar | None
    exact: bool


@dataclass(frozen=True, slots=True)
class Judgement:
    """What can be said of a comparison.

    Attributes:
        settings: What decided it.
        runs: In the order of the comparison.
        diffs: In the order of the comparison.
        best: By average, the run that is really better than every other; None where no run is.
        best_labels: The same for each label, in label-space order.
        cautions: Why the numbers here are rough, for people; empty where they are not.
    """

    settings: Settings
    runs: tuple[RunIntervals, ...]
    diffs: tuple[JudgedDiff, ...]
    best: Mapping[str, str | None]
    best_labels: tuple[str | None, ...]
    cautions: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the judgement as plain values, NaN as None."""
        plain: dict[str, Any] = to_plain(self)
        return plain


def judge(comparison: Comparison, settings: Settings | None = None) -> Judgement:
    """Return how real the changes of a comparison are; of a single run, its intervals."""
    chosen = settings or Settings()
    runs = [_outcomes(run) for run in comparison.runs]
    replicates = stats.bootstrap(runs, chosen.resamples, chosen.seed)
    support = np.array([each.support for each in comparison.runs[0].scores.labels])
    judged = support >= chosen.least_support
    permutations = _permutations(chosen, int(judged.sum()) * len(comparison.diffs))

    @cache
    def p_values(first: int, second: int) -> PValues:
        return stats.sign_swap(runs[first], runs[second], permutations, chosen.seed)

    raw = [
        _Raw.of(diff, replicates[0], replicates[at], p_values(0, at), runs[0], runs[at])
        for at, diff in enumerate(comparison.diffs, start=1)
    ]
    best = _best(comparison, replicates, judged, chosen, p_values)
    n = len(stats.AVERAGES)
    return Judgement(
        settings=replace(chosen, permutations=permutations),
        runs=tuple(_run_intervals(each, chosen) for each in replicates),
        diffs=_judged(raw, comparison.diffs, judged, support, comparison.n_common, chosen),
        best=dict(zip(stats.AVERAGES, best[:n], strict=True)),
        best_labels=tuple(best[n:]),
        cautions=_cautions(comparison, chosen),
    )


def _outcomes(run: ComparedRun) -> Outcomes:
    return stats.outcomes(run.plain.y_true, [stats.Repeat(rows.y_pred, rows.answered) for rows in run.repeats])


def _permutations(settings: Settings, tests: int) -> int:
    """Return how many exchanges it takes that the smallest possible p-value can survive its correction."""
    return max(settings.permutations, math.ceil(2 * tests / settings.alpha))


def _run_intervals(replicates: Replicates, settings: Settings) -> RunIntervals:
    low, high = stats.intervals(replicates.labels, settings.level)
    return RunIntervals(
        {name: stats.interval(values, settings.level) for name, values in replicates.averages.items()},
        tuple(Interval(*ends) for ends in zip(low.tolist(), high.tolist(), strict=True)),
    )


# --- differences ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Raw:
    """The differences of one pair of runs before they are corrected for their number.

    Arrays run over `stats.AVERAGES`, then over the labels.
    """

    deltas: FloatVector
    replicates: stats.FloatMatrix
    p: FloatVector
    answered_by_both: FloatVector
    mcnemar: McNemar | None
    exact: bool

    @classmethod
    def of(
        cls, diff: Diff, old: Replicates, new: Replicates, p: PValues, before: Outcomes, after: Outcomes
    ) -> _Raw:
        """Return the differences of a pair."""
        mcnemar = _mcnemar(before, after)
        tests = dict(p.averages) | ({} if mcnemar is None else {"subset_accuracy": mcnemar.p})
        means = {name: float(np.mean(after.per_sample[name] - before.per_sample[name])) for name in after.per_sample}
        splits = {"macro_f1": diff.macro_f1, "micro_f1": diff.micro_f1, "weighted_f1": diff.weighted_f1}
        deltas = means | {name: split.total for name, split in splits.items()}
        both = {name: split.answered_by_both for name, split in splits.items()}
        return cls(
            deltas=np.array([*(deltas[name] for name in stats.AVERAGES), *(row.delta for row in diff.labels)]),
            replicates=_columns(new) - _columns(old),
            p=np.array([*(tests[name] for name in stats.AVERAGES), *p.labels]),
            answered_by_both=np.array(
                [*(both.get(name, math.inf) for name in stats.AVERAGES), *(row.answered_by_both for row in diff.labels)]
            ),
            mcnemar=mcnemar,
            exact=p.exact,
        )


def _mcnemar(before: Outcomes, after: Outcomes) -> McNemar | None:
    if len(before.exact) > 1 or len(after.exact) > 1:
        return None
    lost = int(np.count_nonzero(before.exact[0] & ~after.exact[0]))
    won = int(np.count_nonzero(~before.exact[0] & after.exact[0]))
    return McNemar(lost, won, stats.mcnemar(lost, won))


def _judged(
    pairs: Sequence[_Raw],
    diffs: Sequence[Diff],
    judged: BoolVector,
    support: FloatVector,
    n_samples: int,
    settings: Settings,
) -> tuple[JudgedDiff, ...]:
    if not pairs:
        return ()
    n = len(stats.AVERAGES)
    p = np.stack([each.p for each in pairs])
    p[:, n:][:, ~judged] = NAN
    corrected = np.hstack(
        [
            np.stack([stats.holm(column) for column in p[:, :n].T], axis=1),
            stats.holm(p[:, n:].ravel()).reshape(len(pairs), -1),
        ]
    )
    sizes = np.concatenate([np.full(n, float(n_samples)), support])
    found = []
    for raw, diff, mine in zip(pairs, diffs, corrected, strict=True):
        rows = _differences(raw, mine, sizes, settings)
        labels = [
            row if told else replace(row, verdict="too few to tell", withheld=False)
            for row, told in zip(rows[n:], judged.tolist(), strict=True)
        ]
        averages = dict(zip(stats.AVERAGES, rows[:n], strict=True))
        found.append(JudgedDiff(diff.before, diff.after, averages, tuple(labels), raw.mcnemar, raw.exact))
    return tuple(found)


def _differences(raw: _Raw, corrected: FloatVector, sizes: FloatVector, settings: Settings) -> list[Difference]:
    low, high = stats.intervals(raw.replicates, settings.level)
    errors = stats.standard_errors(raw.replicates)
    columns = (raw.deltas, low, high, errors, raw.p, corrected, raw.answered_by_both, sizes)
    found = []
    for delta, lower, upper, error, p, p_corrected, both, size in zip(*(each.tolist() for each in columns), strict=True):
        word = stats.verdict(lower, upper, p_corrected, size=size, margin=settings.margin, alpha=settings.alpha)
        withheld = word == "better" and not both > 0
        found.append(
            Difference(
                delta,
                lower,
                upper,
                standard_error=error,
                detectable=stats.detectable(error),
                p=p,
                p_corrected=p_corrected,
                verdict="inconclusive" if withheld else word,
                withheld=withheld,
            )
        )
    return found


# --- the best of several ----------------------------------------------------------------------------------------------


def _best(
    comparison: Comparison,
    replicates: Sequence[Replicates],
    judged: BoolVector,
    settings: Settings,
    p_values: Callable[[int, int], PValues],
) -> list[str | None]:
    """Return which run is really better than every other: for each of `stats.AVERAGES`, then for each label.

    The highest is compared with each of the others, and corrected for their number (a label also for the number of
    labels). It must not have left more unanswered than one of them, for F1 rises with failures too.
    """
    runs, n = comparison.runs, len(stats.AVERAGES)
    values = np.array([[*(_average(run, name) for name in stats.AVERAGES), *_label_f1(run)] for run in runs])
    winners = [_argmax(column) for column in values.T.tolist()]
    told = [True] * n + judged.tolist()
    if len(runs) < 2:
        return [None] * len(told)
    p = np.full((len(told), len(runs)), NAN)
    ahead = np.ones(len(told), np.bool_)
    for first, second in itertools.combinations(range(len(runs)), 2):
        tests, gap = p_values(first, second), _columns(replicates[second]) - _columns(replicates[first])
        low, high = stats.intervals(gap, settings.level)
        columns = [*(tests.averages[name] for name in stats.AVERAGES), *tests.labels.tolist()]
        for at, winner in enumerate(winners):
            if winner in (first, second) and told[at]:
                p[at, second if winner == first else first] = columns[at]
                ahead[at] &= high[at] < 0 if winner == first else low[at] > 0
    corrected = np.vstack([*(stats.holm(row) for row in p[:n]), stats.holm(p[n:].ravel()).reshape(-1, len(runs))])
    most = max(run.scores.coverage for run in runs)
    return [
        runs[winner].name
        if winner is not None
        and told[at]
        and ahead[at]
        and np.nanmax(corrected[at], initial=0.0) <= settings.alpha
        and runs[winner].scores.coverage >= most
        else None
        for at, winner in enumerate(winners)
    ]


def _columns(replicates: Replicates) -> stats.FloatMatrix:
    """Return the replicates of all scores: `stats.AVERAGES`, then the labels, shape (n_resamples, n_scores)."""
    return np.column_stack([*(replicates.averages[name] for name in stats.AVERAGES), replicates.labels])


def _average(run: ComparedRun, name: str) -> float:
    return run.scores.coverage if name == "coverage" else float(getattr(run.scores.averages, name))


def _label_f1(run: ComparedRun) -> list[float]:
    return [row.f1 for row in run.scores.labels]


def _argmax(values: Sequence[float]) -> int | None:
    """Return where the only largest value is; None where a value is undefined or two are largest."""
    if any(map(math.isnan, values)):
        return None
    most = max(values)
    return values.index(most) if list(values).count(most) == 1 else None


# --- where nothing can be trusted -------------------------------------------------------------------------------------


FEW_SAMPLES = 100
"""Samples below which the percentiles of the bootstrap are too narrow: see docs/statistics.md."""


def _cautions(comparison: Comparison, settings: Settings) -> tuple[str, ...]:
    n, labels = comparison.n_common, comparison.runs[0].scores.labels
    rare = [row.label for row in labels if 0 < row.support < settings.least_support]
    found = []
    if n < FEW_SAMPLES:
        found.append(f"{n} samples are few: the intervals are narrower than they should be")
    if rare:
        found.append(
            f"macro F1 rests on labels with fewer than {settings.least_support} gold cells ({listing(rare, 4)}): "
            "its interval is rough"
        )
    return tuple(found)
