"""An OpenAI-compatible server: the openai package says where to and with which headers, aiohttp carries the bytes.

The openai client costs 2.4 ms of CPU a call, most of it in request and response models that nothing here reads; the same
body posted to the same URL over one pooled session costs a tenth. A test holds both ways equal. Retries are ours.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from collections.abc import Mapping
from dataclasses import replace
from email.utils import mktime_tz, parsedate_tz
from typing import Any
from urllib.parse import urlsplit

from harness.clients.wires import WIRES
from harness.errors import ModelError
from harness.project import Settings
from harness.prompt import Model
from harness.records import Call, CallError, Completion, Constraint
from harness.retry import AttemptFailed

OPENAI_URL = "https://api.openai.com/v1"
UNREACHED_LIMIT = 3
"""Connections that could not be made, before any answer ever came, after which a server counts as not there."""

_OPENAI_HOST = "api.openai.com"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_STOP_CODES = frozenset({"insufficient_quota", "model_not_found", "invalid_api_key", "billing_hard_limit_reached"})
_AGAIN = frozenset({408, 409, 425, 429})
"""HTTP statuses below 500 after which the same request can succeed."""


class RemoteClient:
    """Asks one model of one server.

    Args:
        model: Name, base URL and parameters. Without a base URL: OPENAI_BASE_URL, else OpenAI's own.
        settings: The time-out of an attempt.
        api_key: Goes before OPENAI_API_KEY.

    Raises:
        ModelError: The base URL is none.
    """

    def __init__(self, model: Model, settings: Settings, api_key: str | None = None) -> None:
        self.model = model
        self._wire = WIRES[model.api]
        self.base_url = (model.base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL).strip().rstrip("/")
        self._host = _checked_host(self.base_url, model.name)
        self._timeout_s = settings.timeout_s
        self._api_key = api_key
        self._session: Any = None
        self._answered = False
        self._unreached = 0

    @property
    def endpoint(self) -> Mapping[str, Any]:
        """Base URL and API."""
        return {"base_url": self.base_url, "api": self.model.api}

    @property
    def concurrency(self) -> int | None:
        """None: as many as the user says."""
        return None

    def body(self, call: Call, constraint: Constraint | None = None) -> dict[str, Any]:
        """Return the request as it will be sent."""
        return self._wire.body(call, self.model, self.model.name, constraint)

    def _connected(self) -> Any:
        """Return the session, made at the first call: openai's import takes longer than many a run from the cache."""
        if self._session is None:
            key = self._checked_key()
            import aiohttp
            import openai

            client = openai.AsyncOpenAI(api_key=key or "none", base_url=self.base_url)
            headers = {**client.default_headers, **client.auth_headers}
            self._session = aiohttp.ClientSession(
                headers={name: value for name, value in headers.items() if isinstance(value, str)},
                connector=aiohttp.TCPConnector(limit=0),  # the runner bounds how many are under way
                timeout=aiohttp.ClientTimeout(),  # `send` keeps the time: these clocks start anew with every byte
                # A proxy of the environment is for the world outside, not for a server on this machine.
                trust_env=self._host not in _LOOPBACK,
            )
        return self._session

    def _checked_key(self) -> str:
        """Return the API key, empty when there is none and none is needed."""
        key = self._api_key = (self._api_key or os.environ.get("OPENAI_API_KEY") or "").strip()
        if not key and self._host == _OPENAI_HOST:
            raise ModelError(
                f"model {self.model.name}: needs an API key, got none. Set OPENAI_API_KEY or write it into .env; "
                "for another server give --base-url."
            )
        if not (key.isascii() and key.isprintable()):
            raise ModelError("OPENAI_API_KEY: must be printable ASCII, got other characters. Copy the key anew.")
        return key

    async def send(self, body: Mapping[str, Any]) -> Completion:
        """Send a request once.

        Raises:
            AttemptFailed: No completion came back.
            ModelError: None ever will: no key, no such model, no server.
        """
        session = self._connected()
        import aiohttp

        content = self._encoded(body)
        started = time.perf_counter()
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                session.post(self.base_url + self._wire.path, data=content) as response,
            ):
                self._answered = True
                answer = await response.read()
            if response.status >= 400:
                raise self._status_failure(response.status, response.headers, answer)
            completion = self._wire.read(_decoded(answer))
        except TimeoutError:
            raise _failed("timeout", f"no answer within {self._timeout_s:g} s") from None
        except aiohttp.ClientError as error:
            raise self._connection_failure(error) from None
        except (ValueError, RecursionError) as error:
            raise _failed("bad_response", self._hidden(str(error) or type(error).__name__)) from None
        return replace(completion, latency_s=time.perf_counter() - started)

    def _encoded(self, body: Mapping[str, Any]) -> bytes:
        """Return the request as JSON; lone surrogates, which UTF-8 cannot hold, go as JSON's own escapes."""
        try:
            return json.dumps(body, allow_nan=False).encode("ascii")
        except (TypeError, ValueError) as error:
            raise ModelError(f"model {self.model.name}: params must be plain JSON values, but {error}.") from None

    def _connection_failure(self, error: Exception) -> Exception:
        """Return what a broken connection means: a hiccup, or a server that was never there."""
        import aiohttp

        cause = self._hidden(str(getattr(error, "os_error", error)) or type(error).__name__)
        if not self._answered and isinstance(error, aiohttp.ClientConnectorError):
            self._unreached += 1
            if self._unreached >= UNREACHED_LIMIT:
                return ModelError(f"{self.base_url}: no server answers there ({cause}). Check --base-url, or start it.")
        return _failed("connection", cause)

    def _status_failure(self, status: int, headers: Mapping[str, str], body: bytes) -> Exception:
        """Return what an HTTP error means: the end of the run, or of this attempt."""
        words, code = _error_of(body)
        message = self._hidden(words or f"HTTP {status}")
        said = message if message.endswith((".", "!", "?")) else f"{message}."
        where = f"{self.base_url}, model {self.model.name}"
        if status == 401 or code == "invalid_api_key":
            return ModelError(f"{where}: the key is refused ({status}): {said} Check OPENAI_API_KEY.")
        if status == 402:
            return ModelError(f"{where}: payment is required (402): {said}")
        if status == 403:
            return ModelError(f"{where}: access is refused (403): {said}")
        if status == 404:
            return ModelError(f"{where}: not found (404): {said} Check the model's name and the base URL.")
        if code in _STOP_CODES:
            return ModelError(f"{where}: {code} ({status}): {said}")
        return AttemptFailed(
            CallError(kind=f"http_{status}", message=message, status=status),
            again=status in _AGAIN or status >= 500,
            retry_after=_retry_after(headers),
        )

    def _hidden(self, text: str) -> str:
        """Return a text without the key in it (servers repeat refused keys), short enough for a line of a log."""
        line = " ".join(text.split())
        return (line.replace(self._api_key, "[key]") if self._api_key else line)[:500]

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def _checked_host(url: str, model: str) -> str:
    """Return the host of a base URL; one that holds a secret is refused, because base URLs are written into runs."""
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        parts, sound = urlsplit(""), False
    if not sound or parts.username is not None or parts.query or parts.fragment:
        shown = re.split("[?#]", url.rpartition("@")[2])[0]
        raise ModelError(
            f"model {model}: the base URL must be http://HOST/PATH or https://HOST/PATH, without user, password or "
            f"query, got '{shown}'. Check --base-url and OPENAI_BASE_URL; a key goes into OPENAI_API_KEY."
        )
    return parts.hostname or ""


def _failed(kind: str, message: str) -> AttemptFailed:
    return AttemptFailed(CallError(kind=kind, message=message, status=None), again=True)


def _decoded(answer: bytes) -> Any:
    """Return the answer's JSON value, or its text when it is some page and no JSON at all."""
    text = answer.decode("utf-8")
    return json.loads(text) if text.lstrip()[:1] in ("{", "[", "") else text


def _error_of(body: bytes) -> tuple[str, str | None]:
    """Return the server's own words and its error code: those of an API's error, else whatever stands in the body."""
    text = body.decode("utf-8", "replace")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return text, None
    inner = data.get("error", data) if isinstance(data, dict) else None
    if not isinstance(inner, dict):
        return text, None
    code = inner.get("code")
    return str(inner.get("message") or text), code if isinstance(code, str) else None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of a Retry-After header: milliseconds, seconds or a date; None without one that says."""
    try:
        if (milliseconds := headers.get("retry-after-ms")) is not None:
            return max(0.0, float(milliseconds) / 1000)
        value = headers.get("retry-after")
        if value is None:
            return None
        date = parsedate_tz(value)
        return max(0.0, float(value) if date is None else mktime_tz(date) - time.time())
    except (ValueError, OverflowError):
        return None
