"""pydantic_evals: a dataset of cases, a task that calls through `AsyncOpenAI`, two evaluators of label sets.

It has no client and no cache of its own. The client is the openai package's: as it comes, and on aiohttp, its fastest.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path

from peers.contender import Contender, adapter, missing_module
from peers.task import BEFORE, MODEL, labels_in, read_answers, read_samples, write_answers


def _contender(name: str, client: str) -> Contender:
    return Contender(
        name,
        command=lambda work: adapter("with_pydantic_evals", *work.arguments(), client, python=work.python),
        outcome=lambda work: read_answers(work.folder),
        scores="sets: exact, Jaccard",
        missing=missing_module("pydantic_evals"),
        slow=True,
    )


CONTENDER = _contender("pydantic_evals", "default")
ON_AIOHTTP = _contender("pydantic_evals on aiohttp", "aiohttp")


async def main(url: str, data: str, folder: str, concurrency: str, client_of: str) -> None:
    """Evaluate the task and write down what the report has."""
    import openai
    from pydantic_evals import Case, Dataset
    from pydantic_evals.evaluators import Evaluator, EvaluatorContext

    @dataclass
    class Sets(Evaluator[str, str, None]):  # type: ignore[misc, unused-ignore]  # its types are not here
        def evaluate(self, ctx: EvaluatorContext[str, str, None]) -> dict[str, bool | float]:
            said, wanted = labels_in(ctx.output), labels_in(ctx.expected_output or "")
            return {"exact": said == wanted, "jaccard": len(said & wanted) / len(said | wanted)}

    async def ask(text: str) -> str:
        answer = await client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": BEFORE + text}]
        )
        return answer.choices[0].message.content or ""

    cases = [
        Case(name=sample.id, inputs=sample.text, expected_output=", ".join(sample.labels))
        for sample in read_samples(Path(data))
    ]
    dataset = Dataset(name="reviews", cases=cases, evaluators=[Sets()])
    http_client = openai.DefaultAioHttpClient() if client_of == "aiohttp" else None
    async with openai.AsyncOpenAI(base_url=url, api_key="none", http_client=http_client) as client:
        report = await dataset.evaluate(ask, max_concurrency=int(concurrency), progress=False)
    exact = sum(bool(case.assertions["exact"].value) for case in report.cases) / len(report.cases)
    write_answers(Path(folder), {case.name: case.output for case in report.cases}, exact)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
