"""Counts what gates and candidates leave to later passes, sample by sample; `harness.reach` says what. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from harness.flatprompt import Asked, Tokens
from harness.labelspace import LabelSpace
from harness.metrics import NAN
from harness.prompt import Pass, Prompt
from harness.reach import Bound, CandidateReach, GateReach, GroupReach, Inside, LeftOut, Reach
from harness.records import ParseFailure, Prediction, Sample
from harness.scoring import Scores, score

Ranks = Mapping[str, Mapping[str, Mapping[str, int]]]
"""By pass, sample and gold label its place among all labels of the pass's scope, the nearest 0."""


def reach(prompt: Prompt, space: LabelSpace, asked: Iterable[Asked], n_repeats: int, ranks: Ranks) -> Reach:
    """Return what the choices of a run leave to its later passes.

    Args:
        prompt: With a gate or candidates.
        space: The label space.
        asked: Every sample in every repeat: samples with gold labels, and candidates where a pass has some.
        n_repeats: How many repeats there are.
        ranks: For passes with candidates whose ranking is known; a sample without gold in the scope has no entries.
    """
    gates = [_Gate(each, space) for each in prompt.passes if each.chooses_groups]
    offers = [_Offer(each, space, ranks.get(each.name)) for each in prompt.passes if each.candidates is not None]
    tokens = Tokens(prompt, space)
    samples: dict[str, Sample] = {}
    said: list[Prediction] = []
    for one in asked:
        samples[one.sample.id] = one.sample
        said.append(one.prediction)
        for gate in gates:
            gate.take(one)
        for offer in offers:
            offer.take(one)
        tokens.take(one)
    known = list(samples.values())

    def bound(predictions: Sequence[Prediction]) -> Bound:
        return _bound(score(space, known, [replace(each, probabilities={}, mass={}) for each in predictions]))

    return Reach(
        n_repeats=n_repeats,
        now=bound(said),
        gates=tuple(gate.result(n_repeats, bound(gate.cells.at_most)) for gate in gates),
        candidates=tuple(offer.result(n_repeats, bound(offer.cells.at_most)) for offer in offers),
        saving=tokens.saving(),
    )


def _bound(scores: Scores) -> Bound:
    found = scores.averages
    return Bound(
        found.macro_recall, found.micro_recall, found.macro_f1, found.micro_f1, scores.headline["subset_accuracy"]
    )


def _share(part: float, whole: float) -> float:
    return part / whole if whole else NAN


class _Cells:
    """Counts the cells that a choice left open and the others, and keeps the predictions as they could be at most."""

    def __init__(self) -> None:
        self.counts = Counter[str]()
        self.at_most: list[Prediction] = []

    def take(self, prediction: Prediction, gold: frozenset[str], scope: frozenset[str], left: frozenset[str]) -> None:
        """Count one sample: its gold labels, those in the scope of the choice, and those that it left open."""
        open_gold = gold & left
        closed = scope - left
        self.counts["gold"] += len(open_gold)
        self.counts["found"] += len(open_gold & prediction.labels)
        self.counts["unanswered"] += len(open_gold & prediction.unanswered)
        self.counts["wrong"] += len((prediction.labels & left) - gold)
        self.counts["repaired"] += len(prediction.labels & closed & gold)
        self.counts["wrong outside"] += len((prediction.labels & closed) - gold)
        unanswered = prediction.unanswered - left
        self.at_most.append(
            replace(
                prediction,
                labels=(prediction.labels - left) | open_gold,
                unanswered=unanswered,
                failure=prediction.failure if unanswered else None,
            )
        )

    def inside(self, n_repeats: int) -> Inside:
        """Return what became of the open cells."""
        counts = self.counts
        missed = counts["gold"] - counts["found"] - counts["unanswered"]
        return Inside(
            gold=counts["gold"] / n_repeats,
            found=counts["found"] / n_repeats,
            missed=missed / n_repeats,
            unanswered=counts["unanswered"] / n_repeats,
            wrong=counts["wrong"] / n_repeats,
            recall=_share(counts["found"], counts["gold"]),
            precision=_share(counts["found"], counts["found"] + counts["wrong"]),
        )


class _Gate:
    """Counts what a gate leaves open."""

    def __init__(self, each: Pass, space: LabelSpace) -> None:
        self.name = each.name
        self.cells = _Cells()
        self._group_of = space.group_of
        names = {name for unit in each.units(space) for name in unit.labels}
        self._members = {group: frozenset(of) & names for group, of in space.groups.items() if not names.isdisjoint(of)}
        self._scope = frozenset(names)
        self._samples = 0
        self._by_group = {group: Counter[str]() for group in self._members}

    def take(self, one: Asked) -> None:
        """Count one sample."""
        step = one.steps.get(self.name)
        gold = one.sample.labels or frozenset()
        if step is None:  # what was not asked closes nothing
            self.cells.at_most.append(one.prediction)
            return
        self._samples += 1
        failed = set[str]()
        for unit, result in zip(step.units, step.results, strict=True):
            about = {self._group_of[name] for name in unit.labels}
            failed |= about if isinstance(result, ParseFailure) else about & result.refused
        left = self._scope - step.closed
        self._count(gold, left, failed)
        self.cells.take(one.prediction, gold, self._scope, left)

    def _count(self, gold: frozenset[str], left: frozenset[str], failed: Collection[str]) -> None:
        for group, members in self._members.items():
            counts, of_gold = self._by_group[group], gold & members
            is_open = not left.isdisjoint(members)
            counts["gold"] += len(of_gold)
            counts["open"] += len(of_gold & left)
            counts["chosen"] += is_open
            counts["right"] += is_open and bool(of_gold)
            if group in failed:  # an earlier gate's answer may stand in for it
                counts["failed"] += len(of_gold - left)

    def result(self, n_repeats: int, bound: Bound) -> GateReach:
        """Return what it left open."""
        total = sum(self._by_group.values(), Counter[str]())
        groups = [
            GroupReach(
                group=group,
                n_labels=len(self._members[group]),
                gold=counts["gold"] / n_repeats,
                open=counts["open"] / n_repeats,
                failed=counts["failed"] / n_repeats,
                recall=_share(counts["open"], counts["gold"]),
                chosen=counts["chosen"] / n_repeats,
                right=counts["right"] / n_repeats,
                precision=_share(counts["right"], counts["chosen"]),
            )
            for group, counts in self._by_group.items()
        ]
        return GateReach(
            name=self.name,
            samples=self._samples / n_repeats,
            n_labels=len(self._scope),
            gold=total["gold"] / n_repeats,
            open=total["open"] / n_repeats,
            not_chosen=(total["gold"] - total["open"] - total["failed"]) / n_repeats,
            failed=total["failed"] / n_repeats,
            recall=_share(total["open"], total["gold"]),
            groups_chosen=_share(total["chosen"], self._samples),
            groups=tuple(groups),
            inside=self.cells.inside(n_repeats),
            repaired=self.cells.counts["repaired"] / n_repeats,
            wrong_outside=self.cells.counts["wrong outside"] / n_repeats,
            bound=bound,
        )


class _Offer:
    """Counts what a choice of candidates leaves open."""

    def __init__(self, each: Pass, space: LabelSpace, ranks: Mapping[str, Mapping[str, int]] | None) -> None:
        self.cells = _Cells()
        self._each = each
        self._scope = frozenset(each.inside(space))
        self._order = each.inside(space)
        self._ranks = ranks
        self._samples = 0
        self._gold, self._open, self._at = Counter[str](), Counter[str](), Counter[int]()

    def take(self, one: Asked) -> None:
        """Count one sample."""
        if self._each.when is not None and self._each.name not in one.steps:
            self.cells.at_most.append(one.prediction)
            return
        self._samples += 1
        gold = one.sample.labels or frozenset()
        left = frozenset(one.sample.candidates[self._each.name])
        self._gold.update(gold & self._scope)
        self._open.update(gold & left)
        if self._ranks is not None:
            places = self._ranks.get(one.sample.id, {})
            self._at.update(places[name] for name in gold & self._scope)
        self.cells.take(one.prediction, gold, self._scope, left)

    def result(self, n_repeats: int, bound: Bound) -> CandidateReach:
        """Return what it left open."""
        how = self._each.candidates
        assert how is not None  # noqa: S101 - only such passes are counted
        gold, held = self._gold.total(), self._open.total()
        lost = {name: self._gold[name] - self._open[name] for name in self._order}
        return CandidateReach(
            name=self._each.name,
            k=how.k,
            by=how.by,
            samples=self._samples / n_repeats,
            n_labels=len(self._order),
            gold=gold / n_repeats,
            open=held / n_repeats,
            recall=_share(held, gold),
            left_out=tuple(
                LeftOut(name, self._gold[name] / n_repeats, n / n_repeats, _share(n, self._gold[name]))
                for name, n in sorted(lost.items(), key=lambda item: -item[1])
                if n
            ),
            recall_at=self._recall_at(gold),
            inside=self.cells.inside(n_repeats),
            repaired=self.cells.counts["repaired"] / n_repeats,
            wrong_outside=self.cells.counts["wrong outside"] / n_repeats,
            bound=bound,
        )

    def _recall_at(self, gold: int) -> tuple[float, ...]:
        if self._ranks is None or not gold:
            return ()
        shares, held = [], 0
        for at in range(len(self._order)):
            held += self._at[at]
            shares.append(held / gold)
        return tuple(shares)
