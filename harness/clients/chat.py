"""The chat completions API: what a call looks like on the wire, and how its answer is read. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.prompt import Model
from harness.records import Call, Completion, Constraint, Usage

PATH = "/chat/completions"


def body(call: Call, model: Model, served_as: str, constraint: Constraint | None = None) -> dict[str, Any]:
    """Return the request of a call; the prompt's params are passed on as they are."""
    asked = {**model.params, "model": served_as, "messages": [dict(message) for message in call.messages]}
    return asked if constraint is None else {**asked, **constrained(constraint)}


def constrained(constraint: Constraint) -> dict[str, Any]:
    """Return what a request carries so that its answer is constrained.

    A grammar goes under the names of llama.cpp (``grammar``) and of vLLM (``structured_outputs``); neither minds the other.
    """
    if constraint.form == "json_schema":
        named = {"name": "answer", "strict": True, "schema": constraint.schema}
        return {"response_format": {"type": "json_schema", "json_schema": named}}
    if constraint.form == "json_object":
        return {"response_format": {"type": "json_object"}}
    return {"grammar": constraint.grammar, "structured_outputs": {"grammar": constraint.grammar}}


def read(data: Any) -> Completion:
    """Return the completion in an answer.

    Raises:
        ValueError: The answer has not the API's shape.
    """
    if not isinstance(data, dict):
        raise ValueError(f"the answer must be a JSON object, got {str(data)[:100]!r}. Is the base URL that of an API?")
    try:
        choice = data["choices"][0]
        message = choice["message"]
        content, refusal = message.get("content"), message.get("refusal")
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        said = f": {data['error']}"[:300] if data.get("error") else ""
        raise ValueError(f"no choices[0].message in the answer ({type(error).__name__}){said}") from None
    text = _text(content)
    refused = isinstance(refusal, str) and refusal != ""
    return Completion(
        status="refusal" if refused else "ok",
        raw=refusal if refused else text,
        finish_reason=_word(choice.get("finish_reason")),
        logprobs=choice.get("logprobs"),
        usage=_usage(data.get("usage")),
        served_model=_word(data.get("model")),
    )


def _text(content: Any) -> str | None:
    """Return the text of a message; of a list of parts (reasoning beside the answer) the text parts alone, joined."""
    if content is None or isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else [content]
    texts = [part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)]
    if not texts:
        raise ValueError(f"message.content must be a text, got {type(content).__name__} without one")
    return "".join(texts)


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _usage(given: Any) -> Usage:
    """Return the counts that are there and are counts."""
    usage: Usage = {}
    if (tokens := _count(given, "prompt_tokens")) is not None:
        usage["prompt_tokens"] = tokens
    if (tokens := _count(given, "completion_tokens")) is not None:
        usage["completion_tokens"] = tokens
    if (tokens := _count(_part(given, "completion_tokens_details"), "reasoning_tokens")) is not None:
        usage["reasoning_tokens"] = tokens
    if (tokens := _count(_part(given, "prompt_tokens_details"), "cached_tokens")) is not None:
        usage["cached_tokens"] = tokens
    return usage


def _part(given: Any, name: str) -> Any:
    return given.get(name) if isinstance(given, Mapping) else None


def _count(given: Any, name: str) -> int | None:
    value = _part(given, name)
    return value if type(value) is int else None  # bool is an int too
