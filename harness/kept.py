"""What came of the very same objects, made once: a run asks the same of thousands of samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

_Made = TypeVar("_Made")

MOST_KEPT = 1024
"""Values that are kept at a time; a pass over labels has some for each of them."""


class Kept(Generic[_Made]):
    """What came of the very same objects once, made once: worked examples and instructions are one text for all samples.

    Objects are the same by identity, and kept as long as what came of them, so that no other can take their place.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[tuple[str, ...], tuple[int, ...]], tuple[tuple[object, ...], _Made]] = {}

    def of(self, names: tuple[str, ...], objects: tuple[object, ...], make: Callable[[], _Made]) -> _Made:
        """Return what ``make`` makes of the objects under these names; what it raises is not kept."""
        key = names, tuple(map(id, objects))
        found = self._kept.get(key)
        if found is None:
            made = make()
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            found = self._kept[key] = objects, made
        return found[1]
