"""The chat API: the request is what the prompt says, and only an answer of the API's shape is a completion."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.clients import chat
from harness.prompt import Model
from harness.records import Call, Completion, Constraint

CALL = Call("s1", "main", "", 0, ({"role": "system", "content": "Label."}, {"role": "user", "content": "late"}))


def answer(message: Any, **more: Any) -> dict[str, Any]:
    """An answer with one choice."""
    return {"choices": [{"message": message, "finish_reason": "stop"}], **more}


def test_the_body_is_params_model_and_messages() -> None:
    """Params go as they are; model and messages are the call's own, in order."""
    model = Model("m", params={"temperature": 0, "logprobs": True, "extra": {"deep": [1]}})
    assert chat.body(CALL, model, "served-name") == {
        "temperature": 0,
        "logprobs": True,
        "extra": {"deep": [1]},
        "model": "served-name",
        "messages": [{"role": "system", "content": "Label."}, {"role": "user", "content": "late"}],
    }


def test_params_cannot_replace_model_or_messages() -> None:
    """A param of the same name does not change who is asked or what."""
    body = chat.body(CALL, Model("m", params={"model": "other", "messages": []}), "m")
    assert body["model"] == "m"
    assert len(body["messages"]) == 2


SCHEMA = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}


@pytest.mark.parametrize(
    ("constraint", "more"),
    [
        (None, {}),
        (
            Constraint("json_schema", schema=SCHEMA),
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "answer", "strict": True, "schema": SCHEMA},
                }
            },
        ),
        (Constraint("json_object"), {"response_format": {"type": "json_object"}}),
        (
            Constraint("grammar", grammar='root ::= "a"'),
            {"grammar": 'root ::= "a"', "structured_outputs": {"grammar": 'root ::= "a"'}},
        ),
    ],
)
def test_a_constraint_goes_as_servers_take_it(constraint: Constraint | None, more: dict[str, Any]) -> None:
    """A schema is the API's own; a grammar goes under the names of llama.cpp and of vLLM; nothing else changes."""
    model = Model("m", params={"temperature": 0})
    assert chat.body(CALL, model, "m", constraint) == {**chat.body(CALL, model, "m"), **more}


def test_an_answer_is_read_whole() -> None:
    """Text, finish reason, log-probabilities, usage and the served model are taken as they came."""
    logprobs = {"content": [{"token": "a", "logprob": -0.5, "top_logprobs": []}]}
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 3,
        "total_tokens": 13,
        "completion_tokens_details": {"reasoning_tokens": 2},
        "prompt_tokens_details": {"cached_tokens": 8},
    }
    data = {
        "model": "m-2026",
        "choices": [{"message": {"content": "a"}, "finish_reason": "length", "logprobs": logprobs}],
        "usage": usage,
    }
    assert chat.read(data) == Completion(
        "ok",
        raw="a",
        finish_reason="length",
        logprobs=logprobs,
        usage={"prompt_tokens": 10, "completion_tokens": 3, "reasoning_tokens": 2, "cached_tokens": 8},
        served_model="m-2026",
    )


def test_an_answer_needs_no_more_than_a_message() -> None:
    """All else may be missing; nothing is invented for it."""
    assert chat.read({"choices": [{"message": {}}]}) == Completion("ok")


def test_no_content_is_no_text() -> None:
    """Content null is raw None, which is not the same as the empty text."""
    assert chat.read(answer({"content": None})).raw is None
    assert chat.read(answer({"content": ""})).raw == ""


def test_a_refusal_is_a_refusal() -> None:
    """What the API marks as a refusal has the status refusal, and its words as the text."""
    completion = chat.read(answer({"content": None, "refusal": "I cannot."}))
    assert (completion.status, completion.raw) == ("refusal", "I cannot.")


@pytest.mark.parametrize("refusal", [None, "", False, [], {}])
def test_an_empty_refusal_is_none(refusal: Any) -> None:
    """A refusal without words leaves the content as the answer."""
    completion = chat.read(answer({"content": "a", "refusal": refusal}))
    assert (completion.status, completion.raw) == ("ok", "a")


def test_text_parts_are_joined() -> None:
    """Content as a list of parts is its text parts, one after the other, without the reasoning between them."""
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "shipping"},
        {"type": "text", "text": ", quality"},
    ]
    assert chat.read(answer({"content": parts})).raw == "shipping, quality"


@pytest.mark.parametrize(
    ("message", "raw", "reasoning"),
    [
        ({"content": "a", "reasoning_content": "hm"}, "a", "hm"),
        ({"content": "a", "reasoning": "hm"}, "a", "hm"),
        ({"content": "a", "reasoning_content": "", "reasoning": "hm"}, "a", "hm"),
        ({"content": "a", "reasoning": {"effort": "low"}}, "a", None),
        ({"content": "a", "reasoning_content": None}, "a", None),
        ({"content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "a"}]}, "a", "hm"),
        (
            {"content": [{"type": "thinking", "thinking": [{"text": "h"}, {"text": "m"}]}, {"text": "a"}]},
            "a",
            "h\n\nm",
        ),
        ({"content": [{"type": "reasoning", "text": "hm"}, {"type": "text", "text": "a"}]}, "a", "hm"),
        ({"content": [{"type": "reasoning", "summary": [{"text": "hm"}]}, {"type": "text", "text": "a"}]}, "a", "hm"),
        ({"content": [{"type": "thinking", "thinking": "hm"}]}, None, "hm"),
        ({"content": None, "reasoning": "hm"}, None, "hm"),
    ],
)
def test_reasoning_is_kept_apart(message: dict[str, Any], raw: str | None, reasoning: str | None) -> None:
    """What a model thought is not in its answer, wherever a server puts it."""
    completion = chat.read(answer(message))
    assert (completion.raw, completion.reasoning) == (raw, reasoning)


@pytest.mark.parametrize("content", [None, "", [{"type": "thinking", "thinking": "hm"}]])
def test_an_answer_cut_while_it_reasons_is_empty(content: Any) -> None:
    """An answer that was cut before its first word is the empty text, so that it counts as truncated."""
    data = {"choices": [{"message": {"content": content, "reasoning": "hm"}, "finish_reason": "length"}]}
    assert chat.read(data) == Completion("ok", raw="", finish_reason="length", reasoning="hm")


@pytest.mark.parametrize(
    ("content", "kind"),
    [([], "list"), ([1, "a"], "list"), ([{"type": "image"}], "list"), ({"parts": []}, "dict"), (7, "int")],
)
def test_content_without_text_is_no_answer(content: Any, kind: str) -> None:
    """Content that is there but holds no text is not the API's shape."""
    with pytest.raises(ValueError, match=rf"^message\.content must be a text, got {kind} without one$"):
        chat.read(answer({"content": content}))


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ({}, "KeyError"),
        ({"choices": []}, "IndexError"),
        ({"choices": None}, "TypeError"),
        ({"choices": [None]}, "TypeError"),
        ({"choices": [{}]}, "KeyError"),
        ({"choices": [{"text": "a"}]}, "KeyError"),
        ({"choices": [{"message": "a"}]}, "AttributeError"),
    ],
)
def test_an_answer_without_a_message_is_no_answer(data: Any, kind: str) -> None:
    """Where there is no choice with a message the error says so."""
    with pytest.raises(ValueError, match=rf"^no choices\[0\]\.message in the answer \({kind}\)$"):
        chat.read(data)


def test_an_error_in_place_of_choices_is_told() -> None:
    """A gateway that answers 200 with an error inside is quoted."""
    with pytest.raises(ValueError, match=r"^no choices.*\(KeyError\): \{'message': 'upstream is down', 'code': 502\}$"):
        chat.read({"error": {"message": "upstream is down", "code": 502}})


@pytest.mark.parametrize("data", [None, "<html>Welcome</html>", [1], 5])
def test_an_answer_that_is_no_object_hints_at_the_url(data: Any) -> None:
    """A page in place of an answer is quoted, with the usual cause."""
    with pytest.raises(
        ValueError, match=r"^the answer must be a JSON object, got '.*'\. Is the base URL that of an API"
    ):
        chat.read(data)


@pytest.mark.parametrize(
    "usage",
    [
        None,
        [],
        "many",
        {"prompt_tokens": "12", "completion_tokens": None, "prompt_tokens_details": [], "completion_tokens_details": 3},
        {"prompt_tokens": True, "completion_tokens": 1.5},
    ],
)
def test_counts_that_are_none_are_left_out(usage: Any) -> None:
    """Usage in another shape costs only the usage, never the answer."""
    completion = chat.read(answer({"content": "a"}, usage=usage))
    assert (completion.raw, completion.usage) == ("a", {})


def test_names_that_are_no_text_are_left_out() -> None:
    """A finish reason or model that is no text is as if it were not there."""
    data = {"model": ["m"], "choices": [{"message": {"content": "a"}, "finish_reason": {"why": "stop"}}]}
    assert chat.read(data) == Completion("ok", raw="a")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["choices", "message", "content", "refusal", "usage", "model", "error", "prompt_tokens"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(json_values)
def test_any_json_is_an_answer_or_a_value_error(data: Any) -> None:
    """Whatever a server sends is either a completion with a text or none, or told to be no answer."""
    try:
        completion = chat.read(data)
    except ValueError:
        return
    assert completion.raw is None or isinstance(completion.raw, str)
    assert completion.status in ("ok", "refusal")
    assert Completion.from_json(completion.to_json()) == completion
