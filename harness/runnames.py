"""Stored runs by name: all of them, and the one that a name means."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePath

from harness.errors import DataError, RunNameError, UsageError, did_you_mean, listing
from harness.store import StoredRun, load_run

LATEST = "latest"
"""Means the newest run that has scores."""

_ONLY_LABELLED = "there are only runs of 'harness label', which have no scores."


def list_runs(runs: Path) -> list[StoredRun]:
    """Return all readable runs, newest first."""
    found = []
    for folder in runs.iterdir() if runs.is_dir() else ():
        if (folder / "run.json").is_file():
            try:
                found.append(load_run(folder))
            except DataError:
                continue
    return sorted(found, key=lambda run: (run.manifest.started, run.manifest.id), reverse=True)


def unreadable_runs(runs: Path) -> str:
    """Say which runs cannot be read, so that nobody takes them for lost; nothing when all of them can."""
    found = []
    for folder in sorted(runs.iterdir()) if runs.is_dir() else ():
        try:
            if (folder / "run.json").is_file():
                load_run(folder)
        except DataError:
            found.append(folder.name)
    if not found:
        return ""
    them, it = ("1 run", "it was") if len(found) == 1 else (f"{len(found)} runs", "they were")
    return f"{them} cannot be read: {listing(found, 5)}. What {it} answered is kept. See: harness doctor"


def find_run(runs: Path, name: str, *, any_state: bool = False) -> StoredRun:
    """Return the run that a name means: a path, `latest`, an id, a version, the beginning of one id, or a tag.

    A version means its newest complete run on the dataset's default split; a tag the newest complete run that has it.

    Args:
        runs: The folder of runs.
        name: What the user typed.
        any_state: Let a version or tag mean its newest run whatever its state and split: what is to be resumed.

    Raises:
        RunNameError: It means no run, or several.
    """
    path = Path(name)
    if (path / "run.json").is_file():
        return load_run(path)
    every = list_runs(runs)
    if (runs / name / "run.json").is_file() and all(run.path.name != name for run in every):
        return load_run(runs / name)  # which says what is wrong with it
    if not every:
        there_are = unreadable_runs(runs) or "there are no runs yet. Type: harness run prompts/YOURS.yaml"
        raise RunNameError(f"{runs}: {there_are}")
    for run in every:
        if run.manifest.id == name:
            return run
    scored = [run for run in every if not run.manifest.is_labelling]
    if name == LATEST:
        if not scored:
            raise RunNameError(f"run '{name}': {_ONLY_LABELLED} Name one by its id: {_ids(every)}.")
        return scored[0]
    versions = [run for run in scored if run.manifest.version == name]
    if versions:
        return versions[0] if any_state else _newest_complete(name, versions)
    begun = [run for run in every if run.manifest.id.startswith(name)]
    if len(begun) == 1:
        return begun[0]
    tagged = [run for run in scored if run.manifest.tag == name]
    if tagged:
        return tagged[0] if any_state else _newest_tagged(name, tagged)
    if begun and all(run.manifest.is_labelling and run.manifest.version == name for run in begun):
        raise RunNameError(f"run '{name}': {_ONLY_LABELLED} Name one by its id: {_ids(begun)}.")
    if begun:
        raise RunNameError(
            f"run '{name}': must mean one run, but {len(begun)} begin so: {_ids(begun)}. Type more of the id."
        )
    known = list(dict.fromkeys(run.manifest.version for run in scored))
    tags = list(dict.fromkeys(run.manifest.tag for run in scored if run.manifest.tag))
    near = did_you_mean(PurePath(name).stem if name.endswith((".yaml", ".yml")) else name, [*tags, *known])
    there_are = f"There are {listing(known)}" if known else f"There are {_ids(every)}"
    lost = unreadable_runs(runs)
    raise RunNameError(
        f"run '{name}': no such run. {there_are}, or any id of 'harness runs'.{near}{lost and f' {lost}'}"
    )


def check_tag(tag: str, runs: Path, versions: Iterable[str]) -> None:
    """Refuse a tag by which its run could not be found.

    Args:
        tag: What is to be put beside a run.
        runs: The folder of runs: their versions and ids are names already.
        versions: Further versions.

    Raises:
        UsageError: It is no single word, or means another run already.
    """
    if not tag or tag.split() != [tag]:
        raise UsageError(f"--tag: must be one word, got '{tag}'. Write it without spaces.")
    stored = [run.manifest for run in list_runs(runs)]
    if tag in {LATEST, *versions, *(each.version for each in stored), *(each.id for each in stored)}:
        raise UsageError(
            f"--tag: must not be a version, an id or '{LATEST}', got '{tag}', which means other runs. Change it."
        )


def _ids(runs: Iterable[StoredRun]) -> str:
    return listing((run.manifest.id for run in runs), 6)


def _newest_tagged(name: str, runs: list[StoredRun]) -> StoredRun:
    complete = [run for run in runs if run.manifest.state == "complete"]
    if complete:
        return complete[0]
    newest = runs[0].manifest
    raise RunNameError(
        f"run '{name}': no complete run has this tag. Its newest is {newest.id} ({newest.state}). Name it by its id, or "
        f"type: harness run --resume {newest.id}"
    )


def _newest_complete(name: str, runs: list[StoredRun]) -> StoredRun:
    usual = [run for run in runs if run.manifest.default_split and run.manifest.state == "complete"]
    if usual:
        return usual[0]
    newest = runs[0].manifest
    resume = "" if newest.origin is not None else f", or type: harness run --resume {newest.id}"
    raise RunNameError(
        f"run '{name}': no complete run on the default split. Its newest is {newest.id} ({newest.state}, split "
        f"{newest.split}). Name it by its id{resume or '.'}"
    )
