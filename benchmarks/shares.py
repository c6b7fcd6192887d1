"""Where the time of `harness run` goes: the processor's seconds by part, of one run under Python's profiler.

    python benchmarks/shares.py [--samples 5000] [--cached] [--json docs/performance.json]

The profiler makes every call dearer, many small ones most of all, so that shares are told and no seconds. What is written
in C counts for the part that called it; waiting counts for nothing.
"""

from __future__ import annotations

import argparse
import os
import pstats
import subprocess
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from figures import shares_table, update
from loadserver import load_server
from peers import ours
from peers.contender import Work
from peers.task import write_samples

ROOT = Path(__file__).resolve().parent.parent
PARTS = 12
"""How many parts are told; the others are one."""

WAITING = ("select", "poll")
"""C functions that wait for the network; their time is the server's."""

Function = tuple[str, int, str]


def main() -> None:
    """Profile a run and print its table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--cached", action="store_true", help="profile the re-run that finds all in the cache")
    parser.add_argument("--json", type=Path, metavar="FILE", help="put the figures there as well")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, load_server() as server:
        folder = Path(temporary)
        write_samples(folder / "samples.jsonl", options.samples)
        work = Work(folder, folder / "samples.jsonl", server.url, 64, folder)
        ours.prepare(work)
        for _ in range(1 + options.cached):
            profile(work, folder / "profile")
        section = {"samples": options.samples, "cached": options.cached, "shares": shares(folder / "profile")}
    if options.json:
        update(options.json, "shares", section)
    print(shares_table(section))


def profile(work: Work, to: Path) -> None:
    """Run `harness run` under the profiler, which writes when Python ends: not as a process that ends at once."""
    python, _, _, *arguments = ours.command(work)
    script = to.with_name("command_line.py")
    script.write_text("from harness.cli import main\n\nmain()\n", encoding="utf-8")
    command = [python, "-m", "cProfile", "-o", str(to), str(script), *arguments]
    environment = {**os.environ, "OPENAI_API_KEY": "none", "PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=work.folder, env=environment, check=True, stdout=subprocess.DEVNULL)


def shares(path: Path) -> dict[str, float]:
    """Return the share of each part, the largest first, the smallest together as the last."""
    statistics: Mapping[Function, Any] = pstats.Stats(str(path)).stats  # type: ignore[attr-defined]
    seconds: Counter[str] = Counter()
    for function, (_, _, own, _, callers) in statistics.items():
        if function[0] != "~":
            seconds[part(function[0])] += own
        elif not any(word in function[2] for word in WAITING):
            for caller, (_, _, called, _) in callers.items():
                seconds[part(caller[0])] += called
    whole = sum(seconds.values())
    largest = dict(seconds.most_common(PARTS))
    rest = {"others": whole - sum(largest.values())}
    return {name: round(value / whole, 4) for name, value in (largest | rest).items()}


def part(file: str) -> str:
    """Return the part that a file belongs to: a module of ours, a package, or a module of the standard library."""
    path = Path(file)
    if ROOT / "harness" in path.parents:
        return path.relative_to(ROOT).with_suffix("").as_posix()
    if "importlib" in file:
        return "imports"
    parts = path.parts
    if "site-packages" in parts:
        return parts[parts.index("site-packages") + 1].removesuffix(".py")
    return path.stem if path.parent.name.startswith("python3") else path.parent.name or "built in"


if __name__ == "__main__":
    main()
