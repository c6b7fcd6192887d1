"""How prompt versions became each other."""

from __future__ import annotations

import io
import json
from pathlib import Path

import cli_project
import pytest
from cli_project import ANSWERS, PROMPT, Cli, stored_run, write, write_samples
from rich.cells import cell_len
from syrupy.assertion import SnapshotAssertion

from harness.errors import RunNameError
from harness.history import History, Version, history
from harness.project import find_project
from harness.report.history import history_markdown, history_report, history_rows
from harness.report.terminal import rendered
from harness.store import Origin

project, cli = cli_project.project, cli_project.cli


def told(project: Path, version: str | None = None) -> dict[str, Version]:
    """Return the versions of a history by name, in order."""
    return {each.name: each for each in history(find_project(project), version).versions}


def shown(found: History) -> str:
    """Return a history as it is printed where there is no terminal."""
    text = rendered([history_report(found)], io.StringIO())
    for line in text.splitlines():
        assert cell_len(line) <= 100, line
    return text


def noted(project: Path, version: str, parent: str, notes: str, **more: str) -> None:
    """Write a prompt with notes."""
    text = PROMPT.format(version=version, parent=parent) + f"notes: {notes}\n"
    for old, new in more.items():
        text = text.replace(old, new)
    write(project / f"prompts/{version}.yaml", text)


# --- which versions ---------------------------------------------------------------------------------------------------


def test_versions_come_in_the_order_of_their_first_run(project: Path) -> None:
    """Without a version all are told: those that were run as they were first, then the prompts that never were."""
    stored_run(project, "v3", day=1)
    stored_run(project, "v1", day=2)
    stored_run(project, "v3", day=3)
    found = told(project)
    assert {name: each.status for name, each in found.items()} == {"v3": "run", "v1": "run", "v2": "never run"}
    assert found["v3"].run == "v3-20260105-030405"


def test_a_version_comes_with_its_parents(project: Path) -> None:
    """With a version its chain is told, the oldest first."""
    stored_run(project, "v1")
    stored_run(project, "v2")
    assert list(told(project, "v2")) == ["v1", "v2"]
    assert {name: each.status for name, each in told(project, "v3").items()} == {
        "v1": "run", "v2": "run", "v3": "never run",
    }  # fmt: skip


def test_other_datasets_have_a_history_of_their_own(project: Path) -> None:
    """Versions of another dataset than the newest run's are not told, whether they were run or not."""
    write(project / "datasets/other.yaml", "labels: {a: ''}\nsplits: {dev: other.jsonl}\n")
    write(project / "datasets/other.jsonl", json.dumps({"id": "o1", "text": "A.", "labels": ["a"]}))
    write(project / "prompts/o1.yaml", PROMPT.format(version="o1", parent="null").replace("reviews", "other"))
    write(project / "prompts/o2.yaml", PROMPT.format(version="o2", parent="null").replace("reviews", "other"))
    stored_run(project, "o1", {"o1": "a"}, day=1)
    stored_run(project, "v1", day=2)
    assert list(told(project)) == ["v1", "v2", "v3"]
    stored_run(project, "o1", {"o1": "a"}, day=3)
    assert list(told(project)) == ["o1", "o2"]
    assert list(told(project, "v1")) == ["v1"]


def test_a_version_that_is_not_there_is_refused(project: Path, cli: Cli) -> None:
    """A name that is neither a run's version nor a prompt's is told with what there is."""
    stored_run(project, "v1")
    with pytest.raises(RunNameError) as caught:
        history(find_project(project), "v11")
    assert str(caught.value) == (
        "version 'v11': has neither a run nor a prompt file. There are v1, v2, v3. Did you mean 'v1'?"
    )
    assert cli("history", "v11").err == f"error: {caught.value}\n"


def test_an_empty_project_has_no_history(tmp_path: Path) -> None:
    """Without runs and prompts there is nothing to tell, and that is said."""
    (tmp_path / "prompts").mkdir()
    found = history(find_project(tmp_path))
    assert found == History(None, ())
    assert shown(found) == "No runs and no prompts yet. Type: harness init\n"
    with pytest.raises(RunNameError, match=r"has neither a run nor a prompt file. There is none yet.$"):
        history(find_project(tmp_path), "v1")


def test_a_missing_parent_is_told(project: Path) -> None:
    """A chain ends with the parent that is gone; without a chain the version says so."""
    noted(project, "v2", "v0", "x")
    stored_run(project, "v2")
    found = told(project, "v2")
    assert (list(found), found["v0"].status) == (["v0", "v2"], "missing")
    assert told(project)["v2"].why == "its parent v0 is gone"


def test_versions_in_a_circle_end(project: Path) -> None:
    """Parents that go in a circle are each told once; a version that names itself is not compared."""
    noted(project, "v1", "v2", "x")
    noted(project, "v3", "v3", "x")
    stored_run(project, "v1")
    stored_run(project, "v2")
    stored_run(project, "v3")
    assert list(told(project, "v2")) == ["v1", "v2"]
    assert told(project, "v3")["v3"].why == "it is its own parent"


def test_a_version_without_a_complete_run(project: Path) -> None:
    """Runs that are incomplete or on another split give no scores; the newest is named."""
    stored_run(project, "v1", split="test", default_split=False)
    stored_run(project, "v2")
    found = told(project)
    assert (found["v1"].status, found["v1"].scores) == ("incomplete", None)
    assert found["v1"].why == "its newest run is v1-20260103-030405 (complete, split test)"
    assert found["v2"].why == "its parent v1 has no complete run"


def test_a_broken_prompt_is_told(project: Path) -> None:
    """A prompt that was never run and cannot be read is told with its first problem."""
    stored_run(project, "v1")
    write(project / "prompts/v2.yaml", "template: [\n")
    found = told(project)["v2"]
    assert (found.status, found.file) == ("broken", Path("prompts/v2.yaml"))
    assert found.why.startswith("prompts/v2.yaml:")
    assert told(project, "v2")["v2"].status == "broken"


# --- what is told of them ---------------------------------------------------------------------------------------------


def test_a_version_is_compared_with_its_parent(project: Path) -> None:
    """The change of macro F1 is on the samples that both have, with its verdict."""
    stored_run(project, "v1")
    stored_run(project, "v2", {key: ANSWERS["v2"][key] for key in ("r01", "r02", "r04")})
    found = told(project)
    assert found["v1"].change is None
    change = found["v2"].change
    assert change is not None
    assert (change.n_common, change.regressed, change.fixed) == (3, 1, 1)
    assert change.macro_f1.verdict == "inconclusive"
    assert (found["v2"].n_samples, found["v1"].n_samples) == (3, 10)
    assert found["v1"].scores is not None
    assert found["v1"].scores["subset_accuracy"] == 0.5


def test_what_cannot_be_compared_says_why(project: Path) -> None:
    """Without samples in common, or without gold labels among them, there is no change, and it is said why."""
    stored_run(project, "v1", {"r01": "shipping"})
    stored_run(project, "v2", {"r02": "quality"})
    why = told(project)["v2"].why
    assert why.startswith("v1, v2: must have labelled samples in common to be compared, but have none.")
    write_samples(project, {"r1": {"text": "Late.", "labels": []}})
    stored_run(project, "v1", {"r1": "none"}, day=5)
    stored_run(project, "v2", {"r1": "none"}, day=6)
    assert told(project)["v2"].why == "no label has gold in what it has in common with v1"


def test_a_prompt_that_has_changed_since_is_marked(project: Path) -> None:
    """A version whose file says something else by now is marked; its scores are those of the run."""
    stored_run(project, "v1")
    noted(project, "v1", "null", "Another one.", Labels="Choose")
    found = told(project)["v1"]
    assert (found.changed, found.notes) == (True, "")
    assert "prompts/v1.yaml has changed since v1-20260103-030405" in shown(history(find_project(project)))


def test_predictions_from_elsewhere_have_no_cost(project: Path) -> None:
    """Predictions that no prompt made stand in the history with who made them, and without a price."""
    stored_run(project, "v1", origin=Origin("import", "last year's"))
    found = told(project)["v1"]
    assert (found.models, found.cost_usd) == (("last year's",), None)


def test_an_unlabelled_run_has_no_scores(project: Path) -> None:
    """A run on unlabelled samples is told without scores."""
    run = stored_run(project, "v1")
    write(run.path / "scores.json", "{}")
    assert told(project)["v1"].scores is None


# --- how it looks -----------------------------------------------------------------------------------------------------


@pytest.fixture
def several(project: Path) -> Path:
    """Return a project with versions of every status."""
    noted(project, "v1", "null", "Name the labels.")
    noted(project, "v2", "v1", "Say what the answer must look like.")
    noted(project, "v3", "v0", "A [bold] step.")
    noted(project, "v4", "v3", "Not yet run.")
    stored_run(project, "v1")
    stored_run(project, "v2")
    stored_run(project, "v3")
    stored_run(project, "v4", {"r01": "shipping"}, state="interrupted")
    noted(project, "v2", "v1", "Other words.", Labels="Choose")
    write(project / "prompts/v6.yaml", "output: [")
    noted(project, "v7", "v4", "An idea.")
    return project


def test_history_in_the_terminal(several: Path, snapshot: SnapshotAssertion) -> None:
    """One row a version, its note below, and what a person should know of it."""
    assert shown(history(find_project(several))) == snapshot
    assert "missing: there is neither a run nor a prompt file" in shown(history(find_project(several), "v3"))


def test_history_as_markdown(several: Path, snapshot: SnapshotAssertion) -> None:
    """Markdown has one row a version, with the notes at its end."""
    assert history_markdown(history(find_project(several))) == snapshot
    assert history_markdown(History(None, ())).startswith("## History\n")


def test_history_as_rows(several: Path) -> None:
    """Rows have the scores and the change as numbers; what is not there is empty."""
    rows = {row["version"]: row for row in history_rows(history(find_project(several)))}
    assert (rows["v2"]["verdict"], rows["v2"]["common"], rows["v2"]["changed"]) == ("inconclusive", 10, True)
    assert rows["v2"]["low"] < rows["v2"]["delta"] < rows["v2"]["high"]
    assert (rows["v7"]["status"], rows["v7"]["macro_f1"], rows["v7"]["samples"]) == ("never run", None, None)


def test_the_command(several: Path, cli: Cli) -> None:
    """`harness history` prints, writes by extension, and gives JSON."""
    found = cli("history")
    assert (found.code, found.err) == (0, "")
    assert "\nv2      v1     10 0.806" in found.out
    assert [row["name"] for row in cli("history", "v2", "--json").json["versions"]] == ["v1", "v2"]
    assert cli("history", "-o", "h.json").out == "written to h.json\n"
    assert json.loads(Path("h.json").read_text()) == cli("history", "--json").json
    cli("history", "-o", "h.csv")
    assert Path("h.csv").read_text().startswith("version,status,parent,run,")
    cli("history", "-o", "h.md", "--json")
    assert Path("h.md").read_text().startswith("## History of reviews\n")
    assert cli("history", "-o", "h.txt").code == 2


def test_versions_are_completed(several: Path) -> None:
    """A shell offers versions of runs and of prompt files; in a broken project none."""
    from click.shell_completion import ShellComplete

    from harness.cli import group

    def completed(incomplete: str) -> list[str]:
        found = ShellComplete(group, {}, "harness", "_C").get_completions(["history"], incomplete)
        return [each.value for each in found]

    assert completed("v") == ["v4", "v3", "v2", "v1", "v6", "v7"]
    write(several / "harness.toml", "= broken")
    assert completed("v") == []
