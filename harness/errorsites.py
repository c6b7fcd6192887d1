"""Where a run's errors are: by label, pair of labels, kind of failure, column, word, disagreement and confidence.

What counts as an error is said in `harness.cases`. Counts are means over the repeats, as scores are. Ids are those of some
samples with the error, in the order of the samples, so that they can be read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from harness.cases import Cases, input_columns
from harness.confusion import set_confusion
from harness.errorplaces import EXAMPLES, Site, SiteKind, error_places, examples, n_true
from harness.metrics import BoolVector
from harness.records import Prediction
from harness.standout import Standout, standing_out
from harness.template import words

MOST_WORDS = 20


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
        wrong=n_true(cases.wrong) / times,
        cells=float(cases.n_cells.sum()) / times,
        unanswered=n_true(~cases.answered) / times,
        errors=float(cases.errors.sum()) / times,
        labels=label_errors(cases),
        pairs=pair_errors(cases),
        failures=failure_errors(cases),
        sites=error_places(cases, versions or {}),
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
    times, total = cases.n_repeats, n_true(cases.wrong_cells[on])
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
            samples=examples(cases, on & cases.wrong_cells[:, at]),
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
            samples=examples(cases, on & missed[:, first] & added[:, second]),
        )
        for first, second in places
    )


def failure_errors(cases: Cases, rows: BoolVector | None = None) -> tuple[FailureErrors, ...]:
    """Return the kinds of failure, the most frequent first; see `label_errors`."""
    on = np.ones(len(cases.rows), np.bool_) if rows is None else rows
    kinds = np.array([str(row.prediction.failure) if row.prediction.failed else "" for row in cases.rows], np.object_)
    counts = Counter(kind for kind in kinds[on].tolist() if kind)
    n_wrong, n_cells, times = n_true(cases.wrong[on]), n_true(cases.wrong_cells[on]), cases.n_repeats
    found = []
    for kind, n in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        ours = on & (kinds == kind)
        cells = n_true(~cases.answered[ours])
        found.append(FailureErrors(kind, n / times, n / n_wrong, cells / times, cells / n_cells, examples(cases, ours)))
    return tuple(found)


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
