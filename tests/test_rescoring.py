"""Scoring again: a fix to a parser, an alias, a merge rule or a gold label changes scores and costs no call."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from projects import DATASET, DEV, HEAD, PROMPT, TWO_PASSES, Folder, Switch, jsonl, right_but
from scripted_server import ScriptedServer, cut, error, refuse, say

from harness import execution
from harness import predict as predict_module
from harness.dataset import Dataset
from harness.errors import DataError, RunBusyError
from harness.jsonfiles import write_json
from harness.planning import plan_labels
from harness.prompt import Pass
from harness.records import FailureKind
from harness.rescoring import Rescored, rescore
from harness.samples import SampleSet
from harness.selection import Selection
from harness.store import StoredRun, load_run, open_run


@pytest.fixture
def switch() -> Switch:
    """Return a script that answers exactly right until it is told otherwise."""
    return Switch(right_but())


@pytest.fixture
def server(switch: Switch) -> Iterator[ScriptedServer]:
    """Return a server that answers as the switch stands."""
    with ScriptedServer(switch) as running:
        yield running


def again(folder: Folder, run: StoredRun, server: ScriptedServer) -> Rescored:
    """Score a run again as it is on disk now; no call may be made for it."""
    server.reset()
    rescored = rescore(load_run(run.path), folder.project)
    assert server.count == 0
    return rescored


def predicted(run: StoredRun) -> dict[str, Any]:
    """Return the predicted labels by sample, the kind of its failure where there is one."""
    return {each.sample: str(each.failure) if each.failure else sorted(each.labels) for each in run.predictions}


SOURCES = ("output format of v1.yaml", "aliases of reviews.yaml", "gold of reviews.dev.jsonl")


# --- what today's files change ----------------------------------------------------------------------------------------


def test_nothing_changed_changes_nothing(folder: Folder, switch: Switch, server: ScriptedServer) -> None:
    """A run scored again with the files that it was made with has the very same predictions and scores."""
    switch.to(right_but(s1="price", s2="bananas", s3=cut("qual"), s4=refuse("No.")))
    run = folder.run_on(server).stored
    before = {name: (run.path / name).read_bytes() for name in ("predictions.jsonl", "scores.json", "samples.jsonl")}
    rescored = again(folder, run, server)
    assert (rescored.changed, rescored.missing, rescored.sources) == (0, 0, SOURCES)
    assert {name: (run.path / name).read_bytes() for name in before} == before
    assert rescored.run.manifest == run.manifest


def test_a_corrected_parser_option_changes_the_scores(folder: Folder, switch: Switch, server: ScriptedServer) -> None:
    """An answer that today's output option can read is an answer."""
    switch.to(right_but(s4="nothing"))
    run = folder.run_on(server).stored
    assert predicted(run)["s4"] == "unparseable"
    folder.prompt("v1", PROMPT + "output: {format: list, none: nothing}\n")
    rescored = again(folder, run, server)
    assert predicted(rescored.run)["s4"] == []
    assert rescored.changed == 1
    assert rescored.run.scores["coverage"] == 1.0


def test_a_new_alias_changes_the_scores(folder: Folder, switch: Switch, server: ScriptedServer) -> None:
    """An off-list word that is an alias today is that label."""
    switch.to(right_but(s5="cost"))
    run = folder.run_on(server).stored
    assert predicted(run)["s5"] == "unparseable"
    folder.write("datasets/reviews.yaml", DATASET.replace("price: Too dear", "price: {aliases: [cost]}"))
    assert predicted(again(folder, run, server).run)["s5"] == ["price"]


def test_corrected_gold_changes_the_scores(folder: Folder, switch: Switch, server: ScriptedServer) -> None:
    """A gold label that was corrected counts, for scores and failures, and no prediction changes."""
    switch.to(right_but(s1="price"))
    run = folder.run_on(server).stored
    assert run.scores["averages"]["subset_accuracy"] == pytest.approx(5 / 6)
    folder.write("datasets/reviews.dev.jsonl", jsonl({**DEV, "s1": (DEV["s1"][0], ["price"])}))
    rescored = again(folder, run, server)
    assert rescored.changed == 0
    assert rescored.run.scores["averages"]["subset_accuracy"] == 1.0
    assert rescored.run.gold["s1"] == frozenset({"price"})


def test_a_changed_scope_changes_the_scores(folder: Folder, switch: Switch, server: ScriptedServer) -> None:
    """The merge rules are today's: a pass's answer counts for the labels that its scope has now."""
    folder.prompt("v1", TWO_PASSES)
    switch.to(lambda request: say("price" if request.text.startswith("Second") else "quality"))
    run = folder.run_on(server).stored
    assert predicted(run)["s1"] == ["price"]
    folder.prompt("v1", TWO_PASSES.replace("[quality, price]", "[price]"))
    assert predicted(again(folder, run, server).run)["s1"] == ["price", "quality"]


def test_votes_are_counted_as_todays_file_says(folder: Folder, switch: Switch, server: ScriptedServer) -> None:
    """How the stored draws become one answer is a merge rule: today's counts, and the number of draws stays."""
    voting = PROMPT + "votes: {k: 3, how: majority}\n"
    folder.prompt("v1", voting)
    drawn = ["price", "price", "none"]
    switch.to(lambda request: say(drawn[request.attempt]))
    run = folder.run_on(server).stored
    assert predicted(run)["s1"] == ["price"]
    folder.prompt("v1", voting.replace("k: 3, how: majority", "k: 5, how: all"))
    rescored = again(folder, run, server)
    assert (rescored.missing, predicted(rescored.run)["s1"]) == (0, [])
    folder.prompt("v1", voting.replace("majority", "mean") + "output: {threshold: 0.7}\n")
    assert predicted(again(folder, run, server).run)["s1"] == []
    folder.prompt("v1", voting.replace("majority", "mean") + "output: {threshold: 0.6}\n")
    assert predicted(again(folder, run, server).run)["s1"] == ["price"]


def test_votes_that_are_new_or_gone_change_nothing(folder: Folder, switch: Switch, server: ScriptedServer) -> None:
    """A run that drew once has nothing to vote, and one that drew three times keeps its own rule."""
    voting = PROMPT + "votes: {k: 3, how: any}\n"
    folder.prompt("v1", voting)
    drawn = ["price", "none", "none"]
    switch.to(lambda request: say(drawn[request.attempt]))
    voted = folder.run_on(server).stored
    assert predicted(voted)["s1"] == ["price"]
    folder.prompt("v1", PROMPT)
    rescored = again(folder, voted, server)
    assert (rescored.changed, rescored.missing) == (0, 0)
    once = folder.run_on(server).stored
    folder.prompt("v1", voting)
    assert again(folder, once, server).changed == 0


PER_LABEL = HEAD + 'template: "{{ label }}? {{ text }}"\nper: label\noutput: yes_no\n'


def refused_to_read(folder: Folder, run: StoredRun, text: str) -> str:
    """Return why a run cannot be scored again after its prompt file has become another."""
    folder.prompt("v1", text)
    with pytest.raises(DataError) as caught:
        rescore(load_run(run.path), folder.project)
    return str(caught.value).replace(run.manifest.id, "ID")


def test_what_was_asked_in_another_way_is_not_read(folder: Folder, server: ScriptedServer) -> None:
    """Answers about whole samples are no answers about single labels, and have no probabilities that nobody asked for."""
    run = folder.run_on(server).stored
    assert refused_to_read(folder, run, PER_LABEL) == (
        "run ID: pass main cannot be read as today's file says: format yes_no answers for one label, and this pass asks "
        "about 3. Run it again."
    )
    weighed = PROMPT.replace("max_tokens: 16", "max_tokens: 16, logprobs: true, top_logprobs: 20")
    codes = weighed + "output: {format: codes, codes: {a: [shipping], b: [quality], c: [price]}, threshold: 0.5}\n"
    assert refused_to_read(folder, run, codes) == (
        "run ID: pass main cannot be read as today's file says: 'threshold' needs probabilities. Run it again."
    )


def test_labels_that_were_not_asked_about_have_no_answer(
    folder: Folder, switch: Switch, server: ScriptedServer
) -> None:
    """A scope that is wider today adds no answers to a pass that asked label by label; a narrower one counts."""
    passes = HEAD + (
        'passes:\n  - {name: a, template: "{{ text }}"}\n'
        '  - name: b\n    per: label\n    output: yes_no\n    template: "{{ label }}? {{ text }}"\n'
        "    merge: {scope: [quality, price]}\n"
    )
    folder.prompt("v1", passes)
    switch.to(lambda request: say("yes" if request.text.startswith(("quality?", "price?")) else "shipping"))
    run = folder.run_on(server).stored
    assert predicted(run)["s1"] == ["price", "quality", "shipping"]
    folder.prompt("v1", passes.replace("[quality, price]", "[quality, shipping]"))
    rescored = again(folder, run, server)
    assert (rescored.missing, predicted(rescored.run)["s1"]) == (0, ["quality", "shipping"])
    assert rescored.sources[0] == "output formats and merge rules of v1.yaml"
    assert refused_to_read(folder, run, passes.replace("[quality, price]", "[shipping]")) == (
        "run ID: pass b was asked about none of the labels in today's 'merge.scope'. Run it again."
    )


def test_new_columns_and_reordered_rows_do_not_matter(folder: Folder, server: ScriptedServer) -> None:
    """Samples are found by id; a column that is new since changes nothing that was sent."""
    run = folder.run_on(server).stored
    folder.write("datasets/reviews.dev.jsonl", jsonl(dict(reversed(list(DEV.items()))), language="en"))
    rescored = again(folder, run, server)
    assert (rescored.changed, rescored.run.scores) == (0, run.scores)


def test_without_todays_files_the_run_speaks_for_itself(folder: Folder, server: ScriptedServer) -> None:
    """Where prompt and dataset are gone, what the run froze is used."""
    run = folder.run_on(server).stored
    folder.path("v1").unlink()
    (folder.root / "datasets/reviews.yaml").unlink()
    rescored = again(folder, run, server)
    assert (rescored.changed, rescored.sources) == (0, ())
    assert rescored.run.scores == run.scores


def test_a_pass_that_is_gone_is_read_as_it_was(folder: Folder, server: ScriptedServer) -> None:
    """A pass that today's prompt does not have is read as the run froze it."""
    run = folder.run_on(server).stored
    folder.prompt("v1", HEAD + "passes:\n  - {name: new, template: '{{ text }}', output: json}\n")
    assert again(folder, run, server).changed == 0


def test_variables_of_the_run_are_known_to_todays_prompt(folder: Folder, server: ScriptedServer) -> None:
    """A prompt that was run with --var is read with the same variables."""
    folder.prompt("v1", PROMPT.replace("{{ text }}", "{{ tone }} {{ text }}"))
    run = folder.run_on(server, "v1", variables={"tone": "calm"}).stored
    assert again(folder, run, server).changed == 0


def test_labelling_runs_are_read_anew_without_scores(folder: Folder, switch: Switch, server: ScriptedServer) -> None:
    """A run without gold is parsed again like any other, and there is nothing to score."""
    folder.write(
        "datasets/reviews.dev.jsonl", "".join(json.dumps({"id": k, "text": t}) + "\n" for k, (t, _) in DEV.items())
    )
    switch.to(right_but(s4="nothing"))
    run = execution.start(plan_labels(folder.task(base_url=server.base_url), Selection()), folder.project)
    folder.prompt("v1", PROMPT + "output: {format: list, none: nothing}\n")
    rescored = again(folder, run, server)
    assert (rescored.changed, rescored.run.scores) == (1, {})
    assert rescored.sources == SOURCES[:2]


# --- what stays frozen ------------------------------------------------------------------------------------------------


def test_what_was_asked_stays_frozen(folder: Folder, switch: Switch, server: ScriptedServer) -> None:
    """Scoring with today's label space does not change what the run froze: to resume it asks nothing anew."""
    folder.prompt("v1", PROMPT.replace("{{ labels | join", "{{ labels | map(attribute='description') | join"))
    switch.to(right_but(s1=error(500)))
    run = folder.run_on(server).stored
    folder.write("datasets/reviews.yaml", DATASET.replace("Too dear", "Costs too much"))
    rescored = again(folder, run, server).run
    assert rescored.manifest.space == run.manifest.space
    assert rescored.manifest.hashes == run.manifest.hashes
    switch.to(right_but())
    resumed = execution.resume(rescored, folder.project, use_cache=False)
    assert server.count == 1
    assert resumed.manifest.state == "complete"


# --- calls that are missing -------------------------------------------------------------------------------------------


def test_a_second_pass_that_a_new_reading_needs_is_counted(
    folder: Folder, switch: Switch, server: ScriptedServer
) -> None:
    """A call that today's reading would make and that was never made is missing, a call error, and told."""
    folder.prompt("v1", TWO_PASSES)
    switch.to(lambda request: say("bad quality" if request.text == f"First: {DEV['s1'][0]}" else "none"))
    run = folder.run_on(server).stored
    assert (predicted(run)["s1"], run.manifest.state) == ("unparseable", "complete")
    folder.write("datasets/reviews.yaml", DATASET.replace("[build quality]", "[bad quality]"))
    rescored = again(folder, run, server)
    assert (rescored.missing, rescored.changed) == (1, 1)
    assert predicted(rescored.run)["s1"] == ["quality"]
    assert rescored.run.manifest.state == "incomplete"
    folder.write("datasets/reviews.yaml", DATASET)
    back = again(folder, run, server)
    assert (back.missing, back.run.manifest.state) == (0, "complete")
    assert predicted(back.run) == predicted(run)


def test_a_second_pass_that_was_asked_otherwise_is_missing(
    folder: Folder, switch: Switch, server: ScriptedServer
) -> None:
    """A stored answer to another question does not count: the second pass saw another first answer."""
    folder.prompt("v1", TWO_PASSES)
    switch.to(lambda request: say("price" if request.text.startswith("Second") else "quality, cost"))
    run = folder.run_on(server).stored
    assert predicted(run)["s1"] == ["price"]
    folder.write("datasets/reviews.yaml", DATASET.replace("price: Too dear", "price: {aliases: [cost]}"))
    rescored = again(folder, run, server)
    assert rescored.missing == len(DEV)
    assert predicted(rescored.run)["s1"] == ["price", "quality"]


def test_an_interrupted_run_stays_so(folder: Folder, switch: Switch, server: ScriptedServer) -> None:
    """A run that was never finished is scored with its missing calls as call errors, and keeps its state."""
    switch.to(right_but(s1=error(500)))
    run = folder.run_on(server).stored
    write_json(run.path / "run.json", {**run.manifest.to_json(), "state": "interrupted"})
    lines = (run.path / "completions.jsonl").read_bytes().splitlines(keepends=True)
    (run.path / "completions.jsonl").write_bytes(b"".join(line for line in lines if b'"s2"' not in line))
    (run.path / "predictions.jsonl").unlink()
    rescored = again(folder, run, server)
    assert (rescored.missing, rescored.changed, rescored.run.manifest.state) == (1, len(DEV), "interrupted")
    (unmade,) = (each for each in rescored.run.predictions if each.sample == "s2")
    assert (unmade.failure, unmade.why) == (FailureKind.CALL_ERROR, "the call was never made")


def test_a_failed_call_keeps_a_run_incomplete(folder: Folder, switch: Switch, server: ScriptedServer) -> None:
    """A call error of a later pass, too, is something to retry: the run stays incomplete."""
    folder.prompt("v1", TWO_PASSES)
    switch.to(lambda request: error(500) if request.text.startswith("Second") else say("quality"))
    run = folder.run_on(server).stored
    assert run.manifest.state == "incomplete"
    rescored = again(folder, run, server)
    assert (rescored.missing, rescored.changed, rescored.run.manifest.state) == (0, 0, "incomplete")


def test_damaged_predictions_are_derived_anew(folder: Folder, server: ScriptedServer) -> None:
    """What was derived can be lost: scoring writes it again."""
    run = folder.run_on(server).stored
    (run.path / "predictions.jsonl").write_bytes(b"{broken\n")
    rescored = again(folder, run, server)
    assert (rescored.changed, rescored.run.predictions) == (len(DEV), run.predictions)


# --- what is refused --------------------------------------------------------------------------------------------------


def refusal(folder: Folder, run: StoredRun, server: ScriptedServer) -> str:
    """Return the message with which scoring again is refused; it leaves the run as it was."""
    before = (run.path / "scores.json").read_bytes()
    with pytest.raises(DataError) as caught:
        again(folder, run, server)
    assert (run.path / "scores.json").read_bytes() == before
    return str(caught.value).removeprefix(f"run {run.manifest.id}: ")


def test_changed_inputs_are_refused(folder: Folder, server: ScriptedServer) -> None:
    """Completions answer the texts that were sent: other texts need a run of their own."""
    run = folder.run_on(server).stored
    folder.write("datasets/reviews.dev.jsonl", jsonl({**DEV, "s2": ("Other.", []), "s3": ("More.", [])}))
    assert refusal(folder, run, server) == (
        "its samples must be as they were sent, but these have other inputs now: s2, s3. "
        "Its completions answer the old ones; run it again."
    )


def test_samples_that_are_gone_are_refused(folder: Folder, server: ScriptedServer) -> None:
    """A sample that today's file does not have has no gold."""
    run = folder.run_on(server).stored
    folder.write("datasets/reviews.dev.jsonl", jsonl({key: DEV[key] for key in DEV if key != "s2"}))
    assert refusal(folder, run, server) == (
        "its samples must be as they were sent, but these are gone: s2. "
        "Its completions answer the old ones; run it again."
    )


def test_a_column_that_is_gone_is_refused(folder: Folder, server: ScriptedServer) -> None:
    """A column that was sent and is not there any more is a changed input."""
    folder.write("datasets/reviews.dev.jsonl", jsonl(DEV, language="en"))
    run = folder.run_on(server).stored
    folder.write("datasets/reviews.dev.jsonl", jsonl(DEV))
    assert "these have other inputs now: s1, s2, s3, s4, s5 and 1 more." in refusal(folder, run, server)


def test_other_labels_are_refused(folder: Folder, server: ScriptedServer) -> None:
    """A label space with other labels has no place for the answers."""
    run = folder.run_on(server).stored
    folder.write("datasets/reviews.yaml", DATASET.replace("  price:", "  cost:"))
    assert refusal(folder, run, server) == "the label space has changed: cost, price. Run it again."


def test_an_asked_field_that_is_gone_is_refused(folder: Folder, switch: Switch, server: ScriptedServer) -> None:
    """A field that was asked for and that the label space has no more cannot be scored."""
    folder.prompt("v1", PROMPT + "output: {format: json, fields: [mood]}\n")
    switch.to('{"labels": [], "mood": "mad"}')
    run = folder.run_on(server).stored
    folder.path("v1").unlink()
    folder.write("datasets/reviews.yaml", DATASET.replace("  mood: ", "  feeling: "))
    assert refusal(folder, run, server) == "the label space has changed: mood. Run it again."


def test_a_scope_that_leaves_labels_without_a_pass_is_refused(folder: Folder, server: ScriptedServer) -> None:
    """Today's scopes must fit the run's passes: no label may be without a pass that always answers it."""
    folder.prompt("v1", TWO_PASSES)
    run = folder.run_on(server).stored
    narrow = TWO_PASSES.replace('    template: "First', '    merge: {scope: [shipping]}\n    template: "First')
    folder.prompt("v1", narrow.replace("    when: \"'quality' in predicted\"\n", ""))
    assert refusal(folder, run, server) == (
        "with today's 'merge' none of its passes answers quality, price. Run it again."
    )


def test_a_prompt_that_is_wrong_today_is_told(folder: Folder, server: ScriptedServer) -> None:
    """A prompt file with mistakes is not passed over in silence."""
    run = folder.run_on(server).stored
    folder.prompt("v1", PROMPT + "parnt: x\n")
    assert refusal(folder, run, server).endswith("v1.yaml:7: unknown key 'parnt'. Did you mean 'parent'?")


def test_a_run_that_is_written_is_not_scored(folder: Folder, server: ScriptedServer) -> None:
    """Scoring waits for nobody: a run that another process writes is refused."""
    run = folder.run_on(server).stored
    with open_run(run), pytest.raises(RunBusyError, match="another process is writing it"):
        rescore(run, folder.project)


# --- what is rendered again -------------------------------------------------------------------------------------------


def test_what_is_read_as_before_is_not_rendered(
    folder: Folder, switch: Switch, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where answers are read as they were every call asks what it asked, and so does the first pass whatever is read."""
    folder.prompt("v1", TWO_PASSES)
    switch.to(lambda request: say("price" if request.text.startswith("Second") else "quality, cost"))
    run = folder.run_on(server).stored
    rendered: list[str] = []

    def noted(each: Pass, *_: Any) -> None:
        rendered.append(each.name)

    monkeypatch.setattr(predict_module, "stencil_of", noted)
    assert (again(folder, run, server).changed, rendered) == (0, [])
    folder.write("datasets/reviews.yaml", DATASET.replace("price: Too dear", "price: {aliases: [cost]}"))
    rescored = again(folder, run, server)
    assert (set(rendered), rescored.missing) == ({"second"}, len(DEV))  # it saw another answer than it would see now


def test_predictions_that_cannot_be_read_have_all_changed(folder: Folder, server: ScriptedServer) -> None:
    """A damaged file of predictions is made anew, and every prediction of it counts as changed; so does one that is gone."""
    run = folder.run_on(server).stored
    whole = (run.path / "predictions.jsonl").read_bytes()
    (run.path / "predictions.jsonl").write_bytes(whole[:-20])
    assert again(folder, run, server).changed == len(DEV)
    assert (run.path / "predictions.jsonl").read_bytes() == whole
    (run.path / "predictions.jsonl").unlink()
    assert again(folder, run, server).changed == len(DEV)
    assert (run.path / "predictions.jsonl").read_bytes() == whole


def test_todays_samples_are_read_once(folder: Folder, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The prompt is checked against the very samples that the gold is taken from."""
    run = folder.run_on(server).stored
    read: list[str | None] = []
    reading = Dataset.read

    def noted(self: Dataset, split: str | None = None) -> SampleSet:
        read.append(split)
        return reading(self, split)

    monkeypatch.setattr(Dataset, "read", noted)
    again(folder, run, server)
    assert read == ["dev"]
