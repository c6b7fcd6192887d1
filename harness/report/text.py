"""Outside text made safe to show: model output and samples are data, never markup or terminal commands."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb]"
)
"""C0 and C1 controls but tab and line feed; separators of lines; marks, overrides and isolates of direction and other
invisible format characters (not the joiners that scripts and emoji need); lone surrogates."""

_FORMULA = frozenset("=+-@\t\r\n＝＋－＠")


def visible(text: str) -> str:
    """Return the text with everything that could move a cursor or turn the line around as a visible escape."""
    return _CONTROL.sub(lambda match: _escape(match.group()), text)


def one_line(text: str, width: int) -> str:
    """Return the text on one line of at most ``width`` characters, an ellipsis at the end of what was cut."""
    words = text.split(None, width)  # a word is a character at least: what is left together is never shown
    flat = visible(" ".join(words)[: width + 1])
    return flat if len(flat) <= width else flat[: max(width - 1, 0)].rstrip() + "…"


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def json_text(value: Any, indent: int | None = None) -> str:
    """Return plain values as JSON that reads back to the very same text, and that a terminal shows as it is.

    What `visible` would escape is written in JSON's own escape. A number that JSON has not (NaN, infinity) is null.
    """
    try:
        text = json.dumps(value, indent=indent, ensure_ascii=False, default=str, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(value), indent=indent, ensure_ascii=False, default=str)
    return _CONTROL.sub(lambda match: f"\\u{ord(match.group()):04x}", text)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def csv_safe(value: str) -> str:
    """Return a cell that no spreadsheet takes for a formula: before a leading ``= + - @`` or break goes an apostrophe.

    OWASP, "CSV Injection".
    """
    return f"'{value}" if value[:1] in _FORMULA else value
