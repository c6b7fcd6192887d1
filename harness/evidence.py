"""What the samples say of runs and of each pair of them: all that is measured before anything is put in words.

Scores are `stats.AVERAGES`, then the F1 of the labels, in every array here and in `significance`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from harness import stats
from harness.comparison import ComparedRun, Comparison
from harness.metrics import NAN, BoolMatrix, BoolVector, FloatVector
from harness.stats import FloatMatrix, Outcomes, Replicates


@dataclass(frozen=True, slots=True)
class Settings:
    """What decides a verdict; saved with it.

    Attributes:
        margin: How much lower a score may be and still be called no worse.
        least_support: Gold cells that a label needs before anything is said of it.
        resamples: Of the bootstrap.
        permutations: Random exchanges of the sign-swap test; more where repeats make many labels be tested with them.
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


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What all verdicts rest on.

    Attributes:
        runs: Outcomes of each run.
        replicates: Of each run, on the same resamples.
        values: Scores of each run, shape (n_runs, n_scores).
        told: The scores of which something can be said: all averages, and labels with enough gold cells.
    """

    settings: Settings
    runs: tuple[Outcomes, ...]
    replicates: tuple[Replicates, ...]
    values: FloatMatrix
    told: BoolVector

    @classmethod
    def of(cls, comparison: Comparison, settings: Settings, judged: BoolVector, tests: int | None = None) -> Evidence:
        """Return the evidence of a comparison.

        Labels of several repeats are tested by random exchanges: so many that the smallest possible p-value survives
        its correction for ``tests``, the labels that are tested together; default: those of this comparison.
        """
        runs = tuple(map(_outcomes, comparison.runs))
        together = int(judged.sum()) * len(comparison.diffs) if tests is None else tests
        tests = together if any(run.n_repeats > 1 for run in runs) else 0
        permutations = max(settings.permutations, math.ceil(2 * tests / settings.alpha))
        return cls(
            settings=replace(settings, permutations=permutations),
            runs=runs,
            replicates=stats.bootstrap(runs, settings.resamples, settings.seed),
            values=np.array([values_of(run) for run in comparison.runs]),
            told=np.concatenate([np.ones(len(stats.AVERAGES), np.bool_), judged]),
        )

    def pair(self, first: int, second: int) -> Pair:
        """Return what the samples say of the differences of two runs, second - first."""
        tests = stats.sign_swap(self.runs[first], self.runs[second], self.settings.permutations, self.settings.seed)
        gaps = columns(self.replicates[second]) - columns(self.replicates[first])
        low, high = around(self.values[second] - self.values[first], *stats.intervals(gaps, self.settings.level))
        p = np.array([*(tests.averages[name] for name in stats.AVERAGES), *tests.labels])
        return Pair(low, high, stats.standard_errors(gaps), p, tests.exact)


def around(values: FloatVector, low: FloatVector, high: FloatVector) -> tuple[FloatVector, FloatVector]:
    """Return intervals that hold what they are intervals of.

    Percentiles need not: macro F1 in a resample is over the labels that are supported in it, and where most labels are
    rare those are fewer, and the easier ones. An interval that is wider is no lie; one without its value is no help.
    """
    return np.where(low > values, values, low), np.where(high < values, values, high)


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """The differences of two runs before they are corrected for their number; arrays of shape (n_scores,)."""

    low: FloatVector
    high: FloatVector
    errors: FloatVector
    p: FloatVector
    exact: bool


def _outcomes(run: ComparedRun) -> Outcomes:
    return stats.outcomes(run.plain.y_true, [stats.Repeat(rows.y_pred, rows.answered) for rows in run.repeats])


def values_of(run: ComparedRun) -> list[float]:
    """Return the scores of a run."""
    scores = run.scores
    named = {"coverage": scores.coverage}
    averages = [named[name] if name in named else getattr(scores.averages, name) for name in stats.AVERAGES]
    return [*averages, *(row.f1 for row in scores.labels)]


def columns(replicates: Replicates) -> FloatMatrix:
    """Return the replicates of all scores, shape (n_resamples, n_scores)."""
    return np.column_stack([*(replicates.averages[name] for name in stats.AVERAGES), replicates.labels])


def corrected(p: FloatMatrix, told: BoolVector | BoolMatrix) -> FloatMatrix:
    """Return p-values, shape (n_comparisons, n_scores), by Holm: each average by itself, the labels all together.

    ``told``, of that shape or (n_scores,), has the scores of which something can be said; the others are no tests.
    """
    n = len(stats.AVERAGES)
    tested = np.where(told, p, NAN)
    averages = [stats.holm(column) for column in tested[:, :n].T]
    return np.column_stack([*averages, stats.holm(tested[:, n:])])
