"""How real the changes of a comparison are: intervals, p-values, verdicts, and where none of them can be trusted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from harness import stats
from harness.comparison import ComparedRun, Comparison, Diff
from harness.errors import listing
from harness.evidence import Evidence, Pair, around, columns, corrected, values_of
from harness.evidence import Settings as Settings
from harness.metrics import NAN, BoolVector, FloatVector
from harness.plainvalues import to_plain
from harness.scoring import LabelScore
from harness.stats import Interval, Outcomes, Replicates, Verdict

JUDGED = ("macro_f1", "micro_f1", "subset_accuracy")
"""The headline scores that a verdict is given of, the most telling first."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference of one score between two runs, ``after - before``, with its uncertainty.

    Attributes:
        delta: NaN where one of the two is undefined.
        low: Lower end of its interval.
        high: Upper end.
        standard_error: Of the paired difference.
        detectable: The smallest true difference that these samples would have shown with 80 % power; NaN where nothing
            varies.
        p: Two-sided, of the sign-swap test; of subset accuracy with one repeat that is McNemar's exact test.
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

    Where no resample differs (everything right, or nothing), an interval without width would claim too much: a share of
    samples and the F1 of a label then have the bound of `stats.unvarying`, and other averages have none (NaN).

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
        exact: Whether the sign-swap test made all exchanges, because few samples differ. With one repeat the p-values
            of labels, subset accuracy and coverage are exact anyway.
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
        best: By average, the run that is really better than every other; None where no run is. Never against a verdict:
            where it is a later run, that one is "better"; where it is the baseline, all others are "worse".
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
    support = np.array([each.support for each in comparison.runs[0].scores.labels])
    evidence = Evidence.of(comparison, chosen, support >= chosen.least_support)
    diffs = _judged(evidence, comparison)
    best = _best(evidence, comparison.runs, diffs)
    n = len(stats.AVERAGES)
    return Judgement(
        settings=evidence.settings,
        runs=tuple(map(_run_intervals, comparison.runs, evidence.replicates, [chosen.level] * len(comparison.runs))),
        diffs=diffs,
        best=dict(zip(stats.AVERAGES, best[:n], strict=True)),
        best_labels=tuple(best[n:]),
        cautions=cautions_of(comparison, chosen),
    )


def judge_apart(pairs: Sequence[Comparison], settings: Settings | None = None) -> tuple[JudgedDiff, ...]:
    """Return how real the changes of pairs of runs are, each pair on samples of its own.

    They are corrected for each other as the later runs of one comparison are.
    """
    chosen = settings or Settings()
    supports = [np.array([each.support for each in pair.runs[0].scores.labels]) for pair in pairs]
    judged = [support >= chosen.least_support for support in supports]
    tests = sum(int(each.sum()) for each in judged)
    found = [Evidence.of(pair, chosen, told, tests) for pair, told in zip(pairs, judged, strict=True)]
    tested = [each.pair(0, 1) for each in found]
    if not tested:
        return ()
    p = corrected(np.stack([each.p for each in tested]), np.stack([each.told for each in found]))
    return tuple(_judged_diff(*each, 1) for each in zip(found, pairs, tested, p, strict=True))


# --- intervals of a run -----------------------------------------------------------------------------------------------


def _run_intervals(run: ComparedRun, replicates: Replicates, level: float) -> RunIntervals:
    values, n = values_of(run), len(stats.AVERAGES)
    low, high = around(np.array(values), *stats.intervals(columns(replicates), level))
    ends = [Interval(*each) for each in zip(low.tolist(), high.tolist(), strict=True)]
    for at, (value, each) in enumerate(zip(values, ends, strict=True)):
        if each.high - each.low < stats.TOLERANCE:
            label = run.scores.labels[at - n] if at >= n else None
            ends[at] = _label_bound(label, level) if label else _average_bound(stats.AVERAGES[at], value, run, level)
    return RunIntervals(dict(zip(stats.AVERAGES, ends[:n], strict=True)), tuple(ends[n:]))


def _average_bound(name: str, value: float, run: ComparedRun, level: float) -> Interval:
    """Return how far a mean over samples that are all 1, or all 0, may be from that; of other averages nothing."""
    if name in stats.F1_AVERAGES or value not in (0.0, 1.0):
        return Interval(NAN, NAN)
    return stats.unvarying(value, run.scores.n_samples, level)


def _label_bound(label: LabelScore, level: float) -> Interval:
    """Return how far an F1 of 0 or 1 may be from that: of TP + FP + FN cells none, or all, are hits.

    F1 is ``2 J / (1 + J)`` for the share J of hits among them, the Jaccard index.
    """
    if label.f1 not in (0.0, 1.0):
        return Interval(NAN, NAN)
    bound = stats.unvarying(label.f1, label.tp + label.fp + label.fn, level)
    return Interval(*(2 * share / (1 + share) for share in bound))


# --- differences ------------------------------------------------------------------------------------------------------


def _judged(evidence: Evidence, comparison: Comparison) -> tuple[JudgedDiff, ...]:
    pairs = [evidence.pair(0, at) for at in range(1, len(evidence.runs))]
    if not pairs:
        return ()
    p = corrected(np.stack([pair.p for pair in pairs]), evidence.told)
    return tuple(
        _judged_diff(evidence, comparison, pair, mine, at)
        for at, (pair, mine) in enumerate(zip(pairs, p, strict=True), start=1)
    )


def _sizes(comparison: Comparison, diff: Diff) -> FloatVector:
    """Return on how many each score rests: samples of an average, gold cells of a label.

    Where no sample was answered by both, nothing but coverage rests on anything: failures that stay are no proof.
    """
    n, answered = float(comparison.n_common), bool(diff.n_answered_by_both)
    averages = [n * (answered or name == "coverage") for name in stats.AVERAGES]
    return np.array([*averages, *(each.support * answered for each in comparison.runs[0].scores.labels)])


def _judged_diff(evidence: Evidence, comparison: Comparison, pair: Pair, p: FloatVector, at: int) -> JudgedDiff:
    """Return a later run, ``at`` from 1, against the baseline."""
    diff, n = comparison.diffs[at - 1], len(stats.AVERAGES)
    rows = _differences(evidence, at, pair, p, _by_answers(diff), _sizes(comparison, diff))
    averages = dict(zip(stats.AVERAGES, rows[:n], strict=True))
    mcnemar = _mcnemar(evidence.runs[0], evidence.runs[at])
    return JudgedDiff(diff.before, diff.after, averages, tuple(rows[n:]), mcnemar, pair.exact)


def _differences(
    evidence: Evidence, at: int, pair: Pair, p_corrected: FloatVector, by_answers: FloatVector, sizes: FloatVector
) -> list[Difference]:
    """Return every score of a later run against the baseline, with its verdict."""
    settings, found = evidence.settings, []
    deltas = evidence.values[at] - evidence.values[0]
    numbers = np.column_stack([deltas, pair.low, pair.high, pair.errors, pair.p, p_corrected]).tolist()
    for row, by_answer, size, told in zip(numbers, by_answers, sizes, evidence.told, strict=True):
        delta, low, high, error, p, p_holm = row
        word = stats.verdict(low, high, p_holm, size=size, margin=settings.margin, alpha=settings.alpha)
        withheld = word == "better" and not by_answer > 0
        if not told:
            word = "too few to tell"
        elif withheld:
            word = "inconclusive"
        found.append(Difference(delta, low, high, error, stats.detectable(error), p, p_holm, word, withheld))
    return found


def _by_answers(diff: Diff) -> FloatVector:
    """Return the part of each change that comes from samples answered by both runs; of an F1, for failures raise it too.

    Infinite where no failure can have raised it: for means over samples, and where no answer became a failure, so that
    the rest of the change is answers that were not there before. (Of several repeats the flips are those of the plain
    run alone, so there failures are never ruled out.)
    """

    def part(answered_by_both: float, flips: Mapping[str, int]) -> float:
        return math.inf if diff.repeats == 1 and not flips["answer→failure"] else answered_by_both

    splits = {"macro_f1": diff.macro_f1, "micro_f1": diff.micro_f1, "weighted_f1": diff.weighted_f1}
    averages = [
        part(splits[name].answered_by_both, diff.cells) if name in splits else math.inf for name in stats.AVERAGES
    ]
    return np.array([*averages, *(part(row.answered_by_both, row.flips) for row in diff.labels)])


def _mcnemar(before: Outcomes, after: Outcomes) -> McNemar | None:
    if before.n_repeats > 1 or after.n_repeats > 1:
        return None
    lost = int(np.count_nonzero(before.exact[0] & ~after.exact[0]))
    won = int(np.count_nonzero(~before.exact[0] & after.exact[0]))
    return McNemar(lost, won, stats.mcnemar(lost, won))


# --- the best of several ----------------------------------------------------------------------------------------------


def _best(evidence: Evidence, runs: Sequence[ComparedRun], diffs: Sequence[JudgedDiff]) -> list[str | None]:
    """Return which run is really better than every other, for each score.

    It has the highest score. The baseline is best where every other run is worse; another run where it is better than
    the baseline, and ahead of each rival: the other later runs. Rivals are tested as the baseline is, and a winner must
    not have left more unanswered than they, for F1 rises with failures too.
    """
    winners = [_argmax(column) for column in evidence.values.T.tolist()]
    verdicts = [[row.verdict for row in (*diff.averages.values(), *diff.labels)] for diff in diffs]
    found: list[str | None] = [None] * len(winners)
    candidates: dict[int, list[int]] = {}
    for at, winner in enumerate(winners):
        if winner == 0 and diffs and all(words[at] == "worse" for words in verdicts):
            found[at] = runs[0].name
        elif winner and verdicts[winner - 1][at] == "better":
            candidates.setdefault(winner, []).append(at)
    for winner, scores in candidates.items():
        ahead = _ahead(evidence, runs, winner, scores)
        for at in scores:
            found[at] = runs[winner].name if ahead[at] else None
    return found


def _ahead(evidence: Evidence, runs: Sequence[ComparedRun], winner: int, scores: Sequence[int]) -> BoolVector:
    """Return of which of these scores a run is ahead of every other later run; labels are corrected for all of them."""
    rivals = [at for at in range(1, len(runs)) if at != winner]
    ahead = np.ones(evidence.values.shape[1], np.bool_)
    if not rivals:
        return ahead
    pairs = [evidence.pair(rival, winner) for rival in rivals]
    p = np.ones((len(rivals), len(ahead)))  # scores of which another run is the highest count as tests
    p[:, scores] = np.stack([pair.p for pair in pairs])[:, scores]
    holm = corrected(p, evidence.told)
    for rival, pair, mine in zip(rivals, pairs, holm, strict=True):
        as_answered = runs[winner].scores.coverage >= runs[rival].scores.coverage
        ahead &= (mine <= evidence.settings.alpha) & (pair.low > 0) & as_answered
    return ahead


def _argmax(values: Sequence[float]) -> int | None:
    """Return where the only largest value is; None where a value is undefined or two are largest."""
    if any(map(math.isnan, values)):
        return None
    most = max(values)
    return values.index(most) if list(values).count(most) == 1 else None


# --- where nothing can be trusted -------------------------------------------------------------------------------------


FEW_SAMPLES = 100
"""Samples below which the percentiles of the bootstrap are too narrow: see docs/statistics.md."""

FEW_CASES = 5
"""Samples that must be right, and that must be wrong, for the interval of a share of them to hold."""


def cautions_of(comparison: Comparison, settings: Settings) -> tuple[str, ...]:
    """Return why the numbers of a comparison are rough, for people; nothing where they are not."""
    n, labels = comparison.n_common, comparison.runs[0].scores.labels
    rare = [row.label for row in labels if 0 < row.support < settings.least_support]
    found = []
    if n < FEW_SAMPLES:
        few = "1 sample is" if n == 1 else f"{n} samples are"
        found.append(f"{few} few: intervals are narrower than they should be, and only large differences can be seen")
    if rare:
        found.append(
            f"macro F1 counts every label alike, those with fewer than {settings.least_support} gold cells too "
            f"({listing(rare, 4)}): its interval is rough"
        )
    found += [told for run in comparison.runs if n and (told := _extreme(run, n))]
    return tuple(found)


def _extreme(run: ComparedRun, n: int) -> str | None:
    """Return what must be known of a run in which nearly all samples are exactly right, or nearly none."""
    right = run.scores.averages.subset_accuracy * n
    wrong = n - right
    if right < stats.TOLERANCE:
        return f"{run.name}: no sample is exactly right: subset accuracy has a bound from their number as its interval"
    if wrong < stats.TOLERANCE:
        return f"{run.name}: every sample is exactly right: instead of intervals there are bounds from their number, or none"
    if min(right, wrong) < FEW_CASES:
        what = "exactly right" if right < wrong else "not exactly right"
        return (
            f"{run.name}: fewer than {FEW_CASES} samples are {what}: the interval of its subset accuracy is too narrow"
        )
    return None
