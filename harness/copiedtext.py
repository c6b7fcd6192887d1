"""What a prompt holds of the texts that it is scored on: runs of words copied from them, and near-duplicates. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from harness.neighbours import near_duplicates
from harness.records import Sample
from harness.regexes import regex

WORDS = 6
"""Words in a row from which on they count as copied."""

CHARACTERS = 30
"""The same in characters of scripts that write no spaces between words."""

LEAST_WORDS = 3
"""Words from which on a line or a quotation is compared with whole texts."""

_ALONE = r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff]"
_TOKEN = regex(rf"(?P<alone>{_ALONE})|\w+")
_TOKENS = regex(rf"{_ALONE}|\w+")
_ASCII = {code: chr(code).lower() if _TOKEN.match(chr(code)) else " " for code in range(128)}
_PART = regex(r"""[\n"“”„«»「」|→]|'(?!\w)|(?<!\w)'""")


@dataclass(frozen=True, slots=True)
class Copied:
    """A piece of a prompt that stands in an evaluated sample as well.

    Attributes:
        sample: The sample's id; of several samples the first.
        text: The piece, as the prompt has it, on one line; empty where nobody is to read on in that sample.
        whole: True when it is nearly the whole text of the sample, False for words in a row out of it.
        split: Of a sample beside those that the prompt was run on, its split.
    """

    sample: str
    text: str
    whole: bool = False
    split: str | None = None

    @property
    def name(self) -> str:
        """The sample, with its split where that is another one."""
        return self.sample if self.split is None else f"{self.sample} of {self.split}"


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
    runs = passages(texts, known, samples)
    return (*runs, *_near(texts, known, samples, {each.sample for each in runs}))


def passages(texts: Sequence[str], known: Sequence[str], samples: Iterable[Sample]) -> tuple[Copied, ...]:
    """Return those of the `copied` pieces that are words in a row: soon told, however many samples there are.

    Args:
        texts: Messages.
        known: What they may hold.
        samples: Read once, and not at all where the messages are shorter than such a piece.
    """
    old = {window for text in known for window, _ in _windows(_tokens(text))}
    owners = _owners(texts, old, samples)
    return tuple(each for text in texts for each in _runs(text, owners)) if owners else ()


def _tokens(text: str) -> list[Token]:
    return [(_folded(found[0]), found.start(), found.end()) for found in _TOKEN.finditer(text)]


@lru_cache(maxsize=100_000)
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
    pairs = _pairs(new)
    anchors = {max(pair, key=len) for pair in pairs}
    owners: dict[tuple[str, ...], str] = {}
    for sample in samples if new else ():
        for value in sample.inputs.values():
            if not isinstance(value, str):
                continue
            words = _words(value)
            if anchors.isdisjoint(words) or pairs.isdisjoint(pairwise(words)):
                continue  # nearly all samples, told without looking at each of their runs
            for window, _ in _windows(_tokens(value)):
                if window in new:
                    owners.setdefault(window, sample.id)
    return owners


def _pairs(windows: Iterable[tuple[str, ...]]) -> set[tuple[str, str]]:
    """Return few pairs of neighbouring words of which every run has one, long ones because these are rare."""
    pairs: set[tuple[str, str]] = set()
    for window in sorted(windows):  # the same from run to run
        if pairs.isdisjoint(pairwise(window)):
            pairs.add(max(pairwise(window), key=lambda pair: max(map(len, pair))))
    return pairs


def _words(text: str) -> Sequence[str]:
    """Return the words of `_tokens`, sooner."""
    if text.isascii():
        return text.translate(_ASCII).split()
    found = _TOKENS.findall(text)
    return [word.casefold() for word in found] if unicodedata.is_normalized("NFKC", text) else list(map(_folded, found))


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
