"""Batches in the terminal: how far they are, in a line while a run waits, and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.table import Table

from harness.batchrunning import OpenBatch
from harness.batchsending import Waiting
from harness.report import numbers
from harness.report.terminal import QUIET, clipped, named, table


def waiting_line(waiting: Waiting, now: datetime) -> str:
    """Return how far the batches of a run are, on one line."""
    parts = [f"{numbers.count(waiting.done)} of {numbers.count(waiting.total)} done"]
    parts += [f"{numbers.count(waiting.failed)} failed"] if waiting.failed else []
    ago = "" if waiting.since is None else f", submitted {since(waiting.since, now)} ago"
    parts.append(numbers.plural(waiting.batches, "batch", "batches") + ago)
    if waiting.unreached:
        parts.append("the provider does not answer just now")
    if waiting.next_s:
        parts.append(f"next look in {numbers.seconds(waiting.next_s)}")
    return " · ".join(parts)


def since(then: datetime, now: datetime) -> str:
    """Return the time between two moments; a clock that was set back makes it nothing, never less."""
    return numbers.seconds(max(0.0, (now - then).total_seconds()))


def batches_table(rows: Sequence[OpenBatch], now: datetime) -> Table:
    """Return one row a batch: its run, what it asks, and how far it is."""
    columns = ("run", "part", "state", "calls", "done", "failed", "submitted", "model", "batch")
    made = table(*columns, left=("run", "state", "submitted", "model", "batch"), gives_way=("model", "batch"))
    for row in rows:
        value = batch_row(row)
        submitted = numbers.DASH
        if row.part.submitted is not None:
            submitted = f"{since(datetime.fromisoformat(row.part.submitted), now)} ago"
        counts = [numbers.DASH if value[name] is None else numbers.count(value[name]) for name in ("done", "failed")]
        made.add_row(
            named(row.run),
            numbers.count(row.part.number),
            clipped(value["state"], 40),
            numbers.count(value["calls"]),
            *counts,
            submitted,
            clipped(row.part.model, 40),
            clipped(value["batch"] or numbers.DASH, 60),
            style=QUIET if row.part.ended is not None else "",
        )
    return made


def batch_row(row: OpenBatch) -> dict[str, Any]:
    """Return a batch as plain values; what nobody knows is None."""
    part, remote = row.part, row.remote
    done: int | None = None
    failed: int | None = None
    if part.ended is not None:
        done, failed = part.ended.answered, len(part.ended.failed) + len(part.ended.again)
    elif remote is not None:
        done, failed = remote.done, remote.failed
    return {
        "run": row.run,
        "part": part.number,
        "state": _state(row),
        "calls": len(part.keys),
        "done": done,
        "failed": failed,
        "submitted": part.submitted,
        "model": part.model,
        "passes": list(part.passes),
        "base_url": part.base_url,
        "batch": part.batch or (remote.id if remote is not None else None),
    }


def _state(row: OpenBatch) -> str:
    """Return how far a batch is: as the provider says where it is open there, else as the run noted."""
    if row.part.ended is None and row.remote is not None:
        return row.remote.status
    return "lost" if row.part.state == "submitted" else row.part.state


def now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)
