"""Runs of predictions that no prompt made: written like any other run, so that they stand in every table."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.dataset import Dataset
from harness.errors import DataError, UsageError
from harness.identity import digest, gold_hash, inputs_hash, space_hash
from harness.project import Project
from harness.prompt import Prompt
from harness.provenance import git_state, versions
from harness.records import FailureKind, Prediction, Sample
from harness.runnames import list_runs
from harness.store import Manifest, Origin, State, StoredRun, create_run, load_run, new_id

if TYPE_CHECKING:
    from harness.scoring import Scores

BASELINES = ("majority", "tfidf")
"""Names of the runs that `harness baseline` makes, the plainer first."""

_NAME = re.compile(r"[^\W_][\w.+-]*")
_TAKEN = ("latest",)


@dataclass(frozen=True, slots=True)
class Stronger:
    """A baseline that scores higher than a prompt.

    Attributes:
        macro_f1: The baseline's, on the samples of the prompt's run.
        has_more: Whether the baseline has samples that the run has not, so that they are compared on common ones.
    """

    name: str
    macro_f1: float
    has_more: bool = False


def check_name(name: str, project: Project) -> None:
    """Refuse a name for a run of outside predictions that means something else, or that no folder can have.

    Raises:
        UsageError: It is refused.
    """
    if not _NAME.fullmatch(name) or name in _TAKEN:
        raise UsageError(f"--name '{name}': must be a word of letters, digits and . _ + -, and not 'latest'.")
    file = project.root / "prompts" / f"{name}.yaml"
    is_version = any(run.manifest.version == name and run.manifest.origin is None for run in list_runs(project.runs))
    if is_version or file.is_file():
        raise UsageError(f"--name '{name}': must not be the name of a prompt version, which means that prompt's runs.")


def labelled_samples(dataset: Dataset, samples: Sequence[Sample], split: str) -> tuple[Sample, ...]:
    """Return the samples that have gold labels.

    Raises:
        DataError: None has.
    """
    labelled = tuple(sample for sample in samples if sample.labels is not None)
    if not labelled:
        raise DataError(
            f"{dataset.splits[split]}: must have labelled samples to score, got {len(samples)} without labels."
        )
    return labelled


def store_outside(
    name: str,
    origin: Origin,
    dataset: Dataset,
    split: str,
    samples: Sequence[Sample],
    predictions: Sequence[Prediction],
    project: Project,
    *,
    notes: str = "",
    selection: Mapping[str, Any] | None = None,
    seeds: Mapping[str, int] | None = None,
    packages: Mapping[str, str] | None = None,
    began: float | None = None,
    cost_usd: float | None = None,
) -> StoredRun:
    """Write a run of predictions that no prompt made, scored, and return it.

    It is "incomplete" where a prediction is a call error: one that is missing.

    Args:
        name: What stands in the place of a prompt's version.
        origin: Where the predictions come from.
        dataset: Its label space and its name.
        split: The samples' split.
        samples: With gold labels.
        predictions: At most one a sample and repeat.
        project: Where the run goes.
        notes: For people.
        selection: What chose among the split's samples.
        seeds: Seed of every random draw, by what it decided.
        packages: Versions of the packages that made the predictions.
        began: When the work began, by `time.monotonic`; None for now.
        cost_usd: What the predictions cost; None when unknown.

    Raises:
        DataError: The disk refuses.
    """
    from harness.scoring import score

    began = time.monotonic() if began is None else began
    now = datetime.now(UTC)
    prompt = Prompt(name, (), notes=notes, dataset=_from_root(dataset, project))
    manifest = Manifest(
        id=new_id(name, now),
        version=name,
        state="running",
        prompt=prompt,
        prompt_hash=digest(asdict(origin)),
        space=dataset.space,
        dataset=dataset.name,
        hashes={"inputs": inputs_hash(samples), "gold": gold_hash(samples), "labels": space_hash(dataset.space)},
        split=split,
        default_split=split == dataset.default_split,
        selection=selection or {},
        repeats=1 + max(each.repeat for each in predictions),
        endpoints={},
        seeds=seeds or {},
        versions={**versions(), **(packages or {})},
        git=git_state(project.root),
        n_samples=len(samples),
        started=now.isoformat(timespec="milliseconds"),
        cost_usd=cost_usd,
        origin=origin,
    )
    with create_run(project.runs, manifest, samples) as writer:
        writer.derive(predictions, score(dataset.space, samples, predictions).to_json())
        writer.update(
            state=state_of(predictions),
            ended=datetime.now(UTC).isoformat(timespec="milliseconds"),
            seconds=round(time.monotonic() - began, 3),
        )
    return load_run(writer.path)


def state_of(predictions: Sequence[Prediction]) -> State:
    """Return the state of a run of outside predictions: incomplete where one is missing."""
    return "incomplete" if any(each.failure == FailureKind.CALL_ERROR for each in predictions) else "complete"


def _from_root(dataset: Dataset, project: Project) -> Path:
    """Return where the dataset's file lies from the project's root, so that a run can move with its project."""
    whole = dataset.path.resolve()
    return whole.relative_to(project.root.resolve()) if project.inside(whole) else whole


def stronger_baseline(run: StoredRun, scores: Scores, project: Project) -> Stronger | None:
    """Return the baseline with the highest macro F1 on the samples of a run, None where none beats the run's own.

    It counts when it is about the same dataset and split and has all samples of the run.
    """
    from harness.scoring import score

    mine = run.manifest
    if mine.origin is not None or mine.is_labelling:
        return None
    runs = list_runs(project.runs)
    named = {name: next((each for each in runs if _is_baseline(each.manifest, name, mine)), None) for name in BASELINES}
    if not any(named.values()):
        return None  # what follows reads the samples, of which there may be many
    samples = [replace(sample, labels=run.gold.get(sample.id, sample.labels)) for sample in run.samples]
    ids = {sample.id for sample in samples}
    found = []
    for name, its in named.items():
        if its is None:
            continue
        predictions = [each for each in its.predictions if each.sample in ids]
        if {each.sample for each in predictions} == ids:
            theirs = score(mine.space, samples, predictions).averages.macro_f1
            found.append(Stronger(name, theirs, its.manifest.n_samples > len(ids)))
    best = max(found, key=lambda each: each.macro_f1, default=None)
    return best if best is not None and best.macro_f1 > scores.averages.macro_f1 else None


def _is_baseline(manifest: Manifest, name: str, of: Manifest) -> bool:
    return (
        manifest.version == name
        and manifest.origin is not None
        and manifest.origin.kind == "baseline"
        and manifest.state == "complete"
        and (manifest.dataset, manifest.split) == (of.dataset, of.split)
        and set(manifest.space.names) == set(of.space.names)
    )
