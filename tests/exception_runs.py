"""A project whose run goes wrong by a rule: texts about a box are labelled `shipping` though they are about `packaging`."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from cli_project import stored_run, write

from harness.records import Call
from harness.store import StoredRun

LABELS = {
    "shipping": "The journey of the parcel",
    "packaging": "The box itself, torn or too thin",
    "quality": "Badly made",
    "price": "Costs too much",
}
WORDS = ("lamp", "rug", "mug", "chair", "fine", "blue", "old", "new", "very", "then", "soon", "green", "shop", "week")
N = 160

DATASET = f"""\
name: reviews
labels: {json.dumps(LABELS)}
splits: {{dev: reviews.dev.jsonl, test: reviews.test.jsonl}}
"""

PROMPT = """\
# which labels apply
parent: v0
notes: ask for a list
dataset: ../datasets/reviews.yaml
model: {name: scripted, params: {temperature: 0, max_tokens: 16}}
template: |   # all of it
  Labels: {{ labels | join(", ") }}.

  {{ text }}

# as names
output: list
shots: {from: ../datasets/reviews.shots.jsonl, k: 2}
"""

SHOTS: tuple[tuple[str, str, list[str]], ...] = (
    ("w1", "Torn wrapping.", ["packaging"]),
    ("w2", "Weeks late.", ["shipping"]),
    ("w3", "All good.", []),
    ("w4", "Late, and in a torn bag.", ["shipping", "packaging"]),
    ("w5", "It broke.", ["quality"]),
)


def sample(at: int) -> dict[str, Any]:
    """Return a sample: those with a box are about packaging."""
    rng = random.Random(at)
    box = rng.random() < 0.15
    words = [*rng.choices(WORDS, k=rng.randint(4, 12)), *(["box"] if box else [])]
    labels = ["packaging"] if box else rng.sample(["shipping", "quality", "price"], rng.choice((1, 1, 2)))
    return {
        "id": f"s{at:03}",
        "text": f"{at} " + " ".join(words),
        "labels": labels,
        "language": rng.choice(("en", "de")),
    }


def said(at: int, *, by_rule: bool = True, noise: float = 0.1) -> str:
    """Return what the model says: shipping where the box is, and now and then what it should say of another sample."""
    row, rng = sample(at), random.Random(f"said {at}")
    wrong, other = rng.random() < noise, rng.randrange(N)
    if by_rule and "box" in row["text"]:
        return "shipping"
    return ", ".join(sample(other if wrong else at)["labels"])


def write_project(root: Path, prompt: str = PROMPT) -> Path:
    """Write the project and return its folder."""
    write(root / "harness.toml", "max_attempts = 1\n")
    write(root / "datasets/reviews.yaml", DATASET)
    write(root / "datasets/reviews.dev.jsonl", "".join(json.dumps(sample(at)) + "\n" for at in range(N)))
    write(root / "datasets/reviews.test.jsonl", json.dumps({"id": "t1", "text": "Too late.", "labels": ["shipping"]}))
    rows = [{"id": name, "text": text, "labels": labels, "language": "en"} for name, text, labels in SHOTS]
    write(root / "datasets/reviews.shots.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    write(root / "prompts/v1.yaml", prompt)
    return root


def by_rule(call: Call) -> str:
    """Answer wrong where the rule says so."""
    return said(int(call.sample[1:]))


def by_chance(call: Call) -> str:
    """Answer wrong by chance alone."""
    return said(int(call.sample[1:]), by_rule=False, noise=0.3)


def stored(root: Path, version: str = "v1", answer: Any = by_rule, **options: Any) -> StoredRun:
    """Write a run."""
    return stored_run(root, version, answer, **options)
