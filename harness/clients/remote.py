"""An OpenAI-compatible server, through the openai package: keys, URLs and headers are its, retries are ours."""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from email.utils import mktime_tz, parsedate_tz
from typing import Any
from urllib.parse import urlsplit

from harness.clients import chat
from harness.errors import ModelError
from harness.project import Settings
from harness.prompt import Model
from harness.records import Call, CallError, Completion
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
        self.base_url = (model.base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL).strip().rstrip("/")
        self._host = _checked_host(self.base_url, model.name)
        self._timeout_s = settings.timeout_s
        self._api_key = api_key
        self._client: Any = None
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

    def body(self, call: Call) -> dict[str, Any]:
        """Return the request as it will be sent."""
        return chat.body(call, self.model, self.model.name)

    def _connected(self) -> Any:
        """Return the openai client, made at the first call: its import takes longer than many a run from the cache."""
        if self._client is None:
            key = self._checked_key()
            import openai

            self._client = openai.AsyncOpenAI(
                api_key=key or "none",
                base_url=self.base_url,
                max_retries=0,  # harness.retry is the one that tries again
                timeout=None,  # `send` keeps the time: the transport's clocks start anew with every byte
                # A proxy of the environment is for the world outside, not for a server on this machine.
                http_client=openai.DefaultAioHttpClient(trust_env=self._host not in _LOOPBACK),
            )
        return self._client

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
        client = self._connected()
        import aiohttp
        import openai

        content = self._encoded(body)
        started = time.perf_counter()
        try:
            async with asyncio.timeout(self._timeout_s):
                # The typed layer would build request and response models that nothing here reads.
                data = await client.post(chat.PATH, content=content, cast_to=object)
            completion = chat.read(data)
        except TimeoutError:
            raise _failed("timeout", f"no answer within {self._timeout_s:g} s") from None
        except openai.APIStatusError as error:
            self._answered = True
            raise self._status_failure(error) from None
        except (openai.APIConnectionError, aiohttp.ClientError) as error:
            raise self._connection_failure(error) from None
        except (openai.APIError, ValueError, RecursionError) as error:
            self._answered = True
            raise _failed("bad_response", self._hidden(str(error) or type(error).__name__)) from None
        self._answered = True
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

        causes = list(_causes(error))
        cause = self._hidden(str(causes[-1]) or type(causes[-1]).__name__)
        # Looked for in the whole chain, because the layers between translate a refused connection to a time-out.
        if not self._answered and any(isinstance(each, aiohttp.ClientConnectorError) for each in causes):
            self._unreached += 1
            if self._unreached >= UNREACHED_LIMIT:
                return ModelError(f"{self.base_url}: no server answers there ({cause}). Check --base-url, or start it.")
        return _failed("connection", cause)

    def _status_failure(self, error: Any) -> Exception:
        """Return what an HTTP error means: the end of the run, or of this attempt."""
        status = int(error.status_code)
        message = self._hidden(_message_of(error))
        code = error.code if isinstance(getattr(error, "code", None), str) else None
        where = f"{self.base_url}, model {self.model.name}"
        if status == 401 or code == "invalid_api_key":
            return ModelError(f"{where}: the key is refused ({status}): {message} Check OPENAI_API_KEY.")
        if status == 402:
            return ModelError(f"{where}: payment is required (402): {message}")
        if status == 403:
            return ModelError(f"{where}: access is refused (403): {message}")
        if status == 404:
            return ModelError(f"{where}: not found (404): {message} Check the model's name and the base URL.")
        if code in _STOP_CODES:
            return ModelError(f"{where}: {code} ({status}): {message}")
        return AttemptFailed(
            CallError(kind=f"http_{status}", message=message, status=status),
            again=status in _AGAIN or status >= 500,
            retry_after=_retry_after(error.response.headers),
        )

    def _hidden(self, text: str) -> str:
        """Return a text without the key in it (servers repeat refused keys), short enough for a line of a log."""
        line = " ".join(text.split())
        return (line.replace(self._api_key, "[key]") if self._api_key else line)[:500]

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()
            self._client = None


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


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _message_of(error: Any) -> str:
    """Return the server's own words: the message of an API's error, else whatever stands in its body."""
    body = error.body
    inner = body.get("error", body) if isinstance(body, dict) else None
    text = inner.get("message") if isinstance(inner, dict) else None
    return str(text or error.response.text or error.message)


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
