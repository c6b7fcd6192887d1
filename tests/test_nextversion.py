"""What the next version is called, where its file may be, and what runs it as its parent was run."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from projects import HEAD, Folder, right_but
from scripted_server import ScriptedServer

from harness.errors import DataError, UsageError
from harness.nextversion import (
    check_new_file,
    load_as_run,
    next_path,
    next_version,
    parent_file,
    run_command,
    write_new,
)
from harness.selection import Selection
from harness.store import StoredRun


@pytest.mark.parametrize(
    ("parent", "taken", "called"),
    [
        ("v3", (), "v4"),
        ("v3", ("v4",), "v3-a"),
        ("v3", ("V4", "v3-A"), "v3-b"),
        ("v09", (), "v10"),
        ("7", (), "8"),
        ("codes", (), "codes-a"),
        ("codes-a", (), "codes-b"),
        ("codes-a", ("codes-b",), "codes-c"),
        ("v3", ("v4", *(f"v3-{letter}" for letter in "abcdefghijklmnopqrstuvwxyz")), "v3-1"),
    ],
)
def test_what_it_is_called(parent: str, taken: tuple[str, ...], called: str) -> None:
    """The number counts up; where that is taken, or there is none, a letter is added."""
    assert next_version(parent, taken) == called


names = st.from_regex(r"[a-z]{0,2}[0-9]{0,2}(-[a-z0-9])?", fullmatch=True).filter(bool)


@given(parent=names, taken=st.sets(names, max_size=60))
def test_no_name_is_taken_twice(parent: str, taken: set[str]) -> None:
    """The name is always a new one, and the same for the same versions."""
    called = next_version(parent, taken)
    assert called.casefold() not in {name.casefold() for name in (*taken, parent)}
    assert called == next_version(parent, sorted(taken))


def stored(folder: Folder, **options: object) -> StoredRun:
    """Return a run of v1."""
    return folder.run("v1", right_but(), **options).stored


def test_files_and_runs_both_take_a_name(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version whose file was deleted keeps its name as long as it has runs."""
    monkeypatch.chdir(folder.root)
    run = stored(folder)
    assert next_path(run, folder.project) == Path("prompts/v2.yaml")
    folder.prompt("v2")
    folder.run("v2", right_but())
    folder.path("v2").unlink()
    assert next_path(run, folder.project) == Path("prompts/v1-a.yaml")
    folder.write("prompts/v1-a.yml", HEAD)
    assert next_path(run, folder.project) == Path("prompts/v1-b.yaml")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("prompts/v2.txt", "must end in .yaml, got '.txt'."),
        (
            "v2.yaml",
            "must lie beside prompts/v1.yaml, because the paths in it are told from there. Write: prompts/v2.yaml",
        ),
        ("prompts/v1.yaml", "must be a new file, but is there already. Name another version."),
        ("prompts/v1.yml", "must be another version than v1. Name another one."),
    ],
)
def test_a_file_that_cannot_be_there(folder: Folder, monkeypatch: pytest.MonkeyPatch, name: str, told: str) -> None:
    """It is refused before any work is done."""
    monkeypatch.chdir(folder.root)
    run = stored(folder)
    check_new_file(Path("prompts/v2.yaml"), run, folder.project)
    with pytest.raises(UsageError) as error:
        check_new_file(Path(name), run, folder.project)
    assert str(error.value) == f"--write {name}: {told}"


def test_without_its_file_a_run_has_no_next_version(folder: Folder) -> None:
    """The message names the run and the file."""
    run = stored(folder)
    folder.path("v1").unlink()
    with pytest.raises(DataError) as error:
        parent_file(run, folder.project)
    assert str(error.value) == (
        f"run {run.manifest.id}: its prompt file prompts/v1.yaml is gone, so no version can be made from it."
    )
    pathless = replace(run, manifest=replace(run.manifest, prompt=replace(run.manifest.prompt, path=None)))
    with pytest.raises(DataError, match=r"its prompt file is gone"):
        parent_file(pathless, folder.project)


def test_no_file_is_written_over(folder: Folder) -> None:
    """A file that is there stays, and a folder that is not is told."""
    before = folder.path("v1").read_text()
    with pytest.raises(DataError, match=r"v1.yaml: must be a new file, but is there already"):
        write_new(folder.path("v1"), "x")
    assert folder.path("v1").read_text() == before
    with pytest.raises(DataError, match=r"cannot be written: No such file or directory\."):
        write_new(folder.root / "nowhere" / "v2.yaml", "x")


def test_what_runs_it(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command has what the run was made with and the file does not say."""
    monkeypatch.chdir(folder.root)
    folder.prompt("v1", HEAD + 'template: "{{ tone }} {{ text }}"\nvars: {tone: calm}\n')
    with ScriptedServer("none") as server:
        plan = folder.plan(
            "v1", base_url=server.base_url, split="test", repeats=2, limit=1, variables={"tone": "so so"}
        )
        from harness.execution import start

        run = start(plan, folder.project)
        words = shlex.split(run_command(folder.path("v1"), run, folder.project))
    assert words == [
        *("harness", "run", "prompts/v1.yaml", "--split", "test", "--base-url", server.base_url),
        *("--var", "tone=so so", "--limit", "1", "--repeat", "2"),
    ]
    assert load_as_run(folder.path("v1"), run, folder.project).variables == {"tone": "so so"}


def test_a_selection_and_a_model_are_repeated(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A filter, ids and a model that the file leaves open stand in the command."""
    monkeypatch.chdir(folder.root)
    folder.prompt("v1", 'dataset: ../datasets/reviews.yaml\ntemplate: "{{ text }}"\n')
    run = stored(folder, model="other")
    chosen = replace(run.manifest, selection=Selection("'price' in gold", ("s3", "s5")).to_json())
    words = shlex.split(run_command(folder.path("v1"), replace(run, manifest=chosen), folder.project))
    assert words[3:5] == ["--model", "other"]
    assert words[-4:] == ["--filter", "'price' in gold", "--samples", "s3,s5"]
