"""The remote client against a real server over HTTP: what is sent, what comes back, and what every fault means."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any

import openai
import pytest
from scripted_server import (
    Answer,
    Reply,
    ScriptedServer,
    broken_json,
    cut,
    drop,
    error,
    failing_first,
    hang,
    refuse,
    say,
)

from harness.clients import connect
from harness.clients.remote import OPENAI_URL, UNREACHED_LIMIT, RemoteClient
from harness.errors import ModelError
from harness.project import Settings
from harness.prompt import Api, Model
from harness.records import Call, Completion, Constraint
from harness.retry import AttemptFailed, RetryPolicy, with_retries

KEY = "sk-planted-7f3a91"


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key, URL or proxy of the machine that runs the tests."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits between attempts, which pass in no time; jitter draws nothing."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr("harness.retry.asyncio", SimpleNamespace(sleep=sleep))  # the server's own sleeps are real
    monkeypatch.setattr(random, "uniform", lambda _low, _high: 0.0)
    return waits


def call(text: str = "it came late") -> Call:
    """A call with one message."""
    return Call("s1", "main", "", 0, ({"role": "user", "content": text},))


@asynccontextmanager
async def client_of(
    base_url: str | None, *, key: str | None = None, timeout_s: float = 5.0, api: Api = "chat", **params: Any
) -> AsyncIterator[RemoteClient]:
    """A client, closed at the end."""
    client = RemoteClient(Model("m", api, base_url=base_url, params=params), Settings(timeout_s=timeout_s), key)
    try:
        yield client
    finally:
        await client.close()


async def ask(script: Answer, text: str = "it came late", **options: Any) -> Completion:
    """What one call brings from a server with that script."""
    with ScriptedServer(script) as server:
        async with client_of(server.base_url, **options) as client:
            return await client.send(client.body(call(text)))


async def failure(script: Answer, **options: Any) -> AttemptFailed:
    """The failure that one call meets."""
    with pytest.raises(AttemptFailed) as caught:
        await ask(script, **options)
    return caught.value


async def model_error(script: Answer, **options: Any) -> str:
    """The message with which one call ends the run."""
    with pytest.raises(ModelError) as caught:
        await ask(script, **options)
    return str(caught.value)


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


# What is sent


async def test_the_body_on_the_wire_is_the_body_of_the_call() -> None:
    """Nothing is added to the request and nothing is left out."""
    with ScriptedServer("none") as server:
        async with client_of(server.base_url, temperature=0, max_tokens=5, extra={"deep": [1, None, "ä"]}) as client:
            body = client.body(call("käse 🧀"))
            await client.send(body)
    assert server.bodies() == [body]
    assert body == {
        "temperature": 0,
        "max_tokens": 5,
        "extra": {"deep": [1, None, "ä"]},
        "model": "m",
        "messages": [{"role": "user", "content": "käse 🧀"}],
    }


@pytest.mark.parametrize(
    "text",
    ["", "\x00 NUL \x00", "lone \ud800 surrogate \udfff", "🧀\u2028\u200b\r\n\t", "word " * 20_000, "\\ud800 \" '"],
    ids=["empty", "nul", "surrogates", "odd", "long", "escapes"],
)
async def test_any_text_survives_the_wire(text: str) -> None:
    """Any text, also one that UTF-8 cannot hold, arrives as it was."""
    with ScriptedServer("none") as server:
        async with client_of(server.base_url) as client:
            await client.send(client.body(call(text)))
    assert server.requests[0].text == text


@pytest.mark.parametrize("value", [{1, 2}, float("nan"), b"bytes"])
async def test_params_that_are_no_json_stop_the_run(value: Any) -> None:
    """A param that JSON cannot hold would fail on every call, so the first one ends it, before any request."""
    with ScriptedServer("none") as server:
        async with client_of(server.base_url, odd=value) as client:
            with pytest.raises(ModelError, match=r"^model m: params must be plain JSON values, but .+\.$"):
                await client.send(client.body(call()))
    assert server.count == 0


async def test_a_key_goes_into_the_header(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key of the environment is sent as a bearer token, white space around it cut off; an explicit one goes first."""
    monkeypatch.setenv("OPENAI_API_KEY", f" {KEY}\n")
    with ScriptedServer("none") as server:
        async with client_of(server.base_url) as client:
            await client.send(client.body(call()))
        async with client_of(server.base_url, key="explicit") as client:
            await client.send(client.body(call()))
    assert [request.headers["authorization"] for request in server.requests] == [f"Bearer {KEY}", "Bearer explicit"]


async def test_other_servers_need_no_key() -> None:
    """Without any key a server of one's own is asked all the same."""
    assert (await ask("none")).raw == "none"


async def test_openai_needs_a_key() -> None:
    """Without a key OpenAI itself is not asked: the message says where to put one."""
    async with client_of(None) as client:
        assert client.base_url == OPENAI_URL
        with pytest.raises(ModelError) as caught:
            await client.send(client.body(call()))
    assert str(caught.value) == (
        "model m: needs an API key, got none. Set OPENAI_API_KEY or write it into .env; "
        "for another server give --base-url."
    )


@pytest.mark.parametrize("key", ["sk-“quoted”", "sk-two\nlines", "sk-\x00"])
async def test_a_key_that_is_no_header_is_told(key: str) -> None:
    """A key with characters that no header can hold ends the run, without being printed."""
    message = await model_error("none", key=key)
    assert message == "OPENAI_API_KEY: must be printable ASCII, got other characters. Copy the key anew."


async def test_a_proxy_is_not_asked_about_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the environment does not stand between the program and a server on loopback."""
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    assert (await ask("none")).raw == "none"


async def test_a_proxy_is_asked_about_other_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server elsewhere is reached through the environment's proxy."""
    with ScriptedServer("from the proxy") as server:
        monkeypatch.setenv("HTTP_PROXY", server.base_url.removesuffix("/v1"))
        async with client_of("http://models.invalid/v1") as client:
            with pytest.raises(
                ModelError, match=r"not found \(404\): Unknown request URL: POST http://models\.invalid"
            ):
                await client.send(client.body(call()))


# Which server is meant


def test_the_base_url_of_the_model_goes_before_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model's base URL, else OPENAI_BASE_URL, else OpenAI; a slash at the end makes no other server."""
    settings = Settings()
    assert RemoteClient(Model("m"), settings).base_url == OPENAI_URL
    monkeypatch.setenv("OPENAI_BASE_URL", "http://env/v1/")
    assert RemoteClient(Model("m"), settings).base_url == "http://env/v1"
    assert RemoteClient(Model("m", base_url="http://own/v1/"), settings).base_url == "http://own/v1"
    monkeypatch.setenv("OPENAI_BASE_URL", "")
    assert RemoteClient(Model("m"), settings).base_url == OPENAI_URL


def test_endpoint_and_concurrency() -> None:
    """In the call key the server is its base URL and API; how many calls are under way is left to the user."""
    client = RemoteClient(Model("m", base_url="http://own/v1"), Settings())
    assert client.endpoint == {"base_url": "http://own/v1", "api": "chat"}
    assert client.concurrency is None


def test_connect_gives_a_remote_client() -> None:
    """Every model that is not local is a remote one; nothing is sent yet."""
    client = connect(Model("m", base_url=f"http://127.0.0.1:{free_port()}/v1"), Settings())
    assert isinstance(client, RemoteClient)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("localhost:8000/v1", "localhost:8000/v1"),
        ("ftp://host/v1", "ftp://host/v1"),
        ("http://", "http:"),
        ("http://[::bad/v1", "http://[::bad/v1"),
        ("http://host:99999/v1", "http://host:99999/v1"),
        (f"http://user:{KEY}@host/v1", "host/v1"),
        (f"http://host/v1?key={KEY}", "http://host/v1"),
        (f"http://host:bad/v1?key={KEY}", "http://host:bad/v1"),
        (f"http://host/v1#{KEY}", "http://host/v1"),
    ],
)
def test_a_base_url_that_is_none_or_holds_a_secret_is_refused(url: str, shown: str) -> None:
    """Base URLs are written into runs, so one with a password or query is refused, and not printed whole."""
    with pytest.raises(ModelError) as caught:
        RemoteClient(Model("m", base_url=url), Settings())
    assert str(caught.value) == (
        "model m: the base URL must be http://HOST/PATH or https://HOST/PATH, without user, password or query, "
        f"got '{shown}'. Check --base-url and OPENAI_BASE_URL; a key goes into OPENAI_API_KEY."
    )
    assert KEY not in str(caught.value)


# What comes back


async def test_an_answer_is_a_completion() -> None:
    """Text, finish reason, usage and the served model come as the server gave them, with the time it took."""
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}}
    completion = await ask(Reply("shipping", usage=usage, model="m-2026"))
    assert completion.latency_s > 0
    assert completion == Completion(
        "ok",
        raw="shipping",
        finish_reason="stop",
        usage={"prompt_tokens": 9, "completion_tokens": 2, "cached_tokens": 4},
        latency_s=completion.latency_s,
        served_model="m-2026",
    )


async def test_logprobs_come_as_they_are() -> None:
    """Log-probabilities that were asked for are kept whole."""
    completion = await ask("none", logprobs=True)
    assert completion.logprobs["content"][0]["token"] == "none"


async def test_a_refusal_is_a_refusal() -> None:
    """A refusal of the API is a completion, not an error."""
    completion = await ask(refuse("I cannot."))
    assert (completion.status, completion.raw) == ("refusal", "I cannot.")


async def test_an_answer_that_was_cut_is_an_answer() -> None:
    """An answer that ran into max_tokens keeps its text and says so."""
    completion = await ask(cut("shipping, qua"))
    assert (completion.status, completion.raw, completion.finish_reason) == ("ok", "shipping, qua", "length")


async def test_content_in_parts_is_joined() -> None:
    """A content list of text parts is one text."""
    parts = [{"type": "text", "text": "ship"}, {"type": "text", "text": "ping"}]
    body = {"choices": [{"message": {"role": "assistant", "content": parts}, "finish_reason": "stop"}]}
    assert (await ask(Reply(raw_body=json.dumps(body).encode()))).raw == "shipping"


# What every fault means


@pytest.mark.parametrize(
    ("reply", "kind", "message"),
    [
        (broken_json(), "bad_response", "Unterminated string starting at: line 1 column 58 (char 57)"),
        (Reply(raw_body=b"{}"), "bad_response", "no choices[0].message in the answer (KeyError)"),
        (Reply(raw_body=b'{"choices": []}'), "bad_response", "no choices[0].message in the answer (IndexError)"),
        (Reply(raw_body=b"[" * 100_000), "bad_response", "maximum recursion depth exceeded"),
        (Reply(raw_body=b'{"a": "\xff"}'), "bad_response", "'utf-8' codec can't decode byte 0xff"),
        (
            Reply(raw_body=b"<html>hello</html>", headers={"content-type": "text/html"}),
            "bad_response",
            "the answer must be a JSON object, got '<html>hello</html>'. Is the base URL that of an API?",
        ),
        (
            Reply(raw_body=b"no gzip", headers={"content-encoding": "gzip"}),
            "connection",
            "400, message: Can not decode content-encoding: gzip",
        ),
        (drop(), "connection", "Server disconnected"),
        (
            Reply("x" * 1000, truncate_body=True),
            "connection",
            "Response payload is not completed",
        ),
    ],
    ids=["broken", "empty object", "no choices", "deep", "encoding", "page", "gzip", "drop", "truncated"],
)
async def test_a_broken_answer_can_be_asked_for_again(reply: Reply, kind: str, message: str) -> None:
    """A body or connection that breaks is a call error that another attempt may heal."""
    failed = await failure(reply)
    assert failed.error["kind"] == kind
    assert failed.error["message"].startswith(message)
    assert failed.error["status"] is None
    assert failed.again


async def test_no_answer_in_time_is_a_timeout() -> None:
    """A server that hangs is given up after the time-out, and may be asked again."""
    failed = await failure(hang(), timeout_s=0.05)
    assert failed.error == {"kind": "timeout", "message": "no answer within 0.05 s", "status": None}
    assert failed.again


async def test_the_timeout_is_that_of_the_whole_answer() -> None:
    """A server that sends a byte now and then does not hold a call for ever."""

    async def drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n")
        with suppress(OSError):
            while not writer.is_closing():
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.005)

    async with raw_server(drip) as base_url, client_of(base_url, timeout_s=0.1) as client:
        with pytest.raises(AttemptFailed) as caught:
            await client.send(client.body(call()))
    assert caught.value.error["kind"] == "timeout"


async def test_what_is_no_http_is_a_connection_error() -> None:
    """A server that speaks another protocol is a call error, not a crash."""

    async def other(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")

    async with raw_server(other) as base_url, client_of(base_url) as client:
        with pytest.raises(AttemptFailed) as caught:
            await client.send(client.body(call()))
    assert caught.value.error["kind"] == "connection"


@asynccontextmanager
async def raw_server(
    answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any],
) -> AsyncIterator[str]:
    """The base URL of a server that does with a connection what it is told."""
    tasks: set[asyncio.Task[None] | None] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        try:
            await answer(reader, writer)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    finally:
        server.close()
        await asyncio.gather(*filter(None, tasks))


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 529])
async def test_a_passing_status_can_be_asked_again(status: int) -> None:
    """Rate limits, time-outs and the server's own errors may pass; the server's words are kept."""
    failed = await failure(error(status, "not\n now"))
    assert failed.error == {"kind": f"http_{status}", "message": "not now", "status": status}
    assert failed.again
    assert failed.retry_after is None


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
async def test_an_answer_beyond_any_size_is_not_kept(monkeypatch: pytest.MonkeyPatch, packed: bool) -> None:
    """An answer of more bytes than the bound fails its call alone, for good; one of exactly so many is read."""
    body = json.dumps({"choices": [{"message": {"content": "x" * 300_000}, "finish_reason": "stop"}]}).encode()
    sent = Reply(
        raw_body=gzip.compress(body) if packed else body, headers={"content-encoding": "gzip"} if packed else {}
    )
    monkeypatch.setattr("harness.clients.remote.MOST_ANSWER_BYTES", len(body))
    assert len((await ask(sent)).raw or "") == 300_000
    monkeypatch.setattr("harness.clients.remote.MOST_ANSWER_BYTES", len(body) - 1)
    failed = await failure(sent)
    message = f"the answer must have at most {len(body) - 1:,} bytes, got more"
    assert failed.error == {"kind": "bad_response", "message": message, "status": None}
    assert not failed.again


async def test_an_error_beyond_any_size_is_its_status(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an HTTP error with a body beyond the bound its status alone counts; the next call goes through."""
    monkeypatch.setattr("harness.clients.remote.MOST_ANSWER_BYTES", 10_000)
    with ScriptedServer(failing_first(1, Reply(status=503, raw_body=b"x" * 500_000), then="none")) as server:
        async with client_of(server.base_url) as client:
            with pytest.raises(AttemptFailed) as caught:
                await client.send(client.body(call()))
            assert caught.value.error == {"kind": "http_503", "message": "HTTP 503", "status": 503}
            assert caught.value.again
            assert (await client.send(client.body(call()))).raw == "none"


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_bad_request_is_not_asked_again(status: int) -> None:
    """A request that the server does not take fails at once; other samples go on."""
    failed = await failure(error(status, "maximum context length is 4096 tokens"))
    assert failed.error["message"] == "maximum context length is 4096 tokens"
    assert not failed.again


@pytest.mark.parametrize(
    ("api", "params", "reply", "message"),
    [
        (
            "chat",
            {"max_tokens": 5},
            error(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.", param="max_tokens"),
            "the server rejects the parameter 'max_tokens' (400): Unsupported parameter: 'max_tokens'. "
            "Use 'max_completion_tokens' instead. Change or remove it under model.params.",
        ),
        (
            "chat",
            {"max_tokens": 5},
            error(400, "Unknown parameter: 'max_tokens'"),
            "the server rejects the parameter 'max_tokens' (400): Unknown parameter: 'max_tokens'. "
            "Change or remove it under model.params: some models take 'max_completion_tokens' instead of 'max_tokens'.",
        ),
        (
            "responses",
            {"max_tokens": 5, "top_p": 3},
            error(400, "Unrecognized request arguments supplied: max_tokens, top_p"),
            "the server rejects the parameters 'max_tokens', 'top_p' (400): Unrecognized request arguments supplied: "
            "max_tokens, top_p. Change or remove them under model.params: some models take 'max_output_tokens' instead "
            "of 'max_tokens'.",
        ),
        (
            "chat",
            {"temperature": 9},
            Reply(status=422, raw_body=b'{"detail": [{"loc": ["body", "temperature"], "msg": "too hot"}]}'),
            "the server rejects the parameter 'temperature' (422): body.temperature: too hot. "
            "Change or remove it under model.params.",
        ),
    ],
)
async def test_a_rejected_parameter_stops_the_run_at_once(
    api: Api, params: dict[str, Any], reply: Reply, message: str
) -> None:
    """A parameter of the prompt that the server does not take would fail every call: the first one names it."""
    with ScriptedServer(reply) as server:
        async with client_of(server.base_url, api=api, **params) as client:
            with pytest.raises(ModelError) as caught:
                await with_retries(lambda: client.send(client.body(call())), RetryPolicy())
        assert str(caught.value) == f"{server.base_url}, model m: {message}"
        assert server.count == 1


@pytest.mark.parametrize("api", ["chat", "responses", "completions"])
async def test_a_rejected_constraint_is_a_failure_of_the_call(api: Api) -> None:
    """What constrains an answer is not the prompt's parameter: without it the server can be asked again."""
    with ScriptedServer(error(400, "Unknown parameter: 'json_schema'", param="response_format")) as server:
        async with client_of(server.base_url, api=api, temperature=0) as client:
            with pytest.raises(AttemptFailed) as caught:
                await client.send(client.body(call(), Constraint("json_schema", schema={"type": "object"})))
    assert caught.value.error["kind"] == "http_400"
    assert not caught.value.again


async def test_an_api_that_is_not_there_is_told() -> None:
    """Where the path of another API is not found, the message says that the server may not have that API."""
    with ScriptedServer(error(404, "Not Found")) as server:
        async with client_of(server.base_url, api="responses") as client:
            with pytest.raises(ModelError) as caught:
                await client.send(client.body(call()))
    assert str(caught.value) == (
        f"{server.base_url}, model m: not found (404): Not Found. Check the model's name and the base URL, and whether "
        "the server has the API 'responses'."
    )


async def test_what_is_not_supported_is_not_asked_again() -> None:
    """501 passes no more than 400 does; where no constraint can be the reason it ends the run."""
    failed = await failure(error(501, "This server does not support tools."))
    assert (failed.error["kind"], failed.again) == ("http_501", False)
    with ScriptedServer(error(501, "This model is not a decision model")) as server:
        client = RemoteClient(Model("m", "systemone", base_url=server.base_url), Settings())
        with pytest.raises(ModelError) as caught:
            await client.send({"state": "late", "questions": {}})
        await client.close()
    assert str(caught.value) == (
        f"{server.base_url}, model m: not supported (501): This model is not a decision model. "
        "Name another model, or another 'api'."
    )


async def test_an_error_without_a_json_body_is_told_by_its_status() -> None:
    """An error page of a gateway is a call error with the page's words."""
    failed = await failure(Reply(status=502, raw_body=b"<h1>Bad\nGateway</h1>", headers={"content-type": "text/html"}))
    assert failed.error == {"kind": "http_502", "message": "<h1>Bad Gateway</h1>", "status": 502}


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b'{"error": {"message": "own words"}}', "own words"),
        (b'{"message": "own words"}', "own words"),
        (b'{"error": {"message": null}}', '{"error": {"message": null}}'),
        (b'{"error": "text"}', '{"error": "text"}'),
        (b'{"detail": "not found"}', '{"detail": "not found"}'),
        (b'"text"', '"text"'),
        (b"", "HTTP 500"),
    ],
)
async def test_an_error_of_any_shape_is_told(raw: bytes, message: str) -> None:
    """The API's error message, else the body as it is, else the status: there is always something to read."""
    failed = await failure(Reply(status=500, raw_body=raw))
    assert failed.error["message"] == message


async def test_a_long_message_is_cut() -> None:
    """A server's words take at most 500 characters."""
    assert len((await failure(error(500, "x" * 10_000))).error["message"]) == 500


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (
            error(401, "Incorrect API key provided", code="invalid_api_key"),
            "the key is refused (401): Incorrect API key provided. Check OPENAI_API_KEY.",
        ),
        (
            error(400, "Bad key", code="invalid_api_key"),
            "the key is refused (400): Bad key. Check OPENAI_API_KEY.",
        ),
        (error(402, "Add credits."), "payment is required (402): Add credits."),
        (error(403, "Not in your country."), "access is refused (403): Not in your country."),
        (
            error(404, "The model `m` does not exist", code="model_not_found"),
            "not found (404): The model `m` does not exist. Check the model's name and the base URL.",
        ),
        (
            error(429, "You exceeded your current quota", code="insufficient_quota"),
            "insufficient_quota (429): You exceeded your current quota.",
        ),
        (error(400, "No such model", code="model_not_found"), "model_not_found (400): No such model."),
    ],
)
async def test_what_no_call_can_mend_stops_the_run_at_once(reply: Reply, message: str) -> None:
    """Key, money, access and model are not the sample's fault: the first call ends the run and says what to do."""
    with ScriptedServer(reply) as server:
        async with client_of(server.base_url) as client:
            with pytest.raises(ModelError) as caught:
                await with_retries(lambda: client.send(client.body(call())), RetryPolicy())
        assert str(caught.value) == f"{server.base_url}, model m: {message}"
        assert server.count == 1


@pytest.mark.parametrize(
    "reply",
    [
        error(401, f"Incorrect API key provided: {KEY}."),
        error(403, f"{KEY} may not"),
        error(404, f"{KEY}"),
        error(429, f"key {KEY}", code="insufficient_quota"),
        error(429, f"rate limit of {KEY}"),
        error(400, "x" * 495 + KEY),
        Reply(status=500, raw_body=f"trace: Bearer {KEY}".encode(), headers={"content-type": "text/plain"}),
        Reply(raw_body=f"<p>{KEY}</p>".encode(), headers={"content-type": "text/html"}),
        Reply(raw_body=json.dumps({"error": f"bad {KEY}"}).encode()),
    ],
)
async def test_no_message_holds_the_key(reply: Reply) -> None:
    """A server that repeats the key does not bring it into a message, whole or in part."""
    with pytest.raises((AttemptFailed, ModelError)) as caught:
        await ask(reply, key=KEY)
    assert KEY[:8] not in str(caught.value)
    assert "[key" in str(caught.value)


# Servers that are not there


async def test_a_server_that_is_not_there_stops_the_run_soon(waits: list[float]) -> None:
    """When no connection was ever made, the run ends after a few tries with the address."""
    url = f"http://127.0.0.1:{free_port()}/v1"
    async with client_of(url) as client:
        with pytest.raises(ModelError) as caught:
            await with_retries(lambda: client.send(client.body(call())), RetryPolicy())
    assert len(waits) == UNREACHED_LIMIT - 1
    assert str(caught.value).startswith(f"{url}: no server answers there ([Errno ")
    assert str(caught.value).endswith("). Check --base-url, or start it.")


async def test_a_name_that_is_no_host_stops_the_run_soon(waits: list[float]) -> None:
    """A host that has no address counts as a server that is not there."""
    async with client_of("http://no-such-host.invalid/v1") as client:
        with pytest.raises(ModelError, match=r"^http://no-such-host\.invalid/v1: no server answers there \("):
            await with_retries(lambda: client.send(client.body(call())), RetryPolicy())


async def test_a_server_that_goes_away_later_is_a_hiccup() -> None:
    """Once a server has answered, refused connections are call errors: it may come back."""
    with ScriptedServer("none") as server:
        async with client_of(server.base_url) as client:
            await client.send(client.body(call()))
            server.stop()
            for _ in range(UNREACHED_LIMIT + 1):
                with pytest.raises(AttemptFailed) as caught:
                    await client.send(client.body(call()))
                assert caught.value.error["kind"] == "connection"
                assert caught.value.again


@pytest.mark.parametrize("answered", [error(500), broken_json()])
async def test_an_error_answer_shows_that_the_server_is_there(answered: Reply) -> None:
    """Also a server that answered only with an error is there, and may go away for a while."""
    with ScriptedServer(answered) as server:
        async with client_of(server.base_url) as client:
            with pytest.raises(AttemptFailed):
                await client.send(client.body(call()))
            server.stop()
            for _ in range(UNREACHED_LIMIT + 1):
                with pytest.raises(AttemptFailed):
                    await client.send(client.body(call()))


# With retries around it


async def test_a_rate_limit_is_waited_out(waits: list[float]) -> None:
    """429 with Retry-After is waited for as long as the server says, then answered."""
    script = failing_first(2, error(429, retry_after=7), then="shipping")
    with ScriptedServer(script) as server:
        async with client_of(server.base_url) as client:
            completion = await with_retries(lambda: client.send(client.body(call())), RetryPolicy())
    assert (completion.raw, completion.attempts) == ("shipping", 3)
    assert waits == [7.0, 7.0]
    assert server.count == 3


@pytest.mark.parametrize("reply", [error(500), drop(), broken_json(), Reply("x" * 99, truncate_body=True)])
async def test_a_hiccup_is_tried_again(reply: Reply, waits: list[float]) -> None:
    """One broken attempt costs one more request, not the call."""
    with ScriptedServer(failing_first(1, reply, then="shipping")) as server:
        async with client_of(server.base_url) as client:
            completion = await with_retries(lambda: client.send(client.body(call())), RetryPolicy())
    assert (completion.raw, completion.attempts, server.count) == ("shipping", 2, 2)


async def test_the_openai_package_does_not_retry_too(waits: list[float]) -> None:
    """Only one layer retries: as many requests arrive as the policy has attempts."""
    with ScriptedServer(error(500, "down")) as server:
        async with client_of(server.base_url) as client:
            completion = await with_retries(lambda: client.send(client.body(call())), RetryPolicy(attempts=3))
    assert server.count == 3
    assert completion.error == {"kind": "http_500", "message": "down", "status": 500}


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after": "-5"}, 0.0),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after-ms": "soon"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "-inf"}, None),
        ({"retry-after": "1e400"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after-ms": "inf"}, None),
        ({"retry-after-ms": "nan", "retry-after": "2"}, None),
        ({"retry-after": "Wed, 21 Oct 999999999 07:28:00 GMT"}, None),
    ],
)
async def test_retry_after_is_read(headers: dict[str, str], seconds: float | None) -> None:
    """Milliseconds go before seconds, a date that is over means now, and nonsense means nothing was said."""
    assert (await failure(error(429, headers=headers))).retry_after == seconds


async def test_retry_after_as_a_date_is_the_time_until_then() -> None:
    """An HTTP date in a minute is about a minute's wait, wherever this machine stands."""
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    retry_after = (await failure(error(503, headers={"retry-after": date}))).retry_after
    assert retry_after is not None
    assert 50 < retry_after <= 60


# Other endpoints


async def test_another_endpoint_can_be_asked() -> None:
    """Embeddings lie behind the base URL; what begins with two slashes lies behind the server itself."""
    with ScriptedServer(Reply(vectors=[[0.5, 1.0]])) as server:
        async with client_of(server.base_url, key=KEY) as client:
            embedded = await client.ask("/embeddings", {"model": "e", "input": ["late"]})
            tokens = await client.ask("//tokenize", {"content": "late again"})
    assert embedded["data"][0]["embedding"] == [0.5, 1.0]
    assert tokens == {"tokens": [0, 1, 2]}
    assert [request.path for request in server.requests] == ["/v1/embeddings", "/tokenize"]
    assert {request.headers["authorization"] for request in server.requests} == {f"Bearer {KEY}"}


async def test_another_endpoint_is_tried_again(waits: list[float]) -> None:
    """A rate limit or a hiccup is waited out as for any call."""
    script = failing_first(1, error(429, retry_after=7), then=failing_first(2, drop(), then="none"))
    with ScriptedServer(script) as server:
        async with client_of(server.base_url) as client:
            assert (await client.ask("/embeddings", {"input": ["a"]}))["object"] == "list"
    assert waits[0] == 7.0
    assert server.count == 3


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (error(400, "too many inputs", param="input"), "gives no answer: too many inputs."),
        (Reply(status=500, raw_body=b"down."), "gives no answer: down."),
        (
            Reply(raw_body=b"<p>Welcome</p>"),
            "gives no answer: the answer must be a JSON object, got '<p>Welcome</p>'. Is the base URL that of an API?",
        ),
    ],
)
async def test_an_endpoint_that_gives_no_answer_is_told(waits: list[float], reply: Reply, words: str) -> None:
    """When no attempt brought an answer there is none to go on with: the message says where, and the last words."""
    with ScriptedServer(reply) as server:
        async with client_of(server.base_url, input=["a"]) as client:
            with pytest.raises(ModelError) as caught:
                await client.ask("/embeddings", {"input": ["b"]})
    assert str(caught.value) == f"{server.base_url}/embeddings, model m: {words}"


async def test_an_endpoint_that_is_not_there_is_told_at_once() -> None:
    """A missing endpoint is not asked twice."""
    with ScriptedServer("unused") as server:
        async with client_of(server.base_url) as client:
            with pytest.raises(ModelError, match=r"not found \(404\): Unknown request URL: POST /v1/nowhere\."):
                await client.ask("/nowhere", {})
        assert server.count == 1


# Life


async def test_closing_an_unused_client_is_fine() -> None:
    """A client that never sent anything has nothing to close; closing twice is fine."""
    async with client_of("http://127.0.0.1/v1") as client:
        await client.close()


async def test_a_closed_client_can_be_used_again() -> None:
    """After `close` the next call opens a new connection."""
    with ScriptedServer(say("none")) as server:
        async with client_of(server.base_url) as client:
            await client.send(client.body(call()))
            await client.close()
            assert (await client.send(client.body(call()))).raw == "none"


async def test_cancelling_a_call_lets_go_of_the_server() -> None:
    """A cancelled call does not stay in flight."""
    with ScriptedServer(hang()) as server:
        async with client_of(server.base_url) as client:
            task = asyncio.create_task(client.send(client.body(call())))
            await asyncio.to_thread(server.wait_for, 1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.to_thread(server.wait_idle)
        assert server.in_flight == 0


# The openai package is the reference


REFERENCES: dict[Api, tuple[Callable[[openai.AsyncOpenAI], Callable[..., Any]], Callable[[Any], str | None]]] = {
    "chat": (lambda client: client.chat.completions.create, lambda answer: answer.choices[0].message.content),
    "responses": (lambda client: client.responses.create, lambda answer: answer.output_text),
    "completions": (lambda client: client.completions.create, lambda answer: answer.choices[0].text),
}
"""For each API how the openai client asks it, and where the text of its answer is."""


def assert_same_on_the_wire(server: ScriptedServer) -> None:
    """Hold that the server was asked twice in the same way, byte for byte where it matters."""
    mine, its = server.requests
    assert (mine.path, mine.body) == (its.path, its.body)
    for name in ("authorization", "content-type", "accept", "openai-organization", "user-agent"):
        assert mine.headers[name] == its.headers[name]


@pytest.mark.parametrize("api", REFERENCES)
async def test_our_request_is_that_of_the_openai_package(monkeypatch: pytest.MonkeyPatch, api: Api) -> None:
    """What we put on the wire is what the openai client would: same URL, same body, same key, organisation and agent."""
    monkeypatch.setenv("OPENAI_ORG_ID", "org-7")
    create, text_of = REFERENCES[api]
    with ScriptedServer(Reply("shipping", reasoning="It is late.", finish_reason="length")) as server:
        async with client_of(server.base_url, key=KEY, api=api, temperature=0.5) as client:
            body = client.body(call("späte Lieferung 🚚"))
            ours = await client.send(body)
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key=KEY) as reference:
            theirs = await create(reference)(**body)
        assert_same_on_the_wire(server)
    assert ours.raw == text_of(theirs) == "shipping"
    assert ours.finish_reason == "length"


async def test_our_request_for_embeddings_is_that_of_the_openai_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other endpoints are asked as the openai client asks them, and answer the same."""
    monkeypatch.setenv("OPENAI_ORG_ID", "org-7")
    body: dict[str, Any] = {"model": "e", "input": ["late", "große Lücke"], "encoding_format": "float"}
    with ScriptedServer("unused") as server:
        async with client_of(server.base_url, key=KEY) as client:
            ours = await client.ask("/embeddings", body)
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key=KEY) as reference:
            theirs = await reference.embeddings.create(**body)
        assert_same_on_the_wire(server)
    assert [each["embedding"] for each in ours["data"]] == [each.embedding for each in theirs.data]
