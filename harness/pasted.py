"""Outputs of a model pasted from anywhere: one a line, or JSONL with `raw`; read in a format without a run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import DataError, listing
from harness.labelspace import LabelSpace
from harness.parsing import FORMATS, Output, read
from harness.records import Answer, Completion, ParseFailure


@dataclass(frozen=True, slots=True)
class Pasted:
    """One output and what it became.

    Attributes:
        line: Where it stands in what was pasted, from 1.
        completion: The output; with `finish_reason`, `logprobs` and `status` where the line had them.
        result: What it is read as.
        unit: The label or group that it is about, where the line had one.
    """

    line: int
    completion: Completion
    result: Answer | ParseFailure
    unit: str = ""

    def to_json(self, space: LabelSpace) -> dict[str, Any]:
        """Return the reading as plain values, labels in label-space order; ``labels`` is None for a failure."""
        failed = self.result if isinstance(self.result, ParseFailure) else None
        answer = self.result if isinstance(self.result, Answer) else Answer(frozenset())
        row: dict[str, Any] = {
            "line": self.line,
            **({"unit": self.unit} if self.unit else {}),
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


def read_pasted(text: str, where: str, space: LabelSpace, output: Output, pass_name: str | None = None) -> list[Pasted]:
    """Return every output of a text with its reading.

    When the first line that is not blank is a JSON object with a ``raw``, all of them must be: an output of several
    lines needs that form. ``finish_reason``, ``logprobs``, ``status`` and ``error`` count as they do in a run, whose
    ``completions.jsonl`` can be given as it is: what another pass was answered, and what is about labels that are not in
    ``space``, is passed over, and a ``unit`` is read with the label space of that label or group. Else every line that is
    not blank is an output.

    Args:
        text: What was pasted.
        where: Names it in messages.
        space: The label space to read with.
        output: The format and its options.
        pass_name: The pass whose outputs are wanted, where lines name theirs; None wants all.

    Raises:
        DataError: There is nothing, a line of JSONL has no ``raw`` (the message has its number), or the format answers
            for one label and nothing says which.
    """
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not lines:
        raise DataError(f"{where}: must hold at least one output, got none. One a line, or JSONL with 'raw'.")
    if not _is_row(_json(lines[0][1])):
        _refuse_many(space, output)
        return [Pasted(at, one, read(one, space, output)) for at, line in lines for one in (Completion("ok", line),)]
    found = [_of_row(number, line, where, space, output, pass_name) for number, line in lines]
    return [each for each in found if each is not None]


def _refuse_many(space: LabelSpace, output: Output) -> None:
    if FORMATS[output.format].one_label and len(space) != 1:
        raise DataError(
            f"format {output.format} answers for one label. Give --label, one of {listing(space.names, 5)}."
        )


def _space_of(unit: str, space: LabelSpace) -> LabelSpace | None:
    """Return the label space of a label or group; None when it has no label here."""
    names = [unit] if unit in space.index else space.groups.get(unit, ()) if unit else space.names
    return space.only(names) if names else None


def _json(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _is_row(value: Any) -> bool:
    return isinstance(value, Mapping) and "raw" in value


def _of_row(
    number: int, line: str, where: str, space: LabelSpace, output: Output, pass_name: str | None
) -> Pasted | None:
    """Return a line of JSONL, read; None for one that is about something else."""
    value = _json(line)
    completion = _completion(value, f"{where}:{number}")
    given = value.get("unit", "")
    unit = given if isinstance(given, str) and (given in space.index or given in space.groups) else ""
    within = _space_of(unit, space)
    if (given and not unit) or within is None or (pass_name and value.get("pass", pass_name) != pass_name):
        return None
    _refuse_many(within, output)
    return Pasted(number, completion, read(completion, within, output), unit)


def _completion(value: Any, where: str) -> Completion:
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
