"""What a second pass should look at: where a stored run's errors are, and the search for what catches them.

No call is made: everything is told from what the run has stored.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harness.cases import Case, Cases, gather
from harness.clusters import Cluster, clusters
from harness.errors import DataError, UsageError, did_you_mean, listing
from harness.errorsites import ErrorSites, error_sites
from harness.failures import Failure, describe
from harness.holdout import refuse_locked
from harness.labeltriggers import LabelTrigger, label_triggers, only_about
from harness.metrics import BoolVector
from harness.nextversion import next_path
from harness.project import Project
from harness.rescoring import next_contexts
from harness.runnames import list_runs
from harness.searched import in_search_half
from harness.store import StoredRun
from harness.triggersearch import Search, Settings, search

if TYPE_CHECKING:
    from harness.drafting import Drafted

MOST_VERSIONS = 6
"""Other versions' runs that disagreement is looked for in, where nobody names them."""


@dataclass(frozen=True, slots=True)
class Worth:
    """A cluster of errors worth reading, with samples of it."""

    cluster: Cluster
    examples: tuple[Failure, ...]


@dataclass(frozen=True)
class Exceptions:
    """What `harness exceptions` shows of a run.

    Attributes:
        run: The run.
        settings: How it was searched.
        labels: The labels whose errors alone count; empty: all.
        cases: The samples with gold, in each repeat.
        search: The triggers, the choice and the verdict.
        by_label: The best trigger for each label's errors alone; none where labels were named.
        worth: The clusters worth reading, of the half that the search saw.
        seen: Which samples the search saw, shape (n_samples,).
        sites: Where the errors are, among these.
        versions: The other runs that disagreement was looked for in, by what they are called.
        next_file: A new file for the next version, beside the prompt of the run; None where no prompt made it, or it is
            gone.
        notes: What a person should know.
        drafted: The next version, where one was drafted.
    """

    run: StoredRun
    settings: Settings
    labels: tuple[str, ...]
    cases: Cases
    seen: BoolVector
    sites: ErrorSites
    search: Search
    by_label: tuple[LabelTrigger, ...]
    worth: tuple[Worth, ...]
    versions: Mapping[str, StoredRun]
    next_file: Path | None = None
    notes: tuple[str, ...] = ()
    drafted: Drafted | None = None

    @property
    def worth_by_label(self) -> tuple[str, ...]:
        """The labels of which a trigger for their errors alone is worth a pass."""
        return tuple(each.label for each in self.by_label if each.verdict == "worth")

    @property
    def title(self) -> str:
        """What it is of, as a line."""
        manifest = self.run.manifest
        return f"{manifest.version} on {manifest.dataset} {manifest.split}"


def read_budget(text: str) -> float:
    """Return a budget, a share of the samples, from ``20%`` or ``0.2``.

    Raises:
        UsageError: It is none.
    """
    words = text.strip()
    try:
        number = float(words.removesuffix("%"))
    except ValueError:
        number = math.nan
    value = number / 100 if words.endswith("%") else number
    if not 0 < value <= 1:
        near = f" Did you mean {number:g}%?" if not words.endswith("%") and 1 < number <= 100 else ""
        raise UsageError(
            f"--budget {text}: must be a share of the samples above 0 and at most all of them, as 20% or 0.2.{near}"
        )
    return value


# --- finding ----------------------------------------------------------------------------------------------------------


def find_exceptions(
    run: StoredRun,
    project: Project,
    *,
    budget: float = 0.2,
    seed: int | None = None,
    labels: Sequence[str] = (),
    versions: Sequence[StoredRun] | None = None,
    warn: Callable[[str], None] = lambda _: None,
) -> Exceptions:
    """Return where a run's errors are, what would send them to a second pass, and what that is worth.

    Args:
        run: A scored run, not on a locked split.
        project: Where its dataset and the other runs are.
        budget: Share of the samples that a second pass may be asked about.
        seed: Decides which half of the samples is searched; default: that of the search which the prompt comes from, or 0.
        labels: Only errors of these labels count; default: all.
        versions: Other runs that disagreement is looked for in; default: the newest of each other version.
        warn: Told what a person should know.

    Raises:
        UsageError: There is no such label, or the seed would search samples that are to stay unseen.
        DataError: The run has no gold, or is on a locked split.
    """
    manifest = run.manifest
    if manifest.is_labelling or not run.scores:
        raise DataError(
            f"run {manifest.id}: must have gold labels to tell where the errors are, but its samples are unlabelled. "
            "Name a run on a split."
        )
    refuse_locked(run, project, "search for exceptions", warn)
    chosen = _labels(run, labels)
    settings = _settings(run, budget, seed)
    cases = [only_about(case, chosen) if chosen else case for case in cases_of(run)]
    every = gather(manifest.space, sorted(cases, key=lambda case: (case.sample, case.prediction.repeat)))
    seen = np.array([in_search_half(each, settings.seed, settings.share) for each in every.ids], np.bool_)
    others = _other_runs(run, project) if versions is None else {each.manifest.id: each for each in versions}
    return Exceptions(
        run=run,
        settings=settings,
        labels=chosen,
        cases=every,
        seen=seen,
        sites=_sites(every, seen, others),
        search=search(manifest.space, cases, settings),
        by_label=() if chosen else label_triggers(manifest.space, cases, settings),
        worth=tuple(_worth(run, each, every) for each in clusters(every, seen)),
        versions=others,
        next_file=_next_file(run, project),
        notes=tuple(_notes(run, chosen)),
    )


def cases_of(run: StoredRun) -> Iterator[Case]:
    """Yield a run's cases: what was answered, beside the gold that it was last scored against."""
    inputs = {sample.id: sample.inputs for sample in run.samples}
    for prediction, context in next_contexts(run):
        name = prediction.sample
        yield Case(name, inputs[name], run.gold[name], prediction, context)


def _next_file(run: StoredRun, project: Project) -> Path | None:
    try:
        return None if run.manifest.origin is not None else next_path(run, project)
    except DataError:
        return None


def _labels(run: StoredRun, labels: Sequence[str]) -> tuple[str, ...]:
    space = run.manifest.space
    found = [space.find(name) for name in labels]
    for name, label in zip(labels, found, strict=True):
        if label is None:
            raise UsageError(
                f"--label '{name}': must be a label of {run.manifest.dataset}: {listing(space.names)}."
                f"{did_you_mean(name, space.names)}"
            )
    return tuple(space.ordered({label for label in found if label is not None}))


def _settings(run: StoredRun, budget: float, seed: int | None) -> Settings:
    before = run.manifest.prompt.searched_on(run.manifest.split)
    if before is None:
        return Settings(budget=budget, seed=seed or 0)
    if seed not in (None, before.seed):
        raise UsageError(
            f"--seed {seed}: must be {before.seed}, because {run.manifest.version} was drafted from the half of that seed, "
            "and the other half has to stay unseen. Leave --seed out."
        )
    return Settings(budget=budget, seed=before.seed, share=before.share)


def _sites(cases: Cases, seen: BoolVector, versions: Mapping[str, StoredRun]) -> ErrorSites:
    """Return where the errors are among the samples that the search saw: what a person learns from is no longer unseen."""
    ids = frozenset(name for name, saw in zip(cases.ids, seen.tolist(), strict=True) if saw)
    kept = gather(cases.space, [row for row in cases.rows if row.sample in ids])
    return error_sites(
        kept, {name: [each for each in run.predictions if each.sample in ids] for name, run in versions.items()}
    )


def _worth(run: StoredRun, cluster: Cluster, cases: Cases) -> Worth:
    samples = {sample.id: sample for sample in run.samples}
    rows = [cases.rows[row] for row in cluster.shown]
    return Worth(
        cluster, tuple(describe(run, samples[row.sample], row.prediction, row.gold or frozenset()) for row in rows)
    )


def _other_runs(run: StoredRun, project: Project) -> dict[str, StoredRun]:
    """Return the newest complete run of each other version on the same samples, the newest first."""
    mine = run.manifest
    ids = {sample.id for sample in run.samples}
    found: dict[str, StoredRun] = {}
    for each in list_runs(project.runs):
        its = each.manifest
        alike = (its.dataset, its.split, its.state) == (mine.dataset, mine.split, "complete")
        if not alike or its.version in (mine.version, *found) or set(its.space.names) != set(mine.space.names):
            continue
        if ids <= {sample.id for sample in each.samples}:
            found[its.version] = each
        if len(found) == MOST_VERSIONS:
            break
    return found


def _notes(run: StoredRun, labels: Sequence[str]) -> Iterator[str]:
    manifest = run.manifest
    if manifest.state != "complete":
        yield (
            f"The run is {manifest.state}: what has no answer because a call failed, or was never made, counts as wrong. "
            "Finish it before you draft from it."
        )
    before = manifest.prompt.searched_on(manifest.split)
    if labels:
        yield f"Only errors of {listing(labels)} count; the other labels are taken to be right, in the scores too."
    if before is not None:
        yield f"Searched on the same half as for the draft that it comes from: {before.words}."
