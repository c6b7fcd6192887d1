"""The format `yes_no`: being written."""

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


YES_NO = Format("yes_no", {}, parse, render, _problems, one_label=True)
