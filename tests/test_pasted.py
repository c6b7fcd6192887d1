"""Pasted outputs: what counts as one, and what it became."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import DataError
from harness.labelspace import Field, Label, LabelSpace
from harness.parsing import Output
from harness.pasted import Pasted, read_pasted, tally
from harness.records import Answer, Completion, FailureKind, ParseFailure

SPACE = LabelSpace(
    (Label("shipping"), Label("quality"), Label("price")), (Field("mood", "choice", values=("happy", "mad")),)
)
LIST = Output("list")
JSON = Output("json", fields=("mood",))


def pasted(text: str, output: Output = LIST) -> list[Pasted]:
    """Return the outputs of a text, read."""
    return read_pasted(text, "out.txt", SPACE, output)


def results(text: str, output: Output = LIST) -> list[Answer | FailureKind]:
    """Return what outputs became, failures by their kind."""
    return [each.result.kind if isinstance(each.result, ParseFailure) else each.result for each in pasted(text, output)]


def test_every_line_is_an_output() -> None:
    """Lines of text are outputs of their own; blank lines are none, and the numbers are those of the file."""
    found = pasted("shipping\n\n  price, quality\r\nI like it\n")
    assert [each.line for each in found] == [1, 3, 4]
    assert results("shipping\n\nprice, quality\nI like it\n") == [
        Answer(frozenset({"shipping"})),
        Answer(frozenset({"price", "quality"})),
        FailureKind.UNPARSEABLE,
    ]


def test_jsonl_outputs_may_have_several_lines() -> None:
    """With `raw` an output can hold line breaks, and a cut one is known by its finish reason."""
    rows = [{"raw": "shipping\nprice"}, {"raw": "shipp", "finish_reason": "length"}, {"raw": ""}]
    assert results("\n".join(json.dumps(row) for row in rows)) == [
        Answer(frozenset({"shipping", "price"})),
        FailureKind.TRUNCATED,
        FailureKind.UNPARSEABLE,
    ]


def test_completions_of_a_run_are_read_as_in_the_run() -> None:
    """A line of completions.jsonl can be given as it is: errors, refusals and answers without text among them."""
    error = {"kind": "http_500", "message": "on fire", "status": 500}
    rows = [
        Completion("error", error=error).to_json(),  # type: ignore[arg-type]
        Completion("refusal", "no").to_json(),
        Completion("ok", "shipping").to_json(),
        Completion("ok", None).to_json(),
    ]
    found = pasted("\n".join(json.dumps(row) for row in rows))
    kinds = [each.result.kind if isinstance(each.result, ParseFailure) else None for each in found]
    assert kinds == [FailureKind.CALL_ERROR, FailureKind.REFUSAL, None, FailureKind.UNPARSEABLE]
    assert isinstance(found[0].result, ParseFailure)
    assert found[0].result.why == "on fire"


def test_json_outputs_without_raw_are_outputs() -> None:
    """A line that is a JSON answer itself is an output like any other line."""
    assert results('{"labels": ["price"], "mood": "mad"}\n["shipping"]', JSON) == [
        Answer(frozenset({"price"}), fields={"mood": "mad"}),
        Answer(frozenset({"shipping"})),
    ]


@pytest.mark.parametrize("line", ["shipping", '{"text": "x"}', '{"raw": 3}', "[1]"])
def test_one_line_without_raw_among_jsonl_is_told(line: str) -> None:
    """JSONL is JSONL to the end: the line that is none is named."""
    with pytest.raises(DataError) as caught:
        pasted(f'{{"raw": "shipping"}}\n\n{line}')
    assert str(caught.value) == (
        "out.txt:3: must be a JSON object with a text under 'raw', as the lines before it, got something else. "
        "Write every output in this form, or none."
    )


@pytest.mark.parametrize("text", ["", "\n  \n"])
def test_nothing_pasted_is_told(text: str) -> None:
    """A file without an output is a mistake, not an empty result."""
    with pytest.raises(DataError) as caught:
        pasted(text)
    assert str(caught.value) == "out.txt: must hold at least one output, got none. One a line, or JSONL with 'raw'."


def test_plain_values_say_all_of_a_reading() -> None:
    """Labels stand in label-space order, a failure has null for them, and its kind and reason."""
    answer, failure = pasted("price, shipping, colour\nlovely\n")
    assert answer.to_json(SPACE) == {
        "line": 1,
        "raw": "price, shipping, colour",
        "labels": ["shipping", "price"],
        "fields": {},
        "off_list": ["colour"],
        "failure": None,
        "why": None,
        "repaired": False,
    }
    assert failure.to_json(SPACE)["labels"] is None
    assert failure.to_json(SPACE)["failure"] == "unparseable"
    weighed = Pasted(1, Completion("ok", "x"), Answer(frozenset(), probabilities={"price": 0.2, "shipping": 0.1}))
    assert list(weighed.to_json(SPACE)["probabilities"]) == ["shipping", "price"]


def test_what_became_of_all_is_counted() -> None:
    """Answers, the explicit none among them, failures by kind, and outputs with off-list labels."""
    assert tally(pasted("shipping\nnone\nlovely\nprice, colour\nblue, green")) == {
        "outputs": 5,
        "answers": 3,
        "none": 1,
        "repaired": 0,
        "off_list": 3,
        "unparseable": 2,
    }
    assert tally(pasted('["price",]', JSON))["repaired"] == 1


@given(st.text(min_size=1).filter(lambda text: text.strip() != ""))
def test_any_text_can_be_pasted(text: str) -> None:
    """Whatever is pasted is read line by line, or told to be no JSONL; nothing else is raised."""
    try:
        found = pasted(text)
    except DataError:
        return
    assert len(found) == sum(bool(line.strip()) for line in text.split("\n"))


def test_a_line_about_one_label_is_read_as_being_about_it() -> None:
    """The completions of a `per: label` run each have their label; with a label given, only its own are read."""
    rows = [{"raw": "yes", "unit": "shipping", "pass": "a"}, {"raw": "no", "unit": "price", "pass": "a"}]
    text = "\n".join(json.dumps(row) for row in rows)
    found = read_pasted(text, "out", SPACE, Output("yes_no"))
    assert [(each.unit, each.result.labels) for each in found if isinstance(each.result, Answer)] == [
        ("shipping", {"shipping"}),
        ("price", frozenset()),
    ]
    assert found[1].to_json(SPACE)["unit"] == "price"
    (only,) = read_pasted(text, "out", SPACE.only(["price"]), Output("yes_no"))
    assert only.line == 2


def test_lines_of_other_passes_are_passed_over() -> None:
    """What another pass was answered may have another format."""
    rows = [{"raw": "shipping", "pass": "first"}, {"raw": "yes", "pass": "second"}, {"raw": "price"}]
    found = read_pasted("\n".join(json.dumps(row) for row in rows), "out", SPACE, LIST, "first")
    assert [each.line for each in found] == [1, 3]


def test_a_line_about_a_group_is_read_with_its_labels() -> None:
    """A unit that is a group means its labels; one that is neither is not of this label space."""
    grouped = LabelSpace((Label("shipping", group="g"), Label("price")), ())
    rows = [{"raw": "shipping, price", "unit": "g"}, {"raw": "shipping", "unit": "elsewhere"}]
    (found,) = read_pasted("\n".join(json.dumps(row) for row in rows), "out", grouped, LIST)
    assert (found.unit, found.result.off_list) == ("g", ("price",))


@pytest.mark.parametrize("text", ["yes", '{"raw": "yes"}'])
def test_a_format_of_one_label_needs_to_know_which(text: str) -> None:
    """An answer about nobody knows which label is not read as one about all of them."""
    with pytest.raises(DataError, match=r"^format yes_no answers for one label\. Give --label, one of shipping, "):
        read_pasted(text, "out", SPACE, Output("yes_no"))
