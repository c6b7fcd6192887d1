"""An end to what a template makes: loops that run for ever, and texts, lists and numbers that grow until memory is full.

Jinja's sandbox says what a template reaches, and not how much it makes of it: ``{{ 'a' * 10 ** 10 }}`` is ten gigabytes.
Here everything that a template makes is counted, and what would be large is counted before it is made. The count needs no
clock, so that the same template stops at the same place everywhere.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from functools import update_wrapper, wraps
from types import BuiltinMethodType, MethodType
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

LIMIT = 50_000_000
"""Characters and items that one rendering may make: far above any request that a model takes."""

STEP = 100
"""What an item of a loop, a call, and a list within a list count for."""

_MOST_BITS = 100_000
_TEXTS = (str, bytes)
_HOLDERS = (list, tuple, set, frozenset, Mapping, KeysView, ValuesView, ItemsView)
_KINDS: dict[type, bool] = {}
"""What `_weighs` has found: a question to an abstract class costs more than most values."""

_REPEATING = frozenset({"replace", "join", "translate", "indent", "expandtabs", "tojson", "wordwrap"})
"""Filters and methods whose result can be as large as what they are given times their argument."""

_SLOW = frozenset({"striptags", "urlize", "wordwrap", "sum"})
"""Filters whose time grows with the square of what they are given."""

_PASSED = "jinja_pass_arg"
_NUMBER = re.compile(r"\d+")
_NESTED = re.compile(r"\{[^{}]*:[^{}]*\{")


class TooMuch(SecurityError):  # noqa: N818 - a verdict, like a failed attempt
    """A template makes more than it may."""

    def __init__(self, message: str = "") -> None:
        super().__init__(
            message or f"it makes more than {LIMIT:,} characters and items. Make its loops and texts smaller"
        )


class _Work(threading.local):
    left = LIMIT


_WORK = _Work()


def begin() -> None:
    """Begin to count anew: for one rendering, expression or compilation."""
    _WORK.left = LIMIT


def spend(amount: int) -> None:
    """Count what is about to be made.

    Raises:
        TooMuch: It is more than is left.
    """
    _WORK.left -= amount
    if _WORK.left < 0:
        raise TooMuch


def weight(value: Any) -> int:
    """Return how many characters and items a value comes to when it is written out; more than `LIMIT` is not counted.

    What stands in a list twice counts twice: ``[x, x]`` of ``[x, x]`` of … is small in memory and endless on paper.
    """
    if isinstance(value, _TEXTS):
        return len(value)
    total, waiting = 0, [value]
    while waiting and total <= LIMIT:
        each = waiting.pop()
        if isinstance(each, Namespace):
            each = object.__getattribute__(each, "_Namespace__attrs")
        if isinstance(each, _TEXTS):
            total += len(each)
        elif isinstance(each, _HOLDERS):
            total += STEP + len(each)
            if total <= LIMIT:
                inside = [*each, *each.values()] if isinstance(each, Mapping) else list(each)
                if any(map(_weighs, set(map(type, inside)))):
                    waiting += inside
    return total


def _weighs(kind: type) -> bool:
    """Return whether a value of this type comes to more than one item."""
    if kind not in _KINDS:
        _KINDS[kind] = issubclass(kind, (*_TEXTS, *_HOLDERS, Namespace))
    return _KINDS[kind]


class BoundedEnvironment(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, and a count of what its templates make: `begin` before each rendering."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.filters = {name: _bounded(name, each) for name, each in self.filters.items()}

    def concat(self, parts: Iterable[str]) -> str:
        """Return the parts as one text: what a template, macro or block comes to."""
        pieces = list(parts)
        spend(sum(map(len, pieces)))
        return "".join(pieces)

    def joined(self, values: tuple[Any, ...]) -> str:
        """Return the values of a ``~`` as one text."""
        return self.concat(map(str, values))

    def weighed(self, value: Any) -> Any:
        """Return a list, tuple or dict that stands in a template."""
        spend(weight(value))
        return value

    def counted(self, iterable: Any) -> Any:
        """Return what a loop runs over, its items counted before they come."""
        try:
            spend(STEP * len(iterable))
        except TypeError:
            return _each(iterable)
        return iterable

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call a function or method."""
        spend(STEP)
        if isinstance(obj, LoopContext):
            return super().call(context, obj, self.counted(args[0]), *args[1:], **kwargs) if args else None
        if isinstance(obj, BuiltinMethodType | MethodType):
            args = _checked(obj.__name__, (obj.__self__, *args), kwargs)[1:]
        result = super().call(context, obj, *args, **kwargs)
        if _weighs(type(result)):
            spend(weight(result))
        return result

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Return what an operator makes of two values."""
        if operator == "*":
            _check_product(left, right)
        elif operator == "**":
            _check_power(left, right)
        elif operator == "%" and isinstance(left, _TEXTS):
            _check_percent(left, right)
        elif operator == "+" and isinstance(left, (*_TEXTS, list, tuple)):
            spend(len(left))
        result = super().call_binop(context, operator, left, right)
        if _weighs(type(result)):
            spend(weight(result))
        return result

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """Return ``format`` and ``format_map`` of a text, with an end to their widths; None for anything else."""
        wrapped = super().wrap_str_format(value)
        if wrapped is None:
            return None

        def bounded(*args: Any, **kwargs: Any) -> str:
            _check_format(value.__self__, (args, kwargs))
            return wrapped(*args, **kwargs)

        return update_wrapper(bounded, value)

    def get_template(self, *args: Any, **kwargs: Any) -> jinja2.Template:
        """Return an included file: files that include each other twice are many soon."""
        spend(STEP)
        return super().get_template(*args, **kwargs)


class _Generator(CodeGenerator):
    """Jinja's compiler, which has loops, lists and joined texts go by the environment's counts."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._loops: set[int] = set()

    def visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> Any:
        if id(node) in self._loops:
            self._loops.remove(id(node))
            return self._within("counted", super().visit, node, *args, **kwargs)
        return super().visit(node, *args, **kwargs)

    def visit_For(self, node: nodes.For, frame: Frame) -> None:  # noqa: N802
        self._loops.add(id(node.iter))
        super().visit_For(node, frame)

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802
        self._within("joined", super().visit_Tuple, nodes.Tuple(node.nodes, "load"), frame)

    def visit_Tuple(self, node: nodes.Tuple, frame: Frame) -> None:  # noqa: N802
        if node.ctx == "load":
            self._within("weighed", super().visit_Tuple, node, frame)
        else:
            super().visit_Tuple(node, frame)

    def visit_List(self, node: nodes.List, frame: Frame) -> None:  # noqa: N802
        self._within("weighed", super().visit_List, node, frame)

    def visit_Dict(self, node: nodes.Dict, frame: Frame) -> None:  # noqa: N802
        self._within("weighed", super().visit_Dict, node, frame)

    def _within(self, method: str, visit: Callable[..., Any], node: nodes.Node, *args: Any, **kwargs: Any) -> None:
        self.write(f"environment.{method}(")
        visit(node, *args, **kwargs)
        self.write(")")


BoundedEnvironment.code_generator_class = _Generator


def _each(iterable: Iterable[Any]) -> Iterator[Any]:
    for each in iterable:
        spend(STEP)
        yield each


def _bounded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a filter that counts what it is given and what it makes."""
    first = 1 if hasattr(function, _PASSED) else 0  # before the value stands the context or the environment

    @wraps(function)
    def bounded(*args: Any, **kwargs: Any) -> Any:
        result = function(*args[:first], *_checked(name, args[first:], kwargs), **kwargs)
        if _weighs(type(result)):
            spend(weight(result))
        return _each(result) if isinstance(result, Iterator) else result

    return bounded


def _checked(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the arguments of a filter or method, the value itself first, when what comes of them is no bomb.

    Raises:
        TooMuch: It would be larger than what is left.
    """
    if name == "join":  # what comes one by one is counted here, and then there
        args = tuple(list(each) if isinstance(each, Iterator) else each for each in args)
    value, given = args[0] if args else None, (*args[1:], *kwargs.values())
    if isinstance(value, (*_TEXTS, list, tuple, range)):
        spend(len(value) // 8 if isinstance(value, _TEXTS) else len(value) * 10)
        if name in _SLOW:
            spend(len(value) ** 2 // 10_000)
    if name == "format" and isinstance(value, str):
        _check_percent(value, given)
    elif name in _REPEATING:
        _check_repeating(name, value, given)
    else:
        spend(sum(abs(each) for each in given if isinstance(each, int)) * (1000 if name == "round" else 1))
    return args


def _check_repeating(name: str, value: Any, given: tuple[Any, ...]) -> None:
    sizes = [each if isinstance(each, int) and name != "wordwrap" else weight(each) for each in given]
    most = (1 + weight(value)) * (1 + max(sizes, default=0))
    if most > LIMIT and name == "replace" and isinstance(value, str) and isinstance(given[0], str):
        most = len(value) + value.count(given[0]) * weight(given[1])
    if most > LIMIT:
        raise TooMuch


def _check_product(left: Any, right: Any) -> None:
    if isinstance(left, int) and isinstance(right, int):
        if left.bit_length() + right.bit_length() > _MOST_BITS:
            raise TooMuch
        return
    times, value = (left, right) if isinstance(left, int) else (right, left)
    if isinstance(value, (*_TEXTS, list, tuple)) and isinstance(times, int) and times > 0:
        spend(len(value) * times)


def _check_power(base: Any, exponent: Any) -> None:
    if isinstance(base, int) and isinstance(exponent, int) and base.bit_length() * exponent > _MOST_BITS:
        raise TooMuch


def _check_percent(text: str | bytes, values: Any) -> None:
    """Check a text in whose ``%`` values are put."""
    plain = text if isinstance(text, str) else text.decode("latin-1")
    if re.search(r"%[^%a-zA-Z]*\*", plain):
        raise TooMuch("a width must stand in the text itself, not be a '*'")
    _check_widths(plain, plain.count("%"), values)


def _check_format(text: str, values: Any) -> None:
    """Check a text in whose ``{}`` values are put."""
    if _NESTED.search(text):
        raise TooMuch("a width must stand in the text itself, not be a '{}'")
    _check_widths(text, text.count("{"), values)


def _check_widths(text: str, places: int, values: Any) -> None:
    spend(sum(int(each[:12]) for each in _NUMBER.findall(text)))
    if places * weight(values) > LIMIT:
        raise TooMuch
