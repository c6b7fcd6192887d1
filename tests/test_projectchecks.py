"""Whether a project's files can be used: settings, prompts, datasets, runs, the disk, the cache."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import cli_project
import pytest
from cli_project import call_error, stored_run, write
from filelock import FileLock

from harness import projectchecks
from harness.cache import Cache
from harness.health import Check
from harness.project import Project, find_project
from harness.projectchecks import (
    cache_checks,
    disk_checks,
    file_checks,
    find,
    root_checks,
    run_checks,
)
from harness.records import Completion

project = cli_project.project


def at(root: Path) -> Project:
    """Return the project of a folder."""
    return find_project(root)


# --- The project ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("marker", "name"), [("harness.toml", "harness.toml"), (".git", ".git"), ("prompts", "prompts/"), (None, "")]
)
def test_the_root_and_how_it_was_found(tmp_path: Path, marker: str | None, name: str) -> None:
    """The root is told with what marks it; a folder without any mark is a warning."""
    if marker == "harness.toml":
        (tmp_path / marker).touch()
    elif marker is not None:
        (tmp_path / marker).mkdir()
    inner = tmp_path / "a"
    inner.mkdir()
    root, settings = root_checks(find(inner))
    if marker is None:
        assert root.status == "warning"
        assert root.found == f"{inner}, which has no harness.toml, .git or prompts/"
    else:
        assert (root.status, root.found) == ("ok", f"{tmp_path}, because of its {name}")
    assert settings.status == "ok"


def test_a_file_of_the_project_finds_it_too(project: Path) -> None:
    """The project around a prompt is that of its folder."""
    assert find(project / "prompts" / "v1.yaml").project.root == project


def test_settings_that_cannot_be_used(project: Path) -> None:
    """Every problem of the settings is told; all else is looked at with the usual ones."""
    write(project / "harness.toml", "concurency = 3\nmodel = 7\n")
    found = find()
    assert found.project.root == project
    _, first, second = root_checks(found)
    assert (first.status, first.found) == (
        "problem",
        f"{project}/harness.toml:1: unknown key 'concurency'. Did you mean 'concurrency'?",
    )
    assert second.found == f"{project}/harness.toml:2: 'model' must be the name of a model, got 7."


@pytest.mark.parametrize(
    ("free", "status", "found"),
    [
        (5_000_000_000, "ok", "5000.0 MB left"),
        (200_000_000, "warning", "200.0 MB left"),
        (3_000_000, "problem", "3.0 MB left"),
    ],
)
def test_room_on_the_disk(project: Path, monkeypatch: pytest.MonkeyPatch, free: int, status: str, found: str) -> None:
    """Little room is a warning, hardly any a problem."""
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(0, 0, free))
    (check,) = disk_checks(at(project))
    assert (check.status, check.found) == (status, found.replace("5000.0 MB", "5.0 GB"))


def test_folders_that_cannot_be_written(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs and cache are tried by writing; where that fails, and where the disk says nothing, it is told."""

    def refuse(*args: object, **values: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(projectchecks.tempfile, "TemporaryFile", refuse)  # type: ignore[attr-defined]
    monkeypatch.setattr(shutil, "disk_usage", refuse)
    (project / "runs").mkdir()
    runs, cache, disk = disk_checks(at(project))
    assert runs.found == "runs cannot be written (No space left on device)"
    assert cache.found == ". cannot be written (No space left on device)"
    assert (disk.status, disk.found) == ("warning", "how much room is left cannot be told (No space left on device)")


# --- Prompts and datasets ---------------------------------------------------------------------------------------------


def test_sound_files_are_counted(project: Path) -> None:
    """Files that can be used are one line each kind."""
    assert list(file_checks(at(project))) == [
        Check("files", "prompts", "ok", "3 prompts can be used"),
        Check("files", "datasets", "ok", "1 dataset with 11 samples can be used"),
    ]


def test_files_with_problems(project: Path) -> None:
    """A file that cannot be used is told with its first problem; its other ones are counted."""
    write(project / "prompts/v9.yaml", "dataset: ../datasets/reviews.yaml\ntemplat: x\nmodl: y\n")
    write(project / "datasets/reviews.test.jsonl", '{"labels": ["odd"]}\n{\n')
    write(project / "datasets/other.yaml", "name: [\n")
    prompt, prompts, other, reviews = file_checks(at(project))
    assert (prompt.name, prompt.status, prompt.next_step) == (
        "prompts/v9.yaml",
        "problem",
        "Type: harness check prompts/v9.yaml",
    )
    assert prompt.found.startswith("prompts/v9.yaml:")
    assert "more)" in prompt.found
    assert prompts.found == "3 prompts can be used"
    assert [other.name, reviews.name] == ["datasets/other.yaml", "datasets/reviews.yaml"]
    assert reviews.found.startswith("datasets/reviews.test.jsonl:1: ")


def test_of_many_files_a_few_are_told(project: Path) -> None:
    """Beyond some files there is their number."""
    for number in range(10, 18):
        write(project / f"prompts/v{number}.yaml", "x")
    found = [check for check in file_checks(at(project)) if check.status == "problem"]
    assert len(found) == projectchecks.MOST_TOLD + 1
    assert found[-1] == Check("files", "prompts", "problem", "and 3 more with problems", "Type: harness check")


def test_an_empty_project(tmp_path: Path) -> None:
    """A project without prompts is told where to begin."""
    (only,) = file_checks(Project(tmp_path))
    assert (only.status, only.next_step) == ("warning", "Type: harness init")


# --- Runs -------------------------------------------------------------------------------------------------------------


def test_no_runs(project: Path) -> None:
    """A project that has none yet is well."""
    assert [check.found for check in run_checks(at(project))] == ["there are no runs yet"]


def test_runs_by_state(project: Path) -> None:
    """Runs that are not finished are told with what to type; one that is being written by somebody is not."""
    stored_run(project, "v1")
    stored_run(project, "v2", state="interrupted")
    stored_run(project, "v3", state="running")
    stored_run(project, "v1", {"r01": call_error()}, day=9, state="incomplete")
    writing = stored_run(project, "v2", state="running", day=10).path
    with FileLock(writing / ".lock"):
        states, *told = run_checks(at(project))
    assert states.found == "1 complete run, 1 incomplete run, 1 interrupted run, 1 killed run, 1 running run"
    assert [(check.name[:2], check.status, check.next_step) for check in told] == [
        ("v1", "warning", "Type: harness run --retry-failures v1-20260111-030405"),
        ("v2", "warning", "Type: harness run --resume v2-20260104-030405"),
        ("v3", "warning", "Type: harness run --resume v3-20260105-030405"),
    ]
    assert told[2].found == "its process was killed; what was answered is kept"


def test_damaged_runs(project: Path) -> None:
    """Lines that cannot be read, and runs that cannot, are told; problems come first."""
    torn = stored_run(project, "v1").path / "completions.jsonl"
    torn.write_text(torn.read_text(encoding="utf-8") + "{}\n" + '{"key": "la', encoding="utf-8")
    (stored_run(project, "v2").path / "run.json").write_text("{", encoding="utf-8")
    states, damaged, *lines = run_checks(at(project))
    assert states.found == "1 complete run, 1 unreadable run"
    assert damaged.status == "problem"
    assert [check.found.split(":")[0] for check in lines] == ["completions.jsonl", "completions.jsonl"]
    assert {check.next_step for check in lines} == {"Type: harness run --resume v1-20260103-030405"}


def test_of_many_runs_a_few_are_told(project: Path) -> None:
    """Beyond some runs there is their number."""
    for day in range(8):
        stored_run(project, "v1", {"r01": "none"}, day=day, state="stopped")
    states, *told = run_checks(at(project))
    assert states.found == "8 stopped runs"
    assert len(told) == projectchecks.MOST_TOLD + 1
    assert told[-1].found == "and 3 more"


# --- The cache --------------------------------------------------------------------------------------------------------


def test_the_cache(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No cache is well, as is a sound one; a damaged one is a problem, a long log and a file read only are warnings."""
    path = at(project).cache
    assert [check.found for check in cache_checks(at(project))] == ["there is none yet; the first run makes it"]
    with Cache(path, pytest.fail) as cache:
        cache.put("k", Completion("ok", raw="x"))
    (sound,) = cache_checks(at(project))
    assert (sound.status, sound.found.partition(",")[0]) == ("ok", "1 entry")
    monkeypatch.setattr(projectchecks, "LARGE_LOG", -1)
    monkeypatch.setattr(os, "access", lambda *_: False)
    _, log, permissions = cache_checks(at(project))
    assert (log.name, log.status) == ("log", "warning")
    assert (permissions.status, permissions.next_step) == ("warning", f"Type: chmod u+w {path}")


def test_a_damaged_cache(project: Path) -> None:
    """A file whose pages are garbage is a problem, with the command that mends it."""
    path = at(project).cache
    with Cache(path, pytest.fail) as cache:
        for number in range(300):
            cache.put(f"{number:040}", Completion("ok", raw="x" * 500))
    content = path.read_bytes()
    path.write_bytes(content[: 5 * 4096] + b"\xaa" * 20 * 4096 + content[25 * 4096 :])
    (check,) = cache_checks(at(project))
    assert check.status == "problem"
    assert check.found.startswith("is damaged: ")
    assert check.next_step == "Type: harness cache verify --repair"
    path.write_bytes(b"x" * 100)
    (check,) = cache_checks(at(project))
    assert (check.status, check.found) == ("problem", "is damaged: file is not a database")
