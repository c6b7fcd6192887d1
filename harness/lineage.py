"""What stored runs are to each other, without comparing them: whose baseline one is, and whether a version has changed."""

from __future__ import annotations

from typing import Any

from harness.errors import DataError, RunNameError, listing
from harness.identity import canonical
from harness.project import Project
from harness.promptfile import load_task
from harness.records import Sample
from harness.runnames import find_run, list_runs
from harness.samples import SampleSet
from harness.store import Manifest, StoredRun


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
    return next((each for each in same + parents if _overlap(run, each)), None)


def _overlap(a: StoredRun, b: StoredRun) -> bool:
    return not {sample.id for sample in a.samples}.isdisjoint(sample.id for sample in b.samples)


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


def file_has_changed(run: StoredRun, project: Project) -> bool:
    """Return whether the prompt file says something else than what was run; one that is gone or broken says nothing."""
    return _has_changed(run, project)


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


def has_inputs_of(sent: Sample, other: Sample) -> bool:
    """Return whether a sample has all the inputs that were sent; columns that are new since do not matter."""
    return all(name in other.inputs and _is_same(value, other.inputs[name]) for name, value in sent.inputs.items())


def _is_same(sent: Any, other: Any) -> bool:
    """Return whether two input values are one; of texts, which most are, that is seen at once."""
    if type(sent) is type(other) is str:
        return bool(sent == other)
    return canonical(sent) == canonical(other)
