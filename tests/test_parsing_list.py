"""The format list: what models write as a list of labels, and how it is read."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.labelspace import Label, LabelSpace
from harness.parsing import FORMATS, Output
from harness.records import Answer, FailureKind, ParseFailure

LIST = FORMATS["list"]
SPACE = LabelSpace(
    (
        Label("shipping", "Late, lost or damaged on the way"),
        Label("packaging", "The box itself is torn"),
        Label("quality", "Badly made", aliases=("build quality",)),
        Label("price", "Too dear"),
        Label("price match", "Cheaper elsewhere"),
    )
)
NASTY = LabelSpace(
    tuple(
        Label(name)
        for name in ("price", "match", "price, match", 'say "hi"', "[urgent]", "a: b", "terms and rules", "rules")
    )
)


def read(text: str, cut: bool = False, space: LabelSpace = SPACE, **options: Any) -> Answer:
    """Return what the list format reads in a text."""
    return LIST.parse(text, space, Output("list", options), cut)


def labels(text: str, cut: bool = False, **options: Any) -> str:
    """Return the labels that were read, in label-space order, as one word list that is easy to look at."""
    return " ".join(name.replace(" ", "_") for name in SPACE.ordered(read(text, cut, **options).labels))


def failure(text: str, cut: bool = False, space: LabelSpace = SPACE, **options: Any) -> ParseFailure:
    """Return why the list format reads nothing in a text."""
    with pytest.raises(ParseFailure) as caught:
        read(text, cut, space, **options)
    return caught.value


READS = {
    # what was asked for
    "one": ("shipping", "shipping"),
    "two": ("shipping, quality", "shipping quality"),
    "order-does-not-matter": ("quality, shipping", "shipping quality"),
    "no-space": ("shipping,quality", "shipping quality"),
    "case": ("Shipping, QUALITY", "shipping quality"),
    "joiners": ("price-match, build_quality", "quality price_match"),
    "alias": ("build quality", "quality"),
    "longest-name": ("price match, price", "price price_match"),
    "full-stop": ("shipping, quality.", "shipping quality"),
    "said-twice": ("shipping, shipping", "shipping"),
    "run-on": ("shipping, " * 400, "shipping"),
    "run-on-lines": ("shipping\n" * 400, "shipping"),
    "all-labels": ("shipping, packaging, quality, price, price match", "shipping packaging quality price price_match"),
    "zero-width": ("\ufeffshipping\u200b, \u200equality", "shipping quality"),
    "windows-lines": ("shipping\r\nquality\r\n", "shipping quality"),
    # decoration
    "lines": ("shipping\nquality", "shipping quality"),
    "bullets": ("- shipping\n* quality\n• price", "shipping quality price"),
    "numbers": ("1. shipping\n2) quality\n(3) price", "shipping quality price"),
    "letters": ("a) shipping\nb) quality", "shipping quality"),
    "bullets-with-blank-lines": ("- shipping\n\n- quality", "shipping quality"),
    "quotes": ("\"shipping\", 'quality', `price`, “packaging”", "shipping packaging quality price"),
    "brackets": ("[shipping, quality]", "shipping quality"),
    "json-array": ('["shipping", "quality"]', "shipping quality"),
    "json-lines": ('[\n  "shipping",\n  "quality"\n]', "shipping quality"),
    "json-object": ('{"labels": ["shipping", "quality"]}', "shipping quality"),
    "emphasis": ("**shipping**, *quality*, __price__", "shipping quality price"),
    "fence": ("```\nshipping, quality\n```", "shipping quality"),
    "fence-with-language": ("```text\nshipping\n```", "shipping"),
    "rule": ("shipping\n---", "shipping"),
    "ticked": ("[x] shipping\n- [X] quality\n✅ price", "shipping quality price"),
    "unticked": ("- [x] shipping\n- [ ] quality\n- [ ] price: fine\n❌ packaging", "shipping"),
    # joined otherwise
    "and": ("shipping and quality", "shipping quality"),
    "oxford-comma": ("shipping, price, and quality", "shipping quality price"),
    "ampersand": ("shipping & quality", "shipping quality"),
    "semicolon": ("shipping; quality", "shipping quality"),
    "slash": ("shipping/quality", "shipping quality"),
    "dash": ("shipping - quality", "shipping quality"),
    "full-stops": ("Shipping. Quality. Price.", "shipping quality price"),
    "table": ("| shipping | quality |", "shipping quality"),
    "hashtags": ("#shipping #quality", "shipping quality"),
    "fullwidth-comma": ("shipping，quality、price", "shipping quality price"),
    # headings
    "answer": ("Answer: shipping", "shipping"),
    "labels": ("Labels: shipping, quality.", "shipping quality"),
    "bold-answer": ("**Answer:** shipping, quality", "shipping quality"),
    "bold-line": ("**Answer: shipping, quality**", "shipping quality"),
    "that-apply": ("The labels that apply are: shipping, quality", "shipping quality"),
    "verb": ("The correct labels are shipping and quality.", "shipping quality"),
    "numbered-heading": ("1. Label: shipping\n2. Label: quality", "shipping quality"),
    "heading-for-each": ("Label: shipping, Label: quality", "shipping quality"),
    "boxed": ("The answer is \\boxed{shipping, quality}", "shipping quality"),
    "heading-line": ("Labels:\n\nshipping\nquality", "shipping quality"),
    "markdown-heading": ("## Labels\n- shipping", "shipping"),
    "german": ("Antwort: shipping", "shipping"),
    "chinese": ("标签：shipping", "shipping"),
    "bracketed-hint": ("Answer (no explanation): shipping", "shipping"),
    "chatty": ("Sure! Here are the labels that apply:\n\n- shipping\n- quality\n\nLet me know!", "shipping quality"),
    "input-echoed-first": ("Review: came late\nLabels: shipping", "shipping"),
    # explanations
    "explained": ("- shipping: it came late\n- price: too much, and quality", "shipping price"),
    "explained-in-bold": ("* **Shipping**: late\n* **Build Quality**: bad", "shipping quality"),
    "explained-by-dash": ("shipping - it came late\nquality – it broke", "shipping quality"),
    "explained-in-brackets": ("shipping (late, lost), quality (bad)", "shipping quality"),
    "explained-in-open-brackets": ("shipping (late, lost", "shipping"),
    "explained-in-one-line": ("shipping: late, quality: bad", "shipping quality"),
    "label-in-an-explanation": ("shipping: the parcel, price, and box were bad", "shipping"),
    "sentence-behind": ("shipping, quality. The parcel came late, price was fine.", "shipping quality"),
    "because": ("shipping, because it was late", "shipping"),
    "prose-behind": ("shipping, quality\n\nExplanation: the parcel was late", "shipping quality"),
    "prose-next-line": ("shipping\nThe customer says that the parcel came late.", "shipping"),
    "short-prose-behind": ("shipping\n\nHope this helps", "shipping"),
    "chinese-explanation": ("shipping。包裹迟到了", "shipping"),
    "explanation-section": ("shipping\n\nExplanation:\n- shipping: late\n\n- price: it was fine\nquality", "shipping"),
    "explanation-word": ("shipping\nExplanation\n- price", "shipping"),
    "reason-for-each": ("Label: shipping\nReason: late\n\nLabel: quality\nReason: bad", "shipping quality"),
    "reason-bullets": ("- shipping\n  - reason: late\n- quality\n  - Confidence: high", "shipping quality"),
    "reasons-first": ("Reasoning:\nprice was fine\nprice\n\nshipping", "shipping"),
    "described": ("shipping: Late, lost or damaged on the way\nquality: Badly made", "shipping quality"),
    # which labels do not apply
    "denied": ("- shipping: yes\n- price: no\n- quality: not mentioned.", "shipping"),
    "denied-by-none": ("- shipping - late\n- price - none", "shipping"),
    "denied-in-one-line": ("shipping: true, price: false", "shipping"),
    "others-section": ("Labels that apply:\n- shipping\n\nLabels that do not apply:\n\n- price\nquality", "shipping"),
    "others-line": ("Labels: shipping\nNot applicable: price, quality", "shipping"),
    "available": ("Available labels: shipping, price, quality\nAnswer: quality", "quality"),
    # more than one answer
    "final-answer-wins": ("- shipping: maybe\n- price: maybe\n\nFinal answer: shipping", "shipping"),
    "next-input-ends-it": ("shipping\n\nText: too dear\nLabels: price", "shipping"),
    "numbered-input-ends-it": ("shipping\n\nReview 2: too dear\nprice", "shipping"),
    # what stands around an answer
    "thinking": ("<think>price? no</think>\n\nshipping", "shipping"),
    "thinking-opened-in-the-prompt": ("price? no\n</think>\nshipping", "shipping"),
    "thinking-behind": ("shipping\n<think>or price", "shipping"),
    "answer-tag": ("I say <answer>shipping</answer> or price", "shipping"),
    "answer-tag-open": ("Well: <answer>shipping", "shipping"),
    "end-of-turn": ("<|endoftext|>shipping<|im_end|>\n<|im_start|>user\nprice", "shipping"),
    # the empty set
    "none": ("none", ""),
    "none-decorated": ("**None.**", ""),
    "none-explained": ("None: shipping and quality are fine", ""),
    "none-in-words": ("None of the above labels apply.", ""),
    "no-labels-apply": ("No labels apply", ""),
    "none-behind-heading": ("Labels: none", ""),
    "empty-list": ("[]", ""),
    "empty-json": ('{"labels": []}', ""),
    "denied-in-words": ("shipping: late\nprice: not mentioned in the review\nquality: no issues here", "shipping"),
    "denied-by-apostrophe": (
        "shipping - late\nprice - isn’t mentioned\nquality - it is not really an issue",
        "shipping",
    ),
    "a-no-that-says-yes": ("shipping: not delivered\nprice: no refund", "shipping price"),
    "unsaid-section": ("The customer did not mention:\n- price\n\nLabels:\n- quality", "quality"),
    "no-complaints-section": ("- shipping\n\nNo complaints about:\n- price\n- quality", "shipping"),
    "unhappy-with": ("The customer is not happy with:\n- price\n- quality", "quality price"),
    "all-denied": ("shipping: no\npackaging: no\nquality: no\nprice: no\nprice match: no", ""),
}


@pytest.mark.parametrize(("text", "expected"), READS.values(), ids=READS)
def test_reads_what_models_write(text: str, expected: str) -> None:
    """What a person reads as the answer is what the parser reads."""
    assert labels(text) == expected


@pytest.mark.parametrize(
    ("text", "expected", "off_list"),
    [
        pytest.param("shipping, delivery", "shipping", ("delivery",), id="beside"),
        pytest.param(
            "- shipping\n- Late delivery\n- late delivery", "shipping", ("Late delivery", "late delivery"), id="bullets"
        ),
        pytest.param("delivery\nshipping", "shipping", ("delivery",), id="before"),
        pytest.param("- shipping\n\n- delivery: it came late", "shipping", ("delivery",), id="explained"),
        pytest.param("shipping, delivery (late)", "shipping", ("delivery",), id="bracketed"),
        pytest.param("shipping, delivery, delivery", "shipping", ("delivery",), id="once-each"),
        pytest.param("shipping, ship, pricematch", "shipping", ("ship", "pricematch"), id="nothing-is-guessed"),
        pytest.param("shipping; delivery, price", "price", ("shipping; delivery",), id="half-known-parts"),
        pytest.param("none, delivery", "", ("delivery",), id="beside-none"),
        pytest.param("shipping, not price", "shipping", ("not price",), id="negation"),
        pytest.param("shipping, ~~price~~", "shipping", ("~~price~~",), id="struck-out"),
        pytest.param("shipping, " + "x" * 55, "shipping", ("x" * 55,), id="long-word"),
    ],
)
def test_off_list_words_beside_labels_are_kept(text: str, expected: str, off_list: tuple[str, ...]) -> None:
    """A short item beside labels that is no label is kept as it was written, and never guessed to be one."""
    answer = read(text)
    assert labels(text) == expected
    assert answer.off_list == off_list


@pytest.mark.parametrize(
    ("text", "off_list"),
    [
        pytest.param("delivery", ("delivery",), id="one"),
        pytest.param("delivery, cost", ("delivery", "cost"), id="two"),
        pytest.param("Labels: delivery\n\n- cost", ("cost", "delivery"), id="behind-heading"),
        pytest.param("- service issue: rude", ("service issue",), id="bullet"),
        pytest.param("The parcel came late and it was broken", (), id="sentence"),
        pytest.param("The customer complains about price, quality and shipping.", (), id="labels-in-a-sentence"),
        pytest.param("It is about the price.", (), id="label-in-a-short-sentence"),
        pytest.param("Of all the many labels that I know of I would say now: price", (), id="heading-too-long"),
        pytest.param("Sure!", (), id="chat"),
        pytest.param("...", (), id="dots"),
        pytest.param("Explanation: the price", (), id="only-an-explanation"),
        pytest.param("()", (), id="brackets"),
        pytest.param("shipping: no", (), id="only-denied"),
        pytest.param("not shipping", ("not shipping",), id="negation"),
        pytest.param("Labels: no shipping", ("no shipping",), id="negation-behind-heading"),
        pytest.param("Labels the customer did not mention:\n- price", (), id="only-labels-not-mentioned"),
        pytest.param("The review does not talk about:\n- price", (), id="only-what-it-is-not-about"),
        pytest.param("shipping: 0.9\nprice: 10%", ("shipping: 0.9", "price: 10%"), id="scores"),
    ],
)
def test_nothing_recognised_is_unparseable(text: str, off_list: tuple[str, ...]) -> None:
    """A text without a label and without an explicit none is no empty set: it is unparseable, with its off-list words."""
    found = failure(text)
    assert found.kind is FailureKind.UNPARSEABLE
    assert found.off_list == off_list


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("none, shipping", "says none, and shipping", id="none-and-label"),
        pytest.param("shipping\nnone", "says none, and shipping", id="lines"),
        pytest.param("shipping: no\nshipping", "both gives and denies shipping", id="denied-and-given"),
        pytest.param(
            "shipping: late\nprice: no problem, but too dear", "not clear whether it gives or denies price", id="but"
        ),
        pytest.param("<think>shipping or price", "the reasoning never ends", id="thinking"),
        pytest.param("\u200b \n", "empty answer", id="invisible"),
        pytest.param(
            "\n".join(f"- {label}: {label.description}" for label in SPACE),
            "repeats the list of labels",
            id="prompt-echoed",
        ),
    ],
)
def test_contradictions_are_unparseable(text: str, why: str) -> None:
    """What says two things, or repeats the question, is no answer; the failure tells which."""
    found = failure(text)
    assert found.kind is FailureKind.UNPARSEABLE
    assert why in found.why


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("shipping, quality", "shipping quality", id="ends-with-a-label"),
        pytest.param("price match", "price_match", id="nothing-longer-exists"),
        pytest.param('"price"', "price", id="quote-closed"),
        pytest.param("price.", "price", id="full-stop"),
        pytest.param("price\n", "price", id="line-ended"),
        pytest.param("shipping\n\nThe par", "shipping", id="prose-after-a-blank-line"),
        pytest.param("shipping\nThe parcel came late and was bro", "shipping", id="prose"),
        pytest.param("shipping. The pa", "shipping", id="sentence-behind"),
        pytest.param("shipping (late)", "shipping", id="brackets-closed"),
        pytest.param("shipping\n\nExplanation: - pri", "shipping", id="explanation"),
        pytest.param("```\nshipping\n```", "shipping", id="fence-closed"),
        pytest.param('["shipping"\n]', "shipping", id="bracket-closed"),
        pytest.param("price\n\nText: foo", "price", id="next-input"),
        pytest.param("<answer>price</answer>", "price", id="answer-tag"),
        pytest.param("none", "", id="none"),
    ],
)
def test_a_cut_but_complete_list_is_an_answer(text: str, expected: str) -> None:
    """A cut text is an answer when its lines were ended, or when it ends with a label that could not go on."""
    assert labels(text, cut=True) == expected


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("<think>price?", id="thinking"),
        pytest.param("shipping, qual", id="half-a-label"),
        pytest.param("shipping\nqual", id="half-a-label-on-a-line"),
        pytest.param("price", id="could-go-on"),
        pytest.param("shipping and price", id="part-could-go-on"),
        pytest.param("shipping,", id="separator"),
        pytest.param("shipping, quality, ", id="separators"),
        pytest.param("shipping\n-", id="bullet"),
        pytest.param("shipping\n1.", id="number"),
        pytest.param("[shipping, quality", id="bracket"),
        pytest.param("- shipping: it was la", id="explanation"),
        pytest.param("shipping (it was la", id="explanation-in-brackets"),
        pytest.param("Answer:", id="heading"),
        pytest.param("- shipping: maybe\n\nLabels:\n", id="heading-after-labels"),
        pytest.param("- shipping: maybe\n\nFinal answer:", id="final-heading"),
        pytest.param("The parcel came late and so I think that", id="prose"),
    ],
)
def test_a_cut_and_incomplete_list_is_truncated(text: str) -> None:
    """A cut text in which something was still to come is truncated; the same text is never half an answer."""
    assert failure(text, cut=True).kind is FailureKind.TRUNCATED


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("price, match", {"price, match"}),
        ("match, price", {"match", "price"}),
        ('"price", "match"', {"price", "match"}),
        ('"price, match", rules', {"price, match", "rules"}),
        ("price, match: it fits", {"price, match"}),
        ("price (late, match), rules", {"price", "rules"}),
        ('say "hi", [urgent]', {'say "hi"', "[urgent]"}),
        ("**[urgent]**", {"[urgent]"}),
        ("a: b: because", {"a: b"}),
        ("terms and rules and rules", {"terms and rules", "rules"}),
    ],
)
def test_names_with_signs_in_them(text: str, expected: set[str]) -> None:
    """The longest run of pieces that is a name wins, and a name's own signs are not taken off it."""
    assert read(text, space=NASTY).labels == expected


@pytest.mark.parametrize(
    ("names", "written"),
    [
        ([], "none"),
        (["match", "price"], '"price", "match"'),
        (["price, match"], '"price, match"'),
        (['say "hi"', "a: b"], 'say "hi", a: b'),
        (["rules", "[urgent]"], "[urgent], rules"),
    ],
)
def test_render_quotes_only_what_could_be_misread(names: list[str], written: str) -> None:
    """A rendered list is plain where it reads back so, and quoted where it does not."""
    assert LIST.render(names, {}, NASTY, Output()) == written


def test_render_falls_back_to_lines() -> None:
    """Where names look like other names in quotes, each stands on its own line."""
    space = LabelSpace(tuple(Label(name) for name in ("a", "b", "a, b", '"a"', '"b"')))
    assert LIST.render(["a", "b"], {}, space, Output()) == "a\nb"


@pytest.mark.parametrize(
    ("separator", "written"), [(";", "shipping; price"), ("\n", "shipping\nprice"), (" / ", "shipping / price")]
)
def test_render_uses_the_separator(separator: str, written: str) -> None:
    """The separator of the output stands between the names, and is read again."""
    assert LIST.render(["price", "shipping"], {}, SPACE, Output("list", {"separator": separator})) == written
    assert labels(written, separator=separator) == "shipping price"


def test_a_none_word_of_ones_own() -> None:
    """The none option is written and read, and the plain word is understood beside it."""
    output = Output("list", {"none": "nothing here"})
    assert LIST.render([], {}, SPACE, output) == "nothing here"
    assert labels("Nothing here.", none="nothing here") == ""
    assert labels("none", none="nothing here") == ""
    assert failure("nothing here").kind is FailureKind.UNPARSEABLE


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seperator": ";"}, "no option 'seperator'. It has separator, none, search. Did you mean 'separator'?"),
        ({"separator": 3}, "separator must be a text, got 3. Put it in quotes."),
        ({"separator": ""}, "separator must be a punctuation mark or a line break, got ''"),
        ({"separator": " "}, "separator must be a punctuation mark"),
        ({"separator": " and "}, "separator must be a punctuation mark"),
        ({"separator": '"'}, "separator must be a punctuation mark"),
        ({"none": False}, "none must be a text, got False. Put it in quotes."),
        ({"none": "-"}, "none must be a word on one line, got '-'."),
        ({"none": "no\nlabel"}, "none must be a word on one line"),
        ({"none": "Build-Quality"}, "'Build-Quality' names label 'quality'"),
        ({"none": "no, nothing"}, "none must not hold the separator ','"),
    ],
)
def test_impossible_options_are_told(options: dict[str, Any], message: str) -> None:
    """Every impossible option has a message that says what must hold and what was given."""
    (found,) = LIST.check(Output("list", options), SPACE)
    assert message in found


def test_sound_options_have_no_problems() -> None:
    """Defaults and usual options pass the check, whatever the names look like."""
    assert LIST.check(Output(), NASTY) == []
    assert LIST.check(Output("list", {"separator": "\n", "none": "nothing"}), SPACE) == []


def test_fields_need_another_format() -> None:
    """A list carries no fields."""
    (found,) = LIST.check(Output("list", fields=("mood",)), SPACE)
    assert (
        found == "format list carries no fields, but mood is asked for. Formats that do: json, containers, decisions."
    )


def test_a_label_that_no_list_can_say_is_told() -> None:
    """A name that is always taken for something else is found before any call is made."""
    (found,) = LIST.check(Output(), LabelSpace((Label("<think>"), Label("fine"))))
    assert found == "label '<think>' cannot be read back from a list. Rename it, or use format json."


# --- search: labels in sentences -------------------------------------------------------------------------------------

SENTENCES = {
    "and": ("The customer complains about shipping and the quality.", "shipping quality"),
    "longest": ("It is about a price match.", "price_match"),
    "alias": ("The build-quality is bad", "quality"),
    "possessive": ("It's about the price's level", "price"),
    "whole-words": ("Overpriced pricey shippings, but the price", "price"),
    "bullets": ("- The shipping was late\n- The quality is bad", "shipping quality"),
    "beside-plain-labels": ("shipping, and the quality is bad too", "shipping quality"),
    "plain-list": ("shipping, price", "shipping price"),
    "explanations-are-not-searched": ("shipping: late, and the price was fine\n\nReason: quality", "shipping"),
    "not": ("It is about quality, not price.", "quality"),
    "but-not": ("shipping, but not price", "shipping"),
    "and-not": ("shipping and not price", "shipping"),
    "rather-than": ("The main issue is shipping rather than price.", "shipping"),
    "not-about": ("The review is about quality, not about price or shipping.", "quality"),
    "neither-nor": ("It is quality; neither price nor shipping is mentioned.", "quality"),
    "no-mention": ("shipping. There is no mention of the price or of quality.", "shipping"),
    "no-mention-of-both": ("There is no mention of shipping and price. It is about quality.", "quality"),
    "no-issue": ("No shipping issue. The quality is bad.", "quality"),
    "nothing-about": ("Nothing about price, but shipping was slow", "shipping"),
    "without": ("The quality is bad, without any price problem", "quality"),
    "does-not-mention": ("It doesn’t mention the price. The main complaint is shipping.", "shipping"),
    "list-denied": ("It does not mention shipping, packaging, or price, but the quality is bad", "quality"),
    "do-not-think": ("I do not think it is about shipping. It is about price.", "price"),
    "not-a-problem": ("shipping is not a problem, it is about the price", "price"),
    "isn't-mentioned": ("Shipping isn't mentioned; price is.", "price"),
    "does-not-apply": ("price and quality do not apply, but shipping does", "shipping"),
    "unrelated": ("This is unrelated to price. It is about quality.", "quality"),
    "no-behind": ("delivery: bad, price: no, shipping: yes", "shipping"),
    "not-only": ("not only shipping but also price", "shipping price"),
    "nothing-but": ("nothing but shipping", "shipping"),
    "not-happy-with": ("The customer is not happy with the quality", "quality"),
    "because-of-a-not": ("It never came, so shipping applies", "shipping"),
    "subject-changes": ("It does not mention price and the customer complains about quality", "quality"),
    "options-repeated": ("The possible labels are shipping and price. It is price.", "price"),
    "verb-heading": ("The label is shipping, not price.", "shipping"),
    "final-answer": ("Is it price or shipping? Hm.\n\nAnswer: shipping", "shipping"),
    "struck-out": ("~~price~~, shipping", "shipping"),
    "none": ("I think none of the labels apply here.", ""),
    "plain-none": ("none", ""),
    "all-denied": ("It does not mention shipping, packaging, quality, price or price match.", ""),
}


@pytest.mark.parametrize(("text", "expected"), SENTENCES.values(), ids=SENTENCES)
def test_search_finds_labels_in_sentences(text: str, expected: str) -> None:
    """With search, a label in a sentence is given unless a negation plainly denies it."""
    assert labels(text, search=True) == expected


UNCLEAR = {
    "alternative": ("It is either shipping or price", "it is not clear whether it gives or denies shipping, price"),
    "or": ("shipping or the price of it", "it is not clear whether it gives or denies shipping, price"),
    "question": ("Is it about price? Yes.", "it is not clear whether it gives or denies price"),
    "if": ("It is not certain if shipping applies", "it is not clear whether it gives or denies shipping"),
    "except": ("No issues except shipping", "it is not clear whether it gives or denies shipping"),
    "all-but": ("Everything was bad, really everything but price", "it is not clear whether it gives or denies price"),
    "not-good": ("The quality is not good at all", "it is not clear whether it gives or denies quality"),
    "never-arrived": ("The shipping never arrived here", "it is not clear whether it gives or denies shipping"),
    "did-not-like": ("They did not like the price", "it is not clear whether it gives or denies price"),
    "not-and": ("It is not shipping and price", "it is not clear whether it gives or denies shipping, price"),
    "scope-of-a-comma": ("not shipping, price", "it is not clear whether it gives or denies shipping, price"),
    "verb-behind": (
        "It does not mention price and quality is bad",
        "it is not clear whether it gives or denies quality, price",
    ),
    "twice-negated": ("It is not without price issues", "it is not clear whether it gives or denies price"),
    "denied-before-and-behind": (
        "I never said that price is not a problem",
        "it is not clear whether it gives or denies price",
    ),
    "sticky": (
        "He did not get a shipping label for price",
        "it is not clear whether it gives or denies shipping, price",
    ),
    "german": ("Es geht nicht um price hier", "it is not clear whether it gives or denies price"),
    "both": ("It is about price. It is not about price.", "it both gives and denies price"),
    "both-in-a-list": ("shipping, not shipping", "it both gives and denies shipping"),
    "none-and-label": ("I see that none of the labels apply. It is shipping.", "it says none, and shipping"),
    "only-denied": ("It is not about shipping.", "no label and no explicit none in it"),
    "the-word-none": ("The customer was none too happy", "no label and no explicit none in it"),
    "part-of-a-word": ("The customer was overpriced", "no label and no explicit none in it"),
}


@pytest.mark.parametrize(("text", "why"), UNCLEAR.values(), ids=UNCLEAR)
def test_search_never_guesses(text: str, why: str) -> None:
    """What a sentence neither plainly gives nor plainly denies makes the answer unparseable."""
    found = failure(text, search=True)
    assert (found.kind, found.why) == (FailureKind.UNPARSEABLE, why)


def test_search_keeps_off_list_words_beside_labels() -> None:
    """With search too, a short item beside labels is off-list, unless it names a label."""
    assert read("shipping, delivery", search=True).off_list == ("delivery",)
    assert read("shipping, not price", search=True).off_list == ()


def test_search_reads_other_scripts() -> None:
    """Names in scripts without spaces are found character by character, and letters keep their marks."""
    space = LabelSpace((Label("价格"), Label("цена"), Label("क"), Label("a\u200cb")))
    assert read("这个评论是关于价格的问题，很清楚地说了这一点", space=space, search=True).labels == {"价格"}
    assert read("Клиент пишет, что цена слишком высокая", space=space, search=True).labels == {"цена"}
    assert failure("这个评论不是关于价格的问题，很清楚地说了", space=space, search=True).why.startswith(
        "it is not clear"
    )
    assert failure("It says कि and a\u200cbc to us here", space=space, search=True).why.startswith("no label")


@pytest.mark.parametrize(
    "text", ["The customer complains about shipping and the", "It is about shipping.", "shipping\nThe parcel came"]
)
def test_a_cut_sentence_is_incomplete(text: str) -> None:
    """With search, what was cut off could have named, or denied, another label."""
    assert failure(text, cut=True, search=True).kind is FailureKind.TRUNCATED


@given(labels_in=st.frozensets(st.sampled_from(NASTY.names)))
def test_search_reads_what_is_rendered(labels_in: frozenset[str]) -> None:
    """A rendered list is read back with search as without."""
    output = Output("list", {"search": True})
    assert LIST.check(output, NASTY) == []
    assert LIST.parse(LIST.render(labels_in, {}, NASTY, output), NASTY, output, False) == Answer(labels_in)


PIECES = [
    "shipping",
    "price",
    "match",
    "quality",
    "not",
    "no",
    "neither",
    "nor",
    "or",
    "and",
    "but",
    ",",
    ".",
    "?",
    ":",
    "it",
    "is",
]
PIECES += [
    "about",
    "mention",
    "none of the labels apply",
    "isn't",
    "everything",
    "the",
    "\n",
    "~~",
    "issues",
    "'s",
    "不",
    "\ue000",
    "(",
]


@given(st.one_of(st.text(), st.lists(st.sampled_from(PIECES), max_size=25).map(" ".join)), st.booleans())
def test_no_sentence_breaks_the_search(text: str, cut: bool) -> None:
    """Whatever is written, search gives labels or a failure; cut or not, it says the same or fails."""
    try:
        found = read(text, cut, search=True)
    except ParseFailure:
        return
    assert found.labels <= set(SPACE.names)
    assert read(text, search=True) == found


@pytest.mark.parametrize(
    "piece", ["not ", "price ", "price, ", "not price ", "x but ", "about ", "n't", "~", "price?", "'", "(price"]
)
def test_search_takes_linear_time(piece: str) -> None:
    """A text of 100,000 characters takes a moment."""
    begin = time.process_time()
    with contextlib.suppress(ParseFailure):
        read(f"It is {piece * (100_000 // len(piece))}", search=True)
    assert time.process_time() - begin < 15.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("shipping (late) and price (dear)", "shipping price", id="and"),
        pytest.param("shipping - late; price - too dear", "shipping price", id="semicolon"),
        pytest.param("shipping：晚，price：贵", "shipping price", id="wide-comma"),
        pytest.param("quality: no and price: too dear", "price", id="denied-and-given"),
        pytest.param("price: not an issue; shipping: late", "shipping", id="denied-first"),
        pytest.param("shipping: late and price", "shipping", id="bare-word-in-a-reason"),
    ],
)
def test_labels_with_reasons_may_be_joined_in_any_way(text: str, expected: str) -> None:
    """A label with a reason of its own is none that the reason before it swallows, whatever stands between them."""
    assert labels(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("shipping ✓\nquality ✗\nprice ✔️", "shipping price", id="ticks"),
        pytest.param("shipping ✅, quality ❌", "shipping", id="on-one-line"),
        pytest.param("shipping: ☐, quality: ☑", "quality", id="boxes-behind-a-colon"),
        pytest.param("shipping: [ ]\nquality: [x]", "quality", id="brackets-behind-a-colon"),
        pytest.param("shipping [ ]\nquality [x]", "quality", id="brackets"),
        pytest.param("🚚 shipping, price 💰", "shipping price", id="pictures-say-nothing"),
    ],
)
def test_a_sign_behind_a_label_gives_or_denies_it(text: str, expected: str) -> None:
    """A tick gives the label that it stands behind, a cross or an empty box denies it, a picture of a thing does neither."""
    assert labels(text) == expected


@pytest.mark.parametrize("text", ["price ✗", "price 👎", "price ❓", "price 🤷", "none ✗"])
def test_a_sign_that_does_not_give_a_label_is_none(text: str) -> None:
    """What is crossed out, doubted or disliked is no label that was given."""
    assert failure(text).kind is FailureKind.UNPARSEABLE


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("[THINK]It could be price.[/THINK]shipping", "shipping", id="magistral"),
        pytest.param(
            "<|channel|>analysis<|message|>price?<|end|><|start|>assistant<|channel|>final<|message|>shipping<|return|>",
            "shipping",
            id="gpt-oss",
        ),
        pytest.param("<|channel|>final <|constrain|>text<|message|>shipping", "shipping", id="gpt-oss-constrained"),
        pytest.param("shipping<｜end▁of▁sentence｜>", "shipping", id="deepseek"),
        pytest.param("Final answer: $\\boxed{\\text{shipping}}$", "shipping", id="boxed"),
        pytest.param("Final Answer: The final answer is $shipping$.", None, id="dollars-alone"),
        pytest.param(
            "Final Answer: The final answer is shipping. I hope it is correct.", "shipping", id="twice-announced"
        ),
        pytest.param("The review is labelled as: shipping", "shipping", id="labelled"),
    ],
)
def test_the_wrappings_of_model_families_come_off(text: str, expected: str | None) -> None:
    """Reasoning channels, end tokens and announcements of the known model families are no part of the answer."""
    if expected is None:
        assert failure(text).kind is FailureKind.UNPARSEABLE
    else:
        assert labels(text) == expected


def test_a_channel_that_is_not_final_is_reasoning() -> None:
    """What stands only in an analysis channel is no answer: it is truncated when the tokens ran out there."""
    text = "<|channel|>analysis<|message|>shipping"
    assert failure(text, cut=True).why == "the reasoning never ends: the tokens ran out before an answer"
    assert failure(text).why == "the reasoning never ends"


@pytest.mark.parametrize("text", ["None of the given labels apply to this review.", "No labels apply to the text."])
def test_none_may_name_the_text(text: str) -> None:
    """An explicit none may say of which text it speaks."""
    assert labels(text) == ""


# --- what is said of a label -----------------------------------------------------------------------------------------

DENIALS = [
    "nein",
    "non",
    "нет",
    "否",
    "不是",
    "いいえ",
    "não",
    "nope",
    "N",
    "F",
    "👎",
    "×",
    "trifft nicht zu",
    "nothing",
]
DENIALS += ["never mentioned", "nothing said", "This label does not apply.", "There is no mention of price."]
DENIALS += ["The customer does not complain about the price.", "I see no complaint about it.", "Is it mentioned? No."]
DENIALS += ["The review doesn't discuss price.", "No mention of hidden costs.", "It was cheap, so this does not apply."]
DENIALS += ["The customer has no complaints about the price.", "Not stated in the given review."]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("shipping, price are not mentioned", None),
        ("price, quality is not applicable", None),
        ('The label "price, quality" is not applicable to the product.', None),
        ("Shipping, price and quality don't apply here.", None),
        ("shipping, price (not mentioned)", "shipping"),
        ("shipping: it came late, price is not mentioned", "shipping"),
        ("shipping, the parcel did not arrive", "shipping"),
    ],
)
def test_a_denial_behind_a_list_may_be_of_all_its_labels(text: str, expected: str | None) -> None:
    """Where the last of several labels has a verb that denies, nobody can tell whether it denies the others too."""
    if expected is None:
        assert "it is not clear whether it gives or denies" in str(failure(text))
    else:
        assert labels(text) == expected


@pytest.mark.parametrize("denial", DENIALS)
def test_a_label_is_denied_in_any_usual_way(denial: str) -> None:
    """A no of another language, a sign of no, and a sentence that denies the label take it out."""
    assert labels(f"shipping: yes\nprice: {denial}") == "shipping"
    assert labels(f"- shipping - late\n- price - {denial}") == "shipping"


@pytest.mark.parametrize(
    "unclear", ["Maybe", "possibly.", "Unclear", "Unknown", "?", "null", "-", "low", "unlikely", "x", "3"]
)
def test_a_hedge_behind_a_label_is_unclear(unclear: str) -> None:
    """A hedge, a degree or a mere sign behind a label neither gives nor denies it: nothing is guessed."""
    assert failure(f"shipping: yes\nprice: {unclear}").why == "it is not clear whether it gives or denies price"


@pytest.mark.parametrize(
    "reason",
    [
        "the parcel did not arrive",
        "it does not work",
        "no refund",
        "no sign of the parcel",
        "they never answered",
        "unclear instructions",
        "the seller did not mention it",
        "does not charge",
        "it was so cheap it broke",
        "ja",
        "👍",
    ],
)
def test_a_negation_in_a_reason_denies_no_label(reason: str) -> None:
    """What a reason denies of the product or the seller gives the label all the same."""
    assert labels(f"shipping: {reason}") == "shipping"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("shipping: late\nprice: fine, no complaint", id="behind-another-clause"),
        pytest.param("shipping: late\nprice: no mention of quality", id="of-another-label"),
        pytest.param("shipping: late\nprice: not mentioned, but too dear", id="taken-back"),
    ],
)
def test_a_denial_that_may_mean_something_else_is_unclear(text: str) -> None:
    """A denial that comes late, names another label or is taken back leaves its label unclear."""
    assert "not clear" in failure(text).why


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("shipping:\n- it came late\n\nprice:\n- too dear", "shipping price", id="headings"),
        pytest.param("**Shipping:**\nyes\n**Price:**\nNot mentioned.", "shipping", id="verdicts"),
        pytest.param("shipping: yes\nprice:", None, id="at-the-end"),
        pytest.param("shipping:\nprice: yes", None, id="before-a-label"),
        pytest.param("shipping:\n\nLabels: shipping", None, id="before-a-heading"),
    ],
)
def test_behind_a_colon_something_must_be_said(text: str, expected: str | None) -> None:
    """A label with a colon at the end of its line is explained by the next line, and unclear where that says nothing."""
    if expected is None:
        assert "not clear" in failure(text).why
    else:
        assert labels(text) == expected


def test_a_text_cut_behind_a_colon_is_truncated() -> None:
    """What stands behind the colon was still to come."""
    assert failure("shipping: yes\nprice:\n", cut=True).kind is FailureKind.TRUNCATED


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("shipping,yes\nprice,no", "shipping", id="csv"),
        pytest.param("label,applies\nshipping,1\nprice,0", "shipping", id="csv-with-head"),
        pytest.param("shipping=1, price=0", "shipping", id="assigned"),
        pytest.param("| shipping | yes |\n| price | no |", "shipping", id="table-without-head"),
        pytest.param("| | shipping | price |\n|---|---|---|\n| applies | yes | no |", None, id="labels-as-head"),
        pytest.param("shipping, price, yes", None, id="of-which-label"),
    ],
)
def test_a_yes_or_no_in_the_place_of_a_label_is_said_of_one(text: str, expected: str | None) -> None:
    """A flag beside one label says it of that; beside several, or on a line without any, the answer fails."""
    if expected is None:
        assert failure(text).kind is FailureKind.UNPARSEABLE
    else:
        assert labels(text) == expected


# --- which of several lists is the answer ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("Labels considered: shipping, price\nLabels that apply: shipping", "shipping", id="considered"),
        pytest.param("Initial labels: shipping, price\nRevised labels: quality", "quality", id="revised"),
        pytest.param("Labels: shipping, price\nSelected labels: shipping", "shipping", id="selected"),
        pytest.param("Identified labels: shipping\nDiscarded labels: price", "shipping", id="discarded"),
        pytest.param("shipping: late\nprice: fine\n\nLabels: shipping", "shipping", id="behind-a-walk"),
        pytest.param("Thinking:\nprice\nquality\n\nLabels:\nshipping", "shipping", id="thinking"),
        pytest.param("It is about:\n- shipping\n\nIt is not about:\n- price", "shipping", id="not-about"),
        pytest.param("Main label: shipping\nOther labels: price", "shipping price", id="counted"),
        pytest.param("1: shipping\n2: price", "shipping price", id="numbers"),
        pytest.param("Labels: shipping, price\nCategories: price, shipping", "shipping price", id="same"),
        pytest.param("shipping, price\n\nWhy these:\n- shipping: late\n- price: dear", "shipping price", id="reasons"),
        pytest.param("Labels: shipping, price\n\nCorrection: only shipping.", "shipping", id="correction"),
        pytest.param("shipping, price\nActually, shipping", "shipping", id="actually"),
        pytest.param("shipping\nWait, let me correct that.\nLabels: price", "price", id="wait"),
    ],
)
def test_of_several_lists_the_one_that_chooses_counts(text: str, expected: str) -> None:
    """Candidates and what was discarded are no labels; a choice, a correction and a summary take the place of the rest."""
    assert labels(text) == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param(
            "Topics mentioned: shipping, price\nComplaints: shipping", "two different lists", id="two-headings"
        ),
        pytest.param("## Complaints\n- shipping\n\n## Praise\n- price", "two different lists", id="unknown-heading"),
        pytest.param("Labels: shipping, price\nActually, remove price.", "goes back", id="remove"),
        pytest.param("shipping, price\nCorrection: the price was fine.", "goes back", id="no-new-answer"),
        pytest.param("Listed: shipping, price. Chosen: shipping", "not clear", id="unknown-words"),
        pytest.param("shipping: quality, price", "not clear", id="label-or-group"),
        pytest.param("shipping\nSeller: price", "not clear", id="group"),
        pytest.param("Main: shipping\nNone: price", "not clear", id="none-or-heading"),
    ],
)
def test_lists_of_which_nobody_knows_what_they_are_fail(text: str, why: str) -> None:
    """Labels under unknown words, and two lists that differ, are neither added up nor dropped."""
    assert why in failure(text).why


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            '[{"label": "shipping", "applies": true}, {"label": "price", "applies": false}]', "shipping", id="flags"
        ),
        pytest.param(
            '{\n  "labels": [\n    "shipping"\n  ],\n  "not_applicable": ["price"]\n}', "shipping", id="pretty"
        ),
        pytest.param('Here it is:\n```json\n{"shipping": true, "price": false}\n```', "shipping", id="fenced"),
        pytest.param('{"labels": []}', "", id="empty"),
    ],
)
def test_json_is_read_as_json(text: str, expected: str) -> None:
    """What objects of JSON say of labels, the format json tells."""
    assert labels(text) == expected


def test_labels_beside_json_fail() -> None:
    """JSON and a list behind it are two answers."""
    assert failure('{"shipping": true}\nprice').why == "labels stand both in JSON and behind it"


@pytest.mark.parametrize(
    "text",
    [
        "There are no labels that apply to this review.",
        "No applicable labels.",
        "No labels are applicable.",
        "None of the labels are applicable.",
        "None of these labels apply because the review is positive.",
        "None of the labels apply to this customer review.",
        "The review is positive, so the answer is none.",
        "No complaints, so none.",
    ],
)
def test_none_is_said_in_any_usual_way(text: str) -> None:
    """The usual sentences that no label applies are the empty set."""
    assert labels(text) == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Shipping applies.", "shipping"),
        ("Only shipping applies.", "shipping"),
        ("Just shipping", "shipping"),
        ("shipping and price apply", "shipping price"),
        ("I'd say: shipping", "shipping"),
        ("I would label this as shipping.", "shipping"),
        ("Assistant: shipping", "shipping"),
        ("A: shipping, quality", "shipping quality"),
        ("→ shipping", "shipping"),
        ("Labels shipping, quality", "shipping quality"),
        ("It came late, so the label is shipping.", "shipping"),
    ],
)
def test_an_answer_may_be_said_in_a_short_sentence(text: str, expected: str) -> None:
    """Words that only say that a label applies, or who speaks, stand in no one's way."""
    assert labels(text) == expected
