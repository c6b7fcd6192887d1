"""Worked examples as a value, and which ones a prompt uses: the first, drawn ones, or ones for every label. Pure.

A draw goes by the hash of seed and id: it does not depend on the order of the file, and the first of a larger draw are
those of a smaller one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Literal

from harness.records import Sample

NearestBy = Literal["tfidf", "embeddings"]

EMPTY = ""
"""Stands for the empty label set beside the labels; no label can be called so."""


@dataclass(frozen=True, slots=True)
class Nearest:
    """How each sample gets shots of its own: those of a pool that are nearest to its input text, the nearest last.

    Attributes:
        k: So many.
        by: What nearness is measured with.
        model: The server's embedding model, for "embeddings".
    """

    k: int
    by: NearestBy = "tfidf"
    model: str | None = None


@dataclass(frozen=True)
class Shots:
    """Worked examples placed in the prompt.

    Attributes:
        samples: All of them, in the order in which a call has them; with `nearest` the pool.
        units: By the name of a unit, the ids of those that its calls have; empty when all calls have the same.
        nearest: How those of a sample are chosen from the pool; None when they do not depend on the sample.
        seed: Of the draw that chose them; None without one. Not part of what is asked.
    """

    samples: tuple[Sample, ...]
    units: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    nearest: Nearest | None = None
    seed: int | None = field(default=None, compare=False)

    def of(self, unit: str, nearest: Sequence[str] | None) -> tuple[Sample, ...] | None:
        """Return the shots of a call; None when they depend on the sample and are not chosen yet.

        Args:
            unit: What the call is about.
            nearest: The ids that were chosen for the sample.
        """
        ids = self.units.get(unit) if self.nearest is None else nearest
        if ids is None:
            return self.samples if self.nearest is None else None
        return tuple(self._by_id[identity] for identity in ids)

    @cached_property
    def _by_id(self) -> Mapping[str, Sample]:
        return {shot.id: shot for shot in self.samples}

    def to_json(self) -> Any:
        """Return the shots as plain values, a mere list where every call has all of them."""
        samples = [shot.to_json() for shot in self.samples]
        if self.nearest is not None:
            return {"pool": samples, "nearest": asdict(self.nearest)}
        units = {name: list(ids) for name, ids in self.units.items()}
        return {"pool": samples, "units": units} if units else samples

    @classmethod
    def from_json(cls, data: Any) -> Shots:
        """Return the shots that `to_json` wrote."""
        if isinstance(data, list):
            return cls(tuple(Sample.from_json(each) for each in data))
        return cls(
            tuple(Sample.from_json(each) for each in data["pool"]),
            {name: tuple(ids) for name, ids in data.get("units", {}).items()},
            Nearest(**data["nearest"]) if "nearest" in data else None,
        )


def drawn(pool: Iterable[Sample], k: int, seed: int, unit: str = "") -> tuple[Sample, ...]:
    """Return ``k`` samples of a pool, all of it when it has fewer, in the order of the draw.

    Args:
        pool: The samples.
        k: How many.
        seed: Another seed is another draw.
        unit: What the samples are for: other units have other draws.
    """
    return tuple(sorted(pool, key=lambda sample: _rank(seed, unit, sample.id))[:k])


def balanced(pool: Iterable[Sample], labels: Sequence[str], k: int, seed: int, unit: str = "") -> tuple[Sample, ...]:
    """Return ``k`` samples of a pool in which every label, and the empty set, comes up as evenly as they allow.

    Greedy: the label (or the empty set) that came up least so far, and that some sample left over still has, comes next,
    with the sample whose other labels came up least; ties go by the draw. Only the given labels count: with one label
    half of the samples have it and half do not, as far as there are such samples. The order is that of the draw, so that
    no label always comes last.

    Args:
        pool: Labelled samples.
        labels: The labels to cover.
        k: How many samples; all of the pool when it has fewer.
        seed: Decides between what is equally good.
        unit: As in `drawn`.
    """
    ranked = sorted(pool, key=lambda sample: _rank(seed, unit, sample.id))
    wanted = sorted([*labels, EMPTY], key=lambda name: _rank(seed, unit, name))
    has = {sample.id: frozenset(sample.labels or ()) & frozenset(labels) or frozenset({EMPTY}) for sample in ranked}
    counts = dict.fromkeys(wanted, 0)
    taken: set[str] = set()
    while len(taken) < min(k, len(ranked)):
        left = [sample for sample in ranked if sample.id not in taken]
        by_need = (
            [sample for sample in left if name in has[sample.id]] for name in sorted(wanted, key=counts.__getitem__)
        )
        best = min(next(filter(None, by_need)), key=lambda sample: sum(counts[name] for name in has[sample.id]))
        taken.add(best.id)
        for name in has[best.id]:
            counts[name] += 1
    return tuple(sample for sample in ranked if sample.id in taken)


def _rank(seed: int, unit: str, name: str) -> bytes:
    """Return the place of a name in the draw of a seed."""
    return hashlib.sha256(f"{seed}\n{unit}\n{name}".encode("utf-8", "surrogatepass")).digest()
