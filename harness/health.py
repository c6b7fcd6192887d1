"""What a check found, as a value; and checks that end in bounded time, whatever happens in them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from harness.errors import HarnessError

Status = Literal["ok", "warning", "problem"]
"""ok: nothing to do. warning: it works, but a person should know. problem: something does not work until it is mended."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        group: What it belongs to: "installation", "server https://…".
        name: What was looked at.
        found: What was found, for people; never a key.
        next_step: What to do about it; None where there is nothing to do.
    """

    group: str
    name: str
    status: Status
    found: str
    next_step: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the check as plain values."""
        return asdict(self)


def is_sound(checks: Iterable[Check]) -> bool:
    """Return whether nothing is a problem; warnings are none."""
    return all(each.status != "problem" for each in checks)


def bounded(look: Callable[[], Iterable[Check]], group: str, name: str, seconds: float) -> list[Check]:
    """Return what checks find within some seconds; what goes wrong with the checking itself is found too.

    The checks run in a thread of their own, which nobody waits for any longer: a name server, a network drive or a model
    that hangs holds up neither the other checks nor the end of the program.

    Args:
        look: Makes the checks.
        group: Of the check that says that they did not end, or failed.
        name: Of the same.
        seconds: How long to wait.
    """
    found: list[Check] = []

    def run() -> None:
        try:
            for check in look():
                found.append(check)  # noqa: PERF402 - one by one: those before a hang are kept
        except HarnessError as error:
            found.append(Check(group, name, "problem", str(error)))
        except Exception as error:
            why = f"the check itself failed: {type(error).__name__}: {error}"
            found.append(
                Check(group, name, "problem", why, "Please report it, with the output of: harness doctor --json")
            )

    thread = threading.Thread(target=run, name=f"check {name}", daemon=True)
    thread.start()
    thread.join(seconds)
    done = list(found)
    if thread.is_alive():
        done.append(Check(group, name, "problem", f"no end within {seconds:g} s; not looked at any further"))
    return done
