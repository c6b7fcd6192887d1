"""A run's missing calls by a provider's batch API.

`fill` takes every sample through the passes with the completions at hand. What is missing then is a round: it is written
into files of requests, each file becomes a batch, and what the batches answer is written down like any completion. Then it
looks again, because the answers of one pass decide what the next one asks. When nothing is missing, the ordinary way of a
run finds every completion at hand, and finishes it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from harness.batchfiles import Drafts, Target
from harness.batchlog import BatchLog, StillOpenError
from harness.batchsending import Sending, Ways, calls
from harness.clients import Client
from harness.clients.batches import BATCHED_APIS, BatchApi
from harness.clients.wires import WIRES
from harness.constraining import Constraining
from harness.errors import ModelError, listing
from harness.identity import call_key
from harness.labelspace import LabelSpace
from harness.predict import predict
from harness.prompt import Prompt
from harness.records import Call, CallError, Completion, Sample
from harness.retry import AttemptFailed

_TRIED_OUT = 3
"""Samples that are asked directly, and have no answer, after which nothing is submitted."""


@dataclass(frozen=True)
class Work:
    """The run whose calls are batched.

    Attributes:
        run: Its id.
        path: Its folder.
        clients: Who answers, by pass name: they make the requests and the keys.
        constraining: Returns what is known now of the forms that the servers take.
        at_hand: Returns the completion that the run or the cache has of a call with this key.
        keep: Writes a completion down.
        try_out: Takes a sample through the passes by ordinary calls, and returns why one of them brought nothing, if so.
        warn: Told what a person should know.
    """

    run: str
    path: Path
    prompt: Prompt
    space: LabelSpace
    samples: Sequence[Sample]
    repeats: int
    clients: Mapping[str, Client]
    constraining: Callable[[], Constraining]
    at_hand: Callable[[Call, str], Completion | None]
    keep: Callable[[Call, str, Completion], None]
    try_out: Callable[[Sample], Awaitable[str | None]]
    warn: Callable[[str], None] = lambda _: None


class Filled:
    """Who answers the calls of a run that batches have filled: nobody is asked, and why a call failed is known.

    Args:
        client: Makes the requests and the keys.
        failures: Why requests have no answer, by the key that each has as a first draw.
    """

    def __init__(self, client: Client, failures: Mapping[str, CallError]) -> None:
        self._client, self._failures = client, failures

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def send(self, body: Mapping[str, Any]) -> Completion:
        """Tell why a request has no answer.

        Raises:
            AttemptFailed: Always.
        """
        unasked = CallError(kind="not_in_batch", message="no batch asked this", status=None)
        raise AttemptFailed(self._failures.get(call_key(self._client.endpoint, body, 0), unasked), again=False)


def refuse_unbatched(prompt: Prompt) -> None:
    """Refuse a prompt of which a pass asks a model that has no batch API.

    Raises:
        ModelError: The message names the pass.
    """
    for each in prompt.passes:
        if each.model.is_local or each.model.api not in BATCHED_APIS:
            what = "runs on this machine" if each.model.is_local else f"is asked by the API '{each.model.api}'"
            raise ModelError(
                f"pass {each.name}: must ask a server by one of the APIs {listing(BATCHED_APIS)} to be batched, but "
                f"{each.model.name} {what}. Leave out: --engine batch"
            )


async def fill(
    work: Work, log: BatchLog, api_of: Callable[[str], BatchApi], ways: Ways | None = None
) -> dict[str, Client]:
    """Have the missing calls of a run answered by batches, and return who answers its calls from then on.

    Args:
        work: The run.
        log: Its log of batches.
        api_of: Returns the batches of a server, by its base URL.
        ways: How.

    Raises:
        StillOpenError: Batches are under way, or calls are missing, and it was not to wait or to submit.
        CancelledBatchError: A batch was cancelled; the rest of it is not asked again unless somebody wants it.
        ModelError: A provider does not take a batch, or cannot be used.
        DataError: The disk refuses, or a template fails.
    """
    refuse_unbatched(work.prompt)
    ways = ways or Ways()
    sending = Sending(work.run, work.path, log, api_of, ways, work.keep, work.warn)
    await sending.recover()
    filling = _Filling(work, log, sending, ways)
    while not await filling.round():
        pass
    log.finished()
    return {name: Filled(client, filling.failures) for name, client in work.clients.items()}


class _Missing(NamedTuple):
    """A call without a completion, and its request; `settled` tells whether it is known that the server takes its form."""

    call: Call
    body: Mapping[str, Any]
    key: str
    settled: bool


@dataclass
class _Filling:
    """One go at the missing calls of a run.

    Attributes:
        failures: As `Filled` has them; complete after a round in which nothing was missing.
        wanted: By call key, the calls that wait for an answer; without their messages, which are long.
        unheld: How many of these are in no batch.
        proven: Passes of which a call was answered, or is in a batch.
        tried: Samples that were asked directly.
        unanswered: How many of them had no answer, since the last that had one; `why` says why.
    """

    work: Work
    log: BatchLog
    sending: Sending
    ways: Ways
    failures: dict[str, CallError] = field(default_factory=dict)
    wanted: dict[str, list[Call]] = field(default_factory=dict)
    unheld: int = 0
    proven: set[str] = field(default_factory=set)
    tried: set[str] = field(default_factory=set)
    unanswered: int = 0
    why: str = "none came"

    async def round(self) -> bool:
        """Have answered what is missing now; return whether nothing was."""
        limits = replace(self.ways.limits, requests=max(1, self.ways.limits.requests >> self.sending.halvings))
        drafts = Drafts(self.work.path, limits)
        try:
            if (sample := self._look(drafts)) is not None:
                await self._try_out(sample)
                return False
            if not self.wanted:
                return True
            if self.unheld and not self.ways.submit and not self.log.known.open:
                raise StillOpenError(
                    f"run {self.work.run}: no batch holds {calls(self.unheld)} that it still needs. "
                    f"Go on with: harness run --resume {self.work.run}"
                )
            await self.sending.carry_out(drafts.made, self.wanted)
        finally:
            drafts.close()
        return False

    def _look(self, drafts: Drafts) -> Sample | None:
        """Take all samples through the passes with what is at hand, and write the requests that are missing.

        Returns:
            A sample that is to be asked directly before anything else, if there is one: with the first call of a pass, so
            that a mistake in a prompt is told in seconds and not in hours; or with a call of which it is not known whether
            the server takes the form of its answer.

        Raises:
            ModelError: Whether the server takes a form cannot be found out, for nothing is answered.
        """
        known, log, submit = self.work.constraining(), self.log.known, self.ways.submit
        standing = log.standing(self.ways.rounds)
        held = frozenset(key for part in log.open for key in part.keys)
        self.proven |= {name for part in log.parts for name in part.passes}
        self.wanted, self.failures, self.unheld = {}, {}, 0
        unknown = 0
        for sample, repeat in self._samples():
            for each in self._missing(known, standing, sample, repeat):
                sure = each.settled and each.call.pass_name in self.proven
                if submit and not sure and sample.id not in self.tried:
                    return sample
                if submit and not each.settled:
                    unknown += 1
                else:
                    self._want(each, held, drafts)
        if unknown and not self.wanted:
            raise self._unanswered()
        return None

    def _samples(self) -> Iterator[tuple[Sample, int]]:
        return ((sample, repeat) for repeat in range(self.work.repeats) for sample in self.work.samples)

    def _missing(
        self, known: Constraining, standing: Mapping[str, CallError], sample: Sample, repeat: int
    ) -> list[_Missing]:
        """Return the calls about a sample that have no completion, all of one pass; none when it is done."""
        asking = predict(self.work.prompt, self.work.space, sample, repeat)
        try:
            asked = next(asking)
            while True:
                found = [self._found(known, standing, call) for call in asked]
                missing = [each for each in found if isinstance(each, _Missing)]
                if missing:
                    return missing
                asked = asking.send([each for each in found if isinstance(each, Completion)])
        except StopIteration:
            return []

    def _found(self, known: Constraining, standing: Mapping[str, CallError], call: Call) -> Completion | _Missing:
        """Return the completion of a call, or a failure that stands; else what is missing."""
        client, ways = self.work.clients[call.pass_name], known.ladder(call)
        body = client.body(call, ways.steps[known.likely(ways)])
        key = call_key(client.endpoint, body, call.draw)
        found = self.work.at_hand(call, key)
        if found is not None:
            self.proven.add(call.pass_name)
            return found
        if key in standing:
            self.failures[call_key(client.endpoint, body, 0)] = standing[key]
            return Completion("error", error=standing[key])
        return _Missing(call, body, key, known.settled(ways))

    def _want(self, missing: _Missing, held: frozenset[str], drafts: Drafts) -> None:
        """Note that a call waits for an answer, and write its request where no batch holds it yet."""
        call, body, key, _ = missing
        waiting = self.wanted.setdefault(key, [])
        waiting.append(replace(call, messages=(), questions=(), labels=()))
        if key in held or len(waiting) > 1:
            return
        self.unheld += 1
        endpoint = self.work.clients[call.pass_name].endpoint
        target = Target(str(endpoint["base_url"]), str(endpoint["api"]), str(body.get("model", "")))
        path = WIRES[endpoint["api"]].path
        if self.ways.submit and not drafts.add(target, call.pass_name, key, path, body):
            raise ModelError(
                f"run {self.work.run}: sample {call.sample}, pass {call.pass_name}: a request must fit into a file of "
                f"{self.ways.limits.n_bytes:,} bytes, but is larger. Leave out: --engine batch"
            )

    async def _try_out(self, sample: Sample) -> None:
        """Ask about a sample directly, through all passes.

        Raises:
            ModelError: Several samples had no answer: the batches would have none either.
        """
        self.tried.add(sample.id)
        why = await self.work.try_out(sample)
        self.unanswered = 0 if why is None else self.unanswered + 1
        self.why = why or self.why
        if self.unanswered >= _TRIED_OUT:
            raise self._unanswered()

    def _unanswered(self) -> ModelError:
        samples = "a sample that was" if self.unanswered == 1 else f"{self.unanswered} samples that were"
        return ModelError(
            f"run {self.work.run}: before a batch, samples are asked directly, and {samples} asked had no answer: "
            f"{self.why.rstrip('.')}. So nothing more was submitted."
        )
