"""Runs to report: many samples with texts and label names that try to be markup, and four prompts that answer otherwise."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

from cli_project import call_error, ok, stored_run, write

from harness.project import find_project
from harness.records import Call, Completion
from harness.reportdata import Report, report_of
from harness.store import StoredRun

LABELS = ("late", 'too "dear"', "<b>bad</b>", "it's & more")
N = 130

NASTY = {
    "s003": "</script><script>window.hacked = 1</script><!-- <img src=x onerror='window.hacked = 1'>",
    "s004": "\x1b[31mred\x1b[0m and \x00 null, \u202egnorw\u202c, line\u2028break, {{ text }} ${window.hacked = 1}",
    "s005": "A lone surrogate \ud800 and a long word " + "w" * 500,
    "s006": "مرحبا، الطرد وصل متأخرا جدا",
}

DATASET = f"""\
name: feedback
labels: {json.dumps(dict.fromkeys(LABELS, 'What it "means" & <more>'))}
fields:
  mood: {{type: choice, values: [happy, mad]}}
  item: {{type: text}}
splits: {{dev: feedback.dev.jsonl}}
"""

HEAD = "parent: {parent}\ndataset: ../datasets/feedback.yaml\nmodel: scripted\n"
ASK = "template: |\n  [{version}] Which of {{{{ labels | join(', ') }}}} apply?\n\n  Text: {{{{ text }}}}\n"
PROMPTS = {
    "v1": HEAD + ASK + "output: list\n",
    "v2": HEAD + ASK + "output: scores\n",
    "v3": HEAD
    + """passes:
  - name: first
    messages: [{{user: "[{version}] {{{{ text }}}}"}}]
    output: {{format: json, fields: [mood, item]}}
  - name: again
    when: "'late' in predicted"
    messages: [{{user: "You said {{{{ predicted | join(', ') }}}} of {{{{ text }}}}"}}]
    output: list
    merge: {{scope: [late]}}
""",
}


def write_project(root: Path) -> Path:
    """Write the project and return its folder."""
    write(root / "harness.toml", "max_attempts = 1\n")
    write(root / "datasets/feedback.yaml", DATASET)
    rows = (json.dumps(row(at)) + "\n" for at in range(N))
    write(root / "datasets/feedback.dev.jsonl", "".join(rows))
    for version, parent in (("v1", "null"), ("v2", "v1"), ("v3", "v2")):
        write(root / f"prompts/{version}.yaml", PROMPTS[version].format(parent=parent, version=version))
    return root


def row(at: int) -> dict[str, object]:
    """Return a sample."""
    rng = random.Random(at)
    text = NASTY.get(f"s{at:03}") or f"Sample number {at} tells of " + " ".join(
        rng.choices(["lamps", "rugs", "mugs"], k=9)
    )
    labels = rng.sample(LABELS, rng.choice((0, 1, 1, 2)))
    mood = {"mood": rng.choice(("happy", "mad")), "item": "a lamp"} if at % 2 else {}
    return {"id": f"s{at:03}", "text": text, "stars": at % 5, "labels": labels, **mood}


def answer(version: str, wrong: float) -> Callable[[Call], Completion]:
    """Return what answers a version's calls: gold with errors, now and then a failure."""

    def answered(call: Call) -> Completion:
        rng = random.Random(f"{version} {call.sample} {call.draw} {call.pass_name}")
        at = int(call.sample[1:])
        labels = row(at)["labels"]
        assert isinstance(labels, list)
        said = [name for name in LABELS if (name in labels) != (rng.random() < wrong)]
        if at % 23 == 7:
            return call_error()
        if at % 17 == (6 if version == "v2" else 5):
            return ok(f"I will not say </pre><script>window.hacked = 1</script> \x1b[2J {NASTY['s004']}")
        if version == "v2":
            scores = {
                name: round(rng.uniform(0.55, 0.99) if name in said else rng.uniform(0, 0.45), 2) for name in LABELS
            }
            return ok(json.dumps(scores))
        if version == "v3" and call.pass_name == "first":
            return ok(json.dumps({"labels": said, "mood": "happy", "item": "lamp"}))
        return ok(", ".join([*said, *(["colour"] if at % 29 == 1 else [])]) or "none")

    return answered


def stored(root: Path, version: str, repeats: int = 1) -> StoredRun:
    """Write a run of a version."""
    wrong = {"v1": 0.25, "v2": 0.12, "v3": 0.18}[version]
    return stored_run(root, version, answer(version, wrong), repeats=repeats, state="complete")


def report(root: Path, version: str, baseline: str | None = None, repeats: int = 1) -> Report:
    """Write runs of a version and of its baseline, and return the report of them."""
    before = None if baseline is None else stored(root, baseline, repeats)
    return report_of(stored(root, version, repeats), find_project(root), before)
