"""JSON and JSONL on disk: whole files or none, any text kept, and messages that say the next step."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from harness.errors import DataError


def write_json(path: Path, value: Any) -> None:
    """Write plain values as JSON, for people too."""
    text = json.dumps(value, indent=1, ensure_ascii=False, default=str)
    write_bytes(path, (encodable(text) + "\n").encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file as a whole: a reader sees the old one or the new one, never a part."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with writing(path, "Make room or check permissions."):
        try:
            draft.write_bytes(content)
            draft.replace(path)
        except OSError:
            with suppress(OSError):
                draft.unlink()
            raise


def json_line(row: Mapping[str, Any]) -> bytes:
    """Return one line of a JSONL file."""
    return (encodable(json.dumps(row, ensure_ascii=False, default=str)) + "\n").encode("utf-8")


def encodable(text: str) -> str:
    """Return JSON text with lone surrogates, which UTF-8 cannot hold, in JSON's own escape for them."""
    return re.sub("[\ud800-\udfff]", lambda match: f"\\u{ord(match.group()):04x}", text)


def json_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Return the objects of a JSONL file, one after the other."""
    with path.open(encoding="utf-8", newline="\n") as file:
        for line in file:
            yield json.loads(line)


@contextmanager
def reading(path: Path, next_step: str) -> Iterator[None]:
    """Tell what is wrong with a file that is read inside."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: cannot be read ({type(error).__name__}: {error}). {next_step}") from None


@contextmanager
def writing(path: Path, next_step: str) -> Iterator[None]:
    """Tell what is wrong with a file or folder that is written inside."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror or error}). {next_step}") from None
