"""From a task to a plan: which samples a run asks about, and whether it may."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from harness.errors import DataError, listing
from harness.identity import content
from harness.labelspace import LabelSpace
from harness.predict import predict
from harness.prompt import Prompt
from harness.promptfile import Task
from harness.records import Sample
from harness.selection import Selection, select
from harness.store import FILE_SPLIT


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run will do: chosen samples, and who answers.

    Attributes:
        samples: Already chosen.
        split: Name of the split, or where unlabelled samples came from.
    """

    prompt: Prompt
    space: LabelSpace
    dataset: str
    samples: tuple[Sample, ...]
    split: str
    default_split: bool
    selection: Selection
    repeats: int = 1
    tag: str | None = None


def plan_run(task: Task, split: str | None, selection: Selection, repeats: int, tag: str | None) -> Plan:
    """Return the plan of a run on labelled samples.

    Raises:
        DataError: Nothing to score is left, a shot is among the samples, or the first pass's template fails on one.
    """
    chosen = select(task.samples.samples, selection)
    labelled = tuple(sample for sample in chosen if sample.labels is not None)
    if not labelled:
        raise DataError(
            f"{task.samples.path}: must have labelled samples to score, got {len(chosen)} without labels. "
            "To label them, type: harness label PROMPT FILE -o OUT"
        )
    refuse_leaks(task.prompt, labelled)
    for sample in labelled:
        next(predict(task.prompt, task.dataset.space, sample))  # a template that fails on a sample fails here, unpaid
    name = split or task.dataset.default_split
    default = name == task.dataset.default_split
    return Plan(task.prompt, task.dataset.space, task.dataset.name, labelled, name, default, selection, repeats, tag)


def plan_labels(task: Task, selection: Selection) -> Plan:
    """Return the plan of labelling the texts of a file: there is no gold, so nothing is scored.

    It is on no split of the dataset, so its run is never what the name of a version means.

    Raises:
        DataError: Nothing is left, or the first pass's template fails on a sample.
    """
    chosen = select(task.samples.samples, selection)
    for sample in chosen:
        next(predict(task.prompt, task.dataset.space, sample))
    split = f"{FILE_SPLIT}{task.samples.path.name}"
    return Plan(
        task.prompt, task.dataset.space, task.dataset.name, chosen, split, default_split=False, selection=selection
    )


def refuse_leaks(prompt: Prompt, samples: Iterable[Sample]) -> None:
    """Refuse shots that are evaluated too: the prompt would hold their answers.

    Raises:
        DataError: A shot has the text of a sample.
    """
    ids = {content(sample): sample.id for sample in samples}
    shots = {content(shot): shot.id for each in prompt.passes if each.shots is not None for shot in each.shots.samples}
    leaks = [f"{identity} (sample {ids[content]})" for content, identity in shots.items() if content in ids]
    if leaks:
        raise DataError(
            f"{prompt.path}: shots must not be among the evaluated samples, or the prompt holds their answers, but "
            f"{listing(leaks, 5)} {'is' if len(leaks) == 1 else 'are'}. Take them out of the shots or of the split."
        )
