"""Runs by batches in tests: the small project on disk, the scripted server with its batches, and a provider that is killed.

A test module takes the fixture with ``wired = batch_runs.wired``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from projects import Folder, right_but
from scripted_batches import Batches
from scripted_server import Answer, ScriptedServer

from harness import batchrunning, execution
from harness.batchfiles import Limits
from harness.batchsending import Looks, Ways
from harness.runnames import list_runs
from harness.store import StoredRun, load_run

AT_ONCE = Looks(first_s=0.0)
"""Looks at batches without a pause."""


@pytest.fixture
def wired(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have retries wait for nothing."""
    monkeypatch.setattr("harness.retry.random.uniform", lambda _low, _high: 0.0)


@contextmanager
def serving(batches: Batches, answer: Answer | None = None) -> Iterator[ScriptedServer]:
    """A server with batches that answers every sample exactly right, if nothing else is said."""
    with ScriptedServer(right_but() if answer is None else answer, batches=batches) as server:
        yield server


def ways(requests: int = 50_000, **options: Any) -> Ways:
    """How to batch without a pause."""
    return Ways(limits=Limits(requests=requests), **{"looks": AT_ONCE, **options})


def start(folder: Folder, server: ScriptedServer, how: Ways | None = None, **options: Any) -> StoredRun:
    """Make a run by batches."""
    takes = ("use_cache", "warn", "budget", "progress")
    told = {name: options.pop(name) for name in takes if name in options}
    plan = folder.plan(options.pop("version", "v1"), base_url=server.base_url, **options)
    hook: dict[str, Any] = {"before": batchrunning.by_batches(folder.project.settings, how or ways())}
    return execution.start(plan, folder.project, **told, **hook)


def resume(folder: Folder, how: Ways | None = None, **options: Any) -> StoredRun:
    """Go on with the only run of a project by batches."""
    hook: dict[str, Any] = {"before": batchrunning.by_batches(folder.project.settings, how or ways())}
    return execution.resume(only_run(folder), folder.project, **options, **hook)


def only_run(folder: Folder) -> StoredRun:
    """The only run of a project, as it is on disk now."""
    (run,) = list_runs(folder.project.runs)
    return load_run(run.path)


def kept(run: StoredRun) -> dict[tuple[str, str, str, int], str | None]:
    """The raw answers that a run holds."""
    return {slot: stored.completion.raw for slot, stored in run.log.latest.items()}
