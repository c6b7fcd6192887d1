"""Which texts are near to one another: the nearest shots and labels of a sample, and samples that nearly are a shot. Pure.

Texts are compared by the cosine of their TF-IDF vectors over character n-grams within words: 3 to 5 characters, which
endings, typing errors and scripts without spaces leave largely alone. On the reviews set the nearest text shares more
labels so than with words or pairs of words. The weights of the n-grams are those of the pool alone, so that the choice for a
sample does not depend on which other samples are asked.

The same goes for labels. Of 227 labels with a sentence each (CLINC150 and BANKING77, two utterances a sample) the 30 nearest
hold 86 % of the gold; by words 81 %, by words and characters together 85 %, by BM25 over the same n-grams 85 %. The group's
name, names and descriptions compared apart, and sentences compared one by one change it by less than a point.

A label with worked examples has several texts: its own, and theirs. Its vector is then the direction of their mean, each
scaled to length 1. Where examples have several labels, that keeps what a label's examples have in common, and what the other
labels bring in cancels out: with ten examples a label, of two labels each, the 30 nearest hold 95 % of the gold; 94 % by the
mean of the cosines, 92 % by all texts as one, 89 % by the nearest of the texts. In vectors of a latent semantic analysis the
order is the same. That an example counts less the more labels it has changes it by less than a point.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
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

EXAMPLES = 100
"""Most examples of a label, because each is kept with the run. With 1,000 samples of GoEmotions (28 labels) the 10 nearest
hold 84 % of the gold; 69 % with 20 a label, 86 % with all."""

_CHUNK = 2000
_JOINERS = re.compile(r"[_\-/]+")
_WORD = r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|\w+"
"""Compiled where it is used for the first time: few prompts choose by likeness."""


def input_text(sample: Sample) -> str:
    """Return what a sample is compared by: its text; without one all its input columns, one a line."""
    text = sample.inputs.get("text")
    return text if isinstance(text, str) else "\n".join(str(value) for _, value in sorted(sample.inputs.items()))


def label_text(label: Label) -> str:
    """Return what a label is compared by: its name and its other names, joiners as spaces, and its description."""
    names = (_JOINERS.sub(" ", name) for name in (label.name, *label.aliases))
    return "\n".join([*names, label.description])


def label_texts(labels: Iterable[Label], examples: Sequence[Sample]) -> list[tuple[str, ...]]:
    """Return for each label what it is compared by, each text once: its own, and those of its examples."""
    labels = tuple(labels)
    of = _by_label([label.name for label in labels], examples)
    return [
        tuple(dict.fromkeys((label_text(label), *(input_text(example) for example in of[label.name]))))
        for label in labels
    ]


def examples_of(names: Sequence[str], samples: Sequence[Sample]) -> tuple[Sample, ...]:
    """Return the samples that are examples of some labels, in their order: for each label the first `EXAMPLES` of it."""
    used = {example.id for examples in _by_label(names, samples).values() for example in examples}
    return tuple(sample for sample in samples if sample.id in used)


def _by_label(names: Sequence[str], samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    found: dict[str, list[Sample]] = {name: [] for name in names}
    for sample in samples:
        for name in found.keys() & (sample.labels or frozenset()):
            if len(found[name]) < EXAMPLES:
                found[name].append(sample)
    return found


def nearest(pool: Sequence[str], texts: Sequence[str], k: int) -> list[list[int]]:
    """Return for each text the positions of the ``k`` texts of a pool that are nearest by TF-IDF, the nearest last.

    Of equally near ones the earlier in the pool is the nearer.
    """
    return list(_nearest_by(_Tfidf(pool), texts, k)) if texts else []


def nearest_labels(pool: Sequence[Sequence[str]], texts: Sequence[str], k: int) -> list[list[int]]:
    """Return the same as `nearest` where each of the pool has one text or several, as `label_texts` gives them."""
    return list(_nearest_by(_Tfidf.of_labels(pool), texts, k)) if texts else []


def ranked_labels(pool: Sequence[Sequence[str]], texts: Sequence[str]) -> Iterator[list[int]]:
    """Yield for each text the positions of all of a pool, the nearest first: what `nearest_labels` takes the head of."""
    if texts:
        yield from (row[::-1] for row in _nearest_by(_Tfidf.of_labels(pool), texts, len(pool)))


def _nearest_by(tfidf: _Tfidf, texts: Sequence[str], k: int) -> Iterator[list[int]]:
    for start in range(0, len(texts), _CHUNK):
        yield from _nearest_of(tfidf.cosines(texts[start : start + _CHUNK]), k)


def nearest_vectors(pool: Sequence[Sequence[float]], vectors: Sequence[Sequence[float]], k: int) -> list[list[int]]:
    """Return the same as `nearest` for vectors, shape (n, d), by their cosine; that of a zero vector is 0."""
    of_pool = _unit(pool).T
    return [
        row
        for start in range(0, len(vectors), _CHUNK)
        for row in _nearest_of(_unit(vectors[start : start + _CHUNK]) @ of_pool, k)
    ]


def direction(vectors: Sequence[Sequence[float]]) -> Sequence[float]:
    """Return the one vector that stands for several, shape (n, d): the mean of them scaled to length 1.

    A single one stands for itself.
    """
    if len(vectors) == 1:
        return vectors[0]
    mean: list[float] = _unit(vectors).mean(axis=0).tolist()
    return mean


def _unit(rows: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """Return vectors scaled to length 1; a zero vector stays one."""
    import numpy as np

    matrix = np.asarray(rows, dtype=np.float64)
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    scaled: NDArray[np.float64] = matrix / np.where(lengths > 0, lengths, 1.0)
    return scaled


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

    @classmethod
    def of_labels(cls, pool: Sequence[Sequence[str]]) -> _Tfidf:
        """Return the vectors of a pool in which each has one text or several: the direction of their mean.

        A text that several have weighs the n-grams once.
        """
        from sklearn.preprocessing import MultiLabelBinarizer, normalize

        texts = tuple(dict.fromkeys(text for each in pool for text in each))
        made = cls(texts)
        belongs: Any = MultiLabelBinarizer(classes=texts, sparse_output=True).fit_transform(pool)
        made._pool = normalize(belongs @ made._pool)
        return made

    def cosines(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return the cosine of each text with each of the pool, in [0, 1]: shape (n_texts, n_pool)."""
        found: Any = self._weighing.transform(self._counting.transform(texts)) @ self._pool.T
        dense: NDArray[np.float64] = found.toarray()
        return dense

    def cosines_with(self, texts: Sequence[str], positions: Sequence[int]) -> list[float]:
        """Return the cosine of each text with the one of the pool at its position."""
        of_texts: Any = self._weighing.transform(self._counting.transform(texts))
        products: list[float] = of_texts.multiply(self._pool[positions]).sum(axis=1).ravel().tolist()[0]
        return products


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
    compared: list[tuple[Sample, int]] = []
    texts = [input_text(shot) for shot in shots]
    bare = [_bare(text) for text in texts]
    for sample, position in _sharing_words(texts, samples):
        if _bare(input_text(sample)) == bare[position]:
            found.append(Pair(shots[position].id, sample.id, 1.0))
        else:
            compared.append((sample, position))
    if compared:
        tfidf = _Tfidf(texts)
        for start in range(0, len(compared), _CHUNK):
            chunk = compared[start : start + _CHUNK]
            cosines = tfidf.cosines_with([input_text(sample) for sample, _ in chunk], [at for _, at in chunk])
            near = zip(chunk, cosines, strict=True)
            found += [Pair(shots[at].id, sample.id, value) for (sample, at), value in near if value >= NEAR_DUPLICATE]
    return sorted(found, key=lambda pair: (-pair.cosine, pair.shot, pair.sample))


def _bare(text: str) -> str:
    return " ".join(re.findall(r"\w+", normalize(text)))


def _sharing_words(texts: Sequence[str], samples: Sequence[Sample]) -> Iterator[tuple[Sample, int]]:
    """Yield each sample with the position of each text whose words it shares, and that shares its own.

    Only the rarer half of the words leads from one to the other: who shares half of all words has one of these.
    """
    words = [frozenset(re.findall(_WORD, _folded(text))) for text in texts]
    counts = Counter(word for each in words for word in each)
    by_word: defaultdict[str, list[int]] = defaultdict(list)
    for position, each in enumerate(words):
        for word in _rare(each, counts):
            by_word[word].append(position)
    for sample in samples:
        own = frozenset(re.findall(_WORD, _folded(input_text(sample))))
        near = {position for word in _rare(own, counts) if word in by_word for position in by_word[word]}
        for position in sorted(near):
            each = words[position]
            most = SHARED_WORDS * max(len(own), len(each))
            if min(len(own), len(each)) >= most and len(own & each) >= most:
                yield sample, position


def _rare(words: frozenset[str], counts: Mapping[str, int]) -> list[str]:
    """Return the rarer half of some words, and one more, so that two sets that share half of theirs have one of these."""
    ordered = sorted(words, key=lambda word: (counts.get(word, 0), word))
    return ordered[: len(ordered) - int(SHARED_WORDS * len(ordered) + 0.5) + 1]
