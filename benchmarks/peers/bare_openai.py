"""Bare `AsyncOpenAI` as it comes: the loop that most people write first; nothing is scored.

A call that fails after its retries has no answer, and the loop goes on.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from peers.contender import Contender, adapter
from peers.task import BEFORE, MODEL, read_answers, read_samples, write_answers

CONTENDER = Contender(
    "bare AsyncOpenAI",
    command=lambda work: adapter("bare_openai", *work.arguments()),
    outcome=lambda work: read_answers(work.folder),
    scores="nothing",
)


async def main(url: str, data: str, folder: str, concurrency: str, max_retries: str = "") -> None:
    """Ask about every sample and write the answers down at the end; `max_retries` is the client's own where empty."""
    import openai

    samples = iter(read_samples(Path(data)))
    answers: dict[str, str] = {}

    async def worker() -> None:
        for sample in samples:
            try:
                answer = await client.chat.completions.create(
                    model=MODEL, messages=[{"role": "user", "content": BEFORE + sample.text}]
                )
            except openai.APIError:
                continue
            answers[sample.id] = answer.choices[0].message.content or ""

    client = openai.AsyncOpenAI(base_url=url, api_key="none")
    if max_retries:
        client = client.with_options(max_retries=int(max_retries))
    async with client:
        await asyncio.gather(*(worker() for _ in range(int(concurrency))))
    write_answers(Path(folder), answers)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
