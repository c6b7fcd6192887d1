"""The runner: bounded, resumable, nothing paid twice, and whatever was answered is on disk before it is used."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from scripted_server import (
    Answer,
    Gate,
    Reply,
    Request,
    ScriptedServer,
    answering,
    error,
    failing_first,
    hang,
    refuse,
    say,
    sequence,
)

from harness.cache import Cache
from harness.clients import Client, chat
from harness.clients.remote import RemoteClient
from harness.errors import DataError, ModelError
from harness.labelspace import Label, LabelSpace
from harness.parsing import Output
from harness.project import Settings
from harness.prompt import MessageTemplate, Model, Pass, Prompt, Votes
from harness.records import Call, Completion, Constraint, FailureKind, Prediction, Sample
from harness.retry import AttemptFailed, RetryPolicy
from harness.runner import Job, Progress, run_job
from harness.store import Manifest, RunWriter, create_run, load_run, open_run

SPACE = LabelSpace((Label("shipping"), Label("quality"), Label("price")))
MODEL = Model("m", params={"temperature": 0})
ONE_TRY = RetryPolicy(attempts=1)
KEY = "sk-planted-7f3a91"


def a_pass(name: str = "main", template: str = "{{ text }}", when: str | None = None, **more: Any) -> Pass:
    """A pass with one message."""
    return Pass(name, (MessageTemplate("user", template),), MODEL, Output(), when=when, **more)


PROMPT = Prompt("v1", (a_pass(),))


def samples(n: int) -> tuple[Sample, ...]:
    """Samples with texts of their own."""
    return tuple(Sample(f"s{number}", {"text": f"<{number}>"}, frozenset({"shipping"})) for number in range(n))


def number_of(request: Request) -> int:
    """Which sample a request is about."""
    return int(request.text.partition("<")[2].partition(">")[0])


@dataclass
class Bench:
    """A project folder in which jobs run, and what the last one told."""

    folder: Path
    cache_file: str | None = None
    told: list[Progress] = field(default_factory=list)
    on_progress: Callable[[Progress], None] = lambda _progress: None

    def manifest(self, prompt: Prompt, n_repeats: int) -> Manifest:
        """The manifest of a run."""
        return Manifest(
            "v1-1", "v1", "running", prompt, prompt.hash, SPACE, "d", {}, "dev", True, {}, n_repeats, {"main": {}}
        )

    async def run(
        self,
        clients: Client | Mapping[str, Client],
        chosen: Sequence[Sample],
        prompt: Prompt = PROMPT,
        *,
        repeats: int = 1,
        resume: bool = False,
        **options: Any,
    ) -> list[Prediction]:
        """Run a job in a new run, or go on with the last."""
        writing = (
            open_run(load_run(self.path))
            if resume
            else create_run(self.folder / "runs", self.manifest(prompt, repeats), chosen)
        )
        cache_path = None if self.cache_file is None else self.folder / self.cache_file
        with writing as writer, Cache(cache_path, pytest.fail) as cache:
            made: dict[int, Prediction] = {}
            job = self.job(writer, cache, clients, prompt, repeats, **options)
            await run_job(job, lambda position, _sample, prediction: made.update({position: prediction}))
        return [made[position] for position in sorted(made)]

    def job(
        self,
        writer: RunWriter,
        cache: Cache,
        clients: Client | Mapping[str, Client],
        prompt: Prompt,
        repeats: int,
        **options: Any,
    ) -> Job:
        """The job, with few defaults of its own."""

        def progress(told: Progress) -> None:
            self.told.append(replace(told))
            self.on_progress(told)

        by_pass = clients if isinstance(clients, Mapping) else {each.name: clients for each in prompt.passes}
        usual: dict[str, Any] = {"policy": ONE_TRY, "concurrency": 4}
        return Job(
            prompt=prompt,
            space=SPACE,
            samples=writer.samples,
            repeats=repeats,
            clients=by_pass,
            writer=writer,
            cache=cache,
            progress=progress,
            **{**usual, **options},
        )

    @property
    def path(self) -> Path:
        """The newest run's folder."""
        return max((self.folder / "runs").iterdir(), key=lambda each: (len(each.name), each.name))

    def rows(self) -> list[dict[str, Any]]:
        """The lines of the newest run's completions."""
        return [json.loads(line) for line in (self.path / "completions.jsonl").read_bytes().splitlines()]

    @property
    def last(self) -> Progress:
        """What was told last."""
        return self.told[-1]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """An empty project, without a cache."""
    return Bench(tmp_path)


@pytest.fixture
def cached(bench: Bench) -> Bench:
    """An empty project with a cache."""
    bench.cache_file = "cache.sqlite"
    return bench


@contextmanager
def served(script: Answer) -> Iterator[tuple[ScriptedServer, RemoteClient]]:
    """A server and a client of it; the runner closes the client."""
    with ScriptedServer(script) as server:
        yield server, RemoteClient(replace(MODEL, base_url=server.base_url), Settings(timeout_s=10.0))


class FakeClient:
    """A client in memory: answers by the text of the message."""

    endpoint: Mapping[str, Any] = {"base_url": "fake"}
    wait_s = 0.0
    holds = 0

    def __init__(self, answer: Callable[[str], Completion | Exception | str], concurrency: int | None = None) -> None:
        self.answer = answer
        self.concurrency = concurrency
        self.sent: list[str] = []
        self.closed = 0
        self.in_flight = 0
        self.most_in_flight = 0

    def body(self, call: Call, constraint: Constraint | None = None) -> dict[str, Any]:
        """The request."""
        return chat.body(call, MODEL, "m")

    async def send(self, body: Mapping[str, Any]) -> Completion:
        """Answer after letting the others have their turn."""
        text = body["messages"][-1]["content"]
        self.sent.append(text)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        for _ in range(3):
            await asyncio.sleep(0)
        self.in_flight -= 1
        answer = self.answer(text)
        if isinstance(answer, Exception):
            raise answer
        return Completion("ok", raw=answer, finish_reason="stop") if isinstance(answer, str) else answer

    async def close(self) -> None:
        """Count."""
        self.closed += 1


# One run


async def test_every_sample_has_its_prediction_in_order(bench: Bench) -> None:
    """Predictions come in the order of the samples, each from the answer to its own text."""
    answers: dict[str, str | Reply] = {
        "<0>": "shipping",
        "<1>": "none",
        "<2>": "quality, price",
        "<3>": refuse("I cannot."),
    }
    with served(answering(answers)) as (server, client):
        predictions = await bench.run(client, samples(4))
    assert [(each.sample, each.labels) for each in predictions] == [
        ("s0", {"shipping"}),
        ("s1", frozenset()),
        ("s2", {"quality", "price"}),
        ("s3", frozenset()),
    ]
    assert [each.failure for each in predictions] == [None, None, None, FailureKind.REFUSAL]
    assert server.count == 4


async def test_a_completion_is_in_the_file_before_its_prediction_exists(bench: Bench) -> None:
    """Whenever progress is told, every call that ended and every prediction that was made has its line on disk."""

    def check(told: Progress) -> None:
        lines = len(bench.rows())
        assert lines == told.calls
        assert lines >= told.done

    bench.on_progress = check
    await bench.run(FakeClient(lambda _text: "none"), samples(10))
    assert [told.done for told in bench.told if told.calls == 10][-1] == 10


async def test_progress_counts_what_happened(cached: Bench) -> None:
    """Done, failed, calls, cached and tokens are those of this run."""
    script = answering({"<0>": Reply("none", usage={"prompt_tokens": 7, "completion_tokens": 2}), "<1>": "gibberish"})
    with served(script) as (_server, client):
        await cached.run(client, samples(1))
        assert cached.last == Progress(total=1, done=1, calls=1, tokens=9)
        await cached.run(client, samples(2))
    assert replace(cached.last, tokens=0) == Progress(total=2, done=2, failed=1, calls=1, cached=1)


async def test_no_samples_make_no_calls(bench: Bench) -> None:
    """A job without samples ends at once."""
    client = FakeClient(lambda _text: "none")
    assert await bench.run(client, ()) == []
    assert client.sent == []
    assert client.closed == 1


async def test_models_are_noted_as_they_were_served(bench: Bench) -> None:
    """Every model name that a server gave is noted once, in order of appearance."""
    script = answering(lambda text: Reply("none", model=None if text == "<2>" else f"m-{int(text[1]) // 2}"))
    served_names: dict[str, None] = {}
    with served(script) as (_server, client):
        await bench.run(client, samples(4), concurrency=1, served=served_names)
    assert list(served_names) == ["m-0", "m", "m-1"]


async def test_results_do_not_depend_on_the_order_of_answers(bench: Bench) -> None:
    """Whichever answer comes first, predictions and their order are the same."""

    async def in_order(order: Sequence[int]) -> list[Prediction]:
        gates = [Gate() for _ in order]
        labels = ["shipping", "quality", "price", "none"]

        def script(request: Request) -> Reply:
            return say(labels[number_of(request)], hold=gates[number_of(request)])

        with served(script) as (server, client):
            task = asyncio.create_task(bench.run(client, samples(4)))
            await asyncio.to_thread(server.wait_for, 4)
            for turn, number in enumerate(order, 1):
                gates[number].set()
                while len(bench.rows()) < turn:
                    await asyncio.sleep(0)
            predictions = await task
        assert [row["sample"] for row in bench.rows()] == [f"s{number}" for number in order]
        return predictions

    forward = await in_order([0, 1, 2, 3])
    assert await in_order([3, 1, 0, 2]) == forward
    assert [each.sample for each in forward] == ["s0", "s1", "s2", "s3"]


# Bounds


@pytest.mark.parametrize("concurrency", [1, 3, 8])
async def test_as_many_calls_are_under_way_as_allowed(bench: Bench, concurrency: int) -> None:
    """No more calls are in flight than the concurrency, and no fewer while there is work."""
    gate = Gate()
    with served(say("none", hold=gate)) as (server, client):
        task = asyncio.create_task(bench.run(client, samples(12), concurrency=concurrency))
        await asyncio.to_thread(server.wait_for, concurrency)
        assert server.in_flight == concurrency
        gate.set()
        await task
        assert server.max_in_flight == concurrency
        assert server.count == 12


async def test_a_client_can_bound_the_calls_under_way(bench: Bench) -> None:
    """Each client is asked by as many calls as it takes itself, and the user allows."""
    one, other = FakeClient(lambda _text: "none", concurrency=2), FakeClient(lambda _text: "none")
    prompt = Prompt("v1", (a_pass("first"), a_pass("second", "again {{ text }}")))
    await bench.run({"first": other, "second": one}, samples(8), prompt, concurrency=5)
    assert one.most_in_flight <= 2
    assert 2 < other.most_in_flight <= 5


# Nothing is paid twice


async def test_resuming_makes_exactly_the_missing_calls(bench: Bench) -> None:
    """After a torn file, a resumed run asks for what is not there, and predicts as if it had never stopped."""
    script = answering(lambda text: "shipping" if text < "<4>" else "none")
    with served(script) as (server, client):
        whole = await bench.run(client, samples(8), concurrency=1)
        path = bench.path / "completions.jsonl"
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[:5]) + lines[5][:20])
        server.reset()
        assert await bench.run(client, samples(8), resume=True) == whole
        assert sorted(request.text for request in server.requests) == ["<5>", "<6>", "<7>"]
        assert (bench.last.resumed, bench.last.calls, bench.last.cached) == (5, 3, 0)
        server.reset()
        assert await bench.run(client, samples(8), resume=True) == whole
        assert server.count == 0


async def test_resuming_asks_failed_calls_again(bench: Bench) -> None:
    """A call that ended in an error is made again; its answer replaces the error, which stays in the file."""
    with served(failing_first(1, error(500), then="none")) as (server, client):
        first = await bench.run(client, samples(2))
        assert [each.failure for each in first] == [FailureKind.CALL_ERROR] * 2
        second = await bench.run(client, samples(2), resume=True)
        assert [each.failure for each in second] == [None] * 2
        assert server.count == 4
    assert [row["status"] for row in bench.rows()] == ["error", "error", "ok", "ok"]


async def test_a_stored_completion_of_another_call_is_not_used(bench: Bench) -> None:
    """A completion whose key is not that of the call, because the prompt says something else, is asked for anew."""
    with served("none") as (server, client):
        await bench.run(client, samples(1))
        await bench.run(client, samples(1), Prompt("v1", (a_pass(template="Other: {{ text }}"),)), resume=True)
        assert [request.text for request in server.requests] == ["<0>", "Other: <0>"]


async def test_cache_hits_make_no_calls(cached: Bench) -> None:
    """A second run of the same prompt sends nothing, and its completions are in its own file, marked as cached."""
    with served(answering(lambda text: "shipping" if text == "<1>" else "none")) as (server, client):
        first = await cached.run(client, samples(3))
        assert [row["cached"] for row in cached.rows()] == [False] * 3
        assert await cached.run(client, samples(3)) == first
        assert server.count == 3
        assert [row["cached"] for row in cached.rows()] == [True] * 3
        assert cached.last.cached == 3


async def test_failed_calls_are_not_cached(cached: Bench) -> None:
    """What failed in one run is asked again in the next."""
    with served(failing_first(1, error(500), then="none")) as (server, client):
        await cached.run(client, samples(1))
        (prediction,) = await cached.run(client, samples(1))
        assert prediction.failure is None
        assert server.count == 2


async def test_a_new_second_pass_reuses_the_first(cached: Bench) -> None:
    """A pass that is added to a prompt costs only its own calls."""
    with served("none") as (server, client):
        await cached.run(client, samples(3))
        server.reset()
        await cached.run(client, samples(3), Prompt("v2", (a_pass(), a_pass("second", "again {{ text }}"))))
        assert sorted(request.text for request in server.requests) == ["again <0>", "again <1>", "again <2>"]


async def test_identical_calls_in_flight_are_sent_once(bench: Bench) -> None:
    """Samples with the same text share the call that is under way; each has its own line and prediction."""
    same = tuple(Sample(f"s{number}", {"text": "<0>"}) for number in range(4))
    gate = Gate()
    with served(say("quality", hold=gate)) as (server, client):
        task = asyncio.create_task(bench.run(client, same))
        await asyncio.to_thread(server.wait_for, 1)
        gate.set()
        predictions = await task
        assert server.count == 1
    assert [each.labels for each in predictions] == [{"quality"}] * 4
    assert [row["cached"] for row in bench.rows()] == [False, True, True, True]
    assert len({row["key"] for row in bench.rows()}) == 1
    assert (bench.last.calls, bench.last.cached) == (1, 3)


async def test_identical_calls_share_a_failure_too(bench: Bench) -> None:
    """When the shared call fails, all who waited for it have the failure, and a resumed run asks once more."""
    same = tuple(Sample(f"s{number}", {"text": "<0>"}) for number in range(3))
    client = FakeClient(
        lambda _text: AttemptFailed({"kind": "http_400", "message": "too long", "status": 400}, again=False)
    )
    predictions = await bench.run(client, same)
    assert [each.why for each in predictions] == ["too long"] * 3
    assert client.sent == ["<0>"]
    await bench.run(client, same, resume=True)
    assert client.sent == ["<0>", "<0>"]


async def test_redrawn_slots_go_past_run_and_cache(cached: Bench) -> None:
    """A slot that is redrawn is asked anew though run and cache have its answer; the cache keeps the first draw."""
    with served(sequence(["shipping", "none", "quality"])) as (server, client):
        await cached.run(client, samples(2), concurrency=1)
        slots = frozenset({("s0", "main", "", 0)})
        predictions = await cached.run(client, samples(2), resume=True, redraw=slots)
        assert [each.labels for each in predictions] == [{"quality"}, frozenset()]
        assert server.count == 3
        assert (await cached.run(client, samples(1)))[0].labels == {"shipping"}
        assert server.count == 3


async def test_what_is_drawn_again_is_numbered(bench: Bench) -> None:
    """A slot knows how often it was drawn again: the call tells its client, the line keeps it, and so does a resume."""
    asked: list[int] = []

    class Telling(FakeClient):
        def body(self, call: Call, constraint: Constraint | None = None) -> dict[str, Any]:
            """The request, with a seed of its own for every draw."""
            asked.append(call.again)
            return {"seed": call.again, **super().body(call, constraint)}

    client = Telling(lambda _text: "price")
    slots = frozenset({("s0", "main", "", 0)})
    await bench.run(client, samples(1))
    await bench.run(client, samples(1), resume=True, redraw=slots)
    await bench.run(client, samples(1), resume=True, redraw=slots)
    await bench.run(client, samples(1), resume=True)
    assert asked == [0, 1, 2, 2]
    assert client.sent == ["<0>"] * 3
    assert [row.get("again", 0) for row in bench.rows()] == [0, 1, 2]
    assert len({row["key"] for row in bench.rows()}) == 3


async def test_repeats_are_calls_of_their_own(cached: Bench) -> None:
    """Every repeat of a sample has its own key, call and prediction; repeat 0 is the plain run's."""
    with served(sequence(["shipping", "none", "quality", "price"])) as (server, client):
        (plain,) = await cached.run(client, samples(1))
        predictions = await cached.run(client, samples(1), repeats=4, concurrency=1)
        assert server.count == 4
    assert [(each.repeat, each.labels) for each in predictions] == [
        (0, {"shipping"}),
        (1, frozenset()),
        (2, {"quality"}),
        (3, {"price"}),
    ]
    assert predictions[0] == plain
    assert len({row["key"] for row in cached.rows()}) == 4
    assert cached.last.total == 4


async def test_repeats_come_round_by_round(bench: Bench) -> None:
    """Predictions are in the order of the samples, repeat by repeat."""
    predictions = await bench.run(FakeClient(lambda _text: "none"), samples(2), repeats=2)
    assert [(each.sample, each.repeat) for each in predictions] == [("s0", 0), ("s1", 0), ("s0", 1), ("s1", 1)]


# Passes

TWO_PASSES = Prompt(
    "v2",
    (
        a_pass("label"),
        a_pass("check", "Sure? {{ passes.label.raw }} {{ text }}", "'shipping' in predicted", scope=("shipping",)),
    ),
)


async def test_a_second_pass_asks_only_where_it_holds(bench: Bench) -> None:
    """A pass with `when` makes its call for the samples on which it holds, with the first answer in its prompt."""
    answers = {"<0>": "shipping, price", "<1>": "quality", "<2>": "nonsense", "Sure? shipping, price <0>": "none"}
    with served(answering(answers)) as (server, client):
        predictions = await bench.run(client, samples(3), TWO_PASSES)
        assert sorted(request.text for request in server.requests) == [
            "<0>",
            "<1>",
            "<2>",
            "Sure? shipping, price <0>",
        ]
    assert [each.labels for each in predictions] == [{"price"}, {"quality"}, frozenset()]
    assert predictions[2].failure is FailureKind.UNPARSEABLE
    assert {(row["sample"], row["pass"]) for row in bench.rows()} == {
        ("s0", "label"),
        ("s1", "label"),
        ("s2", "label"),
        ("s0", "check"),
    }


async def test_each_pass_asks_its_own_client(bench: Bench) -> None:
    """Passes with different models go to different clients, and each client is closed once."""
    first, second = FakeClient(lambda _text: "shipping"), FakeClient(lambda _text: "none")
    await bench.run({"label": first, "check": second}, samples(2), TWO_PASSES)
    assert first.sent == ["<0>", "<1>"]
    assert second.sent == ["Sure? shipping <0>", "Sure? shipping <1>"]
    assert (first.closed, second.closed) == (1, 1)
    shared = FakeClient(lambda _text: "shipping")
    await bench.run(shared, samples(2), TWO_PASSES)
    assert shared.closed == 1


async def test_a_template_that_fails_stops_the_run(bench: Bench) -> None:
    """A template that fails on a sample ends the run with file, sample and pass; the client is closed."""
    client = FakeClient(lambda _text: "none")
    prompt = Prompt("v1", (a_pass(template="{{ 1 // (text | length - 3) }}"),))
    with pytest.raises(DataError, match=r"^v1: sample s0, pass main: ZeroDivisionError: "):
        await bench.run(client, samples(3), prompt)
    assert client.sent == []
    assert client.closed == 1


# Fan-out: several calls of a sample side by side

BY_LABEL = Prompt("v3", (a_pass(template="{{ label }}? {{ text }}", per="label"),))


def about(text: str) -> str:
    """An answer that has a label when the text's number is that of the label."""
    asked, number = text.partition("?")[0], int(text.partition("<")[2].partition(">")[0])
    return asked if SPACE.names[number % len(SPACE)] == asked else "none"


@pytest.mark.parametrize("concurrency", [1, 2, 5])
async def test_fan_out_keeps_to_the_concurrency(bench: Bench, concurrency: int) -> None:
    """However many calls samples have, no more are under way than allowed, and no fewer while there is work."""
    gate = Gate()
    with served(lambda request: say(about(request.text), hold=gate)) as (server, client):
        task = asyncio.create_task(bench.run(client, samples(6), BY_LABEL, concurrency=concurrency))
        await asyncio.to_thread(server.wait_for, concurrency)
        assert server.in_flight == concurrency
        gate.set()
        predictions = await task
        assert server.max_in_flight == concurrency
        assert server.count == 6 * len(SPACE)
    assert [each.labels for each in predictions] == [{SPACE.names[number % 3]} for number in range(6)]


async def test_a_client_bounds_its_fan_out(bench: Bench) -> None:
    """The calls of one sample do not go past the client's own bound either."""
    client = FakeClient(about, concurrency=2)
    await bench.run(client, samples(1), BY_LABEL, concurrency=8)
    assert client.most_in_flight == 2


async def test_every_unit_has_a_line_and_a_key_of_its_own(bench: Bench) -> None:
    """Completions of a sample's calls are told apart by their unit."""
    await bench.run(FakeClient(about), samples(2), BY_LABEL)
    assert {(row["sample"], row["unit"]) for row in bench.rows()} == {
        (sample, label) for sample in ("s0", "s1") for label in SPACE.names
    }
    assert len({row["key"] for row in bench.rows()}) == 6


async def test_a_unit_that_fails_as_a_call_leaves_its_cell_alone(bench: Bench) -> None:
    """A failed call of one label is that label's failure; the others are answered."""
    failed = AttemptFailed({"kind": "http_400", "message": "no", "status": 400}, again=False)
    client = FakeClient(lambda text: failed if text.startswith("quality") else about(text))
    (prediction,) = await bench.run(client, samples(1), BY_LABEL)
    assert (set(prediction.labels), set(prediction.unanswered)) == ({"shipping"}, {"quality"})
    assert prediction.failure is FailureKind.CALL_ERROR


async def test_one_call_that_ends_the_run_stops_the_others(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """When one of a sample's calls cannot be made any more, the others are let go; what was answered is kept."""
    gate = Gate()

    def script(request: Request) -> Reply:
        if request.text.startswith("shipping"):
            return say("shipping")
        return replace(error(401, "revoked"), hold=gate) if request.text.startswith("quality") else hang()

    with served(script) as (server, client):
        task = asyncio.create_task(bench.run(client, samples(1), BY_LABEL))
        await asyncio.to_thread(server.wait_for, 3)
        while len(bench.rows()) < 1:
            await asyncio.sleep(0)
        gate.set()
        with pytest.raises(ModelError, match="the key is refused"):
            await task
        await asyncio.to_thread(server.wait_idle)
    assert [row["unit"] for row in bench.rows()] == ["shipping"]
    assert caplog.records == []


async def test_cancelling_a_fan_out_is_clean(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """Cancelled, all calls of all samples are let go, and the run goes on with exactly those that are missing."""
    answered = asyncio.Event()
    bench.on_progress = lambda progress: answered.set() if progress.calls == 2 else None
    held = Switchable(lambda request: say(about(request.text)) if request.text.startswith("shipping") else hang())
    with served(held) as (server, client):
        task = asyncio.create_task(bench.run(client, samples(2), BY_LABEL, concurrency=4))
        await answered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(server.wait_idle)
        assert {row["unit"] for row in bench.rows()} == {"shipping"}
        held.script = lambda request: say(about(request.text))
        server.reset()
        predictions = await bench.run(client, samples(2), BY_LABEL, resume=True)
        assert sorted(request.text for request in server.requests) == [
            "price? <0>",
            "price? <1>",
            "quality? <0>",
            "quality? <1>",
        ]
    assert [each.labels for each in predictions] == [{"shipping"}, {"quality"}]
    assert caplog.records == []


@dataclass
class Switchable:
    """A script that can be exchanged."""

    script: Callable[[Request], Reply]

    def __call__(self, request: Request) -> Reply:
        """Answer."""
        return self.script(request)


VOTING = Prompt("v4", (a_pass(votes=Votes(3)),))


async def test_every_draw_of_a_vote_is_sent(cached: Bench) -> None:
    """Identical requests of different draws are different calls: each is sent, has its key, and is found again."""
    with served(sequence(["shipping", "none", "shipping"])) as (server, client):
        (prediction,) = await cached.run(client, samples(1), VOTING)
        assert server.count == 3
        assert len({json.dumps(body) for body in server.bodies()}) == 1
        assert prediction.labels == {"shipping"}
        assert prediction.probabilities["shipping"] == pytest.approx(2 / 3, abs=1e-6)
        assert len({row["key"] for row in cached.rows()}) == 3
        assert [
            row.get("draw", row["repeat"]) for row in sorted(cached.rows(), key=lambda row: row.get("draw", 0))
        ] == [
            0,
            1,
            2,
        ]
        assert await cached.run(client, samples(1), VOTING) == [prediction]
        assert server.count == 3


async def test_draws_of_repeats_are_draws_of_their_own(bench: Bench) -> None:
    """Votes and repeats together: every draw of every repeat has a key of its own."""
    client = FakeClient(lambda _text: "price")
    await bench.run(client, samples(1), VOTING, repeats=2)
    assert len(client.sent) == 6
    assert sorted(row.get("draw", row["repeat"]) for row in bench.rows() if row["repeat"] == 0) == [0, 1, 2]
    assert sorted(row.get("draw", row["repeat"]) for row in bench.rows() if row["repeat"] == 1) == [3, 4, 5]
    assert len({row["key"] for row in bench.rows()}) == 6


async def test_draws_keep_to_the_concurrency(bench: Bench) -> None:
    """The draws of a vote pass through the same gate."""
    client = FakeClient(lambda _text: "price")
    await bench.run(client, samples(3), VOTING, concurrency=2)
    assert client.most_in_flight == 2


# Finding out what a server takes

AUTO = Prompt("v5", (replace(a_pass(), output=Output(constrain="auto")),))


class PickyClient(FakeClient):
    """A client whose server takes no grammar."""

    def body(self, call: Call, constraint: Constraint | None = None) -> dict[str, Any]:
        """The request, with its constraint."""
        return chat.body(call, MODEL, "m", constraint)

    async def send(self, body: Mapping[str, Any]) -> Completion:
        """Refuse a grammar."""
        completion = await super().send(body)
        if "grammar" in body:
            raise AttemptFailed({"kind": "http_400", "message": "unknown name", "status": 400}, again=False)
        return completion


async def test_one_call_finds_out_for_all(bench: Bench) -> None:
    """The first call alone is refused; a refusal is no line of the run, and no call that is counted."""
    told: list[str] = []
    client = PickyClient(lambda _text: "price")
    await bench.run(client, samples(5), AUTO, warn=told.append)
    assert client.sent[:2] == ["<0>", "<0>"]
    assert sorted(client.sent[2:]) == ["<1>", "<2>", "<3>", "<4>"]
    assert [row["status"] for row in bench.rows()] == ["ok"] * 5
    assert bench.last.calls == 5
    assert len(told) == 1
    assert load_run(bench.path).manifest.constrained == {"main": "off"}


async def test_the_same_calls_wait_for_the_one_that_finds_out(bench: Bench) -> None:
    """Identical calls share the answer of the one that finds out, without a cache too; others are asked."""
    texts = ["<0>", "<0>", "<1>", "<0>", "<1>"]
    several = tuple(Sample(f"s{number}", {"text": text}) for number, text in enumerate(texts))
    client = PickyClient(lambda text: "price" if text == "<0>" else "none")
    predictions = await bench.run(client, several, AUTO)
    assert [bool(each.labels) for each in predictions] == [True, True, False, True, False]
    assert client.sent == ["<0>", "<0>", "<1>"]
    assert len({row["key"] for row in bench.rows()}) == 2
    assert (bench.last.calls, bench.last.cached) == (2, 3)


async def test_cancelling_while_it_is_found_out_is_clean(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever waits for the first call ends with it."""
    with served(hang()) as (server, client):
        task = asyncio.create_task(bench.run(client, samples(5), AUTO))
        await asyncio.to_thread(server.wait_for, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert server.count == 1
    assert caplog.records == []


async def test_a_model_error_while_it_is_found_out_ends_the_run(bench: Bench) -> None:
    """A key that is refused is no form that is refused."""
    with served(error(401)) as (server, client):
        with pytest.raises(ModelError, match="the key is refused"):
            await bench.run(client, samples(5), AUTO)
        assert server.count <= 2  # who was next may have begun


# Ends before the end


async def test_a_model_error_stops_the_others_and_keeps_what_was_answered(bench: Bench) -> None:
    """When the model cannot be used any more, calls in flight are let go, no new ones are made, answers are kept."""
    gate = Gate()
    revoked = replace(error(401, "revoked"), hold=gate)

    def script(request: Request) -> Reply:
        number = number_of(request)
        return say("none") if number < 2 else revoked if number == 4 else hang()

    with served(script) as (server, client):
        task = asyncio.create_task(bench.run(client, samples(20), concurrency=3))
        await asyncio.to_thread(server.wait_for, 5)
        gate.set()
        with pytest.raises(ModelError, match=r"the key is refused \(401\): revoked\. Check OPENAI_API_KEY\.$"):
            await task
        await asyncio.to_thread(server.wait_idle)
        assert server.count == 5
    assert sorted(row["sample"] for row in bench.rows()) == ["s0", "s1"]


async def test_a_model_error_reaches_those_who_wait_for_the_same_call(bench: Bench) -> None:
    """Identical calls that wait for one that ends in a ModelError end with it; nothing hangs."""
    same = tuple(Sample(f"s{number}", {"text": "<0>"}) for number in range(3))
    client = FakeClient(lambda _text: ModelError("gone"))
    with pytest.raises(ModelError, match=r"^gone$"):
        await bench.run(client, same)
    assert client.sent == ["<0>"]
    assert list((bench.folder / "runs").iterdir()) == []


async def test_cancelling_keeps_all_that_was_answered(bench: Bench) -> None:
    """An interrupted run has every answer that came on disk, lets go of the server, and goes on from there."""
    answered = asyncio.Event()

    def told(progress: Progress) -> None:
        if progress.calls == 3:
            answered.set()

    bench.on_progress = told
    with served(lambda request: say("none") if number_of(request) < 3 else hang()) as (server, client):
        task = asyncio.create_task(bench.run(client, samples(10), concurrency=2))
        await answered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(server.wait_idle)
    assert sorted(row["sample"] for row in bench.rows()) == ["s0", "s1", "s2"]
    assert bench.last.done == 3


async def test_cancelling_identical_calls_is_clean(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """Cancelling while several samples wait for one call ends them all, without a complaint of the event loop."""
    same = tuple(Sample(f"s{number}", {"text": "<0>"}) for number in range(3))
    with served(hang()) as (server, client):
        task = asyncio.create_task(bench.run(client, same))
        await asyncio.to_thread(server.wait_for, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert server.count == 1
    assert caplog.records == []


async def test_a_disk_that_refuses_stops_the_run(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a completion cannot be written the run stops at once: an answer that is not kept must not be used."""
    append = RunWriter.append

    def full(writer: RunWriter, call: Call, key: str, completion: Completion, *, in_cache: bool) -> None:
        if call.sample == "s2":
            raise DataError("completions.jsonl: cannot be written (No space left on device).")
        append(writer, call, key, completion, in_cache=in_cache)

    monkeypatch.setattr(RunWriter, "append", full)
    client = FakeClient(lambda _text: "none")
    with pytest.raises(DataError, match="No space left"):
        await bench.run(client, samples(50), concurrency=1)
    assert [row["sample"] for row in bench.rows()] == ["s0", "s1"]
    assert client.sent == ["<0>", "<1>", "<2>"]


async def test_a_disk_that_refuses_what_the_cache_had_stops_the_run(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Completions of the cache wait to be written together; that they cannot be is told before the run is over."""
    bench.cache_file = "cache.sqlite"
    await bench.run(FakeClient(lambda _text: "none"), samples(5))

    def full(writer: RunWriter) -> None:
        raise DataError("completions.jsonl: cannot be written (No space left on device).")

    monkeypatch.setattr(RunWriter, "flush", full)
    with pytest.raises(DataError, match="No space left"):
        await bench.run(FakeClient(pytest.fail), samples(5))


@pytest.mark.parametrize("cache_file", [None, "cache.sqlite"])
async def test_only_what_the_cache_has_waits_to_be_written(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, cache_file: str | None
) -> None:
    """The answer that a call shares with the same call under way is written at once where no cache has it."""
    append, waited = RunWriter.append, []

    def noting(writer: RunWriter, call: Call, key: str, completion: Completion, *, in_cache: bool) -> None:
        waited.append((completion.cached, in_cache))
        append(writer, call, key, completion, in_cache=in_cache)

    monkeypatch.setattr(RunWriter, "append", noting)
    bench.cache_file = cache_file
    twins = [Sample(name, {"text": "the same"}, frozenset()) for name in ("s1", "s2")]
    await bench.run(FakeClient(lambda _text: "none"), twins, concurrency=2)
    assert waited == [(False, False), (True, cache_file is not None)]
    assert [row["sample"] for row in bench.rows()] == ["s1", "s2"]


async def test_a_client_that_cannot_be_closed_costs_nothing(bench: Bench) -> None:
    """An error while connections are closed does not hide the predictions."""

    class Stuck(FakeClient):
        async def close(self) -> None:
            raise ConnectionResetError

    predictions = await bench.run(Stuck(lambda _text: "none"), samples(2))
    assert len(predictions) == 2


async def test_retries_are_those_of_the_policy(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call is tried as often as the policy says, and its line says how often that was."""
    monkeypatch.setattr("harness.retry.random.uniform", lambda _low, _high: 0.0)
    with served(failing_first(2, error(503), then="none")) as (server, client):
        await bench.run(client, samples(1), policy=RetryPolicy(attempts=3))
        assert server.count == 3
    assert [(row["status"], row["attempt"]) for row in bench.rows()] == [("ok", 3)]


async def test_no_key_reaches_a_file(cached: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The API key stands in no file of run or cache, not even when the server repeats it in an error."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    script = answering({"<0>": "none", "<1>": error(500, f"trace: Bearer {KEY}"), "<2>": error(400, KEY)})
    with served(script) as (server, client):
        await cached.run(client, samples(3))
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    files = [path for path in cached.folder.rglob("*") if path.is_file()]
    assert {"completions.jsonl", "run.json", "cache.sqlite"} <= {path.name for path in files}
    assert not [path for path in files if KEY.encode() in path.read_bytes()]
