"""The Python API: what the commands do, as functions that take values and return runs and tables.

run = harness.run("prompts/v3.yaml", limit=50)
run.scores                    # a DataFrame: one row a label
run.failures(label="price")   # a DataFrame: one row a wrong sample
harness.compare("v2", "v3").labels
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from harness import execution, holdout, planning
from harness.errors import DataError, UsageError
from harness.execution import Before
from harness.logfile import no_log
from harness.project import Project, find_project
from harness.promptfile import load_task
from harness.promptnames import unused_variables
from harness.records import FailureKind
from harness.results import ComparisonResult, Run, unknown_word
from harness.runnames import check_tag, find_run
from harness.selection import Selection

if TYPE_CHECKING:
    from harness.batchsending import Ways
    from harness.budget import Budget
    from harness.calibrating import Calibrated
    from harness.exceptionpass import Style
    from harness.exceptionsearch import Exceptions
    from harness.gating import Gated
    from harness.importing import Imported
    from harness.labelling import Labelled
    from harness.pacing import Log, Rates
    from harness.predictionlayout import Shape
    from harness.rescoring import Rescored
    from harness.runner import Progress
    from harness.significance import Settings
    from harness.store import StoredRun
    from harness.suggesting import Suggested


def run(
    prompt: str | Path,
    *,
    model: str | None = None,
    base_url: str | None = None,
    split: str | None = None,
    limit: int | None = None,
    filter: str | None = None,  # noqa: A002 - the field's word, as on the command line
    samples: Iterable[str] | None = None,
    repeat: int = 1,
    concurrency: int | None = None,
    cache: bool = True,
    tag: str | None = None,
    variables: Mapping[str, str] | None = None,
    final: bool = False,
    reason: str | None = None,
    rates: Rates | None = None,
    budget: Budget | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
    warn: Callable[[str], None] = lambda _: None,
    log: Log = no_log,
    batches: Ways | None = None,
    project: Project | None = None,
) -> Run:
    """Run a prompt on labelled samples and return the finished run.

    Args:
        prompt: The prompt file.
        model: Goes before the prompt's own model.
        base_url: Goes before the prompt's own base URL and OPENAI_BASE_URL.
        split: Default: the dataset's default split.
        limit: So many samples, drawn by the hash of the id: the same for every version.
        filter: A Jinja expression over a sample.
        samples: Only these ids.
        repeat: How often each sample is asked; scores are means over the repeats.
        concurrency: Calls under way at once at most.
        cache: False makes every call anew.
        tag: A word by which the run can be named: it means the newest complete run that has it.
        variables: Template variables.
        final: Look at a locked split; the look is logged in `runs/holdout.jsonl`.
        reason: Why, for that log.
        rates: Requests and tokens a minute at most, of each model; default: those of `harness.toml`.
        budget: How many calls may be sent, and what they may cost; one may be shared by several runs.
        progress: Called with a `Progress` after every call and prediction.
        warn: Called with what a person should know.
        log: Called with what happens to calls: the name of an event, and what it is about.
        batches: How to have the calls answered by the provider's batch API; None asks directly.
        project: Default: the project around the prompt file.

    Raises:
        UsageError: The split is locked and `final` is not said.
        HarnessError: A file has problems, or the model cannot be used.
    """
    plan, where = plan_run(
        prompt,
        model=model,
        base_url=base_url,
        split=split,
        selection=Selection(filter, None if samples is None else tuple(samples), limit),
        repeat=repeat,
        tag=tag,
        variables=variables,
        warn=warn,
        project=project,
    )
    for warning in unused_variables([plan.prompt]):
        warn(warning)
    stored = start(
        plan,
        where,
        final=final,
        reason=reason,
        concurrency=concurrency,
        cache=cache,
        rates=rates,
        budget=budget,
        progress=progress,
        warn=warn,
        log=log,
        batches=batches,
    )
    return Run(stored, where)


def start(
    plan: planning.Plan,
    project: Project,
    *,
    final: bool = False,
    reason: str | None = None,
    concurrency: int | None = None,
    cache: bool = True,
    rates: Rates | None = None,
    budget: Budget | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
    warn: Callable[[str], None] = lambda _: None,
    log: Log = no_log,
    batches: Ways | None = None,
) -> StoredRun:
    """Make the run that was planned and return it, finished; `run` tells the arguments.

    Raises:
        UsageError: The split is locked and `final` is not said.
        HarnessError: The look cannot be logged, or the model cannot be used.
    """
    return holdout.look(
        plan,
        project,
        lambda: execution.start(
            plan,
            project,
            concurrency=concurrency,
            use_cache=cache,
            rates=rates,
            budget=budget,
            progress=progress,
            warn=warn,
            log=log,
            before=_before(project, batches),
        ),
        final=final,
        reason=reason,
        warn=warn,
    )


def _before(project: Project, batches: Ways | None) -> Before | None:
    """Return what a run does before its first call: it has batches answered."""
    if batches is None:
        return None
    from harness.batchrunning import by_batches

    return by_batches(project.settings, batches)


def plan_run(
    prompt: str | Path,
    *,
    model: str | None = None,
    base_url: str | None = None,
    split: str | None = None,
    selection: Selection | None = None,
    repeat: int = 1,
    tag: str | None = None,
    variables: Mapping[str, str] | None = None,
    warn: Callable[[str], None] = lambda _: None,
    project: Project | None = None,
) -> tuple[planning.Plan, Project]:
    """Return what `run` would do, everything read and checked, and the project it belongs to."""
    if repeat < 1:
        raise UsageError(f"--repeat: must be at least 1, got {repeat}.")
    path = Path(prompt)
    where = project or find_project(path)
    task = load_task(path, where, split=split, model=model, base_url=base_url, variables=variables)
    if tag is not None:
        versions = {task.prompt.version, *(each.stem for each in path.parent.glob("*.y*ml"))}
        check_tag(tag, where.runs, versions)
    for warning in task.samples.warnings:
        warn(warning)
    plan = planning.plan_run(task, split, selection or Selection(), repeat, tag)
    for warning in plan.warnings:
        warn(warning)
    return plan, where


def resume(
    name: str,
    *,
    concurrency: int | None = None,
    cache: bool = True,
    retry: Iterable[str] = (),
    final: bool = False,
    reason: str | None = None,
    rates: Rates | None = None,
    budget: Budget | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
    warn: Callable[[str], None] = lambda _: None,
    log: Log = no_log,
    batches: Ways | None = None,
    project: Project | None = None,
) -> Run:
    """Make the calls that a run still misses, with what it froze, and return it finished.

    Args:
        name: Which run: an id, the beginning of one, a path or `latest`.
        concurrency: Calls under way at once at most.
        cache: False asks anew.
        retry: Failure kinds that are drawn again, past the cache. Other kinds than call_error mark the run.
        final: Look at a locked split, where no look of this run is logged: one that began with `final` needs it not.
        reason: Why, for the log.
        rates: Requests and tokens a minute at most, of each model; default: those of `harness.toml`.
        budget: How many calls may be sent, and what they may cost; one may be shared by several runs.
        progress: Called with a `Progress` after every call and prediction.
        warn: Called with what a person should know.
        log: Called with what happens to calls: the name of an event, and what it is about.
        batches: How to have the calls answered by the provider's batch API; a run that was begun so goes on so.
        project: Default: the project around the current folder.

    Raises:
        UsageError: There is no such failure kind, or the look at a locked split is neither logged nor asked for.
        HarnessError: There is no such run, another process writes it, or the model cannot be used.
    """
    from harness.batchrunning import goes_on_by_batches
    from harness.batchsending import Ways

    where = project or find_project()
    asked = tuple(retry)
    if strange := [kind for kind in asked if kind not in list(FailureKind)]:
        raise unknown_word("kind", strange[0], list(FailureKind))
    kinds = frozenset(FailureKind(kind) for kind in asked)
    found = find_run(where.runs, name, any_state=True)
    if found.manifest.is_labelling:
        raise DataError(
            f"run {found.manifest.id}: labelled a file. To go on, type the same 'harness label' again: what was answered "
            "comes from the cache."
        )
    if found.manifest.origin is None:  # the others are refused for another reason
        holdout.look_again(found, where, final=final, reason=reason)
    if batches is None and goes_on_by_batches(found) and kinds <= {FailureKind.CALL_ERROR}:
        batches = Ways()
    stored = execution.resume(
        found,
        where,
        concurrency=concurrency,
        use_cache=cache,
        retry=kinds,
        rates=rates,
        budget=budget,
        progress=progress,
        warn=warn,
        log=log,
        before=_before(where, batches),
    )
    return Run(stored, where)


def label(
    prompt: str | Path,
    file: str | Path,
    output: str | Path,
    *,
    text: str | None = None,
    id: str | None = None,  # noqa: A002 - the column's word, as on the command line
    model: str | None = None,
    base_url: str | None = None,
    limit: int | None = None,
    concurrency: int | None = None,
    cache: bool = True,
    variables: Mapping[str, str] | None = None,
    force: bool = False,
    rates: Rates | None = None,
    budget: Budget | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
    warn: Callable[[str], None] = lambda _: None,
    log: Log = no_log,
    project: Project | None = None,
) -> Labelled:
    """Label the texts of a file with a prompt, and write its rows with the answers beside them.

    Args:
        prompt: The prompt file; its dataset gives the label space.
        file: CSV, TSV, JSONL or Parquet. Labels that it may have are never sent.
        output: The new file; its extension says its format.
        text: The column of the texts; default: `text`.
        id: The column of ids; default: `id`.
        model: Goes before the prompt's own model.
        base_url: Goes before the prompt's own base URL and OPENAI_BASE_URL.
        limit: So many rows, drawn by the hash of the id; the others are not in the new file.
        concurrency: Calls under way at once at most.
        cache: False makes every call anew.
        variables: Template variables.
        force: Replace the new file where it exists.
        rates: Requests and tokens a minute at most, of each model; default: those of `harness.toml`.
        budget: How many calls may be sent, and what they may cost; one may be shared by several runs.
        progress: Called with a `Progress` after every call and prediction.
        warn: Called with what a person should know.
        log: Called with what happens to calls: the name of an event, and what it is about.
        project: Default: the project around the prompt file.

    Raises:
        HarnessError: A file has problems, or the model cannot be used. What was answered is in the cache.
    """
    from harness.labelling import label_file

    path = Path(prompt)
    return label_file(
        path,
        Path(file),
        Path(output),
        project or find_project(path),
        text=text,
        identity=id,
        selection=Selection(limit=limit),
        model=model,
        base_url=base_url,
        variables=variables,
        concurrency=concurrency,
        use_cache=cache,
        force=force,
        rates=rates,
        budget=budget,
        progress=progress,
        warn=warn,
        log=log,
    )


def load(name: str, project: Project | None = None, warn: Callable[[str], None] = lambda _: None) -> Run:
    """Return a run by its name: a version, `latest`, an id, the beginning of one, a tag, or a path.

    Args:
        name: What the run is called.
        project: Default: the project around the current folder.
        warn: Called when a version name may mean something else than it seems: see `lineage.doubts`.

    Raises:
        RunNameError: It means no run, or several.
    """
    from harness.lineage import doubts

    where = project or find_project()
    stored = find_run(where.runs, name)
    for doubt in doubts(name, stored, where):
        warn(doubt)
    return Run(stored, where)


def score(name: str, project: Project | None = None) -> Rescored:
    """Parse and score a run again from its stored completions, with today's output format, aliases and gold."""
    from harness.rescoring import rescore

    where = project or find_project()
    return rescore(find_run(where.runs, name, any_state=True), where)


def calibrate(
    name: str,
    metric: str = "macro_f1",
    *,
    one_threshold: bool = False,
    folds: int = 5,
    seed: int = 0,
    write: str | Path | None = None,
    project: Project | None = None,
    warn: Callable[[str], None] = lambda _: None,
) -> Calibrated:
    """Find the thresholds that maximise a score on a run, and what they give by cross-validation.

    Args:
        name: What the run is called.
        metric: macro_f1, micro_f1, weighted_f1, samples_f1, subset_accuracy or jaccard.
        one_threshold: The same threshold for all labels.
        folds: Parts of the cross-validation.
        seed: Decides which sample is in which of them.
        write: A new prompt file beside the run's, with these thresholds.
        project: Default: the project around the current folder.
        warn: Told what a person should know.

    Raises:
        HarnessError: The run has no probabilities, the metric is none, or the file cannot be written.
    """
    from harness.calibrating import calibrate_run

    loaded = load(name, project, warn)
    return calibrate_run(
        loaded.stored,
        loaded.project,
        metric=metric,
        one_threshold=one_threshold,
        folds=folds,
        seed=seed,
        write=None if write is None else Path(write),
        warn=(lambda _: None) if name == loaded.version else warn,  # of a version, `load` has told it
    )


def suggest(
    name: str,
    *,
    model: str | None = None,
    base_url: str | None = None,
    pass_name: str | None = None,
    format_only: bool = False,
    examples: int = 12,
    seed: int = 0,
    params: Mapping[str, Any] | None = None,
    budget: int | None = None,
    write: str | Path | None = None,
    again: bool = False,
    warn: Callable[[str], None] = lambda _: None,
    project: Project | None = None,
) -> Suggested:
    """Ask a model for a better prompt, and write its answer as the next version: `.written` is its file.

    Args:
        name: What the run is called whose prompt is to be improved; not on a locked split.
        model: Who is asked; default: the run's own model.
        base_url: Its server; default: the run's own.
        pass_name: Which pass is reworded; default: the first.
        format_only: Ask only for a paragraph that says in which form to answer.
        examples: Most wrong samples that are sent.
        seed: Decides which.
        params: Parameters of the request.
        budget: Tokens that the request may have.
        write: The new prompt file; default: the next number, beside the run's.
        again: Ask anew, whatever the cache has.
        warn: Told what a person should know.
        project: Default: the project around the current folder.

    Raises:
        UnusableSuggestion: The answer is no sound prompt; `.asked.completion.raw` is what it says.
        HarnessError: The run cannot be used, or no answer came.
    """
    from harness import suggesting

    loaded = load(name, project, warn)
    prepared = suggesting.prepare(
        loaded.stored,
        loaded.project,
        model=model,
        base_url=base_url,
        pass_name=pass_name,
        format_only=format_only,
        examples=examples,
        seed=seed,
        params=params,
        budget=budget,
        warn=warn,
    )
    path = None if write is None else Path(write)
    return suggesting.suggest(prepared, loaded.project, write=path, again=again, warn=warn)


def exceptions(
    name: str,
    *,
    budget: str | float = 0.2,
    labels: Iterable[str] = (),
    seed: int | None = None,
    versions: Iterable[str] | None = None,
    write: str | Path | None = None,
    pass_name: str | None = None,
    style: str | None = None,
    set_aside: int = 0,
    anyway: bool = False,
    tell: Callable[[Exceptions], None] = lambda _: None,
    project: Project | None = None,
    warn: Callable[[str], None] = lambda _: None,
) -> Exceptions:
    """Find where a run's errors are and what would send them to a second pass, and draft that pass.

    Args:
        name: What the run is called.
        budget: Share of the samples that may be asked twice: ``0.2`` or ``"20%"``.
        labels: Only errors of these labels count; default: all.
        seed: Decides which half of the samples is searched.
        versions: Names of other runs to look for disagreement in; default: those of the other versions.
        write: A new prompt file beside the run's, with an exception pass for what was chosen.
        pass_name: What the pass is called; default: exception.
        style: list (all labels in question at once) or yes_no (each in a call); default: by its model.
        set_aside: So many samples of the searched half become its worked examples, and are evaluated no more.
        anyway: Draft it though no trigger is worth it.
        tell: Called with what was found, before anything is drafted.
        project: Default: the project around the current folder.
        warn: Told what a person should know.

    Raises:
        UsageError: The budget, a label, the style or the new file cannot be.
        DataError: The run has no gold or is on a locked split; or it is to be drafted from and cannot, or no trigger is
            worth it.
    """
    from harness.drafting import DraftOptions, check_draft, write_draft
    from harness.exceptionsearch import find_exceptions, read_budget

    loaded = load(name, project, warn)
    stored, where = loaded.stored, loaded.project
    share = read_budget(str(budget))
    if style not in (None, "list", "yes_no"):
        raise unknown_word("style", style, ("list", "yes_no"))
    options = None
    if write is not None:
        options = DraftOptions(Path(write), pass_name, cast("Style | None", style), set_aside, anyway)
        check_draft(stored, where, options)
    others = None if versions is None else [load(each, where, warn).stored for each in versions]
    found = find_exceptions(stored, where, budget=share, seed=seed, labels=tuple(labels), versions=others, warn=warn)
    tell(found)
    return found if options is None else replace(found, drafted=write_draft(found, where, options, warn))


def compare(
    first: str,
    *others: str,
    common: bool = False,
    margin: float | None = None,
    seed: int | None = None,
    settings: Settings | None = None,
    project: Project | None = None,
    warn: Callable[[str], None] = lambda _: None,
) -> ComparisonResult:
    """Return what changed from the first run to each of the others, and how sure that is.

    Args:
        first: Name of the baseline.
        others: Names of the later runs.
        common: Compare on the samples that all runs have, where they are not the same.
        margin: How much lower a score may be and still be called no worse; default: 0.02.
        seed: Of the resamples and exchanges; default: 0.
        settings: All that decides a verdict; `margin` and `seed` go before it.
        project: Default: the project around the current folder.
        warn: Told what `load` tells.

    Raises:
        DataError: Fewer than two runs, other label spaces, other samples, or no common ones.
        UsageError: The margin is no share.
    """
    if not others:
        raise DataError(f"compare: must have at least two runs, got one ({first}).")
    if margin is not None and not 0 < margin < 1:
        raise UsageError(f"--margin: must be between 0 and 1, got {margin:g}.")
    where = project or find_project()
    runs = [load(name, where, warn).stored for name in (first, *others)]
    from harness.significance import Settings
    from harness.versions import compare_runs

    chosen = settings or Settings()
    chosen = replace(
        chosen, margin=chosen.margin if margin is None else margin, seed=chosen.seed if seed is None else seed
    )
    return ComparisonResult(compare_runs(runs, where, chosen, common=common))


def gate(
    name: str,
    *rules: str,
    file: str | Path | None = None,
    against: str | None = None,
    margin: float | None = None,
    seed: int = 0,
    project: Project | None = None,
    warn: Callable[[str], None] = lambda _: None,
) -> Gated:
    """Hold a run against rules and the blessed baseline; `.result.passed` says how it went, `.result.cases` why.

    Args:
        name: What the run is called.
        rules: Such as ``macro_f1 >= 0.8`` or ``no significant drop``.
        file: A YAML file of further rules.
        against: A baseline's name or file, or a run; default: the baseline of the run's dataset and split.
        margin: How much lower a score may be and still be called no worse; default: 0.02.
        seed: Of the resampling.
        project: Default: the project around the current folder.
        warn: Told what `load` tells.

    Raises:
        UsageError: A rule is none, or needs a baseline where there is none.
        DataError: A file cannot be used.
    """
    from harness.gating import gate_run

    loaded = load(name, project, warn)
    path = None if file is None else Path(file)
    return gate_run(loaded.stored, loaded.project, rules, path, against=against, margin=margin, seed=seed)


def import_predictions(
    file: str | Path,
    *,
    dataset: str | Path,
    name: str,
    split: str | None = None,
    threshold: float | None = None,
    format: str | None = None,  # noqa: A002 - the option's word, as on the command line
    column: str | None = None,
    id: str | None = None,  # noqa: A002 - the column's word, as on the command line
    model: str | None = None,
    notes: str = "",
    partial: bool = False,
    final: bool = False,
    reason: str | None = None,
    warn: Callable[[str], None] = lambda _: None,
    project: Project | None = None,
) -> Imported:
    """Make a run of a file of predictions from any tool; its `run` stands in every table by its name.

    Args:
        file: CSV, TSV, JSONL or Parquet: one row a sample, found by id.
        dataset: The dataset's YAML file.
        name: What the run is called; not the name of a prompt version.
        split: Default: the dataset's default split.
        threshold: From which probability on a label is present; default: 0.5, or what the file says in labels.
        format: labels, vector, columns or scores; default: found out.
        column: Where the labels, vectors or scores are; default: found out.
        id: The column of ids; default: `id`, else ids that come from `text`.
        model: Who made the predictions, for people.
        notes: For people.
        partial: Leave samples without a prediction out of the run; else they count as failures.
        final: Look at a locked split; the look is logged in `runs/holdout.jsonl`.
        reason: Why, for that log.
        warn: Called with what a person should know.
        project: Default: the project around the dataset's file.

    Raises:
        UsageError: The name, the threshold or the format cannot be, or the split is locked and `final` is not said.
        DataError: The file or the dataset has problems; all of them are told.
    """
    from harness.importing import import_file
    from harness.predictionlayout import SHAPES, Reading

    if format is not None and format not in SHAPES:
        raise unknown_word("format", format, SHAPES)
    path = Path(dataset)
    where = project or find_project(path)
    log = holdout.look_outside(path, where, split, "import", final=final, reason=reason, warn=warn)
    imported = import_file(
        Path(file),
        path,
        where,
        name=name,
        split=split,
        reading=Reading(cast("Shape | None", format), column, id, threshold),
        model=model,
        notes=notes,
        partial=partial,
        warn=warn,
    )
    log([imported.run])
    return imported


def baseline(
    dataset: str | Path,
    *,
    split: str | None = None,
    seed: int = 0,
    folds: int = 5,
    final: bool = False,
    reason: str | None = None,
    warn: Callable[[str], None] = lambda _: None,
    project: Project | None = None,
) -> tuple[Run, Run]:
    """Make the runs `majority` and `tfidf`, which a prompt must beat, and return them.

    Args:
        dataset: The dataset's YAML file.
        split: Default: the dataset's default split.
        seed: Decides which sample is in which fold.
        folds: Parts of the cross-validation.
        final: Look at a locked split; the looks are logged in `runs/holdout.jsonl`.
        reason: Why, for that log.
        warn: Called with what a person should know.
        project: Default: the project around the dataset's file.

    Raises:
        UsageError: The folds or the seed cannot be, a prompt has a baseline's name, or the split is locked and `final` is
            not said.
        DataError: The dataset has problems, or too few samples with gold labels.
    """
    from harness.baselines import make_baselines

    path = Path(dataset)
    where = project or find_project(path)
    log = holdout.look_outside(path, where, split, "baseline", final=final, reason=reason, warn=warn)
    majority, tfidf = make_baselines(path, where, split=split, seed=seed, folds=folds, warn=warn)
    log([majority, tfidf])
    return Run(majority, where), Run(tfidf, where)


__all__ = [
    "ComparisonResult",
    "Run",
    "baseline",
    "calibrate",
    "compare",
    "exceptions",
    "gate",
    "import_predictions",
    "label",
    "load",
    "plan_run",
    "resume",
    "run",
    "score",
    "start",
]
