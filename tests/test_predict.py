"""From a prompt and a sample to a prediction: which passes ask, how their answers are read, and how they merge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies_labels import space_of, unhurried

from harness.errors import DataError
from harness.labelspace import Label, LabelSpace
from harness.parsing import Output
from harness.predict import Reading, merge, predict
from harness.prompt import MessageTemplate, Model, Pass, Prompt, Shots, without_answer
from harness.records import Answer, Call, Completion, FailureKind, ParseFailure, Prediction, Sample

SPACE = space_of("shipping", "quality", "price")
SAMPLE = Sample("s", {"text": "Late."}, frozenset({"shipping"}), {"mood": "gold-mood"})
BROKEN = Completion("error", error={"kind": "timeout", "message": "too slow", "status": None})


def asking(name: str, template: str = "{{ text }}", **options: Any) -> Pass:
    """Return a pass of one user message, which stands on line 4 of its file."""
    return Pass(name, (MessageTemplate("user", template, 4),), Model("m"), **{"output": Output(), **options})


def prompt_of(*passes: Pass) -> Prompt:
    """Return a prompt with these passes."""
    return Prompt("v", passes, path=Path("prompts/v.yaml"))


def answered(
    prompt: Prompt, answers: Mapping[str, str | Completion], reading: Reading | None = None, repeat: int = 0
) -> tuple[Prediction, list[Call]]:
    """Return the prediction when each pass answers as its name says, and the calls that were made."""
    asked: list[Call] = []
    asker = predict(prompt, SPACE, SAMPLE, repeat, reading)
    try:
        calls = next(asker)
        while True:
            asked += calls
            said = [answers[call.pass_name] for call in calls]
            calls = asker.send([Completion("ok", each) if isinstance(each, str) else each for each in said])
    except StopIteration as end:
        return end.value, asked


def text_of(call: Call) -> str:
    """Return the content of a call's only message."""
    (message,) = call.messages
    return message["content"]


# --- one pass ---------------------------------------------------------------------------------------------------------


def test_one_pass_is_one_call_and_its_answer() -> None:
    """The prediction of a prompt of one pass is what its answer says."""
    prediction, (call,) = answered(prompt_of(asking("main")), {"main": "price, shipping"}, repeat=2)
    assert prediction == Prediction("s", frozenset({"shipping", "price"}), repeat=2)
    assert call == Call("s", "main", "", 2, ({"role": "user", "content": "Late."},), draw=2)


@pytest.mark.parametrize(
    ("completion", "failure", "why"),
    [
        (BROKEN, FailureKind.CALL_ERROR, "too slow"),
        (Completion("refusal", "No."), FailureKind.REFUSAL, "No."),
        (Completion("ok", "shipp", "length"), FailureKind.TRUNCATED, None),
        (Completion("ok", "bananas"), FailureKind.UNPARSEABLE, None),
    ],
)
def test_a_failed_only_pass_leaves_every_cell_unanswered(
    completion: Completion, failure: FailureKind, why: str | None
) -> None:
    """A failure of the only pass is never an empty label set: all cells are unanswered, and it says why."""
    prediction, _ = answered(prompt_of(asking("main")), {"main": completion})
    assert prediction.labels == frozenset()
    assert prediction.unanswered == frozenset(SPACE.names)
    assert prediction.failure is failure
    assert prediction.why if why is None else prediction.why == why


def test_an_explicit_none_is_an_answer() -> None:
    """The empty label set that was said is an answer, not a failure."""
    assert answered(prompt_of(asking("main")), {"main": "none"})[0] == Prediction("s", frozenset())


def test_asked_fields_are_those_of_all_passes_once() -> None:
    """A prediction knows the fields that its passes ask for, also when they were not answered."""
    mood, both = Output("json", {}, ("mood",)), Output("json", {}, ("mood", "item"))
    prediction, _ = answered(prompt_of(asking("a", output=mood), asking("b", output=both)), {"a": BROKEN, "b": BROKEN})
    assert prediction.asked_fields == ("mood", "item")


# --- several passes ---------------------------------------------------------------------------------------------------


def test_a_later_pass_answers_the_cells_of_its_scope_alone() -> None:
    """What a scoped pass says of other labels does not count, and its scope is replaced whole."""
    prompt = prompt_of(asking("first"), asking("second", scope=("quality", "price")))
    prediction, _ = answered(prompt, {"first": "shipping, price", "second": "quality"})
    assert prediction.labels == {"shipping", "quality"}
    prediction, _ = answered(prompt, {"first": "price", "second": "shipping"})
    assert prediction.labels == frozenset()


def test_passes_with_parts_of_the_labels_answer_them_together() -> None:
    """Labels shared out among passes are all answered when every pass is."""
    prompt = prompt_of(asking("a", scope=("shipping",)), asking("b", scope=("quality", "price")))
    assert answered(prompt, {"a": "shipping", "b": "price"})[0] == Prediction("s", frozenset({"shipping", "price"}))
    prediction, _ = answered(prompt, {"a": BROKEN, "b": "price"})
    assert prediction.labels == {"price"}
    assert prediction.unanswered == {"shipping"}
    assert prediction.failure is FailureKind.CALL_ERROR


def test_a_later_pass_that_fails_leaves_the_earlier_answer() -> None:
    """A failed later pass changes no cell that is answered, and is no failure of the prediction."""
    prompt = prompt_of(asking("first"), asking("second"))
    assert answered(prompt, {"first": "price", "second": BROKEN})[0] == Prediction("s", frozenset({"price"}))


def test_a_later_pass_can_answer_what_the_first_failed_at() -> None:
    """After a failed first pass a later answer stands, and there is no failure any more."""
    prompt = prompt_of(asking("first"), asking("second", when="failed"))
    prediction, _ = answered(prompt, {"first": "bananas", "second": "price"})
    assert replace(prediction, off_list=()) == Prediction("s", frozenset({"price"}))


def test_a_failure_is_that_of_the_pass_whose_cells_are_unanswered() -> None:
    """A pass that fails beside the unanswered cells does not change the reason why they are."""
    prompt = prompt_of(
        asking("a", scope=("shipping",)),
        asking("b", scope=("quality", "price")),
        asking("again", scope=("shipping",)),
    )
    prediction, _ = answered(prompt, {"a": "shipping", "b": Completion("refusal", "No."), "again": BROKEN})
    assert prediction.unanswered == {"quality", "price"}
    assert (prediction.failure, prediction.why) == (FailureKind.REFUSAL, "No.")


def test_of_several_reasons_the_last_is_told() -> None:
    """Where two passes fail at the same cells, the later one's reason stands."""
    prediction, _ = answered(prompt_of(asking("a"), asking("b")), {"a": BROKEN, "b": Completion("refusal", "No.")})
    assert prediction.failure is FailureKind.REFUSAL


@pytest.mark.parametrize(("answer", "asked"), [("shipping", ["first", "second"]), ("price", ["first"])])
def test_when_decides_whether_a_pass_asks(answer: str, asked: list[str]) -> None:
    """A pass whose `when` is false makes no call and changes nothing."""
    prompt = prompt_of(asking("first"), asking("second", when="'shipping' in predicted"))
    prediction, calls = answered(prompt, {"first": answer, "second": answer})
    assert [call.pass_name for call in calls] == asked
    assert prediction.labels == {answer}


def test_later_passes_see_the_answer_so_far() -> None:
    """Templates of later passes see `predicted`, `failed`, `off_list`, and `passes.NAME` with what stood after it."""
    second = asking(
        "second",
        "{{ predicted | join('+') }}|{{ n_predicted }}|{{ failed }}|{{ failure }}|{{ off_list | join }}|"
        "{{ passes.first.raw }}|{{ passes.first.predicted | join('+') }}",
    )
    _, calls = answered(prompt_of(asking("first"), second), {"first": "price, cost, shipping", "second": "none"})
    assert text_of(calls[1]) == "shipping+price|2|False|None|cost|price, cost, shipping|shipping+price"
    _, calls = answered(prompt_of(asking("first"), second), {"first": BROKEN, "second": "none"})
    assert text_of(calls[1]) == "|0|True|call_error|||"


def test_a_pass_that_was_not_asked_is_there_for_later_ones() -> None:
    """`passes.NAME` of a skipped pass is what stood before it, with an empty raw text."""
    third = asking("third", "{{ passes.second.predicted | join }}|{{ passes.second.raw }}|")
    prompt = prompt_of(asking("first"), asking("second", when="failed"), third)
    _, calls = answered(prompt, {"first": "price", "third": "none"})
    assert [call.pass_name for call in calls] == ["first", "third"]
    assert text_of(calls[1]) == "price||"


def test_fields_are_taken_over_name_by_name() -> None:
    """A later pass's fields go before an earlier one's, and leave those alone that it does not give."""
    before = Prediction("s", frozenset(), fields={"mood": "mad", "item": "lamp"})
    after = merge(before, Answer(frozenset(), fields={"mood": "happy"}), frozenset(SPACE.names))
    assert after.fields == {"mood": "happy", "item": "lamp"}


# --- errors -----------------------------------------------------------------------------------------------------------


def test_a_template_that_fails_names_file_line_sample_and_pass() -> None:
    """A template that fails on a sample is an error of the user's files."""
    with pytest.raises(DataError, match=r"^prompts/v\.yaml:5: sample s, pass main: .*'nothing'") as caught:
        answered(prompt_of(asking("main", "x\n{{ text.nothing.more }}")), {})
    assert str(caught.value).endswith(".")


def test_a_template_of_a_stored_run_names_no_line() -> None:
    """Where lines are not known any more, the message does not make one up."""
    stored = Prompt.from_json(prompt_of(asking("main", "x\n{{ text.nothing.more }}")).to_json())
    with pytest.raises(DataError, match=r"^prompts/v\.yaml: sample s, pass main: "):
        answered(stored, {})


def test_a_when_that_fails_names_sample_and_pass() -> None:
    """A `when` that fails on an answer is an error that names it."""
    prompt = replace(prompt_of(asking("first"), asking("second", when="predicted[5] == 'x'")), path=None)
    with pytest.raises(DataError, match=r"^v: sample s, 'when' of pass second: "):
        answered(prompt, {"first": "price"})


# --- reading anew -----------------------------------------------------------------------------------------------------


def test_answers_can_be_read_in_another_way() -> None:
    """A reading changes output, scope and aliases of the passes that it names, and nothing of what is asked."""
    main = asking("main", shots=Shots((Sample("w", {"text": "x"}, frozenset({"price"})),)))
    aliased = LabelSpace(tuple(Label(each.name, aliases=("cost",) if each.name == "price" else ()) for each in SPACE))
    plain, (call,) = answered(prompt_of(main), {"main": "cost; shipping"})
    reading = Reading(aliased, {"main": replace(main, output=Output("list", {"separator": ";"}))})
    read, (same,) = answered(prompt_of(main), {"main": "cost; shipping"}, reading)
    assert read.labels == {"price", "shipping"}
    assert plain != read
    assert call == same
    scoped = Reading(aliased, {"main": replace(main, scope=("price",))})
    assert answered(prompt_of(main), {"main": "cost"}, scoped)[0].labels == {"price"}


def test_a_reading_says_which_fields_were_asked() -> None:
    """The asked fields are those of the outputs that read the answers."""
    reading = Reading(SPACE, {"main": asking("main", output=Output("json", {}, ("mood",)))})
    assert answered(prompt_of(asking("main")), {"main": BROKEN}, reading)[0].asked_fields == ("mood",)


# --- properties -------------------------------------------------------------------------------------------------------

label_sets = st.frozensets(st.sampled_from(SPACE.names))
scopes = st.lists(st.sampled_from(SPACE.names), unique=True).map(tuple)
answers = st.builds(Answer, label_sets, st.lists(st.sampled_from(["x", "y"]), max_size=2).map(tuple))
failures = st.builds(ParseFailure, st.sampled_from(FailureKind), st.just("why"))


@st.composite
def predictions(draw: st.DrawFn) -> Prediction:
    """Draw what stands before a pass: labels, and unanswered cells with their reason."""
    unanswered = draw(label_sets)
    failure = draw(st.sampled_from(FailureKind)) if unanswered else None
    return Prediction("s", draw(label_sets) - unanswered, unanswered, failure, "why" if failure else None)


@given(predictions(), answers | failures, scopes)
@unhurried
def test_merging_twice_is_merging_once(
    before: Prediction, result: Answer | ParseFailure, scope: tuple[str, ...]
) -> None:
    """The same result again changes no cell, field or failure."""
    once = merge(before, result, frozenset(scope))
    assert replace(merge(once, result, frozenset(scope)), off_list=()) == replace(once, off_list=())


@given(predictions(), answers, scopes)
@unhurried
def test_an_answer_never_leaves_its_scope(before: Prediction, result: Answer, scope: tuple[str, ...]) -> None:
    """An answer decides every cell of its scope and touches no other."""
    inside = frozenset(scope)
    after = merge(before, result, inside)
    assert after.labels - inside == before.labels - inside
    assert after.unanswered == before.unanswered - inside
    assert after.labels & inside == result.labels & inside


@given(predictions(), failures, scopes)
@unhurried
def test_a_failure_changes_no_cell(before: Prediction, result: ParseFailure, scope: tuple[str, ...]) -> None:
    """A failed pass leaves labels, unanswered cells and fields as they are."""
    after = merge(before, result, frozenset(scope))
    assert (after.labels, after.unanswered, after.fields) == (before.labels, before.unanswered, before.fields)


@given(st.data())
@unhurried
def test_an_unanswered_cell_always_has_a_failure(data: st.DataObject) -> None:
    """Where the passes without `when` cover the labels, a prediction has a failure exactly when a cell is unanswered."""
    texts = st.sampled_from(["none", "price", "shipping, quality", "bananas"]).map(lambda text: Completion("ok", text))
    completions = texts | st.just(BROKEN) | st.just(Completion("refusal", "No."))
    whens = st.sampled_from([None, None, "failed", "'price' in predicted", "n_predicted > 1"])
    passes = [
        asking(str(at), scope=data.draw(scopes), when=data.draw(whens) if at else None)
        for at in range(data.draw(st.integers(1, 4)))
    ]
    if without_answer(passes, SPACE):
        passes.append(asking("rest"))
    prediction, _ = answered(prompt_of(*passes), {each.name: data.draw(completions) for each in passes})
    assert prediction.failed == (prediction.failure is not None)
    assert not prediction.labels & prediction.unanswered


@given(label_sets)
@unhurried
def test_a_prediction_does_not_depend_on_gold(gold: frozenset[str]) -> None:
    """The calls of a sample are the same whatever its gold is."""
    prompt = prompt_of(asking("main", "{{ labels | join }} {{ text }}"))
    calls = next(predict(prompt, SPACE, replace(SAMPLE, labels=gold)))
    assert calls == next(predict(prompt, SPACE, replace(SAMPLE, labels=None, fields={})))
