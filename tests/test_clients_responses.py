"""The Responses API: the request is what the prompt says, and every part of an answer is read as what it is."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.clients import responses
from harness.parsing.tokens import tokens_of
from harness.prompt import Model
from harness.records import Call, Completion, Constraint

CALL = Call("s1", "main", "", 0, ({"role": "system", "content": "Label."}, {"role": "user", "content": "late"}))
SCHEMA = {"type": "object", "properties": {}, "additionalProperties": False}


def text(said: Any, **more: Any) -> dict[str, Any]:
    """A text part."""
    return {"type": "output_text", "text": said, "annotations": [], **more}


def message(*parts: Any, **more: Any) -> dict[str, Any]:
    """A message item."""
    return {"type": "message", "role": "assistant", "content": list(parts), **more}


def answer(*items: Any, **more: Any) -> dict[str, Any]:
    """A response with these output items."""
    return {"status": "completed", "output": list(items), **more}


# Requests


def test_the_body_is_params_model_and_input() -> None:
    """Params go as they are; model and messages are the call's own, in order."""
    model = Model("m", "responses", params={"max_output_tokens": 9, "reasoning": {"effort": "low"}, "input": "x"})
    assert responses.body(CALL, model, "served-name") == {
        "max_output_tokens": 9,
        "reasoning": {"effort": "low"},
        "model": "served-name",
        "input": [{"role": "system", "content": "Label."}, {"role": "user", "content": "late"}],
    }


@pytest.mark.parametrize(
    ("constraint", "asked"),
    [
        (
            Constraint("json_schema", schema=SCHEMA),
            {"type": "json_schema", "name": "answer", "strict": True, "schema": SCHEMA},
        ),
        (Constraint("json_object"), {"type": "json_object"}),
    ],
)
def test_a_constraint_is_the_format_of_the_text(constraint: Constraint, asked: dict[str, Any]) -> None:
    """A schema goes under `text.format`, beside what the params say of the text."""
    assert responses.body(CALL, Model("m"), "m", constraint)["text"] == {"format": asked}
    wordy = Model("m", params={"text": {"verbosity": "low", "format": {"type": "text"}}})
    assert responses.body(CALL, wordy, "m", constraint)["text"] == {"verbosity": "low", "format": asked}


def test_a_grammar_has_no_place() -> None:
    """The API has nothing for a grammar, so nothing is sent that would look like one."""
    with pytest.raises(ValueError, match=r"^the API 'responses' takes json_schema or json_object, got grammar$"):
        responses.body(CALL, Model("m"), "m", Constraint("grammar", grammar='root ::= "a"'))


# Answers


def test_an_answer_is_read_whole() -> None:
    """Text, finish reason, log-probabilities, usage, reasoning and the served model are taken from where they stand."""
    tokens = [{"token": "ship", "logprob": -0.1, "top_logprobs": []}, {"token": "ping", "logprob": 0.0}]
    data = answer(
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "It is late."}]},
        message(text("shipping", logprobs=tokens[:1]), text(", price", logprobs=tokens[1:])),
        model="m-2026",
        usage={
            "input_tokens": 10,
            "output_tokens": 7,
            "total_tokens": 17,
            "input_tokens_details": {"cached_tokens": 8},
            "output_tokens_details": {"reasoning_tokens": 5},
        },
    )
    assert responses.read(data) == Completion(
        "ok",
        raw="shipping, price",
        finish_reason="stop",
        logprobs={"content": tokens},
        usage={"prompt_tokens": 10, "completion_tokens": 7, "reasoning_tokens": 5, "cached_tokens": 8},
        served_model="m-2026",
        reasoning="It is late.",
    )


def test_log_probabilities_are_read_as_those_of_the_chat_api() -> None:
    """What is stored can be read by whoever reads the tokens of a completion."""
    tokens = [{"token": " yes", "logprob": 0.0, "top_logprobs": [{"token": " no", "logprob": -9999.0}]}]
    (token,) = tokens_of(responses.read(answer(message(text(" yes", logprobs=tokens)))).logprobs)
    assert (token.text, dict(token.top)) == (" yes", {" yes": 1.0, " no": 0.0})


@pytest.mark.parametrize("logprobs", [[], None, "many", {}])
def test_no_log_probabilities_are_none(logprobs: Any) -> None:
    """An empty list, which servers send unasked, is as if nothing were there."""
    assert responses.read(answer(message(text("a", logprobs=logprobs)))).logprobs is None


@pytest.mark.parametrize(
    ("more", "finish_reason"),
    [
        ({}, "stop"),
        ({"status": None}, None),
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "length"),
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, "content_filter"),
        ({"status": "incomplete", "incomplete_details": None}, "incomplete"),
        ({"status": "incomplete", "incomplete_details": {"reason": 5}}, "incomplete"),
    ],
)
def test_why_an_answer_ended(more: dict[str, Any], finish_reason: str | None) -> None:
    """An incomplete response says why, in the words of the other APIs where they have one."""
    completion = responses.read({**answer(message(text("shipp"))), **more})
    assert (completion.raw, completion.finish_reason) == ("shipp", finish_reason)


def test_a_refusal_is_a_refusal() -> None:
    """A refusal part makes the answer a refusal, with its words as the text."""
    completion = responses.read(answer(message(text("well"), {"type": "refusal", "refusal": "I cannot."})))
    assert (completion.status, completion.raw) == ("refusal", "I cannot.")


@pytest.mark.parametrize("refusal", [None, "", 5])
def test_an_empty_refusal_is_none(refusal: Any) -> None:
    """A refusal without words leaves the text as the answer."""
    completion = responses.read(answer(message(text("a"), {"type": "refusal", "refusal": refusal})))
    assert (completion.status, completion.raw) == ("ok", "a")


@pytest.mark.parametrize(
    ("item", "reasoning"),
    [
        ({"summary": [{"text": "one"}, {"text": ""}, {"text": "two"}]}, "one\n\ntwo"),
        ({"summary": [{"text": "short"}], "content": [{"type": "reasoning_text", "text": "all of it"}]}, "all of it"),
        ({"summary": [], "content": None, "encrypted_content": "x"}, None),
        ({"summary": 5}, None),
    ],
)
def test_reasoning_is_kept_apart(item: dict[str, Any], reasoning: str | None) -> None:
    """The reasoning is its own text, else its summary; nothing of it is in the answer."""
    completion = responses.read(answer({"type": "reasoning", **item}, message(text("a"))))
    assert (completion.raw, completion.reasoning) == ("a", reasoning)


def test_commentary_is_no_answer() -> None:
    """A message that is marked as commentary belongs to the reasoning, one that is the final answer to the answer."""
    data = answer(message(text("I look."), phase="commentary"), message(text("a"), phase="final_answer"))
    completion = responses.read(data)
    assert (completion.raw, completion.reasoning) == ("a", "I look.")


def test_an_answer_cut_while_it_reasons_is_empty() -> None:
    """An answer that was cut before its first word is the empty text, so that it counts as truncated."""
    data = answer({"type": "reasoning", "summary": [{"text": "hm"}]}, status="incomplete")
    cut = responses.read({**data, "incomplete_details": {"reason": "max_output_tokens"}})
    assert (cut.raw, cut.reasoning, cut.finish_reason) == ("", "hm", "length")


def test_no_message_is_no_text() -> None:
    """A finished response without a message has no text, and nothing is invented for it."""
    assert responses.read(answer({"type": "web_search_call"}, "odd")) == Completion("ok", finish_reason="stop")


def test_content_may_be_a_text() -> None:
    """A server that writes the content of a message as a text is understood; other content is no text."""
    assert responses.read(answer({"type": "message", "content": "a"})).raw == "a"
    assert responses.read(answer({"type": "message", "content": 5}, message("odd", {"type": "image"}))).raw is None


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ({}, "no finished output in the answer (status None)"),
        ({"choices": []}, "no finished output in the answer (status None)"),
        ({"output": {}}, "no finished output in the answer (status None)"),
        (
            {"status": "failed", "output": [], "error": {"code": "server_error", "message": "down"}},
            "no finished output in the answer (status failed): {'code': 'server_error', 'message': 'down'}",
        ),
        ({"status": "in_progress", "output": []}, "no finished output in the answer (status in_progress)"),
        ({"error": {"message": "upstream"}}, "no finished output in the answer (status None): {'message': 'upstream'}"),
        ("<p>", "the answer must be a JSON object, got '<p>'. Is the base URL that of an API?"),
    ],
)
def test_what_is_no_response_is_no_answer(data: Any, why: str) -> None:
    """An error inside a 200, an unfinished response and another shape are told, never read as an answer."""
    with pytest.raises(ValueError, match=f"^{re.escape(why)}$"):
        responses.read(data)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(["message", "reasoning", "completed", "commentary", "a"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["status", "output", "type", "content", "text", "refusal", "summary", "logprobs", "usage", "phase"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=14,
)


@given(json_values, json_values)
def test_any_json_is_an_answer_or_a_value_error(data: Any, item: Any) -> None:
    """Whatever a server sends is either a completion with a text or none, or told to be no answer."""
    for each in (data, answer(item, message(item), {"type": "reasoning", "summary": item})):
        try:
            completion = responses.read(each)
        except ValueError:
            continue
        assert completion.raw is None or isinstance(completion.raw, str)
        assert Completion.from_json(completion.to_json()) == completion
