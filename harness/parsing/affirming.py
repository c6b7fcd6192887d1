"""What says yes and what says no: words of several languages, and the usual wordings. Everything here takes linear time.

How much a word proves depends on how it is used otherwise:

- "yes" and "no" may begin a sentence, "no" only one that goes on as answers do ("no mention of …", not "no box was torn").
- Words of other languages, "true" and "false" end there, or have a comma or a reason behind them.
- What is a word of another language too ("da", "si"), a digit or a letter stands alone, or explains itself ("1, because").
- With a number of its own ("yes: 0.2"), with the other side behind a colon ("yes: false") or with "not" a word says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from harness.labelspace import normalize
from harness.parsing.cleaning import bare
from harness.regexes import regex

_OPEN = {"yes": True, "yeah": True, "yep": True, "yup": True, "no": False, "nope": False}
_CLOSED = {
    True: "true ja jawohl oui sí sì sim да так evet igen kyllä はい 是 是的 对 對 예 네 نعم हाँ ναι",
    False: "false nein non não нет не ні hayır nem nej nee nei いいえ 否 不是 不 没有 沒有 아니요 아니오 لا नहीं όχι",
}
_LONE = {True: "si da ya ano tak có 1 y", False: "nie ne nu ei tidak không none 0 n"}
_TICKS = {**dict.fromkeys("✓✔☑✅👍", True), **dict.fromkeys("✗✘❌✖🚫☒👎", False)}


def _by_word(sides: dict[bool, str]) -> dict[str, bool]:
    return {normalize(word): side for side, words in sides.items() for word in words.split()}


LONE_WORDS = _by_word(_LONE)
"""By word its side, for words that mean it only where they stand alone."""

KNOWN_WORDS = {**LONE_WORDS, **_by_word(_CLOSED), **_OPEN, **_TICKS}
"""By normalised word its side: True for yes."""

# Possessive throughout: a run of these signs is taken once and never given back, so that no text takes long.
_INVISIBLE = r"\u200b-\u200f\u2060\ufe0e\ufe0f\ufeff"
_EDGE = rf"[\s\"'“”„‘’«»「」*_`~()\[\]{{}}<>#|{_INVISIBLE}]"
_LEAD = regex(rf"(?:[\[(][xX✓✔][\])]|{_EDGE}|[:=.,;…!—–•]|[-+]\s)*+(?:\(?\d{{1,3}}[.)]\s++(?=\S))?+{_EDGE}*+")
_STOPS = regex(rf"(?:{_EDGE}|[.!。！…,;，；])*+")
_CLOSE = rf"[\"'”’»」*_`~)\]}}>{_INVISIBLE}]*+"
_REASON = r"\s++(?:because|since|as|but|due to|weil|denn|da|aber|car|parce|mais|porque|pues|perché|потому)\b"
_GOES_ON = regex(rf"{_CLOSE}(?:\s*+(?:[,;:!。，；：！、（(\[|—–…]|\.(?!\d))|\s++-\s|{_REASON})", re.IGNORECASE)
_EXPLAINED = regex(rf"{_CLOSE}(?:(?:\s*+[,:(—–]|\s++-\s)\s*+[^\W\d]|{_REASON})", re.IGNORECASE)
_CONDITION = regex(rf"{_CLOSE},?+\s*+(?:only )?(?:if|when|unless|where|otherwise|wenn|falls|cuando)\b", re.IGNORECASE)
# A choice with its probability, and "No. 1".
_WEIGHED = regex(
    rf"{_CLOSE}\s*+(?:[:=：|→]|[-=]>|[-–—]\s)?+\s*+[\"'*_`]*+(?:\d{{1,3}}(?:[.,]\d{{1,9}})?\s?%|[01]?[.,]\d{{1,9}}|[01])(?![\w%])"
    r"(?=[\"'*_`]*+\s*+(?:$|[\n,;|)\]}]|\.(?!\d)|\w+))"
)
_NUMBERED = regex(r"\.\s?\d")
_GIVEN = regex(rf"{_CLOSE}\s*+(?:[:=：→]|[-=]>)\s*+{_EDGE}*+")
_TURNED = regex(rf"{_CLOSE}\s++not\b", re.IGNORECASE)
_SENTENCE = regex(r"\s+\w")
_NO_SENTENCE = regex(
    r"\s+(?:(?:explicit|direct|specific|clear|such|real) )?"
    r"(?:mentions?|complaints?|evidence|indications?|references?|signs?|labels?|the|this|that|it|there|not)\b",
    re.IGNORECASE,
)
_JOINT = regex(
    rf"(?:{_EDGE}|[,;/.&+!:：，。—–-])*+(?:(?:and|or|but|und|oder|et|ou|y|o|e|и|или|和|或)\b(?:{_EDGE}|/)*+)?+",
    re.IGNORECASE,
)
_BLANK = regex(r"[^\S\n]+")
_EITHER = r"\s{0,3}(?:/|\||\b(?:or|oder|ou|o|или)\b|或|または)\s{0,3}"
_QUOTES = r"[\"'“”‘’*`]{0,3}"

_HOW = r"(?:(?:explicitly|directly|actually|really|clearly|specifically|even|hier|here) )?"
_TOLD = r"(?:mentioned|applicable|present|relevant|applied|discussed|raised|complained about|an? (?:issue|problem))"
_NOT = r"(?: not|n['’]t)"
_DENIES = (
    rf"not (?:{_HOW}{_TOLD}|at all|an issue|really)|(?:does|do|did|would){_NOT} {_HOW}apply"
    r"|n/a|inapplicable|irrelevant|absent|(?:definitely|certainly|absolutely|clearly|probably|of course) not"
    r"|trifft (?:hier )?nicht zu|nicht (?:erwähnt|zutreffend|anwendbar|vorhanden)"
    r"|(?:ne )?s['’]applique pas|non (?:mentionnée?|applicable)|no (?:se )?(?:aplica|menciona|mencionado|aplicable)"
    r"|не (?:применимо|упоминается|относится)|不适用|不適用|未提及|没有提到|不相关|該当しない|該当なし"
)
_AFFIRMS = (
    rf"{_HOW}applies|applicable|{_HOW}mentioned|present|relevant|trifft (?:hier )?zu|s['’]applique|适用|適用|該当する"
)
_DENIES_OF = (
    rf"(?:does|do|did|would){_NOT} {_HOW}apply|(?:is|was|are|were){_NOT} {_HOW}{_TOLD}|can(?:not| not|['’]t) be applied"
    rf"|trifft (?:hier )?nicht zu|ne s['’]applique pas|no se aplica|(?:does|do){_NOT}"
)
_AFFIRMS_OF = (
    rf"{_HOW}applies|does {_HOW}apply|does|(?:is|was|are|were) {_HOW}{_TOLD}"
    r"|trifft (?:hier )?zu|s['’]applique|se aplica"
)
_WORDING_ENDS = regex(
    rf"{_CLOSE}(?:\s*+(?:$|[,;!。，；！、（(—–|]|\.(?!\d))|\s++-\s"
    r"|\s++(?:here|at all|in (?:the|this|any)|(?:to|for|by|of) (?:the|this|it)|because|since|as|due to)\b)"
    r"(?!\s*+(?:(?:case|review|text|reviewer|customer|label)s?\s)?\s*+(?:if|when|unless|where|that)\b)",
    re.IGNORECASE,
)
_LEAD_INS = regex(
    r"(?:(?:so|thus|therefore|hence|overall|well|ok|okay|sure|certainly|definitely|absolutely|clearly|probably"
    r"|(?:most )?likely|actually|in (?:short|summary|conclusion)"
    r"|based on (?:the|this) \w+|i(?: would|['’]d)? (?:say|answer|think|believe)"
    r"(?: that)?|(?:the|my) answer is|(?:that|it)(?: is|['’]s) an?)[\s,:!.—–\"'“*]++){0,3}",
    re.IGNORECASE,
)
_LETTERED = regex(r"\(?[A-Ea-e][.):]\s++(?=\S)")
_SENTENCES = regex(r"(?<=[.!?])(?<!\b\w\.)(?<!\d\.)(?!(?<=\b[Nn][Oo]\.)\s\d)\s+|(?<=[。！？])")
_MOST_SENTENCES = 200

_RETRACTS = regex(
    r"\b(?:actually|wait|correct(?:ion|ed)|edit|update|(?:scratch|strike) that|on (?:second thought|reflection)"
    r"|on (?:further|closer) (?:reflection|look|reading)|i (?:was wrong|take (?:it|that) back|meant?|stand corrected)"
    r"|my mistake|oops|sorry|reconsider\w*|revis(?:ed|ion|ing)|rather)\b",
    re.IGNORECASE,
)
_MOST_RETRACTED = 50
_RETRACTED_WITHIN = 80
_SENTENCE_ENDS = regex(r"[.!?\n。！？]")


@dataclass(frozen=True, slots=True)
class Said:
    """A yes or no that stands in a text.

    Attributes:
        start: Where its word stands in the text; None for a wording such as "it does not apply".
        first: True when it is in the first sentence.
        alone: True when its sentence says nothing else.
        runs_on: True when its sentence goes on without a stop, as that of "No complaints!" does.
    """

    yes: bool
    start: int | None
    first: bool = True
    alone: bool = False
    runs_on: bool = False


class Affirmations:
    """Finds what says yes and no, for one way of writing them and one label.

    Args:
        yes: How the prompt wants yes written.
        no: How it wants no written.
        label: The label's spellings.
    """

    def __init__(self, yes: str, no: str, label: Iterable[str] = ()) -> None:
        self._own = {normalize(yes): True, normalize(no): False}
        self._sides = {**KNOWN_WORDS, **self._own}
        words = {*self._sides, yes, no}
        self._word = re.compile(_any_of(words), re.IGNORECASE)
        spellings = [form for each in label for form in (each, bare(each)) if normalize(form) not in self._sides]
        name = _any_of(spellings) if any(spellings) else "(?!)"
        self._named = re.compile(
            rf"(?:the )?(?:(?:label|category|tag|topic) )?{_QUOTES}{name}{_CLOSE}\s*+[:=?：|→>(—–-]++", re.IGNORECASE
        )
        thing = r"(?:the|this|that) (?:label|category|tag|topic|theme|statement)"
        subject = rf"(?:{thing}(?: {_QUOTES}{name}{_QUOTES})?|{_QUOTES}{name}{_QUOTES}|it|this|that) "
        self._wordings = (
            (re.compile(rf"(?:{subject}(?:{_DENIES_OF})|{_DENIES})(?!\w)", re.IGNORECASE), False),
            (re.compile(rf"(?:{subject}(?:{_AFFIRMS_OF})|{_AFFIRMS})(?!\w)", re.IGNORECASE), True),
        )
        for_yes, for_no = (_any_of(word for word in words if self._side(word) is side) for side in (True, False))
        pair = rf"{_QUOTES}%s{_QUOTES}{_EITHER}{_QUOTES}%s{_QUOTES}"
        either = f"{pair % (for_yes, for_no)}|{pair % (for_no, for_yes)}"
        self._question = re.compile(rf"(?<![\w/|])(?:{either})(?![\w/|])", re.IGNORECASE)

    def without_question(self, text: str) -> str:
        """Return a text in which "yes or no" and "yes/no" are blanked out: they ask. All else stays where it is."""
        return self._question.sub(lambda found: " " * len(found[0]), text)

    def begins(self, text: str, position: int = 0) -> tuple[Said, ...]:
        """Return what a text says at ``position``: nothing, one thing, or both ("yes and no")."""
        begin = _end(_LEAD, text, position)
        led_in, lettered = (_end(_LEAD, text, _end(each, text, begin)) for each in (_LEAD_INS, _LETTERED))
        for start in dict.fromkeys((begin, led_in, lettered)):
            said = self._in_a_word(text, start, is_bare=start == begin) or self._in_a_wording(text, start)
            if said:
                return said
        return ()

    def of_label(self, text: str) -> tuple[Said, ...]:
        """Return what a text says behind the label's name ("shipping: yes"); nothing when it does not begin with it."""
        named = self._named.match(text, _end(_LEAD, text, 0))
        return self.begins(text, named.end()) if named else ()

    def sentences(self, text: str) -> Iterator[Said]:
        """Yield what the sentences of a text say; behind the first one a word must end there or have a comma behind it."""
        start = 0
        for gap in [*islice(_SENTENCES.finditer(text), _MOST_SENTENCES), None]:
            end = len(text) if gap is None else gap.start()
            sentence = text[start:end]
            for said in self.of_label(sentence) or self.begins(sentence):
                place = None if said.start is None else start + said.start
                runs_on = said.start is not None and self._runs_on(sentence, said.start)
                if start == 0 or not runs_on:
                    yield Said(said.yes, place, start == 0, said.alone, runs_on)
            start = end if gap is None else gap.end()

    def retractions(self, text: str, position: int, *, yes: bool) -> Iterator[int]:
        """Yield where a text behind ``position`` takes a yes, or a no, back: "Actually, no", "Correction: yes"."""
        for marker in islice(_RETRACTS.finditer(text, position), _MOST_RETRACTED):
            ends = _SENTENCE_ENDS.search(text, marker.end())
            end = min(len(text) if ends is None else ends.end(), marker.end() + _RETRACTED_WITHIN)
            others = (
                found
                for found in self._word.finditer(text, marker.end(), end)
                if not text[found.start() - 1].isalnum() and not self._runs_on(text, found.start())
            )
            said = [
                *self.begins(text, marker.end()),
                *(each for word in others for each in self.begins(text, word.start())),
            ]
            if any(each.yes is not yes for each in said):
                yield marker.start()

    def _runs_on(self, sentence: str, start: int) -> bool:
        found = self._word.match(sentence, start)
        end = start if found is None else self._repeated(sentence, found)
        return bool(_SENTENCE.match(sentence, end)) and not _EXPLAINED.match(sentence, end)

    def _side(self, word: str) -> bool | None:
        return self._sides.get(normalize(word))

    def _in_a_word(self, text: str, start: int, *, is_bare: bool) -> tuple[Said, ...]:
        found = self._word.match(text, start)
        if found is None or not self._counts(text, found, is_bare=is_bare):
            return ()
        yes, end = bool(self._side(found[0])), self._repeated(text, found)
        said = Said(yes, start, alone=_end(_STOPS, text, end) == len(text))
        other = self._word.match(text, _end(_JOINT, text, end))
        if other and self._side(other[0]) is (not yes) and self._counts(text, other, is_bare=False):
            return (said, Said(not yes, other.start()))
        return (said,)

    def _counts(self, text: str, found: re.Match[str], *, is_bare: bool) -> bool:
        """Return whether a word is an answer, by what stands behind it."""
        form, end = normalize(found[0]), self._repeated(text, found)
        if form not in self._sides or _CONDITION.match(text, end) or _TURNED.match(text, end):
            return False
        if form not in LONE_WORDS and (_WEIGHED.match(text, end) or (form == "no" and _NUMBERED.match(text, end))):
            return False
        given = _GIVEN.match(text, end)
        value = self._word.match(text, given.end()) if given else None
        if value and self._side(value[0]) is (not self._sides[form]) and not self._runs_on(text, value.start()):
            return False
        if form in _TICKS or _end(_STOPS, text, end) == len(text):
            return True
        if form in LONE_WORDS and form not in self._own:
            return bool(_EXPLAINED.match(text, end))
        sentence = _SENTENCE if _OPEN.get(form) else _NO_SENTENCE
        return bool(_GOES_ON.match(text, end)) or (form in _OPEN and is_bare and bool(sentence.match(text, end)))

    def _repeated(self, text: str, found: re.Match[str]) -> int:
        """Return where a word ends that is said once or several times: "no no no"."""
        end = found.end()
        again = self._word.match(text, _end(_BLANK, text, end)) if _BLANK.match(text, end) else None
        while again and again[0].casefold() == found[0].casefold():
            end = again.end()
            again = self._word.match(text, _end(_BLANK, text, end)) if _BLANK.match(text, end) else None
        return end

    def _in_a_wording(self, text: str, start: int) -> tuple[Said, ...]:
        for wording, yes in self._wordings:
            found = wording.match(text, start)
            if found and _WORDING_ENDS.match(text, found.end()) and not _CONDITION.match(text, found.end()):
                return (Said(yes, None, alone=_end(_STOPS, text, found.end()) == len(text)),)
        return ()


def _end(pattern: re.Pattern[str], text: str, position: int) -> int:
    found = pattern.match(text, position)
    return position if found is None else found.end()


def _any_of(words: Iterable[str]) -> str:
    """Return a pattern of any of the words, the longest first; one that ends in a letter or digit must end there."""
    longest = sorted({word for word in words if normalize(word)}, key=lambda word: (-len(word), word))
    joiners = re.compile(r"[\s_\-]+")
    each = (
        r"[\s_\-]{1,3}".join(map(re.escape, joiners.split(word))) + (r"(?!\w)" if word[-1].isalnum() else "")
        for word in longest
    )
    return f"(?:{'|'.join(each)})"
