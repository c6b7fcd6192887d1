"""What a pass is worth: cells corrected and broken, whom its trigger sent, and whether the net gain is more than chance."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.labelspace import Label, LabelSpace
from harness.passeffects import Around, Effect, Gain, effect_of, gain_of, is_shown, worth
from harness.records import FailureKind, Prediction, Sample
from harness.scoring import Aligned, align
from harness.significance import Difference
from harness.significance import Settings as Deciding

SPACE = LabelSpace((Label("a"), Label("b"), Label("c")))
FEW = Deciding(resamples=200, permutations=500)

Cells = Mapping[str, str]
"""By sample its labels; ``?`` before a name leaves its cell unanswered."""


def aligned(gold: Cells, said: Cells, repeat: int = 0) -> Aligned:
    """Return answers beside their gold."""
    samples = [Sample(name, {}, frozenset(labels)) for name, labels in gold.items()]
    predictions = [
        Prediction(
            name,
            frozenset(labels.partition("?")[0]),
            frozenset(labels.partition("?")[2]),
            FailureKind.UNPARSEABLE if "?" in labels else None,
            repeat=repeat,
        )
        for name, labels in said.items()
    ]
    return align(SPACE, samples, predictions)[0]


def around(
    gold: Cells, before: Cells, after: Cells, sent: Sequence[str], parts: Mapping[str, Sequence[bool]] | None = None
) -> Around:
    """Return a pass in one repeat."""
    n = len(next(iter((parts or {"": ()}).values())))
    holds = np.array([(parts or {}).get(name, [False] * n) for name in gold], dtype=np.bool_).reshape(len(gold), n)
    return Around(aligned(gold, before), aligned(gold, after), np.array([name in sent for name in gold]), holds)


GOLD = {"s1": "a", "s2": "ab", "s3": "", "s4": "c"}
BEFORE = {"s1": "b", "s2": "ab", "s3": "", "s4": "?abc"}
AFTER = {"s1": "a", "s2": "a", "s3": "", "s4": "ca"}


def effect(after: Cells = AFTER) -> Effect:
    """Return the effect of a pass over all labels that was asked about s1, s2 and s4."""
    return effect_of(SPACE, SPACE.names, (), [around(GOLD, BEFORE, after, ("s1", "s2", "s4"))])


def test_cells_that_changed() -> None:
    """A wrong or unanswered cell that is right after is corrected; a right one that is wrong after is broken."""
    found = effect()
    # s1: a corrected, b corrected. s2: b broken. s4: a filled wrongly, b and c filled rightly.
    assert (found.changed, found.corrected, found.broken, found.net, found.filled) == (6, 4, 1, 3, 3)
    assert (found.made_right, found.made_wrong) == (1, 1)


def test_labels_that_changed() -> None:
    """Only labels with a changed cell are told, with F1 before and after over all samples."""
    found = {row.label: row for row in effect(after=BEFORE | {"s1": "a"}).labels}
    assert list(found) == ["a", "b"]
    assert (found["a"].changed, found["a"].corrected, found["a"].broken, found["a"].net) == (1, 1, 0, 1)
    assert [found["a"].f1_before, found["a"].f1_after] == pytest.approx([2 / 3, 1.0])


def test_nothing_changed() -> None:
    """A pass that changes nothing has no labels to tell of."""
    found = effect(after=BEFORE)
    assert (found.changed, found.corrected, found.broken, found.net, found.labels) == (0, 0, 0, 0, ())


def test_trigger_precision_and_recall() -> None:
    """Precision is over the samples that were sent, recall over those with a wrong cell in scope, before the pass."""
    trigger = effect().trigger
    assert (trigger.sent, trigger.wrong, trigger.caught) == (3, 2, 2)
    assert [trigger.precision, trigger.recall] == pytest.approx([2 / 3, 1.0])
    assert (trigger.base_rate, trigger.share) == (0.5, 0.75)


def test_only_the_scope_counts_for_the_trigger() -> None:
    """A sample whose wrong cells are outside of the pass's scope was sent in vain."""
    found = effect_of(SPACE, ("c",), (), [around(GOLD, BEFORE, BEFORE, ("s1", "s4"))]).trigger
    assert (found.wrong, found.caught, found.precision, found.recall) == (1, 1, 0.5, 1.0)


def test_a_trigger_that_sends_none_has_no_precision() -> None:
    """0/0 is not defined: nobody sent, nothing wrong."""
    found = effect_of(SPACE, SPACE.names, (), [around(GOLD, GOLD, GOLD, ())]).trigger
    assert math.isnan(found.precision)
    assert math.isnan(found.recall)
    assert found.base_rate == 0.0


def test_alternatives_of_a_trigger() -> None:
    """Each alternative is told with what it sends, what it alone sends, and its own precision."""
    parts = {"s1": (True, False), "s2": (True, True), "s4": (False, True)}
    found = effect_of(SPACE, SPACE.names, ("x", "y"), [around(GOLD, BEFORE, AFTER, tuple(parts), parts)])
    first, second = found.trigger.parts
    assert (first.source, first.sent, first.alone, first.precision) == ("x", 2, 1, 0.5)
    assert (second.source, second.sent, second.alone, second.precision) == ("y", 2, 1, 0.5)


def test_repeats_are_means() -> None:
    """Counts of several repeats are means; a share is one of means."""
    changed, same = around(GOLD, BEFORE, AFTER, ("s1", "s2", "s4")), around(GOLD, BEFORE, BEFORE, ("s1",))
    found = effect_of(SPACE, SPACE.names, (), [changed, same])
    assert (found.n_repeats, found.corrected, found.broken, found.net) == (2, 2, 0.5, 1.5)
    assert (found.trigger.sent, found.trigger.precision) == (2, 0.75)


# --- properties -------------------------------------------------------------------------------------------------------

said = st.builds(
    lambda labels, unknown: f"{''.join(sorted(labels - unknown))}{'?' if unknown else ''}{''.join(sorted(unknown))}",
    st.frozensets(st.sampled_from("abc")),
    st.frozensets(st.sampled_from("abc")),
)
rows = st.lists(st.tuples(st.frozensets(st.sampled_from("abc")), said, said), min_size=1, max_size=8)


def tables(given_rows: Sequence[tuple[frozenset[str], str, str]]) -> tuple[Cells, Cells, Cells]:
    """Return gold, answers before and answers after by sample."""
    named = {f"s{at}": row for at, row in enumerate(given_rows)}
    gold = {name: "".join(sorted(row[0])) for name, row in named.items()}
    return gold, {name: row[1] for name, row in named.items()}, {name: row[2] for name, row in named.items()}


@given(rows)
def test_what_is_corrected_and_broken_is_what_the_right_cells_differ_by(
    given_rows: list[tuple[frozenset[str], str, str]],
) -> None:
    """Net is the change of the number of right cells, by label and in sum, and of the gain's."""
    gold, before, after = tables(given_rows)
    pair = around(gold, before, after, tuple(gold))
    found = effect_of(SPACE, SPACE.names, (), [pair])
    gap = int(pair.after.right.sum()) - int(pair.before.right.sum())
    assert found.net == found.corrected - found.broken == sum(row.net for row in found.labels) == gap
    assert found.changed >= found.corrected + found.broken
    assert gain_of([pair.before], [pair.after], FEW).net == gap


@given(rows)
def test_back_is_the_opposite(given_rows: list[tuple[frozenset[str], str, str]]) -> None:
    """Before and after exchanged, what was corrected is broken, and the net gain has the other sign and the same p."""
    gold, before, after = tables(given_rows)
    there, back = around(gold, before, after, ()), around(gold, after, before, ())
    one, other = (effect_of(SPACE, SPACE.names, (), [each]) for each in (there, back))
    assert (one.corrected, one.broken, one.made_right) == (other.broken, other.corrected, other.made_wrong)
    forth, again = gain_of([there.before], [there.after], FEW), gain_of([back.before], [back.after], FEW)
    assert forth.net == -again.net
    assert forth.p == again.p


@given(rows, st.randoms())
def test_the_order_of_samples_does_not_matter(
    given_rows: list[tuple[frozenset[str], str, str]], random: object
) -> None:
    """Counts and the exact test are the same whatever the order of the samples."""
    shuffled = list(given_rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    found = []
    for each in (given_rows, shuffled):
        gold, before, after = tables(each)
        pair = around(gold, before, after, tuple(gold))
        gain = gain_of([pair.before], [pair.after], FEW)
        found.append((effect_of(SPACE, SPACE.names, (), [pair]), gain.net, gain.p, gain.n_changed))
    assert str(found[0]) == str(found[1])


# --- the net gain -----------------------------------------------------------------------------------------------------


def gain(changes: Sequence[int], n: int = 100, deciding: Deciding = FEW) -> Gain:
    """Return the gain where so many samples won (above 0) or lost (below 0) that many cells, of ``n`` samples."""
    gold = {f"s{at}": "abc" for at in range(n)}
    before = {name: "abc"[: max(0, -change)] for name, change in zip(gold, [*changes, *[0] * n], strict=False)}
    after = {name: "abc"[: max(0, change)] for name, change in zip(gold, [*changes, *[0] * n], strict=False)}
    return gain_of([aligned(gold, before)], [aligned(gold, after)], deciding)


def test_the_gain_is_told_for_a_hundred_samples() -> None:
    """The value is cells for 100 samples, and lies in its interval."""
    found = gain([1] * 8 + [-1] * 2, n=50)
    assert (found.net, found.value, found.n_changed) == (6, 12.0, 10)
    assert found.low < found.value < found.high
    assert found.detectable == pytest.approx(2.8 * found.standard_error)


def test_the_test_is_exact_where_few_samples_differ() -> None:
    """Up to 13 samples that differ, every exchange of signs is counted."""
    changes = [3, 1, 1, -2, 1]
    total = abs(sum(changes))
    hits = sum(
        abs(sum(sign * change for sign, change in zip(signs, changes, strict=True))) >= total
        for signs in itertools.product((1, -1), repeat=len(changes))
    )
    assert gain(changes).p == hits / 2 ** len(changes)


def test_many_samples_are_exchanged_at_random() -> None:
    """Above that the p-value is that of random exchanges, never 0, and the same for the same seed."""
    found = gain([1] * 30, deciding=FEW)
    assert found.p == 1 / 501
    assert found == gain([1] * 30, deciding=FEW)


def test_nothing_gained_is_no_evidence() -> None:
    """Where no sample differs, p is 1, the interval has no width, and what could be seen is not known."""
    found = gain([])
    assert (found.net, found.value, found.low, found.high, found.p, found.n_changed) == (0, 0, 0, 0, 1.0, 0)
    assert math.isnan(found.detectable)
    assert math.isnan(found.needed)


def test_no_samples_no_gain() -> None:
    """Without samples nothing is defined."""
    nothing = aligned({}, {})
    assert math.isnan(gain_of([nothing], [nothing]).value)


def test_repeats_of_a_sample_count_together() -> None:
    """A sample that wins in one repeat and loses in the other has not changed; the net is a mean over the repeats."""
    gold = {"s1": "a", "s2": "a"}
    right, wrong = aligned(gold, {"s1": "a", "s2": "a"}), aligned(gold, {"s1": "", "s2": "a"})
    assert gain_of([right, wrong], [wrong, right], FEW).n_changed == 0
    found = gain_of([wrong, right], [right, right], FEW)
    assert (found.net, found.value, found.n_changed) == (0.5, 25.0, 1)


def test_how_many_samples_a_small_gain_needs() -> None:
    """Errors shrink with the root of the number of samples; where these show the gain, none more are needed."""
    small, clear = gain([1] * 12 + [-1] * 8), gain([1] * 40)
    assert small.needed == math.ceil(100 * (small.detectable / small.value) ** 2)
    assert math.isnan(clear.needed)
    assert math.isnan(gain([-1] * 12).needed)


def test_few_changed_samples_need_more_of_them() -> None:
    """Of four samples that all won no exact test at 5 % is sure: six are needed, however clear the gain looks."""
    assert gain([1, 1, 1, 1]).needed >= 150


# --- the verdict ------------------------------------------------------------------------------------------------------


def judged(word: str) -> Difference:
    """Return a change of macro F1 with this verdict."""
    return Difference(0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 0.5, word)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "macro", "word"),
    [
        ([1] * 20, "better", "pays"),
        ([1] * 20, "inconclusive", "pays"),
        ([1] * 20, "worse", "not shown to pay"),
        ([1, 1, -1], "inconclusive", "not shown to pay"),
        ([1, 1, -1], "better", "pays"),
        ([1, 1, -1], "worse", "not shown to pay"),
        ([1, -1, -1], "better", "not shown to pay"),
        ([1, 1, 1], "inconclusive", "not shown to pay"),
        ([1, -1], "inconclusive", "does not pay"),
        ([-1] * 20, "worse", "does not pay"),
        ([1, -1, -1], "inconclusive", "does not pay"),
    ],
)
def test_whether_a_pass_pays(changes: list[int], macro: str, word: str) -> None:
    """It pays when a gain in cells or in macro F1 is shown and the other is not worse; no net gain never pays."""
    assert worth(effect(), gain(changes), judged(macro), FEW) == word


def test_a_pass_that_changed_nothing_does_not_pay() -> None:
    """Calls for no changed cell do not pay, and nothing is judged of them."""
    assert worth(effect(after=BEFORE), gain([]), None, FEW) == "does not pay"


def test_a_pass_that_was_never_asked_is_not_judged() -> None:
    """Where the trigger sent nobody there is nothing to say of the pass."""
    never = replace(effect(), trigger=replace(effect().trigger, sent=0))
    assert worth(never, gain([]), None, FEW) == "never asked"


@settings(max_examples=25)
@given(st.lists(st.integers(-3, 3), max_size=40))
def test_the_words_never_contradict_the_numbers(changes: list[int]) -> None:
    """Nothing pays without a net gain that is shown; a net gain that is shown is not said not to pay."""
    found = gain(changes)
    word = worth(effect(), found, None, FEW)
    assert word != "pays" or (found.net > 0 and found.low > 0 and found.p <= 0.05)
    assert not (found.net > 0 and is_shown(found, FEW)) or word == "pays"
    assert found.net > 0 or word == "does not pay"
