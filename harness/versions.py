"""Runs against runs: which run is the baseline of which, and what two or more stored runs can be compared on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from harness.comparison import Comparison, RunPredictions, compare
from harness.dataset import load_dataset
from harness.errors import DataError, RunNameError, listing
from harness.identity import canonical
from harness.labelspace import LabelSpace
from harness.parsing import Output
from harness.project import Project
from harness.prompt import Pass
from harness.promptfile import load_task
from harness.records import Sample
from harness.runnames import find_run, list_runs
from harness.samples import SampleSet
from harness.significance import Judgement, Settings, judge
from harness.store import Manifest, StoredRun


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
        """How real the changes are; computed when it is asked for."""
        return judge(self.comparison, self.settings)


def find_baseline(run: StoredRun, project: Project, named: str | None = None) -> StoredRun | None:
    """Return the run that a run is measured against, None when there is none with samples in common.

    It is the named one, else the previous run of this version with another prompt, else the newest run of the parent.
    The run's own version, named, means the previous run of it.

    Raises:
        RunNameError: The name means no run, several, or only this one.
    """
    mine = run.manifest
    earlier = [each for each in list_runs(project.runs) if _comparable(each.manifest, mine)]
    if named is not None:
        found = find_run(project.runs, named)
        if found.manifest.id != mine.id:
            return found
        previous = next((each for each in earlier if _is(each.manifest, named)), None)
        if previous is None:
            raise RunNameError(f"--baseline {named}: must be another run, got {mine.id} itself. See: harness runs")
        return previous
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
                f"{listing(others)}. Run the older prompt again."
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
        _refuse_others(runs, names, comparison.n_common)
    left_out = _left_out(runs, comparison, differing)
    told = (*_differences(runs, names), *notes, *left_out)
    return ComparedRuns(tuple(runs), names, comparison, told, settings or Settings())


def _refuse_others(runs: Sequence[StoredRun], names: Sequence[str], n_common: int) -> None:
    """Refuse runs whose samples are not the same: a difference of scores would be one of samples too."""
    if len({run.manifest.hashes["inputs"] for run in runs}) > 1 and any(
        n_common < sum(sample.labels is not None for sample in run.samples) for run in runs
    ):
        sizes = ", ".join(f"{name} {run.manifest.n_samples}" for name, run in zip(names, runs, strict=True))
        raise DataError(
            f"{listing(names)}: must have the same samples to be compared, but differ ({sizes}; {n_common} in common). "
            f"Compare on those alone: harness compare {' '.join(names)} --common"
        )


def _names(runs: Sequence[StoredRun]) -> tuple[str, ...]:
    versions = [run.manifest.version for run in runs]
    return tuple(run.manifest.version if versions.count(run.manifest.version) == 1 else run.manifest.id for run in runs)


def _space(runs: Sequence[StoredRun]) -> LabelSpace:
    """Return the first run's label space with the fields of all: a field may be newer than a run."""
    fields = {each.name: each for run in reversed(runs) for each in run.manifest.space.fields}
    return replace(runs[0].manifest.space, fields=tuple(fields.values()))


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


def has_inputs_of(sent: Sample, other: Sample) -> bool:
    """Return whether a sample has all the inputs that were sent; columns that are new since do not matter."""
    return all(
        name in other.inputs and canonical(other.inputs[name]) == canonical(value)
        for name, value in sent.inputs.items()
    )


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
        of("asked", lambda manifest: " + ".join(map(_asked, manifest.prompt.passes))),
        of("threshold", lambda manifest: " + ".join(_threshold(each.output) for each in manifest.prompt.passes)),
        of("constrained", _constrained),
        of("repeats", lambda manifest: manifest.repeats),
        of("answers drawn again", lambda manifest: " + ".join(manifest.redrawn) or "none"),
    ]
    return [each for each in found if each is not None]


def _asked(each: Pass) -> str:
    """Return what one call of a pass is about, and how often it is drawn."""
    votes = "" if each.votes is None else f", {each.votes.k} votes, {each.votes.how}"
    return f"per {each.per}{votes}"


def _constrained(manifest: Manifest) -> str:
    """Return what constrained the answers of each pass; where its units differ, each form once."""
    told = []
    for each in manifest.prompt.passes:
        form = manifest.constrained.get(each.name, "no")
        told.append(form if isinstance(form, str) else " or ".join(sorted(set(form.values()))))
    return " + ".join(told)


def _threshold(output: Output) -> str:
    if not output.has_thresholds:
        return "none"
    default = [] if output.threshold is None else [f"{output.threshold:g}"]
    return " ".join([*default, *(f"{name} {value:g}" for name, value in output.thresholds.items())])


def _params(manifest: Manifest) -> str:
    """Return the params of the passes, once where all have the same."""
    params = [canonical(dict(each.model.params)) for each in manifest.prompt.passes]
    return params[0] if len(set(params)) == 1 else " + ".join(params)


def _left_out(runs: Sequence[StoredRun], comparison: Comparison, differing: set[str]) -> list[str]:
    notes = []
    dropped = []
    for stored, run in zip(runs, comparison.runs, strict=True):
        others = run.n_dropped - len(differing & {sample.id for sample in stored.samples})
        if others > 0:
            dropped.append(f"{others} of {run.name}")
    if dropped:
        notes.append(f"left out, because not every run or today's gold has them: {listing(dropped)}")
    if differing:
        notes.append(f"left out, because their inputs differ between the runs: {listing(sorted(differing), 5)}")
    return notes


def doubts(name: str, run: StoredRun, project: Project) -> list[str]:
    """Say what makes it doubtful that a version name means what a person thinks it does.

    That is: the version was run with several models, an older run has more samples, or the prompt file says something
    else by now.
    """
    manifest = run.manifest
    if name != manifest.version:
        return []
    found = []
    others = [
        each.manifest
        for each in list_runs(project.runs)
        if each.manifest.version == name and each.manifest.state == "complete" and each.manifest.default_split
    ]
    models = list(dict.fromkeys(" + ".join(other.models) for other in others))
    if len(models) > 1:
        found.append(
            f"{name} was run with {listing(models)}; this is {manifest.id} with {' + '.join(manifest.models)}."
        )
    larger = next((other for other in others if other.n_samples > manifest.n_samples), None)
    if larger is not None:
        sizes = f"{manifest.n_samples} samples; {larger.id} has {larger.n_samples}"
        found.append(f"{name} is its newest run, {manifest.id}, with {sizes}.")
    if _has_changed(run, project):
        found.append(f"the prompt {manifest.prompt.path} has changed since {manifest.id}. Run it again to score it.")
    return found


def _has_changed(run: StoredRun, project: Project) -> bool:
    """Return whether the prompt file, with the files that it names, would ask something else today.

    One that is gone or broken says nothing.
    """
    prompt = run.manifest.prompt
    if prompt.path is None:
        return False
    path = project.root / prompt.path
    given = {name: prompt.variables[name] for name in prompt.given}
    try:
        task = load_task(
            path,
            project,
            model=prompt.only_model,
            variables=given,
            dataset=None if prompt.dataset is None else project.root / prompt.dataset,
            read=lambda _: SampleSet(path, run.samples),
        )
    except DataError:
        return False
    return task.prompt.hash != run.manifest.prompt_hash
