"""Hashes that say when two things are the same: calls, prompts, and the three parts of a sample set.

All of them are SHA-256 over canonical JSON (sorted keys, no spaces), shortened to what a person can still compare.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from harness.labelspace import LabelSpace
from harness.records import Sample

SHORT = 16
"""Hex digits of a data or prompt hash: 64 bits, ample for telling versions of a file apart."""


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)


def canonical(value: Any) -> str:
    """Return the JSON text by which two values are compared."""
    return _CANONICAL.encode(value)


def digest(value: Any, length: int = SHORT) -> str:
    """Return the first ``length`` hex digits of the hash of a plain value."""
    return hashlib.sha256(canonical(value).encode("utf-8", "surrogatepass")).hexdigest()[:length]


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
    return digest({"endpoint": endpoint, "body": body, "repeat": repeat}, 40)
