"""Which samples of a set a run looks at: by expression, by id, and how many."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import DataError, did_you_mean, did_you_mean_file, listing, shortened
from harness.records import FieldValue, Sample, first_right
from harness.template import sample_filter
from harness.yamlfile import names_beside, read_text

_FILE_LIKE = re.compile(r"[/\\]|\.[A-Za-z]\w{1,6}$")
"""What the name of a file has and most ids have not: a folder, or an ending."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What chooses among the samples of a split; nothing set chooses all.

    Attributes:
        filter: A Jinja expression over a sample: its input columns, `id`, and `gold`.
        ids: Only these samples.
        limit: At most so many, drawn by the hash of the id: a larger limit holds a smaller one's samples, and every
            prompt version sees the same ones.
    """

    filter: str | None = None
    ids: tuple[str, ...] | None = None
    limit: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what is set, as plain values."""
        every = {"filter": self.filter, "ids": self.ids, "limit": self.limit}
        return {key: value for key, value in every.items() if value is not None}


class Gold:
    """The gold of a sample, as `--filter` sees it: its labels, and its fields as attributes."""

    def __init__(self, sample: Sample) -> None:
        self._labels = sample.labels or frozenset()
        self._fields = sample.fields

    def __contains__(self, label: object) -> bool:
        return label in self._labels

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._labels))

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, name: str) -> FieldValue:
        return first_right(self._fields[name])


def select(samples: Sequence[Sample], selection: Selection) -> tuple[Sample, ...]:
    """Return the chosen samples, in their order.

    Raises:
        DataError: An id is unknown, the expression fails, the limit is below 1, or nothing is left.
    """
    chosen = list(samples)
    if selection.limit is not None and selection.limit < 1:
        raise DataError(f"--limit: must be at least 1, got {selection.limit}.")
    if selection.ids is not None:
        chosen = _with_ids(chosen, selection.ids)
    if selection.filter is not None:
        test = sample_filter(selection.filter)
        chosen = [sample for sample in chosen if test(_context(sample))]
        if not chosen:
            raise DataError(
                f"--filter '{selection.filter}': must leave at least one of {len(samples)} samples, left none."
            )
    if selection.limit is not None and selection.limit < len(chosen):
        drawn = {sample.id for sample in sorted(chosen, key=_draw)[: selection.limit]}
        chosen = [sample for sample in chosen if sample.id in drawn]
    return tuple(chosen)


def read_ids(text: str) -> tuple[str, ...]:
    """Return the ids that `--samples` means: a file with one id a line (or JSONL with `id`), else ids between commas.

    Raises:
        DataError: The file cannot be read, or there is no id at all.
    """
    path = Path(text)
    if _is_file(path):
        ids = tuple(_id_of_line(line.strip()) for line in read_text(path).split("\n") if line.strip())
    else:
        ids = tuple(part.strip() for part in text.split(",") if part.strip())
    if not ids:
        raise DataError(f"--samples: must name at least one sample, got '{text}'. Give ids, or a file of ids.")
    return ids


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # many ids make a name that no file can have
        return False


def _id_of_line(line: str) -> str:
    if line.startswith("{"):
        try:
            return str(json.loads(line)["id"])
        except (ValueError, KeyError, RecursionError):
            pass
    return line


def _with_ids(samples: list[Sample], ids: Sequence[str]) -> list[Sample]:
    known = {sample.id for sample in samples}
    missing = [identity for identity in ids if identity not in known]
    if len(ids) == 1 and missing and _FILE_LIKE.search(ids[0]):
        near = did_you_mean_file(Path(ids[0]).name, names_beside(Path(ids[0]))) or did_you_mean(ids[0], known)
        raise DataError(
            f"--samples: must be ids of the split or a file of ids, got {shortened(ids[0])}: there is no such file.{near}"
        )
    if missing:
        raise DataError(
            f"--samples: {listing(map(shortened, missing), 5)} {'is' if len(missing) == 1 else 'are'} not in the split."
            f"{did_you_mean(missing[0], known)}"
        )
    if not ids:
        raise DataError("--samples: must name at least one sample, got none.")
    wanted = set(ids)
    return [sample for sample in samples if sample.id in wanted]


def _context(sample: Sample) -> Mapping[str, Any]:
    return {**sample.inputs, "id": sample.id, "gold": Gold(sample)}


def _draw(sample: Sample) -> tuple[bytes, str]:
    return hashlib.sha256(sample.id.encode("utf-8", "surrogatepass")).digest(), sample.id
