"""Near texts: which shots are nearest to a sample, and which samples nearly are a shot."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics.pairwise import cosine_similarity
from strategies_labels import unhurried

from harness.labelspace import Label
from harness.neighbours import Pair, input_text, label_text, near_duplicates, nearest, nearest_vectors, ranked
from harness.records import Sample

POOL = (
    "The parcel came two weeks late.",
    "It broke on the first day.",
    "Far too dear for a lamp.",
    "Das Paket kam zwei Wochen zu spät.",
    "荷物が二週間も遅れて届きました。",
)


def samples(prefix: str, texts: Sequence[str]) -> list[Sample]:
    """Return a sample for each text."""
    return [Sample(f"{prefix}{number}", {"text": text}) for number, text in enumerate(texts)]


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("My parcels came late again", 0),
        ("BROKEN on day one", 1),
        ("too dear!", 2),
        ("Die Pakete kamen spät", 3),
        ("荷物が遅れて", 4),
    ],
)
def test_the_nearest_text_comes_last(text: str, position: int) -> None:
    """Endings, case and languages do not hide what two texts share; the nearest stands next to the question."""
    (chosen,) = nearest(POOL, [text], 3)
    assert len(chosen) == 3
    assert chosen[-1] == position


def test_what_shares_nothing_takes_the_first_of_the_pool() -> None:
    """Equally near texts come in the order of the pool, the first of them last; an empty text is near to none."""
    assert nearest(POOL, ["", "qqq"], 2) == [[1, 0], [1, 0]]
    assert nearest(["a b", "same text", "same text"], ["same text"], 2) == [[2, 1]]
    assert nearest(POOL, [], 2) == []
    assert nearest(POOL[:1], ["x"], 4) == [[0]]


def test_a_choice_depends_on_the_pool_alone() -> None:
    """Which other samples are asked changes nothing, in one chunk or in several."""
    texts = [f"{word} {number}" for number in range(1500) for word in ("parcel", "lamp")]
    assert nearest(POOL, texts, 3) == [nearest(POOL, [text], 3)[0] for text in texts[:4]] + nearest(POOL, texts[4:], 3)


def test_nearness_is_the_cosine_of_tfidf_vectors() -> None:
    """The order is that of scikit-learn's own TF-IDF over the n-grams of the pool."""
    reference = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True)
    of_pool = reference.fit_transform(POOL)
    texts = ["the parcel broke", "a lamp too late", "zwei Wochen"]
    cosines = cosine_similarity(reference.transform(texts), of_pool)
    expected = [list(np.argsort(-row, kind="stable")[::-1]) for row in cosines]
    assert nearest(POOL, texts, len(POOL)) == expected


def test_vectors_are_compared_by_their_cosine() -> None:
    """Length does not matter, direction does; a zero vector is near to none."""
    pool = [[1.0, 0.0], [0.0, 2.0], [5.0, 5.0]]
    assert nearest_vectors(pool, [[0.1, 0.0], [1.0, 9.0], [0.0, 0.0]], 2) == [[2, 0], [2, 1], [1, 0]]


@unhurried
@given(st.lists(st.lists(st.integers(-3, 3), min_size=3, max_size=3), min_size=1, max_size=6))
def test_vectors_agree_with_scikit_learn(rows: list[list[float]]) -> None:
    """The nearest vector is one that scikit-learn's cosine finds as near."""
    (chosen,) = nearest_vectors(rows, [[1.0, 2.0, -1.0]], 1)
    cosines = cosine_similarity([[1.0, 2.0, -1.0]], rows)[0]
    assert cosines[chosen[0]] == pytest.approx(max(cosines), abs=1e-8)


def test_the_text_of_a_sample() -> None:
    """A sample is compared by its text, without one by all its columns."""
    assert input_text(Sample("a", {"text": "x", "title": "y"})) == "x"
    assert input_text(Sample("a", {"title": "y", "body": 3})) == "3\ny"


def test_the_text_of_a_label() -> None:
    """A label is compared by its names and its description; words of a name stand apart, whatever joins them."""
    label = Label("late_delivery", "It came-late.", aliases=("courier/post", "Late-Parcel"))
    assert label_text(label) == "late delivery\ncourier post\nLate Parcel\nIt came-late."
    pool = [label_text(Label(name)) for name in ("colour_wrong", "delivery_late", "parcel_lost")]
    assert nearest(pool, ["the delivery was too late"], 1) == [[1]]


def test_a_ranking_is_what_the_nearest_are_the_head_of() -> None:
    """All texts of the pool, the nearest first; nothing without texts."""
    texts = ["the parcel broke", "a lamp too late", ""]
    for row, chosen in zip(ranked(POOL, texts), nearest(POOL, texts, 2), strict=True):
        assert sorted(row) == list(range(len(POOL)))
        assert row[:2] == chosen[::-1]
    assert list(ranked(POOL, [])) == []


def test_near_duplicates_are_found() -> None:
    """Other punctuation is the same text; a changed word is near; a text of its own is not told."""
    near = near_duplicates(
        samples("w", POOL),
        samples(
            "s",
            [
                "the PARCEL came -- two weeks late!!",
                "The parcel came three weeks late.",
                "It broke on the very first day.",
                "The lamp is far too expensive.",
                "荷物が二週間も遅れて 届きました",
                "",
            ],
        ),
    )
    assert near[0] == Pair("w0", "s0", 1.0)
    assert [(pair.shot, pair.sample) for pair in near[1:]] == [("w1", "s2"), ("w0", "s1"), ("w4", "s4")]
    assert all(0.6 <= pair.cosine < 1 for pair in near[1:])
    assert [pair.cosine for pair in near] == sorted((pair.cosine for pair in near), reverse=True)


def test_nothing_near_is_nothing() -> None:
    """Without shots, without samples, or without anything near there are no pairs; empty texts are near to none."""
    assert near_duplicates([], samples("s", POOL)) == []
    assert near_duplicates(samples("w", POOL), []) == []
    assert near_duplicates(samples("w", ["", "!"]), samples("s", ["", "?"])) == []


@unhurried
@given(st.sampled_from(POOL), st.integers(0, 30), st.sampled_from("!?. \n-"))
def test_a_sign_more_is_always_told(text: str, place: int, sign: str) -> None:
    """Wherever between the words a sign is put in, the text is told as nearly the same."""
    words = text.split(" ")
    place %= len(words)
    changed = " ".join([*words[:place], words[place] + sign, *words[place + 1 :]])
    assert [pair.cosine for pair in near_duplicates(samples("w", [text]), samples("s", [changed]))] == [1.0]


def test_many_samples_take_seconds() -> None:
    """A hundred shots against many samples: words lead to the few pairs that are compared at all."""
    shots = samples("w", [f"shot number {number} says that the parcel {number * 7} was late" for number in range(100)])
    others = samples(
        "s", [f"sample {number} tells that lamp {number * 3} broke in the hall" for number in range(12_000)]
    )
    started = time.process_time()
    assert near_duplicates(shots, others) == []
    assert time.process_time() - started < 30
