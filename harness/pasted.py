"""Outputs of a model pasted from anywhere: one a line, or JSONL with `raw`; read in a format without a run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import DataError
from harness.labelspace import LabelSpace
from harness.parsing import Output, read
from harness.records import Answer, Completion, ParseFailure


@dataclass(frozen=True, slots=True)
class Pasted:
    """One output and what it became.

    Attributes:
        line: Where it stands in what was pasted, from 1.
        completion: The output; with `finish_reason`, `logprobs` and `status` where the line had them.
        result: What it is read as.
    """

    line: int
    completion: Completion
    result: Answer | ParseFailure

    def to_json(self, space: LabelSpace) -> dict[str, Any]:
        """Return the reading as plain values, labels in label-space order; ``labels`` is None for a failure."""
        failed = self.result if isinstance(self.result, ParseFailure) else None
        answer = self.result if isinstance(self.result, Answer) else Answer(frozenset())
        row: dict[str, Any] = {
            "line": self.line,
            "raw": self.completion.raw,
            "labels": None if failed else space.ordered(answer.labels),
            "fields": dict(answer.fields),
            "off_list": list(self.result.off_list),
            "failure": str(failed.kind) if failed else None,
            "why": failed.why if failed else None,
            "repaired": answer.repaired,
        }
        if answer.probabilities:
            row["probabilities"] = {name: answer.probabilities[name] for name in space.ordered(answer.probabilities)}
        return row


def read_pasted(text: str, where: str, space: LabelSpace, output: Output) -> list[Pasted]:
    """Return every output of a text with its reading.

    When the first line that is not blank is a JSON object with a ``raw``, all of them must be: an output of several
    lines needs that form. ``finish_reason``, ``logprobs``, ``status`` and ``error`` count as they do in a run, whose
    ``completions.jsonl`` can be given as it is. Else every line that is not blank is an output.

    Args:
        text: What was pasted.
        where: Names it in messages.
        space: The label space to read with.
        output: The format and its options.

    Raises:
        DataError: There is nothing, or a line of JSONL has no ``raw``; the message has its number.
    """
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not lines:
        raise DataError(f"{where}: must hold at least one output, got none. One a line, or JSONL with 'raw'.")
    rows = _is_row(_json(lines[0][1]))
    completions = [_of_row(line, f"{where}:{number}") if rows else Completion("ok", line) for number, line in lines]
    return [
        Pasted(number, completion, read(completion, space, output))
        for (number, _), completion in zip(lines, completions, strict=True)
    ]


def _json(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _is_row(value: Any) -> bool:
    return isinstance(value, Mapping) and "raw" in value


def _of_row(line: str, where: str) -> Completion:
    value = _json(line)
    if not isinstance(value, Mapping) or "raw" not in value or not isinstance(value["raw"], str | None):
        raise DataError(
            f"{where}: must be a JSON object with a text under 'raw', as the lines before it, got something else. "
            "Write every output in this form, or none."
        )
    status = value.get("status", "ok")
    error = value.get("error") if isinstance(value.get("error"), Mapping) else None
    told = {"kind": "unknown", "message": "the call failed", "status": None, **(error or {})}
    return Completion(
        status=status if status in ("refusal", "error") else "ok",
        raw=value["raw"],
        finish_reason=value["finish_reason"] if isinstance(value.get("finish_reason"), str) else None,
        error={"kind": str(told["kind"]), "message": str(told["message"]), "status": None}
        if status == "error"
        else None,
        logprobs=value.get("logprobs"),
    )


def tally(outputs: Sequence[Pasted]) -> dict[str, int]:
    """Return how many outputs became what: answers, those of them that say none, kinds of failure, off-list, repaired."""
    counts = {"outputs": len(outputs), "answers": 0, "none": 0}
    for each in outputs:
        if isinstance(each.result, ParseFailure):
            counts[str(each.result.kind)] = counts.get(str(each.result.kind), 0) + 1
        else:
            counts["answers"] += 1
            counts["none"] += not each.result.labels
            counts["repaired"] = counts.get("repaired", 0) + each.result.repaired
        counts["off_list"] = counts.get("off_list", 0) + bool(each.result.off_list)
    return counts
