"""A file of predictions becomes a run: what a fine-tuned model, a competitor or last year's system said."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.dataset import Dataset, load_dataset
from harness.errors import DataError, UsageError, listing
from harness.labelspace import LabelSpace
from harness.outside import check_name, labelled_samples, store_outside
from harness.predictionfile import PredictionFile, read_predictions
from harness.predictionlayout import Reading
from harness.project import Project
from harness.records import FailureKind, Prediction, Sample
from harness.store import Origin, StoredRun

MISSING = "no prediction"
"""Why a sample is unanswered that the file says nothing of."""

ENOUGH = 20
"""Samples from which on it is odd that all of them are exactly right."""


@dataclass(frozen=True, slots=True)
class Imported:
    """A file of predictions as a run.

    Attributes:
        described: In which columns the predictions were found, for people.
        threshold: What decided, where numbers did; else None.
        missing: Samples without a prediction.
    """

    run: StoredRun
    described: str
    threshold: float | None
    missing: int


def import_file(
    path: Path,
    dataset: Path,
    project: Project,
    *,
    name: str,
    split: str | None = None,
    reading: Reading | None = None,
    model: str | None = None,
    notes: str = "",
    partial: bool = False,
    warn: Callable[[str], None] = lambda _: None,
) -> Imported:
    """Make a run of a file of predictions; `harness.api.import_predictions` tells the arguments.

    Raises:
        UsageError: The name or the threshold cannot be.
        DataError: The file or the dataset has problems; all of them are told.
    """
    began = time.monotonic()
    reading = reading or Reading()
    _check(name, reading, project)
    loaded = load_dataset(dataset, project)
    chosen = split or loaded.default_split
    every = loaded.read(chosen)
    samples = labelled_samples(loaded, every.samples, chosen)
    for warning in every.warnings:
        warn(warning)
    read = read_predictions(
        path,
        loaded.space,
        {sample.id: sample.labels is not None for sample in every},
        reading,
        where=f"split '{chosen}' of {loaded.name}",
        elsewhere=lambda: _elsewhere(loaded, chosen),
    )
    for note in read.notes:
        warn(note)
    if reading.threshold is not None and read.threshold is None:
        warn(f"--threshold {reading.threshold:g}: decides nothing, because {path} has no probabilities.")
    _check_repeats(path, read)
    if partial:
        answered = {each.sample for each in read.predictions}
        samples = tuple(sample for sample in samples if sample.id in answered)
    predictions, missing = _complete(loaded.space, samples, read.predictions)
    if missing:
        warn(
            f"{path}: samples without a prediction: {len(missing)} ({listing(missing, 5)}). They count as failures, and the "
            "run as incomplete. To leave them out of the run: --partial"
        )
    if len(samples) >= ENOUGH and _all_right(samples, predictions):
        warn(f"{path}: every prediction is exactly the gold. If that is what the column holds, name another: --column")
    origin = Origin(
        "import",
        model or f"import of {path.name}",
        path.name,
        _sha256(path),
        {"read": read.described, **({} if read.threshold is None else {"threshold": read.threshold})},
    )
    selection = {"partial": True} if partial else {}
    run = store_outside(
        name, origin, loaded, chosen, samples, predictions, project, notes=notes, selection=selection, began=began
    )
    return Imported(run, read.described, read.threshold, len(missing))


def _check(name: str, reading: Reading, project: Project) -> None:
    check_name(name, project)
    if reading.threshold is not None and not 0 <= reading.threshold <= 1:
        raise UsageError(f"--threshold: must be from 0 to 1, got {reading.threshold:g}.")
    if reading.column is not None and reading.shape == "columns":
        raise UsageError("--column: does not go with --format columns, where each label has a column.")


def _elsewhere(dataset: Dataset, chosen: str) -> dict[str, str]:
    """Return the split by id of the samples in the dataset's other splits; one that cannot be read has none."""
    found: dict[str, str] = {}
    for split in dataset.splits:
        if split != chosen:
            try:
                found |= {sample.id: split for sample in dataset.read(split)}
            except DataError:
                continue
    return found


def _check_repeats(path: Path, read: PredictionFile) -> None:
    if not read.predictions:
        raise DataError(f"{path}: must have a prediction of a sample with gold labels, got none.")
    repeats = sorted({each.repeat for each in read.predictions})
    if repeats != list(range(len(repeats))):
        raise DataError(f"{path}: 'repeat' must count from 0 on, got {listing(map(str, repeats))}.")


def _complete(
    space: LabelSpace, samples: Sequence[Sample], given: Sequence[Prediction]
) -> tuple[list[Prediction], list[str]]:
    """Return one prediction a sample and repeat, in their order, and the ids of samples that lack one."""
    by_slot = {(each.repeat, each.sample): each for each in given}
    every = frozenset(space.names)
    fields = {name for each in given for name in each.asked_fields}
    asked = tuple(each.name for each in space.fields if each.name in fields)
    predictions = []
    missing: dict[str, None] = {}
    for repeat in range(1 + max(each.repeat for each in given)):
        for sample in samples:
            found = by_slot.get((repeat, sample.id))
            if found is None:
                missing[sample.id] = None
                found = Prediction(
                    sample.id,
                    frozenset(),
                    every,
                    FailureKind.CALL_ERROR,
                    MISSING,
                    asked_fields=asked,
                    repeat=repeat,
                )
            predictions.append(found)
    return predictions, list(missing)


def _all_right(samples: Sequence[Sample], predictions: Sequence[Prediction]) -> bool:
    gold = {sample.id: sample.labels for sample in samples}
    return all(each.labels == gold[each.sample] and not each.failed for each in predictions)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
