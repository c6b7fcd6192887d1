"""Stored runs by name: all of them, and the one that a name means."""

from __future__ import annotations

from pathlib import Path, PurePath

from harness.errors import DataError, RunNameError, did_you_mean, listing
from harness.store import StoredRun, load_run


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


def find_run(runs: Path, name: str, *, any_state: bool = False) -> StoredRun:
    """Return the run that a name means: a path, `latest`, an id, a version, or the beginning of one id.

    A version means its newest complete run on the dataset's default split.

    Args:
        runs: The folder of runs.
        name: What the user typed.
        any_state: Let a version mean its newest run whatever its state and split: what is to be resumed.

    Raises:
        RunNameError: It means no run, or several.
    """
    path = Path(name)
    if (path / "run.json").is_file():
        return load_run(path)
    every = list_runs(runs)
    if not every:
        raise RunNameError(f"{runs}: there are no runs yet. Type: harness run prompts/YOURS.yaml")
    for run in every:
        if run.manifest.id == name:
            return run
    scored = [run for run in every if not run.manifest.is_labelling]
    if name == "latest" and scored:
        return scored[0]
    versions = [run for run in scored if run.manifest.version == name]
    if versions:
        return versions[0] if any_state else _newest_complete(name, versions)
    begun = [run for run in every if run.manifest.id.startswith(name)]
    if len(begun) == 1:
        return begun[0]
    if begun:
        ids = listing((run.manifest.id for run in begun), 6)
        raise RunNameError(f"run '{name}': must mean one run, but {len(begun)} begin so: {ids}. Type more of the id.")
    known = list(dict.fromkeys(run.manifest.version for run in every))
    near = did_you_mean(PurePath(name).stem if name.endswith((".yaml", ".yml")) else name, known)
    raise RunNameError(f"run '{name}': no such run. There are {listing(known)}, or any id of 'harness runs'.{near}")


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
