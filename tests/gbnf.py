"""GBNF without recursion, as a regular expression: what a grammar lets a model write."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_TOKEN = re.compile(
    r'\s*(?:(?P<literal>"(?:\\.|[^"\\])*")|(?P<set>\[(?:\\.|[^\]\\])*\])|(?P<name>[a-z][a-z0-9-]*)'
    r"|(?P<sign>[()|?*+])|(?P<times>\{\d+(?:,\d*)?\}))",
    re.DOTALL,
)
_CHARACTER = re.compile(r"\\x([0-9A-F]{2})|\\u([0-9A-F]{4})|\\U([0-9A-F]{8})|\\([nrt\"\\\[\]])|([^\\])", re.DOTALL)
_NAMED = {"n": "\n", "r": "\r", "t": "\t"}


def _characters(text: str) -> Iterator[str]:
    """The characters that a literal or set stands for; an escape that llama.cpp does not know is an error."""
    at = 0
    while at < len(text):
        found = _CHARACTER.match(text, at)
        assert found, text[at:]
        at = found.end()
        number = found[1] or found[2] or found[3]
        yield chr(int(number, 16)) if number else _NAMED.get(found[4], found[4]) if found[4] else found[5]


def _set(text: str) -> str:
    inverse, inner = (True, text[1:]) if text.startswith("^") else (False, text)
    pattern = "".join(
        f"{_escaped(part[0])}-{_escaped(part[1])}" if len(part) > 1 else _escaped(part[0]) for part in _ranges(inner)
    )
    return f"[{'^' if inverse else ''}{pattern}]"


def _ranges(inner: str) -> Iterator[tuple[str, ...]]:
    at = 0
    while at < len(inner):
        found = _CHARACTER.match(inner, at)
        assert found
        at = found.end()
        first = next(_characters(found[0]))
        if inner[at : at + 1] == "-" and at + 1 < len(inner):
            second = _CHARACTER.match(inner, at + 1)
            assert second
            at = second.end()
            yield first, next(_characters(second[0]))
        else:
            yield (first,)


def _escaped(character: str) -> str:
    return f"\\U{ord(character):08x}"


@dataclass(frozen=True)
class Gbnf:
    """A grammar without recursion."""

    rules: Mapping[str, str]

    def pattern(self, name: str = "root") -> str:
        """The regular expression of a rule."""
        text, at, parts = self.rules[name], 0, []
        while text[at:].strip():
            found = _TOKEN.match(text, at)
            assert found, f"no GBNF: {text[at:]}"
            at = found.end()
            if found["literal"]:
                parts.append("(?:" + "".join(map(re.escape, _characters(found["literal"][1:-1]))) + ")")
            elif found["set"]:
                parts.append(_set(found["set"][1:-1]))
            elif found["name"]:
                parts.append(f"(?:{self.pattern(found['name'])})")
            else:
                parts.append("(?:" if found["sign"] == "(" else found["sign"] or found["times"])
        return "".join(parts)


def pattern_of(grammar: str) -> re.Pattern[str]:
    """The regular expression of a grammar; every rule stands on one line and is one that is there."""
    rules = dict(line.split(" ::= ", 1) for line in grammar.splitlines())
    assert len(rules) == len(grammar.splitlines())
    return re.compile(Gbnf(rules).pattern(), re.DOTALL)


def accepts(grammar: str, text: str) -> bool:
    """Whether a text is one that the grammar lets a model write."""
    return pattern_of(grammar).fullmatch(text) is not None
