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
from harness.neighbours import (
    EXAMPLES,
    Pair,
    direction,
    examples_of,
    input_text,
    label_text,
    label_texts,
    near_duplicates,
    nearest,
    nearest_labels,
    nearest_vectors,
    ranked_labels,
)
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
    """All of the pool, the nearest first; nothing without texts."""
    texts = ["the parcel broke", "a lamp too late", ""]
    pool = [(text,) for text in POOL]
    for row, chosen in zip(ranked_labels(pool, texts), nearest_labels(pool, texts, 2), strict=True):
        assert sorted(row) == list(range(len(POOL)))
        assert row[:2] == chosen[::-1]
    assert list(ranked_labels(pool, [])) == []
    assert nearest_labels(pool, [], 2) == []


# --- examples ---------------------------------------------------------------------------------------------------------


def example(identity: str, text: str, *labels: str) -> Sample:
    """Return a labelled sample."""
    return Sample(identity, {"text": text}, frozenset(labels))


def test_labels_are_compared_by_the_texts_of_their_examples_too() -> None:
    """A label's texts are its own and those of the samples that have it, each once, in their order; others have none."""
    examples = [example("a", "Lost.", "late"), example("b", "Dear.", "late", "price"), example("c", "Lost.", "late")]
    labels = [Label("late", "Came late"), Label("price"), Label("size")]
    assert label_texts(labels, examples) == [("late\nCame late", "Lost.", "Dear."), ("price\n", "Dear."), ("size\n",)]
    assert label_texts(labels, [Sample("u", {"text": "Unlabelled."})]) == [(label_text(label),) for label in labels]


def test_examples_find_a_label_whose_words_are_not_in_the_text() -> None:
    """What the name does not say, examples do; a label without any keeps its own words."""
    labels = [Label("price"), Label("late"), Label("broken")]
    examples = [example("a", "The courier never came.", "late"), example("b", "My courier got lost.", "late")]
    text = "Where is the courier?"
    assert nearest_labels(label_texts(labels, []), [text], 1) == [[0]]
    assert nearest_labels(label_texts(labels, examples), [text, "It is broken."], 1) == [[1], [2]]


@unhurried
@given(st.lists(st.sampled_from(POOL), min_size=1, max_size=5, unique=True), st.integers(1, 5))
def test_a_pool_of_single_texts_is_ranked_as_texts_are(pool: list[str], k: int) -> None:
    """Without examples nothing changes: one text stands for itself."""
    texts = ["the parcel broke", "zwei Wochen", ""]
    assert nearest_labels([(text,) for text in pool], texts, k) == nearest(pool, texts, k)


@unhurried
@given(st.permutations(range(4)), st.permutations(POOL))
def test_the_order_of_examples_decides_nothing(order: list[int], texts: list[str]) -> None:
    """Labels are ranked by what their examples say, in whatever order the file has them."""
    examples = [example(str(at), POOL[at], "x" if at % 2 else "y") for at in range(4)]
    labels = [Label("x"), Label("y"), Label("parcel")]
    shuffled = [examples[at] for at in order]
    expected = list(ranked_labels(label_texts(labels, examples), texts))
    assert list(ranked_labels(label_texts(labels, shuffled), texts)) == expected


def test_the_vector_of_a_label_is_the_direction_of_the_mean() -> None:
    """Its cosine is that of the mean of its texts' TF-IDF vectors, over the n-grams of all texts, each text once."""
    reference = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True)
    of_texts = reference.fit_transform(POOL).toarray()
    members = [[0, 1], [1], [2, 3, 4]]
    texts = ["the parcel broke", "too dear, zwei Wochen", "on the first day"]
    means = np.stack([of_texts[each].mean(axis=0) for each in members])
    cosines = cosine_similarity(reference.transform(texts).toarray(), means)
    pool = [tuple(POOL[at] for at in each) for each in members]
    assert list(ranked_labels(pool, texts)) == [list(np.argsort(-row, kind="stable")) for row in cosines]


def test_vectors_of_a_label_count_alike() -> None:
    """Each is scaled to length 1 before the mean, so a long one weighs no more; a single one stands for itself."""
    assert direction([[3.0, 4.0]]) == [3.0, 4.0]
    assert direction([[10.0, 0.0], [0.0, 2.0]]) == [0.5, 0.5]
    assert direction([[0.0, 0.0], [0.0, 5.0]]) == [0.0, 0.5]


def test_each_label_has_its_first_examples_alone() -> None:
    """Of each label the first `EXAMPLES` count; a sample is kept where it is one of them for some label."""
    many = [example(f"a{at}", f"Common {at}.", "common") for at in range(EXAMPLES + 5)]
    both, empty = example("both", "Rare and common.", "common", "rare"), example("none", "Nothing.")
    kept = examples_of(["common", "rare", "other"], [*many, both, empty])
    assert [each.id for each in kept] == [*(f"a{at}" for at in range(EXAMPLES)), "both"]
    common, rare, _ = label_texts([Label("common"), Label("rare"), Label("other")], kept)
    assert len(common) == 1 + EXAMPLES
    assert "Rare and common." not in common
    assert rare == ("rare\n", "Rare and common.")


@unhurried
@given(st.lists(st.frozensets(st.sampled_from("abc")), max_size=30))
def test_what_is_kept_gives_the_same_texts(rows: list[frozenset[str]]) -> None:
    """The samples that a prompt keeps give each label the texts that all samples of the file would."""
    file = [Sample(str(at), {"text": f"Text {at}."}, labels) for at, labels in enumerate(rows)]
    labels = [Label("a"), Label("b")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.neighbours.EXAMPLES", 3)
        kept = examples_of(["a", "b"], file)
        assert label_texts(labels, kept) == label_texts(labels, file)
        assert len(kept) <= 6


# --- near-duplicates --------------------------------------------------------------------------------------------------


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
