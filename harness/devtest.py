"""Dev against test: runs beside runs of the same prompt on a locked split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.comparison import ComparedRun, RunPredictions, compare
from harness.errors import DataError
from harness.holdout import locked_splits
from harness.holdoutlog import Looks, looks_at
from harness.overfitting import DevTest, dev_against_test
from harness.project import Project
from harness.runnames import list_runs
from harness.store import Manifest, StoredRun
from harness.versions import ComparedRuns, gold_of


@dataclass(frozen=True, slots=True)
class HeldOutRun:
    """A compared run beside a run of the same prompt on a locked split.

    Attributes:
        name: What the compared run is called.
        tested: The run on the locked split.
        against: How the two differ.
        looks: How often the split was looked at.
        own_looks: How many of these looks were at this prompt, with its models.
    """

    name: str
    dev: StoredRun
    tested: StoredRun
    against: DevTest
    looks: Looks
    own_looks: int

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values, NaN as None."""
        dev, tested = self.dev.manifest, self.tested.manifest
        return {
            "name": self.name,
            "dev": {"run": dev.id, "split": dev.split},
            "test": {"run": tested.id, "split": tested.split},
            **self.against.to_json(),
            "looks": self.looks.to_json(),
            "own_looks": self.own_looks,
        }


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What is known of compared runs on locked splits.

    Attributes:
        runs: Those that have a run of the same prompt there, in the order of the comparison.
        notes: Why there is nothing of others, for people.
    """

    runs: tuple[HeldOutRun, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {"runs": [each.to_json() for each in self.runs], "notes": list(self.notes)}


def held_out_runs(compared: ComparedRuns, project: Project) -> HeldOut:
    """Return the compared runs that have a complete run of the same prompt on a locked split, and notes about others.

    Of several such runs it is the one with the most samples, of those the newest. Both sides are scored against today's
    gold. Where the compared runs themselves are on a locked split there are none.
    """
    locked = locked_splits(compared.runs[0].manifest, project)
    if not locked or any(run.manifest.split in locked for run in compared.runs):
        return HeldOut()
    pairs = []
    notes: list[str] = []
    every = [run for run in list_runs(project.runs) if run.manifest.state == "complete"]
    for at, dev in enumerate(compared.runs):
        for split in locked:
            there = [run for run in every if _is_about(run.manifest, dev.manifest, split)]
            same = [run for run in there if _is_same(run.manifest, dev.manifest)]
            if same:
                pairs.append((at, max(same, key=lambda run: (run.manifest.n_samples, run.manifest.started))))
            elif there:
                what = "another prompt or model"
                notes.append(
                    f"{compared.names[at]}: its run on {split}, {there[0].manifest.id}, is of {what}: left out"
                )
    found = []
    for at, tested in pairs:
        name = compared.names[at]
        try:
            side = _scored_today(tested, name, compared, project)
            looks = looks_at(project, tested.manifest.dataset, tested.manifest.split)
        except DataError as error:
            notes.append(f"{name}: {error}")
            continue
        against = dev_against_test(compared.comparison.runs[at], side, compared.settings, together=len(pairs))
        found.append(HeldOutRun(name, compared.runs[at], tested, against, looks, looks.of(tested.manifest)))
    return HeldOut(tuple(found), tuple(notes))


def _is_about(its: Manifest, mine: Manifest, split: str) -> bool:
    same = (its.version, its.dataset, its.split) == (mine.version, mine.dataset, split)
    return same and set(its.space.names) == set(mine.space.names)


def _is_same(its: Manifest, mine: Manifest) -> bool:
    """Return whether two runs are of one prompt and model; of predictions that no prompt made the name must do."""
    if its.origin is not None or mine.origin is not None:
        return its.origin is not None and mine.origin is not None and its.origin.kind == mine.origin.kind
    return (its.prompt_hash, its.models) == (mine.prompt_hash, mine.models)


def _scored_today(run: StoredRun, name: str, compared: ComparedRuns, project: Project) -> ComparedRun:
    """Return a run on a locked split, scored against today's gold, its labels in the order of the comparison.

    Raises:
        DataError: It has no predictions, or none of a sample with gold.
    """
    gold, _ = gold_of([run], project)
    comparison = compare(compared.comparison.space, gold, [RunPredictions(name, run.predictions)])
    if not comparison.n_common:
        raise DataError(f"run {run.manifest.id}: none of its samples has gold today.")
    return comparison.runs[0]
