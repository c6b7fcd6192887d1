"""Commands in processes of their own that something befalls: killed at a write, no room on the disk, folders read-only.

A process that has imported everything forks one for each command, so that a life takes a tenth of a second and not one.
"""

from __future__ import annotations

import ctypes
import errno
import importlib
import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

Kind = Literal["none", "kill", "full", "largest", "read-only"]


@dataclass(frozen=True, slots=True)
class Fault:
    """What befalls a command.

    Attributes:
        kind: "kill": SIGKILL at a step of its writing; "full": from that step on the disk takes nothing; "largest": no file
            grows beyond so many bytes, and a write that would ends half way; "read-only": it may write only where its user
            may, though it is root.
        at: Which step, from 1, or how many bytes.
    """

    kind: Kind = "none"
    at: int = 0


@dataclass(frozen=True, slots=True)
class Life:
    """What became of a command.

    Attributes:
        code: Its exit code; negative is the signal that killed it.
        steps: How many steps of writing it came to.
        out: What it printed.
        err: What it told.
    """

    code: int
    steps: int
    out: str
    err: str


class Lives:
    """A process that starts others."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def live(self, root: Path, *arguments: str, fault: Fault = Fault()) -> Life:
        """Run a command line in a project, and return what became of it."""
        with self.started(root, *arguments, fault=fault) as ended:
            return ended()

    @contextmanager
    def started(self, root: Path, *arguments: str, fault: Fault = Fault()) -> Iterator[Callable[[], Life]]:
        """Start a command line in a project; give what waits for its end. One at a time."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(
            json.dumps({"root": str(root), "arguments": arguments, "fault": asdict(fault)}),
            file=self._process.stdin,
            flush=True,
        )
        told: list[Life] = []
        stdout = self._process.stdout

        def ended() -> Life:
            if not told:
                told.append(Life(**json.loads(stdout.readline())))
            return told[0]

        yield ended
        ended()


@contextmanager
def lives() -> Iterator[Lives]:
    """Start the process that starts others."""
    root = Path(__file__).resolve().parent.parent
    environment = {**os.environ, "PYTHONPATH": str(root), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, __file__]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment) as process:
        assert process.stdin is not None
        try:
            yield Lives(process)
        finally:
            process.stdin.close()


# ---------------------------------------------------------------------------------------------------------------------
# In the process that starts others


def main() -> None:
    """Start what comes in, one command a line, and tell what became of it."""
    for name in WARM:
        importlib.import_module(name)
    for line in sys.stdin:
        order = json.loads(line)
        print(json.dumps(asdict(_live(Path(order["root"]), order["arguments"], Fault(**order["fault"])))), flush=True)


WARM = (
    "aiohttp",
    "rich.progress",
    "harness.api",
    "harness.cachecare",
    "harness.cli",
    "harness.cli.run",
    "harness.cli.running",
    "harness.comparison",
    "harness.execution",
    "harness.report.terminal",
    "harness.samplefile",
    "harness.scoring",
    "harness.versions",
)


def _live(root: Path, arguments: list[str], fault: Fault) -> Life:
    files = {name: root.parent / f"{root.name}.{name}" for name in ("out", "err", "steps")}
    for path in files.values():
        path.write_bytes(b"")
    child = os.fork()
    if not child:
        code = 99
        try:
            for number, name in ((1, "out"), (2, "err")):
                os.dup2(os.open(files[name], os.O_WRONLY | os.O_APPEND), number)
            code = _command(root, arguments, Steps(fault, os.open(files["steps"], os.O_WRONLY | os.O_APPEND)))
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return Life(code, files["steps"].stat().st_size, files["out"].read_text("utf-8"), files["err"].read_text("utf-8"))


def _command(root: Path, arguments: list[str], steps: Steps) -> int:
    from harness.cli import main as command_line

    os.chdir(root)
    sys.argv = ["harness", *arguments]
    steps.install()
    try:
        command_line()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


class Steps:
    """The steps in which a command writes: before, in the middle of and after every write, every rename, every entry."""

    def __init__(self, fault: Fault, counter: int) -> None:
        self._fault, self._counter, self._count = fault, counter, 0

    def step(self) -> None:
        """Come to a step."""
        self._count += 1
        if self._fault.kind in ("none", "kill", "full"):
            os.write(self._counter, b".")
        if self._fault.kind == "kill" and self._count == self._fault.at:
            os.kill(os.getpid(), signal.SIGKILL)
        if self._fault.kind == "full" and self._count >= self._fault.at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def install(self) -> None:
        """Have the command come to its steps."""
        from harness.cache import Cache
        from harness.store import PredictionDraft, RunWriter

        if self._fault.kind == "largest":
            resource.setrlimit(resource.RLIMIT_FSIZE, (self._fault.at, resource.RLIM_INFINITY))
        if self._fault.kind == "read-only" and os.geteuid() == 0:
            _give_up_capabilities()
        self._around(Path, "replace")
        self._around(Path, "mkdir")
        self._around(PredictionDraft, "add")
        self._around(Cache, "put", sqlite3.OperationalError)
        self._halved(Path, "write_bytes")
        made: Callable[..., None] = RunWriter.__init__

        def making(writer: RunWriter, *given: Any) -> None:
            made(writer, *given)
            writer._file = Torn(writer._file, self.step)  # type: ignore[assignment]

        RunWriter.__init__ = making  # type: ignore[method-assign, assignment]

    def _around(self, of: type, name: str, error: type[Exception] | None = None) -> None:
        done = getattr(of, name)

        def doing(*given: Any, **more: Any) -> Any:
            try:
                self.step()
                result = done(*given, **more)
                self.step()
            except OSError:
                if error is None:
                    raise
                return None  # as the cache does itself
            return result

        setattr(of, name, doing)

    def _halved(self, of: type, name: str) -> None:
        done = getattr(of, name)

        def doing(path: Path, content: bytes) -> int:
            done(path, content[: len(content) // 2])
            self.step()
            return int(done(path, content))

        setattr(of, name, doing)


class Torn:
    """A file whose writes can end in the middle."""

    def __init__(self, file: Any, step: Callable[[], None]) -> None:
        self._file, self._step = file, step

    def write(self, line: bytes) -> int:
        """Write a line in two halves, with a step before, between and after them."""
        self._step()
        half = len(line) // 2
        written = int(self._file.write(line[:half]))
        if written == half:
            try:
                self._step()
            except OSError:
                return half  # what a disk that runs full says of such a write
            written += self._file.write(line[half:])
        self._step_after()
        return written

    def _step_after(self) -> None:
        try:
            self._step()
        except OSError:
            return  # it is written; the next one is not

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def _give_up_capabilities() -> None:
    """Have root obey the permissions of files, as everybody does."""
    version = 0x20080522
    header, data = (ctypes.c_uint32 * 2)(version, 0), (ctypes.c_uint32 * 6)()
    if ctypes.CDLL(None, use_errno=True).capset(header, data) != 0:
        raise OSError(ctypes.get_errno(), "capset")


if __name__ == "__main__":
    main()
