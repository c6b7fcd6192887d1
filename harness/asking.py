"""One request outside of a run: its answer from the cache, or from the model and kept there at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from harness.cache import Cache
from harness.clients import Client, connect
from harness.errors import ModelError, UsageError
from harness.identity import call_key
from harness.pricing import spent
from harness.project import Project
from harness.prompt import Model
from harness.records import Call, Completion, Message
from harness.retry import RetryPolicy, with_retries


@dataclass(frozen=True, slots=True)
class Asked:
    """What came back.

    Attributes:
        draw: Which answer to this request it is, from 0.
        usd: What the call cost now; 0 from the cache, None when unknown.
    """

    completion: Completion
    draw: int
    usd: float | None

    def to_json(self) -> dict[str, Any]:
        """Return the answer as plain values."""
        kept = ("raw", "reasoning", "finish_reason", "usage", "cached")
        return {**{name: getattr(self.completion, name) for name in kept}, "draw": self.draw, "usd": self.usd}


def ask(
    model: Model,
    messages: Sequence[Message],
    project: Project,
    *,
    again: bool = False,
    warn: Callable[[str], None] = lambda _: None,
) -> Asked:
    """Return the answer to a request: the last one that the cache has, else a new one, which is kept there at once.

    Args:
        model: Who is asked.
        messages: What is sent.
        project: Settings and cache.
        again: Ask anew, whatever the cache has.
        warn: Told what a person should know.

    Raises:
        UsageError: It is to be asked again, and by its settings answers the same.
        ModelError: No answer came.
    """
    if again and model.answers_alike:
        raise UsageError(
            f"--again: {model.name} must be able to answer otherwise, but its settings give the same answer. "
            "Add: --param temperature=0.7"
        )
    client = connect(model, project.settings)
    body = client.body(Call("", "suggest", "", 0, tuple(messages)))
    with Cache(project.cache, warn) as cache:
        draw, kept = 0, cache.get(call_key(client.endpoint, body, 0))
        while kept is not None and (later := cache.get(call_key(client.endpoint, body, draw + 1))) is not None:
            draw, kept = draw + 1, later
        if kept is not None and not again:
            return Asked(kept, draw, 0.0)
        draw += kept is not None
        completion = _run(client, body, RetryPolicy(project.settings.max_attempts, project.settings.max_retry_s))
        cache.put(call_key(client.endpoint, body, draw), completion)
    if completion.error is not None:
        raise ModelError(f"model {model.name}: gives no answer: {completion.error['message']}")
    return Asked(completion, draw, spent([(model.name, completion.usage)], project.settings.prices).usd)


def _run(client: Client, body: Mapping[str, Any], policy: RetryPolicy) -> Completion:
    """Return the completion of a request, in a thread of its own where a loop runs already: in a notebook."""

    async def asking() -> Completion:
        try:
            return await with_retries(lambda: client.send(body), policy)
        finally:
            await client.close()

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(asking())
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(asyncio.run, asking()).result()
