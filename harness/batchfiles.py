"""The files of the batch APIs: requests split to what a provider takes, and what its files of answers say, line by line."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple

from harness.errors import shortened
from harness.jsonfiles import writing
from harness.records import CallError

MOST_LINE_BYTES = 64_000_000
"""Bytes of a line of a provider's file that are read at most."""

_AGAIN = frozenset({408, 409, 425, 429})
"""HTTP statuses below 500 after which the same request can succeed."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a provider takes in one file; the defaults are OpenAI's."""

    requests: int = 50_000
    n_bytes: int = 200_000_000


class Target(NamedTuple):
    """Where the requests of a file go: a file goes to one API, and asks one model."""

    base_url: str
    api: str
    model: str


@dataclass(slots=True)
class Draft:
    """A file of requests before it is uploaded; it has no name on this disk, and is gone when it is closed.

    Attributes:
        keys: The call keys of its lines, in their order.
        passes: Names of the passes that ask.
    """

    target: Target
    file: IO[bytes]
    keys: list[str] = field(default_factory=list)
    passes: dict[str, None] = field(default_factory=dict)
    n_bytes: int = 0
    hashed: Any = field(default_factory=hashlib.sha256)

    @property
    def sha256(self) -> str:
        """The hash of its content."""
        return str(self.hashed.hexdigest())


class Drafts:
    """Files of requests while they are written, each closed when the next request would not fit.

    Args:
        folder: On which disk they are.
        limits: What a file can hold.
    """

    def __init__(self, folder: Path, limits: Limits) -> None:
        self._folder, self._limits = folder, limits
        self._by_target: dict[Target, Draft] = {}
        self.made: list[Draft] = []

    def add(self, target: Target, pass_name: str, key: str, path: str, body: Mapping[str, Any]) -> bool:
        """Add a request; False when no file could hold it.

        Args:
            target: Where it goes.
            pass_name: Who asks.
            key: Its call key: what its answer is told by.
            path: Of the API, behind the base URL.
            body: The request itself.

        Raises:
            DataError: The disk refuses.
        """
        row = {"custom_id": key, "method": "POST", "url": f"/v1{path}", "body": body}
        line = json.dumps(row).encode("ascii") + b"\n"  # a lone surrogate goes as JSON's own escape
        if len(line) > self._limits.n_bytes:
            return False
        draft = self._by_target.get(target)
        with writing(self._folder, "Make room, then go on with the run."):
            if draft is None or not self._fits(draft, line):
                content = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - `close` ends it
                draft = self._by_target[target] = Draft(target, content)
                self.made.append(draft)
            draft.file.write(line)
        draft.hashed.update(line)
        draft.n_bytes += len(line)
        draft.keys.append(key)
        draft.passes.setdefault(pass_name)
        return True

    def _fits(self, draft: Draft, line: bytes) -> bool:
        return len(draft.keys) < self._limits.requests and draft.n_bytes + len(line) <= self._limits.n_bytes

    def close(self) -> None:
        """Let go of the files."""
        for draft in self.made:
            draft.file.close()


@dataclass(frozen=True, slots=True)
class Result:
    """What a line of a provider's file says of a request.

    Attributes:
        key: Its call key.
        body: The answer, as the API itself would give it; None without one.
        error: Why there is none.
        again: Whether another batch can bring one.
        ended: Whether the batch ended before the request was processed.
    """

    key: str
    body: Any = None
    error: CallError | None = None
    again: bool = False
    ended: bool = False


def results(file: IO[bytes]) -> Iterator[Result | None]:
    """Yield what the lines of a file of answers or errors say; None for a line that cannot be read, such as a torn one."""
    while line := file.readline(MOST_LINE_BYTES):
        yield _result(line) if line.strip() else None


def _result(line: bytes) -> Result | None:
    try:
        row = json.loads(line)
        key, response, error = row["custom_id"], row.get("response"), row.get("error")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    if not isinstance(key, str):
        return None
    if isinstance(error, Mapping):
        code = str(error.get("code") or "unknown")
        told = CallError(kind=shortened(code), message=_words(error, code), status=None)
        return Result(key, error=told, again=True, ended=code.startswith(("batch_expired", "batch_cancelled")))
    if not isinstance(response, Mapping):
        return None
    status, body = response.get("status_code"), response.get("body")
    if status == 200:
        return Result(key, body)
    if not isinstance(status, int) or status < 400:  # some say 0 of what was never sent
        return Result(
            key, error=CallError(kind="batch_no_status", message=f"status {status!r}", status=None), again=True
        )
    inner = body.get("error", body) if isinstance(body, Mapping) else body
    message = _words(inner, f"HTTP {status}")
    again = status in _AGAIN or (status >= 500 and status != 501)
    return Result(key, error=CallError(kind=f"http_{status}", message=message, status=status), again=again)


def _words(said: Any, otherwise: str) -> str:
    """Return the message of an error, on one line; what else to say where it has none."""
    message = said.get("message") if isinstance(said, Mapping) else said
    return " ".join(str(message or otherwise).split())[:500]
