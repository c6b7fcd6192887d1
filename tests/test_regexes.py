"""Regular expressions that are compiled at their first use."""

from __future__ import annotations

import re
from unittest import mock

import pytest

from harness.regexes import regex


@pytest.mark.parametrize("method", ["match", "fullmatch", "search", "findall", "split"])
def test_it_does_what_the_compiled_one_does(method: str) -> None:
    """Each method gives the same, at the first use and later."""
    mine, plain = regex("a(b)?", re.IGNORECASE), re.compile("a(b)?", re.IGNORECASE)
    for text in ("AB", "xab a", ""):
        assert str(getattr(mine, method)(text)) == str(getattr(plain, method)(text))
    assert mine.sub("-", "xAb") == "x-"
    assert (mine.pattern, mine.flags, mine.groups) == (plain.pattern, plain.flags, plain.groups)


def test_it_is_compiled_once_and_late() -> None:
    """Making it costs nothing; from the first use on its methods are those of the compiled one."""
    with mock.patch("harness.regexes.re.compile", wraps=re.compile) as compiled:
        mine = regex("late")
        assert not compiled.called
        assert mine.search("too late") is not None
        assert mine.match("late") is not None
        assert compiled.call_count == 1
