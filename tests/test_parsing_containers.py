"""The format containers: labels and fields in containers of their own, and how they are read."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies_labels import unhurried

from harness.labelspace import Field, Label, LabelSpace, normalize
from harness.parsing import FORMATS, Output, read
from harness.parsing.fieldvalues import says_nothing
from harness.records import Answer, Completion, FailureKind, FieldValue, ParseFailure

CONTAINERS = FORMATS["containers"]
SPACE = LabelSpace(
    (
        Label("shipping", group="delivery"),
        Label("packaging", group="delivery"),
        Label("price match", group="money"),
        Label("price", group="money", aliases=("cost",)),
    ),
    (Field("mood", "choice", ("happy", "mad")), Field("item", "text"), Field("vip", "bool")),
)
FIELDS = ("mood", "item", "vip")

PLAIN = Output("containers", {}, FIELDS)
OWN = Output(
    "containers",
    {
        "containers": {
            "labels": {"prefix": "LABELS: <<", "suffix": ">>", "delimiter": ";"},
            "item": {"prefix": "<purchased_item>", "suffix": "</purchased_item>"},
        }
    },
    FIELDS,
)
LINES = Output(
    "containers",
    {"containers": {"labels": {"prefix": "Labels: ", "suffix": "\n"}, "item": {"prefix": "Item: ", "suffix": "\n"}}},
    ("item",),
)
GROUPS = Output("containers", {"containers": {"delivery": {"delimiter": "|"}, "money": None}, "none": "-/-"}, ("item",))
TAGS = Output(
    "containers",
    {
        "containers": {
            "labels": {"prefix": "<answer>", "suffix": "</answer>"},
            "item": {"prefix": "<reasoning>", "suffix": "</reasoning>"},
        }
    },
    ("item",),
)
PLAINEST = Output("containers")
OUTPUTS = {"plain": PLAIN, "own": OWN, "lines": LINES, "groups": GROUPS, "tags": TAGS, "no fields": PLAINEST}


def parsed(text: str, output: Output = PLAIN, cut: bool = False) -> Answer:
    """Return what the format reads in a text."""
    return CONTAINERS.parse(text, SPACE, output, cut)


def said(text: str, output: Output = PLAIN, cut: bool = False) -> str:
    """Return the labels that were read, in label-space order, as one word list that is easy to look at."""
    return ", ".join(SPACE.ordered(parsed(text, output, cut).labels))


def failure(text: str, output: Output = PLAIN, cut: bool = False) -> ParseFailure:
    """Return why the format reads nothing in a text."""
    with pytest.raises(ParseFailure) as caught:
        parsed(text, output, cut)
    return caught.value


# --- what is read ----------------------------------------------------------------------------------------------------

READ = {
    "one": ("<labels>shipping</labels>", PLAIN, "shipping"),
    "several": ("<labels>price, shipping</labels>", PLAIN, "shipping, price"),
    "own-marks": ("LABELS: <<price; shipping>>", OWN, "shipping, price"),
    "alias": ("<labels>Cost</labels>", PLAIN, "price"),
    "within-one-another": ("<labels>price match</labels>", PLAIN, "price match"),
    "lines-in-it": ("<labels>\n- shipping\n- price match\n</labels>", PLAIN, "shipping, price match"),
    "json-in-it": ('<labels>["shipping", "price"]</labels>', PLAIN, "shipping, price"),
    "other-delimiter": ("LABELS: <<price, shipping>>", OWN, "shipping, price"),
    "denied": ("<labels>shipping, price: no</labels>", PLAIN, "shipping"),
    "prose-around": ("Sure! <labels>shipping</labels> Hope it helps.", PLAIN, "shipping"),
    "fence": ("```xml\n<labels>shipping</labels>\n```", PLAIN, "shipping"),
    "any-case": ("<Labels>shipping</LABELS>", PLAIN, "shipping"),
    "white-space": ("labels :\n << shipping > >", OWN, "shipping"),
    "white-space-in-tags": ("< labels >shipping< / labels >", PLAIN, "shipping"),
    "markup": ("**LABELS:** <<shipping>>", OWN, "shipping"),
    "markup-inside": ("**<labels>** shipping **</labels>**", PLAIN, "shipping"),
    "reasoning": ("<think><labels>price</labels></think><labels>shipping</labels>", PLAIN, "shipping"),
    "end-of-turn": ("<labels>shipping</labels><|im_end|><labels>price</labels>", PLAIN, "shipping"),
    "lines": ("Labels: shipping, price\nItem: lamp\n", LINES, "shipping, price"),
    "lines-without-the-last": ("Item: lamp\nLabels: shipping", LINES, "shipping"),
    "lines-in-markup": ("- **Labels:** shipping\n- **Item:** lamp", LINES, "shipping"),
    "lines-not-amid-one": ("I thought of labels: price.\nLabels: shipping", LINES, "shipping"),
    "groups": ("<delivery>shipping|packaging</delivery><money>price</money>", GROUPS, "shipping, packaging, price"),
    "groups-in-any-order": ("<money>-/-</money><delivery>shipping</delivery>", GROUPS, "shipping"),
    "tags-that-are-taken-out": ("<reasoning>the lamp</reasoning><answer>shipping</answer>", TAGS, "shipping"),
    "other-reasoning": ("<think><answer>price</answer></think><answer>shipping</answer>", TAGS, "shipping"),
    "escapes": ("<labels>&quot;shipping&quot;, price</labels>", PLAIN, "shipping, price"),
    # the empty set
    "empty": ("<labels></labels>", PLAIN, ""),
    "blank": ("<labels>\n \n</labels>", PLAIN, ""),
    "none": ("<labels>None.</labels>", PLAIN, ""),
    "empty-list": ("<labels>[]</labels>", PLAIN, ""),
    "none-word": ("<money>-/-</money><delivery></delivery>", GROUPS, ""),
    "all-denied": ("LABELS: <<shipping: no; packaging: no; price match: no; price: no>>", OWN, ""),
    "empty-line": ("Labels:\nItem: lamp", LINES, ""),
}


@pytest.mark.parametrize(("text", "output", "expected"), READ.values(), ids=READ)
def test_containers_are_read_as_models_write_them(text: str, output: Output, expected: str) -> None:
    """Containers stand anywhere, their marks in any case, spacing and emphasis; an empty one is the empty set."""
    assert said(text, output) == expected
    assert not parsed(text, output).repaired


MENDED = {
    "end-of-text": ("<labels>shipping, price", PLAIN, "shipping, price"),
    "before-the-next": ("<labels>shipping <item>lamp</item>", PLAIN, "shipping"),
    "shared-suffix": ("LABELS: <<price; shipping\n<mood>mad</mood>", OWN, "shipping, price"),
    "blank-line": ("<labels>shipping\n\nIt came late, which is why the customer is so very mad.", PLAIN, "shipping"),
    "half-a-suffix": ("<labels>shipping</lab", PLAIN, "shipping"),
    "half-a-sign": ("LABELS: <<shipping>", OWN, "shipping"),
    "wrong-suffix": ("<labels>shipping</label>\n<item>lamp</item>", PLAIN, "shipping"),
    "prefix-as-suffix": ("<labels>shipping<labels>", PLAIN, "shipping"),
    "none": ("<labels>none", PLAIN, ""),
    "new-input": ("<labels>price\nText: it came late\n<labels>shipping</labels>", PLAIN, "price"),
}


@pytest.mark.parametrize(("text", "output", "expected"), MENDED.values(), ids=MENDED)
def test_a_missing_suffix_is_mended(text: str, output: Output, expected: str) -> None:
    """Where labels and nothing else follow a prefix, they are the answer, and it is marked as mended."""
    assert said(text, output) == expected
    assert parsed(text, output).repaired


@pytest.mark.parametrize(
    ("text", "output", "expected", "off_list"),
    [
        ("<labels>shipping, colour</labels>", PLAIN, "shipping", ("colour",)),
        ("<labels>shipping, colour, Colour, colour</labels>", PLAIN, "shipping", ("colour", "Colour")),
        ("<delivery>shipping|price</delivery><money>price</money>", GROUPS, "shipping, price", ("price",)),
        ("<delivery>shipping|a</delivery><money>price, b, a</money>", GROUPS, "shipping, price", ("a", "b")),
    ],
)
def test_off_list_names_are_kept(text: str, output: Output, expected: str, off_list: tuple[str, ...]) -> None:
    """What stands beside labels and is none in this container is off-list, a label of another group too."""
    assert said(text, output) == expected
    assert parsed(text, output).off_list == off_list


TWICE = "container labels stands there more than once, with different contents"


@pytest.mark.parametrize(
    ("text", "output", "why", "off_list"),
    [
        pytest.param("shipping", PLAIN, "container labels is missing", (), id="no-container"),
        pytest.param("<item>lamp</item>", PLAIN, "container labels is missing", (), id="only-a-field"),
        pytest.param("<labels>shipping</labels>", OWN, "container labels is missing", (), id="other-marks"),
        pytest.param("<money>price</money>", GROUPS, "container delivery is missing", (), id="a-group-is-missing"),
        pytest.param(
            "<labels>colour</labels>",
            PLAIN,
            "container labels: only off-list labels: colour",
            ("colour",),
            id="off-list",
        ),
        pytest.param(
            "<delivery>x</delivery><money>y</money>",
            GROUPS,
            "container delivery: only off-list labels: x",
            ("x", "y"),
            id="off-list-groups",
        ),
        pytest.param(
            "<labels>none, price</labels>", PLAIN, "container labels: it says none, and price", (), id="none-and-label"
        ),
        pytest.param(
            "<labels>-</labels>", PLAIN, "container labels: no label and no explicit none in it", (), id="a-dash"
        ),
        pytest.param(
            "Put them in <labels> as asked, please.",
            PLAIN,
            "container labels is never closed, and what follows is more than labels",
            (),
            id="only-a-prefix",
        ),
        pytest.param(
            "<labels>",
            PLAIN,
            "container labels is missing",
            (),
            id="nothing-behind-it",
        ),
        pytest.param(
            "<labels>price, colour",
            PLAIN,
            "container labels is never closed, and what follows is more than labels",
            (),
            id="off-list-behind-it",
        ),
        pytest.param("<labels>price</labels><labels>shipping</labels>", PLAIN, TWICE, (), id="twice"),
        pytest.param("<labels>none</labels><labels>shipping</labels>", PLAIN, TWICE, (), id="none-first"),
        pytest.param("<labels>shipping</labels><labels></labels>", PLAIN, TWICE, (), id="empty-last"),
        pytest.param("<labels>price</labels><labels>colour</labels>", PLAIN, TWICE, ("colour",), id="off-list-last"),
        pytest.param("<labels>price</labels>\n<labels>shipping", PLAIN, TWICE, (), id="second-never-closed"),
        pytest.param(
            "".join(f"<labels>no. {at}</labels>" for at in range(60)) + "<labels>price</labels>",
            PLAIN,
            TWICE,
            (),
            id="too-many",
        ),
    ],
)
def test_what_is_no_answer_is_unparseable(text: str, output: Output, why: str, off_list: tuple[str, ...]) -> None:
    """A container that is missing, off the list, or there with two meanings says nothing, and the reason is told."""
    found = failure(text, output)
    assert (found.kind, found.why, found.off_list) == (FailureKind.UNPARSEABLE, why, off_list)


ONCE = {
    "same": ("<labels>price</labels> or <labels> price </labels>", "price"),
    "same-labels": ("<labels>price, shipping</labels> or <labels>shipping; cost</labels>", "shipping, price"),
    "quoted-form": ("I write <labels>...</labels>, so: <labels>shipping</labels>", "shipping"),
    "quoted-words": ("I write <labels>a, b</labels>, so: <labels>shipping</labels>", "shipping"),
    "quoted-empty": ("I write <labels></labels>, so: <labels>shipping</labels>", "shipping"),
    "quoted-prefix": ("I write <labels> first. <labels>shipping</labels>", "shipping"),
    "prefix-behind": ("<labels>shipping</labels> I used <labels> as you asked.", "shipping"),
    "said-again": ("<labels>shipping, price</labels>\n<labels>shipping", "shipping, price"),
    "answer-marker": ("<labels>price</labels> or rather\nFinal answer: <labels>shipping</labels>", "shipping"),
    "answer-heading": ("<labels>price</labels>\n## Answer\n<labels>shipping</labels>", "shipping"),
    "marker-without-answer": ("<labels>price</labels>\nAnswer: as above\nAnswer: see there", "price"),
    "new-input": ("<labels>price</labels>\n\nText: It came late.\n<labels>shipping</labels>", "price"),
    "input-repeated-first": ("Text: It came late.\n<labels>shipping</labels>", "shipping"),
}


@pytest.mark.parametrize(("text", "expected"), ONCE.values(), ids=ONCE)
def test_a_container_that_stands_twice(text: str, expected: str) -> None:
    """Same contents count once; quoting the form is no content; an answer's heading starts again, a new input's ends."""
    assert said(text) == expected


def test_a_field_before_the_heading_of_the_answer_counts() -> None:
    """The heading of an answer starts a container again only where it stands again."""
    text = "<item>lamp</item><labels>price</labels>\nAnswer: <labels>shipping</labels>"
    assert parsed(text) == Answer(frozenset({"shipping"}), (), {"item": "lamp"})


@pytest.mark.parametrize(
    ("beside", "expected"),
    [
        pytest.param("<mood>MAD</mood><item> a lamp </item><vip>yes</vip>", {"mood": "mad", "item": "a lamp", "vip": True}),
        pytest.param("<mood>furious</mood><vip>perhaps</vip>", {}, id="no-value"),
        pytest.param("<mood></mood><item></item><vip></vip>", {"mood": None, "item": None, "vip": None}, id="empty"),
        pytest.param("<item>n/a</item>", {"item": None}, id="nothing"),
        pytest.param("<item>a</item><item>b</item>", {}, id="two-values"),
        pytest.param("<item>Lamp</item><item>lamp</item>", {"item": "lamp"}, id="one-value-twice"),
        pytest.param("<item>...</item><item></item><item>lamp</item>", {"item": "lamp"}, id="quoted"),
        pytest.param("<mood>happy or mad</mood><mood>mad</mood>", {"mood": "mad"}, id="quoted-values"),
        pytest.param("<mood>mad</mood><mood>cross</mood>", {}, id="no-value-last"),
        pytest.param("<vip>✓</vip><vip>✗</vip>", {}, id="yes-and-no"),
        pytest.param("<item>a</item><item> was in the text", {"item": "a"}, id="prefix-behind"),
        pytest.param("".join(f"<item>{at}</item>" for at in range(60)), {}, id="too-many"),
        pytest.param("<item>AT&amp;T &#65;&#x42; &#9999999;</item>", {"item": "AT&T AB &#9999999;"}, id="escapes"),
        pytest.param("<item>line one\n\nline two</item>", {"item": "line one\n\nline two"}, id="lines"),
    ],
)  # fmt: skip
def test_fields_beside_labels(beside: str, expected: dict[str, FieldValue]) -> None:
    """A field is what stands in its container; without one, or with two values, it is unanswered and the labels stand."""
    assert parsed(f"<labels>price</labels>{beside}") == Answer(frozenset({"price"}), (), expected)


@pytest.mark.parametrize(
    ("beside", "expected", "repaired"),
    [
        pytest.param("<item>lamp", {"item": "lamp"}, True, id="end"),
        pytest.param("<item>lamp\n\nThe customer was mad.", {"item": "lamp"}, True, id="blank-line"),
        pytest.param("<item>lamp\n<mood>mad</mood>", {"item": "lamp", "mood": "mad"}, True, id="next-line"),
        pytest.param("<item>lamp <mood>mad</mood>", {"mood": "mad"}, False, id="same-line"),
        pytest.param("<item>the <mood> ring</item>", {}, False, id="a-prefix-in-it"),
        pytest.param("<item>lamp\nThe customer was mad.", {}, False, id="more-lines"),
        pytest.param("<mood>mad because it came late", {}, False, id="no-value"),
        pytest.param("<item>", {}, False, id="nothing"),
    ],
)
def test_a_field_without_its_suffix(beside: str, expected: dict[str, FieldValue], repaired: bool) -> None:
    """One line of text is a field without its suffix; what could be more than the field is no answer."""
    assert parsed(f"<labels>price</labels>{beside}") == Answer(frozenset({"price"}), (), expected, repaired)


# --- cut texts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "output", "expected"),
    [
        pytest.param("<labels>shipping</labels>", PLAIN, "shipping", id="closed"),
        pytest.param("<labels>shipping</labels>\nBecause the par", PLAIN, "shipping", id="prose-behind"),
        pytest.param("<labels>shipping, price</labels>\n<labels>ship", PLAIN, "shipping, price", id="said-again"),
        pytest.param(
            "<labels>shipping</labels>\n<labels>shipping</la", PLAIN, "shipping", id="said-again-to-its-suffix"
        ),
        pytest.param("<labels>price</labels>\nText: late\n<labels>shi", PLAIN, "price", id="new-input"),
        pytest.param("Labels: shipping\n", LINES, "shipping", id="line"),
    ],
)
def test_cut_but_complete_answers_count(text: str, output: Output, expected: str) -> None:
    """A cut text whose labels were closed is an answer, whatever it began after that."""
    assert said(text, output, cut=True) == expected


@pytest.mark.parametrize(
    ("text", "output", "name"),
    [
        pytest.param("<think>the parcel", PLAIN, None, id="reasoning"),
        pytest.param("Sure, here", PLAIN, "labels", id="prose"),
        pytest.param("<labels>shipping", PLAIN, "labels", id="open"),
        pytest.param("<labels>", PLAIN, "labels", id="empty"),
        pytest.param("<labels>shipping</labels>\n<labels>pri", PLAIN, "labels", id="another-one"),
        pytest.param("<labels>shipping</labels>\n<item>la", PLAIN, "item", id="open-field"),
        pytest.param("<labels>shipping</labels>\n<it", PLAIN, "item", id="open-prefix"),
        pytest.param("<delivery>shipping</delivery>", GROUPS, "money", id="missing-group"),
        pytest.param("Labels: shipping", LINES, "labels", id="line"),
        pytest.param("Labels: shipping\nItem: la", LINES, "item", id="field-line"),
    ],
)
def test_cut_and_incomplete_answers_are_truncated(text: str, output: Output, name: str | None) -> None:
    """A text that was cut within a container, or before its labels, is truncated and never mended."""
    found = failure(text, output, cut=True)
    assert found.kind is FailureKind.TRUNCATED
    assert name is None or found.why == f"the text was cut before container {name} was closed"


# --- what is written -------------------------------------------------------------------------------------------------


def test_render_is_what_a_perfect_model_writes() -> None:
    """A container a line: labels or groups in their order, then the fields that are asked for and given."""
    fields: dict[str, FieldValue] = {"vip": True, "item": None, "mood": "mad", "other": "x"}
    assert CONTAINERS.render({"price", "shipping"}, fields, SPACE, OWN) == (
        "LABELS: <<shipping; price>>\n<mood>mad</mood>\n<purchased_item></purchased_item>\n<vip>true</vip>"
    )
    assert CONTAINERS.render((), {"vip": False}, SPACE, PLAIN) == "<labels>none</labels>\n<vip>false</vip>"
    assert CONTAINERS.render({"price"}, {"item": "a lamp"}, SPACE, LINES) == "Labels: price\nItem: a lamp"
    assert CONTAINERS.render({"shipping", "packaging"}, {}, SPACE, GROUPS) == (
        "<delivery>shipping| packaging</delivery>\n<money>-/-</money>"
    )


def test_render_asks_for_one_group_only_its_container() -> None:
    """A pass that asks group by group writes and reads the container of that group alone."""
    space = SPACE.only(["price", "price match"])
    assert CONTAINERS.render({"price"}, {}, space, GROUPS) == "<money>price</money>"
    assert CONTAINERS.parse("<money>price</money>", space, GROUPS, False).labels == {"price"}


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("a </item> b", "a &#60;/item> b"),
        ("the <Mood> ring", "the &#60;Mood> ring"),
        ("&lt;b&gt;", "&amp;lt;b&amp;gt;"),
        ("Q&A <3", "Q&A <3"),
    ],
)
def test_a_value_that_holds_a_mark_is_escaped(value: str, written: str) -> None:
    """What would end a container too early has its first sign escaped, and is read as it was."""
    text = CONTAINERS.render({"price"}, {"item": value}, SPACE, PLAIN)
    assert f"<item>{written}</item>" in text
    assert dict(parsed(text).fields) == {"item": value}


def test_a_value_that_cannot_be_escaped_is_refused() -> None:
    """A suffix that is part of every escape leaves no way to write itself."""
    output = Output("containers", {"containers": {"item": {"suffix": ";"}}}, ("item",))
    with pytest.raises(ValueError, match=r"^container item cannot hold 'a;b': it could not be told from its suffix$"):
        CONTAINERS.render({"price"}, {"item": "a;b"}, SPACE, output)


# --- check -----------------------------------------------------------------------------------------------------------


def problems(containers: dict[str, Any], fields: tuple[str, ...] = ("mood", "item"), **options: Any) -> list[str]:
    """Return what the check says of these containers."""
    return CONTAINERS.check(Output("containers", {"containers": containers, **options}, fields), SPACE)


@pytest.mark.parametrize("output", OUTPUTS.values(), ids=OUTPUTS)
def test_sound_containers_have_no_problems(output: Output) -> None:
    """Defaults, own marks, line breaks, groups and tags that are taken out elsewhere pass the check."""
    assert CONTAINERS.check(output, SPACE) == []


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "unknown": (
        {"lables": {}},
        "containers names 'lables', but there can be labels, delivery, money, mood, item. Did you mean 'labels'?",
    ),
    "field-not-asked-for": (
        {"vip": {}},
        "containers names 'vip', but there can be labels, delivery, money, mood, item. Add it to 'fields'.",
    ),
    "no-mapping": ({"item": "<x>"}, "containers.item must be a mapping with prefix, suffix, delimiter, got '<x>'."),
    "unknown-key": (
        {"item": {"prefx": "<"}},
        "containers.item has no key 'prefx'. It has prefix, suffix, delimiter. Did you mean 'prefix'?",
    ),
    "no-text": ({"item": {"prefix": 1}}, "containers.item.prefix must be a text, got 1. Put it in quotes."),
    "delimiter-of-a-field": (
        {"item": {"delimiter": ";"}},
        "containers.item.delimiter belongs to labels: a field has one value. Take it out.",
    ),
    "labels-and-groups": (
        {"labels": {}, "delivery": {}, "money": {}},
        "containers must have either 'labels' or groups, got 'labels' and delivery, money.",
    ),
    "labels-without-a-group": (
        {"delivery": {}},
        "containers has groups, but none for price match, price. Add theirs, or use 'labels' alone.",
    ),
    "empty-prefix": ({"item": {"prefix": " "}}, "containers.item.prefix must be visible text, got ' '."),
    "empty-suffix": (
        {"item": {"suffix": " "}},
        "containers.item.suffix must be visible text or a line break, got ' '.",
    ),
    "letters-as-delimiter": (
        {"labels": {"delimiter": "and"}},
        "containers.labels.delimiter must be a punctuation mark or a line break, got 'and': names are made of the rest.",
    ),
    "no-delimiter": (
        {"labels": {"delimiter": " "}},
        "containers.labels.delimiter must be a punctuation mark or a line break, got ' ': names are made of the rest.",
    ),
    "suffix-is-delimiter": (
        {"labels": {"prefix": "L:", "suffix": ";", "delimiter": ";"}},
        "containers.labels.suffix must not be its delimiter, got ';'.",
    ),
    "same-prefix": (
        {"item": {"prefix": "<<"}, "mood": {"prefix": "< <"}},
        "prefixes of containers must differ, and none may stand in another: '< <' of mood and '<<' of item.",
    ),
    "prefix-in-another": (
        {"item": {"prefix": "Item:"}, "mood": {"prefix": "Mood of the item:"}},
        "prefixes of containers must differ, and none may stand in another: 'Mood of the item:' of mood and "
        "'Item:' of item.",
    ),
    "prefix-in-a-suffix": (
        {"item": {"prefix": "END"}, "mood": {"suffix": "the end"}},
        "prefix 'END' of container item stands in suffix 'the end' of mood.",
    ),
    "suffix-in-a-label": (
        {"labels": {"prefix": "L:", "suffix": "match"}},
        "suffix 'match' of container labels stands in 'price match', where it would end it.",
    ),
    "prefix-in-a-label": (
        {"item": {"prefix": "price"}},
        "prefix 'price' of container item stands in 'price match' of labels.",
    ),
    "suffix-in-an-escape": (
        {"item": {"prefix": "I:", "suffix": ";"}},
        "containers.item: '&lt; <labels> </labels> <mood> </mood> I: ;' could not be told from its suffix ';'. Change that.",
    ),
    "one-after-the-other": (
        {"delivery": {}, "money": {}, "item": {"prefix": "/delivery> <"}},
        "containers could not be read back one after the other. Choose other prefixes and suffixes.",
    ),
}


@pytest.mark.parametrize(("containers", "message"), BAD.values(), ids=BAD)
def test_impossible_containers_are_told(containers: dict[str, Any], message: str) -> None:
    """Every impossible container has a message that says which one, what must hold and what was given."""
    assert problems(containers)[0] == message


def test_options_have_their_types() -> None:
    """The options themselves are checked like those of every format."""
    assert problems({}, none="price") == ["none must be no label, but 'price' names label 'price'."]
    assert CONTAINERS.check(Output("containers", {"containers": []}), SPACE) == [
        "containers must be a mapping, got []."
    ]
    assert problems({}, none="n, o") == ["containers.labels: none must not hold the separator ',', got 'n, o'."]


def test_a_group_and_a_field_of_one_name_are_told() -> None:
    """A container of a name that is a group and a field could be either's."""
    space = LabelSpace((Label("price", group="item"),), SPACE.fields)
    output = Output("containers", {"containers": {"item": {}}}, ("item",))
    assert CONTAINERS.check(output, space) == [
        "containers names 'item', which is both a group and a field. Rename one of them."
    ]


def test_a_label_that_no_list_can_hold_is_told() -> None:
    """A label that could not be read back from its container is told by name."""
    space = LabelSpace((Label("price"), Label("<think>")))
    assert CONTAINERS.check(PLAINEST, space) == [
        "containers.labels: label '<think>' cannot be read back from a list. Rename it, or use format json."
    ]


# --- laws ------------------------------------------------------------------------------------------------------------

SIGNS = [
    " ", ", ", ",", ";", "|", '"', "'", "`", "[", "]", "(", ")", "{", "}", ":", ": ", "/", "\\", " and ", " - ", ".", "*",
    "_", "#", "- ", "1. ", "❌", "<", ">", ">>", "<<", "</", "<labels>", "</labels>", "<item>", "</item>", "&lt;", "&",
    "#60;", "LABELS: ", "Item: ", "not ", "answer: ", "text:", "!", "?",
]  # fmt: skip
NAMES = ["price", "match", "price match", "價格", "цена", "السعر", "é", "🙂", "a\u200cb", "none", "no", "labels", "1"]
names = st.lists(st.sampled_from(NAMES + SIGNS), min_size=1, max_size=4).map("".join).map(str.strip)


@st.composite
def spaces(draw: st.DrawFn) -> LabelSpace:
    """Draw a label space whose names hold what containers are made of."""
    drawn = draw(st.lists(names, min_size=1, max_size=5, unique_by=normalize))
    kept = [name for name in drawn if normalize(name) not in ("", "none")]
    assume(kept)
    groups = draw(st.lists(st.sampled_from(["delivery", "money"]), min_size=len(kept), max_size=len(kept)))
    grouped = zip(kept, groups, strict=True)
    return LabelSpace(tuple(Label(name, group=group) for name, group in grouped), SPACE.fields)


texts = st.one_of(
    st.none(),
    st.one_of(st.text(min_size=1), st.lists(st.sampled_from(NAMES + SIGNS), min_size=1, max_size=6).map("".join))
    .map(str.strip)
    .filter(lambda text: not says_nothing(text)),
)
field_values = st.fixed_dictionaries(
    {},
    optional={
        "mood": st.sampled_from(["happy", "mad", None]),
        "item": texts,
        "vip": st.sampled_from([True, False, None]),
    },
)


@given(spaces(), st.sampled_from(sorted(OUTPUTS)), st.data())
@unhurried
def test_what_is_rendered_is_read_back(space: LabelSpace, about: str, data: st.DataObject) -> None:
    """A perfect answer is read as what it says, labels and fields, for every label space that passes the check."""
    output = OUTPUTS[about]
    if about == "groups":
        output = Output("containers", {"containers": dict.fromkeys(space.groups)}, ("item",))
    if CONTAINERS.check(output, space):
        return
    labels = data.draw(st.frozensets(st.sampled_from(space.names)))
    fields = {name: value for name, value in data.draw(field_values).items() if name in output.fields}
    written = CONTAINERS.render(labels, fields, space, output)
    assert read(Completion("ok", written, "stop"), space, output) == Answer(labels, (), fields)


PIECES = [
    "shipping", "price", "price match", "cost", "colour", "none", "happy", "mad", "yes", "lamp", "<labels>", "</labels>",
    "<item>", "</item>", "<mood>", "</mood>", "<vip>", "</vip>", "LABELS: <<", ">>", "Labels: ", "Item: ", "<answer>",
    "</answer>", "<reasoning>", "</reasoning>", "<delivery>", "</delivery>", "<money>", "</money>", "<think>", "</think>",
    "\n", "\n\n", " ", ", ", ";", "**", "`", "```\n", "- ", "...", "Answer:", "Text:", "Because it came late.", "&lt;",
    "&#60;", "\x00", "\ud800", "\ue0000\ue001", "🙂", "<|im_end|>", "<", ">", "</",
]  # fmt: skip
outside_texts = st.one_of(st.text(max_size=40), st.lists(st.sampled_from(PIECES), max_size=20).map("".join))


@given(outside_texts, st.sampled_from(sorted(OUTPUTS)), st.booleans())
@unhurried
def test_no_text_breaks_the_parser(text: str, about: str, cut: bool) -> None:
    """Whatever a model writes, the result is an answer or a failure, and can be saved as UTF-8."""
    output = OUTPUTS[about]
    result = read(Completion("ok", text, "length" if cut else "stop"), SPACE, output)
    said: list[Any] = [*result.off_list]
    if isinstance(result, Answer):
        assert result.labels <= set(SPACE.names)
        assert set(result.fields) <= set(output.fields)
        said += result.fields.values()
    else:
        said.append(result.why)
    json.dumps(said, ensure_ascii=False).encode("utf-8")


@given(outside_texts, st.sampled_from(sorted(OUTPUTS)))
@unhurried
def test_a_cut_makes_no_new_answer(text: str, about: str) -> None:
    """A text that is an answer although it was cut says the same as the text that was not."""
    cut = read(Completion("ok", text, "length"), SPACE, OUTPUTS[about])
    if isinstance(cut, Answer):
        assert read(Completion("ok", text, "stop"), SPACE, OUTPUTS[about]) == cut


@given(st.frozensets(st.sampled_from(SPACE.names)), field_values, st.sampled_from(sorted(OUTPUTS)), st.data())
@unhurried
def test_a_cut_answer_is_never_a_wrong_one(
    labels: frozenset[str], fields: dict[str, FieldValue], about: str, data: st.DataObject
) -> None:
    """Cut a perfect answer anywhere: it is truncated, or says the labels, and of the fields what was said by then."""
    written = CONTAINERS.render(labels, fields, SPACE, OUTPUTS[about])
    result = read(Completion("ok", written[: data.draw(st.integers(0, len(written)))], "length"), SPACE, OUTPUTS[about])
    if isinstance(result, Answer):
        assert (result.labels, result.off_list) == (labels, ())
        assert result.fields.items() <= fields.items()
    else:
        assert result.kind is FailureKind.TRUNCATED


NOISE = [
    "<labels>", "<labels>x", "<labels>price", "<labels>price</labels>", "<labels></labels>", "<item>", "<item>x</item>",
    "<labels>price\nText:\n", "<labels>x\nText: a\n", "Answer:\n<item>x</item>\n", "Answer:\n", "Text:\n", "x:\n", "< ",
    "<" + " " * 50, "</", "&#60;", "\n", " ", "LABELS: <<", "LABELS:", "Labels: a\n", "**", "* ", "\ue000", "<answer>", "a",
]  # fmt: skip


@pytest.mark.parametrize("about", OUTPUTS)
@pytest.mark.parametrize("piece", NOISE, ids=repr)
def test_long_texts_are_read_in_linear_time(piece: str, about: str) -> None:
    """A text of a hundred thousand signs takes a moment, whatever it repeats."""
    text = piece * (100_000 // len(piece))
    for cut in (True, False):
        begin = time.process_time()
        read(Completion("ok", text, "length" if cut else "stop"), SPACE, OUTPUTS[about])
        assert time.process_time() - begin < 15.0


def test_many_different_containers_are_read_in_linear_time() -> None:
    """Thousands of containers with different contents, closed or not, take a moment."""
    for form in ("<labels>x{}</labels>", "<labels>x{}\nText: y\n", "<item>{}</item>", "Text: {}\n", "Answer {}:\n"):
        text = "".join(form.format(at) for at in range(5_000)) + "<labels>price</labels>"
        begin = time.process_time()
        read(Completion("ok", text, "stop"), SPACE, PLAIN)
        assert time.process_time() - begin < 15.0, form


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<labels><label>shipping</label><label>price</label></labels>", "shipping, price"),
        ("<labels>\n  <item>shipping</item>\n  <item>price</item>\n</labels>", "shipping, price"),
        ("<labels>shipping: ja\nprice: nein</labels>", "shipping"),
    ],
)
def test_a_container_holds_a_list_in_any_form(text: str, expected: str) -> None:
    """Labels may stand in elements of their own, or with a word on each of them."""
    assert said(text, Output("containers")) == expected
