"""What an ended batch says of its requests: answers are kept at once, failures sorted by whether another batch can help."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import cast

from harness.batchfiles import Result
from harness.batchlog import Ended, How, Part
from harness.clients.wires import WIRES
from harness.prompt import Api
from harness.records import Call, CallError, Completion

Keep = Callable[[Call, str, Completion], None]
"""Writes the completion of a call with a key down."""


class Reading:
    """What the files of a batch say, line by line.

    Args:
        part: The requests of the batch.
        wanted: By call key, the calls that wait for its answer.
        tries: By call key, how many batches failed to bring one before.
        keep: Writes a completion down.

    Attributes:
        unreadable: Lines that cannot be read.
        doubled: Lines about a request that another one was about.
        strange: Lines about no request of the batch.
    """

    def __init__(self, part: Part, wanted: Mapping[str, Sequence[Call]], tries: Mapping[str, int], keep: Keep) -> None:
        self._part, self._wanted, self._tries, self._keep = part, wanted, tries, keep
        self._mine, self._seen = frozenset(part.keys), set[str]()
        self._read = WIRES[cast(Api, part.api)].read
        self._failed: dict[str, CallError] = {}
        self._again: dict[str, CallError] = {}
        self._answered = self.unreadable = self.doubled = self.strange = 0

    def take(self, result: Result | None) -> None:
        """Take a line: keep its completion, or note why there is none."""
        if result is None:
            self.unreadable += 1
        elif result.key not in self._mine:
            self.strange += 1
        elif result.key in self._seen:
            self.doubled += 1
        elif result.ended:  # like a request of which there is no line
            return
        else:
            self._seen.add(result.key)
            if result.error is None:
                self._answer(result)
            else:
                (self._again if result.again else self._failed)[result.key] = result.error

    def _answer(self, result: Result) -> None:
        try:
            completion = self._read(result.body, 0.0)
        except (ValueError, RecursionError) as error:
            self._again[result.key] = CallError(kind="bad_response", message=str(error)[:500], status=None)
            return
        self._answered += 1
        completion = replace(completion, attempts=self._tries.get(result.key, 0) + 1, batch=True)
        for at, call in enumerate(self._wanted.get(result.key, ())):
            self._keep(call, result.key, completion if at == 0 else replace(completion, cached=True))

    def end(self, how: How) -> Ended:
        """Return what came of all requests; of a cancelled batch those without a line did not fail."""
        if how != "cancelled":
            word = "batch_expired" if how == "expired" else "batch_missing"
            why = (
                "the batch expired before it was processed" if how == "expired" else "the batch's files do not have it"
            )
            lost = CallError(kind=word, message=why, status=None)
            self._again |= {key: lost for key in self._part.keys if key not in self._seen}
        return Ended(how, self._answered, self._failed, self._again)
