"""What code characters stand for: labels or sets of labels."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from harness.errors import listing
from harness.kept import Kept
from harness.labelspace import NONE_WORD, LabelSpace
from harness.parsing.formats import Output, setting

OPTIONS: Mapping[str, Any] = {"codes": {}, "none": NONE_WORD, "separator": ",", "min_mass": 0.05}


class CodeTable:
    """What the characters stand for, for one label space and the options of one output.

    Codes that stand for a label outside of the label space (which may be that of one group) are none in it.

    Attributes:
        cased: True when a letter is a code in both cases; only then do upper and lower case differ.
        sets: The labels of each code, by its `key`; a none word that is one letter or digit is in it.
        written: Each code as it is written, by its `key`.
        order: Place of each code in the table, by its `key`; the none word is not in it.
    """

    def __init__(self, space: LabelSpace, output: Output) -> None:
        self.space = space
        self.none: str = setting(output, OPTIONS, "none")
        self.separator: str = setting(output, OPTIONS, "separator")
        table = table_of(space, output)
        self.cased = _both_cases([*table, self.none] if len(self.none) == 1 else table)
        inside = frozenset(space.names)
        self.sets = {self.key(code): labels for code, labels in table.items() if labels <= inside}
        self.written = {self.key(code): code for code in table}
        self.order = {code: place for place, code in enumerate(self.sets)}
        if self._none_is_code():
            self.sets.setdefault(self.key(self.none), frozenset())

    def _none_is_code(self) -> bool:
        return len(self.none) == 1 and self.none.isascii() and self.none.isalnum()

    def key(self, character: str) -> str:
        """Return the form in which two characters are compared."""
        return character if self.cased else character.casefold()

    def is_code(self, character: str) -> bool:
        """Return whether a character is a code, the none word of one character among them."""
        return self.key(character) in self.sets

    def union(self, codes: Iterable[str]) -> frozenset[str]:
        """Return the labels that codes say together."""
        return frozenset(name for code in codes for name in self.sets.get(self.key(code), ()))

    def chosen(self, labels: frozenset[str]) -> list[str]:
        """Return the codes that write a set: the one that stands for it, or few whose sets make it up.

        Raises:
            ValueError: No codes write it.
        """
        inside = {code: self.sets[code] for code in self.order if self.sets[code] <= labels}
        exact = next((code for code, names in inside.items() if names == labels), None)
        if exact is not None:
            return [exact]
        single = {next(iter(names)): code for code, names in reversed(inside.items()) if len(names) == 1}
        if labels <= single.keys():
            return sorted((single[name] for name in labels), key=self.order.__getitem__)
        unsaid = labels - self.union(inside)
        if unsaid:
            raise ValueError(
                f"codes cannot write {listing(self.space.ordered(labels))}: every code of"
                f" {listing(self.space.ordered(unsaid))} stands for other labels too. Give it a code of its own in 'codes'."
            )
        missing, codes = labels, []
        while missing:  # Few codes: the one that says most of what is still missing.
            codes.append(max(inside, key=lambda code: len(inside[code] & missing)))
            missing -= inside[codes[-1]]
        return sorted(codes, key=self.order.__getitem__)

    def write(self, labels: Collection[str]) -> str:
        """Return the codes of a set, in the order of the table; for the empty set its code or the none word.

        Raises:
            ValueError: No codes write it.
        """
        wanted = frozenset(labels)
        if not wanted and not any(not self.sets[code] for code in self.order):
            return self.none
        return self.separator.join(self.written[code] for code in self.chosen(wanted))


_TABLES = Kept[CodeTable]()


def codes_of(space: LabelSpace, output: Output) -> CodeTable:
    """Return what the codes of an output stand for in a label space; the same ones give the same object."""
    return _TABLES.of((), (space, output), lambda: CodeTable(space, output))


def table_of(space: LabelSpace, output: Output) -> dict[str, frozenset[str]]:
    """Return what each code stands for: the option, or the labels' own codes in label-space order."""
    given: Mapping[str, Any] = setting(output, OPTIONS, "codes")
    if given:
        return {code: frozenset([names] if isinstance(names, str) else names) for code, names in given.items()}
    return {label.code: frozenset({label.name}) for label in space if label.code is not None}


def _both_cases(codes: Iterable[str]) -> bool:
    """Return whether a letter is a code in both cases."""
    known = set(codes)
    return any(code.isalpha() and code.swapcase() in known for code in known)
