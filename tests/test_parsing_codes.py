"""The format codes: single characters that stand for labels or sets of labels, and their probabilities."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.labelspace import Label, LabelSpace
from harness.parsing import FORMATS, Output
from harness.parsing.tokens import Token
from harness.records import Answer, FailureKind, ParseFailure

CODES = FORMATS["codes"]
SPACE = LabelSpace(
    (
        Label("shipping", "Late or lost", code="a"),
        Label("quality", "Badly made", aliases=("build quality",), code="b"),
        Label("price", "Too dear", code="c"),
        Label("price match", "Cheaper elsewhere", code="d"),
    )
)
SETS: Mapping[str, Any] = {"a": "shipping", "b": ["shipping", "quality"], "c": ["price"], "d": ["price match"], "0": []}
NASTY = LabelSpace(
    tuple(
        Label(name, code=code)
        for name, code in {
            "a": "s", "s": "e", "1": "0", "a, b": "1", 'say "hi"': "N", "[n]": "n", "b: c": "o", "цена": "t", "no": "x",
            "price": "I", "price match": "i",
        }.items()
    )
)  # fmt: skip


def read(text: str, cut: bool = False, space: LabelSpace = SPACE, **options: Any) -> Answer:
    """Return what the codes format reads in a text."""
    return CODES.parse(text, space, Output("codes", options), cut)


def labels(text: str, cut: bool = False, **options: Any) -> str:
    """Return the labels that were read, in label-space order, as one word list that is easy to look at."""
    return " ".join(name.replace(" ", "_") for name in SPACE.ordered(read(text, cut, **options).labels))


def failure(text: str, cut: bool = False, space: LabelSpace = SPACE, **options: Any) -> ParseFailure:
    """Return why the codes format reads nothing in a text."""
    with pytest.raises(ParseFailure) as caught:
        read(text, cut, space, **options)
    return caught.value


READS = {
    # what was asked for
    "one": ("a", "shipping"),
    "two": ("a,c", "shipping price"),
    "comma-and-space": ("a, c", "shipping price"),
    "spaces": ("a c", "shipping price"),
    "joined": ("ac", "shipping price"),
    "joined-in-another-order": ("ca", "shipping price"),
    "joined-three": ("abc", "shipping quality price"),
    "upper-case": ("A, C", "shipping price"),
    "lines": ("a\nc", "shipping price"),
    "said-twice": ("a, a, c", "shipping price"),
    "and": ("a and c", "shipping price"),
    "slash": ("a/c", "shipping price"),
    "table": ("| a | c |", "shipping price"),
    # decoration
    "brackets": ("[a]", "shipping"),
    "quotes": ('"a"', "shipping"),
    "full-stop": ("a, c.", "shipping price"),
    "bold": ("**a**", "shipping"),
    "code": ("`a`, `c`", "shipping price"),
    "fence": ("```\na\n```", "shipping"),
    "array": ('["a", "c"]', "shipping price"),
    "set": ("{'a', 'c'}", "shipping price"),
    "parentheses": ("(a), (c)", "shipping price"),
    "bullets": ("- a\n- c", "shipping price"),
    "numbers": ("1. a\n2. c", "shipping price"),
    "ticked": ("- [x] a\n- [ ] b\n✅ c", "shipping price"),
    # announced
    "answer": ("Answer: a", "shipping"),
    "bold-answer": ("**Answer:** a, c", "shipping price"),
    "codes": ("Codes: a, c", "shipping price"),
    "verb": ("The answer is a.", "shipping"),
    "verb-and": ("The codes are a and c.", "shipping price"),
    "json-object": ('{"codes": ["a", "c"]}', "shipping price"),
    "option": ("Option a", "shipping"),
    "heading-line": ("## Answer\na", "shipping"),
    # with names
    "bracket": ("a) shipping", "shipping"),
    "colon": ("a: shipping", "shipping"),
    "dot": ("a. shipping", "shipping"),
    "dash": ("a - shipping", "shipping"),
    "in-parentheses": ("(a) shipping", "shipping"),
    "in-brackets": ("[a] shipping", "shipping"),
    "bold-with-name": ("**a)** shipping", "shipping"),
    "name-in-parentheses": ("a (shipping) and c (price)", "shipping price"),
    "names-in-parentheses": ("a, c (shipping and price)", "shipping price"),
    "names-in-one-line": ("a: shipping, c: price", "shipping price"),
    "names-in-lines": ("a) shipping\nc) price", "shipping price"),
    "name-first": ("shipping (a), price (c)", "shipping price"),
    "name-and-colon": ("shipping: a", "shipping"),
    "name-behind": ("b quality", "quality"),
    "name-beside": ("a, shipping", "shipping"),
    "alias": ("b: build quality", "quality"),
    "longer-name": ("d: price match", "price_match"),
    # with reasons
    "explained": ("a: it came late", "shipping"),
    "explained-by-a-sentence": ("c. It is too dear, she says.", "price"),
    "name-and-reason": ("a: shipping: it came late", "shipping"),
    "explanation-section": ("a\n\nExplanation:\nb: the quality\n\nc", "shipping"),
    "denied": ("a: yes\nb: no\nc: not mentioned", "shipping"),
    "denied-by-name": ("a: yes\nb: quality - no", "shipping"),
    "denied-in-words": ("a: late\nb: no mention of quality anywhere", "shipping"),
    "unlikely": ("a: 1\nb: 0", "shipping"),
    # other things around it
    "thinking": ("<think>b</think>a", "shipping"),
    "thinking-aloud": ("Let me think. A customer writes about a parcel.\n\na", "shipping"),
    "prose-behind": ("a\n\nThe customer says that a parcel came late.", "shipping"),
    "final-answer": ("a, b\n\nFinal answer: a", "shipping"),
    "final-answer-voids-trouble": ("a: b or c?\n\nAnswer: a, c", "shipping price"),
    "next-input": ("a\n\nText: foo\nc", "shipping"),
    "end-of-turn": ("a<|im_end|>b", "shipping"),
    # the empty set
    "none": ("none", ""),
    "none-decorated": ("**None.**", ""),
    "none-in-words": ("None of the above labels apply.", ""),
    "empty-list": ("[]", ""),
    "none-behind-heading": ("Answer: none", ""),
    "all-denied": ("a: no\nb: no\nc: no\nd: no", ""),
}


@pytest.mark.parametrize(("text", "expected"), READS.values(), ids=READS)
def test_reads_what_models_write(text: str, expected: str) -> None:
    """What a person reads as the codes is what the parser reads."""
    assert labels(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("b", "shipping quality"),
        ("a, c", "shipping price"),
        ("b, c", "shipping quality price"),
        ("bc", "shipping quality price"),
        ("b: shipping, quality", "shipping quality"),
        ("b) shipping and quality", "shipping quality"),
        ("0", ""),
        ("0: none", ""),
        ("none", ""),
    ],
)
def test_codes_of_sets_say_their_union(text: str, expected: str) -> None:
    """A code may stand for several labels or none, and several codes say all of theirs."""
    assert labels(text, codes=SETS) == expected


UNPARSEABLE: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "off-list": ("x", "only off-list codes: x", ("x",)),
    "off-list-digit": ("Answer: 7", "only off-list codes: 7", ("7",)),
    "word": ("delivery", "only off-list codes: delivery", ("delivery",)),
    "name-alone": ("shipping", "only off-list codes: shipping", ("shipping",)),
    "english-word": ("bad", "only off-list codes: bad", ("bad",)),
    "repeated": ("aab", "only off-list codes: aab", ("aab",)),
    "score": ("a: 0.9", "only off-list codes: a: 0.9", ("a: 0.9",)),
    "article": ("A customer complains", "no code and no explicit none in it", ()),
    "prose": ("A customer complains about a parcel", "no code and no explicit none in it", ()),
    "prose-behind-verb": ("The answer is a late parcel of ours", "no code and no explicit none in it", ()),
    "alternatives": ("a or b", "no code and no explicit none in it", ()),
    "only-denied": ("b: no", "no code and no explicit none in it", ()),
    "denied-by-not": ("a: not shipping", "no code and no explicit none in it", ()),
    "only-explained": ("Explanation: a", "no code and no explicit none in it", ()),
    "signs": ("...", "no code and no explicit none in it", ()),
    "empty": ("", "empty answer", ()),
    "name-contradicts": ("a: price", "'a' stands for shipping, but it says price with it", ()),
    "names-contradict": ("a: shipping, price", "'a' stands for shipping, but it says shipping, price with it", ()),
    "name-first-contradicts": ("price (a)", "'a' stands for shipping, but it says price with it", ()),
    "name-beside-contradicts": ("a, price", "it names price, and gives no code of it", ()),
    "none-and-code": ("a, none", "it says none, and shipping", ()),
    "none-and-code-in-lines": ("none\na", "it says none, and shipping", ()),
    "denied-and-given": ("a\na: no", "it both gives and denies a", ()),
    "code-behind-code": ("a: b", "'b' behind 'a' may be a code or what is said of it", ()),
    "code-in-a-reason": ("a: late, b", "'b' is a code or a part of what is said of 'a'", ()),
    "items-without-breaks": (
        "a) shipping b) quality",
        "'shipping b) quality' behind 'a' may be a code or what is said of it",
        (),
    ),
    "codes-or-a-sentence": ("Answer: a, c because late", "'a, c because late' is a sentence, or codes", ()),
    "echo": (
        "\n".join(f"{each.code}) {each}" for each in SPACE),
        "it repeats the list of codes with what they stand for",
        (),
    ),
    "echo-of-descriptions": (
        "\n".join(f"{each.code}: {each.description}" for each in SPACE),
        "it repeats the list of codes with what they stand for",
        (),
    ),
}


@pytest.mark.parametrize(("text", "why", "off_list"), UNPARSEABLE.values(), ids=UNPARSEABLE)
def test_what_says_no_codes_is_unparseable(text: str, why: str, off_list: tuple[str, ...]) -> None:
    """Nothing recognised, only off-list characters, or a contradiction: the failure says which."""
    found = failure(text)
    assert (found.kind, found.why, found.off_list) == (FailureKind.UNPARSEABLE, why, off_list)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("0, a", "it says none, and shipping"),
        ("b: shipping", "'b' stands for shipping, quality, but it says shipping with it"),
        ("0: price", "'0' stands for no label, but it says price with it"),
    ],
)
def test_sets_can_be_contradicted_too(text: str, why: str) -> None:
    """The code of the empty set beside another, and names that are not the whole set, are contradictions."""
    assert failure(text, codes=SETS).why == why


def test_characters_beside_codes_that_are_none_are_off_list() -> None:
    """A single character beside codes that is none is kept as off-list, and so is a short word in an answer."""
    assert read("a, x").off_list == ("x",)
    assert read("Answer: a, delivery").off_list == ("delivery",)
    assert read("a: late\nz: delivery\nz: price").off_list == ("z",)
    assert labels("a, x") == labels("Answer: a, delivery") == "shipping"


def test_case_matters_only_where_a_letter_is_a_code_in_both() -> None:
    """With a and A as codes they differ, and every other letter keeps its case too."""
    both = {"a": "shipping", "A": "quality", "c": "price", "d": "price match"}
    assert labels("A", codes=both) == "quality"
    assert failure("C", codes=both).off_list == ("C",)
    assert labels("C") == "price"


def test_an_a_that_means_the_answer() -> None:
    """Where a is no code, "A:" before a code is the answer's mark."""
    digits = {"1": "shipping", "2": "quality", "3": "price", "4": "price match"}
    assert labels("A: 2", codes=digits) == "quality"
    assert labels("1. shipping\n3. price", codes=digits) == "shipping price"
    assert failure("1. 3", codes=digits).why == "'3' behind '1' may be a code or what is said of it"
    assert failure("B: 2", codes=digits).off_list == ("B: 2",)


def test_codes_of_other_labels_are_none_in_a_part_of_the_space() -> None:
    """Asked about some labels alone, a code that stands for others as well is off-list."""
    space = SPACE.only(["shipping", "price"])
    assert read("a", space=space, codes=SETS).labels == {"shipping"}
    assert failure("b", space=space, codes=SETS).off_list == ("b",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a", "shipping"), ("a, c", "shipping price"), ("none", ""), ("a\n", "shipping"), ("a: shipping", "shipping")],
)
def test_a_cut_but_complete_answer_counts(text: str, expected: str) -> None:
    """With ``max_tokens: 1`` every answer is cut: a code is complete."""
    assert labels(text, cut=True) == expected
    assert labels("a\n\nThe parcel came", cut=True) == "shipping"


@pytest.mark.parametrize(
    "text", ["", "a,", "a, ", "a:", "a: it came la", "Answer:", "a\nAnswer:", "no", "The customer", "Codes:\n", "a and"]
)
def test_a_cut_and_incomplete_answer_is_truncated(text: str) -> None:
    """A cut text in which a code was still to come is truncated."""
    assert failure(text, cut=True).kind is FailureKind.TRUNCATED


def test_the_beginning_of_none_is_no_code() -> None:
    """A cut "n" may be the code n or the beginning of "none"."""
    space = LabelSpace((Label("new", code="n"), Label("old", code="o")))
    assert failure("n", cut=True, space=space).kind is FailureKind.TRUNCATED
    assert read("n", space=space).labels == {"new"}


@pytest.mark.parametrize(
    ("names", "options", "written"),
    [
        ([], {}, "none"),
        ([], {"none": "-"}, "-"),
        ([], {"none": "0"}, "0"),
        ([], {"codes": SETS}, "0"),
        (["price", "shipping"], {}, "a,c"),
        (["price", "shipping"], {"separator": ""}, "ac"),
        (["price", "shipping"], {"separator": " "}, "a c"),
        (["price", "shipping"], {"separator": "\n"}, "a\nc"),
        (["quality", "shipping"], {"codes": SETS}, "b"),
        (["shipping"], {"codes": SETS}, "a"),
        (["quality", "shipping", "price"], {"codes": SETS}, "b,c"),
        (list(SPACE.names), {"codes": SETS}, "b,c,d"),
    ],
)
def test_render_writes_what_a_perfect_model_would(names: list[str], options: dict[str, Any], written: str) -> None:
    """The code of exactly these labels, else few codes that say them together; it is read back."""
    output = Output("codes", options)
    assert CODES.check(output, SPACE) == []
    assert CODES.render(names, {}, SPACE, output) == written
    assert read(written, **options) == Answer(frozenset(names))


def test_a_set_that_no_codes_write_is_refused() -> None:
    """A label whose codes all stand for others too cannot be written alone."""
    with pytest.raises(ValueError, match="codes cannot write quality, price: ") as caught:
        CODES.render(["price", "quality"], {}, SPACE, Output("codes", {"codes": SETS}))
    assert str(caught.value) == (
        "codes cannot write quality, price: every code of quality stands for other labels too."
        " Give it a code of its own in 'codes'."
    )


def test_words_are_codes_where_no_separator_stands_between_them() -> None:
    """With an empty separator codes in their order are read, though they make an English word."""
    codes = {"b": "shipping", "e": "quality", "d": "price", "x": "price match"}
    assert labels("be", codes=codes, separator="") == "shipping quality"
    assert labels("eb", codes=codes, separator="") == "shipping quality"
    assert failure("be", codes=codes).off_list == ("be",)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"code": {}},
            "format codes has no option 'code'. It has codes, none, separator, min_mass. Did you mean 'codes'?",
        ),
        ({"codes": ["a"]}, "codes must be a mapping, got ['a']."),
        ({"codes": {"ab": "price"}}, "codes must be single characters of 0-9a-zA-Z, got 'ab'."),
        ({"codes": {"é": "price"}}, "codes must be single characters of 0-9a-zA-Z, got 'é'."),
        ({"codes": {"a": 3}}, "code 'a' must stand for a label or a list of labels, got 3."),
        ({"codes": {"a": [None]}}, "code 'a' must stand for a label or a list of labels, got [None]."),
        ({"codes": {"a": "shippin"}}, "code 'a' stands for 'shippin', which is no label. Did you mean 'shipping'?"),
        (
            {"codes": {"a": ["shipping", "price"]}},
            "codes must name every label, but no code stands for quality, price match.",
        ),
        ({"none": ""}, "none must be a word on one line, got ''."),
        ({"none": "no\nlabel"}, "none must be a word on one line, got 'no\\nlabel'."),
        ({"none": "Price-Match"}, "none must be no label, but 'Price-Match' names label 'price match'."),
        ({"none": "a"}, "none must not be made of codes or of signs that surround them, got 'a'."),
        ({"none": "cd"}, "none must not be made of codes or of signs that surround them, got 'cd'."),
        ({"none": "Answer:"}, "none must not be made of codes or of signs that surround them, got 'Answer:'."),
        ({"separator": "x"}, "separator must be one of , ; | / & + or white space, or empty, got 'x'."),
    ],
)
def test_impossible_options_are_told(options: dict[str, Any], message: str) -> None:
    """Every impossible option has a message that says what must hold and what was given."""
    assert CODES.check(Output("codes", options), SPACE) == [message]


def test_labels_without_a_code_are_told() -> None:
    """Where the codes come from the labels, each label needs one."""
    space = LabelSpace((Label("shipping", code="a"), Label("price"), Label("quality")))
    assert CODES.check(Output("codes"), space) == [
        "every label needs a code, but there is none for price, quality. Give it one in the dataset (`code: s`),"
        " or say what each code stands for in 'codes'."
    ]


# --- probabilities ---------------------------------------------------------------------------------------------------


def weigh(*tokens: Token, **options: Any) -> tuple[dict[str, float], dict[str, float]]:
    """Return the probabilities and masses of an answer's tokens."""
    assert CODES.weigh is not None
    probabilities, mass = CODES.weigh(tokens, SPACE, Output("codes", options))
    return dict(probabilities), dict(mass)


def test_probabilities_of_one_code() -> None:
    """P(label) is the share of its codes in the mass of all codes; case and leading space are summed."""
    top = {"a": 0.25, " a": 0.125, "A": 0.125, "b": 0.25, "x": 0.125, "the": 0.125}
    probabilities, mass = weigh(Token("a", top))
    assert probabilities == pytest.approx({"shipping": 2 / 3, "quality": 1 / 3, "price": 0, "price match": 0})
    assert mass == pytest.approx(dict.fromkeys(SPACE.names, 0.75))


def test_probabilities_of_sets() -> None:
    """A code counts for every label of its set, and that of the empty set for none."""
    probabilities, mass = weigh(Token("b", {"a": 0.25, "b": 0.25, "0": 0.5}), codes=SETS)
    assert probabilities == {"shipping": 0.5, "quality": 0.25, "price": 0, "price match": 0}
    assert set(mass.values()) == {1.0}


@pytest.mark.parametrize("none", ["0", "-"])
def test_a_none_of_one_character_counts_as_the_empty_set(none: str) -> None:
    """A single character as none word has its place in the mass; a longer word has not."""
    top = {"a": 0.25, none: 0.5, "none": 0.25}
    probabilities, mass = weigh(Token(none, top), none=none)
    assert probabilities["shipping"] == pytest.approx(1 / 3)
    assert mass["shipping"] == 0.75
    assert weigh(Token("a", top))[1]["shipping"] == 0.25


@pytest.mark.parametrize(
    "texts",
    [["\n", " ", '"', "b", '"'], ["Answer", ":", " b"], ["b", ")", " quality"], ["<think>", "</think>", "b", "."]],
)
def test_the_token_of_the_code_is_found(texts: list[str]) -> None:
    """White space, quotes, headings and the label's name around the one code do not matter."""
    probabilities, _ = weigh(*(Token(text, {"b": 0.5, "a": 0.5} if "b" in text else {text: 1.0}) for text in texts))
    assert probabilities["quality"] == 0.5


@pytest.mark.parametrize(
    "texts",
    [["a", ",", "b"], ["a", "\n", "a"], ["ab"], ["x", "y"], ["The", " customer"], ["none"], ["a", " customer"], []],
)
def test_other_answers_have_no_probabilities(texts: list[str]) -> None:
    """More than one code, none in letters, or no code at all: nothing is invented."""
    assert weigh(*(Token(text, {"a": 0.5, "b": 0.5}) for text in texts)) == ({}, {})


def test_an_answer_of_one_token_that_is_no_code_is_weighed() -> None:
    """With `max_tokens: 1` the model may begin a word: the codes that it could have written have probabilities."""
    probabilities, mass = weigh(Token("The", {"The": 0.5, "a": 0.06, "b": 0.02}))
    assert probabilities["shipping"] == pytest.approx(0.75)
    assert mass["price"] == pytest.approx(0.08)


def test_little_mass_is_no_probability() -> None:
    """Under `min_mass` the model was about to say something else; the option says how little that is."""
    listed = Token("The", {"The": 0.9, "a": 0.03})
    assert weigh(listed) == ({}, {})
    assert weigh(listed, min_mass=0.02)[0]["shipping"] == 1.0
    (problem,) = CODES.check(Output("codes", {"min_mass": 2}), SPACE)
    assert problem == "min_mass must be within 0 and 1, got 2."


def test_a_place_without_codes_has_no_probabilities() -> None:
    """Where the server lists no code for the place, there is no mass to divide by."""
    assert weigh(Token("a", {})) == ({}, {})
    assert weigh(Token("a", {"a": 0.0})) == ({}, {})


# --- laws ------------------------------------------------------------------------------------------------------------

OUTPUTS = [
    (SPACE, Output("codes", {"separator": separator, "none": none}))
    for separator in (",", ", ", "", " ", "\n", "/", "|")
    for none in ("none", "-", "0", "nothing here")
] + [(NASTY, Output("codes", {"separator": separator})) for separator in (",", "", " ", ";")]


@given(st.data(), st.sampled_from(OUTPUTS))
def test_what_is_rendered_is_read_back(data: st.DataObject, asked: tuple[LabelSpace, Output]) -> None:
    """A perfect answer is read as what it says, whatever the names look like; cut anywhere it says no more."""
    space, output = asked
    assert CODES.check(output, space) == []
    names = data.draw(st.frozensets(st.sampled_from(space.names)))
    written = CODES.render(names, {}, space, output)
    assert CODES.parse(written, space, output, False) == Answer(names)
    with_names = "\n".join(f"{label.code}) {label}" for label in space if label.name in names) or "none"
    with contextlib.suppress(ParseFailure):
        assert CODES.parse(with_names, space, output, False).labels == names
    beginning = written[: data.draw(st.integers(0, len(written)))]
    try:
        cut = CODES.parse(beginning, space, output, True)
    except ParseFailure:
        assert failure(beginning, True, space, **output.options).kind is FailureKind.TRUNCATED
        return
    assert cut.labels <= names
    assert cut.off_list == ()


PIECES = [
    "a",
    "b",
    "c",
    "x",
    "A",
    "I",
    "0",
    "1",
    "ac",
    "be",
    ",",
    ", ",
    " ",
    "\n",
    ":",
    ") ",
    "(",
    "[",
    "]",
    " - ",
    ". ",
    '"',
    "**",
]
PIECES += [
    "shipping",
    "quality",
    "price",
    "price match",
    "none",
    "no",
    "not ",
    "yes",
    "Answer:",
    "Explanation:",
    "Text:",
    " is ",
]
PIECES += [
    "The customer",
    "late",
    "and ",
    "or ",
    "```",
    "<think>",
    "</think>",
    "\ud800",
    "é",
    "[ ] ",
    "[x] ",
    "- ",
    "1. ",
    "0.9",
]


@given(st.one_of(st.text(), st.lists(st.sampled_from(PIECES), max_size=25).map("".join)), st.booleans())
def test_no_text_breaks_the_parser(text: str, cut: bool) -> None:
    """Whatever is written, it is labels or a failure; cut or not, it says the same or fails."""
    for space, options in ((SPACE, {}), (SPACE, {"codes": SETS}), (NASTY, {"separator": ""})):
        try:
            found = read(text, cut, space, **options)
        except ParseFailure as why:
            "".join((why.why, *why.off_list)).encode()
            continue
        "".join(found.off_list).encode()
        assert found.labels <= set(space.names)
        assert read(text, space=space, **options) == found


@given(st.lists(st.sampled_from([*PIECES, " a", "the"]), max_size=6))
def test_no_tokens_break_the_probabilities(texts: list[str]) -> None:
    """Whatever was generated, there are probabilities of all labels, or none at all."""
    probabilities, mass = weigh(*(Token(text, {text: 0.5, "a": 0.25}) for text in texts))
    assert set(probabilities) == set(mass)
    assert set(probabilities) in (set(), set(SPACE.names))
    assert all(0 <= value <= 1 for value in probabilities.values())


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "a,",
        "a ",
        "a: late, ",
        "a: shipping, ",
        "x, ",
        "(",
        "a) ",
        " ",
        ":",
        "a (",
        "no ",
        "- ",
        "a - b ",
        "price (",
    ],
)
def test_long_texts_are_read_in_linear_time(piece: str) -> None:
    """A text of 100,000 characters takes a moment, whatever it repeats."""
    begin = time.process_time()
    with contextlib.suppress(ParseFailure):
        read(piece * (100_000 // len(piece)))
    assert time.process_time() - begin < 15.0


@pytest.mark.parametrize("text", ["a = shipping\nb =", "a = shipping\nb = quality", "a: shipping\nb: Badly made"])
def test_a_cut_list_of_the_codes_is_no_answer(text: str) -> None:
    """What was cut while it repeated what the codes stand for, from the first one on, is truncated."""
    assert failure(text, cut=True).kind is FailureKind.TRUNCATED


def test_codes_that_begin_elsewhere_are_no_repeated_list() -> None:
    """A cut text whose codes are not the beginning of the list says what it says."""
    assert labels("b = quality\nc = price", cut=True) == "quality price"
    assert labels("a = shipping", cut=True) == "shipping"


def test_a_code_behind_unknown_words_is_not_lost() -> None:
    """Codes beside "My guess: a" are no whole answer: the one behind the unknown words may be meant as well."""
    assert failure("My guess: a, c").why == "'My guess: a' stands beside codes, and may hold another"
    assert labels("代码：a、c") == "shipping price"


# --- what is said of a code ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("a: ja\nc: nein", "shipping", id="other-languages"),
        pytest.param("a: late\nc: There is no mention of price.", "shipping", id="sentence"),
        pytest.param("a: the parcel did not arrive\nc: does not apply", "shipping", id="reason"),
        pytest.param("a:\n- late\n\nc:\n- not mentioned", "shipping", id="on-the-next-line"),
        pytest.param("| Code | Applies |\n|---|---|\n| a | yes |\n| c | no |", "shipping", id="table"),
        pytest.param("| a | shipping | ✓ |\n| c | price | ✗ |", "shipping", id="table-with-names"),
        pytest.param('{"a": true, "c": false}', "shipping", id="object"),
        pytest.param('{"codes": {"a": 1, "c": 0}}', "shipping", id="object-under-a-key"),
        pytest.param("a 0\nc 1", "price", id="spaces"),
        pytest.param("a;no\nc;yes", "price", id="semicolons"),
        pytest.param("a ✓ c ✗", "shipping", id="signs"),
    ],
)
def test_a_flag_or_reason_behind_a_code_says_whether_it_applies(text: str, expected: str) -> None:
    """A yes, a no or a sentence beside a code, in whatever form, gives or denies it."""
    assert labels(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "a: yes\nc: maybe",
        "a: yes\nc: ?",
        "a: yes\nc:",
        "a: yes\nc: []",
        "a: late\nc: fine, no complaint",
        "a, c, no",
        "a c\n1 0",
    ],
)
def test_what_neither_gives_nor_denies_a_code_fails(text: str) -> None:
    """A hedge, nothing, or a flag of which nobody knows its code is never guessed."""
    assert failure(text).kind is FailureKind.UNPARSEABLE


def test_a_code_cut_behind_its_colon_is_truncated() -> None:
    """What is said of the code was still to come."""
    assert failure("a: yes\nc:\n", cut=True).kind is FailureKind.TRUNCATED


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("Codes considered: a, c\nCodes that apply: a", "shipping", id="considered"),
        pytest.param("Codes: a, c\nCodes that apply: a", "shipping", id="choice"),
        pytest.param("Codes: a, c\nCorrection: a", "shipping", id="correction"),
        pytest.param("a, c\nActually, only a.", "shipping", id="actually"),
        pytest.param("Options: a, c\nAnswer: a", "shipping", id="options"),
        pytest.param("Codes: a\nCodes: c", "shipping price", id="same-heading"),
        pytest.param("Codes: a and c apply.", "shipping price", id="apply"),
        pytest.param("(a) (c)", "shipping price", id="brackets"),
        pytest.param("A: Shipping. C: Price.", "shipping price", id="sentences"),
    ],
)
def test_of_several_lists_of_codes_the_one_that_chooses_counts(text: str, expected: str) -> None:
    """Candidates are no answer; a choice or a correction takes the place of what stands before it."""
    assert labels(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Options: a, b, c",
        "The options are a and c.",
        "Codes: a, c\nTopics: a",
        "a, c\nActually, remove c.",
        "It is a, c",
    ],
)
def test_codes_of_which_nobody_knows_what_they_are_fail(text: str) -> None:
    """A list to choose from, two lists that differ and a change without a new answer say no labels."""
    assert failure(text).kind is FailureKind.UNPARSEABLE
