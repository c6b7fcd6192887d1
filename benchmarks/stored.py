"""A project with two runs that were answered already, and a server that answers more of them.

The runs' files are written directly, as a run of so many calls would leave them: what is measured is what reads them.
"""

from __future__ import annotations

import asyncio
import json
import string
import subprocess
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from harness.identity import gold_hash, inputs_hash, space_hash
from harness.jsonfiles import json_line
from harness.metrics import BoolMatrix
from harness.project import find_project
from harness.promptfile import Task, load_task
from harness.store import Manifest, create_run

CODES = string.digits[1:] + string.ascii_letters
"""The characters that stand for labels; of many labels several have the same one."""

PROMPT = """\
dataset: ../data.yaml
model: {{name: made-up, base_url: "http://127.0.0.1:9/v1", params: {{temperature: 0, max_tokens: 40}}}}
template: |
  Labels: {{{{ labels | join(", ") }}}}.
  Answer with those that apply, or "none".

  {{{{ text }}}}
output: {output}
"""

USAGE = {"prompt_tokens": 1100, "completion_tokens": 8}


def names_of(n_labels: int) -> list[str]:
    """Return the names of so many labels."""
    return [f"theme {at:03}" for at in range(1, n_labels + 1)]


def write_stored(root: Path, gold: BoolMatrix, answers: BoolMatrix, texts: Iterator[str]) -> None:
    """Write the project: its dataset, a prompt that wants a list and one that wants codes, and a run of each."""
    (root / "prompts").mkdir(parents=True)
    (root / "harness.toml").touch()
    names = names_of(gold.shape[1])
    (root / "data.yaml").write_text(json.dumps({"name": "wide", "labels": names, "splits": {"dev": "data.jsonl"}}))
    with (root / "data.jsonl").open("w") as file:
        for at, (row, text) in enumerate(zip(gold, texts, strict=True)):
            labels = [names[place] for place in np.flatnonzero(row).tolist()]
            file.write(json.dumps({"id": f"s{at:06}", "text": text, "labels": labels}) + "\n")
    codes: dict[str, list[str]] = {}
    for at, name in enumerate(names):
        codes.setdefault(CODES[at % len(CODES)], []).append(name)
    for version, output in (("list", "list"), ("codes", json.dumps({"format": "codes", "codes": codes}))):
        path = root / "prompts" / f"{version}.yaml"
        path.write_text(PROMPT.format(output=output))
        _write_run(load_task(path, find_project(root)), version, _written(version, names, answers))


def _written(version: str, names: Sequence[str], answers: BoolMatrix) -> Iterator[str]:
    """Yield what a model answers; a sample in 500 has no answer, another one has a heading."""
    for at, row in enumerate(answers):
        places = np.flatnonzero(row).tolist()
        codes = sorted({CODES[place % len(CODES)] for place in places})
        said = ", ".join([names[place] for place in places] if version == "list" else codes) or "none"
        yield "I cannot tell what this is about." if at % 500 == 7 else f"Answer: {said}" if at % 500 == 9 else said


def _write_run(task: Task, version: str, answers: Iterator[str]) -> None:
    """Write a run as it is when its calls were made and nothing was derived yet."""
    prompt, space, samples = task.prompt, task.dataset.space, task.samples.samples
    (asked,) = prompt.passes
    manifest = Manifest(
        id=f"{version}-20260101-000000",
        version=version,
        state="complete",
        prompt=prompt,
        prompt_hash=prompt.hash,
        space=space,
        dataset=task.dataset.name,
        hashes={"inputs": inputs_hash(samples), "gold": gold_hash(samples), "labels": space_hash(space)},
        split="dev",
        default_split=True,
        selection={"filter": None, "limit": None, "ids": None},
        repeats=1,
        endpoints={asked.name: {"base_url": asked.model.base_url, "api": asked.model.api}},
        served=("made-up",),
        n_samples=len(samples),
        started=datetime(2026, 1, 1, tzinfo=UTC).isoformat(),
    )
    folder = task.dataset.path.resolve().parent / "runs"
    with create_run(folder, manifest, samples) as writer:
        call = {"v": 1, "pass": asked.name, "unit": "", "repeat": 0, "attempt": 1, "status": "ok", "error": None}
        with (writer.path / "completions.jsonl").open("ab") as file:
            for at, (sample, raw) in enumerate(zip(samples, answers, strict=True)):
                came: dict[str, Any] = {"raw": raw, "finish_reason": "stop", "logprobs": None, "usage": USAGE}
                file.write(
                    json_line(
                        {**call, "key": f"{at:040x}", "sample": sample.id, **came}
                        | {"latency_s": 0.05, "cached": False, "model": "made-up"}
                    )
                )
        writer.n_answered = len(samples)  # or it would be taken for a run that never began
        writer.update(state="complete")


# --- a server ---------------------------------------------------------------------------------------------------------


@contextmanager
def serving() -> Iterator[str]:
    """Run the server in a process of its own, and give its base URL."""
    process = subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()


async def _serve() -> None:
    server = await asyncio.start_server(_answer, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await server.serve_forever()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the requests of a connection, each with labels that its content decides."""
    while True:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionResetError):
            return
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        drawn = zlib.crc32(await reader.readexactly(int(length.partition(b":")[2])))
        said = ", ".join(f"theme {1 + (drawn >> 8 * at) % 200:03}" for at in range(1 + drawn % 3))
        choice = {"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": "stop"}
        usage = {**USAGE, "total_tokens": sum(USAGE.values())}
        answer = {"id": "1", "object": "chat.completion", "created": 0, "model": "made-up", "choices": [choice]}
        body = json.dumps({**answer, "usage": usage}).encode()
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        )


if __name__ == "__main__":
    asyncio.run(_serve())
