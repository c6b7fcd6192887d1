"""What a prompt holds of the texts that it is scored on: runs of words copied from them, and near-duplicates. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.neighbours import near_duplicates
from harness.records import Sample

WORDS = 6
"""Words in a row from which on they count as copied."""

CHARACTERS = 30
"""The same in characters of scripts that write no spaces between words."""

LEAST_WORDS = 3
"""Words from which on a line or a quotation is compared with whole texts."""

_TOKEN = re.compile(r"(?P<alone>[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff])|\w+")
_PART = re.compile(r"""[\n"“”„«»「」|→]|'(?!\w)|(?<!\w)'""")


@dataclass(frozen=True, slots=True)
class Copied:
    """A piece of a prompt that stands in an evaluated sample as well.

    Attributes:
        sample: The sample's id; of several samples the first.
        text: The piece, as the prompt has it, on one line.
        whole: True when it is nearly the whole text of the sample, False for words in a row out of it.
    """

    sample: str
    text: str
    whole: bool = False


Token = tuple[str, int, int]
"""A word, and where it begins and ends in its text."""


def copied(texts: Sequence[str], known: Sequence[str], samples: Sequence[Sample]) -> tuple[Copied, ...]:
    """Return what new texts hold of samples and known texts do not.

    That is every run of `WORDS` words (`CHARACTERS` characters in scripts without spaces; of both together in proportion)
    that stands so, but for case and punctuation, in an input column of a sample, and every line or quotation of
    `LEAST_WORDS` words that is nearly the whole text of one (`neighbours.near_duplicates`).

    Args:
        texts: The new messages.
        known: The messages before, and what else may be repeated: names and descriptions of labels.
        samples: The evaluated samples.
    """
    old = {window for text in known for window, _ in _windows(_tokens(text))}
    owners = _owners(texts, old, samples)
    runs = tuple(each for text in texts for each in _runs(text, owners))
    return (*runs, *_near(texts, known, samples, {each.sample for each in runs}))


def _tokens(text: str) -> list[Token]:
    return [(_folded(found[0]), found.start(), found.end()) for found in _TOKEN.finditer(text)]


def _folded(word: str) -> str:
    return unicodedata.normalize("NFKC", word).casefold()


def _windows(tokens: Sequence[Token]) -> Iterator[tuple[tuple[str, ...], int]]:
    """Yield every shortest run of tokens that counts as copied, with the position of its first one."""
    weights = [WORDS if _alone(word) else CHARACTERS for word, _, _ in tokens]
    enough = WORDS * CHARACTERS
    end, weight = 0, 0
    for start in range(len(tokens)):
        while end < len(tokens) and weight < enough:
            weight += weights[end]
            end += 1
        if weight < enough:
            return
        yield tuple(word for word, _, _ in tokens[start:end]), start
        weight -= weights[start]


def _alone(word: str) -> bool:
    """Return whether a token is a character of a script without spaces."""
    found = _TOKEN.match(word)
    return found is not None and found["alone"] is not None


def _owners(
    texts: Sequence[str], old: set[tuple[str, ...]], samples: Iterable[Sample]
) -> Mapping[tuple[str, ...], str]:
    """Return which sample first has each of the runs that are new."""
    new = {window for text in texts for window, _ in _windows(_tokens(text))} - old
    owners: dict[tuple[str, ...], str] = {}
    for sample in samples if new else ():
        for value in sample.inputs.values():
            for window, _ in _windows(_tokens(value)) if isinstance(value, str) else ():
                if window in new:
                    owners.setdefault(window, sample.id)
    return owners


def _runs(text: str, owners: Mapping[tuple[str, ...], str]) -> Iterator[Copied]:
    """Yield the copied runs of a text; those of one sample that overlap are one."""
    tokens = _tokens(text)
    sample, first, last = "", 0, -1
    for window, start in _windows(tokens):
        owner = owners.get(window)
        if owner is None:
            continue
        if sample and (owner != sample or start > last):
            yield Copied(sample, _piece(text, tokens[first][1], tokens[last][2]))
            sample = ""
        if not sample:
            sample, first = owner, start
        last = start + len(window) - 1
    if sample:
        yield Copied(sample, _piece(text, tokens[first][1], tokens[last][2]))


def _piece(text: str, start: int, end: int) -> str:
    return " ".join(text[start:end].split())


def _near(texts: Sequence[str], known: Sequence[str], samples: Sequence[Sample], told: set[str]) -> Iterator[Copied]:
    """Yield the lines and quotations that are new and nearly the whole text of a sample that is not told yet."""
    old = [_spaced(text) for text in known]
    parts = dict.fromkeys(part for text in texts for part in _parts(text))
    new = [part for part in parts if not any(_spaced(part) in text for text in old)]
    pieces = [Sample(str(at), {"text": part}) for at, part in enumerate(new)]
    for pair in near_duplicates(pieces, samples) if pieces else ():
        if pair.sample not in told:
            told.add(pair.sample)
            yield Copied(pair.sample, new[int(pair.shot)], whole=True)


def _spaced(text: str) -> str:
    """Return the words of a text, a space around each."""
    return f" {' '.join(word for word, _, _ in _tokens(text))} "


def _parts(text: str) -> Iterator[str]:
    """Yield the lines and the quotations of a text that are long enough to be compared."""
    for line in text.split("\n"):
        for part in dict.fromkeys([line, *_PART.split(line)]):
            if len(_tokens(part)) >= LEAST_WORDS:
                yield " ".join(part.split())
