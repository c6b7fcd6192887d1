"""Output formats: one file each; text becomes labels and fields, or a `ParseFailure` that says why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module

from harness.labelspace import LabelSpace
from harness.parsing.deciding import decided
from harness.parsing.formats import Format, Output
from harness.parsing.recalled import Answers
from harness.parsing.refusal import looks_like_refusal
from harness.parsing.tokens import tokens_of
from harness.records import Answer, Completion, FailureKind, ParseFailure

__all__ = ["FORMATS", "Format", "Output", "read"]


class _Formats(Mapping[str, Format]):
    """The formats by name; each is loaded when it is first used: their patterns take longer than all else of a start."""

    def __init__(self, *names: str) -> None:
        self._loaded: dict[str, Format | None] = dict.fromkeys(names)

    def __getitem__(self, name: str) -> Format:
        found = self._loaded[name]
        if found is None:
            found = self._loaded[name] = getattr(import_module(f"harness.parsing.{name}"), name.upper())
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._loaded)

    def __len__(self) -> int:
        return len(self._loaded)


FORMATS: Mapping[str, Format] = _Formats(
    "list", "vector", "codes", "json", "containers", "yes_no", "scores", "decisions"
)
"""Every output format by name. A new one is a file beside `list.py` and a place in this line."""

_READ = Answers()


def read(completion: Completion, space: LabelSpace, output: Output) -> Answer | ParseFailure:
    """Return what a completion answers, or why it answers nothing.

    A cut completion (``finish_reason: length``) is a failure only when its answer is incomplete, and a text that reads
    like a refusal is one only when no answer can be read in it. The same text read with the very same label space and
    output gives the very same value: nobody may change it.
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
    each = FORMATS[output.format]
    result = _READ.of(completion.raw, space, output, completion.finish_reason == "length", _parsed)
    if each.weigh is None or completion.logprobs is None:
        return result
    return decided(result, *each.weigh(tokens_of(completion.logprobs), space, output), space, output)


def _parsed(raw: str, space: LabelSpace, output: Output, cut: bool) -> Answer | ParseFailure:
    try:
        return FORMATS[output.format].parse(raw, space, output, cut)
    except ParseFailure as failure:
        if looks_like_refusal(raw):
            return ParseFailure(FailureKind.REFUSAL, "it reads as a refusal", failure.off_list)
        return failure.with_traceback(None)  # which would hold on to all that the parser had in its hands
