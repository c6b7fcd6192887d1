"""What a piece of an answer names: a label, the explicit none, a label that is denied, or nothing on the list."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property

from harness.kept import Kept
from harness.labelspace import NONE_WORD, LabelSpace, normalize
from harness.parsing.cleaning import BULLET, UNTICKED, bare, clip, peel
from harness.parsing.recalled import Recalled
from harness.parsing.verdicts import ANOTHER, verdict
from harness.regexes import regex

_EMPTY_LIST = regex(r"\[\s*\][\s\])}`.]*")
_NO_WORD = regex(r"[-=_*~#<>|.,:;…\[\](){}\"'` ]*")

# Closed on purpose: these say that no label applies, and nothing else. "None of the other labels" is not among them.
_LABELS = r"(?:labels?|categories|category|options|topics|tags|classes)"
_TO_THIS = r"(?: (?:here|to (?:the|this)(?: \w+){1,2}))?"
_LISTED = r"(?: (?:above|given|listed|provided|possible|available|candidate)){0,2}"
_APPLY = r"(?:apply|applies|fits?|(?:is|are) (?:applicable|relevant))"
_NONE_SAID = regex(
    rf"none of (?:the|these|those|them){_LISTED}(?: {_LABELS})?(?: {_APPLY}{_TO_THIS})?"
    rf"|none (?:apply|applies|applicable|found|identified)"
    rf"|(?:there (?:is|are) )?no (?:applicable|relevant|matching) {_LABELS}"
    rf"{_TO_THIS}"
    rf"|(?:there (?:is|are) )?no {_LABELS}(?: from (?:the|this) list)?(?: (?:that |which )?{_APPLY}{_TO_THIS})?"
)
_BECAUSE = regex(r",? (?:because|since|as) ")

# Words around a name that say no more than that it applies.
_BEFORE = regex(r"(?:only|just|simply|solely)[ :] *", re.IGNORECASE)
_BEHIND = regex(
    r" (?:only|alone|appl(?:y|ies)(?: (?:here|to (?:the|this) \w+))?"
    r"|is (?:the )?(?:only |correct |right |best |most fitting )?(?:label|category|tag|topic|answer)"
    r"(?: that (?:applies|fits))?)[.!]?\Z",
    re.IGNORECASE,
)

_COLONS = frozenset(":：")
_CROSS = regex(r"(?:[❌✗✘✖🚫☐]\ufe0f?|\[ ?\])\Z")
_TICK = regex(r"(?:[✓✔✅☑]\ufe0f?|\[[xX✓✔]\])\Z")

# A score says how much, not whether.
_SCORE = regex(r"\d*\.\d+%?|\d{1,3} ?%|\d{1,3}/\d{1,3}")

_MAY_DENY = regex(r"\b(?:no|not|nothing|never|none|irrelevant|unrelated)\b|n['’]t\b", re.IGNORECASE)
_LONGEST_BEHIND = 60
_EXPLAINS = regex(r":|：|=(?=\w)| (?:-|–|—|->|=>|→|=) | ?[(（]|。|[.!](?= |$)")
_OTHER_SEPARATORS = regex(r" (?:and|und|et|y|e|en|och|и|plus|&|\+|-) |\s?[,;|/、，،؛；]\s?|\. | (?=#)|和|及|と")


class Kind(StrEnum):
    """What a piece of an answer is."""

    LABEL = "label"
    NONE = "none"
    DENIED = "denied"
    UNCLEAR = "unclear"
    OTHER = "other"


_KINDS = {True: Kind.LABEL, False: Kind.DENIED, None: Kind.UNCLEAR}


@dataclass(frozen=True, slots=True)
class Item:
    """One piece of an answer.

    Attributes:
        kind: UNCLEAR is a label in a sentence that neither plainly gives nor plainly denies it.
        name: The label's name; for OTHER what was written.
        opener: The sign with which an explanation follows: ``:``, ``(`` (``()`` once it is closed) or ``.``; else "".
        explanation: The explanation itself.
        may_go_on: True when a cut text could have gone on here to the name of another label.
    """

    kind: Kind
    name: str = ""
    opener: str = ""
    explanation: str = ""
    may_go_on: bool = False


MOST_SHAPES = 4096
"""Label spaces whose spellings are remembered at a time: as many as `LabelSpace.only` keeps."""


class _Shape:
    """How long the spellings of a label space are, and what of them could be taken for more than a name.

    Attributes:
        longest: Characters of the longest.
        signs: Most signs in one that could begin an explanation.
        inner: Most joints in one that could separate names.
        words: Most words in one.
    """

    def __init__(self, space: LabelSpace) -> None:
        self.space = space
        spellings = [spelling for label in space for spelling in (label.name, *label.aliases)]
        self.longest = max(map(len, spellings), default=0)
        self.signs = max((len(_EXPLAINS.findall(spelling)) for spelling in spellings), default=0)
        self.inner = max((len(_OTHER_SEPARATORS.findall(spelling)) for spelling in spellings), default=0)
        self.words = max((len(spelling.split()) for spelling in spellings), default=0)
        self._pieces: dict[str, int] = {}
        self._going_on: dict[tuple[str, str], bool] = {}

    def pieces(self, separator: str) -> int:
        """Return into how many pieces at most ``separator`` can break a name."""
        if separator not in self._pieces:
            # A joiner such as "-" may be written where the label space has another one.
            plain = normalize(separator) or " "
            spelled = [spelling for label in self.space for spelling in (label.name, *label.aliases)]
            breaks = (max(each.count(separator), normalize(each).count(plain)) for each in spelled)
            self._pieces[separator] = 1 + max(breaks, default=0)
        return self._pieces[separator]

    def may_go_on(self, form: str, name: str) -> bool:
        """Return whether a normalised spelling of a label begins one of another label."""
        found = self._going_on.get((form, name))
        if found is None:
            spellings = self.space.spellings.items()
            found = any(spelling.startswith(form) and owner != name for spelling, owner in spellings)
            self._going_on[form, name] = found
        return found


_SHAPES: dict[int, _Shape] = {}


def _shape_of(space: LabelSpace) -> _Shape:
    """Return the shape of a label space, made once: every answer about it is read with it."""
    found = _SHAPES.get(id(space))
    if found is None or found.space is not space:
        if len(_SHAPES) >= MOST_SHAPES:
            _SHAPES.clear()
        found = _SHAPES[id(space)] = _Shape(space)
    return found


class Names:
    """Finds what pieces of text name, exactly: by the spellings of the label space and the none word."""

    def __init__(self, space: LabelSpace, none: str) -> None:
        self.space = space
        self._nones = {normalize(none), NONE_WORD}
        self._known = Recalled(self._exact)
        self._shape = shape = _shape_of(space)
        # Longer texts name nothing, whatever is trimmed from them: they need not be looked at closely.
        self._longest = 64 + 4 * max(len(none), shape.longest)
        self._signs = shape.signs
        self._inner = shape.inner
        self.words = shape.words

    def pieces(self, separator: str) -> int:
        """Return into how many pieces at most ``separator`` can break a name."""
        return self._shape.pieces(separator)

    def exact(self, text: str) -> Item | None:
        """Return the label or none that ``text`` names when only decoration is taken off it, or None."""
        return self._known[text]

    def _exact(self, text: str) -> Item | None:
        for layer in peel(text):
            if len(layer) > self._longest:
                continue
            name = self.space.find(layer)
            if name is not None:
                # Behind a colon an explanation is still to come: "shipping:".
                opener = ":" if set(text[text.rindex(layer) + len(layer) :]) & _COLONS else ""
                may_go_on = text.endswith(layer) and self._shape.may_go_on(normalize(layer), name)
                return Item(Kind.LABEL, name, opener, may_go_on=may_go_on)
            if self._is_none(layer):
                return Item(Kind.NONE)
        return None

    def _is_none(self, text: str) -> bool:
        form = normalize(text)
        return form in self._nones or bool(_EMPTY_LIST.fullmatch(text) or _NONE_SAID.fullmatch(form))

    def read(self, piece: str) -> list[Item]:
        """Return what one piece of a line names: labels, or one item that is denied, explained or not on the list."""
        piece = " ".join(piece.split())
        unticked = UNTICKED.match(piece)
        if unticked and not self.space.find(piece):
            denied = self.exact(piece[unticked.end() :]) or self.explained(piece[unticked.end() :])
            return [Item(Kind.DENIED, denied.name)] if denied else []
        return self.joined(piece) or [self.explained(piece) or self._other(piece)]

    def joined(self, piece: str) -> list[Item]:
        """Return the labels that a piece is made of: one, or several joined by "and" or by any usual separator.

        All of its parts must be labels; else the result is empty. "Only" and "applies" may stand around them.
        """
        item = self.exact(piece)
        return [item] if item else self._parts(piece) or self._applying(piece)

    def _applying(self, piece: str) -> list[Item]:
        """Return the labels of a piece that says no more of them than that they apply: "Only shipping applies."."""
        core = without_only(piece)
        if len(core) == len(piece):
            return []
        item = self.exact(core)
        items = [item] if item else self._parts(core)
        if any(each.kind is not Kind.LABEL or each.opener for each in items):
            return []
        return items if piece.endswith(core) else [replace(each, may_go_on=False) for each in items]

    def explained(self, piece: str) -> Item | None:
        """Return the label or none at the head of a piece that goes on with an explanation, or None."""
        core = bare(piece)
        signs = _EXPLAINS.finditer(core, 0, self._longest)
        heads = [sign for _, sign in zip(range(self._signs + 1), signs, strict=False)]
        for sign in reversed(heads):
            found = self.exact(core[: sign.start()])
            if found:
                opener = _opener(sign[0], piece[piece.index(core) + sign.end() :])
                explanation = core[sign.end() :].strip(" *_`\"'")
                if opener == ":" and _SCORE.fullmatch(explanation):
                    return Item(Kind.OTHER, clip(core), opener, explanation)
                return self.judged(Item(found.kind, found.name, opener, explanation))
        return self._marked(piece.strip()) or self._marked(core) or self._reasoned(core)

    def judged(self, item: Item) -> Item:
        """Return an explained item as what its explanation makes of it."""
        inside = [each.name for each in self.joined(item.explanation) if each.kind is Kind.LABEL]
        if item.kind is Kind.NONE:  # "None: price" may be a heading of what is none.
            return replace(item, kind=Kind.UNCLEAR, name=inside[0]) if inside else item
        # "delivery: shipping, price" may be a group of labels as well as a label; one label in brackets is a reason.
        if inside and (item.opener != "()" or len(inside) > 1):
            return replace(item, kind=Kind.LABEL if set(inside) == {item.name} else Kind.UNCLEAR)
        return replace(item, kind=_KINDS[self.verdict(item.explanation, {item.name}, apart=item.opener == ".")])

    def verdict(self, explanation: str, own: Collection[str], *, apart: bool = False) -> bool | None:
        """Return whether what stands behind labels gives them; None where that is not clear.

        Args:
            explanation: What stands there.
            own: The labels' names.
            apart: It is a sentence of its own.
        """
        said = verdict(explanation, apart=apart)
        if said is None or not _MAY_DENY.search(explanation):
            return said
        # In a denial it matters whose name it holds: "no mention of shipping" speaks of this label or of another.
        masked = self._spelled.sub(lambda at: "it" if self.space.find(at[1]) in own else ANOTHER, explanation)
        named = verdict(masked, apart=apart)
        return said if named is True else named

    @cached_property
    def _spelled(self) -> re.Pattern[str]:
        """Finds the labels in an explanation, with their articles."""
        spellings = sorted(
            {each for label in self.space for each in (label.name, *label.aliases)}, key=len, reverse=True
        )
        names = "|".join(r"[\s_-]".join(map(re.escape, re.split(r"[\s_-]", each))) for each in spellings)
        noun = r"(?:(?:the|this|that) )?(?:(?:label|category|topic|tag) )?"
        return re.compile(rf"(?<!\w){noun}[\"'“‘*`]{{0,2}}({names or '(?!)'})[\"'”’*`]{{0,2}}(?!\w)", re.IGNORECASE)

    def _reasoned(self, core: str) -> Item | None:
        """Return the none word with a reason behind it: "None of these labels apply because …"."""
        reason = _BECAUSE.search(core, 0, self._longest)
        found = self.exact(core[: reason.start()]) if reason else None
        if reason is None or found is None or found.kind is not Kind.NONE:
            return None
        return Item(Kind.NONE, "", ".", core[reason.end() :])

    def _marked(self, text: str) -> Item | None:
        """Return the label that a tick or a cross stands behind, or None."""
        for mark, kind in ((_TICK, Kind.LABEL), (_CROSS, Kind.DENIED)):
            sign = mark.search(text[-3:])
            found = self.exact(text[: len(text) - len(sign[0])]) if sign else None
            if found and found.kind is Kind.LABEL:
                return Item(kind, found.name)
        return None

    def _other(self, piece: str) -> Item:
        core = bare(piece)
        if _NO_WORD.fullmatch(core) or BULLET.fullmatch(core):
            return Item(Kind.OTHER)
        sign = _EXPLAINS.search(core, 1)
        if sign is None:
            return Item(Kind.OTHER, clip(core))
        opener = _opener(sign[0], piece[piece.index(core) + sign.end() :])
        return Item(Kind.OTHER, clip(bare(core[: sign.start()])), opener, core[sign.end() :])

    def _parts(self, piece: str) -> list[Item]:
        starts, ends = [0], []
        for joint in _OTHER_SEPARATORS.finditer(piece):
            ends.append(joint.start())
            starts.append(joint.end())
        spans = [span for span in zip(starts, [*ends, len(piece)], strict=True) if piece[slice(*span)].strip()]
        return self._cover(piece, spans) if len(spans) > 1 else []

    def _cover(self, piece: str, spans: Sequence[tuple[int, int]]) -> list[Item]:
        found = []
        position = 0
        while position < len(spans):
            for last in range(min(position + self._inner, len(spans) - 1), position - 1, -1):
                item = self.exact(piece[spans[position][0] : spans[last][1]])
                if item and item.kind is Kind.LABEL:
                    break
            else:
                return []
            found.append(item)
            position = last + 1
        return found


_NAMES = Kept[Names]()


def names_of(space: LabelSpace, none: str = NONE_WORD) -> Names:
    """Return what finds the names of a label space and a none word; the same ones give the same object."""
    return _NAMES.of((none,), (space,), lambda: Names(space, none))


def is_score(explanation: str) -> bool:
    """Return whether what stands behind a label is a number that says how much it applies, not whether."""
    return _SCORE.fullmatch(explanation) is not None


def without_only(text: str) -> str:
    """Return a text without the words around a name that say no more than that it applies: "Only shipping applies."."""
    before = _BEFORE.match(text)
    behind = _BEHIND.search(text[-_LONGEST_BEHIND:])
    return text[before.end() if before else 0 : len(text) - len(behind[0]) if behind else len(text)]


def denies(explanation: str) -> bool:
    """Return whether what stands behind a label says that it does not apply: "no", "not mentioned", "no issue here"."""
    return verdict(explanation) is False


def _opener(sign: str, explanation: str) -> str:
    sign = sign.strip()
    if sign in "(（":
        return "()" if ")" in explanation or "）" in explanation else "("
    return "." if sign in ".!。" else ":"
