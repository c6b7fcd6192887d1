"""Nothing lost, nothing paid twice, whatever befalls a run; and what a run does toward a server that is in trouble.

Each test injects a fault. After it, what was answered is still there, only what was in flight is asked again, and the
results are those of a run that nothing befell. docs/reliability.md says which test holds what.
"""

from __future__ import annotations

import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from lives import Fault, Life, Lives, lives
from projects import DEV, HEAD, RIGHT, TWO_PASSES, Folder, jsonl
from scripted_server import CHAT_PATH, Answer, Gate, Reply, Request, ScriptedServer, always, drop, error, say

from harness import execution
from harness.budget import Budget, BudgetReached
from harness.errors import HarnessError
from harness.execution import InterruptedRun
from harness.pacing import FIRST, Rates
from harness.runnames import list_runs
from harness.runner import Job, Progress
from harness.store import StoredRun, load_run

ROOT = Path(__file__).resolve().parent.parent
ONE_AT_A_TIME = ("-j", "1")
RESULTS = ("predictions.jsonl", "scores.json")


@pytest.fixture(scope="module")
def started() -> Iterator[Lives]:
    """Return what starts commands in processes of their own."""
    with lives() as process:
        yield process


def reply_to(request: Request) -> Reply:
    """Answer by the sample alone: right but for one, so that there are scores to compare."""
    text = request.text.partition(": ")[2]
    return say("quality, price" if text == DEV["s1"][0] else RIGHT[text], hold=None)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """Return a server that answers the prompt of two passes."""
    with ScriptedServer(reply_to) as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Return a project whose prompt has two passes, some samples of which meet the second."""
    return two_passes(tmp_path / "project")


def two_passes(root: Path) -> Folder:
    """Write a project."""
    folder = Folder(root).filled()
    folder.prompt("v1", TWO_PASSES)
    return folder


def asked(server: ScriptedServer) -> Counter[str]:
    """Return how often each call was asked, by its text."""
    return Counter(request.text for request in server.requests if request.path == CHAT_PATH)


def run_of(folder: Folder) -> StoredRun | None:
    """Return the newest run of a project, None when there is none that could go on."""
    found = list_runs(folder.project.runs)
    return load_run(found[0].path) if found else None


def the_run(folder: Folder) -> StoredRun:
    """Return the newest run of a project."""
    run = run_of(folder)
    assert run is not None
    return run


def answers(run: StoredRun | None) -> dict[tuple[str, str, str, int], str | None]:
    """Return the answers that a run holds."""
    latest = {} if run is None else run.log.latest
    return {slot: each.completion.raw for slot, each in latest.items() if each.completion.status == "ok"}


def results(run: StoredRun) -> list[bytes]:
    """Return the bytes that were derived from a run's completions."""
    return [(run.path / name).read_bytes() for name in RESULTS]


class Unbroken:
    """A run that nothing befell: what it asked, what came of it, and how many steps of writing it took."""

    def __init__(self, root: Path, started: Lives, server: ScriptedServer) -> None:
        folder = two_passes(root)
        life = begin(started, folder, server)
        assert life.code == 0, life.err
        run = the_run(folder)
        self.steps, self.asked = life.steps, asked(server)
        self.results, self.answers = results(run), answers(run)
        self.shown = shown(started, folder)
        server.reset()

    def is_equalled_by(self, folder: Folder, started: Lives | None = None) -> None:
        """Check that the newest run of a project has the same answers and results."""
        run = the_run(folder)
        assert run.manifest.state == "complete"
        assert answers(run) == self.answers
        assert results(run) == self.results
        if started is not None:
            assert shown(started, folder) == self.shown


def begin(started: Lives, folder: Folder, server: ScriptedServer, *more: str, fault: Fault = Fault()) -> Life:  # noqa: B008
    """Start a new run; what was asked before is forgotten."""
    server.reset()
    command = ("run", "prompts/v1.yaml", "--base-url", server.base_url, *ONE_AT_A_TIME, *more)
    return started.live(folder.root, *command, fault=fault)


def shown(started: Lives, folder: Folder) -> str:
    """Return what `harness show` prints of the newest run, but for its name and times."""
    life = started.live(folder.root, "show", the_run(folder).manifest.id)
    assert life.code == 0, life.err
    return re.sub(r"v1-\d{8}-\d{6}(-\d+)?|\d\d:\d\d(:\d\d)?|\d{4}-\d\d-\d\d|[\d.]+ s\b|127\.0\.0\.1:\d+", "…", life.out)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory, started: Lives) -> Unbroken:
    """Return the run that nothing befell."""
    with ScriptedServer(reply_to) as server:
        return Unbroken(tmp_path_factory.mktemp("whole") / "unbroken", started, server)


def goes_on(
    started: Lives, folder: Folder, server: ScriptedServer, *more: str, before: Counter[str], anew: bool = False
) -> Life:
    """Go on with the newest run, or start one where there is none; nothing that was answered may be asked again.

    Args:
        started: What starts commands.
        folder: The project.
        server: Who answers.
        more: Options.
        before: What was asked before.
        anew: Start a new run in any case, which has the cache alone.
    """
    run = run_of(folder)
    had = answers(run)
    server.reset()
    if run is None or anew:
        life = begin(started, folder, server, *more)
    else:
        life = started.live(folder.root, "run", "--resume", run.manifest.id, *ONE_AT_A_TIME, *more)
    assert (life.code, "Traceback" in life.err) == (0, False), life.err
    again = before & asked(server)
    assert sum(again.values()) <= 1, "more was asked again than was in flight"
    assert len(had) + sum(asked(server).values()) <= len(answers(the_run(folder))) or anew
    return life


# --- killed -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["resume", "resume without cache", "new run"])
def test_killed_at_any_write_nothing_is_lost(
    tmp_path: Path, started: Lives, server: ScriptedServer, unbroken: Unbroken, way: str
) -> None:
    """Killed before, within or after any write or rename, a run goes on as if nothing had happened; so does a new run."""
    more = ("--no-cache",) if way == "resume without cache" else ()
    which = {"resume": 0, "resume without cache": 1, "new run": 2}[way]
    for at in range(1 + 3 * which, unbroken.steps + 1, 9):
        folder = two_passes(tmp_path / f"killed-{at}")
        life = begin(started, folder, server, *more, fault=Fault("kill", at))
        if life.code == 0:
            assert more, "with the cache there are as many steps as in the unbroken run"
            break
        assert life.code == -9
        goes_on(started, folder, server, *more, before=asked(server), anew=way == "new run")
        unbroken.is_equalled_by(folder)


def test_killed_again_and_again_it_comes_to_its_end(
    folder: Folder, started: Lives, server: ScriptedServer, unbroken: Unbroken
) -> None:
    """However often a run is killed, each life goes on from where the last one was."""
    total, life, kept = Counter[str](), Life(-9, 0, "", ""), 0
    for at in (13, 21, 9, 30, 17, 12, 40, 25, 33, 8):
        run = run_of(folder)
        command = ("run", "prompts/v1.yaml", "--base-url", server.base_url) if run is None else ("run", "--resume")
        server.reset()
        life = started.live(folder.root, *command, *ONE_AT_A_TIME, fault=Fault("kill", at))
        total += asked(server)
        assert len(answers(run_of(folder))) >= kept
        kept = len(answers(run_of(folder)))
        if life.code == 0:
            break
    if life.code != 0:
        assert started.live(folder.root, "run", "--resume", *ONE_AT_A_TIME).code == 0
    unbroken.is_equalled_by(folder, started)
    assert sum((total - unbroken.asked).values()) <= 10  # one in flight a life


# --- no room, no permission -------------------------------------------------------------------------------------------


def test_a_disk_that_is_full_from_any_write_on_stops_the_run_in_order(
    tmp_path: Path, started: Lives, server: ScriptedServer, unbroken: Unbroken
) -> None:
    """From whichever write on the disk takes nothing, the run stops with a message, and goes on when there is room."""
    for at in range(1, unbroken.steps + 1, 13):
        folder = two_passes(tmp_path / f"full-{at}")
        life = begin(started, folder, server, fault=Fault("full", at))
        assert "Traceback" not in life.err
        assert life.code != 0 or at > unbroken.steps - 12, (at, life)
        if life.code:
            assert "No space left on device" in life.err or "only a part of the line" in life.err, life.err
        goes_on(started, folder, server, before=asked(server))
        unbroken.is_equalled_by(folder)


@pytest.mark.parametrize("largest", [1, 300, 700, 1000, 1600, 2500, 4000, 8000, 20_000])
def test_no_file_may_grow_beyond_a_size(
    folder: Folder, started: Lives, server: ScriptedServer, unbroken: Unbroken, largest: int
) -> None:
    """Where the system itself ends a write half way (here by a limit of size), the same holds, for every file of a run."""
    life = begin(started, folder, server, fault=Fault("largest", largest))
    assert "Traceback" not in life.err
    assert life.code in (0, 1), life.err
    before = asked(server)
    goes_on(started, folder, server, before=before)
    unbroken.is_equalled_by(folder)


@pytest.mark.parametrize(
    ("place", "code", "told"),
    [
        ("runs", 1, "runs/v1-"),
        (".harness", 0, "cache.sqlite: the cache cannot be used"),
    ],
)
def test_a_folder_that_may_not_be_written_is_told_before_any_call(
    folder: Folder, started: Lives, server: ScriptedServer, unbroken: Unbroken, place: str, code: int, told: str
) -> None:
    """Where runs cannot be written nothing is asked; where the cache cannot be, the run goes on without, said once."""
    (folder.root / place).mkdir()
    (folder.root / place).chmod(0o555)
    life = begin(started, folder, server, fault=Fault("read-only"))
    (folder.root / place).chmod(0o755)
    assert (life.code, life.err.count(told), "Traceback" in life.err) == (code, 1, False), life.err
    if code:
        assert not asked(server)
        assert "cannot be written (Permission denied). Check the folder's permissions." in life.err
        assert begin(started, folder, server).code == 0
    unbroken.is_equalled_by(folder)


# --- damaged files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [1, 2, 60, 10_000])
def test_a_torn_line_costs_its_own_call(
    folder: Folder, started: Lives, server: ScriptedServer, unbroken: Unbroken, cut: int
) -> None:
    """A last line that was cut off anywhere, down to its first byte, is told, and its call alone is made again."""
    begin(started, folder, server, "--no-cache")
    path = the_run(folder).path / "completions.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]) + lines[-1][: max(1, len(lines[-1]) - cut)])
    life = goes_on(started, folder, server, "--no-cache", before=Counter())
    assert "the last line was cut off while it was written; its call is made again." in life.err
    assert sum(asked(server).values()) == 1
    unbroken.is_equalled_by(folder)


@pytest.mark.parametrize("damage", ["empty", "half", "garbage", "header", "page", "wal"])
def test_a_damaged_cache_costs_no_call_and_no_results(
    folder: Folder, started: Lives, server: ScriptedServer, unbroken: Unbroken, damage: str
) -> None:
    """A cache file that was cut off or overwritten is put in order from the runs before any call: none is paid twice."""
    begin(started, folder, server)
    path = folder.root / ".harness" / "cache.sqlite"
    content = path.read_bytes()
    assert len(content) > 4096
    (path.with_name("cache.sqlite-wal")).unlink(missing_ok=True)
    path.write_bytes(
        {
            "empty": b"",
            "half": content[: len(content) // 2],
            "garbage": b"\xff" * len(content),
            "header": b"SQLite format 3\x00" + b"\xff" * 200 + content[216:],
            "page": content[:4096] + b"\xee" * (len(content) - 4096),
            "wal": content,
        }[damage]
    )
    if damage == "wal":
        path.with_name("cache.sqlite-wal").write_bytes(b"\x37\x7f\x06\x82" + b"\x01" * 5000)
    server.reset()
    life = begin(started, folder, server)
    assert (life.code, "Traceback" in life.err) == (0, False), life.err
    unbroken.is_equalled_by(folder)
    assert not asked(server)
    told = {"wal": "", "empty": "was empty; "}.get(damage, "was damaged; ")
    assert life.err.count("put back from the runs.") == life.err.count(f"cache.sqlite: {told}") == bool(told), life.err
    assert begin(started, folder, server).err.count("put back from the runs.") == 0
    assert not asked(server)


# --- two at a time ----------------------------------------------------------------------------------------------------


def test_a_run_that_another_process_writes_is_left_alone(folder: Folder, started: Lives, unbroken: Unbroken) -> None:
    """The second process that would go on with a run is told so, and changes nothing; the first one goes on."""
    gate = Gate()
    with ScriptedServer(
        lambda request: Reply(reply_to(request).content, hold=gate if request.index == 3 else None)
    ) as held:
        command = ("run", "prompts/v1.yaml", "--base-url", held.base_url, *ONE_AT_A_TIME)
        with started.started(folder.root, *command) as ended:
            held.wait_for(4, 30.0)
            run = the_run(folder)
            with pytest.raises(HarnessError, match="another process is writing it"):
                execution.resume(run, folder.project)
            gate.set()
            assert ended().code == 0
    unbroken.is_equalled_by(folder)


def test_two_runs_share_a_cache(folder: Folder, started: Lives, unbroken: Unbroken) -> None:
    """Of two runs that go on at once each takes from the cache what the other has paid, and both finish."""
    gate = Gate()
    with ScriptedServer(
        lambda request: Reply(reply_to(request).content, hold=gate if request.index == 3 else None)
    ) as held:
        command = ("run", "prompts/v1.yaml", "--base-url", held.base_url, *ONE_AT_A_TIME)
        with started.started(folder.root, *command) as ended:
            held.wait_for(4, 30.0)
            answered, first = set(list(asked(held))[:3]), the_run(folder)
            with lives() as others:
                assert others.live(folder.root, *command).code == 0
            total = asked(held)
            assert all(total[text] == 1 for text in answered), "what the other has paid was asked again"
            gate.set()
            assert ended().code == 0
    assert max(asked(held).values()) <= 2
    assert sum((asked(held) - unbroken.asked).values()) == 1  # the one that was in flight
    unbroken.is_equalled_by(folder)
    assert results(load_run(first.path)) == unbroken.results


# --- clocks and sleep -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hours", [-30, 30])
def test_a_clock_that_jumps_changes_no_result(
    folder: Folder, server: ScriptedServer, unbroken: Unbroken, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    """A clock that is set while a run goes on changes neither its answers nor what the cache knows, nor how it goes on."""
    jumped = timedelta()

    class Jumping(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Jumping:
            moment = datetime.now(tz) + jumped
            return cls(*moment.timetuple()[:6], moment.microsecond, moment.tzinfo)

    at = time.time
    monkeypatch.setattr("harness.execution.datetime", Jumping)
    monkeypatch.setattr("harness.cache.time.time", lambda: at() + jumped.total_seconds())

    def jump(progress: Progress) -> None:
        nonlocal jumped
        jumped = timedelta(hours=hours * (progress.calls % 2))

    plan = folder.plan(base_url=server.base_url)
    execution.start(plan, folder.project, progress=jump, concurrency=1)
    unbroken.is_equalled_by(folder)
    assert asked(server) == unbroken.asked
    jumped = timedelta(hours=-hours)
    execution.start(plan, folder.project)
    assert asked(server) == unbroken.asked  # all from the cache
    for run in list_runs(folder.project.runs):
        assert results(run) == unbroken.results


@pytest.mark.parametrize("hours", [-5, 5])
def test_a_clock_that_is_wrong_waits_no_longer(folder: Folder, unbroken: Unbroken, hours: int) -> None:
    """A Retry-After that is a date counts by the server's own clock, however wrong ours is."""
    theirs = datetime.now(UTC) + timedelta(hours=hours)
    date = format_datetime(theirs, usegmt=True)
    busy = error(429, headers={"retry-after": date, "date": date})
    with ScriptedServer(lambda request: busy if request.index == 2 else reply_to(request)) as server:
        started_at = datetime.now(UTC)
        patient = Folder(folder.root, max_attempts=3)
        execution.start(folder.plan(base_url=server.base_url), patient.project)
    unbroken.is_equalled_by(folder)
    assert datetime.now(UTC) - started_at < timedelta(seconds=20)


def test_connections_that_died_in_a_sleep_are_made_anew(
    folder: Folder, server: ScriptedServer, unbroken: Unbroken
) -> None:
    """When a machine wakes up with dead connections, calls under way are sent again, and no call fails."""
    cut = 0

    def abort() -> None:
        for connection in list(server._connections):
            connection.abort()

    def sleep(progress: Progress) -> None:
        nonlocal cut
        if progress.calls in (2, 4):
            cut += 1
            server._post(abort)

    patient = Folder(folder.root, max_attempts=5)
    execution.start(folder.plan(base_url=server.base_url), patient.project, progress=sleep, concurrency=2)
    assert cut >= 2
    unbroken.is_equalled_by(folder)


# --- a server in trouble ----------------------------------------------------------------------------------------------


def many(folder: Folder, number: int = 120) -> Folder:
    """Give a project many samples and a prompt of one pass."""
    folder.prompt("v1", HEAD + "template: '{{ text }}'\n")
    samples = {f"n{at}": (f"Sample {at}", ["price"] if at % 3 else ["quality"]) for at in range(number)}
    folder.write("datasets/reviews.dev.jsonl", jsonl(samples))
    return folder


class Log(list[dict[str, Any]]):
    """What a run logged."""

    def __call__(self, event: str, about: Any) -> None:
        """Note an event."""
        self.append({"event": event, **about})

    def of(self, event: str) -> list[dict[str, Any]]:
        """Return the events of a name."""
        return [each for each in self if each["event"] == event]


def starts(folder: Folder, answer: Answer, **options: Any) -> tuple[ScriptedServer, Log, list[str]]:
    """Run against a server of its own; return the server, what was logged and what was told."""
    log, said = Log(), list[str]()
    with ScriptedServer(answer) as server:
        plan = folder.plan(base_url=server.base_url)
        execution.start(plan, folder.project, log=log, warn=said.append, **options)
    return server, log, said


def test_calls_at_once_start_low_and_double(folder: Folder) -> None:
    """The first calls go together; while nothing is answered no other does; then there are twice as many."""
    gates = [Gate(), Gate()]
    script = lambda request: say("price", hold=gates[0] if request.index < FIRST else gates[1])  # noqa: E731
    many(folder)
    with ScriptedServer(script) as server:
        thread = Thread(target=lambda: execution.start(folder.plan(base_url=server.base_url), folder.project))
        thread.start()
        server.wait_for(FIRST)
        assert server.in_flight == FIRST
        gates[0].set()
        server.wait_for(3 * FIRST)
        assert (server.in_flight, server.count) == (2 * FIRST, 3 * FIRST)
        gates[1].set()
        thread.join()
        assert server.count == 120
    assert the_run(folder).manifest.state == "complete"


def test_a_429_slows_down_once_and_holds_back_all(folder: Folder) -> None:
    """Of calls that are refused together the first halves the number; nobody asks before Retry-After has passed."""
    busy = error(429, "busy", retry_after=0.2)
    patient = many(Folder(folder.root, max_attempts=3))
    server, log, _ = starts(patient, lambda request: busy if request.index < FIRST else say("price"))
    assert [each["limit"] for each in log.of("calls at once")] == [FIRST // 2]
    requests = server.requests
    refused_at = min(request.received_at for request in requests[:FIRST])
    assert min(request.received_at for request in requests[FIRST:]) - refused_at >= 0.19
    assert log.of("all calls wait")[0]["seconds"] == 0.2
    assert the_run(folder).manifest.state == "complete"


def test_a_header_that_says_that_nothing_is_left_is_heeded(folder: Folder) -> None:
    """After an answer whose headers say so nobody asks before the limit is reset: no 429 is needed for that."""
    used_up = Reply("price", headers={"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "200ms"})
    server, log, _ = starts(many(folder), lambda request: used_up if request.index == 7 else say("price"))
    assert [each["seconds"] for each in log.of("all calls wait")] == [0.2]
    assert len(log.of("attempt failed")) == 0
    assert server.count == 120


def test_a_storm_of_refusals_ends_with_all_answered(folder: Folder) -> None:
    """A fifth of all calls refused by chance, whoever asks: every sample is answered, and nobody else waits for long."""
    busy = error(429, "busy", retry_after=0.02)
    patient = many(Folder(folder.root, max_attempts=2), 400)
    server, log, _ = starts(patient, lambda request: busy if request.index * 7919 % 5 == 0 else say("price"))
    assert the_run(folder).manifest.state == "complete"
    assert len(answers(the_run(folder))) == 400
    assert 480 <= server.count <= 520
    assert len(log.of("all calls wait")) < 20


def test_errors_of_the_server_only_pause_growth(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """5xx are sent again, hold back nobody and make no fewer calls at once."""
    monkeypatch.setattr("harness.retry.random.uniform", lambda _low, _high: 0.0)
    patient = many(Folder(folder.root, max_attempts=5))
    _, log, said = starts(patient, lambda request: error(503) if request.index % 9 == 3 else say("price"))
    assert log.of("calls at once") == log.of("all calls wait") == []
    assert (said, the_run(folder).manifest.state) == ([], "complete")


def test_a_server_that_dies_is_probed_and_the_run_goes_on(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that drops all connections is told as down, once, probed, told as back, and no call is lost."""
    monkeypatch.setattr("harness.pacing.PROBE_S", 0.05)
    monkeypatch.setattr("harness.pacing.LONGEST_PROBE_S", 0.1)
    monkeypatch.setattr("harness.retry.random.uniform", lambda _low, _high: 0.0)
    patient = many(Folder(folder.root, max_attempts=10))
    _, log, said = starts(patient, lambda request: drop() if 40 <= request.index < 90 else say("price"), concurrency=16)
    assert len(said) == 2
    assert re.fullmatch(
        r"http://127\.0\.0\.1:\d+/v1: the last \d+ attempts failed \(last: connection\)\. "
        r"Single calls probe it until one is answered\.",
        said[0],
    )
    assert said[1].endswith("/v1: answers again.")
    assert (len(log.of("circuit opened")), len(log.of("circuit closed"))) == (1, 1)
    run = the_run(folder)
    assert (run.manifest.state, len(answers(run))) == ("complete", 120)


def stopped(folder: Folder, answer: Answer, error_type: type[HarnessError] = HarnessError, **options: Any) -> str:
    """Run until something stops it; then go on with a server that is well, and return what was told."""
    with ScriptedServer(answer) as server:
        with pytest.raises(error_type) as caught:
            execution.start(folder.plan(base_url=server.base_url), folder.project, **options)
        run = the_run(folder)
        assert run.manifest.state == "stopped"
        kept = answers(run)
        assert str(caught.value).endswith(
            f"run {run.manifest.id}: {len(kept)} completion{'s are' if len(kept) > 1 else ' is'} kept. "
            f"Go on with: harness run --resume {run.manifest.id}"
        )
        before = set(asked(server))
        server._script = always("price")
        server.reset()
        done = execution.resume(run, folder.project)
        assert (done.manifest.state, len(answers(done))) == ("complete", 120)
        assert sum(asked(server).values()) == 120 - len(kept)
        assert len(before) >= len(kept)
    return str(caught.value).replace(server.base_url, "S").splitlines()[0]


def test_a_server_that_stays_dead_stops_the_run(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """After `max_retry_s` without an answer the run stops, and can go on."""
    monkeypatch.setattr("harness.pacing.PROBE_S", 0.05)
    monkeypatch.setattr("harness.retry.random.uniform", lambda _low, _high: 0.0)
    hasty = many(Folder(folder.root, max_attempts=10, max_retry_s=0.3))
    told = stopped(hasty, lambda request: say("price") if request.index < 30 else drop())
    assert re.fullmatch(r"S: has given no answer for \d+ s \(last: connection\)\. Go on when it is up again\.", told)


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (error(401, "revoked"), "S, model scripted: the key is refused (401): revoked. Check OPENAI_API_KEY."),
        (error(403, "not yours"), "S, model scripted: access is refused (403): not yours."),
        (
            error(404, "no model"),
            "S, model scripted: not found (404): no model. Check the model's name and the base URL.",
        ),
        (error(429, "no money", code="insufficient_quota"), "S, model scripted: insufficient_quota (429): no money."),
        (
            error(429, "tomorrow", retry_after=86400),
            "S: wants no call for 86400 s (429), which is longer than max_retry_s (300 s). "
            "Go on later, or raise max_retry_s in harness.toml.",
        ),
    ],
    ids=["401", "403", "404", "quota", "tomorrow"],
)
def test_what_no_call_can_mend_stops_the_run_at_once(folder: Folder, failure: Reply, words: str) -> None:
    """Key, access, model and quota end a run with the first refusal; what was under way is answered and kept."""
    assert (
        stopped(many(folder), lambda request: failure if request.index >= 30 else say("price", latency=0.02)) == words
    )


def test_what_is_under_way_when_a_run_stops_is_kept(folder: Folder) -> None:
    """Calls that were sent before the one that ends the run are answered, and kept: they may have been paid."""

    def script(request: Request) -> Reply:
        return error(401, "revoked") if request.index == 7 else say("price", latency=0.1)

    stopped(many(folder), script)
    run = the_run(folder)
    assert sum(each.completion.cached for each in run.log.latest.values()) == 0
    assert len(run.log.latest) == 120


@pytest.mark.parametrize(("most", "were"), [(1, "1 call was"), (50, "50 calls were")])
def test_max_calls_stops_exactly_there(
    folder: Folder, started: Lives, server: ScriptedServer, most: int, were: str
) -> None:
    """`--max-calls N` sends N calls, keeps all their answers, exits with 3, and the run goes on with the others."""
    many(folder)
    server._script = always(say("price", latency=0.01))
    command = ("run", "prompts/v1.yaml", "--base-url", server.base_url, "--max-calls", str(most))
    life = started.live(folder.root, *command)
    assert (life.code, server.count) == (3, most)
    run = the_run(folder)
    kept = "1 completion is" if most == 1 else f"{most} completions are"
    assert life.err == (
        f"error: --max-calls {most}: {were} sent, no more may be.\n"
        f"run {run.manifest.id}: {kept} kept. Go on with: harness run --resume {run.manifest.id}\n"
    )
    assert (run.manifest.state, len(answers(run))) == ("stopped", most)
    server.reset()
    assert started.live(folder.root, "run", "--resume").code == 0
    assert server.count == 120 - most


def test_slow_answers_are_waited_for_at_the_end_of_a_budget(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls that were within the budget have been paid: they are waited for, however slow they are."""
    monkeypatch.setattr("harness.execution.Job", partial(Job, grace_s=0.0))
    slow = lambda request: say("price", latency=0.3)  # noqa: E731
    stopped(many(folder), slow, BudgetReached, budget=Budget(max_calls=8))


def test_max_cost_is_never_exceeded(folder: Folder, started: Lives, server: ScriptedServer) -> None:
    """`--max-cost` stops before the call that could go beyond it, exits with 3, and the run goes on with the others."""
    many(folder)
    toml = "max_attempts = 1\n[prices.scripted]\ninput = 0.0\noutput = 1000.0\n"  # 0.016 USD for 16 tokens
    folder.write("harness.toml", toml)
    server._script = always(Reply("price", usage={"prompt_tokens": 5, "completion_tokens": 10}, latency=0.005))
    command = ("run", "prompts/v1.yaml", "--base-url", server.base_url)
    life = started.live(folder.root, *command, "--max-cost", "0.5")
    run = the_run(folder)
    assert life.code == 3
    assert re.match(
        r"error: --max-cost 0\.5: 0\.4\d00 USD spent by 4\d calls, and the next one may cost 0\.0160 USD\.\n", life.err
    )
    cost = run.manifest.cost_usd or 0.0
    assert cost == pytest.approx(0.01 * server.count)
    assert 0.484 <= cost <= 0.5
    assert started.live(folder.root, "run", "--resume", "--max-cost", "2").code == 0
    assert server.count == 120


def test_a_price_that_is_not_known_is_told_before_any_call(
    folder: Folder, started: Lives, server: ScriptedServer
) -> None:
    """A limit of cost that could not be kept is refused; nothing is asked, and no run is left."""
    life = begin(started, folder, server, "--max-cost", "1")
    assert (life.code, server.count, run_of(folder)) == (2, 0, None)
    assert "--max-cost: must know what every call costs, but has no price of scripted." in life.err


def test_requests_a_minute_are_kept(folder: Folder) -> None:
    """`--rpm` spreads the requests from the first second on."""
    many(folder, 26)
    server, _, _ = starts(folder, always("price"), rates=Rates(rpm=1200))
    times = sorted(request.received_at for request in server.requests)
    spread = [later - times[0] for later in times]
    assert spread[18] < 0.9  # a second's worth at once, 19 of 1,220
    assert spread[25] >= 0.25  # six more of them, each 0.05 s after the last


def test_a_stop_is_not_waited_for(folder: Folder) -> None:
    """Ctrl-C ends a run at once though all calls wait for a server that wants none for minutes."""
    busy = error(429, "busy", retry_after=200)
    many(folder)

    def stop(event: str, _about: Any) -> None:
        if event == "all calls wait":
            signal.raise_signal(signal.SIGINT)

    told = pytest.raises(InterruptedRun, match=r"completions are kept\. Go on with: harness run --resume")
    with ScriptedServer(lambda request: busy if request.index == 20 else say("price")) as server, told:
        execution.start(folder.plan(base_url=server.base_url), folder.project, log=stop)
    assert the_run(folder).manifest.state == "interrupted"


# --- the page ---------------------------------------------------------------------------------------------------------


def test_every_test_that_the_page_names_exists() -> None:
    """docs/reliability.md names the test that holds each promise."""
    page = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    named = re.findall(r"`(test_\w+)\.(test_\w+)`", page)
    assert len(named) > 15
    for module, name in named:
        source = (ROOT / "tests" / f"{module}.py").read_text(encoding="utf-8")
        assert f"def {name}(" in source, f"{module}.{name}"
