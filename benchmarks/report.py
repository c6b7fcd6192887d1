"""Time, memory and size of a report of two runs: the data gathered, the page written, the page opened.

    python benchmarks/report.py [--samples 2000 20000] [--labels 28] [--browser /usr/bin/chromium]

The runs are made up, with prompts as they are in earnest: a description of every label, 16 worked examples (7 KB in
all) sent with each call, and answers in JSON. Each size is measured in a process of its own, so that the memory is
its own. Without the browser the page is not opened.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from harness.predict import predict
from harness.project import Project, find_project
from harness.promptfile import load_task
from harness.records import Completion, Prediction, Sample
from harness.report.html import to_html
from harness.reportdata import report_of
from harness.runnames import find_run
from harness.scoring import score
from harness.store import Manifest, create_run

TEXT = (
    "the parcel came late and the box was torn open at one side so that the lamp inside had lost its glass but support "
    "answered within an hour and sent another one that works well although it costs more than I would pay again for it "
    "after two weeks of use the handle came off and nobody at the shop wanted to hear of it until I asked for my money"
)

PROMPT = """\
parent: {parent}
dataset: ../data.yaml
model: {{name: made-up, params: {{temperature: 0, max_tokens: 400}}}}
messages:
  - system: |
      You label customer feedback ({version}). The labels:
      {{% for label in labels %}}
      - {{{{ label.name }}}}: {{{{ label.description }}}}
      {{% endfor %}}
      Answer with a JSON object that says true or false for every label, and nothing else.
  - user: |
      Feedback: {{{{ text }}}}
shots: {{from: ../shots.jsonl, k: 16}}
output: json
"""


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--samples", type=int, nargs="+", default=[2_000, 20_000])
    parser.add_argument("--labels", type=int, default=28)
    parser.add_argument("--browser", default=shutil.which("chromium"))
    parser.add_argument("--keep", type=Path, help="Where to keep the projects and pages.")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        print(json.dumps(measure(options.one)))
        return
    heads = ("samples", "gather s", "page s", "GiB", "MB", "opens s", "filter ms", "search ms")
    print(" ".join(f"{head:>9}" for head in heads))
    for n in options.samples:
        with tempfile.TemporaryDirectory() as temporary:
            folder = (options.keep or Path(temporary)) / f"report-{n}"
            write_project(folder, n, options.labels)
            command = [sys.executable, __file__, "--one", str(folder)]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            found |= opened(folder / "report.html", options.browser) if options.browser else {}
            cells = [found.get(name) for name in ("gather", "page", "memory", "size", "opens", "filter", "search")]
            shown = ["–" if value is None else f"{value:.2f}" for value in cells]
            print(" ".join(f"{each:>9}" for each in (str(n), *shown)))


def measure(folder: Path) -> dict[str, float]:
    """Return seconds of gathering and of writing the page, the peak memory in GiB and the size in MB."""
    project = find_project(folder)
    started = time.perf_counter()
    report = report_of(find_run(project.runs, "v2"), project, find_run(project.runs, "v1"))
    gathered = time.perf_counter()
    page = to_html(report).encode()
    written = time.perf_counter()
    (folder / "report.html").write_bytes(page)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"gather": gathered - started, "page": written - gathered, "memory": memory, "size": len(page) / 1e6}


def opened(page: Path, browser: str) -> dict[str, float]:
    """Return seconds until the samples stand there, and milliseconds until a filter and a search have changed them."""
    from playwright.sync_api import sync_playwright

    change = """([id, value]) => {
        const started = performance.now(), field = document.getElementById(id);
        field.value = value;
        field.dispatchEvent(new Event(id === "q" ? "input" : "change"));
        document.body.getBoundingClientRect();
        return performance.now() - started;
    }"""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        tab = chromium.new_page()
        started = time.perf_counter()
        tab.goto(page.as_uri())
        tab.wait_for_selector("#sample-table tbody tr")
        opens = time.perf_counter() - started
        filtered = tab.evaluate(change, ["kind", "regressed"])
        tab.evaluate(change, ["kind", "all"])
        searched = tab.evaluate(change, ["q", "parcel glass"])
        chromium.close()
    return {"opens": opens, "filter": filtered, "search": searched}


# --- made-up runs -----------------------------------------------------------------------------------------------------


def write_project(folder: Path, samples: int, labels: int) -> None:
    """Write a project with two complete runs of so many samples."""
    rng = random.Random(0)
    names = [f"theme {chr(97 + at % 26)}{at // 26 or ''}" for at in range(labels)]
    (folder / "prompts").mkdir(parents=True)
    (folder / "harness.toml").touch()
    described = {name: f"What people say about {name}, and nothing that is about another theme" for name in names}
    splits = "splits: {dev: data.jsonl}\n"
    (folder / "data.yaml").write_text(f"name: feedback\nlabels: {json.dumps(described)}\n{splits}")
    _write_rows(folder / "shots.jsonl", _rows(rng, 16, names, "w"))
    _write_rows(folder / "data.jsonl", _rows(rng, samples, names, "s"))
    project = find_project(folder)
    for at, (version, parent, wrong) in enumerate((("v1", "null", 0.09), ("v2", "v1", 0.07))):
        (folder / f"prompts/{version}.yaml").write_text(PROMPT.format(version=version, parent=parent))
        write_run(folder, project, version, datetime(2026, 1, 1 + at, tzinfo=UTC), _model(random.Random(at), wrong))


def _rows(rng: random.Random, n: int, names: list[str], prefix: str) -> Iterator[dict[str, Any]]:
    for at in range(n):
        text = " ".join(rng.choices(TEXT.split(), k=rng.randint(15, 70))).capitalize() + f" ({at})."
        yield {"id": f"{prefix}{at:05}", "text": text, "labels": rng.sample(names, rng.choice((0, 1, 1, 1, 2, 3)))}


def _write_rows(path: Path, rows: Iterator[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _model(rng: random.Random, wrong: float) -> Callable[[Sample, list[str]], Completion]:
    """Return what answers: gold with errors, now and then a text that cannot be read."""

    def answer(sample: Sample, names: list[str]) -> Completion:
        gold = sample.labels or frozenset()
        said = {name: (name in gold) != (rng.random() < wrong * (3 if name in gold else 0.3)) for name in names}
        raw = "I would rather not say." if rng.random() < 0.02 else json.dumps(said)
        return Completion("ok", raw, "stop", latency_s=rng.uniform(0.3, 2.5), served_model="made-up")

    return answer


def write_run(
    folder: Path,
    project: Project,
    version: str,
    when: datetime,
    answer: Callable[[Sample, list[str]], Completion],
) -> None:
    """Write a complete run in which every call is answered so."""
    task = load_task(folder / f"prompts/{version}.yaml", project)
    space, samples = task.dataset.space, task.samples.samples
    draft = Manifest(
        id=f"{version}-{when:%Y%m%d-%H%M%S}",
        version=version,
        state="running",
        prompt=task.prompt,
        prompt_hash=task.prompt.hash,
        space=space,
        dataset=task.dataset.name,
        hashes={},
        split="dev",
        default_split=True,
        selection={},
        repeats=1,
        endpoints={},
        n_samples=len(samples),
        started=(when + timedelta(seconds=1)).isoformat(),
    )
    with create_run(project.runs, draft, samples) as writer:
        predictions: list[Prediction] = []
        for sample in samples:
            asking = predict(task.prompt, space, sample)
            try:
                calls = next(asking)
                while True:
                    completions = [answer(sample, list(space.names)) for _ in calls]
                    for call, completion in zip(calls, completions, strict=True):
                        writer.append(call, f"{call.sample}-{call.pass_name}", completion)
                    calls = asking.send(completions)
            except StopIteration as end:
                predictions.append(end.value)
        writer.derive(predictions, score(space, samples, predictions).to_json())
        writer.update(state="complete", seconds=600.0, cost_usd=1.23)


if __name__ == "__main__":
    main()
