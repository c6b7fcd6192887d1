"""Why calls of a run failed, counted: a server that refuses every call says so in one line, not in thousands."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from harness.errors import shortened
from harness.records import CallError

LONGEST = 300
"""Characters of a message that are kept: there may be one for each of a hundred thousand calls."""

_NUMBER = re.compile(r"\d+")
_PASSING = frozenset({408, 409, 423, 425, 429})
"""HTTP statuses below 500 by which a server means that the same call may go well later."""


class Reason(NamedTuple):
    """Why one call has no completion."""

    kind: str
    status: int | None
    message: str


@dataclass(frozen=True, slots=True)
class Failing:
    """Calls that failed in one way, with the reason of the first of them."""

    reason: Reason
    calls: int

    @property
    def permanent(self) -> bool:
        """Whether the server refuses such calls: sent again as they are, they fail again."""
        status = self.reason.status
        return status is not None and 400 <= status < 500 and status not in _PASSING

    def to_json(self) -> dict[str, Any]:
        """Return the reason and the count as plain values."""
        return {**self.reason._asdict(), "calls": self.calls}


def reason_of(error: CallError | None) -> Reason:
    """Return why a call failed, short enough to be kept for every call; of what a file holds that is no error, nothing."""
    said: Mapping[str, object] = error if isinstance(error, dict) else {}
    status = said.get("status")
    message = shortened(str(said.get("message", "")), LONGEST)
    return Reason(str(said.get("kind", "unknown")), status if isinstance(status, int) else None, message)


def commonest(reasons: Iterable[Reason]) -> tuple[Failing, ...]:
    """Return how often calls failed in which way, the commonest way first.

    Messages that differ in nothing but numbers, such as the tokens of a text or the id of a request, say the same.
    """
    counts: Counter[tuple[str, int | None, str]] = Counter()
    first: dict[tuple[str, int | None, str], Reason] = {}
    for reason, calls in Counter(reasons).items():
        alike = (reason.kind, reason.status, _NUMBER.sub("0", reason.message))
        counts[alike] += calls
        first.setdefault(alike, reason)
    return tuple(Failing(first[alike], calls) for alike, calls in counts.most_common())
