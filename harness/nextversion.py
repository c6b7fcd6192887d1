"""The next version of a prompt: what it is called, where its file goes, and what runs it as its parent was run.

A version is a new file. None that is there is ever written over, and no name is taken that a run has already.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection
from itertools import count
from pathlib import Path

from harness.errors import DataError, UsageError
from harness.project import Project
from harness.prompt import Prompt
from harness.promptfile import load_task
from harness.runnames import list_runs
from harness.store import StoredRun

SUFFIXES = (".yaml", ".yml")
_NUMBER = re.compile(r"(.*?)([0-9]+)")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def next_version(parent: str, taken: Collection[str] = ()) -> str:
    """Return what the version after ``parent`` is called: v3 → v4; where v4 is taken, and where there is no number, v3-a.

    Names are compared without regard to case, because some disks do so. Leading zeros stay: v09 → v10.
    """
    used = {name.casefold() for name in (*taken, parent)}
    found = _NUMBER.fullmatch(parent)
    if found is not None:
        counted = f"{found[1]}{str(int(found[2]) + 1).zfill(len(found[2]))}"
        if counted.casefold() not in used:
            return counted
    stem = parent[:-2] if re.fullmatch(r".+-[a-z]", parent) else parent
    letters = (f"{stem}-{letter}" for letter in _LETTERS)
    numbered = (f"{stem}-{number}" for number in count(1))
    return next(name for names in (letters, numbered) for name in names if name.casefold() not in used)


def next_path(run: StoredRun, project: Project) -> Path:
    """Return the new file for the version after a run's, beside the run's prompt file.

    Raises:
        DataError: The prompt file is gone.
    """
    before = parent_file(run, project)
    files = {each.stem for each in before.parent.iterdir() if each.suffix in SUFFIXES}
    runs = {each.manifest.version for each in list_runs(project.runs)}
    return Path(project.show(before.with_name(f"{next_version(before.stem, files | runs)}.yaml")))


def parent_file(run: StoredRun, project: Project) -> Path:
    """Return the prompt file of a run.

    Raises:
        DataError: It is gone.
    """
    old = run.manifest.prompt.path
    if old is None or not (project.root / old).is_file():
        told = "" if old is None else f" {old}"
        raise DataError(f"run {run.manifest.id}: its prompt file{told} is gone, so no version can be made from it.")
    return project.root / old


def check_new_file(path: Path, run: StoredRun, project: Project) -> None:
    """Refuse a new prompt file that cannot be there, before any work is done.

    Raises:
        UsageError: It ends otherwise, lies elsewhere than the run's, is there already, or is of the same version.
        DataError: The run's prompt file is gone.
    """
    before = parent_file(run, project)
    if path.suffix not in SUFFIXES:
        raise UsageError(f"--write {path}: must end in .yaml, got '{path.suffix}'.")
    if path.resolve().parent != before.resolve().parent:
        old = run.manifest.prompt.path or before
        raise UsageError(
            f"--write {path}: must lie beside {old}, because the paths in it are told from there. "
            f"Write: {old.parent / path.name}"
        )
    if path.exists():
        raise UsageError(f"--write {path}: must be a new file, but is there already. Name another version.")
    if path.stem == before.stem:
        raise UsageError(f"--write {path}: must be another version than {before.stem}. Name another one.")


def write_new(path: Path, text: str) -> None:
    """Write a file that is not there yet, whole or not at all.

    Raises:
        DataError: It is there, or the disk refuses.
    """
    try:
        with path.open("xb") as file:
            file.write(text.encode())
    except FileExistsError:
        raise DataError(
            f"{path}: must be a new file, but is there already. Name another version with --write."
        ) from None
    except OSError as error:
        path.unlink(missing_ok=True)
        raise DataError(f"{path}: cannot be written: {error.strerror}.") from None


def load_as_run(path: Path, run: StoredRun, project: Project) -> Prompt:
    """Return a prompt file as a run would have it: with the variables it was given, and its model where it has one.

    Raises:
        DataError: The file has problems.
    """
    prompt = run.manifest.prompt
    given = {name: prompt.variables[name] for name in prompt.given}
    return load_task(path, project, split=run.manifest.split, variables=given, model=prompt.only_model).prompt


def run_command(path: Path, run: StoredRun, project: Project) -> str:
    """Return what runs a version as a run was made: on its samples, with its model and its variables."""
    manifest = run.manifest
    prompt, chosen = manifest.prompt, manifest.selection
    try:
        said: Prompt | None = load_task(path, project, split=manifest.split).prompt
    except DataError:  # it leaves the model or a variable to the command line
        said = None
    words = ["harness", "run", project.show(path)]
    words += [] if manifest.default_split else ["--split", manifest.split]
    for option, of in (("--model", _models), ("--base-url", _base_urls)):
        if of(prompt) != of(said) and (given := next(iter(of(prompt)), None)) is not None:
            words += [option, given]
    for name in prompt.given:
        words += ["--var", f"{name}={prompt.variables[name]}"]
    words += ["--filter", chosen["filter"]] if chosen.get("filter") else []
    words += ["--samples", ",".join(chosen["ids"])] if chosen.get("ids") else []
    words += ["--limit", str(chosen["limit"])] if chosen.get("limit") else []
    words += ["--repeat", str(manifest.repeats)] if manifest.repeats > 1 else []
    return shlex.join(words)


def _models(prompt: Prompt | None) -> list[str | None]:
    return [] if prompt is None else list(dict.fromkeys(each.model.name for each in prompt.passes))


def _base_urls(prompt: Prompt | None) -> list[str | None]:
    return [] if prompt is None else list(dict.fromkeys(each.base_url for each in prompt.models if not each.is_local))
