"""The pages of an SQLite file read without SQLite: what a damaged or cut off one still holds. Pure.

SQLite gives up at the first damaged page that it needs; the pages beside it are whole. Every page of a tree says by
itself which rows it has: so each page is read alone, whether or not the tree still leads to it. Those of tables are read,
and those of indexes, which is what a table WITHOUT ROWID is.
Format: https://www.sqlite.org/fileformat2.html, sections 1.6, 2.1 and 4.
"""

from __future__ import annotations

from collections.abc import Iterator
from mmap import mmap

Value = bytes | int | None
"""A value of a row: a text or blob as bytes, a whole number, or nothing. A float is None here; the cache has none."""

Content = bytes | mmap

MAGIC = b"SQLite format 3\0"
"""How an SQLite file begins."""

_INTERIOR, _LEAF, _TABLE_LEAF = 0x02, 0x0A, 0x0D
_DEFAULT_PAGE = 4096
_WAL_HEADER, _FRAME_HEADER = 32, 24
_WAL_MAGICS = (0x377F0682, 0x377F0683)
_INTEGER_BYTES = (0, 1, 2, 3, 4, 6, 8)


def rows(content: Content, wal: bytes = b"") -> Iterator[tuple[Value, ...]]:
    """Yield the rows of all pages of tables and indexes that can be read, in the order of the pages.

    Rows that were deleted or replaced can be among them, where their page was not used again.

    Args:
        content: The file, whole or what is left of it.
        wal: Its write-ahead log: pages that are newer than those of the file.
    """
    pages = _Pages(content, wal)
    for number in pages.numbers():
        page = pages.get(number)
        if page is not None:
            yield from _rows_of(page, pages)


class _Pages:
    """The pages of a file by number, from 1; those of its log go before."""

    def __init__(self, content: Content, wal: bytes) -> None:
        self._content, self._wal = content, wal
        head = content[:100]
        sound = head.startswith(MAGIC)
        self.size = _page_size(int.from_bytes(head[16:18], "big") if sound else int.from_bytes(wal[8:12], "big"))
        self.usable = self.size - (head[20] if sound and len(head) > 20 else 0)
        self._in_wal = _frames(wal, self.size)

    def numbers(self) -> Iterator[int]:
        """Yield the number of every page, those of the file first."""
        in_file = len(self._content) // self.size
        yield from range(1, in_file + 1)
        yield from sorted(number for number in self._in_wal if number > in_file)

    def get(self, number: int) -> bytes | None:
        """Return a page, None where the file ends before it does."""
        at = self._in_wal.get(number)
        start = (number - 1) * self.size
        page = self._content[start : start + self.size] if at is None else self._wal[at : at + self.size]
        return page if number >= 1 and len(page) == self.size else None


def _page_size(said: int) -> int:
    size = 65536 if said == 1 else said
    return size if 512 <= size <= 65536 and size & (size - 1) == 0 else _DEFAULT_PAGE


def _frames(wal: bytes, size: int) -> dict[int, int]:
    """Return where in the log the newest version of each page begins; frames of an earlier round have another salt."""
    if int.from_bytes(wal[:4], "big") not in _WAL_MAGICS:
        return {}
    salt = wal[16:24]
    found: dict[int, int] = {}
    for at in range(_WAL_HEADER, len(wal) - _FRAME_HEADER - size + 1, _FRAME_HEADER + size):
        if wal[at + 8 : at + 16] == salt:
            found[int.from_bytes(wal[at : at + 4], "big")] = at + _FRAME_HEADER
    return found


def _rows_of(page: bytes, pages: _Pages) -> Iterator[tuple[Value, ...]]:
    kind = page[0]  # the first page has the file's header here, and is of another kind
    if kind not in (_INTERIOR, _LEAF, _TABLE_LEAF):
        return
    first = 12 if kind == _INTERIOR else 8
    for index in range(int.from_bytes(page[3:5], "big")):
        pointer = first + 2 * index
        start = int.from_bytes(page[pointer : pointer + 2], "big")
        if pointer + 2 > len(page) or not first <= start < len(page):
            continue
        try:
            payload = _payload(page, start + 4 if kind == _INTERIOR else start, pages, in_table=kind == _TABLE_LEAF)
            if payload is not None:
                yield _record(payload)
        except (IndexError, ValueError):
            continue


def _payload(page: bytes, start: int, pages: _Pages, *, in_table: bool) -> bytes | None:
    """Return the bytes of a row, gathered from the pages it overflows to; None where one of them is lost."""
    length, start = _varint(page, start)
    if in_table:
        _, start = _varint(page, start)  # the number of the row
    local = _local_bytes(length, pages.usable, in_table=in_table)
    parts = [page[start : start + min(length, local)]]
    missing = length - len(parts[0])
    at = start + local
    following = int.from_bytes(page[at : at + 4], "big") if missing else 0
    seen: set[int] = set()
    while missing > 0:
        overflow = pages.get(following)
        if overflow is None or following in seen:
            return None
        seen.add(following)
        part = overflow[4 : 4 + min(missing, pages.usable - 4)]
        parts.append(part)
        missing -= len(part)
        following = int.from_bytes(overflow[:4], "big")
    return b"".join(parts)


def _local_bytes(length: int, usable: int, *, in_table: bool) -> int:
    """Return how many bytes of a row stand in its own page (section 1.6, the list below "cell payload overflow")."""
    most = usable - 35 if in_table else (usable - 12) * 64 // 255 - 23
    if length <= most:
        return length
    least = (usable - 12) * 32 // 255 - 23
    wanted = least + (length - least) % (usable - 4)
    return wanted if wanted <= most else least


def _record(payload: bytes) -> tuple[Value, ...]:
    """Return the values of a row (section 2.1).

    Raises:
        IndexError, ValueError: It is none.
    """
    header_end, at = _varint(payload, 0)
    data = header_end
    values: list[Value] = []
    while at < header_end:
        kind, at = _varint(payload, at)
        size = _value_bytes(kind)
        raw = payload[data : data + size]
        if len(raw) != size:
            raise ValueError("the row is cut off")
        data += size
        values.append(_value(kind, raw))
    return tuple(values)


def _value_bytes(kind: int) -> int:
    if kind >= 12:
        return (kind - 12) // 2
    return 8 if kind == 7 else _INTEGER_BYTES[kind] if kind < 7 else 0


def _value(kind: int, raw: bytes) -> Value:
    if kind >= 12:
        return raw
    if 1 <= kind <= 6:
        return int.from_bytes(raw, "big", signed=True)
    return kind - 8 if kind in (8, 9) else None


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """Return a number of one to nine bytes, and where the next value begins."""
    value = 0
    for index in range(8):
        byte = content[at + index]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + index + 1
    return value << 8 | content[at + 8], at + 9
