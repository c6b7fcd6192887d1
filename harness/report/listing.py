"""Lists in the terminal: runs, failures, and one sample in full."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from harness.failures import Failure
from harness.report import numbers
from harness.report.changes import label_list, said, text_of
from harness.report.terminal import BAD, GOOD, QUIET, table
from harness.report.text import one_line, visible
from harness.store import StoredRun


def runs_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return one row a run, newest first."""
    left = ("run", "state", "data", "model")
    made = table("run", "state", "samples", "macro F1", "micro F1", "coverage", "data", "model", "cost", left=left)
    for row in rows:
        style = QUIET if row["state"] != "complete" else ""
        scores = [numbers.DASH if row[name] is None else numbers.score(row[name]) for name in ("macro_f1", "micro_f1")]
        made.add_row(
            Text(row["id"]),
            row["state"],
            numbers.count(row["samples"]),
            *scores,
            numbers.DASH if row["coverage"] is None else numbers.percent(row["coverage"]),
            Text(one_line(f"{row['dataset']} {row['split']}" + (f" · {row['tag']}" if row["tag"] else ""), 24)),
            Text(one_line(row["model"], 24)),
            numbers.usd(row["cost_usd"]),
            style=style,
        )
    return made


def outlook_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return what dry runs tell: calls, tokens and price, one row a prompt."""
    left = ("prompt",)
    made = table("prompt", "samples", "calls", "cached", "prompt tokens", "answer tokens", "cost", left=left)
    for row in rows:
        later = f" + up to {numbers.count(row['later_calls'])}" if row["later_calls"] else ""
        answer = row["completion_tokens"]
        made.add_row(
            Text(row["version"]),
            numbers.count(row["samples"]),
            numbers.count(row["calls"] - row["cached"]) + later,
            numbers.count(row["cached"]),
            f"~{numbers.short_count(row['prompt_tokens'])}",
            "no limit" if answer is None else f"≤{numbers.short_count(answer)}",
            numbers.usd(row["usd"]) if not row["usd"] else f"≤{numbers.usd(row['usd'])}",
        )
    return made


def run_row(run: StoredRun, state: str) -> dict[str, Any]:
    """Return what a list of runs tells of one."""
    manifest = run.manifest
    scores = run.scores if (run.path / "scores.json").is_file() else {}
    averages = scores.get("averages", {})
    return {
        "id": manifest.id,
        "version": manifest.version,
        "state": state,
        "samples": manifest.n_samples,
        "repeats": manifest.repeats,
        "macro_f1": averages.get("macro_f1"),
        "micro_f1": averages.get("micro_f1"),
        "subset_accuracy": averages.get("subset_accuracy"),
        "coverage": scores.get("coverage"),
        "dataset": manifest.dataset,
        "split": manifest.split,
        "model": " + ".join(manifest.models),
        "tag": manifest.tag,
        "cost_usd": manifest.cost_usd,
        "seconds": manifest.seconds,
        "started": manifest.started,
        "prompt_hash": manifest.prompt_hash,
        "notes": manifest.prompt.notes,
    }


def failures_report(failures: Sequence[Failure], run: StoredRun, limit: int, title: str) -> RenderableType:
    """Return failures to read: text, gold, what was missed and what was too much, and the raw output."""
    parts: list[RenderableType] = [Text(title, style="bold")]
    for failure in failures[:limit]:
        parts += [Text(""), *_failure(failure, run)]
    if len(failures) > limit:
        parts += [Text(""), Text(f"and {len(failures) - limit} more: --limit shows them", style=QUIET)]
    return Group(*parts)


def _failure(failure: Failure, run: StoredRun) -> Iterator[RenderableType]:
    prediction = failure.prediction
    repeat = f" · repeat {prediction.repeat}" if run.manifest.repeats > 1 else ""
    yield Text.assemble((one_line(failure.sample.id, 60), "bold"), (repeat, QUIET), "  ", _verdict(failure))
    yield Padding(Text(one_line(text_of(failure.sample), 400)), (0, 0, 0, 2))
    yield Text.assemble(
        "  gold ", (label_list(failure.gold), GOOD), "  predicted ", said(prediction, run.manifest.space)
    )
    for name, raw in failure.raws.items():
        label = "raw" if len(failure.raws) == 1 else f"raw {name}"
        shown = "(nothing came back)" if raw is None else one_line(raw, 300) or "(empty)"
        yield Padding(Text(f"{label} {shown}", style=QUIET), (0, 0, 0, 2))


def _verdict(failure: Failure) -> Text:
    if failure.prediction.failure is not None:
        return Text(f"{failure.prediction.failure}: {one_line(failure.prediction.why or '', 80)}", style=BAD)
    parts = [f"missed {label_list(failure.missed)}"] if failure.missed else []
    parts += [f"too much {label_list(failure.extra)}"] if failure.extra else []
    return Text(" · ".join(parts), style=BAD)


def failure_row(failure: Failure) -> dict[str, Any]:
    """Return a failure as plain values, for files and other programs."""
    prediction = failure.prediction
    return {
        "id": failure.sample.id,
        "repeat": prediction.repeat,
        "kind": failure.kind,
        "gold": list(failure.gold),
        "predicted": sorted(prediction.labels),
        "missed": list(failure.missed),
        "extra": list(failure.extra),
        "off_list": list(prediction.off_list),
        "why": prediction.why,
        "inputs": dict(failure.sample.inputs),
        "raw": dict(failure.raws),
    }


def sample_report(failure: Failure, run: StoredRun, requests: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Return one sample in full: inputs, gold, prediction, and for each call what was sent and what came back."""
    prediction, sample = failure.prediction, failure.sample
    parts: list[RenderableType] = [
        Text.assemble((one_line(sample.id, 80), "bold"), (f"  in {run.manifest.id}", QUIET)),
        *_block("text" if "text" in sample.inputs else "inputs", text_of(sample)),
    ]
    for name, value in sample.inputs.items():
        if name != "text":
            parts.append(Text(f"{one_line(name, 30)}: {one_line(str(value), 200)}", style=QUIET))
    parts += [
        Text(""),
        Text.assemble("gold       ", (label_list(failure.gold), GOOD)),
        Text.assemble("predicted  ", said(prediction, run.manifest.space), "  ", _verdict(failure)),
    ]
    if prediction.off_list:
        parts.append(Text(f"off list   {', '.join(one_line(each, 60) for each in prediction.off_list)}"))
    for name in prediction.asked_fields:
        gold, got = sample.fields.get(name), prediction.fields.get(name, "(unanswered)")
        parts.append(Text(f"{name}: gold {one_line(str(gold), 60)!r}, predicted {one_line(str(got), 60)!r}"))
    for request in requests:
        parts += [Text(""), *_exchange(request)]
    return Group(*parts)


def rendered_call(call: Mapping[str, Any]) -> Iterator[RenderableType]:
    """Return a call as it would be sent, message by message."""
    yield Text.assemble(("  sample ", QUIET), (one_line(call["sample"], 60), "bold"), (f"  pass {call['pass']}", QUIET))
    for message in call["messages"]:
        yield from (Padding(part, (0, 0, 0, 2)) for part in _block(message["role"], message["content"]))


def _exchange(request: Mapping[str, Any]) -> Iterator[RenderableType]:
    completion = request["completion"]
    yield Text.assemble(
        (f"pass {request['pass']}", "bold"),
        (f"  {request['model']} · {numbers.seconds(completion['latency_s'])} · {completion['finish_reason']}", QUIET),
        (" · from the cache" if completion["cached"] else "", QUIET),
    )
    for message in request["messages"]:
        yield from _block(f"sent as {message['role']}", message["content"])
    if completion["error"] is not None:
        yield Text(f"error {completion['error']['kind']}: {one_line(completion['error']['message'], 300)}", style=BAD)
    else:
        yield from _block("came back", completion["raw"] or "(empty)")


def _block(title: str, content: str) -> Iterator[RenderableType]:
    yield Text(f"{title}:", style=QUIET)
    yield Padding(Text(visible(content.rstrip())), (0, 0, 0, 2))
