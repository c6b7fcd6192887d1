"""What HTTP errors say, in the words of several servers, and which of them are about a parameter of the prompt."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.clients.faults import Fault, read_fault, rejected

PARAMS: dict[str, Any] = {
    "temperature": 0.5,
    "max_tokens": 64,
    "top_logprobs": 5,
    "stop": ["\n"],
    "response_format": {},
}
SENT = {**PARAMS, "model": "m", "messages": []}


def fault(message: Any, *, param: Any = None, code: Any = None, **more: Any) -> Fault:
    """What an OpenAI-shaped error says."""
    return read_fault(json.dumps({"error": {"message": message, "param": param, "code": code, **more}}).encode())


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"<h1>Bad</h1>", Fault("<h1>Bad</h1>")),
        (b"", Fault("")),
        (b"[1]", Fault("[1]")),
        (b"[" * 100_000, Fault("[" * 100_000)),
        (b'{"error": {"message": "no", "code": "c", "param": "a.b[0]"}}', Fault("no", "c", ("a",))),
        (b'{"error": {"message": "no", "code": 400, "param": null}}', Fault("no")),
        (b'{"object": "error", "message": "no", "param": "a", "code": 400}', Fault("no", None, ("a",))),
        (
            b'{"detail": [{"loc": ["body", "temperature"], "msg": "too hot"}, {"loc": ["query", "x"]}, 5]}',
            Fault("body.temperature: too hot; query.x: is wrong", None, ("temperature",)),
        ),
        (
            b'{"message": {"detail": [{"loc": ["body", "a", 0], "msg": "extra"}]}, "type": "invalid_request_error"}',
            Fault("body.a.0: extra", None, ("a",)),
        ),
        (b'{"detail": "Not found"}', Fault('{"detail": "Not found"}')),
        (b'{"detail": [{"loc": "body"}]}', Fault('{"detail": [{"loc": "body"}]}')),
    ],
)
def test_an_error_of_any_shape_is_read(body: bytes, expected: Fault) -> None:
    """The words, the code and the names of parameters, from where the servers put them."""
    assert read_fault(body) == expected


@pytest.mark.parametrize(
    ("said", "names"),
    [
        (
            fault(
                "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
                param="max_tokens",
                code="unsupported_parameter",
            ),
            ("max_tokens",),
        ),
        (fault("Unsupported parameter: 'max_tokens' is not supported.", code="invalid_request_body"), ("max_tokens",)),
        (
            fault(
                "Unsupported value: 'temperature' does not support 0.5.", param="temperature", code="unsupported_value"
            ),
            ("temperature",),
        ),
        (fault("Unrecognized request argument supplied: top_logprobs"), ("top_logprobs",)),
        (fault("Unrecognized request arguments supplied: stop, top_logprobs"), ("stop", "top_logprobs")),
        (fault("temperature must be non-negative, got 0.5.", code=400), ("temperature",)),
        (fault("Too many (parameter=top_logprobs, value=5)", code=400), ("top_logprobs",)),
        (fault("[{'type': 'float', 'loc': ('body', 'temperature'), 'msg': 'bad'}]", code=400), ("temperature",)),
        (fault("top_logprobs requires logprobs to be set to true"), ("top_logprobs",)),
        (fault("Field 'max_tokens': type must be number, but is string"), ("max_tokens",)),
        (fault("max_tokens for `m` must be less than or equal to 32"), ("max_tokens",)),
        (fault("openai does not support parameters: ['stop'], for model='m'"), ("stop",)),
        (fault("no more than 4 stop sequences, got 5", param="stop[3]"), ("stop",)),
        (fault("`temperature` has no place beside `stop`"), ("temperature", "stop")),
        (read_fault(b'{"detail": [{"loc": ["body", "temperature"], "msg": "not a number"}]}'), ("temperature",)),
        (fault("Unknown.", param="response_format"), ("response_format",)),
    ],
)
def test_a_rejected_parameter_is_named(said: Fault, names: tuple[str, ...]) -> None:
    """The parameters of the prompt that a server names, in a place of their own or in its words."""
    assert rejected(said, SENT, PARAMS) == names


@pytest.mark.parametrize(
    "said",
    [
        fault("This model's maximum context length is 4096 tokens.", param="messages", code="context_length_exceeded"),
        fault("'max_tokens' is too large: 64. This model's maximum context length is 100", param="max_tokens"),
        fault("Requests with max_tokens: over the limit", param="max_tokens", code="context_length_exceeded"),
        fault("`inputs` tokens + `max_tokens` must be <= 1024"),
        fault("max_tokens must be at least 1, got -186.", code=400),
        fault("The prompt is too long: 9000 tokens, 'max_tokens' is 64"),
        fault("filtered by the content management policy", param="prompt", code="content_filter"),
        fault("Invalid prompt: 'stop' that", code="invalid_prompt"),
        fault("'messages' must contain the word 'json'", param="messages"),
        fault("Unknown parameter: 'top_k'.", param="top_k"),
        fault("please stop sending this temperature"),
        fault("model 'm' is not loaded"),
        fault("something else"),
        Fault(""),
    ],
)
def test_what_is_no_matter_of_a_parameter_is_none(said: Fault) -> None:
    """The text of one request (too long, filtered), what was not sent, and words that only sound so, stop no run."""
    assert rejected(said, SENT, PARAMS) == ()


def test_a_constraint_is_no_parameter_of_the_prompt() -> None:
    """What was added to constrain the answer can be left out again, so its rejection is not that of a parameter."""
    for key, message in (("grammar", "Unknown parameter: 'grammar'."), ("text", "'text' and 'temperature' cannot be")):
        assert rejected(fault(message), {**SENT, key: {}}, PARAMS) == ()
        assert rejected(fault(message, param=key), {**SENT, key: {}}, PARAMS) == ()
    wordy = {"text": {"verbosity": "low"}}
    unsupported = fault("Unsupported parameter: 'text'", param="text")
    assert rejected(unsupported, {"text": {"verbosity": "low", "format": {}}}, wordy) == ()
    assert rejected(unsupported, wordy, wordy) == ("text",)


@given(
    st.binary(max_size=80) | st.text(max_size=60).map(lambda text: json.dumps({"error": {"message": text}}).encode())
)
def test_any_body_can_be_read(body: bytes) -> None:
    """Whatever a server sends with an error is read without an exception."""
    said = read_fault(body)
    assert set(rejected(said, SENT, PARAMS)) <= PARAMS.keys()
