"""Labels named inside English sentences, and whether a sentence gives or denies them.

A sentence is cut into clauses ("but", "because", "; it is …"), and in a clause a label, or labels joined by commas and
"and", is judged by the words before and behind it:

- denied when nothing but light words stands between a negation and it ("not about shipping", "no sign of a shipping
  problem", "neither shipping nor price"), or when it is said of it ("shipping is not mentioned", "price: no");
- given when no negation touches it;
- unclear in all other cases ("did not like the price", "shipping or price", a question, a negation in another language).
  What is unclear is never guessed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from harness.kept import Kept
from harness.labelspace import LabelSpace, normalize
from harness.parsing.names import Item, Kind
from harness.regexes import regex

_M = "\ue000"  # A label in a clause.
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_TOKEN = regex(rf"[{_CJK}]|[^\W_{_CJK}]+(?:'(?!s\b)[^\W_{_CJK}]+)?|'s\b|[.](?=\s|$)|[^\s]")
_STRUCK_OUT = regex(r"~~[^~]{1,200}~~")
_STOPS = frozenset(".!?;。！？；…")

_GROUP = regex(
    rf"{_M}(?: (?:(?:, )?(?:and|or|nor|&|/|plus|as well as|and / or)|,)(?: (?:the|also|about|of))? {_M})*+",
    re.IGNORECASE,
)
_JOINT = regex(r"\b(and|or|nor|plus)\b|[&/,]")

_SUBJECT = (
    r"(?:it|they|he|she|we|i|you|this|that|there|(?:the|this|a) (?:customer|user|reviewer|text|review|author|writer|message"
    r"|complaint|issue|problem|main|person|buyer|feedback|label)\b|complains?|mentions?|says?|is|are|was|were|talks?|discusses"
    r"|describes?|states?|reports?|focuses|applies|concerns|relates|its? (?:about|is|was))"
)
_CLAUSE = regex(
    r" ,? ?(?:but|however|although|though|while|whereas|yet|because|since|so|therefore|thus|hence|which|who|when|where) "
    rf"|(?: ,)?(?: and| &) (?={_SUBJECT} )| , (?={_SUBJECT} )| [(): —–] (?={_SUBJECT} )"
)
_ALL = regex(r"(?:\b(?:all|every\w*|any(?:thing|one)|each)\b[^,]*) $")

_NOT_ONLY = regex(
    r"\bnot (?:only|just|merely|solely|simply)\b"
    r"|\b(?:not|never|\w+n't|no) (?:\w+ )?(?:happy|satisfied|pleased|impressed|content|thrilled) (?:with|by|about)\b"
)
_CUE = (
    r"(?:not|no|never|neither|nor|without|cannot|nothing|none|hardly|\w+n't|(?:do|does|did|is|are|was|were|has|have|can|could|wo)nt"
    r"|lack|lacks|lacking|absence|absent|rather than|instead of|as opposed to|unrelated|irrelevant|exclude[sd]?|excluding"
    r"|free of|non|rule[sd]? out|fail(?:s|ed)? to|unlike|except|other than|apart from|aside from|besides|either|whether"
    r"|if|unless|unclear|unsure|nobody|free from)"
)
_HAS_CUE = regex(rf"(?<!\w){_CUE}(?!\w)")
_HEDGES = regex(
    r"\b(?:whether|if|unless|either|unclear|unsure|except|other than|apart from|aside from|besides|hardly|not that|far from"
    r"|(?:i|we)(?: have|'ve)? (?:removed|dropped|discarded|dismissed|rejected))\b"
)
_LIGHT = (
    r"(?:a|an|the|any|some|of|on|in|to|with|about|for|from|by|at|as|upon|regarding|concerning|touch(?:es|ed|ing)?|mention\w*|"
    r"issues?|problems?|complaints?|concern\w*|signs?|evidence|indicat\w+|referenc\w+|relat\w+|refer\w*|complain\w*|discuss\w*|"
    r"talk\w*|sa(?:y|ys|id|ying)|anything|something|specific\w*|explicit\w*|direct\w*|really|actually|clear\w*|be|been|is|are|"
    r"was|appl\w+|labels?|labell?ed|categor\w+|topics?|tags?|class\w*|address\w*|describ\w+|contain\w*|includ\w+|involv\w+|"
    r"have|has|being|particular|such|kinds?|sorts?|types?|rais\w+|impl(?:y|ies|ied)|suggest\w*|think|believe|see|find|it|that|"
    r"this|there|seems?|appears?|primarily|mainly|necessarily|even|do|case|matter|question|here|also|falls?|under|['\"`*:(\[])"
)
_CUE_TO_LABEL = regex(rf"(?<!\w){_CUE}(?: {_LIGHT}){{0,10}} $")
_WITH_WORDS = regex(
    rf"(?<!\w){_CUE}(?: {_LIGHT}){{0,10}} (?:about|of|mention\w*|concern\w*|relat\w+ to|regarding) (?:the )?$"
)
_NOUNS = r"(?: (?:issues?|problems?|complaints?|concerns?|labels?|category|categories|topics?|tags?|'s|['\"`*)\]]))*+"
_UNRAISED = (
    r"(?:(?:really|actually|explicitly|directly|even|at all|specifically|clearly|be|been|being|seems?|appear|to|a|an|any|the"
    r"|part of|one of|main|real|considered|listed as|among|in|also|under|at) )*+(?:problems?|issues?|concerns?|complaints?"
    r"|factors?|topics?|subject|mention\w*|discuss\w*|relevant|applicable|appl(?:y|ied|ies)|address\w*|present|includ\w+"
    r"|involved|referenced|referred|cover\w*|raised|question|affected|appear|labels?|chosen|selected|indicated|found|stated"
    r"|reported|related|noted|described|criticized)(?!\w)"
)
_VERB = r"(?:is|are|was|were|does|do|did|has|have|had|can|could|should|would|will|seems?|appears?)"
_DENIED_BEHIND = regex(
    rf"{_NOUNS}(?: {_VERB}(?: \w+ly)? (?:not|never)| {_VERB}n't| (?:ca|wo)n't)(?: \w+ly)? {_UNRAISED}"
    rf"|{_NOUNS} {_VERB} (?:irrelevant|absent|inapplicable|unrelated|excluded|unmentioned|ruled out"
    r"|no (?:issue|problem|concern))(?!\w)"
    rf"|{_NOUNS}(?: (?::|=|\(|-|→|->))? (?:no|false|absent|none|0|not (?:mentioned|applicable|present|relevant|discussed))"
    r"(?: [,)]| *$)"
)
_VERB_BEHIND = regex(
    r"(?: \w+){0,3} (?:is|are|was|were|has|have|does|do|did|came|seems?|looks?|feels?|arrived|applies)(?!\w)"
)
_AS_ASIDE = regex(
    r"\b(?:possible|available|candidate|following|given) (?:labels?|categories|tags|options|topics|classes)\b"
    r"|\b(?:options|choices) (?:are|include)\b|\bchoose (?:from|between)\b"
)
_NONE_SAID = regex(
    r"\bnone of (?:the|these|those) (?:(?:above|given|listed|provided|possible|available) ){0,2}(?:(?:labels?|categories"
    r"|options|topics|tags|classes) )?(?:appl(?:y|ies|icable)|fits?|match(?:es)?"
    r"|(?:is|are) (?:applicable|relevant|mentioned))\b"
    r"|\bno labels? appl(?:y|ies)\b"
)
# Negations of other languages: where one stands, nothing is clear.
_FOREIGN = regex(
    r"\b(?:nicht|kein(?:e[nrsm]?)?|weder|ohne|nie|pas|aucune?|sans|jamais|ninguna?|sin|nunca|tampoco|non|né|nessuna?|senza|mai"
    r"|não|nenhuma?|sem|niet|geen|zonder|inte|ingen|ikke|nie|bez|не|нет|без|ни|нi)\b|[不没無无非未]|ない|なし|ません|لا|ليس|غير"
)


class Mentions:
    """Finds the labels of a label space in sentences: whole words, by any spelling, the longest spelling first."""

    def __init__(self, space: LabelSpace) -> None:
        self._names = {tuple(_tokens(spelling)): name for spelling, name in space.spellings.items()}
        self._names.pop((), None)
        self._longest = max(map(len, self._names), default=0)

    def read(self, text: str) -> list[Item]:
        """Return the labels in a text, each given, denied or unclear, and an explicit none, in order."""
        found: list[Item] = []
        sentence: list[str] = []
        names: list[str] = []
        for token, name in self._marked(_tokens(_STRUCK_OUT.sub(" ", text))):
            sentence.append(token)
            if name is not None:
                names.append(name)
            elif token in _STOPS:
                found += _judged(sentence, names)
                sentence, names = [], []
        return found + _judged(sentence, names)

    def _marked(self, tokens: list[str]) -> Iterator[tuple[str, str | None]]:
        """Yield the tokens, those of a label as one mark with the label's name."""
        position = 0
        while position < len(tokens):
            for count in range(min(self._longest, len(tokens) - position), 0, -1):
                name = self._names.get(tuple(tokens[position : position + count]))
                if name is not None:
                    yield _M, name
                    position += count
                    break
            else:
                yield tokens[position], None
                position += 1


_MENTIONS = Kept[Mentions]()


def mentions_of(space: LabelSpace) -> Mentions:
    """Return what finds the labels of a label space in sentences; the same one gives the same object."""
    return _MENTIONS.of((), (space,), lambda: Mentions(space))


def _tokens(text: str) -> list[str]:
    """Return the words and signs of a text in its normal form; marks and joiners stay with the letters around them."""
    form = normalize(text.replace("’", "'")).replace(_M, "\ufffd")
    tokens: list[str] = []
    end, glued = -1, False
    for match in _TOKEN.finditer(form):
        is_mark = unicodedata.category(match[0][0]) in ("Mn", "Mc", "Me", "Cf")
        if tokens and match.start() == end and (is_mark or glued):
            tokens[-1] += match[0]
        else:
            tokens.append(match[0])
        end, glued = match.end(), is_mark
    return tokens


def _judged(sentence: list[str], names: list[str]) -> list[Item]:
    """Return the labels of one sentence with what it says of them."""
    text = f" {' '.join(sentence)} "
    none = [Item(Kind.NONE)] if _NONE_SAID.search(text) else []
    if not names or _AS_ASIDE.search(text):
        return none
    if sentence[-1] in "?？" or _FOREIGN.search(text):
        return none + [Item(Kind.UNCLEAR, name) for name in names]
    kinds = [kind for clause in _clauses(text) for kind in _kinds(*clause)]
    return none + [Item(kind, name) for kind, name in zip(kinds, names, strict=True)]


def _clauses(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the clauses of a sentence, and whether one follows "all", "everything" as an exception of it."""
    begin, excepted = 0, False
    for match in _CLAUSE.finditer(text):
        clause = f"{text[begin : match.start()]} "
        yield clause, excepted
        excepted = "but" in match[0] and _ALL.search(clause[-_NEAR:]) is not None
        begin = match.end() - 1
    yield text[begin:], excepted


_NEAR = 200


def _kinds(clause: str, excepted: bool) -> Iterator[Kind]:
    """Yield for every label of a clause what it says of it."""
    clause = _NOT_ONLY.sub("only", clause)
    groups = list(_GROUP.finditer(clause))
    edges = [0, *(edge for group in groups for edge in group.span()), len(clause)]
    between = [clause[begin:end] for begin, end in zip(edges[::2], edges[1::2], strict=True)]
    cued = excepted
    for number, group in enumerate(groups):
        before, behind = between[number], between[number + 1]
        last = number == len(groups) - 1
        # Words before the next label that say something of this one.
        own = behind if last or not _CUE_TO_LABEL.search(behind[-_NEAR:]) else ""
        said = _DENIED_BEHIND.match(own)
        kind = Kind.UNCLEAR if cued else _kind(group[0], before, own, said is not None)
        cued = cued or _HAS_CUE.search(before) is not None
        if said:
            between[number + 1] = behind[said.end() - 1 :]
        yield from [kind] * group[0].count(_M)


def _kind(group: str, before: str, behind: str, denied_behind: bool) -> Kind:
    """Return what a clause says of labels that stand together.

    Args:
        group: The labels and what joins them.
        before: The words between the labels before, or the beginning, and these.
        behind: The words behind them that speak of them.
        denied_behind: These words deny them.
    """
    joints = {joint[0] for joint in _JOINT.finditer(group)}
    cues = _HAS_CUE.findall(before)
    if _HEDGES.search(before):
        return Kind.UNCLEAR
    if denied_behind:
        return Kind.UNCLEAR if cues and cues != ["neither"] else Kind.DENIED
    if _HAS_CUE.search(behind):
        return Kind.UNCLEAR
    if not cues:
        return Kind.UNCLEAR if joints & {"or", "nor"} else Kind.LABEL
    if len(cues) > 1 or not _CUE_TO_LABEL.search(before[-_NEAR:]):
        return Kind.UNCLEAR
    if not joints or cues == ["neither"]:
        return Kind.DENIED
    if _VERB_BEHIND.match(behind):
        return Kind.UNCLEAR
    if joints & {"or", "nor"} and not joints & {"and", "&", "plus"}:
        return Kind.DENIED
    # "not a and b" may deny both or only their being together; "no mention of a and b" denies both.
    return Kind.DENIED if "and" in joints and _WITH_WORDS.search(before[-_NEAR:]) else Kind.UNCLEAR
