"""`harness run`: what a person sees of it, what it refuses before any call, and what it says to type next."""

from __future__ import annotations

import csv
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import cli_project
import pytest
from cli_project import DATASET, TEXTS, Cli, answer_of, stored_run, write, write_samples
from scripted_server import Reply, Request, ScriptedServer, answering, error, say
from syrupy.assertion import SnapshotAssertion

project, cli = cli_project.project, cli_project.cli


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A server that answers as `ANSWERS` says."""
    with ScriptedServer(answering(answer_of)) as running:
        yield running


def without_times(text: str) -> str:
    """Return the text with run ids, durations and ports that are always the same."""
    text = re.sub(r"\d{8}-\d{6}(?=\s)", "20260102-030405", text)
    return re.sub(r"\d+(\.\d)? s\b", "0.1 s", text)


def next_commands(text: str) -> list[list[str]]:
    """Return the commands under "Next:" as a shell would split them, each without its `harness`."""
    lines = text.partition("\nNext:\n")[2].splitlines()
    commands = [shlex.split(line) for line in lines]
    assert all(command[0] == "harness" for command in commands)
    return [command[1:] for command in commands]


def prompts(*versions: str) -> list[str]:
    """Return the paths of prompt versions."""
    return [f"prompts/{version}.yaml" for version in versions]


def test_several_prompts_end_with_what_the_last_one_changed(
    project: Path, cli: Cli, server: ScriptedServer, snapshot: SnapshotAssertion
) -> None:
    """`run A B C` tells each in a line, then the last in full against its baseline, then what to type next."""
    told = cli("run", *prompts("v1", "v2", "v3"), "--base-url", server.base_url)
    assert (told.code, told.err) == (0, "")
    assert without_times(told.out) == snapshot
    assert server.count == 30


def test_one_prompt_without_a_baseline(
    project: Path, cli: Cli, server: ScriptedServer, snapshot: SnapshotAssertion
) -> None:
    """A first run has no comparison; its report begins at once."""
    told = cli("run", *prompts("v1"), "--base-url", server.base_url)
    assert without_times(told.out) == snapshot


def test_a_dry_run_makes_no_call(project: Path, cli: Cli, server: ScriptedServer, snapshot: SnapshotAssertion) -> None:
    """`--dry-run` tells calls, what the cache answers, tokens and price, and calls nobody."""
    cli("run", *prompts("v1"), "--limit", "4", "--base-url", server.base_url)
    server.reset()
    told = cli("run", *prompts("v1", "v2"), "--dry-run", "--base-url", server.base_url)
    assert told.code == 0
    assert told.out == snapshot
    assert server.count == 0
    assert len(cli("runs", "--json").json) == 1
    rows = cli("run", *prompts("v1"), "--dry-run", "--json", "--base-url", server.base_url).json
    assert [(row["version"], row["samples"], row["calls"], row["cached"]) for row in rows] == [("v1", 10, 10, 4)]


def test_the_next_commands_work(project: Path, cli: Cli, server: ScriptedServer) -> None:
    """Every command under "Next:" works as it stands there."""
    told = cli("run", *prompts("v1", "v2", "v3"), "--base-url", server.base_url)
    commands = next_commands(told.out)
    assert [command[0] for command in commands] == ["compare", "failures", "failures", "failures"]
    for command in commands:
        assert cli(*command).code == 0, command


def test_the_next_commands_work_for_any_name(project: Path, cli: Cli, server: ScriptedServer) -> None:
    """Labels and versions with spaces, quotes and dollars are quoted for the shell, and name this very run."""
    label = """it's "too" $dear"""
    write(project / "datasets/reviews.yaml", DATASET.replace("  price: It", f"  {json.dumps(label)}: It"))
    write_samples(project, {"r1": {"text": "Gone.", "labels": [label]}, "r2": {"text": "Late.", "labels": []}})
    write(project / "prompts/my v1.yaml", "dataset: ../datasets/reviews.yaml\nmodel: m\ntemplate: '{{ text }}'\n")
    with ScriptedServer(say("none")) as none:
        told = cli("run", "prompts/my v1.yaml", "--base-url", none.base_url)
    assert next_commands(told.out) == [["failures", "my v1", "--label", label]]
    assert cli(*next_commands(told.out)[0]).out.count('missed: it\'s "too" $dear') == 1


def test_a_run_on_another_split_is_named_by_its_id(project: Path, cli: Cli, server: ScriptedServer) -> None:
    """A version means a run on the default split: what comes next after another split names ids."""
    write(project / "datasets/reviews.yaml", DATASET.replace("test: reviews.test", "train: reviews.dev"))
    for version in ("v1", "v2"):
        told = cli("run", *prompts(version), "--split", "train", "--base-url", server.base_url)
    commands = next_commands(told.out)
    assert [re.sub(r"\d{2,}", "0", word) for word in commands[0]] == ["compare", "v1-0-0", "v2-0-0"]
    for command in commands:
        assert cli(*command).code == 0, command


def test_failed_calls_make_it_incomplete(project: Path, cli: Cli) -> None:
    """Failed calls: exit code 3, and the first thing to type makes them again, and them alone."""
    broken = True

    def script(request: Request) -> Reply:
        late = "three weeks late" in request.text
        return error(500, "on fire") if broken and late else say(answer_of(request.text))

    with ScriptedServer(script) as server:
        told = cli("run", *prompts("v1"), "--base-url", server.base_url)
        assert told.code == 3
        assert "· incomplete ·" in told.out
        assert "1 of 10 without an answer, counted as wrong: 1 call_error" in told.out
        command = next_commands(told.out)[0]
        assert command[:2] == ["run", "--retry-failures"]
        broken = False
        server.reset()
        again = cli(*command)
        assert (again.code, server.count) == (0, 1)
    assert "Every sample was answered." in again.out


def test_a_server_that_refuses_every_call_is_quoted(project: Path, cli: Cli, tmp_path: Path) -> None:
    """Its words stand in the report, the file and `show`, once with their count; a retry in vain is not offered."""

    def script(request: Request) -> Reply:
        return error(422, f"1 validation error for Request {len(request.text)}: no field 'messages' " + "here " * 40)

    with ScriptedServer(script) as server:
        told = cli("run", *prompts("v1"), "--base-url", server.base_url, "-o", str(tmp_path / "run.md"))
    assert told.code == 3
    (line,) = (line for line in told.out.splitlines() if "call_error: " in line)
    assert re.fullmatch(r"  call_error: 422 \".*1 validation error for Request \d+: no field 'messages' .*… +10×", line)
    assert len(line) <= 100
    commands = next_commands(told.out.partition("written to")[0])
    assert commands[0] == ["check", "prompts/v1.yaml", "--show", "1"]
    assert [command[0] for command in commands] == ["check", "failures"]
    assert all(cli(*command).code == 0 for command in commands)
    assert line in cli("show", "latest").out.splitlines()
    (failing,) = cli("show", "latest", "--json").json["call_errors"]
    assert (failing["status"], failing["calls"]) == (422, 10)
    assert "| 422 | " in (tmp_path / "run.md").read_text()


def test_a_stopped_run_can_be_resumed(project: Path, cli: Cli) -> None:
    """A model that cannot be used any more stops the run; what is kept and how to go on is told, and that works."""
    seen = 0

    def script(request: Request) -> Reply:
        nonlocal seen
        seen += 1
        return error(401, "expired", code="invalid_api_key") if 3 <= seen <= 20 else say(answer_of(request.text))

    with ScriptedServer(script) as server:
        told = cli("run", *prompts("v1"), "-j", "1", "--base-url", server.base_url)
        assert told.code == 1
        assert "2 completions are kept. Go on with: harness run --resume v1-" in told.err
        seen = 100
        server.reset()
        again = cli(*shlex.split(told.err.strip().rpartition("harness ")[2].rstrip(".")))
        assert (again.code, server.count) == (0, 8)


def test_resume_means_the_latest_run(project: Path, cli: Cli, server: ScriptedServer) -> None:
    """`--resume` without a name goes on with the newest run; a complete one costs no call."""
    cli("run", *prompts("v1"), "--base-url", server.base_url)
    server.reset()
    told = cli("run", "--resume", "--baseline", "latest")
    assert told.code == 1  # a run is no baseline of itself
    assert cli("run", "--resume").code == 0
    assert server.count == 0


def test_a_named_baseline(project: Path, cli: Cli, server: ScriptedServer) -> None:
    """`--baseline` goes before the parent; it may be a version that runs in the same command, or the latest before."""
    for version in ("v1", "v2"):
        stored_run(project, version)

    def told(*versions: str, baseline: str) -> str:
        out = cli("run", *prompts(*versions), "--baseline", baseline, "--base-url", server.base_url).out
        (title,) = (line for line in out.splitlines() if " → " in line)
        return title

    assert told("v3", baseline="v1") == "v1 → v3"
    assert re.fullmatch(r"(v3-\d{8}-\d{6}) → v3-(?!\1$)[\d-]+", told("v3", baseline="latest"))
    write(project / "prompts/v4.yaml", (project / "prompts/v3.yaml").read_text() + "notes: the same\n")
    write(project / "prompts/v5.yaml", (project / "prompts/v3.yaml").read_text() + "notes: the same\n")
    assert told("v4", "v5", baseline="v4") == "v4 → v5"


@pytest.mark.parametrize("arguments", [("prompts/v1.yaml", "--resume"), ("--resume", "prompts/v1.yaml")])
def test_resume_beside_a_prompt_file_means_the_newest_run_of_that_version(
    project: Path, cli: Cli, server: ScriptedServer, arguments: tuple[str, ...]
) -> None:
    """The command that started a run goes on with it when `--resume` is added, before or behind the file."""
    for version in ("v1", "v2"):
        assert cli("run", f"prompts/{version}.yaml", "--base-url", server.base_url).code == 0
    calls = server.count
    told = cli("run", *arguments)
    assert told.code == 0
    assert told.out.startswith("v1 on ")
    assert server.count == calls


@pytest.mark.parametrize("arguments", [("prompts/v1.yaml",), ("--resume", "v1"), ("--retry-failures", "v1")])
def test_a_baseline_that_is_none_is_told_before_any_call(
    project: Path, cli: Cli, server: ScriptedServer, arguments: tuple[str, ...]
) -> None:
    """A baseline that names no run costs no call and makes no run."""
    stored_run(project, "v1")
    told = cli(
        "run", *arguments, "--baseline", "v7", *(("--base-url", server.base_url) if ".yaml" in arguments[0] else ())
    )
    assert told.code == 1
    assert told.err == ("error: run 'v7': no such run. There are v1, or any id of 'harness runs'.\n")
    assert server.count == 0
    assert len(cli("runs", "--json").json) == 1


def test_every_prompt_is_checked_before_the_first_call(project: Path, cli: Cli, server: ScriptedServer) -> None:
    """When one of several prompts is bad, none is run."""
    write(project / "prompts/v2.yaml", "template: x\n")
    told = cli("run", *prompts("v1", "v2"), "--base-url", server.base_url)
    assert told.code == 1
    assert "prompts/v2.yaml" in told.err
    assert server.count == 0
    assert cli("runs", "--json").json == []


def test_results_go_to_files(project: Path, cli: Cli, server: ScriptedServer) -> None:
    """`-o` writes scores as JSON or Markdown and predictions as CSV, after the report."""
    for version, name in (("v1", "out.json"), ("v2", "out.md"), ("v3", "out.csv")):
        told = cli("run", *prompts(version), "-o", name, "--base-url", server.base_url)
        assert told.out.endswith(f"\nwritten to {name}\n")
    assert json.loads(Path("out.json").read_text())["scores"]["n_samples"] == 10
    assert Path("out.md").read_text().startswith("## v2 on reviews dev\n")
    with Path("out.csv").open(newline="") as file:
        assert [row["id"] for row in csv.DictReader(file)] == list(TEXTS)
    told = cli("run", "--resume", "v3", "-o", "again.json", "--json")
    assert told.json == json.loads(Path("again.json").read_text())
    assert told.err.splitlines()[1:] == ["written to again.json"]


def test_a_result_that_cannot_be_written_is_shown_all_the_same(
    project: Path, cli: Cli, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the output file cannot be written, the report has been shown and the run is kept."""
    write_bytes = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if "out.json" in path.name:
            raise OSError(28, "No space left on device")
        return write_bytes(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    told = cli("run", *prompts("v1"), "-o", "out.json", "--base-url", server.base_url)
    assert told.code == 1
    assert told.err == "error: out.json: cannot be written (No space left on device). Make room or check permissions.\n"
    assert "macro average" in told.out
    assert cli("runs", "--json").json[0]["state"] == "complete"


def test_files_of_several_prompts_hold_them_all(
    project: Path, cli: Cli, server: ScriptedServer, tmp_path: Path
) -> None:
    """JSON and Markdown have the scores of every run; of a CSV it is said whose predictions it has."""
    given = (*prompts("v1", "v2"), "--base-url", server.base_url)
    found = cli("run", *given, "--json").json
    assert [each["run"]["version"] for each in found["others"]] == ["v1"]
    assert found["others"][0]["scores"]["n_samples"] == 10
    cli("run", *given, "-o", str(tmp_path / "r.md"))
    text = (tmp_path / "r.md").read_text()
    assert (text.count("## v1 on"), text.count("## v2 on")) == (1, 1)
    told = cli("run", *given, "-o", str(tmp_path / "r.csv"))
    head, command = told.err.splitlines()
    assert re.fullmatch(r"it holds the predictions of the last run, v2-[-\d]+\. Of the others:", head)
    again = cli(*shlex.split(command)[1:])
    assert again.code == 0
    assert re.fullmatch(r"nothing was missing: run v1-[-\d]+ was complete\.\n", again.err)
    assert (project / "v1.csv").is_file()


def test_samples_are_chosen(project: Path, cli: Cli, server: ScriptedServer) -> None:
    """`--filter`, `--samples` and `--limit` choose the samples, and the run says how many there were."""
    options = (*prompts("v1"), "--base-url", server.base_url)
    assert "· 3 samples ·" in cli("run", *options, "--filter", "'price' in gold").out
    assert "· 2 samples ·" in cli("run", *options, "--samples", "r01,r02").out
    write(project / "ids.txt", "r03\nr04\nr05\n")
    assert "· 3 samples ·" in cli("run", *options, "--samples", "ids.txt").out
    assert "· 4 samples ·" in cli("run", *options, "--limit", "4", "--tag", "small").out
    assert cli("runs", "--json").json[0]["tag"] == "small"


def test_failures_of_other_kinds_are_redrawn_when_asked(project: Path, cli: Cli, server: ScriptedServer) -> None:
    """`--retry-failures --kind` asks again past the cache, and the report says that it did."""
    cli("run", *prompts("v3"), "--base-url", server.base_url)
    server.reset()
    told = cli("run", "--retry-failures", "v3", "--kind", "unparseable")
    assert (told.code, server.count) == (0, 2)
    assert "· redrawn: unparseable ·" in told.out


def test_a_better_run_has_no_failures_to_read(project: Path, cli: Cli) -> None:
    """When every sample is right there is nothing to read next."""
    right = {text: ", ".join(gold) or "none" for text, gold in TEXTS.values()}
    with ScriptedServer(answering(right)) as perfect:
        told = cli("run", *prompts("v1"), "--base-url", perfect.base_url)
    assert "all samples     1.000     1.000            1.000   100.0 %" in told.out
    assert "Next:" not in told.out
