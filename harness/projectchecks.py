"""Whether a project's files can be used: settings, prompts, datasets, runs, the disk they are on, and the cache."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from harness.cachefile import CacheDamagedError, CacheMissingError, opened, sizes
from harness.dataset import load_dataset
from harness.errors import DataError, HarnessError, listing
from harness.health import Check, Status
from harness.preview import checked
from harness.project import SETTINGS_FILE, Project, Settings, find_project
from harness.prompt import LOCAL
from harness.promptfile import Task, load_task
from harness.report import numbers
from harness.report.cache import byte_size
from harness.store import StoredRun, is_held, load_run

ENOUGH_BYTES = 1_000_000_000
"""Room on the disk below which a person should know; a tenth of it is a problem."""

LARGE_LOG = 100_000_000
"""Bytes of the cache's log of newest writes that are more than any run leaves."""

MOST_TOLD = 5
"""Runs, prompts or datasets that are told one by one; of more there is their number."""


@dataclass(frozen=True, slots=True)
class Found:
    """A project, and what is wrong with finding it.

    Attributes:
        marker: What the root was known by: `harness.toml`, `.git`, `prompts/`; "" where it is just the current folder.
        problem: Why its settings cannot be used; then these are the usual ones.
    """

    project: Project
    marker: str
    problem: str | None = None


def find(start: Path | None = None) -> Found:
    """Return the project around a folder (default: the current one), also where its settings cannot be used."""
    here = (start or Path.cwd()).resolve()
    upward = [here, *here.parents] if here.is_dir() else list(here.parents)
    for marker in (SETTINGS_FILE, ".git", "prompts"):
        root = next((folder for folder in upward if (folder / marker).exists()), None)
        if root is not None:
            break
    else:
        marker, root = "", upward[0]
    try:
        return Found(find_project(start), marker)
    except DataError as error:
        return Found(Project(root, Settings()), marker, str(error))


def root_checks(found: Found) -> Iterator[Check]:
    """Yield where the project is and whether its settings can be used."""
    group, root = "project", found.project.root
    if found.marker:
        name = "prompts/" if found.marker == "prompts" else found.marker
        yield Check(group, "root", "ok", f"{root}, because of its {name}")
    else:
        step = "Go to a project's folder, or make one: harness init"
        yield Check(group, "root", "warning", f"{root}, which has no {SETTINGS_FILE}, .git or prompts/", step)
    if found.problem is not None:
        for line in found.problem.splitlines():
            yield Check(group, "settings", "problem", line, "Correct it; until then the usual settings are taken.")
    elif (root / SETTINGS_FILE).is_file():
        yield Check(group, "settings", "ok", f"{found.project.show(root / SETTINGS_FILE)} is read")
    else:
        yield Check(group, "settings", "ok", f"no {SETTINGS_FILE}: the usual ones")


def disk_checks(project: Project) -> Iterator[Check]:
    """Yield whether there is room for runs, and whether they and the cache may be written."""
    group = "project"
    for name, folder in (("runs", project.runs), ("cache", project.cache.parent)):
        here = folder if folder.is_dir() else project.root
        try:
            with tempfile.TemporaryFile(dir=here):
                pass
        except OSError as error:
            why = error.strerror or type(error).__name__
            step = "Make room, or check the folder's permissions."
            yield Check(group, f"writing {name}", "problem", f"{project.show(here)} cannot be written ({why})", step)
    try:
        free = shutil.disk_usage(project.root).free
    except OSError as error:
        yield Check(group, "disk", "warning", f"how much room is left cannot be told ({error.strerror})")
        return
    told = f"{byte_size(free)} left"
    if free >= ENOUGH_BYTES:
        yield Check(group, "disk", "ok", told)
    else:
        status: Status = "problem" if free < ENOUGH_BYTES / 10 else "warning"
        yield Check(group, "disk", status, told, "Make room before a run: harness cache prune --to-size 500MB")


_LOCAL_MODEL = re.compile(rf"""\b(?:model|name):\s*["']?({LOCAL}[^\s"',}}#]+)""")


def local_models(project: Project) -> list[str]:
    """Return the embedded models that prompts and settings of a project name, each once; nothing else is read of them."""
    model = project.settings.model or ""
    named = [model] if model.startswith(LOCAL) else []
    for path in _yaml_files(project.root / "prompts"):
        with suppress(OSError):
            named += _LOCAL_MODEL.findall(path.read_text(encoding="utf-8", errors="replace"))
    return list(dict.fromkeys(named))


def file_checks(project: Project) -> Iterator[Check]:
    """Yield whether the prompts and datasets of a project can be used, as `harness check` does."""
    prompts = _yaml_files(project.root / "prompts")
    if not prompts:
        yield Check("files", "prompts", "warning", "there are none in prompts/", "Type: harness init")
    wrong = 0
    for path in prompts:
        problems = prompt_problems(path, project)
        wrong += bool(problems)
        if problems and wrong <= MOST_TOLD:
            yield _wrong_file(path, problems, project, f"Type: harness check {project.show(path)}")
    yield from _counted("prompts", len(prompts), wrong, "prompt")
    datasets, wrong, samples = _yaml_files(project.root / "datasets"), 0, 0
    for path in datasets:
        problems, count = dataset_problems(path, project)
        samples += count
        wrong += bool(problems)
        if problems and wrong <= MOST_TOLD:
            yield _wrong_file(path, problems, project, "Correct the file.")
    yield from _counted("datasets", len(datasets), wrong, "dataset", f" with {numbers.plural(samples, 'sample')}")


def _yaml_files(folder: Path) -> list[Path]:
    return sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])


def _counted(name: str, total: int, wrong: int, noun: str, more: str = "") -> Iterator[Check]:
    if wrong > MOST_TOLD:
        yield Check("files", name, "problem", f"and {wrong - MOST_TOLD} more with problems", "Type: harness check")
    if total - wrong:
        yield Check("files", name, "ok", f"{numbers.plural(total - wrong, noun)}{more} can be used")


def _wrong_file(path: Path, problems: Sequence[str], project: Project, step: str) -> Check:
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return Check("files", project.show(path), "problem", f"{problems[0]}{more}", step)


def prompt_problems(path: Path, project: Project) -> list[str]:
    """Return what is wrong with a prompt and its default split: nothing when it can be run. No call is made."""
    try:
        checked(load_task(Path(project.show(path)), project), project)
    except HarnessError as error:
        return str(error).splitlines()
    return []


def dataset_problems(path: Path, project: Project) -> tuple[list[str], int]:
    """Return what is wrong with a dataset and the files of all its splits, and how many samples could be read."""
    problems: list[str] = []
    samples = 0
    try:
        dataset = load_dataset(Path(project.show(path)), project)
    except DataError as error:
        return str(error).splitlines(), 0
    for split in dataset.splits:
        try:
            samples += len(dataset.read(split).samples)
        except DataError as error:
            problems += str(error).splitlines()
    return problems, samples


def task_of(path: Path, project: Project, model: str | None, base_url: str | None) -> Task:
    """Return a prompt that was named, with its model exchanged where another one was named too.

    Raises:
        DataError: It cannot be used.
    """
    return load_task(path, project, model=model, base_url=base_url)


def run_checks(project: Project) -> Iterator[Check]:
    """Yield which runs are not finished or damaged, and how to go on with them."""
    folders = sorted(path.parent for path in project.runs.glob("*/run.json"))
    states: dict[str, int] = {}
    told: list[Check] = []
    for folder in folders:
        try:
            run = load_run(folder)
        except DataError as error:
            states["unreadable"] = states.get("unreadable", 0) + 1
            told.append(Check("runs", folder.name, "problem", str(error)))
            continue
        held = run.manifest.state == "running" and is_held(folder)
        state = "running" if held else "killed" if run.manifest.state == "running" else run.manifest.state
        states[state] = states.get(state, 0) + 1
        told += _state_checks(run, state)
        if not held:  # the last line of one that is being written may be half there
            told += _line_checks(run)
    counts = [numbers.plural(number, f"{state} run") for state, number in sorted(states.items())]
    yield Check("runs", "states", "ok", listing(counts) if counts else "there are no runs yet")
    problems_first = sorted(told, key=lambda check: check.status != "problem")
    yield from problems_first[:MOST_TOLD]
    if len(told) > MOST_TOLD:
        yield Check(
            "runs", "more", "warning", f"and {len(told) - MOST_TOLD} more", "See: harness runs, harness doctor --json"
        )


def _state_checks(run: StoredRun, state: str) -> Iterator[Check]:
    name = run.manifest.id
    found = {
        "killed": "its process was killed; what was answered is kept",
        "interrupted": "was interrupted; what was answered is kept",
        "stopped": "stopped, because the model could not be used any more; what was answered is kept",
        "incomplete": "some of its calls failed",
    }.get(state)
    if found is not None and run.manifest.origin is None:
        how = "--retry-failures" if state == "incomplete" else "--resume"
        yield Check("runs", name, "warning", found, f"Type: harness run {how} {name}")


def _line_checks(run: StoredRun) -> Iterator[Check]:
    for warning in run.log.warnings(Path("completions.jsonl")):
        yield Check("runs", run.manifest.id, "warning", warning, f"Type: harness run --resume {run.manifest.id}")


def cache_checks(project: Project) -> Iterator[Check]:
    """Yield whether the cache can be used, and how large it is."""
    group, path = "cache", project.cache
    try:
        with opened(path) as file:
            problems = file.problems(quick=True)
            told = f"{numbers.plural(file.count(), 'entry', 'entries')}, " if not problems else ""
    except CacheDamagedError as error:
        problems = (error.why,)
    except CacheMissingError:
        yield Check(group, "file", "ok", "there is none yet; the first run makes it")
        return
    size, newest = sizes(path)
    if problems:
        step = "Type: harness cache verify --repair"
        yield Check(group, "file", "problem", f"is damaged: {problems[0]}", step)
    else:
        yield Check(group, "file", "ok", f"{told}{byte_size(size)}, sound")
    if newest > LARGE_LOG:
        told = f"its log of newest writes has {byte_size(newest)}: no process has tidied up"
        yield Check(group, "log", "warning", told, "Type: harness cache verify")
    if not os.access(path, os.W_OK):
        yield Check(
            group, "permissions", "warning", "the file may be read only: nothing new is kept", f"Type: chmod u+w {path}"
        )
