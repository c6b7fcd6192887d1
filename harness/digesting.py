"""What went wrong in a stored run, gathered as it is told to a model that is asked for a better prompt.

A pass is judged by what stood after it, about the samples that it was asked about and the labels that it answers; a gate by
the groups that it chose. What later passes made of it is no fault of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.answerwords import choices_of
from harness.failures import describe
from harness.labelspace import LabelSpace
from harness.narrowing import answer_space
from harness.parsing import read
from harness.predict import Step
from harness.prompt import Pass
from harness.records import FailureKind, ParseFailure, Prediction, Sample
from harness.rendering import TASK_NAMES, columns_of, known_names
from harness.rescoring import steps_of
from harness.store import StoredRun
from harness.suggestion import MOST_CONFUSED, MOST_UNREAD, Digest, Unread, Wrong, drawn
from harness.templatenames import names_used

if TYPE_CHECKING:
    from harness.scoring import Scores

MOST_READ = 20_000
"""Answers of a pass that are read again to find those in which nothing could be read."""

RAWS_OF_A_SAMPLE = 2
"""Answers that stand beside a wrong sample, of a pass that asks several times about it."""


@dataclass(frozen=True, slots=True)
class _Judged:
    """A sample that a pass was asked about, in one repeat.

    Attributes:
        sample: Its gold is what the pass should have answered: labels, or groups.
        said: What stood after the pass, in the same.
        before: What stood before it; None for a pass without an earlier one, and for a gate.
        failed: The kinds of those of its answers that could not be used, although an earlier one may stand.
        raws: What the model wrote about wrong cells.
    """

    sample: Sample
    said: Prediction
    before: frozenset[str] | None
    failed: tuple[FailureKind, ...]
    raws: tuple[str, ...]

    @property
    def gold(self) -> frozenset[str]:
        """What the pass should have answered."""
        return self.sample.labels or frozenset()

    @property
    def is_right(self) -> bool:
        """Whether all of it is answered, and right."""
        return self.said.labels == self.gold and not self.said.failed


def digest_of(run: StoredRun, target: Pass, examples: int, seed: int) -> Digest:
    """Return what went wrong in a run, as far as a pass is concerned.

    Args:
        run: A scored run that a prompt made.
        target: One of its passes.
        examples: Most wrong samples.
        seed: Decides which.
    """
    manifest, prompt = run.manifest, run.manifest.prompt
    columns = columns_of(run.samples)
    earlier = prompt.passes[: prompt.passes.index(target)]
    names = known_names(target, earlier, columns=columns, variables=frozenset(prompt.variables))
    must = (names - TASK_NAMES - frozenset(prompt.variables)) | columns
    used = [names_used(each.source, prompt.files) for each in target.messages]
    choices = choices_of(target, manifest.space)
    rows = list(_judged(run, target))
    scores, confused = _counted(choices, rows)
    unread, n_unread = _unread(run, target)
    shown = {name for each in used for name in each if name in columns}
    wrong = tuple(_wrong(rows, choices, [name for name in _ordered(run, columns) if name in shown]))
    return Digest(
        space=manifest.space,
        target=target,
        columns=columns,
        names=names,
        kept=tuple(tuple(name for name in each if name in must) for each in used),
        n_predictions=len(rows),
        n_exact=sum(each.is_right for each in rows),
        labels=scores.labels,
        confused=confused,
        n_unread=n_unread,
        unread=unread,
        off_list=_off_list(scores),
        wrong=drawn(wrong, examples, seed),
        is_first=not earlier,
    )


def _ordered(run: StoredRun, columns: frozenset[str]) -> list[str]:
    """Return the columns as the samples have them, the text first."""
    names = [name for name in (run.samples[0].inputs if run.samples else ()) if name in columns]
    return sorted(names, key=lambda name: name != "text")


def _off_list(scores: Scores) -> dict[str, int]:
    return dict(sorted(scores.off_list.items(), key=lambda pair: (-pair[1], pair[0])))


# --- what a pass is judged by -----------------------------------------------------------------------------------------


def _judged(run: StoredRun, target: Pass) -> Iterator[_Judged]:
    """Yield the samples with gold that a pass was asked about, repeat by repeat.

    Of a prompt of one pass what is stored counts, as it was last scored; of several what each said is not stored, so that
    it is read again as the run's prompt says.
    """
    samples = {sample.id: sample for sample in run.samples}
    alone = len(run.manifest.prompt.passes) == 1
    asked = {(slot[0], slot[3] // target.draws) for slot in run.log.latest if slot[1] == target.name}
    for each in run.predictions:
        gold, sample = run.gold[each.sample], samples[each.sample]
        if gold is None or (each.sample, each.repeat) not in asked:
            continue
        if alone:
            yield _as_stored(run, sample, each, gold)
            continue
        step = next((one for one in steps_of(run, sample, each.repeat)[1] if one.name == target.name), None)
        if step is not None:
            yield _as_stepped(sample, gold, target, step, run.manifest.space)


def _as_stored(run: StoredRun, sample: Sample, said: Prediction, gold: frozenset[str]) -> _Judged:
    failed = () if said.failure is None else (said.failure,)
    raws = tuple(raw for raw in describe(run, sample, said, gold).raws.values() if raw)
    return _Judged(Sample(sample.id, sample.inputs, gold), said, None, failed, raws)


def _as_stepped(sample: Sample, gold: frozenset[str], target: Pass, step: Step, space: LabelSpace) -> _Judged:
    inside = frozenset(target.inside(space))
    right = gold & inside
    labels, unanswered = step.after.labels & inside, step.after.unanswered & inside
    if target.chooses_groups:
        right = frozenset(space.group_of[name] for name in right)
        labels, unanswered = _chosen(step)
    failed = tuple(dict.fromkeys(each.kind for each in step.results if isinstance(each, ParseFailure)))
    off_list = tuple(text for each in step.results for text in each.off_list)
    why = (failed[-1] if failed else step.after.failure or FailureKind.REFUSAL) if unanswered else None
    said = Prediction(sample.id, labels, unanswered=unanswered, failure=why, off_list=off_list)
    wrong = (labels ^ right) | unanswered
    about = [frozenset(each.space.names if target.chooses_groups else each.labels) for each in step.units]
    raws = (
        each.raw
        for at, each in enumerate(step.completions)
        if each.raw and not about[at // target.draws].isdisjoint(wrong)
    )
    before = None if target.chooses_groups or step.before.unanswered >= inside else step.before.labels & inside
    return _Judged(Sample(sample.id, sample.inputs, right), said, before, failed, tuple(raws))


def _chosen(step: Step) -> tuple[frozenset[str], frozenset[str]]:
    """Return the groups that a gate chose, and those about which it has no answer."""
    chosen, unanswered = set[str](), set[str]()
    for unit, result in zip(step.units, step.results, strict=True):
        if isinstance(result, ParseFailure):
            unanswered |= set(unit.space.names)
        else:
            chosen |= result.labels
            unanswered |= result.refused
    return frozenset(chosen), frozenset(unanswered)


def _counted(choices: LabelSpace, rows: list[_Judged]) -> tuple[Scores, tuple[tuple[str, str, float], ...]]:
    """Return the scores of a pass, all repeats together, and its confused pairs."""
    from harness.labelanalysis import analyse
    from harness.scoring import align, score

    samples = [replace(each.sample, id=str(at)) for at, each in enumerate(rows)]
    said = [replace(each.said, sample=str(at), repeat=0) for at, each in enumerate(rows)]
    pairs = analyse(choices, align(choices, samples, said)).confusions
    return score(choices, samples, said), tuple((each.missed, each.added, each.n) for each in pairs)[:MOST_CONFUSED]


def _wrong(rows: list[_Judged], choices: LabelSpace, shown: list[str]) -> Iterator[Wrong]:
    """Yield the samples that are wrong after a pass, each once."""
    seen: set[str] = set()
    for each in rows:
        kinds = () if each.is_right else _kinds(each, choices)
        if kinds and each.sample.id not in seen:
            seen.add(each.sample.id)
            yield Wrong(
                sample=each.sample.id,
                inputs={name: each.sample.inputs[name] for name in shown},
                gold=tuple(choices.ordered(each.gold)),
                predicted=tuple(choices.ordered(each.said.labels)),
                kinds=kinds,
                raws=each.raws[:RAWS_OF_A_SAMPLE],
                before=None if each.before is None else tuple(choices.ordered(each.before)),
            )


def _kinds(each: _Judged, choices: LabelSpace) -> tuple[str, ...]:
    if FailureKind.CALL_ERROR in each.failed:
        return ()  # the server's fault, not the prompt's
    kinds = [str(kind) for kind in each.failed]
    kinds += [f"missed {name}" for name in choices.ordered(each.gold - each.said.labels - each.said.unanswered)]
    return (*kinds, *(f"added {name}" for name in choices.ordered(each.said.labels - each.gold)))


# --- answers in which nothing could be read ---------------------------------------------------------------------------


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
