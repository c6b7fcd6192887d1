"""Where a run's errors are: by label, pair of labels, kind of failure, column, word, disagreement and confidence.

What counts as an error is said in `harness.cases`. Counts are means over the repeats, as scores are. Ids are those of some
samples with the error, in the order of the samples, so that they can be read.

Places are compared by whether samples are wrong: Fisher's exact test of the samples of a place against all others, the
p-values of all places together corrected by Holm. With repeats a sample counts there as wrong when most of its answers are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Literal, TypeAlias

import numpy as np

from harness.cases import Cases, Column, input_columns
from harness.confusion import set_confusion
from harness.metrics import NAN, BoolMatrix, BoolVector, FloatVector
from harness.pairedtests import holm
from harness.records import Prediction
from harness.standout import Standout, standing_out
from harness.template import words

EXAMPLES = 5
"""Ids of samples that stand beside a place."""

BINS = 4
"""Into how many parts of about the same size numbers are divided."""

LEAST = 5
"""Samples that a place, and what is not in it, must have."""

MOST_VALUES = 30
"""Values of a column that are told apart: the most frequent ones."""

MOST_WORDS = 20

TOLERANCE = 1e-7
"""How much more likely a table may be than the observed one, and still be no more likely but for rounding."""

SiteKind: TypeAlias = Literal["column", "range", "length", "confidence", "version", "versions", "repeats"]


@dataclass(frozen=True, slots=True)
class LabelErrors:
    """The wrong cells of one label.

    Attributes:
        support: Gold cells.
        missed: Gold cells that were answered and not predicted.
        added: Cells that were predicted and are not gold.
        unanswered: Cells without an answer, gold or not.
        cells: These three together.
        share: Share of all wrong cells; NaN when there are none.
        samples: Ids of some samples with one of them, at most `EXAMPLES`.
    """

    label: str
    support: float
    missed: float
    added: float
    unanswered: float
    cells: float
    share: float
    samples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PairErrors:
    """Two errors in one sample: a label was missed where another was added; see `harness.confusion`.

    Attributes:
        n: Samples with both.
        share: Share of the samples that miss the first.
        samples: Ids of some of them, at most `EXAMPLES`.
    """

    missed: str
    added: str
    n: float
    share: float
    samples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FailureErrors:
    """Samples with unanswered cells, by why.

    Attributes:
        kind: One of `harness.records.FailureKind`.
        n: Samples.
        share: Share of the wrong samples.
        cells: Their unanswered cells.
        share_cells: Share of all wrong cells.
        samples: Ids of some of them, at most `EXAMPLES`.
    """

    kind: str
    n: float
    share: float
    cells: float
    share_cells: float
    samples: tuple[str, ...]


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


@dataclass(frozen=True, slots=True)
class StandoutWord:
    """A word that stands out among the wrong samples.

    Attributes:
        column: Of the text.
        word: The word, with how many wrong samples have it (``here``) and how many right ones (``there``).
        samples: Ids of some wrong samples that have it, at most `EXAMPLES`.
    """

    column: str
    word: Standout
    samples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ErrorSites:
    """Where the errors are.

    Attributes:
        n_samples: Samples with gold.
        n_repeats: Repeats of the run.
        wrong: Samples with a wrong cell.
        cells: Wrong cells.
        unanswered: Those of them that are unanswered.
        errors: Errors.
        labels: Those with a wrong cell, the most first.
        pairs: The most frequent first.
        failures: The most frequent first.
        sites: Those with the smallest p-value first.
        words: Those that stand out most first, of all columns with texts together.
    """

    n_samples: int
    n_repeats: int
    wrong: float
    cells: float
    unanswered: float
    errors: float
    labels: tuple[LabelErrors, ...]
    pairs: tuple[PairErrors, ...]
    failures: tuple[FailureErrors, ...]
    sites: tuple[Site, ...]
    words: tuple[StandoutWord, ...]

    def of(self, *kinds: SiteKind) -> tuple[Site, ...]:
        """Return the sites of these kinds."""
        return tuple(site for site in self.sites if site.kind in kinds)


def error_sites(cases: Cases, versions: Mapping[str, Sequence[Prediction]] | None = None) -> ErrorSites:
    """Return where the errors are.

    Args:
        cases: The run's.
        versions: The predictions of other runs by name, of which the first repeat is compared. A sample that another run
            has no prediction of counts as answered alike.
    """
    times = cases.n_repeats
    return ErrorSites(
        n_samples=cases.n_samples,
        n_repeats=times,
        wrong=_count(cases.wrong) / times,
        cells=float(cases.n_cells.sum()) / times,
        unanswered=_count(~cases.answered) / times,
        errors=float(cases.errors.sum()) / times,
        labels=label_errors(cases),
        pairs=pair_errors(cases),
        failures=failure_errors(cases),
        sites=_corrected(_sites(cases, versions or {})),
        words=_words(cases),
    )


# --- labels, pairs, failures ------------------------------------------------------------------------------------------


def label_errors(cases: Cases, rows: BoolVector | None = None) -> tuple[LabelErrors, ...]:
    """Return the labels with a wrong cell, the most first.

    Args:
        cases: All cases.
        rows: Those that count, shape (n_rows,); None: all.
    """
    on = np.ones(len(cases.rows), np.bool_) if rows is None else rows
    times, total = cases.n_repeats, _count(cases.wrong_cells[on])
    kinds = cases.y_true, cases.missed & cases.answered, cases.added, ~cases.answered, cases.wrong_cells
    support, missed, added, unanswered, wrong = (np.count_nonzero(each[on], axis=0) / times for each in kinds)
    order = np.argsort(-wrong, kind="stable")
    return tuple(
        LabelErrors(
            label=cases.space.names[at],
            support=float(support[at]),
            missed=float(missed[at]),
            added=float(added[at]),
            unanswered=float(unanswered[at]),
            cells=float(wrong[at]),
            share=float(wrong[at]) * times / total,
            samples=_examples(cases, on & cases.wrong_cells[:, at]),
        )
        for at in order[wrong[order] > 0].tolist()
    )


def pair_errors(cases: Cases, rows: BoolVector | None = None) -> tuple[PairErrors, ...]:
    """Return the pairs of a label that was missed and one that was added, the most frequent first; see `label_errors`."""
    on = np.ones(len(cases.rows), np.bool_) if rows is None else rows
    missed, added = cases.missed & cases.answered, cases.added
    counts = set_confusion(cases.y_true[on], cases.y_pred[on], cases.answered[on])[:-1, :-1]
    of_missed = np.count_nonzero(missed[on], axis=0)
    order = np.argsort(-counts, axis=None, kind="stable")
    places = np.stack(np.unravel_index(order[counts.flat[order] > 0], counts.shape), axis=1).tolist()
    return tuple(
        PairErrors(
            missed=cases.space.names[first],
            added=cases.space.names[second],
            n=float(counts[first, second]) / cases.n_repeats,
            share=float(counts[first, second] / of_missed[first]),
            samples=_examples(cases, on & missed[:, first] & added[:, second]),
        )
        for first, second in places
    )


def failure_errors(cases: Cases, rows: BoolVector | None = None) -> tuple[FailureErrors, ...]:
    """Return the kinds of failure, the most frequent first; see `label_errors`."""
    on = np.ones(len(cases.rows), np.bool_) if rows is None else rows
    kinds = np.array([str(row.prediction.failure) if row.prediction.failed else "" for row in cases.rows], np.object_)
    counts = Counter(kind for kind in kinds[on].tolist() if kind)
    n_wrong, n_cells, times = _count(cases.wrong[on]), _count(cases.wrong_cells[on]), cases.n_repeats
    found = []
    for kind, n in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        ours = on & (kinds == kind)
        cells = _count(~cases.answered[ours])
        found.append(
            FailureErrors(kind, n / times, n / n_wrong, cells / times, cells / n_cells, _examples(cases, ours))
        )
    return tuple(found)


def _examples(cases: Cases, rows: BoolVector) -> tuple[str, ...]:
    """Return the ids of the first samples with one of these rows."""
    samples = np.flatnonzero(cases.per_sample(rows) > 0)[:EXAMPLES]
    return tuple(cases.ids[at] for at in samples.tolist())


def _count(cells: BoolMatrix | BoolVector) -> int:
    return int(np.count_nonzero(cells))


# --- samples with something in common ---------------------------------------------------------------------------------


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
    if min(_count(rows), _count(rest)) < LEAST * times:
        return
    yield Site(
        kind=kind,
        name=name,
        value=value,
        low=low,
        high=high,
        n=_count(rows) / times,
        wrong=_count(cases.wrong & rows) / times,
        rate=float(cases.wrong[rows].mean()),
        rest_rate=float(cases.wrong[rest].mean()),
        errors=float(cases.errors[rows].mean()),
        rest_errors=float(cases.errors[rest].mean()),
        p=_difference_p(cases, rows),
        p_holm=NAN,
        samples=_examples(cases, rows & cases.wrong),
    )


def _difference_p(cases: Cases, rows: BoolVector) -> float:
    """Return the p-value of a place; a sample is there, or wrong, when most of its cases are."""
    there, wrong = (cases.per_sample(each) * 2 > cases.n_repeats for each in (rows, cases.wrong))
    return fisher(_count(there & wrong), _count(there), _count(wrong), cases.n_samples)


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


# --- words ------------------------------------------------------------------------------------------------------------


def _words(cases: Cases) -> tuple[StandoutWord, ...]:
    """Return the words that stand out among the wrong samples; a sample is wrong when most of its cases are."""
    wrong = cases.per_sample(cases.wrong) * 2 > cases.n_repeats
    found = []
    for column in input_columns(cases.rows):
        if column.text:
            texts = column.values[: cases.n_samples]
            has = {text: frozenset(words(text)) for text in texts}
            for each in standing_out(texts, wrong, MOST_WORDS):
                ids = (
                    name
                    for name, text, bad in zip(cases.ids, texts, wrong, strict=True)
                    if bad and each.word in has[text]
                )
                found.append(StandoutWord(column.name, each, tuple(islice(ids, EXAMPLES))))
    return tuple(sorted(found, key=lambda each: -each.word.z)[:MOST_WORDS])
