"""The cache's file as it lies on disk: looked at without changing it, cleaned up, and what SQLite says of it in words.

Runs use `harness.cache`, which never fails. Who takes care of the file wants to be told.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.cache import besides, has_code, has_head, is_damage
from harness.errors import DataError
from harness.records import Completion

WAIT_S = 5.0
"""Seconds to wait for another process that holds the file."""

MOST_PROBLEMS = 20
"""Problems of the file's structure that are told."""

_BUSY, _LOCKED, _READONLY, _FULL, _CANTOPEN = 5, 6, 8, 13, 14
"""https://www.sqlite.org/rescode.html"""


class CacheMissingError(DataError):
    """There is no cache file."""


class CacheDamagedError(DataError):
    """The file is no database any more, or not a whole one; `why` is what SQLite says."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path}: is damaged ({why}). Type: harness cache verify --repair")
        self.why = why


class CacheBusyError(DataError):
    """Another process uses the cache."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What the file holds for one call.

    Attributes:
        content: The completion as JSON, as it is stored.
        at: Unix seconds when it was put there; None where that was not written down.
    """

    key: str
    content: bytes
    at: int | None = None

    @property
    def size(self) -> int:
        """Bytes of key and content."""
        return len(self.key) + len(self.content)

    def completion(self) -> Completion | None:
        """Return the completion, None where the content is none."""
        return decoded(self.content)


def decoded(content: object) -> Completion | None:
    """Return the completion that a stored content stands for, None where it stands for none."""
    if not isinstance(content, bytes):
        return None
    try:
        return Completion.from_json(json.loads(content.decode()))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


class CacheFile:
    """The file, open. `opened` makes it."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection

    def _rows(self, statement: str, *values: object) -> Iterator[tuple[Any, ...]]:
        try:
            yield from self._connection.execute(statement, values)
        except sqlite3.Error as error:
            raise told(self.path, error) from None

    def _one(self, statement: str) -> Any:
        return next(self._rows(statement))[0]

    def columns(self, table: str) -> tuple[str, ...]:
        """Return the columns of a table, none where the file has no such table."""
        return tuple(row[1].decode() for row in self._rows(f"PRAGMA table_info({table})"))

    def entries(self) -> Iterator[Entry]:
        """Yield all entries, in the order of their keys.

        Raises:
            CacheDamagedError: The rest cannot be read.
        """
        columns = self.columns("completions")
        if not columns:
            return
        at = "at" if "at" in columns else "NULL"
        for key, content, when in self._rows(f"SELECT key, completion, {at} FROM completions ORDER BY key"):  # noqa: S608
            yield Entry(text_of(key), raw_of(content), when if isinstance(when, int) else None)

    def keys(self) -> set[str]:
        """Return the keys of all entries."""
        if not self.columns("completions"):
            return set()
        return {text_of(key) for (key,) in self._rows("SELECT key FROM completions")}

    def count(self) -> int:
        """Return the number of entries."""
        return int(self._one("SELECT count(*) FROM completions")) if self.columns("completions") else 0

    def forms(self) -> dict[str, str]:
        """Return what servers were found to take, by what it is remembered under."""
        if not self.columns("forms"):
            return {}
        return {text_of(key): text_of(form) for key, form in self._rows("SELECT key, form FROM forms")}

    def problems(self, *, quick: bool = False) -> tuple[str, ...]:
        """Return what is wrong with the file's structure; nothing when it is sound.

        Args:
            quick: Leave out whether the indexes agree with their tables.
        """
        check = "quick_check" if quick else "integrity_check"
        try:
            found = [text_of(row[0]) for row in self._rows(f"PRAGMA {check}({MOST_PROBLEMS})")]
        except CacheDamagedError as error:
            found = [error.why]
        return tuple(
            line for each in found for line in each.splitlines() if line not in ("ok", "*** in database main ***")
        )

    def used_bytes(self) -> int:
        """Return the bytes of the pages that hold something; the others are free to be used again."""
        pages, free, size = (int(self._one(f"PRAGMA {name}")) for name in ("page_count", "freelist_count", "page_size"))
        return (pages - free) * size

    def put(self, entries: Iterable[Entry]) -> None:
        """Write entries as they are."""
        dated = "at" in self.columns("completions")
        into = "INSERT OR REPLACE INTO completions (key, completion, at) VALUES (?, ?, ?)"
        without = "INSERT OR REPLACE INTO completions (key, completion) VALUES (?, ?)"
        self._change(
            into if dated else without,
            [(each.key, each.content.decode(), *((each.at,) if dated else ())) for each in entries],
        )

    def put_forms(self, forms: Iterable[tuple[str, str]]) -> None:
        """Write what servers were found to take."""
        self._change("INSERT OR REPLACE INTO forms (key, form) VALUES (?, ?)", list(forms))

    def delete(self, keys: Iterable[str]) -> None:
        """Take entries out, all of them or none."""
        self._change("DELETE FROM completions WHERE key = ?", [(key,) for key in keys])

    def _change(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._connection.executemany(statement, rows)
                self._connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise told(self.path, error) from None

    def compact(self) -> str | None:
        """Give the room of deleted entries back to the disk; return why that cannot be done now, None when it is done."""
        try:
            self._connection.execute("VACUUM")
            busy = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        except sqlite3.Error as error:
            return str(error)
        return "another process is reading it" if busy else None


@contextmanager
def opened(path: Path, *, write: bool = False) -> Iterator[CacheFile]:
    """Open the file to look at it, or to change it.

    Raises:
        CacheMissingError: It is not there.
        CacheDamagedError: It is no database.
        CacheBusyError: Another process holds it.
        DataError: It may not be read, or not be written.
    """
    if not path.exists():
        raise CacheMissingError(f"{path}: there is no cache yet. The first run makes it.")
    refuse_special(path)
    if not has_head(path):
        raise CacheDamagedError(path, "file is not a database")
    try:
        connection = _connected(path, "mode=rw", write)
    except sqlite3.Error as error:
        # In a folder that may not be written SQLite cannot make what it keeps beside an open file. Where nothing is
        # waiting there, the file alone is the whole.
        if write or not path.is_file() or not has_code(error, _READONLY, _CANTOPEN) or sizes(path)[1]:
            raise told(path, error) from None
        try:
            connection = _connected(path, "mode=ro&immutable=1", write)
        except sqlite3.Error as again:
            raise told(path, again) from None
    try:
        yield CacheFile(path, connection)
    finally:
        connection.close()


def refuse_special(path: Path) -> None:
    """Refuse what is there and no file: to open a named pipe would wait for ever.

    Raises:
        DataError: It is a folder, a pipe, a device.
    """
    if path.exists() and not path.is_file():
        raise DataError(f"{path}: must be a file, got a {_kind(path)}. Move it away; the next run makes a new cache.")


def _kind(path: Path) -> str:
    return "folder" if path.is_dir() else "pipe" if path.is_fifo() else "socket" if path.is_socket() else "device"


def _connected(path: Path, how: str, write: bool) -> sqlite3.Connection:
    """Return a connection that has read the file; one that may write tidies up beside it when it is closed."""
    uri = f"{path.absolute().as_uri()}?{how}"
    connection = sqlite3.connect(uri, uri=True, timeout=WAIT_S, isolation_level=None)
    try:
        connection.text_factory = bytes  # what is damaged may be no UTF-8
        connection.execute(f"PRAGMA query_only={'OFF' if write else 'ON'}")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def claim(path: Path) -> None:
    """Make sure that no other process has the file open.

    Raises:
        CacheBusyError: One has.
        DataError: The file may not be written.
    """
    if not path.is_file() or not has_head(path):  # what is no database, nobody has open
        return
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=0, isolation_level=None)
        try:
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("ROLLBACK")
        finally:
            connection.close()
    except sqlite3.Error as error:
        if not is_damage(error):
            raise told(path, error) from None


def remove(path: Path) -> None:
    """Delete the file and what stands beside it.

    Raises:
        DataError: The folder does not allow it.
    """
    for each in (path, *besides(path)):
        try:
            each.unlink(missing_ok=True)
        except OSError as error:
            raise DataError(f"{each}: cannot be deleted ({error.strerror}). Check the folder's permissions.") from None


def sizes(path: Path) -> tuple[int, int]:
    """Return the bytes of the file and of its log of newest writes; 0 for what is not there."""
    return _size(path), _size(besides(path)[0])


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def told(path: Path, error: sqlite3.Error) -> DataError:
    """Return what SQLite says as an error with the next step."""
    if has_code(error, _BUSY, _LOCKED):
        return CacheBusyError(f"{path}: another process is using the cache. Wait until it has ended.")
    if is_damage(error):
        return CacheDamagedError(path, str(error))
    if has_code(error, _FULL):
        return DataError(f"{path}: the disk is full. Make room, and type it again.")
    if has_code(error, _READONLY) or (path.exists() and not os.access(path, os.W_OK)):
        return DataError(f"{path}: may not be written. Check the permissions of the file and of its folder.")
    return DataError(f"{path}: cannot be used ({error}). Check that it is a file, and the permissions of its folder.")


def text_of(value: object) -> str:
    """Return a stored text, whatever bytes it is made of."""
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def raw_of(value: object) -> bytes:
    """Return a stored content as bytes."""
    return value if isinstance(value, bytes) else str(value).encode()
