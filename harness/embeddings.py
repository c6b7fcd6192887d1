"""Shots that are nearest by the vectors of a server's embedding model: asked for once, then taken from the cache."""

from __future__ import annotations

import asyncio
import base64
import json
from array import array
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from harness.cache import Cache
from harness.clients import Server, connect
from harness.errors import ModelError
from harness.identity import call_key
from harness.neighbours import input_text, nearest_vectors
from harness.planning import choosing, with_nearest, with_stand_ins
from harness.project import Project
from harness.prompt import Pass, Prompt
from harness.records import Completion, Sample

PATH = "/embeddings"
BATCH = 64
"""Texts in one request."""

Vector = Sequence[float]


def with_embedded_shots(
    prompt: Prompt,
    samples: Sequence[Sample],
    project: Project,
    *,
    use_cache: bool = True,
    warn: Callable[[str], None] = lambda _: None,
) -> tuple[Sample, ...]:
    """Return the samples with the shots that each pass chooses for them by embeddings; what the cache lacks is asked for.

    Raises:
        ModelError: The server has no such model, or gives no vectors.
    """
    for each, shots, how in choosing(prompt, "embeddings"):
        pool = [input_text(shot) for shot in shots.samples]
        texts = [input_text(sample) for sample in samples]
        with Cache(project.cache if use_cache else None, warn) as cache:
            vectors = _run(_asked(each, str(how.model), dict.fromkeys([*pool, *texts]), project, cache))
        if len({len(vector) for vector in vectors.values()}) > 1:
            raise ModelError(f"model {how.model}: its vectors are not as long as those in the cache. Type: --no-cache")
        chosen = nearest_vectors([vectors[text] for text in pool], [vectors[text] for text in texts], how.k)
        samples = with_nearest(each, shots, samples, chosen)
    return tuple(samples)


def with_expected_shots(
    prompt: Prompt, samples: Sequence[Sample], project: Project, *, use_cache: bool = True
) -> tuple[tuple[Sample, ...], int]:
    """Return the samples with their shots, as far as that is known without a call, and how many vectors must be asked for.

    Where vectors are missing in the cache, the first shots of the pool stand in.
    """
    missing: list[str] = []
    for each, shots, how in choosing(prompt, "embeddings"):
        pool = [input_text(shot) for shot in shots.samples]
        texts = [input_text(sample) for sample in samples]
        client = connect(each.model, project.settings)
        keys = {text: _key(client, str(how.model), text) for text in dict.fromkeys([*pool, *texts])}
        with Cache(project.cache if use_cache and project.cache.exists() else None, lambda _: None) as cache:
            known = {text: _kept(cache, key) for text, key in keys.items()}
        vectors = {text: vector for text, vector in known.items() if vector is not None}
        missing += [key for text, key in keys.items() if text not in vectors]
        if len(vectors) == len(known):
            chosen = nearest_vectors([vectors[text] for text in pool], [vectors[text] for text in texts], how.k)
            samples = with_nearest(each, shots, samples, chosen)
    # Without a cache every pass asks for its own; else the second one finds what the first one asked for.
    return with_stand_ins(prompt, samples), len(set(missing) if use_cache else missing)


async def _asked(
    each: Pass, model: str, texts: Mapping[str, None], project: Project, cache: Cache
) -> dict[str, Vector]:
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
