"""Which run a name means: tags, and projects that have nothing but labelled files."""

from __future__ import annotations

from pathlib import Path

import cli_project
import pytest
from cli_project import Cli, stored_run

from harness.errors import DataError, RunNameError, UsageError
from harness.runnames import check_tag, find_run

project, cli = cli_project.project, cli_project.cli


def test_a_tag_names_the_newest_complete_run_that_has_it(project: Path) -> None:
    """Whatever its split and version; to go on with one, its newest run whatever its state."""
    older = stored_run(project, "v1", tag="release", split="test", default_split=False)
    newest = stored_run(project, "v2", tag="release", state="interrupted")
    assert find_run(project / "runs", "release").manifest.id == older.manifest.id
    assert find_run(project / "runs", "release", any_state=True).manifest.id == newest.manifest.id


def test_a_tag_without_a_complete_run_says_how_to_go_on(project: Path) -> None:
    """As a version without one does."""
    run = stored_run(project, "v1", tag="release", state="interrupted").manifest.id
    with pytest.raises(RunNameError, match=rf"no complete run has this tag\. .* type: harness run --resume {run}$"):
        find_run(project / "runs", "release")


def test_other_names_go_before_a_tag(project: Path) -> None:
    """A version and the beginning of one id are what they were; a tag goes before a beginning that several ids have."""
    one = stored_run(project, "v1", tag="v2-2026")
    two = stored_run(project, "v2", tag="v")
    assert find_run(project / "runs", "v2-2026").manifest.id == two.manifest.id
    assert find_run(project / "runs", "v").manifest.id == two.manifest.id
    assert find_run(project / "runs", "v1").manifest.id == one.manifest.id


@pytest.mark.parametrize("tag", ["", "two words", "latest", "v1", "v3", "new", "v1-20260103-030405"])
def test_a_tag_by_which_nothing_could_be_found_is_refused(project: Path, tag: str) -> None:
    """It is one word, and no version, id or `latest`."""
    stored_run(project, "v1")
    with pytest.raises(UsageError, match=r"^--tag: must "):
        check_tag(tag, project / "runs", ["v3", "new"])


def test_a_tag_is_refused_before_any_call(project: Path, cli: Cli) -> None:
    """A version that was never run is a name too."""
    told = cli("run", "prompts/v1.yaml", "--tag", "v3", "--dry-run")
    assert told.code == 2
    assert told.err == (
        "error: --tag: must not be a version, an id or 'latest', got 'v3', which means other runs. Change it.\n"
    )
    assert cli("run", "prompts/v1.yaml", "--tag", "release", "--dry-run").code == 0


def test_labelled_files_alone_are_named_by_their_ids(project: Path, cli: Cli) -> None:
    """Neither `latest` nor a version means one, and the message says which names there are."""
    ids = [stored_run(project, "v1", day=day, split="file:new.csv").manifest.id for day in (2, 1)]
    message = "there are only runs of 'harness label', which have no scores. Name one by its id: " + ", ".join(ids)
    for name in ("latest", "v1"):
        assert cli("show", name).err == f"error: run '{name}': {message}.\n"
    assert (
        cli("show", "v7").err
        == f"error: run 'v7': no such run. There are {', '.join(ids)}, or any id of 'harness runs'.\n"
    )


def test_a_run_that_cannot_be_read_is_not_taken_for_lost(project: Path, cli: Cli) -> None:
    """Its answers were paid: by its id it is told what is wrong with it, and else that it is there."""
    run = stored_run(project, "v1")
    (run.path / "run.json").write_bytes((run.path / "run.json").read_bytes()[:100])
    there = f"1 run cannot be read: {run.path.name}. What it was answered is kept. See: harness doctor"
    with pytest.raises(DataError, match=r"run\.json: cannot be read"):
        find_run(project / "runs", run.path.name)
    with pytest.raises(RunNameError) as caught:
        find_run(project / "runs", "v1")
    assert str(caught.value) == f"{project / 'runs'}: {there}"
    assert cli("runs").err == f"warning: {there}\n"
    assert cli("runs").out == ""
    stored_run(project, "v2")
    with pytest.raises(RunNameError) as caught:
        find_run(project / "runs", "v1")
    assert str(caught.value).endswith(there)
    assert "v2-2026" in cli("runs").out
