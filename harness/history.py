"""How prompt versions became each other: each with its notes, its scores and what changed against its parent."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from harness.errors import DataError, RunNameError, did_you_mean, listing
from harness.lineage import file_has_changed
from harness.plainvalues import to_plain
from harness.project import Project
from harness.prompt import Prompt
from harness.promptfile import load_task
from harness.runnames import list_runs
from harness.scoring import Scores
from harness.searched import Searched
from harness.significance import Difference, Settings
from harness.store import StoredRun
from harness.versions import compare_runs

Status: TypeAlias = Literal["run", "incomplete", "never run", "broken", "missing"]
"""run: it has a complete run. incomplete: it has runs, but none that is complete and on the default split. never run: its
prompt file is there. broken: that cannot be read. missing: there is neither a run nor a file."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a version changed against its parent, on their common samples.

    Attributes:
        n_common: Number of those.
        macro_f1: The difference of macro F1, with its uncertainty and verdict.
        regressed: Samples that were exactly right and are not now.
        fixed: Samples that were not and are now.
        unseen: Whether the samples are those alone that no search of errors saw: see `harness.unseen`.
    """

    n_common: int
    macro_f1: Difference
    regressed: int
    fixed: int
    unseen: bool = False


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a prompt, or of predictions that no prompt made.

    Attributes:
        run: Id of its newest complete run on the default split; None without one.
        file: Its prompt file from the project's root; None where there is none.
        changed: Whether the prompt file says something else than what was run.
        scores: Of the run, over all its own samples; None without a run or without gold.
        change: Against the parent's run; None where there is none, or no comparison.
        why: Why there is no comparison with the parent, or why the file cannot be read; else empty.
        searched: What it was drafted from, where that is on the split of its run.
    """

    name: str
    status: Status
    parent: str | None = None
    notes: str = ""
    run: str | None = None
    file: Path | None = None
    changed: bool = False
    models: tuple[str, ...] = ()
    dataset: str | None = None
    n_samples: int = 0
    scores: Mapping[str, float] | None = None
    cost_usd: float | None = None
    started: str | None = None
    change: Change | None = None
    why: str = ""
    searched: Searched | None = None


@dataclass(frozen=True, slots=True)
class History:
    """Versions in the order in which they came.

    Attributes:
        dataset: The dataset that they were run on; None where nothing was run.
    """

    dataset: str | None
    versions: tuple[Version, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the history as plain values, NaN as None."""
        rows = [to_plain(asdict(each) | {"file": each.file and str(each.file)}) for each in self.versions]
        return {"dataset": self.dataset, "versions": rows}


def history(project: Project, version: str | None = None, settings: Settings | None = None) -> History:
    """Return the versions of a project with their scores.

    Args:
        project: Whose runs and prompts.
        version: Only this one and its parents, the oldest first; default: all versions that were run on the dataset
            of the newest run, in the order of their first run, then those that never were.
        settings: What decides the verdicts.

    Raises:
        RunNameError: There is neither a run nor a prompt file of that version.
    """
    known = _Known(project, version)
    chain = [] if version is None else list(_parents(known, version))[::-1]
    names = chain if version is not None else known.of_dataset()
    return History(known.dataset, tuple(_version(known, name, settings) for name in names))


class _Known:
    """Runs and prompt files of a project, each read once."""

    def __init__(self, project: Project, version: str | None) -> None:
        self.project = project
        self.runs = [run for run in list_runs(project.runs) if not run.manifest.is_labelling]
        self.files = {path.stem: path for path in sorted((project.root / "prompts").glob("*.yaml"))}
        self._prompts: dict[str, Prompt | DataError] = {}
        mine = (each for each in self.runs if version in (None, each.manifest.version))
        newest = next(mine, None)
        self.dataset = None if newest is None else newest.manifest.dataset

    def names(self) -> list[str]:
        """All versions, those that were run in the order of their first run, then the others."""
        run = [each.manifest.version for each in reversed(self.runs)]
        return list(dict.fromkeys((*run, *self.files)))

    def of_dataset(self) -> list[str]:
        """The versions that were run on the dataset of the newest run, then those that never were and would be."""
        run = [each.manifest.version for each in reversed(self.runs) if each.manifest.dataset == self.dataset]
        ever = {each.manifest.version for each in self.runs}
        never = [name for name in self.files if name not in ever and self._belongs(name)]
        return list(dict.fromkeys((*run, *never)))

    def _belongs(self, name: str) -> bool:
        """Whether a file that was never run is about the dataset; one that cannot be read may be."""
        prompt = self.prompt(name)
        mine = {each.manifest.prompt.dataset for each in self.runs if each.manifest.dataset == self.dataset}
        return not mine or isinstance(prompt, DataError) or prompt is None or prompt.dataset in mine

    def run(self, name: str) -> StoredRun | None:
        """The newest complete run of a version on the default split; one on the dataset goes before others."""
        found = [
            each for each in self.runs_of(name) if each.manifest.state == "complete" and each.manifest.default_split
        ]
        return next((each for each in found if each.manifest.dataset == self.dataset), found[0] if found else None)

    def runs_of(self, name: str) -> list[StoredRun]:
        """All runs of a version, the newest first."""
        return [each for each in self.runs if each.manifest.version == name]

    def prompt(self, name: str) -> Prompt | DataError | None:
        """The prompt file of a version, or what is wrong with it; None without one."""
        if name not in self.files:
            return None
        if name not in self._prompts:
            try:
                self._prompts[name] = load_task(Path(self.project.show(self.files[name])), self.project).prompt
            except DataError as error:
                self._prompts[name] = error
        return self._prompts[name]

    def parent(self, name: str) -> str | None:
        """The parent of a version: as its run has it, else as its file says."""
        prompt, runs = self.prompt(name), self.runs_of(name)
        if runs:
            return (self.run(name) or runs[0]).manifest.prompt.parent
        return prompt.parent if isinstance(prompt, Prompt) else None


def _parents(known: _Known, version: str) -> Iterator[str]:
    """Yield a version and its parents; a circle ends where it closes.

    Raises:
        RunNameError: There is no such version.
    """
    if version not in known.names():
        names = known.names()
        there = f"There are {listing(names)}.{did_you_mean(version, names)}" if names else "There is none yet."
        raise RunNameError(f"version '{version}': has neither a run nor a prompt file. {there}")
    seen: set[str] = set()
    name: str | None = version
    while name is not None and name not in seen:
        seen.add(name)
        yield name
        name = known.parent(name)


def _version(known: _Known, name: str, settings: Settings | None) -> Version:
    run = known.run(name)
    file = known.files[name].relative_to(known.project.root) if name in known.files else None
    if run is None:
        return _not_run(known, name, file)
    manifest = run.manifest
    change, why = _change(known, run, settings)
    scores = Scores.from_json(run.scores) if run.scores else None
    return Version(
        name,
        "run",
        manifest.prompt.parent,
        manifest.prompt.notes,
        run=manifest.id,
        file=file,
        changed=file_has_changed(run, known.project),
        models=manifest.models,
        dataset=manifest.dataset,
        n_samples=manifest.n_samples,
        scores=None if scores is None else scores.headline,
        cost_usd=None if manifest.origin is not None else manifest.cost_usd,
        started=manifest.started,
        change=change,
        why=why,
        searched=manifest.prompt.searched_on(manifest.split),
    )


def _not_run(known: _Known, name: str, file: Path | None) -> Version:
    """Return a version that has no complete run: what its newest one, or else its prompt file says."""
    prompt, runs = known.prompt(name), known.runs_of(name)
    if runs:
        newest = runs[0].manifest
        why = f"its newest run is {newest.id} ({newest.state}, split {newest.split})"
        said = newest.prompt
        return Version(name, "incomplete", said.parent, said.notes, file=file, models=newest.models, why=why)
    if prompt is None:
        return Version(name, "missing")
    if isinstance(prompt, DataError):
        return Version(name, "broken", file=file, why=str(prompt).splitlines()[0])
    models = tuple(model.name for model in prompt.models)
    return Version(name, "never run", prompt.parent, prompt.notes, file=file, models=models)


def _change(known: _Known, run: StoredRun, settings: Settings | None) -> tuple[Change | None, str]:
    """Return what a version changed against its parent, or why that cannot be said."""
    parent = run.manifest.prompt.parent
    if parent is None:
        return None, ""
    before = known.run(parent)
    if before is None:
        there = parent in known.files or known.runs_of(parent)
        return None, f"its parent {parent} has no complete run" if there else f"its parent {parent} is gone"
    if before.manifest.id == run.manifest.id:
        return None, "it is its own parent"
    try:
        compared = compare_runs([before, run], known.project, settings)
    except DataError as error:
        return None, str(error)
    grounds = compared.grounds[0]
    if grounds.diff is None or grounds.judged is None:
        return None, f"it has no sample in common with {parent} that the search never saw"
    macro = grounds.judged.averages["macro_f1"]
    if math.isnan(macro.delta):
        return None, f"no label has gold in what it has in common with {parent}"
    counts = len(grounds.diff.regressed), len(grounds.diff.fixed)
    return Change(len(grounds.samples), macro, *counts, unseen=bool(grounds.flattered)), ""
