"""What announces the lines of an answer: "Answer:", "The labels that apply are:", "Explanation:", "Text:"."""

from __future__ import annotations

import re
from enum import StrEnum

_REACH = 100
_MOST_WORDS = 12
_MOST_MARKED_WORDS = 4

_BY_COLON = re.compile(rf"([^:：]{{1,{_REACH}}})[:：]")
_BY_VERB = re.compile(rf"(.{{1,{_REACH}}}?) (?:is|are|would be) ")
_BRACKETED = re.compile(r"\([^()]{0,80}(?:\)|$)")
_MARKED_UP = re.compile(r"#{1,6} |\*\*|__")


class Heading(StrEnum):
    """What a heading announces: a final answer, labels, a new input, or something that is not the answer."""

    ANSWER = "answer"
    LABELS = "labels"
    INPUT = "input"
    ASIDE = "aside"


ANNOUNCING = (Heading.ANSWER, Heading.LABELS)
"""The headings behind which labels stand."""


_ANSWER = re.compile(
    r"\b(?:answers?|final|conclusion|therefore|verdict|decision|antwort|réponse|respuesta|risposta|resposta)\b"
    r"|答案|回答|结论|結論|ответ"
)
_LABELS = re.compile(
    r"\b(?:labels?|categor(?:y|ies)|tags?|topics?|class(?:es|ification)?|output|results?|response|predictions?"
    r"|appl(?:y|ies|icable)|kategorien?|etiketten|étiquettes?|catégories?|etiquetas?|categorías?|etichette)\b"
    r"|标签|標籤|类别|類別|分类|ラベル|метки|метка"
)
_EXPLANATION = re.compile(
    r"\b(?:explanations?|explain|reason(?:s|ing)?|rationale|justification|why|because|notes?|analysis|evidence|confidence|summary"
    r"|begründung|erklärung|explication|explicación|spiegazione|explicação)\b"
    r"|理由|说明|解释|分析|説明|пояснение|объяснение"
)
# Of headings about labels, those that announce the others, or the list to choose from.
_OTHERS = re.compile(
    r"\b(?:not|no|non|exclud(?:ed?|ing)|without|except|irrelevant|unused|inapplicable|unrelated|absent|missing"
    r"|unlikely|rejected|ruled|neither|available|possible)\b|n['’]t\b"
)
_OTHERS_ALONE = re.compile(r"(?:excluded|irrelevant|unrelated|rejected|ruled out|not (?:chosen|selected|mentioned))")
_INPUT = re.compile(
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
    return (found[1], line[found.end() :].strip()) if found else None


def heading_of(head: str) -> Heading | None:
    """Return what ``head`` announces, or None when it is no heading known here."""
    words = " ".join(_BRACKETED.sub(" ", head).casefold().split())
    if len(words.split(" ")) > _MOST_WORDS:
        return None
    announces_labels = _ANSWER.search(words) or _LABELS.search(words)
    if _EXPLANATION.search(words) or _OTHERS_ALONE.fullmatch(words) or (announces_labels and _OTHERS.search(words)):
        return Heading.ASIDE
    if announces_labels:
        return Heading.ANSWER if _ANSWER.search(words) else Heading.LABELS
    return Heading.INPUT if _INPUT.fullmatch(words.strip(" *_#")) else None


def marked_heading(line: str) -> Heading | None:
    """Return what a line without a colon announces: one that markup makes a heading, as "## Answer", or a single word."""
    words = len(line.split())
    heading = heading_of(line) if words == 1 or (_MARKED_UP.match(line) and words <= _MOST_MARKED_WORDS) else None
    return None if heading is Heading.INPUT else heading
