"""Throughput of `harness run` beside the same calls made by a bare loop, in the same run, on the same scripted server.

    python benchmarks/throughput.py [--samples 2000] [--concurrency 64] [--rounds 3]

Each contender is a process of its own, timed as a whole (imports, reading, calls, writing, scoring), and all of them
take turns, so that a slow minute of the machine hits them alike. `harness run` renders, calls, writes every completion
down, parses, scores and reports; the bare loops only call and keep the text. What counts are the ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from scripted_server import server_process  # noqa: E402 - it lives beside the tests

LABELS = ["shipping", "packaging", "quality", "mismatch", "usability", "price", "service", "refund"]
ANSWER = "shipping, quality"
LATENCIES = (0.0, 0.05)

BARE_AIOHTTP = """
import asyncio, json, sys
import aiohttp

async def main(url, path, concurrency):
    texts = iter([json.loads(line)["text"] for line in open(path)])
    answers = []
    async def worker(session):
        for text in texts:
            body = {"model": "bench", "messages": [{"role": "user", "content": text}]}
            async with session.post(url + "/chat/completions", json=body) as response:
                answers.append((await response.json())["choices"][0]["message"]["content"])
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(worker(session) for _ in range(concurrency)))
    print(len(answers))

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""

BARE_OPENAI = """
import asyncio, json, sys
import openai

async def main(url, path, concurrency):
    texts = iter([json.loads(line)["text"] for line in open(path)])
    answers = []
    client = openai.AsyncOpenAI(base_url=url, api_key="none")
    async def worker():
        for text in texts:
            answer = await client.chat.completions.create(model="bench", messages=[{"role": "user", "content": text}])
            answers.append(answer.choices[0].message.content)
    await asyncio.gather(*(worker() for _ in range(concurrency)))
    await client.close()
    print(len(answers))

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(
        f"{options.samples} samples, concurrency {options.concurrency}, median of {options.rounds} rounds, whole processes"
    )
    print(f"{'server latency':<16}{'contender':<22}{'seconds':>8}{'samples/s':>11}{'harness is':>16}")
    for latency in LATENCIES:
        with tempfile.TemporaryDirectory() as folder, server_process(ANSWER, latency=latency) as url:
            _report(
                latency,
                measure(Path(folder), url, options.samples, options.concurrency, options.rounds),
                options.samples,
            )


def measure(folder: Path, url: str, samples: int, concurrency: int, rounds: int) -> dict[str, float]:
    """Return the median seconds of every contender, who take turns."""
    data = write_project(folder, samples)
    bare = [url, str(data), str(concurrency)]
    ours = [
        sys.executable,
        "-m",
        "harness",
        "run",
        "prompts/v1.yaml",
        "--base-url",
        url,
        "-j",
        str(concurrency),
        "--no-cache",
    ]
    contenders = {
        "harness run": ours,
        "bare AsyncOpenAI": [sys.executable, "-c", BARE_OPENAI, *bare],
        "bare aiohttp": [sys.executable, "-c", BARE_AIOHTTP, *bare],
    }
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, command in contenders.items():
            seconds[name].append(_timed(command, folder))
    return {name: statistics.median(values) for name, values in seconds.items()}


def write_project(folder: Path, samples: int) -> Path:
    """Write a project with so many samples; return its sample file."""
    (folder / "harness.toml").touch()
    (folder / "prompts").mkdir()
    (folder / "prompts" / "v1.yaml").write_text(
        "dataset: ../data.yaml\nmodel: bench\ntemplate: 'Labels: {{ labels | join(\", \") }}. {{ text }}'\noutput: list\n"
    )
    (folder / "data.yaml").write_text(f"labels: {json.dumps(LABELS)}\nsplits: {{dev: data.jsonl}}\n")
    data = folder / "data.jsonl"
    rows = (
        {"id": f"s{n}", "text": f"Review {n}: it came late and broke. " * 4, "labels": [LABELS[n % 8], LABELS[n % 3]]}
        for n in range(samples)
    )
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return data


def _timed(command: list[str], folder: Path) -> float:
    environment = {**os.environ, "OPENAI_API_KEY": "none", "PYTHONPATH": str(ROOT)}
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def _report(latency: float, seconds: dict[str, float], samples: int) -> None:
    ours = seconds["harness run"]
    for name, value in seconds.items():
        ratio = "" if name == "harness run" else f"{value / ours:.2f} x as fast"
        print(f"{latency * 1000:>5.0f} ms{'':<8}{name:<22}{value:>8.2f}{samples / value:>11.0f}{ratio:>16}")


if __name__ == "__main__":
    main()
