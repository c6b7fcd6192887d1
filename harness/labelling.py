"""Labelling texts: a file's rows become samples without gold, and predictions become columns beside the rows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness import execution
from harness.budget import Budget
from harness.errors import DataError, HarnessError, Problems, UsageError, listing, shortened
from harness.identity import canonical, text_id
from harness.labelcells import is_blank
from harness.labelspace import NONE_WORD, LabelSpace
from harness.logfile import no_log
from harness.pacing import Log, Rates
from harness.planning import plan_labels
from harness.project import Project
from harness.promptfile import load_task
from harness.promptnames import unused_variables
from harness.records import FailureKind, Prediction, Sample
from harness.report.files import check_output
from harness.report.text import csv_safe
from harness.rows import EXTENSIONS
from harness.runner import Progress
from harness.samples import RESERVED, SampleSet
from harness.selection import Selection
from harness.store import StoredRun
from harness.table import SHEETS, Added, Table, encode_table, free_names, read_table, write_table

SEPARATOR = "; "
PREFIX = "predicted_"
"""Before the name of an added column, where the file has one of that name."""


@dataclass(frozen=True, slots=True)
class Texts:
    """The rows of a file as samples without gold.

    Attributes:
        ids: The sample of each row, None for a row that has nothing to label.
        samples: In the order of the rows.
        blank: Lines of the rows without a text.
    """

    table: Table
    ids: tuple[str | None, ...]
    samples: tuple[Sample, ...]
    blank: tuple[int, ...]

    def only(self, samples: Sequence[Sample]) -> Texts:
        """Return the rows of these samples alone, or all rows where no sample is left out."""
        if len(samples) == len(self.samples):
            return self
        ids = {sample.id for sample in samples}
        rows = [at for at, each in enumerate(self.ids) if each in ids]
        return Texts(self.table.only(rows), tuple(self.ids[at] for at in rows), tuple(samples), ())


@dataclass(frozen=True, slots=True)
class Labelled:
    """What labelling a file brought.

    Attributes:
        run: The run that keeps the completions.
        output: The file that was written.
        rows: Rows in it.
        answered: Of them, the ones that got labels (or none of them).
        none: Answered with the empty set.
        counts: Rows by label, in label-space order.
        failures: Rows without an answer, by kind.
        off_list: Rows where something was answered that is no label.
        blank: Lines of the rows that have no text and were not asked.
        columns: Name of each added column in the file, by its usual name.
    """

    run: StoredRun
    output: Path
    rows: int
    answered: int
    none: int
    counts: Mapping[str, int]
    failures: Mapping[FailureKind, int]
    off_list: int
    blank: tuple[int, ...]
    columns: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """Return all but the run's content, as plain values."""
        return {
            "run": self.run.manifest.id,
            "state": self.run.manifest.state,
            "output": str(self.output),
            "rows": self.rows,
            "answered": self.answered,
            "none": self.none,
            "labels": dict(self.counts),
            "failures": {str(kind): count for kind, count in self.failures.items()},
            "off_list": self.off_list,
            "blank_lines": list(self.blank),
            "columns": dict(self.columns),
            "cost_usd": self.run.manifest.cost_usd,
        }


def check_target(source: Path, output: Path, *, force: bool) -> None:
    """Refuse a file that cannot or must not be written, before any call is made.

    Raises:
        UsageError: Its extension is unknown, its folder is not there, it exists, or it is the input.
    """
    check_output(output, EXTENSIONS)
    if output.exists() and source.exists() and output.samefile(source):
        raise UsageError(f"-o {output}: must be another file than the one that is labelled. Give another name.")
    if output.is_dir():
        raise UsageError(f"-o {output}: must be a file, got a folder. Name a file in it.")
    if output.exists() and not force:
        raise UsageError(f"-o {output}: must not exist yet, but does. Give another name, or --force to replace it.")


def texts_of(table: Table, space: LabelSpace, text: str | None = None, identity: str | None = None) -> Texts:
    """Return the rows as samples: input columns under their own names, the text as `text`, and no gold.

    Labels that the file may have (a column `labels`, a 0/1 column for every label, columns called as a field) are left
    out, so that no template can see them. So are columns with a name that templates give a meaning of its own.

    Args:
        table: The rows.
        space: The label space.
        text: The column of the texts; default: `text`.
        identity: The column of ids; default: `id`, and where that tells no rows apart, the hash of the text.

    Raises:
        DataError: A column is not there, a text is no text, or an id of the named column stands twice; all at once.
    """
    return _Rows(table, space, text, identity).read()


class _Rows:
    """Reads the rows of one table, collecting what is wrong."""

    def __init__(self, table: Table, space: LabelSpace, text: str | None, identity: str | None) -> None:
        self.table = table
        self.problems = Problems(table.path)
        self.names = tuple(dict.fromkeys(column for _, row in table.seen for column in row))
        self.text = text or "text"
        self.id = identity or "id"
        self.explicit_id = identity is not None
        for option, given in (("--text", text), ("--id", identity)):
            if given is not None and given not in self.names:
                self.problems.add(f"{option} '{given}': no such column; the file has {listing(self.names, 30)}.")
        self.problems.raise_if_any()
        self.hidden = _hidden(self.names, space) | {self.text, self.id}
        self.has_text = self.text in self.names
        self.taken: dict[str, int] = {}

    def read(self) -> Texts:
        ids: list[str | None] = []
        samples: list[Sample] = []
        blank: list[int] = []
        for line, row in self.table.seen:
            if self.has_text and is_blank(row.get(self.text)):
                ids.append(None)
                blank.append(line)
                continue
            sample = self._sample(line, row)
            ids.append(sample.id)
            samples.append(sample)
        self.problems.raise_if_any()
        if not samples:
            raise DataError(
                f"{self.table.path}: must have a text in column '{self.text}', got none. Give --text COLUMN."
            )
        return Texts(self.table, tuple(ids), tuple(samples), tuple(blank))

    def _sample(self, line: int, row: Mapping[str, Any]) -> Sample:
        inputs = {column: value for column, value in row.items() if column not in self.hidden}
        if self.has_text:
            inputs["text"] = row[self.text]
            if not isinstance(row[self.text], str):
                self.problems.add(f"'{self.text}' must be a text, got {shortened(repr(row[self.text]))}.", line)
        return Sample(self._identity(line, row, inputs), inputs)

    def _identity(self, line: int, row: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
        given = row.get(self.id)
        known = not is_blank(given)
        base = identity = str(given) if known else text_id(str(inputs.get("text") or canonical(dict(inputs))))
        if known and self.explicit_id and identity in self.taken:
            first = self.taken[identity]
            self.problems.add(f"id '{shortened(identity)}' is that of line {first} too. Ids are unique.", line)
        number = 1
        while identity in self.taken:
            number += 1
            identity = f"{base}-{number}"
        self.taken[identity] = line
        return identity


def _hidden(names: Iterable[str], space: LabelSpace) -> set[str]:
    """Return the columns that no template may see: gold, and names with a meaning of their own."""
    gold = {each.name for each in space.fields}
    flags = [name for name in names if space.find(name) is not None]
    if {space.find(name) for name in flags} == set(space.names):
        gold.update(flags)
    return set(RESERVED) | gold


def columns_for(
    texts: Texts, predictions: Mapping[str, Prediction], space: LabelSpace, fields: Sequence[str]
) -> tuple[list[Added], dict[str, str]]:
    """Return the columns to add to the rows, and the name that each got.

    Args:
        texts: The rows.
        predictions: By sample id; a row whose sample has none stays empty.
        space: Its order is that of the labels in a cell.
        fields: Names of the fields that were asked for.
    """
    found = [None if identity is None else predictions.get(identity) for identity in texts.ids]
    weighed = ["probabilities"] if any(each is not None and each.probabilities for each in found) else []
    names = free_names(["labels", "failure", "off_list", *weighed, *fields], texts.table, PREFIX)
    in_lists = any(";" in name or name.startswith("[") for name in space.names)
    labels = [None if each is None or each.failed else space.ordered(each.labels) for each in found]
    kinds = [None if each is None or each.failure is None else str(each.failure) for each in found]
    off_list = [None if each is None or not each.off_list else list(each.off_list) for each in found]
    added = [
        Added(names["labels"], labels, [_labels_cell(each, in_lists) for each in labels], listed=True),
        Added(names["failure"], kinds, [each or "" for each in kinds]),
        Added(names["off_list"], off_list, [_list_cell(each) for each in off_list], listed=True),
    ]
    if weighed:
        shown = [_probabilities_cell(each, space) for each in found]
        added.append(Added(names["probabilities"], shown, [each or "" for each in shown]))
    for name in fields:
        values = [None if each is None else each.fields.get(name) for each in found]
        added.append(Added(names[name], values, [_field_cell(value) for value in values]))
    return added, names


def _probabilities_cell(prediction: Prediction | None, space: LabelSpace) -> str | None:
    """Return P(label) of the labels that have one, as a JSON object in label-space order; None where there is none."""
    if prediction is None or not prediction.probabilities:
        return None
    known = {name: prediction.probabilities[name] for name in space.names if name in prediction.probabilities}
    return json.dumps(known, ensure_ascii=False)


def _labels_cell(labels: list[str] | None, in_lists: bool) -> str:
    """Return labels as a cell: delimited, or as a JSON list where a name could be torn apart."""
    if labels is None:
        return ""
    if in_lists:
        return json.dumps(labels, ensure_ascii=False)
    return csv_safe(SEPARATOR.join(labels)) if labels else NONE_WORD


def _list_cell(texts: list[str] | None) -> str:
    if texts is None:
        return ""
    in_list = any(";" in text or text.startswith("[") for text in texts)
    return csv_safe(json.dumps(texts, ensure_ascii=False) if in_list else SEPARATOR.join(texts))


def _field_cell(value: Any) -> str:
    if value is None:
        return ""
    return ("true" if value else "false") if isinstance(value, bool) else csv_safe(str(value))


def label_file(
    prompt: Path,
    source: Path,
    output: Path,
    project: Project,
    *,
    text: str | None = None,
    identity: str | None = None,
    selection: Selection | None = None,
    model: str | None = None,
    base_url: str | None = None,
    variables: Mapping[str, str] | None = None,
    concurrency: int | None = None,
    use_cache: bool = True,
    force: bool = False,
    rates: Rates | None = None,
    budget: Budget | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
    warn: Callable[[str], None] = lambda _: None,
    log: Log = no_log,
) -> Labelled:
    """Label the rows of a file and write them with the answers beside them; `harness.api.label` tells the arguments.

    Raises:
        HarnessError: A file has problems, or the model cannot be used. What was answered is in the cache.
    """
    check_target(source, output, force=force)
    table = read_table(source)
    kept: list[Texts] = []

    def read(space: LabelSpace) -> SampleSet:
        kept.append(texts_of(table, space, text, identity))
        return SampleSet(source, kept[0].samples)

    with _hint_at_text(table, text):
        task = load_task(prompt, project, model=model, base_url=base_url, variables=variables, read=read)
    plan = plan_labels(task, selection or Selection())
    for warning in (*plan.warnings, *unused_variables([task.prompt])):
        warn(warning)
    texts = kept[0].only(plan.samples)
    fields = tuple(dict.fromkeys(name for each in plan.prompt.passes for name in each.output.fields))
    if output.suffix.lower() == ".parquet":  # which may be unable to hold a column: told before any call is paid
        encode_table(output, texts.table, columns_for(texts, {}, plan.space, fields)[0])
    if texts.blank:
        warn(f"{source}: rows without a text are not asked and stay empty: {_lines(texts.blank)}.")
    with _told_to_repeat(output, use_cache=use_cache):
        run = execution.start(
            plan,
            project,
            concurrency=concurrency,
            use_cache=use_cache,
            rates=rates,
            budget=budget,
            progress=progress,
            warn=warn,
            log=log,
        )
    predictions = {each.sample: each for each in run.predictions}
    added, names = columns_for(texts, predictions, plan.space, fields)
    write_table(output, _safe_in(output, texts.table), added)
    return _summary(run, output, texts, predictions, names)


def _safe_in(output: Path, table: Table) -> Table:
    """Return the rows as a spreadsheet may have them, where they go into one and do not come from one."""
    if output.suffix.lower() not in SHEETS or table.path.suffix.lower() in SHEETS:
        return table
    rows = tuple(
        (line, {name: csv_safe(cell) if isinstance(cell, str) else cell for name, cell in row.items()})
        for line, row in table.rows
    )
    return replace(table, rows=rows)


@contextmanager
def _hint_at_text(table: Table, text: str | None) -> Iterator[None]:
    """Say which option is missing, and nothing else, where a template asks for the text and the file calls it otherwise."""
    try:
        yield
    except DataError as error:
        if text is None and "text" not in table.columns and "'text' is not defined" in str(error):
            others = [line for line in str(error).splitlines() if "'text' is not defined" not in line]
            hint = f"{table.path}: has no column 'text'. Give --text COLUMN: {listing(table.columns, 30)}."
            raise DataError("\n".join([*others, hint])) from None
        raise


@contextmanager
def _told_to_repeat(output: Path, *, use_cache: bool) -> Iterator[None]:
    """Say of a run that stopped how labelling goes on: `harness run --resume` would write no file."""
    try:
        yield
    except HarnessError as error:
        told, stopped, _ = str(error).partition("Go on with:")
        if not stopped:
            raise
        asks = "it asks only for what is missing" if use_cache else "past the cache it asks for everything anew"
        raise type(error)(f"{told}{output} is not written. Type the same command again: {asks}.") from None


def _lines(lines: Sequence[int]) -> str:
    return f"line{'' if len(lines) == 1 else 's'} {listing(map(str, lines), 5)}"


def _summary(
    run: StoredRun, output: Path, texts: Texts, predictions: Mapping[str, Prediction], names: Mapping[str, str]
) -> Labelled:
    """Return what came of labelling, counted over the rows."""
    found = [predictions[each] for each in texts.ids if each is not None and each in predictions]
    answered = [each for each in found if not each.failed]
    counts = Counter(label for each in answered for label in each.labels)
    kinds = Counter(each.failure for each in found if each.failure is not None)
    return Labelled(
        run=run,
        output=output,
        rows=len(texts.ids),
        answered=len(answered),
        none=sum(not each.labels for each in answered),
        counts={name: counts[name] for name in run.manifest.space.names},
        failures={kind: kinds[kind] for kind in FailureKind},
        off_list=sum(bool(each.off_list) for each in found),
        blank=texts.blank,
        columns=names,
    )
