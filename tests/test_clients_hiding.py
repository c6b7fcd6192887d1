"""The key in what servers answer: found across pieces and behind escapes, and nowhere else touched."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.clients.hiding import PLACE, Hiding, decoded, hidden, unsaid

KEY = "sk-abab-planted-abab-7f3a"


@given(
    st.lists(st.sampled_from([KEY, KEY[:7], KEY[3:], "sk-", "a", "ab", "\n", "{}"]), max_size=12),
    st.lists(st.integers(1, 9), min_size=1, max_size=30),
)
def test_pieces_are_cleaned_as_the_whole_is(words: list[str], sizes: list[int]) -> None:
    """Wherever the pieces end, what comes out is what cleaning the whole gives."""
    whole = "".join(words).encode()
    clean, out, at = Hiding(KEY), b"", 0
    for size in sizes * (len(whole) // sum(sizes) + 1):
        out += clean.of(whole[at : at + size])
        at += size
    out += clean.of(whole[at:]) + clean.rest()
    assert out == hidden(whole.decode(), KEY).encode()


def test_a_short_key_is_a_word() -> None:
    """What servers without keys are given stands in answers of its own right, and stays."""
    assert hidden("none of them", "none") == "none of them"
    clean = Hiding("none")
    assert clean.of(b"none") + clean.rest() == b"none"
    assert Hiding(None).of(b"x") == b"x"


def test_an_error_keeps_its_words() -> None:
    """A key that stands for none is a part of other words, and stays; one of eight characters is hidden."""
    words = "model `nope` does not exist: wrong key secret-7"
    assert unsaid(words, "x") == unsaid(words, "exist") == unsaid(words, None) == words
    assert unsaid(words, "secret-7") == f"model `nope` does not exist: wrong key {PLACE}"


def test_a_key_behind_escapes_is_found() -> None:
    """JSON can write every character in another way; the value has the key in none."""
    escaped = KEY.replace("s", "\\u0073", 1)
    assert decoded(f'{{"a": ["{escaped}", 1], "{escaped}": null}}'.encode(), KEY) == {"a": [PLACE, 1], PLACE: None}
    assert decoded(f"<p>{KEY}</p>".encode(), KEY) == f"<p>{PLACE}</p>"
