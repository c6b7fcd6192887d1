"""Codes in a text: which characters are codes, what stands behind them, and what they say together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.errors import listing
from harness.labelspace import NONE_WORD, LabelSpace, normalize
from harness.parsing.cleaning import LINE_ENDS, answer_text, bare, clip
from harness.parsing.codetable import CodeTable
from harness.parsing.headings import (
    Heading,
    Passage,
    behind_revision,
    by_colon,
    by_verb,
    heading_key,
    is_choice,
    passages,
)
from harness.parsing.mentions import mentions_of
from harness.parsing.names import Kind, is_score, names_of, without_only
from harness.parsing.verdicts import is_flag
from harness.records import Answer, FailureKind, ParseFailure
from harness.regexes import regex

_CODE_WORDS = regex(r"\b(?:codes?|letters?|numbers?|digits?|options?|choices?|characters?)\b|代码|代號|コード|код")
_EDGES = " \t\"'`*_[](){}<>|.,;:!#“”‘’"
_AROUND = " \t\"'`*_"
_QUOTES = "\"'`*_[]{}<>“”‘’"
_ALL_BRACKETED = regex(r"(?:\([0-9A-Za-z]\)[\s,;]*)+")
_OPEN = regex(r"(.{1,20}?)\s*[:=：](?:\s|[^\w\s])*")
_CELL_ENDS, _WORD_ENDS = re.compile(r"[|,;\t]"), re.compile(r"[|,;\s]+")
_BRACKETED = regex(r"^\((.)\)$")
_BULLET = regex(r"(?:[-*+•‣] +|\[[xX✓✔]\] +(?=\S)|[☑✅✓✔]\ufe0f? *)(?=.)")
_OPTION = regex(r"(?:option|code|letter|choice)s? (?=\W*\w\b)", re.IGNORECASE)
_NUMBER = regex(r"\(?\d{1,3}[.)] +(?=\S)")
_UNTICKED = regex(r"(?:[-*+•] +)?(?:\[ ?\]|[☐❌✗✘✖🚫])\ufe0f? *(?=\w)")
_BREAKS = regex(r" ?[,;|，；、/&+] ?| and ")
_REACH = 60
_FEWEST_FLAGGED = 2
_REVISED = "it goes back on what it said, and gives no new answer"
# What stands between codes and what they mean; and another code inside of what is said of one.
_MEANS = regex(r"[)\]](?=[\"'`*_]*(?: |$))|[:：=]|\.(?= )| ?\(| (?:-|–|—|->|→|=>)(?= )")
_ANOTHER = regex(r"(?:^|[\s(])([0-9A-Za-z])(?:[)\]:=]| \(| (?:-|–|—|->|→|=>) )")
_CHUNK_ENDS = regex(
    r"[,;|，；、]|\.(?= [(\[\"'`*]*[0-9A-Za-z][\"'`*\])]*[:=])| and (?=[(\[\"'`*]*[0-9A-Za-z][\"'`*)\]]*(?: ?[:=(.)]| -|$))"
)
_NAME_FIRST = regex(r"(.+?) ?(?:[:=(\[]| -| –| —| ->| →) ?[\"'`*(\[]*([0-9A-Za-z])[\"'`*)\]]*\W?")
_WORDLESS = regex(r"[\W_]*")
_MOST_OFF_LIST_WORDS = 4
_LONGEST_OUT_OF_ORDER = 3
_FEWEST_FOR_ECHO = 3
_LONGEST = 300
_JOINTS = ("=", ":", "：", "-", ")", "(")
_ENDS = (",", ";", "|", "/", "&", "+", " and", ":", "-", "(", "[")
# Words that codes joined could be taken for: short ones, and longer ones whose letters are in alphabetical order.
_ENGLISH = """
ad ah am an as at ax be by do go ha he hi ho id if in is it me my no of oh ok on or ow ox pa so to up us we ye
able ably abet ace ache act add adept age ago agony aid ail aim aims air airy almost alms also amp amps and ant any apt
are arm art ask ate bad bag bar bat bed beg begin begins below belt bent best bet big bit bits blow bot bow box boy but
buy cab cage cake can cap car care case chat chest chip chop cit city cop copy cost cow cry cup cut dare data date day
den deny dew did die dig dim dirt dirty dog dot dry due duty ear east eat ego elm empty end ends err etc ever eye face
fact fade far fast fat fear few film fin find fine firm first fist fit fix flow flux fly fog for form fort forty four
fox from fun game gap gas get ghost gift gin give glory glow got grow gun gut guy had has hat have her here him hint
hip his hit home hop hops host hot hour how hut ice ill into item its jar jet job joy just keep kin kit know lab lack
last late law lay led leg let lid lie life lip list live log long lost lot lots love low mad made mail main make man
many map mark may men met mild mind mix mob moist mop more most mow much mud must nap net new nice nor nosy not note
now nut oak odd off oil old one only opt our out own pad paid pair part past pay pen pet pie pin pit plan play pot
price put ran rat raw real red rest rib rich rid risk rob rod role row rub rug run rust sad safe said same sat save saw
say sea send sent set she show shy side sin sip sir sit six size sky slow sly some son soup spy star stay step stop
such sum sun sure tag take talk tap task tax tea team ten than that the them then they thin thing this thus tie time
tip top tore toy trip true try two type use used user van vary via view vow war was wax way went wet what when who why
wide wife win wish with word work wry year yes yet you your
"""
_WORDS = frozenset(_ENGLISH.split())


@dataclass(slots=True)
class _Item:
    """Codes of a line and what stands behind them: ``a``, ``a: shipping``, ``a, c (shipping and price)``."""

    codes: list[str]
    parts: list[str] = field(default_factory=list)
    bracketed: bool = False
    before: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return ", ".join(self.parts)


@dataclass(slots=True)
class _Findings:
    """What was said since the last heading that announced an answer.

    Attributes:
        open: Codes that a line ended with, and a colon: the next line says what is said of them.
        begins: Where in `said` what stands under a heading begins, and the heading's words.
    """

    said: list[str] = field(default_factory=list)
    denied: list[str] = field(default_factory=list)
    described: set[str] = field(default_factory=set)
    named: list[str] = field(default_factory=list)
    off_list: list[str] = field(default_factory=list)
    loose: list[str] = field(default_factory=list)
    trouble: str = ""
    open: _Item | None = None
    begins: list[tuple[int, str]] = field(default_factory=list)
    none: bool = False
    announced: bool = False
    may_go_on: bool = False

    @property
    def answered(self) -> bool:
        return bool(self.said or self.denied or self.none)


class CodeReader:
    """Reads one text; `harness.parsing.codes` tells how."""

    def __init__(self, codes: CodeTable) -> None:
        self.codes = codes
        self._names = names_of(codes.space, codes.none if normalize(codes.none) else NONE_WORD)
        self._mentions = mentions_of(codes.space)
        self._found = _Findings()

    def read(self, text: str, cut: bool) -> Answer:
        """Return the answer in a text; raises `ParseFailure` as `codes.parse` does."""
        body = answer_text(text, cut)
        lines = passages(body, self._is_said, self._is_pure, lambda: self._found.answered, _CODE_WORDS)
        for passage in lines:
            self._take(passage)
        last = LINE_ENDS.split(body)[-1].strip()
        return self._answer(cut, last)

    @property
    def says_one(self) -> bool:
        """Whether the text says exactly one code, or nothing but none."""
        said = set(self._found.said)
        return len(said) == 1 if said else self._found.none

    def _is_said(self, words: str) -> bool:
        core = bare(words)
        if len(core) == 1 or self.codes.space.find(core) is not None:
            return True
        sign = _MEANS.search(words, 0, _REACH)
        codes = self._pure(words[: sign.start()]) if sign else []
        return len(codes) == 1 and self.codes.is_code(codes[0])

    def _is_pure(self, text: str) -> bool:
        return self._is_none(text) or bool(self._pure(text))

    def _is_none(self, text: str) -> bool:
        if text.strip() == self.codes.none:
            return not self.codes.is_code(self.codes.none)
        item = self._names.exact(text)
        return item is not None and item.kind is Kind.NONE

    def _pure(self, text: str) -> list[str]:
        """Return the characters of a text that is made of single ones, or of codes written as one word; else empty."""
        if _ALL_BRACKETED.fullmatch(text.strip()):
            return [character for character in text if character.isalnum()]
        words = [_BRACKETED.sub(r"\1", word).strip(_QUOTES) for word in _BREAKS.sub(" ", text.strip(_EDGES)).split()]
        characters = [word for word in words if word]
        if all(len(word) == 1 and word.isascii() and word.isalnum() for word in characters):
            return characters
        return list(characters[0]) if len(characters) == 1 and self._is_joined(characters[0]) else []

    def _is_joined(self, word: str) -> bool:
        keys = [self.codes.key(character) for character in word[: len(self.codes.sets) + 1]]
        if len(set(keys)) != len(word) or not all(key in self.codes.order for key in keys):
            return False
        places = [self.codes.order[key] for key in keys]
        in_order = places == sorted(places)
        if in_order and self.codes.separator == "":
            return True
        return word.casefold() not in _WORDS and (in_order or len(word) <= _LONGEST_OUT_OF_ORDER)

    def _take(self, passage: Passage) -> None:
        if passage.heading is Heading.ANSWER or (passage.heading and self._found.trouble == _REVISED):
            self._found = _Findings()
        found = self._found
        if passage.heading:
            found.begins.append((len(found.said), passage.words))
        found.announced = found.announced or passage.heading is not None
        line = " ".join(passage.text.split())
        if self._is_none(line):
            found.none, found.announced, found.may_go_on = True, False, False
            return
        if _WORDLESS.fullmatch(line):
            return
        found.may_go_on = False
        unticked = _UNTICKED.match(line)
        line = line[unticked.end() :] if unticked else self._unmarked(line)
        rest = behind_revision(line) if found.said else None
        if rest is not None and not self._is_pure(without_only(rest)):
            found.trouble = found.trouble or _REVISED
            return
        if rest is not None:  # "Actually, only s."
            line, self._found = rest, (found := _Findings())
        try:
            items = self._behind_open(line)
            if items is None:
                items = self._items(line, announced=passage.heading is not None)
            for item in items:
                self._take_item(item, denied=unticked is not None)
        except ParseFailure as failure:  # A final answer further down may still void it.
            found.trouble = found.trouble or failure.why
            return
        if not items:
            found.may_go_on = self.codes.is_code(line[0]) and line[1:].strip() in _JOINTS
            return
        found.announced = False
        last = items[-1]
        found.may_go_on = line.endswith(_ENDS) or (
            bool(last.parts) and not last.bracketed and not self._only_names(last.text)
        )

    def _behind_open(self, line: str) -> list[_Item] | None:
        """Return the codes that a line ended with, explained by this one; none where this one ends so; else None."""
        found = self._found
        item, found.open = found.open, None
        if item is not None and not self._pure(line) and self._item(line) is None:
            return [_Item(item.codes, [line])]
        if item is not None:
            raise _unparseable(f"nothing stands behind '{item.codes[-1]}:'")
        opened = _OPEN.fullmatch(line)
        codes = self._pure(opened[1]) if opened and not is_flag(line[opened.end(1) :].lstrip(" :=：")) else []
        if codes and all(map(self.codes.is_code, codes)):
            found.open = _Item(codes)
            return []
        return None

    def _unmarked(self, line: str) -> str:
        """Return a line without its bullet or number; what could be a code is none."""
        for sign in (_BULLET, _BULLET, _OPTION):  # A ticked box may stand behind a bullet.
            mark = sign.match(line)
            line = line[mark.end() :] if mark else line
        number = _NUMBER.match(line)
        digits = "" if number is None else number[0].strip("(). ")
        return line[number.end() :] if number and not any(map(self.codes.is_code, digits)) else line

    def _items(self, line: str, announced: bool) -> list[_Item]:
        """Return the codes of a line with what stands behind them; empty for a line that is none of codes."""
        flagged = self._flagged(line)
        if flagged:
            return flagged
        core = without_only(line)
        pure = self._pure(line) or ([] if core.endswith((":", "=")) else self._pure(core))
        if pure:
            return [_Item(pure)]
        whole = self._item(line)
        if whole and whole.parts and self._only_names(whole.text):
            return [whole]
        items: list[_Item] = []
        loose: list[str] = []
        before: dict[str, None] = {}
        for chunk in (chunk.strip() for chunk in _CHUNK_ENDS.split(line)):
            item = self._item(chunk)
            last = items[-1] if items else None
            if self._is_none(chunk) and not (last and last.parts):
                self._found.none = True
            elif item is None and last is not None and last.parts:
                last.parts.append(chunk)
            elif item is None:
                loose += [chunk] if chunk.strip(_EDGES) else []
            elif not item.parts and last is not None and last.parts and not self._only_names(last.text):
                raise _unparseable(f"'{clip(bare(chunk))}' is a code or a part of what is said of '{last.codes[-1]}'")
            else:
                item.before = list(before)
                before |= {} if item.parts else dict.fromkeys(map(self.codes.key, item.codes))
                items.append(item)
        hidden = next((chunk for chunk in loose if self._hides_code(chunk)), None)
        if items and hidden is not None:
            raise _unparseable(f"'{clip(hidden)}' stands beside codes, and may hold another")
        if all(self._is_beside(chunk, announced) for chunk in loose):
            self._keep(loose, beside=bool(items) and announced)
            return items
        if items and any(self.codes.is_code(code) for item in items for code in item.codes):
            raise _unparseable(f"'{clip(line)}' is a sentence, or codes")
        return []

    def _flagged(self, line: str) -> list[_Item]:
        """Return the codes of a line that says yes or no of them as a table does: "| s | shipping | yes |", "s 1 p 0".

        Raises:
            ParseFailure: It has a yes or no, and nobody can say of which code.
        """
        cells = [cell.strip(_EDGES) for cell in _CELL_ENDS.split(line) if cell.strip(_EDGES)]
        if len(cells) == 3 and self.codes.is_code(cells[0]) and self._only_names(cells[1]) and self._is_flag(cells[2]):
            return [_Item([cells[0]], [cells[2]])]
        words = [word for cell in _WORD_ENDS.split(line[:_LONGEST]) if (word := cell.strip(_EDGES))]
        flags = list(map(self._is_flag, words))
        if len(words) < _FEWEST_FLAGGED or not any(flags):
            return []
        codes = [self.codes.is_code(word) for word in words]
        if not all(map(bool.__or__, flags, codes)):
            return []
        if codes[::2] == flags[1::2] and all(codes[::2]):
            return [_Item([code], [flag]) for code, flag in zip(words[::2], words[1::2], strict=True)]
        raise _unparseable(f"'{clip(line)}' says yes or no, and not of which code")

    def _is_flag(self, word: str) -> bool:
        return is_flag(word) and not self.codes.is_code(word)

    def _hides_code(self, chunk: str) -> bool:
        """Return whether a chunk is a code behind unknown words and a colon or verb: "My guess: a", "It is a"."""
        split = by_colon(chunk) or by_verb(chunk)
        return split is not None and any(map(self.codes.is_code, self._pure(split[1])))

    def _is_beside(self, chunk: str, announced: bool) -> bool:
        """Return whether a chunk that is no code may stand beside codes: a label's name, or a short word in an answer."""
        if self._only_names(chunk):
            return True
        words = chunk.split()
        lone = not announced and chunk.endswith(("?", "!", ":", "…"))
        begins_with_code = len(words) > 1 and self.codes.is_code(words[0].strip(_EDGES))
        return len(words) <= _MOST_OFF_LIST_WORDS and not lone and not begins_with_code

    def _keep(self, loose: list[str], beside: bool) -> None:
        """Keep what stands beside codes, or in their place."""
        for chunk in loose:
            name = self._only_names(chunk)
            if name:
                self._found.named += name
            else:
                (self._found.off_list if beside else self._found.loose).append(clip(bare(chunk)))

    def _item(self, chunk: str) -> _Item | None:
        """Return the codes at the head of a chunk, or behind a label's name; None when it has none."""
        pure = self._pure(chunk)
        if pure:
            return _Item(pure)
        for sign in _MEANS.finditer(chunk, 0, _REACH):
            codes = self._pure(chunk[: sign.start()])
            text = chunk[sign.end() :].strip()
            if codes and text.strip(_EDGES):
                if not any(map(self.codes.is_code, codes)):
                    return self._behind(codes, text)
                return _Item(codes, [text], bracketed=sign[0].endswith("(") and ")" in text)
        named = _NAME_FIRST.fullmatch(chunk) if len(chunk) <= _LONGEST else None
        if named and self._only_names(named[1]):
            return _Item([named[2]], [bare(named[1])], bracketed=True)
        first, _, rest = chunk.partition(" ")
        if len(first) == 1 and self.codes.is_code(first) and self._only_names(rest):
            return _Item([first], [rest], bracketed=True)
        return None

    def _behind(self, codes: list[str], text: str) -> _Item | None:
        """Return the codes behind an "A:" that means the answer; any other unknown character is off-list."""
        pure = self._pure(text)
        if pure and codes in (["A"], ["a"]):
            return _Item(pure)
        return _Item(codes) if self._only_names(text) else None

    def _only_names(self, text: str) -> list[str]:
        """Return the labels that a text is made of; empty when it holds anything else."""
        items = self._names.joined(text) or self._names.joined(bare(text))
        return [item.name for item in items] if all(item.kind is Kind.LABEL for item in items) else []

    def _take_item(self, item: _Item, denied: bool) -> None:
        found = self._found
        known = [self.codes.key(code) for code in item.codes if self.codes.is_code(code)]
        found.off_list += [code for code in item.codes if not self.codes.is_code(code)]
        if item.parts and known:
            text = item.text.rstrip(") ") if item.bracketed else item.text
            if is_score(text.strip(_AROUND)):
                found.loose.append(clip(f"{item.codes[-1]}: {text}"))
                return
            denied = self._denied(item, known, text) or denied
        (found.denied if denied else found.said).extend(known)

    def _denied(self, item: _Item, known: list[str], text: str) -> bool:
        """Return whether what stands behind codes denies them.

        Raises:
            ParseFailure: It names other labels, or cannot be told from codes.
        """
        meant = self.codes.union(known)
        another = _ANOTHER.search(text)
        unclear = any(map(self.codes.is_code, self._pure(text))) or (another and self.codes.is_code(another[1]))
        names = set(self._only_names(text))
        if unclear and not names:
            raise _unparseable(f"'{clip(text)}' behind '{item.codes[-1]}' may be a code or what is said of it")
        explained = None if names else self._names.explained(text)
        if explained is not None and explained.kind in (Kind.LABEL, Kind.DENIED, Kind.UNCLEAR):
            names = {explained.name}
        if names and names not in (meant, meant | self.codes.union(item.before)):
            stands = listing(self.codes.space.ordered(meant)) or "no label"
            given = listing(self.codes.space.ordered(names))
            raise _unparseable(f"'{item.codes[-1]}' stands for {stands}, but it says {given} with it")
        if names or _described(text, meant, self.codes.space):
            self._found.described.update(known)
        if not meant or names:
            if explained is not None and explained.kind is Kind.UNCLEAR:
                raise _unparseable(f"'{clip(text)}' behind '{item.codes[-1]}' neither plainly gives nor denies it")
            return explained is not None and explained.kind is Kind.DENIED
        text = text.strip(_AROUND)
        said = {each.kind for each in self._mentions.read(text) if each.name in meant}
        gives = self._names.verdict(text.strip(_EDGES) or text, meant)
        if gives is None and said != {Kind.DENIED}:
            raise _unparseable(f"'{clip(text)}' behind '{item.codes[-1]}' neither plainly gives nor denies it")
        return not gives or said == {Kind.DENIED}

    def _answer(self, cut: bool, last: str) -> Answer:
        found, codes = self._found, self.codes
        if found.open and not cut:
            found.trouble = found.trouble or f"nothing stands behind '{found.open.codes[-1]}:'"
        if found.trouble:
            raise _unparseable(found.trouble)
        begun = last and codes.none.casefold().startswith(last.casefold()) and last.casefold() != codes.none.casefold()
        if cut and (
            not found.answered
            or found.announced
            or found.open
            or begun
            or (last and (found.may_go_on or self._echoes()))
        ):
            raise ParseFailure(FailureKind.TRUNCATED, "the text was cut before the codes were complete")
        found.said = self._chosen()
        labels = codes.union(found.said)
        full = {code for code in codes.order if codes.sets[code]}
        empty = found.none or any(not codes.sets[code] for code in found.said) or full <= set(found.denied)
        off_list = found.off_list + (found.named + found.loose if not found.answered else [])
        off_list = list(dict.fromkeys(map(clip, off_list)))
        why = self._contradiction(labels, empty) if found.answered else None
        if not why and not labels and not empty:
            why = f"only off-list codes: {listing(off_list)}" if off_list else "no code and no explicit none in it"
        if why:
            raise _unparseable(why, off_list)
        return Answer(labels, tuple(off_list))

    def _chosen(self) -> list[str]:
        """Return the codes that count of several lists: those of the last where it chooses among what stands before it.

        Raises:
            ParseFailure: Two lists differ, and nobody can say which is meant.
        """
        found = self._found
        begins = [(0, ""), *found.begins]
        ends = [*(at for at, _ in begins[1:]), len(found.said)]
        lists: dict[str, tuple[str, list[str]]] = {}
        for (begin, words), end in zip(begins, ends, strict=True):
            if begin < end:
                lists.setdefault(heading_key(words), (words, []))[1].extend(found.said[begin:end])
        if len({frozenset(said) for _, said in lists.values()}) < 2:
            return found.said
        *before, (words, last) = lists.values()
        if is_choice(words, [each for each, _ in before]) and set(last) <= {
            code for _, said in before for code in said
        }:
            return last
        raise _unparseable("it gives two different lists under two headings")

    def _echoes(self) -> bool:
        """Return whether all that was said is the beginning of the list of codes with what they stand for."""
        said = self._found.said
        is_begin = said == list(self.codes.order)[: len(said)] and not self._found.denied
        return len(said) > 1 and is_begin and self._found.described.issuperset(said)

    def _contradiction(self, labels: frozenset[str], empty: bool) -> str | None:
        found, codes = self._found, self.codes
        given = listing(codes.space.ordered(labels))
        if labels and empty:
            return f"it says none, and {given}"
        both = [codes.written[code] for code in codes.order if code in found.said and code in found.denied]
        if both:
            return f"it both gives and denies {listing(both)}"
        unsaid = codes.space.ordered(set(found.named) - labels)
        if unsaid:
            return f"it names {listing(unsaid)}, and gives no code of it"
        full = {code for code in codes.order if codes.sets[code]}
        if len(full) >= _FEWEST_FOR_ECHO and full <= set(found.said) & found.described:
            return "it repeats the list of codes with what they stand for"
        return None


def _described(text: str, meant: frozenset[str], space: LabelSpace) -> bool:
    """Return whether a text is the description of what codes stand for."""
    said = normalize(text)
    descriptions = [normalize(label.description) for label in space if label.name in meant]
    return any(each and said and each.startswith(said) for each in descriptions)


def _unparseable(why: str, off_list: Sequence[str] = ()) -> ParseFailure:
    return ParseFailure(FailureKind.UNPARSEABLE, why, tuple(off_list))
