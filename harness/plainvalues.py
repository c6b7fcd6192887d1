"""Records as plain values, as JSON has them, and back."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any


def to_plain(value: Any) -> Any:
    """Return the value as JSON has it: dataclasses and mappings as dicts, tuples as lists, NaN as None.

    Probabilities that are not there have no key.
    """
    if dataclasses.is_dataclass(value):
        pairs = [(each.name, getattr(value, each.name)) for each in dataclasses.fields(value)]
        return {name: to_plain(each) for name, each in pairs if each is not None or name != "probabilities"}
    if isinstance(value, Mapping):
        return {str(key): to_plain(each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [to_plain(each) for each in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def with_nan(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as `to_plain` wrote it, None as NaN again."""
    return {name: math.nan if value is None else value for name, value in row.items()}
