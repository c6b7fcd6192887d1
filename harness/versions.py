"""Runs against runs: what two or more stored runs can be compared on, and what changed between them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from harness.comparison import Comparison, RunPredictions, compare
from harness.dataset import load_dataset
from harness.differing import differences
from harness.errors import DataError, listing
from harness.labelspace import LabelSpace
from harness.lineage import has_inputs_of
from harness.project import Project
from harness.promptdiff import PromptDiff, prompt_diff
from harness.records import Sample
from harness.searched import Searched
from harness.significance import Judgement, Settings, judge
from harness.store import Manifest, StoredRun
from harness.unseen import Grounds, grounds_of, with_sure_best


@dataclass(frozen=True)
class ComparedRuns:
    """Stored runs and what changed between them.

    Attributes:
        names: What each run is called here: its version, or its id where versions repeat.
        settings: What decides whether a change is real.
        notes: What differs beside the prompt, and what the comparison leaves out: for people.
    """

    runs: tuple[StoredRun, ...]
    names: tuple[str, ...]
    comparison: Comparison
    notes: tuple[str, ...]
    settings: Settings = Settings()  # noqa: RUF009 - a frozen value

    @cached_property
    def judgement(self) -> Judgement:
        """How real the changes on all common samples are; computed when it is asked for."""
        return with_sure_best(judge(self.comparison, self.settings), self.comparison, self.searches)

    @property
    def searches(self) -> tuple[Searched | None, ...]:
        """Of each run the search of errors that it comes from, where that was on the run's split."""
        return tuple(run.manifest.prompt.searched_on(run.manifest.split) for run in self.runs)

    @cached_property
    def grounds(self) -> tuple[Grounds, ...]:
        """What the verdict of each later run rests on: samples that a search saw are left out where it flatters a run."""
        return grounds_of(self.comparison, self.judgement, self.searches)

    @property
    def unseen(self) -> tuple[Grounds | None, ...]:
        """Of each later run what its verdict rests on, where that is not all common samples; else None."""
        return tuple(each if each.flattered else None for each in self.grounds)

    @property
    def cautions(self) -> tuple[str, ...]:
        """Why the numbers are rough, for people; each said once."""
        flattered = listing(dict.fromkeys(name for each in self.grounds for name in each.flattered))
        tables = "verdicts and marks in the tables are of all samples, those that a search saw included"
        unseen = (f"on the unseen samples, {told}" for each in self.grounds for told in each.cautions)
        said = [f"{tables}, which flatters {flattered}"] if flattered else []
        return tuple(dict.fromkeys((*said, *self.judgement.cautions, *unseen)))

    @property
    def same_samples(self) -> bool:
        """Whether the runs are about the same samples; where not, `harness compare` asks for ``--common``.

        Samples that a prompt has set aside as its shots do not count.
        """
        return _same_samples(self.runs, self.comparison.samples)

    @cached_property
    def latencies(self) -> tuple[float, ...]:
        """The median latency of each run's calls in seconds; NaN for one without calls that were answered."""
        return tuple(_median_latency(run) for run in self.runs)

    @cached_property
    def prompt_diffs(self) -> tuple[PromptDiff | None, ...]:
        """What changed in the prompt from the first run to each other; None where one of the two has none."""
        first, *later = (run.manifest for run in self.runs)
        return tuple(
            None if first.origin is not None or each.origin is not None else prompt_diff(first.prompt, each.prompt)
            for each in later
        )

    @cached_property
    def samples(self) -> Mapping[str, Sample]:
        """The samples of all runs by id, as the last of them had it."""
        return {sample.id: sample for run in self.runs for sample in run.samples}


def _median_latency(run: StoredRun) -> float:
    answered = [each.completion.latency_s for each in run.log.latest.values() if each.completion.status != "error"]
    return statistics.median(answered) if answered else math.nan


def compare_runs(
    runs: Sequence[StoredRun], project: Project, settings: Settings | None = None, *, common: bool = True
) -> ComparedRuns:
    """Return what changed between runs, each later one against the first, all scored against today's gold.

    Args:
        runs: The baseline first.
        project: Where today's gold is.
        settings: What decides whether a change is real.
        common: Take the samples that all runs have; without it, runs of different samples are refused.

    Raises:
        DataError: A run is named twice, their label spaces or samples differ, one has no predictions, or no sample is
            in all.
    """
    first = runs[0].manifest
    ids = [run.manifest.id for run in runs]
    if twice := [identity for identity in dict.fromkeys(ids) if ids.count(identity) > 1]:
        raise DataError(
            f"{listing(twice)}: must be compared with other runs, got the same run twice. See: harness runs"
        )
    for run in runs[1:]:
        if set(run.manifest.space.names) != set(first.space.names):
            others = sorted(set(run.manifest.space.names) ^ set(first.space.names))
            raise DataError(
                f"{first.id} and {run.manifest.id}: must have the same labels to be compared, but differ in "
                f"{listing(others)}. Run or import the older one again, with the labels of the newer."
            )
    names = _names(runs)
    gold, notes = _gold(runs, project)
    differing = _differing(runs)
    kept = [sample for sample in gold if sample.id not in differing]
    comparison = compare(
        _space(runs), kept, [RunPredictions(name, run.predictions) for name, run in zip(names, runs, strict=True)]
    )
    if not comparison.n_common:
        raise DataError(
            f"{listing(names)}: must have labelled samples in common to be compared, but have none. "
            "Run them on the same split."
        )
    if not common:
        _refuse_others(runs, names, comparison.samples)
    left_out = _left_out(runs, comparison, differing)
    compared = ComparedRuns(tuple(runs), names, comparison, (), settings or Settings())
    told = (*_only_parsers(compared), *differences([run.manifest for run in runs], names), *notes, *left_out)
    return replace(compared, notes=told)


def _refuse_others(runs: Sequence[StoredRun], names: Sequence[str], common: Sequence[str]) -> None:
    """Refuse runs whose samples are not the same: a difference of scores would be one of samples too."""
    if not _same_samples(runs, common):
        sizes = ", ".join(f"{name} {run.manifest.n_samples}" for name, run in zip(names, runs, strict=True))
        raise DataError(
            f"{listing(names)}: must have the same samples to be compared, but differ ({sizes}; {len(common)} in common). "
            f"Compare on those alone: harness compare {' '.join(run.manifest.id for run in runs)} --common"
        )


def _same_samples(runs: Sequence[StoredRun], common: Sequence[str]) -> bool:
    """Return whether runs are about the same samples; what gold no longer has is missing in all of them.

    What a prompt has set aside is missing in its run alone, and on purpose.
    """
    inputs = [run.manifest.hashes.get("inputs") for run in runs]
    if inputs.count(inputs[0]) == len(inputs) and inputs[0] is not None:
        return True
    aside = {identity for each in _set_aside(runs) for identity in each}
    n_common = sum(identity not in aside for identity in common)
    return all(
        n_common >= sum(sample.labels is not None and sample.id not in aside for sample in run.samples) for run in runs
    )


def _set_aside(runs: Sequence[StoredRun]) -> list[tuple[str, ...]]:
    """Return of each run the samples that its prompt has set aside as shots and that some other run has."""
    every = {sample.id for run in runs for sample in run.samples}
    searches = [run.manifest.prompt.searched_on(run.manifest.split) for run in runs]
    return [() if each is None else tuple(one for one in each.set_aside if one in every) for each in searches]


def _names(runs: Sequence[StoredRun]) -> tuple[str, ...]:
    versions = [run.manifest.version for run in runs]
    return tuple(run.manifest.version if versions.count(run.manifest.version) == 1 else run.manifest.id for run in runs)


def _space(runs: Sequence[StoredRun]) -> LabelSpace:
    """Return the first run's label space with the fields of all: a field may be newer than a run."""
    fields = {each.name: each for run in reversed(runs) for each in run.manifest.space.fields}
    return replace(runs[0].manifest.space, fields=tuple(fields.values()))


def gold_of(runs: Sequence[StoredRun], project: Project) -> tuple[list[Sample], list[str]]:
    """Return the samples with the gold that runs are scored against, as `compare_runs` has it, and notes about it."""
    return _gold(runs, project)


def _gold(runs: Sequence[StoredRun], project: Project) -> tuple[list[Sample], list[str]]:
    """Return the samples with the gold that all runs are scored against: today's file, else that of the newest run.

    Where a sample's inputs are others today, so may its gold be: there the runs' own counts too.
    """
    by_age = sorted(runs, key=lambda run: run.manifest.started)
    own = {sample.id: sample for run in by_age for sample in run.samples}
    newest = by_age[-1].manifest
    try:
        today = _todays_samples(newest, project)
    except DataError:
        return list(own.values()), [f"gold: as run {newest.id} had it; today's dataset cannot be read"]
    if today is None:
        return list(own.values()), [f"gold: as run {newest.id} had it; today's label space is another"]
    rewritten = {each.id for each in today if each.id in own and not has_inputs_of(own[each.id], each)}
    gold = {each.id: own[each.id] if each.id in rewritten else each for each in today}
    relabelled = {
        sample.id
        for run in runs
        for sample in run.samples
        if sample.id in gold and gold[sample.id].labels != sample.labels
    }
    notes = []
    if relabelled:
        notes.append(f"gold: today's; samples that had other labels when they were run: {len(relabelled)}")
    if rewritten:
        notes.append(f"gold: as it was run for samples that have other inputs today: {len(rewritten)}")
    return list(gold.values()), notes


def _todays_samples(manifest: Manifest, project: Project) -> tuple[Sample, ...] | None:
    """Return the samples of a run's split as today's files have them, None when their labels are others.

    Raises:
        DataError: The files are gone or cannot be read.
    """
    if manifest.prompt.dataset is None:
        raise DataError(f"run {manifest.id}: names no dataset.")
    dataset = load_dataset(project.root / manifest.prompt.dataset, project)
    if set(dataset.space.names) != set(manifest.space.names):
        return None
    return dataset.read(manifest.split).samples


def with_todays_rules(manifest: Manifest, project: Project) -> LabelSpace:
    """Return a run's label space with the rules of today's dataset file; with its own where that cannot be read.

    A rule that is written after the run needs no new run: it changes nothing that was asked.
    """
    if manifest.prompt.dataset is None:
        return manifest.space
    try:
        today = load_dataset(project.root / manifest.prompt.dataset, project).space
    except DataError:
        return manifest.space
    if set(today.names) != set(manifest.space.names):
        return manifest.space
    return replace(manifest.space, exclusive=today.exclusive, implies=today.implies)


def _differing(runs: Sequence[StoredRun]) -> set[str]:
    """Return the ids under which two runs have other inputs; a column that one of them lacks does not count."""
    seen: dict[str, Sample] = {}
    differing: set[str] = set()
    for run in runs:
        for sample in run.samples:
            first = seen.setdefault(sample.id, sample)
            if not (has_inputs_of(first, sample) or has_inputs_of(sample, first)):
                differing.add(sample.id)
    return differing


def _only_parsers(compared: ComparedRuns) -> list[str]:
    """Say of which runs the prompt says the same words, and only their answers are written and read otherwise."""
    first, *later = compared.names
    return [
        f"only the output format differs from {first} to {name}: the words of the prompt are the same"
        for name, diff in zip(later, compared.prompt_diffs, strict=True)
        if diff is not None and diff.only_output
    ]


def _left_out(runs: Sequence[StoredRun], comparison: Comparison, differing: set[str]) -> list[str]:
    notes = []
    dropped = []
    common = set(comparison.samples)
    by_run = [[identity for identity in each if identity not in common] for each in _set_aside(runs)]
    told = {identity for each in by_run for identity in each} | differing
    for stored, run in zip(runs, comparison.runs, strict=True):
        others = run.n_dropped - len(told & {sample.id for sample in stored.samples})
        if others > 0:
            dropped.append(f"{others} of {run.name}")
    if dropped:
        notes.append(f"left out, because not every run or today's gold has them: {listing(dropped)}")
    for run, aside in zip(comparison.runs, by_run, strict=True):
        if aside:
            notes.append(f"left out, because {run.name} has set them aside as its shots: {listing(aside, 5)}")
    if differing:
        notes.append(f"left out, because their inputs differ between the runs: {listing(sorted(differing), 5)}")
    return notes
