"""The worked examples of a drafted pass: from which files, or which samples of the split, and where they are written."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from harness.dataset import Dataset, load_dataset
from harness.draft import ParentFile
from harness.draftshots import MOST_SHOTS, Pair, contrastive, usable
from harness.errors import DataError, listing
from harness.exceptionsearch import Exceptions
from harness.metrics import BoolVector
from harness.project import Project
from harness.prompt import DECISION_APIS
from harness.records import Sample
from harness.samples import read_samples
from harness.store import StoredRun


@dataclass(frozen=True, slots=True)
class Examples:
    """Worked examples to be written.

    Attributes:
        file: Where to; None for none.
        named: As the prompt file names it.
        about: Where they come from, for people.
        set_aside: Those of the evaluated split.
    """

    file: Path | None
    named: str
    samples: tuple[Sample, ...]
    about: str
    set_aside: tuple[str, ...] = ()


def worked_examples(
    found: Exceptions,
    project: Project,
    parent: ParentFile,
    write: Path,
    set_aside: int,
    sent: BoolVector,
    scope: Sequence[str],
    pairs: Sequence[Pair],
    warn: Callable[[str], None],
) -> Examples:
    """Return the worked examples of a draft.

    Args:
        found: What was found.
        project: Where files may be read.
        parent: With the shots files of its own.
        write: The new prompt file.
        set_aside: So many samples that were searched become the examples; 0 takes those of other files.
        sent: The cases of the searched half that the trigger sends, shape (n_rows,).
        scope: The labels in question.
        pairs: Labels that are taken for each other, the most frequent first.
        warn: Told of files that cannot be read.
    """
    run, seed = found.run, found.settings.seed
    if run.manifest.prompt.passes[-1].model.api in DECISION_APIS:
        return Examples(None, "", (), "An API that decides takes no worked examples.")
    dataset = _dataset(run, project)
    folder = write.parent
    file = dataset.path.with_name(f"{dataset.path.stem}.{write.stem}.shots.jsonl")
    # Both lie in the project, so that one can be told from the other.
    named = Path(os.path.relpath(file.resolve(), folder.resolve())).as_posix()
    if set_aside:
        # Where these labels are only ever added wrongly, no sample that is wrong has one: those that are right do.
        pools_of_split = (_samples(found, sent & found.cases.wrong), _samples(found, sent))
        drawn = (contrastive(pool, scope, pairs, set_aside, seed) for pool in pools_of_split)
        chosen = next((each for each in drawn if each), ())
        ids = tuple(each.id for each in chosen)
        about = (
            f"Worked examples: {len(chosen)} samples of {run.manifest.split} that the search saw and the trigger sends. "
            "They are set aside: this version is not evaluated on them."
        )
        return Examples(file, named, chosen, about, ids) if chosen else Examples(None, "", (), NONE_SEARCHED)
    pools, sources = _pools(dataset, parent, folder, project, warn)
    usable_ones = usable(pools, [each for name in dataset.splits for each in dataset.read(name).samples])
    chosen = contrastive(usable_ones, scope, pairs, MOST_SHOTS, seed)
    if not chosen:
        return _none()
    taken = {id(each) for each in chosen}  # the drafts before this one have copies in files of their own
    used = [name for pool, name in zip(pools, sources, strict=True) if any(id(each) in taken for each in pool)]
    about = f"Worked examples: those of {listing(used, 3)} that tell these labels apart, none of an evaluated split."
    return Examples(file, named, chosen, about)


NONE_SEARCHED = (
    "No worked examples: none of the samples that the search saw and the trigger sends has one of these labels. Write some "
    "and say 'shots: {from: FILE}'."
)


def _samples(found: Exceptions, rows: BoolVector) -> list[Sample]:
    """Return the samples of some cases with the gold that they were scored against."""
    ids = {found.cases.rows[row].sample for row in np.flatnonzero(rows).tolist()}
    return [replace(each, labels=found.run.gold[each.id]) for each in found.run.samples if each.id in ids]


def _none() -> Examples:
    about = (
        "No worked examples: no shots file has a sample with one of these labels. Write some and say 'shots: {from: FILE}', "
        "or draft again with --set-aside 8, which takes some of the samples that were searched and evaluates the others."
    )
    return Examples(None, "", (), about)


def _dataset(run: StoredRun, project: Project) -> Dataset:
    if run.manifest.prompt.dataset is None:
        raise DataError(f"run {run.manifest.id}: names no dataset.")
    return load_dataset(project.root / run.manifest.prompt.dataset, project)


def _pools(
    dataset: Dataset, parent: ParentFile, folder: Path, project: Project, warn: Callable[[str], None]
) -> tuple[list[tuple[Sample, ...]], list[str]]:
    """Return what worked examples may be drawn from: the parent's shots files, then others beside the dataset."""
    splits = {path.resolve() for path in dataset.splits.values()}
    files = [(folder / name).resolve() for name in parent.shots]
    files += sorted(path.resolve() for path in dataset.path.parent.glob("*.shots.*"))
    pools, sources = list[tuple[Sample, ...]](), list[str]()
    for path in dict.fromkeys(files):
        if path in splits or project.bars(path) or not path.is_file():
            continue
        try:
            pools.append(read_samples(path, dataset.space).samples)
            sources.append(path.name)
        except DataError as error:
            warn(f"{project.show(path)}: no worked example is drawn from it. {str(error).splitlines()[0]}")
    return pools, sources
