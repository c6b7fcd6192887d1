"""Jinja, fenced in: templates that become messages, and expressions that choose samples.

Templates run in Jinja's sandbox with `StrictUndefined`: an unknown name is an error, never an empty string, and a
prompt or dataset file reaches no attribute, file or environment beyond the values it is given.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

import jinja2
from jinja2 import meta, nodes
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from harness.errors import DataError, did_you_mean, listing


class _Undefined(jinja2.StrictUndefined):
    """What is not there: an error in whatever is done with it, printed within a list too."""

    __slots__ = ()
    __repr__ = jinja2.StrictUndefined.__str__


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        undefined=_Undefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
    )
    del environment.globals["lipsum"], environment.filters["random"]  # draws without a seed
    return environment


_ENVIRONMENT = _environment()
_OTHER_FILES = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)
_OBJECT = re.compile(r"'(?:\w+\.)*(\w+) object'")
_UNDEFINED_NAME = re.compile(r"'(.+)' is undefined")


class TemplateError(Exception):
    """A template or expression is wrong: a message, and the line in it, counted from 1."""

    def __init__(self, message: str, line: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


def render(source: str, context: Mapping[str, Any]) -> str:
    """Return the template's text.

    Raises:
        TemplateError: It is not valid, uses an unknown name, or fails while it runs.
    """
    template = _compiled(source)
    try:
        return template.render(context)
    except Exception as error:  # whatever the template's own expressions raise
        raise TemplateError(_runtime_message(error, context), _line_of(error)) from None


def names_used(source: str) -> dict[str, int]:
    """Return the names that a template takes from its context, with the first line each stands on.

    Raises:
        TemplateError: It is not valid Jinja.
    """
    return dict(_names_used(source))


def check_names(source: str, known: Iterable[str]) -> list[TemplateError]:
    """Return an error for everything in a template that is wrong before it ever runs, in the order of its lines.

    That is: the syntax, names that are not known, filters and tests that do not exist, and other files.
    """
    return _check(source, _parsed, _compiled, known)


def _check(
    source: str,
    parse: Callable[[str], nodes.Template],
    compiled: Callable[[str], object],
    known: Iterable[str],
) -> list[TemplateError]:
    every = sorted(known)
    try:
        tree = parse(source)
        errors = [*_other_files(tree), *_unknown_tools(tree)]
        if not errors:
            compiled(source)  # finds what the parser lets pass
        for name, line in _names(tree).items():
            if name not in every:
                near = f"{did_you_mean(name, every)} Here there is: {listing(every, 30)}."
                errors.append(TemplateError(f"'{name}' is not defined.{near}", line))
    except TemplateError as error:
        return [error]
    return sorted(errors, key=lambda error: error.line)


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
            raise TemplateError(_runtime_message(error, context), _line_of(error)) from None
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
def _compiled(source: str) -> jinja2.Template:
    try:
        return _ENVIRONMENT.from_string(source)
    except Exception as error:  # see _not_jinja
        raise _not_jinja(error, "Jinja") from None


@cache
def _names_used(source: str) -> Mapping[str, int]:
    _compiled(source)
    return _names(_parsed(source))


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


def _other_files(tree: nodes.Template) -> list[TemplateError]:
    message = "a template must stand alone: no include, import or extends."
    return [TemplateError(message, node.lineno) for node in tree.find_all(_OTHER_FILES)]


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


def _runtime_message(error: Exception, context: Mapping[str, Any]) -> str:
    if not isinstance(error, jinja2.UndefinedError):
        return _sentence(f"{type(error).__name__}: {error}")
    found = _UNDEFINED_NAME.fullmatch(error.message or "")
    if found is None:
        return _sentence(_OBJECT.sub(lambda kind: kind[1].lower(), str(error.message)))
    return f"{error.message}.{did_you_mean(found[1], context)} Here there is: {listing(sorted(context), 30)}."


def _line_of(error: Exception) -> int:
    """Return the template line at which an exception came up.

    `Template.render` rewrites its traceback to template lines; in that of an expression the lines are still those of
    the Python code that Jinja made of it.
    """
    line, trace = 1, error.__traceback__
    while trace is not None:
        template = trace.tb_frame.f_globals.get("__jinja_template__")
        if template is not None:
            line = template.get_corresponding_lineno(trace.tb_lineno)
        elif trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
