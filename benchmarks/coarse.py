"""Hundreds of labels asked in three ways: flat, coarse to fine, and by candidates. Time, memory, tokens, and what is lost.

    python benchmarks/coarse.py [--samples 5000]

230 labels in 20 groups, samples that are made up, and a scripted server that answers by a rule: how good its answers are
says nothing, what a prompt leaves to be answered does. `harness run` and `harness show` are processes of their own, from the
command to its exit. Gate recall and the tokens on both sides are counted once more from the rule and the texts; where they
differ by one, the benchmark fails.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import many_labels as many  # noqa: E402 - it lives beside the tests
from scripted_server import ScriptedServer  # noqa: E402

SECONDS = 120.0
"""What a run may take at full size."""

GIB = 2.0
"""How much memory it may take."""


class Timed(NamedTuple):
    """What a command took, and what it printed."""

    wall: float
    cpu: float
    gib: float
    said: str


def main() -> None:
    """Run the benchmark and print its tables; exits 1 where a limit is passed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--samples", type=int, default=5000)
    options = parser.parse_args()
    over = False
    with tempfile.TemporaryDirectory() as temporary, ScriptedServer(many.answer, record=False) as server:
        folder = many.write_project(Path(temporary), options.samples)
        print(f"{options.samples:,} samples x {len(many.LABELS)} labels in {len(many.GROUPS)} groups\n")
        print(f"| prompt | run, s | of the processor | GiB | show, s | calls | run's files, MB |\n|---|{'---:|' * 6}")
        found: dict[str, Any] = {}
        for version in ("flat", "coarse", "candidates"):
            asking = ("run", f"prompts/{version}.yaml", "--base-url", server.base_url, "-j", "32", "--no-cache")
            ran = timed(folder, *asking)
            (run,) = (folder / "runs").glob(f"{version}-*")
            shown = timed(folder, "show", run.name, "--json")
            found[version] = json.loads(shown.said)
            calls = (run / "completions.jsonl").read_bytes().count(b"\n")
            size = sum(file.stat().st_size for file in run.iterdir()) / 1e6
            took = f"{ran.wall:.0f} | {ran.cpu:.0f} | {ran.gib:.2f} | {shown.wall:.1f}"
            print(f"| {version} | {took} | {calls:,} | {size:.0f} |", flush=True)
            over |= ran.wall > SECONDS or ran.gib > GIB
    print()
    tell(found)
    check(found["coarse"]["reach"], options.samples)
    sys.exit(over)


def timed(folder: Path, *words: str) -> Timed:
    """Run a command and return what it took.

    Raises:
        RuntimeError: It failed; a run with failed calls, which the rule has, has not.
    """
    started = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        environment = {**os.environ, "OPENAI_API_KEY": "none", "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "harness", *words]
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=said, stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        text = said.read().decode()
    if process.returncode not in (0, 3):
        raise RuntimeError(f"{' '.join(words)} exited with {process.returncode}: {text}")
    gib = used.ru_maxrss / 2**20 if sys.platform == "linux" else used.ru_maxrss / 2**30
    return Timed(wall, used.ru_utime + used.ru_stime, gib, text)


def tell(found: dict[str, Any]) -> None:
    """Print what is left to be answered, and with how many tokens."""
    print(f"| prompt | gold left open | prompt tokens a sample | saved |\n|---|{'---:|' * 3}")
    flat = found["coarse"]["reach"]["saving"]["flat_tokens_each"]
    print(f"| flat | 100 % | {flat:,.0f} | |")
    for version, kind in (("coarse", "gates"), ("candidates", "candidates")):
        reach = found[version]["reach"]
        saving = reach["saving"]
        recall = reach[kind][0]["recall"]
        print(f"| {version} | {recall:.1%} | {saving['tokens_each']:,.0f} | {saving['saved']:.1%} |")
    offered = found["candidates"]["reach"]["candidates"][0]
    at = ", ".join(f"{k}: {offered['recall_at'][k - 1]:.3f}" for k in (10, 20, 30, 50, 100))
    print(f"\nRecall by number of candidates: {at}; 95 % needs {offered['enough']}")


def check(reach: dict[str, Any], n: int) -> None:
    """Compare gate recall and tokens with those that follow from the rule and the texts alone.

    Raises:
        AssertionError: They differ.
    """
    everything = many.rows(n)
    chosen = {each.number: many.chosen(each) for each in everything}
    left = sum(many.GROUP_OF[name] in (chosen[each.number] or ()) for each in everything for name in each.labels)
    gold = sum(len(each.labels) for each in everything)
    gate_text = many.listing(many.GATE_SYSTEM, {group: about for group, (about, _) in many.AREAS.items()})
    flat_text = many.listing(many.FINE_SYSTEM, many.ABOUT)
    fine_texts = {
        group: many.listing(many.FINE_SYSTEM, {name: many.ABOUT[name] for name in names})
        for group, names in many.GROUPS.items()
    }
    asked = flat = 0
    for each in everything:
        groups = chosen[each.number]
        if groups is not None:
            asked += many.tokens(gate_text, each.text)
            asked += sum(many.tokens(fine_texts[group], each.text) for group in groups)
            flat += many.tokens(flat_text, each.text)
    (gate,) = reach["gates"]
    told = (gate["gold"], gate["open"], gate["recall"], reach["saving"]["tokens"], reach["saving"]["flat_tokens"])
    if told != (gold, left, left / gold, asked, flat):
        raise AssertionError(f"the run says {told}, the rule {(gold, left, left / gold, asked, flat)}")
    print(f"\nCounted by the rule too: {left:,} of {gold:,} gold cells left open, {asked:,} of {flat:,} tokens.")


if __name__ == "__main__":
    main()
