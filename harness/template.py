"""Jinja, fenced in: templates that become messages, and expressions that choose samples. See also `templatenames`.

Templates run in Jinja's sandbox with `StrictUndefined`: an unknown name is an error, never an empty string, and a
prompt or dataset file reaches no attribute, file or environment beyond the values it is given, and there is an end to what
it makes of them (see `harness.templatebudget`). What a template includes or imports is given to it too: texts by name, read
before (see `harness.includes`). Nothing here reads a file.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

import jinja2

from harness.errors import DataError, did_you_mean, listing
from harness.templatebudget import BoundedEnvironment, TooMuch, begin

_UNSPACED = "\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
"""Scripts that put no spaces between words: each of their characters counts as one."""

_LETTER = rf"[^\W{_UNSPACED}]"
_WORD = rf"[{_UNSPACED}]|{_LETTER}+(?:'{_LETTER}+)*"
"""Compiled where it is used for the first time: few templates count words."""


def words(text: object) -> list[str]:
    """Return the words of a text in their order, case folded: the filter ``words``.

    ``'late' in text | words`` is true of the word "Late" and not of "plate". Unicode forms are made one (NFKC), an
    apostrophe within a word belongs to it ("didn't"), and in scripts without spaces every character is a word.
    """
    return re.findall(_WORD, unicodedata.normalize("NFKC", str(text)).casefold().replace("\u2019", "'"))


class _Undefined(jinja2.StrictUndefined):
    """What is not there: an error in whatever is done with it, printed within a list too."""

    __slots__ = ()
    __repr__ = jinja2.StrictUndefined.__str__


def _environment(loader: jinja2.BaseLoader | None = None) -> BoundedEnvironment:
    environment = BoundedEnvironment(
        undefined=_Undefined, trim_blocks=True, lstrip_blocks=True, autoescape=False, loader=loader
    )
    del environment.globals["lipsum"], environment.filters["random"]  # draws without a seed
    environment.filters["words"] = words
    return environment


ENVIRONMENT = _environment()
_PLACE = "<template>"
"""Where Jinja says that the code of a template without a name stands; that of a file is told as this and its name."""

NO_FILES: Mapping[str, str] = MappingProxyType({})
Frozen = tuple[tuple[str, str], ...]
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


def render(source: str, context: Mapping[str, Any], files: Mapping[str, str] = NO_FILES) -> str:
    """Return the template's text.

    Args:
        source: The template.
        context: Its names.
        files: Texts of the files that it may include or import, by the names that it uses for them.

    Raises:
        TemplateError: It is not valid, uses an unknown name, or fails while it runs.
    """
    template = compiled(source, tuple(files.items()))
    begin()
    try:
        return template.render(context)
    except Exception as error:  # whatever the template's own expressions raise
        raise _runtime_error(error, context) from None


@cache
def expression(source: str) -> Callable[[Mapping[str, Any]], Any]:
    """Return a Jinja expression as a function of its context.

    Raises:
        TemplateError: It is not valid Jinja. The function raises it too, when the expression fails on a context.
    """
    begin()
    try:
        run = ENVIRONMENT.compile_expression(source, undefined_to_none=False)
    except Exception as error:  # see not_jinja
        raise not_jinja(error, "a Jinja expression") from None

    def evaluate(context: Mapping[str, Any]) -> Any:
        begin()
        try:
            value = run(context)
            bool(value)  # a StrictUndefined says so here, while we can still tell where
        except Exception as error:  # whatever the expression raises
            raise _runtime_error(error, context) from None
        return value

    return evaluate


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
def _with_files(files: Frozen) -> BoundedEnvironment:
    """Return the environment in which templates find these files, and nothing else."""
    texts = dict(files)

    def load(name: str) -> tuple[str, str, Callable[[], bool]] | None:
        # Jinja drops a file's last line break, and `trim_blocks` the one behind the tag: without this, what follows an
        # include on the next line would be glued to the file's last word.
        return (f"{texts[name]}\n", f"{_PLACE}{name}", lambda: True) if name in texts else None

    return _environment(jinja2.FunctionLoader(load)) if files else ENVIRONMENT


@cache
def compiled(source: str, files: Frozen = ()) -> jinja2.Template:
    """Return a template that can be rendered, with the files that it may reach.

    Raises:
        TemplateError: It is not valid Jinja.
    """
    begin()
    try:
        return _with_files(files).from_string(source)
    except Exception as error:  # see not_jinja
        raise not_jinja(error, "Jinja") from None


def not_jinja(error: Exception, kind: str) -> TemplateError:
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


def _runtime_error(error: Exception, context: Mapping[str, Any]) -> TemplateError:
    line, where = _place_of(error)
    return TemplateError(_runtime_message(error, context), line, where)


def _runtime_message(error: Exception, context: Mapping[str, Any]) -> str:
    if isinstance(error, jinja2.TemplateNotFound):
        return f"there is no file '{error.name}' among those that were read with the prompt."
    if isinstance(error, jinja2.TemplateSyntaxError):
        return _sentence(f"must be Jinja, but {error.message}")
    if isinstance(error, TooMuch):
        return _sentence(str(error))
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
