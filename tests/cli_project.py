"""A small project on disk, the command line in process, and stored runs with fixed times: for tests of what users see.

A test module takes the fixtures with ``project, cli = cli_project.project, cli_project.cli``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from harness.cli import main
from harness.project import find_project
from harness.promptfile import load_task
from harness.records import Call, CallError, Completion
from harness.scoring import score
from harness.store import Manifest, StoredRun, create_run, load_run, new_id

DATASET = """\
name: reviews
labels:
  shipping: {description: Late or lost on the way, aliases: [delivery]}
  quality: The product itself is badly made
  price: It costs too much
  gift wrap: The gift wrapping is wrong
splits: {dev: reviews.dev.jsonl, test: reviews.test.jsonl}
"""

TEXTS: Mapping[str, tuple[str, list[str]]] = {
    "r01": ("Arrived three weeks late.", ["shipping"]),
    "r02": ("The handle broke on day two.", ["quality"]),
    "r03": (
        "Costs twice what the shop next door asks, and on top of that it came a whole week too late.",
        ["shipping", "price"],
    ),
    "r04": ("Lovely, would buy again.", []),
    "r05": ("Box was crushed and the cup inside was chipped.", ["shipping", "quality"]),
    "r06": ("Too expensive for plastic that bends.", ["quality", "price"]),
    "r07": ("Never came.", ["shipping"]),
    "r08": ("Stitching came apart after one wash.", ["quality"]),
    "r09": ("Fine for the price.", []),
    "r10": ("They raised the price overnight.", ["price"]),
}

ANSWERS: Mapping[str, Mapping[str, str]] = {
    "v1": {
        "r01": "shipping", "r02": "quality, gift wrap", "r03": "shipping", "r04": "none", "r05": "quality",
        "r06": "price", "r07": "shipping", "r08": "quality", "r09": "price", "r10": "shiping, price",
    },
    "v2": {
        "r01": "shipping", "r02": "quality", "r03": "shipping, price", "r04": "price", "r05": "shipping",
        "r06": "price", "r07": "shipping, price", "r08": "quality", "r09": "none", "r10": "price",
    },
    "v3": {
        "r01": "shipping", "r02": "quality", "r03": "shipping, price", "r04": "none", "r05": "shipping, quality",
        "r06": "quality, price", "r07": "It never came, which is sad.", "r08": "", "r09": "none", "r10": "price, quality",
    },
}  # fmt: skip

PROMPT = """\
parent: {parent}
dataset: ../datasets/reviews.yaml
model: scripted
template: |
  [{version}] Labels: {{{{ labels | join(", ") }}}}.

  {{{{ text }}}}
output: list
"""

SETTINGS = """\
max_attempts = 1
[prices.scripted]
input = 400.0
output = 1600.0
"""

Answers = Mapping[str, str] | Mapping[str, Completion] | Mapping[str, str | Completion]
"""By sample id, what the model says, or how it fails to."""

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command line left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as JSON."""
        return json.loads(self.out)


Cli = Callable[..., Outcome]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of ten labelled reviews and three prompt versions; it is the current folder."""
    root = tmp_path / "project"
    write_project(root)
    monkeypatch.chdir(root)
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "COLUMNS", "NO_COLOR", "FORCE_COLOR", "_HARNESS_COMPLETE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    return root


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The command line in this process: ``cli("run", "prompts/v1.yaml").out``."""

    def call(*arguments: str) -> Outcome:
        monkeypatch.setattr("sys.argv", ["harness", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        told = capsys.readouterr()
        assert "Traceback" not in told.err
        return Outcome(ended.value.code if isinstance(ended.value.code, int) else 0, told.out, told.err)

    return call


def write_project(root: Path) -> None:
    """Write a project: settings, dataset with two splits, and prompts v1 to v3."""
    write(root / "harness.toml", SETTINGS)
    write(root / "datasets/reviews.yaml", DATASET)
    write_samples(root, {identity: {"text": text, "labels": gold} for identity, (text, gold) in TEXTS.items()})
    write(root / "datasets/reviews.test.jsonl", json.dumps({"id": "t1", "text": "Too late.", "labels": ["shipping"]}))
    for version, parent in (("v1", "null"), ("v2", "v1"), ("v3", "v2")):
        write(root / f"prompts/{version}.yaml", PROMPT.format(version=version, parent=parent))


def write(path: Path, text: str) -> Path:
    """Write a file and the folders it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def write_samples(root: Path, rows: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the samples of the split `dev`."""
    lines = [json.dumps({"id": identity, **row}) for identity, row in rows.items()]
    write(root / "datasets/reviews.dev.jsonl", "\n".join(lines) + "\n")


def answer_of(text: str) -> str:
    """Return what the scripted model says to a prompt of this project: by version and review."""
    version = text[1 : text.index("]")]
    (identity,) = (name for name, (review, _) in TEXTS.items() if review in text)
    return ANSWERS[version][identity]


def ok(raw: str, *, finish_reason: str = "stop") -> Completion:
    """A completion as a server gives it."""
    usage = {"prompt_tokens": 50, "completion_tokens": 4}
    return Completion("ok", raw, finish_reason, usage=usage, latency_s=0.25, served_model="scripted-1")  # type: ignore[arg-type]


def call_error(kind: str = "http_500", message: str = "the server is on fire") -> Completion:
    """A call that brought nothing."""
    return Completion("error", error=CallError(kind=kind, message=message, status=500), attempts=6)


def stored_run(
    root: Path,
    version: str,
    answers: Answers | Callable[[Call], str | Completion] | None = None,
    *,
    day: int | None = None,
    repeats: int = 1,
    **manifest: Any,
) -> StoredRun:
    """Write a run as it would be on disk after the model gave these answers; its time goes by the version's number.

    Args:
        root: The project.
        version: Which prompt.
        answers: By sample id, or a function of the call; default: `ANSWERS`.
        day: Days after `START`; default: the version's number.
        repeats: How often each sample is asked.
        manifest: What else its manifest says.
    """
    project = find_project(root)
    task = load_task(root / f"prompts/{version}.yaml", project)
    given = ANSWERS[version] if answers is None else answers
    answer = given if callable(given) else lambda call: given[call.sample]
    when = START + timedelta(days=int(version.strip("v") or 0) if day is None else day)
    samples = tuple(sample for sample in task.samples.samples if callable(given) or sample.id in given)
    draft = Manifest(
        id=new_id(version, when),
        version=version,
        state="running",
        prompt=task.prompt,
        prompt_hash=task.prompt.hash,
        space=task.dataset.space,
        dataset=task.dataset.name,
        hashes={},
        split="dev",
        default_split=True,
        selection={},
        repeats=repeats,
        endpoints={each.name: {} for each in task.prompt.passes},
        n_samples=len(samples),
        started=when.isoformat(timespec="milliseconds"),
    )
    with create_run(project.runs, draft, samples) as writer:
        predictions = [
            _predicted(writer, task, sample, repeat, answer) for repeat in range(repeats) for sample in samples
        ]
        writer.derive(predictions, score(task.dataset.space, samples, predictions).to_json())
        failed = bool(writer.failed)
        state = "incomplete" if failed else "complete"
        writer.update(**{"state": state, "seconds": 34.2, "cost_usd": 0.0412, **manifest})
    return load_run(writer.path)


def _predicted(writer: Any, task: Any, sample: Any, repeat: int, answer: Callable[[Call], str | Completion]) -> Any:
    from harness.predict import predict

    asking = predict(task.prompt, task.dataset.space, sample, repeat)
    try:
        calls = next(asking)
        while True:
            completions = [each if isinstance(each := answer(call), Completion) else ok(each) for call in calls]
            for call, completion in zip(calls, completions, strict=True):
                writer.append(call, f"{call.sample}-{call.pass_name}-{repeat}", completion)
            calls = asking.send(completions)
    except StopIteration as end:
        return end.value
