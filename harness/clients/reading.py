"""What the answers of all APIs have in common: the object itself, its counts, and the text of its parts. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from harness.records import Usage


def answer_object(data: Any) -> Mapping[str, Any]:
    """Return the answer as an object.

    Raises:
        ValueError: It is none: a page, a list, a number.
    """
    if not isinstance(data, dict):
        raise ValueError(f"the answer must be a JSON object, got {str(data)[:100]!r}. Is the base URL that of an API?")
    return data


def error_said(data: Mapping[str, Any]) -> str:
    """Return what an answer says went wrong, to be put behind a message; "" where it says nothing."""
    return f": {data['error']}"[:300] if data.get("error") else ""


def word(value: Any) -> str | None:
    """Return a text as it is, and None for anything else."""
    return value if isinstance(value, str) else None


def started(text: str | None, finish_reason: str | None) -> str | None:
    """Return the text of an answer; one that was cut before its first word is the empty text and not no text."""
    return "" if text is None and finish_reason == "length" else text


def joined(texts: Iterable[str]) -> str | None:
    """Return texts with a blank line between them, without the empty ones; None when nothing is left."""
    return "\n\n".join(text for text in texts if text) or None


def texts_in(value: Any) -> list[str]:
    """Return the texts of a text, of a part with a ``text``, or of a list of these, in order."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return texts_in(value.get("text"))
    return [text for each in value for text in texts_in(each)] if isinstance(value, list) else []


def usage_of(given: Any, asked: str = "prompt_tokens", answered: str = "completion_tokens") -> Usage:
    """Return the counts that are there and are counts.

    Args:
        given: The answer's ``usage``.
        asked: What the API calls the tokens of the request; its details are named after it.
        answered: What it calls those of the answer.
    """
    usage: Usage = {}
    if (tokens := _count(given, asked)) is not None:
        usage["prompt_tokens"] = tokens
    if (tokens := _count(given, answered)) is not None:
        usage["completion_tokens"] = tokens
    if (tokens := _count(_part(given, f"{answered}_details"), "reasoning_tokens")) is not None:
        usage["reasoning_tokens"] = tokens
    if (tokens := _count(_part(given, f"{asked}_details"), "cached_tokens")) is not None:
        usage["cached_tokens"] = tokens
    return usage


def _part(given: Any, name: str) -> Any:
    return given.get(name) if isinstance(given, dict) else None


def _count(given: Any, name: str) -> int | None:
    value = _part(given, name)
    return value if type(value) is int else None  # bool is an int too
