"""What went wrong in a stored run, gathered as it is told to a model that is asked for a better prompt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.failures import Failure, find_failures
from harness.narrowing import answer_space
from harness.parsing import read
from harness.prompt import Pass
from harness.records import FailureKind, ParseFailure
from harness.rendering import TASK_NAMES, columns_of, known_names
from harness.store import StoredRun
from harness.suggestion import MOST_CONFUSED, MOST_UNREAD, Digest, Unread, Wrong, drawn
from harness.templatenames import names_used

if TYPE_CHECKING:
    from harness.scoring import Scores

MOST_READ = 20_000
"""Answers of a pass that are read again to find those in which nothing could be read."""

RAWS_OF_A_SAMPLE = 2
"""Answers that stand beside a wrong sample, of a pass that asks several times about it."""


def digest_of(run: StoredRun, target: Pass, examples: int, seed: int) -> Digest:
    """Return what went wrong in a run, as far as a pass is concerned.

    Args:
        run: A scored run that a prompt made.
        target: One of its passes.
        examples: Most wrong samples.
        seed: Decides which.
    """
    from harness.scoring import Scores

    manifest, prompt = run.manifest, run.manifest.prompt
    inside = frozenset(target.inside(manifest.space))
    columns = columns_of(run.samples)
    earlier = prompt.passes[: prompt.passes.index(target)]
    names = known_names(target, earlier, columns=columns, variables=frozenset(prompt.variables))
    must = (names - TASK_NAMES - frozenset(prompt.variables)) | columns
    used = [names_used(each.source, prompt.files) for each in target.messages]
    scores = Scores.from_json(run.scores)
    unread, n_unread = _unread(run, target)
    shown = {name for each in used for name in each if name in columns}
    wrong = tuple(_wrong(run, target, inside, [name for name in _ordered(run, columns) if name in shown]))
    return Digest(
        space=manifest.space,
        target=target,
        columns=columns,
        names=names,
        kept=tuple(tuple(name for name in each if name in must) for each in used),
        n_predictions=len(run.predictions),
        n_exact=sum(each.labels == run.gold[each.sample] and not each.failed for each in run.predictions),
        labels=tuple(row for row in scores.labels if row.label in inside),
        confused=_confused(run, inside),
        n_unread=n_unread,
        unread=unread,
        off_list=_off_list(scores),
        wrong=drawn(wrong, examples, seed),
    )


def _ordered(run: StoredRun, columns: frozenset[str]) -> list[str]:
    """Return the columns as the samples have them, the text first."""
    names = [name for name in (run.samples[0].inputs if run.samples else ()) if name in columns]
    return sorted(names, key=lambda name: name != "text")


def _off_list(scores: Scores) -> dict[str, int]:
    return dict(sorted(scores.off_list.items(), key=lambda pair: (-pair[1], pair[0])))


def _confused(run: StoredRun, inside: frozenset[str]) -> tuple[tuple[str, str, float], ...]:
    from harness.labelanalysis import analyse
    from harness.scoring import align

    samples = [replace(each, labels=run.gold.get(each.id, each.labels)) for each in run.samples]
    found = analyse(run.manifest.space, align(run.manifest.space, samples, run.predictions)).confusions
    pairs = ((each.missed, each.added, each.n) for each in found if {each.missed, each.added} <= inside)
    return tuple(pairs)[:MOST_CONFUSED]


def _unread(run: StoredRun, target: Pass) -> tuple[tuple[Unread, ...], dict[str, int]]:
    """Return answers of a pass in which nothing could be read, all different, and how many there are by kind."""
    samples = {sample.id: sample for sample in run.samples}
    slots = [slot for slot in run.log.latest if slot[1] == target.name][:MOST_READ]
    counts: Counter[str] = Counter()
    found: dict[str, Unread] = {}
    for slot in slots:
        completion = run.log.latest[slot].completion
        space = answer_space(target, slot[2], run.manifest.space, samples[slot[0]])
        result = read(completion, space, target.output)
        if isinstance(result, ParseFailure) and result.kind != FailureKind.CALL_ERROR:
            counts[str(result.kind)] += 1
            if len(found) < MOST_UNREAD:
                found.setdefault(completion.raw or "", Unread(str(result.kind), result.why, completion.raw or ""))
    return tuple(found.values()), dict(counts.most_common())


def _wrong(run: StoredRun, target: Pass, inside: frozenset[str], shown: list[str]) -> Iterator[Wrong]:
    """Yield the samples that a pass was asked about and that are wrong in a label it answers, each once."""
    asked = {slot[0] for slot in run.log.latest if slot[1] == target.name}
    own = _names_of(target, run)
    seen: set[str] = set()
    for each in find_failures(run):
        kinds = _kinds(each, inside)
        if each.sample.id in asked - seen and kinds:
            seen.add(each.sample.id)
            yield Wrong(
                sample=each.sample.id,
                inputs={name: each.sample.inputs[name] for name in shown},
                gold=each.gold,
                predicted=each.predicted,
                kinds=kinds,
                raws=tuple(raw for name, raw in each.raws.items() if name in own and raw)[:RAWS_OF_A_SAMPLE],
            )


def _kinds(failure: Failure, inside: frozenset[str]) -> tuple[str, ...]:
    if failure.prediction.failure == FailureKind.CALL_ERROR:
        return ()  # the server's fault, not the prompt's
    kinds = [failure.kind] if failure.prediction.unanswered & inside else []
    kinds += [f"missed {name}" for name in failure.missed if name in inside]
    return (*kinds, *(f"added {name}" for name in failure.extra if name in inside))


def _names_of(target: Pass, run: StoredRun) -> frozenset[str]:
    """Return what the raw outputs of a pass are called in a `Failure`."""
    draws = [f"#{at + 1}" for at in range(target.draws)] if target.draws > 1 else [""]
    units = target.units(run.manifest.space)
    return frozenset(" ".join(filter(None, (target.name, unit.name, draw))) for unit in units for draw in draws)
