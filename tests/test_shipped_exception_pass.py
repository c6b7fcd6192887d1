"""The shipped v4, as the embedded model answered it: what docs/exception-pass.md tells of it is held to its real outputs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from harness.comparison import RunPredictions, compare
from harness.planning import with_candidates, with_shots
from harness.predict import Step, answered, predict
from harness.project import find_project
from harness.promptfile import Task, load_task
from harness.records import Call, Completion, Prediction
from harness.scoring import align, score
from harness.searched import in_search_half
from harness.significance import Settings, judge

ROOT = Path(__file__).resolve().parent.parent
PAGE = " ".join((ROOT / "docs/exception-pass.md").read_text(encoding="utf-8").split())


def outputs(version: str) -> Mapping[str, str]:
    """Return what the embedded model wrote, by sample: v3 in its only pass, v4 in its second."""
    path = ROOT / f"tests/data/reviews.dev.{version}.outputs.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {row["id"]: row["output"] for row in rows}


RECORDED = {"main": outputs("v3"), "exception": outputs("v4")}


@pytest.fixture(scope="module")
def task() -> Task:
    """Return the shipped v4 with dev."""
    return load_task(ROOT / "prompts/v4.yaml", find_project(ROOT / "prompts"))


def walked(task: Task) -> tuple[list[Prediction], list[Step]]:
    """Return what v4 says of every sample, and the steps of its second pass, from the recorded outputs."""
    samples = with_candidates(task.prompt, task.dataset.space, with_shots(task.prompt, task.samples.samples))

    def find(call: Call) -> Completion:
        return Completion("ok", raw=RECORDED[call.pass_name][call.sample], finish_reason="stop")

    steps: list[Step] = []
    said = [answered(predict(task.prompt, task.dataset.space, sample, watch=steps.append), find) for sample in samples]
    return said, [step for step in steps if step.name == "exception"]


def test_its_trigger_sends_whom_it_was_recorded_for(task: Task) -> None:
    """The samples for which v3 says quality, and no others, were asked again."""
    _, steps = walked(task)
    assert {step.calls[0].sample for step in steps} == set(RECORDED["exception"])
    assert all("quality" in step.before.labels for step in steps)
    assert f"{len(steps)} calls made" in PAGE


def test_the_page_tells_what_it_corrected_and_broke(task: Task) -> None:
    """On the samples that the search never saw, the cells that were put right and wrong are those of the page."""
    _, steps = walked(task)
    gold = {sample.id: sample.labels or frozenset() for sample in task.samples.samples}
    unseen = [step for step in steps if not in_search_half(step.before.sample, 0, 0.5)]
    wrong = {
        when: {
            (step.before.sample, name)
            for step in unseen
            for name in (getattr(step, when).labels ^ gold[step.before.sample]) | getattr(step, when).unanswered
        }
        for when in ("before", "after")
    }
    corrected, broken = len(wrong["before"] - wrong["after"]), len(wrong["after"] - wrong["before"])
    assert (
        f"The pass 'exception' pays: it corrected {corrected} cells and broke {broken}, for {len(unseen)} calls" in PAGE
    )
    assert f"{len(unseen)} of 104 samples" in PAGE


@pytest.mark.parametrize("scoped", [False, True])
def test_the_page_tells_what_the_scope_was_narrowed_for(task: Task, scoped: bool) -> None:
    """On the searched half, with all labels in the scope and with the six that it has now, the page's numbers are those."""
    main, second = task.prompt.passes
    chosen = second if scoped else replace(second, scope=())
    said, _ = walked(replace(task, prompt=replace(task.prompt, passes=(main, chosen))))
    samples = [sample for sample in task.samples.samples if in_search_half(sample.id, 0, 0.5)]
    space, ids = task.dataset.space, {sample.id for sample in samples}
    both = [[each for each in run if each.sample in ids] for run in (first_answers(task), said)]
    before, after = (score(space, samples, run).headline["macro_f1"] for run in both)
    ((was,), (now,)) = (align(space, samples, run) for run in both)
    broken = was.right & ~now.right
    corrected, lost = int((now.right & ~was.right).sum()), int(broken.sum())
    if scoped:
        told = f"Macro F1 {after:.3f} there, {corrected} cells corrected and {lost} broken."
    else:
        outside = [at for at, name in enumerate(space.names) if name not in second.scope]
        told = (
            f"On the searched half macro F1 rose from {before:.3f} to {after:.3f}, but of cells {corrected} were corrected "
            f"and {lost} broken, {int(broken[:, outside].sum())} of these in `service` and `refund`."
        )
    assert told in PAGE


def first_answers(task: Task) -> list[Prediction]:
    """Return what v3 says of every sample: v4 without its second pass."""
    first = replace(task.prompt, passes=task.prompt.passes[:1])
    return [
        answered(
            predict(first, task.dataset.space, sample),
            lambda call: Completion("ok", raw=RECORDED["main"][call.sample], finish_reason="stop"),
        )
        for sample in task.samples.samples
    ]


def test_it_is_better_on_samples_that_the_search_never_saw(task: Task) -> None:
    """Macro F1, its interval and its p-value on the page are those of the recorded outputs."""
    after, _ = walked(task)
    before = first_answers(task)
    unseen = [sample for sample in task.samples.samples if not in_search_half(sample.id, 0, 0.5)]
    comparison = compare(task.dataset.space, unseen, [RunPredictions("v3", before), RunPredictions("v4", after)])
    found = judge(comparison, Settings()).diffs[0].averages["macro_f1"]
    assert found.verdict == "better"
    told = re.search(
        r"v4 is better than v3 on the 104 samples .*?: macro F1 (\S+) \(95 % (\S+) to (\S+), p (\S+)\)", PAGE
    )
    assert told is not None
    assert [round(found.delta, 3), round(found.low, 3), round(found.high, 3)] == [float(told[n]) for n in (1, 2, 3)]
    assert round(found.p, 3) == float(told[4])
