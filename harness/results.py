"""Runs and comparisons as tables: what the Python API returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import DataError, UsageError, did_you_mean, listing
from harness.failures import KINDS, SORTS, Failure, find_failures
from harness.project import Project
from harness.records import FailureKind
from harness.runnames import find_run
from harness.store import StoredRun

if TYPE_CHECKING:
    import pandas as pd

    from harness.callerrors import Failing
    from harness.comparison import ComparedRun, Comparison
    from harness.passmeasuring import MeasuredPass, MeasuredPasses
    from harness.reach import Reach
    from harness.scoring import Scores
    from harness.versions import ComparedRuns
    from harness.withoutpasses import Without


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
        """All scores as a value.

        Raises:
            DataError: The run has none, because its samples are unlabelled.
        """
        from harness.scoring import Scores

        self._check_gold()
        return Scores.from_json(self.stored.scores)

    @cached_property
    def call_errors(self) -> tuple[Failing, ...]:
        """How often calls failed in which way, the commonest first; the log is not read where none failed."""
        return self.stored.call_errors if self.result.failures[FailureKind.CALL_ERROR] else ()

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
    def probabilities(self) -> pd.DataFrame:
        """One row a label: n (cells with a probability), support, auroc, average_precision, brier_loss.

        Raises:
            DataError: The run has no probabilities.
        """
        import pandas as pd

        from harness.calibrating import NEEDED

        found = self.result.probabilities
        if found is None:
            raise DataError(f"run {self.id}: has no probabilities. {NEEDED}")
        return pd.DataFrame([asdict(row) for row in found.labels]).set_index("label")

    @property
    def predictions(self) -> pd.DataFrame:
        """One row a prediction: id, repeat, gold, labels, unanswered, failure, off_list, fields."""
        import pandas as pd

        from harness.report.files import prediction_rows

        return pd.DataFrame(prediction_rows(self.stored))

    @cached_property
    def measured(self) -> MeasuredPasses | None:
        """What the later passes are worth, as a value; None for a run of one pass, without a prompt, or without gold."""
        from harness.passmeasuring import measure_passes

        self._check_gold()
        return measure_passes(self.stored, self.project.settings.prices)

    @cached_property
    def reach(self) -> Reach | None:
        """What gates and candidates left to later passes, as a value; None where the prompt has neither, or none made it."""
        from harness.reaching import reach_of

        self._check_gold()
        return reach_of(self.stored, self.project)

    @property
    def passes(self) -> pd.DataFrame:
        """One row for each later pass that answers what an earlier one has answered; `measured` has all that is known.

        Columns: how, when, worth, sent, changed, corrected, broken, net, precision, recall, base_rate, calls, tokens,
        usd, gain (right cells for 100 samples, with it against without), low, high, p, macro_f1 (its change with it).
        """
        import pandas as pd

        columns = ["pass", *PASS_COLUMNS]
        rows = [] if self.measured is None else [_pass_row(each) for each in self.measured.passes]
        return pd.DataFrame(rows, columns=columns).set_index("pass")

    def without(self, *passes: str) -> RunWithout:
        """Return what the run would have answered without some of its passes, from stored completions alone.

        Raises:
            UsageError: A name is no pass of the run, or without these passes some label has no answer.
            DataError: No prompt made the run, or it has no gold.
        """
        from harness.withoutpasses import without_passes

        self._check_gold()
        return RunWithout(self, without_passes(self.stored, passes))

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
        self._check_gold()
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
            raise unknown_word("kind", kind, KINDS)
        if sort not in SORTS:
            raise unknown_word("sort", sort, SORTS)
        among = None if regressed_from is None else self._regressed(regressed_from, found)
        return find_failures(self.stored, label=found, kind=kind, among=among, sort=sort)

    def _check_gold(self) -> None:
        if not self.stored.scores:
            raise DataError(
                f"run {self.id}: has no scores, because its samples are unlabelled. Show one: harness show {self.id} ID"
            )

    def _regressed(self, name: str, label: str | None) -> set[str]:
        """Return the ids of the samples that were right in another run: exactly, or in one label."""
        before = find_run(self.project.runs, name)
        from harness.versions import compare_runs

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


PASS_COLUMNS = (
    "how", "when", "worth", "sent", "changed", "corrected", "broken", "net", "precision", "recall", "base_rate",
    "calls", "tokens", "usd", "gain", "low", "high", "p", "macro_f1",
)  # fmt: skip
"""What `Run.passes` has of a pass beside its name."""


def _pass_row(each: MeasuredPass) -> dict[str, Any]:
    effect, gain, macro = each.effect, each.gain, each.judged.get("macro_f1")
    return {
        "pass": each.name,
        **{name: getattr(each, name) for name in ("how", "when", "worth")},
        **{name: getattr(effect, name) for name in ("changed", "corrected", "broken", "net")},
        **{name: getattr(effect.trigger, name) for name in ("sent", "precision", "recall", "base_rate")},
        **{name: getattr(each.price, name) for name in ("calls", "tokens", "usd")},
        **{name: getattr(gain, name) for name in ("low", "high", "p")},
        "gain": gain.value,
        "macro_f1": 0.0 if macro is None else macro.delta,
    }


class RunWithout:
    """What a run would have answered without some of its passes. Nothing of it is on disk.

    Attributes:
        run: The run as it is.
        answers: What it would have answered, and how many calls that would need which were never made.
    """

    def __init__(self, run: Run, answers: Without) -> None:
        self.run = run
        self.answers = answers

    def __repr__(self) -> str:
        return f"<Run {self.run.id} without {', '.join(self.answers.names)}: {self.answers.missing} calls missing>"

    @property
    def result(self) -> Scores:
        """All scores as a value; calls that were never made count as call errors."""
        return self.answers.scores

    @property
    def headline(self) -> dict[str, float]:
        """Macro F1, micro F1, subset accuracy and coverage, each from 0 to 1; NaN where it is not defined."""
        return self.result.headline

    @cached_property
    def comparison(self) -> ComparisonResult:
        """What would change from the run as it is, the baseline, as `harness.compare` has it of two runs."""
        from harness.comparison import RunPredictions, compare

        stored, answers = self.run.stored, self.answers
        names = self.run.version, f"{self.run.version} without {', '.join(answers.names)}"
        predictions = stored.predictions, answers.predictions
        pairs = [RunPredictions(*pair) for pair in zip(names, predictions, strict=True)]
        compared = compare(stored.manifest.space, answers.gold, pairs)
        from harness.versions import ComparedRuns

        return ComparisonResult(ComparedRuns((stored, stored), names, compared, ()))


class ComparisonResult:
    """Runs side by side, as tables. The first is the baseline; "run" is each later one.

    Attributes:
        compared: The comparison as a value.
    """

    def __init__(self, compared: ComparedRuns) -> None:
        self.compared = compared

    @property
    def verdict(self) -> str:
        """What can be said of each later run, a line each: better, worse, no worse or inconclusive, and why."""
        from harness.report.judged import verdict_text

        return "\n".join(verdict_text(self.compared, at) for at in range(len(self.compared.comparison.diffs)))

    @property
    def headline(self) -> pd.DataFrame:
        """One row a run: macro_f1, micro_f1, subset_accuracy, coverage, over the common samples; each with its interval.

        The ends are called like the score, with _low and _high.
        """
        import pandas as pd

        rows = {}
        for run, judged in zip(self.compared.comparison.runs, self.compared.judgement.runs, strict=True):
            rows[run.name] = dict(run.scores.headline)
            for name in run.scores.headline:
                rows[run.name] |= {f"{name}_{end}": getattr(judged.averages[name], end) for end in ("low", "high")}
        return pd.DataFrame.from_dict(rows, orient="index")

    @property
    def differences(self) -> pd.DataFrame:
        """One row a (later run, average): before, after, delta, and what is in `significance.Difference`."""
        import pandas as pd

        first, *later = self.compared.comparison.runs
        rows = [
            {
                "run": run.name,
                "score": name,
                "before": _average(first, name),
                "after": _average(run, name),
                **asdict(difference),
            }
            for run, judged in zip(later, self.compared.judgement.diffs, strict=True)
            for name, difference in judged.averages.items()
        ]
        return pd.DataFrame(rows)

    @property
    def labels(self) -> pd.DataFrame:
        """One row a (later run, label), as `label_rows` has them."""
        import pandas as pd

        return pd.DataFrame(label_rows(self.compared, self.compared.comparison))

    @property
    def samples(self) -> pd.DataFrame:
        """One row a sample that changed: run, sample, kind, gold, before, after, flips by label, unstable labels.

        Kinds are regressed, fixed and churned; unstable labels change by themselves too, from repeat to repeat.
        """
        import pandas as pd

        ordered = self.compared.comparison.space.ordered
        rows = [
            {
                "run": diff.after,
                "sample": each.sample,
                "kind": each.kind,
                "gold": ordered(each.gold),
                "before": ordered(each.before.labels),
                "after": ordered(each.after.labels),
                "flips": dict(each.flips),
                "unstable": ordered(each.unstable),
            }
            for diff in self.compared.comparison.diffs
            for each in (*diff.regressed, *diff.fixed, *diff.churned)
        ]
        columns = ["run", "sample", "kind", "gold", "before", "after", "flips", "unstable"]
        return pd.DataFrame(rows, columns=columns)

    @property
    def errors_moved(self) -> pd.DataFrame:
        """One row a confusion whose number changed: run, missed, predicted (None where nothing was), before, after."""
        import pandas as pd

        rows = [
            {"run": diff.after, **asdict(each)} for diff in self.compared.comparison.diffs for each in diff.errors_moved
        ]
        return pd.DataFrame(rows, columns=["run", "missed", "predicted", "before", "after"])


def _average(run: ComparedRun, name: str) -> float:
    return run.scores.coverage if name == "coverage" else float(getattr(run.scores.averages, name))


def label_rows(compared: ComparedRuns, shown: Comparison) -> list[dict[str, Any]]:
    """Return one row a (later run, label) with all its statistics as plain columns; NaN where one is not defined.

    Args:
        compared: The comparison, whole.
        shown: What of it is looked at.
    """
    place = compared.comparison.space.index
    rows = []
    for diff, judged in zip(shown.diffs, compared.judgement.diffs, strict=True):
        for label in diff.labels:
            difference = judged.labels[place[label.label]]
            row = {"run": diff.after, **asdict(label)} | asdict(difference)
            flips = row.pop("flips")
            rows.append(row | flips)
    return rows


def unknown_word(option: str, word: str, known: Sequence[str]) -> UsageError:
    """Return the error for a word that an option does not know."""
    return UsageError(f"--{option} '{word}': must be one of {listing(known)}.{did_you_mean(word, known)}")
