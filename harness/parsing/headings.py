"""What announces the lines of an answer: "Answer:", "The labels that apply are:", "Explanation:", "Text:"."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from harness.parsing.cleaning import BULLET, LINE_ENDS, bare
from harness.regexes import regex

_REACH = 100
_MOST_WORDS = 12
_MOST_MARKED_WORDS = 4

_BY_COLON = regex(rf"([^:：]{{1,{_REACH}}})[:：]")
_BY_VERB = regex(rf"(.{{1,{_REACH}}}?) (?:is|are|would be) ")
_NONE = regex(r"\bnone\b", re.IGNORECASE)
_BRACKETED = regex(r"\([^()]{0,80}(?:\)|$)")
_MARKED_UP = regex(r"#{1,6} |\*\*|__")
_COUNTING = regex(
    r"\d+|\b(?:first|second|third|fourth|fifth|primary|secondary|main|other|others|additional|also|next|another)\b|[\W_]+"
)
_CHOOSES = regex(r"\b(?:selected|chosen|applicable|appl(?:y|ies)|correct|new|actual|relevant)\b", re.IGNORECASE)
_SO = regex(r"(?:^|[,;.!] |[–—-] )(?:and )?(?:so|therefore|thus|hence)[ ,:]\s*", re.IGNORECASE)
_REVISES = regex(
    r"[*_#>\s-]*(?:(?:hmm+|oh|ok(?:ay)?|no|but|well)\b[\s,.!…—-]*){0,2}"
    r"(?:(?:actually|corrections?|wait|on second thoughts?|scratch that|edit|let me (?:re\w+|correct|fix))\b"
    r"[\s,:.!…*_—-]*)+",
    re.IGNORECASE,
)
_CHANGES = regex(
    r"[*_\s-]*(?:please )?(?:i(?:['’]d| would)? )?(?:remove|drop|delete|add|include|exclude)\b", re.IGNORECASE
)
_FENCE = regex(r"(?:```|~~~)\w*")


class Heading(StrEnum):
    """What a heading announces: a final answer, labels, a new input, or something that is not the answer."""

    ANSWER = "answer"
    LABELS = "labels"
    INPUT = "input"
    ASIDE = "aside"


ANNOUNCING = (Heading.ANSWER, Heading.LABELS)
"""The headings behind which labels stand."""


_ANSWER = regex(
    r"\b(?:answers?|final|conclusion|therefore|verdict|decision|antwort|réponse|respuesta|risposta|resposta)\b"
    r"|答案|回答|结论|結論|ответ"
)
_LABELS = regex(
    r"\b(?:labels?|labell?ed|classified|categori[sz]ed|tagged|categor(?:y|ies)|tags?|topics?|class(?:es|ification)?|output|results?|response|predictions?"
    r"|appl(?:y|ies|icable)|kategorien?|etiketten|étiquettes?|catégories?|etiquetas?|categorías?|etichette)\b"
    r"|标签|標籤|类别|類別|分类|ラベル|метки|метка"
)
_EXPLANATION = regex(
    r"\b(?:explanations?|explain|reason(?:s|ing)?|rationale|justification|why|because|notes?|analysis|evidence|confidence|summary"
    r"|thinking|thoughts?"
    r"|begründung|erklärung|explication|explicación|spiegazione|explicação)\b"
    r"|理由|说明|解释|分析|説明|пояснение|объяснение"
)
# Of headings about labels, those that announce the others, or the list to choose from.
_OTHERS = regex(
    r"\b(?:not|no|non|exclud(?:ed?|ing)|without|except|irrelevant|unused|inapplicable|unrelated|absent|missing"
    r"|unlikely|rejected|ruled|neither|available|possible|considered|candidates?|potential|preliminary|initial|tentative|draft"
    r"|discarded|dismissed|dropped|removed|given (?:labels?|categories|tags|topics|classes|codes|options))\b|n['’]t\b"
)
_OTHERS_ALONE = regex(
    r"(?:excluded|excluding|irrelevant|unrelated|inapplicable|rejected|discarded|dismissed|dropped|considered|ruled out"
    r"|candidates|not(?: (?:chosen|selected|mentioned))?|(?:the |possible )?(?:options|choices))"
)
# Headings that name no labels, but say of what follows that the text does not speak of it. "Not happy with:" is none.
_UNSAID = regex(
    r"\b(?:not|never|(?:do|does|did|is|are|was|were)n['’]?t) (?:\w+ ){0,2}?(?:mention|discuss|address|complain about"
    r"|talk about|refer to|relate to|appl(?:y|ies)"
    r"|(?:mentioned|discussed|addressed|applicable|relevant|present|raised|chosen|selected)\b)"
    r"|\b(?:is|are|was|were|do|does|did)(?: not|n['’]?t)(?:(?: really| at all)? about\b|$)"
    r"|\b(?:no|without)(?: \w+)? (?:mention|complaints?|issues?|problems?|concerns?|evidence|signs?|indication)\b"
)
_INPUT = regex(
    r"(?:(?:the|next|new|customer|user|product) )?"
    r"(?:text|review|input|sample|example|question|customer|feedback|message|ticket|user|document|post|human)"
    r"(?: text)?(?: ?#?\d{1,4})?"
    r"|文本|评论|отзыв|текст"
)


def by_colon(line: str) -> tuple[str, str] | None:
    """Return the head of a line up to its first colon and what follows, or None where no colon is in reach."""
    found = _BY_COLON.match(line)
    return (found[1], line[found.end() :].strip()) if found else None


def by_verb(line: str) -> tuple[str, str] | None:
    """Return the head of a line up to its first "is" or "are" and what follows, or None where none is in reach."""
    found = _BY_VERB.match(line)
    # "None of the labels apply. It is …" announces nothing.
    return (found[1], line[found.end() :].strip()) if found and not _NONE.search(found[1]) else None


def heading_of(head: str, more: re.Pattern[str] | None = None) -> Heading | None:
    """Return what ``head`` announces, or None when it is no heading known here.

    Args:
        head: The words, without their colon.
        more: Further words that announce labels where a format has such.
    """
    words = " ".join(_BRACKETED.sub(" ", head).casefold().split())
    if len(words.split(" ")) > _MOST_WORDS:
        return None
    announces_labels = _ANSWER.search(words) or _LABELS.search(words) or (more is not None and more.search(words))
    aside = _EXPLANATION.search(words) or _OTHERS_ALONE.fullmatch(words) or _UNSAID.search(words)
    if aside or (announces_labels and _OTHERS.search(words)):
        return Heading.ASIDE
    if announces_labels:
        return Heading.ANSWER if _ANSWER.search(words) else Heading.LABELS
    return Heading.INPUT if _INPUT.fullmatch(words.strip(" *_#")) else None


def marked_heading(line: str, more: re.Pattern[str] | None = None) -> Heading | None:
    """Return what a line without a colon announces: one that markup makes a heading, as "## Answer", or a single word."""
    heading = heading_of(bare(line) if more else line, more) if len(line.split()) == 1 or is_marked(line) else None
    return None if heading is Heading.INPUT else heading


def is_marked(line: str) -> bool:
    """Return whether markup makes a line a heading."""
    return _MARKED_UP.match(line) is not None and len(line.split()) <= _MOST_MARKED_WORDS


def heading_key(words: str) -> str:
    """Return the words of a heading but for what only counts: "Label 1:" and "Other labels:" are of one kind."""
    return " ".join(word.removesuffix("s") for word in _COUNTING.sub(" ", words.casefold()).split())


def is_choice(words: str, before: Iterable[str]) -> bool:
    """Return whether a heading announces a choice among what stands under those before it: "Labels that apply:"."""
    return _CHOOSES.search(words) is not None and not any(map(_CHOOSES.search, before))


def behind_revision(line: str) -> str | None:
    """Return what follows the words of a line that go back on what was said ("Actually, …"); None when it has none."""
    found = _REVISES.match(line)
    rest = line[found.end() :] if found else None
    # A change of what was said is no answer by itself: "remove price" does not say price.
    return "" if _CHANGES.match(line if rest is None else rest) else rest


def behind_so(line: str) -> str | None:
    """Return the conclusion that ends a line: "It is all praise, so the answer is none"; None when it has none."""
    joints = list(_SO.finditer(line))
    return line[joints[-1].end() :] if joints else None


@dataclass(frozen=True, slots=True)
class Passage:
    """A line of a text that may belong to the answer, or what follows the heading on it.

    Attributes:
        heading: ANSWER or LABELS when the line has such a heading; after ANSWER what was said before is void.
        words: The words of that heading.
    """

    text: str
    heading: Heading | None = None
    words: str = ""


def passages(
    text: str,
    is_said: Callable[[str], bool],
    answers: Callable[[str], bool],
    answered: Callable[[], bool],
    more: re.Pattern[str] | None = None,
) -> Iterator[Passage]:
    """Yield the lines of a text that may belong to the answer, trimmed: fences, explanations and new inputs are left out.

    Reasons given before the answer end with their paragraph, those behind it go on to the next heading, and a new input
    ("Text:") behind the answer ends it.

    Args:
        text: What `answer_text` left of a completion.
        is_said: Tells whether the words before a colon are a label or code themselves, and so no heading.
        answers: Tells whether words are an answer: "is" and "are" announce nothing else.
        answered: Tells whether an answer was met by now.
        more: Further words that announce labels.
    """
    aside = skipped = False
    for line in map(str.strip, LINE_ENDS.split(text)):
        if not line:
            aside = aside and (answered() or not skipped)
            continue
        if _FENCE.fullmatch(line):
            continue
        heading, rest = _headed(line, is_said, answers, more)
        if heading is Heading.INPUT and answered():
            return
        if heading is Heading.ASIDE:
            aside, skipped = not BULLET.match(line) and (not bare(rest) or rest.endswith(":")), False
        elif heading in ANNOUNCING:
            aside = False
            yield Passage(rest, heading, line[: len(line) - len(rest)])
        elif aside:
            skipped = True
        elif heading is None:
            yield Passage(line)


def _headed(
    line: str, is_said: Callable[[str], bool], answers: Callable[[str], bool], more: re.Pattern[str] | None
) -> tuple[Heading | None, str]:
    split = by_colon(line)
    if split:
        head, rest = split
        heading = None if is_said(head) else heading_of(bare(head), more)
        if heading in ANNOUNCING:
            # "Final answer: The final answer is …"
            again = by_verb(rest)
            nested = again is not None and answers(again[1]) and heading_of(again[0], more) in ANNOUNCING
            return heading, again[1] if again and nested else rest
        if heading:
            return heading, rest
    split = by_verb(line)
    if split and answers(split[1]):
        heading = heading_of(split[0], more)
        if heading in ANNOUNCING:
            return heading, split[1]
    heading = None if is_said(line) else marked_heading(line)
    return (heading, "") if heading else (None, line)
