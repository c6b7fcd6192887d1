"""Shots by embeddings: asked of the pass's own server, each text once, and frozen with the samples."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest
from projects import DEV, PROMPT, SHOTS, Folder, Switch, right_but
from scripted_server import EMBEDDINGS_PATH, Reply, ScriptedServer, error

from harness import execution
from harness.embeddings import with_embedded, with_expected
from harness.errors import DataError, ModelError
from harness.outlook import foresee
from harness.planning import Plan, with_stand_ins
from harness.records import Sample
from harness.rescoring import rescore
from harness.selection import Selection

EMBEDDED = PROMPT + "shots: {from: ../datasets/shots.jsonl, k: 2, select: similar, by: embeddings, model: e5}\n"


def planned(folder: Folder, server: ScriptedServer) -> Plan:
    """Return the plan of a run with shots by embeddings."""
    folder.prompt("v2", EMBEDDED)
    return folder.plan("v2", base_url=server.base_url)


def asked_texts(server: ScriptedServer) -> list[str]:
    """Return every text whose vector was asked for."""
    return [text for each in server.requests if each.path == EMBEDDINGS_PATH for text in each.body["input"]]


def test_each_sample_gets_the_shots_that_are_nearest_by_vector(folder: Folder) -> None:
    """The server's vectors decide, with the model that the section names."""
    with ScriptedServer(right_but()) as server:
        plan = planned(folder, server)
        samples = with_embedded(plan.prompt, plan.space, plan.samples, folder.project)
        assert {each.body["model"] for each in server.requests} == {"e5"}
        assert sorted(asked_texts(server)) == sorted(
            {str(each.inputs["text"]) for each in (*plan.samples, *plan.prompt.passes[0].shots.samples)}  # type: ignore[union-attr]
        )
    assert all(len(each.shots["main"]) == 2 for each in samples)
    assert [replace(each, shots={}) for each in samples] == list(plan.samples)


def test_what_is_nearest_comes_last(folder: Folder) -> None:
    """The vectors' cosine orders the shots."""
    vectors = {"Lost in the post.": [1.0, 0.0], "All fine.": [0.0, 1.0], "Wobbly and overpriced.": [0.6, 0.6]}

    def script(request: object) -> Reply:
        body = request.body  # type: ignore[attr-defined]
        return Reply(vectors=[vectors.get(text, [0.1, 3.0]) for text in body["input"]])

    with ScriptedServer(script) as server:
        plan = planned(folder, server)
        samples = with_embedded(plan.prompt, plan.space, plan.samples, folder.project)
    assert {each.shots["main"] for each in samples} == {("w3", "w2")}


def test_no_vector_is_paid_twice(folder: Folder) -> None:
    """Vectors come from the cache the second time, and give the same choice; a new text alone is asked for."""
    with ScriptedServer("none") as server:
        plan = planned(folder, server)
        assert with_expected(plan.prompt, plan.space, plan.samples, folder.project) == (
            with_stand_ins(plan.prompt, plan.space, plan.samples),
            len(SHOTS) + len(DEV),
        )
        assert server.requests == []
        first = with_embedded(plan.prompt, plan.space, plan.samples, folder.project)
        n_asked = len(server.requests)
        assert with_embedded(plan.prompt, plan.space, plan.samples, folder.project) == first
        assert with_expected(plan.prompt, plan.space, plan.samples, folder.project) == (first, 0)
        fresh = with_expected(plan.prompt, plan.space, plan.samples, folder.project, use_cache=False)[1]
        assert fresh == len(SHOTS) + len(DEV)
        assert len(server.requests) == n_asked
        new = (*plan.samples, Sample("new", {"text": "A new text."}, frozenset()))
        with_embedded(plan.prompt, plan.space, new, folder.project)
        assert asked_texts(server)[-1] == "A new text."
        assert len(server.requests) == n_asked + 1
        with_embedded(plan.prompt, plan.space, plan.samples, folder.project, use_cache=False)
        assert len(server.requests) == n_asked + 2


def test_a_run_keeps_the_choice(folder: Folder) -> None:
    """What was chosen stands with the samples of the run, so that it can be resumed without the vectors."""
    with ScriptedServer(right_but()) as server:
        plan = planned(folder, server)
        chosen = [each.shots for each in with_embedded(plan.prompt, plan.space, plan.samples, folder.project)]
        assert foresee(plan, folder.project).cached == 0
        run = execution.start(plan, folder.project)
        assert foresee(plan, folder.project).cached == len(plan.samples)  # the cache has the vectors too
        server.reset()
        assert rescore(run, folder.project).missing == 0
        assert server.count == 0
    assert [each.shots for each in run.samples] == chosen
    row = json.loads((run.path / "samples.jsonl").read_text().splitlines()[0])
    assert len(row["shots"]["main"]) == 2


def test_shots_that_are_not_chosen_are_no_silent_others(folder: Folder) -> None:
    """A sample whose shots were never chosen cannot be asked."""
    from harness.predict import predict

    with ScriptedServer(right_but()) as server:
        plan = planned(folder, server)
    with pytest.raises(DataError, match="sample s1, pass main: its shots are not chosen yet"):
        next(predict(plan.prompt, plan.space, plan.samples[0]))
    assert next(predict(plan.prompt, plan.space, with_stand_ins(plan.prompt, plan.space, plan.samples)[0]))


def test_it_works_where_a_loop_runs(folder: Folder) -> None:
    """In a notebook a loop runs already."""

    async def inside(plan: Plan) -> tuple[Sample, ...]:
        return with_embedded(plan.prompt, plan.space, plan.samples, folder.project)

    with ScriptedServer(right_but()) as server:
        plan = planned(folder, server)
        assert all(each.shots for each in asyncio.run(inside(plan)))


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (error(404, "no such model"), "not found (404): no such model."),
        (error(500, "down"), "gives no answer: down."),
        (Reply(vectors=[[1.0, 0.0]]), "/embeddings must answer with one vector for each of 9 texts, got {"),
        (Reply(vectors=[[1.0]] * 8 + [[1.0, 2.0]]), "must answer with one vector for each of 9 texts"),
        (Reply(vectors=[[]] * 9), "must answer with one vector for each of 9 texts"),
        (Reply(raw_body=b'{"data": [{"index": 0}]}'), 'got {"data": [{"index": 0}]}. Is it an embedding model?'),
    ],
)
def test_a_server_without_vectors_is_told(folder: Folder, reply: Reply, expected: str) -> None:
    """What the server cannot do stops the run before any call is paid."""
    with ScriptedServer(reply) as server:
        plan = planned(folder, server)
        with pytest.raises(ModelError) as caught:
            with_embedded(plan.prompt, plan.space, plan.samples, folder.project)
    assert expected in str(caught.value)


def test_another_model_behind_the_same_name_is_told(folder: Folder) -> None:
    """Vectors that are not as long as those in the cache cannot be compared with them."""
    switch = Switch(Reply(vectors=[[1.0, 0.0]] * 9))
    with ScriptedServer(switch) as server:
        plan = planned(folder, server)
        with_embedded(plan.prompt, plan.space, plan.samples, folder.project)
        switch.to(Reply(vectors=[[1.0]]))
        new = (*plan.samples, Sample("new", {"text": "A new text."}, frozenset()))
        with pytest.raises(ModelError, match=r"model e5: its vectors are not as long as those in the cache\."):
            with_embedded(plan.prompt, plan.space, new, folder.project)


def test_a_selection_asks_for_its_own_texts_alone(folder: Folder) -> None:
    """Vectors are asked for the samples of the run, not of the split."""
    with ScriptedServer(right_but()) as server:
        folder.prompt("v2", EMBEDDED)
        plan = folder.plan("v2", base_url=server.base_url, limit=1)
        assert plan.selection == Selection(limit=1)
        with_embedded(plan.prompt, plan.space, plan.samples, folder.project)
        assert len(asked_texts(server)) == 4
