"""Time and memory of whole commands at full size: 120,000 samples and 230 labels, and a page of 20,000 samples.

    python benchmarks/scale.py [--samples 120000] [--labels 230] [--page 20000] [--only compare]

The data are made up, with a seed: labels as frequent as words are (Zipf), one to three of them a sample, texts of a line,
and two models that miss and invent some. Every command is a process of its own, from `harness` typed to its exit, so
seconds and memory are what a person waits for and what the machine must have. Commands run one after the other; what
else the machine does shows in the seconds, and less in those of the processor.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from report import write_project

from harness.metrics import BoolMatrix

SECONDS = 60.0
"""What a command may take at full size."""

GIB = 4.0
"""How much memory it may take."""

WORDS = (
    "late parcel",
    "torn box",
    "broken lamp",
    "kind support",
    "high price",
    "slow refund",
    "wrong order",
    "new colour",
)
"""What texts are made of."""


class Step(NamedTuple):
    """A command to time: what it is called in the table, and its words; ``folder`` is where it is typed."""

    what: str
    folder: str
    words: tuple[str, ...]


class Timed(NamedTuple):
    """What a command took."""

    wall: float
    cpu: float
    gib: float


def steps(page: int) -> tuple[Step, ...]:
    """Return the commands, in the order in which they need each other."""

    def imported(what: str, file: str, name: str) -> Step:
        return Step(f"import, {what}", "wide", ("import", file, "--dataset", "data.yaml", "--name", name))

    return (
        imported("labels in JSONL", "one.jsonl", "one"),
        imported("labels in JSONL, again", "two.jsonl", "two"),
        imported("0/1 columns in CSV", "flags.csv", "flags"),
        imported("probabilities in CSV", "weights.csv", "weights-csv"),
        imported("probabilities in Parquet", "weights.parquet", "weights-parquet"),
        Step("compare, two runs of labels", "wide", ("compare", "one", "two")),
        Step("compare, two runs of probabilities", "wide", ("compare", "weights-csv", "weights-parquet")),
        Step("bless", "wide", ("bless", "one")),
        Step("gate", "wide", ("gate", "two", "--rule", "macro_f1 >= 0.1")),
        Step(f"report, page of {page:,} samples", "page", ("report", "v2", "-o", "report.html")),
    )


def main() -> None:
    """Run the benchmark and print its table; exits 1 where a limit is passed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--samples", type=int, default=120_000)
    parser.add_argument("--labels", type=int, default=230)
    parser.add_argument("--page", type=int, default=20_000, help="Samples of the page, which has 28 labels.")
    parser.add_argument("--only", default="", metavar="TEXT", help="Only commands that have this in their name.")
    parser.add_argument("--keep", type=Path, help="Where to keep the data and runs; what is there is used again.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = options.keep or Path(temporary)
        if not (root / "wide").exists():
            write_data(root / "wide", options.samples, options.labels)
        if not (root / "page").exists():
            write_project(root / "page", options.page, 28)
        print(f"{options.samples:,} samples x {options.labels} labels; limits: {SECONDS:g} s and {GIB:g} GiB\n")
        print(f"| command | seconds | of the processor | GiB | |\n|---|{'---:|' * 3}---|")
        chosen = [step for step in steps(options.page) if options.only in step.what]
        took = [_told(step, root) for step in chosen]
    sys.exit(any(each.wall > SECONDS or each.gib > GIB for each in took))


def _told(step: Step, root: Path) -> Timed:
    """Time a command and print its line of the table."""
    took = timed(step, root)
    verdict = "" if took.wall <= SECONDS and took.gib <= GIB else "over the limit"
    print(f"| {step.what} | {took.wall:.0f} | {took.cpu:.0f} | {took.gib:.1f} | {verdict} |", flush=True)
    return took


def timed(step: Step, root: Path) -> Timed:
    """Run a command and return what it took.

    Raises:
        RuntimeError: It failed; a gate that says no has not.
    """
    started = time.perf_counter()
    command = [sys.executable, "-m", "harness", *step.words]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, cwd=root / step.folder, stdout=said, stderr=said)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in ((0, 4) if step.words[0] == "gate" else (0,)):
            said.seek(0)
            raise RuntimeError(f"{' '.join(step.words)} exited with {process.returncode}: {said.read().decode()}")
    return Timed(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 2**20)


# --- made-up data -----------------------------------------------------------------------------------------------------


def write_data(folder: Path, n: int, n_labels: int) -> None:
    """Write a project with a dataset, and predictions of it in every kind of file."""
    import pyarrow
    from pyarrow import parquet

    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    (folder / "harness.toml").touch()
    names = [f"theme {at:03}" for at in range(1, n_labels + 1)]
    dataset = {"name": "wide", "labels": names, "splits": {"dev": "data.jsonl"}}
    (folder / "data.yaml").write_text(json.dumps(dataset))
    ids = [f"s{at:06}" for at in range(n)]
    gold = _gold(rng, n, n_labels)
    _write_sets(folder / "data.jsonl", ids, names, gold, texts=_texts(rng, n))
    one, two = _answers(rng, gold, 0.30), _answers(rng, gold, 0.25)
    _write_sets(folder / "one.jsonl", ids, names, one)
    _write_sets(folder / "two.jsonl", ids, names, two)
    header = ",".join(["id", *names]) + "\n"
    with (folder / "flags.csv").open("w") as file:
        file.write(header)
        file.writelines(f"{key},{','.join(row)}\n" for key, row in zip(ids, _digits(two), strict=True))
    weights = np.where(two, 0.5 + rng.random(two.shape) / 2, rng.random(two.shape) ** 4 / 2)
    with (folder / "weights.csv").open("w") as file:
        file.write(header)
        form = ",".join(["%s", *["%.4f"] * n_labels]) + "\n"
        file.writelines(form % (key, *row.tolist()) for key, row in zip(ids, weights, strict=True))
    columns = {"id": ids} | {name: weights[:, at] for at, name in enumerate(names)}
    parquet.write_table(pyarrow.table(columns), folder / "weights.parquet")


def _gold(rng: np.random.Generator, n: int, n_labels: int) -> BoolMatrix:
    """Return one to three labels a sample, the label of rank r as frequent as 1/r."""
    weight = 1 / np.arange(1, n_labels + 1)
    drawn = rng.choice(n_labels, size=(n, 3), p=weight / weight.sum())
    wanted = np.arange(3) < rng.integers(1, 4, size=(n, 1))
    gold = np.zeros((n, n_labels), dtype=np.bool_)
    rows, places = np.nonzero(wanted)
    gold[rows, drawn[rows, places]] = True
    return gold


def _answers(rng: np.random.Generator, gold: BoolMatrix, missed: float) -> BoolMatrix:
    """Return what a model says that misses such a share of the labels, and invents one for every third sample."""
    found: BoolMatrix = gold & (rng.random(gold.shape) > missed)
    invented: BoolMatrix = rng.random(gold.shape) < 1 / (3 * gold.shape[1])
    return found | invented


def _texts(rng: np.random.Generator, n: int) -> Iterator[str]:
    words: NDArray[np.int64] = rng.integers(0, len(WORDS), size=(n, 8))
    return (" ".join(WORDS[at] for at in row) for row in words.tolist())


def _digits(flags: BoolMatrix) -> Iterator[str]:
    return ((row + ord("0")).tobytes().decode() for row in flags.view(np.uint8))


def _write_sets(
    path: Path, ids: Sequence[str], names: Sequence[str], flags: BoolMatrix, texts: Iterator[str] | None = None
) -> None:
    """Write one line a sample: its id, its text where there is one, and its labels by name."""
    with path.open("w") as file:
        for key, row in zip(ids, flags, strict=True):
            text = {} if texts is None else {"text": next(texts)}
            labels = [names[at] for at in np.flatnonzero(row).tolist()]
            file.write(json.dumps({"id": key, **text, "labels": labels}) + "\n")


if __name__ == "__main__":
    main()
