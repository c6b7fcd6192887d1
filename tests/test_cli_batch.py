"""``harness batch`` as a person uses it, and the line that tells how far batches are."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import batch_runs
import cli_project
import pytest
from batch_runs import only_run, resume, serving, start, ways
from cli_project import Cli, stored_run
from projects import Folder
from scripted_batches import Batches, Fate
from scripted_server import ScriptedServer

from harness.batchlog import Part, StillOpenError
from harness.batchrunning import OpenBatch
from harness.batchsending import Waiting
from harness.cli.batch import waiting_line
from harness.report import batch

wired, cli, project = batch_runs.wired, cli_project.cli, cli_project.project
pytestmark = pytest.mark.usefixtures("wired")

NOW = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)


@pytest.fixture
def batches() -> Batches:
    """Return the batches of a server, of which the first takes a while."""
    return Batches().ending(Fate(polls=3))


@pytest.fixture
def server(batches: Batches, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    """Return a server, with a run of the current project whose batch is submitted."""
    monkeypatch.chdir(folder.root)
    with serving(batches) as running:
        with contextlib.suppress(StillOpenError):
            start(folder, running, ways(wait=False))
        yield running


def test_status_of_what_is_open(server: ScriptedServer, folder: Folder, cli: Cli) -> None:
    """The table has a row for each open batch, and says what fetches it; JSON has the same as values."""
    run = only_run(folder).manifest.id
    told = cli("batch", "status")
    assert told.code == 0
    assert "in_progress" in told.out
    assert f"harness batch fetch {run}" in told.out
    (row,) = cli("batch", "status", run, "--json").json
    assert row.pop("submitted") is not None
    assert row == {
        "run": run,
        "part": 1,
        "state": "in_progress",
        "calls": 5,
        "done": 0,
        "failed": 0,
        "model": "scripted",
        "passes": ["main"],
        "base_url": server.base_url,
        "batch": "batch_1",
    }


def test_fetch_until_it_is_whole(server: ScriptedServer, folder: Folder, cli: Cli) -> None:
    """Fetching says that the batch is still open, and when it has ended finishes the run and shows its scores."""
    run = only_run(folder).manifest.id
    early = cli("batch", "fetch", run)
    assert early.code == 3
    assert f"error: run {run}: 1 batch with 5 calls at the provider. See: harness batch status {run}." in early.err
    assert "0 of 5 done · 1 batch, submitted" in early.err
    cli("batch", "status")
    whole = cli("batch", "fetch", "v1")
    assert (whole.code, whole.err) == (0, "")
    assert "macro F1" in whole.out
    assert only_run(folder).manifest.state == "complete"
    assert cli("batch", "status").out == "No batch is open.\n"
    assert "completed" in cli("batch", "status", "v1").out


def test_cancel_keeps_what_was_answered(server: ScriptedServer, folder: Folder, cli: Cli, batches: Batches) -> None:
    """A cancelled batch ends at the provider; fetching keeps its answers, and who goes on submits the rest."""
    told = cli("batch", "cancel", "v1")
    run = only_run(folder).manifest.id
    assert told.code == 0
    assert "cancelling" in told.out
    assert f"To keep what was answered: harness batch fetch {run}" in told.out
    cli("batch", "status")
    fetched = cli("batch", "fetch", "v1")
    assert fetched.code == 1
    assert "batch batch_1 was cancelled; 5 of its 5 calls had an answer, which is kept. Go on with: harness run" in (
        fetched.err
    )
    assert resume(folder).manifest.state == "complete"
    assert len(batches.batches) == 1
    assert cli("batch", "cancel", "v1").out == f"run {run}: no batch is open.\n"


def test_a_lost_batch_is_forgotten_by_cancel(
    server: ScriptedServer, folder: Folder, cli: Cli, batches: Batches
) -> None:
    """A batch that the provider does not know stops a run until it is cancelled; then its calls are asked again."""
    del batches.batches["batch_1"]
    run = only_run(folder).manifest.id
    assert "lost" in cli("batch", "status").out
    told = cli("batch", "fetch", "v1")
    assert (told.code, "No batch found with id 'batch_1'" in told.err) == (1, True)
    told = cli("batch", "cancel", "v1")
    assert told.err == f"warning: run {run}: the provider knows 1 batch of it no more.\n"
    assert resume(folder).manifest.state == "complete"


def test_runs_without_batches(project: Path, cli: Cli) -> None:
    """A run that was not made by batches is told so; without any, no batch is open."""
    run = stored_run(project, "v1").manifest.id
    assert cli("batch", "status").out == "No batch is open.\n"
    for verb in ("status", "fetch", "cancel"):
        told = cli("batch", verb, "v1")
        assert told.code == 1
        assert told.err == (
            f"error: run {run}: must have been made with --engine batch, but has no batches. See: harness batch status\n"
        )
    assert "no such run" in cli("batch", "fetch", "v9").err
    assert cli("batch", "fetch").code == 2


@pytest.mark.parametrize(
    ("waiting", "line"),
    [
        (
            Waiting(1, 1200, 3, 50_000, NOW - timedelta(hours=2, minutes=5), 60.0),
            "1,200 of 50,000 done · 3 failed · 1 batch, submitted 2 h 05 min ago · next look in 60 s",
        ),
        (Waiting(2, 0, 0, 9, None), "0 of 9 done · 2 batches"),
        (
            Waiting(1, 0, 0, 9, NOW + timedelta(hours=1), 5.0, unreached=True),
            "0 of 9 done · 1 batch, submitted 0.0 s ago · the provider does not answer just now · next look in 5.0 s",
        ),
    ],
)
def test_the_line_of_a_run_that_waits(waiting: Waiting, line: str) -> None:
    """The line says how far the batches are, since when, and when they are looked at again."""
    assert batch.waiting_line(waiting, NOW) == line


def test_the_line_is_told_again_when_something_changed(capsys: pytest.CaptureFixture[str]) -> None:
    """Where standard error is no terminal, a line stands there for every change, not for every look."""
    with waiting_line() as tell:
        for done in (0, 0, 3, 3, 4):
            tell(Waiting(1, done, 0, 5, None))
    assert capsys.readouterr().err.splitlines() == [f"{done} of 5 done · 1 batch" for done in (0, 3, 4)]


def test_the_line_in_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """In a terminal the line changes in its place, and says what Ctrl-C does."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    with waiting_line() as tell:
        tell(Waiting(1, 2, 0, 5, None))
    assert "Ctrl-C leaves the batches running" in capsys.readouterr().err


def test_what_a_provider_calls_its_batch_is_made_safe() -> None:
    """Outside text in the table moves no cursor and is no markup."""
    part = Part(1, "n", "s", 1, "http://h", "chat", "[red]m\x1b[2J", ("main",), ("k",))
    from harness.report.terminal import rendered

    text = rendered([batch.batches_table([OpenBatch("v1", part)], NOW)])
    assert "\x1b[2J" not in text
    assert "[red]m" in text
    assert "planned" in text
