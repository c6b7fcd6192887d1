"""The next version drafted from what a search found: what goes into its exception pass, and its files written and checked.

No call is made. What is written loads, and asks first what its parent asks, or nothing is left of it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.cases import Cases
from harness.confusion import set_confusion
from harness.draft import drafted, read_parent
from harness.draftexamples import Examples, worked_examples
from harness.draftshots import shots_text
from harness.errors import DataError, UsageError, listing
from harness.exceptionpass import Contrast, DraftShots, Errors, ExceptionPass, Style, default_style
from harness.exceptionsearch import Exceptions
from harness.metrics import BoolVector
from harness.nextversion import check_new_file, load_as_run, parent_file, run_command, write_new
from harness.project import Project
from harness.prompt import DECISION_APIS, Pass, Prompt
from harness.records import Sample
from harness.rendering import columns_of
from harness.report.exceptionwords import notes_line, trigger_line, verdict_line
from harness.searched import Searched
from harness.store import StoredRun
from harness.template import expression
from harness.templatenames import names_used
from harness.triggersearch import Choice

DEFAULT_NAME = "exception"

MOST_CONTRASTS = 4
"""Pairs of labels that a draft tells apart."""

LEAST_CONFUSED = 2
"""Samples from which on a pair of labels is one to tell apart."""


@dataclass(frozen=True, slots=True)
class Drafted:
    """A drafted version.

    Attributes:
        written: Its file.
        shots: The file of its worked examples that was written; None where there is none.
        n_shots: How many these are.
        set_aside: The samples of the split that became shots.
        new: Its exception pass.
        next_command: What runs it as the run was made.
    """

    written: Path
    shots: Path | None
    n_shots: int
    set_aside: tuple[str, ...]
    new: ExceptionPass
    next_command: str

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "file": str(self.written),
            "pass": self.new.name,
            "when": self.new.when,
            "scope": list(self.new.scope),
            "how": self.new.errors.how,
            "style": self.new.style,
            "shots": None if self.shots is None else str(self.shots),
            "n_shots": self.n_shots,
            "set_aside": list(self.set_aside),
            "next": self.next_command,
        }


@dataclass(frozen=True, slots=True)
class DraftOptions:
    """How a version is drafted.

    Attributes:
        write: The new prompt file.
        name: Of the exception pass; None chooses one.
        style: How it asks; None goes by its model.
        set_aside: So many samples of the half that was searched become its worked examples; 0 takes those of other files.
        anyway: Write it though no trigger is worth it.
    """

    write: Path
    name: str | None = None
    style: Style | None = None
    set_aside: int = 0
    anyway: bool = False


# --- drafting ---------------------------------------------------------------------------------------------------------


def check_draft(run: StoredRun, project: Project, options: DraftOptions) -> None:
    """Refuse a draft that cannot be made, before anything is searched.

    Raises:
        UsageError: The file cannot be there, or the style or the number of samples cannot be.
        DataError: No prompt made the run, or its file is gone.
    """
    manifest = run.manifest
    if manifest.origin is not None:
        raise DataError(
            f"run {manifest.id}: no prompt made it, so there is no version to draft the next one from. What it got wrong "
            "is told without --write."
        )
    check_new_file(options.write, run, project)
    model = manifest.prompt.passes[-1].model
    if options.style not in (None, "decisions") and model.api in DECISION_APIS:
        raise UsageError(
            f"--style {options.style}: must be left out, because 'api: {model.api}' is asked typed questions alone."
        )
    names = [each.name for each in manifest.prompt.passes]
    if options.name in names:
        raise UsageError(f"--name '{options.name}': must be another name than those of its passes: {listing(names)}.")
    most = len(run.samples) // 8  # a quarter of what is searched
    if options.set_aside > most:
        raise UsageError(
            f"--set-aside {options.set_aside}: must leave enough samples to judge by, at most {most} of "
            f"{len(run.samples)} here."
        )


def write_draft(
    found: Exceptions, project: Project, options: DraftOptions, warn: Callable[[str], None] = lambda _: None
) -> Drafted:
    """Write the next version: the run's prompt as it is, and an exception pass for the chosen trigger.

    Args:
        found: What was found.
        project: Where the prompt file and the dataset are.
        options: `check_draft` has seen them.
        warn: Told what a person should know.

    Raises:
        DataError: No trigger is worth it and nobody asked for it anyway; or the prompt file has changed since the run, or
            nothing can be put into it.
    """
    run = found.run
    chosen = _worthwhile(found, options)
    path = parent_file(run, project)
    parent = read_parent(path, str(run.manifest.prompt.path))
    today = load_as_run(path, run, project)
    if today.hash != run.manifest.prompt_hash:
        raise DataError(
            f"{run.manifest.prompt.path}: must ask what run {run.manifest.id} asked, but has changed since. "
            "Run it again, and draft from that run."
        )
    sent = np.array([bool(expression(chosen.expression)(row.context)) for row in found.cases.rows], np.bool_)
    sent &= found.cases.by_case(found.seen)
    scope = tuple(run.manifest.space.ordered(chosen.seen.scope))
    pairs = _contrasts(found.cases, sent, scope)
    contrasted = [(each.first, each.second) for each in pairs]
    shots = worked_examples(found, project, parent, options.write, options.set_aside, sent, scope, contrasted, warn)
    new = _new_pass(found, options, today, chosen, sent, pairs, shots)
    text = drafted(
        parent,
        new,
        version=path.stem,
        notes=notes_line(found),
        searched=_searched(found, shots).to_json(),
        remark=_remark(found),
    )
    return _written(found, project, options, today, new, shots, text)


def _worthwhile(found: Exceptions, options: DraftOptions) -> Choice:
    """Return the choice that a draft is made of.

    Raises:
        DataError: There is none, or it is not worth a pass and nobody asked for it anyway.
    """
    verdict = verdict_line(found)
    told = f"run {found.run.manifest.id}: {verdict[0].lower()}{verdict[1:]}"
    if found.search.chosen is None:
        more = " Raise --budget, or name labels with --label." if found.sites.errors else ""
        raise DataError(f"{told} Nothing is drafted: there is no trigger.{more}")
    if found.search.verdict == "not worth" and not options.anyway:
        label = "To draft it for one of these labels, name it with --label. " if found.worth_by_label else ""
        raise DataError(f"{told} Nothing is drafted. {label}To draft it all the same, add --anyway.")
    return found.search.chosen


def _contrasts(cases: Cases, rows: BoolVector, scope: Sequence[str]) -> tuple[Contrast, ...]:
    """Return the labels taken for each other in some rows, one of each pair in question, the most frequent first."""
    names = cases.space.names
    counts = set_confusion(cases.y_true[rows], cases.y_pred[rows], cases.answered[rows])[:-1, :-1]
    both = counts + counts.T
    found = []
    for one in range(len(names)):
        for other in range(one + 1, len(names)):
            n = int(both[one, other]) / cases.n_repeats
            inside = [name for name in (names[one], names[other]) if name in scope]
            if n >= LEAST_CONFUSED and inside:
                first = inside[0]
                second = names[other] if first == names[one] else names[one]
                found.append(Contrast(first, second, n))
    return tuple(sorted(found, key=lambda each: -each.n)[:MOST_CONTRASTS])


def _errors(cases: Cases, rows: BoolVector, scope: Sequence[str]) -> Errors:
    at = [cases.space.index[name] for name in scope]
    answered = cases.answered[rows][:, at]
    counted = (cases.missed[rows][:, at] & answered, cases.added[rows][:, at] & answered, ~answered)
    missed, added, unanswered = (int(np.count_nonzero(each)) / cases.n_repeats for each in counted)
    return Errors(missed, added, unanswered)


def _new_pass(
    found: Exceptions,
    options: DraftOptions,
    today: Prompt,
    chosen: Choice,
    sent: BoolVector,
    pairs: tuple[Contrast, ...],
    shots: Examples,
) -> ExceptionPass:
    space = found.run.manifest.space
    scope = tuple(space.ordered(chosen.seen.scope))
    last = today.passes[-1]
    return ExceptionPass(
        name=options.name or _free_name([each.name for each in today.passes]),
        when=chosen.expression,
        scope=scope,
        descriptions={label.name: label.description for label in space},
        style=options.style or default_style(last.model),
        model=last.model,
        columns=_columns(today, found.run.samples),
        errors=_errors(found.cases, sent, scope),
        contrasts=pairs,
        shots=None if shots.file is None else DraftShots(shots.named, len(shots.samples), found.settings.seed),
        why=trigger_line(found),
        about_shots=shots.about,
    )


def _free_name(taken: Collection[str]) -> str:
    numbered = (DEFAULT_NAME if number == 1 else f"{DEFAULT_NAME}-{number}" for number in range(1, len(taken) + 2))
    return next(name for name in numbered if name not in taken)


def _columns(prompt: Prompt, samples: Sequence[Sample]) -> tuple[str, ...]:
    """Return the input columns that the prompt shows a model, in the order of the samples' columns."""
    common = columns_of(samples)
    used = {name for each in prompt.passes for name in _used(each, prompt.files)}
    columns = [name for name in samples[0].inputs if name in common]
    shown = [name for name in columns if name in used] or [name for name in columns if name == "text"] or columns
    return tuple(shown)


def _used(each: Pass, files: Mapping[str, str]) -> Iterator[str]:
    for message in each.messages:
        yield from names_used(message.source, files)


def _remark(found: Exceptions) -> str:
    manifest = found.run.manifest
    return (
        f"Drafted by harness exceptions from run {manifest.id}: the passes of {manifest.version} as they were, and one for "
        "what they got wrong. Where it says WRITE HERE a person knows more than the counts. 'searched' says which samples "
        "were looked at for this: a comparison with its parent is decided on the others, so let it stand."
    )


def _searched(found: Exceptions, shots: Examples) -> Searched:
    manifest, settings = found.run.manifest, found.settings
    before = manifest.prompt.searched_on(manifest.split)
    aside = (*(() if before is None else before.set_aside), *shots.set_aside)
    return Searched(manifest.id, manifest.split, settings.seed, settings.share, tuple(dict.fromkeys(aside)))


# --- the file ---------------------------------------------------------------------------------------------------------


def _written(
    found: Exceptions,
    project: Project,
    options: DraftOptions,
    today: Prompt,
    new: ExceptionPass,
    shots: Examples,
    text: str,
) -> Drafted:
    """Write the draft and its worked examples, and see to it that it loads and asks first what its parent asks.

    Raises:
        DataError: It does not; then nothing is left of it.
    """
    made: list[Path] = []
    try:
        if shots.file is not None:
            write_new(shots.file, shots_text(shots.samples, found.run.manifest.space.names))
            made.append(shots.file)
        write_new(options.write, text)
        made.append(options.write)
        loaded = load_as_run(options.write, found.run, project)
        if not _asks_first(loaded, today):
            raise DataError(
                f"{found.run.manifest.prompt.path}: is written so that no pass can be put behind it without a change of "
                "what it asks. Write 'passes' into it by hand, run it (its calls are the same), and draft from that run."
            )
    except DataError:
        for path in made:
            path.unlink(missing_ok=True)
        raise
    command = run_command(options.write, found.run, project)
    return Drafted(options.write, shots.file, len(shots.samples), shots.set_aside, new, command)


def _asks_first(new: Prompt, parent: Prompt) -> bool:
    """Return whether the first passes of a draft ask what those of its parent ask, but for a line's end at the end."""
    passes = zip(new.passes, parent.passes, strict=False)
    same = all(_comparable(mine) == _comparable(other) for mine, other in passes)
    others = (new.variables, new.files, new.dataset) == (parent.variables, parent.files, parent.dataset)
    return same and others and len(new.passes) == len(parent.passes) + 1


def _comparable(each: Pass) -> Pass:
    return replace(
        each, messages=tuple(replace(message, source=message.source.removesuffix("\n")) for message in each.messages)
    )
