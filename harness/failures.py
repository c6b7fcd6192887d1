"""What went wrong in a run, sample by sample."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from harness.completionlog import Slot
from harness.labelspace import LabelSpace
from harness.prompt import Pass
from harness.records import FailureKind, Prediction, Sample
from harness.store import StoredRun

Kind = Literal["fp", "fn", "wrong", "call_error", "refusal", "truncated", "unparseable"]
"""fp: a label too many. fn: a label missed in an answer. wrong: answered, but not exactly right. Else: why unanswered."""

Sort = Literal["order", "errors", "length"]

KINDS: tuple[str, ...] = get_args(Kind)
SORTS: tuple[str, ...] = get_args(Sort)


@dataclass(frozen=True, slots=True)
class Failure:
    """A prediction that is not exactly right.

    Attributes:
        gold: Gold labels, in label-space order like the others.
        missed: Gold labels that an answer left out; those of unanswered cells are not here.
        extra: Predicted labels that are not gold.
        raws: What the model wrote, by pass, and by label or group and draw where a pass asks several times; then only
            where cells are wrong. None where no text came back.
    """

    sample: Sample
    prediction: Prediction
    gold: tuple[str, ...]
    predicted: tuple[str, ...]
    missed: tuple[str, ...]
    extra: tuple[str, ...]
    raws: Mapping[str, str | None]

    @property
    def kind(self) -> str:
        """The failure's kind, or `wrong` for an answer that is not exactly right."""
        return "wrong" if self.prediction.failure is None else str(self.prediction.failure)

    @property
    def n_errors(self) -> int:
        """Wrong cells, the unanswered ones with gold among them."""
        lost = sum(label in self.prediction.unanswered for label in self.gold)
        return len(self.missed) + len(self.extra) + lost


def find_failures(
    run: StoredRun,
    *,
    label: str | None = None,
    kind: str | None = None,
    among: Collection[str] | None = None,
    sort: str = "order",
) -> list[Failure]:
    """Return the predictions of a run that are not exactly right.

    Args:
        run: A run with predictions.
        label: Only where this label's cell is wrong or unanswered.
        kind: One of `KINDS`; with a label, fp and fn are about that label.
        among: Only samples with these ids.
        sort: "order" (of the samples), "errors" (most wrong cells first) or "length" (shortest text first).
    """
    found = [each for each in _all(run) if among is None or each.sample.id in among]
    found = [each for each in found if _about(each, label) and _of_kind(each, kind, label)]
    if sort == "errors":
        found.sort(key=lambda each: -each.n_errors)
    elif sort == "length":
        found.sort(key=lambda each: sum(len(str(value)) for value in each.sample.inputs.values()))
    return found


def _all(run: StoredRun) -> Iterator[Failure]:
    samples = {sample.id: sample for sample in run.samples}
    for prediction in run.predictions:
        gold = run.gold[prediction.sample]
        if gold is not None and (prediction.labels != gold or prediction.failed):
            yield describe(run, samples[prediction.sample], prediction, gold)


def describe(run: StoredRun, sample: Sample, prediction: Prediction, gold: frozenset[str]) -> Failure:
    """Return a prediction beside its gold and the raw outputs behind it."""
    space: LabelSpace = run.manifest.space
    wrong = (gold ^ prediction.labels) | prediction.unanswered
    return Failure(
        sample,
        prediction,
        tuple(space.ordered(gold)),
        tuple(space.ordered(prediction.labels)),
        tuple(space.ordered(gold - prediction.labels - prediction.unanswered)),
        tuple(space.ordered(prediction.labels - gold)),
        {
            name: run.log.latest[slot].completion.raw
            for each in run.manifest.prompt.passes
            for name, slot in _slots(each, sample.id, prediction.repeat, space, wrong)
            if slot in run.log.latest
        },
    )


def _slots(
    each: Pass, sample: str, repeat: int, space: LabelSpace, wrong: frozenset[str]
) -> Iterator[tuple[str, Slot]]:
    """Yield where the completions of a pass for a sample stand, with what to call each."""
    for unit in each.units(space):
        if unit.name and wrong and not wrong & set(unit.labels):
            continue
        for vote in range(each.draws):
            parts = [each.name, unit.name, f"#{vote + 1}" if each.draws > 1 else ""]
            yield " ".join(part for part in parts if part), (sample, each.name, unit.name, repeat * each.draws + vote)


def _about(failure: Failure, label: str | None) -> bool:
    return label is None or label in failure.missed + failure.extra or label in failure.prediction.unanswered


def _of_kind(failure: Failure, kind: str | None, label: str | None) -> bool:
    if kind in ("fp", "fn"):
        cells = failure.extra if kind == "fp" else failure.missed
        return bool(cells) if label is None else label in cells
    if kind == "wrong":
        return not failure.prediction.failed
    return kind is None or failure.prediction.failure == FailureKind(kind)
