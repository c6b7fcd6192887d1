"""What a template asks of values that are known before it runs: members that they do not have, texts that they never equal.

Jinja tells a wrong member only when it meets it, and that a comparison can never be true it tells nowhere. A later pass is
rendered after calls are paid for, so both are looked for in the template itself. What cannot be known there is let pass.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from jinja2 import nodes

from harness.errors import did_you_mean, listing
from harness.template import ENVIRONMENT, TemplateError

_SAME = frozenset({"list", "sort", "reverse", "unique", "select", "reject", "selectattr", "rejectattr"})
"""Filters that give a list of the same things."""

_ONE = frozenset({"first", "last", "max", "min"})
"""Filters that give one thing of a list."""

_FORGIVING = frozenset({"defined", "undefined", "default", "d"})
"""Tests and filters that ask whether something is there."""


@dataclass(frozen=True)
class Kind:
    """What is known of a value.

    Attributes:
        name: What it is called in messages.
        members: What it has, and what is known of that (None: nothing); None where that is not known.
        items: What is known of the things in it, where it is a list.
        silent: Members that it has too, and that are no answer to what it has: the methods of a mapping.
        is_told: False where a member that is not there is told elsewhere.
    """

    name: str
    members: Mapping[str, Kind | None] | None = None
    items: Kind | None = None
    silent: Collection[str] = ()
    is_told: bool = True


@dataclass(frozen=True)
class Equal:
    """What a value can be compared with.

    Attributes:
        texts: All texts that it can be; None where it is no text at all.
        none: What is said of another: "no kind of failure".
        instead: What to write in the place of a comparison that is never true, with ``{}`` for its text.
    """

    texts: Collection[str] | None
    none: str
    instead: str = ""


def unknown_members(source: str, kinds: Mapping[str, Kind]) -> list[TemplateError]:
    """Return an error for each member that a template asks for and that is not there, in the order of its lines.

    Args:
        source: A template; one that is not valid Jinja has none, that is told elsewhere.
        kinds: What is known of the names that it is given. A name that it gives a value itself is not known, but for the
            target of a ``for``.
    """
    tree = _parsed(source)
    if tree is None:
        return []
    targets = {id(each) for loop in tree.find_all(nodes.For) for each in _names_in(loop.target)}
    own = {each.name for each in tree.find_all(nodes.Name) if each.ctx != "load" and id(each) not in targets}
    search = _Search(own)
    search.through(tree, {name: kind for name, kind in kinds.items() if name not in own})
    unique = {(error.line, error.message): error for error in search.errors}
    return sorted(unique.values(), key=lambda error: error.line)


def impossible_comparisons(source: str, values: Mapping[str, Equal]) -> list[TemplateError]:
    """Return an error for each comparison of a template that is always false, or always true, because of a text in it.

    Args:
        source: A template; one that is not valid Jinja has none, that is told elsewhere.
        values: By name what can be compared with what; a member's name is written with a point: ``fields.mood``.
    """
    tree = _parsed(source)
    own = set() if tree is None else {each.name for each in tree.find_all(nodes.Name) if each.ctx != "load"}
    return [
        error
        for compare in (() if tree is None else tree.find_all(nodes.Compare))
        for name, text in _compared(compare)
        if name in values and name.partition(".")[0] not in own
        for error in _never(name, text, values[name], compare.lineno)
    ]


def _parsed(source: str) -> nodes.Template | None:
    try:
        return ENVIRONMENT.parse(source)
    except Exception:
        return None


def _names_in(target: nodes.Node) -> Iterator[nodes.Name]:
    if isinstance(target, nodes.Name):
        yield target
    yield from target.find_all(nodes.Name)


@dataclass
class _Search:
    """Goes through a template and notes what is asked for and not there; of the names that it sets nothing is known."""

    own: Collection[str]
    errors: list[TemplateError] = field(default_factory=list)

    def through(self, node: nodes.Node, names: Mapping[str, Kind]) -> None:
        """Look at a node and all that is in it."""
        if isinstance(node, nodes.For):
            self._through_loop(node, names)
        elif isinstance(node, nodes.Expr):
            self.kind(node, names)
        else:
            for child in node.iter_child_nodes():
                self.through(child, names)

    def _through_loop(self, loop: nodes.For, names: Mapping[str, Kind]) -> None:
        whole = self.kind(loop.iter, names)  # type: ignore[arg-type]  # Jinja declares it as any node
        hidden = {each.name for each in _names_in(loop.target)} | {"loop"}
        inside = {name: kind for name, kind in names.items() if name not in hidden}
        target = loop.target.name if isinstance(loop.target, nodes.Name) else None
        if target is not None and target not in self.own and whole is not None and whole.items is not None:
            inside[target] = whole.items
        for child in (*loop.body, *([loop.test] if loop.test is not None else [])):
            self.through(child, inside)
        for child in loop.else_:
            self.through(child, names)

    def kind(self, node: nodes.Expr, names: Mapping[str, Kind]) -> Kind | None:
        """Return what is known of an expression, and note what is wrong in it."""
        match node:
            case nodes.Name():
                return names.get(node.name)
            case nodes.Getattr():
                return self._member(self.kind(node.node, names), node.attr, node.lineno)
            case nodes.Getitem():
                return self._item(node, names)
            case nodes.Filter(node=nodes.Expr() as of, name=name):
                return self._filtered(node, of, name, names)
            case nodes.Test(node=nodes.Getattr() | nodes.Getitem() as of, name=name) if name in _FORGIVING:
                self.kind(of.node, names)
                return None
        for child in node.iter_child_nodes():
            self.through(child, names)
        return None

    def _item(self, node: nodes.Getitem, names: Mapping[str, Kind]) -> Kind | None:
        whole = self.kind(node.node, names)
        self.through(node.arg, names)
        if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
            return self._member(whole, node.arg.value, node.lineno)
        if whole is None or isinstance(node.arg, nodes.Slice):
            return whole
        return whole.items

    def _filtered(self, node: nodes.Filter, of: nodes.Expr, name: str, names: Mapping[str, Kind]) -> Kind | None:
        # What has a default may be missing: only what it is asked of is looked at.
        holder = of.node if name in _FORGIVING and isinstance(of, nodes.Getattr | nodes.Getitem) else None
        whole = self.kind(of if holder is None else holder, names)
        for each in (*node.args, *(pair.value for pair in node.kwargs)):
            self.through(each, names)
        if whole is None or holder is not None:
            return None
        given: dict[str, nodes.Expr] = {pair.key: pair.value for pair in node.kwargs}  # type: ignore[misc]
        path = given.get("attribute")
        if "default" not in given and whole.items is not None and isinstance(path, nodes.Const):
            self._member(whole.items, str(path.value).partition(".")[0], path.lineno)
        return whole if name in _SAME else whole.items if name in _ONE else None

    def _member(self, whole: Kind | None, name: str, line: int) -> Kind | None:
        if whole is None or whole.members is None:
            return None
        if name not in whole.members and name not in whole.silent and whole.is_told:
            there = f"{did_you_mean(name, whole.members)} It has {listing(whole.members, 10)}."
            self.errors.append(TemplateError(f"{whole.name} has no attribute '{name}'.{there}", line))
        return whole.members.get(name)


def _compared(compare: nodes.Compare) -> Iterator[tuple[str, str]]:
    """Yield what is compared with a text for equality, by its name, and the text."""
    for operand in compare.ops:
        left, right = compare.expr, operand.expr
        if operand.op in ("eq", "ne"):
            for value, text in ((left, right), (right, left)):
                if (
                    (name := _named(value)) is not None
                    and isinstance(text, nodes.Const)
                    and isinstance(text.value, str)
                ):
                    yield name, text.value
        elif operand.op in ("in", "notin") and isinstance(right, nodes.List | nodes.Tuple):
            for text in right.items:
                if (name := _named(left)) is not None and isinstance(text, nodes.Const) and isinstance(text.value, str):
                    yield name, text.value


def _named(value: Any) -> str | None:
    """Return the name of a value, or of a member of one."""
    if isinstance(value, nodes.Name):
        return value.name
    if isinstance(value, nodes.Getattr) and isinstance(value.node, nodes.Name):
        return f"{value.node.name}.{value.attr}"
    if isinstance(value, nodes.Getitem) and isinstance(value.node, nodes.Name) and isinstance(value.arg, nodes.Const):
        return f"{value.node.name}.{value.arg.value}"
    return None


def _never(name: str, text: str, value: Equal, line: int) -> Iterator[TemplateError]:
    if value.texts is None:
        yield TemplateError(
            f"'{name}' is compared with '{text}', but is {value.none}. {value.instead.format(text)}", line
        )
    elif text not in value.texts:
        there = f"{did_you_mean(text, value.texts)} It can be {listing(value.texts, 10)}."
        yield TemplateError(f"'{name}' is compared with '{text}', which is {value.none}.{there}", line)
