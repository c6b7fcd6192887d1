"""Hashes that say when two things are the same: calls, prompts, and the three parts of a sample set.

All of them are SHA-256 over canonical JSON (sorted keys, no spaces), shortened to what a person can still compare.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from harness.labelspace import LabelSpace
from harness.records import Sample

SHORT = 16
"""Hex digits of a data or prompt hash: 64 bits, ample for telling versions of a file apart."""


_TEXTS = frozenset({str})
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)


def canonical(value: Any) -> str:
    """Return the JSON text by which two values are compared."""
    if _is_texts(value) or (type(value) is list and all(map(_is_texts, value))):
        try:  # sooner, and the same: it is floats that `orjson` writes in another way
            return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode("utf-8")
        except TypeError:  # a lone surrogate
            pass
    return _CANONICAL.encode(value)


def _is_texts(value: Any) -> bool:
    """Return whether a value is an object of texts alone, such as a message."""
    return type(value) is dict and _TEXTS.issuperset(map(type, value.values()))


def digest(value: Any, length: int = SHORT) -> str:
    """Return the first ``length`` hex digits of the hash of a plain value."""
    return _hashed(canonical(value))[:length]


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def text_id(text: str) -> str:
    """Return the id of a sample that brings none: the hash of its text alone, so that it survives reordering."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def content(sample: Sample) -> str:
    """Return that by which two samples are the same: the text but for case and spaces; without a text all inputs."""
    text = sample.inputs.get("text")
    return " ".join(text.split()).casefold() if isinstance(text, str) else canonical(dict(sample.inputs))


def inputs_hash(samples: Iterable[Sample]) -> str:
    """Return the hash of ids and input columns, independent of the order of the samples."""
    return digest(sorted((sample.id, digest(dict(sample.inputs), 64)) for sample in samples))


def gold_hash(samples: Iterable[Sample]) -> str:
    """Return the hash of ids, gold labels and gold fields, independent of the order of the samples."""
    rows = [
        (sample.id, None if sample.labels is None else sorted(sample.labels), dict(sample.fields)) for sample in samples
    ]
    return digest(sorted(rows, key=lambda row: row[0]))


def space_hash(space: LabelSpace) -> str:
    """Return the hash of the label space, the order of its labels included; not of its rules, which ask nothing."""
    return digest(
        {name: part for name, part in space.to_json().items() if name in ("labels", "fields", "about_groups")}
    )


def call_key(endpoint: Mapping[str, Any], body: Mapping[str, Any], repeat: int) -> str:
    """Return the key of a call: the hash of everything that can change its answer.

    Args:
        endpoint: Who is asked: base URL and API, or for the embedded model its file's hash and engine settings.
        body: The request as it is sent: model, messages, params, schema.
        repeat: The repeat number; 0 is the plain run.
    """
    return CallKeys(endpoint).of(body, repeat)


class CallKeys:
    """The keys of the calls to one endpoint: `call_key` for many of them.

    What is the very same object in one request as in the one before, such as the params, is encoded once.

    Args:
        endpoint: As for `call_key`; it stays as it is.
    """

    def __init__(self, endpoint: Mapping[str, Any]) -> None:
        self._endpoint = canonical(dict(endpoint))
        self._parts: dict[str, tuple[object, str]] = {}

    def of(self, body: Mapping[str, Any], repeat: int) -> str:
        """Return the key of a call; the parts of its body are not changed afterwards."""
        parts = self._parts
        for name, value in body.items():
            known = parts.get(name)
            if known is None or known[0] is not value:
                parts[name] = value, f"{canonical(name)}:{canonical(value)}"
        said = ",".join([parts[name][1] for name in sorted(body)])
        text = f'{{"body":{{{said}}},"endpoint":{self._endpoint},"repeat":{repeat}}}'
        return _hashed(text)[:40]
