"""The scripted server as the real `openai` client sees it."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import openai
import pytest
import scripted_server
from openai.types.chat import ChatCompletion, ChatCompletionTokenLogprob
from scripted_batches import Batches, Fate
from scripted_server import (
    Answer,
    Gate,
    Reply,
    Request,
    ScriptedServer,
    always,
    answering,
    broken_json,
    cut,
    drop,
    error,
    failing_first,
    hang,
    refuse,
    say,
    sequence,
    server_process,
    token,
)

IMPATIENT = openai.Timeout(5.0, read=0.05)
"""Gives up soon, but not before the request is sent."""


@contextmanager
def served(answer: Answer, api_key: str | None = None) -> Iterator[tuple[ScriptedServer, openai.OpenAI]]:
    """A server and a client of it, both closed at the end."""
    with ScriptedServer(answer, api_key=api_key) as server, client_of(server.base_url) as client:
        yield server, client


def client_of(base_url: str) -> openai.OpenAI:
    """The real client, which must not retry by itself."""
    return openai.OpenAI(base_url=base_url, api_key="x", max_retries=0)


def ask(client: openai.OpenAI, text: str = "it came late", **options: Any) -> ChatCompletion:
    """The answer to one user message."""
    completion = client.chat.completions.create(model="m", messages=[{"role": "user", "content": text}], **options)
    assert isinstance(completion, ChatCompletion)
    return completion


def content_of(client: openai.OpenAI, text: str = "it came late", **options: Any) -> str | None:
    """The text of that answer."""
    return ask(client, text, **options).choices[0].message.content


def tokens_of(completion: ChatCompletion) -> list[ChatCompletionTokenLogprob]:
    """The tokens of an answer that has log-probabilities."""
    logprobs = completion.choices[0].logprobs
    assert logprobs is not None
    return logprobs.content or []


def exchange(server: ScriptedServer, *pieces: bytes) -> bytes:
    """What the server sends back on a bare socket until it says no more."""
    with socket.create_connection(("127.0.0.1", int(server.base_url.split(":")[2].removesuffix("/v1")))) as bare:
        for piece in pieces:
            bare.sendall(piece)
        bare.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: bare.recv(65536), b""))


# Answers


def test_answer_has_the_shape_of_a_chat_completion() -> None:
    """An answer carries content, finish reason, the model that was asked, an id and consistent usage."""
    with served("shipping") as (_, client):
        completion = ask(client)
    choice = completion.choices[0]
    assert (choice.message.role, choice.message.content, choice.message.refusal) == ("assistant", "shipping", None)
    assert (choice.finish_reason, choice.logprobs) == ("stop", None)
    assert (completion.object, completion.model, completion.id) == ("chat.completion", "m", "chatcmpl-0")
    assert completion.usage is not None
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens


def test_model_and_usage_can_be_scripted() -> None:
    """A reply's own model and usage are sent as they are, and empty usage is left out."""
    usage = {"prompt_tokens": 7, "completion_tokens": 1, "total_tokens": 8}
    replies = [Reply("a", model="m-2025", usage=usage), Reply("a", usage={})]
    with served(sequence(replies)) as (_, client):
        told, untold = ask(client), ask(client)
    assert told.model == "m-2025"
    assert told.usage is not None
    assert told.usage.total_tokens == 8
    assert untold.usage is None


def test_logprobs_are_sent_only_when_asked() -> None:
    """Log-probabilities come when the request asks: one token by default, else the scripted tokens."""
    scripted = Reply("yes", logprobs=[token("yes", -0.1, {"yes": -0.1, "no": -2.4})])
    with served(sequence([scripted, scripted, "yes"])) as (_, client):
        unasked, asked, default = ask(client), ask(client, logprobs=True, top_logprobs=2), ask(client, logprobs=True)
    assert unasked.choices[0].logprobs is None
    assert [(top.token, top.logprob) for top in tokens_of(asked)[0].top_logprobs] == [("yes", -0.1), ("no", -2.4)]
    assert [(entry.token, entry.bytes) for entry in tokens_of(default)] == [("yes", [121, 101, 115])]


def test_text_beyond_ascii_survives_both_ways() -> None:
    """Request and answer are Unicode, whatever the characters."""
    with served(answering(lambda text: text[::-1])) as (server, client):
        assert content_of(client, "größer 📦") == "📦 reßörg"
    assert server.requests[0].text == "größer 📦"


def test_refusal() -> None:
    """A refusal is a 200 with a refusal in place of content."""
    with served(refuse("I can't help")) as (_, client):
        message = ask(client).choices[0].message
    assert (message.content, message.refusal) == (None, "I can't help")


def test_truncation() -> None:
    """A cut answer says that its length was the reason."""
    with served(cut("shipp")) as (_, client):
        choice = ask(client).choices[0]
    assert (choice.message.content, choice.finish_reason) == ("shipp", "length")


def test_models_are_listed() -> None:
    """GET /v1/models answers, is counted, and does not ask the script."""
    with served(always("shipping")) as (server, client):
        assert [model.id for model in client.models.list()] == ["scripted"]
    assert (server.count, server.bodies()) == (1, [])


# Other APIs


def test_a_response_has_the_shape_of_the_responses_api() -> None:
    """The Responses API brings reasoning, text, usage and the model; the input is what was asked."""
    with served(Reply("shipping", reasoning="It is late.")) as (server, client):
        response = client.responses.create(model="m", input="it came late")
        client.responses.create(model="m", input=[{"role": "user", "content": "again"}])
    assert (response.output_text, response.status, response.error) == ("shipping", "completed", None)
    assert [item.type for item in response.output] == ["reasoning", "message"]
    assert (response.model, response.id, response.incomplete_details) == ("m", "resp-0", None)
    assert response.usage is not None
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens
    assert [request.text for request in server.requests] == ["it came late", "again"]


@pytest.mark.parametrize(("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
def test_a_response_can_be_incomplete(finish: str, reason: str) -> None:
    """An answer that did not stop by itself says why in the words of the Responses API."""
    with served(Reply("shipp", finish_reason=finish)) as (_, client):
        response = client.responses.create(model="m", input="late")
    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == reason


def test_a_response_can_refuse() -> None:
    """A refusal is a part of the message, in place of the text."""
    with served(refuse("I can't help")) as (_, client):
        (item,) = client.responses.create(model="m", input="late").model_dump()["output"]
    assert item["content"] == [{"type": "refusal", "refusal": "I can't help"}]


def test_a_response_has_log_probabilities_when_they_are_included() -> None:
    """The tokens stand in the text part when the request includes them."""
    with served(Reply("yes", logprobs=[token("yes", -0.1)])) as (_, client):
        unasked = client.responses.create(model="m", input="late").model_dump()
        asked = client.responses.create(model="m", input="late", include=["message.output_text.logprobs"]).model_dump()
    assert unasked["output"][0]["content"][0]["logprobs"] == []
    assert [each["token"] for each in asked["output"][0]["content"][0]["logprobs"]] == ["yes"]


def test_a_prompt_is_completed() -> None:
    """The completions API brings text, finish reason and, when asked, log-probabilities in OpenAI's shape."""
    tokens = [token(" yes", -0.1, {" yes": -0.1, " no": -2.4}), token("!", -0.5)]
    with served(Reply(" yes!", finish_reason="length", logprobs=tokens)) as (server, client):
        unasked = client.completions.create(model="m", prompt="late?")
        asked = client.completions.create(model="m", prompt="late?", logprobs=2)
    choice, logprobs = unasked.choices[0], asked.choices[0].logprobs
    assert (choice.text, choice.finish_reason, choice.logprobs) == (" yes!", "length", None)
    assert (unasked.object, unasked.id) == ("text_completion", "cmpl-0")
    assert logprobs is not None
    assert (logprobs.tokens, logprobs.token_logprobs) == ([" yes", "!"], [-0.1, -0.5])
    assert logprobs.top_logprobs == [{" yes": -0.1, " no": -2.4}, {"!": -0.5}]
    assert logprobs.text_offset == [0, 4]
    assert server.requests[0].text == "late?"


def test_texts_are_embedded_by_their_words() -> None:
    """Texts of the same words have the same embedding, in the order of the input; a reply can bring others."""
    with served(sequence(["", Reply(vectors=[[0.5, 1.0]])])) as (server, client):
        made = client.embeddings.create(model="m", input=["late box", "box late", "broken"])
        scripted = client.embeddings.create(model="m", input="late")
    one, other, third = (each.embedding for each in made.data)
    assert one == other != third
    assert scripted.data[0].embedding == [0.5, 1.0]
    assert server.requests[0].text == "broken"


def test_tokens_are_counted_at_the_root() -> None:
    """The tokenizer of llama.cpp lies beside /v1; four characters are a token."""
    with served("unused") as (_, client):
        url = str(client.base_url).removesuffix("/v1/")
        assert client.post(f"{url}/tokenize", cast_to=object, body={"content": "late box"}) == {"tokens": [0, 1, 2]}


def test_reasoning_stands_beside_the_content() -> None:
    """A chat answer has its reasoning where llama.cpp and DeepSeek put it, and no such key without any."""
    with served(sequence([Reply("a", reasoning="hm"), "a"])) as (_, client):
        thought, unthought = (ask(client).choices[0].message.model_dump() for _ in range(2))
    assert (thought["content"], thought["reasoning_content"]) == ("a", "hm")
    assert "reasoning_content" not in unthought


@pytest.mark.parametrize("path", ["responses", "completions", "embeddings"])
def test_a_request_without_what_its_api_needs_is_a_400(path: str) -> None:
    """A request of another API's shape is a 400 and never reaches the script."""
    with served("a") as (server, client), pytest.raises(openai.BadRequestError, match="must be a JSON object with"):
        client.post(f"/{path}", cast_to=object, body={"messages": []})
    assert server.bodies() == [{"messages": []}]


# Faults


def test_rate_limit_shows_retry_after() -> None:
    """A 429 carries its Retry-After header and its code to the client."""
    with (
        served(error(429, retry_after=0.01, code="rate_limit_exceeded")) as (_, client),
        pytest.raises(openai.RateLimitError) as caught,
    ):
        ask(client)
    assert caught.value.response.headers["Retry-After"] == "0.01"
    assert caught.value.code == "rate_limit_exceeded"


def test_client_retries_by_itself_when_it_may() -> None:
    """The client's own retry sends the same body again, which the server counts as another attempt of it."""
    with served(failing_first(2, error(429, retry_after=0.001), then="shipping")) as (server, client):
        assert content_of(client.with_options(max_retries=2)) == "shipping"
    assert [(request.index, request.attempt) for request in server.requests] == [(0, 0), (1, 1), (2, 2)]


def test_server_error() -> None:
    """A 500 is the client's InternalServerError, with the message."""
    with (
        served(error(500, "out of memory")) as (server, client),
        pytest.raises(openai.InternalServerError, match="out of memory"),
    ):
        ask(client)
    assert server.script_errors == []


def test_wrong_key() -> None:
    """With a key set, another key is a 401 before the script is asked, and still counted."""
    with served("shipping", api_key="right") as (server, client):
        with pytest.raises(openai.AuthenticationError):
            ask(client)
        assert content_of(client.with_options(api_key="right")) == "shipping"
    assert server.count == 2


def test_unknown_path() -> None:
    """An unknown path is an OpenAI-shaped 404."""
    with (
        served("shipping") as (server, client),
        pytest.raises(openai.NotFoundError, match="/v1/v2/chat/completions") as caught,
    ):
        ask(client.with_options(base_url=f"{server.base_url}/v2"))
    assert caught.value.code == "unknown_url"


def test_broken_json() -> None:
    """A body that stops in the middle of its JSON arrives as such: the client cannot decode it."""
    with served(broken_json()) as (_, client), pytest.raises(json.JSONDecodeError):
        ask(client)


def test_truncated_body() -> None:
    """A body shorter than announced is a broken connection for the client."""
    with served(Reply("shipping", truncate_body=True)) as (_, client), pytest.raises(openai.APIConnectionError):
        ask(client)


def test_dropped_connection() -> None:
    """A dropped connection is a connection error, and the next request gets a new connection."""
    with served(sequence([drop(), "shipping"])) as (_, client):
        with pytest.raises(openai.APIConnectionError):
            ask(client)
        assert content_of(client) == "shipping"


def test_hang_ends_when_the_client_leaves() -> None:
    """A hanging request is in flight until the client's timeout ends it."""
    with served(hang()) as (server, client):
        with pytest.raises(openai.APITimeoutError):
            ask(client, timeout=IMPATIENT)
        server.wait_for(1)
        server.wait_idle()
        assert (server.count, server.max_in_flight) == (1, 1)


def test_hang_ends_when_the_server_stops() -> None:
    """Stopping the server drops the requests that it never answers."""
    with ThreadPoolExecutor(1) as pool, served(hang()) as (server, client):
        answer = pool.submit(ask, client)
        server.wait_for(1)
        server.stop()
        with pytest.raises(openai.APIConnectionError):
            answer.result(timeout=5)
    assert server.in_flight == 0


def test_a_script_that_raises_is_a_500_and_is_kept() -> None:
    """An exception of the script is answered with a 500, and its traceback is kept for the test to see."""

    def script(request: Request) -> Reply:
        raise KeyError(request.text)

    with served(script) as (server, client), pytest.raises(openai.InternalServerError):
        ask(client, "oops")
    assert len(server.script_errors) == 1
    assert "KeyError: 'oops'" in server.script_errors[0]


def test_a_reply_that_cannot_be_sent_is_an_error_of_the_script() -> None:
    """A reply that has no JSON is kept like an exception of the script."""
    with (
        served(Reply("a", usage={"prompt_tokens": object()})) as (server, client),
        pytest.raises(openai.InternalServerError),
    ):
        ask(client)
    assert "not JSON serializable" in server.script_errors[0]


# Scripts


def test_answering_looks_for_the_sample_in_the_prompt() -> None:
    """A mapping answers for the key that ends last in the last user message, and for the longest that ends there."""
    script = answering({"sample 1": "a", "mple 1": "b", "sample 10": "c", "sample 2": refuse("no")})
    with served(script) as (server, client):
        assert content_of(client, "sample 10 is an example; label sample 1") == "a"
        assert content_of(client, "label sample 10") == "c"
        assert ask(client, "label sample 2").choices[0].message.refusal == "no"
        with pytest.raises(openai.InternalServerError):
            ask(client, "label something else")
    assert "no scripted answer for 'label something else'" in server.script_errors[0]


def test_sequence_goes_on_with_then() -> None:
    """A sequence answers in order of arrival and then with its `then`."""
    with served(sequence(["a", always(say("b"))], then="rest")) as (_, client):
        assert [content_of(client) for _ in range(4)] == ["a", "b", "rest", "rest"]


def test_sequence_without_then_ends_in_an_error() -> None:
    """A request beyond the sequence is an error of the script, never a silent repeat."""
    with served(sequence(["a"])) as (server, client):
        ask(client)
        with pytest.raises(openai.InternalServerError):
            ask(client)
    assert "sequence is over" in server.script_errors[0]


def test_failing_first_counts_by_body() -> None:
    """Every distinct body fails by itself."""
    with served(failing_first(1, error(500), then=answering(str.upper))) as (_, client):
        for text in ("a", "b"):
            with pytest.raises(openai.InternalServerError):
                ask(client, text)
        assert [content_of(client, text) for text in ("b", "a")] == ["B", "A"]


# What tests see


def test_request_keeps_what_was_sent() -> None:
    """A request has path, lower-case headers, body, the last user message and all of the text."""
    messages: Any = [
        {"role": "system", "content": "Label."},
        {"role": "user", "content": [{"type": "text", "text": "late"}, {"type": "text", "text": " again"}]},
        {"role": "assistant", "content": None},
    ]
    with served("a") as (server, client):
        client.chat.completions.create(model="m", messages=messages, temperature=0)
    request = server.requests[0]
    assert (request.path, request.headers["authorization"]) == ("/v1/chat/completions", "Bearer x")
    assert request.body == {"model": "m", "messages": messages, "temperature": 0} == server.bodies()[0]
    assert (request.text, request.all_text) == ("late again", "Label.\nlate again\n")


def test_reset_forgets() -> None:
    """After a reset the server counts requests and attempts from zero."""
    with served("a") as (server, client):
        ask(client)
        server.reset()
        assert (server.count, server.max_in_flight, server.requests) == (0, 0, [])
        ask(client)
    assert [(request.index, request.attempt) for request in server.requests] == [(0, 0)]


def test_waiting_ends_with_an_error() -> None:
    """Waiting for requests that do not come ends in an error that says how many came."""
    with served("a") as (server, client):
        ask(client)
        with pytest.raises(TimeoutError, match="for 2 requests; there are 1 requests, 0 in flight"):
            server.wait_for(2, timeout=0.01)


def test_gate_holds_an_answer() -> None:
    """A held answer is sent after its gate is set, and an open gate holds nothing."""
    gate = Gate()
    with ThreadPoolExecutor(1) as pool, served(say("shipping", hold=gate)) as (server, client):
        answer = pool.submit(content_of, client)
        server.wait_for(1)
        assert (server.in_flight, answer.done()) == (1, False)
        gate.set()
        assert answer.result(timeout=5) == "shipping"
        assert content_of(client) == "shipping"


def test_gate_may_open_after_the_end() -> None:
    """A gate that opens after the client has left, or after the server has stopped, does nothing."""
    left, stopped = Gate(), Gate()
    with (
        ThreadPoolExecutor(1) as pool,
        served(sequence([say("a", hold=left), say("b", hold=stopped)])) as (
            server,
            client,
        ),
    ):
        with pytest.raises(openai.APITimeoutError):
            ask(client, timeout=IMPATIENT)
        server.wait_for(1)
        server.wait_idle()
        left.set()
        answer = pool.submit(ask, client)
        server.wait_for(2)
        server.stop()
        stopped.set()
        with pytest.raises(openai.APIConnectionError):
            answer.result(timeout=5)
    assert (server.in_flight, server.script_errors) == (0, [])


async def test_concurrent_requests_are_served_together() -> None:
    """Of 256 requests at a concurrency of 64 and 50 ms each, 64 are in flight at once; each gets its own answer."""
    gate = Gate()
    echo = answering(lambda text: say(text, latency=0.05, hold=gate))
    limit = asyncio.Semaphore(64)

    async def label(client: openai.AsyncOpenAI, text: str) -> str | None:
        async with limit:
            answer = await client.chat.completions.create(model="m", messages=[{"role": "user", "content": text}])
            return answer.choices[0].message.content

    texts = [f"sample {number}" for number in range(256)]
    with ScriptedServer(echo) as server:
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key="x", max_retries=0) as client:
            answers = asyncio.gather(*(label(client, text) for text in texts))
            await asyncio.to_thread(server.wait_for, 64)  # all of them, however slow this machine starts them
            gate.set()
            assert await answers == texts
    assert (server.count, server.max_in_flight, server.in_flight) == (256, 64, 0)
    assert sorted(request.text for request in server.requests) == sorted(texts)


# Life


def test_nothing_is_left_after_stop() -> None:
    """Stopping under load leaves no thread, and the port refuses connections."""
    with ThreadPoolExecutor(8) as pool, served(say("a", latency=0.001)) as (server, client):
        answers = [pool.submit(ask, client, str(number)) for number in range(64)]
        server.wait_for(16)
        server.stop()
        failed = [answer.exception(timeout=5) for answer in answers]
        with pytest.raises(openai.APIConnectionError):
            ask(client)
    assert {type(problem) for problem in failed} <= {type(None), openai.APIConnectionError}
    assert "scripted-server" not in {thread.name for thread in threading.enumerate()}
    server.stop()


def test_server_starts_again_on_its_port() -> None:
    """A stopped server can start again where it was, and a second one on its port is an error of the caller."""
    with served("a") as (server, client):
        ask(client)
        server.stop()
        server.start()
        ask(client)
        with pytest.raises(OSError, match="in use"):
            ScriptedServer("b", port=int(client.base_url.port or 0)).start()
    assert server.count == 2


def test_process_of_its_own() -> None:
    """In a process of its own the server answers what the command line says."""
    with server_process("shipping, quality", latency=0.001) as base_url, client_of(base_url) as client:
        assert content_of(client) == "shipping, quality"


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_process_ends_on_a_signal(end: signal.Signals) -> None:
    """SIGTERM and SIGINT end the process in order, even while it holds a request, and nothing else is printed."""
    command = [sys.executable, scripted_server.__file__, "--port", "0", "--latency", "60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        with client_of(process.stdout.readline().strip()) as client, pytest.raises(openai.APITimeoutError):
            ask(client, timeout=IMPATIENT)
        process.send_signal(end)
        assert process.communicate(timeout=5) == ("", "")
    assert process.returncode == 0


# HTTP


def test_requests_in_pieces_and_in_one_piece() -> None:
    """A request is read however the network cuts it, header names in any case, and its connection serves the next."""
    body = b'{"messages": []}'
    request = b"POST /v1/chat/completions?x=1 HTTP/1.1\r\nCONTENT-length: %d\r\n\r\n%s" % (len(body), body)
    with ScriptedServer("a") as server:
        received = exchange(server, request[:20], request[20:-3], request[-3:] + request)
    assert received.count(b"HTTP/1.1 200 OK\r\n") == 2
    assert [item.attempt for item in server.requests] == [0, 1]


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"nonsense\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: many\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: 3\r\n\r\n{1}",
        b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: 2\r\n\r\n[]",
    ],
)
def test_a_malformed_request_is_a_400(request_bytes: bytes) -> None:
    """What is not HTTP, or not a JSON object, is a 400 and never reaches the script."""
    with ScriptedServer("a") as server:
        assert exchange(server, request_bytes).startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert server.script_errors == []


def test_a_reply_can_be_any_response() -> None:
    """Status, headers and body can be anything, such as the HTML page of a proxy."""
    page = replace(error(502), raw_body=b"<html>", headers={"Content-Type": "text/html"})
    with served(page) as (_, client), pytest.raises(openai.InternalServerError) as caught:
        ask(client)
    assert (caught.value.response.headers["content-type"], caught.value.response.text) == ("text/html", "<html>")


# Batches


def test_files_and_batches() -> None:
    """A batch is processed by the server's own script when it ends, and its lines count as no requests."""
    batches = Batches().ending(Fate(polls=1))
    line = {"custom_id": "k", "method": "POST", "url": "/v1/chat/completions"}
    body = {"model": "m", "messages": [{"role": "user", "content": "late"}]}
    with ScriptedServer(answering(str.upper), batches=batches) as server, client_of(server.base_url) as client:
        file = client.files.create(file=("a.jsonl", json.dumps({**line, "body": body}).encode()), purpose="batch")
        made = client.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", metadata={"a": "b"}
        )
        assert (made.status, made.metadata) == ("validating", {"a": "b"})
        assert client.batches.retrieve(made.id).status == "in_progress"
        ended = client.batches.retrieve(made.id)
        assert ended.status == "completed"
        row = json.loads(client.files.content(str(ended.output_file_id)).text)
        assert row["response"]["body"]["choices"][0]["message"]["content"] == "LATE"
        assert [each.id for each in client.batches.list()] == [made.id]
        with pytest.raises(openai.NotFoundError):
            client.batches.retrieve("batch_9")
        with pytest.raises(openai.BadRequestError):
            client.batches.create(input_file_id="file-9", endpoint="/v1/responses", completion_window="24h")
    assert batches.answered == {"k": 1}
    assert not server.bodies()


@pytest.mark.parametrize(
    ("lines", "codes"),
    [
        ([], ["empty_file"]),
        ([{"custom_id": "a"}, {"custom_id": "a"}], ["duplicate_custom_id", "duplicate_custom_id"]),
        ([{"url": "/v1/responses"}], ["invalid_url"]),
        ([{"method": "GET"}], ["invalid_request"]),
        ([{}, {"custom_id": "b", "body": {"model": "n"}}], ["mismatched_model"]),
        ([{"custom_id": str(number)} for number in range(3)], ["max_requests"]),
    ],
)
def test_batches_are_validated(lines: list[dict[str, Any]], codes: list[str]) -> None:
    """A file that a provider would not take fails as a whole, with the reason."""
    usual = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "m"}}
    content = b"\n".join(json.dumps({**usual, **line}).encode() for line in lines)
    batches = Batches(most_requests=2)
    with ScriptedServer("a", batches=batches) as server, client_of(server.base_url) as client:
        file = client.files.create(file=("a.jsonl", content), purpose="batch")
        made = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
        failed = client.batches.retrieve(made.id)
    assert failed.status == "failed"
    assert failed.errors is not None
    assert [each.code for each in failed.errors.data or []] == codes
