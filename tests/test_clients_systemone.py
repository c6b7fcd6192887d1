"""The System One API: named questions about a state, and answers by name in the form of every decision API."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import openai
import pytest
from hypothesis import given
from scripted_server import ScriptedServer
from test_clients_decisions import QUESTIONS, SYSTEM, USER, call, json_values

from harness.clients import decisions, systemone
from harness.clients.remote import RemoteClient
from harness.project import Settings
from harness.prompt import Model
from harness.records import Completion, Constraint


def wrong(data: Any) -> str:
    """Return why an answer is none."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is asserted by the callers
        systemone.read(data)
    return str(caught.value)


def test_the_body_has_a_state_and_questions_by_name() -> None:
    """One user message is the state; labels are `noul` questions, fields choices with options without a description."""
    assert systemone.body(call(), Model("m", params={"seed": 1}), "served") == {
        "seed": 1,
        "model": "served",
        "state": "Late, and dear.",
        "questions": {
            "shipping": {"type": "noul", "instructions": "It came late."},
            'Größe "XL"': {"type": "noul", "instructions": "It is about size."},
            "mood": {"type": "choice", "instructions": "mood", "criteria": {"happy": None, "mad": None}},
            "vip": {"type": "choice", "instructions": "vip", "criteria": {"true": None, "false": None}},
        },
    }


def test_several_messages_are_an_object_of_messages() -> None:
    """Everything but a single user message is a state with roles."""
    assert systemone.body(call(SYSTEM, USER), Model("m"), "m")["state"] == {"messages": [dict(SYSTEM), dict(USER)]}


def test_nothing_can_be_constrained() -> None:
    """A constraint is refused: there is no text that could have one."""
    with pytest.raises(
        ValueError, match="the API 'systemone' writes no text that could be constrained, got json_object"
    ):
        systemone.body(call(), Model("m"), "m", Constraint("json_object"))


def test_an_answer_is_kept_as_that_of_the_decisions_api() -> None:
    """The documented example of llama.cpp's server becomes the same text as its twin of the Decisions API."""
    data = {
        "model": "openjev",
        "answers": {
            "route": {
                "type": "choice",
                "choice": "billing",
                "probabilities": {"billing": 0.9998, "shipping": 0.0002},
                "confidence": 0.9997,
            },
            "angry": {"type": "noul", "noul": 0.6328, "confidence": 0.2},
        },
        "usage": {"input_tokens": 239, "output_tokens": 0},
    }
    twin = [
        {
            "name": "route",
            "type": "choice",
            "choice": "billing",
            "confidence": 0.9997,
            "probabilities": [
                {"value": "billing", "probability": 0.9998},
                {"value": "shipping", "probability": 0.0002},
            ],
        },
        {"name": "angry", "type": "predicate", "probability": 0.6328},
    ]
    completion = systemone.read(data)
    assert completion.raw == decisions.read({"answers": twin}).raw
    assert completion.usage == {"prompt_tokens": 239, "completion_tokens": 0}
    assert completion.served_model == "openjev"


def test_a_choice_needs_no_probabilities() -> None:
    """Some servers give the choice alone."""
    raw = systemone.read({"answers": {"mood": {"type": "choice", "choice": "mad"}}}).raw
    assert raw == '[{"name":"mood","type":"choice","choice":"mad"}]'


def test_a_refusal_is_read_as_in_the_decisions_api() -> None:
    """A refused question stays one, and a refusal of everything is a refusal."""
    answers = {"a": {"type": "refusal"}, "b": {"type": "noul", "noul": 1}}
    assert systemone.read({"answers": answers}).raw == (
        '[{"name":"a","type":"refusal"},{"name":"b","type":"predicate","probability":1}]'
    )
    assert systemone.read({"answers": {"a": {"type": "refusal"}}}) == Completion(
        "refusal", "all 1 questions were refused"
    )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("<html>", "the answer must be a JSON object, got '<html>'. Is the base URL that of an API?"),
        ({"answers": {}}, "no answers in the answer"),
        ({"answers": [1]}, "answers must be an object, got list"),
        (
            {"answers": {"a": 0.5}},
            "the answer to 'a' must be a predicate with a probability, a choice or a refusal, "
            "got {'type': None, 'got': 0.5}",
        ),
        (
            {"answers": {"a": {"type": "noul", "noul": None}}},
            "the answer to 'a' must be a predicate with a probability, a choice or a refusal, "
            "got {'type': 'predicate', 'probability': None}",
        ),
        (
            {"answers": {"a": {"type": "score", "score": 2.1}}},
            "the answer to 'a' must be a predicate with a probability, a choice or a refusal, "
            "got {'type': 'score', 'score': 2.1}",
        ),
    ],
)
def test_what_is_no_answer_is_told(data: Any, message: str) -> None:
    """An answer without the API's shape is an error of the call."""
    assert wrong(data) == message


@given(json_values)
def test_no_answer_breaks_the_client(data: Any) -> None:
    """Whatever comes, it is a completion or a ValueError."""
    for each in (data, {"answers": data}):
        with suppress(ValueError):
            systemone.read(each)


async def test_our_request_is_that_of_the_openai_package() -> None:
    """What we put on the wire is what the openai client would post to `/systemone`: same URL, same body."""
    said = json.dumps({"shipping": 0.9, "mood": {"mad": 0.8, "happy": 0.2}, "vip": {"true": 0.1, "false": 0.9}})
    with ScriptedServer(said) as server:
        ours = RemoteClient(Model("m", "systemone", server.base_url), Settings(), "sk-test")
        body = ours.body(call(SYSTEM, USER))
        mine = await ours.send(body)
        await ours.close()
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key="sk-test") as reference:
            theirs: Any = await reference.post("/systemone", body=body, cast_to=object)
        first, second = server.requests
    assert (first.path, first.body) == (second.path, second.body)
    assert first.path == "/v1/systemone"
    assert list(theirs["answers"]) == [each["name"] for each in QUESTIONS]
    assert [each["name"] for each in json.loads(str(mine.raw))] == [each["name"] for each in QUESTIONS]
