"""What happens in a run, as JSON lines for other programs (`--log-file`): no texts, no answers, no keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.jsonfiles import packed_line, unwritable, writing
from harness.pacing import Log


def no_log(_event: str, _about: Mapping[str, Any]) -> None:
    """Note nothing."""


@contextmanager
def log_file(path: Path | None, warn: Callable[[str], None]) -> Iterator[Log]:
    """Return what notes an event in a file: its time, its name, and what it is about. Lines are added to what is there.

    A disk that refuses in the middle ends the log, told once, and not the run.

    Args:
        path: The file; None notes nothing.
        warn: Told when the log ends.

    Raises:
        DataError: The file cannot be opened.
    """
    if path is None:
        yield no_log
        return
    with writing(path, "Name another file with --log-file."):
        file = path.open("ab", buffering=0)

    def note(event: str, about: Mapping[str, Any]) -> None:
        if file.closed:
            return
        try:
            line = packed_line({"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **about})
            if file.write(line) != len(line):
                raise OSError("the disk took only a part of the line")
        except OSError as error:
            file.close()
            warn(str(unwritable(path, error, "The log ends here; the run goes on.")))

    with file:
        yield note
