"""Bare aiohttp, the limit of what Python can do here: the calls alone, on one pooled session; nothing is scored."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from peers.contender import Contender, adapter
from peers.task import BEFORE, MODEL, read_answers, read_samples, write_answers

CONTENDER = Contender(
    "bare aiohttp",
    command=lambda work: adapter("bare_aiohttp", *work.arguments()),
    outcome=lambda work: read_answers(work.folder),
    scores="nothing",
)


async def main(url: str, data: str, folder: str, concurrency: str) -> None:
    """Ask about every sample and write the answers down at the end."""
    import aiohttp

    samples = iter(read_samples(Path(data)))
    answers: dict[str, str] = {}

    async def worker() -> None:
        for sample in samples:
            body = {"model": MODEL, "messages": [{"role": "user", "content": BEFORE + sample.text}]}
            async with session.post(url + "/chat/completions", json=body) as response:
                answers[sample.id] = (await response.json())["choices"][0]["message"]["content"]

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(worker() for _ in range(int(concurrency))))
    write_answers(Path(folder), answers)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
