"""A scripted OpenAI-compatible server over real HTTP on loopback: faults for the tests, load for the benchmarks.

In a test, in a thread of its own:

    with ScriptedServer(failing_first(1, error(429, retry_after=0.01), then="shipping")) as server:
        client = openai.OpenAI(base_url=server.base_url, api_key="x")

For a benchmark, in a process of its own (its first line of output is the base URL):

    python tests/scripted_server.py --port 0 --latency 0.05 --answer "shipping, quality"
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from scripted_batches import Batches

CHAT_PATH = "/v1/chat/completions"
RESPONSES_PATH = "/v1/responses"
COMPLETIONS_PATH = "/v1/completions"
EMBEDDINGS_PATH = "/v1/embeddings"
DECISIONS_PATH = "/v1/decisions"
SYSTEMONE_PATH = "/v1/systemone"
TOKENIZE_PATH = "/tokenize"
MODELS_PATH = "/v1/models"

_BACKLOG = 1024  # connections of a whole benchmark's start

# ---------------------------------------------------------------------------------------------------------------------
# What comes in, and what to do about it


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it arrived.

    Attributes:
        path: Without the query string.
        headers: Names in lower case.
        body: The JSON object that was sent; empty when there was none.
        index: How many requests arrived before this one.
        attempt: How many of them had the same body, byte for byte.
        received_at: `time.monotonic()` of its last byte.
        method: In capitals.
        query: The query string.
        content: What was sent, when it was a form and no JSON.
    """

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]
    index: int
    attempt: int
    received_at: float
    method: str = "POST"
    query: str = ""
    content: bytes = b""

    @property
    def messages(self) -> list[Mapping[str, Any]]:
        """What is asked, as messages: those of a chat, the input of a response, or a prompt as one user message."""
        for name in ("messages", "input", "prompt", "content", "state"):
            if name in self.body:
                given = self.body[name]
                if name == "state" and isinstance(given, dict):
                    given = given.get("messages", [])
                texts = [given] if isinstance(given, str) else given
                return [{"role": "user", "content": each} if isinstance(each, str) else each for each in texts]
        return []

    @property
    def text(self) -> str:
        """The content of the last user message, "" without one."""
        return next((_content(each) for each in reversed(self.messages) if each["role"] == "user"), "")

    @property
    def all_text(self) -> str:
        """The contents of all messages, a line break between them."""
        return "\n".join(map(_content, self.messages))


def _content(message: Mapping[str, Any]) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


class Gate(threading.Event):
    """An event that also calls back, so that an answer can be held without a thread that waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []

    def when_set(self, callback: Callable[[], None]) -> None:
        """Call `callback` once: now when the gate is set, else from `set`, in the thread that sets it."""
        with self._lock:
            if not self.is_set():
                self._callbacks.append(callback)
                return
        callback()

    def set(self) -> None:
        """Let everything through that is held, and all that comes later until `clear`."""
        with self._lock:
            super().set()
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server does about one request.

    Attributes:
        content: The text of the answer; None is JSON null.
        status: The HTTP status.
        headers: Added to the response, or put in place of its own.
        latency: Seconds until the answer is sent, counted from the opening of `hold` when there is one.
        finish_reason: "stop", "length", "content_filter", …
        refusal: The refusal beside the content.
        reasoning: What was thought before the content.
        usage: The token counts; None is a rough count, and empty leaves `usage` out of the answer.
        logprobs: The entries of `logprobs.content`, sent when the request asks for them; None is one token.
        vectors: The embeddings, one for each input; None makes them of the words.
        raw_body: Sent exactly so, in place of a completion.
        hold: Nothing is sent before this gate is set.
        hang: Nothing is ever sent.
        close: The connection is dropped without an answer.
        truncate_body: The connection is dropped after half of the announced body.
        model: The name of the model that answered; None repeats the one that was asked.
    """

    content: str | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    latency: float = 0.0
    finish_reason: str = "stop"
    refusal: str | None = None
    reasoning: str | None = None
    usage: Mapping[str, Any] | None = None
    logprobs: Sequence[Mapping[str, Any]] | None = None
    vectors: Sequence[Sequence[float]] | None = None
    raw_body: bytes | None = None
    hold: Gate | None = None
    hang: bool = False
    close: bool = False
    truncate_body: bool = False
    model: str | None = None


Script = Callable[[Request], Reply]
"""What to do about a request. It runs in the server's thread, one request at a time, and must not block."""

Answer = str | Reply | Script
"""Wherever a script is asked for, a reply stands for `always(reply)` and a string for `always(say(string))`."""


# ---------------------------------------------------------------------------------------------------------------------
# Replies by name


def say(content: str, *, latency: float = 0.0, hold: Gate | None = None) -> Reply:
    """An ordinary answer."""
    return Reply(content, latency=latency, hold=hold)


def cut(content: str) -> Reply:
    """An answer that ran into `max_tokens`."""
    return Reply(content, finish_reason="length")


def refuse(refusal: str) -> Reply:
    """A refusal in the place that the API has for it: no content."""
    return Reply(refusal=refusal)


def error(
    status: int,
    message: str = "scripted error",
    *,
    code: str | None = None,
    param: str | None = None,
    retry_after: float | None = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """An OpenAI-shaped error, with a Retry-After header in seconds when `retry_after` is given."""
    kind = "server_error" if status >= 500 else "rate_limit_error" if status == 429 else "invalid_request_error"
    body = {"error": {"message": message, "type": kind, "param": param, "code": code}}
    retry = {} if retry_after is None else {"retry-after": str(retry_after)}
    return Reply(status=status, headers={**retry, **(headers or {})}, raw_body=json.dumps(body).encode())


def broken_json() -> Reply:
    """A complete 200 response whose body stops in the middle of the JSON."""
    return Reply(raw_body=b'{"id": "chatcmpl-0", "choices": [{"message": {"content": "shi')


def hang() -> Reply:
    """No answer until the client leaves or the server stops."""
    return Reply(hang=True)


def drop() -> Reply:
    """A connection that closes instead of answering."""
    return Reply(close=True)


def token(text: str, logprob: float, alternatives: Mapping[str, float] | None = None) -> dict[str, Any]:
    """One entry of `Reply.logprobs`; `alternatives` are the top log-probabilities by token, by default itself alone."""
    top = [_token_logprob(*pair) for pair in (alternatives or {text: logprob}).items()]
    return {**_token_logprob(text, logprob), "top_logprobs": top}


def _token_logprob(text: str, logprob: float) -> dict[str, Any]:
    return {"token": text, "logprob": logprob, "bytes": list(text.encode())}


# ---------------------------------------------------------------------------------------------------------------------
# Scripts by name


def always(answer: Answer) -> Script:
    """The same for every request."""
    if isinstance(answer, str):
        answer = say(answer)
    if isinstance(answer, Reply):
        reply = answer
        return lambda _request: reply
    return answer


def answering(answers: Mapping[str, str | Reply] | Callable[[str], str | Reply]) -> Script:
    """An answer that depends on the text of the last user message alone.

    Of a mapping it is the answer whose key the text contains. Of several keys the one that ends last counts, because a
    prompt has its sample after its examples; of those that end together the longest ("sample 10" before "10").
    """
    answer_to = answers if callable(answers) else _lookup(answers)

    def script(request: Request) -> Reply:
        answer = answer_to(request.text)
        return say(answer) if isinstance(answer, str) else answer

    return script


def _lookup(answers: Mapping[str, str | Reply]) -> Callable[[str], str | Reply]:
    def answer_to(text: str) -> str | Reply:
        found = [key for key in answers if key in text]
        if not found:
            raise LookupError(f"no scripted answer for {text!r}")
        return answers[max(found, key=lambda key: (text.rfind(key) + len(key), len(key)))]

    return answer_to


def sequence(answers: Iterable[Answer], then: Answer | None = None) -> Script:
    """One answer after the other, in the order in which requests arrive; then `then`, or an error of the script."""
    steps = map(always, answers)
    rest = None if then is None else always(then)

    def script(request: Request) -> Reply:
        step = next(steps, rest)
        if step is None:
            raise LookupError("the scripted sequence is over")
        return step(request)

    return script


def failing_first(n: int, reply: Reply, then: Answer) -> Script:
    """`reply` to the first `n` requests with the same body, then `then`."""
    rest = always(then)
    return lambda request: reply if request.attempt < n else rest(request)


# ---------------------------------------------------------------------------------------------------------------------
# The server


class ScriptedServer:
    """Answers requests of every API on 127.0.0.1 as its script says, from a thread of its own, and remembers them.

    Every request is remembered and counted, whatever its path; the script is asked about well-formed requests of the
    `ENDPOINTS` that carry the right key.

    Args:
        script: A script, or the one reply or text that answers everything.
        api_key: The key to insist on; None lets everybody in.
        port: 0 takes a free one.
        record: False keeps the counts but no requests, so that a benchmark's memory does not grow; `attempt` stays 0.
        batches: Files and batches, whose lines the script answers too; None has neither.
    """

    def __init__(
        self,
        script: Answer,
        *,
        api_key: str | None = None,
        port: int = 0,
        record: bool = True,
        batches: Batches | None = None,
    ) -> None:
        self._script = always(script)
        self._batches = batches
        self._api_key = api_key
        self._port = port
        self._record = record
        self._thread: threading.Thread | None = None
        self._connections: set[_Connection] = set()
        self._changed = threading.Condition()  # guards all that follows
        self._in_flight = 0
        self._forget()

    # Life

    def __enter__(self) -> ScriptedServer:
        self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen; when this returns, clients can connect."""
        # Bound here and not in the thread, so that a port in use is an error of the caller.
        listener = socket.create_server(("127.0.0.1", self._port), backlog=_BACKLOG)
        self._port = listener.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._run, args=(listener,), name="scripted-server", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Drop every connection and free the port; what was received can still be read. Stopping twice is fine."""
        if self._thread is None:
            return
        self._post(self._stopping.set)
        self._thread.join()
        self._thread = None

    def _run(self, listener: socket.socket) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve(listener))

    async def _serve(self, listener: socket.socket) -> None:
        server = await self._loop.create_server(lambda: _Connection(self), sock=listener, backlog=_BACKLOG)
        await self._stopping.wait()
        # First let in who is at the door: asyncio (3.11) loses a socket when the server closes under an accept.
        self._loop.remove_reader(listener)
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})
        server.close()
        while self._connections:  # each leaves the set in a later turn of the loop, and one may still be arriving
            for connection in self._connections:
                connection.abort()
            await asyncio.sleep(0)

    def _post(self, callback: Callable[[], object]) -> None:
        """Run `callback` in the server's thread; a gate that is set after the server has stopped moves nothing."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback)

    # What tests ask

    @property
    def base_url(self) -> str:
        """What an OpenAI client takes as `base_url`."""
        return f"http://127.0.0.1:{self._port}/v1"

    @property
    def count(self) -> int:
        """How many requests arrived."""
        return self._count

    @property
    def in_flight(self) -> int:
        """How many of them are still unanswered, their client waiting."""
        return self._in_flight

    @property
    def max_in_flight(self) -> int:
        """The most that were in flight at once."""
        return self._max_in_flight

    @property
    def requests(self) -> list[Request]:
        """The requests in the order of their arrival."""
        with self._changed:
            return list(self._requests)

    @property
    def script_errors(self) -> list[str]:
        """Tracebacks of the script's own exceptions; each was answered with a 500."""
        with self._changed:
            return list(self._script_errors)

    def bodies(self) -> list[dict[str, Any]]:
        """The bodies of the requests of all `ENDPOINTS` in the order of their arrival."""
        return [request.body for request in self.requests if request.path in ENDPOINTS]

    def wait_for(self, n: int, timeout: float = 5.0) -> None:
        """Block until `n` requests have arrived; in a coroutine use `await asyncio.to_thread(server.wait_for, n)`."""
        self._wait(lambda: self._count >= n, timeout, f"{n} requests")

    def wait_idle(self, timeout: float = 5.0) -> None:
        """Block until nothing is in flight: every client has its answer or has left."""
        self._wait(lambda: not self._in_flight, timeout, "none in flight")

    def reset(self) -> None:
        """Forget what was received so far. What a script remembers by itself (`sequence`) it keeps."""
        with self._changed:
            self._forget()

    def _wait(self, condition: Callable[[], bool], timeout: float, wanted: str) -> None:
        with self._changed:
            if not self._changed.wait_for(condition, timeout):
                state = f"{self._count} requests, {self._in_flight} in flight"
                raise TimeoutError(f"waited {timeout} s for {wanted}; there are {state}")

    def _forget(self) -> None:
        self._count = 0
        self._lines = 0
        self._max_in_flight = self._in_flight
        self._requests: list[Request] = []
        self._seen: Counter[tuple[str, bytes]] = Counter()
        self._script_errors: list[str] = []

    # What connections ask, in the server's thread

    def _begin(self, message: _Message) -> tuple[Reply, bytes]:
        """Remember a request; how to answer it, and the response to send."""
        request = self._remember(message)
        try:
            reply = self._route(request)
            return reply, _response(reply, request)
        except Exception:
            with self._changed:
                self._script_errors.append(traceback.format_exc())
            reply = error(500, "the script failed: see script_errors")
            return reply, _response(reply, request)

    def _end(self) -> None:
        with self._changed:
            self._in_flight -= 1
            self._changed.notify_all()

    def _remember(self, message: _Message) -> Request:
        body = _json_object(message.body)
        received_at = time.monotonic()
        with self._changed:
            same = (message.path, message.body)
            known = (message.path, message.headers, body, self._count, self._seen[same], received_at)
            request = Request(*known, message.method, message.query, b"" if body else message.body)
            if self._record:
                self._seen[same] += 1
                self._requests.append(request)
            self._count += 1
            self._in_flight += 1
            self._max_in_flight = max(self._max_in_flight, self._in_flight)
            self._changed.notify_all()
        return request

    def _route(self, request: Request) -> Reply:
        if self._api_key is not None and request.headers.get("authorization") != f"Bearer {self._api_key}":
            return error(401, "Incorrect API key provided", code="invalid_api_key")
        if (request.method, request.path) == ("GET", MODELS_PATH):
            return Reply(raw_body=_MODELS)
        if self._batches is not None and self._batches.handles(request.path):
            return self._batches.answer(request, self._answer_line)
        endpoint = ENDPOINTS.get(request.path)
        if request.method != "POST" or endpoint is None:
            return error(404, f"Unknown request URL: {request.method} {request.path}", code="unknown_url")
        if endpoint.needs not in request.body:
            return error(400, f"The body must be a JSON object with {endpoint.needs}")
        return self._script(request)

    def _answer_line(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Return status and body of the answer to a line of a batch; it counts as no request."""
        with self._changed:
            same = (f"batch {path}", json.dumps(body, sort_keys=True).encode())
            request = Request(path, {}, body, self._lines, self._seen[same], time.monotonic())
            self._seen[same] += 1
            self._lines += 1
        reply = self._script(request)
        content = reply.raw_body
        return reply.status, ENDPOINTS[path].answer(reply, request) if content is None else json.loads(content)


# ---------------------------------------------------------------------------------------------------------------------
# HTTP


class _Message(NamedTuple):
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


class _Connection(asyncio.Protocol):
    """One keep-alive connection: a request is answered before the next one is looked at.

    A protocol and not a pair of streams, because it needs no task and no future for a request.
    """

    _transport: asyncio.Transport

    def __init__(self, server: ScriptedServer) -> None:
        self._server = server
        self._received = bytearray()
        self._busy = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server._connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        if self._busy:
            self._done()

    def data_received(self, data: bytes) -> None:
        self._received += data
        self._next()

    def abort(self) -> None:
        self._transport.abort()

    def _next(self) -> None:
        if self._busy:
            return
        try:
            message = _take_message(self._received)
        except ValueError:
            self._transport.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            self._transport.close()
            return
        if message is not None:
            self._busy = True
            self._act(*self._server._begin(message))

    def _act(self, reply: Reply, response: bytes) -> None:
        if reply.hang:
            return
        if reply.hold is None:
            self._send_later(reply, response)
        else:
            reply.hold.when_set(lambda: self._server._post(lambda: self._send_later(reply, response)))

    def _send_later(self, reply: Reply, response: bytes) -> None:
        if reply.latency <= 0:
            self._send(reply, response)
        elif self._busy:  # a client that left while its answer was held needs no timer
            self._timer = self._server._loop.call_later(reply.latency, self._send, reply, response)

    def _send(self, reply: Reply, response: bytes) -> None:
        if self._transport.is_closing():
            return
        self._done()  # before the write: a client that has its answer is not in flight any more
        if not reply.close:
            self._transport.write(response)
        if reply.close or reply.truncate_body:
            self._transport.close()
        else:
            self._next()

    def _done(self) -> None:
        self._busy = False
        self._server._end()


def _take_message(received: bytearray) -> _Message | None:
    """Take the first request off what was received; None while it is not all there.

    Raises:
        ValueError: It is not HTTP as this server speaks it.
    """
    end_of_head = received.find(b"\r\n\r\n")
    if end_of_head < 0:
        return None
    request_line, *lines = received[:end_of_head].decode("latin-1").split("\r\n")
    method, target, _version = request_line.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if "transfer-encoding" in headers:
        raise ValueError("chunked bodies are not supported")
    start = end_of_head + 4
    stop = start + int(headers.get("content-length", 0))
    if len(received) < stop:
        return None
    body = bytes(received[start:stop])
    del received[:stop]
    path, _, query = target.partition("?")
    return _Message(method, path, query, headers, body)


def _response(reply: Reply, request: Request) -> bytes:
    body = reply.raw_body
    if body is None:
        body = json.dumps(ENDPOINTS[request.path].answer(reply, request)).encode()
    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        "x-request-id": f"req-{request.index}",
        **{name.lower(): value for name, value in reply.headers.items()},
    }
    status_line = f"HTTP/1.1 {reply.status} {_PHRASES.get(reply.status, 'Scripted')}"
    head = "\r\n".join([status_line, *(f"{name}: {value}" for name, value in headers.items()), "\r\n"])
    return head.encode("latin-1") + (body[: len(body) // 2] if reply.truncate_body else body)


# ---------------------------------------------------------------------------------------------------------------------
# Bodies


def _chat(reply: Reply, request: Request) -> dict[str, Any]:
    message = {"role": "assistant", "content": reply.content, "refusal": reply.refusal}
    choice = {
        "index": 0,
        "message": message if reply.reasoning is None else {**message, "reasoning_content": reply.reasoning},
        "logprobs": _logprobs(reply) if request.body.get("logprobs") else None,
        "finish_reason": reply.finish_reason,
    }
    return {**_head(reply, request, "chat.completion", "chatcmpl"), "choices": [choice], **_usage(reply, request)}


def _legacy(reply: Reply, request: Request) -> dict[str, Any]:
    choice = {
        "index": 0,
        "text": reply.content or "",
        "logprobs": _legacy_logprobs(reply) if request.body.get("logprobs") else None,
        "finish_reason": reply.finish_reason,
    }
    return {**_head(reply, request, "text_completion", "cmpl"), "choices": [choice], **_usage(reply, request)}


def _response_object(reply: Reply, request: Request) -> dict[str, Any]:
    """A response of the Responses API; the finish reasons "length" and "content_filter" make it incomplete."""
    asked = "message.output_text.logprobs" in request.body.get("include", ())
    parts: list[dict[str, Any]] = []
    if reply.content is not None:
        logprobs = _logprobs(reply)["content"] if asked else []
        parts.append({"type": "output_text", "text": reply.content, "annotations": [], "logprobs": logprobs})
    if reply.refusal is not None:
        parts.append({"type": "refusal", "refusal": reply.refusal})
    output: list[dict[str, Any]] = []
    if reply.reasoning is not None:
        summary = [{"type": "summary_text", "text": reply.reasoning}]
        output.append({"type": "reasoning", "id": f"rs-{request.index}", "summary": summary})
    if parts:
        said = {"type": "message", "id": f"msg-{request.index}", "status": "completed", "role": "assistant"}
        output.append({**said, "content": parts})
    reason = {"stop": None, "length": "max_output_tokens"}.get(reply.finish_reason, reply.finish_reason)
    return {
        **_head(reply, request, "response", "resp"),
        "created_at": int(time.time()),
        "status": "completed" if reason is None else "incomplete",
        "incomplete_details": None if reason is None else {"reason": reason},
        "error": None,
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        **_usage(reply, request, "input_tokens", "output_tokens"),
    }


def _embeddings(reply: Reply, request: Request) -> dict[str, Any]:
    texts = [_content(message) for message in request.messages]
    vectors = [_words_vector(text) for text in texts] if reply.vectors is None else reply.vectors
    data = [{"object": "embedding", "index": index, "embedding": list(each)} for index, each in enumerate(vectors)]
    usage = {"usage": {"prompt_tokens": 1, "total_tokens": 1}}
    return {"object": "list", "data": data, "model": reply.model or request.body.get("model"), **usage}


def _words_vector(text: str, size: int = 64) -> list[float]:
    """How often each word is in a text, words hashed into places: texts with the same words have the same vector."""
    vector = [0.0] * size
    for word in text.casefold().split():
        vector[zlib.crc32(word.encode("utf-8", "surrogatepass")) % size] += 1.0
    return vector


def _decision(reply: Reply, request: Request) -> dict[str, Any]:
    """An answer of the Decisions API, in question order.

    The content is a JSON object by question: P(true) of a predicate, an object of probabilities of a choice, null for
    a refusal. A predicate that it does not name has 0, a choice its first value.
    """
    said = json.loads(reply.content or "{}")
    answers = [_decided(question["name"], question, said) for question in request.body["questions"]]
    usage = _usage(reply, request, "input_tokens", "output_tokens")
    return {"model": reply.model or request.body.get("model"), "answers": answers, **usage}


def _decided(name: str, question: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    if name in said and said[name] is None:
        return {"name": name, "type": "refusal"}
    if question["type"] == "predicate":
        return {"name": name, "type": "predicate", "probability": said.get(name, 0.0)}
    values = [choice["value"] for choice in question["choices"]]
    shares = said.get(name, {str(values[0]): 1.0})
    listed = [{"value": value, "probability": shares.get(str(value), 0.0)} for value in values]
    best = max(listed, key=lambda each: each["probability"])
    return {
        "name": name,
        "type": "choice",
        "choice": best["value"],
        "confidence": best["probability"],
        "probabilities": listed,
    }


def _systemone(reply: Reply, request: Request) -> dict[str, Any]:
    """An answer of the System One API, by question; the reply's content is as for the Decisions API."""
    said = json.loads(reply.content or "{}")
    answers: dict[str, Any] = {}
    for name, question in request.body["questions"].items():
        if question["type"] == "noul":
            answers[name] = {"type": "noul", "noul": said.get(name, 0.0)}
            continue
        options = list(question["criteria"])
        shares = {option: said.get(name, {options[0]: 1.0}).get(option, 0.0) for option in options}
        best = max(options, key=lambda option: shares[option])
        answers[name] = {"type": "choice", "choice": best, "probabilities": shares, "confidence": shares[best]}
    usage = _usage(reply, request, "input_tokens", "output_tokens")
    return {"model": reply.model or request.body.get("model"), "answers": answers, **usage}


def _tokens(_reply: Reply, request: Request) -> dict[str, Any]:
    """The answer of llama.cpp's /tokenize: here four characters are a token."""
    return {"tokens": list(range(1 + len(request.all_text) // 4))}


def _head(reply: Reply, request: Request, kind: str, prefix: str) -> dict[str, Any]:
    model = reply.model or request.body.get("model")
    return {"id": f"{prefix}-{request.index}", "object": kind, "created": int(time.time()), "model": model}


def _logprobs(reply: Reply) -> dict[str, Any]:
    tokens = [token(reply.content or "", -0.1)] if reply.logprobs is None else reply.logprobs
    return {"content": tokens, "refusal": None}


def _legacy_logprobs(reply: Reply) -> dict[str, Any]:
    """The same tokens in the shape of OpenAI's completions."""
    tokens = _logprobs(reply)["content"]
    texts = [entry["token"] for entry in tokens]
    return {
        "tokens": texts,
        "token_logprobs": [entry["logprob"] for entry in tokens],
        "top_logprobs": [{top["token"]: top["logprob"] for top in entry["top_logprobs"]} for entry in tokens],
        "text_offset": [sum(map(len, texts[:index])) for index in range(len(texts))],
    }


def _usage(
    reply: Reply, request: Request, asked: str = "prompt_tokens", answered: str = "completion_tokens"
) -> dict[str, Any]:
    """The scripted usage, nothing when it is empty; else four characters to a token: stable, and nearly free."""
    if reply.usage is not None:
        return {"usage": reply.usage} if reply.usage else {}
    prompt = 1 + len(request.all_text) // 4
    completion = 1 + len(reply.content or reply.refusal or "") // 4
    return {"usage": {asked: prompt, answered: completion, "total_tokens": prompt + completion}}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One path that the script is asked about.

    Attributes:
        needs: The key that a request must have; without it the answer is a 400.
        answer: The body of the answer to a request; a reply's `raw_body` goes before it.
    """

    needs: str
    answer: Callable[[Reply, Request], dict[str, Any]]


ENDPOINTS: Mapping[str, Endpoint] = {
    CHAT_PATH: Endpoint("messages", _chat),
    RESPONSES_PATH: Endpoint("input", _response_object),
    COMPLETIONS_PATH: Endpoint("prompt", _legacy),
    EMBEDDINGS_PATH: Endpoint("input", _embeddings),
    TOKENIZE_PATH: Endpoint("content", _tokens),
    DECISIONS_PATH: Endpoint("questions", _decision),
    SYSTEMONE_PATH: Endpoint("questions", _systemone),
}
"""Every path that the script is asked about. A new API is a function that makes its answer's body, and a line here."""


def _json_object(raw: bytes) -> dict[str, Any]:
    with suppress(ValueError):
        body = json.loads(raw)
        if isinstance(body, dict):
            return body
    return {}


_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_MODELS = json.dumps(
    {"object": "list", "data": [{"id": "scripted", "object": "model", "created": 0, "owned_by": "tests"}]}
).encode()


# ---------------------------------------------------------------------------------------------------------------------
# A process of its own


@contextmanager
def server_process(answer: str = "none", *, latency: float = 0.0) -> Iterator[str]:
    """The base URL of a server in a process of its own, which ends with the block."""
    command = [sys.executable, __file__, "--answer", answer, "--latency", str(latency)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def main() -> None:
    """Serve one answer until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description="A scripted OpenAI-compatible server on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds until an answer is sent")
    parser.add_argument("--answer", default="none", help="what every answer says")
    options = parser.parse_args()
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)  # before the thread starts, so that it is sigwait that gets them
    with ScriptedServer(say(options.answer, latency=options.latency), port=options.port, record=False) as server:
        print(server.base_url, flush=True)
        signal.sigwait(ends)


if __name__ == "__main__":
    main()
