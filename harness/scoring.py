"""From samples and predictions to scores: align by id and label name, count, average over repeats.

This is the one place that turns failures into wrong answers. Only samples with gold labels are scored, all of them: a
sample that has no prediction in a repeat is unanswered there, with failure "call_error".
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from harness import metrics
from harness.fieldscoring import FieldScore, field_score
from harness.labelspace import Field, LabelSpace, normalize
from harness.metrics import NAN, BoolMatrix, BoolVector
from harness.metrics import Averages as Averages
from harness.plainvalues import to_plain, with_nan
from harness.probabilities import (
    Bin,
    FloatMatrix,
    LabelProbabilities,
    ProbabilityAverages,
    ProbabilityScores,
    matrix,
    score_probabilities,
)
from harness.records import FailureKind, Prediction, Sample

_NO_INPUTS: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class LabelScore:
    """One label. Counts are cells; precision, recall and F1 are NaN at 0/0, as `metrics` says.

    Attributes:
        support: Gold cells. A label with support 0 is in no macro average.
        predicted: Predicted cells: ``tp + fp``.
        fn: Gold cells that were not predicted, the unanswered ones among them.
        unanswered: Cells that no pass answered.
    """

    label: str
    support: float
    predicted: float
    tp: float
    fp: float
    fn: float
    precision: float
    recall: float
    f1: float
    unanswered: float


@dataclass(frozen=True, slots=True)
class Scores:
    """All numbers of a run.

    With several repeats every number is the mean of its values in the repeats (where it is defined), so counts may be
    fractions; but `failures`, `off_list`, `off_list_samples` and `repaired` are sums over the repeats.

    Attributes:
        n_samples: Samples with gold labels: the denominator of everything but the fields.
        n_repeats: Number of repeats, 1 or more.
        averages: Over all samples; failures are wrong.
        answered: The same over the fully answered samples alone, macro over the labels with support among them.
        n_answered: Samples that are fully answered.
        coverage: Share of (sample, repeat) pairs that are fully answered; NaN without samples.
        worst_case: `averages` as if every unanswered cell were the complement of gold; None at full coverage. Its
            example-based averages and cardinalities are those of `averages`, where such samples are wrong already.
        failures: (sample, repeat) pairs with an unanswered cell, by kind; every kind is a key.
        off_list: How often each off-list answer was given, by its normalised text; most frequent first.
        off_list_samples: (sample, repeat) pairs with an off-list answer.
        repaired: (sample, repeat) pairs with an answer that had to be mended.
        labels: In label-space order, those without support among them.
        fields: In label-space order, those that were asked for.
        repeats: The scores of each repeat, in order; empty when there is one.
        probabilities: Over the answered cells that have a probability; None when no cell has one.
    """

    n_samples: int
    n_repeats: int
    averages: Averages
    answered: Averages
    n_answered: float
    coverage: float
    worst_case: Averages | None
    failures: Mapping[FailureKind, int]
    off_list: Mapping[str, int]
    off_list_samples: int
    repaired: int
    labels: tuple[LabelScore, ...]
    fields: tuple[FieldScore, ...]
    repeats: tuple[Scores, ...] = ()
    probabilities: ProbabilityScores | None = None

    @property
    def headline(self) -> dict[str, float]:
        """The four scores a run is judged by, by name."""
        return {
            "macro_f1": self.averages.macro_f1,
            "micro_f1": self.averages.micro_f1,
            "subset_accuracy": self.averages.subset_accuracy,
            "coverage": self.coverage,
        }

    def to_json(self) -> dict[str, Any]:
        """Return the scores as plain values, NaN as None; `from_json` is the way back."""
        plain: dict[str, Any] = to_plain(self)
        return plain

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Scores:
        """Return the scores that `to_json` wrote."""
        worst = data["worst_case"]
        return cls(
            **{
                **with_nan(data),
                "averages": Averages(**with_nan(data["averages"])),
                "answered": Averages(**with_nan(data["answered"])),
                "worst_case": None if worst is None else Averages(**with_nan(worst)),
                "failures": {FailureKind(kind): n for kind, n in data["failures"].items()},
                "labels": tuple(LabelScore(**with_nan(row)) for row in data["labels"]),
                "fields": tuple(FieldScore(**with_nan(row)) for row in data["fields"]),
                "repeats": tuple(cls.from_json(each) for each in data["repeats"]),
                "probabilities": _probabilities_from_json(data.get("probabilities")),
            }
        )


@dataclass(frozen=True, slots=True, eq=False)
class Aligned:
    """One repeat, sample by sample: row i of everything is about ``samples[i]``.

    Attributes:
        samples: The samples with gold labels, in the order given.
        predictions: One a sample; where there was none, an unanswered one with failure "call_error".
        y_true: Gold label vectors, shape (n_samples, n_labels).
        y_pred: Predicted label vectors; absent where unanswered.
        answered: False where a cell is unanswered.
    """

    repeat: int
    samples: tuple[Sample, ...]
    predictions: tuple[Prediction, ...]
    y_true: BoolMatrix
    y_pred: BoolMatrix
    answered: BoolMatrix

    @property
    def complete(self) -> BoolVector:
        """Samples that are fully answered, shape (n_samples,)."""
        complete: BoolVector = np.logical_and.reduce(self.answered, axis=1)
        return complete

    @property
    def right(self) -> BoolMatrix:
        """Cells that are right, shape (n_samples, n_labels); an unanswered one is not."""
        right: BoolMatrix = (self.y_true == self.y_pred) & self.answered
        return right

    @property
    def exact(self) -> BoolVector:
        """Samples that are exactly right: every cell answered and right. Shape (n_samples,)."""
        exact: BoolVector = np.logical_and.reduce(self.right, axis=1)
        return exact

    def probabilities(self, space: LabelSpace) -> FloatMatrix:
        """Return P(label) of the answered cells that have one, shape (n_samples, n_labels); NaN for the others."""
        said = matrix(space.names, [row.probabilities for row in self.predictions])
        return np.where(self.answered, said, NAN)


def score(space: LabelSpace, samples: Sequence[Sample], predictions: Sequence[Prediction]) -> Scores:
    """Return the scores of the predictions.

    Samples without gold labels, and their predictions, do not count.

    Raises:
        ValueError: As `align` does.
    """
    if not isinstance(samples, list | tuple):  # on disk: they are read once, and their inputs are not needed
        samples = [Sample(each.id, _NO_INPUTS, each.labels, each.fields) for each in samples]
    return score_aligned(space, align(space, samples, predictions))


def score_aligned(space: LabelSpace, repeats: Sequence[Aligned]) -> Scores:
    """Return the scores of predictions that stand beside their samples already: what `align` returned."""
    asked = {name for rows in repeats for prediction in rows.predictions for name in prediction.asked_fields}
    fields = [each for each in space.fields if each.name in asked]
    weighed = any(row.probabilities for rows in repeats for row in rows.predictions)
    return _pooled([_score_repeat(space, fields, rows, weighed) for rows in repeats])


def align(space: LabelSpace, samples: Sequence[Sample], predictions: Sequence[Prediction]) -> tuple[Aligned, ...]:
    """Return samples and predictions side by side, one `Aligned` for each repeat that has predictions, in order.

    Without any prediction there is repeat 0, all unanswered. A sample with no prediction in a repeat counts as asked
    for every field that any prediction was asked for: it has failed at those too.

    Raises:
        ValueError: Two samples have one id; a prediction is of an unknown sample, or the second of its sample and
            repeat; a label or field is not in the label space; a cell is unanswered without a failure.
    """
    labelled = {sample.id: sample.labels is not None for sample in samples}
    if len(labelled) < len(samples):
        raise ValueError(f"sample ids must be unique, got {len(samples)} samples with {len(labelled)} ids")
    names = frozenset(space.names)
    for sample in samples:
        if sample.labels and not sample.labels <= names:
            raise _unknown_label(sample.labels, names, f"gold of sample {sample.id!r}")
    repeats: dict[int, dict[str, Prediction]] = {}
    asked: set[str] = set()
    for prediction in predictions:
        _check(space, names, prediction, labelled)
        found = repeats.setdefault(prediction.repeat, {})
        if prediction.sample in found:
            raise ValueError(f"sample {prediction.sample!r} has two predictions in repeat {prediction.repeat}")
        found[prediction.sample] = prediction
        if labelled[prediction.sample]:
            asked.update(prediction.asked_fields)
    rows = tuple(sample for sample in samples if labelled[sample.id])
    fields = tuple(each.name for each in space.fields if each.name in asked)
    return tuple(_aligned(space, rows, repeats.get(repeat, {}), repeat, fields) for repeat in sorted(repeats) or [0])


def _aligned(
    space: LabelSpace,
    samples: tuple[Sample, ...],
    found: Mapping[str, Prediction],
    repeat: int,
    asked_fields: tuple[str, ...],
) -> Aligned:
    rows = tuple(found.get(each.id) or _missing(space, each.id, repeat, asked_fields) for each in samples)
    answered = ~space.vectors(row.unanswered for row in rows)
    return Aligned(
        repeat=repeat,
        samples=samples,
        predictions=rows,
        y_true=space.vectors(sample.labels or () for sample in samples),
        y_pred=space.vectors(row.labels for row in rows) & answered,
        answered=answered,
    )


def _missing(space: LabelSpace, sample: str, repeat: int, asked_fields: tuple[str, ...]) -> Prediction:
    return Prediction(
        sample,
        labels=frozenset(),
        unanswered=frozenset(space.names),
        failure=FailureKind.CALL_ERROR,
        why="no prediction",
        asked_fields=asked_fields,
        repeat=repeat,
    )


def _check(space: LabelSpace, names: frozenset[str], prediction: Prediction, known: Container[str]) -> None:
    """Refuse a prediction that does not fit; ``names`` are those of the labels. It is asked 120,000 times in a row."""
    if prediction.sample not in known:
        raise ValueError(f"prediction of an unknown sample {prediction.sample!r}")
    for said in (prediction.labels, prediction.unanswered, prediction.probabilities):
        if said and not names.issuperset(said):
            raise _unknown_label(said, names, f"prediction of sample {prediction.sample!r}")
    for name in prediction.asked_fields:
        if space.field(name) is None:
            where = f"prediction of sample {prediction.sample!r}"
            raise ValueError(f"{where}: {name!r} is not a field of the label space")
    if prediction.unanswered and prediction.failure is None:
        where = f"prediction of sample {prediction.sample!r}"
        raise ValueError(f"{where}: it has unanswered cells and no failure that says why")


def _unknown_label(said: Iterable[str], names: frozenset[str], where: str) -> ValueError:
    name = next(name for name in said if name not in names)
    return ValueError(f"{where}: {name!r} is not a label of the label space")


# --- one repeat -------------------------------------------------------------------------------------------------------


def _score_repeat(space: LabelSpace, fields: Sequence[Field], rows: Aligned, weighed: bool) -> Scores:
    complete = rows.complete
    n_answered = int(np.count_nonzero(complete))
    averages = metrics.averages(rows.y_true, rows.y_pred, rows.answered)
    off_list = Counter(normalize(text) for row in rows.predictions for text in row.off_list)
    failures = Counter(row.failure for row in rows.predictions if row.unanswered)
    return Scores(
        n_samples=len(rows.samples),
        n_repeats=1,
        averages=averages,
        answered=averages
        if n_answered == len(rows.samples)
        else metrics.answered_averages(rows.y_true, rows.y_pred, rows.answered),
        n_answered=n_answered,
        coverage=n_answered / len(rows.samples) if rows.samples else NAN,
        worst_case=_worst_case(rows, averages) if n_answered < len(rows.samples) else None,
        failures={kind: failures[kind] for kind in FailureKind},
        off_list=_most_frequent_first(off_list),
        off_list_samples=sum(bool(row.off_list) for row in rows.predictions),
        repaired=sum(row.repaired for row in rows.predictions),
        labels=_label_scores(space, rows),
        fields=tuple(_field_score(each, rows) for each in fields),
        probabilities=score_probabilities(space.names, rows.y_true, rows.probabilities(space)) if weighed else None,
    )


def _worst_case(rows: Aligned, averages: Averages) -> Averages:
    wrong = np.where(rows.answered, rows.y_pred, ~rows.y_true)
    return dataclasses.replace(averages, **metrics.label_based(metrics.count(rows.y_true, wrong)))


def _label_scores(space: LabelSpace, rows: Aligned) -> tuple[LabelScore, ...]:
    counts = metrics.count(rows.y_true, rows.y_pred, rows.answered)
    columns = (
        counts.support,
        counts.predicted,
        counts.tp,
        counts.fp,
        counts.fn,
        metrics.precision(counts),
        metrics.recall(counts),
        metrics.f1(counts),
        np.count_nonzero(~rows.answered, axis=0),
    )
    numbers = zip(*(column.tolist() for column in columns), strict=True)
    return tuple(LabelScore(name, *row) for name, row in zip(space.names, numbers, strict=True))


def _field_score(field: Field, rows: Aligned) -> FieldScore:
    name = field.name
    pairs = [
        (sample.fields[name], prediction.fields)
        for sample, prediction in zip(rows.samples, rows.predictions, strict=True)
        if name in sample.fields and name in prediction.asked_fields
    ]
    return field_score(field, pairs)


# --- over repeats -----------------------------------------------------------------------------------------------------

_Record = TypeVar("_Record", Averages, LabelScore, FieldScore, LabelProbabilities, ProbabilityAverages, Bin)


def _pooled(repeats: list[Scores]) -> Scores:
    """Return the mean over repeats; the label set of macro is the same in all of them, because gold decides it."""
    if len(repeats) == 1:
        return repeats[0]
    off_list = sum((Counter(each.off_list) for each in repeats), Counter[str]())
    worst = [each.worst_case or each.averages for each in repeats]
    return Scores(
        n_samples=repeats[0].n_samples,
        n_repeats=len(repeats),
        averages=_mean_record([each.averages for each in repeats]),
        answered=_mean_record([each.answered for each in repeats]),
        n_answered=mean_defined(each.n_answered for each in repeats),
        coverage=mean_defined(each.coverage for each in repeats),
        worst_case=_mean_record(worst) if any(each.worst_case for each in repeats) else None,
        failures={kind: sum(each.failures[kind] for each in repeats) for kind in FailureKind},
        off_list=_most_frequent_first(off_list),
        off_list_samples=sum(each.off_list_samples for each in repeats),
        repaired=sum(each.repaired for each in repeats),
        labels=tuple(_mean_record(rows) for rows in zip(*(each.labels for each in repeats), strict=True)),
        fields=tuple(_mean_record(rows) for rows in zip(*(each.fields for each in repeats), strict=True)),
        repeats=tuple(repeats),
        probabilities=_mean_probabilities([each.probabilities for each in repeats if each.probabilities is not None]),
    )


def _mean_probabilities(repeats: Sequence[ProbabilityScores]) -> ProbabilityScores | None:
    if not repeats:
        return None
    return ProbabilityScores(
        averages=_mean_record([each.averages for each in repeats]),
        labels=tuple(_mean_record(rows) for rows in zip(*(each.labels for each in repeats), strict=True)),
        bins=tuple(_mean_record(rows) for rows in zip(*(each.bins for each in repeats), strict=True)),
    )


def mean_defined(values: Iterable[float]) -> float:
    """Return the mean of the values that are not NaN; NaN when there is none. The mean of equal ints is that int."""
    defined = [value for value in values if not math.isnan(value)]
    if not defined:
        return NAN
    return defined[0] if len(set(defined)) == 1 else math.fsum(defined) / len(defined)


def _mean_record(records: Sequence[_Record]) -> _Record:
    names = [each.name for each in dataclasses.fields(records[0]) if each.name not in ("label", "field", "type")]
    means: dict[str, Any] = {name: mean_defined(getattr(record, name) for record in records) for name in names}
    return dataclasses.replace(records[0], **means)


def _most_frequent_first(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _probabilities_from_json(data: Mapping[str, Any] | None) -> ProbabilityScores | None:
    if data is None:
        return None
    return ProbabilityScores(
        averages=ProbabilityAverages(**with_nan(data["averages"])),
        labels=tuple(LabelProbabilities(**with_nan(row)) for row in data["labels"]),
        bins=tuple(Bin(**with_nan(row)) for row in data["bins"]),
    )
