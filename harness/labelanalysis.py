"""What a run does to its labels: which it confuses, which it puts together, how many it gives, which rules it breaks.

Counts are means over the repeats, as scores are; ids are those of samples in which it happens in any repeat.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from harness import metrics
from harness.confusion import cooccurrence, set_confusion
from harness.labelspace import LabelSpace
from harness.metrics import NAN, BoolMatrix, BoolVector
from harness.plainvalues import to_plain
from harness.scoring import Aligned, mean_defined

RuleKind: TypeAlias = Literal["exclusive", "implies"]

EXAMPLES = 5
"""Ids of samples that stand beside a confusion."""

CARDINALITIES = ("0", "1", "2", "3+")
"""Into which classes the number of labels of a sample falls."""


@dataclass(frozen=True, slots=True)
class Confusion:
    """Two errors in one sample: a gold label was missed, and another label was added.

    Attributes:
        missed: The gold label that was missed, in an answered cell.
        added: The label that was predicted and is not gold.
        n: Samples with both errors, the mean over repeats.
        samples: Ids of some of them, at most `EXAMPLES`, in the order of the samples.
    """

    missed: str
    added: str
    n: float
    samples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LabelBias:
    """How often a label is predicted, against how often it is gold.

    Attributes:
        predicted: Samples in which it is predicted, the mean over repeats like the counts below.
        ratio: ``predicted / support``: above 1 it is over-predicted, below 1 under-predicted. NaN without support.
        missed: Gold cells that were answered and not predicted.
        missed_alone: Those in samples in which no label was added.
        added: Cells that are predicted and not gold.
        added_alone: Those in samples in which no label was missed.
        unanswered: Gold cells without an answer; they are in ``support``.
    """

    label: str
    support: float
    predicted: float
    ratio: float
    missed: float
    missed_alone: float
    added: float
    added_alone: float
    unanswered: float


@dataclass(frozen=True, slots=True)
class LabelPair:
    """How often two labels stand together.

    Attributes:
        labels: The two, in label-space order.
        gold: Samples with both in gold.
        predicted: Samples with both predicted, the mean over repeats; an unanswered cell is not.
        difference: ``predicted - gold``.
        gold_lift: How much more often they stand together than if they had nothing to do with each other:
            ``n_samples * both / (first * second)``. 1 is by chance; NaN where one of them is in no sample.
        predicted_lift: The same of the predictions.
    """

    labels: tuple[str, str]
    gold: float
    predicted: float
    difference: float
    gold_lift: float
    predicted_lift: float


@dataclass(frozen=True, slots=True)
class Cardinality:
    """How many labels a sample has, in gold and predicted.

    Attributes:
        gold: Mean number of gold labels per sample; NaN without samples.
        predicted: Mean number of predicted labels per sample, an unanswered cell as none: as in the scores.
        gold_samples: Samples by their number of gold labels: one count for each of `CARDINALITIES`.
        predicted_samples: The same of the predictions, over the samples that are fully answered; mean over repeats.
        answered: Those samples.
        unanswered: The others.
        answered_gold: Mean number of gold labels of the fully answered samples; NaN without any.
        answered_predicted: Mean number of labels predicted for them.
        fewer: Fully answered samples with fewer labels predicted than are gold.
        as_many: Those with as many, right or wrong.
        more: Those with more.
    """

    gold: float
    predicted: float
    gold_samples: tuple[float, ...]
    predicted_samples: tuple[float, ...]
    answered: float
    unanswered: float
    answered_gold: float
    answered_predicted: float
    fewer: float
    as_many: float
    more: float


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of the label space: of exclusive labels a sample has one at most; the first of two implies the second."""

    kind: RuleKind
    labels: tuple[str, ...]

    def __str__(self) -> str:
        return " → ".join(self.labels) if self.kind == "implies" else "at most one of " + ", ".join(self.labels)


@dataclass(frozen=True, slots=True)
class RuleCheck:
    """How often a rule is broken.

    Attributes:
        gold: Ids of the samples whose gold breaks it.
        predicted: Ids of the samples whose prediction breaks it in any repeat.
        n_predicted: Samples whose prediction breaks it, the mean over repeats.
    """

    rule: Rule
    gold: tuple[str, ...]
    predicted: tuple[str, ...]
    n_predicted: float


@dataclass(frozen=True, slots=True)
class LabelAnalysis:
    """What a run does to its labels.

    Attributes:
        names: The label names, in label-space order.
        confusion: Mean over repeats of `confusion.set_confusion`, shape (n_labels + 1, n_labels + 1), as rows.
        confusions: Its pairs of two labels that occur, the most frequent first.
        labels: In label-space order.
        pairs: Pairs of labels that stand together in gold or in predictions, those whose counts differ most first.
        rules: In the order of the dataset file; empty where it has none.
    """

    n_samples: int
    n_repeats: int
    names: tuple[str, ...]
    confusion: tuple[tuple[float, ...], ...]
    confusions: tuple[Confusion, ...]
    labels: tuple[LabelBias, ...]
    pairs: tuple[LabelPair, ...]
    cardinality: Cardinality
    rules: tuple[RuleCheck, ...]

    def about(self, label: str) -> LabelAnalysis:
        """Return the part that is about one label; the confusion as rows and the number of labels stay whole."""
        return LabelAnalysis(
            n_samples=self.n_samples,
            n_repeats=self.n_repeats,
            names=self.names,
            confusion=self.confusion,
            confusions=tuple(each for each in self.confusions if label in (each.missed, each.added)),
            labels=tuple(each for each in self.labels if each.label == label),
            pairs=tuple(each for each in self.pairs if label in each.labels),
            cardinality=self.cardinality,
            rules=tuple(each for each in self.rules if label in each.rule.labels),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the analysis as plain values, NaN as None."""
        plain: dict[str, Any] = to_plain(self)
        return plain


def analyse(space: LabelSpace, repeats: Sequence[Aligned]) -> LabelAnalysis:
    """Return what a run does to its labels.

    Args:
        space: The label space; its rules are those that are checked.
        repeats: The repeats of a run, on the same samples, as `scoring.align` gives them; one at least.
    """
    first = repeats[0]
    confusion = _mean([set_confusion(rows.y_true, rows.y_pred, rows.answered) for rows in repeats])
    return LabelAnalysis(
        n_samples=len(first.samples),
        n_repeats=len(repeats),
        names=space.names,
        confusion=tuple(map(tuple, confusion.tolist())),
        confusions=_confusions(space, confusion, repeats),
        labels=_biases(space, confusion, repeats),
        pairs=_label_pairs(space, repeats),
        cardinality=_cardinality(repeats),
        rules=_rule_checks(space, repeats),
    )


def rules_of(space: LabelSpace) -> tuple[Rule, ...]:
    """Return the rules of a label space: the exclusive ones, then what implies what."""
    exclusive = [Rule("exclusive", names) for names in space.exclusive]
    return (*exclusive, *(Rule("implies", pair) for pair in space.implies))


def broken(rule: Rule, space: LabelSpace, y: BoolMatrix, answered: BoolMatrix | None = None) -> BoolVector:
    """Return which label vectors break a rule: bool, shape (n_samples,). An unanswered cell breaks none.

    Args:
        rule: A rule of the label space.
        space: The label space.
        y: Label vectors, gold or predicted.
        answered: False where a cell is unanswered; None means that all are answered.
    """
    columns = [space.index[name] for name in rule.labels]
    known = np.ones_like(y[:, columns]) if answered is None else answered[:, columns]
    present, absent = y[:, columns] & known, ~y[:, columns] & known
    if rule.kind == "exclusive":
        return np.asarray(np.count_nonzero(present, axis=1) > 1)
    return np.asarray(present[:, 0] & absent[:, 1])


def broken_by_gold(space: LabelSpace, gold: Iterable[tuple[str, Iterable[str]]]) -> tuple[tuple[Rule, list[str]], ...]:
    """Return the rules that gold breaks, each with the ids of the samples; ``gold`` is pairs of id and labels."""
    rows, rules = list(gold), rules_of(space)
    y = space.vectors(labels for _, labels in rows if rules)
    found = [(rule, np.flatnonzero(broken(rule, space, y)).tolist()) for rule in rules]
    return tuple((rule, [rows[at][0] for at in samples]) for rule, samples in found if samples)


def _mean(counts: Sequence[NDArray[np.int64]]) -> NDArray[Any]:
    """Return the mean over repeats; of one repeat its whole numbers."""
    return counts[0] if len(counts) == 1 else np.asarray(np.mean(counts, axis=0, dtype=np.float64))


def _ids(repeats: Sequence[Aligned], happens: BoolVector) -> Iterator[str]:
    """Yield the ids of the samples in which something happens."""
    return (repeats[0].samples[row].id for row in np.flatnonzero(happens).tolist())


def _confusions(space: LabelSpace, confusion: NDArray[Any], repeats: Sequence[Aligned]) -> tuple[Confusion, ...]:
    """Return the pairs of two labels that are confused, with ids of some samples."""
    missed = [rows.y_true & ~rows.y_pred & rows.answered for rows in repeats]
    added = [rows.y_pred & ~rows.y_true & rows.answered for rows in repeats]
    found = []
    for a, name in enumerate(space.names):
        # Only the samples that miss this label are looked at: of many labels each is missed in few.
        missing = [np.flatnonzero(each[:, a]) for each in missed]
        there = [each[rows] for each, rows in zip(added, missing, strict=True)]
        for b in np.flatnonzero(confusion[a, :-1]).tolist():
            both = [rows[cells[:, b]][:EXAMPLES] for rows, cells in zip(missing, there, strict=True)]
            first = np.unique(np.concatenate(both))[:EXAMPLES].tolist()
            ids = tuple(repeats[0].samples[row].id for row in first)
            found.append(Confusion(name, space.names[b], confusion[a, b].item(), ids))
    return tuple(sorted(found, key=lambda each: -each.n))


def _biases(space: LabelSpace, confusion: NDArray[Any], repeats: Sequence[Aligned]) -> tuple[LabelBias, ...]:
    counts = [metrics.count(rows.y_true, rows.y_pred, rows.answered) for rows in repeats]
    support = counts[0].support
    predicted = _mean([each.predicted for each in counts])
    unanswered = _mean([np.count_nonzero(rows.y_true & ~rows.answered, axis=0) for rows in repeats])
    ratio = np.full(len(space), NAN)
    np.divide(predicted, support, out=ratio, where=support != 0)
    columns = (
        support,
        predicted,
        ratio,
        _mean([each.fn for each in counts]) - unanswered,
        confusion[:-1, -1],
        _mean([each.fp for each in counts]),
        confusion[-1, :-1],
        unanswered,
    )
    return tuple(map(LabelBias, space.names, *(column.tolist() for column in columns)))


def _label_pairs(space: LabelSpace, repeats: Sequence[Aligned]) -> tuple[LabelPair, ...]:
    n = len(repeats[0].samples)
    gold = cooccurrence(repeats[0].y_true)
    predicted = _mean([cooccurrence(rows.y_pred & rows.answered) for rows in repeats])
    together = np.argwhere(np.triu((gold > 0) | (predicted > 0), k=1))
    first, second = together[:, 0], together[:, 1]
    both = (gold[first, second], predicted[first, second])
    lifts = [
        _lift(n, counts, each.diagonal()[first] * each.diagonal()[second])
        for counts, each in zip(both, (gold, predicted), strict=True)
    ]
    columns = (*both, both[1] - both[0], *lifts)
    names = [(space.names[a], space.names[b]) for a, b in together.tolist()]
    pairs = map(LabelPair, names, *(column.tolist() for column in columns))
    return tuple(sorted(pairs, key=lambda each: -abs(each.difference)))


def _lift(n: int, both: NDArray[Any], product: NDArray[Any]) -> NDArray[np.float64]:
    lift = np.full(both.shape, NAN)
    np.divide(n * both, product, out=lift, where=product != 0)
    return lift


def _cardinality(repeats: Sequence[Aligned]) -> Cardinality:
    gold = np.count_nonzero(repeats[0].y_true, axis=1)
    each = [_answered_cardinality(rows, gold) for rows in repeats]
    predicted = [np.count_nonzero(rows.y_pred, axis=1)[rows.complete] for rows in repeats]
    return Cardinality(
        gold=metrics.label_cardinality(repeats[0].y_true),
        predicted=mean_defined(metrics.label_cardinality(rows.y_pred, rows.answered) for rows in repeats),
        gold_samples=_classes([gold]),
        predicted_samples=_classes(predicted),
        **{name: mean_defined(row[name] for row in each) for name in each[0]},
    )


def _answered_cardinality(rows: Aligned, gold: NDArray[np.int64]) -> dict[str, float]:
    """Return the numbers of one repeat that are over the fully answered samples, by their names in `Cardinality`."""
    complete = rows.complete
    wanted, given = gold[complete], np.count_nonzero(rows.y_pred, axis=1)[complete]
    return {
        "answered": int(wanted.size),
        "unanswered": int(gold.size - wanted.size),
        "answered_gold": float(wanted.mean()) if wanted.size else NAN,
        "answered_predicted": float(given.mean()) if given.size else NAN,
        "fewer": int(np.count_nonzero(given < wanted)),
        "as_many": int(np.count_nonzero(given == wanted)),
        "more": int(np.count_nonzero(given > wanted)),
    }


def _classes(repeats: Sequence[NDArray[np.int64]]) -> tuple[float, ...]:
    """Return how many samples have so many labels, for each of `CARDINALITIES`, the mean over repeats."""
    last = len(CARDINALITIES) - 1
    counts = [np.bincount(np.minimum(each, last), minlength=last + 1) for each in repeats]
    return tuple(_mean(counts).tolist())


def _rule_checks(space: LabelSpace, repeats: Sequence[Aligned]) -> tuple[RuleCheck, ...]:
    checks = []
    for rule in rules_of(space):
        by_gold = broken(rule, space, repeats[0].y_true)
        predicted = [broken(rule, space, rows.y_pred, rows.answered) for rows in repeats]
        in_any = np.logical_or.reduce(predicted)
        n = mean_defined(int(np.count_nonzero(each)) for each in predicted)
        checks.append(RuleCheck(rule, tuple(_ids(repeats, by_gold)), tuple(_ids(repeats, in_any)), n))
    return tuple(checks)
