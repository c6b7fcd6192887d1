"""The files and batches of an OpenAI-compatible server: upload, submit, look, fetch, cancel, through the openai package.

Every request is tried again like any call, in `retry`. Two of them could do something twice, upload and submit: a file is
free, and before a batch is submitted again it is looked for by its metadata. What a server says is checked before it is
used: ids are words, numbers are counts, and no answer is read beyond a bound.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import IO, Any, TypeVar
from urllib.parse import urlsplit

from harness.clients.faults import read_fault, redirected, retry_after
from harness.clients.hiding import Hiding, unsaid
from harness.errors import ModelError
from harness.project import Settings
from harness.records import CallError, Completion
from harness.retry import AttemptFailed, RetryPolicy, with_retries

BATCHED_APIS = ("chat", "responses", "completions")
"""The APIs whose requests can be batched."""

ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
"""The states in which a batch changes no more."""

QUEUE_FULL = "token_limit_exceeded"
"""The code of a batch that is refused because too many tokens of the organisation wait already."""

MOST_OUTPUT_BYTES = 4_000_000_000
"""Bytes of an output or error file that are read at most."""

MOST_LISTED = 2_000
"""Files or batches that are looked through for a lost one, the newest first."""

_CHUNK = 1 << 16
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,199}")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_AGAIN = frozenset({408, 409, 425, 429})
_Answer = TypeVar("_Answer")


class GoneError(ModelError):
    """The server knows no such batch or file."""


class NotReachedError(ModelError):
    """The server did not answer, however often it was asked: what was asked for may have been done all the same."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What a server has against a batch as a whole.

    Attributes:
        line: Line of its request file, from 1; None where it is none's.
    """

    code: str
    message: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class RemoteBatch:
    """A batch as the server tells it.

    Attributes:
        status: validating, in_progress, finalizing, cancelling, or one of `ENDED`.
        total: Requests, of which `done` are answered and `failed` failed.
        output: Id of the file of answers.
        errors: Id of the file of failed requests.
        faults: Why it failed as a whole.
        created: When it was made.
    """

    id: str
    status: str
    total: int = 0
    done: int = 0
    failed: int = 0
    input: str | None = None
    output: str | None = None
    errors: str | None = None
    faults: tuple[Fault, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    created: datetime | None = None


class BatchApi:
    """Files and batches of one server.

    Args:
        base_url: As of the calls themselves.
        settings: How persistent to be, and the time-out of a request.

    Raises:
        ModelError: There is no key, and OpenAI's own server needs one.
    """

    def __init__(self, base_url: str, settings: Settings) -> None:
        self.base_url = base_url
        self._timeout_s = settings.timeout_s
        self._policy = RetryPolicy(settings.max_attempts, settings.max_retry_s)
        self._key = (os.environ.get("OPENAI_API_KEY") or "").strip()
        self._client: Any = None
        if not self._key and urlsplit(base_url).hostname == "api.openai.com":
            raise ModelError(
                f"{base_url}: needs an API key, got none. Set OPENAI_API_KEY or write it into .env; "
                "for another server give --base-url."
            )

    def _connected(self) -> Any:
        """Return the client, made at the first request: openai's import takes a second."""
        if self._client is None:
            import openai

            # A proxy of the environment is for the world outside, not for a server on this machine.
            outside = urlsplit(self.base_url).hostname not in _LOOPBACK
            self._client = openai.AsyncOpenAI(
                api_key=self._key or "none",
                base_url=self.base_url,
                max_retries=0,  # retries are `retry`'s
                timeout=self._timeout_s,
                http_client=openai.DefaultAsyncHttpxClient(trust_env=outside, follow_redirects=False),
            )
        return self._client

    async def upload(self, name: str, content: IO[bytes]) -> str:
        """Return the id of a file of requests, once it is uploaded."""

        async def send(client: Any) -> str:
            content.seek(0)
            made = await client.files.create(file=(name, content, "application/jsonl"), purpose="batch")
            return _id(_plain(made).get("id"), "file")

        return await self._asked("/files", send)

    async def find_file(self, name: str, n_bytes: int) -> str | None:
        """Return the id of an uploaded file by its name and size; None when there is none."""

        async def look(client: Any) -> str | None:
            async for each in self._listed(client.files.list(purpose="batch", limit=100)):
                if each.get("filename") == name and each.get("bytes") == n_bytes:
                    return _id(each.get("id"), "file")
            return None

        return await self._asked("/files", look)

    async def submit(self, file: str, api_path: str, metadata: Mapping[str, str]) -> RemoteBatch:
        """Return the batch that a file of requests becomes.

        Where an attempt had no answer, it is first looked for: it may have come through.

        Args:
            file: Id of the file.
            api_path: Behind the base URL, as ``/chat/completions``.
            metadata: What tells the batch among all others.

        Raises:
            NotReachedError: Whether there is a batch is not known.
            ModelError: The server refuses: there is none.
        """
        sent = looking = False

        async def send(client: Any) -> RemoteBatch:
            nonlocal sent, looking
            looking = sent
            if sent and (there := await self._look(client, metadata)):  # an earlier try may have come through
                return there
            sent, looking = True, False
            asked = {"input_file_id": file, "endpoint": f"/v1{api_path}", "completion_window": "24h"}
            return _batch(_plain(await client.batches.create(**asked, metadata=dict(metadata))))

        try:
            return await self._asked("/batches", send)
        except ModelError as error:
            if looking:  # that it may not be looked for does not say that there is none
                raise NotReachedError(str(error)) from None
            raise

    async def find(self, metadata: Mapping[str, str]) -> RemoteBatch | None:
        """Return the newest batch with this metadata; None when there is none but such as failed as a whole."""
        return await self._asked("/batches", lambda client: self._look(client, metadata))

    async def _look(self, client: Any, metadata: Mapping[str, str]) -> RemoteBatch | None:
        async for each in self._listed(client.batches.list(limit=100)):
            said = each.get("metadata")
            told = isinstance(said, Mapping) and all(said.get(name) == value for name, value in metadata.items())
            if told and each.get("status") != "failed":
                return _batch(each)
        return None

    async def retrieve(self, batch: str) -> RemoteBatch:
        """Return how far a batch is.

        Raises:
            GoneError: The server knows no such batch.
            NotReachedError: It does not answer now.
        """

        async def look(client: Any) -> RemoteBatch:
            return _batch(_plain(await client.batches.retrieve(batch)))

        return await self._asked(f"/batches/{batch}", look)

    async def cancel(self, batch: str) -> RemoteBatch:
        """Ask for the end of a batch and return it; it ends later, and what was answered till then is kept.

        Raises:
            GoneError: The server knows no such batch.
        """

        async def send(client: Any) -> RemoteBatch:
            return _batch(_plain(await client.batches.cancel(batch)))

        return await self._asked(f"/batches/{batch}/cancel", send)

    async def download(self, file: str, into: IO[bytes], most: int = MOST_OUTPUT_BYTES) -> None:
        """Write the content of a file, without the key, as a stream: it need not fit into memory.

        Raises:
            GoneError: The server knows no such file.
            ModelError: It is larger than ``most`` bytes.
        """

        async def read(client: Any) -> None:
            into.seek(0)
            into.truncate()
            size = 0
            clean = Hiding(self._key)
            async with client.files.with_streaming_response.content(file) as response:
                async for chunk in response.iter_bytes(_CHUNK):
                    size += len(chunk)
                    if size > most:
                        raise ModelError(
                            f"{self.base_url}, file {file}: must have at most {most:,} bytes, but has more. "
                            "Ask the provider what it is."
                        )
                    into.write(clean.of(chunk))
                into.write(clean.rest())

        await self._asked(f"/files/{file}/content", read)
        into.seek(0)

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def _listed(self, pages: Any) -> AsyncIterator[Mapping[str, Any]]:
        """Yield the entries of a list, page by page, at most `MOST_LISTED` of them."""
        n = 0
        async for each in pages:
            yield _plain(each)
            n += 1
            if n >= MOST_LISTED:
                return

    async def _asked(self, path: str, ask: Callable[[Any], Awaitable[_Answer]]) -> _Answer:
        """Return what a request brings, tried again like any call.

        Raises:
            GoneError: 404.
            NotReachedError: Nothing but failures that another attempt could have mended.
            ModelError: The server refuses: no right, no money, a request that it does not take.
        """
        answers: list[_Answer] = []

        async def attempt() -> Completion:
            with_client = self._connected()
            import openai

            try:
                answers.append(await ask(with_client))
            except openai.APIStatusError as error:
                raise self._refused(path, error) from None
            except openai.APITimeoutError:
                raise _failed("timeout", f"no answer within {self._timeout_s:g} s") from None
            except openai.APIConnectionError as error:
                raise _failed("connection", self._hidden(str(error.__cause__ or error))) from None
            except (openai.APIError, ValueError, TypeError, AttributeError) as error:
                raise _failed("bad_response", self._hidden(str(error) or type(error).__name__)) from None
            except Exception as error:
                if not _broke_off(error):
                    raise
                raise _failed("connection", self._hidden(str(error) or type(error).__name__)) from None
            return Completion("ok")

        done = await with_retries(attempt, self._policy)
        if done.error is not None:
            told = done.error["message"].rstrip(".")
            raise NotReachedError(f"{self.base_url}{path}: gives no answer: {told}.")
        return answers[-1]

    def _refused(self, path: str, error: Any) -> Exception:
        """Return what an HTTP error means: an end, or another attempt."""
        status = int(error.status_code)
        fault = read_fault(_content(error))
        message = self._hidden(fault.words or f"HTTP {status}")
        where, said = f"{self.base_url}{path}", message.rstrip(".") + "."
        if fault.code == QUEUE_FULL:
            return QueueFullError(f"{where}: {said}")
        if status in _AGAIN or (status >= 500 and status != 501):
            told = CallError(kind=f"http_{status}", message=message, status=status)
            return AttemptFailed(told, again=True, retry_after=retry_after(error.response.headers))
        if status == 401:
            return ModelError(f"{where}: the key is refused (401): {said} Check OPENAI_API_KEY.")
        if status == 403:
            return ModelError(f"{where}: access is refused (403): {said}")
        if status == 404 and path in ("/files", "/batches"):
            return ModelError(
                f"{where}: not found (404): {said} Check the base URL, and whether the server has a batch API."
            )
        if status == 404:
            return GoneError(f"{where}: not found (404): {said}")
        if status < 400:
            return ModelError(redirected(where, status))
        return ModelError(f"{where}: refused ({status}): {said}")

    def _hidden(self, text: str) -> str:
        """Return a text without the key in it, short enough for a line."""
        line = " ".join(text.split())
        return unsaid(line, self._key)[:500]


class QueueFullError(ModelError):
    """More tokens wait than the provider allows the organisation."""


@asynccontextmanager
async def batch_apis(settings: Settings) -> AsyncIterator[Callable[[str], BatchApi]]:
    """Return what gives the batches of a server by its base URL; their connections end with the block."""
    made: dict[str, BatchApi] = {}

    def api_of(base_url: str) -> BatchApi:
        if base_url not in made:
            made[base_url] = BatchApi(base_url, settings)
        return made[base_url]

    try:
        yield api_of
    finally:
        for api in made.values():
            await api.close()


def _broke_off(error: Exception) -> bool:
    """Return whether a connection broke in the middle of an answer, which the openai package lets through as it is."""
    return type(error).__module__.partition(".")[0] in ("httpx", "httpx2", "httpcore", "httpcore2", "anyio")


def _failed(kind: str, message: str) -> AttemptFailed:
    return AttemptFailed(CallError(kind=kind, message=message, status=None), again=True)


def _content(error: Any) -> bytes:
    """Return the body of an HTTP error; none where it was a stream that nobody read."""
    try:
        return bytes(error.response.content)
    except Exception:  # httpx has an error of its own for it
        return b""


def _plain(answer: Any) -> Mapping[str, Any]:
    """Return an answer of the openai package as plain values.

    Raises:
        ValueError: The server answered something else, such as a page.
    """
    if not hasattr(answer, "model_dump"):
        raise ValueError(
            f"the answer must be a JSON object, got {str(answer)[:100]!r}. Is the base URL that of an API?"
        )
    values: Mapping[str, Any] = answer.model_dump(mode="python", warnings=False)
    return values


def _id(value: Any, what: str) -> str:
    """Return an id.

    Raises:
        ValueError: It is no plain word: an id goes into URLs.
    """
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise ValueError(f"the id of a {what} must be a word, got {str(value)[:100]!r}")
    return value


def _batch(said: Mapping[str, Any]) -> RemoteBatch:
    """Return a batch as a server tells it.

    Raises:
        ValueError: It has no id or no status.
    """
    status = said.get("status")
    if not isinstance(status, str):
        raise ValueError(f"a batch must have a status, got {str(status)[:100]!r}")
    counts, metadata = said.get("request_counts"), said.get("metadata")
    counts = counts if isinstance(counts, Mapping) else {}
    created = said.get("created_at")
    return RemoteBatch(
        id=_id(said.get("id"), "batch"),
        status=status,
        total=_count(counts.get("total")),
        done=_count(counts.get("completed")),
        failed=_count(counts.get("failed")),
        input=None if not said.get("input_file_id") else _id(said["input_file_id"], "file"),
        output=None if not said.get("output_file_id") else _id(said["output_file_id"], "file"),
        errors=None if not said.get("error_file_id") else _id(said["error_file_id"], "file"),
        faults=tuple(_faults(said.get("errors"))),
        metadata=dict(metadata) if isinstance(metadata, Mapping) else {},
        created=datetime.fromtimestamp(created, UTC) if isinstance(created, int) and 0 < created < 1 << 33 else None,
    )


def _faults(errors: Any) -> list[Fault]:
    data = errors.get("data") if isinstance(errors, Mapping) else None
    return [
        Fault(
            str(each.get("code") or "unknown")[:100],
            " ".join(str(each.get("message") or "no message").split())[:500],
            line if isinstance(line := each.get("line"), int) else None,
        )
        for each in (data if isinstance(data, list) else ())
        if isinstance(each, Mapping)
    ]


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0
