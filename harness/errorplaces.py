"""Samples with something in common that are wrong more often than all others, or less often.

Places are compared by whether samples are wrong: Fisher's exact test of the samples of a place against all others, the
p-values of all places together corrected by Holm. With repeats a sample counts there as wrong when most of its answers are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np

from harness.cases import Cases, Column, input_columns
from harness.metrics import NAN, BoolMatrix, BoolVector, FloatVector
from harness.pairedtests import holm
from harness.records import Prediction

EXAMPLES = 5
"""Ids of samples that stand beside a place."""

BINS = 4
"""Into how many parts of about the same size numbers are divided."""

LEAST = 5
"""Samples that a place, and what is not in it, must have."""

MOST_VALUES = 30
"""Values of a column that are told apart: the most frequent ones."""

TOLERANCE = 1e-7
"""How much more likely a table may be than the observed one, and still be no more likely but for rounding."""

SiteKind: TypeAlias = Literal["column", "range", "length", "confidence", "version", "versions", "repeats"]


@dataclass(frozen=True, slots=True)
class Site:
    """Samples with something in common, against all others.

    Attributes:
        kind: `column`: those with ``value`` in the column ``name``; `range`: those whose number in the column lies from
            ``low`` to ``high``; `length`: those whose text in the column has as many characters; `confidence`: those
            whose confidence lies there; `version`: those that the run ``name`` answers otherwise; `versions`: those that
            any other run answers otherwise; `repeats`: those whose repeats differ.
        name: Of the column or run; empty for confidence, versions and repeats.
        value: Of the column; None for every other kind.
        low: The lowest number; NaN where there is none, like ``high``.
        high: The highest.
        n: Samples.
        wrong: Those with a wrong cell.
        rate: ``wrong / n``.
        rest_rate: The same of all other samples.
        errors: Errors a sample.
        rest_errors: The same of all other samples.
        p: Two-sided p-value of the difference of the rates.
        p_holm: Corrected for all sites.
        samples: Ids of some wrong ones, at most `EXAMPLES`.
    """

    kind: SiteKind
    name: str
    value: Any
    low: float
    high: float
    n: float
    wrong: float
    rate: float
    rest_rate: float
    errors: float
    rest_errors: float
    p: float
    p_holm: float
    samples: tuple[str, ...]


def examples(cases: Cases, rows: BoolVector) -> tuple[str, ...]:
    """Return the ids of the first samples with one of these rows."""
    samples = np.flatnonzero(cases.per_sample(rows) > 0)[:EXAMPLES]
    return tuple(cases.ids[at] for at in samples.tolist())


def n_true(cells: BoolMatrix | BoolVector) -> int:
    """Return how many are true."""
    return int(np.count_nonzero(cells))


def error_places(cases: Cases, versions: Mapping[str, Sequence[Prediction]]) -> tuple[Site, ...]:
    """Return samples with something in common, those with the smallest p-value first.

    Args:
        cases: The run's.
        versions: The predictions of other runs by name; see `harness.errorsites.error_sites`.
    """
    return _corrected(_sites(cases, versions))


def _sites(cases: Cases, versions: Mapping[str, Sequence[Prediction]]) -> Iterator[Site]:
    if not cases.ids:
        return
    for column in input_columns(cases.rows):
        yield from _column_sites(cases, column)
    confidence = _confidence(cases)
    if confidence is not None:
        for low, high in _bins(confidence):
            yield from _site(cases, (low <= confidence) & (confidence <= high), "confidence", low=low, high=high)
    differing = {name: _differing(cases, predictions) for name, predictions in versions.items()}
    for name, samples in differing.items():
        yield from _site(cases, cases.by_case(samples), "version", name)
    if len(differing) > 1:
        yield from _site(cases, cases.by_case(np.logical_or.reduce(list(differing.values()))), "versions")
    if cases.n_repeats > 1:
        yield from _site(cases, cases.by_case(_unstable(cases)), "repeats")


def _column_sites(cases: Cases, column: Column) -> Iterator[Site]:
    if column.text:
        lengths = np.array([len(value) for value in column.values], np.float64)
        for low, high in _bins(lengths):
            yield from _site(cases, (low <= lengths) & (lengths <= high), "length", column.name, low=low, high=high)
        return
    numbers = column.numbers
    if numbers is not None and len(np.unique(numbers)) > BINS:
        for low, high in _bins(numbers):
            yield from _site(cases, (low <= numbers) & (numbers <= high), "range", column.name, low=low, high=high)
        return
    counts = Counter(value for value in column.values if isinstance(value, str | int | float | None))
    for value, _ in counts.most_common(MOST_VALUES):
        same = np.array(
            [isinstance(each, str | int | float | None) and each == value for each in column.values], np.bool_
        )
        yield from _site(cases, same, "column", column.name, value)


def _bins(numbers: FloatVector) -> list[tuple[float, float]]:
    """Return the lowest and the highest number of each part; fewer parts than `BINS` where many numbers are equal."""
    ends = np.quantile(numbers, np.arange(1, BINS) / BINS, method="inverted_cdf").tolist()
    parts = np.searchsorted(np.unique(ends), numbers)
    return [(float(numbers[parts == part].min()), float(numbers[parts == part].max())) for part in np.unique(parts)]


def _confidence(cases: Cases) -> FloatVector | None:
    """Return the confidence of each case as a next pass sees it; None where no case has a probability."""
    if not any(row.prediction.probabilities for row in cases.rows):
        return None
    return np.array([row.context["confidence"] for row in cases.rows], np.float64)


def _differing(cases: Cases, predictions: Sequence[Prediction]) -> BoolVector:
    """Return the samples that another run answers otherwise, each in its first repeat: shape (n_samples,)."""
    theirs: dict[str, Prediction] = {}
    for each in predictions:
        if each.sample not in theirs or each.repeat < theirs[each.sample].repeat:
            theirs[each.sample] = each

    def is_other(name: str, ours: Prediction) -> bool:
        said = theirs.get(name, ours)
        return (said.labels, said.unanswered) != (ours.labels, ours.unanswered)

    first = cases.rows[: cases.n_samples]
    return np.array([is_other(row.sample, row.prediction) for row in first], np.bool_)


def _unstable(cases: Cases) -> BoolVector:
    """Return the samples of which some cell is not in the same state in every repeat: shape (n_samples,)."""
    states = np.where(cases.answered, cases.y_pred.astype(np.int8), 2)
    by_repeat = states.reshape(cases.n_repeats, cases.n_samples, len(cases.space))
    unstable: BoolVector = np.any(by_repeat != by_repeat[0], axis=(0, 2))
    return unstable


def _site(
    cases: Cases,
    rows: BoolVector,
    kind: SiteKind,
    name: str = "",
    value: Any = None,
    low: float = NAN,
    high: float = NAN,
) -> Iterator[Site]:
    """Yield the place that these cases are; none where it, or all else, has fewer than `LEAST` samples."""
    times, rest = cases.n_repeats, ~rows
    if min(n_true(rows), n_true(rest)) < LEAST * times:
        return
    yield Site(
        kind=kind,
        name=name,
        value=value,
        low=low,
        high=high,
        n=n_true(rows) / times,
        wrong=n_true(cases.wrong & rows) / times,
        rate=float(cases.wrong[rows].mean()),
        rest_rate=float(cases.wrong[rest].mean()),
        errors=float(cases.errors[rows].mean()),
        rest_errors=float(cases.errors[rest].mean()),
        p=_difference_p(cases, rows),
        p_holm=NAN,
        samples=examples(cases, rows & cases.wrong),
    )


def _difference_p(cases: Cases, rows: BoolVector) -> float:
    """Return the p-value of a place; a sample is there, or wrong, when most of its cases are."""
    there, wrong = (cases.per_sample(each) * 2 > cases.n_repeats for each in (rows, cases.wrong))
    return fisher(n_true(there & wrong), n_true(there), n_true(wrong), cases.n_samples)


def _corrected(sites: Iterable[Site]) -> tuple[Site, ...]:
    """Return the sites with corrected p-values, the smallest first."""
    found = list(sites)
    p_values = holm([site.p for site in found]).tolist()
    corrected = [replace(site, p_holm=p) for site, p in zip(found, p_values, strict=True)]
    return tuple(sorted(corrected, key=lambda site: (site.p, -abs(site.rate - site.rest_rate))))


def fisher(both: int, there: int, wrong: int, n: int) -> float:
    """Return the two-sided p-value of Fisher's exact test: are the samples of a place as often wrong as all others?

    The probability, with the margins as they are, of all tables that are no more likely than this one (Agresti 2013,
    section 3.5). In (0, 1]; 1 when the place holds nothing or everything, or nothing or everything is wrong.

    Args:
        both: Wrong samples of the place.
        there: Samples of the place.
        wrong: Wrong samples.
        n: Samples.
    """
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    k = np.arange(max(0, there + wrong - n), min(there, wrong) + 1)
    ways = -(logs[k] + logs[there - k] + logs[wrong - k] + logs[n - there - wrong + k])
    chances = np.exp(ways - ways.max())
    as_unlikely = chances <= chances[both - k[0]] * (1 + TOLERANCE)
    return float(min(1.0, chances[as_unlikely].sum() / chances.sum()))
