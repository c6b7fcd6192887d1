"""Outside text made safe to show: model output and samples are data, never markup or terminal commands."""

from __future__ import annotations

import re

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""C0 and C1 controls but tab and line feed; marks and overrides of direction; lone surrogates."""


def visible(text: str) -> str:
    """Return the text with everything that could move a cursor or turn the line around as a visible escape."""
    return _CONTROL.sub(lambda match: _escape(match.group()), text)


def one_line(text: str, width: int) -> str:
    """Return the text on one line of at most ``width`` characters, an ellipsis at the end of what was cut."""
    flat = visible(" ".join(text[: width * 8].split()))
    return flat if len(flat) <= width else flat[: max(width - 1, 0)].rstrip() + "…"


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def csv_safe(value: str) -> str:
    """Return a cell that no spreadsheet takes for a formula: a leading ``= + - @`` gets an apostrophe before it.

    OWASP, "CSV Injection".
    """
    return f"'{value}" if value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
