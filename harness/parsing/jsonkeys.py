"""What the keys of a JSON object ask or say of a label: "applies", "not_mentioned", "probability", "considered"."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from functools import cache

from harness.labelspace import normalize
from harness.parsing.affirming import Affirmations
from harness.parsing.headings import Heading, heading_of
from harness.regexes import regex

_HUMPS = regex(r"(?<=[a-z])(?=[A-Z])")
_NEGATES = regex(
    r"\b(?:not|no|non|never|none|without|absent|lacks?|lacking|irrelevant|inapplicable|unrelated|unmentioned|false"
    r"|exclud(?:e|es|ed|ing)|reject(?:ed)?|denied|discarded|negated?|ruled out"
    r"|\w+n['’]t|(?:is|are|was|were|does|do|did|has)nt)\b"
)
_VERDICT = regex(
    r"(?:(?:is|are|was|does|it|label|this|the) )*(?:appl(?:y|ies|icable|ied)|present|presence|mentions?|mentioned|relevant"
    r"|selected|chosen|included?|detected|identified|found|exists?|true|value|label|result|answer|verdict|decision|predict(?:ion|ed)"
    r"|response|assigned|match(?:es|ed)?|flag|status|raised|discussed|checked|bool(?:ean)?)"
    r"(?: (?:label|here|in (?:the )?(?:text|review)|to (?:the )?(?:text|review)))?"
)
_SCORE = regex(
    r"(?:\w+ )?(?:scores?|prob(?:ability)?|confidence|likelihood|rating|relevance|certainty|weight|percent(?:age)?)|p|value"
)
_BESIDE = regex(
    r"\b(?:consider(?:ed|ing)?|candidates?|options?|choices?|possible|potential|available|allowed|examples?|keywords?|quotes?"
    r"|missing|removed|dropped|ignored"
    r"|phrases?|words?|terms?|entit(?:y|ies)|spans?|evidence|inputs?|text|schema|enum|required|praised?|praises|positives?)\b"
)
_HEDGES = regex(
    r"\b(?:others?|secondary|maybe|perhaps|uncertain|unclear|unsure|unlikely|borderline|weak|alternatives?|similar|related)\b"
)


def _words(*lines: str) -> frozenset[str]:
    return frozenset(word for line in lines for word in line.split())


_QUESTION = _words(
    "answer answers applies apply applied applicable result verdict decision prediction response output present presence",
    "mentioned mention mentions relevant label value match matches classification assigned yes",
)
_BESIDE_A_QUESTION = _words(
    "is are was does do did has have be it the a an of in to for with on at by or about here final my your own model true",
    "bool boolean predicted given text review reviewer customer user message this that category tag topic theme class",
    "question contains contain containing includes included complains complain complaining complaint complaints issue",
    "issues problem problems concern concerns discussed discusses raised raises related relates relating refers reference",
    "flag detected found binary there any explicitly delayed delay late bad poor",
)


class Asks(StrEnum):
    """What the value at a key tells of a label: whether it applies, how much, or neither."""

    WHETHER = "whether"
    HOW_MUCH = "how_much"
    NEITHER = "neither"


def words_of(key: str) -> str:
    """Return a key as words: "notApplicable" and "not_applicable" are "not applicable"."""
    return normalize(_HUMPS.sub(" ", key))


def negates(words: str) -> bool:
    """Return whether the words of a key deny: what is true there does not apply."""
    return _NEGATES.search(words) is not None


def asks(words: str) -> Asks:
    """Return what a key asks of a label, its negation left out of account."""
    plain = " ".join(_NEGATES.sub(" ", words).split())
    if _VERDICT.fullmatch(plain) or (not plain and words):
        return Asks.WHETHER
    return Asks.HOW_MUCH if _SCORE.fullmatch(plain) else Asks.NEITHER


def asks_plainly(words: str, names: Iterable[str]) -> bool | None:
    """Return whether a yes at a key says that the label applies, False for "not mentioned"; None where it says neither.

    All words of the key must be such as ask: "shipping ok" and "label id" do not.

    Args:
        words: Those of the key.
        names: How the label is spelled, normalised.
    """
    rest = f" {words} "
    for name in sorted(names, key=len, reverse=True):
        rest = rest.replace(f" {name} ", " ")
    is_named = rest != f" {words} "
    plain = set(_NEGATES.sub(" ", rest).split())
    if not plain <= _QUESTION | _BESIDE_A_QUESTION or not (is_named or plain & _QUESTION):
        return None
    return not negates(rest)


def sets_aside(words: str) -> bool:
    """Return whether what stands at a key is not the answer: labels that are denied or considered, words of the text."""
    return negates(words) or _BESIDE.search(words) is not None or heading_of(words) is Heading.ASIDE


def announces_labels(words: str) -> bool:
    """Return whether a key says that labels stand there, as "predicted labels" and "category" do."""
    return not sets_aside(words) and heading_of(words) in (Heading.LABELS, Heading.ANSWER)


def hedges(words: str) -> bool:
    """Return whether a key leaves open if what stands there applies: "maybe", "secondary labels"."""
    return _HEDGES.search(words) is not None


def denies(text: str) -> bool:
    """Return whether a value that is a text says no: "No", "not mentioned", "No, it came on time"."""
    return any(not said.yes for said in _affirmations().begins(text))


@cache
def _affirmations() -> Affirmations:
    return Affirmations("yes", "no")
