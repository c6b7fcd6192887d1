"""One run killed with SIGKILL and started again, time after time; in the end it must be as if nothing had happened.

    python benchmarks/kill.py [--samples 5000] [--kills 50] [--no-cache] [--json docs/performance.json]

The moment of each kill is drawn with a seed: most after a number of calls, which may be in the middle of a write, every
fifth some time after the start, which may be before the first call or while the run is being read. After each kill the
run's own file is read line by line, without the project's code: no line that was there may be gone, no sample that has an
answer may be asked again, and more than the concurrency cannot be lost. The last life goes to the end, and its scores and
predictions must be those of an unbroken run.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from aims import aims_table
from figures import kill_table, update
from loadserver import Script
from peers import ours
from peers.contender import Work
from peers.task import number_in, write_samples
from scripted_server import Reply, Request, ScriptedServer

STARTING_S = 0.6
"""The longest that a life has which is killed by the clock."""

PATIENCE_S = 600.0
"""Seconds that a life may take to come to its kill."""


class Remembering(Script):
    """Answers by the sample's number, and remembers how often each was asked."""

    def __init__(self, latency: float) -> None:
        super().__init__(latency)
        self.sent: Counter[str] = Counter()

    def __call__(self, request: Request) -> Reply:
        """Answer a call."""
        self.sent[f"s{number_in(request.text)}"] += 1
        return super().__call__(request)


class Life(NamedTuple):
    """What one life of the run did wrong, and what it lost rightly.

    Attributes:
        lost: Answers that were there before and are gone or other ones.
        paid_twice: Calls about a sample that had its answer, or a second call about one in the same life.
        in_flight: Samples that were asked and have no answer.
    """

    lost: int
    paid_twice: int
    in_flight: int


def main() -> None:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--latency", type=float, default=0.01, help="seconds until an answer is sent")
    parser.add_argument("--no-cache", action="store_true", help="have the run's own file alone keep what was answered")
    parser.add_argument("--json", type=Path, metavar="FILE", help="put the figures there as well")
    options = parser.parse_args()
    section = killed(options.samples, options.kills, options.concurrency, options.latency, not options.no_cache)
    figures = update(options.json, "kill", section) if options.json else {"kill": section}
    print(f"\n{kill_table(section)}\n\n{aims_table(figures, 'kill.py')}")


def killed(samples: int, kills: int, concurrency: int, latency: float, cache: bool) -> dict[str, Any]:
    """Kill a run so many times, let it end, and return the figures; a run that ends before its kill has had fewer."""
    script, draw = Remembering(latency), random.Random(0)
    lives: list[Life] = []
    done, ended = 0, False
    most = max(1, min(samples // 2, round(1.8 * samples / kills)))
    more = () if cache else ("--no-cache",)
    with tempfile.TemporaryDirectory() as temporary, ScriptedServer(script, record=False) as server:
        broken, whole = (_project(Path(temporary) / name, server, samples, concurrency) for name in ("broken", "whole"))
        while not ended:
            before, sent = answers_of(broken.folder), Counter(script.sent)
            if done == kills:
                _run(_again(broken, lives, more), broken.folder)
                ended = True
            else:
                calls = 0 if lives and draw.random() < 0.2 else draw.randint(1, most)
                command = _again(broken, lives, more)
                ended = not _kill(command, broken.folder, server, calls, draw.uniform(0, STARTING_S))
                done += not ended
            now = answers_of(broken.folder)
            lives.append(life(before, now, script.sent - sent))
            print(f"life {len(lives)}: {len(now):,} answers are kept", file=sys.stderr, flush=True)
        _run(ours.command(whole), whole.folder)
        same = _results(broken.folder) == _results(whole.folder)
    return {
        "samples": samples,
        "kills": done,
        "lost": sum(each.lost for each in lives),
        "paid_twice": sum(each.paid_twice + max(0, each.in_flight - concurrency) for each in lives),
        "in_flight": sum(each.in_flight for each in lives),
        "most_in_flight": max(each.in_flight for each in lives),
        "same_scores": same,
    }


def life(before: dict[str, str], now: dict[str, str], asked: Counter[str]) -> Life:
    """Return what a life did: the answers before it and after it, by sample, and what it asked."""
    return Life(
        lost=sum(now.get(key) != answer for key, answer in before.items()),
        paid_twice=sum(times if key in before else times - 1 for key, times in asked.items()),
        in_flight=sum(key not in now for key in asked),
    )


def _project(folder: Path, server: ScriptedServer, samples: int, concurrency: int) -> Work:
    folder.mkdir()
    write_samples(folder / "samples.jsonl", samples)
    work = Work(folder, folder / "samples.jsonl", server.base_url, concurrency, folder)
    ours.prepare(work)
    return work


def _again(work: Work, lives: Sequence[Life], more: tuple[str, ...]) -> list[str]:
    """Return the command of the next life: a run at first, and the first line that tells how to go on ever after."""
    if lives:
        return [sys.executable, "-m", "harness", "run", "--resume", "-j", str(work.concurrency), *more]
    return [*ours.command(work), *more]


def answers_of(folder: Path) -> dict[str, str]:
    """Return the answers in the run's file, by sample; a last line without its end is none."""
    answers = {}
    for path in (folder / "runs").glob("*/completions.jsonl"):
        for line in path.read_bytes().split(b"\n")[:-1]:
            row = json.loads(line)
            if row["status"] == "ok":
                answers[row["sample"]] = row["raw"]
    return answers


def _kill(command: Sequence[str], folder: Path, server: ScriptedServer, calls: int, seconds: float) -> bool:
    """Start a command and kill it after so many calls, or after some seconds where they are 0; False if it ended first."""
    server.reset()
    until = time.monotonic() + (PATIENCE_S if calls else seconds)
    with _started(command, folder) as process:
        while process.poll() is None and time.monotonic() < until and not (calls and server.count >= calls):
            time.sleep(0.0005)
        process.kill()
    server.wait_idle(PATIENCE_S)
    if process.returncode not in (0, -9):
        raise RuntimeError(
            f"{' '.join(command[1:5])} … exited with {process.returncode}; see what it says in {folder}."
        )
    return process.returncode == -9


def _run(command: Sequence[str], folder: Path) -> None:
    with _started(command, folder) as process:
        code = process.wait(PATIENCE_S)
    if code != 0:
        raise RuntimeError(f"{' '.join(command[1:5])} … exited with {code}.")


def _started(command: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
    root = str(Path(__file__).resolve().parent.parent)
    environment = {**os.environ, "OPENAI_API_KEY": "none", "PYTHONPATH": root}
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _results(folder: Path) -> list[Any]:
    """Return scores and predictions of the only run."""
    (run,) = (folder / "runs").iterdir()
    lines = (run / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads((run / "scores.json").read_text(encoding="utf-8")), [json.loads(line) for line in lines]]


if __name__ == "__main__":
    main()
