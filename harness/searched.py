"""What a prompt was drafted from: a search that looked at samples flatters the prompt on just these samples."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Searched:
    """Where the errors were searched that a prompt, or an ancestor of it, was drafted from.

    Attributes:
        run: Id of the run whose errors they are.
        split: The split that was searched.
        seed: Of the half that the search saw.
        share: Of the split that it saw, above 0 and below 1.
        set_aside: Ids of samples of the split that became shots: the prompt is not evaluated on them.
    """

    run: str
    split: str
    seed: int
    share: float
    set_aside: tuple[str, ...] = ()

    def saw(self, sample: str) -> bool:
        """Return whether a sample of the split, by its id, was looked at; one that was set aside was."""
        return sample in self.set_aside or in_search_half(sample, self.seed, self.share)

    def is_same_as(self, other: Searched | None) -> bool:
        """Return whether two prompts come from one search, so that it flatters neither of them against the other."""
        mine = (self.run, self.split, self.seed, self.share)
        return other is not None and mine == (other.run, other.split, other.seed, other.share)

    @property
    def words(self) -> str:
        """What it is, for people: where the errors were searched and what is set aside."""
        told = f"drafted from the errors of {self.run}, searched on a share of {self.share:g} of {self.split}"
        n = len(self.set_aside)
        aside = f"; {n} {'sample' if n == 1 else 'samples'} of it set aside as shots" if n else ""
        return f"{told} (seed {self.seed}){aside}"

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values, as a prompt file has them; `from_json` is the way back."""
        plain: dict[str, Any] = {"run": self.run, "split": self.split, "seed": self.seed, "share": self.share}
        return {**plain, "set_aside": list(self.set_aside)} if self.set_aside else plain

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Searched:
        """Return what `to_json` wrote."""
        return cls(**{**row, "set_aside": tuple(row.get("set_aside", ()))})


def in_search_half(sample: str, seed: int, share: float) -> bool:
    """Return whether a sample is of those that a search may see: by the hash of seed and id, whatever others there are."""
    return hashed_fraction(f"{seed}\n{sample}") < share


def hashed_fraction(text: str) -> float:
    """Return a number in [0, 1] that a text has by its hash: the first 64 bits of SHA-256 as a fraction of 2**64."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
