"""A run measured against its baseline: what a gate judges it by, and what a person should know of the comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.blessing import Baseline, Found, inputs_hash, load_blessed
from harness.comparison import ComparedRun, Comparison, RunPredictions, compare
from harness.errors import DataError, listing
from harness.gatecheck import Evidence, barely_compared, partial
from harness.labelspace import LabelSpace
from harness.project import Project
from harness.records import Prediction, Sample
from harness.scoring import align, score_aligned
from harness.significance import Settings, judge
from harness.store import StoredRun
from harness.versions import gold_of


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """A run, by itself and against its baseline.

    Attributes:
        found: The baseline; None when there is none.
        names: What the baseline and the run are called beside each other.
        notes: What differs beside the prompt, and what is left out: for people.
    """

    run: StoredRun
    found: Found | None
    names: tuple[str, str]
    evidence: Evidence
    notes: tuple[str, ...]


def measure(
    run: StoredRun, found: Found | None, project: Project, settings: Settings | None = None, *, judged: bool = True
) -> Measured:
    """Return a run against its baseline, both scored against today's gold.

    Args:
        run: Complete or not.
        found: The baseline.
        project: Where today's gold is.
        settings: What decides whether a change is real.
        judged: Say how real the changes are; that takes most of the time.

    Raises:
        DataError: The run labelled a file without gold, is damaged, or has other labels than the baseline.
    """
    manifest, space = run.manifest, run.manifest.space
    if manifest.is_labelling:
        raise DataError(f"run {manifest.id}: must have gold to be measured, but labelled a file without it.")
    if found is not None:
        _check_labels(run, found)
    names = _names(run, found)
    predictions = _predictions(run)
    asked = [sample.id for sample in run.samples]
    wanted = () if found is None else found.baseline.inputs
    said = ((each.sample, each.repeat) for each in predictions)
    lacking = partial(manifest.state, asked, manifest.repeats, said, wanted)
    evidence = Evidence(space, None, frozenset(asked), lacking, manifest.cost_usd)
    if not predictions:
        return Measured(run, found, names, evidence, ())
    gold, notes = gold_of([run], project)
    evidence = replace(evidence, alone=_alone(space, gold, names[1], predictions, evidence.samples))
    if found is not None:
        changed = _changed(run, found.baseline)
        runs = (RunPredictions(names[0], found.baseline.predictions), RunPredictions(names[1], predictions))
        comparison = compare(space, [sample for sample in gold if sample.id not in changed], runs)
        notes += _differences(run, found.baseline, names) + _left_out(comparison, changed) + _flattered(run, found)
        known = found.baseline.scores.get("n_samples", len(wanted))
        evidence = replace(evidence, partial=lacking or barely_compared(comparison.n_common, known))
        if comparison.n_common:
            judgement = judge(comparison, settings) if judged else None
            evidence = replace(evidence, comparison=comparison, judgement=judgement, changed=changed)
        else:
            why = "no sample with gold labels and the same inputs is in both"
            evidence = replace(evidence, changed=changed, uncompared=why)
    return Measured(run, found, names, evidence, tuple(notes))


def replaced_by(run: StoredRun, path: Path, project: Project) -> Measured | str:
    """Return a run against the baseline that it is to replace, or why they cannot be compared."""
    try:
        return measure(run, load_blessed(path, project), project, judged=False)
    except DataError as error:
        return str(error)


def _check_labels(run: StoredRun, found: Found) -> None:
    mine, others = run.manifest.space.names, found.baseline.labels
    if set(mine) != set(others):
        raise DataError(
            f"{found.where}: must have the labels of run {run.manifest.id}, but they differ in "
            f"{listing(sorted(set(mine) ^ set(others)))}. Bless a run that has today's labels: harness bless RUN"
        )


def _names(run: StoredRun, found: Found | None) -> tuple[str, str]:
    mine = run.manifest
    if found is None:
        return "", mine.version
    baseline = found.baseline
    if baseline.version != mine.version:
        return baseline.version, mine.version
    return (f"{baseline.run} as blessed", mine.id) if baseline.run == mine.id else (baseline.run, mine.id)


def _predictions(run: StoredRun) -> tuple[Prediction, ...]:
    """Return the predictions of a run; none where it broke off before there were any."""
    has_some = (run.path / "predictions.jsonl").is_file()
    return run.predictions if has_some or run.manifest.state == "complete" else ()


def _alone(
    space: LabelSpace, gold: Sequence[Sample], name: str, predictions: Sequence[Prediction], asked: frozenset[str]
) -> ComparedRun:
    """Return the run over all its samples that have gold; one without a prediction is a failure."""
    samples = [sample for sample in gold if sample.id in asked and sample.labels is not None]
    scored = {sample.id for sample in samples}
    kept = [each for each in predictions if each.sample in scored]
    repeats = align(space, samples, kept)
    return ComparedRun(name, 0, score_aligned(space, repeats), repeats)


def _changed(run: StoredRun, baseline: Baseline) -> frozenset[str]:
    """Return the samples whose inputs are not those that the baseline had."""
    return frozenset(
        sample.id
        for sample in run.samples
        if sample.id in baseline.inputs and inputs_hash(sample, baseline.columns) != baseline.inputs[sample.id]
    )


def _differences(run: StoredRun, baseline: Baseline, names: tuple[str, str]) -> list[str]:
    """Say what differs beside the prompt's words."""
    mine = run.manifest
    pairs = {
        "dataset": (baseline.dataset, mine.dataset),
        "split": (baseline.split, mine.split),
        "model": (" + ".join(baseline.models), " + ".join(mine.models)),
        "repeats": (baseline.repeats, mine.repeats),
    }
    return [f"{what}: {names[0]} {old}, {names[1]} {new}" for what, (old, new) in pairs.items() if old != new]


def _flattered(run: StoredRun, found: Found) -> list[str]:
    """Say that changes are flattered where the version comes from a search of errors on this split.

    A baseline does not keep what its prompt was drafted from, so of another prompt nobody knows whether it is the same.
    """
    searched = run.manifest.prompt.searched_on(run.manifest.split)
    if searched is None or found.baseline.prompt_hash == run.manifest.prompt_hash:
        return []
    return [
        f"{run.manifest.version} is {searched.words}: changes are on all samples, those that the search saw included, "
        "which flatters it; harness compare leaves them out"
    ]


def _left_out(comparison: Comparison, changed: frozenset[str]) -> list[str]:
    notes = []
    if (new := comparison.runs[1].n_dropped - len(changed)) > 0:
        notes.append(f"not compared, because the baseline or today's gold does not have them: {new} of the run")
    if changed:
        notes.append(f"not compared, because their inputs have changed: {listing(sorted(changed), 5)}")
    return notes
