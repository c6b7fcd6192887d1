"""What the engine settings of the embedded model cost and change: seconds a sample, and answers that differ.

    python benchmarks/engine.py [--samples 24] [--prompt prompts/v3.yaml]

Every setting answers the same samples twice, in order and in reverse. "differs" counts the answers that are not those of
one slot without prefix reuse; "by order" those that changed with the order of the calls alone.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness.clients.embedded import EmbeddedClient
from harness.predict import predict
from harness.project import find_project
from harness.prompt import Engine, Prompt
from harness.promptfile import Task, load_task
from harness.records import Sample
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
    print(f"{'slots':>6}{'threads':>9}{'reuse':>7}{'s/sample':>10}{'differs':>9}{'by order':>10}")
    reference: list[str | None] | None = None
    for engine in SETTINGS:
        seconds, answers = measure(task, engine, samples)
        _, backwards = measure(task, engine, samples[::-1])
        reference = reference or answers
        differs = sum(one != other for one, other in zip(answers, reference, strict=True))
        by_order = sum(one != other for one, other in zip(answers, backwards[::-1], strict=True))
        settings = f"{engine.slots:>6}{engine.threads:>9}{'yes' if engine.prefix_reuse else 'no':>7}"
        print(f"{settings}{seconds / len(samples):>10.2f}{differs:>9}{by_order:>10}", flush=True)


def measure(task: Task, engine: Engine, samples: Sequence[Sample]) -> tuple[float, list[str | None]]:
    """Return the seconds that the samples took together, and the answers in their order."""
    model = replace(task.prompt.passes[0].model, engine=engine)
    prompt = replace(task.prompt, passes=(replace(task.prompt.passes[0], model=model),))
    return asyncio.run(_answers(prompt, task, EmbeddedClient(model), samples))


async def _answers(
    prompt: Prompt, task: Task, client: EmbeddedClient, samples: Sequence[Sample]
) -> tuple[float, list[str | None]]:
    bodies = [client.body(next(predict(prompt, task.dataset.space, sample))[0]) for sample in samples]
    await client.send({**bodies[0], "max_tokens": 1})  # starts the server
    gate = asyncio.Semaphore(client.concurrency or 1)

    async def ask(at: int) -> str | None:
        async with gate:
            return (await client.send(bodies[at])).raw

    started = time.perf_counter()
    answers = await asyncio.gather(*(ask(at) for at in range(len(bodies))))
    seconds = time.perf_counter() - started
    await client.close()
    return seconds, list(answers)


if __name__ == "__main__":
    main()
