"""Text of evaluated samples in a prompt: what counts as copied, and what does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.copiedtext import WORDS, Copied, copied, passages
from harness.records import Sample

TEXT = "The parcel came two weeks late, and the lamp in it was cracked."


def sample(text: object, identity: str = "s1", **columns: object) -> Sample:
    """Return a sample."""
    return Sample(identity, {"text": text, **columns})


@pytest.mark.parametrize(
    ("prompt", "found"),
    [
        ("Such as: the parcel came TWO weeks -- late!", "the parcel came TWO weeks -- late"),
        ("as in\nThe parcel came two\nweeks late, and the lamp", "The parcel came two weeks late, and the lamp"),
        ("the parcel came two weeks", None),
        ("the parcel came too weeks late and the lamps", None),
    ],
)
def test_six_words_in_a_row_are_copied(prompt: str, found: str | None) -> None:
    """Case, punctuation and line ends make no difference; the whole run is told once."""
    wanted = () if found is None else (Copied("s1", found),)
    assert copied([prompt], [], [sample(TEXT)]) == wanted


def test_what_was_known_before_is_not_copied() -> None:
    """What stood in the parent, or in a label's description, may stand there again."""
    known = ["damaged: the parcel came two weeks late, and the lamp in it"]
    assert copied(["The parcel came two weeks late, and the lamp."], known, [sample(TEXT)]) == ()


def test_every_input_column_counts() -> None:
    """A title is as much of a sample as its text; numbers are no text."""
    found = copied(["one two three four five six"], [], [sample(None, title="One two three four five six", stars=5)])
    assert found == (Copied("s1", "one two three four five six"),)


def test_scripts_without_spaces_are_counted_in_characters() -> None:
    """Thirty characters in a row are copied, twenty-nine are not."""
    text = "".join(chr(0x4E00 + 7 * at) for at in range(90))
    assert copied([f"例：{text[:29]}"], [], [sample(text)]) == ()
    assert copied([f"例：{text[:31]}"], [], [sample(text)]) == (Copied("s1", text[:31]),)


def test_a_short_text_as_a_whole_is_copied() -> None:
    """A quotation or a line that is a whole sample counts from three words on, a single word never."""
    samples = [sample("It never arrived.", "t1"), sample("late", "t2")]
    assert copied(['"it never arrived" is shipping; "late" too'], [], samples) == (
        Copied("t1", "it never arrived", whole=True),
    )
    assert copied(["- It never arrived → shipping"], ["It never arrived"], samples) == ()


def test_two_samples_are_told_apart() -> None:
    """Runs out of different samples are different pieces, also where they touch; a text in two belongs to the first."""
    first, second = "one two three four five six", "seven eight nine ten eleven twelve"
    rest = "and so on and on for much longer than anybody would want to read of it in a review of a lamp"
    samples = [sample(f"{each} {rest}", name) for each, name in ((first, "a"), (second, "b"), (second, "c"))]
    assert copied([f"{first} {second}"], [], samples) == (Copied("a", first), Copied("b", second))


@given(st.lists(st.text(alphabet="aZ0_ßİﬁ½é\u0301日ไ", min_size=1), min_size=30), st.sampled_from([" ", " - ", ".\n"]))
def test_a_text_is_found_in_itself(parts: list[str], between: str) -> None:
    """Whatever its letters are, and however its words are set apart: that most samples are passed over loses none."""
    text = between.join(["one", *parts, "two three four five six seven"])
    (first, *_) = passages([text.replace(between, " ")], [], [sample("else", "s0"), sample(text)])
    assert first.sample == "s1"


def test_samples_are_not_read_for_a_short_prompt() -> None:
    """Messages that are shorter than a passage cost nothing, however many samples there are."""
    unread = (pytest.fail(f"sample {number} was read") for number in range(1))
    assert passages(["{{ text }} One of: a, b"], [], unread) == ()


words = st.lists(st.sampled_from(["ab", "cd", "ef", "gh", "ij", "kl"]), max_size=30)


@given(prompt=words, text=words)
def test_it_is_found_exactly_where_six_words_are_shared(prompt: list[str], text: list[str]) -> None:
    """Against the definition, word by word."""
    runs = {tuple(text[at : at + WORDS]) for at in range(len(text) - WORDS + 1)}
    shares = any(tuple(prompt[at : at + WORDS]) in runs for at in range(len(prompt) - WORDS + 1))
    found = [each for each in copied([" ".join(prompt)], [], [sample(" ".join(text))]) if not each.whole]
    assert bool(found) is shares
    assert all(len(each.text.split()) >= WORDS for each in found)


@given(prompt=words, text=words)
def test_a_prompt_that_was_known_has_no_copies(prompt: list[str], text: list[str]) -> None:
    """The same prompt as before holds nothing new."""
    assert copied([" ".join(prompt)], [" ".join(prompt)], [sample(" ".join(text))]) == ()
