"""Locked splits: who may look at them, and that every look is logged.

What is tuned on samples says little about others, so some samples are kept to test it on. Each look at them is another
chance to choose what happens to suit them: looks are asked for with ``--final``, counted and never forgotten.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from harness.dataset import LOCKED_NAMES, Dataset, load_dataset
from harness.errors import DataError, UsageError
from harness.holdoutlog import FILE, Look, append, beginning, ending, known_as, look_of, looks_at, new_look, opened
from harness.holdoutlog import Looks as Looks
from harness.identity import gold_hash, inputs_hash
from harness.project import Project
from harness.runnames import list_runs
from harness.store import Manifest, StoredRun

if TYPE_CHECKING:
    from harness.planning import Plan

Warn: TypeAlias = Callable[[str], None]
"""Told what a person should know."""

# --- which splits are locked ------------------------------------------------------------------------------------------


def is_locked(manifest: Manifest, project: Project) -> bool:
    """Return whether a run's split is locked, as today's dataset file says it; by its name where that cannot be read."""
    if manifest.is_labelling:
        return False
    dataset = _dataset(manifest, project)
    if dataset is None or manifest.split not in dataset.splits:
        return manifest.split.casefold() in LOCKED_NAMES and not manifest.default_split
    return manifest.split in dataset.locked


def _dataset(manifest: Manifest, project: Project) -> Dataset | None:
    """Return a run's dataset as today's file has it, None where that is gone or broken."""
    if manifest.prompt.dataset is None:
        return None
    try:
        return load_dataset(project.root / manifest.prompt.dataset, project)
    except DataError:
        return None


def locked_splits(manifest: Manifest, project: Project) -> tuple[str, ...]:
    """Return the locked splits of a run's dataset, as today's file has them; none where that cannot be read."""
    dataset = _dataset(manifest, project)
    return () if dataset is None else dataset.locked


def refuse_locked(run: StoredRun, project: Project, what: str, warn: Warn = lambda _: None) -> None:
    """Refuse a run on a locked split for something that tunes.

    Args:
        run: What somebody wants to tune on.
        project: Where its dataset is.
        what: What would be done, with an infinitive: "calibrate thresholds".
        warn: Told where the split is not locked, and its samples were looked at as one that was.

    Raises:
        DataError: The run is on a locked split.
    """
    manifest = run.manifest
    if is_locked(manifest, project):
        dataset = _dataset(manifest, project)
        other = "another split" if dataset is None else f"'{dataset.default_split}'"
        raise DataError(
            f"run {manifest.id}: must not be on a locked split to {what}, but is on '{manifest.split}', which is there to "
            f"test what was tuned elsewhere. Name a run on {other}."
        )
    if (seen := _seen_before(manifest, project, warn)) is not None:
        warn(f"run {manifest.id}: to {what}: {_unlocked(manifest.dataset, manifest.split, seen)}")


def _seen_before(manifest: Manifest, project: Project, warn: Warn) -> Looks | None:
    """Return the looks at the samples of a run as a locked split, None where they were none."""
    return _known_as(project, manifest.n_samples, lambda: manifest.hashes.get("inputs", ""), warn)


def looked_at_before(plan: Plan, project: Project, warn: Warn = lambda _: None) -> Looks | None:
    """Return the looks at the samples of a plan as a locked split, whatever it is now; None where they were none."""
    return _known_as(project, len(plan.samples), lambda: inputs_hash(plan.samples), warn)


def _known_as(project: Project, n_samples: int, inputs: Callable[[], str], warn: Warn) -> Looks | None:
    """Return what `known_as` does; None where the log cannot be read, which stops nothing that is not locked."""
    try:
        return known_as(project, n_samples, inputs)
    except DataError as error:
        warn(str(error))
        return None


def _unlocked(dataset: str, split: str, seen: Looks) -> str:
    """Return what is said of samples that were locked once and are not now."""
    return (
        f"split '{split}' of {dataset} is not locked, but its samples are those of '{seen.split}' of {seen.dataset}, "
        f"{seen.named()}. What is tuned on them has no test left in them."
    )


def looks_of(run: StoredRun, project: Project) -> Looks | None:
    """Return the looks at a run's split, None where it is not locked.

    Raises:
        DataError: The log cannot be read.
    """
    manifest = run.manifest
    return looks_at(project, manifest.dataset, manifest.split) if is_locked(manifest, project) else None


def allow(project: Project, dataset: str, split: str, final: bool) -> None:
    """Refuse to look at a locked split where nobody said that it is the final look.

    Raises:
        UsageError: ``final`` is false; the message says how often the split was looked at, and what to type.
        DataError: The log cannot be read.
    """
    seen = looks_at(project, dataset, split)
    if not final:
        raise UsageError(
            f"--split {split}: must be asked for with --final, because '{split}' of {dataset} is locked: a look spends some "
            f"of what it can tell. So far it was {seen.named()}. Add --final, and say why with --reason TEXT: the look "
            f"is logged in runs/{FILE}."
        )


# --- looking ----------------------------------------------------------------------------------------------------------


def look(
    plan: Plan,
    project: Project,
    make: Callable[[], StoredRun],
    *,
    final: bool,
    reason: str | None = None,
    warn: Warn = lambda _: None,
) -> StoredRun:
    """Return the run that ``make`` makes of a plan; on a locked split that is a look, logged before ``make`` is called.

    So is one at samples that were looked at as a locked split, whatever they are called now: it needs no ``final``, because
    who wrote the dataset has unlocked them, but is told. A look that came to nothing, because no call was answered, is
    withdrawn in the log.

    Raises:
        UsageError: As `allow` says.
        DataError: The look cannot be logged.
    """
    if plan.locked:
        allow(project, plan.dataset, plan.split, final)
    elif (seen := looked_at_before(plan, project, warn)) is None:
        return make()
    else:
        warn(f"{_unlocked(plan.dataset, plan.split, seen)} The look is logged in runs/{FILE}.")
    mine = new_look(
        asked="run",
        dataset=plan.dataset,
        split=plan.split,
        version=plan.prompt.version,
        prompt=plan.prompt.hash,
        inputs=inputs_hash(plan.samples),
        gold=gold_hash(plan.samples),
        n_samples=len(plan.samples),
        models=tuple(model.name for model in plan.prompt.models),
        reason=_said(reason),
    )
    append(project, beginning(mine))
    try:
        made = make()
    except BaseException:
        with suppress(DataError):  # what broke the run off matters more
            append(project, ending(mine, _kept(mine, project)))
        raise
    try:
        append(project, ending(mine, made.manifest.id))
    except DataError as error:  # the look itself is logged, and the run is paid for
        warn(str(error))
    return made


def look_again(run: StoredRun, project: Project, *, final: bool, reason: str | None = None) -> None:
    """See to it that a run which goes on is a look that is logged: the one that it began with, else a new one.

    Raises:
        UsageError: As `allow` says, where no look of this run is logged.
        DataError: The look cannot be logged.
    """
    manifest = run.manifest
    if not is_locked(manifest, project):
        return
    seen = looks_at(project, manifest.dataset, manifest.split).looks
    if any(each.run == manifest.id for each in seen):
        return
    begun = [each for each in seen if each.run is None and each.is_of(manifest)]
    if begun:  # its process was killed before it could say which run it was
        append(project, ending(begun[-1], manifest.id))
        return
    allow(project, manifest.dataset, manifest.split, final)
    append(project, beginning(look_of(manifest, "resume", _said(reason))))


def look_outside(
    dataset: Path,
    project: Project,
    split: str | None,
    asked: str,
    *,
    final: bool,
    reason: str | None = None,
    warn: Warn = lambda _: None,
) -> Callable[[Iterable[StoredRun]], None]:
    """Return what logs the looks of runs that no prompt made, to be called with them.

    On splits that are not locked these are the runs on samples that were looked at as one that was. What cannot be logged
    is not kept: the returned function removes such runs.

    Args:
        dataset: The dataset's YAML file.
        project: Where the log is.
        split: None for the default split.
        asked: "baseline" or "import".
        final: Whether it may be looked at.
        reason: Why, for the log.
        warn: Told of such samples.

    Raises:
        UsageError: As `allow` says.
        DataError: The dataset has problems, or the log cannot be written.
    """
    loaded = load_dataset(dataset, project)
    locked = split is not None and split in loaded.locked
    if split is not None and locked:
        allow(project, loaded.name, split, final)
        with opened(project):
            pass  # it can be written, so what comes can be logged

    def log(runs: Iterable[StoredRun]) -> None:
        made = list(runs)
        try:
            if not locked:  # what one command makes is on the same samples
                if (seen := _seen_before(made[0].manifest, project, warn)) is None:
                    return
                told = _unlocked(loaded.name, made[0].manifest.split, seen)
                warn(f"{told} The look is logged in runs/{FILE}.")
            append(project, *(beginning(look_of(run.manifest, asked, _said(reason))) for run in made))
        except DataError:
            for run in made:
                shutil.rmtree(run.path, ignore_errors=True)
            raise

    return log


def _said(reason: str | None) -> str | None:
    return (reason or "").strip() or None


def _kept(mine: Look, project: Project) -> str | None:
    """Return the id of the run that was begun with a look and kept when it broke off, None when nothing was."""
    others = {each.run for each in looks_at(project, mine.dataset, mine.split).looks}
    found = [run.manifest for run in list_runs(project.runs) if mine.is_of(run.manifest)]
    return next((each.id for each in found if each.id not in others), None)
