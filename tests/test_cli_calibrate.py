"""``harness calibrate``: thresholds of a run, told and written as a new version whose run costs no call."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping
from dataclasses import replace as replaced
from pathlib import Path
from typing import Any

import cli_project
import pytest
import yaml
from cli_project import Cli, call_error, ok, stored_run, write
from projects import Folder
from scripted_server import Reply, Request, ScriptedServer, token
from syrupy.assertion import SnapshotAssertion

import harness
from harness.errors import DataError
from harness.project import find_project
from harness.promptfile import load_task
from harness.records import Call, Completion
from harness.store import StoredRun, load_run

cli = cli_project.cli

DATASET = """\
name: reviews
labels: [shipping, quality, price]
splits: {dev: reviews.dev.jsonl, test: reviews.dev.jsonl}
"""

PROMPT = """\
# which labels, one at a time
parent: v0
notes: ask each label by itself
dataset: ../datasets/reviews.yaml
model: {name: scripted, params: {max_tokens: 1, logprobs: true, top_logprobs: 20}}
per: label   # a call each
template: |
  {{ text }}

  Is it about {{ label.name }}? Answer yes or no.
output: yes_no  # one token
"""

N = 80
LABELS = ("shipping", "quality", "price")


def gold_of(at: int) -> list[str]:
    """Return the gold of a sample: two labels are frequent, one is not."""
    return [name for name, every in zip(LABELS, (2, 3, 8), strict=True) if at % every == 0]


def probability(sample: str, label: str) -> float:
    """Return P(yes): higher for gold, but low altogether, so that 0.5 finds little."""
    gold = label in gold_of(int(sample[1:]))
    return round(0.05 + 0.3 * random.Random(f"{sample} {label}").random() + 0.2 * gold, 3)


def answer_to(sample: str, label: str) -> dict[str, Any]:
    """Return the token that a model would say, with its alternatives."""
    p = probability(sample, label)
    words = {"yes": math.log(p), "no": math.log(1 - p)}
    said = max(words, key=lambda word: words[word])
    return token(said, words[said], words)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of 80 samples and one prompt that asks label by label; it is the current folder."""
    root = tmp_path / "project"
    write(root / "harness.toml", "max_attempts = 1\n")
    write(root / "datasets/reviews.yaml", DATASET)
    rows = [{"id": f"s{at}", "text": f"text {at}.", "labels": gold_of(at)} for at in range(N)]
    write(root / "datasets/reviews.dev.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    write(root / "prompts/v1.yaml", PROMPT)
    monkeypatch.chdir(root)
    for name in ("OPENAI_BASE_URL", "COLUMNS", "NO_COLOR", "FORCE_COLOR", "_HARNESS_COMPLETE"):
        monkeypatch.delenv(name, raising=False)
    return root


def answered(call: Call) -> Completion:
    """Return what a model says to a call, with log-probabilities."""
    said = answer_to(call.sample, call.unit)
    return replaced(ok(said["token"], finish_reason="length"), logprobs={"content": [said]})


def weighed(root: Path, version: str = "v1", **options: Any) -> StoredRun:
    """Write a run whose answers have log-probabilities."""
    return stored_run(root, version, answered, **options)


def test_what_is_told(project: Path, cli: Cli, snapshot: SnapshotAssertion) -> None:
    """Now, by cross-validation and in sample; every label's thresholds and F1; how true the probabilities are."""
    weighed(project)
    done = cli("calibrate", "v1")
    assert (done.code, done.err) == (0, "")
    assert max(map(len, done.out.splitlines())) <= 100
    assert done.out == snapshot


def test_a_run_s_report_tells_its_probabilities(project: Path, cli: Cli, snapshot: SnapshotAssertion) -> None:
    """The report has AUROC and average precision of every label, the averages, and the coverage of probabilities."""
    weighed(project)
    done = cli("show", "v1")
    assert max(map(len, done.out.splitlines())) <= 100
    assert done.out == snapshot


def test_json_has_all_of_it(project: Path, cli: Cli) -> None:
    """As JSON: scores, thresholds, seed, every label, the probabilities' scores and reliability table."""
    run = weighed(project)
    found = cli("calibrate", "v1", "--json", "--seed", "3", "--folds", "4").json
    assert (found["run"], found["metric"], found["seed"], found["folds"]) == (run.manifest.id, "macro_f1", 3, 4)
    assert found["now"] < found["out_of_fold"] <= found["in_sample"]
    assert set(found["thresholds"]) == {"shipping", "quality"}  # price has fewer than 20 gold samples
    assert [(row["label"], row["own"], row["now"]) for row in found["labels"]] == [
        ("shipping", True, None),
        ("quality", True, None),
        ("price", False, None),
    ]
    assert found["labels"][2]["found"] == found["threshold"]
    assert sum(each["n"] for each in found["probabilities"]["bins"]) == 3 * N
    assert (found["pass"], found["written"]) == ("main", None)


def test_the_new_version_is_the_old_one_with_thresholds(project: Path, cli: Cli) -> None:
    """Only parent, notes and the output's thresholds differ; comments and layout stay."""
    run = weighed(project)
    done = cli("calibrate", "v1", "--write", "prompts/v2.yaml")
    found = cli("calibrate", "v1", "--json").json
    text = (project / "prompts/v2.yaml").read_text()
    own = {row["label"]: row["found"] for row in found["labels"]}
    assert text == (
        PROMPT.replace("v0", "v1")
        .replace(
            "ask each label by itself",
            f'"thresholds for macro F1, calibrated on reviews dev (run {run.manifest.id}, 80 samples, 5 folds, seed 0)"',
        )
        .replace(
            "output: yes_no  # one token\n",
            f"output:  # one token\n  format: yes_no\n  threshold: {own['price']}\n  thresholds:\n"
            f"    shipping: {own['shipping']}\n    quality: {own['quality']}\n",
        )
    )
    assert "written to prompts/v2.yaml" in done.out
    assert done.out.endswith(
        "\nNext:\n  harness run prompts/v2.yaml\n  Its calls are the same, so their answers come from the cache.\n"
    )


class _Asked:
    """A script that answers from the text of a request."""

    def __call__(self, request: Request) -> Reply:
        words = request.text.split()
        said = answer_to(f"s{words[1].rstrip('.')}", words[5].rstrip("?"))
        return Reply(said["token"], finish_reason="length", logprobs=[said])


@pytest.mark.parametrize(("limit", "offered"), [(20, True), (19, False)])
def test_a_run_with_probabilities_offers_it(
    project: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch, limit: int, offered: bool
) -> None:
    """After a run with probabilities it is among what to type next, unless there are too few samples to say anything."""
    with ScriptedServer(_Asked()) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        told = cli("run", "prompts/v1.yaml", "--limit", str(limit)).out
    assert ("\n  harness calibrate v1\n" in told) == offered
    assert not offered or cli("calibrate", "v1").code == 0


def test_the_new_version_costs_no_call(project: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of the new version takes every answer from the cache, and scores what calibration said in sample."""
    folder = Folder(project)
    with ScriptedServer(_Asked()) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        before = harness.run("prompts/v1.yaml", project=folder.project)
        made = len(server.requests)
        found = harness.calibrate("v1", write="prompts/v2.yaml", project=folder.project)
        after = harness.run("prompts/v2.yaml", project=folder.project)
        assert len(server.requests) == made == 3 * N
    assert before.headline["macro_f1"] == pytest.approx(found.calibration.now)
    assert after.headline["macro_f1"] == pytest.approx(found.calibration.in_sample)
    assert found.next_command == "harness run prompts/v2.yaml"
    again = harness.calibrate("v2", project=folder.project).calibration
    assert again.now == pytest.approx(found.calibration.in_sample)
    assert {each.label: each.now for each in again.labels} == {
        each.label: each.found for each in found.calibration.labels
    }


def test_the_command_runs_it_as_the_run_was_made(project: Path, cli: Cli) -> None:
    """Options that the file does not say are in the next command, so that the calls are the same."""
    write(project / "datasets/reviews.yaml", (project / "datasets/reviews.yaml").read_text() + "locked: []\n")
    write(project / "prompts/v1.yaml", PROMPT + "vars: {tone: plain}\n")
    task = load_task(project / "prompts/v1.yaml", find_project(), variables={"tone": "a b"}, model="other")
    run = weighed(
        project,
        split="test",
        default_split=False,
        selection={"filter": "id != 's1'", "ids": ["s2", "s3"], "limit": 70},
        prompt=task.prompt.with_model(None, "http://x/v1"),
        prompt_hash=task.prompt.hash,
    )
    done = cli("calibrate", run.manifest.id, "--write", "prompts/v2.yaml")
    assert (
        "\n  harness run prompts/v2.yaml --split test --model other --base-url http://x/v1 --var 'tone=a b' "
        "--filter 'id != '\"'\"'s1'\"'\"'' --samples s2,s3 --limit 70\n"
    ) in done.out
    assert done.err == ""


def test_a_locked_split_is_not_tuned_on(project: Path, cli: Cli) -> None:
    """Thresholds are not looked for on a run whose split is locked."""
    run = weighed(project, split="test", default_split=False)
    done = cli("calibrate", run.manifest.id)
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        f"error: run {run.manifest.id}: must not be on a locked split to calibrate thresholds, but is on 'test', which is "
        "there to test what was tuned elsewhere. Name a run on 'dev'.\n"
    )


def test_a_file_that_leaves_the_model_to_the_command_line(project: Path, cli: Cli) -> None:
    """Where the file names no model, the next command does."""
    write(project / "prompts/v1.yaml", PROMPT.replace("name: scripted, ", ""))
    write(project / "harness.toml", "max_attempts = 1\nmodel = 'scripted'\n")
    run = weighed(project)
    write(project / "harness.toml", "max_attempts = 1\n")
    done = cli("calibrate", run.manifest.id, "--write", "prompts/v2.yaml")
    assert "harness run prompts/v2.yaml --model scripted\n" in done.out


def test_one_threshold(project: Path, cli: Cli) -> None:
    """With --global one threshold is written for all labels."""
    weighed(project)
    done = cli("calibrate", "v1", "--global", "--write", "prompts/v2.yaml")
    output = yaml.safe_load((project / "prompts/v2.yaml").read_text())["output"]
    assert list(output) == ["format", "threshold"]
    assert "\n* the global threshold\n" in done.out


def test_what_does_not_help_is_said_so(project: Path, cli: Cli) -> None:
    """When cross-validation is not better than now it stands there in words."""
    weighed(project)
    cli("calibrate", "v1", "--write", "prompts/v2.yaml")
    weighed(project, "v2")
    done = cli("calibrate", "v2")
    assert "Not better: by cross-validation macro F1 is 0." in done.out


def test_what_says_too_little_is_said_so(project: Path, cli: Cli) -> None:
    """When the same answer for every sample is as good, it stands there in words."""
    said = token("no", math.log(0.7), {"no": math.log(0.7), "yes": math.log(0.3)})
    stored_run(project, "v1", lambda call: replaced(answered(call), raw="no", logprobs={"content": [said]}))
    done = cli("calibrate", "v1", "--metric", "micro_f1")
    assert (
        "By cross-validation micro F1 goes from 0.000 to 0.486, but to 0.486 by the same answer for every sample: these"
    ) in " ".join(done.out.split())


def test_repeats_are_averaged(project: Path, cli: Cli) -> None:
    """With repeats the scores are means over them, as in the report."""
    weighed(project, repeats=2)
    found = cli("calibrate", "v1", "--json").json
    assert (found["n_samples"], found["n_repeats"]) == (N, 2)
    assert found["now"] == pytest.approx(cli("show", "v1", "--json").json["scores"]["averages"]["macro_f1"])


def test_an_answer_that_only_a_threshold_can_read(project: Path, cli: Cli) -> None:
    """Words that say neither yes nor no are unparseable; with a threshold their probabilities decide, and that is told."""

    def mumbled(call: Call) -> Completion:
        return replaced(answered(call), raw="hmm") if call.sample == "s4" else answered(call)

    stored_run(project, "v1", mumbled)
    found = cli("calibrate", "v1", "--json", "--write", "prompts/v2.yaml").json
    assert found["notes"] == [
        "3 cells that could not be read in the answers' words have a probability: thresholds answer them."
    ]
    stored_run(project, "v2", mumbled)
    scores = cli("show", "v2", "--json").json["scores"]
    assert scores["coverage"] == 1
    assert scores["averages"]["macro_f1"] == pytest.approx(found["in_sample"])


def test_a_run_that_says_nothing_in_words(project: Path, cli: Cli) -> None:
    """Where no answer can be read in its words, there are thresholds to be found if there are probabilities."""
    stored_run(project, "v1", lambda call: replaced(answered(call), raw="hmm"))
    found = cli("calibrate", "v1", "--json").json
    assert (found["now"], found["probabilities"]) == (0.0, None)
    assert found["in_sample"] > 0.5
    assert "AUROC" not in cli("calibrate", "v1").out


def test_a_server_that_gives_no_log_probabilities(project: Path, cli: Cli) -> None:
    """Asking for them is not enough: a run whose answers have none cannot be calibrated."""
    stored_run(project, "v1", lambda call: replaced(answered(call), logprobs=None))
    assert "must have probabilities to be calibrated, but has none." in cli("calibrate", "v1").err


def test_unanswered_cells_stay_wrong(project: Path, cli: Cli) -> None:
    """Failed calls have no probability: they count as missed before and after, and lower the coverage."""

    def failing(call: Call) -> Completion:
        return call_error() if call.sample == "s0" else answered(call)

    stored_run(project, "v1", failing)
    found = cli("calibrate", cli_id(project), "--json").json
    assert found["probabilities"]["averages"]["coverage"] == pytest.approx(1 - 1 / N)
    assert found["in_sample"] < 1


def cli_id(root: Path) -> str:
    """Return the id of the only run."""
    (only,) = (root / "runs").iterdir()
    return load_run(only).manifest.id


# --- several passes ---------------------------------------------------------------------------------------------------

TWO = """\
dataset: ../datasets/reviews.yaml
model: {name: scripted, params: {max_tokens: 1, logprobs: true, top_logprobs: 20}}
output: yes_no
passes:
  - name: ask
    per: label
    template: "{{ text }} {{ label }}?"
  - name: again
"""


def test_a_later_pass_in_words(project: Path, cli: Cli) -> None:
    """Cells that a later pass answers in words keep what they say; the thresholds are those of the pass that gives them."""
    again = "when: 'confidence < 0.75'", "template: '{{ text }}'", "output: list", "merge: {scope: [quality]}"
    write(project / "prompts/v1.yaml", "\n    ".join([TWO.rstrip(), *again]) + "\n")
    stored_run(project, "v1", lambda call: ok("quality") if call.pass_name == "again" else answered(call))
    done = cli("calibrate", "v1", "--write", "prompts/v2.yaml", "--json")
    found = done.json
    assert found["pass"] == "ask"
    assert found["notes"] == ["They are those of pass ask; what later passes ask and answer may change with them."]
    assert 0 < found["probabilities"]["averages"]["coverage"] < 1
    text = (project / "prompts/v2.yaml").read_text()
    assert text.index("threshold:") < text.index("passes:")


def test_two_passes_with_probabilities(project: Path, cli: Cli) -> None:
    """The last pass that gives the probabilities is calibrated; those that an earlier pass gave stay as they are."""
    again = (
        "when: text != 'text 1.'",
        "per: label",
        "template: '{{ text }}'",
        "output: {format: yes_no, threshold: 0.5}",
    )
    write(project / "prompts/v1.yaml", "\n    ".join([TWO.rstrip(), *again]) + "\n")
    stored_run(project, "v1", lambda call: ok("?") if call.sample + call.pass_name == "s2again" else answered(call))
    found = cli("calibrate", "v1", "--write", "prompts/v2.yaml", "--json").json
    assert found["pass"] == "again"
    assert found["labels"][0]["now"] == 0.5
    new = load_task(project / "prompts/v2.yaml", find_project()).prompt
    assert [each.output.has_thresholds for each in new.passes] == [False, True]
    assert new.passes[1].output.threshold == found["threshold"]


def test_probabilities_of_several_passes(project: Path, cli: Cli) -> None:
    """When no one pass gives the probabilities of all labels there is no place for the thresholds."""
    again = "per: label", "template: '{{ text }}'", "merge: {scope: [quality, price]}"
    text = "\n    ".join([TWO.rstrip(), *again]) + "\n"
    write(project / "prompts/v1.yaml", text.replace("per: label", "per: label\n    merge: {scope: [shipping]}", 1))
    stored_run(project, "v1", answered)
    done = cli("calibrate", "v1")
    assert done.code == 1
    assert done.err == (
        f"error: run {cli_id(project)}: one pass must give the probabilities of all labels, but they come from several: "
        "ask, again. Set their thresholds by hand.\n"
    )


VOTING = """\
dataset: ../datasets/reviews.yaml
model: scripted
template: "{{ text }}"
votes: {k: 3, how: HOW}
output: list
"""


def drawn(call: Call) -> str:
    """Return one draw: each label by chance."""
    p = {name: probability(call.sample, name) * 1.6 for name in LABELS}
    said = [name for name in LABELS if random.Random(f"{call.sample} {call.draw} {name}").random() < p[name]]
    return ", ".join(said) or "none"


def test_the_share_of_votes(project: Path, cli: Cli) -> None:
    """Shares of votes are probabilities; with `how: mean` a threshold decides how many must agree."""
    write(project / "prompts/v1.yaml", VOTING.replace("HOW", "mean"))
    stored_run(project, "v1", drawn)
    found = cli("calibrate", "v1", "--json", "--write", "prompts/v2.yaml").json
    assert [row["now"] for row in found["labels"]] == [0.5] * 3
    stored_run(project, "v2", drawn)
    scores = cli("show", "v2", "--json").json["scores"]["averages"]
    assert scores["macro_f1"] == pytest.approx(found["in_sample"])


def test_votes_that_are_counted_take_no_threshold(project: Path, cli: Cli) -> None:
    """A majority is counted, not weighed against a threshold: what was found is told, but cannot be written."""
    write(project / "prompts/v1.yaml", VOTING.replace("HOW", "majority"))
    stored_run(project, "v1", drawn)
    assert [row["now"] for row in cli("calibrate", "v1", "--json").json["labels"]] == [None] * 3
    done = cli("calibrate", "v1", "--write", "prompts/v2.yaml")
    assert done.err == (
        "error: prompts/v1.yaml: pass main counts its votes (how: majority), and thresholds decide with 'how: mean' "
        "alone. Write a version that says so, run it (no call is made again), and calibrate that run.\n"
    )
    assert not (project / "prompts/v2.yaml").exists()


# --- what is refused --------------------------------------------------------------------------------------------------


def test_a_run_without_probabilities(project: Path, cli: Cli) -> None:
    """Without probabilities there is nothing to calibrate, and it is said what gives them."""
    write(project / "prompts/v1.yaml", VOTING.replace("votes: {k: 3, how: HOW}\n", ""))
    stored_run(project, "v1", drawn)
    done = cli("calibrate", "v1")
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        f"error: run {cli_id(project)}: must have probabilities to be calibrated, but has none. They come from "
        "log-probabilities (model.params: {logprobs: true, top_logprobs: 20}) with format yes_no or codes, from format "
        "scores, from votes, or from an API that decides.\n"
    )
    assert "probabilities" not in cli("show", "v1", "--json").json["scores"]
    assert "AUROC" not in cli("show", "v1").out
    with pytest.raises(DataError, match=r"has no probabilities\. They come from log-probabilities"):
        harness.load("v1").probabilities  # noqa: B018 - a property that raises


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--metric", "macro-f1"],
            "--metric 'macro-f1': must be one of macro_f1, micro_f1, weighted_f1, samples_f1, subset_accuracy, jaccard. "
            "Did you mean 'macro_f1'?",
        ),
        (["--folds", "1"], "--folds: must be from 2 to the number of samples, 80, got 1."),
        (
            ["--write", "prompts/v1.yaml"],
            "--write prompts/v1.yaml: must be a new file, but is there already. Name another version.",
        ),
        (
            ["--write", "prompts/v1.yml"],
            "--write prompts/v1.yml: must be another version than v1. Name another one.",
        ),
        (
            ["--write", "v2.yaml"],
            "--write v2.yaml: must lie beside prompts/v1.yaml, because the paths in it are told from there. "
            "Write: prompts/v2.yaml",
        ),
        (["--write", "prompts/v2"], "--write prompts/v2: must end in .yaml, got ''."),
    ],
)
def test_what_cannot_be_asked(project: Path, cli: Cli, arguments: list[str], message: str) -> None:
    """A metric that is none, folds that cannot be, and a new file that cannot be there are usage errors."""
    weighed(project)
    done = cli("calibrate", "v1", *arguments)
    assert (done.code, done.err) == (2, f"error: {message}\n")


def test_a_prompt_that_is_gone(project: Path, cli: Cli) -> None:
    """Without the run's prompt file no version can be made from it; its thresholds can be found all the same."""
    weighed(project)
    (project / "prompts/v1.yaml").unlink()
    assert cli("calibrate", "v1").code == 0
    done = cli("calibrate", "v1", "--write", "prompts/v2.yaml")
    assert done.err == (
        f"error: run {cli_id(project)}: its prompt file prompts/v1.yaml is gone, so no version can be made from it.\n"
    )


def test_a_prompt_that_has_changed(project: Path, cli: Cli) -> None:
    """What the run asked counts: a change is a warning, and no version is made from what was not calibrated."""
    run = weighed(project)
    write(project / "prompts/v1.yaml", PROMPT.replace("Is it", "Is this"))
    warning = (
        f"warning: prompts/v1.yaml: has changed since run {run.manifest.id}. What the run asked and answered counts.\n"
    )
    assert warning in cli("calibrate", run.manifest.id).err
    assert cli("calibrate", "v1").err == (
        f"warning: the prompt prompts/v1.yaml has changed since {run.manifest.id}. Run it again to score it.\n"
    )
    done = cli("calibrate", run.manifest.id, "--write", "prompts/v2.yaml")
    assert done.err == warning + (
        f"error: prompts/v1.yaml: must ask what run {run.manifest.id} asked, but has changed since. "
        "Run it again, and calibrate that run.\n"
    )


def test_a_prompt_with_other_thresholds_by_now(project: Path, cli: Cli) -> None:
    """Thresholds that have changed since are no obstacle: they are replaced."""
    run = weighed(project)
    write(project / "prompts/v1.yaml", PROMPT.replace("yes_no  #", "{format: yes_no, threshold: 0.9}  #"))
    assert cli("calibrate", run.manifest.id, "--write", "prompts/v2.yaml").code == 0
    assert "threshold: 0.9" not in (project / "prompts/v2.yaml").read_text()


@pytest.mark.parametrize(
    ("output", "why"),
    [
        (
            "output: {format: yes_no, threshold: &half 0.5}\nvars: {half: *half}",
            "prompts/v2.yaml:12: must be YAML, but found undefined alias 'half'.",
        ),
        ("output:\n  <<: {thresholds: {price: 0.9}}\n  format: yes_no", "its thresholds did not come out right."),
    ],
)
def test_a_prompt_that_cannot_be_edited(project: Path, cli: Cli, output: str, why: str) -> None:
    """A version that would not be the old one with other thresholds is not left behind."""
    write(project / "prompts/v1.yaml", PROMPT.replace("output: yes_no", output))
    run = weighed(project)
    done = cli("calibrate", run.manifest.id, "--global", "--write", "prompts/v2.yaml")
    assert done.err == (
        f"error: prompts/v1.yaml: cannot be edited so that only its thresholds change: {why} "
        "Write the version by hand; harness calibrate --json tells the thresholds.\n"
    )
    assert not (project / "prompts/v2.yaml").exists()


def test_a_version_that_would_ask_something_else(project: Path, cli: Cli) -> None:
    """An output that stands in a merged mapping cannot be found in the text; what is new would hide it."""
    text = VOTING.replace("HOW", "mean").replace("output: list", "<<: {output: {format: list, none: nothing}}")
    write(project / "prompts/v1.yaml", text)
    stored_run(project, "v1", lambda call: drawn(call).replace("none", "nothing"))
    done = cli("calibrate", "v1", "--write", "prompts/v2.yaml")
    assert "cannot be edited so that only its thresholds change: something else came out different." in done.err
    assert not (project / "prompts/v2.yaml").exists()


def test_a_variable_that_has_changed(project: Path, cli: Cli) -> None:
    """What `vars` says is what the prompt asks: another value is another prompt."""
    write(
        project / "prompts/v1.yaml", PROMPT.replace("template: |", "vars: {tone: plain}\ntemplate: |\n  {{ tone }}", 1)
    )
    run = weighed(project)
    write(
        project / "prompts/v1.yaml", (project / "prompts/v1.yaml").read_text(encoding="utf-8").replace("plain", "rude")
    )
    done = cli("calibrate", run.manifest.id, "--write", "prompts/v2.yaml")
    assert "has changed since" in done.err
    assert (done.code, (project / "prompts/v2.yaml").exists()) == (1, False)


def test_a_folder_that_cannot_be_written(project: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that refuses is a message."""
    weighed(project)
    opened = Path.open

    def refusing(self: Path, mode: str = "r", *rest: Any, **options: Any) -> Any:
        if mode == "xb":
            raise OSError(28, "No space left on device")
        return opened(self, mode, *rest, **options)

    monkeypatch.setattr(Path, "open", refusing)
    done = cli("calibrate", "v1", "--write", "prompts/v2.yaml")
    assert done.err == "error: prompts/v2.yaml: cannot be written: No space left on device.\n"


def test_an_unlabelled_run(project: Path, cli: Cli) -> None:
    """A run without gold cannot be calibrated."""
    run = weighed(project)
    write(run.path / "scores.json", "{}")
    done = cli("calibrate", run.manifest.id)
    assert done.err == (
        f"error: run {run.manifest.id}: must have gold labels to be calibrated on, but its samples are unlabelled.\n"
    )


# --- tables and files -------------------------------------------------------------------------------------------------


def test_probabilities_as_a_table(project: Path) -> None:
    """`run.probabilities` has one row a label."""
    weighed(project)
    table = harness.load("v1").probabilities
    assert list(table.index) == list(LABELS)
    assert list(table.columns) == ["n", "support", "auroc", "average_precision", "brier_loss"]
    assert table["n"].tolist() == [N] * 3
    assert table["auroc"].min() > 0.5


def test_scores_that_were_written_before(project: Path, cli: Cli) -> None:
    """A run whose scores know nothing of probabilities is calibrated all the same."""
    run = weighed(project)
    scores: Mapping[str, Any] = json.loads((run.path / "scores.json").read_text())
    write(run.path / "scores.json", json.dumps({key: value for key, value in scores.items() if key != "probabilities"}))
    assert "AUROC" not in cli("show", "v1").out
    assert cli("calibrate", "v1", "--json").json["probabilities"]["averages"] == scores["probabilities"]["averages"]
