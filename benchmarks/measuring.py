"""What a whole process takes: seconds from its start to its exit, seconds of the processor, memory at its peak.

The process is started by another small one, because Linux counts the memory of the process that starts a program as that
program's own. Its children are in the numbers: their seconds are added up; of their memory the largest counts.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple

_LAUNCHER = """
import json, os, sys, time
started = time.perf_counter()
pid = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, used = os.wait4(pid, 0)
wall = time.perf_counter() - started
peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
with open(sys.argv[1], "w") as file:
    json.dump({"wall_s": wall, "cpu_s": used.ru_utime + used.ru_stime, "peak_mb": peak, "status": status}, file)
"""

TIMEOUT = 3600.0
"""Seconds after which a process is ended."""

SAID = 2000
"""How many characters of what a failed process said are told."""


class Usage(NamedTuple):
    """What a process took: seconds, seconds of the processor, and megabytes (10^6 bytes) at the peak."""

    wall_s: float
    cpu_s: float
    peak_mb: float


class Measured(NamedTuple):
    """What a process took, and the code it exited with."""

    usage: Usage
    code: int


def _usual_environment() -> dict[str, str]:
    """Return this process's own, in which Python keeps its bytecode as it does for everybody."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def measured(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str] | None = None,
    *,
    timeout: float = TIMEOUT,
    codes: Sequence[int] = (0,),
) -> Measured:
    """Run a command in a folder and return what it took.

    Args:
        command: Program and arguments.
        folder: Where it runs.
        environment: Added to this process's own.
        timeout: Seconds after which it is ended, with all it started.
        codes: Exit codes that are no failure.

    Raises:
        RuntimeError: It failed or took too long; the message has the end of what it said.
    """
    shown = " ".join(Path(command[0]).name if at == 0 else word for at, word in enumerate(command[:4]))
    with tempfile.TemporaryDirectory() as temporary, tempfile.TemporaryFile() as said:
        result = Path(temporary) / "usage.json"
        launched = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(result), *command],
            cwd=folder,
            env={**_usual_environment(), **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
        try:
            launched.wait(timeout)
        except BaseException as error:
            os.killpg(launched.pid, signal.SIGKILL)
            launched.wait()
            if isinstance(error, subprocess.TimeoutExpired):
                raise RuntimeError(f"{shown} … took more than {timeout:g} s.") from None
            raise
        if launched.returncode != 0:
            raise RuntimeError(f"{shown} … could not be started: {_end(said)}")
        took = json.loads(result.read_text())
        code = os.waitstatus_to_exitcode(took.pop("status"))
        if code not in codes:
            raise RuntimeError(f"{shown} … exited with {code}: {_end(said)}")
    return Measured(Usage(**took), code)


def _end(said: IO[bytes]) -> str:
    said.seek(0)
    return said.read().decode(errors="replace").strip()[-SAID:]
