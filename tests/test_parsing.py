"""Reading a completion, and what holds for every output format."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from harness.labelspace import Field, Label, LabelSpace, normalize
from harness.parsing import FORMATS, Output, read
from harness.parsing.fieldvalues import says_nothing
from harness.records import Answer, CallError, Completion, FailureKind, FieldValue, ParseFailure

FIELDS = (Field("mood", "choice", ("happy", "mad")), Field("item", "text"), Field("vip", "bool"))
SPACE = LabelSpace(
    (Label("shipping"), Label("price"), Label("price match"), Label("build quality", aliases=("defect",))), FIELDS
)
OUTPUTS = [
    Output("list"),
    Output("json", {}, ("mood", "item", "vip")),
    Output("vector"),
    Output("codes", {"codes": {"s": ["shipping"], "p": ["price"], "m": ["price match"], "q": ["build quality"]}}),
    Output("containers", {}, ("mood", "item", "vip")),
    Output("scores"),
]


def completion(text: str | None, finish_reason: str | None = "stop") -> Completion:
    """Return a completion that came back well."""
    return Completion("ok", text, finish_reason)


def failed(result: Answer | ParseFailure) -> ParseFailure:
    """Return the result, which must be a failure."""
    assert isinstance(result, ParseFailure)
    return result


# --- what stands between a completion and its text -------------------------------------------------------------------


def test_a_call_error_is_passed_on_with_its_message() -> None:
    """A completion without an answer fails as a call error, and says what the call's error said."""
    error = CallError(kind="timeout", message="no answer in 60 s", status=None)
    found = failed(read(Completion("error", error=error), SPACE, Output()))
    assert (found.kind, found.why) == (FailureKind.CALL_ERROR, "no answer in 60 s")
    assert failed(read(Completion("error"), SPACE, Output())).kind is FailureKind.CALL_ERROR


def test_a_refusal_of_the_api_is_one_whatever_the_text() -> None:
    """Where the API itself says that the model refused, or a filter stopped it, no label is read in what it said."""
    refused = failed(read(Completion("refusal", "shipping"), SPACE, Output()))
    assert (refused.kind, refused.why) == (FailureKind.REFUSAL, "shipping")
    assert failed(read(Completion("refusal"), SPACE, Output())).why == "the API says that the model refused"
    assert failed(read(completion("shipping", "content_filter"), SPACE, Output())).kind is FailureKind.REFUSAL


def test_no_text_is_unparseable() -> None:
    """A completion without a text is no empty set."""
    assert failed(read(completion(None), SPACE, Output())).kind is FailureKind.UNPARSEABLE


@pytest.mark.parametrize("output", OUTPUTS, ids=lambda output: output.format)
@pytest.mark.parametrize("text", ["", " \n\t", "<think>hm</think>\n", "\u200b"])
def test_an_empty_text_is_truncated_only_when_cut(text: str, output: Output) -> None:
    """An empty answer is unparseable, and truncated when all the tokens went elsewhere."""
    assert failed(read(completion(text), SPACE, output)).kind is FailureKind.UNPARSEABLE
    assert failed(read(completion(text, "length"), SPACE, output)).kind is FailureKind.TRUNCATED


@pytest.mark.parametrize(("output", "text"), [(OUTPUTS[0], "shipping"), (OUTPUTS[1], '{"labels":["shipping"]}')])
@pytest.mark.parametrize("finish_reason", ["stop", "length", None])
def test_a_complete_answer_counts_however_the_text_ended(output: Output, text: str, finish_reason: str | None) -> None:
    """A finish reason alone makes no failure."""
    assert read(completion(text, finish_reason), SPACE, output) == Answer(frozenset({"shipping"}))


REFUSALS = [
    "I'm sorry, but I can't assist with that.",
    "I’m sorry, but I can’t help with this request.",
    "Sorry, I cannot provide labels for this content.",
    "Unfortunately, I am unable to classify this text.",
    "I'm not able to answer this.",
    "I won't engage with this content.",
    "As an AI language model, I do not have opinions.",
    "I'm sorry for any confusion, but as a text-based AI, I don't have the ability to read text.",
    "I'm sorry for your loss, but as a chatbot, I don't have the ability to access personal data.",
    "I am not equipped to provide labels.",
    "I must decline this request.",
    "I won't be able to help with that.",
    "I don't feel comfortable labeling this content.",
    "I cannot in good conscience label this.",
    "I can't, in good conscience, do that.",
    "I refuse to answer.",
    "I must respectfully decline.",
    "I cant help with that.",
    "Unable to comply.",
    "It would be inappropriate for me to label this.",
    '{"error": "I cannot assist with that request."}',
    "Es tut mir leid, aber ich kann dabei nicht helfen.",
    "Je suis désolé, mais je ne peux pas vous aider.",
    "Lo siento, pero no puedo ayudar con eso.",
    "Mi dispiace, ma non posso aiutarti.",
    "Desculpe, mas não posso ajudar com isso.",
    "Извините, но я не могу помочь с этим.",
    "很抱歉，我无法提供帮助。",
    "申し訳ありませんが、お手伝いできません。",
]


@pytest.mark.parametrize("output", OUTPUTS, ids=lambda output: output.format)
@pytest.mark.parametrize("text", REFUSALS)
def test_a_text_that_refuses_is_a_refusal(text: str, output: Output) -> None:
    """Where nothing could be read and the text refuses, the failure is a refusal, cut or not."""
    assert failed(read(completion(text), SPACE, output)).kind is FailureKind.REFUSAL
    assert failed(read(completion(text, "length"), SPACE, output)).kind is FailureKind.REFUSAL


@pytest.mark.parametrize("output", OUTPUTS, ids=lambda output: output.format)
@pytest.mark.parametrize(
    "text",
    [
        "The customer says: I can't use this product.",
        "I'm sorry that the parcel was late.",
        "They cannot help me.",
        "The agent said I'm sorry, I can't help you.",
        "Support told the buyer that I cannot process that.",
        "I refuse to pay for this.",
        "He was unable to answer.",
        "The customer says \"I'm sorry, but I'm sorry\".",
        "I'm sorry, but as a running shoe company, we don't have a running belt.",
    ],
)
def test_a_complaint_is_no_refusal(text: str, output: Output) -> None:
    """Words of a customer that only resemble a refusal leave the text unparseable."""
    assert failed(read(completion(text), SPACE, output)).kind is FailureKind.UNPARSEABLE


@pytest.mark.parametrize(
    ("output", "text"),
    [
        (OUTPUTS[0], "I'm sorry, but I can't be sure.\n\nAnswer: shipping"),
        (OUTPUTS[1], 'As an AI, I say {"labels": ["shipping"]}'),
    ],
)
def test_an_answer_is_never_a_refusal(output: Output, text: str) -> None:
    """An answer that can be read counts, however it is wrapped."""
    assert read(completion(text), SPACE, output) == Answer(frozenset({"shipping"}))


LONG = [
    "a",
    ",",
    " ",
    "a:",
    "(",
    "*",
    "is ",
    "\u200b",
    "x\n",
    "and ",
    ". ",
    "#",
    "<think>",
    "Answer: ",
    "[ ] a ",
    '"',
    "{",
    "[",
]
MOMENT = 15.0  # Seconds, many times what it takes: what is not linear takes minutes.


@pytest.mark.parametrize("output", OUTPUTS, ids=lambda output: output.format)
@pytest.mark.parametrize("piece", LONG)
def test_long_texts_are_read_in_linear_time(piece: str, output: Output) -> None:
    """A text of 100,000 characters takes a moment, whatever it repeats, and is no answer."""
    begin = time.process_time()
    failed(read(completion(piece * (100_000 // len(piece)) + "x"), SPACE, output))
    assert time.process_time() - begin < MOMENT


def test_lone_surrogates_do_not_break_the_files() -> None:
    """What is reported can be written as UTF-8, whatever the model wrote."""
    assert failed(read(completion("caf\ud800s"), SPACE, Output())).off_list == ("caf?s",)


# --- the output as a value -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("output", [Output(), Output("json", {"labels_key": "themes"}, ("mood",))])
def test_an_output_survives_json(output: Output) -> None:
    """`from_json` is the way back from `to_json`, through a file."""
    assert Output.from_json(json.loads(json.dumps(output.to_json()))) == output


def test_every_format_is_known_by_its_own_name() -> None:
    """The names of the mapping are those of the formats, and the default output has one of them."""
    assert [each.name for each in FORMATS.values()] == list(FORMATS)
    assert list(FORMATS) == ["list", "vector", "codes", "json", "containers", "yes_no", "scores", "decisions"]
    assert Output().format in FORMATS


# --- laws of all formats ---------------------------------------------------------------------------------------------

NASTY = [
    "price",
    "match",
    "price match",
    "價格",
    "цена",
    "السعر",
    "é",
    "🙂",
    "a\u200cb",
    "none",
    "no",
    "answer",
    "labels",
    "1",
]
SIGNS = [
    " ",
    ", ",
    ",",
    '"',
    "'",
    "`",
    "[",
    "]",
    "(",
    ")",
    "{",
    "}",
    ":",
    ": ",
    ";",
    "|",
    "/",
    "\\",
    " and ",
    " - ",
    ".",
]
SIGNS += [
    "*",
    "_",
    "#",
    "# ",
    "- ",
    "1. ",
    "[ ] ",
    "❌",
    "<",
    ">",
    "!",
    "?",
    "not ",
    "explanation: ",
    "answer: ",
    "text:",
]

names = st.lists(st.sampled_from(NASTY + SIGNS), min_size=1, max_size=5).map("".join).map(str.strip)
outputs = st.one_of(
    st.sampled_from([",", ";", "\n", "|", " / ", "、", "::"]).map(lambda each: Output("list", {"separator": each})),
    st.sampled_from([OUTPUTS[1], OUTPUTS[2], Output("containers"), OUTPUTS[5]]),
)


@st.composite
def spaces(draw: st.DrawFn) -> LabelSpace:
    """Draw a label space whose names hold what formats are made of: separators, quotes, brackets and each other."""
    drawn = draw(st.lists(names, min_size=1, max_size=6, unique_by=normalize))
    labels = tuple(Label(name) for name in drawn if normalize(name) not in ("", "none", "labels"))
    assume(labels)
    return LabelSpace(labels, FIELDS)


@given(spaces(), outputs, st.data())
def test_what_is_rendered_is_read_back(space: LabelSpace, output: Output, data: st.DataObject) -> None:
    """A perfect answer is read as what it says, for every label space; shots can never contradict the parser."""
    assume(output.format in ("list", "json") or not FORMATS[output.format].check(output, space))
    labels = data.draw(st.frozensets(st.sampled_from(space.names)))
    written = FORMATS[output.format].render(labels, {}, space, output)
    result = read(completion(written), space, output)
    assert isinstance(result, Answer)
    assert (result.labels, result.off_list, result.repaired) == (labels, (), False)


texts = st.one_of(st.none(), st.text(min_size=1).map(str.strip).filter(lambda text: not says_nothing(text)))
values = st.fixed_dictionaries(
    {}, optional={"mood": st.sampled_from(["happy", "mad"]), "item": texts, "vip": st.booleans()}
)


@given(values, st.sampled_from([OUTPUTS[1], OUTPUTS[4]]))
def test_rendered_fields_are_read_back(fields: dict[str, FieldValue], output: Output) -> None:
    """Fields that were given are read as they were, and fields that were not are absent."""
    written = FORMATS[output.format].render(["price"], fields, SPACE, output)
    assert read(completion(written), SPACE, output) == Answer(frozenset({"price"}), (), fields)


PIECES = [
    "shipping",
    "price",
    "price match",
    "defect",
    "delivery",
    "none",
    "true",
    "false",
    "0",
    "null",
    "labels",
    "mood",
    "vip",
]
PIECES += [
    "Answer:",
    "Labels:",
    "Explanation:",
    "Text:",
    "do not apply:",
    "The parcel came late.",
    "is",
    "are",
    "I can't assist",
]
PIECES += [
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    '"',
    "'",
    ",",
    ":",
    "\n",
    "\n\n",
    " ",
    "- ",
    "1. ",
    "```",
    "```json\n",
    "**",
    "\\",
    "...",
]
PIECES += [
    "<think>",
    "</think>",
    "<answer>",
    "</answer>",
    "<|im_end|>",
    "\x00",
    "\x1b[31m",
    "🙂",
    "\u202e",
    "\ud800",
    "[ ]",
    "//",
]
PIECES += [
    '{"labels": ["shipping", "price"]}',
    '{"shipping": true, ',
    "shipping, price",
    "- shipping: late\n",
    "\u2028",
    "ﷺ",
]

outside_texts = st.one_of(st.text(), st.lists(st.sampled_from(PIECES), max_size=25).map("".join))


@given(outside_texts, st.sampled_from(OUTPUTS), st.sampled_from(["stop", "length"]))
def test_no_text_breaks_a_parser(text: str, output: Output, finish_reason: str) -> None:
    """Whatever a model writes, the result is an answer or a failure; its labels are labels and it can be saved as UTF-8."""
    result = read(completion(text, finish_reason), SPACE, output)
    if isinstance(result, Answer):
        assert result.labels <= set(SPACE.names)
        assert set(result.fields) <= set(output.fields)
    reported: list[Any] = [*result.off_list, *(result.fields.values() if isinstance(result, Answer) else [result.why])]
    json.dumps(reported, ensure_ascii=False).encode("utf-8")


@given(st.frozensets(st.sampled_from(SPACE.names), min_size=1), st.sampled_from(OUTPUTS), st.data())
def test_a_cut_answer_is_never_a_wrong_one(labels: frozenset[str], output: Output, data: st.DataObject) -> None:
    """Cut a perfect answer anywhere: the result is truncated, or labels that were all said by then."""
    written = FORMATS[output.format].render(labels, {}, SPACE, output)
    end = data.draw(st.integers(0, len(written)))
    result = read(completion(written[:end], "length"), SPACE, output)
    if isinstance(result, Answer):
        assert result.labels <= labels
        assert result.off_list == ()
    else:
        assert result.kind is FailureKind.TRUNCATED


@given(outside_texts, st.sampled_from(OUTPUTS))
def test_a_cut_makes_no_new_answer(text: str, output: Output) -> None:
    """A text that is an answer although it was cut says the same as the text that was not."""
    cut = read(completion(text, "length"), SPACE, output)
    if isinstance(cut, Answer):
        assert read(completion(text), SPACE, output) == cut
