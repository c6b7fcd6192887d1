"""The format json: what models write as JSON, and how it is read."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from harness.labelspace import Field, Label, LabelSpace
from harness.parsing import FORMATS, Output
from harness.parsing.json import answer_of
from harness.records import Answer, FailureKind, FieldValue, ParseFailure

JSON = FORMATS["json"]
SPACE = LabelSpace(
    (Label("shipping"), Label("quality", aliases=("build quality",)), Label("price"), Label("Größe")),
    (Field("mood", "choice", ("happy", "mad")), Field("item", "text"), Field("vip", "bool")),
)
FIELDS = ("mood", "item", "vip")


def read(text: str, cut: bool = False, fields: tuple[str, ...] = (), **options: Any) -> Answer:
    """Return what the json format reads in a text."""
    return JSON.parse(text, SPACE, Output("json", options, fields), cut)


def labels(text: str, cut: bool = False, **options: Any) -> str:
    """Return the labels that were read, in label-space order, as one word list that is easy to look at."""
    return " ".join(SPACE.ordered(read(text, cut, **options).labels))


def failure(text: str, cut: bool = False, **options: Any) -> ParseFailure:
    """Return why the json format reads nothing in a text."""
    with pytest.raises(ParseFailure) as caught:
        read(text, cut, **options)
    return caught.value


SOUND = {
    # forms
    "array-under-key": ('{"labels": ["shipping", "quality"]}', "shipping quality"),
    "key-in-another-case": ('{"Labels": ["SHIPPING"]}', "shipping"),
    "string-under-key": ('{"labels": "shipping"}', "shipping"),
    "joined-string": ('{"labels": "shipping, quality"}', "shipping quality"),
    "joined-item": ('["shipping and price"]', "shipping price"),
    "alias": ('{"labels": ["build-quality"]}', "quality"),
    "flags": ('{"shipping": true, "quality": false, "price": false}', "shipping"),
    "flags-0-1": ('{"shipping": 1, "quality": 0, "price": 1.0}', "shipping price"),
    "flags-yes-no": ('{"shipping": "Yes", "quality": "no", "price": "false"}', "shipping"),
    "flags-under-key": ('{"labels": {"shipping": true, "price": false}}', "shipping"),
    "flags-with-null": ('{"shipping": true, "quality": null}', "shipping"),
    "objects-in-array": ('{"labels": [{"label": "shipping", "reason": "late"}, {"name": "price"}]}', "shipping price"),
    "null-in-array": ('["shipping", null]', "shipping"),
    "bare-array": ('["shipping", "price"]', "shipping price"),
    "bare-string": ('"shipping"', "shipping"),
    "escaped": ('["Gr\\u00f6\\u00dfe"]', "Größe"),
    "escaped-string": ('"Gr\\u00f6\\u00dfe"', "Größe"),
    "reason-beside": ('{"reason": "price, [quality] {x}", "labels": ["shipping"]}', "shipping"),
    # around
    "fenced": ('```json\n{"labels": ["shipping"]}\n```', "shipping"),
    "fenced-string": ('```\n"shipping"\n```', "shipping"),
    "text-around": ('It\'s this: {"labels": ["shipping"]} Hope it helps [1].', "shipping"),
    "prose-brackets-behind": ('{"labels": ["shipping"]} (not [price])', "shipping"),
    "open-bracket-behind": ('{"labels": ["shipping"]} see [price', "shipping"),
    "open-bracket-before": ('I saw [it: {"labels": ["shipping"]}', "shipping"),
    "stray-closers": (']} {"labels": ["shipping"]} ]', "shipping"),
    "thinking": ('<think>{"labels": ["price"]}</think>{"labels": ["shipping"]}', "shipping"),
    "last-answer-wins": ('{"labels": ["price"]} no, {"labels": ["shipping"]}', "shipping"),
    "answer-before-other-object": ('{"labels": ["shipping"]}\n{"confidence": 0.9}', "shipping"),
    "answer-before-numbers": ('["shipping"] [1, 2]', "shipping"),
    "quotes-in-a-string": ('{"reason": "he said \\"no]}\\"", "labels": ["shipping"]}', "shipping"),
    # the empty set
    "empty-under-key": ('{"labels": []}', ""),
    "empty-array": ("[]", ""),
    "none-item": ('{"labels": ["none"]}', ""),
    "none-string": ('{"labels": "None"}', ""),
    "none-flag": ('{"none": true, "shipping": false}', ""),
    "bare-none": ('"none"', ""),
    "all-false": ('{"shipping": false, "quality": false, "price": 0, "Größe": "no"}', ""),
}

MENDED = {
    "python-dict": ("{'labels': ['shipping', 'quality']}", "shipping quality"),
    "python-flags": ("{'shipping': True, 'price': False}", "shipping"),
    "python-empty": ("{'labels': []}", ""),
    "trailing-comma": ('{"labels": ["shipping",],}', "shipping"),
    "comment": ('{"labels": ["shipping"] // it\'s late\n}', "shipping"),
    "bare-keys": ("{labels: [shipping, price]}", "shipping price"),
    "bare-words": ("[shipping, price]", "shipping price"),
    "behind-heading": ("Labels: [shipping]", "shipping"),
    "curly-quotes": ('{"labels": [“shipping”, “price”]}', "shipping price"),
    "missing-bracket": ('{"labels": ["shipping"}', "shipping"),
    "missing-end": ('{"labels": ["shipping"', "shipping"),
    "missing-end-and-prose": ('{"labels": ["shipping"]\n\nThe parcel was late.', "shipping"),
    "missing-quote": ('{"labels": ["shipping, "quality"]}', "shipping quality"),
    "unescaped-quotes": ('{"labels": ["shipping"], "reason": "the "price" was high"}', "shipping"),
    "line-break-in-a-string": ('{"reason": "one\ntwo", "labels": ["shipping"]}', "shipping"),
    "doubled-braces": ('{{"labels": ["shipping"]}}', "shipping"),
    "no-json-at-all": ("Shipping", "shipping"),
    "no-json-list": ("shipping, price.", "shipping price"),
    "no-json-none": ("none", ""),
}


@pytest.mark.parametrize(("text", "expected"), SOUND.values(), ids=SOUND)
def test_reads_sound_json(text: str, expected: str) -> None:
    """Sound JSON is read as it is, in every form that says which labels apply, and is not marked as mended."""
    assert labels(text) == expected
    assert not read(text).repaired


@pytest.mark.parametrize(("text", "expected"), MENDED.values(), ids=MENDED)
def test_mends_broken_json(text: str, expected: str) -> None:
    """Broken JSON that can mean only one thing is read, and marked as mended."""
    assert labels(text) == expected
    assert read(text).repaired


@pytest.mark.parametrize(
    ("text", "expected", "off_list"),
    [
        pytest.param('{"labels": ["shipping", "delivery"]}', "shipping", ("delivery",), id="array"),
        pytest.param('["delivery", "delivery", "price"]', "price", ("delivery",), id="once-each"),
        pytest.param('{"shipping": true, "delivery": true, "cost": false}', "shipping", ("delivery",), id="flags"),
        pytest.param('{"shipping": true, "delivery": "yes"}', "shipping", ("delivery",), id="yes"),
        pytest.param('{"shipping": true, "confidence": 1, "reason": "late"}', "shipping", (), id="beside-flags"),
        pytest.param(
            '{"labels": ["shipping", 3, true, {"a": 1}, [2]]}', "shipping", ("3", "True", "{…}", "[…]"), id="values"
        ),
        pytest.param(
            '{"labels": ["shipping", "price, delivery"]}', "shipping", ("price, delivery",), id="half-known-parts"
        ),
        pytest.param(f'["shipping", "{"x" * 9_000}"]', "shipping", ("x" * 99 + "…",), id="clipped"),
        pytest.param('["shipping", "\\ud800"]', "shipping", ("?",), id="lone-surrogate"),
    ],
)
def test_off_list_names_are_kept(text: str, expected: str, off_list: tuple[str, ...]) -> None:
    """Names beside labels that are none are kept as written; what stands beside flags and is no flag is passed over."""
    assert labels(text) == expected
    assert read(text).off_list == off_list


@pytest.mark.parametrize(
    ("text", "why", "off_list"),
    [
        pytest.param('{"labels": ["delivery"]}', "only off-list labels: delivery", ("delivery",), id="off-list"),
        pytest.param('["delivery"]', "only off-list labels", ("delivery",), id="off-list-array"),
        pytest.param('{"delivery": true, "cost": "no"}', "only off-list labels", ("delivery",), id="off-list-flags"),
        pytest.param('["price"] or {"labels": ["cost"]}', "only off-list labels", ("cost",), id="last-counts"),
        pytest.param("{}", "no JSON in it is an answer", (), id="empty-object"),
        pytest.param('{"labels": null}', "neither named nor none", (), id="null"),
        pytest.param('{"labels": ""}', "neither named nor none", (), id="empty-string"),
        pytest.param('{"labels": [""]}', "neither named nor none", (), id="array-of-nothing"),
        pytest.param('{"example": {"labels": ["price"]}}', "no JSON", (), id="another-key"),
        pytest.param("[true, false, true]", "no JSON", (), id="by-position"),
        pytest.param("- [ ] price\n- [ ] shipping", "no JSON", (), id="checkboxes"),
        pytest.param("42", "no JSON", (), id="number"),
        pytest.param('"It came late"', "no JSON", (), id="sentence-in-quotes"),
        pytest.param("I think it is shipping", "no JSON", (), id="prose"),
        pytest.param("The parcel [late] was bad", "no JSON", (), id="prose-with-brackets"),
        pytest.param('{"labels": ["none", "price"]}', "says none, and price", (), id="none-and-label"),
        pytest.param('{"none": true, "price": true}', "says none, and price", (), id="none-and-label-flags"),
        pytest.param('{"price": true, "Price": false}', "both true and false: price", (), id="both"),
        pytest.param('{"price": 0.9, "shipping": true}', "neither true nor false: price", (), id="score"),
        pytest.param('{"labels": [...]}', "neither named nor none", (), id="mending-invents-no-empty-set"),
        pytest.param("[...]", "no JSON", (), id="nor-an-empty-array"),
        pytest.param('{"labels": [', "neither named nor none", (), id="nor-the-end-of-one"),
        pytest.param('{"labels": "price", "quality"}', "without losing quality", (), id="mending-loses-nothing"),
    ],
)
def test_what_is_no_answer_is_unparseable(text: str, why: str, off_list: tuple[str, ...]) -> None:
    """JSON that names no label and no explicit none is unparseable; mending never makes an answer of it."""
    found = failure(text)
    assert found.kind is FailureKind.UNPARSEABLE
    assert why in found.why
    assert found.off_list == off_list


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param('{"labels": ["shipping"]}', "shipping", id="closed"),
        pytest.param('{"labels": ["shipping"]} because [the', "shipping", id="prose-behind"),
        pytest.param('"price"', "price", id="string-closed"),
    ],
)
def test_cut_but_complete_json_is_an_answer(text: str, expected: str) -> None:
    """A cut text whose answer was closed is an answer."""
    assert labels(text, cut=True) == expected


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param('{"labels": ["shipping"', id="open"),
        pytest.param('{"labels": ["shipping"], "reason": "the par', id="open-reason"),
        pytest.param('[{"labels": ["shipping"]}, {"lab', id="open-around-closed"),
        pytest.param('{"labels": ["price"]}\n{"labels": ["shi', id="second-open"),
        pytest.param("[shipping, pri", id="open-words"),
        pytest.param('"shipp', id="open-string"),
        pytest.param("shipping", id="bare-word"),
        pytest.param("```json\n", id="fence"),
        pytest.param("Sure, here is", id="prose"),
    ],
)
def test_cut_and_incomplete_json_is_truncated(text: str) -> None:
    """A cut text whose JSON is still open is truncated, never mended."""
    assert failure(text, cut=True).kind is FailureKind.TRUNCATED


@pytest.mark.parametrize(
    ("beside", "expected"),
    [
        pytest.param(
            '"mood": "MAD", "item": " box ", "vip": true', {"mood": "mad", "item": "box", "vip": True}, id="all"
        ),
        pytest.param('"fields": {"mood": "mad", "Item": "box"}', {"mood": "mad", "item": "box"}, id="under-fields"),
        pytest.param('"mood": "furious"', {}, id="unknown-choice"),
        pytest.param('"mood": null', {"mood": None}, id="null-choice"),
        pytest.param('"mood": "**Mad.**"', {"mood": "mad"}, id="decorated-choice"),
        pytest.param('"mood": ["mad"]', {}, id="list-is-no-choice"),
        pytest.param('"item": "  "', {"item": None}, id="empty-text"),
        pytest.param('"item": null', {"item": None}, id="null-text"),
        pytest.param('"item": 42', {"item": "42"}, id="number-as-text"),
        pytest.param('"item": ["box"]', {}, id="list-is-no-text"),
        pytest.param('"item": true', {}, id="bool-is-no-text"),
        pytest.param('"item": "\\udc00"', {"item": "?"}, id="lone-surrogate"),
        pytest.param('"vip": "No"', {"vip": False}, id="no"),
        pytest.param('"vip": "perhaps"', {}, id="perhaps"),
        pytest.param('"vip": null', {"vip": None}, id="null-bool"),
        pytest.param('"vip": "✓"', {"vip": True}, id="tick"),
        pytest.param('"item": "n/a"', {"item": None}, id="words-for-nothing"),
        pytest.param('"vip": 2', {}, id="number-is-no-bool"),
    ],
)
def test_fields_beside_labels(beside: str, expected: dict[str, FieldValue]) -> None:
    """A field is read where it has a value of its type; else it is absent, which is unanswered."""
    answer = read(f'{{"labels": ["price"], {beside}}}', fields=FIELDS)
    assert answer.labels == {"price"}
    assert dict(answer.fields) == expected


def test_fields_that_are_rendered_are_read_back() -> None:
    """What a shot shows of a field is what would be read in it, nothing there included, for every type."""
    output = Output("json", {}, FIELDS)
    given: list[dict[str, FieldValue]] = [dict.fromkeys(FIELDS), {"mood": "mad", "item": "box", "vip": False}]
    for fields in given:
        assert JSON.parse(JSON.render([], fields, SPACE, output), SPACE, output, False).fields == fields


def test_only_fields_that_are_asked_for_are_read() -> None:
    """A field of the label space that the output does not ask for is not in the answer."""
    assert dict(read('{"labels": [], "vip": true, "mood": "mad"}', fields=("vip",)).fields) == {"vip": True}


def test_a_field_is_no_flag() -> None:
    """A bool field beside flags is a field, and not an off-list label that is true."""
    answer = read('{"price": true, "vip": true}', fields=FIELDS)
    assert answer == Answer(frozenset({"price"}), (), {"vip": True})


def test_options_name_the_key_and_the_none_word() -> None:
    """The key and the none word of the output are written and read."""
    output = Output("json", {"labels_key": "themes", "none": "nothing"})
    assert JSON.render(["price"], {}, SPACE, output) == '{"themes":["price"]}'
    assert labels('{"themes": ["price"]}', labels_key="themes") == "price"
    assert labels('{"themes": ["nothing"]}', labels_key="themes", none="nothing") == ""


def test_render_is_canonical() -> None:
    """Labels stand in label-space order, then the fields that are asked for and known; letters stay as they are."""
    output = Output("json", {}, ("mood", "item"))
    given: dict[str, FieldValue] = {"item": None, "vip": True}
    assert JSON.render({"Größe", "shipping"}, given, SPACE, output) == '{"labels":["shipping","Größe"],"item":null}'


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (Output("json", {"label_key": "x"}), "format json has no option 'label_key'. It has labels_key, none."),
        (Output("json", {"labels_key": 1}), "labels_key must be a text, got 1."),
        (Output("json", {"labels_key": " "}), "labels_key must be visible text, got ' '."),
        (Output("json", {"labels_key": "Price"}), "labels_key must be no label, but 'Price' names label 'price'."),
        (Output("json", {"labels_key": "Mood"}, ("mood",)), "labels_key must be no field, but 'mood' is one."),
        (Output("json", {"none": "price"}), "none must be no label, but 'price' names label 'price'."),
        (Output("json", {}, ("moood",)), "the label space has no field 'moood'. Did you mean 'mood'?"),
    ],
)
def test_impossible_options_are_told(output: Output, message: str) -> None:
    """Every impossible option has a message that says what must hold and what was given."""
    (found,) = JSON.check(output, SPACE)
    assert message in found


def test_sound_options_have_no_problems() -> None:
    """Defaults and fields of the label space pass the check."""
    assert JSON.check(Output("json", {}, FIELDS), SPACE) == []


NOISE = {
    "open-arrays": "[" * 100_000,
    "open-objects": "{" * 100_000,
    "empty-objects": "{}" * 50_000,
    "broken-objects": "{x}" * 33_000,
    "quotes": '{"a": "' + '" ' * 50_000,
    "spaces": '{"a"' + " " * 100_000 + "x",
    "backslashes": '["' + "\\" * 100_000,
    "deep": '{"a":[' * 10_000 + "]}" * 10_000,
    "round-brackets": '{"a":' + "(" * 3_000 + "}",
    "quotes-in-braces": "[" + '"{' * 1_900 + "]",
    "stray-quotes": '{"labels": ["' + 'a" b' * 900 + "]}",
    "beyond-mending": '{"labels": ["' + 'a" b' * 25_000 + "]}",
    "digits": "[" + "9" * 9_000 + "]",
}


@pytest.mark.parametrize("text", NOISE.values(), ids=NOISE)
def test_noise_is_refused_in_linear_time(text: str) -> None:
    """A hundred thousand characters of brackets take a moment and are no answer."""
    begin = time.process_time()
    failure(text)
    assert time.process_time() - begin < 15.0


def test_a_mender_that_fails_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """What even the mending package cannot read is unparseable like any other text."""

    def give_up(*_: object, **__: object) -> None:
        raise RecursionError

    monkeypatch.setattr("json_repair.loads", give_up)
    assert failure("{'labels': ['price']}").kind is FailureKind.UNPARSEABLE


def test_a_long_reason_does_no_harm() -> None:
    """An answer stands behind a very long reason just the same."""
    text = json.dumps({"reason": "it's [late] {" * 8_000, "labels": ["price"]})
    assert labels(text) == "price"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('{"name": "label", "arguments": {"labels": ["price"]}}', id="arguments"),
        pytest.param('{"name": "label", "arguments": "{\\"labels\\": [\\"price\\"]}"}', id="arguments-as-text"),
        pytest.param('<tool_call>\n{"name": "label", "arguments": {"labels": ["price"]}}\n</tool_call>', id="qwen"),
        pytest.param('[TOOL_CALLS][{"name": "label", "arguments": {"labels": ["price"]}}]', id="mistral"),
        pytest.param('<|python_tag|>{"name": "label", "parameters": {"labels": ["price"]}}', id="llama"),
        pytest.param(
            "<|channel|>analysis<|message|>late?<|end|><|start|>assistant<|channel|>commentary to=functions.label"
            ' <|constrain|>json<|message|>{"labels": ["price"]}<|call|>',
            id="gpt-oss",
        ),
        pytest.param('{"type": "tool_use", "name": "label", "input": {"labels": ["price"]}}', id="claude"),
        pytest.param('{"function": {"name": "label", "arguments": {"labels": ["price"]}}}', id="two-deep"),
        pytest.param('{"answer": {"price": true}}', id="flags"),
    ],
)
def test_an_answer_may_be_the_arguments_of_a_call(text: str) -> None:
    """An object that only wraps the answer under one of the usual keys does not hide it."""
    assert read(text) == Answer(frozenset({"price"}))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('{"arguments": {"labels": ["price"]}, "result": {"labels": ["shipping"]}}', id="two"),
        pytest.param('{"example": {"labels": ["price"]}}', id="another-key"),
        pytest.param('{"answer": ' * 5 + '{"labels": ["price"]}' + "}" * 5, id="too-deep"),
        pytest.param('{"arguments": "{not json}"}', id="no-object"),
    ],
)
def test_only_one_usual_wrapper_is_opened(text: str) -> None:
    """What stands in two wrappers, in another one, or very deep is not guessed to be the answer."""
    assert failure(text).kind is FailureKind.UNPARSEABLE


def test_a_key_that_is_given_twice_differently_says_nothing() -> None:
    """Two different values of one key contradict each other; the same value twice is said once."""
    assert failure('{"labels": ["price"], "labels": ["shipping"]}').why == "it gives 'labels' twice, differently"
    assert failure('{"price": true, "price": false, "shipping": true}').why == "neither true nor false: price"
    assert labels('{"labels": ["price"], "labels": ["price"]}') == "price"
    assert labels('{"labels": ["price"], "note": 1, "note": 2}') == "price"
    found = read('{"labels": ["price"], "item": "lamp", "item": "kettle"}', fields=FIELDS)
    assert found == Answer(frozenset({"price"}))


BESIDE_NAMES = {
    "true": ('{"labels": [{"name": "shipping", "applies": true}, {"name": "price", "applies": false}]}', "shipping"),
    "words": ('{"labels": [{"label": "shipping", "present": "yes"}, {"label": "price", "present": "no"}]}', "shipping"),
    "numbers": ('[{"label": "shipping", "value": 1}, {"label": "price", "value": 0}]', "shipping"),
    "selected": ('[{"category": "shipping", "selected": true}, {"category": "price", "selected": false}]', "shipping"),
    "sure-and-a-degree": (
        '[{"name": "shipping", "applies": true, "confidence": 0.9}, {"name": "price", "applies": false, "confidence": 0.9}]',
        "shipping",
    ),
    "negated": ('[{"name": "shipping", "notApplicable": true}, {"name": "price", "excluded": false}]', "price"),
    "in-words": ('[{"name": "shipping", "applies": "yes"}, {"name": "price", "applies": "not mentioned"}]', "shipping"),
    "no-name-key": ('{"labels": [{"shipping": true}, {"price": false}]}', "shipping"),
    "mended": ("{'labels': [{'name': 'shipping', 'applies': True}, {'name': 'price', 'applies': False}]}", "shipping"),
    "text-beside": ('[{"name": "shipping", "reason": "late, and not cheap", "confidence": "low"}]', "shipping"),
    "places-beside": ('[{"name": "shipping", "id": 1, "start": 0, "end": 12}]', "shipping"),
    "reason-at-the-flag": ('[{"name": "shipping", "answer": "it came two weeks late"}]', "shipping"),
    "objects": ('{"shipping": {"applies": true, "why": "late"}, "price": {"applies": false}}', "shipping"),
    "objects-under-key": ('{"labels": {"shipping": {"present": "Yes"}, "price": {"value": 0}}}', "shipping"),
}


@pytest.mark.parametrize(("text", "expected"), BESIDE_NAMES.values(), ids=BESIDE_NAMES)
def test_what_stands_beside_a_name_says_whether_it_applies(text: str, expected: str) -> None:
    """A label with a no beside it, or a yes at a key that denies, is denied; reasons, places and degrees say nothing."""
    assert labels(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('[{"name": "shipping", "score": 0.95}, {"name": "price", "score": 0.02}]', id="degrees"),
        pytest.param('[{"name": "shipping", "confidence": "95%"}]', id="percent"),
        pytest.param('[{"name": "shipping", "applies": "maybe"}]', id="hedge"),
        pytest.param('[{"name": "shipping", "applies": null}]', id="null"),
        pytest.param('[{"name": "shipping", "primary": false}]', id="no-to-something"),
        pytest.param('[{"name": "shipping", "reason": "Not mentioned."}]', id="denied-by-its-reason"),
        pytest.param('[{"name": "shipping", "applies": true, "excluded": true}]', id="both"),
        pytest.param('{"shipping": {"reason": "late"}}', id="object-without-a-word"),
        pytest.param('{"price": {"shipping": true}}', id="object-about-another"),
    ],
)
def test_what_is_unclear_beside_a_name_is_no_answer(text: str) -> None:
    """A degree, a hedge, or a no to something that is not known leaves the label unclear: nothing is guessed."""
    assert "neither true nor false" in failure(text).why


ANOTHER_KEY = {
    "singular": ('{"label": ["shipping", "price"]}', "shipping price"),
    "categories": ('{"categories": ["shipping"]}', "shipping"),
    "predicted": ('{"predictedLabels": ["shipping"], "confidence": 0.4}', "shipping"),
    "applicable": ('{"applicable": ["shipping"], "not_applicable": ["price"]}', "shipping"),
    "considered": ('{"considered": ["price", "quality"], "answer": "shipping"}', "shipping"),
    "string": ('{"label": "shipping"}', "shipping"),
    "none": ('{"category": "none"}', ""),
    "empty": ('{"tags": []}', ""),
    "any-list": ('{"complaints": ["shipping"]}', "shipping"),
    "wrapped": ('{"result": {"tags": ["shipping"]}}', "shipping"),
    "in-a-list": ('[{"labels": ["shipping"]}]', "shipping"),
    "final": ('{"thought": "…", "final": {"labels": ["shipping"]}}', "shipping"),
    "denied-beside": ('{"labels": ["shipping"], "not_applicable": ["price"]}', "shipping"),
    "mended-denied-beside": ("{'labels': ['shipping'], 'not_applicable': ['price']}", "shipping"),
}


@pytest.mark.parametrize(("text", "expected"), ANOTHER_KEY.values(), ids=ANOTHER_KEY)
def test_the_one_key_that_holds_labels_is_theirs(text: str, expected: str) -> None:
    """Without the key of the labels the only other one that holds nothing but labels counts, unless it sets them aside."""
    assert labels(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('{"primary_label": "shipping", "secondary_labels": ["price"]}', id="two"),
        pytest.param('{"label": "shipping", "other_labels": ["price"]}', id="others"),
        pytest.param('{"not_applicable": ["price"]}', id="denied"),
        pytest.param('{"options": ["price"]}', id="options"),
        pytest.param('{"maybe": ["price"]}', id="maybe"),
        pytest.param('{"keywords": ["price"]}', id="words-of-the-text"),
        pytest.param('{"evidence": "price"}', id="evidence"),
        pytest.param('{"item": "price"}', id="any-string"),
        pytest.param('{"issues": []}', id="any-empty-list"),
        pytest.param('{"tags": ["price", "late"]}', id="not-only-labels"),
        pytest.param('{"label": "shipping", "applies": false}', id="denied-beside"),
        pytest.param('{"label": "shipping", "score": 0.2}', id="degree-beside"),
    ],
)
def test_another_key_is_not_guessed_to_hold_the_answer(text: str) -> None:
    """Two such keys, one that denies, offers or hedges, and one that need not mean labels at all say nothing."""
    assert failure(text).kind is FailureKind.UNPARSEABLE


SET_ASIDE = {
    "not": ('{"labels": ["shipping"]}. It is not {"labels": ["price"]}.', "shipping"),
    "excluded": ('The labels are ["shipping"]; excluded are ["price"].', "shipping"),
    "options": ('{"labels": ["shipping"]} (options: ["shipping", "price"])', "shipping"),
    "considered": ('I considered ["price", "quality"] and settled on ["shipping"].', "shipping"),
    "supposed": ('{"labels": ["shipping"]}\n\nIf it were dear: {"labels": ["shipping", "price"]}', "shipping"),
    "example": ('{"labels": ["shipping"]}\n\nExample of another review: {"labels": ["price"]}', "shipping"),
    "rejected": ('{"labels": ["shipping"]}. {"labels": ["price"]} was rejected.', "shipping"),
    "in-a-fence": ('Applicable:\n```json\n["shipping"]\n```\nNot applicable:\n```json\n["price"]\n```', "shipping"),
    "but-then": ('Not {"labels": ["price"]} but {"labels": ["shipping"]}', "shipping"),
    "asked-in-a-sentence": ('Considering the options, the answer is: {"labels": ["price"]}', "price"),
    "out-of-what-is-offered": ('Out of the available labels, these apply: ["shipping"]', "shipping"),
    "denied-in-another-sentence": ('It does not mention the price. {"labels": ["shipping"]}', "shipping"),
    "if-i-must": ('If I had to choose: {"labels": ["price"]}', "price"),
}


@pytest.mark.parametrize(("text", "expected"), SET_ASIDE.values(), ids=SET_ASIDE)
def test_what_the_words_beside_a_value_set_aside_is_no_answer(text: str, expected: str) -> None:
    """A value that is denied, offered or supposed is passed over, and the last of the others counts."""
    assert labels(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('It is not {"labels": ["price"]}.', id="denied"),
        pytest.param('I considered ["price", "quality"] and settled on shipping.', id="considered"),
        pytest.param('{"labels": ["shipping"]} and {"labels": ["price"]}', id="and"),
        pytest.param('["shipping"] or ["price"]', id="or"),
        pytest.param('{"shipping": true}\n{"price": true}', id="flags-line-by-line"),
        pytest.param('{"labels": ["shipping"]}\n["price"]', id="key-and-array"),
    ],
)
def test_two_values_that_could_each_be_meant_are_no_answer(text: str) -> None:
    """Where all are set aside, or two differ and nothing says which one counts, nothing is guessed."""
    assert failure(text).kind is FailureKind.UNPARSEABLE


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param('{"labels": ["shipping"]}\n\nReferences: []', "shipping", id="empty-array"),
        pytest.param('{"labels": ["shipping"]}\nEvidence: ["came late"]', "shipping", id="quotes"),
        pytest.param('{"labels": ["shipping"]} Note: ["price"] was rejected.', "shipping", id="note"),
        pytest.param('{"labels": ["shipping"]}\nScores: {"shipping": 0.9, "price": 0.2}', "shipping", id="scores"),
        pytest.param('{"labels": ["shipping"]}\nFinal answer: ["price"]', "price", id="announced"),
        pytest.param('{"labels": ["shipping"]}\nCorrection: []', "", id="corrected"),
    ],
)
def test_the_key_of_the_labels_goes_before_a_bare_value(text: str, expected: str) -> None:
    """A bare array or object of flags behind the answer is a note on it, unless it is announced as the answer."""
    assert labels(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            '{"labels": ["shipping"]}\n\nReview: It was torn.\nLabels: {"labels": ["price"]}', "shipping", id="review"
        ),
        pytest.param('User: hi\n{"labels": ["shipping"]}\nUser: next\n{"labels": ["price"]}', "shipping", id="turns"),
        pytest.param('{"labels": []}\n\nText: dear\n{"labels": ["price"]}', "", id="none"),
        pytest.param('shipping\n\nReview: dear\n{"labels": ["price"]}', "shipping", id="bare-word"),
        pytest.param('Review: late\nLabels: {"labels": ["shipping"]}', "shipping", id="input-repeated"),
        pytest.param('Example: {"labels": ["price"]}\n\nReview: x\n{"labels": ["shipping"]}', "shipping", id="example"),
        pytest.param('Example: {"labels": ["price"]}\nAnswer: {"labels": ["shipping"]}', "shipping", id="one-turn"),
        pytest.param('{"labels": ["shipping"],\n"text":\n"Review: no"}', "shipping", id="inside"),
        pytest.param('{labels: ["shipping"],\ntext: "late"', "shipping", id="bare-key-of-an-open-object"),
    ],
)
def test_the_next_input_ends_the_answer(text: str, expected: str) -> None:
    """What a model that runs on answers to an input of its own ("Review:") is no answer; nor is its example."""
    assert labels(text) == expected


def test_an_answer_before_the_next_input_is_whole() -> None:
    """A cut text that had gone on to another input is complete, and one whose first answer is off-list stays so."""
    assert labels('{"labels": ["shipping"]}\n\nReview: torn\n{"labels": ["pri', cut=True) == "shipping"
    assert failure('{"labels": ["colour"]}\n\nReview: torn\n{"labels": ["price"]}').off_list == ("colour",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param('{"labels": ["price"]}', "price", id="object"),
        pytest.param('```json\n[{"name": "price", "applies": true}]\n```', "price", id="fenced"),
        pytest.param("price", None, id="word"),
        pytest.param('{"labels": ["price"]} it is', None, id="text-behind"),
        pytest.param("[price]", None, id="broken"),
        pytest.param('{"a": 1}', None, id="no-answer"),
    ],
)
def test_other_formats_may_ask_for_one_value(text: str, expected: str | None) -> None:
    """A text that is one sound value is read as here wherever it stands; any other text is left to the format."""
    answer = answer_of(text, SPACE, "none")
    assert (answer and " ".join(SPACE.ordered(answer.labels))) == expected


def test_a_key_that_says_nothing_goes_before_a_bare_value_too() -> None:
    """What stands at the key of the labels is the answer, off-list or not: a bare array behind it does not mend it."""
    assert failure('{"labels": ["colour"]}\nNotes: ["price"]').off_list == ("colour",)


def test_only_the_first_inputs_of_a_text_are_told_apart() -> None:
    """A model that runs on and on has said its answer at the beginning."""
    assert labels('{"labels": ["shipping"]}\n' + 'Review: dear\n{"labels": ["price"]}\n' * 500) == "shipping"
