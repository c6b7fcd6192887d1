"""What a server says it serves: `GET /models` through the openai package, once, and why there was no answer."""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from harness.clients.hiding import unsaid

Cause = Literal["dns", "refused", "tls", "timeout", "connection"]

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Listing:
    """How a server answered.

    Attributes:
        status: The HTTP status; None where no answer came, see `cause`.
        models: Names of the models, None where the answer is no list of them.
        date: Its ``Date`` header, and the Unix time here in the middle of the request (`asked_at`).
        seconds: From sending the request to the whole answer.
        cause: Why no answer came.
        words: What was said about that, without the key.
    """

    status: int | None = None
    models: tuple[str, ...] | None = None
    date: str | None = None
    asked_at: float = 0.0
    seconds: float = 0.0
    cause: Cause | None = None
    words: str = ""


def list_models(base_url: str, key: str, timeout_s: float) -> Listing:
    """Return what the server lists; never raises for what a server or a network does.

    Args:
        base_url: As clients have it, with its ``/v1``.
        key: The API key, "" for none; printable ASCII.
        timeout_s: Seconds for connecting, and between any two bytes.
    """
    import openai

    # A proxy of the environment is for the world outside, not for a server on this machine.
    http = openai.DefaultHttpxClient(trust_env=urlsplit(base_url).hostname not in _LOOPBACK, follow_redirects=False)
    client = openai.OpenAI(api_key=key or "none", base_url=base_url, max_retries=0, timeout=timeout_s, http_client=http)
    began, clock = time.perf_counter(), time.time()
    with client:
        try:
            response = client.models.with_raw_response.list().http_response
        except openai.APIStatusError as error:
            response = error.response
        except openai.APIConnectionError as error:
            return Listing(cause=_cause(error), words=_said(error, key))
    seconds = time.perf_counter() - began
    return Listing(
        status=response.status_code,
        models=_names(response.content) if response.status_code < 400 else None,
        date=response.headers.get("date"),
        asked_at=clock + seconds / 2,
        seconds=seconds,
    )


def _names(content: bytes) -> tuple[str, ...] | None:
    """Return the names of an answer in OpenAI's shape; None where it is none."""
    try:
        rows: Any = json.loads(content)["data"]
        return tuple(str(row["id"]) for row in rows)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _cause(error: BaseException) -> Cause:
    import openai

    for each in _chain(error):
        if isinstance(each, socket.gaierror):
            return "dns"
        if isinstance(each, ssl.SSLError):
            return "tls"
        if isinstance(each, ConnectionRefusedError):
            return "refused"
        if isinstance(each, openai.APITimeoutError | TimeoutError):
            return "timeout"
    return "connection"


def _said(error: BaseException, key: str) -> str:
    """Return the words of the innermost error, on one line and without the key."""
    words = [" ".join(str(each).split()) for each in _chain(error) if str(each).strip()]
    return unsaid(words[-1], key)[:300]


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
