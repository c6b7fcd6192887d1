"""A server that refuses: so many answers a second and no more, every fifth call a 429 besides, Retry-After 1 s.

    python benchmarks/storm.py [--samples 10000] [--rate 500] [--errors 0.2] [--rounds 3] [--json docs/performance.json]

What counts is that every sample is answered, and how long it takes beside the least time in which this server can answer
so many: samples over rate, less what it lets through at once in the beginning. `harness run` has its defaults; the bare
`AsyncOpenAI` loop has `max_retries` raised from 2, because with 2 it gives up on many.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from aims import aims_table
from figures import storm_table, update
from loadserver import BURST_S, Asked, Server, load_server
from measuring import Usage, measured
from peers import bare_openai, ours
from peers.contender import BENCHMARKS, Contender, Work
from peers.task import expected, write_samples

INCOMPLETE = 3
"""How `harness run` exits when calls failed for good."""


def main() -> None:
    """Run the benchmark and print its tables."""
    options = _options()
    rows = []
    for contender, arguments in ((ours.CONTENDER, ()), (bare_openai.CONTENDER, (str(options.max_retries),))):
        took = [_round(contender, arguments, options) for _ in range(options.rounds)]
        rows.append(_row(contender.name, took))
    limit = limit_s(options.samples, options.rate)
    names = ("samples", "rate", "errors", "retry_after", "latency", "concurrency", "max_retries", "rounds")
    section = {**{name: getattr(options, name) for name in names}, "limit_s": limit, "rows": rows}
    figures = update(options.json, "storm", section) if options.json else {"storm": section}
    print(
        f"\n{options.samples:,} samples, {options.rate:g} answers a second, {options.errors:.0%} errors: {limit:.1f} s\n"
    )
    print(f"{storm_table(section)}\n\n{aims_table(figures, 'storm.py')}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--rate", type=float, default=500.0, help="answers a second")
    parser.add_argument("--errors", type=float, default=0.2, help="the share of calls that are a 429 by chance")
    parser.add_argument("--retry-after", type=float, default=1.0, help="what a 429 tells, in seconds")
    parser.add_argument("--latency", type=float, default=0.02, help="seconds until an answer is sent")
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--max-retries", type=int, default=20, help="of the bare client")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE", help="put the figures there as well")
    options = parser.parse_args()
    if limit_s(options.samples, options.rate) <= 0:
        parser.error(f"--samples must be more than {options.rate * BURST_S:g}, which this server answers at once.")
    return options


def limit_s(samples: int, rate: float) -> float:
    """Return the least seconds in which the server can answer so many samples."""
    return max(0.0, samples / rate - BURST_S)


def _round(contender: Contender, arguments: tuple[str, ...], options: argparse.Namespace) -> tuple[Usage, Asked, int]:
    """Have a contender do the task against a server of its own; return what it took, what was asked, what is missing."""
    names = ("latency", "rate", "errors", "retry_after")
    asked_for = [word for name in names for word in (f"--{name.replace('_', '-')}", str(getattr(options, name)))]
    with tempfile.TemporaryDirectory() as temporary, load_server(*asked_for) as server:
        work = _work(Path(temporary), server, options)
        contender.prepare(work)
        environment = {"OPENAI_API_KEY": "none", "PYTHONPATH": str(BENCHMARKS), **contender.environment(work)}
        command = [*contender.command(work), *arguments]
        usage, _ = measured(command, work.folder, environment, codes=(0, INCOMPLETE))
        answers, wanted = contender.outcome(work).answers, expected(options.samples).answers
        missing = sum(answers.get(key) != answer for key, answer in wanted.items())
        print(f"{contender.name}: {usage.wall_s:.1f} s, {missing} unanswered", file=sys.stderr, flush=True)
        return usage, server.asked(), missing


def _work(folder: Path, server: Server, options: argparse.Namespace) -> Work:
    data = folder / "samples.jsonl"
    write_samples(data, options.samples)
    home = folder / "work"
    home.mkdir()
    return Work(home, data, server.url, options.concurrency, folder)


def _row(name: str, took: list[tuple[Usage, Asked, int]]) -> Mapping[str, Any]:
    """Return the medians of several rounds; of the samples without an answer the most of any round."""
    usages, asked, missing = zip(*took, strict=True)
    return {
        "contender": name,
        "wall_s": round(median(usage.wall_s for usage in usages), 3),
        "cpu_s": round(median(usage.cpu_s for usage in usages), 3),
        "unanswered": max(missing),
        **{
            key: round(median(getattr(each, key) for each in asked)) for key in ("calls", "drawn", "limited", "at_once")
        },
    }


if __name__ == "__main__":
    main()
