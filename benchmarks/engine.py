"""What the engine settings of the embedded model cost and change: time and tokens a sample, and answers that differ.

    python benchmarks/engine.py [--samples 24] [--prompt prompts/v3.yaml]

Every setting answers the same samples twice, in order and in reverse. "s" is what the clock says, "CPU" the processor time
(on a machine that does other things too, that one tells more), "read" and "written" are the tokens of the prompt that were
not in a slot already, and those of the answer. "differs" counts the answers that are not those of
one slot without prefix reuse; "by order" those that changed with the order of the calls alone.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.clients.embedded import EmbeddedClient
from harness.predict import predict
from harness.project import find_project
from harness.prompt import Engine, Prompt
from harness.promptfile import Task, load_task
from harness.records import Completion, Sample
from harness.selection import Selection, select

CORES = len(os.sched_getaffinity(0))
SETTINGS = [
    Engine(slots=slots, threads=threads, prefix_reuse=reuse)
    for reuse in (False, True)
    for threads in dict.fromkeys((max(1, CORES // 2), CORES))
    for slots in (1, 4)
]


def main() -> None:
    """Measure every setting and print one line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=24)
    parser.add_argument("--prompt", type=Path, default=Path("prompts/v3.yaml"))
    options = parser.parse_args()
    task = load_task(options.prompt, find_project(options.prompt))
    samples = select(task.samples.samples, Selection(limit=options.samples))
    print(f"{options.prompt}, {len(samples)} samples, {CORES} cores")
    print("a sample:".rjust(31))
    print(
        f"{'slots':>6}{'threads':>9}{'reuse':>7}{'s':>9}{'CPU s':>8}{'read':>7}{'written':>9}{'differs':>9}{'by order':>10}"
    )
    reference: list[str | None] = []
    for engine in SETTINGS:
        cost = measure(task, engine, samples)
        answers = [each.raw for each in cost.completions]
        backwards = [each.raw for each in measure(task, engine, samples[::-1]).completions]
        reference = reference or answers
        differs = sum(one != other for one, other in zip(answers, reference, strict=True))
        by_order = sum(one != other for one, other in zip(answers, backwards[::-1], strict=True))
        settings = f"{engine.slots:>6}{engine.threads:>9}{'yes' if engine.prefix_reuse else 'no':>7}"
        times = f"{cost.seconds / len(samples):>9.2f}{cost.cpu_seconds / len(samples):>8.2f}"
        tokens = f"{cost.read / len(samples):>7.0f}{cost.written / len(samples):>9.1f}"
        print(f"{settings}{times}{tokens}{differs:>9}{by_order:>10}", flush=True)


@dataclass(frozen=True)
class Cost:
    """What the answers to some samples cost together."""

    seconds: float
    cpu_seconds: float
    completions: list[Completion]

    @property
    def read(self) -> int:
        """Tokens of the prompts that were not in a slot already."""
        return sum(each.usage["prompt_tokens"] - each.usage.get("cached_tokens", 0) for each in self.completions)

    @property
    def written(self) -> int:
        """Tokens of the answers."""
        return sum(each.usage["completion_tokens"] for each in self.completions)


def measure(task: Task, engine: Engine, samples: Sequence[Sample]) -> Cost:
    """Return what the samples cost, with their completions in their order."""
    model = replace(task.prompt.passes[0].model, engine=engine)
    prompt = replace(task.prompt, passes=(replace(task.prompt.passes[0], model=model),))
    return asyncio.run(_asked(prompt, task, EmbeddedClient(model), samples))


async def _asked(prompt: Prompt, task: Task, client: EmbeddedClient, samples: Sequence[Sample]) -> Cost:
    bodies = [client.body(next(predict(prompt, task.dataset.space, sample))[0]) for sample in samples]
    await client.send({**bodies[0], "max_tokens": 1})  # starts the server
    gate = asyncio.Semaphore(client.concurrency or 1)

    async def ask(at: int) -> Completion:
        async with gate:
            return await client.send(bodies[at])

    started, used = time.perf_counter(), time.process_time()  # the engine's threads are this process's own
    completions = await asyncio.gather(*(ask(at) for at in range(len(bodies))))
    cost = Cost(time.perf_counter() - started, time.process_time() - used, list(completions))
    await client.close()
    return cost


if __name__ == "__main__":
    main()
