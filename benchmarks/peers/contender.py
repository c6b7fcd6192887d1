"""What the benchmark must know of a contender, and where it does its work."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from peers.task import Outcome

BENCHMARKS = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Work:
    """Where a contender works.

    Attributes:
        folder: A folder of its own, empty before the first run; what it caches stays in it.
        data: The samples, JSONL.
        url: The server's base URL.
        concurrency: How many calls may be under way at once.
        peers: The folder with the environments of the peers, as `install.py` makes it.
    """

    folder: Path
    data: Path
    url: str
    concurrency: int
    peers: Path

    @property
    def python(self) -> str:
        """The Python of the peers that are Python packages."""
        return str(self.peers / "python" / "bin" / "python")

    def arguments(self) -> tuple[str, ...]:
        """Return what the adapters take: URL, samples, folder, concurrency."""
        return self.url, str(self.data), str(self.folder), str(self.concurrency)


@dataclass(frozen=True, slots=True)
class Contender:
    """One of those who do the task.

    Attributes:
        name: As in the tables.
        command: The process that does the whole task.
        outcome: Read after it, outside the time that is measured.
        prepare: What is made before it, outside the time that is measured: a project, a config.
        caches: Whether a second run of the same task asks nothing.
        scores: What it makes of the answers, in words.
        missing: How to install it where it is missing, else None.
        slow: One round is enough when the time is short.
        environment: Variables added to its environment.
        codes: Exit codes that are no failure.
    """

    name: str
    command: Callable[[Work], list[str]]
    outcome: Callable[[Work], Outcome]
    scores: str
    prepare: Callable[[Work], None] = lambda _work: None
    caches: bool = False
    missing: Callable[[Path], str | None] = lambda _peers: None
    slow: bool = False
    environment: Callable[[Work], Mapping[str, str]] = field(default=lambda _work: {})
    codes: tuple[int, ...] = (0,)


def adapter(module: str, *arguments: str, python: str = sys.executable) -> list[str]:
    """Return the command that runs an adapter of this folder."""
    return [python, "-m", f"peers.{module}", *arguments]


INSTALL = "python benchmarks/peers/install.py"


def missing_module(module: str) -> Callable[[Path], str | None]:
    """Return the check for a Python package among the peers."""

    def check(peers: Path) -> str | None:
        found = any((peers / "python").glob(f"lib/python*/site-packages/{module}/__init__.py"))
        return None if found else f"{module} is not in {peers}. Type: {INSTALL} --peers {peers}"

    return check
