"""What a prompt will send, and how long it is: known before any answer is asked for.

The embedded model counts the tokens itself, with its own chat template; for every other model they are estimated.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.cache import Cache
from harness.clients import Server, connect
from harness.constraining import Constraining
from harness.embeddings import with_expected
from harness.labelspace import LabelSpace
from harness.planning import refuse_leaks, with_candidates, with_shots, without_set_aside
from harness.predict import predict
from harness.pricing import estimated_tokens
from harness.project import Project
from harness.prompt import Model, Pass, Prompt
from harness.promptfile import Task
from harness.records import Call, Sample


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it will be sent.

    Attributes:
        draws: How often it will be sent.
        body: What is sent.
        tokens: Tokens of what is asked.
        exact: Whether the model itself counted them; else they are an estimate.
    """

    sample: str
    pass_name: str
    unit: str
    draws: int
    body: Mapping[str, Any]
    tokens: int
    exact: bool

    def to_json(self) -> dict[str, Any]:
        """Return the request as plain values."""
        return {
            "sample": self.sample,
            "pass": self.pass_name,
            "unit": self.unit,
            "draws": self.draws,
            "tokens": self.tokens,
            "exact": self.exact,
            "request": dict(self.body),
        }


@dataclass(frozen=True, slots=True)
class Preview:
    """What a prompt's first pass will send.

    Attributes:
        requests: Those of the first samples, every unit of each.
        mean: Tokens of a sample's requests on average, each counted as often as it is sent; an estimate.
        longest: Id of the sample with the longest single request.
        longest_tokens: Tokens of that request; an estimate unless `exact`.
        exact: Whether the model itself counted the longest request.
        warnings: What will not fit.
    """

    requests: tuple[Request, ...] = ()
    mean: float = 0.0
    longest: str = ""
    longest_tokens: int = 0
    exact: bool = False
    warnings: tuple[str, ...] = ()

    def tokens_json(self) -> dict[str, Any]:
        """Return the counts as plain values."""
        longest = {"sample": self.longest, "tokens": self.longest_tokens, "exact": self.exact}
        return {"mean_estimate": round(self.mean, 1), "longest_request": longest}


@dataclass(frozen=True, slots=True)
class Checked:
    """A prompt that can be run on a split.

    Attributes:
        samples: What it would be run on, with shots and candidates.
        aside: A warning that names the samples that the prompt has set aside as shots, or nothing.
        unknown: How many vectors its shots and candidates want that the cache does not have.
        look: What it will send.
    """

    samples: tuple[Sample, ...]
    aside: tuple[str, ...]
    unknown: int
    look: Preview


def checked(task: Task, project: Project, *, split: str | None = None, n_shown: int = 0) -> Checked:
    """Return what a run of a prompt would send. Every sample is rendered, so that a template that fails on one is told now.

    Args:
        task: The prompt, read with the samples of the split.
        project: Its settings and cache.
        split: None for the dataset's default split.
        n_shown: As `preview` takes it.

    Raises:
        DataError: It cannot be run: shots among the samples, a template that fails.
        ModelError: The embedded model cannot be had here, and was needed to count.
    """
    prompt, space = task.prompt, task.dataset.space
    samples, aside = without_set_aside(prompt, task.samples.samples, split or task.dataset.default_split)
    refuse_leaks(prompt, samples)
    samples = with_candidates(prompt, space, with_shots(prompt, samples))
    samples, unknown = with_expected(prompt, space, samples, project)
    return Checked(samples, aside, unknown, preview(prompt, space, samples, project, n_shown))


@dataclass(slots=True)
class _Seen:
    """What was rendered so far."""

    shown: list[Call] = field(default_factory=list)
    total: int = 0
    longest: Call | None = None
    most: int = -1


def preview(prompt: Prompt, space: LabelSpace, samples: Sequence[Sample], project: Project, n_shown: int) -> Preview:
    """Render the first pass for every sample, and return what will be sent for the first of them.

    Args:
        prompt: What is asked.
        space: The label space.
        samples: With their shots.
        project: Its settings and cache.
        n_shown: For so many samples the requests are returned. With 0 nothing is counted but only estimated, so that no
            model is started.

    Raises:
        DataError: A template fails on a sample.
        ModelError: The embedded model cannot be had here.
    """
    each, seen = prompt.passes[0], _Seen()
    for number, sample in enumerate(samples):
        calls = [call for call in next(predict(prompt, space, sample)) if _is_first_draw(call, each)]
        seen.shown += calls if number < n_shown else []
        for call in calls:
            tokens = estimated_tokens(call)
            seen.total += tokens * each.draws
            if tokens > seen.most:
                seen.most, seen.longest = tokens, call
    if seen.longest is None:
        return Preview()
    counted: list[Request] = []
    longest, exact = seen.most, False
    if n_shown:
        *counted, last = _counted([*seen.shown, seen.longest], prompt, space, project)
        longest, exact = last.tokens, last.exact
    mean = seen.total / len(samples)
    warnings = _too_long(each.model, seen.longest.sample, longest, exact=exact)
    return Preview(tuple(counted), mean, seen.longest.sample, longest, exact, warnings)


def _is_first_draw(call: Call, each: Pass) -> bool:
    return call.draw % each.draws == 0


def _counted(calls: Sequence[Call], prompt: Prompt, space: LabelSpace, project: Project) -> list[Request]:
    """Return calls of the first pass as requests, with their tokens."""
    each = prompt.passes[0]
    clients = {one.name: connect(one.model, project.settings) for one in prompt.passes}
    with Cache(project.cache if project.cache.exists() else None, lambda _: None) as cache:
        forms = Constraining(prompt, space, clients, cache, {})
        bodies = []
        for call in calls:
            ways = forms.ladder(call)
            bodies.append(clients[each.name].body(call, ways.steps[forms.likely(ways)]))
    exact = asyncio.run(_counts(clients[each.name], bodies)) if each.model.is_local else None
    tokens = [estimated_tokens(call) for call in calls] if exact is None else exact
    return [
        Request(call.sample, call.pass_name, call.unit, each.draws, body, count, exact is not None)
        for call, body, count in zip(calls, bodies, tokens, strict=True)
    ]


async def _counts(client: Server, bodies: Sequence[Mapping[str, Any]]) -> list[int]:
    """Return the tokens of requests as the embedded model counts them."""
    try:
        return [await _count(client, body) for body in bodies]
    finally:
        await client.close()


async def _count(client: Server, body: Mapping[str, Any]) -> int:
    text = body.get("prompt")
    if text is None:
        text = (await client.ask("//apply-template", {"messages": body["messages"]}))["prompt"]
    answer = await client.ask("//tokenize", {"content": text, "add_special": True, "parse_special": True})
    return len(answer["tokens"])


def _too_long(model: Model, sample: str, tokens: int, *, exact: bool) -> tuple[str, ...]:
    """Return a warning when the longest request and its answer do not fit into the embedded engine's context."""
    limit = model.params.get("max_tokens", 0)
    room = limit if isinstance(limit, int) else 0
    if not model.is_local or tokens + room <= model.engine.context:
        return ()
    about = "" if exact else "about "
    return (
        f"sample {sample}: its prompt has {about}{tokens:,} tokens, and with max_tokens {room:,} that is more than the "
        f"engine's context of {model.engine.context:,}. Shorten the prompt, or raise model.engine.context.",
    )
