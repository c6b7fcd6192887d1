"""The noise floor: how much the same prompt disagrees with itself when it is asked again.

A model that draws its answers gives another answer now and then, without any change of the prompt. What two versions
differ by is worth little below that. Repeats of one run measure it, cell by cell.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from harness.labelspace import LabelSpace
from harness.metrics import NAN, BoolMatrix, FloatVector
from harness.records import Prediction, Sample
from harness.scoring import Aligned, Scores, align

StateMatrix: TypeAlias = NDArray[np.int8]

ABSENT, PRESENT, UNANSWERED = 0, 1, 2
"""The states of a cell."""


@dataclass(frozen=True, slots=True)
class LabelNoise:
    """How stable one label is.

    Attributes:
        disagreement: Probability, in [0, 1], that two different repeats disagree in a cell of this label, the mean over
            the samples; NaN without samples.
        unstable: Cells of it that are not the same in every repeat.
    """

    label: str
    disagreement: float
    unstable: int


@dataclass(frozen=True, slots=True)
class SampleNoise:
    """A sample that is not answered the same in every repeat.

    Attributes:
        sample: Its id.
        disagreement: Mean number of cells in which two different repeats disagree.
        labels: The labels whose cells are unstable, in label-space order.
    """

    sample: str
    disagreement: float
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Spread:
    """One score over the repeats; where it is not defined in a repeat, over the others.

    Attributes:
        least: The lowest; NaN where it is defined in no repeat.
        most: The highest.
        deviation: The standard deviation of one repeat (n - 1 in the denominator); NaN with fewer than two values.
    """

    least: float
    most: float
    deviation: float


@dataclass(frozen=True, slots=True)
class Noise:
    """How much repeats of one run differ.

    The shares of what is unstable grow with the number of repeats; the disagreements are about two repeats, however
    many were made, and so can be compared between runs.

    Attributes:
        unstable_samples: Samples of which some cell is not the same in every repeat.
        share_samples: That as a share of the samples; NaN without samples.
        unstable_cells: Cells that are not the same (present, absent, unanswered) in every repeat.
        share_cells: That as a share of the cells.
        sample_disagreement: Probability that two different repeats differ in some cell of a sample.
        cell_disagreement: Probability that two different repeats disagree in a cell, the mean over all cells.
        labels: In label-space order.
        samples: The unstable ones, those with the highest disagreement first.
        scores: The spread of each headline score, by name.
    """

    n_samples: int
    n_repeats: int
    unstable_samples: int
    share_samples: float
    unstable_cells: int
    share_cells: float
    sample_disagreement: float
    cell_disagreement: float
    labels: tuple[LabelNoise, ...]
    samples: tuple[SampleNoise, ...]
    scores: Mapping[str, Spread]

    @property
    def unstable_labels(self) -> tuple[LabelNoise, ...]:
        """The labels with an unstable cell, the least stable first."""
        found = [row for row in self.labels if row.unstable]
        return tuple(sorted(found, key=lambda row: -row.disagreement))


def unstable_cells(repeats: Sequence[Aligned]) -> BoolMatrix:
    """Return which cells are not in the same state (present, absent, unanswered) in every repeat.

    Args:
        repeats: The repeats of one run, on the same samples.

    Returns:
        Bool, shape (n_samples, n_labels); with one repeat nothing is unstable.

    Raises:
        ValueError: There is no repeat, or they are not about the same samples.
    """
    states = _states(repeats)
    unstable: BoolMatrix = np.logical_or.reduce([each != states[0] for each in states])
    return unstable


def disagreement(repeats: Sequence[Aligned]) -> NDArray[np.float64]:
    """Return by cell the share of the pairs of different repeats that disagree: float, shape (n_samples, n_labels).

    With ``n_s`` of ``K`` repeats in state ``s`` it is ``1 - sum_s n_s (n_s - 1) / (K (K - 1))``. Over draws of the
    model its mean is ``1 - sum_s p_s**2``, whatever K is: the probability that two answers differ, without bias
    (the U-statistic of the Gini-Simpson index; Hoeffding 1948).

    Raises:
        ValueError: There are fewer than two repeats, or they are not about the same samples.
    """
    if len(repeats) < 2:
        raise ValueError(f"disagreement needs at least two repeats, got {len(repeats)}")
    states = _states(repeats)
    agreeing = np.zeros(states[0].shape, dtype=np.int64)
    for state in (ABSENT, PRESENT, UNANSWERED):
        n = np.sum([each == state for each in states], axis=0)
        agreeing += n * (n - 1)
    pairs = len(repeats) * (len(repeats) - 1)
    return np.asarray((pairs - agreeing) / pairs)


def noise(space: LabelSpace, repeats: Sequence[Aligned], scores: Scores) -> Noise | None:
    """Return how much the repeats of a run differ; None where there is only one.

    Args:
        space: The label space, which names the columns.
        repeats: The repeats of one run, on the same samples.
        scores: Of these repeats.

    Raises:
        ValueError: There is no repeat, or they are not about the same samples.
    """
    unstable = unstable_cells(repeats)
    if len(repeats) < 2:
        return None
    disagreeing, n = disagreement(repeats), np.count_nonzero(unstable, axis=0).tolist()
    ids = [sample.id for sample in repeats[0].samples]
    moving = np.flatnonzero(np.logical_or.reduce(unstable, axis=1))
    samples = [
        SampleNoise(ids[row], float(disagreeing[row].sum()), tuple(np.array(space.names, object)[unstable[row]]))
        for row in moving.tolist()
    ]
    by_label = disagreeing.mean(axis=0).tolist() if ids else [NAN] * len(space)
    return Noise(
        n_samples=len(ids),
        n_repeats=len(repeats),
        unstable_samples=len(samples),
        share_samples=len(samples) / len(ids) if ids else NAN,
        unstable_cells=sum(n),
        share_cells=float(unstable.mean()) if unstable.size else NAN,
        sample_disagreement=_mean(_differing_pairs(repeats)),
        cell_disagreement=_mean(disagreeing.ravel()),
        labels=tuple(map(LabelNoise, space.names, by_label, n)),
        samples=tuple(sorted(samples, key=lambda each: -each.disagreement)),
        scores={name: _spread(each.headline[name] for each in scores.repeats) for name in scores.headline},
    )


def noise_of(
    space: LabelSpace,
    samples: Iterable[Sample],
    gold: Mapping[str, frozenset[str] | None],
    predictions: Sequence[Prediction],
    scores: Scores,
) -> Noise | None:
    """Return the `noise` of a run as it is stored: samples, the gold it was scored against, predictions and scores.

    Raises:
        ValueError: As `harness.scoring.align` does.
    """
    scored = [replace(each, labels=gold.get(each.id, each.labels)) for each in samples]
    return noise(space, align(space, scored, predictions), scores)


def _states(repeats: Sequence[Aligned]) -> list[StateMatrix]:
    """Return the state of every cell in each repeat."""
    if not repeats:
        raise ValueError("the noise of a run needs its repeats, got none")
    ids = [[sample.id for sample in rows.samples] for rows in repeats]
    if any(each != ids[0] for each in ids):
        raise ValueError("repeats must be about the same samples in the same order, and these are not")
    return [np.where(rows.answered, rows.y_pred, UNANSWERED).astype(np.int8) for rows in repeats]


def _differing_pairs(repeats: Sequence[Aligned]) -> FloatVector:
    """Return by sample the share of the pairs of different repeats that differ in some cell, shape (n_samples,)."""
    states, n = _states(repeats), len(repeats)
    differing = np.zeros(len(repeats[0].samples))
    for first in range(n):
        for second in range(first + 1, n):
            differing += np.logical_or.reduce(states[first] != states[second], axis=1)
    return differing / (n * (n - 1) / 2)


def _mean(values: FloatVector) -> float:
    return float(values.mean()) if values.size else NAN


def _spread(values: Iterable[float]) -> Spread:
    defined = [value for value in values if not math.isnan(value)]
    if not defined:
        return Spread(NAN, NAN, NAN)
    return Spread(min(defined), max(defined), statistics.stdev(defined) if len(defined) > 1 else NAN)
