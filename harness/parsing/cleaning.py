"""What stands around an answer and is none: reasoning, end tokens, fences, markup. Everything here takes linear time."""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.records import FailureKind, ParseFailure
from harness.regexes import regex

INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff\ufe0e\ufe0f\u200e\u200f"
"""Zero-width characters, variation selectors and direction marks: taken off the ends of a name, kept inside of it."""

LINE_ENDS = regex(r"\r\n?|\n")

_CLIP = 100
_LAYERS = 16

_REASONING = regex(r"<(/?)(?:think|thinking|thought|reasoning)>|(?-i:\[(/?)THINK\])", re.IGNORECASE)
# The channels of gpt-oss: what is no final one is reasoning.
_CHANNEL = regex(r"<\|channel\|>(\w{1,20})[^<\n]{0,80}(?:<\|constrain\|>\w{1,20})?<\|message\|>")
_ANSWER_TAG = regex(r"<(/?)answer>", re.IGNORECASE)
_BOXED = regex(r"\${0,2}\\(?:boxed|text)\{([^{}\n]{0,1000})\}\${0,2}")
_MARKED = regex(r"[<\\]|\[/?THINK\]")
"""Signs without which a text has none of these: most answers."""

_END_OF_TURN = regex(
    r"<\|(?:im_end|endoftext|end|eot_id|eos|end_of_text|return|call)\|>|</s>|<end_of_turn>|<｜end▁of▁sentence｜>",
    re.IGNORECASE,
)

BULLET = regex(
    r"(?:[-*+•‣▪◦●·–—]|\(?[a-zA-Z]\))(?:\s+|$)"
    r"|\(?\d{1,3}[.)](?:\s+|(?!\d))"
    r"|(?:[☑✅✓✔]\ufe0f?|\[[xX✓✔]\])\s*"
)
"""A bullet, number or ticked box before an item."""

UNTICKED = regex(r"(?:[-*+•]\s+)?(?:\[\s?\]|[☐❌✗✘✖🚫])\ufe0f?\s*(?=\w)")
"""An empty or crossed box before an item: it is denied."""

_EMPTY_BOX = regex(r"\[ ?\]\Z")
_LEAD_IN = regex(r"(?:(?:and|&)\s+|(?:#{1,6}|>)\s*)", re.IGNORECASE)
_PAIRS = {'"': '"', "'": "'", "`": "`", "*": "*", "_": "_"}
_PAIRS |= {"“": "”", "„": "“", "‘": "’", "«": "»", "「": "」"}
# Tildes are not among them: what is struck out is not said.
_PAIRS |= {"[": "]", "(": ")", "{": "}", "<": ">", "【": "】", "『": "』"}
_EDGES = frozenset(_PAIRS) | frozenset(_PAIRS.values())
_PICTURE = regex(
    "[\U0001f300-\U0001f43f\U0001f451-\U0001f4f4\U0001f526-\U0001f52f\U0001f680-\U0001f6a2\U0001f6d2\U0001f6e0]"
)
"""Pictures of things, which say nothing of the name beside them; thumbs, crosses, question marks and circles are none."""

_STOPS = frozenset(".,;:!。、；：！،")


def answer_text(text: str, cut: bool) -> str:
    """Return the part of a completion in which the answer stands.

    Reasoning is taken out, what follows an end-of-turn token is dropped, and of answer tags the last one's content is
    kept (with a line end after it: it is finished).

    Raises:
        ParseFailure: Nothing is left: the answer is empty, or the reasoning never came to an end.
    """
    body, thinking = text, False
    if _MARKED.search(text):
        body, thinking = _without_reasoning(text)
        body = _BOXED.sub(r"\1", _BOXED.sub(r"\1", _in_answer_tag(_first_turn(body))))  # "\\boxed{\\text{…}}" is two
    if not body.strip().strip(INVISIBLE):
        why = "the reasoning never ends" if thinking else "empty answer"
        if cut:
            raise ParseFailure(FailureKind.TRUNCATED, f"{why}: the tokens ran out before an answer")
        raise ParseFailure(FailureKind.UNPARSEABLE, why)
    return body


def _without_reasoning(text: str) -> tuple[str, bool]:
    """Return the text outside of reasoning tags, and whether the last one is still open."""
    channels = list(_CHANNEL.finditer(text))
    if channels:
        final = channels[-1]
        is_said = final[1] == "final" or " to=" in final[0]  # a tool is called, with the answer as its arguments
        return (text[final.end() :], False) if is_said else ("", True)
    kept: list[str] = []
    position, inside = 0, False
    for tag in _REASONING.finditer(text):
        if tag[1] or tag[2]:
            if not inside:
                kept.clear()  # Its opening tag stood in the prompt: all before it is reasoning.
            position, inside = tag.end(), False
        elif not inside:
            kept.append(text[position : tag.start()])
            inside = True
    if not inside:
        kept.append(text[position:])
    return "".join(kept), inside


def _first_turn(text: str) -> str:
    turns = _END_OF_TURN.split(text)
    return next((turn for turn in turns if turn.strip()), "")


def _in_answer_tag(text: str) -> str:
    start, end = 0, None
    for tag in _ANSWER_TAG.finditer(text):
        if tag[1]:
            end = tag.start()
        else:
            start, end = tag.end(), None
    return text[start:] if end is None else f"{text[start:end]}\n"


def peel(text: str) -> Iterator[str]:
    """Yield ``text`` trimmed, then again and again with one more layer of decoration off.

    Layers are bullets and numbers, quotes, brackets, emphasis and a stop at the end. They come off one at a time and
    each result is yielded, so that a name which is itself written with such signs is met before it loses them.
    """
    for _ in range(_LAYERS):
        text = text.strip()
        if not text:
            return
        yield text
        text = _without_layer(text)


def _without_layer(text: str) -> str:
    if UNTICKED.match(text) or _EMPTY_BOX.search(text):
        return ""
    visible = text.strip(INVISIBLE)
    if visible != text:
        return visible
    mark = BULLET.match(text) or _LEAD_IN.match(text)
    if mark:
        return text[mark.end() :]
    first, last = text[0], text[-1]
    if len(text) > 1 and _PAIRS.get(first) == last:
        return text[1:-1]
    if last in _STOPS:
        return text[:-1]
    if first in _EDGES or _PICTURE.match(first):
        return text[1:]
    if _PICTURE.match(last):
        return text[:-1]
    return text[:-1] if last in _EDGES else ""


def bare(text: str) -> str:
    """Return ``text`` without any of the layers that `peel` takes off."""
    layers = list(peel(text))
    return layers[-1] if layers else ""


def clip(text: str) -> str:
    """Return ``text`` as it may be reported: at most 100 characters, and encodable."""
    shown = text if len(text) <= _CLIP else f"{text[: _CLIP - 1]}…"
    return encodable(shown)


def encodable(text: str) -> str:
    """Return ``text`` with lone surrogates, which no file can hold, replaced by question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")
