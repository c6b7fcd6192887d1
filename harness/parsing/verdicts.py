"""What is said of a label behind its name: that it applies, that it does not, or neither plainly. Linear time throughout.

- A word that says yes or no (`affirming`) decides, and so does a denial in its usual wordings: "no complaint about it",
  "the review does not mention this", "it was cheap, so it does not apply".
- What denies something else says nothing against the label: "the parcel did not arrive".
- Nothing, a mere sign or digit, a hedge ("maybe"), a lone degree or mood ("low", "negative"), a denial taken back
  ("no problem, but …") and one that comes late or names another label are neither yes nor no.
"""

from __future__ import annotations

import re
from functools import cache

from harness.labelspace import normalize
from harness.parsing.affirming import KNOWN_WORDS, Affirmations
from harness.parsing.cleaning import bare
from harness.regexes import regex

ANOTHER = "\ue000"
"""Stands in an explanation for the name of another label than the one explained."""

_REACH = 400
_MOST_TAILS = 40

_NOT = r"(?: not|n't| never)"
_HOW = r"(?:(?:\w{2,12}ly|even|really|ever|seem to|appear to) ){0,2}"
_RAISED = (
    r"(?:mentioned|applicable|present|relevant|applied|discussed|at all|addressed|raised|included|selected|chosen|the case"
    r"|true|stated|specified|indicated|referenced|complained about|brought up|commented on|talked about|referred to"
    r"|an? (?:\w+ )?(?:issue|problem|concern|complaint|factor|topic))"
)
_NOUN = r"(?:mention|issue|problem|complaint|concern|evidence|indication|reference|discussion|criticism|sign)s?"
_NO_NOUN = rf"no (?:(?:explicit|direct|specific|clear|real|such|particular|obvious|major|customer|it) ){{0,2}}{_NOUN}"
# Those who write or are written, and so the ones whose silence tells: "the seller did not mention it" does not.
_TEXTS = (
    r"(?:review(?:er)?|customer|user|text|author|writer|message|buyer|client|person|post|feedback|comment|case|ticket)"
)
_TEXT = rf"(?:the|this|that) (?:\w+ )?{_TEXTS}"
_IT = r"(?:it|this|that|i|there|(?:the|this|that) (?:label|category|topic|tag|theme))"
_HAS = (
    r"(?:is|are|was|were|mentions|has|have|had|sees?|saw|finds?|found|contains?|expresse[sd]|raise[sd]|reports?|makes?)"
)
_SPEAKS = (
    r"(?:mention|discuss|complain|apply|address|refer|concern|relate|pertain|talk|touch|comment|speak)"
    r"(?: (?:to|about|on|of))?"
)
_TELLS = r"(?:say|raise|report|bring up|indicate|describe|express|contain|include|have|see|find|note)"
_TAIL = (
    r"(?: (?:(?:(?:of|with|about|to|on|by) )?(?:it|this|that|anything|any)|here|at all|mentioned|raised|reported|found|made"
    rf"|anywhere|whatsoever|(?:in|to|for|by) (?:the|this) (?:\w+ )?{_TEXTS}"
    r"|(?:any )?(?:issues?|problems?|complaints?|concerns?))){0,4}"
)
_END = r"(?:$|[.;!](?!\d)|,(?! ?(?:but|however|except|until|though|although)\b)| [(–—]| - | (?:because|since|as|so)\b)"

_WORDINGS = (
    rf"(?:(?:{_TEXT}|{_IT}) )?(?:(?:not|never|(?:is|was|are|were|has been|have been){_NOT}) {_HOW}{_RAISED}"
    rf"|(?:(?:does|did|do|would){_NOT}) {_HOW}{_SPEAKS}|(?:{_HAS} )?(?:{_NO_NOUN}"
    r"|nothing(?: (?:is|was))?(?: (?:said|mentioned|stated|reported|about|suggests?|indicates?))?))"
    rf"|{_TEXT} (?:does|did|do|would){_NOT} {_HOW}{_TELLS}"
    rf"|(?:they|s?he) (?:does|did|do){_NOT} {_HOW}(?:mention|complain about) it"
    r"|none mentioned|irrelevant|inapplicable|unrelated"
)
_SAYS_NO = regex(
    rf"(?:no|false|0|n/?a|none|absent|not {_RAISED})(?:$|\s*(?:\.(?!\d)|[,;(–—])| - )|[❌✗✘✖🚫☐×✕╳]|\[ ?\]"
    rf"|(?:{_WORDINGS}){_TAIL}{_END}",
    re.IGNORECASE,
)
_TAKEN_BACK = regex(
    rf"(?:{_WORDINGS}){_TAIL}(?: \w+ly)?,? (?:but|however|except|until|though|although)\b", re.IGNORECASE
)
# Denials of what is named by other words than the label's: "no mention of delays". Signs of something, nobody mentions.
_SAYS_NO_OF = regex(
    rf"(?:(?:{_TEXT}|{_IT}) )?(?:{_HAS} )?(?!no signs?\b)(?:{_NO_NOUN}|nothing(?: (?:said|mentioned))?)(?: \w+)?"
    r" (?:of|about|with|regarding|concerning|to|that|related to|relating to) "
    rf"|(?:{_TEXT}|it|i|there) (?:does|did|do){_NOT} {_HOW}"
    r"(?:mention|discuss|complain|address|refer|talk|comment|express)\b",
    re.IGNORECASE,
)
_BUT = regex(
    rf"{ANOTHER}|\b(?:but|however|though|although|except|yet|until|only|other than|apart from|aside from|still)\b",
    re.IGNORECASE,
)
_CONCLUDES = regex(r"\b(?:so|therefore|thus|hence),? +", re.IGNORECASE)
_TAILS = regex(r"(?:[.!?;,]|\s[-–—])\s+|[（(]")
_SENTENCE_END = regex(r"[.!?;](?=\s|$)|[。！？；]")

_STOPS = r"(?:$|\s*[.,;:?!(–—]| - | (?:if|whether)\b)"
_HEDGE = regex(
    r"(?:(?:very|highly|most|rather|quite|it is|it's|this is) ){0,2}"
    r"(?:maybe|perhaps|possibl[ey]|potential(?:ly)?|arguabl[ey]|probabl[ey]|likely|unlikely|unclear|unknown|uncertain|undetermined|unsure|null|nil|undefined|tbd|partial(?:ly)?|partly"
    r"|somewhat|borderline|ambiguous|debatable|inconclusive|(?:i'm |i am )?not (?:sure|certain|clear|known)"
    r"|(?:hard|difficult|impossible) to (?:say|tell|judge|determine)|can(?:not|'t) (?:tell|say|be determined))"
    rf"{_STOPS}|(?:it )?(?:could|may|might) (?:be|apply){_STOPS}",
    re.IGNORECASE,
)
_DEGREE = regex(r"(?:very )?(?:low|medium|moderate|high|negative|positive|neutral|off)")
_MORE_WORDS = {"t": True, "√": True, "f": False, "nah": False, "×": False, "✕": False, "╳": False}
_SIDES = {**KNOWN_WORDS, **_MORE_WORDS}
_MARK = regex(r"\d{1,3}|[a-z]")
_TICKED = regex(r"\[[xX✓✔]\]?")  # its end may be taken off
_LONGEST_FORM = 40
_QUESTIONS = regex(r"[/|]|\b(?:or|oder|ou|o|или)\b|或|または", re.IGNORECASE)
_WORD = regex(r"[^\W_]")
# What a "no" in a sentence is of, the wordings above tell.
_NO_AND_MORE = regex(r"no \w", re.IGNORECASE)


def verdict(explanation: str, *, apart: bool = False) -> bool | None:
    """Return whether what stands behind a label gives it; None where that is not clear.

    Args:
        explanation: What stands there, with "it" for the label's own name and `ANOTHER` for those of others.
        apart: It is a sentence of its own, and may speak of other things: "Shipping. No complaint about the lamp."
    """
    text = " ".join(explanation[:_REACH].replace("’", "'").split()).strip(" *_`\"'")
    form = _form(text) if len(text) <= _LONGEST_FORM else text
    if _SAYS_NO.match(text):
        return False
    if form in _SIDES or _TICKED.fullmatch(text):
        return _SIDES.get(form, True)
    asked = _affirmations().without_question(text) if _QUESTIONS.search(text) else text
    if not _WORD.search(asked) or _MARK.fullmatch(form) or _DEGREE.fullmatch(form):
        return None
    told = _told(asked)
    if told is not None:
        return told
    if _HEDGE.match(text) or _TAKEN_BACK.match(text):
        return None
    if apart:
        return True
    if _SAYS_NO_OF.match(text):
        return None if _BUT.search(_SENTENCE_END.split(text, maxsplit=1)[0]) else False
    return _concluded(text)


def is_flag(word: str) -> bool:
    """Return whether a word or sign is one of yes and no, as tables have them: "yes", "✗", "0"."""
    form = _form(word)
    return form != "none" and form in _SIDES


def _form(text: str) -> str:
    return normalize(bare(text)) or text.strip()


def _told(text: str) -> bool | None:
    """Return what a word of yes or no at the head of a sentence says; None where there is none, or both."""
    said = () if _NO_AND_MORE.match(text) else _affirmations().begins(text)
    return said[0].yes if len({each.yes for each in said}) == 1 else None


def _concluded(text: str) -> bool | None:
    """Return what the end of a text makes of its label: "It was cheap, so it does not apply", "Is it dear? No."."""
    for joint in [*_CONCLUDES.finditer(text)][-1:]:
        if _SAYS_NO.match(text, joint.end()) or _told(text[joint.end() :]) is False:
            return False
    for joint in [*_TAILS.finditer(text)][-_MOST_TAILS:]:
        said = _SAYS_NO.match(text, joint.end())
        if said and "?" in joint[0]:
            return False
        if said and not text[said.end() :].strip(" .)）!"):
            return None  # "Fine, no complaint": it may deny the label, or what was said last.
    return True


@cache
def _affirmations() -> Affirmations:
    return Affirmations("yes", "no")
