"""Token log-probabilities of a completion, whatever API they came from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Token:
    """One generated token.

    Attributes:
        text: As it was generated, leading space included.
        top: Probability in [0, 1] of every token that the server lists for this place, the generated one among them.
    """

    text: str
    top: Mapping[str, float]


def tokens_of(logprobs: Any) -> tuple[Token, ...]:
    """Return the tokens of a completion's ``logprobs``, in order; empty when there are none that can be read.

    Two shapes are known: ``{"content": [{"token", "logprob", "top_logprobs": [{"token", "logprob"}]}]}`` (chat, and
    llama.cpp for completions too; the Responses API's list of such entries is put into it by its client) and
    ``{"tokens", "token_logprobs", "top_logprobs": [{token: logprob}]}`` (OpenAI's completions).
    """
    if not isinstance(logprobs, Mapping):
        return ()
    try:
        if isinstance(logprobs.get("content"), list):
            return tuple(_chat_token(entry) for entry in logprobs["content"])
        if isinstance(logprobs.get("tokens"), list):
            return tuple(_legacy_tokens(logprobs))
    except (KeyError, TypeError, ValueError, AttributeError):
        return ()
    return ()


def _chat_token(entry: Mapping[str, Any]) -> Token:
    top = {each["token"]: each["logprob"] for each in entry.get("top_logprobs") or ()}
    return _token(entry["token"], entry["logprob"], top)


def _legacy_tokens(logprobs: Mapping[str, Any]) -> Sequence[Token]:
    texts: list[str] = logprobs["tokens"]
    own = logprobs.get("token_logprobs") or [None] * len(texts)
    tops = logprobs.get("top_logprobs") or [None] * len(texts)
    return [_token(text, one, top or {}) for text, one, top in zip(texts, own, tops, strict=True)]


def _token(text: str, logprob: float | None, top: Mapping[str, float]) -> Token:
    listed = dict(top) if logprob is None else {**top, text: logprob}
    return Token(text, {token: _probability(value) for token, value in listed.items()})


def _probability(logprob: float) -> float:
    """Return the probability of a log-probability; servers write -9999 or less for what cannot be."""
    return math.exp(min(0.0, float(logprob)))
