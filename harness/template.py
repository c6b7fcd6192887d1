"""Jinja, fenced in: templates that become messages, and expressions that choose samples.

Templates run in Jinja's sandbox with `StrictUndefined`: an unknown name is an error, never an empty string, and a
prompt or dataset file reaches no attribute, file or environment beyond the values it is given. What a template includes
or imports is given to it too: texts by name, read before (see `harness.includes`). Nothing here reads a file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

import jinja2
from jinja2 import meta, nodes
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from harness.errors import DataError, did_you_mean, listing


class _Undefined(jinja2.StrictUndefined):
    """What is not there: an error in whatever is done with it, printed within a list too."""

    __slots__ = ()
    __repr__ = jinja2.StrictUndefined.__str__


def _environment(loader: jinja2.BaseLoader | None = None) -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        undefined=_Undefined, trim_blocks=True, lstrip_blocks=True, autoescape=False, loader=loader
    )
    del environment.globals["lipsum"], environment.filters["random"]  # draws without a seed
    return environment


_ENVIRONMENT = _environment()
_NAMING: Any = (nodes.Include, nodes.Import, nodes.FromImport)
_PLACE = "<template>"
"""Where Jinja says that the code of a template without a name stands; that of a file is told as this and its name."""

NO_FILES: Mapping[str, str] = MappingProxyType({})
_Frozen = tuple[tuple[str, str], ...]
_OBJECT = re.compile(r"'(?:\w+\.)*(\w+) object'")
_UNDEFINED_NAME = re.compile(r"'(.+)' is undefined")


class TemplateError(Exception):
    """A template or expression is wrong: a message, and the line in it, counted from 1.

    Args:
        message: What is wrong.
        line: In the template itself; for what is wrong in an included file, the line that includes it.
        where: The included file and its line, ``NAME:LINE``; empty for the template itself.

    Attributes:
        message: What is wrong, `where` before it.
        bare: What is wrong, without `where`.
    """

    def __init__(self, message: str, line: int = 1, where: str = "") -> None:
        self.message = f"{where}: {message}" if where else message
        super().__init__(self.message)
        self.bare = message
        self.line = line
        self.where = where


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


def render(source: str, context: Mapping[str, Any], files: Mapping[str, str] = NO_FILES) -> str:
    """Return the template's text.

    Args:
        source: The template.
        context: Its names.
        files: Texts of the files that it may include or import, by the names that it uses for them.

    Raises:
        TemplateError: It is not valid, uses an unknown name, or fails while it runs.
    """
    template = _compiled(source, tuple(files.items()))
    try:
        return template.render(context)
    except Exception as error:  # whatever the template's own expressions raise
        raise _runtime_error(error, context) from None


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


def check_names(source: str, known: Iterable[str], files: Mapping[str, str] = NO_FILES) -> list[TemplateError]:
    """Return an error for everything in a template that is wrong before it ever runs, in the order of its lines.

    That is: the syntax, names that are not known, filters and tests that do not exist, names of files that are computed,
    and the same in every file that it includes or imports. A file that is not among ``files`` is not told here: whoever
    read them told it.
    """
    every = frozenset(known)
    found = [*_check(source, _parsed, _compiled, every), *_check_files(source, every, files, ())]
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
            own = _check(text, _parsed, _compiled, seen)
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


@cache
def expression(source: str) -> Callable[[Mapping[str, Any]], Any]:
    """Return a Jinja expression as a function of its context.

    Raises:
        TemplateError: It is not valid Jinja. The function raises it too, when the expression fails on a context.
    """
    try:
        run = _ENVIRONMENT.compile_expression(source, undefined_to_none=False)
    except Exception as error:  # see _not_jinja
        raise _not_jinja(error, "a Jinja expression") from None

    def evaluate(context: Mapping[str, Any]) -> Any:
        try:
            value = run(context)
            bool(value)  # a StrictUndefined says so here, while we can still tell where
        except Exception as error:  # whatever the expression raises
            raise _runtime_error(error, context) from None
        return value

    return evaluate


def check_expression(source: str, known: Iterable[str]) -> list[TemplateError]:
    """Return an error for everything in an expression that is wrong before it ever runs, like `check_names`."""
    return _check(source, _parsed_expression, expression, known)


def sample_filter(source: str) -> Callable[[Mapping[str, Any]], bool]:
    """Return a `--filter` expression as a test of a sample's context.

    Raises:
        DataError: It is not valid, or fails on a sample.
    """
    try:
        evaluate = expression(source)
    except TemplateError as error:
        raise DataError(f"--filter '{source}': {error.message}") from None

    def test(context: Mapping[str, Any]) -> bool:
        try:
            return bool(evaluate(context))
        except TemplateError as error:
            raise DataError(f"--filter '{source}': sample {context['id']}: {error.message}") from None

    return test


@cache
def _with_files(files: _Frozen) -> ImmutableSandboxedEnvironment:
    """Return the environment in which templates find these files, and nothing else."""
    texts = dict(files)

    def load(name: str) -> tuple[str, str, Callable[[], bool]] | None:
        return (texts[name], f"{_PLACE}{name}", lambda: True) if name in texts else None

    return _environment(jinja2.FunctionLoader(load)) if files else _ENVIRONMENT


@cache
def _compiled(source: str, files: _Frozen = ()) -> jinja2.Template:
    try:
        return _with_files(files).from_string(source)
    except Exception as error:  # see _not_jinja
        raise _not_jinja(error, "Jinja") from None


@cache
def _names_used(source: str, files: _Frozen) -> Mapping[str, int]:
    _compiled(source)
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
        return _ENVIRONMENT.parse(source)
    except Exception as error:  # see _not_jinja
        raise _not_jinja(error, "Jinja") from None


def _parsed_expression(source: str) -> nodes.Template:
    try:
        parser = Parser(_ENVIRONMENT, source, state="variable")
        body = parser.parse_expression()
        if not parser.stream.eos:
            raise jinja2.TemplateSyntaxError("it goes on after its end", parser.stream.current.lineno)
    except Exception as error:  # see _not_jinja
        raise _not_jinja(error, "a Jinja expression") from None
    tree = nodes.Template([nodes.Output([body], lineno=1)], lineno=1)
    tree.set_environment(_ENVIRONMENT)
    return tree


def _not_jinja(error: Exception, kind: str) -> TemplateError:
    """Return the error for what cannot be compiled.

    Beside its own exception, Jinja lets through what Python's compiler says of the code that it writes (a doubled
    argument: SyntaxError; a huge number: ValueError) and the end of the stack (RecursionError).
    """
    if isinstance(error, jinja2.TemplateSyntaxError):
        return TemplateError(_sentence(f"must be {kind}, but {error.message}"), error.lineno)
    if isinstance(error, RecursionError):
        return TemplateError(f"must be {kind}, but it nests too deep.")
    return TemplateError(_sentence(f"must be {kind}, but {getattr(error, 'msg', error)}"))


def _sentence(text: str) -> str:
    return text.rstrip(".") + "."


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
            ("filter", _ENVIRONMENT.filters, "string")
            if isinstance(node, nodes.Filter)
            else ("test", _ENVIRONMENT.tests, "defined")
        )
        if node.name not in known:
            errors.append(
                TemplateError(f"there is no {kind} '{node.name}'.{did_you_mean(node.name, known)}", node.lineno)
            )
            node.name = instead
    return errors


def _runtime_error(error: Exception, context: Mapping[str, Any]) -> TemplateError:
    line, where = _place_of(error)
    return TemplateError(_runtime_message(error, context), line, where)


def _runtime_message(error: Exception, context: Mapping[str, Any]) -> str:
    if isinstance(error, jinja2.TemplateNotFound):
        return f"there is no file '{error.name}' among those that were read with the prompt."
    if isinstance(error, jinja2.TemplateSyntaxError):
        return _sentence(f"must be Jinja, but {error.message}")
    if not isinstance(error, jinja2.UndefinedError):
        return _sentence(f"{type(error).__name__}: {error}")
    found = _UNDEFINED_NAME.fullmatch(error.message or "")
    if found is None:
        return _sentence(_OBJECT.sub(lambda kind: kind[1].lower(), str(error.message)))
    return f"{error.message}.{did_you_mean(found[1], context)} Here there is: {listing(sorted(context), 30)}."


def _place_of(error: Exception) -> tuple[int, str]:
    """Return the template line at which an exception came up, and in which included file and line, if in one.

    `Template.render` rewrites its traceback to template lines; in that of an expression the lines are still those of
    the Python code that Jinja made of it.
    """
    line, where, trace = 1, "", error.__traceback__
    while trace is not None:
        template = trace.tb_frame.f_globals.get("__jinja_template__")
        place = trace.tb_frame.f_code.co_filename
        if template is not None:
            line = template.get_corresponding_lineno(trace.tb_lineno)
        elif place == _PLACE:
            line, where = trace.tb_lineno, ""
        elif place.startswith(_PLACE):
            where = f"{place.removeprefix(_PLACE)}:{trace.tb_lineno}"
        trace = trace.tb_next
    return line, where
