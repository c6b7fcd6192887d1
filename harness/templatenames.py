"""What a template or an expression names, and what is wrong in it: told before it ever runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, reduce
from typing import Any, NamedTuple

import jinja2
from jinja2 import meta, nodes
from jinja2.parser import Parser

from harness.errors import did_you_mean, listing
from harness.template import ENVIRONMENT, NO_FILES, Frozen, TemplateError, compiled, expression, not_jinja

_NAMING: Any = (nodes.Include, nodes.Import, nodes.FromImport)


_CHANGING: Any = (
    *(nodes.Macro, nodes.CallBlock, nodes.FilterBlock, nodes.AssignBlock, nodes.Block, nodes.Extends),
    *(nodes.Include, nodes.Import, nodes.FromImport, nodes.EvalContextModifier),
)
"""What can change a text that is printed inside of it, or print it elsewhere."""


class Inclusion(NamedTuple):
    """A file that a template names in ``include``, ``import`` or ``from … import``.

    Attributes:
        name: As it is written.
        line: Where it is named.
        sees_names: Whether the file sees the names of the template: what is included does, what is imported does not,
            unless ``with context`` or ``without context`` says otherwise.
    """

    name: str
    line: int
    sees_names: bool


def inclusions(source: str) -> tuple[Inclusion, ...]:
    """Return the files that a template names itself, in order; a computed name is none, see `check_names`.

    Raises:
        TemplateError: It is not valid Jinja.
    """
    return _inclusions(source)


def reached(source: str, files: Mapping[str, str] = NO_FILES) -> Iterator[tuple[str, int]]:
    """Yield the name of every given file that a template includes or imports, directly or not, each once.

    Beside it stands the line of the template from which the file is reached.

    Raises:
        TemplateError: The template or one of the files is not valid Jinja.
    """
    seen: set[str] = set()
    for first in _inclusions(source):
        names = [first.name]
        while names:
            name = names.pop()
            if name in files and name not in seen:
                seen.add(name)
                yield name, first.line
                names += [each.name for each in reversed(_inclusions(files[name]))]


def names_used(source: str, files: Mapping[str, str] = NO_FILES) -> dict[str, int]:
    """Return the names that a template takes from its context, with the first line each stands on.

    A name that an included file takes stands on the line that includes it.

    Raises:
        TemplateError: It, or a file that it includes, is not valid Jinja.
    """
    return dict(_names_used(source, tuple(files.items())))


def names_bound(source: str) -> frozenset[str]:
    """Return the names that a template gives a value itself, anywhere in it: by set, for, macro or import.

    Raises:
        TemplateError: It is not valid Jinja.
    """
    return _bound(_parsed(source))


@cache
def printed_alone(source: str) -> frozenset[str]:
    """Return the names with which a template does nothing but print them as they are.

    Raises:
        TemplateError: It is not valid Jinja.
    """
    tree = _parsed(source)
    if tree.find(_CHANGING) or any(loop.recursive for loop in tree.find_all(nodes.For)):
        return frozenset()
    printed = Counter(
        node.name for output in tree.find_all(nodes.Output) for node in output.nodes if isinstance(node, nodes.Name)
    )
    met = Counter(node.name for node in tree.find_all(nodes.Name))
    return frozenset(name for name, times in printed.items() if met[name] == times)


def check_names(source: str, known: Iterable[str], files: Mapping[str, str] = NO_FILES) -> list[TemplateError]:
    """Return an error for everything in a template that is wrong before it ever runs, in the order of its lines.

    That is: the syntax, names that are not known, filters and tests that do not exist, names of files that are computed,
    and the same in every file that it includes or imports. A file that is not among ``files`` is not told here: whoever
    read them told it.
    """
    every = frozenset(known)
    found = [*_check(source, _parsed, compiled, every), *_check_files(source, every, files, ())]
    unique = {(error.line, error.message): error for error in found}
    return sorted(unique.values(), key=lambda error: error.line)


def _check_files(
    source: str, known: frozenset[str], files: Mapping[str, str], above: tuple[str, ...]
) -> Iterator[TemplateError]:
    """Yield what is wrong in the files that a template names, told at its lines; ``above`` are those that led here."""
    try:
        known |= _bound(_parsed(source))
    except TemplateError:
        return  # told already
    for name, line, sees_names in _inclusions(source):
        if name in above:
            yield TemplateError(f"it includes itself: {' → '.join([*above[above.index(name) :], name])}.", line)
        elif name in files:
            text, seen = files[name], known if sees_names else frozenset[str]()
            own = _check(text, _parsed, compiled, seen)
            for error in [*own, *_check_files(text, seen, files, (*above, name))]:
                yield TemplateError(error.bare, line, error.where or f"{name}:{error.line}")


def _check(
    source: str,
    parse: Callable[[str], nodes.Template],
    compiled: Callable[[str], object],
    known: Iterable[str],
) -> list[TemplateError]:
    every = sorted(known)
    try:
        tree = parse(source)
        errors = [*_computed_files(tree), *_unknown_tools(tree)]
        if not errors:
            compiled(source)  # finds what the parser lets pass
        for name, line in _names(tree).items():
            if name not in every:
                errors.append(TemplateError(f"'{name}' is not defined.{_instead_of(name, every)}", line))
    except TemplateError as error:
        return [error]
    return sorted(errors, key=lambda error: error.line)


def _instead_of(name: str, known: list[str]) -> str:
    if not known:
        return " What is imported sees no names of the template, unless its import says 'with context'."
    return f"{did_you_mean(name, known)} Here there is: {listing(known, 30)}."


def check_expression(source: str, known: Iterable[str]) -> list[TemplateError]:
    """Return an error for everything in an expression that is wrong before it ever runs, like `check_names`."""
    return _check(source, _parsed_expression, expression, known)


def alternatives(source: str) -> tuple[str, ...]:
    """Return the parts of an expression of which one is enough: what stands between its outermost ``or``, as written.

    An expression that is no such list, a ternary among them, is its own only part. Parentheses around a part are left
    out; those within one stay.

    Raises:
        TemplateError: It is not a valid Jinja expression.
    """
    whole, written = _body(source), _unwrapped(source.strip())
    parts = _between_or(written)
    try:
        bodies = [_body(part) for part in parts]
    except TemplateError:
        return (written,)  # an "or" that is the name of an attribute
    if len(parts) < 2 or reduce(nodes.Or, bodies) != whole:
        return (written,)
    return tuple(each for part in parts for each in alternatives(part))


def _body(source: str) -> nodes.Expr:
    """Return an expression as Jinja parses it: parentheses are gone, and only their meaning is left."""
    output = _parsed_expression(source).body[0]
    body: nodes.Expr = output.nodes[0]  # type: ignore[attr-defined]
    return body


def _tokens(source: str) -> Iterator[tuple[int, str, str]]:
    """Yield the pieces of an expression, white space too, each with how many brackets are open around it."""
    depth = 0
    for _, kind, text in ENVIRONMENT.lexer.tokeniter(source, None, state="variable"):
        depth -= kind == "operator" and text in ")]}"
        yield depth, kind, text
        depth += kind == "operator" and text in "([{"


def _unwrapped(source: str) -> str:
    """Return an expression without the parentheses that are around all of it."""
    pieces = list(_tokens(source))
    outside = [at for at, (depth, _, _) in enumerate(pieces) if depth == 0]
    if outside == [0, len(pieces) - 1] and pieces[0][2] == "(":
        return _unwrapped("".join(text for _, _, text in pieces[1:-1]).strip())
    return source


def _between_or(source: str) -> list[str]:
    """Return what stands between the ``or`` of an expression that no bracket is around."""
    parts = [""]
    for depth, kind, text in _tokens(source):
        if depth == 0 and kind == "name" and text == "or":
            parts.append("")
        else:
            parts[-1] += text
    return [part.strip() for part in parts]


@cache
def _names_used(source: str, files: Frozen) -> Mapping[str, int]:
    compiled(source)
    tree, texts = _parsed(source), dict(files)
    used, own = _names(tree), _bound(tree)
    for name, line, sees_names in _inclusions(source):
        if sees_names and name in texts:
            rest = tuple((other, text) for other, text in files if other != name)  # a circle of files has an end
            for inner in _names_used(texts[name], rest):
                if inner not in own:
                    used[inner] = min(line, used.get(inner, line))
    return used


@cache
def _inclusions(source: str) -> tuple[Inclusion, ...]:
    return tuple(
        Inclusion(node.template.value, node.lineno, bool(node.with_context))
        for node in _parsed(source).find_all(_NAMING)
        if _is_static(node)
    )


def _is_static(node: Any) -> bool:
    return isinstance(node.template, nodes.Const) and isinstance(node.template.value, str)


def _parsed(source: str) -> nodes.Template:
    try:
        return ENVIRONMENT.parse(source)
    except Exception as error:  # see not_jinja
        raise not_jinja(error, "Jinja") from None


def _parsed_expression(source: str) -> nodes.Template:
    try:
        parser = Parser(ENVIRONMENT, source, state="variable")
        body = parser.parse_expression()
        if not parser.stream.eos:
            raise jinja2.TemplateSyntaxError("it goes on after its end", parser.stream.current.lineno)
    except Exception as error:  # see not_jinja
        raise not_jinja(error, "a Jinja expression") from None
    tree = nodes.Template([nodes.Output([body], lineno=1)], lineno=1)
    tree.set_environment(ENVIRONMENT)
    return tree


def _names(tree: nodes.Template) -> dict[str, int]:
    undeclared = meta.find_undeclared_variables(tree)
    lines: dict[str, int] = {}
    for node in tree.find_all(nodes.Name):
        if node.name in undeclared:
            lines[node.name] = min(node.lineno, lines.get(node.name, node.lineno))
    return dict(sorted(lines.items(), key=lambda item: (item[1], item[0])))


def _bound(tree: nodes.Template) -> frozenset[str]:
    """Return the names that a template gives a value itself, anywhere in it: what it includes may see them."""
    names = {node.name for node in tree.find_all(nodes.Name) if node.ctx != "load"}
    names |= {node.name for node in tree.find_all(nodes.Macro)}
    names |= {node.target for node in tree.find_all(nodes.Import)}
    for node in tree.find_all(nodes.FromImport):
        names |= {each if isinstance(each, str) else each[1] for each in node.names}
    return frozenset(names)


def _computed_files(tree: nodes.Template) -> list[TemplateError]:
    """Return an error for each file whose name is not there before the template runs, and for each `extends`."""
    named = "a file to include or import must be named by one text in quotes: it is read before the template runs."
    extends = "there is no 'extends': what is sent must stand in the prompt. Use include, or a macro."
    return [
        *(TemplateError(named, node.lineno) for node in tree.find_all(_NAMING) if not _is_static(node)),
        *(TemplateError(extends, node.lineno) for node in tree.find_all(nodes.Extends)),
    ]


def _unknown_tools(tree: nodes.Template) -> list[TemplateError]:
    """Return an error for each unknown filter or test, and put a known one in its place: Jinja stops at the first."""
    errors: list[TemplateError] = []
    for node in tree.find_all((nodes.Filter, nodes.Test)):
        kind, known, instead = (
            ("filter", ENVIRONMENT.filters, "string")
            if isinstance(node, nodes.Filter)
            else ("test", ENVIRONMENT.tests, "defined")
        )
        if node.name not in known:
            errors.append(
                TemplateError(f"there is no {kind} '{node.name}'.{did_you_mean(node.name, known)}", node.lineno)
            )
            node.name = instead
    return errors
