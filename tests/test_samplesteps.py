"""What each pass made of a sample: shown by `harness show RUN SAMPLE`, in the terminal and as JSON."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cli_project
from cli_project import DATASET, Cli, call_error, stored_run, write
from syrupy.assertion import SnapshotAssertion

from harness.project import find_project
from harness.promptfile import load_task
from harness.records import Call, Completion
from harness.samplesteps import sample_steps

project, cli = cli_project.project, cli_project.cli

HEAD = "dataset: ../datasets/reviews.yaml\nmodel: scripted\n"
SECOND = """\
passes:
  - name: first
    template: "First: {{ text }}"
  - name: second
    when: "'price' in predicted"
    template: "Second: {{ text }}"
    merge: {scope: [price], how: confirm}
  - name: third
    per: label
    merge: {scope: [quality, price]}
    template: "{{ label }}? {{ text }}"
    output: yes_no
"""
COARSE = """\
passes:
  - name: gate
    choose: groups
    template: "{{ candidates | join(', ') }}: {{ text }}"
  - name: fine
    per: group
    template: "{{ group }}: {{ text }}"
"""
GROUPED = DATASET.replace("splits:", "groups:\n  way: [shipping, gift wrap]\n  goods: [quality, price]\nsplits:")
CANDIDATES = "candidates: {k: 2}\ntemplate: \"{{ candidates | join(', ') }}: {{ text }}\"\n"


def run(root: Path, text: str, answer: Any) -> None:
    """Store a run of a prompt."""
    write(root / "prompts/v8.yaml", HEAD + text)
    stored_run(root, "v8", answer)


def three(call: Call) -> str | Completion:
    """Return answers of three passes, of which some cannot be read."""
    if call.pass_name == "first":
        return "price" if call.sample in ("r03", "r06") else "shipping"
    if call.pass_name == "second":
        return "no idea" if call.sample == "r06" else "price"
    return "yes" if (call.sample, call.unit) == ("r06", "quality") else "who knows" if call.unit == "price" else "no"


def steps(cli: Cli, sample: str) -> dict[str, dict[str, Any]]:
    """Return what the passes made of a sample, by their names."""
    return {each["name"]: each for each in cli("show", "v8", sample, "--json").json["passes"]}


def rows(cli: Cli, sample: str) -> list[str]:
    """Return the rows that are shown for the passes."""
    told = cli("show", "v8", sample).out
    return [each.rstrip() for each in told[told.index("pass ") :].split("\n\n")[0].splitlines()[2:]]


def test_each_pass_has_a_row(project: Path, cli: Cli, snapshot: SnapshotAssertion) -> None:
    """What it answered, why nothing could be read, that it was not asked, and what stood then."""
    run(project, SECOND, three)
    assert cli("show", "v8", "r01").out == snapshot
    assert cli("show", "v8", "r06").out == snapshot


def test_as_json(project: Path, cli: Cli) -> None:
    """Answers, failures by reason, and what stood then."""
    run(project, SECOND, three)
    found = steps(cli, "r06")
    assert list(found) == ["first", "second", "third"]
    assert (found["second"]["asked"], found["second"]["answered"], found["second"]["after"]) == (True, None, ["price"])
    assert found["second"]["unused"][0]["kind"] == "unparseable"
    assert found["third"]["answered"] == ["quality"]
    assert [(each["units"], each["kind"]) for each in found["third"]["unused"]] == [(["price"], "unparseable")]
    assert found["third"]["after"] == ["quality", "price"]
    assert steps(cli, "r01")["second"]["asked"] is False


def test_failures_of_one_reason_stand_together(project: Path, cli: Cli) -> None:
    """Calls that failed alike are told once, with what they were about; nothing was answered then."""
    run(project, SECOND, lambda call: call_error() if call.pass_name == "third" else three(call))
    (name,) = [path.name for path in (project / "runs").iterdir() if path.name.startswith("v8")]
    found = cli("show", name, "r01", "--json").json["passes"][2]
    assert found["answered"] is None
    assert [(each["units"], each["kind"]) for each in found["unused"]] == [(["quality", "price"], "call_error")]


def test_a_gate_leaves_gold_out(project: Path, cli: Cli) -> None:
    """A gate answers with groups; gold of those that it did not choose is told, and what is open until it is asked."""
    write(project / "datasets/reviews.yaml", GROUPED)

    def answer(call: Call) -> str:
        if call.pass_name == "fine":
            return ("shipping" if call.unit == "way" else "what?") if call.sample == "r05" else "price"
        if call.sample == "r05":
            return "way, goods"
        return "goods" if call.sample == "r03" else "none" if call.sample == "r01" else "what?"

    run(project, COARSE, answer)
    assert steps(cli, "r03")["gate"]["lost"] == ["shipping"]
    assert rows(cli, "r03") == [
        "gate  groups: goods; leaves out shipping  (open)",
        "fine  price                               price",
    ]
    assert rows(cli, "r01")[1].split("  ")[1] == "(not asked)"
    assert rows(cli, "r05")[1].endswith("  shipping (open: quality, price)")
    found = steps(cli, "r06")
    assert (found["gate"]["answered"], found["gate"]["lost"]) == (None, ["quality", "price"])
    assert found["fine"]["unanswered"] == ["shipping", "quality", "price", "gift wrap"]


def test_candidates_leave_gold_out(project: Path) -> None:
    """A prompt of one pass has a row where it is not asked about all labels, and none where it is."""
    write(project / "prompts/v8.yaml", HEAD + CANDIDATES)
    made = stored_run(project, "v3")
    late = made.samples[2]
    assert sample_steps(made, late, made.predictions[2]) is None
    prompt = load_task(project / "prompts/v8.yaml", find_project(project)).prompt
    asked = replace(late, candidates={"main": ("quality", "price")})
    found = sample_steps(replace(made, manifest=replace(made.manifest, prompt=prompt)), asked, made.predictions[2])
    assert found is not None
    assert [each.lost for each in found.passes] == [("shipping",)]


def test_what_was_read_otherwise_since_is_told(project: Path, cli: Cli) -> None:
    """The rows are those of the run's own prompt; where `harness score` stored something else, that is said."""
    run(project, SECOND, three)
    assert "read it otherwise since" not in cli("show", "v8", "r03").out
    write(project / "prompts/v8.yaml", HEAD + SECOND.replace("how: confirm", "how: remove"))
    assert cli("score", "v8").code == 0
    assert "Read as the run's prompt says; harness score has read it otherwise since" in cli("show", "v8", "r03").out
