"""Runs against runs: which run is the baseline of which, and what two or more stored runs can be compared on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.comparison import Comparison, RunPredictions, compare
from harness.dataset import load_dataset
from harness.errors import DataError, listing
from harness.project import Project
from harness.records import Sample
from harness.store import Manifest, StoredRun, find_run, list_runs


@dataclass(frozen=True, slots=True)
class ComparedRuns:
    """Stored runs and what changed between them.

    Attributes:
        names: What each run is called here: its version, or its id where versions repeat.
        notes: What differs beside the prompt, and what the comparison leaves out: for people.
    """

    runs: tuple[StoredRun, ...]
    names: tuple[str, ...]
    comparison: Comparison
    notes: tuple[str, ...]


def find_baseline(run: StoredRun, project: Project, named: str | None = None) -> StoredRun | None:
    """Return the run that a run is measured against, None when there is none with samples in common.

    It is the named one, else the previous run of this version with another prompt, else the newest run of the parent.
    """
    if named is not None:
        return find_run(project.runs, named)
    mine = run.manifest
    earlier = [each for each in list_runs(project.runs) if _comparable(each.manifest, mine)]
    same = [
        each for each in earlier if _is(each.manifest, mine.version) and each.manifest.prompt_hash != mine.prompt_hash
    ]
    parents = [each for each in earlier if _is(each.manifest, mine.prompt.parent)]
    ids = {sample.id for sample in run.samples}
    return next((each for each in same + parents if not ids.isdisjoint(sample.id for sample in each.samples)), None)


def _is(manifest: Manifest, version: str | None) -> bool:
    return manifest.version == version


def _comparable(its: Manifest, mine: Manifest) -> bool:
    """Return whether a run is earlier, complete, and about the same labels and split."""
    return (
        its.id != mine.id
        and its.started <= mine.started
        and its.state == "complete"
        and (its.dataset, its.split) == (mine.dataset, mine.split)
        and set(its.space.names) == set(mine.space.names)
    )


def compare_runs(runs: Sequence[StoredRun], project: Project) -> ComparedRuns:
    """Return what changed between runs, each later one against the first, all scored against today's gold.

    Raises:
        DataError: Their label spaces differ, a run has no predictions, or no sample is in all of them.
    """
    first = runs[0].manifest
    for run in runs[1:]:
        if set(run.manifest.space.names) != set(first.space.names):
            differing = sorted(set(run.manifest.space.names) ^ set(first.space.names))
            raise DataError(
                f"{first.id} and {run.manifest.id}: must have the same labels to be compared, but differ in "
                f"{listing(differing)}."
            )
    names = _names(runs)
    gold, notes = _gold(runs, project)
    alike = _alike(runs)
    kept = [sample for sample in gold if sample.id in alike]
    comparison = compare(
        first.space, kept, [RunPredictions(name, run.predictions) for name, run in zip(names, runs, strict=True)]
    )
    if not comparison.n_common:
        raise DataError(f"{listing(names)}: must have samples in common to be compared, but have none.")
    return ComparedRuns(tuple(runs), names, comparison, (*_differences(runs, names), *notes, *_left_out(comparison)))


def _names(runs: Sequence[StoredRun]) -> tuple[str, ...]:
    versions = [run.manifest.version for run in runs]
    return tuple(run.manifest.version if versions.count(run.manifest.version) == 1 else run.manifest.id for run in runs)


def _gold(runs: Sequence[StoredRun], project: Project) -> tuple[tuple[Sample, ...], list[str]]:
    """Return the samples with the gold that all runs are scored against: today's file, else that of the newest run."""
    newest = max(runs, key=lambda run: run.manifest.started)
    own = {sample.id: sample for run in runs for sample in run.samples}
    manifest = newest.manifest
    path = manifest.prompt.dataset
    try:
        if path is None:
            raise DataError("")
        dataset = load_dataset(project.root / path, project)
        today = dataset.read(manifest.split).samples
    except DataError:
        return tuple(own.values()), [f"gold: as run {manifest.id} had it; today's dataset cannot be read"]
    changed = sum(sample.id in own and own[sample.id].labels != sample.labels for sample in today)
    notes = [f"gold: today's; {changed} samples were labelled otherwise when they were run"] if changed else []
    return today, notes


def _alike(runs: Sequence[StoredRun]) -> set[str]:
    """Return the ids whose inputs are the same in every run that has them."""
    seen: dict[str, Any] = {}
    different: set[str] = set()
    for run in runs:
        for sample in run.samples:
            if seen.setdefault(sample.id, sample.inputs) != sample.inputs:
                different.add(sample.id)
    return set(seen) - different


def _differences(runs: Sequence[StoredRun], names: Sequence[str]) -> list[str]:
    """Say what differs between the runs beside the prompt's words."""

    def of(what: str, value: Any) -> str | None:
        values = [value(run.manifest) for run in runs]
        if len(set(map(str, values))) == 1:
            return None
        return f"{what}: " + ", ".join(f"{name} {each}" for name, each in zip(names, values, strict=True))

    found = [
        of("model", lambda manifest: " + ".join(manifest.models)),
        of("params", _params),
        of("split", lambda manifest: manifest.split),
        of("output format", lambda manifest: " + ".join(each.output.format for each in manifest.prompt.passes)),
        of("repeats", lambda manifest: manifest.repeats),
    ]
    return [each for each in found if each is not None]


def _params(manifest: Manifest) -> str:
    return str({key: value for model in manifest.prompt.models for key, value in model.params.items()})


def _left_out(comparison: Comparison) -> list[str]:
    dropped = [f"{run.n_dropped} of {run.name}" for run in comparison.runs if run.n_dropped]
    return [f"left out, because not every run has them: {listing(dropped)}"] if dropped else []
