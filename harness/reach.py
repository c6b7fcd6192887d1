"""What could still be answered: how much of the gold a gate, or a choice of candidates, leaves to later passes. Pure.

A label whose group was not chosen, or that is no candidate, is asked about no more: what is lost there no later prompt can
win back. So the recall of a choice, an upper bound, stands apart from the errors that were made on what it left open. In
prompts whose later passes ask by sample such a label can be named all the same; that is counted too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.flatprompt import Saving
from harness.plainvalues import to_plain
from harness.prompt import Prompt

ENOUGH = 0.95
"""Share of the gold that a list of candidates should hold; what it lacks is lost before a model is asked."""


@dataclass(frozen=True, slots=True)
class Inside:
    """What became of the cells that a choice left open. Counts of cells are means over the repeats.

    Attributes:
        gold: Gold cells among them: ``found + missed + unanswered``.
        found: Predicted.
        missed: Answered absent.
        wrong: Predicted cells that are not gold.
        recall: ``found / gold``, in [0, 1]; NaN at 0/0.
        precision: ``found / (found + wrong)``; NaN at 0/0.
    """

    gold: float
    found: float
    missed: float
    unanswered: float
    wrong: float
    recall: float
    precision: float


@dataclass(frozen=True, slots=True)
class Bound:
    """Scores of the run, all samples and labels: as they are, or as they would be at most.

    An upper bound takes every cell that was left open as answered and right, and all others as they are.
    """

    macro_recall: float
    micro_recall: float
    macro_f1: float
    micro_f1: float
    subset_accuracy: float


@dataclass(frozen=True, slots=True)
class GroupReach:
    """What a gate does with one group. Counts are means over the repeats.

    Attributes:
        n_labels: Its labels in the gate's scope.
        gold: Gold cells of them.
        open: Those of them that were left open, because the gate chose the group.
        failed: Those of them that were closed because the gate failed.
        recall: ``open / gold``; NaN at 0/0.
        chosen: Samples for which it was chosen.
        right: Those of them that have a gold label of it.
        precision: ``right / chosen``; NaN at 0/0.
    """

    group: str
    n_labels: int
    gold: float
    open: float
    failed: float
    recall: float
    chosen: float
    right: float
    precision: float


@dataclass(frozen=True, slots=True)
class GateReach:
    """What a gate leaves to later passes, over the samples that it was asked about. Counts are means over the repeats.

    Attributes:
        name: The pass.
        samples: Samples that it was asked about.
        n_labels: Labels in its scope.
        gold: Gold cells in its scope: ``open + not_chosen + failed``.
        open: Of groups that it chose.
        not_chosen: Of groups that it did not choose.
        failed: Of groups for which it gave no answer.
        recall: Gate recall: ``open / gold``, in [0, 1]; NaN at 0/0.
        groups_chosen: Groups that it chose, the mean over the samples; NaN without samples.
        groups: In label-space order.
        inside: Errors in the groups that it chose.
        repaired: Gold cells of the others that a later pass predicted all the same.
        wrong_outside: Predicted cells of the others that are not gold.
        bound: With every cell of the chosen groups right.
    """

    name: str
    samples: float
    n_labels: int
    gold: float
    open: float
    not_chosen: float
    failed: float
    recall: float
    groups_chosen: float
    groups: tuple[GroupReach, ...]
    inside: Inside
    repaired: float
    wrong_outside: float
    bound: Bound

    @property
    def lost(self) -> float:
        """Gold cells that it closed."""
        return self.gold - self.open


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A label and its gold cells, those among them that it was no candidate for, and their share."""

    label: str
    gold: float
    left_out: float
    share: float


@dataclass(frozen=True, slots=True)
class CandidateReach:
    """What a choice of candidates leaves to its pass, over the samples that it was made for. Counts are means over repeats.

    A pass with a `when` counts where it was asked; the choice itself does not depend on the repeat.

    Attributes:
        name: The pass.
        k: Candidates a sample.
        by: What nearness was measured with.
        samples: Samples that count.
        n_labels: Labels in its scope, of which it chooses.
        gold: Gold cells in its scope.
        open: Those of them that are candidates.
        recall: Candidate recall: ``open / gold``, in [0, 1]; NaN at 0/0.
        left_out: The labels that are not always candidates where they are gold, most cells first.
        recall_at: Recall for one candidate, for two, …, for all; empty where the ranking is not known: vectors that the
            cache has no more, or candidates that an older version chose.
        inside: Errors among the candidates.
        repaired: Gold cells that are no candidates and were predicted all the same, by another pass.
        wrong_outside: Predicted cells that are neither candidates nor gold.
        bound: With every candidate right.
    """

    name: str
    k: int
    by: str
    samples: float
    n_labels: int
    gold: float
    open: float
    recall: float
    left_out: tuple[LeftOut, ...]
    recall_at: tuple[float, ...]
    inside: Inside
    repaired: float
    wrong_outside: float
    bound: Bound

    @property
    def lost(self) -> float:
        """Gold cells that are no candidates."""
        return self.gold - self.open

    @property
    def enough(self) -> int | None:
        """The fewest candidates that hold `ENOUGH` of the gold of these samples; None where that is not known."""
        return next((at for at, recall in enumerate(self.recall_at, start=1) if recall >= ENOUGH), None)


@dataclass(frozen=True, slots=True)
class Reach:
    """What the choices of a run leave to its later passes.

    Attributes:
        n_repeats: Repeats that counts are means over.
        now: The scores as they are.
        saving: Prompt tokens against the flat prompt; None where that cannot be asked with the templates of the prompt.
        reread: (sample, repeat) pairs that `harness score` has read otherwise since; here the answers are read as the
            run's own prompt says.
    """

    n_repeats: int
    now: Bound
    gates: tuple[GateReach, ...]
    candidates: tuple[CandidateReach, ...]
    saving: Saving | None
    reread: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the numbers as plain values, NaN as None."""
        plain: dict[str, Any] = to_plain(self)
        for row, each in zip(plain["candidates"], self.candidates, strict=True):
            row["enough"] = each.enough
        if self.saving is not None:
            plain["saving"] |= to_plain(self.saving.totals)
        return plain


def chooses(prompt: Prompt) -> bool:
    """Return whether a prompt narrows what its passes ask: by a gate, or by candidates."""
    return any(each.chooses_groups or each.candidates is not None for each in prompt.passes)
