"""The clusters of errors worth reading: each tells something else, and together no error twice."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from trigger_cases import case_of

from harness.cases import Cases, gather
from harness.clusters import SHOWN, Cluster, clusters
from harness.labelspace import Label, LabelSpace
from harness.records import FailureKind, Prediction, Sample

SPACE = LabelSpace(tuple(Label(name) for name in "abc"))


def cases(rows: Iterable[tuple[str, str | None]], texts: dict[int, str] | None = None, **columns: list[Any]) -> Cases:
    """Return cases of gold and answer, both letters of labels; an answer that is None could not be read."""
    made = []
    for at, (gold, said) in enumerate(rows):
        inputs = {"text": (texts or {}).get(at, f"text {at}"), **{name: values[at] for name, values in columns.items()}}
        sample = Sample(f"s{at:02}", inputs, frozenset(gold))
        failed = said is None
        prediction = Prediction(
            sample.id,
            frozenset(said or ""),
            unanswered=frozenset(SPACE.names) if failed else frozenset(),
            failure=FailureKind.UNPARSEABLE if failed else None,
        )
        made.append(case_of(sample, prediction, SPACE))
    return gather(SPACE, made)


def found(given_cases: Cases, most: int = 10) -> tuple[Cluster, ...]:
    """Return the clusters of all samples."""
    return clusters(given_cases, np.ones(given_cases.n_samples, np.bool_), most)


def told(each: Cluster) -> tuple[Any, ...]:
    """Return what a cluster is of, and how much."""
    return each.what, each.missed, each.added, each.failure, each.n, each.n_errors


def test_each_kind() -> None:
    """A pair, a label missed alone, one added alone, and no answer: those with the most errors first."""
    given_cases = cases([("a", "b"), ("a", "b"), ("c", ""), ("c", ""), ("c", ""), ("", "a"), ("b", None), ("b", "b")])
    assert [told(each) for each in found(given_cases)] == [
        ("confused", "a", "b", None, 2, 4),
        ("missed", "c", None, None, 3, 3),
        ("added", None, "a", None, 1, 1),
        ("unanswered", None, None, "unparseable", 1, 1),
    ]


def test_no_error_is_told_twice() -> None:
    """A sample with two misses and one false positive is in one pair, and what is left of it in another one."""
    clustered = found(cases([("ab", "c"), ("a", "c")]))
    assert [told(each) for each in clustered] == [
        ("confused", "a", "c", None, 2, 4),
        ("confused", "b", "c", None, 1, 1),
    ]


def test_only_what_may_be_read() -> None:
    """Samples that are not given are neither counted nor shown."""
    given_cases = cases([("a", "b"), ("a", "b"), ("c", None)])
    (only,) = clusters(given_cases, np.array([True, False, False]))
    assert told(only) == ("confused", "a", "b", None, 1, 2)
    assert only.shown == (0,)
    assert clusters(given_cases, np.zeros(3, np.bool_)) == ()


def test_what_is_shown() -> None:
    """The samples with the fewest other errors come first, of these the shortest, and those not shown before."""
    texts = {0: "a long text", 1: "short", 2: "mid one", 3: "x"}
    given_cases = cases([("a", "b"), ("a", "b"), ("a", "b"), ("ac", "b"), ("a", "b")], texts)
    first, second = found(given_cases)
    assert first.shown == (1, 4, 2)
    assert (told(second)[:3], second.shown) == (("confused", "c", "b"), (3,))


def test_a_large_cluster_is_narrowed() -> None:
    """A large cluster is first that of the word that stands out in it, then what is left."""
    texts = {at: f"parcel {at} late" for at in range(8)} | {at: f"thing {at}" for at in range(8, 40)}
    given_cases = cases([("a", "") if at < 14 else ("a", "a") for at in range(40)], texts)
    first, second = found(given_cases)
    assert (first.word, first.n) in ((("late", "text"), 8), (("parcel", "text"), 8))
    assert (told(second), second.word) == (("missed", "a", None, None, 6, 6), None)


def test_a_large_cluster_of_a_column() -> None:
    """A column's value narrows as a word does."""
    given_cases = cases(
        [("a", "") if at < 14 else ("a", "a") for at in range(40)],
        language=["de" if at < 9 else "en" for at in range(40)],
    )
    assert (found(given_cases)[0].value, found(given_cases)[0].n) == (("language", "de"), 9)


def test_what_stands_nowhere_out() -> None:
    """Where everything is wrong in one way, or nothing is told apart by any word, the cluster stays whole."""
    assert [each.n for each in found(cases([("a", "")] * 30))] == [30]
    assert [each.n for each in found(cases([("a", "") if at < 14 else ("a", "a") for at in range(40)]))] == [14]


def test_repeats_are_averaged() -> None:
    """Counts are means over the repeats, and a sample is shown once."""
    samples = [Sample(f"s{at}", {"text": "x"}, frozenset("a")) for at in range(2)]
    predictions = [
        Prediction(each.id, frozenset("b" if repeat else "a"), repeat=repeat) for repeat in (0, 1) for each in samples
    ]
    by_id = {each.id: each for each in samples}
    (only,) = found(gather(SPACE, [case_of(by_id[each.sample], each, SPACE) for each in predictions]))
    assert told(only) == ("confused", "a", "b", None, 1, 2)
    assert len(only.shown) == 2


LETTERS = st.sets(st.sampled_from("abc")).map("".join)


@given(st.lists(st.tuples(LETTERS, st.none() | LETTERS), max_size=30))
def test_all_errors_are_told_once(rows: list[tuple[str, str | None]]) -> None:
    """With clusters enough their errors are all errors, the largest first, and each shows what is wrong so."""
    given_cases = cases(rows)
    clustered = found(given_cases, most=1000)
    assert sum(each.n_errors for each in clustered) == given_cases.errors.sum()
    sizes = [each.n_errors for each in clustered]
    assert sizes == sorted(sizes, reverse=True)
    for each in clustered:
        assert 0 < len(each.shown) <= SHOWN
        assert all(given_cases.wrong[row] for row in each.shown)
