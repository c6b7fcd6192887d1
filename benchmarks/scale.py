"""Time and memory of whole commands at full size: 120,000 samples and 230 labels, and a page of 20,000 samples.

    python benchmarks/scale.py [--samples 120000] [--labels 230] [--page 20000] [--only compare] [--fresh]

The data are made up, with a seed: labels as frequent as words are (Zipf), one to three of them a sample, texts of a line,
and two models that miss and invent some. Every command is a process of its own, from `harness` typed to its exit, so
seconds and memory are what a person waits for and what the machine must have. Commands run one after the other; what
else the machine does shows in the seconds, and less in those of the processor.

Two runs are scored again from their stored completions, one of lists of labels and one of codes: their files are written
directly. With `--fresh` such a run is made too, by calls to a server in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np
from aims import aims_table
from figures import update
from measuring import Usage, measured
from numpy.typing import NDArray
from report import write_project
from stored import serving, write_stored

from harness.metrics import BoolMatrix

SECONDS = 60.0
"""What a command may take at full size."""

MB = 4_000.0
"""How much memory it may take, in megabytes."""

SCORING_S = 15.0
"""What it may take to score a run again."""

RUN_MB = 600.0
"""How much memory a fresh run may take."""

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
    """A command to time: what it is called in the table, and its words; ``folder`` is where it is typed.

    Attributes:
        seconds: What it may take.
        mb: How much memory it may take.
    """

    what: str
    folder: str
    words: tuple[str, ...]
    seconds: float = SECONDS
    mb: float = MB


def steps(page: int, fresh: str | None) -> tuple[Step, ...]:
    """Return the commands, in the order in which they need each other; a fresh run only where there is a server for it."""

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
        Step("score, lists", "stored", ("score", "list"), SCORING_S),
        Step("score, codes", "stored", ("score", "codes"), SCORING_S),
        Step("show one sample", "stored", ("show", "list", "s000001")),
        Step("failures", "stored", ("failures", "list")),
        Step("history", "stored", ("history",)),
        *(
            Step("run, fresh", "stored", ("run", "prompts/list.yaml", "--no-cache", "--base-url", url), 300.0, RUN_MB)
            for url in [fresh]
            if url
        ),
        Step(f"report, page of {page:,} samples", "page", ("report", "v2", "-o", "report.html")),
    )


def main() -> None:
    """Run the benchmark and print its tables; exits 1 where a limit is passed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--samples", type=int, default=120_000)
    parser.add_argument("--labels", type=int, default=230)
    parser.add_argument("--page", type=int, default=20_000, help="Samples of the page, which has 28 labels.")
    parser.add_argument("--only", default="", metavar="TEXT", help="Only commands that have this in their name.")
    parser.add_argument("--keep", type=Path, help="Where to keep the data and runs; what is there is used again.")
    parser.add_argument("--fresh", action="store_true", help="Make a run too: one call a sample, to a server here.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="Put the figures that have an aim there as well.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        root = options.keep or Path(temporary)
        if not (root / "wide").exists():
            write_data(root / "wide", options.samples, options.labels)
        if not (root / "stored").exists():
            rng = np.random.default_rng(0)
            gold = drawn_gold(rng, options.samples, options.labels)
            write_stored(root / "stored", gold, drawn_answers(rng, gold, 0.30), drawn_texts(rng, options.samples))
        if not (root / "page").exists():
            write_project(root / "page", options.page, 28)
        url = stack.enter_context(serving()) if options.fresh else None
        print(f"{options.samples:,} samples x {options.labels} labels\n")
        print(f"| command | seconds | of the processor | MB | aim |\n|---|{'---:|' * 3}---|")
        took = {step: _told(step, root) for step in steps(options.page, url) if options.only in step.what}
    section = {"samples": options.samples, "labels": options.labels, **_figures(took)}
    figures = update(options.json, "scale", section) if options.json else {"scale": section}
    print(f"\n{aims_table(figures, 'scale.py')}")
    sys.exit(not all(_keeps(step, used) for step, used in took.items()))


def _told(step: Step, root: Path) -> Usage:
    """Time a command and print its line of the table."""
    command = [sys.executable, "-m", "harness", *step.words]
    codes = (0, 4) if step.words[0] == "gate" else (0,)  # a gate that says no has not failed
    took = measured(command, root / step.folder, codes=codes).usage
    limits = f"{step.seconds:g} s, {step.mb:,.0f} MB: {'met' if _keeps(step, took) else 'not met'}"
    print(f"| {step.what} | {took.wall_s:.1f} | {took.cpu_s:.1f} | {took.peak_mb:,.0f} | {limits} |", flush=True)
    return took


def _keeps(step: Step, took: Usage) -> bool:
    return took.wall_s <= step.seconds and took.peak_mb <= step.mb


def _figures(took: Mapping[Step, Usage]) -> dict[str, float]:
    """Return what the aims are held against, where it was measured: the slower of the formats counts."""
    scored = [used.wall_s for step, used in took.items() if step.words[0] == "score"]
    ran = [used.peak_mb for step, used in took.items() if step.words[0] == "run"]
    return {**({"score_s": max(scored)} if scored else {}), **({"run_peak_mb": max(ran)} if ran else {})}


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
    gold = drawn_gold(rng, n, n_labels)
    _write_sets(folder / "data.jsonl", ids, names, gold, texts=drawn_texts(rng, n))
    one, two = drawn_answers(rng, gold, 0.30), drawn_answers(rng, gold, 0.25)
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


def drawn_gold(rng: np.random.Generator, n: int, n_labels: int) -> BoolMatrix:
    """Return one to three labels a sample, the label of rank r as frequent as 1/r."""
    weight = 1 / np.arange(1, n_labels + 1)
    drawn = rng.choice(n_labels, size=(n, 3), p=weight / weight.sum())
    wanted = np.arange(3) < rng.integers(1, 4, size=(n, 1))
    gold = np.zeros((n, n_labels), dtype=np.bool_)
    rows, places = np.nonzero(wanted)
    gold[rows, drawn[rows, places]] = True
    return gold


def drawn_answers(rng: np.random.Generator, gold: BoolMatrix, missed: float) -> BoolMatrix:
    """Return what a model says that misses such a share of the labels, and invents one for every third sample."""
    found: BoolMatrix = gold & (rng.random(gold.shape) > missed)
    invented: BoolMatrix = rng.random(gold.shape) < 1 / (3 * gold.shape[1])
    return found | invented


def drawn_texts(rng: np.random.Generator, n: int) -> Iterator[str]:
    """Return a line of text for each sample."""
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
