"""Dev against test as people see it, and how often a locked split was looked at."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from syrupy.assertion import SnapshotAssertion

from harness.devtest import HeldOut, HeldOutRun
from harness.holdoutlog import Looks, new_look
from harness.overfitting import DevTest, Gap
from harness.report.devtest import against_markdown, against_report, verdict_text
from harness.report.looks import looks_line, looks_markdown, looks_text
from harness.report.terminal import rendered
from harness.store import StoredRun

LOOK = new_look(
    asked="run", dataset="reviews", split="test", version="v1", prompt="p1", inputs="i", gold="g", n_samples=121,
    models=("m",), reason=None,
)  # fmt: skip
LOOKS = Looks("reviews", "test", (LOOK, replace(LOOK, prompt="p2")))
NAN = math.nan


def on(split: str) -> StoredRun:
    """Return a stand-in for a run on a split: nothing else of it is shown."""
    return cast("StoredRun", SimpleNamespace(manifest=SimpleNamespace(split=split)))


def a_run(name: str, dev: float, test: float, low: float, high: float, **more: Any) -> HeldOutRun:
    """Return a run on both sides with these macro F1."""
    gap = Gap(dev, test, test - dev, low, high)
    values: dict[str, Any] = {
        "n_dev": 224,
        "n_test": 121,
        "labels": ("shipping", "price"),
        "one_sided": (),
        "gaps": {"macro_f1": gap, "micro_f1": gap, "subset_accuracy": Gap(0.2, 0.2, 0.0, NAN, NAN)},
        "level": 0.95,
        "cautions": (),
    }
    split = more.pop("split", "test")
    looks = replace(LOOKS, split=split)
    return HeldOutRun(name, on("dev"), on(split), DevTest(**{**values, **more}), looks, own_looks=1)


@pytest.mark.parametrize(
    ("of", "said"),
    [
        (
            a_run("v1", 0.7, 0.6, -0.15, -0.04),
            "v1: overfitting to dev: macro F1 −0.100 on test (95 % −0.150 to −0.040)",
        ),
        (
            a_run("v1", 0.6, 0.7, 0.04, 0.15, level=0.975),
            "v1: higher on test: macro F1 +0.100 on test (97.5 % +0.040 to +0.150): the splits differ by more than chance",
        ),
        (
            a_run("v1", 0.6, 0.55, -0.15, 0.04),
            "v1: no gap shown: macro F1 −0.050 on test (95 % −0.150 to +0.040)",
        ),
        (a_run("v1", 0.6, 0.55, NAN, NAN), "v1: too few to tell: macro F1 −0.050 on test"),
        (
            a_run("v1", 0.7, 0.6, -0.15, -0.04, n_test=12),
            "v1: too few to tell: macro F1 −0.100 on test (95 % −0.150 to −0.040)",
        ),
        (
            a_run("v\x1b[2J1", 0.7, 0.6, -0.15, -0.04, split="hold\nout"),
            "v\\x1b[2J1: overfitting to dev: macro F1 −0.100 on hold out (95 % −0.150 to −0.040)",
        ),
    ],
)
def test_the_verdict_of_a_prompt(of: HeldOutRun, said: str) -> None:
    """Overfitting is said where the interval leaves out 0 and both sides have enough samples."""
    assert verdict_text(of) == said


MANY = HeldOut(
    (
        a_run("v1", 0.612, 0.58, -0.1, 0.04),
        a_run(
            "a version with [bold]a long name", 0.7, 0.6, -0.15, -0.04, one_sided=tuple("abcdefgh"), labels=("price",)
        ),
        a_run("v3", NAN, NAN, NAN, NAN, split="holdout", cautions=("121 samples on test are few",)),
    ),
    ("v4: its run on test, v4-1, is of another prompt or model: left out",),
)


def test_the_table(snapshot: SnapshotAssertion) -> None:
    """Verdicts, both values with the difference and its interval, what macro F1 is over, cautions, notes and looks."""
    assert rendered([against_report(MANY)], io.StringIO()) == snapshot


def test_the_table_as_markdown(snapshot: SnapshotAssertion) -> None:
    """The same in Markdown, where names are text and no markup."""
    assert against_markdown(MANY) == snapshot
    assert against_markdown(HeldOut((), ("note",))) == ""


def test_one_prompt_has_plain_intervals(snapshot: SnapshotAssertion) -> None:
    """Of one prompt nothing is wider, and the split stands in no name."""
    assert rendered([against_report(HeldOut(MANY.runs[:1]))], io.StringIO()) == snapshot


def test_looks_in_a_line() -> None:
    """A first look is quiet; several prompts, or a log that cannot be read whole, are yellow."""
    assert looks_text(LOOKS) == "test is locked: looked at 2 times, by 2 prompts"
    assert looks_line(LOOKS).style == "yellow"
    assert looks_line(replace(LOOKS, looks=(LOOK,))).style == "dim"
    assert looks_line(replace(LOOKS, looks=(LOOK,), damaged=(1,))).style == "yellow"
    assert looks_markdown(replace(LOOKS, split="a_b")) == "\na\\_b is locked: looked at 2 times, by 2 prompts\n"
    assert looks_markdown(None) == ""
