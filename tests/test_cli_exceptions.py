"""``harness exceptions``: where a run's errors are, what catches them, what that is worth, and the next version drafted."""

from __future__ import annotations

import json
import re
from pathlib import Path

import cli_project
import exception_runs
import pytest
from cli_project import Cli, call_error, write
from exception_runs import by_chance, by_rule, stored
from scripted_server import Reply, Request, ScriptedServer
from syrupy.assertion import SnapshotAssertion

import harness
from harness import api, drafting
from harness.errors import DataError, UsageError
from harness.exceptionsearch import find_exceptions
from harness.project import find_project
from harness.promptfile import load_task
from harness.records import Call
from harness.samples import read_samples
from harness.searched import in_search_half

cli = cli_project.cli

RULE = "'box' in text | words"
WRITE = ("--write", "prompts/v2.yaml")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of 160 samples and one prompt, which is wrong about boxes; it is the current folder."""
    root = exception_runs.write_project(tmp_path / "project")
    monkeypatch.chdir(root)
    for name in ("NO_COLOR", "FORCE_COLOR", "_HARNESS_COMPLETE"):
        monkeypatch.delenv(name, raising=False)
    return root


def test_what_is_told(project: Path, cli: Cli, snapshot: SnapshotAssertion) -> None:
    """Where the errors are, the triggers, the price table, the choice in and out of sample, and the verdict in words."""
    stored(project)
    done = cli("exceptions", "v1")
    assert (done.code, done.err) == (0, "")
    assert max(map(len, done.out.splitlines())) <= 100
    assert done.out == snapshot


def test_the_rule_is_found(project: Path, cli: Cli) -> None:
    """The rule that the errors follow is ranked first, and worth a second pass about the labels that it is about."""
    run = stored(project)
    found = cli("exceptions", "v1", "--json").json
    assert (found["run"], found["seed"], found["share"], found["budget"]) == (run.manifest.id, 0, 0.5, 0.2)
    assert found["verdict"] == "worth"
    first = found["search"]["ranked"][0]
    assert first["expression"] == RULE
    assert set(first["seen"]["scope"]) == {"shipping", "packaging"}
    assert found["search"]["chosen"]["expression"].startswith((RULE, f"({RULE}"))
    assert found["clusters"][0]["words"].startswith("'packaging' is missed and 'shipping' said instead")
    assert found["drafted"] is None


def test_label_by_label(project: Path, cli: Cli) -> None:
    """Each label that is wrong often has its own trigger in the JSON; with --label there is no such table."""
    stored(project)
    found = cli("exceptions", "v1", "--json").json
    assert [(each["label"], each["choice"]["expression"], each["verdict"]) for each in found["by_label"]] == [
        ("shipping", RULE, "worth"),
        ("packaging", RULE, "worth"),
    ]
    alone = cli("exceptions", "v1", "--label", "shipping")
    assert "Label by label" not in alone.out
    assert "harness exceptions v1 --label shipping -o exceptions.md" in alone.out
    assert cli("exceptions", "v1", "--label", "shipping", "--json").json["by_label"] == []


def test_a_draft_that_is_not_worth_it_names_the_labels_that_are(
    project: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is refused for all labels together says for which of them it would not be."""
    stored(project)
    monkeypatch.setattr("harness.triggersearch.verdict_of", lambda _: "not worth")  # of all labels together
    done = cli("exceptions", "v1", *WRITE)
    assert done.code != 0
    assert done.err.endswith(
        "but label by label: shipping, packaging. Nothing is drafted. To draft it for one of these labels, name it with "
        "--label. To draft it all the same, add --anyway.\n"
    )


def test_only_the_searched_half_is_read(project: Path, cli: Cli) -> None:
    """Every sample that is named, in places and in clusters, is of the half that the search saw."""
    stored(project)
    found = cli("exceptions", "v1", "--json", "--seed", "5").json
    named = [name for each in found["clusters"] for name in each["samples"]]
    named += [
        name
        for table in ("labels", "pairs", "failures", "sites", "words")
        for each in found["sites"][table]
        for name in each["samples"]
    ]
    assert len(named) > 20
    assert all(in_search_half(name, 5, 0.5) for name in named)
    assert found["sites"]["n_samples"] == found["search"]["n_seen"]


def test_errors_by_chance(project: Path, cli: Cli) -> None:
    """Of errors that follow no rule it says that no trigger is worth it, and drafts nothing until asked for it anyway."""
    run = stored(project, answer=by_chance)
    done = cli("exceptions", "v1")
    assert "No trigger is worth it: " in done.out
    assert "--write" not in done.out
    refused = cli("exceptions", "v1", *WRITE)
    assert refused.code == 1
    assert refused.out == done.out.partition("\nNext:")[0]  # what was found is told before
    assert refused.err.startswith(f"error: run {run.manifest.id}: no trigger is worth it: ")
    assert not (project / "prompts/v2.yaml").exists()


def test_anyway(project: Path, cli: Cli) -> None:
    """What is not worth it can be drafted all the same, and the file says so."""
    stored(project, answer=by_chance)
    done = cli("exceptions", "v1", *WRITE, "--anyway")
    assert done.code == 0
    assert cli("check", "prompts/v2.yaml").code == 0
    assert "No trigger is worth it" in " ".join((project / "prompts/v2.yaml").read_text().replace("#", "").split())


def test_no_trigger_at_all(project: Path, cli: Cli) -> None:
    """A run without errors has nothing to send and nothing to draft."""
    run = stored(project, answer=lambda call: exception_runs.said(int(call.sample[1:]), by_rule=False, noise=0))
    done = cli("exceptions", "v1", *WRITE)
    assert "\nNo expression sends enough samples with more errors than the others.\n" in done.out
    assert "\n0 of 118 samples are wrong: 0 wrong cells, 0 of them unanswered.\n" in re.sub(
        r"of \d+ samples", "of 118 samples", done.out
    )
    assert done.err == (
        f"error: run {run.manifest.id}: nothing is wrong in the searched half: there is nothing for a second pass to mend. "
        "Nothing is drafted: there is no trigger.\n"
    )
    cli("exceptions", "v1", "-o", "e.md")
    assert "\n## Worth reading\n\nNothing is wrong.\n" in (project / "e.md").read_text()


# --- the draft --------------------------------------------------------------------------------------------------------


def test_the_draft(project: Path, cli: Cli, snapshot: SnapshotAssertion) -> None:
    """The parent's pass as it is, and one for what it got wrong, with worked examples that tell the labels apart."""
    stored(project)
    done = cli("exceptions", "v1", *WRITE)
    assert done.code == 0
    assert done.out[done.out.index("written to") :] == (
        "written to prompts/v2.yaml\n"
        "pass exception: list, merged by replace, about shipping, packaging\n"
        "5 worked examples in reviews.v2.shots.jsonl\n"
        "Search it for WRITE HERE: what tells the labels apart is for a person to say.\n"
        "\nNext:\n  harness check prompts/v2.yaml --show\n"
        f"  {next_run(done.out)}\n  harness compare v1 v2\n"
    )
    assert (project / "prompts/v2.yaml").read_text() == snapshot
    assert (project / "datasets/reviews.v2.shots.jsonl").read_text() == snapshot


def next_run(text: str) -> str:
    """Return the line that says how the draft is run."""
    (line,) = re.findall(r"^  (harness run prompts/v2\.yaml.*)$", text, re.MULTILINE)
    return str(line)


def test_the_draft_is_ready(project: Path, cli: Cli) -> None:
    """It passes `harness check` as it stands, and is the same bytes when it is drafted again."""
    stored(project)
    cli("exceptions", "v1", *WRITE)
    checked = cli("check", "prompts/v2.yaml")
    assert (checked.code, checked.err) == (0, "")
    text = (project / "prompts/v2.yaml").read_bytes()
    for name in ("prompts/v2.yaml", "datasets/reviews.v2.shots.jsonl"):
        (project / name).unlink()
    cli("exceptions", "v1", *WRITE)
    assert (project / "prompts/v2.yaml").read_bytes() == text


class _Model:
    """A model that is wrong about boxes, and right when it is asked again."""

    def __init__(self) -> None:
        self.asked_again = 0

    def __call__(self, request: Request) -> Reply:
        again = "labelled before" in request.all_text
        self.asked_again += again
        at = int(re.findall(r"^(\d+) ", request.text, re.MULTILINE)[-1])
        row = exception_runs.sample(at)
        return Reply(", ".join(row["labels"]) if again else exception_runs.said(at))


def test_the_first_pass_costs_nothing(project: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run, the draft makes no call of the parent's again: only what the trigger sends is asked, and made right."""
    model = _Model()
    with ScriptedServer(model) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        before = harness.run("prompts/v1.yaml")
        made = len(server.requests)
        found = api.exceptions("v1", write="prompts/v2.yaml", budget="30%")
        assert found.drafted is not None
        assert len(server.requests) == made == exception_runs.N  # the search makes no call
        after = harness.run("prompts/v2.yaml")
        assert len(server.requests) - made == model.asked_again
    chosen = found.search.chosen
    assert chosen is not None
    assert model.asked_again == chosen.seen.sent + chosen.unseen.sent
    assert after.headline["macro_f1"] > before.headline["macro_f1"] + 0.2
    searched = after.stored.manifest.prompt.searched
    assert searched is not None
    assert (searched.run, searched.seed, searched.share, searched.set_aside) == (before.id, 0, 0.5, ())


def test_samples_set_aside(project: Path, cli: Cli) -> None:
    """Samples that the search saw become worked examples, and are recorded, so that they are evaluated no more."""
    stored(project)
    done = cli("exceptions", "v1", *WRITE, "--set-aside", "6", "--json", "--name", "box", "--style", "yes_no")
    drafted = done.json["drafted"]
    assert done.err == "written to prompts/v2.yaml\n"
    assert (drafted["pass"], drafted["style"], drafted["n_shots"]) == ("box", "yes_no", len(drafted["set_aside"]))
    assert 0 < drafted["n_shots"] <= 6
    assert all(in_search_half(name, 0, 0.5) for name in drafted["set_aside"])
    task = load_task(project / "prompts/v2.yaml", find_project())
    assert task.prompt.searched is not None
    assert list(task.prompt.searched.set_aside) == drafted["set_aside"]
    shots = read_samples(project / "datasets/reviews.v2.shots.jsonl", task.dataset.space).samples
    gold = {each.id: each.labels for each in task.samples.samples}
    assert {each.id: each.labels for each in shots} == {name: gold[name] for name in drafted["set_aside"]}
    plan, _ = api.plan_run("prompts/v2.yaml")
    assert len(plan.samples) == exception_runs.N - len(shots)
    cli("exceptions", "v1", "--write", "prompts/v3.yaml", "--set-aside", "6")
    assert "that the search saw and the trigger sends" in " ".join(
        (project / "prompts/v3.yaml").read_text().replace("#", "").split()
    )
    told = cli("exceptions", "v1", "--write", "prompts/v4.yaml", "--set-aside", "6").out
    assert f"set aside from the split: {', '.join(drafted['set_aside'])}" in " ".join(told.split())


def test_samples_that_are_right_are_set_aside_too(project: Path, cli: Cli) -> None:
    """Where a label is only ever added wrongly, examples of it are samples that the trigger sends and that are right."""

    def too_often(call: Call) -> str:
        row = exception_runs.sample(int(call.sample[1:]))
        return ", ".join({*row["labels"], *(["price"] if "lamp" in row["text"] else [])})

    stored(project, answer=too_often)
    drafted = cli("exceptions", "v1", *WRITE, "--budget", "60%", "--set-aside", "6", "--json").json["drafted"]
    assert (drafted["scope"], drafted["how"]) == (["price"], "confirm")
    gold = [set(exception_runs.sample(int(name[1:]))["labels"]) for name in drafted["set_aside"]]
    assert len(gold) == 6
    assert {"price" in labels for labels in gold} == {True, False}


def test_files_that_gave_no_example_are_not_named(project: Path, cli: Cli) -> None:
    """The examples of an earlier draft are copies, so the next draft says where they come from: the first file."""
    stored(project)
    cli("exceptions", "v1", *WRITE)
    assert (project / "datasets/reviews.v2.shots.jsonl").is_file()
    cli("exceptions", "v1", "--write", "prompts/v3.yaml")
    assert "# Worked examples: those of reviews.shots.jsonl that tell" in (project / "prompts/v3.yaml").read_text()


def test_nothing_to_set_aside(project: Path, cli: Cli) -> None:
    """Where nothing that the trigger sends has the label, that is said, and nothing is set aside."""
    stored(project)
    done = cli("exceptions", "v1", *WRITE, "--label", "shipping", "--set-aside", "4")
    told = " ".join(done.out.split())
    assert "none of the samples that the search saw and the trigger sends has one of these labels." in told
    assert "no shots file" not in told
    prompt = load_task(project / "prompts/v2.yaml", find_project()).prompt
    assert prompt.searched is not None
    assert (prompt.searched.set_aside, prompt.passes[-1].shots) == ((), None)


def test_no_worked_examples(project: Path, cli: Cli) -> None:
    """Without a shots file that has the labels there are none, and the file says how to get some."""
    write(
        project / "prompts/v1.yaml",
        exception_runs.PROMPT.replace("shots: {from: ../datasets/reviews.shots.jsonl, k: 2}\n", ""),
    )
    write(project / "datasets/reviews.shots.jsonl", '{"id": "w5", "text": "It broke.", "labels": ["quality"]}\n')
    write(project / "datasets/a.shots.jsonl", "{")
    write(project / "datasets/b.shots.jsonl", json.dumps({**exception_runs.sample(0), "id": "copied"}) + "\n")
    stored(project)
    done = cli("exceptions", "v1", *WRITE, "--label", "packaging")
    assert done.code == 0
    assert "No worked examples: no shots file has a sample with one of these labels." in done.out
    assert done.err.startswith("warning: datasets/a.shots.jsonl: no worked example is drawn from it. ")
    assert load_task(project / "prompts/v2.yaml", find_project()).prompt.passes[-1].shots is None
    assert not list(project.glob("datasets/*.v2.*"))


def test_a_draft_of_a_draft(project: Path, cli: Cli) -> None:
    """The next draft searches the half that was searched before, keeps what was set aside, and names its pass otherwise."""
    stored(project)
    cli("exceptions", "v1", *WRITE, "--set-aside", "4", "--seed", "7")
    first = load_task(project / "prompts/v2.yaml", find_project()).prompt.searched
    assert first is not None
    stored(project, "v2", lambda call: by_rule(call) if call.pass_name == "main" else "shipping")
    other = cli("exceptions", "v2", "--seed", "8")
    assert (other.code, other.err) == (
        2,
        "error: --seed 8: must be 7, because v2 was drafted from the half of that seed, and the other half has to stay "
        "unseen. Leave --seed out.\n",
    )
    done = cli("exceptions", "v2", "--write", "prompts/v3.yaml")
    told = " ".join(done.out.split())
    assert "note: Searched on the same half as for the draft that it comes from: drafted from the errors of" in told
    prompt = load_task(project / "prompts/v3.yaml", find_project()).prompt
    assert [each.name for each in prompt.passes] == ["main", "exception", "exception-2"]
    assert prompt.searched is not None
    assert (prompt.searched.seed, prompt.searched.set_aside[: len(first.set_aside)]) == (7, first.set_aside)
    plan, _ = api.plan_run("prompts/v3.yaml")
    assert not {each.id for each in plan.samples} & set(prompt.searched.set_aside)


def test_an_api_that_decides(project: Path, cli: Cli) -> None:
    """A decision API is asked by questions, takes no worked examples, and no other style."""
    head = exception_runs.PROMPT.partition("model:")[0]
    write(project / "prompts/v1.yaml", head + "model: {name: m, api: decisions}\ntemplate: '{{ text }}'\n")

    def decided(call: Call) -> str:
        said = exception_runs.said(int(call.sample[1:])).split(", ")
        asked = [each["name"] for each in call.questions]
        return json.dumps(
            [{"name": name, "type": "predicate", "probability": 0.9 if name in said else 0.1} for name in asked]
        )

    stored(project, answer=decided)
    assert cli("exceptions", "v1", *WRITE, "--style", "list").err == (
        "error: --style list: must be left out, because 'api: decisions' is asked typed questions alone.\n"
    )
    assert "An API that decides takes no worked examples." in cli("exceptions", "v1", *WRITE).out
    assert load_task(project / "prompts/v2.yaml", find_project()).prompt.passes[-1].questions is not None
    assert cli("check", "prompts/v2.yaml").code == 0


def test_the_next_version_is_a_new_one(project: Path, cli: Cli) -> None:
    """The command that drafts names a file that is not there, seen from the current folder, or none without a prompt."""
    stored(project)
    assert "harness exceptions v1 --write prompts/v2.yaml\n" in cli("exceptions", "v1").out
    write(project / "prompts/v2.yaml", exception_runs.PROMPT)
    assert "harness exceptions v1 --write prompts/v1-a.yaml\n" in cli("exceptions", "v1").out
    (project / "prompts/v1.yaml").unlink()
    assert "--write" not in cli("exceptions", "v1").out


# --- what is refused --------------------------------------------------------------------------------------------------


HELP = " See: harness exceptions --help"
SHARE = "must be a share of the samples above 0 and at most all of them, as 20% or 0.2."


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--budget", "20"], f"--budget 20: {SHARE} Did you mean 20%?"),
        (["--budget", "much"], f"--budget much: {SHARE}"),
        (["--budget", "0"], f"--budget 0: {SHARE}"),
        (["--budget", "nan"], f"--budget nan: {SHARE}"),
        (
            ["--label", "qualty"],
            "--label 'qualty': must be a label of reviews: shipping, packaging, quality, price. Did you mean 'quality'?",
        ),
        (["-o", "x.csv"], "-o x.csv: must end in .md, .json, got '.csv'."),
        *(
            ([*said], f"{said[0]}: must go with --write FILE, because it says how a version is drafted.{HELP}")
            for said in (["--name", "box"], ["--style", "list"], ["--set-aside", "4"], ["--anyway"])
        ),
        ([*WRITE, "--name", "main"], "--name 'main': must be another name than those of its passes: main."),
        ([*WRITE, "--set-aside", "21"], "--set-aside 21: must leave enough samples to judge by, at most 20 of 160 here."),
        (
            ["--write", "v2.yaml"],
            "--write v2.yaml: must lie beside prompts/v1.yaml, because the paths in it are told from there. "
            "Write: prompts/v2.yaml",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_asked(project: Path, cli: Cli, arguments: list[str], message: str) -> None:
    """A budget that is none, an unknown label, and a draft that cannot be are usage errors, told before the search."""
    stored(project)
    done = cli("exceptions", "v1", *arguments)
    assert (done.code, done.out, done.err) == (2, "", f"error: {message}\n")


def test_a_run_that_no_prompt_made(project: Path, cli: Cli) -> None:
    """Of predictions from elsewhere places and triggers are told; a draft needs a prompt."""
    rows = [
        {"id": f"s{at:03}", "labels": exception_runs.said(at).replace("none", "").split(", ")}
        for at in range(exception_runs.N)
    ]
    for row in rows:
        row["labels"] = [name for name in row["labels"] if name]
    write(project / "x.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    assert cli("import", "x.jsonl", "--dataset", "datasets/reviews.yaml", "--name", "other").code == 0
    found = cli("exceptions", "other", "--json").json
    assert found["search"]["ranked"][0]["expression"] == RULE
    assert "--write" not in cli("exceptions", "other").out
    done = cli("exceptions", "other", *WRITE)
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        f"error: run {found['run']}: no prompt made it, so there is no version to draft the next one from. What it got "
        "wrong is told without --write.\n"
    )


def test_a_run_that_is_not_complete(project: Path, cli: Cli) -> None:
    """Calls that failed, or were never made, are no errors of the prompt: that is said first."""
    run = stored(project, answer=lambda call: call_error("timeout") if call.sample == "s001" else by_rule(call))
    assert run.manifest.state == "incomplete"
    told = " ".join(cli("exceptions", run.manifest.id).out.split())
    assert (
        "note: The run is incomplete: what has no answer because a call failed, or was never made, counts as wrong. Finish "
        "it before you draft from it. Where the errors are"
    ) in told


def test_a_locked_split(project: Path, cli: Cli) -> None:
    """Nothing is searched on what is kept for testing."""
    run = stored(project, split="test", default_split=False)
    done = cli("exceptions", run.manifest.id)
    assert done.code == 1
    assert "must not be on a locked split to search for exceptions, but is on 'test'" in done.err


def test_a_prompt_that_has_changed(project: Path, cli: Cli) -> None:
    """No version is drafted from what was not asked; nor from a file that is gone."""
    run = stored(project)
    write(project / "prompts/v1.yaml", exception_runs.PROMPT.replace("Labels:", "The labels:"))
    done = cli("exceptions", run.manifest.id, *WRITE)
    assert done.err == (
        f"error: prompts/v1.yaml: must ask what run {run.manifest.id} asked, but has changed since. Run it again, and draft "
        "from that run.\n"
    )
    (project / "prompts/v1.yaml").unlink()
    assert "is gone, so no version can be made from it." in cli("exceptions", run.manifest.id, *WRITE).err


def test_nothing_is_left_of_a_draft_that_fails(project: Path, cli: Cli) -> None:
    """Where the draft cannot be written, or is not sound, neither prompt nor worked examples are left."""
    stored(project)
    taken = write(project / "datasets/reviews.v2.shots.jsonl", "mine\n")
    assert "reviews.v2.shots.jsonl: must be a new file, but is there already." in cli("exceptions", "v1", *WRITE).err
    assert taken.read_text() == "mine\n"
    taken.unlink()
    write(project / "prompts/v1.yaml", f"{exception_runs.PROMPT}...\n")  # a document's end, which no pass can hold
    done = cli("exceptions", "v1", *WRITE)
    assert done.code == 1
    assert "prompts/v2.yaml" in done.err
    assert not list(project.glob("*/*v2*"))


def test_a_draft_that_asks_something_else(project: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A draft whose first pass is not the parent's is no draft."""
    stored(project)
    monkeypatch.setattr(drafting, "_asks_first", lambda *_: False)
    assert cli("exceptions", "v1", *WRITE).err == (
        "error: prompts/v1.yaml: is written so that no pass can be put behind it without a change of what it asks. Write "
        "'passes' into it by hand, run it (its calls are the same), and draft from that run.\n"
    )
    assert not list(project.glob("*/*v2*"))


def test_api_words(project: Path) -> None:
    """In Python the same mistakes are told, a style that is none among them."""
    stored(project)
    with pytest.raises(UsageError, match=r"^--style 'yesno': must be one of list, yes_no\."):
        api.exceptions("v1", style="yesno")
    with pytest.raises(UsageError, match="--budget 3"):
        api.exceptions("v1", budget=3)
    labelling = stored(project, day=9, split="file:x.csv")
    with pytest.raises(DataError, match="its samples are unlabelled"):
        find_exceptions(labelling, find_project())


# --- other runs, repeats, files ---------------------------------------------------------------------------------------


def test_disagreement(project: Path, cli: Cli) -> None:
    """Other versions' runs on the same samples are compared where nobody names them; else the named ones."""
    write(project / "prompts/v2.yaml", exception_runs.PROMPT)
    write(project / "prompts/v3.yaml", exception_runs.PROMPT)
    stored(project)
    newest = stored(project, "v2", by_chance)
    stored(project, "v3", by_chance, state="incomplete")
    found = cli("exceptions", "v1", "--json").json
    assert found["versions"] == {"v2": newest.manifest.id}
    assert "\ndisagreement " in cli("exceptions", "v1").out
    named = cli("exceptions", "v1", "--json", "--versions", "v2").json
    assert list(named["versions"].values()) == [newest.manifest.id]
    assert "no such run" in cli("exceptions", "v1", "--versions", "v2, nope").err


def test_labels_in_question_alone(project: Path, cli: Cli) -> None:
    """With --label only errors of these labels count, and that is said."""
    stored(project)
    found = cli("exceptions", "v1", "--json", "--label", "packaging").json
    assert [each["label"] for each in found["sites"]["labels"]] == ["packaging"]
    assert found["search"]["chosen"]["seen"]["scope"] == ["packaging"]
    assert found["notes"] == [
        "Only errors of packaging count; the other labels are taken to be right, in the scores too."
    ]
    assert "note: Only errors of packaging count" in cli("exceptions", "v1", "--label", "packaging").out


def test_failures_and_repeats(project: Path, cli: Cli) -> None:
    """Failures have a table and a cluster of their own; with repeats counts are means."""
    stored(project, answer=lambda call: call_error() if call.sample.endswith("7") else by_rule(call), repeats=2)
    (run,) = (project / "runs").iterdir()
    done = cli("exceptions", run.name)
    assert "mean of 2 repeats" in done.out
    assert "call_error" in done.out
    found = cli("exceptions", run.name, "--json").json
    assert "No answer: call_error" in {
        each["words"].partition(":")[0] + ": call_error" for each in found["clusters"] if each["failure"]
    }


def test_the_digest(project: Path, cli: Cli, snapshot: SnapshotAssertion) -> None:
    """The digest has the numbers and the clusters, each with samples of the searched half: text, gold, answer, raw."""
    stored(project)
    done = cli("exceptions", "v1", "-o", "exceptions.md")
    assert "written to exceptions.md" in done.out
    text = (project / "exceptions.md").read_text()
    assert text == snapshot
    shown = re.findall(r"^- (s\d+) ", text, re.MULTILINE)
    assert shown
    assert all(in_search_half(name, 0, 0.5) for name in shown)


def test_json_in_a_file(project: Path, cli: Cli) -> None:
    """A .json file has what --json prints."""
    stored(project)
    done = cli("exceptions", "v1", "-o", "e.json", "--json")
    assert done.err == "written to e.json\n"
    assert json.loads((project / "e.json").read_text()) == done.json
