"""The Responses API: what a call looks like on the wire, and how its answer is read. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from harness.clients.reading import answer_object, error_said, joined, started, texts_in, usage_of, word
from harness.prompt import Model
from harness.records import Call, Completion, Constraint

PATH = "/responses"

_REASONS = {"max_output_tokens": "length"}
"""Why a response is incomplete, in the words of the other APIs; the rest goes by its own name."""


def body(call: Call, model: Model, served_as: str, constraint: Constraint | None = None) -> dict[str, Any]:
    """Return the request of a call; the prompt's params are passed on as they are.

    Raises:
        ValueError: The constraint is a grammar, for which this API has no place.
    """
    asked = {**model.params, "model": served_as, "input": [dict(message) for message in call.messages]}
    if constraint is None:
        return asked
    said = asked.get("text")
    return {**asked, "text": {**(said if isinstance(said, Mapping) else {}), "format": _format(constraint)}}


def _format(constraint: Constraint) -> dict[str, Any]:
    if constraint.form == "json_schema":
        return {"type": "json_schema", "name": "answer", "strict": True, "schema": constraint.schema}
    if constraint.form == "json_object":
        return {"type": "json_object"}
    raise ValueError(f"the API 'responses' takes json_schema or json_object, got {constraint.form}")


def read(data: Any, latency_s: float = 0.0) -> Completion:
    """Return the completion in an answer.

    The text is that of all message items, the reasoning that of the reasoning items (their text, else its summary) and
    of messages that are marked as commentary. An incomplete response has the reason for it as its finish reason,
    "length" for ``max_output_tokens``. Log-probabilities are stored in the shape of the chat API.

    Raises:
        ValueError: The answer has not the API's shape, or is no finished response.
    """
    data = answer_object(data)
    output, status = data.get("output"), data.get("status")
    if not isinstance(output, list) or status not in ("completed", "incomplete", None):
        raise ValueError(f"no finished output in the answer (status {status}){error_said(data)}")
    items = [item for item in output if isinstance(item, dict)]
    messages = [item for item in items if item.get("type") == "message" and item.get("phase") != "commentary"]
    parts = [part for item in messages for part in _parts(item)]
    texts = [part["text"] for part in parts if isinstance(part.get("text"), str)]
    refusals = [part["refusal"] for part in parts if isinstance(part.get("refusal"), str) and part["refusal"]]
    finish_reason = _finish_reason(data)
    return Completion(
        status="refusal" if refusals else "ok",
        raw="".join(refusals) if refusals else started("".join(texts) if texts else None, finish_reason),
        finish_reason=finish_reason,
        logprobs=_logprobs(parts),
        usage=usage_of(data.get("usage"), "input_tokens", "output_tokens"),
        served_model=word(data.get("model")),
        reasoning=joined(_reasoning(items)),
        latency_s=latency_s,
    )


def _parts(item: Mapping[str, Any]) -> list[dict[str, Any]]:
    content = item.get("content")
    if isinstance(content, str):
        return [{"type": "output_text", "text": content}]
    return [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []


def _finish_reason(data: Mapping[str, Any]) -> str | None:
    if data.get("status") != "incomplete":
        return "stop" if data.get("status") == "completed" else None
    details = data.get("incomplete_details")
    reason = word(details.get("reason")) if isinstance(details, Mapping) else None
    return _REASONS.get(reason or "", reason or "incomplete")


def _logprobs(parts: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the tokens of all text parts, in order, in the shape of the chat API; None without any."""
    listed = [part["logprobs"] for part in parts if isinstance(part.get("logprobs"), list)]
    tokens = [entry for each in listed for entry in each]
    return {"content": tokens} if tokens else None


def _reasoning(items: list[dict[str, Any]]) -> Iterator[str]:
    for item in items:
        if item.get("type") == "reasoning":
            yield from texts_in(item.get("content")) or texts_in(item.get("summary"))
        elif item.get("type") == "message" and item.get("phase") == "commentary":
            yield from texts_in(item.get("content"))
