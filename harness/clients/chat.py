"""The chat completions API: what a call looks like on the wire, and how its answer is read. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.prompt import Model
from harness.records import Call, Completion, Usage

PATH = "/chat/completions"


def body(call: Call, model: Model, served_as: str) -> dict[str, Any]:
    """Return the request of a call; the prompt's params are passed on as they are."""
    return {**model.params, "model": served_as, "messages": [dict(message) for message in call.messages]}


def read(data: Any) -> Completion:
    """Return the completion in an answer.

    Raises:
        ValueError: The answer has not the API's shape.
    """
    try:
        choice = data["choices"][0]
        message = choice["message"]
        content = message.get("content")
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(f"no choices[0].message in the answer ({type(error).__name__}: {error})") from None
    if content is not None and not isinstance(content, str):
        raise ValueError(f"message.content must be a text, got {type(content).__name__}")
    refusal = message.get("refusal")
    return Completion(
        status="refusal" if refusal else "ok",
        raw=refusal or content,
        finish_reason=choice.get("finish_reason"),
        logprobs=choice.get("logprobs"),
        usage=_usage(data.get("usage") or {}),
        served_model=data.get("model"),
    )


def _usage(given: Mapping[str, Any]) -> Usage:
    usage: Usage = {}
    if isinstance(tokens := given.get("prompt_tokens"), int):
        usage["prompt_tokens"] = tokens
    if isinstance(tokens := given.get("completion_tokens"), int):
        usage["completion_tokens"] = tokens
    if isinstance(tokens := (given.get("completion_tokens_details") or {}).get("reasoning_tokens"), int):
        usage["reasoning_tokens"] = tokens
    if isinstance(tokens := (given.get("prompt_tokens_details") or {}).get("cached_tokens"), int):
        usage["cached_tokens"] = tokens
    return usage
