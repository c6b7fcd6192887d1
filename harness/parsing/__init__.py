"""Output formats: one file each; text becomes labels and fields, or a `ParseFailure` that says why."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from harness.labelspace import LabelSpace
from harness.parsing.formats import Format, Output
from harness.parsing.json import JSON
from harness.parsing.list import LIST
from harness.parsing.refusal import looks_like_refusal
from harness.records import Answer, Completion, FailureKind, ParseFailure

__all__ = ["FORMATS", "Format", "Output", "read"]

FORMATS: Mapping[str, Format] = MappingProxyType({each.name: each for each in (LIST, JSON)})
"""Every output format by name. A new one is a file beside `list.py` and a place in this line."""


def read(completion: Completion, space: LabelSpace, output: Output) -> Answer | ParseFailure:
    """Return what a completion answers, or why it answers nothing.

    A cut completion (``finish_reason: length``) is a failure only when its answer is incomplete, and a text that reads
    like a refusal is one only when no answer can be read in it.
    """
    if completion.status == "error":
        message = completion.error["message"] if completion.error else "the call failed"
        return ParseFailure(FailureKind.CALL_ERROR, message)
    if completion.status == "refusal":
        return ParseFailure(FailureKind.REFUSAL, completion.raw or "the API says that the model refused")
    if completion.finish_reason == "content_filter":
        return ParseFailure(FailureKind.REFUSAL, "a content filter stopped the answer")
    if completion.raw is None:
        return ParseFailure(FailureKind.UNPARSEABLE, "the completion has no text")
    try:
        return FORMATS[output.format].parse(completion.raw, space, output, completion.finish_reason == "length")
    except ParseFailure as failure:
        if looks_like_refusal(completion.raw):
            return ParseFailure(FailureKind.REFUSAL, "it reads as a refusal", failure.off_list)
        return failure
