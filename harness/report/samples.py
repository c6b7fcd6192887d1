"""The samples of a report as its page takes them: inputs, gold, what each run said, what was sent and what came back.

Thousands of samples are sent nearly the same text, so every text stands here once: cut into pieces that are shared, with
the sample's own inputs referred to instead of repeated. Requests that are the same but for the inputs are then one.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeAlias, TypeVar

from harness.fieldscoring import field_matches
from harness.labelspace import LabelSpace
from harness.narrowing import answer_space
from harness.parsing import read
from harness.prompt import Pass
from harness.records import Call, Completion, FailureKind, GoldField, ParseFailure, Prediction, Sample
from harness.report import numbers
from harness.report.changedsamples import label_list
from harness.report.text import json_text, visible
from harness.reportdata import Report
from harness.rescoring import calls_of
from harness.store import StoredRun

LEAST_SHARED = 16
"""Characters that an input must have to be referred to inside of what was sent; a shorter one could stand anywhere."""

LONGEST_PIECE = 120
"""Characters of a line from which on it is cut at its commas too: long answers are lists that differ in few places."""

NOTHING = -1
"""What stands where there is no text, no prediction or no gold."""

CHANGES = ("", "regressed", "fixed", "churned")
FAILURES = tuple(FailureKind)

_LINES = re.compile(r"[^\n]*\n|[^\n]+")
_CLAUSES = re.compile(r"[^,]*,|[^,]+")

Item: TypeAlias = "int | tuple[int, int]"
"""Of a text: a piece by its number, pieces from the first to the last of two; below zero an input, -1 the first column."""

Value = TypeVar("Value", bound=Hashable)


class Numbered(Generic[Value]):
    """Values that stand once, by number in the order in which they came."""

    def __init__(self) -> None:
        self._numbers: dict[Value, int] = {}

    def number(self, value: Value) -> int:
        """Return the number of a value, a new one where it is new."""
        return self._numbers.setdefault(value, len(self._numbers))

    @property
    def values(self) -> list[Value]:
        """The values in order."""
        return list(self._numbers)


class Texts:
    """Texts as numbers of shared pieces, with everything in them visible."""

    def __init__(self) -> None:
        self.pieces = Numbered[str]()
        self.texts = Numbered[tuple[Item, ...]]()
        self._pieces: dict[str, int] = {}
        self._cut: dict[str, tuple[int, ...]] = {}
        self._whole: dict[str, int] = {}

    def piece(self, text: str) -> int:
        """Return the number of a text that is one piece."""
        found = self._pieces.get(text)
        if found is None:
            found = self._pieces[text] = self.pieces.number(visible(text))
        return found

    def text(self, text: str, inputs: Sequence[str | None] = ()) -> int:
        """Return the number of a text.

        Args:
            text: Any text.
            inputs: The columns of the sample that it is about: where it holds one of them, it refers to it.
        """
        number = self._whole.get(text)
        if number is not None:
            return number
        parts: list[str | int] = [text]
        long = [(at, value) for at, value in enumerate(inputs) if value is not None and len(value) >= LEAST_SHARED]
        for at, value in sorted(long, key=lambda each: -len(each[1])):
            if value in text:
                parts = [piece for part in parts for piece in _around(part, value, -1 - at)]
        found = [each for part in parts for each in ((part,) if isinstance(part, int) else self._numbers(part))]
        number = self.texts.number(tuple(_ranges(found)))
        if len(parts) == 1 and isinstance(parts[0], str):
            self._whole[text] = number
        return number

    def _numbers(self, text: str) -> tuple[int, ...]:
        found = self._cut.get(text)
        if found is None:
            lines = _LINES.findall(text)
            cut = (each for line in lines for each in (_CLAUSES.findall(line) if len(line) > LONGEST_PIECE else [line]))
            found = self._cut[text] = tuple(self.piece(each) for each in cut)
        return found


def _around(part: str | int, value: str, reference: int) -> Iterator[str | int]:
    """Yield a part with every occurrence of a value as a reference to it."""
    if isinstance(part, int):
        yield part
        return
    for at, piece in enumerate(part.split(value)):
        if at:
            yield reference
        if piece:
            yield piece


def _ranges(found: Iterable[int]) -> Iterator[Item]:
    """Yield numbers, three and more that follow each other as the first and the last of them."""
    row: list[int] = []
    for number in found:
        if row and row[-1] >= 0 and number == row[-1] + 1:
            row.append(number)
            continue
        yield from _range(row)
        row = [number]
    yield from _range(row)


def _range(row: Sequence[int]) -> Iterable[Item]:
    return ((row[0], row[-1]),) if len(row) > 2 else row


@dataclass(frozen=True, slots=True)
class Side:
    """What one run did with the samples. Lists are in their order, mappings by their place.

    Attributes:
        predicted: Number of the set of predicted labels; `NOTHING` where the run lacks the sample.
        unanswered: Number of the set of unanswered labels.
        failure: Place in `FAILURES`; `NOTHING` where all is answered.
        why: Numbers of the pieces that say why, where something failed.
        off_list: Numbers of the pieces that are the off-list answers, where there are any.
        mended: Places of the samples whose answer had to be mended.
        fields: By field the answer as shown and whether it is right (None: no gold); None where it was not asked for.
            An unanswered field has None as its answer.
        probabilities: P(label) in label-space order, as shown; None for a label that has none.
        repeats: Numbers of the predicted and the unanswered sets in each repeat; empty with one repeat.
        plan: Number of the list of what was sent.
        answers: Numbers of the completions, in the order of the plan.
    """

    predicted: list[int] = field(default_factory=list)
    unanswered: list[int] = field(default_factory=list)
    failure: list[int] = field(default_factory=list)
    why: dict[int, int] = field(default_factory=dict)
    off_list: dict[int, list[int]] = field(default_factory=dict)
    mended: list[int] = field(default_factory=list)
    fields: dict[int, list[tuple[str | None, bool | None] | None]] = field(default_factory=dict)
    probabilities: dict[int, list[str | None]] = field(default_factory=dict)
    repeats: list[list[tuple[int, int]]] = field(default_factory=list)
    plan: list[int] = field(default_factory=list)
    answers: list[list[int]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class SampleTable:
    """All samples of a report, column by column.

    Attributes:
        columns: Names of the input columns.
        inputs: By column, the values as shown; None where a sample lacks the column.
        gold: Number of the set of gold labels; `NOTHING` for an unlabelled sample.
        gold_fields: By field the gold as shown, None where there is none; by place, where a sample has any.
        change: Place in `CHANGES`.
        unstable: Numbers of the sets of labels that are not the same in every repeat, where there are any.
        sides: The run, then the baseline where there is one.
        sets: Label sets, as places in label-space order.
        pieces: What texts are made of.
        texts: Texts as items.
        requests: What one call sent: by turns the piece that names the role, and the number of the text.
        plans: What was sent for a sample: by turns the piece that says what the call was about, and the request.
        completions: What came back: number of the text, of the piece that tells of the call, of the text of an error, of
            the text of the reasoning; `NOTHING` for what there is not.
    """

    ids: list[str]
    columns: list[str]
    inputs: list[list[str | None]]
    gold: list[int]
    gold_fields: dict[int, list[str | None]]
    change: list[int]
    unstable: dict[int, int]
    sides: list[Side]
    sets: list[tuple[int, ...]]
    pieces: list[str]
    texts: list[tuple[Item, ...]]
    requests: list[tuple[int, ...]]
    plans: list[tuple[int, ...]]
    completions: list[tuple[int, ...]]


@dataclass(slots=True)
class _Tables:
    space: LabelSpace
    columns: tuple[str, ...]
    texts: Texts = field(default_factory=Texts)
    sets: Numbered[tuple[int, ...]] = field(default_factory=Numbered)
    requests: Numbered[tuple[int, ...]] = field(default_factory=Numbered)
    plans: Numbered[tuple[int, ...]] = field(default_factory=Numbered)
    completions: Numbered[tuple[int, ...]] = field(default_factory=Numbered)

    def set_of(self, labels: Iterable[str]) -> int:
        """Return the number of a label set."""
        return self.sets.number(tuple(sorted(self.space.index[name] for name in labels)))


def sample_table(report: Report) -> SampleTable:
    """Return the samples of a report, in the order of the run."""
    samples, space = report.samples, report.space
    tables = _Tables(space, tuple(dict.fromkeys(name for sample in samples for name in sample.inputs)))
    sides = [_side(report.run, samples, report.run.samples, tables)]
    if report.baseline is not None and report.compared is not None:
        common = set(report.compared.comparison.samples)
        sides.append(
            _side(report.baseline, samples, [each for each in report.baseline.samples if each.id in common], tables)
        )
    changes, unstable = report.changes, report.unstable
    return SampleTable(
        ids=[visible(sample.id) for sample in samples],
        columns=[visible(name) for name in tables.columns],
        inputs=[[_input(sample, name) for sample in samples] for name in tables.columns],
        gold=[NOTHING if sample.labels is None else tables.set_of(sample.labels) for sample in samples],
        gold_fields={
            at: [_gold(sample.fields[each.name]) if each.name in sample.fields else None for each in space.fields]
            for at, sample in enumerate(samples)
            if sample.fields
        },
        change=[CHANGES.index(changes[sample.id].kind if sample.id in changes else "") for sample in samples],
        unstable={at: tables.set_of(unstable[sample.id]) for at, sample in enumerate(samples) if sample.id in unstable},
        sides=sides,
        sets=tables.sets.values,
        pieces=tables.texts.pieces.values,
        texts=tables.texts.texts.values,
        requests=tables.requests.values,
        plans=tables.plans.values,
        completions=tables.completions.values,
    )


def _input(sample: Sample, name: str) -> str | None:
    if name not in sample.inputs:
        return None
    value = sample.inputs[name]
    return visible(value) if isinstance(value, str) else json_text(value)


def _gold(value: GoldField) -> str:
    """Return the gold of a field as shown: all that is right; that nothing is there is said."""
    if isinstance(value, tuple):
        return visible(" / ".join(value))
    return "none" if value is None else visible(str(value))


def _side(run: StoredRun, samples: Sequence[Sample], its: Sequence[Sample], tables: _Tables) -> Side:
    """Return what a run did with the samples; ``its`` are those that it was asked, as it was."""
    side = Side()
    asked = {sample.id: sample for sample in its}
    predictions: dict[str, dict[int, Prediction]] = {name: {} for name in asked}
    for each in run.predictions:
        if each.sample in asked:
            predictions[each.sample][each.repeat] = each
    for at, sample in enumerate(samples):
        found = predictions.get(sample.id, {})
        _add_prediction(side, at, sample, found.get(0), tables)
        if run.manifest.repeats > 1:
            sets = [(tables.set_of(each.labels), tables.set_of(each.unanswered)) for _, each in sorted(found.items())]
            side.repeats.append(sets)
        sent = asked.get(sample.id)
        plan, answers = _exchanges(run, sent, tables) if sent is not None else ((), [])
        side.plan.append(tables.plans.number(plan))
        side.answers.append(answers)
    return side


def _add_prediction(side: Side, at: int, sample: Sample, said: Prediction | None, tables: _Tables) -> None:
    if said is None:
        side.predicted.append(NOTHING)
        side.unanswered.append(tables.set_of(()))
        side.failure.append(NOTHING)
        return
    side.predicted.append(tables.set_of(said.labels))
    side.unanswered.append(tables.set_of(said.unanswered))
    side.failure.append(FAILURES.index(said.failure) if said.failure is not None and said.failed else NOTHING)
    if said.failed and said.why:
        side.why[at] = tables.texts.piece(said.why)
    if said.off_list:
        side.off_list[at] = [tables.texts.piece(each) for each in said.off_list]
    if said.repaired:
        side.mended.append(at)
    if said.asked_fields:
        side.fields[at] = [_field(name, said, sample, tables.space) for name in _field_names(tables.space)]
    if said.probabilities:
        given = dict(said.probabilities.items())
        side.probabilities[at] = [numbers.score(given[name]) if name in given else None for name in tables.space.names]


def _field_names(space: LabelSpace) -> list[str]:
    return [each.name for each in space.fields]


def _field(name: str, said: Prediction, sample: Sample, space: LabelSpace) -> tuple[str | None, bool | None] | None:
    asked = space.field(name)
    if name not in said.asked_fields or asked is None:
        return None
    known = name in sample.fields
    if name not in said.fields:
        return None, False if known else None
    answer = said.fields[name]
    shown = "none" if answer is None else visible(str(answer))
    return shown, field_matches(asked, sample.fields[name], answer) if known else None


# --- what was sent, and what came back --------------------------------------------------------------------------------


def _exchanges(run: StoredRun, sample: Sample, tables: _Tables) -> tuple[tuple[int, ...], list[int]]:
    """Return the plan of a sample and the numbers of its completions, repeat after repeat."""
    manifest, texts = run.manifest, tables.texts
    inputs = [_text(sample.inputs.get(name)) for name in tables.columns]
    passes = {each.name: each for each in manifest.prompt.passes}
    named = len(passes) > 1
    space = manifest.space
    plan: list[int] = []
    answers: list[int] = []
    for repeat in range(manifest.repeats):
        for call, stored in calls_of(run, sample, repeat):
            asked = passes[call.pass_name]
            heading = _heading(call, asked.draws, repeats=manifest.repeats > 1, named=named)
            plan += [texts.piece(heading), tables.requests.number(tuple(_request(call, inputs, texts)))]
            about = [asked.model.name, *_read_as(stored.completion, call, asked, sample, space)] if named else []
            answers.append(_completion(stored.completion, about, tables))
    return tuple(plan), answers


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _heading(call: Call, draws: int, *, repeats: bool, named: bool) -> str:
    """Return what a call is about, where a run makes several for a sample; else nothing."""
    parts = [f"pass {call.pass_name}"] if named else []
    parts += [call.unit] if call.unit else []
    parts += [f"draw {call.draw % draws + 1}"] if draws > 1 else []
    parts += [f"repeat {call.repeat}"] if repeats else []
    return " · ".join(parts)


def _request(call: Call, inputs: Sequence[str | None], texts: Texts) -> Iterator[int]:
    for message in call.messages:
        yield texts.piece(message["role"])
        yield texts.text(message["content"], inputs)
    for question in call.questions:
        choices = [str(each) for each in question.get("choices", ())]
        yield texts.piece(f"question {question['name']}" + (f" ({', '.join(choices)})" if choices else ""))
        yield texts.text(question["instructions"], inputs)


def _read_as(came: Completion, call: Call, asked: Pass, sample: Sample, space: LabelSpace) -> Iterator[str]:
    """Yield what an answer of one of several passes is read as: all of them together make the sample's labels."""
    if came.error is None:
        within = answer_space(asked, call.unit, space, sample)
        result = read(came, within, asked.output)
        yield f"read as {result.kind if isinstance(result, ParseFailure) else label_list(within.ordered(result.labels))}"


def _completion(came: Completion, told: Sequence[str], tables: _Tables) -> int:
    texts = tables.texts
    about = [*told, numbers.seconds(came.latency_s)]
    about += [came.finish_reason] if came.finish_reason else []
    about += [numbers.plural(came.attempts, "attempt")] if came.attempts > 1 else []
    about += ["from the cache"] if came.cached else []
    error = came.error
    found = [
        NOTHING if came.raw is None else texts.text(came.raw),
        texts.piece(" · ".join(about)),
        NOTHING if error is None else texts.text(f"{error['kind']}: {error['message']}"),
        NOTHING if not came.reasoning else texts.text(came.reasoning),
    ]
    while found[-1] == NOTHING:
        found.pop()
    return tables.completions.number(tuple(found))


def to_page(table: SampleTable) -> Mapping[str, Any]:
    """Return the samples as plain values for the page."""
    return {name: getattr(table, name) for name in table.__dataclass_fields__ if name != "sides"} | {
        "sides": [{name: getattr(side, name) for name in side.__dataclass_fields__} for side in table.sides]
    }
