"""The files and batches of a server through the openai package: what is asked, and what a server may say."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from projects import KEY
from scripted_batches import Batches, Fate
from scripted_server import Reply, ScriptedServer, broken_json, error, say

from harness.clients.batches import BatchApi, Fault, GoneError, NotReachedError, RemoteBatch, batch_apis
from harness.errors import ModelError
from harness.project import Settings

ONCE = Settings(max_attempts=1, timeout_s=5.0)
LINE = {"custom_id": "k", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "m", "messages": []}}
WHO = {"harness_run": "r", "part": "1", "sha256": "x"}


@pytest.fixture
def batches() -> Batches:
    """Return the batches of a server."""
    return Batches()


@pytest.fixture
async def api(batches: Batches) -> AsyncIterator[BatchApi]:
    """Return the batches of a server, as they are asked."""
    with ScriptedServer(say("price"), batches=batches, api_key=KEY) as server:
        async with batch_apis(ONCE) as api_of:
            assert api_of(server.base_url) is api_of(server.base_url)
            yield api_of(server.base_url)


def content(n: int = 1) -> io.BytesIO:
    """Return a file of requests."""
    return io.BytesIO(b"".join(json.dumps({**LINE, "custom_id": f"k{at}"}).encode() + b"\n" for at in range(n)))


async def test_a_batch_goes_its_way(api: BatchApi, batches: Batches) -> None:
    """A file is uploaded, made a batch, looked at until it has ended, and its answers are read."""
    batches.ending(Fate(polls=1))
    file = await api.upload("name.jsonl", content(2))
    assert (batches.files[file].name, batches.files[file].purpose) == ("name.jsonl", "batch")
    assert batches.files[file].content == content(2).getvalue()
    made = await api.submit(file, "/chat/completions", WHO)
    assert (made.id, made.status, made.input, made.metadata) == ("batch_1", "validating", file, WHO)
    assert (await api.retrieve(made.id)).status == "in_progress"
    ended = await api.retrieve(made.id)
    assert (ended.status, ended.total, ended.done, ended.failed) == ("completed", 2, 2, 0)
    assert ended.created is not None
    into = io.BytesIO(b"what was there")
    await api.download(str(ended.output), into)
    assert [json.loads(row)["custom_id"] for row in into.read().splitlines()] == ["k0", "k1"]


async def test_what_was_lost_is_found(api: BatchApi, batches: Batches) -> None:
    """A file is found by name and size, a batch by its metadata, on any page; failed batches are none."""
    for number in range(8):
        file = await api.upload(f"{number}.jsonl", content(number + 1))
        await api.submit(file, "/chat/completions", {**WHO, "part": str(number)})
    assert await api.find_file("0.jsonl", len(content().getvalue())) == "file-1"
    assert await api.find_file("0.jsonl", 7) is None
    found = await api.find({**WHO, "part": "0"})
    assert found is not None
    assert found.id == "batch_1"
    assert await api.find({**WHO, "part": "9"}) is None
    batches.batches["batch_1"].status = "failed"
    assert await api.find({**WHO, "part": "0"}) is None


async def test_a_batch_can_be_cancelled(api: BatchApi) -> None:
    """A batch that is cancelled ends so; one that the server does not know is gone."""
    made = await api.submit(await api.upload("a.jsonl", content()), "/chat/completions", WHO)
    assert (await api.cancel(made.id)).status == "cancelling"
    assert (await api.retrieve(made.id)).status == "cancelled"
    for ask in (api.cancel, api.retrieve):
        with pytest.raises(GoneError, match=r"not found \(404\): No batch found with id 'batch_7'\."):
            await ask("batch_7")
    with pytest.raises(GoneError, match="No such File object: file-7"):
        await api.download("file-7", io.BytesIO())


async def test_a_file_that_is_too_large_is_not_read(api: BatchApi) -> None:
    """No file is read beyond the bound."""
    file = await api.upload("a.jsonl", content(5))
    with pytest.raises(ModelError, match=r"file file-1: must have at most 10 bytes, but has more\."):
        await api.download(file, io.BytesIO(), most=10)


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (error(500, "on fire"), "gives no answer: on fire."),
        (broken_json(), "gives no answer: "),
        (
            Reply(raw_body=b"<html>", headers={"content-type": "text/html"}),
            "the answer must be a JSON object, got '<html>'",
        ),
        (Reply(raw_body=b'{"status": "completed"}'), "the id of a batch must be a word, got 'None'"),
        (Reply(raw_body=b'{"id": "b", "status": 7}'), "a batch must have a status, got '7'"),
        (Reply(raw_body=b'{"id": "../x", "status": "failed"}'), "the id of a batch must be a word, got '../x'"),
        (Reply(raw_body=b'{"id": "b", "status": "x", "output_file_id": "a/b"}'), "the id of a file must be a word"),
    ],
)
async def test_answers_that_are_none(api: BatchApi, batches: Batches, reply: Reply, told: str) -> None:
    """What is no batch is no answer: another attempt may bring one."""
    batches.failing("GET /v1/batches/ID", reply)
    with pytest.raises(NotReachedError) as caught:
        await api.retrieve("batch_1")
    assert told in str(caught.value)
    assert str(caught.value).startswith(f"{api.base_url}/batches/batch_1: ")


@pytest.mark.parametrize(
    ("body", "batch"),
    [
        ({}, RemoteBatch("b", "x")),
        ({"request_counts": [1], "errors": 7, "metadata": "no", "created_at": "today"}, RemoteBatch("b", "x")),
        (
            {"request_counts": {"total": 3, "completed": -1, "failed": "x"}, "errors": {"data": ["a", {"line": 2}]}},
            RemoteBatch("b", "x", total=3, faults=(Fault("unknown", "no message", 2),)),
        ),
    ],
)
async def test_batches_may_say_little(
    api: BatchApi, batches: Batches, body: dict[str, Any], batch: RemoteBatch
) -> None:
    """Of a batch only its id and status are needed; what else is there and is none is left out."""
    batches.failing("GET /v1/batches/ID", Reply(raw_body=json.dumps({"id": "b", "status": "x", **body}).encode()))
    assert await api.retrieve("b") == batch


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (400, "refused (400): No key [key] here."),
        (401, "the key is refused (401): No key [key] here. Check OPENAI_API_KEY."),
        (403, "access is refused (403): No key [key] here."),
        (404, "not found (404): No key [key] here."),
    ],
)
async def test_refusals_are_not_tried_again(api: BatchApi, batches: Batches, status: int, told: str) -> None:
    """A refusal is told at once, without the key that it may repeat."""
    batches.failing("GET /v1/batches/ID", error(status, f"No key {KEY} here"))
    with pytest.raises(ModelError) as caught:
        await api.retrieve("b")
    assert str(caught.value) == f"{api.base_url}/batches/b: {told}"


async def test_a_redirect_is_told_as_for_a_call(api: BatchApi, batches: Batches) -> None:
    """A redirect is not followed, and the message says why, in the words of an ordinary call."""
    batches.failing("POST /v1/files", Reply(status=307, raw_body=b"", headers={"location": "http://other/v1/files"}))
    with pytest.raises(ModelError) as caught:
        await api.upload("a.jsonl", content())
    assert str(caught.value) == (
        f"{api.base_url}/files: redirects elsewhere (307), which is not followed: the key and the texts go only where "
        "--base-url says. Give the address that it leads to."
    )


async def test_a_server_without_batches(api: BatchApi, batches: Batches) -> None:
    """A server that does not know the routes of batches at all is told as that."""
    batches.failing("POST /v1/files", error(404, "No route"))
    with pytest.raises(ModelError, match=r"\(404\): No route\. Check the base URL, and whether .* has a batch API\.$"):
        await api.upload("a.jsonl", content())


async def test_no_server() -> None:
    """Where nobody listens, nothing is reached."""
    async with batch_apis(ONCE) as api_of:
        with pytest.raises(NotReachedError, match="gives no answer: "):
            await api_of("http://127.0.0.1:9/v1").retrieve("b")


async def test_a_key_is_needed_for_openai(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenAI's own server is not asked without a key; any other one is."""
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(
        ModelError, match=r"https://api\.openai\.com/v1: needs an API key, got none\. Set OPENAI_API_KEY"
    ):
        BatchApi("https://api.openai.com/v1", ONCE)
    await BatchApi("http://127.0.0.1:9/v1", ONCE).close()


async def test_a_submission_that_came_through_is_found(batches: Batches, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the answer to a submission is lost, the next attempt finds the batch and makes no second one."""
    monkeypatch.setattr("harness.retry.random.uniform", lambda _low, _high: 0.0)
    with ScriptedServer(say("price"), batches=batches) as server:
        async with batch_apis(Settings(max_attempts=3)) as api_of:
            api = api_of(server.base_url)
            file = await api.upload("a.jsonl", content())
            batches.failing("POST /v1/batches", error(502), error(502), done=True)
            assert (await api.submit(file, "/chat/completions", WHO)).id == "batch_1"
    assert len(batches.batches) == 1


async def test_a_submission_that_may_not_be_looked_for(batches: Batches, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the answer to a submission is lost and looking for it is refused, that is no word that there is none."""
    monkeypatch.setattr("harness.retry.random.uniform", lambda _low, _high: 0.0)
    with ScriptedServer(say("price"), batches=batches) as server:
        async with batch_apis(Settings(max_attempts=3)) as api_of:
            api = api_of(server.base_url)
            file = await api.upload("a.jsonl", content())
            batches.failing("POST /v1/batches", error(502), done=True)
            batches.failing("GET /v1/batches", error(403, "No"))
            with pytest.raises(NotReachedError, match=r"access is refused \(403\): No\."):
                await api.submit(file, "/chat/completions", WHO)
            batches.failing("POST /v1/batches", error(403, "No"))
            with pytest.raises(ModelError) as caught:
                await api.submit(file, "/chat/completions", WHO)
    assert type(caught.value) is ModelError


def test_our_statuses_are_those_of_the_openai_package() -> None:
    """The states that end a batch are among those that the openai package knows."""
    from typing import get_args

    from harness.clients.batches import ENDED

    known = set(get_args(openai.types.Batch.model_fields["status"].annotation))
    assert known - ENDED == {"validating", "in_progress", "finalizing", "cancelling"}
    assert known >= ENDED
