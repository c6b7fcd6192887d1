"""Jinja, fenced in: templates that become messages, and expressions that choose samples.

Templates run in Jinja's sandbox with `StrictUndefined`: an unknown name is an error, never an empty string, and a
prompt or dataset file reaches no attribute, file or environment beyond the values it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

import jinja2
from jinja2 import meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from harness.errors import DataError, did_you_mean, listing

_ENVIRONMENT = ImmutableSandboxedEnvironment(
    undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
)


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
    try:
        return _compiled(source).render(context)
    except jinja2.TemplateSyntaxError as error:
        raise TemplateError(f"must be Jinja, but {error.message}", error.lineno) from None
    except Exception as error:  # whatever the template's own expressions raise
        raise TemplateError(_runtime_message(error, context), _line_of(error)) from None


def names_used(source: str) -> dict[str, int]:
    """Return the names that a template takes from its context, with the first line each stands on.

    Raises:
        TemplateError: It is not valid Jinja.
    """
    return _names(_parse(source))


def check_names(source: str, known: Iterable[str]) -> list[TemplateError]:
    """Return an error for everything in a template that is wrong before it ever runs: syntax and unknown names."""
    try:
        used = names_used(source)
    except TemplateError as error:
        return [error]
    every = sorted(known)
    return [
        TemplateError(f"'{name}' is not defined.{did_you_mean(name, every)} Here there is: {listing(every, 30)}.", line)
        for name, line in used.items()
        if name not in every
    ]


def expression(source: str) -> Callable[[Mapping[str, Any]], Any]:
    """Return a Jinja expression as a function of its context.

    Raises:
        TemplateError: It is not valid Jinja. The function raises it too, when the expression fails on a context.
    """
    try:
        run = _ENVIRONMENT.compile_expression(source, undefined_to_none=False)
    except jinja2.TemplateSyntaxError as error:
        raise TemplateError(f"must be a Jinja expression, but {error.message}", error.lineno) from None

    def evaluate(context: Mapping[str, Any]) -> Any:
        try:
            value = run(**context)
            bool(value)  # a StrictUndefined says so here, while we can still tell where
        except Exception as error:  # whatever the expression raises
            raise TemplateError(_runtime_message(error, context), _line_of(error)) from None
        return value

    return evaluate


def check_expression(source: str, known: Iterable[str]) -> list[TemplateError]:
    """Return what is wrong with an expression before it ever runs."""
    try:
        expression(source)
    except TemplateError as error:
        return [error]
    return check_names("{{ " + source + " }}", known)


def sample_filter(source: str) -> Callable[[Mapping[str, Any]], bool]:
    """Return a `--filter` expression as a test of a sample's context.

    Raises:
        DataError: It is not valid, or fails on a sample.
    """
    try:
        evaluate = expression(source)
    except TemplateError as error:
        raise DataError(f"--filter '{source}': {error.message}.") from None

    def test(context: Mapping[str, Any]) -> bool:
        try:
            return bool(evaluate(context))
        except TemplateError as error:
            raise DataError(f"--filter '{source}': sample {context.get('id')}: {error.message}") from None

    return test


@cache
def _compiled(source: str) -> jinja2.Template:
    return _ENVIRONMENT.from_string(source)


def _parse(source: str) -> nodes.Template:
    try:
        return _ENVIRONMENT.parse(source)
    except jinja2.TemplateSyntaxError as error:
        raise TemplateError(f"must be Jinja, but {error.message}", error.lineno) from None


def _names(tree: nodes.Template) -> dict[str, int]:
    undeclared = meta.find_undeclared_variables(tree)
    lines: dict[str, int] = {}
    for node in tree.find_all(nodes.Name):
        if node.name in undeclared:
            lines[node.name] = min(node.lineno, lines.get(node.name, node.lineno))
    return {name: lines.get(name, 1) for name in sorted(undeclared, key=lambda each: (lines.get(each, 1), each))}


def _runtime_message(error: Exception, context: Mapping[str, Any]) -> str:
    if isinstance(error, jinja2.UndefinedError):
        name = str(error.message or "").split("'")[1] if "'" in str(error.message) else ""
        return f"{error.message}.{did_you_mean(name, context)} Here there is: {listing(sorted(context), 30)}."
    return f"{type(error).__name__}: {error}"


def _line_of(error: Exception) -> int:
    """Return the template line at which an exception came up: Jinja rewrites its traceback to template lines."""
    line, trace = 1, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
