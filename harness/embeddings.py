"""Shots and labels that are nearest by the vectors of a server's embedding model: asked for once, then from the cache."""

from __future__ import annotations

import asyncio
import base64
import json
from array import array
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from harness.cache import Cache
from harness.clients import Server, connect
from harness.errors import ModelError
from harness.identity import call_key
from harness.labelspace import LabelSpace
from harness.neighbours import direction, input_text, label_texts, nearest_vectors
from harness.planning import choosing, offering, with_nearest, with_offered, with_stand_ins
from harness.project import Project
from harness.prompt import Candidates, Pass, Prompt
from harness.records import Completion, Sample

PATH = "/embeddings"
BATCH = 64
"""Texts in one request."""

Vector = Sequence[float]


@dataclass(frozen=True, slots=True)
class _Choice:
    """What a pass chooses for each sample by embeddings.

    Attributes:
        model: The server's embedding model.
        k: How many.
        pool: What to choose from: the texts of each.
        apply: Takes the samples and the positions that were chosen for each; returns the samples with them.
    """

    asker: Pass
    model: str
    k: int
    pool: Sequence[Sequence[str]]
    apply: Callable[[Sequence[Sample], Sequence[Sequence[int]]], tuple[Sample, ...]]

    def texts(self, samples: Sequence[Sample]) -> list[str]:
        """Return every text whose vector is needed, once."""
        return _needed(self.pool, samples)


def _choices(prompt: Prompt, space: LabelSpace) -> Iterator[_Choice]:
    for each, shots, how in choosing(prompt, "embeddings"):
        of_shots = [(input_text(shot),) for shot in shots.samples]
        yield _Choice(each, str(how.model), how.k, of_shots, partial(with_nearest, each, shots))
    for each, offer in offering(prompt, "embeddings"):
        of_labels = label_texts(space.only(each.inside(space)), offer.examples)
        yield _Choice(each, str(offer.model), offer.k, of_labels, partial(with_offered, each, space))


def with_embedded(
    prompt: Prompt,
    space: LabelSpace,
    samples: Sequence[Sample],
    project: Project,
    *,
    use_cache: bool = True,
    warn: Callable[[str], None] = lambda _: None,
) -> tuple[Sample, ...]:
    """Return the samples with the shots and candidates that embeddings choose; what the cache lacks is asked for.

    Raises:
        ModelError: The server has no such model, or gives no vectors.
    """
    for choice in _choices(prompt, space):
        with Cache(project.cache if use_cache else None, warn) as cache:
            vectors = _run(_asked(choice.asker, choice.model, choice.texts(samples), project, cache))
        if len({len(vector) for vector in vectors.values()}) > 1:
            raise ModelError(
                f"model {choice.model}: its vectors are not as long as those in the cache. Type: --no-cache"
            )
        samples = _chosen(choice, samples, vectors)
    return tuple(samples)


def with_expected(
    prompt: Prompt, space: LabelSpace, samples: Sequence[Sample], project: Project, *, use_cache: bool = True
) -> tuple[tuple[Sample, ...], int]:
    """Return the samples with their shots and candidates, as far as these are known, and how many vectors are missing.

    Where vectors are missing in the cache, the first of the pool stand in. No call is made.
    """
    missing: list[str] = []
    for choice in _choices(prompt, space):
        client = connect(choice.asker.model, project.settings)
        keys = {text: _key(client, choice.model, text) for text in choice.texts(samples)}
        with Cache(project.cache if use_cache and project.cache.exists() else None, lambda _: None) as cache:
            known = {text: _kept(cache, key) for text, key in keys.items()}
        vectors = {text: vector for text, vector in known.items() if vector is not None}
        missing += [key for text, key in keys.items() if text not in vectors]
        if len(vectors) == len(known):
            samples = _chosen(choice, samples, vectors)
    # Without a cache every pass asks for its own; else the second one finds what the first one asked for.
    return with_stand_ins(prompt, space, samples), len(set(missing) if use_cache else missing)


def ranked_by_vectors(
    each: Pass, offer: Candidates, space: LabelSpace, samples: Sequence[Sample], project: Project
) -> list[list[int]] | None:
    """Return for each sample the positions of all labels in the scope of a pass, the nearest first, by their vectors.

    Only what the cache has is used: no call is made.

    Returns:
        None where the cache lacks a vector, or has some that are not of one length.
    """
    client = connect(each.model, project.settings)
    pool = label_texts(space.only(each.inside(space)), offer.examples)
    if not project.cache.exists():
        return None
    with Cache(project.cache, lambda _: None) as cache:
        known = {text: _kept(cache, _key(client, str(offer.model), text)) for text in _needed(pool, samples)}
    vectors = {text: vector for text, vector in known.items() if vector is not None}
    if len(vectors) < len(known) or len({len(vector) for vector in vectors.values()}) > 1:
        return None
    return [row[::-1] for row in _nearest(pool, samples, vectors, len(pool))]


def _chosen(choice: _Choice, samples: Sequence[Sample], vectors: Mapping[str, Vector]) -> tuple[Sample, ...]:
    return choice.apply(samples, _nearest(choice.pool, samples, vectors, choice.k))


def _needed(pool: Sequence[Sequence[str]], samples: Sequence[Sample]) -> list[str]:
    """Return the texts of a pool and of samples, each once."""
    texts = (text for each in pool for text in each)
    return list(dict.fromkeys([*texts, *(input_text(sample) for sample in samples)]))


def _nearest(
    pool: Sequence[Sequence[str]], samples: Sequence[Sample], vectors: Mapping[str, Vector], k: int
) -> list[list[int]]:
    """Return for each sample the positions of what is nearest in a pool, the nearest last."""
    of_pool = [direction([vectors[text] for text in each]) for each in pool]
    return nearest_vectors(of_pool, [vectors[input_text(sample)] for sample in samples], k)


async def _asked(each: Pass, model: str, texts: Sequence[str], project: Project, cache: Cache) -> dict[str, Vector]:
    """Return the vector of each text."""
    client = connect(each.model, project.settings)
    keys = {text: _key(client, model, text) for text in texts}
    found = {text: vector for text in texts if (vector := _kept(cache, keys[text])) is not None}
    missing = [text for text in texts if text not in found]
    gate = asyncio.Semaphore(project.settings.concurrency)

    async def ask(batch: list[str]) -> None:
        async with gate:
            answer = await client.ask(PATH, {"model": model, "input": batch})
        for text, vector in zip(batch, _vectors_of(answer, len(batch), model), strict=True):
            cache.put(keys[text], Completion("ok", raw=_packed(vector)))
            found[text] = _unpacked(_packed(vector))  # as it will come from the cache, so that the choice is the same

    try:
        async with asyncio.TaskGroup() as group:
            for start in range(0, len(missing), BATCH):
                group.create_task(ask(missing[start : start + BATCH]))
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    finally:
        await client.close()
    return found


def _key(client: Server, model: str, text: str) -> str:
    """Return the key of a text's vector; which API answers the prompt does not matter to it."""
    return call_key({**client.endpoint, "api": "embeddings"}, {"model": model, "input": text}, 0)


def _vectors_of(answer: Any, count: int, model: str) -> list[Vector]:
    """Return the vectors of an answer, in the order of the texts.

    Raises:
        ModelError: They are not there, are not one for each text, or are not equally long.
    """
    try:
        rows = sorted(answer["data"], key=lambda row: int(row["index"]))
        vectors: list[Vector] = [[float(value) for value in row["embedding"]] for row in rows]
    except (KeyError, TypeError, ValueError):
        vectors = []
    if len(vectors) != count or len({len(vector) for vector in vectors}) != 1 or not vectors[0]:
        told = json.dumps(answer)[:200]
        raise ModelError(
            f"model {model}: {PATH} must answer with one vector for each of {count} texts, got {told}. "
            "Is it an embedding model?"
        )
    return vectors


def _kept(cache: Cache, key: str) -> Vector | None:
    completion = cache.get(key)
    return None if completion is None or completion.raw is None else _unpacked(completion.raw)


def _packed(vector: Vector) -> str:
    """Return a vector as text: 32-bit floats in base64, a third of what JSON takes."""
    return base64.b64encode(array("f", vector).tobytes()).decode("ascii")


def _unpacked(text: str) -> Vector:
    values = array("f")
    values.frombytes(base64.b64decode(text))
    return values


def _run(asking: Coroutine[Any, Any, dict[str, Vector]]) -> dict[str, Vector]:
    """Return the result of a coroutine, in a thread of its own where a loop runs already: in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(asking)
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(asyncio.run, asking).result()
