"""`harness label`: what it tells, which exit code it ends with, and what a person can type wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import cli_project
import pytest
from cli_project import Cli
from scripted_server import Reply, ScriptedServer, answering, error

project, cli = cli_project.project, cli_project.cli

CSV = "text,n\ntoo late,1\nbent,2\n,3\nfine,4\nodd,5\n"


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A server that answers by what the text says, and fails on `down`."""
    replies: dict[str, str | Reply] = {
        "too late": "shipping",
        "bent": "shipping, price",
        "fine": "none",
        "odd": "colour",
        "down": error(400, "no"),
    }
    with ScriptedServer(answering(replies)) as running:
        yield running


@pytest.fixture
def new(project: Path) -> Path:
    """A file of five rows to label."""
    return cli_project.write(project / "new.csv", CSV)


def cells(out: str) -> list[list[str]]:
    """Return the words of each line that is not blank."""
    return [line.split() for line in out.splitlines() if line.strip()]


def test_it_ends_with_counts_cost_and_the_path(project: Path, new: Path, server: ScriptedServer, cli: Cli) -> None:
    """One row a label in label-space order, what was not answered by kind, what it cost, and where the result is."""
    done = cli("label", "prompts/v1.yaml", "new.csv", "-o", "out.csv", "--base-url", server.base_url)
    assert done.code == 0
    told = cells(done.out)
    assert told[0] == ["label", "rows"]
    assert told[2:-2] == [
        ["shipping", "2"],
        ["quality", "0"],
        ["price", "1"],
        ["gift", "wrap", "0"],
        ["none", "of", "them", "1"],
        ["no", "answer:", "unparseable", "1"],
        ["no", "text,", "not", "asked", "1"],
        ["something", "off", "the", "list", "in", "1", "row:", "see", "the", "column", "off_list"],
    ]
    assert told[-2][:4] == ["4", "calls", "made,", "cost"]
    assert told[-2][4].startswith("$0.")
    (run,) = (path.name for path in (project / "runs").iterdir())
    assert told[-2][-2:] == ["run", run]
    assert told[-1] == ["5", "rows", "written", "to", "out.csv"]
    assert done.err == "warning: new.csv: rows without a text are not asked and stay empty: line 4.\n"


def test_all_from_the_cache_is_said(project: Path, new: Path, server: ScriptedServer, cli: Cli) -> None:
    """The second time nothing is paid."""
    for output in ("a.csv", "b.jsonl"):
        done = cli("label", "prompts/v1.yaml", "new.csv", "-o", output, "--base-url", server.base_url)
    assert "no call made: every completion was there, cost $0, " in done.out
    assert server.count == 4


def test_failed_calls_end_with_3_and_the_way_to_go_on(project: Path, server: ScriptedServer, cli: Cli) -> None:
    """Their rows are in the file all the same."""
    cli_project.write(project / "new.csv", "text\nfine\ndown\n")
    done = cli("label", "prompts/v1.yaml", "new.csv", "-o", "out.csv", "--base-url", server.base_url)
    assert done.code == 3
    assert done.out.endswith("Calls failed. Type the same command with --force again: only they are made anew.\n")
    assert (project / "out.csv").read_text() == "text,labels,failure,off_list\nfine,none,,\ndown,,call_error,\n"


def test_the_result_as_json(project: Path, new: Path, server: ScriptedServer, cli: Cli) -> None:
    """All that is told to people is there for programs."""
    arguments = ("--base-url", server.base_url, "--limit", "2", "--json", "--no-cache", "-j", "1")
    done = cli("label", "prompts/v1.yaml", "new.csv", "-o", "out.jsonl", *arguments)
    assert (done.json["rows"], done.json["output"], done.json["state"]) == (2, "out.jsonl", "complete")
    assert list(done.json["labels"]) == ["shipping", "quality", "price", "gift wrap"]


def test_columns_can_be_named(project: Path, server: ScriptedServer, cli: Cli) -> None:
    """`--text`, `--id` and template variables reach the prompt."""
    cli_project.write(project / "new.csv", "body,nr\nfine,a7\n")
    prompt = project / "prompts/v1.yaml"
    prompt.write_text(prompt.read_text().replace("{{ text }}", "{{ text }} {{ tone }}"))
    given = ("--text", "body", "--id", "nr", "--var", "tone=calmly", "--model", "other", "--base-url", server.base_url)
    assert cli("label", "prompts/v1.yaml", "new.csv", "-o", "out.csv", *given).code == 0
    (request,) = server.requests
    assert (request.body["model"], request.text.splitlines()[-1]) == ("other", "fine calmly")
    (samples,) = (project / "runs").glob("*/samples.jsonl")
    assert json.loads(samples.read_text())["id"] == "a7"


def test_a_file_that_is_there_is_replaced_by_force_alone(
    project: Path, new: Path, server: ScriptedServer, cli: Cli
) -> None:
    """Without `--force` nothing is asked and nothing changes."""
    (project / "out.csv").write_text("mine")
    given = ("label", "prompts/v1.yaml", "new.csv", "-o", "out.csv", "--base-url", server.base_url)
    done = cli(*given)
    assert (done.code, server.count, (project / "out.csv").read_text()) == (2, 0, "mine")
    assert done.err == "error: -o out.csv: must not exist yet, but does. Give another name, or --force to replace it.\n"
    assert cli(*given, "--force").code == 0
    assert (project / "out.csv").read_text().startswith("text,n,labels,failure,off_list\n")


def test_the_list_of_runs_shows_it_without_scores(project: Path, new: Path, server: ScriptedServer, cli: Cli) -> None:
    """It is a run on a file, not on a split."""
    cli("label", "prompts/v1.yaml", "new.csv", "-o", "out.csv", "--base-url", server.base_url)
    (row,) = cli("runs", "--json").json
    assert (row["split"], row["macro_f1"], row["state"], row["samples"]) == ("file:new.csv", None, "complete", 4)


def test_a_labelling_run_is_not_scored_or_resumed(project: Path, new: Path, server: ScriptedServer, cli: Cli) -> None:
    """Commands that need gold say that there is none, and going on with it means `harness label` once more."""
    cli("label", "prompts/v1.yaml", "new.csv", "-o", "out.csv", "--base-url", server.base_url)
    (row,) = cli("runs", "--json").json
    for command in (["failures", row["id"]], ["show", row["id"]]):
        told = cli(*command)
        assert (told.code, told.err) == (
            1,
            f"error: run {row['id']}: has no scores, because its samples are unlabelled. "
            f"Show one: harness show {row['id']} ID\n",
        )
    told = cli("run", "--resume", row["id"])
    assert (told.code, told.err) == (
        1,
        f"error: run {row['id']}: labelled a file. To go on, type the same 'harness label' again: what was answered "
        "comes from the cache.\n",
    )
    assert "0 predictions changed" in cli("score", row["id"]).out
    assert server.count == 4
