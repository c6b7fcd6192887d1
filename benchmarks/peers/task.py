"""The task that every contender does: made-up reviews, the prompt of each, the answer that the server gives, its labels.

Only the standard library is used, because the adapters run in the environments of their own tools.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

LABELS = ("shipping", "packaging", "quality", "mismatch", "usability", "price", "service", "refund")
MODEL = "bench"
TEMPLATE = 'Labels: {{ labels | join(", ") }}. {{ text }}'
"""The prompt as `harness` takes it."""

BEFORE = f"Labels: {', '.join(LABELS)}. "
"""What stands in the prompt before the text, for those who do not render templates."""

ANSWERS = "answers.jsonl"
"""Where an adapter writes the answers it kept, when its tool has no file of them."""

_NUMBER = re.compile(r"Review (\d+):")


class Sample(NamedTuple):
    """A review and the labels it should get."""

    id: str
    text: str
    labels: list[str]


class Outcome(NamedTuple):
    """What a contender has in the end: the raw answers by sample id, and the share it scored as exactly right.

    `exact` is None for those that score nothing.
    """

    answers: Mapping[str, str]
    exact: float | None


def sample(number: int) -> Sample:
    """Return the sample of a number."""
    labels = dict.fromkeys((LABELS[number % 8], LABELS[number % 3]))
    return Sample(f"s{number}", f"Review {number}: it came late and broke. " * 4, list(labels))


def answer_to(number: int) -> str:
    """Return what the server answers to a sample: right for four of five, otherwise another label or none at all."""
    if number % 5:
        return ", ".join(sample(number).labels)
    return LABELS[(number + 1) % 8] if number % 2 else "none"


def number_in(prompt: str) -> int:
    """Return the number of the sample that a prompt asks about."""
    found = _NUMBER.search(prompt)
    if found is None:
        raise LookupError(f"no sample in {prompt!r}")
    return int(found[1])


def checksum(prompt: str) -> int:
    """Return a number of a prompt that is the same for everyone."""
    return zlib.crc32(prompt.encode())


def labels_in(answer: str) -> frozenset[str]:
    """Return the labels that an answer names."""
    return frozenset(name.strip() for name in answer.split(",")) & frozenset(LABELS)


def expected(samples: int) -> Outcome:
    """Return what every contender must have in the end."""
    answers = {f"s{number}": answer_to(number) for number in range(samples)}
    right = sum(labels_in(answer_to(number)) == frozenset(sample(number).labels) for number in range(samples))
    return Outcome(answers, right / samples)


def write_samples(path: Path, samples: int) -> None:
    """Write the samples as JSONL."""
    _write(path, (sample(number)._asdict() for number in range(samples)))


def read_samples(path: Path) -> list[Sample]:
    """Read them again."""
    return [Sample(**row) for row in _read(path)]


def write_answers(folder: Path, answers: Mapping[str, str], exact: float | None = None) -> None:
    """Write what was kept."""
    _write(folder / ANSWERS, ({"id": key, "answer": answer} for key, answer in answers.items()))
    (folder / "exact.json").write_text(json.dumps(exact))


def read_answers(folder: Path) -> Outcome:
    """Read what was kept."""
    answers = {row["id"]: row["answer"] for row in _read(folder / ANSWERS)}
    return Outcome(answers, json.loads((folder / "exact.json").read_text()))


def _write(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def _read(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)
