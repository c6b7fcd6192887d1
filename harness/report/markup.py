"""HTML as values: text is escaped where it is written, so that outside text can be no markup."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from harness.report.text import visible

VOID = frozenset({"input", "br", "hr", "meta"})
"""Elements of HTML that have no end."""


@dataclass(frozen=True, slots=True)
class Node:
    """An element with its attributes and what is in it."""

    name: str
    attributes: Mapping[str, str]
    children: tuple[Content, ...]

    def __str__(self) -> str:
        given = "".join(f' {name}="{_escaped(value)}"' for name, value in self.attributes.items())
        inside = "" if self.name in VOID else "".join(map(written, self.children)) + f"</{self.name}>"
        return f"<{self.name}{given}>{inside}"


Content: TypeAlias = "Node | str | None"
"""What an element holds: elements, text, or nothing."""


def h(name: str, *children: Content | Iterable[Content], **attributes: str | float | bool | None) -> Node:
    """Return an element: ``h("a", "text", href="#x")``.

    Args:
        name: Of the element.
        children: What is in it, lists of it among them; None is nothing.
        attributes: An underscore stands for a hyphen, one at the end is dropped (``class_``). None and False leave the
            attribute out, True writes it without a value.
    """
    flat: list[Content] = []
    for child in children:
        flat += [child] if child is None or isinstance(child, str | Node) else list(child)
    given = {
        key.rstrip("_").replace("_", "-"): "" if value is True else _number(value)
        for key, value in attributes.items()
        if value is not None and value is not False
    }
    return Node(name, given, tuple(flat))


def written(content: Content) -> str:
    """Return content as HTML."""
    if content is None:
        return ""
    return str(content) if isinstance(content, Node) else _escaped(content)


def _escaped(text: str) -> str:
    return html.escape(visible(text))


def _number(value: str | float) -> str:
    """Return an attribute's value; a coordinate needs no more than a tenth of a unit."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
