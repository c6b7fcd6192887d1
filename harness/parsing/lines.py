"""One line of an answer in the list format: the items that stand on it, or that it is prose."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.parsing.cleaning import BULLET
from harness.parsing.headings import ANNOUNCING, by_verb, heading_of
from harness.parsing.names import Item, Kind, Names
from harness.parsing.recalled import Recalled
from harness.parsing.verdicts import is_flag
from harness.regexes import regex

if TYPE_CHECKING:
    from harness.parsing.mentions import Mentions

_PROSE_WORDS = 6
_PROSE_LENGTH = 60
_PROSE_END = regex(r"[!?:。！？：…]\W{0,4}$")
_SENTENCE = regex(
    r"(?:the|this|that|these|it|i|we|they|he|she|you|there|here|based|in|as|since|because|my|given|so|but|which)\s"
    r"(?:\S+\s+)\S",
    re.IGNORECASE,
)
_PLAIN_NO = regex(r"(?:no|false|0|n/?a|none|absent)\W*", re.IGNORECASE)
_BUT = regex(r"\s*(?:but|however|except|until)\b", re.IGNORECASE)
_IS_NOT = regex(
    r"\s(?:(?:is|are|was|were|do|does|did)(?:n['’]t| not)|(?:is|are) (?:irrelevant|inapplicable|unrelated|absent))\b",
    re.IGNORECASE,
)
_JOINTS = regex(r"[;|；，、,]| (?:and|und|et|y|&|\+) ")
_CELL_ENDS = regex(r"[|;\t]")
_CLOSED_END = regex(r"[\])}`]\W*$")


@dataclass(frozen=True, slots=True)
class Line:
    """What stands on one line.

    Attributes:
        items: Its items in order, prose among them left out.
        bulleted: True when it starts with a bullet or a number: it is an item, however it reads.
        may_go_on: True when a text cut at its end is incomplete.
    """

    items: tuple[Item, ...] = ()
    bulleted: bool = False
    may_go_on: bool = False

    @property
    def answers(self) -> bool:
        """True when an item of the line is a label, the none word, or a label denied."""
        return any(item.kind is not Kind.OTHER for item in self.items)

    @property
    def only_answers(self) -> bool:
        """True when there are items and every one is a label, the none word, or a label denied."""
        return bool(self.items) and all(item.kind is not Kind.OTHER for item in self.items)


class LineReader:
    """Reads lines into items, for one label space and separator; with ``mentions`` sentences are searched for labels."""

    def __init__(self, names: Names, separator: str, mentions: Mentions | None = None) -> None:
        self._names = names
        self._mentions = mentions
        self._separator = separator.strip(" ") or "\n"
        self._most = names.pieces(self._separator)
        self._parts = Recalled(self._explained_parts)
        self._singles = Recalled(self._single)
        self._known = Recalled(self._read)  # Models that run on repeat the same lines, and many give the same answers.

    def read(self, line: str) -> Line:
        """Return what stands on ``line``."""
        return self._known[line]

    def _read(self, line: str) -> Line:
        whole = self._names.exact(line)
        if whole:
            return Line((whole,), may_go_on=whole.may_go_on or bool(whole.opener) or line.endswith(self._separator))
        bulleted = bool(BULLET.match(line))
        items, may_go_on = self._items(line, bulleted)
        searched = self._searched(line, items, bulleted)
        if searched:
            return searched
        if not items:
            # A bullet or an opening bracket alone: its item was still to come. A closing bracket or fence ends the list.
            return Line(bulleted=bulleted, may_go_on=may_go_on or not _CLOSED_END.search(line))
        if items[0].kind is Kind.OTHER and not bulleted and self.is_prose(self._split(line)[0]):
            return Line()
        kept = tuple(item for item in items if item.kind is not Kind.OTHER or not self.is_prose(item.name))
        return Line(kept, bulleted, may_go_on or (line.startswith("[") and "]" not in line))

    @property
    def searches(self) -> bool:
        """Whether sentences are searched: what was cut off could then have named another label."""
        return self._mentions is not None

    def _searched(self, line: str, items: list[Item], bulleted: bool) -> Line | None:
        """Return what a line says as a sentence; None when it is all items, or names no label."""
        if self._mentions is None or (items and all(item.kind is not Kind.OTHER for item in items)):
            return None
        mentioned = self._mentions.read(line)
        if not mentioned:
            return None
        named = any(item.kind is not Kind.OTHER for item in items)
        beside = [item for item in items if item.kind is Kind.OTHER and not self.is_prose(item.name)]
        off_list = [item for item in beside if not self._mentions.read(item.name)] if named else []
        return Line((*mentioned, *off_list), bulleted, may_go_on=True)

    def is_name(self, line: str) -> bool:
        """Return whether the whole of ``line`` is a label or the none word."""
        return self._names.exact(line) is not None

    def names_in(self, text: str) -> bool:
        """Return whether a part of ``text`` between separators is a label or the none word."""
        return any(self._names.exact(piece) for piece in self._split(text))

    def is_prose(self, text: str) -> bool:
        """Return whether ``text`` reads as a sentence and not as a name: long, or with a sentence's beginning or end."""
        words = len(text.split(None, _PROSE_WORDS + self._names.words))
        longest = max(_PROSE_WORDS, self._names.words)
        return words > longest or len(text) > _PROSE_LENGTH or bool(_SENTENCE.match(text) or _PROSE_END.search(text))

    def _split(self, line: str) -> list[str]:
        return [piece for piece in line.split(self._separator) if piece.strip()] or [line]

    def _items(self, line: str, bulleted: bool) -> tuple[list[Item], bool]:
        """Return the items of a line, and whether more was to come when it was cut at its end."""
        pieces = self._pieces(line)
        found: list[Item] = []
        behind: list[str] = []  # With these pieces the explanation of the last item goes on.
        explaining = ""
        position = 0
        while position < len(pieces):
            if explaining == "(":
                explaining = "" if ")" in pieces[position] else "("
                behind.append(pieces[position])
                position += 1
                continue
            items, used = self._longest(pieces, position)
            position += used
            # After "label: why" only another "label: why" is an item; a bare word there is part of the sentence.
            if not items or (explaining and (not items[-1].opener or items[-1].kind is Kind.OTHER)):
                behind += pieces[position - used : position] if explaining else []
                continue
            self._explain(found, behind)
            behind = []
            found += items
            explaining = items[-1].opener.removesuffix("()")
            if explaining and (bulleted or explaining == "."):
                behind = pieces[position:]
                break
        self._explain(found, behind)
        return self._flagged(self._denied_together(found)), self._incomplete(found, pieces[-1])

    def _explain(self, found: list[Item], behind: list[str]) -> None:
        """Judge the last item again, by an explanation that goes on behind the separator."""
        last = found[-1] if found and behind else None
        if last is None or last.kind is Kind.OTHER:
            return
        if last.kind is Kind.DENIED:
            found[-1] = replace(last, kind=Kind.UNCLEAR) if _takes_back(last.explanation, behind[:1]) else last
            return
        whole = self._separator.join([last.explanation, *behind]).lstrip(f"{self._separator} ")
        kind = Kind.NONE if last.kind is Kind.NONE else Kind.LABEL
        found[-1] = replace(last, kind=self._names.judged(replace(last, kind=kind, explanation=whole)).kind)

    def _denied_together(self, found: list[Item]) -> list[Item]:
        """Return the items of a line that may be one sentence: "shipping, price are not mentioned" denies one, or both."""
        for at, item in enumerate(found[1:], start=1):
            verb = _IS_NOT.search(item.name) if item.kind is Kind.OTHER else None
            subject = self._names.joined(item.name[: verb.start()]) if verb else []
            if subject and all(each.kind is Kind.LABEL for each in subject):
                return [replace(each, kind=Kind.UNCLEAR) if each.kind is Kind.LABEL else each for each in found[:at]]
        return found

    def _flagged(self, found: list[Item]) -> list[Item]:
        """Return the items of a line in which a yes or no stands like one of them: "shipping, yes" says it of its label."""
        flags = [item for item in found if item.kind is Kind.OTHER and any(map(is_flag, _CELL_ENDS.split(item.name)))]
        if not flags or not (len(found) > 1 or _CELL_ENDS.search(flags[0].name)):
            return found
        every = [cell.strip() for item in found for cell in _CELL_ENDS.split(item.name or item.kind)]
        head, *cells = [cell for cell in every if cell]
        label = self._names.exact(head)
        if label is not None and label.kind is Kind.LABEL and len(cells) == 1 and is_flag(cells[0]):
            return [self._names.judged(replace(label, opener=":", explanation=cells[0]))]
        return [Item(Kind.UNCLEAR, item.name if item.kind is not Kind.OTHER else "") for item in found]

    def _pieces(self, line: str) -> list[str]:
        """Return a line split at the separator, and at any other where labels with explanations stand on both sides."""
        pieces = line.split(self._separator)
        if self._most > 1:  # They are put together again, with the separator, where a name holds it.
            return pieces
        return [part for piece in pieces for part in self._parts[piece]]

    def _explained_parts(self, piece: str) -> list[str]:
        """Return the parts of "a (why) and b: why", each with its label at its head; else the piece as it is."""
        joints = list(_JOINTS.finditer(piece))
        if not joints or self._names.explained(piece) is None:
            return [piece]
        parts: list[str] = []
        start = 0
        for joint, end in zip(joints, [*(joint.start() for joint in joints[1:]), len(piece)], strict=True):
            part = piece[joint.end() : end]
            if part.strip() and (self._names.exact(part) or self._names.explained(part)):
                parts.append(piece[start : joint.start()])
                start = joint.end()
        return [*parts, piece[start:]]

    def _incomplete(self, found: list[Item], last_piece: str) -> bool:
        if not found:
            return False
        last = found[-1]
        if last.opener == ".":
            return False
        return not last_piece.strip() or last.kind is Kind.OTHER or last.opener in (":", "(") or last.may_go_on

    def _longest(self, pieces: list[str], position: int) -> tuple[list[Item], int]:
        """Return the items of the longest run of pieces from ``position`` that is one name, and how many it took."""
        for count in range(min(self._most, len(pieces) - position), 1, -1):
            run = self._separator.join(pieces[position : position + count])
            item = self._names.exact(run) or self._names.explained(run)
            if item and self._separator not in item.explanation:
                return [item], count
        return self._singles[pieces[position]].copy(), 1

    def _single(self, piece: str) -> list[Item]:
        """Return the items of one piece, which may have a heading of its own ("Label: a, Label: b")."""
        items = self._names.read(piece) if piece.strip() else []
        first = items[0] if items else None
        if first and first.kind is Kind.OTHER and first.opener == ":" and heading_of(first.name) in ANNOUNCING:
            return self._names.read(first.explanation)
        hidden = self._hidden(first) if first and first.kind is Kind.OTHER else []
        if hidden:
            return [replace(item, kind=Kind.UNCLEAR, opener=":") for item in hidden]
        return [item for item in items if item.name or item.kind is not Kind.OTHER]

    def _hidden(self, item: Item) -> list[Item]:
        """Return the labels, and nothing else, that stand behind words that may be anything: "Seller: price"."""
        text = item.explanation
        if not item.opener and not self.searches and not self.is_prose(item.name):
            split = by_verb(item.name)  # "Considered are shipping"
            text = split[1] if split else ""
        elif item.opener == ".":
            text = "" if self.is_prose(item.name) else text
        elif item.opener != ":" or heading_of(item.name) is not None:
            text = ""
        return [each for each in self._names.joined(text) if each.kind is Kind.LABEL] if text else []


def _takes_back(denial: str, following: list[str]) -> bool:
    """Return whether a denial goes on with a "but": "no problem, but too dear"."""
    return not _PLAIN_NO.fullmatch(denial) and any(map(_BUT.match, following))
