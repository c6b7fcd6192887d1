"""Lists in the terminal: runs, failures, and one sample in full."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from harness.failures import Failure
from harness.outside import Stronger
from harness.records import GoldField
from harness.report import numbers
from harness.report.changes import label_list, said, text_of
from harness.report.steps import steps_table
from harness.report.terminal import BAD, GOOD, QUIET, clipped, named, table
from harness.report.text import json_text, one_line, visible
from harness.samplesteps import SampleSteps
from harness.store import Manifest, StoredRun

LONGEST_ID = 40
"""Characters of a run's id that have room on one line; a longer one goes on in the next."""

MOST_PROBABLE = 12
"""Labels whose probability is shown for a sample."""


def runs_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return one row a run, newest first. What is typed, the id, stands first and whole."""
    columns = ("run", "state", "samples", "macro\nF1", "micro\nF1", "coverage", "cost", "data", "model")
    folds = ("run",) if any(len(row["id"]) > LONGEST_ID for row in rows) else ()
    made = table(*columns, left=("run", "state", "data", "model"), gives_way=(*folds, "data", "model"))
    for row in rows:
        scores = [numbers.DASH if row[name] is None else numbers.score(row[name]) for name in ("macro_f1", "micro_f1")]
        samples = numbers.count(row["samples"]) + (f"×{row['repeats']}" if row["repeats"] > 1 else "")
        made.add_row(
            named(row["id"]),
            row["state"],
            samples,
            *scores,
            numbers.DASH if row["coverage"] is None else numbers.percent(row["coverage"]),
            numbers.usd(row["cost_usd"]),
            clipped(f"{row['dataset']} {row['split']}" + (f" · {row['tag']}" if row["tag"] else ""), 40),
            clipped(row["model"], 40),
            style=QUIET if row["state"] != "complete" else "",
        )
    return made


def baseline_line(found: Stronger, name: str) -> Text:
    """Return what is said of a baseline that beats a prompt; ``name`` is what to type for the prompt's run."""
    what = {
        "tfidf": "trained on these labels (cross-validated)",
        "majority": "the most frequent labels for every sample",
    }
    told = f"{found.name}, {what[found.name]}, has macro F1 {numbers.score(found.macro_f1)} on these samples"
    common = " --common" if found.has_more else ""
    return Text(f"{told}: harness compare {found.name} {name}{common}", style=QUIET, no_wrap=True, overflow="ignore")


def outlook_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return what dry runs tell: calls, tokens and price, one row a prompt."""
    embeds = any(row.get("embeddings") for row in rows)
    vectors = ("texts to\nembed",) if embeds else ()
    columns = ("prompt", "samples", *vectors, "calls", "from the\ncache", "prompt\ntokens", "answer\ntokens", "cost")
    made = table(*columns, left=("prompt",), gives_way=("prompt",))
    for row in rows:
        later = f" + up to {numbers.count(row['later_calls'])}" if row["later_calls"] else ""
        unknown = " + ?" if row["later_calls"] else ""
        answer, usd = row["completion_tokens"], row["usd"]
        made.add_row(
            named(row["version"]),
            numbers.count(row["samples"]),
            *((numbers.count(row["embeddings"]),) if embeds else ()),
            numbers.count(row["calls"] - row["cached"]) + later,
            numbers.count(row["cached"]),
            f"~{numbers.short_count(row['prompt_tokens'])}{unknown}",
            "no limit" if answer is None else f"≤{numbers.short_count(answer)}{unknown}",
            f"≤{numbers.usd(usd)}" if usd else numbers.usd(usd),
        )
    return made


def searched_line(manifest: Manifest) -> Text | None:
    """Return what a run's version was drafted from, where that is on the run's split; else None."""
    searched = manifest.prompt.searched_on(manifest.split)
    if searched is None:
        return None
    return Text(f"{one_line(manifest.version, 60)} is {one_line(searched.words, 300)}", style=QUIET)


def run_row(run: StoredRun, state: str) -> dict[str, Any]:
    """Return what a list of runs tells of one."""
    manifest = run.manifest
    searched = manifest.prompt.searched_on(manifest.split)
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
        "searched": None if searched is None else searched.to_json(),
        "notes": manifest.prompt.notes,
    }


def failures_report(failures: Sequence[Failure], run: StoredRun, limit: int, title: str) -> RenderableType:
    """Return failures to read: text, gold, what was missed and what was too much, and the raw output."""
    parts: list[RenderableType] = [Text(title, style="bold")]
    for failure in failures[:limit]:
        parts += [Text(""), *_failure(failure, run)]
    if len(failures) > limit:
        parts += [Text(""), Text(f"and {len(failures) - limit} more: see --limit", style=QUIET)]
    return Group(*parts)


def _failure(failure: Failure, run: StoredRun) -> Iterator[RenderableType]:
    prediction = failure.prediction
    repeat = f" · repeat {prediction.repeat}" if run.manifest.repeats > 1 else ""
    yield Text.assemble(named(failure.sample.id, "bold"), (repeat, QUIET), "  ", _verdict(failure))
    yield Padding(Text(one_line(text_of(failure.sample), 400)), (0, 0, 0, 2))
    off_list = "" if prediction.failed else ", ".join(one_line(each, 40) for each in prediction.off_list)
    yield Text.assemble(
        "  gold: ",
        (label_list(failure.gold), GOOD),
        "  predicted: ",
        said(prediction, run.manifest.space),
        (f"  off list: {off_list}" if off_list else "", QUIET),
    )
    for name, told in _fields(failure):
        yield Padding(Text(f"{one_line(name, 40)}: {told}"), (0, 0, 0, 2))
    for name, raw in failure.raws.items():
        shown = "(nothing came back)" if raw is None else one_line(raw, 300) or "(empty)"
        yield Padding(Text(f"{_which(name, failure, run)}: {shown}", style=QUIET), (0, 0, 0, 2))


def _which(name: str, failure: Failure, run: StoredRun) -> str:
    """Return what to call a raw output: by its label or group and draw, and by its pass where there are several."""
    passes = [each.name for each in run.manifest.prompt.passes]
    if len(passes) == 1:
        asked = name.removeprefix(passes[0]).strip()
    else:
        asked = "" if len(failure.raws) == 1 and name in passes else f"pass {name}"
    return f"raw, {one_line(asked, 60)}" if asked else "raw"


def _verdict(failure: Failure) -> Text:
    """Return what is wrong with a prediction; empty when nothing is."""
    if failure.prediction.failure is not None:
        return Text(f"{failure.prediction.failure}: {one_line(failure.prediction.why or '', 120)}", style=BAD)
    parts = [f"missed: {label_list(failure.missed)}"] if failure.missed else []
    parts += [f"too much: {label_list(failure.extra)}"] if failure.extra else []
    return Text(" · ".join(parts), style=BAD)


def failure_row(failure: Failure) -> dict[str, Any]:
    """Return a failure as plain values, for files and other programs."""
    prediction = failure.prediction
    return {
        "id": failure.sample.id,
        "repeat": prediction.repeat,
        "kind": failure.kind,
        "gold": list(failure.gold),
        "predicted": list(failure.predicted),
        "missed": list(failure.missed),
        "extra": list(failure.extra),
        "off_list": list(prediction.off_list),
        "why": prediction.why,
        **({"probabilities": dict(prediction.probabilities)} if prediction.probabilities else {}),
        "inputs": dict(failure.sample.inputs),
        "raw": dict(failure.raws),
    }


def sample_row(failure: Failure, gold: frozenset[str] | None) -> dict[str, Any]:
    """Return any prediction as plain values: like a failure, but it can be right, or without gold to say so."""
    row = failure_row(failure)
    if gold is None:
        return {**row, "kind": "unlabelled", "gold": None, "missed": None, "extra": None}
    right = not (failure.missed or failure.extra or failure.prediction.failed)
    return {**row, "kind": "right"} if right else row


def sample_report(
    failure: Failure,
    gold: frozenset[str] | None,
    run: StoredRun,
    requests: Sequence[Mapping[str, Any]],
    steps: SampleSteps | None = None,
) -> RenderableType:
    """Return one sample in full: inputs, gold, prediction, and for each call what was sent and what came back.

    Args:
        failure: The prediction beside its gold.
        gold: None for an unlabelled sample.
        run: Its run.
        requests: Its calls.
        steps: What each pass made of it; None where that is what is predicted.
    """
    prediction, sample = failure.prediction, failure.sample
    repeat = f", repeat {prediction.repeat}" if run.manifest.repeats > 1 else ""
    origin = run.manifest.origin
    made = "" if origin is None else f", {one_line(origin.model, 60)}"
    about = (f"  in {run.manifest.id}{repeat}{made}", QUIET)
    parts: list[RenderableType] = [Text.assemble(named(sample.id, "bold"), about)]
    for name, value in sample.inputs.items():
        parts += _input(one_line(name, 60), value if isinstance(value, str) else json_text(value))
    parts += [Text(""), _fact("gold", "(unlabelled)" if gold is None else label_list(failure.gold), GOOD)]
    parts.append(_fact("predicted", said(prediction, run.manifest.space)))
    if (verdict := _verdict(failure)) and (prediction.failed or gold is not None):
        parts.append(_fact("", verdict))
    if prediction.off_list:
        parts.append(_fact("off list", ", ".join(one_line(each, 60) for each in prediction.off_list)))
    if prediction.probabilities:
        ranked = sorted(prediction.probabilities.items(), key=lambda item: -item[1])
        shown = ", ".join(f"{one_line(name, 40)} {value:.2f}" for name, value in ranked[:MOST_PROBABLE])
        parts.append(_fact("P(label)", shown + (", …" if len(ranked) > MOST_PROBABLE else "")))
    parts += [_fact(name, told) for name, told in _fields(failure)]
    parts += [] if steps is None else [Text(""), steps_table(steps)]
    asked: Mapping[str, Any] | None = None
    for request in requests:
        parts += [Text(""), *_exchange(request, asked)]
        asked = request
    return Group(*parts)


def _input(name: str, value: str) -> Iterator[RenderableType]:
    """Return an input column: on one line where it is short, but the text always as a block of its own."""
    if name == "text" or "\n" in value or len(value) > 80:
        return _block(name, value)
    return iter([Text.assemble((f"{name}: ", QUIET), visible(value))])


def _fact(name: str, value: str | Text, style: str = "") -> Text:
    return Text.assemble(f"{one_line(name, 40):<10} ", (value, style) if isinstance(value, str) else value)


def _fields(failure: Failure) -> Iterator[tuple[str, str]]:
    """Yield each field that was asked for, with what was answered and what is gold."""
    for name in failure.prediction.asked_fields:
        got, gold = failure.prediction.fields.get(name, "(unanswered)"), failure.sample.fields
        yield name, f"{_value(got)} (gold: {_value(gold[name]) if name in gold else 'not known'})"


def _value(value: GoldField) -> str:
    """Return a field's value, or all that are right; that there is none is said like an empty label set."""
    if isinstance(value, tuple):
        return one_line(" / ".join(value), 200)
    return "none" if value is None else one_line(str(value), 200)


def _exchange(request: Mapping[str, Any], before: Mapping[str, Any] | None) -> Iterator[RenderableType]:
    """Return a call and its answer. What was sent stands there once, where several draws of one request follow."""
    again = before is not None and all(request[key] == before[key] for key in ("pass", "unit", "messages"))
    completion = request["completion"]
    about = [request["model"], numbers.seconds(completion["latency_s"])]
    about += [completion["finish_reason"]] if completion["finish_reason"] else []
    about += [f"{completion['attempt']} attempts"] if completion["attempt"] > 1 else []
    about += ["from the cache"] if completion["cached"] else []
    unit = f" {one_line(request['unit'], 60)}" if request["unit"] else ""
    yield Text.assemble((f"pass {one_line(request['pass'], 60)}{unit}", "bold"), ("  " + " · ".join(about), QUIET))
    for message in () if again else request["messages"]:
        yield from _block(f"sent as {message['role']}", message["content"])
    if again:
        yield Text("sent as before, drawn again", style=QUIET)
    if completion["error"] is not None:
        yield Text(f"error {completion['error']['kind']}: {one_line(completion['error']['message'], 300)}", style=BAD)
    else:
        if completion.get("reasoning"):
            yield from _block("reasoning", completion["reasoning"])
        yield from _block("came back", completion["raw"] or "(empty)")


def _block(title: str, content: str) -> Iterator[RenderableType]:
    yield Text(f"{title}:", style=QUIET)
    yield Padding(Text(visible(content.strip("\n"))), (0, 0, 0, 2))
