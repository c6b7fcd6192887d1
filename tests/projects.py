"""A small project on disk, and runs of it against the scripted server."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scripted_server import Answer, Reply, Request, ScriptedServer, always, answering

from harness import api, execution
from harness.planning import Plan
from harness.project import Project, Settings
from harness.promptfile import Task, load_task
from harness.selection import Selection

KEY = "sk-planted-0123456789abcdef"
"""The API key of every test; it may stand in no file."""

DATASET = """\
name: reviews
labels:
  shipping: Late, lost or damaged on the way
  quality: {description: The product itself is bad, aliases: [build quality]}
  price: Too dear
fields:
  mood: {type: choice, values: [happy, mad]}
splits:
  dev: reviews.dev.jsonl
  test: reviews.test.jsonl
"""

DEV: Mapping[str, tuple[str, list[str]]] = {
    "s1": ("The parcel came two weeks late.", ["shipping"]),
    "s2": ("It broke on the first day.", ["quality"]),
    "s3": ("Expensive, and it fell apart.", ["quality", "price"]),
    "s4": ("Lovely, thank you.", []),
    "s5": ("Far too dear for a lamp.", ["price"]),
    "s6": ("The box was torn and the lamp cracked.", ["shipping", "quality"]),
}
"""Text and gold by id."""

TEST: Mapping[str, tuple[str, list[str]]] = {
    "t1": ("It never arrived.", ["shipping"]),
    "t2": ("Cheap plastic.", ["quality"]),
}

SHOTS: Mapping[str, tuple[str, list[str]]] = {
    "w1": ("Lost in the post.", ["shipping"]),
    "w2": ("All fine.", []),
    "w3": ("Wobbly and overpriced.", ["quality", "price"]),
}

RIGHT: Mapping[str, str] = {
    text: ", ".join(labels) or "none" for texts in (DEV, TEST) for text, labels in texts.values()
}
"""By text, the answer that is exactly right."""

TEMPLATE = """\
template: |
  Labels: {{ labels | join(", ") }}.

  {{ text }}
"""
HEAD = """\
dataset: ../datasets/reviews.yaml
model: {name: scripted, params: {temperature: 0, max_tokens: 16}}
"""
PROMPT = HEAD + TEMPLATE

TWO_PASSES = (
    HEAD
    + """\
passes:
  - name: first
    template: "First: {{ text }}"
  - name: second
    when: "'quality' in predicted"
    template: "Second, after {{ predicted | join(' and ') }}: {{ text }}"
    merge: {scope: [quality, price]}
"""
)


def right_but(**answers: Any) -> Answer:
    """Return a script that answers every sample exactly right, but for those whose id is named."""
    texts = {identity: text for samples in (DEV, TEST) for identity, (text, _) in samples.items()}
    return answering({**RIGHT, **{texts[identity]: answer for identity, answer in answers.items()}})


def jsonl(samples: Mapping[str, tuple[str, list[str]]], **columns: Any) -> str:
    """Return samples as a JSONL file's text; every further column has the same value in all rows."""
    rows = [{"id": key, "text": text, "labels": labels, **columns} for key, (text, labels) in samples.items()]
    return "".join(json.dumps(row) + "\n" for row in rows)


class Folder:
    """A project folder."""

    def __init__(self, root: Path, **settings: Any) -> None:
        self.root = root
        self.project = Project(root, Settings(**{"max_attempts": 1, **settings}))

    def filled(self) -> Folder:
        """Write the dataset and the prompt `v1`."""
        self.write("harness.toml", "max_attempts = 1\n")
        self.write("datasets/reviews.yaml", DATASET)
        self.write("datasets/reviews.dev.jsonl", jsonl(DEV))
        self.write("datasets/reviews.test.jsonl", jsonl(TEST))
        self.write("datasets/shots.jsonl", jsonl(SHOTS))
        self.prompt("v1")
        return self

    def write(self, name: str, text: str) -> Path:
        """Write a file of the project."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def prompt(self, version: str, text: str = PROMPT) -> Path:
        """Write a prompt file."""
        return self.write(f"prompts/{version}.yaml", text)

    def path(self, version: str) -> Path:
        """Return the path of a prompt file."""
        return self.root / "prompts" / f"{version}.yaml"

    def task(self, version: str = "v1", **options: Any) -> Task:
        """Return a prompt with its dataset and samples, read and checked."""
        return load_task(self.path(version), self.project, **options)

    def plan(
        self,
        version: str = "v1",
        *,
        split: str | None = None,
        repeats: int = 1,
        limit: int | None = None,
        **options: Any,
    ) -> Plan:
        """Return the plan of a run."""
        plan, _ = api.plan_run(
            self.path(version),
            split=split,
            repeat=repeats,
            selection=Selection(limit=limit),
            project=self.project,
            **options,
        )
        return plan

    def run(self, version: str, answer: Answer, **options: Any) -> api.Run:
        """Run a prompt against a server of its own that answers as the script says."""
        with ScriptedServer(answer) as server:
            return self.run_on(server, version, **options)

    def run_on(self, server: ScriptedServer, version: str = "v1", **options: Any) -> api.Run:
        """Run a prompt against a server."""
        plan = self.plan(version, base_url=server.base_url, **options)
        return api.Run(execution.start(plan, self.project), self.project)

    def saved(self, folders: Sequence[str] = ("runs", ".harness")) -> bytes:
        """Return all bytes that runs and the cache have left in the project."""
        files = [path for name in folders for path in (self.root / name).rglob("*") if path.is_file()]
        return b"".join(path.read_bytes() for path in files)


class Switch:
    """A script that can be exchanged while the server runs."""

    def __init__(self, answer: Answer) -> None:
        self.script = always(answer)

    def to(self, answer: Answer) -> None:
        """Answer like this from now on."""
        self.script = always(answer)

    def __call__(self, request: Request) -> Reply:
        """Answer a request."""
        return self.script(request)
