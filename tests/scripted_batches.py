"""/v1/files and /v1/batches of the scripted server: batches that end as they are told, and faults of every step.

    batches = Batches(Fate(polls=2), Fate("expired", answered=3))
    with ScriptedServer(answering(…), batches=batches) as server: …

The first fate is that of the first batch, and so on; later batches end as `then` says. A line of a batch is answered by the
server's own script, once, when the batch ends: `Batches.answered` counts what would have been paid.
"""

from __future__ import annotations

import json
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from scripted_server import Reply, Request

FILES = "/v1/files"
BATCHES = "/v1/batches"
PAGE = 3
"""Entries of a page of a list at most: few, so that every list of some length has pages."""

Answering = Callable[[str, dict[str, Any]], tuple[int, dict[str, Any]]]
"""What answers a line: path and body to HTTP status and body."""

Doctor = Callable[[list[bytes]], bytes]
"""Lines of an output file to the file's content."""


def whole(lines: list[bytes]) -> bytes:
    """The lines as they are."""
    return b"".join(lines)


def torn(lines: list[bytes]) -> bytes:
    """All but the last lines whole, the last one cut in its middle."""
    return b"".join(lines[:-1]) + lines[-1][: len(lines[-1]) // 2]


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of a batch.

    Attributes:
        status: In which state it ends.
        polls: How often it is looked at before it has ended.
        answered: How many of its requests were processed by then; None is all of them.
        errors: What it says of itself when its status is "failed".
        output: Doctors the file of answers.
        error_file: False leaves the requests that were not processed out of the error file.
    """

    status: str = "completed"
    polls: int = 0
    answered: int | None = None
    errors: tuple[Mapping[str, Any], ...] = ()
    output: Doctor = whole
    error_file: bool = True


def refused(code: str, message: str, line: int | None = None) -> Fate:
    """A batch that fails as a whole, before any of its requests is processed."""
    return Fate("failed", errors=({"code": code, "message": message, "line": line, "param": None},), answered=0)


@dataclass(slots=True)
class _File:
    name: str
    purpose: str
    content: bytes
    created: int


@dataclass(slots=True)
class _Batch:
    number: int
    file: str
    endpoint: str
    metadata: Mapping[str, str]
    fate: Fate
    created: int
    status: str = "validating"
    polls: int = 0
    total: int = 0
    done: int = 0
    failed: int = 0
    output: str | None = None
    errors_file: str | None = None
    errors: tuple[Mapping[str, Any], ...] = ()


@dataclass
class Batches:
    """The files and batches of a server.

    Attributes:
        fates: Of the first batches.
        then: Of all later ones.
        files: What was uploaded or made, by id.
        batches: By id.
        answered: By custom id, how often a request was processed with success.
        seen: By custom id, in how many submitted batches it was.
        before: By "METHOD /path" without ids, replies that stand in for an answer, one request each.
        after: The same, but the request is carried out first, and only its answer is another one.
    """

    fates: deque[Fate] = field(default_factory=deque)
    then: Fate = field(default_factory=Fate)
    most_requests: int = 50_000
    files: dict[str, _File] = field(default_factory=dict)
    batches: dict[str, _Batch] = field(default_factory=dict)
    answered: Counter[str] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)
    before: dict[str, deque[Reply]] = field(default_factory=dict)
    after: dict[str, deque[Reply]] = field(default_factory=dict)

    def ending(self, *fates: Fate) -> Batches:
        """Let the next batches end like this."""
        self.fates.extend(fates)
        return self

    def failing(self, route: str, *replies: Reply, done: bool = False) -> Batches:
        """Answer the next requests of a route like this; with ``done`` each is carried out all the same."""
        (self.after if done else self.before).setdefault(route, deque()).extend(replies)
        return self

    def handles(self, path: str) -> bool:
        """Whether a path is one of these."""
        return path in (FILES, BATCHES) or path.startswith((f"{FILES}/", f"{BATCHES}/"))

    def answer(self, request: Request, answering: Answering) -> Reply:
        """Answer a request."""
        from scripted_server import error

        _, _, *ids = request.path.strip("/").split("/")
        route = (
            f"{request.method} {'/'.join(['', 'v1', request.path.split('/')[2], *('ID' for _ in ids[:1]), *ids[1:]])}"
        )
        if self.before.get(route):
            return self.before[route].popleft()
        act = {
            f"POST {FILES}": self._upload,
            f"GET {FILES}": self._list_files,
            f"GET {FILES}/ID/content": self._content,
            f"POST {BATCHES}": self._create,
            f"GET {BATCHES}": self._list_batches,
            f"GET {BATCHES}/ID": lambda each: self._retrieve(each, answering),
            f"POST {BATCHES}/ID/cancel": self._cancel,
        }.get(route)
        made = error(404, f"Unknown request URL: {route}") if act is None else act(request)
        return self.after[route].popleft() if self.after.get(route) else made

    # Files

    def _upload(self, request: Request) -> Reply:
        purpose, name, content = "", "", b""
        for head, body in _parts(request):
            if b'name="purpose"' in head:
                purpose = body.decode()
            elif b'name="file"' in head:
                name = head.split(b'filename="')[1].split(b'"')[0].decode()
                content = body
        return _reply(self._file_object(self._keep(name, purpose, content)))

    def _keep(self, name: str, purpose: str, content: bytes) -> str:
        identity = f"file-{len(self.files) + 1}"
        self.files[identity] = _File(name, purpose, content, int(time.time()))
        return identity

    def _file_object(self, identity: str) -> dict[str, Any]:
        file = self.files[identity]
        return {
            "id": identity,
            "object": "file",
            "bytes": len(file.content),
            "created_at": file.created,
            "filename": file.name,
            "purpose": file.purpose,
            "status": "processed",
        }

    def _list_files(self, request: Request) -> Reply:
        wanted = parse_qs(request.query).get("purpose", [""])[0]
        ids = [identity for identity in reversed(self.files) if wanted in ("", self.files[identity].purpose)]
        return self._page(request, [self._file_object(identity) for identity in ids])

    def _content(self, request: Request) -> Reply:
        from scripted_server import Reply, error

        identity = request.path.split("/")[3]
        if identity not in self.files:
            return error(404, f"No such File object: {identity}")
        return Reply(raw_body=self.files[identity].content, headers={"content-type": "application/octet-stream"})

    # Batches

    def _create(self, request: Request) -> Reply:
        from scripted_server import error

        asked = request.body
        if asked.get("input_file_id") not in self.files or asked.get("completion_window") != "24h":
            return error(400, "input_file_id and completion_window must be those of a batch")
        number = len(self.batches) + 1
        fate = self.fates.popleft() if self.fates else self.then
        made = _Batch(
            number, asked["input_file_id"], asked["endpoint"], asked.get("metadata") or {}, fate, int(time.time())
        )
        self.batches[f"batch_{number}"] = made
        lines = self._lines(made)
        self.seen.update(str(line["custom_id"]) for line in lines if isinstance(line, dict) and "custom_id" in line)
        return _reply(self._batch_object(f"batch_{number}"))

    def _lines(self, batch: _Batch) -> list[Any]:
        return [json.loads(line) for line in self.files[batch.file].content.splitlines()]

    def _list_batches(self, request: Request) -> Reply:
        return self._page(request, [self._batch_object(identity) for identity in reversed(self.batches)])

    def _retrieve(self, request: Request, answering: Answering) -> Reply:
        from scripted_server import error

        identity = request.path.split("/")[3]
        batch = self.batches.get(identity)
        if batch is None:
            return error(404, f"No batch found with id '{identity}'.")
        if batch.status in ("validating", "in_progress", "cancelling"):
            self._go_on(batch, answering)
        return _reply(self._batch_object(identity))

    def _go_on(self, batch: _Batch, answering: Answering) -> None:
        """Take a batch one look further."""
        lines = self._lines(batch)
        batch.total = len(lines)
        if batch.polls < batch.fate.polls:
            batch.polls += 1
            batch.status = "in_progress" if batch.status == "validating" else batch.status
            return
        errors = batch.fate.errors or self._wrong(batch, lines)
        if errors:
            batch.status, batch.errors, batch.total = "failed", tuple(errors), 0
            return
        self._process(batch, lines, answering)
        batch.status = "cancelled" if batch.status == "cancelling" else batch.fate.status

    def _wrong(self, batch: _Batch, lines: list[Any]) -> list[Mapping[str, Any]]:
        """What a provider's validation has against the lines of a batch."""
        found: list[Mapping[str, Any]] = []

        def wrong(line: int | None, code: str, message: str) -> None:
            found.append({"code": code, "message": message, "line": line, "param": None})

        if not lines:
            wrong(None, "empty_file", "The file is empty.")
        if len(lines) > self.most_requests:
            wrong(None, "max_requests", f"The file has more than {self.most_requests} requests.")
        ids = Counter(line.get("custom_id") for line in lines)
        models = {line["body"].get("model") for line in lines}
        for number, line in enumerate(lines, 1):
            if set(line) != {"custom_id", "method", "url", "body"} or line["method"] != "POST":
                wrong(number, "invalid_request", "A line must have custom_id, method, url and body.")
            elif ids[line["custom_id"]] > 1 or not 1 <= len(line["custom_id"]) <= 64:
                wrong(number, "duplicate_custom_id", "The custom_id must be unique.")
            elif line["url"] != batch.endpoint:
                wrong(number, "invalid_url", "The URL must be the batch's endpoint.")
        if len(models) > 1:
            wrong(None, "mismatched_model", "A file must have requests to one model.")
        return found

    def _process(self, batch: _Batch, lines: list[Any], answering: Answering) -> None:
        reach = len(lines) if batch.fate.answered is None else batch.fate.answered
        answers: list[bytes] = []
        errors: list[bytes] = []
        for number, line in enumerate(lines):
            row: dict[str, Any] = {
                "id": f"req_{number}",
                "custom_id": line["custom_id"],
                "response": None,
                "error": None,
            }
            if number >= reach:
                ended = "cancelled" if batch.status == "cancelling" else batch.fate.status
                row["error"] = {"code": f"batch_{ended}", "message": f"This request was not processed: {ended}."}
                if batch.fate.error_file:
                    errors.append(_line(row))
                continue
            status, body = answering(line["url"], line["body"])
            row["response"] = {"status_code": status, "request_id": f"r{number}", "body": body}
            self.answered[line["custom_id"]] += status == 200
            (answers if status == 200 else errors).append(_line(row))
        batch.done, batch.failed = len(answers), len(errors)
        if answers:
            batch.output = self._keep("output.jsonl", "batch_output", batch.fate.output(answers))
        if errors:
            batch.errors_file = self._keep("errors.jsonl", "batch_output", whole(errors))

    def _cancel(self, request: Request) -> Reply:
        from scripted_server import error

        identity = request.path.split("/")[3]
        batch = self.batches.get(identity)
        if batch is None:
            return error(404, f"No batch found with id '{identity}'.")
        if batch.status not in ("validating", "in_progress", "cancelling"):
            return error(409, f"Cannot cancel a batch with status '{batch.status}'.")
        batch.status = "cancelling"
        return _reply(self._batch_object(identity))

    def _batch_object(self, identity: str) -> dict[str, Any]:
        batch = self.batches[identity]
        return {
            "id": identity,
            "object": "batch",
            "endpoint": batch.endpoint,
            "errors": {"object": "list", "data": list(batch.errors)} if batch.errors else None,
            "input_file_id": batch.file,
            "completion_window": "24h",
            "status": batch.status,
            "output_file_id": batch.output,
            "error_file_id": batch.errors_file,
            "created_at": batch.created,
            "request_counts": {"total": batch.total, "completed": batch.done, "failed": batch.failed},
            "metadata": dict(batch.metadata),
        }

    def _page(self, request: Request, every: list[dict[str, Any]]) -> Reply:
        asked = parse_qs(request.query)
        after = asked.get("after", [None])[0]
        start = 0 if after is None else 1 + [each["id"] for each in every].index(after)
        size = min(PAGE, int(asked.get("limit", ["20"])[0]))
        page = every[start : start + size]
        ends = {"first_id": page[0]["id"], "last_id": page[-1]["id"]} if page else {}
        return _reply({"object": "list", "data": page, **ends, "has_more": start + size < len(every)})


def _parts(request: Request) -> list[tuple[bytes, bytes]]:
    """Heads and bodies of a multipart request."""
    boundary = request.headers["content-type"].split("boundary=")[1].strip('"').encode()
    pieces = request.content.split(b"--" + boundary)[1:-1]
    return [(head, body[:-2]) for head, _, body in (piece.partition(b"\r\n\r\n") for piece in pieces)]


def _line(row: Mapping[str, Any]) -> bytes:
    return json.dumps(row).encode() + b"\n"


def _reply(value: Mapping[str, Any]) -> Reply:
    from scripted_server import Reply

    return Reply(raw_body=json.dumps(value).encode())
