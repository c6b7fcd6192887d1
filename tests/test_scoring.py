"""From samples and predictions to scores."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies_labels import Case, cases, space_of, unhurried

from harness.fieldscoring import FieldScore
from harness.labelspace import Field, LabelSpace
from harness.metrics import Averages
from harness.records import FailureKind, FieldValue, GoldField, Prediction, Sample
from harness.scoring import LabelScore, Scores, align, mean_defined, score, score_aligned

ABC = space_of("a", "b", "c")
ALL = frozenset("abc")


def sample(name: str, labels: str | None, **fields: GoldField) -> Sample:
    """Return a sample whose gold labels are the letters of ``labels``."""
    return Sample(name, {"text": name}, None if labels is None else frozenset(labels), fields)


def said(name: str, labels: str, **more: Any) -> Prediction:
    """Return an answered prediction of the letters of ``labels``."""
    return Prediction(name, frozenset(labels), **more)


def failed(name: str, kind: FailureKind = FailureKind.UNPARSEABLE, **more: Any) -> Prediction:
    """Return a prediction that answers none of the labels a, b and c."""
    return Prediction(name, frozenset(), ALL, kind, **more)


# Gold a b | b c | none | c; the third is not answered at all and the fourth not in its cell c.
GOLD = [sample("1", "ab"), sample("2", "bc"), sample("3", ""), sample("4", "c")]
ANSWERS = [
    said("1", "ab", off_list=("Build_Quality", "other")),
    said("2", "a", off_list=("build quality",), repaired=True),
    failed("3"),
    Prediction("4", frozenset("b"), frozenset("c"), FailureKind.REFUSAL),
]


SCORES = score(ABC, GOLD, ANSWERS)


def assert_equal(found: Any, expected: Any) -> None:
    """Assert that two flat records of one type hold the same values, NaN being equal to NaN."""
    assert type(found) is type(expected)
    assert asdict(found) == pytest.approx(asdict(expected), nan_ok=True)


# --- a small example, every number ------------------------------------------------------------------------------------


def test_labels_are_counted_cell_by_cell() -> None:
    """Each label has its support, predicted, TP, FP, FN, precision, recall, F1 and unanswered cells, in order."""
    expected = (
        LabelScore("a", support=1, predicted=2, tp=1, fp=1, fn=0, precision=1 / 2, recall=1, f1=2 / 3, unanswered=1),
        LabelScore(
            "b", support=2, predicted=2, tp=1, fp=1, fn=1, precision=1 / 2, recall=1 / 2, f1=1 / 2, unanswered=1
        ),
        LabelScore("c", support=2, predicted=0, tp=0, fp=0, fn=2, precision=math.nan, recall=0, f1=0, unanswered=2),
    )
    for found, label in zip(SCORES.labels, expected, strict=True):
        assert_equal(found, label)


HEADLINE = Averages(
    macro_precision=1 / 3,
    macro_recall=1 / 2,
    macro_f1=7 / 18,
    macro_labels=3,
    micro_precision=2 / 4,
    micro_recall=2 / 5,
    micro_f1=4 / 9,
    weighted_precision=1.5 / 5,
    weighted_recall=2 / 5,
    weighted_f1=(2 / 3 + 2 / 2) / 5,
    samples_precision=1 / 4,
    samples_recall=1 / 4,
    samples_f1=1 / 4,
    subset_accuracy=1 / 4,
    hamming_loss=3 / 4,
    jaccard=1 / 4,
    cardinality_gold=5 / 4,
    cardinality_predicted=4 / 4,
)


def test_failed_samples_stay_in_the_averages() -> None:
    """Unanswered cells are missed gold, and a sample with one is wrong as a whole."""
    assert_equal(SCORES.averages, HEADLINE)
    assert SCORES.headline == {
        "macro_f1": SCORES.averages.macro_f1,
        "micro_f1": SCORES.averages.micro_f1,
        "subset_accuracy": 1 / 4,
        "coverage": 1 / 2,
    }


def test_answered_samples_have_their_own_averages() -> None:
    """Beside the headline stand the same averages over the fully answered samples."""
    expected = Averages(
        macro_precision=1 / 2,
        macro_recall=1 / 2,
        macro_f1=4 / 9,
        macro_labels=3,
        micro_precision=2 / 3,
        micro_recall=2 / 4,
        micro_f1=4 / 7,
        weighted_precision=2.5 / 4,
        weighted_recall=2 / 4,
        weighted_f1=(2 / 3 + 2 * 2 / 3) / 4,
        samples_precision=1 / 2,
        samples_recall=1 / 2,
        samples_f1=1 / 2,
        subset_accuracy=1 / 2,
        hamming_loss=1 / 2,
        jaccard=1 / 2,
        cardinality_gold=2.0,
        cardinality_predicted=1.5,
    )
    assert_equal(SCORES.answered, expected)


def test_worst_case_takes_unanswered_cells_as_the_complement_of_gold() -> None:
    """An unanswered gold cell is missed and any other one is a false positive; the sample is wrong anyway."""
    expected = replace(
        HEADLINE,
        macro_precision=(1 / 3 + 1 / 3 + 0) / 3,
        macro_recall=1 / 2,
        macro_f1=(2 / 4 + 2 / 5 + 0) / 3,
        micro_precision=2 / 7,
        micro_recall=2 / 5,
        micro_f1=4 / 12,
        weighted_precision=(1 / 3 + 2 / 3) / 5,
        weighted_recall=2 / 5,
        weighted_f1=(2 / 4 + 2 * 2 / 5) / 5,
    )
    assert_equal(SCORES.worst_case, expected)


def test_everything_else_is_counted_beside_the_scores() -> None:
    """Samples, coverage, failures by kind, off-list answers and repairs are counted."""
    assert (SCORES.n_samples, SCORES.n_repeats, SCORES.n_answered, SCORES.coverage) == (4, 1, 2, 0.5)
    assert SCORES.failures == {
        FailureKind.CALL_ERROR: 0,
        FailureKind.REFUSAL: 1,
        FailureKind.TRUNCATED: 0,
        FailureKind.UNPARSEABLE: 1,
    }
    assert list(SCORES.off_list.items()) == [("build quality", 2), ("other", 1)]
    assert (SCORES.off_list_samples, SCORES.repaired) == (2, 1)
    assert (SCORES.fields, SCORES.repeats) == ((), ())


def test_there_is_no_worst_case_at_full_coverage() -> None:
    """With every cell answered nothing is left to assume."""
    assert score(ABC, GOLD[:1], ANSWERS[:1]).worst_case is None


# --- what is scored ---------------------------------------------------------------------------------------------------


def test_unlabelled_samples_are_never_scored() -> None:
    """A sample without gold labels, and all that was predicted of it, leaves no trace in the scores."""
    space = replace(ABC, fields=(Field("mood", "choice"),))
    stray = failed("5", off_list=("x",), asked_fields=("mood",), repaired=True)
    gold = [*GOLD, sample("6", "a", mood="mad")]
    with_stray = score(space, [*gold, sample("5", None, mood="happy")], [*ANSWERS, stray])
    assert with_stray.to_json() == score(ABC, gold, ANSWERS).to_json()


def test_empty_gold_is_scored() -> None:
    """`[]` means none of the labels: answered with the empty set it is right."""
    assert score(ABC, [sample("1", "")], [said("1", "")]).averages.samples_f1 == 1.0


def test_a_sample_without_a_prediction_is_a_call_error() -> None:
    """A missing prediction stays in the denominator as an unanswered one."""
    missing = score(ABC, GOLD[:3], ANSWERS[:2])
    assert missing.to_json() == score(ABC, GOLD[:3], [*ANSWERS[:2], failed("3", FailureKind.CALL_ERROR)]).to_json()
    assert (missing.n_samples, missing.failures[FailureKind.CALL_ERROR]) == (3, 1)


def test_a_later_pass_that_failed_is_no_failure_of_the_sample() -> None:
    """A failure is counted only where a cell is unanswered."""
    scores = score(ABC, GOLD[:1], [said("1", "ab", failure=FailureKind.REFUSAL)])
    assert (scores.failures[FailureKind.REFUSAL], scores.coverage) == (0, 1.0)


def test_without_predictions_everything_is_a_call_error() -> None:
    """A run in which nothing came back has coverage 0 and scores 0, not no scores."""
    scores = score(ABC, GOLD, [])
    assert (scores.n_repeats, scores.coverage, scores.averages.macro_f1) == (1, 0.0, 0.0)
    assert scores.failures[FailureKind.CALL_ERROR] == 4
    assert math.isnan(scores.answered.macro_f1)
    assert scores.answered.macro_labels == 0


def test_without_samples_scores_are_nan() -> None:
    """No samples is no crash: shares are NaN and there is no worst case."""
    scores = score(ABC, [], [])
    assert (scores.n_samples, scores.n_answered, scores.worst_case) == (0, 0, None)
    assert math.isnan(scores.coverage)
    assert math.isnan(scores.averages.subset_accuracy)


UNUSABLE = {
    "unknown sample": (GOLD, [said("9", "a")], "unknown sample '9'"),
    "two of one sample and repeat": (GOLD, [said("1", "a"), said("1", "b")], "two predictions in repeat 0"),
    "the same one twice": (GOLD, [ANSWERS[0], ANSWERS[0]], "two predictions in repeat 0"),
    "two samples of one id": ([GOLD[0], GOLD[0]], [], "ids must be unique"),
    "unknown gold label": ([sample("1", "x")], [], "'x' is not a label"),
    "unknown predicted label": (GOLD, [said("1", "x")], "'x' is not a label"),
    "unknown unanswered label": (GOLD, [Prediction("1", ALL, frozenset("x"))], "'x' is not a label"),
    "unknown field": (GOLD, [said("1", "a", asked_fields=("mood",))], "'mood' is not a field"),
    "unanswered without a failure": (GOLD, [Prediction("1", ALL, frozenset("a"))], "no failure"),
}


@pytest.mark.parametrize(("samples", "predictions", "message"), UNUSABLE.values(), ids=UNUSABLE.keys())
def test_what_does_not_fit_together_is_an_error(
    samples: list[Sample], predictions: list[Prediction], message: str
) -> None:
    """Predictions that cannot be aligned by id and by name are never guessed at."""
    with pytest.raises(ValueError, match=message):
        score(ABC, samples, predictions)


def test_aligned_rows_say_what_is_right_and_what_is_answered() -> None:
    """Row i of an `Aligned` is about sample i: an unanswered cell is absent and not right."""
    (rows,) = align(ABC, GOLD, list(reversed(ANSWERS)))
    assert rows.samples == tuple(GOLD)
    assert rows.predictions == tuple(ANSWERS)
    assert rows.complete.tolist() == [True, True, False, False]
    assert rows.exact.tolist() == [True, False, False, False]
    assert rows.right[3].tolist() == [True, False, False]
    assert rows.y_pred[3].tolist() == [False, True, False]


def test_an_answer_to_an_unanswered_cell_does_not_count() -> None:
    """A label that is both present and unanswered is unanswered."""
    (rows,) = align(ABC, GOLD[:1], [Prediction("1", ALL, frozenset("a"), FailureKind.REFUSAL)])
    assert rows.y_pred.tolist() == [[False, True, True]]


# --- repeats ----------------------------------------------------------------------------------------------------------


def test_repeats_are_averaged_and_events_are_summed() -> None:
    """Every number is the mean over repeats; failures, off-list answers and repairs are sums."""
    gold = [sample("1", "a"), sample("2", "b")]
    first = [said("1", "a", off_list=("x",)), said("2", "b", off_list=("y",), repaired=True)]
    second = [failed("1", repeat=1), said("2", "a", repeat=1, off_list=("y", "y"), repaired=True)]
    scores = score(ABC, gold, [*first, *second])
    assert (scores.n_samples, scores.n_repeats, scores.n_answered, scores.coverage) == (2, 2, 1.5, 0.75)
    assert scores.averages.subset_accuracy == 0.5
    assert scores.averages.macro_f1 == 0.5
    assert scores.averages.macro_labels == 2
    assert scores.answered.subset_accuracy == 0.5
    assert scores.failures[FailureKind.UNPARSEABLE] == 1
    assert list(scores.off_list.items()) == [("y", 3), ("x", 1)]
    assert (scores.off_list_samples, scores.repaired) == (3, 2)
    assert_equal(
        scores.labels[0],
        LabelScore(
            "a", support=1, predicted=1, tp=0.5, fp=0.5, fn=0.5, precision=0.5, recall=0.5, f1=0.5, unanswered=0.5
        ),
    )
    assert [each.averages.subset_accuracy for each in scores.repeats] == [1.0, 0.0]


def test_worst_case_of_repeats_takes_complete_ones_as_they_are() -> None:
    """A repeat at full coverage enters the mean worst case with its own averages."""
    gold = [sample("1", "a"), sample("2", "b")]
    complete = [said("1", "a"), said("2", "b")]
    scores = score(ABC, gold, [*complete, said("1", "a", repeat=1), failed("2", repeat=1)])
    assert scores.worst_case is not None
    assert scores.worst_case.micro_f1 == pytest.approx((1 + 2 / 5) / 2)
    assert score(ABC, gold, [*complete, said("1", "a", repeat=1), said("2", "", repeat=1)]).worst_case is None


def test_a_sample_that_a_repeat_lacks_has_failed_there() -> None:
    """A repeat exists as soon as one sample has it, and all samples are scored in it."""
    scores = score(ABC, GOLD[:2], [said("1", "ab"), said("2", "bc"), said("1", "ab", repeat=1)])
    assert (scores.averages.subset_accuracy, scores.failures[FailureKind.CALL_ERROR]) == (0.75, 1)


def test_the_mean_leaves_out_what_is_undefined() -> None:
    """The mean over repeats is over the repeats where the number is defined; equal counts stay whole numbers."""
    assert mean_defined([math.nan, 1.0, 2.0]) == 1.5
    assert math.isnan(mean_defined([math.nan, math.nan]))
    assert math.isnan(mean_defined([]))
    assert isinstance(mean_defined([3, 3]), int)
    assert mean_defined([0.1] * 3) == 0.1


# --- fields -----------------------------------------------------------------------------------------------------------

FIELDS = (Field("mood", "choice", ("happy", "mad")), Field("item", "text"), Field("sku", "text", match="exact"))
WITH_FIELDS = LabelSpace(ABC.labels, (*FIELDS, Field("urgent", "bool")))
ASKED = ("item", "mood", "sku")


def answered_fields(name: str, answers: Mapping[str, FieldValue], **more: Any) -> Prediction:
    """Return a prediction that was asked for mood, item and sku."""
    return said(name, "", fields=answers, asked_fields=ASKED, **more)


def test_fields_are_scored_where_they_were_asked_for() -> None:
    """A field counts for samples with gold that were asked for it; unanswered is wrong; never asked for is absent."""
    gold = [
        sample("1", "", mood="happy", item="the Red shoe", sku="A-1", urgent=True),
        sample("2", "", mood="mad", item="lamp", sku="B-2"),
        sample("3", "", mood="mad", item=None),
        sample("4", "", mood="mad"),
    ]
    answers = [
        answered_fields("1", {"mood": "happy", "item": "Red shoe!", "sku": "a-1"}),
        answered_fields("2", {"mood": "happy", "item": "lamp"}),
        answered_fields("3", {"item": None}),
        said("4", ""),
    ]
    assert len(score(WITH_FIELDS, gold, answers).fields) == 3
    mood, item, sku = score(WITH_FIELDS, gold, answers).fields
    nan = math.nan
    assert_equal(mood, FieldScore("mood", "choice", 3, 2, 1 / 3, nan, nan, nan, macro_f1=1 / 3, most_frequent=2 / 3))
    assert_equal(item, FieldScore("item", "text", 3, 3, 1, exact=2 / 3, normalized=1, token_f1=1, most_frequent=1 / 3))
    assert_equal(
        sku, FieldScore("sku", "text", 2, 1, 0, exact=0, normalized=1 / 2, token_f1=1 / 2, most_frequent=1 / 2)
    )


def test_a_bool_field_has_an_accuracy() -> None:
    """False is an answer like True, and neither of them is nothing."""
    gold = [sample("1", "", urgent=False), sample("2", "", urgent=False), sample("3", "", urgent=None)]
    values = (("1", False), ("2", None), ("3", False))
    answers = [said(name, "", fields={"urgent": value}, asked_fields=("urgent",)) for name, value in values]
    (urgent,) = score(WITH_FIELDS, gold, answers).fields
    assert (urgent.type, urgent.support, urgent.answered, urgent.accuracy) == ("bool", 3, 3, 1 / 3)


def test_a_missing_prediction_has_failed_at_its_fields_too() -> None:
    """A sample without a prediction counts as asked for what any other was asked for."""
    gold = [sample("1", "", mood="mad"), sample("2", "", mood="mad")]
    mood = score(WITH_FIELDS, gold, [answered_fields("1", {"mood": "mad"})]).fields[0]
    assert (mood.support, mood.answered, mood.accuracy) == (2, 1, 0.5)


def test_a_field_that_no_asked_sample_has_gold_for_is_undefined() -> None:
    """Asked for without gold, a field is listed with support 0 and NaN."""
    item = score(WITH_FIELDS, [sample("1", "")], [answered_fields("1", {"item": "x"})]).fields[1]
    assert_equal(item, FieldScore("item", "text", 0, 0, accuracy=math.nan, exact=math.nan, normalized=math.nan))


def test_fields_are_averaged_over_repeats() -> None:
    """A field's numbers are means over the repeats in which they are defined."""
    answers = [answered_fields("1", {"mood": "mad"}), said("1", "", repeat=1), answered_fields("1", {}, repeat=2)]
    mood = score(WITH_FIELDS, [sample("1", "", mood="mad")], answers).fields[0]
    assert (mood.support * 3, mood.answered * 3, mood.accuracy) == (2, 1, 0.5)


def test_scores_of_before_these_were_counted_are_read() -> None:
    """A run whose scores know nothing of token F1, macro F1 and the most frequent value has NaN there."""
    gold = [sample("1", "", mood="mad", item=("lamp", "light"))]
    data = score(WITH_FIELDS, gold, [answered_fields("1", {"mood": "mad", "item": "light"})]).to_json()
    for row in data["fields"]:
        del row["token_f1"], row["macro_f1"], row["most_frequent"]
    mood, item, _ = Scores.from_json(data).fields
    assert (mood.accuracy, item.accuracy) == (1, 1)
    assert all(math.isnan(each) for row in (mood, item) for each in (row.token_f1, row.macro_f1, row.most_frequent))


# --- JSON -------------------------------------------------------------------------------------------------------------


def test_scores_survive_json() -> None:
    """What `to_json` writes is JSON without NaN, and `from_json` reads back the same scores."""
    gold = [*GOLD, sample("5", "", mood="mad")]
    for predictions in (ANSWERS, [], [*ANSWERS, answered_fields("5", {}), said("1", "a", repeat=1)]):
        scores = score(WITH_FIELDS, gold, predictions)
        text = json.dumps(scores.to_json(), allow_nan=False)
        again = Scores.from_json(json.loads(text))
        assert repr(again) == repr(scores)  # NaN is not equal to itself; its repr is
        assert json.dumps(again.to_json(), allow_nan=False) == text


def test_undefined_is_null_in_json() -> None:
    """0/0 is null, and so is a worst case that does not exist; a kind of failure is its name."""
    data = score(ABC, [sample("1", "")], [said("1", "")]).to_json()
    assert data["averages"]["macro_f1"] is None
    assert data["labels"][0]["precision"] is None
    assert data["worst_case"] is None
    assert data["failures"] == {"call_error": 0, "refusal": 0, "truncated": 0, "unparseable": 0}


# --- properties -------------------------------------------------------------------------------------------------------


def by_name(scores: Scores) -> dict[str, Any]:
    """Return the scores with labels by name, the numbers rounded to 12 digits: sums of floats depend on their order."""

    def rounded(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: rounded(each) for key, each in value.items()}
        if isinstance(value, list):
            return [rounded(each) for each in value]
        return round(value, 12) if isinstance(value, float) else value

    data: dict[str, Any] = rounded(scores.to_json())
    for each in (data, *data["repeats"]):
        each["labels"] = {row["label"]: row for row in each["labels"]}
    return data


@unhurried
@given(cases(), st.randoms(use_true_random=False))
def test_order_changes_nothing(case: Case, random: Any) -> None:
    """Samples, predictions and labels in another order give the same scores by name: alignment is by id and name."""
    labels, samples, predictions = list(case.space.labels), list(case.samples), list(case.predictions)
    for each in (labels, samples, predictions):
        random.shuffle(each)
    shuffled = score(LabelSpace(tuple(labels)), samples, predictions)
    assert [row.label for row in shuffled.labels] == [label.name for label in labels]
    assert by_name(shuffled) == by_name(score(*case))


@unhurried
@given(cases())
def test_a_perfect_run_has_one(case: Case) -> None:
    """Gold answered with gold has 1 in every headline score that is defined."""
    perfect = score(case.space, case.samples, [said(each.id, "".join(each.labels or ())) for each in case.samples])
    f1 = 1.0 if any(each.labels for each in case.samples) else math.nan
    expected = {"macro_f1": f1, "micro_f1": f1, "subset_accuracy": 1.0, "coverage": 1.0}
    assert perfect.headline == pytest.approx(expected, nan_ok=True)


@unhurried
@given(cases())
def test_worst_case_is_never_above_the_headline(case: Case) -> None:
    """Taking failures as the complement of gold improves no F1; and it exists just when coverage is below 1."""
    scores = score(*case)
    assert (scores.worst_case is None) == (scores.coverage == 1)
    assume(scores.worst_case is not None)
    for name in ("macro_f1", "micro_f1", "weighted_f1", "samples_f1", "subset_accuracy"):
        assert not getattr(scores.worst_case, name) > getattr(scores.averages, name) + 1e-12


@unhurried
@given(cases(), st.frozensets(st.sampled_from("abcd")), st.sampled_from(FailureKind))
def test_appending_a_failed_sample_improves_no_headline_score(
    case: Case, gold: frozenset[str], kind: FailureKind
) -> None:
    """Law (a): macro F1, micro F1, subset accuracy and coverage never rise by a sample that failed."""
    names = frozenset(case.space.names)
    repeats = {each.repeat for each in case.predictions} or {0}
    more = [Prediction("new", frozenset(), names, kind, repeat=repeat) for repeat in repeats]
    before = score(*case).headline
    after = score(case.space, [*case.samples, Sample("new", {}, gold & names)], [*case.predictions, *more]).headline
    for name, value in before.items():
        assert not after[name] > value + 1e-12


@unhurried
@given(cases(), st.data())
def test_turning_an_answer_into_a_failure_improves_nothing_it_must_not(case: Case, data: st.DataObject) -> None:
    """Law (b): no recall, subset accuracy, samples F1, Jaccard or Hamming loss gets better when cells go unanswered."""
    assume(case.predictions)
    row = data.draw(st.integers(0, len(case.predictions) - 1))
    lost = data.draw(st.frozensets(st.sampled_from(case.space.names), min_size=1))
    answer = case.predictions[row]
    worse = replace(answer, unanswered=answer.unanswered | lost, failure=FailureKind.REFUSAL)
    before = score(*case)
    after = score(case.space, case.samples, [*case.predictions[:row], worse, *case.predictions[row + 1 :]])
    for name in ("macro_recall", "micro_recall", "weighted_recall", "samples_recall", "samples_precision"):
        assert not getattr(after.averages, name) > getattr(before.averages, name) + 1e-12
    for name in ("subset_accuracy", "samples_f1", "jaccard"):
        assert not getattr(after.averages, name) > getattr(before.averages, name) + 1e-12
    assert not after.averages.hamming_loss < before.averages.hamming_loss - 1e-12
    for old, new in zip(before.labels, after.labels, strict=True):
        assert not new.recall > old.recall + 1e-12


@unhurried
@given(cases())
def test_what_is_aligned_scores_the_same(case: Case) -> None:
    """Who has samples and predictions side by side already needs not have them aligned again."""
    aligned = align(case.space, case.samples, case.predictions)
    told = score_aligned(case.space, aligned).to_json()
    assert told == score(case.space, case.samples, case.predictions).to_json()


def test_samples_on_disk_are_read_once() -> None:
    """Samples that are not in memory are gone through once, and scored like those that are."""
    rows = [sample("s1", "a", mood="mad"), sample("s2", None), sample("s3", "")]
    gone_through = 0

    class OnDisk(Sequence[Sample]):
        def __len__(self) -> int:
            return len(rows)

        def __getitem__(self, at: Any) -> Any:
            raise AssertionError(at)

        def __iter__(self) -> Iterator[Sample]:
            nonlocal gone_through
            gone_through += 1
            return iter(rows)

    answers = [said("s1", "a", asked_fields=()), said("s3", "b")]
    assert score(ABC, OnDisk(), answers).to_json() == score(ABC, rows, answers).to_json()
    assert gone_through == 1
