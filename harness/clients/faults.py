"""What an HTTP error says, in the ways of several servers: its words, its code, the parameters that it rejects. Pure."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import mktime_tz, parsedate_tz
from typing import Any

_SAMPLE_CODES = frozenset({"context_length_exceeded", "content_filter", "content_policy_violation", "invalid_prompt"})
_SAMPLE_WORDS = re.compile(
    r"context (length|size|window)|too long|model length|\b(input|prompt)s?\W tokens|(input|prompt) tokens"
    r"|content[ _](filter|management|policy)",
    re.IGNORECASE,
)
"""What is said of one request's text: its length or content, whichever parameter is named beside it."""

_QUOTED = re.compile(r"""['"`]([A-Za-z_]\w*)""")
_LISTED = re.compile(r"arguments? supplied: *([\w, ]+)")
_MARKED = re.compile(r"\(parameter=(\w+)")
_LOCATED = re.compile(r"'loc': [(\[]'body', '(\w+)'")
_FIRST = re.compile(r"\s*([A-Za-z_]\w*)")
_GOT = re.compile(r"\bgot (-?\d+(?:\.\d+)?)")


@dataclass(frozen=True, slots=True)
class Fault:
    """An HTTP error.

    Attributes:
        words: The server's own words, "" when it sent nothing.
        code: Its error code, None without one that is a word.
        names: Parameters that it names in a place of their own, not only in its words.
    """

    words: str
    code: str | None = None
    names: tuple[str, ...] = ()


def read_fault(body: bytes) -> Fault:
    """Return what the body of an HTTP error says: that of an API's error, else whatever stands there."""
    text = body.decode("utf-8", "replace")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return Fault(text)
    inner = data.get("error", data) if isinstance(data, dict) else None
    if not isinstance(inner, dict):
        return Fault(text)
    code, param, message = inner.get("code"), inner.get("param"), inner.get("message")
    details = list(_details(inner)) or (list(_details(message)) if isinstance(message, dict) else [])
    words = "; ".join(f"{'.'.join(where)}: {said}" for where, said in details) or str(message or text)
    names = [where[1] for where, _ in details if len(where) > 1 and where[0] == "body"]
    if isinstance(param, str):
        names.append(re.split(r"[.\[]", param)[0])
    return Fault(words, code if isinstance(code, str) else None, tuple(dict.fromkeys(names)))


def _details(data: Mapping[str, Any]) -> Iterator[tuple[list[str], str]]:
    """Yield where FastAPI found what wrong: ``{"detail": [{"loc": ["body", "temperature"], "msg": …}]}``."""
    listed = data.get("detail")
    for each in listed if isinstance(listed, list) else ():
        if isinstance(each, dict) and isinstance(each.get("loc"), list):
            yield [str(part) for part in each["loc"]], str(each.get("msg") or "is wrong")


def rejected(fault: Fault, sent: Mapping[str, Any], params: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the parameters of the prompt that a server rejects; none when it is something else that it rejects.

    That is something else when the request's text is to blame (too long, filtered), and when one of the keys that it
    names is not there by the prompt's wish: a constraint that a server does not take can be left out.

    Args:
        fault: What the server says.
        sent: The request.
        params: What the prompt wants to be sent.
    """
    if fault.code in _SAMPLE_CODES or _SAMPLE_WORDS.search(fault.words):
        return ()
    named = _sent_names(fault.names, sent) or _sent_names(_names_in(fault.words), sent)
    wanted = [name for name in named if name in params and params[name] == sent[name]]
    return tuple(wanted) if wanted == named and _is_told(fault.words, [sent[name] for name in named]) else ()


def _sent_names(names: Iterable[str], sent: Mapping[str, Any]) -> list[str]:
    return [name for name in dict.fromkeys(names) if name in sent and name != "model"]


def _names_in(words: str) -> Iterator[str]:
    """Yield what could be the name of a parameter: quoted, marked as one, or the first word."""
    yield from _MARKED.findall(words)
    yield from _LOCATED.findall(words)
    yield from _QUOTED.findall(words)
    for listed in _LISTED.findall(words):
        yield from re.findall(r"\w+", listed)
    if (first := _FIRST.match(words)) is not None:
        yield first[1]


def _is_told(words: str, values: list[Any]) -> bool:
    """Return whether the number that a server says it got was sent; vLLM computes ``max_tokens`` of long prompts itself."""
    numbers = [float(value) for value in values if isinstance(value, int | float)]
    got = _GOT.search(words)
    return got is None or not numbers or float(got[1]) in numbers


def redirected(where: str, status: int) -> str:
    """Return the message about a server that answers with another address."""
    return (
        f"{where}: redirects elsewhere ({status}), which is not followed: the key and the texts go only where "
        "--base-url says. Give the address that it leads to."
    )


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of a Retry-After header: milliseconds, seconds or a date; None without one that says.

    A number that is none, or infinite, says nothing: a run must not stop over it.
    """
    try:
        seconds = _seconds_said(headers)
    except (ValueError, OverflowError):
        return None
    return None if seconds is None or not math.isfinite(seconds) else max(0.0, seconds)


def _seconds_said(headers: Mapping[str, str]) -> float | None:
    """Return the seconds as they stand there.

    Raises:
        ValueError, OverflowError: They are no number.
    """
    if (milliseconds := headers.get("retry-after-ms")) is not None:
        return float(milliseconds) / 1000
    value = headers.get("retry-after")
    if value is None:
        return None
    date = parsedate_tz(value)
    if date is None:
        return float(value)
    now = parsedate_tz(headers.get("date", ""))  # by the server's clock: ours may be wrong, or jump
    return mktime_tz(date) - (time.time() if now is None else mktime_tz(now))


_SPAN = re.compile(r"([0-9.]+)(ms|s|m|h|d)")
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def wait_said(headers: Mapping[str, str]) -> float:
    """Return the seconds until a server's rate limits allow another call: 0 where something is left, or nothing is said.

    OpenAI's way: ``x-ratelimit-remaining-requests: 0`` with ``x-ratelimit-reset-requests: 6m0s``, and the same for tokens.
    A number alone is seconds, as some servers have it; one that could be a date is not read.
    """
    return max(_wait_for(headers, "requests"), _wait_for(headers, "tokens"))


def _wait_for(headers: Mapping[str, str], what: str) -> float:
    if headers.get(f"x-ratelimit-remaining-{what}") != "0":
        return 0.0
    reset = headers.get(f"x-ratelimit-reset-{what}", "")
    if _NUMBER.fullmatch(reset):
        return float(reset) if float(reset) < _SECONDS["d"] else 0.0
    spans = _SPAN.findall(reset)
    try:
        seconds = sum(float(number) * _SECONDS[unit] for number, unit in spans)
    except ValueError:
        return 0.0
    return seconds if math.isfinite(seconds) else 0.0
