"""Fields against their gold: when two texts are the same, and what a field scores over samples.

An unanswered field is wrong everywhere: accuracy, F1 and token F1 count it as 0.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum, nan

from harness.labelspace import Field, FieldType, TextMatch
from harness.parsing.fieldvalues import says_nothing
from harness.records import FieldValue, GoldField

_APOSTROPHES = str.maketrans("", "", "'`\u02bc\u2018\u2019")
_LEADING_ARTICLE = re.compile(r"^(?:an?|the) (?=\S)")


@dataclass(frozen=True, slots=True)
class FieldScore:
    """One field, over the samples that have gold for it and were asked for it. An unanswered field is wrong.

    Everything but the counts is in [0, 1], and NaN without support.

    Attributes:
        support: Samples that count.
        answered: Those of them with an answer, "nothing there" being one.
        accuracy: Share that is right; a text is compared as its `Field.match` says.
        exact: For a text, the share that equals gold character by character; NaN for the other types.
        normalized: For a text, the share that equals gold after `normalize_text`; NaN for the other types.
        token_f1: For a text, the mean of `token_f1`; NaN for the other types.
        macro_f1: For a choice and a bool, the mean F1 of the values that gold has, "nothing there" being one; NaN for a
            text.
        most_frequent: The accuracy of always answering the one value that is right most often.
    """

    field: str
    type: FieldType
    support: float
    answered: float
    accuracy: float
    exact: float
    normalized: float
    token_f1: float = nan
    macro_f1: float = nan
    most_frequent: float = nan


def normalize_text(text: str) -> str:
    """Return the form in which two extracted texts are compared.

    NFKC, case folded, apostrophes dropped, any other punctuation and white space as one space, and without one leading
    English article. A text that is nothing but punctuation keeps it, so that only a blank text becomes empty.

    >>> normalize_text("  The T-shirt's   sleeve! ")
    't shirts sleeve'
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    spaced = "".join(" " if unicodedata.category(c)[0] == "P" else c for c in folded.translate(_APOSTROPHES))
    words = " ".join(spaced.split()) or " ".join(folded.split())
    return _LEADING_ARTICLE.sub("", words)


def field_matches(field: Field, gold: GoldField, answer: FieldValue, match: TextMatch | None = None) -> bool:
    """Return True when the answer is the gold value of a field, or one of its alternatives.

    A text that says nothing ("", "none", "n/a", …) is None, in gold as in the answer; None is met by None alone.

    Args:
        field: A text field compares as its `match` says, every other one by equality.
        gold: The value, or for a text the alternatives.
        answer: What was answered.
        match: Goes before the field's own.
    """
    return _key(field, answer, match) in _keys(field, gold, match)


def _keys(field: Field, gold: GoldField, match: TextMatch | None = None) -> frozenset[FieldValue]:
    """Return the comparable forms of all values that are right."""
    return frozenset(_key(field, each, match) for each in (gold if isinstance(gold, tuple) else (gold,)))


def _key(field: Field, value: FieldValue, match: TextMatch | None = None) -> FieldValue:
    if field.type != "text" or not isinstance(value, str):
        return value
    if says_nothing(value):
        return None
    return normalize_text(value) if (match or field.match) == "normalized" else value


def token_f1(gold: GoldField, answer: FieldValue) -> float:
    """Return the token F1 of an extracted text, in [0, 1]: of several alternatives the highest.

    Tokens are the words of `normalize_text`, counted as often as they occur; F1 is the harmonic mean of the shares of
    the answer's and of gold's tokens that both have. Nothing against nothing is 1, nothing against something 0.

    Rajpurkar et al. (2016), "SQuAD: 100,000+ Questions for Machine Comprehension of Text", with its unanswerable
    questions from Rajpurkar et al. (2018).
    """
    said = _tokens(answer)
    return max(_f1_of_tokens(_tokens(each), said) for each in (gold if isinstance(gold, tuple) else (gold,)))


def _tokens(value: FieldValue) -> Counter[str]:
    return Counter() if value is None or says_nothing(str(value)) else Counter(normalize_text(str(value)).split())


def _f1_of_tokens(gold: Counter[str], said: Counter[str]) -> float:
    if not gold or not said:
        return float(gold == said)
    return 2 * (gold & said).total() / (gold.total() + said.total())


def field_score(field: Field, pairs: Sequence[tuple[GoldField, Mapping[str, FieldValue]]]) -> FieldScore:
    """Return the scores of a field.

    Args:
        field: Which one.
        pairs: Its gold and all answered fields, of every sample that counts.
    """
    n = len(pairs)
    answers = [(gold, said[field.name]) for gold, said in pairs if field.name in said]

    def share(match: TextMatch | None = None) -> float:
        return sum(field_matches(field, gold, said, match) for gold, said in answers) / n if n else nan

    frequent = Counter(key for gold, _ in pairs for key in _keys(field, gold)).most_common(1)
    is_text = field.type == "text"
    return FieldScore(
        field=field.name,
        type=field.type,
        support=n,
        answered=len(answers),
        accuracy=share(),
        exact=share("exact") if is_text else nan,
        normalized=share("normalized") if is_text else nan,
        token_f1=fsum(token_f1(gold, said) for gold, said in answers) / n if is_text and n else nan,
        macro_f1=nan if is_text else _macro_f1(field, pairs),
        most_frequent=frequent[0][1] / n if frequent else nan,
    )


def _macro_f1(field: Field, pairs: Sequence[tuple[GoldField, Mapping[str, FieldValue]]]) -> float:
    """Return the mean F1 of the values that gold has; an unanswered field is a miss of its gold value, and no answer."""
    name = field.name
    both = [(wanted, answers[name]) for wanted, answers in pairs if name in answers]
    gold = Counter[GoldField](wanted for wanted, _ in pairs)
    said = Counter[GoldField](answer for _, answer in both)
    right = Counter[GoldField](wanted for wanted, answer in both if wanted == answer)
    return fsum(2 * right[value] / (gold[value] + said[value]) for value in gold) / len(gold) if gold else nan
