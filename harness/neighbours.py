"""Which texts are near to one another: the nearest shots and labels of a sample, and samples that nearly are a shot. Pure.

Texts are compared by the cosine of their TF-IDF vectors over character n-grams within words: 3 to 5 characters, which
endings, typing errors and scripts without spaces leave largely alone. On the reviews set the nearest text shares more
labels so than with words or pairs of words. The weights of the n-grams are those of the pool alone, so that the choice for a
sample does not depend on which other samples are asked.

The same goes for labels. Of 227 labels with a sentence each (CLINC150 and BANKING77, two utterances a sample) the 30 nearest
hold 86 % of the gold; by words 81 %, by words and characters together 85 %, by BM25 over the same n-grams 85 %. The group's
name, names and descriptions compared apart, and sentences compared one by one change it by less than a point.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from harness.labelspace import Label, normalize
from harness.records import Sample

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NEAR_DUPLICATE = 0.6
"""Cosine from which on two texts are told as near-duplicates. Of the 11,385 pairs of a shot and a sample of the reviews set,
all of them different texts, the nearest has 0.43. A shot with one letter in fifty changed keeps 0.77 or more; with two of
its words exchanged for others about 0.67."""

SHARED_WORDS = 0.5
"""Share of the words of each of two texts that the other has too, below which they are not compared further."""

_CHUNK = 2000
_JOINERS = re.compile(r"[_\-/]+")
_WORD = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|\w+")


def input_text(sample: Sample) -> str:
    """Return what a sample is compared by: its text; without one all its input columns, one a line."""
    text = sample.inputs.get("text")
    return text if isinstance(text, str) else "\n".join(str(value) for _, value in sorted(sample.inputs.items()))


def label_text(label: Label) -> str:
    """Return what a label is compared by: its name and its other names, joiners as spaces, and its description."""
    names = (_JOINERS.sub(" ", name) for name in (label.name, *label.aliases))
    return "\n".join([*names, label.description])


def nearest(pool: Sequence[str], texts: Sequence[str], k: int) -> list[list[int]]:
    """Return for each text the positions of the ``k`` texts of a pool that are nearest by TF-IDF, the nearest last.

    Of equally near ones the earlier in the pool is the nearer.
    """
    if not texts:
        return []
    tfidf = _Tfidf(pool)
    return [
        row
        for start in range(0, len(texts), _CHUNK)
        for row in _nearest_of(tfidf.cosines(texts[start : start + _CHUNK]), k)
    ]


def ranked(pool: Sequence[str], texts: Sequence[str]) -> Iterator[list[int]]:
    """Yield for each text the positions of all texts of a pool, the nearest first: what `nearest` takes the head of."""
    if not texts:
        return
    tfidf = _Tfidf(pool)
    for start in range(0, len(texts), _CHUNK):
        for row in _nearest_of(tfidf.cosines(texts[start : start + _CHUNK]), len(pool)):
            yield row[::-1]


def nearest_vectors(pool: Sequence[Sequence[float]], vectors: Sequence[Sequence[float]], k: int) -> list[list[int]]:
    """Return the same as `nearest` for vectors, shape (n, d), by their cosine; that of a zero vector is 0."""
    import numpy as np

    def unit(rows: Sequence[Sequence[float]]) -> NDArray[np.float64]:
        matrix = np.asarray(rows, dtype=np.float64)
        lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
        scaled: NDArray[np.float64] = matrix / np.where(lengths > 0, lengths, 1.0)
        return scaled

    of_pool = unit(pool).T
    return [
        row
        for start in range(0, len(vectors), _CHUNK)
        for row in _nearest_of(unit(vectors[start : start + _CHUNK]) @ of_pool, k)
    ]


def _nearest_of(cosines: NDArray[np.float64], k: int) -> Iterator[list[int]]:
    """Yield the columns of the ``k`` largest values of each row, the largest last."""
    import numpy as np

    # Rounded, so that the order of sums, which differs between machines, decides nothing.
    order = np.argsort(-np.round(cosines, 9), axis=1, kind="stable")[:, :k]
    yield from order[:, ::-1].tolist()


class _Tfidf:
    """Turns texts into TF-IDF vectors of length 1, weighted as a pool of texts says.

    An n-gram that the pool has not weighs most: with hashed n-grams there are columns for those too.
    """

    def __init__(self, pool: Sequence[str]) -> None:
        from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

        self._counting = HashingVectorizer(
            analyzer="char_wb",
            ngram_range=(3, 5),
            preprocessor=_folded,
            norm=None,
            alternate_sign=False,
            n_features=2**20,
        )
        counts = self._counting.transform(pool)
        self._weighing = TfidfTransformer(sublinear_tf=True).fit(counts)
        self._pool = self._weighing.transform(counts)

    def cosines(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return the cosine of each text with each of the pool, in [0, 1]: shape (n_texts, n_pool)."""
        found: Any = self._weighing.transform(self._counting.transform(texts)) @ self._pool.T
        dense: NDArray[np.float64] = found.toarray()
        return dense


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


class Pair(NamedTuple):
    """A shot and a sample whose texts are nearly the same, and their cosine."""

    shot: str
    sample: str
    cosine: float


def near_duplicates(shots: Sequence[Sample], samples: Sequence[Sample]) -> list[Pair]:
    """Return the pairs of a shot and a sample that are nearly the same text, the nearest first.

    That is: equal but for case, punctuation and spaces, or a TF-IDF cosine of at least `NEAR_DUPLICATE`. Only pairs that
    share half of their words are compared so far, which makes the search one pass over the words of the samples.
    """
    found: list[Pair] = []
    compared: defaultdict[int, list[tuple[str, str]]] = defaultdict(list)
    texts = [input_text(shot) for shot in shots]
    for sample, position in _sharing_words(texts, samples):
        text = input_text(sample)
        if _bare(text) == _bare(texts[position]):
            found.append(Pair(shots[position].id, sample.id, 1.0))
        else:
            compared[position].append((sample.id, text))
    if compared:
        tfidf = _Tfidf(texts)
        for position, others in compared.items():
            cosines = tfidf.cosines([text for _, text in others])[:, position]
            near = zip(others, cosines.tolist(), strict=True)
            found += [Pair(shots[position].id, name, value) for (name, _), value in near if value >= NEAR_DUPLICATE]
    return sorted(found, key=lambda pair: (-pair.cosine, pair.shot, pair.sample))


def _bare(text: str) -> str:
    return " ".join(re.findall(r"\w+", normalize(text)))


def _sharing_words(texts: Sequence[str], samples: Sequence[Sample]) -> Iterator[tuple[Sample, int]]:
    """Yield each sample with the position of each text whose words it shares, and that shares its own.

    Only the rarer half of a text's words leads to it: who shares half of all its words has one of these.
    """
    words = [frozenset(_WORD.findall(_folded(text))) for text in texts]
    by_word = _by_rare_word(words)
    for sample in samples:
        own = frozenset(_WORD.findall(_folded(input_text(sample))))
        for position in sorted({position for word in own & by_word.keys() for position in by_word[word]}):
            shared = len(own & words[position])
            if shared >= SHARED_WORDS * max(len(own), len(words[position])):
                yield sample, position


def _by_rare_word(words: Sequence[frozenset[str]]) -> Mapping[str, list[int]]:
    counts: defaultdict[str, int] = defaultdict(int)
    for each in words:
        for word in each:
            counts[word] += 1
    by_word: defaultdict[str, list[int]] = defaultdict(list)
    for position, each in enumerate(words):
        rare = sorted(each, key=lambda word: (counts[word], word))
        for word in rare[: len(rare) - int(SHARED_WORDS * len(rare) + 0.5) + 1]:
            by_word[word].append(position)
    return by_word
