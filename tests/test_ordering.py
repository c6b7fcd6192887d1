"""The order of calls: what shares its beginning with what was just read goes next, and nobody is passed over for nothing."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.ordering import WORTH, next_in_line, request_text, shared

LONG = "x" * WORTH
TEXTS = st.text(st.sampled_from("ab"), max_size=12)


@given(TEXTS, TEXTS)
def test_what_two_texts_share_is_their_common_beginning(one: str, other: str) -> None:
    """As many characters as are equal one by one from the first on, whichever text comes first."""
    alike = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    assert shared(one, other) == shared(other, one) == len(list(alike))


def test_the_text_of_a_request_is_what_a_model_reads() -> None:
    """Messages with their roles, in their order; the prompt of a completion; nothing where there is neither."""
    messages = [{"role": "system", "content": "Label."}, {"role": "user", "content": "late"}]
    assert request_text({"model": "m", "messages": messages}) == "system\nLabel.\nuser\nlate\n"
    assert request_text({"model": "m", "prompt": "late ->"}) == "late ->"
    assert request_text({"model": "m"}) == ""


def test_the_beginning_that_is_held_goes_on() -> None:
    """The call that shares most with what a slot holds goes before older ones, whichever slot it is."""
    waiting = ["other", f"{LONG} one", f"{LONG} one two"]
    assert next_in_line([f"{LONG} one two three"], waiting) == 2
    assert next_in_line(["nothing", f"{LONG} one"], waiting) == 1


@pytest.mark.parametrize("held", [[], ["nothing alike"], [LONG[:-1]]])
def test_the_oldest_goes_first_where_it_makes_no_difference(held: list[str]) -> None:
    """Nothing is held, nothing is shared, or too little to matter."""
    assert next_in_line(held, ["first", LONG, "last"]) == 0


def test_of_equals_the_oldest_goes_first() -> None:
    """Among calls that share as much the one goes that has waited longest."""
    assert next_in_line([LONG], ["other", f"{LONG} a", f"{LONG} b"]) == 1


def test_no_line_has_no_next() -> None:
    """Somebody must wait."""
    with pytest.raises(ValueError, match="no call waits"):
        next_in_line([LONG], [])


@given(st.lists(TEXTS, max_size=3), st.lists(TEXTS, min_size=1, max_size=6), st.integers(0, 5))
def test_a_choice_is_never_worse_than_first_come(held: list[str], waiting: list[str], copies: int) -> None:
    """What goes next shares at least as much with what is held as the oldest does."""
    held, waiting = [each * copies for each in held], [each * copies for each in waiting]
    gains = [max((shared(text, each) for each in held), default=0) for text in waiting]
    at = next_in_line(held, waiting)
    assert gains[at] >= gains[0]
    assert at == 0 or gains[at] - gains[0] >= WORTH


def test_two_passes_take_turns_by_the_many() -> None:
    """Of two passes with long beginnings all the waiting calls of one go before one of the other does."""
    line = [f"{name * WORTH} {number}" for number in range(4) for name in "ab"]
    held, order = [line[0]], ""
    while line:
        text = line.pop(next_in_line(held, line))
        held, order = [text], order + text[0]
    assert order == "aaaabbbb"
