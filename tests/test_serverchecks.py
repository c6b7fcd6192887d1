"""What a server can do and what is wrong with reaching it, over real HTTP; and that the key is never told."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from projects import KEY, Folder
from scripted_server import Reply, Request, ScriptedServer, error, refuse, say, token

from harness import serverchecks
from harness.clients.modellist import Listing, list_models
from harness.health import Check
from harness.project import Settings
from harness.prompt import Model
from harness.serverchecks import (
    Target,
    clock_check,
    key_check,
    model_check,
    reachable_check,
    server_checks,
    targets_of,
)

SETTINGS = Settings(max_attempts=1)
MODELS = b'{"data": [{"id": "m-1"}, {"id": "m-2"}]}'


@contextlib.contextmanager
def serving(body: bytes, status: int = 200, *, hang: bool = False, **headers: str) -> Iterator[str]:
    """Answer every GET like this; yields the base URL."""
    gate = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if hang:
                gate.wait(60)
            self.send_response_only(status)
            for name, value in {"content-length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            gate.set()
            server.shutdown()


def checks(url: str | None, model: str = "scripted", *, calls: bool = False, **values: Any) -> dict[str, Check]:
    """Return what is found about a model of a server, by name."""
    needs = frozenset(values.pop("needs", ()))
    target = Target(Model(model, base_url=url, **values), needs)
    found = list(server_checks(target, SETTINGS, calls=calls))
    assert KEY not in repr(found)
    return {check.name: check for check in found}


# --- Keys -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "needed", "status", "found"),
    [
        (None, False, "ok", "not set; embedded models and most servers of one's own need none"),
        ("", True, "problem", "not set"),
        ("  ", True, "problem", "not set"),
        (KEY, True, "ok", "set in .env"),
        (f" {KEY}\n", True, "warning", "set in .env, with white space around it, which is left out"),
        (f'"{KEY}"', True, "problem", "set in .env, but has quotes around it"),
        (f"'{KEY}", False, "problem", "set in .env, but has quotes around it"),
        (f"Bearer {KEY}", True, "problem", "set in .env, but begins with 'Bearer', which is added by itself"),
        (f"{KEY} {KEY}", True, "problem", "set in .env, but has a space or a line break in it"),
        (f"{KEY}\n{KEY}", True, "problem", "set in .env, but has a space or a line break in it"),
        (f"{KEY}\x07{KEY}", True, "problem", "set in .env, but has control characters in it"),
        (f"{KEY}–", True, "problem", "set in .env, but has characters that are not ASCII"),
    ],
)
def test_a_key(key: str | None, needed: bool, status: str, found: str) -> None:
    """A key is there and can be sent, or it is said what is wrong; nothing of it is told, its length neither."""
    check = key_check(key, ".env", needed=needed)
    assert (check.status, check.found) == (status, found)
    assert KEY not in repr(check)
    assert str(len(KEY)) not in repr(check)


# --- Reaching a server ------------------------------------------------------------------------------------------------


def test_a_server_that_answers() -> None:
    """The key is taken and the model is listed."""
    with ScriptedServer("x", api_key=KEY) as server:
        found = checks(server.base_url)
    assert list(found) == ["reachable", "model"]
    assert found["reachable"].found.startswith("answers after ")
    assert found["reachable"].found.endswith("; takes the key")
    assert found["reachable"].group == f"server {server.base_url}"
    assert found["model"].found == "scripted is listed"
    assert {check.status for check in found.values()} == {"ok"}


def test_a_key_that_is_refused() -> None:
    """A refused key is a problem, and nothing more is asked."""
    with ScriptedServer("x", api_key="sk-other") as server:
        found = checks(server.base_url, calls=True)
        assert server.count == 1
    assert list(found) == ["reachable"]
    assert (found["reachable"].status, found["reachable"].found) == ("problem", "answers, but refuses the key (401)")


def test_no_key_is_fine_where_none_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server of one's own may ask for none; OpenAI's own is not asked without, nor any with one that cannot be sent."""
    monkeypatch.delenv("OPENAI_API_KEY")
    with ScriptedServer("x") as server:
        assert checks(server.base_url)["reachable"].found.endswith("; asks for no key")
    assert checks(None)["reachable"].found == "not asked, because there is no key"
    monkeypatch.setenv("OPENAI_API_KEY", "é")
    assert checks(None)["reachable"].found == "not asked, because the key cannot be sent"


def test_a_base_url_that_is_none() -> None:
    """What is no base URL is told as a run would tell it."""
    (check,) = checks("ftp://x").values()
    assert check.status == "problem"
    assert "must be http://HOST/PATH" in check.found
    (check,) = checks("foo", "").values()
    assert check.name == "base URL"


def test_a_model_that_is_not_listed() -> None:
    """A name that the server does not list is a problem with the nearest one; where it is asked too, a warning."""
    with ScriptedServer("x") as server:
        assert checks(server.base_url, "scriptd")["model"] == Check(
            f"server {server.base_url}",
            "model",
            "problem",
            "scriptd is not listed; there is scripted",
            "Did you mean 'scripted'?",
        )
        found = checks(server.base_url, "other", calls=True)
    assert found["model"].status == "warning"
    assert found["call"].status == "ok"


def test_a_server_alone() -> None:
    """Without a model it is said which there are, and none is called."""
    with serving(MODELS) as url:
        found = checks(url, "", calls=True)
    assert found["models"].found == "2 models: m-1, m-2"
    assert list(found) == ["reachable", "models"]


def test_a_list_without_models() -> None:
    """A server that lists nothing may have the model all the same."""
    assert model_check("m", (), "g", asked=False).status == "warning"
    with serving(b'{"data": []}') as url:
        assert list(checks(url, "")) == ["reachable"]


@pytest.mark.parametrize(
    ("status", "body", "wanted", "found"),
    [
        (404, b"no", "warning", "but lists no models (404)"),
        (405, b"", "warning", "but lists no models (405)"),
        (403, b"{}", "problem", "answers, but refuses access (403)"),
        (500, b"<html>", "problem", "answers with an error (500)"),
        (429, b"{}", "problem", "answers with an error (429)"),
        (200, b"<html>hello", "warning", "but with something else than models"),
        (200, b'{"data": [7]}', "warning", "but with something else than models"),
        (200, b"[]", "warning", "but with something else than models"),
    ],
)
def test_other_answers(status: int, body: bytes, wanted: str, found: str) -> None:
    """A server that is there but does not list models is told by what it answers."""
    with serving(body, status) as url:
        check = checks(url)["reachable"]
    assert check.status == wanted
    assert found in check.found
    assert check.next_step


def test_a_server_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer within the time is a problem."""
    monkeypatch.setattr(serverchecks, "TIMEOUT_S", 0.1)
    with serving(b"", hang=True) as url:
        assert checks(url)["reachable"].found == "no answer within 0.1 s"


def test_nothing_there() -> None:
    """A port where nothing listens, and one that speaks no TLS, are told by their causes."""
    with ScriptedServer("x") as server:
        tls = list_models(server.base_url.replace("http", "https"), "", 0.3)
    refused = list_models(server.base_url, KEY, 5)
    assert (refused.cause, refused.status) == ("refused", None)
    assert "refused" in refused.words.casefold()
    assert tls.cause in ("tls", "connection", "timeout")


@pytest.mark.parametrize("cause", ["dns", "refused", "tls", "timeout", "connection"])
def test_every_cause_has_a_next_step(cause: Any) -> None:
    """Why nothing answers is told with what to look at."""
    check = reachable_check(Listing(cause=cause, words="words"), "g", has_key=True)
    assert check.status == "problem"
    assert check.next_step
    assert ("(words)" in check.found) is (cause != "timeout")


def test_the_cause_is_found_in_the_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that no name server knows, and a certificate that nobody vouches for, are told as such, without the key."""
    import socket
    import ssl

    from harness.clients import modellist

    for inner, cause in (
        (socket.gaierror(-2, f"unknown {KEY}"), "dns"),
        (ssl.SSLCertVerificationError("self-signed"), "tls"),
        (TimeoutError("late"), "timeout"),
        (OSError("reset"), "connection"),
    ):
        outer = RuntimeError("Connection error.")
        outer.__cause__ = inner
        assert modellist._cause(outer) == cause
        assert KEY not in modellist._said(outer, KEY)


# --- Clocks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ahead", "status", "found"),
    [
        (0, "ok", "agrees with this machine's"),
        (59, "ok", "agrees with this machine's"),
        (600, "warning", "this machine's is 10 min 00 s ahead of the server's"),
        (-7200, "warning", "this machine's is 2 h 00 min behind the server's"),
    ],
)
def test_the_clock(ahead: int, status: str, found: str) -> None:
    """Clocks that differ by more than a minute are told."""
    now = 1_800_000_000
    check = clock_check(Listing(200, date=formatdate(now - ahead, usegmt=True), asked_at=now), "g")
    assert check is not None
    assert (check.status, check.found) == (status, found)


@pytest.mark.parametrize("date", [None, "", "yesterday", "Mon, 99 Foo 2026 00:00:00 GMT"])
def test_a_server_without_a_time(date: str | None) -> None:
    """A server that says no time leaves nothing to compare."""
    assert clock_check(Listing(200, date=date), "g") is None


def test_the_date_header_is_compared() -> None:
    """The server's header is what is compared."""
    with serving(MODELS, date=formatdate(time.time() + 3600, usegmt=True)) as url:
        assert checks(url, "m-1")["clock"].status == "warning"


# --- Calls ------------------------------------------------------------------------------------------------------------


def able(request: Request) -> Reply:
    """Answer as a server does that can do everything."""
    if '"enum"' in json.dumps(request.body):
        return say('{"answer": "yes"}')
    return Reply("yes", logprobs=[token("yes", -0.1, {"yes": -0.1, "no": -2.0})])


def unable(request: Request) -> Reply:
    """Answer as a server does that knows of nothing beside messages."""
    for name in ("response_format", "grammar", "seed"):
        if name in request.body:
            return error(400, f"unknown field {name}")
    reply = say("yes")
    return Reply("yes", raw_body=None) if "logprobs" not in request.body else reply


@pytest.mark.parametrize("api", ["chat", "completions", "responses"])
def test_a_server_that_can_do_everything(api: Any) -> None:
    """Every capability is found by a call of its own, and each call is small."""
    with ScriptedServer(able) as server:
        found = checks(server.base_url, calls=True, api=api)
        limits = {"max_tokens", "max_output_tokens"}
        assert all(any(body.get(name) == 16 for name in limits) for body in server.bodies() if body)
    wanted = {
        "chat": ["call", "json_schema", "grammar", "logprobs", "seed"],
        "completions": ["call", "json_schema", "grammar", "logprobs", "seed"],
        "responses": ["call", "json_schema", "logprobs"],
    }[api]
    assert list(found)[2:] == wanted
    assert {name: found[name].found for name in wanted[1:]} == dict.fromkeys(wanted[1:], "works")
    assert found["call"].found.startswith("answered by scripted after ")


def test_what_a_server_cannot_do() -> None:
    """What nothing needs is no problem; what the prompt needs is."""
    with ScriptedServer(unable) as server:
        url = server.base_url
        found = checks(url, calls=True)
        needed = checks(url, calls=True, needs=["grammar", "seed"])
    for name in ("json_schema", "grammar", "seed"):
        assert found[name].status == "ok"
        assert found[name].found.startswith("does not work here, and nothing that was checked needs it: unknown field ")
    assert {name for name, check in needed.items() if check.status == "problem"} == {"grammar", "seed"}
    assert needed["seed"].found.startswith("does not work, and the prompt needs it: ")


def test_a_form_that_is_passed_over() -> None:
    """A constraint that was taken, and not kept to, does not work."""
    with ScriptedServer(lambda request: Reply("Yes, it is.", logprobs=[])) as server:
        found = checks(server.base_url, calls=True)
    assert found["json_schema"].found.endswith(": taken, but the answer does not keep to it")
    assert found["grammar"].found.endswith(": taken, but the answer does not keep to it")


def test_a_model_with_another_limit() -> None:
    """A model that takes `max_completion_tokens` only is asked so."""

    def script(request: Request) -> Reply:
        if "max_tokens" in request.body:
            return error(400, "Unsupported parameter: 'max_tokens'", param="max_tokens")
        return able(request)

    with ScriptedServer(script) as server:
        assert checks(server.base_url, calls=True, params={"max_tokens": 9})["call"].status == "ok"


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (error(404, "no such model", code="model_not_found"), "not found (404): no such model."),
        (error(500, f"boom {KEY}"), "no answer: boom [key]"),
        (error(401, "Incorrect API key provided: sk-pla**cdef"), "no answer: the key is refused (401)"),
    ],
)
def test_a_model_that_does_not_answer(answer: Reply, found: str) -> None:
    """Why a call brings nothing is told in the server's words, but for those about a key; nothing more is asked."""
    with ScriptedServer(answer) as server:
        told = checks(server.base_url, calls=True)
        assert server.count == 2
    assert told["call"].status == "problem"
    assert found in told["call"].found
    assert "sk-pla" not in told["call"].found


def test_a_refusal_is_an_answer() -> None:
    """A model that will not say is one that answers."""
    with ScriptedServer(refuse("I cannot.")) as server:
        assert checks(server.base_url, calls=True)["call"].status == "ok"


@pytest.mark.parametrize("api", ["decisions", "systemone"])
def test_decision_apis_are_asked_one_question(api: Any) -> None:
    """They have no forms and no seeds."""
    with ScriptedServer('{"wet": 0.9}') as server:
        found = checks(server.base_url, calls=True, api=api)
    assert list(found) == ["reachable", "model", "call"]
    assert found["call"].status == "ok"


# --- What prompts need ------------------------------------------------------------------------------------------------


def test_what_a_prompt_needs(tmp_path: Path) -> None:
    """The remote models of a prompt, each once, with what its passes rely on; embedded ones are no servers."""
    folder = Folder(tmp_path / "p").filled()
    folder.prompt(
        "v2",
        """\
dataset: ../datasets/reviews.yaml
model: {name: m, params: {seed: 3}}
passes:
  - name: a
    template: "{{ text }}"
    output: {format: json, constrain: json_schema}
  - name: b
    template: "{{ text }}"
    model: {params: {logprobs: true, top_logprobs: 5}}
  - name: c
    template: "{{ text }}"
    model: {name: local/smollm2-135m, params: {}}
""",
    )
    (target,) = targets_of(folder.task("v2").prompt)
    assert target.model.name == "m"
    assert {"json_schema", "logprobs"} <= target.needs
