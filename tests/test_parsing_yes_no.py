"""The format yes_no: what models say when they are asked about one label, and how probable it is."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies_labels import unhurried

from harness.clients.embedded import EmbeddedClient
from harness.labelspace import Label, LabelSpace
from harness.parsing import FORMATS, Output, read
from harness.parsing.tokens import Token, tokens_of
from harness.prompt import Engine, Model
from harness.records import Answer, Call, Completion, FailureKind, ParseFailure

YES_NO = FORMATS["yes_no"]
SPACE = LabelSpace((Label("shipping", aliases=("late delivery",)),))
MISSING_PIECE = "neither yes nor no in it"


def said(text: str, cut: bool = False, space: LabelSpace = SPACE, **options: Any) -> str:
    """Return "yes" or "no" as it was read, with a star when the text had to be mended."""
    answer = YES_NO.parse(text, space, Output("yes_no", options), cut)
    assert answer.labels in (frozenset(), frozenset(space.names))
    return ("yes" if answer.labels else "no") + ("*" if answer.repaired else "")


def failure(text: str, cut: bool = False, **options: Any) -> ParseFailure:
    """Return why nothing is read in a text."""
    with pytest.raises(ParseFailure) as caught:
        said(text, cut, **options)
    return caught.value


YES = [
    # words
    *("yes", "Yes.", "YES\n", "Yes!", " yes ", "yep", "Yeah", "true", "True.", "1", "y", "Y", "✓", "✔️", "✅"),
    *("✓ shipping", "**Yes**", "`yes`", '"Yes"', "'yes'", "> Yes", "- Yes", "1. Yes", "### Yes", "“Yes”", "[yes]"),
    *("(yes)", "```\nyes\n```", "ja", "Ja, das Paket kam spät", "oui", "Oui.", "Sí", "sim", "да", "Да, посылка"),
    *("はい", "はい、", "是", "是的。", "evet"),
    # what follows it
    *("Yes, because the box was torn", "Yes the review complains", "Yes – late", "Yes - late", "yes (the parcel)"),
    *("Yes [1]", "Yes, no doubt.", "Yes\n\nExplanation: No box was torn.", "yes: late"),
    *("Yes. No mention of a refund.", "1, because it is", "Yes\n\nReview: too dear\nAnswer: No"),
    *("Yes\n\nQuestion: is it?\nNo", "Yes\n\nConclusion: it came late", "true, it was late"),
    # what stands before it
    *("Answer: yes", "Final answer: **Yes**", "The answer is yes.", "So the answer is **yes**", "Antwort: Ja"),
    *("答案：是", "Answer:\nYes", "## Answer\n\nYes", "yes/no: yes", "Yes or no: yes", "Answer (yes or no): Yes"),
    *("true/false: true", "Respond with yes or no: Yes", "Question: Does it apply? Answer: yes"),
    *("Does the label apply? Yes.", "Shipping? Yes.", "Shipping: yes", "- **Shipping**: Yes", "| shipping | yes |"),
    *("late delivery - yes", "Label: shipping\nAnswer: yes", "Result: 1", "Output: Yes", "I would say yes"),
    *("I'd say: Yes.", "Definitely yes!", "Sure. Yes.", "Well, yes", "It's a yes", "Present: yes"),
    # reasons first
    *("<think>no</think>Yes", "The parcel came late.\n\nYes", "The parcel came late. Yes."),
    *("No one knows.\nFinal answer: yes", "The review says no box was torn.\nAnswer: Yes"),
    *("No.\nWait.\nFinal answer: yes", "Reasoning: no.\n\nAnswer: yes", "The answer is \\boxed{Yes}."),
    *("<answer>yes</answer>", "It came late. Yes, so it is.", "Late\nYes, it was late"),
    # wordings
    *("The label applies", 'The label "shipping" applies.', "It applies to this review.", "I think it applies."),
    *("It does.", "Based on the review, the label applies.", "Therefore, the label applies.", "trifft zu", "适用"),
    *("Present", "Applicable.", "This label is clearly relevant.", "shipping is mentioned in the review"),
    *("It does apply here",),
    # boxes
    *("[x] Yes\n[ ] No", "☑ Yes ☐ No", "- [ ] No\n- [x] Yes"),
    # JSON
    *('{"answer": "yes"}', '{"shipping": true}', '{"applies": true, "reason": "no"}'),
    *('{"contains_shipping": true}', '["yes"]', '{"label": "shipping", "applies": true}', "[true]"),
    *('{"yes": true, "no": false}', '```json\n{"applies": 1}\n```'),
    *('{"shipping": {"applies": true, "reason": "late"}}', '{"answer": ["Yes"]}', '{"answer": "Yes, because"}'),
    *('{"reason": "no parcel", "is_present": true}', 'I see. {"applies": true}', '{"yes/no": "yes"}'),
    *('{"answer": "yes", "n": 0}', '{"applies_to_review": 1}', '{"shipping_complaint": true}'),
    # once more, lettered, with how sure it is
    *("yes yes yes", "A: Yes", "A) yes", "Q: Shipping?\nA: Yes, it came late", "Yes (0.9)", "Yes, 100%"),
    *("Yes: 2 weeks late", "Prediction = yes", "yes: true", "(x) Yes"),
    # what follows takes nothing back
    *("Yes. However, there is no mention of refunds.", "Yes\n\nReview: x\nActually, no.", "Yes. Actually, yes."),
    *('{"answer": "yes"}\n\nReview: x\n{"answer": "no"}', '{"answer": "yes"} not {"answer": "no"}'),
]  # fmt: skip

NO = [
    *("no", "No. The review…", "**No**", "NO", "nope", "false", "FALSE.", "0", "n", "N", "✗", "❌", "✘", "None"),
    *("none.", "nein", "Nein, kein Wort davon", "non", "нет", "いいえ", "否", "不是", "não", "لا", "No, it is fine"),
    *("No mention of shipping", "No evidence of late delivery", "No\n\nYes is not right", "0 - nothing of it"),
    *("Shipping: no", "the answer is no", "Final answer: No", "I'd say no", "Definitely no"),
    *("Answer: The label does not apply", "Not mentioned", "Not mentioned in the review."),
    *("Not explicitly mentioned.", "Not applicable", "N/A", "Not at all.", "It does not apply"),
    *("It doesn't apply here.", "It doesn’t", "The label does not apply to this review.", "不适用"),
    *("The label 'shipping' does not apply because it is about price.", "shipping is not mentioned."),
    *("Certainly not", "It is not an issue", "trifft nicht zu", "This label is not relevant.", "Not really"),
    *("nicht erwähnt", "Of course not!", '{"applies": false}', '{"answer": "No, because"}', '{"no": true}'),
    *("[ ] Yes\n[x] No", '{"shipping": 0, "other": true}', "Reasoning: yes it is late.\n\nAnswer: no"),
    *("Yes or no? No.", "Applies: no", "The parcel was fine.\nNo, it was not late."),
    *("no no no", "No no, it is fine", "Q: Is it about shipping?\nA: No", "Result = no", "( ) yes\n(x) no"),
    *("No complaints! The parcel was fine.", "No. It is fine, number 1."),
    # a yes at a key that denies
    *('{"not_applicable": true}', '{"notMentioned": "yes"}', '{"does_not_apply": true}', '{"no_shipping_complaint": true}'),
    *('{"shipping_absent": true}', '{"answer_is_no": true}', '{"is_about_shipping": false}'),
]  # fmt: skip

NEITHER = [
    *("maybe", "I cannot tell", "Not sure", "Unclear", "Not necessarily", "The reviewer is happy", "shipping"),
    *("does it apply?",),
    # it only asks
    *("Yes or no?", "yes or no", "Yes/No", "Answer: yes/no", "Answer yes or no.", '"yes" or "no"', "True/False"),
    *("1/0", "Yes?"),
    # what only looks so
    *("No box was torn", "No doubt", "No one answered", "Non-delivery is the complaint", "Nothing"),
    *("None of the items arrived", "Note", "Yesterday it came", "Northern", "True to size", "1. The review"),
    *("1 star", "0.5", "10", "N. Smith wrote it", "Da der Kunde klagt", "Si el cliente"),
    *("Was it late? No problem at all there", "It is mentioned that the box was torn"),
    # on a condition, or of something else
    *("The label applies if the customer complains", "Yes if it is late"),
    *("The label applies to reviews that mention boxes", "No, unless it was late", '{"price": true}'),
    *('{"confidence": 1}', '{"shipping": 0.7}', '{"answer": null}', "[1, 0]", '{"a": {"b": true}}'),
    # a choice with what each side has, a number, a form that is not filled in
    *("yes: 0.2, no: 0.8", "yes 0.1 no 0.9", "Yes: 10%\nNo: 90%", "Yes - 10%, No - 90%", '{"yes": 0.2, "no": 0.8}'),
    *("No. 1 complaint: late delivery", "No.1", "yes: false", "Yes: no", "( ) yes (x) no", "yes not"),
    # keys that deny a denial, or that ask for something else
    *('{"not_applicable": false}', '{"shipping_ok": true}', '{"label_id": 1}', '{"free_shipping": true}'),
    *('{"answer": {"answer": {"answer": {"answer": true}}}}', "[ ] Yes", "☐ No", "oui et non", "1, 0, 0"),
]  # fmt: skip

BOTH = [
    "Yes and no",
    "Yes, no",
    "Yes. No.",
    "Yes\nNo",
    "No\nYes",
    "✅ No",
    "✓✗",
    "Yes, the box was torn. No.",
]
BOTH += [
    # taken back
    "Yes.\n\nActually, on reflection: No.",
    "Yes\nCorrection: No",
    "No... wait, yes.",
    "No\n\nEdit: Yes",
    "No\n\nWait, actually the label applies.",
    '{"answer": "yes"}\nActually, no.',
    # a beginning that runs on, and a sentence that answers
    "No complaints! Yes, shipping is mentioned.",
    '{"applies": true, "not_applicable": true}',
    '{"applies": true, "present": false}',
    '{"yes": true, "no": true}',
    "Answer: Yes and no.",
    "1. Yes\n2. No",
]


@pytest.mark.parametrize("text", YES)
def test_reads_yes(text: str) -> None:
    """What a person takes for a yes is one."""
    assert said(text) == "yes"


@pytest.mark.parametrize("text", NO)
def test_reads_no(text: str) -> None:
    """What a person takes for a no is the empty set."""
    assert said(text) == "no"


@pytest.mark.parametrize("text", NEITHER)
def test_what_says_neither_is_unparseable(text: str) -> None:
    """A text that does not answer, or only repeats the question, is never scored as an answer."""
    found = failure(text)
    assert (found.kind, found.why) == (FailureKind.UNPARSEABLE, MISSING_PIECE)


@pytest.mark.parametrize("text", BOTH)
def test_what_says_both_is_unparseable(text: str) -> None:
    """A text that says yes and no is no answer, cut or not."""
    for cut in (False, True):
        found = failure(text, cut)
        assert (found.kind, found.why) == (FailureKind.UNPARSEABLE, "it says both yes and no")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("No", "no"),
        ("Yes", "yes"),
        ("Y", "yes"),
        ("Yes, because the", "yes"),
        ("Answer: no, the", "no"),
        ('{"answer": "yes", "rea', "yes"),
        ('{"applies": false, "why": "it', "no"),
    ],
)
def test_a_cut_text_counts_when_its_answer_stands_at_the_beginning(text: str, expected: str) -> None:
    """With `max_tokens: 1` every answer is cut, and complete."""
    assert said(text, cut=True) == expected


@pytest.mark.parametrize(
    "text",
    [
        "The",
        "The review. No, the",
        "Was it late? No.",
        "Yes\n\nFinal answer:",
        '{"applies": t',
        "Answer:",
        "<think> yes",
    ],
)
def test_a_cut_text_without_its_answer_is_truncated(text: str) -> None:
    """What was cut before an answer, or amid reasons that only touch on one, is truncated."""
    assert failure(text, cut=True).kind is FailureKind.TRUNCATED


def test_broken_json_is_marked() -> None:
    """A JSON answer that had to be mended says so."""
    assert said("{'answer': 'Yes'}") == "yes*"
    assert said('{"applies": false,}') == "no*"


@pytest.mark.parametrize(
    ("yes", "no"),
    [("ja", "nein"), ("applies", "does not apply"), ("Y", "N"), ("1", "0"), ("有", "无"), ("gewiß", "mitnichten")],
)
def test_own_words_are_written_and_read(yes: str, no: str) -> None:
    """The words of the output are what is written, and they are known wherever yes and no are."""
    output = Output("yes_no", {"yes": yes, "no": no})
    assert YES_NO.check(output, SPACE) == []
    assert YES_NO.render(["shipping"], {}, SPACE, output) == yes
    assert YES_NO.render([], {}, SPACE, output) == no
    for text in ("{}", "{}.", "**{}**", "Answer: {}", "shipping: {}", "{}, because it came late"):
        assert said(text.format(yes), yes=yes, no=no) == "yes"
        assert said(text.format(no.upper() if no.isascii() else no), yes=yes, no=no) == "no"
    assert failure(f"{yes} or {no}", yes=yes, no=no).why == MISSING_PIECE
    assert said("yes", yes=yes, no=no) == "yes"


def test_a_label_that_is_a_word_for_yes_does_no_harm() -> None:
    """A label named "no" is asked about like any other."""
    space = LabelSpace((Label("no"),))
    assert said("no", space=space) == "no"
    assert said("yes", space=space) == "yes"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"yes": " "}, "yes must be a visible word, got ' '."),
        ({"no": "a\nb"}, "no must be a visible word, got 'a\\nb'."),
        ({"min_mass": 1.5}, "min_mass must be within 0 and 1, got 1.5."),
        ({"min_mass": "x"}, "min_mass must be a number, got 'x'."),
        ({"yes": "no"}, "yes and no must not begin with one another, got 'no' and 'no'."),
        (
            {"yes": "free", "no": "free of it"},
            "yes and no must not begin with one another, got 'free' and 'free of it'.",
        ),
        ({"yes": "nein"}, "yes must not be a word for no, got 'nein'."),
        ({"no": "oui"}, "no must not be a word for yes, got 'oui'."),
        ({"yes": "</think>"}, "yes must be a word that can be read back, got '</think>'. Take a plain word."),
        ({"ja": "x"}, "format yes_no has no option 'ja'. It has yes, no, min_mass."),
    ],
)
def test_impossible_options_are_told(options: dict[str, Any], message: str) -> None:
    """Every impossible option has a message that says what must hold and what was given."""
    assert YES_NO.check(Output("yes_no", options), SPACE) == [message]


def test_an_own_word_may_be_odd() -> None:
    """A text that is an own word as a whole is that word, whatever else it could mean."""
    output = Output("yes_no", {"no": '{"answer": true}'})
    assert YES_NO.check(output, SPACE) == []
    assert YES_NO.parse('{"answer": true}', SPACE, output, False).labels == frozenset()


def test_the_grammar_is_the_two_words() -> None:
    """What a constrained server can write is one of the two words, quotes escaped."""
    assert YES_NO.grammar is not None
    assert YES_NO.grammar(SPACE, Output("yes_no")) == 'root ::= ("yes" | "no")\n'
    assert YES_NO.grammar(SPACE, Output("yes_no", {"yes": 'a "b"'})) == 'root ::= ("a \\"b\\"" | "no")\n'


# --- probabilities ---------------------------------------------------------------------------------------------------


def token(text: str, **top: float) -> Token:
    """Return a token with what is listed beside it; "_" stands for a space before a word."""
    return Token(text, {name.replace("_", " "): value for name, value in top.items()})


def weighed(*tokens: Token, **options: Any) -> tuple[float, float] | None:
    """Return P(shipping) and its mass, None where there is none."""
    assert YES_NO.weigh is not None
    probability, mass = YES_NO.weigh(tokens, SPACE, Output("yes_no", options))
    assert probability.keys() == mass.keys()
    return (round(probability["shipping"], 6), round(mass["shipping"], 6)) if probability else None


def test_spellings_of_yes_and_no_are_summed() -> None:
    """P is P(yes) / (P(yes) + P(no)) over all spellings, and the mass is their sum."""
    first = token("Yes", Yes=0.3, _yes=0.1, YES=0.05, No=0.1, _no=0.05, true=0.1, False_=0.05, The=0.2)
    assert weighed(first) == (round(0.55 / 0.75, 6), 0.75)


@pytest.mark.parametrize("text", ['"Yes', " **Yes", "▁Yes", "ĠYes", "\n\nYes", "Yes.", "Yes,", "(yes"])
def test_decoration_of_a_token_is_no_part_of_its_word(text: str) -> None:
    """Quotes, emphasis, spaces of any tokenizer and stops are taken off."""
    assert weighed(Token(text, {text: 0.6, "No": 0.2})) == (0.75, 0.8)


def test_a_text_that_no_word_is_in_is_weighed_at_its_first_word() -> None:
    """A model that began a sentence said at its first word how it would have answered."""
    blank, the = token("\n", **{"\n": 0.9, "No": 0.1}), token("The", The=0.5, Yes=0.2, No=0.1)
    assert weighed(blank, the, token(" parcel", _parcel=0.9, _no=0.1)) == (round(2 / 3, 6), 0.3)


@pytest.mark.parametrize(
    "texts",
    [
        ["Answer", ":", " Yes"],
        ["I see", " no", " box", ".", "\n", "Answer", ":", " Yes"],
        ["<think>", "no", "</think>", "\n", "Yes"],
        ['{"', "answer", '":', ' "', "yes", '"}'],
        ['{"', "shipping", '":', " true", "}"],
        ["So", " the", " answer", " is", " **", "Yes", "**"],
    ],
)
def test_the_word_that_is_read_is_the_one_that_is_weighed(texts: list[str]) -> None:
    """The probability is that of the word that the parser takes for the answer, not of another yes or no in the text."""
    at = max(position for position, text in enumerate(texts) if text.strip().lower() in ("yes", "true"))
    tokens = [
        Token(text, {text: 0.9, "No": 0.1} if i == at else {text: 0.5, "no": 0.4, "yes": 0.1})
        for i, text in enumerate(texts)
    ]
    assert weighed(*tokens) == (0.9, 1.0)


def test_a_wording_is_weighed_at_its_first_word() -> None:
    """A wording such as "the label applies" has no word for yes: what else could have begun counts."""
    assert weighed(token("The", The=0.6, Yes=0.3, No=0.1), token(" label", x=1), token(" applies", y=1)) == (0.75, 0.4)


def test_signs_count_when_they_are_meant() -> None:
    """1 and y count beside 0 and n, or where one was generated: alone among words they rather begin "1." and "You"."""
    assert weighed(Token("Yes", {"Yes": 0.4, "No": 0.4, "1": 0.1, "Y": 0.1})) == (0.5, 0.8)
    assert weighed(Token("Yes", {"Yes": 0.4, "No": 0.4, "1": 0.1, "0": 0.1})) == (0.5, 1.0)
    assert weighed(Token("1", {"1": 0.6, "The": 0.2, "No": 0.2})) == (0.75, 0.8)
    assert weighed(Token("N", {"N": 0.6, "Y": 0.2, "The": 0.2})) == (0.25, 0.8)


def test_a_split_own_word_counts_by_its_first_token() -> None:
    """The beginning of an own word counts where the whole is not listed, and where it begins no word of the other side."""
    own = {"yes": "applies", "no": "does not apply"}
    assert weighed(Token("app", {"app": 0.6, "does": 0.2, "a": 0.1}), **own) == (0.75, 0.8)
    assert weighed(Token("applies", {"applies": 0.5, "app": 0.1, "does": 0.5}), **own) == (0.5, 1.0)
    assert weighed(Token("un", {"un": 0.6, "x": 0.2}), yes="unfit", no="unused") is None
    assert weighed(Token("是", {"是": 0.6, "不": 0.2}), yes="是这样", no="不是这样") == (0.75, 0.8)


@pytest.mark.parametrize(
    "tokens",
    [
        [],
        [Token("", {"": 1.0})],
        [Token("\n", {"\n": 0.5, "Yes": 0.5})],
        [Token("The", {"The": 0.5, "A": 0.5})],
        [Token("The", {"The": 0.9, "Yes": 0.02, "No": 0.02})],
        [Token("Yes", {"Yes": 0.9})],
        [Token("Yes", {"Yes": 0.0, "No": 0.0})],
    ],
    ids=["none", "empty", "blank", "neither", "little-mass", "alone", "zero"],
)
def test_nothing_is_invented(tokens: Sequence[Token]) -> None:
    """Without a word, with less than the least mass, or with only the generated token listed there is no probability."""
    assert weighed(*tokens) is None


def test_the_least_mass_is_an_option() -> None:
    """The mass that a probability must rest on can be said."""
    little = Token("The", {"The": 0.9, "Yes": 0.03, "No": 0.01})
    assert weighed(little) is None
    assert weighed(little, min_mass=0.01) == (0.75, 0.04)
    assert weighed(Token("Yes", {"Yes": 0.5, "No": 0.2}), min_mass=0.8) is None


tops = st.dictionaries(
    st.sampled_from(["Yes", " yes", "no", "No", "NO.", "1", "0", "y", "n", "The", "true", "", "\n", "✓", "ja"]),
    st.floats(0, 1),
    min_size=1,
)


@given(top=tops, order=st.randoms(use_true_random=False))
@unhurried
def test_the_order_of_the_list_does_not_matter(top: Mapping[str, float], order: Any) -> None:
    """P and mass are within [0, 1], and the same however a server orders what it lists."""
    shuffled = list(top.items())
    order.shuffle(shuffled)
    text = next(iter(top))
    found = YES_NO.weigh([Token(text, top)], SPACE, Output("yes_no")) if YES_NO.weigh else None
    assert YES_NO.weigh is not None
    assert found == YES_NO.weigh([Token(text, dict(shuffled))], SPACE, Output("yes_no"))
    assert all(0 <= value <= 1 for numbers in found for value in numbers.values())


# --- laws ------------------------------------------------------------------------------------------------------------

PIECES = [
    "yes",
    "Yes",
    "no",
    "No",
    " or ",
    " and ",
    "/",
    ", ",
    ". ",
    "\n",
    "\n\n",
    ": ",
    "Answer",
    "shipping",
    "The label ",
]
PIECES += [
    "applies",
    "does not apply",
    " if ",
    "**",
    '"',
    "{",
    "}",
    '{"answer": ',
    "true",
    "1",
    "0",
    "✓",
    "[ ] ",
    "<think>",
    "?",
]


@given(
    text=st.one_of(st.text(max_size=60), st.lists(st.sampled_from(PIECES), max_size=12).map("".join)), cut=st.booleans()
)
@unhurried
def test_any_text_is_an_answer_or_a_failure(text: str, cut: bool) -> None:
    """No text raises anything but a ParseFailure, and its tokens raise nothing."""
    result = read(Completion("ok", text, "length" if cut else "stop"), SPACE, Output("yes_no"))
    assert isinstance(result, Answer) or result.kind is not FailureKind.CALL_ERROR
    assert YES_NO.weigh is not None
    YES_NO.weigh([Token(each, {each: 0.5, "no": 0.5}) for each in text], SPACE, Output("yes_no"))


@given(
    yes=st.text(min_size=1, max_size=8),
    no=st.text(min_size=1, max_size=8),
    name=st.sampled_from(["shipping", "yes", "no", "a: b", "[x]", "(?", "是"]),
    present=st.booleans(),
)
@unhurried
def test_what_is_written_is_read_back(yes: str, no: str, name: str, present: bool) -> None:
    """`parse(render(labels)) == labels` for every pair of words that `check` lets pass, and every label."""
    space = LabelSpace((Label(name),))
    output = Output("yes_no", {"yes": yes, "no": no})
    if YES_NO.check(output, space):
        return
    labels = frozenset(space.names if present else ())
    assert YES_NO.parse(YES_NO.render(labels, {}, space, output), space, output, False).labels == labels


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        " ",
        "*",
        "yes ",
        "yes, ",
        "no. ",
        "yes or ",
        "1",
        "x\n",
        ". ",
        "\u200b",
        "Answer: ",
        "{",
        "it does ",
        "so, ",
        '"',
        "✓",
    ],
)
def test_long_texts_take_a_moment(piece: str) -> None:
    """A text of 100,000 characters is read in linear time, whatever it repeats."""
    begin = time.process_time()
    read(Completion("ok", piece * (100_000 // len(piece)) + "x", "stop"), SPACE, Output("yes_no"))
    assert time.process_time() - begin < 15.0


# --- with the real model ---------------------------------------------------------------------------------------------


@pytest.mark.model
async def test_log_probabilities_of_the_embedded_model_decide() -> None:
    """llama.cpp lists 20 tokens before sampling: neither temperature nor a grammar changes them, and P rests on most."""
    question = (
        "Review: It came two weeks late.\n\nIs the review about shipping? Answer with one word, yes or no.\nAnswer:"
    )
    params = {"temperature": 0, "max_tokens": 1, "logprobs": True, "top_logprobs": 20}
    # Without reuse of the prefix, because rounding differs between a prompt that is read anew and one that is kept.
    client = EmbeddedClient(Model("local/smollm2-135m", params=params, engine=Engine(context=512, prefix_reuse=False)))
    body = client.body(Call("s1", "main", "shipping", 0, ({"role": "user", "content": question},)))
    try:
        plain = await client.send(body)
        hot = await client.send({**body, "temperature": 1.5, "seed": 3})
        forced = await client.send({**body, "grammar": 'root ::= "no"'})
    finally:
        await client.close()
    (first,) = tokens_of(plain.logprobs)
    assert len(first.top) >= 20
    assert math.fsum(first.top.values()) <= 1.000001
    output = Output("yes_no", threshold=0.0)
    answers = [read(each, SPACE, output) for each in (plain, hot, forced)]
    assert all(isinstance(each, Answer) and each.labels == {"shipping"} for each in answers)
    found = [each.probabilities["shipping"] for each in answers if isinstance(each, Answer)]
    assert found == pytest.approx([found[0]] * 3, abs=0.05)
    assert isinstance(answers[0], Answer)
    assert answers[0].mass["shipping"] > 0.3
