"""An OpenAI-compatible server: the requests are those of the openai package, aiohttp carries the bytes.

The openai client costs 2.4 ms of CPU a call, most of it in request and response models that nothing here reads; the same
body posted to the same URL with the same headers over one pooled session costs a tenth. A test holds both ways equal.
Retries are ours.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

import orjson

from harness.clients.faults import Fault, read_fault, redirected, rejected, retry_after, wait_said
from harness.clients.headers import request_headers
from harness.clients.hiding import decoded, unsaid
from harness.clients.reading import answer_object
from harness.clients.wires import WIRES
from harness.errors import ModelError, listing
from harness.project import Settings
from harness.prompt import Model
from harness.records import Call, CallError, Completion, Constraint
from harness.retry import AttemptFailed, RetryPolicy, with_retries

OPENAI_URL = "https://api.openai.com/v1"
UNREACHED_LIMIT = 3
"""Connections that could not be made, before any answer ever came, after which a server counts as not there."""

MOST_ANSWER_BYTES = 32_000_000
"""Bytes of an answer that are read at most: more than any model writes in one, with all its log-probabilities."""

_OPENAI_HOST = "api.openai.com"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_STOP_CODES = frozenset({"insufficient_quota", "model_not_found", "invalid_api_key", "billing_hard_limit_reached"})
_AGAIN = frozenset({408, 409, 425, 429})
"""HTTP statuses below 500 after which the same request can succeed."""

_BAD_REQUEST = frozenset({400, 422})
_Answer = TypeVar("_Answer")
_WIRE = json.JSONEncoder(allow_nan=False)


class RemoteClient:
    """Asks one model of one server.

    Args:
        model: Name, base URL and parameters. Without a base URL: OPENAI_BASE_URL, else OpenAI's own.
        settings: The time-out of an attempt; for `ask` also how persistent to be.
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
        self._policy = RetryPolicy(settings.max_attempts, settings.max_retry_s)
        self._api_key = api_key
        self._session: Any = None
        self.wait_s = 0.0
        self._answered = False
        self._encodes = False
        self._unreached = 0

    @property
    def endpoint(self) -> Mapping[str, Any]:
        """Base URL and API."""
        return {"base_url": self.base_url, "api": self.model.api}

    @property
    def concurrency(self) -> int | None:
        """None: as many as the user says."""
        return None

    @property
    def holds(self) -> int:
        """0: which prompts a server keeps is its own affair."""
        return 0

    def body(self, call: Call, constraint: Constraint | None = None) -> dict[str, Any]:
        """Return the request as it will be sent."""
        return self._wire.body(call, self.model, self.model.name, constraint)

    def _connected(self) -> Any:
        """Return the session, made at the first call: a run from the cache needs none."""
        if self._session is None:
            key = self._checked_key()
            import aiohttp

            self._session = aiohttp.ClientSession(
                headers=request_headers(key, self.base_url),
                cookie_jar=aiohttp.DummyCookieJar(),  # no API needs them, and looking for them costs
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
        self._connected()  # before the clock starts: an import is no answer's time
        started = time.perf_counter()
        return await self._post(
            self._wire.path, body, lambda answer: self._wire.read(answer, time.perf_counter() - started)
        )

    async def ask(self, path: str, body: Mapping[str, Any]) -> Any:
        """Return what another endpoint of the server answers, a JSON object; tried again like any call.

        Args:
            path: Behind the base URL, as ``/embeddings``; with two slashes behind the server itself, as ``//tokenize``
                (llama.cpp and vLLM have that beside ``/v1``).
            body: The request.

        Raises:
            ModelError: No answer came: no key, no such endpoint, no server, or nothing but failures.
        """
        answers: list[Mapping[str, Any]] = []

        async def attempt() -> Completion:
            answers.append(await self._post(path, body, answer_object))
            return Completion("ok")

        done = await with_retries(attempt, self._policy)
        if done.error is not None:
            raise ModelError(
                f"{self._url(path)}, model {self.model.name}: gives no answer: {_sentence(done.error['message'])}"
            )
        return answers[-1]

    async def _post(self, path: str, body: Mapping[str, Any], read: Callable[[Any], _Answer]) -> _Answer:
        """Send a request once and read its answer; ``read`` raises `ValueError` for what is none."""
        session = self._connected()
        import aiohttp

        content = self._encoded(body)
        try:
            sending = session.post(self._url(path), data=content, allow_redirects=False)
            async with asyncio.timeout(self._timeout_s), sending as response:
                self._answered = True
                answer = await _read(response)
            self.wait_s = wait_said(response.headers)
            if response.status >= 300:
                raise self._status_failure(response.status, response.headers, read_fault(answer or b""), body)
            if answer is None:
                told = f"the answer must have at most {MOST_ANSWER_BYTES:,} bytes, got more"
                raise _failed("bad_response", told, again=False)  # it was paid, and the next one may be as long
            return read(decoded(answer, self._api_key))
        except TimeoutError:
            raise _failed("timeout", f"no answer within {self._timeout_s:g} s") from None
        except aiohttp.ClientError as error:
            raise self._connection_failure(error) from None
        except (ValueError, RecursionError) as error:
            raise _failed("bad_response", self._hidden(str(error) or type(error).__name__)) from None

    def _url(self, path: str) -> str:
        if not path.startswith("//"):
            return self.base_url + path
        parts = urlsplit(self.base_url)
        return f"{parts.scheme}://{parts.netloc}{path[1:]}"

    def _encoded(self, body: Mapping[str, Any]) -> bytes:
        """Return the request as JSON; lone surrogates, which UTF-8 cannot hold, go as JSON's own escapes.

        `json` says of the first request what JSON cannot hold: `orjson` would make something of it, and all have the same
        params.
        """
        try:
            if not self._encodes:
                _WIRE.encode(body)
                self._encodes = True
            return _packed(body)
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

    def _status_failure(
        self, status: int, headers: Mapping[str, str], fault: Fault, body: Mapping[str, Any]
    ) -> Exception:
        """Return what an HTTP error means: the end of the run, or of this attempt."""
        message = self._hidden(fault.words or f"HTTP {status}")
        said = _sentence(message)
        where = f"{self.base_url}, model {self.model.name}"
        if status < 400:
            return ModelError(redirected(where, status))
        if status == 401 or fault.code == "invalid_api_key":
            return ModelError(f"{where}: the key is refused ({status}): {said} Check OPENAI_API_KEY.")
        if status == 402:
            return ModelError(f"{where}: payment is required (402): {said}")
        if status == 403:
            return ModelError(f"{where}: access is refused (403): {said}")
        if status == 404:
            other = "" if self.model.api == "chat" else f", and whether the server has the API '{self.model.api}'"
            return ModelError(f"{where}: not found (404): {said} Check the model's name and the base URL{other}.")
        if fault.code in _STOP_CODES:
            return ModelError(f"{where}: {fault.code} ({status}): {said}")
        if status == 501 and not self._wire.forms:  # without a constraint that could be left out
            return ModelError(f"{where}: not supported (501): {said} Name another model, or another 'api'.")
        if status in _BAD_REQUEST and (names := rejected(fault, body, self.model.params)):
            return ModelError(f"{where}: {self._rejection(names, status, said)}")
        return AttemptFailed(
            CallError(kind=f"http_{status}", message=message, status=status),
            again=status in _AGAIN or (status >= 500 and status != 501),
            retry_after=retry_after(headers),
        )

    def _rejection(self, names: tuple[str, ...], status: int, said: str) -> str:
        """Return the message about parameters that every call would bring."""
        known = {"max_tokens": "max_completion_tokens"} if self.model.api == "chat" else self._wire.renamed
        others = [f"'{known[name]}' instead of '{name}'" for name in names if name in known and known[name] not in said]
        hint = f": some models take {' and '.join(others)}" if others else ""
        quoted = listing([f"'{name}'" for name in names])
        return (
            f"the server rejects the parameter{'s' * (len(names) > 1)} {quoted} ({status}): {said} "
            f"Change or remove {'it' if len(names) == 1 else 'them'} under model.params{hint}."
        )

    def _hidden(self, text: str) -> str:
        """Return a text without the key in it (servers repeat refused keys), short enough for a line of a log."""
        line = " ".join(text.split())
        return unsaid(line, self._api_key)[:500]

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


def _packed(body: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(body)
    except TypeError:  # a lone surrogate, or an integer beyond 64 bits
        return _WIRE.encode(body).encode("ascii")


async def _read(response: Any) -> bytes | None:
    """Return the body of a response, unpacked; None where it has more than `MOST_ANSWER_BYTES`, whose rest is not read.

    It is read in the pieces in which it came, as aiohttp's own `read` does, which has no bound: neither the announced length
    nor the bytes on the wire say how much a packed body is.
    """
    pieces: list[bytes] = []
    size = 0
    while piece := await response.content.readany():
        size += len(piece)
        if size > MOST_ANSWER_BYTES:
            response.close()
            return None
        pieces.append(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _failed(kind: str, message: str, *, again: bool = True) -> AttemptFailed:
    return AttemptFailed(CallError(kind=kind, message=message, status=None), again=again)


def _sentence(message: str) -> str:
    return message if message.endswith((".", "!", "?")) else f"{message}."
