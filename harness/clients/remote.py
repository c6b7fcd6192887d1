"""An OpenAI-compatible server, through the openai package: keys, URLs and headers are its, retries are ours."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import Any

from harness.clients import chat
from harness.errors import ModelError
from harness.project import Settings
from harness.prompt import Model
from harness.records import Call, CallError, Completion
from harness.retry import AttemptFailed

OPENAI_URL = "https://api.openai.com/v1"
UNREACHED_LIMIT = 3
"""Refused connections, before any answer ever came, after which a server counts as not there."""

_STOP_CODES = frozenset({"insufficient_quota", "model_not_found", "invalid_api_key", "billing_hard_limit_reached"})


class RemoteClient:
    """Asks one model of one server.

    Args:
        model: Name, base URL and parameters. Without a base URL: OPENAI_BASE_URL, else OpenAI's own.
        settings: The time-out of an attempt.
        api_key: Goes before OPENAI_API_KEY.
    """

    def __init__(self, model: Model, settings: Settings, api_key: str | None = None) -> None:
        self.model = model
        self.base_url = (model.base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL).rstrip("/")
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
            import openai

            key = self._api_key or os.environ.get("OPENAI_API_KEY")
            if not key and self.base_url == OPENAI_URL:
                raise ModelError(
                    f"model {self.model.name}: needs an API key, got none. Set OPENAI_API_KEY or write it into .env; "
                    "for another server give --base-url."
                )
            self._client = openai.AsyncOpenAI(
                api_key=key or "none",
                base_url=self.base_url,
                max_retries=0,  # harness.retry is the one that tries again
                timeout=self._timeout_s,
                http_client=openai.DefaultAioHttpClient(),
            )
        return self._client

    async def send(self, body: Mapping[str, Any]) -> Completion:
        """Send a request once.

        Raises:
            AttemptFailed: No completion came back.
            ModelError: None ever will: no key, no such model, no server.
        """
        client = self._connected()
        import openai

        started = time.perf_counter()
        try:
            # The typed layer would build request and response models that nothing here reads; the body is the same.
            data = await client.post(chat.PATH, body=body, cast_to=object)
            completion = chat.read(data)
        except openai.APIStatusError as error:
            self._answered = True
            raise self._status_failure(error) from None
        except openai.APITimeoutError:
            raise _failed("timeout", f"no answer within {self._timeout_s:g} s") from None
        except openai.APIConnectionError as error:
            raise self._unreachable(error) from None
        except (openai.APIError, ValueError) as error:
            self._answered = True
            raise _failed("bad_response", str(error) or type(error).__name__) from None
        self._answered = True
        return replace(completion, latency_s=time.perf_counter() - started)

    def _unreachable(self, error: Exception) -> Exception:
        """Return what a broken connection means: a hiccup, or a server that was never there."""
        cause = str(error.__cause__ or error) or type(error).__name__
        if not self._answered and type(error.__cause__).__name__ == "ConnectError":
            self._unreached += 1
            if self._unreached >= UNREACHED_LIMIT:
                return ModelError(f"{self.base_url}: no server answers there ({cause}). Check --base-url, or start it.")
        return _failed("connection", cause)

    def _status_failure(self, error: Any) -> Exception:
        """Return what an HTTP error means: the end of the run, or of this attempt."""
        status = int(error.status_code)
        message = _message_of(error)
        code = error.code if isinstance(getattr(error, "code", None), str) else None
        where = f"{self.base_url}, model {self.model.name}"
        if status == 401 or code == "invalid_api_key":
            return ModelError(f"{where}: the key is refused (401): {message} Check OPENAI_API_KEY.")
        if status == 403:
            return ModelError(f"{where}: access is refused (403): {message}")
        if status == 404:
            return ModelError(f"{where}: not found (404): {message} Check the model's name and the base URL.")
        if code in _STOP_CODES:
            return ModelError(f"{where}: {code} ({status}): {message}")
        again = status in (408, 409, 425, 429) or status >= 500
        return AttemptFailed(
            CallError(kind=f"http_{status}", message=message, status=status),
            again=again,
            retry_after=_retry_after(error.response.headers),
        )

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()
            self._client = None


def _failed(kind: str, message: str) -> AttemptFailed:
    return AttemptFailed(CallError(kind=kind, message=message, status=None), again=True)


def _message_of(error: Any) -> str:
    """Return the server's own words, one line of them."""
    body = error.body
    inner = body.get("error", body) if isinstance(body, dict) else None
    text = inner.get("message") if isinstance(inner, dict) else None
    return " ".join(str(text or error.message).split())[:500]


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of a Retry-After header: milliseconds, seconds or a date; None without one."""
    try:
        if (milliseconds := headers.get("retry-after-ms")) is not None:
            return max(0.0, float(milliseconds) / 1000)
        value = headers.get("retry-after")
        if value is None:
            return None
        try:
            return max(0.0, float(value))
        except ValueError:
            return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None
