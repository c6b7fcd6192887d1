"""What the verdict of a later run rests on: all common samples, or those alone that no search saw.

A version that was drafted from the errors on some samples has an advantage on these. Against a run that does not come
from the same search it is therefore judged on the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.comparison import Comparison, Diff, RunPredictions, compare
from harness.plainvalues import to_plain
from harness.searched import Searched
from harness.significance import JudgedDiff, Judgement, cautions_of, judge, judge_apart

Searches = Sequence[Searched | None]
"""Of each run of a comparison the search that it comes from, where that was on the run's split."""


@dataclass(frozen=True, slots=True, eq=False)
class Grounds:
    """What the verdict of a later run against the baseline rests on.

    Attributes:
        samples: Ids of the samples that count.
        flattered: Names of the two runs, of the one or of both, that come from a search which saw other common samples;
            those are left out here. Empty where all common samples count.
        diff: What changed, on these samples; None where there are none.
        judged: How real that is; corrected for the other later runs, each on samples of its own. None without samples.
        cautions: Why the numbers here are rough, beside what is said of all common samples.
    """

    samples: tuple[str, ...]
    flattered: tuple[str, ...]
    diff: Diff | None
    judged: JudgedDiff | None
    cautions: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values, NaN as None; what changed is in the comparison."""
        return {
            "n_samples": len(self.samples),
            "samples": list(self.samples),
            "flattered": list(self.flattered),
            "judgement": to_plain(self.judged),
            "cautions": list(self.cautions),
        }


def grounds_of(comparison: Comparison, judgement: Judgement, searches: Searches) -> tuple[Grounds, ...]:
    """Return what the verdict of each later run rests on.

    Args:
        comparison: The runs on all common samples.
        judgement: What can be said of it.
        searches: Of each run, see `Searches`.
    """
    names = [run.name for run in comparison.runs]
    apart = [
        [] if _alike(searches[0], mine) else [at for at in (0, later) if searches[at] is not None]
        for later, mine in enumerate(searches[1:], start=1)
    ]
    if not any(apart):
        pairs = zip(comparison.diffs, judgement.diffs, strict=True)
        return tuple(Grounds(comparison.samples, (), diff, judged) for diff, judged in pairs)
    on = [_pair(comparison, at, [searches[each] for each in by]) for at, by in enumerate(apart, start=1)]
    judged = iter(judge_apart([each for each in on if each.n_common], judgement.settings))
    return tuple(
        Grounds(
            samples=each.samples,
            flattered=tuple(names[at] for at in by),
            diff=each.diffs[0] if each.n_common else None,
            judged=next(judged) if each.n_common else None,
            cautions=_more_cautions(each, judgement) if by and each.n_common else (),
        )
        for each, by in zip(on, apart, strict=True)
    )


def with_sure_best(judgement: Judgement, comparison: Comparison, searches: Searches) -> Judgement:
    """Return the judgement without a best run that is not the best on the samples too that no search saw.

    These are the same for all runs; where all come from one search, or none does, nothing changes.
    """
    if all(_alike(searches[0], each) for each in searches):
        return judgement
    unseen = _restricted(comparison, searches)
    sure = judge(unseen, judgement.settings) if unseen.n_common else None
    labels = [None] * len(judgement.best_labels) if sure is None else sure.best_labels
    return replace(
        judgement,
        best={
            name: best if sure is not None and sure.best[name] == best else None
            for name, best in judgement.best.items()
        },
        best_labels=tuple(
            best if best == other else None for best, other in zip(judgement.best_labels, labels, strict=True)
        ),
    )


def _alike(before: Searched | None, after: Searched | None) -> bool:
    """Return whether neither of two runs has an advantage: both come from one search, or from none."""
    return after is None if before is None else before.is_same_as(after)


def _pair(comparison: Comparison, at: int, searches: Searches) -> Comparison:
    """Return the baseline and a later run on the samples that none of these searches saw."""
    two = replace(comparison, runs=(comparison.runs[0], comparison.runs[at]), diffs=comparison.diffs[at - 1 : at])
    return _restricted(two, searches) if searches else two


def _restricted(comparison: Comparison, searches: Searches) -> Comparison:
    """Return the comparison on the samples that none of these searches saw."""
    known = [each for each in searches if each is not None]
    samples = [each for each in comparison.runs[0].plain.samples if not any(one.saw(each.id) for one in known)]
    kept = {each.id for each in samples}
    return compare(
        comparison.space,
        samples,
        [
            RunPredictions(run.name, [said for rows in run.repeats for said in rows.predictions if said.sample in kept])
            for run in comparison.runs
        ],
    )


def _more_cautions(unseen: Comparison, judgement: Judgement) -> tuple[str, ...]:
    """Return why the numbers on unseen samples are rough, where that is not said of all samples."""
    return tuple(each for each in cautions_of(unseen, judgement.settings) if each not in judgement.cautions)
