"""Which worked examples a prompt uses: the first, drawn ones, or ones in which every label comes up. Pure.

A draw goes by the hash of seed and id: it does not depend on the order of the file, and the first of a larger draw are
those of a smaller one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from harness.records import Sample

EMPTY = ""
"""Stands for the empty label set beside the labels; no label can be called so."""


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
