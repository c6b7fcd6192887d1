"""JSON and JSONL on disk: whole files or none, any text kept, and messages that say the next step.

`orjson` reads and writes the lines of which a run has many, ten times as fast as `json`: with a probability for each label
those of a large run are gigabytes. All else is `json`'s, which takes any value, keeps integers of any size and writes
what people read with spaces.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import orjson

from harness.errors import DataError


def write_json(path: Path, value: Any) -> None:
    """Write plain values as JSON, for people too."""
    text = json.dumps(value, indent=1, ensure_ascii=False, default=str)
    write_bytes(path, (encodable(text) + "\n").encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file as a whole: a reader sees the old one or the new one, never a part."""
    with _draft(path) as draft:
        draft.write_bytes(content)


def write_lines(path: Path, lines: Iterable[bytes]) -> None:
    """Replace a file as a whole, one part after the other: what is written need not fit into memory at once."""
    with _draft(path) as draft, draft.open("wb") as file:
        file.writelines(lines)


def write_whole(file: IO[bytes], content: bytes) -> None:
    """Write all of it to a file without a buffer, which may take a part at a time.

    Raises:
        OSError: The disk refuses; a part may have been written.
    """
    left = memoryview(content)
    while left:
        left = left[file.write(left) :]


@contextmanager
def _draft(path: Path) -> Iterator[Path]:
    """Return where to write a file that takes the place of another one when it is whole."""
    target = path.resolve()  # a link is written through, not replaced
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    with writing(path, "Make room or check permissions."):
        try:
            yield draft
            draft.replace(target)
        except BaseException:
            with suppress(OSError):
                draft.unlink()
            raise


_LINE = json.JSONEncoder(ensure_ascii=False, default=str)


def json_line(row: Mapping[str, Any]) -> bytes:
    """Return one line of a JSONL file."""
    text = _LINE.encode(row) + "\n"
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return encodable(text).encode("utf-8")


def packed_line(row: Mapping[str, Any]) -> bytes:
    """Return one line of a JSONL file, without spaces."""
    try:
        return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # a lone surrogate, or a value that only `json` can write
        return json_line(row)


def encodable(text: str) -> str:
    """Return JSON text with lone surrogates, which UTF-8 cannot hold, in JSON's own escape for them."""
    return re.sub("[\ud800-\udfff]", lambda match: f"\\u{ord(match.group()):04x}", text)


def json_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Return the objects of a JSONL file, one after the other."""
    with path.open(encoding="utf-8", newline="\n") as file:
        for line in file:
            yield json.loads(line)


def packed_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Return the objects of a JSONL file as `json_rows` does, sooner; integers beyond 64 bits become floats."""
    with path.open("rb") as file:
        for line in file:
            yield packed_value(line)


def packed_value(line: bytes | str) -> Any:
    """Return the value of a line that `packed_line` wrote; integers beyond 64 bits become floats.

    Raises:
        ValueError: It is not JSON.
    """
    try:
        return orjson.loads(line)
    except ValueError:  # a lone surrogate, or NaN, which `json` can read; else it says what is wrong
        return json.loads(line if isinstance(line, str) else line.decode("utf-8"))


@contextmanager
def reading(path: Path, next_step: str) -> Iterator[None]:
    """Tell what is wrong with a file that is read inside."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read ({type(error).__name__}: {error}). {next_step}") from None


@contextmanager
def writing(path: Path, next_step: str) -> Iterator[None]:
    """Tell what is wrong with a file or folder that is written inside."""
    try:
        yield
    except OSError as error:
        raise unwritable(path, error, next_step) from None


def unwritable(path: Path, error: OSError, next_step: str) -> DataError:
    """Return what is told of a file or folder that cannot be written."""
    return DataError(f"{path}: cannot be written ({error.strerror or error}). {next_step}")
