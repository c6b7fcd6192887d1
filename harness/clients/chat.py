"""The chat completions API: what a call looks like on the wire, and how its answer is read. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.clients.reading import answer_object, error_said, joined, started, texts_in, usage_of, word
from harness.prompt import Model
from harness.records import Call, Completion, Constraint

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


def read(data: Any, latency_s: float = 0.0) -> Completion:
    """Return the completion in an answer. What the model thought before it answered is its reasoning, never its text.

    Raises:
        ValueError: The answer has not the API's shape.
    """
    data = answer_object(data)
    try:
        choice = data["choices"][0]
        message = choice["message"]
        content, refusal = message.get("content"), message.get("refusal")
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(f"no choices[0].message in the answer ({type(error).__name__}){error_said(data)}") from None
    finish_reason = word(choice.get("finish_reason"))
    text = started(_text(content), finish_reason)
    refused = isinstance(refusal, str) and refusal != ""
    return Completion(
        status="refusal" if refused else "ok",
        raw=refusal if refused else text,
        finish_reason=finish_reason,
        logprobs=choice.get("logprobs"),
        usage=usage_of(data.get("usage")),
        served_model=word(data.get("model")),
        reasoning=_reasoning(message),
        latency_s=latency_s,
    )


def _text(content: Any) -> str | None:
    """Return the text of a message; of a list of parts the text parts alone, joined; None when it only thought."""
    if content is None or isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else [content]
    texts = [part["text"] for part in parts if _has_text(part) and not _is_thought(part)]
    if not texts and not any(map(_is_thought, parts)):
        raise ValueError(f"message.content must be a text, got {type(content).__name__} without one")
    return "".join(texts) if texts else None


def _has_text(part: Any) -> bool:
    return isinstance(part, dict) and isinstance(part.get("text"), str)


def _is_thought(part: Any) -> bool:
    kind = part.get("type") if isinstance(part, dict) else None
    return isinstance(kind, str) and ("thinking" in kind or "reasoning" in kind)


def _reasoning(message: Mapping[str, Any]) -> str | None:
    """Return what a model thought, from where servers put it.

    ``reasoning_content`` (DeepSeek, llama.cpp, SGLang), ``reasoning`` (vLLM, OpenRouter, Groq), or parts of the content of
    type ``thinking`` or ``reasoning`` (Mistral and others).
    """
    for name in ("reasoning_content", "reasoning"):
        if isinstance(message.get(name), str) and message[name]:
            return str(message[name])
    content = message.get("content")
    if not isinstance(content, list):
        return None
    thoughts = [part for part in content if _is_thought(part)]
    keys = ("thinking", "reasoning", "text", "summary")
    return joined(text for part in thoughts for key in keys for text in texts_in(part.get(key)))
