"""`harness run`: renders, calls, writes every answer down as it comes, parses, scores every label, reports."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from peers.contender import BENCHMARKS, Contender, Work
from peers.task import LABELS, MODEL, TEMPLATE, Outcome

PROMPT = f"dataset: ../data.yaml\nmodel: {MODEL}\ntemplate: '{TEMPLATE}'\noutput: list\n"


def prepare(work: Work) -> None:
    """Write a project."""
    (work.folder / "harness.toml").touch()
    (work.folder / "prompts").mkdir()
    (work.folder / "prompts" / "v1.yaml").write_text(PROMPT)
    (work.folder / "data.yaml").write_text(f"labels: {json.dumps(LABELS)}\nsplits: {{dev: data.jsonl}}\n")
    shutil.copyfile(work.data, work.folder / "data.jsonl")


def command(work: Work) -> list[str]:
    """Return `harness run` on it."""
    asked = ("run", "prompts/v1.yaml", "--base-url", work.url, "-j", str(work.concurrency))
    return [sys.executable, "-m", "harness", *asked]


def outcome(work: Work) -> Outcome:
    """Read the newest run."""
    run = max((work.folder / "runs").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    with (run / "completions.jsonl").open(encoding="utf-8") as file:
        answers = {row["sample"]: row["raw"] for row in map(json.loads, file) if row["status"] == "ok"}
    scores = json.loads((run / "scores.json").read_text(encoding="utf-8"))
    return Outcome(answers, scores["averages"]["subset_accuracy"])


CONTENDER = Contender(
    "harness run",
    command=command,
    outcome=outcome,
    scores="sets, and every label with its precision, recall and F1",
    prepare=prepare,
    caches=True,
    environment=lambda _work: {"PYTHONPATH": str(Path(BENCHMARKS).parent)},
)
