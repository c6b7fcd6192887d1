"""Runs that are killed anywhere: nothing that was answered is lost, nothing is paid twice but what was in flight."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from projects import HEAD, TWO_PASSES, Folder, jsonl
from scripted_server import CHAT_PATH, Gate, Reply, Request, ScriptedServer, say

from harness import api
from harness.runnames import list_runs
from harness.store import StoredRun, load_run

KILLS = 20
WIDTH = 4
SAMPLES = 130
PATIENCE = 60.0
"""Seconds to wait for a process on a busy machine; an idle one takes half a second."""


class Held:
    """Answers by the text alone; from a certain request on every answer is held, so that what is in flight is known."""

    def __init__(self) -> None:
        self.hold_from = sys.maxsize
        self.gate = Gate()

    def __call__(self, request: Request) -> Reply:
        """Answer a request: the samples' numbers decide, so that about half of them meet the second pass."""
        number = int(re.findall(r"\d+", request.text)[-1])
        labels = ["shipping", "quality", "price, quality", "none"][(number * 7 + request.text.startswith("S")) % 4]
        return say(labels, hold=self.gate if request.index >= self.hold_from else None)


def many(folder: Folder) -> None:
    """Write a prompt of two passes and many samples."""
    folder.prompt("v1", TWO_PASSES)
    folder.write(
        "datasets/reviews.dev.jsonl", jsonl({f"n{at}": (f"Sample {at}", ["quality"]) for at in range(SAMPLES)})
    )


def harness(folder: Folder, *arguments: str) -> subprocess.Popen[str]:
    """Start the command line in a project."""
    return subprocess.Popen(
        [sys.executable, "-m", "harness", *arguments],
        cwd=folder.root,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def only_run(folder: Folder) -> StoredRun:
    """Return the only run of the project as it is on disk now."""
    (run,) = list_runs(folder.project.runs)
    return load_run(run.path)


def texts(server: ScriptedServer) -> list[str]:
    """Return the last user message of every call so far."""
    return [request.text for request in server.requests if request.path == CHAT_PATH]


def kept(run: StoredRun) -> dict[tuple[str, str, str, int], str | None]:
    """Return the raw answers that a run holds."""
    return {slot: stored.completion.raw for slot, stored in run.log.latest.items()}


def answered_texts(slots: set[tuple[str, str, str, int]], server: ScriptedServer) -> set[str]:
    """Return the calls, by their text, that the slots of a run stand for."""
    found = set()
    for text in texts(server):
        name = "second" if text.startswith("Second") else "first"
        if (f"n{text.rpartition(' ')[2]}", name, "", 0) in slots:
            found.add(text)
    return found


def test_a_run_survives_being_killed_anywhere(folder: Folder, tmp_path: Path) -> None:
    """Killed at 20 random moments and resumed each time, a run ends with the results of an unbroken one."""
    many(folder)
    draw = random.Random(7)
    script = Held()
    with ScriptedServer(script) as server:
        before: dict[tuple[str, str, str, int], str | None] = {}
        for life in range(KILLS):
            first_request = server.count
            script.gate, script.hold_from = Gate(), first_request + draw.randint(0, 7)
            command = ["prompts/v1.yaml", "--base-url", server.base_url] if life == 0 else ["--resume"]
            cache = draw.choice(
                [[], ["--no-cache"]]
            )  # what is in the run's own log is not paid again without a cache too
            with harness(folder, "run", *command, *cache, "-j", str(WIDTH)) as process:
                server.wait_for(script.hold_from + 1, PATIENCE)
                process.kill()
            assert process.returncode == -signal.SIGKILL
            server.wait_idle()
            now = kept(only_run(folder))
            assert before.items() <= now.items(), "a completion was lost"
            asked_now = set(texts(server)[first_request:])
            assert not asked_now & answered_texts(set(before), server), "an answered call was paid again"
            assert len(asked_now) - (len(now) - len(before)) <= WIDTH, "more was lost than was in flight"
            before = now
        first_request, script.hold_from = server.count, sys.maxsize
        with harness(folder, "run", "--resume") as process:
            output, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, output + errors
        assert not set(texts(server)[first_request:]) & answered_texts(set(before), server)
        assert len(texts(server)) - len(set(texts(server))) <= KILLS * WIDTH

        run = only_run(folder)
        other = Folder(tmp_path / "unbroken").filled()
        many(other)
        unbroken = other.run_on(server, "v1")
    assert run.manifest.state == "complete"
    assert run.scores == unbroken.stored.scores
    assert run.predictions == unbroken.stored.predictions
    assert kept(run) == kept(unbroken.stored)


HEARD = "stopping: waiting for the calls that are under way. Again to stop at once."


@pytest.mark.parametrize("signal_sent", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_the_command_in_order(folder: Folder, signal_sent: signal.Signals) -> None:
    """Ctrl-C ends `harness run` with exit code 130 when the calls under way are answered and kept; no new one is made."""
    many(folder)
    script = Held()
    script.hold_from = 10
    with ScriptedServer(script) as server:
        with harness(folder, "run", "prompts/v1.yaml", "--base-url", server.base_url, "-j", str(WIDTH)) as process:
            server.wait_for(script.hold_from + WIDTH, PATIENCE)
            process.send_signal(signal_sent)
            assert process.stderr is not None
            assert process.stderr.readline() == f"warning: {HEARD}\n"
            script.gate.set()
            _, errors = process.communicate(timeout=PATIENCE)
        run = only_run(folder)
        assert process.returncode == 130
        assert errors == (
            f"error: run {run.manifest.id}: stopped; {script.hold_from + WIDTH} completions are kept. "
            f"Go on with: harness run --resume {run.manifest.id}\n"
        )
        assert run.manifest.state == "interrupted"
        assert len(run.log.latest) == server.count == script.hold_from + WIDTH
        assert not (run.path / "predictions.jsonl").exists()

        script.hold_from = sys.maxsize
        server.reset()
        with harness(folder, "run", "--resume", run.manifest.id) as process:
            process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
        assert not set(texts(server)) & {
            f"First: Sample {slot[0][1:]}" for slot in run.log.latest if slot[1] == "first"
        }


def test_a_second_ctrl_c_ends_at_once(folder: Folder) -> None:
    """Asked twice, `harness run` lets go of the calls under way, keeps what was answered, and can go on."""
    many(folder)
    script = Held()
    script.hold_from = 10
    with ScriptedServer(script) as server:
        with harness(folder, "run", "prompts/v1.yaml", "--base-url", server.base_url, "-j", str(WIDTH)) as process:
            server.wait_for(script.hold_from + WIDTH, PATIENCE)
            process.send_signal(signal.SIGINT)
            assert process.stderr is not None
            assert process.stderr.readline() == f"warning: {HEARD}\n"
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=PATIENCE)
        run = only_run(folder)
        assert process.returncode == 130
        assert f"run {run.manifest.id}: stopped; 10 completions are kept." in errors
        assert run.manifest.state == "interrupted"
        script.hold_from = sys.maxsize
        server.reset()
        with harness(folder, "run", "--resume", run.manifest.id) as process:
            process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
        assert len(server.requests) == len(only_run(folder).log.latest) - 10


DIES = """
import os, signal
from harness import api

def die(progress):
    if progress.calls == 3:
        os.kill(os.getpid(), signal.SIGKILL)

api.run("prompts/v1.yaml", progress=die)
"""


@pytest.mark.model
def test_a_killed_run_of_the_embedded_model_gives_the_same_bytes(folder: Folder) -> None:
    """In its bit-stable setting the embedded model answers a killed and resumed run as it answers an unbroken one."""
    engine = "engine: {prefix_reuse: false, slots: 1}"
    model = f"model: {{name: local/smollm2-135m, params: {{max_tokens: 8}}, {engine}}}\n"
    folder.prompt("v1", HEAD.splitlines()[0] + "\n" + model + "template: 'Problem of the review: {{ text }}'\n")
    killed = subprocess.run([sys.executable, "-c", DIES], cwd=folder.root, timeout=PATIENCE * 5, check=False)
    assert killed.returncode == -signal.SIGKILL
    broken = only_run(folder)
    assert len(broken.log.latest) == 3
    resumed = api.resume(broken.manifest.id, project=folder.project)
    assert (resumed.state, resumed.stored.manifest.endpoints["main"]["prefix_reuse"]) == ("complete", False)
    unbroken = api.run(folder.path("v1"), cache=False, project=folder.project)
    assert len(kept(unbroken.stored)) == 6
    assert kept(resumed.stored) == kept(unbroken.stored)
    assert resumed.stored.scores == unbroken.stored.scores
