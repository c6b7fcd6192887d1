"""Token log-probabilities of a completion, whatever API they came from."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Token:
    """One generated token.

    Attributes:
        text: As it was generated, leading space included.
        top: Probability in [0, 1] of every token that the server lists for this place, by its text; the generated one
            is among them unless its probability is unknown.
    """

    text: str
    top: Mapping[str, float]


def tokens_of(logprobs: Any) -> tuple[Token, ...]:
    """Return the tokens of a completion's ``logprobs``, in order; empty when there are none that can be read.

    Two shapes are known: ``{"content": [{"token", "logprob", "top_logprobs": [{"token", "logprob"}]}]}`` (chat, and
    llama.cpp for completions too; the Responses API's list of such entries is put into it by its client) and
    ``{"tokens", "token_logprobs", "top_logprobs": [{token: logprob}]}`` (OpenAI's completions).

    They are taken as what the model would have written unconstrained. llama.cpp gives them so: temperature, top-k and
    grammars change none of them. What it gives after sampling (``post_sampling_probs``: ``prob``, ``top_probs``) is left
    unread.
    """
    if not isinstance(logprobs, Mapping):
        return ()
    try:
        if isinstance(logprobs.get("content"), list):
            return tuple(_chat_token(entry) for entry in logprobs["content"])
        if isinstance(logprobs.get("tokens"), list):
            return tuple(_legacy_tokens(logprobs))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return ()
    return ()


def _chat_token(entry: Mapping[str, Any]) -> Token:
    listed = [(each["token"], each["logprob"]) for each in entry.get("top_logprobs") or ()]
    return _token(entry["token"], entry["logprob"], listed)


def _legacy_tokens(logprobs: Mapping[str, Any]) -> Iterator[Token]:
    texts: list[str] = logprobs["tokens"]
    own = logprobs.get("token_logprobs") or [None] * len(texts)
    tops = logprobs.get("top_logprobs") or [None] * len(texts)
    for text, one, top in zip(texts, own, tops, strict=True):
        yield _token(text, one, list((top or {}).items()))


def _token(text: str, logprob: float | None, listed: Sequence[tuple[str, float | None]]) -> Token:
    """Return a token; tokens of one text (a word with and without a space that the server does not show) are summed."""
    if all(each != text for each, _ in listed):
        listed = [*listed, (text, logprob)]
    by_text: dict[str, list[float]] = {}
    for each, value in listed:
        if not isinstance(each, str):
            raise TypeError("a token is a text")
        if value is not None:
            by_text.setdefault(each, []).append(_probability(value))
    # `fsum` rounds once: the sum is the same whatever the order in which a server lists the tokens.
    return Token(text, {each: min(1.0, math.fsum(values)) for each, values in by_text.items()})


def _probability(logprob: float) -> float:
    """Return the probability of a log-probability; servers write -9999 or less for what cannot be.

    Raises:
        ValueError: It is no number.
    """
    value = float(logprob)
    if math.isnan(value):
        raise ValueError("a log-probability is a number")
    return math.exp(min(0.0, value))
