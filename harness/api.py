"""The Python API: what the commands do, as functions that take values and return runs and tables.

run = harness.run("prompts/v3.yaml", limit=50)
run.scores                    # a DataFrame: one row a label
run.failures(label="price")   # a DataFrame: one row a wrong sample
harness.compare("v2", "v3").labels
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from harness import execution, planning, rescoring
from harness.errors import DataError, UsageError, did_you_mean, listing
from harness.failures import KINDS, SORTS, Failure, find_failures
from harness.project import Project, find_project
from harness.promptfile import load_task
from harness.records import FailureKind
from harness.selection import Selection
from harness.store import StoredRun, find_run
from harness.versions import ComparedRuns, compare_runs

if TYPE_CHECKING:
    import pandas as pd

    from harness.labelling import Labelled
    from harness.runner import Progress
    from harness.scoring import Scores


class Run:
    """A run on disk, with its results as tables.

    Attributes:
        stored: The run as it is stored.
    """

    def __init__(self, stored: StoredRun, project: Project) -> None:
        self.stored = stored
        self.project = project

    def __repr__(self) -> str:
        return f"<Run {self.id}: {self.stored.manifest.state}, {self.stored.manifest.n_samples} samples>"

    @property
    def id(self) -> str:
        """The run's id: the name of its folder."""
        return self.stored.manifest.id

    @property
    def version(self) -> str:
        """The prompt version that was run."""
        return self.stored.manifest.version

    @property
    def state(self) -> str:
        """complete, incomplete (calls failed), interrupted, stopped or running."""
        return self.stored.manifest.state

    @property
    def path(self) -> Path:
        """The run's folder."""
        return self.stored.path

    @cached_property
    def result(self) -> Scores:
        """All scores as a value."""
        from harness.scoring import Scores

        return Scores.from_json(self.stored.scores)

    @property
    def headline(self) -> dict[str, float]:
        """Macro F1, micro F1, subset accuracy and coverage, each from 0 to 1; NaN where it is not defined."""
        return self.result.headline

    @property
    def scores(self) -> pd.DataFrame:
        """One row a label, in label-space order: support, predicted, tp, fp, fn, precision, recall, f1, unanswered."""
        import pandas as pd

        return pd.DataFrame([asdict(row) for row in self.result.labels]).set_index("label")

    @property
    def predictions(self) -> pd.DataFrame:
        """One row a prediction: id, repeat, gold, labels, unanswered, failure, off_list, fields."""
        import pandas as pd

        from harness.report.files import prediction_rows

        return pd.DataFrame(prediction_rows(self.stored))

    def failures(
        self, label: str | None = None, kind: str | None = None, regressed_from: str | None = None, sort: str = "order"
    ) -> pd.DataFrame:
        """Return one row a prediction that is not exactly right; see `find` for the arguments."""
        import pandas as pd

        from harness.report.listing import failure_row

        rows = [failure_row(each) for each in self.find(label, kind, regressed_from, sort)]
        columns = ["id", "repeat", "kind", "gold", "predicted", "missed", "extra", "off_list", "why", "inputs", "raw"]
        return pd.DataFrame(rows, columns=columns)

    def find(
        self, label: str | None = None, kind: str | None = None, regressed_from: str | None = None, sort: str = "order"
    ) -> list[Failure]:
        """Return the predictions that are not exactly right.

        Args:
            label: Only where this label is wrong.
            kind: fp, fn, wrong, call_error, refusal, truncated or unparseable.
            regressed_from: Name of a run: only samples that were exactly right there; with a label, those whose cell
                of that label was right there.
            sort: order, errors or length.

        Raises:
            UsageError: There is no such label, kind or order.
        """
        space = self.stored.manifest.space
        found = None
        if label is not None:
            found = space.find(label)
            if found is None:
                raise UsageError(
                    f"--label '{label}': must be a label of {self.stored.manifest.dataset}: {listing(space.names)}."
                    f"{did_you_mean(label, space.names)}"
                )
        if kind is not None and kind not in KINDS:
            raise _unknown("kind", kind, KINDS)
        if sort not in SORTS:
            raise _unknown("sort", sort, SORTS)
        among = None if regressed_from is None else self._regressed(regressed_from, found)
        return find_failures(self.stored, label=found, kind=kind, among=among, sort=sort)

    def _regressed(self, name: str, label: str | None) -> set[str]:
        """Return the ids of the samples that were right in another run: exactly, or in one label."""
        before = find_run(self.project.runs, name)
        comparison = compare_runs([before, self.stored], self.project).comparison
        if label is None:
            return {change.sample for change in comparison.diffs[0].regressed}
        common = set(comparison.samples)
        return {
            each.sample
            for each in before.predictions
            if each.repeat == 0
            and each.sample in common
            and label not in each.unanswered
            and (label in each.labels) == (label in (self.stored.gold.get(each.sample) or ()))
        }


class ComparisonResult:
    """Runs side by side, as tables.

    Attributes:
        compared: The comparison as a value.
    """

    def __init__(self, compared: ComparedRuns) -> None:
        self.compared = compared

    @property
    def headline(self) -> pd.DataFrame:
        """One row a run: macro_f1, micro_f1, subset_accuracy, coverage, over the common samples."""
        import pandas as pd

        rows = {run.name: run.scores.headline for run in self.compared.comparison.runs}
        return pd.DataFrame.from_dict(rows, orient="index")

    @property
    def labels(self) -> pd.DataFrame:
        """One row a (later run, label): support, f1_before, f1_after, delta, and cells regressed and fixed."""
        import pandas as pd

        rows = [
            {"run": diff.after, **asdict(label)} for diff in self.compared.comparison.diffs for label in diff.labels
        ]
        return pd.DataFrame(rows)

    @property
    def samples(self) -> pd.DataFrame:
        """One row a sample that changed: run, sample, kind (regressed, fixed, churned), gold, before, after."""
        import pandas as pd

        rows = [
            {
                "run": diff.after,
                "sample": each.sample,
                "kind": each.kind,
                "gold": self.compared.comparison.space.ordered(each.gold),
                "before": self.compared.comparison.space.ordered(each.before.labels),
                "after": self.compared.comparison.space.ordered(each.after.labels),
            }
            for diff in self.compared.comparison.diffs
            for each in (*diff.regressed, *diff.fixed, *diff.churned)
        ]
        return pd.DataFrame(rows, columns=["run", "sample", "kind", "gold", "before", "after"])


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
    progress: Callable[[Progress], None] = lambda _: None,
    warn: Callable[[str], None] = lambda _: None,
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
        concurrency: Calls under way at once.
        cache: False makes every call anew.
        tag: A word to find the run by.
        variables: Template variables.
        progress: Called with a `Progress` after every call and prediction.
        warn: Called with what a person should know.
        project: Default: the project around the prompt file.

    Raises:
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
    stored = execution.start(plan, where, concurrency=concurrency, use_cache=cache, progress=progress, warn=warn)
    return Run(stored, where)


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
    for warning in task.samples.warnings:
        warn(warning)
    return planning.plan_run(task, split, selection or Selection(), repeat, tag), where


def resume(
    name: str,
    *,
    concurrency: int | None = None,
    cache: bool = True,
    retry: Iterable[str] = (),
    progress: Callable[[Progress], None] = lambda _: None,
    warn: Callable[[str], None] = lambda _: None,
    project: Project | None = None,
) -> Run:
    """Make the calls that a run still misses, with what it froze, and return it finished.

    Args:
        name: Which run: an id, the beginning of one, a path or `latest`.
        concurrency: Calls under way at once.
        cache: False asks anew.
        retry: Failure kinds that are drawn again, past the cache. Other kinds than call_error mark the run.
        progress: Called with a `Progress` after every call and prediction.
        warn: Called with what a person should know.
        project: Default: the project around the current folder.

    Raises:
        UsageError: There is no such failure kind.
        HarnessError: There is no such run, another process writes it, or the model cannot be used.
    """
    where = project or find_project()
    asked = tuple(retry)
    if strange := [kind for kind in asked if kind not in list(FailureKind)]:
        raise _unknown("kind", strange[0], list(FailureKind))
    kinds = frozenset(FailureKind(kind) for kind in asked)
    stored = execution.resume(
        find_run(where.runs, name, any_state=True),
        where,
        concurrency=concurrency,
        use_cache=cache,
        retry=kinds,
        progress=progress,
        warn=warn,
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
    progress: Callable[[Progress], None] = lambda _: None,
    warn: Callable[[str], None] = lambda _: None,
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
        concurrency: Calls under way at once.
        cache: False makes every call anew.
        variables: Template variables.
        force: Replace the new file where it exists.
        progress: Called with a `Progress` after every call and prediction.
        warn: Called with what a person should know.
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
        progress=progress,
        warn=warn,
    )


def load(name: str, project: Project | None = None) -> Run:
    """Return a run by its name: a version, `latest`, an id, the beginning of one, or a path.

    Raises:
        RunNameError: It means no run, or several.
    """
    where = project or find_project()
    return Run(find_run(where.runs, name), where)


def score(name: str, project: Project | None = None) -> rescoring.Rescored:
    """Parse and score a run again from its stored completions, with today's output format, aliases and gold."""
    where = project or find_project()
    return rescoring.rescore(find_run(where.runs, name, any_state=True), where)


def compare(first: str, *others: str, project: Project | None = None) -> ComparisonResult:
    """Return what changed from the first run to each of the others.

    Raises:
        DataError: Fewer than two runs, other label spaces, or no common samples.
    """
    if not others:
        raise DataError(f"compare: must have at least two runs, got one ({first}).")
    where = project or find_project()
    return ComparisonResult(compare_runs([find_run(where.runs, name) for name in (first, *others)], where))


def _unknown(option: str, word: str, known: Sequence[str]) -> UsageError:
    return UsageError(f"--{option} '{word}': must be one of {listing(known)}.{did_you_mean(word, known)}")


__all__ = ["ComparisonResult", "Run", "compare", "label", "load", "plan_run", "resume", "run", "score"]
