"""Runs by a provider's batch API, from plan to end, against the scripted server."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from typing import Any

import batch_runs
import pytest
from batch_runs import kept, only_run, resume, serving, start, ways
from projects import DEV, HEAD, KEY, PROMPT, TEMPLATE, TWO_PASSES, Folder, jsonl, right_but
from scripted_batches import Batches, Fate, refused, torn
from scripted_server import CHAT_PATH, Reply, Script, ScriptedServer, always, broken_json, drop, error, refuse, say

from harness.batchlog import FILE, BatchLog, StillOpenError, read_batches
from harness.batchrunning import open_runs
from harness.batchsending import CancelledBatchError, Waiting
from harness.budget import Budget, BudgetReached
from harness.clients.batches import BatchApi
from harness.errors import EXIT_INTERRUPTED, DataError, HarnessError, ModelError
from harness.execution import InterruptedRun
from harness.records import FailureKind
from harness.store import StoredRun

wired = batch_runs.wired
pytestmark = pytest.mark.usefixtures("wired")

QUEUE = refused("token_limit_exceeded", "Enqueued token limit reached for scripted. Limit: 9 enqueued tokens.")


@pytest.fixture
def batches() -> Batches:
    """Return the batches of a server."""
    return Batches()


@pytest.fixture
def server(batches: Batches) -> Iterator[ScriptedServer]:
    """Return a server that answers exactly right."""
    with serving(batches) as running:
        yield running


def once(reply: Reply, sample: str = "s3") -> Script:
    """Return a script that answers right, but a sample for the first time with this reply."""
    right, first = always(right_but()), iter([reply])
    text = DEV[sample][0]
    return lambda request: next(first, None) or right(request) if text in request.text else right(request)


def direct(server: ScriptedServer) -> int:
    """Return how many ordinary calls a server had."""
    return sum(request.path == CHAT_PATH for request in server.requests)


def lines(batches: Batches, identity: str = "file-1") -> list[dict[str, Any]]:
    """Return the requests of an uploaded file."""
    return [json.loads(line) for line in batches.files[identity].content.splitlines()]


def same(run: StoredRun, folder: Folder, server: ScriptedServer, version: str = "v1") -> None:
    """Assert that a run has the results of an ordinary one."""
    ordinary = folder.run_on(server, version).stored
    assert run.manifest.state == ordinary.manifest.state == "complete"
    assert run.predictions == ordinary.predictions
    assert run.scores == ordinary.scores
    assert kept(run) == kept(ordinary)


# --- an undisturbed run -----------------------------------------------------------------------------------------------


def test_a_run_by_batches_has_the_results_of_an_ordinary_one(
    folder: Folder, server: ScriptedServer, batches: Batches
) -> None:
    """One sample is asked directly, the others are one batch, and predictions and scores are those of any run."""
    run = start(folder, server, use_cache=False)
    assert direct(server) == 1
    assert len(batches.batches) == 1
    assert batches.answered.total() == len(DEV) - 1
    assert set(batches.answered.values()) == {1}
    server.reset()
    same(run, folder, server)


def test_the_requests_are_those_of_ordinary_calls(folder: Folder, server: ScriptedServer, batches: Batches) -> None:
    """A line has the call key as its id and the very body that an ordinary call would post; metadata name the run."""
    run = start(folder, server)
    rows = lines(batches)
    stored = {each.key for slot, each in run.log.latest.items() if slot[0] != "s1"}
    assert {row["custom_id"] for row in rows} == stored
    assert {(row["method"], row["url"]) for row in rows} == {("POST", CHAT_PATH)}
    asked = server.bodies()[0]
    assert rows[0]["body"] | {"messages": 0} == asked | {"messages": 0}
    (made,) = batches.batches.values()
    (part,) = read_batches(run.path).parts
    assert made.metadata == {"harness_run": run.manifest.id, "part": "1", "sha256": part.sha256}
    assert (part.state, part.file, part.batch) == ("completed", "file-1", "batch_1")


def test_identical_calls_are_one_request(folder: Folder, server: ScriptedServer, batches: Batches) -> None:
    """Samples with the same text share a request; all of them have its answer, and one of them paid for it."""
    folder.write("datasets/reviews.dev.jsonl", jsonl({**DEV, "r5": DEV["s5"], "r6": DEV["s5"]}))
    run = start(folder, server, use_cache=False)
    assert len(lines(batches)) == len(DEV) - 1
    cached = {slot[0]: each.completion.cached for slot, each in run.log.latest.items()}
    assert [name for name, is_cached in cached.items() if is_cached] == ["r5", "r6"]
    assert len(run.predictions) == len(DEV) + 2


def test_repeats_are_requests_of_their_own(folder: Folder, server: ScriptedServer, batches: Batches) -> None:
    """Every repeat of a sample is drawn."""
    folder.prompt("v1", PROMPT.replace("temperature: 0", "temperature: 1"))
    run = start(folder, server, repeats=2)
    assert len(lines(batches)) == 2 * (len(DEV) - 1)
    assert len(run.predictions) == 2 * len(DEV)


def test_files_are_split_to_the_limits(folder: Folder, server: ScriptedServer, batches: Batches) -> None:
    """No file has more requests than allowed; together they have all."""
    batches.most_requests = 2
    run = start(folder, server, ways(requests=2))
    assert [len(part.keys) for part in read_batches(run.path).parts] == [2, 2, 1]
    same(run, folder, server)


def test_every_pass_is_a_batch(folder: Folder, server: ScriptedServer, batches: Batches) -> None:
    """The second pass is a batch of the samples that it is about, after the first one's answers."""
    folder.prompt("v1", TWO_PASSES)
    run = start(folder, server)
    assert [part.passes for part in read_batches(run.path).parts] == [("first",), ("second",)]
    assert all("Second, after" in row["body"]["messages"][0]["content"] for row in lines(batches, "file-3"))
    same(run, folder, server)


def test_models_are_files_of_their_own(folder: Folder, server: ScriptedServer, batches: Batches) -> None:
    """Passes that ask different models go into files of their own: a file asks one model."""
    other = "  - name: second\n    model: {name: other}\n"
    folder.prompt("v1", TWO_PASSES.replace("  - name: second\n", other))
    run = start(folder, server)
    assert [part.model for part in read_batches(run.path).parts] == ["scripted", "other"]
    assert run.manifest.state == "complete"


@pytest.mark.parametrize("api", ["responses", "completions"])
def test_other_apis_can_be_batched(folder: Folder, server: ScriptedServer, batches: Batches, api: str) -> None:
    """The Responses API and the completions API have batches too."""
    folder.prompt("v1", PROMPT.replace("{name", f"{{api: {api}, name").replace(", max_tokens: 16", ""))
    run = start(folder, server)
    assert {row["url"] for row in lines(batches)} == {f"/v1/{api}"}
    same(run, folder, server)


def test_the_form_of_answers_is_found_out_directly(folder: Folder, batches: Batches) -> None:
    """Where the server refuses a schema, the first sample finds that out, and the batch asks in the form that it takes."""

    def script(request: Any) -> Reply:
        form = request.body.get("response_format", {}).get("type")
        return error(400, "json_schema is not supported") if form == "json_schema" else say('{"labels": ["price"]}')

    folder.prompt("v1", HEAD + TEMPLATE + "output: {format: json, constrain: auto}\n")
    warnings: list[str] = []
    with serving(batches, script) as server:
        run = start(folder, server, warn=warnings.append)
        assert {row["body"]["response_format"]["type"] for row in lines(batches)} == {"json_object"}
        assert direct(server) == 2
        assert run.manifest.constrained == {"main": "json_object"}
        assert len(warnings) == 1
        same(run, folder, server)


def test_what_the_cache_has_is_in_no_batch(folder: Folder, server: ScriptedServer, batches: Batches) -> None:
    """A second run of the same prompt needs neither a call nor a batch, and has no log of batches."""
    start(folder, server)
    server.reset()
    again = start(folder, server, tag="again")
    assert (server.count, len(batches.batches), (again.path / FILE).exists()) == (0, 1, False)


def test_how_far_the_batches_are_is_told(folder: Folder, server: ScriptedServer, batches: Batches) -> None:
    """At every look it is told how many batches there are, how many requests are done, and when the next look is."""
    batches.ending(Fate(polls=2))
    told: list[Waiting] = []
    start(folder, server, ways(tell=told.append))
    assert [(each.batches, each.done, each.total, each.unreached) for each in told] == [(1, 0, 5, False)] * 2
    assert all(each.since is not None for each in told)


def test_no_key_reaches_a_file(folder: Folder, server: ScriptedServer, batches: Batches) -> None:
    """Neither the log of batches nor the uploaded file holds the key; the requests for them carry it."""
    batches.failing("GET /v1/batches/ID", error(400, f"bad key {KEY}"))
    with pytest.raises(ModelError) as caught:
        start(folder, server)
    assert "[key]" in str(caught.value)
    assert KEY not in str(caught.value)
    assert KEY.encode() not in folder.saved() + b"".join(file.content for file in batches.files.values())
    assert {request.headers["authorization"] for request in server.requests} == {f"Bearer {KEY}"}


# --- failures of requests ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reply", [error(500), error(429)], ids=["500", "429"])
def test_failed_requests_are_submitted_again_alone(folder: Folder, batches: Batches, reply: Reply) -> None:
    """A request that failed in a way that can pass is in the next batch, without those that were answered."""
    with serving(batches, once(reply)) as server:
        run = start(folder, server)
    assert [len(part.keys) for part in read_batches(run.path).parts] == [5, 1]
    assert run.manifest.state == "complete"
    (slot,) = [slot for slot in run.log.latest if slot[0] == "s3"]
    assert run.log.latest[slot].completion.attempts == 2


@pytest.mark.parametrize(("reply", "n"), [(error(400, "too long"), 1), (error(500, "on fire"), 3)], ids=["400", "500"])
def test_a_request_that_always_fails_is_a_failure_in_the_end(
    folder: Folder, batches: Batches, reply: Reply, n: int
) -> None:
    """A 400 is the call's own failure at once, a 500 after three batches; the run is incomplete and says why."""
    with serving(batches, right_but(s3=reply)) as server:
        run = start(folder, server)
        assert direct(server) == 1, "what a batch could not do is not tried by a dearer ordinary call"
    assert len(batches.batches) == n
    assert run.manifest.state == "incomplete"
    assert [(each.sample, each.failure) for each in run.predictions if each.failed] == [("s3", FailureKind.CALL_ERROR)]
    errors = [each.completion.error for each in run.log.latest.values() if each.completion.error]
    assert [(each["kind"], each["message"], each["status"]) for each in errors] == [
        (f"http_{reply.status}", "too long" if n == 1 else "on fire", reply.status)
    ]


def test_failures_are_asked_again_when_somebody_wants_it(folder: Folder, batches: Batches) -> None:
    """A finished run with failures that is resumed submits these alone."""
    with serving(batches, once(error(400, "no"))) as server:
        assert start(folder, server).manifest.state == "incomplete"
        assert resume(folder).manifest.state == "complete"
    assert [len(part.keys) for part in read_batches(only_run(folder).path).parts] == [5, 1]


def test_refusals_are_answers(folder: Folder, batches: Batches) -> None:
    """A refusal is no failed request: it is kept, and counted as what it is."""
    with serving(batches, right_but(s3=refuse("No."))) as server:
        run = start(folder, server)
    assert len(batches.batches) == 1
    assert [(each.sample, each.failure) for each in run.predictions if each.failed] == [("s3", FailureKind.REFUSAL)]


@pytest.mark.parametrize("listed", [True, False], ids=["in the error file", "nowhere"])
def test_an_expired_batch_keeps_what_it_answered(
    folder: Folder, server: ScriptedServer, batches: Batches, listed: bool
) -> None:
    """Requests that a batch had no time for are submitted again alone, whether its files name them or not."""
    batches.ending(Fate("expired", answered=2, error_file=listed))
    run = start(folder, server)
    assert [(part.state, len(part.keys)) for part in read_batches(run.path).parts] == [("expired", 5), ("completed", 3)]
    assert set(batches.answered.values()) == {1}
    same(run, folder, server)


def test_what_always_expires_fails_in_the_end(folder: Folder, server: ScriptedServer, batches: Batches) -> None:
    """After three batches that expire, what they did not answer has failed."""
    batches.then = Fate("expired", answered=0)
    run = start(folder, server)
    assert len(batches.batches) == 3
    assert sorted(each.sample for each in run.predictions if each.failed) == ["s2", "s3", "s4", "s5", "s6"]


def test_damaged_files_of_answers(folder: Folder, server: ScriptedServer, batches: Batches) -> None:
    """A torn line is asked again; doubled and strange lines are left out; each is told."""

    def doctored(rows: list[bytes]) -> bytes:
        strange = json.dumps({"custom_id": "../../etc/passwd", "response": {"status_code": 200, "body": {}}}).encode()
        doubled = rows[0].replace(b"quality", b"price")
        return rows[0] + doubled + strange + b"\n" + b'{"custom_id": 7}\n' + torn(rows[1:])

    batches.ending(Fate(output=doctored))
    warnings: list[str] = []
    run = start(folder, server, warn=warnings.append)
    assert warnings == [
        "batch batch_1: lines of its files that cannot be read: 2.",
        "batch batch_1: lines of its files that answer a request that another line answers, and are left out: 1.",
        "batch batch_1: lines of its files that answer no request of it, and are left out: 1.",
    ]
    assert [len(part.keys) for part in read_batches(run.path).parts] == [5, 1]
    same(run, folder, server)


def test_answers_that_are_none_are_asked_again(folder: Folder, batches: Batches) -> None:
    """A line with status 200 and a body that is no answer is a failure that can pass."""
    with serving(batches, once(Reply(raw_body=b'{"choices": []}'))) as server:
        run = start(folder, server)
    (failed, _) = read_batches(run.path).parts
    assert failed.ended is not None
    assert [each["kind"] for each in failed.ended.again.values()] == ["bad_response"]
    assert run.manifest.state == "complete"


def test_nobody_is_let_in(folder: Folder, batches: Batches) -> None:
    """When every request is refused for a right or a model that is not there, the run stops, as an ordinary one does."""
    first = iter([say("shipping")])
    with serving(batches, lambda _: next(first, error(404, "The model does not exist"))) as server:
        with pytest.raises(ModelError) as caught:
            start(folder, server)
        url = server.base_url
    told = f"{url}, model scripted: no request of batch batch_1 was let in: The model does not exist."
    assert str(caught.value).splitlines()[0] == told


# --- failures of batches ----------------------------------------------------------------------------------------------


def test_a_batch_that_fails_as_a_whole_names_the_sample(
    folder: Folder, server: ScriptedServer, batches: Batches
) -> None:
    """What a provider has against a batch is told with the line and the sample that it is about."""
    batches.ending(refused("invalid_request", "The body must have a model.", line=2))
    with pytest.raises(ModelError) as caught:
        start(folder, server)
    assert str(caught.value).splitlines()[0] == (
        f"{server.base_url}: batch batch_1 failed before any of its requests was processed: "
        "line 2, sample s3: The body must have a model (invalid_request)."
    )
    assert only_run(folder).manifest.state == "stopped"
    same(resume(folder), folder, server)


def test_a_full_queue_is_waited_for(folder: Folder, server: ScriptedServer, batches: Batches) -> None:
    """Where the provider's queue holds one batch, the next one is submitted after it, from the same file."""
    batches.ending(Fate(polls=1), QUEUE)
    run = start(folder, server, ways(requests=3))
    assert [part.state for part in read_batches(run.path).parts] == ["completed", "completed"]
    uploaded = [each for each in batches.files.values() if each.purpose == "batch"]
    assert (len(uploaded), len(batches.batches)) == (2, 3)
    same(run, folder, server)


def test_a_file_that_the_queue_never_takes_is_made_smaller(
    folder: Folder, server: ScriptedServer, batches: Batches
) -> None:
    """Where a batch alone is more than the queue takes, its requests go into smaller ones, one after the other."""
    batches.ending(QUEUE)
    run = start(folder, server, ways(requests=5))
    assert [(part.state, len(part.keys)) for part in read_batches(run.path).parts] == [
        ("refused", 5),
        ("completed", 2),
        ("completed", 2),
        ("completed", 1),
    ]
    same(run, folder, server)


def test_a_queue_that_takes_nothing_stops_the_run(folder: Folder, server: ScriptedServer, batches: Batches) -> None:
    """When not even a small batch fits, the run stops with the provider's words and can go on later."""
    batches.then = QUEUE
    with pytest.raises(ModelError) as caught:
        start(folder, server, ways(requests=4))
    run = only_run(folder)
    assert str(caught.value).splitlines()[0] == (
        f"run {run.manifest.id}: the provider's queue has no room for 1 call: Enqueued token limit reached for scripted. "
        f"Limit: 9 enqueued tokens. Go on with: harness run --resume {run.manifest.id}"
    )
    batches.then = Fate()
    same(resume(folder), folder, server)


def test_a_queue_that_is_full_at_once(folder: Folder, server: ScriptedServer, batches: Batches) -> None:
    """Some servers refuse a batch when it is submitted: that is the same full queue."""
    batches.failing("POST /v1/batches", error(400, "Queue full", code="token_limit_exceeded"))
    run = start(folder, server, ways(requests=4))
    assert read_batches(run.path).parts[0].state == "refused"
    same(run, folder, server)


def test_a_cancelled_batch_keeps_what_it_answered(folder: Folder, server: ScriptedServer, batches: Batches) -> None:
    """A batch that somebody cancels stops the run with what was answered; who goes on with it submits the rest."""
    batches.ending(Fate("cancelled", answered=2))
    with pytest.raises(CancelledBatchError) as caught:
        start(folder, server)
    run = only_run(folder)
    assert str(caught.value).splitlines()[0] == (
        f"run {run.manifest.id}: batch batch_1 was cancelled; 2 of its 5 calls had an answer, which is kept. "
        f"Go on with: harness run --resume {run.manifest.id}"
    )
    assert len(run.log.latest) == 3
    same(resume(folder), folder, server)
    assert set(batches.answered.values()) == {1}


# --- trouble on the way -----------------------------------------------------------------------------------------------

ROUTES = ["POST /v1/files", "POST /v1/batches", "GET /v1/batches/ID", "GET /v1/files/ID/content"]


@pytest.mark.parametrize("done", [False, True], ids=["refused", "done, and not told"])
@pytest.mark.parametrize(
    ("route", "reply"),
    [
        *((route, error(500)) for route in ROUTES),
        *((route, drop()) for route in ROUTES),
        ("POST /v1/files", error(429, retry_after=0.0)),
        ("POST /v1/batches", broken_json()),
    ],
)
def test_trouble_on_the_way_is_got_over(
    folder: Folder, server: ScriptedServer, batches: Batches, route: str, reply: Reply, done: bool
) -> None:
    """Every step is tried again, and none submits a batch twice: not even where it was carried out and not told."""
    patient = Folder(folder.root, max_attempts=3, max_retry_s=60.0)
    batches.failing(route, reply, done=done)
    run = start(patient, server)
    assert set(batches.answered.values()) == {1}
    assert len([part for part in read_batches(run.path).parts if part.state == "completed"]) == 1
    same(run, folder, server)


def test_a_download_that_breaks_off_begins_anew(folder: Folder, server: ScriptedServer, batches: Batches) -> None:
    """When the connection breaks in the middle of a file of answers, it is read again, and nothing is kept twice."""
    patient = Folder(folder.root, max_attempts=2, max_retry_s=60.0)
    half = Reply(raw_body=b'{"custom_id": "x"}\n' * 1000, truncate_body=True)
    batches.failing("GET /v1/files/ID/content", half)
    run = start(patient, server)
    assert len((run.path / "completions.jsonl").read_text().splitlines()) == len(DEV)
    same(run, folder, server)


def test_a_provider_that_does_not_answer_for_long(folder: Folder, server: ScriptedServer, batches: Batches) -> None:
    """While it waits, a run bears a provider that is away; when that takes too long it stops, and the batch goes on."""
    batches.failing("GET /v1/batches/ID", *[error(500)] * 3)
    told: list[Waiting] = []
    start(folder, server, ways(tell=told.append))
    assert [each.unreached for each in told] == [True] * 3
    again = Folder(folder.root.parent / "other").filled()
    batches.failing("GET /v1/batches/ID", *[error(500)] * 30)
    with pytest.raises(ModelError, match=r"the provider does not answer\. Its batches go on\. Go on with: harness run"):
        start(again, server)


@pytest.mark.parametrize("status", [401, 403, 404])
@pytest.mark.parametrize("route", ["POST /v1/files", "POST /v1/batches", "GET /v1/batches/ID"])
def test_a_provider_that_refuses_stops_the_run(
    folder: Folder, server: ScriptedServer, batches: Batches, status: int, route: str
) -> None:
    """A key, a right or an id that is not there is not tried again: the run stops with what was answered."""
    batches.failing(route, error(status, "No."))
    with pytest.raises(ModelError, match=rf"\({status}\): No\.") as caught:
        start(folder, server)
    assert "Go on with: harness run --resume" in str(caught.value)
    same(resume(folder), folder, server)
    assert set(batches.answered.values()) == {1}


@pytest.mark.parametrize("status", [307, 400, 403, 404])
@pytest.mark.parametrize("route", ["POST /v1/files", "POST /v1/batches"])
def test_what_was_refused_is_not_at_the_provider(
    folder: Folder, server: ScriptedServer, batches: Batches, status: int, route: str
) -> None:
    """After a refused upload or submission no batch is said to go on, and none is open."""
    batches.failing(route, error(status, "No."))
    with pytest.raises(ModelError) as caught:
        start(folder, server)
    run = only_run(folder)
    last = f"run {run.manifest.id}: 1 completion is kept. Go on with: harness run --resume {run.manifest.id}"
    assert str(caught.value).splitlines()[-1] == last
    assert [part.state for part in read_batches(run.path).parts] == ["dropped"]
    assert open_runs([run]) == []


def test_what_may_have_come_through_is_told_and_found(folder: Folder, server: ScriptedServer, batches: Batches) -> None:
    """Where the answer to a submission is lost for good, the batch may be there: it is told, and later found."""
    batches.failing("POST /v1/batches", error(500), done=True)
    with pytest.raises(ModelError, match=r"1 batch of it may be at the provider \(harness batch status "):
        start(folder, server)
    same(resume(folder), folder, server)
    assert len(batches.batches) == 1


def test_a_file_that_is_no_batch_yet_is_told_apart(folder: Folder, server: ScriptedServer, batches: Batches) -> None:
    """Who only fetches is told what is uploaded and was never submitted: it is not at work at the provider."""
    batches.failing("POST /v1/batches", *[error(500)] * 20)
    with pytest.raises(ModelError, match="gives no answer"):
        start(folder, server)
    batches.before.clear()
    run = only_run(folder).manifest.id
    with pytest.raises(StillOpenError) as caught:
        resume(folder, ways(wait=False, submit=False))
    told = f"run {run}: 1 uploaded file with 5 calls not submitted yet. See: harness batch status {run}. "
    assert str(caught.value).splitlines()[0].startswith(told)
    same(resume(folder), folder, server)
    assert set(batches.answered.values()) == {1}


def test_nothing_is_submitted_when_no_sample_is_answered(folder: Folder, batches: Batches) -> None:
    """Three samples are asked directly; when none has an answer, nothing is submitted, and it is told why."""
    with serving(batches, error(500, "on fire")) as server, pytest.raises(ModelError) as caught:
        start(folder, server)
    assert "samples are asked directly, and 3 samples that were asked had no answer" in str(caught.value)
    assert "on fire" in str(caught.value)
    assert str(caught.value).splitlines()[0].endswith("So nothing more was submitted.")
    assert not batches.files


def test_a_wrong_parameter_is_told_before_a_batch(folder: Folder, batches: Batches) -> None:
    """A parameter that the server rejects stops the run at the sample that is asked directly."""
    wrong = error(400, "Unsupported parameter: 'max_tokens'", param="max_tokens")
    with serving(batches, wrong) as server, pytest.raises(ModelError, match="the server rejects the parameter"):
        start(folder, server)
    assert not batches.files


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("{name: local/smollm2-135m}", "local/smollm2-135m runs on this machine"),
        ("{name: d, api: decisions}", "d is asked by the API 'decisions'"),
    ],
)
def test_models_without_batches_are_refused(
    folder: Folder, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch, model: str, told: str
) -> None:
    """A model of this machine, or of an API that has no batches, is refused before any call."""
    from harness.batching import refuse_unbatched

    output = "output: decisions\n" if "decisions" in model else ""
    folder.prompt("v1", f"dataset: ../datasets/reviews.yaml\nmodel: {model}\n{TEMPLATE}{output}")
    with pytest.raises(ModelError) as caught:
        refuse_unbatched(folder.plan().prompt)
    assert str(caught.value) == (
        "pass main: must ask a server by one of the APIs chat, responses, completions to be batched, but "
        f"{told}. Leave out: --engine batch"
    )


# --- waiting, or not --------------------------------------------------------------------------------------------------


def test_without_waiting_it_is_submitted_and_left(folder: Folder, server: ScriptedServer, batches: Batches) -> None:
    """Who does not wait has the batch submitted, and is told how to look and how to go on."""
    batches.ending(Fate(polls=2))
    with pytest.raises(StillOpenError) as caught:
        start(folder, server, ways(wait=False))
    run = only_run(folder)
    assert str(caught.value).splitlines()[0] == (
        f"run {run.manifest.id}: 1 batch with 5 calls at the provider. See: harness batch status {run.manifest.id}. "
        f"Go on with: harness run --resume {run.manifest.id}"
    )
    with pytest.raises(StillOpenError):
        resume(folder, ways(wait=False, submit=False))
    same(resume(folder, ways(wait=False, submit=False)), folder, server)


def test_fetching_submits_nothing(folder: Folder, server: ScriptedServer, batches: Batches) -> None:
    """Who only fetches keeps what is answered; what no batch holds is told, and not submitted."""
    folder.prompt("v1", TWO_PASSES)
    batches.ending(Fate(polls=1))
    with pytest.raises(StillOpenError):
        start(folder, server, ways(wait=False))
    with pytest.raises(StillOpenError, match=r"no batch holds 3 calls that it still needs\. Go on with: harness run"):
        resume(folder, ways(wait=False, submit=False))
    assert len(batches.batches) == 1
    same(resume(folder), folder, server)


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_leaves_the_batch_running(folder: Folder, server: ScriptedServer, batches: Batches, times: int) -> None:
    """Ctrl-C while batches are waited for ends the run as interrupted; the batch goes on, and is fetched later."""
    batches.ending(Fate(polls=3))

    def stop(_: Waiting) -> None:
        for _time in range(times):
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(InterruptedRun) as caught:
        start(folder, server, ways(tell=stop))
    run = only_run(folder)
    assert (caught.value.exit_code, run.manifest.state) == (EXIT_INTERRUPTED, "interrupted")
    assert f"harness run --resume {run.manifest.id}" in str(caught.value)
    assert [batch.status for batch in batches.batches.values()] == ["in_progress"]
    same(resume(folder), folder, server)
    assert set(batches.answered.values()) == {1}


def test_a_file_of_answers_that_is_gone(folder: Folder, server: ScriptedServer, batches: Batches) -> None:
    """A file of answers that the provider has no more stops the run: that they are paid again is for a person to say."""
    batches.failing("GET /v1/files/ID/content", error(404, "No such File object."))
    with pytest.raises(ModelError) as caught:
        start(folder, server)
    run = only_run(folder).manifest.id
    told = "No such File object. It was deleted, or made with another key. To have its calls asked again: "
    assert f"{told}harness batch cancel {run}" in str(caught.value)


def test_drawing_bad_answers_again_is_not_batched(folder: Folder, batches: Batches) -> None:
    """A run by batches does not draw bad answers again: that is for ordinary calls."""
    folder.prompt("v1", PROMPT.replace("temperature: 0", "temperature: 1"))
    with serving(batches, right_but(s3="bananas")) as server:
        start(folder, server)
        with pytest.raises(DataError, match="bad answers are drawn again by ordinary calls"):
            resume(folder, retry=frozenset({FailureKind.UNPARSEABLE}))


@pytest.mark.parametrize(
    ("budget", "told"),
    [
        (Budget(max_calls=5), "--max-calls 5: 1 call sent, and the next batch has 5."),
        (Budget(max_cost=0.03), "--max-cost 0.03: 0.0"),
    ],
    ids=["calls", "cost"],
)
def test_a_batch_beyond_the_budget_is_not_submitted(
    folder: Folder, server: ScriptedServer, batches: Batches, budget: Budget, told: str
) -> None:
    """A file of requests that would go beyond a budget is not even uploaded."""
    priced = Folder(folder.root, prices={"scripted": {"input": 100.0, "output": 200.0}})
    with pytest.raises(BudgetReached) as caught:
        start(priced, server, budget=budget)
    assert str(caught.value).startswith(told)
    assert not batches.files


# --- killed anywhere --------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """What ends a process at once: nothing catches it."""


STEPS = ("find", "find_file", "upload", "submit", "retrieve", "download")
NOTES = ("plan", "uploaded", "submitted", "ended", "finished")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_run_that_is_killed_at_any_step_pays_nothing_twice(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    """Killed before or after each request to the provider and each note in the log, a run ends like an unbroken one."""
    folder.prompt("v1", TWO_PASSES)
    count, dies_at = 0, 0

    def step() -> None:
        nonlocal count
        count += 1
        if count == dies_at:
            raise Killed

    def dying_request(name: str) -> None:
        original = getattr(BatchApi, name)

        async def request(*arguments: Any) -> Any:
            if not after:
                step()
            answer = await original(*arguments)
            if after:
                step()
            return answer

        monkeypatch.setattr(BatchApi, name, request)

    def dying_note(name: str) -> None:
        original = getattr(BatchLog, name)

        def note(*arguments: Any) -> Any:
            if not after:
                step()
            noted = original(*arguments)
            if after:
                step()
            return noted

        monkeypatch.setattr(BatchLog, name, note)

    for name in STEPS:
        dying_request(name)
    for name in NOTES:
        dying_note(name)
    dies_at = 1
    survived = False
    while not survived:
        project = Folder(folder.root.parent / f"project-{dies_at}").filled()
        project.prompt("v1", TWO_PASSES)
        batches = Batches().ending(Fate(polls=1))
        with serving(batches) as server:
            count, survived = 0, True
            try:
                start(project, server, use_cache=False)
            except Killed:
                survived = False
                run = resume(project, use_cache=False)
                assert run.manifest.state == "complete", dies_at
                assert set(batches.answered.values()) == {1}, dies_at
                assert {each.sample for each in run.predictions} == set(DEV)
                assert direct(server) == 2, dies_at
        dies_at += 1
    assert dies_at > 15


@pytest.mark.parametrize("cut", [1, 40])
def test_a_torn_line_of_the_log_is_taken_for_none(
    folder: Folder, server: ScriptedServer, batches: Batches, cut: int
) -> None:
    """When the note of a batch was cut in its middle, the batch is found at the provider, not submitted again."""
    batches.ending(Fate(polls=1))
    with pytest.raises(StillOpenError):
        start(folder, server, ways(wait=False))
    path = only_run(folder).path / FILE
    path.write_bytes(path.read_bytes()[:-cut])
    same(resume(folder), folder, server)
    assert len(batches.batches) == 1


def test_what_is_noted_is_told_when_it_cannot_be_read(folder: Folder, server: ScriptedServer, batches: Batches) -> None:
    """A damaged line in the middle of the log is an error with its line: what it says of money is not guessed."""
    run = start(folder, server)
    path = run.path / FILE
    rows = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(rows[0] + b"???\n" + b"".join(rows[1:]))
    with pytest.raises(HarnessError, match=rf"{FILE}:2: must be a line of this file, got JSONDecodeError"):
        resume(folder)
