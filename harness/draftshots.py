"""Worked examples for an exception pass: which samples of a pool tell the labels in question apart. Pure.

A draw goes by the hash of seed and id, as everywhere: see `harness.shots`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import cycle

from harness.identity import content
from harness.records import Sample
from harness.shots import drawn

MOST_SHOTS = 12
"""Worked examples of an exception pass: some for each label in question, and not so many that the text is lost in them."""

Pair = tuple[str, str]


def usable(pools: Iterable[Iterable[Sample]], evaluated: Collection[Sample]) -> tuple[Sample, ...]:
    """Return the labelled samples of some pools whose text is evaluated nowhere, each text and each id once.

    Args:
        pools: Of each pool its samples; those of an earlier one go first.
        evaluated: The samples of all splits.
    """
    texts = {content(each) for each in evaluated}
    ids: set[str] = set()
    found = []
    for each in (sample for pool in pools for sample in pool):
        if each.labels is not None and each.id not in ids and content(each) not in texts:
            ids.add(each.id)
            texts.add(content(each))
            found.append(each)
    return tuple(found)


def contrastive(
    pool: Iterable[Sample], scope: Sequence[str], pairs: Sequence[Pair], k: int, seed: int
) -> tuple[Sample, ...]:
    """Return up to ``k`` samples of a pool that tell labels apart, in the order of the draw; none where none has one.

    In turn, as long as there are some: for each pair a sample that has the first and not the second, and one that has the
    second and not the first; then for each label in question one that has it, and one that has none of them. So the first
    pairs come first, and a pool that has no such sample gives others.

    Args:
        pool: Labelled samples.
        scope: The labels in question.
        pairs: Labels that are taken for each other, the most frequent first.
        k: How many at most.
        seed: Of the draw.
    """
    samples = list(pool)
    ranked = drawn(samples, len(samples), seed)
    chosen: dict[str, Sample] = {}
    turns = [_ranked(ranked, {a}, {b}) for one, other in pairs for a, b in ((one, other), (other, one))]
    turns += [_ranked(ranked, {name}, set()) for name in scope]
    if not any(frozenset(scope) & (each.labels or frozenset()) for each in ranked):
        return ()
    turns.append(_ranked(ranked, set(), set(scope)))
    empty = 0
    for turn in cycle(turns):
        if len(chosen) >= k or empty == len(turns):
            break
        found = next((each for each in turn if each.id not in chosen), None)
        empty = empty + 1 if found is None else 0
        if found is not None:
            chosen[found.id] = found
    return tuple(each for each in ranked if each.id in chosen)


def _ranked(samples: Sequence[Sample], has: set[str], has_not: set[str]) -> Iterator[Sample]:
    """Yield the samples that have labels and have not others, in their order."""
    for each in samples:
        labels = each.labels or frozenset()
        if has <= labels and has_not.isdisjoint(labels):
            yield each


def shots_text(samples: Iterable[Sample], order: Sequence[str]) -> str:
    """Return samples as a JSONL file: id, input columns, labels in label-space order, and gold fields.

    Args:
        samples: Labelled.
        order: The names of the labels.
    """
    return "".join(_row(each, order) + "\n" for each in samples)


def _row(each: Sample, order: Sequence[str]) -> str:
    labels = sorted(each.labels or (), key=order.index)
    row = {"id": each.id, **each.inputs, "labels": labels, **each.fields}
    text = json.dumps(row, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a character, which only an escape can say
        text = json.dumps(row)
    return text
