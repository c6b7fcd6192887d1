"""`harness run` side by side with bare loops and with the evaluation tools of others: seconds, CPU and memory.

    python benchmarks/throughput.py [--samples 2000,20000] [--latency 0,0.05] [--rounds 3] [--only NAME,…]
                                    [--no-cached] [--peers DIR] [--json docs/performance.json]
    python benchmarks/throughput.py --quick     what judges the aims, and no more

Every contender does the same task against the same scripted server with the same concurrency, in a process of its own
that is measured whole: imports, reading, calls, writing, scoring. They take turns, so that a slow minute of the machine
hits them alike, and each number is the median of its rounds. After each process it is checked, outside its time, that
the server was asked every prompt once (none in a cached re-run), that the answers are the right ones, and that the
share of exact answers is right where it scores. Peers come from `python benchmarks/peers/install.py`; those that are
missing are skipped by name. The result of a contender that does not do the task is not shown, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from aims import aims_table
from figures import Row, cell_table, cell_title, medians, read_figures, rows_of, update
from loadserver import Asked, Server, load_server
from measuring import Usage, measured
from peers import bare_aiohttp, bare_openai, ours, with_inspect_ai, with_promptfoo, with_pydantic_evals
from peers.contender import BENCHMARKS, Contender, Work
from peers.install import DEFAULT, versions
from peers.task import BEFORE, Outcome, checksum, expected, sample, write_samples

CONTENDERS = (
    ours.CONTENDER,
    bare_aiohttp.CONTENDER,
    bare_openai.CONTENDER,
    with_pydantic_evals.CONTENDER,
    with_pydantic_evals.ON_AIOHTTP,
    with_promptfoo.CONTENDER,
    with_inspect_ai.CONTENDER,
)
WARM_UP = 8
"""Samples of the run that no one measures: it compiles and loads what later runs find compiled and loaded."""


class Step(NamedTuple):
    """What one contender does in one cell of the matrix."""

    contender: Contender
    rounds: int
    cached: bool


class Cell(NamedTuple):
    """One cell of the matrix."""

    latency: float
    samples: int
    steps: Sequence[Step]


class Took(NamedTuple):
    """What one process took, and what the server was asked by it."""

    cached: bool
    usage: Usage
    asked: Asked


class OtherTaskError(Exception):
    """A contender did something else than it was asked to."""


def main() -> None:
    """Run the benchmark and print its tables."""
    options = _options()
    present = [each for each in CONTENDERS if _chosen(each, options.only) and not _skipped(each, options.peers)]
    plan = quick_plan(present) if options.quick else full_plan(present, options)
    failed: set[str] = set()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for cell in plan:
            found = list(run_cell(cell, Path(folder), options.concurrency, options.peers, failed))
            rows += found
            if found:
                print(f"\n{cell_title(cell.latency, cell.samples)}\n\n{cell_table(found)}", flush=True)
    if options.json:
        rows = merged(rows_of(read_figures(options.json)), rows)
    section = {
        "machine": machine(),
        "versions": versions(options.peers),
        "concurrency": options.concurrency,
        "rows": [row._asdict() for row in rows],
    }
    figures = update(options.json, "throughput", section) if options.json else {"throughput": section}
    print(f"\n{aims_table(figures, 'throughput.py')}")
    sys.exit(1 if failed else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--samples", type=_numbers(int), default=[2000, 20_000], metavar="N,…")
    parser.add_argument("--latency", type=_numbers(float), default=[0.0, 0.05], metavar="S,…", help="of the server")
    parser.add_argument("--concurrency", type=int, default=64, metavar="N")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--only", type=_words, default=[], metavar="NAME,…", help="contenders, by a part of their name")
    parser.add_argument("--cached", action=argparse.BooleanOptionalAction, default=True, help="measure re-runs too")
    parser.add_argument("--quick", action="store_true", help="what the aims need; slow peers have one round")
    parser.add_argument("--peers", type=Path, default=DEFAULT, metavar="DIR", help="where install.py put them")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="put the figures there, cell by cell in place of the last"
    )
    options = parser.parse_args()
    options.peers = options.peers.resolve()
    for word in options.only:
        if not any(word in each.name for each in CONTENDERS):
            parser.error(f"--only {word}: no such contender. They are {', '.join(each.name for each in CONTENDERS)}.")
    return options


def _numbers(kind: type[int] | type[float]) -> Any:
    def numbers(text: str) -> list[float]:
        return [kind(part) for part in text.split(",")]

    numbers.__name__ = f"list of {kind.__name__}"  # argparse says it where the text is none
    return numbers


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",")]


def _chosen(contender: Contender, only: Sequence[str]) -> bool:
    return not only or any(word in contender.name for word in only)


def _skipped(contender: Contender, peers: Path) -> bool:
    reason = contender.missing(peers)
    if reason:
        print(f"skipped: {reason}", file=sys.stderr)
    return reason is not None


# --- what is run ------------------------------------------------------------------------------------------------------


def full_plan(present: Sequence[Contender], options: argparse.Namespace) -> list[Cell]:
    """Return the whole matrix: every contender as often, and a cached re-run of those that have a cache."""
    steps = [Step(each, options.rounds, options.cached and each.caches) for each in present]
    return [Cell(latency, samples, steps) for samples in options.samples for latency in options.latency]


def quick_plan(present: Sequence[Contender]) -> list[Cell]:
    """Return what the aims need.

    Those whose ratio to ours is small have nine rounds, because there a few per cent matter; slow peers, which are to be
    slower by a factor of six and more, have one.
    """
    by_name = {each.name: each for each in present}

    def steps(*wanted: tuple[str, int, bool]) -> list[Step]:
        return [Step(by_name[name], rounds, cached) for name, rounds, cached in wanted if name in by_name]

    ours_, aiohttp, openai = (each.name for each in CONTENDERS[:3])
    slow = [(each.name, 1, each.name == with_promptfoo.CONTENDER.name) for each in present if each.slow]
    return [
        Cell(0.05, 2000, steps((ours_, 9, False), (aiohttp, 9, False))),
        Cell(0.0, 2000, steps((ours_, 5, True), (with_promptfoo.CONTENDER.name, 3, True))),
        Cell(0.0, 20_000, steps((ours_, 3, True), (aiohttp, 3, False), (openai, 3, False), *slow)),
    ]


def merged(before: Sequence[Row], now: Sequence[Row]) -> list[Row]:
    """Return the rows of two measurements; of a cell that was measured again, the new ones alone."""
    again = {(row.latency_s, row.samples) for row in now}
    kept = [row for row in before if (row.latency_s, row.samples) not in again]
    return sorted([*kept, *now], key=lambda row: (row.samples, -row.latency_s))


def run_cell(cell: Cell, folder: Path, concurrency: int, peers: Path, failed: set[str]) -> Iterator[Row]:
    """Measure one cell of the matrix and yield its rows; who fails is told, put in `failed`, and left out from then on."""
    took: dict[tuple[str, bool], list[Took]] = {}
    rounds = max((step.rounds for step in cell.steps), default=0)
    with load_server("--latency", str(cell.latency)) as server:
        for at in range(-1, rounds):  # the first one warms up
            samples = cell.samples if at >= 0 else WARM_UP
            for step in _turned(cell.steps, at):
                if at >= step.rounds or step.contender.name in failed:
                    continue
                try:
                    with _work(folder, samples, server, concurrency, peers) as work:
                        found = list(run_step(step, work, server, samples))
                except (OtherTaskError, RuntimeError) as error:
                    print(f"{step.contender.name}: {error}", file=sys.stderr, flush=True)
                    failed.add(step.contender.name)
                    server.asked()
                    continue
                for each in found if at >= 0 else ():
                    took.setdefault((step.contender.name, each.cached), []).append(each)
                    _tell(cell, step, at, each)
    for (name, cached), each_round in sorted(took.items(), key=lambda item: _place(cell.steps, *item[0])):
        if name not in failed:
            at_once = max(each.asked.at_once for each in each_round)
            yield medians(cell.latency, cell.samples, name, cached, [each.usage for each in each_round], at_once)


@contextmanager
def _work(folder: Path, samples: int, server: Server, concurrency: int, peers: Path) -> Iterator[Work]:
    """Give a contender an empty folder, which goes with the block."""
    data = folder / f"{samples}.jsonl"
    if not data.exists():
        write_samples(data, samples)
    with tempfile.TemporaryDirectory(dir=folder) as home:
        yield Work(Path(home), data, server.url, concurrency, peers)


def _place(steps: Sequence[Step], name: str, cached: bool) -> tuple[int, bool]:
    return [step.contender.name for step in steps].index(name), cached


def _turned(steps: Sequence[Step], at: int) -> list[Step]:
    """Return the contenders in another order every round, so that none always follows the same one."""
    first = max(at, 0) % max(1, len(steps))
    return [*steps[first:], *steps[:first]]


def run_step(step: Step, work: Work, server: Server, samples: int) -> Iterator[Took]:
    """Have a contender do the task in an empty folder, then once more where its cache is measured.

    Raises:
        OtherTaskError: It did something else.
        RuntimeError: It failed.
    """
    contender, wanted = step.contender, expected(samples)
    contender.prepare(work)
    environment = {"OPENAI_API_KEY": "none", "PYTHONPATH": str(BENCHMARKS), **contender.environment(work)}
    prompts = sum_of_prompts(samples)
    for cached in (False, True)[: 1 + step.cached]:
        took = measured(contender.command(work), work.folder, environment, codes=contender.codes)
        asked = server.asked()
        calls, sent = (0, 0) if cached else (samples, prompts)
        check(asked, contender.outcome(work), wanted, sent, calls, work.concurrency)
        yield Took(cached, took.usage, asked)


def check(asked: Asked, outcome: Outcome, wanted: Outcome, prompts: int, calls: int, concurrency: int) -> None:
    """Check that the task was done.

    Raises:
        OtherTaskError: Calls, prompts, answers, scores or concurrency are not as they must be.
    """
    if asked.calls != calls:
        raise OtherTaskError(f"it must make {calls:,} calls, it made {asked.calls:,}.")
    if asked.prompts != prompts:
        raise OtherTaskError("it sent other prompts, or some of them twice.")
    if asked.at_once > concurrency:
        raise OtherTaskError(f"it must have at most {concurrency} calls under way, it had {asked.at_once}.")
    if outcome.answers != wanted.answers:
        wrong = sum(outcome.answers.get(key) != answer for key, answer in wanted.answers.items())
        raise OtherTaskError(f"{wrong:,} of its {len(wanted.answers):,} answers are missing or wrong.")
    if outcome.exact is not None and not math.isclose(outcome.exact, wanted.exact or 0.0, abs_tol=1e-9):
        raise OtherTaskError(f"it must find {wanted.exact:.1%} of the answers right, it found {outcome.exact:.1%}.")


def sum_of_prompts(samples: int) -> int:
    """Return the sum that the server must have when it was asked every prompt once."""
    return sum(checksum(BEFORE + sample(number).text) for number in range(samples))


def _tell(cell: Cell, step: Step, at: int, took: Took) -> None:
    what = f"{cell_title(cell.latency, cell.samples)}: {step.contender.name}{', cached' if took.cached else ''}"
    print(f"{what}, round {at + 1} of {step.rounds}: {took.usage.wall_s:.2f} s", file=sys.stderr, flush=True)


def machine() -> dict[str, Any]:
    """Return what the numbers depend on."""
    return {
        "when": datetime.now(UTC).strftime("%Y-%m-%d"),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "processor": _processor(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _processor() -> str:
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.exists() else []
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor()
    )


if __name__ == "__main__":
    main()
