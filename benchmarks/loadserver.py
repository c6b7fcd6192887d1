"""A server for benchmarks, in a process of its own: each sample has its own answer, and the server says what it was asked.

    python benchmarks/loadserver.py [--latency 0.05] [--rate 500 --errors 0.2 --retry-after 1]

Its first line of output is the base URL. For every line on its input it writes what came since the last one, as JSON.
With `--rate` it answers so many calls a second and no more: a call beyond that is a 429 with Retry-After. With `--errors`
that share of calls is a 429 too, drawn with a seed; those cost nothing of the rate.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

BENCHMARKS = Path(__file__).resolve().parent
sys.path.insert(0, str(BENCHMARKS.parent / "tests"))

from peers.task import answer_to, checksum, number_in  # noqa: E402 - after the path, as the next
from scripted_server import Reply, Request, ScriptedServer, error, say  # noqa: E402 - it lives beside the tests

BURST_S = 1.0
"""How many seconds' worth of its rate a server that was left alone answers at once."""


class Asked(NamedTuple):
    """What came since the last time.

    Attributes:
        calls: Requests of the API.
        answered: Those that had an answer.
        drawn: Those that had a 429 by chance.
        limited: Those that had a 429 because of the rate.
        prompts: A sum over the prompts that were answered, the same in any order.
        at_once: The most requests in flight.
    """

    calls: int
    answered: int
    drawn: int
    limited: int
    prompts: int
    at_once: int


class Script:
    """Answers by the sample's number, within a rate and but for a share of errors.

    Args:
        latency: Seconds until an answer is sent; errors are sent at once.
        rate: Answers a second; 0 is without limit.
        errors: The share of calls that fail by chance, in [0, 1).
        retry_after: What a 429 tells, in seconds.
    """

    def __init__(self, latency: float = 0.0, rate: float = 0.0, errors: float = 0.0, retry_after: float = 1.0) -> None:
        self._latency, self._rate, self._errors = latency, rate, errors
        self._refusal = error(429, "Rate limit reached", code="rate_limit_exceeded", retry_after=retry_after)
        self._draw = random.Random(0)
        self._left, self._at = rate * BURST_S, time.monotonic()
        self.answered = self.drawn = self.limited = self.prompts = 0

    def __call__(self, request: Request) -> Reply:
        """Answer a call, or refuse it."""
        if self._errors and self._draw.random() < self._errors:
            self.drawn += 1
            return self._refusal
        if self._rate and not self._admit(request.received_at):
            self.limited += 1
            return self._refusal
        self.answered += 1
        self.prompts += checksum(request.text)
        return say(answer_to(number_in(request.text)), latency=self._latency)

    def _admit(self, now: float) -> bool:
        self._left = min(self._rate * BURST_S, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def told(self, at_once: int) -> Asked:
        """Return the counts and begin anew."""
        calls = self.answered + self.drawn + self.limited
        asked = Asked(calls, self.answered, self.drawn, self.limited, self.prompts, at_once)
        self.answered = self.drawn = self.limited = self.prompts = 0
        return asked


class Server(NamedTuple):
    """A running server: where it is, and its process."""

    url: str
    process: subprocess.Popen[str]

    def asked(self) -> Asked:
        """Return what came since the last time; call it while nothing is in flight."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return Asked(**json.loads(self.process.stdout.readline()))


@contextmanager
def load_server(*options: str) -> Iterator[Server]:
    """Give a server with these options; it ends with the block."""
    command = [sys.executable, __file__, *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Server(process.stdout.readline().strip(), process)
        finally:
            process.terminate()


def main() -> None:
    """Serve until the input ends."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--latency", type=float, default=0.0, help="seconds until an answer is sent")
    parser.add_argument("--rate", type=float, default=0.0, help="answers a second; 0 is without limit")
    parser.add_argument("--errors", type=float, default=0.0, help="the share of calls that are a 429 by chance")
    parser.add_argument("--retry-after", type=float, default=1.0, help="what a 429 tells, in seconds")
    options = parser.parse_args()
    script = Script(options.latency, options.rate, options.errors, options.retry_after)
    with ScriptedServer(script, record=False) as server:
        print(server.base_url, flush=True)
        for _ in sys.stdin:
            server.wait_idle()
            print(json.dumps(script.told(server.max_in_flight)._asdict()), flush=True)
            server.reset()


if __name__ == "__main__":
    main()
