"""Fan-out, votes and decision APIs from the prompt file to stored scores, over real HTTP."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from projects import DATASET, DEV, Folder, Switch, jsonl
from scripted_server import (
    CHAT_PATH,
    DECISIONS_PATH,
    SYSTEMONE_PATH,
    Reply,
    Request,
    ScriptedServer,
    always,
    answering,
    error,
    failing_first,
    say,
)

from harness import execution
from harness.outlook import foresee
from harness.records import FailureKind, Prediction
from harness.rescoring import rescore
from harness.store import StoredRun, load_run

DECIDING = """\
dataset: ../datasets/reviews.yaml
model: {name: gpt-6-luna, api: API}
template: "{{ text }}"
question: "It is about {{ label }}: {{ label.description }}"
output: {threshold: 0.4, fields: [mood]}
"""
LABELS = tuple(f"l{number}" for number in range(1, 9))
EIGHT = "name: reviews\nlabels: [{labels}]\nsplits: {{dev: reviews.dev.jsonl}}\n".format(labels=", ".join(LABELS))


def deciding(api: str = "decisions", text: str = DECIDING) -> str:
    """Return the prompt for one of the APIs."""
    return text.replace("API", api)


def probabilities(text: str, labels: list[str]) -> str:
    """Return what the decision model thinks of a sample: 0.9 of its labels, 0.45 of price where it is none of them."""
    said: dict[str, Any] = {"shipping": 0.1, "quality": 0.2, "price": 0.45, **dict.fromkeys(labels, 0.9)}
    return json.dumps({**said, "mood": {"happy": 0.3, "mad": 0.7} if labels else {"happy": 0.8, "mad": 0.2}})


RIGHT = {text: probabilities(text, labels) for text, labels in DEV.values()}


def start(folder: Folder, server: ScriptedServer, version: str = "v2", **options: Any) -> StoredRun:
    """Run a prompt against a server."""
    return folder.run_on(server, version, **options).stored


def by_sample(run: StoredRun) -> Mapping[str, Prediction]:
    """Return the predictions of a run by sample."""
    return {each.sample: each for each in run.predictions}


# --- decision APIs ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("api", "path"), [("decisions", DECISIONS_PATH), ("systemone", SYSTEMONE_PATH)])
def test_a_decision_model_answers_labels_and_fields(folder: Folder, api: str, path: str) -> None:
    """One request a sample asks about every label and field; thresholds decide; probabilities are stored."""
    folder.prompt("v2", deciding(api))
    with ScriptedServer(answering(RIGHT)) as server:
        run = start(folder, server)
        requests = server.requests
    assert [request.path for request in requests] == [path] * len(DEV)
    assert {request.text for request in requests} == {text for text, _ in DEV.values()}
    assert run.manifest.state == "complete"
    found = by_sample(run)
    assert found["s1"].labels == {"shipping", "price"}
    assert found["s1"].probabilities == {"shipping": 0.9, "quality": 0.2, "price": 0.45}
    assert (found["s1"].fields, found["s4"].fields) == ({"mood": "mad"}, {"mood": "happy"})
    assert found["s4"].labels == {"price"}
    assert run.scores["coverage"] == 1.0
    (stored,) = [
        json.loads(line) for line in (run.path / "predictions.jsonl").read_text().splitlines() if '"s1"' in line
    ]
    assert stored["probabilities"] == {"shipping": 0.9, "quality": 0.2, "price": 0.45}


def test_both_apis_are_asked_the_same(folder: Folder) -> None:
    """Labels are statements from the prompt's template; the field is a choice of its values."""
    bodies = []
    for api in ("decisions", "systemone"):
        folder.prompt("v2", deciding(api))
        with ScriptedServer(answering(RIGHT)) as server:
            start(folder, server, limit=1)
            bodies.append(server.requests[0].body)
    first, second = bodies
    assert first["questions"][0] == {
        "type": "predicate",
        "name": "shipping",
        "instructions": "It is about shipping: Late, lost or damaged on the way",
    }
    assert first["questions"][3]["choices"] == [{"value": "happy"}, {"value": "mad"}]
    assert second["questions"]["shipping"] == {"type": "noul", "instructions": first["questions"][0]["instructions"]}
    assert second["questions"]["mood"]["criteria"] == {"happy": None, "mad": None}
    assert first["input"] == second["state"]
    assert first["model"] == second["model"] == "gpt-6-luna"


def test_the_base_url_can_stand_in_the_prompt(folder: Folder) -> None:
    """The prompt names API and server by itself."""
    with ScriptedServer(answering(RIGHT)) as server:
        folder.prompt("v2", deciding().replace("api: decisions", f"api: decisions, base_url: '{server.base_url}'"))
        run = execution.start(folder.plan("v2"), folder.project)
        assert server.count == len(DEV)
    assert run.manifest.state == "complete"


def test_another_threshold_costs_no_call(folder: Folder) -> None:
    """`harness score` takes the thresholds of today's file to the stored probabilities."""
    folder.prompt("v2", deciding())
    with ScriptedServer(answering(RIGHT)) as server:
        run = start(folder, server)
        assert run.scores["averages"]["subset_accuracy"] < 1
        asked = server.count
        folder.prompt("v2", deciding().replace("threshold: 0.4", "threshold: 0.5"))
        rescored = rescore(load_run(run.path), folder.project)
        assert server.count == asked
    assert (rescored.missing, rescored.run.manifest.state) == (0, "complete")
    assert rescored.run.scores["averages"]["subset_accuracy"] == 1.0
    assert by_sample(rescored.run)["s1"].labels == {"shipping"}
    assert by_sample(rescored.run)["s1"].fields == {"mood": "mad"}


def test_labels_in_another_order_are_read_by_name(folder: Folder) -> None:
    """A label space that was put in another order since reads the stored answers as before."""
    folder.prompt("v2", deciding())
    with ScriptedServer(answering(RIGHT)) as server:
        run = start(folder, server)
    shipping = "  shipping: Late, lost or damaged on the way\n"
    folder.write("datasets/reviews.yaml", DATASET.replace(shipping, "").replace("fields:\n", f"{shipping}fields:\n"))
    rescored = rescore(load_run(run.path), folder.project)
    assert by_sample(rescored.run) == by_sample(run)


def test_an_interrupted_run_goes_on(folder: Folder) -> None:
    """`--resume` asks exactly what has no answer yet, with the same questions."""
    folder.prompt("v2", deciding())
    switch = Switch(lambda request: error(400, "no") if "late" in request.text else always(answering(RIGHT))(request))
    with ScriptedServer(switch) as server:
        run = start(folder, server)
        assert run.manifest.state == "incomplete"
        assert by_sample(run)["s1"].failure is FailureKind.CALL_ERROR
        switch.to(answering(RIGHT))
        server.reset()
        again = execution.resume(load_run(run.path), folder.project)
        (request,) = server.requests
    assert request.text == DEV["s1"][0]
    assert again.manifest.state == "complete"
    assert by_sample(again)["s1"].labels == {"shipping", "price"}


def test_a_dry_run_counts_the_calls(folder: Folder) -> None:
    """What will be asked is known without a call; what is in the cache is not asked again."""
    folder.prompt("v2", deciding())
    with ScriptedServer(answering(RIGHT)) as server:
        plan = folder.plan("v2", base_url=server.base_url)
        outlook = foresee(plan, folder.project)
        assert (outlook.calls, outlook.cached, server.count) == (len(DEV), 0, 0)
        start(folder, server)
        assert foresee(plan, folder.project).cached == len(DEV)


@pytest.mark.parametrize("api", ["decisions", "systemone"])
def test_more_than_400_labels_are_two_requests(folder: Folder, api: str) -> None:
    """401 labels and a field are asked in two parts, whose answers meet in one prediction."""
    names = [f"l{number}" for number in range(401)]
    labels = "".join(f"  {name}: {{}}\n" for name in names)
    fields = "fields:\n  mood: {type: choice, values: [happy, mad]}\n"
    folder.write(
        "datasets/reviews.yaml", f"name: reviews\nlabels:\n{labels}{fields}splits: {{dev: reviews.dev.jsonl}}\n"
    )
    folder.write("datasets/reviews.dev.jsonl", jsonl({"s1": ("Both ends.", ["l0", "l400"])}))
    folder.prompt("v2", deciding(api))
    said = json.dumps({"l0": 0.9, "l400": 0.8, "mood": {"mad": 0.9, "happy": 0.1}})
    with ScriptedServer(said) as server:
        run = start(folder, server)
        assert sorted(len(request.body["questions"]) for request in server.requests) == [2, 400]
    prediction = by_sample(run)["s1"]
    assert prediction.labels == {"l0", "l400"}
    assert len(prediction.probabilities) == 401
    assert prediction.fields == {"mood": "mad"}
    assert rescore(load_run(run.path), folder.project).changed == 0


def test_a_refused_question_is_one_open_cell(folder: Folder) -> None:
    """Other labels of the sample keep their answers; the sample counts as not answered in full."""
    folder.prompt("v2", deciding())
    refused = json.dumps({**json.loads(RIGHT[DEV["s1"][0]]), "shipping": None})
    with ScriptedServer(answering({**RIGHT, DEV["s1"][0]: refused})) as server:
        run = start(folder, server)
    prediction = by_sample(run)["s1"]
    assert prediction.labels == {"price"}
    assert prediction.unanswered == {"shipping"}
    assert (prediction.failure, prediction.why) == (FailureKind.REFUSAL, "refused: shipping")
    assert rescore(load_run(run.path), folder.project).changed == 0


def test_a_refusal_of_everything_is_a_refusal(folder: Folder) -> None:
    """Every cell of the sample is open, by its kind, and stays so when it is scored again."""
    folder.prompt("v2", deciding())
    nothing = json.dumps(dict.fromkeys(("shipping", "quality", "price", "mood")))
    with ScriptedServer(answering({**RIGHT, DEV["s1"][0]: nothing})) as server:
        run = start(folder, server)
    prediction = by_sample(run)["s1"]
    assert prediction.unanswered == {"shipping", "quality", "price"}
    assert (prediction.failure, prediction.why) == (FailureKind.REFUSAL, "all 4 questions were refused")
    assert rescore(load_run(run.path), folder.project).changed == 0


def test_an_answer_without_names_is_a_call_error(folder: Folder) -> None:
    """Answers are never told apart by their place alone."""
    folder.prompt("v2", deciding())
    unnamed = Reply(raw_body=b'{"answers": [{"type": "predicate", "probability": 0.5}]}')
    with ScriptedServer(unnamed) as server:
        run = start(folder, server, limit=1)
    (prediction,) = run.predictions
    assert prediction.failure is FailureKind.CALL_ERROR
    assert prediction.why is not None
    assert prediction.why.startswith("answer 1 must have the name of its question, got ")


# --- fan-out ----------------------------------------------------------------------------------------------------------


def test_per_label_asks_about_each_label(folder: Folder) -> None:
    """Eight labels are eight calls a sample; one that fails leaves its own cell open and no other."""
    folder.write("datasets/reviews.yaml", EIGHT)
    folder.write("datasets/reviews.dev.jsonl", jsonl({"s1": ("One.", ["l1", "l3"]), "s2": ("Two.", ["l2"])}))
    folder.prompt(
        "v2",
        "dataset: ../datasets/reviews.yaml\nmodel: scripted\nper: label\noutput: yes_no\n"
        'template: "Is it {{ label }}? {{ text }}"\n',
    )

    def script(request: Request) -> Reply:
        label, text = request.text.removeprefix("Is it ").split("? ")
        if (label, text) == ("l3", "One."):
            return error(400, "no")
        return say("Yes" if (label, text) in {("l1", "One."), ("l2", "Two.")} else "No")

    switch = Switch(script)
    with ScriptedServer(switch) as server:
        plan = folder.plan("v2", base_url=server.base_url)
        assert foresee(plan, folder.project).calls == 16
        run = start(folder, server)
        assert server.count == 16
        assert Counter(request.path for request in server.requests) == {CHAT_PATH: 16}
        first = by_sample(run)["s1"]
        assert first.labels == {"l1"}
        assert first.unanswered == {"l3"}
        assert first.failure is FailureKind.CALL_ERROR
        assert by_sample(run)["s2"].labels == {"l2"}
        switch.to("Yes")
        server.reset()
        again = execution.resume(load_run(run.path), folder.project)
        assert server.count == 1
    assert by_sample(again)["s1"].labels == {"l1", "l3"}
    assert again.scores["averages"]["subset_accuracy"] == 1.0


def test_per_group_asks_about_each_group(folder: Folder) -> None:
    """One call a group, in which only its labels can be named."""
    folder.write(
        "datasets/reviews.yaml",
        DATASET.replace("fields:", "groups: {way: [shipping], thing: [quality, price]}\nfields:"),
    )
    folder.prompt(
        "v2",
        "dataset: ../datasets/reviews.yaml\nmodel: scripted\nper: group\n"
        "template: \"{{ group }} ({{ group.labels | join(', ') }}): {{ text }}\"\n",
    )

    def script(request: Request) -> Reply:
        return say("quality" if request.text.startswith("thing (quality, price)") else "shipping")

    with ScriptedServer(script) as server:
        run = start(folder, server, limit=2)
        assert server.count == 4
    assert {each.labels for each in run.predictions} == {frozenset({"shipping", "quality"})}


# --- votes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "labels"), [("majority", {"price"}), ("any", {"price", "quality"}), ("all", set()), ("mean", {"price"})]
)
def test_draws_vote(folder: Folder, how: str, labels: set[str]) -> None:
    """Three draws of one request become one answer, with the share of votes as its probability."""
    folder.prompt(
        "v2",
        "dataset: ../datasets/reviews.yaml\nmodel: {name: scripted, params: {temperature: 1}}\n"
        f'template: "{{{{ text }}}}"\nvotes: {{k: 3, how: {how}}}\n',
    )
    drawn = ["price", "price, quality", "none"]
    with ScriptedServer(lambda request: say(drawn[request.attempt])) as server:
        run = start(folder, server, limit=1)
        assert server.count == 3
        (prediction,) = run.predictions
        assert prediction.labels == labels
        assert prediction.probabilities == {"shipping": 0.0, "quality": 0.333333, "price": 0.666667}
        start(folder, server, limit=1)
        assert server.count == 3  # every draw is in the cache by itself


def test_a_failed_draw_has_no_vote(folder: Folder) -> None:
    """The other draws decide; `--resume` draws the one that failed."""
    folder.prompt(
        "v2",
        'dataset: ../datasets/reviews.yaml\nmodel: scripted\ntemplate: "{{ text }}"\nvotes: {k: 3, how: all}\n',
    )
    switch = Switch(failing_first(1, error(400, "no"), then="price"))
    with ScriptedServer(switch) as server:
        run = start(folder, server, limit=1)
        (prediction,) = run.predictions
        assert prediction.labels == {"price"}
        assert prediction.failure is None
        assert run.manifest.state == "incomplete"
        switch.to("none")
        server.reset()
        again = execution.resume(load_run(run.path), folder.project)
        assert server.count == 1
    (prediction,) = again.predictions
    assert prediction.labels == frozenset()
    assert prediction.probabilities["price"] == 0.666667


# --- a second look ----------------------------------------------------------------------------------------------------


def test_a_second_pass_looks_where_the_first_is_unsure(folder: Folder) -> None:
    """`when` sees the probabilities of a decision pass; a text model answers the cells that it is asked for."""
    folder.prompt(
        "v2",
        "dataset: ../datasets/reviews.yaml\nmodel: scripted\npasses:\n"
        "  - name: first\n    model: {api: decisions}\n"
        '    template: "{{ text }}"\n'
        "  - name: second\n    when: 0.4 < scores.price < 0.6\n"
        '    template: "Price {{ scores.price }}? {{ text }}"\n    output: list\n    merge: {scope: [price]}\n',
    )

    def script(request: Request) -> Reply:
        return say(RIGHT[request.text]) if request.path == DECISIONS_PATH else say("price")

    with ScriptedServer(script) as server:
        run = start(folder, server)
        asked = [request.text for request in server.requests if request.path == CHAT_PATH]
    unsure = [text for text, labels in DEV.values() if "price" not in labels]
    assert sorted(asked) == sorted(f"Price 0.45? {text}" for text in unsure)
    assert all("price" in each.labels for each in run.predictions)
    assert by_sample(run)["s1"].probabilities == {"shipping": 0.9, "quality": 0.2}
