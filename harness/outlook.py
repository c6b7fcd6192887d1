"""What a run would do, without a call: how many calls, how many tokens, what price."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from harness.cache import Cache
from harness.clients import Client, connect_passes
from harness.constraining import Constraining
from harness.embeddings import with_expected
from harness.identity import call_key
from harness.planning import Plan
from harness.predict import predict
from harness.pricing import estimated_tokens, spent
from harness.project import Project
from harness.prompt import ANSWER_LIMITS, DECISION_APIS, Model, Pass
from harness.records import Call, Completion, Sample, Usage


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a dry run tells.

    Attributes:
        calls: Calls that are known, all repeats: those of the first pass, and those of later ones wherever the cache has
            every answer that they depend on.
        cached: How many of them the cache answers.
        later_calls: Most calls that later passes can add, where the answers before them are not known.
        prompt_tokens: Estimated tokens of the known calls that are to be made (four bytes of UTF-8 a token).
        completion_tokens: Most tokens that can come back for these; None when no max_tokens bounds them.
        usd: Most that the run can cost; None when unknown.
        embeddings: Texts whose vectors are asked for before, to choose shots and candidates; they are in no other number.
    """

    calls: int
    cached: int
    later_calls: int
    prompt_tokens: int
    completion_tokens: int | None
    usd: float | None
    embeddings: int = 0


def foresee(plan: Plan, project: Project, *, use_cache: bool = True) -> Outlook:
    """Return what a run would do, without a call.

    Raises:
        DataError: A template or `when` fails on a sample whose earlier answers are known.
    """
    samples, embeddings = with_expected(plan.prompt, plan.space, plan.samples, project, use_cache=use_cache)
    clients = connect_passes(plan.prompt, project.settings)
    with Cache(project.cache if use_cache and project.cache.exists() else None, lambda _: None) as cache:
        known = Constraining(plan.prompt, plan.space, clients, cache, {})
        looking = _Looking(replace(plan, samples=samples), clients, known, cache, use_cache)
        for repeat in range(plan.repeats):
            for sample in samples:
                looking.foresee(sample, repeat)
    models = {each.name: each.model for each in plan.prompt.passes}
    asked = [(models[name], tokens) for name, tokens in looking.asked]
    limits = [_most_tokens(model) for model, _ in asked]
    usages = [
        (model.name, Usage(prompt_tokens=tokens, completion_tokens=limit or 0))
        for (model, tokens), limit in zip(asked, limits, strict=True)
    ]
    usd = spent(usages, project.settings.prices).usd
    bounded = None not in limits
    return Outlook(
        calls=len(asked) + looking.cached,
        cached=looking.cached,
        later_calls=looking.later,
        prompt_tokens=sum(tokens for _, tokens in asked),
        completion_tokens=sum(limit or 0 for limit in limits) if bounded else None,
        usd=usd if not looking.later and not embeddings and (bounded or usd == 0) else None,
        embeddings=embeddings,
    )


def _most_tokens(model: Model) -> int | None:
    """Return how long an answer can be, in tokens; None where nothing bounds it."""
    if model.api in DECISION_APIS:
        return 0
    limit = next((model.params[name] for name in ANSWER_LIMITS if name in model.params), None)
    return limit if isinstance(limit, int) else None


class _Looking:
    """Goes through the samples of a plan, and counts.

    Attributes:
        asked: The pass and the estimated tokens of each call that is to be made.
        cached: Calls that the cache answers, or that wait for the answer to the same call.
        later: Calls that may follow where an answer is not known.
    """

    def __init__(
        self, plan: Plan, clients: Mapping[str, Client], known: Constraining, cache: Cache, use_cache: bool
    ) -> None:
        self._plan, self._clients, self._known, self._cache, self._use_cache = plan, clients, known, cache, use_cache
        self._seen: set[str] = set()
        self._most = _most_after(plan.prompt.passes, plan)
        self.asked: list[tuple[str, int]] = []
        self.cached = 0
        self.later = 0

    def foresee(self, sample: Sample, repeat: int) -> None:
        """Follow one sample through the passes, as far as the cache has the answers."""
        asking = predict(self._plan.prompt, self._plan.space, sample, repeat)
        try:
            calls = next(asking)
            while True:
                answers = [self._answer(call) for call in calls]
                after = self._most[calls[0].pass_name]
                known = [each for each in answers if each is not None]
                if not after or len(known) < len(calls):
                    self.later += after
                    return
                calls = asking.send(known)
        except StopIteration:
            return

    def _answer(self, call: Call) -> Completion | None:
        """Return what the cache has for a call; None where it has nothing, or the answer is still to come."""
        client = self._clients[call.pass_name]
        ways = self._known.ladder(call)
        body = client.body(call, ways.steps[self._known.likely(ways)])
        key = call_key(client.endpoint, body, call.draw)
        found = self._cache.get(key) if self._use_cache else None
        if found is not None or (self._use_cache and key in self._seen):
            self.cached += 1
        else:
            self.asked.append((call.pass_name, estimated_tokens(call)))
        self._seen.add(key)  # the second of two identical calls waits for the first one's answer
        return found


def _most_after(passes: tuple[Pass, ...], plan: Plan) -> dict[str, int]:
    """Return by pass how many calls the passes behind it make for a sample at most."""
    most: dict[str, int] = {}
    behind = 0
    for each in reversed(passes):
        most[each.name] = behind
        behind += each.most_calls(plan.space)
    return most
