"""The format `yes_no`: whether one label applies, in a word or the usual wordings; and how probable that is, from tokens.

Reasons may stand before the answer or behind it. What announces an answer ("Answer:", "The answer is") starts the reading
again, as in the format `list`; an object of JSON counts before what stands around it, and what follows a heading such as
"Review:" answers something else. A text that says both, takes back what it said, or only asks ("yes or no"), says nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from harness.labelspace import LabelSpace, is_visible, normalize
from harness.parsing.affirming import KNOWN_WORDS, Affirmations, Said
from harness.parsing.cleaning import answer_text
from harness.parsing.formats import Format, Output, setting
from harness.parsing.grammars import one_of
from harness.parsing.headings import Heading, passages
from harness.parsing.jsonkeys import asks_plainly, words_of
from harness.parsing.jsonscan import turns_of, values_of
from harness.parsing.tokens import Token
from harness.records import Answer, FailureKind, FieldValue, ParseFailure
from harness.regexes import regex

OPTIONS: Mapping[str, Any] = {"yes": "yes", "no": "no", "min_mass": 0.05}
"""The words that are written and always known, and the least mass that a probability may rest on.

Measured with `local/smollm2-135m` on the reviews: what is asked "yes or no" leaves yes and no together a median of 0.32 when
the text stands last and 0.77 when the question does (least 0.09 of 180); what asks for something else ("what does it say
about …", "which labels apply") leaves them at most 0.04, and which of the two is ahead there says nothing about the label.
"""

_MORE = regex(r"\b(?:present|mentioned|relevant|verdict|judge?ment|assigned|respond|reply)\b")
_QUESTION = frozenset({"q", "question", "frage"})
_UNTICKED = regex(r"\s*(?:[-*+•]\s+)?(?:\[\s?\]|\(\s?\)|[☐○])\s*(?=\w)")
_ANNOUNCED = regex(
    r"\b(?:answer|verdict|decision|conclusion)(?: (?:here|to (?:the|this|your) question))?"
    r"(?:(?: (?:is|would be|must be|should be))?\s{0,3}[:=：]| (?:is|would be|must be|should be)\b)"
    r"|\b(?:result|output|prediction|response|classification)\s{0,3}=",
    re.IGNORECASE,
)
_DEEPEST = 3
_STRIPPED = " \t\r\n\"'`*_([{<>▁Ġ\u200b\ufeff“‘«"
_ENDED = "\"'`*_)]}>.,;:!"
_SIGNS = ({"1", "0"}, {"y", "n"})
_FEWEST_LISTED = 2
_BOTH = frozenset({True, False})


@dataclass(frozen=True, slots=True)
class _Reading:
    """What a text says.

    Attributes:
        sides: One, both or none.
        start: Where the word of it stands.
        is_settled: False when something could still take it back.
        repaired: JSON that says it had to be mended.
        behind: Where what follows it begins, at the latest where it stands itself.
    """

    sides: frozenset[bool]
    start: int | None = None
    is_settled: bool = True
    repaired: bool = False
    behind: int = 0


def parse(text: str, space: LabelSpace, output: Output, cut: bool) -> Answer:
    """Return the label when the text says yes, the empty set when it says no.

    Raises:
        ParseFailure: It says neither, or both, or was cut before its answer.
    """
    body = answer_text(text, cut)
    reading = _read(body, space, output, cut)
    if len(reading.sides) > 1:
        raise ParseFailure(FailureKind.UNPARSEABLE, "it says both yes and no")
    if cut and not (reading.sides and reading.is_settled):
        raise ParseFailure(FailureKind.TRUNCATED, "the text was cut before a yes or no")
    if not reading.sides:
        raise ParseFailure(FailureKind.UNPARSEABLE, "neither yes nor no in it")
    labels = frozenset(space.names) if True in reading.sides else frozenset[str]()
    return Answer(labels, repaired=reading.repaired)


@lru_cache(maxsize=1024)
def _affirmations(yes: str, no: str, label: tuple[str, ...]) -> Affirmations:
    return Affirmations(yes, no, label)


def _spellings(space: LabelSpace) -> tuple[str, ...]:
    return tuple(spelling for label in space for spelling in (label.name, *label.aliases))


def _known(space: LabelSpace, output: Output) -> Affirmations:
    return _affirmations(setting(output, OPTIONS, "yes"), setting(output, OPTIONS, "no"), _spellings(space))


def _read(body: str, space: LabelSpace, output: Output, cut: bool) -> _Reading:
    """Return what a text says: as one of the own words, as JSON, or in its lines."""
    words = _known(space, output)
    own = {normalize(setting(output, OPTIONS, word)): word == "yes" for word in ("yes", "no")}
    if (whole := normalize(body)) in own:
        return _Reading(frozenset({own[whole]}), len(body) - len(body.lstrip()))
    reading = _read_json(body, space, words, cut) or _Lines(words, words.without_question(body)).reading()
    return replace(reading, sides=_BOTH) if _is_retracted(reading, body, space, words) else reading


def _is_retracted(reading: _Reading, body: str, space: LabelSpace, words: Affirmations) -> bool:
    """Return whether a text says the other side later, and says that it corrects itself."""
    if len(reading.sides) != 1:
        return False
    first = next(words.retractions(body, reading.behind, yes=True in reading.sides), None)
    return first is not None and all(not reading.behind < turn.start <= first for turn in turns_of(body, space))


class _Lines:
    """Reads the lines of a text whose questions are blanked out."""

    def __init__(self, words: Affirmations, body: str) -> None:
        self._words = words
        self._body = body
        self._read: dict[str, tuple[Said, ...]] = {}  # Models that run on repeat the same lines.
        self._is_answered = False

    def reading(self) -> _Reading:
        """Return what they say after the last heading that announces an answer, or before it where nothing follows it."""
        before: list[tuple[str, Said]] = []
        found: list[tuple[str, Said]] = []
        is_first, is_awaited = True, False
        for passage in passages(self._body, self._is_said, self._begins, lambda: self._is_answered, _MORE):
            if passage.heading is Heading.ANSWER:
                before, found = found or before, []
                is_awaited = True
            is_first = is_first or passage.heading is not None
            if passage.text and not _UNTICKED.match(passage.text):
                said = [replace(each, first=each.first and is_first) for each in self._says(passage.text)]
                found += [(passage.text, each) for each in said]
                self._is_answered = self._is_answered or any(each.first or each.alone for each in said)
                is_first = is_awaited = False
        return self._weighed(found or before or self._first_line(), is_awaited=is_awaited)

    def _first_line(self) -> list[tuple[str, Said]]:
        """Return what the first line says even where it could be a heading, as "Applicable" does."""
        line = self._body.strip().partition("\n")[0]
        says = self._says(line)
        return [(line, said) for said in says if any(each.first for each in says) and not _UNTICKED.match(line)]

    def _is_said(self, head: str) -> bool:
        # "Applies:" is a heading, and a question that the model asks itself has its answer on the same line.
        said = any(each.start is not None or not each.yes for each in self._says(head))
        return said or (normalize(head) in _QUESTION and not self._is_answered)

    def _begins(self, text: str) -> bool:
        return bool(self._words.begins(text))

    def _says(self, text: str) -> tuple[Said, ...]:
        if text not in self._read:
            announced = [
                place for found in _ANNOUNCED.finditer(text) for place in self._words.begins(text, found.end())
            ]
            self._read[text] = tuple(announced) or tuple(self._words.sentences(text))
        return self._read[text]

    def _weighed(self, found: Sequence[tuple[str, Said]], *, is_awaited: bool) -> _Reading:
        """Return what counts: what begins an answer or stands alone; only without it, what begins any other sentence.

        A beginning that runs on ("No complaints! Yes, …") counts no more than the sentences behind it.
        """
        sure = [each for each in found if each[1].first or each[1].alone] or found
        if all(said.runs_on for _, said in sure):
            sure = [*sure, *(each for each in found if each not in sure and each[1].start is not None)]
        sides = frozenset(said.yes for _, said in sure)
        if len(sides) != 1:
            return _Reading(sides)
        line, said = sure[-1] if not sure[0][1].first else sure[0]
        at = self._body.find(line)
        place = None if said.start is None or at < 0 else at + said.start
        is_settled = any(each.first for _, each in sure) and not is_awaited
        return _Reading(sides, place, is_settled, behind=max(0, at) if place is None else place)


def _read_json(body: str, space: LabelSpace, words: Affirmations, cut: bool) -> _Reading | None:
    """Return what the last JSON object with an answer says, or an array that is all of the text; None without one.

    Where the text goes on with another input, it is the last one of the first part that has one.
    """
    if "{" not in body and "[" not in body:
        return None
    for turn in turns_of(body, space):
        for value in values_of(turn.text, turn.brackets, cut and turn.is_last):
            is_sound = value.source == body.strip() and not value.repaired  # "[yes]" is a yes in brackets
            if not isinstance(value.value, Mapping) and not (is_sound and _is_single(value.value)):
                continue
            sides = frozenset(_sides(value.value, space, words, 0))
            if sides:
                begin = turn.start + value.start
                place = _place(begin, value.source, words, sides)
                return _Reading(sides, place, repaired=value.repaired, behind=begin + len(value.source))
    return None


def _is_single(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 1


def _place(begin: int, source: str, words: Affirmations, sides: frozenset[bool]) -> int | None:
    """Return where the word of a JSON value stands that says it, None when that is not to be told."""
    for found in re.finditer(r"[:\[]\s{0,9}[\"']?", source):
        said = words.begins(source, found.end())
        if said and said[0].start is not None and {said[0].yes} == sides:
            return begin + said[0].start
    return None


def _sides(value: Any, space: LabelSpace, words: Affirmations, depth: int) -> Iterator[bool]:
    """Yield the sides that a JSON value says: of an object that of the label's own key, else of what names an answer."""
    if isinstance(value, Mapping) and depth < _DEEPEST:
        named = [each for key, each in value.items() if space.find(key)]
        sides = [side for each in named for side in _sides(each, space, words, depth + 1)]
        sides += [side == bool(flag) for side, flag in _flags(value)]
        yield from sides or _asked_sides(value, space, words, depth + 1)
    elif _is_single(value) and depth < _DEEPEST:
        yield from _sides(value[0], space, words, depth + 1)
    elif isinstance(value, str):
        yield from (said.yes for said in words.begins(words.without_question(value)))
    elif isinstance(value, bool | int | float) and value in (0, 1):
        yield bool(value)


def _flags(value: Mapping[str, Any]) -> Iterator[tuple[bool, bool]]:
    """Yield the side of keys that are yes or no themselves, and what stands there: ``{"yes": true}``."""
    for key, flag in value.items():
        side = KNOWN_WORDS.get(normalize(key))
        if side is not None and isinstance(flag, bool | int | float) and flag in (0, 1):
            yield side, bool(flag)


def _asked_sides(value: Mapping[str, Any], space: LabelSpace, words: Affirmations, depth: int) -> Iterator[bool]:
    """Yield the sides at keys that ask about the label. A yes at one that denies ("not_mentioned") is a no.

    A no there is nothing: nobody knows what a model means by denying a denial.
    """
    for key, each in value.items():
        asked = _asked(key, tuple(space.spellings))
        if asked is not None:
            yield from (side is asked for side in _sides(each, space, words, depth) if side or asked)


@lru_cache(maxsize=4096)
def _asked(key: str, names: tuple[str, ...]) -> bool | None:
    return asks_plainly(words_of(key), names)


def weigh(
    tokens: Sequence[Token], space: LabelSpace, output: Output
) -> tuple[Mapping[str, float], Mapping[str, float]]:
    """Return P(label) and the mass that it rests on, both by label; both empty when the tokens tell none.

    ``P = P(yes) / (P(yes) + P(no))`` and ``mass = P(yes) + P(no)``, each in [0, 1], over the tokens that are listed at
    the place where the answer stands: that of the word that `parse` reads, else the first that is not blank. Spellings in
    any case, with a space, quotes or emphasis before them, are summed, and so are the words true and false. 1 and 0, y
    and n are summed when one of them was generated there or both are listed: a lone "1" or "Y" rather begins "1." or
    "You". An own word that the tokenizer splits counts by a first token that cannot begin the other one.

    There is no probability (0/0 included) when the mass is less than ``min_mass``, or when only the generated token is
    listed, because then nothing is known of the other side.
    """
    token = _answer_token(tokens, space, output)
    if token is None or len(token.top) < _FEWEST_LISTED:
        return {}, {}
    own = {_core(setting(output, OPTIONS, word)): word == "yes" for word in ("yes", "no")}
    sides = _listed_sides(token, own)
    yes, no = (math.fsum(token.top[text] for text, side in sides.items() if side is wanted) for wanted in (True, False))
    mass = yes + no
    if mass <= 0 or mass < setting(output, OPTIONS, "min_mass"):
        return {}, {}
    name = space.labels[0].name
    return {name: min(1.0, yes / mass)}, {name: min(1.0, mass)}


def _core(text: str) -> str:
    return text.lstrip(_STRIPPED).rstrip().rstrip(_ENDED).casefold() if text.strip(_STRIPPED) else ""


def _listed_sides(token: Token, own: Mapping[str, bool]) -> dict[str, bool]:
    """Return the side of every listed token that has one."""
    cores = {text: _core(text) for text in token.top}
    present, generated = set(cores.values()), _core(token.text)
    words = {"yes": True, "true": True, "no": False, "false": False}
    for signs in _SIGNS:
        if generated in signs or signs <= present:
            words |= {sign: KNOWN_WORDS[sign] for sign in signs}
    words |= own
    beginnings = _beginnings(own, present)
    return {text: side for text, core in cores.items() if (side := words.get(core, beginnings.get(core))) is not None}


def _beginnings(own: Mapping[str, bool], present: Collection[str]) -> dict[str, bool]:
    """Return the beginnings of own words that are listed where the word as a whole is not, and that begin no other."""
    found = {}
    for word, side in own.items():
        others = [other for other in own if own[other] is not side]
        for core in present if word not in present else ():
            is_long = len(core) > 1 or not core.isascii()
            if core and is_long and word.startswith(core) and not any(other.startswith(core) for other in others):
                found[core] = side
    return found


def _answer_token(tokens: Sequence[Token], space: LabelSpace, output: Output) -> Token | None:
    """Return the token at which the answer stands, None when every one is blank."""
    place = _place_in("".join(token.text for token in tokens), space, output)
    end = 0
    for token in tokens:
        end += len(token.text)
        if end > place and _core(token.text):
            return token
    return None


def _place_in(text: str, space: LabelSpace, output: Output) -> int:
    """Return where in a whole text the word stands that `parse` reads; 0 when it reads none, or a wording."""
    try:
        body = answer_text(text, cut=False)
    except ParseFailure:
        return 0
    start = _read(body, space, output, cut=False).start
    return 0 if start is None else max(0, text.rfind(body.rstrip("\n"))) + start


def render(
    labels: Collection[str],
    fields: Mapping[str, FieldValue],  # noqa: ARG001 - a yes or no carries no fields
    space: LabelSpace,
    output: Output,
) -> str:
    """Return the word for yes when the label is among ``labels``, else the word for no."""
    return str(setting(output, OPTIONS, "yes" if space.labels[0].name in labels else "no"))


def _problems(space: LabelSpace, output: Output) -> list[str]:
    words = {option: setting(output, OPTIONS, option) for option in ("yes", "no")}
    found = [
        f"{option} must be a visible word, got {word!r}." for option, word in words.items() if not is_visible(word)
    ]
    least = setting(output, OPTIONS, "min_mass")
    if not 0 <= least <= 1:
        found.append(f"min_mass must be within 0 and 1, got {least}.")
    if found:
        return found
    forms = {option: f"{normalize(word)} " for option, word in words.items()}
    if forms["yes"].startswith(forms["no"]) or forms["no"].startswith(forms["yes"]):
        return [f"yes and no must not begin with one another, got '{words['yes']}' and '{words['no']}'."]
    for option, other in (("yes", "no"), ("no", "yes")):
        if KNOWN_WORDS.get(normalize(words[option])) is (option == "no"):
            found.append(f"{option} must not be a word for {other}, got '{words[option]}'.")
    return found or [
        f"{option} must be a word that can be read back, got '{word}'. Take a plain word."
        for option, word in words.items()
        if not _reads_back(word, option == "yes", space, output)
    ]


def _reads_back(word: str, yes: bool, space: LabelSpace, output: Output) -> bool:
    try:
        return _read(answer_text(word, cut=False), space, output, cut=False).sides == {yes}
    except ParseFailure:
        return False


def _grammar(space: LabelSpace, output: Output) -> str:  # noqa: ARG001 - it is the same for every label
    """Return the grammar of the two words."""
    return f"root ::= {one_of(setting(output, OPTIONS, option) for option in ('yes', 'no'))}\n"


YES_NO = Format("yes_no", OPTIONS, parse, render, _problems, one_label=True, weigh=weigh, grammar=_grammar)
