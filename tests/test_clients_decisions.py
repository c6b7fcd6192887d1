"""The Decisions API: the request is what the openai package would send, and only named answers are answers."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_server import ScriptedServer

from harness.clients import decisions
from harness.clients.remote import RemoteClient
from harness.project import Settings
from harness.prompt import Model
from harness.records import Call, Completion, Constraint, Message, Question

USER: Message = {"role": "user", "content": "Late, and dear."}
SYSTEM: Message = {"role": "system", "content": "You judge reviews."}
QUESTIONS = (
    Question(name="shipping", kind="predicate", instructions="It came late."),
    Question(name='Größe "XL"', kind="predicate", instructions="It is about size."),
    Question(name="mood", kind="choice", instructions="mood", choices=("happy", "mad")),
    Question(name="vip", kind="choice", instructions="vip", choices=(True, False)),
)
ANSWERS = [
    {"name": "shipping", "type": "predicate", "probability": 0.9},
    {"name": 'Größe "XL"', "type": "refusal"},
    {
        "name": "mood",
        "type": "choice",
        "choice": "mad",
        "confidence": 0.6,
        "probabilities": [{"value": "happy", "probability": 0.2}, {"value": "mad", "probability": 0.8}],
    },
]


def call(*messages: Message) -> Call:
    """Return a call with all questions."""
    return Call("s", "main", "", 0, messages or (USER,), questions=QUESTIONS)


def wrong(data: Any) -> str:
    """Return why an answer is none."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is asserted by the callers
        decisions.read(data)
    return str(caught.value)


def test_the_body_has_the_text_and_typed_questions() -> None:
    """One user message goes as its text; labels are predicates, fields choices, each under its own name."""
    assert decisions.body(call(), Model("m", params={"safety_identifier": "u1", "model": "other"}), "served") == {
        "safety_identifier": "u1",
        "model": "served",
        "input": "Late, and dear.",
        "questions": [
            {"type": "predicate", "name": "shipping", "instructions": "It came late."},
            {"type": "predicate", "name": 'Größe "XL"', "instructions": "It is about size."},
            {
                "type": "choice",
                "name": "mood",
                "instructions": "mood",
                "choices": [{"value": "happy"}, {"value": "mad"}],
            },
            {"type": "choice", "name": "vip", "instructions": "vip", "choices": [{"value": True}, {"value": False}]},
        ],
    }


@pytest.mark.parametrize("messages", [(SYSTEM, USER), (SYSTEM,), (USER, USER)])
def test_other_messages_go_as_messages(messages: tuple[Message, ...]) -> None:
    """Everything but a single user message keeps its roles and its order."""
    assert decisions.body(call(*messages), Model("m"), "m")["input"] == [dict(each) for each in messages]


def test_nothing_can_be_constrained() -> None:
    """A constraint is refused: there is no text that could have one."""
    with pytest.raises(ValueError, match="the API 'decisions' writes no text that could be constrained, got grammar"):
        decisions.body(call(), Model("m"), "m", Constraint("grammar", grammar="root ::= x"))


def test_an_answer_is_kept_as_json_by_name() -> None:
    """The text is the answers in their order, under the names that were sent, beside usage and the served model."""
    usage = {
        "input_tokens": 40,
        "output_tokens": 3,
        "total_tokens": 43,
        "input_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 1},
    }
    completion = decisions.read({"model": "gpt-x-2026", "answers": ANSWERS, "usage": usage})
    assert completion == Completion(
        "ok",
        raw=json.dumps(ANSWERS, ensure_ascii=False, separators=(",", ":")),
        usage={"prompt_tokens": 40, "completion_tokens": 3, "reasoning_tokens": 1, "cached_tokens": 8},
        served_model="gpt-x-2026",
    )


def test_what_an_answer_has_beyond_its_type_is_not_kept() -> None:
    """Nulls and unknown keys are left out, so that the text stays the same whatever a server adds."""
    given = {"name": "a", "type": "predicate", "probability": 1, "explanation": "x", "score": None}
    choice = {"name": "b", "type": "choice", "choice": True, "confidence": None, "probabilities": None}
    assert json.loads(str(decisions.read({"answers": [given, choice]}).raw)) == [
        {"name": "a", "type": "predicate", "probability": 1},
        {"name": "b", "type": "choice", "choice": True},
    ]


def test_a_refusal_of_everything_is_a_refusal() -> None:
    """When no question was answered the completion is a refusal, and says so in words."""
    refused = [{"name": name, "type": "refusal"} for name in ("a", "b")]
    assert decisions.read({"answers": refused}) == Completion("refusal", raw="all 2 questions were refused")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "the answer must be a JSON object, got '[]'. Is the base URL that of an API?"),
        ({}, "no answers in the answer"),
        ({"answers": [], "error": "busy"}, "no answers in the answer: busy"),
        ({"answers": {"a": 1}}, "answers must be a list, got dict"),
        ({"answers": ["yes"]}, "answer 1 must have the name of its question, got yes"),
        (
            {"answers": [ANSWERS[0], {"name": None, "type": "refusal"}]},
            "answer 2 must have the name of its question, got {'name': None, 'type': 'refusal'}",
        ),
        ({"answers": [ANSWERS[0], ANSWERS[0]]}, "two answers to one question: shipping"),
        (
            {"answers": [{"name": "a", "type": "predicate", "probability": 1.5}]},
            "the answer to 'a' must be a predicate with a probability, a choice or a refusal, "
            "got {'name': 'a', 'type': 'predicate', 'probability': 1.5}",
        ),
        (
            {"answers": [{"name": "a", "type": "choice", "choice": 3}]},
            "the answer to 'a' must be a predicate with a probability, a choice or a refusal, "
            "got {'name': 'a', 'type': 'choice', 'choice': 3}",
        ),
    ],
)
def test_what_is_no_answer_is_told(data: Any, message: str) -> None:
    """An answer without the API's shape, without names, or twice to one question, is an error of the call."""
    assert wrong(data) == message


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -0.1, True, "0.5", None, 10**400])
def test_what_is_no_probability_is_none(number: Any) -> None:
    """Only a number within [0, 1] is a probability."""
    assert wrong({"answers": [{"name": "a", "type": "predicate", "probability": number}]}).startswith(
        "the answer to 'a'"
    )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "type", "answers"]), inner),
    max_leaves=12,
)


@given(json_values | st.fixed_dictionaries({"answers": json_values}))
def test_no_answer_breaks_the_client(data: Any) -> None:
    """Whatever comes, it is a completion or a ValueError."""
    with suppress(ValueError):
        decisions.read(data)


async def test_our_request_is_that_of_the_openai_package() -> None:
    """What we put on the wire is what `client.decisions.create` would: same URL, same body, same answers."""
    said = json.dumps({"shipping": 0.9, 'Größe "XL"': None, "mood": {"mad": 0.8, "happy": 0.2}, "vip": {"False": 0.7}})
    with ScriptedServer(said) as server:
        ours = RemoteClient(Model("m", "decisions", server.base_url), Settings(), "sk-test")
        body = ours.body(call(SYSTEM, USER))
        mine = await ours.send(body)
        await ours.close()
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key="sk-test") as reference:
            theirs = await reference.decisions.create(**body)
        first, second = server.requests
    assert (first.path, first.body) == (second.path, second.body)
    assert first.path == "/v1/decisions"
    assert json.loads(str(mine.raw)) == [each.to_dict() for each in theirs.answers]
    assert [each.type for each in theirs.answers] == ["predicate", "refusal", "choice", "choice"]
    assert mine.usage["prompt_tokens"] == theirs.usage.input_tokens
