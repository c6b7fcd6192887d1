"""Seeded splits of labelled samples in which every label keeps its share."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence

from harness.errors import UsageError, listing
from harness.records import Sample


def stratified_split(samples: Sequence[Sample], shares: Mapping[str, float], seed: int) -> dict[str, list[Sample]]:
    """Return the samples divided by name, each label spread over the parts as the shares say.

    Iterative stratification (Sechidis, Tsoumakas & Vlahavas 2011, "On the stratification of multi-label data"): the
    rarest label goes first, each of its samples to the part that still wants most of that label. Samples without a label
    count as having a label of their own. The same samples, shares and seed give the same parts, whatever the order of the
    samples; within a part they stand in the given order.

    Args:
        samples: Labelled samples.
        shares: Part name to its share; the shares are taken relative to their sum.
        seed: Decides between parts that want a sample equally.

    Raises:
        UsageError: There is no part, or a share is not above 0.
    """
    if not shares or not all(0 < share < math.inf for share in shares.values()):
        told = listing(f"{part}={share:g}" for part, share in shares.items())
        raise UsageError(f"shares: every part must have a share above 0, got {told or 'no part'}.")
    rng = random.Random(seed)  # noqa: S311 - a reproducible draw, no secret
    total = sum(shares.values())
    portion = {part: share / total for part, share in shares.items()}
    themes = {sample.id: tuple(sorted(sample.labels or ())) or ("",) for sample in samples}
    support = Counter(theme for each in themes.values() for theme in each)
    wanted = {part: {theme: support[theme] * portion[part] for theme in support} for part in shares}
    room = {part: len(samples) * portion[part] for part in shares}
    part_of: dict[str, str] = {}
    left = sorted(themes)
    rng.shuffle(left)
    while left:
        open_support = Counter(theme for each in left for theme in themes[each])
        rarest = min(open_support, key=lambda theme: (open_support[theme], theme))
        for each in [identity for identity in left if rarest in themes[identity]]:
            part = max(shares, key=lambda name: (wanted[name][rarest], room[name], rng.random()))
            part_of[each] = part
            room[part] -= 1
            for theme in themes[each]:
                wanted[part][theme] -= 1
        left = [identity for identity in left if identity not in part_of]
    return {part: [sample for sample in samples if part_of[sample.id] == part] for part in shares}
