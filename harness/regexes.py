"""Regular expressions that are compiled when they are first used: a run needs few of all that answers may call for."""

from __future__ import annotations

import re
from typing import Any, cast


def regex(text: str, flags: int = 0) -> re.Pattern[str]:
    """Return what `re.compile` does, but compiled at its first use. It has the methods; functions of `re` do not take it."""
    return cast("re.Pattern[str]", _Uncompiled(text, flags))


class _Uncompiled:
    """A pattern that takes over the methods of the compiled one when the first of them is asked for."""

    def __init__(self, text: str, flags: int) -> None:
        self._text, self._flags = text, flags

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        compiled = re.compile(self._text, self._flags)
        for method in (
            "match",
            "fullmatch",
            "search",
            "sub",
            "subn",
            "split",
            "findall",
            "finditer",
            "pattern",
            "flags",
        ):
            setattr(self, method, getattr(compiled, method))
        return getattr(compiled, name)
