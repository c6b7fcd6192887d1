"""The format `decisions`: being written."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from harness.labelspace import LabelSpace
from harness.parsing.formats import Format, Output
from harness.records import Answer, FailureKind, FieldValue, ParseFailure


def parse(text: str, space: LabelSpace, output: Output, cut: bool) -> Answer:
    """Being written."""
    raise ParseFailure(FailureKind.UNPARSEABLE, "being written")


def render(labels: Collection[str], fields: Mapping[str, FieldValue], space: LabelSpace, output: Output) -> str:
    """Being written."""
    return ""


def _problems(space: LabelSpace, output: Output) -> list[str]:
    return []


DECISIONS = Format("decisions", {}, parse, render, _problems, carries_fields=True, gives_probabilities=True)
