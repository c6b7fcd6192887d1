"""The format `codes`: single characters that stand for labels, or for sets of labels (one token, one label set).

``codes: {a: [shipping], b: [shipping, quality], "0": []}`` says what each stands for; without it every label's own
``code`` does. Several codes say the union of their sets. Upper and lower case are told apart only where one letter is a
code in both.

How a text is read:

- Codes stand alone on a line or behind a heading ("Answer: a, c"), with or without their labels' names (``a) shipping``,
  ``shipping (a)``). A name that is not what the code stands for contradicts it; a name without a code is off-list.
- ``ac`` is two codes when both characters are codes, none comes twice, and it is no English word. In a sentence no
  letter is a code: "a customer …" says nothing.
- Behind a code may stand a reason, or whether it applies ("b: no", "| b | ✗ |"); what is unclear fails the answer. A list of
  all codes with what they mean is the question repeated.
- Lists under two headings that differ fail, unless the last one chooses or corrects.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from harness.errors import did_you_mean, listing
from harness.labelspace import LabelSpace
from harness.parsing.cleaning import LINE_ENDS
from harness.parsing.codereader import CodeReader
from harness.parsing.codetable import OPTIONS, CodeTable, codes_of, table_of
from harness.parsing.formats import Format, Output, setting
from harness.parsing.grammars import codes_grammar
from harness.parsing.tokens import Token
from harness.records import Answer, FieldValue, ParseFailure
from harness.regexes import regex

__all__ = ["CODES", "OPTIONS", "parse", "render", "weigh"]


_PLAIN = regex(r"[0-9A-Za-z](?:(?:,[0-9A-Za-z])*|(?:, [0-9A-Za-z])*)")


def parse(text: str, space: LabelSpace, output: Output, cut: bool) -> Answer:
    """Return the labels that the codes of a text stand for.

    Raises:
        ParseFailure: There is no code and no explicit none, it contradicts itself, or it was cut before its end.
    """
    codes = codes_of(space, output)
    if not cut and _PLAIN.fullmatch(text):
        # Codes that stand for labels, and nothing else: what most answers are. They are read as below, only sooner.
        sets = [codes.sets.get(codes.key(code)) for code in text[:: 3 if ", " in text else 2]]
        if all(sets):
            return Answer(frozenset().union(*filter(None, sets)))
    return CodeReader(codes).read(text, cut)


def render(
    labels: Collection[str],
    fields: Mapping[str, FieldValue],  # noqa: ARG001 - codes carry no fields
    space: LabelSpace,
    output: Output,
) -> str:
    """Return the code of exactly these labels, or else the codes that together say them; the empty set's code or none.

    Raises:
        ValueError: No codes say exactly these labels; it tells which of them have no code without others.
    """
    return codes_of(space, output).write(labels)


def weigh(
    tokens: Sequence[Token], space: LabelSpace, output: Output
) -> tuple[Mapping[str, float], Mapping[str, float]]:
    """Return P(label) and the mass that it rests on, for every label; both empty when the tokens tell none.

    For an answer of exactly one code, which is one token: P(label) is the sum of P(code) over the codes whose set holds the
    label, divided by the sum over all codes in that token's list; that sum is the mass. An answer of a single token that is
    no code (``max_tokens: 1`` began a word) is weighed in the same way. Tokens that differ in leading space, and in case
    where case does not matter, are summed. A none word of several letters is no code here: what it weighs is not counted.
    Under ``min_mass`` there is no probability (0/0 included): the model was about to say something else.
    """
    codes = codes_of(space, output)
    sets = dict(codes.sets)
    if len(codes.none) == 1:
        sets.setdefault(codes.key(codes.none), frozenset())
    token = _code_token(tokens, codes, sets)
    if token is None:
        return {}, {}
    mass: dict[str, float] = {}
    for text, probability in token.top.items():
        key = codes.key(text.strip(_AROUND))
        if key in sets:
            mass[key] = mass.get(key, 0.0) + probability
    total = sum(mass.values())
    if total <= 0 or total < setting(output, OPTIONS, "min_mass"):
        return {}, {}
    weighed = {name: sum(p for code, p in mass.items() if name in sets[code]) / total for name in space.names}
    return weighed, dict.fromkeys(space.names, total)


def _code_token(tokens: Sequence[Token], codes: CodeTable, sets: Collection[str]) -> Token | None:
    """Return the token that is the answer: its only code, or the only token there is."""
    reader = CodeReader(codes)
    try:
        reader.read("".join(token.text for token in tokens), cut=False)
    except ParseFailure:
        return tokens[0] if len(tokens) == 1 else None
    told = [token for token in tokens if codes.key(token.text.strip(_AROUND)) in sets]
    return told[0] if len(told) == 1 and reader.says_one else None


_AROUND = " \t\r\n\"'`"


def _problems(space: LabelSpace, output: Output) -> list[str]:
    given: Mapping[str, Any] = setting(output, OPTIONS, "codes")
    found = [problem for code, names in given.items() for problem in _bad_code(code, names, space)]
    found = found or _bad_none(space, output)
    least = setting(output, OPTIONS, "min_mass")
    if not 0 <= least <= 1:
        found.append(f"min_mass must be within 0 and 1, got {least}.")
    separator = setting(output, OPTIONS, "separator")
    if not _SEPARATOR.fullmatch(separator):
        found.append(f"separator must be one of , ; | / & + or white space, or empty, got {separator!r}.")
    if found:
        return found
    table = table_of(space, output)
    unsaid = [name for name in space.names if not any(name in names for names in table.values())]
    if unsaid and given:
        return [f"codes must name every label, but no code stands for {listing(unsaid)}."]
    if unsaid:
        return [
            f"every label needs a code, but there is none for {listing(unsaid)}. Give it one in the dataset (`code: s`),"
            " or say what each code stands for in 'codes'."
        ]
    return []


_SEPARATOR = regex(r"| *[,;|/&+] *|[ \t\n]+")


def _bad_code(code: str, names: Any, space: LabelSpace) -> list[str]:
    """Return what is impossible about one entry of `codes`."""
    if not (len(code) == 1 and code.isascii() and code.isalnum()):
        return [f"codes must be single characters of 0-9a-zA-Z, got '{code}'."]
    listed = [names] if isinstance(names, str) else names
    if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
        return [f"code '{code}' must stand for a label or a list of labels, got {names!r}."]
    return [
        f"code '{code}' stands for '{name}', which is no label.{did_you_mean(name, space.names)}"
        for name in listed
        if name not in space.index
    ]


def _bad_none(space: LabelSpace, output: Output) -> list[str]:
    """Return what is impossible about the none word: it must be visible, on one line, no label and no codes."""
    codes = codes_of(space, output)
    none = codes.none
    if not none.strip() or none != none.strip() or len(LINE_ENDS.split(none)) > 1:
        return [f"none must be a word on one line, got {none!r}."]
    if space.find(none):
        return [f"none must be no label, but '{none}' names label '{space.find(none)}'."]
    try:
        sound = parse(none, space, output, False) == Answer(frozenset())
    except ParseFailure:
        sound = False
    keys = [codes.key(character) for character in none]
    if not sound or (len(set(keys)) == len(keys) and codes.order.keys() >= set(keys)):
        return [f"none must not be made of codes or of signs that surround them, got {none!r}."]
    return []


CODES = Format("codes", OPTIONS, parse, render, _problems, weigh=weigh, grammar=codes_grammar)
